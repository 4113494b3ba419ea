"""What the twin can be told: quotas, outcomes by address, faults, and how unkindly events arrive."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from typing import Any, Final, TypeVar

E = TypeVar("E", bound=StrEnum)
K = TypeVar("K")
V = TypeVar("V")


class OptionsError(ValueError):
    """An option that the twin does not know, or a value that it does not accept. Lists every fault."""


class Outcome(StrEnum):
    """What becomes of a mail at one recipient, after SES has accepted it."""

    DELIVERY = "delivery"
    BOUNCE = "bounce"  # hard bounce: the mailbox does not exist
    SOFT_BOUNCE = "soft-bounce"  # mailbox full, retries given up
    COMPLAINT = "complaint"  # delivered, then marked as spam
    AUTO_REPLY = "auto-reply"  # delivered, then an out-of-office reply, which SES reports as a bounce
    SUPPRESSED = "suppressed"  # on SES's own (global) suppression list
    DELAY = "delay"  # delayed, then delivered
    DELAY_BOUNCE = "delay-bounce"  # delayed until SES gave up
    REJECT = "reject"  # a virus was found; concerns the whole mail
    RENDERING_FAILURE = "rendering-failure"  # the template lacked data; concerns the whole mail, nothing was sent
    SILENT = "silent"  # accepted, and never heard of again


class Fault(StrEnum):
    """What goes wrong with a SendEmail call itself."""

    THROTTLE = "throttle"  # 429, not accepted
    ERROR = "error"  # 500, not accepted
    RESET = "reset"  # accepted; the connection is reset instead of a reply
    HANG = "hang"  # accepted; no reply until hang_seconds have passed


Range = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Options:
    """Every option with its default: a healthy account and a kind network.

    max_send_rate       recipients a second: SES's "maximum send rate". AWS sets it per account; 14 is the rate that new
                        production accounts have commonly been given, and what the emulator's GetAccount says
    daily_quota         recipients in any 24 hours: SES's "sending quota"; 50,000 likewise
    account_suspended   SES has shut the account down: AccountSuspendedException
    outcomes            address pattern (`*`, `?`, `[...]`; case-insensitive; first match wins) -> outcome
    outcome_shares      outcome -> share of the addresses that no pattern matches; the same address and seed always
                        meet the same outcome, however often and in whatever order it is written to
    outcome_delay_ms    [least, most] between Send and what follows it, as the events' timestamps tell
    event_delay_ms      [least, most] that each event is late; timestamps stay as they were
    event_copies        how often each event is published
    reorder_window      events are held back and shuffled in groups of this many (0: in order)
    faults              address pattern -> fault of the SendEmail call
    fault_times         how often a pattern strikes each address (0: every time)
    fault_shares        fault -> share of the calls that no pattern matches
    hang_seconds        how long a reply that never comes keeps the connection open
    reply_delay_ms      [least, most] added to each SendEmail reply
    seed                of every random choice
    """

    max_send_rate: float = 14.0
    daily_quota: float = 50_000.0
    account_suspended: bool = False
    outcomes: Mapping[str, Outcome] = field(default_factory=dict)
    outcome_shares: Mapping[Outcome, float] = field(default_factory=dict)
    outcome_delay_ms: Range = (0.0, 0.0)
    event_delay_ms: Range = (0.0, 0.0)
    event_copies: int = 1
    reorder_window: int = 0
    faults: Mapping[str, Fault] = field(default_factory=dict)
    fault_times: int = 0
    fault_shares: Mapping[Fault, float] = field(default_factory=dict)
    hang_seconds: float = 70.0
    reply_delay_ms: Range = (0.0, 0.0)
    seed: int = 1

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def changed(options: Options, changes: Mapping[str, Any]) -> Options:
    """`options` with `changes` (as JSON gives them) applied; an option that is not named keeps its value.

    Raises OptionsError with every fault found, and changes nothing then.
    """
    parsed: dict[str, Any] = {}
    faults: list[str] = []
    for name, value in changes.items():
        if (parse := _PARSERS.get(name)) is None:
            faults.append(f"{name}: not an option; options are {', '.join(_PARSERS)}")
            continue
        try:
            parsed[name] = parse(value)
        except (TypeError, ValueError) as error:
            faults.append(f"{name}: {error}")
    if faults:
        raise OptionsError("; ".join(faults))
    return replace(options, **parsed)


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < float("inf"):
        raise ValueError(f"expected a number of at least 0, found {value!r}")
    return float(value)


def _count(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ValueError(f"expected a whole number of at least 0, found {value!r}")
    return value


def _copies(value: Any) -> int:
    if _count(value) < 1:
        raise ValueError("an event is published at least once")
    return int(value)


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"expected true or false, found {value!r}")
    return value


def _range(value: Any) -> Range:
    low, high = value if isinstance(value, list | tuple) and len(value) == 2 else (value, value)
    if _number(low) > _number(high):
        raise ValueError(f"expected [least, most], found {value!r}")
    return float(low), float(high)


def _one_of(kind: type[E]) -> Callable[[Any], E]:
    def parse(value: Any) -> E:
        if value not in list(kind):
            raise ValueError(f"{value!r} is not one of {', '.join(kind)}")
        return kind(value)

    return parse


def _share(value: Any) -> float:
    if _number(value) > 1:
        raise ValueError(f"expected a share from 0 to 1, found {value!r}")
    return float(value)


def _pattern(value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError(f"expected an address or a pattern, found {value!r}")
    return value


def _table(key: Callable[[Any], K], entry: Callable[[Any], V]) -> Callable[[Any], dict[K, V]]:
    def parse(value: Any) -> dict[K, V]:
        if not isinstance(value, Mapping):
            raise ValueError(f"expected an object, found {value!r}")
        return {key(name): entry(item) for name, item in value.items()}

    return parse


def _shares(kind: type[E]) -> Callable[[Any], dict[E, float]]:
    def parse(value: Any) -> dict[E, float]:
        shares = _table(_one_of(kind), _share)(value)
        if sum(shares.values()) > 1:
            raise ValueError("the shares add up to more than 1")
        return shares

    return parse


_PARSERS: Final[Mapping[str, Callable[[Any], Any]]] = {
    "max_send_rate": _number,
    "daily_quota": _number,
    "account_suspended": _flag,
    "outcomes": _table(_pattern, _one_of(Outcome)),
    "outcome_shares": _shares(Outcome),
    "outcome_delay_ms": _range,
    "event_delay_ms": _range,
    "event_copies": _copies,
    "reorder_window": _count,
    "faults": _table(_pattern, _one_of(Fault)),
    "fault_times": _count,
    "fault_shares": _shares(Fault),
    "hang_seconds": _number,
    "reply_delay_ms": _range,
    "seed": _count,
}
