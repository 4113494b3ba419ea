"""The evaluation of metric alarms: what holds for every alarm and every series."""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from observability.errors import ToolkitError
from observability.evaluation import (
    EVALUATION_RANGE_EXTRA,
    Change,
    Code,
    decide,
    evaluate,
    evaluation_step,
    history,
)
from observability.model import DAY, HOUR, MINUTE, Comparison, MetricAlarm, MetricKey, Missing, State, read_metric_alarm
from observability.store import MetricStore

START = int(datetime(2026, 11, 22, tzinfo=UTC).timestamp())
KEYS = [MetricKey.of("N", "M1"), MetricKey.of("N", "M2")]

X, GOOD, GAP = "X", "0", "-"


def reference(points: Sequence[str], m: int, n: int, rule: Missing) -> str:
    """The rules once more, in the words of the guide and one data point at a time."""
    real = [point for point in reversed(points) if point != GAP][:n]
    if len(real) == n or rule is Missing.NOT_BREACHING:
        return "ALARM" if real.count(X) >= m else "OK"
    if rule is Missing.BREACHING:
        return "ALARM" if (real + [X] * (n - len(real))).count(X) >= m else "OK"
    if real.count(X) >= m:
        return "ALARM"
    if GOOD in real:
        return "OK"
    if rule is Missing.IGNORE:
        return "KEEP"
    if X in real and len(points) - points.index(X) >= m:
        return "ALARM"
    return "INSUFFICIENT_DATA"


def decided(points: Sequence[str], m: int, n: int, rule: Missing) -> str:
    marks = np.array(points)
    return Code(int(decide(marks == X, marks != GAP, needed=m, periods=n, missing=rule))).name


def states(start: State) -> dict[str, State]:
    """What a code makes of a state."""
    return {**{state.name: state for state in State}, "KEEP": start}


@st.composite
def m_of_n(draw: st.DrawFn, most: int = 5) -> tuple[int, int]:
    n = draw(st.integers(1, most))
    return draw(st.integers(1, n)), n


@st.composite
def ranges(draw: st.DrawFn) -> tuple[list[str], int, int]:
    m, n = draw(m_of_n())
    span = n + EVALUATION_RANGE_EXTRA
    return draw(st.lists(st.sampled_from([X, GOOD, GAP]), min_size=span, max_size=span)), m, n


RULES = st.sampled_from(Missing)
STATES = st.sampled_from(State)


def document(**fields: Any) -> dict[str, Any]:
    return {
        "AlarmName": "a",
        "Namespace": "N",
        "MetricName": "M1",
        "Statistic": "Sum",
        "Period": 300,
        "EvaluationPeriods": 3,
        "DatapointsToAlarm": 2,
        "ComparisonOperator": "GreaterThanThreshold",
        "Threshold": 2,
        **fields,
    }


def math(expression: str, *, period: int, stat: str = "Sum", **fields: Any) -> dict[str, Any]:
    metrics: list[dict[str, Any]] = [{"Id": "e", "Expression": expression}]
    for number, key in enumerate(KEYS, 1):
        metric = {"Namespace": key.namespace, "MetricName": key.name}
        metrics.append(
            {"Id": f"m{number}", "MetricStat": {"Metric": metric, "Period": period, "Stat": stat}, "ReturnData": False}
        )
    single = ("Namespace", "MetricName", "Statistic", "Period")
    return {**{name: value for name, value in document(**fields).items() if name not in single}, "Metrics": metrics}


EXPRESSIONS = [
    "m1",
    "m1 - m2",
    "FILL(m1, 0) + FILL(m2, 0)",
    "IF(m2 > 1, m1, 0)",
    "FILL(m1, REPEAT)",
    "RUNNING_SUM(m1)",
    "DIFF(m1)",
    "m1 - AVG(m2)",
]

# Values whose sums are exact, so that both ways of summing agree to the last bit.
NUMBERS = st.sampled_from([0.0, 0.5, 1.0, 2.0, 3.0, 4.0])


