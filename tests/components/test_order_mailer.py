"""OrderMailer: from the queue to SES, within the rate, and in a sandbox to nobody."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.consumer import PRICE_LIST
from components.intake import MAX_RECEIVE_COUNT
from components.mailer import HELD_SECONDS, OrderMailer, OrderMailerArgs, rates_of_one
from handlers.environment import SendEmail
from handlers.telemetry.contract import Lane
from tests.components import parts
from tests.components.recorder import Recorder, record


def built(**changes: object) -> Recorder:
    args: OrderMailerArgs = {**parts.mailer(), **changes}  # type: ignore[typeddict-item]
    return record(lambda: OrderMailer("shop", args))[0]


@pytest.mark.parametrize(
    ("name", "queue", "executions"),
    [("shop-send-email", parts.QUEUE, 4), ("shop-send-probe", parts.PROBES, 2)],
)
def test_of_each_lane_a_failed_message_comes_again_alone_and_executions_are_bounded(
    name: str, queue: str, executions: int
) -> None:
    inputs = built(maximum_concurrency=4).one("EventSourceMapping", name).inputs
    assert inputs["functionResponseTypes"] == ["ReportBatchItemFailures"]
    assert inputs["scalingConfig"] == {"maximumConcurrency": executions}
    assert inputs["batchSize"] == 10
    assert inputs["eventSourceArn"] == queue
    assert inputs["functionName"].endswith(":function:shop-send-email:live"), "the alias, not the latest code"


def test_a_deployment_does_not_release_what_the_brake_holds() -> None:
    for mapping in built().all("EventSourceMapping"):
        assert set(mapping.ignore_changes) == {"batchSize", "enabled"}


def test_the_role_may_do_exactly_this() -> None:
    queue = [parts.QUEUE, parts.PROBES]
    ses = [parts.IDENTITY, parts.CONFIGURATION_SET, parts.PROBE_SET]
    log = ["arn:aws:logs:us-east-1:123456789012:log-group:/aws/lambda/shop-send-email:*"]
    assert built().allowed("shop-send-email") == {
        "dynamodb:UpdateItem": [parts.TABLE, parts.CONTROL],
        "dynamodb:GetItem": [parts.CONTROL],
        "dynamodb:PutItem": [parts.CONTROL],
        "dynamodb:Query": [parts.CONTROL],
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
    variables = dict(function.inputs["environment"]["variables"])
    assert variables.keys() == SendEmail.variables()
    assert json.loads(variables.pop("LANES")) == {
        "order-confirmation": {
            "queueArn": parts.QUEUE,
            "queueUrl": "https://sqs.us-east-1.amazonaws.com/123456789012/send",
            "configurationSet": "shop",
            "sendRate": "3.45",
        },
        "probe": {
            "queueArn": parts.PROBES,
            "queueUrl": "https://sqs.us-east-1.amazonaws.com/123456789012/probes",
            "configurationSet": "shop-probe",
            "sendRate": "0.1",
        },
    }
    assert variables == {
        "LEDGER_TABLE": "ledger",
        "QUARANTINE_URL": "https://sqs.us-east-1.amazonaws.com/123456789012/quarantine",
        "FROM_ADDRESS": "orders@mail.shop.com",
        "FROM_NAME": "Shop",
        "REPLY_TO": "help@shop.com",
        "PRODUCTION_SENDING": "false",
        "LEDGER_RETENTION_DAYS": "400",
        "SPEND_PER_HOUR": "2",
        "SPEND_PER_DAY": "10",
        "SPEND_HOLDS": "order-confirmation",
        "HELD_SECONDS": "90",
        "STACK": "test",
        "LOG_LEVEL": "INFO",
        "CONTROL_TABLE": "control",
        "PRICES": PRICE_LIST,
    }


def test_executions_of_all_lanes_together_stay_within_the_accounts_rate() -> None:
    recorder = built(send_rate=14, maximum_concurrency=4)
    lanes = json.loads(recorder.one("Function").inputs["environment"]["variables"]["LANES"])
    rates = {lane["queueArn"]: Decimal(lane["sendRate"]) for lane in lanes.values()}
    mappings = [each.inputs for each in recorder.all("EventSourceMapping")]
    assert {each["eventSourceArn"] for each in mappings} == rates.keys()
    assert (
        sum(rates[each["eventSourceArn"]] * int(each["scalingConfig"]["maximumConcurrency"]) for each in mappings) == 14
    )


def test_what_is_counted_has_a_price_above_nothing_for_one_unit() -> None:
    prices = {name: Decimal(usd) for name, usd in json.loads(PRICE_LIST).items()}
    assert prices["ses.email"] == Decimal("0.00016"), "the dearer of SES's plans: an estimate that is low stops late"
    assert prices["dynamodb.write"] == Decimal("0.000000625")
    assert all(usd > 0 for usd in prices.values())


@given(st.integers(1, 100_000), st.integers(2, 1000))
def test_confirmations_have_what_probes_leave_of_the_accounts_rate(rate: int, executions: int) -> None:
    at_a_time = {Lane.CONFIRMATION: executions, Lane.PROBE: 2}
    rates = {lane: Decimal(text) for lane, text in rates_of_one(rate, at_a_time).items()}
    assert rates[Lane.PROBE] == Decimal("0.1")
    assert rates[Lane.CONFIRMATION] > 0
    given_away = rate - sum(rates[lane] * number for lane, number in at_a_time.items())
    assert 0 <= given_away < executions * Decimal("0.0001"), "no more than rounding takes"


@pytest.mark.parametrize(
    ("rate", "executions", "text"), [(14, 2, "6.9"), (100_000, 2, "49999.9"), (1, 1000, "0.0008"), (10, 3, "3.2666")]
)
def test_the_rate_is_written_plainly(rate: int, executions: int, text: str) -> None:
    assert rates_of_one(rate, {Lane.CONFIRMATION: executions, Lane.PROBE: 2})[Lane.CONFIRMATION] == text


def test_logging_is_as_the_runtime_says() -> None:
    recorder = built(runtime={**parts.runtime(), "log_level": "DEBUG", "log_retention_days": 3})
    assert recorder.one("LogGroup").inputs["retentionInDays"] == 3
    assert recorder.one("Function").inputs["environment"]["variables"]["LOG_LEVEL"] == "DEBUG"


def test_wrong_arguments_are_refused_together() -> None:
    with pytest.raises(ValueError, match=r"maximum_concurrency is 1.*send_rate is 0.*ledger_retention_days is 0"):
        built(maximum_concurrency=1, send_rate=0, ledger_retention_days=0)
    with pytest.raises(
        ValueError, match=r"lanes has probe, needed are order-confirmation, probe; spend_holds is 'news'.*hour is '0'"
    ):
        built(lanes={"probe": parts.mailer()["lanes"]["probe"]}, spend_holds=["news"], spend_per_hour="0")


def test_outputs_name_the_function() -> None:
    assert record(lambda: OrderMailer("shop", parts.mailer()))[1] == {
        "function_arn": "arn:aws:lambda:us-east-1:123456789012:function:shop-send-email:live",
        "function_name": "shop-send-email",
        "log_group_name": "/aws/lambda/shop-send-email",
        "role_name": "shop-send-email",
        "mappings": {
            lane: {
                "uuid": f"{name}-uuid",
                "arn": f"arn:aws:lambda:us-east-1:123456789012:event-source-mapping:{name}",
            }
            for lane, name in (("order-confirmation", "shop-send-email"), ("probe", "shop-send-probe"))
        },
    }


def test_receives_do_not_run_out_while_a_mapping_is_being_disabled() -> None:
    assert 60 <= HELD_SECONDS <= 120
    assert HELD_SECONDS * (MAX_RECEIVE_COUNT - 1) > 15 * 60
