"""A Lambda function with all that running it takes: role, logs, tracing, version, alias, failure destination."""

from typing import Final, NotRequired, TypedDict

import pulumi
import pulumi_aws as aws

from components.checks import between, one_of, refuse, short_enough
from components.policy import Statement, faults, role_policy, trust
from components.watch import FIVE_MINUTES, Alarm, Board, Comparison, Graph, Missing, Series, Severity, Watch

RUNTIME: Final = "python3.13"
ARCHITECTURE: Final = "arm64"  # a fifth cheaper than x86_64 for the same time
ALIAS: Final = "live"

# Lambda's share of a vCPU grows with memory: 512 MB is 0.29 vCPU, enough for the ten concurrent calls of one batch,
# which mostly wait; below 256 MB the cold start's imports take seconds.
MEMORY_MB: Final = 512
TIMEOUT_SECONDS: Final = 30
LOG_RETENTION_DAYS: Final = 30
# Two more tries, AWS's default and maximum, within an hour: what has not worked by then needs a person.
ASYNC_RETRIES: Final = 2
ASYNC_MAX_AGE_SECONDS: Final = 3600

LOG_LEVEL: Final = "INFO"
LOG_LEVELS: Final = ("DEBUG", "INFO", "WARN", "ERROR")

# Four fifths of the timeout leave a slow quarter of an hour to find out before invocations are killed half-way.
SLOW: Final = 0.8


class InstrumentedFunctionArgs(TypedDict):
    """What an InstrumentedFunction is made of."""

    handler: str
    """Module and function that Lambda calls, such as `handlers.send_email.handler`."""

    code: pulumi.Input[pulumi.Archive]
    """Archive of the function's own modules."""

    statements: list[Statement]
    """What the function may do, besides writing its own log and traces."""

    layers: NotRequired[list[pulumi.Input[str]]]
    """ARNs of the layer versions with the packages that the code imports."""

    environment: NotRequired[pulumi.Input[dict[str, pulumi.Input[str]]]]
    """Environment variables."""

    description: NotRequired[str]
    """One line for the console."""

    memory_mb: NotRequired[int]
    """Memory in MB, 128 to 10240; CPU grows with it. Default 512."""

    timeout_seconds: NotRequired[int]
    """Longest run in seconds, 1 to 900. Default 30."""

    reserved_concurrency: NotRequired[int]
    """Executions set aside for this function, and its limit. By default none: a reservation is taken from what the
    account's other functions can use, and an event source bounds its own concurrency."""

    log_retention_days: NotRequired[int]
    """Days that the log is kept, one of the periods that CloudWatch Logs knows. Default 30."""

    log_level: NotRequired[str]
    """Least severe level logged: DEBUG, INFO, WARN or ERROR. Default INFO."""

    failure_queue_arn: NotRequired[pulumi.Input[str]]
    """ARN of the SQS queue that takes the events of asynchronous invocations which failed every try. Leave it out
    where an event source calls the function: there the source's own dead-letter queue does this."""


