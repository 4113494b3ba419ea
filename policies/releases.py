"""What each release has in an account that holds data, so that no later program loses it unseen.

`releases/VERSION/STACK.json` is written when a release is cut (`policies.release`), and never changed after it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from observability.errors import ToolkitError
from observability.program.resources import Recording, Resource
from observability.review.replacement import replacing
from observability.review.resources import lost_with, matched
from policies.model import UNKNOWN, leaves

FOLDER: Final = "releases"
VERSION: Final = re.compile(r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)")
"""A release: MAJOR.MINOR.PATCH of Semantic Versioning 2.0.0. What is tried out before it is no release."""

OPEN: Final = None
"""Stands for a value that a release does not hold a later program to: one that names another resource, which is in
the release itself if it holds data, or one in a domain that nobody can own, which its owner has yet to set."""

NOBODYS: Final = (".example", ".invalid", ".test")
"""Ends of domain names that are reserved, so that nothing was ever deployed with them (RFC 2606)."""

DEFAULTS: Final[Mapping[str, str]] = {
    "customerMasterKeySpec": "SYMMETRIC_DEFAULT",
    "keyUsage": "ENCRYPT_DECRYPT",
    "logGroupClass": "STANDARD",
}
"""What AWS takes a property for that is not given (API references of KMS, CreateKey, and CloudWatch Logs,
CreateLogGroup): to say so is no change."""

AUTONAMED: Final = re.compile(r"-[0-9a-f]{7}(\.fifo)?")
"""What Pulumi adds to the logical name of a resource that is given no physical one; a preview has it, a recording does
not. https://www.pulumi.com/docs/iac/concepts/resources/names/#autonaming"""


@dataclass(frozen=True, kw_only=True)
class Kept:
    """A resource that holds data.

    Attributes:
        fixed: the properties that cannot be changed where it is, as far as they were given, the physical name and the
            region among them; OPEN for one that may become another.
        lost: what is lost with it, in words.
        retained: whether its data outlives it, as Pulumi only forgets it (`retainOnDelete`).
    """

    type: str
    name: str
    urn: str
    lost: str
    fixed: Mapping[str, Any] = field(default_factory=dict)
    aliases: tuple[str, ...] = ()
    protect: bool = False
    retained: bool = False

    @classmethod
    def of(cls, resource: Resource) -> Kept:
        """A resource as it is registered."""
        return cls(
            type=resource.type,
            name=resource.name,
            urn=resource.urn,
            lost=lost_with(resource),
            fixed={name: _settled(value) for name, value in fixed(resource).items()},
            aliases=tuple(sorted(resource.aliases)),
            protect=resource.protect,
            retained=resource.retain_on_delete,
        )

    @property
    def resource(self) -> Resource:
        """As far as it is known."""
        return Resource(type=self.type, name=self.name, urn=self.urn, inputs=dict(self.fixed), aliases=self.aliases)


def _settled(value: Any) -> Any:
    names_another = isinstance(value, str) and value.startswith(("arn:", "https://sqs."))
    stands_in = isinstance(value, str) and value.endswith(NOBODYS)
    return OPEN if names_another or stands_in else value


@dataclass(frozen=True, kw_only=True)
class Release:
    """What a stack of a release has that holds data, by URN.

    Attributes:
        parents: URNs of what these resources are in, so that a component may get another name, too.
    """

    version: str
    project: str
    stack: str
    parents: tuple[str, ...]
    kept: tuple[Kept, ...]

    @classmethod
    def of(cls, recording: Recording, version: str) -> Release:
        """What a recorded program has that holds data."""
        held = [each for each in recording.resources if each.custom and not each.external and lost_with(each)]
        return cls(
            version=version,
            project=recording.project,
            stack=recording.stack,
            parents=tuple(sorted(_ancestors(recording.resources, held))),
            kept=tuple(Kept.of(each) for each in sorted(held, key=lambda each: each.urn)),
        )

    @classmethod
    def read(cls, file: Path) -> Release:
        """Raises ToolkitError: the file is not as `write` makes it."""
        try:
            document = json.loads(file.read_text(encoding="utf-8"))
            kept = tuple(Kept(**{**each, "aliases": tuple(each.get("aliases", ()))}) for each in document["kept"])
            return cls(**{**document, "kept": kept, "parents": tuple(document["parents"])})
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise ToolkitError(
                f"{file}: not what a release has of a stack ({type(error).__name__}: {error})",
                "A release is never changed after it was cut: take the file from its tag.",
            ) from error

    @classmethod
    def last(cls, folder: Path, stack: str) -> Release | None:
        """The newest release that has a stack; None where none has. Raises ToolkitError, as `read`."""
        files = [folder / version / f"{stack}.json" for version in reversed(versions(folder))]
        return next((cls.read(each) for each in files if each.is_file()), None)

    def write(self, folder: Path) -> Path:
        """Puts it where `last` finds it, as JSON with sorted keys and without what is empty or false; the file."""
        kept = [{name: value for name, value in asdict(each).items() if value} for each in self.kept]
        file = folder / self.version / f"{self.stack}.json"
        file.parent.mkdir(parents=True, exist_ok=True)
        text = json.dumps({**asdict(self), "kept": kept}, indent=2, sort_keys=True, ensure_ascii=False)
        file.write_text(text + "\n", encoding="utf-8")
        return file


