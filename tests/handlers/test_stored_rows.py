"""What a release stored is read, and written on, by this one; and what a later one may store does not get lost here.

`tests/stored/VERSION.json` has the tables as that release wrote them, in DynamoDB's JSON: rows of every kind, some with
every attribute and some with as few as there may be. A release that stores something new adds a file.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

from handlers.adapters.control import Control
from handlers.adapters.ledger import DynamoLedger
from handlers.adapters.suppression import SuppressionList
from handlers.mail.lifecycle import Milestone, Status
from tests.handlers.rows import at

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

Item = Mapping[str, Any]

STORED: Final = Path(__file__).resolve().parents[1] / "stored"
VERSIONS: Final = sorted(file.stem for file in STORED.glob("*.json"))
LATER: Final = {"S": "what a later release stores here"}


def items(version: str, table: str, scope: str = "") -> list[dict[str, Any]]:
    """The rows of a table, of a scope of it if there is one."""
    found: list[dict[str, Any]] = json.loads((STORED / f"{version}.json").read_text(encoding="utf-8"))[table]
    return [item for item in found if item.get("scope", {}).get("S", "").startswith(scope)]


def filled(dynamodb: DynamoDBClient, table: str, rows: list[dict[str, Any]], **more: Any) -> None:
    for item in rows:
        dynamodb.put_item(TableName=table, Item={**item, **more})


def standing(dynamodb: DynamoDBClient, table: str, item: Item, *keys: str) -> Item:
    found = dynamodb.get_item(TableName=table, Key={key: item[key] for key in keys})["Item"]
    return {name: {"SS": sorted(value["SS"])} if "SS" in value else value for name, value in found.items()}


def test_there_is_a_release_to_read() -> None:
    assert "0.1.0" in VERSIONS


@pytest.mark.parametrize("version", VERSIONS)
def test_a_row_of_the_ledger_is_read_and_keeps_all_that_a_change_is_not_about(
    version: str, dynamodb: DynamoDBClient, table: str, ledger: DynamoLedger
) -> None:
    rows = items(version, "ledger")
    filled(dynamodb, table, rows, later=LATER)
    assert len(rows) > 2
    for item in rows:
        row = ledger.get(item["orderId"]["S"], item["messageId"]["S"])
        assert row
        assert row.status.value == item["status"]["S"]
        ledger.change(row, replace(row, conflicts=row.conflicts + 1), at(100))
        changed = {
            "conflicts": {"N": str(row.conflicts + 1)},
            "revision": {"N": str(row.revision + 1)},
            "lastUpdated": {"S": at(100)},
        }
        assert standing(dynamodb, table, item, "orderId", "messageId") == {**item, **changed, "later": LATER}


def test_every_milestone_and_flag_is_read_as_it_was_meant(
    dynamodb: DynamoDBClient, table: str, ledger: DynamoLedger
) -> None:
    filled(dynamodb, table, items("0.1.0", "ledger"))
    (claimed,), (full,), (delivered,) = (ledger.of_order(f"A-100{number}") for number in (1, 2, 3))
    assert (claimed.status, claimed.is_open, claimed.lease_until) == (Status.SUBMITTING, True, at(30))
    assert {each.value for each in full.milestones} >= {"sentAt", "deliveredAt", "bouncedAt"}
    assert (full.flags, full.conflicts, full.status) == (frozenset({"TOTAL_MISMATCH"}), 3, Status.COMPLAINT)
    assert (delivered.status, delivered.milestones[Milestone.DELIVERED]) == (Status.DELIVERED, at(2))


@pytest.mark.parametrize("version", VERSIONS)
def test_a_lane_is_read_and_keeps_its_holds_and_its_history(
    version: str, dynamodb: DynamoDBClient, control_table: str, control: Control
) -> None:
    rows = items(version, "control", "lane")
    filled(dynamodb, control_table, rows)
    assert rows
    for item in rows:
        name = item["key"]["S"]
        assert {each.value for each in control.lane(name).holds} == item["holds"]["M"].keys()
        control.alter(name, lambda lane: replace(lane, stage=1))
        changed = {"stage": {"N": "1"}, "revision": {"N": str(int(item["revision"]["N"]) + 1)}}
        assert standing(dynamodb, control_table, item, "scope", "key") == {**item, **changed}


@pytest.mark.parametrize("version", VERSIONS)
def test_an_hour_is_read_and_counted_on(
    version: str, dynamodb: DynamoDBClient, control_table: str, control: Control
) -> None:
    (item,) = items(version, "control", "spend")
    filled(dynamodb, control_table, [item], later=LATER)
    hour = datetime.strptime(item["key"]["S"], "%Y-%m-%dT%H").replace(tzinfo=UTC)
    (before,) = control.hours("spend", hour, hour)
    assert before.totals == {"usd": Decimal("0.10"), "ses.email": Decimal(10)}
    after = control.add("spend", hour, {"usd": Decimal("0.20")}, slotted=frozenset({"usd"}))
    assert after.totals == {"usd": Decimal("0.30"), "ses.email": Decimal(10)}
    assert standing(dynamodb, control_table, item, "scope", "key")["later"] == LATER


@pytest.mark.parametrize("version", VERSIONS)
def test_a_suppressed_address_stays_suppressed_and_one_that_was_taken_off_stays_off(
    version: str, dynamodb: DynamoDBClient, control_table: str, suppressed: SuppressionList
) -> None:
    rows = items(version, "control", "suppressed")
    filled(dynamodb, control_table, rows, later=LATER)
    for item in rows:
        entry = suppressed.find(item["key"]["S"])
        assert entry
        assert entry.reason.value == item["reason"]["S"]
        assert entry.active is ("removed" not in item)
    assert {item["key"]["S"]: "removed" in item for item in rows} == {"ann@example.com": False, "bob@example.com": True}
