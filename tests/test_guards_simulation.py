"""A bounded sample of the simulation in bench/guards/, and that it sees what the guard would see."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import numpy as np
import pytest

from bench.guards.account import REVIEW, account_rate
from bench.guards.guard import Seen, guarded
from bench.guards.sides import GUARD, PLAIN, share_over
from bench.guards.simulation import Outcome
from bench.guards.steady import Constant, one_year
from bench.guards.traffic import COMPLAINT_COURSES, COURSES, GOOD, VOLUMES, Course, Trace, sums, traffic
from bench.guards.trials import one_trial
from bench.guards.worsening import goes_wrong
from handlers.guarding.brake import Lane
from handlers.guarding.reputation import Finding, evidence
from handlers.guarding.tally import BOUNCED, COMPLAINED, HOUR, JUDGED, SLOT, Hour, Start

BEGAN = datetime(2026, 1, 1, tzinfo=UTC)


def tally(trace: Trace, until: int) -> list[Hour]:
    """The trace until a slot as record_feedback would have counted it, newest hour first."""
    hours: dict[datetime, dict[int, dict[str, Decimal]]] = {}
    for slot in np.flatnonzero(trace.judged[: until + 1]).tolist():
        seen = {JUDGED: trace.judged[slot], BOUNCED: trace.bounced[slot], COMPLAINED: trace.complained[slot]}
        hour, number = divmod(slot, HOUR // SLOT)
        hours.setdefault(BEGAN + hour * HOUR, {})[number] = {name: Decimal(int(of)) for name, of in seen.items()}
    return [
        Hour(
            began,
            {name: sum((slot[name] for slot in slots.values()), Decimal(0)) for name in (JUDGED, BOUNCED, COMPLAINED)},
            slots,
        )
        for began, slots in sorted(hours.items(), reverse=True)
    ]


@pytest.mark.parametrize("volume", VOLUMES)
def test_the_simulated_guard_sees_what_the_real_one_reads_from_its_tally(volume: int) -> None:
    random = np.random.default_rng(volume)
    trace = traffic(random, volume, np.full(45 * 288, 0.02), 0.01)
    slots = np.sort(random.choice(np.flatnonzero(trace.judged), 5, replace=False))
    start = int(slots[2]) - 20
    for since in (0, start):
        later = slots[slots >= since]
        lane = Lane(name="order-confirmation", start=Start(BEGAN + since * SLOT) if since else None)
        for slot, seen in zip(later.tolist(), Seen.of(trace, since, later).evidence(), strict=True):
            real = evidence(lane, tally(trace, slot), BEGAN + (slot + 1) * SLOT - SLOT / 2)
            for name in ("hour", "bounces", "complaints"):
                one, other = getattr(seen, name), getattr(real, name)
                assert one == replace(other, words=""), f"{name} at slot {slot} since {since}"


@pytest.mark.parametrize("volume", VOLUMES)
def test_a_year_at_one_percent_has_no_false_trip(volume: int) -> None:
    year = one_year(volume, GOOD, False, seed=10_000)
    assert year.trips[GUARD] == 0
    assert year.complaints == 0


@pytest.mark.parametrize("volume", VOLUMES)
@pytest.mark.parametrize("course", [COURSES[0], COURSES[2], COURSES[4]], ids=lambda course: course.name)
def test_what_goes_wrong_is_stopped_before_the_account_is_reviewed(volume: int, course: Course) -> None:
    gone = goes_wrong(volume, course, seed=10_000)
    act = gone.acts[GUARD]
    assert act.slots is not None
    assert max(act.peaks.values()) < REVIEW
    if volume == VOLUMES[-1]:
        plain = gone.acts[PLAIN]
        assert plain.slots is not None
        assert act.slots < plain.slots
        assert act.bad < plain.bad


def test_complaints_are_noticed_where_there_are_enough_emails() -> None:
    assert goes_wrong(1000, COMPLAINT_COURSES[1], seed=10_000, complaints=True).acts[GUARD].slots is not None


def test_good_lanes_pass_their_trial_and_bad_ones_do_not() -> None:
    good, bad = ([one_trial(rate, seed).finding for seed in range(150)] for rate in (0.01, 0.12))
    assert good.count(Finding.PASSED) > 140
    assert bad.count(Finding.TRIP) > 145


def test_a_trip_is_followed_by_a_release_after_which_what_was_before_counts_no_more() -> None:
    judged = np.full(288 * 3, 100)
    bounced = np.where(np.arange(len(judged)) == 288, 100, 0)
    found = guarded(Trace(judged, bounced, np.zeros_like(judged)), 0)
    assert found.trips == [288]


def test_the_plain_alarm_needs_its_volume_and_the_bare_one_does_not() -> None:
    trace = Trace(np.array([60, 0, 60]), np.array([6, 0, 6]), np.zeros(3, int))
    assert share_over(trace, 72, REVIEW, 100).tolist() == [False, False, True]
    assert share_over(trace, 2, REVIEW, 1).tolist() == [True, True, True]
    assert share_over(trace, 1, REVIEW, 1).tolist() == [True, False, True]


def test_the_accounts_rate_is_of_its_last_emails() -> None:
    trace = Trace(np.array([100, 900, 1000]), np.array([100, 0, 0]), np.zeros(3, int))
    rates = account_rate(trace, 1000, 0.0, np.random.default_rng(0))
    assert rates.tolist() == [0.1, 0.1, 0.0]
    assert sums(trace.judged).tolist() == [0, 100, 1000, 2000]


def test_claims_that_do_not_hold_are_named() -> None:
    constant = [Constant(volume, GOOD, False, {GUARD: 1, PLAIN: 0}, 0, 0) for volume in VOLUMES]
    gone = goes_wrong(100_000, COURSES[2], seed=10_000)
    late = replace(gone, acts={**gone.acts, GUARD: replace(gone.acts[PLAIN])})
    never = replace(gone, acts={**gone.acts, GUARD: replace(gone.acts[GUARD], slots=None)})
    failures = Outcome(constant, {}, [gone, late, never], [], []).failures()
    assert failures[:4] == [f"1 false trips in 1 years at {volume:,} emails a day" for volume in VOLUMES]
    assert any("the guard does not" in said for said in failures)
    assert any("10,000 emails reaches" in said for said in failures)
    assert Outcome([], {}, [gone], [], []).failures() == []
