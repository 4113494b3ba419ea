"""Lambda `brake`: lanes' event source mappings and configuration sets, brought to what the control table says.

It decides nothing: guards and people write who holds a lane, and this follows (`guarding.brake`, `adapters.sluice`).
The table's stream calls it after each write; a schedule calls it besides, to set right what was missed or changed by
other hands, and to move ramps on.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from functools import partial
from typing import Any

import boto3

from handlers.adapters import clients
from handlers.adapters.control import Control, lane_of
from handlers.adapters.sluice import Gates, NotTaken, Sluice
from handlers.environment import Brake
from handlers.guarding.brake import Change, Lane, advance
from handlers.schedule import due
from handlers.telemetry import contract, tracing
from handlers.telemetry.contract import Property
from handlers.telemetry.logs import make_logger
from handlers.telemetry.metrics import emit
from handlers.telemetry.spend import Meter

LAST_SECONDS = 10.0
"""No pause is begun that leaves less before the invocation ends: time for one more look, and to say how it went."""

env = Brake.read(os.environ)
tracing.start(stack=env.stack)
log = make_logger("brake", level=env.log_level, stack=env.stack)
dynamodb = boto3.client("dynamodb", config=clients.CONFIG)
control = Control(dynamodb, env.control_table)
meter = Meter(env.stack, env.prices, control, log)
meter.watch(dynamodb)
functions = boto3.client("lambda", config=clients.CONFIG)
emails = boto3.client("sesv2", config=clients.CONFIG)
sluices = {
    lane: Sluice(functions, emails, Gates(parts["mapping"], parts["configurationSet"]))
    for lane, parts in env.lanes.items()
}
workers = ThreadPoolExecutor(max_workers=10)
logged: set[tuple[str, Change]] = set()
"""What the log has, by lane: a failed invocation is repeated, and its news are not."""


class BrakeFault(Exception):
    """Lanes that are not what they should be. Lambda invokes again."""


@meter.metered
def handler(event: Mapping[str, Any], context: Any) -> None:
    """Records of the control table's stream, of lanes only (Lambda developer guide, "Using Lambda with DynamoDB"), or
    the schedule's `{"at": time}`. Told again, either changes nothing.

    Raises:
        BrakeFault: after every lane had its turn.
    """
    records = event.get("Records", ())
    news = [(lane.name, change) for lane in written(records) for change in lane.news]
    for lane, change in news:
        tell(lane, change)
    names = sorted({record["dynamodb"]["Keys"]["key"]["S"] for record in records} if records else env.lanes)
    at = None if records else due(event)
    settled = dict(zip(names, workers.map(partial(settle, at=at, context=context), names), strict=True))
    lanes = [settled.get(name) or control.lane(name) for name in env.lanes]
    tell_held([lane for lane in lanes if lane.held], let_go=any(change.what == "released" for _, change in news))
    if faulty := [name for name, lane in settled.items() if lane is None]:
        raise BrakeFault(f"not as the control table says: {', '.join(faulty)}")


def settle(name: str, at: datetime | None, context: Any) -> Lane | None:
    """Bring a lane to what it should be, and then, on a schedule's run, its ramp on; None if that failed. The outermost
    edge: no fault of one lane reaches another."""

    def follow(lane: Lane) -> Lane:
        wait = partial(pause, context)
        return sluices[name].settle(lane, read=control.lane, full_batch=env.full_batch, wait=wait)

    with tracing.traced("settle", lane=name):
        try:
            if name not in sluices:
                raise NotTaken(f"LANES has no such lane, only {', '.join(env.lanes)}")
            lane = follow(control.lane(name))
            if at:
                lane, moved = control.alter(name, lambda lane: advance(lane, at))
                lane = follow(lane) if moved else lane
        except NotTaken as fault:
            reason = str(fault)
            log.error("brake not taken", extra={Property.LANE.value: name, Property.REASON.value: reason})
        except Exception as error:
            reason = f"{type(error).__name__}: {error}"
            log.exception("brake not taken", extra={Property.LANE.value: name})
        else:
            return lane
    emit(env.stack, {contract.BRAKE_FAULTS: 1}, **{Property.LANE.value: name, Property.REASON.value: reason})
    return None


def tell(lane: str, change: Change) -> None:
    """Log who did what to a lane, once."""
    if (lane, change) in logged:
        return
    logged.add((lane, change))
    told = {
        Property.LANE.value: lane,
        Property.HOLDER.value: change.holder,
        Property.BY.value: change.by,
        Property.REASON.value: change.reason,
        Property.SINCE.value: change.at.isoformat(),
    }
    log.info(change.what, extra=told)


def tell_held(held: Sequence[Lane], *, let_go: bool) -> None:
    """Emit how many lanes are held, by whom and why; that none is any more, only when one was let go."""
    if not (held or let_go):
        return
    holds = [(lane.name, hold) for lane in held for hold in lane.holds.values()]
    told = {
        Property.LANE: [name for name, _ in holds],
        Property.HOLDER: [hold.holder.value for _, hold in holds],
        Property.BY: [hold.by for _, hold in holds],
        Property.REASON: [hold.reason for _, hold in holds],
        Property.SINCE: [hold.since.isoformat() for _, hold in holds],
    }
    emit(env.stack, {contract.BRAKE_ENGAGED: len(held)}, **{key.value: ", ".join(each) for key, each in told.items()})


def written(records: Iterable[Mapping[str, Any]]) -> list[Lane]:
    """The lanes in records of the stream, each as that write left it."""
    return [lane_of(image) for record in records if (image := record["dynamodb"].get("NewImage"))]


def pause(context: Any, seconds: float) -> bool:
    """Sleep, if the invocation has the time for that; whether it had."""
    if context.get_remaining_time_in_millis() / 1000 - seconds < LAST_SECONDS:
        return False
    time.sleep(seconds)
    return True
