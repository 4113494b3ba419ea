"""Alarms, mute rules and dashboards, as CloudWatch has them: plain data, checked when it is read.

`read_alarms` takes what PutMetricAlarm and PutCompositeAlarm are given and what DescribeAlarms answers. An alarm on one
metric and an alarm on metric math are the same thing here: queries, of which one is compared with the threshold.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final, TypeVar

from observability.errors import ToolkitError
from observability.statistics import Statistic

Json = Mapping[str, Any]
Choice = TypeVar("Choice", bound=StrEnum)

MINUTE: Final = 60
HOUR: Final = 3600
DAY: Final = 24 * HOUR


class State(StrEnum):
    """An alarm's state, as CloudWatch spells it."""

    OK = "OK"
    ALARM = "ALARM"
    INSUFFICIENT_DATA = "INSUFFICIENT_DATA"


class Missing(StrEnum):
    """What a period without data means (PutMetricAlarm, `TreatMissingData`)."""

    BREACHING = "breaching"
    NOT_BREACHING = "notBreaching"
    IGNORE = "ignore"
    MISSING = "missing"


class Comparison(StrEnum):
    """Of a data point with the threshold (PutMetricAlarm, `ComparisonOperator`). The operators that compare with a band
    belong to anomaly detection, which is not evaluated here."""

    ABOVE = "GreaterThanThreshold"
    AT_LEAST = "GreaterThanOrEqualToThreshold"
    BELOW = "LessThanThreshold"
    AT_MOST = "LessThanOrEqualToThreshold"

    @property
    def sign(self) -> str:
        return {"ABOVE": ">", "AT_LEAST": "≥", "BELOW": "<", "AT_MOST": "≤"}[self.name]


@dataclass(frozen=True, slots=True, order=True)
class MetricKey:
    """What identifies a metric: another dimension, or another value of one, is another metric.

    Attributes:
        dimensions: (name, value) pairs, sorted by name.
    """

    namespace: str
    name: str
    dimensions: tuple[tuple[str, str], ...] = ()

    @classmethod
    def of(cls, namespace: str, name: str, dimensions: Mapping[str, str] | None = None) -> MetricKey:
        return cls(namespace, name, tuple(sorted((dimensions or {}).items())))

    def __str__(self) -> str:
        listed = ", ".join(f"{name}={value}" for name, value in self.dimensions)
        return f"{self.namespace} {self.name}" + (f" {{{listed}}}" if listed else "")


@dataclass(frozen=True, slots=True)
class MetricStat:
    """A metric in one statistic over periods of `period` seconds. `unit` limits it to points of that unit."""

    key: MetricKey
    period: int
    statistic: Statistic
    unit: str | None = None


@dataclass(frozen=True, slots=True)
class Query:
    """One of the queries that an alarm or a graph is made of (`MetricDataQuery`): `stat` or `expression`.

    Attributes:
        returned: whether it is what is compared, or drawn.
        period: of an expression that has no metric to take it from; None elsewhere.
    """

    id: str
    stat: MetricStat | None = None
    expression: str | None = None
    label: str = ""
    returned: bool = True
    period: int | None = None


