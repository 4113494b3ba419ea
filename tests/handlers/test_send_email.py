from __future__ import annotations

import email
import json
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.policy import default
from types import ModuleType
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from jinja2 import UndefinedError

from handlers.adapters.ledger import DynamoLedger
from handlers.adapters.ses import Mailer
from handlers.mail.lifecycle import Evidence, Milestone, Row, Status, message_id, timestamp
from handlers.mail.sending import NewClaim
from handlers.telemetry.contract import Lane
from tests.handlers.entries import PARENT, SENT_TIMESTAMP, TRACE, SesClient, printed, record, run
from tests.handlers.orders import body, envelope, first_item

PUBLISHED = datetime.fromtimestamp(SENT_TIMESTAMP / 1000, UTC)


def quarantined(entry: ModuleType) -> list[dict[str, Any]]:
    """What lies in quarantine: body and attributes."""
    reply = entry.sqs.receive_message(
        QueueUrl=entry.env.quarantine_url, MaxNumberOfMessages=10, MessageAttributeNames=["All"]
    )
    return [
        {"body": message["Body"]}
        | {name: value["StringValue"] for name, value in message.get("MessageAttributes", {}).items()}
        for message in reply.get("Messages", [])
    ]


def row_of(ledger: DynamoLedger, order_id: str) -> Row:
    row = ledger.get(order_id, message_id(order_id, Lane.CONFIRMATION))
    assert row
    return row


# ---- What cannot be sent ----


def test_in_a_mixed_batch_each_message_ends_where_it_belongs(
    send_email: ModuleType, ledger: DynamoLedger, ses: SesClient
) -> None:
    throttled = record(body(orderId="A-5", customerEmail="throttled@example.com"))
    asked_back = run(
        send_email,
        record(body(orderId="A-1")),
        record("not JSON"),
        record(body(orderId="A-1", metadata={"copy": 2})),
        record(body(orderId="A-2", total="-1")),
        record(body(orderId="A-3", customerEmail="refused@example.com")),
        record(body(orderId="A-1", customerName="Somebody Else")),
        record(body(orderId="A-4", customerEmail="lost@example.com")),
        throttled,
        record(envelope(body(orderId="A-6"))),
        record(body(orderId="A-7", total="99")),
    )
    assert asked_back == [throttled["messageId"]], "only what may pass comes back"
    assert sorted(mail["EmailTags"][1]["Value"] for mail in ses.accepted) == ["A-1", "A-6", "A-7"]
    assert sorted((message["code"], message.get("orderId", "")) for message in quarantined(send_email)) == [
        ("invalid-order", "A-2"),
        ("not-json", ""),
        ("order-conflict", "A-1"),
    ]
    statuses = {row.order_id: row.status.value for row in ledger.all()}
    assert statuses == {
        "A-1": "SENT",
        "A-3": "FAILED",
        "A-4": "UNKNOWN",
        "A-5": "SUBMITTING",
        "A-6": "SENT",
        "A-7": "SENT",
    }
    assert row_of(ledger, "A-1").conflicts == 1


@pytest.mark.parametrize(
    ("text", "code", "order_id", "reason"),
    [
        ('{"orderId": "A-1', "not-json", "", 'body \'{"orderId": "A-1\': is not JSON'),
        ("[1]", "not-an-order", "", "body [1]: is not a JSON object"),
        (
            body(customerEmail="jürgen@example.com"),
            "invalid-order",
            "A-1001",
            "customerEmail 'jürgen@example.com': is not",
        ),
        (body(metadata={"n": "n" * 250_000}), "too-large", "", "body: has 250,"),
        (body(**first_item(name="Mug\x00")), "invalid-order", "A-1001", "items[0].name 'Mug\\x00': has the control"),
        (envelope('{"total": "\x00\ud800'), "not-json", "", 'body \'{"total": "\\x00\\ud800\': is not JSON'),
        (body(items=[{"sku": "\ud800"}] * 250), "invalid-order", "A-1001", "items[0].sku '\\ud800'"),
    ],
)
def test_a_malformed_order_lies_in_quarantine_as_it_came_with_what_is_wrong(
    send_email: ModuleType, text: str, code: str, order_id: str, reason: str
) -> None:
    message = record(text, trace=TRACE)
    assert run(send_email, message) == [], "it would be as wrong the next time"
    (aside,) = quarantined(send_email)
    assert aside["body"] == text
    assert aside["reason"].startswith(reason)
    assert len(aside["reason"]) <= 1000
    assert aside["code"] == code
    assert aside.get("orderId", "") == order_id
    assert aside["originalMessageId"] == message["messageId"]
    assert aside["receivedAt"] == "2026-11-22T15:06:01.123Z"
    assert aside["traceId"] == TRACE
    assert aside["messageType"] == "order-confirmation", "it goes back into the lane that it came from"


