"""Cases of the rules on who may do what."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, Final

import pulumi_aws as aws

from tests.policies.cases import Case, Given, Hidden, Program
from tests.policies.parts import ACCOUNT, REGION, dead_letter_queue, https_only, log_group, policy, queue, queue_arn

ORDERS: Final = f"arn:aws:sns:{REGION}:{ACCOUNT}:orders"
TABLE: Final = f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/orders"
STRANGER: Final = "999999999999"
GITHUB: Final = "token.actions.githubusercontent.com"
PROVIDER: Final = f"arn:aws:iam::{ACCOUNT}:oidc-provider/{GITHUB}"
EVERYTHING: Final = "arn:aws:iam::aws:policy/AdministratorAccess"
LOGS: Final = "arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole"

Statement = dict[str, Any]


def nothing() -> None:
    log_group("orders")


# What an identity may do


def statement(**overrides: Any) -> Statement:
    """A statement that allows one thing. None takes a part away; keys are those of IAM."""
    given = {"Effect": "Allow", "Action": "dynamodb:GetItem", "Resource": TABLE, **overrides}
    return {key: value for key, value in given.items() if value is not None}


def held(*statements: Statement) -> Program:
    """A role's policy."""
    return lambda: aws.iam.RolePolicy("worker", role="worker", policy=policy(*statements))


def everywhere(*statements: Statement) -> tuple[Program, ...]:
    """The statements in each kind of policy that an identity can have."""
    text = policy(*statements)
    return (
        held(*statements),
        lambda: aws.iam.Policy("worker", policy=text),
        lambda: aws.iam.UserPolicy("worker", user="worker", policy=text),
        lambda: aws.iam.GroupPolicy("worker", group="workers", policy=text),
        role(trusting(Service="lambda.amazonaws.com"), inline_policies=[{"name": "worker", "policy": text}]),
    )


def attached(arn: str) -> tuple[Program, ...]:
    """A managed policy, attached in every way there is."""
    return (
        lambda: aws.iam.RolePolicyAttachment("worker", role="worker", policy_arn=arn),
        lambda: aws.iam.UserPolicyAttachment("worker", user="worker", policy_arn=arn),
        lambda: aws.iam.GroupPolicyAttachment("worker", group="workers", policy_arn=arn),
        lambda: aws.iam.PolicyAttachment("worker", roles=["worker"], policy_arn=arn),
        role(trusting(Service="lambda.amazonaws.com"), managed_policy_arns=[arn]),
    )


# Who may assume a role


def trusting(condition: Mapping[str, Any] | None = None, **principal: Any) -> Statement:
    """A statement by which a principal may assume a role."""
    action = "sts:AssumeRoleWithWebIdentity" if "Federated" in principal else "sts:AssumeRole"
    return {"Effect": "Allow", "Action": action, "Principal": principal} | (
        {"Condition": condition} if condition else {}
    )


def role(*statements: Statement, **overrides: Any) -> Program:
    return lambda: aws.iam.Role("worker", assume_role_policy=policy(*statements), **overrides)


def from_github(condition: Mapping[str, Any] | None) -> Program:
    return role(trusting(condition, Federated=PROVIDER))


def from_scheduler(condition: Mapping[str, Any] | None) -> Program:
    return role(trusting(condition, Service="scheduler.amazonaws.com"))


# Who may send to a topic or queue


def publishing(principal: Any, condition: Mapping[str, Any] | None = None, **overrides: Any) -> Statement:
    """A statement by which a principal may publish."""
    given = {"Effect": "Allow", "Principal": principal, "Action": "sns:Publish", "Resource": ORDERS, **overrides}
    return given | ({"Condition": condition} if condition else {})


def topic(*statements: Statement, **overrides: Any) -> Program:
    """A topic `orders` with its policy, in which these are."""

    def program() -> None:
        made = aws.sns.Topic("orders", **{"kms_master_key_id": "alias/aws/sns", **overrides})
        aws.sns.TopicPolicy("orders", arn=made.arn, policy=policy(https_only("sns:Publish", ORDERS), *statements))

    return program


