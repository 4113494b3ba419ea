"""Cases of the rules on alarms."""

from __future__ import annotations

from typing import Any

import pulumi_aws as aws

from tests.policies.cases import Case, Given, Hidden
from tests.policies.parts import PAGES, RUNBOOK, alarm, log_group

ARN = "arn:aws:cloudwatch:us-east-1:123456789012:alarm:"


def composite(name: str, rule: str, /, **overrides: Any) -> aws.cloudwatch.CompositeAlarm:
    """A composite alarm that tells."""
    given = {
        "alarm_name": name,
        "alarm_rule": rule,
        "alarm_description": f"Several things are wrong. {RUNBOOK}#{name}",
        "alarm_actions": [PAGES],
        **overrides,
    }
    return aws.cloudwatch.CompositeAlarm(name, **given)


ACTS = {"alarm_actions": [PAGES]}


def nothing() -> None:
    log_group("orders")


def one(**overrides: Any) -> Any:
    """A program of one alarm."""

    def program() -> None:
        alarm("failures", **overrides)

    return program


def family(rule: str = "ALARM(part)", *, part: Any = None, **overrides: Any) -> Any:
    """A program of an alarm that tells nobody by itself, and a composite alarm that looks at it."""

    def program() -> None:
        alarm("part", **{"name": "part", "alarm_actions": [], **(part or {})})
        composite("whole", rule, **overrides)

    return program


def grandchild(**overrides: Any) -> Any:
    """A program of an alarm, a composite that looks at it and tells nobody, and one that looks at that."""

    def program() -> None:
        alarm("part", name="part", alarm_actions=[])
        composite("middle", "ALARM(part)", alarm_actions=[])
        composite("top", "ALARM(middle)", **overrides)

    return program


def circle() -> None:
    """Two composites that look at each other, and at what neither tells of."""
    alarm("part", name="part", alarm_actions=[])
    composite("left", "ALARM(right)")
    composite("right", "ALARM(left)", alarm_actions=[])


def suppressor(by: str = "maintenance") -> Any:
    """A program of an alarm that another keeps quiet behind."""

    def program() -> None:
        alarm("maintenance", name="maintenance", alarm_actions=[])
        alarm("part", name="part")
        quiet = {"alarm": by, "wait_period": 60, "extension_period": 60}
        composite("whole", "ALARM(part)", actions_suppressor=quiet)

    return program


def suppressor_elsewhere() -> None:
    alarm("part", name="part")
    quiet = {"alarm": "maintenance", "wait_period": 60, "extension_period": 60}
    composite("whole", "ALARM(part)", actions_suppressor=quiet)


CASES = {
    "alarm-tells": Case(
        violated=(
            one(alarm_actions=None),
            one(alarm_actions=[]),
            one(actions_enabled=False),
            Given(program=family(alarm_actions=[]), on=frozenset({"part", "whole"})),
            family(actions_enabled=False),
            family("ALARM(other)", part={"name": "other"}, alarm_actions=None),
            family(part=ACTS, alarm_actions=[]),
            grandchild(alarm_actions=[]),
            circle,
            Given(program=family("ALARM(part) OR"), also=frozenset({"composite-alarms-exist"})),
        ),
        satisfied=(
            one(),
            one(actions_enabled=True),
            family(),
            family(f'OK("{ARN}part")'),
            grandchild(),
            suppressor(),
            suppressor(by=f"{ARN}maintenance"),
        ),
        unknown=(
            Hidden(resource="failures", path="alarmActions"),
            Hidden(resource="part", path="name", program=family()),
            Hidden(resource="whole", path="alarmRule", program=family()),
            Hidden(resource="whole", path="alarmActions", program=family()),
        ),
        not_applicable=nothing,
    ),
    "alarm-runbook": Case(
        violated=(
            one(alarm_description=None),
            one(alarm_description="Something is wrong."),
            one(alarm_description=f"Something is wrong. {RUNBOOK}"),
            one(alarm_description=f"Something is wrong. {RUNBOOK}#"),
            Given(program=one(), settings={"url": "https://wiki.example.com/runbook"}),
            family(part={"alarm_description": ""}),
            family(alarm_description=None),
        ),
        satisfied=(
            one(),
            one(alarm_description=f"See http://wiki.example.com and {RUNBOOK}#failures."),
            Given(program=one(), settings={"url": RUNBOOK}),
            family(),
        ),
        unknown=Hidden(resource="failures", path="alarmDescription"),
        not_applicable=nothing,
    ),
    "alarm-missing-data": Case(
        violated=one(treat_missing_data=None),
        satisfied=(one(), one(treat_missing_data="missing")),
        unknown=Hidden(resource="failures", path="treatMissingData"),
        not_applicable=nothing,
    ),
    "composite-alarms-exist": Case(
        violated=(
            family("ALARM(part) OR ALARM(other)"),
            family("ALARM(part) OR", part=ACTS),
            family('ALARM(part) AND OK("arn:aws:cloudwatch:us-east-1:123456789012:alarm:other")'),
            suppressor_elsewhere,
        ),
        satisfied=(
            family(),
            family(f'ALARM("{ARN}part")'),
            grandchild(),
            suppressor(),
            suppressor(by=f"{ARN}maintenance"),
        ),
        unknown=(
            Hidden(resource="whole", path="alarmRule", program=family()),
            Hidden(resource="part", path="name", program=family()),
            Hidden(resource="whole", path="actionsSuppressor", program=suppressor()),
        ),
        not_applicable=one(),
    ),
}
