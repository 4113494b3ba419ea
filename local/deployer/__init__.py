"""Deploys the unchanged Pulumi program onto the emulator, creating each registered resource through boto3."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pulumi
from botocore.exceptions import BotoCoreError, ClientError

from local.config import ROOT, Value, project_name, stack_config
from local.deployer.catalogue import CREATE, IGNORED, NOT_EMULATED
from local.deployer.guards import Guards
from local.deployer.model import Account, Declared, DeploymentError, Json, plain, whole
from observability.errors import ToolkitError
from observability.program.runner import run_program

__all__ = ["Deployment", "DeploymentError", "NotEmulated", "Resource", "Transform", "deploy"]

OUTPUTS: Final = ROOT / "build" / "local" / "outputs.json"
PROVIDER: Final = "pulumi:providers:aws"
ENDPOINT_KEYS: Final[Mapping[str, str]] = {"cloudwatch/logGroup": "logs", "cloudwatch/queryDefinition": "logs"}
"""The provider's name for a service's endpoint, where it is not the module of the type token."""
WITHOUT_REGION: Final = ("aws:iam/", "aws:route53/")
"""Global services. All other resources have an output `region`."""

Transform = Callable[[str, str, Json], Json]
"""(type, logical name, inputs as registered) to the inputs to deploy: how a test takes something away."""


@dataclass(frozen=True)
class Resource:
    """A resource that now exists: `outputs` as the provider returns them, inputs included."""

    type: str
    name: str
    id: str
    inputs: Json
    outputs: Json


@dataclass(frozen=True)
class NotEmulated:
    """A declared resource that was left out, and why."""

    type: str
    name: str
    reason: str


@dataclass(frozen=True)
class Deployment:
    """What the program declared and what became of it; `outputs` are the stack's, resolved."""

    created: tuple[Resource, ...]
    not_emulated: tuple[NotEmulated, ...]
    outputs: Json
    seconds: float

    @property
    def resources(self) -> int:
        """How many cloud resources the program declares: components and providers are not counted."""
        return len(self.created) + len(self.not_emulated)

    def find(self, type_: str, name: str) -> Resource:
        """The created resource of that type and logical name. Raises KeyError."""
        for resource in self.created:
            if (resource.type, resource.name) == (type_, name):
                return resource
        raise KeyError(f"no {type_} named {name!r} was created")


