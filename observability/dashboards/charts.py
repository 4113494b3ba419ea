"""Graphs as Vega-Lite charts, by Altair, and those as SVG, by vl-convert.

Axes are settled here and not by Vega: thresholds belong to what has to be seen, and a label of one has to know how far
the others are.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from math import ceil, floor, isfinite, log10
from typing import Any, Final, Literal

import altair as alt
import numpy as np
import vl_convert

from observability.dashboards.body import Axis, Graph, Mark, Threshold
from observability.dashboards.lines import Line
from observability.dashboards.paint import CARD, DIM, FONT, FRAME, GRID, INK, cut, runs, width
from observability.model import DAY
from observability.statistics import Values

LABEL_SIZE: Final = 11
TIME_AXIS: Final = 24
"""Pixels below the plot that the labels of the time axis take."""
Y_TICKS: Final = 42
X_TICKS: Final = 90
"""Pixels from one label to the next, at least."""
MOST_DOTS: Final = 50
"""A line of no more points than these shows each of them: a line alone does not tell where they are."""
DASH: Final = 7
TINY: Final = 1e-300
"""What is smaller is 0: it has no powers of ten to make steps of."""
SAME: Final = 1e-12
"""Values that differ by a smaller share of them differ by how they were computed."""
HEADROOM: Final = 16
"""Pixels that the label of a threshold takes above its line."""

SIDES: Final[tuple[Literal["left", "right"], ...]] = ("left", "right")

_Rows = list[dict[str, Any]]
_Layer = alt.Chart | alt.LayerChart | alt.FacetChart
_IDS = re.compile(r'(\bid="|url\(#)([\w-]+)')


def time_series(graph: Graph, lines: Sequence[Line], start: int, end: int, wide: int, high: int) -> str:
    """A graph over a range of epoch seconds as SVG of `wide` by `high` pixels, in the light colours.

    A line is broken where there is no data point. Thresholds are drawn with or without data.
    """
    x = alt.X(
        "t:T",
        scale=alt.Scale(type="utc", domain=[start * 1000, end * 1000], nice=False),
        axis=alt.Axis(
            title=None,
            grid=False,
            tickCount=max(wide // X_TICKS, 2),
            labelExpr=_TIMES if end - start < 300 * DAY else _MONTHS,
        ),
    )
    plot = max(high - TIME_AXIS, 1)
    colours = _colours(lines)
    data: dict[str, _Rows] = {}
    below: list[_Layer] = []
    above: list[_Layer] = []
    for side in SIDES:
        right = side == "right"
        mine = [(index, line) for index, line in enumerate(lines) if line.right is right]
        thresholds = [threshold for threshold in graph.thresholds if threshold.right is right]
        if right and not mine and not thresholds:
            continue
        edges = _edges([line for _, line in mine], stacked=graph.stacked)
        rows = data[side] = _rows(mine, edges)
        ends = [edge for pair in edges for edge in pair if edge is not None]
        scale = YScale.of(graph.right if right else graph.left, ends, thresholds, plot)
        drawn = alt.Scale(domain=[scale.least, scale.most], nice=False, zero=False)
        axis = alt.Axis(title=None, values=scale.ticks, labelExpr=_NUMBERS, orient=side, grid=not right)
        y, bare = alt.Y("v:Q", scale=drawn, axis=axis), alt.Y("v:Q", scale=drawn, axis=None)
        # To clip is what takes longest when a picture is made of a chart, and few charts need it.
        clip = any(
            not (start * 1000 <= row["t"] <= end * 1000 and scale.least <= row["v"] <= scale.most) for row in rows
        )
        below.append(alt.layer(*_fills(thresholds, scale, y), *_curves(side, x, y, colours, graph.stacked, clip)))
        if across := list(_lines_across(thresholds, scale, bare, wide, plot)):
            above.append(alt.layer(*across))
    layers = [*below, *above, *_lines_down(graph.marks, x, start, end)]
    return _svg(alt.layer(*layers).resolve_scale(y="independent"), data, wide, high)


def pie(lines: Sequence[Line], side: int) -> str:
    """The newest values as parts of a whole."""
    rows = [{"line": str(index), "v": line.latest} for index, line in enumerate(lines) if line.latest > 0]
    radius = side / 2 - 4
    chart = (
        alt.Chart(alt.NamedData("parts"))
        .mark_arc(innerRadius=radius * 0.58, outerRadius=radius, stroke=CARD, strokeWidth=1)
        .encode(theta=alt.Theta("v:Q", stack=True), order=alt.Order("line:N"), color=_colours(lines))
    )
    return _svg(chart, {"parts": rows}, side, side)


# The y axis


@dataclass(frozen=True, slots=True)
class YScale:
    """A y axis with round ends."""

    least: float
    most: float
    ticks: tuple[float, ...]

    @classmethod
    def of(cls, axis: Axis, shown: Iterable[Values], thresholds: Iterable[Threshold], high: int) -> YScale:
        """From what is drawn, where the axis does not say it itself; 0 to 1 where nothing is."""
        known = [values[~np.isnan(values)] for values in shown]
        ends = [float(end) for values in known if values.size for end in (values.min(), values.max())]
        marked = [value for each in thresholds for value in (each.value, each.until) if value is not None]
        ends = [end if abs(end) > TINY else 0.0 for end in (*ends, *marked) if isfinite(end)]
        least = min(ends, default=0.0) if axis.least is None else axis.least
        most = max(ends, default=1.0) if axis.most is None else axis.most
        if most - least <= SAME * max(abs(least), abs(most)):
            # A flat line has room on the sides that are free to move.
            if axis.least is None and (least or axis.most is not None):
                least = most - (abs(most) / 2 or 1)
            if axis.most is None or most <= least:
                most = least + (abs(least) or 1)
        step = _round_step((most - least) / max(high / Y_TICKS, 2))
        if all(end == int(end) for end in ends):
            step = max(step, 1.0)
        if axis.least is None:
            least = floor(least / step + 1e-9) * step
        if axis.most is None:
            most = ceil(most / step - 1e-9) * step
        first = ceil(least / step - 1e-9)
        count = floor((most - first * step) / step + 1e-9) + 1
        ticks = tuple(float(f"{(first + index) * step:.12g}") for index in range(count))
        if axis.most is None and max(marked, default=least) >= most:
            # A line on the upper edge would be cut in half, and its label would stand under it.
            most += (most - least) * (HEADROOM + 2) / max(high - HEADROOM - 2, 1)
        return cls(least, most, ticks)

    def inside(self, value: float) -> float:
        """The value, or the end of the axis that it is beyond."""
        return min(max(value, self.least), self.most)

    def height(self, value: float, high: int) -> float:
        """Pixels from the top of a plot of `high` pixels."""
        return (self.most - value) / (self.most - self.least) * high


def _round_step(least: float) -> float:
    """The least of 1, 2, 5, 10 ... that is not smaller."""
    power = 10.0 ** floor(log10(max(least, TINY)))
    return next(step * power for step in (1, 2, 5, 10) if step * power >= least * (1 - 1e-9))


# Layers

# d3-format and d3-time-format, as Vega has them in expressions.
_NUMBERS: Final = "abs(datum.value) >= 1e6 ? format(datum.value, '~s') : format(datum.value, ',~g')"
_TIMES: Final = (
    "utchours(datum.value) + utcminutes(datum.value) == 0"
    " ? utcFormat(datum.value, '%-d %b') : utcFormat(datum.value, '%H:%M')"
)
_MONTHS: Final = "utcFormat(datum.value, '%b %Y')"


def _edges(lines: Sequence[Line], *, stacked: bool) -> list[tuple[Values | None, Values]]:
    """The upper edge of each line, and the lower one where areas are stacked. Where a line has no point, the next one
    stands on what is below it; areas of unlike periods cannot be stacked and stand on 0."""
    if not stacked:
        return [(None, line.values) for line in lines]
    edges: list[tuple[Values | None, Values]] = []
    heights: dict[tuple[int, int], Values] = {}
    for line in lines:
        alike = line.period, line.values.size
        low = heights.get(alike, np.zeros(line.values.size))
        high = heights[alike] = low + np.nan_to_num(line.values)
        gap = np.isnan(line.values)
        edges.append((np.where(gap, np.nan, low), np.where(gap, np.nan, high)))
    return edges


def _rows(lines: Sequence[tuple[int, Line]], edges: Sequence[tuple[Values | None, Values]]) -> _Rows:
    """A row for each point; `run` numbers the stretches without a gap, `dot` says that a point needs to be shown."""
    rows: _Rows = []
    run = 0
    for (index, line), (low, high) in zip(lines, edges, strict=True):
        few = int(np.count_nonzero(~np.isnan(high))) <= MOST_DOTS
        for stretch in runs(high.tolist()):
            run += 1
            for place in stretch:
                row = {
                    "t": int(line.starts[place]) * 1000,
                    "v": float(high[place]),
                    "line": str(index),
                    "run": run,
                    "dot": few or len(stretch) == 1,
                }
                rows.append(row if low is None else {**row, "low": float(low[place])})
    return rows


def _curves(name: str, x: alt.X, y: alt.Y, colours: alt.Color, stacked: bool, clip: bool) -> Iterable[_Layer]:
    base = alt.Chart(alt.NamedData(name)).encode(x=x, y=y, color=colours, detail="run:N")
    if stacked:
        yield base.mark_area(opacity=0.45, clip=clip).encode(y2="low:Q")
    yield base.mark_line(strokeWidth=2, strokeJoin="round", strokeCap="round", clip=clip)
    yield base.mark_circle(size=26, opacity=1, clip=clip).transform_filter("datum.dot")


def _colours(lines: Sequence[Line]) -> alt.Color:
    scale = alt.Scale(domain=[str(index) for index in range(len(lines))], range=[line.colour for line in lines])
    return alt.Color("line:N", scale=scale, legend=None)


def _fills(thresholds: Sequence[Threshold], scale: YScale, y: alt.Y) -> Iterable[_Layer]:
    ends = {"above": scale.most, "below": scale.least}
    for each in thresholds:
        until = ends.get(each.fill) if each.until is None else each.until
        if until is not None:
            data = alt.InlineData(values=[{"v": scale.inside(each.value), "to": scale.inside(until)}])
            yield alt.Chart(data).mark_rect(color=each.colour, opacity=0.13).encode(y=y, y2="to:Q")


def _lines_across(thresholds: Sequence[Threshold], scale: YScale, y: alt.Y, wide: int, high: int) -> Iterable[_Layer]:
    """Thresholds with their labels. Labels that would meet stand beside one another, lines on one value alternate."""
    taken: list[tuple[float, float]] = []
    for each in thresholds:
        same = [other for other in thresholds if other.value == each.value]
        for value in (each.value, each.until):
            if value is None or scale.inside(value) != value:
                continue
            data = alt.InlineData(values=[{"v": value}])
            dash = [DASH, DASH * (len(same) - 1)] if len(same) > 1 else []
            yield (
                alt.Chart(data)
                .mark_rule(
                    color=each.colour,
                    strokeWidth=1.5,
                    strokeDash=dash or alt.Undefined,
                    strokeDashOffset=-DASH * same.index(each) if dash else alt.Undefined,
                )
                .encode(y=y)
            )
        if not each.label:
            continue
        value = scale.inside(each.value)
        label = each.label if value == each.value else f"{'↑' if each.value > scale.most else '↓'} {each.label}"
        label = cut(label, LABEL_SIZE, wide * 0.6, bold=True)
        line = scale.height(value, high)
        top = line < HEADROOM
        at = line + HEADROOM if top else line
        shift = max((right for height, right in taken if abs(height - at) < HEADROOM), default=0.0)
        taken.append((at, shift + width(label, LABEL_SIZE, bold=True) + 14))
        yield from _label(
            label,
            alt.Chart(alt.InlineData(values=[{"v": value}])).encode(x=alt.value("width"), y=y),
            align="right",
            dx=-4 - shift,
            baseline="top" if top else "bottom",
            dy=3 if top else -3,
        )


def _lines_down(marks: Sequence[Mark], x: alt.X, start: int, end: int) -> Iterable[_Layer]:
    ends = {"before": start, "after": end}
    for each in marks:
        until = ends.get(each.fill) if each.until is None else each.until
        row = {"t": each.at * 1000, "to": (each.at if until is None else until) * 1000}
        base = alt.Chart(alt.InlineData(values=[row])).encode(x=x)
        if until is not None:
            yield base.mark_rect(color=each.colour, opacity=0.13, clip=True).encode(x2="to:T")
        if not start <= each.at < end:
            continue
        yield base.mark_rule(color=each.colour, strokeWidth=1.5)
        if each.label:
            late = each.at - start > (end - start) * 0.7
            label = base.encode(y=alt.value(2))
            yield from _label(
                each.label, label, align="right" if late else "left", dx=-5 if late else 5, baseline="top", dy=0
            )


def _label(words: str, where: alt.Chart, *, align: str, dx: float, dy: float, baseline: str) -> Iterable[_Layer]:
    """Text with a rim in the colour of the card, so that it can be read on a line."""
    look: dict[str, Any] = {"text": words, "align": align, "dx": dx, "dy": dy, "baseline": baseline, "font": FONT}
    look |= {"fontSize": LABEL_SIZE, "fontWeight": "bold"}
    yield where.mark_text(fill=CARD, stroke=CARD, strokeWidth=4, strokeJoin="round", **look)
    yield where.mark_text(fill=INK, **look)


_CONFIG: Final[Mapping[str, Any]] = {
    "background": None,
    "font": FONT,
    "view": {"stroke": None},
    "axis": {
        "labelColor": DIM,
        "labelFontSize": LABEL_SIZE,
        "labelFont": FONT,
        "labelPadding": 4,
        "gridColor": GRID,
        "domainColor": FRAME,
        "tickColor": FRAME,
    },
    "axisX": {"tickSize": 4},
    "axisY": {"domain": False, "ticks": False},
}


def _svg(chart: _Layer, data: Mapping[str, _Rows], wide: int, high: int) -> str:
    # Neither checked nor copied: a schema check takes longer than to draw, and Altair would look at each point.
    spec = chart.to_dict(validate=False)
    size = {"width": wide, "height": high, "padding": 0, "autosize": {"type": "fit", "contains": "padding"}}
    datasets = {**spec.get("datasets", {}), **data}
    svg = vl_convert.vegalite_to_svg({**spec, **size, "config": _CONFIG, "datasets": datasets})
    # An SVG inside another is clipped, which is not needed and, again, takes long.
    return _own_ids(svg).replace("<svg ", '<svg overflow="visible" ', 1)


def _own_ids(svg: str) -> str:
    """The chart with ids that are its own in a page of several. Vega counts them through a whole process, so that they
    would depend on what was drawn before; here they follow from the chart."""
    order: dict[str, int] = {}
    counted = _IDS.sub(lambda found: f"{found[1]}{order.setdefault(found[2], len(order))}", svg)
    own = sha256(counted.encode()).hexdigest()[:12]
    return _IDS.sub(rf"\g<1>c{own}-\g<2>", counted)
