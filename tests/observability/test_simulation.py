"""Alarms over time: the guide's examples of suppressors and mute rules, who is told of what, and once."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from observability.errors import ToolkitError
from observability.evaluation import Change
from observability.model import (
    HOUR,
    MINUTE,
    Alarm,
    CompositeAlarm,
    MetricAlarm,
    MetricKey,
    MuteRule,
    State,
    read_composite_alarm,
    read_metric_alarm,
)
from observability.simulation import AlarmSet, Notice, Simulation, simulate, simulate_changes
from observability.store import MetricStore

ALARM, OK, INSUFFICIENT = State.ALARM, State.OK, State.INSUFFICIENT_DATA
PAGER, DESK = "arn:aws:sns:us-east-1:111122223333:pager", "arn:aws:sns:us-east-1:111122223333:desk"
ACCOUNT = "arn:aws:cloudwatch:us-east-1:111122223333:alarm:"
Happening = tuple[int, str, State]


def _metric(name: str, *, ok: bool = True, enabled: bool = True, alarm: bool = True) -> MetricAlarm:
    return read_metric_alarm(
        {
            "AlarmName": name,
            "AlarmArn": ACCOUNT + name,
            "Namespace": "Shop",
            "MetricName": name,
            "Statistic": "Sum",
            "Period": 60,
            "EvaluationPeriods": 1,
            "ComparisonOperator": "GreaterThanThreshold",
            "Threshold": 0,
            "TreatMissingData": "notBreaching",
            "ActionsEnabled": enabled,
            "AlarmActions": [PAGER] if alarm else [],
            "OKActions": [DESK] if ok else [],
        }
    )


def _silent(name: str) -> MetricAlarm:
    return _metric(name, ok=False, alarm=False)


def _composite(name: str, rule: str, suppressor: str = "", wait: int = 0, extension: int = 0) -> CompositeAlarm:
    behind = {
        "ActionsSuppressor": suppressor,
        "ActionsSuppressorWaitPeriod": wait,
        "ActionsSuppressorExtensionPeriod": extension,
    }
    return read_composite_alarm(
        {
            "AlarmName": name,
            "AlarmArn": ACCOUNT + name,
            "AlarmRule": rule,
            "AlarmActions": [PAGER],
            "OKActions": [DESK],
            **(behind if suppressor else {}),
        }
    )


def _mute(name: str, first: int, hours: int, *alarms: str) -> MuteRule:
    """Mutes for some hours from the hour `first` of the epoch on."""
    return MuteRule(name=name, expression=f"at(1970-01-01T{first:02}:00)", duration=f"PT{hours}H", alarms=alarms)


def _histories(happenings: Iterable[Happening], before: State = OK) -> dict[str, list[Change]]:
    states: dict[str, State] = {}
    found: dict[str, list[Change]] = {}
    for at, alarm, after in happenings:
        found.setdefault(alarm, []).append(Change(alarm, at, states.get(alarm, before), after, f"{alarm} is {after}"))
        states[alarm] = after
    return found


def _run(
    alarms: Sequence[Alarm],
    happenings: Iterable[Happening],
    end: int,
    *,
    mutes: Sequence[MuteRule] = (),
    initial: State = OK,
) -> Simulation:
    return simulate_changes(
        alarms,
        _histories(happenings, initial),
        0,
        end,
        mutes=mutes,
        initial={alarm.name: initial for alarm in alarms},
    )


def _told(simulation: Simulation, of: str) -> list[tuple[int, State]]:
    return [(notice.at, notice.state) for notice in simulation.told if notice.alarm == of]


def _withheld(simulation: Simulation, of: str) -> list[tuple[int, State, str]]:
    return [(each.at, each.state, each.withheld) for each in simulation.notices if each.alarm == of and each.withheld]


# What is refused


@pytest.mark.parametrize(
    ("alarms", "said", "remedy"),
    [
        ([_metric("a"), _metric("a")], "two alarms are named a", ""),
        (
            [_metric("order-errors"), _composite("down", "ALARM(oder-errors)")],
            "alarm down: AlarmRule looks at oder-errors, which is not among the 2 alarms given",
            "Did you mean order-errors?",
        ),
        (
            [_metric("a"), _composite("down", "ALARM(a)", "deploying", 60, 60)],
            "alarm down: ActionsSuppressor is deploying, which is not among the 2 alarms given",
            "Give that alarm, too.",
        ),
        ([_metric("a"), _composite("down", "ALARM(a) AND")], "alarm down: AlarmRule, character 13: the end", ""),
    ],
    ids=["one name twice", "unknown child", "unknown suppressor", "unreadable rule"],
)
def test_alarms_that_do_not_fit_each_other_are_refused(alarms: list[Alarm], said: str, remedy: str) -> None:
    with pytest.raises(ToolkitError) as refused:
        AlarmSet(alarms)
    assert said in str(refused.value)
    assert refused.value.remedy == remedy


def test_composites_that_look_at_each_other_are_refused_with_the_circle() -> None:
    circle = [_composite("a", "OK(b)"), _composite("b", "ALARM(c) OR TRUE"), _composite("c", "NOT ALARM(a)")]
    with pytest.raises(ToolkitError, match="composite alarms look at each other: ") as refused:
        AlarmSet(circle)
    named = str(refused.value).split(": ")[1].split(" looks at ")
    assert named[0] == named[-1]
    assert {*pairwise(named)} == {("a", "b"), ("b", "c"), ("c", "a")}


def test_a_composite_that_looks_at_itself_is_refused() -> None:
    with pytest.raises(ToolkitError, match="look at each other: a looks at a"):
        AlarmSet([_composite("a", "ALARM(a)")])


def test_a_mute_rule_that_cannot_be_read_is_refused_before_anything_happens() -> None:
    with pytest.raises(ToolkitError, match="alarm mute rule night: Duration"):
        AlarmSet([_metric("a")], [MuteRule(name="night", expression="cron(0 2 * * *)", duration="4h", alarms=("b",))])


def test_time_does_not_go_back() -> None:
    alarm_set = AlarmSet([_metric("a")])
    alarm_set.step(120, [])
    with pytest.raises(ToolkitError, match="a step to 60"):
        alarm_set.step(60, [])
    for at in (60, 240):
        with pytest.raises(ToolkitError, match=f"a change at {at}, after a step to 120"):
            alarm_set.step(180, [Change("a", at, OK, ALARM, "")])


@pytest.mark.parametrize("name", ["unknown", "down"])
def test_a_change_is_one_of_a_metric_alarm_of_the_set(name: str) -> None:
    alarm_set = AlarmSet([_metric("a"), _composite("down", "ALARM(a)")])
    with pytest.raises(ToolkitError, match=f"a change of {name}, which is not a metric alarm of this set"):
        alarm_set.step(0, [Change(name, 0, OK, ALARM, "")])


# Suppressors: "Suppressing composite alarm actions", in units of time t

UNIT = MINUTE


def _suppressed(happenings: Sequence[Happening], *, wait: int = 2, extension: int = 3) -> Simulation:
    """A composite `main` that follows `child`, behind `deploying`; instants and periods in units."""
    alarms: list[Alarm] = [
        _silent("child"),
        _silent("deploying"),
        _composite("main", "ALARM(child)", "deploying", wait * UNIT, extension * UNIT),
    ]
    return _run(alarms, [(at * UNIT, alarm, state) for at, alarm, state in happenings], 20 * UNIT)


@pytest.mark.parametrize(
    ("happenings", "told"),
    [
        ([(2, "child", ALARM)], [(4, ALARM)]),
        ([(2, "child", ALARM), (3, "deploying", ALARM)], []),
        ([(2, "child", ALARM), (3, "child", OK)], [(5, OK)]),
        ([(1, "deploying", ALARM), (2, "child", ALARM)], []),
        ([(2, "child", ALARM), (3, "deploying", ALARM), (6, "deploying", OK)], [(9, ALARM)]),
        ([(2, "child", ALARM), (3, "deploying", ALARM), (6, "deploying", OK), (7, "child", OK)], [(9, OK)]),
    ],
    ids=lambda value: f"{len(value)}" if isinstance(value, list) else None,
)
def test_the_six_examples_of_the_guide(happenings: list[Happening], told: list[tuple[int, State]]) -> None:
    assert _told(_suppressed(happenings), "main") == [(at * UNIT, state) for at, state in told]


def test_a_suppressor_has_the_wait_period_to_go_off() -> None:
    """The guide's first picture: a wait period of 6 from t2 to t8, the suppressor at t4."""
    simulation = _suppressed([(2, "child", ALARM), (4, "deploying", ALARM)], wait=6)
    assert _told(simulation, "main") == []
    assert _withheld(simulation, "main") == [(2 * UNIT, ALARM, "suppressed by WaitPeriod")]


