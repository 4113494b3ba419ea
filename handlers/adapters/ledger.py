"""The delivery ledger in DynamoDB: rows in, rows out, and every write conditional.

`revision` counts a row's writes and each write names the revision it builds on, so of two writers one is told that it
is late and looks again. What a row means is `handlers.mail.lifecycle`'s affair.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from boto3.dynamodb.types import TypeDeserializer, TypeSerializer
from botocore.exceptions import ClientError

from handlers.mail.lifecycle import Evidence, Milestone, Row, Status, fold
from handlers.mail.sending import AlreadyClaimed, NewClaim, Superseded

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

OPEN_INDEX = "open"
RECIPIENT_INDEX = "recipient"

_ATTEMPTS_TO_LEARN = 8
"""Writers of one row: its sender and a handful of SES events; more lost races than this is a fault, not a race."""

# Row field -> attribute, where the two are stored one to one. Falsy values are left out of the item.
_FIELDS: Mapping[str, str] = {
    "order_id": "orderId",
    "message_id": "messageId",
    "kind": "kind",
    "to": "to",
    "sent_to": "sentTo",
    "order_hash": "orderHash",
    "claimed_at": "claimedAt",
    "published_at": "publishedAt",
    "attempts": "attempts",
    "revision": "revision",
    "expires_at": "expiresAt",
    "trace_id": "traceId",
    "reason": "reason",
    "ses_message_id": "sesMessageId",
    "lease_until": "leaseUntil",
    "claim_token": "claimToken",
    "order": "order",
    "conflicts": "conflicts",
    "flags": "flags",
    "last_updated": "lastUpdated",
}
_NUMBERS = frozenset({"attempts", "revision", "expires_at", "conflicts"})

_serialize = TypeSerializer().serialize
_deserialize = TypeDeserializer().deserialize


@dataclass(frozen=True, slots=True)
class OpenEmail:
    """What the index of open emails tells of one; `claimed_at` as the ledger writes times."""

    order_id: str
    message_id: str
    claimed_at: str


class DynamoLedger:
    """The table of one stack.

    Every method raises botocore's errors as they are: to the queue each of them means "later".
    """

    def __init__(self, client: DynamoDBClient, table: str) -> None:
        self._client = client
        self._table = table

    def claim(self, claim: NewClaim) -> Row:
        """Claim the email and note that it is being submitted, in one conditional write.

        An email can be claimed when nobody has, or when the last claim was let go and the order is the same.

        The SDK asks again when a reply is lost, so one claim may reach the table several times, in any order and late.
        A copy that meets the row its own claim holds is told so; one that meets a row which that claim has let go does
        not take it again, as nobody might be left to send.

        Raises:
            AlreadyClaimed: somebody else has, or ours is over; judge the row it carries.
        """
        return self._take(
            claim,
            [
                "#open = :kind, #status = :submitting, submittingAt = :now, leaseUntil = :lease",
                "attempts = if_not_exists(attempts, :zero) + :one",
            ],
            remove="#reason, #order",
            values={":lease": claim.lease_until},
            is_ours=lambda row: row.held_by(claim.token),
        )

    def suppress(self, claim: NewClaim, reason: str) -> Row:
        """Settle the email as SUPPRESSED for `reason`, in one conditional write: where it could have been claimed, and
        in place of that. It is no attempt, and nothing was submitted.

        Raises:
            AlreadyClaimed: somebody has claimed it, or it is settled; judge the row it carries.
        """
        return self._take(
            claim,
            [
                "#status = :suppressed, suppressedAt = :now, #reason = :reason",
                "attempts = if_not_exists(attempts, :zero)",
            ],
            remove="#open, #order",
            values={":suppressed": Status.SUPPRESSED.value, ":reason": reason},
            is_ours=lambda row: row.status is Status.SUPPRESSED and row.claim_token == claim.token,
        )

    def _take(
        self,
        claim: NewClaim,
        assignments: Sequence[str],
        *,
        remove: str,
        values: Mapping[str, Any],
        is_ours: Callable[[Row], bool],
    ) -> Row:
        """Write what every row begins with, and `assignments`, if the email can be claimed. `is_ours` knows the row
        that this very write has made."""
        shared = [
            "#kind = :kind, #to = :to, sentTo = :sentTo, sandbox = :sandbox, orderHash = :hash",
            "lastUpdated = :now, claimToken = :token, expiresAt = :expires, traceId = :trace",
            "claimedAt = if_not_exists(claimedAt, :now), publishedAt = if_not_exists(publishedAt, :published)",
            "revision = if_not_exists(revision, :zero) + :one",
            *(["flags = :flags"] if claim.flags else []),
        ]
        given = {
            ":kind": claim.kind,
            ":to": claim.to,
            ":sentTo": claim.sent_to,
            ":hash": claim.order_hash,
            ":published": claim.published_at,
            ":now": claim.now,
            ":expires": claim.expires_at,
            ":token": claim.token,
            ":trace": claim.trace_id,
            ":submitting": Status.SUBMITTING.value,
            ":sandbox": claim.to != claim.sent_to,
            ":zero": 0,
            ":one": 1,
            **({":flags": set(claim.flags)} if claim.flags else {}),
            **values,
        }
        try:
            reply = self._client.update_item(
                TableName=self._table,
                Key=_key(claim.order_id, claim.message_id),
                UpdateExpression=f"SET {', '.join([*shared, *assignments])} REMOVE {remove}",
                ConditionExpression=(
                    "attribute_not_exists(orderId)"
                    " OR (#status = :submitting AND attribute_not_exists(leaseUntil) AND orderHash = :hash"
                    " AND claimToken <> :token)"
                ),
                ExpressionAttributeNames={
                    "#kind": "kind",
                    "#to": "to",
                    "#open": "open",
                    "#status": "status",
                    "#reason": "reason",
                    "#order": "order",
                },
                ExpressionAttributeValues={name: _serialize(value) for name, value in given.items()},
                ReturnValues="ALL_NEW",
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
            )
        except ClientError as error:
            standing: Row = _standing_row(error)
            if is_ours(standing):
                return standing
            raise AlreadyClaimed(standing) from None
        return _row(reply["Attributes"])

    def change(self, before: Row, after: Row, now: str) -> Row:
        """Write what differs between `before` and `after`, if the row still is as `before` was read.

        Raises:
            Superseded: it is not.
        """
        old, new = _item(before), _item(after)
        new |= {"lastUpdated": now, "revision": before.revision + 1}
        changed = {name: value for name, value in new.items() if old.get(name) != value}
        removed = [name for name in old if name not in new]
        names = {f"#{index}": name for index, name in enumerate([*changed, *removed])}
        short = {name: key for key, name in names.items()}
        expression = "SET " + ", ".join(f"{short[name]} = :{short[name][1:]}" for name in changed)
        if removed:
            expression += " REMOVE " + ", ".join(short[name] for name in removed)
        try:
            reply = self._client.update_item(
                TableName=self._table,
                Key=_key(before.order_id, before.message_id),
                UpdateExpression=expression,
                ConditionExpression="#revision = :revision",
                ExpressionAttributeNames={**names, "#revision": "revision"},
                ExpressionAttributeValues={
                    **{f":{short[name][1:]}": _serialize(value) for name, value in changed.items()},
                    ":revision": _serialize(before.revision),
                },
                ReturnValues="ALL_NEW",
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
            )
        except ClientError as error:
            raise Superseded(_standing_row(error, missing_ok=True)) from None
        return _row(reply["Attributes"])

    def learn(self, row: Row, evidence: Evidence, now: str) -> tuple[Row, bool]:
        """Fold `evidence` into the row, whoever else is writing.

        Returns:
            The row as it then stands, and whether it was this call that reached the milestone first.

        Raises:
            LookupError: the row has expired.
        """
        for _ in range(_ATTEMPTS_TO_LEARN):
            folded = fold(row, evidence)
            if folded is row:
                return row, False
            try:
                return self.change(row, folded, now), evidence.milestone not in row.milestones
            except Superseded as late:
                if late.row is None:
                    raise LookupError(f"the row of order {row.order_id} has expired") from None
                row = late.row
        raise TimeoutError(f"the row of order {row.order_id} changed {_ATTEMPTS_TO_LEARN} times while it was written")

    def get(self, order_id: str, message_id: str) -> Row | None:
        """The row as it stands, read consistently; None when there is none."""
        reply = self._client.get_item(TableName=self._table, Key=_key(order_id, message_id), ConsistentRead=True)
        return _row(reply["Item"]) if "Item" in reply else None

    def of_order(self, order_id: str) -> list[Row]:
        """All rows of one order, one a kind of email."""
        reply = self._client.query(
            TableName=self._table,
            KeyConditionExpression="orderId = :order",
            ExpressionAttributeValues={":order": {"S": order_id}},
            ConsistentRead=True,
        )
        return [_row(item) for item in reply["Items"]]

    def oldest_open(self, kind: str) -> OpenEmail | None:
        """The email of this kind that has waited longest for its outcome; None when there is none.

        From the index, so of a moment ago: an email claimed or settled within the last second may not show yet.
        """
        reply = self._client.query(
            TableName=self._table,
            IndexName=OPEN_INDEX,
            KeyConditionExpression="#open = :kind",
            ExpressionAttributeNames={"#open": "open"},
            ExpressionAttributeValues={":kind": {"S": kind}},
            ScanIndexForward=True,
            Limit=1,
        )
        for item in reply["Items"]:
            values = {name: str(_deserialize(value)) for name, value in item.items()}
            return OpenEmail(values["orderId"], values["messageId"], values["claimedAt"])
        return None

    def all(self) -> Iterator[Row]:
        """Every row, by a scan: for a local run's report, not for a table of any size."""
        for page in self._client.get_paginator("scan").paginate(TableName=self._table, ConsistentRead=True):
            yield from (_row(item) for item in page["Items"])


