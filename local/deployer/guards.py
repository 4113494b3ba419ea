"""What AWS itself asks of a role, judged as a deployment goes along; the rules are in `permissions`."""

from __future__ import annotations

import json
from collections import defaultdict
from itertools import chain
from typing import Final

from local.deployer.model import Account, Declared, DeploymentError, Json
from local.deployer.monitoring import DEFAULT_GROUP
from local.deployer.permissions import (
    destination_checks,
    log_checks,
    mail_checks,
    may_assume,
    poll_checks,
    refuse_missing,
    schedule_checks,
    trace_checks,
)

_MAIL: Final = frozenset({"aws:sesv2/emailIdentity:EmailIdentity", "aws:sesv2/configurationSet:ConfigurationSet"})


class Guards:
    """Remembers roles, policies as registered, functions and schedules; refuses what AWS would refuse, or not do."""

    def __init__(self) -> None:
        self.role_names: dict[str, str] = {}
        self.trusts: dict[str, str] = {}
        self.policies: dict[str, list[str]] = defaultdict(list)
        self.functions: dict[str, Json] = {}
        self.targets: list[Json] = []
        self.groups: dict[str, str] = {}
        self.mail: list[str] = []

    def before(self, declared: Declared, account: Account) -> None:
        """AWS checks a role when it is given to something: a policy that is attached later is too late."""
        match declared.type:
            case "aws:lambda/function:Function":
                role = declared.inputs["role"]
                if not may_assume(self._trust(declared, role), "lambda.amazonaws.com"):
                    raise DeploymentError(f"{declared}: the trust policy of {self._name(role)!r} does not name Lambda")
            case "aws:scheduler/schedule:Schedule":
                role, group = declared.inputs["target"]["roleArn"], declared.inputs.get("groupName", DEFAULT_GROUP)
                # The group, not the schedule, is what Scheduler names as the source.
                # https://docs.aws.amazon.com/scheduler/latest/UserGuide/cross-service-confused-deputy-prevention.html
                keys = {
                    "aws:sourceaccount": account.id,
                    "aws:sourcearn": account.arn("scheduler", f"schedule-group/{group}"),
                }
                if not may_assume(self._trust(declared, role), "scheduler.amazonaws.com", keys):
                    raise DeploymentError(
                        f"{declared}: the trust policy of {self._name(role)!r} does not let EventBridge Scheduler in"
                    )
            case "aws:lambda/eventSourceMapping:EventSourceMapping":
                role = self._role_of(declared)
                failure = (declared.inputs.get("destinationConfig") or {}).get("onFailure")
                needed = chain(
                    poll_checks(declared.inputs["eventSourceArn"]),
                    destination_checks(failure["destinationArn"]) if failure else (),
                )
                refuse_missing(self._name(role), self._documents(role), needed)
            case "aws:lambda/functionEventInvokeConfig:FunctionEventInvokeConfig":
                role = self._role_of(declared)
                for destination in (declared.inputs.get("destinationConfig") or {}).values():
                    checks = destination_checks(destination["destination"])
                    refuse_missing(self._name(role), self._documents(role), checks)

    def after(self, declared: Declared, outputs: Json) -> None:
        match declared.type:
            case "aws:iam/role:Role":
                self.role_names[outputs["arn"]] = outputs["name"]
                self.trusts[outputs["arn"]] = declared.document("assumeRolePolicy")
            case "aws:iam/rolePolicy:RolePolicy":
                self.policies[outputs["role"]].append(declared.document("policy"))
            case "aws:lambda/function:Function":
                self.functions[outputs["name"]] = outputs
            case "aws:scheduler/schedule:Schedule":
                self.targets.append(outputs["target"])
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
            refuse_missing(self._name(role), documents, mail_checks(documents, self._named_by(function)))
        for target in self.targets:
            role = target["roleArn"]
            refuse_missing(self._name(role), self._documents(role), schedule_checks(target))

    def _named_by(self, function: Json) -> list[str]:
        """The identities, and the configuration sets that a function can name: those that its environment tells it."""
        told = json.dumps((function.get("environment") or {}).get("variables") or {})
        return [arn for arn in self.mail if ":configuration-set/" not in arn or arn.rpartition("/")[2] in told]

    def _role_of(self, declared: Declared) -> str:
        """The role of the function that a resource is about."""
        name = _function_name(declared.inputs["functionName"])
        if name not in self.functions:
            raise DeploymentError(f"{declared}: function {name} is none of the program's, so it is not here")
        role: str = self.functions[name]["role"]
        return role

    def _trust(self, declared: Declared, role: str) -> str:
        """The role's trust policy."""
        if role not in self.trusts:
            raise DeploymentError(f"{declared}: role {role} is none of the program's, so it is not here")
        return self.trusts[role]

    def _name(self, arn: str) -> str:
        return self.role_names.get(arn, arn)

    def _documents(self, arn: str) -> list[str]:
        return self.policies[self._name(arn)]


def _function_name(reference: str) -> str:
    """The name in a function's name, ARN, or ARN with a qualifier."""
    return reference.split(":")[6] if reference.startswith("arn:") else reference.split(":", maxsplit=1)[0]
