"""Lambda: layers, functions, aliases and what invokes them."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path
from typing import Any, Final

import pulumi

from local.deployer.model import Account, Create, Declared, DeploymentError, State, pascal

_FUNCTION: Final = {
    "handler": "Handler",
    "runtime": "Runtime",
    "role": "Role",
    "architectures": "Architectures",
    "memorySize": "MemorySize",
    "timeout": "Timeout",
    "layers": "Layers",
    "description": "Description",
    "packageType": "PackageType",
    "kmsKeyArn": "KMSKeyArn",
    "publish": "Publish",
}
_NESTED: Final = ("tracingConfig", "loggingConfig", "deadLetterConfig", "ephemeralStorage")
_MAPPING: Final = {
    "eventSourceArn": "EventSourceArn",
    "functionName": "FunctionName",
    "batchSize": "BatchSize",
    "maximumBatchingWindowInSeconds": "MaximumBatchingWindowInSeconds",
    "functionResponseTypes": "FunctionResponseTypes",
    "enabled": "Enabled",
    "startingPosition": "StartingPosition",
    "maximumRetryAttempts": "MaximumRetryAttempts",
}


def layer(declared: Declared, account: Account) -> State:
    content, digest = _archive(declared)
    made = account.client("lambda").publish_layer_version(
        LayerName=declared.need("layerName"),
        Content={"ZipFile": content},
        **declared.api(
            {
                "description": "Description",
                "compatibleRuntimes": "CompatibleRuntimes",
                "compatibleArchitectures": "CompatibleArchitectures",
                "licenseInfo": "LicenseInfo",
            }
        ),
    )
    arn = made["LayerVersionArn"]
    return arn, declared.state(
        arn=arn,
        layerArn=made["LayerArn"],
        version=str(made["Version"]),
        sourceCodeHash=digest,
        codeSha256=digest,
    )


def function(declared: Declared, account: Account) -> State:
    client, name, tags = account.client("lambda"), declared.physical(64), declared.tags()
    content, digest = _archive(declared)
    environment = declared.take("environment")
    made = client.create_function(
        FunctionName=name,
        Code={"ZipFile": content},
        Tags=tags,
        **declared.api(_FUNCTION),
        # Not through pascal(): the names of variables are the program's own.
        **({"Environment": {"Variables": environment["variables"]}} if environment else {}),
        **pascal({key: declared.take(key) for key in _NESTED if key in declared.inputs}),
    )
    # The provider's default, -1, reserves nothing.
    reserved = declared.take("reservedConcurrentExecutions", -1)
    if reserved >= 0:
        client.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=reserved)
    client.get_waiter("function_active_v2").wait(FunctionName=name, WaiterConfig={"Delay": 0.05, "MaxAttempts": 200})
    arn = account.arn("lambda", f"function:{name}")
    return name, declared.state(
        name=name,
        arn=arn,
        version=made["Version"],
        qualifiedArn=f"{arn}:{made['Version']}",
        invokeArn=_invoke_arn(account, arn),
        sourceCodeHash=digest,
        codeSha256=digest,
        lastModified=made["LastModified"],
        tagsAll=tags,
    )


def alias(declared: Declared, account: Account) -> State:
    made = account.client("lambda").create_alias(
        Name=declared.physical(128),
        FunctionName=declared.need("functionName"),
        FunctionVersion=declared.need("functionVersion"),
        **declared.api({"description": "Description"}),
    )
    arn = made["AliasArn"]
    return arn, declared.state(name=made["Name"], arn=arn, invokeArn=_invoke_arn(account, arn))


def mapping(declared: Declared, account: Account) -> State:
    tags = declared.tags()
    filters = declared.take("filterCriteria")
    scaling = declared.take("scalingConfig")
    failure = (declared.take("destinationConfig") or {}).get("onFailure")
    made = account.client("lambda").create_event_source_mapping(
        Tags=tags,
        **declared.api(_MAPPING),
        **({"FilterCriteria": pascal(filters)} if filters else {}),
        **({"ScalingConfig": pascal(scaling)} if scaling else {}),
        **({"DestinationConfig": {"OnFailure": {"Destination": failure["destinationArn"]}}} if failure else {}),
    )
    return made["UUID"], declared.state(
        uuid=made["UUID"],
        arn=account.arn("lambda", f"event-source-mapping:{made['UUID']}"),
        functionArn=made["FunctionArn"],
        state=made["State"],
        tagsAll=tags,
    )


def invoke_config(declared: Declared, account: Account) -> State:
    name, qualifier = declared.need("functionName"), declared.take("qualifier")
    destinations = declared.take("destinationConfig")
    account.client("lambda").put_function_event_invoke_config(
        FunctionName=name,
        **({"Qualifier": qualifier} if qualifier else {}),
        **({"DestinationConfig": pascal(destinations)} if destinations else {}),
        **declared.api(
            {
                "maximumRetryAttempts": "MaximumRetryAttempts",
                "maximumEventAgeInSeconds": "MaximumEventAgeInSeconds",
            }
        ),
    )
    return f"{name}:{qualifier}" if qualifier else name, declared.state()


def permission(declared: Declared, account: Account) -> State:
    statement = declared.physical(100, key="statementId")
    account.client("lambda").add_permission(
        StatementId=statement,
        FunctionName=declared.need("function"),
        Action=declared.need("action"),
        Principal=declared.need("principal"),
        **declared.api({"sourceArn": "SourceArn", "sourceAccount": "SourceAccount", "qualifier": "Qualifier"}),
    )
    return statement, declared.state(statementId=statement)


def _archive(declared: Declared) -> tuple[bytes, str]:
    """The archive's bytes, and their SHA-256 as Lambda reports it (Base64)."""
    code: Any = declared.need("code")
    if not isinstance(code, pulumi.FileArchive) or not Path(code.path).is_file():
        raise DeploymentError(f"{declared}: code must be a FileArchive of a zip file, not {code!r}")
    content = Path(code.path).read_bytes()
    digest = base64.b64encode(hashlib.sha256(content).digest()).decode()
    if declared.take("sourceCodeHash", digest) != digest:
        raise DeploymentError(f"{declared}: sourceCodeHash is not the SHA-256 of {code.path}")
    return content, digest


def _invoke_arn(account: Account, arn: str) -> str:
    return f"arn:aws:apigateway:{account.region}:lambda:path/2015-03-31/functions/{arn}/invocations"


CREATE: Final[dict[str, Create]] = {
    "aws:lambda/layerVersion:LayerVersion": layer,
    "aws:lambda/function:Function": function,
    "aws:lambda/alias:Alias": alias,
    "aws:lambda/eventSourceMapping:EventSourceMapping": mapping,
    "aws:lambda/functionEventInvokeConfig:FunctionEventInvokeConfig": invoke_config,
    "aws:lambda/permission:Permission": permission,
}
