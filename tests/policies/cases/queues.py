"""Cases of the rules on what is put aside."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from typing import Any

import pulumi
import pulumi_aws as aws

from tests.policies.cases import Case, Given, Hidden, Program
from tests.policies.parts import (
    ACCOUNT,
    FOURTEEN_DAYS,
    REGION,
    ROLE,
    alarm,
    dead_letter_queue,
    fallback,
    function,
    log_group,
    mapping,
    plain_queue,
    queue,
)

DAY = 24 * 3600
FOUR_DAYS = 4 * DAY
BACKLOG = "ApproximateNumberOfMessagesVisible"
STREAM = f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/orders/stream/2026-01-01T00:00:00.000"

Uses = Callable[[aws.sqs.Queue], object]
"""What makes a queue one for what is given up."""


def nothing() -> None:
    log_group("orders")


def redrive(arn: str) -> str:
    return json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": 3})


# What makes a queue `dead` a dead-letter queue


def of_queue(dead: aws.sqs.Queue) -> None:
    plain_queue("orders", redrive_policy=dead.arn.apply(redrive))


def of_redrive_policy(dead: aws.sqs.Queue) -> None:
    orders = plain_queue("orders")
    aws.sqs.RedrivePolicy("orders", queue_url=orders.url, redrive_policy=dead.arn.apply(redrive))


def of_subscription(dead: aws.sqs.Queue) -> None:
    aws.sns.TopicSubscription(
        "orders",
        topic=f"arn:aws:sns:{REGION}:{ACCOUNT}:orders",
        protocol="sqs",
        endpoint=f"arn:aws:sqs:{REGION}:{ACCOUNT}:theirs",
        redrive_policy=dead.arn.apply(redrive),
    )


def of_event_target(dead: aws.sqs.Queue) -> None:
    arn = f"arn:aws:sqs:{REGION}:{ACCOUNT}:theirs"
    aws.cloudwatch.EventTarget("orders", rule="orders", arn=arn, dead_letter_config={"arn": dead.arn})


def of_schedule(dead: aws.sqs.Queue) -> None:
    aws.scheduler.Schedule(
        "orders",
        schedule_expression="rate(1 hour)",
        flexible_time_window={"mode": "OFF"},
        target={
            "arn": f"arn:aws:sqs:{REGION}:{ACCOUNT}:theirs",
            "role_arn": ROLE,
            "dead_letter_config": {"arn": dead.arn},
        },
    )


def of_function(dead: aws.sqs.Queue) -> aws.lambda_.Function:
    made = function("worker")
    fallback("worker", made, destination_config={"on_failure": {"destination": dead.arn}})
    return made


def of_function_itself(dead: aws.sqs.Queue) -> aws.lambda_.Function:
    made = function("worker", dead_letter_config={"target_arn": dead.arn})
    fallback("worker", made)
    return made


def of_somebody_else(dead: aws.sqs.Queue) -> None:
    """What another stack's function fails on."""
    aws.lambda_.FunctionEventInvokeConfig(
        "theirs", function_name="theirs", destination_config={"on_failure": {"destination": dead.arn}}
    )


def of_follower(dead: aws.sqs.Queue) -> aws.lambda_.Function:
    made = function("worker")
    alias = aws.lambda_.Alias("worker", name="live", function_name=made.name, function_version="1")
    aws.lambda_.EventSourceMapping(
        "worker",
        event_source_arn=STREAM,
        function_name=alias.arn,
        starting_position="LATEST",
        destination_config={"on_failure": {"destination_arn": dead.arn}},
    )
    return made


# Who watches it


def watched(name: str, dimension: str, of: pulumi.Input[str], metric: str = BACKLOG) -> aws.cloudwatch.MetricAlarm:
    return alarm(name, namespace="AWS/SQS", metric_name=metric, dimensions={dimension: of})


def calculated(name: str, dimension: str, of: pulumi.Input[str], metric: str = BACKLOG) -> aws.cloudwatch.MetricAlarm:
    """The same by an expression."""
    read = {"metric_name": metric, "namespace": "AWS", "period": 300, "stat": "Maximum", "dimensions": {dimension: of}}
    queries = [
        {"id": "filled", "expression": "FILL(counted, 0)", "return_data": True},
        {"id": "counted", "metric": read},
    ]
    without = dict.fromkeys(("metric_name", "namespace", "statistic", "period"))
    return alarm(name, **without, metric_queries=queries)


def unwatched(uses: Uses, other: Uses = lambda _: None) -> Program:
    """A dead-letter queue without an alarm on what is in it."""

    def program() -> None:
        dead = plain_queue("dead")
        uses(dead)
        other(dead)

    return program


def of_two(dead: aws.sqs.Queue) -> None:
    """A function's failures, of which an alarm tells, and a subscription's, of which none does."""
    watched("failing", "FunctionName", of_function(dead).name, "Errors")
    of_subscription(dead)


def failing(uses: Callable[[aws.sqs.Queue], aws.lambda_.Function], watch: Any = watched) -> Program:
    """A queue for what a function fails on, and an alarm on the function's errors."""
    return lambda: watch("failing", "FunctionName", uses(plain_queue("dead")).name, "Errors")


def watching(uses: Uses, watch: Any) -> Program:
    """A dead-letter queue with the alarm."""

    def program() -> None:
        dead = plain_queue("dead")
        uses(dead)
        watch("given-up", "QueueName", dead.name)

    return program


