"""Deliveries of one order that run at once, one effect at a time, with anything that can go wrong going wrong.

A delivery is paused before each of its effects (a write to the ledger, a call of SES). To move it on, it is run again
from its start with the answers it had so far, up to one new effect; that one meets a fate. There are no threads, so
every interleaving can be tried, and a delivery that is never moved on again is one whose process has died.

A write that gets no answer is still under way: it lands at any later moment, or never, whether its sender lives or not.
While nobody knows what became of the email, an operator may find that SES never took it, and have it sent again.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta
from enum import Enum
from functools import partial
from typing import Any, NamedTuple

from handlers.adapters.ledger import DynamoLedger
from handlers.mail.lifecycle import Evidence, Milestone, Row, Status, message_id
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
from handlers.telemetry.contract import Lane
from ops.resolve import Resolution, Verdict, decide
from tests.handlers.orders import body, order
from tests.handlers.rows import START, at

ORDER, BODY = order(), body()
MESSAGE_ID = message_id(ORDER.order_id, Lane.CONFIRMATION)
PUBLISHED = START - timedelta(seconds=1)
RESEND = Resolution(at=at(95), by="kim", verdict=Verdict.RESEND, reason="SES has no trace of it")


class MemoryLedger(DynamoLedger):
    """The ledger's two writes on a dict. `test_exactly_once` holds it to what the real one does."""

    def __init__(self, rows: Mapping[tuple[str, str], Row] | None = None) -> None:
        self.rows = dict(rows or {})

    def claim(self, claim: NewClaim) -> Row:
        old = self.rows.get((claim.order_id, claim.message_id))
        if old and old.held_by(claim.token):
            return old
        return self._begin(claim, old)

    def suppress(self, claim: NewClaim, reason: str) -> Row:
        old = self.rows.get((claim.order_id, claim.message_id))
        if old and old.status is Status.SUPPRESSED and old.claim_token == claim.token:
            return old
        taken = self._begin(claim, old)
        self.rows[(claim.order_id, claim.message_id)] = replace(
            taken,
            attempts=taken.attempts - 1,
            milestones={**(old.milestones if old else {}), Milestone.SUPPRESSED: claim.now},
            lease_until="",
            reason=reason,
        )
        return self.rows[(claim.order_id, claim.message_id)]

    def _begin(self, claim: NewClaim, old: Row | None) -> Row:
        key = (claim.order_id, claim.message_id)
        if old and (
            old.status is not Status.SUBMITTING
            or old.lease_until
            or old.order_hash != claim.order_hash
            or old.claim_token == claim.token
        ):
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
            claim_token=claim.token,
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
    UNANSWERED = "no answer comes in time, and the SDK gives up"
    ASKED_AGAIN = "no answer comes in time, and the SDK is about to ask again"
    ACCEPTED = "SES accepts"
    ACCEPTED_UNHEARD = "SES accepts, and its reply is lost"
    UNHEARD = "the request is lost on its way to SES, and nobody can tell"
    DEFERRED = "SES refuses for now"
    REFUSED = "SES refuses for good"


WRITE_FATES = (Fate.DONE, Fate.UNANSWERED, Fate.ASKED_AGAIN)
SEND_FATES = (Fate.ACCEPTED, Fate.ACCEPTED_UNHEARD, Fate.UNHEARD, Fate.DEFERRED, Fate.REFUSED)

_ANSWERS: Mapping[Fate, Callable[[], Exception]] = {
    Fate.ACCEPTED_UNHEARD: partial(Unanswered, "connection reset"),
    Fate.UNHEARD: partial(Unanswered, "connection reset"),
    Fate.DEFERRED: partial(Deferred, "throttled"),
    Fate.REFUSED: partial(Refused, "rejected"),
}


class Write(NamedTuple):
    """A write to the ledger: which method, and its arguments."""

    method: str
    arguments: tuple[Any, ...]

    def __call__(self, ledger: DynamoLedger) -> Row:
        row: Row = getattr(ledger, self.method)(*self.arguments)
        return row

    def is_past(self, row: Row | None) -> bool:
        """Whether it can never land any more, as the row stands."""
        if self.method == "claim":
            return row is not None and row.status is not Status.SUBMITTING
        return row is not None and row.revision != self.arguments[0].revision


@dataclass
class World:
    """What outlives a process: the table, the mails that SES took (the attempt each was), and unanswered writes."""

    ledger: DynamoLedger
    mails: list[int] = field(default_factory=list)
    under_way: list[Write] = field(default_factory=list)

    def row(self) -> Row | None:
        return self.ledger.get(ORDER.order_id, MESSAGE_ID)

    def land(self, write: Write) -> None:
        """A write under way reaches the table; nobody hears what it says."""
        self.under_way.remove(write)
        with suppress(AlreadyClaimed, Superseded):
            write(self.ledger)


class Answer(NamedTuple):
    """A value, or an error to be made each time: one that has been raised keeps all that it went through in memory."""

    value: Any = None
    error: Callable[[], Exception] | None = None

    def give(self) -> Any:
        if self.error:
            raise self.error()
        return self.value


