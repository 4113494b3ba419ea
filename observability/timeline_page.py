"""Incidents drawn: what each alarm looked at, its threshold, its state and who was told, all over one time axis.

A page loads nothing from elsewhere, is light or dark as its reader likes it, and is the same for the same incidents. A
curve shows at every instant what an evaluation then compares with the threshold: the window that ends there.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from html import escape
from math import ceil
from typing import Final

import numpy as np
from numpy.typing import NDArray

from observability.dashboards.body import Axis, Threshold
from observability.dashboards.charts import YScale
from observability.dashboards.paint import (
    CALM,
    CARD,
    DARK,
    DARK_STYLE,
    DIM,
    FONT,
    FRAME,
    GRID,
    INK,
    LINK,
    PAGE,
    RAISED,
    cut,
    group,
    number,
    runs,
    tag,
    text,
    width,
)
from observability.expectations import spoken
from observability.math import compile_queries
from observability.model import DAY, HOUR, MINUTE, CompositeAlarm, MetricAlarm, MetricStat, State
from observability.replay import Outcome, is_pattern, parts, was_told
from observability.simulation import Notice
from observability.store import Grid, MetricStore
from observability.timeline import clock, in_words, period_in_words, summary, told_in_words

Values = NDArray[np.float64]

WIDE: Final = 960
LEFT: Final = 56
"""Pixels for the labels of the y axes."""
RIGHT: Final = 14
PLOT: Final = 92
INPUT: Final = 40
"""Height of a plot, and of one of a metric that an expression is made of."""
INPUT_GAP: Final = 14
STRIP: Final = 12
HEAD: Final = 20
GAP: Final = 18
MOST_POINTS: Final = 800

COLOURS: Final = {State.OK: CALM, State.ALARM: RAISED, State.INSUFFICIENT_DATA: DIM}
_TICKS: Final = (5 * MINUTE, 10 * MINUTE, 15 * MINUTE, 30 * MINUTE, HOUR, 2 * HOUR, 3 * HOUR, 6 * HOUR, 12 * HOUR, DAY)


def page(outcomes: Sequence[Outcome]) -> str:
    """All incidents as one HTML page."""
    sections = "\n".join(_section(outcome, f"i{index}") for index, outcome in enumerate(outcomes, 1))
    contents = "".join(
        f'<li class="{_class(outcome)}"><a href="#i{index}">{escape(outcome.incident.title)}</a></li>'
        for index, outcome in enumerate(outcomes, 1)
    )
    return _PAGE.format(style=_STYLE, summary=escape(str(summary(outcomes))), contents=contents, sections=sections)


def picture(outcome: Outcome) -> str:
    """An incident as SVG: its alarms below each other, over one time axis."""
    frame = _Frame(outcome)
    drawn, bottom = [], 30
    for name in _drawn(outcome):
        block, high = _block(frame, name)
        drawn.append(group([block], y=bottom))
        bottom += high + GAP
    high = bottom - GAP + 6
    axis = _time_axis(frame, high)
    return tag(
        "svg",
        axis,
        *drawn,
        xmlns="http://www.w3.org/2000/svg",
        viewBox=f"0 0 {WIDE} {high}",
        width=WIDE,
        height=high,
        role="img",
        aria_label=f"Alarms in the incident: {outcome.incident.title}",
    )


@dataclass(frozen=True, slots=True)
class _Frame:
    """Where an instant is."""

    outcome: Outcome

    def x(self, at: float) -> float:
        start, end = self.outcome.incident.start, self.outcome.incident.end
        return LEFT + (at - start) / (end - start) * (WIDE - LEFT - RIGHT)

    @property
    def ticks(self) -> Iterator[int]:
        start, end = self.outcome.incident.start, self.outcome.incident.end
        step = next((each for each in _TICKS if (end - start) / each <= 12), 7 * DAY)
        return iter(range(ceil(start / step) * step, end + 1, step))


def _drawn(outcome: Outcome) -> list[str]:
    """The alarms under test, whoever was told of, and the parts of these that changed; composites above their parts."""
    changed = {change.alarm for change in outcome.simulation.changes}
    # Of those that only a pattern means, nothing is to be seen unless they moved.
    alone = tuple(f"-{each.alarm}" for each in outcome.incident.expected if not is_pattern(each.alarm))
    named = [name for name in outcome.named if name in changed or f"-{name}".endswith(alone)]
    told = [notice.alarm for notice in outcome.simulation.notices]
    wanted = dict.fromkeys([*named, *told])
    alarms = {alarm.name: alarm for alarm in outcome.alarms}
    found: dict[str, None] = {}
    for name in sorted(wanted, key=lambda each: not isinstance(alarms[each], CompositeAlarm)):
        found[name] = None
        if isinstance(alarm := alarms[name], CompositeAlarm):
            found |= dict.fromkeys(sorted(parts(alarm) & changed))
    return list(found)


def _block(frame: _Frame, name: str) -> tuple[str, int]:
    """An alarm: its name and condition, what it is made of, what it looks at, its state. And how high that is."""
    outcome = frame.outcome
    alarm = next(each for each in outcome.alarms if each.name == name)
    title = outcome.short(name)
    drawn = [text(title, LEFT, 12, 13, bold=True)]
    room = WIDE - RIGHT - LEFT - width(title, 13, bold=True) - 12
    condition = cut(_condition(alarm, outcome), 11, room)
    drawn.append(text(condition, LEFT + width(title, 13, bold=True) + 12, 12, 11, fill=DIM))
    below = HEAD
    if isinstance(alarm, MetricAlarm):
        for id_, stat in _inputs(alarm):
            values = _sliding(outcome.store, stat, _grid(frame, alarm))
            drawn.append(group(_input(frame, f"{id_} = {stat.statistic} of {stat.key}", values), y=below))
            below += INPUT + INPUT_GAP
        drawn.append(group(_plot(frame, alarm), y=below))
        below += PLOT + 5
    drawn.append(group(_strip(frame, name), y=below))
    return group(drawn), below + STRIP


def _condition(alarm: MetricAlarm | CompositeAlarm, outcome: Outcome) -> str:
    if isinstance(alarm, CompositeAlarm):
        return outcome.shortened(alarm.rule)
    returned = alarm.returned
    signal = f"{returned.stat.statistic} of {returned.stat.key}" if returned.stat else str(returned.expression)
    return (
        f"{signal} {alarm.comparison.sign} {number(alarm.threshold, full=True)},"
        f" {alarm.datapoints_to_alarm} of {alarm.evaluation_periods} × {spoken(alarm.period)}"
    )


def _inputs(alarm: MetricAlarm) -> list[tuple[str, MetricStat]]:
    """The metrics of an expression; an alarm on one metric has none besides what is compared."""
    return [(query.id, query.stat) for query in alarm.queries if query.stat and not query.returned]


def _grid(frame: _Frame, alarm: MetricAlarm) -> Grid:
    start, end = frame.outcome.incident.start, frame.outcome.incident.end
    # Functions over time look at whole periods, so such an expression is drawn period by period.
    pointwise = compile_queries(alarm.queries).pointwise
    step = ceil((end - start) / MOST_POINTS / MINUTE) * MINUTE if pointwise else alarm.period
    return Grid(start, step, (end - start) // step + 1)


def _sliding(store: MetricStore, stat: MetricStat, grid: Grid) -> tuple[Grid, Values]:
    return grid, store.values(stat, grid)


def _compared(frame: _Frame, alarm: MetricAlarm) -> tuple[Grid, Values]:
    grid, store = _grid(frame, alarm), frame.outcome.store
    program = compile_queries(alarm.queries)
    arrays = {query.id: store.values(query.stat, grid) for query in program.metrics if query.stat}
    return grid, np.broadcast_to(program.alarm(arrays, grid.ends - alarm.period, alarm.period), grid.count)


def _plot(frame: _Frame, alarm: MetricAlarm) -> Iterator[str]:
    grid, values = _compared(frame, alarm)
    threshold = Threshold(alarm.threshold)
    scale = YScale.of(
        Axis(least=0.0 if _positive(values) and alarm.threshold >= 0 else None), [values], [threshold], PLOT
    )
    yield from _alarmed(frame, alarm.name, PLOT)
    for tick in scale.ticks:
        y = scale.height(tick, PLOT)
        yield tag("line", x1=LEFT, x2=WIDE - RIGHT, y1=y, y2=y, stroke=GRID)
        yield text(number(tick), LEFT - 6, y + 4, 11, fill=DIM, anchor="end")
    yield from _curve(frame, grid, values, scale, PLOT, LINK, 1.8)
    y = scale.height(alarm.threshold, PLOT)
    yield tag("line", x1=LEFT, x2=WIDE - RIGHT, y1=y, y2=y, stroke=RAISED, stroke_width=1.5, stroke_dasharray="6 4")
    if np.isnan(values).all():
        yield text("no data points", (LEFT + WIDE - RIGHT) / 2, PLOT / 2, 12, fill=DIM, anchor="middle")
    label = f"{alarm.comparison.sign} {number(alarm.threshold, full=True)}"
    above = y > 16
    yield tag(
        "rect",
        x=WIDE - RIGHT - width(label, 11, bold=True) - 6,
        y=y - 15 if above else y + 3,
        width=width(label, 11, bold=True) + 4,
        height=13,
        fill=CARD,
        fill_opacity=0.8,
    )
    yield text(label, WIDE - RIGHT - 4, y - 5 if above else y + 13, 11, fill=RAISED, bold=True, anchor="end")


def _input(frame: _Frame, label: str, drawn: tuple[Grid, Values]) -> Iterator[str]:
    grid, values = drawn
    scale = YScale.of(Axis(least=0.0 if _positive(values) else None), [values], [], INPUT)
    for tick in (scale.ticks[0], scale.ticks[-1]):
        y = scale.height(tick, INPUT)
        yield tag("line", x1=LEFT, x2=WIDE - RIGHT, y1=y, y2=y, stroke=GRID)
        yield text(number(tick), LEFT - 6, y + 4, 10, fill=DIM, anchor="end")
    yield from _curve(frame, grid, values, scale, INPUT, DIM, 1.2)
    words = cut(label + (", no data points" if np.isnan(values).all() else ""), 10, WIDE - LEFT - RIGHT - 8)
    yield tag("rect", x=LEFT + 2, y=1, width=width(words, 10) + 6, height=13, fill=CARD, fill_opacity=0.8)
    yield text(words, LEFT + 5, 11, 10, fill=DIM)


def _curve(
    frame: _Frame, grid: Grid, values: Values, scale: YScale, high: int, colour: str, thick: float
) -> Iterator[str]:
    ends, listed = grid.ends, values.tolist()
    for run in runs(listed):
        points = [(frame.x(int(ends[index])), scale.height(listed[index], high)) for index in run]
        if len(points) == 1:
            yield tag("circle", cx=points[0][0], cy=points[0][1], r=2, fill=colour)
            continue
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        yield tag("polyline", points=path, fill="none", stroke=colour, stroke_width=thick, stroke_linejoin="round")


def _alarmed(frame: _Frame, name: str, high: int) -> Iterator[str]:
    for state, first, last in _states(frame.outcome, name):
        if state is State.ALARM:
            left, right = frame.x(first), frame.x(last)
            yield tag("rect", x=left, y=0, width=right - left, height=high, fill=RAISED, fill_opacity=0.1)


def _strip(frame: _Frame, name: str) -> Iterator[str]:
    """The alarm's states, and on them marks of who was told: filled, or hollow where it was withheld."""
    notices = [notice for notice in frame.outcome.simulation.notices if notice.alarm == name]
    for state, first, last in _states(frame.outcome, name):
        left, right = frame.x(first), frame.x(last)
        yield tag(
            "rect",
            tag("title", escape(f"{state} from {clock(first)} to {clock(last)}")),
            x=left,
            width=max(right - left, 1.0),
            y=0,
            height=STRIP,
            fill=COLOURS[state],
            fill_opacity=0.85 if state is State.ALARM else 0.35,
        )
        words = "NO DATA" if state is State.INSUFFICIENT_DATA else str(state)
        wide = width(words, 9, bold=True)
        # The word gives way to the marks at its place.
        at = left + 11
        for mark in sorted(frame.x(notice.at) for notice in notices):
            at = mark + 11 if at - 9 < mark < at + wide + 9 else at
        if right > at + wide + 9:
            yield text(words, at, STRIP - 3, 9, fill=CARD if state is State.ALARM else INK, bold=True)
    yield from (_mark(frame, notice) for notice in notices)