def test_an_order_that_reuses_an_id_lies_in_quarantine_and_the_first_one_stands(
    send_email: ModuleType, ses: SesClient
) -> None:
    second = body(customerEmail="someone.else@example.com")
    run(send_email, record(body()), record(second))
    (aside,) = quarantined(send_email)
    assert (aside["body"], aside["code"]) == (second, "order-conflict")
    assert aside["reason"] == "order A-1001 was taken before with another content; that one stands"
    assert [mail["Destination"]["ToAddresses"] for mail in ses.accepted] == [["leonie.koehler@example.com"]]


# ---- One fault and the others ----


def test_a_fault_of_one_order_comes_back_and_the_others_are_sent(
    send_email: ModuleType, ses: SesClient, ledger: DynamoLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Unlucky(DynamoLedger):
        def claim(self, claim: NewClaim) -> Row:
            if claim.order_id == "A-13":
                raise ClientError({"Error": {"Code": "InternalServerError"}}, "UpdateItem")
            return super().claim(claim)

    monkeypatch.setattr(send_email, "ledger", Unlucky(ledger._client, ledger._table))
    records = [record(body(orderId=f"A-{number}")) for number in range(11, 16)]
    assert run(send_email, *records) == [records[2]["messageId"]]
    assert len(ses.accepted) == 4


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        (ValueError("To: 'jo@example.com' is not an address"), "ValueError: To: (address) is not an address"),
        (UndefinedError("'shop' is undefined"), "UndefinedError: 'shop' is undefined"),
    ],
)
def test_a_letter_that_cannot_be_written_comes_back_unsent_and_reaches_no_other_order(
    send_email: ModuleType,
    ses: SesClient,
    ledger: DynamoLedger,
    monkeypatch: pytest.MonkeyPatch,
    fault: Exception,
    told: str,
) -> None:
    monkeypatch.setattr(send_email, "render_confirmation", _broken_for("A-1", fault, send_email.render_confirmation))
    first, second = record(body(orderId="A-1")), record(body(orderId="A-2"))
    assert run(send_email, first, second) == [first["messageId"]]
    assert len(ses.accepted) == 1
    row = row_of(ledger, "A-1")
    assert (row.status, row.lease_until) == (Status.SUBMITTING, "")
    assert row.reason == f"the letter could not be written: {told}"
    assert row_of(ledger, "A-2").status is Status.SENT


def test_a_domain_that_is_no_longer_verified_costs_no_order(send_email: ModuleType, ledger: DynamoLedger) -> None:
    order = record(body(customerEmail="unverified@example.com"))
    assert run(send_email, order) == [order["messageId"]]
    row = row_of(ledger, "A-1001")
    assert (row.status, row.lease_until) == (Status.SUBMITTING, ""), "it is sent as soon as the records are back"
    assert "Email address is not verified" in row.reason


