"""What the consumers of both queues share: the code they run on, and how a queue is mapped to a function."""

from typing import Final, NotRequired, TypedDict

import pulumi
import pulumi_aws as aws

from components.function import LOG_LEVEL, LOG_RETENTION_DAYS, InstrumentedFunction
from components.policy import Statement

TIMEOUT_SECONDS: Final = 30
# As many as SQS hands out at a time. More would need a longer batching window, and so slower letters.
BATCH_SIZE: Final = 10
# Long enough for a burst to fill its batches, too short for anybody to notice.
BATCHING_WINDOW_SECONDS: Final = 1
# The range of ScalingConfig.MaximumConcurrency.
# https://docs.aws.amazon.com/lambda/latest/api/API_ScalingConfig.html
CONCURRENCY: Final = (2, 1000)


class HandlerRuntime(TypedDict):
    """The code that the handlers run on, and how they log."""

    code: pulumi.Input[pulumi.Archive]
    """Archive of the handlers."""

    layer_arns: list[pulumi.Input[str]]
    """ARNs of the layer versions with the packages that the handlers import."""

    stack: str
    """Name of the deployment, for logs and metrics."""

    log_level: NotRequired[str]
    """Least severe level logged: DEBUG, INFO, WARN or ERROR. Default INFO."""

    log_retention_days: NotRequired[int]
    """Days that the logs are kept. Default 30."""


def consume(
    parent: pulumi.Resource,
    name: str,
    queue_arn: pulumi.Input[str],
    *,
    handler: str,
    description: str,
    runtime: HandlerRuntime,
    statements: list[Statement],
    environment: dict[str, pulumi.Input[str]],
    maximum_concurrency: int,
) -> InstrumentedFunction:
    """A function that empties a queue in batches and answers with the messages it failed on, so that only those
    come again. STACK and LOG_LEVEL are added to `environment`, what the event source needs to `statements`."""
    log_level = runtime.get("log_level", LOG_LEVEL)
    function = InstrumentedFunction(
        name,
        {
            "handler": handler,
            "description": description,
            "code": runtime["code"],
            "layers": runtime["layer_arns"],
            "timeout_seconds": TIMEOUT_SECONDS,
            "log_level": log_level,
            "log_retention_days": runtime.get("log_retention_days", LOG_RETENTION_DAYS),
            "environment": {**environment, "STACK": runtime["stack"], "LOG_LEVEL": log_level},
            "statements": [
                *statements,
                # Lambda polls with the function's role.
                {
                    "actions": ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"],
                    "resources": [queue_arn],
                },
            ],
        },
        pulumi.ResourceOptions(parent=parent),
    )
    aws.lambda_.EventSourceMapping(
        name,
        event_source_arn=queue_arn,
        function_name=function.alias_arn,
        batch_size=BATCH_SIZE,
        maximum_batching_window_in_seconds=BATCHING_WINDOW_SECONDS,
        function_response_types=["ReportBatchItemFailures"],
        scaling_config={"maximum_concurrency": maximum_concurrency},
        opts=pulumi.ResourceOptions(parent=parent),
    )
    return function
