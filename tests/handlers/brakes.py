"""An AWS account in memory, as far as the brake uses one: lanes' mappings and configuration sets, the control table."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from botocore.exceptions import ClientError

from handlers.adapters.control import Control
from handlers.adapters.sluice import Gates, Sluice
from handlers.guarding.brake import Hold, Holder
from handlers.guarding.tally import Start
from handlers.telemetry.contract import METERED

LANE, PROBE = "order-confirmation", "probe"
NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
FULL_BATCH = 10

SETTINGS = {
    "CONTROL_TABLE": "control",
    "LANES": json.dumps(
        {lane: {"mapping": f"{lane}-mapping", "configurationSet": f"{lane}-set"} for lane in (LANE, PROBE)}
    ),
    "FULL_BATCH": str(FULL_BATCH),
    "PRICES": json.dumps(dict.fromkeys(METERED, "0.000001")),
    "STACK": "test",
    "LOG_LEVEL": "INFO",
}

OPEN = {"State": "Enabled", "BatchSize": FULL_BATCH}, True
RAMPED = {"State": "Enabled", "BatchSize": 1}, True
HELD = {"State": "Disabled", "BatchSize": FULL_BATCH}, False


def at(minutes: float) -> datetime:
    return NOON + timedelta(minutes=minutes)


def hold(holder: Holder = Holder.SPEND, minutes: float = 0) -> Hold:
    return Hold(holder=holder, by="send_email", reason="2.01 of 2.00 USD in an hour", since=at(minutes))


def start(minutes: float = 0) -> Start:
    return Start(at=at(minutes))


class Account:
    """Three clients in one. `refusals` has the error that an operation answers, `calls` what was asked, in order.

    Lambda carries a change of a mapping out later: until `pass_time` it is Enabling or Disabling, and refuses another.
    """

    def __init__(self, *lanes: str) -> None:
        self.mappings: dict[str, dict[str, Any]] = {f"{lane}-mapping": dict(OPEN[0]) for lane in lanes}
        self.sets: dict[str, bool] = {f"{lane}-set": True for lane in lanes}
        self.items: dict[str, dict[str, Any]] = {}
        self.written: list[dict[str, Any]] = []
        self.refusals: dict[str, Exception] = {}
        self.calls: list[str] = []

    def control(self) -> Control:
        client: Any = self
        return Control(client, "control")

    def sluice(self, lane: str) -> Sluice:
        client: Any = self
        return Sluice(client, client, Gates(f"{lane}-mapping", f"{lane}-set"))

    def stands(self, lane: str) -> tuple[dict[str, Any], bool]:
        """The lane's mapping and whether its configuration set sends."""
        return self.mappings[f"{lane}-mapping"], self.sets[f"{lane}-set"]

    def changes(self) -> list[str]:
        """The calls that changed the account."""
        return [call for call in self.calls if call.startswith(("update_event", "put_configuration"))]

    def pass_time(self) -> None:
        for mapping in self.mappings.values():
            state = mapping["State"]
            mapping["State"] = {"Enabling": "Enabled", "Disabling": "Disabled", "Updating": "Enabled"}.get(state, state)

    # What the clients are asked.

    def get_event_source_mapping(self, **request: Any) -> dict[str, Any]:
        self._called("get_event_source_mapping")
        return dict(self._mapping(request["UUID"], "GetEventSourceMapping"))

    def update_event_source_mapping(self, **request: Any) -> dict[str, Any]:
        uuid, enabled, batch = request["UUID"], request["Enabled"], request["BatchSize"]
        self._called(f"update_event_source_mapping {uuid} {enabled} {batch}")
        mapping = self._mapping(uuid, "UpdateEventSourceMapping")
        if mapping["State"] not in ("Enabled", "Disabled"):
            raise refusal("UpdateEventSourceMapping", 400, "ResourceInUseException", "it is being updated")
        if enabled != (mapping["State"] == "Enabled"):
            mapping["State"] = "Enabling" if enabled else "Disabling"
        mapping["BatchSize"] = batch
        return dict(mapping)

    def get_configuration_set(self, **request: Any) -> dict[str, Any]:
        self._called("get_configuration_set")
        name = self._set(request["ConfigurationSetName"], "GetConfigurationSet")
        return {"SendingOptions": {"SendingEnabled": self.sets[name]}}

    def put_configuration_set_sending_options(self, **request: Any) -> dict[str, Any]:
        name, sending = request["ConfigurationSetName"], request["SendingEnabled"]
        self._called(f"put_configuration_set_sending_options {name} {sending}")
        self.sets[self._set(name, "PutConfigurationSetSendingOptions")] = sending
        return {}

    def get_item(self, **request: Any) -> dict[str, Any]:
        self._called("get_item")
        assert (request["TableName"], request["ConsistentRead"]) == ("control", True)
        item = self.items.get(request["Key"]["key"]["S"])
        return {"Item": item} if item else {}

    def put_item(self, **request: Any) -> dict[str, Any]:
        """The one kind of write that `Control.write` makes. test_control holds it to what a table does."""
        self._called("put_item")
        item = request["Item"]
        key = item["key"]["S"]
        standing = self.items.get(key, {})
        read = request.get("ExpressionAttributeValues", {}).get(":read")
        conditions = {"revision = :read": read, "attribute_not_exists(revision)": None}
        if "ConditionExpression" in request and standing.get("revision") != conditions[request["ConditionExpression"]]:
            response: Any = {"Error": {"Code": "ConditionalCheckFailedException"}, "Item": standing}
            raise ClientError(response, "PutItem")
        self.items[key] = item
        self.written.append(item)
        return {}

    def _called(self, call: str) -> None:
        self.calls.append(call)
        if error := self.refusals.get(call.split(maxsplit=1)[0]):
            raise error

    def _mapping(self, uuid: str, operation: str) -> dict[str, Any]:
        if uuid not in self.mappings:
            raise refusal(operation, 404, "ResourceNotFoundException", "The resource you requested does not exist.")
        return self.mappings[uuid]

    def _set(self, name: str, operation: str) -> str:
        if name not in self.sets:
            raise refusal(operation, 404, "NotFoundException", f"Configuration set <{name}> does not exist.")
        return name


def refusal(operation: str, status: int, code: str, message: str = "") -> ClientError:
    response: Any = {"Error": {"Code": code, "Message": message}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(response, operation)


def denied(operation: str) -> ClientError:
    return refusal(operation, 403, "AccessDeniedException", "User is not authorized to perform this")


def stream_record(item: Mapping[str, Any]) -> dict[str, Any]:
    """A write to the control table, as its stream hands it over (view NEW_IMAGE). Source: Lambda developer guide,
    "Using AWS Lambda with Amazon DynamoDB", example event."""
    return {
        "eventID": f"{item['key']['S']}-{item['revision']['N']}",
        "eventName": "INSERT" if item["revision"]["N"] == "1" else "MODIFY",
        "eventVersion": "1.1",
        "eventSource": "aws:dynamodb",
        "awsRegion": "us-east-1",
        "dynamodb": {
            "ApproximateCreationDateTime": NOON.timestamp(),
            "Keys": {"scope": item["scope"], "key": item["key"]},
            "NewImage": dict(item),
            "SequenceNumber": "4421584500000000017450439091",
            "SizeBytes": 120,
            "StreamViewType": "NEW_IMAGE",
        },
        "eventSourceARN": "arn:aws:dynamodb:us-east-1:123456789012:table/control/stream/2026-11-23T00:00:00.000",
    }
