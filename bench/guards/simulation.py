"""Everything that is simulated, and whether what is claimed of it holds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from typing import Final

from bench.guards.account import REVIEW
from bench.guards.sides import GUARD, PLAIN
from bench.guards.steady import Constant, one_year, to_first_trip
from bench.guards.traffic import COMPLAINT_COURSES, COURSES, GOOD, VOLUMES, Course
from bench.guards.trials import Trial, one_trial
from bench.guards.worsening import Gone, goes_wrong

QUIET_RATES: Final = (0.005, 0.01, 0.02, 0.03)
LOUD_RATES: Final = (0.04, 0.05, 0.06, 0.08, 0.10, 0.12)
TRIAL_RATES: Final = (0.005, 0.01, 0.02, 0.05, 0.08, 0.12)


@dataclass(frozen=True, slots=True)
class Size:
    """How much is simulated."""

    years: int = 20
    other_years: int = 3
    traces: int = 25
    """Of each step and ramp."""
    trials: int = 1000


@dataclass(frozen=True, slots=True)
class Outcome:
    """All that was simulated."""

    constant: Sequence[Constant]
    first: Mapping[tuple[int, float], Sequence[int | None]]
    gone: Sequence[Gone]
    complaints: Sequence[Gone]
    trials: Sequence[Trial]

    def failures(self) -> list[str]:
        """Claims that do not hold, in words."""
        said = []
        for volume in VOLUMES:
            years = [year for year in self.constant if (year.volume, year.rate, year.uneven) == (volume, GOOD, False)]
            if years and (trips := sum(year.trips[GUARD] for year in years)) >= len(years):
                said.append(f"{trips} false trips in {len(years)} years at {volume:,} emails a day")
        for one in self.gone:
            where = f"{one.course} at {one.volume:,} a day"
            if one.acts[PLAIN].slots is None:
                continue
            if one.acts[GUARD].slots is None:
                said.append(f"{where}: the plain alarm trips, the guard does not")
            said += [
                f"{where}: the rate of an account judged by {account:,} emails reaches {peak:.2%}"
                for account, peak in one.acts[GUARD].peaks.items()
                if peak >= REVIEW
            ]
        return said


def simulate(size: Size, workers: int = 1) -> Outcome:
    """All of it, by as many processes; the outcome does not depend on how many."""
    years = [
        (volume, rate, uneven, seed)
        for volume in VOLUMES
        for rate, uneven, many in (
            *((rate, False, size.years if rate == GOOD else size.other_years) for rate in QUIET_RATES),
            (GOOD, True, size.other_years),
        )
        for seed in range(many)
    ]
    first = [(volume, rate, seed) for volume in VOLUMES for rate in LOUD_RATES for seed in range(size.traces)]
    gone = [(volume, course, seed) for volume in VOLUMES for course in COURSES for seed in range(size.traces)]
    complaints = [
        (volume, course, seed) for volume in VOLUMES for course in COMPLAINT_COURSES for seed in range(size.traces)
    ]
    trials = [(rate, seed) for rate in TRIAL_RATES for seed in range(size.trials)]
    with ProcessPoolExecutor(workers) as pool:
        trips = list(pool.map(to_first_trip, *zip(*first, strict=True), chunksize=8))
        return Outcome(
            list(pool.map(one_year, *zip(*years, strict=True))),
            {
                (volume, rate): [trip for case, trip in zip(first, trips, strict=True) if case[:2] == (volume, rate)]
                for volume in VOLUMES
                for rate in LOUD_RATES
            },
            list(pool.map(goes_wrong, *zip(*gone, strict=True), chunksize=8)),
            list(pool.map(_complained, *zip(*complaints, strict=True), chunksize=8)),
            list(pool.map(one_trial, *zip(*trials, strict=True), chunksize=100)),
        )


def _complained(volume: int, course: Course, seed: int) -> Gone:
    return goes_wrong(volume, course, seed, complaints=True)
