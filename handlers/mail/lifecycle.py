"""The life of one email, as pure functions: what a row says, what evidence changes, who may send.

Feedback from SES is duplicated, late and out of order, and sometimes here before our own note that the email was
sent. So a row never stores an opinion that depends on arrival: it stores milestones, each with the earliest time it
is known for, and its status is read off the highest milestone reached. Taking the earliest time and the highest
milestone are both commutative and idempotent, so any order and any number of copies of the same evidence end in the
same row.

Times are ISO 8601 in UTC with milliseconds (`2026-11-22T15:06:01.123Z`): one width, so text order is time order.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from enum import StrEnum

from handlers.telemetry.contract import Lane

_MESSAGE_NAMESPACE = uuid.UUID("5d6f7e0a-3b7c-5c53-9f0e-6d61696c726d")


class Status(StrEnum):
    """Where an email stands. The words are the wire format of the ledger and of `ops status`."""

    SUBMITTING = "SUBMITTING"
    UNKNOWN = "UNKNOWN"
    SENT = "SENT"
    DELAYED = "DELAYED"
    FAILED = "FAILED"
    BOUNCE = "BOUNCE"
    DELIVERED = "DELIVERED"
    REJECTED = "REJECTED"
    SUPPRESSED = "SUPPRESSED"
    COMPLAINT = "COMPLAINT"


class Milestone(StrEnum):
    """What can be known of an email; the value is the ledger attribute that holds when."""

    SUBMITTING = "submittingAt"
    UNKNOWN = "unknownAt"
    SENT = "sentAt"
    DELAYED = "delayedAt"
    FAILED = "failedAt"
    SOFT_BOUNCE = "softBouncedAt"
    DELIVERED = "deliveredAt"
    REJECTED = "rejectedAt"
    SUPPRESSED = "suppressedAt"
    BOUNCE = "bouncedAt"
    COMPLAINT = "complainedAt"


LADDER: Mapping[Milestone, Status] = {
    Milestone.SUBMITTING: Status.SUBMITTING,
    Milestone.UNKNOWN: Status.UNKNOWN,
    Milestone.SENT: Status.SENT,
    Milestone.DELAYED: Status.DELAYED,
    # An operator may declare an email failed; proof that it arrived outweighs that.
    Milestone.FAILED: Status.FAILED,
    # An out-of-office reply reaches us as a transient bounce after a delivery, so delivery stands above it.
    Milestone.SOFT_BOUNCE: Status.BOUNCE,
    Milestone.DELIVERED: Status.DELIVERED,
    Milestone.REJECTED: Status.REJECTED,
    Milestone.SUPPRESSED: Status.SUPPRESSED,
    # A mail server may accept first and bounce for good later.
    Milestone.BOUNCE: Status.BOUNCE,
    Milestone.COMPLAINT: Status.COMPLAINT,
}
"""Milestones from lowest to highest, with the status that each one gives."""

_RANK = {milestone: rank for rank, milestone in enumerate(LADDER)}

OPEN = frozenset({Status.SUBMITTING, Status.UNKNOWN, Status.SENT, Status.DELAYED})
"""Statuses of an email whose outcome is still awaited. Every open milestone ranks below every final one, so a row
never opens again."""


_NO_PROOF = frozenset({Milestone.SUBMITTING, Milestone.UNKNOWN, Milestone.FAILED})
"""Milestones that an email reaches without SES having taken it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """One thing learnt about an email: which milestone, when it happened, and why.

    Args:
        milestone: what happened.
        at: when it happened, by the clock of whoever saw it.
        reason: a sentence for people; empty where the milestone says it all.
        ses_message_id: SES's id of the email; empty where SES gave none.
        order: the order as published, given with UNKNOWN so that an operator can send it again.
    """

    milestone: Milestone
    at: str
    reason: str = ""
    ses_message_id: str = ""
    order: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One email of one order, as the ledger holds it; `kind`, the value of its lane, keeps an order's emails apart."""

    order_id: str
    message_id: str
    kind: str
    to: str
    sent_to: str
    order_hash: str
    claimed_at: str
    published_at: str
    attempts: int
    revision: int
    expires_at: int
    milestones: Mapping[Milestone, str]
    trace_id: str = ""
    reason: str = ""
    ses_message_id: str = ""
    lease_until: str = ""
    claim_token: str = ""
    order: str = ""
    conflicts: int = 0
    flags: frozenset[str] = field(default_factory=frozenset)
    last_updated: str = ""

    @property
    def milestone(self) -> Milestone:
        """The highest milestone reached."""
        return max(self.milestones, key=_RANK.__getitem__)

    @property
    def status(self) -> Status:
        return LADDER[self.milestone]

    @property
    def is_open(self) -> bool:
        return self.status in OPEN

    @property
    def taken_at(self) -> str:
        """When SES is known to have taken the email: by its answer, or by the first of its events where the answer was
        lost; "" when it is not known to have."""
        return min((at for milestone, at in self.milestones.items() if milestone not in _NO_PROOF), default="")

    @property
    def sandboxed(self) -> bool:
        """Whether the email went to the mailbox simulator in the customer's place."""
        return self.sent_to != self.to

    def held_by(self, token: str) -> bool:
        """Whether the claim made with `token` holds the row: not let go, not answered, not given up on by anybody."""
        return self.status is Status.SUBMITTING and bool(self.lease_until) and self.claim_token == token


