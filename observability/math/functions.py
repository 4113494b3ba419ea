"""Operators and functions of metric math, over arrays.

A time series (TS) is a float64 array of shape (..., n): the last axis is time, oldest first, NaN is a time without a
data point; leading axes are evaluations that do not know of each other. A scalar (S) is a number, or an array of shape
(..., 1) where it differs between evaluations; NaN is no value. An array of time series (TS[]) is a tuple of lines.

Source: "Using math expressions with CloudWatch metrics", its tables of operators and functions. What the page says of
missing data, and what follows from it:

- Between two time series, a time at which only one has a point takes the other as 0; where neither has, there is none.
  So it is for arithmetic, comparison and logic.
- A number next to a time series makes no points: there are those of the series.
- A point that would need a division by zero is dropped. So is what is no number, such as LOG of a negative value.
- SUM and AVG, of one series over time as of several at a time, take missing values as 0; hence the page's advice to use
  `SUM(m1) / DATAPOINT_COUNT(m1)` for the average of a sparse metric. MIN, MAX and STDDEV look at the points there are.
- STDDEV divides by the number of points: the page speaks of all of them, not of a sample.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import partial, reduce
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from observability.math.errors import MathError
from observability.statistics import Values

MINUTE: Final = 60
HOUR: Final = 60 * MINUTE
DAY: Final = 24 * HOUR


class Kind(StrEnum):
    """What a value is, by the page's abbreviations."""

    S = "S"
    TS = "TS"
    ARRAY = "TS[]"


@dataclass(frozen=True, slots=True)
class Line:
    """A time series and what a graph calls it."""

    label: str
    values: Values


Lines = tuple[Line, ...]
Value = Any  # float, Values or Lines, as the Kind says that was worked out beforehand


@dataclass(frozen=True, slots=True)
class Frame:
    """Where an expression is evaluated.

    Attributes:
        starts: epoch seconds at which the windows of the data points begin, shape (..., n).
        period: their seconds.
        shape: of every time series, (..., n).
        values: results by Id of those queries that came before.
    """

    starts: NDArray[Any]
    period: int
    shape: tuple[int, ...]
    values: dict[str, Value]


@dataclass(frozen=True, slots=True)
class Form:
    """One way to call a function.

    Attributes:
        takes: of each argument a Kind, `metric` (the Id of a metric, not of an expression), or the words allowed with
            `|` between them.
        run: from the frame and the arguments to the result; words come as text.
        pointwise: whether a point of the result depends on points of the same time alone.
    """

    takes: tuple[str, ...]
    gives: Kind
    run: Callable[..., Value]
    pointwise: bool = True

    def __str__(self) -> str:
        return f"({', '.join(self.takes)})"


# Operators


def _zero(values: Values) -> Values:
    gaps = np.isnan(values)
    return np.where(gaps, 0.0, values) if gaps.any() else values


def _finite(values: Any) -> Any:
    # 0 times NaN or infinity is NaN: adding it costs a fraction of a choice by mask.
    return values + values * 0.0


def _joined(operation: Callable[[Any, Any], Any], left: Values, right: Values) -> Values:
    """Of two time series: a time that only one has takes the other as 0."""
    result: Values = operation(_zero(left), _zero(right))
    gaps = np.isnan(left) & np.isnan(right)
    return np.where(gaps, np.nan, result) if gaps.any() else result


def _divided(left: Any, right: Any) -> Any:
    return _finite(np.divide(left, right))


def _quotient(left: Values, right: Values) -> Values:
    """Of two time series: a divisor that is missing is 0, so its time is dropped like one that has no point at all."""
    result: Values = _divided(_zero(left), right)
    return result


def _raised(left: Any, right: Any) -> Any:
    return _finite(np.power(left, right))


