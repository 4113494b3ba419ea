"""Each operator and function, on the examples of "Using math expressions with CloudWatch metrics" and on what it says
of missing data. `None` is a time without a data point; times are a minute apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from observability.math import Line, MathError, compile_queries
from observability.math.functions import FUNCTIONS
from observability.model import MetricKey, MetricStat, Query
from observability.statistics import Statistic, Values

Points = Sequence[float | None]
PERIOD: Final = 60


def metric(id_: str) -> Query:
    return Query(id=id_, stat=MetricStat(MetricKey.of("Shop", id_), PERIOD, Statistic.parse("Sum")), returned=False)


def array(points: Points) -> Values:
    return np.array([np.nan if point is None else point for point in points], dtype=np.float64)


def lines(expression: str, series: Mapping[str, Points], start: int = 0) -> list[Line]:
    program = compile_queries([*map(metric, series), Query(id="e1", expression=expression)])
    count = len(next(iter(series.values())))
    arrays = {id_: array(points) for id_, points in series.items()}
    return program.lines(arrays, start + PERIOD * np.arange(count), PERIOD)["e1"]


def points_of(line: Line) -> list[Any]:
    return [None if np.isnan(value) else pytest.approx(float(value)) for value in line.values]


def results(expression: str, **series: Points) -> list[list[Any]]:
    return [points_of(line) for line in lines(expression, series)]


def result(expression: str, **series: Points) -> list[Any]:
    (found,) = results(expression, **series)
    return found


def single(expression: str, start: int, points: Points) -> list[Any]:
    """Of one metric `m1` whose first window begins at `start`."""
    (line,) = lines(expression, {"m1": points}, start)
    return points_of(line)


# The page's examples

PAGE: Final[Mapping[str, Points]] = {"metric1": [30, 20, 0, 0], "metric2": [20, None, 20, None]}


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("(metric1 < metric2)", [0, 0, 1, 0]),
        ("(metric1 >= 30)", [1, 0, 0, 0]),
        ("(metric1 > 15 AND metric2 > 15)", [1, 0, 0, 0]),
    ],
)
def test_comparisons_and_logic_come_out_as_the_page_says(expression: str, expected: Points) -> None:
    assert result(expression, **PAGE) == expected


CHOICE: Final[Mapping[str, Points]] = {
    "metric1": [1, 1, 0, 0, None],
    "metric2": [30, None, 0, 0, 30],
    "metric3": [0, 0, 20, None, 20],
}


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("IF(metric1, metric2, metric3)", [30, 0, 20, None, None]),
        ("IF(metric1, 5, metric3)", [5, 5, 20, None, None]),
        ("IF(metric1, metric2, 5)", [30, 0, 5, 5, None]),
        ("IF(metric1, metric2)", [30, 0, None, None, None]),
        ("IF(metric1, 5)", [5, 5, None, None, None]),
        ("IF(metric1, 5, 6)", [5, 5, 6, 6, None]),
        ("IF(metric1 * -3, 5, 6)", [5, 5, 6, 6, None]),
        ("IF(1, metric2, metric3)", [30, None, 0, 0, 30]),
        ("IF(0, metric2, metric3)", [0, 0, 20, None, 20]),
        ("IF(0, metric2)", [None] * 5),
        ("IF(SUM(metric1) / 0, metric2, metric3)", [None] * 5),
    ],
)
def test_if_comes_out_as_the_page_says(expression: str, expected: Points) -> None:
    assert result(expression, **CHOICE) == expected


# Missing data between operands


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("m1 + m2", [5, 2, 3, None]),
        ("m1 - m2", [-1, 2, -3, None]),
        ("m1 * m2", [6, 0, 0, None]),
        ("m1 ^ m2", [8, 1, 0, None]),
        ("m1 == m2", [0, 0, 0, None]),
        ("m1 < m2", [1, 0, 1, None]),
        ("m1 OR m2", [1, 1, 1, None]),
        ("m1 AND m2", [1, 0, 0, None]),
    ],
)
def test_a_point_that_only_one_of_two_series_has_meets_0(expression: str, expected: Points) -> None:
    assert result(expression, m1=[2, 2, None, None], m2=[3, None, 3, None]) == expected


@pytest.mark.parametrize("expression", ["m1 + 1", "1 + m1", "m1 >= 0", "0 - m1", "m1 OR 1", "1 OR m1", "-m1", "m1 * 0"])
def test_a_number_makes_no_points(expression: str) -> None:
    first, second = result(expression, m1=[2, None])
    assert (first is not None, second) == (True, None)


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("m1 / m2", [2, None, None, 0, None]),
        ("m1 / 0", [None] * 5),
        ("1 / m1", [0.25, 0.25, 0.25, None, None]),
        ("0 / m2", [0, None, None, 0, None]),
        ("m2 ^ -1", [0.5, None, None, 1, None]),
        ("m1 * (m2 / 0)", [0, 0, 0, None, None]),
    ],
)
def test_a_division_by_zero_drops_the_point(expression: str, expected: Points) -> None:
    assert result(expression, m1=[4, 4, 4, None, None], m2=[2, 0, None, 1, None]) == expected


def test_what_is_no_number_is_dropped() -> None:
    assert result("m1 ^ 0.5", m1=[4, -4]) == [2, None]
    assert result("LOG10(m1)", m1=[100, 0, -1]) == [2, None, None]


# Functions of one series, point by point

GAPS: Final[Points] = [None, 4, None, None, 10, 10, None]


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("ABS(m1)", [1.5, 1.5, None]),
        ("CEIL(m1)", [-1, 2, None]),
        ("FLOOR(m1)", [-2, 1, None]),
        ("-m1", [1.5, -1.5, None]),
        ("m1 * PERIOD(m1)", [-90, 90, None]),
        ("LOG(m1 + 2.5)", [0, np.log(4), None]),
        ("TIME_SERIES(2 + 1)", [3, 3, 3]),
    ],
)
def test_functions_of_each_point(expression: str, expected: Points) -> None:
    assert result(expression, m1=[-1.5, 1.5, None]) == expected


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("FILL(m1, 0)", [0, 4, 0, 0, 10, 10, 0]),
        ("FILL(m1, MIN(m1))", [4, 4, 4, 4, 10, 10, 4]),
        ("FILL(m1, m2)", [1, 4, None, 1, 10, 10, 1]),
        ("FILL(m1, REPEAT)", [None, 4, 4, 4, 10, 10, 10]),
        ("FILL(m1, LINEAR)", [None, 4, 6, 8, 10, 10, None]),
        ("DIFF(m1)", [None, None, None, None, 6, 0, None]),
        ("DIFF_TIME(m1)", [None, None, None, None, 180, 60, None]),
        ("RATE(m1)", [None, None, None, None, 6 / 180, 0, None]),
        ("RUNNING_SUM(m1)", [None, 4, None, None, 14, 24, None]),
    ],
)
def test_functions_that_look_around(expression: str, expected: Points) -> None:
    assert result(expression, m1=GAPS, m2=[1, 1, None, 1, 1, 1, 1]) == expected


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("FILL(m1, 7)", [7, 7]),
        ("FILL(m1, REPEAT)", [None, None]),
        ("FILL(m1, LINEAR)", [None, None]),
        ("100 * (1 - FILL(m1, 0) / 0.001)", [100, 100]),
        ("TIME_SERIES(SUM(m1))", [0, 0]),
        ("TIME_SERIES(DATAPOINT_COUNT(m1))", [0, 0]),
        ("TIME_SERIES(MAX(m1))", [None, None]),
        ("TIME_SERIES(STDDEV(m1))", [None, None]),
        ("m2 + m1", [1, None]),
    ],
)
def test_a_metric_that_never_had_a_point(expression: str, expected: Points) -> None:
    assert result(expression, m1=[None, None], m2=[1, None]) == expected


# One series to a number, several to one


@pytest.mark.parametrize(
    ("function", "over_time", "across"),
    [
        ("SUM", 9, [6, 1, 5, None]),
        ("AVG", 9 / 4, [3, 0.5, 2.5, None]),  # missing values are 0
        ("MIN", 1, [2, 1, 5, None]),
        ("MAX", 5, [4, 1, 5, None]),
        ("STDDEV", np.std([1, 3, 5]), [1, 0, 0, None]),
        ("DATAPOINT_COUNT", 3, [2, 1, 1, None]),
    ],
)
def test_reductions_over_time_and_across_series(function: str, over_time: float, across: Points) -> None:
    assert result(f"TIME_SERIES({function}(m1))", m1=[3, 1, 5, None]) == [pytest.approx(over_time)] * 4
    both: dict[str, Points] = {"m1": [2, 1, None, None], "m2": [4, None, 5, None]}
    assert result(f"{function}([m1, m2])", **both) == across
    assert result(f"{function}(METRICS())", **both) == across


def test_the_average_of_a_sparse_metric_needs_its_count_of_points() -> None:
    assert result("TIME_SERIES(SUM(m1) / DATAPOINT_COUNT(m1))", m1=[3, None, 5, None]) == [4] * 4


# Arrays


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("METRICS()", [[1, 2], [30, None], [5, 6]]),
        ('METRICS("b")', [[30, None], [5, 6]]),
        ("100 / [a1, b1]", [[100, 50], [pytest.approx(100 / 30), None]]),
        ("[a1, b1] - a1", [[0, 0], [29, -2]]),
        ("-[a1, b1]", [[-1, -2], [-30, None]]),
        ("[b2, METRICS('a')] * 2", [[10, 12], [2, 4]]),
        ("FILL([a1, b1], 0)", [[1, 2], [30, 0]]),
        ("FILL([a1, b1], b2)", [[1, 2], [30, 6]]),
        ("FILL([a1, b1], REPEAT)", [[1, 2], [30, 30]]),
        ("RUNNING_SUM([a1, b2])", [[1, 3], [5, 11]]),
        ("ABS(-[a1, b2])", [[1, 2], [5, 6]]),
        ("SORT(METRICS(), SUM, DESC)", [[30, None], [5, 6], [1, 2]]),
        ("SORT(METRICS(), MIN, ASC)", [[1, 2], [5, 6], [30, None]]),
        ("SORT(METRICS(), AVG, DESC, 2)", [[30, None], [5, 6]]),
        ("SLICE(METRICS(), 1)", [[30, None], [5, 6]]),
        ("SLICE(METRICS(), 1, 2)", [[30, None]]),
        ("SLICE(METRICS(), METRIC_COUNT(METRICS()) - 1)", [[5, 6]]),
        ("SLICE(SORT(METRICS(), MAX, DESC), 0, 1)", [[30, None]]),
        ("FIRST(SORT(METRICS(), SUM, ASC))", [[1, 2]]),
        ("LAST(METRICS())", [[5, 6]]),
        ("b2 / METRIC_COUNT(METRICS())", [[pytest.approx(5 / 3), 2]]),
        ("REMOVE_EMPTY([b2, a1 / 0])", [[5, 6]]),
        ("LAST(REMOVE_EMPTY([a1 / 0]))", [[None, None]]),
        ("SUM(REMOVE_EMPTY([a1 / 0]))", [[None, None]]),
    ],
)
def test_arrays_of_series(expression: str, expected: list[Points]) -> None:
    assert results(expression, a1=[1, 2], b1=[30, None], b2=[5, 6]) == expected


def test_series_without_a_point_are_sorted_last_either_way() -> None:
    series: dict[str, Points] = {"m1": [None, None], "m2": [1, 1], "m3": [2, 2]}
    for order in ("ASC", "DESC"):
        assert results(f"SORT(METRICS(), MAX, {order})", **series)[2] == [None, None]


@pytest.mark.parametrize("place", ["-1", "1.5", "1 / 0"])
def test_a_number_that_is_no_place_in_an_array_is_refused(place: str) -> None:
    with pytest.raises(MathError, match=r"query e1: .* is no place in an array"):
        results(f"SLICE(METRICS(), {place})", m1=[1.0])


# Times


@given(st.integers(0, 4_102_444_800 // PERIOD).map(lambda minutes: minutes * PERIOD))
def test_times_are_those_of_the_calendar_in_utc_at_every_time(start: int) -> None:
    at = datetime.fromtimestamp(start, UTC)
    expected = {
        "MINUTE": at.minute,
        "HOUR": at.hour,
        "DAY": at.isoweekday(),
        "DATE": at.day,
        "MONTH": at.month,
        "YEAR": at.year,
        "EPOCH": start,
    }
    for function, value in expected.items():
        assert single(f"{function}(m1)", start, [None]) == [value], function


def test_a_metric_of_weekdays_only() -> None:
    friday = int(datetime(2026, 11, 20, 23, 59, tzinfo=UTC).timestamp())
    assert single("IF(DAY(m1) < 6, m1)", friday, [1, 1]) == [1, None]


# Types


@pytest.mark.parametrize(
    ("expression", "given"),
    [
        ("ABS(2)", "ABS takes (TS) or (TS[]), here it is given (S)"),
        ("SUM(5)", "SUM takes (TS) or (TS[]), here it is given (S)"),
        ("SUM(m1, m2)", "here it is given (TS, TS)"),
        ("SUM()", "here it is given ()"),
        ("FILL(m1)", "here it is given (TS)"),
        ("FILL(2, 0)", "here it is given (S, S)"),
        ("FILL(m1, LINEAR, 0)", "here it is given (TS, LINEAR, S)"),
        ("FIRST(m1)", "FIRST takes (TS[]), here it is given (TS)"),
        ("IF(1, 2, 3)", "here it is given (S, S, S)"),
        ("IF(METRICS(), m1, m2)", "here it is given (TS[], TS, TS)"),
        ("METRIC_COUNT(m1)", "here it is given (TS)"),
        ("PERIOD(m1 + m2)", "PERIOD takes (metric), here it is given (TS)"),
        ("SORT(METRICS(), ASC, SUM)", "SORT takes (TS[], AVG|MIN|MAX|SUM, ASC|DESC)"),
        ("SORT(METRICS(), STDDEV, ASC)", "STDDEV is a function"),
        ("TIME_SERIES(m1)", "TIME_SERIES takes (S), here it is given (TS)"),
        ("HOUR(METRICS())", "HOUR takes (TS), here it is given (TS[])"),
        ("METRICS(m1)", "METRICS takes nothing, or text in quotes"),
        ("METRICS('other')", "no metric has an Id with 'other' in it; the metrics are m1, m2"),
        ("MAX([m1, 1])", "an array is of time series, this is one number (S)"),
        ("[m1] + [m2]", "+ does not work on TS[] and TS[]"),
        ("METRICS() > 2", "> does not work on TS[] and S"),
        ("m1 AND METRICS()", "AND does not work on TS and TS[]"),
        ("SUM(m1)", "the result of an expression has to be a time series"),
        ("2 > 1", "the result of an expression has to be a time series"),
    ],
)
def test_what_a_function_does_not_take_is_refused(expression: str, given: str) -> None:
    with pytest.raises(MathError) as caught:
        result(expression, m1=[1], m2=[2])
    assert given in str(caught.value)


# Leading axes

EACH: Final = [
    "m1 / m2 + m1 ^ 2",
    "IF(m1 > m2 AND m2 >= 1, m1, m2)",
    "IF(SUM(m1) > 5, m1, m2)",
    "FILL(m1, AVG(m2)) + FILL(m1, m2)",
    "FILL(m1, REPEAT) - FILL(m2, LINEAR)",
    "RATE(m1) + DIFF(m2) + DIFF_TIME(m1)",
    "RUNNING_SUM(m1) / RUNNING_SUM(m2)",
    "m1 - MIN(m1) + MAX(m2) / STDDEV(m1)",
    "STDDEV(METRICS()) + DATAPOINT_COUNT(METRICS()) + AVG(METRICS())",
    "FIRST(SORT(METRICS(), SUM, DESC)) - MAX(METRICS())",
    "LAST(SLICE(SORT(METRICS(), AVG, ASC), 0, 1)) + MIN(METRICS())",
    "AVG(REMOVE_EMPTY(METRICS())) / METRIC_COUNT(REMOVE_EMPTY(METRICS()))",
    "SUM(SLICE(METRICS(), DATAPOINT_COUNT(m1) > 2))",
    "MINUTE(m1) + HOUR(m2) * m1 + DATE(m2) + PERIOD(m1)",
    "ABS(CEIL(m1) - FLOOR(m2)) + LOG(m1) - LOG10(m2)",
    "TIME_SERIES(SUM(m1))",
]


@pytest.mark.parametrize("expression", EACH)
def test_leading_axes_are_evaluations_that_do_not_know_of_each_other(expression: str) -> None:
    random = np.random.default_rng(4)
    arrays = {
        id_: np.where(random.random((3, 4, 6)) < 0.4, np.nan, random.integers(-3, 9, (3, 4, 6))) for id_ in ("m1", "m2")
    }
    arrays["m1"][1, 2] = np.nan
    starts = PERIOD * (np.arange(12).reshape(3, 4, 1) * 700 + np.arange(6))
    program = compile_queries([metric("m1"), metric("m2"), Query(id="e1", expression=expression)])
    together = program.alarm(arrays, starts, PERIOD)
    assert together.shape == (3, 4, 6)
    for place in np.ndindex(3, 4):
        alone = program.alarm({id_: values[place] for id_, values in arrays.items()}, starts[place], PERIOD)
        np.testing.assert_allclose(together[place], alone)


def test_every_function_is_among_those_tried_on_leading_axes() -> None:
    times = {"DAY", "MONTH", "YEAR", "EPOCH"}  # as MINUTE, HOUR and DATE
    tried = " ".join(EACH)
    assert {name for name in FUNCTIONS if f"{name}(" not in tried} == times
