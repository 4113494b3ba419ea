"""A captured run: what each handler emits in each situation, as CloudWatch would read it from standard output.

The expected names, units and dimensions are written out here, not taken from the contract: a metric that is renamed
there is renamed for handlers and alarms alike, and still is another metric for whoever looks at its past.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from types import ModuleType
from typing import Any
from unittest.mock import patch

import boto3
from moto import mock_aws

ANY = object()
"""A value that depends on the clock: any number."""

Values = Mapping[str, Any]
"""Metrics by name, with the value of their one point."""

LATE = timedelta(minutes=5)
ENTRIES = ("handlers.send_email", "handlers.record_feedback", "handlers.probe")
ENVIRONMENT = {
    "LEDGER_TABLE": "EmailDeliveries",
    "QUEUE_URL": "https://sqs.us-east-1.amazonaws.com/123456789012/send-email",
    "QUARANTINE_URL": "https://sqs.us-east-1.amazonaws.com/123456789012/quarantine",
    "FROM_ADDRESS": "orders@mail.example.com",
    "FROM_NAME": "Example Store",
    "REPLY_TO": "support@example.com",
    "CONFIGURATION_SET": "confirmations",
    "PRODUCTION_SENDING": "true",
    "SEND_RATE": "1000",
    "LEDGER_RETENTION_DAYS": "400",
    "TOPIC_ARN": "arn:aws:sns:us-east-1:123456789012:orders",
    "PROBE_SECONDS": "10",
    "STACK": "test",
    "LOG_LEVEL": "INFO",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
}
SENT = {"EmailsSent": 1, "SendMisses": 0}

EXPECTED: Mapping[str, Values] = {
    "sent": SENT,
    "sent late": {"EmailsSent": 1, "SendMisses": 1},
    "sent with a total that is off": {**SENT, "TotalMismatches": 1},
    "refused by SES": {"SendFailures": 1, "SendMisses": 1},
    "not answered by SES": {"SendsUnknown": 1, "SendMisses": 1},
    "put off by SES": {"SendRetries": 1},
    "no ledger": {"SendRetries": 1},
    "repeated": {"DuplicatesPrevented": 1},
    "in conflict": {"OrderConflicts": 1},
    "malformed": {"OrdersQuarantined": 1},
    "a probe's order": {},
    "delivery": {"Deliveries": 1, "DeliveryLatency": ANY, "DeliveryMisses": 0, "FeedbackMisses": 0},
    "delivery told late": {"Deliveries": 1, "DeliveryLatency": ANY, "DeliveryMisses": 0, "FeedbackMisses": 1},
    "delivery told twice": {},
    "bounce": {"Bounces": 1, "FeedbackMisses": 0},
    "bounce-mailbox-full": {"SoftBounces": 1, "DeliveryMisses": 1, "FeedbackMisses": 0},
    "bounce-suppressed": {"Suppressions": 1, "FeedbackMisses": 0},
    "complaint": {"Complaints": 1, "FeedbackMisses": 0},
    "complaint-on-account-suppression-list": {"Suppressions": 1, "FeedbackMisses": 0},
    "reject": {"Rejects": 1, "DeliveryMisses": 1, "FeedbackMisses": 0},
    "rendering-failure": {"Rejects": 1, "DeliveryMisses": 1, "FeedbackMisses": 0},
    "delivery-delay": {"DeliveryDelays": 1, "FeedbackMisses": 0},
    "an event of nobody's email": {"FeedbackUnmatched": 1},
    "an event of a probe's email": {},
    "a probe that is delivered": {"OldestOpenEmail": 0, "ProbeFailures": 0},
    "a probe that is not, and an open email": {"OldestOpenEmail": ANY, "ProbeFailures": 1},
}
"""What each situation emits; `run` makes them happen."""

UNITS: Mapping[str, str] = {"DeliveryLatency": "Milliseconds", "OldestOpenEmail": "Seconds"}
"""The units that are not `Count`."""

DIMENSIONS = frozenset({"Stack"})


@dataclass(frozen=True)
class Point:
    """One point of one metric, as a record gives it."""

    namespace: str
    name: str
    unit: str
    dimensions: frozenset[str]
    value: float


def points(out: str) -> list[Point]:
    """The points in a handler's standard output (CloudWatch user guide, "Specification: Embedded metric format")."""
    found = []
    for line in out.splitlines():
        record = json.loads(line)
        for directive in record.get("_aws", {}).get("CloudWatchMetrics", []):
            for names in directive["Dimensions"]:
                if missing := set(names) - record.keys():
                    raise AssertionError(f"CloudWatch drops the record: it has no {missing}")
                for metric in directive["Metrics"]:
                    value = record[metric["Name"]]
                    namespace, unit = directive["Namespace"], metric["Unit"]
                    found.append(Point(namespace, metric["Name"], unit, frozenset(names), value))
    return found


