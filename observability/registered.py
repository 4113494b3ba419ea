"""CloudWatch's resources as the Pulumi provider has them, in the shape of CloudWatch's own API.

The tables give the API's name for each of the provider's; nothing is dropped: a property that is in none is refused.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from observability.errors import ToolkitError

Json = dict[str, Any]

METRIC_ALARM_TYPE: Final = "aws:cloudwatch/metricAlarm:MetricAlarm"
COMPOSITE_ALARM_TYPE: Final = "aws:cloudwatch/compositeAlarm:CompositeAlarm"
MUTE_RULE_TYPE: Final = "aws:cloudwatch/alarmMuteRule:AlarmMuteRule"
DASHBOARD_TYPE: Final = "aws:cloudwatch/dashboard:Dashboard"

ACTIONS: Final[Mapping[str, str]] = {
    "actionsEnabled": "ActionsEnabled",
    "alarmActions": "AlarmActions",
    "alarmDescription": "AlarmDescription",
    "insufficientDataActions": "InsufficientDataActions",
    "okActions": "OKActions",
}
METRIC_ALARM: Final[Mapping[str, str]] = {
    "comparisonOperator": "ComparisonOperator",
    "datapointsToAlarm": "DatapointsToAlarm",
    # The provider's name is in the plural, the API's is not.
    "evaluateLowSampleCountPercentiles": "EvaluateLowSampleCountPercentile",
    "evaluationPeriods": "EvaluationPeriods",
    "extendedStatistic": "ExtendedStatistic",
    "metricName": "MetricName",
    "namespace": "Namespace",
    "period": "Period",
    "statistic": "Statistic",
    "threshold": "Threshold",
    "thresholdMetricId": "ThresholdMetricId",
    "treatMissingData": "TreatMissingData",
    "unit": "Unit",
}
QUERY: Final[Mapping[str, str]] = {
    "accountId": "AccountId",
    "expression": "Expression",
    "id": "Id",
    "label": "Label",
    "period": "Period",
    "returnData": "ReturnData",
}
SUPPRESSOR: Final[Mapping[str, str]] = {
    "alarm": "ActionsSuppressor",
    "waitPeriod": "ActionsSuppressorWaitPeriod",
    "extensionPeriod": "ActionsSuppressorExtensionPeriod",
}
_METRIC: Final = frozenset({"dimensions", "metricName", "namespace", "period", "stat", "unit"})
_MUTE_RULE: Final[Mapping[str, str]] = {
    "description": "Description",
    "expireDate": "ExpireDate",
    "name": "Name",
    "startDate": "StartDate",
}
_SCHEDULE: Final[Mapping[str, str]] = {"duration": "Duration", "expression": "Expression", "timezone": "Timezone"}
_ELSEWHERE: Final = frozenset({"region", "tags", "tagsAll"})
"""Say where a resource is and whose, not what it does."""


def metric_alarm(inputs: Json, name: str) -> Json:
    """A registered alarm as PutMetricAlarm is given it; `name` is its name where `inputs` have none.

    Raises:
        ToolkitError: a property is not understood.
    """
    dimensions, queries_ = inputs.get("dimensions"), inputs.get("metricQueries")
    rest = _except(inputs, "name", "dimensions", "metricQueries")
    return {
        "AlarmName": inputs.get("name") or name,
        **renamed(rest, {**METRIC_ALARM, **ACTIONS}),
        **({"Dimensions": pairs(dimensions)} if dimensions else {}),
        **({"Metrics": [query(each) for each in queries_]} if queries_ else {}),
    }


def composite_alarm(inputs: Json, name: str) -> Json:
    """A registered alarm as PutCompositeAlarm is given it.

    Raises:
        ToolkitError: a property is not understood.
    """
    return {
        "AlarmName": inputs.get("alarmName") or name,
        "AlarmRule": inputs.get("alarmRule"),
        **renamed(_except(inputs, "alarmName", "alarmRule", "actionsSuppressor"), ACTIONS),
        **renamed(inputs.get("actionsSuppressor") or {}, SUPPRESSOR),
    }


def mute_rule(inputs: Json, name: str) -> Json:
    """A registered rule as PutAlarmMuteRule is given it.

    Raises:
        ToolkitError: a property is not understood.
    """
    schedule = (inputs.get("rule") or {}).get("schedule") or {}
    return {
        "Name": name,
        **renamed(_except(inputs, "rule", "muteTargets"), _MUTE_RULE),
        "Rule": {"Schedule": renamed(schedule, _SCHEDULE)},
        "MuteTargets": {"AlarmNames": (inputs.get("muteTargets") or {}).get("alarmNames") or []},
    }


def dashboard_body(inputs: Json) -> Json:
    """The body of a registered dashboard.

    Raises:
        ToolkitError: it is no JSON object.
    """
    body = inputs.get("dashboardBody")
    try:
        content = json.loads(body) if isinstance(body, str) else body
    except ValueError as error:
        raise ToolkitError(f"dashboardBody is not JSON: {error}") from error
    if not isinstance(content, dict):
        raise ToolkitError("dashboardBody is no JSON object")
    return content


def query(given: Json) -> Json:
    """One of `metricQueries`: a metric with its statistic, or an expression over the others.

    Raises:
        ToolkitError: a property is not understood.
    """
    made = renamed({key: value for key, value in given.items() if key != "metric"}, QUERY)
    if metric := given.get("metric"):
        if unknown := metric.keys() - _METRIC:
            raise ToolkitError(f"metric properties not understood: {', '.join(sorted(unknown))}")
        made["MetricStat"] = {
            "Metric": {
                "MetricName": metric["metricName"],
                "Namespace": metric.get("namespace"),
                "Dimensions": pairs(metric.get("dimensions") or {}),
            },
            "Period": metric["period"],
            "Stat": metric["stat"],
            **({"Unit": metric["unit"]} if metric.get("unit") else {}),
        }
    # CloudWatch's default is true, the provider's is not: an alarm has exactly one result to compare.
    return {"ReturnData": False, **made}


def pairs(dimensions: Mapping[str, str]) -> list[Json]:
    """Dimensions as the API has them."""
    return [{"Name": name, "Value": value} for name, value in dimensions.items()]


def renamed(given: Json, names: Mapping[str, str]) -> Json:
    """Raises ToolkitError: a property is not in `names`."""
    if unknown := given.keys() - names.keys():
        raise ToolkitError(f"properties not understood: {', '.join(sorted(unknown))}")
    return {names[key]: value for key, value in given.items()}


def _except(inputs: Json, *keys: str) -> Json:
    return {key: value for key, value in inputs.items() if key not in keys and key not in _ELSEWHERE}
