"""Where orders come in: a topic, the queue that buffers them, and the places for those that cannot be handled."""

import json
from typing import Final, NotRequired, TypedDict

import pulumi
import pulumi_aws as aws

from components.checks import refuse, short_enough
from components.policy import Document, account_of, account_root, document, encrypted_transport_only
from components.queues import SubscribedQueue, not_empty, own_queue, queue_series
from components.watch import (
    FIVE_MINUTES,
    MINUTE,
    PIPELINE_DOWN,
    Alarm,
    Board,
    Comparison,
    Graph,
    Missing,
    Series,
    Severity,
    Watch,
)
from handlers.telemetry.contract import LANE_ATTRIBUTE, Lane

# The AWS-managed key is enough here: only identities of this account publish orders, and SNS may use it for them.
SNS_MANAGED_KEY = "alias/aws/sns"


# An order that SES puts off comes back after the waits of handlers.mail.sending.backoff. Its last try is 2 + 4 + ... +
# 256 + 3 x 300 s after its first, over 23 minutes: a pause or an outage of a quarter of an hour leaves nothing to
# redrive. One try is to spare, as an execution that Lambda throttles uses one up as well.
MAX_RECEIVE_COUNT: Final = 12

QUEUES: Final = {Lane.CONFIRMATION: "send-email", Lane.PROBE: "send-probe"}
"""The name of each lane's queue: each has its own, so that one can be held while the others go on."""

# Twenty times what an order may take (30 s).
OLDEST_ORDER: Final = 10 * MINUTE


class LaneQueue(TypedDict):
    """A lane's queue, and where what it gives up goes."""

    arn: pulumi.Output[str]
    """ARN of the queue."""

    url: pulumi.Output[str]
    """URL of the queue."""

    dlq_arn: pulumi.Output[str]
    """ARN of its dead-letter queue."""

    dlq_url: pulumi.Output[str]
    """URL of its dead-letter queue."""


class OrderIntakeArgs(TypedDict):
    """How orders are taken in."""

    consumer_timeout_seconds: int
    """Timeout of the function that empties the queues."""

    kms_key_id: NotRequired[pulumi.Input[str]]
    """Id, ARN or alias of the KMS key that encrypts the topic. Default: the AWS-managed key of SNS."""

    max_receive_count: NotRequired[int]
    """Tries before an order goes to the dead-letter queue. Default 12."""

    traced: NotRequired[bool]
    """Whether the topic adds its own segments to a publisher's X-Ray trace, which it hands on in any case. Default
    true; an emulator without X-Ray needs false."""

    require_tls: NotRequired[bool]
    """Whether plain HTTP is denied. Default true; an emulator without TLS needs false."""


