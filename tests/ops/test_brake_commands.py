"""A person's word holds lanes and lets them go, acts at once, and is never silent about what did not take."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from botocore.exceptions import ClientError

from components.consumer import BATCH_SIZE
from handlers.adapters.control import Control
from handlers.guarding.brake import Hold, Holder, Lane, engage
from handlers.guarding.tally import JUDGED, SPEND, USD, count, outcomes
from ops.brake import FULL_BATCH, resort_attached, start_of
from ops.errors import Exit
from ops.stack import LaneOutputs, Stack
from tests.ops.conftest import Account, Run

CONFIRMATION, PROBE = "order-confirmation", "probe"
NOW = datetime.now(UTC)


def is_open(stack: Stack, account: Account, name: str) -> tuple[bool, bool]:
    """Whether the lane's mapping polls, and whether its configuration set sends."""
    at: LaneOutputs = stack.outputs.lane(name)
    return account.mappings[at.mapping_id]["State"] == "Enabled", account.sending[at.configuration_set]


def guard_holds(stack: Stack, holder: Holder, name: str = CONFIRMATION) -> None:
    hold = Hold(holder=holder, by="a guard", reason="evidence", since=NOW)
    stack.control.alter(name, lambda lane: engage(lane, hold))


def refusing(operation: str) -> Any:
    def refuse(*_: Any, **__: Any) -> Any:
        raise ClientError({"Error": {"Code": "AccessDeniedException", "Message": "no"}}, operation)

    return refuse


# What goes wrong


@pytest.mark.parametrize("operation", ["UpdateEventSourceMapping", "PutConfigurationSetSendingOptions"])
def test_a_brake_that_did_not_take_is_said_and_stands(stack: Stack, ops: Run, account: Account, operation: str) -> None:
    account.refused[operation] = "AccessDeniedException"
    result = ops("brake", CONFIRMATION, "--reason", "storm")
    assert result.exit_code == Exit.NOT_DONE
    assert "did not take: " in result.stderr
    assert operation in result.stderr
    assert "goes on trying" in result.stderr
    assert stack.control.lane(CONFIRMATION).held
    assert is_open(stack, account, CONFIRMATION).count(True) == 1, "what could be shut is shut"


def test_a_lane_that_does_not_follow_in_time_is_said(ops: Run, account: Account) -> None:
    account.refused["UpdateEventSourceMapping"] = "ResourceInUseException"
    result = ops("brake", CONFIRMATION, "--reason", "storm")
    assert result.exit_code == Exit.NOT_DONE
    assert "not in time" in result.stderr


def test_one_lanes_fault_does_not_keep_the_other_open(stack: Stack, ops: Run, account: Account) -> None:
    del account.sending[stack.outputs.lane(CONFIRMATION).configuration_set]
    missing = ClientError({"Error": {"Code": "NotFoundException", "Message": "gone"}}, "GetConfigurationSet")
    account.get_configuration_set = _missing_for(account, missing)  # type: ignore[method-assign]
    result = ops("brake", "--reason", "storm")
    assert result.exit_code == Exit.NOT_DONE
    assert is_open(stack, account, PROBE) == (False, False)


def _missing_for(account: Account, error: ClientError) -> Any:
    def get(*, ConfigurationSetName: str) -> Any:  # noqa: N803
        if ConfigurationSetName not in account.sending:
            raise error
        return {"SendingOptions": {"SendingEnabled": account.sending[ConfigurationSetName]}}

    return get


def test_without_the_table_nothing_is_pretended_and_the_last_resort_is_named(
    stack: Stack, ops: Run, account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Control, "alter", refusing("PutItem"))
    result = ops("brake", CONFIRMATION, "--reason", "storm")
    assert result.exit_code == Exit.NOT_DONE
    assert "nothing was written" in result.stderr
    assert "--last-resort" in result.stderr
    assert is_open(stack, account, CONFIRMATION) == (True, True)


def test_a_lane_that_the_stack_does_not_have_is_refused_with_those_it_has(stack: Stack, ops: Run) -> None:
    result = ops("brake", PROBE, "newsletter", "--reason", "storm")
    assert result.exit_code == Exit.USAGE
    assert result.stderr.startswith("error: Stack moto has no lane newsletter.\n")
    assert "order-confirmation, probe" in result.stderr
    assert not stack.control.lane(PROBE).held, "a command that was typed wrongly does nothing"


@pytest.mark.parametrize("command", ["brake", "release"])
@pytest.mark.parametrize("arguments", [[], ["--reason", " "]])
def test_nobody_acts_without_a_reason(ops: Run, command: str, arguments: list[str]) -> None:
    assert ops(command, *arguments).exit_code == Exit.USAGE


