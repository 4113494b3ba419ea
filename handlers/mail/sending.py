"""The send protocol: claim, send, record. Exactly one email an order, or a row that says UNKNOWN.

SES has no idempotency token, so the order of writes is everything:

    claim (one conditional write, SUBMITTING) -> SendEmail, never repeated by the SDK -> record the answer

    accepted          -> SENT
    refused for good  -> FAILED
    refused for now   -> the claim is let go and the queue brings the order back
    no answer         -> UNKNOWN: SES's own events decide, or an operator does; nothing is resent

Whoever finds a claim whose holder is dead calls it UNKNOWN as well. An order to an address on the suppression list is
SUPPRESSED, by one write in place of its claim. This module knows the rules; the ledger is behind the Protocol below,
and whatever else it needs comes in as functions.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

from handlers.mail.lifecycle import (
    Claim,
    Evidence,
    Milestone,
    Row,
    Status,
    judge_claim,
    message_id,
    milliseconds,
    timestamp,
)
from handlers.telemetry.contract import SEND_WITHIN_MS, Lane

if TYPE_CHECKING:  # half the cost of a feedback's cold start is what orders are parsed with
    from handlers.guarding.suppression import Suppression
    from handlers.mail.orders import Order

SIMULATOR = "simulator.amazonses.com"
"""The domain of SES's mailbox simulator."""


LEAST_RATE = 0.1
"""Emails a second that an execution environment sends however small its share: it can wait ten seconds for a turn, and
not much longer, before its invocation ends."""


class SendError(Exception):
    """SES did not say yes. The subclasses say what follows from it."""


class Deferred(SendError):
    """Certainly not accepted, and the cause may pass: throttled, paused, misconfigured, not reached."""


class Refused(SendError):
    """Certainly not accepted, and never will be: the message itself is at fault."""


class Unanswered(SendError):
    """Perhaps accepted: the call broke off after it may have reached SES."""


class AlreadyClaimed(Exception):
    """The claim was lost: `row` is what stands there."""

    def __init__(self, row: Row) -> None:
        super().__init__(f"{row.order_id} is claimed already ({row.status})")
        self.row = row


class Superseded(Exception):
    """Another writer came first: `row` is what stands there now, None when the row is gone."""

    def __init__(self, row: Row | None) -> None:
        super().__init__("the row has changed since it was read" if row else "the row is gone")
        self.row = row


@dataclass(frozen=True, slots=True, kw_only=True)
class NewClaim:
    """What a sender writes to claim an email. Times as in `lifecycle`; `expires_at` in epoch seconds.

    `token` is this claim's alone: when the SDK repeats a claim whose reply was lost, the row that it meets may be its
    own.
    """

    order_id: str
    message_id: str
    kind: str
    to: str
    sent_to: str
    order_hash: str
    published_at: str
    now: str
    lease_until: str
    expires_at: int
    token: str
    trace_id: str
    flags: frozenset[str]


class Ledger(Protocol):
    """The table of rows; `handlers.adapters.ledger` is the real one."""

    def claim(self, claim: NewClaim) -> Row:
        """The claimed row. Raises AlreadyClaimed."""

    def suppress(self, claim: NewClaim, reason: str) -> Row:
        """The row, SUPPRESSED where it could have been claimed. Raises AlreadyClaimed."""

    def change(self, before: Row, after: Row, now: str) -> Row:
        """The row after the write. Raises Superseded."""

    def learn(self, row: Row, evidence: Evidence, now: str) -> tuple[Row, bool]:
        """The row with the evidence folded in, and whether it was news."""


class Outcome(StrEnum):
    """What became of one order message."""

    SENT = "sent"
    FAILED = "failed"
    UNKNOWN = "unknown"
    SUPPRESSED = "suppressed"
    DUPLICATE = "duplicate"
    CONFLICT = "conflict"
    RETRY = "retry"


@dataclass(frozen=True, slots=True)
class Result:
    """`outcome`, the row it left, and for RETRY the reason the order goes back to the queue."""

    outcome: Outcome
    row: Row
    reason: str = ""


