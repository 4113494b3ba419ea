from __future__ import annotations

from typing import Any

import boto3
import botocore.parsers
import pytest

from local.twin import refusals
from local.twin.refusals import MAX_BYTES, STATUS, Refusal, malformed

TO = ["jane@example.net"]


@pytest.mark.parametrize("code", STATUS)
def test_boto3_raises_the_exception_of_that_name(code: str) -> None:
    """The wire format, checked with the parser and the model that boto3 itself uses."""
    client = boto3.client("sesv2", region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="x")
    model: Any = client.meta.service_model
    refusal = Refusal(code, "told so")
    headers = {name.lower(): value for name, value in refusal.headers().items()}
    parsed = botocore.parsers.create_parser(model.protocol).parse(
        {"headers": headers, "status_code": refusal.status, "body": refusal.body()},
        model.operation_model("SendEmail").output_shape,
    )
    assert parsed["Error"] == {"Code": code, "Message": "told so"}
    assert model.shape_for(code).metadata["error"]["httpStatusCode"] == refusal.status


@pytest.mark.parametrize(
    ("recipients", "tags", "size", "message"),
    [
        ([], [], 1, "There are no recipients specified."),
        ([f"{number}@example.net" for number in range(51)], [], 1, "Recipient count exceeds 50."),
        (TO, [], MAX_BYTES + 1, "Message length is more than 41943040 bytes long: '41943041'."),
        (["jane"], [], 1, "Missing final '@domain'"),
        (["@example.net"], [], 1, "Missing final '@domain'"),
        (["jané@example.net"], [], 1, "Missing final '@domain'"),
        (
            TO,
            [{"Name": "order", "Value": "A 1"}],
            1,
            "Invalid tag value <A 1>: only alphanumeric ASCII characters, '_', and '-' are allowed.",
        ),
        (
            TO,
            [{"Name": "or:der", "Value": "1"}],
            1,
            "Invalid tag name <or:der>: only alphanumeric ASCII characters, '_', and '-' are allowed.",
        ),
    ],
)
def test_a_malformed_request_is_a_bad_request(
    recipients: list[str], tags: list[dict[str, Any]], size: int, message: str
) -> None:
    assert malformed(recipients, tags, size) == Refusal("BadRequestException", message)


def test_the_limits_themselves_are_allowed() -> None:
    tags = [{"Name": "n" * 256, "Value": "A-Za-z0-9_-"}]
    assert malformed([f"Jane <j{number}@example.net>" for number in range(50)], tags, MAX_BYTES) is None
    assert malformed(TO, [{"Name": "n" * 257, "Value": "v"}], 1) is not None


def test_pauses_and_a_missing_set_are_told_apart() -> None:
    assert refusals.set_paused("set") == Refusal(
        "SendingPausedException", "Sending is paused for configuration set <set>."
    )
    assert refusals.set_missing("set").status == 404
    assert refusals.throttled("x").status == 429
