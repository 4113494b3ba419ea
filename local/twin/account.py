"""The SES account: its sending rate and quota, its pause, its suppression list. Pure: the clock is an argument."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from local.twin.mail import bare
from local.twin.options import Options

DAY_SECONDS: Final = 86_400.0
REASONS: Final = ("BOUNCE", "COMPLAINT")


@dataclass(slots=True)
class Rate:
    """A token bucket that holds one second's worth of sending. SES tolerates bursts without saying how long; one second
    is the strictest reading of "emails per second"."""

    tokens: float = 0.0
    at: float | None = None

    def take(self, count: int, rate: float, now: float) -> bool:
        """Whether `count` recipients may be written to at `now` (seconds, monotonic), at `rate` recipients a second. A
        mail to more recipients than a second allows goes when the bucket is full, as it otherwise never could."""
        full = max(rate, 1.0)
        elapsed = full if self.at is None else max(now - self.at, 0.0) * rate
        self.tokens = min(full, self.tokens + elapsed)
        self.at = now
        if self.tokens < min(count, full):
            return False
        self.tokens -= count
        return True


@dataclass(slots=True)
class Day:
    """Recipients written to in the last 24 hours, by the second."""

    sent: deque[tuple[float, int]] = field(default_factory=deque)
    total: int = 0

    def count(self, now: float) -> int:
        while self.sent and self.sent[0][0] <= now - DAY_SECONDS:
            self.total -= self.sent.popleft()[1]
        return self.total

    def add(self, count: int, now: float) -> None:
        self.sent.append((now, count))
        self.total += count


@dataclass(frozen=True, slots=True)
class Suppressed:
    """An entry of the account's suppression list. `message_id`: the mail that put it there, if one did."""

    address: str
    reason: str
    since: datetime
    message_id: str | None = None


@dataclass(slots=True)
class Account:
    """`suppressed_reasons`: what puts an address on the list; both, as for every account opened since November 2019."""

    sending_enabled: bool = True
    suppressed_reasons: tuple[str, ...] = REASONS
    rate: Rate = field(default_factory=Rate)
    day: Day = field(default_factory=Day)
    listed: dict[str, Suppressed] = field(default_factory=dict)

    def throttled(self, recipients: int, counted: int, options: Options, now: float) -> str | None:
        """SES's words when `recipients` more would be too many, else None, and `counted` of them are added to the
        day's: the mailbox simulator's are not, though the rate holds for them as well."""
        if self.day.count(now) + counted > options.daily_quota:
            return "Daily message quota exceeded."
        if not self.rate.take(recipients, options.max_send_rate, now):
            return "Maximum sending rate exceeded."
        self.day.add(counted, now)
        return None

    def put(self, entry: Suppressed) -> None:
        self.listed[_key(entry.address)] = entry

    def get(self, address: str) -> Suppressed | None:
        return self.listed.get(_key(address))

    def delete(self, address: str) -> bool:
        return self.listed.pop(_key(address), None) is not None

    def entries(
        self, reasons: Collection[str] = (), since: datetime | None = None, until: datetime | None = None
    ) -> Iterable[Suppressed]:
        """Entries of these reasons (all, if none is named) that were made in the time given."""
        return (
            entry
            for entry in self.listed.values()
            if (not reasons or entry.reason in reasons)
            and (since is None or entry.since >= since)
            and (until is None or entry.since <= until)
        )

    def held_back(self, address: str, override: Collection[str] | None) -> str | None:
        """The reason for which a mail to `address` is not sent, or None. A configuration set's own reasons (`override`)
        replace the account's altogether, an empty list included."""
        entry = self.get(address)
        return entry.reason if entry and entry.reason in self.reasons(override) else None

    def reasons(self, override: Collection[str] | None) -> Collection[str]:
        return self.suppressed_reasons if override is None else override


def _key(address: str) -> str:
    return bare(address).lower()
