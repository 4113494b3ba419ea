"""`python -m observability evaluate`, as it is typed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from observability.commands.evaluate import command, instant
from observability.errors import ToolkitError

ARN = "arn:aws:cloudwatch:eu-west-1:123456789012:alarm"
TOPIC = "arn:aws:sns:eu-west-1:123456789012:pages"
ERRORS = {
    "AlarmName": "errors",
    "AlarmArn": f"{ARN}:errors",
    "Namespace": "AWS/Lambda",
    "MetricName": "Errors",
    "Dimensions": [{"Name": "FunctionName", "Value": "send"}],
    "Statistic": "Sum",
    "Period": 300,
    "EvaluationPeriods": 3,
    "DatapointsToAlarm": 2,
    "ComparisonOperator": "GreaterThanOrEqualToThreshold",
    "Threshold": 1,
    "TreatMissingData": "notBreaching",
}
DOWN = {"AlarmName": "down", "AlarmRule": 'ALARM("errors")', "AlarmActions": [TOPIC], "OKActions": [TOPIC]}
SERIES = """
start: 2026-01-05T09:00Z
length: 3h
series:
  AWS/Lambda Errors {FunctionName=send}:
    - {for: 1h, value: 0}
    - {for: 30m, value: 12}
    - {value: 0}
