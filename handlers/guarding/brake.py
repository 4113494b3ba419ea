"""The emergency brake: which lanes are held, by whom and why, and how fast a released one may go.

A lane is held as long as anybody holds it. Guards and people only say so, each for itself (`engage`, `release`); what
the AWS account then has to look like follows from the state alone (`wanted`), and one function makes it so
(handlers/brake.py). So it does not matter who says what first, or how often: the state is the same, and so is what
follows from it.

    open --engage--> held --release (the last hold)--> ramp: stage 0, 1, ... --> open
                      ^                                  | stage 0 is a trial when the reputation guard held it: it
                      +---------------engage-------------+ lasts until the guard has seen enough (`pass_trial`)
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum

from handlers.guarding.tally import Start

RAMP = (0.05, 0.1, 0.25, 0.5, 1.0)
"""Shares of the send rate after a release. Doubling is how SES's own guide warms up a new sender; what is wrong still
shows at a twentieth, and costs a twentieth."""

STAGE = timedelta(minutes=5)
"""How long a stage lasts at least: bounces come within a minute or two of the email."""

FULL = len(RAMP) - 1

CHANGES_KEPT = 20
"""Engagements and releases that a lane remembers. All of them are in the brake's log."""


class Holder(StrEnum):
    """Who can hold a lane. Each has one hold at a time, so that a guard that trips twice changes nothing."""

    OPERATOR = "operator"
    SPEND = "spend"
    BUDGET = "budget"
    REPUTATION = "reputation"


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """One reason why a lane is held. `by` is who says so: a guard's function, or a person's identity."""

    holder: Holder
    by: str
    reason: str
    since: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What somebody did to a lane: `what` is `engaged`, `released` or `trial passed`. `revision` is the lane's own that
    it came with, so that the news in a lane just written are told apart from what it remembers."""

    at: datetime
    what: str
    holder: str
    by: str
    reason: str
    revision: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Lane:
    """The brake's state of one lane. One that nobody ever held is open, and has no row.

    Attributes:
        holds: by holder; empty when it is not held.
        stage: of RAMP.
        stage_since: when it was reached, by the clock of the schedule that moves it on; None until that has seen it.
        trial: whether it stays at stage 0 until its reputation has proved good.
        start: since when spend and outcomes count: its last release.
        changes: the latest, oldest first.
        revision: counts its writes; whoever writes says which one it has read.
    """

    name: str
    holds: Mapping[Holder, Hold] = field(default_factory=dict)
    stage: int = FULL
    stage_since: datetime | None = None
    trial: bool = False
    start: Start | None = None
    changes: tuple[Change, ...] = ()
    revision: int = 0

    @property
    def held(self) -> bool:
        return bool(self.holds)

    @property
    def news(self) -> tuple[Change, ...]:
        """What its last write changed for people; a stage of the ramp is none."""
        return tuple(change for change in self.changes if change.revision == self.revision)

    @property
    def share(self) -> float:
        """Of the send rate: 0 while held."""
        return 0.0 if self.held else RAMP[self.stage]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the account has to look like for a lane.

    Attributes:
        polling: whether the event source mapping is enabled.
        sending: whether the configuration set sends.
        batch: messages that the mapping hands over at a time: one during a ramp, when each may have to wait its turn.
    """

    polling: bool
    sending: bool
    batch: int


def wanted(lane: Lane, full_batch: int) -> Wanted:
    """What follows from a lane's state."""
    return Wanted(polling=not lane.held, sending=not lane.held, batch=full_batch if lane.stage == FULL else 1)


def engage(lane: Lane, hold: Hold) -> Lane:
    """The lane held by `hold.holder` as well; unchanged if it is already, whose first word stands."""
    if hold.holder in lane.holds:
        return lane
    change = Change(at=hold.since, what="engaged", holder=hold.holder, by=hold.by, reason=hold.reason)
    return replace(_with(change, lane), holds={**lane.holds, hold.holder: hold})


def release(lane: Lane, *, by: str, reason: str, start: Start, holders: Collection[Holder] = tuple(Holder)) -> Lane:
    """The lane without the holds of `holders`; unchanged if there are none. With its last hold it begins its ramp, and
    what was counted before `start` counts no more: it would trip the guards again."""
    let_go = [holder for holder in lane.holds if holder in holders]
    if not let_go:
        return lane
    left = {holder: hold for holder, hold in lane.holds.items() if holder not in holders}
    change = Change(at=start.at, what="released", holder=",".join(let_go), by=by, reason=reason)
    trial = lane.trial or Holder.REPUTATION in let_go
    if left:
        return replace(_with(change, lane), holds=left, trial=trial)
    return replace(_with(change, lane), holds={}, stage=0, stage_since=None, trial=trial, start=start)


def pass_trial(lane: Lane, *, at: datetime, by: str, reason: str) -> Lane:
    """The lane after its reputation has proved good; unchanged if it is not on trial."""
    if lane.held or not lane.trial:
        return lane
    change = Change(at=at, what="trial passed", holder=Holder.REPUTATION, by=by, reason=reason)
    return replace(_with(change, lane), trial=False)


def advance(lane: Lane, at: datetime) -> Lane:
    """The lane at the time of a schedule's run: a stage further, if it has been long enough at its own and is not on
    trial. Only these times are compared with one another."""
    if lane.held or lane.stage == FULL:
        return lane
    if lane.stage_since is None:
        return replace(lane, stage_since=at)
    if lane.trial or at - lane.stage_since < STAGE:
        return lane
    return replace(lane, stage=lane.stage + 1, stage_since=at)


def _with(change: Change, lane: Lane) -> Lane:
    """The lane that remembers a change, which is to come with its next revision."""
    change = replace(change, revision=lane.revision + 1)
    return replace(lane, changes=(*lane.changes, change)[-CHANGES_KEPT:])
