"""The cost report: once a month, a function that mails what the month before cost, and what could cost less."""

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Final, NotRequired, TypedDict

import pulumi

from components.checks import between, refuse, short_enough
from components.consumer import HandlerRuntime, handler_function
from components.function import ASYNC_RETRIES, LOG_RETENTION_DAYS
from components.policy import Statement
from components.queues import own_queue
from components.schedule import SCHEDULED_TIME, scheduled
from components.watch import HOUR, Graph, Series, Watch, filled

HANDLER: Final = "handlers.cost_report.handler"
# It waits more than it works; below this the cold start's imports take seconds.
MEMORY_MB: Final = 256
# It looks at every function's runs for up to 15 s each (handlers/adapters/facts.py).
TIMEOUT_SECONDS: Final = 600
# Of the month before. Cost Explorer is up to a day late, so its last hours may be missing; the report says that AWS may
# still correct it.
# https://docs.aws.amazon.com/cost-management/latest/userguide/ce-what-is.html
MONTHLY: Final = "cron(0 6 1 * ? *)"
# A report that is a few hours late is still one.
RETRIES: Final = 5
MAXIMUM_AGE: Final = 6 * HOUR
# The most that SES sends one message to.
RECIPIENTS: Final = (1, 50)


class CostReportArgs(TypedDict):
    """What is reported, and to whom."""

    runtime: HandlerRuntime
    """The code that the function runs on. How many emails went out, its control table knows."""

    project: str
    """Value of the tag `project` that the stack's resources carry. It and the tag `stack` have to be activated as
    cost-allocation tags."""

    from_address: str
    """Address that the report comes from."""

    report_to: list[str]
    """Addresses that it is mailed to, 1 to 50."""

    identity_arn: pulumi.Input[str]
    """ARN of the SES identity of `from_address`."""

    ledger_table_name: pulumi.Input[str]
    """Name of the ledger's table."""

    ledger_table_arn: pulumi.Input[str]
    """ARN of the ledger's table."""

    functions: list[pulumi.Input[str]]
    """Names of the functions whose memory is looked at."""

    log_groups: list[pulumi.Input[str]]
    """Names of the log groups whose volume and retention are looked at, those of `functions` among them."""

    require_tls: NotRequired[bool]
    """Whether the queue of failed runs denies plain HTTP. Default true; an emulator without TLS needs false."""


