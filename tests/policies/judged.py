"""Runs the programs of a case, asks a rule about them, and says what is not as the case wants it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import cache, reduce
from typing import Any

import pulumi

from observability.program.recorder import Recorder, RecordingMonitor
from observability.program.resources import Recording, Resource
from policies.engine import Judgement, judge
from policies.model import UNKNOWN, Outcome, Rule, Stack
from policies.rules import RULES
from tests.policies.cases import Case, Given, Hidden, Program, Programs, cases
from tests.policies.parts import REGION, TAGS, surroundings

PROJECT = "shop"
BY_NAME: Mapping[str, Rule] = {rule.name: rule for rule in RULES}


@cache
def recorded(program: Program, stack: str = "prod", bare: bool = False) -> Recording:
    """What a program declares, and what every stack has to have, unless it is `bare`."""
    tags = {} if bare else {"aws:defaultTags": json.dumps({"tags": TAGS})}
    recorder = Recorder(config={"aws:region": REGION, **tags})
    pulumi.runtime.set_mocks(recorder, project=PROJECT, stack=stack, preview=False, monitor=RecordingMonitor(recorder))

    def run() -> None:
        program()
        if not bare:
            surroundings()

    pulumi.runtime.test(run)()  # type: ignore[no-untyped-call]
    resources = sorted(recorder.resources, key=lambda each: each.urn)
    return Recording(project=PROJECT, stack=stack, resources=tuple(resources))


def each_given(programs: Programs) -> Iterator[Given]:
    """Every program of a case's attribute, with its conditions."""
    for each in programs if isinstance(programs, tuple) else (programs,):
        yield each if isinstance(each, Given) else Given(program=each)


def stack_of(rule: Rule, given: Given) -> Stack:
    """The program of a case as a rule sees it."""
    case = cases().get(rule.name)
    settings = {**rule.defaults, **(case.settings if case else {}), **given.settings}
    recording = recorded(given.program, given.stack, given.bare)
    made = Stack(PROJECT, given.stack, recording.resources, settings=settings, today=given.today)
    return reduce(hidden, given.hides, made)


def hidden(stack: Stack, what: Hidden) -> Stack:
    """A stack in which a value is not known. Raises AssertionError: it has no such resource."""
    found = [each for each in stack.resources if what.resource in (each.name, f"{each.kind} {each.name}")]
    assert len(found) == 1, f"{len(found)} resources are {what.resource}"
    path = re.findall(r"[^.\[\]]+", what.path)
    veiled = [
        _veiled(each, path, None if what.absent else UNKNOWN) if each is found[0] else each for each in stack.resources
    ]
    return replace(stack, resources=tuple(veiled))


def _veiled(resource: Resource, path: list[str], by: Any) -> Resource:
    return replace(resource, inputs=_with(resource.inputs, path, by), outputs=_with(resource.outputs, path, by))


def _with(value: Any, path: list[str], by: Any) -> Any:
    """`value` with `by` at a path; None takes away what is there."""
    if not path:
        return by
    if isinstance(value, list):
        at = int(path[0])
        return [*value[:at], _with(value[at], path[1:], by), *value[at + 1 :]]
    inner = value if isinstance(value, dict) else {}
    changed = {**inner, path[0]: _with(inner.get(path[0]), path[1:], by)}
    return {key: each for key, each in changed.items() if each is not None}


# What a case asks for

Fault = str
"""What is not as the case wants it; "" where everything is."""


def judgements(rule: Rule, stack: Stack) -> list[Judgement]:
    return list(judge(rule, stack))


def violates(rule: Rule, given: Given) -> Fault:
    found = judgements(rule, stack_of(rule, given))
    on = {wrong.resource.name for each in found for wrong in each.wrong}
    return "" if on and given.on in (frozenset(), on) else _told("not violated", given, found)


def satisfies(rule: Rule, given: Given) -> Fault:
    found = judgements(rule, stack_of(rule, given))
    outcomes = {each.outcome for each in found}
    good = Outcome.SATISFIED in outcomes and outcomes <= {Outcome.SATISFIED, Outcome.NOT_APPLICABLE}
    return "" if good else _told("not satisfied", given, found)


def is_unknown(rule: Rule, what: Hidden, case: Case) -> Fault:
    given = next(each_given(what.program or case.satisfied))
    found = judgements(rule, hidden(stack_of(rule, given), what))
    outcomes = {each.outcome for each in found}
    good = Outcome.UNKNOWN in outcomes and Outcome.VIOLATED not in outcomes
    return "" if good else _told(f"not unknown without {what.path} of {what.resource}", given, found)


def does_not_apply(rule: Rule, given: Given) -> Fault:
    found = judgements(rule, stack_of(rule, given))
    good = all(each.outcome is Outcome.NOT_APPLICABLE for each in found)
    return "" if good else _told("applied", given, found)


def faults(rule: Rule, case: Case) -> Iterator[Fault]:
    """Everything in which a rule does not do what its case wants; what it raises is raised."""
    asked: list[tuple[Callable[[Rule, Given], Fault], Programs]] = [
        (violates, case.violated),
        (satisfies, case.satisfied),
        (does_not_apply, case.not_applicable),
    ]
    for ask, programs in asked:
        yield from (fault for given in each_given(programs) if (fault := ask(rule, given)))
    unknown = case.unknown if isinstance(case.unknown, tuple) else (case.unknown,)
    yield from (fault for each in unknown if (fault := is_unknown(rule, each, case)))


def _told(what: str, given: Given, found: list[Judgement]) -> Fault:
    seen = ", ".join(
        f"{each.resource.kind} {each.resource.name} {each.outcome} {[wrong.wrong for wrong in each.wrong] or ''}"
        for each in found
    )
    return f"{getattr(given.program, '__name__', given.program)}: {what}: {seen or 'nothing was judged'}"