def deploy(
    endpoint: str,
    *,
    stack: str = "local",
    overrides: Mapping[str, Value] | None = None,
    root: Path = ROOT,
    transform: Transform | None = None,
    outputs_path: Path | None = OUTPUTS,
) -> Deployment:
    """Runs `root`'s program for `stack` against the emulator at `endpoint`, which should be empty.

    The setting `emulatorEndpoint` is `endpoint`; `overrides` change other settings. The stack's outputs are
    also written to `outputs_path`, in the form of `pulumi stack output --json`. Raises StackConfigError for
    settings that the CLI refuses; DeploymentError for what cannot be deployed and for what the program itself
    refuses; anything else that the program raises comes through as it is.
    """
    started = time.monotonic()
    project = project_name(root)
    config = stack_config(stack, {**(overrides or {}), "emulatorEndpoint": endpoint}, root=root)
    deployer = _Deployer(endpoint, f"{project}/{stack}", transform or (lambda _type, _name, inputs: inputs))
    try:
        outputs = whole(run_program(root / "__main__.py", deployer, project=project, stack=stack, config=config))
    except (pulumi.RunError, ToolkitError) as error:
        raise DeploymentError(str(error)) from error
    deployer.guards.check_finished()
    if outputs_path:
        outputs_path.parent.mkdir(parents=True, exist_ok=True)
        outputs_path.write_text(json.dumps(outputs, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    return Deployment(
        created=tuple(deployer.created),
        not_emulated=tuple(deployer.not_emulated),
        outputs=outputs,
        seconds=time.monotonic() - started,
    )


class _Deployer(pulumi.runtime.Mocks):
    """Stands where the engine stands: is told of each resource, and answers with its id and outputs."""

    def __init__(self, endpoint: str, scope: str, transform: Transform) -> None:
        self.endpoint = endpoint
        self.scope = scope
        self.transform = transform
        self.providers: dict[str, Json] = {}
        self.created: list[Resource] = []
        self.not_emulated: list[NotEmulated] = []
        self.guards = Guards()
        self._lock = threading.Lock()

    def new_resource(self, args: pulumi.runtime.MockResourceArgs) -> tuple[str | None, dict[str, Any]]:
        inputs = whole(plain(args.inputs))
        if not args.custom:
            return None, inputs
        if args.typ == PROVIDER:
            return self._provider(args.name, inputs)
        if reason := NOT_EMULATED.get(args.typ):
            declared = Declared(args.typ, args.name, inputs)
            self._refuse_elsewhere(declared, self._provider_of(args.provider or "", str(declared)))
            with self._lock:
                self.not_emulated.append(NotEmulated(args.typ, args.name, reason))
            return f"{args.name}-not-emulated", inputs
        return self._create(args.typ, args.name, self.transform(args.typ, args.name, inputs), args.provider or "")

    def call(self, args: pulumi.runtime.MockCallArgs) -> tuple[dict[str, Any], list[tuple[str, str]] | None]:
        account = self._account(f"function {args.token}", self._provider_of(args.provider, args.token))
        answers = {
            "aws:index/getCallerIdentity:getCallerIdentity": {
                "id": account.id,
                "accountId": account.id,
                "userId": account.id,
                "arn": f"arn:aws:iam::{account.id}:root",
            },
            "aws:index/getRegion:getRegion": {"id": account.region, "region": account.region},
            "aws:index/getPartition:getPartition": {"id": "aws", "partition": "aws"},
        }
        if args.token not in answers:
            raise DeploymentError(f"function {args.token} is not known here; add it to local/deployer")
        return answers[args.token], []

    def _provider(self, name: str, inputs: Json) -> tuple[str, Json]:
        # A provider's own inputs arrive as JSON texts: that is how provider configuration is passed.
        self.providers[name] = {key: _from_json(value) for key, value in inputs.items()}
        return name, inputs

    def _provider_of(self, reference: str, wanted_by: str) -> Json:
        """The explicit provider behind a reference `urn::id`."""
        name = reference.rsplit("::", maxsplit=1)[-1]
        if name not in self.providers:
            raise DeploymentError(
                f"{wanted_by} has no explicit provider, so the CLI would deploy it to AWS; "
                "pass opts=ResourceOptions(provider=...)"
            )
        return self.providers[name]

    def _account(self, wanted_by: str, provider: Json) -> Account:
        if not (region := provider.get("region")):
            raise DeploymentError(f"{wanted_by}: the provider has no region; set aws:region for the stack")
        return Account(self.endpoint, region)

    def _create(self, type_: str, name: str, inputs: Json, provider_reference: str) -> tuple[str, Json]:
        provider = self._provider_of(provider_reference, f"{type_} {name!r}")
        declared = Declared(type_, name, inputs, self.scope, (provider.get("defaultTags") or {}).get("tags") or {})
        if not (create := CREATE.get(type_)):
            raise DeploymentError(
                f"{declared}: the deployer does not know this type; add a creator to local/deployer, "
                "or the type with its reason to NOT_EMULATED in local/deployer/catalogue.py"
            )
        self._refuse_elsewhere(declared, provider)
        account = self._account(str(declared), provider)
        self.guards.before(declared, account)
        try:
            id_, outputs = create(declared, account)
        except (ClientError, BotoCoreError) as error:
            raise DeploymentError(f"{declared}: {error}") from error
        if not type_.startswith(WITHOUT_REGION):
            outputs = {"region": account.region, **outputs}
        if unknown := [key for key in declared.left_over if (type_, key) not in IGNORED]:
            raise DeploymentError(
                f"{declared}: properties not understood: {', '.join(unknown)}; have the creator use them, "
                "or list them with a reason in IGNORED in local/deployer/catalogue.py"
            )
        with self._lock:
            self.guards.after(declared, outputs)
            self.created.append(Resource(type_, name, id_, inputs, outputs))
        return id_, outputs

    def _refuse_elsewhere(self, declared: Declared, provider: Json) -> None:
        """The CLI's provider goes where its endpoints point; a service without one would be the real AWS."""
        module = declared.type.split(":")[1]
        key = ENDPOINT_KEYS.get(module, module.split("/")[0])
        endpoints: Json = {service: url for entry in provider.get("endpoints") or [] for service, url in entry.items()}
        if endpoints.get(key) != self.endpoint:
            raise DeploymentError(
                f"{declared}: the provider's endpoint for {key!r} is {endpoints.get(key)!r}, not "
                f"{self.endpoint}, so the CLI would deploy it elsewhere; add it where the provider is made"
            )


def _from_json(value: Any) -> Any:
    try:
        return whole(json.loads(value))
    except (TypeError, ValueError):
        return value
