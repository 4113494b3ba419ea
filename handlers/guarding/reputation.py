"""When a lane's bounces and complaints are reason to hold it: on evidence, not on two bounces out of three.

AWS reviews an account of which 5 % of the emails bounce or 0.1 % are complained of, and pauses it at 10 % and 0.5 %,
over a `representative volume` that it does not publish (SES developer guide, "Reputation metrics messages"). Each rate
is judged over two windows: the last hour, which shows at once what goes wrong fast, and the last hours that make a
volume, which shows what goes wrong slowly. A window is evidence only if the rate is over the level for certain: the
Clopper-Pearson lower confidence bound, which is exact, is above it (Clopper and Pearson, Biometrika 26, 1934).

Levels, certainties and volumes are those of the simulation (bench/guards/, docs/guards-simulation.md).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from math import exp, lgamma, log, log1p
from typing import NamedTuple

from handlers.guarding.brake import Lane
from handlers.guarding.tally import BOUNCED, COMPLAINED, DAY, HOUR, JUDGED, Hour, count

LONGEST = timedelta(days=35)
"""How far a window reaches back at most: older mail says little of today's list. 10 emails a day make 350."""

FAST_CERTAINTY = 0.9999
"""A year has 8,760 hours, each of them new evidence, so that one in ten thousand is not yet one a year."""

SLOW_CERTAINTY = 0.995
"""The slow window is another one at most once a day."""

TRIAL_CERTAINTY = 0.95
"""A lane on trial was wrong before, so that less evidence is enough against it, and what it costs to be held once more
is little."""

TRIAL_LEAST = 3
"""Bounces or complaints at least to hold a lane on trial again."""


class Finding(StrEnum):
    """What a lane's evidence says."""

    FINE = "fine"
    WARN = "warn"
    TRIP = "trip"
    PASSED = "passed"
    """Of a lane on trial: it may go on with its ramp."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """A finding, and why: words and numbers, for people; empty if it is fine."""

    finding: Finding
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Window:
    """What became of the emails of a time: how many are judged, and of these bounced or were complained of."""

    judged: int
    bounced: int
    complained: int
    words: str
    """When that was, as in `14 of 130 emails bounced in the last hour`."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a lane is judged by, since its last release only.

    Attributes:
        hour: the last one.
        bounces: the window that makes the volume of `BOUNCES`, at least a day.
        complaints: the same of `COMPLAINTS`.
        trial: whether the lane is on trial.
    """

    hour: Window
    bounces: Window
    complaints: Window
    trial: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """How one rate is judged.

    Attributes:
        verb: what happened to the emails.
        warn: the rate above which people are told.
        trip: the rate above which the lane is held.
        review: the rate at which AWS reviews an account.
        least: how many it takes at least, whatever the rate.
        volume: judged emails that the slow window has at least, if there were as many in LONGEST.
    """

    verb: str
    warn: float
    trip: float
    review: float
    least: int
    volume: int


BOUNCES = Rule(verb="bounced", warn=0.015, trip=0.025, review=0.05, least=5, volume=1000)
"""Half of AWS's level: 1,000 emails are over it for certain at 4.0 %, and an account judged by as few is not at 5 %. A
list with 2 % bounces, which AWS does not mind, stays free. Five, as one household's mistyped address may bounce three
or four times before the first bounce is known."""

COMPLAINTS = Rule(
    verb="were complained of",
    warn=0.00025,
    trip=0.0003,
    review=0.001,
    least=6,
    volume=10_000,
)
"""A third of AWS's level: 10,000 emails are over it for certain at nine complaints, and AWS reviews at ten. A lower
volume would have too few to tell 0.1 % from the 0.02 % of good mail. Six, as five in five weeks of 100 emails a day
come by chance once in 25 years."""

RULES = (BOUNCES, COMPLAINTS)
LAST_HOUR = "in the last hour"


def judge(evidence: Evidence) -> Verdict:
    """The gravest that the evidence says. A lane on trial passes as soon as its bounces are for certain under what AWS
    reviews: 0 of 59, 1 of 93, 2 of 124. At 10 emails a day that takes a week or two, in which the trial slows nothing
    down. Complaints are too rare to be disproved in such a number."""
    claims = _claims(evidence)
    for claim in claims:
        if claim.over(claim.rule.trip):
            return Verdict(Finding.TRIP, claim.words(f"over {_percent(claim.rule.trip)}"))
    if evidence.trial and claims[0].under(BOUNCES.review):
        return Verdict(Finding.PASSED, claims[0].words(f"under {_percent(BOUNCES.review)}"))
    for claim in claims:
        if claim.over(claim.rule.warn):
            return Verdict(Finding.WARN, claim.words(f"over {_percent(claim.rule.warn)}"))
    return _FINE


_FINE = Verdict(Finding.FINE)


class _Claim(NamedTuple):
    """That a rate is over or under something: `bad` of the window's emails, and how certain it has to be."""

    rule: Rule
    window: Window
    bad: int
    certainty: float
    least: int

    def over(self, level: float) -> bool:
        return self.bad >= self.least and surely_over(self.bad, self.window.judged, level, self.certainty)

    def under(self, level: float) -> bool:
        return surely_under(self.bad, self.window.judged, level, self.certainty)

    def words(self, what: str) -> str:
        bad, judged = self.bad, self.window.judged
        return (
            f"{bad:,} of {judged:,} emails {self.rule.verb} {self.window.words} ({_percent(bad / judged)}):"
            f" with {_percent(self.certainty)} certainty {what}"
        )