def test_the_last_resort_is_for_all_lanes(ops: Run) -> None:
    result = ops("brake", PROBE, "--last-resort", "--reason", "storm")
    assert result.exit_code == Exit.USAGE
    assert "leave LANE out" in result.stderr


# Holding


def test_a_held_lane_is_shut_with_who_why_and_since(stack: Stack, ops: Run, account: Account) -> None:
    result = ops("brake", CONFIRMATION, "--reason", "bounce storm")
    assert result.exit_code == Exit.DONE, result.output
    assert is_open(stack, account, CONFIRMATION) == (False, False)
    assert is_open(stack, account, PROBE) == (True, True)
    hold = stack.control.lane(CONFIRMATION).holds[Holder.OPERATOR]
    assert (hold.by, hold.reason) == (stack.operator, "bounce storm")
    assert abs(hold.since - datetime.now(UTC)) < timedelta(minutes=1)
    assert "order-confirmation is held." in result.stdout
    for shown in (stack.operator, "bounce storm", f"{hold.since:%Y-%m-%d %H:%M}"):
        assert shown in result.stdout


def test_without_a_lane_all_are_held(stack: Stack, ops: Run, account: Account) -> None:
    assert ops("brake", "--reason", "storm").exit_code == Exit.DONE
    for lane in stack.outputs.lanes:
        assert stack.control.lane(lane.name).held
        assert is_open(stack, account, lane.name) == (False, False)


def test_holding_twice_is_one_hold_and_puts_right_what_somebody_undid(stack: Stack, ops: Run, account: Account) -> None:
    ops("brake", CONFIRMATION, "--reason", "the first")
    account.sending[stack.outputs.lane(CONFIRMATION).configuration_set] = True
    result = ops("brake", CONFIRMATION, "--reason", "the second")
    assert result.exit_code == Exit.DONE
    assert "held already (operator)" in result.stdout
    assert is_open(stack, account, CONFIRMATION) == (False, False)
    lane = stack.control.lane(CONFIRMATION)
    assert lane.holds[Holder.OPERATOR].reason == "the first"
    assert len(lane.changes) == 1


def test_parked_messages_are_counted(stack: Stack, ops: Run, account: Account) -> None:
    for number in range(3):
        stack.sqs.send_message(QueueUrl=stack.outputs.send_queue_url, MessageBody=f"order {number}")
    stack.sqs.receive_message(QueueUrl=stack.outputs.send_queue_url)  # given back for a while, and parked all the same
    [lane] = json.loads(ops("brake", CONFIRMATION, "--reason", "storm", "--json").stdout)["lanes"]
    assert (lane["waiting"], lane["state"], lane["changed"], lane["fault"]) == (3, "held", True, "")


def test_an_address_in_a_reason_is_not_kept(stack: Stack, ops: Run, account: Account) -> None:
    ops("brake", CONFIRMATION, "--reason", "leonie@example.com complained")
    assert stack.control.lane(CONFIRMATION).holds[Holder.OPERATOR].reason == "l***@example.com complained"


# Releasing


def test_a_released_lane_sends_again_one_message_at_a_time(stack: Stack, ops: Run, account: Account) -> None:
    ops("brake", CONFIRMATION, "--reason", "storm")
    account.changes.clear()
    result = ops("release", CONFIRMATION, "--reason", "mended")
    assert result.exit_code == Exit.DONE, result.output
    assert is_open(stack, account, CONFIRMATION) == (True, True)
    assert account.changes == ["PutConfigurationSetSendingOptions", "UpdateEventSourceMapping"]
    assert account.mappings[stack.outputs.lane(CONFIRMATION).mapping_id]["BatchSize"] == 1
    assert "it sends at 5 % of its rate, and goes faster every 5 minutes" in result.stdout
    last = stack.control.lane(CONFIRMATION).changes[-1]
    assert (last.what, last.by, last.reason) == ("released", stack.operator, "mended")


def test_a_release_lets_go_of_every_hold(stack: Stack, ops: Run, account: Account) -> None:
    guard_holds(stack, Holder.SPEND)
    guard_holds(stack, Holder.BUDGET)
    ops("release", CONFIRMATION, "--reason", "mended")
    assert not stack.control.lane(CONFIRMATION).held


def test_a_release_of_one_holder_leaves_the_others_and_the_lane_shut(stack: Stack, ops: Run, account: Account) -> None:
    guard_holds(stack, Holder.BUDGET)
    ops("brake", CONFIRMATION, "--reason", "storm")
    result = ops("release", CONFIRMATION, "--holder", "operator", "--reason", "mended")
    assert result.exit_code == Exit.DONE
    assert "still held by budget" in result.stdout
    assert set(stack.control.lane(CONFIRMATION).holds) == {Holder.BUDGET}
    assert is_open(stack, account, CONFIRMATION) == (False, False)


