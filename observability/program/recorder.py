"""Stands where the engine stands, and keeps what it is told."""

from __future__ import annotations

import json
import threading
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote, urlsplit

import pulumi
from pulumi.runtime import mocks, rpc
from pulumi.runtime.settings import get_project, get_stack

from observability.program.answers import Answers
from observability.program.resources import Json, Resource
from observability.program.runner import STACK_TYPE, Monitor, qualified, run_program

PROVIDER: Final = "pulumi:providers:"
REFERENCE: Final = "pulumi:pulumi:StackReference"
DIGEST: Final = 16
"""Hexadecimal digits of a content's digest that are kept: enough to tell two revisions apart."""


@dataclass
class Recorder(mocks.Mocks):
    """Every resource of one run, in the order of registration. It needs a `RecordingMonitor`: `run_recorded`.

    Attributes:
        root: what paths are relative to.
    """

    answers: Answers = field(default_factory=Answers)
    root: Path = field(default_factory=Path.cwd)
    config: Mapping[str, str] = field(default_factory=dict)
    resources: list[Resource] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    providers: dict[str, Json] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._lock = threading.Lock()
        self._latest = threading.local()

    def new_resource(self, args: mocks.MockResourceArgs) -> tuple[str | None, dict[str, Any]]:
        inputs = plain(args.inputs, self.root)
        if args.typ == REFERENCE:
            name = str(inputs.get("name") or args.name)
            id_, outputs = name, {"name": name, "outputs": self.answers.stack(name), "secretOutputNames": []}
        elif args.custom is False:
            id_, outputs = "", dict(inputs)
        elif args.typ.startswith(PROVIDER):
            with self._lock:
                self.providers[args.name] = {key: _from_json(value) for key, value in inputs.items()}
            id_, outputs = f"{args.name}-id", dict(inputs)
        else:
            id_, outputs = self.answered(args, inputs)
        if args.resource_id:
            id_ = args.resource_id
        # The monitor, in this thread, knows the rest of the resource.
        self._latest.value = Resource(
            type=args.typ,
            name=args.name,
            inputs=inputs,
            outputs=plain(outputs, self.root),
            id=id_,
            provider=args.provider or "",
            custom=args.custom is not False,
            secrets=tuple(secrets(args.inputs)),
        )
        # What the program gave goes back as it came: an archive as an archive, a secret as one.
        return id_ or None, {**outputs, **args.inputs}

    def answered(self, args: mocks.MockResourceArgs, inputs: Json) -> tuple[str, Json]:
        """Id and outputs of a resource that a provider makes."""
        provider = self.provider(args.provider or "")
        tags = (provider.get("defaultTags") or {}).get("tags") or {}
        region = str(inputs.get("region") or provider.get("region") or "")
        return self.answers.resource(args.typ, args.name, inputs, region, tags)

    def call(self, args: mocks.MockCallArgs) -> tuple[dict[Any, Any], list[tuple[str, str]] | None]:
        provider = self.provider(args.provider or "")
        return self.answers.function(args.token, plain(args.args, self.root), str(provider.get("region") or "")), []

    def provider(self, reference: str) -> Json:
        """The settings of the explicit provider behind a reference `urn::id`, or those of the default one."""
        urn = reference.rpartition("::")[0]
        name = urn.rpartition("::")[2]
        default = {"region": self.config.get("aws:region", ""), "defaultTags": _from_json(self._default_tags)}
        return self.providers.get(name, {}) if name else default

    @property
    def _default_tags(self) -> str:
        return self.config.get("aws:defaultTags", "{}")

    def keep(self, registered: Mapping[str, Any]) -> None:
        """Add the resource that was just answered in this thread, with what only the monitor knows."""
        resource = replace(self._latest.value, **registered)
        with self._lock:
            self.resources.append(resource)
            if resource.remote:
                self.notes.append(
                    f"{resource.type} {resource.name!r} is made by a component package, so what it contains is not seen"
                )