def _mark(frame: _Frame, notice: Notice) -> str:
    x, y = frame.x(notice.at), STRIP / 2
    told = was_told(notice)
    tip = f"{clock(notice.at)} {notice.state}: {frame.outcome.shortened(told_in_words(notice))}"
    return tag(
        "path",
        tag("title", escape(tip)),
        d=f"M{x:.1f},{y - 6:.1f} l5.5,6 l-5.5,6 l-5.5,-6 z",
        fill=INK if told else CARD,
        stroke=CARD if told else INK,
        stroke_width=1.2,
    )


def _states(outcome: Outcome, name: str) -> Iterator[tuple[State, int, int]]:
    """Each state of an alarm with when it began and ended."""
    state, since = outcome.initial[name], outcome.incident.start
    for change in outcome.simulation.changes:
        if change.alarm == name:
            if change.at > since:
                yield state, since, change.at
            state, since = change.after, change.at
    if since < outcome.incident.end:
        yield state, since, outcome.incident.end


def _time_axis(frame: _Frame, high: int) -> str:
    incident = frame.outcome.incident
    drawn = []
    for at in frame.ticks:
        x = frame.x(at)
        drawn.append(tag("line", x1=x, x2=x, y1=22, y2=high, stroke=GRID))
        anchor = "start" if x < LEFT + 20 else "end" if x > WIDE - RIGHT - 20 else "middle"
        drawn.append(
            text(clock(at, day=at % DAY == 0 or incident.frame.length > 3 * DAY), x, 14, 11, fill=DIM, anchor=anchor)
        )
    return group(drawn)


