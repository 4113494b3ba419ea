"""What a rule is, what it is asked about, and how it is answered.

A rule is data with a pure function in it. The function sees resources as `observability.program` records them, whether
a recording or the engine hands them over; what a preview does not know yet is UNKNOWN in either.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from enum import Enum, StrEnum
from functools import cached_property
from typing import Any, Final

from observability.program.resources import Resource

STACK_TYPE: Final = "pulumi:pulumi:Stack"


class Level(StrEnum):
    """How much a finding weighs, in the words of Pulumi's policy packs."""

    ADVISORY = "advisory"
    MANDATORY = "mandatory"
    DISABLED = "disabled"


class Outcome(StrEnum):
    """What a rule says of one resource."""

    VIOLATED = "violated"
    SATISFIED = "satisfied"
    UNKNOWN = "unknown"
    NOT_APPLICABLE = "not applicable"


class _Sentinel(Enum):
    UNKNOWN = "a value that is known only once it is deployed"


UNKNOWN: Final = _Sentinel.UNKNOWN
"""Stands in a resource's properties for what a preview cannot know."""


class Unknown(Exception):
    """A rule had to look at a value that is not known yet: its outcome is unknown."""

    def __init__(self, path: str) -> None:
        super().__init__(f"{path} is not known yet")
        self.path = path


class NotApplicable(Exception):
    """A rule has nothing to say of this resource, although it is of its types."""


@dataclass(frozen=True)
class Elsewhere:
    """A violation of another resource than the one that is judged, such as one that is no longer there."""

    resource: Resource
    wrong: str


@dataclass(frozen=True)
class Stack:
    """One stack of a program, and what a rule may know beside it.

    Attributes:
        settings: of the rule that is asked: its defaults with the stack's configuration over them.
        today: the day on which it is judged.
    """

    project: str
    stack: str
    resources: tuple[Resource, ...]
    settings: Mapping[str, Any] = field(default_factory=dict)
    today: date = date.min

    @cached_property
    def root(self) -> Resource:
        """Stands for the stack as a whole."""
        urn = f"urn:pulumi:{self.stack}::{self.project}::{STACK_TYPE}::{self.project}-{self.stack}"
        return Resource(type=STACK_TYPE, name=f"{self.project}-{self.stack}", urn=urn, custom=False)

    def of(self, *types: str) -> tuple[Resource, ...]:
        """The resources of these types: tokens such as `aws:sqs/queue:Queue`, or packages such as `aws:`.

        What is only looked up (`Queue.get`) is left out: it is somebody else's.
        """
        packages = tuple(each for each in types if each.endswith(":"))
        return tuple(
            each
            for each in self.resources
            if not each.external and (each.type in types or each.type.startswith(packages))
        )

    def provider(self, resource: Resource) -> Resource | None:
        """The explicit provider that makes a resource; None where it is the default one."""
        urn = resource.provider.rpartition("::")[0]
        return next((each for each in self.resources if each.urn == urn), None)


Check = Callable[[Resource, Stack], Iterable[str | Elsewhere]]


@dataclass(frozen=True)
class Rule:
    """What has to hold for resources of some types, or for a stack.

    Attributes:
        name: in kebab-case, and the policy's name for the engine.
        about: one line that says what has to hold.
        reason, remedy: a sentence or more each, with a capital letter and a full stop.
        check: gives what is wrong with one resource, in words that name the property and its value ("sqsManagedSse-
            Enabled is false"), without a full stop; nothing where the rule is satisfied. May raise Unknown (`value`
            does) and NotApplicable.
        types: tokens that it applies to, or packages (`Stack.of`); none: it is asked once, with the stack's `root`.
        related: whether the check looks at other resources than the one it is given, or at outputs.
        defaults: settings that the stack's configuration may change, by name.
        settings: says of each setting what it is, in a line.
    """

    name: str
    about: str
    reason: str
    remedy: str
    check: Check
    types: tuple[str, ...] = ()
    level: Level = Level.MANDATORY
    related: bool = False
    defaults: Mapping[str, Any] = field(default_factory=dict)
    settings: Mapping[str, str] = field(default_factory=dict)

    @property
    def whole(self) -> bool:
        """Whether it is asked of the stack and not of each resource."""
        return not self.types


def rule(
    name: str,
    *types: str,
    about: str,
    reason: str,
    remedy: str,
    level: Level = Level.MANDATORY,
    related: bool = False,
    defaults: Mapping[str, Any] | None = None,
    settings: Mapping[str, str] | None = None,
) -> Callable[[Check], Rule]:
    """Makes a Rule of the function below it; see there."""

    def made(check: Check) -> Rule:
        return Rule(
            name=name,
            about=about,
            reason=reason,
            remedy=remedy,
            check=check,
            types=types,
            level=level,
            related=related or not types,
            defaults=defaults or {},
            settings=settings or {},
        )

    return made


# Reading properties

_PART: Final = re.compile(r"[^.\[\]]+")


def value(resource: Resource, path: str) -> Any:
    """A property, such as `redrivePolicy` or `statements[0].effect`; of the inputs, or else of the outputs.

    Returns:
        None where it is absent, or something on the way to it is.

    Raises:
        Unknown: it, what it is in or something in it is not known yet.
    """
    for properties in (resource.inputs, resource.outputs):
        found = _at(properties, path, path)
        if found is not None:
            return found
    return None


def document(resource: Resource, path: str) -> dict[str, Any] | None:
    """A property that holds a JSON object, as text or as it is; None where it is absent or something else.

    Raises:
        Unknown: as `value`.
    """
    found = value(resource, path)
    try:
        parsed = json.loads(found) if isinstance(found, str) else found
    except ValueError:
        return None
    return parsed if isinstance(parsed, dict) else None


def _at(found: Any, path: str, whole: str) -> Any:
    for part in _PART.findall(path):
        if found is UNKNOWN:
            raise Unknown(whole)
        if isinstance(found, Mapping):
            found = found.get(part)
        elif isinstance(found, Sequence) and not isinstance(found, str) and part.isdecimal() and int(part) < len(found):
            found = found[int(part)]
        else:
            return None
    if any(each is UNKNOWN for each in leaves(found)):
        raise Unknown(whole)
    return found


def leaves(found: Any) -> Iterator[Any]:
    """The values in objects and lists, however deep."""
    if isinstance(found, Mapping):
        for each in found.values():
            yield from leaves(each)
    elif isinstance(found, Sequence) and not isinstance(found, str):
        for each in found:
            yield from leaves(each)
    else:
        yield found
