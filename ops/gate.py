"""The gate after a deployment: an order of the prober's has to come out as an email, and nothing may be paging."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from handlers.mail.lifecycle import Status, timestamp
from ops.stack import Stack

if TYPE_CHECKING:
    from mypy_boto3_cloudwatch import CloudWatchClient
    from mypy_boto3_lambda import LambdaClient

PAGE = "-page"
"""How the name of an alarm ends that pages (components/watch.py)."""

POLL = 10.0
"""Seconds between two looks: alarms are judged once a minute, and a probe takes a few seconds."""


@dataclass(frozen=True, slots=True)
class Probe:
    """What a run of the prober said.

    Attributes:
        order_id: of its order; "" where the function did not get that far.
        status: where its email stood in the end.
        reason: why it failed; "" if it did not.
        latency: milliseconds from publication to delivery; None if it was not delivered.
    """

    order_id: str = ""
    status: str = ""
    reason: str = ""
    latency: float | None = None

    @property
    def delivered(self) -> bool:
        return self.status == Status.DELIVERED


@dataclass(frozen=True, slots=True)
class Raised:
    """An alarm that pages and is in ALARM.

    Attributes:
        since: as the ledger writes times; "" where CloudWatch does not say.
    """

    name: str
    since: str
    reason: str


@dataclass(frozen=True, slots=True)
class Passage:
    """What the gate saw in the end.

    Attributes:
        probes: all that were sent; the last one counts.
        raised: alarms that page and are in ALARM, by the last look.
    """

    stack: str
    probes: tuple[Probe, ...]
    raised: tuple[Raised, ...]

    @property
    def open(self) -> bool:
        return self.probes[-1].delivered and not self.raised


def wait(
    stack: Stack,
    *,
    timeout: float,
    on_change: Callable[[Passage], None] = lambda _: None,
    clock: Callable[[], float] = time.monotonic,
    pause: Callable[[float], None] = time.sleep,
) -> Passage:
    """Probe until a probe comes out, and look until no page is in ALARM; `timeout` seconds at most, and always once.

    A single probe may meet a throttle, and an alarm that takes silence for failure clears only once there is a point:
    both get until then. A probe under way is waited for.

    Raises:
        ClientError, BotoCoreError: the prober cannot be run, or the alarms cannot be looked at.
    """
    deadline = clock() + timeout
    topics = {stack.outputs.alarms_topic_arn, stack.outputs.page_topic_arn}
    passage = Passage(stack.outputs.stack, (), ())
    while True:
        if not passage.probes or not passage.probes[-1].delivered:
            probe = run_probe(stack.waiting_lambda, stack.outputs.probe_function_arn)
            passage = replace(passage, probes=(*passage.probes, probe))
        passage = replace(passage, raised=paging(stack.cloudwatch, topics))
        on_change(passage)
        left = deadline - clock()
        if passage.open or left <= 0:
            return passage
        pause(min(POLL, left))


def run_probe(lambda_: LambdaClient, function: str) -> Probe:
    """Run the prober once and have its finding. What it raises is a failed probe, too."""
    answer = lambda_.invoke(FunctionName=function, Payload=b"{}")
    text = answer["Payload"].read()
    said: Any = json.loads(text) if text else None
    found: Mapping[str, Any] = said if isinstance(said, dict) else {}
    if answer.get("FunctionError"):
        return Probe(reason=f"the prober failed: {found.get('errorMessage') or answer['FunctionError']}")
    if "status" not in found:
        return Probe(reason="the prober said nothing of its probe: the function is older than this command")
    latency = found.get("latencyMs")
    return Probe(
        order_id=str(found.get("orderId", "")),
        status=str(found["status"]),
        reason=str(found.get("reason", "")),
        latency=None if latency is None else float(latency),
    )


def paging(cloudwatch: CloudWatchClient, topics: Collection[str]) -> tuple[Raised, ...]:
    """The alarms in ALARM that page somebody by one of `topics`, oldest first. An alarm that only moves another one has
    no topic, and what it moves is told."""
    pages = cloudwatch.get_paginator("describe_alarms").paginate(
        StateValue="ALARM", AlarmTypes=["MetricAlarm", "CompositeAlarm"]
    )
    alarms: list[Any] = [
        alarm for page in pages for kind in ("MetricAlarms", "CompositeAlarms") for alarm in page[kind]
    ]
    ours = [
        Raised(alarm["AlarmName"], _moment(alarm.get("StateUpdatedTimestamp")), alarm.get("StateReason", ""))
        for alarm in alarms
        if alarm["AlarmName"].endswith(PAGE) and not {*topics}.isdisjoint(alarm.get("AlarmActions", []))
    ]
    return tuple(sorted(ours, key=lambda alarm: (alarm.since, alarm.name)))


def document(passage: Passage) -> dict[str, Any]:
    """All of it, for another program."""
    return {
        "stack": passage.stack,
        "open": passage.open,
        "probes": [
            {"orderId": each.order_id, "status": each.status, "reason": each.reason, "latencyMs": each.latency}
            for each in passage.probes
        ],
        "raised": [{"alarm": each.name, "since": each.since, "reason": each.reason} for each in passage.raised],
    }


def _moment(at: datetime | None) -> str:
    return timestamp(at.astimezone(UTC)) if at else ""
