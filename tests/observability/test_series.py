"""Series as people write them: what each segment comes to, minute by minute."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from observability.errors import ToolkitError
from observability.model import DAY, HOUR, MINUTE, MetricKey, MetricStat
from observability.series import MONDAY, read_series_file
from observability.statistics import Statistic
from observability.store import Grid, MetricStore

KEY = MetricKey.of("Shop", "Orders")
NAN = float("nan")


def _store(folder: Path, samples: Any, **more: Any) -> MetricStore:
    path = folder / "series.yaml"
    path.write_text(yaml.safe_dump({"length": "10m", "series": {"Shop Orders": samples}, **more}), encoding="utf-8")
    return read_series_file(path)[0]


def _minutes(
    store: MetricStore, statistic: str = "Sum", *, first: int = 0, count: int = 10, key: MetricKey = KEY
) -> list[float]:
    grid = Grid(MONDAY + first * MINUTE + MINUTE, MINUTE, count)
    return list(store.values(MetricStat(key, MINUTE, Statistic.parse(statistic)), grid))


@pytest.mark.parametrize(
    ("samples", "expected"),
    [
        (7, [7.0] * 10),
        ({"value": 7}, [7.0] * 10),
        ([{"for": "2m", "value": 1}, {"value": 5}], [1, 1, *[5] * 8]),
        ([{"for": "5m", "from": 10, "to": 0}, {"gap": True}], [10, 7.5, 5, 2.5, 0, *[NAN] * 5]),
        ([{"for": "10m", "values": [0, None, 1]}], [0, NAN, 1, 0, NAN, 1, 0, NAN, 1, 0]),
        ({"value": 3, "every": "4m"}, [3, NAN, NAN, NAN, 3, NAN, NAN, NAN, 3, NAN]),
        ({"repeat": [{"for": "1m", "value": 1}, {"for": "1m", "gap": True}]}, [1, NAN] * 5),
        ([{"repeat": [{"for": "1m", "value": 1}], "times": 3}, {"value": 2}], [1, 1, 1, *[2] * 7]),
        ([{"repeat": [{"for": "2m", "value": 1}], "for": "3m"}, {"gap": True}], [1, 1, 1, *[NAN] * 7]),
        ([{"value": 1}, {"at": "3m", "value": 9}], [1, 1, 1, 9, *[1] * 6]),
        ([{"value": 1}, {"at": "3m", "for": "2m", "gap": True}], [1, 1, 1, NAN, NAN, *[1] * 5]),
        ([{"for": "1h", "from": 0, "to": 59}], list(range(10))),
    ],
)
def test_a_segment_comes_to_these_samples(tmp_path: Path, samples: Any, expected: list[float]) -> None:
    np.testing.assert_allclose(_minutes(_store(tmp_path, samples)), expected)


def test_counts_say_how_often_each_value_was_measured(tmp_path: Path) -> None:
    store = _store(tmp_path, {"counts": {0: 990, 1: 10}})
    assert _minutes(store, "Average")[0] == 0.01
    assert _minutes(store, "SampleCount")[0] == 1000
    assert _minutes(store, "Sum")[0] == 10


def test_a_ramp_between_counts_moves_in_whole_counts(tmp_path: Path) -> None:
    store = _store(tmp_path, {"for": "5m", "from": {0: 100}, "to": {0: 90, 1: 10}})
    assert _minutes(store, "Sum", count=5) == [0, 2, 5, 8, 10]
    assert _minutes(store, "SampleCount", count=5) == [100, 100, 100, 100, 100]


def test_before_the_start_it_was_what_it_begins_with(tmp_path: Path) -> None:
    ramp = _store(tmp_path, [{"for": "5m", "from": 4, "to": 0}, {"value": 9}], before="3m")
    assert _minutes(ramp, first=-3, count=5) == [4, 4, 4, 4, 3]
    pattern = _store(tmp_path, [{"for": "3m", "values": [1, 2, 3]}, {"value": 9}], before="4m")
    assert _minutes(pattern, first=-4, count=8) == [3, 1, 2, 3, 1, 2, 3, 9]
    gap = _store(tmp_path, [{"for": "3m", "gap": True}, {"value": 9}], before="4m")
    assert np.isnan(_minutes(gap, first=-4, count=7)).all()


def test_a_base_has_its_night_at_night_and_its_own_series_take_its_place(tmp_path: Path) -> None:
    day = {"repeat": [{"for": "6h", "value": 1}, {"for": "18h", "value": 8}]}
    base = {"about": "a day", "series": {"Shop Orders (Count)": day, "Shop Refunds": 1}}
    (tmp_path / "day.base.yaml").write_text(yaml.safe_dump(base), encoding="utf-8")
    more = {"base": "day.base.yaml", "start": "2026-01-05T05:55Z", "before": "1d"}
    store = _store(tmp_path, [{"at": "2m", "value": 50}], **more)
    minute = 5 * 60 + 55
    assert _minutes(store, first=minute) == [1, 1, 50, 1, 1, 8, 8, 8, 8, 8]
    assert _minutes(store, first=minute - 24 * 60, count=6) == [1, 1, 1, 1, 1, 8]
    assert store.units(KEY) == ("Count",)
    store = _store(tmp_path, [{"for": "4m", "gap": True}, {"for": "2m", "normal": True}, {"value": 5}], **more)
    np.testing.assert_array_equal(_minutes(store, first=minute), [NAN, NAN, NAN, NAN, 1, 8, 5, 5, 5, 5])
    assert _minutes(store, key=MetricKey.of("Shop", "Refunds"), first=minute, count=2) == [1, 1]


def test_recorded_emf_is_shifted_by_whole_minutes_to_the_start(tmp_path: Path) -> None:
    def record(milliseconds: int) -> str:
        metrics = {"Namespace": "Shop", "Dimensions": [[]], "Metrics": [{"Name": "Orders"}]}
        return json.dumps({"_aws": {"Timestamp": milliseconds, "CloudWatchMetrics": [metrics]}, "Orders": 3})

    first = 1_700_000_000_000 // 60_000 * 60_000 + 59_000
    lines = ["START RequestId: 1", record(first), record(first + 2_000), '{"message": "no record"}']
    (tmp_path / "log.jsonl").write_text("\n".join(lines), encoding="utf-8")
    path = tmp_path / "series.yaml"
    path.write_text("length: 10m\nemf: [{file: log.jsonl, at: 4m}]\n", encoding="utf-8")
    store, start, end = read_series_file(path)
    assert (start, end) == (MONDAY, MONDAY + 600)
    np.testing.assert_array_equal(_minutes(store), [NAN, NAN, NAN, NAN, 3, 3, NAN, NAN, NAN, NAN])


def test_steps_of_seconds_are_kept_apart(tmp_path: Path) -> None:
    store = _store(tmp_path, [{"for": "20s", "value": 1}, {"value": 2}], step="10s")
    grid = Grid(MONDAY + 10, 10, 3)
    assert list(store.values(MetricStat(KEY, 10, Statistic.parse("Sum")), grid)) == [1, 1, 2]


@pytest.mark.parametrize(
    ("text", "key", "unit"),
    [
        ("Shop Orders", MetricKey.of("Shop", "Orders"), "None"),
        ("Shop disk free (Percent)", MetricKey.of("Shop", "disk free"), "Percent"),
        ("AWS/SQS Age {QueueName=q} (Seconds)", MetricKey.of("AWS/SQS", "Age", {"QueueName": "q"}), "Seconds"),
        ('A B {X="a, b=c", Y=d e}', MetricKey.of("A", "B", {"X": "a, b=c", "Y": "d e"}), "None"),
    ],
)
def test_a_metric_is_written_so(tmp_path: Path, text: str, key: MetricKey, unit: str) -> None:
    path = tmp_path / "series.yaml"
    path.write_text(yaml.safe_dump({"series": {text: 1}}), encoding="utf-8")
    store, _, _ = read_series_file(path)
    assert store.keys() == (key,)
    assert store.units(key) == (unit,)


@given(
    dimensions=st.dictionaries(
        st.from_regex(r"[A-Za-z][A-Za-z0-9_]{0,8}", fullmatch=True),
        st.from_regex(r"[A-Za-z0-9_./:=-]{1,12}", fullmatch=True),
        max_size=4,
    )
)
def test_a_metric_is_written_as_it_is_shown(
    tmp_path_factory: pytest.TempPathFactory, dimensions: Mapping[str, str]
) -> None:
    key = MetricKey.of("Shop", "Orders", dimensions)
    path = tmp_path_factory.mktemp("series") / "series.yaml"
    path.write_text(yaml.safe_dump({"length": "2m", "series": {str(key): 1}}), encoding="utf-8")
    assert read_series_file(path)[0].keys() == (key,)


@given(first=st.integers(1, 200), second=st.integers(1, 200), value=st.integers(0, 9))
def test_a_segment_in_two_parts_is_the_segment(
    tmp_path_factory: pytest.TempPathFactory, first: int, second: int, value: int
) -> None:
    folder = tmp_path_factory.mktemp("series")
    whole = _store(folder, [{"for": f"{first + second}m", "value": value}, {"gap": True}], length="7h")
    parts = [{"for": f"{first}m", "value": value}, {"for": f"{second}m", "value": value}, {"gap": True}]
    np.testing.assert_array_equal(_minutes(whole, count=420), _minutes(_store(folder, parts, length="7h"), count=420))


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("series: {Orders: 1}", "line 1: 'Orders' is no metric; it is written Namespace Name"),
        ("series: {Shop Orders (Cuont): 1}", "did you mean Count?"),
        ('series: {"Shop Orders {A=b, A=c}": 1}', "each is there once"),
        ("series:\n  Shop Orders: 1\n  Shop Orders (Count): 2", "line 3: series: Shop Orders is there twice"),
        ("series: {Shop Orders: [{value: 1}, {value: 2}]}", "says how long it is"),
        ("series: {Shop Orders: {value: 1, gap: true}}", "exactly one of"),
        ("series: {Shop Orders: {valeu: 1}}", "key 'valeu' is not known; did you mean value?"),
        ("series: {Shop Orders: {from: 1}}", "`from` and `to` go together"),
        ("series: {Shop Orders: {value: many}}", "'many': a number is needed"),
        ("series: {Shop Orders: {value: 1, for: 30}}", "'30': a duration is needed"),
        ("series: {Shop Orders: {value: 1, times: 3}}", "goes with `repeat`"),
        ("series: {Shop Orders: {repeat: [{value: 1}]}}", "each with `for`"),
        ("series: {Shop Orders: {counts: {0: -1}}}", "how often each value is measured"),
        ("base: nowhere.base.yaml", "No such file"),
        ("start: soon", "'soon': a time is needed"),
        ("lenght: 3h", "did you mean length?"),
        ("length: [", "not YAML"),
        ("", "it is empty"),
    ],
)
def test_a_fault_is_told_with_its_line(tmp_path: Path, text: str, fault: str) -> None:
    path = tmp_path / "series.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ToolkitError, match=r"series\.yaml") as caught:
        read_series_file(path)
    assert fault in str(caught.value)


def test_a_base_that_is_its_own_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.base.yaml").write_text("base: b.base.yaml", encoding="utf-8")
    (tmp_path / "b.base.yaml").write_text("base: a.base.yaml", encoding="utf-8")
    path = tmp_path / "series.yaml"
    path.write_text("base: a.base.yaml", encoding="utf-8")
    with pytest.raises(ToolkitError, match="is its own base"):
        read_series_file(path)


def test_without_a_length_it_is_a_day(tmp_path: Path) -> None:
    path = tmp_path / "series.yaml"
    path.write_text("start: 2026-01-05T02:00+02:00\nseries: {Shop Orders: 1}", encoding="utf-8")
    assert read_series_file(path)[1:] == (MONDAY, MONDAY + DAY)
    assert MONDAY % (7 * DAY) == 4 * DAY, "the epoch was a Thursday"
    assert HOUR * 24 == DAY
