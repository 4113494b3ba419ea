"""The meter: what is counted of a handler's calls, and what becomes of the sum."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from types import ModuleType, SimpleNamespace
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.exceptions import ClientError, ReadTimeoutError

from handlers.adapters import ses
from handlers.adapters.control import Control
from handlers.adapters.ledger import DynamoLedger
from handlers.adapters.ses import Mailer
from handlers.guarding.spending import cost
from handlers.guarding.tally import SPEND, USD
from handlers.telemetry.spend import LAMBDAS_LOG_BYTES, LOG_BYTES, Meter
from tests.handlers.entries import PRICES as PRICE_LIST
from tests.handlers.entries import TRACE, Context, record, run
from tests.handlers.orders import body

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

PRICES = {name: Decimal(usd) for name, usd in PRICE_LIST.items()}
NOW = datetime(2026, 11, 23, 10, 42, tzinfo=UTC)
RUN = {
    "lambda.request": Decimal(1),
    "logs.gb": Decimal(LAMBDAS_LOG_BYTES) / 10**9,
    "xray.trace": Decimal(1),
}
"""What every run costs, but for its time."""

Totals = Callable[[], dict[str, Decimal]]


@pytest.fixture
def meter(control: Control) -> Meter:
    return Meter("test", PRICES, control, logging.getLogger("test_meter"), lambda: NOW)


@pytest.fixture
def totals(control: Control) -> Totals:
    """What the tally has, but for times, which differ from run to run, and what is nothing."""

    def read() -> dict[str, Decimal]:
        found: dict[str, Decimal] = {}
        for hour in control.hours(SPEND, NOW, NOW):
            found |= hour.totals
        return {
            name: amount for name, amount in found.items() if name not in (USD, "lambda.gb-second.arm64") and amount
        }

    return read


def spend_of(control: Control) -> Decimal:
    return sum((hour.totals[USD] for hour in control.hours(SPEND, NOW, NOW)), Decimal(0))


class Broken:
    """A tally that takes nothing for so many times."""

    def __init__(self, tally: Control, times: int) -> None:
        self.tally, self.times = tally, times

    def add(self, *given: Any, **named: Any) -> Any:
        if self.times:
            self.times -= 1
            raise ClientError({"Error": {"Code": "InternalServerError", "Message": "no"}}, "UpdateItem")
        return self.tally.add(*given, **named)


# ---- What fails ----


def test_a_tally_that_takes_nothing_fails_no_handler_and_is_owed_the_sum(
    meter: Meter,
    control: Control,
    totals: Totals,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(meter, "_tally", Broken(control, 2))

    def handler(event: object, context: object) -> str:
        return "done"

    handler = meter.metered(handler)
    assert [handler({}, Context()) for _ in range(3)] == ["done"] * 3
    assert [line.message for line in caplog.records] == ["spend not added up"] * 2
    assert totals() == {name: 3 * amount for name, amount in RUN.items()}
    told = [json.loads(line)["EstimatedSpend"] for line in capsys.readouterr().out.splitlines()]
    assert len(told) == 3, "each run tells its own part"
    assert sum(told) == pytest.approx(float(spend_of(control)))


def test_a_handler_that_fails_fails_and_has_cost_what_it_cost(meter: Meter, totals: Totals) -> None:
    @meter.metered
    def handler(event: Any, context: Any) -> None:
        raise RuntimeError("a handler's own fault")

    with pytest.raises(RuntimeError, match="a handler's own fault"):
        handler({}, Context())
    assert totals() == RUN


def test_a_reservation_that_the_tally_does_not_take_is_not_one(
    meter: Meter, control: Control, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(meter, "_tally", Broken(control, 1))

    @meter.metered
    def handler(event: Any, context: Any) -> None:
        meter.reserve(Decimal(5))

    with pytest.raises(ClientError):
        handler({}, Context())
    assert 0 < spend_of(control) < 1, "what was never added is not taken off"


# ---- What is counted ----


def test_a_run_costs_a_request_its_time_its_logs_and_a_trace(meter: Meter, control: Control) -> None:
    seconds = iter((100.0, 102.5))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("handlers.telemetry.spend.time.monotonic", lambda: next(seconds))
        meter.metered(lambda event, context: None)({}, Context())
    (hour,) = control.hours(SPEND, NOW, NOW)
    assert hour.totals["lambda.gb-second.arm64"] == Decimal("0.625"), "2.5 seconds of 256 MB"
    assert {name: hour.totals[name] for name in RUN} == RUN
    units = {name: amount for name, amount in hour.totals.items() if name != USD}
    assert hour.totals[USD] == hour.slots[8][USD] == cost(units, PRICES)


@pytest.mark.parametrize(
    ("records", "requests", "traces"),
    [
        ([record("a")], 3, 1),
        ([record("a"), record("b", trace=TRACE)], 6, 2),
        ([record("a", receives=2, trace=TRACE)], 2, 1),
    ],
)
def test_a_message_is_delivered_once_and_received_and_deleted_each_time(
    meter: Meter, totals: Totals, records: list[dict[str, Any]], requests: int, traces: int
) -> None:
    meter.metered(lambda event, context: None)({"Records": records}, Context())
    found = totals()
    assert found["sqs.request"] == requests
    assert found["xray.trace"] == traces
    assert found["logs.gb"] == Decimal(LAMBDAS_LOG_BYTES + LOG_BYTES * len(records)) / 10**9


@pytest.mark.parametrize("event", [None, {}, [], {"Records": [{"eventSource": "aws:dynamodb", "dynamodb": {}}]}])
def test_an_event_of_anything_but_a_queue_costs_no_requests(meter: Meter, totals: Totals, event: Any) -> None:
    meter.metered(lambda event, context: None)(event, None)
    assert totals() == RUN


@pytest.fixture
def counted(meter: Meter, totals: Totals) -> Callable[[Callable[[], object]], dict[str, Decimal]]:
    """What something costs beside the run in which it is done."""

    def count(act: Callable[[], object]) -> dict[str, Decimal]:
        meter.metered(lambda event, context: act())({}, None)
        found = {name: amount - RUN.get(name, Decimal(0)) for name, amount in totals().items()}
        return {name: amount for name, amount in found.items() if amount}

    return count


Counted = Callable[[Callable[[], object]], dict[str, Decimal]]


def test_dynamodb_is_counted_by_its_own_word_and_a_failed_condition_as_a_write(
    meter: Meter, counted: Counted, dynamodb: DynamoDBClient, table: str
) -> None:
    client = meter.watch(boto3.client("dynamodb"))
    key = {"orderId": {"S": "A-1"}, "messageId": {"S": "m"}}
    written = [client.put_item(TableName=table, Item=key)]
    asked: list[Mapping[str, Any]] = []
    client.meta.events.register("before-call", lambda params, **_: asked.append(json.loads(params["body"])))

    def act() -> None:
        client.get_item(TableName=table, Key=key)
        value: Any = {":one": {"N": "1"}}
        update = {"UpdateExpression": "SET attempts = :one", "ExpressionAttributeValues": value}
        written.append(client.update_item(TableName=table, Key=key, **update))
        with pytest.raises(ClientError, match="ConditionalCheckFailed"):
            client.put_item(TableName=table, Item=key, ConditionExpression="attribute_not_exists(orderId)")
        with pytest.raises(ClientError, match="ResourceNotFound"):
            client.put_item(TableName="nowhere", Item=key)

    found = counted(act)
    assert found["dynamodb.read"] > 0
    consumed = sum(Decimal(str(reply["ConsumedCapacity"]["CapacityUnits"])) for reply in written)
    assert found["dynamodb.write"] == consumed + 1, "what it says, and one for the condition"
    assert [request["ReturnConsumedCapacity"] for request in asked] == ["TOTAL"] * 4


def test_emails_are_counted_by_recipient_and_what_may_have_been_one_as_well(
    meter: Meter, counted: Counted, dynamodb: DynamoDBClient
) -> None:
    client = meter.watch(boto3.client("sesv2", config=ses.CONFIG))
    client.create_email_identity(EmailIdentity="orders@mail.example.com")
    answers: list[Any] = []
    client.meta.events.register("before-send.sesv2.SendEmail", lambda **_: answers.pop(0) if answers else None)

    def send(*to: str, sender: str = "orders@mail.example.com") -> None:
        content: Any = {"Raw": {"Data": b"Subject: x\r\n\r\nx"}}
        client.send_email(FromEmailAddress=sender, Destination={"ToAddresses": list(to)}, Content=content)

    def act() -> None:
        send("a@example.com")
        send("a@example.com", "b@example.com")
        with pytest.raises(ClientError, match="MessageRejected"):
            send("a@example.com", sender="nobody@example.org")

        def lost(**_: Any) -> None:
            raise ReadTimeoutError(endpoint_url="https://email.us-east-1.amazonaws.com")

        client.meta.events.register_first("before-send.sesv2.SendEmail", lost)
        with pytest.raises(ReadTimeoutError):
            send("c@example.com")

    assert counted(act) == {"ses.email": 4}, "three that were accepted, and one that perhaps was"


def test_requests_to_queues_and_publications_are_counted(
    meter: Meter, counted: Counted, dynamodb: DynamoDBClient
) -> None:
    sqs, sns = meter.watch(boto3.client("sqs")), meter.watch(boto3.client("sns"))
    queue = boto3.client("sqs").create_queue(QueueName="metered")["QueueUrl"]
    topic = boto3.client("sns").create_topic(Name="metered")["TopicArn"]

    def act() -> None:
        sqs.send_message(QueueUrl=queue, MessageBody="x")
        sqs.receive_message(QueueUrl=queue)
        sns.publish(TopicArn=topic, Message="x")
        sns.list_topics()

    assert counted(act) == {"sqs.request": 2, "sns.publish": 1}


def test_calls_of_threads_at_once_are_all_counted(meter: Meter, counted: Counted) -> None:
    answer = SimpleNamespace(status_code=200)

    def call() -> None:
        for _ in range(2_000):
            meter._answered(answer, {}, {}, "after-call.sqs.SendMessage")

    def act() -> None:
        threads = [threading.Thread(target=call) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    assert counted(act) == {"sqs.request": 16_000}


# ---- Reservations ----


@pytest.mark.parametrize("fails", [False, True])
def test_what_was_reserved_gives_way_to_what_it_has_cost(meter: Meter, control: Control, fails: bool) -> None:
    seen: list[Decimal] = []

    @meter.metered
    def handler(event: Any, context: Any) -> None:
        seen.append(meter.reserve(Decimal("0.5")).totals[USD])
        if fails:
            raise RuntimeError

    for _ in range(2):
        try:
            handler({}, Context())
        except RuntimeError:
            assert fails
    first, second = seen
    assert first == Decimal("0.5")
    assert Decimal("0.5") < second < Decimal("0.6"), "the first has been given back"
    assert spend_of(control) < Decimal("0.1")


# ---- The entries ----


def test_every_entry_tells_what_it_costs_by_its_own_clients(
    send_email: ModuleType,
    record_feedback: ModuleType,
    probe: ModuleType,
    control: Control,
    table: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for entry in (send_email, record_feedback, probe):
        monkeypatch.setattr(entry, "ledger", DynamoLedger(entry.dynamodb, table))
    send_email.sesv2.create_email_identity(EmailIdentity="orders@mail.example.com")
    send_email.sesv2.create_configuration_set(ConfigurationSetName="order-confirmations")
    mailer = Mailer(send_email.sesv2, "order-confirmations")
    monkeypatch.setitem(send_email.mailers, "order-confirmation", mailer)
    for act in (
        lambda: run(send_email, record(body())),
        lambda: run(record_feedback, record("not an event")),
        lambda: probe.handler({}, Context()),
    ):
        act()
        told = [json.loads(line) for line in capsys.readouterr().out.splitlines() if "EstimatedSpend" in line]
        assert [line["_aws"]["CloudWatchMetrics"][0]["Dimensions"] for line in told] == [[["Stack"]]]
        assert told[0]["EstimatedSpend"] > 0
    today = datetime.now(UTC)
    total: dict[str, Decimal] = {}
    for hour in control.hours(SPEND, today, today):
        total |= hour.totals
    assert total["lambda.request"] == 3
    assert total["ses.email"] == 1
    assert total["sns.publish"] == 1
    assert total["dynamodb.write"] > 0, "the email's claim and its answer"
    assert total["dynamodb.read"] > 0, "the probe's look at open emails"
    assert total["sqs.request"] >= 6
