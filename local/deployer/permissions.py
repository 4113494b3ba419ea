"""What AWS decides about a role's policy where the emulator decides otherwise, or not at all."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from ministack.core.iam_evaluator import EvalContext, evaluate, fnmatch_iam, parse_policy_document

from local.deployer.model import DeploymentError, Json

WIDENED: Final[Mapping[str, str]] = {
    "ses:SendEmail": "the emulator evaluates it on `*`, AWS on the identity and on the configuration set",
    "ses:SendRawEmail": "as ses:SendEmail, with which AWS evaluates it when the message is raw",
}
"""Actions that are deployed on `*`, and why. `mail_checks` judges the policy as it was registered."""

ROLE_POLICY: Final = "aws:iam/rolePolicy:RolePolicy"

_POLL: Final = {
    "sqs": ("sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"),
    "dynamodb": (
        "dynamodb:DescribeStream",
        "dynamodb:GetRecords",
        "dynamodb:GetShardIterator",
        "dynamodb:ListStreams",
    ),
}
"""What Lambda needs of an event source, by its service."""
_LOG: Final = ("logs:CreateLogStream", "logs:PutLogEvents")
_TRACE: Final = ("xray:PutTraceSegments", "xray:PutTelemetryRecords")
_SEND: Final = tuple(WIDENED)
_INVOKE: Final = {
    "lambda": "lambda:InvokeFunction",
    "sns": "sns:Publish",
    "sqs": "sqs:SendMessage",
    "states": "states:StartExecution",
}
"""What invoking a schedule's target takes, by its service; of those that the emulator invokes."""
_TO_SIMULATOR: Final = {"ses:recipients": ["success+label@simulator.amazonses.com"]}
"""Whom every stack may write to: a policy may keep a sandbox from anybody else."""


@dataclass(frozen=True)
class Check:
    """An action that AWS asks of a role itself, on the role's behalf, and for what."""

    action: str
    resource: str
    purpose: str
    keys: Mapping[str, Any] = field(default_factory=dict)
    """Condition keys of the request, in lower case."""


def statements(document: str) -> list[Json]:
    """The statements of a policy document; AWS takes one, or a list of them."""
    found = json.loads(document)["Statement"]
    return found if isinstance(found, list) else [found]


def actions(statement: Json) -> list[str]:
    """The action patterns that a statement names; none for one with NotAction."""
    return _listed(statement.get("Action"))


def widened(document: str) -> str:
    """The policy as the emulator needs it: WIDENED actions in a statement apart, on `*`, unconditional."""
    return _rewritten(document, _widen)


def without(document: str, action: str) -> str:
    """The policy with one action, as it is written there, taken out; a statement left with none goes.

    A policy left without statements denies the action instead: AWS takes no empty one.
    """
    kept = _rewritten(document, lambda statement: _keeping(statement, lambda name: name != action))
    if statements(kept):
        return kept
    return json.dumps({**json.loads(kept), "Statement": [{"Effect": "Deny", "Action": action, "Resource": "*"}]})


def allows(documents: Sequence[str], action: str, resource: str, keys: Mapping[str, Any] | None = None) -> bool:
    """Whether identity policies allow `action` on `resource`: explicit denials first, then allowances.

    Judged by the emulator's own evaluator. `keys` are the request's condition keys, in lower case.
    """
    account = resource.split(":")[4] if resource.startswith("arn:") else ""
    context = EvalContext(
        principal_arn=f"arn:aws:sts::{account}:assumed-role/role/session",
        principal_type="AssumedRole",
        principal_account=account,
        action=action,
        resource_arn=resource,
        region=resource.split(":")[3] if resource.startswith("arn:") else "",
        service_context=dict(keys or {}),
    )
    decision: str = evaluate(context, [parse_policy_document(document) for document in documents]).decision
    return decision == "Allow"


def may_assume(trust: str, service: str, keys: Mapping[str, Any] | None = None) -> bool:
    """Whether a role's trust policy lets an AWS service (`lambda.amazonaws.com`) assume the role.

    `keys` are the condition keys that the service brings along, in lower case.
    """
    named = [
        {**{key: value for key, value in one.items() if key != "Principal"}, "Resource": "*"}
        for one in statements(trust)
        if isinstance(one.get("Principal"), dict) and service in _listed(one["Principal"].get("Service"))
    ]
    return allows([json.dumps({"Statement": named})], "sts:AssumeRole", "*", keys)