def test_a_composite_has_the_extension_period_to_recover() -> None:
    """The guide's second picture: an extension period of 6 from t2 to t8. The ALARM of before is not told."""
    simulation = _suppressed(
        [(0, "deploying", ALARM), (1, "child", ALARM), (2, "deploying", OK), (7, "child", OK)], extension=6
    )
    assert (8 * UNIT, ALARM) not in _told(simulation, "main")
    assert _told(simulation, "main") == [(9 * UNIT, OK)]


def test_a_suppressor_that_goes_off_in_the_last_second_is_in_time() -> None:
    assert _told(_suppressed([(2, "child", ALARM), (4, "deploying", ALARM)]), "main") == []


def test_a_suppressor_that_comes_back_in_the_extension_period_suppresses_again() -> None:
    happenings = [(1, "deploying", ALARM), (2, "child", ALARM), (3, "deploying", OK), (5, "deploying", ALARM)]
    assert _told(_suppressed(happenings), "main") == []
    assert _told(_suppressed([*happenings, (8, "deploying", INSUFFICIENT)]), "main") == [(11 * UNIT, ALARM)]


def test_what_recovered_behind_its_suppressor_is_said_to_be_ok_and_not_to_have_gone_off() -> None:
    happenings = [(1, "deploying", ALARM), (2, "child", ALARM), (4, "child", OK), (6, "deploying", OK)]
    simulation = _suppressed(happenings)
    assert _told(simulation, "main") == [(9 * UNIT, OK)]
    assert _withheld(simulation, "main") == [
        (2 * UNIT, ALARM, "suppressed by deploying"),
        (4 * UNIT, OK, "suppressed by deploying"),
    ]


