"""The handlers' settings, parsed from the environment once, at cold start.

A variable that is missing or makes no sense stops the start and is named, all of them together, so that a wrong
deployment fails at its first invocation and not at the first odd order.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from datetime import timedelta
from typing import Any, NewType, Self, get_type_hints

LogLevel = NewType("LogLevel", str)


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


_PARSERS: Mapping[Any, Callable[[str], Any]] = {
    bool: _flag,
    timedelta: _days,
    float: _rate,
    str: _text,
    LogLevel: _level,
}


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
                faults.append(f"{variable} is {environ[variable]!r}, has to be {error}")
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
