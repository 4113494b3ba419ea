from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from botocore.exceptions import ClientError

from handlers.adapters.ledger import DynamoLedger
from handlers.mail.lifecycle import Evidence, Milestone, Row, Status, message_id
from handlers.mail.sending import AlreadyClaimed, Superseded
from handlers.telemetry.contract import Lane
from tests.handlers.rows import at, claimed_row, new_claim

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

DELIVERED = Evidence(milestone=Milestone.DELIVERED, at=at(3), ses_message_id="ses-1")
SENT = Evidence(milestone=Milestone.SENT, at=at(1), ses_message_id="ses-1")


class TestClaims:
    @pytest.mark.parametrize("order_hash", ["0" * 64, "1" * 64])
    @pytest.mark.parametrize("seconds", [5, 5000])
    def test_a_claim_on_a_claimed_row_tells_what_stands_there_and_writes_nothing(
        self, ledger: DynamoLedger, seconds: float, order_hash: str
    ) -> None:
        row = ledger.claim(new_claim())
        with pytest.raises(AlreadyClaimed) as caught:
            ledger.claim(new_claim(now=at(seconds), order_hash=order_hash, token="claim-2"))
        assert caught.value.row == row
        assert ledger.get(row.order_id, row.message_id) == row

    def test_a_released_claim_is_not_given_to_an_order_with_another_content(self, ledger: DynamoLedger) -> None:
        row = ledger.claim(new_claim())
        ledger.change(row, replace(row, lease_until="", reason="throttled"), at(2))
        with pytest.raises(AlreadyClaimed):
            ledger.claim(new_claim(order_hash="1" * 64, token="claim-2"))

    @pytest.mark.parametrize("milestone", [m for m in Milestone if m is not Milestone.SUBMITTING])
    def test_a_row_that_has_moved_on_is_never_claimed_again(self, ledger: DynamoLedger, milestone: Milestone) -> None:
        row = ledger.claim(new_claim())
        ledger.learn(row, Evidence(milestone=milestone, at=at(1)), at(1))
        with pytest.raises(AlreadyClaimed):
            ledger.claim(new_claim(now=at(99), token="claim-2"))

    def test_a_row_that_somebody_has_given_up_on_is_not_its_own_claims_any_more(self, ledger: DynamoLedger) -> None:
        row = ledger.claim(new_claim())
        unknown, _ = ledger.learn(row, Evidence(milestone=Milestone.UNKNOWN, at=at(31)), at(31))
        with pytest.raises(AlreadyClaimed) as caught:
            ledger.claim(new_claim())
        assert caught.value.row == unknown

    def test_a_claim_asked_again_is_given_the_row_that_it_holds_as_it_stands(self, ledger: DynamoLedger) -> None:
        row = ledger.claim(new_claim())
        assert ledger.claim(new_claim()) == row, "nothing is written"
        counted = ledger.change(row, replace(row, conflicts=1), at(1))
        assert ledger.claim(new_claim()) == counted, "or the next write would not find the row it builds on"

    def test_a_copy_of_a_claim_that_comes_after_it_was_let_go_takes_nothing(self, ledger: DynamoLedger) -> None:
        row = ledger.claim(new_claim())
        released = ledger.change(row, replace(row, lease_until="", reason="throttled"), at(2))
        with pytest.raises(AlreadyClaimed) as caught:
            ledger.claim(new_claim())
        assert caught.value.row == released == ledger.get(row.order_id, row.message_id)

    def test_a_copy_of_a_claim_does_not_meet_its_own_in_the_next_attempt(self, ledger: DynamoLedger) -> None:
        row = ledger.claim(new_claim())
        ledger.change(row, replace(row, lease_until="", reason="throttled"), at(2))
        second = ledger.claim(new_claim(now=at(3), token="claim-2"))
        with pytest.raises(AlreadyClaimed) as caught:
            ledger.claim(new_claim())
        assert caught.value.row == second

    def test_a_released_claim_is_taken_as_the_next_attempt_and_keeps_its_first_times(
        self, ledger: DynamoLedger
    ) -> None:
        row = ledger.claim(new_claim())
        ledger.change(row, replace(row, lease_until="", reason="throttled", order="{}"), at(2))
        again = ledger.claim(
            new_claim(now=at(8), published_at=at(7), lease_until=at(38), token="claim-2", trace_id="1-other")
        )
        assert again == replace(
            row,
            attempts=2,
            revision=3,
            milestones={Milestone.SUBMITTING: at(8)},
            lease_until=at(38),
            claim_token="claim-2",
            trace_id="1-other",
            last_updated=at(8),
        )

    def test_a_failing_table_is_not_taken_for_a_claimed_row(self, dynamodb: DynamoDBClient) -> None:
        with pytest.raises(ClientError, match="ResourceNotFoundException"):
            DynamoLedger(dynamodb, "no-such-table").claim(new_claim())


