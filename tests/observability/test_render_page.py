"""Dashboards drawn: pages and pictures."""

from __future__ import annotations

import re
import struct
from collections.abc import Mapping
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from observability.dashboards import Rendering, render
from observability.dashboards.body import Axis, Threshold
from observability.dashboards.charts import YScale
from observability.errors import ToolkitError
from observability.model import Dashboard, MetricKey, State
from observability.store import MetricStore

NOW = 1_790_000_100
SVG = "{http://www.w3.org/2000/svg}"


def store(name: str = "a", *, gap: bool = False) -> MetricStore:
    filled = MetricStore()
    times = np.arange(NOW - 3 * 3600, NOW, 300)
    if gap:
        times = np.delete(times, slice(10, 20))
    filled.put(MetricKey("N", name), times, np.arange(times.size, dtype=float))
    return filled


def metric(*names: str, **properties: Any) -> dict[str, Any]:
    metrics = [["N", name] for name in names]
    return {"type": "metric", "width": 12, "properties": {"title": "Graph", "metrics": metrics, **properties}}


def drawn(
    *widgets: dict[str, Any],
    filled: MetricStore | None = None,
    states: Mapping[str, State] | None = None,
    span: int | None = None,
) -> Rendering:
    body = {"widgets": list(widgets)}
    return render(Dashboard("shop", body), filled or MetricStore(), end=NOW, states=states, span=span)


def words(rendering: Rendering) -> str:
    return " ".join(element.text or "" for element in ElementTree.fromstring(rendering.svg()).iter(f"{SVG}text"))


def curves(rendering: Rendering, role: str = "line mark container") -> list[str]:
    """The paths of what is measured."""
    root = ElementTree.fromstring(rendering.svg())
    groups = (group for group in root.iter(f"{SVG}g") if group.get("aria-roledescription") == role)
    return [path.get("d", "") for group in groups for path in group.iter(f"{SVG}path")]


# What cannot be drawn


def test_a_body_that_is_refused_is_told_of() -> None:
    with pytest.raises(ToolkitError, match="dashboard shop, widget 1 'Graph'"):
        drawn(metric(metrics=[["N"]]))
    with pytest.raises(ToolkitError, match="it should show 0 seconds"):
        drawn(metric("a"), span=0)


def test_what_is_not_drawn_says_so_and_leaves_the_others_alone() -> None:
    said = words(
        drawn(
            {"type": "explorer", "properties": {}},
            metric("a", view="heatmap"),
            metric(metrics=[[{"expression": "SEARCH('x', 'Sum')"}]]),
            metric("b", title="Good"),
        )
    )
    assert "A widget of type explorer is not drawn here." in said
    assert "The view heatmap is not drawn here." in said
    assert "SEARCH is not" in said
    assert "Good" in said


@pytest.mark.parametrize("view", ["timeSeries", "singleValue", "gauge", "bar", "pie"])
def test_a_graph_without_data_says_so(view: str) -> None:
    rendering = drawn(metric("a", view=view, legend={"position": "hidden"}))
    assert "no data" in words(rendering).lower()
    assert rendering.widgets[0].empty == ("a",)


def test_an_empty_graph_has_its_axes_and_thresholds() -> None:
    said = words(drawn(metric("a", annotations={"horizontal": [{"value": 7, "label": "page from 7"}]})))
    assert "page from 7" in said
    assert "13:00" in said
    assert {"0", "2", "4", "6"} & {*said.split()}


def test_one_line_of_several_without_data_is_marked_in_the_legend() -> None:
    said = words(drawn(metric("a", "b"), filled=store("a")))
    assert "b – no data" in said
    assert "a – no data" not in said


def test_what_would_be_code_in_a_page_is_text() -> None:
    evil = '<img src="https://example.com/x" onerror="alert(1)">'
    body = {"widgets": [metric("a", title=evil, annotations={"horizontal": [{"value": 1, "label": evil}]})]}
    page = render(Dashboard(evil, body), MetricStore(), end=NOW).html()
    assert "<img" not in page
    assert "&lt;img" in page


# Pages


def everything() -> list[dict[str, Any]]:
    views = ("timeSeries", "singleValue", "gauge", "bar", "pie", "table")
    return [
        {"type": "text", "properties": {"markdown": "# Head\n[runbook](https://example.com/runbook)"}},
        {"type": "alarm", "properties": {"title": "Alarms", "alarms": ["arn:aws:cloudwatch:r:1:alarm:one", "two"]}},
        {"type": "log", "properties": {"title": "Logs", "query": "SOURCE 'g' | fields @message | limit 5"}},
        *(metric("a", view=view, title=f"As {view}") for view in views),
        metric("a", stacked=True, title="Stacked", legend={"position": "right"}),
    ]


