"""Which properties of a resource cannot be changed where it is: another value means another resource.

The provider knows, and it is not there. Four things are: the physical name, which never changes; what the SDK's
documentation says of single properties, of any provider; a table of what AWS's own documentation is silent about; and
the program's own `replaceOnChanges`.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Final

from pulumi.runtime import rpc

from observability.program.answers import NAMES
from observability.program.resources import Resource

FIXED: Final[Mapping[str, str]] = {
    "acm/certificate": "domainName subjectAlternativeNames validationMethod keyAlgorithm privateKey",
    "apigateway/deployment": "restApi triggers variables",
    "apigateway/integration": "restApi resourceId httpMethod type integrationHttpMethod",
    "apigateway/method": "restApi resourceId httpMethod",
    "apigateway/methodSettings": "restApi stageName methodPath",
    "apigateway/resource": "restApi",
    "apigateway/restApi": "-name",
    "apigateway/restApiPolicy": "restApiId",
    "apigateway/stage": "restApi stageName",
    "apigateway/usagePlan": "-name",
    "apigatewayv2/api": "protocolType -name",
    "apigatewayv2/integration": "apiId integrationType",
    "apigatewayv2/route": "apiId",
    "apigatewayv2/stage": "apiId name",
    "appautoscaling/policy": "name resourceId scalableDimension serviceNamespace",
    "appautoscaling/target": "resourceId scalableDimension serviceNamespace",
    "cloudwatch/compositeAlarm": "",
    "cloudwatch/dashboard": "",
    "cloudwatch/eventBusPolicy": "eventBusName",
    "cloudwatch/eventRule": "eventBusName",
    "cloudwatch/eventTarget": "rule targetId eventBusName",
    "cloudwatch/logGroup": "logGroupClass",
    "cloudwatch/logMetricFilter": "logGroupName",
    "cloudwatch/logResourcePolicy": "policyName",
    "cloudwatch/logSubscriptionFilter": "logGroup",
    "cloudwatch/metricAlarm": "",
    "cloudwatch/queryDefinition": "-name",
    "dynamodb/globalTable": "name",
    "dynamodb/table": "hashKey rangeKey localSecondaryIndexes importTable restoreSourceName restoreSourceTableArn",
    "dynamodb/tableItem": "tableName hashKey rangeKey",
    "ec2/securityGroup": "description vpcId",
    "ec2/subnet": "vpcId cidrBlock availabilityZone availabilityZoneId",
    "ec2/vpc": "cidrBlock",
    "ecr/repository": "encryptionConfigurations",
    "ecr/repositoryPolicy": "repository",
    "efs/fileSystem": "creationToken encrypted kmsKeyId performanceMode availabilityZoneName",
    "iam/groupPolicy": "group",
    "iam/groupPolicyAttachment": "group policyArn",
    "iam/policy": "path description",
    "iam/role": "path",
    "iam/rolePolicy": "role",
    "iam/rolePolicyAttachment": "role policyArn",
    "iam/user": "-name",
    "iam/userPolicy": "user",
    "iam/userPolicyAttachment": "user policyArn",
    "kinesis/stream": "",
    "kms/grant": "keyId granteePrincipal operations constraints grantCreationTokens retiringPrincipal",
    "kms/key": "customerMasterKeySpec keyUsage customKeyStoreId multiRegion xksKeyId",
    "kms/keyPolicy": "keyId",
    "lambda/alias": "functionName",
    "lambda/eventSourceMapping": "eventSourceArn selfManagedEventSource startingPosition startingPositionTimestamp"
    " queues topics",
    "lambda/function": "packageType",
    "lambda/functionEventInvokeConfig": "functionName qualifier",
    "lambda/functionUrl": "functionName qualifier",
    "lambda/layerVersion": "code compatibleArchitectures compatibleRuntimes description licenseInfo s3Bucket s3Key"
    " s3ObjectVersion sourceCodeHash",
    "lambda/permission": "action eventSourceToken function functionUrlAuthType principal principalOrgId qualifier"
    " sourceAccount sourceArn statementId statementIdPrefix",
    "lb/listener": "loadBalancerArn",
    "lb/loadBalancer": "internal loadBalancerType",
    "lb/targetGroup": "port protocol protocolVersion targetType vpcId",
    "rds/cluster": "availabilityZones databaseName engine kmsKeyId masterUsername storageEncrypted",
    "rds/instance": "availabilityZone characterSetName dbName engine kmsKeyId storageEncrypted username",
    "route53/record": "zoneId",
    "s3/bucket": "bucketPrefix objectLockEnabled",
    "s3/bucketPolicy": "bucket",
    "s3/bucketV2": "bucketPrefix objectLockEnabled",
    "scheduler/schedule": "groupName",
    "scheduler/scheduleGroup": "",
    "secretsmanager/secret": "",
    "secretsmanager/secretPolicy": "secretArn",
    "secretsmanager/secretVersion": "secretId secretString secretBinary",
    "sesv2/configurationSet": "",
    "sesv2/configurationSetEventDestination": "configurationSetName eventDestinationName",
    "sesv2/emailIdentity": "",
    "sesv2/emailIdentityMailFromAttributes": "emailIdentity",
    "sesv2/emailIdentityPolicy": "emailIdentity policyName",
    "sfn/stateMachine": "type",
    "sns/topic": "fifoTopic",
    "sns/topicPolicy": "arn",
    "sns/topicSubscription": "endpoint protocol topic",
    "sqs/queue": "fifoQueue",
    "sqs/queuePolicy": "queueUrl",
    "sqs/redriveAllowPolicy": "queueUrl",
    "sqs/redrivePolicy": "queueUrl",
    "ssm/parameter": "",
    "xray/group": "",
    "xray/resourcePolicy": "policyName",
    "xray/samplingRule": "",
}
"""Properties that are fixed when a resource is made, as the schemas of the Terraform AWS provider, on which the Pulumi
one is built, mark them (`ForceNew`). The physical name goes without saying; `-name`: it can be changed after all."""

_SAYS_SO: Final = re.compile(
    r"forc(?:es?|ing)\s+(?:a\s+|the\s+|resource\s+)?(?:new\s+(?:resource|for|\w+\s+to\s+be\s+created)|replace|re-?creat|destr)"
    r"|creates?\s+a\s+new\s+resource|(?:destroys?|deletes?)\s+and\s+re-?creat|triggers?\s+(?:a\s+)?(?:replace|re-?creat)"
    r"|requires?\s+(?:a\s+)?(?:resource\s+)?(?:replacement|re-?creat)|will\s+re-?create|cannot\s+be\s+(?:changed|modified)"
    r"\s+(?:after|once)",
    re.IGNORECASE,
)
_SENTENCE: Final = re.compile(r"(?<=[.;])\s")
_NOT_ALWAYS: Final = re.compile(r"\b(?:if|when|unless|without|not|never|may|some)\b", re.IGNORECASE)


def forced_by(resource: Resource, properties: Iterable[str]) -> tuple[str, ...]:
    """Those of the changed properties (paths) that cannot be changed in place."""
    fixed = replacing(resource.type)
    return tuple(
        path
        for path in dict.fromkeys(properties)
        if _top(path) in fixed or any(_covers(pattern, path) for pattern in resource.replace_on_changes)
    )


@cache
def replacing(type_: str) -> frozenset[str]:
    """The properties of a type that force another resource, in camelCase."""
    module = _module(type_)
    listed = FIXED.get(module, "").split()
    name = NAMES.get(module, "name")
    # The provider's `region` says where a resource is.
    fixed = {name, "name", "namePrefix", *listed, *_documented(type_), *(["region"] if module else [])}
    return frozenset(each for each in fixed if not each.startswith("-") and f"-{each}" not in listed)


def known(type_: str) -> bool:
    """Whether anything but the name is known of a type; otherwise what looks like an update may be a replacement."""
    return _module(type_) in FIXED or bool(_documented(type_))


@cache
def _documented(type_: str) -> frozenset[str]:
    """The properties of which the SDK's documentation says that changing them makes another resource."""
    class_ = _class(type_)
    if class_ is None:
        return frozenset()
    getters = [getattr(each, "fget", None) for each in vars(class_).values()]
    documented = {getattr(each, "_pulumi_name", ""): getattr(each, "__doc__", "") for each in getters if each}
    return frozenset(name for name, words in documented.items() if name and _says_so(words))


