"""Orders as they come in: parsed once, at the edge, into values that the rest can trust.

A malformed order is refused with every fault found, each naming the field, the value and the remedy, because whoever
mends it should have to do so once. It is never half accepted.
"""

from __future__ import annotations

import hashlib
import json
import re
import reprlib
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from email_validator import EmailNotValidError, validate_email

from handlers.mail.money import is_currency, minor_units

MAX_BODY_BYTES = 128 * 1024
"""Half of what SNS carries (256 KiB): room for 250 items with long names, and for the quarantine's own attributes."""

MAX_ITEMS = 250
"""What a letter lists below the 102 KB at which Gmail clips a message (measured in tests/handlers/test_letter.py)."""

MAX_TEXT = 200
"""Characters of a name or SKU; beyond it no letter lays out, and no shop prints it."""

MAX_QUANTITY = 1_000_000
MAX_AMOUNT = Decimal(10) ** 12
MAX_DECIMALS = 6
"""Bounds of a quantity and an amount: above what any order holds, below what overflows a column of the letter."""

TOTAL_MISMATCH = "TOTAL_MISMATCH"
"""Flag of an order whose total is not the sum of its items: taxes, shipping, a discount, or a mistake upstream."""

_ORDER_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/#-]{0,63}")
_AMOUNT = re.compile(r"-?[0-9]+(\.[0-9]+)?")
# Embeddings, overrides and isolates reorder the text that follows them; a name has no use for them.
_BIDI_CONTROLS = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


@dataclass(frozen=True, slots=True)
class Item:
    """One line of an order; `unit_price` in the order's currency."""

    sku: str
    name: str
    quantity: int
    unit_price: Decimal

    @property
    def subtotal(self) -> Decimal:
        return self.unit_price * self.quantity


