"""Metrics in memory: what was put, and what a statistic makes of it period by period.

A store answers as GetMetricData does: a point belongs to the window in which its timestamp lies, the timestamp rounded
down to the minute, or to the second for a metric of high resolution. Order of arrival does not matter: the same points
give the same numbers, to the last bit.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import gcd
from typing import Any, Final

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from observability.errors import ToolkitError
from observability.model import MINUTE, MetricKey, MetricStat
from observability.statistics import Samples, Values, rank, reduce

Times = NDArray[np.int64]

LARGEST: Final = 2.0**360  # PutMetricData, `MetricDatum`: values lie within -2^360 and 2^360, and are finite.
LATEST: Final = 2.0**53  # beyond it a float does not tell one second from the next
RESOLUTIONS: Final = (1, MINUTE)

_REMEDIES: Final = {
    "time": "Times are epoch seconds.",
    "count": "A value occurs once or more often; what did not occur is left out.",
    "value": "CloudWatch takes numbers from -2^360 to 2^360; where there is no data point, nothing is put.",
}
_CHUNK: Final = 1 << 18  # samples laid out at a time for statistics of single values: bounds the memory


@dataclass(frozen=True, slots=True)
class Grid:
    """The instants at which windows end: `first`, `first + step` ... `count` of them, in epoch seconds. Windows
    overlap where the step is smaller than the period."""

    first: int
    step: int
    count: int

    @property
    def ends(self) -> Times:
        return self.first + self.step * np.arange(self.count, dtype=np.int64)


@dataclass(frozen=True, slots=True)
class _Rows:
    """Points as columns: each is `counts` samples with that sum, lowest and highest value."""

    times: Times
    counts: Values
    totals: Values
    minima: Values
    maxima: Values

    @classmethod
    def joined(cls, parts: Sequence[_Rows]) -> _Rows:
        return parts[0] if len(parts) == 1 else cls(*map(np.concatenate, zip(*(p.columns for p in parts), strict=True)))

    @property
    def columns(self) -> tuple[NDArray[Any], ...]:
        return self.times, self.counts, self.totals, self.minima, self.maxima

    def sorted(self) -> _Rows:
        """By time, and within one time by the other columns: sums of floats depend on the order."""
        if _rises(self.times):
            return self
        order = np.lexsort((self.totals, self.counts, self.minima, self.maxima, self.times))
        return _Rows(*(column[order] for column in self.columns))

    def grouped(self, labels: Times) -> tuple[_Rows, Times]:
        """Sorted rows, one for each label of those that do not fall, and the labels."""
        if _rises(labels):
            return self, labels
        starts = np.flatnonzero(np.concatenate(([True], labels[1:] != labels[:-1])))
        grouped = _Rows(
            self.times[starts],
            np.add.reduceat(self.counts, starts),
            np.add.reduceat(self.totals, starts),
            np.minimum.reduceat(self.minima, starts),
            np.maximum.reduceat(self.maxima, starts),
        )
        return grouped, labels[starts]

    @property
    def unknown(self) -> NDArray[np.int64]:
        """Rows of which the single values are not known, counted up to each row: int64[rows + 1]. They are known where
        all samples of a row are one value."""
        off = np.abs(self.totals - self.minima * self.counts) > 1e-12 * np.abs(self.totals)
        return np.concatenate(([0], np.cumsum((self.minima != self.maxima) | off)))


@dataclass(frozen=True, slots=True)
class _Index:
    """Rows of distinct, rising times; `spacing` is the seconds between neighbours where it is one number throughout."""

    rows: _Rows
    spacing: int | None

    @classmethod
    def of(cls, rows: _Rows) -> _Index:
        rows, _ = rows.grouped(rows.times)
        gaps = np.diff(rows.times)
        return cls(rows, int(gaps[0]) if gaps.size and (gaps == gaps[0]).all() else None)

    def within(self, start: int, end: int) -> _Index:
        low, high = np.searchsorted(self.rows.times, (start, end))
        return _Index(_Rows(*(column[low:high] for column in self.rows.columns)), self.spacing)

    def bucketed(self, start: int, width: int) -> tuple[_Rows, slice | Times]:
        """A row for each bucket of `width` seconds that has one, and which buckets those are, counted from `start`."""
        rows = self.rows
        if self.spacing == width and rows.times.size:
            first = int(rows.times[0] - start) // width
            return rows, slice(first, first + rows.times.size)
        return rows.grouped((rows.times - start) // width)


class _Series:
    """Points of one metric. What is derived from them is made at the first reading after the last point."""

    __slots__ = ("_index", "_parts", "_sorted")

    def __init__(self, parts: Sequence[_Rows] = ()) -> None:
        self._parts = list(parts)
        self._sorted: _Rows | None = None
        self._index: _Index | None = None

    @property
    def parts(self) -> tuple[_Rows, ...]:
        return tuple(self._parts)

    def add(self, rows: _Rows) -> None:
        self._parts.append(rows)
        self._sorted = self._index = None

    @property
    def rows(self) -> _Rows:
        if self._sorted is None:
            self._sorted = _Rows.joined(self._parts).sorted()
            self._parts = [self._sorted]
        return self._sorted

    @property
    def index(self) -> _Index:
        if self._index is None:
            self._index = _Index.of(self.rows)
        return self._index


class MetricStore:
    """Series by namespace, name, dimensions and unit.

    A reading without a unit takes the points of all units together. CloudWatch leaves open what an alarm does where one
    metric has several (PutMetricAlarm, `Unit`); `units` says whether that is so.
    """

    def __init__(self) -> None:
        self._series: dict[MetricKey, dict[str, _Series]] = {}
        self._together: dict[MetricKey, _Series] = {}

    @classmethod
    def merged(cls, *stores: MetricStore) -> MetricStore:
        """A store of the points of all; the stores themselves stay as they are."""
        together = cls()
        for store in stores:
            together.add(store)
        return together

    def add(self, other: MetricStore) -> None:
        """Add the points of another store, which stays as it is."""
        for key, units in other._series.items():
            for unit, series in units.items():
                for rows in series.parts:
                    self._add(key, unit, rows)

    def put(
        self,
        key: MetricKey,
        times: float | Sequence[float] | NDArray[Any],
        values: float | Sequence[float] | Values,
        counts: float | Sequence[float] | Values | None = None,
        *,
        unit: str = "None",
        resolution: int = MINUTE,
    ) -> None:
        """Add values, of which each occurred `counts` times (once, if it is left out). A single time, or a single
        count, goes for all values.

        Args:
            times: epoch seconds; rounded down to `resolution`, which is 1 or 60 s (`StorageResolution`).

        Raises:
            ToolkitError: lengths differ, or a number is one that CloudWatch refuses.
        """
        given = [
            np.atleast_1d(np.asarray(each, np.float64)) for each in (times, values, 1 if counts is None else counts)
        ]
        try:
            when, what, often = np.broadcast_arrays(*given)
        except ValueError:
            sizes = ", ".join(str(each.size) for each in given)
            raise ToolkitError(f"{key}: times, values and counts differ in number ({sizes})") from None
        self._put(key, (when, often, what * often, what, what), unit, resolution)

    def put_statistics(
        self,
        key: MetricKey,
        time: float,
        *,
        total: float,
        minimum: float,
        maximum: float,
        count: float,
        unit: str = "None",
        resolution: int = MINUTE,
    ) -> None:
        """Add a `StatisticSet`: what `count` samples come to, without the samples.

        Statistics that need the single values are not to be had of a period in which there is one, unless its samples
        are all one value (GetMetricStatistics).

        Raises:
            ToolkitError: a number is one that CloudWatch refuses.
        """
        if minimum > maximum:
            raise ToolkitError(f"{key}: a statistic set has Minimum {minimum:g}, above its Maximum {maximum:g}")
        columns = (np.array([each], dtype=np.float64) for each in (time, count, total, minimum, maximum))
        self._put(key, tuple(columns), unit, resolution)

    def values(self, stat: MetricStat, grid: Grid) -> Values:
        """The statistic in the window of `stat.period` seconds up to each of the grid's instants: float64[count], NaN
        where there is no data point."""
        series = self._find(stat.key, stat.unit)
        if series is None or not grid.count:
            return np.full(grid.count, np.nan)
        if stat.statistic.needs_values:
            return _of_single_values(stat, series.rows, grid)
        return _BASIC[stat.statistic.family](_Windows(series.index, grid, stat.period))

    def samples_low(self, stat: MetricStat, grid: Grid) -> NDArray[np.bool_]:
        """Where a percentile rests on too few samples to be significant ("Percentile-based alarms and low data
        samples"): bool[count]. False where there is no data point, and for every other statistic."""
        series = self._find(stat.key, stat.unit)
        if series is None or not grid.count or not stat.statistic.samples_needed:
            return np.zeros(grid.count, dtype=np.bool_)
        low: NDArray[np.bool_] = _counts(_Windows(series.index, grid, stat.period)) < stat.statistic.samples_needed
        return low

    def keys(self) -> tuple[MetricKey, ...]:
        """Every metric that has a point, sorted."""
        return tuple(sorted(self._series))

    def units(self, key: MetricKey) -> tuple[str, ...]:
        """The units in which the metric has points, sorted; empty if it has none."""
        return tuple(sorted(self._series.get(key, ())))

    def span(self) -> tuple[int, int] | None:
        """Timestamps of the first and the last point of all, rounded down as CloudWatch does; None if there is none."""
        bounds = [(rows.times.min(), rows.times.max()) for rows in self._all()]
        return (int(min(low for low, _ in bounds)), int(max(high for _, high in bounds))) if bounds else None

    def _all(self) -> Iterator[_Rows]:
        return (rows for units in self._series.values() for series in units.values() for rows in series.parts)

    def _put(self, key: MetricKey, columns: tuple[Values, ...], unit: str, resolution: int) -> None:
        if resolution not in RESOLUTIONS:
            raise ToolkitError(f"{key}: StorageResolution is {resolution}, allowed are 1 and {MINUTE}")
        times, counts, *values = columns
        for name, column, usable in (
            ("time", times, np.abs(times) <= LATEST),
            ("count", counts, np.isfinite(counts) & (counts > 0)),
            *(("value", column, np.abs(column) <= LARGEST) for column in values),
        ):
            if not usable.all():
                raise ToolkitError(f"{key}: {column[~usable][0]:g} cannot be a {name}", _REMEDIES[name])
        if times.size:
            rounded = np.floor(times / resolution).astype(np.int64) * resolution
            # Copies: what the caller does with its arrays afterwards is its own affair.
            self._add(key, unit, _Rows(rounded, *(np.array(column) for column in (counts, *values))))

    def _add(self, key: MetricKey, unit: str, rows: _Rows) -> None:
        self._series.setdefault(key, {}).setdefault(unit, _Series()).add(rows)
        self._together.pop(key, None)

    def _find(self, key: MetricKey, unit: str | None) -> _Series | None:
        units = self._series.get(key, {})
        if unit is not None or len(units) < 2:
            return units.get(unit) if unit is not None else next(iter(units.values()), None)
        if key not in self._together:
            self._together[key] = _Series([series.rows for series in units.values()])
        return self._together[key]


# Windows


class _Windows:
    """The windows of a grid over the points of a metric.

    Time is cut into buckets of which every window is a whole number, so what a window holds is the reduction of
    neighbouring buckets.
    """

    def __init__(self, index: _Index, grid: Grid, period: int) -> None:
        # A single window needs no finer cut than itself.
        width = gcd(grid.step, period) if grid.count > 1 else period
        start = grid.first - period
        self._length = period // width
        self._stride = max(1, grid.step // width)
        self._buckets = self._length + self._stride * (grid.count - 1)
        self._rows, self._where = index.within(start, start + self._buckets * width).bucketed(start, width)
        self._full = self._rows.times.size == self._buckets

    def counts(self) -> Values:
        """Samples in each window, 0 where there is none."""
        return self._over(np.add, self._rows.counts, 0.0)

    def totals(self) -> Values:
        """Sum of each window, 0 where there is none."""
        return self._over(np.add, self._rows.totals, 0.0)

    def extremes(self, operation: np.ufunc, column: Values, nothing: float) -> Values:
        """`np.minimum` or `np.maximum` of each window, NaN where there is none."""
        found = self._over(operation, column, nothing)
        return found if self._full else np.where(np.isinf(found), np.nan, found)

    def minima(self) -> Values:
        return self.extremes(np.minimum, self._rows.minima, np.inf)

    def maxima(self) -> Values:
        return self.extremes(np.maximum, self._rows.maxima, -np.inf)

    def without_empty(self, found: Values) -> Values:
        """NaN in the windows that hold no data point."""
        if self._full:
            return found
        held = self._over(np.logical_or, np.ones(self._rows.times.size, dtype=np.bool_), False)
        return np.where(held, found, np.nan)

    def _over(self, operation: np.ufunc, column: NDArray[Any], nothing: float) -> NDArray[Any]:
        buckets = column
        if not self._full:
            buckets = np.full(self._buckets, nothing, dtype=column.dtype)
            buckets[self._where] = column
        return slide(operation, buckets, self._length)[:: self._stride]


def slide(operation: np.ufunc, values: NDArray[Any], length: int) -> NDArray[Any]:
    """The reduction of every `length` neighbours: one number for each place where so many begin.

    Blocks of 1, 2, 4 ... neighbours are made of the ones before, and a window of those that `length` is the sum of: N
    log(length) steps, each over the whole array. Nothing is ever subtracted, as it is where windows are differences of
    running sums, so a large value leaves no rounding error in the windows after it.
    """
    count = len(values) - length + 1
    # Two buffers in turn: fresh memory at every step costs more than the arithmetic.
    result, buffers = np.empty(count, values.dtype), np.empty((2, len(values)), values.dtype)
    block, size, done = values, 1, 0
    while True:
        if length & size:
            part = block[done : done + count]
            if done:
                operation(result, part, out=result)
            else:
                result[:] = part
            done += size
        if done == length:
            return result
        block = operation(block[:-size], block[size:], out=buffers[0, : len(block) - size])
        buffers = buffers[::-1]
        size *= 2


def _counts(windows: _Windows) -> Values:
    return windows.without_empty(windows.counts())


def _sums(windows: _Windows) -> Values:
    return windows.without_empty(windows.totals())


def _averages(windows: _Windows) -> Values:
    with np.errstate(invalid="ignore"):
        average: Values = windows.totals() / windows.counts()
    return average


_BASIC: Final = {
    "SampleCount": _counts,
    "Sum": _sums,
    "Average": _averages,
    "Minimum": _Windows.minima,
    "Maximum": _Windows.maxima,
}


def _of_single_values(stat: MetricStat, rows: _Rows, grid: Grid) -> Values:
    ends = grid.ends
    low, high = np.searchsorted(rows.times, ends - stat.period), np.searchsorted(rows.times, ends)
    unknown = rows.unknown
    usable = np.flatnonzero((high > low) & (unknown[high] == unknown[low]))
    result = np.full(grid.count, np.nan)
    if usable.size:
        sizes = (high - low)[usable]
        alike = usable[sizes == np.bincount(sizes).argmax()]
        if (ranked := _ranked(stat, rows, low[alike], int((high - low)[alike[0]]))) is not None:
            result[alike] = ranked
            usable = np.setdiff1d(usable, alike, assume_unique=True)
    # Windows of one size together, as many at a time as there is room for.
    usable = usable[np.argsort((high - low)[usable], kind="stable")]
    sizes = (high - low)[usable]
    begin = 0
    while begin < usable.size:
        room = np.arange(1, usable.size - begin + 1) * sizes[begin:] <= _CHUNK
        end = begin + max(1, int(np.count_nonzero(room)))
        chosen = usable[begin:end]
        result[chosen] = reduce(stat.statistic, _samples(rows, low[chosen], high[chosen]))
        begin = end
    return result


def _ranked(stat: MetricStat, rows: _Rows, low: NDArray[np.intp], size: int) -> Values | None:
    """The common case, a percentile of windows of as many single samples each: the one of its rank, with no need to
    sort the others. None where it is not so."""
    place, within = rank(stat.statistic, size), slice(low.min(), low.max() + size)
    if place is None or (rows.counts[within] != 1).any() or (rows.minima[within] < 0).any():
        return None
    if place == size:
        return slide(np.maximum, rows.minima, size)[low]
    windows = sliding_window_view(rows.minima, size)
    at_a_time = max(1, _CHUNK // size)
    parts = (low[begin : begin + at_a_time] for begin in range(0, low.size, at_a_time))
    return np.concatenate([np.partition(windows[part], place - 1, axis=1)[:, place - 1] for part in parts])


def _samples(rows: _Rows, low: NDArray[np.intp], high: NDArray[np.intp]) -> Samples:
    """The samples of rows `low` to `high` of each window, ascending; windows side by side."""
    place = low + np.arange((high - low).max())[:, None]
    inside = place < high
    place = np.minimum(place, len(rows.times) - 1)
    values = np.where(inside, rows.minima[place], np.inf)
    weights = np.where(inside, rows.counts[place], 0.0)
    if (rows.counts[low.min() : high.max()] == 1).all():
        # One weight for all: what fills a window up sorts behind its values, as its weight does.
        values.sort(axis=0)
    else:
        order = values.argsort(axis=0)
        values, weights = (np.take_along_axis(each, order, axis=0) for each in (values, weights))
    values[weights == 0] = 0.0
    return Samples(values, weights)


def _rises(values: NDArray[np.int64]) -> bool:
    return bool((values[1:] > values[:-1]).all())
