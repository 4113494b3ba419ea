"""Orders, names and letters that the tests of the letter share."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from hypothesis import strategies as st

from handlers.mail.letter import Letter, Mailbox, compose, render_confirmation
from handlers.mail.orders import Item, Order, parse_order

PLACED = datetime(2026, 11, 22, 14, 5, tzinfo=UTC)
MESSAGE_ID = "5b0a2c1e-7f5b-5f0e-9d1c-0c7a4e4f6a10"

NAMES = [
    "Leonie Köhler",
    "محمد عبد الله",
    "שלומית כהן־לוי",
    "山田 太郎",
    "김철수",
    "สมชาย ใจดี",
    "Zoe\u0308 A\u030angstro\u0308m",
    "👩‍👩‍👧 The Smiths 🇳🇱",
    'Peeters, Daan "DJ" (Büro) <x@y.example>',
    'O\'Brien, "Bob" \\ Sons; Ltd.',
    "=?utf-8?q?not_encoded?=",
    "two  spaces",
    "x" * 200,
    "é " * 99 + "é",
    "山田太郎 " * 39 + "終",
    "word " * 39 + "end",
]
# What the parser lets a name hold: no controls, surrogates, separators of lines, nor what reorders text that follows.
any_name = st.text(
    st.characters(
        exclude_categories=("Cc", "Cs", "Zl", "Zp"),
        exclude_characters="\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069",
    ),
    min_size=1,
    max_size=200,
).filter(str.strip)


def an_order(*items: Item, **fields: Any) -> Order:
    chosen = items or (
        Item("sku-1", "Oak tray", 2, Decimal("12.50")),
        Item("sku-2", "Mug", 1, Decimal("9.00")),
    )
    whole: dict[str, Any] = {
        "order_id": "A-1001",
        "email": "kim@example.com",
        "name": "Kim Example",
        "items": chosen,
        "total": sum((item.subtotal for item in chosen), Decimal(0)),
        "currency": "EUR",
        "placed_at": PLACED,
        "metadata": {},
    }
    return Order(**{**whole, **fields})


def as_published(name: str) -> Order:
    """An order with `name` for its customer and its item, as it comes out of the parser."""
    item = {"sku": "s", "name": name, "quantity": 3, "unitPrice": "0.10"}
    order = {
        "orderId": "A-1001",
        "customerEmail": "kim@example.com",
        "customerName": name,
        "items": [item],
        "total": "0.30",
        "currency": "EUR",
        "timestamp": PLACED.isoformat(),
    }
    return parse_order(json.dumps(order))


def rendered(order: Order, store: str = "Example Store") -> Letter:
    return render_confirmation(order, store=store, reply_to="support@example.com")


def composed(letter: Letter | None = None, **fields: Any) -> bytes:
    whole: dict[str, Any] = {
        "sender": Mailbox("Example Store", "orders@mail.example.com"),
        "to": Mailbox("Kim Example", "kim@example.com"),
        "reply_to": "support@example.com",
        "message_id": MESSAGE_ID,
        "order_id": "A-1001",
        "date": PLACED,
    }
    return compose(letter or rendered(an_order()), **{**whole, **fields})
