"""`python -m observability render`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner, Result

from observability.commands import options, render
from observability.errors import ToolkitError
from observability.model import Dashboard, read_alarms
from observability.sources import Estate
from observability.store import MetricStore

app = typer.Typer(pretty_exceptions_enable=False)
app.command()(render.command)

BODY = {
    "widgets": [
        {"type": "alarm", "properties": {"title": "Alarms", "alarms": ["shop-late"]}},
        {"type": "metric", "properties": {"title": "Sales", "metrics": [["Shop", "Sales"], ["Shop", "Gone"]]}},
    ]
}
ALARM = {
    "AlarmName": "shop-late",
    "Namespace": "Shop",
    "MetricName": "Sales",
    "Statistic": "Sum",
    "Period": 60,
    "EvaluationPeriods": 1,
    "Threshold": 5,
    "ComparisonOperator": "GreaterThanThreshold",
}
POINTS = {
    "Namespace": "Shop",
    "MetricData": [
        {"MetricName": "Sales", "Timestamp": f"2026-01-05T10:{minute:02}:00Z", "Value": minute} for minute in range(30)
    ],
}


@pytest.fixture
def files(tmp_path: Path) -> Path:
    for name, document in (("shop", BODY), ("alarm", ALARM), ("points", POINTS)):
        (tmp_path / f"{name}.json").write_text(json.dumps(document))
    return tmp_path


def run(folder: Path, *arguments: str) -> Result:
    return CliRunner().invoke(app, ["--out", str(folder / "out"), *arguments])


def refused(folder: Path, *arguments: str) -> str:
    error = run(folder, *arguments).exception
    assert isinstance(error, ToolkitError)
    return str(error)


def body(folder: Path, document: Any) -> str:
    (folder / "other.json").write_text(json.dumps(document))
    return str(folder / "other.json")


def test_a_file_that_is_no_body_is_refused(files: Path) -> None:
    assert "expected the body of a dashboard" in refused(files, "--body", body(files, [1]))
    assert "expected the body of a dashboard" in refused(files, "--body", body(files, ALARM))
    assert "cannot be read" in refused(files, "--body", str(files / "nothing.json"))


def test_a_range_that_is_empty_is_refused(files: Path) -> None:
    given = ("--body", f"{files}/shop.json", "--series", f"{files}/points.json")
    assert "--from is not before" in refused(files, *given, "--from", "20m", "--to", "10m")


def test_a_body_becomes_a_page_and_a_picture(files: Path) -> None:
    result = run(files, "--body", f"{files}/shop.json")
    assert result.exit_code == 0
    assert (files / "out/shop.html").read_text().startswith("<!doctype html>")
    assert (files / "out/shop.png").read_bytes().startswith(b"\x89PNG")
    assert "shop: 2 widgets" in result.output


def test_lines_that_have_nothing_to_show_are_named(files: Path) -> None:
    result = run(files, "--body", f"{files}/shop.json", "--series", f"{files}/points.json")
    assert "no data: Sales: Gone" in result.output


def test_without_series_nothing_is_said_to_be_missing(files: Path) -> None:
    assert "no data" not in run(files, "--body", f"{files}/shop.json").output


def test_states_are_those_at_the_end_of_the_series(files: Path) -> None:
    given = ("--body", f"{files}/shop.json", "--alarm", f"{files}/alarm.json", "--series", f"{files}/points.json")
    run(files, *given)
    assert "Alarms: 1 In alarm" in (files / "out/shop.html").read_text()
    run(files, *given, "--to", "4m")
    assert "Alarms: 1 OK" in (files / "out/shop.html").read_text()


def test_each_widget_can_be_written_alone(files: Path) -> None:
    run(files, "--body", f"{files}/shop.json", "--widgets")
    assert sorted(file.name for file in (files / "out/shop").iterdir()) == ["01-alarms.png", "02-sales.png"]


def test_what_get_dashboard_answers_is_a_body_too(files: Path) -> None:
    answer = {"DashboardName": "by name", "DashboardBody": json.dumps(BODY)}
    run(files, "--body", body(files, answer))
    assert (files / "out/by-name.html").exists()


def test_an_account_is_asked_for_what_its_dashboards_draw_and_for_its_states(
    files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Any] = []

    def fetched(cloudwatch: Any, stats: Any, start: int, end: int) -> MetricStore:
        asked.append((cloudwatch, [stat.key.name for stat in stats], end - start))
        return MetricStore()

    [alarm] = read_alarms({**ALARM, "StateValue": "ALARM"})
    estate = Estate(alarms=(alarm,), dashboards=(Dashboard("shop", BODY),))
    monkeypatch.setattr(options, "load_estate", lambda **_: options.Loaded(estate))
    monkeypatch.setattr(render, "client", lambda service: f"client of {service}")
    monkeypatch.setattr(render, "store_of_account", fetched)
    result = run(files, "--from-account")
    assert asked == [("client of cloudwatch", ["Sales", "Gone"], 3 * 3600)]
    assert "no data: Sales: Sales, Gone" in result.output
    assert "Alarms: 1 In alarm" in (files / "out/shop.html").read_text()
