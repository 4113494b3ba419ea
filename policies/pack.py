"""The rules as a policy pack of Pulumi's: `pulumi preview --policy-pack policies` runs them in the engine.

A rule that looks at a single resource is asked before that is registered, the others once all are known. What is not
known yet is a note of the engine's, never a failure. The stack's own configuration is the pack's initial one, so that
no flag is needed; `--policy-pack-config` goes over it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any, Final

import pulumi
from pulumi_policy import (
    EnforcementLevel,
    Policy,
    PolicyConfigSchema,
    PolicyPack,
    PolicyProviderResource,
    PolicyResource,
    ReportViolation,
    ResourceValidationArgs,
    ResourceValidationPolicy,
    StackValidationArgs,
    StackValidationPolicy,
)
from pulumi_policy.proxy import UNKNOWN_OBJECT_VALUE, UnknownValueError

from observability.program.resources import Resource
from policies.configuration import ALL, LEVEL, Configuration, Configured, json_type, level_of, read_configuration
from policies.engine import Judgement, findings, judge, label
from policies.model import UNKNOWN, Level, Outcome, Rule, Stack
from policies.rules import RULES
from policies.waivers import Waiver, read_waivers

NAME: Final = "mailroom"
STACK: Final = "PULUMI_STACK"
"""Where the engine says which stack it works on."""


class NotYet(UnknownValueError):
    """Tells the engine which property is not known; it makes an advisory note of it, whatever the rule's level."""

    def __init__(self, judgements: Sequence[Judgement]) -> None:
        first = judgements[0]
        super().__init__(UNKNOWN_OBJECT_VALUE, [label(first.resource), first.unknown])
        others = f", and of {len(judgements) - 1} more resources likewise" if len(judgements) > 1 else ""
        self.message = f"{first.unknown} of {label(first.resource)} is not known yet{others}"


def run() -> None:
    """Serve the pack to the engine that started this process, until that ends it. Raises ToolkitError."""
    today = datetime.now(UTC).date()
    configuration = read_configuration(os.environ.get(STACK, ""), RULES)
    PolicyPack(
        name=NAME,
        policies=policies(RULES, read_waivers(RULES, today), today),
        enforcement_level=EnforcementLevel.MANDATORY,
        initial_config=initial(RULES, configuration),
    )


def policies(rules: Iterable[Rule], waivers: Sequence[Waiver], today: date) -> list[Policy]:
    """The rules as the engine asks them."""
    return [
        (StackValidationPolicy if rule.related else ResourceValidationPolicy)(
            name=rule.name,
            description=rule.about,
            enforcement_level=EnforcementLevel(rule.level),
            config_schema=_schema(rule),
            remediation_steps=rule.remedy,
            validate=(_of_stack if rule.related else _of_resource)(rule, waivers, today),
        )
        for rule in rules
    ]


def initial(rules: Iterable[Rule], configuration: Configuration) -> dict[str, EnforcementLevel | dict[str, Any]]:
    """A stack's configuration as the engine takes it: of each rule that it says something of, its level and settings.

    The level is always said: on the wire none is the first of them, advisory.
    """
    return {
        rule.name: {
            LEVEL: EnforcementLevel(level_of(rule, configuration)),
            **configuration.get(rule.name, Configured()).settings,
        }
        for rule in rules
        if rule.name in configuration or ALL in configuration
    }


def _schema(rule: Rule) -> PolicyConfigSchema | None:
    properties = {
        name: {"type": json_type(each), "description": rule.settings.get(name, name), "default": _plain(each)}
        for name, each in rule.defaults.items()
    }
    return PolicyConfigSchema(properties) if properties else None


# One resource

Validation = Callable[[Any, ReportViolation], None]


def _of_resource(rule: Rule, waivers: Sequence[Waiver], today: date) -> Validation:
    def validate(args: ResourceValidationArgs, report: ReportViolation) -> None:
        stack = _stack(rule, [registered(args)], args.get_config(), today)
        judged = list(judge(rule, stack))
        _told(judged, stack, waivers, report)
        if all(each.outcome is Outcome.NOT_APPLICABLE for each in judged):
            args.not_applicable(f"it is about {', '.join(rule.types)}")

    return validate


