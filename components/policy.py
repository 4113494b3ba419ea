"""IAM policy documents: the statements of a role, and the resource policies of queues and topics."""

import json
from collections.abc import Iterator, Sequence
from typing import Any, Final, NotRequired, TypedDict

import pulumi

VERSION: Final = "2012-10-17"
Document = dict[str, Any]


class Statement(TypedDict):
    """One thing that a role may do. It names its actions and its resources; wildcards are refused."""

    actions: list[str]
    """Actions, such as `dynamodb:GetItem`."""

    resources: NotRequired[list[pulumi.Input[str]]]
    """ARNs that the actions are allowed on."""

    every_resource_because: NotRequired[str]
    """In place of `resources`: why AWS lets the actions be allowed on nothing narrower than `*`."""

    conditions: NotRequired[dict[str, dict[str, list[str]]]]
    """Condition operator to condition key to allowed values."""


def faults(statements: Sequence[Statement]) -> Iterator[str]:
    """What is too wide or too vague about the statements of a role."""
    for number, statement in enumerate(statements, 1):
        actions = statement["actions"]
        named = actions[0] if actions else "no action"
        where = f"statement {number} ({named})"
        if not actions:
            yield f"{where} allows nothing"
        if wide := [action for action in actions if "*" in action or ":" not in action]:
            yield f"{where} has to name its actions one by one, not {', '.join(wide)}"
        resources, reason = statement.get("resources"), statement.get("every_resource_because")
        if bool(resources) == bool(reason and reason.strip()):
            yield f"{where} needs either resources or the reason why it has none"
        if resources and "*" in [resource for resource in resources if isinstance(resource, str)]:
            yield f"{where} is allowed on '*': say why in every_resource_because, or name the resources"


def role_policy(statements: Sequence[Statement]) -> pulumi.Output[str]:
    """The policy document of a role that may do these things."""
    return document([_allow(statement) for statement in statements])


def document(statements: Sequence[Document]) -> pulumi.Output[str]:
    """Statements (IAM's own JSON, values may be outputs) as a policy's text, the same for the same statements."""
    return pulumi.Output.json_dumps({"Version": VERSION, "Statement": list(statements)}, sort_keys=True)


def trust(service: str) -> str:
    """The trust policy of a role that one AWS service assumes."""
    return json.dumps(
        {
            "Version": VERSION,
            "Statement": [
                {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": service}},
            ],
        },
        sort_keys=True,
    )


def service_may(
    service: str, action: str, resource: pulumi.Input[str], sources: Sequence[pulumi.Input[str]]
) -> Document:
    """A resource-policy statement: an AWS service, and only on behalf of these sources, may do one thing."""
    return {
        "Sid": "OnlyFromSource",
        "Effect": "Allow",
        "Principal": {"Service": service},
        "Action": action,
        "Resource": resource,
        "Condition": {"ArnEquals": {"aws:SourceArn": list(sources)}},
    }


def encrypted_transport_only(action: str, resource: pulumi.Input[str]) -> Document:
    """A resource-policy statement: nobody, AWS's own services included, may come over plain HTTP."""
    return {
        "Sid": "DenyPlainHttp",
        "Effect": "Deny",
        "Principal": "*",
        "Action": action,
        "Resource": resource,
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }


def account_of(arn: pulumi.Input[str]) -> pulumi.Output[str]:
    """The account that owns a resource, from its ARN."""
    return pulumi.Output.from_input(arn).apply(lambda text: text.split(":")[4])


def region_of(arn: pulumi.Input[str]) -> pulumi.Output[str]:
    """The region that a resource is in, from its ARN."""
    return pulumi.Output.from_input(arn).apply(lambda text: text.split(":")[3])


def account_root(arn: pulumi.Input[str]) -> pulumi.Output[str]:
    """The principal that stands for every identity of the account (and partition) that owns a resource."""

    def root(text: str) -> str:
        _, partition, _, _, account, _ = text.split(":", 5)
        return f"arn:{partition}:iam::{account}:root"

    return pulumi.Output.from_input(arn).apply(root)


def _allow(statement: Statement) -> Document:
    return {
        "Effect": "Allow",
        "Action": sorted(statement["actions"]),
        "Resource": statement.get("resources", "*"),
        **({"Condition": statement["conditions"]} if "conditions" in statement else {}),
    }
