"""`gate`: whether a deployment may stand."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

import typer

from ops import show
from ops.errors import Exit
from ops.gate import Passage, Probe, Raised, document, wait
from ops.stack import LOCAL, Stack
from ops.text import clock, duration

BACK = (
    "The deployment stands, and is not fit to. To go back: on dev, revert the commit on main; on prod, run the last"
    " good tag's deployment again (docs/deployment.md). What is held in queues is sent once the way is open again."
)
BACK_HERE = "Look into build/local, or at `make demo`."


def gate(
    ctx: typer.Context,
    timeout: Annotated[float, typer.Option(min=0, help="Seconds to get through it, at most.")] = 300,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for another program.")] = False,
) -> None:
    """Say whether a deployment may stand: an order of the prober's comes out as an email, and no page is in ALARM.

    The prober is run until a probe comes out; alarms get as long to clear. Alarms are a few minutes behind what they
    watch, so what only shows under load is theirs to find, after this.
    """
    stack: Stack = ctx.obj()
    told: set[Probe | Raised] = set()

    def tell(passage: Passage) -> None:
        seen: list[Probe | Raised] = [*passage.probes, *passage.raised]
        for each in seen:
            if each not in told and not as_json:
                told.add(each)
                show.err().print(_probe(each) if isinstance(each, Probe) else _raised(each), markup=False)

    passage = wait(stack, timeout=timeout, on_change=tell)
    if as_json:
        show.print_json(document(passage))
    elif passage.open:
        show.out().print(f"Stack {passage.stack} may stand: a probe came out, and nothing pages.")
    else:
        show.out().print(f"Stack {passage.stack} did not pass the gate within {timeout:g} s: {_why(passage)}.")
        show.out().print(BACK_HERE if passage.stack == LOCAL else BACK)
    raise typer.Exit(Exit.DONE if passage.open else Exit.NOT_DONE)


def _probe(probe: Probe) -> str:
    order = f"probe {probe.order_id}" if probe.order_id else "probe"
    if probe.latency is not None:
        return f"{order}: delivered in {duration(timedelta(milliseconds=probe.latency))}"
    return f"{order}: {probe.reason or probe.status}"


def _raised(alarm: Raised) -> str:
    since = f" since {clock(alarm.since)[:16]} UTC" if alarm.since else ""
    return f"{alarm.name} is in ALARM{since}: {alarm.reason}"


def _why(passage: Passage) -> str:
    """What stands in the way."""
    parts = [] if passage.probes[-1].delivered else ["no probe came out as an email"]
    if passage.raised:
        parts.append(f"in ALARM: {', '.join(alarm.name for alarm in passage.raised)}")
    return "; ".join(parts)
