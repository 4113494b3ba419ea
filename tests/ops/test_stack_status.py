"""`status` without an order tells how the stack stands: who holds what, what waits, what is spent."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from botocore.exceptions import ClientError

from handlers.guarding.brake import FULL, RAMP, Hold, Holder, Lane, engage, pass_trial, release
from handlers.guarding.tally import SPEND, USD, Start
from ops.overview import state
from ops.stack import Stack
from tests.ops.conftest import Account, Run

CONFIRMATION, PROBE = "order-confirmation", "probe"


def hold(holder: Holder, since: datetime, reason: str = "evidence") -> Hold:
    return Hold(holder=holder, by=f"the {holder} guard", reason=reason, since=since)


def engaged(stack: Stack, name: str, by: Hold) -> None:
    stack.control.alter(name, lambda lane: engage(lane, by))


def seen(ops: Run) -> Any:
    result = ops("status", "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_what_the_account_does_against_a_lanes_state_is_said(stack: Stack, ops: Run, account: Account) -> None:
    engaged(stack, CONFIRMATION, hold(Holder.SPEND, datetime.now(UTC)))
    [confirmation, probe] = seen(ops)["lanes"]
    assert "is sending" in confirmation["wrong"]
    assert "Enabled" in confirmation["wrong"]
    assert probe["wrong"] == ""
    assert "order-confirmation is not what it should be" in ops("status").stdout


def test_what_may_not_be_looked_at_hides_nothing_else(ops: Run, account: Account) -> None:
    account.refused["GetConfigurationSet"] = "AccessDeniedException"
    shown = ops("status")
    assert shown.exit_code == 0
    assert "cannot be seen: Not allowed to call GetConfigurationSet" in shown.stdout
    assert "spent in the last" in shown.stdout


def test_a_last_resort_that_may_not_be_looked_at_is_not_called_off(
    stack: Stack, ops: Run, account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> Any:
        raise ClientError({"Error": {"Code": "AccessDenied", "Message": "no"}}, "ListAttachedRolePolicies")

    monkeypatch.setattr(stack.iam, "get_paginator", refuse)
    monkeypatch.setattr(Stack, "iam", stack.iam)
    assert seen(ops)["lastResort"] is None
    assert "attached cannot be seen" in ops("status").stdout


def test_the_last_resort_is_told(stack: Stack, ops: Run, account: Account) -> None:
    assert seen(ops)["lastResort"] is False
    at = stack.outputs
    stack.iam.attach_role_policy(RoleName=at.send_role_name, PolicyArn=at.deny_send_policy_arn)
    assert seen(ops)["lastResort"] is True
    assert "nothing is sent, whatever the lanes say" in ops("status").stdout


def test_a_stack_that_nobody_ever_held_is_open(stack: Stack, ops: Run, account: Account) -> None:
    view = seen(ops)
    assert [(lane["lane"], lane["state"], lane["holds"], lane["urgent"]) for lane in view["lanes"]] == [
        (CONFIRMATION, "open", [], False),
        (PROBE, "open", [], True),
    ]
    assert view["changes"] == []


def test_every_hold_is_shown_with_holder_who_since_and_why(stack: Stack, ops: Run, account: Account) -> None:
    since = datetime(2026, 11, 23, 10, 7, tzinfo=UTC)
    for holder in (Holder.REPUTATION, Holder.SPEND):
        engaged(stack, CONFIRMATION, hold(holder, since, f"said {holder}"))
    [confirmation, _] = seen(ops)["lanes"]
    assert [each["holder"] for each in confirmation["holds"]] == ["reputation", "spend"]
    shown = ops("status").stdout
    for words in ("the reputation guard", "said spend", "2026-11-23 10:07"):
        assert words in shown


def test_messages_that_wait_and_that_were_given_up_are_counted_by_lane(
    stack: Stack, ops: Run, account: Account
) -> None:
    probe = stack.outputs.lane(PROBE)
    for url, number in ((stack.outputs.send_queue_url, 3), (probe.queue_url, 1), (probe.dlq_url, 2)):
        for _ in range(number):
            stack.sqs.send_message(QueueUrl=url, MessageBody="order")
    counted = [(lane["waiting"], lane["givenUp"]) for lane in seen(ops)["lanes"]]
    assert counted == [(3, 0), (1, 2)]


def test_spend_is_shown_beside_its_limits(stack: Stack, ops: Run, account: Account) -> None:
    now = datetime.now(UTC)
    for ago, usd in ((0, "0.5"), (3, "4"), (30, "90")):
        stack.control.add(SPEND, now - timedelta(hours=ago), {USD: Decimal(usd)}, slotted=frozenset({USD}))
    hour, day = seen(ops)["spend"]
    assert (Decimal(hour["usd"]), hour["limit"], hour["seconds"]) == (Decimal("0.5"), "2", 3600)
    assert (Decimal(day["usd"]), day["limit"]) == (Decimal("4.5"), "10")
    shown = ops("status").stdout
    assert "25 %" in shown
    assert "45 %" in shown


def test_after_a_release_the_spend_that_counts_for_the_lane_is_shown_apart(
    stack: Stack, ops: Run, account: Account
) -> None:
    now = datetime.now(UTC)
    stack.control.add(SPEND, now - timedelta(minutes=30), {USD: Decimal("1.9")}, slotted=frozenset({USD}))
    engaged(stack, CONFIRMATION, hold(Holder.SPEND, now))
    stack.control.alter(CONFIRMATION, lambda lane: release(lane, by="ann", reason="mended", start=Start(now)))
    stack.control.add(SPEND, now, {USD: Decimal("0.25")}, slotted=frozenset({USD}))
    hour, day = seen(ops)["spend"]
    assert Decimal(hour["usd"]) == Decimal("2.15")
    assert hour["sinceRelease"] == day["sinceRelease"] == {CONFIRMATION: "0.25"}
    assert "order-confirmation 0.2500" in ops("status").stdout


def test_engagements_and_releases_of_all_lanes_are_told_newest_first(stack: Stack, ops: Run, account: Account) -> None:
    at = datetime(2026, 11, 23, 10, tzinfo=UTC)
    for minutes, name in ((0, CONFIRMATION), (2, PROBE)):
        engaged(stack, name, hold(Holder.BUDGET, at + timedelta(minutes=minutes)))
    later = Start(at + timedelta(minutes=1))
    stack.control.alter(CONFIRMATION, lambda lane: release(lane, by="ann", reason="mended", start=later))
    told = [(change["lane"], change["what"], change["holder"]) for change in seen(ops)["changes"]]
    assert told == [
        (PROBE, "engaged", "budget"),
        (CONFIRMATION, "released", "budget"),
        (CONFIRMATION, "engaged", "budget"),
    ]
    assert "mended" in ops("status").stdout


@pytest.mark.parametrize("stage", range(len(RAMP)))
def test_a_ramp_is_told_by_its_share(stage: int) -> None:
    expected = "open" if stage == FULL else f"ramp {round(100 * RAMP[stage])} %"
    assert state(Lane(name=PROBE, stage=stage)) == expected


def test_a_trial_is_told_apart_from_a_ramp_and_held_outweighs_both() -> None:
    at = datetime(2026, 11, 23, tzinfo=UTC)
    held = engage(Lane(name=PROBE), hold(Holder.REPUTATION, at))
    assert state(held) == "held"
    trial = release(held, by="ann", reason="mended", start=Start(at))
    assert state(trial) == "trial 5 %"
    assert state(pass_trial(trial, at=at, by="guard", reason="fine")) == "ramp 5 %"
    assert state(engage(trial, hold(Holder.SPEND, at))) == "held"
