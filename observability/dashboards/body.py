"""A dashboard's body as data: widgets with their places, and graphs with everything that they draw.

The rules and defaults are those of "Dashboard body structure and syntax" (CloudWatch API reference). `sparkline`,
`setPeriodToTimeRange` and a widget's own `start` and `end`, which that page does not tell of, are read as the console
writes them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final

from observability.errors import ToolkitError
from observability.model import (
    DAY,
    HOUR,
    MINUTE,
    Dashboard,
    Json,
    MetricAlarm,
    MetricKey,
    MetricStat,
    Query,
    alarm_name,
)
from observability.statistics import Statistic

COLUMNS: Final = 24
DEFAULT_SIZE: Final = 6
DEFAULT_START: Final = "-PT3H"
DEFAULT_PERIOD: Final = 300
DEFAULT_STATISTIC: Final = "Average"

# What the console gives to lines and annotations without a colour of their own: close to its first ones.
COLOURS: Final = (
    "#1f77b4",
    "#dc7800",
    "#2c9a3f",
    "#d13212",
    "#8c63c9",
    "#946a5c",
    "#d55fb0",
    "#7d8590",
    "#96960f",
    "#1a9cb0",
)
ANNOTATION_COLOUR: Final = "#d13212"

_SPAN = re.compile(r"-P(?:(\d+)M)?(?:(\d+)W)?(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)S)?)?")
_COLOUR = re.compile(r"#[0-9a-fA-F]{6}")
_SECONDS: Final = (30 * DAY, 7 * DAY, DAY, HOUR, MINUTE, 1)


@dataclass(frozen=True, slots=True)
class Widget:
    """A widget in its place, which is in grid units of which a dashboard is 24 wide.

    Attributes:
        where: how a message names it.
    """

    kind: str
    x: int
    y: int
    width: int
    height: int
    properties: Json
    where: str

    @property
    def title(self) -> str:
        return str(self.properties.get("title") or "")


@dataclass(frozen=True, slots=True)
class Axis:
    """A y axis; None is an end that follows from what is drawn."""

    label: str = ""
    least: float | None = None
    most: float | None = None
    units: bool = True


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry of the metrics array. `label` is "" where none was given."""

    query: Query
    label: str
    colour: str
    right: bool = False
    visible: bool = True


@dataclass(frozen=True, slots=True)
class Threshold:
    """A horizontal annotation. `fill` is `above`, `below` or ""; a band reaches from `value` to `until`."""

    value: float
    label: str = ""
    colour: str = ANNOTATION_COLOUR
    fill: str = ""
    until: float | None = None
    right: bool = False


@dataclass(frozen=True, slots=True)
class Mark:
    """A vertical annotation, in epoch seconds. `fill` is `before`, `after` or ""; a band reaches to `until`."""

    at: int
    label: str = ""
    colour: str = ANNOTATION_COLOUR
    fill: str = ""
    until: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Graph:
    """What a metric widget draws.

    Attributes:
        whole_range: one value over the whole range instead of one for each period (`setPeriodToTimeRange`).
        legend: `bottom`, `right` or `hidden`.
    """

    view: str
    entries: tuple[Entry, ...]
    stacked: bool = False
    left: Axis = Axis()
    right: Axis = Axis()
    thresholds: tuple[Threshold, ...] = ()
    marks: tuple[Mark, ...] = ()
    legend: str = "bottom"
    whole_range: bool = False
    sparkline: bool = False
    full_precision: bool = False


# Widgets


def read_widgets(dashboard: Dashboard) -> tuple[Widget, ...]:
    """The widgets of a dashboard. One without `x` or `y` gets the next free place, row by row.

    Raises:
        ToolkitError: CloudWatch would refuse the body.
    """
    listed = dashboard.body.get("widgets")
    if not isinstance(listed, list):
        raise ToolkitError(f"dashboard {dashboard.name}: widgets is {listed!r}, a list is needed")
    placed: list[Widget] = []
    for position, document in enumerate(listed, 1):
        where = f"dashboard {dashboard.name}, widget {position}"
        if not isinstance(document, Mapping):
            raise ToolkitError(f"{where}: it is {document!r}, an object is needed")
        properties = document.get("properties") or {}
        if not isinstance(properties, Mapping):
            raise ToolkitError(f"{where}: properties is {properties!r}, an object is needed")
        if title := properties.get("title"):
            where += f" {title!r}"
        wide = _whole(document, "width", where, DEFAULT_SIZE, 1, COLUMNS)
        high = _whole(document, "height", where, DEFAULT_SIZE, 1, 1000)
        widget = Widget(str(document.get("type") or ""), 0, 0, wide, high, properties, where)
        if document.get("x") is None or document.get("y") is None:
            placed.append(_next_place(widget, placed))
        else:
            x = _whole(document, "x", where, 0, 0, COLUMNS - wide)
            placed.append(replace(widget, x=x, y=_whole(document, "y", where, 0, 0, None)))
    return tuple(placed)


