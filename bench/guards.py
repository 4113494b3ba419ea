"""The reputation guard over seeded years of traffic, beside what is usual, on the same emails: `make guards-sim`.
Prints the tables and writes docs/guards-simulation.md with its pictures; the same every time. Fails where a claim does
not hold.

What is simulated is the guard itself, `handlers.guarding.reputation.judge`, called at the end of every five minutes in
which anything became of an email, and not a copy of it that is faster. Everything acts at the end of the five minutes
in which it trips, and bounces are known in those in which the email was sent: that is kind to all sides alike.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from statistics import median
from textwrap import fill
from typing import Final

import altair as alt
import numpy as np
import vl_convert
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table as RichTable

from handlers.guarding.reputation import BOUNCES, COMPLAINTS, LONGEST, Evidence, Finding, Rule, Window, judge
from handlers.guarding.tally import DAY, HOUR, SLOT

Counts = NDArray[np.int64]
Rates = NDArray[np.float64]

ROOT: Final = Path(__file__).resolve().parents[1]
DOCS: Final = ROOT / "docs"

HOURLY: Final = HOUR // SLOT
DAILY: Final = DAY // SLOT
YEAR: Final = 365 * DAILY
WARM_UP: Final = LONGEST // SLOT + DAILY
"""Before something goes wrong: longer than the guard looks back."""

VOLUMES: Final = (10, 100, 1_000, 100_000)
"""Emails a day."""

GOOD: Final = 0.01
GOOD_COMPLAINTS: Final = 0.0002
REVIEW: Final = BOUNCES.review

ACCOUNT: Final = 10_000
ACCOUNTS: Final = (1_000, 10_000, 50_000)
"""Emails by which AWS judges the account. It publishes no number; one notice that was made public says `the last 10,192
eligible emails`, of 225 days: https://blog.lalatendu.info/misc/aws-q-n-a/aws-important-change-in-your-sending-status"""

LEAST_OF_A_DAY: Final = 10
"""An account is judged by a tenth of its day at least: 1,000 of 100,000 a day would be a quarter of an hour, in which
nobody's bounces are representative."""

YEARS: Final = 20
TRACES: Final = 25
"""Of each step and ramp."""

LIMITS: Final = {10: 200, 100: 60, 1_000: 20, 100_000: 3}
"""Days in which a step or the end of a ramp has to be noticed, by volume."""

GUARD, PLAIN, BARE, AWS = "our guard", "plain alarm", "bare alarm", "AWS's example"
SIDES: Final = {
    GUARD: "the reputation guard",
    PLAIN: "`sender-bounce-rate-page`, made to brake: over 5 % of the emails of 6 hours, 100 of them at least",
    BARE: "the same over an hour and without a least number",
    AWS: "the account's own rate at 5 % or more pauses the account",
}


# Traffic


@dataclass(frozen=True)
class Trace:
    """Emails by slot of five minutes, and what became of them."""

    judged: Counts
    bounced: Counts
    complained: Counts

    @cached_property
    def sums(self) -> tuple[Counts, Counts, Counts]:
        """What there was before each slot."""
        return sums(self.judged), sums(self.bounced), sums(self.complained)


def sums(counts: Counts) -> Counts:
    return np.concatenate(([0], np.cumsum(counts)))


def traffic(
    random: np.random.Generator, volume: int, bounces: Rates, complaints: Rates | float = GOOD_COMPLAINTS
) -> Trace:
    """`volume` emails a day, three times as many at the busiest hour of the evening as at the quietest of the night,
    with rates by slot."""
    phase = 2 * np.pi * (np.arange(len(bounces)) % DAILY - 20 * HOURLY) / DAILY
    judged = random.poisson(volume / DAILY * (1 + 0.5 * np.cos(phase)))
    return Trace(judged, random.binomial(judged, bounces), random.binomial(judged, complaints))


@dataclass(frozen=True, slots=True)
class Course:
    """How a rate goes from good to bad: at once, or evenly within `slots`."""

    name: str
    rate: float
    slots: int = 0

    def rates(self, good: float, length: int) -> Rates:
        share = np.arange(1, length + 1) / max(self.slots, 1)
        return good + (self.rate - good) * np.minimum(share, 1)