def as_expected(situation: str, found: list[Point]) -> str:
    """What is wrong with the points of a situation; "" if nothing is."""
    wanted = EXPECTED[situation]
    values = {point.name: point.value for point in found}
    if len(values) < len(found):
        return f"{situation}: a metric has two points: {found}"
    if values.keys() != wanted.keys():
        return f"{situation}: emitted {sorted(values)}, expected {sorted(wanted)}"
    for point in found:
        if wanted[point.name] is not ANY and wanted[point.name] != point.value:
            return f"{situation}: {point.name} is {point.value}, expected {wanted[point.name]}"
        shape = (point.namespace, point.unit, point.dimensions)
        if shape != ("Mailroom", UNITS.get(point.name, "Count"), DIMENSIONS):
            return f"{situation}: {point.name} has another namespace, unit or dimensions: {shape}"
    return ""


def run() -> dict[str, list[Point]]:
    """Every situation in EXPECTED, and what was emitted in it."""
    for name in [name for name in sys.modules if name.split(".")[0] == "handlers" or name.startswith("tests.handlers")]:
        del sys.modules[name]
    with mock_aws(), patch.dict(os.environ, ENVIRONMENT):
        _make_account()
        send_email, record_feedback, probe = map(importlib.import_module, ENTRIES)
        logged = _logged(send_email, record_feedback, probe)
        found = dict(_orders(send_email))
        found |= dict(_events(send_email, record_feedback))
        found |= dict(_probes(probe, record_feedback))
    # What ends at the outermost edge is counted there as put off, whatever it was.
    if (caught := logged.getvalue().count("Traceback")) != 1:
        raise AssertionError(
            f"{caught} exceptions were caught at an edge, expected one, of the ledger that is not there"
        )
    return found


def _make_account() -> None:
    dynamodb = boto3.client("dynamodb")
    dynamodb.create_table(
        TableName=ENVIRONMENT["LEDGER_TABLE"],
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[
            {"AttributeName": name, "AttributeType": "S"} for name in ("orderId", "messageId", "open", "claimedAt")
        ],
        KeySchema=[
            {"AttributeName": "orderId", "KeyType": "HASH"},
            {"AttributeName": "messageId", "KeyType": "RANGE"},
        ],
        GlobalSecondaryIndexes=[
            {
                "IndexName": "open",
                "KeySchema": [
                    {"AttributeName": "open", "KeyType": "HASH"},
                    {"AttributeName": "claimedAt", "KeyType": "RANGE"},
                ],
                "Projection": {"ProjectionType": "KEYS_ONLY"},
            }
        ],
    )
    sqs = boto3.client("sqs")
    for url in (ENVIRONMENT["QUEUE_URL"], ENVIRONMENT["QUARANTINE_URL"]):
        sqs.create_queue(QueueName=url.rsplit("/", 1)[-1])
    boto3.client("sns").create_topic(Name="orders")


def _logged(*entries: ModuleType) -> io.StringIO:
    """Where the entries log from now on: beside the records, not among them."""
    stream = io.StringIO()
    for entry in entries:
        entry.log.handlers[0].setStream(stream)
    return stream


def _captured(act: Callable[[], object]) -> list[Point]:
    out = io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.suppress(RuntimeError):
        act()
    return points(out.getvalue())


