"""What became of one order's emails, told as a timeline: for people, and for machines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.text import Text

from handlers.mail.lifecycle import Milestone, Row, Status
from ops import show
from ops.resolve import Resolution, Verdict
from ops.text import between, clock, duration, mask

WORDS: Mapping[Milestone, str] = {
    Milestone.SUBMITTING: "being handed to SES",
    Milestone.UNKNOWN: "no answer from SES",
    Milestone.SENT: "taken by SES",
    Milestone.DELAYED: "delayed by the recipient's mail server",
    Milestone.FAILED: "failed",
    Milestone.SOFT_BOUNCE: "bounced for now",
    Milestone.DELIVERED: "delivered",
    Milestone.REJECTED: "rejected by SES",
    Milestone.SUPPRESSED: "not sent: the address is on the suppression list",
    Milestone.BOUNCE: "bounced",
    Milestone.COMPLAINT: "marked as spam by the recipient",
}
VERDICTS: Mapping[Verdict, str] = {
    Verdict.SENT: "marked as sent",
    Verdict.DELIVERED: "marked as delivered",
    Verdict.FAILED: "marked as failed",
    Verdict.RESEND: "released for another attempt",
}
REMEDIES: Mapping[Status, str] = {
    Status.SUPPRESSED: "if the address is good: `suppressed remove ADDRESS --reason WHY`, then have the order published"
    " under a new id",
}
"""What an operator can do about an email in such a state, where the state's name does not say it."""


@dataclass(frozen=True, slots=True)
class Moment:
    """Something that happened; `what` in words, `note` with the detail, if any."""

    at: str
    what: str
    note: str = ""


def moments(row: Row, resolutions: Sequence[Resolution] = ()) -> list[Moment]:
    """Everything that is known to have happened to the email, in order of time."""
    happened = [Moment(row.published_at, "published")]
    submitted = row.milestones.get(Milestone.SUBMITTING, "")
    if row.claimed_at and submitted > row.claimed_at:
        happened.append(Moment(row.claimed_at, "claimed by its first attempt"))
    for milestone, at in row.milestones.items():
        note = row.reason if milestone is row.milestone else ""
        if milestone is Milestone.SUBMITTING and row.attempts > 1:
            note = f"attempt {row.attempts}" + (f"; {note}" if note else "")
        happened.append(Moment(at, WORDS[milestone], note))
    happened += [Moment(word.at, f"{VERDICTS[word.verdict]} by {word.by}", word.reason) for word in resolutions]
    # Of two things in one millisecond, the one further down the list of stages came later.
    return sorted(happened, key=lambda moment: moment.at)


def describe(row: Row, resolutions: Sequence[Resolution] = (), *, show_address: bool = False) -> dict[str, Any]:
    """The email for machines, as `status --json` prints it. Latencies are milliseconds since publishing."""

    def shown(address: str) -> str:
        return address if show_address else mask(address)

    timeline = moments(row, resolutions)
    return {
        "messageId": row.message_id,
        "kind": row.kind,
        "status": row.status.value,
        "final": not row.is_open,
        "to": shown(row.to),
        "sandbox": row.sandboxed,
        "sentTo": shown(row.sent_to),
        "reason": shown(row.reason),
        "remedy": REMEDIES.get(row.status, ""),
        "sesMessageId": row.ses_message_id,
        "traceId": row.trace_id,
        "attempts": row.attempts,
        "conflicts": row.conflicts,
        "flags": sorted(row.flags),
        "leaseUntil": row.lease_until,
        "lastUpdated": row.last_updated,
        "timeline": [
            {
                "at": moment.at,
                "what": moment.what,
                "note": shown(moment.note),
                "afterMs": round(between(timeline[0].at, moment.at).total_seconds() * 1000),
            }
            for moment in timeline
        ],
        "resolutions": [
            {"at": word.at, "by": word.by, "verdict": word.verdict.value, "reason": shown(word.reason)}
            for word in resolutions
        ],
    }


def render(console: Console, row: Row, resolutions: Sequence[Resolution] = (), *, show_address: bool = False) -> None:
    """The email for people: what matters at a glance, then everything that happened."""
    email = describe(row, resolutions, show_address=show_address)
    console.print(Text.assemble((f"Order {row.order_id}", "bold"), "  ", show.status(row.status)))
    console.print(show.facts(_facts(email)))
    console.print()
    console.print(show.table(["UTC", "after", "step", "", "note"], _steps(email), numbers=["after", "step"]))


def _facts(email: Mapping[str, Any]) -> list[tuple[str, str | Text]]:
    sandbox = f"{email['sentTo']}  (sandbox: the simulator stands for the customer)" if email["sandbox"] else ""
    others = "1 other order" if email["conflicts"] == 1 else f"{email['conflicts']} other orders"
    conflicts = f"{others} with this id set aside in quarantine" if email["conflicts"] else ""
    return [
        ("to", email["to"]),
        ("sent to", sandbox),
        ("why", email["reason"]),
        ("what to do", email["remedy"]),
        ("attempts", str(email["attempts"])),
        ("conflicts", conflicts),
        ("flags", ", ".join(email["flags"])),
        ("in flight until", clock(email["leaseUntil"])),
        ("trace", email["traceId"]),
        ("SES message", email["sesMessageId"]),
        ("email", email["messageId"]),
    ]


def _steps(email: Mapping[str, Any]) -> list[tuple[str, str, str, str, str]]:
    timeline = email["timeline"]
    befores = [timeline[0], *timeline[:-1]]
    return [
        (
            clock(moment["at"]),
            duration(between(timeline[0]["at"], moment["at"])),
            "+" + duration(between(before["at"], moment["at"])),
            moment["what"],
            moment["note"],
        )
        for before, moment in zip(befores, timeline, strict=True)
    ]
