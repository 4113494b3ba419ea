"""actions.yaml, read and checked: what deploying each resource type takes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from observability.errors import ToolkitError

ACTIONS: Final = Path(__file__).resolve().parent / "actions.yaml"
EVERY: Final = "every"
"""The name of `*` among the resources."""

Json = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Grant:
    """Actions on resources; names of resources and conditions are those of the table. See actions.yaml."""

    scope: tuple[str, ...] = ()
    read: tuple[str, ...] = ()
    write: tuple[str, ...] = ()
    when: str = ""
    because: str = ""
    passes: str = ""


@dataclass(frozen=True, kw_only=True)
class Table:
    """actions.yaml, checked."""

    resources: Mapping[str, str]
    conditions: Mapping[str, Json]
    policies: Mapping[str, tuple[str, ...]]
    types: Mapping[str, tuple[Grant, ...]]
    gate: tuple[Grant, ...]
    boundary: Mapping[str, tuple[str, ...]]
    unbounded: Mapping[str, str]
    managed: Mapping[str, tuple[str, ...]]

    @property
    def grants(self) -> list[tuple[str, Grant]]:
        """All grants, and what each is for."""
        return [
            *((type_, grant) for type_, grants in self.types.items() for grant in grants),
            *(("gate", grant) for grant in self.gate),
        ]

    @property
    def actions(self) -> frozenset[str]:
        """Every action in it."""
        grants = [grant for _, grant in self.grants]
        granted = {action for grant in grants for action in grant.read + grant.write}
        return frozenset(granted | {*self.unbounded} | {action for each in self.managed.values() for action in each})

    @property
    def reasons(self) -> dict[str, str]:
        """Every action that is on every resource, and why AWS allows it on nothing narrower."""
        granted = {
            action: grant.because
            for _, grant in self.grants
            if EVERY in grant.scope
            for action in grant.read + grant.write
        }
        return dict(sorted({**granted, **self.unbounded}.items()))


def read_table(path: Path = ACTIONS) -> Table:
    """The table in a file.

    Raises:
        ToolkitError: it names what it does not have, or what is not understood; with every fault.
    """
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    try:
        table = Table(
            **{
                **content,
                "policies": _tuples(content["policies"]),
                "boundary": _tuples(content["boundary"]),
                "managed": _tuples(content["managed"]),
                "types": {type_: _grants(given) for type_, given in content["types"].items()},
                "gate": _grants(content["gate"]),
            }
        )
    except (TypeError, KeyError) as error:
        raise ToolkitError(f"{path.name} is not understood: {error}") from error
    if faults := list(_faults(table)):
        raise ToolkitError("\n".join([f"{path.name} contradicts itself:", *faults]))
    return table


def _faults(table: Table) -> Iterator[str]:
    services = [service for each in table.policies.values() for service in each]
    yield from (f"  policies: {each} is in two of them" for each in sorted({*services}) if services.count(each) > 1)
    for type_, grants in table.types.items():
        for grant in grants:
            yield from (
                f"  {type_}: resource {name!r} is not known" for name in grant.scope if name not in table.resources
            )
            if grant.when and grant.when not in table.conditions:
                yield f"  {type_}: condition {grant.when!r} is not known"
            if (EVERY in grant.scope) is not bool(grant.because):
                yield f"  {type_}: `because` has to say why actions are on every resource, and of those alone"
            for action in grant.read + grant.write:
                if action.split(":")[0] not in services:
                    yield f"  {type_}: {action} is of a service that none of `policies` has"
    for service, names in table.boundary.items():
        yield from (
            f"  boundary: {service}: resource {name!r} is not known" for name in names if name not in table.resources
        )


def _grants(given: Sequence[Json]) -> tuple[Grant, ...]:
    return tuple(Grant(**_tuples(each)) for each in given)


def _tuples(content: Mapping[str, Any]) -> Json:
    return {key: tuple(value) if isinstance(value, list) else value for key, value in content.items()}