def test_what_was_told_before_the_suppressor_went_off_is_not_told_again() -> None:
    happenings = [(2, "child", ALARM), (6, "deploying", ALARM), (8, "deploying", OK)]
    assert _told(_suppressed(happenings), "main") == [(4 * UNIT, ALARM)]


def test_a_suppressor_without_data_suppresses_nothing() -> None:
    assert _told(_suppressed([(1, "deploying", INSUFFICIENT), (2, "child", ALARM)]), "main") == [(4 * UNIT, ALARM)]


def test_periods_of_no_length_hold_nothing_back() -> None:
    happenings = [(2, "child", ALARM), (3, "deploying", ALARM), (4, "child", OK), (5, "deploying", OK)]
    assert _told(_suppressed(happenings, wait=0, extension=0), "main") == [(2 * UNIT, ALARM), (5 * UNIT, OK)]


def test_what_a_suppressor_and_its_composite_do_at_one_instant_counts_together() -> None:
    simulation = _suppressed([(2, "child", ALARM), (2, "deploying", ALARM)], wait=0)
    assert _withheld(simulation, "main") == [(2 * UNIT, ALARM, "suppressed by deploying")]


def test_a_composite_may_be_the_suppressor() -> None:
    alarms: list[Alarm] = [
        _composite("main", "ALARM(child)", "cause", 0, 0),
        _composite("cause", "ALARM(root)"),
        _silent("child"),
        _silent("root"),
    ]
    simulation = _run(alarms, [(60, "root", ALARM), (60, "child", ALARM), (120, "root", OK)], 180)
    assert _withheld(simulation, "main") == [(60, ALARM, "suppressed by cause")]
    assert _told(simulation, "main") == [(120, ALARM)]


# Mute rules: "How alarm mute rules work", in hours


