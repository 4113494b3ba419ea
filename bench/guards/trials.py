"""Trials: what becomes of lanes that are released."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bench.guards.traffic import GOOD_COMPLAINTS
from handlers.guarding.reputation import Evidence, Finding, Window, judge


@dataclass(frozen=True, slots=True)
class Trial:
    """What became of a lane that was released."""

    rate: float
    finding: Finding
    emails: int


def one_trial(rate: float, seed: int) -> Trial:
    """A released lane, judged after each email."""
    random = np.random.default_rng([4, round(rate * 10_000), seed])
    bounced = complained = 0
    for emails in range(1, 20_001):
        bounced += random.random() < rate
        complained += random.random() < GOOD_COMPLAINTS
        window = Window(emails, bounced, complained, "")
        verdict = judge(Evidence(window, window, window, trial=True))
        if verdict.finding in (Finding.TRIP, Finding.PASSED):
            return Trial(rate, verdict.finding, emails)
    return Trial(rate, Finding.FINE, emails)
