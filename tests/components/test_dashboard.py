"""Dashboards: laid out without gaps, written as CloudWatch reads them, and drawn so that nobody has to guess."""

from __future__ import annotations

import copy
import json
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import combinations
from typing import Any

import pulumi
import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.checks import ArgumentsError
from components.dashboard import COLUMNS, LINE_COLOURS, SIZES, THRESHOLD_COLOURS, body
from components.watch import (
    DAY,
    HOUR,
    MINUTE,
    Alarm,
    Board,
    Comparison,
    Expression,
    Graph,
    LogTable,
    Missing,
    Series,
    Severity,
    Size,
    share,
)
from tests.components.dashboard_schema import faults
from tests.components.recorder import ACCOUNT, REGION, Recorder

RUNBOOK = "https://example.com/runbook.md"
ALARM = f"arn:aws:cloudwatch:{REGION}:{ACCOUNT}:alarm:prod-"

SENT = Series(namespace="Mailroom", metric="EmailsSent", dimensions={"Stack": "prod"}, stat="Sum", label="sent")
BOUNCES = replace(SENT, metric="Bounces", label="bounced")
BOUNCE_RATE = share(BOUNCES, SENT, at_least=100, label="bounced")

TOO_MANY_BOUNCES = Alarm(
    component="reputation",
    condition="bounces",
    severity=Severity.PAGE,
    summary="Too many emails bounce.",
    signal=BOUNCE_RATE,
    comparison=Comparison.ABOVE,
    threshold=5,
    because="SES reviews an account at 5 %.",
    period=HOUR,
    missing=Missing.NOT_BREACHING,
    missing_because="Nothing was sent.",
)
GRAPH = Graph(
    board=Board.OUTCOMES, section="Sending", title="How many emails go out", signals=[SENT, BOUNCES], unit="emails"
)
RATE = replace(GRAPH, title="How many bounce", signals=[BOUNCE_RATE], unit="%", lines=[TOO_MANY_BOUNCES], most=100)
NUMBER = replace(GRAPH, title="Emails sent in 30 days", number=True, span=30 * DAY, size=Size.NUMBER, signals=[SENT])
TABLE = LogTable(
    board=Board.OUTCOMES,
    section="Failures",
    title="Why sends failed",
    query="filter reason > ''\n| stats count() by reason",
    log_groups=["/aws/lambda/send", "/aws/lambda/feedback"],
)


def drawn(*widgets: Graph | LogTable, board: Board = Board.OUTCOMES, **options: Any) -> dict[str, Any]:
    """The body as it would be sent to CloudWatch, outputs and all."""
    texts: list[str] = []
    arguments = {"region": REGION, "header": "Monitoring costs 9 USD a month.", "runbook_url": RUNBOOK, **options}

    def run() -> pulumi.Output[None]:
        return pulumi.Output.json_dumps(body(board, widgets, **arguments), sort_keys=True).apply(texts.append)

    pulumi.runtime.set_mocks(Recorder())
    pulumi.runtime.test(run)()  # type: ignore[no-untyped-call]
    (text,) = texts
    parsed = json.loads(text)
    assert isinstance(parsed, dict)
    return parsed


def titled(shown: dict[str, Any], title: str) -> dict[str, Any]:
    """The properties of the only widget with a title."""
    (found,) = [each["properties"] for each in shown["widgets"] if each["properties"].get("title") == title]
    assert isinstance(found, dict)
    return found


def metric(graph: Graph) -> dict[str, Any]:
    return titled(drawn(graph), graph.title)


# Layout


@st.composite
def watched(draw: st.DrawFn) -> list[Graph | LogTable]:
    kinds = draw(st.lists(st.tuples(st.sampled_from("ABC"), st.sampled_from(Size), st.booleans()), min_size=1))
    return [
        replace(TABLE if table else GRAPH, section=section, title=f"widget {number}", size=size)
        for number, (section, size, table) in enumerate(kinds)
    ]


