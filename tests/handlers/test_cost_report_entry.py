"""The entry `cost_report`: what it asks AWS, what it mails, and what becomes of it when AWS does not answer."""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from types import ModuleType, SimpleNamespace
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from handlers.adapters.control import Control
from handlers.adapters.facts import StackFacts, used_memory
from handlers.environment import CostReport, InvalidEnvironment
from handlers.guarding.tally import SPEND
from handlers.reporting.figures import Costs, Month
from handlers.reporting.recommendations import LogGroup
from handlers.telemetry.contract import METERED

OCTOBER = Month(date(2026, 10, 1))
AT = {"at": "2026-11-01T06:00:00Z"}
GROUP = "/aws/lambda/send"
ENVIRONMENT = {
    "FROM_ADDRESS": "orders@mail.example.com",
    "REPORT_TO": "ann@example.com,bob@example.com",
    "PROJECT": "mailroom",
    "CONTROL_TABLE": "control",
    "LEDGER_TABLE": "ledger",
    "LOG_GROUPS": GROUP,
    "FUNCTIONS": "send",
    "LOG_RETENTION_DAYS": "90",
    "PRICES": json.dumps(dict.fromkeys([*METERED, "cloudwatch.metric", "logs.gb-month"], "0.30")),
    "STACK": "prod",
    "LOG_LEVEL": "INFO",
}
CONTEXT = SimpleNamespace(memory_limit_in_mb="256")


class Explorer:
    """Cost Explorer's adapter, with the costs that a test sets; asked for months."""

    def __init__(self) -> None:
        self.by_service: dict[Month, dict[str, Decimal]] = {OCTOBER: {"AWS Lambda": Decimal("41.2")}}
        self.asked: list[tuple[Month, Month]] = []
        self.fails = False

    def costs(self, first: Month, last: Month) -> Costs:
        self.asked.append((first, last))
        if self.fails:
            raise refusal("GetCostAndUsage", "DataUnavailableException")
        return Costs(by_service=self.by_service)


class Outbox:
    """SES, as far as it is asked."""

    def __init__(self) -> None:
        self.sent: list[dict[str, Any]] = []

    def send_email(self, **request: Any) -> dict[str, str]:
        self.sent.append(request)
        return {"MessageId": "0100"}