class Claim(StrEnum):
    """What someone who wants to send finds, when the email is already claimed."""

    CONFLICT = "conflict"
    IN_FLIGHT = "in-flight"
    RELEASED = "released"
    ABANDONED = "abandoned"
    DUPLICATE = "duplicate"


def lane_of(name: str) -> Lane:
    """The lane that a message's attribute or a row's kind names. What names none that we know is a confirmation: better
    counted as a customer's than not at all."""
    try:
        return Lane(name)
    except ValueError:
        return Lane.CONFIRMATION


def message_id(order_id: str, kind: str) -> str:
    """The email's id: a UUIDv5 of order and kind, so that the same email always names the same row."""
    return str(uuid.uuid5(_MESSAGE_NAMESPACE, f"{order_id}:{kind}"))


def timestamp(moment: datetime) -> str:
    """`moment` as the ledger writes it.

    Raises:
        ValueError: `moment` has no time zone.
    """
    if moment.tzinfo is None:
        raise ValueError(f"{moment.isoformat()} has no time zone; the ledger keeps UTC")
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def milliseconds(since: str, until: str) -> float:
    """Between two of the ledger's times; 0 where the clocks of two services have them the wrong way round."""
    span = datetime.fromisoformat(until) - datetime.fromisoformat(since)
    return max(span.total_seconds() * 1000, 0.0)


def fold(row: Row, evidence: Evidence) -> Row:
    """`row` after learning `evidence`; the same object when it teaches nothing new.

    The reason is that of the ruling milestone; between two tellings of it, the earlier one's, and between two at the
    same moment the alphabetically first: arrival never decides. Only an email sent twice on purpose (a resend) has
    two SES ids; the smaller one is kept, for the same reason.
    """
    known = row.milestones.get(evidence.milestone)
    milestones = {**row.milestones, evidence.milestone: min(known or evidence.at, evidence.at)}
    ruling = max(milestones, key=_RANK.__getitem__)
    reason = row.reason
    if evidence.milestone == ruling:
        tellings = [(evidence.at, evidence.reason)]
        if row.milestone == ruling and known is not None:
            tellings.append((known, row.reason))
        reason = min(tellings)[1]
    folded = replace(
        row,
        milestones=milestones,
        reason=reason,
        ses_message_id=_either(row.ses_message_id, evidence.ses_message_id),
        lease_until=row.lease_until if ruling == Milestone.SUBMITTING else "",
        # Only whoever could not tell keeps the order; from other evidence it would depend on which came first.
        order=_either(row.order, evidence.order if evidence.milestone == ruling else "")
        if ruling == Milestone.UNKNOWN
        else "",
    )
    return row if folded == row else folded


def judge_claim(row: Row, *, order_hash: str, now: str) -> Claim:
    """What a sender that lost the claim on `row` has met.

    CONFLICT: the order id is taken by an order with another content. IN_FLIGHT: another sender is at work and may yet
    fail, so the order must come back. RELEASED: the claim was let go a moment ago; come back. ABANDONED: a sender
    died between claim and answer, so nobody knows whether SES took the email. DUPLICATE: the email is dealt with.
    """
    if row.order_hash != order_hash:
        return Claim.CONFLICT
    if row.status != Status.SUBMITTING:
        return Claim.DUPLICATE
    if not row.lease_until:
        return Claim.RELEASED
    return Claim.IN_FLIGHT if now < row.lease_until else Claim.ABANDONED


def _either(one: str, other: str) -> str:
    """The one that is given; of two, the smaller, so that arrival does not decide."""
    return min(filter(None, (one, other)), default="")