@given(watched(), st.integers(0, 100))
def test_every_widget_is_there_once_in_order_and_no_cell_is_empty_or_taken_twice(
    widgets: list[Graph | LogTable], alarms: int
) -> None:
    shown = drawn(*widgets, alarms=[f"{ALARM}{number}" for number in range(alarms)])
    assert faults(shown) == []

    cells = [
        (row, column)
        for each in shown["widgets"]
        for row in range(each["y"], each["y"] + each["height"])
        for column in range(each["x"], each["x"] + each["width"])
    ]
    assert len(cells) == len({*cells}), "two widgets overlap"
    bottom = max(row for row, _ in cells) + 1
    assert {*cells} == {(row, column) for row in range(bottom) for column in range(COLUMNS)}, "there is a hole"

    in_reading_order = sorted(shown["widgets"], key=lambda each: (each["y"], each["x"]))
    titles = [each["properties"].get("title") for each in in_reading_order if each["type"] in ("metric", "log")]
    sections = list(dict.fromkeys(widget.section for widget in widgets))
    assert titles == [widget.title for section in sections for widget in widgets if widget.section == section]

    for widget in widgets:
        (place,) = [each for each in in_reading_order if each["properties"].get("title") == widget.title]
        width, height = SIZES[widget.size]
        assert place["width"] >= width
        assert place["height"] >= height


@pytest.mark.parametrize(
    ("sizes", "rows"),
    [
        ([Size.NUMBER] * 4, [[6, 6, 6, 6]]),
        ([Size.NUMBER] * 5, [[8, 8, 8], [12, 12]]),
        ([Size.NUMBER] * 7, [[6, 6, 6, 6], [8, 8, 8]]),
        ([Size.HALF] * 3, [[12, 12], [24]]),
        ([Size.NUMBER, Size.NUMBER, Size.HALF], [[6, 6, 12]]),
        ([Size.NUMBER, Size.FULL, Size.HALF], [[24], [24], [24]]),
    ],
)
def test_rows_are_full_and_what_is_left_over_is_spread_evenly(sizes: list[Size], rows: list[list[int]]) -> None:
    widgets = [replace(NUMBER, title=f"{number}", size=size) for number, size in enumerate(sizes)]
    by_row: dict[int, list[int]] = {}
    for each in drawn(*widgets)["widgets"]:
        if each["type"] == "metric":
            by_row.setdefault(each["y"], []).append(each["width"])
    assert list(by_row.values()) == rows


def test_the_state_of_the_alarms_is_the_first_thing_to_see_beside_the_header() -> None:
    alarms, header = drawn(GRAPH, alarms=[f"{ALARM}b", pulumi.Output.from_input(f"{ALARM}a")])["widgets"][:2]
    assert (alarms["type"], alarms["x"], alarms["y"]) == ("alarm", 0, 0)
    assert alarms["properties"]["alarms"] == [f"{ALARM}b", f"{ALARM}a"]
    assert alarms["properties"]["sortBy"] == "stateUpdatedTimestamp", "those in ALARM come first"
    assert (header["x"], header["y"], header["height"]) == (alarms["width"], 0, alarms["height"])
    assert header["properties"]["markdown"] == "Monitoring costs 9 USD a month."


def test_more_alarms_get_more_room_until_they_would_push_the_first_graphs_off_the_screen() -> None:
    heights = [drawn(GRAPH, alarms=[ALARM] * count)["widgets"][0]["height"] for count in (1, 4, 5, 16, 100)]
    assert heights == [3, 3, 4, 6, 6]


def test_without_alarms_there_is_no_empty_alarm_widget() -> None:
    first, *others = drawn(GRAPH)["widgets"]
    assert (first["type"], first["width"]) == ("text", COLUMNS)
    assert all(each["type"] != "alarm" for each in others)


def test_a_longer_header_gets_more_room_and_the_addresses_of_its_links_do_not_count() -> None:
    def height(header: str) -> int:
        (text, *_) = drawn(GRAPH, header=header)["widgets"]
        return int(text["height"])

    lines = "\n".join(["Topic: 0.10 USD"] * 10)
    assert height(lines) == height("one line") + 4
    assert height(f"[resources](https://example.com/{'x' * 400})") == height("[resources](https://example.com)")


def test_a_board_shows_only_its_own_widgets() -> None:
    other = replace(GRAPH, board=Board.RESOURCES, title="What the queue holds")
    shown = [each["properties"].get("title") for each in drawn(GRAPH, other, board=Board.RESOURCES)["widgets"]]
    assert "What the queue holds" in shown
    assert GRAPH.title not in shown


