"""Alarm mute rules: the guide's schedules, wall clocks that change, and rules that CloudWatch refuses."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from observability.errors import ToolkitError
from observability.model import DAY, HOUR, MINUTE, MuteRule
from observability.mute import is_target, muted, windows


def _rule(
    expression: str,
    duration: str = "PT1H",
    timezone: str = "UTC",
    *,
    start: datetime | None = None,
    expire: datetime | None = None,
    alarms: tuple[str, ...] = (),
) -> MuteRule:
    return MuteRule(
        name="night",
        expression=expression,
        duration=duration,
        timezone=timezone,
        alarms=alarms,
        start=start,
        expire=expire,
    )


def _at(text: str, zone: str = "UTC") -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp())


def _windows(rule: MuteRule, first: str, last: str, zone: str = "UTC") -> list[tuple[str, str]]:
    """Windows between two times, as wall clocks of the zone show them."""
    found = windows(rule, _at(first, zone), _at(last, zone))
    shown = [[datetime.fromtimestamp(at, ZoneInfo(zone)).strftime("%a %d %b %H:%M") for at in each] for each in found]
    return [(begins, ends) for begins, ends in shown]


# What is refused


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        (_rule("rate(1 day)"), "Expression is 'rate(1 day)', allowed are cron("),
        (_rule("0 2 * * *"), "Expression is '0 2 * * *', allowed are cron("),
        (_rule("cron(0 2 * * ? *)"), "cron(0 2 * * ? *) has 6 fields, allowed are five: Minutes Hours"),
        (_rule("cron(60 2 * * *)"), "Minutes: '60', allowed are 0 to 59, ranges"),
        (_rule("cron(*/5 2 * * *)"), "Minutes: '*/5', allowed are 0 to 59, ranges and lists of them, and *"),
        (_rule("cron(0 24 * * *)"), "Hours: '24', allowed are 0 to 23"),
        (_rule("cron(0 2 0 * *)"), "Day-of-month: '0', allowed are 1 to 31"),
        (_rule("cron(0 2 * FEBRUARY *)"), "Month: 'FEBRUARY', allowed are 1 to 12, JAN to DEC"),
        (_rule("cron(0 2 * * 8)"), "Day-of-week: '8', allowed are 0 to 7, SUN to SAT"),
        (_rule("cron(0 5-2 * * *)"), "Hours: '5-2' runs backwards"),
        (_rule("cron(0 2, * * *)"), "Hours: '', allowed are 0 to 23"),
        (_rule("at(2026-02-30T10:00)"), "at(2026-02-30T10:00), day is out of range for month"),
        (_rule("at(2026-02-20)"), "Expression is 'at(2026-02-20)'"),
        (_rule("cron(0 2 * * *)", "4h"), "Duration is '4h', allowed are days, hours and minutes in ISO 8601"),
        (_rule("cron(0 2 * * *)", "P"), "Duration is 'P'"),
        (_rule("cron(0 2 * * *)", "P1DT"), "Duration is 'P1DT'"),
        (_rule("cron(0 2 * * *)", "PT59S"), "Duration is 'PT59S'"),
        (_rule("cron(0 2 * * *)", "P15DT1M"), "Duration is 'P15DT1M'"),
        (_rule("cron(0 2 * * *)", "P1M"), "Duration is 'P1M'"),
        (_rule("cron(0 2 * * *)", timezone="Berlin"), "Timezone is 'Berlin', allowed are names such as"),
        (_rule("cron(0 2 * * *)", timezone="../UTC"), "Timezone is '../UTC'"),
    ],
    ids=lambda value: None if isinstance(value, MuteRule) else str(value)[:24],
)
def test_a_schedule_that_cannot_be_read_is_refused_with_the_rules_name(rule: MuteRule, said: str) -> None:
    with pytest.raises(ToolkitError) as refused:
        muted(rule, 0)
    assert str(refused.value).startswith("alarm mute rule night: ")
    assert said in str(refused.value)


# The guide's schedules


@pytest.mark.parametrize(
    ("expression", "duration", "first", "last", "expected"),
    [
        ("cron(0 2 * * SUN)", "PT4H", "2026-03-02", "2026-03-16", ["Sun 08 Mar 02:00", "Sun 08 Mar 06:00"]),
        ("cron(0 1 1 * *)", "PT6H", "2026-03-02", "2026-04-30", ["Wed 01 Apr 01:00", "Wed 01 Apr 07:00"]),
        ("cron(0 18 * * FRI)", "P2DT12H", "2026-03-03", "2026-03-10", ["Fri 06 Mar 18:00", "Mon 09 Mar 06:00"]),
        ("cron(0 23 * * *)", "PT2H", "2026-03-03T12:00", "2026-03-04", ["Tue 03 Mar 23:00", "Wed 04 Mar 01:00"]),
        ("at(2024-05-10T14:00)", "PT4H", "2024-05-01", "2024-06-01", ["Fri 10 May 14:00", "Fri 10 May 18:00"]),
        ("at(2024-12-23T00:00)", "P7D", "2024-01-01", "2025-12-31", ["Mon 23 Dec 00:00", "Mon 30 Dec 00:00"]),
    ],
)
def test_the_guides_schedules_mute_when_it_says(
    expression: str, duration: str, first: str, last: str, expected: list[str]
) -> None:
    assert _windows(_rule(expression, duration), first, last)[0] == tuple(expected)


def test_a_window_holds_its_first_second_and_not_its_last() -> None:
    rule = _rule("at(2026-03-01T10:00)", "PT30M")
    begins, ends = _at("2026-03-01T10:00"), _at("2026-03-01T10:30")
    assert [muted(rule, at) for at in (begins - 1, begins, ends - 1, ends)] == [False, True, True, False]


def test_a_window_that_began_before_is_one_of_those_asked_for() -> None:
    rule = _rule("cron(0 23 * * *)", "PT2H")
    begins = _at("2026-03-03T23:00")
    assert windows(rule, begins + HOUR, begins + HOUR + 1) == [(begins, begins + 2 * HOUR)]


def test_windows_that_overlap_are_one() -> None:
    assert _windows(_rule("cron(0,30 10 * * *)", "PT1H"), "2026-03-03", "2026-03-04") == [
        ("Tue 03 Mar 10:00", "Tue 03 Mar 11:30")
    ]


def test_either_day_matches_where_both_are_restricted() -> None:
    days = [begins[:6] for begins, _ in _windows(_rule("cron(0 2 13 * FRI)"), "2026-02-01", "2026-02-28")]
    assert days == ["Fri 06", "Fri 13", "Fri 20", "Fri 27"]
    days = [begins[:6] for begins, _ in _windows(_rule("cron(0 2 13 * *)"), "2026-04-01", "2026-04-30")]
    assert days == ["Mon 13"]


@pytest.mark.parametrize("weekdays", ["0", "7", "SUN", "sun"])
def test_sunday_has_three_names(weekdays: str) -> None:
    assert _windows(_rule(f"cron(0 2 * * {weekdays})"), "2026-03-02", "2026-03-09")[0][0] == "Sun 08 Mar 02:00"


@pytest.mark.parametrize(
    ("weekdays", "expected"),
    [
        ("MON-FRI", ["Mon", "Tue", "Wed", "Thu", "Fri"]),
        ("SAT-SUN", ["Sat", "Sun"]),
        ("6-7", ["Sat", "Sun"]),
        ("SUN-TUE", ["Mon", "Tue", "Sun"]),
        ("MON,4-5", ["Mon", "Thu", "Fri"]),
    ],
)
def test_days_of_the_week_come_as_names_numbers_ranges_and_lists(weekdays: str, expected: list[str]) -> None:
    found = _windows(_rule(f"cron(0 2 * * {weekdays})"), "2026-03-02", "2026-03-09")
    assert [begins[:3] for begins, _ in found] == expected


# Bounds, targets, time zones


def test_a_rule_is_in_force_between_its_start_and_its_expiry_only() -> None:
    rule = _rule(
        "cron(0 10 * * *)",
        "PT4H",
        start=datetime(2026, 3, 3, 12, tzinfo=UTC),
        expire=datetime(2026, 3, 5, 11, tzinfo=UTC),
    )
    assert _windows(rule, "2026-03-01", "2026-03-10") == [
        ("Tue 03 Mar 12:00", "Tue 03 Mar 14:00"),
        ("Wed 04 Mar 10:00", "Wed 04 Mar 14:00"),
        ("Thu 05 Mar 10:00", "Thu 05 Mar 11:00"),
    ]


def test_a_bound_without_time_zone_is_in_the_schedules() -> None:
    rule = _rule("cron(0 10 * * *)", "PT4H", "Asia/Tokyo", start=datetime(2026, 3, 3, 12))  # noqa: DTZ001
    assert windows(rule, _at("2026-03-02"), _at("2026-03-04"))[0][0] == _at("2026-03-03T12:00", "Asia/Tokyo")


def test_a_rule_without_targets_mutes_every_alarm() -> None:
    assert is_target(_rule("cron(0 10 * * *)"), "any")
    assert is_target(_rule("cron(0 10 * * *)", alarms=("one",)), "one")
    assert not is_target(_rule("cron(0 10 * * *)", alarms=("one",)), "other")


def test_a_schedule_follows_the_wall_clock_of_its_time_zone() -> None:
    rule = _rule("cron(0 2 * * *)", "PT1H", "Europe/Berlin")
    assert muted(rule, _at("2026-01-10T01:30")), "02:30 in winter"
    assert muted(rule, _at("2026-07-10T00:30")), "02:30 in summer"
    assert not muted(rule, _at("2026-07-10T01:30"))


def test_a_time_that_the_clocks_skip_begins_no_window() -> None:
    rule = _rule("cron(30 2 * * *)", "PT10M", "Europe/Berlin")
    found = _windows(rule, "2026-03-28", "2026-03-31", "Europe/Berlin")
    assert [begins for begins, _ in found] == ["Sat 28 Mar 02:30", "Mon 30 Mar 02:30"]


def test_a_time_that_comes_twice_begins_one_window() -> None:
    rule = _rule("cron(30 2 * * *)", "PT10M", "Europe/Berlin")
    assert windows(rule, _at("2026-10-24T22:00"), _at("2026-10-25T22:00")) == [
        (_at("2026-10-25T00:30"), _at("2026-10-25T00:40"))
    ]


# Any rule


@given(
    minutes=st.sets(st.integers(0, 59), min_size=1, max_size=3),
    of_hours=st.sets(st.integers(0, 23), min_size=1, max_size=3),
    weekdays=st.sets(st.integers(0, 6), min_size=1),
    start=st.integers(0, 20_000).map(lambda day: day * DAY),
    hours=st.integers(1, 36),
)
def test_windows_begin_at_the_minutes_that_match_and_nowhere_else(
    minutes: set[int], of_hours: set[int], weekdays: set[int], start: int, hours: int
) -> None:
    listed = (",".join(map(str, numbers)) for numbers in (minutes, of_hours, weekdays))
    rule = _rule("cron({} {} * * {})".format(*listed), f"PT{hours}H")
    ends = start + 2 * DAY
    begins = []
    for at in range(start - hours * HOUR, ends, MINUTE):
        time = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=at)
        if time.minute in minutes and time.hour in of_hours and time.isoweekday() % 7 in weekdays:
            begins.append(at)
    found = windows(rule, start, ends)
    assert all(first < last for first, last in found)
    assert all(before[1] < after[0] for before, after in pairwise(found)), "apart, and in order"
    for at in range(start, ends, HOUR):
        inside = any(begin <= at < begin + hours * HOUR for begin in begins)
        assert any(first <= at < last for first, last in found) is inside
        assert muted(rule, at) is inside
