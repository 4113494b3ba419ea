"""What SES tells us about an email, turned into evidence for its row.

Source of the shapes: Amazon SES developer guide, "Contents of event data that Amazon SES publishes to Amazon SNS".
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from handlers.mail.lifecycle import Evidence, Milestone, Row, milliseconds, timestamp
from handlers.telemetry import contract
from handlers.telemetry.contract import Metric

TOPIC_TEST = "Successfully validated SNS topic for Amazon SES event publishing."
"""What SES publishes once, as plain text, when an event destination is made. It says nothing about any email."""


class MalformedFeedback(ValueError):
    """Not an SES event, though it came from SES's topic: kept by the dead-letter queue, as the fault is ours."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Feedback:
    """One SES event.

    Attributes:
        message_id: our id of the email, from its tags; "" when the email is not one of ours.
        order_tag: the order id as the tag has it.
        evidence: what the event proves.
        metric: how the event is counted; None for `Send`, which our own sender counts.
    """

    message_id: str
    order_tag: str
    evidence: Evidence
    metric: Metric | None


def parse_feedback(body: str) -> Feedback | None:
    """The event in `body`; None for SES's test notification and for events that say nothing of delivery.

    Raises:
        MalformedFeedback: `body` is not an SES event.
    """
    if body.strip() == TOPIC_TEST:
        return None
    try:
        event = json.loads(body)
        # Configuration sets write eventType, identities notificationType.
        kind = event.get("eventType") or event["notificationType"]
        if kind not in _READERS:
            return None
        milestone, metric, at, reason = _READERS[kind](event)
        mail = event["mail"]
        tags = mail.get("tags") or {}
        return Feedback(
            message_id=_first(tags, "message_id"),
            order_tag=_first(tags, "order"),
            evidence=Evidence(
                milestone=milestone,
                at=timestamp(datetime.fromisoformat(at)),
                reason=_text(reason),
                ses_message_id=_text(mail["messageId"]),
            ),
            metric=metric,
        )
    except (ValueError, LookupError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise MalformedFeedback(f"not an SES event ({type(error).__name__}: {error})") from None


_DELIVERED_OR_NOT: Mapping[Milestone, int] = {Milestone.DELIVERED: 0, Milestone.SOFT_BOUNCE: 1, Milestone.REJECTED: 1}
"""What settles whether sent mail was delivered, and whether by a miss. An address that does not exist, is suppressed or
complains is none of our doing, and settles nothing."""


def points(row: Row, feedback: Feedback, lag: float) -> dict[Metric, float]:
    """What an event adds to the metrics, if it is the first to tell of its milestone.

    An email is delivered or missed once, by whichever tells first: an out-of-office reply, which SES calls a transient
    bounce, is no miss of an email that has arrived. Should SES tell of the reply before it tells of the delivery, it is
    taken for one.

    Args:
        row: the email, with the event folded in.
        feedback: the event.
        lag: milliseconds from the event at SES to its record in the ledger.
    """
    milestone = feedback.evidence.milestone
    told: dict[Metric, float] = {contract.FEEDBACK_MISSES: int(lag > contract.FEEDBACK_WITHIN_MS)}
    if feedback.metric:
        told[feedback.metric] = 1
    if milestone is Milestone.DELIVERED:
        told[contract.DELIVERY_LATENCY] = milliseconds(row.published_at, row.milestones[milestone])
    if _DELIVERED_OR_NOT.keys() & row.milestones.keys() == {milestone}:
        told[contract.DELIVERY_MISSES] = _DELIVERED_OR_NOT[milestone]
    return told


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r:.60} where text belongs")
    return value


def _first(tags: Mapping[str, Any], name: str) -> str:
    values = tags.get(name) or [""]
    return str(values[0])


_Read = tuple[Milestone, Metric | None, str, str]


def _send(event: Mapping[str, Any]) -> _Read:
    return Milestone.SENT, None, event["mail"]["timestamp"], ""


def _delivery(event: Mapping[str, Any]) -> _Read:
    return Milestone.DELIVERED, contract.DELIVERIES, event["delivery"]["timestamp"], ""


def _bounce(event: Mapping[str, Any]) -> _Read:
    bounce = event["bounce"]
    told = "; ".join(filter(None, (r.get("diagnosticCode") for r in bounce.get("bouncedRecipients", []))))
    reason = f"{bounce['bounceType']}/{bounce['bounceSubType']}" + (f": {told}" if told else "")
    if bounce["bounceSubType"] in ("Suppressed", "OnAccountSuppressionList"):
        return Milestone.SUPPRESSED, contract.SUPPRESSIONS, bounce["timestamp"], reason
    if bounce["bounceType"] == "Permanent":
        return Milestone.BOUNCE, contract.BOUNCES, bounce["timestamp"], reason
    return Milestone.SOFT_BOUNCE, contract.SOFT_BOUNCES, bounce["timestamp"], reason


def _complaint(event: Mapping[str, Any]) -> _Read:
    complaint = event["complaint"]
    reason = complaint.get("complaintFeedbackType") or complaint.get("complaintSubType") or "no type given"
    if complaint.get("complaintSubType") == "OnAccountSuppressionList":
        return Milestone.SUPPRESSED, contract.SUPPRESSIONS, complaint["timestamp"], f"Complaint/{reason}"
    return Milestone.COMPLAINT, contract.COMPLAINTS, complaint["timestamp"], reason


def _reject(event: Mapping[str, Any]) -> _Read:
    return Milestone.REJECTED, contract.REJECTS, event["mail"]["timestamp"], event["reject"]["reason"]


def _rendering_failure(event: Mapping[str, Any]) -> _Read:
    return Milestone.REJECTED, contract.REJECTS, event["mail"]["timestamp"], event["failure"]["errorMessage"]


def _delay(event: Mapping[str, Any]) -> _Read:
    delay = event["deliveryDelay"]
    return Milestone.DELAYED, contract.DELIVERY_DELAYS, delay["timestamp"], delay["delayType"]


_READERS: Mapping[str, Callable[[Mapping[str, Any]], _Read]] = {
    "Send": _send,
    "Delivery": _delivery,
    "Bounce": _bounce,
    "Complaint": _complaint,
    "Reject": _reject,
    "Rendering Failure": _rendering_failure,
    "DeliveryDelay": _delay,
}
