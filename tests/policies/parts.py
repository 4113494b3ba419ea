"""What the programs of the cases are made of: each part is as the pack wants it, so a program differs in one thing.

Every part takes overrides as its resource takes arguments; None takes an argument away.
"""

from __future__ import annotations

import json
from typing import Any, Final

import pulumi_aws as aws

ACCOUNT: Final = "123456789012"
REGION: Final = "us-east-1"
PAGES: Final = f"arn:aws:sns:{REGION}:{ACCOUNT}:pages"
ROLE: Final = f"arn:aws:iam::{ACCOUNT}:role/worker"
RUNBOOK: Final = "https://runbook.example.com"
TAGS: Final = {"project": "shop", "stack": "prod"}
"""The provider's default tags in every case."""

FOURTEEN_DAYS: Final = 14 * 24 * 3600


def surroundings() -> None:
    """What every stack has to have, whatever else is in it: a budget for what has its tags."""
    budget("month")


def budget(name: str, **overrides: Any) -> aws.budgets.Budget:
    """A budget that counts what has the stack's tags, and tells somebody."""
    given = {
        "budget_type": "COST",
        "limit_amount": "100",
        "limit_unit": "USD",
        "time_unit": "MONTHLY",
        "filter_expression": {"ands": [tagged(key) for key in TAGS]},
        "notifications": [
            {
                "comparison_operator": "GREATER_THAN",
                "threshold": 80,
                "threshold_type": "PERCENTAGE",
                "notification_type": "ACTUAL",
                "subscriber_sns_topic_arns": [PAGES],
            }
        ],
        **overrides,
    }
    return aws.budgets.Budget(name, **given)


def tagged(key: str, *values: str) -> dict[str, Any]:
    """What filters by a tag: by the stack's own value of it, or by others."""
    return {"tags": {"key": key, "values": list(values or [TAGS[key]])}}


def policy(*statements: dict[str, Any]) -> str:
    """A policy document."""
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def https_only(action: str, resource: str) -> dict[str, Any]:
    """The statement that denies plain HTTP."""
    return {
        "Effect": "Deny",
        "Principal": "*",
        "Action": action,
        "Resource": resource,
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }


def queue_arn(name: str) -> str:
    return f"arn:aws:sqs:{REGION}:{ACCOUNT}:{name}"


def plain_queue(name: str, /, **overrides: Any) -> aws.sqs.Queue:
    """An encrypted queue with its policy, but nowhere to put what fails. What it holds is kept for 14 days."""
    given = {"sqs_managed_sse_enabled": True, "message_retention_seconds": FOURTEEN_DAYS, **overrides}
    made = aws.sqs.Queue(name, **given)
    aws.sqs.QueuePolicy(name, queue_url=made.url, policy=made.arn.apply(lambda arn: policy(https_only("sqs:*", arn))))
    return made


def dead_letter_queue(name: str, /, **overrides: Any) -> aws.sqs.Queue:
    """A queue for what fails, and the alarm that it is not empty."""
    made = plain_queue(name, **overrides)
    alarm(
        f"{name}-not-empty",
        namespace="AWS/SQS",
        metric_name="ApproximateNumberOfMessagesVisible",
        dimensions={"QueueName": made.name},
    )
    return made


def queue(name: str, /, **overrides: Any) -> aws.sqs.Queue:
    """A queue with its dead-letter queue `NAME-dlq`."""
    dead = dead_letter_queue(f"{name}-dlq")
    redrive = dead.arn.apply(lambda arn: json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": 3}))
    return plain_queue(name, **{"redrive_policy": redrive, "visibility_timeout_seconds": 180, **overrides})


def alarm(name: str, /, **overrides: Any) -> aws.cloudwatch.MetricAlarm:
    """An alarm that tells somebody, and where to read what to do."""
    given = {
        "alarm_description": f"Something is wrong. Runbook: {RUNBOOK}#{name}",
        "alarm_actions": [PAGES],
        "ok_actions": [PAGES],
        "treat_missing_data": "notBreaching",
        "comparison_operator": "GreaterThanOrEqualToThreshold",
        "threshold": 1,
        "evaluation_periods": 1,
        "period": 300,
        "statistic": "Maximum",
        "namespace": "Shop",
        "metric_name": "Failures",
        **overrides,
    }
    return aws.cloudwatch.MetricAlarm(name, **given)


def log_group(name: str, /, **overrides: Any) -> aws.cloudwatch.LogGroup:
    """A log group whose records are kept for a month."""
    return aws.cloudwatch.LogGroup(name, **{"retention_in_days": 30, **overrides})


def function(name: str, /, **overrides: Any) -> aws.lambda_.Function:
    """A function with its log group `/aws/lambda/NAME`. `fallback` is for events that it fails on."""
    log = log_group(f"/aws/lambda/{name}")
    given = {
        "role": ROLE,
        "runtime": "python3.13",
        "handler": "worker.handler",
        "timeout": 30,
        "reserved_concurrent_executions": 5,
        "tracing_config": {"mode": "Active"},
        "logging_config": {"log_format": "JSON", "log_group": log.name},
        **overrides,
    }
    return aws.lambda_.Function(name, **given)


def fallback(name: str, target: aws.lambda_.Function, /, **overrides: Any) -> aws.lambda_.FunctionEventInvokeConfig:
    """Events that a function fails on go to a queue of somebody else's."""
    given = {"destination_config": {"on_failure": {"destination": queue_arn("failed")}}, **overrides}
    return aws.lambda_.FunctionEventInvokeConfig(name, function_name=target.name, **given)


def mapping(
    name: str, source: aws.sqs.Queue, target: aws.lambda_.Function, /, **overrides: Any
) -> aws.lambda_.EventSourceMapping:
    """A queue's messages go to a function, which answers with those that it failed on."""
    given = {
        "event_source_arn": source.arn,
        "function_name": target.arn,
        "function_response_types": ["ReportBatchItemFailures"],
        "scaling_config": {"maximum_concurrency": 5},
        **overrides,
    }
    return aws.lambda_.EventSourceMapping(name, **given)


def worker(name: str, /, **overrides: Any) -> tuple[aws.sqs.Queue, aws.lambda_.Function]:
    """A queue, and the function that handles its messages. `overrides` are the function's."""
    source, target = queue(name), function(name, **overrides)
    mapping(name, source, target)
    return source, target
