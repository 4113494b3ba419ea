"""Bodies of CloudWatch dashboards: what components want drawn, laid out and written as CloudWatch reads it.

The structure is AWS's "Dashboard body structure and syntax" (CloudWatch API reference). Two keys of a metric widget
are missing on that page, although the console and the AWS CDK (aws-cloudwatch, `SingleValueWidget`) write them:
`setPeriodToTimeRange` and `start`.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import pulumi

from components.checks import between, refuse
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
    Series,
    Severity,
    Signal,
    Size,
)

Body = dict[str, Any]

# The grid, in columns and in rows of the same unit.
COLUMNS: Final = 24
SIZES: Final[Mapping[Size, tuple[int, int]]] = {Size.NUMBER: (6, 4), Size.HALF: (12, 6), Size.FULL: (24, 6)}
"""The least width, and the height, of a widget."""
ALARMS_WIDTH: Final = 16
HEADER_WIDTH: Final = 8

# How much text and how many alarms fit: estimates, on the safe side. What does not fit is scrolled to, never lost.
CHARACTERS_PER_COLUMN: Final = 6
LINES_PER_ROW: Final = 2
ALARMS_PER_ROW: Final = 4
MOST_ALARM_ROWS: Final = 6
"""Raised alarms come first, so what has to be scrolled to is quiet, and the first graphs stay on the first screen."""

# The shown range is a day, because "since when?" is seldom longer ago. Graphs keep their own periods whatever range is
# chosen (`inherit`): a sum over five minutes is compared with a threshold that is meant for five minutes.
RANGE: Final = "-P1D"
PERIODS: Final = "inherit"

# Six colours for what is measured and two for what is wrong, picked by search (tests/components/test_dashboard.py holds
# them to it): 3 to 1 against the console's light and dark backgrounds, apart from one another under each kind of colour
# blindness. None of the six is red or orange, so that these mean "bad" wherever they show.
LINE_COLOURS: Final = ("#0072B2", "#9933FF", "#8A8A8A", "#D452FF", "#7C6C3C", "#319FC4")
THRESHOLD_COLOURS: Final[Mapping[Severity, str]] = {Severity.PAGE: "#D13212", Severity.TICKET: "#C87A00"}
THRESHOLD_WORDS: Final[Mapping[Comparison, str]] = {
    Comparison.ABOVE: "above",
    Comparison.AT_LEAST: "from",
    Comparison.BELOW: "below",
}

# Limits of CloudWatch ("Dashboard body structure and syntax"), and of a query (Logs quotas, log groups in a query).
MOST_WIDGETS: Final = 500
MOST_METRICS: Final = 500
MOST_ALARMS: Final = 100
MOST_LOG_GROUPS: Final = 50

MEASURES: Final = ("%", "ms", "seconds")
"""Units that a threshold is read with. Counts speak for themselves: "from 1"."""
COUNTS: Final = ("Sum", "SampleCount")
"""Statistics that grow with the period."""

_ID = re.compile(r"[a-z][A-Za-z0-9_]*")
_TOKEN = re.compile(r"'[^']*'|\"[^\"]*\"|\b[A-Za-z_]\w*")
"""Of a formula: a quoted text, which is left alone, or a word. `1e5` is a number and has none."""
_LINK = re.compile(r"\]\([^)]*\)")


def body(
    board: Board,
    widgets: Iterable[Graph | LogTable],
    *,
    region: pulumi.Input[str],
    header: str,
    runbook_url: str,
    alarms: Sequence[pulumi.Input[str]] = (),
) -> Body:
    """The body of one of the dashboards; turn it into text with `pulumi.Output.json_dumps`.

    The state of the alarms and the header stand on top. Then come the sections in the order in which they first appear,
    each under its heading with links to the runbook for the alarms that its graphs draw. A section keeps the order of
    its widgets; rows are as full as they can be, and widgets are widened to fill them.

    Args:
        widgets: those of other boards are left out.
        header: markdown: what monitoring costs, where else to look.
        runbook_url: address of the runbook, without an anchor.
        alarms: ARNs of those whose state is shown; without any there is no such widget.

    Raises:
        ArgumentsError: something would be refused by CloudWatch, be empty, or mislead; all faults are told at once.
    """
    shown = [widget for widget in widgets if widget.board is board]
    refuse("dashboard", board.value, _faults(shown, alarms, header))
    sections: dict[str, list[Graph | LogTable]] = {}
    for widget in shown:
        sections.setdefault(widget.section, []).append(widget)

    rows: list[Sequence[_Widget]] = [_top(alarms, header)]
    for section, members in sections.items():
        rows.append([_text(_heading(section, members, runbook_url), COLUMNS, background="transparent")])
        rows.extend(_rows([_widget(member, region) for member in members]))
    return {"start": RANGE, "periodOverride": PERIODS, "widgets": list(_placed(rows))}


# Layout


@dataclass(frozen=True, slots=True)
class _Widget:
    """A widget that has no place yet; `width` is the least that it needs."""

    type: str
    width: int
    height: int
    properties: Body


def _rows(widgets: Sequence[_Widget]) -> list[Sequence[_Widget]]:
    """The widgets in rows, in order, with the room left over spread: five numbers stand as three and two, not four and
    one. Least sum of squares over all rows, as paragraphs are broken into lines."""
    best: list[tuple[int, list[Sequence[_Widget]]]] = [(0, [])]
    for end in range(1, len(widgets) + 1):
        candidates: list[tuple[int, list[Sequence[_Widget]]]] = []
        room = COLUMNS
        for start in range(end - 1, -1, -1):
            room -= widgets[start].width
            if room < 0:
                break
            cost, rows = best[start]
            candidates.append((cost + room**2, [*rows, widgets[start:end]]))
        best.append(min(candidates, key=lambda candidate: candidate[0]))
    return best[-1][1]


def _placed(rows: Iterable[Sequence[_Widget]]) -> Iterator[Body]:
    """The rows below one another. A row's widgets are as high as the highest of them and share all its columns."""
    y = 0
    for row in rows:
        height, wanted = max(widget.height for widget in row), sum(widget.width for widget in row)
        x = taken = 0
        for widget in row:
            taken += widget.width
            right = COLUMNS * taken // wanted
            place = {"x": x, "y": y, "width": right - x, "height": height}
            yield {"type": widget.type, **place, "properties": widget.properties}
            x = right
        y += height


