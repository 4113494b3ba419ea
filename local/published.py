"""What CloudWatch is told, and the emulator makes no metrics of: one JSON object a line, as it happens.

    {"Namespace": ..., "MetricData": ...}     of a service, as PutMetricData has it
    {"LogEvent": ...}                         a line of a log that may hold embedded metrics

Times are this machine's. The file is the one that MAILROOM_METRICS names; without it nothing is written. What is not an
event but a level, such as the depth of a queue, is not here: `metrics.py` asks for it.

Sources: "Types of metrics for Lambda functions", "Available CloudWatch metrics for Amazon SQS", "Monitoring Amazon SNS
topics using CloudWatch" in the services' developer guides.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from pathlib import Path
from typing import Any, Final

Json = dict[str, Any]

VARIABLE: Final = "MAILROOM_METRICS"

LAMBDA: Final = ("Invocations", "Errors", "Throttles", "Duration", "ConcurrentExecutions")
SQS: Final = ("NumberOfMessagesSent",)
FILTERED: Final = "NumberOfNotificationsFilteredOut"
SNS: Final = (
    "NumberOfMessagesPublished",
    FILTERED,
    f"{FILTERED}-NoMessageAttributes",
    f"{FILTERED}-MessageAttributes",
    f"{FILTERED}-MessageBody",
)

EVENTS: Final[Mapping[str, tuple[str, ...]]] = {"AWS/Lambda": LAMBDA, "AWS/SQS": SQS, "AWS/SNS": SNS}
"""Every metric that is written, by namespace."""


def install() -> None:
    """Have the emulator in this process write them. Called before it serves."""
    if not (path := os.environ.get(VARIABLE)):
        return
    from ministack.services import cloudwatch_logs, lambda_svc, sns, sqs  # noqa: PLC0415 - read it on import

    tell = _Teller(Path(path))
    lambda_svc._execute_function_dispatch = _run(lambda_svc._execute_function_dispatch, tell)
    lambda_svc._acquire_execution_slot = _throttled(lambda_svc._acquire_execution_slot, tell)
    sqs._act_send_message = _sent(sqs._act_send_message, tell)
    sqs._HANDLERS["SendMessage"] = sqs._act_send_message
    sqs.queue_delay = _delivered(sqs.queue_delay, tell)
    cloudwatch_logs._append_log_events = _logged(cloudwatch_logs._append_log_events, tell)
    sns._fanout = _published(sns._fanout, tell)
    sns._matches_filter_policy = _filtered(sns._matches_filter_policy, tell)


class _Teller:
    """Writes points; those of one call are of one moment."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("a", buffering=1, encoding="utf-8")
        self._lock = threading.Lock()

    def __call__(self, namespace: str, dimensions: Mapping[str, str], **values: float) -> None:
        now = time.time()
        named = [{"Name": name, "Value": value} for name, value in dimensions.items()]
        data = [
            {
                "MetricName": name,
                "Dimensions": named,
                "Timestamp": now,
                "Value": value,
                "Unit": "Milliseconds" if name == "Duration" else "Count",
            }
            for name, value in values.items()
        ]
        self.write({"Namespace": namespace, "MetricData": data})

    def write(self, record: Json) -> None:
        with self._lock:
            self._file.write(json.dumps(record) + "\n")


def _run(execute: Callable[..., Any], tell: _Teller) -> Callable[..., Any]:
    running, lock = 0, threading.Lock()

    def count(change: int) -> None:
        nonlocal running
        with lock:  # the last line written has to be what is the case
            running += change
            tell("AWS/Lambda", {}, ConcurrentExecutions=running)

    @wraps(execute)
    def run(function: Json, config: Json, *rest: Any) -> Any:
        dimensions = {"FunctionName": config["FunctionName"]}
        count(1)
        began, answer = time.monotonic(), {"error": True}
        try:
            answer = execute(function, config, *rest)
            return answer
        finally:
            took = 1000 * (time.monotonic() - began)
            if answer.get("throttle"):
                tell("AWS/Lambda", dimensions, Throttles=1)
            else:
                # A run that did not fail is a point of Errors, too: 0.
                tell("AWS/Lambda", dimensions, Invocations=1, Errors=int("error" in answer), Throttles=0, Duration=took)
            count(-1)

    return run


def _throttled(acquire: Callable[..., Any], tell: _Teller) -> Callable[..., Any]:
    @wraps(acquire)
    def throttled(function: Json, config: Json) -> Any:
        slot = acquire(function, config)
        if slot[0] is None:
            tell("AWS/Lambda", {"FunctionName": config["FunctionName"]}, Throttles=1)
        return slot

    return throttled


def _logged(append: Callable[..., Any], tell: _Teller) -> Callable[..., Any]:
    @wraps(append)
    def logged(stream: Json, events: Sequence[Json]) -> Any:
        for event in events:
            if '"_aws"' in event["message"]:
                tell.write({"LogEvent": event["message"]})
        return append(stream, events)

    return logged


def _sent(send: Callable[..., Json], tell: _Teller) -> Callable[..., Json]:
    @wraps(send)
    def sent(data: Json, url: str) -> Json:
        answer = send(data, url)
        tell("AWS/SQS", {"QueueName": data.get("QueueUrl", url).rsplit("/", 1)[-1]}, NumberOfMessagesSent=1)
        return answer

    return sent


def _delivered(delay: Callable[[Json], int], tell: _Teller) -> Callable[[Json], int]:
    """Every service that puts a message into a queue asks this once for it, when nothing can stop it any more."""

    @wraps(delay)
    def delivered(queue: Json) -> int:
        tell("AWS/SQS", {"QueueName": queue["attributes"]["QueueArn"].rsplit(":", 1)[-1]}, NumberOfMessagesSent=1)
        return delay(queue)

    return delivered


def _published(fan_out: Callable[..., None], tell: _Teller) -> Callable[..., None]:
    @wraps(fan_out)
    def published(topic_arn: str, *message: Any, **attributes: Any) -> None:
        tell("AWS/SNS", _topic(topic_arn), NumberOfMessagesPublished=1)
        fan_out(topic_arn, *message, **attributes)

    return published


def _filtered(matches: Callable[..., bool], tell: _Teller) -> Callable[..., bool]:
    """Why a message was filtered out is a metric of its own, beside the one of all."""

    @wraps(matches)
    def filtered(subscription: Json, message_attributes: Json, message: str = "") -> bool:
        taken = matches(subscription, message_attributes, message)
        if not taken:
            on_body = subscription["attributes"].get("FilterPolicyScope") == "MessageBody"
            why = "MessageBody" if on_body else "MessageAttributes" if message_attributes else "NoMessageAttributes"
            names = (FILTERED, f"{FILTERED}-{why}")
            tell("AWS/SNS", _topic(subscription["topic_arn"]), **dict.fromkeys(names, 1))
        return taken

    return filtered


def _topic(arn: str) -> dict[str, str]:
    return {"TopicName": arn.rsplit(":", 1)[-1]}
