"""What a provider would answer, by convention: the properties that it computes, and the functions that only look up.

A physical name is the logical name, so that whoever reads an ARN knows what it is. What a resource type computes is
asked of its own class in the provider's SDK, so any provider works; `ARNS` and `_COMPUTED` hold what AWS does
otherwise.
"""

from __future__ import annotations

import importlib
import inspect
import json
import typing
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from types import UnionType
from typing import Any, Final

import pulumi
from pulumi.runtime import rpc

from observability.errors import ToolkitError

Json = dict[str, Any]

DEPTH: Final = 3
"""How deep properties that hold properties are made up."""


@dataclass(frozen=True)
class Answers:
    """Where the program believes to be, and what is answered to its look-ups.

    Attributes:
        region: of providers that name none.
        functions: results of functions by token, such as `aws:ec2/getVpc:getVpc`; they come before the built-in ones.
        stacks: outputs of other stacks by their name, for `StackReference`.
        resources: computed properties by type or by `TYPE NAME`; they come before the conventions.
    """

    account: str = "123456789012"
    region: str = "us-east-1"
    functions: Mapping[str, Json] = field(default_factory=dict)
    stacks: Mapping[str, Json] = field(default_factory=dict)
    resources: Mapping[str, Json] = field(default_factory=dict)

    @classmethod
    def read(cls, document: Any) -> Answers:
        """From JSON with these attributes. Raises ToolkitError."""
        known = cls.__dataclass_fields__
        if not isinstance(document, dict) or document.keys() - known.keys():
            raise ToolkitError(f"answers have to be a JSON object with some of {', '.join(known)}")
        return cls(**document)

    def resource(self, type_: str, name: str, inputs: Json, region: str, tags: Mapping[str, str]) -> tuple[str, Json]:
        """Id and outputs of a resource as a provider in `region` with those default tags would give them."""
        made = {**computed(type_, name, inputs, region or self.region, self.account, tags)}
        made |= {**self.resources.get(type_, {}), **self.resources.get(f"{type_} {name}", {})}
        outputs = {**inputs, **made}
        return str(outputs.pop("id", None) or _id(type_, name, outputs)), outputs

    def stack(self, name: str) -> Json:
        """Outputs of another stack. Raises ToolkitError: they are not known."""
        if name not in self.stacks:
            raise ToolkitError(
                f"the program reads the outputs of stack {name!r}, which a recording does not know",
                f'Hand over answers with {{"stacks": {{"{name}": {{...}}}}}}.',
            )
        return self.stacks[name]

    def function(self, token: str, given: Json, region: str) -> Json:
        """The result of a provider's function. Raises ToolkitError: it is not known."""
        if token in self.functions:
            return self.functions[token]
        if make := FUNCTIONS.get(token):
            return make(_Place(self.account, region or self.region), given)
        raise ToolkitError(
            f"the program calls {token}, whose answer a recording does not know",
            f'Hand over answers with {{"functions": {{"{token}": {{...}}}}}}: what the call returns, in camelCase.',
        )


# Resources

