"""Deliveries of one order that run at once, one effect at a time, with anything that can go wrong going wrong.

A delivery is paused before each of its effects (a write to the ledger, a call of SES). To move it on, it is run again
from its start with the answers it had so far, up to one new effect; that one meets a fate. There are no threads, so
every interleaving can be tried, and a delivery that is never moved on again is one whose process has died.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from enum import Enum
from typing import Any, NamedTuple

from botocore.exceptions import ClientError

from handlers.adapters.ledger import DynamoLedger
from handlers.mail.lifecycle import CONFIRMATION, Evidence, Milestone, Row, Status, message_id
from handlers.mail.orders import Order
from handlers.mail.sending import (
    AlreadyClaimed,
    Deferred,
    NewClaim,
    Outcome,
    Refused,
    Result,
    Sender,
    Superseded,
    Unanswered,
)
from tests.handlers.orders import body, order
from tests.handlers.rows import START, at

ORDER, BODY = order(), body()
MESSAGE_ID = message_id(ORDER.order_id, CONFIRMATION)
PUBLISHED = START - timedelta(seconds=1)


class MemoryLedger(DynamoLedger):
    """The ledger's two writes on a dict. `test_exactly_once` holds it to what the real one does."""

    def __init__(self, rows: Mapping[tuple[str, str], Row] | None = None) -> None:
        self.rows = dict(rows or {})

    def claim(self, claim: NewClaim) -> Row:
        key = (claim.order_id, claim.message_id)
        old = self.rows.get(key)
        if old and (old.status is not Status.SUBMITTING or old.lease_until or old.order_hash != claim.order_hash):
            raise AlreadyClaimed(old)
        self.rows[key] = Row(
            order_id=claim.order_id,
            message_id=claim.message_id,
            kind=claim.kind,
            to=claim.to,
            sent_to=claim.sent_to,
            order_hash=claim.order_hash,
            claimed_at=old.claimed_at if old else claim.now,
            published_at=old.published_at if old else claim.published_at,
            attempts=old.attempts + 1 if old else 1,
            revision=old.revision + 1 if old else 1,
            expires_at=claim.expires_at,
            milestones={Milestone.SUBMITTING: claim.now},
            trace_id=claim.trace_id,
            lease_until=claim.lease_until,
            conflicts=old.conflicts if old else 0,
            flags=claim.flags,
            last_updated=claim.now,
        )
        return self.rows[key]

    def change(self, before: Row, after: Row, now: str) -> Row:
        key = (before.order_id, before.message_id)
        standing = self.rows.get(key)
        if standing is None or standing.revision != before.revision:
            raise Superseded(standing)
        self.rows[key] = replace(after, revision=before.revision + 1, last_updated=now)
        return self.rows[key]

    def get(self, order_id: str, message_id: str) -> Row | None:
        return self.rows.get((order_id, message_id))


class Fate(Enum):
    """What becomes of one effect."""

    DONE = "done"
    WRITE_LOST = "the table fails before the write"
    REPLY_LOST = "the table writes, and its reply is lost"
    ASKED_AGAIN = "the table writes, its reply is lost, and the SDK is about to ask again"
    ACCEPTED = "SES accepts"
    ACCEPTED_UNHEARD = "SES accepts, and its reply is lost"
    UNHEARD = "the request is lost on its way to SES, and nobody can tell"
    DEFERRED = "SES refuses for now"
    REFUSED = "SES refuses for good"


WRITE_FATES = (Fate.DONE, Fate.WRITE_LOST, Fate.REPLY_LOST, Fate.ASKED_AGAIN)
SEND_FATES = (Fate.ACCEPTED, Fate.ACCEPTED_UNHEARD, Fate.UNHEARD, Fate.DEFERRED, Fate.REFUSED)

_ANSWERS: Mapping[Fate, Exception] = {
    Fate.ACCEPTED_UNHEARD: Unanswered("connection reset"),
    Fate.UNHEARD: Unanswered("connection reset"),
    Fate.DEFERRED: Deferred("throttled"),
    Fate.REFUSED: Refused("rejected"),
}


@dataclass
class World:
    """What outlives a process: the table, and the mails that SES took (the attempt each was)."""

    ledger: DynamoLedger
    mails: list[int]

    def row(self) -> Row | None:
        return self.ledger.get(ORDER.order_id, MESSAGE_ID)


class Answer(NamedTuple):
    value: Any = None
    error: Exception | None = None

    def give(self) -> Any:
        if self.error:
            raise self.error
        return self.value


@dataclass(frozen=True)
class Delivery:
    """One delivery so far: when it began, the answers it had, and what its next effect can meet (nothing: over)."""

    seconds: float
    past: tuple[Answer, ...] = ()
    next_fates: tuple[Fate, ...] = WRITE_FATES

    def move(self, world: World, fate: Fate) -> Delivery:
        """Let it have one effect."""
        run = _Run(world, list(self.past), fate)
        try:
            send(run.ledger, run.send, self.seconds)
        except _Paused as paused:
            return Delivery(self.seconds, tuple(run.past), paused.fates)
        except (ClientError, ConnectionError):
            pass  # the entry's outermost edge: the queue brings the order back
        return Delivery(self.seconds, tuple(run.past), ())


