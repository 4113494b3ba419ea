"""From SES's events to the ledger: the queue that gathers them and the function that records them."""

from typing import Final, NotRequired, TypedDict

import pulumi

from components.checks import between, refuse
from components.consumer import CONCURRENCY, TIMEOUT_SECONDS, HandlerRuntime, consume
from components.queues import SubscribedQueue

HANDLER: Final = "handlers.record_feedback.handler"
# Each letter yields two or three events, each a read and a write of some milliseconds: five executions keep up with
# well over a hundred letters a second, and leave the account's other functions alone.
MAXIMUM_CONCURRENCY: Final = 5


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
