"""Settling an email that nobody knows the outcome of, by the word of a person.

An UNKNOWN email was handed to SES and the answer never came. One that is SENT or DELAYED was taken by SES, and should
SES's last event be lost, it stays so after SES has long stopped trying. SES's own events usually settle both; where
they do not, somebody looks (the recipient, SES's logs) and says what happened. Each such word is kept in the row, with
who gave it and why. It is written on the row's revision, so evidence that arrives meanwhile wins over it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

from handlers.mail.lifecycle import Evidence, Milestone, Row, Status, fold, lane_of, timestamp
from handlers.mail.sending import Superseded
from ops.errors import OpsError
from ops.publish import Line, Published, publish
from ops.stack import Stack
from ops.text import clock

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import AttributeValueTypeDef

ATTRIBUTE = "resolutions"
"""Ledger attribute of operators' words, oldest first. It is no part of the lifecycle: handlers leave it
alone."""

SES_TRIES = timedelta(hours=4)
"""How long SES tries to deliver an email, as the stack's configuration set tells it to (`MAX_DELIVERY_SECONDS` in
components/sender.py). Before that its own word may still come."""


class Verdict(StrEnum):
    """What an operator decides. `resend` risks a second email to the customer, which is why nobody does it
    for them."""

    SENT = "sent"
    DELIVERED = "delivered"
    FAILED = "failed"
    RESEND = "resend"


_OVERDUE = (Verdict.DELIVERED, Verdict.FAILED)
CHOICES: Mapping[Status, tuple[Verdict, ...]] = {
    Status.UNKNOWN: (Verdict.SENT, Verdict.FAILED, Verdict.RESEND),
    Status.SENT: _OVERDUE,
    Status.DELAYED: _OVERDUE,
}
"""What can be said of an email, by its status. Once SES is known to have taken it, sending it again is no choice."""

_MILESTONES: Mapping[Verdict, Milestone] = {
    Verdict.SENT: Milestone.SENT,
    Verdict.DELIVERED: Milestone.DELIVERED,
    Verdict.FAILED: Milestone.FAILED,
}


@dataclass(frozen=True, slots=True)
class Resolution:
    """One operator's word: when, by whom, what, and why."""

    at: str
    by: str
    verdict: Verdict
    reason: str


def decide(row: Row, resolution: Resolution) -> Row:
    """The row after the operator's word.

    A resend lets the claim go, as a sender does that was refused for now: the order, published again, can
    then claim the row. The order stays in the row until that happens, so that a failure to publish loses
    nothing.
    """
    if resolution.verdict is Verdict.RESEND:
        submitted = row.milestones.get(Milestone.SUBMITTING, resolution.at)
        reason = f"released for another attempt by {resolution.by}"
        return replace(row, milestones={Milestone.SUBMITTING: submitted}, lease_until="", reason=reason)
    reason = f"by the word of {resolution.by}: {resolution.reason}"
    return fold(row, Evidence(milestone=_MILESTONES[resolution.verdict], at=resolution.at, reason=reason))


def refusal(row: Row, resolution: Resolution) -> OpsError | None:
    """Why this word cannot be given on this row; None where it can.

    An email that SES has taken can be settled when SES no longer tries, counted from its last attempt.
    """
    verdict, choices = resolution.verdict, CHOICES.get(row.status, ())
    history = f"`status {row.order_id}` shows what happened."
    if verdict is Verdict.RESEND and _is_released(row):
        return None
    if not choices:
        return OpsError(
            f"Order {row.order_id} is {row.status}; only an email that is UNKNOWN, or has been SENT or DELAYED for over"
            f" {SES_TRIES // timedelta(hours=1)} hours, is resolved by hand.",
            history,
        )
    if verdict not in choices:
        flags = [f"--{choice}" for choice in choices]
        return OpsError(
            f"Order {row.order_id} is {row.status}: say {', '.join(flags[:-1])} or {flags[-1]}, not --{verdict}.",
            history,
        )
    if verdict is Verdict.RESEND and not row.order:
        return OpsError(
            f"The row of order {row.order_id} does not hold the order, so it cannot be sent again from here.",
            "Mark it --failed, and have the order system publish it under a new id.",
        )
    if choices is _OVERDUE:
        until = datetime.fromisoformat(row.milestones[Milestone.SUBMITTING]) + SES_TRIES
        if datetime.fromisoformat(resolution.at) <= until:
            return OpsError(
                f"Order {row.order_id} is {row.status}, and SES may try until {clock(timestamp(until))} UTC.",
                "Wait for what SES says until then.",
            )
    return None


