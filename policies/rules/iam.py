"""Nobody may do more than they have to, and nobody else may do anything."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Any, Final

from observability.program.resources import Resource
from observability.review.iam import ANYONE, EVERYTHING, Grant, as_list, documents, principals, statements
from policies.model import NotApplicable, Stack, document, rule, value
from policies.relations import QUEUE, TOPIC, resource_policies

ROLE: Final = "aws:iam/role:Role"

_BEARERS: Final = (
    ROLE,
    "aws:iam/policy:Policy",
    "aws:iam/rolePolicy:RolePolicy",
    "aws:iam/userPolicy:UserPolicy",
    "aws:iam/groupPolicy:GroupPolicy",
)
"""What holds policies of identities. In the policy of a key or queue, `*` is that key or queue."""

_ATTACHMENTS: Final = (
    "aws:iam/rolePolicyAttachment:RolePolicyAttachment",
    "aws:iam/userPolicyAttachment:UserPolicyAttachment",
    "aws:iam/groupPolicyAttachment:GroupPolicyAttachment",
    "aws:iam/policyAttachment:PolicyAttachment",
)

_NARROWING: Final = frozenset({"stringequals", "stringequalsignorecase", "stringlike", "arnequals", "arnlike"})
"""Tests that let in only what has the key, with one of the values. With `IfExists` the key may be missing."""

_OURS: Final[Mapping[str, Callable[[str, str], bool]]] = {
    **dict.fromkeys(("aws:sourceaccount", "aws:principalaccount"), str.__eq__),
    **dict.fromkeys(("aws:sourcearn", "aws:principalarn"), lambda arn, account: _account(arn) == account),
    **dict.fromkeys(("aws:sourceorgid", "aws:principalorgid"), lambda organization, _: "*" not in organization),
}
"""Condition keys that tie a statement to an account, or to the organization that it is in."""

_ANY_SUBJECT: Final = re.compile(r"(repo:)?[*?]")
"""A subject that says nothing of who it is; GitHub's begin with `repo:`."""


@rule(
    "no-star-action",
    *_BEARERS,
    *_ATTACHMENTS,
    about="Policies name their actions",
    reason="Whoever gets hold of such a role may do whatever the service will ever be able to do, deleting included.",
    remedy="Name the actions that are called, one by one; in place of one of AWS's policies for everything, write one.",
)
def no_star_action(resource: Resource, _: Stack) -> Iterator[str]:
    """https://docs.aws.amazon.com/IAM/latest/UserGuide/best-practices.html#grant-least-privilege"""
    attached, granted = _attached(resource), _granted(resource)
    if not attached and not granted:
        raise NotApplicable
    for arn in attached:
        if Grant("", arn, "").alarming:
            yield f"{arn} is attached, which allows nearly everything"
    for action in sorted({each.action for each in granted if not each.denied}):
        if action == EVERYTHING or action.endswith(":*") or action.startswith("all but "):
            yield f"it allows {action}"


@rule(
    "no-star-resource",
    *_BEARERS,
    about="Policies name what their actions are allowed on",
    reason="An action that is allowed on * is allowed on what other programs of the account have, too.",
    remedy="Name the resources by their ARNs; where AWS knows nothing narrower for the action, list it in the setting"
    " `allowed` with the reason.",
    defaults={"allowed": {}},
    settings={"allowed": "action, or pattern of actions such as `xray:Put*`, to the reason why it needs *"},
)
def no_star_resource(resource: Resource, stack: Stack) -> Iterator[str]:
    """https://docs.aws.amazon.com/service-authorization/latest/reference/reference_policies_actions-resources-contextkeys.html"""
    if not (granted := _granted(resource)):
        raise NotApplicable
    allowed = [each for each in granted if not each.denied]
    wide = {each.action for each in allowed if each.target == EVERYTHING or each.target.startswith("all but ")}
    listed = [each.lower() for each in stack.settings["allowed"]]
    if unlisted := [each for each in sorted(wide) if not any(fnmatchcase(each.lower(), known) for known in listed)]:
        yield f"it allows {' and '.join(unlisted)} on every resource"


