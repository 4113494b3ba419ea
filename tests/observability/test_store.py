"""The metric store: what CloudWatch would answer about the points that were put."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import permutations
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from observability.errors import ToolkitError
from observability.model import MetricKey, MetricStat
from observability.statistics import BASIC, Samples, Statistic, Values, reduce
from observability.store import Grid, MetricStore, slide

KEY = MetricKey.of("Shop", "Latency", {"Stack": "prod"})
NOON = 1_700_049_600  # a whole hour
STATISTICS = (*BASIC, "p90", "tm90", "IQM", "WM(10%:90%)", "PR(:5)")

Point = tuple[int, float, int]  # seconds after NOON, value, count

POINTS = st.lists(
    st.tuples(st.integers(0, 1800), st.floats(0, 1e6, allow_subnormal=False), st.integers(1, 3)), max_size=30
)
GRIDS = st.builds(
    Grid,
    first=st.integers(-5, 35).map(lambda minutes: NOON + 60 * minutes),
    step=st.sampled_from([60, 120, 300, 600]),
    count=st.integers(1, 12),
)
PERIODS = st.sampled_from([60, 120, 300, 900])


def stat(text: str = "Sum", period: int = 60, unit: str | None = None, key: MetricKey = KEY) -> MetricStat:
    return MetricStat(key, period, Statistic.parse(text), unit)


def store_of(points: Sequence[Point], *, resolution: int = 60) -> MetricStore:
    store = MetricStore()
    for after, value, count in points:
        store.put(KEY, NOON + after, value, count, resolution=resolution)
    return store


def one(store: MetricStore, text: str, *, period: int = 60, end: int = NOON + 60, unit: str | None = None) -> float:
    return float(store.values(stat(text, period, unit), Grid(end, 60, 1))[0])


def slowly(points: Sequence[Point], text: str, period: int, grid: Grid, *, resolution: int = 60) -> list[float]:
    """Window by window, sample by sample."""
    found = []
    for end in grid.ends:
        inside = sorted(
            value
            for after, value, count in points
            for _ in range(count)
            if end - period <= (NOON + after) // resolution * resolution < end
        )
        found.append(_naive(text, inside) if inside else math.nan)
    return found


def _naive(text: str, ordered: list[float]) -> float:
    basic: dict[str, Callable[[list[float]], float]] = {
        "Sum": math.fsum,
        "Average": lambda values: math.fsum(values) / len(values),
        "Minimum": min,
        "Maximum": max,
        "SampleCount": len,
    }
    if text in basic:
        return basic[text](ordered)
    column = np.array(ordered)[:, None]
    return float(reduce(Statistic.parse(text), Samples(column, np.ones_like(column)))[0])


# What cannot be put


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 2.0**361])
def test_a_value_that_cloudwatch_refuses_is_refused(value: float) -> None:
    store = MetricStore()
    with pytest.raises(ToolkitError, match=r"Shop Latency \{Stack=prod\}.* cannot be a value"):
        store.put(KEY, [NOON, NOON + 60], [1.0, value])
    assert store.keys() == ()


@pytest.mark.parametrize("count", [0, -1, math.nan, math.inf])
def test_a_count_is_above_nought(count: float) -> None:
    with pytest.raises(ToolkitError, match="cannot be a count"):
        MetricStore().put(KEY, NOON, 1.0, count)


def test_times_and_values_that_differ_in_number_are_refused() -> None:
    with pytest.raises(ToolkitError, match=r"differ in number \(2, 3, 1\)"):
        MetricStore().put(KEY, [NOON, NOON], [1.0, 2.0, 3.0])


def test_a_time_is_a_number_of_seconds() -> None:
    with pytest.raises(ToolkitError, match="cannot be a time"):
        MetricStore().put(KEY, math.nan, 1.0)


def test_resolutions_are_a_second_and_a_minute() -> None:
    with pytest.raises(ToolkitError, match="allowed are 1 and 60"):
        MetricStore().put(KEY, NOON, 1.0, resolution=10)


def test_a_statistic_set_with_its_extremes_crossed_is_refused() -> None:
    with pytest.raises(ToolkitError, match="Minimum 3, above its Maximum 2"):
        MetricStore().put_statistics(KEY, NOON, total=5, minimum=3, maximum=2, count=2)


def test_an_array_that_changes_afterwards_changes_nothing_in_the_store() -> None:
    store, values = MetricStore(), np.array([1.0])
    store.put(KEY, [NOON], values)
    values[0] = 5.0
    assert one(store, "Sum") == one(store, "Maximum") == 1


# Windows


def test_a_metric_that_nobody_emits_has_no_data_point() -> None:
    store = store_of([(0, 1.0, 1)])
    other = MetricKey.of("Shop", "Latency", {"Stack": "dev"})
    for text in STATISTICS:
        assert np.isnan(store.values(stat(text, key=other), Grid(NOON + 60, 60, 3))).all()
        assert store.values(stat(text), Grid(NOON + 60, 60, 0)).shape == (0,)


def test_a_window_has_its_start_within_and_its_end_outside() -> None:
    store = store_of([(0, 1.0, 1), (60, 2.0, 1)])
    assert store.values(stat(), Grid(NOON, 60, 4)).tolist() == pytest.approx([math.nan, 1, 2, math.nan], nan_ok=True)


def test_a_timestamp_is_rounded_down_to_the_minute() -> None:
    store = store_of([(59, 1.0, 1)])
    assert one(store, "Sum") == 1
    assert math.isnan(one(store, "Sum", period=10, end=NOON + 60))


def test_a_metric_of_high_resolution_keeps_its_seconds() -> None:
    store = store_of([(59, 1.0, 1), (5, 2.0, 1)], resolution=1)
    assert store.values(stat(period=10), Grid(NOON + 10, 10, 6)).tolist() == pytest.approx(
        [2, math.nan, math.nan, math.nan, math.nan, 1], nan_ok=True
    )


def test_a_large_value_leaves_no_error_in_the_windows_after_it() -> None:
    minutes = np.arange(100)
    values = np.where(minutes == 10, 1e18, 0.1)
    store = MetricStore()
    store.put(KEY, NOON + 60 * minutes, values)
    sums = store.values(stat(period=300), Grid(NOON + 300, 60, 96))
    assert sums[11:] == pytest.approx(0.5)


def test_two_points_far_apart_are_read_as_fast_as_two_that_are_not() -> None:
    store = MetricStore()
    store.put(KEY, [0, 4_000_000_000], [1.0, 2.0], resolution=1)  # a number a second would take 30 GB
    assert one(store, "Sum", end=60) == 1
    assert one(store, "p50", end=4_000_000_060) == 2


@given(POINTS, GRIDS, PERIODS, st.sampled_from(STATISTICS))
def test_windows_are_what_a_slow_computation_finds(points: list[Point], grid: Grid, period: int, text: str) -> None:
    found = store_of(points).values(stat(text, period), grid)
    np.testing.assert_allclose(found, slowly(points, text, period, grid), rtol=1e-12)


@given(POINTS, st.integers(0, 60), st.sampled_from([10, 30, 60]), st.integers(1, 20), st.sampled_from(STATISTICS))
def test_windows_of_high_resolution_are_as_well(
    points: list[Point], begin: int, period: int, count: int, text: str
) -> None:
    grid = Grid(NOON + begin, 10, count)
    found = store_of(points, resolution=1).values(stat(text, period), grid)
    np.testing.assert_allclose(found, slowly(points, text, period, grid, resolution=1), rtol=1e-12)


@given(st.lists(st.integers(-9, 9), min_size=1, max_size=70), st.data())
def test_sliding_is_reducing_every_run_of_neighbours(values: list[int], data: st.DataObject) -> None:
    length = data.draw(st.integers(1, len(values)))
    array: Values = np.array(values, dtype=np.float64)
    runs = np.lib.stride_tricks.sliding_window_view(array, length)
    for operation in (np.add, np.minimum, np.maximum):
        assert slide(operation, array, length).tolist() == operation.reduce(runs, axis=1).tolist()
    assert array.tolist() == values


@given(st.integers(1, 200), st.sampled_from(STATISTICS))
def test_a_whole_series_without_gaps_reads_as_one_with_gaps_does(minutes: int, text: str) -> None:
    points = [(60 * minute, float(minute % 7), 1) for minute in range(minutes)]
    grid = Grid(NOON + 300, 60, max(1, minutes - 4))
    found = store_of(points).values(stat(text, 300), grid)
    np.testing.assert_allclose(found, slowly(points, text, 300, grid), rtol=1e-12)


# Order, and stores put together


@given(POINTS, st.randoms(use_true_random=False), GRIDS, PERIODS)
def test_order_of_ingestion_does_not_matter_to_the_last_bit(
    points: list[Point], random: Random, grid: Grid, period: int
) -> None:
    shuffled = list(points)
    random.shuffle(shuffled)
    first, second = store_of(points), store_of(shuffled)
    for text in STATISTICS:
        assert first.values(stat(text, period), grid).tobytes() == second.values(stat(text, period), grid).tobytes()


def test_nor_does_it_where_the_order_of_a_sum_would_tell() -> None:
    assert 0.1 + 0.2 + 0.3 != 0.3 + 0.2 + 0.1
    found = {one(store_of([(0, value, 1) for value in order]), "Sum") for order in permutations((0.1, 0.2, 0.3))}
    assert len(found) == 1


@given(POINTS, POINTS, GRIDS, PERIODS)
def test_stores_put_together_answer_as_one_that_was_given_everything(
    some: list[Point], others: list[Point], grid: Grid, period: int
) -> None:
    parts = (store_of(some), store_of(others))
    together, whole = MetricStore.merged(*parts), store_of([*some, *others])
    for text in STATISTICS:
        assert together.values(stat(text, period), grid).tobytes() == whole.values(stat(text, period), grid).tobytes()
    assert (together.keys(), together.span()) == (whole.keys(), whole.span())
    np.testing.assert_array_equal(parts[0].values(stat(), grid), store_of(some).values(stat(), grid))


@given(POINTS, GRIDS)
def test_a_point_that_comes_after_a_reading_is_seen_by_the_next(points: list[Point], grid: Grid) -> None:
    store = MetricStore()
    for number, (after, value, count) in enumerate(points, start=1):
        store.put(KEY, NOON + after, value, count)
        np.testing.assert_allclose(
            store.values(stat("Average", 300), grid), slowly(points[:number], "Average", 300, grid), rtol=1e-12
        )


# Statistic sets


def test_a_statistic_set_counts_in_the_basic_statistics() -> None:
    store = store_of([(0, 4.0, 1)])
    store.put_statistics(KEY, NOON + 30, total=12, minimum=1, maximum=9, count=3)
    assert [one(store, text) for text in BASIC] == [16, 4, 1, 9, 4]


def test_a_statistic_set_leaves_its_period_without_percentiles_and_no_other() -> None:
    store = store_of([(0, 4.0, 1), (60, 5.0, 1)])
    store.put_statistics(KEY, NOON, total=12, minimum=1, maximum=9, count=3)
    assert math.isnan(one(store, "p50"))
    assert math.isnan(one(store, "tm90", period=120, end=NOON + 120))
    assert one(store, "p50", end=NOON + 120) == 5


@pytest.mark.parametrize(("total", "count"), [(7.0, 1), (21.0, 3)])
def test_a_statistic_set_of_one_value_has_percentiles(total: float, count: int) -> None:
    store = MetricStore()
    store.put_statistics(KEY, NOON, total=total, minimum=7, maximum=7, count=count)
    assert (one(store, "p90"), one(store, "TC(:7)")) == (7, count)


@pytest.mark.parametrize(("total", "maximum"), [(20, 7), (21, 8)])
def test_a_statistic_set_whose_sum_belies_its_extremes_has_none(total: float, maximum: float) -> None:
    store = MetricStore()
    store.put_statistics(KEY, NOON, total=total, minimum=7, maximum=maximum, count=3)
    assert math.isnan(one(store, "p90"))


# Units


def test_a_unit_keeps_to_its_own_points_and_none_takes_all() -> None:
    store = MetricStore()
    store.put(KEY, NOON, 1.0, unit="Seconds")
    store.put(KEY, NOON, 1000.0, unit="Milliseconds")
    assert (one(store, "Sum", unit="Seconds"), one(store, "Sum", unit="Milliseconds")) == (1, 1000)
    assert (one(store, "Sum"), one(store, "p50")) == (1001, 1)
    assert math.isnan(one(store, "Sum", unit="Count"))
    assert store.units(KEY) == ("Milliseconds", "Seconds")
    store.put(KEY, NOON, 2.0, unit="Seconds")
    assert one(store, "Sum") == 1003


def test_a_store_says_which_metrics_it_has_and_from_when_to_when() -> None:
    store, other = MetricStore(), MetricKey.of("Shop", "Errors")
    assert (store.keys(), store.span(), store.units(KEY)) == ((), None, ())
    store.put(KEY, [NOON + 130, NOON + 10], [1.0, 2.0])
    store.put(other, NOON + 61, 1.0)
    store.put(other, [], [])
    assert (store.keys(), store.span()) == ((other, KEY), (NOON, NOON + 120))


# Samples


def test_a_percentile_of_too_few_samples_is_told_apart() -> None:
    store = store_of([(0, 1.0, 19), (60, 1.0, 20)])
    grid = Grid(NOON + 60, 60, 3)
    assert store.samples_low(stat("p50"), grid).tolist() == [True, False, False]
    assert store.samples_low(stat("p50", 120), grid).tolist() == [True, False, False]
    assert not store.samples_low(stat("tm50"), grid).any()
    assert not store.samples_low(stat("p50", key=MetricKey.of("Shop", "Errors")), grid).any()