@dataclass(frozen=True, slots=True)
class Actions:
    """ARNs that are told of a change to a state. Nobody is when `enabled` is false."""

    alarm: tuple[str, ...] = ()
    ok: tuple[str, ...] = ()
    insufficient_data: tuple[str, ...] = ()
    enabled: bool = True

    def of(self, state: State) -> tuple[str, ...]:
        """Those that are told of a change to `state`."""
        if not self.enabled:
            return ()
        return {
            State.ALARM: self.alarm,
            State.OK: self.ok,
            State.INSUFFICIENT_DATA: self.insufficient_data,
        }[state]


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricAlarm:
    """An alarm on a metric or on metric math.

    Attributes:
        queries: exactly one has `returned`: it is compared. An alarm on one metric has just that one.
        period: seconds of a data point, the same for all queries.
        datapoints_to_alarm, evaluation_periods: m of the last n data points have to breach.
        missing: as the alarm says it; `evaluation` knows what CloudWatch makes of it for AWS/DynamoDB.
        low_samples: `evaluate` or `ignore` when a percentile has too few samples (`EvaluateLowSampleCountPercentile`).
        document: the alarm as it was given, for what is not evaluated.
    """

    name: str
    queries: tuple[Query, ...]
    period: int
    comparison: Comparison
    threshold: float
    evaluation_periods: int
    datapoints_to_alarm: int
    missing: Missing = Missing.MISSING
    low_samples: str = "evaluate"
    actions: Actions = Actions()
    description: str = ""
    arn: str = ""
    document: Json

    @property
    def returned(self) -> Query:
        """The query that is compared with the threshold."""
        return next(query for query in self.queries if query.returned)

    @property
    def metrics(self) -> tuple[MetricStat, ...]:
        """Every metric that it looks at, in the order of the queries."""
        return tuple(query.stat for query in self.queries if query.stat)


@dataclass(frozen=True, slots=True)
class Suppressor:
    """What keeps a composite alarm's actions back (PutCompositeAlarm, `ActionsSuppressor`).

    Attributes:
        alarm: name of the alarm behind which it keeps quiet.
        wait, extension: seconds, `ActionsSuppressorWaitPeriod` and `ActionsSuppressorExtensionPeriod`.
    """

    alarm: str
    wait: int
    extension: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CompositeAlarm:
    """An alarm made of alarms; `rule` is in CloudWatch's language (`composite.parse_rule` reads it)."""

    name: str
    rule: str
    actions: Actions = Actions()
    suppressor: Suppressor | None = None
    description: str = ""
    arn: str = ""
    document: Json


Alarm = MetricAlarm | CompositeAlarm


@dataclass(frozen=True, slots=True, kw_only=True)
class MuteRule:
    """Windows in which alarms change state and tell nobody (PutAlarmMuteRule).

    Attributes:
        expression: `cron(...)` or `at(...)`: when a window begins.
        duration: ISO 8601, such as `PT4H`: how long it lasts.
        alarms: names of those that it mutes.
        start, expire: before and after which it is not in force.
    """

    name: str
    expression: str
    duration: str
    timezone: str = "UTC"
    alarms: tuple[str, ...] = ()
    start: datetime | None = None
    expire: datetime | None = None


@dataclass(frozen=True, slots=True)
class Dashboard:
    """A dashboard by its name and its body ("Dashboard body structure and syntax")."""

    name: str
    body: Json


# Reading

_STATS: Final = ("Statistic", "ExtendedStatistic")
_BANDS: Final = ("GreaterThanUpperThreshold", "LessThanLowerThreshold", "LessThanLowerOrGreaterThanUpperThreshold")


def read_alarms(document: Any) -> list[Alarm]:
    """The alarms in a document: one as PutMetricAlarm or PutCompositeAlarm is given it, a list of such, or the answer
    of DescribeAlarms.

    Raises:
        ToolkitError: with the alarm's name and the field at fault.
    """
    return [
        read_composite_alarm(entry) if "AlarmRule" in entry else read_metric_alarm(entry)
        for entry in _entries(document)
    ]


