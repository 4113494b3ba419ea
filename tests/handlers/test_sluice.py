from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError

from handlers.adapters.sluice import NotTaken
from handlers.guarding.brake import Hold, Holder, Lane, engage, release, wanted
from tests.handlers.brakes import (
    FULL_BATCH,
    HELD,
    LANE,
    OPEN,
    RAMPED,
    Account,
    denied,
    hold,
    refusal,
    start,
)

MAPPING, SET = f"{LANE}-mapping", f"{LANE}-set"


class Clock:
    """Time that only pauses use up; Lambda uses it to carry out what it took."""

    def __init__(self, account: Account, left: float = 50) -> None:
        self.account = account
        self.left = left
        self.pauses: list[float] = []

    def wait(self, seconds: float) -> bool:
        if seconds > self.left:
            return False
        self.left -= seconds
        self.pauses.append(seconds)
        if seconds:
            self.account.pass_time()
        return True


@pytest.fixture
def account() -> Account:
    return Account(LANE)


def settle(account: Account, clock: Clock | None = None) -> Lane:
    control = account.control()
    wait = (clock or Clock(account)).wait
    lane = account.sluice(LANE).settle(control.lane(LANE), read=control.lane, full_batch=FULL_BATCH, wait=wait)
    account.pass_time()
    return lane


def engaged(account: Account, given: Hold | None = None) -> None:
    account.control().alter(LANE, lambda lane: engage(lane, given or hold()))


def released(account: Account) -> None:
    account.control().alter(LANE, lambda lane: release(lane, by="kim", reason="mended", start=start()))