ARNS: Final[Mapping[str, str]] = {
    "apigateway/deployment": "arn:aws:apigateway:{region}::/restapis/{restApi}/deployments/{name}",
    "apigateway/restApi": "arn:aws:apigateway:{region}::/restapis/{name}",
    "apigateway/stage": "arn:aws:apigateway:{region}::/restapis/{restApi}/stages/{stageName}",
    "apigatewayv2/api": "arn:aws:apigateway:{region}::/apis/{name}",
    "cfg/rule": "arn:aws:config:{region}:{account}:config-rule/{name}",
    "cloudfront/distribution": "arn:aws:cloudfront::{account}:distribution/{name}",
    "cloudwatch/compositeAlarm": "arn:aws:cloudwatch:{region}:{account}:alarm:{name}",
    "cloudwatch/dashboard": "arn:aws:cloudwatch::{account}:dashboard/{name}",
    "cloudwatch/eventBus": "arn:aws:events:{region}:{account}:event-bus/{name}",
    "cloudwatch/eventRule": "arn:aws:events:{region}:{account}:rule/{name}",
    "cloudwatch/logGroup": "arn:aws:logs:{region}:{account}:log-group:{name}",
    "cloudwatch/metricAlarm": "arn:aws:cloudwatch:{region}:{account}:alarm:{name}",
    "cognito/userPool": "arn:aws:cognito-idp:{region}:{account}:userpool/{name}",
    "dynamodb/table": "arn:aws:dynamodb:{region}:{account}:table/{name}",
    "ec2/securityGroup": "arn:aws:ec2:{region}:{account}:security-group/{name}",
    "efs/fileSystem": "arn:aws:elasticfilesystem:{region}:{account}:file-system/{name}",
    "iam/policy": "arn:aws:iam::{account}:policy/{name}",
    "iam/role": "arn:aws:iam::{account}:role/{name}",
    "iam/user": "arn:aws:iam::{account}:user/{name}",
    "kinesis/firehoseDeliveryStream": "arn:aws:firehose:{region}:{account}:deliverystream/{name}",
    "kms/alias": "arn:aws:kms:{region}:{account}:{name}",
    "lambda/alias": "arn:aws:lambda:{region}:{account}:function:{functionName}:{name}",
    "lambda/eventSourceMapping": "arn:aws:lambda:{region}:{account}:event-source-mapping:{name}",
    "lambda/function": "arn:aws:lambda:{region}:{account}:function:{name}",
    "lambda/layerVersion": "arn:aws:lambda:{region}:{account}:layer:{name}:1",
    "lb/loadBalancer": "arn:aws:elasticloadbalancing:{region}:{account}:loadbalancer/{suffix}",
    "lb/targetGroup": "arn:aws:elasticloadbalancing:{region}:{account}:{suffix}",
    "rds/cluster": "arn:aws:rds:{region}:{account}:cluster:{name}",
    "rds/instance": "arn:aws:rds:{region}:{account}:db:{name}",
    "route53/healthCheck": "arn:aws:route53:::healthcheck/{name}",
    "route53/zone": "arn:aws:route53:::hostedzone/{name}",
    "s3/bucket": "arn:aws:s3:::{name}",
    "s3/bucketV2": "arn:aws:s3:::{name}",
    "scheduler/schedule": "arn:aws:scheduler:{region}:{account}:schedule/{groupName}/{name}",
    "secretsmanager/secret": "arn:aws:secretsmanager:{region}:{account}:secret:{name}",
    "sesv2/configurationSet": "arn:aws:ses:{region}:{account}:configuration-set/{name}",
    "sesv2/emailIdentity": "arn:aws:ses:{region}:{account}:identity/{name}",
    "sfn/activity": "arn:aws:states:{region}:{account}:activity:{name}",
    "sfn/stateMachine": "arn:aws:states:{region}:{account}:stateMachine:{name}",
    "sns/topic": "arn:aws:sns:{region}:{account}:{name}",
    "sqs/queue": "arn:aws:sqs:{region}:{account}:{name}",
    "xray/samplingRule": "arn:aws:xray:{region}:{account}:sampling-rule/{name}",
}
"""ARNs that are not `arn:aws:SERVICE:REGION:ACCOUNT:KIND/NAME` (Service Authorization Reference, resource types)."""

NAMES: Final[Mapping[str, str]] = {
    "cloudwatch/compositeAlarm": "alarmName",
    "cloudwatch/dashboard": "dashboardName",
    "ecr/repository": "name",
    "lambda/layerVersion": "layerName",
    "rds/cluster": "clusterIdentifier",
    "rds/instance": "identifier",
    "s3/bucket": "bucket",
    "s3/bucketV2": "bucket",
    "sesv2/configurationSet": "configurationSetName",
    "sesv2/emailIdentity": "emailIdentity",
    "xray/group": "groupName",
    "xray/samplingRule": "ruleName",
}
"""The property that is the physical name, where it is not `name`."""

