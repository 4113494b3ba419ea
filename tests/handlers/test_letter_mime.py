from __future__ import annotations

import email
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from email.header import decode_header, make_header
from email.message import EmailMessage, Message
from email.policy import default
from email.utils import parseaddr
from typing import Any

import pytest
from hypothesis import example, given, settings

from handlers.mail.letter import Letter, Mailbox
from handlers.mail.orders import Item
from tests.handlers.letters import MESSAGE_ID, NAMES, PLACED, an_order, any_name, as_published, composed, rendered


def parsed(raw: bytes) -> EmailMessage:
    return email.message_from_bytes(raw, policy=default)


def decoded(value: str) -> str:
    return str(make_header(decode_header(value)))


def mailbox_in(raw: bytes, field: str) -> tuple[str, str]:
    """Name and address by RFC 2047: `policy.default` puts spaces between the encoded words of a long name."""
    message: Message = email.message_from_bytes(raw)
    name, address = parseaddr(str(message[field]).replace("\r\n", ""))
    return decoded(name), address


def content(raw: bytes, kind: str) -> str:
    part = parsed(raw).get_body((kind,))
    assert part is not None
    return str(part.get_content()).replace("\r\n", "\n")


# ---- What must be refused ----


@pytest.mark.parametrize(
    "evil",
    [
        "Kim\r\nBcc: all@example.com",
        "Kim\nX: y",
        "Kim\rX",
        "a\x00b",
        "a\x0bb",
        "a\x85b",
        "a\u2028b",
        "a\u2029b",
        "a\ud800b",
    ],
)
@pytest.mark.parametrize("field", ["sender", "to", "subject", "message_id", "order_id"])
def test_nothing_that_ends_a_header_gets_into_one(field: str, evil: str) -> None:
    fields: dict[str, Any] = {field: Mailbox(evil, "kim@example.com") if field in {"sender", "to"} else evil}
    letter = replace(rendered(an_order()), subject=fields.pop("subject", "Confirmed"))
    with pytest.raises(
        ValueError,
        match=r"(From|To|Subject|X-[\w-]+): U\+[0-9A-F]{4} at position \d+ cannot stand in a header",
    ):
        composed(letter, **fields)


@pytest.mark.parametrize(
    "address",
    [
        "",
        "kim",
        "kim@",
        "@example.com",
        "kim@example.com\r\nBcc: x@y.z",
        "kim@example.com\n",
        "a@b@c",
        "kim@exämple.com",
        "kïm@example.com",
        "<kim@example.com>",
        "kim@example.com, eve@example.com",
        "kim @example.com",
        "kim@example.com>",
        '"k m"@example.com',
    ],
)
@pytest.mark.parametrize("field", ["From", "To", "Reply-To"])
def test_an_address_is_one_plain_ascii_address(field: str, address: str) -> None:
    arguments: dict[str, dict[str, Any]] = {
        "From": {"sender": Mailbox("Store", address)},
        "To": {"to": Mailbox("Kim", address)},
        "Reply-To": {"reply_to": address},
    }
    with pytest.raises(ValueError, match=f"^{field}: .* is not an ASCII address"):
        composed(**arguments[field])


def test_a_date_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="time zone"):
        composed(date=PLACED.replace(tzinfo=None))


# ---- MIME ----


def test_the_message_is_text_then_html_with_exactly_these_headers() -> None:
    message = email.message_from_bytes(composed())
    names = "From To Reply-To Subject Date Auto-Submitted X-Mailroom-Message-Id X-Mailroom-Order-Id X-Entity-Ref-ID"
    assert message.keys() == [*names.split(), "MIME-Version", "Content-Type"]
    assert message["From"] == '"Example Store" <orders@mail.example.com>'
    assert message["To"] == '"Kim Example" <kim@example.com>'
    assert message["Reply-To"] == "support@example.com"
    assert message["Subject"] == "Your order A-1001 from Example Store is confirmed"
    assert message["Date"] == "Sun, 22 Nov 2026 14:05:00 +0000"
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["X-Mailroom-Message-Id"] == message["X-Entity-Ref-ID"] == MESSAGE_ID
    assert message["X-Mailroom-Order-Id"] == "A-1001"
    assert message["MIME-Version"] == "1.0"
    assert message.get_content_type() == "multipart/alternative"
    assert [(part.get_content_type(), part.get_content_charset()) for part in parsed(composed()).iter_parts()] == [
        ("text/plain", "utf-8"),
        ("text/html", "utf-8"),
    ]
    assert not [defect for part in parsed(composed()).walk() for defect in part.defects]


