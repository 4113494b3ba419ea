"""What a change does to alarms, and to what alarms and dashboards look at."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from observability.expectations import spoken
from observability.looks import looks
from observability.model import Alarm, CompositeAlarm, MetricAlarm, Query, State
from observability.review.differences import ABSENT, Edit
from observability.sources import Estate


@dataclass(frozen=True, slots=True)
class AlarmChange:
    """What became of one alarm.

    Attributes:
        edits: of what it does, in the page's words; empty for one that is new or gone.
    """

    name: str
    before: Alarm | None
    after: Alarm | None
    edits: tuple[Edit, ...] = ()


@dataclass(frozen=True, slots=True, order=True)
class Series:
    """The metrics of one name with one set of dimensions, of which each set of values is a metric of its own."""

    namespace: str
    name: str
    dimensions: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Watched:
    """What alarms and graphs look at now and did not, or no longer do, with the places that do or did."""

    new: Mapping[Series, tuple[str, ...]]
    gone: Mapping[Series, tuple[str, ...]]

    def former(self, series: Series) -> list[Series]:
        """Those that are gone and had the same name: the dimensions changed."""
        return [each for each in self.gone if (each.namespace, each.name) == (series.namespace, series.name)]


def alarm_changes(before: Estate, after: Estate) -> tuple[AlarmChange, ...]:
    """The alarms that are not what they were, by name."""
    ours, theirs = ({alarm.name: alarm for alarm in estate.alarms} for estate in (before, after))
    found = []
    for name in sorted({*ours, *theirs}):
        one, other = ours.get(name), theirs.get(name)
        changed = tuple(_edits(one, other)) if one and other else ()
        if changed or not (one and other):
            found.append(AlarmChange(name, one, other, changed))
    return tuple(found)


def watched(before: Estate, after: Estate) -> Watched:
    """What is looked at now and was not, and the other way round."""
    ours, theirs = _looked_at(before), _looked_at(after)
    return Watched(
        new={each: theirs[each] for each in sorted(theirs.keys() - ours.keys())},
        gone={each: ours[each] for each in sorted(ours.keys() - theirs.keys())},
    )


def in_words(alarm: Alarm) -> str:
    """An alarm in one line, to tell of one that is new or gone."""
    if isinstance(alarm, CompositeAlarm):
        return f"{alarm.rule}; {_told(alarm)}"
    stat = alarm.returned.stat
    compared = f"{stat.statistic} of {stat.key}" if stat else alarm.returned.expression
    points = f"{alarm.datapoints_to_alarm} of {alarm.evaluation_periods}"
    return (
        f"{compared} {alarm.comparison.sign} {_number(alarm.threshold)}, {points} of {spoken(alarm.period)},"
        f" missing is {alarm.missing}; {_told(alarm)}"
    )


def _told(alarm: Alarm) -> str:
    if not alarm.actions.of(State.ALARM):
        return "nobody is told"
    return f"tells {', '.join(_short(arn) for arn in alarm.actions.alarm)}"


def _looked_at(estate: Estate) -> dict[Series, tuple[str, ...]]:
    found: defaultdict[Series, dict[str, None]] = defaultdict(dict)
    for look in looks(estate):
        found[Series(look.key.namespace, look.key.name, tuple(name for name, _ in look.key.dimensions))][look.where] = (
            None
        )
    return {series: tuple(sorted(places)) for series, places in found.items()}


def _edits(before: Alarm, after: Alarm) -> Iterator[Edit]:
    ours, theirs = _properties(before), _properties(after)
    for name in dict.fromkeys([*ours, *theirs]):
        if ours.get(name) != theirs.get(name):
            yield Edit(name, ours.get(name, ABSENT), theirs.get(name, ABSENT))


def _properties(alarm: Alarm) -> dict[str, Any]:
    """What an alarm does, in the order in which one wants to read of its changes."""
    own = _metric_alarm(alarm) if isinstance(alarm, MetricAlarm) else _composite(alarm)
    return own | {
        "tells of ALARM": _actions(alarm.actions.alarm),
        "tells of OK": _actions(alarm.actions.ok),
        "tells of INSUFFICIENT_DATA": _actions(alarm.actions.insufficient_data),
        "actions enabled": _yes(alarm.actions.enabled),
        "description": alarm.description,
    }


def _metric_alarm(alarm: MetricAlarm) -> dict[str, Any]:
    returned = alarm.returned
    found: dict[str, Any] = {
        "threshold": f"{alarm.comparison.sign} {_number(alarm.threshold)}",
        "data points": f"{alarm.datapoints_to_alarm} of {alarm.evaluation_periods}",
        "period": spoken(alarm.period),
        "missing data": str(alarm.missing),
    }
    if alarm.low_samples != "evaluate":
        found["low samples"] = alarm.low_samples
    if returned.expression:
        found["expression"] = returned.expression
    for query in alarm.queries:
        found |= _query(query, "" if query is returned else f" of {query.id}")
    return found


def _query(query: Query, suffix: str) -> dict[str, Any]:
    if query.stat is None:
        return {f"expression{suffix}": query.expression}
    stat = query.stat
    return {
        f"metric{suffix}": f"{stat.key.namespace} {stat.key.name}",
        f"dimensions{suffix}": ", ".join(f"{name}={value}" for name, value in stat.key.dimensions) or "none",
        f"statistic{suffix}": str(stat.statistic),
        **({f"unit{suffix}": stat.unit} if stat.unit else {}),
    }


def _composite(alarm: CompositeAlarm) -> dict[str, Any]:
    suppressor = alarm.suppressor
    return {"rule": alarm.rule} | (
        {
            "quiet behind": suppressor.alarm,
            "waits for it": spoken(suppressor.wait),
            "stays quiet after it": spoken(suppressor.extension),
        }
        if suppressor
        else {}
    )


def _actions(arns: Iterable[str]) -> str:
    return ", ".join(sorted(_short(each) for each in arns)) or "nobody"


def _short(arn: str) -> str:
    return arn.rsplit(":", 1)[-1]


def _yes(value: bool) -> str:
    return "yes" if value else "no"


def _number(value: float) -> str:
    return f"{value:,.10g}"
