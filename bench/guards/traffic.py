"""Emails of a lane and what becomes of them, at random, at rates that stay as they are or go bad."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray

from handlers.guarding.tally import DAY, HOUR, SLOT

Counts = NDArray[np.int64]
Rates = NDArray[np.float64]

HOURLY: Final = HOUR // SLOT
DAILY: Final = DAY // SLOT

VOLUMES: Final = (10, 100, 1_000, 100_000)
"""Emails a day."""

GOOD: Final = 0.01
GOOD_COMPLAINTS: Final = 0.0002


@dataclass(frozen=True)
class Trace:
    """Emails by slot of five minutes, and what became of them."""

    judged: Counts
    bounced: Counts
    complained: Counts

    @cached_property
    def sums(self) -> tuple[Counts, Counts, Counts]:
        """What there was before each slot."""
        return sums(self.judged), sums(self.bounced), sums(self.complained)


def sums(counts: Counts) -> Counts:
    return np.concatenate(([0], np.cumsum(counts)))


def traffic(
    random: np.random.Generator, volume: int, bounces: Rates, complaints: Rates | float = GOOD_COMPLAINTS
) -> Trace:
    """`volume` emails a day, three times as many at the busiest hour of the evening as at the quietest of the night,
    with rates by slot."""
    phase = 2 * np.pi * (np.arange(len(bounces)) % DAILY - 20 * HOURLY) / DAILY
    judged = random.poisson(volume / DAILY * (1 + 0.5 * np.cos(phase)))
    return Trace(judged, random.binomial(judged, bounces), random.binomial(judged, complaints))


@dataclass(frozen=True, slots=True)
class Course:
    """How a rate goes from good to bad: at once, or evenly within `slots`."""

    name: str
    rate: float
    slots: int = 0

    def rates(self, good: float, length: int) -> Rates:
        share = np.arange(1, length + 1) / max(self.slots, 1)
        return good + (self.rate - good) * np.minimum(share, 1)


COURSES: Final = (
    Course("step to 6 %", 0.06),
    Course("step to 8 %", 0.08),
    Course("step to 12 %", 0.12),
    Course("to 12 % in 6 hours", 0.12, 6 * HOURLY),
    Course("to 12 % in 2 days", 0.12, 2 * DAILY),
    Course("to 12 % in 3 weeks", 0.12, 21 * DAILY),
)
COMPLAINT_COURSES: Final = (
    Course("step to 0.2 %", 0.002),
    Course("step to 0.5 %", 0.005),
    Course("step to 1 %", 0.01),
)
