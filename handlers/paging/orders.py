"""Which orders an alarm is about, or what the guards say of it, out of the metric records that the handlers log."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from handlers.paging.notification import Notification, State
from handlers.telemetry import contract
from handlers.telemetry.contract import METRICS, NAMESPACE, Property, Unit

MOST_ORDERS = 5
"""As many as one reads at three in the morning; the link leads to the rest."""

MOST_REASONS = 3

GOOD_NEWS = frozenset({contract.EMAILS_SENT.name, contract.DELIVERIES.name, contract.DUPLICATES_PREVENTED.name})
"""Metrics whose records name orders that went well: an alarm on them is about what is missing."""

_LONGEST = timedelta(days=1)
_LEAST = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Clue:
    """A metric that speaks against an order with each point of at least (or, not `inclusive`, above) `limit`."""

    metric: str
    limit: float
    inclusive: bool

    def __str__(self) -> str:
        return f"{self.metric} {'>=' if self.inclusive else '>'} {self.limit:g}"

    def speaks(self, value: object) -> bool:
        if isinstance(value, bool) or not isinstance(value, int | float):
            return False
        return value >= self.limit if self.inclusive else value > self.limit


def clues(notification: Notification) -> tuple[Clue, ...]:
    """How the records of affected orders are told from others; () where the alarm is about no single order.

    A count speaks with 1 (an objective's metric is 0 for a hit); a duration when it is over the alarm's threshold,
    which a formula of several metrics does not tell.
    """
    units = {metric.name: metric.unit for metric in METRICS}
    found = {
        each.name: units[each.name]
        for each in notification.series
        if each.namespace == NAMESPACE and each.name in units and each.name not in GOOD_NEWS
    }
    limit = notification.threshold if len(notification.series) == 1 else None
    counts = [Clue(name, 1, inclusive=True) for name, unit in found.items() if unit is Unit.COUNT]
    durations = [Clue(name, limit, inclusive=False) for name, unit in found.items() if unit is not Unit.COUNT and limit]
    return (*counts, *durations)


def pattern(found: Iterable[Clue]) -> str:
    """The clues as CloudWatch Logs filters by them ("Filter pattern syntax", JSON)."""
    return "{ " + " || ".join(f"($.{clue})" for clue in found) + " }"


def insights_query(found: Iterable[Clue]) -> str:
    """The clues as a Logs Insights query; without any, what went wrong at all."""
    condition = (
        " or ".join(map(str, found)) or 'level in ["WARNING", "ERROR", "CRITICAL"] or @message like /Task timed/'
    )
    fields = ", ".join(("@timestamp", "level", "message", *(each.value for each in _SHOWN), "@log"))
    return f"fields {fields}\n| filter {condition}\n| sort @timestamp desc\n| limit 100"


_SHOWN = (Property.ORDER_ID, Property.MESSAGE_ID, Property.REASON, Property.TRACE_ID)


@dataclass(frozen=True, slots=True)
class Found:
    """What log lines say of an alarm.

    Attributes:
        orders: ids of affected orders, one more than are told at most.
        reasons: what is said of no order: by a guard, of a lane.
    """

    orders: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()


def affected(lines: Iterable[str], found: Iterable[Clue]) -> Iterator[Found]:
    """What the log lines that a clue speaks against say, each thing once, and after each all that there is so far:
    whoever reads them may be stopped. Lines are read only as asked for."""
    orders: dict[str, None] = {}
    reasons: dict[str, None] = {}
    for record in _speaking(lines, tuple(found)):
        if order_id := _text(record, Property.ORDER_ID):
            orders[order_id] = None
        elif reason := _said(record):
            reasons[reason] = None
        yield Found(tuple(orders), tuple(reasons)[:MOST_REASONS])
        if len(orders) > MOST_ORDERS:
            return


def _speaking(lines: Iterable[str], found: tuple[Clue, ...]) -> Iterator[Mapping[str, Any]]:
    for line in lines:
        try:
            record = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(record, dict) and any(clue.speaks(record.get(clue.metric)) for clue in found):
            yield record


def _said(record: Mapping[str, Any]) -> str:
    """`order-confirmation: 2.01 of 2.00 USD in an hour (send_email)`."""
    lane, reason, by = (_text(record, key) for key in (Property.LANE, Property.REASON, Property.BY))
    return f"{lane}: {reason}{f' ({by})' if by else ''}" if lane and reason else ""


def _text(record: Mapping[str, Any], key: Property) -> str:
    value = record.get(key.value)
    return value if isinstance(value, str) else ""


def window(notification: Notification, began: datetime | None, now: datetime) -> tuple[datetime, datetime]:
    """From the data that the alarm began with to now, or to its end; a day at most."""
    judged = timedelta(seconds=notification.period * notification.periods[1]) + _LEAST
    end = notification.at + _LEAST if notification.state is State.OK else max(now, notification.at)
    begin = (began or notification.at) - judged
    return max(begin, end - _LONGEST), end
