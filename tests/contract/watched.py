"""What alarms and dashboards look at, as the program registered them; and what is wrong with it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from handlers.telemetry.contract import NAMESPACE
from tests.components.recorder import Recorder
from tests.contract.aws_metrics import AWS_METRICS

# Which resources' names a dimension's value has to be one of: their type, and the output that holds the name.
NAMED_BY: Mapping[str, tuple[str, str]] = {
    "FunctionName": ("Function", "name"),
    "QueueName": ("Queue", "name"),
    "TopicName": ("Topic", "name"),
    "TableName": ("Table", "name"),
}
OPERATIONS = frozenset({"UpdateItem", "GetItem", "Query"})
"""The calls of the handlers (components: the statements of their roles)."""

Shape = tuple[str, frozenset[str]]
"""A metric of ours: its name, and the names of its dimensions."""


@dataclass(frozen=True)
class Look:
    """One look at a metric."""

    where: str
    namespace: str
    metric: str
    dimensions: Mapping[str, str]
    statistic: str


def looks(recorder: Recorder) -> list[Look]:
    """Everything that alarms and dashboards look at."""
    return [*_alarms(recorder), *_dashboards(recorder)]


def wrongs(
    found: Iterable[Look], *, emitted: Mapping[str, frozenset[str]], stack: str, names: set[str]
) -> Iterator[str]:
    """What would never have a point, or mean something else.

    Args:
        emitted: our metrics as handlers emitted them: name to names of dimensions.
        names: of the resources that there are.
    """
    for look in found:
        asked = f"{look.where} looks at {look.namespace} {look.metric} by {dict(look.dimensions)}"
        if look.namespace == NAMESPACE:
            if look.metric not in emitted:
                yield f"{asked}, which no handler emits"
            elif emitted[look.metric] != frozenset(look.dimensions):
                yield f"{asked}, and handlers emit it by {sorted(emitted[look.metric])}"
            elif look.dimensions != {"Stack": stack}:
                yield f"{asked}, and this stack is {stack}"
            continue
        known = AWS_METRICS.get((look.namespace, look.metric))
        if known is None:
            yield f"{asked}, which is not in tests/contract/aws_metrics.py"
            continue
        if known.dimensions != frozenset(look.dimensions):
            yield f"{asked}, and AWS publishes it by {sorted(known.dimensions)}"
        if look.statistic not in known.statistics:
            yield f"{asked}: its {look.statistic} says nothing"
        for dimension, value in look.dimensions.items():
            if value not in (names if dimension in NAMED_BY else OPERATIONS):
                yield f"{asked}, and there is no {dimension} {value}"


def names_of(recorder: Recorder) -> set[str]:
    """The physical names, as the recorder gives them, of what a dimension may name."""
    return {resource.name for kind, _ in NAMED_BY.values() for resource in recorder.all(kind)}


def _alarms(recorder: Recorder) -> Iterator[Look]:
    for alarm in recorder.all("MetricAlarm"):
        if "metricName" in alarm.inputs:
            yield _look(alarm.name, alarm.inputs, alarm.inputs.get("statistic") or alarm.inputs["extendedStatistic"])
        for query in alarm.inputs.get("metricQueries", []):
            if "metric" in query:
                yield _look(alarm.name, query["metric"], query["metric"]["stat"])


def _look(where: str, metric: Mapping[str, Any], statistic: str) -> Look:
    return Look(where, metric["namespace"], metric["metricName"], metric.get("dimensions", {}), statistic)


def _dashboards(recorder: Recorder) -> Iterator[Look]:
    for dashboard in recorder.all("Dashboard"):
        for widget in dashboard.document("dashboardBody")["widgets"]:
            for entry in widget["properties"].get("metrics", []):
                if isinstance(entry[0], str):
                    *named, options = entry
                    namespace, metric, *pairs = named
                    dimensions = dict(zip(pairs[::2], pairs[1::2], strict=True))
                    where = f"{dashboard.name}, {widget['properties']['title']!r}"
                    yield Look(where, namespace, metric, dimensions, options["stat"])
