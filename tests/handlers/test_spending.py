"""What calls cost, and what the limits let through."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handlers.guarding.brake import Hold, Holder, Lane, engage, release
from handlers.guarding.spending import (
    AN_EMAIL,
    Admission,
    Limits,
    admit,
    cost,
    estimate,
    excess,
    hold_if_exceeded,
    money,
)
from handlers.guarding.tally import HOUR, USD, Hour, Start, hour_of, slot_number
from handlers.telemetry.contract import METERED
from tests.handlers.entries import PRICES as PRICE_LIST
from tests.handlers.rows import START as NOW

PRICES = {name: Decimal(usd) for name, usd in PRICE_LIST.items()}
LIMITS = Limits(per_hour=Decimal("2.00"), per_day=Decimal("10.00"))
LANE = Lane(name="order-confirmation")
HOLDS = ["order-confirmation"]


def spent(usd: str, minutes_ago: int = 0) -> Hour:
    """An hour in which so much was spent at one moment."""
    at = NOW - timedelta(minutes=minutes_ago)
    return Hour(hour_of(at), {USD: Decimal(usd)}, {slot_number(at): {USD: Decimal(usd)}})


def held(lane: Lane = LANE, holder: Holder = Holder.OPERATOR) -> Lane:
    return engage(lane, Hold(holder=holder, by="kim", reason="a wrong template", since=NOW))


# ---- Closed ----


def test_a_held_lane_is_closed_and_says_who_holds_it_and_why_whatever_was_spent() -> None:
    assert admit(held(), [], NOW, LIMITS, HOLDS) == Admission(False, "held by operator: a wrong template")
    assert not admit(held(), [], NOW, LIMITS, []).admitted, "an urgent lane is held like any other, by people"


@pytest.mark.parametrize(
    ("hours", "reason"),
    [
        ([spent("2.01")], "2.01 of 2.00 USD in an hour"),
        ([spent("2.000001")], "2.01 of 2.00 USD in an hour"),
        ([spent("1.50"), spent("0.60", 58)], "2.10 of 2.00 USD in an hour"),
        ([spent("1.9", 120 * number) for number in range(6)], "11.40 of 10.00 USD in a day"),
        ([spent("10.01", 23 * 60)], "10.01 of 10.00 USD in a day"),
    ],
)
def test_what_would_pass_a_limit_is_not_let_through_and_has_its_lanes_held(hours: list[Hour], reason: str) -> None:
    assert admit(LANE, hours, NOW, LIMITS, HOLDS) == Admission(False, reason, True)
    after = hold_if_exceeded(LANE, hours, NOW, LIMITS, "send_email")
    assert after.holds == {Holder.SPEND: Hold(holder=Holder.SPEND, by="send_email", reason=reason, since=NOW)}


def test_an_urgent_lane_is_let_through_and_has_the_others_held() -> None:
    assert admit(LANE, [spent("3")], NOW, LIMITS, ["probe"]) == Admission(True, "3.00 of 2.00 USD in an hour", True)


# ---- Open ----


@pytest.mark.parametrize(
    "hours",
    [
        [],
        [spent("2.00")],
        [spent("1.99"), spent("5", 66)],
        [spent("2", 90), spent("2", 150), spent("2", 300), spent("2", 900), spent("2", 0)],
        [spent("100", 24 * 60 + 6)],
    ],
)
def test_what_stays_within_both_limits_is_let_through(hours: list[Hour]) -> None:
    assert admit(LANE, hours, NOW, LIMITS, HOLDS) == Admission(True)
    assert hold_if_exceeded(LANE, hours, NOW, LIMITS, "send_email") is LANE


def test_what_was_spent_before_a_release_counts_no_more_for_that_lane_and_still_for_the_others() -> None:
    start = Start(NOW - timedelta(minutes=1), {USD: Decimal("2.50")})
    released = release(held(holder=Holder.SPEND), by="kim", reason="mended", start=start)
    hours = [spent("2.50", 1)]
    assert admit(released, hours, NOW, LIMITS, HOLDS).admitted
    assert hold_if_exceeded(released, hours, NOW, LIMITS, "send_email") is released
    assert not admit(LANE, hours, NOW, LIMITS, HOLDS).admitted
    assert admit(released, [spent("4.60", 1)], NOW, LIMITS, HOLDS).reason == "2.10 of 2.00 USD in an hour"


def test_a_lane_that_the_limits_hold_already_stays_as_it_is() -> None:
    once = hold_if_exceeded(LANE, [spent("3")], NOW, LIMITS, "send_email")
    assert hold_if_exceeded(once, [spent("4")], NOW, LIMITS, "send_email") is once


@given(
    batches=st.lists(st.tuples(st.integers(0, 30), st.integers(1, 10)), max_size=60),
    limit=st.integers(1, 40),
)
def test_what_is_let_through_never_passes_the_limit_of_an_hour(batches: list[tuple[int, int]], limit: int) -> None:
    """Batches one after the other, each reserved before it is judged, and given back if it is not let through."""
    limits = Limits(per_hour=limit * estimate(5, PRICES), per_day=Decimal(10**6))
    moment, sent = NOW, list[tuple[datetime, Decimal]]()
    for minutes, emails in batches:
        moment += timedelta(minutes=minutes)
        usd = estimate(emails, PRICES)
        hours = [Hour(hour_of(at), {}, {slot_number(at): {USD: amount}}) for at, amount in [*sent, (moment, usd)]]
        if admit(LANE, hours, moment, limits, HOLDS).admitted:
            sent.append((moment, usd))
        within = sum((amount for at, amount in sent if moment - at <= HOUR), Decimal(0))
        assert within <= limits.per_hour


# ---- Costs ----


def test_something_without_a_price_is_not_taken_for_nothing() -> None:
    with pytest.raises(KeyError, match="rocket"):
        cost({"rocket": Decimal(1)}, PRICES)


def test_a_cost_is_units_times_prices() -> None:
    assert cost({"ses.email": Decimal(3), "sqs.request": Decimal(2)}, PRICES) == Decimal("0.0003008")
    assert cost({}, PRICES) == 0


def test_an_email_is_estimated_by_what_has_a_price_and_at_more_than_ses_asks() -> None:
    assert AN_EMAIL.keys() <= set(METERED)
    assert PRICES["ses.email"] < estimate(1, PRICES) < 2 * PRICES["ses.email"]
    assert estimate(10, PRICES) == 10 * estimate(1, PRICES)


@pytest.mark.parametrize(
    ("usd", "text"),
    [
        ("0", "0.00"),
        ("2", "2.00"),
        ("2.001", "2.01"),
        ("1234.5", "1,234.50"),
        ("0.01", "0.01"),
        ("0.6", "0.60"),
        ("0.015", "0.015"),
        ("0.0042", "0.0042"),
        ("0.00000012", "0.00000012"),
    ],
)
def test_money_is_written_so_that_small_amounts_show(usd: str, text: str) -> None:
    assert money(Decimal(usd)) == text


def test_a_limit_of_a_day_alone_holds() -> None:
    limits = replace(LIMITS, per_hour=Decimal(100))
    assert excess([spent("6", 600), spent("6")], NOW, limits, None) == "12.00 of 10.00 USD in a day"
