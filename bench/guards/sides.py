"""Who takes part, and in which slots each of the alarms beside the guard is on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray

from bench.guards.account import REVIEW
from bench.guards.traffic import HOURLY, Rates, Trace

GUARD, PLAIN, BARE, AWS = "our guard", "plain alarm", "bare alarm", "AWS's example"
SIDES: Final = {
    GUARD: "the reputation guard",
    PLAIN: "`sender-bounce-rate-page`, made to brake: over 5 % of the emails of 6 hours, 100 of them at least",
    BARE: "the same over an hour and without a least number",
    AWS: "the account's own rate at 5 % or more pauses the account",
}


def alarms(trace: Trace, account: Rates) -> Mapping[str, NDArray[np.bool_]]:
    return {
        PLAIN: share_over(trace, 6 * HOURLY, REVIEW, 100),
        BARE: share_over(trace, HOURLY, REVIEW, 1),
        AWS: account >= REVIEW,
    }


def share_over(trace: Trace, slots: int, level: float, least: int, bad: int = 1) -> NDArray[np.bool_]:
    """Slots at whose end the emails of the last `slots` are an alarm's."""
    now = np.arange(len(trace.judged))
    first = np.maximum(now + 1 - slots, 0)
    judged, hit = (trace.sums[of][now + 1] - trace.sums[of][first] for of in (0, bad))
    return (judged >= least) & (hit > level * judged)


def edges(alarm: NDArray[np.bool_]) -> int:
    """How often an alarm goes off."""
    return int(np.count_nonzero(np.diff(alarm.astype(np.int8), prepend=0) == 1))