def _positive(values: Values) -> bool:
    return bool(np.isnan(values).all() or np.nanmin(values) >= 0)


def _section(outcome: Outcome, anchor: str) -> str:
    incident = outcome.incident
    faults = [f"line {each.line}: {in_words(each, outcome)}" for each in outcome.broken]
    faults += [f"line {outcome.line_of(key)}: no alarm looks at {key}" for key in outcome.unwatched]
    held = [] if faults else [f"All {outcome.expectations} expectations hold."]
    listed = "".join(f'<li class="{_class(outcome)}">{escape(each)}</li>' for each in (*faults, *held))
    return _SECTION.format(
        anchor=anchor,
        title=escape(incident.title),
        when=escape(period_in_words(incident.start, incident.end)),
        where=escape(incident.where),
        about=escape(incident.about),
        verdict=listed,
        picture=picture(outcome) if _drawn(outcome) else "<p>No alarm changes its state.</p>",
        told=_told(outcome),
    )


def _told(outcome: Outcome) -> str:
    """Who was told, as a table: the picture alone says it only to those who can see it."""
    start = outcome.incident.start
    rows = "".join(
        f"<tr><td>{clock(each.at, day=outcome.incident.frame.length > DAY)}</td><td>+{spoken(each.at - start)}</td>"
        f"<td>{escape(outcome.short(each.alarm))}</td><td>{escape(each.state)}</td>"
        f"<td>{escape(outcome.shortened(told_in_words(each)))}</td></tr>"
        for each in outcome.simulation.notices
    )
    if not rows:
        return "<p>Nobody is told of anything.</p>"
    head = "".join(f"<th>{word}</th>" for word in ("at", "after", "alarm", "state", "who is told"))
    return f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"


