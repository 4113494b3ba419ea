"""An operator's word settles what nobody knows, and nothing else; evidence that comes first wins over it."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from components.sender import MAX_DELIVERY_SECONDS
from handlers.mail.lifecycle import Evidence, Milestone, Row, Status, fold
from handlers.mail.sending import Superseded
from handlers.telemetry.contract import Lane
from ops.errors import Exit, OpsError
from ops.resolve import SES_TRIES, Resolution, Verdict, decide, resolutions, resolve
from ops.stack import Stack
from tests.ops.conftest import AddRow, Run

UNKNOWN = [(Milestone.UNKNOWN, "2026-11-22T10:00:20.000Z")]
SENT = [(Milestone.SENT, "2026-11-22T10:00:01.000Z")]
DELAYED = [*SENT, (Milestone.DELAYED, "2026-11-22T12:00:00.000Z")]
NOW = "2026-11-22T11:00:00.000Z"
GIVEN_UP = "2026-11-22T14:00:00.250Z"
"""Four hours after `add_row` has claimed."""
LATER = "2026-11-22T14:00:00.251Z"
ORDER = '{"orderId": "A-1"}'
WORD = Resolution(at=NOW, by="alice", verdict=Verdict.FAILED, reason="the mail server's log has no trace of it")


@pytest.fixture
def at(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Sets the command's clock."""
    return lambda now: monkeypatch.setattr("ops.cli._now", lambda: now)


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


@pytest.mark.parametrize("lane", Lane)
def test_a_resend_goes_in_by_the_lane_of_its_email(
    stack: Stack, add_row: AddRow, attributes: Callable[[str], list[dict[str, str]]], lane: Lane
) -> None:
    row = add_row("A-1", UNKNOWN, order=ORDER, lane=lane)
    resolve(stack, row, Resolution(at=NOW, by="alice", verdict=Verdict.RESEND, reason="why"), now=lambda: NOW)
    assert attributes(stack.outputs.send_queue_url) == [{"messageType": lane.value}]


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


@pytest.mark.parametrize("milestone", [Milestone.FAILED, Milestone.DELIVERED, Milestone.BOUNCE])
@pytest.mark.parametrize("flag", ["--sent", "--delivered", "--failed", "--resend"])
def test_what_is_known_is_not_resolved_by_hand(
    stack: Stack, ops: Run, add_row: AddRow, at: Callable[[str], None], milestone: Milestone, flag: str
) -> None:
    at(LATER)
    row = add_row("A-1", [(milestone, NOW)])
    result = ops("resolve", "A-1", flag, "--reason", "why")
    assert result.exit_code == Exit.NOT_DONE
    assert row.status in result.output, "it says what the state is"
    assert "SENT or DELAYED for over 4 hours" in " ".join(result.output.split())
    assert get(stack, row) == row


@pytest.mark.parametrize("milestones", [SENT, DELAYED])
@pytest.mark.parametrize(("flag", "status"), [("--delivered", Status.DELIVERED), ("--failed", Status.FAILED)])
def test_an_email_whose_last_event_is_lost_is_settled_once_ses_no_longer_tries(
    stack: Stack,
    ops: Run,
    add_row: AddRow,
    at: Callable[[str], None],
    milestones: list[tuple[Milestone, str]],
    flag: str,
    status: Status,
) -> None:
    row = add_row("A-1", milestones)
    at(GIVEN_UP)
    early = ops("resolve", "A-1", flag, "--reason", "customer says so")
    assert early.exit_code == Exit.NOT_DONE
    assert f"is {row.status}, and SES may try until 2026-11-22 14:00:00.250 UTC" in " ".join(early.output.split())
    assert get(stack, row) == row
    assert resolutions(stack.dynamodb, stack.outputs.ledger_table_name, row) == []

    at(LATER)
    result = ops("resolve", "A-1", flag, "--reason", "customer says so", "--json")
    assert result.exit_code == Exit.DONE, result.output
    assert json.loads(result.stdout)["status"] == status
    settled = get(stack, row)
    assert not settled.is_open, "or the alarm on open emails stays raised"
    assert settled.reason == "by the word of arn:aws:sts::123456789012:user/moto: customer says so"
    [word] = resolutions(stack.dynamodb, stack.outputs.ledger_table_name, row)
    assert word.verdict == flag.removeprefix("--")
    assert f"marked as {word.verdict}" in ops("status", "A-1").output


