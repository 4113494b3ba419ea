"""Cases of the rules on functions and what calls them."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pulumi_aws as aws

from policies.runtimes import DEPRECATED
from tests.policies.cases import Case, Given, Hidden, Program
from tests.policies.parts import ACCOUNT, REGION, ROLE, fallback, function, log_group, mapping, queue, worker

STREAM = f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/orders/stream/2026-01-01T00:00:00.000"
ELSEWHERE = f"arn:aws:sqs:{REGION}:{ACCOUNT}:theirs"
FAILED = {"on_failure": {"destination_arn": f"arn:aws:sqs:{REGION}:{ACCOUNT}:failed"}}


def nothing() -> None:
    log_group("orders")


def one(**overrides: Any) -> Program:
    """A function that nobody of the stack calls."""

    def program() -> None:
        fallback("resize", function("resize", **overrides))

    return program


def lost(**overrides: Any) -> Program:
    """The same, without a destination for what fails."""
    return lambda: function("resize", **overrides)


def fed(source: Any = None, target: Any = None, **overrides: Any) -> Program:
    """A queue, a function that handles its messages, and the mapping."""

    def program() -> None:
        mapping("resize", queue("resize", **(source or {})), function("resize", **(target or {})), **overrides)

    return program


def from_elsewhere(**overrides: Any) -> Program:
    """A function that handles the messages of a queue that is not the stack's."""

    def program() -> None:
        target = function("resize")
        given = {"function_response_types": ["ReportBatchItemFailures"], **overrides}
        aws.lambda_.EventSourceMapping("resize", event_source_arn=ELSEWHERE, function_name=target.name, **given)

    return program


def to_elsewhere() -> None:
    """A queue whose messages another stack's function handles."""
    aws.lambda_.EventSourceMapping(
        "resize",
        event_source_arn=queue("resize").arn,
        function_name="theirs",
        function_response_types=["ReportBatchItemFailures"],
    )


def without_dead_letters() -> None:
    """A dead-letter queue that somebody empties with a function: it has none of its own."""
    target = function("resize", timeout=5)
    queue("photos")
    aws.lambda_.EventSourceMapping(
        "resize",
        event_source_arn=f"arn:aws:sqs:{REGION}:{ACCOUNT}:photos-dlq",
        function_name=target.arn,
        function_response_types=["ReportBatchItemFailures"],
    )


def follower(target: Any = None, **overrides: Any) -> Program:
    """A function that follows a table."""

    def program() -> None:
        given = {"starting_position": "LATEST", "destination_config": FAILED, **overrides}
        made = function("resize", **(target or {}))
        alias = aws.lambda_.Alias("resize", name="live", function_name=made.name, function_version="1")
        aws.lambda_.EventSourceMapping("resize", event_source_arn=STREAM, function_name=alias.arn, **given)

    return program


def permit(target: aws.lambda_.Function, principal: str) -> None:
    """A service may call the function."""
    aws.lambda_.Permission(
        "resize", function=target.name, action="lambda:InvokeFunction", principal=principal, source_account=ACCOUNT
    )


def schedule(target: aws.lambda_.Function) -> None:
    """A schedule calls the function."""
    aws.scheduler.Schedule(
        "resize",
        schedule_expression="rate(5 minutes)",
        flexible_time_window={"mode": "OFF"},
        target={"arn": target.arn, "role_arn": ROLE},
    )


def busy(*callers: str, kept: bool = False, **overrides: Any) -> Program:
    """A function that is called in several ways: by a queue, a schedule, at its URL, by a service."""

    def program() -> None:
        made = function("resize", **overrides)
        if "queue" in callers:
            mapping("resize", queue("resize"), made)
        if "schedule" in callers:
            schedule(made)
        if "url" in callers:
            aws.lambda_.FunctionUrl("resize", function_name=made.name, authorization_type="AWS_IAM")
        for principal in (each for each in callers if "." in each):
            permit(made, principal)
        if kept:
            fallback("resize", made)

    return program


def beside(**overrides: Any) -> Program:
    """A function that nobody calls, beside one that somebody does."""

    def program() -> None:
        worker("photos")
        other = function("letters")
        schedule(other)
        permit(other, "apigateway.amazonaws.com")
        fallback("letters", other)
        function("resize", **overrides)

    return program