def test_after_the_reputation_guards_hold_comes_a_trial(stack: Stack, ops: Run, account: Account) -> None:
    guard_holds(stack, Holder.REPUTATION)
    result = ops("release", CONFIRMATION, "--reason", "list cleaned")
    assert "until its reputation has proved good" in result.stdout
    assert "trial 5 %" in result.stdout
    assert stack.control.lane(CONFIRMATION).trial


def test_to_release_what_is_not_held_changes_nothing(stack: Stack, ops: Run, account: Account) -> None:
    result = ops("release", CONFIRMATION, "--reason", "to be sure")
    assert result.exit_code == Exit.DONE
    assert "is not held (open)" in result.stdout
    assert stack.control.lane(CONFIRMATION) == Lane(name=CONFIRMATION)
    assert account.changes == []


def test_what_was_counted_before_the_release_counts_no_more(stack: Stack, ops: Run, account: Account) -> None:
    guard_holds(stack, Holder.SPEND)
    now = datetime.now(UTC)
    scope = outcomes(CONFIRMATION)
    stack.control.add(SPEND, now, {USD: Decimal("2.5")}, slotted=frozenset({USD}))
    stack.control.add(scope, now, {JUDGED: Decimal(40)}, slotted=frozenset({JUDGED}))
    ops("release", CONFIRMATION, "--reason", "mended")
    start = stack.control.lane(CONFIRMATION).start
    assert start is not None
    stack.control.add(SPEND, start.at, {USD: Decimal("0.25")}, slotted=frozenset({USD}))

    def counted(tally: str, counter: str) -> Decimal:
        hours = stack.control.hours(tally, start.at - timedelta(hours=1), start.at)
        return count(hours, counter, start.at, start=start)

    # A release just after the slot's end would find the counts in the slot before; they count no more in either case.
    assert counted(SPEND, USD) == Decimal("0.25")
    assert counted(scope, JUDGED) == 0


def test_a_start_knows_its_own_slot_alone(stack: Stack) -> None:
    now = datetime(2026, 11, 23, 10, 7, tzinfo=UTC)
    for minutes, amount in ((0, 7), (-5, 100), (-60, 1000)):
        stack.control.add(SPEND, now + timedelta(minutes=minutes), {USD: Decimal(amount)}, slotted=frozenset({USD}))
    assert start_of(stack.control, CONFIRMATION, now).counted == {USD: 7}


# The last resort


def test_the_last_resort_takes_the_permission_and_holds_all_lanes(stack: Stack, ops: Run, account: Account) -> None:
    result = ops("brake", "--last-resort", "--reason", "it goes on sending")
    assert result.exit_code == Exit.DONE, result.output
    assert resort_attached(stack)
    assert "role send-email may not send any more" in result.stdout
    assert all(stack.control.lane(lane.name).held for lane in stack.outputs.lanes)


def test_the_last_resort_works_without_table_and_lanes(
    stack: Stack, ops: Run, account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Control, "alter", refusing("PutItem"))
    result = ops("brake", "--last-resort", "--reason", "it goes on sending")
    assert result.exit_code == Exit.NOT_DONE
    assert resort_attached(stack)


def test_a_last_resort_that_is_refused_holds_the_lanes_all_the_same(
    stack: Stack, ops: Run, account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stack.iam, "attach_role_policy", refusing("AttachRolePolicy"))
    monkeypatch.setattr(Stack, "iam", stack.iam)
    result = ops("brake", "--last-resort", "--reason", "it goes on sending")
    assert result.exit_code == Exit.NOT_DONE
    assert "nothing was changed for role send-email: Not allowed to call AttachRolePolicy" in result.stderr
    assert stack.control.lane(CONFIRMATION).held


def test_a_release_leaves_the_last_resort_and_says_so(stack: Stack, ops: Run, account: Account) -> None:
    ops("brake", "--last-resort", "--reason", "storm")
    result = ops("release", "--reason", "mended")
    assert resort_attached(stack)
    assert "last resort is attached: nothing is sent" in result.stdout


def test_the_last_resort_is_taken_off_and_twice_is_fine(stack: Stack, ops: Run, account: Account) -> None:
    ops("brake", "--last-resort", "--reason", "storm")
    for _ in range(2):
        result = ops("release", "--last-resort", "--reason", "mended")
        assert result.exit_code == Exit.DONE, result.output
        assert "role send-email may send again" in result.stdout
    assert not resort_attached(stack)


def test_an_open_lane_takes_as_many_messages_as_the_program_gave_it() -> None:
    assert FULL_BATCH == BATCH_SIZE
