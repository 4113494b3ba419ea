"""The alarms and dashboards of an account are those that the program declares: here, of the emulator's."""

from __future__ import annotations

import json
from typing import Any

import pytest

from local.aws import LocalAws
from observability.account import estate_of_account
from observability.program import Recording
from observability.program.resources import Resource
from observability.sources import estate_of

pytestmark = pytest.mark.local


def test_an_account_tells_of_the_alarms_and_dashboards_that_were_deployed(aws: LocalAws) -> None:
    assert aws.deployment
    made = [
        Resource(type=each.type, name=each.name, inputs=each.inputs, outputs=each.outputs)
        for each in aws.deployment.created
    ]
    declared = estate_of(Recording(project="mailroom", stack="local", resources=tuple(made)))
    told = estate_of_account(aws.client("cloudwatch"))
    assert [_seen(alarm) for alarm in told.alarms] == [_seen(alarm) for alarm in declared.alarms]
    assert told.dashboards == declared.dashboards
    assert len(told.alarms) > 40


def _seen(alarm: Any) -> str:
    """An alarm save where it is from and how it was written down."""
    fields = {name: getattr(alarm, name) for name in alarm.__slots__ if name not in ("document", "arn")}
    return json.dumps(fields, default=str, sort_keys=True)