# Widgets


def _top(alarms: Sequence[pulumi.Input[str]], header: str) -> list[_Widget]:
    if not alarms:
        return [_text(header, COLUMNS)]
    properties = {
        "title": "Alarms, raised ones first",
        "alarms": list(alarms),
        "sortBy": "stateUpdatedTimestamp",
    }
    height = min(2 + _ceil(len(alarms), ALARMS_PER_ROW), MOST_ALARM_ROWS)
    return [_Widget("alarm", ALARMS_WIDTH, height, properties), _text(header, HEADER_WIDTH)]


def _text(markdown: str, width: int, **properties: str) -> _Widget:
    lines = 0
    for line in _LINK.sub("]", markdown).splitlines():
        heading = line.startswith("#")
        lines += (2 if heading else 1) * max(1, _ceil(len(line), width * CHARACTERS_PER_COLUMN))
    return _Widget("text", width, _ceil(lines, LINES_PER_ROW), {"markdown": markdown, **properties})


def _heading(section: str, members: Iterable[Graph | LogTable], runbook_url: str) -> str:
    """The section's name, and a link to what to do about each alarm that it draws."""
    drawn = [line for member in members if isinstance(member, Graph) for line in member.lines]
    links = {line.name: f"[{line.name}]({runbook_url}#{line.anchor})" for line in drawn}
    return f"## {section}" + (f"\nWhat to do: {' · '.join(links.values())}" if links else "")


