"""An alarm tells somebody, says what to do, and knows what silence means."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from observability.composite import parse_rule
from observability.errors import ToolkitError
from observability.model import alarm_name
from observability.program.resources import Resource
from policies.callers import the
from policies.model import NotApplicable, Stack, rule, value

METRIC_ALARM: Final = "aws:cloudwatch/metricAlarm:MetricAlarm"
COMPOSITE_ALARM: Final = "aws:cloudwatch/compositeAlarm:CompositeAlarm"

NAMES: Final = {METRIC_ALARM: "name", COMPOSITE_ALARM: "alarmName"}
"""The property that an alarm is known by, by type."""

RUNBOOK: Final = re.compile(r"https?://[^\s#]+#\w[\w-]*")
"""A page, and the place on it that is about this alarm."""


@rule(
    "alarm-tells",
    METRIC_ALARM,
    COMPOSITE_ALARM,
    about="Every alarm has an action, or is part of a composite alarm that has one",
    reason="An alarm without an action changes colour on a page that nobody looks at.",
    remedy="Give it alarmActions and leave actionsEnabled on, or make it part of a composite alarm that tells.",
    related=True,
)
def alarm_tells(alarm: Resource, stack: Stack) -> Iterator[str]:
    if _acts(alarm):
        return
    name = _name(alarm)
    composites = stack.of(COMPOSITE_ALARM)
    if any(_acts(each) and name in _below(each, stack) for each in composites):
        return
    if any(alarm_name(value(each, "actionsSuppressor.alarm") or "") == name for each in composites):
        raise NotApplicable
    yield (
        "alarmActions is empty, and no composite alarm that tells looks at it"
        if not value(alarm, "alarmActions")
        else "actionsEnabled is false"
    )


@rule(
    "alarm-runbook",
    METRIC_ALARM,
    COMPOSITE_ALARM,
    about="The description of every alarm links to its place in the runbook",
    reason="Whoever is woken up at night has to find what to do, not to think of it.",
    remedy="Put the URL of the runbook into alarmDescription, with the anchor of the alarm's section.",
    defaults={"url": ""},
    settings={"url": "what the link has to begin with; by default any page will do"},
)
def alarm_runbook(alarm: Resource, stack: Stack) -> Iterator[str]:
    links = RUNBOOK.findall(value(alarm, "alarmDescription") or "")
    if not any(link.startswith(stack.settings["url"]) for link in links):
        yield f"alarmDescription has no link {stack.settings['url'] or 'https://...'}#SECTION"


@rule(
    "alarm-missing-data",
    METRIC_ALARM,
    about="Every alarm says what missing data means",
    reason="By default a period without data changes nothing: an alarm on what has stopped never fires, and one on what"
    " is over stays.",
    remedy="Set treatMissingData: notBreaching where silence is good, breaching where it is not, or ignore or missing"
    " where that is meant.",
)
def alarm_missing_data(alarm: Resource, _: Stack) -> Iterator[str]:
    if not value(alarm, "treatMissingData"):
        yield "treatMissingData is not set"


@rule(
    "composite-alarms-exist",
    COMPOSITE_ALARM,
    about="A composite alarm has a rule that CloudWatch takes, and looks at alarms that the stack has",
    reason="CloudWatch refuses a rule on an alarm that is not there, and only when it is deployed.",
    remedy="Name alarms of the stack in alarmRule and actionsSuppressor, as they are called on CloudWatch.",
    related=True,
)
def composite_alarms_exist(alarm: Resource, stack: Stack) -> Iterator[str]:
    try:
        children = parse_rule(str(value(alarm, "alarmRule"))).children
    except ToolkitError as error:
        yield str(error).rstrip(".")
        return
    for name in children:
        if not _exists(name, stack):
            yield f"alarmRule looks at {name}, which is no alarm of the stack"
    suppressor = value(alarm, "actionsSuppressor.alarm")
    if suppressor and not _exists(suppressor, stack):
        yield f"actionsSuppressor.alarm is {suppressor}, which is no alarm of the stack"


def _exists(reference: str, stack: Stack) -> bool:
    return any(the(stack, type_, key, alarm_name(reference)) for type_, key in NAMES.items())


def _acts(alarm: Resource) -> bool:
    return bool(value(alarm, "alarmActions")) and value(alarm, "actionsEnabled") is not False


def _name(alarm: Resource) -> str:
    return str(value(alarm, NAMES[alarm.type]))


def _below(composite: Resource, stack: Stack, above: frozenset[str] = frozenset()) -> frozenset[str]:
    """Names of the alarms that a composite looks at, directly or through others; those `above` are not gone into."""
    children = _children(composite)
    deeper = [each for each in stack.of(COMPOSITE_ALARM) if _name(each) in children - above]
    return children.union(*(_below(each, stack, above | children) for each in deeper))


def _children(composite: Resource) -> frozenset[str]:
    try:
        return parse_rule(str(value(composite, "alarmRule"))).alarms
    except ToolkitError:
        return frozenset()  # another rule tells