def test_a_page_loads_nothing_and_has_every_widget() -> None:
    page = drawn(*everything(), filled=store()).html()
    assert page.count("<figure") == len(everything())
    assert "default-src 'none'" in page
    loads = re.findall(r"""(?:src|xlink:href|action|srcset)\s*=|@import|url\((?!#)|<link|<script|<iframe""", page)
    assert loads == []
    # A link is followed by who clicks on it; names of XML vocabularies are never fetched.
    addresses = {*re.findall(r"https?://[^\s\"'<&]+", page)}
    assert addresses <= {"https://example.com/runbook", "http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"}


def test_widgets_stand_where_the_body_puts_them() -> None:
    page = drawn({**metric("a"), "x": 6, "y": 4, "width": 9, "height": 5}).html()
    assert "grid-column:7/span 9;grid-row:5/span 5" in page


def test_a_page_is_dark_where_its_reader_likes_that() -> None:
    page = drawn(metric("a")).html()
    assert "prefers-color-scheme:dark" in page
    assert "color-scheme:light dark" in page


def test_a_widget_is_told_in_words() -> None:
    page = drawn(
        metric("a", "b", annotations={"horizontal": [{"value": 7, "label": "page from 7"}]}), filled=store("a")
    ).html()
    assert "<title>Graph: a 35; b has no data; page from 7</title>" in page


def test_the_same_input_gives_the_same_bytes() -> None:
    one, other = (drawn(*everything(), filled=store()) for _ in range(2))
    assert one.html() == other.html()
    assert one.svg(dark=True) == other.svg(dark=True)


def test_ids_of_a_page_are_used_once_or_for_the_same_thing() -> None:
    clipped = [metric("a", yAxis={"left": {"max": most}}) for most in (3, 9)]
    page, again = (drawn(*clipped, filled=store()).html() for _ in range(2))
    assert page == again, "an id depends on what was drawn before"
    ids = re.findall(r'\bid="([^"]+)"', page)
    assert ids
    assert len(ids) == len({*ids})


# Pictures


def test_a_png_is_of_the_whole_dashboard() -> None:
    rendering = drawn(metric("a"), filled=store())
    png = rendering.png(scale=1)
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    wide, high = struct.unpack(">II", png[16:24])
    assert (wide, high) == (24 * 60 + 32, 64 + 6 * 50 + 16)
    assert rendering.png(scale=1, dark=True) != png


def test_each_titled_widget_can_be_a_picture_alone() -> None:
    rendering = drawn({"type": "text", "properties": {"markdown": "x"}}, metric("a"))
    [(widget, png)] = rendering.widget_pngs(scale=1)
    assert widget.title == "Graph"
    assert struct.unpack(">II", png[16:24]) == (12 * 60 + 8, 6 * 50 + 8)


def test_what_does_not_fit_into_a_widget_is_cut_with_a_word() -> None:
    long = {"type": "text", "height": 2, "properties": {"markdown": "line\n\n" * 30}}
    assert "more below" in words(drawn(long))
    assert "more below" not in words(drawn(metric("a"), {"type": "text", "properties": {"markdown": "line"}}))


# Graphs


def test_missing_data_breaks_the_line() -> None:
    assert len(curves(drawn(metric("a"), filled=store()))) == 1
    assert len(curves(drawn(metric("a"), filled=store(gap=True)))) == 2


def test_a_point_between_gaps_is_a_dot() -> None:
    lonely = MetricStore()
    lonely.put(MetricKey("N", "a"), NOW - 1800, 5)
    assert drawn(metric("a"), filled=lonely).svg().count('aria-roledescription="circle"') == 1


def test_stacked_lines_are_areas_on_one_another() -> None:
    both = MetricStore.merged(store("a"), store("b"))
    svg = drawn(metric("a", "b", stacked=True), filled=both).svg()
    assert 'aria-roledescription="area mark' in svg
    # Each goes to 35, so both together to 70.
    assert "60" in words(drawn(metric("a", "b", stacked=True), filled=both)).split()
    assert "60" not in words(drawn(metric("a", "b"), filled=both)).split()


def test_a_line_on_the_right_axis_does_not_stretch_the_left_one() -> None:
    large = MetricStore()
    large.put(MetricKey("N", "b"), np.arange(NOW - 3600, NOW, 300), 9e6)
    entries = {"metrics": [["N", "a"], ["N", "b", {"yAxis": "right"}]]}
    said = words(drawn(metric(**entries), filled=MetricStore.merged(store("a"), large))).split()
    assert {"10", "20", "30"} <= {*said}
    assert any(word.endswith("M") for word in said)


def test_thresholds_on_one_value_are_both_seen() -> None:
    lines = [{"value": 1, "label": "page", "color": "#D13212"}, {"value": 1, "label": "ticket", "color": "#C87A00"}]
    svg = drawn(metric("a", annotations={"horizontal": lines})).svg()
    assert svg.count("stroke-dasharray") == 2
    root = ElementTree.fromstring(svg)
    places = {t.text: t.get("transform") for t in root.iter(f"{SVG}text") if t.text in ("page", "ticket")}
    assert len({*places.values()}) == 2


