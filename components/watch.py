"""What a component says about itself: what to alarm on, what to draw, what to search. Plain data, no resources.

A component's `watch()` returns a `Watch`; `monitoring.py` is the only maker of alarms and dashboards from it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import pulumi

from handlers.telemetry.contract import NAMESPACE, STACK, Metric

MINUTE: Final = 60
HOUR: Final = 3600
DAY: Final = 24 * HOUR
FIVE_MINUTES: Final = 5 * MINUTE

PIPELINE_DOWN: Final = "pipeline-down-page"
REPUTATION_AT_RISK: Final = "reputation-at-risk-page"
"""The composites that components may give an alarm to (`Alarm.part_of`); `monitoring.py` makes them."""


BRAKE_ENGAGED_PAGE: Final = "brake-engaged-page"
"""The alarm of the brake (`components/brake.py`) that these two keep quiet behind."""


class Severity(StrEnum):
    """Who is told: PAGE wakes somebody up, TICKET waits for the morning."""

    PAGE = "page"
    TICKET = "ticket"


class Comparison(StrEnum):
    """CloudWatch's comparison operators, of those that are used."""

    ABOVE = "GreaterThanThreshold"
    AT_LEAST = "GreaterThanOrEqualToThreshold"
    BELOW = "LessThanThreshold"


class Missing(StrEnum):
    """What a period without data means (PutMetricAlarm, TreatMissingData)."""

    BREACHING = "breaching"
    NOT_BREACHING = "notBreaching"
    IGNORE = "ignore"
    MISSING = "missing"


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """One metric in one statistic.

    Attributes:
        stat: `Sum`, `Average`, `Maximum`, `SampleCount`, `p95` ... as CloudWatch spells it.
        label: what a graph calls it.
    """

    namespace: str
    metric: str
    dimensions: Mapping[str, pulumi.Input[str]]
    stat: str
    label: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Expression:
    """Metric math. `formula` speaks of `series` by their ids (lower case first, as CloudWatch wants them)."""

    formula: str
    series: Mapping[str, Series]
    label: str = ""


Signal = Series | Expression


def own(metric: Metric, stack: str, stat: str = "Sum", label: str = "") -> Series:
    """A series of one of our declared metrics."""
    return Series(
        namespace=NAMESPACE, metric=metric.name, dimensions={STACK.name: stack}, stat=stat, label=label or metric.name
    )


def share(part: Series, whole: Series, *, at_least: int, label: str, percent: bool = True) -> Expression:
    """`part` of `whole`, in percent; 0 where `whole` is under `at_least`, so that one of two at night is no alarm.

    Nothing is 0, too: for a period without a point CloudWatch takes an older one, and would tell of what is over.
    """
    factor = "100 * " if percent else ""
    return Expression(
        formula=f"IF(FILL(whole, 0) >= {at_least}, {factor}FILL(part, 0) / whole, 0)",
        series={"part": part, "whole": whole},
        label=label,
    )


def filled(name: str, series: Series) -> Expression:
    """`series` as `name`, and 0 for a period without a point. An alarm would otherwise make do with older points, and
    tell of what is over."""
    return Expression(formula=f"FILL({name}, 0)", series={name: series}, label=series.label)


@dataclass(frozen=True, slots=True, kw_only=True)
class Alarm:
    """One alarm.

    Attributes:
        component: what it watches, such as `send-email`.
        condition: what is wrong there, such as `errors`.
        summary: one line for whoever is woken up: what is wrong, and for whom.
        signal: what is compared with the threshold.
        because: where the threshold comes from, and what it cannot see.
        period: seconds of one data point.
        points: (m, n): m of the last n points have to breach.
        missing, missing_because: what a period without data means, and why.
        at_least: the minimum volume that a rate needs before it counts, in words; "" where the signal is no rate.
        part_of: the composite that speaks for it. Such an alarm tells nobody by itself.
        unheard: whether it watches the way that notifications take, so that it must not depend on it.
    """

    component: str
    condition: str
    severity: Severity
    summary: str
    signal: Signal
    comparison: Comparison
    threshold: float
    because: str
    period: int
    points: tuple[int, int] = (1, 1)
    missing: Missing
    missing_because: str
    at_least: str = ""
    part_of: str = ""
    unheard: bool = False

    @property
    def name(self) -> str:
        """Name within the stack: component, condition, severity."""
        return f"{self.component}-{self.condition}-{self.severity}"

    @property
    def anchor(self) -> str:
        """Anchor of its section in the runbook."""
        return self.name


