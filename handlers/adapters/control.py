"""The control table: the brake's lanes, tallies, and addresses that are not written to. The rules are `guarding`'s.

scope               key                  what
lane                order-confirmation   a lane's state (`guarding.brake.Lane`)
spend               2026-11-23T10        an hour of what the handlers' calls cost (`guarding.tally.Hour`)
outcomes/<lane>     2026-11-23T10        an hour of what became of a lane's emails
suppressed          ann@example.com      an address that is not written to (`suppression.py`)
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from boto3.dynamodb.types import TypeDeserializer, TypeSerializer
from botocore.exceptions import ClientError

from handlers.guarding.brake import Change, Hold, Holder, Lane
from handlers.guarding.tally import Hour, Start, hour_of, slot_number

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

LANE = "lane"
KEPT = timedelta(days=70)
"""Hours are kept for a report on last month beside the month before."""

_ATTEMPTS = 50
_serialize = TypeSerializer().serialize
_deserialize = TypeDeserializer().deserialize


class Stale(Exception):
    """Somebody else has written the lane since it was read."""


class Control:
    """The table `table`."""

    def __init__(self, client: DynamoDBClient, table: str) -> None:
        self._client = client
        self._table = table

    # Lanes

    def lane(self, name: str) -> Lane:
        """The lane as it stands, read consistently; open if it has no row."""
        reply = self._client.get_item(TableName=self._table, Key=_key(LANE, name), ConsistentRead=True)
        return lane_of(reply["Item"]) if "Item" in reply else Lane(name=name)

    def write(self, before: Lane, after: Lane) -> Lane:
        """`after` with its new revision. Raises Stale: `before` does not stand any more."""
        written = replace(after, revision=before.revision + 1)
        as_read: dict[str, Any] = {"ConditionExpression": "attribute_not_exists(revision)"}
        if before.revision:
            values = {":read": _serialize(before.revision)}
            as_read = {"ConditionExpression": "revision = :read", "ExpressionAttributeValues": values}
        try:
            self._client.put_item(
                TableName=self._table,
                Item=_lane_item(written),
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
                **as_read,
            )
        except ClientError as error:
            if error.response["Error"]["Code"] != "ConditionalCheckFailedException":
                raise
            # The SDK asks again when an answer is lost, and then meets what it has written itself.
            standing: Any = error.response.get("Item")
            if not standing or lane_of(standing) != written:
                raise Stale(before.name) from None
        return written

    def alter(self, name: str, change: Callable[[Lane], Lane]) -> tuple[Lane, bool]:
        """The lane after `change`, whoever else is writing, and whether that changed anything.

        Raises:
            TimeoutError: others were faster, again and again.
        """
        for _ in range(_ATTEMPTS):
            before = self.lane(name)
            after = change(before)
            if after is before:
                return before, False
            try:
                return self.write(before, after), True
            except Stale:
                continue
        raise TimeoutError(f"lane {name} changed {_ATTEMPTS} times while it was written")

    # Tallies

    def add(self, scope: str, at: datetime, amounts: Mapping[str, Decimal], *, slotted: frozenset[str]) -> Hour:
        """Add to the hour of `at`, and of `slotted` counters to its slot, too; the hour as it then is."""
        number = slot_number(at)
        added = {_TOTAL + name: amount for name, amount in amounts.items()}
        added |= {f"{number:02}{_SLOT}{name}": amount for name, amount in amounts.items() if name in slotted}
        names = {f"#{index}": name for index, name in enumerate(added)}
        # Written out, as not everything that speaks DynamoDB's protocol reads 9E-7.
        values = {f":{index}": {"N": f"{amount:f}"} for index, amount in enumerate(added.values())}
        reply = self._client.update_item(
            TableName=self._table,
            Key=_key(scope, _hour_key(at)),
            UpdateExpression=f"SET expiresAt = :expires ADD {', '.join(f'#{n} :{n}' for n in range(len(added)))}",
            ExpressionAttributeNames=names,
            ExpressionAttributeValues={**values, ":expires": _serialize(int((at + KEPT).timestamp()))},
            ReturnValues="ALL_NEW",
        )
        return hour_from(reply["Attributes"])

    def hours(self, scope: str, since: datetime, until: datetime, *, newest_first: bool = False) -> Iterator[Hour]:
        """The hours of a tally that have any part in the time given, those without a count left out; page by page, so
        that whoever has enough may stop."""
        pages = self._client.get_paginator("query").paginate(
            TableName=self._table,
            KeyConditionExpression="#scope = :scope AND #key BETWEEN :since AND :until",
            ExpressionAttributeNames={"#scope": "scope", "#key": "key"},
            ExpressionAttributeValues={
                ":scope": {"S": scope},
                ":since": {"S": _hour_key(since)},
                ":until": {"S": _hour_key(until)},
            },
            ScanIndexForward=not newest_first,
        )
        for page in pages:
            yield from (hour_from(item) for item in page["Items"])


_TOTAL = "n:"
_SLOT = ":"


def _key(scope: str, key: str) -> dict[str, Any]:
    return {"scope": {"S": scope}, "key": {"S": key}}


def _hour_key(at: datetime) -> str:
    return f"{hour_of(at):%Y-%m-%dT%H}"


def hour_from(item: Mapping[str, Any]) -> Hour:
    """The hour in an item, as DynamoDB writes it."""
    values = {name: _deserialize(value) for name, value in item.items()}
    totals: dict[str, Decimal] = {}
    slots: dict[int, dict[str, Decimal]] = {}
    for name, value in values.items():
        if name.startswith(_TOTAL):
            totals[name.removeprefix(_TOTAL)] = value
        elif name[:2].isdigit() and name[2:3] == _SLOT:
            slots.setdefault(int(name[:2]), {})[name[3:]] = value
    return Hour(datetime.strptime(values["key"], "%Y-%m-%dT%H").replace(tzinfo=UTC), totals, slots)


def lane_of(item: Mapping[str, Any]) -> Lane:
    """The lane in an item, as DynamoDB and its streams write it."""
    values = {name: _deserialize(value) for name, value in item.items()}
    start = values.get("start")
    return Lane(
        name=values["key"],
        holds={
            Holder(name): Hold(holder=Holder(name), by=hold["by"], reason=hold["reason"], since=_moment(hold["since"]))
            for name, hold in values["holds"].items()
        },
        stage=int(values["stage"]),
        stage_since=_moment(values["stageSince"]) if "stageSince" in values else None,
        trial=values["trial"],
        start=Start(_moment(start["at"]), dict(start["counted"])) if start else None,
        changes=tuple(
            Change(
                at=_moment(change["at"]),
                what=change["what"],
                holder=change["holder"],
                by=change["by"],
                reason=change["reason"],
                revision=int(change["revision"]),
            )
            for change in values["changes"]
        ),
        revision=int(values["revision"]),
    )


def _lane_item(lane: Lane) -> dict[str, Any]:
    values = {
        "scope": LANE,
        "key": lane.name,
        "holds": {
            holder.value: {"by": hold.by, "reason": hold.reason, "since": _text(hold.since)}
            for holder, hold in lane.holds.items()
        },
        "stage": lane.stage,
        **({"stageSince": _text(lane.stage_since)} if lane.stage_since else {}),
        "trial": lane.trial,
        **({"start": {"at": _text(lane.start.at), "counted": dict(lane.start.counted)}} if lane.start else {}),
        "changes": [
            {
                "at": _text(change.at),
                "what": change.what,
                "holder": change.holder,
                "by": change.by,
                "reason": change.reason,
                "revision": change.revision,
            }
            for change in lane.changes
        ],
        "revision": lane.revision,
    }
    return {name: _serialize(value) for name, value in values.items()}


def _text(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat()


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)