class TestChanges:
    def test_of_two_writers_the_later_one_is_told_what_stands_there(self, ledger: DynamoLedger) -> None:
        row = ledger.claim(new_claim())
        first = ledger.change(row, replace(row, conflicts=1), at(1))
        with pytest.raises(Superseded) as caught:
            ledger.change(row, replace(row, lease_until=""), at(2))
        assert caught.value.row == first == ledger.get(row.order_id, row.message_id)

    def test_a_row_that_has_expired_is_not_brought_back(self, ledger: DynamoLedger) -> None:
        row = claimed_row()
        with pytest.raises(Superseded) as caught:
            ledger.change(row, replace(row, conflicts=1), at(1))
        assert caught.value.row is None
        with pytest.raises(LookupError, match="A-1001 has expired"):
            ledger.learn(row, SENT, at(1))
        assert list(ledger.all()) == []

    def test_other_errors_of_the_table_go_on_their_way(self, dynamodb: DynamoDBClient) -> None:
        row = claimed_row()
        with pytest.raises(ClientError, match="ResourceNotFoundException"):
            DynamoLedger(dynamodb, "no-such-table").change(row, replace(row, conflicts=1), at(1))

    def test_every_field_of_a_row_survives_the_table(self, ledger: DynamoLedger) -> None:
        row = ledger.claim(new_claim())
        full = replace(
            row,
            milestones={milestone: at(index) for index, milestone in enumerate(Milestone)},
            reason="smtp; 550 5.1.1 no such user",
            ses_message_id="ses-1",
            lease_until="",
            order='{"orderId": "A-1001"}',
            conflicts=3,
            flags=frozenset({"TOTAL_MISMATCH"}),
        )
        written = ledger.change(row, full, at(20))
        assert written == replace(full, revision=2, last_updated=at(20))
        assert ledger.get(row.order_id, row.message_id) == written


class TestLearning:
    def test_evidence_for_a_row_read_long_ago_is_folded_into_the_row_as_it_stands(self, ledger: DynamoLedger) -> None:
        old = ledger.claim(new_claim())
        ledger.learn(old, DELIVERED, at(4))
        row, news = ledger.learn(old, SENT, at(5))
        assert news
        assert row.status is Status.DELIVERED
        assert row.milestones.keys() == {Milestone.SUBMITTING, Milestone.SENT, Milestone.DELIVERED}

    def test_a_second_telling_is_no_news_and_no_write(self, ledger: DynamoLedger) -> None:
        old = ledger.claim(new_claim())
        row, news = ledger.learn(old, SENT, at(5))
        assert news
        assert ledger.learn(row, SENT, at(6)) == (row, False)
        assert ledger.learn(old, SENT, at(7)) == (row, False), "nor for one who read the row before"

    def test_an_earlier_time_is_written_and_is_no_news(self, ledger: DynamoLedger) -> None:
        row, _ = ledger.learn(ledger.claim(new_claim()), replace(SENT, at=at(2)), at(5))
        row, news = ledger.learn(row, SENT, at(6))
        assert row.milestones[Milestone.SENT] == at(1)
        assert not news, "or one email would be counted twice"

    def test_a_row_that_never_stands_still_is_a_fault(self, ledger: DynamoLedger) -> None:
        row = ledger.claim(new_claim())

        class Racing(DynamoLedger):
            def change(self, before: Row, after: Row, now: str) -> Row:
                raise Superseded(before)

        racing = Racing.__new__(Racing)
        with pytest.raises(TimeoutError, match="changed 8 times"):
            racing.learn(row, SENT, at(1))


class TestIndexes:
    def test_a_row_is_in_the_open_index_until_it_is_final(
        self, ledger: DynamoLedger, dynamodb: DynamoDBClient, table: str
    ) -> None:
        def open_orders() -> list[str]:
            reply = dynamodb.query(
                TableName=table,
                IndexName="open",
                KeyConditionExpression="#open = :kind",
                ExpressionAttributeNames={"#open": "open"},
                ExpressionAttributeValues={":kind": {"S": Lane.CONFIRMATION}},
            )
            return [item["orderId"]["S"] for item in reply["Items"]]

        row = ledger.claim(new_claim("A-1"))
        ledger.claim(new_claim("A-2", now=at(1)))
        assert open_orders() == ["A-1", "A-2"], "oldest first"
        row, _ = ledger.learn(row, SENT, at(2))
        assert open_orders() == ["A-1", "A-2"]
        ledger.learn(row, DELIVERED, at(3))
        assert open_orders() == ["A-2"]

    def test_rows_are_found_by_order(self, ledger: DynamoLedger) -> None:
        row = ledger.claim(new_claim("A-1"))
        other = ledger.claim(new_claim("A-1", message_id=message_id("A-1", "receipt"), kind="receipt"))
        third = ledger.claim(new_claim("A-2"))
        assert sorted(ledger.of_order("A-1"), key=lambda r: r.kind) == [row, other]
        assert ledger.of_order("A-9") == []
        assert ledger.get("A-9", row.message_id) is None
        assert {r.order_id for r in ledger.all()} == {"A-1", third.order_id}
