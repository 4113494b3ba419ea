"""Redriving brings back everything that waits, by SQS itself where it can, by hand where it cannot."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path as File
from typing import Any

import pytest
from botocore.exceptions import ClientError

from ops.cli import Side
from ops.errors import OpsError
from ops.redrive import Path, redrive
from ops.stack import Stack
from tests.ops.conftest import Run

PATH = Path("arn:aws:sqs:us-east-1:123456789012:dlq", "dlq-url", "source-url")


class Queue:
    """SQS's move tasks as its API reference describes them, which moto does not have. Each listing is one
    step."""

    def __init__(self, *tasks: dict[str, Any], running: bool = False) -> None:
        self._tasks = list(tasks)
        self._running = running
        self.started: list[dict[str, Any]] = []

    def get_queue_attributes(self, **_: Any) -> Any:
        return {"Attributes": {"ApproximateNumberOfMessages": "5"}}

    def list_message_move_tasks(self, **_: Any) -> Any:
        if not self.started and not self._running:
            return {"Results": []}
        return {"Results": [self._tasks.pop(0)]}

    def start_message_move_task(self, **arguments: Any) -> Any:
        self.started.append(arguments)
        return {"TaskHandle": "handle"}


def task(status: str, moved: int, to_move: int = 5, **more: Any) -> dict[str, Any]:
    return {
        "Status": status,
        "ApproximateNumberOfMessagesMoved": moved,
        "ApproximateNumberOfMessagesToMove": to_move,
        **more,
    }


def _unknown(**_: Any) -> Any:
    """As an endpoint answers that has no move tasks."""
    raise ClientError({"Error": {"Code": "InvalidAction", "Message": "not valid"}}, "ListMessageMoveTasks")


def move(queue: Queue, **options: Any) -> int:
    return redrive(queue, PATH, pause=lambda _: None, **options)  # type: ignore[arg-type]


def test_a_move_is_followed_to_its_end() -> None:
    seen: list[tuple[int, int | None]] = []
    queue = Queue(task("RUNNING", 0), task("RUNNING", 3), task("COMPLETED", 5))
    assert move(queue, on_progress=lambda moved, total: seen.append((moved, total))) == 5
    assert seen == [(0, 5), (3, 5), (5, 5)]
    assert queue.started == [{"SourceArn": PATH.dlq_arn}]


def test_the_rate_is_passed_on() -> None:
    queue = Queue(task("COMPLETED", 5))
    move(queue, rate=14)
    assert queue.started == [{"SourceArn": PATH.dlq_arn, "MaxNumberOfMessagesPerSecond": 14}]


def test_a_move_that_is_under_way_is_followed_instead_of_started_twice() -> None:
    queue = Queue(task("RUNNING", 1), task("COMPLETED", 5), running=True)
    assert move(queue) == 5
    assert queue.started == []


def test_a_move_that_sqs_ends_early_is_reported_with_its_reason_and_count() -> None:
    with pytest.raises(OpsError, match=r"moved 2 messages.*AccessDenied"):
        move(Queue(task("RUNNING", 0), task("FAILED", 2, FailureReason="CouldNotDeliver/AccessDenied")))


def test_an_endpoint_without_move_tasks_gets_the_same_by_hand(
    stack: Stack, bodies: Callable[[str], list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stack.sqs, "list_message_move_tasks", _unknown)
    at = stack.outputs
    for number in range(13):
        stack.sqs.send_message(
            QueueUrl=at.send_dlq_url,
            MessageBody=f"order {number}",
            MessageAttributes={"messageType": {"DataType": "String", "StringValue": "order-confirmation"}},
        )
    path = Path(at.send_dlq_arn, at.send_dlq_url, at.send_queue_url)
    assert redrive(stack.sqs, path) == 13
    assert bodies(at.send_dlq_url) == []
    moved = stack.sqs.receive_message(QueueUrl=at.send_queue_url, MessageAttributeNames=["All"])["Messages"][0]
    assert moved["MessageAttributes"]["messageType"]["StringValue"] == "order-confirmation"
    assert len(bodies(at.send_queue_url)) == 12


def test_any_other_failure_is_not_taken_for_a_missing_action(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(**_: Any) -> Any:
        raise ClientError({"Error": {"Code": "AccessDenied", "Message": "no"}}, "ListMessageMoveTasks")

    monkeypatch.setattr(stack.sqs, "list_message_move_tasks", denied)
    at = stack.outputs
    stack.sqs.send_message(QueueUrl=at.send_dlq_url, MessageBody="order")
    with pytest.raises(ClientError, match="AccessDenied"):
        redrive(stack.sqs, Path(at.send_dlq_arn, at.send_dlq_url, at.send_queue_url))


@pytest.mark.parametrize("side", Side)
def test_each_side_is_moved_from_its_dead_letter_queue_to_its_own(
    stack: Stack,
    ops: Run,
    outputs_file: File,
    bodies: Callable[[str], list[str]],
    monkeypatch: pytest.MonkeyPatch,
    side: Side,
) -> None:
    exported = json.loads(outputs_file.read_text(encoding="utf-8"))
    exported |= {f"probe{end[0].upper()}{end[1:]}": url for end, url in exported["lanes"][1].items()}
    queue = {Side.BUDGET: "costGuard"}.get(side, side)
    stack.sqs.send_message(QueueUrl=exported[f"{queue}DlqUrl"], MessageBody=f"for {side}")
    monkeypatch.setattr(stack.sqs, "list_message_move_tasks", _unknown)
    assert json.loads(ops("redrive", side, "--json").stdout) == {"queue": side, "moved": 1}
    assert bodies(exported[f"{queue}QueueUrl"]) == [f"for {side}"]


@pytest.mark.parametrize("side", Side)
def test_an_empty_dead_letter_queue_is_no_failure(ops: Run, side: Side) -> None:
    result = ops("redrive", side, "--json")
    assert result.exit_code == 0
    assert json.loads(result.stdout) == {"queue": side, "moved": 0}