def test_a_heading_links_to_what_to_do_about_each_alarm_under_it_once() -> None:
    ticket = replace(TOO_MANY_BOUNCES, severity=Severity.TICKET, threshold=2)
    again = replace(RATE, title="How many bounce, again", lines=[replace(TOO_MANY_BOUNCES)])
    shown = drawn(replace(RATE, lines=[TOO_MANY_BOUNCES, ticket]), again, TABLE)
    headings = [each for each in shown["widgets"] if each["type"] == "text"][1:]
    page, ticket_too = (
        f"[{name}]({RUNBOOK}#{name})" for name in ("reputation-bounces-page", "reputation-bounces-ticket")
    )
    assert [each["properties"] for each in headings] == [
        {"markdown": f"## Sending\nWhat to do: {page} · {ticket_too}", "background": "transparent"},
        {"markdown": "## Failures", "background": "transparent"},
    ]
    assert [each["height"] for each in headings] == [2, 1], "room for the links only where there are some"


def test_graphs_keep_their_periods_so_that_sums_stay_comparable_with_thresholds() -> None:
    shown = drawn(GRAPH)
    assert (shown["periodOverride"], shown["start"]) == ("inherit", "-P1D")


# Widgets


def test_a_graph_names_each_metric_with_its_dimensions_and_its_statistic() -> None:
    two = replace(SENT, dimensions={"Queue": pulumi.Output.from_input("q"), "Stack": "prod"}, stat="p95", label="")
    properties = metric(replace(GRAPH, signals=[SENT, two], period=MINUTE))
    first, second = properties["metrics"]
    assert first == ["Mailroom", "EmailsSent", "Stack", "prod", {"stat": "Sum", "label": "sent", "color": "#0072B2"}]
    assert second[:-1] == ["Mailroom", "EmailsSent", "Queue", "q", "Stack", "prod"]
    assert (second[-1]["stat"], second[-1]["label"]) == ("p95", "EmailsSent"), "the metric's name is the last resort"
    assert (properties["view"], properties["period"], properties["region"]) == ("timeSeries", MINUTE, REGION)


def test_two_formulas_that_use_the_same_ids_do_not_meet_in_one_widget() -> None:
    late = share(replace(SENT, metric="Late"), SENT, at_least=10, label="late")
    entries = metric(replace(GRAPH, signals=[BOUNCE_RATE, late]))["metrics"]
    formulas = [entry[0] for entry in entries if len(entry) == 1]
    assert [each["expression"] for each in formulas] == [
        "IF(FILL(e1_whole, 0) >= 100, 100 * FILL(e1_part, 0) / e1_whole, 0)",
        "IF(FILL(e2_whole, 0) >= 10, 100 * FILL(e2_part, 0) / e2_whole, 0)",
    ]
    hidden = {entry[-1]["id"]: (entry[1], entry[-1]["visible"]) for entry in entries if len(entry) > 1}
    assert hidden == {
        "e1_part": ("Bounces", False),
        "e1_whole": ("EmailsSent", False),
        "e2_part": ("Late", False),
        "e2_whole": ("EmailsSent", False),
    }
    ids = [entry[-1]["id"] for entry in entries]
    assert len(ids) == len({*ids})


def test_ids_are_renamed_as_words_never_inside_other_words_numbers_or_quotes() -> None:
    formula = "MAX([m, mm]) + m1 * 1e5 - e5 + REMOVE_EMPTY(SEARCH('m mm', \"m\"))"
    signal = Expression(formula=formula, series=dict.fromkeys(("m", "mm", "m1", "e5"), SENT), label="odd")
    entry, *_ = metric(replace(GRAPH, signals=[signal]))["metrics"]
    assert entry[0]["expression"] == ("MAX([e1_m, e1_mm]) + e1_m1 * 1e5 - e1_e5 + REMOVE_EMPTY(SEARCH('m mm', \"m\"))")


@pytest.mark.parametrize(
    ("span", "start"),
    [(30 * DAY, "-P30D"), (DAY, "-P1D"), (6 * HOUR, "-PT6H"), (25 * HOUR, "-PT25H"), (5 * MINUTE, "-PT5M")],
)
def test_a_number_with_a_span_is_one_value_over_all_of_it(span: int, start: str) -> None:
    properties = metric(replace(NUMBER, span=span))
    assert (properties["view"], properties["setPeriodToTimeRange"], properties["start"]) == ("singleValue", True, start)
    assert "sparkline" not in properties, "CloudWatch shows one or the other"


