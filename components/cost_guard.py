"""The cost guard: AWS Budgets tells of thresholds, and a function holds lanes by them. The last resort is IAM's.

Budgets' own figures are 8 to 12 hours old, and a loop spends a month's money in one of them: what stops that is the
gate in send_email, by an estimate. This guard is for what the estimate does not see.
https://docs.aws.amazon.com/cost-management/latest/userguide/budgets-best-practices.html
"""

import re
from decimal import Decimal
from typing import Final, NotRequired, TypedDict

import pulumi
import pulumi_aws as aws

from components.checks import between, refuse, short_enough
from components.consumer import TIMEOUT_SECONDS, HandlerRuntime, consume
from components.policy import Document, account_of, document, encrypted_transport_only, service_may
from components.queues import SubscribedQueue
from components.watch import (
    DAY,
    HOUR,
    MINUTE,
    Alarm,
    Board,
    Comparison,
    Graph,
    Missing,
    Severity,
    Size,
    Watch,
    filled,
    own,
)
from handlers.telemetry.contract import ESTIMATED_SPEND, Lane

HANDLER: Final = "handlers.cost_guard.handler"
BUDGETS: Final = "budgets.amazonaws.com"

# Of the month's budget, in percent: what the bill has come to, and what AWS expects it to come to.
THRESHOLDS: Final = (("ACTUAL", 50), ("ACTUAL", 80), ("ACTUAL", 100), ("FORECASTED", 100))

# The least that an SQS event source allows. A handful of messages come in a month.
MAXIMUM_CONCURRENCY: Final = 2
# Budgets publishes a few times a day at the most; the function takes seconds.
WAITING: Final = 10 * MINUTE
# An action tells 10 addresses at the most.
# https://docs.aws.amazon.com/aws-cost-management/latest/APIReference/API_budgets_Subscriber.html
MOST_EMAILS: Final = 10
# The gate stops at the limit and a batch, and once more after a release, from which on it counts anew. The rest is for
# what each execution reserves, which is an estimate, and for windows that are not the same.
TOLERATED: Final = Decimal("2.5")

DENIED: Final = ("ses:SendEmail", "ses:SendRawEmail")
"""What the last resort denies: all that send_email sends with."""


class CostGuardArgs(TypedDict):
    """What the stack may cost, and what is held when it costs more."""

    runtime: HandlerRuntime
    """The code that the function runs on."""

    tags: dict[str, str]
    """Cost allocation tags of the stack: the budget counts what carries all of them. They have to be activated once in
    the account that pays."""

    monthly_usd: int
    """The budget, in USD a month, 1 and more."""

    holds: dict[str, list[str]]
    """Names of the lanes that a threshold holds, by KIND:PERCENT: `ACTUAL:50`, `ACTUAL:80`, `ACTUAL:100`,
    `FORECASTED:100`."""

    spend_per_hour: str
    """The estimated spend in USD that the gate allows in an hour, such as `2.50`."""

    ticket_topic_arn: pulumi.Input[str]
    """ARN of the topic on which people are told of thresholds."""

    send_role_name: pulumi.Input[str]
    """Name of the role of send_email, for the last resort."""

    action_emails: NotRequired[list[str]]
    """Addresses, 10 at the most, that AWS tells when it has denied the role every sending, once the budget is spent.
    Default: none, and no such budget action."""

    require_tls: NotRequired[bool]
    """Whether topic and queues deny plain HTTP. Default true; an emulator without TLS needs false."""