def poll_checks(source: str) -> Iterator[Check]:
    """What Lambda needs to read a mapped queue or a table's stream; AWS refuses the mapping without.

    Raises DeploymentError for an event source of another kind.
    """
    if not (needed := _POLL.get(source.split(":")[2])):
        raise DeploymentError(f"{source} is no event source here, only those of {', '.join(_POLL)} are")
    return (Check(action, source, "Lambda reads the event source with the function's role") for action in needed)


def destination_checks(destination: str) -> Iterator[Check]:
    """What Lambda needs to put failed invocations aside; AWS refuses the destination without."""
    if destination.split(":")[2] == "sqs":
        yield Check("sqs:SendMessage", destination, "Lambda puts failed invocations aside with the function's role")


def schedule_checks(target: Json) -> Iterator[Check]:
    """What EventBridge Scheduler needs to invoke a schedule's target, and to put aside what it could not deliver.

    AWS lets the schedule be made without, and then drops each invocation, which only a metric tells. `target` is as
    registered. Raises DeploymentError for a target that the emulator does not invoke.
    """
    arn: str = target["arn"]
    if not (action := _INVOKE.get(arn.split(":")[2])):
        raise DeploymentError(f"schedules do not invoke {arn} here, only targets of {', '.join(_INVOKE)}")
    yield Check(action, arn, "EventBridge Scheduler invokes the target with the schedule's role")
    if letters := target.get("deadLetterConfig"):
        yield Check("sqs:SendMessage", letters["arn"], "EventBridge Scheduler puts aside what it could not deliver")


def log_checks(group: str) -> Iterator[Check]:
    """What Lambda needs to write a function's log; AWS drops the log without, and says nothing."""
    stream = f"{group}:log-stream:any"
    return (Check(action, stream, "Lambda writes the log with the function's role") for action in _LOG)


def trace_checks() -> Iterator[Check]:
    """What the tracing daemon needs; AWS drops the segments without, and says nothing."""
    return (Check(action, "*", "segments are sent with the function's role") for action in _TRACE)


def mail_checks(documents: Sequence[str], resources: Sequence[str]) -> Iterator[Check]:
    """What a role that may send mail at all needs to send a raw message through SES v2.

    `resources` are identities and configuration sets: AWS asks for both actions on each that a call names.
    """
    granted = [name for document in documents for one in statements(document) for name in actions(one)]
    if any(_covers(name, _SEND) for name in granted):
        for resource in resources:
            for action in _SEND:
                yield Check(action, resource, "SES asks for it on what a call names", _TO_SIMULATOR)


def dropping(policy: str, action: str) -> Callable[[str, str, Json], Json]:
    """A transform that takes one action out of the role policy with that logical name: what then fails, needs it."""

    def transform(type_: str, name: str, inputs: Json) -> Json:
        if (type_, name) != (ROLE_POLICY, policy):
            return inputs
        return {**inputs, "policy": without(inputs["policy"], action)}

    return transform


def refuse_missing(role: str, documents: Sequence[str], checks: Iterator[Check]) -> None:
    """Raises DeploymentError naming role, action and resource of every check that the policies fail."""
    missing = [
        f"role {role!r} is not allowed {check.action} on {check.resource} ({check.purpose})"
        for check in checks
        if not allows(documents, check.action, check.resource, check.keys)
    ]
    if missing:
        raise DeploymentError("\n".join(missing))


def _rewritten(document: str, rewrite: Callable[[Json], Iterator[Json]]) -> str:
    """The document with each statement that names actions rewritten; one with NotAction stays as it is."""
    content = json.loads(document)
    content["Statement"] = [
        made for one in statements(document) for made in (rewrite(one) if "Action" in one else [one])
    ]
    return json.dumps(content)


def _widen(statement: Json) -> Iterator[Json]:
    if statement["Effect"] != "Allow":
        yield statement
        return
    yield from _keeping(statement, lambda name: not _covers(name, WIDENED))
    for wide in _keeping(statement, lambda name: _covers(name, WIDENED)):
        yield {key: value for key, value in wide.items() if key not in {"Condition", "Sid"}} | {"Resource": "*"}


def _listed(value: Any) -> list[str]:
    """AWS takes one text, or a list of them."""
    return [value] if isinstance(value, str) else list(value or [])


def _covers(pattern: str, actions: Iterable[str]) -> bool:
    return any(fnmatch_iam(action, pattern) for action in actions)


def _keeping(statement: Json, keep: Callable[[str], bool]) -> Iterator[Json]:
    if kept := [name for name in actions(statement) if keep(name)]:
        yield {**statement, "Action": kept}
