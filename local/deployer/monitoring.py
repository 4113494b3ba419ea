"""CloudWatch alarms and dashboards, and what EventBridge Scheduler starts."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from local.deployer.constraints import call
from local.deployer.model import Account, Create, Declared, DeploymentError, Json, State, pascal, tag_list

_ACTIONS: Final = {
    "actionsEnabled": "ActionsEnabled",
    "alarmActions": "AlarmActions",
    "alarmDescription": "AlarmDescription",
    "insufficientDataActions": "InsufficientDataActions",
    "okActions": "OKActions",
}
_METRIC_ALARM: Final = {
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
_QUERY: Final = {
    "accountId": "AccountId",
    "expression": "Expression",
    "id": "Id",
    "label": "Label",
    "period": "Period",
    "returnData": "ReturnData",
}
_SUPPRESSOR: Final = {
    "alarm": "ActionsSuppressor",
    "waitPeriod": "ActionsSuppressorWaitPeriod",
    "extensionPeriod": "ActionsSuppressorExtensionPeriod",
}
_SCHEDULE: Final = {
    "actionAfterCompletion": "ActionAfterCompletion",
    "description": "Description",
    "endDate": "EndDate",
    "groupName": "GroupName",
    "kmsKeyArn": "KmsKeyArn",
    "scheduleExpressionTimezone": "ScheduleExpressionTimezone",
    "startDate": "StartDate",
    "state": "State",
}
DEFAULT_GROUP: Final = "default"
"""The schedule group that every account has."""


def metric_alarm(declared: Declared, account: Account) -> State:
    name, tags = declared.physical(255), declared.tags()
    dimensions, queries = declared.take("dimensions"), declared.take("metricQueries")
    if queries and sum(query.get("returnData", False) for query in queries) != 1:
        raise DeploymentError(f"{declared}: exactly one of metricQueries has to have returnData")
    call(
        declared,
        account.client("cloudwatch"),
        "PutMetricAlarm",
        AlarmName=name,
        Tags=tag_list(tags),
        **declared.api(_METRIC_ALARM),
        **declared.api(_ACTIONS),
        **({"Dimensions": _dimensions(dimensions)} if dimensions else {}),
        **({"Metrics": [_query(declared, query) for query in queries]} if queries else {}),
    )
    return name, declared.state(name=name, arn=account.arn("cloudwatch", f"alarm:{name}"), tagsAll=tags)


def composite_alarm(declared: Declared, account: Account) -> State:
    """The service refuses a rule that names an alarm which is not there; so it would a suppressor, but not here."""
    name, tags, cloudwatch = declared.need("alarmName"), declared.tags(), account.client("cloudwatch")
    suppressor = declared.take("actionsSuppressor") or {}
    if suppressor and not _exists(cloudwatch, suppressor["alarm"]):
        raise DeploymentError(f"{declared}: its actions' suppressor {suppressor['alarm']} is no alarm of this account")
    call(
        declared,
        cloudwatch,
        "PutCompositeAlarm",
        AlarmName=name,
        AlarmRule=declared.need("alarmRule"),
        Tags=tag_list(tags),
        **declared.api(_ACTIONS),
        **_renamed(declared, suppressor, _SUPPRESSOR),
    )
    return name, declared.state(arn=account.arn("cloudwatch", f"alarm:{name}"), tagsAll=tags)


def dashboard(declared: Declared, account: Account) -> State:
    """The emulator keeps any text; AWS refuses one that is no JSON object."""
    name, body = declared.need("dashboardName"), declared.document("dashboardBody")
    try:
        content = json.loads(body)
    except ValueError as error:
        raise DeploymentError(f"{declared}: dashboardBody is not JSON: {error}") from error
    if not isinstance(content, dict):
        raise DeploymentError(f"{declared}: dashboardBody is no JSON object")
    account.client("cloudwatch").put_dashboard(DashboardName=name, DashboardBody=body)
    # Dashboards belong to no region.
    return name, declared.state(dashboardArn=f"arn:aws:cloudwatch::{account.id}:dashboard/{name}")


def schedule(declared: Declared, account: Account) -> State:
    name, group = declared.physical(64), declared.inputs.get("groupName", DEFAULT_GROUP)
    arn = call(
        declared,
        account.client("scheduler"),
        "CreateSchedule",
        Name=name,
        ScheduleExpression=declared.need("scheduleExpression"),
        FlexibleTimeWindow=pascal(declared.need("flexibleTimeWindow")),
        Target=pascal(declared.need("target")),
        **declared.api(_SCHEDULE),
    )["ScheduleArn"]
    defaults = {"groupName": group, "scheduleExpressionTimezone": "UTC", "state": "ENABLED"}
    return f"{group}/{name}", {**defaults, **declared.state(name=name, arn=arn)}


def schedule_group(declared: Declared, account: Account) -> State:
    name, tags = declared.physical(64), declared.tags()
    client = account.client("scheduler")
    arn = client.create_schedule_group(Name=name, Tags=tag_list(tags))["ScheduleGroupArn"]
    return name, declared.state(name=name, arn=arn, state=client.get_schedule_group(Name=name)["State"], tagsAll=tags)


def _dimensions(given: Mapping[str, str]) -> list[Json]:
    return [{"Name": name, "Value": value} for name, value in given.items()]


def _query(declared: Declared, given: Json) -> Json:
    """One of `metricQueries`: a metric with its statistic, or an expression over the others."""
    query = _renamed(declared, {key: value for key, value in given.items() if key != "metric"}, _QUERY)
    if metric := given.get("metric"):
        known = {"dimensions", "metricName", "namespace", "period", "stat", "unit"}
        if unknown := metric.keys() - known:
            raise DeploymentError(f"{declared}: metric properties not understood: {', '.join(sorted(unknown))}")
        query["MetricStat"] = {
            "Metric": {
                "MetricName": metric["metricName"],
                "Namespace": metric["namespace"],
                "Dimensions": _dimensions(metric.get("dimensions") or {}),
            },
            "Period": metric["period"],
            "Stat": metric["stat"],
            **({"Unit": metric["unit"]} if "unit" in metric else {}),
        }
    # CloudWatch's default is true, the provider's is not: an alarm has exactly one result to compare.
    return {"ReturnData": False, **query}


def _renamed(declared: Declared, given: Json, names: Mapping[str, str]) -> Json:
    if unknown := given.keys() - names.keys():
        raise DeploymentError(f"{declared}: properties not understood: {', '.join(sorted(unknown))}")
    return {names[key]: value for key, value in given.items()}


def _exists(cloudwatch: Any, alarm: str) -> bool:
    """Whether there is an alarm with that name or ARN."""
    name = alarm.split(":", maxsplit=6)[6] if alarm.startswith("arn:") else alarm
    found = cloudwatch.describe_alarms(AlarmNames=[name], AlarmTypes=["MetricAlarm", "CompositeAlarm"])
    return bool(found["MetricAlarms"] or found["CompositeAlarms"])


CREATE: Final[dict[str, Create]] = {
    "aws:cloudwatch/metricAlarm:MetricAlarm": metric_alarm,
    "aws:cloudwatch/compositeAlarm:CompositeAlarm": composite_alarm,
    "aws:cloudwatch/dashboard:Dashboard": dashboard,
    "aws:scheduler/schedule:Schedule": schedule,
    "aws:scheduler/scheduleGroup:ScheduleGroup": schedule_group,
}
