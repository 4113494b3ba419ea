"""Incidents that are really induced in a local run, and what has to come of each: one page, and word of its end.

`make demo INCIDENT=...` plays one. By CloudWatch's clock: half an hour as any other; the incident, until somebody is
paged; a few minutes later it is mended; then the hours until the alarms are over. Where a guard held the orders back,
mending includes releasing them, by the operator's own command.
"""

from __future__ import annotations

import io
import time
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from difflib import get_close_matches
from functools import partial
from pathlib import Path
from typing import Any, Final

from handlers.guarding.brake import Holder
from handlers.telemetry.contract import Lane
from local.aws import LocalAws
from local.config import Value
from local.drill import Drill, Entry, Told
from local.report import build_report
from local.run import Run, depth, gather
from observability.model import HOUR, State
from ops.brake import release_lanes
from ops.errors import Exit, OpsError

BEFORE: Final = 30
"""Minutes of normal traffic before the incident."""

NOTICED: Final = 5
"""Minutes from a page to the remedy: whoever is paged has to get up."""

PAGED_WITHIN: Final = 2 * HOUR
OVER_WITHIN: Final = 9 * HOUR
"""Longest wait by CloudWatch's clock; a rate over six hours takes as long to forget."""

AFTER: Final = 10
"""Minutes after the end in which nobody may be told of anything more."""

STORM, BOUNCING = 9, 3
"""Orders a minute during a bounce storm, and how many more of them bounce."""

PROVIDER: Final = "provider.example"

LOOPING: Final = 20
"""Orders a minute of a loop."""

LITTLE: Final[Mapping[str, Value]] = {"spendPerHour": "0.06", "spendPerDay": "0.2"}
"""USD: some three hundred emails. A loop has to be long enough to be one, and short enough to be watched."""

QUICKLY: Final[Mapping[str, Value]] = {"sendRate": 500}
"""So that a ramp, which begins at a twentieth of it and goes by this machine's clock, does not take minutes."""

ENGAGED: Final = "brake-engaged-page"

RETURN_SECONDS: Final = 10
"""Visibility timeout of the queue of orders while its function is broken, in place of minutes: an order that failed
comes back by this machine's clock, and the incident would have to wait for it."""

