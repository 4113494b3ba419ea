"""The month's figures: what it cost, by service, beside the month before, and for 1,000 emails. Decimals throughout."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal

from handlers.guarding.tally import Hour

EMAILS = "ses.email"
"""What the tally of spend calls emails."""


@dataclass(frozen=True, slots=True, order=True)
class Month:
    """A month of the calendar, in UTC, as AWS bills it."""

    first: date

    @classmethod
    def of(cls, moment: datetime) -> Month:
        """The month that a moment is in."""
        return cls(moment.astimezone(UTC).date().replace(day=1))

    @property
    def before(self) -> Month:
        return Month((self.first - timedelta(days=1)).replace(day=1))

    @property
    def after(self) -> Month:
        return Month((self.first + timedelta(days=31)).replace(day=1))

    @property
    def begins(self) -> datetime:
        return datetime.combine(self.first, time(), UTC)

    @property
    def ends(self) -> datetime:
        """The first moment that is not in it any more."""
        return self.after.begins

    def __str__(self) -> str:
        return f"{self.first:%B %Y}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Costs:
    """What Cost Explorer says of some months.

    Attributes:
        by_service: month to AWS's name of a service to USD, unrounded.
        estimated: whether AWS may still correct any of it.
    """

    by_service: Mapping[Month, Mapping[str, Decimal]]
    estimated: bool = False


@dataclass(frozen=True, slots=True)
class Service:
    """What one service cost: USD of the month and of the month before, unrounded."""

    name: str
    usd: Decimal
    before: Decimal

    @property
    def difference(self) -> Decimal:
        return self.usd - self.before


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """One month of one stack. `services` are in the order of what they cost, the dearest first; `emails` went out."""

    stack: str
    month: Month
    services: tuple[Service, ...]
    emails: int
    estimated: bool = False

    @property
    def total(self) -> Service:
        """All services together."""
        return Service(
            "Total",
            sum((service.usd for service in self.services), Decimal(0)),
            sum((service.before for service in self.services), Decimal(0)),
        )

    @property
    def per_thousand(self) -> Decimal | None:
        """USD for 1,000 emails, all that the stack cost shared among them; None if none went out."""
        return self.total.usd * 1000 / self.emails if self.emails else None


def figures(stack: str, month: Month, costs: Costs, emails: int) -> Figures:
    """The figures of a month. A service is in them if it cost anything in this month or in the one before."""
    now, before = (costs.by_service.get(each, {}) for each in (month, month.before))
    services = (
        Service(name, now.get(name, Decimal(0)), before.get(name, Decimal(0))) for name in now.keys() | before.keys()
    )
    return Figures(
        stack=stack,
        month=month,
        services=tuple(
            sorted(
                (each for each in services if each.usd or each.before),
                key=lambda each: (-each.usd, -each.before, each.name),
            )
        ),
        emails=emails,
        estimated=costs.estimated,
    )


def emails_in(hours: Iterable[Hour]) -> int:
    """How many emails the hours of the tally of spend have."""
    return int(sum((hour.totals.get(EMAILS, Decimal(0)) for hour in hours), Decimal(0)))
