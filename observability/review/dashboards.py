"""What a change does to dashboards, in words and as pictures."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from observability.dashboards import render
from observability.dashboards.body import Widget, read_widgets
from observability.errors import ToolkitError
from observability.incidents import Incident
from observability.model import Dashboard
from observability.review.differences import ABSENT, Edit, edits
from observability.series import MONDAY
from observability.sources import Estate
from observability.store import MetricStore

SCALE: Final = 1.0
"""Pixels of a picture for each of the dashboard: enough to see what moved, and small enough to be looked at."""


@dataclass(frozen=True, slots=True)
class WidgetChange:
    """What became of a widget; `edits` are of its properties and its place, and empty where it is new or gone."""

    title: str
    kind: str
    what: str
    edits: tuple[Edit, ...] = ()


@dataclass(frozen=True, slots=True)
class DashboardChange:
    """What became of a dashboard. `problem`: why its widgets cannot be compared."""

    name: str
    before: Dashboard | None
    after: Dashboard | None
    widgets: tuple[WidgetChange, ...] = ()
    edits: tuple[Edit, ...] = ()
    problem: str = ""

    @property
    def what(self) -> str:
        return "changed" if self.before and self.after else "added" if self.after else "removed"


@dataclass(frozen=True, slots=True)
class Canvas:
    """What pictures are drawn from, and what one has to know of it."""

    store: MetricStore
    end: int
    note: str


@dataclass(frozen=True, slots=True)
class Picture:
    """A dashboard as a PNG; `problem`: why there is none."""

    name: str
    png: bytes = b""
    problem: str = ""


def dashboard_changes(before: Estate, after: Estate) -> tuple[DashboardChange, ...]:
    """The dashboards that are not what they were, by name."""
    ours, theirs = ({each.name: each for each in estate.dashboards} for estate in (before, after))
    found = [_compared(name, ours.get(name), theirs.get(name)) for name in sorted({*ours, *theirs})]
    return tuple(each for each in found if each.before != each.after)


def canvas(incidents: Sequence[Incident], estate: Estate) -> Canvas:
    """The series of the incident that measures most of what there is to draw, the first of several; none at all, where
    there are no incidents."""
    if not incidents:
        return Canvas(MetricStore(), MONDAY, "There is nothing to draw: without incidents the graphs are empty.")
    incident = max(incidents, key=lambda each: len(_measures(each)))
    store = MetricStore()
    frame = incident.frame
    incident.series.fill(store, frame.start, frame.length, step=frame.step, before=frame.before)
    wanted = {stat.key for alarm in estate.alarms for stat in getattr(alarm, "metrics", ())}
    note = f"Drawn with the made-up series of the incident “{incident.title}”."
    if not wanted & {*store.keys()}:
        note += " They are of another stack, so the graphs are empty."
    return Canvas(store, incident.end, note)


def picture(dashboard: Dashboard, estate: Estate, on: Canvas) -> Picture:
    """A dashboard as the console would show it."""
    try:
        return Picture(dashboard.name, render(dashboard, on.store, end=on.end, alarms=estate.alarms).png(scale=SCALE))
    except ToolkitError as error:
        return Picture(dashboard.name, problem=str(error))


def _measures(incident: Incident) -> set[Any]:
    found, series = set(incident.series.series), incident.series.base
    while series:
        found |= series.series.keys()
        series = series.base
    return found


def _compared(name: str, before: Dashboard | None, after: Dashboard | None) -> DashboardChange:
    if before is None or after is None or before == after:
        return DashboardChange(name, before, after)
    try:
        ours, theirs = ([*read_widgets(each)] for each in (before, after))
    except ToolkitError as error:
        return DashboardChange(name, before, after, problem=str(error))
    one, other = ({key: value for key, value in each.body.items() if key != "widgets"} for each in (before, after))
    return DashboardChange(name, before, after, tuple(_widgets(ours, theirs)), tuple(edits(one, other)))


def _widgets(before: Sequence[Widget], after: Sequence[Widget]) -> Iterator[WidgetChange]:
    """Widgets are the same if they are of one kind and title (the nth of such); text without a title if it is alike."""
    ours, theirs = _named(before), _named(after)
    for name, widget in theirs.items():
        if name not in ours:
            yield WidgetChange(_title(widget), widget.kind, "added")
            continue
        found = [*_of_widget(ours[name], widget)]
        if found:
            yield WidgetChange(_title(widget), widget.kind, "changed", tuple(found))
    for name, widget in ours.items():
        if name not in theirs:
            yield WidgetChange(_title(widget), widget.kind, "removed")


def _named(widgets: Sequence[Widget]) -> dict[tuple[str, str, int], Widget]:
    seen: Counter[tuple[str, str]] = Counter()
    found = {}
    for widget in widgets:
        name = (widget.kind, widget.title or _first_line(widget))
        found[*name, seen[name]] = widget
        seen[name] += 1
    return found


def _of_widget(before: Widget, after: Widget) -> Iterator[Edit]:
    """The size matters; where it stands follows from what was put above it."""
    if (before.width, before.height) != (after.width, after.height):
        yield Edit("size", f"{before.width} x {before.height}", f"{after.width} x {after.height}")
    ours, theirs = dict(before.properties), dict(after.properties)
    if "metrics" in ours and "metrics" in theirs:
        yield from _lines(*([_metric(each) for each in of.pop("metrics")] for of in (ours, theirs)))
    yield from edits(ours, theirs)


def _lines(before: list[str], after: list[str]) -> Iterator[Edit]:
    """What became of the lines of a graph; one that shows the same metric as one before it is that one, changed."""
    gone = [each for each in before if each not in after]
    for line in (each for each in after if each not in before):
        same = next((each for each in gone if each.split()[:2] == line.split()[:2]), None)
        if same is not None:
            gone.remove(same)
        yield Edit("line", ABSENT if same is None else same, line)
    yield from (Edit("line", each, ABSENT) for each in gone)


def _metric(entry: Any) -> str:
    """An entry of the metrics array in one line: the metric, then its options."""
    if not isinstance(entry, list):
        return json.dumps(entry, sort_keys=True)
    names = [str(each) for each in entry if not isinstance(each, dict)]
    looks = {key: value for each in entry if isinstance(each, dict) for key, value in each.items()}
    options = ", ".join(f"{key} {value}" for key, value in sorted(looks.items()) if key not in {"color", "visible"})
    return " ".join(names) + (f" ({options})" if options else "")


def _title(widget: Widget) -> str:
    return widget.title or _first_line(widget) or widget.kind


def _first_line(widget: Widget) -> str:
    text = str(widget.properties.get("markdown") or "")
    return next((re.sub(r"[#*`]", "", line).strip() for line in text.splitlines() if line.strip()), "")
