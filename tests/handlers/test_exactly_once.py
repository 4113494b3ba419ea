"""Nothing goes out twice, and nothing is lost: the send protocol against whatever can go wrong, at any moment."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from handlers.adapters.ledger import DynamoLedger
from handlers.mail.lifecycle import Evidence, Milestone, Status
from handlers.mail.sending import AlreadyClaimed, Superseded
from tests.handlers.interleaving import Delivery, Fate, MemoryLedger, World, Write, check, histories, settle
from tests.handlers.rows import at, new_claim

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

ON_MOTO = settings(max_examples=5, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])

IN_FLIGHT, LATE, LATER = 1, 31, 62
"""Seconds after the first delivery at which another begins: within its lease, after it, after the second one's."""

LOST_REPLIES = (Fate.DONE, Fate.ASKED_AGAIN, Fate.ACCEPTED, Fate.DEFERRED)
"""The table's replies are lost, and whoever waits for one asks again, or dies: the faults of a search that is over in
half a second for two deliveries, in a minute for three."""


@pytest.mark.parametrize("second", [IN_FLIGHT, LATE])
def test_two_deliveries_in_every_interleaving_with_lost_replies_send_once(second: float) -> None:
    assert _explore([0, second], LOST_REPLIES) > 400, "the search has to go somewhere"


@pytest.mark.proof
@pytest.mark.parametrize("second", [IN_FLIGHT, LATE])
def test_two_deliveries_in_every_interleaving_with_every_fault_send_once(second: float) -> None:
    assert _explore([0, second]) > 1_500, "the search has to go somewhere"


@pytest.mark.proof
@pytest.mark.parametrize("others", [(0, 0), (IN_FLIGHT, LATE), (LATE, LATER)])
def test_three_deliveries_in_every_interleaving_with_lost_replies_send_once(others: tuple[float, float]) -> None:
    assert _explore([0, *others], LOST_REPLIES) > 5_000, "the search has to go somewhere"


def _explore(beginnings: Sequence[float], fates: Collection[Fate] = tuple(Fate)) -> int:
    reached = 0
    for world, _ in histories(_deliveries(beginnings), fates):
        reached += 1
        check(world)
    return reached


def _deliveries(beginnings: Sequence[float]) -> list[Delivery]:
    return [Delivery(seconds, f"claim-{number}") for number, seconds in enumerate(beginnings, 1)]


def test_lost_replies_alone_end_in_one_mail_and_never_in_doubt() -> None:
    """A sender that lives and an SDK that asks again: wherever the first copy of a write lands, if it does."""
    ends = [world for world, (delivery,) in histories(_deliveries([0]), LOST_REPLIES) if not delivery.next_fates]
    assert {(len(world.mails), bool(world.under_way)) for world in ends} >= {(0, False), (0, True), (1, False)}
    for world in ends:
        assert settle(world).status is Status.SENT
        assert len(world.mails) == 1


@settings(max_examples=100)
@given(st.data())
def test_some_deliveries_in_some_interleaving_send_once(data: st.DataObject) -> None:
    _wander(World(MemoryLedger()), data, most=20)


@ON_MOTO
@given(data=st.data())
def test_some_deliveries_send_once_on_the_real_table(dynamodb: DynamoDBClient, table: str, data: st.DataObject) -> None:
    _empty(dynamodb, table)
    _wander(World(DynamoLedger(dynamodb, table)), data, most=9)


def _wander(world: World, data: st.DataObject, most: int) -> None:
    beginnings = data.draw(st.lists(st.sampled_from([0, IN_FLIGHT, LATE, LATER]), min_size=2, max_size=4))
    running = _deliveries(beginnings)
    for _ in range(data.draw(st.integers(1, most))):
        running = [delivery for delivery in running if delivery.next_fates]
        moves: list[Delivery | Write] = [*running, *world.under_way]
        if not moves:
            break
        move = data.draw(st.sampled_from(moves))
        if isinstance(move, Write):
            world.land(move)
        else:
            running.remove(move)
            running.append(move.move(world, data.draw(st.sampled_from(move.next_fates))))
    check(world)


# ---- The ledger in memory is the ledger ----

SAME, OTHER = "0" * 64, "1" * 64

seconds = st.integers(0, 5)
claims = st.tuples(
    st.sampled_from(["claim", "suppress"]), seconds, st.tuples(st.sampled_from([SAME, OTHER]), st.sampled_from("ab"))
)
releases = st.tuples(st.just("release"), seconds, st.none())
lessons = st.tuples(st.just("learn"), seconds, st.sampled_from(Milestone))


@ON_MOTO
@given(writes=st.lists(claims | releases | lessons, min_size=1, max_size=7))
@example(
    writes=[
        ("claim", 0, (SAME, "a")),
        ("claim", 1, (SAME, "a")),
        ("claim", 2, (SAME, "b")),
        ("release", 3, None),
        ("claim", 4, (SAME, "a")),
        ("claim", 4, (OTHER, "b")),
        ("claim", 5, (SAME, "b")),
        ("claim", 5, (SAME, "a")),
    ]
)
@example(
    writes=[
        ("claim", 0, (SAME, "a")),
        ("suppress", 1, (SAME, "b")),
        ("release", 2, None),
        ("suppress", 3, (OTHER, "b")),
        ("suppress", 4, (SAME, "a")),
        ("suppress", 4, (SAME, "b")),
        ("suppress", 5, (SAME, "b")),
        ("claim", 5, (SAME, "c")),
    ]
)
@example(writes=[("suppress", 0, (SAME, "a")), ("suppress", 1, (SAME, "a")), ("learn", 2, Milestone.DELIVERED)])
def test_the_ledger_in_memory_does_what_the_real_one_does(
    dynamodb: DynamoDBClient, table: str, writes: list[tuple[str, int, Any]]
) -> None:
    _empty(dynamodb, table)
    assert _written(DynamoLedger(dynamodb, table), writes) == _written(MemoryLedger(), writes)


def _written(ledger: DynamoLedger, writes: list[tuple[str, int, Any]]) -> list[Any]:
    """What each write came to. Releases and lessons build on the row as it first was, late as they may be."""
    results: list[Any] = []
    first = None
    for verb, second, what in writes:
        try:
            if verb in ("claim", "suppress"):
                order_hash, token = what
                claim = new_claim(now=at(second), lease_until=at(second + 30), order_hash=order_hash, token=token)
                results.append(ledger.claim(claim) if verb == "claim" else ledger.suppress(claim, "listed"))
                first = first or results[-1]
            elif first and verb == "release":
                results.append(ledger.change(first, replace(first, lease_until="", reason="throttled"), at(second)))
            elif first:
                evidence = Evidence(milestone=what, at=at(second), reason=what, order="{}")
                results.append(ledger.learn(first, evidence, at(second)))
        except (AlreadyClaimed, Superseded) as late:
            results.append((type(late), late.row))
    return results


def _empty(dynamodb: DynamoDBClient, table: str) -> None:
    for row in DynamoLedger(dynamodb, table).all():
        dynamodb.delete_item(TableName=table, Key={"orderId": {"S": row.order_id}, "messageId": {"S": row.message_id}})
