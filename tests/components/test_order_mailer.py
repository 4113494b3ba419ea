"""OrderMailer: from the queue to SES, within the rate, and in a sandbox to nobody."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.mailer import OrderMailer, OrderMailerArgs, rate_of_one
from tests.components import parts
from tests.components.recorder import Recorder, record


def built(**changes: object) -> Recorder:
    args: OrderMailerArgs = {**parts.mailer(), **changes}  # type: ignore[typeddict-item]
    return record(lambda: OrderMailer("shop", args))[0]


def allowed(recorder: Recorder) -> dict[str, object]:
    """Each action of the role with its resources."""
    return {
        action: statement["Resource"]
        for statement in recorder.one("RolePolicy").document()["Statement"]
        for action in statement["Action"]
    }


def test_a_failed_message_comes_again_alone_and_executions_are_bounded() -> None:
    inputs = built(maximum_concurrency=4).one("EventSourceMapping").inputs
    assert inputs["functionResponseTypes"] == ["ReportBatchItemFailures"]
    assert inputs["scalingConfig"] == {"maximumConcurrency": 4}
    assert inputs["batchSize"] == 10
    assert inputs["eventSourceArn"] == parts.QUEUE
    assert inputs["functionName"].endswith(":function:shop-send-email:live"), "the alias, not the latest code"


def test_the_role_may_do_exactly_this() -> None:
    queue, ses = [parts.QUEUE], [parts.IDENTITY, parts.CONFIGURATION_SET]
    log = ["arn:aws:logs:us-east-1:123456789012:log-group:/aws/lambda/shop-send-email:*"]
    assert allowed(built()) == {
        "dynamodb:UpdateItem": [parts.TABLE],
        "sqs:SendMessage": [parts.QUARANTINE],
        "sqs:ChangeMessageVisibility": queue,
        "sqs:DeleteMessage": queue,
        "sqs:GetQueueAttributes": queue,
        "sqs:ReceiveMessage": queue,
        "ses:SendEmail": ses,
        "ses:SendRawEmail": ses,
        "logs:CreateLogStream": log,
        "logs:PutLogEvents": log,
        "xray:PutTelemetryRecords": "*",
        "xray:PutTraceSegments": "*",
    }


def send_conditions(recorder: Recorder) -> list[object]:
    statements = recorder.one("RolePolicy").document()["Statement"]
    return [each.get("Condition") for each in statements if "ses:SendEmail" in each["Action"]]


def test_in_a_sandbox_the_role_itself_can_only_write_to_the_simulator() -> None:
    assert send_conditions(built(production_sending=False)) == [
        {"ForAllValues:StringLike": {"ses:Recipients": ["*@simulator.amazonses.com"]}}
    ]
    assert send_conditions(built(production_sending=True)) == [None]


def test_the_function_is_told_what_it_works_with() -> None:
    function = built(send_rate=14, maximum_concurrency=4, production_sending=False).one("Function")
    assert function.inputs["handler"] == "handlers.send_email.handler"
    assert function.inputs["environment"]["variables"] == {
        "LEDGER_TABLE": "ledger",
        "QUEUE_URL": "https://sqs.us-east-1.amazonaws.com/123456789012/send",
        "QUARANTINE_URL": "https://sqs.us-east-1.amazonaws.com/123456789012/quarantine",
        "FROM_ADDRESS": "orders@mail.shop.com",
        "FROM_NAME": "Shop",
        "REPLY_TO": "help@shop.com",
        "CONFIGURATION_SET": "shop",
        "PRODUCTION_SENDING": "false",
        "SEND_RATE": "3.5",
        "LEDGER_RETENTION_DAYS": "400",
        "STACK": "test",
        "LOG_LEVEL": "INFO",
    }


@given(st.integers(1, 100_000), st.integers(2, 1000))
def test_all_executions_together_stay_within_the_accounts_rate(rate: int, executions: int) -> None:
    share = float(rate_of_one(rate, executions))
    assert 0 < share * executions <= rate * (1 + 1e-12)
    assert share * executions > rate - executions * 0.001, "no more is given away than rounding takes"


def test_the_rate_is_written_plainly() -> None:
    assert [rate_of_one(*pair) for pair in [(14, 2), (100_000, 2), (1, 1000), (10, 3)]] == [
        "7",
        "50000",
        "0.001",
        "3.333",
    ]


def test_logging_is_as_the_runtime_says() -> None:
    recorder = built(runtime={**parts.runtime(), "log_level": "DEBUG", "log_retention_days": 3})
    assert recorder.one("LogGroup").inputs["retentionInDays"] == 3
    assert recorder.one("Function").inputs["environment"]["variables"]["LOG_LEVEL"] == "DEBUG"


def test_wrong_arguments_are_refused_together() -> None:
    with pytest.raises(ValueError, match=r"maximum_concurrency is 1.*send_rate is 0.*ledger_retention_days is 0"):
        built(maximum_concurrency=1, send_rate=0, ledger_retention_days=0)


def test_outputs_name_the_function() -> None:
    assert record(lambda: OrderMailer("shop", parts.mailer()))[1] == {
        "function_arn": "arn:aws:lambda:us-east-1:123456789012:function:shop-send-email:live",
        "function_name": "shop-send-email",
        "log_group_name": "/aws/lambda/shop-send-email",
    }
