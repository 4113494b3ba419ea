"""What calls cost, and whether a batch may go out: the spend limits of an hour and of a day.

AWS Budgets learns of a cost 8 to 12 hours late; this is counted as it is spent. Both are kept apart: here are list
prices of counted calls, there is the bill.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import ROUND_CEILING, Decimal

from handlers.guarding.brake import Hold, Holder, Lane, engage
from handlers.guarding.tally import DAY, HOUR, USD, Hour, Start, count

AN_EMAIL: Mapping[str, Decimal] = {
    "ses.email": Decimal(1),
    "dynamodb.write": Decimal(8),
    "dynamodb.read": Decimal(4),
    "sqs.request": Decimal(4),
    "lambda.request": Decimal(1),
    "lambda.gb-second.arm64": Decimal("0.25"),
    "logs.gb": Decimal("0.000002"),
    "xray.trace": Decimal(2),
}
"""What sending one email is taken to use, by the name of its price, before it is known: rather too much than too
little. Two writes of its row with two index entries each and two of the tally; half a second of 512 MB. SES's own
price is three quarters of it."""


@dataclass(frozen=True, slots=True)
class Limits:
    """USD that may be spent in a sliding hour and in a sliding day."""

    per_hour: Decimal
    per_day: Decimal


@dataclass(frozen=True, slots=True)
class Admission:
    """Whether a lane's batch may go out. `reason` says why not, or which limit is reached although it may; "" if none
    is. `exceeded` asks that the lanes which the limits hold are held now."""

    admitted: bool
    reason: str = ""
    exceeded: bool = False


def cost(units: Mapping[str, Decimal], prices: Mapping[str, Decimal]) -> Decimal:
    """USD for `units`, both by the names of prices.

    Raises:
        KeyError: something was used that has no price.
    """
    return sum((prices[name] * quantity for name, quantity in units.items()), Decimal(0))


def estimate(emails: int, prices: Mapping[str, Decimal]) -> Decimal:
    """USD that sending so many emails is taken to cost."""
    return emails * cost(AN_EMAIL, prices)


def admit(lane: Lane, hours: Iterable[Hour], now: datetime, limits: Limits, holds: Collection[str]) -> Admission:
    """Whether a batch of `lane` may go out.

    Args:
        hours: of the tally `spend`, back to a day before `now`, and with what the batch will cost already in it: of
            two that come at once one sees the other, and together they stay within the limits.
        holds: names of the lanes that the limits hold. Any other lane is urgent, and goes on.
    """
    if lane.held:
        return Admission(False, "; ".join(f"held by {hold.holder}: {hold.reason}" for hold in lane.holds.values()))
    reason = excess(hours, now, limits, lane.start)
    return Admission(not reason or lane.name not in holds, reason, bool(reason))


def hold_if_exceeded(lane: Lane, hours: Iterable[Hour], now: datetime, limits: Limits, by: str) -> Lane:
    """The lane, held if its own windows, which begin at its last release, are over a limit: a batch of one lane may
    find a limit reached that was let go of for another."""
    reason = excess(hours, now, limits, lane.start)
    return engage(lane, Hold(holder=Holder.SPEND, by=by, reason=reason, since=now)) if reason else lane


def excess(hours: Iterable[Hour], now: datetime, limits: Limits, start: Start | None) -> str:
    """Which limit would be passed, such as `2.01 of 2.00 USD in an hour`; "" if none."""
    counted = tuple(hours)
    windows: tuple[tuple[str, timedelta, Decimal], ...] = (
        ("an hour", HOUR, limits.per_hour),
        ("a day", DAY, limits.per_day),
    )
    for name, span, limit in windows:
        spent = count(counted, USD, now, span, start)
        if spent > limit:
            return f"{money(spent)} of {money(limit)} USD in {name}"
    return ""


def money(amount: Decimal) -> str:
    """An amount for people: 2.00, 1,234.50, and of a part of a dollar as much as shows it, 0.015 or 0.00000012. Rounded
    up, so that what is over a limit of whole cents never reads as the limit itself."""
    places = 2 if amount >= 1 or not amount else max(4, 1 - amount.adjusted())
    text = f"{amount.quantize(Decimal(10) ** -places, ROUND_CEILING):,f}"
    whole, _, part = text.partition(".")
    return f"{whole}.{part.rstrip('0'):0<2}"
