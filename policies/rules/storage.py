"""Tables and buckets outlive the mistakes of people and programs, and strangers do not see into them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from observability.program.resources import Resource
from policies.model import Stack, rule, value
from policies.relations import BUCKETS, names, which

TABLE: Final = "aws:dynamodb/table:Table"

_ACCESS_BLOCK: Final = "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock"
_BLOCKED: Final = ("blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls", "restrictPublicBuckets")
_VERSIONING: Final = ("aws:s3/bucketVersioning:BucketVersioning", "aws:s3/bucketVersioningV2:BucketVersioningV2")


@rule(
    "tables-recoverable",
    TABLE,
    about="Tables have point-in-time recovery",
    reason="A program that writes wrong data overwrites what was right, and without it nothing brings that back.",
    remedy="Set pointInTimeRecovery.enabled.",
)
def tables_recoverable(table: Resource, _: Stack) -> Iterator[str]:
    """https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Point-in-time-recovery.html"""
    if not value(table, "pointInTimeRecovery.enabled"):
        yield "pointInTimeRecovery.enabled is not set"


@rule(
    "tables-protected",
    TABLE,
    about="Tables cannot be deleted by accident",
    reason="Deleting a table takes its data, its recovery points and its index along.",
    remedy="Set deletionProtectionEnabled, which stops AWS, and the resource option protect, which stops Pulumi.",
)
def tables_protected(table: Resource, _: Stack) -> Iterator[str]:
    """https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/WorkingWithTables.Basics.html
    https://www.pulumi.com/docs/iac/concepts/resources/options/protect/
    """
    if not value(table, "deletionProtectionEnabled"):
        yield "deletionProtectionEnabled is not set"
    if not table.protect:
        yield "the resource option protect is not set"


@rule(
    "buckets-private",
    *BUCKETS,
    about="Buckets block public access",
    reason="One ACL or policy statement that is too wide shows a bucket to the world; the block holds against both.",
    remedy="Give the bucket a BucketPublicAccessBlock with all four of its properties set.",
    related=True,
)
def buckets_private(bucket: Resource, stack: Stack) -> Iterator[str]:
    """https://docs.aws.amazon.com/AmazonS3/latest/userguide/access-control-block-public-access.html"""
    blocks = which(stack.of(_ACCESS_BLOCK), lambda each: names(each, "bucket", bucket))
    lacking = [key for key in _BLOCKED if not all(value(each, key) for each in blocks)]
    if not blocks:
        yield "it has no BucketPublicAccessBlock"
    elif lacking:
        yield f"its BucketPublicAccessBlock does not set {', '.join(lacking)}"


@rule(
    "buckets-versioned",
    *BUCKETS,
    about="Buckets keep earlier versions",
    reason="What is overwritten or deleted in a bucket without versions is gone at once.",
    remedy="Set versioning.enabled, or give the bucket a BucketVersioning with status Enabled.",
    related=True,
)
def buckets_versioned(bucket: Resource, stack: Stack) -> Iterator[str]:
    """https://docs.aws.amazon.com/AmazonS3/latest/userguide/Versioning.html"""
    if value(bucket, "versioning.enabled") or value(bucket, "versionings[0].enabled"):
        return
    settings = which(stack.of(*_VERSIONING), lambda each: names(each, "bucket", bucket))
    if not any(value(each, "versioningConfiguration.status") == "Enabled" for each in settings):
        yield "versioning is not enabled"
