"""`python -m ops brake` and `release`: a person holds lanes, and lets them go."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer

from handlers.guarding.brake import RAMP, STAGE, Holder, Lane
from ops import show
from ops.brake import Done, attach_resort, attempt, detach_resort, hold_lanes, release_lanes, resort_attached
from ops.errors import Exit
from ops.overview import lane_document, render_lanes, seen, standings, state
from ops.stack import Stack
from ops.text import mask

Lanes = Annotated[list[str] | None, typer.Argument(metavar="[LANE]...", help="Lanes; without any, all of them.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, for another program.")]


def brake(
    ctx: typer.Context,
    reason: Annotated[str, typer.Option(help="Why; kept with the lane, and told to whoever is paged.")],
    lanes: Lanes = None,
    last_resort: Annotated[
        bool, typer.Option("--last-resort", help="Also take the permission to send from the function's role.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Stop sending, in some lanes or in all.

    Orders wait in the lane's queue, for up to 14 days, and none uses up its tries. A lane is held until everybody who
    holds it has released it. Asks nothing: to hold a lane loses no order, and `release` undoes it.
    """
    stack, names, why = _asked(ctx, lanes, reason, last_resort)
    fault = attempt(lambda: attach_resort(stack)) if last_resort else ""
    done = hold_lanes(stack, names, reason=why, now=datetime.now(UTC))
    if last_resort and not as_json:
        _tell_resort(stack, "may not send any more", fault)
    _tell(stack, done, _held, fault, as_json)


def release(
    ctx: typer.Context,
    reason: Annotated[str, typer.Option(help="Why; kept with the lane.")],
    lanes: Lanes = None,
    holder: Annotated[
        list[Holder] | None, typer.Option(help="Only the hold of this one; may be given again. Without it, all holds.")
    ] = None,
    last_resort: Annotated[
        bool, typer.Option("--last-resort", help="Also give the function's role its permission to send back.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Let lanes send again, slowly at first.

    With its last hold gone a lane sends at a twentieth of its rate, and goes faster every 5 minutes; one that the
    reputation guard held stays at a twentieth until enough emails have turned out well. What was spent, and what
    bounced, before now counts no more.
    """
    stack, names, why = _asked(ctx, lanes, reason, last_resort)
    fault = attempt(lambda: detach_resort(stack)) if last_resort else ""
    done = release_lanes(stack, names, reason=why, now=datetime.now(UTC), holders=tuple(holder or Holder))
    if last_resort and not as_json:
        _tell_resort(stack, "may send again", fault)
    _tell(stack, done, _released, fault, as_json)


def _asked(
    ctx: typer.Context, lanes: Sequence[str] | None, reason: str, everywhere: bool
) -> tuple[Stack, list[str], str]:
    """The stack, the lanes asked for, and why, without anybody's address."""
    if not reason.strip():
        raise typer.BadParameter("say why", param_hint="--reason")
    if everywhere and lanes:
        raise typer.BadParameter("it is for all lanes: leave LANE out", param_hint="--last-resort")
    stack: Stack = ctx.obj()
    names = [stack.outputs.lane(name).name for name in lanes or [lane.name for lane in stack.outputs.lanes]]
    return stack, list(dict.fromkeys(names)), mask(reason.strip())


def _tell(stack: Stack, done: Sequence[Done], words: Callable[[Done, Lane], str], fault: str, as_json: bool) -> None:
    """Say what was done and what was not, and what is; ends the command."""
    now = datetime.now(UTC)
    lanes = standings(stack, [each.name for each in done])
    attached = seen(lambda: resort_attached(stack))
    if as_json:
        told = [
            lane_document(standing) | {"changed": each.changed, "fault": each.fault}
            for standing, each in zip(lanes, done, strict=True)
        ]
        show.print_json({"lanes": told, "lastResort": attached, "lastResortFault": fault})
    else:
        for each in done:
            _tell_lane(each, words)
        show.out().print()
        render_lanes(show.out(), lanes, now, attached)
    raise typer.Exit(Exit.NOT_DONE if fault or any(each.fault for each in done) else Exit.DONE)


def _tell_lane(done: Done, words: Callable[[Done, Lane], str]) -> None:
    if done.lane is None:
        show.err().print(f"{done.name}: nothing was written, so nothing was done: {done.fault}", markup=False)
        show.err().print("Try again. `brake --last-resort` needs no table, and stops all lanes.")
        return
    show.out().print(words(done, done.lane), markup=False)
    if done.fault:
        show.err().print(f"{done.name}: it did not take: {done.fault}", markup=False)
        show.err().print("What was written stands, and the function `brake` goes on trying every 5 minutes.")


def _held(done: Done, lane: Lane) -> str:
    holders = ", ".join(lane.holds)
    return f"{lane.name} is held" + ("." if done.changed else f" already ({holders}); the first reason stands.")


def _released(done: Done, lane: Lane) -> str:
    if lane.held:
        return f"{lane.name} is still held by {', '.join(lane.holds)}."
    if not done.changed:
        return f"{lane.name} is not held ({state(lane)}): nothing to release."
    then = (
        "until its reputation has proved good"
        if lane.trial
        else f"and goes faster every {STAGE // timedelta(minutes=1)} minutes"
    )
    return f"{lane.name} is released: it sends at {RAMP[0]:.0%} of its rate, {then}.".replace("%", " %")


def _tell_resort(stack: Stack, may: str, fault: str) -> None:
    role = stack.outputs.send_role_name
    if fault:
        show.err().print(f"The last resort: nothing was changed for role {role}: {fault}", markup=False)
    else:
        show.out().print(f"The last resort: role {role} {may}. IAM takes some seconds to follow.", markup=False)
