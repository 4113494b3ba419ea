"""What SNS puts around a message, where a subscription does not deliver it raw."""

from __future__ import annotations

import json
from typing import Any


def unwrap(body: str) -> str:
    """The published message inside an SNS notification envelope, or `body` itself (raw delivery)."""
    message = _envelope(body).get("Message")
    return message if isinstance(message, str) else body


def attribute(body: str, name: str) -> str:
    """The text of the message attribute `name` in an SNS notification envelope; "" where there is none."""
    attributes = _envelope(body).get("MessageAttributes")
    found = attributes.get(name) if isinstance(attributes, dict) else None
    value = found.get("Value") if isinstance(found, dict) else None
    return value if isinstance(value, str) else ""


def _envelope(body: str) -> dict[str, Any]:
    if '"Notification"' not in body[:4096]:
        return {}
    try:
        envelope = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return envelope if isinstance(envelope, dict) and envelope.get("Type") == "Notification" else {}
