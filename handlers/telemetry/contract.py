"""Every name that handlers emit and components watch, declared once.

Standard library only, so that infrastructure code, offline tools and the handlers can all import it.

A metric's dimensions are few and bounded: each distinct combination is billed as a metric of its own
(docs/adr/0004). What identifies one order (order id, message id, trace id) is a property of the record, not a
dimension: searchable in Logs Insights, free in CloudWatch Metrics.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

NAMESPACE = "Mailroom"

STACK = "Stack"
"""The one dimension: which deployment speaks. Stacks that share an account and a region stay apart by it."""


class Unit(StrEnum):
    """CloudWatch's own unit names (MetricDatum, `Unit`)."""

    COUNT = "Count"
    MILLISECONDS = "Milliseconds"


@dataclass(frozen=True, slots=True)
class Metric:
    """One declared metric: what CloudWatch calls it, what it counts, and what its points mean."""

    name: str
    unit: Unit
    meaning: str
    dimensions: tuple[str, ...] = (STACK,)


ORDERS_RECEIVED = Metric(
    "OrdersReceived",
    Unit.COUNT,
    "Messages taken from the queue, each delivery counted, duplicates and malformed ones included.",
)
EMAILS_SENT = Metric("EmailsSent", Unit.COUNT, "Emails that SES accepted, with an answer we saw.")
SEND_FAILURES = Metric("SendFailures", Unit.COUNT, "Emails that SES refused for good: the row is FAILED.")
SEND_RETRIES = Metric(
    "SendRetries",
    Unit.COUNT,
    "Sends that may work later (throttled, paused, not reached, a letter we could not write): the order is back.",
)
SENDS_UNKNOWN = Metric(
    "SendsUnknown",
    Unit.COUNT,
    "Sends without an answer: the email may or may not have gone out, and nothing is resent.",
)
ORDERS_QUARANTINED = Metric("OrdersQuarantined", Unit.COUNT, "Malformed orders put aside with a reason.")
DUPLICATES_PREVENTED = Metric(
    "DuplicatesPrevented", Unit.COUNT, "Repeated orders that were recognised and not sent again."
)
ORDER_CONFLICTS = Metric(
    "OrderConflicts", Unit.COUNT, "Orders that reuse an order id with another content; the first one stands."
)
TOTAL_MISMATCHES = Metric(
    "TotalMismatches", Unit.COUNT, "Orders sent although their total differs from the sum of their items."
)
SEND_LATENCY = Metric("SendLatency", Unit.MILLISECONDS, "From the order's publication to SES accepting the email.")

DELIVERIES = Metric("Deliveries", Unit.COUNT, "Emails that the recipient's mail server accepted.")
BOUNCES = Metric("Bounces", Unit.COUNT, "Emails that bounced for good (bounceType Permanent).")
SOFT_BOUNCES = Metric(
    "SoftBounces", Unit.COUNT, "Emails given up after a passing fault (bounceType Transient or Undetermined)."
)
COMPLAINTS = Metric("Complaints", Unit.COUNT, "Recipients who marked the email as spam.")
REJECTS = Metric("Rejects", Unit.COUNT, "Emails that SES took and then did not send (virus, rendering failure).")
SUPPRESSIONS = Metric("Suppressions", Unit.COUNT, "Emails not attempted because the address is on a suppression list.")
DELIVERY_DELAYS = Metric("DeliveryDelays", Unit.COUNT, "Delay notices; the email is still being tried.")
DELIVERY_LATENCY = Metric(
    "DeliveryLatency", Unit.MILLISECONDS, "From the order's publication to the recipient's mail server accepting."
)
FEEDBACK_LAG = Metric(
    "FeedbackLag", Unit.MILLISECONDS, "From an event at SES to its record in the ledger: how stale the ledger is."
)
FEEDBACK_UNMATCHED = Metric(
    "FeedbackUnmatched", Unit.COUNT, "SES events that name no row of the ledger (foreign mail, or an expired row)."
)

METRICS: tuple[Metric, ...] = tuple(value for value in list(globals().values()) if isinstance(value, Metric))


class Property(StrEnum):
    """Keys that log lines, metric records and trace annotations share, so that one search joins them."""

    ORDER_ID = "order_id"
    MESSAGE_ID = "message_id"
    TRACE_ID = "trace_id"
    SES_MESSAGE_ID = "ses_message_id"
    REASON = "reason"
