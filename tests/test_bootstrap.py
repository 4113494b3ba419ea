"""Bootstrap: who may become what, and how the state is kept."""

from __future__ import annotations

import json
from datetime import date
from functools import cache
from typing import Any, Final

import pytest
from moto.iam.policy_validation import IAMPolicyDocumentValidator

from bootstrap.deployer import AT_LENGTH, LIMIT, RULES, STACKS
from local.config import ROOT
from observability.errors import ToolkitError
from observability.program import Recording, Resource, record
from policies.configuration import configuration
from policies.engine import judge_stack, stack_of
from policies.rules import RULES as POLICY_RULES
from tests.recorded import program

Json = dict[str, Any]

SUBJECT: Final = "token.actions.githubusercontent.com:sub"
AUDIENCE: Final = "token.actions.githubusercontent.com:aud"


@cache
def bootstrap(**settings: str) -> Recording:
    return record(ROOT / "bootstrap", "account", settings)


def one(kind: str, name: str) -> Resource:
    (found,) = (each for each in bootstrap().all(kind) if each.name == name)
    return found


def statement(document: Json) -> Json:
    (only,) = document["Statement"]
    return dict(only)


@pytest.mark.parametrize(
    ("key", "value", "allowed"),
    [
        ("repository", "mailroom", "allowed is OWNER/NAME"),
        ("repository", "repo:your-organisation/mailroom", "without repo:"),
        ("repository", "your-organisation/*", "allowed is OWNER/NAME"),
        ("stacks", "", "allowed are dev, prod"),
        ("stacks", "dev staging", "a new one needs policies"),
        ("stacks", "dev dev", "each once"),
        ("oidcProvider", "arn:aws:iam::123456789012:oidc-provider/example.com", "oidc-provider"),
    ],
)
def test_a_wrong_setting_is_refused_by_key_value_and_remedy(key: str, value: str, allowed: str) -> None:
    with pytest.raises(ToolkitError) as refused:
        bootstrap(**{key: value})
    assert f"{key} is {value!r}" in str(refused.value)
    assert allowed in str(refused.value)
    assert "Remedy" in str(refused.value)


def test_wrong_settings_are_reported_together() -> None:
    with pytest.raises(ToolkitError) as refused:
        bootstrap(repository="mailroom", stacks="")
    assert str(refused.value).count("Remedy") == 2


@pytest.mark.parametrize("repository", ["your-organisation/mailroom", "octocat@583231/mail.room@1296269"])
def test_a_repository_is_named_as_githubs_tokens_name_it(repository: str) -> None:
    found = bootstrap(repository=repository)
    subjects = {
        role.name: statement(role.document("assumeRolePolicy"))["Condition"]["StringEquals"][SUBJECT]
        for role in found.all("Role")
    }
    assert subjects == {
        "mailroom-dev-deployer": f"repo:{repository}:environment:dev",
        "mailroom-dev-preview": f"repo:{repository}:pull_request",
        "mailroom-prod-deployer": f"repo:{repository}:environment:prod",
        "mailroom-prod-preview": f"repo:{repository}:pull_request",
    }


def test_a_role_is_assumed_by_jobs_of_the_repository_alone_and_by_nobody_with_a_key() -> None:
    (provider,) = bootstrap().all("OpenIdConnectProvider")
    assert provider.inputs["clientIdLists"] == ["sts.amazonaws.com"]
    for role in bootstrap().all("Role"):
        trust = statement(role.document("assumeRolePolicy"))
        assert trust["Action"] == "sts:AssumeRoleWithWebIdentity", role.name
        assert trust["Principal"] == {"Federated": provider.outputs["arn"]}, role.name
        assert trust["Condition"].keys() == {"StringEquals"}, "no pattern: whoever could choose a name would match it"
        assert trust["Condition"]["StringEquals"][AUDIENCE] == "sts.amazonaws.com", role.name
    assert not [*bootstrap().all("AccessKey"), *bootstrap().all("User")]


def test_an_account_that_knows_github_keeps_its_provider() -> None:
    arn = "arn:aws:iam::123456789012:oidc-provider/token.actions.githubusercontent.com"
    found = bootstrap(oidcProvider=arn)
    assert not [*found.all("OpenIdConnectProvider")]
    assert {statement(each.document("assumeRolePolicy"))["Principal"]["Federated"] for each in found.all("Role")} == {
        arn
    }


def test_an_account_of_its_own_has_nothing_of_the_other_stack() -> None:
    names = {each.name for each in bootstrap(stacks="prod").resources if each.custom}
    assert names
    assert not [name for name in names if "dev" in name]


def test_all_of_it_is_apart_from_what_a_deployer_may_change() -> None:
    for kind in ("Role", "Policy"):
        assert {each.inputs["path"] for each in bootstrap().all(kind)} == {"/deployment/"}
    # The deployer's keys carry the project's tag, and these another.
    (provider,) = bootstrap().all("pulumi:providers:aws")
    assert json.loads(provider.inputs["defaultTags"])["tags"]["project"] == "mailroom-bootstrap"


@pytest.mark.parametrize("stack", STACKS)
def test_the_boundary_that_a_deployer_has_to_set_is_the_one_that_is_made(stack: str) -> None:
    boundary = one("Policy", f"mailroom-{stack}-boundary")
    arn = f"arn:aws:iam::123456789012:policy{boundary.inputs['path']}{boundary.inputs['name']}"
    access = one("Policy", f"mailroom-{stack}-access").document()
    (bounded,) = (each for each in access["Statement"] if each["Sid"] == "RoleWhenBounded")
    assert bounded["Condition"] == {"StringEquals": {"iam:PermissionsBoundary": arn}}


