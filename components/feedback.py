"""From SES's events to the ledger: the queue that gathers them and the function that records them."""

from typing import Final, NotRequired, TypedDict

import pulumi

from components.checks import between, refuse
from components.consumer import CONCURRENCY, TIMEOUT_SECONDS, HandlerRuntime, consume
from components.queues import SubscribedQueue
from components.watch import (
    MINUTE,
    Alarm,
    Board,
    Comparison,
    Expression,
    Graph,
    Missing,
    SavedQuery,
    Severity,
    Watch,
    own,
)
from handlers.telemetry.contract import (
    DELIVERIES,
    DELIVERY_DELAYS,
    DELIVERY_LATENCY,
    DELIVERY_MISSES,
    EMAILS_SENT,
    FEEDBACK_MISSES,
    FEEDBACK_UNMATCHED,
    REJECTS,
    SOFT_BOUNCES,
    SUPPRESSIONS,
)

HANDLER: Final = "handlers.record_feedback.handler"
# Each letter yields two or three events, each a read and a write of some milliseconds: five executions keep up with
# well over a hundred letters a second, and leave the account's other functions alone.
MAXIMUM_CONCURRENCY: Final = 5


# The events of ten emails take seconds to come; half an hour without any is no slow mail server.
SILENCE: Final = 30 * MINUTE
SILENCE_VOLUME: Final = 10
# What a customer who has just ordered waits for before wondering.
SLOW_DELIVERY_MS: Final = 30_000
# 60,000 emails a month are 20 in a quarter of an hour, of which one slow one alone is no 95th percentile. CloudWatch's
# own minimum is 200 ("Percentile-based alarms and low data samples"): ten times as much as we send.
SLOW_DELIVERY: Final = 15 * MINUTE
SLOW_DELIVERY_VOLUME: Final = 20
OLDEST_EVENT: Final = 15 * MINUTE

# Log lines carry the milestone that an event reached as `message` (handlers/mail/lifecycle.py).
BOUNCES_BY_REASON: Final = (
    'filter message in ["bouncedAt", "softBouncedAt", "suppressedAt", "rejectedAt", "complainedAt"] and news'
    " | stats count(*) as emails, latest(order_id) as example by message as outcome, reason | sort emails desc"
)


class DeliveryFeedbackArgs(TypedDict):
    """Where SES's events come from and where they are recorded."""

    runtime: HandlerRuntime
    """The code that the function runs on."""

    delivery_topic_arn: pulumi.Input[str]
    """ARN of the topic with Send, Reject, Delivery, DeliveryDelay and Rendering Failure events."""

    bounce_topic_arn: pulumi.Input[str]
    """ARN of the topic with Bounce events."""

    complaint_topic_arn: pulumi.Input[str]
    """ARN of the topic with Complaint events."""

    ledger_table_name: pulumi.Input[str]
    """Name of the ledger's table."""

    ledger_table_arn: pulumi.Input[str]
    """ARN of the ledger's table."""

    maximum_concurrency: NotRequired[int]
    """Most executions at a time, 2 to 1000. Default 5."""

    require_tls: NotRequired[bool]
    """Whether the queues deny plain HTTP. Default true; an emulator without TLS needs false."""


