"""The deployer's policies: what deploying the program takes, and nothing else."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from string import Template
from typing import Any, Final

import botocore.session
import pytest

from bootstrap.actions import read_table
from bootstrap.deployer import (
    AT_LENGTH,
    LIMIT,
    POLICIES,
    ROOT,
    RULES,
    STACKS,
    files,
    policies,
    size,
)
from local.deployer.permissions import allows
from observability.errors import ToolkitError
from observability.program import Recording, Resource
from tests.recorded import program, recording

Json = dict[str, Any]

TABLE: Final = read_table()
PLACE: Final = {"partition": "aws", "region": "us-east-1", "account": "123456789012"}
"""That of the recordings."""
BOUNDARY: Final = "arn:aws:iam::123456789012:policy/deployment/mailroom-prod-boundary"
EVERYTHING_ON: Final[Mapping[str, str]] = {
    "hostedZoneId": "Z0123456789ABCDEFGHIJ",
    "slackChannel": "T0123ABCD/C0123ABCD",
    "teamsChannel": f"{'0' * 8}-0000-0000-0000-{'0' * 12}/{'1' * 8}-1111-1111-1111-{'1' * 12}/19:channel",
    "pageEmails": "oncall@mailroom.example",
    "budgetAction": "true",
}
"""Settings with which the program registers what it registers in no stack of the repository."""

# Actions that allow more than one operation, or none by their name. Service Authorization Reference.
NO_OPERATIONS: Final = {
    "billing:GetBillingViewData",
    "budgets:ModifyBudget",
    "budgets:ViewBudget",
    "lambda:InvokeFunction",
    "xray:PutTelemetryRecords",
}
CLIENTS: Final = {"ses": "sesv2"}
"""IAM's names of services to botocore's, where they differ."""


def everything_on() -> Recording:
    recorder, outputs = program("prod", **EVERYTHING_ON)
    return Recording(project="mailroom", stack="prod", resources=tuple(recorder.resources), outputs=outputs)


def registered(found: Recording) -> set[str]:
    return {each.type for each in found.resources if each.type.startswith("aws:")}


def filled(document: Json) -> str:
    return Template(json.dumps(document)).substitute(PLACE)


def documents(stack: str = "prod") -> dict[str, str]:
    return {name: filled(document) for name, document in policies(recording(stack), TABLE).items()}


def deployers(stack: str = "prod") -> list[str]:
    return [text for name, text in documents(stack).items() if name not in {"preview", "boundary"}]


def statements(*texts: str) -> Iterator[Json]:
    for text in texts:
        yield from json.loads(text)["Statement"]


def allowed_actions(*texts: str) -> set[str]:
    return {action for one in statements(*texts) if one["Effect"] == "Allow" for action in one["Action"]}


def arn(name: str, pattern: str) -> str:
    """An ARN of that pattern as AWS makes it: Pulumi adds digits to names."""
    known = {**PLACE, "project": "mailroom", "stack": "prod", "emailIdentity": "mail.mailroom.example"}
    return Template(pattern).safe_substitute(known).replace("*", f"{name}-0a1b2c3")


# What the table and the program have to agree on.


def test_a_type_without_a_row_is_refused_by_its_name() -> None:
    new = Resource(type="aws:kinesis/stream:Stream", name="orders")
    found = recording("prod")
    with pytest.raises(ToolkitError, match=r"registers what actions\.yaml does not know: aws:kinesis/stream:Stream"):
        policies(replace(found, resources=(*found.resources, new)), TABLE)


def test_what_is_only_looked_up_takes_no_rights_to_make_it() -> None:
    found = recording("prod")
    looked_up = Resource(type="aws:kinesis/stream:Stream", name="orders", external=True)
    assert policies(replace(found, resources=(*found.resources, looked_up)), TABLE) == policies(found, TABLE)


def test_every_type_that_the_program_can_register_has_a_row_and_no_row_is_of_another() -> None:
    assert set(TABLE.types) == registered(everything_on()) | registered(recording("dev"))


@pytest.mark.parametrize("stack", STACKS)
def test_a_stacks_deployer_may_do_what_its_types_take_and_nothing_else(stack: str) -> None:
    taken = {
        action
        for type_ in registered(recording(stack))
        for grant in TABLE.types[type_]
        for action in grant.read + grant.write
    }
    gate = {action for grant in TABLE.gate for action in grant.write}
    assert allowed_actions(*deployers(stack)) == taken | gate | {"iam:PassRole"}
    others = {grant for type_ in TABLE.types.keys() - registered(recording(stack)) for grant in TABLE.types[type_]}
    assert {action for grant in others for action in grant.write} - taken, "else this would show nothing"


@pytest.mark.parametrize("stack", STACKS)
def test_a_resource_of_every_type_can_be_made_changed_read_and_deleted(stack: str) -> None:
    granted = deployers(stack)
    keys = {
        "iam:permissionsboundary": BOUNDARY.replace("prod", stack),
        "lambda:functionarn": "arn:aws:lambda:us-east-1:123456789012:function:mailroom-probe-0a1b2c3",
        **{f"aws:{kind}tag/{key}": value for kind in ("resource", "request") for key, value in tags(stack).items()},
    }
    for type_ in registered(recording(stack)):
        for grant in TABLE.types[type_]:
            for name in grant.scope:
                for action in grant.read + grant.write:
                    on = arn("mailroom", TABLE.resources[name]).replace("mail.mailroom.example", domain(stack))
                    assert allows(granted, action, on, keys), f"{type_}: {action} on {on}"


def tags(stack: str) -> dict[str, str]:
    return {"project": "mailroom", "stack": stack}


def domain(stack: str) -> str:
    (identity,) = recording(stack).all("EmailIdentity")
    return str(identity.inputs["emailIdentity"])


def test_the_files_are_current() -> None:
    expected = files([recording(stack) for stack in STACKS], TABLE)
    assert {*POLICIES.glob("*/*.json"), RULES} == expected.keys(), "make deployer-policy"
    for path, text in expected.items():
        found = path.read_text(encoding="utf-8")
        difference = [
            line for line in difflib.ndiff(found.splitlines(), text.splitlines()) if not line.startswith("  ")
        ]
        assert not difference, (
            f"{path.relative_to(ROOT)} is not current; `make deployer-policy`, and read what it changes"
        )


def test_every_action_exists() -> None:
    session = botocore.session.Session()
    models = {
        service: session.get_service_model(CLIENTS.get(service, service))
        for service in {action.split(":")[0] for action in TABLE.actions - NO_OPERATIONS}
    }
    unknown = {
        action
        for action in TABLE.actions - NO_OPERATIONS
        if action.split(":")[1] not in models[action.split(":")[0]].operation_names
    }
    assert not unknown
    assert TABLE.actions >= NO_OPERATIONS


@pytest.mark.parametrize("stack", STACKS)
def test_every_policy_fits_into_a_managed_one_and_a_role_has_room_for_them(stack: str) -> None:
    made = policies(recording(stack), TABLE)
    assert {name: size(document) for name, document in made.items() if size(document) > LIMIT} == {}
    assert len(deployers(stack)) <= 10
    everything = policies(everything_on(), TABLE)
    assert max(size(document) for document in everything.values()) <= LIMIT, "with every setting on, too"


def test_a_policy_that_is_too_long_is_refused_with_what_to_do() -> None:
    long = replace(TABLE, resources={**TABLE.resources, "queue": "arn:aws:sqs:::" + "x" * LIMIT})
    with pytest.raises(ToolkitError, match=r"dev/data\.json would have [0-9]+ characters") as refused:
        files([recording("dev")], long)
    assert str(LIMIT) in str(refused.value)


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ("- scope: [nowhere]", "resource 'nowhere' is not known"),
        ("- scope: [queue]\n      when: never", "condition 'never' is not known"),
        ("- scope: [every]", "has to say why actions are on every resource"),
        ("- scope: [queue]\n      because: it is so", "and of those alone"),
        ("- scope: [queue]\n      reads: []", "is not understood"),
    ],
)
def test_a_table_that_contradicts_itself_is_refused(change: str, fault: str, tmp_path: Path) -> None:
    text = (ROOT / "bootstrap" / "actions.yaml").read_text(encoding="utf-8")
    wrong = tmp_path / "actions.yaml"
    wrong.write_text(text.replace("- scope: [queue]", change, 1), encoding="utf-8")
    with pytest.raises(ToolkitError, match=fault):
        read_table(wrong)


def test_a_service_without_a_policy_to_be_in_is_named(tmp_path: Path) -> None:
    text = (ROOT / "bootstrap" / "actions.yaml").read_text(encoding="utf-8")
    wrong = tmp_path / "actions.yaml"
    wrong.write_text(text.replace("logs, sqs]", "logs]"), encoding="utf-8")
    with pytest.raises(ToolkitError, match="sqs:CreateQueue is of a service that none of `policies` has"):
        read_table(wrong)


# What no deployer may.

ROLE: Final = "arn:aws:iam::123456789012:role/mailroom-probe-0a1b2c3"
BOUNDED: Final = {"iam:permissionsboundary": BOUNDARY}


@pytest.mark.parametrize(
    "action", ["CreateRole", "PutRolePolicy", "UpdateAssumeRolePolicy", "PutRolePermissionsBoundary"]
)
def test_a_role_is_made_and_changed_only_within_the_boundary(action: str) -> None:
    assert not allows(deployers(), f"iam:{action}", ROLE)
    assert not allows(deployers(), f"iam:{action}", ROLE, {"iam:permissionsboundary": BOUNDARY.replace("prod", "dev")})
    assert not allows(deployers(), f"iam:{action}", ROLE.replace("mailroom", "payments"), BOUNDED)
    assert allows(deployers(), f"iam:{action}", ROLE, BOUNDED)


@pytest.mark.parametrize(
    ("action", "resource"),
    [
        ("iam:DeleteRolePermissionsBoundary", ROLE),
        ("iam:PutRolePolicy", "arn:aws:iam::123456789012:role/deployment/mailroom-prod-deployer"),
        ("iam:UpdateAssumeRolePolicy", "arn:aws:iam::123456789012:role/deployment/mailroom-prod-deployer"),
        ("iam:AttachRolePolicy", "arn:aws:iam::123456789012:role/deployment/mailroom-prod-deployer"),
        ("iam:CreatePolicyVersion", BOUNDARY),
        ("iam:DeletePolicy", BOUNDARY),
        ("iam:CreateUser", "arn:aws:iam::123456789012:user/mailroom"),
        ("iam:CreateOpenIDConnectProvider", "arn:aws:iam::123456789012:oidc-provider/mailroom"),
        ("sts:AssumeRole", ROLE),
        ("dynamodb:GetItem", "arn:aws:dynamodb:us-east-1:123456789012:table/mailroom-EmailDeliveries-0a1b2c3"),
        ("sqs:ReceiveMessage", "arn:aws:sqs:us-east-1:123456789012:mailroom-send-email-0a1b2c3"),
        ("ses:SendEmail", "arn:aws:ses:us-east-1:123456789012:identity/mail.mailroom.example"),
        ("kms:Decrypt", "arn:aws:kms:us-east-1:123456789012:key/1"),
        ("s3:DeleteBucket", "arn:aws:s3:::mailroom-state-prod-123456789012"),
    ],
)
def test_a_deployer_can_neither_give_itself_more_nor_touch_what_is_in_the_stack(action: str, resource: str) -> None:
    assert not allows(
        deployers(), action, resource, {**BOUNDED, **{f"aws:resourcetag/{k}": v for k, v in tags("prod").items()}}
    )


def test_names_of_other_programs_and_other_accounts_are_out_of_reach() -> None:
    for name, pattern in TABLE.resources.items():
        if "${project}" not in pattern:
            continue
        for action in {a for grants in TABLE.types.values() for g in grants if name in g.scope for a in g.write}:
            other = arn("x", pattern).replace("mailroom", "payments")
            assert not allows(deployers(), action, other, BOUNDED), action
            elsewhere = arn("x", pattern).replace("123456789012", "210987654321")
            assert not allows(deployers(), action, elsewhere, BOUNDED), action


def test_the_gate_runs_the_prober_and_no_other_function() -> None:
    function = "arn:aws:lambda:us-east-1:123456789012:function:mailroom-{}-0a1b2c3:live"
    assert allows(deployers(), "lambda:InvokeFunction", function.format("probe"))
    assert not allows(deployers(), "lambda:InvokeFunction", function.format("send-email"))


@pytest.mark.parametrize("stack", STACKS)
def test_what_carries_the_tags_of_another_stack_is_out_of_bounds(stack: str) -> None:
    table, (other,) = "arn:aws:dynamodb:us-east-1:123456789012:table/mailroom-control-0a1b2c3", {*STACKS} - {stack}
    own, others = ({f"aws:resourcetag/{key}": value for key, value in tags(each).items()} for each in (stack, other))
    assert allows(deployers(stack), "dynamodb:DeleteTable", table, own)
    assert allows(deployers(stack), "dynamodb:CreateTable", table), "what is made has no tags yet"
    assert not allows(deployers(stack), "dynamodb:DeleteTable", table, others)


def test_a_key_is_known_by_its_tags() -> None:
    key = "arn:aws:kms:us-east-1:123456789012:key/1"
    own = {f"aws:resourcetag/{each}": value for each, value in tags("prod").items()}
    assert allows(deployers(), "kms:ScheduleKeyDeletion", key, own)
    assert not allows(deployers(), "kms:ScheduleKeyDeletion", key)
    assert not allows(
        deployers(), "kms:ScheduleKeyDeletion", key, {**own, "aws:resourcetag/project": "mailroom-bootstrap"}
    )


@pytest.mark.parametrize(
    ("service", "passed"),
    [("lambda.amazonaws.com", True), ("scheduler.amazonaws.com", True), ("ec2.amazonaws.com", False)],
)
def test_roles_are_handed_to_the_services_that_run_them_and_no_others(service: str, passed: bool) -> None:
    assert allows(deployers(), "iam:PassRole", ROLE, {"iam:passedtoservice": service}) is passed
    admin = "arn:aws:iam::123456789012:role/Admin"
    assert not allows(deployers(), "iam:PassRole", admin, {"iam:passedtoservice": service})


def test_a_service_that_no_stack_uses_is_handed_no_role() -> None:
    (plain,) = (one for one in statements(*deployers()) if one["Sid"] == "PassRole")
    (full,) = (one for one in policies(everything_on(), TABLE)["access"]["Statement"] if one["Sid"] == "PassRole")
    gained = {*full["Condition"]["StringEquals"]["iam:PassedToService"]}
    assert gained - {*plain["Condition"]["StringEquals"]["iam:PassedToService"]} == {
        "budgets.amazonaws.com",
        "chatbot.amazonaws.com",
    }


def test_a_preview_only_reads() -> None:
    reading = {action for grants in TABLE.types.values() for grant in grants for action in grant.read}
    writing = {action for grants in TABLE.types.values() for grant in grants for action in grant.write}
    found = allowed_actions(documents()["preview"])
    assert found <= reading - writing
    assert {
        action for action in found if not action.split(":")[1].startswith(("Get", "List", "Describe", "View"))
    } == set()


# The boundary.


@pytest.mark.parametrize("stack", [*STACKS, "everything on"])
def test_the_boundary_keeps_no_role_from_what_its_policy_allows(stack: str) -> None:
    found = recording(stack) if stack in STACKS else everything_on()
    boundary = [filled(policies(found, TABLE)["boundary"])]
    for role in found.all("aws:iam/rolePolicy:RolePolicy"):
        for one in role.document()["Statement"]:
            resources = [one["Resource"]] if isinstance(one["Resource"], str) else one["Resource"]
            for action in [one["Action"]] if isinstance(one["Action"], str) else one["Action"]:
                for resource in resources:
                    assert allows(boundary, action, resource), f"{role.name}: {action} on {resource}"


@pytest.mark.parametrize(
    ("action", "resource"),
    [
        ("iam:CreateUser", "*"),
        ("iam:PutRolePolicy", ROLE),
        ("sts:AssumeRole", ROLE),
        ("dynamodb:DeleteTable", "arn:aws:dynamodb:us-east-1:123456789012:table/mailroom-control-0a1b2c3"),
        ("dynamodb:GetItem", "arn:aws:dynamodb:us-east-1:123456789012:table/payments"),
        ("sqs:SendMessage", "arn:aws:sqs:us-east-1:210987654321:mailroom-send-email"),
        ("ses:SendEmail", "arn:aws:ses:us-east-1:123456789012:identity/bank.example"),
        ("lambda:UpdateFunctionCode", "arn:aws:lambda:us-east-1:123456789012:function:mailroom-probe-0a1b2c3"),
        ("s3:GetObject", "arn:aws:s3:::mailroom-state-prod-123456789012/.pulumi/stacks/mailroom/prod.json"),
    ],
)
def test_a_role_cannot_leave_the_boundary_whatever_its_policy_says(action: str, resource: str) -> None:
    assert not allows([documents()["boundary"]], action, resource)


def test_a_role_that_gets_an_action_of_a_new_service_is_a_change_to_bootstrap() -> None:
    found = recording("prod")
    policy = json.dumps({"Statement": [{"Effect": "Allow", "Action": ["s3:GetObject"], "Resource": "*"}]})
    new = Resource(type="aws:iam/rolePolicy:RolePolicy", name="curious", inputs={"role": "r", "policy": policy})
    with pytest.raises(ToolkitError, match="allows a role s3:GetObject"):
        policies(replace(found, resources=(*found.resources, new)), TABLE)


def test_a_policy_of_aws_that_is_attached_has_to_say_what_is_needed_of_it() -> None:
    found = recording("prod")
    new = Resource(
        type="aws:iam/rolePolicyAttachment:RolePolicyAttachment",
        name="too-much",
        inputs={"role": "r", "policyArn": "arn:aws:iam::aws:policy/AdministratorAccess"},
    )
    with pytest.raises(ToolkitError, match="attaches AdministratorAccess"):
        policies(replace(found, resources=(*found.resources, new)), TABLE)


def test_what_bootstrap_fills_in_is_all_that_is_left_open() -> None:
    for path in POLICIES.glob("*/*.json"):
        assert {*Template(path.read_text(encoding="utf-8")).get_identifiers()} <= AT_LENGTH.keys(), path.name
