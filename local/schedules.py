"""What EventBridge Scheduler starts, for those who cannot wait until it is due."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from local.aws import LocalAws
from local.deployer.model import Json
from ops.errors import OpsError

_TYPE: Final = "aws:scheduler/schedule:Schedule"
_UNITS: Final = {"minute": 60, "hour": 3600, "day": 86_400}
_SCHEDULED_TIME: Final = "<aws.scheduler.scheduled-time>"


@dataclass(frozen=True, slots=True)
class Schedule:
    """A function that is invoked every so many seconds."""

    seconds: int
    target: Json


def schedules(aws: LocalAws) -> list[Schedule]:
    """The deployed schedules that come again and again. One by the calendar (`cron`), such as a monthly report's, is
    left to whoever wants it. Raises OpsError: one is neither."""
    declared = [each.inputs for each in aws.deployment.created if each.type == _TYPE] if aws.deployment else []
    rates = [each for each in declared if not each["scheduleExpression"].startswith("cron(")]
    return [Schedule(rate(each["scheduleExpression"]), each["target"]) for each in rates]


def rate(expression: str) -> int:
    """Seconds of `rate(5 minutes)`. Raises OpsError: it is another kind of expression."""
    found = re.fullmatch(r"rate\((\d+) (minute|hour|day)s?\)", expression)
    if found is None:
        raise OpsError(f"A schedule is {expression}; a local run knows rates only.")
    return int(found.group(1)) * _UNITS[found.group(2)]


def run_now(aws: LocalAws, schedule: Schedule, *, at: float, wait: bool = True) -> None:
    """Invoke what a schedule would invoke, as if it were due at `at` (epoch seconds)."""
    due = datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    aws.client("lambda").invoke(
        FunctionName=schedule.target["arn"],
        Payload=(schedule.target.get("input") or "{}").replace(_SCHEDULED_TIME, due),
        InvocationType="RequestResponse" if wait else "Event",
    )