Act = Callable[[Drill], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Incident:
    """One kind of incident.

    Attributes:
        title: what goes wrong, in one line.
        page: name of the alarm that has to page, without project and stack.
        induce, mend: each returns what it did, in words.
        meanwhile: what happens in each minute from the one to the other.
        overrides: settings of the stack that differ.
        holds: the holder by whom a guard has to hold the confirmations; "" where none has a part in it.
    """

    title: str
    page: str
    induce: Callable[[Drill], str]
    mend: Callable[[Drill], str]
    meanwhile: Act | None = None
    overrides: Mapping[str, Value] = field(default_factory=dict)
    holds: str = ""


@dataclass(frozen=True, slots=True)
class Played:
    """How an incident went; times are epoch seconds of CloudWatch's clock.

    Attributes:
        held: by whom the confirmations were when it was mended.
        parked: how many orders waited then.
    """

    name: str
    incident: Incident
    drill: Drill
    run: Run
    induced: int
    mended: int | None
    held: Sequence[str] = ()
    parked: int = 0

    @property
    def pages(self) -> list[Told]:
        return [mail for mail in self.drill.pages if mail.state is not State.OK]

    @property
    def recoveries(self) -> list[Told]:
        """CloudWatch also tells the end of what it kept back while the brake held a lane: that is of no page."""
        paged = {mail.alarm for mail in self.pages}
        return [mail for mail in self.drill.pages if mail.state is State.OK and mail.alarm in paged]

    @property
    def faults(self) -> list[str]:
        """What should not have been; nothing if all is well."""
        others = sorted({mail.alarm for mail in self.pages} - {self.incident.page})
        holders = [self.incident.holds] if self.incident.holds else []
        raised = sorted(name for name, state in self.drill.watcher.states.items() if state is State.ALARM)
        report = build_report(self.run.evidence)
        found = {
            f"{len(self.pages)} pages, where there should be one": len(self.pages) != 1,
            f"{len(self.recoveries)} messages that it is over, where there should be one": len(self.recoveries) != 1,
            f"a page by {', '.join(others)}, where there should be one by {self.incident.page}": others,
            f"still in ALARM: {', '.join(raised)}": raised,
            f"held by {', '.join(self.held) or 'nobody'}, where it should be {', '.join(holders) or 'nobody'}": (
                [*self.held] != holders
            ),
            f"{report['lost']} orders lost": report["lost"],
            f"{report['duplicates']} emails sent twice": report["duplicates"],
            f"{report['emails']['unknown']} emails without an outcome": report["emails"]["unknown"],
            f"{self.run.abandoned} messages in dead-letter queues": self.run.abandoned,
        }
        return [what for what, so in found.items() if so]

    def report(self) -> dict[str, Any]:
        """As it is written to build/report.json, under `incident`."""
        drill = self.drill
        return {
            "name": self.name,
            "title": self.incident.title,
            "induced": _iso(self.induced),
            "paged": _iso(self.pages[0].at) if self.pages else None,
            "mended": _iso(self.mended) if self.mended else None,
            "over": _iso(self.recoveries[-1].at) if self.recoveries else None,
            "pages": len(self.pages),
            "recoveries": len(self.recoveries),
            "tickets": sorted({mail.alarm for mail in drill.told if mail.severity == "ticket"}),
            "held": [*self.held],
            "parked": self.parked,
            "orders": len(drill.published),
            "faults": self.faults,
            "timeline": [{"at": _iso(entry.at), "kind": entry.kind, "text": entry.text} for entry in drill.story],
        }


def play(aws: LocalAws, name: str, *, say: Callable[[Entry], None] = lambda _: None) -> Played:
    """Deploy to a watched account, and play the incident of that name from its beginning to its end.

    Raises:
        OpsError: there is no such incident, or the account got stuck.
        ClientError, BotoCoreError, DeploymentError, TwinError: the account failed.
    """
    incident = named(name)
    drill = Drill(aws, say, incident.overrides)
    began = time.monotonic()
    drill.open()
    for _ in range(BEFORE):
        drill.minute()
    drill.note(f"half an hour as any other: {len(drill.published)} orders, and nobody is told of anything")
    induced = drill.now
    drill.note(incident.induce(drill))
    during = [partial(incident.meanwhile, drill)] if incident.meanwhile else []
    drill.until(lambda: bool(drill.pages), *during, within=PAGED_WITHIN)
    mended, held, parked = None, list[str](), 0
    if drill.pages:
        for _ in range(NOTICED):
            drill.minute(*during)
        mended = drill.now
        held, parked = _held(drill), depth(drill.stack, drill.stack.outputs.send_queue_url)
        drill.note(incident.mend(drill))
        if held:
            drill.note(_release(drill, parked))
        drill.until(lambda: drill.pages[-1].state is State.OK and _calm(drill), within=OVER_WITHIN)
        for _ in range(AFTER):
            drill.minute()
    drill.settle(all_back=mended is not None)
    drill.read_mail()
    ran = gather(aws, drill.stack, drill.published, took=time.monotonic() - began)
    return Played(name, incident, drill, ran, induced, mended, held, parked)


def named(name: str) -> Incident:
    """Raises OpsError: there is none of that name; with those that there are."""
    if name in INCIDENTS:
        return INCIDENTS[name]
    near = get_close_matches(name, INCIDENTS, n=1)
    raise OpsError(
        f"There is no incident {name!r}; there are {', '.join(INCIDENTS)}.",
        f"Did you mean {near[0]}?" if near else f"`make demo INCIDENT={next(iter(INCIDENTS))}`, for one.",
        Exit.USAGE,
    )


def _calm(drill: Drill) -> bool:
    return State.ALARM not in drill.watcher.states.values()


def _held(drill: Drill) -> list[str]:
    """By whom the confirmations are held."""
    return [holder.value for holder in drill.stack.control.lane(Lane.CONFIRMATION).holds]


def _release(drill: Drill, parked: int) -> str:
    """Let the confirmations go, as `python -m ops release` does."""
    for done in release_lanes(drill.stack, [Lane.CONFIRMATION], reason="the cause is mended", now=datetime.now(UTC)):
        if done.fault:
            raise OpsError(f"The lane was not released: {done.fault}.")
    drill.settle(all_back=True)
    return f"{parked} orders are parked in the queue; the lane is released, and they are sent at the ramp's pace"


# A mail provider that denies its own customers


def _directory_fails(drill: Drill) -> str:
    drill.aws.twin.configure(outcomes={f"*@{PROVIDER}": "bounce"})
    share = f"{BOUNCING} of {STORM + BOUNCING} orders a minute"
    return f"a mail provider's directory fails: it says of each of its customers that they do not exist, in {share}"


def _storm(drill: Drill) -> None:
    drill.send(STORM)
    drill.send(BOUNCING, "customer-{order}@" + PROVIDER)


def _directory_is_back(drill: Drill) -> str:
    drill.aws.twin.configure(outcomes={})
    return "the provider's directory is back; its customers exist again"


# An order system that repeats itself under new names


def _loop_begins(_drill: Drill) -> str:
    return f"an order system loops: {LOOPING} new orders a minute, and each would be an email"


def _loop(drill: Drill) -> None:
    drill.send(LOOPING)


def _loop_ends(_drill: Drill) -> str:
    return "the loop is stopped"


# A deploy that breaks the handler


def _deploy_broken(drill: Drill) -> str:
    """A new version whose archive lacks a module, and the alias moved to it, as a deployment would."""
    function = drill.aws.outputs["sendFunctionName"]
    client = drill.aws.client("lambda")
    declared = next(each for each in _created(drill, "aws:lambda/function:Function") if each.id == function)
    broken = _without(Path(declared.inputs["code"].path), "handlers/mail/letter.py")
    _return_after(drill, RETURN_SECONDS)
    version = client.update_function_code(FunctionName=function, ZipFile=broken, Publish=True)["Version"]
    _move_alias(drill, version)
    return "send_email is deployed from an archive that lacks a module: it fails on every order"


def _roll_back(drill: Drill) -> str:
    declared = next(each for each in _created(drill, "aws:lambda/alias:Alias") if _is_send(drill, each.inputs))
    _move_alias(drill, str(declared.inputs["functionVersion"]))
    drill.settle(all_back=True)
    queue = next(
        each for each in _created(drill, "aws:sqs/queue:Queue") if each.id == drill.stack.outputs.send_queue_url
    )
    _return_after(drill, int(queue.inputs["visibilityTimeoutSeconds"]))
    return "the deploy is rolled back; the orders that failed come back to it from the queue"


def _without(archive: Path, module: str) -> bytes:
    """The archive without a module. Raises KeyError: it has none of that name."""
    made = io.BytesIO()
    with zipfile.ZipFile(archive) as whole, zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as rest:
        whole.getinfo(module)
        for each in whole.infolist():
            if each.filename != module:
                rest.writestr(each, whole.read(each))
    return made.getvalue()


def _move_alias(drill: Drill, version: str) -> None:
    declared = next(each for each in _created(drill, "aws:lambda/alias:Alias") if _is_send(drill, each.inputs))
    drill.aws.client("lambda").update_alias(
        FunctionName=drill.aws.outputs["sendFunctionName"], Name=declared.outputs["name"], FunctionVersion=version
    )


def _is_send(drill: Drill, inputs: Mapping[str, Any]) -> bool:
    return str(inputs["functionName"]).endswith(drill.aws.outputs["sendFunctionName"])


def _return_after(drill: Drill, seconds: int) -> None:
    drill.stack.sqs.set_queue_attributes(
        QueueUrl=drill.stack.outputs.send_queue_url, Attributes={"VisibilityTimeout": str(seconds)}
    )


def _created(drill: Drill, type_: str) -> list[Any]:
    assert drill.aws.deployment is not None
    return [each for each in drill.aws.deployment.created if each.type == type_]


# A queue that nobody takes from


def _throttle(drill: Drill) -> str:
    """No execution is left to the function. Switching its mappings off would not do: the brake puts that right."""
    drill.aws.client("lambda").put_function_concurrency(
        FunctionName=drill.aws.outputs["sendFunctionName"], ReservedConcurrentExecutions=0
    )
    drill.unattended |= {lane.queue_url.rsplit("/", 1)[-1] for lane in drill.stack.outputs.lanes}
    return "somebody throttles send_email in the console, to no execution at all: orders are taken, and wait"


def _stop_throttling(drill: Drill) -> str:
    drill.aws.client("lambda").delete_function_concurrency(FunctionName=drill.aws.outputs["sendFunctionName"])
    drill.unattended.clear()
    drill.settle(all_back=True)
    return "the throttle is taken off; what waited in the queue is sent"


INCIDENTS: Final[Mapping[str, Incident]] = {
    "bounce-storm": Incident(
        title="Emails bounce, more than SES puts up with",
        page=ENGAGED,
        induce=_directory_fails,
        meanwhile=_storm,
        mend=_directory_is_back,
        overrides=QUICKLY,
        holds=Holder.REPUTATION,
    ),
    "runaway": Incident(
        title="A loop makes orders without end, and each costs",
        page=ENGAGED,
        induce=_loop_begins,
        meanwhile=_loop,
        mend=_loop_ends,
        overrides={**QUICKLY, **LITTLE},
        holds=Holder.SPEND,
    ),
    "handler-fails": Incident(
        title="A deploy breaks the function that sends",
        page="pipeline-down-page",
        induce=_deploy_broken,
        mend=_roll_back,
    ),
    "queue-stopped": Incident(
        title="Nobody takes orders from the queue",
        page="pipeline-down-page",
        induce=_throttle,
        mend=_stop_throttling,
    ),
}


def _iso(at: int) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%MZ")
