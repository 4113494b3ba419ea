from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from functools import reduce
from itertools import permutations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from handlers.mail.lifecycle import (
    LADDER,
    OPEN,
    Claim,
    Evidence,
    Milestone,
    Row,
    Status,
    fold,
    judge_claim,
    lane_of,
    message_id,
    milliseconds,
    timestamp,
)
from handlers.telemetry.contract import Lane
from tests.handlers.rows import at, claimed_row

RUNGS = list(LADDER)

evidence = st.builds(
    Evidence,
    milestone=st.sampled_from(Milestone),
    at=st.integers(-2, 3).map(at),  # few different values, so that they coincide
    reason=st.sampled_from(["", "mailbox full", "no such user"]),
    ses_message_id=st.sampled_from(["", "ses-1", "ses-2"]),
    order=st.sampled_from(["", '{"orderId": "A-1001"}', '{"orderId":"A-1001"}']),
)


def after(*learnt: Evidence, row: Row | None = None) -> Row:
    return reduce(fold, learnt, row or claimed_row())


# ---- Folding ----


@given(st.lists(evidence, max_size=7), st.data())
def test_any_order_and_any_copies_of_the_same_evidence_give_the_same_row(
    learnt: list[Evidence], data: st.DataObject
) -> None:
    copies = data.draw(st.lists(st.sampled_from(learnt), max_size=5)) if learnt else []
    shuffled = data.draw(st.permutations([*learnt, *copies]))
    assert after(*shuffled) == after(*learnt)


@given(st.lists(evidence, max_size=6))
def test_no_evidence_moves_a_row_down_the_ladder_or_opens_it_again(learnt: list[Evidence]) -> None:
    row = claimed_row()
    for one in learnt:
        before, row = row, fold(row, one)
        assert RUNGS.index(row.milestone) >= RUNGS.index(before.milestone)
        assert row.is_open <= before.is_open
        assert before.milestones.keys() <= row.milestones.keys()


@example(
    [Evidence(milestone=Milestone.SUBMITTING, at=at(0), order="{}"), Evidence(milestone=Milestone.UNKNOWN, at=at(0))]
)
@given(st.lists(evidence, min_size=1, max_size=6))
def test_what_is_known_already_leaves_the_very_same_row(learnt: list[Evidence]) -> None:
    row = after(*learnt)
    assert all(fold(row, one) is row for one in learnt), "the ledger writes nothing for the same object"


@given(st.lists(evidence, max_size=6))
def test_evidence_changes_nothing_about_whose_email_it_is(learnt: list[Evidence]) -> None:
    row = after(*learnt)
    base = claimed_row()
    told = ("milestones", "reason", "ses_message_id", "lease_until", "order")
    assert replace(row, **{name: getattr(base, name) for name in told}) == base


@given(st.lists(evidence, max_size=6))
def test_the_order_is_kept_only_while_nobody_knows_and_the_lease_only_before_the_answer(learnt: list[Evidence]) -> None:
    row = after(*learnt)
    if row.status is not Status.UNKNOWN:
        assert not row.order, "an order holds an address and what was bought: no longer than needed"
    assert bool(row.lease_until) is (row.status is Status.SUBMITTING)


def test_every_open_rung_is_below_every_final_one() -> None:
    finality = [status not in OPEN for status in LADDER.values()]
    assert finality == sorted(finality), "or a final row could open again"
    assert set(LADDER) == set(Milestone)
    assert set(LADDER.values()) == set(Status), "a status that no milestone gives is never reached"


def seen(milestone: Milestone, seconds: float, reason: str = "", ses_message_id: str = "ses-1") -> Evidence:
    return Evidence(milestone=milestone, at=at(seconds), reason=reason, ses_message_id=ses_message_id)


LOST = Evidence(milestone=Milestone.UNKNOWN, at=at(10), reason="SES gave no usable answer", order="{}")
SEND = seen(Milestone.SENT, 1)
DELIVERY = seen(Milestone.DELIVERED, 3)
SOFT = seen(Milestone.SOFT_BOUNCE, 4, "Transient/General")
HARD = seen(Milestone.BOUNCE, 5, "Permanent/General")

