from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from handlers.adapters.control import KEPT, Control, Stale, lane_of
from handlers.guarding.brake import Change, Hold, Holder, Lane, engage, release
from handlers.guarding.tally import Hour, Start, hour_of
from handlers.guarding.tally import count as counted
from tests.handlers.brakes import LANE, NOON, Account, at, hold, start

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_numbers = count()
SLOTTED = frozenset({"usd"})

EVERYTHING = Lane(
    name=LANE,
    holds={
        Holder.SPEND: hold(),
        Holder.OPERATOR: Hold(holder=Holder.OPERATOR, by="arn:aws:iam::1:user/kim", reason="ünïcode", since=at(1)),
    },
    stage=2,
    stage_since=at(5),
    trial=True,
    start=Start(at(-10), {"usd": Decimal("0.0001230"), "judged": Decimal(7)}),
    changes=(Change(at=at(0), what="engaged", holder="spend", by="send_email", reason="2.01 of 2.00 USD", revision=3),),
)


@pytest.fixture
def control_table(dynamodb: DynamoDBClient) -> str:
    name = f"control-{next(_numbers)}"
    dynamodb.create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": key, "AttributeType": "S"} for key in ("scope", "key")],
        KeySchema=[{"AttributeName": "scope", "KeyType": "HASH"}, {"AttributeName": "key", "KeyType": "RANGE"}],
    )
    return name


@pytest.fixture
def control(dynamodb: DynamoDBClient, control_table: str) -> Control:
    return Control(dynamodb, control_table)


class TestLanes:
    def test_of_two_writers_the_later_one_is_told_that_its_lane_does_not_stand(self, control: Control) -> None:
        before = control.lane(LANE)
        first = control.write(before, engage(before, hold()))
        with pytest.raises(Stale, match=LANE):
            control.write(before, engage(before, hold(Holder.OPERATOR)))
        with pytest.raises(Stale):
            control.write(replace(before, revision=7), engage(before, hold(Holder.OPERATOR)))
        assert control.lane(LANE) == first

    def test_a_lane_whose_row_is_gone_is_not_written_as_if_it_stood(self, control: Control) -> None:
        with pytest.raises(Stale):
            control.write(Lane(name=LANE, revision=3), Lane(name=LANE))

    def test_a_write_that_the_sdk_repeats_meets_its_own_and_has_worked(self, control: Control) -> None:
        before = control.lane(LANE)
        first = control.write(before, engage(before, hold()))
        assert control.write(before, engage(before, hold())) == first == control.lane(LANE)

    def test_a_change_is_made_to_the_lane_as_it_stands_whoever_else_writes(self, control: Control) -> None:
        rivals = iter([Holder.OPERATOR, Holder.BUDGET])

        def change(lane: Lane) -> Lane:
            if rival := next(rivals, None):
                control.alter(LANE, lambda lane: engage(lane, hold(rival)))
            return engage(lane, hold())

        lane, changed = control.alter(LANE, change)
        assert changed
        assert lane.holds.keys() == {Holder.OPERATOR, Holder.BUDGET, Holder.SPEND}
        assert lane.revision == 3

    def test_what_changes_nothing_writes_nothing(self, control: Control) -> None:
        control.alter(LANE, lambda lane: engage(lane, hold()))
        lane, changed = control.alter(LANE, lambda lane: engage(lane, hold(minutes=9)))
        assert (changed, lane.revision, lane.holds[Holder.SPEND].since) == (False, 1, at(0))

    def test_a_lane_that_never_stands_still_is_a_fault(self, control: Control, monkeypatch: pytest.MonkeyPatch) -> None:
        def stale(*_: Lane) -> Lane:
            raise Stale(LANE)

        monkeypatch.setattr(control, "write", stale)
        with pytest.raises(TimeoutError, match=f"lane {LANE} changed 50 times"):
            control.alter(LANE, lambda lane: engage(lane, hold()))

    def test_other_errors_of_the_table_go_on_their_way(self, dynamodb: DynamoDBClient) -> None:
        with pytest.raises(ClientError, match="ResourceNotFoundException"):
            Control(dynamodb, "no-such-table").write(Lane(name=LANE), engage(Lane(name=LANE), hold()))

    def test_a_lane_without_a_row_is_open(self, control: Control) -> None:
        assert control.lane(LANE) == Lane(name=LANE)
        assert not control.lane(LANE).held

    @pytest.mark.parametrize(
        "lane", [EVERYTHING, replace(EVERYTHING, holds={}, stage_since=None, start=None, trial=False, changes=())]
    )
    def test_every_field_of_a_lane_survives_the_table(
        self, control: Control, dynamodb: DynamoDBClient, control_table: str, lane: Lane
    ) -> None:
        written = control.write(Lane(name=LANE), lane)
        assert written == control.lane(LANE) == replace(lane, revision=1)
        (item,) = dynamodb.scan(TableName=control_table)["Items"]
        assert lane_of(item) == written, "as its stream has it"

    def test_what_a_write_changed_is_its_news_and_no_later_writes(self, control: Control) -> None:
        engaged, _ = control.alter(LANE, lambda lane: engage(engage(lane, hold()), hold(Holder.OPERATOR)))
        assert [change.holder for change in engaged.news] == ["spend", "operator"]
        released, _ = control.alter(LANE, lambda lane: release(lane, by="kim", reason="mended", start=start(1)))
        assert [change.what for change in released.news] == ["released"]
        moved, _ = control.alter(LANE, lambda lane: replace(lane, stage=1))
        assert moved.news == ()


