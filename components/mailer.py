"""From the queue of orders to SES: the function that writes and sends the letters."""

from decimal import ROUND_DOWN, Decimal
from typing import Final, NotRequired, TypedDict

import pulumi

from components.checks import between, refuse
from components.consumer import CONCURRENCY, HandlerRuntime, consume
from components.policy import Statement
from components.queues import queue_series
from components.watch import (
    FIVE_MINUTES,
    MINUTE,
    PIPELINE_DOWN,
    Alarm,
    Board,
    Comparison,
    Expression,
    Graph,
    LogTable,
    Missing,
    SavedQuery,
    Severity,
    Size,
    Watch,
    own,
)
from handlers.telemetry.contract import (
    DUPLICATES_PREVENTED,
    EMAILS_SENT,
    ORDER_CONFLICTS,
    ORDERS_QUARANTINED,
    SEND_FAILURES,
    SEND_MISSES,
    SEND_RETRIES,
    SENDS_UNKNOWN,
    TOTAL_MISMATCHES,
    Metric,
)

HANDLER: Final = "handlers.send_email.handler"
SIMULATOR: Final = "*@simulator.amazonses.com"

# More orders than probes (one in five minutes, at most) can be in that time; fewer are left to the prober to notice.
SILENCE: Final = 15 * MINUTE
SILENCE_VOLUME: Final = 5

# What people look for in the function's log. Metric records carry the order's ids, log lines the outcome as `message`.
FAILURES: Final = (
    "fields @timestamp, order_id, message as outcome, coalesce(reason, code) as why"
    ' | filter message in ["failed", "unknown", "quarantined", "conflict"] | sort @timestamp desc'
)
FAILURES_BY_REASON: Final = (
    'filter message in ["failed", "retry", "quarantined", "conflict"]'
    " | stats count(*) as orders, latest(order_id) as example by message as outcome, coalesce(reason, code) as why"
    " | sort orders desc"
)
SLOWEST_SENDS: Final = (
    "filter ispresent(EmailsSent) | fields @timestamp, order_id, send_latency_ms, trace_id"
    " | sort send_latency_ms desc | limit 50"
)
UNKNOWNS: Final = (
    'filter message = "unknown" | fields @timestamp, order_id, message_id, reason, trace_id | sort @timestamp desc'
)


class OrderMailerArgs(TypedDict):
    """What the mailer reads, writes and sends with. ARNs and names may come from anywhere."""

    runtime: HandlerRuntime
    """The code that the function runs on."""

    queue_arn: pulumi.Input[str]
    """ARN of the queue of orders. Its visibility timeout has to be at least 180 seconds, six times the function's."""

    queue_url: pulumi.Input[str]
    """URL of the queue of orders: the function has it bring an order back sooner than the visibility timeout would."""

    quarantine_queue_arn: pulumi.Input[str]
    """ARN of the queue for malformed orders."""

    quarantine_queue_url: pulumi.Input[str]
    """URL of the queue for malformed orders."""

    ledger_table_name: pulumi.Input[str]
    """Name of the ledger's table."""

    ledger_table_arn: pulumi.Input[str]
    """ARN of the ledger's table."""

    identity_arn: pulumi.Input[str]
    """ARN of the SES identity to send as."""

    configuration_set_name: pulumi.Input[str]
    """Name of the SES configuration set to send with."""

    configuration_set_arn: pulumi.Input[str]
    """ARN of the SES configuration set to send with."""

    from_address: pulumi.Input[str]
    """Sender's address."""

    from_name: pulumi.Input[str]
    """Sender's name."""

    reply_to: pulumi.Input[str]
    """Address for replies."""

    production_sending: bool
    """Whether letters go to customers. If not, the function sends to the SES mailbox simulator, and its role allows
    nothing else."""

    send_rate: int
    """Emails a second that all executions together may send."""

    ledger_retention_days: int
    """Days that a row of the ledger is kept."""

    maximum_concurrency: NotRequired[int]
    """Most executions at a time, 2 to 1000. Default 2."""


