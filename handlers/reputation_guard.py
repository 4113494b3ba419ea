"""Lambda `reputation_guard`: what became of a lane's emails, judged whenever more of it is known.

The control table's stream calls it after outcomes were added. It reads the lane and its outcomes anew, so that records
that come twice, late or together change nothing. The rules are `guarding.reputation`'s.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

import boto3

from handlers.adapters import clients
from handlers.adapters.control import Control
from handlers.environment import ReputationGuard
from handlers.guarding.brake import Hold, Holder, Lane, engage, pass_trial
from handlers.guarding.reputation import LONGEST, Finding, Verdict, evidence, judge
from handlers.guarding.tally import DAY, HOUR, Hour, hour_of, outcomes
from handlers.telemetry import contract, tracing
from handlers.telemetry.contract import Property
from handlers.telemetry.logs import make_logger
from handlers.telemetry.metrics import emit
from handlers.telemetry.spend import Meter

NAME = "reputation_guard"

env = ReputationGuard.read(os.environ)
tracing.start(stack=env.stack)
log = make_logger(NAME, level=env.log_level, stack=env.stack)
dynamodb = boto3.client("dynamodb", config=clients.CONFIG)
control = Control(dynamodb, env.control_table)
meter = Meter(env.stack, env.prices, control, log)
meter.watch(dynamodb)


class NotJudged(Exception):
    """Lanes that could not be judged; the message names them. Lambda then invokes again."""


@meter.metered
def handler(event: Mapping[str, Any], context: Any) -> None:  # noqa: ARG001 - Lambda's signature
    """Records of the control table's stream, of outcomes only (Lambda developer guide, "Using Lambda with DynamoDB").

    Raises:
        NotJudged: after every lane had its turn.
    """
    scopes = {record["dynamodb"]["Keys"]["scope"]["S"] for record in event["Records"]}
    names = sorted(scope.removeprefix(outcomes("")) for scope in scopes if scope.startswith(outcomes("")))
    if failed := [name for name in names if not guard(name)]:
        raise NotJudged(f"not judged: {', '.join(failed)}")


def guard(name: str) -> bool:
    """Whether the lane was judged, and what follows was done. The outermost edge: no fault of one lane reaches
    another."""
    try:
        lane, at = control.lane(name), now()
        if not lane.held:
            act(lane, judge(evidence(lane, told(lane, at), at)), at)
    except Exception:
        log.exception("lane not judged", extra={Property.LANE: name})
        return False
    return True


def told(lane: Lane, at: datetime) -> Iterator[Hour]:
    """The lane's outcomes since its release, newest first. The day's are asked for alone, and the hour before it, which
    tells a busy lane that it needs no others."""
    since = max(lane.start.at, at - LONGEST) if lane.start else at - LONGEST
    recent = max(hour_of(at - DAY - HOUR), since)
    scope = outcomes(lane.name)
    yield from control.hours(scope, recent, at, newest_first=True)
    if since < recent:
        yield from control.hours(scope, since, hour_of(recent) - HOUR, newest_first=True)


def act(lane: Lane, verdict: Verdict, at: datetime) -> None:
    """Do what follows from a verdict. A lane that was released in between is left alone: the evidence is of before."""
    said = {Property.LANE.value: lane.name, Property.REASON.value: verdict.reason}
    match verdict.finding:
        case Finding.TRIP:
            hold = Hold(holder=Holder.REPUTATION, by=NAME, reason=verdict.reason, since=at)
            control.alter(lane.name, lambda found: engage(found, hold) if found.start == lane.start else found)
            log.warning("held", extra=said)
        case Finding.PASSED:
            control.alter(
                lane.name,
                lambda found: (
                    pass_trial(found, at=at, by=NAME, reason=verdict.reason) if found.start == lane.start else found
                ),
            )
            log.info("trial passed", extra=said)
        case Finding.WARN:
            emit(env.stack, {contract.REPUTATION_WARNINGS: 1}, **said)
            log.warning("close to being held", extra=said)


def now() -> datetime:
    return datetime.now(UTC)
