"""All prod alarms over a month of one-minute data, beside a bare NumPy reduction of the same points, in one run:
`python -m bench.alarms`. Writes build/bench-alarms.json, and fails where the ratio is above the limit.

The bare reduction is the least that an evaluation could do: for every metric of every alarm its points, already in an
array and in order, into its periods by the statistic's own NumPy function; each period once, where an alarm looks at
every period that ends on a minute. The ratio to plain sums, for which every statistic is taken for a sum, is told
beside it and not judged. All sides take turns, and medians count. Alarms are evaluated from a store that was just
filled: whatever it works out at the first reading is part of the time. Expressions are compiled once, before, and the
reasons of changes are worded when somebody reads them, which is not here.
"""

from __future__ import annotations

import gc
import json
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from observability.evaluation import history
from observability.model import DAY, MINUTE, MetricAlarm, MetricKey, Query
from observability.program import record
from observability.series import MONDAY
from observability.sources import estate_of
from observability.statistics import Values
from observability.store import MetricStore

LIMIT: Final = 10.0
"""Times a bare reduction of the same points, at most."""

DAYS: Final = 30
POINTS: Final = (1, 2, 4, 8)
"""Times a quarter of the month: 7.5, 15, 30 and 60 days."""

COPIES: Final = (1, 2, 3, 4)
"""Times all alarms, each copy on metrics of its own."""

REPEATS: Final = 7
ROOT: Final = Path(__file__).resolve().parents[1]

QUIET: Final = 0.001
"""Measurements a minute that are not zero."""

INCIDENTS: Final = 3
"""Half hours in which no measurement is zero: alarms change their state, and say why."""

BARE: Final[Mapping[str, Callable[[Values, NDArray[np.intp]], Any]]] = {
    "Sum": np.add.reduceat,
    "SampleCount": np.add.reduceat,
    "Average": lambda values, starts: np.add.reduceat(values, starts) / np.diff(starts, append=len(values)),
    "Minimum": np.minimum.reduceat,
    "Maximum": np.maximum.reduceat,
    "p95": lambda values, starts: np.percentile(values.reshape(len(starts), -1), 95, axis=1),
}
"""The points of each period, the first of which is at `starts`, made one."""


