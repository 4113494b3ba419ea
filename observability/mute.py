"""Alarm mute rules: when they are in force.

Source: "Alarm Mute Rules" in the CloudWatch user guide, and PutAlarmMuteRule. Where these are silent:

- A rule without targets mutes every alarm, as AWS's SDK examples say.
- Where both day fields are restricted, either may match, as in cron.
- A time that a change of clocks skips begins no window, and one that comes twice begins one, as in EventBridge
  Scheduler ("Schedule types in EventBridge Scheduler").
- A window's duration is elapsed time. One that is open at the rule's start or end is cut there.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from itertools import product
from typing import Final, Protocol
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from observability.errors import ToolkitError
from observability.model import DAY, HOUR, MINUTE, MuteRule

SHORTEST: Final = MINUTE
LONGEST: Final = 15 * DAY
"""Seconds of a window (PutAlarmMuteRule, `Duration`)."""


def windows(rule: MuteRule, start: int, end: int) -> list[tuple[int, int]]:
    """The windows of `rule` that have an instant in [start, end), oldest first.

    Each is a pair of epoch seconds, its end not included, and may reach beyond what was asked for. Windows that overlap
    or touch are one.

    Raises:
        ToolkitError: CloudWatch would refuse the rule's schedule.
    """
    schedule = _schedule(rule)
    found: list[tuple[int, int]] = []
    for begins in schedule.begins(start - schedule.duration, end):
        first, last = int(max(begins, schedule.start)), int(min(begins + schedule.duration, schedule.expire))
        if first >= end or last <= start or first >= last:
            continue
        if found and first <= found[-1][1]:
            found[-1] = (found[-1][0], last)
        else:
            found.append((first, last))
    return found


def muted(rule: MuteRule, at: int) -> bool:
    """Whether `rule` is in force at an instant in epoch seconds. Whom it mutes is `is_target`."""
    return bool(windows(rule, at, at + 1))


def is_target(rule: MuteRule, alarm: str) -> bool:
    """Whether the alarm of that name is one that `rule` mutes."""
    return not rule.alarms or alarm in rule.alarms


# Schedules


class _Expression(Protocol):
    """When windows begin, on the wall clock of the rule's time zone."""

    def on(self, day: date) -> Iterable[datetime]:
        """The times of a day at which one begins, in order, without time zone."""


@dataclass(frozen=True, slots=True)
class _Once:
    """`at(...)`: once."""

    time: datetime

    def on(self, day: date) -> Iterable[datetime]:
        return [self.time] if self.time.date() == day else []


@dataclass(frozen=True, slots=True)
class _Cron:
    """`cron(...)`: again and again. `weekdays` count from Sunday, 0."""

    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    either_day: bool

    def on(self, day: date) -> Iterable[datetime]:
        days = day.day in self.days, day.isoweekday() % 7 in self.weekdays
        if day.month not in self.months or not (any(days) if self.either_day else all(days)):
            return []
        times = product(sorted(self.hours), sorted(self.minutes))
        return [datetime.combine(day, time(hour, minute)) for hour, minute in times]


@dataclass(frozen=True, slots=True)
class _Schedule:
    """A rule's schedule, read: `duration` in seconds, `start` and `expire` in epoch seconds or infinite."""

    expression: _Expression
    zone: ZoneInfo
    duration: int
    start: float
    expire: float

    def begins(self, first: int, last: int) -> Iterator[int]:
        """The instants in [first, last) at which a window begins, in order."""
        day, until = (datetime.fromtimestamp(at, self.zone).date() for at in (first, last))
        while day <= until:
            for wall in self.expression.on(day):
                utc = wall.replace(tzinfo=self.zone).astimezone(UTC)
                # What does not come back as it went is a time that a change of clocks skips.
                if utc.astimezone(self.zone).replace(tzinfo=None) == wall and first <= utc.timestamp() < last:
                    yield int(utc.timestamp())
            day += timedelta(days=1)


