"""What cannot be handled is put aside, somebody hears of it, and it is still there when they come."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Final

from observability.program.resources import Resource
from observability.review.iam import as_list
from policies.model import NotApplicable, Stack, rule, value
from policies.relations import QUEUE, names, which

FUNCTION: Final = "aws:lambda/function:Function"
ALARM: Final = "aws:cloudwatch/metricAlarm:MetricAlarm"

_REDRIVE: Final = "aws:sqs/redrivePolicy:RedrivePolicy"
_TARGET: Final = "deadLetterTargetArn"

_GIVES_UP: Final[Mapping[str, tuple[str, str]]] = {
    QUEUE: ("redrivePolicy", _TARGET),
    _REDRIVE: ("redrivePolicy", _TARGET),
    "aws:sns/topicSubscription:TopicSubscription": ("redrivePolicy", _TARGET),
    "aws:cloudwatch/eventTarget:EventTarget": ("deadLetterConfig.arn", ""),
    "aws:scheduler/schedule:Schedule": ("target.deadLetterConfig.arn", ""),
}
"""What puts aside what it cannot deliver: the property that says where, and the key in its JSON."""

_FAILS: Final[Mapping[str, tuple[str, str]]] = {
    FUNCTION: ("deadLetterConfig.targetArn", "name"),
    "aws:lambda/functionEventInvokeConfig:FunctionEventInvokeConfig": (
        "destinationConfig.onFailure.destination",
        "functionName",
    ),
    "aws:lambda/eventSourceMapping:EventSourceMapping": ("destinationConfig.onFailure.destinationArn", "functionName"),
}
"""What puts aside what a function failed on: the property that says where, and the one that names the function."""

_DEFAULT_RETENTION: Final = 4 * 24 * 3600
"""Seconds. https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SetQueueAttributes.html"""


@rule(
    "dead-letter-queue",
    QUEUE,
    about="Queues have a dead-letter queue, unless they are one",
    reason="A message that its consumer cannot handle is tried until its retention ends, and then it is gone.",
    remedy="Set redrivePolicy with a deadLetterTargetArn and a maxReceiveCount.",
    related=True,
)
def dead_letter_queue(queue: Resource, stack: Stack) -> Iterator[str]:
    """https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-dead-letter-queues.html"""
    if value(queue, "redrivePolicy") or which(stack.of(_REDRIVE), lambda each: names(each, "queueUrl", queue)):
        return
    if _sources(queue, stack):
        raise NotApplicable
    yield "redrivePolicy is not set, and nothing names it as its own dead-letter queue"


@rule(
    "dead-letters-alarmed",
    QUEUE,
    about="An alarm watches each dead-letter queue; where only a function's failures are in it, one on the function's"
    " errors will do",
    reason="What is in a dead-letter queue was given up: nobody comes back to it, and it is deleted in the end.",
    remedy="Add an alarm on its ApproximateNumberOfMessagesVisible: what SQS moves there is not counted as sent.",
    related=True,
)
def dead_letters_alarmed(queue: Resource, stack: Stack) -> Iterator[str]:
    """https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/dead-letter-queues-alarms-cloudwatch.html"""
    sources = _sources(queue, stack)
    if not sources:
        raise NotApplicable
    if _alarmed("ApproximateNumberOfMessagesVisible", "QueueName", queue, stack):
        return
    if not all(each.type in _FAILS and _errors_alarmed(each, stack) for each in sources):
        yield "no alarm watches its ApproximateNumberOfMessagesVisible"


@rule(
    "dead-letters-kept",
    QUEUE,
    about="A dead-letter queue keeps messages at least as long as the queues that it is for",
    reason="A message's age counts from when it was sent first: one that waited in the queue for longer than its"
    " dead-letter queue keeps anything is deleted as it arrives there.",
    remedy="Set the dead-letter queue's messageRetentionSeconds to that of the queue or more; the most is 1209600.",
    related=True,
)
def dead_letters_kept(queue: Resource, stack: Stack) -> Iterator[str]:
    """https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/setting-up-dead-letter-queue-retention.html"""
    sources = [each for each in _sources(queue, stack) if each.type == QUEUE]
    if not sources:
        raise NotApplicable
    kept = _retention(queue)
    for source in sources:
        if kept < _retention(source):
            yield (
                f"messageRetentionSeconds is {kept:.0f}, less than the {_retention(source):.0f} of Queue {source.name}"
            )


def _sources(queue: Resource, stack: Stack) -> list[Resource]:
    """What puts aside in this queue what it could not do: with a redrive policy that is a resource of its own, its
    queue too. Raises Unknown."""
    found = which(stack.of(*_GIVES_UP, *_FAILS), partial(_puts_aside, queue=queue))
    return found + [each for each in stack.of(QUEUE) if any(names(source, "queueUrl", each) for source in found)]


def _puts_aside(source: Resource, queue: Resource) -> bool:
    path, key = _GIVES_UP[source.type] if source.type in _GIVES_UP else (_FAILS[source.type][0], "")
    return names(source, path, queue, key)


def _errors_alarmed(source: Resource, stack: Stack) -> bool:
    """Whether an alarm watches the errors of the function whose failures `source` puts aside."""
    _, key = _FAILS[source.type]
    functions = which(stack.of(FUNCTION), lambda each: names(source, key, each))
    return any(_alarmed("Errors", "FunctionName", each, stack) for each in functions)


def _alarmed(metric: str, dimension: str, of: Resource, stack: Stack) -> bool:
    return bool(which(stack.of(ALARM), lambda alarm: _watches(alarm, metric, dimension, of)))


def _watches(alarm: Resource, metric: str, dimension: str, of: Resource) -> bool:
    """Whether an alarm looks at a metric of a resource, by itself or in an expression."""
    queries = as_list(alarm.inputs.get("metricQueries"))
    places = ["", *(f"metricQueries[{number}].metric." for number, _ in enumerate(queries))]
    return any(
        value(alarm, f"{each}metricName") == metric and names(alarm, f"{each}dimensions.{dimension}", of)
        for each in places
    )


def _retention(queue: Resource) -> float:
    return float(value(queue, "messageRetentionSeconds") or _DEFAULT_RETENTION)
