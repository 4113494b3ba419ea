from __future__ import annotations

from datetime import datetime, timedelta, timezone
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handlers.guarding.tally import (
    DAY,
    HOUR,
    SLOT,
    Hour,
    Start,
    count,
    hour_of,
    slot_counts,
    slot_number,
    slot_of,
)
from tests.handlers.brakes import NOON, at

SECONDS = st.integers(-26 * 3600, 0)


def tally(*additions: tuple[datetime, int]) -> list[Hour]:
    """The hours that these additions of a counter make."""
    slots: dict[datetime, dict[int, int]] = {}
    for moment, amount in additions:
        hour = slots.setdefault(hour_of(moment), {})
        hour[slot_number(moment)] = hour.get(slot_number(moment), 0) + amount
    return [
        Hour(began, {"usd": Decimal(sum(hour.values()))}, {number: {"usd": Decimal(n)} for number, n in hour.items()})
        for began, hour in slots.items()
    ]


def moments(seconds: list[int]) -> list[datetime]:
    return [NOON + timedelta(seconds=second) for second in seconds]


@given(st.lists(SECONDS), st.sampled_from([HOUR, DAY]))
def test_a_window_has_everything_within_it_and_nothing_that_is_a_slot_older(
    seconds: list[int], span: timedelta
) -> None:
    found = count(tally(*((moment, 1) for moment in moments(seconds))), "usd", NOON, span)
    within = [moment for moment in moments(seconds) if moment >= NOON - span]
    nearly = [moment for moment in moments(seconds) if moment >= NOON - span - SLOT]
    assert len(within) <= found <= len(nearly)


@given(st.lists(SECONDS), st.lists(SECONDS), SECONDS, st.integers(0, 1800), st.sampled_from([HOUR, DAY]))
def test_what_was_counted_before_a_start_counts_no_more(
    old: list[int], new: list[int], began: int, later: int, span: timedelta
) -> None:
    release = NOON + timedelta(seconds=began)
    now = NOON + timedelta(seconds=later)
    before = [(moment, 1) for moment in moments(old) if moment <= release]
    after = [(moment, 1) for moment in moments(new) if moment > release]
    start = Start(release, slot_counts(tally(*before), release))
    found = count(tally(*before, *after), "usd", now, span, start)
    assert found == count(tally(*after), "usd", now, span)


def test_the_hour_slides_over_the_full_hour() -> None:
    hours = tally((at(-5), 1), (at(5), 2))
    assert count(hours, "usd", at(10)) == 3
    assert count(hours, "usd", at(60)) == 2
    assert count(hours, "usd", at(70)) == 0


def test_a_slot_that_the_window_begins_in_counts_in_full() -> None:
    assert count(tally((at(1), 1)), "usd", at(64)) == 1
    assert count(tally((at(1), 1)), "usd", at(65)) == 0


def test_what_is_of_the_future_or_of_another_counter_does_not_count() -> None:
    assert count(tally((at(30), 1)), "usd", at(10)) == 0
    assert count(tally((at(0), 1)), "judged", at(10)) == 0
    assert count([], "usd", at(10)) == 0


def test_a_start_whose_slot_is_out_of_the_window_takes_nothing_off() -> None:
    start = Start(at(0), {"usd": Decimal(5)})
    assert count(tally((at(0), 5), (at(100), 2)), "usd", at(110), HOUR, start) == 2


@pytest.mark.parametrize(
    ("moment", "slot", "number"),
    [(at(0), at(0), 0), (at(4.99), at(0), 0), (at(5), at(5), 1), (at(59.9), at(55), 11), (at(60), at(60), 0)],
)
def test_slots_are_five_minutes_of_the_hour(moment: datetime, slot: datetime, number: int) -> None:
    assert (slot_of(moment), slot_number(moment)) == (slot, number)


def test_hours_are_those_of_utc_whatever_the_zone() -> None:
    kathmandu = timezone(timedelta(hours=5, minutes=45))
    moment = at(7).astimezone(kathmandu)
    assert (hour_of(moment), slot_of(moment), slot_number(moment)) == (NOON, at(5), 1)


def test_the_counts_of_a_slot_are_those_of_its_hour() -> None:
    hours = tally((at(-57), 1), (at(3), 2))
    assert slot_counts(hours, at(4)) == {"usd": 2}
    assert slot_counts(hours, at(5)) == slot_counts(hours, at(600)) == {}


def test_a_start_in_the_slot_that_the_window_begins_in_still_takes_off_what_came_before_it() -> None:
    start = Start(at(1), {"usd": Decimal(5)})
    assert count(tally((at(0), 5), (at(2), 3)), "usd", at(64), HOUR, start) == 3
