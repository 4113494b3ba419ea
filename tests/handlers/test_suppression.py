"""Who bounced for good or complained is not written to again, until a person says otherwise."""

from __future__ import annotations

from datetime import datetime, timedelta
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError
from hypothesis import given
from hypothesis import strategies as st

from handlers.adapters.ledger import DynamoLedger
from handlers.adapters.suppression import SuppressionList
from handlers.guarding.suppression import Reason, Removal, Suppression, address_key
from handlers.mail.consequences import suppression
from handlers.mail.lifecycle import Evidence, Milestone, Row, Status, message_id
from handlers.mail.sending import Deferred, Outcome, Result, missed, sandbox_recipient
from handlers.telemetry.contract import Lane
from tests.handlers.entries import SesClient, printed, record, run
from tests.handlers.events import event, told
from tests.handlers.orders import body, order
from tests.handlers.rows import START, at, claimed_row, new_claim
from tests.handlers.test_sending import Ses, deliver

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

ADDRESS = "leonie.koehler@example.com"
REMOVAL = Removal(by="kim", reason="the customer has a new mailbox", at=START + timedelta(hours=1))
BOUNCED_AT = datetime.fromisoformat(event("bounce")["bounce"]["timestamp"])


def entry(**changes: Any) -> Suppression:
    fields = {
        "address": ADDRESS,
        "reason": Reason.BOUNCE,
        "since": START,
        "order_id": "A-17",
        "diagnostic": "Permanent/General: smtp; 550 5.1.1 user unknown",
    }
    return Suppression(**{**fields, **changes})


def row_of(ledger: DynamoLedger, order_id: str = "A-1001") -> Row:
    row = ledger.get(order_id, message_id(order_id, Lane.CONFIRMATION))
    assert row
    return row


# ---- What puts an address on the list ----


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("bounce", Reason.BOUNCE),
        ("complaint", Reason.COMPLAINT),
        ("bounce-mailbox-full", None),
        ("bounce-auto-reply", None),
        ("bounce-suppressed", None),
        ("bounce-on-account-suppression-list", None),
        ("complaint-on-account-suppression-list", None),
        ("delivery", None),
        ("delivery-delay", None),
        ("reject", None),
        ("rendering-failure", None),
        ("send", None),
    ],
)
def test_hard_bounces_and_complaints_put_an_address_on_the_list_and_nothing_else_does(
    record_feedback: ModuleType,
    ledger: DynamoLedger,
    suppressed: SuppressionList,
    capsys: pytest.CaptureFixture[str],
    name: str,
    reason: Reason | None,
) -> None:
    row = ledger.claim(new_claim())
    assert run(record_feedback, record(told(name))) == []
    found = suppressed.active(row.to)
    assert (found and found.reason) == reason
    assert [line.get("suppressed", False) for line in printed(capsys.readouterr().out)[0]] == [reason is not None]
    if found:
        assert (found.address, found.order_id, found.diagnostic) == (ADDRESS, "A-1001", row_of(ledger).reason)
        assert found.since == datetime.fromisoformat(row_of(ledger).milestones[row_of(ledger).milestone])


@pytest.mark.parametrize("sent_to", ["bounce+x@simulator.amazonses.com", "Bounce@Simulator.AmazonSES.com"])
@pytest.mark.parametrize("milestone", Milestone)
def test_the_simulators_addresses_are_never_suppressed_not_even_in_a_customers_place(
    milestone: Milestone, sent_to: str
) -> None:
    evidence = Evidence(milestone=milestone, at=at(1))
    assert suppression(claimed_row(sent_to=sent_to), evidence) is None