def versions(folder: Path) -> tuple[str, ...]:
    """The releases that a folder has, oldest first."""
    return tuple(sorted((each.name for each in folder.glob("*") if VERSION.fullmatch(each.name)), key=order))


def order(version: str) -> tuple[int, ...]:
    """What versions are sorted by. Raises ToolkitError: it is none."""
    if not VERSION.fullmatch(version):
        remedy = 'Name the release as "1.4.0": https://semver.org.'
        raise ToolkitError(f"version {version!r} is not MAJOR.MINOR.PATCH", remedy)
    return tuple(int(part) for part in version.split("."))


def _ancestors(resources: Sequence[Resource], held: Sequence[Resource]) -> set[str]:
    above = {each.urn: each.parent for each in resources}
    found = {each.parent for each in held}
    while further := {above.get(urn, "") for urn in found} - found:
        found |= further
    return found - {""}


# What becomes of them


@dataclass(frozen=True, kw_only=True)
class Change:
    """A value that cannot be changed in place, and is not what it was; None where there is none."""

    name: str
    before: Any
    after: Any

    def __str__(self) -> str:
        """In words, such as `hashKey is 'id' and was 'orderId'`."""
        before, after = ("not set" if each is None else repr(each) for each in (self.before, self.after))
        return f"{self.name} is {after} and was {before}"


@dataclass(frozen=True, kw_only=True)
class Fate:
    """What becomes of a resource that holds data: it is gone (`now` is None), or is `now`.

    Attributes:
        unknown: properties that would force another resource, and whose values are yet to be known.
    """

    was: Kept
    now: Resource | None = None
    changes: tuple[Change, ...] = ()
    unknown: tuple[str, ...] = ()

    @property
    def changed(self) -> str:
        """What is not as it was, in words; "" where nothing is."""
        return ", ".join(str(each) for each in self.changes)

    @property
    def open(self) -> str:
        """What has to be known to be sure, such as `hashKey of mailroom-control`; "" where everything is."""
        return f"{', '.join(self.unknown)} of {self.was.name}" if self.unknown else ""


def fates(release: Release, resources: Sequence[Resource]) -> tuple[Fate, ...]:
    """What becomes of each resource of a release in a later program: paired by URN, or by an alias of its own or of a
    component that it is in."""
    parents = [Resource(type="", name="", urn=urn) for urn in release.parents]
    pairs, _, _ = matched([*parents, *(each.resource for each in release.kept)], resources)
    now = {was.urn: later for was, later in pairs}
    return tuple(_fate(each, now.get(each.urn)) for each in release.kept)


def fixed(resource: Resource) -> dict[str, Any]:
    """The values of a resource that cannot be changed where it is, as far as it has any. The region may be its
    provider's."""
    given = {"region": resource.outputs.get("region"), **resource.inputs}
    return {name: given[name] for name in sorted(replacing(resource.type)) if given.get(name)}


def _fate(was: Kept, now: Resource | None) -> Fate:
    if now is None:
        return Fate(was=was)
    after = fixed(now)
    # Pulumi goes on with the old value of what it is told to ignore; and not every preview says the region.
    passed_over = {*now.ignore_changes, *({"region"} - after.keys())}
    passed_over |= {name for name, value in was.fixed.items() if value is OPEN}
    names = sorted({*was.fixed, *after} - passed_over)
    unknown = tuple(name for name in names if UNKNOWN in leaves(after.get(name)))
    return Fate(
        was=was,
        now=now,
        changes=tuple(_changes(was, now, after, [name for name in names if name not in unknown])),
        unknown=unknown,
    )


def _changes(was: Kept, now: Resource, after: Mapping[str, Any], names: Sequence[str]) -> Iterator[Change]:
    if now.type != was.type:
        yield Change(name="type", before=was.type, after=now.type)
    for name in names:
        one, other = was.fixed.get(name), after.get(name)
        if _given(now, name, one) != _given(now, name, other):
            yield Change(name=name, before=one, after=other)


def _given(resource: Resource, name: str, value: Any) -> Any:
    """A value, or None where it is what engine, provider and AWS take if there is none."""
    autonamed = AUTONAMED.fullmatch(str(value).removeprefix(resource.name))
    return None if autonamed or value == DEFAULTS.get(name) else value