class InstrumentedFunction(pulumi.ComponentResource):
    """A Python function on Lambda that may do only what it is told, and can be watched: JSON logs that are kept for
    a set time, X-Ray tracing, and an alias `live` on its published version, which is what callers should use."""

    alias_arn: pulumi.Output[str]
    """ARN of the alias `live`."""

    function_name: pulumi.Output[str]
    """Name of the function, as its metrics have it."""

    log_group_name: pulumi.Output[str]
    """Name of the log group."""

    role_name: pulumi.Output[str]
    """Name of the role that the function runs with."""

    def __init__(self, name: str, args: InstrumentedFunctionArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        memory = args.get("memory_mb", MEMORY_MB)
        timeout = args.get("timeout_seconds", TIMEOUT_SECONDS)
        log_level = args.get("log_level", LOG_LEVEL)
        refuse(
            "InstrumentedFunction",
            name,
            [
                short_enough("function", name, 64),
                between("memory_mb", memory, 128, 10_240),
                between("timeout_seconds", timeout, 1, 900),
                one_of("log_level", log_level, LOG_LEVELS),
                *faults(args["statements"]),
            ],
        )
        super().__init__("mailroom:index:InstrumentedFunction", name, None, opts)

        # Before the function, and under a name that Lambda does not make up itself: a log group that Lambda creates
        # has no retention, no tags, and is still there after `pulumi destroy`.
        log_group = aws.cloudwatch.LogGroup(
            f"/aws/lambda/{name}",
            retention_in_days=args.get("log_retention_days", LOG_RETENTION_DAYS),
            opts=pulumi.ResourceOptions(parent=self),
        )
        role = aws.iam.Role(
            name, assume_role_policy=trust("lambda.amazonaws.com"), opts=pulumi.ResourceOptions(parent=self)
        )
        grant = aws.iam.RolePolicy(
            name,
            role=role.name,
            policy=role_policy([*args["statements"], *_own(log_group, args)]),
            opts=pulumi.ResourceOptions(parent=self),
        )
        function = aws.lambda_.Function(
            name,
            runtime=RUNTIME,
            architectures=[ARCHITECTURE],
            handler=args["handler"],
            code=args["code"],
            layers=args.get("layers"),
            description=args.get("description"),
            role=role.arn,
            memory_size=memory,
            timeout=timeout,
            reserved_concurrent_executions=args.get("reserved_concurrency"),
            environment={"variables": args["environment"]} if "environment" in args else None,
            tracing_config={"mode": "Active"},
            logging_config={
                "log_format": "JSON",
                "log_group": log_group.name,
                # Lambda drops what is below this level before CloudWatch sees it, and takes a line without a level,
                # such as a metric record, for INFO: a higher level here would lose the metrics.
                "application_log_level": "DEBUG" if log_level == "DEBUG" else "INFO",
                "system_log_level": "INFO",
            },
            publish=True,
            # Without the policy the first invocations could not log, and an event source would be refused.
            opts=pulumi.ResourceOptions(parent=self, depends_on=[grant]),
        )
        alias = aws.lambda_.Alias(
            name,
            name=ALIAS,
            function_name=function.name,
            function_version=function.version,
            opts=pulumi.ResourceOptions(parent=self),
        )
        if "failure_queue_arn" in args:
            aws.lambda_.FunctionEventInvokeConfig(
                name,
                function_name=function.name,
                qualifier=alias.name,
                maximum_retry_attempts=ASYNC_RETRIES,
                maximum_event_age_in_seconds=ASYNC_MAX_AGE_SECONDS,
                destination_config={"on_failure": {"destination": args["failure_queue_arn"]}},
                opts=pulumi.ResourceOptions(parent=self),
            )

        self._timeout = timeout
        self.alias_arn = alias.arn
        self.function_name = function.name
        self.log_group_name = log_group.name
        self.role_name = role.name
        self.register_outputs(
            {
                "alias_arn": self.alias_arn,
                "function_name": self.function_name,
                "log_group_name": self.log_group_name,
                "role_name": self.role_name,
            }
        )

    def watch(
        self,
        component: str,
        *,
        errors: Severity = Severity.TICKET,
        errors_part_of: str = "",
        consequence: str,
        errors_only: bool = False,
    ) -> Watch:
        """Errors, throttles and duration close to the timeout, with their graphs.

        Args:
            component: what alarms and graphs call the function.
            errors: who is told of errors; `errors_part_of` names the composite that tells instead.
            consequence: what it means for people when the function does not work, as half a sentence.
            errors_only: whether throttles and duration are drawn without an alarm: of a function that runs seldom and
                briefly, an invocation that was refused or cut off is one that failed.
        """

        def series(metric: str, stat: str, label: str) -> Series:
            return Series(
                namespace="AWS/Lambda",
                metric=metric,
                dimensions={"FunctionName": self.function_name},
                stat=stat,
                label=label,
            )

        idle = "without invocations there is nothing to fail; that nothing arrives is watched elsewhere"
        failing = Alarm(
            component=component,
            condition="errors",
            severity=errors,
            summary=f"The function {component} fails as a whole: {consequence}",
            signal=series("Errors", "Sum", "errors"),
            comparison=Comparison.AT_LEAST,
            threshold=1,
            because="invocations failed in two minutes of a quarter of an hour, at the least; a single one is retried"
            " and heals. Messages that fail one by one are not counted here",
            period=FIVE_MINUTES,
            points=(2, 3),
            missing=Missing.NOT_BREACHING,
            missing_because=idle,
            part_of=errors_part_of,
        )
        throttled = Alarm(
            component=component,
            condition="throttles",
            severity=Severity.TICKET,
            summary=f"Lambda throttles {component}: for want of concurrency, {consequence}, or later",
            signal=series("Throttles", "Sum", "throttles"),
            comparison=Comparison.AT_LEAST,
            threshold=1,
            because="throttled in three periods on end, which is seven minutes at the least, as CloudWatch's windows"
            " slide; event sources keep to their own limit, so it is the account's",
            period=FIVE_MINUTES,
            points=(3, 3),
            missing=Missing.NOT_BREACHING,
            missing_because=idle,
        )
        slow = Alarm(
            component=component,
            condition="slow",
            severity=Severity.TICKET,
            summary=f"{component} runs close to its timeout: beyond {self._timeout} s, invocations are cut off",
            signal=series("Duration", "Maximum", "longest"),
            comparison=Comparison.ABOVE,
            threshold=SLOW * self._timeout * 1000,
            because=f"{SLOW:.0%} of the timeout, in ms; leaves time to look before invocations are cut off",
            period=FIVE_MINUTES,
            points=(2, 3),
            missing=Missing.NOT_BREACHING,
            missing_because=idle,
        )
        section = f"Function {component}"
        return Watch(
            log_groups=[self.log_group_name],
            alarms=[failing] if errors_only else [failing, throttled, slow],
            widgets=[
                Graph(
                    board=Board.RESOURCES,
                    section=section,
                    title=f"How often {component} ran, failed, and was refused",
                    signals=[series("Invocations", "Sum", "invocations"), failing.signal, throttled.signal],
                    unit="invocations in 5 min",
                    lines=[failing] if errors_only else [failing, throttled],
                ),
                Graph(
                    board=Board.RESOURCES,
                    section=section,
                    title=f"How long {component} took at most, beside its limit",
                    signals=[slow.signal],
                    unit="ms",
                    lines=[] if errors_only else [slow],
                ),
            ],
        )


def _own(log_group: aws.cloudwatch.LogGroup, args: InstrumentedFunctionArgs) -> list[Statement]:
    """What every instrumented function needs for itself."""
    own: list[Statement] = [
        {
            "actions": ["logs:CreateLogStream", "logs:PutLogEvents"],
            "resources": [log_group.arn.apply(lambda arn: f"{arn}:*")],
        },
        {
            "actions": ["xray:PutTraceSegments", "xray:PutTelemetryRecords"],
            "every_resource_because": "X-Ray has no resource that these could be allowed on",
        },
    ]
    if "failure_queue_arn" in args:
        own.append({"actions": ["sqs:SendMessage"], "resources": [args["failure_queue_arn"]]})
    return own
