"""Why an alarm is in its state, in CloudWatch's words and in its JSON.

No page of AWS documents the wording. It follows reasons of the real service that others have published (2017 to 2026),
of which tests/observability/test_reasons.py has one of each kind.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final

from observability.model import Comparison, MetricAlarm, Missing, State

_COMPARED: Final[Mapping[Comparison, str]] = {
    Comparison.ABOVE: "greater than",
    Comparison.AT_LEAST: "greater than or equal to",
    Comparison.BELOW: "less than",
    Comparison.AT_MOST: "less than or equal to",
}
_BREACHES: Final[Mapping[Comparison, Callable[[float, float], bool]]] = {
    Comparison.ABOVE: operator.gt,
    Comparison.AT_LEAST: operator.ge,
    Comparison.BELOW: operator.lt,
    Comparison.AT_MOST: operator.le,
}
_TREATED: Final[Mapping[Missing, str]] = {Missing.BREACHING: "Breaching", Missing.NOT_BREACHING: "NonBreaching"}


@dataclass(frozen=True, slots=True)
class Reading:
    """A data point: `time` is the start of its period in epoch seconds; `value` is None where it is missing."""

    time: int
    value: float | None


def breaches(alarm: MetricAlarm, value: float) -> bool:
    """Whether a data point of this value breaches the alarm's threshold."""
    return _BREACHES[alarm.comparison](value, alarm.threshold)


def reason(alarm: MetricAlarm, state: State, readings: Sequence[Reading], missing: Missing, *, kept: bool) -> str:
    """`StateReason` of an alarm that is in `state` because of `readings`, newest first.

    Args:
        missing: the rule for missing data that was applied.
        kept: whether the state stays because nothing could be said. CloudWatch then says nothing; the words are ours.
    """
    gaps = sum(reading.value is None for reading in readings)
    if kept:
        why = f"{_points(gaps, 'missing ')} {_were(gaps)} ignored" if gaps else "there are too few samples"
        return f"State kept: {why}."
    if state is State.INSUFFICIENT_DATA:
        return f"Insufficient Data: {_points(gaps)} {_were(gaps)} unknown."
    real = [reading for reading in readings if reading.value is not None]
    told = [each for each in real if each.value is not None and breaches(alarm, each.value) == (state is State.ALARM)]
    treated = _treated(gaps, missing)
    if not told:
        periods = alarm.evaluation_periods
        return (
            f"Threshold Crossed: {_points(len(real)) if real else 'no datapoints'} {_were(len(real))} received for"
            f" {periods} period{'' if periods == 1 else 's'}{treated}."
        )
    listed = ", ".join(f"{number(each.value)} ({_day(each.time)})" for each in told)
    # An alarm that names no DatapointsToAlarm gets the shorter sentence.
    of_n = alarm.document.get("DatapointsToAlarm") is not None
    count = f"{len(told)} out of the last {alarm.evaluation_periods} datapoints" if of_n else _points(len(told))
    return (
        f"Threshold Crossed: {count} [{listed}] {_were(len(told))}{'' if state is State.ALARM else ' not'}"
        f" {_COMPARED[alarm.comparison]} the threshold ({number(alarm.threshold)}){treated}"
        f"{_minimum(alarm, state) if of_n else ''}."
    )


def reason_data(alarm: MetricAlarm, at: int, readings: Sequence[Reading]) -> dict[str, Any]:
    """`StateReasonData` (version 1.0) before it is made JSON. `sampleCount`, which CloudWatch adds to the data points
    of an alarm on one metric, is left out."""
    real = [reading for reading in readings if reading.value is not None]
    stat = alarm.returned.stat
    return {
        "version": "1.0",
        "queryDate": _stamp(at),
        **({"startDate": _stamp(real[-1].time)} if real else {}),
        **({"unit": stat.unit} if stat and stat.unit else {}),
        **({"statistic": stat.statistic.text} if stat else {}),
        "period": alarm.period,
        "recentDatapoints": [reading.value for reading in reversed(real)],
        "threshold": alarm.threshold,
        "evaluatedDatapoints": [
            {"timestamp": _stamp(each.time), **({} if each.value is None else {"value": each.value})}
            for each in readings
        ],
    }


def number(value: float | None) -> str:
    """A number as CloudWatch writes it, which is as Java does: `5.0`, `1.0E-5`, `4.32E7`."""
    if value is None:
        return "-"
    if value == 0 or 1e-3 <= abs(value) < 1e7:
        return repr(float(value))
    exact = Decimal(repr(float(value))).normalize()
    exponent = exact.adjusted()
    mantissa = str(exact.scaleb(-exponent))
    return f"{mantissa}{'' if '.' in mantissa else '.0'}E{exponent}"


def _treated(gaps: int, missing: Missing) -> str:
    if not gaps or missing not in _TREATED:
        return ""
    return f" and {_points(gaps, 'missing ')} {_were(gaps)} treated as [{_TREATED[missing]}]"


def _minimum(alarm: MetricAlarm, state: State) -> str:
    m, n = alarm.datapoints_to_alarm, alarm.evaluation_periods
    least, turn = (m, "OK -> ALARM") if state is State.ALARM else (n - m + 1, "ALARM -> OK")
    return f" (minimum {_points(least)} for {turn} transition)"


def _points(count: int, kind: str = "") -> str:
    return f"{count} {kind}datapoint{'' if count == 1 else 's'}"


def _were(count: int) -> str:
    return "was" if count == 1 else "were"


def _day(time: int) -> str:
    return f"{datetime.fromtimestamp(time, UTC):%d/%m/%y %H:%M:%S}"


def _stamp(time: int) -> str:
    return f"{datetime.fromtimestamp(time, UTC).isoformat()[:19]}.000+0000"
