"""What AWS publishes about the evaluation of alarms, row by row.

Sources: Amazon CloudWatch user guide, "Alarm evaluation", "Configuring how CloudWatch alarms treat missing data" (its
tables as of 2026, and those rows of 2018 that have been left out since and contradict nothing), "Percentile-based
alarms and low data samples"; Amazon CloudWatch API reference, "PutMetricAlarm". One example is the history of a real
alarm that its owner published.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest

from observability.errors import ToolkitError
from observability.evaluation import EVALUATION_RANGE_EXTRA, Code, decide, evaluate, history
from observability.model import HOUR, MINUTE, MetricAlarm, MetricKey, Missing, State, read_metric_alarm
from observability.store import MetricStore

OK, ALARM, INSUFFICIENT_DATA = State.OK, State.ALARM, State.INSUFFICIENT_DATA
RETAIN = None

MIDNIGHT = int(datetime(2026, 11, 22, tzinfo=UTC).timestamp())
THRESHOLD = 10.0
VALUES = {"X": 11.0, "0": 9.0}

# m of n, data points (oldest first), how many have to be filled in, and the state for
# missing, ignore, breaching, notBreaching.
PUBLISHED = [
    ("3 of 3", "0 - X - X", 0, OK, OK, OK, OK),
    ("3 of 3", "0 - - - -", 2, OK, OK, OK, OK),
    ("3 of 3", "- - - - -", 3, INSUFFICIENT_DATA, RETAIN, ALARM, OK),
    ("3 of 3", "0 X X - X", 0, ALARM, ALARM, ALARM, ALARM),
    ("3 of 3", "- - X - -", 2, ALARM, RETAIN, ALARM, OK),
    ("2 of 3", "0 - X - X", 0, ALARM, ALARM, ALARM, ALARM),
    ("2 of 3", "0 0 X 0 X", 0, ALARM, ALARM, ALARM, ALARM),
    ("2 of 3", "0 - X - -", 1, OK, OK, ALARM, OK),
    ("2 of 3", "- - - - 0", 2, OK, OK, ALARM, OK),
    ("2 of 3", "- - - X -", 2, ALARM, RETAIN, ALARM, OK),
    # The guide's tables of 2018, which counted the missing points of the whole range.
    ("3 of 3", "- - - - X", 2, INSUFFICIENT_DATA, RETAIN, ALARM, OK),
    ("3 of 3", "X - - - -", 2, ALARM, RETAIN, ALARM, OK),
    ("2 of 3", "- - - - X", 2, INSUFFICIENT_DATA, RETAIN, ALARM, OK),
]
RULES = (Missing.MISSING, Missing.IGNORE, Missing.BREACHING, Missing.NOT_BREACHING)
ROWS = [
    pytest.param(*row[:3], rule, state, id=f"{row[0]} {row[1]} {rule}")
    for row in PUBLISHED
    for rule, state in zip(RULES, row[3:], strict=True)
]


def make(m_of_n: str = "1 of 1", *, period: int = 300, **fields: Any) -> MetricAlarm:
    m, n = map(int, m_of_n.split(" of "))
    return read_metric_alarm(
        {
            "AlarmName": "a",
            "Namespace": "N",
            "MetricName": "M",
            "Statistic": "Maximum",
            "Period": period,
            "EvaluationPeriods": n,
            "DatapointsToAlarm": m,
            "ComparisonOperator": "GreaterThanThreshold",
            "Threshold": THRESHOLD,
            **fields,
        }
    )


def stored(points: str, *, period: int = 300, end: int = MIDNIGHT, key: MetricKey | None = None) -> MetricStore:
    """Data points, oldest first, one a period, the last of which ends at `end`."""
    marks = points.split()
    store = MetricStore()
    for age, mark in enumerate(reversed(marks), 1):
        if mark in VALUES:
            store.put(key or MetricKey.of("N", "M"), end - age * period, VALUES[mark])
    return store


@pytest.mark.parametrize(("m_of_n", "points", "filled", "rule", "expected"), ROWS)
@pytest.mark.parametrize("before", State)
def test_published_row_of_missing_data(
    m_of_n: str, points: str, filled: int, rule: Missing, expected: State | None, before: State
) -> None:
    verdict = evaluate(make(m_of_n, TreatMissingData=rule.value), stored(points), MIDNIGHT, before)
    assert verdict.state is (expected or before)
    assert sum(reading.value is None for reading in verdict.readings) == filled
    assert len(verdict.readings) == 3, "as many data points are evaluated as there are evaluation periods"


def test_the_evaluation_range_of_the_published_tables_is_two_more_than_the_evaluation_periods() -> None:
    assert EVALUATION_RANGE_EXTRA == 2
    alarm = make("3 of 3", TreatMissingData="missing")
    assert evaluate(alarm, stored("0 - - - -"), MIDNIGHT).state is OK
    assert evaluate(alarm, stored("0 - - - - -"), MIDNIGHT).state is INSUFFICIENT_DATA


def test_the_next_evaluation_no_longer_sees_the_oldest_data_point() -> None:
    """Of row two: the alarm goes to ALARM once the point that does not breach has left the range."""
    alarm, store = make("3 of 3", TreatMissingData="breaching"), stored("0 - - - -")
    assert evaluate(alarm, store, MIDNIGHT).state is OK
    assert evaluate(alarm, store, MIDNIGHT + MINUTE).state is ALARM


@pytest.mark.parametrize("later", ["- - - X 0", "- - X - 0"])
def test_a_premature_transition_is_avoided_if_the_next_data_point_does_not_breach(later: str) -> None:
    alarm = make("3 of 3", TreatMissingData="missing")
    assert evaluate(alarm, stored("- - - - X"), MIDNIGHT).state is not ALARM
    assert evaluate(alarm, stored("- - - X -"), MIDNIGHT).state is not ALARM
    assert evaluate(alarm, stored(later), MIDNIGHT).state is OK


def test_breaching_data_points_need_not_be_consecutive() -> None:
    alarm = make("4 of 5", period=MINUTE)
    assert evaluate(alarm, stored("X 0 X X X", period=MINUTE), MIDNIGHT).state is ALARM
    assert evaluate(alarm, stored("X 0 X 0 X", period=MINUTE), MIDNIGHT).state is OK


def test_the_figure_of_three_of_three_periods() -> None:
    """Breaching in periods 3 to 5, back at the sixth, and once more for the ninth period alone: no second alarm."""
    alarm = make("3 of 3", period=MINUTE)
    store = stored("X X X X X 0 0 0 X 0", period=MINUTE, end=MIDNIGHT + 10 * MINUTE)
    changes = history(alarm, store, MIDNIGHT + 2 * MINUTE, MIDNIGHT + 10 * MINUTE, initial=OK)
    assert [((change.at - MIDNIGHT) // MINUTE, change.after) for change in changes] == [(3, ALARM), (6, OK)]


def test_at_the_end_of_minute_six_an_alarm_on_five_minutes_looks_at_minutes_two_to_six() -> None:
    alarm = make(Statistic="Sum", Threshold=0)
    for minute, expected in {1: [0.0, 1.0], 2: [1.0, 1.0], 6: [1.0, 0.0]}.items():
        store = MetricStore()
        store.put(MetricKey.of("N", "M"), MIDNIGHT + MINUTE * np.arange(6), np.zeros(6))
        store.put(MetricKey.of("N", "M"), MIDNIGHT + (minute - 1) * MINUTE, 1.0)
        found = [evaluate(alarm, store, MIDNIGHT + end * MINUTE).readings[0].value for end in (6, 5)]
        assert found == expected, f"a point in minute {minute}"


@pytest.mark.parametrize("period", [10, 20, 30])
def test_a_high_resolution_alarm_is_evaluated_every_ten_seconds(period: int) -> None:
    alarm = make(period=period, TreatMissingData="notBreaching")
    store = MetricStore()
    store.put(MetricKey.of("N", "M"), MIDNIGHT + 5, VALUES["X"], resolution=1)
    fired, cleared = history(alarm, store, MIDNIGHT, MIDNIGHT + 300, initial=OK)
    assert fired.at == MIDNIGHT + 10
    assert cleared.at == MIDNIGHT + 10 + (1 + EVALUATION_RANGE_EXTRA) * period


def test_a_multi_day_alarm_sees_data_up_to_the_whole_hour() -> None:
    """A job that runs every three days at 10:00 fails at 10:02: OK at 10:03, ALARM at 11:03; mended at 11:43, it is OK
    at 12:03."""
    alarm = make("1 of 3", period=24 * HOUR, Statistic="Sum", Threshold=0, TreatMissingData="notBreaching")
    day = MIDNIGHT
    store = MetricStore()
    store.put(MetricKey.of("N", "M"), day - 3 * 24 * HOUR + 10 * HOUR, 0.0)
    store.put(MetricKey.of("N", "M"), day + 10 * HOUR + 2 * MINUTE, 1.0)
    at = {clock: day + int(clock[:2]) * HOUR + int(clock[3:]) * MINUTE for clock in ("10:03", "11:03")}
    assert evaluate(alarm, store, at["10:03"]).state is OK
    assert evaluate(alarm, store, at["11:03"]).state is ALARM
    changes = history(alarm, store, day, day + 24 * HOUR, initial=OK)
    assert [(change.at - day) / HOUR for change in changes] == [11.0]


def test_alarms_on_dynamodb_keep_their_state_without_data_whatever_they_say() -> None:
    for rule in Missing:
        alarm = make(Namespace="AWS/DynamoDB", TreatMissingData=rule.value)
        assert evaluate(alarm, MetricStore(), MIDNIGHT, ALARM).state is ALARM, rule


def test_metric_math_without_a_value_is_missing_data() -> None:
    document = {
        "AlarmName": "a",
        "EvaluationPeriods": 1,
        "ComparisonOperator": "GreaterThanThreshold",
        "Threshold": 0,
        "Metrics": [
            {"Id": "e", "Expression": "m1 / m2"},
            *(
                {
                    "Id": f"m{number}",
                    "MetricStat": {
                        "Metric": {"Namespace": "N", "MetricName": f"M{number}"},
                        "Period": 60,
                        "Stat": "Sum",
                    },
                    "ReturnData": False,
                }
                for number in (1, 2)
            ),
        ],
    }
    half = stored("X", period=MINUTE, key=MetricKey.of("N", "M1"))
    assert evaluate(read_metric_alarm(document), half, MIDNIGHT).state is INSUFFICIENT_DATA
    assert evaluate(read_metric_alarm({**document, "TreatMissingData": "breaching"}), half, MIDNIGHT).state is ALARM


@pytest.mark.parametrize(("percentile", "samples"), [("p99", 1000), ("p50", 20), ("p90", 100), ("p10", 100)])
def test_a_percentile_of_too_few_samples_keeps_the_state_if_the_alarm_says_so(percentile: str, samples: int) -> None:
    def state(count: int, rule: str) -> State:
        alarm = make(ExtendedStatistic=percentile, Statistic=None, EvaluateLowSampleCountPercentile=rule)
        store = MetricStore()
        store.put(MetricKey.of("N", "M"), MIDNIGHT - 300, VALUES["X"], counts=count)
        return evaluate(alarm, store, MIDNIGHT, OK).state

    assert state(samples - 1, "ignore") is OK
    assert state(samples, "ignore") is ALARM
    assert state(samples - 1, "evaluate") is ALARM


def test_a_new_alarm_has_insufficient_data_and_looks_at_points_from_before_it_was_made() -> None:
    assert evaluate(make(), MetricStore(), MIDNIGHT).state is INSUFFICIENT_DATA
    assert evaluate(make("3 of 3"), stored("X X X"), MIDNIGHT).state is ALARM


def test_seen_an_alarm_on_a_quarter_of_an_hour_clears_46_minutes_after_the_last_data_point() -> None:
    """A published history: 900 s, 1 of 1, notBreaching; the last data point at 19:50:31, ALARM to OK at 20:36:51, with
    the reason that no data points were received. That is an evaluation range of three periods, and windows that slide
    by the minute."""
    alarm = make(period=900, TreatMissingData="notBreaching")
    last = datetime(2026, 9, 24, 19, 50, 31, tzinfo=UTC)
    store = MetricStore()
    store.put(MetricKey.of("N", "M"), last.timestamp(), VALUES["X"])
    (cleared,) = history(alarm, store, int(last.timestamp()) + MINUTE, int(last.timestamp()) + 2 * HOUR, initial=ALARM)
    assert cleared.at == datetime(2026, 9, 24, 20, 36, tzinfo=UTC).timestamp()
    assert cleared.reason == (
        "Threshold Crossed: no datapoints were received for 1 period and 1 missing datapoint was treated as"
        " [NonBreaching]."
    )


def test_a_wall_clock_window_is_refused_by_name() -> None:
    alarm = make(EvaluationWindow={"WallClockWindow": {"Timezone": "UTC"}})
    with pytest.raises(ToolkitError, match="alarm a: EvaluationWindow is a WallClockWindow"):
        evaluate(alarm, MetricStore(), MIDNIGHT)
    with pytest.raises(ToolkitError, match="WallClockWindow"):
        history(alarm, MetricStore(), MIDNIGHT, MIDNIGHT + HOUR)
    assert evaluate(make(EvaluationWindow={"SlidingWindow": {}}), stored("X"), MIDNIGHT).state is ALARM


def test_the_core_takes_many_ranges_at_once() -> None:
    rows = [row for row in PUBLISHED if row[0] == "3 of 3"]
    marks = np.array([row[1].split() for row in rows])
    codes = decide(marks == "X", marks != "-", needed=3, periods=3, missing=Missing.IGNORE)
    assert [Code(code).name for code in codes] == [row[4].name if row[4] else "KEEP" for row in rows]