@rule(
    "closed-to-other-accounts",
    QUEUE,
    TOPIC,
    about="Queues and topics let in nobody but their own account and what acts for it",
    reason="A policy for anyone, or for a service without its source, lets every account of AWS send messages there.",
    remedy="Name principals of the account, or tie the statement to it: a condition on aws:SourceArn, aws:SourceAccount"
    " or aws:PrincipalOrgID.",
    related=True,
)
def closed_to_other_accounts(resource: Resource, stack: Stack) -> Iterator[str]:
    """https://docs.aws.amazon.com/IAM/latest/UserGuide/confused-deputy.html"""
    for statement in [each for found in resource_policies(resource, stack) for each in _allowing(found)]:
        account = _account(value(resource, "arn"))
        tied = any(
            all(_OURS[key](each, account) for each in values) for key, values in _tests(statement) if key in _OURS
        )
        for who in sorted({*principals(statement)}):
            if not tied and account not in (who, _account(who)):
                yield f"its policy lets {who} do {' and '.join(map(str, as_list(statement.get('Action'))))}"


@rule(
    "closed-role-trust",
    ROLE,
    about="Roles are assumed by those whom they are for",
    reason="Whoever can assume a role may do what it may.",
    remedy="Name the principals; give a web identity a condition on its subject (such as"
    " token.actions.githubusercontent.com:sub), and a service that tells its source one on aws:SourceAccount or"
    " aws:SourceArn.",
    defaults={"services": ["budgets.amazonaws.com", "scheduler.amazonaws.com"]},
    settings={"services": "services that say on whose behalf they assume a role, which it then has to check"},
)
def closed_role_trust(role: Resource, stack: Stack) -> Iterator[str]:
    """https://docs.aws.amazon.com/scheduler/latest/UserGuide/cross-service-confused-deputy-prevention.html
    https://docs.aws.amazon.com/cost-management/latest/userguide/cross-service-confused-deputy-prevention.html
    https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_providers_create_oidc.html
    """
    telling = {f"service {each}" for each in stack.settings["services"]}
    for statement in _allowing(document(role, "assumeRolePolicy") or {}):
        tests = dict(_tests(statement))
        subjects = [each for key, values in tests.items() if key.endswith(":sub") for each in values]
        for who in sorted({*principals(statement)}):
            if who == ANYONE:
                yield "anyone may assume it"
            if who in telling and not tests.keys() & {"aws:sourceaccount", "aws:sourcearn"}:
                yield f"{who} may assume it on behalf of any account"
            if "oidc-provider" in who and (not subjects or any(_ANY_SUBJECT.match(each) for each in subjects)):
                yield f"{who} may assume it with any subject"


def _granted(resource: Resource) -> list[Grant]:
    """What the policies that a resource holds allow and deny. Raises Unknown."""
    held = {key: value(resource, key) for key in ("policy", "inlinePolicies")}
    return [grant for each in documents(held) for grant in statements(each, resource.name)]


def _attached(resource: Resource) -> list[str]:
    """ARNs of policies that it gives to somebody."""
    listed = value(resource, "managedPolicyArns") or []
    return [*map(str, listed), *filter(None, [value(resource, "policyArn")])]


def _allowing(found: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The statements of a policy that allow something."""
    return [each for each in as_list(found.get("Statement")) if each.get("Effect") == "Allow"]


def _tests(statement: Mapping[str, Any]) -> Iterator[tuple[str, list[str]]]:
    """Condition keys that a request has to have, in lower case as AWS compares them, and their possible values."""
    for test, keys in (statement.get("Condition") or {}).items():
        if test.lower() in _NARROWING:
            for key, values in keys.items():
                yield key.lower(), [*map(str, as_list(values))]


def _account(arn: str) -> str:
    """The account in an ARN; "" where there is none in it, as in a bucket's."""
    return "".join(arn.split(":")[4:5])
