"""Runs components without an engine: notes every resource, and answers as the AWS provider would."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import pulumi
from pulumi.runtime import mocks

from components.watch import Watch
from observability.program import recorder as recording
from observability.program import resources
from observability.program.recorder import RecordingMonitor

os.environ["PULUMI_ERROR_OUTPUT_STRING"] = "true"

ACCOUNT, REGION = "123456789012", "us-east-1"


@dataclass(frozen=True, kw_only=True)
class Resource(resources.Resource):
    """One resource as it was registered; its dependencies as `Type name`, such as `Queue send`."""

    def statements(self, key: str = "policy") -> dict[str, dict[str, Any]]:
        """The statements of a resource policy by their Sid."""
        return {statement["Sid"]: statement for statement in self.document(key)["Statement"]}


@dataclass
class Recorder(recording.Recorder):
    """Every resource of one run, in the order of registration. Refuses two of one type and name, and look-ups."""

    computed: bool = True
    """Whether to answer with what AWS would add to the inputs; without it, a preview has only unknowns."""

    def new_resource(self, args: mocks.MockResourceArgs) -> tuple[str | None, dict[str, Any]]:
        if any((args.typ, args.name) == (known.type, known.name) for known in self.resources):
            raise AssertionError(f"two resources {args.typ} are named {args.name}")
        answer = super().new_resource(args)
        self._latest.value = Resource(**vars(self._latest.value))
        return answer

    def answered(self, args: mocks.MockResourceArgs, inputs: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        return super().answered(args, inputs) if self.computed else (f"{args.name}-id", {})

    def call(self, args: mocks.MockCallArgs) -> tuple[dict[Any, Any], list[tuple[str, str]] | None]:
        raise AssertionError(f"components look nothing up, yet {args.token} was called")

    def keep(self, registered: Mapping[str, Any]) -> None:
        needed = tuple(_type_and_name(urn) for urn in registered.get("dependencies", ()))
        super().keep({**registered, "dependencies": needed})

    def all(self, kind: str) -> list[Resource]:
        """The resources whose type ends in `kind`, such as `Queue`."""
        return [each for each in self.resources if isinstance(each, Resource) and each.kind == kind]

    def one(self, kind: str, name: str | None = None) -> Resource:
        """The only resource of a type (and name)."""
        found = [resource for resource in self.all(kind) if name in (None, resource.name)]
        assert len(found) == 1, f"{len(found)} resources {kind} {name or ''}: {[each.name for each in found]}"
        return found[0]

    def names(self, kind: str) -> list[str]:
        return sorted(resource.name for resource in self.all(kind))

    def allowed(self, role: str) -> dict[str, Any]:
        """Each action that a role's policy allows, with its resources, all statements together."""
        found: dict[str, Any] = {}
        for statement in self.one("RolePolicy", role).document()["Statement"]:
            for action in statement["Action"]:
                more = statement["Resource"]
                found[action] = more if more == "*" else [*found.get(action, []), *more]
        return found

    def pinned(self) -> list[str]:
        """`type name` of each resource, sorted."""
        return sorted(f"{resource.type} {resource.name}" for resource in self.resources)


def record(
    build: Callable[[], Any], *, preview: bool = False, recorder: Recorder | None = None
) -> tuple[Recorder, dict[str, Any]]:
    """Run `build` to its end; what it registered, and the outputs of the component it returned, resolved."""
    recorder = recorder or Recorder(computed=not preview)
    pulumi.runtime.set_mocks(
        recorder, project="mailroom", stack="test", preview=preview, monitor=RecordingMonitor(recorder)
    )
    outputs: dict[str, Any] = {}

    def keep(values: dict[str, Any]) -> None:
        outputs.update(values)

    def run() -> Any:
        component = build()
        promised = {name: getattr(component, name) for name in _outputs_of(component)}
        return pulumi.Output.all(**promised).apply(keep)

    pulumi.runtime.test(run)()  # type: ignore[no-untyped-call]
    return recorder, outputs


class Watched(Protocol):
    """A component that says what is to be watched of it."""

    def watch(self) -> Watch: ...


def watch_of(make: Callable[[], Watched]) -> Watch:
    """What a component that `make` makes wants watched."""
    watches: list[Watch] = []

    def build() -> Watched:
        component = make()
        watches.append(component.watch())
        return component

    record(build)
    return watches[0]


def _type_and_name(urn: str) -> str:
    _, _, kind, name = urn.split("::")
    return f"{kind.rsplit(':', 1)[-1]} {name}"


def _outputs_of(component: Any) -> list[str]:
    return list(getattr(type(component), "__annotations__", {}))


def queue_url(name: str) -> str:
    return f"https://sqs.{REGION}.amazonaws.com/{ACCOUNT}/{name}"
