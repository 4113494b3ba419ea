"""Mutants of alarms: which are made, which an incident notices, and which cannot be noticed."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from observability.commands import mutate as mutate_command
from observability.errors import ToolkitError
from observability.evaluation import history
from observability.model import DAY, HOUR, MINUTE, MetricAlarm, read_metric_alarm
from observability.mutants import KINDS, mutants
from observability.mutation import Equivalent, Report, mutate, read_equivalents
from observability.series import MONDAY
from observability.store import MetricStore
from tests.observability.shop import DOWN, ERRORS, ERRORS_METRIC, SHARE, SHOP, incident

# Errors from minute 60 to 69; the alarm fires at 62 and clears at 72.
OUTAGE = f"""
incident: An outage
length: 3h
series:
  {ERRORS_METRIC}:
    - {{for: 1h, value: 0}}
    - {{for: 10m, value: 4}}
    - {{value: 0}}
"""
EXACTLY = "expect: {checkout-errors-page: {fires: {after: 1h2m, by: 1h2m}, clears: {after: 1h12m, by: 1h12m}}}"


def changes(document: dict[str, Any], **changed: Any) -> dict[str, list[str]]:
    """What is changed in the mutants of an alarm, by kind."""
    found: dict[str, list[str]] = {kind: [] for kind in KINDS}
    for mutant in mutants(read_metric_alarm({**document, **changed})):
        found[mutant.kind].append(mutant.change)
    return found


def test_every_kind_of_mutant_is_made() -> None:
    assert changes(ERRORS) == {
        "threshold": ["threshold 2 to 1", "threshold 2 to 3"],
        "operator": ["operator >= to >", "operator >= to <="],
        "m of n": ["2 of 3 to 1 of 3", "2 of 3 to 3 of 3", "2 of 3 to 2 of 2", "2 of 3 to 2 of 4"],
        "missing data": [f"missing data notBreaching to {rule}" for rule in ("breaching", "ignore", "missing")],
        "metric": ["metric Errors renamed"],
        "dimension": ["dimension FunctionName=checkout to another value", "dimension FunctionName dropped"],
        "period": ["period 1m to 2m"],
        "statistic": ["statistic Sum to Average"],
        "constant": [],
    }


def test_an_expression_has_mutants_of_each_metric_and_each_number() -> None:
    found = changes(SHARE)
    assert found["metric"] == ["refunds: metric Refunds renamed", "orders: metric Orders renamed"]
    assert found["period"] == ["period 5m to 10m"], "2m30s is no period that CloudWatch has"
    assert found["constant"][:3] == [
        "share: 0 at column 17 to -1",
        "share: 0 at column 17 to 1",
        "share: 50 at column 23 to 40",
    ]
    expressions = {
        mutant.change: mutant.alarm.returned.expression
        for mutant in mutants(read_metric_alarm(SHARE))
        if mutant.kind == "constant"
    }
    assert expressions["share: 50 at column 23 to 40"] == SHARE["Metrics"][2]["Expression"].replace("50", "40")
    assert expressions["share: 0 at column 17 to -1"] == SHARE["Metrics"][2]["Expression"].replace("0)", "(-1))", 1)


@pytest.mark.parametrize(
    ("threshold", "around"),
    [
        (1, ("0", "2")),
        (10, ("9", "11")),
        (0, ("-1", "1")),
        (0.05, ("0.04", "0.06")),
        (600, ("480", "720")),
        (-50, ("-60", "-40")),
    ],
)
def test_a_count_is_changed_by_one_and_anything_else_by_a_fifth(threshold: float, around: tuple[str, str]) -> None:
    assert changes(ERRORS, Threshold=threshold)["threshold"] == [
        f"threshold {threshold:g} to {each}" for each in around
    ]


@pytest.mark.parametrize(
    ("period", "periods", "found"),
    [
        (DAY, 1, ["period 1d to 12h", "period 1d to 2d"]),
        (DAY, 7, ["period 1d to 12h"]),
        (30 * MINUTE, 48, ["period 30m to 15m", "period 30m to 1h"]),
        (HOUR, 100, []),
        (MINUTE, 1440, []),
        (10, 3, []),
    ],
)
def test_mutants_that_cloudwatch_would_refuse_are_not_made(period: int, periods: int, found: list[str]) -> None:
    """A hundred periods of half an hour are more than a day, a hundred of two hours more than seven."""
    made = changes(ERRORS, Period=period, EvaluationPeriods=periods, DatapointsToAlarm=1)
    assert made["period"] == found
    assert all("0 of" not in each for each in made["m of n"])


DOCUMENTS = st.fixed_dictionaries(
    {
        "Threshold": st.sampled_from([0, 1, 2.5, 100]),
        "EvaluationPeriods": st.integers(3, 6),
        "DatapointsToAlarm": st.integers(1, 3),
        "TreatMissingData": st.sampled_from(["breaching", "notBreaching", "ignore", "missing"]),
        "Period": st.sampled_from([60, 300, 3600]),
    }
)


@given(DOCUMENTS, st.sampled_from([ERRORS, SHARE]))
def test_each_mutant_is_another_alarm_of_the_same_name(document: dict[str, Any], base: dict[str, Any]) -> None:
    alarm = read_metric_alarm({**base, **document})
    found = mutants(alarm)
    assert len({mutant.change for mutant in found}) == len(found), "each is told apart by what is changed"
    for mutant in found:
        assert mutant.alarm != alarm
        assert mutant.alarm.name == mutant.of == alarm.name
        assert 1 <= mutant.alarm.datapoints_to_alarm <= mutant.alarm.evaluation_periods


FILLED = {**SHARE, "Metrics": [*SHARE["Metrics"][:2], {"Id": "share", "Expression": "IF(FILL(orders, 0) >= 50, 1, 0)"}]}
JOINED = {**SHARE, "Metrics": [*SHARE["Metrics"][:2], {"Id": "share", "Expression": "refunds - FILL(orders, 0)"}]}
THROTTLES = {**ERRORS, "Namespace": "AWS/DynamoDB"}


@pytest.mark.parametrize(
    ("document", "same"),
    [
        (THROTTLES, {"missing data"}),
        ({**FILLED, "Threshold": 0.5}, {"missing data", "constant"}),
        (JOINED, {"missing data"}),
        (SHARE, {"missing data", "constant"}),
        (ERRORS, set()),
    ],
)
def test_what_is_certain_from_the_alarm_alone_is_known_to_be_the_same(document: dict[str, Any], same: set[str]) -> None:
    assert {mutant.kind for mutant in mutants(read_metric_alarm(document)) if mutant.same} == same


@pytest.mark.parametrize(
    "expression",
    [
        "orders",
        "1 / FILL(orders, 0)",
        "FILL(orders, refunds)",
        "IF(FILL(orders, 0) > 1, 1)",
        "IF(orders > 1, 1, 0)",
        "ABS(orders)",
        "orders - 1",
        "MAX(refunds) + FILL(orders, 0)",
        "refunds / FILL(orders, 1)",
    ],
)
def test_an_expression_that_may_have_gaps_is_not_taken_for_one_that_has_none(expression: str) -> None:
    queries = [*SHARE["Metrics"][:2], {"Id": "share", "Expression": f"{expression} + 0"}]
    alarm = read_metric_alarm({**SHARE, "Metrics": queries})
    assert not any(mutant.same for mutant in mutants(alarm) if mutant.kind == "missing data")


@given(
    document=st.sampled_from([THROTTLES, {**FILLED, "Threshold": 0.5}, {**FILLED, "Threshold": 1}, JOINED, SHARE]),
    rule=st.sampled_from(["breaching", "notBreaching", "ignore", "missing"]),
    points=st.lists(st.tuples(st.integers(0, 59), st.integers(0, 80)), max_size=25),
    more=st.lists(st.tuples(st.integers(0, 59), st.integers(0, 80)), max_size=25),
)
def test_mutants_that_are_called_the_same_do_the_same(
    document: dict[str, Any], rule: str, points: list[tuple[int, int]], more: list[tuple[int, int]]
) -> None:
    alarm = read_metric_alarm({**document, "TreatMissingData": rule})
    store = MetricStore()
    keys = [stat.key for stat in alarm.metrics]
    for key, measured in zip(keys, (points, more), strict=False):
        for minute, value in measured:
            store.put(key, MONDAY + minute * MINUTE, float(value))
    for mutant in mutants(alarm):
        if mutant.same:
            assert _moves(mutant.alarm, store) == _moves(alarm, store), mutant.change


def _moves(alarm: MetricAlarm, store: MetricStore) -> list[tuple[int, str]]:
    return [(change.at, change.after) for change in history(alarm, store, MONDAY, MONDAY + 2 * HOUR)]


def survivors(folder: Path, expected: str, text: str = OUTAGE) -> set[str]:
    report = mutate([incident(folder, f"{text}\n{expected}")], SHOP, only="checkout-errors-page")
    return {fate.mutant.change for fate in report.survivors}


def test_an_incident_notices_what_its_expectations_forbid(tmp_path: Path) -> None:
    loose = survivors(tmp_path, "expect: {checkout-errors-page: {fires: {by: 2h}}}")
    assert "threshold 2 to 3" in loose
    assert "metric Errors renamed" not in loose
    assert "dimension FunctionName dropped" not in loose
    tight = survivors(tmp_path, EXACTLY)
    assert tight < loose
    assert not {"2 of 3 to 1 of 3", "2 of 3 to 3 of 3", "period 1m to 2m"} & tight
    assert "threshold 2 to 3" in tight, "errors come in fours"


def test_a_mutant_is_noticed_by_a_composite_above_and_by_who_is_told(tmp_path: Path) -> None:
    above = survivors(tmp_path, "expect: {down-page: {fires: {after: 1h2m, by: 1h2m}}}")
    assert "2 of 3 to 1 of 3" not in above
    told = survivors(tmp_path, "pages: [down-page]")
    assert "metric Errors renamed" not in told
    assert "2 of 3 to 1 of 3" in told, "nothing is said of when"


def test_an_incident_that_is_broken_as_it_is_catches_nothing(tmp_path: Path) -> None:
    report = mutate([incident(tmp_path, f"{OUTAGE}\npages: []")], SHOP)
    assert [each.title for each in report.useless] == ["An outage"]
    assert report.percent == 0


def test_without_mutants_nothing_is_missed() -> None:
    assert Report(()).percent == 100


def _equivalents(folder: Path, text: str) -> list[Equivalent]:
    path = folder / "equivalents.yaml"
    path.write_text(text, encoding="utf-8")
    return read_equivalents(path)


def test_equivalents_are_patterns_and_do_not_count(tmp_path: Path) -> None:
    known = _equivalents(tmp_path, "- {alarm: checkout-*, mutant: 'threshold 2 to *', reason: errors come in fours}")
    alone = [incident(tmp_path, f"{OUTAGE}\n{EXACTLY}")]
    without, with_them = (mutate(alone, SHOP, only="checkout-errors-page", equivalents=each) for each in ([], known))
    gone = {fate.mutant.change for fate in without.survivors} - {fate.mutant.change for fate in with_them.survivors}
    assert gone == {"threshold 2 to 1", "threshold 2 to 3"}
    assert len(with_them.counted) == len(without.counted) - 2
    assert {fate.equivalent for fate in with_them.fates if fate.equivalent} == {"errors come in fours"}


@pytest.mark.parametrize(
    ("entry", "problem"),
    [
        (
            "{alarm: checkout-errors-page, mutant: metric Errors renamed, reason: x}",
            "it is caught. An outage: shop-prod",
        ),
        ("{alarm: checkout-errors-page, mutant: threshold 7 to 8, reason: x}", "there is no such mutant"),
        ("{alarm: chekout, mutant: '*', reason: x}", "there is no such mutant"),
    ],
)
def test_an_equivalent_that_is_none_is_refused(tmp_path: Path, entry: str, problem: str) -> None:
    known = _equivalents(tmp_path, f"- {entry}")
    with pytest.raises(ToolkitError, match="line 1") as caught:
        mutate([incident(tmp_path, f"{OUTAGE}\n{EXACTLY}")], SHOP, equivalents=known)
    assert problem in str(caught.value)


def test_an_equivalent_needs_a_reason(tmp_path: Path) -> None:
    with pytest.raises(ToolkitError, match="reason is missing"):
        _equivalents(tmp_path, "- {alarm: a, mutant: b}")


def test_a_pattern_that_means_no_alarm_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ToolkitError, match="no metric alarm matches 'nothing'"):
        mutate([incident(tmp_path, f"{OUTAGE}\n{EXACTLY}")], SHOP, only="nothing")


def test_a_mutant_does_nothing_else_than_the_alarm_it_is(tmp_path: Path) -> None:
    """Replaying with a mutant in its place is replaying an estate that has it."""
    alarm = next(each for each in SHOP.alarms if isinstance(each, MetricAlarm) and each.name == ERRORS["AlarmName"])
    found = incident(tmp_path, f"{OUTAGE}\n{EXACTLY}\npages: [down-page]")
    fates = {fate.mutant.change: bool(fate.caught) for fate in mutate([found], SHOP, only=alarm.name).fates}
    for mutant in mutants(alarm):
        others = tuple(mutant.alarm if each is alarm else each for each in SHOP.alarms)
        useless = mutate([found], replace(SHOP, alarms=others), only="refunds-ticket").useless
        assert bool(useless) is fates[mutant.change], mutant.change


def test_the_command_exits_1_below_what_is_asked_for(tmp_path: Path) -> None:
    app = typer.Typer()
    app.command()(mutate_command.command)
    (tmp_path / "alarms.json").write_text(json.dumps([ERRORS, SHARE, DOWN]), encoding="utf-8")
    folder = tmp_path / "incidents"
    folder.mkdir()
    (folder / "outage.yaml").write_text(f"{OUTAGE}\n{EXACTLY}\n", encoding="utf-8")
    known = "- {alarm: checkout-errors-page, mutant: threshold 2 to 3, reason: errors come in fours}"
    (folder / "equivalents.yaml").write_text(known, encoding="utf-8")
    arguments = [str(folder), "--alarm", str(tmp_path / "alarms.json"), "--only", "checkout-errors-page"]
    done = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert done.exit_code == 1
    assert "not noticed: missing data notBreaching to ignore" in done.output
    assert "equivalent, as errors come in fours:" in done.output
    assert CliRunner().invoke(app, [*arguments, "--at-least", "30"]).exit_code == 0
    found = json.loads(CliRunner().invoke(app, [*arguments, "--json"]).stdout)
    assert found["counted"] == len(found["mutants"]) - 1
    assert np.isclose(found["percent"], 100 * found["caught"] / found["counted"], atol=0.01)
