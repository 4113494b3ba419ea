"""For each rule of the pack the smallest programs that show it: those that break it and nothing else, and others.

A module is named as the module of rules that it is about, and exports `CASES`: rule name to Case. `test_rules.py` runs
them, `test_rule_mutants.py` runs them against every slip that the rule's condition could have.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date
from functools import cache
from typing import Any

TODAY = date(2026, 11, 23)
"""When a case is judged, unless it says otherwise."""

Program = Callable[[], object]
"""Declares resources, as `__main__.py` of a program would."""


@dataclass(frozen=True, kw_only=True)
class Given:
    """A program that is judged under its own conditions.

    Attributes:
        settings: the rule's own, over those of the case.
        stack: whose program it is.
        hides: values of it that are not known, although the outcome is plain.
        on: logical names of the resources that break the rule; by default it does not matter which.
        also: other rules that it cannot but break.
        bare: without what every stack has to have (`parts.surroundings`), such as a budget, and without default tags.
    """

    program: Program
    settings: Mapping[str, Any] = field(default_factory=dict)
    stack: str = "prod"
    hides: tuple[Hidden, ...] = ()
    today: date = TODAY
    on: frozenset[str] = frozenset()
    also: frozenset[str] = frozenset()
    bare: bool = False


Programs = Program | Given | tuple[Program | Given, ...]
"""One or several; several where a condition has more than one way to hold, or a threshold has two sides."""


@dataclass(frozen=True, kw_only=True)
class Hidden:
    """A program of which a value is not known, as at a preview.

    Attributes:
        resource: its logical name, or kind and name ("Queue send") where two have the name.
        path: of the property, such as `tracingConfig.mode` or `tags`; it is hidden in inputs and outputs alike.
        program: by default the first that satisfies the rule.
        absent: whether nothing is there, as of what only a provider adds, instead of a value that is not known.
    """

    resource: str
    path: str
    program: Program | Given | None = None
    absent: bool = False


@dataclass(frozen=True, kw_only=True)
class Case:
    """The programs of a rule.

    Attributes:
        violated: each breaks this rule and no other of the pack.
        satisfied: each satisfies this rule, on one resource at least, and breaks none of the pack.
        unknown: with the value hidden the rule ends as "unknown" for a resource, and is violated for none.
        not_applicable: each has nothing that the rule is about, or is judged "not applicable". Empty for a rule that
            applies to every stack.
        settings: the rule's own, for all of them.
    """

    violated: Programs
    satisfied: Programs
    unknown: Hidden | tuple[Hidden, ...]
    not_applicable: Programs
    settings: Mapping[str, Any] = field(default_factory=dict)


@cache
def cases() -> Mapping[str, Case]:
    """The cases of all modules, by the name of the rule. Raises AssertionError: a rule has two."""
    found: dict[str, Case] = {}
    for module in pkgutil.iter_modules(__path__):
        for name, case in getattr(importlib.import_module(f"{__name__}.{module.name}"), "CASES", {}).items():
            assert name not in found, f"rule {name} has two cases"
            found[name] = case
    return found
