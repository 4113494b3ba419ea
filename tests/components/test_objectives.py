"""Objectives: exact thresholds, windows that CloudWatch can evaluate, and who is told."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.objectives import (
    FAST,
    OBJECTIVES,
    SLOW,
    STEADY,
    Burn,
    Objective,
    ObjectiveError,
    burn_alarms,
    composites,
    least_volume,
    refusals,
    threshold,
    watch,
)
from components.watch import DAY, HOUR, MINUTE, Expression, Graph, Series, Severity
from handlers.telemetry.contract import SEND_MISSES

SENT = OBJECTIVES[0]


def objective(target: str, *burns: Burn) -> Objective:
    return Objective(
        name="test",
        title="t",
        promise="p",
        target=Fraction(target),
        misses=SEND_MISSES,
        valid="v",
        burns=burns or (FAST,),
    )


@pytest.mark.parametrize(
    ("burn", "rate", "long", "short", "severity"),
    [
        (FAST, "14.4", HOUR, 5 * MINUTE, Severity.PAGE),
        (STEADY, "6", 6 * HOUR, 30 * MINUTE, Severity.PAGE),
        (SLOW, "1", 3 * DAY, 6 * HOUR, Severity.TICKET),
    ],
)
def test_the_pairs_are_those_of_the_sre_workbook(
    burn: Burn, rate: str, long: int, short: int, severity: Severity
) -> None:
    assert (burn.rate, burn.long, burn.short, burn.severity) == (Fraction(rate), long, short, severity)


@pytest.mark.parametrize(("burn", "spent"), [(FAST, "0.02"), (STEADY, "0.05"), (SLOW, "0.1")])
def test_a_pair_tells_when_its_share_of_a_months_budget_is_gone(burn: Burn, spent: str) -> None:
    assert burn.rate * Fraction(burn.long, 30 * DAY) == Fraction(spent)


def test_thresholds_are_exact() -> None:
    assert [threshold(SENT, burn) for burn in SENT.burns] == [Fraction("0.0144"), Fraction("0.006"), Fraction("0.001")]
    # In floating point 14.4 * (1 - 0.999) is 0.014400000000000013.
    assert [alarm.threshold for burn in SENT.burns for alarm in burn_alarms(SENT, burn, "test")] == [
        0.0144, 0.0144, 0.006, 0.006, 0.001, 0.001,
    ]  # fmt: skip


@given(st.fractions(Fraction(1, 1000), Fraction(999, 1000)), st.sampled_from([FAST, STEADY, SLOW]))
def test_the_least_volume_is_the_smallest_at_which_one_miss_alone_is_no_alarm(target: Fraction, burn: Burn) -> None:
    promise = objective(str(target), burn)
    limit, volume = threshold(promise, burn), least_volume(promise, burn)
    assert Fraction(1, volume) <= limit or volume == 1
    assert volume == 1 or Fraction(1, volume - 1) > limit


def test_only_the_long_window_carries_the_volume_and_both_have_their_windows_period() -> None:
    long, short = burn_alarms(SENT, FAST, "test")
    assert isinstance(long.signal, Expression)
    assert long.signal.formula == "IF(FILL(events, 0) >= 70, missed, 0)"
    assert {series.stat for series in long.signal.series.values()} == {"SampleCount", "Average"}
    assert isinstance(short.signal, Series)
    assert (long.period, short.period) == (HOUR, 5 * MINUTE)
    assert long.part_of == short.part_of == "objectives-page"


def test_each_composite_joins_both_windows_of_every_pair_of_its_severity() -> None:
    found = {composite.name: composite.any_of for composite in composites()}
    assert found == {
        "objectives-page": [
            [f"{name}-burn-{pace}-{which}-page" for which in ("long", "short")]
            for name in ("sent-in-time", "delivered")
            for pace in ("fast", "steady")
        ],
        "objectives-ticket": [
            [f"{name}-burn-slow-{which}-ticket" for which in ("long", "short")]
            for name in ("sent-in-time", "delivered", "feedback-in-time")
        ],
    }


@pytest.mark.parametrize(
    ("promise", "complaint"),
    [
        (objective("0.9", FAST), "144% of all events would have to be misses"),
        (objective("1"), "the target is 1, allowed is more than 0 and less than 1"),
        (objective("0"), "the target is 0"),
        (objective("0.99", replace(SLOW, long=30 * DAY)), "look back 7 days at most, not 30"),
        (objective("0.99", replace(FAST, short=90)), "a window of 90 s is not a whole number of minutes"),
        (objective("0.99", replace(FAST, short=FAST.long)), "is not shorter than the long one"),
    ],
)
def test_what_cloudwatch_cannot_evaluate_is_refused(promise: Objective, complaint: str) -> None:
    assert any(complaint in fault for fault in refusals([promise])), list(refusals([promise]))
    with pytest.raises(ObjectiveError, match="test: "):
        watch("test", [promise])


def test_the_objectives_themselves_can_be_evaluated() -> None:
    assert not list(refusals(OBJECTIVES))


def test_the_dashboard_shows_what_is_left_of_each_budget_even_where_nothing_alarms() -> None:
    quiet = watch("test", alarmed=False)
    assert not quiet.alarms
    graphs = [widget for widget in quiet.widgets if isinstance(widget, Graph)]
    assert [graph.span for graph in graphs] == [30 * DAY] * len(OBJECTIVES)
    formulas = [signal.formula for graph in graphs for signal in graph.signals if isinstance(signal, Expression)]
    assert formulas == [f"100 * (1 - FILL(missed, 0) / {budget})" for budget in ("0.001", "0.005", "0.01")]


def test_a_composite_keeps_quiet_behind_its_cause_for_as_long_as_its_windows_remember_it() -> None:
    page, ticket = composites()
    assert page.echo == max(burn.short for burn in (FAST, STEADY))
    assert ticket.echo == SLOW.short
