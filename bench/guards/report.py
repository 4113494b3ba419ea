"""The page: who takes part, what the model is, what came of it."""

from __future__ import annotations

from textwrap import fill
from typing import Final

from bench.guards.account import REVIEW
from bench.guards.sides import GUARD, PLAIN, SIDES
from bench.guards.simulation import Outcome
from bench.guards.tables import tables
from bench.guards.traffic import GOOD, GOOD_COMPLAINTS
from bench.guards.writing import percent

INTRODUCTION: Final = """# The reputation guard, simulated

Written by `make guards-sim` (bench/guards/), the same every time. The guard's own function,
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


def report(outcome: Outcome) -> str:
    sides = "\n".join(f"- **{side}**: {what}" for side, what in SIDES.items())
    parts = [INTRODUCTION.format(verdict=fill(verdict(outcome), 120), sides=sides)]
    return "\n".join([*parts, *(f"{table.markdown()}\n" for table in tables(outcome))])


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