HISTORIES: dict[str, tuple[Sequence[Evidence], Status, str]] = {
    "sent": ([SEND], Status.SENT, ""),
    "no answer": ([LOST], Status.UNKNOWN, LOST.reason),
    "no answer, then SES says it was sent": ([LOST, SEND], Status.SENT, ""),
    "no answer, the Send event lost, then delivered": ([LOST, DELIVERY], Status.DELIVERED, ""),
    "delivered before our own note": ([DELIVERY, SEND], Status.DELIVERED, ""),
    "delayed, then delivered": ([SEND, seen(Milestone.DELAYED, 2, "MailboxFull"), DELIVERY], Status.DELIVERED, ""),
    "delayed": ([SEND, seen(Milestone.DELAYED, 2, "MailboxFull")], Status.DELAYED, "MailboxFull"),
    "given up after delays": ([SEND, seen(Milestone.DELAYED, 2), SOFT], Status.BOUNCE, "Transient/General"),
    "out of office after the delivery": ([SEND, DELIVERY, SOFT], Status.DELIVERED, ""),
    "accepted first, bounced for good later": ([SEND, DELIVERY, HARD], Status.BOUNCE, "Permanent/General"),
    "a complaint about what was delivered": (
        [SEND, DELIVERY, seen(Milestone.COMPLAINT, 6, "abuse")],
        Status.COMPLAINT,
        "abuse",
    ),
    "on the suppression list": ([SEND, seen(Milestone.SUPPRESSED, 2, "listed")], Status.SUPPRESSED, "listed"),
    "a virus": ([SEND, seen(Milestone.REJECTED, 2, "Bad content")], Status.REJECTED, "Bad content"),
    "refused": (
        [seen(Milestone.FAILED, 1, "SES answered MessageRejected")],
        Status.FAILED,
        "SES answered MessageRejected",
    ),
    "declared failed, then proven delivered": ([LOST, seen(Milestone.FAILED, 60), DELIVERY], Status.DELIVERED, ""),
}


@pytest.mark.parametrize(("learnt", "status", "reason"), HISTORIES.values(), ids=HISTORIES)
def test_an_email_ends_as_its_history_says_in_whatever_order_it_is_told(
    learnt: Sequence[Evidence], status: Status, reason: str
) -> None:
    for told in permutations(learnt):
        row = after(*told)
        assert (row.status, row.reason) == (status, reason)
        assert row.is_open is (status in {"SUBMITTING", "UNKNOWN", "SENT", "DELAYED"})
        assert row.milestones == {Milestone.SUBMITTING: at(0)} | {one.milestone: one.at for one in learnt}


def test_of_two_times_of_a_milestone_the_earlier_one_stands_with_its_reason() -> None:
    early, late = seen(Milestone.BOUNCE, 2, "Permanent/NoEmail"), seen(Milestone.BOUNCE, 9, "Permanent/General")
    for told in permutations([early, late]):
        row = after(*told)
        assert row.milestones[Milestone.BOUNCE] == early.at
        assert row.reason == early.reason


def test_an_email_sent_twice_on_purpose_keeps_one_ses_id_whichever_comes_first() -> None:
    first, second = (seen(Milestone.SENT, 1, ses_message_id=ses_id) for ses_id in ("ses-1", "ses-2"))
    assert after(first, second) == after(second, first)
    assert after(first, second).ses_message_id == "ses-1"


def test_a_released_claim_says_why_until_something_is_known() -> None:
    released = claimed_row(lease_until="", reason="SES answered TooManyRequestsException")
    assert after(SEND, row=released).reason == ""
    assert after(LOST, row=released).reason == LOST.reason


# ---- Who may send ----

SAME, OTHER = "0" * 64, "1" * 64


