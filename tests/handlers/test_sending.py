from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
from botocore.exceptions import ClientError
from email_validator import validate_email
from hypothesis import example, given, settings
from hypothesis import strategies as st

from handlers.adapters.ledger import DynamoLedger
from handlers.guarding.suppression import Suppression
from handlers.mail.lifecycle import Evidence, Milestone, Row, Status, message_id
from handlers.mail.orders import MalformedOrder, Order
from handlers.mail.sending import (
    Deferred,
    NewClaim,
    Outcome,
    Pace,
    Refused,
    Result,
    Sender,
    Unanswered,
    backoff,
    sandbox_recipient,
)
from handlers.telemetry.contract import Lane
from tests.handlers.orders import body, order
from tests.handlers.rows import START, at

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

MESSAGE_ID = message_id("A-1001", Lane.CONFIRMATION)
BROKEN_TABLE = ClientError({"Error": {"Code": "InternalServerError"}}, "UpdateItem")


class Ses:
    """SES as the sender sees it: answers as told, accepts from then on; notes what it accepted."""

    def __init__(self, *answers: Exception) -> None:
        self.answers = list(answers)
        self.calls: list[Row] = []

    def __call__(self, _: Order, row: Row) -> str:
        self.calls.append(row)
        if self.answers:
            raise self.answers.pop(0)
        return f"ses-{len(self.calls)}"


def deliver(
    ledger: DynamoLedger,
    ses: Callable[[Order, Row], str],
    *,
    seconds: float = 0,
    room: bool = True,
    recipient: Callable[[str], str] = str,
    suppressed: Callable[[str], Suppression | None] = lambda _: None,
    token: str = "",
    lane: Lane = Lane.CONFIRMATION,
    **changes: Any,
) -> Result:
    """One delivery of the order by the queue, so many seconds after START."""
    now = START + timedelta(seconds=seconds)
    sender = Sender(
        ledger=ledger,
        send=ses,
        recipient=recipient,
        suppressed=suppressed,
        wait=lambda: room,
        now=lambda: now,
        new_token=lambda: token or uuid4().hex,
        deadline=now + timedelta(seconds=30),
        retention=timedelta(days=400),
    )
    published = START - timedelta(seconds=1)
    return sender.send_once(order(**changes), body(**changes), lane=lane, published_at=published, trace_id="1-abc")


# ---- No answer, or nobody left to hear it ----


def test_a_claim_in_flight_sends_its_twin_back_to_the_queue(ledger: DynamoLedger) -> None:
    twin = []

    def slow(_: Order, row: Row) -> str:
        twin.append(deliver(ledger, Ses(), seconds=29))
        return "ses-1"

    assert deliver(ledger, slow).outcome is Outcome.SENT
    assert twin[0].outcome is Outcome.RETRY
    assert "being sent" in twin[0].reason


def test_an_abandoned_claim_is_called_unknown_with_the_order_kept_and_nothing_is_resent(ledger: DynamoLedger) -> None:
    ses = Ses(KeyboardInterrupt())  # type: ignore[arg-type]  # the process is killed in mid-call
    with pytest.raises(KeyboardInterrupt):
        deliver(ledger, ses)
    found = deliver(ledger, ses, seconds=31)
    assert found.outcome is Outcome.UNKNOWN
    assert found.row.status is Status.UNKNOWN
    assert found.row.order == body(), "an operator may have to send it again"
    assert found.row.reason == "attempt 1 ended without a recorded answer"
    assert deliver(ledger, ses, seconds=62).outcome is Outcome.DUPLICATE, "it is counted as unknown once"
    assert len(ses.calls) == 1


def test_evidence_that_it_was_sent_ends_the_doubt_and_forgets_the_order(ledger: DynamoLedger) -> None:
    unknown = deliver(ledger, Ses(Unanswered("read timeout"))).row
    sent = Evidence(milestone=Milestone.SENT, at=at(1), ses_message_id="ses-9")
    row, _ = ledger.learn(unknown, sent, at(90))
    assert (row.status, row.ses_message_id, row.order, row.reason) == (Status.SENT, "ses-9", "", "")


def test_a_lost_answer_is_unknown_at_once(ledger: DynamoLedger) -> None:
    ses = Ses(Unanswered("SES gave no usable answer: read timeout"))
    result = deliver(ledger, ses)
    assert result.outcome is Outcome.UNKNOWN
    assert (result.row.status, result.row.order, result.row.reason) == (Status.UNKNOWN, body(), result.reason)
    assert deliver(ledger, ses, seconds=99).outcome is Outcome.DUPLICATE
    assert len(ses.calls) == 1


