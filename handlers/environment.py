"""The handlers' settings, parsed from the environment once, at cold start.

A variable that is missing or makes no sense stops the start and is named, all of them together, so that a wrong
deployment fails at its first invocation and not at the first odd order.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from datetime import timedelta
from typing import Any, Self, get_type_hints


class InvalidEnvironment(RuntimeError):
    """Variables are missing or wrong; the message names each."""


def _flag(text: str) -> bool:
    if text not in ("true", "false"):
        raise ValueError("true or false")
    return text == "true"


def _days(text: str) -> timedelta:
    days = int(text)
    if days < 1:
        raise ValueError("a number of days, 1 or more")
    return timedelta(days=days)


def _rate(text: str) -> float:
    rate = float(text)
    if not 0 < rate < float("inf"):
        raise ValueError("emails a second, above 0")
    return rate


def _text(text: str) -> str:
    if not text:
        raise ValueError("not empty")
    return text


_PARSERS: Mapping[type, Callable[[str], Any]] = {bool: _flag, timedelta: _days, float: _rate, str: _text}


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
    log_level: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordFeedback(_FromEnvironment):
    """What `record_feedback` needs."""

    ledger_table: str
    stack: str
    log_level: str