def sent_after(row: Row) -> float:
    """Milliseconds from the order's publication to SES taking the email, which the row has to know of."""
    return milliseconds(row.published_at, row.taken_at)


def missed(result: Result) -> bool | None:
    """Whether the order missed the promise to be sent in time; None where this message is not where that is settled.

    An address that is suppressed is the customer's, and none of our doing (as in `contract.DELIVERY_MISSES`). A
    duplicate or a conflict is another message's order, and one that goes back to the queue is settled later, by the
    time since its first publication.
    """
    match result.outcome:
        case Outcome.SENT:
            return sent_after(result.row) > SEND_WITHIN_MS
        case Outcome.FAILED | Outcome.UNKNOWN:
            return True
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sender:
    """Everything that sending one order needs; one instance a batch.

    Args:
        send: hands the email to SES: (order, row) -> SES message id. Raises SendError.
        recipient: the address that is really written to, given the customer's (the sandbox guard).
        suppressed: the entry by which an address is not written to, if any; not asked about the simulator's.
        wait: blocks until the send rate has room. False, at once, if `deadline` would pass first.
        now: the clock.
        new_token: a token that no other claim has or will have.
        deadline: when this invocation is ended from outside; no claim outlives it.
        retention: how long rows are kept.
    """

    ledger: Ledger
    send: Callable[[Order, Row], str]
    recipient: Callable[[str], str]
    suppressed: Callable[[str], Suppression | None]
    wait: Callable[[], bool]
    now: Callable[[], datetime]
    new_token: Callable[[], str]
    deadline: datetime
    retention: timedelta

    def send_once(self, order: Order, body: str, *, lane: Lane, published_at: datetime, trace_id: str) -> Result:
        """Send the email of `order` in `lane`, unless that is done, under way, or not ours to do.

        `body` is the order as published; it is kept in the row while the outcome is unknown, for a resend.
        """
        now = self.now()
        claim = NewClaim(
            order_id=order.order_id,
            message_id=message_id(order.order_id, lane),
            kind=lane.value,
            to=order.email,
            sent_to=self.recipient(order.email),
            order_hash=order.content_hash,
            published_at=timestamp(published_at),
            now=timestamp(now),
            lease_until=timestamp(self.deadline),
            expires_at=int((now + self.retention).timestamp()),
            token=self.new_token(),
            trace_id=trace_id,
            flags=order.flags,
        )
        # Before the claim: a lookup that fails leaves nothing behind, and the queue brings the order back.
        entry = None if at_simulator(claim.sent_to) else self.suppressed(claim.sent_to)
        try:
            if entry:
                return Result(Outcome.SUPPRESSED, self.ledger.suppress(claim, entry.told), entry.told)
            row = self.ledger.claim(claim)
        except AlreadyClaimed as claimed:
            return self._lost_claim(claimed.row, order, body)
        return self._submit(row, order, body)

    def _submit(self, row: Row, order: Order, body: str) -> Result:
        if not self.wait():
            return self._let_go(row, "the send rate leaves no room before this invocation ends")
        try:
            ses_message_id = self.send(order, row)
        except Deferred as error:
            return self._let_go(row, str(error))
        except Refused as error:
            return self._conclude(row, Milestone.FAILED, reason=str(error))
        except Unanswered as error:
            return self._conclude(row, Milestone.UNKNOWN, reason=str(error), order=body)
        return self._conclude(row, Milestone.SENT, ses_message_id=ses_message_id)

    def _conclude(
        self, row: Row, milestone: Milestone, *, reason: str = "", ses_message_id: str = "", order: str = ""
    ) -> Result:
        now = timestamp(self.now())
        evidence = Evidence(milestone=milestone, at=now, reason=reason, ses_message_id=ses_message_id, order=order)
        row, _ = self.ledger.learn(row, evidence, now)
        outcomes = {Status.FAILED: Outcome.FAILED, Status.UNKNOWN: Outcome.UNKNOWN}
        # Any other status is above ours because SES's events were faster: the email is out.
        return Result(outcomes.get(row.status, Outcome.SENT), row, reason)

    def _let_go(self, row: Row, reason: str) -> Result:
        """Let the claim of this attempt go; a row that has moved on in the meantime, to another attempt even, stays."""
        attempt = row.attempts
        while row.status is Status.SUBMITTING and row.lease_until and row.attempts == attempt:
            try:
                row = self.ledger.change(row, replace(row, lease_until="", reason=reason), timestamp(self.now()))
            except Superseded as late:
                if late.row is None:
                    break
                row = late.row
        return Result(Outcome.RETRY, row, reason)

    def _lost_claim(self, row: Row, order: Order, body: str) -> Result:
        now = timestamp(self.now())
        match judge_claim(row, order_hash=order.content_hash, now=now):
            case Claim.CONFLICT:
                return Result(Outcome.CONFLICT, self._count_conflict(row, now))
            case Claim.ABANDONED:
                reason = f"attempt {row.attempts} ended without a recorded answer"
                evidence = Evidence(milestone=Milestone.UNKNOWN, at=now, reason=reason, order=body)
                row, news = self.ledger.learn(row, evidence, now)
                found = Outcome.UNKNOWN if news and row.status is Status.UNKNOWN else Outcome.DUPLICATE
                return Result(found, row, reason)
            case Claim.IN_FLIGHT | Claim.RELEASED:
                return Result(Outcome.RETRY, row, "another delivery of this order is being sent")
            case Claim.DUPLICATE:
                return Result(Outcome.DUPLICATE, row)

    def _count_conflict(self, row: Row, now: str) -> Row:
        while True:
            try:
                return self.ledger.change(row, replace(row, conflicts=row.conflicts + 1), now)
            except Superseded as late:
                if late.row is None:
                    return row
                row = late.row


