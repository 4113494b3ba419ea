"""IAM roles with their policies, and KMS keys."""

from __future__ import annotations

from typing import Final

from local.deployer.model import Account, Create, Declared, State, tag_list
from local.deployer.permissions import widened


def role(declared: Declared, account: Account) -> State:
    name = declared.physical(64)
    tags = declared.tags()
    made = account.client("iam").create_role(
        RoleName=name,
        AssumeRolePolicyDocument=declared.document("assumeRolePolicy"),
        Tags=tag_list(tags),
        **declared.api(
            {
                "description": "Description",
                "path": "Path",
                "maxSessionDuration": "MaxSessionDuration",
                "permissionsBoundary": "PermissionsBoundary",
            }
        ),
    )["Role"]
    return name, declared.state(name=name, arn=made["Arn"], uniqueId=made["RoleId"], tagsAll=tags)


def role_policy(declared: Declared, account: Account) -> State:
    name, owner = declared.physical(128), declared.need("role")
    account.client("iam").put_role_policy(
        RoleName=owner, PolicyName=name, PolicyDocument=widened(declared.document("policy"))
    )
    return f"{owner}:{name}", declared.state(name=name)


def policy(declared: Declared, account: Account) -> State:
    name, tags = declared.physical(128), declared.tags()
    made = account.client("iam").create_policy(
        PolicyName=name,
        PolicyDocument=declared.document("policy"),
        Tags=tag_list(tags),
        **declared.api({"description": "Description", "path": "Path"}),
    )["Policy"]
    return made["Arn"], declared.state(name=name, arn=made["Arn"], policyId=made["PolicyId"], tagsAll=tags)


def key(declared: Declared, account: Account) -> State:
    kms, tags = account.client("kms"), declared.tags()
    rotate = declared.take("enableKeyRotation", False)
    made = kms.create_key(
        Tags=[{"TagKey": key, "TagValue": value} for key, value in tags.items()],
        **declared.api(
            {
                "description": "Description",
                "keyUsage": "KeyUsage",
                "customerMasterKeySpec": "KeySpec",
                "multiRegion": "MultiRegion",
            }
        ),
        **({"Policy": declared.document("policy")} if "policy" in declared.inputs else {}),
    )["KeyMetadata"]
    period = declared.api({"rotationPeriodInDays": "RotationPeriodInDays"})
    if rotate:
        kms.enable_key_rotation(KeyId=made["KeyId"], **period)
    return made["KeyId"], declared.state(keyId=made["KeyId"], arn=made["Arn"], tagsAll=tags)


def alias(declared: Declared, account: Account) -> State:
    name = declared.take("name") or f"alias/{declared.physical(250)}"
    target = declared.need("targetKeyId")
    account.client("kms").create_alias(AliasName=name, TargetKeyId=target)
    made = account.client("kms").describe_key(KeyId=name)["KeyMetadata"]
    return name, declared.state(name=name, arn=account.arn("kms", name), targetKeyArn=made["Arn"])


CREATE: Final[dict[str, Create]] = {
    "aws:iam/policy:Policy": policy,
    "aws:iam/role:Role": role,
    "aws:iam/rolePolicy:RolePolicy": role_policy,
    "aws:kms/key:Key": key,
    "aws:kms/alias:Alias": alias,
}
