"""What the lines of a graph are made of."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from observability.dashboards.body import COLOURS, Widget, read_graph
from observability.dashboards.lines import Line, lines_of, span
from observability.errors import ToolkitError
from observability.model import DAY, HOUR, MetricKey
from observability.store import MetricStore

NOW = 1_790_000_100  # 14:15 UTC
START = NOW - HOUR


def store(**series: list[float]) -> MetricStore:
    """Metrics of namespace N, a value every minute from START; NaN is no data."""
    filled = MetricStore()
    for name, values in series.items():
        known = [(START + 60 * minute, value) for minute, value in enumerate(values) if not np.isnan(value)]
        if known:
            filled.put(MetricKey("N", name), *map(list, zip(*known, strict=True)), unit="Count")
    return filled


def drawn(metrics: list[Any], filled: MetricStore, *, start: int = START, end: int = NOW, **more: Any) -> list[Line]:
    widget = Widget("metric", 0, 0, 12, 6, {"metrics": metrics, "stat": "Sum", "period": 60, **more}, "widget 1")
    return lines_of(read_graph(widget), filled, start, end, NOW)


def test_an_expression_that_is_not_evaluated_is_refused_by_name() -> None:
    with pytest.raises(ToolkitError, match="SEARCH"):
        drawn([[{"expression": "SEARCH('{N} a', 'Sum')"}]], store())


def test_a_metric_that_nobody_emits_is_an_empty_line() -> None:
    [line] = drawn([["N", "a"]], store())
    assert line.is_empty
    assert np.isnan(line.latest)
    assert line.values.size == 60


def test_missing_data_is_a_gap_and_no_zero() -> None:
    [line] = drawn([["N", "a"]], store(a=[1, 2, float("nan"), 4]))
    np.testing.assert_array_equal(line.values[:5], [1, 2, np.nan, 4, np.nan])
    assert line.latest == 4


def test_points_stand_at_the_start_of_their_window() -> None:
    [line] = drawn([["N", "a"]], store(a=[1] * 60), period=300)
    assert line.starts[0] == START // 300 * 300
    assert {*np.diff(line.starts)} == {300}
    assert line.starts[-1] < NOW
    assert line.values[1] == 5


def test_a_period_is_never_finer_than_what_is_kept_of_data_that_old() -> None:
    for age, kept in ((2 * HOUR, 60), (16 * DAY, 300), (70 * DAY, 3600)):
        [line] = drawn([["N", "a"]], store(), start=NOW - age)
        assert line.period == kept


def test_one_value_over_the_whole_range_is_that_of_all_its_points() -> None:
    [line] = drawn([["N", "a"]], store(a=[1, 2, 3]), setPeriodToTimeRange=True)
    assert (line.starts.tolist(), line.values.tolist(), line.period) == ([START], [6], HOUR)


def test_hidden_metrics_feed_an_expression_and_are_not_drawn() -> None:
    lines = drawn(
        [
            [{"expression": "100 * part / whole", "label": "share", "color": "#0072B2"}],
            ["N", "part", {"id": "part", "visible": False}],
            ["N", "whole", {"id": "whole", "visible": False}],
        ],
        store(part=[1, 1], whole=[2, 4]),
    )
    assert [(line.label, line.colour, line.values[:2].tolist()) for line in lines] == [("share", "#0072B2", [50, 25])]


def test_metrics_of_unlike_periods_meet_at_the_starts_of_the_coarser() -> None:
    [line] = drawn(
        [
            [{"expression": "fine + coarse"}],
            ["N", "a", {"id": "fine", "visible": False}],
            ["N", "a", {"id": "coarse", "visible": False, "period": 300}],
        ],
        store(a=[1] * 60),
    )
    assert line.period == 300
    assert line.values[1] == 1 + 5


def test_an_expression_of_several_lines_has_a_colour_for_each() -> None:
    lines = drawn(
        [[{"expression": "METRICS()", "id": "e1"}], *(["N", n, {"id": n, "visible": False}] for n in "ab")],
        store(a=[1], b=[2]),
    )
    assert [line.values[0] for line in lines] == [1, 2]
    assert [line.colour for line in lines] == [*COLOURS[:2]]
    assert len({line.label for line in lines}) == 2


# Labels


def labels(*metrics: list[Any], filled: MetricStore | None = None) -> list[str]:
    return [line.label for line in drawn(list(metrics), filled or store())]


def test_a_line_without_a_label_is_called_by_what_tells_it_from_the_others() -> None:
    assert labels(["N", "a"], ["N", "b"]) == ["a", "b"]
    assert labels(["N", "a", "D", "x"], ["N", "a", "D", "y"]) == ["x a", "y a"]
    assert labels(["N", "a"], ["N", "a", {"stat": "p90"}]) == ["a Sum", "a p90"]
    assert labels([{"expression": "m + 1"}], ["N", "a", {"id": "m"}]) == ["m + 1", "a"]
    assert labels([{"expression": "m + 1", "id": "e"}], ["N", "a", {"id": "m"}]) == ["e", "a"]


@pytest.mark.parametrize(
    ("label", "shown"),
    [
        ("${LABEL}: ${MAX}", "a: 5"),
        ("${MIN} ${AVG} ${SUM} ${LAST} ${FIRST}", "1 3 9 3 1"),
        ("${DATAPOINT_COUNT} ${MIN_MAX_RANGE} ${FIRST_LAST_RANGE}", "3 4 2"),
        ("${MAX_TIME}", "2026-09-21 13:16 UTC"),
        ("${MAX_TIME_RELATIVE}", "59 min"),
        ("${FIRST_LAST_TIME_RANGE} ${MIN_MAX_TIME_RANGE}", "3 min 1 min"),
        ("${PROP('MetricName')} ${PROP('Stat')} ${PROP('Period')}", "a Sum 60"),
        ("${PROP('Dim.None')} ${NOTHING} $5", "${PROP('Dim.None')} ${NOTHING} $5"),
    ],
)
def test_dynamic_labels_show_values_of_the_range(label: str, shown: str) -> None:
    assert labels(["N", "a", {"label": label}], filled=store(a=[1, 5, float("nan"), 3])) == [shown]


def test_dynamic_labels_of_an_empty_line_say_that_there_is_nothing() -> None:
    assert labels(["N", "a", {"label": "${MAX} of ${DATAPOINT_COUNT}"}]) == ["– of 0"]


@pytest.mark.parametrize(
    ("seconds", "words"), [(0, "0 s"), (59, "59 s"), (300, "5 min"), (DAY + 6 * HOUR + 60, "1 d 6 h")]
)
def test_a_span_is_told_in_its_two_greatest_units(seconds: int, words: str) -> None:
    assert span(seconds) == words
