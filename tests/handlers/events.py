"""The golden events, and what they would say of other orders."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from handlers.adapters.ses import tag_value
from handlers.mail.lifecycle import message_id
from handlers.telemetry.contract import Lane

EVENTS = Path(__file__).parent.parent / "events"
NAMES = sorted(path.stem for path in EVENTS.glob("*.json"))


def event(name: str = "delivery") -> dict[str, Any]:
    """The event in `tests/events`, which says where its shape is documented."""
    loaded: dict[str, Any] = json.loads((EVENTS / f"{name}.json").read_text(encoding="utf-8"))
    return loaded


def told(name: str, order_id: str = "A-1001", lane: Lane = Lane.CONFIRMATION, /, **tags: list[str]) -> str:
    """The same about the email of `order_id`, as SES publishes it."""
    body = event(name)
    body["mail"]["tags"] |= {"message_id": [message_id(order_id, lane)], "order": [tag_value(order_id)], **tags}
    return json.dumps(body)