def _orders(send_email: ModuleType) -> Iterator[tuple[str, list[Point]]]:
    entries = importlib.import_module("tests.handlers.entries")
    document = importlib.import_module("tests.handlers.orders").document
    vars(send_email)["mailer"] = importlib.import_module("handlers.adapters.ses").Mailer(
        entries.SesClient(), "confirmations"
    )

    def taken(body: Mapping[str, Any] | str, *, late: bool = False, lane: str = "") -> list[Point]:
        record = entries.record(body if isinstance(body, str) else json.dumps(body), receipt="receipt")
        published = datetime.now(UTC) - (LATE if late else timedelta())
        record["attributes"]["SentTimestamp"] = str(int(published.timestamp() * 1000))
        if lane:
            record["messageAttributes"] = {"messageType": {"stringValue": lane, "dataType": "String"}}
        with patch.object(send_email, "bring_back"):
            return _captured(lambda: send_email.handler({"Records": [record]}, entries.Context()))

    yield "sent", taken(document(orderId="O-1"))
    yield "repeated", taken(document(orderId="O-1"))
    yield "in conflict", taken(document(orderId="O-1", customerName="Somebody else"))
    yield "sent late", taken(document(orderId="O-2"), late=True)
    yield "sent with a total that is off", taken(document(orderId="O-3", total="999.00"))
    yield "refused by SES", taken(document(orderId="O-4", customerEmail="refused@example.com"))
    yield "not answered by SES", taken(document(orderId="O-5", customerEmail="lost@example.com"))
    yield "put off by SES", taken(document(orderId="O-6", customerEmail="throttled@example.com"))
    yield "malformed", taken("not JSON")
    yield "a probe's order", taken(document(orderId="O-7"), lane="probe")
    with patch.object(send_email.ledger, "claim", side_effect=TimeoutError("no ledger")):
        yield "no ledger", taken(document(orderId="O-8"))


def _events(send_email: ModuleType, record_feedback: ModuleType) -> Iterator[tuple[str, list[Point]]]:
    entries = importlib.import_module("tests.handlers.entries")
    events = importlib.import_module("tests.handlers.events")
    document = importlib.import_module("tests.handlers.orders").document

    def sent(order_id: str, lane: str = "order-confirmation") -> None:
        record = entries.record(json.dumps(document(orderId=order_id)))
        record["attributes"]["SentTimestamp"] = str(int(time.time() * 1000))
        record["messageAttributes"] = {"messageType": {"stringValue": lane, "dataType": "String"}}
        _captured(lambda: send_email.handler({"Records": [record]}, entries.Context()))

    def told(name: str, order_id: str, *, late: bool = False, **tags: list[str]) -> list[Point]:
        event = json.loads(events.told(name, order_id, **tags))
        happened = (datetime.now(UTC) - (LATE if late else timedelta())).isoformat()
        for part in event.values():
            if isinstance(part, dict) and "timestamp" in part:
                part["timestamp"] = happened
        record = entries.record(json.dumps(event))
        return _captured(lambda: record_feedback.handler({"Records": [record]}, entries.Context()))

    for number, name in enumerate(name for name in EXPECTED if name in events.NAMES):
        sent(f"E-{number}")
        yield name, told(name, f"E-{number}")
        if name == "delivery":
            yield "delivery told twice", told(name, f"E-{number}")
    sent("L-1")
    yield "delivery told late", told("delivery", "L-1", late=True)
    yield "an event of nobody's email", told("delivery", "nobody")
    sent("P-1", lane="probe")
    probe_row = importlib.import_module("handlers.mail.lifecycle").message_id("P-1", "probe")
    yield "an event of a probe's email", told("delivery", "P-1", message_id=[probe_row])


def _probes(probe: ModuleType, record_feedback: ModuleType) -> Iterator[tuple[str, list[Point]]]:
    lifecycle = importlib.import_module("handlers.mail.lifecycle")
    ledger = record_feedback.ledger

    def delivered(*_: Any, **__: Any) -> Any:
        moment = lifecycle.timestamp(datetime.now(UTC))
        row = next(row for row in ledger.all() if row.order_id == "P-1")
        return replace(row, milestones={lifecycle.Milestone.DELIVERED: moment})

    yield_open = next(row for row in ledger.all() if row.status is lifecycle.Status.UNKNOWN)
    none_open = patch.object(probe.ledger, "oldest_open", return_value=None)
    with none_open, patch.object(probe, "follow", delivered):
        yield "a probe that is delivered", _captured(lambda: probe.handler({}, None))
    with (
        patch.object(probe, "follow", return_value=None),
        patch.object(probe.ledger, "oldest_open", return_value=yield_open),
    ):
        yield "a probe that is not, and an open email", _captured(lambda: probe.handler({}, None))
