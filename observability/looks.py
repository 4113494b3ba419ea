"""What alarms and dashboards look at: every metric, with its statistic, and where it is looked at."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from observability.dashboards.body import Widget, read_graph, read_widgets
from observability.errors import ToolkitError
from observability.model import Dashboard, MetricAlarm, MetricKey, MetricStat
from observability.sources import Estate


@dataclass(frozen=True, slots=True)
class Look:
    """One look of an alarm or a graph at one metric."""

    where: str
    stat: MetricStat
    alarm: MetricAlarm | None = None

    @property
    def key(self) -> MetricKey:
        return self.stat.key


def looks(estate: Estate) -> list[Look]:
    """Everything that alarms and dashboards look at; graphs that cannot be read are left out."""
    alarms = [alarm for alarm in estate.alarms if isinstance(alarm, MetricAlarm)]
    found = [Look(f"alarm {alarm.name}", stat, alarm) for alarm in alarms for stat in alarm.metrics]
    for dashboard in estate.dashboards:
        found += _looks_of(dashboard)
    return found


def _looks_of(dashboard: Dashboard) -> Iterator[Look]:
    try:
        widgets = read_widgets(dashboard)
    except ToolkitError:
        return
    for widget in widgets:
        if widget.kind != "metric":
            continue
        try:
            entries = read_graph(without_alarms(widget)).entries
        except ToolkitError:
            continue
        yield from (Look(place_of(widget, dashboard), entry.query.stat) for entry in entries if entry.query.stat)


def place_of(widget: Widget, dashboard: Dashboard) -> str:
    """What to call a widget."""
    return f"dashboard {dashboard.name}, {widget.title!r}" if widget.title else widget.where


def without_alarms(widget: Widget) -> Widget:
    """The widget without the alarms that it draws: they are looked at as alarms."""
    annotations = {key: value for key, value in (widget.properties.get("annotations") or {}).items() if key != "alarms"}
    properties = {**widget.properties, "annotations": annotations}
    return Widget(widget.kind, widget.x, widget.y, widget.width, widget.height, properties, widget.where)