_HASH: Final = "0123456789abcdef"
"""Stands where AWS puts sixteen hexadecimal digits of its own."""

_COMPUTED: Final[Mapping[str, Callable[[Mapping[str, str]], Json]]] = {
    "lambda/function": lambda at: {
        "version": "1",
        "qualifiedArn": f"arn:aws:lambda:{at['region']}:{at['account']}:function:{at['name']}:1",
        "invokeArn": f"arn:aws:apigateway:{at['region']}:lambda:path/2015-03-31/functions/"
        f"arn:aws:lambda:{at['region']}:{at['account']}:function:{at['name']}/invocations",
    },
    "lambda/layerVersion": lambda at: {
        "version": "1",
        "layerArn": f"arn:aws:lambda:{at['region']}:{at['account']}:layer:{at['name']}",
    },
    "sqs/queue": lambda at: {"url": f"https://sqs.{at['region']}.amazonaws.com/{at['account']}/{at['name']}"},
    "scheduler/schedule": lambda at: {"groupName": at["groupName"]},
    "lb/loadBalancer": lambda at: {"arnSuffix": at["suffix"]},
    "lb/targetGroup": lambda at: {"arnSuffix": at["suffix"]},
    "s3/bucket": lambda at: {"bucket": at["name"], "bucketDomainName": f"{at['name']}.s3.amazonaws.com"},
    "sesv2/emailIdentity": lambda _: {"dkimSigningAttributes": {"tokens": ["tokena", "tokenb", "tokenc"]}},
    "xray/group": lambda at: {"arn": f"arn:aws:xray:{at['region']}:{at['account']}:group/{at['name']}/{'A' * 26}"},
}

_IDS: Final[Mapping[str, str]] = {"sns/topic": "arn", "sqs/queue": "url", "sfn/stateMachine": "arn"}
"""Whose id is another property than the physical name."""


def computed(type_: str, name: str, inputs: Json, region: str, account: str, tags: Mapping[str, str]) -> Json:
    """What a provider would add to the inputs of a resource."""
    module = _module(type_)
    physical = str(inputs.get(NAMES.get(module, "name")) or inputs.get("name") or name)
    at = {
        "region": region,
        "account": account,
        "name": physical,
        "groupName": str(inputs.get("groupName") or "default"),
        "suffix": _suffix(module, physical, inputs),
        **{key: str(inputs.get(key) or name) for key in ("restApi", "stageName", "functionName")},
    }
    aws = type_.startswith("aws:")
    known: Json = {NAMES.get(module, "name"): physical}
    if aws:
        known |= {"arn": _arn(module, at), "region": region, "tagsAll": {**tags, **(inputs.get("tags") or {})}}
        if module in _COMPUTED:
            known |= _COMPUTED[module](at)
    class_ = _class(type_)
    if class_ is None:
        return {key: value for key, value in known.items() if key not in inputs or key == "tagsAll"}
    free = _inputs(class_)
    return {
        key: known[key] if key in known else _made_up(hint, key, at, module)
        for key, hint in _outputs(class_).items()
        if inputs.get(key) is None and (key in known or (not _optional(hint) and _told(key, key in free)))
    }


def _told(key: str, given: bool) -> bool:
    """Whether a property is made up. One that could have been given and was not is a default of AWS's, which a
    program seldom reads; made up are those that say where something is."""
    return not given or key.endswith(("Arn", "Id", "Ids", "Name", "Identifier", "Zone", "Zones", "Url"))


def _suffix(module: str, physical: str, inputs: Json) -> str:
    if module == "lb/targetGroup":
        return f"targetgroup/{physical}/{_HASH}"
    kinds = {"network": "net", "gateway": "gwy"}
    return f"{kinds.get(str(inputs.get('loadBalancerType')), 'app')}/{physical}/{_HASH}"


