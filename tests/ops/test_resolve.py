"""An operator's word settles what nobody knows, and nothing else; evidence that comes first wins over it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from handlers.mail.lifecycle import Evidence, Milestone, Row, Status, fold
from handlers.mail.sending import Superseded
from ops.errors import Exit, OpsError
from ops.resolve import Resolution, Verdict, decide, resolutions, resolve
from ops.stack import Stack
from tests.ops.conftest import AddRow, Run

UNKNOWN = [(Milestone.UNKNOWN, "2026-11-22T10:00:20.000Z")]
NOW = "2026-11-22T11:00:00.000Z"
ORDER = '{"orderId": "A-1"}'
WORD = Resolution(at=NOW, by="alice", verdict=Verdict.FAILED, reason="the mail server's log has no trace of it")


def get(stack: Stack, row: Row) -> Row:
    found = stack.ledger.get(row.order_id, row.message_id)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("flag", "status"), [("--sent", Status.SENT), ("--failed", Status.FAILED), ("--resend", Status.SUBMITTING)]
)
def test_each_verdict_moves_an_unknown_row_and_is_kept_with_who_and_why(
    stack: Stack, ops: Run, add_row: AddRow, flag: str, status: Status
) -> None:
    row = add_row("A-1", UNKNOWN, order=ORDER)
    result = ops("resolve", "A-1", flag, "--reason", "asked the customer", "--json")
    assert result.exit_code == Exit.DONE, result.output
    assert json.loads(result.stdout)["status"] == status
    assert get(stack, row).status is status
    [word] = resolutions(stack.dynamodb, stack.outputs.ledger_table_name, row)
    assert word.verdict == flag.removeprefix("--")
    assert word.by == "arn:aws:sts::123456789012:user/moto", "on AWS it is the caller's identity"
    assert word.reason == "asked the customer"


def test_a_resend_publishes_the_order_and_lets_it_claim_the_row_again(
    stack: Stack, ops: Run, add_row: AddRow, bodies: Callable[[str], list[str]]
) -> None:
    first = add_row("A-1", UNKNOWN, order=ORDER)
    ops("resolve", "A-1", "--resend", "--reason", "SES has no trace of it")
    assert bodies(stack.outputs.send_queue_url) == [ORDER]
    again = add_row("A-1")
    assert again.attempts == first.attempts + 1, "the published order must be able to claim the row"
    assert [word.verdict for word in resolutions(stack.dynamodb, stack.outputs.ledger_table_name, again)] == [
        Verdict.RESEND
    ], "the word outlives the next claim"


def test_a_resend_that_could_not_be_published_can_be_given_again(
    stack: Stack, ops: Run, add_row: AddRow, bodies: Callable[[str], list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    row = add_row("A-1", UNKNOWN, order=ORDER)
    with monkeypatch.context() as broken:
        broken.setattr(
            stack.sns,
            "publish_batch",
            lambda **_: {"Failed": [{"Id": "1", "Code": "X", "Message": "no", "SenderFault": True}]},
        )
        result = ops("resolve", "A-1", "--resend", "--reason", "why")
    assert result.exit_code == Exit.NOT_DONE
    assert "Run the same command again" in result.output
    assert get(stack, row).order == ORDER, "the order must not be lost on the way"
    assert ops("resolve", "A-1", "--resend", "--reason", "why").exit_code == Exit.DONE
    assert bodies(stack.outputs.send_queue_url) == [ORDER]


def test_a_resend_without_an_order_is_refused_before_anything_is_written(
    stack: Stack, ops: Run, add_row: AddRow
) -> None:
    row = add_row("A-1", UNKNOWN)
    assert ops("resolve", "A-1", "--resend", "--reason", "why").exit_code == Exit.NOT_DONE
    assert get(stack, row) == row
    assert resolutions(stack.dynamodb, stack.outputs.ledger_table_name, row) == []


@pytest.mark.parametrize("milestone", [Milestone.SENT, Milestone.DELIVERED, Milestone.BOUNCE])
@pytest.mark.parametrize("flag", ["--sent", "--failed", "--resend"])
def test_what_is_known_is_not_resolved_by_hand(
    stack: Stack, ops: Run, add_row: AddRow, milestone: Milestone, flag: str
) -> None:
    row = add_row("A-1", [(milestone, NOW)])
    result = ops("resolve", "A-1", flag, "--reason", "why")
    assert result.exit_code == Exit.NOT_DONE
    assert row.status in result.output, "it says what the state is"
    assert get(stack, row) == row


def test_an_email_in_flight_is_not_resolved_by_hand(stack: Stack, ops: Run, add_row: AddRow) -> None:
    row = add_row("A-1")
    assert ops("resolve", "A-1", "--resend", "--reason", "why").exit_code == Exit.NOT_DONE
    assert get(stack, row) == row


@pytest.mark.parametrize("verdict", list(Verdict))
def test_evidence_that_arrives_between_reading_and_writing_wins(
    stack: Stack, add_row: AddRow, verdict: Verdict, bodies: Callable[[str], list[str]]
) -> None:
    stale = add_row("A-1", UNKNOWN, order=ORDER)
    stack.ledger.learn(stale, Evidence(milestone=Milestone.DELIVERED, at=NOW), NOW)
    word = Resolution(at=NOW, by="alice", verdict=verdict, reason="why")
    with pytest.raises(OpsError, match=r"Evidence came first.*DELIVERED"):
        resolve(stack, stale, word, now=lambda: NOW)
    assert get(stack, stale).status is Status.DELIVERED
    assert bodies(stack.outputs.send_queue_url) == [], "nothing is sent again"


def test_a_change_that_leaves_the_row_unknown_does_not_stop_the_operator(stack: Stack, add_row: AddRow) -> None:
    stale = add_row("A-1", UNKNOWN, order=ORDER)
    stack.ledger.learn(stale, Evidence(milestone=Milestone.UNKNOWN, at="2026-11-22T09:59:00.000Z"), NOW)
    assert resolve(stack, stale, WORD, now=lambda: NOW).status is Status.FAILED


def test_a_row_that_expired_meanwhile_is_said_to_be_gone(
    stack: Stack, add_row: AddRow, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = add_row("A-1", UNKNOWN, order=ORDER)

    def gone(*_: Any) -> Row:
        raise Superseded(None)

    monkeypatch.setattr(stack.ledger, "change", gone)
    with pytest.raises(OpsError, match="expired"):
        resolve(stack, row, WORD, now=lambda: NOW)


def test_proof_of_delivery_outweighs_an_operators_no(add_row: AddRow) -> None:
    failed = decide(add_row("A-1", UNKNOWN), WORD)
    assert fold(failed, Evidence(milestone=Milestone.DELIVERED, at=NOW)).status is Status.DELIVERED


@pytest.mark.parametrize(
    "arguments",
    [
        ["--reason", "why"],
        ["--sent", "--failed", "--reason", "why"],
        ["--sent"],
        ["--sent", "--reason", "  "],
    ],
)
def test_one_verdict_and_a_reason_are_asked_for(ops: Run, arguments: list[str]) -> None:
    assert ops("resolve", "A-1", *arguments).exit_code == Exit.USAGE


def test_an_order_that_is_not_known_is_said_to_be_so(ops: Run) -> None:
    result = ops("resolve", "nobody", "--sent", "--reason", "why")
    assert result.exit_code == Exit.NOT_DONE
    assert "knows no order nobody" in result.output
