"""The state of a metric alarm: at an instant (`evaluate`) and over time (`history`).

Both put the same question to the same function, `decide`: given the data points of the evaluation range, of which each
breaches, does not breach or is missing, what is the state? The rules are those of the Amazon CloudWatch user guide,
"Alarm evaluation" and "Configuring how CloudWatch alarms treat missing data"; each is named where it is applied.

Where the guide is silent:

- It gives 5 as the evaluation range of an alarm on 3 data points, and says that the real range depends on the period.
  It is `EVALUATION_RANGE_EXTRA` periods more than are evaluated, always.
- An alarm is evaluated at the whole minute, on everything that has its timestamp before it: neither the second of the
  minute at which CloudWatch gets round to an alarm nor the delay with which metrics arrive is modelled. Beside this the
  alarm is taken to have been there for long: no warm-up.
- For alarms on AWS/DynamoDB the API reference (PutMetricAlarm, `TreatMissingData`) and the guide contradict each other;
  see `missing_rule`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import IntEnum
from functools import lru_cache, partial
from math import gcd, isnan
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from observability.errors import ToolkitError
from observability.math import Program, compile_queries
from observability.model import DAY, HOUR, MINUTE, Comparison, MetricAlarm, Missing, Query, State
from observability.reasons import Reading, reason, reason_data
from observability.store import Grid, MetricStore

__all__ = [
    "EVALUATION_RANGE_EXTRA",
    "Change",
    "Code",
    "Reading",
    "Verdict",
    "decide",
    "evaluate",
    "evaluation_step",
    "history",
    "missing_rule",
]

EVALUATION_RANGE_EXTRA: Final = 2
"""Periods that are looked at beyond the evaluation periods, in case some data points are missing: 5 for 3 in the
guide's tables ("How alarm state is evaluated when data is missing")."""

HIGH_RESOLUTION: Final = (10, 20, 30)
HIGH_RESOLUTION_STEP: Final = 10

IGNORED_ALWAYS: Final = "AWS/DynamoDB"

Flags = NDArray[np.bool_]
Codes = NDArray[np.int8]
Counts = NDArray[np.int8] | NDArray[np.int32]
Values = NDArray[np.float64]

_MOST_IN_A_BYTE: Final = 127
_CELLS: Final = 1 << 22  # data points laid out at a time for math that is not pointwise: bounds the memory
_BREACHES: Final[Mapping[Comparison, Callable[..., Flags]]] = {
    Comparison.ABOVE: np.greater,
    Comparison.AT_LEAST: np.greater_equal,
    Comparison.BELOW: np.less,
    Comparison.AT_MOST: np.less_equal,
}


class Code(IntEnum):
    """What the data points of an evaluation range come to: a state, or that it stays as it is."""

    OK = 0
    INSUFFICIENT_DATA = 1
    KEEP = 2
    ALARM = 3


_EXPLAINED: Final = ("reason", "readings", "reason_data")
_CODES: Final = {state: Code[state.name] for state in State}
_STATES: Final[Mapping[int, State]] = {int(code): state for state, code in _CODES.items()}


@dataclass(frozen=True, slots=True)
class Verdict:
    """What an evaluation comes to.

    Attributes:
        readings: the data points that were evaluated, newest first; those without a value are missing ones that were
            filled in, or would have been.
        reason, reason_data: as CloudWatch's `StateReason` and `StateReasonData`. Where the state is kept CloudWatch
            writes nothing; here it says why.
    """

    state: State
    reason: str
    readings: tuple[Reading, ...]
    reason_data: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Change:
    """A change of an alarm's state at the epoch second `at`; the rest as in `Verdict`."""

    alarm: str
    at: int
    before: State
    after: State
    reason: str
    readings: tuple[Reading, ...] = ()
    reason_data: Mapping[str, Any] | None = None
    _why: Callable[[], Verdict] | None = field(default=None, repr=False, compare=False)

    @classmethod
    def because(cls, alarm: str, at: int, before: State, after: State, why: Callable[[], Verdict]) -> Change:
        """A change that is explained when somebody asks: to word a reason takes longer than to find the change."""
        change = object.__new__(cls)
        for name, value in (("alarm", alarm), ("at", at), ("before", before), ("after", after), ("_why", why)):
            object.__setattr__(change, name, value)
        return change

    def __getattr__(self, name: str) -> Any:
        # Called for what has not been set, which is what `because` leaves out.
        if name not in _EXPLAINED or self._why is None:
            raise AttributeError(name, name=name, obj=self)
        verdict = self._why()
        for each in _EXPLAINED:
            object.__setattr__(self, each, getattr(verdict, each))
        return getattr(verdict, name)