def _module(type_: str) -> str:
    """`sqs/queue` of `aws:sqs/queue:Queue`; version 2 load balancers and buckets have several tokens."""
    module = type_.split(":")[1] if type_.count(":") == 2 else type_
    for old in ("elasticloadbalancingv2/", "applicationloadbalancing/", "alb/"):
        module = module.replace(old, "lb/") if module.startswith(old) else module
    return module


def _arn(module: str, at: Mapping[str, str]) -> str:
    if template := ARNS.get(module):
        return template.format(**at)
    service, _, kind = module.partition("/")
    return f"arn:aws:{service}:{at['region']}:{at['account']}:{_kebab(kind)}/{at['name']}"


def _id(type_: str, name: str, outputs: Json) -> str:
    module = _module(type_)
    return str(outputs.get(_IDS.get(module, NAMES.get(module, "name"))) or name)


def _made_up(hint: Any, key: str, at: Mapping[str, str], module: str, depth: int = DEPTH) -> Any:
    """A value of the type that the SDK says, which tells where it is from."""
    if not depth:
        return None
    hint = _inner(hint)
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if hint is str:
        if key.endswith(("Arn", "arn")):
            return f"{_arn(module, at)}/{_kebab(key)}"
        if key.endswith("Url"):
            return f"https://{at['name']}.{_kebab(key)}.example.com"
        return at["name"] if key in {"name", "nameOrId"} else f"{at['name']}-{_kebab(key)}"
    if hint in (bool, int, float):
        return hint()
    if isinstance(origin, type) and issubclass(origin, typing.Sequence) and arguments:
        one = _made_up(arguments[0], key, at, module, depth)
        return [] if one is None else [one]
    if isinstance(hint, type) and getattr(hint, "_pulumi_output_type", False):
        return {
            # All of it: whether a part is optional is said of what one may give, not of what comes back.
            inner: _made_up(each, inner, at, module, depth - 1)
            for inner, each in _outputs(hint).items()
        }
    return {} if isinstance(origin, type) and issubclass(origin, typing.Mapping) else None


@cache
def _class(type_: str) -> type | None:
    """The resource's class in its provider's SDK; None where the SDK does not register it."""
    if type_.count(":") != 2:
        return None
    package, module, _ = type_.split(":")
    try:
        found = rpc.get_resource_module(package, module, "")
        information: Json = getattr(found, "mod_info", None) or {}
        made = getattr(importlib.import_module(information["fqn"]), information["classes"][type_])
    except (KeyError, ImportError, AttributeError):
        return None
    return made if isinstance(made, type) else None


@cache
def _outputs(class_: type) -> Mapping[str, Any]:
    """The properties of a resource or an output type, in camelCase, with their types."""
    return dict(_properties(class_))


@cache
def _inputs(class_: type) -> frozenset[str]:
    """The properties that can be given to a resource, in camelCase."""
    taken = inspect.signature(getattr(class_, "_internal_init", class_)).parameters
    getters = {python: getattr(value, "fget", None) for python, value in vars(class_).items()}
    return frozenset(getattr(getter, "_pulumi_name", "") for python, getter in getters.items() if python in taken)


def _properties(class_: type) -> Iterator[tuple[str, Any]]:
    for attribute in vars(class_).values():
        getter = getattr(attribute, "fget", None)
        if getter is not None and (key := getattr(getter, "_pulumi_name", None)):
            try:
                yield key, typing.get_type_hints(getter).get("return")
            except NameError:
                yield key, None  # a type that is only there for type checkers


def _inner(hint: Any) -> Any:
    """The type in `Output[Optional[...]]`."""
    if typing.get_origin(hint) is pulumi.Output:
        return _inner(typing.get_args(hint)[0])
    if _optional(hint):
        return _inner(next(each for each in typing.get_args(hint) if each is not type(None)))
    return hint


