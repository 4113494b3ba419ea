"""Nothing that holds data is deleted or replaced unseen."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from observability.program.resources import Resource
from policies.model import Elsewhere, NotApplicable, Stack, Unknown, rule
from policies.releases import FOLDER, Release, fates

ROOT: Final = Path(__file__).resolve().parents[2]
"""The folder of the program, which `policies` is in."""


@rule(
    "data-kept",
    about="What held data in the last release is still registered, under its name or an alias, and is not replaced",
    reason="Pulumi deletes what a program no longer registers, and what it replaces; the data goes with it.",
    remedy="Give the resource an alias of its former name or parent, or give the property its former value. If the"
    " data may go, say so by a waiver (docs/upgrading.md).",
    defaults={"releases": FOLDER},
    settings={"releases": "the folder of releases, seen from the program's"},
)
def data_kept(_: Resource, stack: Stack) -> Iterator[Elsewhere]:
    release = Release.last(ROOT / stack.settings["releases"], stack.stack)
    if release is None or release.project != stack.project:
        raise NotApplicable
    found = [each for each in fates(release, stack.resources) if not each.was.retained]
    for each in found:
        lost = each.was.lost
        if each.now is None:
            yield Elsewhere(
                each.was.resource, f"release {release.version} has it, and it is registered no longer; lost: {lost}"
            )
        elif each.changed:
            yield Elsewhere(each.now, f"{each.changed} in release {release.version}, which replaces it; lost: {lost}")
    for each in found:
        if each.open:
            raise Unknown(each.open)