def _says_so(documentation: str | None) -> bool:
    sentences = _SENTENCE.split(" ".join((documentation or "").split()))
    return any(_SAYS_SO.search(each) and not _NOT_ALWAYS.search(each) for each in sentences)


def _class(type_: str) -> type | None:
    """The resource's class in its provider's SDK; None where that is not installed here."""
    package, module, _ = (*type_.split(":"), "", "")[:3]
    try:
        importlib.import_module(f"pulumi_{package.replace('-', '_')}")
        information = getattr(rpc.get_resource_module(package, module, ""), "mod_info", {})
        found = getattr(importlib.import_module(information["fqn"]), information["classes"][type_])
    except (AttributeError, ImportError, KeyError):
        return None
    return found if isinstance(found, type) else None


def _module(type_: str) -> str:
    return type_.split(":")[1] if type_.startswith("aws:") else ""


def _top(path: str) -> str:
    return re.split(r"[.\[]", path, maxsplit=1)[0]


def _covers(pattern: str, path: str) -> bool:
    """Whether one of the program's own `replaceOnChanges` (`*`, `tags`, `rules[*].port`) names a path, or what it is
    in."""
    wanted, given = (re.findall(r"[^.\[\]]+", each) for each in (pattern, path))
    return all(one in {"*", other} for one, other in zip(wanted, given, strict=False)) and len(wanted) <= len(given)
