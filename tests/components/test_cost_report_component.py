"""CostReport: what its role may do, when it runs, and who hears that it did not."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pulumi.provider.experimental.analyzer import Analyzer

from components.cost_report import CostReport, CostReportArgs
from components.watch import Expression, Graph, Severity, Watch
from handlers.environment import CostReport as Environment
from tests.components import parts
from tests.components.recorder import Recorder, record, watch_of

ALIAS = "arn:aws:lambda:us-east-1:123456789012:function:shop-cost-report:live"
DLQ = "arn:aws:sqs:us-east-1:123456789012:shop-cost-report-dlq"


def arguments(**changes: object) -> CostReportArgs:
    return {
        "runtime": parts.runtime(),
        "project": "shop",
        "from_address": "orders@mail.shop.com",
        "report_to": ["ann@shop.com", "bob@shop.com"],
        "identity_arn": parts.IDENTITY,
        "ledger_table_name": "ledger",
        "ledger_table_arn": parts.TABLE,
        "functions": ["send", "probe"],
        "log_groups": ["/aws/lambda/send"],
        **changes,  # type: ignore[typeddict-item]
    }


def built(**changes: object) -> Recorder:
    return record(lambda: CostReport("shop", arguments(**changes)))[0]


def watched() -> Watch:
    return watch_of(lambda: CostReport("shop", arguments()))


def test_the_role_may_do_exactly_this() -> None:
    allowed = {
        action: statement["Resource"]
        for statement in built().one("RolePolicy", "shop-cost-report").document()["Statement"]
        for action in statement["Action"]
    }
    control = parts.runtime()["control_table_arn"]
    log = ["arn:aws:logs:us-east-1:123456789012:log-group:/aws/lambda/shop-cost-report:*"]
    send = "arn:aws:logs:us-east-1:123456789012:log-group:/aws/lambda/send"
    assert allowed == {
        "ses:SendEmail": [parts.IDENTITY],
        "ses:SendRawEmail": [parts.IDENTITY],
        "dynamodb:Query": [control],
        "dynamodb:UpdateItem": [control],
        "dynamodb:DescribeTimeToLive": [parts.TABLE],
        "lambda:GetFunctionConfiguration": [
            "arn:aws:lambda:us-east-1:123456789012:function:send",
            "arn:aws:lambda:us-east-1:123456789012:function:probe",
        ],
        "logs:FilterLogEvents": [send, f"{send}:*"],
        "logs:DescribeLogGroups": "*",
        "cloudwatch:DescribeAlarms": ["arn:aws:cloudwatch:us-east-1:123456789012:alarm:*"],
        "cloudwatch:GetDashboard": ["arn:aws:cloudwatch::123456789012:dashboard/*"],
        "cloudwatch:GetMetricData": "*",
        "cloudwatch:ListDashboards": "*",
        "cloudwatch:ListMetrics": "*",
        "ce:GetCostAndUsage": "*",
        "sqs:SendMessage": [DLQ],
        "logs:CreateLogStream": log,
        "logs:PutLogEvents": log,
        "xray:PutTelemetryRecords": "*",
        "xray:PutTraceSegments": "*",
    }


def test_the_function_is_told_exactly_what_it_reads() -> None:
    inputs = built().one("Function").inputs
    variables = inputs["environment"]["variables"]
    assert inputs["handler"] == "handlers.cost_report.handler"
    assert variables.keys() == Environment.variables()
    assert variables["REPORT_TO"] == "ann@shop.com,bob@shop.com"
    assert (variables["FUNCTIONS"], variables["LOG_GROUPS"]) == ("send,probe", "/aws/lambda/send")
    assert Environment.read(variables).prices.keys() >= {"logs.gb", "logs.gb-month", "cloudwatch.metric"}


def test_it_runs_on_the_first_of_each_month_and_is_told_when_that_was_due() -> None:
    inputs = built().one("Schedule").inputs
    assert inputs["scheduleExpression"] == "cron(0 6 1 * ? *)"
    assert inputs["target"]["arn"] == ALIAS
    assert json.loads(inputs["target"]["input"]) == {"at": "<aws.scheduler.scheduled-time>"}
    assert inputs["target"]["retryPolicy"] == {"maximumRetryAttempts": 5, "maximumEventAgeInSeconds": 6 * 3600}


def test_a_run_that_fails_is_tried_again_and_then_kept() -> None:
    inputs = built().one("FunctionEventInvokeConfig").inputs
    assert inputs["maximumRetryAttempts"] == 2
    assert inputs["destinationConfig"] == {"onFailure": {"destination": DLQ}}


def test_the_queue_of_failed_runs_denies_plain_http_where_there_is_tls() -> None:
    assert built().all("QueuePolicy")
    assert not built(require_tls=False).all("QueuePolicy")


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"report_to": []}, "report_to is 0, allowed are 1 to 50 addresses"),
        ({"report_to": [f"{number}@shop.com" for number in range(51)]}, "report_to is 51"),
        ({"functions": []}, "functions is empty"),
        ({"log_groups": []}, "log_groups is empty"),
    ],
)
def test_wrong_arguments_are_refused_before_anything_is_made(changes: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        built(**changes)


def test_a_name_that_aws_would_find_too_long_is_refused_not_cut() -> None:
    with pytest.raises(ValueError, match="too long for AWS"):
        record(lambda: CostReport("s" * 40, arguments()))


def test_outputs_name_the_function_its_log_and_the_queue() -> None:
    _, outputs = record(lambda: CostReport("shop", arguments()))
    assert outputs["dlq_arn"] == DLQ
    assert outputs["function_arn"] == ALIAS
    assert outputs["log_group_name"] == "/aws/lambda/shop-cost-report"


def test_it_can_be_used_from_any_language() -> None:
    definition = Analyzer("mailroom").analyze([CostReport])["component_definitions"]["CostReport"]
    assert {name for name, each in definition.inputs.items() if each.optional} == {"requireTls"}
    assert all(each.description for each in (*definition.inputs.values(), *definition.outputs.values()))


def test_a_report_that_no_try_brought_out_is_a_ticket_and_nothing_else_is() -> None:
    watch = watched()
    (alarm,) = watch.alarms
    assert (alarm.name, alarm.severity) == ("cost-report-errors-ticket", Severity.TICKET)
    assert (alarm.threshold, alarm.points) == (3, (1, 1))
    assert isinstance(alarm.signal, Expression)
    assert alarm.signal.formula == "FILL(errors, 0)", "or a report that failed would be told of for longer than an hour"
    assert (alarm.signal.series["errors"].metric, alarm.signal.series["errors"].stat) == ("Errors", "Sum")
    (graph,) = watch.widgets
    assert isinstance(graph, Graph)
    assert (list(graph.lines), graph.period) == ([alarm], alarm.period)