def test_a_letter_that_cannot_be_composed_comes_back_unsent(
    send_email: ModuleType, ses: SesClient, ledger: DynamoLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(send_email, "env", replace(send_email.env, from_name="Example\nStore"))
    order = record(body())
    assert run(send_email, order) == [order["messageId"]]
    assert not ses.accepted
    assert row_of(ledger, "A-1001").reason == (
        "the letter could not be written: ValueError: From: U+000A at position 7 cannot stand in a header"
    )


def test_a_fault_nobody_thought_of_in_one_letter_reaches_no_other_order_and_that_one_is_not_lost(
    send_email: ModuleType, ses: SesClient, ledger: DynamoLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    fault = RuntimeError("a letter nobody thought of")
    monkeypatch.setattr(send_email, "render_confirmation", _broken_for("A-1", fault, send_email.render_confirmation))
    first, second = record(body(orderId="A-1")), record(body(orderId="A-2"))
    assert run(send_email, first, second) == [first["messageId"]]
    assert len(ses.accepted) == 1
    assert row_of(ledger, "A-1").is_open


def _broken_for(order_id: str, fault: Exception, render: Callable[..., Any]) -> Callable[..., Any]:
    def broken(order: Any, **settings: str) -> Any:
        if order.order_id == order_id:
            raise fault
        return render(order, **settings)

    return broken


def test_a_quarantine_that_cannot_be_reached_keeps_the_order_on_the_queue_and_counts_it_once(
    send_email: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(send_email.quarantine, "_url", "https://sqs.us-east-1.amazonaws.com/123456789012/none")
    run(send_email, record(body()))
    capsys.readouterr()
    wrong, conflicting = record("not JSON"), record(body(total="99"))
    assert run(send_email, wrong, conflicting) == [wrong["messageId"], conflicting["messageId"]]
    _, metrics = printed(capsys.readouterr().out)
    assert [line["SendRetries"] for line in metrics] == [1, 1]
    assert not any("OrdersQuarantined" in line or "OrderConflicts" in line for line in metrics)


def test_what_comes_back_does_so_after_its_backoff(send_email: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    text = body(customerEmail="throttled@example.com")
    queue = send_email.sqs.create_queue(QueueName="send-email")["QueueUrl"]
    place = replace(send_email.env.lanes["order-confirmation"], queue_url=queue)
    monkeypatch.setitem(send_email.env.lanes, "order-confirmation", place)
    send_email.sqs.send_message(QueueUrl=queue, MessageBody=text)
    receipt = send_email.sqs.receive_message(QueueUrl=queue)["Messages"][0]["ReceiptHandle"]
    asked: list[dict[str, Any]] = []

    def note(params: dict[str, Any], **_: Any) -> None:
        asked.append(params)

    events = send_email.sqs.meta.events
    events.register("provide-client-params.sqs.ChangeMessageVisibility", note)
    try:
        message = record(text, receipt=receipt, receives=3)
        assert run(send_email, message) == [message["messageId"]]
    finally:
        events.unregister("provide-client-params.sqs.ChangeMessageVisibility", note)
    assert asked == [{"QueueUrl": queue, "ReceiptHandle": receipt, "VisibilityTimeout": 8}]


# ---- Misses, and lanes ----


@pytest.mark.parametrize(
    ("seconds", "address", "miss"),
    [
        (0, "jo", 0),
        (30, "jo", 0),
        (30.001, "jo", 1),
        (600, "jo", 1),
        (0, "refused", 1),
        (0, "lost", 1),
        (0, "throttled", None),
    ],
)
def test_an_order_counts_as_a_hit_or_a_miss_of_its_promise_once_it_is_settled(
    send_email: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    seconds: float,
    address: str,
    miss: int | None,
) -> None:
    monkeypatch.setattr(send_email, "now", lambda: PUBLISHED + timedelta(seconds=seconds))
    run(send_email, record(body(customerEmail=f"{address}@example.com")))
    (metric,) = printed(capsys.readouterr().out)[1]
    assert metric.get("SendMisses") == miss
    assert metric.get("send_latency_ms") == (seconds * 1000 if address == "jo" else None)


def test_an_email_whose_answer_is_lost_and_whose_delivery_is_told_first_counts_as_sent(
    send_email: ModuleType,
    ses: SesClient,
    ledger: DynamoLedger,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def delivered(_: str) -> None:
        told = Evidence(milestone=Milestone.DELIVERED, at=timestamp(PUBLISHED + timedelta(seconds=2)))
        ledger.learn(row_of(ledger, "A-1001"), told, told.at)

    monkeypatch.setattr(send_email, "now", lambda: PUBLISHED + timedelta(seconds=12))
    ses.before = delivered
    assert run(send_email, record(body(customerEmail="lost@example.com"))) == []
    (metric,) = printed(capsys.readouterr().out)[1]
    assert (metric["EmailsSent"], metric["SendMisses"], metric["send_latency_ms"]) == (1, 0, 2000)


def test_an_order_that_had_to_come_back_is_late_by_its_first_publication(
    send_email: ModuleType, ses: SesClient, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def down(_: str) -> None:
        raise EndpointConnectionError(endpoint_url="https://email.us-east-1.amazonaws.com")

    monkeypatch.setattr(send_email, "now", lambda: PUBLISHED)
    ses.before = down
    run(send_email, record(body()))
    ses.before = lambda _: None
    redriven = record(body())
    redriven["attributes"]["SentTimestamp"] = str(SENT_TIMESTAMP + 3_600_000)
    monkeypatch.setattr(send_email, "now", lambda: PUBLISHED + timedelta(hours=1, seconds=1))
    run(send_email, redriven)
    metrics = printed(capsys.readouterr().out)[1]
    assert [line.get("SendMisses") for line in metrics] == [None, 1]
    assert metrics[1]["send_latency_ms"] == 3_601_000


@pytest.mark.parametrize(
    "message",
    [
        lambda: record(body(), lane="order-confirmation"),
        lambda: record(envelope(body(), "order-confirmation")),
        lambda: record(body()),
        lambda: record(body(), lane="newsletter"),
        lambda: record(envelope(body(), "newsletter")),
    ],
)
def test_what_names_no_other_lane_is_a_confirmation_and_counted(
    send_email: ModuleType, ledger: DynamoLedger, capsys: pytest.CaptureFixture[str], message: Callable[[], Any]
) -> None:
    run(send_email, message())
    assert [row.kind for row in ledger.all()] == ["order-confirmation"]
    assert printed(capsys.readouterr().out)[1][0]["EmailsSent"] == 1


@pytest.mark.parametrize("message", [record(body(), lane="probe"), record(envelope(body(), "probe"))])
def test_a_probe_has_a_row_of_its_own_beside_an_order_of_the_same_id(
    send_email: ModuleType, ses: SesClient, ledger: DynamoLedger, message: Any
) -> None:
    run(send_email, record(body()), message)
    rows = {row.kind: row for row in ledger.of_order("A-1001")}
    assert {kind: row.message_id for kind, row in rows.items()} == {
        lane.value: message_id("A-1001", lane) for lane in Lane
    }
    assert len(ses.accepted) == 2


def test_nothing_that_becomes_of_a_probe_is_counted_and_all_of_it_is_logged(
    send_email: ModuleType, ledger: DynamoLedger, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Unlucky(DynamoLedger):
        def claim(self, claim: NewClaim) -> Row:
            if claim.order_id == "P-unlucky":
                raise ClientError({"Error": {"Code": "InternalServerError"}}, "UpdateItem")
            return super().claim(claim)

    monkeypatch.setattr(send_email, "bring_back", lambda *_: None)
    monkeypatch.setattr(send_email, "ledger", Unlucky(ledger._client, ledger._table))
    texts = [body(orderId="P-1"), body(orderId="P-1"), body(orderId="P-1", total="99"), body(orderId="P-2", total="99")]
    texts += [
        body(orderId=f"P-{local}", customerEmail=f"{local}@example.com") for local in ("refused", "lost", "throttled")
    ]
    run(send_email, *[record(text, lane="probe") for text in (*texts, body(orderId="P-unlucky"), "not JSON")])
    logs, metrics = printed(capsys.readouterr().out)
    assert metrics == []
    assert sorted(line["message"] for line in logs) == sorted(
        ["sent", "duplicate", "conflict", "sent", "failed", "unknown", "retry", "order not settled", "quarantined"]
    )
    assert {line["lane"] for line in logs} == {"probe"}
    assert {message["messageType"] for message in quarantined(send_email)} == {"probe"}


# ---- Together, and once ----


def test_ten_orders_are_sent_at_the_same_time(send_email: ModuleType, ses: SesClient) -> None:
    together = threading.Barrier(10, timeout=10)
    ses.before = lambda _: together.wait()
    assert run(send_email, *[record(body(orderId=f"A-{number}")) for number in range(10)]) == []
    assert len(ses.accepted) == 10


def test_copies_of_an_order_in_one_batch_are_settled_one_after_the_other(
    send_email: ModuleType, ses: SesClient, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(send_email, *[record(body(metadata={"copy": number})) for number in range(3)]) == []
    logs, _ = printed(capsys.readouterr().out)
    assert [line["message"] for line in logs] == ["sent", "duplicate", "duplicate"]
    assert len(ses.accepted) == 1


def test_without_room_in_the_send_rate_the_order_comes_back_unsent(
    send_email: ModuleType, ses: SesClient, ledger: DynamoLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    pace = send_email.Pace(0.01, lambda: 0.0, lambda _: pytest.fail("it must not wait"))
    monkeypatch.setitem(send_email.paces, "order-confirmation", pace)
    monkeypatch.setattr("handlers.send_email.time.monotonic", lambda: 0.0)
    first, second = record(body(orderId="A-1")), record(body(orderId="A-2"))
    (back,) = run(send_email, first, second)
    assert back in (first["messageId"], second["messageId"])
    assert len(ses.accepted) == 1
    (row,) = [row for row in ledger.all() if row.status is Status.SUBMITTING]
    assert (row.lease_until, row.attempts) == ("", 1)


# ---- What goes out ----


def test_the_letter_goes_to_the_customer_with_our_tags(
    send_email: ModuleType, ses: SesClient, ledger: DynamoLedger
) -> None:
    run(send_email, record(body(orderId="2026/7#1")))
    (mail,) = ses.accepted
    raw = email.message_from_bytes(mail.pop("Content")["Raw"]["Data"], policy=default)
    assert mail == {
        "FromEmailAddress": "orders@mail.example.com",
        "Destination": {"ToAddresses": ["leonie.koehler@example.com"]},
        "ConfigurationSetName": "order-confirmations",
        "EmailTags": [
            {"Name": "message_id", "Value": message_id("2026/7#1", Lane.CONFIRMATION)},
            {"Name": "order", "Value": "2026_2f7_231"},
            {"Name": "attempt", "Value": "1"},
        ],
    }
    assert raw["To"] == "Leonie Köhler <leonie.koehler@example.com>"
    assert raw["From"] == "Example Store <orders@mail.example.com>"
    assert raw["Reply-To"] == "support@example.com"
    assert "2026/7#1" in raw["Subject"]
    row = row_of(ledger, "2026/7#1")
    assert (row.status, row.ses_message_id, row.sandboxed) == (Status.SENT, "0100-1", False)
    assert row.published_at == "2026-11-22T15:06:01.123Z"


def test_without_production_sending_nobody_but_the_simulator_is_written_to(
    send_email: ModuleType, ses: SesClient, ledger: DynamoLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(send_email, "env", replace(send_email.env, production_sending=False))
    run(send_email, record(body()))
    (mail,) = ses.accepted
    stand_in = "success+leonie.koehler=example.com@simulator.amazonses.com"
    assert mail["Destination"] == {"ToAddresses": [stand_in]}
    raw = email.message_from_bytes(mail["Content"]["Raw"]["Data"], policy=default)
    assert raw["To"].addresses[0].addr_spec == stand_in
    row = row_of(ledger, "A-1001")
    assert (row.sandboxed, row.to, row.sent_to) == (True, "leonie.koehler@example.com", stand_in)


def test_the_email_is_one_that_ses_takes(
    send_email: ModuleType,
    entries: tuple[ModuleType, ...],
    ledger: DynamoLedger,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    client = boto3.client("sesv2")
    client.create_email_identity(EmailIdentity="orders@mail.example.com")
    client.create_configuration_set(ConfigurationSetName="confirmations")
    monkeypatch.setitem(send_email.mailers, "order-confirmation", Mailer(client, "confirmations"))
    assert run(send_email, record(body())) == []
    assert row_of(ledger, "A-1001").ses_message_id


# ---- What is told ----


def test_each_order_is_one_log_line_with_the_ids_that_join_it_to_its_trace_and_its_row(
    send_email: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    run(send_email, record(body(), trace=TRACE), record(body(orderId="A-2", total="x"), trace=TRACE))
    logs, metrics = printed(capsys.readouterr().out)
    sent, aside = sorted(logs, key=lambda line: str(line["message"]), reverse=True)
    assert {key: value for key, value in sent.items() if key != "timestamp"} == {
        "level": "INFO",
        "message": "sent",
        "function": "send_email",
        "stack": "test",
        "order_id": "A-1001",
        "message_id": message_id("A-1001", Lane.CONFIRMATION),
        "trace_id": TRACE,
        "ses_message_id": "0100-1",
        "reason": "",
        "lane": "order-confirmation",
        "attempt": 1,
        "sandbox": False,
    }
    assert (aside["message"], aside["level"], aside["order_id"]) == ("quarantined", "WARNING", "A-2")
    assert (aside["code"], aside["fields"], aside["trace_id"]) == ("invalid-order", ["total"], TRACE)
    assert {line["order_id"] for line in metrics} == {"A-1001", "A-2"}
    assert {line["trace_id"] for line in metrics} == {TRACE}


def test_each_order_is_traced_under_its_own_header_with_the_ids_it_is_searched_by(
    send_email: ModuleType, segments: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("_X_AMZN_TRACE_ID", "Root=1-00000000-ffffffffffffffffffffffff;Parent=ffffffffffffffff;Sampled=1")
    other = TRACE[:-1] + "8"
    run(
        send_email,
        record(body(orderId="A-1"), trace=TRACE),
        record(body(orderId="A-2"), trace=other),
        record(body(orderId="A-3")),
        record("not JSON", trace=TRACE),
    )
    sent = segments()
    orders = {segment.get("annotations", {}).get("order_id"): segment for segment in sent if segment["name"] == "order"}
    assert {name: segment["trace_id"] for name, segment in orders.items()} == {
        "A-1": TRACE,
        "A-2": other,
        "A-3": "1-00000000-ffffffffffffffffffffffff",
        None: TRACE,
    }
    first = orders["A-1"]
    assert (first["type"], first["parent_id"]) == ("subsegment", PARENT)
    assert first["annotations"] == {
        "stack": "test",
        "lane": "order-confirmation",
        "order_id": "A-1",
        "message_id": message_id("A-1", Lane.CONFIRMATION),
        "outcome": "sent",
    }
    calls = [segment for segment in sent if segment.get("parent_id") == first["id"]]
    assert [(call["name"], call["aws"]["operation"], call["trace_id"]) for call in calls] == [
        ("dynamodb", "GetItem", TRACE),
        ("dynamodb", "UpdateItem", TRACE),
        ("dynamodb", "UpdateItem", TRACE),
    ]


def test_an_order_that_is_not_sampled_is_not_traced_and_keeps_its_trace_id(
    send_email: ModuleType, segments: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    message = record(body(), trace=TRACE)
    message["attributes"]["AWSTraceHeader"] = f"Root={TRACE};Parent={PARENT};Sampled=0"
    assert run(send_email, message) == []
    assert segments() == []
    assert printed(capsys.readouterr().out)[0][0]["trace_id"] == TRACE


@pytest.mark.parametrize("header", ["", "nonsense", "Root=;Parent=", "Root=1-2-3", "=;=;="])
def test_a_trace_header_that_makes_no_sense_stops_no_order(send_email: ModuleType, ses: SesClient, header: str) -> None:
    message = record(body())
    message["attributes"]["AWSTraceHeader"] = header
    assert run(send_email, message) == []
    assert len(ses.accepted) == 1


def test_no_address_no_name_and_no_body_is_ever_told(
    send_email: ModuleType,
    ledger: DynamoLedger,
    segments: Any,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    class Talkative(DynamoLedger):
        def claim(self, claim: NewClaim) -> Row:
            if claim.order_id == "A-13":
                raise RuntimeError(f"cannot write {claim}")
            return super().claim(claim)

    monkeypatch.setattr(send_email, "ledger", Talkative(ledger._client, ledger._table))
    secret = {"customerName": "Secretia Hush", **first_item(name="Whispering mug")}
    texts = [body(orderId="A-1", **secret), body(orderId="A-1", **secret, total="99"), body(orderId="A-13", **secret)]
    texts += [
        body(orderId=f"A-{at}", customerEmail=f"{at}@example.com", **secret)
        for at in ("refused", "unverified", "lost", "throttled")
    ]
    texts += [body(**secret, customerEmail="hush@@example.com"), body(**secret)[:-1]]
    run(send_email, *[record(text, trace=TRACE) for text in texts])
    told = capsys.readouterr().out + json.dumps(segments())
    assert len(told) > 5000
    for secret_text in ("@", "example.com", "Secretia", "Whispering"):
        assert secret_text not in told.replace("(address)", "")


def test_an_address_that_ses_quotes_does_not_reach_the_trace(
    send_email: ModuleType, ledger: DynamoLedger, segments: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(send_email.mailers, "order-confirmation", Mailer(boto3.client("sesv2"), "confirmations"))
    monkeypatch.setattr(send_email, "env", replace(send_email.env, from_address="unheard-of@mail.example.com"))
    run(send_email, record(body(), trace=TRACE))
    assert "unheard-of@mail.example.com" in row_of(ledger, "A-1001").reason, (
        "moto refuses an unknown sender by its address"
    )
    (refusal,) = [segment["cause"]["exceptions"][0] for segment in segments() if segment["name"] == "email"]
    assert refusal["type"] == "MessageRejected"
    assert "(address)" in refusal["message"]
    assert "@" not in refusal["message"]
