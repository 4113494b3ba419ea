"""Years in which nothing changes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from bench.guards.account import ACCOUNT, account_rate
from bench.guards.guard import WARM_UP, guarded
from bench.guards.sides import GUARD, alarms, edges
from bench.guards.traffic import DAILY, traffic

YEAR: Final = 365 * DAILY


@dataclass(frozen=True, slots=True)
class Constant:
    """One year at one rate."""

    volume: int
    rate: float
    uneven: bool
    trips: Mapping[str, int]
    complaints: int
    warnings: int
    """Days with a warning."""


def one_year(volume: int, rate: float, uneven: bool, seed: int) -> Constant:
    """A year after a warm-up. An uneven one has a rate of its own for each day, with a standard deviation of a third:
    people do not mistype evenly."""
    random = np.random.default_rng([1, volume, round(rate * 10_000), uneven, seed])
    days = (YEAR + WARM_UP) // DAILY
    factors = random.gamma(9, 1 / 9, days) if uneven else np.ones(days)
    trace = traffic(random, volume, np.minimum(rate * np.repeat(factors, DAILY), 1))
    found = guarded(trace, WARM_UP)
    others = alarms(trace, account_rate(trace, ACCOUNT, rate, random))
    return Constant(
        volume,
        rate,
        uneven,
        {GUARD: len(found.trips), **{side: edges(alarm[WARM_UP:]) for side, alarm in others.items()}},
        found.complaints,
        len({slot // DAILY for slot in found.warnings}),
    )


def to_first_trip(volume: int, rate: float, seed: int) -> int | None:
    """Slots until a new lane is held that has this rate from its first email on; None if it is not within a year."""
    random = np.random.default_rng([2, volume, round(rate * 10_000), seed])
    trips = guarded(traffic(random, volume, np.full(YEAR, rate)), 0, once=True).trips
    return trips[0] + 1 if trips else None
