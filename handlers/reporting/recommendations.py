"""What could cost less: rules on what was measured, each told with its number. Where nothing was measured, nothing is
said.

What a recommendation saves is an upper bound, and stands there only where the price sheet and the measurement give one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal

GB = 10**9
MB = 10**6

DEBUG = "DEBUG"

LOGS_PER_THOUSAND = 20 * MB
"""Bytes of logs for 1,000 emails that are worth a look: five times what the handlers write at INFO (4 kB an email, as
`components/cost.py` counts on). Below it, the fixed part of what schedules log would speak up in quiet stacks."""

LOGS_WORTH = GB // 5
"""Bytes of logs a month below which their volume is nobody's business: a fifth of a GB costs ten cents."""

ROOM = Decimal("1.3")
"""Memory to keep for what was not measured: 30 % over the most that was used."""

MEMORY_SIZES = (256, 384, 512, 768, 1024, 1536, 2048, 3072, 4096, 6144, 8192, 10_240)
"""What is recommended, in MB. Not below 256: there the share of a CPU is so small that a cold start's imports take
seconds (components/function.py)."""

RUNS = 100
"""Runs from which on the most memory used says something."""

WORTH = Decimal("0.01")
"""USD a month below which a saving is not worth a line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LogGroup:
    """A log group: bytes that came in during the month, bytes kept, and for how many days (None: for ever)."""

    name: str
    came_in: int
    kept: int
    retention_days: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Function:
    """A function and what it was seen to use.

    Attributes:
        memory_mb: what it has.
        used_mb: the most that any of `runs` used.
        seconds: that it ran during the month, all invocations together.
    """

    name: str
    memory_mb: int
    used_mb: int
    runs: int
    seconds: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What was measured of a stack.

    Attributes:
        emails: that went out in the month.
        log_level, log_retention_days: as the settings ask.
        unwatched: names of metrics of ours that have points, and stand in no alarm and on no dashboard.
        ledger_forgets: whether rows of the ledger expire; None where that is not known.
        unknown: what could not be measured, and why.
    """

    emails: int
    log_level: str
    log_retention_days: int
    log_groups: tuple[LogGroup, ...] = ()
    functions: tuple[Function, ...] = ()
    unwatched: tuple[str, ...] = ()
    ledger_forgets: bool | None = None
    unknown: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Recommendation:
    """What was measured, what to do about it, and the most USD a month that it saves; None where nobody can tell."""

    fact: str
    remedy: str
    usd: Decimal | None = None


Prices = Mapping[str, Decimal]
"""USD for one unit by the price's name, as the price sheet has it."""


def recommend(facts: Facts, prices: Prices) -> list[Recommendation]:
    """What to do, what saves most first; what saves less than a cent is left out."""
    found = (each for rule in _RULES for each in rule(facts, prices))
    worth = [each for each in found if each.usd is None or each.usd >= WORTH]
    return sorted(worth, key=lambda each: each.usd or Decimal(0), reverse=True)


def _retention(facts: Facts, prices: Prices) -> Iterator[Recommendation]:
    asked = facts.log_retention_days
    price = prices.get("logs.gb-month")
    for group in facts.log_groups:
        days = group.retention_days
        if days is not None and days <= asked:
            continue
        # Of what is kept evenly over its days, this share is older than asked; of what is kept for ever, any may be.
        older = Decimal(1) if days is None else 1 - Decimal(asked) / days
        usd = None if price is None else price * group.kept / GB * older
        yield Recommendation(
            f"Log group {group.name} keeps its logs {'for ever' if days is None else f'for {days} days'}, and holds"
            f" {_size(group.kept)}; the setting logRetentionDays asks for {asked} days.",
            "Run pulumi up --refresh, which sets it again, and find out who changed it.",
            # What is kept for ever costs more each month, however little it is today.
            None if days is None and usd is not None and usd < WORTH else usd,
        )


def _volume(facts: Facts, prices: Prices) -> Iterator[Recommendation]:
    came_in = sum(group.came_in for group in facts.log_groups)
    if not facts.emails or came_in < LOGS_WORTH or came_in * 1000 <= LOGS_PER_THOUSAND * facts.emails:
        return
    most = max(facts.log_groups, key=lambda group: group.came_in)
    price = prices.get("logs.gb")
    usual = LOGS_PER_THOUSAND * facts.emails // 1000
    yield Recommendation(
        f"{_size(came_in)} of logs came in, {_size(came_in * 1000 // facts.emails)} for 1,000 emails, at log level"
        f" {facts.log_level}. Most is {most.name}'s: {_size(most.came_in)}.",
        "Set logLevel to INFO."
        if facts.log_level == DEBUG
        else f"Look for what repeats in {most.name}: at {facts.log_level}, {_size(LOGS_PER_THOUSAND)} would be plenty.",
        None if price is None else price * (came_in - usual) / GB,
    )


def _unwatched(facts: Facts, prices: Prices) -> Iterator[Recommendation]:
    if not facts.unwatched:
        return
    price = prices.get("cloudwatch.metric")
    many = len(facts.unwatched) > 1
    yield Recommendation(
        f"{len(facts.unwatched)} custom metric{'s are' if many else ' is'} paid for, and in no alarm and on no"
        f" dashboard: {', '.join(sorted(facts.unwatched))}.",
        f"Draw {'them' if many else 'it'} in a component's watch(), or take {'them' if many else 'it'} out of"
        " handlers/telemetry/contract.py.",
        None if price is None else price * len(facts.unwatched),
    )


def _memory(facts: Facts, prices: Prices) -> Iterator[Recommendation]:
    price = prices.get("lambda.gb-second.arm64")
    for function in facts.functions:
        enough = enough_memory(function.used_mb)
        if function.runs < RUNS or enough >= function.memory_mb:
            continue
        yield Recommendation(
            f"Function {function.name} has {function.memory_mb} MB and used {function.used_mb} MB at most, in"
            f" {function.runs:,} runs looked at.",
            f"Set memory_mb in its component to {enough}, and look whether it becomes slower: CPU shrinks with it.",
            None if price is None else price * function.seconds * (function.memory_mb - enough) / 1024,
        )


def _ledger(facts: Facts, prices: Prices) -> Iterator[Recommendation]:  # noqa: ARG001 - as every rule
    if facts.ledger_forgets is False:
        yield Recommendation(
            "The ledger keeps every row for ever: its time to live is off.",
            "Run pulumi up --refresh, which turns it on again; rows then expire after ledgerRetentionDays.",
        )


_RULES: tuple[Callable[[Facts, Prices], Iterable[Recommendation]], ...] = (
    _retention,
    _volume,
    _unwatched,
    _memory,
    _ledger,
)


def enough_memory(used_mb: int) -> int:
    """The smallest of MEMORY_SIZES that leaves room above what was used; the largest where none does."""
    return next((size for size in MEMORY_SIZES if size >= used_mb * ROOM), MEMORY_SIZES[-1])


def _size(octets: int) -> str:
    """`1.2 GB`, `340 MB`: decimal units, as AWS bills them."""
    return f"{octets / GB:,.1f} GB" if octets >= GB else f"{octets / MB:,.0f} MB"
