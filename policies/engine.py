"""Judges a stack: every rule on every resource that it applies to, as the stack is configured, save what is waived."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Final

from observability.program.resources import Recording, Resource
from policies.configuration import Configuration, level_of, settings_of
from policies.model import STACK_TYPE, Elsewhere, Level, NotApplicable, Outcome, Rule, Stack, Unknown
from policies.waivers import Waiver

WAIVERS: Final = "waivers"
"""Whose finding it is where a waiver waives nothing."""


@dataclass(frozen=True)
class Judgement:
    """What a rule says of a resource.

    Attributes:
        wrong: what violates the rule.
        unknown: the property that had to be known; "" where everything was. A violation that is seen stands whatever
            else is unknown.
    """

    rule: Rule
    resource: Resource
    outcome: Outcome
    wrong: tuple[Elsewhere, ...] = ()
    unknown: str = ""


@dataclass(frozen=True)
class Finding:
    """A violation, in words for a reviewer.

    Attributes:
        resource: kind and logical name, such as `Queue mailroom-send`.
        message: what is wrong with which resource, why that matters, and what to do.
        source: file and line that declare the resource, as far as it is known.
        waiver: the one that covers it, whether it still holds or not.
    """

    rule: str
    level: Level
    resource: str
    message: str
    urn: str = ""
    source: str = ""
    waiver: Waiver | None = None


@dataclass(frozen=True)
class Verdict:
    """How a stack was judged.

    Attributes:
        findings: those that nothing waives, an expired waiver among them.
        waived: findings that a waiver holds off.
        judgements: of each rule and resource.
        disabled: names of the rules that the stack's configuration switches off.
    """

    stack: Stack
    findings: tuple[Finding, ...]
    waived: tuple[Finding, ...]
    judgements: tuple[Judgement, ...]
    disabled: tuple[str, ...]

    @property
    def fails(self) -> bool:
        return any(each.level is Level.MANDATORY for each in self.findings)

    @property
    def unknown(self) -> tuple[Judgement, ...]:
        return tuple(each for each in self.judgements if each.unknown)


def stack_of(recording: Recording, today: date) -> Stack:
    """A recording as rules see it."""
    return Stack(recording.project, recording.stack, recording.resources, today=today)


def label(resource: Resource) -> str:
    """What people know a resource by, such as `Queue mailroom-send`."""
    return f"{resource.kind} {resource.name}"


def judge(rule: Rule, stack: Stack) -> Iterator[Judgement]:
    """What a rule says of each resource that it applies to; `stack.settings` are its own."""
    for resource in (stack.root,) if rule.whole else stack.of(*rule.types):
        yield _asked(rule, resource, stack)


def _asked(rule: Rule, resource: Resource, stack: Stack) -> Judgement:
    wrong: list[Elsewhere] = []
    try:
        for each in rule.check(resource, stack):
            wrong.append(each if isinstance(each, Elsewhere) else Elsewhere(resource, each))
    except Unknown as error:
        outcome = Outcome.VIOLATED if wrong else Outcome.UNKNOWN
        return Judgement(rule, resource, outcome, tuple(wrong), error.path)
    except NotApplicable:
        return Judgement(rule, resource, Outcome.NOT_APPLICABLE)
    return Judgement(rule, resource, Outcome.VIOLATED if wrong else Outcome.SATISFIED, tuple(wrong))


def findings(judgement: Judgement, level: Level, stack: Stack, waivers: Sequence[Waiver]) -> Iterator[Finding]:
    """A judgement's violations, each with the waiver that covers it: one that holds, if there is one."""
    rule = judgement.rule
    for each in judgement.wrong:
        about = label(each.resource)
        covering = [waiver for waiver in waivers if waiver.covers(rule.name, about, stack.stack)]
        waiver = max(covering, key=lambda waiver: waiver.expires, default=None)
        expired = waiver is not None and not waiver.holds(stack.today)
        told = f" Its waiver ended on {waiver.expires}; {waiver.owner} answers for it." if waiver and expired else ""
        yield Finding(
            rule=rule.name,
            level=level,
            resource=about,
            message=f"{about}: {each.wrong}. {rule.reason} {rule.remedy}{told}",
            urn="" if each.resource.type == STACK_TYPE else each.resource.urn,
            source=each.resource.source,
            waiver=waiver,
        )


def judge_stack(
    stack: Stack, rules: Iterable[Rule], configuration: Configuration, waivers: Sequence[Waiver] = ()
) -> Verdict:
    """Every rule that is not disabled, on everything in a stack."""
    levels = {rule.name: level_of(rule, configuration) for rule in rules}
    asked = [rule for rule in rules if levels[rule.name] is not Level.DISABLED]
    judgements = tuple(
        judgement
        for rule in asked
        for judgement in judge(rule, replace(stack, settings=settings_of(rule, configuration)))
    )
    found = [
        finding
        for judgement in judgements
        for finding in findings(judgement, levels[judgement.rule.name], stack, waivers)
    ]
    waived = tuple(each for each in found if each.waiver and each.waiver.holds(stack.today))
    told = _idle(waivers, found, levels, stack)
    return Verdict(
        stack=stack,
        findings=(*(each for each in found if each not in waived), *told),
        waived=waived,
        judgements=judgements,
        disabled=tuple(name for name, level in levels.items() if level is Level.DISABLED),
    )


def _idle(
    waivers: Sequence[Waiver], found: Sequence[Finding], levels: Mapping[str, Level], stack: Stack
) -> Iterator[Finding]:
    """Tells of waivers that waive nothing here. Of one for a rule that was not asked nothing is known."""
    used = [each.waiver for each in found]
    for waiver in waivers:
        if (
            stack.stack in waiver.stacks
            and waiver not in used
            and levels.get(waiver.rule) not in (None, Level.DISABLED)
        ):
            yield Finding(
                rule=WAIVERS,
                level=Level.ADVISORY,
                resource=waiver.resource,
                message=f"{waiver.resource}: its waiver of {waiver.rule} on {stack.stack} waives nothing. Take it out"
                " of policies/waivers.yaml, so that it does not hide what comes next.",
            )