def _widget(wanted: Graph | LogTable, region: pulumi.Input[str]) -> _Widget:
    properties: Body = {"title": wanted.title, "region": region}
    kind = "metric" if isinstance(wanted, Graph) else "log"
    properties |= _metric(wanted) if isinstance(wanted, Graph) else _log(wanted)
    return _Widget(kind, *SIZES[wanted.size], properties)


def _log(table: LogTable) -> Body:
    def query(groups: Sequence[str]) -> str:
        return " | ".join([*(f"SOURCE '{group}'" for group in groups), table.query])

    return {"view": "table", "query": pulumi.Output.all(*table.log_groups).apply(query)}


def _metric(graph: Graph) -> Body:
    common = {
        "metrics": [
            entry
            for number, (signal, colour) in enumerate(zip(graph.signals, LINE_COLOURS, strict=False), 1)
            for entry in _entries(number, signal, colour)
        ],
        "period": graph.period,
    }
    if graph.number:
        # A number over a span of its own is one sum over all of it; any other is the latest point, and how it came to
        # that is drawn below it. CloudWatch does not do both (AWS CDK, SingleValueWidget).
        over = {"setPeriodToTimeRange": True, "start": _ago(graph.span)} if graph.span else {"sparkline": True}
        return {**common, "view": "singleValue", **over}
    axis: Body = {"label": graph.unit, "min": 0, "showUnits": False}
    if graph.most is not None:
        axis["max"] = graph.most
    return {
        **common,
        "view": "timeSeries",
        "stacked": False,
        "yAxis": {"left": axis},
        "legend": {"position": "bottom" if len(graph.signals) > 1 else "hidden"},
        **({"annotations": {"horizontal": _thresholds(graph)}} if graph.lines else {}),
    }


def _entries(number: int, signal: Signal, colour: str) -> Iterator[list[Any]]:
    """A signal in the metrics array: the visible line, then the hidden ones that it is computed from.

    Ids are unique in a widget and a formula knows only its own, so both are renamed together.
    """
    look = {"label": _label(signal), "color": colour}
    if isinstance(signal, Series):
        yield [*_named(signal), {"stat": signal.stat, **look}]
        return
    ids = {local: f"e{number}_{local}" for local in signal.series}
    formula = _TOKEN.sub(lambda token: ids.get(token[0], token[0]), signal.formula)
    yield [{"expression": formula, "id": f"e{number}", **look}]
    for local, series in signal.series.items():
        yield [*_named(series), {"id": ids[local], "stat": series.stat, "visible": False}]


def _named(series: Series) -> list[pulumi.Input[str]]:
    return [series.namespace, series.metric, *(part for pair in series.dimensions.items() for part in pair)]


def _label(signal: Signal) -> str:
    return signal.label or (signal.metric if isinstance(signal, Series) else "")


def _thresholds(graph: Graph) -> list[Body]:
    """A line per threshold, with who is told and when in words. Alarms that share one share its line."""
    drawn = {(line.threshold, line.comparison, line.severity): None for line in graph.lines}
    unit = f" {graph.unit}" if graph.unit in MEASURES else ""
    return [
        {
            "value": value,
            "label": f"{severity} {THRESHOLD_WORDS[comparison]} {value:,.10g}{unit}",
            "color": THRESHOLD_COLOURS[severity],
        }
        for value, comparison, severity in drawn
    ]


