"""Publishing orders to the topic: in batches, several at once, each message accounted for.

Nothing is judged here. A line that is no order is published as it is: refusing it, with a reason that is
kept, is the pipeline's task. Publishing one message twice does no harm either, since the ledger sends one
email; so whatever may pass is tried again.
"""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from handlers.mail.envelope import unwrap
from handlers.telemetry.contract import LANE_ATTRIBUTE, Lane
from ops.errors import DENIED, EXPIRED, INVALID, MISSING
from ops.stack import WORKERS

if TYPE_CHECKING:
    from mypy_boto3_sns import SNSClient
    from mypy_boto3_sns.type_defs import MessageAttributeValueTypeDef

# https://docs.aws.amazon.com/sns/latest/api/API_PublishBatch.html: ten messages and 256 KB in all; a message
# counts with its attributes' names, types and values.
BATCH_ENTRIES = 10
BATCH_BYTES = 256 * 1024
ATTRIBUTE_BYTES = len(LANE_ATTRIBUTE + "String") + max(len(lane) for lane in Lane)

ATTEMPTS = 5
FIRST_PAUSE = 0.2

HOPELESS = DENIED | EXPIRED | INVALID | MISSING
"""Answers that every further message would get as well: the command stops and says so."""


@dataclass(frozen=True, slots=True)
class Line:
    """One message to publish; `number` is its line in the file, from 1."""

    number: int
    body: str
    lane: Lane = Lane.CONFIRMATION


@dataclass(frozen=True, slots=True)
class Published:
    """A message that SNS has taken. `at` is when we began to hand it over."""

    line: Line
    sns_message_id: str
    at: datetime

    @property
    def number(self) -> int:
        return self.line.number


@dataclass(frozen=True, slots=True)
class Refused:
    """A line that was not published, and why."""

    number: int
    reason: str


Outcome = Published | Refused


def read_lines(source: Iterable[bytes]) -> Iterator[Line | Refused]:
    """The messages of a JSONL file. Blank lines are skipped but counted; a line that is not UTF-8 cannot be
    published."""
    for number, raw in enumerate(source, start=1):
        try:
            body = raw.decode("utf-8-sig" if number == 1 else "utf-8").strip("\r\n")
        except UnicodeDecodeError as error:
            yield Refused(number, f"not UTF-8 at byte {error.start + 1} of the line")
            continue
        if body.strip():
            yield Line(number, body)


def order_id_of(body: str) -> str | None:
    """The order id that `body` names, in an SNS envelope or out of it; None where it cannot be read."""
    try:
        message = json.loads(unwrap(body))
    except (ValueError, RecursionError):
        return None
    order_id = message.get("orderId") if isinstance(message, dict) else None
    return order_id if isinstance(order_id, str) and order_id else None


def publish(
    sns: SNSClient,
    topic_arn: str,
    lines: Iterable[Line | Refused],
    *,
    on_outcome: Callable[[Outcome], None] = lambda _: None,
    pause: Callable[[float], None] = time.sleep,
) -> list[Outcome]:
    """Publish every line, and say of each what became of it, in the order of the lines.

    Each batch starts an X-Ray trace that is recorded whatever the sampling rules say: an operator's order is one that
    somebody wants to see through (docs/tracing.md).

    Raises:
        ClientError, BotoCoreError: the topic cannot be reached or used at all.
    """
    outcomes: list[Outcome] = []
    # PublishBatch is one request with one header: the messages of a batch share a trace. A retry keeps its header.
    sns.meta.events.register("before-call.sns.PublishBatch", _trace, unique_id="mailroom-trace")

    def note(found: Iterable[Outcome]) -> None:
        for outcome in found:
            outcomes.append(outcome)
            on_outcome(outcome)

    with ThreadPoolExecutor(WORKERS, thread_name_prefix="publish") as pool:
        running: set[Future[list[Outcome]]] = set()
        try:
            for batch in batches(lines):
                if isinstance(batch, Refused):
                    note([batch])
                    continue
                # Bounded, so that a file of any length is read only as fast as SNS takes it.
                if len(running) >= 2 * WORKERS:
                    done, running = wait(running, return_when=FIRST_COMPLETED)
                    for future in done:
                        note(future.result())
                running.add(pool.submit(_publish_batch, sns, topic_arn, batch, pause))
            for future in running:
                note(future.result())
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    return sorted(outcomes, key=lambda outcome: outcome.number)


