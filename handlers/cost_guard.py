"""Lambda `cost_guard`: AWS Budgets' notifications from SQS in, lanes held, people told.

Budgets is 8 to 12 hours late: what stops a runaway in minutes is the gate (`handlers/gate.py`). This holds what the
budget of the month says, by the bill itself.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import boto3

from handlers.adapters import clients
from handlers.adapters.alarms import Topics
from handlers.adapters.control import Control
from handlers.environment import CostGuard
from handlers.guarding.brake import Hold, Holder, Lane, engage
from handlers.guarding.budgets import (
    BudgetAlert,
    MalformedBudgetAlert,
    chat,
    lanes_held_by,
    message,
    parse_alert,
    reason_of,
    subject,
)
from handlers.mail.envelope import unwrap
from handlers.telemetry import tracing
from handlers.telemetry.contract import Property
from handlers.telemetry.logs import make_logger
from handlers.telemetry.spend import Meter

env = CostGuard.read(os.environ)
tracing.start(stack=env.stack)
log = make_logger("cost_guard", level=env.log_level, stack=env.stack)
dynamodb = boto3.client("dynamodb", config=clients.CONFIG)
control = Control(dynamodb, env.control_table)
meter = Meter(env.stack, env.prices, control, log)
meter.watch(dynamodb)
topics = Topics(meter.watch(boto3.client("sns", config=clients.CONFIG)), {"ticket": env.ticket_topic_arn})


@meter.metered
def handler(event: Mapping[str, Any], context: Any) -> dict[str, Any]:  # noqa: ARG001 - Lambda's signature
    """An SQS event in, `batchItemFailures` out; what cannot be read ends in the dead-letter queue."""
    return {
        "batchItemFailures": [
            {"itemIdentifier": record["messageId"]} for record in event["Records"] if not settled(record)
        ]
    }


def settled(record: Mapping[str, Any]) -> bool:
    """Whether the queue may delete the message. The outermost edge: no fault of one message reaches another."""
    with tracing.traced("budget", record["attributes"].get("AWSTraceHeader")) as trace_id:
        ids = {Property.TRACE_ID.value: trace_id}
        try:
            act(parse_alert(unwrap(record["body"])), again=record["attributes"]["ApproximateReceiveCount"] != "1")
        except MalformedBudgetAlert as malformed:
            log.error("budget notification not understood", extra={**ids, Property.REASON.value: str(malformed)})
            return False
        except Exception:
            log.exception("budget notification not acted on", extra=ids)
            return False
    return True


def act(alert: BudgetAlert, *, again: bool) -> None:
    """Hold the lanes of the alert's threshold, and then tell people.

    An alert that holds nothing new is told again only if it comes `again`, as the same message: then what failed the
    time before may have been the telling.
    """
    lanes = lanes_held_by(alert, env.budget_holds)
    reason = reason_of(alert)
    held = [lane for lane in lanes if hold(lane, reason)]
    log.warning("budget threshold crossed", extra={Property.REASON.value: reason, "lanes": lanes, "held": held})
    if held or again or not lanes:
        title, text = subject(alert, env.stack, lanes), message(alert, lanes)
        topics.tell("ticket", subject=title, text=text, chat=chat(title, text))


def hold(lane: str, reason: str) -> bool:
    """Have the budget hold the lane; whether it did not before."""

    def held(before: Lane) -> Lane:
        return engage(before, Hold(holder=Holder.BUDGET, by="cost_guard", reason=reason, since=now()))

    return control.alter(lane, held)[1]


def now() -> datetime:
    return datetime.now(UTC)
