from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handlers.guarding.brake import (
    CHANGES_KEPT,
    FULL,
    RAMP,
    STAGE,
    Holder,
    Lane,
    Wanted,
    advance,
    engage,
    pass_trial,
    release,
    wanted,
)
from tests.handlers.brakes import FULL_BATCH, LANE, at, hold, start

OPEN = Lane(name=LANE)


def released(lane: Lane, *holders: Holder, minutes: float = 0) -> Lane:
    return release(lane, by="kim", reason="mended", start=start(minutes), holders=holders or tuple(Holder))


def on_ramp(holder: Holder = Holder.SPEND) -> Lane:
    return released(engage(OPEN, hold(holder)))


def passed(lane: Lane) -> Lane:
    return pass_trial(lane, at=at(9), by="reputation_guard", reason="0 of 300 bounced")


class TestHolds:
    def test_a_second_word_of_the_same_holder_changes_nothing(self) -> None:
        lane = engage(OPEN, hold())
        assert engage(lane, hold(minutes=9)) is lane

    def test_a_release_of_what_is_not_held_changes_nothing(self) -> None:
        assert released(OPEN) is OPEN
        lane = engage(OPEN, hold())
        assert released(lane, Holder.BUDGET) is lane

    def test_a_lane_is_held_as_long_as_anybody_holds_it(self) -> None:
        lane = released(engage(engage(OPEN, hold()), hold(Holder.BUDGET)), Holder.SPEND, minutes=4)
        assert lane.held
        assert lane.share == 0
        assert lane.start is None, "what was counted counts on until it goes again"
        lane = released(lane, minutes=8)
        assert (lane.held, lane.start, lane.share) == (False, start(8), RAMP[0])

    def test_an_engagement_on_the_ramp_begins_it_anew_after_the_next_release(self) -> None:
        lane = replace(on_ramp(), stage=3, stage_since=at(20))
        lane = released(engage(lane, hold()))
        assert (lane.stage, lane.stage_since) == (0, None)

    @given(st.lists(st.tuples(st.booleans(), st.sampled_from(Holder)), max_size=12))
    def test_holds_are_those_whose_last_word_was_to_engage(self, words: list[tuple[bool, Holder]]) -> None:
        lane, holders = OPEN, set[Holder]()
        for engages, holder in words:
            lane = engage(lane, hold(holder)) if engages else released(lane, holder)
            holders = holders | {holder} if engages else holders - {holder}
        assert lane.holds.keys() == holders
        assert lane.held == bool(holders)

    def test_what_was_done_is_kept_with_who_and_why_and_in_which_revision(self) -> None:
        lane = replace(engage(OPEN, hold()), revision=1)
        lane = replace(engage(lane, hold(Holder.BUDGET, minutes=1)), revision=2)
        lane = replace(released(lane, minutes=2), revision=3)
        assert [(change.at, change.what, change.holder, change.by, change.revision) for change in lane.changes] == [
            (at(0), "engaged", "spend", "send_email", 1),
            (at(1), "engaged", "budget", "send_email", 2),
            (at(2), "released", "spend,budget", "kim", 3),
        ]
        assert lane.news == lane.changes[-1:]

    def test_only_the_latest_changes_are_kept(self) -> None:
        lane = OPEN
        for minute in range(CHANGES_KEPT):
            lane = released(engage(lane, hold(minutes=minute)), minutes=minute)
        assert len(lane.changes) == CHANGES_KEPT
        assert lane.changes[-1].at == at(CHANGES_KEPT - 1)


class TestRamp:
    def test_a_stage_is_left_only_after_its_time(self) -> None:
        lane = advance(on_ramp(), at(0))
        assert (lane.stage, lane.stage_since) == (0, at(0)), "the schedule's own clock begins when it first looks"
        short = at(0) + STAGE - timedelta(seconds=1)
        assert advance(lane, short) is lane
        assert advance(lane, at(-60)) is lane
        assert advance(lane, at(0) + STAGE).stage == 1

    def test_a_held_lane_and_an_open_one_do_not_move(self) -> None:
        held = engage(on_ramp(), hold())
        assert advance(held, at(99)) is held
        assert advance(OPEN, at(99)) is OPEN

    def test_a_lane_on_trial_stays_at_its_first_stage_until_it_has_passed(self) -> None:
        lane = advance(advance(on_ramp(Holder.REPUTATION), at(0)), at(99))
        assert (lane.trial, lane.stage) == (True, 0)
        assert advance(passed(lane), at(104)).stage == 1

    @pytest.mark.parametrize("lane", [OPEN, on_ramp(), engage(on_ramp(Holder.REPUTATION), hold())])
    def test_only_a_lane_that_is_let_go_on_trial_can_pass(self, lane: Lane) -> None:
        assert passed(lane) is lane

    def test_a_trial_is_not_forgotten_by_another_hold(self) -> None:
        lane = released(engage(on_ramp(Holder.REPUTATION), hold(Holder.OPERATOR)))
        assert lane.trial
        both = engage(engage(OPEN, hold(Holder.REPUTATION)), hold(Holder.OPERATOR))
        assert released(released(both, Holder.REPUTATION)).trial

    @given(st.lists(st.integers(0, 20), max_size=30))
    def test_it_only_ever_goes_up_by_one_stage_and_at_most_one_in_each_time(self, minutes: list[int]) -> None:
        lane, now, moves = on_ramp(), 0, []
        for pause in minutes:
            now += pause
            before, lane = lane, advance(lane, at(now))
            assert lane.stage - before.stage in (0, 1)
            moves += [now] * (lane.stage > before.stage)
        assert all(timedelta(minutes=later - sooner) >= STAGE for sooner, later in pairwise(moves))


@pytest.mark.parametrize(
    ("lane", "want"),
    [
        (OPEN, Wanted(polling=True, sending=True, batch=FULL_BATCH)),
        (engage(OPEN, hold()), Wanted(polling=False, sending=False, batch=FULL_BATCH)),
        (on_ramp(), Wanted(polling=True, sending=True, batch=1)),
        (replace(on_ramp(), stage=FULL - 1), Wanted(polling=True, sending=True, batch=1)),
        (replace(on_ramp(), stage=FULL), Wanted(polling=True, sending=True, batch=FULL_BATCH)),
        (engage(on_ramp(), hold()), Wanted(polling=False, sending=False, batch=1)),
    ],
)
def test_what_the_account_has_to_look_like_follows_from_the_lane(lane: Lane, want: Wanted) -> None:
    assert wanted(lane, FULL_BATCH) == want


@given(st.permutations([True, True, False]), st.data())
def test_a_hold_is_worth_the_same_whatever_came_before(order: Collection[bool], data: st.DataObject) -> None:
    lane = OPEN
    for engages in order:
        holder = data.draw(st.sampled_from(Holder))
        lane = engage(lane, hold(holder)) if engages else released(lane, holder)
    want = wanted(engage(lane, hold(Holder.OPERATOR)), FULL_BATCH)
    assert (want.polling, want.sending) == (False, False)
