"""The prober: a real order by the real way, and every way in which that way can be closed."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import ModuleType
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from handlers.adapters.ledger import DynamoLedger, OpenEmail
from handlers.mail.lifecycle import Evidence, Milestone, Row, message_id
from handlers.mail.orders import parse_order
from handlers.mail.probing import NOT_SEEN, Finding, follow, judge, probe_order
from handlers.mail.sending import sandbox_recipient
from handlers.telemetry.contract import Lane
from tests.handlers.entries import PARENT, TRACE, SesClient, printed, record, run
from tests.handlers.events import told
from tests.handlers.rows import START, at, claimed_row, new_claim

INVOCATION = f"Root={TRACE};Parent={PARENT};Sampled=0"
BROKEN = ClientError({"Error": {"Code": "AccessDeniedException", "Message": "not for jo@example.com"}}, "GetItem")


def probed(out: str) -> dict[str, Any]:
    """The metric record of the one probe."""
    (line,) = [line for line in printed(out)[1] if "ProbeFailures" in line]
    return line


def oldest(out: str) -> list[dict[str, Any]]:
    return [line for line in printed(out)[1] if "OldestOpenEmail" in line]


# ---- The order, and what is said of it ----


@pytest.mark.parametrize("now", [START, datetime(2038, 1, 19, 3, 14, 8, 999_999, UTC)])
def test_the_order_is_one_that_is_sent_and_only_to_the_simulator(now: datetime) -> None:
    order_id, body = probe_order(now)
    order = parse_order(body)
    assert (order.order_id, order.flags) == (order_id, frozenset())
    assert order.email.endswith("@simulator.amazonses.com")
    assert sandbox_recipient(order.email) == order.email, "it takes the same way in a sandbox"


def test_two_probes_of_one_second_are_one_order_and_the_next_second_has_another() -> None:
    first, again, later = (probe_order(START + timedelta(milliseconds=ms)) for ms in (0, 500, 1000))
    assert first == again
    assert later[0] != first[0]


@pytest.mark.parametrize(
    ("milestones", "reason", "finding"),
    [
        ({Milestone.SENT: at(1), Milestone.DELIVERED: at(3)}, "", Finding("DELIVERED", latency=4000)),
        ({}, "", Finding("SUBMITTING", "still SUBMITTING 60 s after its publication")),
        ({}, "throttled", Finding("SUBMITTING", "still SUBMITTING 60 s after its publication: throttled")),
        ({Milestone.SENT: at(1)}, "", Finding("SENT", "still SENT 60 s after its publication")),
        ({Milestone.FAILED: at(1)}, "not verified", Finding("FAILED", "FAILED: not verified")),
        ({Milestone.SOFT_BOUNCE: at(1)}, "Transient/General", Finding("BOUNCE", "BOUNCE: Transient/General")),
        ({Milestone.SUPPRESSED: at(1)}, "", Finding("SUPPRESSED", "SUPPRESSED")),
    ],
)
def test_only_a_delivered_probe_is_none_that_failed(
    milestones: dict[Milestone, str], reason: str, finding: Finding
) -> None:
    row = claimed_row(milestones={Milestone.SUBMITTING: at(0), **milestones}, reason=reason)
    assert judge(row, 60) == finding
    assert finding.failed is (finding.status != "DELIVERED")


def test_a_probe_without_a_row_has_failed() -> None:
    finding = judge(None, 60)
    assert (finding.status, finding.failed) == (NOT_SEEN, True)


def watched(*rows: Row | None, seconds: float = 60) -> tuple[Row | None, float, int]:
    """What `follow` returns when the ledger shows these rows one after the other, then the last one for ever; when, and
    after how many looks."""
    clock, looks = 0.0, 0

    def look() -> Row | None:
        nonlocal looks
        looks += 1
        return rows[min(looks, len(rows)) - 1]

    def sleep(span: float) -> None:
        nonlocal clock
        assert span > 0
        clock += span

    return follow(look, seconds=seconds, monotonic=lambda: clock, sleep=sleep), clock, looks


def test_it_looks_every_second_until_the_outcome_is_known() -> None:
    delivered = claimed_row(milestones={Milestone.DELIVERED: at(3)})
    assert watched(None, None, claimed_row(), delivered) == (delivered, 3, 4)
    failed = claimed_row(milestones={Milestone.FAILED: at(3)})
    assert watched(None, failed) == (failed, 1, 2)


def test_it_looks_a_last_time_when_the_time_is_up_and_then_no_more() -> None:
    assert watched(None, seconds=2.5) == (None, 2.5, 4)
    assert watched(claimed_row(), seconds=2.5) == (claimed_row(), 2.5, 4)


# ---- The way of a probe ----


def test_a_probe_goes_in_by_the_topic_comes_out_as_an_email_and_counts_as_nothing_but_a_probe(
    probe: ModuleType,
    send_email: ModuleType,
    record_feedback: ModuleType,
    ses: SesClient,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    queue, wait = behind(probe), probe.sleep

    def pipeline(seconds: float) -> None:
        wait(seconds)
        for message in received(send_email.sqs, queue):
            run(send_email, message)
            order_id = json.loads(message["body"])["orderId"]
            run(record_feedback, record(told("delivery", order_id, Lane.PROBE)))

    monkeypatch.setattr(probe, "sleep", pipeline)
    answer = probe.handler({}, None)
    (mail,) = ses.accepted
    assert mail["Destination"] == {"ToAddresses": ["success+probe@simulator.amazonses.com"]}
    logs, metrics = printed(capsys.readouterr().out)
    assert [(line["message"], line["lane"]) for line in logs] == [
        ("sent", "probe"),
        ("deliveredAt", "probe"),
        ("probe delivered", "probe"),
    ]
    assert [line["_aws"]["CloudWatchMetrics"][0]["Metrics"] for line in metrics] == [
        [{"Name": "OldestOpenEmail", "Unit": "Seconds"}],
        [{"Name": "ProbeFailures", "Unit": "Count"}],
    ], "no business metric"
    line = metrics[1]
    order_id = mail["EmailTags"][1]["Value"]
    assert (line["ProbeFailures"], line["status"], line["order_id"]) == (0, "DELIVERED", order_id)
    assert line["message_id"] == message_id(order_id, Lane.PROBE)
    assert line["latency_ms"] >= 0
    assert "reason" not in line
    told_by = {"orderId": order_id, "status": "DELIVERED", "reason": "", "latencyMs": line["latency_ms"]}
    assert answer == told_by, "what the gate goes by"


def test_a_probe_that_nobody_takes_fails_when_its_time_is_up(
    probe: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(probe, "env", replace(probe.env, probe_seconds=20))
    answer = probe.handler({}, None)
    out = capsys.readouterr().out
    line = probed(out)
    assert (line["ProbeFailures"], line["status"]) == (1, "NOT SEEN")
    assert (answer["orderId"], answer["status"], answer["latencyMs"]) == (line["order_id"], "NOT SEEN", None)
    assert answer["reason"] == line["reason"]
    assert line["reason"] == "the ledger had no row of it 20 s after its publication"
    (log,) = printed(out)[0]
    assert (log["level"], log["message"], log["order_id"]) == ("ERROR", "probe failed", line["order_id"])
    assert probe.monotonic() == 20


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("publish", EndpointConnectionError(endpoint_url="https://sns.us-east-1.amazonaws.com")),
        ("publish", BROKEN),
        ("get", BROKEN),
    ],
)
def test_a_call_that_fails_is_a_failed_probe_with_its_reason(
    probe: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    name: str,
    error: Exception,
) -> None:
    monkeypatch.setattr(probe.ledger if name == "get" else probe, name, raising(error))
    probe.handler({}, None)
    out = capsys.readouterr().out
    line = probed(out)
    assert line["ProbeFailures"] == 1
    assert line["reason"].startswith(type(error).__name__)
    assert "status" not in line
    assert "@" not in out
    assert oldest(out), "the age is measured nevertheless"


def test_an_age_that_cannot_be_measured_stops_no_probe_and_fails_the_invocation(
    probe: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(probe.ledger, "oldest_open", raising(BROKEN))
    with pytest.raises(ClientError, match="AccessDeniedException"):
        probe.handler({}, None)
    out = capsys.readouterr().out
    assert probed(out)["ProbeFailures"] == 1
    assert oldest(out) == [], "0 would say that none is open"
    assert printed(out)[0][0]["message"] == "age of the oldest open email not measured"


# ---- The oldest open email ----


def test_the_age_is_that_of_the_customers_email_that_has_waited_longest(
    probe: ModuleType, ledger: DynamoLedger, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(probe, "now", lambda: START + timedelta(hours=1))
    delivered = ledger.claim(new_claim("A-done", now=at(-900)))
    ledger.learn(delivered, Evidence(milestone=Milestone.DELIVERED, at=at(-899)), at(-899))
    ledger.claim(new_claim("P-old", now=at(-800), kind="probe", message_id=message_id("P-old", Lane.PROBE)))
    for seconds in (-5, -600, -60):
        ledger.claim(new_claim(f"A-{-seconds}", now=at(seconds)))
    probe.measure_oldest_open()
    (line,) = oldest(capsys.readouterr().out)
    assert line["OldestOpenEmail"] == 4200
    assert (line["order_id"], line["message_id"]) == ("A-600", message_id("A-600", Lane.CONFIRMATION))
    assert ledger.oldest_open("probe") == OpenEmail("P-old", message_id("P-old", Lane.PROBE), at(-800))


def test_without_an_open_email_the_age_is_0(probe: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    probe.measure_oldest_open()
    (line,) = oldest(capsys.readouterr().out)
    assert line["OldestOpenEmail"] == 0
    assert "order_id" not in line


# ---- Its trace ----


@pytest.mark.parametrize("invocation", [INVOCATION, ""])
def test_a_probe_is_traced_whatever_lambda_decided_and_its_order_with_it(
    probe: ModuleType,
    segments: Any,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    invocation: str,
) -> None:
    monkeypatch.setenv("_X_AMZN_TRACE_ID", invocation)
    sent: list[str] = []

    def note(request: Any, **_: Any) -> None:
        sent.append(request.headers["X-Amzn-Trace-Id"].decode())

    probe.sns.meta.events.register("before-send.sns.Publish", note)
    try:
        probe.handler({}, None)
    finally:
        probe.sns.meta.events.unregister("before-send.sns.Publish", note)
    line = probed(capsys.readouterr().out)
    traced = {segment["name"]: segment for segment in segments()}
    own = traced["probe"]
    (header,) = sent
    parts = dict(part.split("=") for part in header.split(";"))
    assert (parts["Root"], parts["Parent"], parts["Sampled"]) == (own["trace_id"], traced["sns"]["id"], "1")
    assert line["trace_id"] == own["trace_id"]
    assert own["annotations"] == {
        "stack": "test",
        "lane": "probe",
        "order_id": line["order_id"],
        "message_id": line["message_id"],
        "outcome": "NOT SEEN",
    }
    assert traced["oldest-open"]["annotations"] == {"stack": "test", "lane": "order-confirmation"}
    if invocation:
        assert (own["trace_id"], own["parent_id"]) == (TRACE, PARENT), "it goes on with the invocation's trace"


def raising(error: Exception) -> Callable[..., Any]:
    def broken(*_: Any, **__: Any) -> Any:
        raise error

    return broken


def behind(probe: ModuleType) -> str:
    """A queue that takes the topic's messages of both lanes, raw, as the program deploys it; its URL."""
    sqs = boto3.client("sqs")
    url = sqs.create_queue(QueueName="orders")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    probe.sns.subscribe(
        TopicArn=probe.env.topic_arn,
        Protocol="sqs",
        Endpoint=arn,
        Attributes={"RawMessageDelivery": "true", "FilterPolicy": json.dumps({"messageType": ["probe"]})},
    )
    return url


def received(sqs: Any, url: str) -> list[dict[str, Any]]:
    """What is in the queue, as Lambda hands it over."""
    messages = sqs.receive_message(QueueUrl=url, MessageAttributeNames=["All"]).get("Messages", [])
    return [
        record(message["Body"], lane=message["MessageAttributes"]["messageType"]["StringValue"]) for message in messages
    ]
