"""The handlers' settings, parsed from the environment once, at cold start.

A variable that is missing or makes no sense stops the start and is named, all of them together, so that a wrong
deployment fails at its first invocation and not at the first odd order.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from datetime import timedelta
from typing import Any, NewType, Self, get_type_hints

LogLevel = NewType("LogLevel", str)
Seconds = NewType("Seconds", int)
LogGroups = NewType("LogGroups", list[str])
Receivers = NewType("Receivers", dict[str, list[str]])

# On Lambda nothing listens on loopback; in a local run a receiver may.
_RECEIVER = re.compile(r"https://[^\s/]+(/\S*)?|http://127\.0\.0\.1:\d+(/\S*)?")


class InvalidEnvironment(RuntimeError):
    """Variables are missing or wrong; the message names each."""


def _flag(text: str) -> bool:
    if text not in ("true", "false"):
        raise ValueError("true or false")
    return text == "true"


def _days(text: str) -> timedelta:
    # Five digits, 273 years: beyond that the date a row expires at would not be one.
    if not (text.isascii() and text.isdigit() and len(text) <= 5 and int(text) > 0):
        raise ValueError("a whole number of days, 1 to 99999")
    return timedelta(days=int(text))


def _seconds(text: str) -> Seconds:
    # As long as a function can run.
    if not (text.isascii() and text.isdigit() and len(text) <= 3 and 0 < int(text) <= 900):
        raise ValueError("a whole number of seconds, 1 to 900")
    return Seconds(int(text))


def _rate(text: str) -> float:
    try:
        rate = float(text)
    except ValueError:
        rate = 0
    if not 0 < rate < float("inf"):
        raise ValueError("a number of emails a second, above 0")
    return rate


def _level(text: str) -> LogLevel:
    levels = logging.getLevelNamesMapping()
    if text not in levels:
        raise ValueError(f"one of {', '.join(levels)}")
    return LogLevel(text)


def _text(text: str) -> str:
    if not text:
        raise ValueError("not empty")
    return text


def _log_groups(text: str) -> LogGroups:
    groups = [group for group in text.split(",") if group]
    if not all(re.fullmatch(r"[\w./#-]{1,512}", group, re.ASCII) for group in groups):
        raise ValueError("names of log groups, with commas between them")
    return LogGroups(groups)


def _receivers(text: str) -> Receivers:
    try:
        given = json.loads(text)
        receivers = {str(severity): [str(url) for url in urls] for severity, urls in given.items()}
    except (ValueError, AttributeError, TypeError):
        receivers = {"": []}
    if not receivers.keys() <= {"page", "ticket"} or not all(
        _RECEIVER.fullmatch(url) for urls in receivers.values() for url in urls
    ):
        raise ValueError('JSON like {"page": [HTTPS addresses], "ticket": []}')
    return Receivers(receivers)


_PARSERS: Mapping[Any, Callable[[str], Any]] = {
    bool: _flag,
    timedelta: _days,
    float: _rate,
    str: _text,
    LogLevel: _level,
    Seconds: _seconds,
    LogGroups: _log_groups,
    Receivers: _receivers,
}
_SECRET = frozenset({Receivers})
"""What a fault does not quote: whoever has a receiver's address can post to it."""


class _FromEnvironment:
    """A dataclass whose field `x_y` is the variable `X_Y`, parsed by its type."""

    @classmethod
    def read(cls, environ: Mapping[str, str]) -> Self:
        """The settings in `environ`.

        Raises:
            InvalidEnvironment: naming every variable that is missing or wrong.
        """
        values: dict[str, Any] = {}
        faults = []
        for name, kind in get_type_hints(cls).items():
            variable = name.upper()
            if variable not in environ:
                faults.append(f"{variable} is missing")
                continue
            try:
                values[name] = _PARSERS[kind](environ[variable])
            except ValueError as error:
                given = "not right" if kind in _SECRET else repr(environ[variable])
                faults.append(f"{variable} is {given}, has to be {error}")
        if faults:
            raise InvalidEnvironment("; ".join(faults))
        return cls(**values)

    @classmethod
    def variables(cls) -> frozenset[str]:
        """The variables it reads."""
        return frozenset(field.name.upper() for field in fields(cls))  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True, kw_only=True)
class SendEmail(_FromEnvironment):
    """What `send_email` needs. `send_rate` is emails a second for one execution environment."""

    ledger_table: str
    queue_url: str
    quarantine_url: str
    from_address: str
    from_name: str
    reply_to: str
    configuration_set: str
    production_sending: bool
    send_rate: float
    ledger_retention_days: timedelta
    stack: str
    log_level: LogLevel


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordFeedback(_FromEnvironment):
    """What `record_feedback` needs."""

    ledger_table: str
    stack: str
    log_level: LogLevel


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe(_FromEnvironment):
    """What `probe` needs. `probe_seconds` is how long a probe may take to be delivered."""

    ledger_table: str
    topic_arn: str
    probe_seconds: Seconds
    stack: str
    log_level: LogLevel


@dataclass(frozen=True, slots=True, kw_only=True)
class Notify(_FromEnvironment):
    """What `notify` needs. `log_groups` are searched for affected orders; `receivers` are addresses by severity;
    `chat_platform` is what links in chat messages are written for, slack or teams."""

    page_topic_arn: str
    ticket_topic_arn: str
    queue_url: str
    receivers: Receivers
    chat_platform: str
    log_groups: LogGroups
    stack: str
    log_level: LogLevel
