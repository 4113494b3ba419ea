"""A slip in the condition of a rule, wherever it is, is told by the rule's programs."""

from __future__ import annotations

from collections.abc import Mapping
from types import FunctionType

import pytest

from policies.model import Rule
from policies.rules import RULES
from tests.policies.cases import cases
from tests.policies.judged import faults
from tests.policies.mutants import functions, in_place, loosened, mutants, name_of

pytestmark = pytest.mark.mutation

EQUIVALENT: Mapping[str, Mapping[str, str]] = {
    "functions.mapping_hides_messages": {
        "VISIBILITY_SECONDS -> VISIBILITY_SECONDS + 1": "six times a whole number of seconds is 30 and 36, not 31",
    },
    "log-retention": {
        "at-least: 7 to 6": "CloudWatch Logs knows no period of six days",
        "at-most: 400 to 401": "nor one of 401",
    },
}
"""Mutants that cannot be told, by function and slip, each with the reason."""


def reached() -> dict[str, tuple[FunctionType, list[Rule]]]:
    """Each function that decides something, by name, with the rules that it decides for."""
    found: dict[str, tuple[FunctionType, list[Rule]]] = {}
    for rule in RULES:
        for function in functions(rule):
            found.setdefault(name_of(function), (function, []))[1].append(rule)
    return dict(sorted(found.items()))


REACHED = reached()


def told(rules: list[Rule]) -> bool:
    """Whether the programs of any of the rules show that something is wrong."""
    try:
        return any(fault for rule in rules for fault in faults(rule, cases()[rule.name]))
    except Exception:
        return True


@pytest.mark.parametrize("name", REACHED)
def test_every_slip_in_what_a_rule_decides_is_told(name: str) -> None:
    function, rules = REACHED[name]
    assert not told(rules)
    unseen = []
    for mutant in mutants(function):
        with in_place(function, mutant):
            if not told(rules):
                unseen.append(mutant.what)
    assert sorted(unseen) == sorted(EQUIVALENT.get(name, {}))


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_every_slip_in_what_a_rule_is_asked_about_is_told(rule: Rule) -> None:
    unseen = [what for what, changed in loosened(rule) if not told([changed])]
    assert sorted(unseen) == sorted(EQUIVALENT.get(rule.name, {}))


def test_what_is_said_to_be_equivalent_is_there() -> None:
    assert EQUIVALENT.keys() <= {*REACHED, *(rule.name for rule in RULES)}