class _Paused(BaseException):
    def __init__(self, fates: tuple[Fate, ...]) -> None:
        self.fates = fates


class _Run:
    def __init__(self, world: World, past: list[Answer], fate: Fate) -> None:
        self.world = world
        self.past = past
        self.fate: Fate | None = fate
        self.replayed = iter(tuple(past))
        run = self

        class Gated(DynamoLedger):
            def __init__(self) -> None: ...

            def claim(self, claim: NewClaim) -> Row:
                row: Row = run.effect(WRITE_FATES, lambda: world.ledger.claim(claim))
                return row

            def change(self, before: Row, after: Row, now: str) -> Row:
                row: Row = run.effect(WRITE_FATES, lambda: world.ledger.change(before, after, now))
                return row

        self.ledger = Gated()

    def effect(self, fates: tuple[Fate, ...], act: Callable[[], Any]) -> Any:
        answer = next(self.replayed, None)
        if answer is None:
            if self.fate is None:
                raise _Paused(fates)
            answer = self._meet(self.fate, act)
            if self.fate is Fate.ASKED_AGAIN:
                # Without an answer: the next move is the same effect once more, and then it gets one.
                raise _Paused(tuple(other for other in fates if other is not Fate.ASKED_AGAIN))
            self.fate = None
            self.past.append(answer)
        return answer.give()

    def send(self, _: Order, row: Row) -> str:
        ses_message_id: str = self.effect(SEND_FATES, lambda: self._take(row))
        return ses_message_id

    def _take(self, row: Row) -> str:
        self.world.mails.append(row.attempts)
        return f"ses-{len(self.world.mails)}"

    def _meet(self, fate: Fate, act: Callable[[], Any]) -> Answer:
        if fate is Fate.WRITE_LOST:
            return Answer(error=ClientError({"Error": {"Code": "InternalServerError"}}, "UpdateItem"))
        value, error = None, None
        if fate not in (Fate.UNHEARD, Fate.DEFERRED, Fate.REFUSED):
            try:
                value = act()
            except (AlreadyClaimed, Superseded) as refusal:
                error = refusal
        if fate is Fate.REPLY_LOST:
            return Answer(error=ConnectionError("the reply was lost"))
        return Answer(value, _ANSWERS.get(fate, error))


def send(ledger: DynamoLedger, ses: Callable[[Order, Row], str], seconds: float) -> Result:
    now = START + timedelta(seconds=seconds)
    return Sender(
        ledger=ledger,
        send=ses,
        recipient=str,
        wait=lambda: True,
        now=lambda: now,
        deadline=now + timedelta(seconds=30),
        retention=timedelta(days=400),
    ).send_once(ORDER, BODY, published_at=PUBLISHED, trace_id="")


def settle(world: World) -> Row:
    """All processes are dead; the queue delivers until it need not any more, and SES's events arrive."""

    def accept(_: Order, row: Row) -> str:
        world.mails.append(row.attempts)
        return f"ses-{len(world.mails)}"

    for seconds in (100, 200, 300):
        if send(world.ledger, accept, seconds).outcome is not Outcome.RETRY:
            break
    row = world.row()
    assert row, "an order that was delivered has a row"
    for number, _ in enumerate(world.mails, 1):
        event = Evidence(milestone=Milestone.SENT, at=at(400), ses_message_id=f"ses-{number}")
        row, _ = world.ledger.learn(row, event, at(401))
    return row


def check(world: World) -> None:
    """What must hold, wherever all of it stops."""
    assert len(world.mails) <= 1, "two mails for one order"
    row = settle(world)
    assert len(world.mails) <= 1, "a mail was sent again although one might be out"
    expected = {Status.SENT} if world.mails else {Status.UNKNOWN, Status.FAILED}
    assert row.status in expected, f"{len(world.mails)} mail, and the ledger says {row.status}"
    assert row.status is not Status.UNKNOWN or row.order == BODY, "an operator could not send it again"


def histories(deliveries: Sequence[Delivery]) -> Iterator[World]:
    """Every distinct point that the deliveries can reach together, each as a world of its own."""
    seen = set()
    todo: list[tuple[Mapping[tuple[str, str], Row], tuple[int, ...], tuple[Delivery, ...]]]
    todo = [({}, (), tuple(deliveries))]
    while todo:
        rows, mails, running = todo.pop()
        for index, delivery in enumerate(running):
            for fate in delivery.next_fates:
                world = World(MemoryLedger(rows), list(mails))
                moved = (*running[:index], delivery.move(world, fate), *running[index + 1 :])
                state = repr((world.row(), world.mails, moved))
                if state not in seen:
                    seen.add(state)
                    assert isinstance(world.ledger, MemoryLedger)
                    todo.append((dict(world.ledger.rows), tuple(world.mails), moved))
                    yield world
