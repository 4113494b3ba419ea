"""What EventBridge Scheduler starts: a schedule, and the role that lets it invoke one function and nothing else."""

from typing import Final

import pulumi
import pulumi_aws as aws

from components.policy import account_of, document, role_policy

# The least that Lambda and Scheduler allow an event to wait.
# https://docs.aws.amazon.com/lambda/latest/api/API_PutFunctionEventInvokeConfig.html
# https://docs.aws.amazon.com/scheduler/latest/APIReference/API_RetryPolicy.html
LEAST_EVENT_AGE: Final = 60

SCHEDULED_TIME: Final = "<aws.scheduler.scheduled-time>"
"""In a schedule's input, Scheduler puts the time in its place that the run was due.
https://docs.aws.amazon.com/scheduler/latest/UserGuide/managing-schedule-context-attributes.html"""


def scheduled(
    parent: pulumi.Resource,
    name: str,
    function_arn: pulumi.Output[str],
    *,
    expression: str,
    description: str,
    input: str | None = None,  # noqa: A002 - Scheduler's own word
    retries: int = 0,
    maximum_age: int = LEAST_EVENT_AGE,
) -> aws.scheduler.Schedule:
    """A schedule that invokes a function.

    Args:
        function_arn: of the alias that is invoked.
        expression: when, such as `rate(5 minutes)` or `cron(0 6 1 * ? *)`, in UTC.
        input: JSON that the function is handed; Scheduler replaces what stands in `<aws.scheduler...>`.
        retries: how often Scheduler hands the event to Lambda again, within `maximum_age` seconds, when Lambda did not
            take it. A run that fails is none of its business.
    """
    role = aws.iam.Role(
        f"{name}-schedule",
        assume_role_policy=_scheduler_of(account_of(function_arn)),
        opts=pulumi.ResourceOptions(parent=parent),
    )
    grant = aws.iam.RolePolicy(
        f"{name}-schedule",
        role=role.name,
        policy=role_policy([{"actions": ["lambda:InvokeFunction"], "resources": [function_arn]}]),
        opts=pulumi.ResourceOptions(parent=parent),
    )
    target: aws.scheduler.ScheduleTargetArgsDict = {
        "arn": function_arn,
        "role_arn": role.arn,
        "retry_policy": {"maximum_retry_attempts": retries, "maximum_event_age_in_seconds": maximum_age},
    }
    if input is not None:
        target["input"] = input
    return aws.scheduler.Schedule(
        name,
        description=description,
        schedule_expression=expression,
        flexible_time_window={"mode": "OFF"},
        target=target,
        opts=pulumi.ResourceOptions(parent=parent, depends_on=[grant]),
    )


def every(minutes: int) -> str:
    """The schedule expression of so many minutes."""
    return f"rate({minutes} minute{'' if minutes == 1 else 's'})"


def _scheduler_of(account: pulumi.Output[str]) -> pulumi.Output[str]:
    """The trust policy of a role that Scheduler assumes for this account's schedules, and nobody else's.

    https://docs.aws.amazon.com/scheduler/latest/UserGuide/cross-service-confused-deputy-prevention.html
    """
    return document(
        [
            {
                "Effect": "Allow",
                "Action": "sts:AssumeRole",
                "Principal": {"Service": "scheduler.amazonaws.com"},
                "Condition": {"StringEquals": {"aws:SourceAccount": account}},
            }
        ]
    )
