from __future__ import annotations

import json
from datetime import datetime, timedelta
from itertools import permutations
from types import ModuleType
from typing import Any

import pytest
from botocore.exceptions import ClientError

from handlers.adapters.ledger import DynamoLedger
from handlers.mail.lifecycle import Evidence, Milestone, Row, Status, message_id
from handlers.telemetry.contract import Lane
from tests.handlers.entries import PARENT, TRACE, printed, record, run
from tests.handlers.events import NAMES, event, told
from tests.handlers.orders import envelope
from tests.handlers.rows import new_claim

ORDER_TRACE = "1-5f84c7a1-aaaaaaaaaaaaaaaaaaaaaaaa"
ARRIVALS = [*permutations(["send", "delivery-delay", "delivery", "complaint"])][::5]


def claimed(ledger: DynamoLedger, order_id: str = "A-1001") -> Row:
    return ledger.claim(new_claim(order_id, published_at="2026-11-22T15:13:59.716Z", trace_id=ORDER_TRACE))


def row_of(ledger: DynamoLedger, order_id: str = "A-1001") -> Row:
    row = ledger.get(order_id, message_id(order_id, Lane.CONFIRMATION))
    assert row
    return row


# ---- What cannot be folded in ----


def test_a_fault_of_one_event_comes_back_and_the_others_are_recorded(
    record_feedback: ModuleType, ledger: DynamoLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Unlucky(DynamoLedger):
        def learn(self, row: Row, evidence: Evidence, now: str) -> tuple[Row, bool]:
            if row.order_id == "A-2":
                raise ClientError({"Error": {"Code": "InternalServerError"}}, "UpdateItem")
            return super().learn(row, evidence, now)

    for order_id in ("A-1", "A-2", "A-3"):
        claimed(ledger, order_id)
    monkeypatch.setattr(record_feedback, "ledger", Unlucky(ledger._client, ledger._table))
    records = [
        record(told("delivery", "A-1")),
        record("not an event"),
        record(told("delivery", "A-2")),
        record(told("delivery", "A-3")),
    ]
    assert run(record_feedback, *records) == [records[1]["messageId"], records[2]["messageId"]]
    assert [row_of(ledger, order_id).status.value for order_id in ("A-1", "A-2", "A-3")] == [
        "DELIVERED",
        "SUBMITTING",
        "DELIVERED",
    ]


@pytest.mark.parametrize(
    "tags",
    [
        {"message_id": ["00000000-0000-5000-8000-000000000000"]},
        {"order": ["A-9999"]},
        {"order": ["spring_sale"]},
        {"order": []},
        {"message_id": []},
        {"order": [""], "message_id": [""]},
    ],
)
def test_an_event_about_mail_that_is_not_ours_is_counted_and_done_with(
    record_feedback: ModuleType, ledger: DynamoLedger, capsys: pytest.CaptureFixture[str], tags: dict[str, list[str]]
) -> None:
    before = claimed(ledger)
    assert run(record_feedback, record(told("bounce", **tags))) == []
    logs, metrics = printed(capsys.readouterr().out)
    assert [line["message"] for line in logs] == ["feedback names no row"]
    assert [line["FeedbackUnmatched"] for line in metrics] == [1]
    assert not any("Bounces" in line for line in metrics)
    assert row_of(ledger) == before


def test_the_text_that_ses_publishes_when_a_destination_is_made_is_done_with_in_silence(
    record_feedback: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    text = "Successfully validated SNS topic for Amazon SES event publishing."
    assert run(record_feedback, record(text), record(envelope(text))) == []
    assert printed(capsys.readouterr().out) == ([], [])


def test_what_ses_says_of_an_address_stays_out_of_logs_metrics_and_traces(
    record_feedback: ModuleType, ledger: DynamoLedger, segments: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    claimed(ledger)
    run(record_feedback, record(told("bounce-simulator"), trace=TRACE))
    assert "<bounce+a-1001@simulator.amazonses.com>" in row_of(ledger).reason, "the ledger is where support looks"
    out = capsys.readouterr().out
    assert "user unknown <(address)>" in out
    assert "@" not in out + json.dumps(segments())


# ---- What is ----


@pytest.mark.parametrize("names", ARRIVALS, ids="-".join)
def test_feedback_shuffled_and_tripled_ends_in_the_same_row(
    record_feedback: ModuleType, ledger: DynamoLedger, names: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    claimed(ledger)
    for name in (*names, *reversed(names), *names):
        assert run(record_feedback, record(told(name))) == []
    row = row_of(ledger)
    assert (row.status, row.reason, row.lease_until) == (Status.COMPLAINT, "abuse", "")
    assert {milestone.name: at[-13:] for milestone, at in row.milestones.items()} == {
        "SUBMITTING": "15:06:01.123Z",
        "SENT": "15:14:00.115Z",
        "DELAYED": "15:24:00.115Z",
        "DELIVERED": "15:14:00.716Z",
        "COMPLAINT": "15:14:00.913Z",
    }
    _, metrics = printed(capsys.readouterr().out)
    for metric in ("Deliveries", "DeliveryDelays", "Complaints", "DeliveryLatency"):
        assert sum(metric in line for line in metrics) == 1, f"{metric} is counted once, however often SES tells"


def test_evidence_for_an_unknown_email_moves_it_on_and_forgets_the_order(
    record_feedback: ModuleType, ledger: DynamoLedger
) -> None:
    row = claimed(ledger)
    ledger.learn(row, Evidence(milestone=Milestone.UNKNOWN, at="2026-11-22T15:06:31.123Z", order="{}"), "now")
    run(record_feedback, record(envelope(told("send"))))
    row = row_of(ledger)
    assert (row.status, row.order, row.ses_message_id) == (Status.SENT, "", event("send")["mail"]["messageId"])


def test_an_order_id_of_any_letters_is_found_by_its_tag(record_feedback: ModuleType, ledger: DynamoLedger) -> None:
    claimed(ledger, "2026/11_22#7:a.b")
    run(record_feedback, record(told("delivery", "2026/11_22#7:a.b")))
    assert row_of(ledger, "2026/11_22#7:a.b").status is Status.DELIVERED


def test_a_delivery_is_counted_with_the_time_since_the_order_was_published(
    record_feedback: ModuleType, ledger: DynamoLedger, capsys: pytest.CaptureFixture[str]
) -> None:
    claimed(ledger)
    run(record_feedback, record(told("delivery"), trace=TRACE))
    (log,), (metric,) = printed(capsys.readouterr().out)
    assert (metric["Deliveries"], metric["DeliveryLatency"]) == (1, 1_000)
    assert metric["feedback_lag_ms"] >= 0
    assert "FeedbackLag" not in metric, "a metric of its own would be paid for"
    assert (metric["order_id"], metric["message_id"]) == ("A-1001", message_id("A-1001", Lane.CONFIRMATION))
    assert {key: value for key, value in log.items() if key != "timestamp"} == {
        "level": "INFO",
        "message": "deliveredAt",
        "function": "record_feedback",
        "stack": "test",
        "order_id": "A-1001",
        "message_id": message_id("A-1001", Lane.CONFIRMATION),
        "trace_id": ORDER_TRACE,
        "ses_message_id": event("delivery")["mail"]["messageId"],
        "reason": "",
        "lane": "order-confirmation",
        "status": "DELIVERED",
        "news": True,
    }


def test_an_event_is_counted_once_and_what_is_told_again_makes_no_record(
    record_feedback: ModuleType, ledger: DynamoLedger, capsys: pytest.CaptureFixture[str]
) -> None:
    claimed(ledger)
    run(record_feedback, *[record(told("delivery"))] * 3)
    logs, metrics = printed(capsys.readouterr().out)
    assert sorted(line["news"] for line in logs) == [False, False, True]
    assert [(line["Deliveries"], line["DeliveryMisses"]) for line in metrics] == [(1, 0)]


@pytest.mark.parametrize(("late", "miss"), [(0, 0), (59.999, 0), (60, 0), (60.001, 1), (86_400, 1), (-5, 0)])
def test_an_event_that_is_recorded_after_a_minute_is_a_miss(
    record_feedback: ModuleType,
    ledger: DynamoLedger,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    late: float,
    miss: int,
) -> None:
    happened = datetime.fromisoformat(event("delivery")["delivery"]["timestamp"])
    monkeypatch.setattr(record_feedback, "now", lambda: happened + timedelta(seconds=late))
    claimed(ledger)
    run(record_feedback, record(told("delivery")))
    (metric,) = printed(capsys.readouterr().out)[1]
    assert (metric["FeedbackMisses"], metric["feedback_lag_ms"]) == (miss, max(late * 1000, 0))


@pytest.mark.parametrize("name", NAMES)
def test_what_ses_says_of_a_probe_moves_its_row_and_is_not_counted(
    record_feedback: ModuleType, ledger: DynamoLedger, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    probe = new_claim("P-1", kind=Lane.PROBE.value, message_id=message_id("P-1", Lane.PROBE))
    row = ledger.claim(probe)
    run(record_feedback, record(told(name, "P-1", Lane.PROBE)))
    (log,), metrics = printed(capsys.readouterr().out)
    assert (log["lane"], log["news"], metrics) == ("probe", True, [])
    standing = ledger.get("P-1", row.message_id)
    assert standing
    assert standing.revision == 2


def test_feedback_is_traced_with_the_ids_it_is_searched_by_and_leads_to_the_orders_trace(
    record_feedback: ModuleType, ledger: DynamoLedger, segments: Any
) -> None:
    claimed(ledger)
    run(record_feedback, record(told("delivery"), trace=TRACE))
    sent = segments()
    (feedback,) = [segment for segment in sent if segment["name"] == "feedback"]
    assert (feedback["type"], feedback["trace_id"], feedback["parent_id"]) == ("subsegment", TRACE, PARENT)
    assert feedback["annotations"] == {
        "stack": "test",
        "lane": "order-confirmation",
        "order_id": "A-1001",
        "message_id": message_id("A-1001", Lane.CONFIRMATION),
        "order_trace_id": ORDER_TRACE,
    }
    assert [call["aws"]["operation"] for call in sent if call.get("parent_id") == feedback["id"]] == [
        "GetItem",
        "UpdateItem",
    ]