@pytest.mark.parametrize(
    ("row", "order_hash", "now", "expected"),
    [
        (claimed_row(), SAME, at(29), Claim.IN_FLIGHT),
        (claimed_row(), SAME, at(30), Claim.ABANDONED),
        (claimed_row(), SAME, at(3000), Claim.ABANDONED),
        (claimed_row(lease_until=""), SAME, at(1), Claim.RELEASED),
        (after(SEND), SAME, at(1), Claim.DUPLICATE),
        (after(LOST), SAME, at(3000), Claim.DUPLICATE),
        (after(HARD), SAME, at(3000), Claim.DUPLICATE),
        (claimed_row(), OTHER, at(1), Claim.CONFLICT),
        (claimed_row(), OTHER, at(3000), Claim.CONFLICT),
        (claimed_row(lease_until=""), OTHER, at(1), Claim.CONFLICT),
        (after(DELIVERY), OTHER, at(1), Claim.CONFLICT),
    ],
)
def test_a_lost_claim_is_judged_by_content_status_and_lease(
    row: Row, order_hash: str, now: str, expected: Claim
) -> None:
    assert judge_claim(row, order_hash=order_hash, now=now) is expected


# ---- Names and times ----


def test_the_message_id_of_an_order_never_changes() -> None:
    assert message_id("A-1001", "order-confirmation") == "4c4d925d-00c0-58e9-8088-fbd82c9a3090", (
        "rows are found by it: another value would send every order's email again"
    )


def test_each_order_and_each_kind_has_its_own_message_id() -> None:
    ids = {message_id(order, kind) for order in ("A-1", "A-2") for kind in ("order-confirmation", "receipt")}
    assert len(ids) == 4


@pytest.mark.parametrize(
    ("milestones", "taken"),
    [
        ({}, ""),
        ({Milestone.UNKNOWN: at(1), Milestone.FAILED: at(2)}, ""),
        ({Milestone.SENT: at(3)}, at(3)),
        ({Milestone.UNKNOWN: at(1), Milestone.DELIVERED: at(5), Milestone.COMPLAINT: at(9)}, at(5)),
        ({Milestone.FAILED: at(1), Milestone.SENT: at(3), Milestone.REJECTED: at(4)}, at(3)),
    ],
)
def test_an_email_was_taken_when_the_first_proof_of_it_says(milestones: dict[Milestone, str], taken: str) -> None:
    assert claimed_row(milestones={Milestone.SUBMITTING: at(0), **milestones}).taken_at == taken


def test_a_lane_names_the_same_row_as_its_value() -> None:
    assert message_id("A-1001", Lane.CONFIRMATION) == message_id("A-1001", "order-confirmation")


@pytest.mark.parametrize(
    ("name", "lane"),
    [
        ("order-confirmation", Lane.CONFIRMATION),
        ("probe", Lane.PROBE),
        ("", Lane.CONFIRMATION),
        ("PROBE", Lane.CONFIRMATION),
        ("newsletter", Lane.CONFIRMATION),
    ],
)
def test_what_names_no_lane_that_we_know_is_a_confirmation(name: str, lane: Lane) -> None:
    assert lane_of(name) is lane


def test_a_span_is_in_milliseconds_and_never_negative() -> None:
    assert milliseconds(at(0), at(1.5)) == 1500
    assert milliseconds(at(1.5), at(0)) == 0


def test_a_time_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="2026-11-22T15:06:00 has no time zone"):
        timestamp(datetime(2026, 11, 22, 15, 6))  # noqa: DTZ001 - the point


def test_times_are_written_in_utc_with_milliseconds() -> None:
    tokyo = timezone(timedelta(hours=9))
    assert timestamp(datetime(2026, 11, 23, 0, 6, 1, 123_999, tokyo)) == "2026-11-22T15:06:01.123Z"
    assert timestamp(datetime(2026, 11, 22, 15, 6, tzinfo=UTC)) == "2026-11-22T15:06:00.000Z"


@given(*[st.datetimes(timezones=st.just(UTC))] * 2)
def test_the_order_of_texts_is_the_order_of_times(one: datetime, other: datetime) -> None:
    one, other = (moment.replace(microsecond=moment.microsecond // 1000 * 1000) for moment in (one, other))
    assert (timestamp(one) < timestamp(other)) is (one < other)
    assert datetime.fromisoformat(timestamp(one)) == one