COURSES: Final = (
    Course("step to 6 %", 0.06),
    Course("step to 8 %", 0.08),
    Course("step to 12 %", 0.12),
    Course("to 12 % in 6 hours", 0.12, 6 * HOURLY),
    Course("to 12 % in 2 days", 0.12, 2 * DAILY),
    Course("to 12 % in 3 weeks", 0.12, 21 * DAILY),
)
COMPLAINT_COURSES: Final = (
    Course("step to 0.2 %", 0.002),
    Course("step to 0.5 %", 0.005),
    Course("step to 1 %", 0.01),
)


# Who trips when: each says so by slot


@dataclass(frozen=True, slots=True)
class Seen:
    """What the guard sees at the end of slots: judged, bounced and complained of each window."""

    hour: tuple[Counts, ...]
    bounces: tuple[Counts, ...]
    complaints: tuple[Counts, ...]

    @classmethod
    def of(cls, trace: Trace, start: int, now: Counts) -> Seen:
        """At the end of the slots `now`, the same windows as `guarding.reputation.evidence` makes of a tally."""
        judged = trace.sums[0]

        def window(first: Counts) -> tuple[Counts, ...]:
            since = np.maximum(first, start)
            return tuple(total[now + 1] - total[since] for total in trace.sums)

        def slow(rule: Rule) -> tuple[Counts, ...]:
            begun = judged[::HOURLY]
            enough = np.searchsorted(begun, judged[now + 1] - rule.volume, side="right") - 1
            day, longest = ((now - span // SLOT) // HOURLY for span in (DAY, LONGEST))
            return window(np.maximum(np.minimum(enough, day), longest) * HOURLY)

        return cls(window(now - HOURLY), slow(BOUNCES), slow(COMPLAINTS))

    def evidence(self) -> Iterator[Evidence]:
        columns = [counts.tolist() for window in (self.hour, self.bounces, self.complaints) for counts in window]
        for a, b, c, d, e, f, g, h, i in zip(*columns, strict=True):
            yield Evidence(Window(a, b, c, ""), Window(d, e, f, ""), Window(g, h, i, ""))


@dataclass(slots=True)
class Guarded:
    """When the guard tripped and warned, by slot."""

    trips: list[int] = field(default_factory=list)
    warnings: list[int] = field(default_factory=list)
    complaints: int = 0
    """How many of the trips were for complaints."""


def guarded(trace: Trace, begin: int, *, once: bool = False) -> Guarded:
    """The guard from slot `begin` on. Where it trips, a person releases the lane at once, without a trial: what was
    counted before counts no more. With `once` it is over then."""
    found = Guarded()
    slots, start = begin + np.flatnonzero(trace.judged[begin:]), 0
    while len(slots):
        part, slots = slots[:_AT_ONCE], slots[_AT_ONCE:]
        for slot, evidence in zip(part.tolist(), Seen.of(trace, start, part).evidence(), strict=True):
            verdict = judge(evidence)
            if verdict.finding is Finding.WARN:
                found.warnings.append(slot)
            elif verdict.finding is Finding.TRIP:
                found.trips.append(slot)
                found.complaints += COMPLAINTS.verb in verdict.reason
                if once:
                    return found
                start = slot + 1
                slots = np.concatenate((part[part >= start], slots))
                break
    return found


_AT_ONCE: Final = 2_000
"""Slots whose windows are reckoned together; those after a trip are reckoned anew."""


def share_over(trace: Trace, slots: int, level: float, least: int, bad: int = 1) -> NDArray[np.bool_]:
    """Slots at whose end the emails of the last `slots` are an alarm's."""
    now = np.arange(len(trace.judged))
    first = np.maximum(now + 1 - slots, 0)
    judged, hit = (trace.sums[of][now + 1] - trace.sums[of][first] for of in (0, bad))
    return (judged >= least) & (hit > level * judged)


def account_rate(trace: Trace, volume: int, good: float, random: np.random.Generator, bad: int = 1) -> Rates:
    """The account's rate after each slot: of its last `volume` emails, of which those before the trace were good."""
    chunks = 100
    before = np.full(chunks, volume // chunks)
    judged = np.concatenate((sums(before)[:-1], volume + trace.sums[0])).astype(float)
    past = sums(random.binomial(before, good))
    hit = np.concatenate((past[:-1], past[-1] + trace.sums[bad])).astype(float)
    now, ends = judged[chunks + 1 :], hit[chunks + 1 :]
    rates: Rates = (ends - np.interp(now - volume, judged, hit)) / volume
    return rates


def alarms(trace: Trace, account: Rates) -> Mapping[str, NDArray[np.bool_]]:
    return {
        PLAIN: share_over(trace, 6 * HOURLY, REVIEW, 100),
        BARE: share_over(trace, HOURLY, REVIEW, 1),
        AWS: account >= REVIEW,
    }


def edges(alarm: NDArray[np.bool_]) -> int:
    """How often an alarm goes off."""
    return int(np.count_nonzero(np.diff(alarm.astype(np.int8), prepend=0) == 1))


# Years in which nothing changes


@dataclass(frozen=True, slots=True)
class Constant:
    """One year at one rate."""

    volume: int
    rate: float
    uneven: bool
    trips: Mapping[str, int]
    complaints: int
    warnings: int
    """Days with a warning."""


def one_year(volume: int, rate: float, uneven: bool, seed: int) -> Constant:
    """A year after a warm-up. An uneven one has a rate of its own for each day, with a standard deviation of a third:
    people do not mistype evenly."""
    random = np.random.default_rng([1, volume, round(rate * 10_000), uneven, seed])
    days = (YEAR + WARM_UP) // DAILY
    factors = random.gamma(9, 1 / 9, days) if uneven else np.ones(days)
    trace = traffic(random, volume, np.minimum(rate * np.repeat(factors, DAILY), 1))
    found = guarded(trace, WARM_UP)
    others = alarms(trace, account_rate(trace, ACCOUNT, rate, random))
    return Constant(
        volume,
        rate,
        uneven,
        {GUARD: len(found.trips), **{side: edges(alarm[WARM_UP:]) for side, alarm in others.items()}},
        found.complaints,
        len({slot // DAILY for slot in found.warnings}),
    )


def to_first_trip(volume: int, rate: float, seed: int) -> int | None:
    """Slots until a new lane is held that has this rate from its first email on; None if it is not within a year."""
    random = np.random.default_rng([2, volume, round(rate * 10_000), seed])
    trips = guarded(traffic(random, volume, np.full(YEAR, rate)), 0, once=True).trips
    return trips[0] + 1 if trips else None


# Steps and ramps


@dataclass(frozen=True, slots=True)
class Act:
    """How one side fared: slots from the first bad one until it tripped, bounces (or complaints) until then, and the
    highest rate of the account until then, by the emails it is judged by."""

    slots: int | None
    bad: int
    peaks: Mapping[int, float]


@dataclass(frozen=True, slots=True)
class Gone:
    """One trace in which something went wrong."""

    volume: int
    course: str
    acts: Mapping[str, Act]
    warned: int | None
    """Slots from the first warning to the trip; None without a warning."""


def accounts(volume: int) -> tuple[int, ...]:
    return tuple(account for account in ACCOUNTS if account * LEAST_OF_A_DAY >= volume)


def goes_wrong(volume: int, course: Course, seed: int, *, complaints: bool = False) -> Gone:
    """What each side makes of one trace; it begins at another time of the day each time."""
    random = np.random.default_rng([3, volume, round(course.rate * 10_000), course.slots, complaints, seed])
    onset = WARM_UP + int(random.integers(DAILY))
    length = course.slots + LIMITS[volume] * DAILY
    good = GOOD_COMPLAINTS if complaints else GOOD
    rates = np.concatenate((np.full(onset, good), course.rates(good, length)))
    trace = traffic(random, volume, np.full(len(rates), GOOD), rates) if complaints else traffic(random, volume, rates)
    kind = 2 if complaints else 1
    of_account = {each: account_rate(trace, each, good, random, kind) for each in accounts(volume)}
    main = of_account.get(ACCOUNT, next(iter(of_account.values())))
    if complaints:
        # As `sender-complaint-rate-page`.
        others = {PLAIN: share_over(trace, DAILY, COMPLAINTS.review, 1000, kind), AWS: main >= COMPLAINTS.review}
    else:
        others = dict(alarms(trace, main))
    found = guarded(trace, onset, once=True)
    first = {GUARD: found.trips[0] if found.trips else None}
    first |= {
        side: next(iter((onset + np.flatnonzero(alarm[onset:])).tolist()), None) for side, alarm in others.items()
    }
    hit = trace.sums[kind]

    def act(slot: int | None) -> Act:
        end = len(rates) if slot is None else slot + 1
        return Act(
            None if slot is None else end - onset,
            int(hit[end] - hit[onset]),
            {each: float(rate[onset:end].max()) for each, rate in of_account.items()},
        )

    warned = found.trips[0] - found.warnings[0] if found.trips and found.warnings else None
    return Gone(volume, course.name, {side: act(slot) for side, slot in first.items()}, warned)


# Trials


@dataclass(frozen=True, slots=True)
class Trial:
    """What became of a lane that was released."""

    rate: float
    finding: Finding
    emails: int


def one_trial(rate: float, seed: int) -> Trial:
    """A released lane, judged after each email."""
    random = np.random.default_rng([4, round(rate * 10_000), seed])
    bounced = complained = 0
    for emails in range(1, 20_001):
        bounced += random.random() < rate
        complained += random.random() < GOOD_COMPLAINTS
        window = Window(emails, bounced, complained, "")
        verdict = judge(Evidence(window, window, window, trial=True))
        if verdict.finding in (Finding.TRIP, Finding.PASSED):
            return Trial(rate, verdict.finding, emails)
    return Trial(rate, Finding.FINE, emails)


# Everything, and what it claims


@dataclass(frozen=True, slots=True)
class Size:
    """How much is simulated."""

    years: int = YEARS
    other_years: int = 3
    traces: int = TRACES
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
        """Claims that do not hold, in words: Show 1."""
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


QUIET_RATES: Final = (0.005, 0.01, 0.02, 0.03)
LOUD_RATES: Final = (0.04, 0.05, 0.06, 0.08, 0.10, 0.12)
TRIAL_RATES: Final = (0.005, 0.01, 0.02, 0.05, 0.08, 0.12)


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


# What is told of it


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of text, for a terminal and for Markdown."""

    title: str
    about: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]

    def rich(self) -> RichTable:
        table = RichTable(title=self.title, title_justify="left")
        for number, column in enumerate(self.columns):
            table.add_column(column, justify="right" if number > 1 else "left")
        for row in self.rows:
            table.add_row(*row)
        return table

    def markdown(self) -> str:
        lines = (
            self.columns,
            [":--" if number < 2 else "--:" for number in range(len(self.columns))],
            *self.rows,
        )
        return "\n".join(
            (f"## {self.title}", "", fill(self.about, 120), "", *(f"| {' | '.join(line)} |" for line in lines))
        )


def percent(share: float) -> str:
    return f"{share * 100:.3g} %"


def lasting(slots: float) -> str:
    hours = slots / HOURLY
    if hours < 2:
        return f"{hours * 60:.0f} min"
    return f"{hours:.1f} h" if hours < 72 else f"{hours / 24:.1f} d"


def yearly(outcome: Outcome) -> Table:
    cases = dict.fromkeys((year.volume, year.rate, year.uneven) for year in outcome.constant)

    def row(volume: int, rate: float, uneven: bool) -> Sequence[str]:
        years = [year for year in outcome.constant if (year.volume, year.rate, year.uneven) == (volume, rate, uneven)]

        def mean(total: int) -> str:
            each = total / len(years)
            return f"{each:,.0f}" if each >= 100 else f"{each:.3g}"

        return (
            f"{volume:,}",
            percent(rate) + (", uneven" if uneven else ""),
            str(len(years)),
            *(mean(sum(year.trips[side] for year in years)) for side in SIDES),
            mean(sum(year.warnings for year in years)),
        )

    years = len([year for year in outcome.constant if (year.volume, year.rate, year.uneven) == (10, GOOD, False)])
    return Table(
        "Trips a year at a constant rate",
        f"Complaints are at {percent(GOOD_COMPLAINTS)}. None in {years} years means, with 95 % certainty, fewer than"
        f" {-np.log(0.05) / years:.2f} a year. After a trip the guard's lane is released at once, and what was counted"
        " before counts no more; of an alarm each time is counted that it goes off. Uneven: each day has a rate of its"
        " own, with a standard deviation of a third. Warnings are days with one: at 2 % a lane is over the warning's"
        f" {percent(BOUNCES.warn)}, and at 3 % over the {percent(BOUNCES.trip)} at which it is held.",
        ["Emails a day", "Bounces", "Years", *SIDES, "days with a warning"],
        [row(*case) for case in cases],
    )


def loud(outcome: Outcome) -> Table:
    def cell(trips: Sequence[int | None]) -> str:
        known = [trip for trip in trips if trip is not None]
        if not known:
            return "never"
        return lasting(median(known)) + ("" if len(known) == len(trips) else f" ({len(known)} of {len(trips)})")

    return Table(
        "Time to the first trip of a new lane, by constant rate",
        "Median, from the first email on; in brackets how many of the lanes were held within a year, if not all.",
        ["Emails a day", *map(percent, LOUD_RATES)],
        [(f"{volume:,}", *(cell(outcome.first[volume, rate]) for rate in LOUD_RATES)) for volume in VOLUMES],
    )


def by_case(gone: Sequence[Gone]) -> Mapping[tuple[int, str], Sequence[Gone]]:
    cases: dict[tuple[int, str], list[Gone]] = {}
    for one in gone:
        cases.setdefault((one.volume, one.course), []).append(one)
    return cases


def noticed(title: str, about: str, gone: Sequence[Gone], what: str, *, peaks: bool) -> Table:
    """How each side fares when something goes wrong."""
    sides = [GUARD, PLAIN] if peaks else list(gone[0].acts)

    def fared(acts: Sequence[Act]) -> Sequence[str]:
        slots = [act.slots for act in acts if act.slots is not None]
        if not slots:
            return ("never", f"{median(act.bad for act in acts):,.0f}")
        some = "" if len(slots) == len(acts) else f" ({len(slots)} of {len(acts)})"
        return (lasting(median(slots)) + some, f"{median(act.bad for act in acts):,.0f}")

    def peak(acts: Sequence[Act]) -> Sequence[str]:
        return [percent(max(act.peaks[each] for act in acts)) if each in acts[0].peaks else "-" for each in ACCOUNTS]

    heads = [f"{each:,}" for each in ACCOUNTS] if peaks else ["after", what]
    return Table(
        title,
        about,
        ["Emails a day", "What happens", *(f"{side}: {head}" for side in sides for head in heads)],
        [
            (
                f"{volume:,}",
                course,
                *(text for side in sides for text in (peak if peaks else fared)([one.acts[side] for one in ones])),
            )
            for (volume, course), ones in by_case(gone).items()
        ],
    )


def tried(outcome: Outcome) -> Table:
    def row(rate: float) -> Sequence[str]:
        trials = [trial for trial in outcome.trials if trial.rate == rate]
        passed, held = (
            [trial.emails for trial in trials if trial.finding is finding] for finding in (Finding.PASSED, Finding.TRIP)
        )
        return (
            percent(rate),
            f"{len(trials):,}",
            percent(len(passed) / len(trials)),
            f"{median(passed):.0f}" if passed else "-",
            percent(len(held) / len(trials)),
            f"{median(held):.0f}" if held else "-",
        )

    return Table(
        "Trials after a release",
        "A lane that a person released is judged after each email. Emails are medians of those that passed, or were"
        " held again.",
        ["Bounces", "Trials", "passed", "after emails", "held again", "after emails"],
        [row(rate) for rate in TRIAL_RATES],
    )


def tables(outcome: Outcome) -> Sequence[Table]:
    return (
        yearly(outcome),
        loud(outcome),
        noticed(
            "When something goes wrong",
            "Time from the first slot that is worse, and bounces in it; medians. Where a side does not trip, bounces"
            " are those of the whole trace; in brackets how many traces it tripped in, if not in all.",
            outcome.gone,
            "bounces",
            peaks=False,
        ),
        noticed(
            "Highest rate of the account until then",
            "The worst of all traces, for an account that is judged by its last 1,000, 10,000 or 50,000 emails, all"
            f" good ones before; AWS reviews at {percent(REVIEW)}. None is judged by less than a tenth of its day.",
            outcome.gone,
            "",
            peaks=True,
        ),
        noticed(
            "When complaints go wrong",
            f"From {percent(GOOD_COMPLAINTS)}, at {percent(GOOD)} bounces. The plain alarm is"
            " `sender-complaint-rate-page`: over 0.1 % of the emails of a day, 1,000 of them at least; AWS's example"
            " pauses at 0.1 %. At 10 emails a day there are too few complaints for anybody to be certain.",
            outcome.complaints,
            "complaints",
            peaks=False,
        ),
        tried(outcome),
    )


# Pictures

COLOURS: Final = {GUARD: "#1a7f37", PLAIN: "#9a6700", BARE: "#8c959f", AWS: "#0969da"}
INK: Final = "#1f2328"


def picture(chart: alt.Chart | alt.LayerChart | alt.FacetChart, name: str) -> None:
    styled = chart.configure(
        background="#ffffff",
        font="sans-serif",
        padding=12,
        axis=alt.AxisConfig(labelColor=INK, titleColor=INK, gridColor="#eaeef2", titleFontWeight="normal"),
        header=alt.HeaderConfig(labelColor=INK, labelFontSize=12, labelFontWeight="bold"),
        legend=alt.LegendConfig(orient="top", title=None, labelColor=INK, symbolSize=90, labelFontSize=12),
        view=alt.ViewConfig(stroke="#d0d7de"),
    )
    (DOCS / f"guards-simulation-{name}.svg").write_text(vl_convert.vegalite_to_svg(styled.to_dict()) + "\n")


def colour(sides: Sequence[str]) -> alt.Color:
    return alt.Color("side:N", scale=alt.Scale(domain=list(sides), range=[COLOURS[side] for side in sides]))


def dots(outcome: Outcome, name: str, title: str, value: Mapping[str, str], line: float | None) -> None:
    """A dot for each side, course and volume."""
    rows = [
        {
            "volume": f"{volume:,} emails a day",
            "course": course,
            "side": side,
            "bounces": median(one.acts[side].bad for one in ones),
            "peak": 100 * max(one.acts[side].peaks[ACCOUNT] for one in ones),
        }
        for (volume, course), ones in by_case(outcome.gone).items()
        for side in SIDES
        if side != BARE and all(one.acts[side].slots is not None for one in ones)
    ]
    sides = [side for side in SIDES if side != BARE]
    base = alt.Chart(alt.InlineData(values=rows))
    x = alt.X(
        f"{value['field']}:Q",
        title=title,
        scale=alt.Scale(type="log") if value["scale"] == "log" else alt.Scale(domainMin=0),
        axis=alt.Axis(format="~s", tickCount=6),
    )
    y = alt.Y("course:N", title=None, sort=[course.name for course in COURSES])
    shape = alt.Shape("side:N", scale=alt.Scale(domain=sides, range=["circle", "square", "triangle-up"]))
    layers = [base.mark_point(filled=True, size=90, opacity=0.9).encode(x=x, y=y, color=colour(sides), shape=shape)]
    if line is not None:
        layers.insert(0, base.mark_rule(color="#cf222e", strokeDash=[5, 4]).encode(x=alt.datum(line)))
    order = [f"{volume:,} emails a day" for volume in VOLUMES]
    chart = alt.layer(*layers).properties(width=300, height=150)
    picture(chart.facet(alt.Facet("volume:N", title=None, sort=order), columns=2), name)


STORY: Final = (100_000, COURSES[4])
"""The trace that is drawn: a list that goes bad within two days."""


def story() -> None:
    """One trace: the account's rate, and when each side trips."""
    volume, course = STORY
    random = np.random.default_rng([5])
    onset = WARM_UP + 8 * HOURLY
    length = course.slots
    trace = traffic(random, volume, np.concatenate((np.full(onset, GOOD), course.rates(GOOD, length))))
    account = account_rate(trace, ACCOUNT, GOOD, random)
    found = guarded(trace, onset, once=True)
    lines = [{"hour": slot / HOURLY, "rate": 100 * rate} for slot, rate in enumerate(account[onset:].tolist())]
    marks = [("warning", found.warnings[0], COLOURS[GUARD]), (GUARD, found.trips[0], COLOURS[GUARD])]
    marks += [
        (side, int(onset + np.flatnonzero(alarm[onset:])[0]), COLOURS[side])
        for side, alarm in alarms(trace, account).items()
        if side != BARE
    ]
    base = alt.Chart(alt.InlineData(values=lines))
    x = alt.X("hour:Q", title="hours since it began", scale=alt.Scale(domain=[0, 30]))
    y = alt.Y("rate:Q", title="bounces among the account's last 10,000 emails, %", scale=alt.Scale(domain=[0, 9]))
    layers: list[alt.Chart] = []
    for number, (name, slot, ink) in enumerate(marks):
        row = {"hour": (slot + 1 - onset) / HOURLY, "what": name, "rate": 8.6 - 0.55 * number}
        told = alt.Chart(alt.InlineData(values=[row]))
        left = name == AWS
        text = told.mark_text(align="right" if left else "left", dx=-5 if left else 5, fontSize=12, color=ink)
        layers += [
            told.mark_rule(strokeWidth=1.5, color=ink).encode(x="hour:Q"),
            text.encode(x="hour:Q", y="rate:Q", text="what:N"),
        ]
    review = alt.Chart(alt.InlineData(values=[{}])).mark_rule(color="#cf222e", strokeDash=[5, 4])
    chart = alt.layer(
        review.encode(y=alt.datum(100 * REVIEW)),
        base.mark_line(color=INK, strokeWidth=1.5, clip=True).encode(x=x, y=y),
        *layers,
    )
    picture(chart.properties(width=680, height=280), "story")


def draw(outcome: Outcome) -> None:
    dots(
        outcome,
        "bounces",
        "bounces let through (median)",
        {"field": "bounces", "scale": "log"},
        None,
    )
    dots(
        outcome,
        "peaks",
        "highest rate of the account, % (worst trace)",
        {"field": "peak", "scale": "linear"},
        100 * REVIEW,
    )
    story()


INTRODUCTION: Final = """# The reputation guard, simulated

Written by `make guards-sim` (bench/guards.py), the same every time. The guard's own function,
`handlers.guarding.reputation.judge`, is called at the end of every five minutes in which anything became of an email.

{verdict}

Who takes part, on the same traces:

{sides}

**AWS's example** is the SES developer guide's `Automatically pausing email sending for your entire account`: an alarm
on `Reputation.BounceRate` and a function that pauses the account. That page names no threshold, only that it should be
below 10 %; the page on such alarms (`Creating reputation monitoring alarms using CloudWatch`) says 0.05. The period is
five minutes, where the console begins. In the model its metric is up to date, which the real one need not be.

**The account's rate** is modelled as bounces among the last emails. AWS calls the number a representative volume, which
differs from one sender to the next, and does not publish it; the one notice we know says 10,192 emails in 225 days.
So 10,000 is the usual number here, and the claims are checked with 1,000 and 50,000 as well.

**What the model leaves out**: bounces are known in the five minutes in which the email was sent; emails bounce
independently of each other; the account sends nothing else; nobody but the guard reacts. A bad batch that is over
before it is noticed is not a step, and no guard would have stopped it.

![Bounces that are let through until each side trips](guards-simulation-bounces.svg)

Where a side has no mark it did not trip in every trace.

![Highest rate of the account until each side trips](guards-simulation-peaks.svg)

The account is judged by its last 10,000 emails here; AWS reviews it at the broken line.

![A list that goes bad within two days: the account's rate, and when each side trips](guards-simulation-story.svg)

At 100,000 emails a day, 12 % bounces after two days; the account is judged by its last 10,000 emails.
"""


def verdict(outcome: Outcome) -> str:
    caught = [one for one in outcome.gone if one.acts[PLAIN].slots is not None]
    good = [year for year in outcome.constant if (year.rate, year.uneven) == (GOOD, False)]
    trips, complaints = sum(year.trips[GUARD] for year in good), sum(year.complaints for year in good)
    worst = max(peak for one in caught for peak in one.acts[GUARD].peaks.values())
    missed = sum(one.acts[GUARD].slots is not None for one in outcome.gone) - len(caught)
    return (
        f"At {percent(GOOD)} bounces and {percent(GOOD_COMPLAINTS)} complaints the guard tripped {_times(trips)} in"
        f" {len(good)} years of traffic, of which {_times(complaints)} for complaints. In each of"
        f" the {len(caught):,} traces that went wrong and that the plain alarm caught, the guard tripped before the"
        f" account was at {percent(REVIEW)}: the highest rate was {percent(worst)}, whatever number of emails the"
        f" account is judged by. It caught {missed:,} traces besides that the plain alarm did not."
    )


def _times(number: int) -> str:
    return {0: "not once", 1: "once"}.get(number, f"{number} times")


def report(outcome: Outcome) -> str:
    sides = "\n".join(f"- **{side}**: {what}" for side, what in SIDES.items())
    parts = [INTRODUCTION.format(verdict=fill(verdict(outcome), 120), sides=sides)]
    return "\n".join([*parts, *(f"{table.markdown()}\n" for table in tables(outcome))])


def main() -> None:
    outcome = simulate(Size(), os.cpu_count() or 1)
    console = Console(highlight=False)
    for table in tables(outcome):
        console.print(table.rich())
    console.print(verdict(outcome))
    (DOCS / "guards-simulation.md").write_text(report(outcome))
    draw(outcome)
    if failures := outcome.failures():
        raise SystemExit("\n".join(failures))


if __name__ == "__main__":
    main()