def test_a_number_without_a_span_is_the_latest_point_above_its_history() -> None:
    properties = metric(replace(NUMBER, span=0))
    assert properties["sparkline"] is True
    assert "setPeriodToTimeRange" not in properties
    assert "start" not in properties


def test_a_single_line_needs_no_legend_and_several_have_one() -> None:
    assert metric(RATE)["legend"] == {"position": "hidden"}
    assert metric(GRAPH)["legend"] == {"position": "bottom"}


def test_the_axis_starts_at_zero_and_says_what_it_counts() -> None:
    assert metric(GRAPH)["yAxis"] == {"left": {"label": "emails", "min": 0, "showUnits": False}}
    assert metric(RATE)["yAxis"]["left"]["max"] == 100


@pytest.mark.parametrize(
    ("comparison", "severity", "threshold", "label"),
    [
        (Comparison.ABOVE, Severity.PAGE, 5, "page above 5 %"),
        (Comparison.AT_LEAST, Severity.TICKET, 0.05, "ticket from 0.05 %"),
        (Comparison.BELOW, Severity.TICKET, 1234567.5, "ticket below 1,234,567.5 %"),
    ],
)
def test_a_threshold_says_who_is_told_and_when(
    comparison: Comparison, severity: Severity, threshold: float, label: str
) -> None:
    alarm = replace(TOO_MANY_BOUNCES, comparison=comparison, severity=severity, threshold=threshold)
    (line,) = metric(replace(RATE, lines=[alarm], most=None))["annotations"]["horizontal"]
    assert line == {"value": threshold, "label": label, "color": THRESHOLD_COLOURS[severity]}


def test_alarms_that_share_a_threshold_share_its_line() -> None:
    other = replace(TOO_MANY_BOUNCES, component="send-email", condition="errors", threshold=1)
    lines = metric(replace(RATE, lines=[TOO_MANY_BOUNCES, other, TOO_MANY_BOUNCES]))["annotations"]["horizontal"]
    assert [line["label"] for line in lines] == ["page above 5 %", "page above 1 %"]


def test_a_threshold_of_a_count_is_a_bare_number() -> None:
    lines = metric(replace(RATE, unit="orders", lines=[TOO_MANY_BOUNCES]))["annotations"]["horizontal"]
    assert [line["label"] for line in lines] == ["page above 5"]


def test_a_log_table_asks_all_its_groups_by_the_names_they_are_given() -> None:
    table = replace(TABLE, log_groups=["/aws/lambda/send", pulumi.Output.from_input("feedback-1a2b3c4")])
    assert titled(drawn(table), TABLE.title) == {
        "title": TABLE.title,
        "region": REGION,
        "view": "table",
        "query": f"SOURCE '/aws/lambda/send' | SOURCE 'feedback-1a2b3c4' | {TABLE.query}",
    }


# Colours

# RGB as seen with full severity (Machado, Oliveira and Fernandes 2009, table of matrices); the first is normal sight.
SIGHT = {
    "trichromacy": ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
    "protanopia": (
        (0.152286, 1.052583, -0.204868),
        (0.114503, 0.786281, 0.099216),
        (-0.003882, -0.048116, 1.051998),
    ),
    "deuteranopia": (
        (0.367322, 0.860646, -0.227968),
        (0.280085, 0.672501, 0.047413),
        (-0.011820, 0.042940, 0.968881),
    ),
    "tritanopia": (
        (1.255528, -0.076749, -0.178779),
        (-0.078411, 0.930809, 0.147602),
        (0.004733, 0.691367, 0.303900),
    ),
}
# From linear sRGB to CIE XYZ over the D65 white point (IEC 61966-2-1).
XYZ = (
    (0.4124 / 0.9505, 0.3576 / 0.9505, 0.1805 / 0.9505),
    (0.2126, 0.7152, 0.0722),
    (0.0193 / 1.089, 0.1192 / 1.089, 0.9505 / 1.089),
)
Triple = Sequence[float]


def times(matrix: Sequence[Triple], vector: Triple) -> list[float]:
    return [sum(a * b for a, b in zip(row, vector, strict=True)) for row in matrix]


def linear(colour: str) -> list[float]:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    return [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]