def kept(dead: int | None, source: int | None, uses: Any = None) -> Program:
    """A queue that keeps messages for `source` seconds, and its dead-letter queue."""

    def program() -> None:
        aside = dead_letter_queue("dead", message_retention_seconds=dead)
        if uses:
            uses(aside)
        else:
            plain_queue("orders", redrive_policy=aside.arn.apply(redrive), message_retention_seconds=source)

    return program


def two_sources() -> None:
    """Of two queues, the second keeps messages for longer than the dead-letter queue of both."""
    dead = dead_letter_queue("dead", message_retention_seconds=DAY)
    plain_queue("brief", redrive_policy=dead.arn.apply(redrive), message_retention_seconds=60)
    plain_queue("orders", redrive_policy=dead.arn.apply(redrive), message_retention_seconds=FOUR_DAYS)


def of_unknown_too(dead: aws.sqs.Queue) -> None:
    """One queue that is known to put aside here, and one that may do so."""
    of_queue(dead)
    plain_queue("brief", redrive_policy=redrive(f"arn:aws:sqs:{REGION}:{ACCOUNT}:theirs"))


def either() -> None:
    """A queue with a redrive policy that is made of two dead-letter queues."""
    one, other = dead_letter_queue("one"), dead_letter_queue("other")
    plain_queue("orders", redrive_policy=pulumi.Output.all(one.arn, other.arn).apply(lambda arns: redrive(arns[0])))


def worker() -> None:
    mapping("worker", queue("orders"), function("worker"))


CASES = {
    "dead-letter-queue": Case(
        violated=(
            partial(plain_queue, "orders"),
            lambda: (queue("orders"), plain_queue("payments")),
        ),
        satisfied=(
            partial(queue, "orders"),
            lambda: of_redrive_policy(dead_letter_queue("dead")),
            worker,
        ),
        unknown=Hidden(resource="Queue orders", path="redrivePolicy"),
        not_applicable=(
            nothing,
            *(
                unwatched(each)
                for each in (
                    of_subscription,
                    of_event_target,
                    of_schedule,
                    of_function,
                    of_function_itself,
                    of_follower,
                )
            ),
        ),
    ),
    "dead-letters-alarmed": Case(
        violated=(
            *(
                unwatched(each)
                for each in (
                    of_queue,
                    of_redrive_policy,
                    of_subscription,
                    of_event_target,
                    of_schedule,
                    of_function,
                    of_function_itself,
                    of_follower,
                    of_somebody_else,
                    of_two,
                )
            ),
            watching(of_queue, lambda name, dimension, of: watched(name, dimension, of, "NumberOfMessagesSent")),
            watching(of_queue, lambda name, dimension, of: watched(name, "TopicName", of)),
            watching(of_queue, lambda name, dimension, of: watched(name, dimension, "other")),
            watching(of_queue, lambda name, dimension, of: calculated(name, dimension, "other")),
            failing(of_function, lambda name, dimension, of, metric: watched(name, dimension, "other", metric)),
            failing(of_function, lambda name, dimension, of, _: watched(name, dimension, of, "Throttles")),
            Given(program=unwatched(of_unknown_too), hides=(Hidden(resource="Queue brief", path="redrivePolicy"),)),
        ),
        satisfied=(
            partial(queue, "orders"),
            Given(
                program=partial(queue, "orders"),
                hides=(Hidden(resource="orders-dlq-not-empty", path="dimensions.QueueName"),),
            ),
            watching(of_redrive_policy, watched),
            watching(of_queue, calculated),
            watching(of_function, watched),
            watching(of_two, watched),
            failing(of_function),
            failing(of_function, calculated),
            failing(of_function_itself),
            failing(of_follower),
        ),
        unknown=(
            Hidden(resource="orders-dlq-not-empty", path="metricName"),
            Hidden(resource="given-up", path="metricQueries", program=watching(of_queue, calculated)),
            Hidden(resource="failing", path="metricName", program=failing(of_function)),
            Hidden(resource="EventSourceMapping worker", path="functionName", program=failing(of_follower)),
            Hidden(resource="Queue orders", path="redrivePolicy", program=either),
        ),
        not_applicable=(nothing, partial(plain_queue, "orders")),
    ),
    "dead-letters-kept": Case(
        violated=(
            kept(DAY, FOURTEEN_DAYS),
            kept(FOURTEEN_DAYS - 1, FOURTEEN_DAYS),
            kept(None, FOURTEEN_DAYS),
            kept(None, FOUR_DAYS + 1),
            kept(FOUR_DAYS - 1, None),
            kept(DAY, None, of_redrive_policy),
            two_sources,
        ),
        satisfied=(
            kept(FOURTEEN_DAYS, FOURTEEN_DAYS),
            kept(FOURTEEN_DAYS, DAY),
            kept(None, FOUR_DAYS),
            kept(FOUR_DAYS, None),
            kept(None, None),
            kept(FOURTEEN_DAYS, None, of_redrive_policy),
        ),
        unknown=(
            Hidden(resource="Queue dead", path="messageRetentionSeconds"),
            Hidden(resource="Queue orders", path="messageRetentionSeconds"),
        ),
        not_applicable=(nothing, partial(plain_queue, "orders"), kept(DAY, None, of_subscription)),
    ),
}
