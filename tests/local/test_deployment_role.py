"""The generated policies, held to: who has them, and no more, can deploy the whole program."""

from __future__ import annotations

import functools
import json
import os
from collections.abc import Callable, Iterator, Mapping
from string import Template
from typing import Any, Final

import boto3
import botocore.session
import pytest
from botocore.exceptions import ClientError

from bootstrap.deployer import POLICIES
from local import deployer
from local.deployer import DeploymentError, deploy
from local.deployer.model import Account
from local.emulator import Emulator

pytestmark = [pytest.mark.local, pytest.mark.proof]

Json = dict[str, Any]
REGION: Final = "us-east-1"
STACK: Final = "prod"
ROLE: Final = f"mailroom-{STACK}-deployer"

# The emulator asks for these on `*` or without the keys that AWS sends along; CreateBudget is not an action in AWS,
# where it takes ModifyBudget. tests/test_deployer_policy.py judges them as AWS does.
COARSE: Final[Mapping[str, str]] = {
    "budgets:ModifyBudget": "budgets:CreateBudget",
    **{
        action: action
        for action in (
            "cloudwatch:PutDashboard",
            "iam:CreatePolicy",
            "iam:CreateRole",
            "iam:PutRolePolicy",
            "lambda:CreateEventSourceMapping",
            "lambda:CreateFunction",
        )
    },
}
NO_PROFILE: Final = {
    "profile": (None, None, None, None),
    "config_file": (None, None, os.devnull, None),
    "credentials_file": (None, None, os.devnull, None),
}


def assumed(credentials: Mapping[str, str]) -> type[Account]:
    """The account with the rights of a role. A class for each, as clients are kept by what is equal."""

    class Assumed(Account):
        @functools.cached_property
        def _session(self) -> boto3.Session:
            return boto3.Session(
                aws_access_key_id=credentials["AccessKeyId"],
                aws_secret_access_key=credentials["SecretAccessKey"],
                aws_session_token=credentials["SessionToken"],
                region_name=self.region,
                botocore_session=botocore.session.Session(session_vars=NO_PROFILE),
            )

    return Assumed


def as_the_emulator_asks(text: str, without: str = "") -> str:
    """A policy with COARSE actions in statements of their own, and one action left out."""
    document = json.loads(text)

    def split(statement: Json) -> Iterator[Json]:
        if statement["Effect"] == "Deny":
            yield statement
            return
        actions = [each for each in statement["Action"] if each != without]
        if kept := [each for each in actions if each not in COARSE]:
            yield {**statement, "Action": kept}
        if coarse := [COARSE[each] for each in actions if each in COARSE]:
            yield {"Effect": "Allow", "Action": coarse, "Resource": "*"}

    return json.dumps({**document, "Statement": [made for each in document["Statement"] for made in split(each)]})


def assume(emulator: Emulator, monkeypatch: pytest.MonkeyPatch, without: str = "") -> tuple[Account, str]:
    """Make the role as bootstrap does, and have the deployer be it: the account as it sees it, the boundary's ARN."""
    root = Account(emulator.endpoint, REGION)
    iam, place = root.client("iam"), {"partition": "aws", "region": REGION, "account": root.id}
    arns = {
        path.stem: iam.create_policy(
            PolicyName=f"mailroom-{STACK}-{path.stem}",
            Path="/deployment/",
            PolicyDocument=as_the_emulator_asks(Template(path.read_text("utf-8")).substitute(place), without),
        )["Policy"]["Arn"]
        for path in sorted((POLICIES / STACK).glob("*.json"))
    }
    trust = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": f"arn:aws:iam::{root.id}:root"}}
    role = iam.create_role(
        RoleName=ROLE,
        Path="/deployment/",
        AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [trust]}),
    )["Role"]["Arn"]
    for name in arns.keys() - {"boundary", "preview"}:
        iam.attach_role_policy(RoleName=ROLE, PolicyArn=arns[name])
    session = root.client("sts").assume_role(RoleArn=role, RoleSessionName="deploy")["Credentials"]
    us = assumed(session)
    monkeypatch.setattr(deployer, "Account", us)
    return us(emulator.endpoint, REGION), str(arns["boundary"])


def test_without_one_of_its_actions_the_deployment_fails_and_names_it(
    emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, boundary = assume(emulator, monkeypatch, without="dynamodb:CreateTable")
    with pytest.raises(DeploymentError, match="not authorized to perform: dynamodb:CreateTable"):
        deploy(emulator.endpoint, stack=STACK, overrides={"permissionsBoundary": boundary}, outputs_path=None)


def test_the_whole_program_is_deployed_with_the_rights_of_the_deployer(
    emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    us, boundary = assume(emulator, monkeypatch)
    made = deploy(emulator.endpoint, stack=STACK, overrides={"permissionsBoundary": boundary}, outputs_path=None)
    assert len(made.created) > 150
    roles = [each for each in made.created if each.type == "aws:iam/role:Role"]
    assert {each.inputs["permissionsBoundary"] for each in roles} == {boundary}

    # What it made, it can look at and change; what is in it, it cannot read.
    table = made.outputs["ledgerTableName"]
    assert us.client("dynamodb").describe_table(TableName=table)["Table"]["TableName"] == table
    refused: list[Callable[[], object]] = [
        lambda: us.client("dynamodb").scan(TableName=table),
        lambda: us.client("sqs").receive_message(QueueUrl=made.outputs["sendQueueUrl"]),
        lambda: us.client("iam").delete_role_permissions_boundary(RoleName=roles[0].id),
        lambda: us.client("iam").delete_policy(PolicyArn=boundary),
        lambda: us.client("sqs").create_queue(QueueName="payments"),
    ]
    for call in refused:
        with pytest.raises(ClientError, match=r"(?i)not authorized"):
            call()