def test_a_list_that_fails_brings_the_event_back_and_the_next_telling_does_both(
    record_feedback: ModuleType,
    ledger: DynamoLedger,
    suppressed: SuppressionList,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    class Failing(SuppressionList):
        def put(self, entry: Suppression) -> bool:
            raise ClientError({"Error": {"Code": "InternalServerError"}}, "UpdateItem")

    ledger.claim(new_claim())
    bounce = record(told("bounce"))
    with monkeypatch.context() as broken:
        broken.setattr(record_feedback, "suppressed", Failing(suppressed._client, suppressed._table))
        assert run(record_feedback, bounce) == [bounce["messageId"]]
    assert row_of(ledger).status is Status.SUBMITTING, "or the next telling would be no news, and count nothing"
    assert run(record_feedback, bounce) == []
    assert suppressed.active(ADDRESS)
    assert [line["Bounces"] for line in printed(capsys.readouterr().out)[1]] == [1]


def test_an_event_that_is_no_news_still_puts_its_address_on_the_list(
    record_feedback: ModuleType, ledger: DynamoLedger, suppressed: SuppressionList
) -> None:
    row = ledger.claim(new_claim())
    known = Evidence(milestone=Milestone.BOUNCE, at=at(0))
    ledger.learn(row, known, at(0))
    run(record_feedback, record(told("bounce")))
    assert suppressed.active(ADDRESS), "whoever recorded it may have died before"


# ---- The list ----


@pytest.mark.parametrize("seconds", [-60, 0, 1, 3600])
def test_an_event_from_before_a_removal_brings_nothing_back_however_late_it_is_told(
    suppressed: SuppressionList, seconds: int
) -> None:
    suppressed.put(entry())
    suppressed.remove(ADDRESS, REMOVAL)
    assert not suppressed.put(entry(since=START + timedelta(seconds=seconds)))
    assert suppressed.active(ADDRESS) is None


def test_a_bounce_after_a_removal_puts_the_address_on_again_and_the_removal_stays_in_view(
    suppressed: SuppressionList,
) -> None:
    suppressed.put(entry())
    suppressed.remove(ADDRESS, REMOVAL)
    again = entry(since=REMOVAL.at + timedelta(milliseconds=1), order_id="A-18", reason=Reason.COMPLAINT)
    assert suppressed.put(again)
    found = suppressed.active(ADDRESS)
    assert found
    assert (found.order_id, found.reason, found.removed) == ("A-18", Reason.COMPLAINT, REMOVAL)
    assert not suppressed.put(entry(since=again.since + timedelta(days=1), order_id="A-19")), "it is on the list"
    assert suppressed.find(ADDRESS) == found


def test_what_is_on_the_list_first_stands(suppressed: SuppressionList) -> None:
    assert suppressed.put(entry())
    assert not suppressed.put(entry(since=START + timedelta(days=1), order_id="A-18"))
    assert suppressed.find(ADDRESS, consistent=True) == entry()


def test_an_address_that_never_was_on_the_list_cannot_be_removed(
    suppressed: SuppressionList, dynamodb: DynamoDBClient
) -> None:
    assert suppressed.remove(ADDRESS, REMOVAL) is None
    assert dynamodb.scan(TableName=suppressed._table)["Items"] == []


def test_a_removed_entry_is_found_and_not_active(suppressed: SuppressionList) -> None:
    suppressed.put(entry())
    assert suppressed.remove(ADDRESS, REMOVAL) == entry(removed=REMOVAL)
    assert suppressed.find(ADDRESS) == entry(removed=REMOVAL)
    assert suppressed.active(ADDRESS) is None
    assert list(suppressed.all()) == [entry(removed=REMOVAL)]


def test_one_mailbox_is_one_entry_however_it_is_spelt(suppressed: SuppressionList) -> None:
    suppressed.put(entry(address="Leonie.Koehler@Example.COM"))
    assert suppressed.active("LEONIE.KOEHLER@example.com") == entry()
    assert suppressed.active(" leonie.koehler@example.com ")
    assert suppressed.active("leonie@example.com") is None


def test_an_entry_removed_in_the_moment_it_began_is_removed() -> None:
    assert not entry(since=REMOVAL.at, removed=REMOVAL).active


@given(st.emails())
def test_the_key_of_a_key_is_the_key(address: str) -> None:
    key = address_key(address)
    assert address_key(key) == key == address_key(address.upper().lower())


def test_the_list_is_one_part_of_the_control_table(suppressed: SuppressionList, dynamodb: DynamoDBClient) -> None:
    suppressed.put(entry())
    dynamodb.put_item(TableName=suppressed._table, Item={"scope": {"S": "lane"}, "key": {"S": ADDRESS}})
    assert list(suppressed.all()) == [entry()]
    (item,) = [item for item in dynamodb.scan(TableName=suppressed._table)["Items"] if "since" in item]
    assert (item["scope"], item["key"]) == ({"S": "suppressed"}, {"S": ADDRESS})
    assert "expiresAt" not in item, "nobody is written to again because time has passed"


# ---- Before the claim ----


def test_a_suppressed_address_is_not_written_to_and_the_order_ends_as_that(ledger: DynamoLedger) -> None:
    ses = Ses()
    result = deliver(ledger, ses, suppressed={ADDRESS: entry()}.get)
    assert ses.calls == []
    assert result.outcome is Outcome.SUPPRESSED
    assert result.reason == "on our suppression list since 2026-11-22 15:06 UTC (bounce of order A-17)"
    row = row_of(ledger)
    assert row == result.row
    assert (row.status, row.reason, row.is_open, row.attempts) == (Status.SUPPRESSED, result.reason, False, 0)
    assert row.milestones == {Milestone.SUPPRESSED: at(0)}, "nothing was submitted"
    assert ledger.oldest_open(Lane.CONFIRMATION) is None, "nobody waits for what becomes of it"
    assert missed(result) is None
    again = deliver(ledger, ses, seconds=60)
    assert (again, ses.calls) == (Result(Outcome.DUPLICATE, row), []), "it is settled, whatever the list says by now"


def test_a_list_that_cannot_be_read_sends_nothing_and_leaves_nothing_behind(ledger: DynamoLedger) -> None:
    def unreadable(_: str) -> None:
        raise ClientError({"Error": {"Code": "ProvisionedThroughputExceededException"}}, "GetItem")

    ses = Ses()
    with pytest.raises(ClientError):
        deliver(ledger, ses, suppressed=unreadable)
    assert (ses.calls, list(ledger.all())) == ([], [])


@pytest.mark.parametrize("address", [ADDRESS, "bounce@simulator.amazonses.com"])
def test_nobody_asks_about_the_simulator(ledger: DynamoLedger, address: str) -> None:
    def never(_: str) -> None:
        pytest.fail("was looked up")

    sent = deliver(ledger, Ses(), recipient=sandbox_recipient, suppressed=never, customerEmail=address)
    assert sent.outcome is Outcome.SENT


def test_an_order_that_was_let_go_is_settled_when_its_address_comes_onto_the_list(
    ledger: DynamoLedger, dynamodb: DynamoDBClient, table: str
) -> None:
    deliver(ledger, Ses(Deferred("throttled")))
    result = deliver(ledger, Ses(), seconds=2, suppressed={ADDRESS: entry()}.get)
    assert (result.outcome, result.row.attempts) == (Outcome.SUPPRESSED, 1)
    assert result.row.milestones.keys() == {Milestone.SUBMITTING, Milestone.SUPPRESSED}
    (item,) = dynamodb.scan(TableName=table)["Items"]
    assert item["status"] == {"S": "SUPPRESSED"}
    assert "open" not in item


def test_a_row_that_is_there_decides_as_a_lost_claim_does(ledger: DynamoLedger) -> None:
    listed = {ADDRESS: entry(), "someone.else@example.com": entry()}.get
    sent = deliver(ledger, Ses()).row
    assert deliver(ledger, Ses(), suppressed=listed) == Result(Outcome.DUPLICATE, sent)
    other = deliver(ledger, Ses(), suppressed=listed, customerEmail="someone.else@example.com")
    assert other.outcome is Outcome.CONFLICT
    assert row_of(ledger).status is Status.SENT


def test_a_claim_in_flight_is_not_settled_from_beside(ledger: DynamoLedger) -> None:
    row = ledger.claim(new_claim(order_hash=order().content_hash))
    result = deliver(ledger, Ses(), seconds=1, suppressed={ADDRESS: entry()}.get)
    assert result.outcome is Outcome.RETRY
    assert row_of(ledger) == row


def test_a_write_asked_again_is_given_the_row_that_it_made(ledger: DynamoLedger) -> None:
    row = ledger.suppress(new_claim(), "listed")
    assert ledger.suppress(new_claim(), "listed") == row, "the reply to the first was lost"


# ---- In the functions ----


def test_a_suppressed_order_is_counted_logged_and_done_with(
    send_email: ModuleType,
    ledger: DynamoLedger,
    suppressed: SuppressionList,
    ses: SesClient,
    capsys: pytest.CaptureFixture[str],
) -> None:
    suppressed.put(entry())
    other = "someone.else@example.com"
    assert run(send_email, record(body()), record(body(orderId="A-2", customerEmail=other))) == []
    assert [mail["Destination"]["ToAddresses"] for mail in ses.accepted] == [[other]]
    assert row_of(ledger).status is Status.SUPPRESSED
    out = capsys.readouterr().out
    logs, metrics = printed(out)
    (log,) = [line for line in logs if line["message"] == "suppressed"]
    (metric,) = [line for line in metrics if "Suppressions" in line]
    assert (log["level"], log["order_id"]) == ("WARNING", "A-1001")
    assert log["reason"] == metric["reason"] == entry().told
    assert "SendMisses" not in metric
    assert "@" not in out


def test_who_bounced_is_not_written_to_again(
    send_email: ModuleType, record_feedback: ModuleType, ledger: DynamoLedger, ses: SesClient
) -> None:
    run(send_email, record(body(orderId="A-1")))
    run(record_feedback, record(told("bounce", "A-1")))
    run(send_email, record(body(orderId="A-2", customerEmail=ADDRESS.title())))
    assert (len(ses.accepted), row_of(ledger, "A-2").status) == (1, Status.SUPPRESSED)
    assert row_of(ledger, "A-2").reason == (
        f"on our suppression list since {BOUNCED_AT:%Y-%m-%d %H:%M} UTC (bounce of order A-1)"
    )


def test_who_was_taken_off_the_list_is_written_to_again(
    send_email: ModuleType, ledger: DynamoLedger, suppressed: SuppressionList, ses: SesClient
) -> None:
    suppressed.put(entry())
    suppressed.remove(ADDRESS, REMOVAL)
    run(send_email, record(body()))
    assert (len(ses.accepted), row_of(ledger).status) == (1, Status.SENT)


def test_an_operators_entry_names_nobody_in_what_is_logged() -> None:
    by_hand = entry(
        reason=Reason.OPERATOR, order_id="", by="arn:aws:sts::123456789012:assumed-role/ops/kim@example.com"
    )
    assert by_hand.told == "on our suppression list since 2026-11-22 15:06 UTC (by hand)"
