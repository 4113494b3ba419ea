"""The views of a metric widget: lines over time, numbers, gauges, bars, parts and tables."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import cos, pi, sin
from typing import Final

import numpy as np

from observability.dashboards import charts
from observability.dashboards.body import Graph
from observability.dashboards.lines import Line
from observability.dashboards.paint import (
    DIM,
    FRAME,
    GRID,
    INK,
    SUNK,
    cut,
    group,
    number,
    runs,
    tag,
    text,
    width,
    wrapped,
)
from observability.statistics import Values

LABEL_SIZE: Final = 12
LEGEND_ROW: Final = 18
SWATCH: Final = 18
"""The coloured square before a label, and the gap after it."""
LEAST_PLOT: Final = 40
FIGURE_WIDTH: Final = 140
"""Pixels that a number takes at least, beside others."""
FIGURE_SIZE: Final = 38.0
HIGHEST_CURVE: Final = 60.0
BAR_ROW: Final = 26
TABLE_ROW: Final = 24
GAUGE_RING: Final = 18


@dataclass(frozen=True, slots=True)
class Inside:
    """What stands below a widget's title: SVG from its top left corner, `height` pixels high.

    Attributes:
        summary: what it shows, in words.
        empty: labels of the lines that have no data.
    """

    svg: str
    height: float
    summary: str = ""
    empty: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Seen:
    """A graph with its lines over a range of epoch seconds, and the pixels that there are for it."""

    graph: Graph
    lines: Sequence[Line]
    start: int
    end: int
    wide: float
    high: float

    @property
    def is_empty(self) -> bool:
        return all(line.is_empty for line in self.lines)

    def spoken(self, value: float) -> str:
        return number(value, full=self.graph.full_precision)


# Over time


def _time_series(seen: Seen) -> Inside:
    graph, wide, high = seen.graph, seen.wide, seen.high
    hidden, beside = graph.legend == "hidden" or not seen.lines, graph.legend == "right"
    legend = _legend(seen.lines, *((wide * 0.28, 1) if beside else (wide, 0))) if not hidden else Inside("", 0)
    units = [
        (x, anchor, unit)
        for x, anchor, right in ((0, None, False), (wide, "end", True))
        if (unit := _unit(seen, right))
    ]
    top = 16 if units else 4
    plot_wide = wide * 0.7 if beside and not hidden else wide
    # A legend below never takes more than half; the rest of it is scrolled to.
    below = 0 if hidden or beside else min(legend.height + 4, high / 2)
    plot_high = max(high - top - below, LEAST_PLOT)
    chart = charts.time_series(graph, seen.lines, seen.start, seen.end, int(plot_wide), int(plot_high))
    at = (wide * 0.72, top) if beside else (0, top + plot_high + 4)
    parts = [
        *(text(unit, x, 9, 11, fill=DIM, anchor=anchor) for x, anchor, unit in units),
        group([chart], 0, top),
        _no_data(plot_wide / 2, top + plot_high * 0.45) if seen.is_empty else "",
        group([legend.svg], *at),
    ]
    return Inside(group(parts), max(high, 0 if hidden else at[1] + legend.height))


def _unit(seen: Seen, right: bool) -> str:
    axis = seen.graph.right if right else seen.graph.left
    units = sorted({line.unit for line in seen.lines if line.right is right and line.unit})
    return axis.label or (", ".join(units) if axis.units else "")


def _no_data(x: float, y: float) -> str:
    words = "No data"
    wide = width(words, 13, bold=True) + 24
    box = tag("rect", x=x - wide / 2, y=y - 17, width=wide, height=26, rx=13, fill=SUNK, stroke=FRAME)
    return group([box, text(words, x, y, 13, fill=DIM, bold=True, anchor="middle")])


def _legend(lines: Sequence[Line], wide: float, columns: int = 0) -> Inside:
    """Labels with their colours, in as many columns as fit. A line without data says so."""
    labels = [f"{line.label} – no data" if line.is_empty else line.label for line in lines]
    each = min(max(width(label, LABEL_SIZE) for label in labels) + SWATCH + 18, wide)
    columns = columns or max(min(int(wide // each), len(labels)), 1)
    parts = []
    for index, (line, label) in enumerate(zip(lines, labels, strict=True)):
        row, column = divmod(index, columns)
        colour = DIM if line.is_empty else INK
        parts.append(group([_labelled(line, label, each, colour)], column * each, row * LEGEND_ROW))
    return Inside(group(parts), -(-len(lines) // columns) * LEGEND_ROW)


def _labelled(line: Line, label: str, wide: float, colour: str = INK) -> str:
    """A line's colour and its label."""
    shown = cut(label, LABEL_SIZE, wide - SWATCH - 4)
    square = tag("rect", y=3, width=11, height=11, rx=2, fill=line.colour)
    return square + text(shown, SWATCH, 13, LABEL_SIZE, fill=colour, full=label)