def _next_place(widget: Widget, placed: Sequence[Widget]) -> Widget:
    bottom = max((other.y + other.height for other in placed), default=0)
    return next(
        candidate
        for y in range(bottom + 1)
        for x in range(COLUMNS - widget.width + 1)
        for candidate in (replace(widget, x=x, y=y),)
        if not any(_overlap(candidate, other) for other in placed)
    )


def _overlap(one: Widget, other: Widget) -> bool:
    apart = one.x >= other.x + other.width or other.x >= one.x + one.width
    return not (apart or one.y >= other.y + other.height or other.y >= one.y + one.height)


def metrics_of(dashboard: Dashboard) -> tuple[MetricStat, ...]:
    """Every metric that a dashboard draws or computes with, in the statistic and period that its body gives it.

    Raises:
        ToolkitError: as `read_widgets` and `read_graph`; a widget that draws an alarm has none of its own.
    """
    graphs = (
        _entries(widget.properties, widget.where) for widget in read_widgets(dashboard) if widget.kind == "metric"
    )
    return tuple(dict.fromkeys(entry.query.stat for entries in graphs for entry in entries if entry.query.stat))


# Time


def time_range(document: Json, where: str, now: int, default: str | None = DEFAULT_START) -> tuple[int, int] | None:
    """The `start` and `end` of a dashboard or a widget, in epoch seconds; None where there is neither it nor a default.

    Both are ISO 8601: a moment, or, with a minus, a span before `now`, such as `-PT6H`. A month has 30 days.

    Raises:
        ToolkitError: one is neither, or the range is empty.
    """
    start = document.get("start") or default
    if start is None:
        return None
    end = _moment(str(document.get("end") or "-PT0H"), now, f"{where}: end")
    begin = _moment(str(start), now, f"{where}: start")
    if begin >= end:
        raise ToolkitError(f"{where}: start {start} is not before the end")
    return begin, end


def parse_span(words: str, where: str) -> int:
    """Seconds of an ISO 8601 span with a minus, as bodies have it: `-P1D`, `-PT3H`.

    Raises:
        ToolkitError: it is something else.
    """
    found = _SPAN.fullmatch(words)
    if not found or words.endswith(("P", "T")):
        raise ToolkitError(f"{where} is {words!r}, allowed are spans such as -PT3H or -P1D")
    return sum(int(amount or 0) * unit for amount, unit in zip(found.groups(), _SECONDS, strict=True))


def _moment(words: str, now: int, where: str) -> int:
    if words.startswith("-"):
        return now - parse_span(words, where)
    try:
        moment = datetime.fromisoformat(words)
    except ValueError:
        message = f"{where} is {words!r}, allowed are spans such as -PT3H and moments such as 2026-05-01T00:00:00Z"
        raise ToolkitError(message) from None
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())


def earliest(dashboard: Dashboard, now: int) -> int:
    """The earliest epoch second that a dashboard or any of its widgets shows.

    Raises:
        ToolkitError: as `time_range` and `read_widgets`.
    """
    ranges = [time_range(dashboard.body, f"dashboard {dashboard.name}", now)]
    ranges += [time_range(widget.properties, widget.where, now, None) for widget in read_widgets(dashboard)]
    return min(shown[0] for shown in ranges if shown)


# Graphs


