"""The telemetry contract, both ways: what is watched is emitted, what is declared is emitted and watched.

And the proof that these tests can fail: everything that could be changed about it is changed, and each change noticed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

import pytest

from handlers.telemetry.contract import METRICS, NAMESPACE, Dimension, Metric, Unit
from observability.check import Finding, check, check_looks
from observability.emissions import Emission, Emitted
from observability.looks import Look, looks
from observability.model import MetricKey
from observability.sources import estate_of
from tests.contract.emissions import ANY, DIMENSIONS, EXPECTED, UNITS
from tests.contract.mutants import UNCHANGED, contract_mutants, emission_mutants, noticed
from tests.recorded import STACKS, recording

EMITTED = {name: DIMENSIONS for values in EXPECTED.values() for name in values}
"""Our metrics, as the captured run emits them."""


def test_handlers_emit_what_is_expected_of_them_in_every_situation() -> None:
    ((_, fault),) = noticed([UNCHANGED])
    assert fault == ""


def test_every_declared_metric_is_emitted_and_every_emitted_one_declared() -> None:
    assert _declared(METRICS) == _emitted()


def test_an_indicator_is_seen_to_hit_and_to_miss() -> None:
    seen: dict[str, set[object]] = {}
    for values in EXPECTED.values():
        for name, value in values.items():
            seen.setdefault(name, set()).add(value)
    indicators = {name for name in seen if name.endswith("Misses")} | {"ProbeFailures"}
    assert {name: seen[name] for name in indicators} == {name: {0, 1} for name in indicators}
    by_the_clock = {"DeliveryLatency", "OldestOpenEmail", "EstimatedSpend"}
    assert {name for name, values in seen.items() if ANY in values} == by_the_clock


@pytest.mark.parametrize("stack", STACKS)
def test_alarms_and_dashboards_look_at_metrics_that_have_points(stack: str) -> None:
    seen = recording(stack)
    assert check(estate_of(seen), _emissions(stack), seen.resources) == []


@pytest.mark.parametrize("stack", STACKS)
def test_every_declared_metric_is_looked_at(stack: str) -> None:
    watched = {look.key.name for look in _looks(stack) if look.key.namespace == NAMESPACE}
    assert watched == {metric.name for metric in METRICS}


@pytest.mark.parametrize("stack", STACKS)
def test_any_change_to_what_an_alarm_or_a_widget_looks_at_is_noticed(stack: str) -> None:
    changed = [mutant for look in _looks(stack) for mutant in _changes(look)]
    assert len(changed) > 4 * len(_looks(stack)) - 20
    assert [mutant for mutant in changed if not _wrongs(stack, mutant)] == []


PARTS = 8
"""Of the mutants: each takes seconds, so that one part is a sample, and the others are left to `make proof`."""


@pytest.mark.mutation
@pytest.mark.parametrize("part", [0, *(pytest.param(part, marks=pytest.mark.proof) for part in range(1, PARTS))])
def test_any_emission_taken_out_or_mixed_up_is_noticed(part: int) -> None:
    mutants = list(emission_mutants())[part::PARTS]
    assert mutants
    assert not [mutant.what for mutant, fault in noticed(mutants) if not fault]


def test_any_metric_renamed_and_any_unit_or_dimension_changed_is_noticed() -> None:
    mutants = {what: _declared(metrics) for what, metrics in contract_mutants()}
    assert len(mutants) == 2 * len(METRICS) + 2
    assert not [what for what, declared in mutants.items() if declared == _emitted()]


@pytest.mark.parametrize("most", [0, 11, 10**9])
def test_a_metric_with_a_dimension_that_has_no_bound_cannot_be_declared(most: int) -> None:
    with pytest.raises(ValueError, match="property of the record, not a dimension"):
        Metric("PerOrder", Unit.COUNT, "One series an order.", (Dimension("order_id", most=most),))


def test_every_metric_of_ours_is_a_series_or_a_few() -> None:
    assert {metric.series for metric in METRICS} == {1}


def _declared(metrics: Iterable[Metric]) -> dict[str, tuple[str, set[str]]]:
    """Unit and dimensions by name, as the contract has them."""
    return {each.name: (each.unit.value, {dimension.name for dimension in each.dimensions}) for each in metrics}


def _emitted() -> dict[str, tuple[str, set[str]]]:
    """The same, as the captured run has them."""
    return {name: (UNITS.get(name, "Count"), set(names)) for name, names in EMITTED.items()}


def _emissions(stack: str) -> Emitted:
    """The metrics of the captured run, as they are emitted where `stack` is deployed."""
    return Emitted(
        tuple(
            Emission(
                namespace=NAMESPACE,
                name=name,
                dimensions=dict.fromkeys(dimensions, frozenset({stack})),
                by="the handlers",
                units=frozenset({UNITS.get(name, "Count")}),
                exact=True,
            )
            for name, dimensions in EMITTED.items()
        )
    )


def _looks(stack: str) -> list[Look]:
    return looks(estate_of(recording(stack)))


def _wrongs(stack: str, look: Look) -> list[Finding]:
    return check_looks([look], _emissions(stack), recording(stack).resources)


def _changes(look: Look) -> Iterator[Look]:
    key, dimensions = look.key, dict(look.key.dimensions)

    def changed(namespace: str = key.namespace, name: str = key.name, by: Mapping[str, str] = dimensions) -> Look:
        return replace(look, stat=replace(look.stat, key=MetricKey.of(namespace, name, by)))

    yield changed(name=f"{key.name}Two")
    yield changed(namespace=f"{key.namespace}Two")
    yield changed(by={**dimensions, "Version": "2"})
    for name, value in dimensions.items():
        others = {each: value_ for each, value_ in dimensions.items() if each != name}
        yield changed(by=others)
        yield changed(by={**others, f"{name}Two": value})
        yield changed(by={**dimensions, name: f"{value}-two"})