def resolve(stack: Stack, row: Row, resolution: Resolution, *, now: Callable[[], str]) -> Row:
    """Write `resolution` and what follows from it; the row as it then stands.

    Raises:
        OpsError: the word cannot be given on this row (any more), or a resend was not published.
    """
    if refused := refusal(row, resolution):
        raise refused
    record(stack.dynamodb, stack.outputs.ledger_table_name, row, resolution)
    if not _is_released(row):
        row = _settle(stack, row, resolution, now)
    if resolution.verdict is Verdict.RESEND:
        [outcome] = publish(stack.sns, stack.outputs.order_topic_arn, [Line(1, row.order, lane_of(row.kind))])
        if not isinstance(outcome, Published):
            raise OpsError(
                f"Order {row.order_id} is released, but it was not published: {outcome.reason}.",
                "Run the same command again: the row keeps the order until it is sent.",
            )
    return row


def _settle(stack: Stack, row: Row, resolution: Resolution, now: Callable[[], str]) -> Row:
    """Write what follows from the word, for as long as it can be said of the row as it stands."""
    choices = CHOICES[row.status]
    while True:
        try:
            return stack.ledger.change(row, decide(row, resolution), now())
        except Superseded as late:
            if late.row is None:
                raise OpsError(f"The row of order {row.order_id} has expired meanwhile.") from late
            row = late.row
            if CHOICES.get(row.status) != choices:
                raise OpsError(
                    f"Evidence came first: order {row.order_id} is {row.status} by now, and stays so.",
                    f"`status {row.order_id}` shows what happened.",
                ) from late


def _is_released(row: Row) -> bool:
    """Let go by an earlier resend whose publishing failed."""
    return row.status is Status.SUBMITTING and not row.lease_until and bool(row.order)


def record(client: DynamoDBClient, table: str, row: Row, resolution: Resolution) -> None:
    """Add the operator's word to the row, whatever becomes of it."""
    client.update_item(
        TableName=table,
        Key=_key(row),
        UpdateExpression="SET #words = list_append(if_not_exists(#words, :none), :word)",
        ConditionExpression="attribute_exists(orderId)",
        ExpressionAttributeNames={"#words": ATTRIBUTE},
        ExpressionAttributeValues={
            ":none": {"L": []},
            ":word": {
                "L": [
                    {
                        "M": {
                            "at": {"S": resolution.at},
                            "by": {"S": resolution.by},
                            "verdict": {"S": resolution.verdict.value},
                            "reason": {"S": resolution.reason},
                        }
                    }
                ]
            },
        },
    )


def resolutions(client: DynamoDBClient, table: str, row: Row) -> list[Resolution]:
    """Every operator's word on the row, oldest first."""
    reply = client.get_item(
        TableName=table,
        Key=_key(row),
        ProjectionExpression="#words",
        ExpressionAttributeNames={"#words": ATTRIBUTE},
        ConsistentRead=True,
    )
    words = reply.get("Item", {}).get(ATTRIBUTE, {}).get("L", [])
    return [
        Resolution(
            at=word["M"]["at"]["S"],
            by=word["M"]["by"]["S"],
            verdict=Verdict(word["M"]["verdict"]["S"]),
            reason=word["M"]["reason"]["S"],
        )
        for word in words
    ]


def _key(row: Row) -> dict[str, AttributeValueTypeDef]:
    return {"orderId": {"S": row.order_id}, "messageId": {"S": row.message_id}}
