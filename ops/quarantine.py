"""The quarantine queue: looking at it without losing from it, and emptying it on purpose.

SQS has no way to read a message without taking it, so looking means holding the messages for a moment and
giving them back. Should a command be killed while it holds some, they come back by themselves when the hold
ends.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from handlers.mail.lifecycle import lane_of
from handlers.telemetry.contract import LANE_ATTRIBUTE, Lane
from ops.errors import OpsError
from ops.publish import Line, Outcome, Published, publish
from ops.stack import Stack

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_sqs.type_defs import MessageTypeDef

MOST = 1000
"""Messages that one command holds. More might outlast the hold; the command can be run again for the rest."""

HOLD = 120
"""Seconds for which messages are held: time to read a question and answer it."""

LONG_POLL = 1
"""Seconds. Long polling asks every server of the queue, so an empty answer means that there is no more to be had."""

BATCH = 10  # https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_ReceiveMessage.html


@dataclass(frozen=True, slots=True)
class Quarantined:
    """A refused message. `code` names the rule it broke, `reason` says it to a person, `lane` is where it goes back."""

    message_id: str
    receipt: str
    body: str
    code: str
    reason: str
    order_id: str
    trace_id: str
    since: datetime
    lane: Lane = Lane.CONFIRMATION


@contextmanager
def held(sqs: SQSClient, url: str, most: int = MOST) -> Iterator[list[Quarantined]]:
    """Up to `most` messages, held for the length of the block; oldest first. What the block did not delete
    goes back.

    Raises:
        ClientError, BotoCoreError: the queue cannot be read.
    """
    taken: dict[str, Quarantined] = {}
    try:
        while len(taken) < most:
            answer = sqs.receive_message(
                QueueUrl=url,
                MaxNumberOfMessages=min(BATCH, most - len(taken)),
                VisibilityTimeout=HOLD,
                WaitTimeSeconds=LONG_POLL,
                MessageAttributeNames=["All"],
                MessageSystemAttributeNames=["SentTimestamp"],
            )
            if not answer.get("Messages"):
                break
            taken |= {message["MessageId"]: _quarantined(message) for message in answer["Messages"]}
        yield sorted(taken.values(), key=lambda message: message.since)
    finally:
        _give_back(sqs, url, list(taken.values()))


def choose(messages: Sequence[Quarantined], wanted: Sequence[str]) -> list[Quarantined]:
    """The messages whose ids begin as `wanted` says, one for each; all messages where nothing is wanted.

    Raises:
        OpsError: an id is not there, or its beginning fits several.
    """
    if not wanted:
        return list(messages)
    chosen = {}
    for beginning in wanted:
        fitting = [message for message in messages if message.message_id.startswith(beginning)]
        if not fitting:
            raise OpsError(
                f"No message in quarantine has an id that begins with {beginning}.",
                "`quarantine list` shows the ids. If somebody else is at it, try again in a moment.",
            )
        if len(fitting) > 1:
            raise OpsError(
                f"{len(fitting)} messages in quarantine have ids that begin with {beginning}.",
                "Give more of it.",
            )
        chosen[fitting[0].message_id] = fitting[0]
    return list(chosen.values())


def resubmit(stack: Stack, messages: Sequence[Quarantined], body: str | None = None) -> list[Outcome]:
    """Publish the messages again, then delete those that were taken; the outcome of each.

    `body` stands in for the message's own. Published first and deleted second: a failure between the two
    leaves a copy, which the ledger answers with one email, and never a gap.
    """
    lines = [Line(number, body or message.body, message.lane) for number, message in enumerate(messages)]
    outcomes = publish(stack.sns, stack.outputs.order_topic_arn, lines)
    taken = [messages[outcome.number] for outcome in outcomes if isinstance(outcome, Published)]
    delete(stack.sqs, stack.outputs.quarantine_queue_url, taken)
    return outcomes


def delete(sqs: SQSClient, url: str, messages: Sequence[Quarantined]) -> None:
    """Delete the messages for good.

    Raises:
        OpsError: SQS kept some of them.
    """
    kept: list[str] = []
    for batch in _in_tens(messages):
        answer = sqs.delete_message_batch(
            QueueUrl=url,
            Entries=[{"Id": str(n), "ReceiptHandle": message.receipt} for n, message in enumerate(batch)],
        )
        kept += [batch[int(failed["Id"])].message_id for failed in answer.get("Failed", [])]
    if kept:
        raise OpsError(f"SQS did not delete {len(kept)} of the messages ({', '.join(kept[:3])}).", "Try again.")


def _quarantined(message: MessageTypeDef) -> Quarantined:
    attributes: Mapping[str, str] = {
        name: value.get("StringValue", "") for name, value in message.get("MessageAttributes", {}).items()
    }
    return Quarantined(
        message_id=message["MessageId"],
        receipt=message["ReceiptHandle"],
        body=message["Body"],
        code=attributes.get("code", ""),
        reason=attributes.get("reason", ""),
        order_id=attributes.get("orderId", ""),
        trace_id=attributes.get("traceId", ""),
        since=datetime.fromtimestamp(int(message["Attributes"]["SentTimestamp"]) / 1000, UTC),
        lane=lane_of(attributes.get(LANE_ATTRIBUTE, "")),
    )


def _give_back(sqs: SQSClient, url: str, messages: Sequence[Quarantined]) -> None:
    """End the hold. Deleted messages are refused in the answer, which is as it should be."""
    for batch in _in_tens(messages):
        sqs.change_message_visibility_batch(
            QueueUrl=url,
            Entries=[
                {"Id": str(n), "ReceiptHandle": message.receipt, "VisibilityTimeout": 0}
                for n, message in enumerate(batch)
            ],
        )


def _in_tens(messages: Sequence[Quarantined]) -> Iterator[Sequence[Quarantined]]:
    return (messages[start : start + BATCH] for start in range(0, len(messages), BATCH))
