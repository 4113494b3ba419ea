"""What surrounds a Lambda entry in a test: its event, its context, its output, and the AWS behind it."""

from __future__ import annotations

import json
import socket
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from io import TextIOBase
from itertools import count
from types import ModuleType
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError, ReadTimeoutError

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

TRACE = "1-5f84c7a1-0123456789abcdef01234567"
PARENT = "53995c3f42cd8ad8"
SENT_TIMESTAMP = 1_795_359_961_123

LANES = {
    lane: {
        "queueArn": f"arn:aws:sqs:us-east-1:123456789012:{queue}",
        "queueUrl": f"https://sqs.us-east-1.amazonaws.com/123456789012/{queue}",
        "configurationSet": f"{lane}s",
        "sendRate": "1000",
    }
    for lane, queue in (("order-confirmation", "send-email"), ("probe", "send-email-probe"))
}
PRICES = {
    "ses.email": "0.0001",
    "dynamodb.read": "0.000000125",
    "dynamodb.write": "0.000000625",
    "lambda.gb-second.arm64": "0.0000133334",
    "lambda.request": "0.0000002",
    "logs.gb": "0.50",
    "sns.publish": "0.0000005",
    "sqs.request": "0.0000004",
    "xray.trace": "0.000005",
}

_numbers = count(1)


def control_table(client: DynamoDBClient, name: str) -> str:
    """Create a control table with the keys that the program deploys; its name."""
    client.create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": key, "AttributeType": "S"} for key in ("scope", "key")],
        KeySchema=[{"AttributeName": "scope", "KeyType": "HASH"}, {"AttributeName": "key", "KeyType": "RANGE"}],
    )
    return name


class Context:
    """Lambda's context object, as far as the entries use it."""

    memory_limit_in_mb = "256"

    def get_remaining_time_in_millis(self) -> int:
        return 30_000


def record(body: str, *, trace: str = "", receipt: str = "none", receives: int = 1, lane: str = "") -> dict[str, Any]:
    """One record of an SQS event, as the event source mapping hands it over, with `lane` as the message attribute that
    it was published with. Source: Lambda developer guide, "Using Lambda with Amazon SQS"."""
    number = next(_numbers)
    attributes = {
        "ApproximateReceiveCount": str(receives),
        "SentTimestamp": str(SENT_TIMESTAMP),
        "SenderId": "AIDAIENQZJOLO23YVJ4VO",
        "ApproximateFirstReceiveTimestamp": str(SENT_TIMESTAMP + 20),
    }
    if trace:
        attributes["AWSTraceHeader"] = f"Root={trace};Parent={PARENT};Sampled=1"
    return {
        "messageId": f"00000000-0000-4000-8000-{number:012}",
        "receiptHandle": receipt,
        "body": body,
        "attributes": attributes,
        "messageAttributes": {
            name: {"stringValue": value, "stringListValues": [], "binaryListValues": [], "dataType": "String"}
            for name, value in ({"messageType": lane} if lane else {}).items()
        },
        "md5OfBody": "e4e68fb7bd0e697a0ae8f1bb342846b3",
        "eventSource": "aws:sqs",
        "eventSourceARN": "arn:aws:sqs:us-east-1:123456789012:send-email",
        "awsRegion": "us-east-1",
    }


def run(entry: ModuleType, *records: Mapping[str, Any]) -> list[str]:
    """Invoke the entry with these records; the message ids that it wants back."""
    reply = entry.handler({"Records": list(records)}, Context())
    assert reply.keys() == {"batchItemFailures"}
    return [failure["itemIdentifier"] for failure in reply["batchItemFailures"]]


class CurrentStdout(TextIOBase):
    """Standard output as it is when something is written: pytest has another one for each phase of a test."""

    def write(self, text: str) -> int:
        return sys.stdout.write(text)


def printed(out: str) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """A run's standard output: log lines and metric records, but for the one that every run ends with (test_meter).
    Every line has to be JSON, or Lambda cannot read it."""
    lines = [json.loads(line) for line in out.splitlines()]
    metrics = [line for line in lines if "_aws" in line and "EstimatedSpend" not in line]
    return [line for line in lines if "_aws" not in line], metrics


class SesClient:
    """SES's client with the answers that an address asks for, in SES's own words; keeps what was accepted.

    `throttled@`, `unverified@`, `refused@`, `lost@` get those answers, anything else is accepted. What SES says of an
    address that is not verified quotes it.
    """

    def __init__(self, before: Callable[[str], object] | None = None) -> None:
        self.accepted: list[dict[str, Any]] = []
        self.before = before or (lambda _: None)

    def send_email(self, **request: Any) -> dict[str, str]:
        (address,) = request["Destination"]["ToAddresses"]
        self.before(address)
        local = address.partition("@")[0]
        if local.startswith("throttled"):
            raise _refusal(429, "TooManyRequestsException", "Maximum sending rate exceeded.")
        if local.startswith("unverified"):
            told = "Email address is not verified. The following identities failed the check in region US-EAST-1: "
            raise _refusal(400, "MessageRejected", told + address)
        if local.startswith("refused"):
            raise _refusal(400, "BadRequestException", "Illegal address")
        if local.startswith("lost"):
            raise ReadTimeoutError(endpoint_url="https://email.us-east-1.amazonaws.com")
        self.accepted.append(request)
        return {"MessageId": f"0100-{len(self.accepted)}"}

    def close(self) -> None: ...


def _refusal(status: int, code: str, message: str) -> ClientError:
    response: Any = {"Error": {"Code": code, "Message": message}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(response, "SendEmail")


@contextmanager
def xray_daemon() -> Iterator[tuple[str, Callable[[], list[dict[str, Any]]]]]:
    """Where the X-Ray daemon listens, and what it was sent so far."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.settimeout(0.05)

        def segments() -> list[dict[str, Any]]:
            received: list[dict[str, Any]] = []
            while True:
                try:
                    header, _, segment = listener.recv(65_536).decode().partition("\n")
                except TimeoutError:
                    return received
                assert json.loads(header) == {"format": "json", "version": 1}
                received.append(json.loads(segment))

        yield f"127.0.0.1:{listener.getsockname()[1]}", segments
