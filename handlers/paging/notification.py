"""What CloudWatch says when an alarm changes its state, as a value.

Sources of the shape: Amazon CloudWatch user guide, "Amazon SNS notifications for alarms"; examples with their sources
are in tests/events/alarms. CloudWatch documents no schema, so nothing but name, state and time is required here.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from handlers.telemetry.contract import METRICS, NAMESPACE, AlarmCard, Unit


class MalformedNotification(ValueError):
    """Not a notification of an alarm; the message says what is wrong with it."""


class State(StrEnum):
    """CloudWatch's alarm states."""

    OK = "OK"
    ALARM = "ALARM"
    INSUFFICIENT_DATA = "INSUFFICIENT_DATA"


class Measure(StrEnum):
    """How a value is written for people."""

    NUMBER = "number"
    PERCENT = "percent"
    FRACTION = "fraction"
    MILLISECONDS = "milliseconds"
    SECONDS = "seconds"


_OF_UNIT: Mapping[Unit, Measure] = {
    Unit.COUNT: Measure.NUMBER,
    Unit.NONE: Measure.NUMBER,
    Unit.MILLISECONDS: Measure.MILLISECONDS,
    Unit.SECONDS: Measure.SECONDS,
}
# Units in which AWS's own metrics come, for those that are not plain numbers.
_OF_AWS: Mapping[tuple[str, str], Measure] = {
    ("AWS/Lambda", "Duration"): Measure.MILLISECONDS,
    ("AWS/SQS", "ApproximateAgeOfOldestMessage"): Measure.SECONDS,
    ("AWS/SES", "Reputation.BounceRate"): Measure.FRACTION,
    ("AWS/SES", "Reputation.ComplaintRate"): Measure.FRACTION,
}


@dataclass(frozen=True, slots=True)
class Series:
    """One metric that an alarm looks at; `stat` as CloudWatch spells it, in lower case."""

    namespace: str
    name: str
    stat: str = ""


@dataclass(frozen=True, slots=True)
class Child:
    """An alarm that made a composite alarm change, and the state it is in since `at`."""

    name: str
    state: str
    at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Notification:
    """One change of one alarm. What the notification lacks is empty, None or ().

    Attributes:
        at: when the state changed.
        series: the metrics it looks at; none of a composite alarm.
        label: what its value is called.
        comparison: CloudWatch's comparison operator.
        periods: (m, n): m of the last n periods have to breach.
        period: seconds of one period.
        value: the most recent data point that CloudWatch decided on.
        children: of a composite alarm, those that made it change.
        composite: whether it is made of alarms.
    """

    name: str
    arn: str
    card: AlarmCard
    state: State
    before: str
    at: datetime
    reason: str
    account: str
    region: str
    partition: str
    series: tuple[Series, ...] = ()
    label: str = ""
    measure: Measure = Measure.NUMBER
    comparison: str = ""
    threshold: float | None = None
    periods: tuple[int, int] = (1, 1)
    period: int = 60
    value: float | None = None
    children: tuple[Child, ...] = ()
    composite: bool = False


def parse_notification(body: str, *, region: str) -> Notification:
    """The notification in an SNS message.

    Args:
        region: where it was received; CloudWatch's own `Region` is a display name, and the ARN may be missing.

    Raises:
        MalformedNotification: it is not JSON, or has no alarm, state or time.
    """
    try:
        given = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise MalformedNotification("the message is not JSON") from error
    if not isinstance(given, dict) or not isinstance(given.get("AlarmName"), str):
        raise MalformedNotification("the message names no alarm")
    try:
        state = State(str(given.get("NewStateValue")))
        at = instant(str(given.get("StateChangeTime")))
    except ValueError as error:
        raise MalformedNotification(f"no state or time that CloudWatch would send: {error}") from error
    arn = _text(given, "AlarmArn").split(":")
    partition, region = (arn[1], arn[3]) if len(arn) > 5 else ("aws", region)
    trigger = given.get("Trigger")
    return Notification(
        name=given["AlarmName"],
        arn=":".join(arn),
        card=AlarmCard.parse(_text(given, "AlarmDescription")),
        state=state,
        before=_text(given, "OldStateValue"),
        at=at,
        reason=_text(given, "NewStateReason"),
        account=_text(given, "AWSAccountId"),
        region=region,
        partition=partition,
        children=tuple(_children(given)),
        composite="AlarmRule" in given,
        **(_watched(trigger, given) if isinstance(trigger, dict) else {}),
    )


