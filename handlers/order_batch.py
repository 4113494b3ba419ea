"""What `send_email` does with a batch: decode, settle each order, report.

Messages of different orders are settled concurrently, those of one order one after the other. Whatever must come back
is reported as a batch item failure; everything else is deleted by the event source mapping.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol

from handlers.mail.envelope import attribute, unwrap
from handlers.mail.lifecycle import lane_of, timestamp
from handlers.mail.orders import MalformedOrder, Order, parse_order
from handlers.mail.sending import Outcome, Result, Sender, backoff, missed, sent_after
from handlers.telemetry import contract, tracing
from handlers.telemetry.contract import LANE_ATTRIBUTE, Lane, Metric, Property

OUTCOMES: Mapping[Outcome, tuple[Metric, int]] = {
    Outcome.SENT: (contract.EMAILS_SENT, logging.INFO),
    Outcome.FAILED: (contract.SEND_FAILURES, logging.ERROR),
    Outcome.UNKNOWN: (contract.SENDS_UNKNOWN, logging.ERROR),
    Outcome.SUPPRESSED: (contract.SUPPRESSIONS, logging.WARNING),
    Outcome.DUPLICATE: (contract.DUPLICATES_PREVENTED, logging.INFO),
    Outcome.CONFLICT: (contract.ORDER_CONFLICTS, logging.WARNING),
    Outcome.RETRY: (contract.SEND_RETRIES, logging.WARNING),
}
"""How each outcome is counted and how loudly it is logged."""


@dataclass(frozen=True, slots=True)
class Message:
    """One SQS record, decoded. `body` is the order as published; `order` the order, or what is wrong with it."""

    record: Mapping[str, Any]
    body: str
    order: Order | MalformedOrder
    lane: Lane

    @property
    def id(self) -> str:
        return str(self.record["messageId"])

    @property
    def published_at(self) -> datetime:
        """When SNS handed it to the queue, which is within milliseconds of its publication."""
        return datetime.fromtimestamp(int(self.record["attributes"]["SentTimestamp"]) / 1000, UTC)

    @property
    def trace_header(self) -> str | None:
        header: str | None = self.record["attributes"].get("AWSTraceHeader")
        return header


class Aside(Protocol):
    """Where orders that cannot be sent as they are go; `handlers.adapters.queues.Quarantine` is the real one."""

    def put(self, body: str, **attributes: str) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """Settles order messages.

    Args:
        sender: the send protocol.
        quarantine: takes malformed and conflicting orders.
        bring_back: has the queue deliver a message again in so many seconds: (record, seconds).
        count: adds to metrics, with the ids of the order as properties; only called for orders of customers.
        log: one line an order.
    """

    sender: Sender
    quarantine: Aside
    bring_back: Callable[[Mapping[str, Any], int], None]
    count: Callable[..., None]
    log: logging.Logger

    def settle_all(self, records: Iterable[Mapping[str, Any]], workers: Executor) -> dict[str, Any]:
        """The reply to an SQS event: the messages that have to come back (`batchItemFailures`)."""
        orders: defaultdict[str, list[Message]] = defaultdict(list)
        for message in map(decode, records):
            orders[message.order.order_id or message.id].append(message)
        failed = workers.map(
            lambda messages: [message.id for message in messages if not self._settled(message)], orders.values()
        )
        return {"batchItemFailures": [{"itemIdentifier": id_} for ids in failed for id_ in ids]}

    def _settled(self, message: Message) -> bool:
        """Whether the queue may delete the message. The outermost edge: no fault of one order reaches another."""
        order = message.order
        with tracing.traced(
            "order", message.trace_header, lane=message.lane.value, order_id=order.order_id
        ) as trace_id:
            try:
                if isinstance(order, MalformedOrder):
                    return self._put_aside(message, order, trace_id)
                return self._confirm(message, order, trace_id)
            except Exception:
                ids = _ids(order.order_id, trace_id)
                self.log.exception("order not settled", extra=_told(message, ids))
                self._count(message, {contract.SEND_RETRIES: 1}, **ids)
                return False

    def _confirm(self, message: Message, order: Order, trace_id: str) -> bool:
        result = self.sender.send_once(
            order, message.body, lane=message.lane, published_at=message.published_at, trace_id=trace_id
        )
        row = result.row
        ids = {
            **_ids(order.order_id, trace_id),
            Property.MESSAGE_ID.value: row.message_id,
            Property.SES_MESSAGE_ID.value: row.ses_message_id,
            Property.REASON.value: result.reason,
        }
        tracing.annotate(message_id=row.message_id, outcome=result.outcome.value)
        # Before the counting: if one of these fails, the message comes back and is counted as that, once.
        if result.outcome is Outcome.CONFLICT:
            self.quarantine.put(
                message.record["body"],
                code="order-conflict",
                reason=f"order {order.order_id} was taken before with another content; that one stands",
                **_context(message, order.order_id, trace_id),
            )
        if result.outcome is Outcome.RETRY:
            self.bring_back(message.record, backoff(int(message.record["attributes"]["ApproximateReceiveCount"])))
        metric, level = OUTCOMES[result.outcome]
        more = {"attempt": row.attempts, "sandbox": row.sandboxed}
        self.log.log(level, result.outcome.value, extra={**_told(message, ids), **more})
        took = {Property.SEND_LATENCY.value: sent_after(row)} if result.outcome is Outcome.SENT else {}
        self._count(message, {metric: 1, **_observed(order, result)}, **ids, **took)
        return result.outcome is not Outcome.RETRY

    def _put_aside(self, message: Message, malformed: MalformedOrder, trace_id: str) -> bool:
        context = _context(message, malformed.order_id, trace_id)
        # The body as the queue had it: what was inside an envelope may hold characters that SQS does not take.
        self.quarantine.put(message.record["body"], code=malformed.code, reason=str(malformed), **context)
        ids = _ids(malformed.order_id, trace_id)
        # Fields but not values: a value may be somebody's address.
        fields = [fault.field for fault in malformed.faults]
        self.log.warning("quarantined", extra={**_told(message, ids), "code": malformed.code, "fields": fields})
        self._count(message, {contract.ORDERS_QUARANTINED: 1}, **ids, reason=malformed.code)
        return True

    def _count(self, message: Message, values: Mapping[Metric, float], **properties: str | float) -> None:
        """Business metrics are about customers: what becomes of a probe, the prober counts."""
        if message.lane is Lane.CONFIRMATION:
            self.count(values, **properties)


def decode(record: Mapping[str, Any]) -> Message:
    """The order in an SQS record, raw or in an SNS envelope, or what is wrong with it."""
    body = unwrap(record["body"])
    # SNS hands attributes on beside a raw message, and else within the envelope.
    beside = record.get("messageAttributes", {}).get(LANE_ATTRIBUTE, {}).get("stringValue")
    lane = lane_of(beside or attribute(record["body"], LANE_ATTRIBUTE))
    try:
        return Message(record, body, parse_order(body), lane)
    except MalformedOrder as malformed:
        return Message(record, body, malformed, lane)


def _observed(order: Order, result: Result) -> dict[Metric, float]:
    """What an order adds beside the count of its outcome."""
    miss = missed(result)
    return {
        **({} if miss is None else {contract.SEND_MISSES: int(miss)}),
        **({contract.TOTAL_MISMATCHES: 1} if result.outcome is Outcome.SENT and order.flags else {}),
    }


def _ids(order_id: str, trace_id: str) -> dict[str, str]:
    return {Property.ORDER_ID.value: order_id, Property.TRACE_ID.value: trace_id}


def _told(message: Message, ids: Mapping[str, str]) -> dict[str, str]:
    """What a log line says of a message; a probe's is told from a customer's by the lane."""
    return {**ids, Property.LANE.value: message.lane.value}


def _context(message: Message, order_id: str, trace_id: str) -> dict[str, str]:
    """What goes into quarantine with a message; the lane, so that it comes back in it."""
    return {
        LANE_ATTRIBUTE: message.lane.value,
        "originalMessageId": message.id,
        "orderId": order_id,
        "receivedAt": timestamp(message.published_at),
        "traceId": trace_id,
    }