@pytest.mark.parametrize(
    ("mutes", "happenings", "told"),
    [
        ([_mute("one", 1, 4, "a")], [(2, ALARM), (4, OK)], []),
        ([_mute("one", 1, 4, "a")], [(2, ALARM)], [5]),
        # The guide has the second window from t3 to t9 and its end at t8; it is the end that matters.
        ([_mute("one", 1, 4, "a"), _mute("two", 3, 6, "a")], [(2, ALARM)], [9]),
        ([_mute("one", 1, 4, "other")], [(2, ALARM)], [2]),
        ([_mute("all", 1, 4)], [(2, ALARM)], [5]),
        ([_mute("one", 1, 4, "a")], [(0, ALARM)], [0]),
        ([_mute("one", 1, 4, "a")], [(0, ALARM), (2, OK), (3, ALARM)], [0, 5]),
    ],
    ids=["over before", "still there", "two rules", "another's", "everybody's", "told before", "again"],
)
def test_a_muted_action_runs_at_the_end_of_the_window_if_the_state_is_still_the_same(
    mutes: list[MuteRule], happenings: list[tuple[int, State]], told: list[int]
) -> None:
    simulation = _run(
        [_metric("a", ok=False)], [(at * HOUR, "a", state) for at, state in happenings], 12 * HOUR, mutes=mutes
    )
    assert _told(simulation, "a") == [(at * HOUR, ALARM) for at in told]


def test_actions_for_every_state_are_muted_and_the_last_runs_later() -> None:
    simulation = _run(
        [_metric("a")], [(2 * HOUR, "a", ALARM), (4 * HOUR, "a", OK)], 6 * HOUR, mutes=[_mute("deploy", 1, 4)]
    )
    assert _withheld(simulation, "a") == [(2 * HOUR, ALARM, "muted by deploy"), (4 * HOUR, OK, "muted by deploy")]
    assert _told(simulation, "a") == [(5 * HOUR, OK)]


def test_what_is_let_out_at_one_instant_is_told_in_the_order_of_the_alarms() -> None:
    alarms: list[Alarm] = [_metric("a"), _metric("b")]
    simulation = _run(alarms, [(HOUR, "b", ALARM), (HOUR + 60, "a", ALARM)], 6 * HOUR, mutes=[_mute("deploy", 1, 4)])
    assert [notice.alarm for notice in simulation.told] == ["a", "b"]


def test_what_a_suppressor_lets_out_may_still_be_muted() -> None:
    alarms: list[Alarm] = [
        _silent("child"),
        _silent("deploying"),
        _composite("main", "ALARM(child)", "deploying", 2 * HOUR, 0),
    ]
    simulation = _run(alarms, [(2 * HOUR, "child", ALARM)], 12 * HOUR, mutes=[_mute("night", 3, 5, "main")])
    assert _told(simulation, "main") == [(8 * HOUR, ALARM)]


# Who is told


def test_an_alarm_acts_on_changes_of_its_state_only() -> None:
    changes = [Change("a", 60, OK, ALARM, "first"), Change("a", 120, ALARM, ALARM, "again")]
    simulation = simulate_changes([_metric("a")], {"a": changes}, 0, 180, initial={"a": OK})
    assert [(notice.at, notice.reason) for notice in simulation.notices] == [(60, "first")]
    assert simulation.changes == (changes[0],)


def test_a_state_without_actions_tells_nobody_and_is_not_withheld_either() -> None:
    simulation = _run([_metric("a", ok=False)], [(60, "a", ALARM), (120, "a", OK), (180, "a", INSUFFICIENT)], 240)
    assert [(notice.at, notice.state, notice.actions) for notice in simulation.notices] == [(60, ALARM, (PAGER,))]


def test_disabled_actions_are_withheld_for_good() -> None:
    simulation = _run([_metric("a", enabled=False)], [(60, "a", ALARM)], 240)
    assert _withheld(simulation, "a") == [(60, ALARM, "actions are disabled")]
    assert simulation.told == ()


def test_a_notice_says_of_which_change_it_tells() -> None:
    notices = _suppressed([(2, "child", ALARM)]).notices
    assert [notice.at for notice in notices] == [2 * UNIT, 4 * UNIT]
    assert {notice.change.at for notice in notices if notice.change} == {2 * UNIT}
    assert notices[1].reason == f"{ACCOUNT}child transitioned to ALARM at Thursday 01 January, 1970 00:02:00 UTC"