class RecordingMonitor(Monitor):
    """Also keeps the resource options, which mocks are not told."""

    def RegisterResource(self, request: Any) -> Any:  # noqa: N802 - the SDK's name
        answer = super().RegisterResource(request)
        if request.type != STACK_TYPE:
            self._recorder.keep(
                {
                    "urn": answer.urn,
                    "parent": _but_the_stack(request.parent),
                    "dependencies": tuple(sorted(request.dependencies)),
                    "aliases": tuple(self._aliases(request)),
                    "protect": request.protect,
                    "delete_before_replace": request.deleteBeforeReplace
                    if request.deleteBeforeReplaceDefined
                    else None,
                    "replace_on_changes": tuple(request.replaceOnChanges),
                    "ignore_changes": tuple(request.ignoreChanges),
                    "retain_on_delete": request.retainOnDelete,
                    "remote": request.remote,
                    "source": _place(request, self._recorder.root),
                }
            )
        return answer

    def ReadResource(self, request: Any) -> Any:  # noqa: N802 - the SDK's name
        answer = super().ReadResource(request)  # type: ignore[no-untyped-call]
        self._recorder.keep(
            {"urn": answer.urn, "parent": _but_the_stack(request.parent), "external": True, "custom": True}
        )
        return answer

    @property
    def _recorder(self) -> Recorder:
        if not isinstance(self.mocks, Recorder):
            raise TypeError("RecordingMonitor is the monitor of a Recorder")
        return self.mocks

    def _aliases(self, request: Any) -> Iterator[str]:
        """The URNs that a resource had before; what an alias does not say stayed as it is."""
        yield from request.aliasURNs
        for alias in request.aliases:
            if alias.urn:
                yield alias.urn
                continue
            spec = alias.spec
            parent = "" if spec.noParent else spec.parentUrn or request.parent
            yield "::".join(
                [
                    f"urn:pulumi:{spec.stack or get_stack()}",
                    spec.project or get_project(),
                    qualified(parent, spec.type or request.type),
                    spec.name or request.name,
                ]
            )


def run_recorded(
    program: Path,
    recorder: Recorder,
    *,
    project: str,
    stack: str,
    config: Mapping[str, str],
    secret: Collection[str] = (),
) -> dict[str, Any]:
    """`runner.run_program` with the monitor that a recorder needs."""
    return run_program(
        program, recorder, project=project, stack=stack, config=config, secret=secret, monitor=RecordingMonitor
    )


def plain(value: Any, root: Path) -> Any:
    """A property as JSON: secrets unwrapped, whole numbers whole again, archives and assets by path and digest."""
    match rpc.unwrap_rpc_secret(value):
        case pulumi.Asset() | pulumi.Archive() as content:
            return described(content, root)
        case dict() as items:
            return {key: plain(item, root) for key, item in items.items()}
        case list() | tuple() as items:
            return [plain(item, root) for item in items]
        case float() as number if number.is_integer():
            return int(number)
        case pulumi.Resource() as resource:
            return f"resource {getattr(resource, '_name', '')}"
        case other:
            return other


def secrets(value: Any, path: str = "") -> Iterator[str]:
    """The paths of what is secret in the inputs of a resource."""
    if path and rpc.is_rpc_secret(value):
        yield path
        return
    entries = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in entries:
        yield from secrets(item, f"{path}.{key}" if path else str(key))


def described(content: pulumi.Asset | pulumi.Archive, root: Path) -> Json:
    """An asset or archive by what tells two apart: where it is, and a digest of what is in it."""
    match content:
        case pulumi.FileArchive() | pulumi.FileAsset():
            # A program's paths are relative to its own folder, which is the working directory while it runs.
            at = Path(content.path).absolute()
            shown = at.relative_to(root).as_posix() if at.is_relative_to(root) else at.name
            return {"archive": shown, "sha256": _digest_of(at)}
        case pulumi.AssetArchive():
            parts = {name: described(part, root) for name, part in sorted(content.assets.items())}
            return {"archive": sorted(parts), "sha256": _short(json.dumps(parts).encode())}
        case pulumi.StringAsset():
            return {"archive": "text", "sha256": _short(content.text.encode())}
    return {"archive": str(getattr(content, "uri", content)), "sha256": ""}


def _digest_of(path: Path) -> str:
    if path.is_file():
        return _short(path.read_bytes())
    files = sorted(each for each in path.rglob("*") if each.is_file() and "__pycache__" not in each.parts)
    listed = [f"{each.relative_to(path).as_posix()} {_short(each.read_bytes())}" for each in files]
    return _short("\n".join(listed).encode()) if path.is_dir() else ""


def _short(content: bytes) -> str:
    return sha256(content).hexdigest()[:DIGEST]


def _but_the_stack(urn: str) -> str:
    return "" if not urn or urn.split("::")[2] == STACK_TYPE else urn


def _place(request: Any, root: Path) -> str:
    """`file:line` of what declares a resource, where it is in the program."""
    if not request.HasField("sourcePosition"):
        return ""
    path = Path(unquote(urlsplit(request.sourcePosition.uri).path))
    return f"{path.relative_to(root).as_posix()}:{request.sourcePosition.line}" if path.is_relative_to(root) else ""


def _from_json(value: Any) -> Any:
    """A provider's inputs arrive as JSON texts: that is how provider configuration is passed."""
    try:
        return json.loads(value) if isinstance(value, str) else value
    except ValueError:
        return value
