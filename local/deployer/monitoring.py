"""CloudWatch alarms and dashboards, and what EventBridge Scheduler starts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from local.deployer.constraints import call
from local.deployer.model import Account, Create, Declared, DeploymentError, Json, State, pascal, tag_list
from observability.errors import ToolkitError
from observability.model import alarm_name
from observability.registered import ACTIONS, METRIC_ALARM, SUPPRESSOR, dashboard_body, pairs, query, renamed

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
    if queries and sum(each.get("returnData", False) for each in queries) != 1:
        raise DeploymentError(f"{declared}: exactly one of metricQueries has to have returnData")
    call(
        declared,
        account.client("cloudwatch"),
        "PutMetricAlarm",
        AlarmName=name,
        Tags=tag_list(tags),
        **declared.api(METRIC_ALARM),
        **declared.api(ACTIONS),
        **({"Dimensions": pairs(dimensions)} if dimensions else {}),
        **({"Metrics": [_understood(declared, query, each) for each in queries]} if queries else {}),
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
        **declared.api(ACTIONS),
        **_understood(declared, renamed, suppressor, SUPPRESSOR),
    )
    return name, declared.state(arn=account.arn("cloudwatch", f"alarm:{name}"), tagsAll=tags)


def dashboard(declared: Declared, account: Account) -> State:
    """The emulator keeps any text; AWS refuses one that is no JSON object."""
    name, body = declared.need("dashboardName"), declared.document("dashboardBody")
    _understood(declared, dashboard_body, {"dashboardBody": body})
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


def _understood(declared: Declared, make: Callable[..., Json], *given: Any) -> Json:
    """A part of the resource as the API has it, or a refusal that names the resource."""
    try:
        return make(*given)
    except ToolkitError as error:
        raise DeploymentError(f"{declared}: {error}") from error


def _exists(cloudwatch: Any, alarm: str) -> bool:
    """Whether there is an alarm with that name or ARN."""
    found = cloudwatch.describe_alarms(AlarmNames=[alarm_name(alarm)], AlarmTypes=["MetricAlarm", "CompositeAlarm"])
    return bool(found["MetricAlarms"] or found["CompositeAlarms"])


CREATE: Final[dict[str, Create]] = {
    "aws:cloudwatch/metricAlarm:MetricAlarm": metric_alarm,
    "aws:cloudwatch/compositeAlarm:CompositeAlarm": composite_alarm,
    "aws:cloudwatch/dashboard:Dashboard": dashboard,
    "aws:scheduler/schedule:Schedule": schedule,
    "aws:scheduler/scheduleGroup:ScheduleGroup": schedule_group,
}
