"""Moving a dead-letter queue's messages back to the queue that gave them up.

SQS does it itself (StartMessageMoveTask) and goes on even when this command is interrupted. An endpoint that
does not know the action, as the emulator's, gets the same by hand: send, then delete, so that nothing can
fall in between.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from ops.errors import OpsError

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_sqs.type_defs import ListMessageMoveTasksResultEntryTypeDef, MessageTypeDef

POLL = 1.0
HOLD = 60
UNDER_WAY = frozenset({"RUNNING", "CANCELLING"})


@dataclass(frozen=True, slots=True)
class Path:
    """From a dead-letter queue back to its source."""

    dlq_arn: str
    dlq_url: str
    source_url: str


Progress = Callable[[int, int], None]
"""Called with how many were moved, and how many there are to move."""


def redrive(
    sqs: SQSClient,
    path: Path,
    *,
    rate: int | None = None,
    on_progress: Progress = lambda _moved, _total: None,
    pause: Callable[[float], None] = time.sleep,
) -> int:
    """Move every message that waits now back to its source; how many were moved.

    `rate` bounds the messages a second (1 to 500), so that what was parked does not come back as a flood.

    Raises:
        OpsError: SQS ended the move before its end, with its reason.
    """
    if not waiting(sqs, path.dlq_url):
        return 0
    try:
        if not _move_under_way(sqs, path):
            _start(sqs, path.dlq_arn, rate)
    except ClientError as error:
        if error.response.get("Error", {}).get("Code") != "InvalidAction":
            raise
        return _move_by_hand(sqs, path, rate, on_progress, pause)
    return _follow(sqs, path, on_progress, pause)


def waiting(sqs: SQSClient, url: str) -> int:
    """About how many messages the queue holds that nobody is working on."""
    answer = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["ApproximateNumberOfMessages"])
    return int(answer["Attributes"]["ApproximateNumberOfMessages"])


def _start(sqs: SQSClient, dlq_arn: str, rate: int | None) -> None:
    if rate is None:
        sqs.start_message_move_task(SourceArn=dlq_arn)
    else:
        sqs.start_message_move_task(SourceArn=dlq_arn, MaxNumberOfMessagesPerSecond=rate)


def _move_under_way(sqs: SQSClient, path: Path) -> bool:
    """SQS allows one move per queue at a time; one that somebody else started is followed instead."""
    tasks = sqs.list_message_move_tasks(SourceArn=path.dlq_arn, MaxResults=1).get("Results", [])
    return bool(tasks) and tasks[0].get("Status") in UNDER_WAY


def _follow(sqs: SQSClient, path: Path, on_progress: Progress, pause: Callable[[float], None]) -> int:
    while True:
        tasks = sqs.list_message_move_tasks(SourceArn=path.dlq_arn, MaxResults=1).get("Results", [])
        task: ListMessageMoveTasksResultEntryTypeDef = tasks[0] if tasks else {"Status": "RUNNING"}
        moved = task.get("ApproximateNumberOfMessagesMoved", 0)
        on_progress(moved, max(moved, task.get("ApproximateNumberOfMessagesToMove", 0)))
        status = task.get("Status", "RUNNING")
        if status == "COMPLETED":
            return moved
        if status not in UNDER_WAY:
            reason = task.get("FailureReason") or f"the move is {status.lower()}"
            raise OpsError(f"SQS moved {moved} messages and stopped: {reason}.", "What was not moved is still there.")
        pause(POLL)


def _move_by_hand(
    sqs: SQSClient, path: Path, rate: int | None, on_progress: Progress, pause: Callable[[float], None]
) -> int:
    # Bounded by what was there at the start: a message that fails at once again must not go round for ever.
    total, moved = waiting(sqs, path.dlq_url), 0
    while moved < total:
        answer = sqs.receive_message(
            QueueUrl=path.dlq_url,
            MaxNumberOfMessages=min(10, total - moved),
            VisibilityTimeout=HOLD,
            WaitTimeSeconds=1,
            MessageAttributeNames=["All"],
            MessageSystemAttributeNames=["AWSTraceHeader"],
        )
        if not answer.get("Messages"):
            break
        for message in answer["Messages"]:
            _send_on(sqs, path.source_url, message)
            sqs.delete_message(QueueUrl=path.dlq_url, ReceiptHandle=message["ReceiptHandle"])
            moved += 1
            on_progress(moved, total)
            if rate:
                pause(1 / rate)
    return moved


def _send_on(sqs: SQSClient, url: str, message: MessageTypeDef) -> None:
    """Send the message as it was, its attributes and trace included."""
    trace = message.get("Attributes", {}).get("AWSTraceHeader")
    sqs.send_message(
        QueueUrl=url,
        MessageBody=message["Body"],
        MessageAttributes=message.get("MessageAttributes", {}),
        MessageSystemAttributes=({"AWSTraceHeader": {"DataType": "String", "StringValue": trace}} if trace else {}),
    )
