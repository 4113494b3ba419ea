"""From the queue of orders to SES: the function that writes and sends the letters."""

from collections.abc import Mapping
from decimal import ROUND_DOWN, Decimal
from typing import Final, NotRequired, TypedDict

import pulumi

from components.checks import all_of, between, one_of, refuse, usd
from components.consumer import CONCURRENCY, HandlerRuntime, handler_function, map_queue, polls
from components.intake import QUEUES
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
    Lane,
    Metric,
)

HANDLER: Final = "handlers.send_email.handler"
SIMULATOR: Final = "*@simulator.amazonses.com"

# Until a batch that met a closed gate comes again. A mapping takes about a minute to be disabled. If that fails, a
# queue that gives up after twelve deliveries (components/intake.py) does so in a quarter of an hour, by when people
# know.
HELD_SECONDS: Final = 90

# Of the lanes besides confirmations: probes come one in a minute at most, and fewer than two AWS does not allow.
LEAST_CONCURRENCY: Final = CONCURRENCY[0]

PROBE_RATE: Final = Decimal("0.1")
"""Emails a second for one execution of any lane besides confirmations: thirty times what one probe in five minutes
needs, and hardly a loss to customers."""

# What the brake changes, and a deployment must not: it would release a held lane, or end a ramp.
BRAKES: Final = ["batchSize", "enabled"]

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


class MailerLane(TypedDict):
    """Where a lane's orders come from, and what they are sent with."""

    queue_arn: pulumi.Input[str]
    """ARN of its queue. The queue's visibility timeout has to be at least 180 seconds, six times the function's."""

    queue_url: pulumi.Input[str]
    """URL of its queue: the function has it bring an order back sooner than the visibility timeout would."""

    configuration_set_name: pulumi.Input[str]
    """Name of its SES configuration set."""

    configuration_set_arn: pulumi.Input[str]
    """ARN of its SES configuration set."""


class LaneMapping(TypedDict):
    """The event source mapping from a lane's queue to the function."""

    uuid: pulumi.Output[str]
    """Its id."""

    arn: pulumi.Output[str]
    """Its ARN."""


class OrderMailerArgs(TypedDict):
    """What the mailer reads, writes and sends with. ARNs and names may come from anywhere."""

    runtime: HandlerRuntime
    """The code that the function runs on."""

    lanes: dict[str, MailerLane]
    """The lanes by their names, `order-confirmation` and `probe`, all of them."""

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
    """Emails a second that all executions together may send. Lanes besides confirmations have a small part of their
    own."""

    ledger_retention_days: int
    """Days that a row of the ledger is kept."""

    spend_per_hour: str
    """USD that all handlers together may spend in an hour, as decimal text. Beyond, `spend_holds` are held."""

    spend_per_day: str
    """USD that they may spend in a day."""

    spend_holds: list[str]
    """Names of the lanes that are held when one of the two is reached. The others go on."""

    maximum_concurrency: NotRequired[int]
    """Most executions of confirmations at a time, 2 to 1000. Default 2. Every other lane has two."""


