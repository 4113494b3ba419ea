"""When a receiver that did not take a message is asked again."""

from __future__ import annotations

FIRST_RETRY_SECONDS = 5
"""A receiver that restarts is back by then, and whoever is on call has lost nothing."""

_PAUSES = (15, 45, 120, 300, 600)


def retry_after(receive_count: int) -> int:
    """Seconds until a message comes again after its n-th delivery: five tries ride out eight minutes, six eighteen."""
    return _PAUSES[min(receive_count, len(_PAUSES)) - 1]
