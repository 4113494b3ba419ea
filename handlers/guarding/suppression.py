"""The suppression list: addresses that are not written to again, until a person says otherwise.

An entry does not expire. A mailbox that is gone stays gone, and who has complained would complain again; SES keeps its
own account-level list for as long (developer guide, "Using the Amazon SES account-level suppression list"). Nor does a
removed entry go away: who took it off, when and why is what the next operator asks.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum


class Reason(StrEnum):
    """What put an address on the list; the first two as SES names them."""

    BOUNCE = "BOUNCE"
    COMPLAINT = "COMPLAINT"
    OPERATOR = "OPERATOR"


@dataclass(frozen=True, slots=True, kw_only=True)
class Removal:
    """Who took an address off the list, why, and when."""

    by: str
    reason: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Suppression:
    """One entry of the list.

    Attributes:
        address: as `address_key` has it.
        since: when the address bounced or complained, by SES's clock, or was put on the list by hand.
        order_id: the order whose email that was; empty by hand.
        diagnostic: what the mail server, the complaint or the operator said.
        by: the operator; empty otherwise.
        removed: the latest removal, if there was any.
    """

    address: str
    reason: Reason
    since: datetime
    order_id: str = ""
    diagnostic: str = ""
    by: str = ""
    removed: Removal | None = None

    @property
    def active(self) -> bool:
        """Whether the address is on the list. What happened before a removal is what the operator knew of; what comes
        after it counts anew."""
        return self.removed is None or self.removed.at < self.since

    @property
    def cause(self) -> str:
        """What put it there, in words without an address: `bounce of order A-17`."""
        if self.reason is Reason.OPERATOR:
            return "by hand"
        return f"{self.reason.lower()} of order {self.order_id}"

    @property
    def told(self) -> str:
        """The reason that a row keeps, without an address."""
        return f"on our suppression list since {self.since.astimezone(UTC):%Y-%m-%d %H:%M} UTC ({self.cause})"


def address_key(address: str) -> str:
    """The address as the list has it: in lower case throughout. RFC 5321 lets a mail server tell `Ann@` from `ann@`;
    none of note does, and one mailbox must not be written to under two spellings."""
    return address.strip().lower()
