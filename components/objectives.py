"""What the pipeline promises, and when people are told that a promise is being broken.

An objective is a row of OBJECTIVES. Its misses are one metric whose points are 1 (miss) and 0 (hit), so the average is
the share missed. How fast the error budget burns is that share over the share allowed; people are told by pairs of
windows: a long one, so that it matters, and a short one, so that it is still going on.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import ceil
from typing import Final

import pulumi

from components.watch import (
    DAY,
    FIVE_MINUTES,
    HOUR,
    MINUTE,
    PIPELINE_DOWN,
    Alarm,
    Board,
    Comparison,
    Composite,
    Expression,
    Graph,
    Missing,
    Severity,
    Size,
    Watch,
    own,
)
from handlers.telemetry.contract import DELIVERY_MISSES, FEEDBACK_MISSES, SEND_MISSES, Metric

WINDOW: Final = 30 * DAY


class ObjectiveError(pulumi.RunError, ValueError):
    """An objective that CloudWatch cannot evaluate, or that could never be missed. The CLI prints no stack trace."""


@dataclass(frozen=True, slots=True)
class Burn:
    """A pair of windows. Google, The Site Reliability Workbook, chapter 5, table 5-8.

    Attributes:
        pace: name of the pair.
        rate: times as fast as would use the budget up exactly by the end of the objective's window.
        long, short: seconds.
    """

    pace: str
    rate: Fraction
    long: int
    short: int
    severity: Severity


# 14.4 uses 2 % of a month's budget in an hour, 6 uses 5 % in six hours, 1 uses 10 % in three days.
FAST: Final = Burn("fast", Fraction("14.4"), HOUR, 5 * MINUTE, Severity.PAGE)
STEADY: Final = Burn("steady", Fraction(6), 6 * HOUR, 30 * MINUTE, Severity.PAGE)
SLOW: Final = Burn("slow", Fraction(1), 3 * DAY, 6 * HOUR, Severity.TICKET)


@dataclass(frozen=True, slots=True, kw_only=True)
class Objective:
    """One promise.

    Attributes:
        title: a few words, for a dashboard.
        promise: the sentence that people read.
        target: share of valid events that have to be good.
        misses: points of 0 for each good event and 1 for each bad one; what has no point is not valid.
        burns: whom a burning budget is told to, and when.
    """

    name: str
    title: str
    promise: str
    target: Fraction
    misses: Metric
    valid: str
    burns: Sequence[Burn] = (FAST, STEADY, SLOW)

    @property
    def budget(self) -> Fraction:
        """Share of valid events that may be bad."""
        return 1 - self.target


OBJECTIVES: Final = (
    Objective(
        name="sent-in-time",
        title="Sent within 30 s",
        promise="99.9 % of accepted orders are sent within 30 s",
        target=Fraction("0.999"),
        misses=SEND_MISSES,
        valid="accepted orders with an outcome; FAILED and UNKNOWN are misses, malformed and repeated orders do"
        " not count",
    ),
    Objective(
        name="delivered",
        title="Delivered",
        promise="99.5 % of sent emails are delivered",
        target=Fraction("0.995"),
        misses=DELIVERY_MISSES,
        valid="emails that were delivered, given up or rejected; addresses that do not exist, or are suppressed,"
        " are the"
        " customer's and do not count",
    ),
    Objective(
        name="feedback-in-time",
        title="Recorded within 60 s",
        promise="99 % of what SES reports is in the ledger within 60 s",
        target=Fraction("0.99"),
        misses=FEEDBACK_MISSES,
        valid="SES events that teach the ledger something",
        # Customers have their emails: that the ledger knows late wakes nobody up. Feedback that stops altogether does,
        # by record-feedback-silent-page.
        burns=(SLOW,),
    ),
)


def threshold(objective: Objective, burn: Burn) -> Fraction:
    """The share of misses at which the budget burns at that rate."""
    return burn.rate * objective.budget


def least_volume(objective: Objective, burn: Burn) -> int:
    """The fewest events in the long window that are judged: as many as make one miss alone no alarm."""
    return ceil(1 / threshold(objective, burn))


def refusals(objectives: Sequence[Objective]) -> Iterator[str]:
    """What CloudWatch cannot evaluate about the objectives, and what could never alarm.

    Periods: PutMetricAlarm, `Period` and `EvaluationPeriods` (a multiple of 60 s; at most a day in all, or seven days
    for periods of an hour or more).
    """
    for objective in objectives:
        if not 0 < objective.target < 1:
            yield f"{objective.name}: the target is {float(objective.target):g}, allowed is more than 0 and less than 1"
            continue
        for burn in objective.burns:
            if threshold(objective, burn) >= 1:
                yield (
                    f"{objective.name}: with a target of {float(objective.target):g} a budget cannot burn"
                    f" {float(burn.rate):g} times as fast as allowed: {float(threshold(objective, burn)):.0%} of"
                    " all events"
                    " would have to be misses. Raise the target, or leave the pair out"
                )
            if burn.short >= burn.long:
                yield f"{objective.name}: the short window of {burn.pace} is not shorter than the long one"
            for window in (burn.long, burn.short):
                if window < MINUTE or window % MINUTE:
                    yield f"{objective.name}: a window of {window} s is not a whole number of minutes"
                if window > (7 * DAY if window >= HOUR else DAY):
                    yield f"{objective.name}: CloudWatch alarms look back 7 days at most, not {window / DAY:g}"


def burn_alarms(objective: Objective, burn: Burn, stack: str) -> tuple[Alarm, Alarm]:
    """The alarms on the long and the short window, in this order. Neither tells anybody: their composite does."""
    limit, volume = float(threshold(objective, burn)), least_volume(objective, burn)
    missed = own(objective.misses, stack, stat="Average", label="share missed")
    judged = Expression(
        formula=f"IF(FILL(events, 0) >= {volume}, missed, 0)",
        series={"events": own(objective.misses, stack, stat="SampleCount"), "missed": missed},
        label="share missed",
    )

    def alarm(window: int, which: str) -> Alarm:
        long = which == "long"
        return Alarm(
            component=objective.name,
            condition=f"burn-{burn.pace}-{which}",
            severity=burn.severity,
            summary=f"{objective.promise}: {_window(window)} burn the error budget {float(burn.rate):g} times too fast",
            signal=judged if long else missed,
            comparison=Comparison.ABOVE,
            threshold=limit,
            because=f"{float(burn.rate):g} x {float(objective.budget):g}, the share that may be missed (SRE"
            " Workbook, ch. 5)."
            f" Valid: {objective.valid}",
            period=window,
            missing=Missing.NOT_BREACHING,
            missing_because="without events nothing is missed",
            at_least=f"{volume:,} events: one miss alone is no alarm"
            if long
            else "that of the long window, with which it is joined",
            part_of=composite_name(burn.severity),
        )

    return alarm(burn.long, "long"), alarm(burn.short, "short")


def composite_name(severity: Severity) -> str:
    """The composite that tells of burning budgets."""
    return f"objectives-{severity}"


def composites(objectives: Sequence[Objective] = OBJECTIVES) -> list[Composite]:
    """One composite for each severity: any objective's pair, both windows at once. The pipeline being down is a cause,
    and has told already; what it cost is in the pairs' short windows for as long as these last."""
    summaries = {
        Severity.PAGE: "A promise to customers is being broken fast: the error budget will be gone within days",
        Severity.TICKET: "A promise is being broken slowly: the month's error budget will not last",
    }
    return [
        Composite(
            condition="objectives",
            severity=severity,
            summary=summary,
            any_of=[
                [alarm.name for alarm in burn_alarms(objective, burn, "")]
                for objective in objectives
                for burn in objective.burns
                if burn.severity is severity
            ],
            because="both windows of a pair burn: it matters, and it is still going on",
            suppressed_by=PIPELINE_DOWN,
            echo=max(
                (burn.short for objective in objectives for burn in objective.burns if burn.severity is severity),
                default=0,
            ),
        )
        for severity, summary in summaries.items()
    ]