"""


@pytest.fixture
def files(tmp_path: Path) -> Path:
    (tmp_path / "alarms.json").write_text(json.dumps({"MetricAlarms": [ERRORS], "CompositeAlarms": [DOWN]}))
    (tmp_path / "series.yaml").write_text(SERIES)
    return tmp_path


def run(files: Path, *arguments: str, series: str = "series.yaml") -> str:
    app = typer.Typer()
    app.command()(command)
    given = ["--alarm", str(files / "alarms.json"), "--series", str(files / series), *arguments]
    result = CliRunner().invoke(app, given, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def run_json(files: Path, *arguments: str, series: str = "series.yaml") -> Any:
    return json.loads(run(files, "--json", *arguments, series=series))


def changes(report: Any) -> list[tuple[str, str, str]]:
    return [(each["at"][11:16], each["alarm"], each["after"]) for each in report["changes"]]


def test_each_change_is_told_with_its_time_its_reason_and_the_data_points_used(files: Path) -> None:
    told = " ".join(run(files, "--state", "OK").split())
    assert "2026-01-05T10:06:00Z +1h6m errors OK -> ALARM" in told
    assert "Threshold Crossed: 2 out of the last 3 datapoints [60.0 (05/01/26 10:01:00)" in told
    assert "data points (2 of 3 ≥ 1.0 over 5m): 09:51 0.0, 09:56 12.0, 10:01 60.0" in told
    assert f"tells {TOPIC}" in told
    assert "errors: went into ALARM once, ends in OK" in told


def test_composites_are_evaluated_too(files: Path) -> None:
    assert changes(run_json(files, "--state", "OK")) == [
        ("10:06", "errors", "ALARM"),
        ("10:06", "down", "ALARM"),
        ("10:40", "errors", "OK"),
        ("10:40", "down", "OK"),
    ]


def test_a_new_alarm_begins_without_data(files: Path) -> None:
    first = run_json(files)["changes"]
    assert {each["before"] for each in first if each["at"] <= "2026-01-05T09:01:00Z"} == {"INSUFFICIENT_DATA"}


def test_changes_are_looked_at_between_two_times(files: Path) -> None:
    report = run_json(files, "--state", "OK", "--from", "30m", "--to", "2026-01-05T10:30")
    assert changes(report) == [("10:06", "errors", "ALARM"), ("10:06", "down", "ALARM")]
    assert (report["from"], report["to"]) == ("2026-01-05T09:30:00Z", "2026-01-05T10:30:00Z")
    assert report["states"] == {"errors": "ALARM", "down": "ALARM"}


def test_one_evaluation_at_an_instant(files: Path) -> None:
    report = run_json(files, "--at", "1h6m")
    assert {each["alarm"]: each["state"] for each in report["alarms"]} == {"errors": "ALARM", "down": "ALARM"}
    (errors,) = (each for each in report["alarms"] if each["alarm"] == "errors")
    assert [each["value"] for each in errors["dataPoints"]] == [60.0, 12.0, 0.0]
    assert errors["reasonData"]["version"] == "1.0"
    assert "errors is OK" in run(files, "--at", "1h5m")


@pytest.mark.parametrize("name", ["put.json", "lines.jsonl"])
def test_series_are_read_as_put_metric_data_and_as_emf(files: Path, name: str) -> None:
    at = 1_767_605_400  # 2026-01-05T09:30Z
    metrics: list[dict[str, Any]] = [
        {"MetricName": "Errors", "Value": 3, "Timestamp": at + 60 * minute} for minute in range(10)
    ]
    dimensions = [{"Name": "FunctionName", "Value": "send"}]
    (files / "put.json").write_text(
        json.dumps({"Namespace": "AWS/Lambda", "MetricData": [{**each, "Dimensions": dimensions} for each in metrics]})
    )
    directive = {"Namespace": "AWS/Lambda", "Dimensions": [["FunctionName"]], "Metrics": [{"Name": "Errors"}]}
    lines = [
        {
            "_aws": {"Timestamp": each["Timestamp"] * 1000, "CloudWatchMetrics": [directive]},
            "FunctionName": "send",
            "Errors": 3,
        }
        for each in metrics
    ]
    (files / "lines.jsonl").write_text("START\n" + "".join(json.dumps(line) + "\n" for line in lines))
    report = run_json(files, "--state", "OK", series=name)
    assert (report["from"], report["to"]) == ("2026-01-05T09:30:00Z", "2026-01-05T09:40:00Z")
    assert changes(report) == [("09:36", "errors", "ALARM"), ("09:36", "down", "ALARM")]


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["--at", "noon"], "--at is 'noon'"),
        (["--at", "1h", "--to", "2h"], "--at is one evaluation"),
        (["--from", "2h", "--to", "1h"], "--to is 2026-01-05T10:00:00Z"),
    ],
)
def test_what_cannot_be_used_is_refused(files: Path, arguments: list[str], problem: str) -> None:
    with pytest.raises(ToolkitError, match=problem):
        run(files, *arguments)


def test_a_file_without_data_is_refused_by_name(files: Path) -> None:
    (files / "empty.log").write_text("nothing\n")
    with pytest.raises(ToolkitError, match=r"empty\.log: it has no data points"):
        run(files, series="empty.log")
    (files / "text.json").write_text('"text"')
    with pytest.raises(ToolkitError, match=r"text\.json: expected what PutMetricData is given"):
        run(files, series="text.json")


@pytest.mark.parametrize(
    ("text", "expected"),
    [("2h20m", 8400), ("1d", 86_400), ("90s", 90), ("1970-01-01T00:02Z", 120), ("1970-01-01T01:00+01:00", 0)],
)
def test_times_are_absolute_or_counted_from_the_start(text: str, expected: int) -> None:
    assert instant(text, "--at", 0) == expected


def with_alarms(files: Path, *alarms: dict[str, Any]) -> Path:
    (files / "alarms.json").write_text(json.dumps({"MetricAlarms": list(alarms), "CompositeAlarms": []}))
    return files


def test_an_alarm_that_cloudwatch_would_refuse_is_refused(files: Path) -> None:
    with pytest.raises(ToolkitError, match="alarm late: Threshold is '1', a number is needed"):
        run(with_alarms(files, ERRORS, {**ERRORS, "AlarmName": "late", "Threshold": "1"}))


def test_one_that_is_beyond_what_is_evaluated_is_left_out_unless_it_is_the_only_one(files: Path) -> None:
    band = {**ERRORS, "AlarmName": "band", "ThresholdMetricId": "ad1"}
    told = run(with_alarms(files, ERRORS, band))
    assert "left out: " in told
    assert "errors: went into ALARM once" in told
    with pytest.raises(ToolkitError, match="anomaly detection"):
        run(with_alarms(files, band))


def test_a_file_without_alarms_is_refused(files: Path) -> None:
    with pytest.raises(ToolkitError, match="no alarms in"):
        run(with_alarms(files))
