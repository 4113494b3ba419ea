"""Lambda `probe`: on a schedule, how old the oldest open email is, and whether an order comes out as an email.

The pipeline's own metrics say what became of the orders that came. This one says what would become of one that came
now, on a quiet night as well.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import UTC, datetime
from time import monotonic, sleep
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from handlers.adapters import clients
from handlers.adapters.control import Control
from handlers.adapters.ledger import DynamoLedger
from handlers.environment import Probe
from handlers.mail.lifecycle import message_id, milliseconds, timestamp
from handlers.mail.probing import Finding, follow, judge, probe_order
from handlers.telemetry import contract, tracing
from handlers.telemetry.contract import LANE_ATTRIBUTE, Lane, Property
from handlers.telemetry.logs import make_logger
from handlers.telemetry.metrics import emit
from handlers.telemetry.spend import Meter

env = Probe.read(os.environ)
tracing.start(stack=env.stack)
log = make_logger("probe", level=env.log_level, stack=env.stack)
dynamodb = boto3.client("dynamodb", config=clients.CONFIG)
meter = Meter(env.stack, env.prices, Control(dynamodb, env.control_table), log)
ledger = DynamoLedger(meter.watch(dynamodb), env.ledger_table)
sns = meter.watch(boto3.client("sns", config=clients.CONFIG))


@meter.metered
def handler(event: Mapping[str, Any], context: Any) -> dict[str, Any]:  # noqa: ARG001 - Lambda's signature
    """What the schedule sends says nothing. A ledger that cannot be asked for its open emails stops no probe, and then
    fails the invocation. Nobody reads what a scheduled run returns; `ops gate` does, which runs it after a deployment.
    """
    try:
        measure_oldest_open()
    except Exception:
        log.exception("age of the oldest open email not measured")
        raise
    finally:
        found = probe()
    return found


def measure_oldest_open() -> None:
    """Emit the age of the oldest email of a customer whose outcome is not known, with its ids."""
    lane = Lane.CONFIRMATION.value
    with tracing.traced("oldest-open", tracing.always_sampled(), lane=lane):
        oldest = ledger.oldest_open(lane)
    if oldest is None:
        emit(env.stack, {contract.OLDEST_OPEN_EMAIL: 0})
        return
    age = milliseconds(oldest.claimed_at, timestamp(now())) / 1000
    ids = {Property.ORDER_ID.value: oldest.order_id, Property.MESSAGE_ID.value: oldest.message_id}
    emit(env.stack, {contract.OLDEST_OPEN_EMAIL: age}, **ids)


def probe() -> dict[str, Any]:
    """Publish an order as an order system does, and say whether the ledger calls its email DELIVERED in time.

    Returns:
        `orderId`, `status`, `reason` ("" if it was delivered) and `latencyMs` (None if it was not).

    An AWS call that fails is a failed probe: an order system would have met the same.

    The trace is always kept: probes are few, and after a failed one it is the first thing to look at.
    """
    order_id, body = probe_order(now())
    email = message_id(order_id, Lane.PROBE)
    with tracing.traced("probe", tracing.always_sampled(), lane=Lane.PROBE.value, order_id=order_id) as trace_id:
        try:
            publish(body)
            row = follow(
                lambda: ledger.get(order_id, email), seconds=env.probe_seconds, monotonic=monotonic, sleep=sleep
            )
            finding = judge(row, env.probe_seconds)
        except (ClientError, BotoCoreError) as error:
            finding = Finding("", f"{type(error).__name__}: {error}")
        tracing.annotate(message_id=email, outcome=finding.status)
    told: dict[str, str | float] = {
        Property.ORDER_ID.value: order_id,
        Property.MESSAGE_ID.value: email,
        Property.TRACE_ID.value: trace_id,
        Property.LANE.value: Lane.PROBE.value,
        Property.REASON.value: finding.reason,
        "status": finding.status,
        **({} if finding.latency is None else {"latency_ms": finding.latency}),
    }
    if finding.failed:
        log.error("probe failed", extra=told)
    else:
        log.info("probe delivered", extra=told)
    emit(env.stack, {contract.PROBE_FAILURES: int(finding.failed)}, **told)
    return {
        "orderId": order_id,
        "status": finding.status,
        "reason": finding.reason,
        "latencyMs": finding.latency,
    }


def publish(body: str) -> None:
    """Put an order of the probe's lane on the topic."""
    sns.publish(
        TopicArn=env.topic_arn,
        Message=body,
        MessageAttributes={LANE_ATTRIBUTE: {"DataType": "String", "StringValue": Lane.PROBE.value}},
    )


def now() -> datetime:
    return datetime.now(UTC)
