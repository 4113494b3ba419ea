"""Alarms, mute rules and dashboards are the same whether a program, a file or an account tells of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from observability.errors import ToolkitError
from observability.model import CompositeAlarm, MetricAlarm, MetricKey, Suppressor
from observability.program import Recording, Resource
from observability.registered import COMPOSITE_ALARM_TYPE, DASHBOARD_TYPE, METRIC_ALARM_TYPE, MUTE_RULE_TYPE
from observability.sources import Unread, estate_from_files, estate_of, estate_of_documents

INPUTS: dict[str, Any] = {
    "namespace": "AWS/SQS",
    "metricName": "ApproximateAgeOfOldestMessage",
    "dimensions": {"QueueName": "orders"},
    "statistic": "Maximum",
    "period": 60,
    "evaluationPeriods": 5,
    "datapointsToAlarm": 3,
    "threshold": 900,
    "comparisonOperator": "GreaterThanThreshold",
    "treatMissingData": "notBreaching",
    "evaluateLowSampleCountPercentiles": "ignore",
    "alarmActions": ["arn:aws:sns:us-east-1:1:page"],
    "tags": {"team": "mail"},
    "region": "eu-west-1",
}
DOCUMENT: dict[str, Any] = {
    "AlarmName": "orders-late",
    "Namespace": "AWS/SQS",
    "MetricName": "ApproximateAgeOfOldestMessage",
    "Dimensions": [{"Name": "QueueName", "Value": "orders"}],
    "Statistic": "Maximum",
    "Period": 60,
    "EvaluationPeriods": 5,
    "DatapointsToAlarm": 3,
    "Threshold": 900,
    "ComparisonOperator": "GreaterThanThreshold",
    "TreatMissingData": "notBreaching",
    "EvaluateLowSampleCountPercentile": "ignore",
    "AlarmActions": ["arn:aws:sns:us-east-1:1:page"],
}
COMPOSITE = {"AlarmName": "all", "AlarmRule": 'ALARM("orders-late")'}


def recording(*resources: Resource) -> Recording:
    return Recording(project="shop", stack="dev", resources=resources)


def alarm(logical: str = "orders-late", **changes: Any) -> Resource:
    inputs = {key: value for key, value in {**INPUTS, **changes}.items() if value is not None}
    return Resource(type=METRIC_ALARM_TYPE, name=logical, inputs=inputs, source="__main__.py:7")


# What cannot be used


@pytest.mark.parametrize(
    ("changes", "problem", "fault"),
    [
        ({"datapointsToAlarm": 6}, "it could never alarm", True),
        ({"colour": "red"}, "properties not understood: colour", True),
        ({"statistic": "Median"}, "Median", True),
        ({"thresholdMetricId": "band"}, "a band of anomaly detection", False),
        ({"evaluationCriteria": {"promqlCriteria": {"query": "up"}}}, "PromQL", False),
        ({"evaluationWindow": {"wallClockWindow": {"timezone": "UTC"}}}, "wall clock", False),
    ],
)
def test_an_alarm_that_cannot_be_used_is_left_out_with_the_reason_and_the_others_stay(
    changes: dict[str, Any], problem: str, fault: bool
) -> None:
    estate = estate_of(recording(alarm("bad", **changes), alarm("good")))
    assert [each.name for each in estate.alarms] == ["good"]
    (unread,) = estate.unread
    assert problem in unread.problem
    assert unread.problem.startswith("alarm bad")
    assert unread.fault is fault
    with pytest.raises(ToolkitError, match=problem):
        estate.named(["bad"])


def test_an_alarm_that_is_not_there_is_refused_by_name_with_those_that_are() -> None:
    with pytest.raises(ToolkitError, match="no alarm 'late'") as refused:
        estate_of(recording(alarm())).named(["late"])
    assert "orders-late" in refused.value.remedy


def test_two_alarms_of_one_name_are_told_of() -> None:
    estate = estate_of_documents([DOCUMENT, DOCUMENT])
    assert len(estate.alarms) == 1
    assert estate.unread == (Unread("alarm orders-late", "alarm orders-late: there are two of that name"),)


@pytest.mark.parametrize("body", ["{", "[]"])
def test_a_dashboard_without_a_body_is_told_of(body: str) -> None:
    board = Resource(type=DASHBOARD_TYPE, name="d", inputs={"dashboardName": "mail", "dashboardBody": body})
    (unread,) = estate_of(recording(board)).unread
    assert unread.problem.startswith("dashboard mail: dashboardBody is no")


@pytest.mark.parametrize("document", [{"Alarms": []}, "text", 3])
def test_a_document_that_is_nothing_known_is_refused(document: Any, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(json.dumps(document), encoding="utf-8")
    with pytest.raises(ToolkitError, match=r"a\.json: no alarms found") as refused:
        estate_from_files([tmp_path / "a.json"])
    assert "describe-alarms" in refused.value.remedy


@pytest.mark.parametrize(("name", "text"), [("a.json", "{"), ("a.yaml", "a: [")])
def test_a_file_that_cannot_be_parsed_or_found_is_named(tmp_path: Path, name: str, text: str) -> None:
    path = tmp_path / name
    with pytest.raises(ToolkitError, match=f"{name}: cannot be read"):
        estate_from_files([path])
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ToolkitError, match=f"{name}: is not"):
        estate_from_files([path])


# What is there


def test_a_registered_alarm_is_what_the_api_would_have_been_given() -> None:
    (made,) = estate_of(recording(alarm())).alarms
    (told,) = estate_of_documents([{"MetricAlarms": [DOCUMENT], "CompositeAlarms": []}]).alarms
    assert made == told
    assert isinstance(made, MetricAlarm)
    assert made.metrics[0].key == MetricKey.of("AWS/SQS", "ApproximateAgeOfOldestMessage", {"QueueName": "orders"})


def test_metric_math_returns_what_the_program_says_and_nothing_else() -> None:
    metric = {"namespace": "N", "metricName": "M", "period": 300, "stat": "p99", "unit": "Seconds"}
    queries = [{"id": "r", "expression": "m * 2", "returnData": True, "label": "L"}, {"id": "m", "metric": metric}]
    plain: dict[str, Any] = dict.fromkeys(("namespace", "metricName", "dimensions", "statistic", "period"))
    (made,) = estate_of(recording(alarm(metricQueries=queries, **plain))).alarms
    assert isinstance(made, MetricAlarm)
    assert (made.returned.id, made.returned.label, made.period) == ("r", "L", 300)
    (stat,) = made.metrics
    assert (str(stat.statistic), stat.unit, stat.key) == ("p99", "Seconds", MetricKey.of("N", "M"))


def test_composites_mute_rules_and_dashboards_are_read_and_others_resources_are_not() -> None:
    suppressor = {"alarm": "orders-late", "waitPeriod": 60, "extensionPeriod": 120}
    rule = {"schedule": {"expression": "cron(0 2 * * *)", "duration": "PT2H", "timezone": "Europe/Berlin"}}
    estate = estate_of(
        recording(
            alarm(),
            Resource(
                type=COMPOSITE_ALARM_TYPE,
                name="all",
                inputs={"alarmName": "all", "alarmRule": COMPOSITE["AlarmRule"], "actionsSuppressor": suppressor},
            ),
            Resource(
                type=MUTE_RULE_TYPE,
                name="nights",
                inputs={"name": "nights", "rule": rule, "muteTargets": {"alarmNames": ["all"]}},
            ),
            Resource(
                type=DASHBOARD_TYPE, name="d", inputs={"dashboardName": "mail", "dashboardBody": '{"widgets": []}'}
            ),
            Resource(type="aws:sqs/queue:Queue", name="q"),
            Resource(type=METRIC_ALARM_TYPE, name="theirs", external=True),
        )
    )
    composite, metric = estate.alarms
    assert isinstance(composite, CompositeAlarm)
    assert composite.suppressor == Suppressor("orders-late", 60, 120)
    assert metric.name == "orders-late"
    (mute,) = estate.mutes
    assert (mute.name, mute.timezone, mute.duration, mute.alarms) == ("nights", "Europe/Berlin", "PT2H", ("all",))
    assert [(each.name, each.body) for each in estate.dashboards] == [("mail", {"widgets": []})]
    assert estate.unread == ()
    assert estate.source("orders-late") == "__main__.py:7"
    assert estate.source("nobody") == ""


def test_an_alarm_without_a_name_has_that_of_its_resource() -> None:
    assert estate_of(recording(alarm("made-up"))).alarms[0].name == "made-up"
    assert estate_of(recording(alarm("made-up", name="given"))).alarms[0].name == "given"


def test_files_hold_alarms_dashboards_recordings_or_lists_of_these(tmp_path: Path) -> None:
    board = {"DashboardName": "mail", "DashboardBody": '{"widgets": []}'}
    (tmp_path / "one.yaml").write_text(json.dumps([COMPOSITE, board]), encoding="utf-8")
    (tmp_path / "two.json").write_text(json.dumps(recording(alarm()).document()), encoding="utf-8")
    estate = estate_from_files([tmp_path / "one.yaml", tmp_path / "two.json"])
    assert [each.name for each in estate.alarms] == ["all", "orders-late"]
    assert [each.name for each in estate.dashboards] == ["mail"]
