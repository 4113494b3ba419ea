"""Exceptions from the rules: who answers for each, why, and until when. They are in `policies/waivers.yaml`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from datetime import date
from pathlib import Path
from typing import Any, Final

import yaml

from observability.errors import ToolkitError
from policies.configuration import HOW_TO_LIST, nearest
from policies.model import Rule

FILE: Final = Path(__file__).parent / "waivers.yaml"

LONGEST: Final = 366
"""Days that a waiver may last from today: a rule that is waived for ever is a rule to change."""


@dataclass(frozen=True, kw_only=True)
class Waiver:
    """One exception.

    Attributes:
        resource: kind and logical name, such as `Queue mailroom-brake-dlq`.
        stacks: names of the stacks that it is for.
        owner: who answers for it.
        expires: the last day on which it holds.
    """

    rule: str
    resource: str
    stacks: tuple[str, ...]
    owner: str
    reason: str
    expires: date

    def holds(self, today: date) -> bool:
        return today <= self.expires

    def covers(self, rule: str, resource: str, stack: str) -> bool:
        """Whether it is about this finding, whatever the day."""
        return (self.rule, self.resource) == (rule, resource) and stack in self.stacks


def read_waivers(rules: Iterable[Rule], today: date, path: Path = FILE) -> tuple[Waiver, ...]:
    """The waivers in a file; none where there is no file.

    Raises:
        ToolkitError: the file is not one, with the line and the field.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return ()
    return waivers(text, rules, today, str(path))


def waivers(text: str, rules: Iterable[Rule], today: date, where: str) -> tuple[Waiver, ...]:
    """`text` as the file named `where` has it. Raises ToolkitError, as `read_waivers`."""
    known = [each.name for each in rules]
    try:
        tree, content = yaml.compose(text, yaml.SafeLoader), yaml.safe_load(text)
    except (yaml.YAMLError, ValueError) as error:
        raise ToolkitError(f"{where}: it cannot be read as YAML: {error}") from error
    if tree is None:
        return ()
    if not isinstance(tree, yaml.SequenceNode):
        raise ToolkitError(f"{where}: expected a list of waivers, found {type(content).__name__}")
    return tuple(
        _waiver(each, known, today, f"{where}, line {node.start_mark.line + 1}")
        for node, each in zip(tree.value, content, strict=True)
    )


def _waiver(given: Any, known: Iterable[str], today: date, where: str) -> Waiver:
    if not isinstance(given, dict):
        raise ToolkitError(f"{where}: expected a waiver with {', '.join(_FIELDS)}, found {given!r}")
    for fault in _faults(given, known, today):
        raise ToolkitError(f"{where}: {fault}", HOW_TO_LIST if fault.startswith("rule") else "")
    return Waiver(**{**given, "stacks": tuple(given["stacks"])})


_FIELDS: Final = tuple(each.name for each in fields(Waiver))
_TEXTS: Final = ("rule", "resource", "owner", "reason")


def _faults(given: Mapping[str, Any], known: Iterable[str], today: date) -> Iterator[str]:
    for name in [each for each in _FIELDS if each not in given]:
        yield f"{name} is missing; a waiver has {', '.join(_FIELDS)}"
    for name in [each for each in given if each not in _FIELDS]:
        yield f"a waiver has no field {name!r}{nearest(str(name), _FIELDS)}"
    for name in _TEXTS:
        if not isinstance(given[name], str) or not given[name].strip():
            yield f"{name} has to be a text, not {given[name]!r}"
    if given["rule"] not in known:
        yield f"rule {given['rule']!r} is none of the rules{nearest(given['rule'], known)}"
    stacks, expires = given["stacks"], given["expires"]
    if not isinstance(stacks, list) or not stacks or not all(isinstance(each, str) for each in stacks):
        yield f"stacks has to be a list of names of stacks, not {stacks!r}"
    # A moment (`datetime`) is a date to Python, and compares with none.
    if type(expires) is not date:
        yield f"expires has to be a day such as {today.isoformat()}, not {expires!r}"
    elif (expires - today).days > LONGEST:
        yield f"expires is {expires.isoformat()}, more than {LONGEST} days ahead; whoever needs it then, looks again"
