"""When EventBridge Scheduler wanted a function to run."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

_KEYWORD = "<aws.scheduler."
"""Scheduler puts a value in place of what begins like this; an emulator may leave it there.
https://docs.aws.amazon.com/scheduler/latest/UserGuide/managing-schedule-context-attributes.html"""


def due(event: Mapping[str, Any]) -> datetime:
    """The time that a run was due: `at` of its event, in ISO 8601; now, where it says none.

    Raises:
        ValueError: it is something else.
    """
    at = str(event.get("at", _KEYWORD))
    if at.startswith(_KEYWORD):
        return datetime.now(UTC)
    try:
        return datetime.fromisoformat(at).astimezone(UTC)
    except ValueError:
        raise ValueError(f"at is {at!r}, has to be a time such as 2026-11-01T06:00:00Z") from None
