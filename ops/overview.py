"""The stack at a glance: which lanes are held, what waits in them, and what is being spent."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError
from rich.console import Console
from rich.text import Text

from handlers.guarding.brake import FULL, Change, Hold, Lane
from handlers.guarding.tally import DAY, HOUR, SPEND, USD, count
from handlers.mail.lifecycle import timestamp
from ops import show
from ops.brake import mismatch, resort_attached
from ops.errors import explain
from ops.stack import LaneOutputs, Stack
from ops.text import clock, duration

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_sqs.literals import QueueAttributeNameType

LATEST = 10
"""Engagements and releases shown."""


@dataclass(frozen=True, slots=True)
class Depth:
    """About how many messages a queue has: ready, being handled (or given back for a while), and delayed."""

    visible: int
    not_visible: int
    delayed: int

    @property
    def total(self) -> int:
        return self.visible + self.not_visible + self.delayed


@dataclass(frozen=True, slots=True)
class Standing:
    """A lane as it stands.

    Attributes:
        wrong: what in the account is not as the lane's state wants it, or cannot be seen; empty when all is.
    """

    lane: Lane
    urgent: bool
    waiting: Depth
    given_up: Depth
    wrong: str


@dataclass(frozen=True, slots=True)
class Spend:
    """What was spent within a sliding window, and what may be, in USD.

    Attributes:
        since: of that, what a lane is held for, by lane: since its last release, where that is within the window.
    """

    window: timedelta
    usd: Decimal
    limit: Decimal
    since: Mapping[str, Decimal]


@dataclass(frozen=True, slots=True)
class Overview:
    """The stack at a glance.

    Attributes:
        resort: whether the last resort is attached; None where that cannot be seen.
        changes: the latest engagements and releases of all lanes, newest first.
    """

    stack: str
    at: datetime
    resort: bool | None
    lanes: tuple[Standing, ...]
    spend: tuple[Spend, ...]
    changes: tuple[tuple[str, Change], ...]


def overview(stack: Stack, now: datetime) -> Overview:
    """The stack as it stands, read from the control table, the queues and the account."""
    at = stack.outputs
    hours = tuple(stack.control.hours(SPEND, now - DAY, now))
    lanes = standings(stack, [lane.name for lane in at.lanes])
    changes = [(standing.lane.name, change) for standing in lanes for change in standing.lane.changes]
    starts = {each.lane.name: each.lane.start for each in lanes if each.lane.start}

    def spent(span: timedelta, limit: str) -> Spend:
        since = {name: count(hours, USD, now, span, start) for name, start in starts.items() if start.at > now - span}
        return Spend(span, count(hours, USD, now, span), Decimal(limit), since)

    return Overview(
        stack=at.stack,
        at=now,
        resort=seen(lambda: resort_attached(stack)),
        lanes=lanes,
        spend=(spent(HOUR, at.spend_per_hour), spent(DAY, at.spend_per_day)),
        changes=tuple(sorted(changes, key=lambda entry: entry[1].at, reverse=True)[:LATEST]),
    )


def standings(stack: Stack, names: Sequence[str]) -> tuple[Standing, ...]:
    """The lanes called `names` as they stand."""
    return tuple(_standing(stack, stack.outputs.lane(name)) for name in names)


def _standing(stack: Stack, at: LaneOutputs) -> Standing:
    lane = stack.control.lane(at.name)
    return Standing(
        lane=lane,
        urgent=at.urgent,
        waiting=depth(stack.sqs, at.queue_url),
        given_up=depth(stack.sqs, at.dlq_url),
        wrong=_wrong(stack, lane),
    )


def _wrong(stack: Stack, lane: Lane) -> str:
    try:
        found = mismatch(stack, lane)
        return f"is not what it should be: {found}" if found else ""
    except (ClientError, BotoCoreError) as error:
        return f"cannot be seen: {explain(error).message}"


def seen(look: Callable[[], bool]) -> bool | None:
    """What `look` finds; None where it may not look."""
    try:
        return look()
    except (ClientError, BotoCoreError):
        return None


def depth(sqs: SQSClient, url: str) -> Depth:
    """What SQS counts in the queue, which may be some seconds old."""
    names: list[QueueAttributeNameType] = [
        "ApproximateNumberOfMessages",
        "ApproximateNumberOfMessagesNotVisible",
        "ApproximateNumberOfMessagesDelayed",
    ]
    counted = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
    return Depth(*(int(counted[name]) for name in names))


def state(lane: Lane) -> str:
    """A lane's state in a word or three: `open`, `held`, `ramp 25 %`, `trial 5 %`."""
    if lane.held:
        return "held"
    if lane.stage == FULL:
        return "open"
    return f"{'trial' if lane.trial else 'ramp'} {lane.share:.0%}".replace("%", " %")