def test_the_table_in_memory_does_what_the_real_one_does(control: Control) -> None:
    """The brake's other tests stand on it."""

    def outcomes(table: Control) -> list[Any]:
        open_lane = Lane(name=LANE)
        found: list[Any] = []
        for before, after in [
            (open_lane, engage(open_lane, hold())),
            (open_lane, engage(open_lane, hold())),
            (open_lane, engage(open_lane, hold(Holder.BUDGET))),
            (replace(open_lane, revision=1), engage(open_lane, hold(Holder.BUDGET))),
            (replace(open_lane, revision=1), open_lane),
            (replace(open_lane, revision=2), open_lane),
        ]:
            try:
                found.append(table.write(before, after))
            except Stale as stale:
                found.append(str(stale))
            found.append(table.lane(LANE))
        return found

    assert outcomes(control) == outcomes(Account(LANE).control())


class TestTallies:
    def test_what_is_added_is_added_to_the_hour_and_slotted_counters_to_their_slot(self, control: Control) -> None:
        control.add("spend", at(3), {"usd": Decimal("0.10"), "ses.email": Decimal(10)}, slotted=SLOTTED)
        control.add("spend", at(4), {"usd": Decimal("0.20")}, slotted=SLOTTED)
        hour = control.add("spend", at(59), {"usd": Decimal("0.40")}, slotted=SLOTTED)
        assert hour == Hour(
            NOON,
            totals={"usd": Decimal("0.70"), "ses.email": Decimal(10)},
            slots={0: {"usd": Decimal("0.30")}, 11: {"usd": Decimal("0.40")}},
        )
        assert list(control.hours("spend", at(0), at(0))) == [hour]

    def test_what_is_given_back_is_taken_off(self, control: Control) -> None:
        control.add("spend", at(0), {"usd": Decimal("0.10")}, slotted=SLOTTED)
        hour = control.add("spend", at(1), {"usd": Decimal("-0.10")}, slotted=SLOTTED)
        assert hour.totals["usd"] == counted([hour], "usd", at(1)) == 0

    def test_hours_have_any_part_in_the_time_asked_for_in_either_order(self, control: Control) -> None:
        for minutes in (-61, -59, 0, 61):
            control.add("spend", at(minutes), {"usd": Decimal(1)}, slotted=SLOTTED)
        control.add("outcomes/probe", at(0), {"judged": Decimal(1)}, slotted=frozenset())
        found = [hour.began for hour in control.hours("spend", at(-30), at(30))]
        assert found == [hour_of(at(-59)), NOON]
        newest = [hour.began for hour in control.hours("spend", at(-120), at(120), newest_first=True)]
        assert newest == [at(60), NOON, at(-60), at(-120)]

    def test_hours_are_read_page_by_page(self, control: Control, monkeypatch: pytest.MonkeyPatch) -> None:
        asked = []
        paginator = control._client.get_paginator("query")

        class Paginator:
            def paginate(self, **query: Any) -> Any:
                for page in paginator.paginate(**query, PaginationConfig={"PageSize": 2}):
                    asked.append(len(page["Items"]))
                    yield page

        for hours in range(5):
            control.add("spend", at(60 * hours), {"usd": Decimal(1)}, slotted=SLOTTED)
        monkeypatch.setattr(control._client, "get_paginator", lambda _: Paginator())
        found = control.hours("spend", at(0), at(300))
        assert next(found).began == NOON
        assert asked == [2], "whoever has enough asks for no more"
        assert len(list(found)) == 4

    def test_an_hour_expires(self, control: Control, dynamodb: DynamoDBClient, control_table: str) -> None:
        control.add("spend", at(0), {"usd": Decimal(1)}, slotted=SLOTTED)
        (item,) = dynamodb.scan(TableName=control_table)["Items"]
        assert item["expiresAt"] == {"N": str(int((at(0) + KEPT).timestamp()))}
        assert timedelta(days=62) < KEPT, "a report on last month has the month before beside it"
