"""Runs components without an engine: notes every resource, and answers as the AWS provider would."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pulumi
from pulumi.runtime import mocks

os.environ["PULUMI_ERROR_OUTPUT_STRING"] = "true"

ACCOUNT, REGION = "123456789012", "us-east-1"


@dataclass(frozen=True)
class Resource:
    """One resource as it was registered; `inputs` in the provider's camelCase."""

    type: str
    name: str
    inputs: Mapping[str, Any]
    provider: str = ""
    parent: str = ""
    protect: bool = False
    dependencies: tuple[str, ...] = ()
    """What has to exist first, each as `Type name`, such as `Queue send`."""

    def document(self, key: str = "policy") -> dict[str, Any]:
        """An input that holds JSON."""
        parsed = json.loads(self.inputs[key])
        assert isinstance(parsed, dict)
        return parsed

    def statements(self, key: str = "policy") -> dict[str, dict[str, Any]]:
        """The statements of a resource policy by their Sid."""
        return {statement["Sid"]: statement for statement in self.document(key)["Statement"]}


@dataclass
class Recorder(mocks.Mocks):
    """Every resource of one run, in the order of registration."""

    resources: list[Resource] = field(default_factory=list)
    computed: bool = True
    """Whether to answer with what AWS would add to the inputs; without it, a preview has only unknowns."""

    def new_resource(self, args: mocks.MockResourceArgs) -> tuple[str | None, dict[str, Any]]:
        if any((args.typ, args.name) == (known.type, known.name) for known in self.resources):
            raise AssertionError(f"two resources {args.typ} are named {args.name}")
        self.resources.append(Resource(args.typ, args.name, dict(args.inputs), args.provider or ""))
        if not args.custom:
            return "", dict(args.inputs)
        added = _computed(args.typ, args.name, args.inputs) if self.computed else {}
        return f"{args.name}-id", {**args.inputs, **added}

    def call(self, args: mocks.MockCallArgs) -> tuple[dict[Any, Any], list[tuple[str, str]] | None]:
        raise AssertionError(f"components look nothing up, yet {args.token} was called")

    def all(self, kind: str) -> list[Resource]:
        """The resources whose type ends in `kind`, such as `Queue`."""
        return [resource for resource in self.resources if resource.type.endswith(f":{kind}")]

    def one(self, kind: str, name: str | None = None) -> Resource:
        """The only resource of a type (and name)."""
        found = [resource for resource in self.all(kind) if name in (None, resource.name)]
        assert len(found) == 1, f"{len(found)} resources {kind} {name or ''}: {[each.name for each in found]}"
        return found[0]

    def names(self, kind: str) -> list[str]:
        return sorted(resource.name for resource in self.all(kind))

    def pinned(self) -> list[str]:
        """`type name` of each resource, sorted."""
        return sorted(f"{resource.type} {resource.name}" for resource in self.resources)


class _Monitor(mocks.MockMonitor):
    """The SDK's mock monitor, which also keeps the resource options that mocks are not told."""

    def RegisterResource(self, request: Any) -> Any:  # noqa: N802 - the SDK's name
        answer = super().RegisterResource(request)  # type: ignore[no-untyped-call]
        assert isinstance(self.mocks, Recorder)
        for index, known in enumerate(self.mocks.resources):
            if (known.type, known.name) == (request.type, request.name):
                self.mocks.resources[index] = Resource(
                    known.type,
                    known.name,
                    known.inputs,
                    known.provider,
                    request.parent,
                    request.protect,
                    tuple(_type_and_name(urn) for urn in sorted(request.dependencies)),
                )
        return answer


def record(
    build: Callable[[], Any], *, preview: bool = False, recorder: Recorder | None = None
) -> tuple[Recorder, dict[str, Any]]:
    """Run `build` to its end; what it registered, and the outputs of the component it returned, resolved."""
    recorder = recorder or Recorder(computed=not preview)
    pulumi.runtime.set_mocks(recorder, project="mailroom", stack="test", preview=preview, monitor=_Monitor(recorder))
    outputs: dict[str, Any] = {}

    def keep(values: dict[str, Any]) -> None:
        outputs.update(values)

    def run() -> Any:
        component = build()
        promised = {name: getattr(component, name) for name in _outputs_of(component)}
        return pulumi.Output.all(**promised).apply(keep)

    pulumi.runtime.test(run)()  # type: ignore[no-untyped-call]
    return recorder, outputs