def test_a_table_that_fails_after_ses_accepted_leaves_the_claim_and_never_sends_again(ledger: DynamoLedger) -> None:
    class Failing(DynamoLedger):
        def change(self, before: Row, after: Row, now: str) -> Row:
            raise BROKEN_TABLE

    ses = Ses()
    failing = Failing(ledger._client, ledger._table)
    with pytest.raises(ClientError):
        deliver(failing, ses)
    assert deliver(ledger, ses, seconds=2).outcome is Outcome.RETRY
    assert deliver(ledger, ses, seconds=31).outcome is Outcome.UNKNOWN
    assert len(ses.calls) == 1


def test_a_claim_whose_reply_is_lost_is_found_to_be_our_own_and_sent_once(ledger: DynamoLedger) -> None:
    class Forgetful(DynamoLedger):
        def claim(self, claim: NewClaim) -> Row:
            super().claim(claim)  # the table's reply to this is lost, and the SDK asks again
            return super().claim(claim)

    ses = Ses()
    result = deliver(Forgetful(ledger._client, ledger._table), ses)
    assert (result.outcome, result.row.attempts) == (Outcome.SENT, 1)
    assert deliver(ledger, ses, seconds=99).outcome is Outcome.DUPLICATE
    assert len(ses.calls) == 1


def test_feedback_before_our_own_note_stands_above_it(ledger: DynamoLedger) -> None:
    def fast(_: Order, row: Row) -> str:
        ledger.learn(row, Evidence(milestone=Milestone.DELIVERED, at=at(0.5), ses_message_id="ses-1"), at(0.6))
        return "ses-1"

    result = deliver(ledger, fast)
    assert result.outcome is Outcome.SENT
    assert result.row.status is Status.DELIVERED
    assert result.row.milestones.keys() == {Milestone.SUBMITTING, Milestone.SENT, Milestone.DELIVERED}
    assert result.row == ledger.get("A-1001", MESSAGE_ID)


# ---- A definite no ----


def test_a_refusal_for_good_fails_the_row_and_nothing_is_sent_again(ledger: DynamoLedger) -> None:
    ses = Ses(Refused("SES answered MessageRejected"))
    result = deliver(ledger, ses)
    assert result.outcome is Outcome.FAILED
    assert (result.row.status, result.row.reason) == (Status.FAILED, "SES answered MessageRejected")
    assert not result.row.is_open
    assert deliver(ledger, ses, seconds=99).outcome is Outcome.DUPLICATE
    assert len(ses.calls) == 1


def test_a_refusal_for_now_lets_the_claim_go_and_the_next_delivery_is_attempt_two(ledger: DynamoLedger) -> None:
    ses = Ses(Deferred("SES answered TooManyRequestsException"))
    first = deliver(ledger, ses)
    assert first.outcome is Outcome.RETRY
    assert (first.row.status, first.row.lease_until, first.row.attempts) == (Status.SUBMITTING, "", 1)
    assert first.row.reason == first.reason == "SES answered TooManyRequestsException"
    second = deliver(ledger, ses, seconds=2)
    assert second.outcome is Outcome.SENT
    assert (second.row.status, second.row.attempts, second.row.reason) == (Status.SENT, 2, "")
    assert [row.attempts for row in ses.calls] == [1, 2]


def test_a_claim_is_let_go_even_if_a_conflict_was_counted_in_the_meantime(ledger: DynamoLedger) -> None:
    def throttled(_: Order, row: Row) -> str:
        assert deliver(ledger, Ses(), total="99").outcome is Outcome.CONFLICT
        raise Deferred("throttled")

    result = deliver(ledger, throttled)
    assert (result.row.lease_until, result.row.conflicts) == ("", 1)
    assert deliver(ledger, Ses(), seconds=2).outcome is Outcome.SENT, "a definite no must not end as UNKNOWN"


def test_a_claim_that_somebody_has_given_up_on_is_not_let_go_any_more(ledger: DynamoLedger) -> None:
    def late(_: Order, row: Row) -> str:
        assert deliver(ledger, Ses(), seconds=31).outcome is Outcome.UNKNOWN
        raise Deferred("throttled")

    result = deliver(ledger, late)
    assert result.outcome is Outcome.RETRY
    assert result.row.status is Status.UNKNOWN
    assert deliver(ledger, Ses(), seconds=40).outcome is Outcome.DUPLICATE


