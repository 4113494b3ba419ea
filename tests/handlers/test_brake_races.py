"""Guards that trip, people who let go and runs of the brake, all at once, with calls that fail: one consistent end.

An actor is paused before each of its calls to AWS. To move it on, it is run again from its start with the answers it
had so far, up to one new call; that one meets a fate. So any number of actors are interleaved at every call and every
write, without threads, and one that is never moved on again is an invocation that was stopped.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from enum import Enum
from functools import partial
from itertools import count
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ReadTimeoutError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from handlers.adapters.control import Control, lane_of
from handlers.adapters.sluice import Gates, Sluice
from handlers.guarding.brake import Holder, Lane, engage, release, wanted
from handlers.telemetry import contract
from tests.handlers.brakes import FULL_BATCH, LANE, Account, at, denied, hold, refusal, start, stream_record

WALKS = settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
INVOCATION_SECONDS = 60.0


class Fate(Enum):
    """What becomes of one call."""

    DONE = "done"
    BUSY = "refused, and may work in a moment"
    DENIED = "refused for good"
    LOST = "done, and its answer is lost, and that of the tries that follow"
    REPEATED = "done, its answer is lost, and the SDK asks again"


class Paused(BaseException):
    """A call that has no fate yet. Not an Exception, as no handler may take it for a failure."""


@dataclass(frozen=True)
class Word:
    """What a guard or a person wants done."""

    holders: tuple[Holder, ...]
    engages: bool

    def __call__(self, lane: Lane) -> Lane:
        if self.engages:
            return engage(lane, hold(self.holders[0]))
        return release(lane, by="kim", reason="mended", start=start(), holders=self.holders)

    def spoken(self, holds: frozenset[Holder]) -> frozenset[Holder]:
        return holds | set(self.holders) if self.engages else holds - set(self.holders)


@dataclass
class Actor:
    """Something that runs: `act` from its start each time, with `answers` to its first calls."""

    act: Callable[[], Any]
    event: dict[str, Any] | None = None
    answers: list[Any] = field(default_factory=list)
    slept: float = 0.0
    faults: int = 0
    refused: bool = False
    ended: bool = False
    failed: BaseException | None = None
    result: Any = None
    word: Word | None = None


class World:
    """The account, and who is at work on it. It is the clients, too, of whoever is being run."""

    def __init__(self, brake: ModuleType) -> None:
        self.account = Account(LANE)
        self.brake = brake
        self.actors: list[Actor] = []
        self.told = 0
        self.again: list[dict[str, Any]] = []
        self.holds: frozenset[Holder] = frozenset()
        self._running: Actor
        self._position = 0
        self._fate: Fate | None = None
        client: Any = self
        self.control = Control(client, "control")
        brake.control = self.control  # type: ignore[attr-defined]
        brake.sluices = {LANE: Sluice(client, client, Gates(f"{LANE}-mapping", f"{LANE}-set"))}  # type: ignore[attr-defined]
        brake.workers = SimpleNamespace(map=map)  # type: ignore[attr-defined]
        brake.time = SimpleNamespace(sleep=self.sleep)  # type: ignore[attr-defined]
        brake.emit = self._emit  # type: ignore[attr-defined]

    # Who begins.

    def speak(self, word: Word) -> None:
        self.actors.append(Actor(partial(self.control.alter, LANE, word), word=word))

    def stream(self, records: int) -> None:
        """Lambda hands over the next writes, whether or not the run before has ended: it may have been given up on."""
        items = self.account.written[self.told : self.told + records]
        self.told += len(items)
        self.invoke({"Records": [stream_record(item) for item in items]})

    def invoke(self, event: dict[str, Any]) -> None:
        self.actors.append(Actor(lambda: self.brake.handler.__wrapped__(event, self), event=event))

    # What is done next.

    def move(self, actor: Actor, fate: Fate) -> None:
        """One call further."""
        self._running, self._position, self._fate = actor, 0, fate
        actor.slept, actor.faults = 0.0, 0
        try:
            actor.result = actor.act()
            actor.ended = True
        except Paused:
            return
        except Exception as error:  # what Lambda would see
            actor.ended, actor.failed = True, error
            if actor.event:
                self.again.append(actor.event)
        check(actor)

    def stop(self, actor: Actor) -> None:
        """The invocation is stopped where it is: Lambda repeats it."""
        actor.ended = True
        if actor.event:
            self.again.append(actor.event)

    def running(self) -> list[Actor]:
        return [actor for actor in self.actors if not actor.ended]

    # What the one that is run meets.

    def __getattr__(self, operation: str) -> Callable[..., Any]:
        return partial(self._call, operation)

    def sleep(self, seconds: float) -> None:
        self._call("sleep", seconds=seconds)
        self._running.slept += seconds

    def get_remaining_time_in_millis(self) -> float:
        return (INVOCATION_SECONDS - self._running.slept) * 1000

    def _emit(self, stack: str, values: dict[contract.Metric, float], **properties: Any) -> None:
        self._running.faults += contract.BRAKE_FAULTS in values

    def _call(self, operation: str, **arguments: Any) -> Any:
        actor = self._running
        if self._position == len(actor.answers):
            if self._fate is None:
                raise Paused
            actor.answers.append(self._answer(operation, arguments, self._fate))
            self._fate = None
        answer = actor.answers[self._position]
        self._position += 1
        if isinstance(answer, Exception):
            raise answer
        return answer

    def _answer(self, operation: str, arguments: dict[str, Any], fate: Fate) -> Any:
        if operation == "sleep":
            if arguments["seconds"]:
                self.account.pass_time()
            return None
        if fate is Fate.BUSY:
            return refusal(operation, 429, "TooManyRequestsException")
        if fate is Fate.DENIED:
            self._running.refused = True
            return denied(operation)
        answer = self._done(operation, arguments)
        if fate is Fate.REPEATED:
            answer = self._done(operation, arguments)
        if fate is Fate.LOST:
            return ReadTimeoutError(endpoint_url="https://lambda.us-east-1.amazonaws.com")
        return answer

    def _done(self, operation: str, arguments: dict[str, Any]) -> Any:
        writes = len(self.account.written)
        try:
            answer = getattr(self.account, operation)(**arguments)
        except Exception as error:
            return error
        if len(self.account.written) > writes and self._running.word:
            self.holds = self._running.word.spoken(self.holds)
        return answer


def check(actor: Actor) -> None:
    """What holds of every actor that has ended."""
    if actor.event is not None:
        assert not (actor.refused and actor.failed is None), "a refused call was passed over in silence"
        assert bool(actor.failed) == bool(actor.faults), "a run fails and says so, or does neither"
    elif actor.failed is None and actor.word and not actor.result[1]:
        assert actor.word(actor.result[0]) is actor.result[0], "it had nothing to say"


@pytest.fixture
def world(brake: ModuleType) -> Callable[[], World]:
    brake.env = replace(brake.env, lanes={LANE: brake.env.lanes[LANE]})  # type: ignore[attr-defined]
    return lambda: World(brake)


HOLDERS = st.sampled_from([Holder.SPEND, Holder.OPERATOR])
WORDS = st.builds(lambda holder: Word((holder,), engages=True), HOLDERS) | st.builds(
    lambda holders: Word(tuple(holders), engages=False), st.lists(HOLDERS, min_size=1, unique=True)
)
FAULTS = st.sampled_from([Fate.DONE] * 4 + list(Fate))
STEPS = st.sampled_from([1, 2, 3, 20])
"""How far one actor goes before another does: a call or some, or to its end while others stand still."""


def wander(world: World, data: st.DataObject) -> None:
    """Let anybody begin, go on or be stopped, in any order."""
    schedules = 0
    for _ in range(data.draw(st.integers(1, 30))):
        running, untold = world.running(), world.told < len(world.account.written)
        moves = ["speak", "schedule"] * (len(running) < 4) + ["go on"] * 6 * bool(running) + ["stream"] * 2 * untold
        move = data.draw(st.sampled_from([*moves, "stop"] if running else moves))
        if move == "speak":
            world.speak(data.draw(WORDS))
        elif move == "schedule":
            schedules += 1
            world.invoke({"at": at(5 * schedules).isoformat()})
        elif move == "stream":
            world.stream(data.draw(st.integers(1, 3)))
        elif move == "stop":
            world.stop(data.draw(st.sampled_from(running)))
        else:
            go_on(world, data, running, FAULTS)


def go_on(world: World, data: st.DataObject, running: list[Actor], fates: st.SearchStrategy[Fate]) -> None:
    actor = data.draw(st.sampled_from(running))
    for _ in range(data.draw(STEPS) - 1):
        if not actor.ended:
            world.move(actor, Fate.DONE)
    if not actor.ended:
        world.move(actor, data.draw(fates))


def finish(world: World, data: st.DataObject) -> None:
    """Everybody at work comes to an end, still in any order, and nothing fails any more."""
    while running := world.running():
        go_on(world, data, running, st.just(Fate.DONE))


def consistent(world: World) -> None:
    """The account is what the lane says, and the lane what was said last by each."""
    world.account.pass_time()
    lane = lane_of(world.account.items[LANE]) if LANE in world.account.items else Lane(name=LANE)
    assert frozenset(lane.holds) == world.holds
    want = wanted(lane, FULL_BATCH)
    mapping, sending = world.account.stands(LANE)
    found = (mapping["State"] == "Enabled", sending, mapping["BatchSize"])
    assert found == (want.polling, want.sending, want.batch)


@WALKS
@given(data=st.data())
def test_once_failed_runs_were_repeated_the_account_is_what_the_lane_says(
    world: Callable[[], World], data: st.DataObject
) -> None:
    """Without help of the schedule: the stream alone, and Lambda's repeating, are enough."""
    here = world()
    wander(here, data)
    finish(here, data)
    while here.again or here.told < len(here.account.written):
        if here.again:
            here.invoke(here.again.pop())
        else:
            here.stream(1)
        finish(here, data)
    consistent(here)


