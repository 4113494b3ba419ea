"""A queue that topics fill and one consumer empties, with its dead-letter queue."""

from typing import Final, NotRequired, TypedDict

import pulumi
import pulumi_aws as aws

from components.checks import between, refuse, short_enough
from components.policy import document, encrypted_transport_only, service_may
from components.watch import FIVE_MINUTES, Alarm, Board, Comparison, Graph, Missing, Series, Severity, Watch

# The longest that SQS keeps anything: an outage that outlasts a long weekend must not cost an order.
RETENTION_SECONDS: Final = 14 * 24 * 3600
# The most that SQS takes. A queue must never refuse what another queue or a topic was able to hold.
MAX_MESSAGE_BYTES: Final = 1024 * 1024
# AWS's advice for SQS event sources: a batch may be waiting for a free execution, and be retried, for that long.
# https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html
VISIBILITY_PER_TIMEOUT: Final = 6
# AWS's advice is at least 5: an execution that is throttled at its concurrency limit counts as a receive, too. With
# a visibility timeout of three minutes, five receives ride out a fault of a quarter of an hour.
MAX_RECEIVE_COUNT: Final = 5


class SubscribedQueueArgs(TypedDict):
    """Where a SubscribedQueue's messages come from, and how long its consumer may take."""

    topic_arns: dict[str, pulumi.Input[str]]
    """ARNs of the topics that fill the queue, each under a label that names its subscription."""

    consumer_timeout_seconds: int
    """Timeout of the function that empties the queue. A received message stays hidden for six times as long."""

    filter_policy: NotRequired[str]
    """SNS filter policy (JSON) on message attributes: what does not match is not delivered. Default: everything is."""

    max_receive_count: NotRequired[int]
    """Tries before a message goes to the dead-letter queue, 1 to 1000. Default 5."""

    require_tls: NotRequired[bool]
    """Whether plain HTTP is denied. Default true; an emulator without TLS needs false."""