def read_graph(widget: Widget, alarms: Mapping[str, MetricAlarm] | None = None) -> Graph:
    """What a metric widget draws. `alarms`, by name, are those that `annotations.alarms` can point at.

    Raises:
        ToolkitError: CloudWatch would refuse the properties, or they need something that is not known here.
    """
    properties, where = widget.properties, widget.where
    annotations = _object(properties, "annotations", where)
    entries = tuple(_entries(properties, where))
    thresholds = [*_thresholds(annotations.get("horizontal") or (), f"{where}, horizontal annotations")]
    for reference in annotations.get("alarms") or ():
        alarm = (alarms or {}).get(alarm_name(str(reference)))
        if alarm is None:
            raise ToolkitError(
                f"{where}: it draws the alarm {alarm_name(str(reference))}, which is not among those known",
                "Hand over the alarm, too.",
            )
        entries += tuple(_of_alarm(alarm, len(entries)))
        label = f"{alarm.name} {alarm.comparison.sign} {alarm.threshold:,.10g}"
        thresholds.append(Threshold(alarm.threshold, label))
    axes = _object(properties, "yAxis", where)
    return Graph(
        view=str(properties.get("view") or "timeSeries"),
        entries=entries,
        stacked=bool(properties.get("stacked")),
        left=_axis(_object(axes, "left", where), f"{where}, left y axis"),
        right=_axis(_object(axes, "right", where), f"{where}, right y axis"),
        thresholds=tuple(thresholds),
        marks=tuple(_marks(annotations.get("vertical") or (), f"{where}, vertical annotations")),
        legend=str(_object(properties, "legend", where).get("position") or "bottom"),
        whole_range=bool(properties.get("setPeriodToTimeRange")),
        sparkline=bool(properties.get("sparkline")),
        full_precision=bool(properties.get("singleValueFullPrecision")),
    )


def _entries(properties: Json, where: str) -> Iterator[Entry]:
    listed = properties.get("metrics") or []
    if not isinstance(listed, list):
        raise ToolkitError(f"{where}: metrics is {listed!r}, a list is needed")
    options = [
        entry[-1] if isinstance(entry, list) and entry and isinstance(entry[-1], Mapping) else {} for entry in listed
    ]
    ids = _ids(options, where)
    last: list[str] = []
    for number, (entry, look, id_) in enumerate(zip(listed, options, ids, strict=True)):
        at = f"{where}, metric {number + 1}"
        if not isinstance(entry, list) or not entry:
            raise ToolkitError(f"{at}: it is {entry!r}, a list is needed")
        named = entry[:-1] if look else entry
        label, visible = str(look.get("label") or ""), look.get("visible", True) is not False
        if expression := look.get("expression"):
            if named:
                raise ToolkitError(f"{at}: it has both an expression and a metric")
            query = Query(id_, None, str(expression), label, visible, _period(look, at))
        else:
            last = _spelt_out(named, last, at)
            query = Query(id_, _stat(last, {**properties, **look}, at), None, label, visible)
        yield Entry(
            query=query,
            label=label,
            colour=_colour(look, COLOURS[number % len(COLOURS)]),
            right=look.get("yAxis") == "right",
            visible=visible,
        )


def _ids(options: Iterable[Json], where: str) -> list[str]:
    """The ids of the entries; those that have none get one that nobody else has."""
    given = [look.get("id") for look in options]
    known = [str(id_) for id_ in given if id_]
    if twice := sorted({id_ for id_ in known if known.count(id_) > 1}):
        raise ToolkitError(f"{where}: two of its metrics have the id {twice[0]}")
    free = (f"unnamed{number}" for number in range(1, len(given) + len(known) + 1))
    unused = (id_ for id_ in free if id_ not in known)
    return [str(id_) if id_ else next(unused) for id_ in given]


def _spelt_out(named: Sequence[Any], last: Sequence[str], where: str) -> list[str]:
    """A metric with what `.` (the same as above) and `...` (all that is the same as above) stand for."""
    parts = [str(part) for part in named]
    if "..." in parts:
        at = parts.index("...")
        missing = len(last) - (len(parts) - 1)
        if missing < 0:
            raise ToolkitError(f"{where}: ... repeats a metric above, and there is none that is long enough")
        parts[at : at + 1] = last[at : at + missing]
    for index, part in enumerate(parts):
        if part == ".":
            if index >= len(last):
                raise ToolkitError(f"{where}: . repeats what stands above it, and there is nothing")
            parts[index] = last[index]
    if len(parts) < 2 or len(parts) % 2:
        raise ToolkitError(f"{where}: it is {list(named)!r}, needed are a namespace, a name and pairs of dimensions")
    return parts


