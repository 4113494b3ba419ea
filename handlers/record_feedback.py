"""Lambda `record_feedback`: SES's events from SQS in, the ledger's rows moved on."""

from __future__ import annotations

import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import boto3

from handlers.adapters import clients
from handlers.adapters.ledger import DynamoLedger
from handlers.adapters.ses import from_tag_value
from handlers.environment import RecordFeedback
from handlers.mail.envelope import unwrap
from handlers.mail.feedback import Feedback, MalformedFeedback, parse_feedback, points
from handlers.mail.lifecycle import Row, milliseconds, timestamp
from handlers.telemetry import contract, tracing
from handlers.telemetry.contract import Lane, Property
from handlers.telemetry.logs import make_logger
from handlers.telemetry.metrics import emit

env = RecordFeedback.read(os.environ)
tracing.start(stack=env.stack)
ledger = DynamoLedger(boto3.client("dynamodb", config=clients.CONFIG), env.ledger_table)
log = make_logger("record_feedback", level=env.log_level, stack=env.stack)
workers = ThreadPoolExecutor(max_workers=10)  # the size of a batch


def handler(event: Mapping[str, Any], context: Any) -> dict[str, Any]:  # noqa: ARG001 - Lambda's signature
    """An SQS event in, `batchItemFailures` out; what cannot be read ends in the dead-letter queue."""
    records = event["Records"]
    settled = workers.map(settle, records)
    return {
        "batchItemFailures": [
            {"itemIdentifier": record["messageId"]} for record, done in zip(records, settled, strict=True) if not done
        ]
    }


def settle(record: Mapping[str, Any]) -> bool:
    """Whether the queue may delete the event. The outermost edge: no fault of one event reaches another."""
    with tracing.traced("feedback", record["attributes"].get("AWSTraceHeader")) as trace_id:
        try:
            fold_in(unwrap(record["body"]), trace_id)
        except MalformedFeedback as malformed:
            log.error("feedback not understood", extra={"reason": str(malformed), "trace_id": trace_id})
            return False
        except Exception:
            log.exception("feedback not recorded", extra={"trace_id": trace_id})
            return False
    return True


def fold_in(body: str, trace_id: str) -> None:
    """Fold one event into its row, count it and log it; an event that names no row is counted apart."""
    feedback = parse_feedback(body)
    if feedback is None:
        return
    evidence = feedback.evidence
    row = _row_of(feedback)
    at = timestamp(now())
    ids = {Property.TRACE_ID.value: trace_id, Property.SES_MESSAGE_ID.value: evidence.ses_message_id}
    if row is None:
        log.warning("feedback names no row", extra={**ids, "milestone": evidence.milestone.value})
        emit(env.stack, {contract.FEEDBACK_UNMATCHED: 1}, **ids)
        return
    row, news = ledger.learn(row, evidence, at)
    # The order's own trace is the one to follow; the feedback's leads to it by this annotation.
    tracing.annotate(lane=row.kind, order_id=row.order_id, message_id=row.message_id, order_trace_id=row.trace_id)
    ids |= {
        Property.ORDER_ID.value: row.order_id,
        Property.MESSAGE_ID.value: row.message_id,
        Property.TRACE_ID.value: row.trace_id,
        Property.REASON.value: evidence.reason,
    }
    told = {**ids, Property.LANE.value: row.kind, "status": row.status.value, "news": news}
    log.info(evidence.milestone.value, extra=told)
    # What is told again is not counted again, and a probe is no customer's email.
    if news and row.kind == Lane.CONFIRMATION:
        lag = milliseconds(evidence.at, at)
        emit(env.stack, points(row, feedback, lag), **ids, **{Property.FEEDBACK_LAG.value: lag})


def _row_of(feedback: Feedback) -> Row | None:
    """The row that the email's tags name; None for tags that are missing or not of our making."""
    if not (feedback.message_id and feedback.order_tag):
        return None
    try:
        order_id = from_tag_value(feedback.order_tag)
    except ValueError:
        return None
    return ledger.get(order_id, feedback.message_id)


def now() -> datetime:
    return datetime.now(UTC)
