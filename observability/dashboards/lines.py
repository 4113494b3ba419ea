"""The lines of a graph: what a store and metric math make of the entries of its metrics array."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final

import numpy as np
from numpy.typing import NDArray

from observability.dashboards.body import COLOURS, DEFAULT_PERIOD, Entry, Graph
from observability.dashboards.paint import number
from observability.math import Line as Result
from observability.math import compile_queries
from observability.model import DAY, HOUR, MINUTE, MetricStat, Query
from observability.statistics import Values
from observability.store import Grid, MetricStore

# How fine the data is that CloudWatch still has, by its age in seconds (GetMetricData, `StartTime`).
RETENTION: Final = ((63 * DAY, HOUR), (15 * DAY, 5 * MINUTE), (3 * HOUR, MINUTE))

_DYNAMIC = re.compile(r"\$\{\s*(?:PROP\('([^']*)'\)|([A-Z_]+))\s*\}")


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a graph.

    Attributes:
        starts: epoch seconds, at which the windows of its points begin: where CloudWatch draws them.
        values: NaN where there is no data point.
        unit: of the metric, "" where it has none or several.
    """

    label: str
    colour: str
    right: bool
    period: int
    starts: NDArray[np.int64]
    values: Values
    unit: str = ""

    @property
    def latest(self) -> float:
        """The newest data point, NaN without any."""
        known = self.values[~np.isnan(self.values)]
        return float(known[-1]) if known.size else float("nan")

    @property
    def is_empty(self) -> bool:
        return bool(np.isnan(self.values).all())


