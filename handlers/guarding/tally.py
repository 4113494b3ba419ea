"""What was counted, by the hour and within it by slots of five minutes: spend, and what became of emails.

A tally is cheap to add to (one write for a batch) and exact: whoever adds has seen each thing once. Windows slide by
slots: the last hour is the slots that have any part in it, so that it is up to five minutes longer, never shorter.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal

SLOT = timedelta(minutes=5)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)

SPEND = "spend"
"""The tally of what the handlers' calls cost: units by the name of their price, and USD in all."""

USD = "usd"
JUDGED, BOUNCED, COMPLAINED = "judged", "bounced", "complained"


def outcomes(lane: str) -> str:
    """The tally of what became of a lane's emails: `judged` (whose outcome is known), of these `bounced` for good, and
    `complained`. Mail to SES's simulator is in none."""
    return f"outcomes/{lane}"


@dataclass(frozen=True, slots=True)
class Hour:
    """One hour of one tally.

    Attributes:
        began: when it began.
        totals: counter to what was added in the hour.
        slots: number of the slot (0 to 11) to the same of it.
    """

    began: datetime
    totals: Mapping[str, Decimal] = field(default_factory=dict)
    slots: Mapping[int, Mapping[str, Decimal]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Start:
    """Since when counts count: a lane's release. `counted` is what its slot had at that moment, by counter."""

    at: datetime
    counted: Mapping[str, Decimal] = field(default_factory=dict)


def hour_of(moment: datetime) -> datetime:
    """The beginning of the hour that a moment is in."""
    return moment.astimezone(UTC).replace(minute=0, second=0, microsecond=0)


def slot_of(moment: datetime) -> datetime:
    """The beginning of the slot that a moment is in."""
    hour = hour_of(moment)
    return hour + (moment - hour) // SLOT * SLOT


def slot_number(moment: datetime) -> int:
    return (moment - hour_of(moment)) // SLOT


def count(
    hours: Iterable[Hour], counter: str, now: datetime, span: timedelta = HOUR, start: Start | None = None
) -> Decimal:
    """What a counter had within `span` before `now`, of that since `start` only."""
    since = slot_of(now - span)
    first = slot_of(start.at) if start else since
    found = sum((amount for at, amount in _slots(hours, counter) if max(since, first) <= at <= now), Decimal(0))
    return found - (start.counted.get(counter, Decimal(0)) if start and first >= since else Decimal(0))


def slot_counts(hours: Iterable[Hour], moment: datetime) -> dict[str, Decimal]:
    """Every counter of the slot that a moment is in: what a `Start` at that moment has to know."""
    began, number = hour_of(moment), slot_number(moment)
    return next((dict(hour.slots.get(number, {})) for hour in hours if hour.began == began), {})


def _slots(hours: Iterable[Hour], counter: str) -> Iterator[tuple[datetime, Decimal]]:
    for hour in hours:
        for number, counts in hour.slots.items():
            if counter in counts:
                yield hour.began + number * SLOT, counts[counter]