class OrderIntake(pulumi.ComponentResource):
    """Topic `order-confirmations`; for each lane a queue, which takes from it the messages whose attribute
    `messageType` is the lane's name (`send-email` for confirmations, `send-probe` for probes), with its dead-letter
    queue; and a quarantine for orders that no retry would mend."""

    topic_arn: pulumi.Output[str]
    """ARN of the topic that order systems publish to."""

    send_queue_arn: pulumi.Output[str]
    """ARN of the queue of orders to confirm."""

    send_queue_url: pulumi.Output[str]
    """URL of the queue of orders to confirm."""

    send_dlq_arn: pulumi.Output[str]
    """ARN of the dead-letter queue."""

    send_dlq_url: pulumi.Output[str]
    """URL of the dead-letter queue."""

    queues: dict[str, LaneQueue]
    """Each lane's queue, by the lane's name."""

    quarantine_queue_arn: pulumi.Output[str]
    """ARN of the queue of malformed orders."""

    quarantine_queue_url: pulumi.Output[str]
    """URL of the queue of malformed orders."""

    def __init__(self, name: str, args: OrderIntakeArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        require_tls = args.get("require_tls", True)
        traced = args.get("traced", True)
        refuse("OrderIntake", name, [short_enough("topic", f"{name}-order-confirmations", 256)])
        super().__init__("mailroom:index:OrderIntake", name, None, opts)

        topic = aws.sns.Topic(
            f"{name}-order-confirmations",
            kms_master_key_id=args.get("kms_key_id", SNS_MANAGED_KEY),
            tracing_config="Active" if traced else "PassThrough",
            opts=pulumi.ResourceOptions(parent=self),
        )
        if traced:
            # Without it the topic's segments are lost, and nothing says so.
            aws.xray.ResourcePolicy(
                f"{name}-order-confirmations",
                policy_name=topic.name,
                policy_document=document([_topic_traces(topic)]),
                opts=pulumi.ResourceOptions(parent=self),
            )
        # In place of the policy that AWS gives every topic, whose condition lets in whatever claims this account as
        # its source, AWS services included.
        publishers = {
            "Sid": "AccountPublishes",
            "Effect": "Allow",
            "Principal": {"AWS": account_root(topic.arn)},
            "Action": "sns:Publish",
            "Resource": topic.arn,
        }
        aws.sns.TopicPolicy(
            f"{name}-order-confirmations",
            arn=topic.arn,
            policy=document(
                [publishers, *([encrypted_transport_only("sns:Publish", topic.arn)] if require_tls else [])]
            ),
            opts=pulumi.ResourceOptions(parent=self),
        )
        sends = {
            lane: SubscribedQueue(
                f"{name}-{queue}",
                {
                    "topic_arns": {"orders": topic.arn},
                    "filter_policy": json.dumps({LANE_ATTRIBUTE: [lane.value]}),
                    "consumer_timeout_seconds": args["consumer_timeout_seconds"],
                    "max_receive_count": args.get("max_receive_count", MAX_RECEIVE_COUNT),
                    "require_tls": require_tls,
                },
                pulumi.ResourceOptions(parent=self),
            )
            for lane, queue in QUEUES.items()
        }
        quarantine = own_queue(self, f"{name}-quarantine", require_tls=require_tls)

        self._sends = sends
        self._topic_name = topic.name
        self.topic_arn = topic.arn
        self.queues = {
            lane.value: {
                "arn": queue.queue_arn,
                "url": queue.queue_url,
                "dlq_arn": queue.dlq_arn,
                "dlq_url": queue.dlq_url,
            }
            for lane, queue in sends.items()
        }
        send = sends[Lane.CONFIRMATION]
        self.send_queue_arn, self.send_queue_url = send.queue_arn, send.queue_url
        self.send_dlq_arn, self.send_dlq_url = send.dlq_arn, send.dlq_url
        self.quarantine_queue_arn, self.quarantine_queue_url = quarantine.arn, quarantine.url
        self.register_outputs(
            {
                "topic_arn": self.topic_arn,
                "send_queue_arn": self.send_queue_arn,
                "send_queue_url": self.send_queue_url,
                "send_dlq_arn": self.send_dlq_arn,
                "send_dlq_url": self.send_dlq_url,
                "queues": self.queues,
                "quarantine_queue_arn": self.quarantine_queue_arn,
                "quarantine_queue_url": self.quarantine_queue_url,
            }
        )

    def watch(self) -> Watch:
        """Orders that wait, were given up, were put aside, or were dropped at the door."""
        dropped = Alarm(
            component="intake",
            condition="orders-dropped",
            severity=Severity.PAGE,
            summary="Orders without the attribute messageType are dropped: their customers get no email",
            signal=Series(
                namespace="AWS/SNS",
                metric="NumberOfNotificationsFilteredOut-NoMessageAttributes",
                dimensions={"TopicName": self._topic_name},
                stat="Sum",
                label="dropped",
            ),
            comparison=Comparison.AT_LEAST,
            threshold=1,
            because="one message: SNS keeps nothing of what a filter policy drops, so it is lost until its sender"
            " repeats it",
            period=FIVE_MINUTES,
            missing=Missing.NOT_BREACHING,
            missing_because="SNS reports only when something was dropped",
        )
        quarantined = not_empty("quarantine", self.quarantine_queue_arn, "Malformed orders were put aside")
        # That probes wait, the prober tells: they are late then.
        probes = self.queues[Lane.PROBE]
        dead_probes = not_empty("send-probe-dlq", probes["dlq_arn"], "Probes were given up after every retry")
        section = "Topic of orders, and quarantine"
        waiting = self._sends[Lane.CONFIRMATION].watch(
            "send-queue", holds="orders", oldest=OLDEST_ORDER, severity=Severity.PAGE, part_of=PIPELINE_DOWN
        )
        return waiting + Watch(
            alarms=[dropped, quarantined, dead_probes],
            widgets=[
                Graph(
                    board=Board.RESOURCES,
                    section=section,
                    title="Messages that reached the topic of orders, and those dropped for want of messageType",
                    signals=[
                        Series(
                            namespace="AWS/SNS",
                            metric="NumberOfMessagesPublished",
                            dimensions={"TopicName": self._topic_name},
                            stat="Sum",
                            label="published",
                        ),
                        dropped.signal,
                    ],
                    unit="messages in 5 min",
                    lines=[dropped],
                ),
                Graph(
                    board=Board.RESOURCES,
                    section=section,
                    title="Malformed orders in quarantine",
                    signals=[
                        queue_series(
                            self.quarantine_queue_arn, "ApproximateNumberOfMessagesVisible", "Maximum", "in quarantine"
                        )
                    ],
                    unit="orders",
                    lines=[quarantined],
                ),
                Graph(
                    board=Board.RESOURCES,
                    section="Queue send-queue",
                    title="How many probes wait, are being handled, and were given up",
                    signals=[
                        queue_series(probes["arn"], "ApproximateNumberOfMessagesVisible", "Maximum", "waiting"),
                        queue_series(
                            probes["arn"], "ApproximateNumberOfMessagesNotVisible", "Maximum", "being handled"
                        ),
                        dead_probes.signal,
                    ],
                    unit="messages",
                    lines=[dead_probes],
                ),
            ],
        )


def _topic_traces(topic: aws.sns.Topic) -> Document:
    """The statement by which X-Ray lets a topic write its segments.

    https://docs.aws.amazon.com/sns/latest/dg/sns-active-tracing.html
    """
    return {
        "Sid": "TopicTraces",
        "Effect": "Allow",
        "Principal": {"Service": "sns.amazonaws.com"},
        "Action": ["xray:GetSamplingRules", "xray:GetSamplingTargets", "xray:PutTraceSegments"],
        "Resource": "*",  # X-Ray has no resources to name
        "Condition": {
            "StringEquals": {"aws:SourceAccount": account_of(topic.arn)},
            "StringLike": {"aws:SourceArn": topic.arn},
        },
    }
