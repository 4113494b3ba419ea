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
from decimal import Decimal
from types import ModuleType, SimpleNamespace
from typing import Any
from unittest.mock import patch

import boto3
from botocore.exceptions import EndpointConnectionError
from moto import mock_aws

from local.config import ROOT
from tests.handlers.entries import LANES, PRICES, control_table

ANY = object()
"""A value that depends on the clock: any number."""

Values = Mapping[str, Any]
"""Metrics by name, with the value of their one point."""

LATE = timedelta(minutes=5)
ENTRIES = (
    "handlers.send_email",
    "handlers.record_feedback",
    "handlers.probe",
    "handlers.reputation_guard",
    "handlers.cost_guard",
    "handlers.cost_report",
)
BRAKE = "handlers.brake"
ENVIRONMENT = {
    "LEDGER_TABLE": "EmailDeliveries",
    "CONTROL_TABLE": "Control",
    "LANES": json.dumps(LANES),
    "PRICES": json.dumps(PRICES),
    "SPEND_PER_HOUR": "100",
    "SPEND_PER_DAY": "100",
    "SPEND_HOLDS": "order-confirmation",
    "HELD_SECONDS": "90",
    "QUARANTINE_URL": "https://sqs.us-east-1.amazonaws.com/123456789012/quarantine",
    "FROM_ADDRESS": "orders@mail.example.com",
    "FROM_NAME": "Example Store",
    "REPLY_TO": "support@example.com",
    "PRODUCTION_SENDING": "true",
    "LEDGER_RETENTION_DAYS": "400",
    "TOPIC_ARN": "arn:aws:sns:us-east-1:123456789012:orders",
    "PROBE_SECONDS": "10",
    "BUDGET_HOLDS": json.dumps({"ACTUAL:100": ["order-confirmation"]}),
    "TICKET_TOPIC_ARN": "arn:aws:sns:us-east-1:123456789012:ticket",
    "REPORT_TO": "ann@example.com",
    "PROJECT": "mailroom",
    "LOG_GROUPS": "/aws/lambda/send",
    "FUNCTIONS": "send",
    "LOG_RETENTION_DAYS": "90",
    "STACK": "test",
    "LOG_LEVEL": "INFO",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
}
SENT = {"EmailsSent": 1, "SendMisses": 0}
DELIVERED = {"Deliveries": 1, "DeliveryLatency": ANY, "DeliveryMisses": 0, "FeedbackMisses": 0}

_EXPECTED: Mapping[str, Values] = {
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
    "to a suppressed address": {"Suppressions": 1},
    "delivery": DELIVERED,
    "delivery told late": {**DELIVERED, "FeedbackMisses": 1},
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
    "an event whose outcome cannot be counted": {**DELIVERED, "BrakeFaults": 1},
    "outcomes as they should be": {},
    "outcomes to be warned of": {"ReputationWarnings": 1},
    "outcomes to hold a lane for": {},
    "no lane is held": {},
    "a lane is held": {"BrakeEngaged": 1},
    "two lanes are held, one of them in vain": {"BrakeEngaged": 2, "BrakeFaults": 1},
    "one of two lanes is let go": {"BrakeEngaged": 1},
    "the last lane is let go": {"BrakeEngaged": 0},
    "an order at the spend limit": {},
    "an order of a held lane": {},
    "a budget that is spent": {},
    "the cost report": {},
}
EVERY_RUN: Values = {"EstimatedSpend": ANY}
EXPECTED: Mapping[str, Values] = {situation: {**values, **EVERY_RUN} for situation, values in _EXPECTED.items()}
"""What each situation emits, and every run of a handler besides; `run` makes them happen."""

UNITS: Mapping[str, str] = {"DeliveryLatency": "Milliseconds", "OldestOpenEmail": "Seconds", "EstimatedSpend": "None"}
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


