"""Operators see who is not written to, and change it with a reason; SES's own list is told as well."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from handlers.adapters.suppression import SuppressionList
from handlers.guarding.suppression import Reason, Suppression
from handlers.mail.sending import NewClaim
from ops.errors import Exit
from ops.stack import Stack
from tests.handlers.rows import new_claim
from tests.ops.conftest import Run

ANN, BOB = "ann@example.com", "bob@example.org"
BOUNCED = datetime(2026, 11, 20, 10, 0, 0, 250_000, UTC)
NOW = datetime(2026, 11, 23, 9, 30, tzinfo=UTC)
BY = "arn:aws:sts::123456789012:user/moto"


class Ses:
    """SES's account-level suppression list, as far as the commands use it; moto has none."""

    def __init__(self, *listed: str, fault: str = "") -> None:
        self.listed = set(listed)
        self.fault = fault

    def delete_suppressed_destination(self, *, EmailAddress: str) -> dict[str, Any]:  # noqa: N803 - as the API has it
        code = self.fault or ("" if EmailAddress in self.listed else "NotFoundException")
        if code:
            told = f"Email address {EmailAddress} does not exist on your suppression list."
            raise ClientError({"Error": {"Code": code, "Message": told}}, "DeleteSuppressedDestination")
        self.listed.discard(EmailAddress)
        return {}


@pytest.fixture
def ses(monkeypatch: pytest.MonkeyPatch) -> Ses:
    fake = Ses()
    monkeypatch.setattr(Stack, "sesv2", fake)
    monkeypatch.setattr("ops.suppressed_cli._now", lambda: NOW)
    return fake


@pytest.fixture
def listed(stack: Stack, ses: Ses) -> SuppressionList:
    """The stack's list: Bob has complained, a day after Ann bounced."""
    found = SuppressionList(stack.dynamodb, stack.outputs.control_table_name)
    diagnostic = f"Permanent/General: smtp; 550 5.1.1 user unknown <{ANN}>"
    found.put(Suppression(address=ANN, reason=Reason.BOUNCE, since=BOUNCED, order_id="A-17", diagnostic=diagnostic))
    complained = BOUNCED + timedelta(days=1)
    found.put(Suppression(address=BOB, reason=Reason.COMPLAINT, since=complained, order_id="A-18", diagnostic="abuse"))
    return found


@pytest.fixture
def standing(listed: SuppressionList) -> Callable[[str], Suppression | None]:
    return lambda address: listed.find(address, consistent=True)


def as_json(run: Run, *arguments: str) -> Any:
    result = run("suppressed", *arguments, "--json")
    assert result.exit_code == Exit.DONE, result.output
    return json.loads(result.stdout)


# ---- What is not done ----


def test_a_refusal_of_ses_changes_nothing_and_the_command_can_be_given_again(
    ops: Run, ses: Ses, standing: Callable[[str], Suppression | None]
) -> None:
    ses.listed, ses.fault = {ANN}, "TooManyRequestsException"
    before = standing(ANN)
    result = ops("suppressed", "remove", ANN, "--reason", "a new mailbox")
    assert result.exit_code == Exit.UNREACHABLE
    assert result.stderr.startswith("error: DeleteSuppressedDestination failed")
    assert standing(ANN) == before
    ses.fault = ""
    assert as_json(ops, "remove", ANN, "--reason", "a new mailbox")["removedFromSes"] is True


@pytest.mark.parametrize("command", [["show"], ["remove", "--reason", "why"]])
def test_an_address_that_is_on_no_list_is_one_clear_sentence(
    ops: Run, listed: SuppressionList, command: list[str]
) -> None:
    result = ops("suppressed", *command, "Nobody@example.com")
    assert result.exit_code == Exit.NOT_DONE
    assert result.stderr.startswith("error: n***@example.com is not on the suppression list of stack moto.\n")
    assert "suppressed list" in result.stderr


@pytest.mark.parametrize("command", [["show"], ["remove", "--reason", "why"], ["add", "--reason", "why"]])
@pytest.mark.parametrize("text", ["ann", "@example.com", "ann@", "ann @example.com", ""])
def test_what_is_no_address_is_refused_with_its_name(ops: Run, ses: Ses, command: list[str], text: str) -> None:
    result = ops("suppressed", *command, text)
    assert result.exit_code == Exit.USAGE
    assert result.stderr.startswith("error: ADDRESS ")


@pytest.mark.parametrize("command", ["remove", "add"])
@pytest.mark.parametrize("reason", ["", "  "])
def test_nothing_is_changed_without_a_reason(
    ops: Run, ses: Ses, standing: Callable[[str], Suppression | None], command: str, reason: str
) -> None:
    before = standing(ANN)
    assert ops("suppressed", command, ANN, "--reason", reason).exit_code == Exit.USAGE
    assert ops("suppressed", command, ANN).exit_code == Exit.USAGE
    assert standing(ANN) == before


def test_the_simulators_addresses_cannot_be_put_on_the_list(ops: Run, listed: SuppressionList) -> None:
    result = ops("suppressed", "add", "bounce+x@simulator.amazonses.com", "--reason", "why")
    assert result.exit_code == Exit.USAGE
    assert len(list(listed.all())) == 2


# ---- What is ----


