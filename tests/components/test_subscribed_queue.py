"""SubscribedQueue: only its topics fill it, and nothing that reached it is lost."""

from __future__ import annotations

import pytest

from components.queues import SubscribedQueue, SubscribedQueueArgs
from tests.components import parts
from tests.components.recorder import Recorder, record

SEND = "arn:aws:sqs:us-east-1:123456789012:send"
DLQ = "arn:aws:sqs:us-east-1:123456789012:send-dlq"
FORTNIGHT = 14 * 24 * 3600


def built(**changes: object) -> Recorder:
    args: SubscribedQueueArgs = {**parts.queue(), **changes}  # type: ignore[typeddict-item]
    return record(lambda: SubscribedQueue("send", args))[0]


@pytest.mark.parametrize("name", ["send", "send-dlq"])
def test_both_queues_are_encrypted_and_keep_everything_for_a_fortnight(name: str) -> None:
    inputs = built().one("Queue", name).inputs
    assert inputs["sqsManagedSseEnabled"] is True
    assert inputs["messageRetentionSeconds"] == FORTNIGHT
    assert inputs["maxMessageSize"] == 1024 * 1024, "as large as SQS takes"


def test_a_received_message_stays_hidden_for_six_times_the_consumers_timeout() -> None:
    assert built(consumer_timeout_seconds=20).one("Queue", "send").inputs["visibilityTimeoutSeconds"] == 120


def test_what_keeps_failing_goes_to_the_dead_letter_queue() -> None:
    redrive = built(max_receive_count=7).one("Queue", "send").document("redrivePolicy")
    assert redrive == {"deadLetterTargetArn": DLQ, "maxReceiveCount": 7}


def test_no_other_queue_may_use_the_dead_letter_queue() -> None:
    allow = built().one("RedriveAllowPolicy")
    assert allow.inputs["queueUrl"].endswith("/send-dlq")
    assert allow.document("redriveAllowPolicy") == {"redrivePermission": "byQueue", "sourceQueueArns": [SEND]}


@pytest.mark.parametrize(("name", "arn"), [("send", SEND), ("send-dlq", DLQ)])
def test_only_the_topic_may_send_to_either_queue_and_only_over_tls(name: str, arn: str) -> None:
    policy = built().one("QueuePolicy", name)
    assert policy.statements() == {
        "OnlyFromSource": {
            "Sid": "OnlyFromSource",
            "Effect": "Allow",
            "Principal": {"Service": "sns.amazonaws.com"},
            "Action": "sqs:SendMessage",
            "Resource": arn,
            "Condition": {"ArnEquals": {"aws:SourceArn": [parts.ORDERS]}},
        },
        "DenyPlainHttp": {
            "Sid": "DenyPlainHttp",
            "Effect": "Deny",
            "Principal": "*",
            "Action": "sqs:*",
            "Resource": arn,
            "Condition": {"Bool": {"aws:SecureTransport": "false"}},
        },
    }


def test_plain_http_can_be_let_in_for_an_emulator() -> None:
    assert set(built(require_tls=False).one("QueuePolicy", "send").statements()) == {"OnlyFromSource"}


def test_each_topic_has_a_raw_subscription_with_a_dead_letter_queue_of_its_own() -> None:
    recorder = built(topic_arns={"orders": parts.ORDERS, "refunds": parts.ORDERS + "-refunds"})
    assert recorder.names("TopicSubscription") == ["send-orders", "send-refunds"]
    inputs = recorder.one("TopicSubscription", "send-orders")
    assert inputs.inputs["rawMessageDelivery"] is True
    assert (inputs.inputs["protocol"], inputs.inputs["endpoint"]) == ("sqs", SEND)
    assert inputs.document("redrivePolicy") == {"deadLetterTargetArn": DLQ}
    assert "filterPolicy" not in inputs.inputs


def test_a_filter_looks_at_message_attributes() -> None:
    inputs = built(filter_policy='{"kind": ["a"]}').one("TopicSubscription").inputs
    assert (inputs["filterPolicy"], inputs["filterPolicyScope"]) == ('{"kind": ["a"]}', "MessageAttributes")


def test_a_topic_delivers_only_once_it_may() -> None:
    subscription = built().one("TopicSubscription")
    assert {"QueuePolicy send", "QueuePolicy send-dlq"} <= set(subscription.dependencies)


def test_wrong_arguments_are_refused_together() -> None:
    with pytest.raises(ValueError, match=r"consumer_timeout_seconds is 0.*max_receive_count is 0.*topic_arns is empty"):
        built(topic_arns={}, consumer_timeout_seconds=0, max_receive_count=0)