def test_without_room_in_the_send_rate_nothing_is_sent_and_the_claim_is_let_go(ledger: DynamoLedger) -> None:
    ses = Ses()
    result = deliver(ledger, ses, room=False)
    assert result.outcome is Outcome.RETRY
    assert "send rate" in result.reason
    assert not result.row.lease_until
    assert not ses.calls


# ---- Orders seen before ----


def test_a_repeated_order_is_recognised_and_not_sent(ledger: DynamoLedger) -> None:
    ses = Ses()
    sent = deliver(ledger, ses)
    again = deliver(ledger, ses, seconds=1, metadata={"retry": 1})
    assert again == Result(Outcome.DUPLICATE, sent.row)
    assert len(ses.calls) == 1


def test_another_content_under_the_same_id_is_counted_and_the_first_one_stands(ledger: DynamoLedger) -> None:
    ses = Ses()
    first = deliver(ledger, ses)
    for seconds in (1, 2):
        second = deliver(ledger, ses, seconds=seconds, customerEmail="someone.else@example.com")
        assert second.outcome is Outcome.CONFLICT
    assert second.row == replace(first.row, conflicts=2, revision=first.row.revision + 2, last_updated=at(2))
    assert len(ses.calls) == 1


def test_a_conflict_is_counted_whoever_else_writes(ledger: DynamoLedger) -> None:
    class Busy(DynamoLedger):
        raced = False

        def change(self, before: Row, after: Row, now: str) -> Row:
            if not self.raced:
                self.raced = True
                super().change(before, replace(before, conflicts=before.conflicts + 1), now)
            return super().change(before, after, now)

    deliver(ledger, Ses())
    assert deliver(Busy(ledger._client, ledger._table), Ses(), total="99").row.conflicts == 2


# ---- What is written ----


def test_the_row_of_a_sent_email_holds_exactly_this(ledger: DynamoLedger, dynamodb: DynamoDBClient, table: str) -> None:
    deliver(ledger, Ses(), recipient=sandbox_recipient, token="claim-1", total="99.00", seconds=5)
    item = dynamodb.get_item(TableName=table, Key={"orderId": {"S": "A-1001"}, "messageId": {"S": MESSAGE_ID}})["Item"]
    assert item == {
        "orderId": {"S": "A-1001"},
        "messageId": {"S": MESSAGE_ID},
        "kind": {"S": "order-confirmation"},
        "to": {"S": "leonie.koehler@example.com"},
        "sentTo": {"S": "success+leonie.koehler=example.com@simulator.amazonses.com"},
        "sandbox": {"BOOL": True},
        "status": {"S": "SENT"},
        "open": {"S": "order-confirmation"},
        "orderHash": {"S": order(total="99.00").content_hash},
        "sesMessageId": {"S": "ses-1"},
        "attempts": {"N": "1"},
        "revision": {"N": "2"},
        "publishedAt": {"S": at(-1)},
        "claimedAt": {"S": at(5)},
        "submittingAt": {"S": at(5)},
        "sentAt": {"S": at(5)},
        "lastUpdated": {"S": at(5)},
        "claimToken": {"S": "claim-1"},
        "expiresAt": {"N": str(int((START + timedelta(days=400, seconds=5)).timestamp()))},
        "traceId": {"S": "1-abc"},
        "flags": {"SS": ["TOTAL_MISMATCH"]},
    }


def test_the_claim_is_on_record_before_the_email_goes_out(ledger: DynamoLedger) -> None:
    def look(_: Order, row: Row) -> str:
        standing = ledger.get("A-1001", MESSAGE_ID)
        assert standing == row
        assert (standing.status, standing.lease_until, standing.attempts) == (Status.SUBMITTING, at(30), 1)
        return "ses-1"

    assert deliver(ledger, look).outcome is Outcome.SENT


# ---- The send rate ----


class Clock:
    """Monotonic seconds; sleeping passes them."""

    def __init__(self) -> None:
        self.seconds = 1000.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.seconds

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.seconds += seconds


def test_a_turn_that_comes_too_late_is_not_taken_and_not_waited_for() -> None:
    clock = Clock()
    pace = Pace(0.5, clock, clock.sleep)
    assert pace.wait(clock.seconds + 10)
    assert not pace.wait(clock.seconds + 1.9)
    assert clock.slept == []
    assert pace.wait(clock.seconds + 2), "the turn that was not taken is still there"
    assert clock.slept == [2]