def service(condition: Mapping[str, Any] | None) -> Program:
    return topic(publishing({"Service": "s3.amazonaws.com"}, condition))


def inline() -> None:
    """A queue that everybody may send to, by a policy among its own properties."""
    arn = queue_arn("orders")
    sending = {"Effect": "Allow", "Principal": "*", "Action": "sqs:SendMessage", "Resource": arn}
    aws.sqs.Queue(
        "orders",
        sqs_managed_sse_enabled=True,
        redrive_policy=dead_letter_queue("orders-dlq").arn.apply(
            lambda dead: f'{{"deadLetterTargetArn": "{dead}", "maxReceiveCount": 3}}'
        ),
        policy=policy(https_only("sqs:*", arn), sending),
    )


CASES = {
    "no-star-action": Case(
        violated=(
            *everywhere(statement(Action="*")),
            *attached(EVERYTHING),
            *attached("arn:aws:iam::aws:policy/AmazonSQSFullAccess"),
            held(statement(Action="dynamodb:*")),
            held(statement(Action=["dynamodb:GetItem", "dynamodb:*"])),
            held(statement(Action=None, NotAction="iam:PassRole")),
            held(statement(), statement(Action="dynamodb:*")),
        ),
        satisfied=(
            *everywhere(statement()),
            *attached(LOGS),
            held(statement(), statement(Effect="Deny", Action="*")),
            held(statement(Effect="Deny", Action=None, NotAction="iam:PassRole")),
            held(statement(Action="dynamodb:Get*")),
        ),
        unknown=(
            Hidden(resource="worker", path="policy"),
            Hidden(resource="worker", path="policyArn", program=attached(LOGS)[0]),
            Hidden(resource="worker", path="managedPolicyArns", program=attached(LOGS)[-1]),
            Hidden(resource="worker", path="inlinePolicies[0].policy", program=everywhere(statement())[-1]),
        ),
        not_applicable=(nothing, role(trusting(Service="lambda.amazonaws.com"))),
    ),
    "no-star-resource": Case(
        violated=(
            *everywhere(statement(Resource="*")),
            held(statement(Resource=[TABLE, "*"])),
            held(statement(Resource=None, NotResource=TABLE)),
            held(statement(Action=["xray:PutTraceSegments", "dynamodb:GetItem"], Resource="*")),
            Given(program=held(statement(Action="xray:PutTraceSegments", Resource="*")), settings={"allowed": {}}),
        ),
        satisfied=(
            *everywhere(statement()),
            held(statement(Resource=f"{TABLE}/index/*")),
            held(statement(), statement(Effect="Deny", Resource="*")),
            held(statement(Action="xray:PutTraceSegments", Resource="*")),
            held(statement(Action="XRay:puttracesegments", Resource="*")),
            held(statement(Action="cloudwatch:ListMetrics", Resource="*")),
        ),
        unknown=Hidden(resource="worker", path="policy"),
        not_applicable=(nothing, role(trusting(Service="lambda.amazonaws.com"))),
        settings={"allowed": {"xray:PutTraceSegments": "X-Ray has no resources", "cloudwatch:List*": "nor these"}},
    ),
    "closed-to-other-accounts": Case(
        violated=(
            inline,
            topic(publishing("*")),
            topic(publishing({"AWS": "*"})),
            topic(publishing({"AWS": STRANGER})),
            topic(publishing({"AWS": [ACCOUNT, f"arn:aws:iam::{STRANGER}:root"]})),
            topic(publishing({"AWS": ACCOUNT}), publishing({"AWS": STRANGER})),
            topic(publishing(None, NotPrincipal={"AWS": ACCOUNT})),
            service(None),
            service({"ArnLike": {"aws:SourceArn": "arn:aws:s3:::uploads"}}),
            service({"ArnLike": {"aws:SourceArn": f"arn:aws:sns:{REGION}:{STRANGER}:theirs"}}),
            service({"StringEquals": {"aws:SourceAccount": STRANGER}}),
            service({"StringEquals": {"aws:SourceAccount": [ACCOUNT, STRANGER]}}),
            service({"StringNotEquals": {"aws:SourceAccount": ACCOUNT}}),
            service({"StringEqualsIfExists": {"aws:SourceAccount": ACCOUNT}}),
            service({"StringLike": {"aws:SourceOrgID": "*"}}),
            service({"StringEquals": {"aws:RequestedRegion": REGION}}),
        ),
        satisfied=(
            topic(),
            partial(queue, "orders"),
            topic(publishing({"AWS": ACCOUNT})),
            topic(publishing({"AWS": f"arn:aws:iam::{ACCOUNT}:root"})),
            topic(publishing("*", {"StringEquals": {"aws:PrincipalOrgID": "o-shop"}})),
            topic(publishing("*", {"StringEquals": {"aws:PrincipalAccount": ACCOUNT}})),
            topic(publishing("*", {"ArnLike": {"aws:PrincipalArn": f"arn:aws:iam::{ACCOUNT}:role/*"}})),
            service({"ArnEquals": {"aws:SourceArn": [f"arn:aws:events:{REGION}:{ACCOUNT}:rule/nightly"]}}),
            service({"StringEquals": {"AWS:SourceAccount": ACCOUNT}}),
            service({"StringEquals": {"aws:SourceAccount": ACCOUNT}, "ArnLike": {"aws:SourceArn": "arn:aws:s3:::up"}}),
        ),
        unknown=(
            Hidden(resource="TopicPolicy orders", path="policy"),
            Hidden(resource="Topic orders", path="arn", program=topic(publishing({"AWS": ACCOUNT}))),
        ),
        not_applicable=nothing,
    ),
    "closed-role-trust": Case(
        violated=(
            role({"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": "*"}),
            role(trusting(AWS="*")),
            role(trusting(Service="lambda.amazonaws.com"), trusting(AWS=[ACCOUNT, "*"])),
            from_github(None),
            from_github({"StringEquals": {f"{GITHUB}:aud": "sts.amazonaws.com"}}),
            from_github({"StringLike": {f"{GITHUB}:sub": "*"}}),
            from_github({"StringLike": {f"{GITHUB}:sub": "repo:*"}}),
            from_github({"StringLike": {f"{GITHUB}:sub": ["repo:shop/shop:*", "repo:*/shop:*"]}}),
            from_github({"StringNotLike": {f"{GITHUB}:sub": "repo:shop/shop:*"}}),
            from_scheduler(None),
            from_scheduler({"StringEquals": {"aws:RequestedRegion": REGION}}),
            role(trusting(Service="budgets.amazonaws.com")),
            Given(program=role(trusting(Service="glue.amazonaws.com")), settings={"services": ["glue.amazonaws.com"]}),
        ),
        satisfied=(
            role(trusting(Service="lambda.amazonaws.com")),
            role(trusting(AWS=f"arn:aws:iam::{ACCOUNT}:root")),
            role({"Effect": "Deny", "Action": "sts:AssumeRole", "Principal": "*"}),
            from_github({"StringEquals": {f"{GITHUB}:sub": "repo:shop/shop:environment:prod"}}),
            from_github({"StringLike": {f"{GITHUB}:sub": "repo:shop/*"}}),
            from_scheduler({"StringEquals": {"aws:SourceAccount": ACCOUNT}}),
            from_scheduler({"ArnLike": {"aws:SourceArn": f"arn:aws:scheduler:{REGION}:{ACCOUNT}:schedule/*"}}),
            role(trusting(Federated=f"arn:aws:iam::{ACCOUNT}:saml-provider/office")),
            Given(program=from_scheduler(None), settings={"services": []}),
            # It allows nothing; AWS refuses it.
            lambda: aws.iam.Role("worker", assume_role_policy="Statement"),
        ),
        unknown=Hidden(resource="worker", path="assumeRolePolicy"),
        not_applicable=nothing,
    ),
}