@pytest.mark.parametrize("milestones", [SENT, DELAYED])
@pytest.mark.parametrize("flag", ["--sent", "--resend"])
def test_an_email_that_ses_has_taken_is_never_sent_again(
    stack: Stack,
    ops: Run,
    add_row: AddRow,
    at: Callable[[str], None],
    bodies: Callable[[str], list[str]],
    milestones: list[tuple[Milestone, str]],
    flag: str,
) -> None:
    at(LATER)
    row = add_row("A-1", milestones)
    result = ops("resolve", "A-1", flag, "--reason", "why")
    assert result.exit_code == Exit.NOT_DONE
    assert f"Order A-1 is {row.status}: say --delivered or --failed, not {flag}." in " ".join(result.output.split())
    assert get(stack, row) == row
    assert bodies(stack.outputs.send_queue_url) == []


def test_nobody_can_know_that_an_unknown_email_was_delivered_but_not_that_it_was_sent(
    stack: Stack, ops: Run, add_row: AddRow, at: Callable[[str], None]
) -> None:
    at(LATER)
    row = add_row("A-1", UNKNOWN, order=ORDER)
    result = ops("resolve", "A-1", "--delivered", "--reason", "why")
    assert result.exit_code == Exit.NOT_DONE
    assert "is UNKNOWN: say --sent, --failed or --resend, not --delivered" in " ".join(result.output.split())
    assert get(stack, row) == row
    assert ops("resolve", "A-1", "--sent", "--reason", "customer has it").exit_code == Exit.DONE
    assert ops("resolve", "A-1", "--delivered", "--reason", "customer has it").exit_code == Exit.DONE
    assert get(stack, row).status is Status.DELIVERED


def test_ses_is_given_as_long_as_the_program_gives_it() -> None:
    assert timedelta(seconds=MAX_DELIVERY_SECONDS) == SES_TRIES


def test_an_email_in_flight_is_not_resolved_by_hand(stack: Stack, ops: Run, add_row: AddRow) -> None:
    row = add_row("A-1")
    assert ops("resolve", "A-1", "--resend", "--reason", "why").exit_code == Exit.NOT_DONE
    assert get(stack, row) == row


@pytest.mark.parametrize(
    ("milestones", "verdict", "evidence"),
    [
        (UNKNOWN, Verdict.SENT, Milestone.DELIVERED),
        (UNKNOWN, Verdict.FAILED, Milestone.DELIVERED),
        (UNKNOWN, Verdict.RESEND, Milestone.DELIVERED),
        (UNKNOWN, Verdict.FAILED, Milestone.SENT),
        (UNKNOWN, Verdict.RESEND, Milestone.SENT),
        (SENT, Verdict.DELIVERED, Milestone.SOFT_BOUNCE),
        (DELAYED, Verdict.FAILED, Milestone.DELIVERED),
    ],
)
def test_evidence_that_arrives_between_reading_and_writing_wins(
    stack: Stack,
    add_row: AddRow,
    milestones: list[tuple[Milestone, str]],
    verdict: Verdict,
    evidence: Milestone,
    bodies: Callable[[str], list[str]],
) -> None:
    stale = add_row("A-1", milestones, order=ORDER)
    told, _ = stack.ledger.learn(stale, Evidence(milestone=evidence, at=LATER), LATER)
    word = Resolution(at=LATER, by="alice", verdict=verdict, reason="why")
    with pytest.raises(OpsError, match=rf"Evidence came first.*{told.status}"):
        resolve(stack, stale, word, now=lambda: LATER)
    assert get(stack, stale) == told
    assert bodies(stack.outputs.send_queue_url) == [], "nothing is sent again"


def test_a_delay_that_is_told_late_does_not_stop_the_operator(stack: Stack, add_row: AddRow) -> None:
    stale = add_row("A-1", SENT)
    stack.ledger.learn(stale, Evidence(milestone=Milestone.DELAYED, at=NOW), NOW)
    word = Resolution(at=LATER, by="alice", verdict=Verdict.DELIVERED, reason="why")
    assert resolve(stack, stale, word, now=lambda: LATER).status is Status.DELIVERED


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
        ["--sent", "--delivered", "--reason", "why"],
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
