"""What a run came to, from evidence that the pipeline under test does not write about itself.

The mailbox of the SES twin says what went out, the ledger where each email ended, the quarantine queue what
was refused, and the publisher what was put in and when. None of our own metrics is read.

The account of messages. Each published message is one of three things:

    published = accepted + quarantined + duplicates prevented

- quarantined: it is in the quarantine queue, body unchanged. Messages are matched by body, each copy once.
- accepted: of the others, the first one of each order id. A message that vanished without a trace counts here, so
  that it shows up as lost rather than as refused.
- duplicates prevented: the further ones of an order id. They are neither lost nor quarantined: the email of the first
  answers for all of them. Another order under a taken id is no duplicate: the pipeline quarantines it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from math import ceil
from typing import Any

from handlers.mail.lifecycle import OPEN, Milestone, Row, Status
from local.orders import CONFLICT, QUARANTINED, SampleOrder
from ops.follow import NOT_SEEN
from ops.publish import order_id_of

PERCENTILES = {"p50": 0.50, "p95": 0.95, "p99": 0.99}


@dataclass(frozen=True, slots=True)
class Mailed:
    """One email that SES took, by the tags it was sent with. Two of one `message_id` are one too many."""

    message_id: str
    order_id: str


@dataclass(frozen=True, slots=True)
class Program:
    """What became of the program's resources; `not_emulated` has `type`, `name` and `reason` of each."""

    resources: int
    created: int
    not_emulated: Sequence[Mapping[str, str]] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """Everything a report is made from.

    Args:
        published: body and time of each message that the topic took, in the order of publishing.
        quarantined: bodies in the quarantine queue.
        mails: the twin's mailbox.
        rows: the ledger.
        traces: trace ids of the X-Ray segments received.
        seconds: how long `emulator`, `deploy` and `orders` took.
    """

    program: Program
    published: Sequence[tuple[str, datetime]] = ()
    quarantined: Sequence[str] = ()
    mails: Sequence[Mailed] = ()
    rows: Sequence[Row] = ()
    traces: Iterable[str] = ()
    seconds: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Account:
    """Published messages, sorted. `accepted` has the first time each order was published, by order id or, for
    a message that names none and is nowhere to be found, by its body."""

    accepted: Mapping[str, datetime]
    quarantined: int
    duplicates_prevented: int


def take_account(published: Iterable[tuple[str, datetime]], quarantined: Iterable[str]) -> Account:
    """Sort the published messages as the module describes."""
    refused = Counter(quarantined)
    accepted: dict[str, datetime] = {}
    in_quarantine = again = 0
    for body, at in published:
        if refused[body]:
            refused[body] -= 1
            in_quarantine += 1
            continue
        key = order_id_of(body) or body
        if key in accepted:
            again += 1
        accepted[key] = min(at, accepted.get(key, at))
    return Account(accepted, in_quarantine, again)


def duplicates(mails: Iterable[Mailed]) -> int:
    """Emails beyond the first of each message id. One without an id cannot be shown to be the only one: it
    counts."""
    copies = Counter(mail.message_id for mail in mails)
    unnamed = copies.pop("", 0)
    return unnamed + sum(count - 1 for count in copies.values())


def lost(account: Account, mails: Iterable[Mailed], rows: Iterable[Row]) -> list[str]:
    """Accepted orders that have neither an email nor a final row."""
    answered = {mail.order_id for mail in mails} | {row.order_id for row in rows if not row.is_open}
    return [key for key in account.accepted if key not in answered]


def surprises(
    samples: Iterable[SampleOrder], rows: Iterable[Row], quarantined: Iterable[str]
) -> list[tuple[SampleOrder, str]]:
    """The sample orders that did not end as they should, each with how it did end."""
    samples = list(samples)
    by_order = {row.order_id: row for row in rows}
    refused = set(quarantined)
    # Of orders that contest one id exactly one is sent; which one is up to the queue.
    sent = Counter(sample.order_id for sample in samples if sample.body not in refused)

    def ending(sample: SampleOrder) -> str:
        row = by_order.get(sample.order_id or "")
        status = row.status.value if row else NOT_SEEN
        if sample.expected == CONFLICT:
            fair = row is not None and row.conflicts and status == "DELIVERED" and sent[sample.order_id] == 1
            return CONFLICT if fair else status
        return QUARANTINED if sample.body in refused else status

    ended = ((sample, ending(sample)) for sample in samples)
    return [(sample, found) for sample, found in ended if found != sample.expected]


def percentiles(values: Iterable[float]) -> dict[str, int | None]:
    """p50, p95, p99 (nearest rank) and max of milliseconds; None of each where there is nothing to
    measure."""
    ranked = sorted(values)
    if not ranked:
        return dict.fromkeys([*PERCENTILES, "max"])
    ranks = {name: ranked[ceil(share * len(ranked)) - 1] for name, share in PERCENTILES.items()}
    return {name: round(value) for name, value in {**ranks, "max": ranked[-1]}.items()}


def final_at(row: Row) -> str:
    """When the milestone that rules a final row was reached; empty while the row is open."""
    return "" if row.is_open else row.milestones[row.milestone]


def build_report(evidence: Evidence) -> dict[str, Any]:
    """The report, in the shape in which it is written to build/report.json.

    `sent` counts message ids in the mailbox. The others count rows by status: `failed` holds FAILED and
    REJECTED, `unknown` whatever was still open when the run ended, UNKNOWN or not, because nobody can say how
    it ends. `published_to_sent` is measured from the moment we began to publish, `sent_to_final` to the
    ruling milestone.
    """
    account = take_account(evidence.published, evidence.quarantined)
    status = Counter(row.status for row in evidence.rows)
    sent = {row.order_id: row.milestones[Milestone.SENT] for row in evidence.rows if Milestone.SENT in row.milestones}
    return {
        "program": {
            "resources": evidence.program.resources,
            "created": evidence.program.created,
            "not_emulated": [dict(resource) for resource in evidence.program.not_emulated],
        },
        "orders": {
            "published": len(evidence.published),
            "accepted": len(account.accepted),
            "quarantined": account.quarantined,
        },
        "emails": {
            "sent": len({mail.message_id for mail in evidence.mails}),
            "delivered": status[Status.DELIVERED],
            "bounce": status[Status.BOUNCE],
            "complaint": status[Status.COMPLAINT],
            "suppressed": status[Status.SUPPRESSED],
            "failed": status[Status.FAILED] + status[Status.REJECTED],
            "unknown": sum(status[each] for each in OPEN),
        },
        "duplicates": duplicates(evidence.mails),
        "lost": len(lost(account, evidence.mails, evidence.rows)),
        "latency_ms": {
            "published_to_sent": percentiles(
                _milliseconds(account.accepted[order].isoformat(), at)
                for order, at in sent.items()
                if order in account.accepted
            ),
            "sent_to_final": percentiles(
                _milliseconds(sent[row.order_id], final_at(row))
                for row in evidence.rows
                if row.order_id in sent and not row.is_open
            ),
        },
        "traces": len(set(evidence.traces)),
        "seconds": {name: round(seconds, 2) for name, seconds in evidence.seconds.items()},
    }


def _milliseconds(start: str, end: str) -> float:
    return (datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds() * 1000
