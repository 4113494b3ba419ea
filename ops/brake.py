"""Holding lanes and letting them go by a person's word.

The word is written first: it stands, and the function `brake` goes on trying whatever becomes of the rest. Then the
function's own code acts with the operator's permissions, so that a lane stops even when the function does not run.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from botocore.exceptions import BotoCoreError, ClientError

from handlers.adapters.control import Control
from handlers.adapters.sluice import Gates, NotTaken, Sluice
from handlers.guarding.brake import Hold, Holder, Lane, engage, release, wanted
from handlers.guarding.tally import SPEND, Start, outcomes, slot_counts
from ops.errors import explain
from ops.stack import Stack

FULL_BATCH = 10
"""Messages that an open lane's mapping hands over at a time, as the stack's program sets it (`BATCH_SIZE` in
components/consumer.py)."""

PATIENCE = 90.0
"""Seconds that a lane is tried for. Lambda takes up to a minute to carry out a change of a mapping, and until then
refuses another."""

Change = Callable[[Lane], Lane]


@dataclass(frozen=True, slots=True)
class Done:
    """What became of one lane.

    Attributes:
        lane: as it was written; None if it was not.
        changed: whether the word was news.
        fault: what did not take, in words; empty when the account is what the lane wants.
    """

    name: str
    lane: Lane | None
    changed: bool = False
    fault: str = ""


def hold_lanes(stack: Stack, names: Sequence[str], *, reason: str, now: datetime) -> list[Done]:
    """Hold each of the lanes by the operator's word, then shut them."""
    hold = Hold(holder=Holder.OPERATOR, by=stack.operator, reason=reason, since=now)
    return _carry_out(stack, names, lambda _name: lambda lane: engage(lane, hold))


def release_lanes(
    stack: Stack, names: Sequence[str], *, reason: str, now: datetime, holders: Collection[Holder] = tuple(Holder)
) -> list[Done]:
    """Let go what `holders` hold of the lanes, then open those that nobody holds any more."""

    def change(name: str) -> Change:
        start = start_of(stack.control, name, now)
        return lambda lane: release(lane, by=stack.operator, reason=reason, start=start, holders=holders)

    return _carry_out(stack, names, change)


def start_of(control: Control, lane: str, now: datetime) -> Start:
    """A release at `now`: what the slot under way has counted already is not held against the lane again."""
    counted: dict[str, Decimal] = {}
    for scope in (SPEND, outcomes(lane)):
        counted |= slot_counts(control.hours(scope, now, now), now)
    return Start(now, counted)


def mismatch(stack: Stack, lane: Lane) -> str:
    """What in the account is not as the lane wants it, in words; empty when all is."""
    return "; ".join(_sluice(stack, lane.name).differences(wanted(lane, FULL_BATCH)))


# The last resort


def attach_resort(stack: Stack) -> None:
    """Deny sending to the function's role: IAM then refuses every email, whatever else is set."""
    stack.iam.attach_role_policy(RoleName=stack.outputs.send_role_name, PolicyArn=stack.outputs.deny_send_policy_arn)


def detach_resort(stack: Stack) -> None:
    """Take the deny off again. Not attached is fine."""
    try:
        stack.iam.detach_role_policy(
            RoleName=stack.outputs.send_role_name, PolicyArn=stack.outputs.deny_send_policy_arn
        )
    except stack.iam.exceptions.NoSuchEntityException:
        if resort_attached(stack):
            raise


def resort_attached(stack: Stack) -> bool:
    """Whether the role is denied sending, by an operator or by the budget's action."""
    pages = stack.iam.get_paginator("list_attached_role_policies").paginate(RoleName=stack.outputs.send_role_name)
    return any(
        policy["PolicyArn"] == stack.outputs.deny_send_policy_arn
        for page in pages
        for policy in page["AttachedPolicies"]
    )


def attempt(action: Callable[[], None]) -> str:
    """What AWS said against the action, in words; empty if it was done. One refusal must not stop what else can be
    done."""
    try:
        action()
    except (ClientError, BotoCoreError) as error:
        return explain(error).message
    return ""


# Writing and acting


def _carry_out(stack: Stack, names: Sequence[str], change: Callable[[str], Change]) -> list[Done]:
    # All words are written before anything is acted on: what takes its time in one lane must not keep another open.
    written = [_write(stack, name, change) for name in names]
    return [done if done.lane is None else _act(stack, done) for done in written]


def _write(stack: Stack, name: str, change: Callable[[str], Change]) -> Done:
    try:
        return Done(name, *stack.control.alter(name, change(name)))
    except (ClientError, BotoCoreError) as error:
        return Done(name, None, fault=explain(error).message)
    except TimeoutError as error:
        return Done(name, None, fault=f"{error}.")


def _act(stack: Stack, done: Done) -> Done:
    assert done.lane is not None
    try:
        lane = _sluice(stack, done.name).settle(
            done.lane, read=stack.control.lane, full_batch=FULL_BATCH, wait=_waiter(PATIENCE)
        )
    except (ClientError, BotoCoreError) as error:
        return Done(done.name, done.lane, done.changed, explain(error).message)
    except NotTaken as error:
        return Done(done.name, done.lane, done.changed, str(error))
    return Done(done.name, lane, done.changed)


def _waiter(patience: float) -> Callable[[float], bool]:
    """Pauses as long as they fit into `patience` seconds from now on."""
    end = time.monotonic() + patience

    def wait(seconds: float) -> bool:
        if time.monotonic() + seconds > end:
            return False
        time.sleep(seconds)
        return True

    return wait


def _sluice(stack: Stack, name: str) -> Sluice:
    at = stack.outputs.lane(name)
    return Sluice(stack.lambda_, stack.sesv2, Gates(at.mapping_id, at.configuration_set))
