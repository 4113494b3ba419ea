"""What SNS puts around a message, where a subscription does not deliver it raw."""

from __future__ import annotations

import json


def unwrap(body: str) -> str:
    """The published message inside an SNS notification envelope, or `body` itself (raw delivery)."""
    if '"Notification"' not in body[:4096]:
        return body
    try:
        envelope = json.loads(body)
    except (ValueError, RecursionError):
        return body
    if isinstance(envelope, dict) and envelope.get("Type") == "Notification":
        message = envelope.get("Message")
        return message if isinstance(message, str) else body
    return body