@dataclass(frozen=True, slots=True)
class Order:
    """A well-formed order. `email` has its domain in ASCII (IDNA); `placed_at` has a time zone."""

    order_id: str
    email: str
    name: str
    items: tuple[Item, ...]
    total: Decimal
    currency: str
    placed_at: datetime
    metadata: Mapping[str, Any]

    @property
    def flags(self) -> frozenset[str]:
        """What is odd about the order, though not wrong enough to hold it back."""
        step = Decimal(1).scaleb(-minor_units(self.currency))
        difference = self.total - sum((item.subtotal for item in self.items), Decimal(0))
        return frozenset({TOTAL_MISMATCH} if abs(difference) >= step / 2 else ())

    @property
    def content_hash(self) -> str:
        """SHA-256 of what the letter says, so that a repeated order is told from another one with the same id.

        Metadata and formatting do not count: a publisher's retry may change both.
        """
        content = [
            self.order_id,
            self.email,
            self.name,
            [[item.sku, item.name, item.quantity, str(item.unit_price.normalize())] for item in self.items],
            str(self.total.normalize()),
            self.currency,
            self.placed_at.isoformat(),
        ]
        return hashlib.sha256(json.dumps(content).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing wrong with one field."""

    field: str
    value: Any
    problem: str

    def __str__(self) -> str:
        return f"{self.field} {_show(self.value)}".rstrip() + f": {self.problem}"


class MalformedOrder(Exception):
    """An order that can never be sent as it is.

    Attributes:
        code: a stable word for counting: `too-large`, `not-json`, `not-an-order`, `invalid-order`.
        faults: every fault found, for people.
        order_id: the order's id where that much could be read, else "".
    """

    def __init__(self, code: str, faults: tuple[Fault, ...], order_id: str = "") -> None:
        super().__init__("; ".join(str(fault) for fault in faults))
        self.code = code
        self.faults = faults
        self.order_id = order_id


def parse_order(body: str) -> Order:
    """The order in `body`, the JSON text as it was published.

    Raises:
        MalformedOrder: the order is not one, with all its faults.
    """
    size = len(body.encode("utf-8", "surrogatepass"))
    if size > MAX_BODY_BYTES:
        raise MalformedOrder(
            "too-large",
            (
                Fault(
                    "body",
                    None,
                    f"has {size:,} bytes, at most {MAX_BODY_BYTES:,}; leave out what the letter does not show",
                ),
            ),
        )
    try:
        document = json.loads(body, parse_float=Decimal, parse_constant=_refuse_constant)
    except (ValueError, ArithmeticError, RecursionError) as error:
        # ArithmeticError: an exponent beyond what Decimal holds, such as 1e9999999999999999999.
        raise MalformedOrder(
            "not-json", (Fault("body", body, f"is not JSON ({error}); send one JSON object"),)
        ) from None
    if not isinstance(document, dict):
        raise MalformedOrder(
            "not-an-order", (Fault("body", document, "is not a JSON object; send one order a message"),)
        )

    faults: list[Fault] = []

    def read(field: str, parse: Callable[[Any, str], Any], default: Any = None) -> Any:
        return _read(document, field, field, parse, faults, default)

    order_id = read("orderId", _order_id, "")
    email = read("customerEmail", _email)
    name = read("customerName", _text)
    items = _items(document, faults)
    total = read("total", _amount)
    currency = read("currency", _currency)
    placed_at = read("timestamp", _moment)
    metadata = document.get("metadata")
    if faults:
        raise MalformedOrder("invalid-order", tuple(faults), order_id)
    return Order(
        order_id=order_id,
        email=email,
        name=name,
        items=items,
        total=total,
        currency=currency,
        placed_at=placed_at,
        metadata=metadata if isinstance(metadata, dict) else {},
    )


class _Invalid(ValueError):
    """What is wrong with a value; becomes a Fault where the field is known."""


def _read(
    source: Mapping[str, Any],
    key: str,
    path: str,
    parse: Callable[[Any, str], Any],
    faults: list[Fault],
    default: Any = None,
) -> Any:
    value = source.get(key)
    try:
        if value is None:
            raise _Invalid("is missing; give a value" if key not in source else "is null; give a value")
        return parse(value, path)
    except _Invalid as error:
        faults.append(Fault(path, value, str(error)))
        return default


def _items(document: Mapping[str, Any], faults: list[Fault]) -> tuple[Item, ...]:
    entries = _read(document, "items", "items", _item_list, faults, default=[])
    items = []
    for index, entry in enumerate(entries):
        path = f"items[{index}]"
        if not isinstance(entry, dict):
            faults.append(Fault(path, entry, "is not an object with sku, name, quantity and unitPrice"))
            continue
        item = Item(
            sku=_read(entry, "sku", f"{path}.sku", _text, faults),
            name=_read(entry, "name", f"{path}.name", _text, faults),
            quantity=_read(entry, "quantity", f"{path}.quantity", _quantity, faults),
            unit_price=_read(entry, "unitPrice", f"{path}.unitPrice", _amount, faults),
        )
        items.append(item)
    return tuple(items)


def _item_list(value: Any, _: str) -> list[Any]:
    if not isinstance(value, list):
        raise _Invalid("is not a list of items")
    if not value:
        raise _Invalid("is empty; an order has at least one item")
    if len(value) > MAX_ITEMS:
        raise _Invalid(f"has {len(value)} items, at most {MAX_ITEMS} fit a letter; split the order")
    return value


def _text(value: Any, _: str) -> str:
    if not isinstance(value, str):
        raise _Invalid(f"is {_type(value)}, not text")
    if not value.strip():
        raise _Invalid("is empty; give a value")
    if len(value) > MAX_TEXT:
        raise _Invalid(f"has {len(value)} characters, at most {MAX_TEXT} fit; shorten it")
    for character in value:
        category = unicodedata.category(character)
        if category in ("Cc", "Cs", "Zl", "Zp") or character in _BIDI_CONTROLS:
            raise _Invalid(f"has the control character U+{ord(character):04X}; take it out")
    return value


def _order_id(value: Any, path: str) -> str:
    text = _text(value, path)
    if not _ORDER_ID.fullmatch(text):
        raise _Invalid("has to be 1 to 64 of A-Z a-z 0-9 . _ : / # - and begin with a letter or digit")
    return text


def _email(value: Any, _: str) -> str:
    if not isinstance(value, str):
        raise _Invalid(f"is {_type(value)}, not text")
    try:
        # SES does not support SMTPUTF8, so the part before the @ has to be ASCII; the domain may be any (IDNA).
        # Strict: at most 64 octets before the @ (RFC 5321, 4.5.3.1.1).
        checked = validate_email(value, check_deliverability=False, allow_smtputf8=False, strict=True)
    except EmailNotValidError as error:
        raise _Invalid(f"is not an address SES can write to: {error}") from None
    return checked.ascii_email or checked.normalized


def _quantity(value: Any, _: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise _Invalid(f"is {_type(value)}, not a whole number")
    if not 1 <= value <= MAX_QUANTITY:
        raise _Invalid(f"has to be from 1 to {MAX_QUANTITY:,}")
    return value


def _amount(value: Any, _: str) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, (str, int, Decimal)):
        raise _Invalid(f"is {_type(value)}, not a decimal number")
    if isinstance(value, str) and not _AMOUNT.fullmatch(value):
        raise _Invalid('is not a decimal number such as "12.50"')
    amount = Decimal(value)
    exponent = amount.as_tuple().exponent
    if not isinstance(exponent, int) or exponent < -MAX_DECIMALS or not 0 <= amount < MAX_AMOUNT:
        raise _Invalid(f"has to be from 0 to below {MAX_AMOUNT:,}, with at most {MAX_DECIMALS} decimals")
    return amount + 0  # -0 and 0e9 are 0: one amount has one spelling


def _currency(value: Any, path: str) -> str:
    text = _text(value, path)
    if not is_currency(text):
        raise _Invalid("is not an ISO 4217 currency code such as EUR")
    return text


def _moment(value: Any, path: str) -> datetime:
    text = _text(value, path)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise _Invalid("is not an ISO 8601 time such as 2026-11-22T15:06:00Z") from None
    if moment.tzinfo is None:
        raise _Invalid("has no time zone; add Z or an offset")
    return moment


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


_TYPES = {dict: "an object", list: "a list", str: "text", bool: "a truth value", int: "a number", Decimal: "a number"}


def _type(value: Any) -> str:
    return _TYPES.get(type(value), "null")


def _show(value: Any) -> str:
    """`value` for a sentence: on one line, in ASCII where it could do harm, and short."""
    if value is None:
        return ""
    if isinstance(value, (int, Decimal)):
        text = str(value)
    elif isinstance(value, str):
        text = repr(value) if value.isprintable() else ascii(value)
    else:
        text = reprlib.repr(value)  # stops at a depth, where repr would recurse as deep as a hostile order nests
    return text if len(text) <= 60 else f"{text[:57]}..."