def _key(order_id: str, message_id: str) -> dict[str, Any]:
    return {"orderId": {"S": order_id}, "messageId": {"S": message_id}}


def _standing_row(error: ClientError, *, missing_ok: bool = False) -> Any:
    """The row that made a condition fail; any other error goes on its way."""
    if error.response["Error"]["Code"] != "ConditionalCheckFailedException":
        raise error
    item: Any = error.response.get("Item")
    if item:
        return _row(item)
    if missing_ok:
        return None
    raise error


def _item(row: Row) -> dict[str, Any]:
    fields = {attribute: getattr(row, name) for name, attribute in _FIELDS.items()}
    return {
        **{name: set(value) if isinstance(value, frozenset) else value for name, value in fields.items() if value},
        **{milestone.value: at for milestone, at in row.milestones.items()},
        "status": row.status.value,
        "sandbox": row.sandboxed,
        **({"open": row.kind} if row.is_open else {}),
    }


def _row(item: Mapping[str, Any]) -> Row:
    values = {name: _deserialize(value) for name, value in item.items()}
    fields: dict[str, Any] = {name: values[attribute] for name, attribute in _FIELDS.items() if attribute in values}
    fields |= {name: int(fields[name]) for name in _NUMBERS & fields.keys()}
    fields["flags"] = frozenset(fields.get("flags", ()))
    milestones = {milestone: values[milestone.value] for milestone in Milestone if milestone.value in values}
    return Row(milestones=milestones, **fields)
