"""The generated parts of docs/architecture.md: pictures and a table from the recorded program, put between markers.

A part begins with `<!-- generated: NAME -->` and ends with `<!-- end of NAME -->`. NAME is `components`, `holdings` or
that of a resource: the flow that it is in.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from local.config import ROOT
from observability.diagrams.page import components, holdings, pictures
from observability.program import Recording

PAGE: Final = ROOT / "docs" / "architecture.md"

_PART: Final = re.compile(r"(<!-- generated: (?P<name>\S+) -->\n).*?(<!-- end of (?P=name) -->)", re.DOTALL)


def architecture_page(recording: Recording) -> str:
    """The page as it is written, with its generated parts anew.

    Raises:
        ValueError: a flow of the program has no place in the page, or a place has no flow, or several.
    """
    drawn = pictures(recording)
    written = PAGE.read_text(encoding="utf-8")
    fixed = {"components": components(recording).fenced(), "holdings": holdings(recording, _linked)}
    names = [each["name"] for each in _PART.finditer(written)]
    flows = {name: [each for each in drawn if name in each.within] for name in names if name not in fixed}
    wrong = [name for name, found in flows.items() if len(found) != 1]
    wrong += [each.heading for each in drawn if sum(each in found for found in flows.values()) != 1]
    if wrong:
        raise ValueError(f"docs/architecture.md: one flow a place and one place a flow, which is not so: {wrong}")
    parts = fixed | {name: found[0].fenced() for name, found in flows.items()}
    return _PART.sub(lambda each: f"{each[1]}{parts[each['name']]}\n{each[3]}", written)


def _linked(component: str) -> str:
    """A component's name as a link to the file that declares its class."""
    return f"[{component}](../{_files()[component]})"


def _files() -> Mapping[str, str]:
    declared = re.compile(r"^class (\w+)\(pulumi\.ComponentResource\)", re.MULTILINE)
    return {
        name: path.relative_to(ROOT).as_posix()
        for path in Path(ROOT, "components").glob("*.py")
        for name in declared.findall(path.read_text(encoding="utf-8"))
    }