@dataclass(frozen=True)
class Load:
    """Alarms and what their metrics measured: one value a minute."""

    alarms: Sequence[MetricAlarm]
    values: Mapping[MetricKey, Values]
    minutes: int

    @classmethod
    def of(cls, alarms: Sequence[MetricAlarm], minutes: int) -> Load:
        keys = sorted({stat.key for alarm in alarms for stat in alarm.metrics})
        return cls(
            alarms, {key: measured(np.random.default_rng(seed), minutes) for seed, key in enumerate(keys)}, minutes
        )

    @property
    def end(self) -> int:
        return MONDAY + self.minutes * MINUTE

    def store(self) -> MetricStore:
        times, store = MONDAY + MINUTE * np.arange(self.minutes), MetricStore()
        for key, values in self.values.items():
            store.put(key, times, values)
        return store

    def evaluate(self, store: MetricStore) -> int:
        """How many changes of state there are."""
        return sum(len(history(alarm, store, MONDAY, self.end)) for alarm in self.alarms)

    def reduce(self, _store: MetricStore) -> None:
        for alarm in self.alarms:
            for stat in alarm.metrics:
                values = self.values[stat.key]
                BARE[stat.statistic.text](values, np.arange(0, len(values), stat.period // MINUTE))

    def add(self, _store: MetricStore) -> None:
        for alarm in self.alarms:
            for stat in alarm.metrics:
                values = self.values[stat.key]
                np.add.reduceat(values, np.arange(0, len(values), stat.period // MINUTE))


def main() -> None:
    found = [each for each in estate_of(record(ROOT, "prod")).alarms if isinstance(each, MetricAlarm)]
    month = Load.of(found, DAYS * DAY // MINUTE)
    month.evaluate(month.store())
    sums, bare, ours = medians(month, month.add, month.reduce, month.evaluate)
    report: dict[str, Any] = {
        "alarms": len(found),
        "points": sum(len(month.values[stat.key]) for alarm in found for stat in alarm.metrics),
        "changes": month.evaluate(month.store()),
        "bare_ms": round(bare * 1e3, 2),
        "ours_ms": round(ours * 1e3, 2),
        "sums_ms": round(sums * 1e3, 2),
        "ratio": round(ours / bare, 2),
        "ratio_to_sums": round(ours / sums, 2),
        "limit": LIMIT,
        "by_points": growth([Load.of(found, month.minutes // 4 * times) for times in POINTS], POINTS),
        "by_alarms": growth(
            [
                Load.of([copied(alarm, copy) for copy in range(copies) for alarm in found], month.minutes)
                for copies in COPIES
            ],
            COPIES,
        ),
    }
    path = ROOT / "build" / "bench-alarms.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(report, indent=2) + "\n")
    show(report, path)
    if report["ratio"] > LIMIT:
        raise SystemExit(1)


def measured(random: np.random.Generator, minutes: int) -> Values:
    """A metric of what seldom happens, with a few bad half hours."""
    values = (random.random(minutes) < QUIET).astype(np.float64)
    for start in random.integers(0, minutes, INCIDENTS):
        values[start : start + 30] = random.integers(1, 20, len(values[start : start + 30]))
    return values


def copied(alarm: MetricAlarm, copy: int) -> MetricAlarm:
    """The alarm on other metrics of the same names."""

    def moved(query: Query) -> Query:
        if not query.stat:
            return query
        key = query.stat.key
        elsewhere = replace(key, dimensions=(*key.dimensions, ("Copy", str(copy))))
        return replace(query, stat=replace(query.stat, key=elsewhere))

    return replace(alarm, name=f"{alarm.name}-{copy}", queries=tuple(map(moved, alarm.queries)))


def medians(load: Load, *sides: Callable[[MetricStore], Any]) -> list[float]:
    """Seconds of each side, which take turns."""
    seconds: list[list[float]] = [[] for _ in sides]
    for _ in range(REPEATS):
        for side, taken in zip(sides, seconds, strict=True):
            store = load.store()
            gc.collect()
            begin = time.perf_counter()
            side(store)
            taken.append(time.perf_counter() - begin)
    return [statistics.median(taken) for taken in seconds]


def growth(loads: Sequence[Load], sizes: Sequence[int]) -> dict[str, Any]:
    """The times of growing loads, the straight line that fits them best, and how well it does (r²)."""
    seconds = np.array([medians(load, load.evaluate)[0] for load in loads])
    slope, intercept = np.polyfit(sizes, seconds, 1)
    unexplained = np.sum((seconds - (slope * np.array(sizes) + intercept)) ** 2)
    return {
        "ms": {str(size): round(each * 1e3, 1) for size, each in zip(sizes, seconds.tolist(), strict=True)},
        "ms_a_step": round(slope * 1e3, 2),
        "ms_at_nothing": round(intercept * 1e3, 2),
        "r2": round(float(1 - unexplained / np.sum((seconds - seconds.mean()) ** 2)), 4),
    }


def show(report: dict[str, Any], path: Path) -> None:
    console = Console(highlight=False)
    console.print(
        f"{report['alarms']} alarms over {DAYS} days of one-minute data ({report['points']:,} points,"
        f" {report['changes']} changes of state): {report['ours_ms']:.0f} ms; bare reduction"
        f" {report['bare_ms']:.1f} ms; ratio {report['ratio']:.1f}, at most {report['limit']:.0f}"
        f" (to plain sums, {report['sums_ms']:.1f} ms: {report['ratio_to_sums']:.1f})"
    )
    for key, title, unit in (
        ("by_points", "Growth with points", f"{DAYS / 4:g} days"),
        ("by_alarms", "Growth with alarms", f"{report['alarms']} alarms"),
    ):
        grown = report[key]
        table = Table(title=title)
        for column in (f"x {unit}", "measured", "on the line"):
            table.add_column(column, justify="right")
        for size, milliseconds in grown["ms"].items():
            line = grown["ms_at_nothing"] + grown["ms_a_step"] * int(size)
            table.add_row(size, f"{milliseconds:.0f} ms", f"{line:.0f} ms")
        console.print(table)
        console.print(f"{grown['ms_a_step']:.1f} ms a step and {grown['ms_at_nothing']:.1f} ms; r² {grown['r2']:.4f}")
    console.print(f"written to {path}")


if __name__ == "__main__":
    main()
