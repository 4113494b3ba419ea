"""Settling an email that nobody knows the outcome of, by the word of a person.

An UNKNOWN email was handed to SES and the answer never came. SES's own events usually settle it; where they
do not, somebody looks (the recipient, SES's logs) and says what happened. Each such word is kept in the row,
with who gave it and why. It is written on the row's revision, so evidence that arrives meanwhile wins over
it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING

from handlers.mail.lifecycle import Evidence, Milestone, Row, Status, fold
from handlers.mail.sending import Superseded
from ops.errors import OpsError
from ops.publish import Line, Published, publish
from ops.stack import Stack

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import AttributeValueTypeDef

ATTRIBUTE = "resolutions"
"""Ledger attribute of operators' words, oldest first. It is no part of the lifecycle: handlers leave it
alone."""


class Verdict(StrEnum):
    """What an operator decides. `resend` risks a second email to the customer, which is why nobody does it
    for them."""

    SENT = "sent"
    FAILED = "failed"
    RESEND = "resend"


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
    milestone = Milestone.SENT if resolution.verdict is Verdict.SENT else Milestone.FAILED
    reason = f"by the word of {resolution.by}: {resolution.reason}"
    return fold(row, Evidence(milestone=milestone, at=resolution.at, reason=reason))


def resolve(stack: Stack, row: Row, resolution: Resolution, *, now: Callable[[], str]) -> Row:
    """Write `resolution` and what follows from it; the row as it then stands.

    Raises:
        OpsError: the email is not UNKNOWN (any more), or a resend has nothing to send or was not published.
    """
    resend = resolution.verdict is Verdict.RESEND
    if not _is_unsettled(row, resend):
        raise OpsError(
            f"Order {row.order_id} is {row.status}; only an UNKNOWN email is resolved by hand.",
            f"`status {row.order_id}` shows what happened.",
        )
    if resend and not row.order:
        raise OpsError(
            f"The row of order {row.order_id} does not hold the order, so it cannot be sent again from here.",
            "Mark it --failed, and have the order system publish it under a new id.",
        )
    record(stack.dynamodb, stack.outputs.ledger_table_name, row, resolution)
    while row.status is Status.UNKNOWN:
        try:
            row = stack.ledger.change(row, decide(row, resolution), now())
            break
        except Superseded as late:
            if late.row is None:
                raise OpsError(f"The row of order {row.order_id} has expired meanwhile.") from late
            row = late.row
            if row.status is not Status.UNKNOWN:
                raise OpsError(
                    f"Evidence came first: order {row.order_id} is {row.status} by now, and stays so.",
                    f"`status {row.order_id}` shows what happened.",
                ) from late
    if resend:
        [outcome] = publish(stack.sns, stack.outputs.order_topic_arn, [Line(1, row.order)])
        if not isinstance(outcome, Published):
            raise OpsError(
                f"Order {row.order_id} is released, but it was not published: {outcome.reason}.",
                "Run the same command again: the row keeps the order until it is sent.",
            )
    return row


def _is_unsettled(row: Row, resend: bool) -> bool:
    """UNKNOWN, or let go by an earlier resend whose publishing failed."""
    released = row.status is Status.SUBMITTING and not row.lease_until and bool(row.order)
    return row.status is Status.UNKNOWN or (resend and released)


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