@WALKS
@given(data=st.data())
def test_the_next_schedule_sets_right_whatever_was_given_up(world: Callable[[], World], data: st.DataObject) -> None:
    """Runs that were stopped or failed for good are not repeated, nor are writes handed over that the stream lost."""
    here = world()
    wander(here, data)
    for actor in here.running():
        here.stop(actor)
    here.invoke({"at": at(1000).isoformat()})
    finish(here, data)
    consistent(here)


ENGAGE, RELEASE = Word((Holder.SPEND,), engages=True), Word((Holder.SPEND,), engages=False)


@pytest.mark.parametrize("words", [(ENGAGE, RELEASE), (RELEASE, ENGAGE)], ids=["released", "engaged"])
def test_a_run_that_is_overtaken_at_any_of_its_calls_leaves_what_was_said_last(
    world: Callable[[], World], words: tuple[Word, Word]
) -> None:
    for calls in count():
        here = world()
        if words[0] is RELEASE:
            to_its_end(here, ENGAGE)
        here.speak(words[0])
        run_out(here)
        here.stream(1)
        (slow,) = here.running()
        for _ in range(calls):
            here.move(slow, Fate.DONE)
            if slow.ended:
                assert calls > 5, "it has to be overtaken somewhere"
                return
        to_its_end(here, words[1], but=slow)
        run_out(here)
        consistent(here)


def to_its_end(world: World, word: Word, but: Actor | None = None) -> None:
    """Somebody speaks and the brake follows, while `but` stands still."""
    world.speak(word)
    run_out(world, but)
    world.stream(1)
    run_out(world, but)
    world.account.pass_time()


def run_out(world: World, but: Actor | None = None) -> None:
    while running := [actor for actor in world.running() if actor is not but]:
        world.move(running[0], Fate.DONE)


def test_a_write_whose_answer_was_lost_is_not_taken_for_somebody_elses(world: Callable[[], World]) -> None:
    """Or a guard that has just engaged would tell nobody."""
    here = world()
    here.speak(ENGAGE)
    (guard,) = here.actors
    here.move(guard, Fate.DONE)
    here.move(guard, Fate.REPEATED)
    here.move(guard, Fate.DONE)
    assert guard.result[1] is True
    assert here.holds == {Holder.SPEND}