class Pace:
    """Spreads sends over time so that SES's rate is kept.

    SES counts recipients a second and refuses the excess (it does not queue), so each execution environment keeps to
    its share: the account's rate divided by the number of concurrent environments. One second's worth may go at once,
    as SES measures over about that long.

    Args:
        rate: emails a second. An environment has one pace for each lane and sends in one lane at a time.
        monotonic: seconds from any fixed point.
        sleep: waits that many seconds.
    """

    def __init__(self, rate: float, monotonic: Callable[[], float], sleep: Callable[[float], None]) -> None:
        self._rate = rate
        self._monotonic = monotonic
        self._sleep = sleep
        self._lock = threading.Lock()
        self._next = float("-inf")

    def wait(self, until: float, share: float = 1.0) -> bool:
        """Take a turn and wait for it; False, without waiting, if it comes after `until` (monotonic seconds).

        `share` is the part of the rate that is used, as long as that leaves LEAST_RATE.
        """
        rate = max(self._rate * share, min(self._rate, LEAST_RATE))
        with self._lock:
            now = self._monotonic()
            turn = max(self._next, now - (max(1.0, rate) - 1) / rate)
            if max(turn, now) > until:
                return False
            self._next = turn + 1 / rate
        if turn > now:
            self._sleep(turn - now)
        return True


def backoff(receive_count: int) -> int:
    """Seconds until the queue brings an order back after its n-th delivery: 2, 4, 8 ... at most 300.

    The first ones outlast a claim in flight (30 s); as many as the queue allows (`components.intake`) outlast an SES
    outage of a quarter of an hour, and after that the dead-letter queue keeps the order.
    """
    return int(min(2 ** min(receive_count, 9), 300))


def at_simulator(address: str) -> bool:
    """Whether mail to `address` ends in SES's mailbox simulator, and so concerns nobody's mailbox and no reputation."""
    return address.lower().endswith(f"@{SIMULATOR}")


def sandbox_recipient(address: str) -> str:
    """The mailbox simulator's address that stands for `address`, with a label showing whom.

    Simulator addresses stay as they are: they are nobody's, and let a sandbox try bounces and complaints. Source: SES
    developer guide, "Using the mailbox simulator" (labels after a plus sign).
    """
    if at_simulator(address):
        return address
    label = "".join(c if c.isascii() and (c.isalnum() or c in ".-_") else "=" for c in address)
    # RFC 5321 allows 64 octets before the @.
    return f"success+{label[: 64 - len('success+')].rstrip('.')}@{SIMULATOR}"
