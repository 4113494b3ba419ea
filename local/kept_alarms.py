"""Alarms in the emulator: as they were made, and judged by nobody but `watcher.py`.

What the emulator forgets of an alarm that it is given is kept: without these fields DescribeAlarms would tell of other
alarms than were made, and an engine that compares the two would find a change at every run.

Its own evaluation, which knows neither dimensions nor m of n nor metric math, is switched off. SetAlarmState by hand
works as the emulator has it: it tells the alarm's topics and moves the composites above. Where MAILROOM_WATCHED is set
it does neither, as the watcher will; and the watcher's own changes, which it makes by SetAlarmState with the time in a
header, become state and history of that time.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from functools import wraps
from typing import Any, Final

Json = dict[str, Any]

VARIABLE: Final = "MAILROOM_WATCHED"
CHANGED_AT: Final = "x-mailroom-changed-at"
"""Of a change that the watcher makes: when it happened by CloudWatch's clock, in epoch seconds."""

METRIC: Final = ("Metrics", "EvaluateLowSampleCountPercentile", "ThresholdMetricId")
COMPOSITE: Final = ("ActionsSuppressor", "ActionsSuppressorWaitPeriod", "ActionsSuppressorExtensionPeriod")
OF_ONE_METRIC: Final = ("MetricName", "Namespace", "Statistic", "ExtendedStatistic", "Period", "Dimensions")
"""What AWS does not tell of an alarm on metric math; the emulator makes defaults up."""

_changed_at: ContextVar[int | None] = ContextVar("changed_at", default=None)


def install() -> None:
    """Change the emulator in this process. Called before it serves."""
    from ministack import app  # noqa: PLC0415 - reads its settings from the environment on import
    from ministack.services import cloudwatch  # noqa: PLC0415

    cloudwatch._put_metric_alarm = _keeping(cloudwatch._put_metric_alarm, cloudwatch._alarms, METRIC)
    cloudwatch._put_composite_alarm = _keeping(cloudwatch._put_composite_alarm, cloudwatch._composite_alarms, COMPOSITE)
    cloudwatch._evaluate_alarm = _nothing
    if os.environ.get(VARIABLE):
        cloudwatch._dispatch_alarm_actions = _nothing
        cloudwatch._evaluate_parent_alarms = _nothing
        cloudwatch._set_alarm_state = _dated(cloudwatch._set_alarm_state, cloudwatch)
        app.SERVICE_HANDLERS["monitoring"] = _with_time(app.SERVICE_HANDLERS["monitoring"])


def _keeping(put: Callable[..., Any], alarms: Any, fields: tuple[str, ...]) -> Callable[..., Any]:
    @wraps(put)
    def kept(params: Json, request: Json, *protocol: Any) -> Any:
        answer = put(params, request, *protocol)
        # Clients of the query protocol send no `request`; no SDK in use here speaks it to CloudWatch.
        alarm = alarms.get(request.get("AlarmName", ""))
        if alarm is not None and answer[0] == 200:
            alarm.update({name: request[name] for name in fields if name in request})
            if request.get("Metrics"):
                for name in OF_ONE_METRIC:
                    alarm.pop(name, None)
            elif request.get("ExtendedStatistic"):
                alarm.pop("Statistic", None)
        return answer

    return kept


def _nothing(*_: Any, **__: Any) -> None:
    """In place of what another does."""


def _with_time(handle: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(handle)
    async def with_time(method: str, path: str, headers: Mapping[str, str], *rest: Any) -> Any:
        at = headers.get(CHANGED_AT)
        _changed_at.set(int(at) if at else None)
        return await handle(method, path, headers, *rest)

    return with_time


def _dated(set_state: Callable[..., Any], cloudwatch: Any) -> Callable[..., Any]:
    @wraps(set_state)
    def dated(params: Json, request: Json, *protocol: Any) -> Any:
        before = len(cloudwatch._history_entries())
        answer = set_state(params, request, *protocol)
        at, name = _changed_at.get(), request.get("AlarmName", "")
        alarm = cloudwatch._alarms.get(name) or cloudwatch._composite_alarms.get(name)
        if at is not None and alarm is not None:
            alarm["StateUpdatedTimestamp"] = alarm["StateTransitionedTimestamp"] = at
            for entry in cloudwatch._history_entries()[before:]:
                entry["Timestamp"] = cloudwatch._ts_iso(at)
        return answer

    return dated
