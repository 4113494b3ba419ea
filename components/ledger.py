"""The ledger: what became of every email, and the reason why none goes out twice."""

from typing import NotRequired, TypedDict

import pulumi
import pulumi_aws as aws

from components.checks import refuse, short_enough
from components.watch import (
    FIVE_MINUTES,
    Alarm,
    Board,
    Comparison,
    Expression,
    Graph,
    Missing,
    Series,
    Severity,
    Watch,
    filled,
)


class DeliveryLedgerArgs(TypedDict):
    """How the ledger is kept."""

    protect_data: NotRequired[bool]
    """Whether DynamoDB and Pulumi refuse to delete the table. Default false."""


class DeliveryLedger(pulumi.ComponentResource):
    """Table `EmailDeliveries`, one row per order and kind of message. Two indexes: `open`, the rows that are not final
    yet, oldest first, and `recipient`, an address's emails by time."""

    table_name: pulumi.Output[str]
    """Name of the table."""

    table_arn: pulumi.Output[str]
    """ARN of the table."""

    def __init__(self, name: str, args: DeliveryLedgerArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        refuse("DeliveryLedger", name, [short_enough("table", f"{name}-EmailDeliveries", 255)])
        super().__init__("mailroom:index:DeliveryLedger", name, None, opts)
        protect = args.get("protect_data", False)

        table = aws.dynamodb.Table(
            f"{name}-EmailDeliveries",
            # Orders come in bursts; on demand, a quiet night costs nothing and a sale needs no planning.
            billing_mode="PAY_PER_REQUEST",
            hash_key="orderId",
            range_key="messageId",
            attributes=[{"name": each, "type": "S"} for each in ("claimedAt", "messageId", "open", "orderId", "to")],
            global_secondary_indexes=[
                # Sparse: only rows that carry the attribute `open` are in it, and final rows do not.
                {
                    "name": "open",
                    "key_schemas": _keys("open", "claimedAt"),
                    "projection_type": "KEYS_ONLY",
                },
                {
                    "name": "recipient",
                    "key_schemas": _keys("to", "claimedAt"),
                    "projection_type": "INCLUDE",
                    "non_key_attributes": ["kind", "status"],
                },
            ],
            ttl={"attribute_name": "expiresAt", "enabled": True},
            point_in_time_recovery={"enabled": True},
            # The table holds addresses. With the KMS-managed key each use of it is in CloudTrail, which the default,
            # a key that AWS owns, does not offer.
            server_side_encryption={"enabled": True},
            deletion_protection_enabled=protect,
            opts=pulumi.ResourceOptions(parent=self, protect=protect),
        )

        self.table_name = table.name
        self.table_arn = table.arn
        self.register_outputs({"table_name": self.table_name, "table_arn": self.table_arn})

    def watch(self) -> Watch:
        """Requests that DynamoDB refused, for want of throughput or by its own fault."""

        def series(metric: str, stat: str, label: str, **dimensions: str) -> Series:
            return Series(
                namespace="AWS/DynamoDB",
                metric=metric,
                dimensions={"TableName": self.table_name, **dimensions},
                stat=stat,
                label=label,
            )

        always_ignored = "CloudWatch ignores missing data of DynamoDB, whatever an alarm says; this says what it does"
        throttled = Alarm(
            component="ledger",
            condition="throttles",
            severity=Severity.TICKET,
            summary="DynamoDB throttles the ledger: orders come back and are sent late",
            signal=Expression(
                formula="FILL(reads, 0) + FILL(writes, 0)",
                series={
                    "reads": series("ReadThrottleEvents", "Sum", "reads"),
                    "writes": series("WriteThrottleEvents", "Sum", "writes"),
                },
                label="throttled requests",
            ),
            comparison=Comparison.AT_LEAST,
            threshold=10,
            because="ten in 5 min; on demand, a table takes double its last peak at once, and the SDK rides out"
            " single ones",
            period=FIVE_MINUTES,
            missing=Missing.IGNORE,
            missing_because=always_ignored,
        )
        failing = Alarm(
            component="ledger",
            condition="system-errors",
            severity=Severity.TICKET,
            summary="DynamoDB fails by its own fault: orders come back and are sent late",
            signal=filled("errors", series("SystemErrors", "Sum", "system errors", Operation="UpdateItem")),
            comparison=Comparison.AT_LEAST,
            threshold=5,
            because="five in 5 min of UpdateItem, the call on every email's way; the SDK asks three times before"
            " one is felt",
            period=FIVE_MINUTES,
            missing=Missing.IGNORE,
            missing_because=always_ignored,
        )
        return Watch(
            alarms=[throttled, failing],
            widgets=[
                Graph(
                    board=Board.RESOURCES,
                    section="Table EmailDeliveries",
                    title="Requests that DynamoDB refused: throttled, or failed by its own fault",
                    signals=[throttled.signal, failing.signal],
                    unit="requests in 5 min",
                    lines=[throttled, failing],
                ),
                Graph(
                    board=Board.RESOURCES,
                    section="Table EmailDeliveries",
                    title="How long a write to the ledger takes (99 % are faster)",
                    signals=[series("SuccessfulRequestLatency", "p99", "p99", Operation="UpdateItem")],
                    unit="ms",
                ),
            ],
        )


def _keys(partition: str, sort: str) -> list[aws.dynamodb.TableGlobalSecondaryIndexKeySchemaArgsDict]:
    return [{"attribute_name": partition, "key_type": "HASH"}, {"attribute_name": sort, "key_type": "RANGE"}]