def test_a_threshold_beyond_the_axis_points_at_where_it_is() -> None:
    line = {"horizontal": [{"value": 80, "label": "page from 80"}]}
    assert "↑ page from 80" in words(drawn(metric("a", yAxis={"left": {"max": 50}}, annotations=line)))


def test_fills_and_vertical_annotations_are_drawn() -> None:
    annotations = {
        "horizontal": [{"value": 5, "fill": "above"}],
        "vertical": [{"value": "2026-09-21T13:00:00Z", "label": "deploy"}],
    }
    rendering = drawn(metric("a", annotations=annotations), filled=store())
    assert "deploy" in words(rendering)
    assert len(curves(rendering, "rect mark container")) == 1


def test_the_unit_is_the_axis_label_or_that_of_the_metric() -> None:
    counted = MetricStore()
    counted.put(MetricKey("N", "a"), NOW - 600, 5, unit="Milliseconds")
    assert "Milliseconds" in words(drawn(metric("a"), filled=counted))
    assert "ms" in words(drawn(metric("a", yAxis={"left": {"label": "ms"}}), filled=counted)).split()
    assert "Milliseconds" not in words(drawn(metric("a", yAxis={"left": {"showUnits": False}}), filled=counted))


def test_a_number_is_the_newest_point_with_how_it_came_to_that() -> None:
    alone = drawn(metric("a", view="singleValue"), filled=store())
    curved = drawn(metric("a", view="singleValue", sparkline=True), filled=store())
    assert "35" in words(alone).split()
    assert len(curved.svg()) > len(alone.svg())


def test_a_number_over_its_own_range_counts_all_of_it() -> None:
    widget = metric("a", view="singleValue", stat="Sum", setPeriodToTimeRange=True, start="-PT1H")
    # The last twelve of 0 to 35.
    assert str(sum(range(24, 36))) in words(drawn(widget, filled=store())).split()


def test_a_log_widget_shows_its_query_and_what_is_missing() -> None:
    said = words(drawn(everything()[2]))
    assert "| fields @message" in said
    assert "Its rows are not drawn" in said


def test_alarms_stand_by_state_in_words() -> None:
    states = {"one": State.ALARM, "two": State.OK}
    said = words(drawn(everything()[1], states=states))
    assert said.index("In alarm (1)") < said.index("one") < said.index("OK (1)") < said.index("two")
    assert "Not evaluated (2)" in words(drawn(everything()[1]))


def test_an_alarm_widget_can_show_some_states_only() -> None:
    widget = {"type": "alarm", "properties": {"alarms": ["one", "two"], "states": ["ALARM"]}}
    said = words(drawn(widget, states={"one": State.ALARM, "two": State.OK}))
    assert "one" in said
    assert "two" not in said


def test_the_range_is_the_body_s_unless_another_is_wanted() -> None:
    assert drawn(metric("a")).start == NOW - 3 * 3600
    assert drawn(metric("a"), span=600).start == NOW - 600


# The y axis


@given(
    st.lists(st.floats(-1e9, 1e9), max_size=20),
    st.lists(st.floats(-1e9, 1e9), max_size=3),
    st.integers(20, 400),
)
def test_an_axis_holds_all_that_is_drawn(values: list[float], marks: list[float], high: int) -> None:
    scale = YScale.of(Axis(), [np.array(values, dtype=float)], [Threshold(mark) for mark in marks], high)
    assert scale.least < scale.most
    slack = 1e-6 * (scale.most - scale.least)
    assert all(scale.least - slack <= value <= scale.most + slack for value in (*values, *marks))
    assert len(scale.ticks) < 40


@given(st.floats(-1e6, 1e6, allow_subnormal=False), st.floats(-1e6, 1e6, allow_subnormal=False))
def test_an_axis_keeps_the_ends_that_it_is_given(least: float, most: float) -> None:
    scale = YScale.of(Axis(least=least, most=most), [], [], 200)
    assert scale.least == least
    assert scale.most == most or most - least <= 1e-12 * max(abs(least), abs(most))
    assert scale.least < scale.most


def test_a_threshold_at_the_top_leaves_room_for_its_label() -> None:
    values = np.array([0.0, 100.0])
    assert YScale.of(Axis(), [values], [], 200).most == 100
    assert YScale.of(Axis(), [values], [Threshold(100)], 200).height(100, 200) >= 16


def test_counts_have_no_ticks_between_whole_numbers() -> None:
    assert YScale.of(Axis(least=0), [np.array([0.0, 1.0])], [], 200).ticks == (0, 1)
