"""The golden notifications of alarms, and what they would say otherwise."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from handlers.paging.incident import Transition, incident
from handlers.paging.message import Page, write_page
from handlers.paging.notification import Notification, State, parse_notification
from handlers.paging.orders import Found

FOLDER = Path(__file__).parent.parent / "events" / "alarms"
NAMES = sorted(path.stem for path in FOLDER.glob("*.json"))
GROUPS = ["/aws/lambda/mailroom-send-email-1a2b3c4", "/aws/lambda/mailroom-record-feedback-5d6e7f8"]
BEGAN = datetime(2026, 11, 22, 15, 6, 1, tzinfo=UTC)


def golden(name: str) -> dict[str, Any]:
    """The notification in `tests/events/alarms`, which says where its shape is from."""
    loaded: dict[str, Any] = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    return loaded


def told(name: str, **changes: Any) -> str:
    """The same with other fields, as CloudWatch publishes it; None takes a field away."""
    changed = {**golden(name), **changes}
    return json.dumps({key: value for key, value in changed.items() if value is not None})


def parsed(name: str, **changes: Any) -> Notification:
    return parse_notification(told(name, **changes), region="us-east-1")


def changed(minutes: float, state: str) -> Transition:
    """A transition so many minutes after BEGAN."""
    return Transition(BEGAN + timedelta(minutes=minutes), State(state))


def page(
    name: str, *, orders: tuple[str, ...] = (), reasons: tuple[str, ...] = (), after: float = 0, **changes: Any
) -> Page:
    """The page about a notification, `after` seconds after its change, of an incident that began at BEGAN."""
    notification = parsed(name, **changes)
    about = incident(notification, [changed(0, "ALARM"), changed(-600, "OK")])
    assert about
    return write_page(
        notification,
        about,
        stack="prod",
        log_groups=GROUPS,
        found=Found(orders, reasons),
        now=notification.at + timedelta(seconds=after),
    )
