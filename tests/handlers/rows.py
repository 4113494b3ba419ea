"""A claim, the row it makes, and a clock's readings."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from handlers.mail.lifecycle import Milestone, Row, message_id, timestamp
from handlers.mail.sending import NewClaim
from handlers.telemetry.contract import Lane

START = datetime(2026, 11, 22, 15, 6, 1, 123_000, UTC)


def at(seconds: float) -> str:
    """The ledger's time so many seconds after START."""
    return timestamp(START + timedelta(seconds=seconds))


def claimed_row(**changes: Any) -> Row:
    """A row whose first attempt is under way."""
    fields = {
        "order_id": "A-1001",
        "message_id": message_id("A-1001", Lane.CONFIRMATION),
        "kind": Lane.CONFIRMATION,
        "to": "leonie.koehler@example.com",
        "sent_to": "leonie.koehler@example.com",
        "order_hash": "0" * 64,
        "claimed_at": at(0),
        "published_at": at(-1),
        "attempts": 1,
        "revision": 1,
        "expires_at": int((START + timedelta(days=400)).timestamp()),
        "claim_token": "claim-1",
        "milestones": {Milestone.SUBMITTING: at(0)},
        "lease_until": at(30),
    }
    return Row(**{**fields, **changes})


def new_claim(order_id: str = "A-1001", **changes: Any) -> NewClaim:
    """What a sender writes to claim the email of this order."""
    fields = {
        "order_id": order_id,
        "message_id": message_id(order_id, Lane.CONFIRMATION),
        "kind": Lane.CONFIRMATION,
        "to": "leonie.koehler@example.com",
        "sent_to": "leonie.koehler@example.com",
        "order_hash": "0" * 64,
        "published_at": at(-1),
        "now": at(0),
        "lease_until": at(30),
        "expires_at": int((START + timedelta(days=400)).timestamp()),
        "token": "claim-1",
        "trace_id": "1-5f84c7a1-0123456789abcdef01234567",
        "flags": frozenset(),
    }
    return NewClaim(**{**fields, **changes})