def batches(lines: Iterable[Line | Refused]) -> Iterator[list[Line] | Refused]:
    """Lines in groups that SNS takes in one call; what is refused, or is too long for any call, by itself."""
    batch: list[Line] = []
    held = 0
    for line in lines:
        if isinstance(line, Refused):
            yield line
            continue
        size = len(line.body.encode()) + ATTRIBUTE_BYTES
        if size > BATCH_BYTES:
            yield Refused(line.number, f"{size:,} bytes with its attributes; SNS takes {BATCH_BYTES:,}")
            continue
        if batch and (len(batch) == BATCH_ENTRIES or held + size > BATCH_BYTES):
            yield batch
            batch, held = [], 0
        batch.append(line)
        held += size
    if batch:
        yield batch


def _trace(params: dict[str, Any], **_: Any) -> None:
    """Give a request a trace of its own; SNS passes its header on to the queue, as each message's AWSTraceHeader.

    Its parent is a segment that is never written. Without one, what takes the message up could not join the trace.
    https://docs.aws.amazon.com/xray/latest/devguide/xray-concepts.html#xray-concepts-tracingheader
    """
    root = f"1-{int(time.time()):08x}-{secrets.token_hex(12)}"
    params["headers"]["X-Amzn-Trace-Id"] = f"Root={root};Parent={secrets.token_hex(8)};Sampled=1"


def _publish_batch(
    sns: SNSClient, topic_arn: str, batch: Sequence[Line], pause: Callable[[float], None]
) -> list[Outcome]:
    outcomes: list[Outcome] = []
    waiting = {str(line.number): line for line in batch}
    reasons: dict[str, str] = {}
    for attempt in range(ATTEMPTS):
        if attempt:
            pause(FIRST_PAUSE * 2 ** (attempt - 1))
        at = datetime.now(UTC)
        try:
            answer = sns.publish_batch(
                TopicArn=topic_arn,
                PublishBatchRequestEntries=[
                    {"Id": entry, "Message": line.body, "MessageAttributes": _attributes(line)}
                    for entry, line in waiting.items()
                ],
            )
        except ClientError as error:
            return outcomes + _divide(sns, topic_arn, list(waiting.values()), error, pause)
        for taken in answer.get("Successful", []):
            outcomes.append(Published(waiting.pop(taken["Id"]), taken["MessageId"], at))
        for failed in answer.get("Failed", []):
            reasons[failed["Id"]] = failed.get("Message") or failed["Code"]
            if failed["SenderFault"]:
                outcomes.append(Refused(waiting.pop(failed["Id"]).number, reasons[failed["Id"]]))
        if not waiting:
            return outcomes
    return outcomes + [
        Refused(line.number, reasons.get(entry, "SNS gave no answer for it")) for entry, line in waiting.items()
    ]


def _divide(
    sns: SNSClient, topic_arn: str, batch: list[Line], error: ClientError, pause: Callable[[float], None]
) -> list[Outcome]:
    """SNS turns a whole batch down for one bad message; halving it finds the one and publishes the others."""
    answer = error.response.get("Error", {})
    if answer.get("Code", "") in HOPELESS:
        raise error
    if len(batch) == 1:
        return [Refused(batch[0].number, answer.get("Message") or str(error))]
    middle = len(batch) // 2
    halves = (batch[:middle], batch[middle:])
    return [outcome for half in halves for outcome in _publish_batch(sns, topic_arn, half, pause)]


def _attributes(line: Line) -> dict[str, MessageAttributeValueTypeDef]:
    return {LANE_ATTRIBUTE: {"DataType": "String", "StringValue": line.lane.value}}
