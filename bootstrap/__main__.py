"""What workflows need before they can deploy: state, a key, who may do what. Deployed by an administrator, once.

For each stack of Mailroom in this account: a bucket for its state, the key that encrypts it, a role that deploys, one
that previews, and the boundary of what the roles that it makes can do at most. What the roles may do is in policies/,
which `make deployer-policy` writes from what the program registers.
"""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from string import Template
from typing import Any, Final, NotRequired, TypedDict

import pulumi
import pulumi_aws as aws

PROJECT: Final = "mailroom"
POLICIES: Final = Path(__file__).resolve().parent / "policies"
APART: Final = "/deployment/"
"""Path of roles and policies. The deployer may change what begins with the project's name, and so never these."""
NOT_THE_DEPLOYERS: Final = ("boundary", "preview")

GITHUB: Final = "token.actions.githubusercontent.com"
AUDIENCE: Final = "sts.amazonaws.com"
"""Whom the tokens are for, as aws-actions/configure-aws-credentials asks for them.
https://docs.github.com/en/actions/how-tos/secure-your-work/security-harden-deployments/oidc-in-aws"""

# A state that was overwritten by mistake is noticed at the next deployment, which can be a quarter of a year away.
KEPT_DAYS: Final = 90
ABANDONED_DAYS: Final = 7
# The longest that KMS allows: without the key, all state is lost.
DELETION_DAYS: Final = 30

_READ_STATE: Final = ("s3:GetObject",)
_WRITE_STATE: Final = ("s3:GetObject", "s3:PutObject", "s3:DeleteObject")
_DECRYPT: Final = ("kms:Decrypt",)
_ENCRYPT: Final = ("kms:Decrypt", "kms:Encrypt", "kms:GenerateDataKey")

_REPOSITORY: Final = re.compile(r"[A-Za-z0-9][\w.@-]*/[\w.@-]+", re.ASCII)
_PROVIDER: Final = re.compile(rf"(arn:aws[a-z-]*:iam::[0-9]{{12}}:oidc-provider/{re.escape(GITHUB)})?")

Document = dict[str, Any]


class Place(TypedDict):
    """Where everything is: what the policies leave open."""

    partition: pulumi.Input[str]
    account: pulumi.Input[str]
    region: str


class StackAccessArgs(TypedDict):
    """What a StackAccess is made of."""

    stack: str
    """Name of the stack, and of the GitHub environment whose jobs deploy it."""

    repository: str
    """The repository, as in the subject of GitHub's tokens."""

    identity_provider_arn: pulumi.Input[str]
    """ARN of GitHub's identity provider in this account."""

    place: Place
    """Partition, account and region."""

    protect: NotRequired[bool]
    """Whether state and key are guarded against deletion. Default true."""