class OrderMailer(pulumi.ComponentResource):
    """Function `send-email` and for each lane an event source: batches of ten, of which only failed messages come
    again, and never more executions than the account's sending rate can feed. The mappings' `enabled` and `batchSize`
    are left to the brake."""

    function_arn: pulumi.Output[str]
    """ARN of the function's alias `live`."""

    function_name: pulumi.Output[str]
    """Name of the function."""

    log_group_name: pulumi.Output[str]
    """Name of the function's log group."""

    role_name: pulumi.Output[str]
    """Name of the function's role."""

    mappings: dict[str, LaneMapping]
    """Each lane's event source mapping, by the lane's name."""

    def __init__(self, name: str, args: OrderMailerArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        # From other languages, whole numbers arrive as floats.
        concurrency = int(args.get("maximum_concurrency", LEAST_CONCURRENCY))
        lanes = args["lanes"]
        limits = {"spend_per_hour": args["spend_per_hour"], "spend_per_day": args["spend_per_day"]}
        refuse(
            "OrderMailer",
            name,
            [
                between("maximum_concurrency", concurrency, *CONCURRENCY),
                between("send_rate", args["send_rate"], 1, 100_000, "emails a second"),
                between("ledger_retention_days", args["ledger_retention_days"], 1, 3650, "days"),
                all_of("lanes", lanes, Lane),
                *(one_of("spend_holds", each, list(Lane)) for each in args["spend_holds"]),
                *(usd(key, text) for key, text in limits.items()),
            ],
        )
        super().__init__("mailroom:index:OrderMailer", name, None, opts)
        executions = {lane: concurrency if lane is Lane.CONFIRMATION else LEAST_CONCURRENCY for lane in Lane}
        rates = rates_of_one(args["send_rate"], executions)
        function = handler_function(
            self,
            f"{name}-send-email",
            handler=HANDLER,
            description="Sends one confirmation for each order",
            runtime=args["runtime"],
            statements=_statements(args),
            environment={
                "LEDGER_TABLE": args["ledger_table_name"],
                "LANES": pulumi.Output.json_dumps(
                    {
                        lane: {
                            "queueArn": each["queue_arn"],
                            "queueUrl": each["queue_url"],
                            "configurationSet": each["configuration_set_name"],
                            "sendRate": rates[Lane(lane)],
                        }
                        for lane, each in lanes.items()
                    },
                    sort_keys=True,
                ),
                "QUARANTINE_URL": args["quarantine_queue_url"],
                "FROM_ADDRESS": args["from_address"],
                "FROM_NAME": args["from_name"],
                "REPLY_TO": args["reply_to"],
                "PRODUCTION_SENDING": str(args["production_sending"]).lower(),
                # From other languages, whole numbers arrive as floats.
                "LEDGER_RETENTION_DAYS": str(int(args["ledger_retention_days"])),
                "SPEND_PER_HOUR": args["spend_per_hour"],
                "SPEND_PER_DAY": args["spend_per_day"],
                "SPEND_HOLDS": ",".join(args["spend_holds"]),
                "HELD_SECONDS": str(HELD_SECONDS),
            },
        )
        mappings = {
            lane: map_queue(
                self,
                f"{name}-{QUEUES[lane]}",
                lanes[lane]["queue_arn"],
                function,
                maximum_concurrency=executions[lane],
                ignore_changes=BRAKES,
            )
            for lane in Lane
        }

        self._function = function
        self._stack = args["runtime"]["stack"]
        self._queue_arn = lanes[Lane.CONFIRMATION]["queue_arn"]
        self.function_arn = function.alias_arn
        self.function_name = function.function_name
        self.log_group_name = function.log_group_name
        self.role_name = function.role_name
        self.mappings = {lane.value: {"uuid": each.uuid, "arn": each.arn} for lane, each in mappings.items()}
        self.register_outputs(
            {
                "function_arn": self.function_arn,
                "function_name": self.function_name,
                "log_group_name": self.log_group_name,
                "role_name": self.role_name,
                "mappings": self.mappings,
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


def rates_of_one(send_rate: int, executions: Mapping[Lane, int]) -> dict[Lane, str]:
    """Emails a second that one execution of each lane may send, of `executions` at a time. Confirmations share what the
    others leave, rounded down, so that all together never exceed `send_rate`."""
    others = PROBE_RATE * sum(number for lane, number in executions.items() if lane is not Lane.CONFIRMATION)
    rest = (Decimal(send_rate) - others) / executions[Lane.CONFIRMATION]
    share = rest.quantize(Decimal("0.0001"), ROUND_DOWN).normalize()
    return {lane: format(share if lane is Lane.CONFIRMATION else PROBE_RATE, "f") for lane in executions}


def _statements(args: OrderMailerArgs) -> list[Statement]:
    lanes = args["lanes"].values()
    queues = [each["queue_arn"] for each in lanes]
    send: Statement = {
        "actions": ["ses:SendEmail", "ses:SendRawEmail"],
        "resources": [args["identity_arn"], *(each["configuration_set_arn"] for each in lanes)],
    }
    if not args["production_sending"]:
        # The second lock on the door: should the code ever address a customer here, SES refuses.
        send["conditions"] = {"ForAllValues:StringLike": {"ses:Recipients": [SIMULATOR]}}
    return [
        {"actions": ["dynamodb:UpdateItem"], "resources": [args["ledger_table_arn"]]},
        # Reads whether its lane is held, what was spent and who is suppressed, and holds lanes itself.
        {
            "actions": ["dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:Query"],
            "resources": [args["runtime"]["control_table_arn"]],
        },
        {"actions": ["sqs:SendMessage"], "resources": [args["quarantine_queue_arn"]]},
        # A message that has to wait is given back for exactly as long.
        {"actions": ["sqs:ChangeMessageVisibility"], "resources": queues},
        polls(queues),
        send,
    ]
