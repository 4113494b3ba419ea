"""AWS as the handlers see it: moto, for the length of a module, and a fresh ledger for each test."""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import count
from threading import Lock
from types import ModuleType
from typing import TYPE_CHECKING, Any, cast
from unittest.mock import patch

import boto3
import pytest
from moto import mock_aws
from moto.dynamodb.responses import DynamoHandler

from handlers.adapters.control import Control
from handlers.adapters.ledger import DynamoLedger
from handlers.adapters.queues import Quarantine
from handlers.adapters.ses import Mailer
from handlers.adapters.suppression import SuppressionList
from handlers.telemetry import tracing
from tests.handlers import brakes
from tests.handlers.entries import LANES, PRICES, CurrentStdout, SesClient, xray_daemon
from tests.handlers.entries import control_table as make_control_table

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_numbers = count()


@pytest.fixture(scope="session")
def dynamodb_client() -> DynamoDBClient:
    """Made once: making a client takes longer than most of these tests."""
    return boto3.client("dynamodb")


@pytest.fixture(scope="module")
def dynamodb(dynamodb_client: DynamoDBClient) -> Iterator[DynamoDBClient]:
    with mock_aws(), _one_at_a_time():
        yield dynamodb_client


@contextmanager
def _one_at_a_time() -> Iterator[None]:
    """DynamoDB checks a condition and writes in one step. moto does the one after the other, and two threads of a batch
    can come between."""
    answer, lock = DynamoHandler.call_action, Lock()

    def answer_alone(handler: DynamoHandler) -> Any:
        with lock:
            return answer(handler)

    with patch.object(DynamoHandler, "call_action", answer_alone):
        yield


@pytest.fixture
def table(dynamodb: DynamoDBClient) -> str:
    """A ledger table with the keys and indexes that the program deploys."""
    name = f"EmailDeliveries-{next(_numbers)}"
    dynamodb.create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[
            {"AttributeName": attribute, "AttributeType": "S"}
            for attribute in ("orderId", "messageId", "open", "to", "claimedAt")
        ],
        KeySchema=[
            {"AttributeName": "orderId", "KeyType": "HASH"},
            {"AttributeName": "messageId", "KeyType": "RANGE"},
        ],
        GlobalSecondaryIndexes=[
            {
                "IndexName": index,
                "KeySchema": [
                    {"AttributeName": key, "KeyType": "HASH"},
                    {"AttributeName": "claimedAt", "KeyType": "RANGE"},
                ],
                "Projection": {"ProjectionType": "KEYS_ONLY"},
            }
            for index, key in (("open", "open"), ("recipient", "to"))
        ],
    )
    return name


@pytest.fixture
def ledger(dynamodb: DynamoDBClient, table: str) -> DynamoLedger:
    return DynamoLedger(dynamodb, table)


@pytest.fixture
def control_table(dynamodb: DynamoDBClient) -> str:
    return make_control_table(dynamodb, f"Control-{next(_numbers)}")


@pytest.fixture
def control(dynamodb: DynamoDBClient, control_table: str) -> Control:
    return Control(dynamodb, control_table)


@pytest.fixture
def suppressed(dynamodb: DynamoDBClient, control_table: str) -> SuppressionList:
    return SuppressionList(dynamodb, control_table)


SETTINGS = {
    "LEDGER_TABLE": "set by each test",
    "CONTROL_TABLE": "set by each test",
    "LANES": json.dumps(LANES),
    "QUARANTINE_URL": "set by each test",
    "FROM_ADDRESS": "orders@mail.example.com",
    "FROM_NAME": "Example Store",
    "REPLY_TO": "support@example.com",
    "PRODUCTION_SENDING": "true",
    "LEDGER_RETENTION_DAYS": "400",
    "STACK": "test",
    "LOG_LEVEL": "INFO",
    "TOPIC_ARN": "set by each test",
    "PROBE_SECONDS": "60",
    "PRICES": json.dumps(PRICES),
    "SPEND_PER_HOUR": "1000",
    "SPEND_PER_DAY": "1000",
    "SPEND_HOLDS": "order-confirmation",
    "HELD_SECONDS": "90",
}