@lru_cache
def _schedule(rule: MuteRule) -> _Schedule:
    where = f"alarm mute rule {rule.name}"
    try:
        zone = ZoneInfo(rule.timezone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ToolkitError(
            f"{where}: Timezone is {rule.timezone!r}, allowed are names such as Europe/London and UTC"
        ) from None
    return _Schedule(
        expression=_expression(rule.expression, where),
        zone=zone,
        duration=_duration(rule.duration, where),
        start=_bound(rule.start, zone, -math.inf),
        expire=_bound(rule.expire, zone, math.inf),
    )


def _expression(text: str, where: str) -> _Expression:
    if found := _CRON.fullmatch(text):
        return _cron(found[1], f"{where}: {text}")
    if found := _AT.fullmatch(text):
        try:
            return _Once(datetime.fromisoformat(found[1]))
        except ValueError as error:
            raise ToolkitError(f"{where}: {text}, {error}") from None
    raise ToolkitError(
        f"{where}: Expression is {text!r}, allowed are cron(Minutes Hours Day-of-month Month Day-of-week) and"
        " at(yyyy-MM-ddThh:mm)"
    )


@dataclass(frozen=True, slots=True)
class _Field:
    """A field of a cron expression: what it is called, its numbers, and the names that they have from `least` on."""

    name: str
    least: int
    most: int
    names: tuple[str, ...] = ()

    def read(self, text: str, where: str) -> frozenset[int]:
        """The numbers that `text` means: numbers and names, ranges of them, and `*`, with commas between."""
        return frozenset(number for part in text.split(",") for number in self._range(part, f"{where}, {self.name}"))

    def _range(self, text: str, where: str) -> range:
        if text == "*":
            return range(self.least, self.most + 1)
        first, dash, last = text.partition("-")
        low, high = self._number(first, where), self._number(last if dash else first, where)
        if dash and self.names == _DAYS and high == 0:
            high = _SUNDAY
        if high < low:
            raise ToolkitError(f"{where}: {text!r} runs backwards")
        return range(low, high + 1)

    def _number(self, text: str, where: str) -> int:
        if text.upper() in self.names:
            return self.least + self.names.index(text.upper())
        if text.isdecimal() and self.least <= int(text) <= self.most:
            return int(text)
        names = f", {self.names[0]} to {self.names[-1]}" if self.names else ""
        raise ToolkitError(
            f"{where}: {text!r}, allowed are {self.least} to {self.most}{names}, ranges and lists of them, and *"
        )


_MONTHS: Final = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_DAYS: Final = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
_SUNDAY: Final = 7
_FIELDS: Final = (
    _Field("Minutes", 0, 59),
    _Field("Hours", 0, 23),
    _Field("Day-of-month", 1, 31),
    _Field("Month", 1, 12, _MONTHS),
    _Field("Day-of-week", 0, _SUNDAY, _DAYS),
)
_CRON: Final = re.compile(r"cron\((.*)\)")
_AT: Final = re.compile(r"at\((\d{4}-\d\d-\d\dT\d\d:\d\d)\)")
_DURATION: Final = re.compile(r"P(?=.)(?:(\d+)D)?(?:T(?=.)(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)S)?)?")
_SECONDS: Final = (DAY, HOUR, MINUTE, 1)


def _cron(text: str, where: str) -> _Cron:
    fields = text.split()
    if len(fields) != len(_FIELDS):
        raise ToolkitError(
            f"{where} has {len(fields)} fields, allowed are five: {' '.join(field.name for field in _FIELDS)}",
            "Unlike those of EventBridge, it has no field for the year.",
        )
    minutes, hours, days, months, weekdays = (
        field.read(part, where) for field, part in zip(_FIELDS, fields, strict=True)
    )
    return _Cron(
        minutes,
        hours,
        days,
        months,
        frozenset(weekday % 7 for weekday in weekdays),
        either_day=fields[2] != "*" and fields[4] != "*",
    )


def _duration(text: str, where: str) -> int:
    found = _DURATION.fullmatch(text)
    seconds = sum(int(part or 0) * unit for part, unit in zip(found.groups(), _SECONDS, strict=True)) if found else 0
    if not SHORTEST <= seconds <= LONGEST:
        raise ToolkitError(
            f"{where}: Duration is {text!r}, allowed are days, hours and minutes in ISO 8601 from PT1M to P15D"
        )
    return seconds


def _bound(moment: datetime | None, zone: ZoneInfo, otherwise: float) -> float:
    """A date of the rule; one without time zone is in the schedule's."""
    if moment is None:
        return otherwise
    return (moment if moment.tzinfo else moment.replace(tzinfo=zone)).timestamp()