def lab(colour: str, sight: str) -> tuple[float, float, float]:
    """CIE L*a*b*, where a distance of about 2 can just be seen."""
    seen = [min(1.0, max(0.0, part)) for part in times(SIGHT[sight], linear(colour))]
    x, y, z = (t ** (1 / 3) if t > 0.008856 else 7.787 * t + 16 / 116 for t in times(XYZ, seen))
    return 116 * y - 16, 500 * (x - y), 200 * (y - z)


def contrast(one: str, other: str) -> float:
    """Contrast of WCAG 2.2."""
    low, high = sorted(0.05 + times(XYZ, linear(colour))[1] for colour in (one, other))
    return high / low


@pytest.mark.parametrize("sight", SIGHT)
def test_lines_can_be_told_from_one_another_and_from_thresholds(sight: str) -> None:
    pairs = [*combinations(LINE_COLOURS, 2)]
    pairs += [(line, bad) for line in LINE_COLOURS for bad in THRESHOLD_COLOURS.values()]
    close = {pair: math.dist(lab(pair[0], sight), lab(pair[1], sight)) for pair in pairs}
    assert min(close.values()) > 10, sorted(close.items(), key=lambda item: item[1])[0]


@pytest.mark.parametrize("background", ["#FFFFFF", "#161D26"])
@pytest.mark.parametrize("colour", [*LINE_COLOURS, *THRESHOLD_COLOURS.values()])
def test_every_colour_shows_in_the_light_and_in_the_dark_console(colour: str, background: str) -> None:
    assert contrast(colour, background) >= 3, "WCAG 2.2, 1.4.11, of graphical objects"


# Rules


def formula(text: str, *ids: str) -> Graph:
    return replace(RATE, signals=[Expression(formula=text, series=dict.fromkeys(ids, SENT), label="odd")])


COUNTED = replace(TOO_MANY_BOUNCES, signal=BOUNCES)


@pytest.mark.parametrize(
    ("widget", "fault"),
    [
        (replace(GRAPH, title=" "), "its title has to be one line of text"),
        (replace(GRAPH, title="a\nb"), "its title has to be one line of text"),
        (replace(TABLE, section=""), "its section has to be one line of text"),
        (replace(GRAPH, signals=[]), "lines is 0, allowed are 1 to 6"),
        (replace(GRAPH, signals=[replace(SENT, label=f"{n}") for n in range(7)]), "lines is 7, allowed are 1 to 6"),
        (replace(GRAPH, signals=[SENT, replace(BOUNCES, label="sent")]), "two lines have one label"),
        (replace(GRAPH, signals=[replace(BOUNCE_RATE, label="")]), "a line has no label"),
        (
            formula(" + ".join(f"m{n}" for n in range(500)), *(f"m{n}" for n in range(500))),
            "is 501, allowed are 0 to 500",
        ),
        (replace(GRAPH, period=90), "its period is 90, allowed are whole minutes"),
        (replace(GRAPH, period=0), "its period is 0"),
        (replace(NUMBER, span=30), "its span is 30, allowed are whole minutes"),
        (replace(NUMBER, span=-60), "its span is -60, allowed are whole minutes"),
        (replace(GRAPH, unit=""), "its unit is empty"),
        (replace(NUMBER, lines=[TOO_MANY_BOUNCES]), "a number cannot draw thresholds"),
        (replace(GRAPH, span=DAY), "only a number has a span"),
        (formula("100 * parts", "part"), "its formula speaks of parts, which it has no series for"),
        (formula("part", "part", "whole"), "its formula 'part' does not use whole"),
        (formula("Part", "Part"), "'Part' is no id"),
        (replace(RATE, most=4), "the threshold of reputation-bounces-page is 5, beyond the axis, which ends at 4"),
        (replace(RATE, lines=[COUNTED]), "reputation-bounces-page counts over 3600 seconds and a point here over 300"),
        (replace(TABLE, log_groups=[]), "log groups is 0, allowed are 1 to 50"),
        (replace(TABLE, log_groups=["g"] * 51), "log groups is 51, allowed are 1 to 50"),
        (replace(TABLE, query=" "), "its query is empty"),
        (replace(TABLE, query="SOURCE 'g' | fields reason"), "its query has to start with a command"),
        (replace(TABLE, query="| fields reason"), "its query has to start with a command"),
    ],
)
def test_a_widget_that_cannot_work_or_misleads_is_refused_by_name(widget: Graph | LogTable, fault: str) -> None:
    with pytest.raises(ArgumentsError) as refused:
        body(Board.OUTCOMES, [widget], region=REGION, header="x", runbook_url=RUNBOOK)
    assert fault in str(refused.value)
    assert f"widget {widget.title!r}: " in str(refused.value)