@dataclass(frozen=True)
class Delivery:
    """One delivery so far: when it began, its claim's token, the answers it had, and what its next effect can meet
    (nothing: it is over)."""

    seconds: float
    token: str
    past: tuple[Answer, ...] = ()
    next_fates: tuple[Fate, ...] = WRITE_FATES

    @property
    def is_to_come(self) -> bool:
        return self == Delivery(self.seconds, self.token)

    def move(self, world: World, fate: Fate) -> Delivery:
        """Let it have one effect."""
        run = _Run(world, list(self.past), fate)
        try:
            send(run.ledger, run.send, self.seconds, self.token)
        except _Paused as paused:
            return replace(self, past=tuple(run.past), next_fates=paused.fates)
        except ConnectionError:
            pass  # the entry's outermost edge: the queue brings the order back
        return replace(self, past=tuple(run.past), next_fates=())


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
                return run.write(Write("claim", (claim,)))

            def change(self, before: Row, after: Row, now: str) -> Row:
                return run.write(Write("change", (before, after, now)))

        self.ledger = Gated()

    def write(self, write: Write) -> Row:
        def meet(fate: Fate) -> Answer:
            if fate is not Fate.DONE:
                self.world.under_way.append(write)
                return Answer(error=partial(ConnectionError, "no answer"))
            try:
                return Answer(write(self.world.ledger))
            except (AlreadyClaimed, Superseded) as refusal:
                kind: Any = type(refusal)
                return Answer(error=partial(kind, refusal.row))

        row: Row = self._effect(WRITE_FATES, meet)
        return row

    def send(self, _: Order, row: Row) -> str:
        def meet(fate: Fate) -> Answer:
            if fate in (Fate.ACCEPTED, Fate.ACCEPTED_UNHEARD):
                self.world.mails.append(row.attempts)
            return Answer(f"ses-{len(self.world.mails)}", _ANSWERS.get(fate))

        ses_message_id: str = self._effect(SEND_FATES, meet)
        return ses_message_id

    def _effect(self, fates: tuple[Fate, ...], meet: Callable[[Fate], Answer]) -> Any:
        answer = next(self.replayed, None)
        if answer is None:
            if self.fate is None:
                raise _Paused(fates)
            answer = meet(self.fate)
            if self.fate is Fate.ASKED_AGAIN:
                # Without an answer: the next move is the same effect once more, and then it gets one.
                raise _Paused(tuple(other for other in fates if other is not Fate.ASKED_AGAIN))
            self.fate = None
            self.past.append(answer)
        return answer.give()


def send(ledger: DynamoLedger, ses: Callable[[Order, Row], str], seconds: float, token: str) -> Result:
    now = START + timedelta(seconds=seconds)
    return Sender(
        ledger=ledger,
        send=ses,
        recipient=str,
        suppressed=lambda _: None,
        wait=lambda: True,
        now=lambda: now,
        new_token=lambda: token,
        deadline=now + timedelta(seconds=30),
        retention=timedelta(days=400),
    ).send_once(ORDER, BODY, lane=Lane.CONFIRMATION, published_at=PUBLISHED, trace_id="")


def settle(world: World) -> Row:
    """All processes are dead; the queue delivers until it need not any more, and SES's events arrive."""

    def accept(_: Order, row: Row) -> str:
        world.mails.append(row.attempts)
        return f"ses-{len(world.mails)}"

    for seconds in (100, 200, 300):
        if send(world.ledger, accept, seconds, f"at {seconds}").outcome is not Outcome.RETRY:
            break
    row = world.row()
    assert row, "an order that was delivered has a row"
    for number, _ in enumerate(world.mails, 1):
        event = Evidence(milestone=Milestone.SENT, at=at(400), ses_message_id=f"ses-{number}")
        row, _ = world.ledger.learn(row, event, at(401))
    return row


def check(world: World) -> None:
    """What must hold, wherever all of it stops, and whatever is still under way lands after that."""
    assert len(world.mails) <= 1, "two mails for one order"
    while True:
        row = settle(world)
        assert len(world.mails) <= 1, "a mail was sent again although one might be out"
        expected = {Status.SENT} if world.mails else {Status.UNKNOWN, Status.FAILED}
        assert row.status in expected, f"{len(world.mails)} mail, and the ledger says {row.status}"
        assert row.status is not Status.UNKNOWN or row.order == BODY, "an operator could not send it again"
        if not world.under_way:
            break
        world.land(world.under_way[0])


Point = tuple[World, tuple[Delivery, ...]]


def histories(deliveries: Sequence[Delivery], fates: Collection[Fate] = tuple(Fate)) -> Iterator[Point]:
    """Every distinct point that the deliveries can reach together when effects meet these fates, each as a world of its
    own."""
    start: Point = (World(MemoryLedger()), tuple(deliveries))
    seen, todo = set(), [start]
    while todo:
        for world, running in _next_points(*todo.pop(), fates):
            # Its hash: the texts of a long search would fill gigabytes.
            state = hash(repr((world.row(), world.mails, world.under_way, running)))
            if state not in seen:
                seen.add(state)
                todo.append((_copy(world), running))
                yield world, running


def _next_points(world: World, running: tuple[Delivery, ...], fates: Collection[Fate]) -> Iterator[Point]:
    for index, delivery in enumerate(running):
        for fate in delivery.next_fates:
            if fate in fates:
                after = _copy(world)
                moved = delivery.move(after, fate)
                yield _pruned(after), (*running[:index], moved, *running[index + 1 :])
    for write in world.under_way:
        after = _copy(world)
        after.land(write)
        if after.row() != world.row():  # else it might as well land later, or never
            yield _pruned(after), running
    row = world.row()
    if row and row.status is Status.UNKNOWN and not world.mails:
        after = _copy(world)
        after.ledger.change(row, decide(row, RESEND), RESEND.at)
        # An operator looks when the leases are long over: whoever was at work is dead, and the rest is to come.
        yield (
            _pruned(after),
            tuple(delivery if delivery.is_to_come else replace(delivery, next_fates=()) for delivery in running),
        )


def _copy(world: World) -> World:
    assert isinstance(world.ledger, MemoryLedger)
    return World(MemoryLedger(world.ledger.rows), list(world.mails), list(world.under_way))


def _pruned(world: World) -> World:
    row = world.row()
    world.under_way = sorted((write for write in world.under_way if not write.is_past(row)), key=repr)
    return world