def read_metric_alarm(document: Json) -> MetricAlarm:
    """An alarm in the shape of PutMetricAlarm, or of `MetricAlarms` in the answer of DescribeAlarms.

    Raises:
        ToolkitError: a field is missing, or has a value that CloudWatch refuses or that is not evaluated here.
    """
    name = _need(document, "AlarmName", "alarm")
    where = f"alarm {name}"
    operator = _need(document, "ComparisonOperator", where)
    if operator in _BANDS or document.get("ThresholdMetricId"):
        raise ToolkitError(
            f"{where}: it compares with a band of anomaly detection ({operator}), which is not evaluated here",
            "Leave it out, or watch the metric with a fixed threshold.",
        )
    queries = _queries(document, where)
    periods = sorted({query.stat.period for query in queries if query.stat} | {q.period for q in queries if q.period})
    if len(periods) != 1:
        raise ToolkitError(f"{where}: its metrics have periods of {_listed(periods)} s; an alarm has one period")
    evaluation_periods = _whole(document, "EvaluationPeriods", where)
    needed = _whole(document, "DatapointsToAlarm", where, evaluation_periods)
    if needed > evaluation_periods:
        raise ToolkitError(
            f"{where}: DatapointsToAlarm is {needed}, of EvaluationPeriods {evaluation_periods}: it could never alarm"
        )
    return MetricAlarm(
        name=name,
        queries=queries,
        period=periods[0],
        comparison=_one_of(Comparison, operator, f"{where}: ComparisonOperator"),
        threshold=_number(document, "Threshold", where),
        evaluation_periods=evaluation_periods,
        datapoints_to_alarm=needed,
        missing=_one_of(Missing, document.get("TreatMissingData") or "missing", f"{where}: TreatMissingData"),
        low_samples=document.get("EvaluateLowSampleCountPercentile") or "evaluate",
        actions=_actions(document),
        description=document.get("AlarmDescription") or "",
        arn=document.get("AlarmArn") or "",
        document=document,
    )


def read_composite_alarm(document: Json) -> CompositeAlarm:
    """An alarm in the shape of PutCompositeAlarm, or of `CompositeAlarms` in the answer of DescribeAlarms.

    Raises:
        ToolkitError: a field is missing or has a value that CloudWatch refuses.
    """
    name = _need(document, "AlarmName", "alarm")
    where = f"alarm {name}"
    suppressor = None
    if behind := document.get("ActionsSuppressor"):
        suppressor = Suppressor(
            alarm=alarm_name(behind),
            wait=_whole(document, "ActionsSuppressorWaitPeriod", where, least=0),
            extension=_whole(document, "ActionsSuppressorExtensionPeriod", where, least=0),
        )
    return CompositeAlarm(
        name=name,
        rule=_need(document, "AlarmRule", where),
        actions=_actions(document),
        suppressor=suppressor,
        description=document.get("AlarmDescription") or "",
        arn=document.get("AlarmArn") or "",
        document=document,
    )


def read_mute_rule(document: Json) -> MuteRule:
    """A rule in the shape of PutAlarmMuteRule, or of the answer of GetAlarmMuteRule; dates are `datetime` or ISO 8601.

    Raises:
        ToolkitError: a field is missing.
    """
    name = _need(document, "Name", "alarm mute rule")
    where = f"alarm mute rule {name}"
    schedule = _need(document.get("Rule") or {}, "Schedule", where)
    return MuteRule(
        name=name,
        expression=_need(schedule, "Expression", where),
        duration=_need(schedule, "Duration", where),
        timezone=schedule.get("Timezone") or "UTC",
        alarms=tuple((document.get("MuteTargets") or {}).get("AlarmNames") or ()),
        start=_moment(document.get("StartDate")),
        expire=_moment(document.get("ExpireDate")),
    )


def read_query(document: Json, where: str) -> Query:
    """A `MetricDataQuery`, as alarms and GetMetricData have it.

    Raises:
        ToolkitError: it is neither a metric nor an expression, or a field of it is missing.
    """
    id_ = _need(document, "Id", where)
    at = f"{where}, query {id_}"
    stat, expression = document.get("MetricStat"), document.get("Expression")
    if bool(stat) == bool(expression):
        raise ToolkitError(f"{at}: it has to be either a MetricStat or an Expression")
    metric_stat = None
    if stat:
        metric = _need(stat, "Metric", at)
        metric_stat = MetricStat(
            key=read_key(metric, at),
            period=_whole(stat, "Period", at),
            statistic=_statistic(_need(stat, "Stat", at), at),
            unit=stat.get("Unit"),
        )
    return Query(
        id=id_,
        stat=metric_stat,
        expression=expression,
        label=document.get("Label") or "",
        returned=document.get("ReturnData", True),
        period=document.get("Period"),
    )


