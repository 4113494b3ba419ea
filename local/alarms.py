"""Notifications of alarms as CloudWatch publishes them to SNS, made from alarms as DescribeAlarms gives them.

The emulator's own notifications lack half of the fields. The shape follows records of the real service
(tests/events/alarms/README.md).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from local.deployer.model import Json
from observability.evaluation import missing_rule
from observability.model import State, read_metric_alarm
from observability.reasons import Reading
from observability.reasons import reason as reason_of

REGION_NAMES: Final[Mapping[str, str]] = {
    "eu-central-1": "EU (Frankfurt)",
    "eu-west-1": "EU (Ireland)",
    "us-east-1": "US East (N. Virginia)",
    "us-west-2": "US West (Oregon)",
}
"""CloudWatch's `Region` is a name for people."""


def alarms_of(cloudwatch: Any) -> list[Json]:
    """Every alarm and composite of an account, as DescribeAlarms gives it. `cloudwatch` is a boto3 client."""
    pages = cloudwatch.get_paginator("describe_alarms").paginate(AlarmTypes=["MetricAlarm", "CompositeAlarm"])
    return [alarm for page in pages for alarm in (*page["MetricAlarms"], *page["CompositeAlarms"])]


def subject(alarm: Mapping[str, Any], state: str) -> str:
    """The notification's subject, which SNS limits to 100 characters."""
    region = REGION_NAMES[alarm["AlarmArn"].split(":")[3]]
    return f'{state}: "{alarm["AlarmName"]}" in {region}'[:100]


def notification(
    alarm: Mapping[str, Any],
    state: str,
    at: datetime,
    *,
    before: str = "OK",
    reason: str = "",
    values: Sequence[float] = (),
    children: Iterable[tuple[Mapping[str, Any], str, datetime]] = (),
) -> str:
    """The message that CloudWatch publishes when `alarm` changes to `state`.

    Args:
        alarm: one of `MetricAlarms` or `CompositeAlarms`.
        reason: CloudWatch's words; made from `values` or `children` when empty.
        values: the data points that decided, newest first; none means that data was missing.
        children: of a composite alarm, those that made it change: (alarm, state, since).
    """
    changed = list(children)
    arn = alarm["AlarmArn"]
    _, _, _, region, account, _ = arn.split(":", 5)
    message: Json = {
        "AlarmName": alarm["AlarmName"],
        "AlarmDescription": alarm.get("AlarmDescription"),
        "AWSAccountId": account,
        "AlarmConfigurationUpdatedTimestamp": _stamp(alarm.get("AlarmConfigurationUpdatedTimestamp", at)),
        "NewStateValue": state,
        "NewStateReason": reason or (_because(changed) if "AlarmRule" in alarm else _crossed(alarm, state, at, values)),
        "StateChangeTime": _stamp(at),
        "Region": REGION_NAMES[region],
        "AlarmArn": arn,
        "OldStateValue": before,
        "OKActions": alarm.get("OKActions", []),
        "AlarmActions": alarm.get("AlarmActions", []),
        "InsufficientDataActions": alarm.get("InsufficientDataActions", []),
    }
    if "AlarmRule" in alarm:
        message["AlarmRule"] = alarm["AlarmRule"]
        message["TriggeringChildren"] = [
            {"Arn": child["AlarmArn"], "State": {"Value": value, "Timestamp": _stamp(since)}}
            for child, value, since in changed
        ]
    else:
        message["Trigger"] = _trigger(alarm)
    return json.dumps(message, separators=(",", ":"), ensure_ascii=False)


def _trigger(alarm: Mapping[str, Any]) -> Json:
    rules: Json = {
        "Period": alarm.get("Period", 60),
        "EvaluationPeriods": alarm["EvaluationPeriods"],
        "DatapointsToAlarm": alarm.get("DatapointsToAlarm", alarm["EvaluationPeriods"]),
        "ComparisonOperator": alarm["ComparisonOperator"],
        "Threshold": float(alarm["Threshold"]),
        "TreatMissingData": alarm.get("TreatMissingData", "missing"),
        "EvaluateLowSampleCountPercentile": alarm.get("EvaluateLowSampleCountPercentile", ""),
    }
    if queries := alarm.get("Metrics"):
        return {**rules, "Metrics": [_query(query) for query in queries]}
    statistic = (
        {"StatisticType": "Statistic", "Statistic": alarm["Statistic"].upper()}
        if alarm.get("Statistic")
        else {"StatisticType": "ExtendedStatistic", "ExtendedStatistic": alarm["ExtendedStatistic"]}
    )
    return {
        "MetricName": alarm["MetricName"],
        "Namespace": alarm["Namespace"],
        **statistic,
        "Unit": alarm.get("Unit"),
        "Dimensions": _dimensions(alarm),
        **rules,
    }


def _query(query: Mapping[str, Any]) -> Json:
    made: Json = {"Id": query["Id"]}
    if "Expression" in query:
        made["Expression"] = query["Expression"]
    if query.get("Label"):
        made["Label"] = query["Label"]
    if stat := query.get("MetricStat"):
        metric = stat["Metric"]
        made["MetricStat"] = {
            "Metric": {
                "Dimensions": _dimensions(metric),
                "MetricName": metric["MetricName"],
                "Namespace": metric["Namespace"],
            },
            "Period": stat["Period"],
            "Stat": stat["Stat"],
        }
    return {**made, "ReturnData": query.get("ReturnData", True)}


def _dimensions(given: Mapping[str, Any]) -> list[Json]:
    # In lower case, unlike everywhere else.
    return [{"value": each["Value"], "name": each["Name"]} for each in given.get("Dimensions", [])]


def _crossed(alarm: Mapping[str, Any], state: str, at: datetime, values: Sequence[float]) -> str:
    """The reason for a metric alarm's change, if these are the data points up to `at`."""
    read = read_metric_alarm(alarm)
    points = [*values, *[None] * (read.evaluation_periods - len(values))]
    readings = [
        Reading(int(at.timestamp()) - number * read.period, value) for number, value in enumerate(points, start=1)
    ]
    return reason_of(read, State(state), readings, missing_rule(read), kept=False)


def _because(children: Sequence[tuple[Mapping[str, Any], str, datetime]]) -> str:
    """The reason that CloudWatch gives for a composite alarm's change: the child that changed last."""
    if not children:
        return ""
    child, state, since = children[0]
    return f"{child['AlarmArn']} transitioned to {state} at {since.astimezone(UTC):%A %d %B, %Y %H:%M:%S} UTC"


def _stamp(time: datetime) -> str:
    time = time.astimezone(UTC)
    return f"{time:%Y-%m-%dT%H:%M:%S}.{time.microsecond // 1000:03d}+0000"