class OrderMailer(pulumi.ComponentResource):
    """Function `send-email` and its event source: batches of ten, of which only failed messages come again, and never
    more executions than the account's sending rate can feed."""

    function_arn: pulumi.Output[str]
    """ARN of the function's alias `live`."""

    function_name: pulumi.Output[str]
    """Name of the function."""

    log_group_name: pulumi.Output[str]
    """Name of the function's log group."""

    def __init__(self, name: str, args: OrderMailerArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        concurrency = args.get("maximum_concurrency", CONCURRENCY[0])
        refuse(
            "OrderMailer",
            name,
            [
                between("maximum_concurrency", concurrency, *CONCURRENCY),
                between("send_rate", args["send_rate"], 1, 100_000, "emails a second"),
                between("ledger_retention_days", args["ledger_retention_days"], 1, 3650, "days"),
            ],
        )
        super().__init__("mailroom:index:OrderMailer", name, None, opts)
        function = consume(
            self,
            f"{name}-send-email",
            args["queue_arn"],
            handler=HANDLER,
            description="Sends one confirmation for each order",
            runtime=args["runtime"],
            statements=_statements(args),
            environment={
                "LEDGER_TABLE": args["ledger_table_name"],
                "QUEUE_URL": args["queue_url"],
                "QUARANTINE_URL": args["quarantine_queue_url"],
                "FROM_ADDRESS": args["from_address"],
                "FROM_NAME": args["from_name"],
                "REPLY_TO": args["reply_to"],
                "CONFIGURATION_SET": args["configuration_set_name"],
                "PRODUCTION_SENDING": str(args["production_sending"]).lower(),
                "SEND_RATE": rate_of_one(args["send_rate"], concurrency),
                # From other languages, whole numbers arrive as floats.
                "LEDGER_RETENTION_DAYS": str(int(args["ledger_retention_days"])),
            },
            maximum_concurrency=concurrency,
        )

        self._function = function
        self._stack = args["runtime"]["stack"]
        self._queue_arn = args["queue_arn"]
        self.function_arn = function.alias_arn
        self.function_name = function.function_name
        self.log_group_name = function.log_group_name
        self.register_outputs(
            {
                "function_arn": self.function_arn,
                "function_name": self.function_name,
                "log_group_name": self.log_group_name,
            }
        )

    def watch(self) -> Watch:
        """Whether orders become emails, and what became of those that did not."""
        stack = self._stack

        def counted(metric: Metric, condition: str, summary: str, because: str) -> Alarm:
            return Alarm(
                component="send-email",
                condition=condition,
                severity=Severity.TICKET,
                summary=summary,
                signal=own(metric, stack),
                comparison=Comparison.AT_LEAST,
                threshold=1,
                because=because,
                period=FIVE_MINUTES,
                missing=Missing.NOT_BREACHING,
                missing_because="the metric has a point only when it happens",
            )

        arrived = queue_series(self._queue_arn, "NumberOfMessagesSent", "Sum", "orders arrived")
        silent = Alarm(
            component="send-email",
            condition="silent",
            severity=Severity.PAGE,
            summary="Orders arrive, and no email goes out",
            signal=Expression(
                formula=f"IF(arrived - FILL(repeated, 0) >= {SILENCE_VOLUME} AND FILL(sent, 0) < 1, 1, 0)",
                series={
                    "arrived": arrived,
                    "repeated": own(DUPLICATES_PREVENTED, stack),
                    "sent": own(EMAILS_SENT, stack),
                },
                label="1 while orders arrive and nothing is sent",
            ),
            comparison=Comparison.AT_LEAST,
            threshold=1,
            because=f"{SILENCE_VOLUME} orders in {SILENCE // 60} min, repeated ones not counted, and no email."
            " Arrivals are counted"
            " by SQS, so a handler that is dead is seen",
            period=SILENCE,
            missing=Missing.NOT_BREACHING,
            missing_because="no orders, no emails: the prober sees to quiet hours",
            at_least=f"{SILENCE_VOLUME} orders in the period",
            part_of=PIPELINE_DOWN,
        )
        failed = counted(
            SEND_FAILURES,
            "failures",
            "SES refused emails for good: these customers get none",
            "one email: it is a customer's, and no retry will mend it",
        )
        unknown = counted(
            SENDS_UNKNOWN,
            "unknown",
            "SES did not answer: nobody knows whether these emails went out, and nothing is resent",
            "one email: it waits for SES's own event or for `ops resolve`",
        )
        conflicting = counted(
            ORDER_CONFLICTS,
            "conflicts",
            "Orders reuse an order id with another content: the first one stands, the other is in quarantine",
            "one order: a system that mixes up its ids does it again",
        )
        going_out, not_out = "Are emails going out?", "To whom do they not go out?"
        groups = [self.log_group_name]
        return Watch(
            metrics=[
                EMAILS_SENT,
                SEND_FAILURES,
                SEND_RETRIES,
                SENDS_UNKNOWN,
                ORDERS_QUARANTINED,
                DUPLICATES_PREVENTED,
                ORDER_CONFLICTS,
                TOTAL_MISMATCHES,
                SEND_MISSES,
            ],
            alarms=[silent, failed, unknown, conflicting],
            widgets=[
                Graph(
                    board=Board.OUTCOMES,
                    section=going_out,
                    title="Orders that arrived, and emails that went out",
                    signals=[arrived, own(EMAILS_SENT, stack, label="emails sent")],
                    unit="in 5 min",
                ),
                Graph(
                    board=Board.OUTCOMES,
                    section=not_out,
                    title="Orders without an email: refused by SES, unknown, malformed, in conflict",
                    signals=[
                        own(SEND_FAILURES, stack, label="refused by SES"),
                        own(SENDS_UNKNOWN, stack, label="unknown"),
                        own(ORDERS_QUARANTINED, stack, label="malformed"),
                        own(ORDER_CONFLICTS, stack, label="in conflict"),
                    ],
                    unit="orders in 5 min",
                    lines=[failed, unknown, conflicting],
                ),
                Graph(
                    board=Board.RESOURCES,
                    section="Function send-email",
                    title="Sends put off, repeated orders recognised, and orders whose total was off",
                    signals=[
                        own(SEND_RETRIES, stack, label="put off"),
                        own(DUPLICATES_PREVENTED, stack, label="repeated"),
                        own(TOTAL_MISMATCHES, stack, label="total off"),
                    ],
                    unit="orders in 5 min",
                ),
                LogTable(
                    board=Board.OUTCOMES,
                    section="Which orders have no email?",
                    title="The latest orders without an email, and why",
                    query=FAILURES + " | limit 20",
                    log_groups=groups,
                    size=Size.FULL,
                ),
            ],
            queries=[
                SavedQuery(name="slowest-sends", query=SLOWEST_SENDS, log_groups=groups),
                SavedQuery(name="failures-by-reason", query=FAILURES_BY_REASON, log_groups=groups),
                SavedQuery(name="unknowns", query=UNKNOWNS, log_groups=groups),
            ],
        ) + self._function.watch(
            "send-email",
            errors=Severity.PAGE,
            errors_part_of=PIPELINE_DOWN,
            consequence="orders are not turned into emails",
        )


def rate_of_one(send_rate: int, executions: int) -> str:
    """Emails a second that each of so many executions may send, rounded down so that they never exceed the whole."""
    return format((Decimal(send_rate) / Decimal(executions)).quantize(Decimal("0.001"), ROUND_DOWN).normalize(), "f")


def _statements(args: OrderMailerArgs) -> list[Statement]:
    send: Statement = {
        "actions": ["ses:SendEmail", "ses:SendRawEmail"],
        "resources": [args["identity_arn"], args["configuration_set_arn"]],
    }
    if not args["production_sending"]:
        # The second lock on the door: should the code ever address a customer here, SES refuses.
        send["conditions"] = {"ForAllValues:StringLike": {"ses:Recipients": [SIMULATOR]}}
    return [
        {"actions": ["dynamodb:UpdateItem"], "resources": [args["ledger_table_arn"]]},
        {"actions": ["sqs:SendMessage"], "resources": [args["quarantine_queue_arn"]]},
        # A message that has to wait is given back for exactly as long.
        {"actions": ["sqs:ChangeMessageVisibility"], "resources": [args["queue_arn"]]},
        send,
    ]
