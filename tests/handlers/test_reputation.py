"""When a lane is held for its bounces or complaints: bounds, windows, trials."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from math import comb

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from handlers.guarding.brake import Lane
from handlers.guarding.reputation import (
    BOUNCES,
    COMPLAINTS,
    FAST_CERTAINTY,
    LONGEST,
    SLOW_CERTAINTY,
    Evidence,
    Finding,
    Window,
    evidence,
    judge,
    surely_over,
    surely_under,
)
from handlers.guarding.tally import BOUNCED, COMPLAINED, DAY, HOUR, JUDGED, SLOT, Hour, Start, hour_of, slot_number

NOW = datetime(2026, 11, 23, 10, 32, tzinfo=UTC)
NOTHING = Window(0, 0, 0, "")
LANE = Lane(name="order-confirmation")

levels = st.sampled_from([0.0003, 0.001, 0.025, 0.05, 0.3])
certainties = st.sampled_from([0.9, 0.95, 0.995, 0.9999])


@st.composite
def counted(draw: st.DrawFn) -> tuple[int, int]:
    judged = draw(st.integers(1, 3000))
    return draw(st.integers(0, judged)), judged


# ---- Bounds ----


@pytest.mark.parametrize(
    ("bad", "judged", "certainty", "bound"),
    [
        # Exact limits of Clopper and Pearson, each end of the interval of twice the remainder: 1 of n by its closed
        # form 1 - certainty ** (1/n), all of n by (1 - certainty) ** (1/n), and the usual table's 5 of 10 and 10 of
        # 100 at 97.5 %.
        (1, 20, 0.95, 1 - 0.95 ** (1 / 20)),
        (10, 10, 0.95, 0.05 ** (1 / 10)),
        (5, 10, 0.975, 0.18709),
        (10, 100, 0.975, 0.04900),
    ],
)
def test_the_lower_bound_is_the_exact_one(bad: int, judged: int, certainty: float, bound: float) -> None:
    assert surely_over(bad, judged, bound - 1e-5, certainty)
    assert not surely_over(bad, judged, bound + 1e-5, certainty)


@pytest.mark.parametrize(
    ("bad", "judged", "certainty", "bound"),
    [(0, 59, 0.95, 1 - 0.05 ** (1 / 59)), (5, 10, 0.975, 0.81291), (10, 100, 0.975, 0.17622)],
)
def test_the_upper_bound_is_the_exact_one(bad: int, judged: int, certainty: float, bound: float) -> None:
    assert surely_under(bad, judged, bound + 1e-5, certainty)
    assert not surely_under(bad, judged, bound - 1e-5, certainty)


@given(st.integers(1, 60).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))), levels, certainties)
def test_it_is_the_binomial_tail(of: tuple[int, int], level: float, certainty: float) -> None:
    bad, judged = of
    tail = sum(comb(judged, k) * level**k * (1 - level) ** (judged - k) for k in range(bad, judged + 1))
    if abs(tail - (1 - certainty)) > 1e-9:
        assert surely_over(bad, judged, level, certainty) == (tail < 1 - certainty)


@given(counted(), levels, certainties)
def test_a_rate_is_never_surely_over_what_was_seen_nor_under_it(
    of: tuple[int, int], level: float, certainty: float
) -> None:
    bad, judged = of
    assert not (surely_over(bad, judged, level, certainty) and bad / judged <= level)
    assert not (surely_under(bad, judged, level, certainty) and bad / judged >= level)


@given(counted(), levels, certainties)
def test_more_bounces_are_never_less_evidence_and_more_good_emails_never_more(
    of: tuple[int, int], level: float, certainty: float
) -> None:
    bad, judged = of
    if surely_over(bad, judged, level, certainty):
        assert bad == judged or surely_over(bad + 1, judged, level, certainty)
        assert judged == bad or surely_over(bad, judged - 1, level, certainty)


def test_it_counts_in_millions_as_well() -> None:
    assert surely_over(26_000, 1_000_000, 0.025, FAST_CERTAINTY)
    assert not surely_over(25_500, 1_000_000, 0.025, FAST_CERTAINTY)


# ---- Verdicts ----


def seen(judged: int, bounced: int = 0, complained: int = 0) -> Window:
    return Window(judged, bounced, complained, "then")


def slow(judged: int, bounced: int = 0, complained: int = 0, *, trial: bool = False) -> Evidence:
    window = seen(judged, bounced, complained)
    return Evidence(NOTHING, window, window, trial)


def fast(judged: int, bounced: int = 0, complained: int = 0) -> Evidence:
    return Evidence(seen(judged, bounced, complained), NOTHING, NOTHING)


def finding(of: Evidence) -> Finding:
    return judge(of).finding


def test_without_emails_there_is_nothing_to_judge() -> None:
    assert judge(slow(0)) == judge(fast(0))
    assert finding(slow(0, trial=True)) is Finding.FINE


@given(st.integers(0, BOUNCES.least - 1), st.integers(0, COMPLAINTS.least - 1), st.booleans())
def test_fewer_than_the_least_never_hold_an_open_lane_be_they_all_that_was_sent(
    bounced: int, complained: int, hour: bool
) -> None:
    window = (max(bounced, complained, 1), bounced, complained)
    assert finding(fast(*window) if hour else slow(*window)) is Finding.FINE


def test_two_of_three_never_trip_whatever_the_lane() -> None:
    assert finding(fast(3, 2)) is Finding.FINE
    assert finding(slow(3, 2)) is Finding.FINE
    assert finding(slow(3, 2, trial=True)) is Finding.FINE


@pytest.mark.parametrize(
    ("of", "expected"),
    [
        (slow(1000, 20), Finding.FINE),
        (slow(1000, 39), Finding.WARN),
        (slow(1000, 40), Finding.TRIP),
        (slow(1000, 50), Finding.TRIP),
        (slow(10_000, 0, 2), Finding.FINE),
        (slow(10_000, 0, 8), Finding.WARN),
        (slow(10_000, 0, 9), Finding.TRIP),
        (slow(100_000, 2_000, 20), Finding.WARN),
        (fast(130, 14), Finding.TRIP),
        (fast(130, 10), Finding.WARN),
        (fast(4000, 0, 7), Finding.WARN),
        (fast(4000, 0, 8), Finding.TRIP),
    ],
)
def test_what_is_enough(of: Evidence, expected: Finding) -> None:
    assert finding(of) is expected


def test_the_hour_needs_more_certainty_than_the_volume() -> None:
    assert finding(slow(1000, 40)) is Finding.TRIP
    assert finding(fast(1000, 40)) is Finding.WARN
    assert FAST_CERTAINTY > SLOW_CERTAINTY


def test_each_side_alone_is_enough_and_good_emails_of_another_window_do_not_outweigh_it() -> None:
    for bad in (seen(130, 14), seen(4000, 0, 8)):
        assert finding(Evidence(bad, seen(5000), seen(5000))) is Finding.TRIP
    assert finding(Evidence(seen(100), seen(1000, 40), seen(10_000, 40))) is Finding.TRIP
    assert finding(Evidence(seen(100), seen(1000), seen(10_000, 0, 9))) is Finding.TRIP


@given(counted(), st.booleans())
def test_whatever_holds_a_lane_would_have_warned_of_it(of: tuple[int, int], hour: bool) -> None:
    bounced, judged = of
    window = fast if hour else slow
    if finding(window(judged, bounced)) is Finding.TRIP:
        certainty = FAST_CERTAINTY if hour else SLOW_CERTAINTY
        assert surely_over(bounced, judged, BOUNCES.warn, certainty)


@given(counted())
def test_a_lane_under_the_level_is_not_held_and_one_that_is_held_is_over_it(of: tuple[int, int]) -> None:
    bounced, judged = of
    if finding(slow(judged, bounced)) is Finding.TRIP:
        assert bounced / judged > BOUNCES.trip


def test_the_reason_is_in_words_and_numbers() -> None:
    assert judge(fast(130, 14)).reason == "14 of 130 emails bounced then (10.77 %): with 99.99 % certainty over 2.5 %"
    assert judge(slow(10_000, 0, 9)).reason == (
        "9 of 10,000 emails were complained of then (0.09 %): with 99.5 % certainty over 0.03 %"
    )
    assert judge(slow(1000, 39)).reason == "39 of 1,000 emails bounced then (3.9 %): with 99.5 % certainty over 1.5 %"
    assert judge(slow(10, 0)).reason == ""


# ---- Trials ----


@pytest.mark.parametrize(
    ("judged", "bounced", "expected"),
    [
        (58, 0, Finding.FINE),
        (59, 0, Finding.PASSED),
        (92, 1, Finding.FINE),
        (93, 1, Finding.PASSED),
        (123, 2, Finding.FINE),
        (124, 2, Finding.PASSED),
        (33, 3, Finding.TRIP),
        (34, 3, Finding.WARN),
    ],
)
def test_a_trial_ends_as_soon_as_it_is_known_how(judged: int, bounced: int, expected: Finding) -> None:
    assert finding(slow(judged, bounced, trial=True)) is expected


def test_only_a_lane_on_trial_can_pass_and_it_needs_less_to_be_held_again() -> None:
    assert finding(slow(59)) is Finding.FINE
    assert finding(slow(33, 3)) is Finding.FINE
    assert judge(slow(59, trial=True)).reason.endswith("with 95 % certainty under 5 %")


def test_complaints_end_a_trial_although_its_bounces_are_good() -> None:
    assert finding(slow(1000, 0, 3, trial=True)) is Finding.TRIP


@given(counted())
def test_what_would_hold_an_open_lane_holds_one_on_trial(of: tuple[int, int]) -> None:
    bounced, judged = of
    if finding(slow(judged, bounced)) is Finding.TRIP:
        assert finding(slow(judged, bounced, trial=True)) is Finding.TRIP
    assert finding(replace(fast(130, 14), trial=True)) is Finding.TRIP


# ---- Evidence ----

Added = list[tuple[timedelta, int, int, int]]
"""How long ago, and what was added: judged, bounced, complained."""


def hours_of(added: Added, now: datetime = NOW) -> list[Hour]:
    """The tally, as its table gives it: newest first."""
    totals: dict[datetime, dict[str, Decimal]] = {}
    slots: dict[datetime, dict[int, dict[str, Decimal]]] = {}
    for ago, *counts in added:
        at = now - ago
        for counter, amount in zip((JUDGED, BOUNCED, COMPLAINED), counts, strict=True):
            total = totals.setdefault(hour_of(at), {})
            slot = slots.setdefault(hour_of(at), {}).setdefault(slot_number(at), {})
            total[counter] = total.get(counter, Decimal(0)) + amount
            slot[counter] = slot.get(counter, Decimal(0)) + amount
    return [Hour(began, totals[began], slots[began]) for began in sorted(totals, reverse=True)]


def counts(window: Window) -> tuple[int, int, int]:
    return window.judged, window.bounced, window.complained


def test_the_windows_are_the_last_hour_and_the_hours_that_make_the_volumes() -> None:
    daily = [(DAY * day + timedelta(minutes=20), 400, 4, 1) for day in range(40)]
    found = evidence(LANE, hours_of([(timedelta(0), 10, 2, 0), *daily]), NOW)
    assert counts(found.hour) == (410, 6, 1)
    assert counts(found.bounces) == (1210, 14, 3)
    assert counts(found.complaints) == (10_010, 102, 25)
    assert not found.trial


def test_the_slow_window_is_a_day_at_least() -> None:
    busy = [(HOUR * hour, 5000, 50, 1) for hour in range(48)]
    found = evidence(LANE, hours_of(busy), NOW)
    assert 24 * 5000 <= found.bounces.judged <= 25 * 5000
    assert found.bounces == found.complaints


def test_what_is_older_than_five_weeks_counts_no_more() -> None:
    old = [(timedelta(minutes=1), 1, 0, 0), (LONGEST - HOUR, 10, 10, 10), (LONGEST + 2 * HOUR, 1000, 1000, 1000)]
    assert counts(evidence(LANE, hours_of(old), NOW).complaints) == (11, 10, 10)


def test_what_was_counted_before_the_release_counts_no_more_not_even_of_its_own_slot() -> None:
    released = timedelta(minutes=20)
    start = Start(NOW - released, {JUDGED: Decimal(100), BOUNCED: Decimal(90)})
    lane = replace(LANE, start=start, trial=True)
    before = [(released, 100, 90, 0), (timedelta(hours=1), 50, 50, 5), (timedelta(days=3), 700, 700, 70)]
    after = [(released, 3, 1, 0), (timedelta(minutes=2), 20, 1, 1)]
    found = evidence(lane, hours_of([*before, *after]), NOW)
    assert {counts(window) for window in (found.hour, found.bounces, found.complaints)} == {(23, 2, 1)}
    assert found.trial
    assert found.bounces.words == "since its release"


def test_no_more_hours_are_read_than_the_windows_need() -> None:
    read = []

    def told() -> Iterable[Hour]:
        for hour in hours_of([(HOUR * hour, 5000, 0, 0) for hour in range(100)]):
            read.append(hour)
            yield hour

    evidence(LANE, told(), NOW)
    assert len(read) <= 27


def test_a_lane_without_outcomes_has_no_evidence() -> None:
    found = evidence(LANE, [], NOW)
    assert counts(found.hour) == counts(found.bounces) == counts(found.complaints) == (0, 0, 0)
    assert finding(found) is Finding.FINE


moments = st.integers(0, int((LONGEST + 3 * DAY) / SLOT)).map(lambda slots: slots * SLOT)
additions = st.lists(
    st.tuples(moments, st.integers(0, 900), st.integers(0, 20), st.integers(0, 3)), min_size=1, max_size=60
)


@given(additions)
@example([(timedelta(hours=1), 1, 0, 0), (timedelta(hours=25), 999, 0, 0), (timedelta(hours=26), 1, 0, 0)])
def test_each_window_has_its_volume_or_all_there_is_and_the_newest_of_it(added: Added) -> None:
    found = evidence(LANE, hours_of(added), NOW)
    recent = [one for one in added if NOW - one[0] >= hour_of(NOW - LONGEST) and one[0] < LONGEST]
    for window, rule in ((found.bounces, BOUNCES), (found.complaints, COMPLAINTS)):
        day = sum(judged for ago, judged, *_ in added if ago <= DAY)
        assert window.judged >= min(rule.volume, sum(judged for _, judged, *_ in recent))
        assert window.judged >= day
    assert found.complaints.judged >= found.bounces.judged >= found.hour.judged
