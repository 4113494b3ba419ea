"""DynamoDB tables and log groups."""

from __future__ import annotations

from typing import Any, Final

from botocore.exceptions import ClientError

from local.deployer.model import Account, Create, Declared, DeploymentError, Json, State, pascal, tag_list


def table(declared: Declared, account: Account) -> State:
    dynamodb, name, tags = account.client("dynamodb"), declared.physical(255), declared.tags()
    if declared.take("billingMode") != "PAY_PER_REQUEST":
        raise DeploymentError(f"{declared}: billingMode must be PAY_PER_REQUEST; capacities are not deployed here")
    indexes = declared.take("globalSecondaryIndexes") or []
    streamed = declared.api({"streamEnabled": "StreamEnabled", "streamViewType": "StreamViewType"})
    made = dynamodb.create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[
            {"AttributeName": item["name"], "AttributeType": item["type"]} for item in declared.need("attributes")
        ],
        KeySchema=_keys(declared.need("hashKey"), declared.take("rangeKey")),
        Tags=tag_list(tags),
        **({"GlobalSecondaryIndexes": [_index(declared, item) for item in indexes]} if indexes else {}),
        **_encryption(declared.take("serverSideEncryption")),
        **({"StreamSpecification": streamed} if streamed else {}),
        **declared.api({"deletionProtectionEnabled": "DeletionProtectionEnabled", "tableClass": "TableClass"}),
    )["TableDescription"]
    if lifetime := declared.take("ttl"):
        dynamodb.update_time_to_live(TableName=name, TimeToLiveSpecification=pascal(lifetime))
    if recovery := declared.take("pointInTimeRecovery"):
        dynamodb.update_continuous_backups(
            TableName=name,
            PointInTimeRecoverySpecification={
                f"{'PointInTimeRecovery' if key == 'enabled' else ''}{key[0].upper()}{key[1:]}": value
                for key, value in recovery.items()
            },
        )
    return name, declared.state(
        name=name, arn=made["TableArn"], streamArn=made.get("LatestStreamArn", ""), tagsAll=tags
    )


def _keys(partition: str, sort: str | None) -> list[dict[str, str]]:
    keys = [(partition, "HASH"), *([(sort, "RANGE")] if sort else [])]
    return [{"AttributeName": name, "KeyType": kind} for name, kind in keys]


def _index(declared: Declared, given: Json) -> Json:
    known = {"name", "keySchemas", "hashKey", "rangeKey", "projectionType", "nonKeyAttributes"}
    if unknown := given.keys() - known:
        raise DeploymentError(f"{declared}: index properties not understood: {', '.join(sorted(unknown))}")
    others = given.get("nonKeyAttributes")
    return {
        "IndexName": given["name"],
        # The provider takes either spelling of an index's keys, and calls the second deprecated.
        "KeySchema": pascal(given.get("keySchemas")) or _keys(given["hashKey"], given.get("rangeKey")),
        "Projection": {
            "ProjectionType": given["projectionType"],
            **({"NonKeyAttributes": others} if others else {}),
        },
    }


def _encryption(given: Any) -> Json:
    """A managed KMS key where encryption is on; without, DynamoDB encrypts with a key of its own."""
    if not given:
        return {}
    key = given.get("kmsKeyArn")
    specification = {
        "Enabled": given["enabled"],
        **({"SSEType": "KMS", "KMSMasterKeyId": key} if key else {}),
    }
    return {"SSESpecification": specification}


def log_group(declared: Declared, account: Account) -> State:
    logs, name, tags = account.client("logs"), declared.physical(512), declared.tags()
    # An invocation that ends after the account was emptied writes its log all the same, and so brings its group back.
    # By its code: a client makes the classes of its errors when first asked, and two threads may get different ones.
    try:
        logs.delete_log_group(logGroupName=name)
    except ClientError as error:
        if error.response["Error"]["Code"] != "ResourceNotFoundException":
            raise
    logs.create_log_group(
        logGroupName=name,
        tags=tags,
        **declared.api({"kmsKeyId": "kmsKeyId", "logGroupClass": "logGroupClass"}),
    )
    if days := declared.take("retentionInDays"):
        logs.put_retention_policy(logGroupName=name, retentionInDays=days)
    # The provider's ARN has no ":*" at its end; a policy on the group's streams appends it.
    return name, declared.state(name=name, arn=account.arn("logs", f"log-group:{name}"), tagsAll=tags)


CREATE: Final[dict[str, Create]] = {
    "aws:dynamodb/table:Table": table,
    "aws:cloudwatch/logGroup:LogGroup": log_group,
}
