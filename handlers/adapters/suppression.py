"""The suppression list in DynamoDB: rows of the control table (`control.py`) in the scope `suppressed`.

scope        key                since  reason  orderId  diagnostic  by  removed {at, by, reason}
suppressed   ann@example.com
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from boto3.dynamodb.types import TypeDeserializer, TypeSerializer
from botocore.exceptions import ClientError

from handlers.guarding.suppression import Reason, Removal, Suppression, address_key
from handlers.mail.lifecycle import timestamp

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

SUPPRESSED = "suppressed"

_serialize = TypeSerializer().serialize
_deserialize = TypeDeserializer().deserialize


class SuppressionList:
    """The list of one stack, in the control table `table`.

    Every method raises botocore's errors as they are: to the queue each of them means "later".
    """

    def __init__(self, client: DynamoDBClient, table: str) -> None:
        self._client = client
        self._table = table

    def find(self, address: str, *, consistent: bool = False) -> Suppression | None:
        """The entry of `address`, removed or not; None when there never was one.

        Read at half the price, and up to a second old, unless it is to be `consistent`: a bounce is minutes away from
        its email already.
        """
        reply = self._client.get_item(TableName=self._table, Key=_key(address), ConsistentRead=consistent)
        return _entry(reply["Item"]) if "Item" in reply else None

    def active(self, address: str) -> Suppression | None:
        """The entry by which `address` is not written to; None when it may be."""
        entry = self.find(address)
        return entry if entry and entry.active else None

    def put(self, entry: Suppression) -> bool:
        """Put an address on the list; whether that changed anything.

        It does not if the address is on it, or was taken off later than `entry.since`: so an event told again, however
        late, brings nothing back.
        """
        values = {
            "since": timestamp(entry.since),
            "reason": entry.reason.value,
            "orderId": entry.order_id,
            "diagnostic": entry.diagnostic,
            "by": entry.by,
        }
        names = {f"#{index}": name for index, name in enumerate(values)}
        try:
            self._client.update_item(
                TableName=self._table,
                Key=_key(entry.address),
                UpdateExpression=f"SET {', '.join(f'#{index} = :{index}' for index in range(len(values)))}",
                # Text order is time order.
                ConditionExpression="attribute_not_exists(#0) OR (removed.#at < :0 AND #0 <= removed.#at)",
                ExpressionAttributeNames={**names, "#at": "at"},
                ExpressionAttributeValues={
                    f":{index}": _serialize(value) for index, value in enumerate(values.values())
                },
            )
        except ClientError as error:
            if error.response["Error"]["Code"] != "ConditionalCheckFailedException":
                raise
            return False
        return True

    def remove(self, address: str, removal: Removal) -> Suppression | None:
        """Mark the entry of `address` as removed; the entry as it then stands, None when there is none."""
        try:
            reply = self._client.update_item(
                TableName=self._table,
                Key=_key(address),
                UpdateExpression="SET removed = :removed",
                ConditionExpression="attribute_exists(since)",
                ExpressionAttributeValues={
                    ":removed": _serialize({"at": timestamp(removal.at), "by": removal.by, "reason": removal.reason})
                },
                ReturnValues="ALL_NEW",
            )
        except ClientError as error:
            if error.response["Error"]["Code"] != "ConditionalCheckFailedException":
                raise
            return None
        return _entry(reply["Attributes"])

    def all(self) -> Iterator[Suppression]:
        """Every entry, removed ones as well, by address."""
        pages = self._client.get_paginator("query").paginate(
            TableName=self._table,
            KeyConditionExpression="#scope = :scope",
            ExpressionAttributeNames={"#scope": "scope"},
            ExpressionAttributeValues={":scope": {"S": SUPPRESSED}},
        )
        for page in pages:
            yield from (_entry(item) for item in page["Items"])


def _key(address: str) -> dict[str, Any]:
    return {"scope": {"S": SUPPRESSED}, "key": {"S": address_key(address)}}


def _entry(item: Mapping[str, Any]) -> Suppression:
    values: dict[str, Any] = {name: _deserialize(value) for name, value in item.items()}
    removed = values.get("removed")
    return Suppression(
        address=values["key"],
        reason=Reason(values["reason"]),
        since=datetime.fromisoformat(values["since"]),
        order_id=values["orderId"],
        diagnostic=values["diagnostic"],
        by=values["by"],
        removed=Removal(by=removed["by"], reason=removed["reason"], at=datetime.fromisoformat(removed["at"]))
        if removed
        else None,
    )
