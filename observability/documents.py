"""YAML as people write it by hand: read strictly, each fault with its line, all faults of a file together."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from math import isfinite
from pathlib import Path
from typing import Final, TypeVar

import yaml

from observability.errors import ToolkitError

Result = TypeVar("Result")
Default = TypeVar("Default")
Node = yaml.Node

_DURATION: Final = re.compile(r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?")
_SECONDS: Final = (86_400, 3600, 60, 1)


class Wrong(Exception):
    """A fault at a place of a document; `Reader.take` notes it and reading goes on."""

    def __init__(self, node: Node, problem: str) -> None:
        super().__init__(problem)
        self.line = line_of(node)


@dataclass(frozen=True, slots=True)
class Document:
    """One document of a file; `node` is its root."""

    path: Path
    node: Node


def documents(path: Path) -> list[Document]:
    """The YAML documents in a file, unread.

    Raises:
        ToolkitError: there is no such file, or it is not YAML; with the line.
    """
    try:
        nodes = list(yaml.compose_all(path.read_text(encoding="utf-8"), Loader=yaml.SafeLoader))
    except OSError as error:
        raise ToolkitError(f"{path}: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f"line {mark.line + 1}: " if mark else ""
        raise ToolkitError(f"{path}: {where}not YAML: {getattr(error, 'problem', None) or error}") from error
    return [Document(path, node) for node in nodes if node is not None]


class Reader:
    """Reads one file and gathers what is wrong with it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._faults: list[tuple[int, str]] = []

    def take(self, parse: Callable[[Node], Result], node: Node | None, default: Default) -> Result | Default:
        """What `parse` makes of the node. `default` where there is none, or where it is at fault: that is noted."""
        if node is None:
            return default
        try:
            return parse(node)
        except Wrong as fault:
            self._faults.append((fault.line, str(fault)))
            return default

    def fault(self, node: Node, problem: str) -> None:
        self._faults.append((line_of(node), problem))

    def fields(self, node: Node, allowed: Collection[str], what: str) -> dict[str, Node]:
        """The fields of a mapping by name; those that are not allowed are noted and left out."""
        found: dict[str, Node] = {}
        for key, value in self.take(pairs, node, []):
            name = str(key.value)
            if name not in allowed:
                self.fault(key, f"{what}: {unknown('key', name, allowed)}")
            elif name in found:
                self.fault(key, f"{what}: {name} is there twice")
            else:
                found[name] = value
        return found

    def need(self, fields: Mapping[str, Node], name: str, node: Node, what: str) -> Node | None:
        """A field that has to be there; its absence is noted."""
        if name not in fields:
            self.fault(node, f"{what}: {name} is missing")
        return fields.get(name)

    def close(self) -> None:
        """Raises ToolkitError: something was at fault; every fault is told, by line."""
        if self._faults:
            listed = "\n".join(f"  line {line}: {problem}" for line, problem in sorted({*self._faults}))
            raise ToolkitError(f"{self.path}:\n{listed}")


def is_scalar(node: Node) -> bool:
    return isinstance(node, yaml.ScalarNode)


def is_mapping(node: Node) -> bool:
    return isinstance(node, yaml.MappingNode)


def line_of(node: Node) -> int:
    """The line on which it begins, from 1."""
    return int(node.start_mark.line) + 1


def pairs(node: Node) -> list[tuple[yaml.ScalarNode, Node]]:
    """The keys and values of a mapping.

    Raises:
        Wrong: it is no mapping, or a key is not text.
    """
    if not isinstance(node, yaml.MappingNode):
        raise Wrong(node, f"{_shown(node)}: a mapping is needed")
    for key, _ in node.value:
        if not isinstance(key, yaml.ScalarNode):
            raise Wrong(key, "a key is text")
    return list(node.value)


def items(node: Node) -> list[Node]:
    """Raises Wrong: it is no list."""
    if not isinstance(node, yaml.SequenceNode):
        raise Wrong(node, f"{_shown(node)}: a list is needed")
    return list(node.value)


