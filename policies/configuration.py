"""How much each rule weighs on a stack, and its settings: `policies/config/<stack>.json`.

The file is in the form that `pulumi preview --policy-pack-config` takes: by the rule's name a level, or an object with
the rule's settings and `enforcementLevel`; `all` stands for every rule.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final

from observability.errors import ToolkitError
from policies.model import Level, Rule

FOLDER: Final = Path(__file__).parent / "config"
LEVEL: Final = "enforcementLevel"
ALL: Final = "all"


@dataclass(frozen=True)
class Configured:
    """What a stack's configuration says of a rule.

    Attributes:
        level: None where it leaves the rule's own.
    """

    level: Level | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)


Configuration = Mapping[str, Configured]
"""By the name of the rule, or ALL."""


def level_of(rule: Rule, configuration: Configuration) -> Level:
    """How much a rule weighs on a stack."""
    named = [configuration[name].level for name in (rule.name, ALL) if name in configuration]
    return next((each for each in named if each), rule.level)


def settings_of(rule: Rule, configuration: Configuration) -> Mapping[str, Any]:
    """A rule's settings on a stack: its defaults, and what is configured over them."""
    return {**rule.defaults, **configuration.get(rule.name, Configured()).settings}


def configured_stacks(folder: Path = FOLDER) -> tuple[str, ...]:
    """The stacks that have a configuration, which are those that are judged unless others are named."""
    return tuple(sorted(each.stem for each in folder.glob("*.json")))


def read_configuration(stack: str, rules: Iterable[Rule], folder: Path = FOLDER) -> Configuration:
    """A stack's configuration; empty for a stack without a file.

    Raises:
        ToolkitError: the file is not one, or names a rule, level or setting that there is not.
    """
    path = folder / f"{stack}.json"
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise ToolkitError(f"{path}: it cannot be read as JSON: {error}") from error
    return configuration(content, rules, str(path))


def configuration(content: Any, rules: Iterable[Rule], where: str) -> Configuration:
    """`content` as parsed from a file named `where`. Raises ToolkitError, as `read_configuration`."""
    known = {each.name: each for each in rules}
    if not isinstance(content, dict):
        raise ToolkitError(f"{where}: expected an object with names of rules, found {type(content).__name__}")
    return {name: _configured(name, each, known, where) for name, each in content.items()}


def _configured(name: str, given: Any, known: Mapping[str, Rule], where: str) -> Configured:
    if name != ALL and name not in known:
        raise ToolkitError(f"{where}: there is no rule {name!r}{nearest(name, known)}", HOW_TO_LIST)
    if isinstance(given, str):
        given = {LEVEL: given}
    if not isinstance(given, dict):
        raise ToolkitError(f"{where}: {name} has to be a level or an object of settings, not {given!r}")
    settings = {key: each for key, each in given.items() if key != LEVEL}
    defaults = known[name].defaults if name in known else {}
    for fault in _faults(settings, defaults):
        raise ToolkitError(f"{where}: {name}: {fault}")
    return Configured(_level(given.get(LEVEL), f"{where}: {name}"), settings)


def _faults(settings: Mapping[str, Any], defaults: Mapping[str, Any]) -> Iterator[str]:
    for key, given in settings.items():
        if key not in defaults:
            yield f"it has no setting {key!r}{nearest(key, defaults)}"
        elif json_type(given) != json_type(defaults[key]):
            yield f"{key} has to be of type {json_type(defaults[key])}, not {given!r}"


def _level(given: Any, where: str) -> Level | None:
    if given is not None and given not in list(Level):
        raise ToolkitError(f"{where}: {given!r} is no level; there are {', '.join(Level)}")
    return Level(given) if given else None


HOW_TO_LIST: Final = "`python -m policies list` lists the rules."


def nearest(name: str, known: Iterable[str]) -> str:
    """What may be meant, to put behind a message; "" where nothing is near."""
    close = get_close_matches(name, list(known), 1)
    return f"; is {close[0]!r} meant?" if close else ""


def json_type(value: Any) -> str:
    """JSON schema's name of a value's type. Raises TypeError: it is none of JSON's."""
    match value:
        case bool():
            return "boolean"
        case int() | float():
            return "number"
        case str():
            return "string"
        case Mapping():
            return "object"
        case Sequence():
            return "array"
    raise TypeError(f"{value!r} cannot be a setting: JSON has no such type")
