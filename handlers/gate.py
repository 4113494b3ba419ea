"""What a batch of `send_email` passes before anything in it is claimed: the brake and the spend limits.

The brake disables a held lane's queue, which takes SQS and Lambda up to a minute; the gate is closed at once. And it is
the gate that engages the brake when money runs out: it reserves what a batch will cost before it is spent, so that what
goes out stays within the limits, however many run at once.

What cannot be asked or written closes the gate: the batch fails, and Lambda returns all of it to the queue.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from functools import partial

from handlers.adapters.control import Control
from handlers.guarding.brake import Lane
from handlers.guarding.spending import Admission, Limits, admit, estimate, hold_if_exceeded
from handlers.guarding.tally import DAY, HOUR, SPEND, Hour
from handlers.telemetry.contract import Property
from handlers.telemetry.spend import Meter


@dataclass(slots=True, kw_only=True)
class Gate:
    """The gate of one execution environment.

    Args:
        by: the function's name, for the holds.
        prices: USD for one unit, by the name of the price.
        holds: names of the lanes that the limits hold; any other is urgent.
    """

    control: Control
    meter: Meter
    prices: Mapping[str, Decimal]
    limits: Limits
    holds: Collection[str]
    by: str
    log: logging.Logger
    now: Callable[[], datetime]
    _past: tuple[datetime, tuple[Hour, ...]] | None = field(default=None, init=False)

    def pass_through(self, name: str, emails: int) -> tuple[Lane, Admission]:
        """The lane `name`, and whether a batch of so many emails may go out in it. If a limit would be passed, its
        lanes are held from now on.

        Raises:
            ClientError, BotoCoreError, TimeoutError: that is not known, or could not be written.
        """
        lane = self.control.lane(name)
        if lane.held:
            return lane, admit(lane, (), self.now(), self.limits, self.holds)
        hour = self.meter.reserve(estimate(emails, self.prices))
        now = self.now()
        hours = (*self._before(hour), hour)
        admission = admit(lane, hours, now, self.limits, self.holds)
        if admission.exceeded:
            self._hold(hours, now, admission.reason)
        return lane, admission

    def _hold(self, hours: Collection[Hour], now: datetime, reason: str) -> None:
        for name in self.holds:
            try:
                _, changed = self.control.alter(
                    name, partial(hold_if_exceeded, hours=hours, now=now, limits=self.limits, by=self.by)
                )
            except Exception:
                self.log.exception("lane not held", extra={Property.LANE.value: name, Property.REASON.value: reason})
                raise
            if changed:
                told = {Property.LANE.value: name, Property.REASON.value: reason}
                self.log.error("spend limit reached, lane held", extra=told)

    def _before(self, current: Hour) -> tuple[Hour, ...]:
        """The hours before the current one, back to a day. They are read once in an hour: what is added to one after it
        has ended is the last seconds of runs that began in it."""
        began = current.began
        if self._past is None or self._past[0] != began:
            self._past = began, tuple(self.control.hours(SPEND, began - DAY, began - HOUR))
        return self._past[1]