@dataclass(frozen=True, slots=True, kw_only=True)
class Composite:
    """An alarm made of alarms, so that one cause tells once.

    Attributes:
        any_of: it is in ALARM when all alarms of any of these groups are; their names, without the stack's.
        suppressed_by: name of the alarm or composite that it keeps quiet behind: its cause, which has told already.
        wait: seconds that it holds back for that cause to be found out. Alarms are evaluated once a minute, each at a
            second of its own, and data points come up to a minute late.
        echo: seconds that it may stay in ALARM when its cause is over, by what its windows still hold.
    """

    condition: str
    severity: Severity
    summary: str
    any_of: Sequence[Sequence[str]]
    because: str
    suppressed_by: str = ""
    wait: int = 3 * MINUTE
    echo: int = 0

    @property
    def name(self) -> str:
        return f"{self.condition}-{self.severity}"

    @property
    def anchor(self) -> str:
        """Anchor of its section in the runbook."""
        return self.name


class Board(StrEnum):
    """The two dashboards: are emails going out, and what broke."""

    OUTCOMES = "outcomes"
    RESOURCES = "resources"


class Size(StrEnum):
    """How much room a widget takes: a number, half a row, a whole row."""

    NUMBER = "number"
    HALF = "half"
    FULL = "full"


@dataclass(frozen=True, slots=True, kw_only=True)
class Graph:
    """A widget with lines or numbers.

    Attributes:
        section: the heading that it stands under.
        title: what it shows, in a sentence that needs no legend.
        signals: the lines, by label.
        unit: of the axis, in words.
        lines: alarms whose thresholds are drawn.
        number: one current number each instead of lines.
        span: seconds that a number sums up; 0 for the latest point.
        period: seconds of a point.
        most: upper end of the axis, where it has one (percentages).
    """

    board: Board
    section: str
    title: str
    signals: Sequence[Signal]
    unit: str
    lines: Sequence[Alarm] = ()
    number: bool = False
    span: int = 0
    period: int = FIVE_MINUTES
    size: Size = Size.HALF
    most: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LogTable:
    """A widget with the answer to a log query."""

    board: Board
    section: str
    title: str
    query: str
    log_groups: Sequence[pulumi.Input[str]]
    size: Size = Size.FULL


@dataclass(frozen=True, slots=True, kw_only=True)
class SavedQuery:
    """A Logs Insights query, kept under a name where people look for it."""

    name: str
    query: str
    log_groups: Sequence[pulumi.Input[str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """What a component says about itself.

    Attributes:
        metrics: our own metrics that it makes somebody emit, each billed.
        log_groups: where its functions log.
    """

    metrics: Sequence[Metric] = ()
    alarms: Sequence[Alarm] = ()
    widgets: Sequence[Graph | LogTable] = ()
    queries: Sequence[SavedQuery] = ()
    log_groups: Sequence[pulumi.Input[str]] = ()

    def __add__(self, other: "Watch") -> "Watch":
        return Watch(
            metrics=[*self.metrics, *other.metrics],
            alarms=[*self.alarms, *other.alarms],
            widgets=[*self.widgets, *other.widgets],
            queries=[*self.queries, *other.queries],
            log_groups=[*self.log_groups, *other.log_groups],
        )
