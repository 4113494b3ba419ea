"""What EventBridge Scheduler starts, for those who cannot wait until it is due."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from local.aws import LocalAws
from local.deployer.model import Json
from ops.errors import OpsError

_TYPE: Final = "aws:scheduler/schedule:Schedule"
_UNITS: Final = {"minute": 60, "hour": 3600, "day": 86_400}


@dataclass(frozen=True, slots=True)
class Schedule:
    """A function that is invoked every so many seconds."""

    seconds: int
    target: Json


def schedules(aws: LocalAws) -> list[Schedule]:
    """The deployed schedules. Raises OpsError: one is not a rate."""
    declared = [each for each in aws.deployment.created if each.type == _TYPE] if aws.deployment else []
    return [Schedule(rate(each.inputs["scheduleExpression"]), each.inputs["target"]) for each in declared]


def rate(expression: str) -> int:
    """Seconds of `rate(5 minutes)`. Raises OpsError: it is another kind of expression."""
    found = re.fullmatch(r"rate\((\d+) (minute|hour|day)s?\)", expression)
    if found is None:
        raise OpsError(f"A schedule is {expression}; a local run knows rates only.")
    return int(found.group(1)) * _UNITS[found.group(2)]


def run_now(aws: LocalAws, schedule: Schedule, *, wait: bool = True) -> None:
    """Invoke what a schedule would invoke."""
    aws.client("lambda").invoke(
        FunctionName=schedule.target["arn"],
        Payload=schedule.target.get("input") or "{}",
        InvocationType="RequestResponse" if wait else "Event",
    )