@pytest.mark.parametrize("rate", [0.5, 1, 14])
def test_no_turn_is_taken_after_the_last_moment_has_passed(rate: float) -> None:
    clock = Clock()
    assert not Pace(rate, clock, clock.sleep).wait(clock.seconds - 0.01)


def test_one_second_of_sends_goes_at_once_and_the_rest_at_the_rate() -> None:
    clock = Clock()
    pace = Pace(10, clock, clock.sleep)
    for _ in range(10):
        pace.wait(1e9)
    assert sum(clock.slept) < 1e-6
    clock.slept.clear()
    for _ in range(5):
        pace.wait(1e9)
    assert clock.slept == pytest.approx([0.1] * 5)


@settings(max_examples=60)
@given(
    rate=st.floats(0.1, 50),
    pauses=st.lists(st.floats(0, 5) | st.just(0.0), min_size=2, max_size=60),
)
@example(rate=1.0, pauses=[0.0] * 10)
@example(rate=14.0, pauses=[0.0] * 30 + [5.0] + [0.0] * 29)
def test_in_no_stretch_of_time_do_more_go_than_the_rate_and_one_burst(rate: float, pauses: list[float]) -> None:
    clock = Clock()
    pace = Pace(rate, clock, clock.sleep)
    sends = []
    for pause in pauses:
        clock.seconds += pause
        assert pace.wait(float("inf"))
        sends.append(clock.seconds)
    burst = max(1.0, rate)
    for first, start in enumerate(sends):
        for last in range(first, len(sends)):
            assert last - first + 1 <= rate * (sends[last] - start) + burst + 1e-6


@pytest.mark.parametrize(("count", "seconds"), [(1, 2), (2, 4), (5, 32), (8, 256), (9, 300), (10_000, 300)])
def test_the_wait_doubles_with_every_delivery_up_to_five_minutes(count: int, seconds: int) -> None:
    assert backoff(count) == seconds


def test_the_first_waits_outlast_a_claim_in_flight() -> None:
    assert sum(map(backoff, range(1, 5))) >= 30, "or an order could reach the dead-letter queue behind its own twin"


# ---- The sandbox ----


@pytest.mark.parametrize(
    ("address", "stand_in"),
    [
        ("jo@example.com", "success+jo=example.com@simulator.amazonses.com"),
        ("jo+news@example.com", "success+jo=news=example.com@simulator.amazonses.com"),
        ("o'neil!#%@example.com", "success+o=neil====example.com@simulator.amazonses.com"),
        ("jo@xn--bcher-kva.example", "success+jo=xn--bcher-kva.example@simulator.amazonses.com"),
        ("j" * 60 + "@example.com", "success+" + "j" * 56 + "@simulator.amazonses.com"),
        ("j" * 55 + ".k@example.com", "success+" + "j" * 55 + "@simulator.amazonses.com"),
        (
            "jo@simulator.amazonses.com.evil.example",
            "success+jo=simulator.amazonses.com.evil.example@simulator.amazonses.com",
        ),
        ("jo@notsimulator.amazonses.com", "success+jo=notsimulator.amazonses.com@simulator.amazonses.com"),
    ],
)
def test_the_sandbox_writes_to_the_simulator_and_shows_whom_it_stands_for(address: str, stand_in: str) -> None:
    assert sandbox_recipient(address) == stand_in


@pytest.mark.parametrize("mailbox", ["bounce", "complaint+a", "suppressionlist", "ooto", "success"])
def test_the_simulators_own_addresses_stay_as_they_are(mailbox: str) -> None:
    assert sandbox_recipient(f"{mailbox}@simulator.amazonses.com") == f"{mailbox}@simulator.amazonses.com"


@settings(max_examples=60)
@given(
    st.emails()
    | st.from_regex(re.compile(r"[a-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@example\.com", re.ASCII), fullmatch=True)
)
def test_in_the_sandbox_every_address_is_a_valid_one_of_the_simulator(address: str) -> None:
    try:
        customer = order(customerEmail=address).email
    except MalformedOrder:
        return
    stand_in = sandbox_recipient(customer)
    assert stand_in.isascii()
    assert stand_in.endswith("@simulator.amazonses.com")
    checked = validate_email(stand_in, check_deliverability=False, allow_smtputf8=False, strict=True)
    assert checked.normalized == stand_in