def test_a_count_is_drawn_where_the_points_have_the_alarms_period() -> None:
    assert metric(replace(RATE, lines=[COUNTED], period=HOUR))["annotations"]


@pytest.mark.parametrize(
    ("widgets", "options", "fault"),
    [
        ([], {}, "it has no widgets"),
        ([GRAPH], {"header": "\n"}, "its header is empty"),
        ([GRAPH], {"alarms": [ALARM] * 101}, "alarms is 101, allowed are 0 to 100"),
        ([GRAPH, GRAPH], {}, "2 widgets are titled 'How many emails go out'"),
        ([replace(GRAPH, title=f"{n}") for n in range(498)], {}, "widgets is 501, allowed are 0 to 500"),
    ],
)
def test_a_board_that_cannot_work_is_refused(widgets: list[Graph], options: dict[str, Any], fault: str) -> None:
    arguments = {"region": REGION, "header": "x", "runbook_url": RUNBOOK, **options}
    with pytest.raises(ArgumentsError, match=r"^dashboard 'outcomes': ") as refused:
        body(Board.OUTCOMES, widgets, **arguments)
    assert fault in str(refused.value)


def test_all_faults_of_a_board_are_told_at_once() -> None:
    with pytest.raises(ArgumentsError) as refused:
        body(Board.OUTCOMES, [replace(GRAPH, unit=""), replace(TABLE, query="")], region="r", header="", runbook_url="")
    assert all(
        part in str(refused.value) for part in ("its header is empty", "its unit is empty", "its query is empty")
    )


# The schema that the bodies are held to

EVERYTHING: list[Graph | LogTable] = [GRAPH, RATE, NUMBER, replace(NUMBER, title="Oldest", span=0), TABLE]