def registered(args: ResourceValidationArgs) -> Resource:
    """A resource that is about to be registered: of its properties only the inputs are there."""
    return Resource(
        type=args.resource_type,
        name=args.name,
        urn=args.urn,
        inputs=_plain(args.props),
        provider=_reference(args.provider),
        parent=args.opts.parent or "",
        aliases=tuple(args.opts.aliases),
        ignore_changes=tuple(args.opts.ignore_changes),
        protect=args.opts.protect,
    )


# A stack


def _of_stack(rule: Rule, waivers: Sequence[Waiver], today: date) -> Validation:
    def validate(args: StackValidationArgs, report: ReportViolation) -> None:
        stack = _stack(rule, [*deployed(args.resources)], args.get_config(), today)
        _told(list(judge(rule, stack)), stack, waivers, report)

    return validate


def deployed(resources: Sequence[PolicyResource]) -> Iterator[Resource]:
    """The resources of a stack and the providers that make them; the engine hands over outputs, the inputs among
    them."""
    seen = {each.urn for each in resources}
    for provider in {each.provider.urn: each.provider for each in resources if each.provider}.values():
        if provider.urn not in seen:
            yield Resource(
                type=provider.resource_type, name=provider.name, urn=provider.urn, inputs=_plain(provider.props)
            )
    for each in resources:
        properties = _plain(each.props)
        yield Resource(
            type=each.resource_type,
            name=each.name,
            urn=each.urn,
            inputs=properties,
            outputs=properties,
            id=id_ if isinstance(id_ := properties.get("id"), str) else "",
            provider=_reference(each.provider),
            parent=each.parent.urn if each.parent else each.opts.parent or "",
            dependencies=tuple(sorted(other.urn for other in each.dependencies)),
            aliases=tuple(each.opts.aliases),
            ignore_changes=tuple(each.opts.ignore_changes),
            protect=each.opts.protect,
        )


# Both


def _stack(rule: Rule, resources: Sequence[Resource], settings: Mapping[str, Any], today: date) -> Stack:
    """What a rule is asked about; a URN names stack and project."""
    stack, project = resources[0].urn.removeprefix("urn:pulumi:").split("::")[:2] if resources else ("", "")
    return Stack(project, stack, tuple(resources), {**rule.defaults, **_plain(settings)}, today)


def _told(judged: Sequence[Judgement], stack: Stack, waivers: Sequence[Waiver], report: ReportViolation) -> None:
    """Raises NotYet, once what is known is reported."""
    for judgement in judged:
        # The level is the engine's to say: it knows the configuration.
        for finding in findings(judgement, Level.MANDATORY, stack, waivers):
            if not (finding.waiver and finding.waiver.holds(stack.today)):
                report(finding.message, finding.urn or None)
    if hidden := [each for each in judged if each.unknown]:
        raise NotYet(hidden)


def _reference(provider: PolicyProviderResource | None) -> str:
    """The engine keeps a provider's id to itself; a recording has it behind the URN."""
    return f"{provider.urn}::unknown" if provider else ""


def _plain(value: Any) -> Any:
    """A property as a recording has it: UNKNOWN where the SDK's stand-in would raise, whole numbers whole again."""
    match value:
        case pulumi.Asset() | pulumi.Archive():
            return {"archive": str(getattr(value, "path", "")), "sha256": ""}
        case str():
            return value
        case float() if value.is_integer():
            return int(value)
        case Mapping():
            return {key: _looked_up(value, key) for key in value}
        case Sequence():
            return [_looked_up(value, at) for at in range(len(value))]
    return value


def _looked_up(holder: Any, key: Any) -> Any:
    try:
        return _plain(holder[key])
    except UnknownValueError:
        return UNKNOWN
