from __future__ import annotations

from typing import Any

import pytest

from local.twin.options import Fault, Options, OptionsError, Outcome, changed


def test_what_is_not_named_stays() -> None:
    options = changed(Options(seed=5), {"max_send_rate": 100})
    assert (options.max_send_rate, options.seed) == (100.0, 5)


def test_every_option_can_be_given_back_as_json() -> None:
    options = Options(outcomes={"*@x": Outcome.DELAY}, fault_shares={Fault.RESET: 0.5}, event_delay_ms=(1, 2))
    assert changed(Options(), options.to_json()) == options


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"speed": 1}, "speed: not an option; options are max_send_rate"),
        ({"max_send_rate": -1}, "max_send_rate: expected a number of at least 0"),
        ({"max_send_rate": True}, "max_send_rate: expected a number"),
        ({"daily_quota": float("inf")}, "daily_quota: expected a number"),
        ({"account_suspended": "yes"}, "account_suspended: expected true or false"),
        ({"outcomes": {"*": "lost"}}, "outcomes: 'lost' is not one of delivery, bounce"),
        ({"outcomes": ["*"]}, "outcomes: expected an object"),
        ({"outcomes": {"": "bounce"}}, "outcomes: expected an address or a pattern"),
        ({"outcome_shares": {"bounce": 0.6, "delay": 0.6}}, "outcome_shares: the shares add up to more than 1"),
        ({"fault_shares": {"reset": 2}}, "fault_shares: expected a share from 0 to 1"),
        ({"faults": {"*": "explode"}}, "faults: 'explode' is not one of throttle, error, reset, hang"),
        ({"event_delay_ms": [20, 10]}, r"event_delay_ms: expected \[least, most\]"),
        ({"event_copies": 0}, "event_copies: an event is published at least once"),
        ({"reorder_window": 1.5}, "reorder_window: expected a whole number"),
    ],
)
def test_a_wrong_option_is_named_with_what_is_allowed(changes: dict[str, Any], named: str) -> None:
    with pytest.raises(OptionsError, match=named):
        changed(Options(), changes)


def test_all_faults_are_told_at_once() -> None:
    with pytest.raises(OptionsError, match=r"speed: .*; seed: .*"):
        changed(Options(), {"speed": 1, "seed": -1})


def test_one_number_is_a_range_without_width() -> None:
    assert changed(Options(), {"reply_delay_ms": 20}).reply_delay_ms == (20.0, 20.0)
