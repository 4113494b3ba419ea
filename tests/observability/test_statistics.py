"""CloudWatch's statistics by name: which there are, and what each makes of samples."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from observability.errors import ToolkitError
from observability.statistics import BASIC, Samples, Statistic, reduce

SAMPLES = st.lists(st.integers(0, 50), min_size=1, max_size=40)
PERCENT = st.sampled_from(["0.1", "2", "5", "10", "25", "33.3", "50", "75", "90", "95", "99", "99.9"])
BOUNDS = st.lists(PERCENT, min_size=2, max_size=2, unique_by=Fraction).map(lambda pair: sorted(pair, key=Fraction))


def of(text: str, samples: Sequence[float]) -> float:
    values = np.array(sorted(samples), dtype=np.float64)[:, None]
    return float(reduce(Statistic.parse(text), Samples(values, np.ones_like(values)))[0])


def left(samples: Sequence[int], lower: str, upper: str) -> list[int]:
    """What is left when no more than those shares are taken off at either end, in exact arithmetic."""
    ordered, count = sorted(samples), len(samples)
    return ordered[math.floor(Fraction(lower) * count / 100) : math.ceil(Fraction(upper) * count / 100)]


# Names


@pytest.mark.parametrize(
    "text",
    [
        "", "sum", "Median", "P99", "p", "p101", "p100.1", "p-1", "p99.12345678901", "TM90", "tm101", "tm(90)", "iqm",
        "TM()", "TM(:)", "TM(%:%)", "TM(5%:)%", "TM(5:95", "TM(5%:95)", "TM(5:95%)", "TM(95%:5%)", "TM(5%:5%)",
        "TM(5%:101%)", "TM(-1:5)", "PR(5%:95%)", "PR90", "pr90", "p99 ", "IQM(25%:75%)", "XX(1:2)",
    ],
)  # fmt: skip
def test_a_name_that_cloudwatch_does_not_have_is_refused_with_those_it_has(text: str) -> None:
    with pytest.raises(ToolkitError, match="statistic") as refused:
        Statistic.parse(text)
    assert repr(text) in str(refused.value)
    assert "p0 to p100" in refused.value.remedy


@pytest.mark.parametrize(
    "text", [*BASIC, "p0", "p50", "p99.9", "p100", "p99.1234567890", "IQM", "tm90", "wm98", "tc90"]
)
def test_a_name_is_kept_as_it_is_written(text: str) -> None:
    assert str(Statistic.parse(text)) == text


@pytest.mark.parametrize(
    ("text", "family", "lower", "upper", "percent"),
    [
        ("p99.9", "p", None, "99.9", True),
        ("tm99", "TM", None, "99", True),
        ("IQM", "TM", "25", "75", True),
        ("WM(10%:90%)", "WM", "10", "90", True),
        ("TS(80%:)", "TS", "80", None, True),
        ("TM(:95%)", "TM", None, "95", True),
        ("TC(0.005:0.030)", "TC", "0.005", "0.03", False),
        ("PR(:300)", "PR", None, "300", False),
        ("PR(10:)", "PR", "10", None, False),
    ],
)
def test_a_name_says_what_is_done_and_between_which_boundaries(
    text: str, family: str, lower: str | None, upper: str | None, percent: bool
) -> None:
    bounds = tuple(None if bound is None else Fraction(bound) for bound in (lower, upper))
    statistic = Statistic.parse(text)
    assert (statistic.family, (statistic.lower, statistic.upper), statistic.percent) == (family, bounds, percent)


def test_only_the_five_basic_statistics_do_without_the_single_values() -> None:
    assert not any(Statistic.parse(text).needs_values for text in BASIC)
    assert all(Statistic.parse(text).needs_values for text in ("p99", "tm90", "IQM", "PR(:1)"))


@pytest.mark.parametrize(
    ("text", "samples"),
    [("p99", 1000), ("p99.9", 10_000), ("p50", 20), ("p10", 100), ("p0", 0), ("p100", 0), ("tm99", 0), ("Sum", 0)],
)
def test_a_percentile_needs_ten_samples_beyond_it(text: str, samples: float) -> None:
    """ "Percentile-based alarms and low data samples": 10/(1-percentile) from the median up, 10/percentile below."""
    assert Statistic.parse(text).samples_needed == samples


# The guide's own examples ("CloudWatch statistics definitions"), over the whole numbers 1 to 100


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("p95", 95),
        ("p100", 100),
        ("p0", 1),
        ("tm90", np.mean(range(1, 91))),
        ("TM(2%:98%)", np.mean(range(3, 99))),
        ("IQM", np.mean(range(26, 76))),
        ("wm98", (sum(range(1, 99)) + 2 * 98) / 100),
        ("WM(10%:90%)", (sum(range(11, 91)) + 10 * 11 + 10 * 90) / 100),
        ("tc90", 90),
        ("ts90", sum(range(1, 91))),
        ("TS(80%:)", sum(range(81, 101))),
    ],
)
def test_percentages_take_whole_samples_off_the_ends(text: str, expected: float) -> None:
    assert of(text, range(1, 101)) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("TM(150:1000)", np.mean([151, 1000])),
        ("TC(150:1000)", 2),
        ("TS(150:1000)", 1151),
        ("TM(:150)", 150),
        ("PR(:1000)", 75),
        ("PR(150:1000)", 50),
        ("PR(1000:)", 25),
        ("WM(200:1000)", np.mean([200, 200, 1000, 1000])),
    ],
)
def test_a_lower_value_is_outside_and_an_upper_one_within(text: str, expected: float) -> None:
    assert of(text, [150, 151, 1000, 1001]) == pytest.approx(expected)


def test_nothing_within_the_boundaries_has_no_mean_but_a_count() -> None:
    assert math.isnan(of("TM(5:6)", [1, 2]))
    assert (of("TC(5:6)", [1, 2]), of("TS(5:6)", [1, 2]), of("PR(5:6)", [1, 2])) == (0, 0, 0)


def test_a_negative_value_leaves_a_period_without_such_statistics() -> None:
    for text in ("p50", "tm90", "TC(0:5)", "PR(:5)", "IQM", "WM(:5)"):
        assert math.isnan(of(text, [-1, 2, 3]))


@pytest.mark.parametrize(("text", "samples", "kept"), [("tc32.2", 500, 161), ("TC(64.6%:)", 500, 177)])
def test_a_boundary_that_no_float_meets_is_still_at_a_whole_sample(text: str, samples: int, kept: int) -> None:
    assert of(text, range(samples)) == kept


# The definitions, in exact arithmetic


@given(SAMPLES, PERCENT)
def test_a_percentile_is_the_highest_of_what_the_trimmed_mean_averages(samples: list[int], upper: str) -> None:
    assert of(f"p{upper}", samples) == left(samples, "0", upper)[-1]


@given(SAMPLES, BOUNDS)
def test_trimmed_statistics_are_those_of_what_is_left(samples: list[int], bounds: list[str]) -> None:
    kept = left(samples, *bounds)
    expected = {"TC": len(kept), "TS": sum(kept), "TM": sum(kept) / len(kept)}
    for family, value in expected.items():
        assert of(f"{family}({bounds[0]}%:{bounds[1]}%)", samples) == pytest.approx(value)


@given(SAMPLES, BOUNDS)
def test_a_winsorized_mean_puts_what_is_trimmed_at_the_edge(samples: list[int], bounds: list[str]) -> None:
    kept = left(samples, *bounds)
    clipped = np.clip(samples, kept[0], kept[-1])
    assert of(f"WM({bounds[0]}%:{bounds[1]}%)", samples) == pytest.approx(clipped.mean())


@given(SAMPLES, st.integers(0, 50), st.integers(1, 20))
def test_bins_of_percentile_ranks_come_to_a_hundred(samples: list[int], low: int, width: int) -> None:
    bins = [f"PR(:{low})", f"PR({low}:{low + width})", f"PR({low + width}:)"]
    assert sum(of(each, samples) for each in bins) == pytest.approx(100)
    assert of(bins[1], samples) == pytest.approx(
        100 * sum(low < each <= low + width for each in samples) / len(samples)
    )


@given(
    st.lists(st.tuples(st.integers(0, 20), st.integers(1, 5)), min_size=1, max_size=10),
    st.sampled_from(["p90", "tm90", "IQM", "WM(10%:90%)", "TC(5:15)", "TS(10%:)", "PR(:10)", "WM(3:9)"]),
)
def test_a_value_with_a_count_is_that_many_samples(counted: list[tuple[int, int]], text: str) -> None:
    ordered = sorted(counted)
    weighted = Samples(*(np.array(column, dtype=np.float64)[:, None] for column in zip(*ordered, strict=True)))
    single = [value for value, count in ordered for _ in range(count)]
    np.testing.assert_allclose(reduce(Statistic.parse(text), weighted)[0], of(text, single))
