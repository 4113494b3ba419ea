"""What the deployer's parts share: the account, a resource as declared, and the forms AWS wants things in."""

from __future__ import annotations

import functools
import hashlib
import json
import os
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import boto3
import botocore.session
from botocore.config import Config
from pulumi.runtime import rpc

ROOT_KEY: Final = "test"
"""The access key that is the account's root in the emulator."""

_SESSION_LOCK: Final = threading.Lock()
"""A boto3 session makes one client at a time; the clients themselves may be shared between threads."""

_NO_PROFILE: Final = {
    "profile": (None, None, None, None),
    "config_file": (None, None, os.devnull, None),
    "credentials_file": (None, None, os.devnull, None),
}
"""Nothing of the AWS set-up of whoever runs this is looked at, not even which profile is chosen."""

Json = dict[str, Any]
State = tuple[str, Json]
"""What a provider answers for a resource: its id and its outputs."""


class DeploymentError(Exception):
    """The program cannot be deployed; the message names the resource, the cause and the remedy."""


@dataclass(frozen=True)
class Account:
    """The account at an emulator's endpoint, with root's rights."""

    endpoint: str
    region: str

    @functools.cached_property
    def _session(self) -> boto3.Session:
        return boto3.Session(
            aws_access_key_id=ROOT_KEY,
            aws_secret_access_key=ROOT_KEY,
            region_name=self.region,
            botocore_session=botocore.session.Session(session_vars=_NO_PROFILE),
        )

    @functools.cache  # noqa: B019 - one account a run, and its clients live as long
    def client(self, service: str) -> Any:
        """A boto3 client. Typed as Any: boto3 makes its clients at run time."""
        with _SESSION_LOCK:
            return self._session.client(
                service,  # type: ignore[call-overload]
                endpoint_url=self.endpoint,
                config=Config(retries={"total_max_attempts": 1}, max_pool_connections=32),
            )

    @functools.cached_property
    def id(self) -> str:
        return str(self.client("sts").get_caller_identity()["Account"])

    def arn(self, service: str, resource: str) -> str:
        return f"arn:aws:{service}:{self.region}:{self.id}:{resource}"


@dataclass
class Declared:
    """A resource as the program registered it. Reading a property takes it; the rest was not understood."""

    type: str
    name: str
    inputs: Json
    scope: str = ""
    """Stack and project, so that two stacks in one account do not share a physical name."""
    default_tags: Mapping[str, str] = field(default_factory=dict)
    taken: set[str] = field(default_factory=set)

    def __str__(self) -> str:
        return f"{self.type} {self.name!r}"

    def take(self, key: str, default: Any = None) -> Any:
        self.taken.add(key)
        return self.inputs.get(key, default)

    def need(self, key: str) -> Any:
        if key not in self.inputs:
            raise DeploymentError(f"{self}: required property {key} is missing")
        return self.take(key)

    def api(self, names: Mapping[str, str]) -> Json:
        """The properties in `names` (ours to AWS's) that were given, under AWS's names."""
        return {theirs: self.take(ours) for ours, theirs in names.items() if ours in self.inputs}

    def document(self, key: str) -> str:
        """A JSON document, which a program may give as text or as an object."""
        value = self.need(key)
        return value if isinstance(value, str) else json.dumps(value)

    def physical(self, limit: int, key: str = "name") -> str:
        """The given name, or one made as Pulumi makes it: logical name, dash, 7 hexadecimal digits.

        The engine draws the digits; here they follow from the name, so that runs can be compared. Like the
        engine, refuses a name over `limit` characters, the service's maximum.
        """
        if given := self.take(key):
            return str(given)
        digits = hashlib.sha256(f"{self.scope}:{self.type}:{self.name}".encode()).hexdigest()[:7]
        made = f"{self.name}-{digits}"
        if len(made) > limit:
            raise DeploymentError(f"{self}: the physical name {made!r} is over {limit} characters; shorten the name")
        return made

    def tags(self) -> dict[str, str]:
        """The resource's own tags over the provider's default tags."""
        return {**self.default_tags, **(self.take("tags") or {})}

    def state(self, **outputs: Any) -> Json:
        """Outputs as the provider gives them: every input again, and what AWS made of it."""
        return {**self.inputs, **outputs}

    @property
    def left_over(self) -> list[str]:
        return sorted(self.inputs.keys() - self.taken)


Create = Callable[[Declared, Account], State]


def tag_list(tags: Mapping[str, str]) -> list[dict[str, str]]:
    """Tags as most AWS APIs want them."""
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def pascal(value: Any) -> Any:
    """The provider's nested camelCase properties as AWS's PascalCase parameters.

    Nothing is dropped: boto3 refuses a parameter that the API does not have.
    """
    match value:
        case dict():
            return {key[:1].upper() + key[1:]: pascal(item) for key, item in value.items()}
        case list():
            return [pascal(item) for item in value]
    return value


def plain(value: Any) -> Any:
    """Inputs as a provider sees them: a secret's value in place of the wrapping that the engine keeps it in."""
    match rpc.unwrap_rpc_secret(value):
        case dict() as items:
            return {key: plain(item) for key, item in items.items()}
        case list() as items:
            return [plain(item) for item in items]
        case other:
            return other


def whole(value: Any) -> Any:
    """Numbers travel as floating point between program and engine; those that are whole become integers again."""
    match value:
        case float() if value.is_integer():
            return int(value)
        case dict():
            return {key: whole(item) for key, item in value.items()}
        case list():
            return [whole(item) for item in value]
    return value


def attribute(value: Any) -> str:
    """A value as the text that SQS and SNS attributes are."""
    match value:
        case bool():
            return str(value).lower()
        case dict() | list():
            return json.dumps(value)
    return str(value)