def run() -> Iterator[tuple[str, list[Point]]]:
    """Every situation in EXPECTED as it happens, and what was emitted in it."""
    for name in [name for name in sys.modules if name.split(".")[0] == "handlers" or name.startswith("tests.handlers")]:
        del sys.modules[name]
    with mock_aws(), patch.dict(os.environ, ENVIRONMENT):
        _make_account()
        entries = send_email, record_feedback, probe, reputation_guard, cost_guard, cost_report = tuple(
            map(importlib.import_module, ENTRIES)
        )
        brakes = importlib.import_module("tests.handlers.brakes")
        with patch.dict(os.environ, brakes.SETTINGS | {"CONTROL_TABLE": ENVIRONMENT["CONTROL_TABLE"]}):
            brake = importlib.import_module(BRAKE)
        logged = _logged(*entries, brake)
        yield from _orders(send_email)
        yield from _events(send_email, record_feedback)
        yield from _probes(probe, record_feedback)
        yield from _outcomes(reputation_guard)
        yield from _brake(brake, brakes)
        yield from _gate(send_email)
        yield from _money(cost_guard, cost_report)
    # What ends at the outermost edge is counted there as put off, whatever it was.
    if (caught := logged.getvalue().count("Traceback")) != 2:
        raise AssertionError(
            f"{caught} exceptions were caught at an edge, expected two, of the ledger and the tally that are not there"
        )


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
    control_table(dynamodb, ENVIRONMENT["CONTROL_TABLE"])
    sqs = boto3.client("sqs")
    for url in (*(lane["queueUrl"] for lane in LANES.values()), ENVIRONMENT["QUARANTINE_URL"]):
        sqs.create_queue(QueueName=url.rsplit("/", 1)[-1])
    for topic in ("orders", "ticket"):
        boto3.client("sns").create_topic(Name=topic)


def _logged(*entries: ModuleType) -> io.StringIO:
    """Where the entries log from now on: beside the records, not among them."""
    stream = io.StringIO()
    for entry in entries:
        entry.log.handlers[0].setStream(stream)
    return stream


def _captured(act: Callable[[], object], *fails: type[Exception]) -> list[Point]:
    out = io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.suppress(*fails):
        act()
    return points(out.getvalue())


def _orders(send_email: ModuleType) -> Iterator[tuple[str, list[Point]]]:
    entries = importlib.import_module("tests.handlers.entries")
    document = importlib.import_module("tests.handlers.orders").document
    mailer = importlib.import_module("handlers.adapters.ses").Mailer(entries.SesClient(), "confirmations")
    vars(send_email)["mailers"] = dict.fromkeys(LANES, mailer)

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

    def sent(order_id: str, lane: str = "order-confirmation", to: str = "") -> list[Point]:
        address = f"{(to or order_id).lower()}@example.com"  # what bounced is not written to again
        record = entries.record(json.dumps(document(orderId=order_id, customerEmail=address)))
        record["attributes"]["SentTimestamp"] = str(int(time.time() * 1000))
        record["messageAttributes"] = {"messageType": {"stringValue": lane, "dataType": "String"}}
        return _captured(lambda: send_email.handler({"Records": [record]}, entries.Context()))

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
        if name == "bounce":
            yield "to a suppressed address", sent("E-again", to=f"E-{number}")
    sent("L-1")
    yield "delivery told late", told("delivery", "L-1", late=True)
    yield "an event of nobody's email", told("delivery", "nobody")
    sent("L-2")
    with patch.object(record_feedback, "control", SimpleNamespace(add=_unanswered)):
        yield "an event whose outcome cannot be counted", told("delivery", "L-2")
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


def _unanswered(*_: Any, **__: Any) -> None:
    raise EndpointConnectionError(endpoint_url="https://dynamodb.us-east-1.amazonaws.com")