def _claims(evidence: Evidence) -> tuple[_Claim, ...]:
    hour, bounces, complaints = evidence.hour, evidence.bounces, evidence.complaints
    usual = (
        _Claim(BOUNCES, hour, hour.bounced, FAST_CERTAINTY, BOUNCES.least),
        _Claim(BOUNCES, bounces, bounces.bounced, SLOW_CERTAINTY, BOUNCES.least),
        _Claim(COMPLAINTS, hour, hour.complained, FAST_CERTAINTY, COMPLAINTS.least),
        _Claim(COMPLAINTS, complaints, complaints.complained, SLOW_CERTAINTY, COMPLAINTS.least),
    )
    if not evidence.trial:
        return usual
    return (
        _Claim(BOUNCES, bounces, bounces.bounced, TRIAL_CERTAINTY, TRIAL_LEAST),
        _Claim(COMPLAINTS, complaints, complaints.complained, TRIAL_CERTAINTY, TRIAL_LEAST),
        *usual,
    )


def evidence(lane: Lane, hours: Iterable[Hour], now: datetime) -> Evidence:
    """What `lane` is judged by at `now`.

    Args:
        hours: of its outcomes, newest first. Only as many are taken as the windows need.
    """
    taken: list[Hour] = []
    parts: dict[Rule, int] = {}
    judged = 0
    for hour in hours:
        end = hour.began + HOUR
        if end <= now - LONGEST:
            break
        if end <= now - DAY:
            parts |= {rule: len(taken) for rule in RULES if judged >= rule.volume and rule not in parts}
        if len(parts) == len(RULES):
            break
        taken.append(hour)
        judged += int(hour.totals.get(JUDGED, 0))

    def window(hours: Sequence[Hour], span: timedelta, words: str) -> Window:
        judged, bounced, complained = (
            int(count(hours, counter, now, span, lane.start)) for counter in (JUDGED, BOUNCED, COMPLAINED)
        )
        return Window(judged, bounced, complained, words)

    def slow(rule: Rule) -> Window:
        part = taken[: parts.get(rule, len(taken))]
        span = now - part[-1].began if part else HOUR
        return window(part, span, _words(span, lane))

    return Evidence(window(taken, HOUR, LAST_HOUR), slow(BOUNCES), slow(COMPLAINTS), trial=lane.trial)


def _words(span: timedelta, lane: Lane) -> str:
    if lane.trial:
        return "since its release"
    if span <= HOUR:
        return LAST_HOUR
    hours = -(-span // HOUR)
    return f"in the last {hours} hours" if hours <= 48 else f"in the last {-(-span // DAY)} days"


def surely_over(bad: int, judged: int, level: float, certainty: float) -> bool:
    """Whether a rate of which `bad` of `judged` were seen is over `level` for certain: as many or more would come of a
    rate of `level` with a probability below 1 - `certainty`. The same as: its Clopper-Pearson lower bound is above."""
    return bad > level * judged and _at_least(bad, judged, level) < 1 - certainty


def surely_under(bad: int, judged: int, level: float, certainty: float) -> bool:
    """Whether the rate is under `level` for certain: the same with its upper bound."""
    return bad < level * judged and _at_least(judged - bad, judged, 1 - level) < 1 - certainty


def _at_least(least: int, of: int, rate: float) -> float:
    """How probable at least `least` of `of` are at a rate that is lower than theirs: the binomial tail, whose terms
    fall from the first on."""
    ways = lgamma(of + 1) - lgamma(least + 1) - lgamma(of - least + 1)
    term = exp(ways + least * log(rate) + (of - least) * log1p(-rate))
    total, odds = term, rate / (1 - rate)
    for number in range(least, of):
        term *= (of - number) / (number + 1) * odds
        total += term
        if term < total * 1e-15:
            break
    return total


def _percent(share: float) -> str:
    return f"{100 * share:.4g} %"
