"""What the handlers' functions share: the code they run on, their environment, how a queue is mapped to a function."""

import json
from collections.abc import Sequence
from typing import Final, NotRequired, Protocol, TypedDict

import pulumi
import pulumi_aws as aws

from components.cost import EMAIL, PRICES
from components.function import LOG_LEVEL, LOG_RETENTION_DAYS, MEMORY_MB, InstrumentedFunction, InstrumentedFunctionArgs
from components.policy import Statement
from handlers.telemetry.contract import METERED

TIMEOUT_SECONDS: Final = 30
# As many as SQS hands out at a time. More would need a longer batching window, and so slower letters.
BATCH_SIZE: Final = 10
# Long enough for a burst to fill its batches, too short for anybody to notice.
BATCHING_WINDOW_SECONDS: Final = 1
# The range of ScalingConfig.MaximumConcurrency.
# https://docs.aws.amazon.com/lambda/latest/api/API_ScalingConfig.html
CONCURRENCY: Final = (2, 1000)

# What the cost report works savings out with, beside what is metered (handlers/reporting/recommendations.py).
_SAVED: Final = ("cloudwatch.metric", "logs.gb-month")
# An email at the dearer of SES's plans.
PRICE_LIST: Final = json.dumps(
    {name: f"{EMAIL if name == 'ses.email' else PRICES[name].each:f}" for name in (*METERED, *_SAVED)}, sort_keys=True
)
"""USD for one unit, by the name of the price, as the handlers read it."""


class HandlerRuntime(TypedDict):
    """The code that the handlers run on, and how they log."""

    code: pulumi.Input[pulumi.Archive]
    """Archive of the handlers."""

    layer_arns: list[pulumi.Input[str]]
    """ARNs of the layer versions with the packages that the handlers import."""

    stack: str
    """Name of the deployment, for logs and metrics."""

    control_table_name: pulumi.Input[str]
    """Name of the control table, where the handlers add up what they spend."""

    control_table_arn: pulumi.Input[str]
    """ARN of the control table."""

    log_level: NotRequired[str]
    """Least severe level logged: DEBUG, INFO, WARN or ERROR. Default INFO."""

    log_retention_days: NotRequired[int]
    """Days that the logs are kept. Default 30."""


class Handler(Protocol):
    """What every component with a handler's function says of it."""

    function_name: pulumi.Output[str]
    """Name of the function."""

    log_group_name: pulumi.Output[str]
    """Name of its log group."""


def handler_function(
    parent: pulumi.Resource,
    name: str,
    *,
    handler: str,
    description: str,
    runtime: HandlerRuntime,
    statements: Sequence[Statement],
    environment: dict[str, pulumi.Input[str]],
    timeout_seconds: int = TIMEOUT_SECONDS,
    memory_mb: int = MEMORY_MB,
    failure_queue_arn: pulumi.Input[str] | None = None,
) -> InstrumentedFunction:
    """A function that runs a handler. What every handler needs is added to `environment` (STACK, LOG_LEVEL,
    CONTROL_TABLE, PRICES) and to `statements` (adding to the tally of what it spends)."""
    log_level = runtime.get("log_level", LOG_LEVEL)
    args: InstrumentedFunctionArgs = {
        "handler": handler,
        "description": description,
        "code": runtime["code"],
        "layers": runtime["layer_arns"],
        "memory_mb": memory_mb,
        "timeout_seconds": timeout_seconds,
        "log_level": log_level,
        "log_retention_days": runtime.get("log_retention_days", LOG_RETENTION_DAYS),
        "environment": {
            **environment,
            "STACK": runtime["stack"],
            "LOG_LEVEL": log_level,
            "CONTROL_TABLE": runtime["control_table_name"],
            "PRICES": PRICE_LIST,
        },
        "statements": [
            *statements,
            {"actions": ["dynamodb:UpdateItem"], "resources": [runtime["control_table_arn"]]},
        ],
    }
    if failure_queue_arn is not None:
        args["failure_queue_arn"] = failure_queue_arn
    return InstrumentedFunction(name, args, pulumi.ResourceOptions(parent=parent))


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
    come again. What `handler_function` says is added, and to `statements` what the event source needs."""
    function = handler_function(
        parent,
        name,
        handler=handler,
        description=description,
        runtime=runtime,
        statements=[*statements, polls([queue_arn])],
        environment=environment,
    )
    map_queue(parent, name, queue_arn, function, maximum_concurrency=maximum_concurrency)
    return function


def polls(queue_arns: Sequence[pulumi.Input[str]]) -> Statement:
    """What Lambda needs to poll queues with the function's role."""
    return {
        "actions": ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"],
        "resources": list(queue_arns),
    }


def map_queue(
    parent: pulumi.Resource,
    name: str,
    queue_arn: pulumi.Input[str],
    function: InstrumentedFunction,
    *,
    maximum_concurrency: int,
    ignore_changes: list[str] | None = None,
) -> aws.lambda_.EventSourceMapping:
    """The event source mapping from a queue to a function that answers with what it failed on. Of `ignore_changes`
    somebody else takes care once the mapping is there."""
    return aws.lambda_.EventSourceMapping(
        name,
        event_source_arn=queue_arn,
        function_name=function.alias_arn,
        batch_size=BATCH_SIZE,
        maximum_batching_window_in_seconds=BATCHING_WINDOW_SECONDS,
        function_response_types=["ReportBatchItemFailures"],
        scaling_config={"maximum_concurrency": maximum_concurrency},
        opts=pulumi.ResourceOptions(parent=parent, ignore_changes=ignore_changes),
    )
