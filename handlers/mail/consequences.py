"""What follows from an SES event beyond its row: what it adds to the lane's tally of outcomes, and whether its address
is written to again."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime

from handlers.guarding.suppression import Reason, Suppression, address_key
from handlers.guarding.tally import BOUNCED, COMPLAINED, JUDGED
from handlers.mail.lifecycle import Evidence, Milestone, Row
from handlers.mail.sending import at_simulator

COUNTERS = frozenset({JUDGED, BOUNCED, COMPLAINED})

_KNOWN_BY = frozenset({Milestone.DELIVERED, Milestone.SOFT_BOUNCE, Milestone.BOUNCE})
"""Each tells what became of an email. What SES suppressed or rejected never reached a mail server: it says nothing of
our addresses, and SES does not count it either."""

_SUPPRESSING: Mapping[Milestone, Reason] = {
    Milestone.BOUNCE: Reason.BOUNCE,
    Milestone.COMPLAINT: Reason.COMPLAINT,
}
"""A bounce off SES's own list is SUPPRESSED, not BOUNCE: it only repeats what is known."""


def added(row: Row, milestone: Milestone) -> dict[str, int]:
    """What an event adds to the tally of its lane, if it is the first to tell of its milestone.

    It is the difference that the milestone makes to what the row is counted as. So whatever the order of a row's
    events, they add the same in all: 1 judged once its outcome is known, 1 bounced if it ever bounced for good, even
    after it was delivered, 1 complained.

    Args:
        row: the email, with the event folded in.
        milestone: the event's.
    """
    if at_simulator(row.sent_to):
        return {}
    before = _counted(row.milestones.keys() - {milestone})
    return dict.fromkeys(sorted(_counted(row.milestones) - before), 1)


def _counted(milestones: Collection[Milestone]) -> frozenset[str]:
    return frozenset(
        counter
        for counter, those in (
            (JUDGED, _KNOWN_BY),
            (BOUNCED, {Milestone.BOUNCE}),
            (COMPLAINED, {Milestone.COMPLAINT}),
        )
        if not those.isdisjoint(milestones)
    )


def suppression(row: Row, evidence: Evidence) -> Suppression | None:
    """The entry of the suppression list that follows from `evidence`; None where the address may be written to again,
    as after a soft bounce, or is the simulator's and nobody's."""
    reason = _SUPPRESSING.get(evidence.milestone)
    if reason is None or at_simulator(row.sent_to):
        return None
    return Suppression(
        address=address_key(row.sent_to),
        reason=reason,
        since=datetime.fromisoformat(evidence.at),
        order_id=row.order_id,
        diagnostic=evidence.reason,
    )
