"""`send` publishes a file, says what became of each line, and ends with a code that a script can act on."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from handlers.mail.lifecycle import Evidence, Milestone
from ops.errors import Exit
from ops.follow import QUARANTINE_EVERY, follow
from ops.stack import Stack
from tests.ops.conftest import AddRow, Run

Bodies = Callable[[str], list[str]]
DELIVERED = [(Milestone.DELIVERED, "2026-11-22T10:00:05.000Z")]


@pytest.fixture
def orders(tmp_path: Path) -> Callable[..., str]:
    def write(*lines: str) -> str:
        path = tmp_path / "orders.jsonl"
        path.write_text("\n".join(lines), encoding="utf-8")
        return str(path)

    return write


def order(order_id: str) -> str:
    return json.dumps({"orderId": order_id, "customerName": "山田"}, ensure_ascii=False)


def test_a_file_is_published(stack: Stack, ops: Run, bodies: Bodies, orders: Callable[..., str]) -> None:
    result = ops("send", orders(order("A-1"), "", "not json", order("A-2")))
    assert result.exit_code == Exit.DONE, result.output
    assert "3 messages published." in result.output
    assert sorted(bodies(stack.outputs.send_queue_url)) == sorted([order("A-1"), "not json", order("A-2")])


def test_standard_input_is_read_to_its_end(stack: Stack, ops: Run, bodies: Bodies) -> None:
    assert ops("send", "-", stdin=order("A-1").encode()).exit_code == Exit.DONE
    assert bodies(stack.outputs.send_queue_url) == [order("A-1")]


def test_what_was_not_published_is_named_by_its_line(ops: Run, orders: Callable[..., str]) -> None:
    result = ops("send", orders(order("A-1"), "x" * 300_000), "--json")
    assert result.exit_code == Exit.NOT_DONE
    document = json.loads(result.stdout)
    assert document["published"] == 1
    assert [line["line"] for line in document["refused"]] == [2]
    shown = ops("send", orders("x" * 300_000))
    assert "line 1 was not published" in shown.stderr


def test_a_file_that_is_not_there_is_one_clear_sentence(ops: Run) -> None:
    result = ops("send", "no-such-file.jsonl")
    assert result.exit_code == Exit.USAGE
    assert result.stderr == "error: Cannot read no-such-file.jsonl: No such file or directory.\n"


def test_waiting_tells_what_became_of_each_message(
    ops: Run, add_row: AddRow, quarantine: Callable[..., str], orders: Callable[..., str]
) -> None:
    add_row("A-1", DELIVERED)
    add_row("A-2", [(Milestone.BOUNCE, "2026-11-22T10:00:05.000Z")])
    quarantine("not json")
    result = ops("send", orders(order("A-1"), order("A-2"), "not json"), "--wait", "--json")
    assert result.exit_code == Exit.DONE, result.output
    assert json.loads(result.stdout)["orders"] == {"BOUNCE": 1, "DELIVERED": 1, "QUARANTINED": 1}


def test_waiting_is_bounded_and_says_what_is_still_open(ops: Run, add_row: AddRow, orders: Callable[..., str]) -> None:
    add_row("A-1", DELIVERED)
    add_row("A-2", [(Milestone.SENT, "2026-11-22T10:00:05.000Z")])
    lines = orders(order("A-1"), order("A-2"), order("A-3"))
    result = ops("send", lines, "--wait", "--timeout", "0", "--json")
    assert result.exit_code == Exit.UNSETTLED
    assert json.loads(result.stdout)["orders"] == {"DELIVERED": 1, "NOT SEEN": 1, "SENT": 1}


@pytest.mark.parametrize("order_id", ["x" * 5000, "\\ud800", "ümlaut"])
def test_an_order_id_that_the_ledger_cannot_hold_is_looked_for_in_quarantine_alone(
    stack: Stack, quarantine: Callable[..., str], order_id: str
) -> None:
    bad = f'{{"orderId": "{order_id}"}}'
    quarantine(bad)
    assert follow(stack, [bad, order("A-1")], timeout=0) == {bad: "QUARANTINED", order("A-1"): "NOT SEEN"}


def test_of_two_messages_with_one_id_the_one_in_quarantine_is_told_from_the_one_that_was_sent(
    stack: Stack, add_row: AddRow, quarantine: Callable[..., str]
) -> None:
    add_row("A-1", DELIVERED)
    bad = json.dumps({"orderId": "A-1"})
    quarantine(bad)
    assert follow(stack, [order("A-1"), bad], timeout=0) == {order("A-1"): "DELIVERED", bad: "QUARANTINED"}


def test_what_was_seen_in_quarantine_counts_though_somebody_takes_it_out_while_others_are_waited_for(
    stack: Stack, add_row: AddRow, quarantine: Callable[..., str], bodies: Bodies
) -> None:
    add_row("A-1")
    bad = json.dumps({"orderId": "A-1"})
    quarantine(bad)
    polls = 0

    def pause(_: float) -> None:
        nonlocal polls
        polls += 1
        if polls == QUARANTINE_EVERY:
            bodies(stack.outputs.quarantine_queue_url)

    ticks = iter(range(1000))
    standing = follow(stack, [order("A-1"), bad], timeout=8, clock=lambda: next(ticks), pause=pause)
    assert standing == {order("A-1"): "SUBMITTING", bad: "QUARANTINED"}


def test_following_ends_as_soon_as_the_last_order_is_final(stack: Stack, add_row: AddRow) -> None:
    row = add_row("A-1")
    polls = 0

    def pause(_: float) -> None:
        nonlocal polls
        polls += 1
        if polls == 3:
            at = DELIVERED[0][1]
            stack.ledger.learn(row, Evidence(milestone=Milestone.DELIVERED, at=at), at)

    seen: list[int] = []
    standing = follow(stack, [order("A-1")], timeout=60, clock=lambda: 0, pause=pause, on_progress=seen.append)
    assert standing == {order("A-1"): "DELIVERED"}
    assert polls == 3
    assert seen == [0, 0, 0, 1]


def test_many_open_orders_do_not_keep_the_others_from_being_seen(stack: Stack, add_row: AddRow) -> None:
    open_orders = [order(f"open-{number}") for number in range(150)]
    add_row("A-1", DELIVERED)
    ticks = iter(range(1000))
    standing = follow(stack, [*open_orders, order("A-1")], timeout=4, clock=lambda: next(ticks), pause=lambda _: None)
    assert standing[order("A-1")] == "DELIVERED"
