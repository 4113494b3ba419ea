"""Two values, as JSON has them, compared path by path."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

IDENTITIES: Final = ("id", "Id", "sid", "Sid", "name", "Name", "attributeName", "key", "Key", "targetId", "title")
"""Properties that tell the entries of a list apart, in whatever order they stand."""

UNKNOWN: Final = "(known after deployment)"
PULUMI_UNKNOWN: Final = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
"""What stands in a resource's inputs for what its provider has yet to say (pulumi SDK, `rpc.UNKNOWN`)."""


@dataclass(frozen=True, slots=True)
class Absent:
    """Stands where there is no value; None is one."""


ABSENT: Final = Absent()


@dataclass(frozen=True, slots=True)
class Edit:
    """A value at a path (`redrivePolicy.maxReceiveCount`) that is not what it was."""

    path: str
    before: Any
    after: Any

    @property
    def top(self) -> str:
        """The property that the path is in."""
        return self.path.split(".", 1)[0].split("[", 1)[0]


def edits(before: Any, after: Any, path: str = "") -> Iterator[Edit]:
    """What is different, in the order of the paths. Text that holds JSON is compared as JSON."""
    before, after = _read(before, after)
    match before, after:
        case _ if _canonical(before) == _canonical(after):
            return
        case Mapping(), Mapping() if not _is_content(before, after):
            for key in sorted({*before, *after}):
                at = f"{path}.{key}" if path else str(key)
                yield from edits(before.get(key, ABSENT), after.get(key, ABSENT), at)
        case list(), list():
            yield from _of_lists(before, after, path)
        case _ if before == after and {type(before), type(after)} <= {int, float}:
            return
        case _:
            yield Edit(path, before, after)


def words(value: Any) -> str:
    """A value as it is told of."""
    match value:
        case Absent():
            return "(none)"
        case str() if value == PULUMI_UNKNOWN:
            return UNKNOWN
        case str():
            return value
        case {"archive": str(path), "sha256": str(digest)}:
            return f"{path} ({digest[:8]})" if digest else path
        case {"archive": _, "sha256": str(digest)}:
            return f"archive ({digest[:8]})"
        case _:
            return json.dumps(value, ensure_ascii=False, sort_keys=True, default=str).replace(PULUMI_UNKNOWN, UNKNOWN)


def is_code(value: Any) -> bool:
    """Whether a value is an archive or an asset, by path and digest."""
    return isinstance(value, Mapping) and value.keys() == {"archive", "sha256"}


def _is_content(before: Mapping[str, Any], after: Mapping[str, Any]) -> bool:
    return is_code(before) and is_code(after)


def _read(before: Any, after: Any) -> tuple[Any, Any]:
    """Both as JSON, where both are text that holds some."""
    if isinstance(before, str) and isinstance(after, str) and before[:1] + after[:1] in {"{{", "[["}:
        try:
            return json.loads(before), json.loads(after)
        except ValueError:
            pass
    return before, after


def _of_lists(before: list[Any], after: list[Any], path: str) -> Iterator[Edit]:
    if key := _identity(before, after):
        ours, theirs = ({str(each[key]): each for each in entries} for entries in (before, after))
        found = [
            edit
            for name in dict.fromkeys([*ours, *theirs])
            for edit in edits(ours.get(name, ABSENT), theirs.get(name, ABSENT), f"{path}[{name}]")
        ]
        yield from found or [Edit(path, list(ours), list(theirs))]
        return
    gone, come = _without(before, after), _without(after, before)
    if not gone and not come:
        yield Edit(path, before, after)
    elif len(gone) == len(come) and all(isinstance(each, Mapping) for each in (*gone, *come)):
        for one, other in zip(gone, come, strict=True):
            yield from edits(one, other, f"{path}[{before.index(one)}]")
    else:
        yield from (Edit(f"{path}[]", each, ABSENT) for each in gone)
        yield from (Edit(f"{path}[]", ABSENT, each) for each in come)


def _identity(before: Sequence[Any], after: Sequence[Any]) -> str:
    """The property by which the entries of both lists can be told apart; "" if there is none."""
    if not before or not after or not all(isinstance(each, Mapping) for each in (*before, *after)):
        return ""
    for key in IDENTITIES:
        if all(_unique([each.get(key) for each in entries]) for entries in (before, after)):
            return key
    return ""


def _unique(values: Sequence[Any]) -> bool:
    return all(isinstance(value, str | int) for value in values) and len({*values}) == len(values)


def _without(values: Sequence[Any], others: Sequence[Any]) -> list[Any]:
    """The values that the others lack, each as often as it is missing there."""
    left = Counter(_canonical(each) for each in others)
    found = []
    for value in values:
        if left[_canonical(value)]:
            left[_canonical(value)] -= 1
        else:
            found.append(value)
    return found


def _canonical(value: Any) -> str:
    return json.dumps(value, sort_keys=True, default=str)
