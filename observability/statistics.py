"""CloudWatch's statistics by name, and what each makes of the values of a period.

Source: Amazon CloudWatch user guide, "CloudWatch statistics definitions". It does not say what becomes of the samples
at a boundary given in per cent. Here a boundary falls between samples, never within one and never between two values:
only whole samples are trimmed, so `p99` is the highest of the values that `tm99` averages, as that page has it.
CloudWatch itself computes these from a histogram, and may differ by about a bin of it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from observability.errors import ToolkitError

Values = NDArray[np.float64]

BASIC: Final = ("Sum", "Average", "Minimum", "Maximum", "SampleCount")

PERCENTILE: Final = "p"
TRIMMED_MEAN: Final = "TM"
WINSORIZED_MEAN: Final = "WM"
TRIMMED_COUNT: Final = "TC"
TRIMMED_SUM: Final = "TS"
PERCENTILE_RANK: Final = "PR"

_SHORT: Final = re.compile(r"(p|tm|wm|tc|ts)(\d+(?:\.\d{1,10})?)")
_RANGE: Final = re.compile(r"(TM|WM|TC|TS|PR)\((\d+(?:\.\d{1,10})?)?(%)?:(\d+(?:\.\d{1,10})?)?(%)?\)")
_REMEDY: Final = (
    f"Statistics are {', '.join(BASIC)}, p0 to p100 (p99.9), IQM, tm90, wm90, tc90, ts90 and ranges such as "
    "TM(5%:95%), WM(:99%), TC(80:500), TS(80%:), PR(100:2000)."
)


@dataclass(frozen=True, slots=True)
class Statistic:
    """A statistic; `parse` makes one from its name.

    Attributes:
        text: as CloudWatch spells it: `Sum`, `p99.9`, `tm90`, `WM(5%:95%)`.
        family: one of BASIC, or what it does with the samples: `p`, `TM`, `WM`, `TC`, `TS`, `PR`.
        lower, upper: the boundaries, None where it has none; a percentile has an upper one.
        percent: whether they are shares of the samples, in per cent; they are values otherwise.
    """

    text: str
    family: str
    lower: Fraction | None = None
    upper: Fraction | None = None
    percent: bool = False

    @classmethod
    def parse(cls, text: str) -> Statistic:
        """The statistic of that name; names are case-sensitive, as they are to CloudWatch.

        Raises:
            ToolkitError: CloudWatch has no such statistic.
        """
        return _parse(text)

    @property
    def needs_values(self) -> bool:
        """Whether it takes every single value of a period, so that statistic sets do not do."""
        return self.family not in BASIC

    @property
    def samples_needed(self) -> float:
        """Fewer samples than these say nothing of a percentile ("Percentile-based alarms and low data samples"); 0 for
        every other statistic, and for p0 and p100, of which that page says nothing."""
        if self.family != PERCENTILE or self.upper is None or self.upper in (0, 100):
            return 0.0
        return float(1000 / min(self.upper, 100 - self.upper))

    def __str__(self) -> str:
        return self.text


@lru_cache(maxsize=1024)
def _parse(text: str) -> Statistic:
    if text in BASIC:
        return Statistic(text, text)
    if text == "IQM":
        return Statistic(text, TRIMMED_MEAN, Fraction(25), Fraction(75), percent=True)
    if short := _SHORT.fullmatch(text):
        family, upper = short[1], Fraction(short[2])
        statistic = Statistic(text, family if family == PERCENTILE else family.upper(), None, upper, percent=True)
    elif ranged := _RANGE.fullmatch(text):
        statistic = _ranged(text, ranged)
    else:
        raise ToolkitError(f"statistic {text!r} is not known", _REMEDY)
    bounds = [bound for bound in (statistic.lower, statistic.upper) if bound is not None]
    if statistic.percent and any(bound > 100 for bound in bounds):
        raise ToolkitError(f"statistic {text!r}: percentages are 0 to 100", _REMEDY)
    if len(bounds) == 2 and bounds[0] >= bounds[1]:
        raise ToolkitError(f"statistic {text!r}: the lower boundary has to be below the upper one", _REMEDY)
    return statistic


def _ranged(text: str, match: re.Match[str]) -> Statistic:
    family, lower, lower_percent, upper, upper_percent = match.groups()
    # A percent sign without a number is no boundary either.
    given = {bool(sign) for number, sign in ((lower, lower_percent), (upper, upper_percent)) if number}
    if (lower_percent and not lower) or (upper_percent and not upper) or not given:
        raise ToolkitError(f"statistic {text!r} has no boundary", _REMEDY)
    if len(given) == 2:
        raise ToolkitError(f"statistic {text!r}: boundaries are both percentages, or both values", _REMEDY)
    percent = given == {True}
    if percent and family == PERCENTILE_RANK:
        raise ToolkitError(f"statistic {text!r}: the boundaries of a percentile rank are values", _REMEDY)
    below, above = (Fraction(number) if number else None for number in (lower, upper))
    return Statistic(text, family, below, above, percent=percent)


# Reduction


@dataclass(frozen=True, slots=True)
class Samples:
    """The samples of many periods, one period a column.

    Attributes:
        values: float64[most, periods], ascending in each column.
        weights: float64[most, periods], how many samples have that value; 0, below the others, fills a column up.
    """

    values: Values
    weights: Values


def reduce(statistic: Statistic, samples: Samples) -> Values:
    """What a statistic that needs values makes of each period: float64[periods], NaN where there is no number.

    A period with a negative value has none ("CloudWatch statistics definitions": not available for such metrics).
    """
    values, weights = samples.values, samples.weights
    upto = np.cumsum(weights, axis=0)
    total = upto[-1]
    span = _Span(statistic, values, weights, upto, total, *_trimmed(statistic, values, weights, total))
    with np.errstate(invalid="ignore", divide="ignore"):
        result = _REDUCTIONS[statistic.family](span)
    unusable = (total == 0) | ((values < 0) & (weights > 0)).any(axis=0)
    return np.where(unusable, np.nan, result)


def rank(statistic: Statistic, samples: int) -> int | None:
    """Which of so many single samples, in ascending order and counted from 1, a percentile is; None for what is no
    percentile."""
    if statistic.family != PERCENTILE:
        return None
    nothing = np.empty((0, 1))
    _, last = _trimmed(statistic, nothing, nothing, np.array([float(samples)]))
    return int(last[0])


@dataclass(frozen=True, slots=True)
class _Span:
    """What a reduction looks at: sample number r of a period, from 1, is within the boundaries if first < r <= last."""

    statistic: Statistic
    values: Values
    weights: Values
    upto: Values
    total: Values
    first: Values
    last: Values

    @property
    def kept(self) -> Values:
        """How many samples of each value lie within."""
        before = self.upto - self.weights
        within = np.minimum(self.upto, self.last) - np.maximum(before, self.first)
        kept: Values = np.maximum(within, 0.0)
        return kept

    @property
    def count(self) -> Values:
        return self.last - self.first

    @property
    def sum(self) -> Values:
        total: Values = (self.kept * self.values).sum(axis=0)
        return total

    @property
    def highest(self) -> Values:
        """The value at the upper boundary."""
        return _pick(self.values, self.upto >= self.last)

    @property
    def lowest(self) -> Values:
        """The value next to the lower boundary."""
        return _pick(self.values, self.upto > self.first)


def _trimmed(statistic: Statistic, values: Values, weights: Values, total: Values) -> tuple[Values, Values]:
    if statistic.percent:
        # Whole samples are trimmed from either end. The tolerance keeps 99.9 % of 1,000 samples at 999.
        slack = 1e-9 * np.maximum(total, 1.0)
        first = np.floor(float(statistic.lower or 0) * total / 100 + slack)
        upper = 100.0 if statistic.upper is None else float(statistic.upper)
        last = np.ceil(upper * total / 100 - slack)
        return first, np.minimum(np.maximum(last, np.minimum(first + 1, total)), total)
    # Between values the lower boundary is outside and the upper one within.
    at_most = (
        (weights * (values <= float(bound))).sum(axis=0) if bound is not None else default
        for bound, default in ((statistic.lower, np.zeros_like(total)), (statistic.upper, total))
    )
    first, last = at_most
    return first, last


def _pick(values: Values, reached: NDArray[np.bool_]) -> Values:
    place = reached.argmax(axis=0)
    picked: Values = np.take_along_axis(values, place[None], axis=0)[0]
    return picked


def _winsorized(span: _Span) -> Values:
    statistic = span.statistic
    if not statistic.percent:
        lowest = 0.0 if statistic.lower is None else float(statistic.lower)
        highest = np.inf if statistic.upper is None else float(statistic.upper)
        total: Values = (span.values.clip(lowest, highest) * span.weights).sum(axis=0)
        return total / span.total
    return (span.sum + span.first * span.lowest + (span.total - span.last) * span.highest) / span.total


_REDUCTIONS: Final[Mapping[str, Callable[[_Span], Values]]] = {
    PERCENTILE: lambda span: span.highest,
    TRIMMED_MEAN: lambda span: span.sum / span.count,
    WINSORIZED_MEAN: _winsorized,
    TRIMMED_COUNT: lambda span: span.count,
    TRIMMED_SUM: lambda span: span.sum,
    PERCENTILE_RANK: lambda span: 100.0 * span.count / span.total,
}
