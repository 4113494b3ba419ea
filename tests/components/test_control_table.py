"""ControlTable: what is held, counted and suppressed is found by its key, kept, and told of."""

from __future__ import annotations

from components.control import ControlTable
from tests.components.recorder import Resource, record


def table(*, protect: bool = False) -> Resource:
    return record(lambda: ControlTable("shop", {"protect_data": protect}))[0].one("Table")


def test_an_item_is_found_by_scope_and_key_and_no_other_attribute_is_declared() -> None:
    inputs = table().inputs
    assert (inputs["hashKey"], inputs["rangeKey"]) == ("scope", "key")
    assert {each["name"]: each["type"] for each in inputs["attributes"]} == {"scope": "S", "key": "S"}


def test_guards_and_the_brake_are_told_what_an_item_is_now() -> None:
    inputs = table().inputs
    assert (inputs["streamEnabled"], inputs["streamViewType"]) == (True, "NEW_IMAGE")


def test_it_is_on_demand_encrypted_recoverable_and_forgets_in_time() -> None:
    inputs = table().inputs
    assert inputs["billingMode"] == "PAY_PER_REQUEST"
    assert inputs["serverSideEncryption"] == {"enabled": True}, "it holds addresses"
    assert inputs["pointInTimeRecovery"] == {"enabled": True}, "nobody could say again who had bounced"
    assert inputs["ttl"] == {"attributeName": "expiresAt", "enabled": True}


def test_protected_data_is_guarded_by_dynamodb_and_by_pulumi() -> None:
    guarded, free = table(protect=True), table()
    assert (guarded.inputs["deletionProtectionEnabled"], guarded.protect) == (True, True)
    assert (free.inputs["deletionProtectionEnabled"], free.protect) == (False, False)


def test_outputs_name_the_table_and_its_stream() -> None:
    arn = "arn:aws:dynamodb:us-east-1:123456789012:table/shop-control"
    outputs = record(lambda: ControlTable("shop", {}))[1]
    assert (outputs["table_name"], outputs["table_arn"]) == ("shop-control", arn)
    assert outputs["stream_arn"].startswith(f"{arn}/"), "a stream's ARN, not the table's"
