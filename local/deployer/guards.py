"""What AWS itself asks of a role, judged as a deployment goes along; the rules are in `permissions`."""

from __future__ import annotations

from collections import defaultdict
from typing import Final

from local.deployer.model import Declared, DeploymentError, Json
from local.deployer.permissions import (
    lambda_may_assume,
    log_checks,
    mail_checks,
    poll_checks,
    refuse_missing,
    trace_checks,
)

_MAIL: Final = frozenset({"aws:sesv2/emailIdentity:EmailIdentity", "aws:sesv2/configurationSet:ConfigurationSet"})


class Guards:
    """Remembers roles, policies as registered, and functions; refuses what AWS would refuse, or not do."""

    def __init__(self) -> None:
        self.role_names: dict[str, str] = {}
        self.trusts: dict[str, str] = {}
        self.policies: dict[str, list[str]] = defaultdict(list)
        self.functions: dict[str, Json] = {}
        self.groups: dict[str, str] = {}
        self.mail: list[str] = []

    def before(self, declared: Declared) -> None:
        """AWS checks a role when it is given to something: a policy that is attached later is too late."""
        match declared.type:
            case "aws:lambda/function:Function":
                role = declared.inputs["role"]
                if role not in self.trusts:
                    raise DeploymentError(f"{declared}: role {role} is none of the program's, so it is not here")
                if not lambda_may_assume(self.trusts[role]):
                    raise DeploymentError(f"{declared}: the trust policy of {self._name(role)!r} does not name Lambda")
            case "aws:lambda/eventSourceMapping:EventSourceMapping":
                queue, name = declared.inputs["eventSourceArn"], _function_name(declared.inputs["functionName"])
                if name not in self.functions:
                    raise DeploymentError(f"{declared}: function {name} is none of the program's, so it is not here")
                role = self.functions[name]["role"]
                refuse_missing(self._name(role), self._documents(role), poll_checks(queue))

    def after(self, declared: Declared, outputs: Json) -> None:
        match declared.type:
            case "aws:iam/role:Role":
                self.role_names[outputs["arn"]] = outputs["name"]
                self.trusts[outputs["arn"]] = declared.document("assumeRolePolicy")
            case "aws:iam/rolePolicy:RolePolicy":
                self.policies[outputs["role"]].append(declared.document("policy"))
            case "aws:lambda/function:Function":
                self.functions[outputs["name"]] = outputs
            case "aws:cloudwatch/logGroup:LogGroup":
                self.groups[outputs["name"]] = outputs["arn"]
            case type_ if type_ in _MAIL:
                self.mail.append(outputs["arn"])

    def check_finished(self) -> None:
        """What AWS would not report but leave undone, or report only at the first call."""
        for function in self.functions.values():
            role, documents = function["role"], self._documents(function["role"])
            group = (function.get("loggingConfig") or {}).get("logGroup") or f"/aws/lambda/{function['name']}"
            if group in self.groups:
                refuse_missing(self._name(role), documents, log_checks(self.groups[group]))
            if (function.get("tracingConfig") or {}).get("mode") == "Active":
                refuse_missing(self._name(role), documents, trace_checks())
            refuse_missing(self._name(role), documents, mail_checks(documents, self.mail))

    def _name(self, arn: str) -> str:
        return self.role_names.get(arn, arn)

    def _documents(self, arn: str) -> list[str]:
        return self.policies[self._name(arn)]


def _function_name(reference: str) -> str:
    """The name in a function's name, ARN, or ARN with a qualifier."""
    return reference.split(":")[6] if reference.startswith("arn:") else reference.split(":", maxsplit=1)[0]
