"""What a change does to the bill."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

from observability.bill import Bill, make_bill
from observability.model import MetricKey
from observability.prices import Plan
from observability.program.resources import Recording
from observability.usage import Usage

NOTHING = Decimal(0)


@dataclass(frozen=True, slots=True)
class Costing:
    """What the bills are made with; the same for both revisions."""

    usage: Usage | None = None
    plan: Plan = Plan.ESSENTIALS
    volume: int = 1000


@dataclass(frozen=True, slots=True)
class CostLine:
    """What a resource costs of one price, in USD a month at the volume."""

    resource: str
    price: str
    before: Decimal
    after: Decimal

    @property
    def more(self) -> Decimal:
        return self.after - self.before


@dataclass(frozen=True, slots=True)
class Costs:
    """Two bills.

    Attributes:
        lines: those that are not the same, what changes most first.
        unknown: what is new among the things of which the bill knows no price, with the reason.
    """

    before: Bill
    after: Bill
    lines: tuple[CostLine, ...]
    unknown: tuple[tuple[str, str], ...] = ()

    @property
    def more(self) -> Decimal:
        return self.after.total.month - self.before.total.month


def costs(before: Recording, after: Recording, costing: Costing) -> Costs:
    """What both revisions cost, used alike."""
    ours, theirs = (
        make_bill(each.resources, costing.usage, plan=costing.plan, volume=costing.volume) for each in (before, after)
    )
    one, other = _by_line(ours), _by_line(theirs)
    lines = [
        CostLine(resource, price, one.get((resource, price), NOTHING), other.get((resource, price), NOTHING))
        for resource, price in {**one, **other}
    ]
    known = {(each.resource, each.reason) for each in ours.unpriced}
    return Costs(
        before=ours,
        after=theirs,
        lines=tuple(
            sorted(
                (line for line in lines if line.more),
                key=lambda line: (-abs(line.more), line.resource, line.price),
            )
        ),
        unknown=tuple(
            (each.resource, each.reason) for each in theirs.unpriced if (each.resource, each.reason) not in known
        ),
    )


def uncounted(new: Iterable[MetricKey], usage: Usage | None) -> list[MetricKey]:
    """The custom metrics among these that no use was counted of: the bill has nothing of them."""
    points = [points.metric for activity in usage.activities for points in activity.points] if usage else []
    counted = {_series(key) for key in points}
    return sorted(key for key in {*new} if not key.namespace.startswith("AWS/") and _series(key) not in counted)


def _series(key: MetricKey) -> tuple[str, ...]:
    """The metric whatever the values of its dimensions are: use is counted in another stack."""
    return key.namespace, key.name, *(name for name, _ in key.dimensions)


def _by_line(bill: Bill) -> dict[tuple[str, str], Decimal]:
    found: dict[tuple[str, str], Decimal] = {}
    for line in bill.lines:
        key = (line.resource, line.price.name)
        found[key] = found.get(key, NOTHING) + line.usd(bill.volume)
    return found
