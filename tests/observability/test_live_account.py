"""What a live account tells becomes the same alarms, dashboards and figures as elsewhere."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import boto3
import numpy as np
import pytest
from botocore.stub import ANY, Stubber

from observability.account import (
    LADDER,
    QUERIES,
    RETENTION,
    SETS,
    _segments,
    emitted_in_account,
    estate_of_account,
    store_of_account,
)
from observability.errors import ToolkitError
from observability.model import DAY, HOUR, MINUTE, MetricAlarm, MetricKey, MetricStat
from observability.statistics import Statistic
from observability.store import Grid

RECORDED = Path(__file__).parent / "recorded"
NOW = int(datetime(2026, 11, 22, 12, tzinfo=UTC).timestamp())
KEY = MetricKey.of("Shop", "Orders", {"Stack": "prod"})


@pytest.fixture
def cloudwatch() -> Any:
    return boto3.client("cloudwatch", region_name="eu-west-1", aws_access_key_id="test", aws_secret_access_key="test")


@pytest.fixture
def stub(cloudwatch: Any) -> Iterator[Stubber]:
    """Answers in the order in which they are added; unasked ones are a fault."""
    with Stubber(cloudwatch) as stubber:
        yield stubber
        stubber.assert_no_pending_responses()


def recorded(name: str) -> list[dict[str, Any]]:
    pages: list[dict[str, Any]] = json.loads((RECORDED / f"{name}.json").read_text(encoding="utf-8"))
    return pages


def tell(stub: Stubber, operation: str, *requests: dict[str, Any]) -> None:
    """The recorded answers of an operation, page by page."""
    pages = recorded(operation.replace("_", "-"))
    for page, request in zip(pages, requests or [None] * len(pages), strict=True):
        stub.add_response(operation, page, request)


TYPES = {"AlarmTypes": ["MetricAlarm", "CompositeAlarm"]}


# What goes wrong


def test_an_account_that_refuses_is_told_of_in_a_sentence(cloudwatch: Any, stub: Stubber) -> None:
    stub.add_client_error("describe_alarms", "AccessDeniedException", "not you")
    with pytest.raises(ToolkitError, match=r"refuses DescribeAlarms: .*not you") as refused:
        estate_of_account(cloudwatch)
    assert refused.value.remedy == "Allow it to whoever asks."


def test_without_credentials_it_is_said_what_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_DEFAULT_REGION", "AWS_REGION"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(ToolkitError, match="cannot be asked") as refused:
        estate_of_account()
    assert "AWS_REGION" in refused.value.remedy


def test_dashboards_and_mute_rules_that_may_not_be_read_do_not_hide_the_alarms(cloudwatch: Any, stub: Stubber) -> None:
    tell(stub, "describe_alarms")
    stub.add_client_error("list_dashboards", "AccessDenied", "no")
    stub.add_client_error("list_alarm_mute_rules", "InvalidAction", "what?")
    estate = estate_of_account(cloudwatch)
    assert len(estate.alarms) == 3
    assert [(each.what, each.fault) for each in estate.unread] == [
        ("alarm odd-traffic", False),
        ("dashboards", False),
        ("mute rules", False),
    ]


def test_figures_that_cloudwatch_could_not_compute_are_not_taken_for_all(cloudwatch: Any, stub: Stubber) -> None:
    answer = {"MetricDataResults": [{"Id": "q0", "Label": "x", "StatusCode": "InternalError", "Values": []}]}
    stub.add_response("get_metric_data", answer)
    with pytest.raises(ToolkitError, match=r"Shop Orders .*InternalError"):
        store_of_account(cloudwatch, [stat("Sum")], NOW - HOUR, NOW, now=NOW)


# What is there


def test_every_page_of_alarms_is_read_with_dashboards_and_mute_rules(cloudwatch: Any, stub: Stubber) -> None:
    tell(stub, "describe_alarms", TYPES, {**TYPES, "NextToken": "page-2"})
    tell(stub, "list_dashboards", {})
    tell(stub, "get_dashboard", {"DashboardName": "shop"})
    tell(stub, "list_alarm_mute_rules", {})
    tell(stub, "get_alarm_mute_rule", {"AlarmMuteRuleName": "nightly-import"})
    estate = estate_of_account(cloudwatch)
    assert [alarm.name for alarm in estate.alarms] == ["failed-share", "orders-late", "shop"]
    share = estate.alarms[0]
    assert isinstance(share, MetricAlarm)
    assert (share.returned.expression, share.datapoints_to_alarm, share.period) == ("100 * failed / orders", 2, 300)
    assert [board.name for board in estate.dashboards] == ["shop"]
    assert [(rule.name, rule.timezone) for rule in estate.mutes] == [("nightly-import", "Europe/Berlin")]


def test_a_prefix_is_cloudwatchs_to_apply(cloudwatch: Any, stub: Stubber) -> None:
    stub.add_response("describe_alarms", {"MetricAlarms": []}, {**TYPES, "AlarmNamePrefix": "shop-"})
    stub.add_response("list_dashboards", {"DashboardEntries": []}, {"DashboardNamePrefix": "shop-"})
    stub.add_response("list_alarm_mute_rules", {"AlarmMuteRuleSummaries": []})
    assert estate_of_account(cloudwatch, "shop-").alarms == ()


def test_the_metrics_of_an_account_are_emitted_and_awss_own_are_not_asked_for(cloudwatch: Any, stub: Stubber) -> None:
    tell(stub, "list_metrics", {"Namespace": "Shop"}, {"Namespace": "Shop", "NextToken": "page-2"})
    emitted = emitted_in_account(cloudwatch, ["Shop", "AWS/SQS"])
    (emission,) = emitted.emissions
    assert emission.dimensions == {"Stack": {"dev", "prod"}}
    assert not emitted.complete


# Figures


def stat(text: str, key: MetricKey = KEY, unit: str | None = None, period: int = MINUTE) -> MetricStat:
    return MetricStat(key, period, Statistic.parse(text), unit)


def result(id_: str, values: list[float], start: int = NOW - HOUR, status: str = "Complete") -> dict[str, Any]:
    times = [datetime.fromtimestamp(start + MINUTE * index, UTC) for index in range(len(values))]
    return {"Id": id_, "Label": id_, "Timestamps": times, "Values": values, "StatusCode": status}


def page(*results: dict[str, Any], token: str = "") -> dict[str, Any]:
    return {"MetricDataResults": list(results), **({"NextToken": token} if token else {})}


def test_statistic_sets_give_every_basic_statistic_of_any_whole_periods(cloudwatch: Any, stub: Stubber) -> None:
    # SampleCount, Sum, Minimum, Maximum; the second minute has no points.
    figures = ([2.0, 3.0], [10.0, 9.0], [4.0, 1.0], [6.0, 5.0])
    stub.add_response(
        "get_metric_data",
        page(
            *(result(f"q{number}", [values[0]], status="PartialData") for number, values in enumerate(figures)),
            token="t",
        ),
    )
    later = NOW - HOUR + 2 * MINUTE
    stub.add_response(
        "get_metric_data", page(*(result(f"q{number}", [values[1]], later) for number, values in enumerate(figures)))
    )
    store = store_of_account(cloudwatch, [stat("Sum"), stat("Average")], NOW - HOUR, NOW, now=NOW)
    minutes = Grid(NOW - HOUR + MINUTE, MINUTE, 3)
    np.testing.assert_array_equal(store.values(stat("Sum"), minutes), [10, np.nan, 9])
    whole = Grid(NOW - HOUR + 300, 300, 1)
    expected = {"SampleCount": 5, "Sum": 19, "Average": 3.8, "Minimum": 1, "Maximum": 6}
    for text, value in expected.items():
        assert store.values(stat(text, period=300), whole) == pytest.approx([value])


def test_the_statistics_that_are_asked_for_are_asked_for_once_ascending_and_with_their_unit(
    cloudwatch: Any, stub: Stubber
) -> None:
    asked: list[dict[str, Any]] = []
    cloudwatch.meta.events.register(
        "provide-client-params.cloudwatch.GetMetricData", lambda params, **_: asked.append(params)
    )
    stub.add_response(
        "get_metric_data", page(), {"MetricDataQueries": ANY, "StartTime": ANY, "EndTime": ANY, "ScanBy": ANY}
    )
    twice = [stat("Sum", unit="Count"), stat("Average", unit="Count")]
    store_of_account(cloudwatch, twice, NOW - HOUR, NOW, now=NOW)
    (request,) = asked
    assert request["ScanBy"] == "TimestampAscending"
    assert request["StartTime"] == datetime.fromtimestamp(NOW - HOUR, UTC)
    queries = [query["MetricStat"] for query in request["MetricDataQueries"]]
    assert [query["Stat"] for query in queries] == list(SETS)
    assert {(query["Unit"], query["Period"]) for query in queries} == {("Count", 60)}
    assert queries[0]["Metric"]["Dimensions"] == [{"Name": "Stack", "Value": "prod"}]


def test_more_than_five_hundred_queries_are_several_requests(cloudwatch: Any, stub: Stubber) -> None:
    keys = [MetricKey.of("Shop", f"M{number}") for number in range(QUERIES // len(SETS) + 1)]
    stub.add_response("get_metric_data", page())
    stub.add_response("get_metric_data", page(result("q0", [1.0])))
    store = store_of_account(cloudwatch, [stat("Sum", key) for key in keys], NOW - HOUR, NOW, now=NOW)
    assert store.keys() == (), "a count alone is no statistic set"


def test_a_percentile_that_is_looked_at_is_exact_over_a_minute(cloudwatch: Any, stub: Stubber) -> None:
    steps = {**{text: 10.0 * index for index, text in enumerate(LADDER)}, "p97.5": 55.5}
    figures = {"SampleCount": 40.0, "Sum": 900.0, "Minimum": 0.0, "Maximum": 70.0, **steps}
    stub.add_response("get_metric_data", page(*(result(f"q{n}", [value]) for n, value in enumerate(figures.values()))))
    store = store_of_account(cloudwatch, [stat("p97.5")], NOW - HOUR, NOW, now=NOW)
    grid = Grid(NOW - HOUR + MINUTE, MINUTE, 1)
    for text in ("p97.5", "p50", "p99"):
        assert store.values(stat(text), grid) == pytest.approx([steps[text]])
    assert store.values(stat("SampleCount"), grid) == pytest.approx([40])


@pytest.mark.parametrize(
    ("start", "end", "periods"),
    [
        (NOW - DAY, NOW, [60]),
        (NOW - 20 * DAY, NOW, [300, 60]),
        (NOW - 100 * DAY, NOW, [3600, 300, 60]),
        (NOW - 100 * DAY, NOW - 90 * DAY, [3600]),
        (NOW - 17, NOW, [60]),
        (NOW, NOW, []),
    ],
)
def test_older_figures_are_asked_for_at_the_period_at_which_they_are_kept(
    start: int, end: int, periods: list[int]
) -> None:
    parts = list(_segments(start, end, NOW + 31))
    assert [period for _, _, period in parts] == periods
    for (since, until, period), (following, _, _) in pairwise(parts):
        assert until == following, "no time is in two parts, none in none"
        assert since % period == 0
        assert until % period == 0
    for since, _, period in parts:
        age = next(age for age, kept in RETENTION if kept == period)
        assert since >= NOW + 31 - age - period
    if parts:
        assert parts[0][0] <= start
        assert parts[-1][1] == end
