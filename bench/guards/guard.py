"""The guard itself: what it sees at the end of each slot, and what it makes of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from bench.guards.traffic import DAILY, HOURLY, Counts, Trace
from handlers.guarding.reputation import BOUNCES, COMPLAINTS, LONGEST, Evidence, Finding, Rule, Window, judge
from handlers.guarding.tally import DAY, SLOT

WARM_UP: Final = LONGEST // SLOT + DAILY
"""Before something goes wrong: longer than the guard looks back."""

_AT_ONCE: Final = 2_000
"""Slots whose windows are reckoned together; those after a trip are reckoned anew."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What the guard sees at the end of slots: judged, bounced and complained of each window."""

    hour: tuple[Counts, ...]
    bounces: tuple[Counts, ...]
    complaints: tuple[Counts, ...]

    @classmethod
    def of(cls, trace: Trace, start: int, now: Counts) -> Seen:
        """At the end of the slots `now`, the same windows as `guarding.reputation.evidence` makes of a tally."""
        judged = trace.sums[0]

        def window(first: Counts) -> tuple[Counts, ...]:
            since = np.maximum(first, start)
            return tuple(total[now + 1] - total[since] for total in trace.sums)

        def slow(rule: Rule) -> tuple[Counts, ...]:
            begun = judged[::HOURLY]
            enough = np.searchsorted(begun, judged[now + 1] - rule.volume, side="right") - 1
            day, longest = ((now - span // SLOT) // HOURLY for span in (DAY, LONGEST))
            return window(np.maximum(np.minimum(enough, day), longest) * HOURLY)

        return cls(window(now - HOURLY), slow(BOUNCES), slow(COMPLAINTS))

    def evidence(self) -> Iterator[Evidence]:
        columns = [counts.tolist() for window in (self.hour, self.bounces, self.complaints) for counts in window]
        for a, b, c, d, e, f, g, h, i in zip(*columns, strict=True):
            yield Evidence(Window(a, b, c, ""), Window(d, e, f, ""), Window(g, h, i, ""))


@dataclass(slots=True)
class Guarded:
    """When the guard tripped and warned, by slot."""

    trips: list[int] = field(default_factory=list)
    warnings: list[int] = field(default_factory=list)
    complaints: int = 0
    """How many of the trips were for complaints."""


def guarded(trace: Trace, begin: int, *, once: bool = False) -> Guarded:
    """The guard from slot `begin` on. Where it trips, a person releases the lane at once, without a trial: what was
    counted before counts no more. With `once` it is over then."""
    found = Guarded()
    slots, start = begin + np.flatnonzero(trace.judged[begin:]), 0
    while len(slots):
        part, slots = slots[:_AT_ONCE], slots[_AT_ONCE:]
        for slot, evidence in zip(part.tolist(), Seen.of(trace, start, part).evidence(), strict=True):
            verdict = judge(evidence)
            if verdict.finding is Finding.WARN:
                found.warnings.append(slot)
            elif verdict.finding is Finding.TRIP:
                found.trips.append(slot)
                found.complaints += COMPLAINTS.verb in verdict.reason
                if once:
                    return found
                start = slot + 1
                slots = np.concatenate((part[part >= start], slots))
                break
    return found
