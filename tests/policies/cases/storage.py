"""Cases of the rules on tables and buckets."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Final

import pulumi
import pulumi_aws as aws

from tests.policies.cases import Case, Hidden, Program
from tests.policies.parts import https_only, log_group, policy

BLOCKED: Final = {
    "block_public_acls": True,
    "block_public_policy": True,
    "ignore_public_acls": True,
    "restrict_public_buckets": True,
}
VERSIONED: Final = {"status": "Enabled"}


def nothing() -> None:
    log_group("orders")


def table(*, protect: bool = True, **overrides: Any) -> Program:
    """A table `orders` that loses nothing."""
    given = {
        "hash_key": "id",
        "attributes": [{"name": "id", "type": "S"}],
        "billing_mode": "PAY_PER_REQUEST",
        "point_in_time_recovery": {"enabled": True},
        "server_side_encryption": {"enabled": True},
        "deletion_protection_enabled": True,
        **overrides,
    }
    return lambda: aws.dynamodb.Table("orders", **given, opts=pulumi.ResourceOptions(protect=protect))


def bucket(
    *,
    kind: Any = aws.s3.Bucket,
    blocked: Any = BLOCKED,
    versions: Any = VERSIONED,
    denied: Collection[str] = ("", "/*"),
    action: str = "s3:*",
    **overrides: Any,
) -> Program:
    """A bucket `state`, with its policy, access block and versioning.

    Args:
        blocked, versions: None leaves the resource out.
        denied: what follows the bucket's ARN in that of what plain HTTP is denied on for `action`.
    """

    def program() -> None:
        made = kind("state", **overrides)
        statement = https_only(action, "") | {"Resource": [f"arn:aws:s3:::state{part}" for part in denied]}
        aws.s3.BucketPolicy("state", bucket=made.bucket, policy=policy(statement))
        if blocked is not None:
            aws.s3.BucketPublicAccessBlock("state", bucket=made.id, **blocked)
        if versions is not None:
            aws.s3.BucketVersioning("state", bucket=made.bucket, versioning_configuration=versions)

    return program


def blocked_twice() -> None:
    """Which of two access blocks is in force is chance."""
    bucket()()
    aws.s3.BucketPublicAccessBlock("state-again", bucket="state")


CASES = {
    "tables-recoverable": Case(
        violated=(
            table(point_in_time_recovery=None),
            table(point_in_time_recovery={"enabled": False}),
        ),
        satisfied=table(),
        unknown=Hidden(resource="orders", path="pointInTimeRecovery.enabled"),
        not_applicable=nothing,
    ),
    "tables-protected": Case(
        violated=(
            table(deletion_protection_enabled=None),
            table(deletion_protection_enabled=False),
            table(protect=False),
        ),
        satisfied=table(),
        unknown=Hidden(resource="orders", path="deletionProtectionEnabled"),
        not_applicable=nothing,
    ),
    "buckets-private": Case(
        violated=(
            bucket(blocked=None),
            *(bucket(blocked={**BLOCKED, each: False}) for each in BLOCKED),
            blocked_twice,
            *(bucket(blocked={key: True for key in BLOCKED if key != each}) for each in BLOCKED),
        ),
        satisfied=(bucket(), bucket(kind=aws.s3.BucketV2)),
        unknown=tuple(
            Hidden(resource="BucketPublicAccessBlock state", path=path)
            for path in ("blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls", "restrictPublicBuckets")
        ),
        not_applicable=nothing,
    ),
    "buckets-versioned": Case(
        violated=(
            bucket(versions=None),
            bucket(versions={"status": "Suspended"}),
            bucket(versions=None, versioning={"enabled": False}),
        ),
        satisfied=(
            bucket(),
            bucket(versions=None, versioning={"enabled": True}),
            bucket(versions=None, kind=aws.s3.BucketV2, versionings=[{"enabled": True}]),
        ),
        unknown=Hidden(resource="BucketVersioning state", path="versioningConfiguration.status"),
        not_applicable=nothing,
    ),
}
