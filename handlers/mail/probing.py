"""Probes: orders of our own that go in by the front door, to see whether a customer's would come out as an email.

Two things tell it from a customer's order: the lane, which keeps it out of the business metrics, and the address, which
is the mailbox simulator's. SES delivers and bills mail to it like any other, and does not count it in our reputation.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from handlers.mail.lifecycle import Milestone, Row, Status, milliseconds, timestamp
from handlers.mail.sending import SIMULATOR

POLL_SECONDS = 1
"""Between two looks at the ledger: a probe takes a few seconds, and a look costs 0.000000125 USD."""

NOT_SEEN = "NOT SEEN"
"""Where a probe stands that has no row: nobody has taken it off the queue, or it was never put there."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What a probe came to.

    Attributes:
        status: where its email stood in the end; "" where not even that could be learnt.
        reason: why it failed; "" if it did not.
        latency: milliseconds from its publication to the recipient's mail server accepting; None if it did not.
    """

    status: str
    reason: str = ""
    latency: float | None = None

    @property
    def failed(self) -> bool:
        return self.status != Status.DELIVERED


def probe_order(now: datetime) -> tuple[str, str]:
    """The id and the body of a probe's order; both are the same for two probes of one second, which get one email."""
    order_id = f"probe-{int(now.timestamp())}"
    document = {
        "orderId": order_id,
        "customerEmail": f"success+probe@{SIMULATOR}",
        "customerName": "Mailroom probe",
        "items": [{"sku": "probe", "name": "Probe", "quantity": 1, "unitPrice": "1.00"}],
        "total": "1.00",
        "currency": "USD",
        "timestamp": timestamp(now.replace(microsecond=0)),
    }
    return order_id, json.dumps(document)


def follow(
    look: Callable[[], Row | None],
    *,
    seconds: float,
    monotonic: Callable[[], float],
    sleep: Callable[[float], None],
) -> Row | None:
    """Look at an email until its outcome is known, for so many seconds; its row as last seen, None if there is none."""
    deadline = monotonic() + seconds
    while True:
        row = look()
        left = deadline - monotonic()
        if left <= 0 or (row and not row.is_open):
            return row
        sleep(min(POLL_SECONDS, left))


def judge(row: Row | None, seconds: float) -> Finding:
    """What `row` says of a probe that had so many seconds to be delivered."""
    if row is None:
        return Finding(NOT_SEEN, f"the ledger had no row of it {seconds:g} s after its publication")
    status = row.status.value
    if row.status is Status.DELIVERED:
        return Finding(status, latency=milliseconds(row.published_at, row.milestones[Milestone.DELIVERED]))
    why = f": {row.reason}" if row.reason else ""
    return Finding(status, f"still {status} {seconds:g} s after its publication{why}" if row.is_open else status + why)
