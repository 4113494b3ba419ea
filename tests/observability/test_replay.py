"""Incidents replayed: expectations hold or are broken, and what is said of them can be read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st
from rich.text import Text
from typer.testing import CliRunner

from observability.commands import replay as replay_command
from observability.errors import ToolkitError
from observability.expectations import Clears, Fires, InState, Life, Never, Quiet, Told, Window
from observability.model import HOUR, MINUTE, State, read_alarms
from observability.replay import Outcome, prepare, replay, shared_prefix, uncovered
from observability.sources import Estate
from observability.timeline import document, lines
from observability.timeline_page import page, picture
from tests.observability.shop import DOWN, ERRORS, ERRORS_METRIC, PAGER, SHARE, SHOP, incident

OK, ALARM, INSUFFICIENT = State.OK, State.ALARM, State.INSUFFICIENT_DATA

# Errors from minute 60 to 69; two of three periods of a minute at 2 or more: the alarm fires at 62, and clears at 72.
OUTAGE = f"""
incident: An outage
length: 3h
series:
  {ERRORS_METRIC}:
    - {{for: 1h, value: 0}}
    - {{for: 10m, value: 4}}
    - {{value: 0}}
"""


def outcome(folder: Path, expected: str, text: str = OUTAGE, estate: Estate = SHOP) -> Outcome:
    return replay(incident(folder, f"{text}\n{expected}"), estate)


def broken(folder: Path, expected: str, text: str = OUTAGE) -> list[str]:
    return [str(each) for each in outcome(folder, expected, text).broken]


@pytest.mark.parametrize(
    "expected",
    [
        "expect: {checkout-errors-page: {fires: {after: 1h2m, by: 1h2m, times: 1}, clears: {after: 1h12m, by: 1h12m}}}",
        "expect: {refunds-ticket: quiet}",
        "expect: {down-page: {fires: {by: 1h2m}, told: {by: 1h2m}, state: {1h1m: OK, 1h2m: ALARM, 1h12m: OK}}}",
        'expect: {"*": {never: INSUFFICIENT_DATA}, checkout-errors-page: {fires: {by: 2h}}}',
        "pages: [down-page]",
        "tells: [down-page]\nrecoveries: [down-page]",
        'pages: []\npage_names: "*-urgent"',
        "pages: []\nmutes: [{name: work, at: 30m, for: 2h, alarms: [down-page]}]",
    ],
)
def test_what_is_as_expected_passes(tmp_path: Path, expected: str) -> None:
    assert broken(tmp_path, expected) == []


@pytest.mark.parametrize(
    ("expected", "told"),
    [
        ("expect: {checkout-errors-page: {fires: {by: 1h1m}}}", "fires by 1h1m: it fired at 1h2m"),
        ("expect: {checkout-errors-page: {fires: {after: 1h3m, by: 2h}}}", "between 1h3m and 2h: it fired at 1h2m"),
        ("expect: {checkout-errors-page: {fires: {after: 1h3m, by: 1h3m}}}", "fires at 1h3m: it fired at 1h2m"),
        ("expect: {checkout-errors-page: {fires: {by: 2h, times: 2}}}", "2 times in all: it fired at 1h2m"),
        ("expect: {checkout-errors-page: quiet}", "stays quiet: it fired at 1h2m"),
        ("expect: {checkout-errors-page: {clears: {by: 1h11m}}}", "clears by 1h11m: it left ALARM for good at 1h12m"),
        ("expect: {checkout-errors-page: {never: ALARM}}", "is never ALARM: it was: OK, ALARM at 1h2m, OK at 1h12m"),
        ("expect: {checkout-errors-page: {state: {1h2m: OK}}}", "is OK at 1h2m: it was ALARM at 1h2m"),
        ("expect: {checkout-errors-page: {told: {by: 2h}}}", "is told by 2h: nobody was told"),
        ("expect: {refunds-ticket: {fires: {by: 2h}}}", "it never fired: OK all the time"),
        ("expect: {refunds-ticket: {clears: {by: 2h}}}", "it was never in ALARM: OK all the time"),
        ("pages: []", "pages exactly none: it was shop-prod-down-page at 1h2m"),
        (
            "pages: [down-page, down-page]",
            "exactly shop-prod-down-page, shop-prod-down-page: it was shop-prod-down-page",
        ),
        ("tells: [refunds-ticket, down-page]", "tells of exactly"),
        ("recoveries: []", "tells of the recovery of exactly none: it was shop-prod-down-page at 1h12m"),
        (
            "expect: {down-page: {told: {by: 2h}}}\nmutes: [{name: work, at: 30m, for: 150m, alarms: [down-page]}]",
            "nobody was told",
        ),
    ],
)
def test_what_is_not_as_expected_is_told_with_what_happened_instead(tmp_path: Path, expected: str, told: str) -> None:
    [found] = broken(tmp_path, expected)
    assert told in found


def test_initial_states_are_ok_unless_the_incident_says_otherwise(tmp_path: Path) -> None:
    quiet = f'incident: Quiet\nlength: 1h\nseries:\n  "{ERRORS_METRIC}": 0\n'
    assert broken(tmp_path, "recoveries: []", quiet) == []
    begun = "states: {checkout-errors-page: ALARM, down-page: ALARM}\nrecoveries: [down-page]\n"
    assert broken(tmp_path, begun + "expect: {checkout-errors-page: {clears: {by: 1m}}}", quiet) == []
    assert broken(tmp_path, begun + "expect: {checkout-errors-page: quiet}", quiet) != []
    new = outcome(tmp_path, "states: INSUFFICIENT_DATA\nexpect: {down-page: quiet}", quiet)
    assert set(new.initial.values()) == {INSUFFICIENT}


def test_alarms_that_are_told_in_one_minute_may_be_listed_in_any_order(tmp_path: Path) -> None:
    other = {**DOWN, "AlarmName": "shop-prod-also-page"}
    estate = Estate(alarms=tuple(read_alarms([ERRORS, SHARE, DOWN, other])))
    for listed in ("down-page, also-page", "also-page, down-page"):
        assert outcome(tmp_path, f"pages: [{listed}]", estate=estate).passed
    assert not outcome(tmp_path, "pages: [down-page]", estate=estate).passed


def test_only_the_alarms_that_are_named_and_their_parts_take_part_unless_the_incident_lists_who_is_told(
    tmp_path: Path,
) -> None:
    assert [each.name for each in outcome(tmp_path, "expect: {refunds-ticket: quiet}").alarms] == [SHARE["AlarmName"]]
    parts = {each.name for each in outcome(tmp_path, "expect: {down-page: {fires: {by: 2h}}}").alarms}
    assert parts == {DOWN["AlarmName"], ERRORS["AlarmName"]}
    assert len(outcome(tmp_path, "pages: [down-page]").alarms) == 3


def test_a_metric_that_no_alarm_looks_at_fails_the_incident(tmp_path: Path) -> None:
    text = OUTAGE + "  AWS/Lambda Errors {FunctionName=chekout}: 1\n"
    found = outcome(tmp_path, "expect: {refunds-ticket: quiet}", text)
    assert not found.broken
    assert not found.passed
    assert "✗ line 9: no alarm looks at AWS/Lambda Errors {FunctionName=chekout}" in _text(found)


def test_an_alarm_that_there_is_not_is_refused_with_the_line(tmp_path: Path) -> None:
    with pytest.raises(ToolkitError) as caught:
        outcome(tmp_path, "expect:\n  chekout-errors-page: quiet\npages: [refunds-tiket]")
    assert "line 11: alarm 'chekout-errors-page' is not known; did you mean checkout-errors-page?" in str(caught.value)
    assert "line 12: alarm 'refunds-tiket' is not known; did you mean refunds-ticket?" in str(caught.value)


def test_a_pattern_that_matches_no_alarm_is_refused_with_the_line(tmp_path: Path) -> None:
    with pytest.raises(ToolkitError, match=r"line 10: no alarm matches 'checkout-\*-ticket'"):
        replay(incident(tmp_path, f'{OUTAGE}\nexpect: {{"checkout-*-ticket": quiet}}'), SHOP)


def test_a_pattern_may_leave_out_what_comes_before_as_names_may(tmp_path: Path) -> None:
    found = replay(
        incident(tmp_path, f'{OUTAGE}\nstates: {{"refunds-*": ALARM}}\nexpect: {{"checkout-*": quiet}}'), SHOP
    )
    assert [each.alarm for each in found.broken] == ["shop-prod-checkout-errors-page"]
    everything = incident(
        tmp_path, f'{OUTAGE}\nstates: {{"refunds-*": ALARM}}\nexpect: {{"*": {{never: INSUFFICIENT_DATA}}}}'
    )
    assert [name for name, state in replay(everything, SHOP).initial.items() if state is State.ALARM] == [
        "shop-prod-refunds-ticket"
    ]


def test_the_timeline_tells_what_happened_and_to_whom(tmp_path: Path) -> None:
    told = _text(outcome(tmp_path, "expect: {checkout-errors-page: {fires: {by: 1h}}}\npages: [down-page]"))
    assert "An outage" in told
    assert "01:02  +1h2m      checkout-errors-page  OK → ALARM    0, 4, 4 (≥ 2)" in told
    assert "down-page             OK → ALARM    told pager" in told
    assert "✗ line 10: checkout-errors-page fires by 1h: it fired at 1h2m" in told
    muted = _text(outcome(tmp_path, "pages: []\nmutes: [{name: work, at: 1h, for: 1h, alarms: [down-page]}]"))
    assert "not told: muted by work" in muted
    assert "✓ as expected" in muted


def test_the_document_has_every_change_and_notice(tmp_path: Path) -> None:
    found = document(outcome(tmp_path, "pages: []"))
    assert not found["passed"]
    assert [(each["after"], each["alarm"], each["state"]) for each in found["changes"]] == [
        (62 * MINUTE, ERRORS["AlarmName"], "ALARM"),
        (62 * MINUTE, DOWN["AlarmName"], "ALARM"),
        (72 * MINUTE, ERRORS["AlarmName"], "OK"),
        (72 * MINUTE, DOWN["AlarmName"], "OK"),
    ]
    assert [(each["at"], each["actions"], each["told"]) for each in found["notices"]] == [
        ("2026-01-05T01:02:00+00:00", [PAGER], True),
        ("2026-01-05T01:12:00+00:00", [PAGER], True),
    ]
    json.dumps(found)


def test_the_page_loads_nothing_and_draws_series_thresholds_states_and_notices(tmp_path: Path) -> None:
    found = outcome(tmp_path, "expect: {checkout-errors-page: {fires: {by: 2h}}, refunds-ticket: quiet}\npages: []")
    drawn = page([found])
    for loads in ("src=", "<script", "@import", "url("):
        assert loads not in drawn
    assert "http" not in drawn.replace("http://www.w3.org/2000/svg", "")
    assert drawn == page([found]), "the same input gives the same page"
    svg = picture(found)
    for words in (
        "checkout-errors-page",
        "≥ 2",
        "ALARM from 01:02 to 01:12",
        "told pager",
        "no data points",
        "<polyline",
    ):
        assert words in svg, words
    assert "refunds = Sum of Shop Refunds" in svg
    assert "line 11" in drawn


def test_titles_are_escaped(tmp_path: Path) -> None:
    found = outcome(tmp_path, "pages: []", OUTAGE.replace("An outage", "<b>An & outage</b>"))
    assert "<b>" not in page([found])


def test_what_no_incident_wants_is_uncovered(tmp_path: Path) -> None:
    both = [
        incident(tmp_path, f"{OUTAGE}\nexpect: {{checkout-errors-page: {{fires: {{by: 2h}}}}}}\npages: [down-page]"),
        incident(tmp_path, f"{OUTAGE}\nexpect: {{refunds-ticket: quiet, down-page: {{never: ALARM}}}}"),
    ]
    found = uncovered(both, SHOP)
    assert found.must_fire == ("shop-prod-refunds-ticket",)
    assert found.must_stay_quiet == ("shop-prod-checkout-errors-page",)


def test_an_alarm_that_only_a_pattern_speaks_of_is_uncovered(tmp_path: Path) -> None:
    everything = incident(tmp_path, f'{OUTAGE}\nexpect: {{"*": quiet}}')
    assert uncovered([everything], SHOP).must_stay_quiet == tuple(alarm.name for alarm in SHOP.alarms)


def test_names_share_what_comes_before_a_hyphen() -> None:
    assert shared_prefix(SHOP.alarms) == "shop-prod-"
    assert shared_prefix(SHOP.alarms[:1]) == ""
    assert shared_prefix(read_alarms([{**ERRORS, "AlarmName": name} for name in ("ab", "ac")])) == ""


# Expectations by themselves


def _life(*changes: tuple[int, State], initial: State = OK, told: tuple[int, ...] = ()) -> Life:
    return Life(initial, changes, told, 3 * HOUR)


@pytest.mark.parametrize(
    ("expectation", "life", "holds"),
    [
        (Fires(Window(60, 120)), _life((60, ALARM)), True),
        (Fires(Window(60, 120)), _life((120, ALARM)), True),
        (Fires(Window(60, 120)), _life((59, ALARM), (90, OK), (100, ALARM)), False),
        (Fires(Window(60, 120)), _life(initial=ALARM), False),
        (Clears(Window(60, 120)), _life((60, OK), initial=ALARM), True),
        (Clears(Window(60, 120)), _life((60, INSUFFICIENT), (500, OK), initial=ALARM), True),
        (Clears(Window(60, 120)), _life((30, ALARM), (60, OK), (300, ALARM), (400, OK)), False),
        (Clears(Window(60, 120)), _life((30, ALARM), (60, OK), (300, ALARM)), False),
        (Quiet(), _life(initial=ALARM), False),
        (Quiet(), _life((60, INSUFFICIENT)), True),
        (Never(INSUFFICIENT), _life((60, INSUFFICIENT)), False),
        (Never(INSUFFICIENT), _life((60, ALARM)), True),
        (InState({59: OK, 60: ALARM}), _life((60, ALARM)), True),
        (InState({60: OK}), _life((60, ALARM)), False),
        (Told(Window(60, 120)), _life((30, ALARM), told=(90,)), True),
        (Told(Window(60, 120)), _life((30, ALARM), told=(30, 90)), False),
    ],
)
def test_an_expectation_holds_or_is_broken(expectation: Any, life: Life, holds: bool) -> None:
    assert (expectation.broken(life) == "") is holds


@given(st.lists(st.sampled_from(State), max_size=6), st.sampled_from(State), st.integers(0, 6), st.integers(0, 6))
def test_an_alarm_is_quiet_or_fires(states: list[State], initial: State, after: int, by: int) -> None:
    real = [(at, state) for at, state in enumerate(states, 1) if state is not ([initial, *states][at - 1])]
    life = _life(*real, initial=initial)
    quiet, whole = Quiet().broken(life) == "", Fires(Window(0, life.length)).broken(life) == ""
    assert not (quiet and whole)
    assert quiet or whole or initial is ALARM
    if Fires(Window(after, by)).broken(life) == "":
        assert whole, "a wider window asks for less"


# The command

APP = typer.Typer()
APP.callback()(lambda: None)
APP.command("replay")(replay_command.command)


def _run(command: str, *arguments: str) -> Any:
    return CliRunner().invoke(APP, [command, *arguments], catch_exceptions=False)


@pytest.fixture
def files(tmp_path: Path) -> tuple[str, str]:
    """A file of the shop's alarms, and one of the outage with an expectation that holds."""
    alarms = tmp_path / "alarms.json"
    alarms.write_text(json.dumps([ERRORS, SHARE, DOWN]), encoding="utf-8")
    path = tmp_path / "outage.yaml"
    path.write_text(f"{OUTAGE}\npages: [down-page]\n", encoding="utf-8")
    return str(alarms), str(path)


