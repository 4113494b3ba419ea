"""What becomes of log lines in embedded metric format, and of requests to PutMetricData."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from observability.errors import ToolkitError
from observability.ingest import Refusal, from_emf, from_put_metric_data
from observability.model import MetricKey, MetricStat
from observability.statistics import Statistic
from observability.store import Grid, MetricStore

NOON = 1_700_049_600
PROD = MetricKey.of("Shop", "Latency", {"Stack": "prod"})
DIRECTIVE: Mapping[str, Any] = {
    "Namespace": "Shop",
    "Dimensions": [["Stack"]],
    "Metrics": [{"Name": "Latency", "Unit": "Milliseconds"}],
}
ROOT: Mapping[str, Any] = {"Stack": "prod", "Latency": 120, "order_id": "A-1"}


def record(root: Mapping[str, Any] = ROOT, *, timestamp: Any = NOON * 1000 + 999, **changed: Any) -> dict[str, Any]:
    return {"_aws": {"Timestamp": timestamp, "CloudWatchMetrics": [{**DIRECTIVE, **changed}]}, **root}


def read(
    store: MetricStore, key: MetricKey = PROD, text: str = "Sum", *, period: int = 60, end: int = NOON + 60
) -> float:
    return float(store.values(MetricStat(key, period, Statistic.parse(text)), Grid(end, 60, 1))[0])


def metric(**definition: Any) -> dict[str, Any]:
    return record(Metrics=[{"Name": "Latency", **definition}])


# Records that are refused


@pytest.mark.parametrize(
    ("invalid", "reason"),
    [
        ({"_aws": []}, "_aws is [], that has to be an object"),
        ({"_aws": {"Timestamp": 1}}, "_aws.CloudWatchMetrics is missing, that has to be an array"),
        (record(timestamp=None), "_aws.Timestamp is missing"),
        (record(timestamp="2023-11-15"), '_aws.Timestamp is "2023-11-15", that has to be milliseconds'),
        (record(timestamp=True), "_aws.Timestamp is true"),
        (record(timestamp=10**30), "_aws.Timestamp is 1000000000000000000000000000000"),
        (record(Namespace=None), "_aws.CloudWatchMetrics[0].Namespace is missing"),
        (record(Namespace=""), "_aws.CloudWatchMetrics[0].Namespace is empty"),
        (record(Dimensions=None), "_aws.CloudWatchMetrics[0].Dimensions is missing"),
        (record(Dimensions=[]), "for metrics without dimensions it is [[]]"),
        (record(Dimensions=["Stack"]), 'the set "Stack", that has to be an array of names'),
        (record(Dimensions=[["Lane"]]), "dimension Lane: its value is missing, that has to be a string at the root"),
        (record(Dimensions=[["Latency"]]), "dimension Latency: its value is 120"),
        (record({**ROOT, "Stack": ""}), 'dimension Stack: its value is ""'),
        (record(Dimensions=[["Stack"] * 31]), "a set of 31 dimensions, at most 30"),
        (record(Metrics={}), "_aws.CloudWatchMetrics[0].Metrics is {}"),
        (record(Metrics=["Latency"]), 'Metrics has "Latency", that has to be an object'),
        (record(Metrics=[{"Unit": "Count"}]), "Metrics: Name is missing"),
        (record(Metrics=[{"Name": "Latency"}] * 101), "defines 101 metrics, at most 100"),
        (metric(Unit="ms"), 'metric Latency: Unit is "ms", which CloudWatch does not have'),
        (metric(Unit=["Count"]), 'metric Latency: Unit is ["Count"]'),
        (metric(StorageResolution=10), "metric Latency: StorageResolution is 10, allowed are 1 and 60"),
        (record({"Stack": "prod"}), "metric Latency: its value is missing, that has to be a number"),
        (record({**ROOT, "Latency": "120"}), 'metric Latency: its value is "120"'),
        (record({**ROOT, "Latency": True}), "metric Latency: its value is true"),
        (record({**ROOT, "Latency": {"p": 1}}), "metric Latency: its value is"),
        (record({**ROOT, "Latency": [1, None]}), "metric Latency: its value is [1, null]"),
        (record({**ROOT, "Latency": [1] * 101}), "metric Latency has 101 values, at most 100"),
        (record({**ROOT, "Latency": 10**300}), "metric Latency: its value is 1000"),
    ],
)
def test_a_record_that_is_not_as_specified_is_refused_with_the_place(invalid: Mapping[str, Any], reason: str) -> None:
    store = MetricStore()
    taken = from_emf([json.dumps(invalid)], store)
    assert (taken.records, taken.points, store.keys()) == (0, 0, ())
    assert [refusal.line for refusal in taken.refused] == [1]
    assert reason in taken.refused[0].reason


@pytest.mark.parametrize(
    "line", ['{"_aws": {"Timestamp": 1', json.dumps(record()) + " and more", '{"_aws": {}, "Latency": NaN}']
)
def test_a_record_that_is_not_json_is_refused(line: str) -> None:
    (refusal,) = from_emf([line], MetricStore()).refused
    assert refusal.reason.startswith("it is not JSON: ")


def test_a_record_with_one_fault_adds_nothing_and_the_others_are_taken() -> None:
    store = MetricStore()
    faulty = record(Metrics=[{"Name": "Latency"}, {"Name": "Errors"}])
    taken = from_emf([record(), "START RequestId: 1", faulty, record()], store)
    assert (taken.records, taken.points) == (2, 2)
    assert taken.refused == (
        Refusal(3, "metric Errors: its value is missing, that has to be a number, or some, at the root"),
    )
    assert read(store, text="SampleCount") == 2


def test_nested_targets_are_not_found() -> None:
    nested = record({"Stack": "prod", "Latency.p": {"x": 1}}, Metrics=[{"Name": "Latency.p.x"}])
    assert from_emf([nested], MetricStore()).refused


@pytest.mark.parametrize(
    "line", ["", "START RequestId: 8f", '{"level": "INFO", "message": "sent"}', "{", '["_aws"]', '{"note": "_aws"}']
)
def test_other_lines_are_passed_over(line: str) -> None:
    taken = from_emf([line], MetricStore())
    assert (taken.records, taken.refused) == (0, ())


# Records that are taken


def test_a_record_is_a_point_at_the_minute_of_its_timestamp() -> None:
    store = MetricStore()
    from_emf([json.dumps(record(timestamp=(NOON + 59) * 1000 + 999))], store)
    assert (store.keys(), store.units(PROD), store.span()) == ((PROD,), ("Milliseconds",), (NOON, NOON))
    assert read(store) == 120


def test_what_lambda_writes_before_a_record_is_no_part_of_it() -> None:
    store = MetricStore()
    from_emf([f"2023-11-15T12:00:00.123Z\t8f3c\tINFO\t{json.dumps(record())}\n"], store)
    assert read(store) == 120


def test_every_dimension_set_is_a_metric_of_its_own_the_empty_one_too() -> None:
    store = MetricStore()
    root = {**ROOT, "Lane": "bulk"}
    taken = from_emf([record(root, Dimensions=[[], ["Stack"], ["Stack", "Lane"]])], store)
    sets: list[dict[str, str]] = [{}, {"Stack": "prod"}, {"Stack": "prod", "Lane": "bulk"}]
    keys = [MetricKey.of("Shop", "Latency", dimensions) for dimensions in sets]
    assert (set(store.keys()), taken.points) == (set(keys), 3)
    assert [read(store, key) for key in keys] == [120, 120, 120]


def test_an_array_is_as_many_points() -> None:
    store = MetricStore()
    assert from_emf([record({**ROOT, "Latency": [10, 20.5, 90]})], store).points == 3
    assert [read(store, text=text) for text in ("SampleCount", "Sum", "p50")] == [3, 120.5, 20.5]


def test_an_empty_array_is_no_point() -> None:
    store = MetricStore()
    taken = from_emf([record({**ROOT, "Latency": []})], store)
    assert (taken.records, taken.points, store.keys()) == (1, 0, ())


def test_without_a_unit_it_is_none_and_without_a_resolution_a_minute() -> None:
    store = MetricStore()
    from_emf([record(timestamp=(NOON + 30) * 1000, Metrics=[{"Name": "Latency"}])], store)
    assert (store.units(PROD), store.span()) == (("None",), (NOON, NOON))


def test_high_resolution_keeps_the_second() -> None:
    store = MetricStore()
    from_emf(
        [
            {
                **metric(StorageResolution=1),
                "_aws": {**metric(StorageResolution=1)["_aws"], "Timestamp": (NOON + 30) * 1000 + 999},
            }
        ],
        store,
    )
    assert store.span() == (NOON + 30, NOON + 30)


def test_several_directives_name_metrics_of_one_root() -> None:
    store = MetricStore()
    two = record({**ROOT, "Errors": 1})
    two["_aws"]["CloudWatchMetrics"].append({"Namespace": "Other", "Dimensions": [[]], "Metrics": [{"Name": "Errors"}]})
    from_emf([two], store)
    assert store.keys() == (MetricKey.of("Other", "Errors"), PROD)


@given(
    st.permutations([record({**ROOT, "Latency": value}, timestamp=NOON * 1000 + 1000 * value) for value in range(9)])
)
def test_order_of_lines_does_not_matter(lines: list[dict[str, Any]]) -> None:
    store = MetricStore()
    assert from_emf(lines, store).records == 9
    assert (read(store), read(store, text="p90")) == (36, 8)


# PutMetricData


def datum(**changed: Any) -> dict[str, Any]:
    base = {
        "MetricName": "Latency",
        "Dimensions": [{"Name": "Stack", "Value": "prod"}],
        "Timestamp": NOON,
        "Unit": "Milliseconds",
    }
    return {name: value for name, value in {**base, **changed}.items() if value is not None}


def request(*data: Mapping[str, Any]) -> dict[str, Any]:
    return {"Namespace": "Shop", "MetricData": list(data)}


@pytest.mark.parametrize(
    ("faulty", "problem"),
    [
        (datum(MetricName=None, Value=1), "MetricName is missing"),
        (datum(), "it needs one of Value, Values and StatisticValues, and has none"),
        (datum(Value=1, Values=[1]), r"and has \['Value', 'Values'\]"),
        (datum(Value=1, Unit="ms"), 'Unit is "ms"'),
        (datum(Value="1"), '"1" is not a number'),
        (datum(Value=float("nan")), "NaN is not a number"),
        (datum(Value=1, StorageResolution=10), "StorageResolution is 10"),
        (datum(Values=[1, 2], Counts=[1]), r"Values and Counts differ in number \(2, 1\)"),
        (datum(Values=[1], Counts=[0]), "0 cannot be a count"),
        (datum(Values=[1] * 151), "151 Values, at most 150"),
        (datum(Value=1, Dimensions=[{"Name": f"d{n}", "Value": "x"} for n in range(31)]), "has 31 dimensions"),
        (
            datum(StatisticValues={"Sum": 1, "Minimum": 1, "Maximum": 1}),
            "SampleCount of its StatisticValues is missing",
        ),
        (datum(StatisticValues={"Sum": 0, "Minimum": 0, "Maximum": 0, "SampleCount": 0}), "0 cannot be a count"),
        (datum(StatisticValues=[1]), r"StatisticValues: \[1\] is not an object"),
        (datum(Values=1), "Values: 1 is not an array"),
        (datum(Values=[1], Counts=1), "Counts: 1 is not an array"),
        (datum(Value=1, Dimensions={"Stack": "prod"}), "Dimensions: .* is not an array"),
        (datum(Value=1, Dimensions=["Stack"]), "Dimensions: .* is not an array of objects"),
        (datum(Value=1, Unit=["Count"]), "Unit is"),
        (datum(Value=1, Timestamp=None), "Timestamp is missing"),
        (datum(Value=1, Timestamp="noon"), 'Timestamp is "noon"'),
    ],
)
def test_a_request_that_cloudwatch_refuses_is_refused_whole(faulty: Mapping[str, Any], problem: str) -> None:
    store = MetricStore()
    with pytest.raises(ToolkitError, match=problem):
        from_put_metric_data(request(datum(Value=1), faulty), store)
    assert store.keys() == ()


@pytest.mark.parametrize("document", [["request"], {"MetricData": {"Value": 1}}, {"EntityMetricData": [1]}])
def test_what_is_no_request_is_refused(document: Any) -> None:
    with pytest.raises(ToolkitError, match=r"PutMetricData: .* is not"):
        from_put_metric_data(document, MetricStore())


def test_values_counts_and_statistic_sets_are_taken_together() -> None:
    store = MetricStore()
    taken = from_put_metric_data(
        request(
            datum(Value=5),
            datum(Values=[10, 20], Counts=[3, 1]),
            datum(StatisticValues={"Sum": 9, "Minimum": 2, "Maximum": 7, "SampleCount": 2}),
        ),
        store,
    )
    assert (taken.records, taken.points) == (1, 4)
    assert [read(store, text=text) for text in ("Sum", "SampleCount", "Minimum", "Maximum")] == [64, 7, 2, 20]


@pytest.mark.parametrize(
    "moment",
    [
        NOON,
        NOON + 0.5,
        datetime.fromtimestamp(NOON, UTC),
        "2023-11-15T12:00:00Z",
        "2023-11-15T13:00:00+01:00",
        "2023-11-15T12:00",
    ],
)
def test_a_time_is_given_in_any_of_the_ways_that_boto3_takes(moment: Any) -> None:
    store = MetricStore()
    from_put_metric_data([request(datum(Value=1, Timestamp=moment))], store)
    assert store.span() == (NOON, NOON)


def test_without_a_timestamp_it_is_when_the_data_came_in() -> None:
    store = MetricStore()
    from_put_metric_data(request(datum(Value=1, Timestamp=None)), store, received=NOON + 60)
    assert store.span() == (NOON + 60, NOON + 60)


def test_data_of_an_entity_are_metrics_too() -> None:
    store = MetricStore()
    from_put_metric_data(
        {"Namespace": "Shop", "EntityMetricData": [{"Entity": {}, "MetricData": [datum(Value=7)]}]}, store
    )
    assert read(store) == 7