def read_key(document: Json, where: str) -> MetricKey:
    """`Namespace`, `MetricName` and `Dimensions` (a list of `Name` and `Value`) of a document."""
    listed = document.get("Dimensions") or ()
    if not isinstance(listed, Sequence) or not all(isinstance(each, Mapping) for each in listed):
        raise ToolkitError(f"{where}: Dimensions is {listed!r}, a list of Name and Value is needed")
    dimensions = {_need(each, "Name", where): _need(each, "Value", where) for each in listed}
    return MetricKey.of(_need(document, "Namespace", where), _need(document, "MetricName", where), dimensions)


def alarm_name(reference: str) -> str:
    """The name in an alarm's ARN; a name is returned as it is."""
    return reference.split(":", maxsplit=6)[6] if reference.startswith("arn:") else reference


def _entries(document: Any) -> Iterator[Json]:
    if isinstance(document, Mapping):
        if "AlarmName" in document:
            yield document
            return
        lists = [document[key] for key in ("MetricAlarms", "CompositeAlarms") if key in document]
        if lists:
            yield from (entry for entries in lists for entry in entries)
            return
    elif isinstance(document, Sequence) and not isinstance(document, str):
        for entry in document:
            yield from _entries(entry)
        return
    raise ToolkitError(
        "no alarms found: expected AlarmName, a list of alarms, or MetricAlarms and CompositeAlarms",
        "Hand over what `aws cloudwatch describe-alarms` prints, or the arguments of PutMetricAlarm.",
    )


def _queries(document: Json, where: str) -> tuple[Query, ...]:
    if entries := document.get("Metrics"):
        # In an alarm, unlike in GetMetricData, exactly one query is returned; a single one need not say so.
        queries = tuple(read_query(entry, where) for entry in entries)
        if sum(query.returned for query in queries) != 1:
            raise ToolkitError(f"{where}: exactly one of Metrics has to have ReturnData true")
        if len(ids := [query.id for query in queries]) != len({*ids}):
            raise ToolkitError(f"{where}: two of its Metrics have one Id")
        return queries
    given = [document[key] for key in _STATS if document.get(key)]
    if len(given) != 1:
        raise ToolkitError(f"{where}: it needs Metrics, or one of Statistic and ExtendedStatistic")
    stat = MetricStat(
        key=read_key(document, where),
        period=_whole(document, "Period", where),
        statistic=_statistic(given[0], where),
        unit=document.get("Unit"),
    )
    return (Query(id="m1", stat=stat),)


def _actions(document: Json) -> Actions:
    return Actions(
        alarm=tuple(document.get("AlarmActions") or ()),
        ok=tuple(document.get("OKActions") or ()),
        insufficient_data=tuple(document.get("InsufficientDataActions") or ()),
        enabled=document.get("ActionsEnabled", True),
    )


def _need(document: Json, key: str, where: str) -> Any:
    value = document.get(key)
    if value is None or value == "":
        raise ToolkitError(f"{where}: {key} is missing")
    return value


def _whole(document: Json, key: str, where: str, default: int | None = None, *, least: int = 1) -> int:
    value = document.get(key)
    if value is None and default is not None:
        return default
    value = _number(document, key, where)
    if value != int(value) or value < least:
        raise ToolkitError(f"{where}: {key} is {value:g}, allowed are whole numbers from {least}")
    return int(value)


def _number(document: Json, key: str, where: str) -> float:
    value = _need(document, key, where)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ToolkitError(f"{where}: {key} is {value!r}, a number is needed")
    return float(value)


def _statistic(text: str, where: str) -> Statistic:
    try:
        return Statistic.parse(text)
    except ToolkitError as error:
        raise ToolkitError(f"{where}: {error}", error.remedy) from error


def _one_of(choices: type[Choice], value: str, where: str) -> Choice:
    try:
        return choices(value)
    except ValueError:
        raise ToolkitError(f"{where} is {value!r}, allowed are {_listed(choices)}") from None


def _moment(value: Any) -> datetime | None:
    return datetime.fromisoformat(value) if isinstance(value, str) else value


def _listed(values: Any) -> str:
    return ", ".join(str(value) for value in values)
