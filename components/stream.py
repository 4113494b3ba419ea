"""A function that follows a table: each write that it asks for is handed to it, at least once and in order by key."""

import json
from collections.abc import Sequence
from typing import Any, Final

import pulumi
import pulumi_aws as aws

from components.function import InstrumentedFunction
from components.policy import Statement

# Lambda holds back what comes after a batch that fails, so it must not try for ever: waits between tries double from
# one second. What three did not mend is put aside, and a schedule or the next write looks at the table itself.
RETRIES: Final = 3


def follow(
    parent: pulumi.Resource,
    name: str,
    stream_arn: pulumi.Input[str],
    function: InstrumentedFunction,
    failure_queue_arn: pulumi.Input[str],
    *,
    patterns: Sequence[dict[str, Any]],
    batch_size: int = 100,
    batching_window_seconds: int | None = None,
) -> aws.lambda_.EventSourceMapping:
    """The event source mapping from a table's stream to a function.

    Args:
        failure_queue_arn: of the queue that takes the positions of batches that were given up.
        patterns: what a record has to look like, any of them.
            https://docs.aws.amazon.com/lambda/latest/dg/with-ddb-filtering.html
        batch_size: records that the function is handed at most.
        batching_window_seconds: how long Lambda gathers them; by default not at all.
    """
    return aws.lambda_.EventSourceMapping(
        name,
        event_source_arn=stream_arn,
        function_name=function.alias_arn,
        # The oldest there is: Lambda takes a while until it follows, and what is written meanwhile is not to be missed.
        starting_position="TRIM_HORIZON",
        batch_size=batch_size,
        maximum_batching_window_in_seconds=batching_window_seconds,
        maximum_retry_attempts=RETRIES,
        filter_criteria={"filters": [{"pattern": json.dumps(each, sort_keys=True)} for each in patterns]},
        destination_config={"on_failure": {"destination_arn": failure_queue_arn}},
        opts=pulumi.ResourceOptions(parent=parent),
    )


def reads(stream_arn: pulumi.Input[str]) -> Statement:
    """What Lambda needs to read a stream with the function's role.

    https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/iam-policy-example-lamda-process-dynamodb-streams.html
    """
    return {
        "actions": [
            "dynamodb:DescribeStream",
            "dynamodb:GetRecords",
            "dynamodb:GetShardIterator",
            "dynamodb:ListStreams",
        ],
        "resources": [stream_arn],
    }