class CostReport(pulumi.ComponentResource):
    """Function `cost-report`, the schedule that runs it on the first of each month, and the queue `cost-report-dlq` of
    runs that failed every try."""

    function_name: pulumi.Output[str]
    """Name of the function."""

    function_arn: pulumi.Output[str]
    """ARN of the function's alias `live`."""

    log_group_name: pulumi.Output[str]
    """Name of the function's log group."""

    dlq_arn: pulumi.Output[str]
    """ARN of the queue of runs that failed every try."""

    def __init__(self, name: str, args: CostReportArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        refuse(
            "CostReport",
            name,
            [
                short_enough("role", f"{name}-cost-report-schedule", 64),
                between("report_to", len(args["report_to"]), *RECIPIENTS, "addresses"),
                None if args["functions"] else "functions is empty",
                None if args["log_groups"] else "log_groups is empty",
            ],
        )
        super().__init__("mailroom:index:CostReport", name, None, opts)
        runtime = args["runtime"]

        # Kept to be looked at, and to be run again by hand. No alarm watches it: the function's errors tell.
        dlq = own_queue(self, f"{name}-cost-report-dlq", require_tls=args.get("require_tls", True))
        function = handler_function(
            self,
            f"{name}-cost-report",
            handler=HANDLER,
            description="Mails what the last month cost",
            runtime=runtime,
            memory_mb=MEMORY_MB,
            timeout_seconds=TIMEOUT_SECONDS,
            environment={
                "FROM_ADDRESS": args["from_address"],
                "REPORT_TO": ",".join(args["report_to"]),
                "PROJECT": args["project"],
                "LEDGER_TABLE": args["ledger_table_name"],
                "LOG_GROUPS": _joined(args["log_groups"]),
                "FUNCTIONS": _joined(args["functions"]),
                "LOG_RETENTION_DAYS": str(runtime.get("log_retention_days", LOG_RETENTION_DAYS)),
            },
            statements=_statements(args),
            failure_queue_arn=dlq.arn,
        )
        scheduled(
            self,
            f"{name}-cost-report",
            function.alias_arn,
            expression=MONTHLY,
            description="Reports what the last month cost",
            input=json.dumps({"at": SCHEDULED_TIME}),
            retries=RETRIES,
            maximum_age=MAXIMUM_AGE,
        )

        self._function = function
        self.function_name = function.function_name
        self.function_arn = function.alias_arn
        self.log_group_name = function.log_group_name
        self.dlq_arn = dlq.arn
        self.register_outputs(
            {
                "function_name": self.function_name,
                "function_arn": self.function_arn,
                "log_group_name": self.log_group_name,
                "dlq_arn": self.dlq_arn,
            }
        )

    def watch(self) -> Watch:
        """Reports that did not go out."""
        watched = self._function.watch(
            "cost-report", consequence="nobody is told what the last month cost", errors_only=True
        )
        tries = ASYNC_RETRIES + 1
        errors = Series(
            namespace="AWS/Lambda",
            metric="Errors",
            dimensions={"FunctionName": self.function_name},
            stat="Sum",
            label="errors",
        )
        failing = replace(
            watched.alarms[0],
            signal=filled("errors", errors),
            threshold=tries,
            because=f"all {tries} tries of a month failed, which are over within minutes: the queue cost-report-dlq has"
            " its event. A single failure is retried and heals",
            period=HOUR,
            points=(1, 1),
            missing_because="it runs once a month. A run that Scheduler never started is not seen here",
        )
        runs = next(widget for widget in watched.widgets if isinstance(widget, Graph))
        return replace(
            watched,
            alarms=[failing],
            widgets=[replace(runs, unit="invocations in an hour", lines=[failing], period=HOUR)],
        )


def _statements(args: CostReportArgs) -> list[Statement]:
    control, ledger = args["runtime"]["control_table_arn"], args["ledger_table_arn"]
    functions: list[pulumi.Input[str]] = [_beside(ledger, "lambda", "function:", name) for name in args["functions"]]
    # Both forms that IAM knows a log group by: itself, and with all that is in it.
    # https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/iam-access-control-overview-cwl.html
    groups: list[pulumi.Input[str]] = [
        _beside(ledger, "logs", "log-group:", name, end) for name in args["log_groups"] for end in ("", ":*")
    ]
    return [
        {"actions": ["ses:SendEmail", "ses:SendRawEmail"], "resources": [args["identity_arn"]]},
        {"actions": ["dynamodb:Query"], "resources": [control]},
        {"actions": ["dynamodb:DescribeTimeToLive"], "resources": [ledger]},
        {"actions": ["lambda:GetFunctionConfiguration"], "resources": functions},
        {"actions": ["logs:FilterLogEvents"], "resources": groups},
        {
            "actions": ["logs:DescribeLogGroups"],
            "every_resource_because": "it lists log groups: AWS asks for it on all of the account's",
        },
        {"actions": ["cloudwatch:DescribeAlarms"], "resources": [_beside(ledger, "cloudwatch", "alarm:", "*")]},
        {"actions": ["cloudwatch:GetDashboard"], "resources": [_dashboards(ledger)]},
        {
            "actions": ["cloudwatch:GetMetricData", "cloudwatch:ListDashboards", "cloudwatch:ListMetrics"],
            "every_resource_because": "CloudWatch has no resource that these could be allowed on",
        },
        {
            "actions": ["ce:GetCostAndUsage"],
            "every_resource_because": "Cost Explorer has no resource that it could be allowed on: it tells the whole"
            " account's costs, and the function asks for those with the stack's tags",
        },
    ]


def _beside(
    arn: pulumi.Input[str], service: str, kind: str, name: pulumi.Input[str], end: str = ""
) -> pulumi.Output[str]:
    """The ARN of something in the account and region of another."""

    def made(given: Sequence[str]) -> str:
        _, partition, _, region, account, _ = given[0].split(":", 5)
        return f"arn:{partition}:{service}:{region}:{account}:{kind}{given[1]}{end}"

    return pulumi.Output.all(arn, name).apply(made)


def _dashboards(arn: pulumi.Input[str]) -> pulumi.Output[str]:
    """Every dashboard of an account: they are in no region."""

    def made(text: str) -> str:
        _, partition, _, _, account, _ = text.split(":", 5)
        return f"arn:{partition}:cloudwatch::{account}:dashboard/*"

    return pulumi.Output.from_input(arn).apply(made)


def _joined(names: Sequence[pulumi.Input[str]]) -> pulumi.Output[str]:
    return pulumi.Output.all(*names).apply(",".join)