def test_both_bodies_arrive_as_they_were_rendered() -> None:
    letter = rendered(an_order(Item("s", "Käse = 5 € 🧀", 1, Decimal(5)), name="山田 太郎"))
    raw = composed(letter)
    assert content(raw, "plain") == letter.text
    assert content(raw, "html") == letter.html


def test_the_same_letter_is_the_same_bytes() -> None:
    assert composed() == composed()
    assert composed(message_id="another") != composed()


def test_the_date_is_written_in_utc() -> None:
    tokyo = datetime(2026, 11, 22, 23, 5, tzinfo=timezone(timedelta(hours=9)))
    assert parsed(composed(date=tokyo))["Date"] == "Sun, 22 Nov 2026 14:05:00 +0000"


def test_every_line_is_short_ascii_and_ends_in_crlf() -> None:
    long = an_order(Item("s", "山" * 200, 1, Decimal(1)), Item("t", "x" * 200, 1, Decimal(1)), name="é" * 200)
    address = "k" * 64 + "@" + ".".join(["d" * 60] * 3) + ".com"
    raw = composed(rendered(long, store="Ω" * 64), to=Mailbox("ö" * 200, address), sender=Mailbox("S" * 200, address))
    assert raw.isascii()
    assert b"\n" not in raw.replace(b"\r\n", b"")
    assert max(map(len, raw.split(b"\r\n"))) <= 998, "RFC 5322 §2.1.1"
    body = raw.partition(b"\r\n\r\n")[2]
    assert max(map(len, body.split(b"\r\n"))) <= 76, "RFC 2045 §6.7"
    assert mailbox_in(raw, "To") == ("ö" * 200, address)


def test_the_shorter_transfer_encoding_is_chosen() -> None:
    def encodings(name: str) -> list[str]:
        raw = composed(rendered(an_order(*[Item("s", name, 1, Decimal(1))] * 40)))
        return [part["Content-Transfer-Encoding"] for part in parsed(raw).iter_parts()]

    assert encodings("Oak tray") == ["quoted-printable", "quoted-printable"]
    assert encodings("有田焼染付湯呑み夫婦セット木箱入り" * 4) == ["base64", "base64"]


def test_a_line_that_looks_like_the_boundary_does_not_end_the_part() -> None:
    letter = Letter("s", text="--=_mailroom_alternative--\nstill here\n", html="<p>--=_mailroom_alternative</p>")
    assert content(composed(letter), "plain") == letter.text


# ---- Names in headers ----


@pytest.mark.parametrize("name", NAMES)
def test_names_of_any_script_survive_in_mailboxes_and_subject(name: str) -> None:
    letter = rendered(an_order(), store=name)
    raw = composed(letter, to=Mailbox(name, "kim@example.com"), sender=Mailbox(name, "orders@mail.example.com"))
    assert mailbox_in(raw, "To") == (name, "kim@example.com")
    assert mailbox_in(raw, "From") == (name, "orders@mail.example.com")
    assert parsed(raw)["Subject"] == letter.subject
    assert name in letter.subject
    assert [each.addr_spec for each in parsed(raw)["To"].addresses] == ["kim@example.com"]


@pytest.mark.parametrize("name", [name for name in NAMES if len(name) < 45])
def test_a_name_of_usual_length_reads_right_in_pythons_own_parser(name: str) -> None:
    (recipient,) = parsed(composed(to=Mailbox(name, "kim@example.com")))["To"].addresses
    assert (recipient.display_name, recipient.addr_spec) == (name, "kim@example.com")


def test_no_name_leaves_the_bare_address() -> None:
    assert parsed(composed(to=Mailbox("", "kim@example.com")))["To"] == "kim@example.com"


@settings(deadline=None)
@given(any_name, any_name)
@example("=?utf-8?b?eA==?=", '"\\')
@example("a, b <c@d>", " padded ")
def test_any_name_survives_the_whole_way(name: str, store: str) -> None:
    order = as_published(name)
    letter = rendered(order, store=store)
    raw = composed(letter, to=Mailbox(order.name, order.email), sender=Mailbox(store, "orders@mail.example.com"))
    assert raw.isascii()
    assert max(map(len, raw.split(b"\r\n"))) <= 998
    assert mailbox_in(raw, "To") == (name, "kim@example.com")
    assert mailbox_in(raw, "From") == (store, "orders@mail.example.com")
    subject = str(email.message_from_bytes(raw)["Subject"]).replace("\r\n", "")
    assert decoded(subject) == letter.subject
    assert len(email.message_from_bytes(raw).keys()) == 11, "no name may add a header"
    assert content(raw, "plain") == letter.text
    assert content(raw, "html") == letter.html