def test_a_composite_gives_cloudwatchs_reason() -> None:
    alarms: list[Alarm] = [_silent("x"), _silent("y"), _composite("both", "ALARM(y) AND ALARM(x)")]
    simulation = _run(alarms, [(1_700_000_040, "x", ALARM), (1_700_000_100, "y", ALARM)], 1_700_000_100)
    (change,) = [change for change in simulation.changes if change.alarm == "both"]
    assert change == Change(
        "both",
        1_700_000_100,
        OK,
        ALARM,
        f"{ACCOUNT}y transitioned to ALARM at Tuesday 14 November, 2023 22:15:00 UTC",
        (),
        {
            "triggeringAlarms": [
                {"arn": f"{ACCOUNT}y", "state": {"value": "ALARM", "timestamp": "2023-11-14T22:15:00.000+0000"}}
            ]
        },
    )


def test_a_composite_blames_the_first_in_its_rule_of_those_that_changed_and_lists_them_all() -> None:
    alarms: list[Alarm] = [_silent("x"), _silent("y"), _composite("either", "ALARM(y) OR ALARM(x)")]
    (_, _, change) = _run(alarms, [(60, "x", ALARM), (60, "y", ALARM)], 60).changes
    assert change.reason.startswith(f"{ACCOUNT}y transitioned to ALARM")
    assert [each["arn"] for each in (change.reason_data or {})["triggeringAlarms"]] == [f"{ACCOUNT}y", f"{ACCOUNT}x"]


def test_a_composite_that_is_new_is_evaluated_at_once_and_runs_its_ok_actions() -> None:
    """PutCompositeAlarm: it is made in INSUFFICIENT_DATA, evaluated, and the actions of what comes out are run."""
    simulation = _run([_silent("a"), _composite("main", "ALARM(a)")], [], 60, initial=INSUFFICIENT)
    (change,) = simulation.changes
    assert (change.at, change.before, change.after) == (0, INSUFFICIENT, OK)
    assert change.reason == f"{ACCOUNT}main was created and its alarm rule evaluates to OK"
    assert _told(simulation, "main") == [(0, OK)]


def test_composites_of_composites_change_at_the_same_instant_and_after_what_they_look_at() -> None:
    composites = [_composite("top", "ALARM(middle)"), _composite("middle", "ALARM(b) AND ALARM(a)")]
    metrics = [_silent("b"), _silent("a")]
    simulation = _run([*composites, *metrics], [(60, "a", ALARM), (60, "b", ALARM)], 60)
    assert [change.alarm for change in simulation.changes] == ["b", "a", "middle", "top"]


def test_a_store_is_simulated_from_its_points() -> None:
    store = MetricStore()
    store.put(MetricKey.of("Shop", "errors"), [630.0, 690.0], [3.0, 0.0])
    alarms: list[Alarm] = [_metric("errors"), _composite("down", "ALARM(errors)")]
    simulation = simulate(alarms, store, 600, 900, initial={"errors": OK, "down": OK})
    assert [(change.alarm, change.at, change.after) for change in simulation.changes] == [
        ("errors", 660, ALARM),
        ("down", 660, ALARM),
        ("errors", 720, OK),
        ("down", 720, OK),
    ]
    assert [notice.alarm for notice in simulation.told] == ["errors", "down"] * 2
    assert (simulation.start, simulation.end) == (600, 900)


# Any alarms

END = 60
METRICS = ("a", "b", "c")
COMPOSITES = [
    _composite("any", "ALARM(a) OR ALARM(b)"),
    _composite("quiet", "ALARM(a) OR OK(c)", "b", 3, 5),
    _composite("top", "AT_LEAST(50%, ALARM, (any, quiet, c)) AND NOT ALARM(b)", "any", 4, 0),
]
ALARMS: list[Alarm] = [*COMPOSITES, _metric("a", ok=False), _metric("b"), _metric("c", enabled=False)]
BEGIN: Mapping[str, State] = {alarm.name: OK for alarm in ALARMS}
HAPPENINGS = st.lists(
    st.tuples(st.integers(1, END), st.sampled_from(METRICS), st.sampled_from(State)),
    max_size=15,
    unique_by=lambda each: each[:2],
).map(sorted)
MINUTES = MuteRule(name="minute", expression="at(1970-01-01T00:00)", duration="PT1M", alarms=("a", "top"))
MUTES = st.sampled_from([(), (MINUTES,)])
LATER = END * 2


def _all(alarms: Sequence[Alarm], happenings: Sequence[Happening], mutes: Sequence[MuteRule] = ()) -> Simulation:
    return simulate_changes(alarms, _histories(happenings), 0, LATER, mutes=mutes, initial=BEGIN)


