"""A stack's configuration as the Pulumi CLI hands it to the program: defaults, stack file, overrides."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import yaml

from observability.errors import ToolkitError

Value = str | int | bool

SECRET: Final = "[secret]"  # noqa: S105 - what stands in place of one
"""What the program gets for a value that is encrypted in the stack file: only its owner can read it."""


class StackConfigError(ToolkitError):
    """The configuration of a stack is not what the schema in Pulumi.yaml asks for. Lists every fault."""


@dataclass(frozen=True)
class Project:
    """A project as its Pulumi.yaml has it.

    Attributes:
        program: the folder (or file) that the runtime runs.
        config: the folder of the stack files.
        python: the interpreter of the virtual environment that the project names; None where there is none.
    """

    name: str
    root: Path
    program: Path
    config: Path
    python: Path | None
    schema: Mapping[str, Any] = field(default_factory=dict)

    @property
    def stacks(self) -> tuple[str, ...]:
        """The stacks with a file, sorted."""
        return tuple(sorted(file.name.split(".", 1)[1].rsplit(".", 1)[0] for file in self.config.glob("Pulumi.*.yaml")))


def read_project(root: Path) -> Project:
    """The project in a folder.

    Raises:
        StackConfigError: there is none, or it is not in Python.
    """
    path = root / "Pulumi.yaml"
    if not path.is_file():
        raise StackConfigError(f"{root}: there is no Pulumi.yaml", "Name the folder of a Pulumi project.")
    content = _load(path)
    runtime = content.get("runtime")
    runtime, options = (
        (runtime.get("name"), runtime.get("options") or {}) if isinstance(runtime, dict) else (runtime, {})
    )
    if runtime != "python":
        raise StackConfigError(f"{path}: its runtime is {runtime!r}; only Python programs can be run here")
    if not content.get("name"):
        raise StackConfigError(f"{path}: name is missing")
    environment = options.get("virtualenv")
    folder = root / environment if environment else None
    found = [folder / "bin/python", folder / "Scripts/python.exe"] if folder else []
    return Project(
        name=str(content["name"]),
        root=root,
        program=(root / (content.get("main") or ".")).resolve(),
        config=root / (content.get("stackConfigDir") or "."),
        python=next((each for each in found if each.exists()), None),
        schema=schema if isinstance(schema := content.get("config"), dict) else {},
    )


def stack_config(stack: str, overrides: Mapping[str, Value] | None = None, *, root: Path) -> dict[str, str]:
    """Flat configuration of `stack`: full keys ("shop:rate") to strings ("14", "true", JSON for lists and mappings).

    Precedence, as the CLI has it: overrides (`pulumi config set`), `Pulumi.<stack>.yaml`, values and
    defaults of the schema in `Pulumi.yaml`. A key without a namespace belongs to the project. Keys that the
    schema does not know are passed on, as the CLI does: the program judges them. An encrypted value is SECRET.

    Raises:
        StackConfigError: a stack without a file where others have one, a key without a value, a value of another type.
    """
    return _configured(read_project(root), stack, overrides or {})[0]


def secret_keys(stack: str, *, root: Path) -> frozenset[str]:
    """The full keys of a stack whose values are secrets: encrypted in its file, or declared so in Pulumi.yaml."""
    project = read_project(root)
    declared = {_full(key, project.name) for key, entry in project.schema.items() if _declared(entry).get("secret")}
    given = {_full(key, project.name) for key, value in _stack_file(project, stack).items() if _encrypted(value)}
    return frozenset(declared | given)


def project_name(root: Path) -> str:
    """The `name` in Pulumi.yaml."""
    return read_project(root).name


def _configured(
    project: Project, stack: str, overrides: Mapping[str, Value]
) -> tuple[dict[str, str], Mapping[str, Any]]:
    schema = {_full(key, project.name): _declared(entry) for key, entry in project.schema.items()}
    given = {
        **{_full(key, project.name): value for key, value in _stack_file(project, stack).items()},
        **{_full(key, project.name): value for key, value in overrides.items()},
    }
    preset = {key: entry.get("value", entry.get("default")) for key, entry in schema.items()}
    merged = {key: value for key, value in {**preset, **given}.items() if value is not None}
    merged = {key: SECRET if _encrypted(value) else value for key, value in merged.items()}
    if faults := list(_faults(stack, schema, merged)):
        raise StackConfigError("\n".join(faults))
    return {key: _text(value) for key, value in merged.items()}, schema


def _load(path: Path) -> dict[str, Any]:
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except yaml.YAMLError as error:
        raise StackConfigError(f"{path.name} is not YAML: {error}") from error
    if not isinstance(content, dict):
        raise StackConfigError(f"{path.name}: expected a mapping, found {type(content).__name__}")
    return content


def _stack_file(project: Project, stack: str) -> dict[str, Any]:
    path = project.config / f"Pulumi.{stack}.yaml"
    if path.is_file():
        return _load(path).get("config") or {}
    if project.stacks:
        known = ", ".join(project.stacks)
        raise StackConfigError(f"stack {stack!r}: there is no {path.name} (stacks with a file: {known})")
    # A project whose stacks are set up by `pulumi config` elsewhere, or need nothing, has no stack files at all.
    return {}


def _encrypted(value: Any) -> bool:
    return isinstance(value, dict) and value.keys() == {"secure"}


def _full(key: str, project: str) -> str:
    return key if ":" in key else f"{project}:{key}"


def _declared(entry: Any) -> dict[str, Any]:
    """Pulumi.yaml allows a bare value in place of a declaration (`aws:region: us-east-1`)."""
    return entry if isinstance(entry, dict) else {"value": entry}


def _faults(stack: str, schema: Mapping[str, Any], values: Mapping[str, Any]) -> Iterator[str]:
    for key, entry in schema.items():
        wanted = entry.get("type")
        if key not in values:
            yield f"stack {stack!r}: {key} has no value and no default; set it in Pulumi.{stack}.yaml"
        elif wanted and values[key] != SECRET and not _is(wanted, values[key]):
            yield f"stack {stack!r}: {key} must be of type {wanted}, not {values[key]!r}"


def _is(wanted: str, value: Any) -> bool:
    """Whether the CLI takes `value` for the schema type: it compares text, so "14" is an integer."""
    match wanted:
        case "boolean":
            return not isinstance(value, dict | list) and _text(value) in {"true", "false"}
        case "integer":
            return not isinstance(value, bool | dict | list) and bool(re.fullmatch(r"-?\d+", _text(value)))
        case "string":
            return isinstance(value, str)
        case "array":
            return isinstance(value, list)
        case "object":
            return isinstance(value, dict)
    raise StackConfigError(f"type {wanted!r} in Pulumi.yaml is not one of string, boolean, integer, array, object")


def _text(value: Any) -> str:
    if isinstance(value, dict | list):
        return json.dumps(value)
    return str(value).lower() if isinstance(value, bool) else str(value)