def watch(stack: str, objectives: Sequence[Objective] = OBJECTIVES, *, alarmed: bool = True) -> Watch:
    """The objectives' alarms, and what is left of each budget.

    Raises:
        ObjectiveError: an objective that cannot be evaluated.
    """
    if faults := list(refusals(objectives)):
        raise ObjectiveError("; ".join(faults))
    return Watch(
        alarms=[
            alarm
            for objective in objectives
            for burn in objective.burns
            for alarm in burn_alarms(objective, burn, stack)
            if alarmed
        ],
        widgets=[
            Graph(
                board=Board.OUTCOMES,
                section="Is what was promised kept? Error budgets of the last 30 days",
                title=f"{objective.title}: % of budget left",
                signals=[
                    Expression(
                        formula=f"100 * (1 - FILL(missed, 0) / {float(objective.budget):g})",
                        series={"missed": own(objective.misses, stack, stat="Average")},
                        label=objective.promise,
                    )
                ],
                unit="%",
                number=True,
                span=WINDOW,
                period=FIVE_MINUTES,
                size=Size.NUMBER,
            )
            for objective in objectives
        ],
    )


def _window(seconds: int) -> str:
    for unit, size in (("days", DAY), ("hours", HOUR), ("minutes", MINUTE)):
        if seconds >= size:
            count = seconds // size
            return f"the last {count} {unit}" if count > 1 else f"the last {unit.removesuffix('s')}"
    raise ObjectiveError(f"{seconds} s is not a window")
