"""What came of it, in tables."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

import numpy as np

from bench.guards.account import ACCOUNTS, REVIEW
from bench.guards.sides import GUARD, PLAIN, SIDES
from bench.guards.simulation import LOUD_RATES, TRIAL_RATES, Outcome
from bench.guards.traffic import GOOD, GOOD_COMPLAINTS, VOLUMES
from bench.guards.worsening import Act, Gone, by_case
from bench.guards.writing import Table, lasting, percent
from handlers.guarding.reputation import BOUNCES, Finding


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