def evaluation_step(alarm: MetricAlarm) -> int:
    """Seconds from one evaluation to the next ("Alarm evaluation settings"): a minute; 10 s for periods of 10, 20 and
    30 s; an hour where the evaluation periods come to more than a day, which then see data up to the whole hour."""
    if alarm.period in HIGH_RESOLUTION:
        return HIGH_RESOLUTION_STEP
    return HOUR if alarm.period * alarm.evaluation_periods > DAY else MINUTE


def missing_rule(alarm: MetricAlarm) -> Missing:
    """What CloudWatch makes of missing data. An alarm on AWS/DynamoDB ignores it, whatever the alarm says
    (PutMetricAlarm, `TreatMissingData`). The user guide has since called that a default, which an alarm may override;
    the API reference, which has not, is followed."""
    on_dynamodb = any(stat.key.namespace == IGNORED_ALWAYS for stat in alarm.metrics)
    return Missing.IGNORE if on_dynamodb else alarm.missing


def decide(
    breaching: Flags,
    present: Flags,
    *,
    needed: int,
    periods: int,
    missing: Missing,
    unsure: Flags | None = None,
) -> Codes:
    """What the data points of an evaluation range come to.

    - The most recent `periods` data points that exist are evaluated, from as far back in the range as need be. Missing
      ones are filled in only where there are fewer ("How alarm state is evaluated when data is missing").
    - ALARM when at least `needed` of them breach, filled-in ones included if they count as breaching.
    - Where missing data says nothing (`missing`, `ignore`), one data point that does not breach makes it OK. If there
      is none, the few that breach do not suffice: `ignore` keeps the state; `missing` is ALARM if the oldest of them is
      at least `needed` periods old ("Avoiding premature transitions to alarm state"), else INSUFFICIENT_DATA.

    Args:
        breaching, present: shape (..., range), oldest first. One that is missing does not breach.
        unsure: data points from too few samples to go by; where one would be evaluated the state is kept
            (`EvaluateLowSampleCountPercentile`). None where there are none.

    Returns:
        `Code`s of shape (...).
    """
    span = present.shape[-1]
    taken: Counts = np.zeros(present.shape[:-1], np.int8 if span <= _MOST_IN_A_BYTE else np.int32)
    breaches = np.zeros_like(taken)
    doubtful = np.zeros(taken.shape, np.bool_)
    for age in range(span):
        here, bad = present[..., span - 1 - age], breaching[..., span - 1 - age]
        if age >= periods:
            wanted = taken < periods
            if not wanted.any():
                break
            here, bad = here & wanted, bad & wanted
        # Flags are counted as the bytes that they are: to add them as truth values takes ten times as long.
        taken += here.view(np.int8)
        breaches += bad.view(np.int8)
        if unsure is not None:
            doubtful |= here & unsure[..., span - 1 - age]
    alarm = (breaches + (periods - taken) if missing is Missing.BREACHING else breaches) >= needed
    codes = np.asarray(alarm.view(np.int8) * np.int8(Code.ALARM))
    if missing in (Missing.IGNORE, Missing.MISSING):
        undecided = ~alarm & (taken == breaches)
        if missing is Missing.IGNORE:
            codes[undecided] = Code.KEEP
        elif undecided.any():
            # The first of equal values is the oldest data point; where there is none, so is one that does not count.
            oldest = np.where(taken > 0, span - np.argmax(present, axis=-1), 0)[undecided]
            codes[undecided] = np.where(oldest >= needed, Code.ALARM, Code.INSUFFICIENT_DATA)
    if unsure is not None:
        codes[doubtful] = Code.KEEP
    return codes