def text(node: Node) -> str:
    """Raises Wrong: it is no text, or empty."""
    if not isinstance(node, yaml.ScalarNode) or not node.value.strip():
        raise Wrong(node, f"{_shown(node)}: a text is needed")
    return str(node.value).strip()


def number(node: Node) -> float:
    """Raises Wrong: it is no finite number."""
    try:
        if isinstance(node, yaml.ScalarNode) and isfinite(value := float(node.value)):
            return value
    except ValueError:
        pass
    raise Wrong(node, f"{_shown(node)}: a number is needed")


def whole(node: Node) -> int:
    """Raises Wrong: it is no whole number from 1."""
    value = number(node)
    if value < 1 or value != int(value):
        raise Wrong(node, f"{_shown(node)}: a whole number from 1 is needed")
    return int(value)


def yes(node: Node) -> bool:
    """Raises Wrong: it is anything but `true`. Such a field says something by being there."""
    if not isinstance(node, yaml.ScalarNode) or node.value != "true":
        raise Wrong(node, f"{_shown(node)}: it can only be true; leave it out otherwise")
    return True


def seconds_of(text: str) -> int | None:
    """Seconds of `1d`, `2h20m`, `90s`, `0m`; None for what is no duration."""
    found = _DURATION.fullmatch(text) if text else None
    return sum(int(count or 0) * size for count, size in zip(found.groups(), _SECONDS, strict=True)) if found else None


def duration(node: Node) -> int:
    """Seconds of `1d`, `2h20m`, `90s`, `0m`.

    Raises:
        Wrong: it is no duration.
    """
    seconds = seconds_of(node.value) if isinstance(node, yaml.ScalarNode) else None
    if seconds is None:
        raise Wrong(node, f"{_shown(node)}: a duration is needed, such as 90s, 30m, 2h20m or 1d")
    return seconds


def positive_duration(node: Node) -> int:
    """Raises Wrong: it is no duration, or none of any length."""
    if not (seconds := duration(node)):
        raise Wrong(node, f"{_shown(node)}: it has to last a second at least")
    return seconds


def moment(node: Node) -> int:
    """Epoch seconds of an ISO 8601 time; one without a zone is UTC.

    Raises:
        Wrong: it is no time.
    """
    try:
        found = datetime.fromisoformat(text(node))
    except ValueError:
        raise Wrong(node, f"{_shown(node)}: a time is needed, such as 2026-01-05T00:00Z") from None
    return int((found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp())


def one_of(choices: Collection[str]) -> Callable[[Node], str]:
    """A parser of one of these words."""

    def parse(node: Node) -> str:
        if (word := text(node)) not in choices:
            raise Wrong(node, unknown("word", word, choices))
        return word

    return parse


def unknown(kind: str, name: str, allowed: Collection[str]) -> str:
    """What to tell of a name that is not one of the allowed: the nearest, or all of them."""
    near = difflib.get_close_matches(name, allowed, n=1)
    hint = f"did you mean {near[0]}?" if near else f"allowed are {', '.join(allowed)}"
    return f"{kind} {name!r} is not known; {hint}"


def files(paths: Collection[Path], pattern: str = "*.yaml") -> Iterator[Path]:
    """The files among the paths, and those in the directories among them, at any depth, in order.

    Raises:
        ToolkitError: a path does not exist, or a directory has no such file.
    """
    for path in paths:
        if not path.exists():
            raise ToolkitError(f"{path}: no such file or directory")
        if path.is_dir() and not any(path.rglob(pattern)):
            raise ToolkitError(f"{path}: no {pattern} in this directory")
        yield from sorted(path.rglob(pattern)) if path.is_dir() else [path]


def _shown(node: Node) -> str:
    if isinstance(node, yaml.ScalarNode):
        return repr(node.value)
    return "a list" if isinstance(node, yaml.SequenceNode) else "a mapping"