def _optional(hint: Any) -> bool:
    if typing.get_origin(hint) is pulumi.Output:
        return _optional(typing.get_args(hint)[0])
    return typing.get_origin(hint) in (typing.Union, UnionType) and type(None) in typing.get_args(hint)


def _kebab(camel: str) -> str:
    return "".join(f"-{letter.lower()}" if letter.isupper() else letter for letter in camel).lstrip("-")


# Functions


@dataclass(frozen=True)
class _Place:
    account: str
    region: str


def _caller(at: _Place, _: Json) -> Json:
    return {
        "id": at.account,
        "accountId": at.account,
        "userId": "AIDAEXAMPLE",
        "arn": f"arn:aws:iam::{at.account}:user/recording",
    }


def _region(at: _Place, given: Json) -> Json:
    region = given.get("region") or given.get("name") or at.region
    return {
        "id": region,
        "name": region,
        "region": region,
        "description": region,
        "endpoint": f"ec2.{region}.amazonaws.com",
    }


def _partition(_: _Place, __: Json) -> Json:
    return {
        "id": "aws",
        "partition": "aws",
        "dnsSuffix": "amazonaws.com",
        "reverseDnsPrefix": "com.amazonaws",
    }


def _zones(at: _Place, _: Json) -> Json:
    names = [f"{at.region}{letter}" for letter in "abc"]
    return {"id": at.region, "names": names, "zoneIds": names, "groupNames": [at.region], "region": at.region}


def _policy(_: _Place, given: Json) -> Json:
    statements = [_statement(each) for each in given.get("statements") or ()]
    document: Json = {"Version": given.get("version") or "2012-10-17"}
    if policy_id := given.get("policyId"):
        document["Id"] = policy_id
    sources = [json.loads(each) for each in given.get("sourcePolicyDocuments") or ()]
    overrides = [json.loads(each) for each in given.get("overridePolicyDocuments") or ()]
    listed = [*(each for source in sources for each in _list(source["Statement"])), *statements]
    for override in (each for document in overrides for each in _list(document["Statement"])):
        same = [
            index for index, each in enumerate(listed) if override.get("Sid") and each.get("Sid") == override["Sid"]
        ]
        if same:
            listed[same[0]] = override
        else:
            listed.append(override)
    document["Statement"] = listed
    return {"id": "policy", "json": json.dumps(document, indent=2), "minifiedJson": json.dumps(document)}


def _statement(given: Json) -> Json:
    """One statement as the provider writes it: a list of one is a plain value."""
    made: Json = {"Effect": given.get("effect") or "Allow"}
    if sid := given.get("sid"):
        made["Sid"] = sid
    for key, theirs in (
        ("actions", "Action"),
        ("notActions", "NotAction"),
        ("resources", "Resource"),
        ("notResources", "NotResource"),
    ):
        if given.get(key):
            made[theirs] = _single(given[key])
    for key, theirs in (("principals", "Principal"), ("notPrincipals", "NotPrincipal")):
        if given.get(key):
            made[theirs] = _principals(given[key])
    conditions: Json = {}
    for each in given.get("conditions") or ():
        conditions.setdefault(each["test"], {})[each["variable"]] = _single(each["values"])
    return made | ({"Condition": conditions} if conditions else {})


def _principals(given: list[Json]) -> Any:
    if any(each["type"] == "*" for each in given):
        return "*"
    return {each["type"]: _single(each["identifiers"]) for each in given}


def _single(values: list[Any]) -> Any:
    return values[0] if len(values) == 1 else values


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


FUNCTIONS: Final[Mapping[str, Callable[[_Place, Json], Json]]] = {
    "aws:index/getCallerIdentity:getCallerIdentity": _caller,
    "aws:index/getRegion:getRegion": _region,
    "aws:index/getPartition:getPartition": _partition,
    "aws:index/getAvailabilityZones:getAvailabilityZones": _zones,
    "aws:iam/getPolicyDocument:getPolicyDocument": _policy,
}
"""Functions that depend on nothing but where one is and what they are given."""
