"""A stack's configuration as the Pulumi CLI hands it to the program: defaults, stack file, overrides."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import yaml

ROOT: Final = Path(__file__).resolve().parent.parent

Value = str | int | bool


class StackConfigError(Exception):
    """The configuration of a stack is not what the schema in Pulumi.yaml asks for. Lists every fault."""


def stack_config(stack: str, overrides: Mapping[str, Value] | None = None, *, root: Path = ROOT) -> dict[str, str]:
    """Flat configuration of `stack`: full keys ("mailroom:sendRate") to strings ("14", "true").

    Precedence, as the CLI has it: overrides (`pulumi config set`), `Pulumi.<stack>.yaml`, values and
    defaults of the schema in `Pulumi.yaml`. A key without a namespace belongs to the project. Keys that the
    schema does not know are passed on, as the CLI does: the program judges them.

    Raises StackConfigError for a stack without a file, a key without a value, and a value of another type.
    """
    project = _load(root / "Pulumi.yaml")
    name = str(project["name"])
    schema = {_full(key, name): _declared(entry) for key, entry in (project.get("config") or {}).items()}
    given = {
        **{_full(key, name): value for key, value in _stack_file(root, stack).items()},
        **{_full(key, name): value for key, value in (overrides or {}).items()},
    }
    preset = {key: entry.get("value", entry.get("default")) for key, entry in schema.items()}
    merged = {key: value for key, value in {**preset, **given}.items() if value is not None}
    if faults := list(_faults(stack, schema, merged)):
        raise StackConfigError("\n".join(faults))
    return {key: _text(value) for key, value in merged.items()}


def project_name(root: Path = ROOT) -> str:
    """The `name` in Pulumi.yaml."""
    return str(_load(root / "Pulumi.yaml")["name"])


def _load(path: Path) -> dict[str, Any]:
    content = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    if not isinstance(content, dict):
        raise StackConfigError(f"{path.name}: expected a mapping, found {type(content).__name__}")
    return content


def _stack_file(root: Path, stack: str) -> dict[str, Any]:
    path = root / f"Pulumi.{stack}.yaml"
    if not path.is_file():
        known = ", ".join(sorted(file.name.split(".")[1] for file in root.glob("Pulumi.*.yaml"))) or "none"
        raise StackConfigError(f"stack {stack!r}: there is no {path.name} (stacks with a file: {known})")
    return _load(path).get("config") or {}


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
        elif wanted and not _is(wanted, values[key]):
            yield f"stack {stack!r}: {key} must be of type {wanted}, not {values[key]!r}"
    for key in values.keys() - schema.keys():
        if not isinstance(values[key], Value):
            yield f"stack {stack!r}: {key} must be a plain value, not {type(values[key]).__name__}"


def _is(wanted: str, value: Any) -> bool:
    """Whether the CLI takes `value` for the schema type: it compares text, so "14" is an integer."""
    match wanted:
        case "boolean":
            return _text(value) in {"true", "false"}
        case "integer":
            return not isinstance(value, bool) and bool(re.fullmatch(r"-?\d+", _text(value)))
        case "string":
            return isinstance(value, str)
    raise StackConfigError(f"type {wanted!r} in Pulumi.yaml is not one of string, boolean, integer")


def _text(value: Value) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
