"""Stacks and rules as small as a test of the engine needs them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from typing import Any, Final

from observability.program.resources import Resource
from policies.model import NotApplicable, Rule, Stack, rule, value

TODAY: Final = date(2026, 11, 23)
QUEUE: Final = "aws:sqs/queue:Queue"
TOPIC: Final = "aws:sns/topic:Topic"


def resource(name: str, type_: str = QUEUE, /, **inputs: Any) -> Resource:
    return Resource(type=type_, name=name, urn=f"urn:pulumi:prod::shop::{type_}::{name}", inputs=inputs)


def stack(*resources: Resource, name: str = "prod", **settings: Any) -> Stack:
    return Stack("shop", name, resources, settings, TODAY)


@rule(
    "short-delay",
    QUEUE,
    about="Queues hand over at once",
    reason="Somebody waits for the message.",
    remedy="Lower delaySeconds.",
    defaults={"seconds": 10, "quick": []},
    settings={"seconds": "the longest delay", "quick": "names of queues that may have none"},
)
def short_delay(queue: Resource, of: Stack) -> Iterator[str]:
    if value(queue, "fifoQueue"):
        raise NotApplicable
    delay = value(queue, "delaySeconds") or 0
    if delay > (0 if queue.name in of.settings["quick"] else of.settings["seconds"]):
        yield f"delaySeconds is {delay}"


@rule(
    "some-topic",
    about="The stack has a topic",
    reason="Nothing is told without one.",
    remedy="Declare a topic.",
)
def some_topic(_root: Resource, of: Stack) -> Iterator[str]:
    if not of.of(TOPIC):
        yield "it has no topic"


RULES: Final[tuple[Rule, ...]] = (short_delay, some_topic)
