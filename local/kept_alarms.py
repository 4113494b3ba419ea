"""What the emulator forgets of an alarm that it is given: it stays as PutMetricAlarm and PutCompositeAlarm had it.

Without these fields DescribeAlarms would tell of other alarms than were made, and an engine that compares the two would
find a change at every run. They are kept and told; the emulator still judges no metric math and suppresses nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, Final

Json = dict[str, Any]

METRIC: Final = ("Metrics", "EvaluateLowSampleCountPercentile", "ThresholdMetricId")
COMPOSITE: Final = ("ActionsSuppressor", "ActionsSuppressorWaitPeriod", "ActionsSuppressorExtensionPeriod")
OF_ONE_METRIC: Final = ("MetricName", "Namespace", "Statistic", "ExtendedStatistic", "Period", "Dimensions")
"""What AWS does not tell of an alarm on metric math; the emulator makes defaults up."""


def install() -> None:
    """Have the emulator in this process keep them. Called before it serves."""
    from ministack.services import cloudwatch  # noqa: PLC0415 - reads its settings from the environment on import

    cloudwatch._put_metric_alarm = _keeping(cloudwatch._put_metric_alarm, cloudwatch._alarms, METRIC)
    cloudwatch._put_composite_alarm = _keeping(cloudwatch._put_composite_alarm, cloudwatch._composite_alarms, COMPOSITE)


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
