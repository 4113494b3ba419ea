"""Lambda `record_feedback`: SES's events from SQS in, the ledger's rows moved on; bad addresses onto the suppression
list, and what became of emails into the lanes' tallies."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from handlers.adapters import clients
from handlers.adapters.control import Control
from handlers.adapters.ledger import DynamoLedger
from handlers.adapters.ses import from_tag_value
from handlers.adapters.suppression import SuppressionList
from handlers.environment import RecordFeedback
from handlers.guarding.tally import outcomes
from handlers.mail.consequences import COUNTERS, added, suppression
from handlers.mail.envelope import unwrap
from handlers.mail.feedback import Feedback, MalformedFeedback, parse_feedback, points
from handlers.mail.lifecycle import Evidence, Row, milliseconds, timestamp
from handlers.telemetry import contract, tracing
from handlers.telemetry.contract import Lane, Property
from handlers.telemetry.logs import make_logger
from handlers.telemetry.metrics import emit
from handlers.telemetry.spend import Meter

env = RecordFeedback.read(os.environ)
tracing.start(stack=env.stack)
log = make_logger("record_feedback", level=env.log_level, stack=env.stack)
dynamodb = boto3.client("dynamodb", config=clients.CONFIG)
control = Control(dynamodb, env.control_table)
meter = Meter(env.stack, env.prices, control, log)
ledger = DynamoLedger(meter.watch(dynamodb), env.ledger_table)
suppressed = SuppressionList(dynamodb, env.control_table)
workers = ThreadPoolExecutor(max_workers=10)  # the size of a batch

Counts = Counter[tuple[str, str]]
"""How much to add, by tally and counter."""


@meter.metered
def handler(event: Mapping[str, Any], context: Any) -> dict[str, Any]:  # noqa: ARG001 - Lambda's signature
    """An SQS event in, `batchItemFailures` out; what cannot be read ends in the dead-letter queue."""
    records = event["Records"]
    settled = list(workers.map(settle, records))
    tally(counts for counts in settled if counts)
    return {
        "batchItemFailures": [
            {"itemIdentifier": record["messageId"]}
            for record, counts in zip(records, settled, strict=True)
            if counts is None
        ]
    }


def settle(record: Mapping[str, Any]) -> Counts | None:
    """What the event adds to the tallies, nothing for most; None when the queue has to keep it. The outermost edge: no
    fault of one event reaches another."""
    with tracing.traced("feedback", record["attributes"].get("AWSTraceHeader")) as trace_id:
        try:
            return fold_in(unwrap(record["body"]), trace_id)
        except MalformedFeedback as malformed:
            log.error("feedback not understood", extra={"reason": str(malformed), "trace_id": trace_id})
        except Exception:
            log.exception("feedback not recorded", extra={"trace_id": trace_id})
    return None


def tally(settled: Iterable[Counts]) -> None:
    """Add what a batch's events add, in one write a lane."""
    total: Counts = sum(settled, Counter())
    for scope in sorted({scope for scope, _ in total}):
        amounts = {counter: Decimal(number) for (of, counter), number in total.items() if of == scope}
        try:
            control.add(scope, now(), amounts, slotted=COUNTERS)
        except (BotoCoreError, ClientError):
            # Bringing the events back would count nothing: their rows know them by now, and they are no news. What is
            # lost is a batch's part of a rate, and this line says how much.
            lost = {counter: int(amount) for counter, amount in amounts.items()}
            why = "outcomes not counted"
            log.exception(why, extra={"tally": scope, **lost})
            emit(env.stack, {contract.BRAKE_FAULTS: 1}, tally=scope, **{Property.REASON.value: why})


def fold_in(body: str, trace_id: str) -> Counts:
    """Fold one event into its row, count it and log it; an event that names no row is counted apart. What it adds to
    the tallies is handed back."""
    feedback = parse_feedback(body)
    if feedback is None:
        return Counter()
    evidence = feedback.evidence
    row = _row_of(feedback)
    at = timestamp(now())
    ids = {Property.TRACE_ID.value: trace_id, Property.SES_MESSAGE_ID.value: evidence.ses_message_id}
    if row is None:
        log.warning("feedback names no row", extra={**ids, "milestone": evidence.milestone.value})
        emit(env.stack, {contract.FEEDBACK_UNMATCHED: 1}, **ids)
        return Counter()
    # Before the fold, and whether it is news or not: should one of the two fail, the event comes again, and neither
    # may have been missed.
    listed = suppress(row, evidence)
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
    log.info(evidence.milestone.value, extra=told | ({"suppressed": True} if listed else {}))
    # What is told again is not counted again, and a probe is no customer's email.
    if news and row.kind == Lane.CONFIRMATION:
        lag = milliseconds(evidence.at, at)
        emit(env.stack, points(row, feedback, lag), **ids, **{Property.FEEDBACK_LAG.value: lag})
    counts = added(row, evidence.milestone) if news else {}
    return Counter({(outcomes(row.kind), counter): number for counter, number in counts.items()})


def suppress(row: Row, evidence: Evidence) -> bool:
    """Put the email's address on the suppression list, if the event calls for it; whether that was new."""
    entry = suppression(row, evidence)
    return entry is not None and suppressed.put(entry)


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
