"""Every name that handlers emit and components watch, declared once.

Standard library only, so that infrastructure code, offline tools and the handlers can all import it.

A metric's dimensions are few and bounded: each distinct combination is billed as a metric of its own
(docs/adr/0004). What identifies one order (order id, message id, trace id) is a property of the record, not a
dimension: searchable in Logs Insights, free in CloudWatch Metrics.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

NAMESPACE = "Mailroom"

MOST_SERIES = 10
"""Most series that one metric may become in one stack: 3 USD a month, and as many lines as one graph can show."""


class Unit(StrEnum):
    """CloudWatch's own unit names (MetricDatum, `Unit`)."""

    COUNT = "Count"
    MILLISECONDS = "Milliseconds"
    SECONDS = "Seconds"
    NONE = "None"


@dataclass(frozen=True, slots=True)
class Dimension:
    """A dimension of our metrics. `most` is how many values one stack sends of it; one that has no bound, such as an
    order id, cannot be declared."""

    name: str
    most: int


STACK = Dimension("Stack", most=1)
"""The one dimension: which deployment speaks. Stacks that share an account and a region stay apart by it."""


@dataclass(frozen=True, slots=True)
class Metric:
    """One declared metric: what CloudWatch calls it, what it counts, and what its points mean.

    Raises:
        ValueError: its dimensions would make more than MOST_SERIES series of it, or have no bound.
    """

    name: str
    unit: Unit
    meaning: str
    dimensions: tuple[Dimension, ...] = (STACK,)

    def __post_init__(self) -> None:
        bounds = [dimension.most for dimension in self.dimensions]
        if min(bounds) < 1 or math.prod(bounds) > MOST_SERIES:
            raise ValueError(
                f"metric {self.name} could become {math.prod(bounds)} series, allowed are 1 to {MOST_SERIES}: make what"
                " identifies one order a property of the record, not a dimension"
            )

    @property
    def series(self) -> int:
        """The most series that it becomes in one stack."""
        return math.prod(dimension.most for dimension in self.dimensions)


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
FEEDBACK_UNMATCHED = Metric(
    "FeedbackUnmatched", Unit.COUNT, "SES events that name no row of the ledger (foreign mail, or an expired row)."
)

# What the objectives are made of (components/objectives.py): each point is 1 for a miss and 0 for a hit, so the
# average is the share missed, the sum the misses and the sample count what was measured, all from one paid metric.
SEND_MISSES = Metric(
    "SendMisses",
    Unit.COUNT,
    "0 for an accepted order that was sent within 30 s of its publication; 1 for one sent later, FAILED or UNKNOWN.",
)
DELIVERY_MISSES = Metric(
    "DeliveryMisses",
    Unit.COUNT,
    "0 for a delivered email, 1 for one that was given up (soft bounce, reject). Addresses that do not exist or are"
    " suppressed are the customer's, and have no point.",
)
FEEDBACK_MISSES = Metric(
    "FeedbackMisses", Unit.COUNT, "0 for an SES event that was recorded within 60 s, 1 for one recorded later."
)

OLDEST_OPEN_EMAIL = Metric(
    "OldestOpenEmail", Unit.SECONDS, "Age of the oldest email whose outcome is not known yet; 0 when there is none."
)
PROBE_FAILURES = Metric(
    "ProbeFailures", Unit.COUNT, "0 for a probe that was DELIVERED in time, 1 for one that was not."
)

BRAKE_ENGAGED = Metric(
    "BrakeEngaged",
    Unit.COUNT,
    "Lanes that are held, told while there are any and once when there are none any more.",
)
BRAKE_FAULTS = Metric(
    "BrakeFaults",
    Unit.COUNT,
    "1 for a lane that could not be brought to what it should be, or whose outcomes could not be counted: its guard is"
    " blind.",
)

ESTIMATED_SPEND = Metric(
    "EstimatedSpend",
    Unit.NONE,
    "USD that an invocation's billable calls cost by the price sheet; an estimate, minutes old instead of hours.",
)

REPUTATION_WARNINGS = Metric(
    "ReputationWarnings", Unit.COUNT, "1 when the reputation guard warns of a lane, before it would hold it."
)

METRICS: tuple[Metric, ...] = tuple(value for value in list(globals().values()) if isinstance(value, Metric))


METERED: tuple[str, ...] = (
    "ses.email",
    "dynamodb.read",
    "dynamodb.write",
    "lambda.gb-second.arm64",
    "lambda.request",
    "logs.gb",
    "sns.publish",
    "sqs.request",
    "xray.trace",
)
"""What the handlers count of their own calls, by the names of the price sheet; each has to have a price."""


class Lane(StrEnum):
    """What an order message is for; the SNS message attribute `messageType`, and the `kind` of its row.

    Business metrics count confirmations only: a probe is a real order on the same way, and nobody's.
    """

    CONFIRMATION = "order-confirmation"
    PROBE = "probe"


LANE_ATTRIBUTE = "messageType"


class Property(StrEnum):
    """Keys that log lines, metric records and trace annotations share, so that one search joins them."""

    ORDER_ID = "order_id"
    MESSAGE_ID = "message_id"
    TRACE_ID = "trace_id"
    SES_MESSAGE_ID = "ses_message_id"
    REASON = "reason"
    LANE = "lane"
    HOLDER = "holder"
    """Who holds a lane."""
    BY = "by"
    SINCE = "since"
    SEND_LATENCY = "send_latency_ms"
    """From the order's publication to SES accepting the email."""
    FEEDBACK_LAG = "feedback_lag_ms"
    """From an event at SES to its record in the ledger."""


SEND_WITHIN_MS = 30_000
FEEDBACK_WITHIN_MS = 60_000
"""What the objectives promise; the handlers judge each email by them as it happens."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AlarmCard:
    """What an alarm says about itself: its description on CloudWatch, which is also all that a notification brings.

    Attributes:
        summary: one line: what is wrong, for whom.
        severity: `page` or `ticket`.
        runbook: address of the runbook's section.
        because: where the threshold comes from and what it cannot see.
        missing: what missing data means, and why.
    """

    summary: str
    severity: str
    runbook: str
    because: str
    missing: str

    def text(self) -> str:
        """The description: Markdown, as the console renders it.

        Raises:
            ValueError: it is over CloudWatch's 1024 characters, or a part has a line break.
        """
        if broken := [part for part in (self.summary, self.runbook, self.because, self.missing) if "\n" in part]:
            raise ValueError(f"an alarm's texts are one line each: {broken[0]!r}")
        lines = [
            self.summary,
            "",
            *(f"{key}: {value}" for key, value in zip(_CARD_KEYS, self._details(), strict=True) if value),
        ]
        text = "\n".join(lines)
        if len(text) > 1024:
            raise ValueError(f"the alarm's description is {len(text)} characters long, allowed are 1024: {text[:80]}…")
        return text

    def _details(self) -> tuple[str, ...]:
        return (self.because, self.missing, self.severity, self.runbook)

    @classmethod
    def parse(cls, text: str) -> AlarmCard:
        """The card in a description; of a foreign one the first line is the summary, and what it lacks is empty."""
        lines = (text or "").splitlines()
        found = dict(line.split(": ", 1) for line in lines[1:] if ": " in line)
        because, missing, severity, runbook = (found.get(key, "") for key in _CARD_KEYS)
        return cls(
            summary=lines[0] if lines else "", severity=severity, runbook=runbook, because=because, missing=missing
        )


_CARD_KEYS = ("Threshold", "Missing data", "Severity", "Runbook")
