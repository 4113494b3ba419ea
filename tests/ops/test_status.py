"""`status` tells an order's story from its row, and gives no address away unasked."""

from __future__ import annotations

import json

from handlers.mail.lifecycle import Milestone
from ops.errors import Exit
from ops.timeline import WORDS
from tests.ops.conftest import AddRow, Run

DELIVERED = [
    (Milestone.SENT, "2026-11-22T10:00:00.400Z"),
    (Milestone.DELAYED, "2026-11-22T10:01:00.400Z"),
    (Milestone.DELIVERED, "2026-11-22T12:05:00.000Z"),
]


def test_the_timeline_is_in_order_with_the_time_since_publishing(ops: Run, add_row: AddRow) -> None:
    add_row("A-1", reversed(DELIVERED))
    [email] = json.loads(ops("status", "A-1", "--json").stdout)["emails"]
    assert [(step["what"], step["afterMs"]) for step in email["timeline"]] == [
        ("published", 0),
        ("being handed to SES", 250),
        ("taken by SES", 400),
        ("delayed by the recipient's mail server", 60_400),
        ("delivered", 7_500_000),
    ]
    assert email["status"] == "DELIVERED"
    assert email["final"] is True


def test_people_see_state_trace_and_latency(ops: Run, add_row: AddRow) -> None:
    add_row("A-1", DELIVERED)
    shown = ops("status", "A-1").output
    assert "Order A-1  DELIVERED" in shown
    assert "1-6921a2f0-0123456789abcdef01234567" in shown
    assert "2026-11-22 10:00:00.400" in shown
    assert "2 h 05 min" in shown


def test_addresses_are_masked_unless_asked_for(ops: Run, add_row: AddRow) -> None:
    add_row("A-1", DELIVERED, to="leonie@example.com", sent_to="success+leonie=example.com@simulator.amazonses.com")
    for arguments in (["status", "A-1"], ["status", "A-1", "--json"]):
        assert "leonie" not in ops(*arguments).output
        assert "leonie@example.com" in ops(*arguments, "--show-address").output


def test_a_sandboxed_email_says_that_the_customer_got_nothing(ops: Run, add_row: AddRow) -> None:
    add_row("A-1", DELIVERED, sent_to="success+x@simulator.amazonses.com")
    assert "the simulator stands for the customer" in ops("status", "A-1").output
    add_row("A-2", DELIVERED)
    assert "simulator" not in ops("status", "A-2").output


def test_the_reason_of_a_failure_is_shown_with_its_step(ops: Run, add_row: AddRow) -> None:
    add_row("A-1", [(Milestone.FAILED, "2026-11-22T10:00:01.000Z")], reason="no identity for orders@example.com")
    shown = ops("status", "A-1").output
    assert "no identity for o***@example.com" in shown


def test_an_operators_word_is_part_of_the_story(ops: Run, add_row: AddRow) -> None:
    add_row("A-1", [(Milestone.UNKNOWN, "2026-11-22T10:00:20.000Z")])
    ops("resolve", "A-1", "--sent", "--reason", "the customer has it")
    [email] = json.loads(ops("status", "A-1", "--json").stdout)["emails"]
    assert email["resolutions"][0]["reason"] == "the customer has it"
    assert "marked as sent by arn:aws:sts" in ops("status", "A-1").output


def test_an_order_that_is_not_known_is_one_clear_sentence(ops: Run) -> None:
    result = ops("status", "nobody")
    assert result.exit_code == Exit.NOT_DONE
    assert result.stderr.startswith("error: The ledger of stack moto knows no order nobody.\n")
    assert "quarantine list" in result.stderr
    assert result.stdout == ""


def test_every_milestone_has_its_words() -> None:
    assert set(WORDS) == set(Milestone)