def _of(notices: Iterable[Notice]) -> Counter[tuple[str, int, State]]:
    return Counter((each.alarm, each.change.at, each.state) for each in notices if each.change)


@given(HAPPENINGS, st.permutations(ALARMS), MUTES)
def test_the_order_of_listing_changes_nothing_but_the_order_within_an_instant(
    happenings: list[Happening], listed: list[Alarm], mutes: tuple[MuteRule, ...]
) -> None:
    one, other = _all(ALARMS, happenings, mutes), _all(listed, happenings, mutes)

    def what(simulation: Simulation) -> tuple[set[Happening], set[tuple[str, int, State, str]]]:
        return (
            {(change.at, change.alarm, change.after) for change in simulation.changes},
            {(each.alarm, each.at, each.state, each.withheld) for each in simulation.notices},
        )

    assert what(one) == what(other)


@given(HAPPENINGS, MUTES)
def test_second_by_second_or_all_at_once_is_the_same(happenings: list[Happening], mutes: tuple[MuteRule, ...]) -> None:
    simulation = _all(ALARMS, happenings, mutes)
    alarm_set = AlarmSet(ALARMS, mutes, initial=BEGIN)
    due = [change for changes in _histories(happenings).values() for change in changes]
    steps = [alarm_set.step(at, [change for change in due if change.at == at]) for at in range(LATER + 1)]
    assert tuple(change for changes, _ in steps for change in changes) == simulation.changes
    assert tuple(notice for _, notices in steps for notice in notices) == simulation.notices


@given(HAPPENINGS, MUTES)
def test_every_change_with_actions_is_told_or_withheld_when_it_happens_and_told_once_at_most(
    happenings: list[Happening], mutes: tuple[MuteRule, ...]
) -> None:
    simulation = _all(ALARMS, happenings, mutes)
    with_actions = {"a": {ALARM}, "b": {ALARM, OK}, "c": {ALARM, OK}} | {each.name: {ALARM, OK} for each in COMPOSITES}
    changes = Counter(
        (change.alarm, change.at, change.after)
        for change in simulation.changes
        if change.after in with_actions[change.alarm]
    )
    at_once = [notice for notice in simulation.notices if notice.change and notice.at == notice.change.at]
    later = [notice for notice in simulation.notices if notice not in at_once]
    assert _of(at_once) == changes
    assert all(not notice.withheld for notice in later)
    assert _of(later) <= _of(notice for notice in at_once if notice.withheld)
    assert all(count == 1 for count in _of(simulation.told).values())
    assert all(notice.actions for notice in simulation.notices)


@given(HAPPENINGS, MUTES)
def test_what_is_told_is_still_true(happenings: list[Happening], mutes: tuple[MuteRule, ...]) -> None:
    simulation = _all(ALARMS, happenings, mutes)
    for notice in simulation.told:
        last = [each for each in simulation.changes if each.alarm == notice.alarm and each.at <= notice.at][-1]
        assert last == notice.change


@given(HAPPENINGS)
def test_states_are_those_of_the_rules_at_every_instant(happenings: list[Happening]) -> None:
    alarm_set = AlarmSet(ALARMS, initial=BEGIN)
    changes = sorted((each for all_ in _histories(happenings).values() for each in all_), key=lambda each: each.at)
    for at, group in groupby(changes, key=lambda change: change.at):
        alarm_set.step(at, group)
        states = alarm_set.states
        a, b, c = (states[name] for name in METRICS)
        expected = {
            "any": ALARM in (a, b),
            "quiet": a is ALARM or c is OK,
            "top": sum(states[name] is ALARM for name in ("any", "quiet", "c")) >= 2 and b is not ALARM,
        }
        assert {name: states[name] is ALARM for name in expected} == expected


def test_names_of_the_suppressors_reasons_are_cloudwatchs() -> None:
    """`ActionsSuppressedBy` of DescribeAlarms has WaitPeriod, ExtensionPeriod and Alarm."""
    simulation = _suppressed([(2, "child", ALARM), (3, "child", OK), (4, "deploying", ALARM), (5, "child", ALARM)])
    reasons = [notice.withheld for notice in simulation.notices if notice.withheld]
    assert all(re.fullmatch("suppressed by (WaitPeriod|deploying)", reason) for reason in reasons)
    assert len({*reasons}) == 2