def _outcomes(reputation_guard: ModuleType) -> Iterator[tuple[str, list[Point]]]:
    """A lane each, of which one email in a hundred bounced the other day, and so many of 130 did now."""
    context = importlib.import_module("tests.handlers.entries").Context()
    tally = importlib.import_module("handlers.guarding.tally")
    now = datetime.now(UTC)
    for situation, bounced in (
        ("outcomes as they should be", 1),
        ("outcomes to be warned of", 10),
        ("outcomes to hold a lane for", 14),
    ):
        scope = tally.outcomes(situation)
        for at, of, so_many in ((now - timedelta(days=2), 1000, 10), (now, 130, bounced)):
            amounts = {tally.JUDGED: Decimal(of), tally.BOUNCED: Decimal(so_many)}
            reputation_guard.control.add(scope, at, amounts, slotted=frozenset(amounts))
        keys = {"scope": {"S": scope}, "key": {"S": "the hour"}}
        event = {"Records": [{"eventSource": "aws:dynamodb", "dynamodb": {"Keys": keys}}]}
        yield situation, _captured(lambda event=event: reputation_guard.handler(event, context))  # type: ignore[misc]


def _brake(brake: ModuleType, brakes: ModuleType) -> Iterator[tuple[str, list[Point]]]:
    """Two lanes of an account in memory."""
    context = importlib.import_module("tests.handlers.entries").Context()
    rules = importlib.import_module("handlers.guarding.brake")
    account = brakes.Account(brakes.LANE, brakes.PROBE)
    control = account.control()
    clock = SimpleNamespace(sleep=lambda _: account.pass_time())
    vars(brake).update(control=control, sluices={lane: account.sluice(lane) for lane in brake.env.lanes}, time=clock)

    def called(*fails: type[Exception]) -> list[Point]:
        """The brake is called with what was written since it was last."""
        records = [brakes.stream_record(item) for item in account.written]
        account.written.clear()
        event = {"Records": records} if records else {"at": brakes.at(0).isoformat()}
        return _captured(lambda: brake.handler(event, context), *fails)

    def engage(lane: str) -> None:
        control.alter(lane, lambda found: rules.engage(found, brakes.hold()))

    def release(lane: str) -> None:
        control.alter(lane, lambda found: rules.release(found, by="kim", reason="mended", start=brakes.start()))

    yield "no lane is held", called()
    engage(brakes.LANE)
    yield "a lane is held", called()
    engage(brakes.PROBE)
    account.refusals["update_event_source_mapping"] = brakes.denied("UpdateEventSourceMapping")
    yield "two lanes are held, one of them in vain", called(brake.BrakeFault)
    account.refusals.clear()
    release(brakes.LANE)
    yield "one of two lanes is let go", called()
    release(brakes.PROBE)
    yield "the last lane is let go", called()


def _gate(send_email: ModuleType) -> Iterator[tuple[str, list[Point]]]:
    """A limit that the first order reaches, by which its lane is held when the second comes."""
    entries = importlib.import_module("tests.handlers.entries")
    document = importlib.import_module("tests.handlers.orders").document
    nothing = importlib.import_module("handlers.guarding.spending").Limits(Decimal("1e-9"), Decimal("1e-9"))

    def taken(order_id: str) -> list[Point]:
        event = {"Records": [entries.record(json.dumps(document(orderId=order_id)), receipt="receipt")]}
        return _captured(lambda: send_email.handler(event, entries.Context()))

    with patch.object(send_email.gate, "limits", nothing):
        yield "an order at the spend limit", taken("G-1")
    yield "an order of a held lane", taken("G-2")


def _money(cost_guard: ModuleType, cost_report: ModuleType) -> Iterator[tuple[str, list[Point]]]:
    entries = importlib.import_module("tests.handlers.entries")
    letter = importlib.import_module("handlers.mail.letter").Letter("What it cost", "41 USD", "<p>41 USD</p>")
    alert = (ROOT / "tests/events/budgets/actual.txt").read_text(encoding="utf-8")
    event = {"Records": [entries.record(alert)]}
    yield "a budget that is spent", _captured(lambda: cost_guard.handler(event, entries.Context()))
    outbox = SimpleNamespace(send_email=lambda **_: {"MessageId": "0100"})
    with patch.object(cost_report, "report", return_value=letter), patch.object(cost_report, "sesv2", outbox):
        yield "the cost report", _captured(lambda: cost_report.handler({}, entries.Context()))
