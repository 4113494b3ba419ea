"""From the queue of orders to SES: the function that writes and sends the letters."""

from decimal import ROUND_DOWN, Decimal
from typing import Final, NotRequired, TypedDict

import pulumi

from components.checks import between, refuse
from components.consumer import CONCURRENCY, HandlerRuntime, consume
from components.policy import Statement

HANDLER: Final = "handlers.send_email.handler"
SIMULATOR: Final = "*@simulator.amazonses.com"


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