def test_the_command_exits_0_when_all_is_as_expected_and_1_when_not(files: tuple[str, str], tmp_path: Path) -> None:
    alarms, path = files
    done = _run("replay", path, "--alarm", alarms, "--html", str(tmp_path / "page.html"))
    assert done.exit_code == 0, done.output
    assert "1 incident, 1 expectation: all as expected" in done.output
    assert "<svg" in (tmp_path / "page.html").read_text(encoding="utf-8")
    Path(path).write_text(f"{OUTAGE}\npages: []\n", encoding="utf-8")
    done = _run("replay", path, "--alarm", alarms)
    assert done.exit_code == 1
    assert "1 incident not as expected" in done.output
    done = _run("replay", path, "--alarm", alarms, "--json")
    assert done.exit_code == 1
    assert json.loads(done.stdout)[0]["broken"][0]["instead"] == "it was shop-prod-down-page at 1h2m"


def test_the_command_lists_what_is_uncovered(files: tuple[str, str]) -> None:
    done = _run("replay", files[1], "--alarm", files[0], "--coverage")
    assert done.exit_code == 1
    assert "1 of 3 alarms have an incident in which they must fire" in done.output
    assert "✗ shop-prod-refunds-ticket" in done.output


def _text(found: Outcome) -> str:
    return Text("\n").join(lines(found)).plain


def test_a_prepared_incident_is_replayed_the_same_again_and_again(tmp_path: Path) -> None:
    stage = prepare(incident(tmp_path, f"{OUTAGE}\npages: [down-page]"), SHOP)
    assert stage.play() == stage.play()
