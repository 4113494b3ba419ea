"""OrderIntake: an encrypted topic, its queue, and a place for orders that no retry would mend."""

from __future__ import annotations

from components.intake import QUEUES, OrderIntake, OrderIntakeArgs
from components.watch import Watch
from handlers.mail.sending import backoff
from handlers.telemetry.contract import Lane
from tests.components.recorder import Recorder, queue_url, record

TOPIC = "arn:aws:sns:us-east-1:123456789012:shop-order-confirmations"


def built(**changes: object) -> Recorder:
    args: OrderIntakeArgs = {"consumer_timeout_seconds": 30, **changes}  # type: ignore[typeddict-item]
    return record(lambda: OrderIntake("shop", args))[0]


def test_the_topic_is_encrypted_by_the_managed_key_unless_another_is_given() -> None:
    assert built().one("Topic").inputs["kmsMasterKeyId"] == "alias/aws/sns"
    assert built(kms_key_id="alias/orders").one("Topic").inputs["kmsMasterKeyId"] == "alias/orders"


def test_only_this_account_publishes_and_only_over_tls() -> None:
    statements = built().one("TopicPolicy").statements()
    assert set(statements) == {"AccountPublishes", "DenyPlainHttp"}
    owner = statements["AccountPublishes"]
    assert owner["Principal"] == {"AWS": "arn:aws:iam::123456789012:root"}
    assert (owner["Action"], owner["Resource"]) == ("sns:Publish", TOPIC)
    assert statements["DenyPlainHttp"]["Resource"] == TOPIC


def test_each_lane_has_a_queue_that_nothing_else_reaches() -> None:
    recorder = built()
    for queue, lane in (("send-email", "order-confirmation"), ("send-probe", "probe")):
        subscription = recorder.one("TopicSubscription", f"shop-{queue}-orders")
        assert subscription.inputs["topic"] == TOPIC
        assert subscription.document("filterPolicy") == {"messageType": [lane]}
    assert list(QUEUES) == list(Lane), "a message of a lane without a queue would be dropped at the topic"


def tries(recorder: Recorder) -> int:
    count: int = recorder.one("Queue", "shop-send-email").document("redrivePolicy")["maxReceiveCount"]
    return count


def test_an_order_that_ses_puts_off_is_still_tried_after_a_quarter_of_an_hour() -> None:
    last_try = sum(map(backoff, range(1, tries(built()))))
    assert last_try >= 15 * 60, "or a pause that short leaves orders for somebody to redrive"
    assert last_try < 60 * 60, "and yet somebody hears of it within the hour"


def test_the_number_of_tries_can_be_set() -> None:
    assert tries(built(max_receive_count=7)) == 7


def test_quarantine_holds_an_order_and_its_reason_and_takes_no_plain_http() -> None:
    recorder = built()
    inputs = recorder.one("Queue", "shop-quarantine").inputs
    assert inputs["maxMessageSize"] > 256 * 1024, "the largest order that SNS delivers, and the reason beside it"
    assert inputs["messageRetentionSeconds"] == 14 * 24 * 3600
    assert "redrivePolicy" not in inputs, "quarantine is an end, not a stop on the way"
    assert set(recorder.one("QueuePolicy", "shop-quarantine").statements()) == {"DenyPlainHttp"}


def test_the_topic_may_write_its_own_segments_and_no_other_topic_under_that_name() -> None:
    recorder = built()
    assert recorder.one("Topic").inputs["tracingConfig"] == "Active"
    statement = recorder.one("ResourcePolicy").statements("policyDocument")["TopicTraces"]
    assert statement["Principal"] == {"Service": "sns.amazonaws.com"}
    assert statement["Condition"]["StringLike"] == {"aws:SourceArn": TOPIC}


def test_an_emulator_without_tls_and_tracing_can_be_used() -> None:
    recorder = built(traced=False, require_tls=False)
    assert not recorder.all("ResourcePolicy")
    assert recorder.one("Topic").inputs["tracingConfig"] == "PassThrough"
    assert set(recorder.one("TopicPolicy").statements()) == {"AccountPublishes"}
    assert recorder.names("QueuePolicy") == [
        "shop-send-email",
        "shop-send-email-dlq",
        "shop-send-probe",
        "shop-send-probe-dlq",
    ]


def test_of_probes_only_those_that_were_given_up_are_told_of_here() -> None:
    watches: list[Watch] = []

    def build() -> OrderIntake:
        intake = OrderIntake("shop", {"consumer_timeout_seconds": 30})
        watches.append(intake.watch())
        return intake

    record(build)
    assert [alarm.name for alarm in watches[0].alarms if alarm.component.startswith("send-probe")] == [
        "send-probe-dlq-not-empty-ticket"
    ]


def test_outputs_lead_to_the_topic_and_to_each_queue() -> None:
    outputs = record(lambda: OrderIntake("shop", {"consumer_timeout_seconds": 30}))[1]
    assert outputs == {
        "topic_arn": TOPIC,
        "send_queue_arn": "arn:aws:sqs:us-east-1:123456789012:shop-send-email",
        "send_queue_url": queue_url("shop-send-email"),
        "send_dlq_arn": "arn:aws:sqs:us-east-1:123456789012:shop-send-email-dlq",
        "send_dlq_url": queue_url("shop-send-email-dlq"),
        "queues": {
            lane: {
                "arn": f"arn:aws:sqs:us-east-1:123456789012:{queue}",
                "url": queue_url(queue),
                "dlq_arn": f"arn:aws:sqs:us-east-1:123456789012:{queue}-dlq",
                "dlq_url": queue_url(f"{queue}-dlq"),
            }
            for lane, queue in (("order-confirmation", "shop-send-email"), ("probe", "shop-send-probe"))
        },
        "quarantine_queue_arn": "arn:aws:sqs:us-east-1:123456789012:shop-quarantine",
        "quarantine_queue_url": queue_url("shop-quarantine"),
    }