@pytest.mark.parametrize("stack", STACKS)
def test_a_role_has_the_policies_of_its_kind_and_the_boundary_is_nobodys(stack: str) -> None:
    attached = {
        (each.inputs["role"], each.inputs["policyArn"].rsplit("/", 1)[-1])
        for each in bootstrap().all("RolePolicyAttachment")
    }
    files = {path.stem for path in (ROOT / "bootstrap" / "policies" / stack).glob("*.json")}
    assert {policy for role, policy in attached if role == f"mailroom-{stack}-deployer"} == {
        f"mailroom-{stack}-{name}" for name in files - {"preview", "boundary"}
    }
    assert {policy for role, policy in attached if role == f"mailroom-{stack}-preview"} == {f"mailroom-{stack}-preview"}


@pytest.mark.parametrize(
    ("kind", "objects", "encryption"),
    [
        (
            "deployer",
            {"s3:GetObject", "s3:PutObject", "s3:DeleteObject"},
            {"kms:Decrypt", "kms:Encrypt", "kms:GenerateDataKey"},
        ),
        ("preview", {"s3:GetObject"}, {"kms:Decrypt"}),
    ],
)
@pytest.mark.parametrize("stack", STACKS)
def test_a_role_reaches_the_state_and_the_key_of_its_own_stack(
    stack: str, kind: str, objects: set[str], encryption: set[str]
) -> None:
    found = one("RolePolicy", f"mailroom-{stack}-{kind}-state").document()["Statement"]
    bucket = f"arn:aws:s3:::mailroom-state-{stack}-123456789012"
    assert [({*each["Action"]}, each["Resource"]) for each in found] == [
        ({"s3:ListBucket"}, bucket),
        (objects, f"{bucket}/*"),
        (encryption, one("Key", f"mailroom-{stack}").outputs["arn"]),
    ]


@pytest.mark.parametrize("stack", STACKS)
def test_state_is_encrypted_private_kept_in_versions_and_not_deleted_by_mistake(stack: str) -> None:
    name = f"mailroom-{stack}"
    (rule,) = one("BucketServerSideEncryptionConfiguration", name).inputs["rules"]
    key = one("Key", name)
    assert rule["applyServerSideEncryptionByDefault"] == {
        "sseAlgorithm": "aws:kms",
        "kmsMasterKeyId": key.outputs["arn"],
    }
    assert key.inputs["enableKeyRotation"] is True
    blocked = one("BucketPublicAccessBlock", name).inputs
    assert {blocked[each] for each in blocked if each != "bucket"} == {True}
    assert len(blocked) == 5
    assert one("BucketVersioning", name).inputs["versioningConfiguration"] == {"status": "Enabled"}
    assert one("Bucket", name).protect
    assert key.protect
    denied = statement(one("BucketPolicy", name).document())
    assert (denied["Effect"], denied["Principal"], denied["Condition"]) == (
        "Deny",
        "*",
        {"Bool": {"aws:SecureTransport": "false"}},
    )


def test_every_policy_is_one_that_iam_takes_and_short_enough() -> None:
    for policy in bootstrap().all("Policy"):
        IAMPolicyDocumentValidator(policy.inputs["policy"]).validate()
        assert len(policy.inputs["policy"]) <= LIMIT, policy.name
        assert "${" not in policy.inputs["policy"], policy.name


def test_it_is_judged_by_the_policies_as_the_program_is_and_nothing_is_found() -> None:
    given = configuration(json.loads(RULES.read_text(encoding="utf-8")), POLICY_RULES, RULES.name)
    stack = stack_of(bootstrap(), date(2026, 11, 23))
    assert [each.message for each in judge_stack(stack, POLICY_RULES, given).findings] == []
    excused = {each.rule for each in judge_stack(stack, POLICY_RULES, {}).findings}
    assert excused == {"no-star-resource", "stack-has-budget"}


def test_what_workflows_have_to_be_told_is_an_output() -> None:
    assert bootstrap().outputs["backends"] == {
        stack: f"s3://mailroom-state-{stack}-123456789012?region=us-east-1&awssdk=v2" for stack in STACKS
    }
    assert bootstrap().outputs["secretsProviders"] == {
        stack: f"awskms://alias/mailroom-state-{stack}?region=us-east-1" for stack in STACKS
    }
    for name in ("deployerRoles", "previewRoles", "boundaries"):
        assert bootstrap().outputs[name].keys() == {*STACKS}, name


def test_a_bucket_has_a_name_that_s3_takes_for_the_longest_stack() -> None:
    assert len(f"mailroom-state-{max(STACKS, key=len)}-{AT_LENGTH['account']}") <= 63


# The boundary, in the main program.


def test_every_role_of_the_program_is_given_the_boundary() -> None:
    arn = "arn:aws:iam::123456789012:policy/deployment/mailroom-prod-boundary"
    full = {"budgetAction": "true", "pageEmails": "oncall@mailroom.example", "slackChannel": "T0123ABCD/C0123ABCD"}
    recorder, _ = program("prod", permissionsBoundary=arn, **full)
    roles = {each.name: each.inputs.get("permissionsBoundary") for each in recorder.all("Role")}
    assert len(roles) > 11, "with those of the budget's action and the chat"
    assert set(roles.values()) == {arn}


def test_without_the_setting_no_role_has_a_boundary() -> None:
    recorder, _ = program("prod")
    assert not [each.name for each in recorder.all("Role") if "permissionsBoundary" in each.inputs]