class StackAccess(pulumi.ComponentResource):
    """State, key, boundary and roles of one stack: nothing in it is shared with another."""

    backend_url: pulumi.Output[str]
    """Where the state is, for `pulumi login`."""

    secrets_provider: pulumi.Output[str]
    """What encrypts the stack's secrets, for `pulumi stack init --secrets-provider`."""

    deployer_role_arn: pulumi.Output[str]
    """ARN of the role that deploys."""

    preview_role_arn: pulumi.Output[str]
    """ARN of the role that previews."""

    boundary_arn: pulumi.Output[str]
    """ARN of the permissions boundary, for the setting permissionsBoundary."""

    def __init__(self, name: str, args: StackAccessArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("mailroom:index:StackAccess", name, None, opts)
        stack, place = args["stack"], args["place"]
        key = aws.kms.Key(
            name,
            description=f"State and secrets of {PROJECT}, stack {stack}",
            enable_key_rotation=True,
            deletion_window_in_days=DELETION_DAYS,
            opts=pulumi.ResourceOptions(parent=self, protect=args.get("protect", True)),
        )
        alias = aws.kms.Alias(
            name,
            name=f"alias/{PROJECT}-state-{stack}",
            target_key_id=key.key_id,
            opts=pulumi.ResourceOptions(parent=self),
        )
        bucket = self._bucket(name, args, key)
        boundary = self._policy(name, "boundary", args)
        deployer = self._role(
            name,
            "deployer",
            args,
            subject=f"environment:{stack}",
            policies=[
                each.stem for each in sorted((POLICIES / stack).glob("*.json")) if each.stem not in NOT_THE_DEPLOYERS
            ],
            state=_state(bucket, key, _WRITE_STATE, _ENCRYPT),
        )
        preview = self._role(
            name,
            "preview",
            args,
            subject="pull_request",
            policies=["preview"],
            state=_state(bucket, key, _READ_STATE, _DECRYPT),
        )
        self.backend_url = pulumi.Output.concat("s3://", bucket.bucket, f"?region={place['region']}&awssdk=v2")
        self.secrets_provider = pulumi.Output.concat("awskms://", alias.name, f"?region={place['region']}")
        self.deployer_role_arn = deployer.arn
        self.preview_role_arn = preview.arn
        self.boundary_arn = boundary.arn
        self.register_outputs(
            {
                "backend_url": self.backend_url,
                "secrets_provider": self.secrets_provider,
                "deployer_role_arn": self.deployer_role_arn,
                "preview_role_arn": self.preview_role_arn,
                "boundary_arn": self.boundary_arn,
            }
        )

    def _bucket(self, name: str, args: StackAccessArgs, key: aws.kms.Key) -> aws.s3.Bucket:
        """Private, encrypted, reached by TLS only, and with every version of the state for a while."""
        opts = pulumi.ResourceOptions(parent=self)
        bucket = aws.s3.Bucket(
            name,
            # Every account's buckets share one name space.
            bucket=pulumi.Output.concat(f"{PROJECT}-state-{args['stack']}-", args["place"]["account"]),
            opts=pulumi.ResourceOptions(parent=self, protect=args.get("protect", True)),
        )
        aws.s3.BucketOwnershipControls(
            name, bucket=bucket.id, rule={"object_ownership": "BucketOwnerEnforced"}, opts=opts
        )
        aws.s3.BucketPublicAccessBlock(
            name,
            bucket=bucket.id,
            block_public_acls=True,
            block_public_policy=True,
            ignore_public_acls=True,
            restrict_public_buckets=True,
            opts=opts,
        )
        versioning = aws.s3.BucketVersioning(
            name, bucket=bucket.id, versioning_configuration={"status": "Enabled"}, opts=opts
        )
        aws.s3.BucketServerSideEncryptionConfiguration(
            name,
            bucket=bucket.id,
            rules=[
                {
                    "apply_server_side_encryption_by_default": {
                        "sse_algorithm": "aws:kms",
                        "kms_master_key_id": key.arn,
                    },
                    # One request to KMS for many objects.
                    "bucket_key_enabled": True,
                }
            ],
            opts=opts,
        )
        aws.s3.BucketLifecycleConfiguration(
            name,
            bucket=bucket.id,
            rules=[
                {
                    "id": "old-versions",
                    "status": "Enabled",
                    "filter": {"prefix": ""},
                    "noncurrent_version_expiration": {"noncurrent_days": KEPT_DAYS},
                    "abort_incomplete_multipart_upload": {"days_after_initiation": ABANDONED_DAYS},
                }
            ],
            opts=pulumi.ResourceOptions(parent=self, depends_on=[versioning]),
        )
        aws.s3.BucketPolicy(name, bucket=bucket.id, policy=_document([_tls_only(bucket.arn)]), opts=opts)
        return bucket

    def _policy(self, name: str, file: str, args: StackAccessArgs) -> aws.iam.Policy:
        """A file of policies/, with what it leaves open filled in."""
        text = (POLICIES / args["stack"] / f"{file}.json").read_text(encoding="utf-8")
        return aws.iam.Policy(
            f"{name}-{file}",
            name=f"{name}-{file}",
            path=APART,
            policy=pulumi.Output.all(**args["place"]).apply(lambda found: _compact(Template(text).substitute(found))),
            opts=pulumi.ResourceOptions(parent=self),
        )

    def _role(
        self,
        base: str,
        kind: str,
        args: StackAccessArgs,
        *,
        subject: str,
        policies: Sequence[str],
        state: pulumi.Output[str],
    ) -> aws.iam.Role:
        """A role that GitHub's jobs with that subject assume, for an hour."""
        name, opts = f"{base}-{kind}", pulumi.ResourceOptions(parent=self)
        role = aws.iam.Role(
            name,
            name=name,
            path=APART,
            assume_role_policy=_document(
                [_jobs_of(args["identity_provider_arn"], f"repo:{args['repository']}:{subject}")]
            ),
            opts=opts,
        )
        for each in policies:
            policy = self._policy(base, each, args)
            aws.iam.RolePolicyAttachment(f"{name}-{each}", role=role.name, policy_arn=policy.arn, opts=opts)
        aws.iam.RolePolicy(f"{name}-state", name="state", role=role.name, policy=state, opts=opts)
        return role


def _state(
    bucket: aws.s3.Bucket, key: aws.kms.Key, objects: Sequence[str], encryption: Sequence[str]
) -> pulumi.Output[str]:
    """What reading, or writing, the state and its secrets takes."""
    return _document(
        [
            {"Effect": "Allow", "Action": ["s3:ListBucket"], "Resource": bucket.arn},
            {"Effect": "Allow", "Action": list(objects), "Resource": pulumi.Output.concat(bucket.arn, "/*")},
            {"Effect": "Allow", "Action": list(encryption), "Resource": key.arn},
        ]
    )


def _jobs_of(provider_arn: pulumi.Input[str], subject: str) -> Document:
    return {
        "Effect": "Allow",
        "Action": "sts:AssumeRoleWithWebIdentity",
        "Principal": {"Federated": provider_arn},
        "Condition": {"StringEquals": {f"{GITHUB}:aud": AUDIENCE, f"{GITHUB}:sub": subject}},
    }


def _tls_only(bucket_arn: pulumi.Output[str]) -> Document:
    return {
        "Sid": "DenyPlainHttp",
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": [bucket_arn, pulumi.Output.concat(bucket_arn, "/*")],
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }


def _document(statements: Sequence[Document]) -> pulumi.Output[str]:
    return pulumi.Output.json_dumps({"Version": "2012-10-17", "Statement": list(statements)}, sort_keys=True)


def _compact(text: str) -> str:
    return json.dumps(json.loads(text), separators=(",", ":"))


class Settings(TypedDict):
    """The settings, checked; see Pulumi.yaml."""

    repository: str
    stacks: list[str]
    oidc_provider: str


def settings(found: Mapping[str, str], known: Sequence[str]) -> Settings:
    """The settings from their texts; `known` are the stacks with policies.

    Raises:
        pulumi.RunError: with every fault: the key, the value, what is allowed and the remedy.
    """
    stacks = found["stacks"].split()
    faults = []
    if not _REPOSITORY.fullmatch(found["repository"]):
        faults.append(
            f"repository is {found['repository']!r}: allowed is OWNER/NAME, as in the subject of GitHub's tokens."
            " Remedy: take it from the repository's settings (Actions, OIDC), without repo:"
        )
    if not stacks or len({*stacks}) < len(stacks) or not {*stacks} <= {*known}:
        faults.append(
            f"stacks is {found['stacks']!r}: allowed are {', '.join(known)}, each once, apart by spaces. Remedy: name"
            " the stacks of this account; a new one needs policies (STACKS in deployer.py, make deployer-policy)"
        )
    if not _PROVIDER.fullmatch(found["oidcProvider"]):
        faults.append(
            f"oidcProvider is {found['oidcProvider']!r}: allowed is the ARN of the provider for {GITHUB}, or empty."
            " Remedy: take it from `aws iam list-open-id-connect-providers`"
        )
    if faults:
        raise pulumi.RunError("\n  ".join(["These settings are wrong; nothing was changed.", *faults]))
    return {"repository": found["repository"], "stacks": stacks, "oidc_provider": found["oidcProvider"]}


def main() -> None:
    """Declare it all."""
    config = pulumi.Config()
    chosen = settings(
        {key: config.require(key) for key in ("repository", "stacks")}
        | {"oidcProvider": config.get("oidcProvider") or ""},
        sorted(each.name for each in POLICIES.iterdir()),
    )
    region = pulumi.Config("aws").require("region")
    tags = {
        "project": pulumi.get_project(),
        "stack": pulumi.get_stack(),
        "owner": config.require("owner"),
        "cost-centre": config.require("costCentre"),
    }
    provider = aws.Provider("aws", region=region, default_tags=aws.ProviderDefaultTagsArgs(tags=tags))
    asked = pulumi.InvokeOutputOptions(provider=provider)
    place: Place = {
        "partition": aws.get_partition_output(opts=asked).partition,
        "account": aws.get_caller_identity_output(opts=asked).account_id,
        "region": region,
    }
    opts = pulumi.ResourceOptions(provider=provider)
    github: pulumi.Input[str] = (
        chosen["oidc_provider"]
        or aws.iam.OpenIdConnectProvider("github", url=f"https://{GITHUB}", client_id_lists=[AUDIENCE], opts=opts).arn
    )
    access = {
        stack: StackAccess(
            f"{PROJECT}-{stack}",
            {
                "stack": stack,
                "repository": chosen["repository"],
                "identity_provider_arn": github,
                "place": place,
            },
            opts,
        )
        for stack in chosen["stacks"]
    }
    pulumi.export("backends", {stack: each.backend_url for stack, each in access.items()})
    pulumi.export("secretsProviders", {stack: each.secrets_provider for stack, each in access.items()})
    pulumi.export("deployerRoles", {stack: each.deployer_role_arn for stack, each in access.items()})
    pulumi.export("previewRoles", {stack: each.preview_role_arn for stack, each in access.items()})
    pulumi.export("boundaries", {stack: each.boundary_arn for stack, each in access.items()})


if __name__ == "__main__":
    main()
