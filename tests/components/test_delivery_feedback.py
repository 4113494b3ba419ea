"""DeliveryFeedback: what SES says about a letter reaches the ledger."""

from __future__ import annotations

import pytest

from components.consumer import PRICE_LIST
from components.feedback import DeliveryFeedback, DeliveryFeedbackArgs
from tests.components import parts
from tests.components.recorder import Recorder, queue_url, record

QUEUE = "arn:aws:sqs:us-east-1:123456789012:shop-feedback"


def built(**changes: object) -> Recorder:
    args: DeliveryFeedbackArgs = {**parts.feedback(), **changes}  # type: ignore[typeddict-item]
    return record(lambda: DeliveryFeedback("shop", args))[0]


def test_all_three_topics_fill_the_queue_unfiltered() -> None:
    recorder = built()
    topics = {each.name: each.inputs["topic"].rsplit(":", 1)[-1] for each in recorder.all("TopicSubscription")}
    assert topics == {
        "shop-feedback-delivery": "delivery",
        "shop-feedback-bounce": "bounce",
        "shop-feedback-complaint": "complaint",
    }
    assert not any("filterPolicy" in each.inputs for each in recorder.all("TopicSubscription"))


def test_all_three_topics_and_no_other_may_send() -> None:
    policy = built().one("QueuePolicy", "shop-feedback")
    sources = policy.statements()["OnlyFromSource"]["Condition"]["ArnEquals"]["aws:SourceArn"]
    assert [arn.rsplit(":", 1)[-1] for arn in sources] == ["delivery", "bounce", "complaint"]


def test_the_role_may_read_its_queue_and_fold_into_the_ledger() -> None:
    assert built().allowed("shop-record-feedback") == {
        "dynamodb:GetItem": [parts.TABLE],
        "dynamodb:UpdateItem": [parts.TABLE, parts.CONTROL],
        "sqs:DeleteMessage": [QUEUE],
        "sqs:GetQueueAttributes": [QUEUE],
        "sqs:ReceiveMessage": [QUEUE],
        "logs:CreateLogStream": ["arn:aws:logs:us-east-1:123456789012:log-group:/aws/lambda/shop-record-feedback:*"],
        "logs:PutLogEvents": ["arn:aws:logs:us-east-1:123456789012:log-group:/aws/lambda/shop-record-feedback:*"],
        "xray:PutTelemetryRecords": "*",
        "xray:PutTraceSegments": "*",
    }


def test_the_function_is_told_what_it_works_with() -> None:
    function = built().one("Function")
    assert function.inputs["handler"] == "handlers.record_feedback.handler"
    assert function.inputs["environment"]["variables"] == {
        "LEDGER_TABLE": "ledger",
        "STACK": "test",
        "LOG_LEVEL": "INFO",
        "CONTROL_TABLE": "control",
        "PRICES": PRICE_LIST,
    }


def test_the_queue_hides_a_message_long_enough_for_the_function() -> None:
    recorder = built()
    timeout = recorder.one("Function").inputs["timeout"]
    assert recorder.one("Queue", "shop-feedback").inputs["visibilityTimeoutSeconds"] == 6 * timeout


def test_a_failed_message_comes_again_alone_and_executions_are_bounded() -> None:
    inputs = built().one("EventSourceMapping").inputs
    assert inputs["functionResponseTypes"] == ["ReportBatchItemFailures"]
    assert inputs["scalingConfig"] == {"maximumConcurrency": 5}
    with pytest.raises(ValueError, match="maximum_concurrency is 1001"):
        built(maximum_concurrency=1001)


def test_outputs_lead_to_queue_and_function() -> None:
    assert record(lambda: DeliveryFeedback("shop", parts.feedback()))[1] == {
        "queue_arn": QUEUE,
        "queue_url": queue_url("shop-feedback"),
        "dlq_arn": f"{QUEUE}-dlq",
        "dlq_url": queue_url("shop-feedback-dlq"),
        "function_arn": "arn:aws:lambda:us-east-1:123456789012:function:shop-record-feedback:live",
        "function_name": "shop-record-feedback",
        "log_group_name": "/aws/lambda/shop-record-feedback",
    }