STYLES: Mapping[str, str] = {"held": "bold red", "open": "green"}


# For machines


def document(view: Overview) -> dict[str, Any]:
    """All of it, for another program."""
    return {
        "stack": view.stack,
        "at": timestamp(view.at),
        "lastResort": view.resort,
        "lanes": [lane_document(standing) for standing in view.lanes],
        "spend": [
            {
                "seconds": round(each.window.total_seconds()),
                "usd": str(each.usd),
                "limit": str(each.limit),
                "sinceRelease": {name: str(usd) for name, usd in each.since.items()},
            }
            for each in view.spend
        ],
        "changes": [_change(name, change) for name, change in view.changes],
    }


def lane_document(standing: Standing) -> dict[str, Any]:
    lane = standing.lane
    return {
        "lane": lane.name,
        "state": state(lane).split()[0],
        "share": lane.share,
        "urgent": standing.urgent,
        "holds": [_hold(hold) for hold in lane.holds.values()],
        "waiting": standing.waiting.total,
        "givenUp": standing.given_up.total,
        "wrong": standing.wrong,
    }


def _hold(hold: Hold) -> dict[str, str]:
    return {"holder": hold.holder, "by": hold.by, "reason": hold.reason, "since": timestamp(hold.since)}


def _change(lane: str, change: Change) -> dict[str, str]:
    told = {field.name: str(getattr(change, field.name)) for field in fields(change)}
    return {"lane": lane, **told, "at": timestamp(change.at)}


# For people


def render(console: Console, view: Overview) -> None:
    """The stack at a glance, for people."""
    console.print(f"Stack {view.stack}, {clock(timestamp(view.at))[:16]} UTC", markup=False)
    render_lanes(console, view.lanes, view.at, view.resort)
    console.print()
    columns = ["spent in the last", "USD", "limit", "used", "since its release"]
    rows = [
        (
            "hour" if each.window == HOUR else "day",
            f"{each.usd:.4f}",
            f"{each.limit:.2f}",
            f"{each.usd / each.limit:.0%}".replace("%", " %"),
            ", ".join(f"{name} {usd:.4f}" for name, usd in each.since.items()) or "-",
        )
        for each in view.spend
    ]
    console.print(show.table(columns, rows, numbers=["USD", "limit", "used"]))
    if view.changes:
        console.print()
        columns = ["when (UTC)", "lane", "what", "holder", "by", "why"]
        told = [
            (_minute(change.at), name, change.what, change.holder, change.by, change.reason)
            for name, change in view.changes
        ]
        console.print(show.table(columns, told))


def render_lanes(console: Console, lanes: Sequence[Standing], now: datetime, resort: bool | None) -> None:
    """A table of lanes, a row a hold, and below it what needs a person."""
    columns = ["lane", "state", "waiting", "given up", "held by", "who", "since (UTC)", "why"]
    rows = [row for standing in lanes for row in _rows(standing, now)]
    console.print(show.table(columns, rows, numbers=["waiting", "given up"]))
    for standing in lanes:
        if standing.wrong:
            console.print(Text(f"{standing.lane.name} {standing.wrong}", style="bold red"))
    if resort:
        console.print(Text("The last resort is attached: nothing is sent, whatever the lanes say.", style="bold red"))
    if resort is None:
        console.print(
            Text("Whether the last resort is attached cannot be seen with these permissions.", style="yellow")
        )


def _rows(standing: Standing, now: datetime) -> list[tuple[str | Text, ...]]:
    lane = standing.lane
    word = state(lane)
    head: tuple[str | Text, ...] = (
        lane.name + (" (urgent)" if standing.urgent else ""),
        Text(word, style=STYLES.get(word, "yellow")),
        f"{standing.waiting.total:,}",
        f"{standing.given_up.total:,}",
    )
    holds = sorted(lane.holds.values(), key=lambda hold: hold.since)
    told: list[tuple[str, ...]] = [
        (hold.holder, hold.by, f"{_minute(hold.since)}, {duration(now - hold.since)}", hold.reason) for hold in holds
    ] or [("-", "-", "-", "-")]
    return [head + told[0], *(("", "", "", "", *each) for each in told[1:])]


def _minute(moment: datetime) -> str:
    return clock(timestamp(moment))[:16]