# The newest values


def _single_value(seen: Seen) -> Inside:
    """Numbers side by side; how each came to its value is drawn below it where that is wanted."""
    count = max(len(seen.lines), 1)
    columns = max(min(count, int(seen.wide // FIGURE_WIDTH)), 1)
    rows = -(-count // columns)
    wide, high = seen.wide / columns, max(seen.high / rows, LEAST_PLOT)
    parts = []
    for index, line in enumerate(seen.lines):
        row, column = divmod(index, columns)
        parts.append(group([_figure(seen, line, wide - 12, high)], column * wide, row * high))
    return Inside(group(parts), rows * high)


def _figure(seen: Seen, line: Line, wide: float, high: float) -> str:
    shown, colour, unit = ("No data", DIM, "") if line.is_empty else (seen.spoken(line.latest), INK, line.unit)
    size = min(FIGURE_SIZE, high * 0.4)
    while size > LABEL_SIZE and width(shown, size, bold=True) > wide:
        size -= 1
    room = wide - SWATCH
    labels = wrapped(line.label, LABEL_SIZE, room)
    if len(labels) > 2:
        labels = [labels[0], cut(" ".join(labels[1:]), LABEL_SIZE, room)]
    used = size + 10 + len(labels) * 15
    curve = min(high - used - 8, HIGHEST_CURVE) if seen.graph.sparkline and not seen.graph.whole_range else 0
    if curve < 10:
        curve = 0
    top = max((high - used - (curve + 8 if curve else 0)) / 2, 0)
    parts = [
        text(shown, 0, size * 0.85, size, fill=colour, bold=True),
        text(unit, width(shown, size, bold=True) + 6, size * 0.85, 13, fill=DIM) if unit else "",
        tag("rect", y=size + 6, width=11, height=11, rx=2, fill=line.colour),
        *(
            text(label, SWATCH, size + 16 + row * 15, LABEL_SIZE, fill=DIM, full=line.label)
            for row, label in enumerate(labels)
        ),
        group([_sparkline(line, wide, curve)], 0, used + 8) if curve else "",
    ]
    return group(parts, 0, top)


def _sparkline(line: Line, wide: float, high: float) -> str:
    values = line.values
    if line.is_empty:
        return tag("path", d=f"M0 {high:.1f}H{wide:.1f}", stroke=GRID, fill="none")
    least, most = float(np.nanmin(values)), float(np.nanmax(values))
    across = wide / max(values.size - 1, 1)
    # A line that is flat lies on the ground.
    heights = high - (values - least) / (most - least or 1) * (high - 2) - 1
    steps = []
    for stretch in runs(values.tolist()):
        points = [f"{place * across:.1f} {heights[place]:.1f}" for place in stretch]
        # A point alone becomes a line of no length, which round ends make a dot.
        steps.append("M" + "L".join(points if len(points) > 1 else points * 2))
    look = {"stroke": line.colour, "stroke_width": 1.5, "stroke_linecap": "round", "stroke_linejoin": "round"}
    return tag("path", d="".join(steps), fill="none", **look)


def _gauge(seen: Seen) -> Inside:
    """Values on half a circle, each, from the axis' least to its most."""
    axis = seen.graph.left
    least, most = axis.least or 0.0, 100.0 if axis.most is None else axis.most
    each = seen.wide / max(len(seen.lines), 1)
    radius = max(min(each / 2, seen.high - 40) - GAUGE_RING, 10)
    centre, ground = each / 2, min((seen.high + radius) / 2 + 2, seen.high - 30)

    def arc(first: float, last: float, colour: str, thick: float = GAUGE_RING) -> str:
        turns = [pi * (1 - (min(max(end, least), most) - least) / (most - least or 1)) for end in (first, last)]
        (x0, y0), (x1, y1) = ((centre + radius * cos(turn), ground - radius * sin(turn)) for turn in turns)
        path = f"M{x0:.2f} {y0:.2f}A{radius:.2f} {radius:.2f} 0 0 1 {x1:.2f} {y1:.2f}"
        return tag("path", d=path, stroke=colour, stroke_width=thick, fill="none")

    hair = (most - least) / 200
    marks = [arc(mark.value - hair, mark.value + hair, mark.colour, GAUGE_RING + 8) for mark in seen.graph.thresholds]
    parts = []
    for index, line in enumerate(seen.lines):
        shown, colour = ("No data", DIM) if line.is_empty else (seen.spoken(line.latest), INK)
        figure = [
            arc(least, most, GRID),
            "" if line.is_empty else arc(least, line.latest, line.colour),
            *marks,
            text(shown, centre, ground, 26, fill=colour, bold=True, anchor="middle"),
            text(number(least), centre - radius, ground + 15, 11, fill=DIM, anchor="middle"),
            text(number(most), centre + radius, ground + 15, 11, fill=DIM, anchor="middle"),
            text(cut(line.label, LABEL_SIZE, each - 8), centre, ground + 24, LABEL_SIZE, fill=DIM, anchor="middle"),
        ]
        parts.append(group(figure, index * each))
    return Inside(group(parts), seen.high)


def _bar(seen: Seen) -> Inside:
    """Values as bars from a common ground."""
    most = max([0.0, *(line.latest for line in seen.lines if not line.is_empty)]) or 1.0
    names = min(max((width(line.label, LABEL_SIZE) for line in seen.lines), default=0) + 12, seen.wide * 0.35)
    room = seen.wide - names - 64
    parts = []
    for index, line in enumerate(seen.lines):
        long = 0.0 if line.is_empty else max(line.latest, 0) / most * room
        shown, colour = ("no data", DIM) if line.is_empty else (seen.spoken(line.latest), INK)
        label = cut(line.label, LABEL_SIZE, names - 8)
        bar = [
            text(label, names - 8, 16, LABEL_SIZE, anchor="end", full=line.label),
            tag("rect", x=names, y=3, width=long, height=18, rx=2, fill=line.colour),
            text(shown, names + long + 6, 16, LABEL_SIZE, fill=colour, bold=not line.is_empty),
        ]
        parts.append(group(bar, 0, index * BAR_ROW))
    return Inside(group(parts), len(seen.lines) * BAR_ROW)


def _pie(seen: Seen) -> Inside:
    """Values as parts of a whole; there is no part for one that is not above 0."""
    whole = sum(line.latest for line in seen.lines if line.latest > 0)
    if not whole:
        return Inside(_no_data(seen.wide / 2, seen.high / 2), seen.high)
    side = int(min(seen.high, seen.wide * 0.5))
    told = [
        line if line.is_empty else replace(line, label=f"{line.label}: {seen.spoken(line.latest)}{share}")
        for line in seen.lines
        for share in (f" ({line.latest / whole:.0%})" if line.latest > 0 else "",)
    ]
    legend = _legend(told, seen.wide - side - 24, 1)
    parts = [
        group([charts.pie(seen.lines, side)], 0, (seen.high - side) / 2),
        group([legend.svg], side + 24, max((seen.high - legend.height) / 2, 0)),
    ]
    return Inside(group(parts), max(seen.high, legend.height))


_COLUMNS: Final[Mapping[str, Callable[[Values], float]]] = {
    "Latest": lambda values: float(values[-1]),
    "Min": lambda values: float(values.min()),
    "Max": lambda values: float(values.max()),
    "Average": lambda values: float(values.mean()),
    "Sum": lambda values: float(values.sum()),
}


def _table(seen: Seen) -> Inside:
    """Every line with what it came to over the range."""
    column = min(90.0, seen.wide * 0.6 / len(_COLUMNS))
    left = seen.wide - column * len(_COLUMNS)
    rights = [left + column * (index + 1) for index in range(len(_COLUMNS))]
    parts = [
        text(head, x, 14, LABEL_SIZE, fill=DIM, bold=True, anchor="end")
        for head, x in zip(_COLUMNS, rights, strict=True)
    ]
    for row, line in enumerate(seen.lines, 1):
        known = line.values[~np.isnan(line.values)]
        shown = [seen.spoken(of(known)) if known.size else "–" for of in _COLUMNS.values()]
        cells = [
            tag("path", d=f"M0 -3H{seen.wide:g}", stroke=GRID, fill="none"),
            _labelled(line, line.label, left),
            *(text(cell, x, 13, LABEL_SIZE, anchor="end") for cell, x in zip(shown, rights, strict=True)),
        ]
        parts.append(group(cells, 0, row * TABLE_ROW))
    return Inside(group(parts), (len(seen.lines) + 1) * TABLE_ROW)


VIEWS: Final[Mapping[str, Callable[[Seen], Inside]]] = {
    "timeSeries": _time_series,
    "singleValue": _single_value,
    "gauge": _gauge,
    "bar": _bar,
    "pie": _pie,
    "table": _table,
}