@st.composite
def alarms(draw: st.DrawFn) -> MetricAlarm:
    period = draw(st.sampled_from([10, 30, MINUTE, 2 * MINUTE, 5 * MINUTE, HOUR, 90 * MINUTE, 12 * HOUR]))
    m, n = draw(m_of_n(4))
    common = {
        "EvaluationPeriods": n,
        "DatapointsToAlarm": m,
        "ComparisonOperator": draw(st.sampled_from(Comparison)).value,
        "Threshold": draw(st.sampled_from([0, 1, 2, 5])),
        "TreatMissingData": draw(RULES).value,
        "EvaluateLowSampleCountPercentile": draw(st.sampled_from(["evaluate", "ignore"])),
    }
    if draw(st.booleans()):
        stat = draw(st.sampled_from(["Sum", "Maximum", "SampleCount", "p50"]))
        field = "ExtendedStatistic" if stat == "p50" else "Statistic"
        return read_metric_alarm({**document(Period=period, **common), "Statistic": None, field: stat})
    return read_metric_alarm(math(draw(st.sampled_from(EXPRESSIONS)), period=period, **common))


@st.composite
def points(draw: st.DrawFn, *, step: int, count: int) -> list[tuple[MetricKey, int, float]]:
    """Points at odd times in `count` steps, in bursts and with gaps."""
    found = []
    for key in KEYS:
        offsets = draw(st.lists(st.integers(0, count * step - 1), max_size=25))
        found += [(key, START + offset, draw(NUMBERS)) for offset in offsets]
        if draw(st.booleans()):
            begin, value = draw(st.integers(0, count - 1)), draw(NUMBERS)
            found += [(key, START + step * (begin + i), value) for i in range(draw(st.integers(1, count)))]
    return found


def stored(put: Sequence[tuple[MetricKey, int, float]], resolution: int) -> MetricStore:
    store = MetricStore()
    for key, at, value in put:
        store.put(key, at, value, resolution=resolution)
    return store


def resolution_of(alarm: MetricAlarm) -> int:
    return 1 if alarm.period < MINUTE else MINUTE


@given(ranges(), RULES)
def test_the_core_agrees_with_the_rules_taken_one_point_at_a_time(
    found: tuple[list[str], int, int], rule: Missing
) -> None:
    window, m, n = found
    assert decided(window, m, n, rule) == reference(window, m, n, rule)


@given(st.data(), m_of_n(), RULES)
def test_many_ranges_at_once_are_each_decided_alone(data: st.DataObject, mn: tuple[int, int], rule: Missing) -> None:
    m, n = mn
    span = n + EVALUATION_RANGE_EXTRA
    row = st.lists(st.sampled_from([X, GOOD, GAP]), min_size=span, max_size=span)
    rows = data.draw(st.lists(row, min_size=1, max_size=6))
    marks = np.array(rows)
    together = decide(marks == X, marks != GAP, needed=m, periods=n, missing=rule)
    assert [Code(code).name for code in together] == [decided(each, m, n, rule) for each in rows]


@pytest.mark.parametrize("rule", Missing)
@pytest.mark.parametrize("n", [124, 125, 126, 288])
def test_a_day_of_periods_is_decided_as_three_are(n: int, rule: Missing) -> None:
    """Counts of up to 127 fit into a byte."""
    for window in ([X] * (n + 2), [GAP] * 2 + [X] * n, [GOOD, *[X] * n, GAP], [X] * 3 + [GAP] * (n - 1)):
        for m in (1, 3, n - 1, n):
            assert decided(window, m, n, rule) == reference(window, m, n, rule)


@given(ranges(), RULES, STATES, st.data())
def test_a_breaching_point_more_never_clears(
    found: tuple[list[str], int, int], rule: Missing, before: State, data: st.DataObject
) -> None:
    """Putting a breaching data point in the place of a missing one, or of one that does not breach, never turns ALARM
    into something else; nor does it make anything OK that was not."""
    window, m, n = found
    place = data.draw(st.integers(0, len(window) - 1))
    worse = [X if index == place else point for index, point in enumerate(window)]
    was, now = (states(before)[decided(each, m, n, rule)] for each in (window, worse))
    assert now is State.ALARM or was is not State.ALARM
    assert was is State.OK or now is not State.OK