def whole() -> dict[str, Any]:
    return drawn(*EVERYTHING, alarms=[f"{ALARM}a"])


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path of everything in a body, outermost first."""
    keys = value.keys() if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    for key in keys:
        yield (*path, key)
        yield from places(value[key], (*path, key))


def changed(value: dict[str, Any], path: tuple[Any, ...], change: Callable[[Any, Any], None]) -> dict[str, Any]:
    """A copy of a body in which `change` was made to what holds the last step of the path."""
    copied = copy.deepcopy(value)
    holder: Any = copied
    for step in path[:-1]:
        holder = holder[step]
    change(holder, path[-1])
    return copied


def test_a_body_with_every_kind_of_widget_is_as_documented() -> None:
    assert faults(whole()) == []


def test_the_schema_catches_every_misspelt_key_and_every_value_of_another_type() -> None:
    def misspell(holder: Any, key: Any) -> None:
        holder[f"{key}s"] = holder.pop(key)

    def blank(holder: Any, key: Any) -> None:
        holder[key] = None

    good = whole()
    missed = [
        (change.__name__, path)
        for path in places(good)
        for change in (misspell, blank)
        if not (change is misspell and isinstance(path[-1], int)) and not faults(changed(good, path, change))
    ]
    assert missed == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"x": 24, "y": 0},
        {"x": -1, "y": 0},
        {"x": 0},
        {"x": 0, "y": -1},
        {"x": 0.5, "y": 0},
        {"width": 0},
        {"width": 25},
        {"height": 0},
        {"height": 1001},
        {"type": "graph"},
    ],
)
def test_the_schema_knows_the_grid(wrong: dict[str, Any]) -> None:
    good = {"type": "text", "properties": {"markdown": "x"}}
    assert faults({"widgets": [good]}) == []
    assert faults({"widgets": [{**good, **wrong}]})


BARE = {"region": "r", "metrics": [["N", "m"]]}


@pytest.mark.parametrize(
    ("kind", "properties"),
    [
        ("metric", {"region": "r"}),
        ("metric", {"metrics": [["N", "m"]]}),
        *(
            ("metric", {**BARE, "metrics": [entry]})
            for entry in (
                [],
                ["N"],
                ["N", "m", "Dimension"],
                ["N", "m", {"stat": "Sum"}, "Dimension"],
                ["N", "m", {"stat": "Median"}],
                ["N", "m", {"id": "Upper"}],
                ["N", "m", {"color": "red"}],
                ["N", "m", {"period": 90}],
                ["N", "m", {"yAxis": "middle"}],
                [{"label": "no expression"}],
                [{"expression": "m1"}, {"expression": "m2"}],
                ["N", "m", *["d", "v"] * 31],
            )
        ),
        ("metric", {**BARE, "metrics": [["N", "m"]] * 501}),
        ("metric", {**BARE, "period": 30}),
        ("metric", {**BARE, "view": "line"}),
        ("metric", {**BARE, "view": "gauge", "yAxis": {"left": {"min": 0}}}),
        ("metric", {**BARE, "legend": {"position": "top"}}),
        ("metric", {**BARE, "start": "-P6H"}),
        ("metric", {**BARE, "start": "PT6H"}),
        ("metric", {**BARE, "end": "2026-01-01T00:00:00Z"}),
        ("metric", {**BARE, "setPeriodToTimeRange": True, "sparkline": True}),
        ("metric", {**BARE, "annotations": {"horizontal": [{"label": "no value"}]}}),
        ("metric", {**BARE, "annotations": {"horizontal": [{"value": "5"}]}}),
        ("metric", {**BARE, "annotations": {"horizontal": [{"value": 5, "fill": "before"}]}}),
        ("metric", {**BARE, "annotations": {"horizontal": [[{"value": 5}]]}}),
        ("metric", {**BARE, "annotations": {"alarms": [ALARM]}}),
        ("metric", {"region": "r", "annotations": {"alarms": [ALARM], "horizontal": [{"value": 5}]}}),
        ("metric", {"region": "r", "annotations": {"alarms": [ALARM, ALARM]}}),
        ("log", {"region": "r"}),
        ("log", {"query": "SOURCE 'g' | fields x"}),
        ("log", {"region": "r", "query": "fields x"}),
        ("log", {"region": "r", "query": "SOURCE 'g' | "}),
        ("log", {"region": "r", "query": "SOURCE 'g' | fields x", "view": "singleValue"}),
        ("alarm", {"alarms": []}),
        ("alarm", {"alarms": [f"{ALARM}a"] * 101}),
        ("alarm", {"alarms": ["prod-a"]}),
        ("alarm", {"alarms": [f"{ALARM}a"], "sortBy": "name"}),
        ("alarm", {"alarms": [f"{ALARM}a"], "states": ["RAISED"]}),
        ("text", {}),
        ("text", {"markdown": ""}),
        ("text", {"markdown": "x", "background": "white"}),
        ("text", {"markdown": "x", "title": "x"}),
    ],
)
def test_the_schema_refuses_what_the_documentation_does_not_allow(kind: str, properties: dict[str, Any]) -> None:
    assert faults({"widgets": [{"type": kind, "properties": properties}]})


@pytest.mark.parametrize(
    "properties",
    [
        BARE,
        {**BARE, "metrics": [["N", "m", *["d", "v"] * 30, {"stat": "p99.9", "yAxis": "right", "visible": False}]]},
        {**BARE, "metrics": [["N", "m", {"id": "m1"}], [".", ".", "d", "v"], [{"expression": "SUM(METRICS())"}]]},
        {**BARE, "view": "gauge", "yAxis": {"left": {"min": 0, "max": 100}}},
        {**BARE, "annotations": {"horizontal": [{"value": 20, "fill": "above"}, [{"value": 9}, {"value": 5.5}]]}},
        {**BARE, "annotations": {"vertical": [{"value": "2026-01-01T10:00:00Z", "fill": "after"}]}},
        {"region": "r", "annotations": {"alarms": [f"{ALARM}a"]}},
        {**BARE, "start": "-P3M", "timezone": "+0130", "liveData": True, "stacked": True},
        {**BARE, "start": "2026-01-01T00:00:00.000Z", "end": "2026-01-02T00:00:00.000Z"},
    ],
)
def test_the_schema_takes_what_the_documentation_shows(properties: dict[str, Any]) -> None:
    assert faults({"widgets": [{"type": "metric", "properties": properties}]}) == []


@pytest.mark.parametrize(
    "wrong",
    [{"widgets": [{"type": "text", "properties": {"markdown": "x"}}] * 501}, {}, {"widgets": [], "end": "-PT1H"}, []],
)
def test_the_schema_knows_the_outermost_level(wrong: object) -> None:
    assert faults(wrong)
