"""Steps and ramps: traffic that is good until something goes wrong."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from bench.guards.account import ACCOUNT, account_rate, accounts
from bench.guards.guard import WARM_UP, guarded
from bench.guards.sides import AWS, GUARD, PLAIN, alarms, share_over
from bench.guards.traffic import DAILY, GOOD, GOOD_COMPLAINTS, Course, traffic
from handlers.guarding.reputation import COMPLAINTS

LIMITS: Final = {10: 200, 100: 60, 1_000: 20, 100_000: 3}
"""Days in which a step or the end of a ramp has to be noticed, by volume."""


@dataclass(frozen=True, slots=True)
class Act:
    """How one side fared: slots from the first bad one until it tripped, bounces (or complaints) until then, and the
    highest rate of the account until then, by the emails it is judged by."""

    slots: int | None
    bad: int
    peaks: Mapping[int, float]


@dataclass(frozen=True, slots=True)
class Gone:
    """One trace in which something went wrong."""

    volume: int
    course: str
    acts: Mapping[str, Act]
    warned: int | None
    """Slots from the first warning to the trip; None without a warning."""


def goes_wrong(volume: int, course: Course, seed: int, *, complaints: bool = False) -> Gone:
    """What each side makes of one trace; it begins at another time of the day each time."""
    random = np.random.default_rng([3, volume, round(course.rate * 10_000), course.slots, complaints, seed])
    onset = WARM_UP + int(random.integers(DAILY))
    length = course.slots + LIMITS[volume] * DAILY
    good = GOOD_COMPLAINTS if complaints else GOOD
    rates = np.concatenate((np.full(onset, good), course.rates(good, length)))
    trace = traffic(random, volume, np.full(len(rates), GOOD), rates) if complaints else traffic(random, volume, rates)
    kind = 2 if complaints else 1
    of_account = {each: account_rate(trace, each, good, random, kind) for each in accounts(volume)}
    main = of_account.get(ACCOUNT, next(iter(of_account.values())))
    if complaints:
        # As `sender-complaint-rate-page`.
        others = {PLAIN: share_over(trace, DAILY, COMPLAINTS.review, 1000, kind), AWS: main >= COMPLAINTS.review}
    else:
        others = dict(alarms(trace, main))
    found = guarded(trace, onset, once=True)
    first = {GUARD: found.trips[0] if found.trips else None}
    first |= {
        side: next(iter((onset + np.flatnonzero(alarm[onset:])).tolist()), None) for side, alarm in others.items()
    }
    hit = trace.sums[kind]

    def act(slot: int | None) -> Act:
        end = len(rates) if slot is None else slot + 1
        return Act(
            None if slot is None else end - onset,
            int(hit[end] - hit[onset]),
            {each: float(rate[onset:end].max()) for each, rate in of_account.items()},
        )

    warned = found.trips[0] - found.warnings[0] if found.trips and found.warnings else None
    return Gone(volume, course.name, {side: act(slot) for side, slot in first.items()}, warned)


def by_case(gone: Sequence[Gone]) -> Mapping[tuple[int, str], Sequence[Gone]]:
    cases: dict[tuple[int, str], list[Gone]] = {}
    for one in gone:
        cases.setdefault((one.volume, one.course), []).append(one)
    return cases
