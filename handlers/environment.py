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
from decimal import Decimal, InvalidOperation
from typing import Any, NewType, Self, get_type_hints

from handlers.telemetry.contract import METERED, Lane

LogLevel = NewType("LogLevel", str)
Seconds = NewType("Seconds", int)
LogGroups = NewType("LogGroups", list[str])
FunctionNames = NewType("FunctionNames", list[str])
Addresses = NewType("Addresses", list[str])
Receivers = NewType("Receivers", dict[str, list[str]])
BatchSize = NewType("BatchSize", int)
Sluices = NewType("Sluices", dict[str, dict[str, str]])
Usd = NewType("Usd", Decimal)
Prices = NewType("Prices", dict[str, Decimal])
LaneNames = NewType("LaneNames", list[str])
Places = NewType("Places", "dict[str, Place]")
BudgetHolds = NewType("BudgetHolds", dict[str, list[str]])

# On Lambda nothing listens on loopback; in a local run a receiver may.
_RECEIVER = re.compile(r"https://[^\s/]+(/\S*)?|http://127\.0\.0\.1:\d+(/\S*)?")


_THRESHOLD = re.compile(r"(ACTUAL|FORECASTED):\d{1,6}(\.\d{1,2})?", re.ASCII)


class InvalidEnvironment(RuntimeError):
    """Variables are missing or wrong; the message names each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a lane's orders come from, and what they are sent with. `send_rate` is emails a second for one execution
    environment."""

    queue_arn: str
    queue_url: str
    configuration_set: str
    send_rate: float


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


def _function_names(text: str) -> FunctionNames:
    names = [name for name in text.split(",") if name]
    if not all(re.fullmatch(r"[\w-]{1,64}", name, re.ASCII) for name in names):
        raise ValueError("names of functions, with commas between them")
    return FunctionNames(names)


def _addresses(text: str) -> Addresses:
    addresses = [address for address in text.split(",") if address]
    # 50 is the most that SES sends one message to.
    if not 0 < len(addresses) <= 50 or not all(re.fullmatch(r"[^\s,@]+@[^\s,@]+", each) for each in addresses):
        raise ValueError("1 to 50 addresses, with commas between them")
    return Addresses(addresses)


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


def _batch_size(text: str) -> BatchSize:
    # More than 10 would need a batching window (Lambda API reference, BatchSize).
    if not (text.isascii() and text.isdigit() and len(text) <= 2 and 0 < int(text) <= 10):
        raise ValueError("a whole number of messages, 1 to 10")
    return BatchSize(int(text))


def _sluices(text: str) -> Sluices:
    try:
        sluices = {str(lane): dict(parts) for lane, parts in json.loads(text).items()}
    except (ValueError, AttributeError, TypeError):
        sluices = {}
    parts = ("mapping", "configurationSet")
    if not sluices or not all(
        sluice.keys() == set(parts) and all(isinstance(sluice[part], str) and sluice[part] for part in parts)
        for sluice in sluices.values()
    ):
        raise ValueError('JSON like {"LANE": {"mapping": UUID, "configurationSet": name}}, with one lane at least')
    return Sluices(sluices)


def _usd(text: str) -> Usd:
    try:
        amount = Decimal(text)
    except InvalidOperation:
        amount = Decimal(0)
    if not (amount.is_finite() and 0 < amount < 10**9):
        raise ValueError("an amount in USD, above 0, such as 2.50")
    return Usd(amount)


def _prices(text: str) -> Prices:
    try:
        prices = {str(name): Decimal(str(usd)) for name, usd in json.loads(text).items()}
    except (ValueError, AttributeError, InvalidOperation):
        prices = {}
    missing = [name for name in METERED if name not in prices]
    if missing or not all(usd.is_finite() and usd >= 0 for usd in prices.values()):
        raise ValueError(f'JSON like {{"ses.email": "0.0001"}}, USD for one unit, with a price of {", ".join(METERED)}')
    return Prices(prices)


def _lane_names(text: str) -> LaneNames:
    names = [name for name in text.split(",") if name]
    if not set(names) <= set(Lane):
        raise ValueError(f"lanes, with commas between them, of {', '.join(Lane)}")
    return LaneNames(names)


