"""What a run is counted to use: what is AWS's counts, what is the emulator's own does not."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial
from typing import Any, Final

import pytest

from handlers.adapters.control import Control
from handlers.guarding.tally import DAY, SPEND, USD
from handlers.telemetry.contract import METERED
from local.aws import LocalAws
from local.calls import asked, handed_over
from local.deployer import Resource
from local.orders import sample_orders
from local.run import await_quiet, prepare, run
from local.usage import LAMBDAS_LINES, Names, await_rest, logged, mark, messages, points, runs, units, use
from observability.bill import make_bill
from observability.model import MetricKey
from observability.usage import Count, Usage
from ops.publish import Line

FUNCTION = Resource(
    "aws:lambda/function:Function",
    "send",
    "send-1234567",
    {"memorySize": 512, "architectures": ["arm64"], "loggingConfig": {"logGroup": "/aws/lambda/send-1234567"}},
    {},
)
QUEUE = Resource("aws:sqs/queue:Queue", "orders", "http://127.0.0.1:4566/000000000000/orders-1234567", {}, {})
TOPIC = Resource("aws:sns/topic:Topic", "orders", "arn:aws:sns:us-east-1:000000000000:orders-1234567", {}, {})
TABLE = Resource("aws:dynamodb/table:Table", "rows", "rows-1234567", {}, {})
GROUP = Resource("aws:cloudwatch/logGroup:LogGroup", "logs", "/aws/lambda/send-1234567", {}, {})
NAMES = Names([FUNCTION, QUEUE, TOPIC, TABLE, GROUP])

RUN: dict[str, Any] = {"run": "send-1234567", "seconds": 0.5, "queues": {"orders-1234567": [4, 3]}}


def counted(counts: Iterator[Count]) -> dict[tuple[str, str], Decimal]:
    found: dict[tuple[str, str], Decimal] = {}
    for count in counts:
        found[count.price, count.resource] = found.get((count.price, count.resource), Decimal(0)) + count.quantity
    return found


def test_what_the_one_who_tries_the_stack_reads_is_not_the_stacks_use() -> None:
    calls = [
        {"units": "read", "by": "root", "resource": "rows-1234567", "quantity": 7.5},
        {"units": "write", "by": "role", "resource": "rows-1234567", "quantity": 2.0},
        {"call": "sqs.GetQueueAttributes", "by": "root", "resource": QUEUE.id, "messages": 1},
    ]
    assert counted(units(calls, NAMES)) == {("dynamodb.write", "Table rows"): Decimal(2)}
    assert not counted(messages(calls, NAMES))


def test_a_publication_counts_whoever_makes_it_and_each_message_of_a_batch() -> None:
    calls = [
        {"call": "sns.PublishBatch", "by": "root", "resource": TOPIC.id, "messages": 10},
        {"call": "sns.Publish", "by": "role", "resource": TOPIC.id, "messages": 1},
    ]
    assert counted(messages(calls, NAMES)) == {("sns.publish", "Topic orders"): Decimal(11)}


def test_a_message_is_delivered_once_and_received_and_deleted_as_often_as_it_is_handed_over() -> None:
    assert counted(messages([RUN], NAMES)) == {
        ("sns.delivery.sqs", "Queue orders"): Decimal(3),
        ("sqs.request", "Queue orders"): Decimal(3 + 2 * 4),
    }


def test_a_functions_own_call_to_a_queue_is_a_request_of_that_queue() -> None:
    call = {"call": "sqs.SendMessage", "by": "role", "resource": QUEUE.id, "messages": 1}
    assert counted(messages([call], NAMES)) == {("sqs.request", "Queue orders"): Decimal(1)}


def test_each_message_is_an_invocation_and_time_is_as_it_was() -> None:
    alone = {"run": "send-1234567", "seconds": 0.25, "queues": {}}
    found = counted(runs([RUN, alone, {"run": "other", "seconds": 9, "queues": {}}], [FUNCTION], NAMES))
    assert found == {
        ("lambda.request", "Function send"): Decimal(4 + 1),
        ("lambda.gb-second.arm64", "Function send"): Decimal("0.375"),
    }


def test_lambdas_own_lines_are_put_in_place_of_the_emulators() -> None:
    lines = ["START RequestId: 1 Version: 1", '{"message": "ü"}', "END RequestId: 1", "REPORT RequestId: 1\tDuration"]
    count = logged(lines, [RUN], FUNCTION, NAMES)
    assert (count.price, count.resource) == ("logs.gb", "LogGroup logs")
    assert count.quantity * 10**9 == len('{"message": "ü"}'.encode()) + 4 * LAMBDAS_LINES


def test_a_record_is_a_point_of_each_of_its_metrics() -> None:
    record = {
        "_aws": {"CloudWatchMetrics": [{"Namespace": "Shop", "Dimensions": [["S"]], "Metrics": [{"Name": "Sent"}]}]},
        "S": "local",
        "Sent": 1,
    }
    lines = [json.dumps(record), json.dumps({"message": "sent"}), json.dumps(record)]
    (found,) = points(lines, "Function send")
    assert (found.metric, found.quantity) == (MetricKey.of("Shop", "Sent", {"S": "local"}), Decimal(2))


@pytest.mark.parametrize(
    ("headers", "body", "expected"),
    [
        ({"x-amz-target": "AmazonSQS.SendMessage"}, b'{"QueueUrl": "u"}', ("SendMessage", {"QueueUrl": "u"})),
        (
            {"content-type": "application/x-www-form-urlencoded; charset=utf-8"},
            b"Action=Publish&TopicArn=a",
            ("Publish", {"Action": "Publish", "TopicArn": "a"}),
        ),
        ({"content-type": "application/json"}, b"{}", ("", {})),
    ],
)
def test_what_a_request_asks_in_each_of_the_protocols(
    headers: dict[str, str], body: bytes, expected: tuple[str, dict[str, str]]
) -> None:
    assert asked(headers, body) == expected


def test_a_message_that_comes_again_is_no_new_one() -> None:
    def message(count: int) -> dict[str, Any]:
        return {
            "eventSource": "aws:sqs",
            "eventSourceARN": "arn:aws:sqs:us-east-1:000000000000:q",
            "attributes": {"ApproximateReceiveCount": str(count)},
        }

    assert handed_over({"Records": [message(1), message(2), {"eventSource": "aws:s3"}]}) == {"q": [2, 1]}
    assert handed_over("scheduled") == handed_over({}) == {}


ORDERS: Final = 20

CLOSE: Final[Mapping[str, Decimal]] = {
    "ses.email": Decimal(1),
    "sqs.request": Decimal(1),
    # What an environment has added up last is counted with its next run.
    "dynamodb.read": Decimal("1.1"),
    "dynamodb.write": Decimal("1.1"),
    # Reckoned by the message, and read off the logs.
    "logs.gb": Decimal("1.5"),
    # From the handler's first line to its last, and from the emulator's call to its answer.
    "lambda.gb-second.arm64": Decimal(3),
}
"""By which factor what functions count of their own use may be off, by price."""


@dataclass(frozen=True)
class Shop:
    """A deployed program, what a run of its orders used, what its functions have counted of that themselves (units by
    the names of prices, and USD), and how often they ran."""

    aws: LocalAws
    usage: Usage
    metered: Mapping[str, Decimal]
    runs: int


def spent(aws: LocalAws) -> defaultdict[str, Decimal]:
    """What the functions have added up so far."""
    now, found = datetime.now(UTC), defaultdict[str, Decimal](Decimal)
    for hour in Control(aws.client("dynamodb"), aws.outputs["controlTableName"]).hours(SPEND, now - DAY, now):
        for name, amount in hour.totals.items():
            found[name] += amount
    return found


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """Orders that are delivered by the real program, and what its schedules start."""
    good = [sample.body for sample in sample_orders(3, 120) if sample.expected == "DELIVERED"]
    lines = [Line(number, body) for number, body in enumerate(good, 1)]
    with LocalAws(folder=tmp_path_factory.mktemp("usage"), counted=True) as aws:
        stack = prepare(aws)
        settle = partial(await_quiet, aws, stack, within=60)
        # How long a function takes to start says more about this machine than about the function.
        run(aws, stack, lines[ORDERS : 2 * ORDERS], timeout=60)
        settle()
        await_rest(aws)
        before, metered_before = mark(aws), spent(aws)
        ran = run(aws, stack, lines[:ORDERS], timeout=60)
        await_rest(aws)
        metered = {name: amount - metered_before[name] for name, amount in spent(aws).items()}
        runs_of_it = sum("run" in call for call in aws.calls()[before.calls :])
        aside = [aws.outputs["notifyFunctionName"]]
        usage = use(aws, before, emails=ORDERS, settle=settle, aside=aside)
        assert len(ran.mails) == 2 * ORDERS
        yield Shop(aws, usage, metered, runs_of_it)


@pytest.mark.local
def test_a_run_is_counted_by_resource_and_its_schedules_apart(shop: Shop) -> None:
    emails, *scheduled = shop.usage.activities
    assert (emails.name, emails.times, emails.schedule) == ("emails", ORDERS, "")
    by_name = {each.name: each for each in scheduled}
    assert by_name.keys() == {"mailroom-brake", "mailroom-cost-report", "mailroom-probe"}
    assert all((each.times, each.schedule) == (1, each.name) for each in scheduled)
    found = counted(iter(emails.counts))
    for key, number in {
        ("ses.email", "ConfigurationSet mailroom"): ORDERS,
        ("sns.publish", "Topic mailroom-order-confirmations"): ORDERS,
        ("sns.publish", "Topic mailroom-ses-delivery-notifications"): 2 * ORDERS,
        ("sns.delivery.sqs", "Queue mailroom-send-email"): ORDERS,
        ("sns.delivery.sqs", "Queue mailroom-feedback"): 2 * ORDERS,
    }.items():
        assert found[key] == number, key
    for function, queue, number in (("send-email", "send-email", ORDERS), ("record-feedback", "feedback", 2 * ORDERS)):
        handed = found["lambda.request", f"Function mailroom-{function}"]
        assert handed >= number  # on a busy machine a message may come twice
        assert found["sqs.request", f"Queue mailroom-{queue}"] == number + 2 * handed
    assert found["lambda.request", "Function mailroom-reputation-guard"] >= 1
    assert found["dynamodb.write", "Table mailroom-EmailDeliveries"] >= 3 * ORDERS
    assert found["logs.gb", "LogGroup /aws/lambda/mailroom-send-email"] > 0
    assert {point.metric.name: point.quantity for point in emails.points}["EmailsSent"] == ORDERS
    assert not [each for each in emails.counts if "notify" in each.resource]


@pytest.mark.local
def test_each_schedules_use_is_what_its_function_did(shop: Shop) -> None:
    found = {each.name: counted(iter(each.counts)) for each in shop.usage.activities}
    points_of = {each.name: {point.metric.name for point in each.points} for each in shop.usage.activities}
    assert points_of["mailroom-probe"] >= {"OldestOpenEmail", "ProbeFailures"}
    assert sum(number for (price, _), number in found["mailroom-probe"].items() if price == "ses.email") == 1
    ran = [key for key in found["mailroom-brake"] if key[0] == "lambda.request"]
    assert ran == [("lambda.request", "Function mailroom-brake")]
    assert found["mailroom-brake"]["lambda.request", "Function mailroom-brake"] == 1
    assert found["mailroom-cost-report"]["lambda.request", "Function mailroom-cost-report"] == 1
    assert sum(number for (price, _), number in found["mailroom-cost-report"].items() if price == "ses.email") == 1


@pytest.mark.local
@pytest.mark.parametrize(("price", "factor"), CLOSE.items())
def test_the_functions_themselves_count_what_the_run_used(shop: Shop, price: str, factor: Decimal) -> None:
    used = sum((each.quantity for each in shop.usage.activities[0].counts if each.price == price), Decimal(0))
    assert used / factor <= shop.metered[price] <= used * factor


@pytest.mark.local
def test_the_functions_themselves_count_each_run_and_its_trace(shop: Shop) -> None:
    assert shop.runs > 0
    assert shop.metered["lambda.request"] == shop.metered["xray.trace"] == shop.runs


@pytest.mark.local
def test_the_estimated_spend_is_close_to_the_bill_of_the_same_run(shop: Shop) -> None:
    """What the bill has and no function sees is part of the difference: topics' publications, and that each message is
    taken to have a run and a trace of its own."""
    assert shop.aws.deployment is not None
    emails = shop.usage.activities[:1]
    bill = make_bill(shop.aws.deployment.created, Usage(shop.usage.counted, emails))
    billed = bill.total.per_thousand * ORDERS / 1000
    assert billed * Decimal("0.75") <= shop.metered[USD] <= billed * Decimal("1.25")
    prices = {name: bill.sheet[name.replace("ses.email", "ses.email.essentials")] for name in METERED}
    assert shop.metered[USD] == sum(prices[name].of(units) for name, units in shop.metered.items() if name != USD)


@pytest.mark.local
def test_what_was_counted_names_what_the_program_registers(shop: Shop) -> None:
    assert shop.aws.deployment is not None
    bill = make_bill(shop.aws.deployment.created, shop.usage)
    known = {f"{each.type.rsplit(':', 1)[-1]} {each.name}" for each in shop.aws.deployment.created}
    assert {line.resource for line in bill.lines} <= known
    assert bill.total.per_thousand > Decimal("0.16")


@pytest.mark.local
def test_a_run_that_is_not_to_be_counted_writes_no_calls(aws: LocalAws) -> None:
    assert aws.calls() == []
    assert not list(aws.folder.glob("calls*"))
