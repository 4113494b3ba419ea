"""Incidents as they are written: what is understood, and what is refused with its line."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from observability.errors import ToolkitError
from observability.expectations import Clears, Fires, InState, Never, Quiet, Told, Window, spoken
from observability.incidents import read_incidents, resolve
from observability.model import DAY, HOUR, MINUTE, State
from observability.series import MONDAY
from tests.observability.shop import incident, incidents

HEAD = "incident: Something\nlength: 3h\n"


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("incident: A\nexpect: {a: quiet}", "line 1: incident: length is missing"),
        ("length: 3h\nexpect: {a: quiet}", "line 1: incident: incident is missing"),
        (HEAD, "an incident says what must be true"),
        (HEAD + "expect: {a: quite}", "word 'quite' is not known; did you mean quiet?"),
        (HEAD + "expect: {a: {fire: {by: 1h}}}", "line 3: expect a: key 'fire' is not known; did you mean fires?"),
        (HEAD + "expect: {a: {}}", "expect a: nothing is said of it"),
        (HEAD + "expect:\n  a: {fires: {after: 1h}}", "line 4: window: by is missing"),
        (HEAD + "expect: {a: {fires: {by: 4h}}}", "a window lies in the incident's length"),
        (HEAD + "expect: {a: {fires: {after: 2h, by: 1h}}}", "a window lies in the incident's length"),
        (HEAD + "expect: {a: {quiet: false}}", "it can only be true"),
        (HEAD + "expect: {a: {never: ALARMED}}", "did you mean ALARM?"),
        (HEAD + "expect: {a: {state: {4h: OK}}}", "4h is after the incident's end"),
        (HEAD + "expect:\n  a: quiet\n  a: quiet", "line 5: expect: a is there twice"),
        (HEAD + "pages: page", "'page': a list is needed"),
        (HEAD + "pages: []\nstates: {a: FINE}", "word 'FINE' is not known"),
        (HEAD + "pages: []\nmutes: [{name: m, for: 1h, alarms: [a]}]", "mute: it has either at or cron"),
        (HEAD + "pages: []\nmutes: [{at: 1h, for: 90s, alarms: [a], name: m}]", "a mute rule counts in whole minutes"),
        (HEAD + "pages: []\npages: []", "line 4: incident: pages is there twice"),
    ],
)
def test_a_fault_is_told_with_its_line(tmp_path: Path, text: str, fault: str) -> None:
    with pytest.raises(ToolkitError) as caught:
        incidents(tmp_path, text)
    assert fault in str(caught.value)


def test_all_faults_of_all_files_are_told_together(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(
        "incident: A\nlength: soon\nexpect: {a: loud}\n---\nlength: 1h\n", encoding="utf-8"
    )
    (tmp_path / "b.yaml").write_text("incident: B\nlenght: 1h\n", encoding="utf-8")
    with pytest.raises(ToolkitError) as caught:
        read_incidents([tmp_path])
    told = str(caught.value)
    assert "a.yaml:\n  line 2: 'soon'" in told
    assert "line 3: word 'loud'" in told
    assert "b.yaml:\n  line 1: an incident says what must be true" in told
    assert "line 2: incident: key 'lenght' is not known; did you mean length?" in told


def test_one_fault_is_told_once(tmp_path: Path) -> None:
    with pytest.raises(ToolkitError) as caught:
        incidents(tmp_path, HEAD + "expect: {a: {fire: {by: 1h}}}")
    assert len(str(caught.value).splitlines()) == 2


def test_an_incident_is_read_as_it_is_described(tmp_path: Path) -> None:
    found = incident(
        tmp_path,
        """
        incident: Everything
        about: |
          Two
          lines.
        start: 2026-02-01T12:00+01:00
        length: 2d
        step: 30s
        before: 1h
        states: {a: ALARM, "*-ticket": INSUFFICIENT_DATA}
        expect:
          a:
            fires: {after: 1h, by: 2h20m, times: 2}
            clears: {by: 1d}
            told: {by: 3h}
            state: {10m: OK, 90m: ALARM}
            never: INSUFFICIENT_DATA
          b: quiet
          c: {quiet: true}
        pages: [a]
        recoveries: []
        page_names: "*-urgent"
        """,
    )
    assert (found.title, found.about) == ("Everything", "Two lines.")
    assert found.start == 1_769_943_600
    assert found.end - found.start == 2 * DAY
    assert (found.frame.step, found.frame.before) == (30, HOUR)
    assert [(each.alarm, each.expectation) for each in found.expected] == [
        ("a", Fires(Window(HOUR, 2 * HOUR + 20 * MINUTE), 2)),
        ("a", Clears(Window(0, DAY))),
        ("a", Told(Window(0, 3 * HOUR))),
        ("a", InState({10 * MINUTE: State.OK, 90 * MINUTE: State.ALARM})),
        ("a", Never(State.INSUFFICIENT_DATA)),
        ("b", Quiet()),
        ("c", Quiet()),
    ]
    assert found.listed == {"pages": ("a",), "recoveries": ()}
    assert found.states == {"a": State.ALARM, "*-ticket": State.INSUFFICIENT_DATA}
    assert found.page_names == "*-urgent"


def test_a_mute_rule_is_what_cloudwatch_would_be_given(tmp_path: Path) -> None:
    found = incident(
        tmp_path,
        HEAD
        + """
        pages: []
        mutes:
          - {name: work, at: 90m, for: 1h30m, alarms: [a]}
          - {name: nightly, cron: 0 2 * * *, timezone: Europe/Berlin, for: 4h, alarms: [a, b]}
        """.replace("\n        ", "\n"),
    )
    once, nightly = (mute.rule for mute in found.mutes)
    assert (once.expression, once.duration, once.timezone) == ("at(2026-01-05T01:30)", "PT90M", "UTC")
    assert (nightly.expression, nightly.duration, nightly.timezone) == ("cron(0 2 * * *)", "PT240M", "Europe/Berlin")
    assert nightly.alarms == ("a", "b")


def test_a_file_has_several_incidents_and_each_its_line(tmp_path: Path) -> None:
    found = incidents(tmp_path, f"{HEAD}expect: {{a: quiet}}\n---\n{HEAD}pages: []\n")
    assert [each.line for each in found] == [1, 5]
    assert {each.start for each in found} == {MONDAY}


def test_directories_are_searched_and_bases_and_equivalents_are_passed_over(tmp_path: Path) -> None:
    below = tmp_path / "deep" / "down"
    below.mkdir(parents=True)
    (below / "one.yaml").write_text(f"{HEAD}pages: []", encoding="utf-8")
    (tmp_path / "normal.base.yaml").write_text("series: {}", encoding="utf-8")
    (tmp_path / "equivalents.yaml").write_text("[]", encoding="utf-8")
    assert [each.path.name for each in read_incidents([tmp_path])] == ["one.yaml"]


@pytest.mark.parametrize("missing", ["nothing.yaml", "empty"])
def test_a_path_without_incidents_is_refused(tmp_path: Path, missing: str) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(ToolkitError, match=missing):
        read_incidents([tmp_path / missing])


NAMES = ("shop-prod-errors-page", "shop-prod-checkout-errors-page", "shop-prod-slow-ticket")


def test_an_alarm_is_meant_by_its_name_or_by_the_end_of_it() -> None:
    assert resolve("slow-ticket", NAMES) == "shop-prod-slow-ticket"
    assert resolve("prod-errors-page", NAMES) == "shop-prod-errors-page"
    assert resolve("shop-prod-errors-page", NAMES) == "shop-prod-errors-page"


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("errors-page", "may be shop-prod-checkout-errors-page or shop-prod-errors-page"),
        ("slow-tiket", "did you mean slow-ticket?"),
        ("ow-ticket", "is not known"),
    ],
)
def test_a_name_that_means_none_or_two_is_refused(name: str, problem: str) -> None:
    with pytest.raises(ToolkitError, match="alarm") as caught:
        resolve(name, NAMES)
    assert problem in str(caught.value)


@given(st.integers(1, 10 * DAY))
def test_a_duration_is_told_as_it_is_written(tmp_path_factory: pytest.TempPathFactory, seconds: int) -> None:
    folder = tmp_path_factory.mktemp("incident")
    found = incident(folder, f"incident: A\nlength: {spoken(seconds)}\npages: []")
    assert found.frame.length == seconds