UNBOUND: dict[str, Any] = {"reserved_concurrent_executions": None}
IMAGE = {"package_type": "Image", "image_uri": f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/resize:1", "runtime": None}
END = DEPRECATED["python3.13"] or date.max

API, S3 = "apigateway.amazonaws.com", "s3.amazonaws.com"

CASES = {
    "function-traced": Case(
        violated=(one(tracing_config=None), one(tracing_config={"mode": "PassThrough"})),
        satisfied=one(),
        unknown=Hidden(resource="Function resize", path="tracingConfig.mode"),
        not_applicable=nothing,
    ),
    "function-runtime-supported": Case(
        violated=(
            one(runtime="python3.9"),
            one(runtime="python4.0"),
            Given(program=one(), today=END),
        ),
        satisfied=(one(), one(runtime="python3.15"), Given(program=one(), today=date(2028, 12, 31))),
        unknown=(
            Hidden(resource="Function resize", path="runtime"),
            Hidden(resource="Function resize", path="packageType"),
        ),
        not_applicable=(nothing, one(**IMAGE)),
    ),
    "function-runtime-lasting": Case(
        violated=(
            one(runtime="nodejs22.x"),
            Given(program=one(), today=END - timedelta(days=180)),
            Given(program=one(), today=END - timedelta(days=1), settings={"days": 1}),
        ),
        satisfied=(one(), Given(program=one(), today=END - timedelta(days=181))),
        unknown=Hidden(resource="Function resize", path="runtime"),
        not_applicable=(
            nothing,
            one(**IMAGE),
            one(runtime="python3.15"),
            one(runtime="python3.9"),
            Given(program=one(), today=END),
        ),
    ),
    "function-failures-kept": Case(
        violated=(
            lost(),
            beside(),
            without_dead_letters,
            follower(destination_config=None),
            busy("schedule"),
            busy(S3),
            busy("queue", "schedule"),
            busy("queue", S3),
            busy("url", "schedule"),
            busy(API, "schedule"),
            busy("queue", "url", "schedule"),
            busy("url", S3),
        ),
        satisfied=(
            one(),
            lost(dead_letter_config={"target_arn": ELSEWHERE}),
            fed(),
            fed(target={"name": "resizer"}),
            fed(function_name="resize:live"),
            from_elsewhere(),
            follower(),
            busy("schedule", kept=True),
            busy(S3, kept=True),
            busy("queue", "schedule", kept=True),
            busy("queue", "url"),
            busy("queue", API),
        ),
        unknown=(
            Hidden(resource="Function resize", path="deadLetterConfig", program=lost()),
            Hidden(resource="FunctionEventInvokeConfig resize", path="destinationConfig"),
            Hidden(resource="FunctionEventInvokeConfig resize", path="functionName"),
            Hidden(resource="EventSourceMapping resize", path="functionName", program=fed()),
            Hidden(resource="EventSourceMapping resize", path="eventSourceArn", program=fed()),
            Hidden(resource="Queue resize", path="redrivePolicy", program=fed()),
            Hidden(resource="Queue resize", path="arn", program=fed()),
            Hidden(resource="EventSourceMapping resize", path="destinationConfig", program=follower()),
            Hidden(resource="Permission resize", path="principal", program=busy(S3)),
        ),
        not_applicable=(nothing, busy("url"), busy(API)),
    ),
    "function-concurrency-bounded": Case(
        violated=(
            one(**UNBOUND),
            beside(dead_letter_config={"target_arn": ELSEWHERE}, **UNBOUND),
            one(reserved_concurrent_executions=-1),
            fed(target=UNBOUND, scaling_config=None),
            busy("url", **UNBOUND),
            busy("url", "schedule", kept=True, **UNBOUND),
            busy(S3, "schedule", kept=True, **UNBOUND),
        ),
        satisfied=(
            one(),
            one(reserved_concurrent_executions=0),
            fed(target=UNBOUND),
            follower(target=UNBOUND),
            busy("schedule", kept=True, **UNBOUND),
            busy("queue", "schedule", kept=True, **UNBOUND),
            busy(API),
        ),
        unknown=(
            Hidden(resource="Function resize", path="reservedConcurrentExecutions"),
            Hidden(resource="EventSourceMapping resize", path="scalingConfig", program=fed(target=UNBOUND)),
            Hidden(resource="Permission resize", path="function", program=busy(S3, **UNBOUND)),
            Hidden(resource="Schedule resize", path="target.arn", program=busy("schedule", **UNBOUND)),
        ),
        not_applicable=(
            nothing,
            Given(program=one(**UNBOUND), settings={"unbounded": {"resize": "it is called once a year"}}),
        ),
    ),
    "function-log-group": Case(
        violated=(
            one(logging_config={"log_format": "JSON", "log_group": "/aws/lambda/other"}),
            one(name="other", logging_config=None),
        ),
        satisfied=(one(), one(logging_config=None), one(logging_config={"log_format": "JSON"})),
        unknown=(
            Hidden(resource="Function resize", path="loggingConfig"),
            Hidden(resource="LogGroup /aws/lambda/resize", path="name"),
        ),
        not_applicable=nothing,
    ),
    "mapping-hides-messages": Case(
        violated=(
            fed(source={"visibility_timeout_seconds": 179}),
            fed(source={"visibility_timeout_seconds": None}),
            fed(source={"visibility_timeout_seconds": 17}, target={"timeout": None}),
            fed(source={"visibility_timeout_seconds": 0}, target={"timeout": 1}),
            fed(source={"visibility_timeout_seconds": None}, target={"timeout": 6}),
        ),
        satisfied=(
            fed(),
            fed(source={"visibility_timeout_seconds": 18}, target={"timeout": None}),
            fed(source={"visibility_timeout_seconds": None}, target={"timeout": 5}),
        ),
        unknown=(
            Hidden(resource="Queue resize", path="visibilityTimeoutSeconds"),
            Hidden(resource="Function resize", path="timeout"),
            Hidden(resource="Queue resize", path="arn"),
            Hidden(resource="EventSourceMapping resize", path="functionName"),
        ),
        not_applicable=(one(), follower(), from_elsewhere(), to_elsewhere),
    ),
    "mapping-reports-failures": Case(
        violated=(fed(function_response_types=None), fed(function_response_types=[], batch_size=2)),
        satisfied=(fed(), fed(batch_size=10)),
        unknown=(
            Hidden(resource="EventSourceMapping resize", path="functionResponseTypes", program=fed()),
            Hidden(resource="EventSourceMapping resize", path="eventSourceArn", program=fed()),
        ),
        not_applicable=(one(), follower(), fed(function_response_types=None, batch_size=1)),
    ),
}