def _told(test: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """A test as a number, 0 or 1, and no value where a side has none."""
    return lambda left, right: test(left, right) + left * 0.0 + right * 0.0


def _both(left: Any, right: Any) -> Any:
    return np.not_equal(left, 0) & np.not_equal(right, 0)


def _either(left: Any, right: Any) -> Any:
    return np.not_equal(left, 0) | np.not_equal(right, 0)


_OPERATIONS: Final[Mapping[str, Callable[[Any, Any], Any]]] = {
    "+": np.add,
    "-": np.subtract,
    "*": np.multiply,
    "/": _divided,
    "^": _raised,
    "==": _told(np.equal),
    "!=": _told(np.not_equal),
    "<": _told(np.less),
    "<=": _told(np.less_equal),
    ">": _told(np.greater),
    ">=": _told(np.greater_equal),
    "AND": _told(_both),
    "OR": _told(_either),
}
_OF_SERIES: Final[Mapping[str, Callable[[Values, Values], Values]]] = {
    **{symbol: partial(_joined, operation) for symbol, operation in _OPERATIONS.items()},
    "/": _quotient,
}
_ARITHMETIC: Final = frozenset("+-*/^")


def operator(symbol: str, left: Kind, right: Kind) -> Form | None:
    """How an operator works on two kinds of values; None where CloudWatch documents no such pair."""
    match left, right:
        case Kind.TS, Kind.TS:
            joined = _OF_SERIES[symbol]
            return Form((left, right), Kind.TS, lambda _, a, b: joined(a, b))
        case Kind.ARRAY, Kind.ARRAY:
            return None
        case (Kind.ARRAY, _) | (_, Kind.ARRAY) if symbol not in _ARITHMETIC:
            return None
        case Kind.ARRAY, _:
            inner = _sure(operator(symbol, Kind.TS, right)).run
            return Form((left, right), left, lambda frame, a, b: _mapped(lambda each: inner(frame, each, b), a))
        case _, Kind.ARRAY:
            inner = _sure(operator(symbol, left, Kind.TS)).run
            return Form((left, right), right, lambda frame, a, b: _mapped(lambda each: inner(frame, a, each), b))
        case _:
            operation = _OPERATIONS[symbol]
            kind = Kind.S if left == right == Kind.S else Kind.TS
            return Form((left, right), kind, lambda _, a, b: operation(a, b))


def _sure(form: Form | None) -> Form:
    assert form is not None
    return form


def negative(kind: Kind) -> Form:
    """Unary minus."""
    if kind is Kind.ARRAY:
        return Form((kind,), kind, lambda _, lines: _mapped(np.negative, lines))
    return Form((kind,), kind, lambda _, value: np.negative(value))


def _mapped(change: Callable[[Values], Values], lines: Lines) -> Lines:
    return tuple(Line(line.label, change(line.values)) for line in lines)


# Of one series over time


def _sum(values: Values) -> Values:
    total: Values = np.nansum(values, axis=-1, keepdims=True)
    return total


def _average(values: Values) -> Values:
    average: Values = _sum(values) / values.shape[-1]
    return average


def _least(values: Values) -> Values:
    least: Values = np.fmin.reduce(values, axis=-1, keepdims=True)
    return least


def _most(values: Values) -> Values:
    most: Values = np.fmax.reduce(values, axis=-1, keepdims=True)
    return most


def _count(values: Values) -> Values:
    return np.add.reduce(~np.isnan(values), axis=-1, keepdims=True, dtype=np.float64)


def _deviation(values: Values) -> Values:
    count = _count(values)
    return np.sqrt(_sum((values - _sum(values) / count) ** 2) / np.where(count, count, np.nan))


# Of several series at a time


def _across(over_time: Callable[[Values], Values]) -> Callable[[Frame, Lines], Values]:
    """The same over several series at each time: there is a point where one of them has one."""

    def across(frame: Frame, lines: Lines) -> Values:
        if not lines:
            return _nothing(frame)
        stacked = _stack(frame, lines)
        return np.where(np.isnan(stacked).all(axis=-1), np.nan, over_time(stacked)[..., 0])

    return across


def _folded(fold: Callable[[Any, Any], Values]) -> Callable[[Frame, Lines], Values]:
    """As `_across`, for what can be done two by two, without laying out all."""
    return lambda frame, lines: reduce(fold, (line.values for line in lines)) if lines else _nothing(frame)


def _nothing(frame: Frame) -> Values:
    return np.full(frame.shape, np.nan)


def _average_of(frame: Frame, lines: Lines) -> Values:
    total: Values = _total_of(frame, lines) / max(len(lines), 1)
    return total


def _stack(frame: Frame, lines: Lines) -> Values:
    return np.stack([np.broadcast_to(line.values, frame.shape) for line in lines], axis=-1)


_total_of: Final = _folded(partial(_joined, np.add))


# Over time, point by point


def _seen(values: Values) -> NDArray[np.intp]:
    """Of each time the index of the latest point up to it, itself included; -1 before the first."""
    places = np.where(np.isnan(values), -1, np.arange(values.shape[-1]))
    return np.maximum.accumulate(places, axis=-1)


def _at(values: Any, places: NDArray[np.intp]) -> Values:
    """Values at indices along time; NaN for those outside."""
    last = values.shape[-1] - 1
    taken = np.take_along_axis(np.broadcast_to(values, places.shape), np.clip(places, 0, max(last, 0)), axis=-1)
    return np.where((places < 0) | (places > last), np.nan, taken)


def _before(values: Values) -> NDArray[np.intp]:
    """Of each time the index of the latest point before it; -1 where there is none."""
    none = np.full((*values.shape[:-1], min(values.shape[-1], 1)), -1)
    return np.concatenate([none, _seen(values)[..., :-1]], axis=-1)


def _difference(_: Frame, values: Values) -> Values:
    return values - _at(values, _before(values))


def _elapsed(frame: Frame, values: Values) -> Values:
    starts = np.broadcast_to(frame.starts, frame.shape).astype(np.float64)
    points = np.where(np.isnan(values), np.nan, starts)
    return points - _at(points, _before(points))


def _rate(frame: Frame, values: Values) -> Values:
    return _difference(frame, values) / _elapsed(frame, values)


def _running(_: Frame, values: Values) -> Values:
    return np.where(np.isnan(values), np.nan, np.cumsum(_zero(values), axis=-1))


# FILL


def _filled(_: Frame, values: Values, filler: Any) -> Values:
    gaps = np.isnan(values)
    return np.where(gaps, filler, values) if gaps.any() else values


def _bridged(_: Frame, values: Values, way: str) -> Values:
    """Gaps filled from the points around them: where one side has none, nothing is known and the gap stays."""
    before = _seen(values)
    earlier = _at(values, before)
    if way == "REPEAT":
        return earlier
    last = values.shape[-1] - 1
    after = last - _seen(values[..., ::-1])[..., ::-1]
    share = (np.arange(values.shape[-1]) - before) / np.maximum(after - before, 1)
    bridged: Values = earlier + (_at(values, after) - earlier) * share
    return bridged


# IF


def _chosen(_: Frame, condition: Any, yes: Any, no: Any = np.nan) -> Values:
    result: Values = np.where(np.not_equal(condition, 0), yes, no) + condition * 0.0
    return result


def _chosen_or_zero(frame: Frame, condition: Values, yes: Values, no: Any = np.nan) -> Values:
    """Where a condition that is a series is true and `yes` has no point, the result is 0 ("Using IF expressions")."""
    result = _chosen(frame, condition, yes, no)
    lost = np.isnan(result)
    lost &= np.abs(condition) > 0  # false where the condition has no point, unlike != 0
    return np.where(lost, 0.0, result) if lost.any() else result


# Times


def _moment(read: Callable[[NDArray[Any]], NDArray[Any]]) -> Callable[[Frame, Values], Values]:
    """A number from the time of each data point (UTC), at every time, whether the series has a point or not."""

    def moment(frame: Frame, _: Values) -> Values:
        return np.broadcast_to(read(np.asarray(frame.starts, dtype=np.int64)).astype(np.float64), frame.shape)

    return moment


def _unit(seconds: NDArray[Any], unit: str) -> NDArray[Any]:
    whole: NDArray[Any] = seconds.astype("datetime64[s]").astype(f"datetime64[{unit}]")
    return whole


def _date(seconds: NDArray[Any]) -> NDArray[Any]:
    into: NDArray[Any] = _unit(seconds, "D") - _unit(seconds, "M").astype("datetime64[D]")
    return into.astype(np.int64) + 1


_TIMES: Final[Mapping[str, Callable[[NDArray[Any]], NDArray[Any]]]] = {
    "MINUTE": lambda seconds: seconds // MINUTE % 60,
    "HOUR": lambda seconds: seconds // HOUR % 24,
    "DAY": lambda seconds: (seconds // DAY + 3) % 7 + 1,  # Monday is 1; the epoch began on a Thursday
    "DATE": _date,
    "MONTH": lambda seconds: _unit(seconds, "M").astype(np.int64) % 12 + 1,
    "YEAR": lambda seconds: _unit(seconds, "Y").astype(np.int64) + 1970,
    "EPOCH": lambda seconds: seconds,
}


# Arrays of series

_ORDERED_BY: Final[Mapping[str, Callable[[Values], Values]]] = {
    "AVG": _average,
    "MIN": _least,
    "MAX": _most,
    "SUM": _sum,
}


def _sorted(frame: Frame, lines: Lines, by: str, order: str, limit: Any = None) -> Lines:
    """Series without a point come last, either way. Labels go with their series only where there is one evaluation."""
    if not lines:
        return lines
    keys = _ORDERED_BY[by](_stack(frame, lines).swapaxes(-1, -2))[..., 0]
    places = np.argsort(-keys if order == "DESC" else keys, axis=-1, kind="stable")
    ranked = np.take_along_axis(_stack(frame, lines), places[..., np.newaxis, :], axis=-1)
    labels = [lines[place].label for place in places] if places.ndim == 1 else [""] * len(lines)
    found = tuple(Line(label, ranked[..., rank]) for rank, label in enumerate(labels))
    return found if limit is None else found[: _position(limit)]


def _sliced(_: Frame, lines: Lines, first: Any, end: Any = None) -> Lines:
    return lines[_position(first) : None if end is None else _position(end)]


def _position(value: Any) -> int:
    number = float(np.asarray(value).item())
    if not (number >= 0 and number.is_integer()):
        raise MathError(f"{number:g} is no place in an array, allowed are whole numbers from 0")
    return int(number)


def _one(frame: Frame, lines: Lines, place: int) -> Values:
    return lines[place].values if lines else _nothing(frame)


# The table


def _each(change: Callable[[Frame, Values], Values], *, pointwise: bool = True) -> tuple[Form, ...]:
    def every(frame: Frame, lines: Lines) -> Lines:
        return _mapped(partial(change, frame), lines)

    return (
        Form((Kind.TS,), Kind.TS, change, pointwise),
        Form((Kind.ARRAY,), Kind.ARRAY, every, pointwise),
    )


def _values(change: Callable[[Values], Values]) -> tuple[Form, ...]:
    return _each(lambda _, values: change(values))


def _reduced(over_time: Callable[[Values], Values], over_series: Callable[[Frame, Lines], Values]) -> tuple[Form, ...]:
    return (
        Form((Kind.TS,), Kind.S, lambda _, values: over_time(values), pointwise=False),
        Form((Kind.ARRAY,), Kind.TS, over_series),
    )


def _fillings() -> tuple[Form, ...]:
    ways: tuple[tuple[str, Callable[..., Values], bool], ...] = (
        (Kind.S, _filled, True),
        (Kind.TS, _filled, True),
        ("REPEAT|LINEAR", _bridged, False),
    )

    def every(fill: Callable[..., Values]) -> Callable[..., Lines]:
        return lambda frame, lines, filler: _mapped(lambda each: fill(frame, each, filler), lines)

    return (
        *(Form((Kind.TS, by), Kind.TS, fill, pointwise) for by, fill, pointwise in ways),
        *(Form((Kind.ARRAY, by), Kind.ARRAY, every(fill), pointwise) for by, fill, pointwise in ways),
    )


def _choices() -> tuple[Form, ...]:
    series = tuple(
        Form((Kind.TS, yes, *no), Kind.TS, _chosen_or_zero if yes is Kind.TS else _chosen)
        for yes in (Kind.TS, Kind.S)
        for no in ((), (Kind.TS,), (Kind.S,))
    )
    # A condition that is one number chooses between whole series, with the gaps that they have.
    number = tuple(Form((Kind.S, Kind.TS, *no), Kind.TS, _chosen) for no in ((), (Kind.TS,)))
    return series + number


_LIMITED: Final = ("AVG|MIN|MAX|SUM", "ASC|DESC")

FUNCTIONS: Final[Mapping[str, tuple[Form, ...]]] = {
    "ABS": _values(np.abs),
    "AVG": _reduced(_average, _average_of),
    "CEIL": _values(np.ceil),
    "DATAPOINT_COUNT": _reduced(_count, _across(_count)),
    "DIFF": _each(_difference, pointwise=False),
    "DIFF_TIME": _each(_elapsed, pointwise=False),
    "FILL": _fillings(),
    "FIRST": (Form((Kind.ARRAY,), Kind.TS, lambda frame, lines: _one(frame, lines, 0)),),
    "FLOOR": _values(np.floor),
    "IF": _choices(),
    "LAST": (Form((Kind.ARRAY,), Kind.TS, lambda frame, lines: _one(frame, lines, -1)),),
    "LOG": _values(lambda values: _finite(np.log(values))),
    "LOG10": _values(lambda values: _finite(np.log10(values))),
    "MAX": _reduced(_most, _folded(np.fmax)),
    "METRIC_COUNT": (Form((Kind.ARRAY,), Kind.S, lambda _, lines: float(len(lines))),),
    "MIN": _reduced(_least, _folded(np.fmin)),
    "PERIOD": (Form(("metric",), Kind.S, lambda frame, _: float(frame.period)),),
    "RATE": _each(_rate, pointwise=False),
    "REMOVE_EMPTY": (
        Form(
            (Kind.ARRAY,),
            Kind.ARRAY,
            lambda _, lines: tuple(line for line in lines if not np.isnan(line.values).all()),
            pointwise=False,
        ),
    ),
    "RUNNING_SUM": _each(_running, pointwise=False),
    "SLICE": (
        Form((Kind.ARRAY, Kind.S), Kind.ARRAY, _sliced),
        Form((Kind.ARRAY, Kind.S, Kind.S), Kind.ARRAY, _sliced),
    ),
    "SORT": (
        Form((Kind.ARRAY, *_LIMITED), Kind.ARRAY, _sorted, pointwise=False),
        Form((Kind.ARRAY, *_LIMITED, Kind.S), Kind.ARRAY, _sorted, pointwise=False),
    ),
    "STDDEV": _reduced(_deviation, _across(_deviation)),
    "SUM": _reduced(_sum, _total_of),
    "TIME_SERIES": (Form((Kind.S,), Kind.TS, lambda frame, value: np.broadcast_to(value, frame.shape)),),
    **{name: (Form((Kind.TS,), Kind.TS, _moment(read)),) for name, read in _TIMES.items()},
}

# What CloudWatch can answer and this cannot, by what it would need.
REFUSED: Final[Mapping[str, str]] = {
    "ANOMALY_DETECTION_BAND": "it needs a model that CloudWatch has trained",
    "DB_PERF_INSIGHTS": "it asks Performance Insights of a database",
    "INSIGHT_RULE_METRIC": "it asks a rule of Contributor Insights",
    "LAMBDA": "it calls a Lambda function of the account",
    "SEARCH": "it searches the metrics of the account",
    "SERVICE_QUOTA": "it asks for a quota of the account",
}