@given(alarms(), st.data())
@settings(max_examples=60, deadline=None)
def test_a_breaching_point_more_never_clears_at_any_later_time(alarm: MetricAlarm, data: st.DataObject) -> None:
    """The same over time, states that are kept included, where a point can only raise what is compared. (It does not
    hold of percentiles: where samples are too few an alarm may keep ALARM, and enough of them may clear it.)"""
    alarm = read_metric_alarm(
        document(
            Statistic="Maximum",
            Period=alarm.period,
            EvaluationPeriods=alarm.evaluation_periods,
            DatapointsToAlarm=alarm.datapoints_to_alarm,
            TreatMissingData=alarm.missing.value,
        )
    )
    step, resolution = evaluation_step(alarm), resolution_of(alarm)
    put = data.draw(points(step=step, count=30))
    more = (KEYS[0], START + data.draw(st.integers(0, 30 * step - 1)), 100.0)
    initial = data.draw(STATES)
    spans = [in_alarm(alarm, stored(each, resolution), START + 40 * step, initial) for each in (put, [*put, more])]
    assert spans[0] <= spans[1]


def in_alarm(alarm: MetricAlarm, store: MetricStore, end: int, initial: State) -> set[int]:
    """The evaluations after which the alarm is in ALARM."""
    step = evaluation_step(alarm)
    state, found = initial, set()
    changes = {change.at: change.after for change in history(alarm, store, START, end, initial=initial)}
    for at in range(START // step * step + step, end + 1, step):
        state = changes.get(at, state)
        if state is State.ALARM:
            found.add(at)
    return found


@given(alarms(), STATES, st.data())
@settings(max_examples=150, deadline=None)
def test_history_is_evaluate_at_every_evaluation(alarm: MetricAlarm, initial: State, data: st.DataObject) -> None:
    step = evaluation_step(alarm)
    store = stored(data.draw(points(step=step, count=30)), resolution_of(alarm))
    start, end = START + data.draw(st.integers(0, step - 1)), START + 40 * step
    state, expected = initial, []
    for at in range((start // step + 1) * step, end + 1, step):
        verdict = evaluate(alarm, store, at, state)
        if verdict.state is not state:
            expected.append((at, state, verdict.state, verdict.reason, verdict.readings, verdict.reason_data))
        state = verdict.state
    found = [
        (each.at, each.before, each.after, each.reason, each.readings, each.reason_data)
        for each in history(alarm, store, start, end, initial=initial)
    ]
    assert found == expected


@given(alarms(), st.data())
@settings(max_examples=40, deadline=None)
def test_the_order_of_ingestion_does_not_matter(alarm: MetricAlarm, data: st.DataObject) -> None:
    step, resolution = evaluation_step(alarm), resolution_of(alarm)
    put = data.draw(points(step=step, count=30))
    shuffled = data.draw(st.permutations(put))
    end = START + 40 * step
    assert history(alarm, stored(put, resolution), START, end) == history(
        alarm, stored(shuffled, resolution), START, end
    )


@given(alarms(), st.data())
@settings(max_examples=40, deadline=None)
def test_what_comes_later_changes_nothing_of_what_was(alarm: MetricAlarm, data: st.DataObject) -> None:
    step, resolution = evaluation_step(alarm), resolution_of(alarm)
    put = data.draw(points(step=step, count=30))
    cut = START + 15 * step
    known = [each for each in put if each[1] < cut]
    assert history(alarm, stored(put, resolution), START, cut) == history(alarm, stored(known, resolution), START, cut)


def test_changes_alternate_and_none_is_told_of_what_stays() -> None:
    alarm = read_metric_alarm(document(Period=60, EvaluationPeriods=1, DatapointsToAlarm=1))
    store = MetricStore()
    store.put(KEYS[0], START + MINUTE * np.arange(6), [0.0, 3.0, 3.0, 0.0, 0.0, 3.0])
    changes = history(alarm, store, START, START + 6 * MINUTE, initial=State.OK)
    assert [((each.at - START) // MINUTE, each.before, each.after) for each in changes] == [
        (2, State.OK, State.ALARM),
        (4, State.ALARM, State.OK),
        (6, State.OK, State.ALARM),
    ]
    assert {each.alarm for each in changes} == {"a"}


def test_history_begins_after_its_start_and_takes_in_its_end() -> None:
    alarm = read_metric_alarm(document(Period=60, EvaluationPeriods=1, DatapointsToAlarm=1))
    store = MetricStore()
    store.put(KEYS[0], START, 3.0)
    assert history(alarm, store, START + MINUTE, START + MINUTE) == []
    assert [each.at for each in history(alarm, store, START, START + MINUTE)] == [START + MINUTE]
    assert history(alarm, store, START, START + MINUTE - 1) == []
    assert history(alarm, store, START + HOUR, START) == []


def test_an_evaluation_is_that_of_the_last_whole_step() -> None:
    alarm = read_metric_alarm(document(Period=60, EvaluationPeriods=1, DatapointsToAlarm=1, Statistic="SampleCount"))
    store = MetricStore()
    store.put(KEYS[0], [START, START + 40], [1.0, 1.0], resolution=1)
    late = evaluate(alarm, store, datetime.fromtimestamp(START, UTC) + timedelta(seconds=119))
    assert late == evaluate(alarm, store, START + MINUTE)
    assert late.readings[0].value == 2.0


@pytest.mark.parametrize(
    ("period", "n", "step"),
    [
        (10, 6, 10),
        (20, 1, 10),
        (30, 3, 10),
        (MINUTE, 1, MINUTE),
        (5 * MINUTE, 288, MINUTE),
        (DAY, 1, MINUTE),
        (HOUR, 25, HOUR),
        (DAY, 7, HOUR),
    ],
)
def test_how_often_an_alarm_is_evaluated(period: int, n: int, step: int) -> None:
    assert evaluation_step(read_metric_alarm(document(Period=period, EvaluationPeriods=n, DatapointsToAlarm=1))) == step


def test_a_kept_state_says_so_and_names_what_was_ignored() -> None:
    alarm = read_metric_alarm(document(TreatMissingData="ignore"))
    verdict = evaluate(alarm, MetricStore(), START, State.ALARM)
    assert verdict.state is State.ALARM
    assert verdict.reason == "State kept: 3 missing datapoints were ignored."


@pytest.mark.parametrize("rule", Missing)
def test_dynamodb_ignores_missing_data_in_metric_math_too(rule: Missing) -> None:
    alarm = read_metric_alarm(math("m1", period=60, TreatMissingData=rule.value))
    on_dynamodb = replace(
        alarm,
        queries=tuple(
            replace(query, stat=replace(query.stat, key=replace(query.stat.key, namespace="AWS/DynamoDB")))
            if query.stat
            else query
            for query in alarm.queries
        ),
    )
    assert evaluate(on_dynamodb, MetricStore(), START, State.ALARM).reason.startswith("State kept")


def test_math_over_time_sees_the_evaluation_range_and_no_more() -> None:
    alarm = read_metric_alarm(math("RUNNING_SUM(m1)", period=60, EvaluationPeriods=1, DatapointsToAlarm=1, Threshold=2))
    store = MetricStore()
    store.put(KEYS[0], START + MINUTE * np.arange(10), np.ones(10))
    assert evaluate(alarm, store, START + 10 * MINUTE).readings[0].value == 1 + EVALUATION_RANGE_EXTRA


def test_an_expression_that_is_not_evaluated_is_refused_by_name() -> None:
    alarm = read_metric_alarm(math("SEARCH('{N} M', 'Sum')", period=60))
    with pytest.raises(ToolkitError, match="SEARCH"):
        evaluate(alarm, MetricStore(), START)


def test_a_change_that_explains_itself_later_is_a_change_like_any_other() -> None:
    alarm = read_metric_alarm(document(Period=60, EvaluationPeriods=1, DatapointsToAlarm=1))
    store = MetricStore()
    store.put(KEYS[0], START, 3.0)
    (found,) = history(alarm, store, START, START + MINUTE)
    verdict = evaluate(alarm, store, START + MINUTE)
    assert pickle.loads(pickle.dumps(found)) == found == replace(found)
    assert repr(verdict.reason) in repr(found)
    assert found == Change(
        "a",
        START + MINUTE,
        State.INSUFFICIENT_DATA,
        State.ALARM,
        verdict.reason,
        verdict.readings,
        verdict.reason_data,
    )
    with pytest.raises(AttributeError, match="colour"):
        _ = found.colour
