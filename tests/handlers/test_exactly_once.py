"""Nothing goes out twice, and nothing is lost: the send protocol against whatever can go wrong, at any moment."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from handlers.adapters.ledger import DynamoLedger
from handlers.mail.lifecycle import Evidence, Milestone
from handlers.mail.sending import AlreadyClaimed, Superseded
from tests.handlers.interleaving import Delivery, MemoryLedger, World, check, histories
from tests.handlers.rows import at, new_claim

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

ON_MOTO = settings(max_examples=5, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])

IN_FLIGHT, LATE, LATER = 1, 31, 62
"""Seconds after the first delivery at which another begins: within its lease, after it, after the second one's."""


@pytest.mark.parametrize("second", [IN_FLIGHT, LATE])
def test_two_deliveries_in_every_interleaving_with_every_fault_send_once(second: float) -> None:
    assert _explore([0, second]) > 500, "the search has to go somewhere"


@pytest.mark.proof
@pytest.mark.parametrize("others", [(0, 0), (IN_FLIGHT, LATE), (LATE, LATER)])
def test_three_deliveries_in_every_interleaving_with_every_fault_send_once(others: tuple[float, float]) -> None:
    assert _explore([0, *others]) > 10_000, "the search has to go somewhere"


def _explore(beginnings: list[float]) -> int:
    reached = 0
    for world in histories([Delivery(seconds) for seconds in beginnings]):
        reached += 1
        check(world)
    return reached


@settings(max_examples=100)
@given(st.data())
def test_some_deliveries_in_some_interleaving_send_once(data: st.DataObject) -> None:
    _wander(World(MemoryLedger(), []), data, most=20)


@ON_MOTO
@given(data=st.data())
def test_some_deliveries_send_once_on_the_real_table(dynamodb: DynamoDBClient, table: str, data: st.DataObject) -> None:
    _empty(dynamodb, table)
    _wander(World(DynamoLedger(dynamodb, table), []), data, most=9)


def _wander(world: World, data: st.DataObject, most: int) -> None:
    beginnings = data.draw(st.lists(st.sampled_from([0, IN_FLIGHT, LATE, LATER]), min_size=2, max_size=4))
    running = [Delivery(seconds) for seconds in beginnings]
    for _ in range(data.draw(st.integers(1, most))):
        alive = [index for index, delivery in enumerate(running) if delivery.next_fates]
        if not alive:
            break
        index = data.draw(st.sampled_from(alive))
        fate = data.draw(st.sampled_from(running[index].next_fates))
        running[index] = running[index].move(world, fate)
    check(world)


# ---- The ledger in memory is the ledger ----

SAME, OTHER = "0" * 64, "1" * 64

seconds = st.integers(0, 5)
claims = st.tuples(st.just("claim"), seconds, st.sampled_from([SAME, OTHER]))
releases = st.tuples(st.just("release"), seconds, st.none())
lessons = st.tuples(st.just("learn"), seconds, st.sampled_from(Milestone))


@ON_MOTO
@given(writes=st.lists(claims | releases | lessons, min_size=1, max_size=7))
@example(writes=[("claim", 0, SAME), ("claim", 5, SAME), ("release", 2, None), ("claim", 3, OTHER), ("claim", 5, SAME)])
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
            if verb == "claim":
                results.append(ledger.claim(new_claim(now=at(second), lease_until=at(second + 30), order_hash=what)))
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