def instant(text: str) -> datetime:
    """A time as CloudWatch writes it, `2026-11-22T15:06:01.123+0000`, or with a Z. Raises ValueError."""
    time = datetime.fromisoformat(text)
    return time.astimezone(UTC) if time.tzinfo else time.replace(tzinfo=UTC)


def latest_value(reason: str) -> float | None:
    """The most recent data point in CloudWatch's reason, which lists them newest first; None where there is none.

    "Threshold Crossed: 1 out of the last 1 datapoints [6.0 (25/09/22 18:49:00)] was greater than the threshold (5.0)
    (minimum 1 datapoint for OK -> ALARM transition)."
    """
    found = re.search(r"\[(-?[0-9.]+(?:E-?[0-9]+)?) \(", reason)
    return float(found[1]) if found else None


def _watched(trigger: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """What a metric alarm looks at, and how."""
    queries = [query for query in trigger.get("Metrics") or () if isinstance(query, dict)]
    stats = [query["MetricStat"] for query in queries if isinstance(query.get("MetricStat"), dict)]
    series = [_of_query(stat) for stat in stats] or [_of_trigger(trigger)]
    n = int(trigger.get("EvaluationPeriods") or 1)
    periods = [int(each.get("Period") or 0) for each in (trigger, *stats)]
    threshold = trigger.get("Threshold")
    return {
        "series": tuple(each for each in series if each.name),
        "label": _label(queries, series),
        "measure": _measure(queries, series),
        "comparison": _text(trigger, "ComparisonOperator"),
        "threshold": float(threshold) if isinstance(threshold, int | float) else None,
        "periods": (int(trigger.get("DatapointsToAlarm") or n), n),
        "period": max(periods) or 60,
        "value": latest_value(_text(given, "NewStateReason")),
    }


def _of_query(stat: Mapping[str, Any]) -> Series:
    metric = stat.get("Metric") or {}
    return Series(_text(metric, "Namespace"), _text(metric, "MetricName"), _text(stat, "Stat").lower())


def _of_trigger(trigger: Mapping[str, Any]) -> Series:
    # Simple statistics come in capitals ("SUM"), percentiles in a field of their own ("p95").
    stat = _text(trigger, "Statistic") or _text(trigger, "ExtendedStatistic")
    return Series(_text(trigger, "Namespace"), _text(trigger, "MetricName"), stat.lower())


def _label(queries: list[dict[str, Any]], series: list[Series]) -> str:
    """What the alarm's value is called: as the formula's label has it, or by the one metric's name."""
    labels = [_text(query, "Label") for query in queries if query.get("ReturnData", True)]
    if any(labels) or len(series) != 1:
        return "".join(labels)
    (only,) = series
    return f"{only.name} ({only.stat})" if re.match(r"p[0-9]|average", only.stat) else only.name


def _measure(queries: list[dict[str, Any]], series: list[Series]) -> Measure:
    """How the alarm's value is to be read. Metric math tells no unit: what is multiplied by 100 is a percentage, and
    what is called a share is one of 1. The average of a count of ours is a share, too: its points are 0 and 1."""
    returned = [query for query in queries if query.get("ReturnData", True)]
    if formula := "".join(_text(query, "Expression") for query in returned):
        if re.search(r"\b100 ?\*|\* ?100\b", formula):
            return Measure.PERCENT
        return Measure.FRACTION if re.search(r"\bshare\b", _label(queries, series)) else Measure.NUMBER
    if len(series) != 1 or series[0].stat == "samplecount":
        return Measure.NUMBER
    (only,) = series
    if only.namespace != NAMESPACE:
        return _OF_AWS.get((only.namespace, only.name), Measure.NUMBER)
    found = {metric.name: _OF_UNIT[metric.unit] for metric in METRICS}.get(only.name, Measure.NUMBER)
    return Measure.FRACTION if found is Measure.NUMBER and only.stat == "average" else found


def _children(given: Mapping[str, Any]) -> list[Child]:
    children = []
    for child in given.get("TriggeringChildren") or ():
        state = child.get("State") or {}
        try:
            at = instant(_text(state, "Timestamp"))
        except ValueError:
            at = None
        children.append(Child(_text(child, "Arn").split(":alarm:")[-1], _text(state, "Value"), at))
    return children


def _text(given: Mapping[str, Any], key: str) -> str:
    value = given.get(key)
    return value if isinstance(value, str) else ""