def evaluate(
    alarm: MetricAlarm,
    store: MetricStore,
    at: int | datetime,
    previous_state: State = State.INSUFFICIENT_DATA,
) -> Verdict:
    """The alarm's state as of an evaluation at `at` (epoch seconds or aware datetime).

    The newest data point covers the last `period` seconds up to the evaluation: at the end of minute 6 an alarm on
    5 minutes looks at minutes 2 to 6. Between two evaluations (see `evaluation_step`) the earlier one counts.

    Args:
        previous_state: the state so far, which is kept where the rules say so. A new alarm has INSUFFICIENT_DATA.

    Raises:
        ToolkitError: the alarm has an expression that cannot be evaluated, or a window that is not modelled.
    """
    step = evaluation_step(alarm)
    seconds = at if isinstance(at, int) else int(at.timestamp())
    instant = seconds // step * step
    values, codes = _decided(alarm, store, Grid(instant, alarm.period, 1))
    return _verdict(alarm, instant, values[0], int(codes[0]), previous_state)


def history(
    alarm: MetricAlarm,
    store: MetricStore,
    start: int,
    end: int,
    *,
    initial: State = State.INSUFFICIENT_DATA,
) -> list[Change]:
    """The alarm's changes of state after `start` up to and including `end` (epoch seconds), in the order of time: what
    `evaluate` at every evaluation in between, each handed the state before it, would come to.

    Args:
        initial: the state at `start`.

    Raises:
        ToolkitError: as `evaluate`.
    """
    step = evaluation_step(alarm)
    first = (start // step + 1) * step
    count = (end - first) // step + 1
    if count <= 0:
        return []
    values, codes = _decided(alarm, store, Grid(first, step, count))
    states = _carried(codes, _CODES[initial])
    before = np.concatenate((np.array([_CODES[initial]], np.int8), states[:-1]))
    changed = np.flatnonzero(states != before)
    # A state that is kept does not change, so that the code of a change is its state.
    columns = (first + step * changed, before[changed], codes[changed])
    return [
        Change.because(
            alarm.name, at, _STATES[was], _STATES[code], partial(_verdict, alarm, at, row, code, _STATES[was])
        )
        for row, at, was, code in zip(values[changed], *(column.tolist() for column in columns), strict=True)
    ]


def _decided(alarm: MetricAlarm, store: MetricStore, instants: Grid) -> tuple[Values, Codes]:
    """The evaluation ranges of evaluations and what they come to.

    Returns:
        The alarm's data points, of shape (evaluations, range), oldest first and NaN where there is none; codes of shape
        (evaluations,).
    """
    _refuse_wall_clock(alarm)
    span = alarm.evaluation_periods + EVALUATION_RANGE_EXTRA
    # Data points are worked out once, on a grid fine enough to hold every evaluation and every period back from it.
    fine = gcd(instants.step, alarm.period)
    stride, lag = instants.step // fine, alarm.period // fine
    grid = Grid(instants.first - (span - 1) * alarm.period, fine, (instants.count - 1) * stride + (span - 1) * lag + 1)

    def ranges(points: NDArray[Any]) -> NDArray[Any]:
        """Views: (evaluations, range) of what is one after the other."""
        points = np.ascontiguousarray(points)
        size = points.itemsize
        return np.ndarray((instants.count, span), points.dtype, points, strides=(stride * size, lag * size))

    program = _program(alarm.queries)
    arrays = {query.id: store.values(query.stat, grid) for query in program.metrics if query.stat}
    starts = grid.ends - alarm.period
    if program.pointwise:
        points = program.alarm(arrays, starts, alarm.period)
        values, breaching, present = map(ranges, (points, _breaching(alarm, points), ~np.isnan(points)))
    else:
        windows = {name: ranges(array) for name, array in arrays.items()}
        values = _in_chunks(program, windows, ranges(starts), alarm.period)
        breaching, present = _breaching(alarm, values), ~np.isnan(values)
    codes = decide(
        breaching,
        present,
        needed=alarm.datapoints_to_alarm,
        periods=alarm.evaluation_periods,
        missing=missing_rule(alarm),
        unsure=_unsure(alarm, store, grid, ranges),
    )
    return values, codes


def _verdict(alarm: MetricAlarm, at: int, row: Values, code: int, previous: State) -> Verdict:
    """What the evaluation range `row`, decided as `code`, is told as."""
    state = _STATES.get(code, previous)
    readings = _readings(alarm, at, row.tolist())
    return Verdict(
        state=state,
        reason=reason(alarm, state, readings, missing_rule(alarm), kept=code == Code.KEEP),
        readings=readings,
        reason_data=reason_data(alarm, at, readings),
    )


def _readings(alarm: MetricAlarm, at: int, row: Sequence[float]) -> tuple[Reading, ...]:
    """Existing data points first, and as many of the missing ones as it takes; newest first."""
    newest_first = [None if isnan(value) else value for value in reversed(row)]
    existing_first = sorted(range(len(row)), key=lambda age: newest_first[age] is None)
    ages = sorted(existing_first[: alarm.evaluation_periods])
    return tuple(Reading(at - (age + 1) * alarm.period, newest_first[age]) for age in ages)


@lru_cache(maxsize=1024)
def _program(queries: tuple[Query, ...]) -> Program:
    return compile_queries(queries)


def _breaching(alarm: MetricAlarm, points: Values) -> Flags:
    return _BREACHES[alarm.comparison](points, alarm.threshold)


def _in_chunks(program: Program, windows: Mapping[str, Values], starts: NDArray[np.int64], period: int) -> Values:
    """The program's result for every evaluation range on its own."""
    result: Values = np.empty(starts.shape)
    rows = max(1, _CELLS // starts.shape[-1])
    for begin in range(0, len(starts), rows):
        part = slice(begin, begin + rows)
        result[part] = program.alarm({name: array[part] for name, array in windows.items()}, starts[part], period)
    return result


def _unsure(
    alarm: MetricAlarm, store: MetricStore, grid: Grid, ranges: Callable[[NDArray[Any]], NDArray[Any]]
) -> Flags | None:
    """Data points of too few samples, for an alarm that does not go by those."""
    sensitive: Sequence[Flags] = ()
    if alarm.low_samples == "ignore":
        sensitive = [store.samples_low(stat, grid) for stat in alarm.metrics if stat.statistic.samples_needed]
    return ranges(np.logical_or.reduce(sensitive)) if sensitive else None


def _carried(codes: Codes, initial: Code) -> Codes:
    """The codes with every KEEP replaced by what was before it."""
    kept = codes == Code.KEEP
    if not kept.any():
        return codes
    latest = np.maximum.accumulate(np.where(kept, 0, np.arange(1, len(codes) + 1)))
    return np.concatenate((np.array([initial], np.int8), codes))[latest]


def _refuse_wall_clock(alarm: MetricAlarm) -> None:
    if "WallClockWindow" in (alarm.document.get("EvaluationWindow") or {}):
        raise ToolkitError(
            f"alarm {alarm.name}: EvaluationWindow is a WallClockWindow, and only sliding windows are evaluated here",
            "Leave the alarm out, or give it a sliding window.",
        )
