"""A stack's alarms as a table that a reviewer reads: what, how bad, when exactly, and what silence means."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from handlers.telemetry.contract import AlarmCard
from tests.components.recorder import Recorder, Resource

SIGNS: Mapping[str, str] = {
    "GreaterThanThreshold": ">",
    "GreaterThanOrEqualToThreshold": "≥",
    "LessThanThreshold": "<",
}


def alarm_table(recorder: Recorder) -> str:
    """Every alarm and composite of a recorded program, sorted by name."""
    spoken_for = {part.split('"')[0]: alarm.name for alarm in recorder.all("CompositeAlarm") for part in _quoted(alarm)}
    rows = [_metric_row(alarm, spoken_for) for alarm in recorder.all("MetricAlarm")]
    rows += [_composite_row(alarm) for alarm in recorder.all("CompositeAlarm")]
    head = ["alarm", "severity", "in ALARM when", "for", "without data", "tells"]
    return "\n".join(_line(row) for row in [head, ["---"] * len(head), *sorted(rows)]) + "\n"


def _metric_row(alarm: Resource, spoken_for: Mapping[str, str]) -> list[str]:
    inputs = alarm.inputs
    card = AlarmCard.parse(inputs["alarmDescription"])
    queries = {query["id"]: query for query in inputs.get("metricQueries", [])}
    if queries:
        metrics = {id_: each["metric"] for id_, each in queries.items() if "metric" in each}
        series = [f"{id_} = {_series(metric, metric['stat'])}" for id_, metric in metrics.items()]
        signal = f"`{queries['result']['expression']}` with {', '.join(series)}"
        period = next(metric["period"] for metric in metrics.values())
    else:
        signal = _series(inputs, inputs.get("statistic") or inputs["extendedStatistic"])
        period = inputs["period"]
    return [
        alarm.name,
        card.severity,
        f"{signal} {SIGNS[inputs['comparisonOperator']]} {inputs['threshold']:,.10g}",
        f"{inputs['datapointsToAlarm']:g} of {inputs['evaluationPeriods']:g} x {_duration(period)}",
        card.missing,
        spoken_for.get(inputs["name"]) or _told(inputs),
    ]


def _composite_row(alarm: Resource) -> list[str]:
    card = AlarmCard.parse(alarm.inputs["alarmDescription"])
    suppressor = (alarm.inputs.get("actionsSuppressor") or {}).get("alarm")
    told = _told(alarm.inputs) + (f", not behind {suppressor}" if suppressor else "")
    rule = alarm.inputs["alarmRule"].replace('ALARM("', "").replace('")', "")
    return [alarm.name, card.severity, rule, "", "", told]


def _quoted(alarm: Resource) -> list[str]:
    rule: str = alarm.inputs["alarmRule"]
    return rule.split('ALARM("')[1:]


def _series(metric: Mapping[str, Any], statistic: str) -> str:
    dimensions = ", ".join(f"{name} {value}" for name, value in sorted(metric.get("dimensions", {}).items()))
    return f"{statistic} of {metric['namespace']} {metric['metricName']}" + (f" ({dimensions})" if dimensions else "")


def _told(inputs: Mapping[str, Any]) -> str:
    return ", ".join(topic.rsplit(":", 1)[-1] for topic in inputs.get("alarmActions", [])) or "nobody"


def _duration(seconds: float) -> str:
    for unit, size in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds % size == 0:
            return f"{seconds // size:g} {unit}"
    return f"{seconds} s"


def _line(cells: list[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
