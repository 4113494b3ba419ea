"""Alarms that are a little different: what a slip of the hand, or a change that nobody thought through, would make.

Each kind of mutant is a function from an alarm to its mutants; `KINDS` is the table of them. A mutant that CloudWatch
would refuse (PutMetricAlarm, `Period` and `EvaluationPeriods`) is not made. One that cannot behave differently from the
alarm carries the reason (`same`); only what is certain from the alarm alone is called so here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final

from observability.errors import ToolkitError
from observability.evaluation import IGNORED_ALWAYS
from observability.expectations import spoken
from observability.math import compile_queries, parse
from observability.math.syntax import Binary, Call, Negative, Node, Number, Reference, walk
from observability.model import (
    DAY,
    HOUR,
    MINUTE,
    Comparison,
    MetricAlarm,
    MetricKey,
    MetricStat,
    Missing,
    Query,
)
from observability.reasons import breaches
from observability.statistics import Statistic

SMALL: Final = 10
"""Up to here a whole number is a count: one more or one less is the smallest slip. Larger ones, and shares, are changed
by a fifth."""
FIFTH: Final = 0.2

LONGEST: Final = DAY
LONGEST_OF_HOURS: Final = 7 * DAY
"""PutMetricAlarm, `EvaluationPeriods`: the period times the evaluation periods is at most a day; seven days for periods
of an hour or more."""

OTHER_STATISTIC: Final[Mapping[str, str]] = {
    "Sum": "Average",
    "Average": "Maximum",
    "Minimum": "Maximum",
    "Maximum": "Minimum",
    "SampleCount": "Sum",
}
"""The one that is most easily taken for it; a percentile is taken for the average."""

_NEIGHBOURS: Final[Mapping[Comparison, tuple[Comparison, Comparison]]] = {
    Comparison.ABOVE: (Comparison.AT_LEAST, Comparison.BELOW),
    Comparison.AT_LEAST: (Comparison.ABOVE, Comparison.AT_MOST),
    Comparison.BELOW: (Comparison.AT_MOST, Comparison.ABOVE),
    Comparison.AT_MOST: (Comparison.BELOW, Comparison.AT_LEAST),
}
"""With and without the threshold itself; the other way round."""
_SIGNS: Final = {
    Comparison.ABOVE: ">",
    Comparison.AT_LEAST: ">=",
    Comparison.BELOW: "<",
    Comparison.AT_MOST: "<=",
}


@dataclass(frozen=True, slots=True)
class Mutant:
    """A changed alarm.

    Attributes:
        of: the alarm's name; the mutant has it as well.
        kind: of KINDS.
        change: what is different, unique among the alarm's mutants.
        same: why it cannot behave differently; "" where it can.
    """

    of: str
    kind: str
    change: str
    alarm: MetricAlarm
    same: str = ""


Change = tuple[str, MetricAlarm]


def mutants(alarm: MetricAlarm) -> list[Mutant]:
    """Every mutant of an alarm, kind by kind."""
    return [
        Mutant(alarm.name, kind, change, changed, _same(kind, alarm, changed))
        for kind, make in KINDS.items()
        for change, changed in make(alarm)
        if _allowed(changed)
    ]


def _threshold(alarm: MetricAlarm) -> Iterator[Change]:
    for value in _around(alarm.threshold):
        yield f"threshold {alarm.threshold:g} to {value:g}", replace(alarm, threshold=value)


def _operator(alarm: MetricAlarm) -> Iterator[Change]:
    for other in _NEIGHBOURS[alarm.comparison]:
        yield f"operator {_SIGNS[alarm.comparison]} to {_SIGNS[other]}", replace(alarm, comparison=other)


def _points(alarm: MetricAlarm) -> Iterator[Change]:
    m, n = alarm.datapoints_to_alarm, alarm.evaluation_periods
    for needed, periods in ((m - 1, n), (m + 1, n), (m, n - 1), (m, n + 1)):
        if 1 <= needed <= periods:
            changed = replace(alarm, datapoints_to_alarm=needed, evaluation_periods=periods)
            yield f"{m} of {n} to {needed} of {periods}", changed


def _missing(alarm: MetricAlarm) -> Iterator[Change]:
    for rule in Missing:
        if rule is not alarm.missing:
            yield f"missing data {alarm.missing} to {rule}", replace(alarm, missing=rule)


def _metric(alarm: MetricAlarm) -> Iterator[Change]:
    for query, stat in _stats(alarm):
        key = replace(stat.key, name=f"{stat.key.name}Renamed")
        yield f"{_named(alarm, query)}metric {stat.key.name} renamed", _with_stat(alarm, query, replace(stat, key=key))


def _dimension(alarm: MetricAlarm) -> Iterator[Change]:
    for query, stat in _stats(alarm):
        dimensions = dict(stat.key.dimensions)
        for name, value in dimensions.items():
            others = {each: of for each, of in dimensions.items() if each != name}
            for what, changed in (
                (f"dimension {name}={value} to another value", {**others, name: f"{value}-other"}),
                (f"dimension {name} dropped", others),
            ):
                key = MetricKey.of(stat.key.namespace, stat.key.name, changed)
                yield f"{_named(alarm, query)}{what}", _with_stat(alarm, query, replace(stat, key=key))


def _period(alarm: MetricAlarm) -> Iterator[Change]:
    for period in (alarm.period // 2, alarm.period * 2):
        if period >= MINUTE and period % MINUTE == 0:
            queries = tuple(
                replace(
                    query,
                    stat=query.stat and replace(query.stat, period=period),
                    period=query.period and period,
                )
                for query in alarm.queries
            )
            what = f"period {spoken(alarm.period)} to {spoken(period)}"
            yield what, replace(alarm, period=period, queries=queries)


def _statistic(alarm: MetricAlarm) -> Iterator[Change]:
    for query, stat in _stats(alarm):
        other = OTHER_STATISTIC.get(str(stat.statistic), "Average")
        what = f"{_named(alarm, query)}statistic {stat.statistic} to {other}"
        yield what, _with_stat(alarm, query, replace(stat, statistic=Statistic.parse(other)))


def _constant(alarm: MetricAlarm) -> Iterator[Change]:
    for query in alarm.queries:
        if query.expression is None:
            continue
        for node in walk(parse(query.expression)):
            if isinstance(node, Number):
                written = _written(query.expression, node)
                for value in _around(node.value):
                    text = f"({value:g})" if value < 0 else f"{value:g}"
                    expression = query.expression[: node.place] + text + query.expression[node.place + len(written) :]
                    what = f"{query.id}: {written} at column {node.place + 1} to {value:g}"
                    yield what, _with_query(alarm, query, replace(query, expression=expression))


KINDS: Final[Mapping[str, Callable[[MetricAlarm], Iterator[Change]]]] = {
    "threshold": _threshold,
    "operator": _operator,
    "m of n": _points,
    "missing data": _missing,
    "metric": _metric,
    "dimension": _dimension,
    "period": _period,
    "statistic": _statistic,
    "constant": _constant,
}


# What CloudWatch takes, and what cannot be told apart


def _allowed(alarm: MetricAlarm) -> bool:
    longest = LONGEST_OF_HOURS if alarm.period >= HOUR else LONGEST
    if alarm.period * alarm.evaluation_periods > longest:
        return False
    try:
        compile_queries(alarm.queries)
    except ToolkitError:
        return False
    return True


def _same(kind: str, alarm: MetricAlarm, changed: MetricAlarm) -> str:
    if kind == "missing data":
        if any(stat.key.namespace == IGNORED_ALWAYS for stat in alarm.metrics):
            return f"alarms on {IGNORED_ALWAYS} ignore missing data, whatever they say"
        if _never_missing(alarm, alarm.returned):
            return "the expression has a data point in every period: nothing is ever missing"
    if kind == "constant" and _same_side(alarm, changed):
        return "the number is a result that is compared with the threshold, and stays on the same side of it"
    return ""


def _never_missing(alarm: MetricAlarm, query: Query) -> bool:
    """Whether the query certainly has a data point in every period. What is not sure is taken to have gaps."""
    by_id = {each.id: each for each in alarm.queries}

    def filled(series: Node, metric: Node) -> bool:
        # Where one of two time series has no point it counts as 0 (math/functions.py).
        is_metric = isinstance(metric, Reference) and metric.id in by_id and by_id[metric.id].stat is not None
        return is_metric and certain(series) and any(isinstance(each, Reference) for each in walk(series))

    def certain(node: Node) -> bool:
        match node:
            case Number():
                return True
            case Reference(id=id_):
                return id_ in by_id and _never_missing(alarm, by_id[id_])
            case Negative(operand=operand):
                return certain(operand)
            case Binary(operator=operator, left=left, right=right):
                if operator in {"/", "^"}:
                    return False
                return (certain(left) and certain(right)) or filled(left, right) or filled(right, left)
            case Call(name="IF", arguments=(condition, yes, no)):
                # Where a condition that is a series is true and `yes` has no point, the result is 0.
                series = any(isinstance(each, Reference) for each in walk(condition))
                return certain(condition) and certain(no) and (series or certain(yes))
            case Call(name="FILL", arguments=(_, by)):
                return certain(by)
            case _:
                return False

    return query.expression is not None and certain(parse(query.expression))


def _same_side(alarm: MetricAlarm, changed: MetricAlarm) -> bool:
    """Whether all that has changed is a branch of the outermost IF of what is compared, from one number to another that
    breaches just as much."""
    before, after = alarm.returned.expression, changed.returned.expression
    if before is None or after is None or before == after:
        return False
    outer, inner = parse(before), parse(after)
    if not (isinstance(outer, Call) and isinstance(inner, Call) and outer.name == inner.name == "IF"):
        return False
    if _text(outer.arguments[0]) != _text(inner.arguments[0]):
        return False
    pairs = [
        (was, now)
        for was, now in zip(outer.arguments[1:], inner.arguments[1:], strict=True)
        if _text(was) != _text(now)
    ]
    values = [(_constant_value(was), _constant_value(now)) for was, now in pairs]
    return all(
        was is not None and now is not None and breaches(alarm, was) == breaches(alarm, now) for was, now in values
    )


def _constant_value(node: Node) -> float | None:
    match node:
        case Number(value=value):
            return value
        case Negative(operand=Number(value=value)):
            return -value
    return None


def _text(node: Node) -> tuple[object, ...]:
    """What a tree says, without where it stands."""
    return tuple(
        (type(each).__name__, *(getattr(each, name, None) for name in ("value", "name", "id", "operator")))
        for each in walk(node)
    )


# Changing


def _around(value: float) -> tuple[float, float]:
    """A little less and a little more."""
    step = 1.0 if value == int(value) and abs(value) <= SMALL else abs(value) * FIFTH
    return tuple(float(f"{each:.12g}") for each in (value - step, value + step))  # type: ignore[return-value]


def _stats(alarm: MetricAlarm) -> Iterator[tuple[Query, MetricStat]]:
    for query in alarm.queries:
        if query.stat:
            yield query, query.stat


def _named(alarm: MetricAlarm, query: Query) -> str:
    return f"{query.id}: " if len(alarm.queries) > 1 else ""


def _with_stat(alarm: MetricAlarm, query: Query, stat: MetricStat) -> MetricAlarm:
    return _with_query(alarm, query, replace(query, stat=stat))


def _with_query(alarm: MetricAlarm, query: Query, changed: Query) -> MetricAlarm:
    return replace(alarm, queries=tuple(changed if each.id == query.id else each for each in alarm.queries))


def _written(expression: str, node: Number) -> str:
    """The number as it is written: the longest text from its place that is that number."""
    for end in range(len(expression), node.place, -1):
        try:
            if float(expression[node.place : end]) == node.value and not expression[end - 1].isspace():
                return expression[node.place : end]
        except ValueError:
            continue
    raise AssertionError(f"no number at {node.place} of {expression!r}")