def lines_of(graph: Graph, store: MetricStore, start: int, end: int, now: int) -> list[Line]:
    """The visible lines of a graph over a range of epoch seconds.

    A period is taken as it is written, also where `periodOverride` is `auto`, as it is not told which one CloudWatch
    chooses then; but it is never finer than what CloudWatch still has of data that old.

    Raises:
        ToolkitError: an expression cannot be evaluated.
    """
    finest = next((period for age, period in RETENTION if now - start > age), 1)
    whole = end - start if graph.whole_range else None

    def coarsened(period: int) -> int:
        return whole or -(-period // finest) * finest

    entries = [_with_period(entry, coarsened) for entry in graph.entries]
    results = _computed(entries, store, start, end, whole)
    defaults = _default_labels(entries)
    return [
        replace(line, label=_resolved(line, entry, defaults[entry.query.id], now))
        for entry in entries
        if entry.visible
        for line in _drawn(entry, store, start, end, whole, results)
    ]


def _with_period(entry: Entry, coarsened: Callable[[int], int]) -> Entry:
    query = entry.query
    if query.stat:
        query = replace(query, stat=replace(query.stat, period=coarsened(query.stat.period)))
    elif query.period:
        query = replace(query, period=coarsened(query.period))
    return replace(entry, query=query)


def _drawn(
    entry: Entry,
    store: MetricStore,
    start: int,
    end: int,
    whole: int | None,
    results: Mapping[str, tuple[NDArray[np.int64], int, Sequence[Result]]],
) -> Iterator[Line]:
    query = entry.query
    if query.stat:
        starts, values = _points(query.stat, store, start, end, whole)
        known = store.units(query.stat.key)
        unit = next(iter(known)) if len(known) == 1 else ""
        yield Line("", entry.colour, entry.right, query.stat.period, starts, values, "" if unit == "None" else unit)
        return
    starts, period, lines = results[query.id]
    for index, result in enumerate(lines):
        # An expression can be several lines: the first has the entry's colour, all have labels of their own.
        colour = COLOURS[index % len(COLOURS)] if index else entry.colour
        label = result.label if len(lines) > 1 else ""
        yield Line(label, colour, entry.right, period, starts, result.values)


def _points(
    stat: MetricStat, store: MetricStore, start: int, end: int, whole: int | None, step: int | None = None
) -> tuple[NDArray[np.int64], Values]:
    starts = _starts(start, end, step or stat.period, whole)
    grid = Grid(int(starts[0]) + stat.period, step or stat.period, starts.size)
    return starts, store.values(stat, grid)


def _starts(start: int, end: int, period: int, whole: int | None) -> NDArray[np.int64]:
    """The windows that a range shows, by their beginnings: multiples of the period, or the one that is all of it."""
    if whole:
        return np.array([start], dtype=np.int64)
    return np.arange(start // period * period, end, period, dtype=np.int64)


def _computed(
    entries: Sequence[Entry], store: MetricStore, start: int, end: int, whole: int | None
) -> dict[str, tuple[NDArray[np.int64], int, Sequence[Result]]]:
    """The results of the visible expressions by id, with the starts of their points.

    Metrics of unlike periods meet at the starts that all have, those of the coarsest.
    """
    wanted = [entry.query for entry in entries if entry.visible and entry.query.expression]
    if not wanted:
        return {}
    queries = [entry.query for entry in entries]
    program = compile_queries(queries)
    periods = [query.stat.period for query in queries if query.stat] + [
        query.period for query in queries if query.period
    ]
    period = max(periods, default=whole or DEFAULT_PERIOD)
    starts = _starts(start, end, period, whole)
    arrays = {
        query.id: _points(query.stat, store, start, end, whole, period)[1] for query in program.metrics if query.stat
    }
    results = program.lines(arrays, starts, period)
    return {query.id: (starts, period, results[query.id]) for query in wanted}


# Labels


def _default_labels(entries: Sequence[Entry]) -> dict[str, str]:
    """By id, what an entry is called that has no label: as little as tells it from the others."""
    stats = [entry.query.stat for entry in entries if entry.query.stat]
    names, keys = Counter(stat.key.name for stat in stats), Counter(stat.key for stat in stats)

    def label(query: Query) -> str:
        if query.stat is None:
            return query.expression or query.id if query.id.startswith("unnamed") else query.id
        key = query.stat.key
        parts = [key.name] if names[key.name] == 1 else [*(value for _, value in key.dimensions), key.name]
        return " ".join(parts if keys[key] == 1 else [*parts, str(query.stat.statistic)])

    return {entry.query.id: label(entry.query) for entry in entries}


def _resolved(line: Line, entry: Entry, default: str, now: int) -> str:
    """A line's label with values for what is dynamic in it ("Use dynamic labels"). What is not known there stays."""
    label = line.label or default
    if not entry.label:
        return label

    def value(found: re.Match[str]) -> str:
        prop, name = found.groups()
        if prop is not None:
            return _property(prop, entry.query, found[0])
        return label if name == "LABEL" else _dynamic(name, line, now, found[0])

    given = _DYNAMIC.sub(value, entry.label)
    return label if line.label and given == entry.label else given


def _property(name: str, query: Query, otherwise: str) -> str:
    stat = query.stat
    if stat is None:
        return otherwise
    known = {
        "MetricName": stat.key.name,
        "Namespace": stat.key.namespace,
        "Stat": str(stat.statistic),
        "Period": str(stat.period),
    }
    return known.get(name) or dict(stat.key.dimensions).get(name.removeprefix("Dim."), otherwise)


_VALUES: Final[dict[str, Callable[[Values], float]]] = {
    "AVG": lambda values: float(values.mean()),
    "DATAPOINT_COUNT": lambda values: float(values.size),
    "FIRST": lambda values: float(values[0]),
    "FIRST_LAST_RANGE": lambda values: float(values[-1] - values[0]),
    "LAST": lambda values: float(values[-1]),
    "MAX": lambda values: float(values.max()),
    "MIN": lambda values: float(values.min()),
    "MIN_MAX_RANGE": lambda values: float(values.max() - values.min()),
    "SUM": lambda values: float(values.sum()),
}
_PLACES: Final[dict[str, Callable[[Values], int]]] = {
    "FIRST": lambda _: 0,
    "LAST": lambda values: values.size - 1,
    "MAX": lambda values: int(values.argmax()),
    "MIN": lambda values: int(values.argmin()),
}


def _dynamic(name: str, line: Line, now: int, otherwise: str) -> str:
    known = ~np.isnan(line.values)
    values, starts = line.values[known], line.starts[known]
    place = _PLACES.get(name.removesuffix("_RELATIVE").removesuffix("_TIME")) if "_TIME" in name else None
    if name not in _VALUES and place is None and name not in ("FIRST_LAST_TIME_RANGE", "MIN_MAX_TIME_RANGE"):
        return otherwise
    if not values.size:
        return "0" if name == "DATAPOINT_COUNT" else "–"
    if name in _VALUES:
        return number(_VALUES[name](values))
    if place is None:
        one, other = ("FIRST", "LAST") if name.startswith("FIRST") else ("MIN", "MAX")
        return span(abs(int(starts[_PLACES[other](values)] - starts[_PLACES[one](values)])))
    at = int(starts[place(values)])
    return span(now - at) if name.endswith("_RELATIVE") else f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M UTC}"


def span(seconds: int) -> str:
    """A span in its two greatest units: `1 d 6 h`, `5 min`, `0 s`."""
    parts = []
    for unit, word in ((DAY, "d"), (HOUR, "h"), (MINUTE, "min"), (1, "s")):
        amount, seconds = divmod(seconds, unit)
        if amount:
            parts.append(f"{amount} {word}")
    return " ".join(parts[:2]) or "0 s"