def _ago(seconds: int) -> str:
    """A time range that ends now: ISO 8601 with a minus, `-P30D`, `-PT6H`, `-PT5M`."""
    for unit, form in ((DAY, "-P{}D"), (HOUR, "-PT{}H")):
        if seconds % unit == 0:
            return form.format(seconds // unit)
    return f"-PT{seconds // MINUTE}M"


def _ceil(amount: int, per: int) -> int:
    return -(-amount // per)


# Rules


def _faults(shown: Sequence[Graph | LogTable], alarms: Sequence[object], header: str) -> Iterator[str | None]:
    yield None if shown else "it has no widgets"
    yield None if header.strip() else "its header is empty"
    yield between("alarms", len(alarms), 0, MOST_ALARMS)
    # The headings, the header and the alarms are widgets, too.
    yield between("widgets", len(shown) + len({widget.section for widget in shown}) + 2, 0, MOST_WIDGETS)
    titles = [widget.title for widget in shown]
    for title in sorted({title for title in titles if titles.count(title) > 1}):
        yield f"{titles.count(title)} widgets are titled {title!r}"
    for widget in shown:
        own = _graph_faults(widget) if isinstance(widget, Graph) else _table_faults(widget)
        for fault in (*_text_faults(widget), *own):
            yield fault and f"widget {widget.title!r}: {fault}"


def _text_faults(widget: Graph | LogTable) -> Iterator[str | None]:
    for key, text in (("title", widget.title), ("section", widget.section)):
        yield None if text.strip() and "\n" not in text else f"its {key} has to be one line of text, not {text!r}"


def _table_faults(table: LogTable) -> Iterator[str | None]:
    yield between("log groups", len(table.log_groups), 1, MOST_LOG_GROUPS)
    yield None if table.query.strip() else "its query is empty"
    sourced = table.query.lstrip().upper().startswith(("SOURCE", "|"))
    yield "its query has to start with a command; the log groups are put before it" if sourced else None


def _graph_faults(graph: Graph) -> Iterator[str | None]:
    labels = [_label(signal) for signal in graph.signals]
    yield between("lines", len(labels), 1, len(LINE_COLOURS))
    yield "two lines have one label, so that nobody can tell them apart" if len({*labels}) < len(labels) else None
    yield "a line has no label" if "" in labels else None
    metrics = sum(1 if isinstance(signal, Series) else 1 + len(signal.series) for signal in graph.signals)
    yield between("metrics, those of expressions included,", metrics, 0, MOST_METRICS)
    for key, seconds in (("period", graph.period), ("span", graph.span)):
        yield f"its {key} is {seconds}, allowed are whole minutes" if seconds % MINUTE or seconds < 0 else None
    yield "its period is 0" if graph.period == 0 else None
    yield None if graph.unit.strip() else "its unit is empty"
    if graph.number:
        yield "a number cannot draw thresholds" if graph.lines else None
    else:
        yield "only a number has a span" if graph.span else None
    for signal in graph.signals:
        if isinstance(signal, Expression):
            yield from _formula_faults(signal)
    for line in graph.lines:
        yield from _line_faults(graph, line)


def _formula_faults(expression: Expression) -> Iterator[str | None]:
    """CloudWatch's functions and operators are in capitals, so a word that is not has to be the id of a series."""
    words = {word for word in _TOKEN.findall(expression.formula) if _ID.fullmatch(word)}
    for local in expression.series:
        yield None if _ID.fullmatch(local) else f"{local!r} is no id: lower case first, then letters, digits and _"
    if unknown := sorted(words - set(expression.series)):
        yield f"its formula speaks of {', '.join(unknown)}, which it has no series for"
    if unused := sorted({local for local in expression.series if _ID.fullmatch(local)} - words):
        yield f"its formula {expression.formula!r} does not use {', '.join(unused)}"


def _line_faults(graph: Graph, line: Alarm) -> Iterator[str | None]:
    if graph.most is not None and line.threshold > graph.most:
        yield f"the threshold of {line.name} is {line.threshold:g}, beyond the axis, which ends at {graph.most:g}"
    counted = isinstance(line.signal, Series) and line.signal.stat in COUNTS
    if counted and line.period != graph.period:
        yield (
            f"{line.name} counts over {line.period} seconds and a point here over {graph.period}, so that its line"
            " would be drawn at the wrong height"
        )