class DeliveryFeedback(pulumi.ComponentResource):
    """Queue `feedback`, filled by the three topics, its dead-letter queue, and function `record-feedback`."""

    queue_arn: pulumi.Output[str]
    """ARN of the queue."""

    queue_url: pulumi.Output[str]
    """URL of the queue."""

    dlq_arn: pulumi.Output[str]
    """ARN of the dead-letter queue."""

    dlq_url: pulumi.Output[str]
    """URL of the dead-letter queue."""

    function_arn: pulumi.Output[str]
    """ARN of the function's alias `live`."""

    function_name: pulumi.Output[str]
    """Name of the function."""

    log_group_name: pulumi.Output[str]
    """Name of the function's log group."""

    def __init__(self, name: str, args: DeliveryFeedbackArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        concurrency = args.get("maximum_concurrency", MAXIMUM_CONCURRENCY)
        refuse("DeliveryFeedback", name, [between("maximum_concurrency", concurrency, *CONCURRENCY)])
        super().__init__("mailroom:index:DeliveryFeedback", name, None, opts)

        queue = SubscribedQueue(
            f"{name}-feedback",
            {
                "topic_arns": {
                    "delivery": args["delivery_topic_arn"],
                    "bounce": args["bounce_topic_arn"],
                    "complaint": args["complaint_topic_arn"],
                },
                "consumer_timeout_seconds": TIMEOUT_SECONDS,
                "require_tls": args.get("require_tls", True),
            },
            pulumi.ResourceOptions(parent=self),
        )
        function = consume(
            self,
            f"{name}-record-feedback",
            queue.queue_arn,
            handler=HANDLER,
            description="Records in the ledger what SES says became of each letter",
            runtime=args["runtime"],
            statements=[
                {"actions": ["dynamodb:GetItem", "dynamodb:UpdateItem"], "resources": [args["ledger_table_arn"]]},
            ],
            environment={"LEDGER_TABLE": args["ledger_table_name"]},
            maximum_concurrency=concurrency,
        )

        self._queue = queue
        self._function = function
        self._stack = args["runtime"]["stack"]
        self.queue_arn, self.queue_url = queue.queue_arn, queue.queue_url
        self.dlq_arn, self.dlq_url = queue.dlq_arn, queue.dlq_url
        self.function_arn = function.alias_arn
        self.function_name = function.function_name
        self.log_group_name = function.log_group_name
        self.register_outputs(
            {
                "queue_arn": self.queue_arn,
                "queue_url": self.queue_url,
                "dlq_arn": self.dlq_arn,
                "dlq_url": self.dlq_url,
                "function_arn": self.function_arn,
                "function_name": self.function_name,
                "log_group_name": self.log_group_name,
            }
        )

    def watch(self) -> Watch:
        """Whether what SES reports reaches the ledger, and what it says."""
        stack = self._stack
        silent = Alarm(
            component="record-feedback",
            condition="silent",
            severity=Severity.PAGE,
            summary="Emails go out, and no feedback comes back: bounces and complaints go unseen",
            signal=Expression(
                formula=f"IF(FILL(sent, 0) >= {SILENCE_VOLUME} AND FILL(events, 0) < 1, 1, 0)",
                series={"sent": own(EMAILS_SENT, stack), "events": own(FEEDBACK_MISSES, stack, stat="SampleCount")},
                label="1 while emails go out and no feedback comes",
            ),
            comparison=Comparison.AT_LEAST,
            threshold=1,
            because=f"{SILENCE_VOLUME} emails in {SILENCE // 60} min and not one event; SES tells of each within"
            " seconds",
            period=SILENCE,
            missing=Missing.NOT_BREACHING,
            missing_because="without emails there is nothing to report",
            at_least=f"{SILENCE_VOLUME} emails in the period",
        )
        slow = Alarm(
            component="delivery",
            condition="slow",
            severity=Severity.TICKET,
            summary="Emails take over 30 s to the customer's mail server: one in twenty, or more",
            signal=Expression(
                formula=f"IF(FILL(delivered, 0) >= {SLOW_DELIVERY_VOLUME}, slowest, 0)",
                series={
                    "delivered": own(DELIVERY_LATENCY, stack, stat="SampleCount"),
                    "slowest": own(DELIVERY_LATENCY, stack, stat="p95"),
                },
                label="95 % are faster",
            ),
            comparison=Comparison.ABOVE,
            threshold=SLOW_DELIVERY_MS,
            because="30 s, in ms: what a customer waits for before wondering. Includes the time that other mail"
            " servers take",
            period=SLOW_DELIVERY,
            missing=Missing.NOT_BREACHING,
            missing_because="without deliveries nothing is slow; that emails go out is watched elsewhere",
            at_least=f"{SLOW_DELIVERY_VOLUME} deliveries in the period: one slow one alone is no alarm",
        )
        return (
            Watch(
                metrics=[
                    DELIVERIES,
                    DELIVERY_DELAYS,
                    DELIVERY_LATENCY,
                    DELIVERY_MISSES,
                    FEEDBACK_MISSES,
                    FEEDBACK_UNMATCHED,
                    REJECTS,
                    SOFT_BOUNCES,
                    SUPPRESSIONS,
                ],
                alarms=[silent, slow],
                queries=[
                    SavedQuery(name="bounces-by-reason", query=BOUNCES_BY_REASON, log_groups=[self.log_group_name])
                ],
                widgets=[
                    Graph(
                        board=Board.OUTCOMES,
                        section="Are emails going out?",
                        title="Emails delivered to the customer's mail server",
                        signals=[own(DELIVERIES, stack, label="delivered")],
                        unit="emails in 5 min",
                    ),
                    Graph(
                        board=Board.OUTCOMES,
                        section="Are emails going out?",
                        title="From the order to the customer's mail server: half are faster, 95 % are faster",
                        signals=[
                            own(DELIVERY_LATENCY, stack, stat="p50", label="half are faster"),
                            own(DELIVERY_LATENCY, stack, stat="p95", label="95 % are faster"),
                        ],
                        unit="ms",
                        lines=[slow],
                    ),
                    Graph(
                        board=Board.OUTCOMES,
                        section="To whom do they not go out?",
                        title="Emails sent that did not arrive: given up, suppressed, rejected, delayed",
                        signals=[
                            own(SOFT_BOUNCES, stack, label="given up"),
                            own(SUPPRESSIONS, stack, label="suppressed"),
                            own(REJECTS, stack, label="rejected"),
                            own(DELIVERY_DELAYS, stack, label="delayed so far"),
                        ],
                        unit="emails in 5 min",
                    ),
                    Graph(
                        board=Board.RESOURCES,
                        section="Function record-feedback",
                        title="SES events that name no email of ours",
                        signals=[own(FEEDBACK_UNMATCHED, stack, label="unmatched")],
                        unit="events in 5 min",
                    ),
                ],
            )
            + self._queue.watch("feedback-queue", holds="SES events", oldest=OLDEST_EVENT, severity=Severity.TICKET)
            + self._function.watch("record-feedback", consequence="the ledger does not learn what became of emails")
        )
