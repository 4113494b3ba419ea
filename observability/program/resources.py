"""What a program registered: resources and outputs, as plain data that can be kept as JSON.

Standard library only: it is imported by the interpreter that runs the program, which may have nothing else of ours.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, Final

from observability.errors import ToolkitError

Json = dict[str, Any]

SECRET: Final = "[secret]"  # noqa: S105 - what is shown instead of one
"""Stands in JSON where a secret was."""

FORMAT: Final = 1
"""Of the JSON; another number is refused."""


@dataclass(frozen=True, kw_only=True)
class Resource:
    """One resource as it was registered.

    Attributes:
        type: token, such as `aws:sqs/queue:Queue`.
        inputs: in the provider's camelCase; an archive or asset is `{"archive": path, "sha256": digest}`.
        outputs: the inputs again and what the provider would add, by convention (`answers.computed`).
        urn: as the engine makes it, with the types of all parents.
        custom: whether a provider makes it; false for a component.
        parent, provider, dependencies, aliases: URNs; a provider's is followed by `::` and its id.
        delete_before_replace: None where the program leaves it to the engine.
        secrets: paths of the inputs that are secret, such as `environment.variables.KEY`.
        external: whether it is only looked up (`Queue.get`), and belongs to somebody else.
        source: file and line that declare it, such as `__main__.py:14`; "" where the SDK does not say.
    """

    type: str
    name: str
    inputs: Json = field(default_factory=dict)
    outputs: Json = field(default_factory=dict)
    id: str = ""
    urn: str = ""
    custom: bool = True
    parent: str = ""
    provider: str = ""
    dependencies: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    protect: bool = False
    delete_before_replace: bool | None = None
    replace_on_changes: tuple[str, ...] = ()
    ignore_changes: tuple[str, ...] = ()
    retain_on_delete: bool = False
    remote: bool = False
    secrets: tuple[str, ...] = ()
    external: bool = False
    source: str = ""

    @property
    def kind(self) -> str:
        """The last part of the type, such as `Queue`."""
        return self.type.rsplit(":", 1)[-1]

    @property
    def physical(self) -> str:
        """The name that AWS knows it by, as far as one can tell: that of `outputs`, or the logical one."""
        return str(self.outputs.get("name") or self.name)

    def document(self, key: str = "policy") -> Json:
        """An input that holds JSON, as text or as it is.

        Raises:
            ToolkitError: it is not a JSON object.
        """
        value = self.inputs.get(key)
        try:
            parsed = json.loads(value) if isinstance(value, str) else value
        except ValueError as error:
            raise ToolkitError(f"{self.kind} {self.name!r}: {key} is not JSON: {error}") from error
        if not isinstance(parsed, dict):
            raise ToolkitError(f"{self.kind} {self.name!r}: {key} is not a JSON object")
        return parsed


@dataclass(frozen=True, kw_only=True)
class Recording:
    """What one stack of a program registers, sorted by URN, and its outputs.

    Attributes:
        config: full keys to text; secret ones are not among them.
        notes: what a recording cannot know of this program, a sentence each.
    """

    project: str
    stack: str
    resources: tuple[Resource, ...]
    outputs: Json = field(default_factory=dict)
    config: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def all(self, kind: str) -> Iterator[Resource]:
        """The resources of a type, given as its token or the end of it, such as `Queue`."""
        return (each for each in self.resources if kind in (each.type, each.kind))

    def document(self) -> Json:
        """As JSON; secrets are left out."""
        return {"format": FORMAT, **asdict(self), "resources": [asdict(_veiled(each)) for each in self.resources]}

    @classmethod
    def read(cls, document: Any) -> Recording:
        """Raises ToolkitError: it is not what `document` gives."""
        if not isinstance(document, dict) or document.get("format") != FORMAT:
            raise ToolkitError("not a recording of a program, or one of another version", "Record the program again.")
        known = {each.name for each in fields(cls)}
        given = {key: _tuples(value) for key, value in document.items() if key in known}
        given["resources"] = tuple(_resource(each) for each in document["resources"])
        return cls(**given)


def _resource(document: Json) -> Resource:
    known = {each.name for each in fields(Resource)}
    return Resource(**{key: _tuples(value) for key, value in document.items() if key in known})


def _tuples(value: Any) -> Any:
    """JSON has no tuples; at the top of a resource every list was one."""
    return tuple(value) if isinstance(value, list) else value


def veiled(values: Json, paths: Sequence[str]) -> Json:
    """Properties with SECRET at each of the paths that they have."""
    for path in paths:
        values = _without(values, path.split("."))
    return values


def _veiled(resource: Resource) -> Resource:
    inputs, outputs = veiled(resource.inputs, resource.secrets), veiled(resource.outputs, resource.secrets)
    return replace(resource, inputs=inputs, outputs=outputs)


def _without(value: Any, path: Sequence[str]) -> Any:
    """`value` with SECRET at a path."""
    if not path:
        return SECRET
    if isinstance(value, dict) and path[0] in value:
        return {**value, path[0]: _without(value[path[0]], path[1:])}
    if isinstance(value, list) and path[0].isdecimal() and int(path[0]) < len(value):
        at = int(path[0])
        return [*value[:at], _without(value[at], path[1:]), *value[at + 1 :]]
    return value
