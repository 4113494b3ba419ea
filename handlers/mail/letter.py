"""The confirmation letter: an order rendered as text and HTML, and composed into the MIME bytes that SES is given."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from email.header import Header
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from pathlib import Path
from urllib.parse import quote

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from handlers.mail.money import format_money, quantize
from handlers.mail.orders import Order

# RFC 5322 §2.1.1: a line should have at most 78 columns. Six fewer leave room for three levels of "> " in replies.
TEXT_COLUMNS = 72
# RFC 2045 §6.7 and RFC 2047 §2: at most 76 characters in an encoded line.
_ENCODED_LINE = 76


@dataclass(frozen=True, slots=True)
class Letter:
    subject: str
    text: str
    html: str


@dataclass(frozen=True, slots=True)
class Mailbox:
    """A display name (may be empty; any script) and an ASCII address, with an international domain in punycode."""

    name: str
    address: str


@dataclass(frozen=True, slots=True)
class _Line:
    """One line of the bill as it is printed."""

    name: str
    quantity: str
    unit_price: str
    amount: str


# ---- Rendering ----


def render_confirmation(order: Order, *, store: str, reply_to: str) -> Letter:
    """The letter that confirms `order` on behalf of `store`; questions go to the address `reply_to`.

    The amounts in it always add up: where the lines differ from the order's total, the difference is a line of its own.
    ValueError if the order's currency is unknown.
    """
    subject = f"Your order {order.order_id} from {store} is confirmed"
    quantity = sum(item.quantity for item in order.items)
    context = {
        "subject": subject,
        "store": store,
        "customer": order.name,
        "order_id": order.order_id,
        "placed": _written_date(order.placed_at),
        "count": f"{quantity:,} {'item' if quantity == 1 else 'items'}",
        "lines": [
            _Line(
                name=item.name,
                quantity=f"{item.quantity:,}",
                unit_price=format_money(item.unit_price, order.currency),
                amount=format_money(quantize(item.subtotal, order.currency), order.currency),
            )
            for item in order.items
        ],
        "adjustment": _adjustment(order),
        "total": format_money(order.total, order.currency),
        "reply_to": reply_to,
        "reply_url": f"mailto:{quote(reply_to, safe='@')}?subject={quote(f'Order {order.order_id}', safe='')}",
    }
    return Letter(subject, text=_TEXT.render(context), html=_HTML.render(context))


def _adjustment(order: Order) -> tuple[str, str] | None:
    """Label and amount of what lies between the printed lines and the total; None if nothing does."""
    printed = sum((quantize(item.subtotal, order.currency) for item in order.items), Decimal(0))
    difference = order.total - printed
    if not difference:
        return None
    exact = sum((item.subtotal for item in order.items), Decimal(0))
    only_rounding = not quantize(order.total - exact, order.currency)
    label = "Rounding" if only_rounding else "Shipping, taxes and discounts"
    return label, format_money(difference, order.currency)


def _written_date(moment: datetime) -> str:
    """`1 January 2021, 14:05 UTC`, in the zone that the order was placed in."""
    return f"{moment.day} {moment:%B %Y, %H:%M %Z}".rstrip()


# ---- Plain text, laid out by the columns that characters take ----


def display_width(text: str) -> int:
    """Columns in a monospaced font: two for East Asian wide characters and emoji, none for marks and joiners."""
    return len(text) if text.isascii() else sum(map(_columns, text))


def _columns(character: str) -> int:
    if unicodedata.category(character) in {"Mn", "Me", "Cf"}:
        return 0
    return 2 if unicodedata.east_asian_width(character) in {"W", "F"} else 1


def wrap(text: str, width: int = TEXT_COLUMNS) -> list[str]:
    """Lines of at most `width` columns (2 or more). A word too long for one is cut, but never off its marks."""
    lines, used = [""], 0
    for word in re.split(r"[ \n]+", text.strip(" \n")):
        for piece in _cut(word, width):
            columns = display_width(piece)
            if not lines[-1]:
                lines[-1], used = piece, columns
            elif used + 1 + columns <= width:
                lines[-1], used = f"{lines[-1]} {piece}", used + 1 + columns
            else:
                lines.append(piece)
                used = columns
    return lines


def _cut(word: str, width: int) -> Iterator[str]:
    piece, used = "", 0
    for cluster in [word] if display_width(word) <= width else _clusters(word):
        columns = display_width(cluster)
        if piece and used + columns > width:
            yield piece
            piece, used = "", 0
        piece, used = piece + cluster, used + columns
    yield piece


def _clusters(word: str) -> list[str]:
    """Characters with what belongs to them: marks, joiners and what a zero-width joiner ties on."""
    clusters: list[str] = []
    for character in word:
        if clusters and (not _columns(character) or clusters[-1].endswith("\N{ZERO WIDTH JOINER}")):
            clusters[-1] += character
        else:
            clusters.append(character)
    return clusters


def beside(left: str, right: str) -> str:
    """`left` wrapped, with `right` flush right on its first line."""
    first, *rest = wrap(left, TEXT_COLUMNS - len(right) - 2)
    gap = TEXT_COLUMNS - display_width(first) - len(right)
    return "\n".join([_isolated(first) + " " * gap + right, *map(_isolated, rest)])


def _isolated(text: str) -> str:
    """Right-to-left text closed off from what stands beside it: else the price would be drawn inside the name."""
    if any(unicodedata.bidirectional(character) in {"R", "AL", "AN"} for character in text):
        return f"\N{FIRST STRONG ISOLATE}{text}\N{POP DIRECTIONAL ISOLATE}"
    return text


# ---- Templates, compiled once, when a Lambda starts cold ----

_TEMPLATES = Environment(
    loader=FileSystemLoader(Path(__file__).parent.parent / "templates"),
    autoescape=select_autoescape(["html.j2"]),
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
    auto_reload=False,
)
_TEMPLATES.filters["wrap"] = lambda text: "\n".join(wrap(text))
_TEMPLATES.globals.update(beside=beside, columns=TEXT_COLUMNS)
_TEXT = _TEMPLATES.get_template("confirmation.txt.j2")
_HTML = _TEMPLATES.get_template("confirmation.html.j2")


# ---- MIME ----

_BODY_POLICY = SMTP.clone(max_line_length=_ENCODED_LINE)
# "=_" occurs in neither quoted-printable nor base64 (RFC 2045 §6.7), so a fixed boundary is safe and the same
# letter is always the same bytes.
_BOUNDARY = "=_mailroom_alternative"

# Control characters, lone surrogates, line and paragraph separators: each ends a header, or cannot be encoded.
_UNSAFE_CATEGORIES = {"Cc", "Cs", "Zl", "Zp"}
# RFC 5322 §3.4.1 with an unquoted local part: nothing in these characters ends an address, or the header it stands in.
_ADDRESS = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]+@[A-Za-z0-9.-]+")


def compose(
    letter: Letter,
    *,
    sender: Mailbox,
    to: Mailbox,
    reply_to: str,
    message_id: str,
    order_id: str,
    date: datetime,
) -> bytes:
    """The letter as a MIME message: text, then HTML, as alternatives. The same arguments give the same bytes.

    `message_id` is the ledger's, not the Message-ID header, which SES sets. `date` is aware. ValueError, naming the
    field, for what cannot stand in a header: line breaks and other controls, lone surrogates, a malformed address.
    """
    if date.tzinfo is None:
        raise ValueError("date has no time zone")
    headers = {
        "From": _mailbox("From", sender),
        "To": _mailbox("To", to),
        "Reply-To": _mailbox("Reply-To", Mailbox("", reply_to)),
        "Subject": _unstructured("Subject", letter.subject),
        "Date": _unstructured("Date", format_datetime(date.astimezone(UTC))),
        # RFC 3834 §5: keeps holiday replies away.
        "Auto-Submitted": _unstructured("Auto-Submitted", "auto-generated"),
        "X-Mailroom-Message-Id": _unstructured("X-Mailroom-Message-Id", message_id),
        "X-Mailroom-Order-Id": _unstructured("X-Mailroom-Order-Id", order_id),
        # A value of its own keeps Gmail from folding distinct orders into one conversation.
        "X-Entity-Ref-ID": _unstructured("X-Entity-Ref-ID", message_id),
    }
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return head.encode("ascii") + _alternatives(letter).as_bytes()


def _alternatives(letter: Letter) -> EmailMessage:
    body = EmailMessage(policy=_BODY_POLICY)
    body.set_content(letter.text, cte=_transfer_encoding(letter.text))
    body.add_alternative(letter.html, subtype="html", cte=_transfer_encoding(letter.html))
    body.set_boundary(_BOUNDARY)
    return body


def _transfer_encoding(text: str) -> str:
    """The shorter of the two that keep any text in short ASCII lines.

    base64 makes four bytes of three, quoted-printable three of each byte that is not ASCII: even at one byte in six.
    """
    octets = len(text.encode())
    beyond_ascii = octets - sum(map(str.isascii, text))
    return "base64" if beyond_ascii * 6 > octets else "quoted-printable"


# `email.header.Header` rather than EmailMessage's own headers: those lose or add spaces where a long name is split into
# several encoded words (Python 3.11 to 3.13), and decode a name that looks like an encoded word.


def _unstructured(field: str, value: str) -> str:
    _refuse_unsafe(field, value)
    header = Header(maxlinelen=_ENCODED_LINE, header_name=field)
    header.append(value, _charset(value))
    return header.encode(linesep="\r\n")


def _mailbox(field: str, mailbox: Mailbox) -> str:
    _refuse_unsafe(field, mailbox.name)
    if not _ADDRESS.fullmatch(mailbox.address):
        raise ValueError(f"{field}: {mailbox.address!r} is not an ASCII address of the form local@domain")
    header = Header(maxlinelen=_ENCODED_LINE, header_name=field)
    if mailbox.name:
        charset = _charset(mailbox.name)
        header.append(mailbox.name if charset == "utf-8" else _quoted(mailbox.name), charset)
    header.append(f"<{mailbox.address}>" if mailbox.name else mailbox.address, "us-ascii")
    return header.encode(linesep="\r\n")


def _charset(value: str) -> str:
    return "us-ascii" if value.isascii() and "=?" not in value else "utf-8"


def _quoted(name: str) -> str:
    return '"' + re.sub(r'([\\"])', r"\\\1", name) + '"'


def _refuse_unsafe(field: str, value: str) -> None:
    for position, character in enumerate(value):
        if unicodedata.category(character) in _UNSAFE_CATEGORIES:
            raise ValueError(f"{field}: U+{ord(character):04X} at position {position} cannot stand in a header")