class SubscribedQueue(pulumi.ComponentResource):
    """A queue that only the given topics may fill. What its consumer keeps failing on, and what a topic cannot
    deliver to it, is in its dead-letter queue."""

    queue_arn: pulumi.Output[str]
    """ARN of the queue."""

    queue_url: pulumi.Output[str]
    """URL of the queue."""

    dlq_arn: pulumi.Output[str]
    """ARN of the dead-letter queue."""

    dlq_url: pulumi.Output[str]
    """URL of the dead-letter queue."""

    def __init__(self, name: str, args: SubscribedQueueArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        max_receive_count = args.get("max_receive_count", MAX_RECEIVE_COUNT)
        require_tls = args.get("require_tls", True)
        refuse(
            "SubscribedQueue",
            name,
            [
                short_enough("queue", f"{name}-dlq", 80),
                between("consumer_timeout_seconds", args["consumer_timeout_seconds"], 1, 900),
                between("max_receive_count", max_receive_count, 1, 1000),
                None if args["topic_arns"] else "topic_arns is empty",
            ],
        )
        super().__init__("mailroom:index:SubscribedQueue", name, None, opts)
        topics = list(args["topic_arns"].values())

        dlq = plain_queue(self, f"{name}-dlq")
        queue = plain_queue(
            self,
            name,
            visibility_timeout_seconds=VISIBILITY_PER_TIMEOUT * args["consumer_timeout_seconds"],
            redrive_policy=pulumi.Output.json_dumps(
                {"deadLetterTargetArn": dlq.arn, "maxReceiveCount": max_receive_count}, sort_keys=True
            ),
        )
        aws.sqs.RedriveAllowPolicy(
            f"{name}-dlq",
            queue_url=dlq.url,
            redrive_allow_policy=pulumi.Output.json_dumps(
                {"redrivePermission": "byQueue", "sourceQueueArns": [queue.arn]}, sort_keys=True
            ),
            opts=pulumi.ResourceOptions(parent=self),
        )
        policies = [
            queue_policy(self, label, each, topics, require_tls=require_tls)
            for label, each in ((name, queue), (f"{name}-dlq", dlq))
        ]
        for label, topic_arn in args["topic_arns"].items():
            aws.sns.TopicSubscription(
                f"{name}-{label}",
                topic=topic_arn,
                protocol="sqs",
                endpoint=queue.arn,
                raw_message_delivery=True,
                filter_policy=args.get("filter_policy"),
                filter_policy_scope="MessageAttributes" if "filter_policy" in args else None,
                redrive_policy=pulumi.Output.json_dumps({"deadLetterTargetArn": dlq.arn}),
                # A message published before the topic may write to the queue would be given up.
                opts=pulumi.ResourceOptions(parent=self, depends_on=policies),
            )

        self.queue_arn, self.queue_url = queue.arn, queue.url
        self.dlq_arn, self.dlq_url = dlq.arn, dlq.url
        self.register_outputs(
            {
                "queue_arn": self.queue_arn,
                "queue_url": self.queue_url,
                "dlq_arn": self.dlq_arn,
                "dlq_url": self.dlq_url,
            }
        )

    def watch(self, component: str, *, holds: str, oldest: int, severity: Severity, part_of: str = "") -> Watch:
        """How old the queue's oldest message is, and whether the dead-letter queue is empty, with their graphs.

        Args:
            component: what alarms and graphs call the queue.
            holds: what its messages are, in the plural.
            oldest: seconds that a message may wait.
            severity, part_of: of the alarm on waiting; a dead letter is a ticket, as it is kept for 14 days.
        """
        waiting = Alarm(
            component=component,
            condition="waiting",
            severity=severity,
            summary=f"{_capital(holds)} wait in {component} for over {oldest // 60} minutes: they are not being"
            " handled",
            signal=queue_series(self.queue_arn, "ApproximateAgeOfOldestMessage", "Maximum", "age of the oldest"),
            comparison=Comparison.ABOVE,
            threshold=oldest,
            because=f"{oldest} s; in order they wait for seconds. SQS leaves out what was received three times or"
            " more, so a"
            " single bad message does not count",
            period=FIVE_MINUTES,
            missing=Missing.NOT_BREACHING,
            missing_because="SQS stops reporting on a queue that has been empty for six hours",
            part_of=part_of,
        )
        dead = not_empty(f"{component}-dlq", self.dlq_arn, f"{_capital(holds)} were given up after every retry")
        section = f"Queue {component}"
        return Watch(
            alarms=[waiting, dead],
            widgets=[
                Graph(
                    board=Board.RESOURCES,
                    section=section,
                    title=f"How long the oldest of the {holds} has waited in {component}",
                    signals=[waiting.signal],
                    unit="seconds",
                    lines=[waiting],
                ),
                Graph(
                    board=Board.RESOURCES,
                    section=section,
                    title=f"How many {holds} wait, are being handled, and were given up",
                    signals=[
                        queue_series(self.queue_arn, "ApproximateNumberOfMessagesVisible", "Maximum", "waiting"),
                        queue_series(
                            self.queue_arn, "ApproximateNumberOfMessagesNotVisible", "Maximum", "being handled"
                        ),
                        dead.signal,
                    ],
                    unit="messages",
                    lines=[dead],
                ),
            ],
        )


def not_empty(component: str, queue_arn: pulumi.Input[str], summary: str) -> Alarm:
    """The alarm on a queue where nothing should be. It looks at what is there, not at what was sent: SQS does not count
    what it moves there itself as sent."""
    return Alarm(
        component=component,
        condition="not-empty",
        severity=Severity.TICKET,
        summary=f"{summary}: they are kept for 14 days in {component}",
        signal=queue_series(queue_arn, "ApproximateNumberOfMessagesVisible", "Maximum", "given up"),
        comparison=Comparison.AT_LEAST,
        threshold=1,
        because="one message: each is somebody's, and nothing here goes away by itself",
        period=FIVE_MINUTES,
        missing=Missing.NOT_BREACHING,
        missing_because="SQS stops reporting on a queue that has been empty for six hours",
    )


def queue_series(queue_arn: pulumi.Input[str], metric: str, stat: str, label: str) -> Series:
    """A series of a queue, by its ARN: its metrics have its name, the ARN's last part."""
    name = pulumi.Output.from_input(queue_arn).apply(lambda arn: arn.rsplit(":", 1)[-1])
    return Series(namespace="AWS/SQS", metric=metric, dimensions={"QueueName": name}, stat=stat, label=label)


def plain_queue(
    parent: pulumi.Resource,
    name: str,
    *,
    visibility_timeout_seconds: int | None = None,
    redrive_policy: pulumi.Output[str] | None = None,
) -> aws.sqs.Queue:
    """An encrypted queue that keeps what it is given as long and as large as SQS allows."""
    return aws.sqs.Queue(
        name,
        sqs_managed_sse_enabled=True,
        message_retention_seconds=RETENTION_SECONDS,
        max_message_size=MAX_MESSAGE_BYTES,
        visibility_timeout_seconds=visibility_timeout_seconds,
        redrive_policy=redrive_policy,
        opts=pulumi.ResourceOptions(parent=parent),
    )


def own_queue(parent: pulumi.Resource, name: str, *, require_tls: bool) -> aws.sqs.Queue:
    """A queue that only the account's own identities use and, with `require_tls`, not over plain HTTP."""
    queue = plain_queue(parent, name)
    if require_tls:
        aws.sqs.QueuePolicy(
            name,
            queue_url=queue.url,
            policy=document([encrypted_transport_only("sqs:*", queue.arn)]),
            opts=pulumi.ResourceOptions(parent=parent),
        )
    return queue


def queue_policy(
    parent: pulumi.Resource,
    name: str,
    queue: aws.sqs.Queue,
    topic_arns: list[pulumi.Input[str]],
    *,
    require_tls: bool,
) -> aws.sqs.QueuePolicy:
    """The policy of a queue that only these topics may send to, besides the account's own identities."""
    statements = [service_may("sns.amazonaws.com", "sqs:SendMessage", queue.arn, topic_arns)]
    if require_tls:
        statements.append(encrypted_transport_only("sqs:*", queue.arn))
    return aws.sqs.QueuePolicy(
        name, queue_url=queue.url, policy=document(statements), opts=pulumi.ResourceOptions(parent=parent)
    )


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