def _places(text: str) -> Places:
    try:
        places = {
            str(Lane(name)): Place(
                queue_arn=place["queueArn"],
                queue_url=place["queueUrl"],
                configuration_set=place["configurationSet"],
                send_rate=_rate(place["sendRate"]),
            )
            for name, place in json.loads(text).items()
        }
    except (ValueError, AttributeError, TypeError, KeyError):
        places = {}
    if not places or not all(
        isinstance(part, str) and part
        for place in places.values()
        for part in (place.queue_arn, place.queue_url, place.configuration_set)
    ):
        form = '{"LANE": {"queueArn": ARN, "queueUrl": URL, "configurationSet": name, "sendRate": emails a second}}'
        raise ValueError(f"JSON like {form}, with lanes of {', '.join(Lane)} and rates above 0")
    return Places(places)


def _budget_holds(text: str) -> BudgetHolds:
    try:
        holds = {str(threshold): [str(Lane(lane)) for lane in lanes] for threshold, lanes in json.loads(text).items()}
    except (ValueError, AttributeError, TypeError):
        holds = {"": []}
    if not all(_THRESHOLD.fullmatch(threshold) for threshold in holds):
        raise ValueError(
            f'JSON like {{"ACTUAL:100": [lanes]}}, with ACTUAL or FORECASTED and lanes of {", ".join(Lane)}'
        )
    return BudgetHolds(holds)


_PARSERS: Mapping[Any, Callable[[str], Any]] = {
    bool: _flag,
    timedelta: _days,
    str: _text,
    LogLevel: _level,
    Seconds: _seconds,
    LogGroups: _log_groups,
    FunctionNames: _function_names,
    Addresses: _addresses,
    Receivers: _receivers,
    BatchSize: _batch_size,
    Sluices: _sluices,
    Usd: _usd,
    Prices: _prices,
    LaneNames: _lane_names,
    Places: _places,
    BudgetHolds: _budget_holds,
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
    """What `send_email` needs. `spend_holds` are the lanes that are held at the limits `spend_per_hour` and
    `spend_per_day`; `held_seconds` is how long a batch that meets a closed gate stays away."""

    ledger_table: str
    control_table: str
    quarantine_url: str
    from_address: str
    from_name: str
    reply_to: str
    lanes: Places
    production_sending: bool
    ledger_retention_days: timedelta
    prices: Prices
    spend_per_hour: Usd
    spend_per_day: Usd
    spend_holds: LaneNames
    held_seconds: Seconds
    stack: str
    log_level: LogLevel


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordFeedback(_FromEnvironment):
    """What `record_feedback` needs."""

    ledger_table: str
    control_table: str
    prices: Prices
    stack: str
    log_level: LogLevel


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe(_FromEnvironment):
    """What `probe` needs. `probe_seconds` is how long a probe may take to be delivered."""

    ledger_table: str
    topic_arn: str
    probe_seconds: Seconds
    control_table: str
    prices: Prices
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
    control_table: str
    prices: Prices
    stack: str
    log_level: LogLevel


@dataclass(frozen=True, slots=True, kw_only=True)
class Brake(_FromEnvironment):
    """What `brake` needs. `lanes` are what each lane's sluice is made of; `full_batch` is the messages that an open
    lane's mapping hands over at a time."""

    control_table: str
    lanes: Sluices
    full_batch: BatchSize
    prices: Prices
    stack: str
    log_level: LogLevel


@dataclass(frozen=True, slots=True, kw_only=True)
class ReputationGuard(_FromEnvironment):
    """What `reputation_guard` needs."""

    control_table: str
    prices: Prices
    stack: str
    log_level: LogLevel


@dataclass(frozen=True, slots=True, kw_only=True)
class CostGuard(_FromEnvironment):
    """What `cost_guard` needs. `budget_holds` are lanes by threshold, such as `ACTUAL:100`."""

    control_table: str
    budget_holds: BudgetHolds
    ticket_topic_arn: str
    prices: Prices
    stack: str
    log_level: LogLevel


@dataclass(frozen=True, slots=True, kw_only=True)
class CostReport(_FromEnvironment):
    """What `cost_report` needs. `project` and the stack are the tags of what is reported; `log_groups` and `functions`
    are looked at for what could cost less; `log_retention_days` is what the settings ask for."""

    from_address: str
    report_to: Addresses
    project: str
    control_table: str
    ledger_table: str
    log_groups: LogGroups
    functions: FunctionNames
    log_retention_days: timedelta
    prices: Prices
    stack: str
    log_level: LogLevel