def _type_and_name(urn: str) -> str:
    _, _, kind, name = urn.split("::")
    return f"{kind.rsplit(':', 1)[-1]} {name}"


def _outputs_of(component: Any) -> list[str]:
    return list(getattr(type(component), "__annotations__", {}))


def _computed(kind: str, name: str, inputs: Mapping[str, Any]) -> dict[str, Any]:
    """What the provider would add to a resource's inputs."""
    base = f"{REGION}:{ACCOUNT}"
    match kind:
        case "aws:sns/topic:Topic":
            return {"arn": f"arn:aws:sns:{base}:{name}", "name": name}
        case "aws:sqs/queue:Queue":
            return {"arn": f"arn:aws:sqs:{base}:{name}", "url": queue_url(name)}
        case "aws:dynamodb/table:Table":
            return {"arn": f"arn:aws:dynamodb:{base}:table/{name}", "name": name}
        case "aws:cloudwatch/logGroup:LogGroup":
            return {"arn": f"arn:aws:logs:{base}:log-group:{name}", "name": name}
        case "aws:cloudwatch/metricAlarm:MetricAlarm":
            physical = inputs.get("name", name)
            return {"arn": f"arn:aws:cloudwatch:{base}:alarm:{physical}", "name": physical}
        case "aws:cloudwatch/compositeAlarm:CompositeAlarm":
            return {"arn": f"arn:aws:cloudwatch:{base}:alarm:{inputs['alarmName']}"}
        case "aws:cloudwatch/dashboard:Dashboard":
            return {"dashboardArn": f"arn:aws:cloudwatch::{ACCOUNT}:dashboard/{inputs['dashboardName']}"}
        case "aws:cloudwatch/queryDefinition:QueryDefinition":
            return {"arn": f"arn:aws:logs:{base}:query-definition:{name}", "queryDefinitionId": f"{name}-id"}
        case "aws:scheduler/schedule:Schedule":
            group = inputs.get("groupName", "default")
            physical = inputs.get("name", name)
            return {
                "arn": f"arn:aws:scheduler:{base}:schedule/{group}/{physical}",
                "name": physical,
                "groupName": group,
            }
        case "aws:xray/group:Group":
            return {"arn": f"arn:aws:xray:{base}:group/{inputs['groupName']}/{'A' * 26}"}
        case "aws:xray/samplingRule:SamplingRule":
            return {"arn": f"arn:aws:xray:{base}:sampling-rule/{inputs['ruleName']}"}
        case "aws:chatbot/slackChannelConfiguration:SlackChannelConfiguration":
            return _chat_configuration("slack-channel", inputs) | {"slackChannelName": "mail", "slackTeamName": "shop"}
        case "aws:chatbot/teamsChannelConfiguration:TeamsChannelConfiguration":
            return _chat_configuration("microsoft-teams-channel", inputs)
        case "aws:iam/role:Role":
            return {"arn": f"arn:aws:iam::{ACCOUNT}:role/{name}", "name": name}
        case "aws:lambda/function:Function":
            return {"arn": f"arn:aws:lambda:{base}:function:{name}", "name": name, "version": "1"}
        case "aws:lambda/alias:Alias":
            return {"arn": f"arn:aws:lambda:{base}:function:{inputs['functionName']}:{inputs['name']}"}
        case "aws:lambda/layerVersion:LayerVersion":
            return {"arn": f"arn:aws:lambda:{base}:layer:{inputs['layerName']}:1"}
        case "aws:kms/key:Key":
            return {"arn": f"arn:aws:kms:{base}:key/{name}"}
        case "aws:sesv2/configurationSet:ConfigurationSet":
            return {"arn": f"arn:aws:ses:{base}:configuration-set/{inputs['configurationSetName']}"}
        case "aws:sesv2/emailIdentity:EmailIdentity":
            return {
                "arn": f"arn:aws:ses:{base}:identity/{inputs['emailIdentity']}",
                "dkimSigningAttributes": {"tokens": ["tokena", "tokenb", "tokenc"]},
            }
    return {}


def _chat_configuration(kind: str, inputs: Mapping[str, Any]) -> dict[str, Any]:
    arn = f"arn:aws:chatbot::{ACCOUNT}:chat-configuration/{kind}/{inputs['configurationName']}"
    return {"chatConfigurationArn": arn}


def queue_url(name: str) -> str:
    return f"https://sqs.{REGION}.amazonaws.com/{ACCOUNT}/{name}"