def _class(outcome: Outcome) -> str:
    return "good" if outcome.passed else "bad"


def _colours() -> Iterable[str]:
    light = {
        "page": PAGE,
        "card": CARD,
        "ink": INK,
        "dim": DIM,
        "frame": FRAME,
        "bad": RAISED,
        "good": CALM,
        "link": LINK,
    }
    yield ":root{" + "".join(f"--{name}:{colour};" for name, colour in light.items()) + "}"
    dark = "".join(f"--{name}:{DARK[colour]};" for name, colour in light.items())
    yield f"@media (prefers-color-scheme: dark){{:root{{{dark}}}{DARK_STYLE}}}"


_STYLE: Final = (
    "".join(_colours())
    + f"body{{margin:0 auto;max-width:{WIDE + 72}px;padding:24px 16px;background:var(--page);color:var(--ink);"
    f"font:15px/1.5 {FONT}}}"
    "h1{font-size:24px;margin:0 0 4px}h2{font-size:19px;margin:0}p{margin:6px 0}a{color:var(--link)}"
    "section{background:var(--card);border:1px solid var(--frame);border-radius:8px;padding:18px 20px;margin:20px 0}"
    "svg{max-width:100%;height:auto;display:block;margin:10px 0}"
    "small{color:var(--dim)}ul{list-style:none;padding:0;margin:6px 0}"
    "li.good::before{content:'✓ ';color:var(--good)}li.bad::before{content:'✗ ';color:var(--bad)}"
    "section li.bad{color:var(--bad)}"
    "table{border-collapse:collapse;font-size:13px}th,td{text-align:left;padding:2px 14px 2px 0}th{color:var(--dim)}"
    "td:nth-child(-n+2){font-variant-numeric:tabular-nums}summary{cursor:pointer;color:var(--dim);font-size:13px}"
)

_PAGE: Final = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Incidents replayed</title>
<style>{style}</style>
</head>
<body>
<h1>Incidents replayed</h1>
<p>{summary}</p>
<p><small>Dashed: the threshold. Red: in ALARM. Filled diamonds: somebody is told; hollow: withheld.</small></p>
<nav><ul>{contents}</ul></nav>
{sections}
</body>
</html>
"""

_SECTION: Final = """<section id="{anchor}">
<h2>{title}</h2>
<p><small>{when} · {where}</small></p>
<p>{about}</p>
<ul>{verdict}</ul>
{picture}
<details><summary>Who is told</summary>{told}</details>
</section>"""
