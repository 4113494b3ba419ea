"""Queries together: what they refer to, what an alarm and a graph get of them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from observability.math import MathError, compile_queries
from observability.math.functions import FUNCTIONS
from observability.model import MetricKey, MetricStat, Query
from observability.statistics import Statistic

STARTS = 60 * np.arange(3)


def metric(id_: str, *, label: str = "", returned: bool = False) -> Query:
    stat = MetricStat(MetricKey.of("Shop", id_.title()), 60, Statistic.parse("Sum"))
    return Query(id=id_, stat=stat, label=label, returned=returned)


def expression(id_: str, text: str, *, label: str = "", returned: bool = True) -> Query:
    return Query(id=id_, expression=text, label=label, returned=returned)


def hidden(id_: str, text: str) -> Query:
    return expression(id_, text, returned=False)


def refusal(*queries: Query) -> str:
    with pytest.raises(MathError) as caught:
        compile_queries(queries)
    return str(caught.value)


# Failures


def test_expressions_that_need_each_other_are_refused_with_the_way_round() -> None:
    queries = [metric("m1"), hidden("e1", "m1 + e2"), hidden("e2", "e3 * 2"), expression("e3", "FILL(e1, 0)")]
    assert "expressions need each other: e1 -> e2 -> e3 -> e1" in refusal(*queries)


def test_an_expression_that_needs_itself_is_refused() -> None:
    assert "e1 -> e1" in refusal(expression("e1", "e1 + 1"))


def test_an_unknown_id_is_refused_with_the_nearest() -> None:
    with pytest.raises(MathError, match="no query with the Id 'error'; there are errors, e1") as caught:
        compile_queries([metric("errors"), expression("e1", "error * 2")])
    assert caught.value.remedy == "Is errors meant?"


def test_two_queries_of_one_id_are_refused() -> None:
    assert "two queries have the Id 'm1'" in refusal(metric("m1"), metric("m1"))


@pytest.mark.parametrize("id_", ["M1", "1m", "_m", "m-1", "é1", "", "m 1"])
def test_an_id_that_no_expression_could_name_is_refused(id_: str) -> None:
    assert "is not allowed: letters, digits and underscores" in refusal(metric(id_))


def test_more_than_500_queries_are_refused() -> None:
    assert "there are 501 metrics and expressions" in refusal(*(metric(f"m{number}") for number in range(501)))


def test_a_fault_in_a_hidden_expression_is_found_too() -> None:
    assert "query e1: there is no function OOPS" in refusal(hidden("e1", "OOPS(m1)"), metric("m1", returned=True))


def test_an_alarm_on_an_array_is_refused() -> None:
    program = compile_queries([metric("m1"), expression("e1", "METRICS() * 2")])
    with pytest.raises(MathError, match="query e1: an alarm compares one time series") as caught:
        program.alarm({"m1": np.ones(3)}, STARTS, 60)
    assert "SUM" in caught.value.remedy


@pytest.mark.parametrize("returned", [False, True])
def test_an_alarm_compares_one_query(returned: bool) -> None:
    program = compile_queries([metric("m1", returned=returned), metric("m2", returned=returned)])
    with pytest.raises(MathError, match="an alarm compares the result of one query"):
        program.alarm({"m1": np.ones(3), "m2": np.ones(3)}, STARTS, 60)


# Alarms


def test_an_alarm_on_one_metric_compares_its_values() -> None:
    program = compile_queries([metric("m1", returned=True)])
    assert program.alarm({"m1": np.array([1.0, 2.0, 3.0])}, STARTS, 60).tolist() == [1, 2, 3]
    assert program.pointwise


def test_expressions_may_come_in_any_order() -> None:
    program = compile_queries([expression("e2", "e1 + m1"), hidden("e1", "m1 * 10"), metric("m1")])
    assert program.alarm({"m1": np.array([1.0, 2.0, 3.0])}, STARTS, 60).tolist() == [11, 22, 33]
    assert [query.id for query in program.metrics] == ["m1"]


def test_metrics_are_those_of_the_request_and_no_expressions() -> None:
    program = compile_queries([hidden("e1", "a * 100"), metric("a"), metric("b"), expression("e2", "SUM(METRICS())")])
    assert program.alarm({"a": np.ones(3), "b": np.ones(3)}, STARTS, 60).tolist() == [2, 2, 2]


def test_what_is_given_is_not_changed() -> None:
    given_values = np.array([1.0, np.nan, 0.0])
    arrays = {"m1": given_values.copy(), "m2": given_values[::-1].copy()}
    program = compile_queries([metric("m1"), metric("m2"), expression("e1", "IF(m1, FILL(m1, 0) / m2, m1 + m2)")])
    program.alarm(arrays, STARTS, 60)
    assert [*arrays] == ["m1", "m2"]
    np.testing.assert_array_equal(arrays["m1"], given_values)
    np.testing.assert_array_equal(arrays["m2"], given_values[::-1])


# The forms that alarms are often written in: a share with a minimum volume, silence, a sum of sparse counts.


@pytest.mark.parametrize(
    ("whole", "part", "expected"),
    [
        (np.nan, np.nan, np.nan),
        (np.nan, 3, np.nan),
        (99, 99, 0),
        (100, np.nan, 0),
        (200, 3, 1.5),
    ],
)
def test_a_share_of_a_minimum_volume(whole: float, part: float, expected: float) -> None:
    program = compile_queries(
        [metric("part"), metric("whole"), expression("rate", "IF(whole >= 100, 100 * FILL(part, 0) / whole, 0)")]
    )
    (found,) = program.alarm({"part": np.array([part]), "whole": np.array([whole])}, [0], 60)
    assert found == pytest.approx(expected, nan_ok=True)


@pytest.mark.parametrize(
    ("sent", "events", "expected"), [(np.nan, np.nan, 0), (10, np.nan, 1), (10, 1, 0), (9, np.nan, 0)]
)
def test_silence_of_what_should_answer(sent: float, events: float, expected: float) -> None:
    program = compile_queries(
        [
            metric("sent"),
            metric("events"),
            expression("silent", "IF(FILL(sent, 0) >= 10 AND FILL(events, 0) < 1, 1, 0)"),
        ]
    )
    assert program.alarm({"sent": np.array([sent]), "events": np.array([events])}, [0], 60).tolist() == [expected]


@pytest.mark.parametrize("text", ["m1 + 1", "FILL(m1, LINEAR)", "RATE(m1)", "m1 - AVG(m1)", "IF(HOUR(m1) > 2, m1)"])
def test_no_time_at_all_gives_no_points(text: str) -> None:
    program = compile_queries([metric("m1"), expression("e1", text)])
    assert program.alarm({"m1": np.empty((2, 0))}, np.empty(0, dtype=np.int64), 60).shape == (2, 0)


# Pointwise

AROUND = {
    "DIFF(m1)",
    "DIFF_TIME(m1)",
    "FILL(m1, LINEAR)",
    "FILL(m1, REPEAT)",
    "FIRST(REMOVE_EMPTY(METRICS()))",
    "FIRST(SORT(METRICS(), SUM, ASC))",
    "RATE(m1)",
    "RUNNING_SUM(m1)",
    *(f"m1 - {name}(m1)" for name in ("AVG", "DATAPOINT_COUNT", "MAX", "MIN", "STDDEV", "SUM")),
}
ALONE = {
    "m1 + m2 ^ 2 / 3",
    "-m1 >= 2 OR m2 == 1",
    "IF(m1, m2, 0) + IF(m1 > 1, m2) + IF(1, m1, m2)",
    "FILL(m1, 0) + FILL(m1, m2)",
    "ABS(m1) + CEIL(m1) + FLOOR(m1) + LOG(m1) + LOG10(m1)",
    "FIRST(METRICS()) + LAST([m1, m2]) + SUM(SLICE(METRICS(), 1))",
    "m1 * PERIOD(m1) + TIME_SERIES(METRIC_COUNT(METRICS()))",
    "DAY(m1) + DATE(m1) + MINUTE(m1) + HOUR(m1) + MONTH(m1) + YEAR(m1) + EPOCH(m1)",
    " + ".join(f"{name}([m1, m2])" for name in ("AVG", "DATAPOINT_COUNT", "MAX", "MIN", "STDDEV", "SUM")),
}


def test_every_function_is_in_one_of_the_lists() -> None:
    assert {name for name in FUNCTIONS if f"{name}(" not in " ".join(AROUND | ALONE)} == set()


@pytest.mark.parametrize("text", sorted(AROUND))
def test_what_looks_at_other_times_is_not_pointwise(text: str) -> None:
    assert not compile_queries([metric("m1"), metric("m2"), expression("e1", text)]).pointwise
    behind = [metric("m1"), metric("m2"), hidden("e1", text), expression("e2", "e1 + 1")]
    assert not compile_queries(behind).pointwise


def test_an_expression_that_nothing_returned_needs_does_not_count() -> None:
    assert compile_queries([metric("m1"), hidden("e1", "RATE(m1)"), expression("e2", "m1 + 1")]).pointwise


points = st.lists(st.none() | st.integers(-4, 4), min_size=6, max_size=6).map(
    lambda found: np.array([np.nan if each is None else each for each in found], dtype=np.float64)
)


@pytest.mark.parametrize("text", sorted(ALONE))
@settings(max_examples=25)
@given(first=points, second=points)
def test_pointwise_is_what_comes_out_the_same_time_by_time(
    text: str, first: np.ndarray[tuple[int], np.dtype[np.float64]], second: np.ndarray[tuple[int], np.dtype[np.float64]]
) -> None:
    program = compile_queries([metric("m1"), metric("m2"), expression("e1", text)])
    assert program.pointwise
    starts = 3600 * np.arange(6)
    whole = program.alarm({"m1": first, "m2": second}, starts, 60)
    pieces = [
        program.alarm({"m1": first[[at]], "m2": second[[at]]}, starts[[at]], 60).item() for at in range(len(starts))
    ]
    np.testing.assert_allclose(whole, pieces)


# Graphs


def test_a_graph_gets_each_returned_query_in_order() -> None:
    program = compile_queries([metric("m1", returned=True), hidden("e1", "m1 * 2"), expression("e2", "e1 + 1")])
    drawn = program.lines({"m1": np.ones(3)}, STARTS, 60)
    assert {id_: [line.values.tolist() for line in found] for id_, found in drawn.items()} == {
        "m1": [[1, 1, 1]],
        "e2": [[3, 3, 3]],
    }


@pytest.mark.parametrize(
    ("query", "labels"),
    [
        (metric("m1", returned=True), ["M1"]),
        (metric("m1", label="Errors", returned=True), ["Errors"]),
        (expression("e1", "m2 + 1"), ["e1"]),
        (expression("e1", "m2 + 1", label="More"), ["More"]),
        (
            expression("e1", "FILL(METRICS(), 0)", label="Filled With 0:"),
            ["Filled With 0: Second", "Filled With 0: M3"],
        ),
        (expression("e1", "FILL([m3, m2], 0)"), ["M3", "Second"]),
        (expression("e1", "SORT([m3, m2], SUM, ASC)"), ["Second", "M3"]),
        (expression("e1", "SLICE([m3, m2 * 2], 1)", label="Twice"), ["Twice"]),
    ],
)
def test_labels_are_of_the_expression_and_then_of_the_metric(query: Query, labels: list[str]) -> None:
    others = [metric("m2", label="Second"), metric("m3")]
    arrays = {"m1": np.ones(3), "m2": np.ones(3), "m3": np.full(3, 2.0)}
    drawn = compile_queries([query, *others]).lines(arrays, STARTS, 60)
    assert [line.label for line in drawn[query.id]] == labels
