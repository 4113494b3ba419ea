"""DeliveryLedger: one table, two indexes, and a guard where data matters."""

from __future__ import annotations

from components.ledger import DeliveryLedger
from tests.components.recorder import Resource, record


def table(*, protect: bool = False) -> Resource:
    return record(lambda: DeliveryLedger("shop", {"protect_data": protect}))[0].one("Table")


def test_a_row_is_found_by_order_and_message() -> None:
    inputs = table().inputs
    assert (inputs["hashKey"], inputs["rangeKey"]) == ("orderId", "messageId")


def test_open_rows_and_a_recipients_rows_are_each_one_query() -> None:
    indexes = {index["name"]: index for index in table().inputs["globalSecondaryIndexes"]}
    assert indexes == {
        "open": {
            "name": "open",
            "keySchemas": [
                {"attributeName": "open", "keyType": "HASH"},
                {"attributeName": "claimedAt", "keyType": "RANGE"},
            ],
            "projectionType": "KEYS_ONLY",
        },
        "recipient": {
            "name": "recipient",
            "keySchemas": [
                {"attributeName": "to", "keyType": "HASH"},
                {"attributeName": "claimedAt", "keyType": "RANGE"},
            ],
            "projectionType": "INCLUDE",
            "nonKeyAttributes": ["kind", "status"],
        },
    }


def test_exactly_the_key_attributes_are_declared_as_the_provider_demands() -> None:
    inputs = table().inputs
    keys = {inputs["hashKey"], inputs["rangeKey"]} | {
        key["attributeName"] for index in inputs["globalSecondaryIndexes"] for key in index["keySchemas"]
    }
    assert {attribute["name"] for attribute in inputs["attributes"]} == keys


def test_it_is_on_demand_encrypted_recoverable_and_forgets_in_time() -> None:
    inputs = table().inputs
    assert inputs["billingMode"] == "PAY_PER_REQUEST"
    assert inputs["serverSideEncryption"] == {"enabled": True}
    assert inputs["pointInTimeRecovery"] == {"enabled": True}
    assert inputs["ttl"] == {"attributeName": "expiresAt", "enabled": True}


def test_protected_data_is_guarded_by_dynamodb_and_by_pulumi() -> None:
    guarded, free = table(protect=True), table()
    assert (guarded.inputs["deletionProtectionEnabled"], guarded.protect) == (True, True)
    assert (free.inputs["deletionProtectionEnabled"], free.protect) == (False, False)


def test_outputs_name_the_table() -> None:
    assert record(lambda: DeliveryLedger("shop", {}))[1] == {
        "table_name": "shop-EmailDeliveries",
        "table_arn": "arn:aws:dynamodb:us-east-1:123456789012:table/shop-EmailDeliveries",
    }
