"""The report says what the evidence says; each kind of failure, put into the evidence, shows in it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handlers.mail.lifecycle import Milestone, Row, Status, message_id, timestamp
from handlers.telemetry.contract import Lane
from local.orders import CONFLICT, QUARANTINED, SampleOrder
from local.report import (
    Evidence,
    Mailed,
    Program,
    build_report,
    duplicates,
    lost,
    percentiles,
    surprises,
    take_account,
)

START = datetime(2026, 11, 22, 15, 0, tzinfo=UTC)


def body(order_id: str, **more: Any) -> str:
    return json.dumps({"orderId": order_id, **more})


def after(milliseconds: float) -> str:
    return timestamp(START + timedelta(milliseconds=milliseconds))


def row(order_id: str, *milestones: tuple[Milestone, float], conflicts: int = 0) -> Row:
    return Row(
        order_id=order_id,
        message_id=message_id(order_id, Lane.CONFIRMATION),
        kind=Lane.CONFIRMATION,
        to="a@example.com",
        sent_to="a@example.com",
        order_hash="hash",
        claimed_at=after(10),
        published_at=after(1),
        attempts=1,
        revision=1,
        expires_at=0,
        milestones={Milestone.SUBMITTING: after(10), **{milestone: after(at) for milestone, at in milestones}},
        conflicts=conflicts,
    )


def mail(order_id: str) -> Mailed:
    return Mailed(message_id(order_id, Lane.CONFIRMATION), order_id)


DELIVERED = ((Milestone.SENT, 100.0), (Milestone.DELIVERED, 350.0))
GOOD = Evidence(
    program=Program(resources=3, created=2, not_emulated=[{"type": "t", "name": "n", "reason": "r"}]),
    published=[(body("A"), START), (body("B"), START), ("{", START)],
    quarantined=["{"],
    mails=[mail("A"), mail("B")],
    rows=[row("A", *DELIVERED), row("B", (Milestone.SENT, 200), (Milestone.BOUNCE, 900))],
    traces=["t1", "t2", "t1"],
    seconds={"emulator": 1.234, "deploy": 2.0, "orders": 3.0},
)


def test_a_good_run_in_the_shape_that_readers_of_the_file_rely_on() -> None:
    assert build_report(GOOD) == {
        "program": {"resources": 3, "created": 2, "not_emulated": [{"type": "t", "name": "n", "reason": "r"}]},
        "orders": {"published": 3, "accepted": 2, "quarantined": 1},
        "emails": {
            "sent": 2,
            "delivered": 1,
            "bounce": 1,
            "complaint": 0,
            "suppressed": 0,
            "failed": 0,
            "unknown": 0,
        },
        "duplicates": 0,
        "lost": 0,
        "latency_ms": {
            "published_to_sent": {"p50": 100, "p95": 200, "p99": 200, "max": 200},
            "sent_to_final": {"p50": 250, "p95": 700, "p99": 700, "max": 700},
        },
        "traces": 2,
        "seconds": {"emulator": 1.23, "deploy": 2.0, "orders": 3.0},
    }


def test_a_second_mail_of_one_message_id_is_a_duplicate_whatever_the_ledger_says() -> None:
    report = build_report(replace(GOOD, mails=[mail("A"), mail("B"), mail("A"), mail("A")]))
    assert report["duplicates"] == 2
    assert report["emails"]["sent"] == 2


def test_a_mail_without_a_message_id_cannot_be_shown_to_be_the_only_one() -> None:
    assert duplicates([Mailed("", "A")]) == 1


def test_an_accepted_order_with_neither_mail_nor_final_row_is_lost() -> None:
    report = build_report(replace(GOOD, mails=[mail("A")], rows=[row("A", *DELIVERED), row("B")]))
    assert report["lost"] == 1


def test_a_message_that_vanished_without_a_trace_is_lost_and_not_refused() -> None:
    report = build_report(replace(GOOD, quarantined=[], mails=[mail("A")], rows=[row("A", *DELIVERED)]))
    assert report["lost"] == 2, "order B, and the message that names no order"
    assert report["orders"] == {"published": 3, "accepted": 3, "quarantined": 0}


def test_an_order_that_failed_for_good_is_not_lost_but_known() -> None:
    report = build_report(
        replace(GOOD, mails=[mail("A")], rows=[row("A", *DELIVERED), row("B", (Milestone.FAILED, 9))])
    )
    assert report["lost"] == 0
    assert report["emails"]["failed"] == 1


def test_an_email_whose_answer_was_lost_is_open_but_not_lost() -> None:
    report = build_report(replace(GOOD, rows=[row("A", *DELIVERED), row("B", (Milestone.UNKNOWN, 9))]))
    assert report["lost"] == 0
    assert report["emails"]["unknown"] == 1


@pytest.mark.parametrize("status", list(Status))
def test_every_status_is_counted_somewhere(status: Status) -> None:
    milestones = {found.status: milestone for milestone in Milestone if (found := row("B", (milestone, 50)))}
    report = build_report(replace(GOOD, rows=[row("B", (milestones[status], 50))]))
    counted = {name: number for name, number in report["emails"].items() if name != "sent"}
    assert sum(counted.values()) == 1


def test_a_changed_body_in_quarantine_does_not_account_for_the_message() -> None:
    report = build_report(replace(GOOD, quarantined=["{ "]))
    assert report["orders"]["quarantined"] == 0
    assert report["lost"] == 1


def test_one_copy_in_quarantine_accounts_for_one_of_two_messages() -> None:
    report = build_report(replace(GOOD, published=[*GOOD.published, ("{", START)]))
    assert report["orders"] == {"published": 4, "accepted": 3, "quarantined": 1}
    assert report["lost"] == 1


def test_latency_counts_from_the_first_time_an_order_was_published() -> None:
    later = (body("A"), START + timedelta(milliseconds=90))
    again = [later, *GOOD.published, later]
    assert build_report(replace(GOOD, published=again))["latency_ms"]["published_to_sent"]["p50"] == 100


def test_a_run_without_orders_has_no_latency() -> None:
    report = build_report(Evidence(program=Program(0, 0)))
    assert report["latency_ms"]["published_to_sent"] == {"p50": None, "p95": None, "p99": None, "max": None}
    assert report["lost"] == report["duplicates"] == 0


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([5.0], {"p50": 5, "p95": 5, "p99": 5, "max": 5}),
        ([float(n) for n in range(1, 101)], {"p50": 50, "p95": 95, "p99": 99, "max": 100}),
        ([3.0, 1.0, 2.0], {"p50": 2, "p95": 3, "p99": 3, "max": 3}),
    ],
)
def test_percentiles_are_by_nearest_rank(values: list[float], expected: dict[str, int]) -> None:
    assert percentiles(values) == expected


MESSAGES = st.lists(st.sampled_from([body("A"), body("B"), body("A", x=1), "{", "[]"]), max_size=12)


@given(MESSAGES, st.data())
def test_every_message_is_accounted_for_once(published: list[str], data: st.DataObject) -> None:
    quarantined = data.draw(st.lists(st.sampled_from([*published, "other"]), max_size=14))
    account = take_account([(each, START) for each in published], quarantined)
    assert len(published) == len(account.accepted) + account.quarantined + account.duplicates_prevented


@given(MESSAGES)
def test_nothing_is_lost_when_every_accepted_order_has_its_mail(published: list[str]) -> None:
    account = take_account([(each, START) for each in published], ["{", "[]"] * 12)
    assert lost(account, [mail("A"), mail("B")], []) == []
    assert set(lost(account, [], [])) == set(account.accepted)


def sample(order_id: str | None, expected: str, text: str = "") -> SampleOrder:
    return SampleOrder(text or body(order_id or ""), order_id, "kind", expected)


def endings(samples: Sequence[SampleOrder], rows: Sequence[Row] = (), quarantined: Sequence[str] = ()) -> list[str]:
    return [found for _, found in surprises(samples, rows, quarantined)]


def test_samples_that_end_as_they_should_surprise_nobody() -> None:
    samples = [sample("A", "DELIVERED"), sample(None, QUARANTINED, "{")]
    assert endings(samples, [row("A", *DELIVERED)], ["{"]) == []


def test_each_other_ending_is_a_surprise() -> None:
    samples = [
        sample("A", "BOUNCE"),
        sample("B", "DELIVERED"),
        sample(None, QUARANTINED, "{"),
        sample("C", "DELIVERED"),
    ]
    assert endings(samples, [row("A", *DELIVERED)], [body("B")]) == ["DELIVERED", "QUARANTINED", "NOT SEEN", "NOT SEEN"]


CONTEST = [sample("A", CONFLICT, body("A", x=1)), sample("A", CONFLICT, body("A", x=2))]


@pytest.mark.parametrize("winner", [0, 1])
def test_of_contesting_orders_either_may_win(winner: int) -> None:
    assert endings(CONTEST, [row("A", *DELIVERED, conflicts=1)], [CONTEST[1 - winner].body]) == []


@pytest.mark.parametrize(
    ("conflicts", "quarantined"), [(0, 1), (1, 0), (1, 2)], ids=["not counted", "none set aside", "both set aside"]
)
def test_a_conflict_that_was_not_recorded_or_not_set_aside_is_a_surprise(conflicts: int, quarantined: int) -> None:
    aside = [each.body for each in CONTEST[:quarantined]]
    assert endings(CONTEST, [row("A", *DELIVERED, conflicts=conflicts)], aside) == ["DELIVERED", "DELIVERED"]