class TestFailing:
    @pytest.mark.parametrize(
        ("operation", "shut"),
        [("update_event_source_mapping", (OPEN[0], False)), ("put_configuration_set_sending_options", (HELD[0], True))],
    )
    def test_a_gate_that_cannot_be_shut_does_not_keep_the_other_one_open(
        self, account: Account, operation: str, shut: Any
    ) -> None:
        engaged(account)
        account.refusals[operation] = denied("UpdateEventSourceMapping")
        with pytest.raises(NotTaken, match="AccessDeniedException: User is not authorized"):
            settle(account)
        account.pass_time()
        assert account.stands(LANE) == shut

    def test_a_mapping_whose_state_cannot_be_read_does_not_keep_the_configuration_set_sending(
        self, account: Account
    ) -> None:
        engaged(account)
        account.refusals["get_event_source_mapping"] = denied("GetEventSourceMapping")
        with pytest.raises(NotTaken, match=f"event source mapping {MAPPING}: GetEventSourceMapping: AccessDenied"):
            settle(account)
        assert account.stands(LANE) == (OPEN[0], False)

    def test_orders_do_not_come_while_ses_would_refuse_them(self, account: Account) -> None:
        engaged(account)
        settle(account)
        released(account)
        account.refusals["put_configuration_set_sending_options"] = denied("PutConfigurationSetSendingOptions")
        with pytest.raises(NotTaken, match=f"configuration set {SET}: "):
            settle(account)
        assert account.stands(LANE) == HELD

    @pytest.mark.parametrize("holds", [True, False])
    def test_a_mapping_that_is_gone_is_named(self, account: Account, holds: bool) -> None:
        if holds:
            engaged(account)
        del account.mappings[MAPPING]
        with pytest.raises(NotTaken) as caught:
            settle(account)
        assert str(caught.value) == f"event source mapping {MAPPING}: does not exist any more; deploy the stack again"
        assert account.sets[SET] is not holds

    def test_a_configuration_set_that_is_gone_is_named(self, account: Account) -> None:
        engaged(account)
        del account.sets[SET]
        with pytest.raises(NotTaken, match=f"configuration set {SET}: does not exist any more"):
            settle(account)
        account.pass_time()
        assert account.mappings[MAPPING]["State"] == "Disabled"

    def test_what_fails_in_both_gates_is_told_of_both(self, account: Account) -> None:
        engaged(account)
        account.mappings.clear()
        account.sets.clear()
        with pytest.raises(NotTaken, match=f"mapping {MAPPING}: does not .*; configuration set {SET}: does not"):
            settle(account)

    def test_a_change_that_is_taken_and_does_not_show_is_a_fault(
        self, account: Account, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        engaged(account)
        monkeypatch.setattr(account, "put_configuration_set_sending_options", lambda **_: {})
        with pytest.raises(NotTaken, match=f"^not in time: configuration set {SET} is sending$"):
            settle(account)

    def test_a_mapping_that_never_comes_to_rest_is_a_fault(
        self, account: Account, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        engaged(account)
        account.mappings[MAPPING]["State"] = "Creating"
        with pytest.raises(NotTaken, match=f"^not in time: event source mapping {MAPPING}: .*ResourceInUseException"):
            settle(account)
        assert account.sets[SET] is False

    def test_what_passes_is_asked_again_with_growing_pauses_while_there_is_time(self, account: Account) -> None:
        engaged(account)
        account.refusals["update_event_source_mapping"] = refusal("U", 429, "TooManyRequestsException")
        clock = Clock(account)
        with pytest.raises(NotTaken, match="TooManyRequestsException"):
            settle(account, clock)
        assert clock.pauses == [0, 1, 2, 4, 8, 16]


class TestHolding:
    def test_a_held_lane_polls_and_sends_no_more(self, account: Account) -> None:
        engaged(account)
        assert settle(account).held
        assert account.stands(LANE) == HELD
        assert account.changes() == [
            f"update_event_source_mapping {MAPPING} False 10",
            f"put_configuration_set_sending_options {SET} False",
        ], "upstream first: nothing is handed over that could not be sent"

    def test_nothing_is_changed_that_is_as_wanted(self, account: Account) -> None:
        settle(account)
        assert account.calls == ["get_item", "get_configuration_set", "get_event_source_mapping"]
        engaged(account)
        settle(account)
        account.calls.clear()
        settle(account)
        assert account.changes() == []

    def test_a_mapping_that_is_being_disabled_counts_as_taken(self, account: Account) -> None:
        engaged(account)
        clock = Clock(account)
        settle(account, clock)
        assert clock.pauses == [0], "one look after the change, and no waiting"

    @pytest.mark.parametrize("part", ["mapping", "set"])
    def test_a_gate_that_somebody_opened_by_hand_is_shut_again(self, account: Account, part: str) -> None:
        engaged(account)
        settle(account)
        if part == "mapping":
            account.mappings[MAPPING]["State"] = "Enabled"
        else:
            account.sets[SET] = True
        settle(account)
        assert account.stands(LANE) == HELD

    @pytest.mark.parametrize(
        "passing",
        [
            refusal("UpdateEventSourceMapping", 409, "ResourceConflictException"),
            refusal("UpdateEventSourceMapping", 500, "ServiceException"),
            EndpointConnectionError(endpoint_url="https://lambda.us-east-1.amazonaws.com"),
        ],
    )
    def test_what_passes_is_waited_out(self, account: Account, passing: Exception) -> None:
        engaged(account)
        account.refusals["update_event_source_mapping"] = passing

        class Mending(Clock):
            def wait(self, seconds: float) -> bool:
                if seconds >= 4:
                    account.refusals.clear()
                return super().wait(seconds)

        settle(account, Mending(account))
        assert account.stands(LANE) == HELD


class TestLettingGo:
    def test_a_released_lane_sends_before_it_polls_and_takes_one_message_at_a_time(self, account: Account) -> None:
        engaged(account)
        settle(account)
        account.calls.clear()
        released(account)
        settle(account)
        assert account.stands(LANE) == RAMPED
        assert account.changes() == [
            f"put_configuration_set_sending_options {SET} True",
            f"update_event_source_mapping {MAPPING} True 1",
        ]

    def test_a_release_that_comes_while_the_mapping_is_still_being_disabled_waits_for_that(
        self, account: Account
    ) -> None:
        engaged(account)
        control = account.control()
        clock = Clock(account)
        account.sluice(LANE).settle(control.lane(LANE), read=control.lane, full_batch=FULL_BATCH, wait=clock.wait)
        assert account.mappings[MAPPING]["State"] == "Disabling"
        released(account)
        settle(account, clock)
        assert account.stands(LANE) == RAMPED
        assert 1 in clock.pauses

    def test_the_lane_is_read_again_after_the_last_change(self, account: Account) -> None:
        """Or whoever was slow would leave what it wanted when it began."""
        engaged(account)
        slow, before = account.sluice(LANE), account.control().lane(LANE)
        released(account)
        settle(account)
        control = account.control()
        after = slow.settle(before, read=control.lane, full_batch=FULL_BATCH, wait=Clock(account).wait)
        account.pass_time()
        assert not after.held
        assert account.stands(LANE) == RAMPED

    def test_two_lanes_are_held_apart(self) -> None:
        account = Account(LANE, "probe")
        engaged(account, hold(Holder.OPERATOR))
        settle(account)
        assert (account.stands(LANE), account.stands("probe")) == (HELD, OPEN)


def test_differences_are_told_without_a_change(account: Account) -> None:
    sluice = account.sluice(LANE)
    assert sluice.differences(wanted(Lane(name=LANE), FULL_BATCH)) == []
    found = sluice.differences(wanted(engage(Lane(name=LANE), hold()), FULL_BATCH))
    assert found == [
        f"event source mapping {MAPPING} is Enabled with batches of 10",
        f"configuration set {SET} is sending",
    ]
    assert account.changes() == []


def test_a_configuration_set_whose_options_are_not_told_is_taken_to_send(
    account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(account, "get_configuration_set", lambda **_: {})
    assert account.sluice(LANE).differences(wanted(Lane(name=LANE), FULL_BATCH)) == []