def _stat(parts: Sequence[str], options: Json, where: str) -> MetricStat:
    period = _period(options, where) or DEFAULT_PERIOD
    try:
        statistic = Statistic.parse(str(options.get("stat") or DEFAULT_STATISTIC))
    except ToolkitError as error:
        raise ToolkitError(f"{where}: {error}", error.remedy) from error
    dimensions = dict(zip(parts[2::2], parts[3::2], strict=True))
    return MetricStat(MetricKey.of(parts[0], parts[1], dimensions), period, statistic)


def _of_alarm(alarm: MetricAlarm, before: int) -> Iterator[Entry]:
    """What an alarm compares, and what that is computed from."""
    for number, query in enumerate(alarm.queries):
        label = query.label or (alarm.name if query.expression else "")
        yield Entry(query, label, COLOURS[(before + number) % len(COLOURS)], visible=query.returned)


def _thresholds(listed: Sequence[Any], where: str) -> Iterator[Threshold]:
    for entry in listed:
        ends = entry if isinstance(entry, list) else [entry]
        first, last = ends[0], ends[-1]
        if (first or {}).get("visible", True) is False:
            continue
        yield Threshold(
            value=_number(first, "value", where),
            label=" – ".join(str(end["label"]) for end in ends if end.get("label")),
            colour=_colour(first, ANNOTATION_COLOUR),
            fill="" if len(ends) > 1 else str(first.get("fill") or ""),
            until=_number(last, "value", where) if len(ends) > 1 else None,
            right=first.get("yAxis") == "right",
        )


def _marks(listed: Sequence[Any], where: str) -> Iterator[Mark]:
    for entry in listed:
        ends = entry if isinstance(entry, list) else [entry]
        first, last = ends[0], ends[-1]
        if (first or {}).get("visible", True) is False:
            continue
        yield Mark(
            at=_moment(str(first.get("value") or ""), 0, f"{where}: value"),
            label=" – ".join(str(end["label"]) for end in ends if end.get("label")),
            colour=_colour(first, ANNOTATION_COLOUR),
            fill="" if len(ends) > 1 else str(first.get("fill") or ""),
            until=_moment(str(last.get("value") or ""), 0, f"{where}: value") if len(ends) > 1 else None,
        )


def _axis(document: Json, where: str) -> Axis:
    least, most = (_number(document, key, where) if document.get(key) is not None else None for key in ("min", "max"))
    return Axis(str(document.get("label") or ""), least, most, document.get("showUnits", True) is not False)


def _period(document: Json, where: str) -> int | None:
    period = document.get("period")
    if period is None:
        return None
    if isinstance(period, bool) or not isinstance(period, int | float) or period < 1 or period != int(period):
        raise ToolkitError(f"{where}: period is {period!r}, allowed are whole seconds from 1")
    return int(period)


def _colour(document: Json, default: str) -> str:
    """Only what is surely a colour goes into a picture: CloudWatch takes the six digits of HTML."""
    given = str(document.get("color") or "")
    return given if _COLOUR.fullmatch(given) else default


def _object(document: Json, key: str, where: str) -> Json:
    value = document.get(key) or {}
    if not isinstance(value, Mapping):
        raise ToolkitError(f"{where}: {key} is {value!r}, an object is needed")
    return value


def _number(document: Json, key: str, where: str) -> float:
    value = document.get(key)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ToolkitError(f"{where}: {key} is {value!r}, a number is needed")
    return float(value)


def _whole(document: Json, key: str, where: str, default: int, least: int, most: int | None) -> int:
    value = document.get(key)
    if value is None:
        return default
    allowed = f"from {least}" if most is None else f"{least} to {most}"
    if isinstance(value, bool) or not isinstance(value, int | float) or value != int(value):
        raise ToolkitError(f"{where}: {key} is {value!r}, allowed are whole numbers {allowed}")
    if value < least or (most is not None and value > most):
        raise ToolkitError(f"{where}: {key} is {value}, allowed are whole numbers {allowed}")
    return int(value)
