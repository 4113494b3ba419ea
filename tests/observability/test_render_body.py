"""Bodies of dashboards as data: shorthand, defaults, places and times."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from observability.dashboards import earliest, metrics_of
from observability.dashboards.body import COLOURS, Graph, Widget, parse_span, read_graph, read_widgets, time_range
from observability.errors import ToolkitError
from observability.model import Dashboard, MetricAlarm, MetricKey, read_metric_alarm

NOW = 1_790_000_000


def graph(**properties: Any) -> Graph:
    return read_graph(Widget("metric", 0, 0, 12, 6, properties, "dashboard d, widget 1"))


def placed(*widgets: dict[str, Any]) -> list[tuple[int, int, int, int]]:
    found = read_widgets(Dashboard("d", {"widgets": list(widgets)}))
    return [(widget.x, widget.y, widget.width, widget.height) for widget in found]


def keys(*metrics: list[Any]) -> list[str]:
    return [str(entry.query.stat.key) for entry in graph(metrics=list(metrics)).entries if entry.query.stat]


# What CloudWatch refuses


@pytest.mark.parametrize(
    ("metrics", "said"),
    [
        ([["."]], r"metric 1: \. repeats what stands above it, and there is nothing"),
        ([["A", "m"], [".", ".", ".", "v"]], r"metric 2: \. repeats what stands above it"),
        ([["A", "m"], ["...", "a", "b", "c"]], r"metric 2: \.\.\. repeats a metric above"),
        ([["A"]], r"metric 1: it is \['A'\], needed are a namespace, a name and pairs"),
        ([["A", "m", "d"]], "metric 1: .* pairs of dimensions"),
        ([["A", "m", {"period": 0}]], "metric 1: period is 0, allowed are whole seconds"),
        ([["A", "m", {"stat": "Median"}]], "metric 1: .*Median"),
        ([["A", "m", {"id": "a"}], ["A", "n", {"id": "a"}]], "two of its metrics have the id a"),
        ([["A", "m", {"expression": "a + b"}]], "metric 1: it has both an expression and a metric"),
        ([{}], "metric 1: it is {}, a list is needed"),
        ({}, None),
        ("A", "metrics is 'A', a list is needed"),
    ],
)
def test_a_metrics_array_that_is_refused_is_told_with_its_place(metrics: Any, said: str | None) -> None:
    if said is None:
        assert graph(metrics=metrics).entries == ()
        return
    with pytest.raises(ToolkitError, match=said):
        graph(metrics=metrics)


@pytest.mark.parametrize(
    ("widget", "said"),
    [
        ({"x": 20, "y": 0, "width": 6}, "x is 20, allowed are whole numbers 0 to 18"),
        ({"width": 25}, "width is 25, allowed are whole numbers 1 to 24"),
        ({"height": 2.5}, "height is 2.5, allowed are whole numbers 1 to 1000"),
        ({"x": 0, "y": -1}, "y is -1, allowed are whole numbers from 0"),
        ({"properties": []}, None),
        ({"properties": ["a"]}, "properties is .* an object is needed"),
    ],
)
def test_a_widget_that_is_refused_is_told_with_its_place(widget: dict[str, Any], said: str | None) -> None:
    if said is None:
        assert placed(widget)
        return
    with pytest.raises(ToolkitError, match="dashboard d, widget 1.*: " + said):
        placed(widget)


def test_a_body_without_widgets_is_refused() -> None:
    with pytest.raises(ToolkitError, match="dashboard d: widgets is None, a list is needed"):
        read_widgets(Dashboard("d", {}))


def test_a_threshold_that_is_no_number_is_refused() -> None:
    with pytest.raises(ToolkitError, match="horizontal annotations: value is '1', a number is needed"):
        graph(annotations={"horizontal": [{"value": "1"}]})


def test_an_alarm_that_is_drawn_has_to_be_known() -> None:
    with pytest.raises(ToolkitError, match="it draws the alarm a, which is not among those known"):
        graph(annotations={"alarms": ["arn:aws:cloudwatch:us-east-1:123456789012:alarm:a"]})


@pytest.mark.parametrize("words", ["-P", "-PT", "P1D", "-P1DT", "-1D", "-P1H", "yesterday", ""])
def test_what_is_no_span_is_refused(words: str) -> None:
    with pytest.raises(ToolkitError, match="allowed are spans such as"):
        parse_span(words, "start")


def test_a_range_that_ends_before_it_begins_is_refused() -> None:
    with pytest.raises(ToolkitError, match="start -PT1H is not before the end"):
        time_range({"start": "-PT1H", "end": "-PT2H"}, "dashboard d", NOW)


# The metrics array


def test_a_dot_repeats_one_part_and_three_dots_all_that_fits() -> None:
    listed = keys(
        ["AWS/SQS", "Sent", "QueueName", "a", {"stat": "Sum"}],
        [".", "Deleted", ".", "."],
        [{"expression": "1 + 1"}],
        ["...", "b"],
        ["...", {"stat": "p99"}],
    )
    assert listed == [
        "AWS/SQS Sent {QueueName=a}",
        "AWS/SQS Deleted {QueueName=a}",
        "AWS/SQS Deleted {QueueName=b}",
        "AWS/SQS Deleted {QueueName=b}",
    ]


@given(st.lists(st.tuples(st.text("ab", min_size=1), st.text("cd", min_size=1)), min_size=1, max_size=5))
def test_shorthand_means_what_is_spelt_out(pairs: list[tuple[str, str]]) -> None:
    spelt = [["N", name, "D", value] for name, value in pairs]
    short = [
        [part if before is None or part != old else "." for part, old in zip(entry, before or entry, strict=True)]
        for before, entry in zip([None, *spelt], spelt, strict=False)
    ]
    assert keys(*short) == keys(*spelt)


def test_an_entry_overrules_its_widget_and_the_widget_the_default() -> None:
    entries = graph(metrics=[["A", "m"], ["A", "n", {"stat": "p90", "period": 60}]], stat="Sum", period=120).entries
    assert [(str(e.query.stat.statistic), e.query.stat.period) for e in entries if e.query.stat] == [
        ("Sum", 120),
        ("p90", 60),
    ]
    [plain] = graph(metrics=[["A", "m"]]).entries
    assert plain.query.stat
    assert (str(plain.query.stat.statistic), plain.query.stat.period) == ("Average", 300)


def test_entries_without_an_id_get_one_that_nobody_has() -> None:
    entries = graph(metrics=[["A", "m"], ["A", "n", {"id": "unnamed1"}], ["A", "o"]]).entries
    assert [entry.query.id for entry in entries] == ["unnamed2", "unnamed1", "unnamed3"]


def test_only_a_colour_of_six_digits_gets_into_a_picture() -> None:
    entries = graph(metrics=[["A", "m", {"color": "#0072B2"}], ["A", "n", {"color": 'red" onload="x'}]]).entries
    assert [entry.colour for entry in entries] == ["#0072B2", COLOURS[1]]


def test_hidden_entries_and_the_right_axis_are_kept_apart() -> None:
    entries = graph(metrics=[["A", "m", {"visible": False}], ["A", "n", {"yAxis": "right"}]]).entries
    assert [(entry.visible, entry.right) for entry in entries] == [(False, False), (True, True)]


def test_annotations_can_be_lines_fills_bands_and_hidden() -> None:
    found = graph(
        annotations={
            "horizontal": [
                {"value": 1, "label": "one", "fill": "above", "yAxis": "right"},
                [{"value": 2, "label": "low"}, {"value": 3, "label": "high"}],
                {"value": 4, "visible": False},
            ],
            "vertical": [[{"value": "2026-09-21T06:00:00Z"}, {"value": "2026-09-21T07:00:00Z"}]],
        }
    )
    assert [(t.value, t.until, t.label, t.fill, t.right) for t in found.thresholds] == [
        (1, None, "one", "above", True),
        (2, 3, "low – high", "", False),
    ]
    assert [(mark.until or 0) - mark.at for mark in found.marks] == [3600]


def test_a_graph_of_an_alarm_has_its_metrics_and_its_threshold() -> None:
    alarm: MetricAlarm = read_metric_alarm(
        {
            "AlarmName": "a",
            "Namespace": "N",
            "MetricName": "m",
            "Statistic": "Sum",
            "Period": 60,
            "EvaluationPeriods": 1,
            "Threshold": 5,
            "ComparisonOperator": "GreaterThanThreshold",
        }
    )
    widget = Widget("metric", 0, 0, 6, 6, {"annotations": {"alarms": ["arn:aws:cloudwatch:r:1:alarm:a"]}}, "widget 1")
    found = read_graph(widget, {"a": alarm})
    assert [entry.query.stat.key for entry in found.entries if entry.query.stat] == [MetricKey("N", "m")]
    assert [(threshold.value, threshold.label) for threshold in found.thresholds] == [(5, "a > 5")]


def test_the_metrics_of_a_dashboard_are_those_of_all_its_graphs_once() -> None:
    body = {
        "widgets": [
            {"type": "metric", "properties": {"metrics": [["A", "m"], [{"expression": "1"}]]}},
            {"type": "text", "properties": {"markdown": "x"}},
            {"type": "metric", "properties": {"metrics": [["A", "m"], ["A", "n"]]}},
        ]
    }
    assert [stat.key.name for stat in metrics_of(Dashboard("d", body))] == ["m", "n"]


# Places and times


def test_widgets_without_a_place_fill_the_next_gap() -> None:
    at_home = {"x": 0, "y": 0, "width": 12, "height": 6}
    assert placed(at_home, {"width": 12}, {}, {"width": 24, "height": 2}) == [
        (0, 0, 12, 6),
        (12, 0, 12, 6),
        (0, 6, 6, 6),
        (0, 12, 24, 2),
    ]


@given(st.lists(st.tuples(st.integers(1, 24), st.integers(1, 9)), max_size=12))
def test_widgets_without_a_place_never_overlap(sizes: list[tuple[int, int]]) -> None:
    cells = [
        (column, row)
        for x, y, width, height in placed(*({"width": width, "height": height} for width, height in sizes))
        for column in range(x, x + width)
        for row in range(y, y + height)
    ]
    assert len(cells) == len({*cells})
    assert all(0 <= column < 24 for column, _ in cells)


@pytest.mark.parametrize(
    ("words", "seconds"),
    [("-PT3H", 10800), ("-P1D", 86400), ("-P1W", 604800), ("-P1DT12H", 129600), ("-PT5M", 300), ("-PT0H", 0)],
)
def test_spans_are_iso_8601_with_a_minus(words: str, seconds: int) -> None:
    assert parse_span(words, "start") == seconds


def test_a_range_is_three_hours_unless_it_is_said() -> None:
    assert time_range({}, "dashboard d", NOW) == (NOW - 10800, NOW)
    assert time_range({"start": "-P1D"}, "dashboard d", NOW) == (NOW - 86400, NOW)
    moments = {"start": "2026-09-01T00:00:00Z", "end": "2026-09-01T01:00:00"}
    assert time_range(moments, "dashboard d", NOW) == (1788220800, 1788224400)
    assert time_range({}, "widget 1", NOW, None) is None


def test_the_earliest_moment_may_be_a_widget_s() -> None:
    body = {"start": "-P1D", "widgets": [{"type": "metric", "properties": {"start": "-P30D"}}, {"type": "text"}]}
    assert earliest(Dashboard("d", body), NOW) == NOW - 30 * 86400
