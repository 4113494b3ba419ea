from __future__ import annotations

import json
from collections.abc import Iterator
from types import ModuleType
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, ReadTimeoutError

from handlers.adapters import clients, ses
from handlers.adapters.ledger import DynamoLedger
from tests.handlers import wire
from tests.handlers.entries import Context
from tests.handlers.rows import new_claim
from tests.handlers.wire import Answer, Wire, answers, serving

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

FUNCTION_SECONDS = Context().get_remaining_time_in_millis() / 1000
TRY_SECONDS = clients.CONNECT_SECONDS + clients.READ_SECONDS
LONGEST_WAITS = (1, 2)
"""Before the second and the third try (AWS SDKs and tools reference guide, "Retry behavior", standard mode)."""


@pytest.fixture
def server() -> Iterator[Any]:
    with serving() as running:
        running.requests, running.peers = [], set()
        yield running


@pytest.fixture(autouse=True)
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The SDK's waits between its tries, which are not waited for."""
    waited: list[float] = []
    monkeypatch.setattr("botocore.endpoint.time.sleep", waited.append)
    return waited


def test_all_entries_make_their_clients_with_these_settings(entries: tuple[ModuleType, ...]) -> None:
    send_email, _, probe = entries
    ledgers = [entry.ledger._client for entry in entries]
    for client in (send_email.sqs, probe.sns, *ledgers):
        config = client.meta.config
        assert (config.connect_timeout, config.read_timeout, config.max_pool_connections) == (2, 5, 10)
        assert config.retries == {"total_max_attempts": 3, "mode": "standard"}
    assert send_email.sesv2.meta.config.retries["total_max_attempts"] == 1


def test_a_service_that_never_answers_is_seen_failing_before_the_function_is_stopped() -> None:
    assert len(LONGEST_WAITS) + 1 == clients.TRIES
    assert clients.TRIES * TRY_SECONDS + sum(LONGEST_WAITS) < FUNCTION_SECONDS


def test_what_follows_a_turn_fits_into_the_time_kept_for_it(entries: tuple[ModuleType, ...]) -> None:
    kept, lost_try = entries[0].SETTLE_SECONDS, TRY_SECONDS + LONGEST_WAITS[0]
    assert kept > ses.CONNECT_SECONDS + ses.READ_SECONDS, "a send that times out"
    assert kept > 1 + lost_try, "a send, and a record whose first try is lost"
    assert FUNCTION_SECONDS - kept > lost_try, "a claim whose first try is lost still gets its turn"


@pytest.mark.parametrize("lose", [wire.resets, wire.hangs_up])
def test_a_claim_whose_reply_is_lost_is_asked_again_and_meets_its_own_row(
    server: Any, dynamodb: DynamoDBClient, table: str, lose: Answer
) -> None:
    def write_and_lose_the_first_reply(request: Wire) -> None:
        arguments = request.server.requests[-1]
        if len(request.server.requests) == 1:
            dynamodb.update_item(**arguments)
            lose(request)
            return
        with pytest.raises(ClientError) as refused:
            dynamodb.update_item(**arguments)
        refusal: Any = refused.value.response
        error = {"__type": refusal["Error"]["Code"], "message": refusal["Error"]["Message"], "Item": refusal["Item"]}
        answers(400, json.dumps(error))(request)

    server.answer = write_and_lose_the_first_reply
    client = boto3.client("dynamodb", endpoint_url=server.url, config=clients.CONFIG)
    row = DynamoLedger(client, table).claim(new_claim())
    assert len(server.requests) == 2
    assert (row.attempts, row.revision) == (1, 1)
    assert row == DynamoLedger(dynamodb, table).get(row.order_id, row.message_id)


def test_a_table_that_never_answers_is_asked_three_times_with_short_waits_between(
    server: Any, waits: list[float]
) -> None:
    server.answer = wire.stays_silent
    impatient = boto3.client(
        "dynamodb", endpoint_url=server.url, config=clients.CONFIG.merge(Config(read_timeout=0.05))
    )
    with pytest.raises(ReadTimeoutError):
        DynamoLedger(impatient, "EmailDeliveries").claim(new_claim())
    assert len(server.requests) == clients.TRIES
    assert all(wait <= longest for wait, longest in zip(waits, LONGEST_WAITS, strict=True))
