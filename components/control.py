"""The control table: which lanes are held, what was counted, and which addresses are not written to."""

from typing import NotRequired, TypedDict

import pulumi
import pulumi_aws as aws

from components.checks import refuse, short_enough


class ControlTableArgs(TypedDict):
    """How the control table is kept."""

    protect_data: NotRequired[bool]
    """Whether DynamoDB and Pulumi refuse to delete the table. Default false."""


class ControlTable(pulumi.ComponentResource):
    """Table `control`, by `scope` and `key`, and the stream of what is written to it, which guards and the brake
    follow. `handlers/adapters/control.py` says what is in it."""

    table_name: pulumi.Output[str]
    """Name of the table."""

    table_arn: pulumi.Output[str]
    """ARN of the table."""

    stream_arn: pulumi.Output[str]
    """ARN of the table's stream. Two functions can follow it; a third would be throttled.
    https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_streams_GetRecords.html"""

    def __init__(self, name: str, args: ControlTableArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        refuse("ControlTable", name, [short_enough("table", f"{name}-control", 255)])
        super().__init__("mailroom:index:ControlTable", name, None, opts)
        protect = args.get("protect_data", False)

        table = aws.dynamodb.Table(
            f"{name}-control",
            # It is written to as often as there are batches: bursts, and quiet nights that cost nothing.
            billing_mode="PAY_PER_REQUEST",
            hash_key="scope",
            range_key="key",
            attributes=[{"name": each, "type": "S"} for each in ("key", "scope")],
            ttl={"attribute_name": "expiresAt", "enabled": True},
            # Nobody could say again which addresses had bounced.
            point_in_time_recovery={"enabled": True},
            # It holds addresses: as the ledger's.
            server_side_encryption={"enabled": True},
            stream_enabled=True,
            stream_view_type="NEW_IMAGE",
            deletion_protection_enabled=protect,
            opts=pulumi.ResourceOptions(parent=self, protect=protect),
        )

        self.table_name = table.name
        self.table_arn = table.arn
        self.stream_arn = table.stream_arn
        self.register_outputs(
            {"table_name": self.table_name, "table_arn": self.table_arn, "stream_arn": self.stream_arn}
        )
