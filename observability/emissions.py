"""What is emitted, as far as anybody knows: of stores, of an account, of a program's log metric filters."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from observability.model import MetricKey
from observability.program.resources import Resource
from observability.store import MetricStore

FILTER_TYPES: Final = ("aws:cloudwatch/logMetricFilter:LogMetricFilter",)


@dataclass(frozen=True, slots=True)
class Emission:
    """A metric that somebody emits.

    Attributes:
        dimensions: names, with the values that were seen of each; none stands for any.
        by: who emits it, to be told to people.
        units: that it comes in; none stands for any.
        exact: whether there are no other values than those seen.
    """

    namespace: str
    name: str
    dimensions: Mapping[str, frozenset[str]] = field(default_factory=dict)
    by: str = ""
    units: frozenset[str] = frozenset()
    exact: bool = False


@dataclass(frozen=True, slots=True)
class Emitted:
    """What is known to be emitted.

    Attributes:
        complete: whether what is not in it is emitted by nobody. A captured run is; what an account has got in the last
            two weeks is not, since what counts failures waits for one.
    """

    emissions: tuple[Emission, ...] = ()
    complete: bool = True

    def __add__(self, other: Emitted) -> Emitted:
        return Emitted(self.emissions + other.emissions, self.complete and other.complete)


NOTHING_KNOWN: Final = Emitted(complete=False)
"""That nothing is known to be emitted says of nothing that it is not."""


def emitted_by(store: MetricStore, by: str, *, complete: bool = True) -> Emitted:
    """What is in a store, as emissions."""
    keys = store.keys()
    return emitted_of(((key, store.units(key)) for key in keys), by, complete=complete)


def emitted_of(metrics: Iterable[tuple[MetricKey, Iterable[str]]], by: str, *, complete: bool = True) -> Emitted:
    """Metrics with their units, as emissions: one for each namespace, name and set of dimensions."""
    seen: dict[tuple[str, str, tuple[str, ...]], list[tuple[MetricKey, Iterable[str]]]] = {}
    for key, units in metrics:
        seen.setdefault((key.namespace, key.name, tuple(name for name, _ in key.dimensions)), []).append((key, units))
    return Emitted(
        tuple(
            Emission(
                namespace=namespace,
                name=name,
                dimensions={each: frozenset(dict(key.dimensions)[each] for key, _ in listed) for each in names},
                by=by,
                units=frozenset(unit for _, units in listed for unit in units),
            )
            for (namespace, name, names), listed in sorted(seen.items(), key=lambda item: item[0])
        ),
        complete,
    )


def emitted_by_filters(resources: Iterable[Resource]) -> Emitted:
    """What the log metric filters of a program emit."""
    found = []
    for resource in resources:
        if resource.type in FILTER_TYPES:
            made = resource.inputs.get("metricTransformation") or {}
            unit = made.get("unit")
            found.append(
                Emission(
                    namespace=str(made.get("namespace")),
                    name=str(made.get("name")),
                    dimensions=dict.fromkeys(made.get("dimensions") or {}, frozenset[str]()),
                    by=f"log metric filter {resource.name}",
                    units=frozenset({str(unit)} if unit else ()),
                )
            )
    # That a program's filters emit nothing of a namespace does not say that nobody does.
    return Emitted(tuple(found), complete=False)
