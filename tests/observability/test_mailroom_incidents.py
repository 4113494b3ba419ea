"""Mailroom's own alarms in the incidents that we keep: each does what people want, and none can change unseen."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest

from observability.incidents import Incident, matches, read_incidents
from observability.model import Alarm, CompositeAlarm, MetricAlarm
from observability.mutation import mutate, read_equivalents
from observability.replay import is_pattern, parts, replay, uncovered
from observability.sources import Estate, estate_of
from observability.timeline import verdict
from tests.recorded import recording

FOLDER = Path(__file__).parents[1] / "incidents"
INCIDENTS = read_incidents([FOLDER])

# Of the fast tier: these files say all that there is to say of the alarms on paging itself.
ABOUT_PAGING = [FOLDER / f"{name}.yaml" for name in ("functions", "queues", "metrics-gap")]

# Dev's prober runs once an hour, and what it measures is looked at by the hour.
OTHERWISE_IN_DEV = {"probe-failing-page", "ledger-oldest-open-email-ticket", "pipeline-down-page"}


@cache
def estate(stack: str) -> Estate:
    return estate_of(recording(stack))


def short(name: str) -> str:
    return name.removeprefix("mailroom-prod-").removeprefix("mailroom-dev-")


@pytest.mark.parametrize("incident", INCIDENTS, ids=lambda incident: f"{incident.path.stem}-{incident.line}")
def test_an_incident_goes_as_expected(incident: Incident) -> None:
    found = replay(incident, estate("prod"))
    assert found.passed, "\n".join(line.plain for line in verdict(found))


def test_what_is_expected_of_an_alarm_holds_in_dev_as_well(tmp_path: Path) -> None:
    for path in FOLDER.glob("*.yaml"):
        text = path.read_text(encoding="utf-8")
        (tmp_path / path.name).write_text(text.replace("Stack=prod", "Stack=dev"), encoding="utf-8")
    alike = tuple(alarm for alarm in estate("dev").alarms if short(alarm.name) not in OTHERWISE_IN_DEV)
    dev, there = replace(estate("dev"), alarms=alike), {short(alarm.name) for alarm in alike}
    replayed = 0
    for incident in read_incidents([tmp_path]):
        named = tuple(each for each in incident.expected if any(matches(name, each.alarm) for name in there))
        if named:
            states = {name: state for name, state in incident.states.items() if is_pattern(name) or name in there}
            # Who is told, and by which composite, is prod's: dev has promised nothing.
            found = replay(replace(incident, expected=named, listed={}, states=states, mutes=()), dev)
            assert found.broken == (), "\n".join(line.plain for line in verdict(found))
            replayed += found.counted
    assert replayed > len(there), "the names of dev's alarms have changed"


def test_devs_alarms_are_prods_but_for_what_the_prober_measures() -> None:
    prod = {short(alarm.name): settings(alarm) for alarm in estate("prod").alarms}
    dev = {short(alarm.name): settings(alarm) for alarm in estate("dev").alarms}
    assert dev.keys() <= prod.keys()
    composites = {name for name, of in dev.items() if OTHERWISE_IN_DEV & set(of)}
    assert {name for name, of in dev.items() if of != prod[name]} | composites == OTHERWISE_IN_DEV


def settings(alarm: Alarm) -> tuple[object, ...]:
    """What an alarm is, whichever stack it watches."""
    if isinstance(alarm, CompositeAlarm):
        return tuple(sorted(map(short, parts(alarm))))
    signal = [(query.expression, query.stat and str(query.stat.statistic)) for query in alarm.queries]
    when = (alarm.comparison, alarm.threshold, alarm.datapoints_to_alarm, alarm.evaluation_periods, alarm.period)
    return (*signal, *when, alarm.missing)


def test_every_alarm_of_prod_can_be_evaluated() -> None:
    assert estate("prod").unread == ()


def test_every_alarm_of_prod_must_fire_in_one_incident_and_stay_quiet_in_another() -> None:
    found = uncovered(INCIDENTS, estate("prod"))
    assert found.must_fire == ()
    assert found.must_stay_quiet == ()


def test_no_change_of_an_alarm_on_paging_goes_unseen() -> None:
    report = mutate(read_incidents(ABOUT_PAGING), estate("prod"), only="notify-*")
    assert [f"{fate.mutant.of}: {fate.mutant.change}" for fate in report.survivors] == []
    assert {short(name) for name in report.alarms} == {
        short(alarm.name)
        for alarm in estate("prod").alarms
        if isinstance(alarm, MetricAlarm) and short(alarm.name).startswith("notify-")
    }


@pytest.mark.mutation
def test_no_change_of_any_alarm_goes_unseen() -> None:
    """95 of 100 would do; those that remain would have to be listed as equivalent, each with its reason."""
    report = mutate(INCIDENTS, estate("prod"), equivalents=read_equivalents(FOLDER / "equivalents.yaml"))
    survivors = "\n".join(f"{fate.mutant.of}: {fate.mutant.change}" for fate in report.survivors)
    assert report.percent >= 95, survivors
    assert report.useless == ()
