"""Who may do what, before and after: every statement of every policy of a program, action by action.

Policies are found by their shape (a document with `Statement`), so that those of any service are seen; of these, the
policies of roles, users and groups say who by where they are, all others by their principals. Managed policies of AWS
are not looked into: they are named.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Any, Final

from observability.program.resources import Recording, Resource

Json = Mapping[str, Any]

ANYONE: Final = "anyone"
EVERYTHING: Final = "*"

_BEARERS: Final[Mapping[str, tuple[str, str]]] = {
    "aws:iam/rolePolicy:RolePolicy": ("Role", "role"),
    "aws:iam/userPolicy:UserPolicy": ("User", "user"),
    "aws:iam/groupPolicy:GroupPolicy": ("Group", "group"),
    "aws:iam/rolePolicyAttachment:RolePolicyAttachment": ("Role", "role"),
    "aws:iam/userPolicyAttachment:UserPolicyAttachment": ("User", "user"),
    "aws:iam/groupPolicyAttachment:GroupPolicyAttachment": ("Group", "group"),
}
"""Resources that give rights to somebody: what kind of, and which property names them."""

_MANAGED: Final = "aws:iam/policy:Policy"
_ATTACHMENT: Final = "aws:iam/policyAttachment:PolicyAttachment"
_PERMISSION: Final = "aws:lambda/permission:Permission"
_URL: Final = "aws:lambda/functionUrl:FunctionUrl"
_IDENTITIES: Final = ("aws:iam/role:Role", "aws:iam/user:User", "aws:iam/group:Group")

_SUBJECTS: Final = ("queueUrl", "arn", "bucket", "keyId", "repository", "secretArn", "tableName", "resourceArn")
"""Properties by which the policy of a resource names the resource that it is of."""

_TOO_MUCH: Final = re.compile(r"policy/(?:.*/)?(AdministratorAccess|PowerUserAccess|IAMFullAccess|\w+FullAccess)$")


@dataclass(frozen=True, slots=True, order=True)
class Grant:
    """One action that somebody may (or, by `denied`, may not) do on something.

    Attributes:
        who, target: as the page calls them: `Role send-email`, `service sns.amazonaws.com`, an ARN.
        condition: in words; "" where there is none.
    """

    who: str
    action: str
    target: str
    condition: str = ""
    denied: bool = False

    @property
    def alarming(self) -> str:
        """What makes it one to look at twice; "" where nothing does. To deny much is no danger."""
        if self.denied:
            return ""
        action, found = self.action, []
        if _TOO_MUCH.search(action):
            found.append("a managed policy that allows nearly everything")
        if action == EVERYTHING:
            found.append("every action")
        elif action.startswith("all but "):
            found.append("every action but a few")
        elif action.endswith(":*"):
            found.append(f"every action of {action[:-2]}")
        if self.target == EVERYTHING:
            found.append("on every resource")
        elif self.target.startswith("all but "):
            found.append("on every resource but a few")
        if self.who == ANYONE and not self.condition:
            found.append("for anyone")
        return ", ".join(found)

    def covers(self, other: Grant) -> bool:
        """Whether it allows whatever the other does."""
        return (
            (self.who, self.condition, self.denied) == (other.who, other.condition, other.denied)
            and fnmatchcase(other.action.lower(), self.action.lower())
            and fnmatchcase(other.target, self.target)
        )


@dataclass(frozen=True, slots=True)
class Row:
    """Grants that differ in their actions and targets alone."""

    who: str
    actions: tuple[str, ...]
    targets: tuple[str, ...]
    condition: str
    denied: bool
    alarming: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Permissions:
    """What became of permissions.

    Attributes:
        gained, lost: without what another of them, or one that stays, covers.
    """

    gained: tuple[Grant, ...] = ()
    lost: tuple[Grant, ...] = ()

    @property
    def alarming(self) -> tuple[Grant, ...]:
        return tuple(each for each in self.gained if each.alarming)


def permissions(before: Recording, after: Recording) -> Permissions:
    """What is allowed (or denied) now and was not, and the other way round."""
    ours, theirs = grants(before), grants(after)
    return Permissions(
        gained=tuple(sorted(each for each in theirs - ours if not any(old.covers(each) for old in ours))),
        lost=tuple(sorted(each for each in ours - theirs if not any(new.covers(each) for new in theirs))),
    )


def rows(listed: Iterable[Grant]) -> list[Row]:
    """Grants by who has them, those with the same actions or the same targets together; alarming ones first."""
    by_action: defaultdict[tuple[str, str, bool, str], set[str]] = defaultdict(set)
    flags: defaultdict[tuple[str, str, bool, str], set[str]] = defaultdict(set)
    for each in listed:
        key = (each.who, each.condition, each.denied, each.action)
        by_action[key].add(each.target)
        flags[key] |= {each.alarming} - {""}
    joined: defaultdict[tuple[str, str, bool, tuple[str, ...], tuple[str, ...]], list[str]] = defaultdict(list)
    for (who, condition, denied, action), targets in by_action.items():
        flagged = tuple(sorted(flags[who, condition, denied, action]))
        joined[who, condition, denied, tuple(sorted(targets)), flagged].append(action)
    found = [
        Row(who, tuple(sorted(actions)), targets, condition, denied, flagged)
        for (who, condition, denied, targets, flagged), actions in joined.items()
    ]
    return sorted(found, key=lambda row: (not row.alarming, row.who, row.actions, row.targets))


def grants(recording: Recording) -> frozenset[Grant]:
    """Everything that the policies of a program allow and deny."""
    names = _Names(recording.resources)
    found: set[Grant] = set()
    policies = {str(each.outputs.get("arn") or each.id): each for each in recording.resources if each.type == _MANAGED}
    for resource in recording.resources:
        if resource.external or not resource.custom:
            continue
        found |= {names.told(grant) for grant in _of(resource, policies, names)}
    return frozenset(found)


def _of(resource: Resource, policies: Mapping[str, Resource], names: _Names) -> Iterator[Grant]:
    inputs = resource.inputs
    if resource.type in _BEARERS:
        kind, key = _BEARERS[resource.type]
        yield from _borne(f"{kind} {inputs.get(key)}", inputs, policies)
    elif resource.type == _ATTACHMENT:
        for kind in ("Role", "User", "Group"):
            for name in inputs.get(f"{kind.lower()}s") or ():
                yield from _borne(f"{kind} {name}", inputs, policies)
    elif resource.type == _PERMISSION:
        yield _permission(inputs)
    elif resource.type == _URL and inputs.get("authorizationType") == "NONE":
        yield Grant(ANYONE, "lambda:InvokeFunctionUrl", str(inputs.get("functionName")))
    elif resource.type in _IDENTITIES:
        yield from _identity(resource, policies)
    elif resource.type != _MANAGED:
        subject = next((str(inputs[key]) for key in _SUBJECTS if inputs.get(key)), names.of(resource))
        for document in documents(inputs):
            for grant in statements(document):
                # A policy of a key, a bucket or a queue is about it, whatever star it names.
                yield replace(grant, target=subject) if grant.target == EVERYTHING and _is_of_one(resource) else grant


def _borne(who: str, inputs: Json, policies: Mapping[str, Resource]) -> Iterator[Grant]:
    """What somebody may by a policy of their own, or one that is attached to them."""
    arn = str(inputs.get("policyArn") or "")
    if arn and arn not in policies:
        yield Grant(who, f"all of {arn}", "what that policy names")
        return
    given = policies[arn].inputs if arn else inputs
    for document in documents(given):
        yield from statements(document, who)


def _identity(resource: Resource, policies: Mapping[str, Resource]) -> Iterator[Grant]:
    who = f"{resource.kind} {resource.physical}"
    if trust := _document(resource.inputs.get("assumeRolePolicy")):
        for grant in statements(trust):
            yield replace(grant, target=who)
    for inline in resource.inputs.get("inlinePolicies") or ():
        yield from _borne(who, inline, policies)
    for arn in resource.inputs.get("managedPolicyArns") or ():
        yield from _borne(who, {"policyArn": arn}, policies)


def _permission(inputs: Json) -> Grant:
    conditions = {
        name: inputs[key]
        for key, name in (
            ("sourceArn", "aws:SourceArn"),
            ("sourceAccount", "aws:SourceAccount"),
            ("principalOrgId", "aws:PrincipalOrgID"),
            ("functionUrlAuthType", "lambda:FunctionUrlAuthType"),
            ("eventSourceToken", "lambda:EventSourceToken"),
        )
        if inputs.get(key)
    }
    function = str(inputs.get("function"))
    qualifier = f":{inputs['qualifier']}" if inputs.get("qualifier") else ""
    return Grant(
        who=_principal(
            "Service" if ".amazonaws.com" in str(inputs.get("principal")) else "AWS", inputs.get("principal")
        ),
        action=str(inputs.get("action")),
        target=function + qualifier,
        condition=_condition({"ArnLike": conditions} if conditions else {}),
    )


def _is_of_one(resource: Resource) -> bool:
    """Whether a policy found in a resource can only be about one resource."""
    return resource.type.startswith(("aws:kms/", "aws:sqs/", "aws:sns/", "aws:s3/", "aws:secretsmanager/", "aws:ecr/"))


def statements(document: Json, who: str = "") -> Iterator[Grant]:
    """What a policy says; `who` has it, or else its principals."""
    for statement in as_list(document.get("Statement")):
        if not isinstance(statement, Mapping):
            continue
        condition = _condition(statement.get("Condition") or {})
        denied = statement.get("Effect") == "Deny"
        for principal in [who] if who else sorted({*principals(statement)}):
            for action in _all_or_but(statement, "Action"):
                for target in _all_or_but(statement, "Resource") or [EVERYTHING]:
                    yield Grant(principal, action, target, condition, denied)


def _all_or_but(statement: Json, key: str) -> list[str]:
    if excepted := as_list(statement.get(f"Not{key}")):
        return [f"all but {', '.join(sorted(map(str, excepted)))}"]
    return sorted({str(each) for each in as_list(statement.get(key))})


def principals(statement: Json) -> Iterator[str]:
    if "NotPrincipal" in statement:
        yield "all but " + ", ".join(_of_principal(statement["NotPrincipal"]))
    yield from _of_principal(statement.get("Principal"))


def _of_principal(given: Any) -> Iterator[str]:
    if isinstance(given, Mapping):
        for kind, values in sorted(given.items()):
            yield from (_principal(kind, each) for each in as_list(values))
    elif given:
        yield _principal("AWS", given)


def _principal(kind: str, value: Any) -> str:
    if value == EVERYTHING:
        return ANYONE
    return f"service {value}" if kind == "Service" else str(value) if kind == "AWS" else f"{kind} {value}"


_TESTS: Final[Mapping[str, str]] = {
    "ArnEquals": "is",
    "ArnLike": "is",
    "Bool": "is",
    "StringEquals": "is",
    "StringLike": "is like",
    "StringNotEquals": "is not",
    "NumericLessThanEquals": "≤",
    "NumericGreaterThanEquals": "≥",
}


def _condition(given: Json) -> str:
    """`aws:SourceArn is ...`, by variable; a test that is not in the table is named."""
    return " and ".join(
        f"{variable} {_TESTS.get(test, test)} {' or '.join(sorted(str(each) for each in as_list(values)))}"
        for test, tests in sorted(given.items())
        for variable, values in sorted(tests.items())
    )


def documents(inputs: Json) -> Iterator[Json]:
    """The policies among the properties of a resource, at any depth."""
    for _, value in sorted(inputs.items()):
        if document := _document(value):
            yield document
        elif isinstance(value, Mapping):
            yield from documents(value)
        elif isinstance(value, list):
            yield from documents({f"{place:06}": each for place, each in enumerate(value)})


def _document(value: Any) -> Json | None:
    if isinstance(value, str) and '"Statement"' in value:
        try:
            value = json.loads(value)
        except ValueError:
            return None
    return value if isinstance(value, Mapping) and "Statement" in value else None


def as_list(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]


class _Names:
    """What resources are known by to AWS, with what the page calls them."""

    def __init__(self, resources: Iterable[Resource]) -> None:
        self._labels: dict[str, str] = {}
        for each in resources:
            arn = each.outputs.get("arn")
            if each.custom and isinstance(arn, str) and arn not in self._labels:
                self._labels[arn] = f"{each.kind} {each.name}"
            if each.custom and isinstance(url := each.outputs.get("url"), str):
                self._labels.setdefault(url, f"{each.kind} {each.name}")
        # The longest first: an ARN may begin with that of another.
        self._arns = sorted(self._labels, key=len, reverse=True)
        self._found: dict[str, str] = {}

    def of(self, resource: Resource) -> str:
        return f"{resource.kind} {resource.name}"

    def told(self, grant: Grant) -> Grant:
        return replace(
            grant, who=self._told(grant.who), target=self._told(grant.target), condition=self._told(grant.condition)
        )

    def _told(self, text: str) -> str:
        """A text with ARNs of the program's own resources as what the page calls them: `Table orders/index/*`."""
        if text not in self._found:
            found = text
            for arn in self._arns:
                if arn in found:
                    found = re.sub(re.escape(arn) + r"(?![\w-])", self._labels[arn], found)
            self._found[text] = found
        return self._found[text]