def refusal(operation: str, code: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": "arn:aws:iam::123456789012:role/x"}}, operation)


@pytest.fixture
def aws() -> Iterator[None]:
    with mock_aws():
        yield


@pytest.fixture
def entry(aws: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """The entry, started as by Lambda, beside tables, a function and its log group."""
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    dynamodb = boto3.client("dynamodb")
    for table, keys in (("control", ("scope", "key")), ("ledger", ("orderId", "messageId"))):
        dynamodb.create_table(
            TableName=table,
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[{"AttributeName": key, "AttributeType": "S"} for key in keys],
            KeySchema=[
                {"AttributeName": keys[0], "KeyType": "HASH"},
                {"AttributeName": keys[1], "KeyType": "RANGE"},
            ],
        )
    dynamodb.update_time_to_live(
        TableName="ledger", TimeToLiveSpecification={"Enabled": True, "AttributeName": "expiresAt"}
    )
    logs = boto3.client("logs")
    logs.create_log_group(logGroupName=GROUP)
    logs.put_retention_policy(logGroupName=GROUP, retentionInDays=90)
    sys.modules.pop("handlers.cost_report", None)
    started = importlib.import_module("handlers.cost_report")
    monkeypatch.setattr(started, "explorer", Explorer())
    monkeypatch.setattr(started, "sesv2", Outbox())
    monkeypatch.setattr(started.stack, "functions", lambda names, month: ())
    yield started
    del sys.modules["handlers.cost_report"]


def sent(entry: ModuleType) -> dict[str, Any]:
    (request,) = entry.sesv2.sent
    return dict(request)


def text(entry: ModuleType) -> str:
    return str(sent(entry)["Content"]["Simple"]["Body"]["Text"]["Data"])


# ---- The entry ----


def test_without_costs_there_is_no_report_and_the_run_fails(entry: ModuleType) -> None:
    entry.explorer.fails = True
    with pytest.raises(ClientError, match="DataUnavailable"):
        entry.handler(AT, CONTEXT)
    assert entry.sesv2.sent == []


@pytest.mark.parametrize(
    ("name", "value", "remedy"),
    [
        ("REPORT_TO", "", "1 to 50 addresses"),
        ("REPORT_TO", "ann at example.com", "1 to 50 addresses"),
        ("REPORT_TO", ",".join(["a@example.com"] * 51), "1 to 50 addresses"),
        ("FUNCTIONS", "arn:aws:lambda:us-east-1:1:function:send", "names of functions"),
        ("LOG_GROUPS", "a b", "names of log groups"),
        ("LOG_RETENTION_DAYS", "0", "a whole number of days"),
    ],
)
def test_a_wrong_variable_is_named(name: str, value: str, remedy: str) -> None:
    with pytest.raises(InvalidEnvironment, match=rf"^{name} is .*has to be {remedy}"):
        CostReport.read({**ENVIRONMENT, name: value})


def test_it_reads_exactly_its_variables() -> None:
    assert CostReport.variables() == ENVIRONMENT.keys()


def test_the_month_before_the_schedules_time_is_reported_beside_the_one_before(entry: ModuleType) -> None:
    entry.handler(AT, CONTEXT)
    assert entry.explorer.asked == [(OCTOBER.before, OCTOBER)]
    assert sent(entry)["Content"]["Simple"]["Subject"]["Data"] == "Mailroom prod: 41.20 USD in October 2026"


def test_a_run_without_a_time_reports_the_month_before_this_one(entry: ModuleType) -> None:
    entry.handler({}, CONTEXT)
    assert entry.explorer.asked[0][1] == Month.of(datetime.now(UTC)).before


def test_one_mail_goes_to_everybody_as_text_and_html_and_answers_no_robot(entry: ModuleType) -> None:
    entry.handler(AT, CONTEXT)
    request = sent(entry)
    assert request["FromEmailAddress"] == "orders@mail.example.com"
    assert request["Destination"] == {"ToAddresses": ["ann@example.com", "bob@example.com"]}
    assert "ConfigurationSetName" not in request
    content = request["Content"]["Simple"]
    assert content["Headers"] == [{"Name": "Auto-Submitted", "Value": "auto-generated"}]
    assert {part: "41.20" in body["Data"] for part, body in content["Body"].items()} == {"Text": True, "Html": True}


def test_emails_are_the_months_own_from_its_first_hour_to_its_last(entry: ModuleType) -> None:
    control = Control(boto3.client("dynamodb"), "control")
    for moment, emails in (
        (datetime(2026, 9, 30, 23, 59, tzinfo=UTC), 1),
        (datetime(2026, 10, 1, tzinfo=UTC), 2),
        (datetime(2026, 10, 31, 23, 59, tzinfo=UTC), 40),
        (datetime(2026, 11, 1, tzinfo=UTC), 100),
    ):
        control.add(SPEND, moment, {"ses.email": Decimal(emails)}, slotted=frozenset())
    entry.handler(AT, CONTEXT)
    assert "42 emails went out" in text(entry).replace("\n", " ")


def test_what_aws_does_not_tell_is_named_in_the_report_which_goes_out_all_the_same(
    entry: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused() -> None:
        raise refusal("ListMetrics", "AccessDenied")

    monkeypatch.setattr(entry.stack, "unwatched", refused)
    entry.handler(AT, CONTEXT)
    assert "Metrics that nobody watches: ListMetrics answered AccessDenied." in text(entry)
    assert "arn:" not in text(entry)


def test_what_was_measured_becomes_advice(entry: ModuleType) -> None:
    boto3.client("logs").delete_retention_policy(logGroupName=GROUP)
    entry.handler(AT, CONTEXT)
    assert f"Log group {GROUP} keeps its logs for ever" in text(entry).replace("\n  ", " ")


def test_a_stack_as_deployed_has_nothing_to_be_recommended(entry: ModuleType) -> None:
    entry.handler(AT, CONTEXT)
    assert "Nothing to recommend." in text(entry)
    assert "NOT MEASURED" not in text(entry)


# ---- What is measured ----


@pytest.fixture
def stack(aws: None) -> StackFacts:
    return StackFacts(
        stack="prod",
        logs=boto3.client("logs"),
        cloudwatch=boto3.client("cloudwatch"),
        lambda_=boto3.client("lambda"),
        dynamodb=boto3.client("dynamodb"),
    )


def point(namespace: str, name: str, value: float, at: datetime, **dimensions: str) -> None:
    boto3.client("cloudwatch").put_metric_data(
        Namespace=namespace,
        MetricData=[
            {
                "MetricName": name,
                "Value": value,
                "Timestamp": at,
                "Dimensions": [{"Name": key, "Value": each} for key, each in dimensions.items()],
            }
        ],
    )


def test_a_log_groups_volume_is_the_months_and_its_own(stack: StackFacts) -> None:
    logs = boto3.client("logs")
    for name in (GROUP, f"{GROUP}-more"):
        logs.create_log_group(logGroupName=name)
    logs.put_retention_policy(logGroupName=GROUP, retentionInDays=30)
    for day, month in ((1, 10), (31, 10), (1, 11)):
        point("AWS/Logs", "IncomingBytes", 1000, datetime(2026, month, day, 12, tzinfo=UTC), LogGroupName=GROUP)
    point("AWS/Logs", "IncomingBytes", 9, datetime(2026, 10, 9, tzinfo=UTC), LogGroupName=f"{GROUP}-more")
    assert stack.log_groups([GROUP], OCTOBER) == (LogGroup(name=GROUP, came_in=2000, kept=0, retention_days=30),)


def test_a_log_group_that_is_not_there_is_no_fact(stack: StackFacts) -> None:
    assert stack.log_groups([GROUP], OCTOBER) == ()


def test_a_metric_is_unwatched_if_neither_an_alarm_nor_a_dashboard_has_it(stack: StackFacts) -> None:
    for name in ("Bounces", "Rejects", "Complaints"):
        point("Mailroom", name, 1, datetime.now(UTC), Stack="prod")
    point("Mailroom", "SendRetries", 1, datetime.now(UTC), Stack="dev")
    assert stack.unwatched() == ("Bounces", "Complaints", "Rejects")
    cloudwatch = boto3.client("cloudwatch")
    cloudwatch.put_metric_alarm(
        AlarmName="bounces",
        Namespace="Mailroom",
        MetricName="Bounces",
        ComparisonOperator="GreaterThanThreshold",
        EvaluationPeriods=1,
        Period=300,
        Statistic="Sum",
        Threshold=1,
    )
    body = {"widgets": [{"type": "metric", "properties": {"metrics": [["Mailroom", "Rejects", "Stack", "prod"]]}}]}
    cloudwatch.put_dashboard(DashboardName="outcomes", DashboardBody=json.dumps(body))
    assert stack.unwatched() == ("Complaints",)


@pytest.mark.parametrize("on", [True, False])
def test_a_ledger_forgets_if_its_time_to_live_is_on(stack: StackFacts, on: bool) -> None:
    dynamodb = boto3.client("dynamodb")
    dynamodb.create_table(
        TableName="ledger",
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": "orderId", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "orderId", "KeyType": "HASH"}],
    )
    if on:
        dynamodb.update_time_to_live(
            TableName="ledger", TimeToLiveSpecification={"Enabled": True, "AttributeName": "expiresAt"}
        )
    assert stack.ledger_forgets("ledger") is on


class Runs:
    """Lambda's and the log's answers about a function, each log page as given."""

    def __init__(self, *pages: list[str]) -> None:
        self.pages = pages
        self.asked: dict[str, Any] = {}

    def get_function_configuration(self, **_: str) -> dict[str, Any]:
        return {"MemorySize": 512, "LoggingConfig": {"LogGroup": GROUP}}

    def get_paginator(self, operation: str) -> Runs:
        return self

    def paginate(self, **request: Any) -> Iterator[dict[str, Any]]:
        self.asked = request
        yield from ({"events": [{"message": line} for line in lines]} for lines in self.pages)


def report(used: int) -> str:
    return json.dumps({"type": "platform.report", "record": {"metrics": {"maxMemoryUsedMB": used}}})


def test_a_functions_memory_is_the_most_that_any_run_used(aws: None) -> None:
    runs: Any = Runs([report(80), "not a report"], [], [report(143), report(90)])
    point("AWS/Lambda", "Duration", 1500, datetime(2026, 10, 9, tzinfo=UTC), FunctionName="send")
    stack = StackFacts(
        stack="prod", logs=runs, cloudwatch=boto3.client("cloudwatch"), lambda_=runs, dynamodb=boto3.client("dynamodb")
    )
    (found,) = stack.functions(["send"], OCTOBER)
    assert (found.memory_mb, found.used_mb, found.runs, found.seconds) == (512, 143, 3, Decimal("1.5"))
    assert runs.asked["logGroupName"] == GROUP
    assert datetime.fromtimestamp(runs.asked["endTime"] / 1000, UTC) == OCTOBER.ends


@pytest.mark.parametrize(
    ("line", "used"),
    [
        (report(143), 143),
        ("REPORT RequestId: 1\tDuration: 3 ms\tMemory Size: 512 MB\tMax Memory Used: 86 MB\t", 86),
        ("REPORT RequestId: 1\tDuration: 3 ms", None),
        (json.dumps({"type": "platform.start", "record": {"requestId": "platform.report"}}), None),
        (json.dumps({"message": "platform.report"}), None),
        (json.dumps(["platform.report"]), None),
        ("platform.report", None),
    ],
)
def test_the_memory_of_a_run_is_read_from_lambdas_line_in_both_its_forms(line: str, used: int | None) -> None:
    assert used_memory(line) == used