def test_a_removal_is_kept_with_who_why_and_when_and_ses_forgets_the_address(
    ops: Run, ses: Ses, standing: Callable[[str], Suppression | None]
) -> None:
    ses.listed = {ANN, BOB}
    result = ops("suppressed", "remove", "Ann@Example.com", "--reason", " a new mailbox ")
    assert result.exit_code == Exit.DONE, result.output
    assert "A***@Example.com is off our list and SES's own" in result.stdout
    assert ses.listed == {BOB}
    entry = standing(ANN)
    assert entry
    assert entry.removed
    assert (entry.active, entry.removed.by, entry.removed.reason, entry.removed.at) == (False, BY, "a new mailbox", NOW)
    assert (entry.reason, entry.order_id) == (Reason.BOUNCE, "A-17"), "what it was on the list for stays"
    shown = ops("suppressed", "show", ANN).stdout
    assert "may be written to" in shown
    assert f"2026-11-23 09:30:00.000 UTC by {BY}: a new mailbox" in shown


def test_an_address_that_only_ses_has_is_forgotten_there(
    ops: Run, ses: Ses, standing: Callable[[str], Suppression | None]
) -> None:
    ses.listed = {"carol@example.com"}
    assert as_json(ops, "remove", "carol@example.com", "--reason", "why") == {"entry": None, "removedFromSes": True}
    assert ses.listed == set()
    assert standing("carol@example.com") is None


def test_a_removal_holds_although_the_clock_of_ses_is_ahead(
    ops: Run, listed: SuppressionList, standing: Callable[[str], Suppression | None]
) -> None:
    listed.put(Suppression(address="dan@example.com", reason=Reason.BOUNCE, since=NOW + timedelta(seconds=2)))
    assert as_json(ops, "remove", "dan@example.com", "--reason", "why")["entry"]["active"] is False


def test_removing_twice_says_so(ops: Run, listed: SuppressionList) -> None:
    assert ops("suppressed", "remove", ANN, "--reason", "why").exit_code == Exit.DONE
    assert ops("suppressed", "remove", ANN, "--reason", "why").exit_code == Exit.NOT_DONE


def test_the_list_shows_who_is_on_it_newest_first(ops: Run, listed: SuppressionList) -> None:
    assert [entry["orderId"] for entry in as_json(ops, "list")["addresses"]] == ["A-18", "A-17"]
    ops("suppressed", "remove", BOB, "--reason", "apologised")
    assert [entry["orderId"] for entry in as_json(ops, "list")["addresses"]] == ["A-17"]
    everyone = as_json(ops, "list", "--removed")["addresses"]
    assert [(entry["orderId"], entry["active"]) for entry in everyone] == [("A-18", False), ("A-17", True)]
    assert everyone[0]["removed"] == {"by": BY, "reason": "apologised", "at": "2026-11-23T09:30:00.000Z"}
    shown = ops("suppressed", "list").stdout
    assert "bounce of order A-17" in shown
    assert "1 address." in shown
    assert "2026-11-23 09:30:00" in ops("suppressed", "list", "--removed").stdout


def test_an_empty_list_says_so(ops: Run, ses: Ses) -> None:
    assert ops("suppressed", "list").stdout == "The suppression list is empty.\n"
    assert as_json(ops, "list") == {"addresses": []}


@pytest.mark.parametrize("command", [["list"], ["show", ANN]])
def test_addresses_are_masked_unless_they_are_asked_for(ops: Run, listed: SuppressionList, command: list[str]) -> None:
    for options in ([], ["--json"]):
        masked = ops("suppressed", *command, *options).stdout
        assert "ann@" not in masked
        assert "a***@example.com" in masked
        assert ANN in ops("suppressed", *command, *options, "--show-address").stdout


def test_an_address_put_on_the_list_by_hand_is_not_written_to(
    ops: Run, standing: Callable[[str], Suppression | None]
) -> None:
    told = as_json(ops, "add", "Carol@example.com", "--reason", "asked on the phone")
    assert told["added"] is True
    entry = standing("carol@example.com")
    assert entry
    assert (entry.active, entry.reason, entry.by, entry.since) == (True, Reason.OPERATOR, BY, NOW)
    shown = ops("suppressed", "show", "carol@example.com").stdout
    assert "SUPPRESSED" in shown
    assert "asked on the phone" in shown


def test_an_address_that_is_on_the_list_stays_as_it_is(ops: Run, standing: Callable[[str], Suppression | None]) -> None:
    before = standing(ANN)
    result = ops("suppressed", "add", ANN, "--reason", "why")
    assert result.exit_code == Exit.DONE
    assert "on the list already, since 2026-11-20 10:00:00 UTC (bounce of order A-17)" in result.stdout
    assert standing(ANN) == before


def test_an_address_can_be_put_on_the_list_again_after_its_removal(
    ops: Run, monkeypatch: pytest.MonkeyPatch, standing: Callable[[str], Suppression | None]
) -> None:
    ops("suppressed", "remove", ANN, "--reason", "a new mailbox")
    monkeypatch.setattr("ops.suppressed_cli._now", lambda: NOW + timedelta(minutes=1))
    assert as_json(ops, "add", ANN, "--reason", "it bounced at another shop")["added"] is True
    entry = standing(ANN)
    assert entry
    assert entry.active


# ---- In the story of an order ----


def test_status_says_why_an_order_was_not_sent_and_what_can_be_done(ops: Run, stack: Stack) -> None:
    claim: NewClaim = new_claim("A-19")
    stack.ledger.suppress(claim, "on our suppression list since 2026-11-20 10:00 UTC (bounce of order A-17)")
    shown = ops("status", "A-19").stdout
    assert "Order A-19  SUPPRESSED" in shown
    assert "on our suppression list since 2026-11-20 10:00 UTC (bounce of order A-17)" in shown
    assert "`suppressed remove ADDRESS --reason WHY`" in shown
    assert "being handed to SES" not in shown
    [email] = json.loads(ops("status", "A-19", "--json").stdout)["emails"]
    assert (email["final"], "suppressed remove" in email["remedy"]) == (True, True)
