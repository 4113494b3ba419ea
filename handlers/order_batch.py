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

from handlers.mail.envelope import unwrap
from handlers.mail.lifecycle import timestamp
from handlers.mail.orders import MalformedOrder, Order, parse_order
from handlers.mail.sending import Outcome, Result, Sender, backoff
from handlers.telemetry import contract, tracing
from handlers.telemetry.contract import Metric, Property

OUTCOMES: Mapping[Outcome, tuple[Metric, int]] = {
    Outcome.SENT: (contract.EMAILS_SENT, logging.INFO),
    Outcome.FAILED: (contract.SEND_FAILURES, logging.ERROR),
    Outcome.UNKNOWN: (contract.SENDS_UNKNOWN, logging.ERROR),
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
        count: adds to metrics, with the ids of the order as properties.
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
        with tracing.traced("order", message.trace_header, order_id=order.order_id) as trace_id:
            try:
                if isinstance(order, MalformedOrder):
                    return self._put_aside(message, order, trace_id)
                return self._confirm(message, order, trace_id)
            except Exception:
                self.log.exception("order not settled", extra=_ids(order.order_id, trace_id))
                self.count({contract.ORDERS_RECEIVED: 1, contract.SEND_RETRIES: 1}, **_ids(order.order_id, trace_id))
                return False

    def _confirm(self, message: Message, order: Order, trace_id: str) -> bool:
        result = self.sender.send_once(order, message.body, published_at=message.published_at, trace_id=trace_id)
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
        self.log.log(level, result.outcome.value, extra={**ids, "attempt": row.attempts, "sandbox": row.sandboxed})
        self.count({contract.ORDERS_RECEIVED: 1, metric: 1, **_observed(message, order, result)}, **ids)
        return result.outcome is not Outcome.RETRY

    def _put_aside(self, message: Message, malformed: MalformedOrder, trace_id: str) -> bool:
        context = _context(message, malformed.order_id, trace_id)
        # The body as the queue had it: what was inside an envelope may hold characters that SQS does not take.
        self.quarantine.put(message.record["body"], code=malformed.code, reason=str(malformed), **context)
        ids = _ids(malformed.order_id, trace_id)
        # Fields but not values: a value may be somebody's address.
        fields = [fault.field for fault in malformed.faults]
        self.log.warning("quarantined", extra={**ids, "code": malformed.code, "fields": fields})
        self.count({contract.ORDERS_RECEIVED: 1, contract.ORDERS_QUARANTINED: 1}, **ids, reason=malformed.code)
        return True


def decode(record: Mapping[str, Any]) -> Message:
    """The order in an SQS record, raw or in an SNS envelope, or what is wrong with it."""
    body = unwrap(record["body"])
    try:
        return Message(record, body, parse_order(body))
    except MalformedOrder as malformed:
        return Message(record, body, malformed)


def _observed(message: Message, order: Order, result: Result) -> dict[Metric, float]:
    """What a sent email adds beside its count."""
    if result.outcome is not Outcome.SENT:
        return {}
    sent_at = datetime.fromisoformat(result.row.last_updated)
    latency = (sent_at - message.published_at).total_seconds() * 1000
    return {contract.SEND_LATENCY: max(latency, 0.0), **({contract.TOTAL_MISMATCHES: 1} if order.flags else {})}


def _ids(order_id: str, trace_id: str) -> dict[str, str]:
    return {Property.ORDER_ID.value: order_id, Property.TRACE_ID.value: trace_id}


def _context(message: Message, order_id: str, trace_id: str) -> dict[str, str]:
    return {
        "originalMessageId": message.id,
        "orderId": order_id,
        "receivedAt": timestamp(message.published_at),
        "traceId": trace_id,
    }