class CostGuard(pulumi.ComponentResource):
    """A budget for one stack, topic `budget` that it publishes to, queue `cost-guard` with its dead-letter queue, and
    function `cost-guard`, which holds lanes. Policy `deny-send` is attached to nothing: people attach it as the last
    resort, or AWS does by a budget action."""

    topic_arn: pulumi.Output[str]
    """ARN of the topic that AWS Budgets publishes to."""

    queue_arn: pulumi.Output[str]
    """ARN of the queue."""

    queue_url: pulumi.Output[str]
    """URL of the queue."""

    dlq_arn: pulumi.Output[str]
    """ARN of the dead-letter queue."""

    dlq_url: pulumi.Output[str]
    """URL of the dead-letter queue."""

    function_name: pulumi.Output[str]
    """Name of the function."""

    log_group_name: pulumi.Output[str]
    """Name of the function's log group."""

    deny_policy_arn: pulumi.Output[str]
    """ARN of the policy that denies all sending."""

    budget_name: pulumi.Output[str]
    """Name of the budget."""

    def __init__(self, name: str, args: CostGuardArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        runtime, monthly = args["runtime"], int(args["monthly_usd"])
        budget_name = f"{name}-{runtime['stack']}"
        emails = args.get("action_emails", [])
        refuse(
            "CostGuard",
            name,
            [
                between("monthly_usd", monthly, 1, 1_000_000, "USD"),
                None if args["tags"] else "tags is empty, so that the budget would be the whole account's",
                *_hold_faults(args["holds"]),
                _usd_fault("spend_per_hour", args["spend_per_hour"]),
                between("action_emails", len(emails), 0, MOST_EMAILS, "addresses"),
                short_enough("budget", budget_name, 100, suffix=0),
                short_enough("role", f"{name}-budget-action", 64),
            ],
        )
        super().__init__("mailroom:index:CostGuard", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        require_tls = args.get("require_tls", True)

        # Not encrypted with KMS: Budgets cannot use the free key of SNS, and what passes is a name and two amounts.
        topic = aws.sns.Topic(f"{name}-budget", opts=child)
        policy = aws.sns.TopicPolicy(
            f"{name}-budget",
            arn=topic.arn,
            policy=document(
                [
                    _budgets_publish(topic.arn),
                    *([encrypted_transport_only("sns:Publish", topic.arn)] if require_tls else []),
                ]
            ),
            opts=child,
        )
        queue = SubscribedQueue(
            f"{name}-cost-guard",
            {
                "topic_arns": {"budget": topic.arn},
                "consumer_timeout_seconds": TIMEOUT_SECONDS,
                "require_tls": require_tls,
            },
            child,
        )
        function = consume(
            self,
            f"{name}-cost-guard",
            queue.queue_arn,
            handler=HANDLER,
            description="Holds lanes when AWS Budgets tells of a threshold, and tells people",
            runtime=runtime,
            statements=[
                {
                    "actions": ["dynamodb:GetItem", "dynamodb:PutItem"],
                    "resources": [runtime["control_table_arn"]],
                },
                {"actions": ["sns:Publish"], "resources": [args["ticket_topic_arn"]]},
            ],
            environment={
                "BUDGET_HOLDS": pulumi.Output.json_dumps(args["holds"], sort_keys=True),
                "TICKET_TOPIC_ARN": args["ticket_topic_arn"],
            },
            maximum_concurrency=MAXIMUM_CONCURRENCY,
        )
        budget = aws.budgets.Budget(
            f"{name}-month",
            # By the stack's name and without digits: people look for it in a console that lists a whole account's.
            name=budget_name,
            budget_type="COST",
            time_unit="MONTHLY",
            limit_amount=str(monthly),
            limit_unit="USD",
            metrics="UnblendedCost",
            filter_expression=_with_all(args["tags"]),
            notifications=[
                {
                    "notification_type": kind,
                    "comparison_operator": "GREATER_THAN",
                    "threshold": percent,
                    "threshold_type": "PERCENTAGE",
                    "subscriber_sns_topic_arns": [topic.arn],
                }
                for kind, percent in THRESHOLDS
            ],
            # Budgets tries whether it may publish, and refuses a topic that it cannot publish to.
            opts=pulumi.ResourceOptions(parent=self, depends_on=[policy]),
        )
        deny = aws.iam.Policy(
            f"{name}-deny-send",
            description="Last resort: whoever has it sends no email",
            policy=document([{"Sid": "SendNothing", "Effect": "Deny", "Action": list(DENIED), "Resource": "*"}]),
            opts=child,
        )
        if emails:
            _deny_when_spent(self, f"{name}-budget-action", budget, deny, args["send_role_name"], emails)

        self._queue, self._function, self._stack = queue, function, runtime["stack"]
        self._per_hour = Decimal(args["spend_per_hour"])
        self.topic_arn = topic.arn
        self.queue_arn, self.queue_url = queue.queue_arn, queue.queue_url
        self.dlq_arn, self.dlq_url = queue.dlq_arn, queue.dlq_url
        self.function_name = function.function_name
        self.log_group_name = function.log_group_name
        self.deny_policy_arn = deny.arn
        self.budget_name = budget.name
        self.register_outputs(
            {
                "topic_arn": self.topic_arn,
                "queue_arn": self.queue_arn,
                "queue_url": self.queue_url,
                "dlq_arn": self.dlq_arn,
                "dlq_url": self.dlq_url,
                "function_name": self.function_name,
                "log_group_name": self.log_group_name,
                "deny_policy_arn": self.deny_policy_arn,
                "budget_name": self.budget_name,
            }
        )

    def watch(self) -> Watch:
        """What is spent, by our estimate, and whether what Budgets tells is heard."""
        limit = self._per_hour * TOLERATED
        spent = own(ESTIMATED_SPEND, self._stack, "Sum", "spent, USD")
        over = Alarm(
            component="spend",
            condition="hour",
            severity=Severity.PAGE,
            summary=f"More than {limit:f} USD was spent in an hour: the gate in send_email should have stopped it",
            signal=filled("spent", spent),
            comparison=Comparison.ABOVE,
            threshold=float(limit),
            because=f"{TOLERATED:f} times spendPerHour, a setting: a release lets it be spent once more. An estimate"
            " from counted calls and list prices: does not see what other programs spend, storage, or what watching"
            " costs",
            period=HOUR,
            missing=Missing.NOT_BREACHING,
            missing_because="functions that do not run spend nothing; that orders are sent is watched elsewhere",
        )
        section = "What does it cost?"
        return (
            Watch(
                metrics=[ESTIMATED_SPEND],
                alarms=[over],
                widgets=[
                    Graph(
                        board=Board.OUTCOMES,
                        section=section,
                        title="Spent in the last 24 hours, by our estimate",
                        signals=[spent],
                        unit="USD",
                        number=True,
                        span=DAY,
                        size=Size.NUMBER,
                    ),
                    Graph(
                        board=Board.OUTCOMES,
                        section=section,
                        title=f"Spent in an hour, by our estimate; beyond {self._per_hour:f} USD the gate holds lanes",
                        signals=[spent],
                        unit="USD in an hour",
                        lines=[over],
                        period=HOUR,
                    ),
                ],
            )
            + self._queue.watch("cost-guard", holds="budget alerts", oldest=WAITING, severity=Severity.TICKET)
            + self._function.watch("cost-guard", consequence="a spent budget holds no lane", errors_only=True)
        )


def _with_all(tags: dict[str, str]) -> aws.budgets.BudgetFilterExpressionArgsDict:
    """The filter of what carries all of the tags. Not by `cost_filters`: nothing says how tags with different keys are
    combined there.

    https://docs.aws.amazon.com/aws-cost-management/latest/APIReference/API_budgets_Expression.html
    """
    each: list[aws.budgets.BudgetFilterExpressionAndArgsDict] = [
        {"tags": {"key": key, "values": [value]}} for key, value in sorted(tags.items())
    ]
    if len(each) > 1:
        return {"ands": each}
    ((key, value),) = tags.items()
    return {"tags": {"key": key, "values": [value]}}


def _budgets_publish(topic_arn: pulumi.Output[str]) -> Document:
    """The statement by which budgets of this account may publish to a topic.

    https://docs.aws.amazon.com/cost-management/latest/userguide/budgets-sns-policy.html
    """
    statement = service_may(BUDGETS, "sns:Publish", topic_arn, [_budgets_of(topic_arn, "*")])
    account = {"StringEquals": {"aws:SourceAccount": account_of(topic_arn)}}
    return {**statement, "Condition": {**statement["Condition"], **account}}


def _budgets_of(arn: pulumi.Output[str], resource: str) -> pulumi.Output[str]:
    """ARN of a resource of Budgets in the account (and partition) of another ARN. Budgets has no regions."""

    def budgets(text: str) -> str:
        _, partition, _, _, account, _ = text.split(":", 5)
        return f"arn:{partition}:budgets::{account}:{resource}"

    return arn.apply(budgets)


def _deny_when_spent(
    parent: pulumi.Resource,
    name: str,
    budget: aws.budgets.Budget,
    deny: aws.iam.Policy,
    send_role_name: pulumi.Input[str],
    emails: list[str],
) -> None:
    """The budget action: AWS itself attaches the policy, with a role that may attach and detach this one, there.

    https://docs.aws.amazon.com/cost-management/latest/userguide/budgets-action-role.html
    """
    opts = pulumi.ResourceOptions(parent=parent)
    role = aws.iam.Role(
        name,
        assume_role_policy=document(
            [
                {
                    "Effect": "Allow",
                    "Action": "sts:AssumeRole",
                    "Principal": {"Service": BUDGETS},
                    "Condition": {
                        "StringEquals": {"aws:SourceAccount": account_of(deny.arn)},
                        "ArnLike": {"aws:SourceArn": _budgets_of(deny.arn, "budget/*")},
                    },
                }
            ]
        ),
        opts=opts,
    )
    grant = aws.iam.RolePolicy(
        name,
        role=role.name,
        policy=document(
            [
                {
                    "Effect": "Allow",
                    "Action": ["iam:AttachRolePolicy", "iam:DetachRolePolicy"],
                    "Resource": pulumi.Output.all(deny.arn, send_role_name).apply(_role_beside),
                    "Condition": {"ArnEquals": {"iam:PolicyARN": deny.arn}},
                }
            ]
        ),
        opts=opts,
    )
    aws.budgets.BudgetAction(
        name,
        budget_name=budget.name,
        action_type="APPLY_IAM_POLICY",
        approval_model="AUTOMATIC",
        notification_type="ACTUAL",
        action_threshold={"action_threshold_type": "PERCENTAGE", "action_threshold_value": 100},
        definition={"iam_action_definition": {"policy_arn": deny.arn, "roles": [send_role_name]}},
        execution_role_arn=role.arn,
        # Not the topic: the function reads thresholds, and what an action says of itself is for people.
        subscribers=[{"address": each, "subscription_type": "EMAIL"} for each in emails],
        opts=pulumi.ResourceOptions(parent=parent, depends_on=[grant]),
    )


def _role_beside(given: list[str]) -> str:
    """ARN of a role (without a path) in the account of a policy."""
    _, partition, _, _, account, _ = given[0].split(":", 5)
    return f"arn:{partition}:iam::{account}:role/{given[1]}"


def _hold_faults(holds: dict[str, list[str]]) -> list[str]:
    known = [f"{kind}:{percent}" for kind, percent in THRESHOLDS]
    lanes = [lane.value for lane in Lane]
    return [
        *(f"holds has {each!r}, allowed are {', '.join(known)}" for each in holds if each not in known),
        *(
            f"holds of {threshold} has lane {lane!r}, allowed are {', '.join(lanes)}"
            for threshold, held in holds.items()
            for lane in held
            if lane not in lanes
        ),
    ]


def _usd_fault(key: str, text: str) -> str | None:
    sound = re.fullmatch(r"[0-9]+(\.[0-9]+)?", text) and Decimal(text) > 0
    return None if sound else f"{key} is {text!r}, allowed is an amount above 0 such as 2.50"