@pytest.fixture(scope="session")
def entries() -> Iterator[tuple[ModuleType, ...]]:
    """`send_email`, `record_feedback` and `probe`, started as by Lambda: imported anew, with an environment of their
    own."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in SETTINGS.items():
            patch.setenv(name, value)
        names = ("handlers.send_email", "handlers.record_feedback", "handlers.probe")
        for name in names:
            sys.modules.pop(name, None)
        started = tuple(map(importlib.import_module, names))
        for entry in started:
            entry.log.handlers[0].setStream(CurrentStdout())
        yield started
        for name in names:
            del sys.modules[name]


@pytest.fixture
def ses() -> SesClient:
    return SesClient()


@pytest.fixture
def send_email(
    entries: tuple[ModuleType, ...],
    ledger: DynamoLedger,
    control: Control,
    suppressed: SuppressionList,
    ses: SesClient,
    monkeypatch: pytest.MonkeyPatch,
) -> ModuleType:
    """The entry with a ledger, a control table, a quarantine and an SES of this test's own."""
    entry = entries[0]
    quarantine = entry.sqs.create_queue(QueueName=f"quarantine-{next(_numbers)}")["QueueUrl"]
    monkeypatch.setattr(entry, "env", replace(entry.env, quarantine_url=quarantine))
    monkeypatch.setattr(entry, "ledger", ledger)
    monkeypatch.setattr(entry, "suppressed", suppressed)
    monkeypatch.setattr(entry, "mailers", {lane: Mailer(cast(Any, ses), f"{lane}s") for lane in LANES})
    monkeypatch.setattr(entry, "gate", replace(entry.gate, control=control))
    monkeypatch.setattr(entry.meter, "_tally", control)
    monkeypatch.setattr(entry, "quarantine", Quarantine(entry.sqs, quarantine))
    return entry


@pytest.fixture
def record_feedback(
    entries: tuple[ModuleType, ...],
    ledger: DynamoLedger,
    control: Control,
    suppressed: SuppressionList,
    monkeypatch: pytest.MonkeyPatch,
) -> ModuleType:
    """The entry with the same ledger, and a control table of this test's own."""
    entry = entries[1]
    monkeypatch.setattr(entry, "ledger", ledger)
    monkeypatch.setattr(entry, "control", control)
    monkeypatch.setattr(entry, "suppressed", suppressed)
    monkeypatch.setattr(entry.meter, "_tally", control)
    return entry


@pytest.fixture
def probe(
    entries: tuple[ModuleType, ...],
    ledger: DynamoLedger,
    control: Control,
    monkeypatch: pytest.MonkeyPatch,
) -> ModuleType:
    """The entry with the same ledger, a topic of this test's own, and a clock that only its waiting moves."""
    entry = entries[2]
    topic = entry.sns.create_topic(Name=f"orders-{next(_numbers)}")["TopicArn"]
    clock = [0.0]

    def sleep(seconds: float) -> None:
        clock[0] += seconds

    monkeypatch.setattr(entry, "env", replace(entry.env, topic_arn=topic))
    monkeypatch.setattr(entry, "ledger", ledger)
    monkeypatch.setattr(entry.meter, "_tally", control)
    monkeypatch.setattr(entry, "monotonic", lambda: clock[0])
    monkeypatch.setattr(entry, "sleep", sleep)
    return entry


@pytest.fixture
def segments(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], list[dict[str, Any]]]]:
    """What the X-Ray daemon was sent."""
    with xray_daemon() as (address, received):
        monkeypatch.setenv("AWS_XRAY_DAEMON_ADDRESS", address)
        tracing.start(stack="test")
        yield received
    monkeypatch.undo()
    tracing.start(stack="test")


@pytest.fixture(scope="session")
def brake_entry() -> Iterator[ModuleType]:
    """`brake`, started as by Lambda."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in brakes.SETTINGS.items():
            patch.setenv(name, value)
        sys.modules.pop("handlers.brake", None)
        started = importlib.import_module("handlers.brake")
        started.log.handlers[0].setStream(CurrentStdout())
        yield started
        del sys.modules["handlers.brake"]


@pytest.fixture
def brake(brake_entry: ModuleType, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The entry; what a test sets in it is undone."""
    for name in ("env", "control", "sluices", "workers", "time", "emit"):
        monkeypatch.setattr(brake_entry, name, getattr(brake_entry, name))
    monkeypatch.setattr(brake_entry, "logged", set())
    return brake_entry
