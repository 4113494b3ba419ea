"""What the checks find in the new revision and did not find in the old one."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from observability.check import Finding, check
from observability.emissions import Emitted
from observability.errors import ToolkitError
from observability.program.resources import Recording
from observability.sources import Estate

PACK: Final = "policies"
"""The folder of a program in which its policies are, a Python package that can be run."""

TIMEOUT: Final = 300
"""Seconds that a pack may take."""

_SENTENCE: Final = re.compile(r"(?<=\.)\s+(?=[A-Z])")


@dataclass(frozen=True, slots=True, order=True)
class Violation:
    """A resource that is not as a policy wants it; the message begins with what is wrong."""

    policy: str
    resource: str
    message: str
    level: str = "mandatory"

    @property
    def wrong(self) -> str:
        """The first sentence of the message."""
        return _SENTENCE.split(self.message, maxsplit=1)[0]


def new_findings(
    before: tuple[Estate, Recording] | None, after: tuple[Estate, Recording], emitted: Emitted
) -> tuple[Finding, ...]:
    """What `check` finds, without what it found already. Where it is declared does not make it another finding."""
    found = [_checked(side, emitted) for side in (before, after) if side]
    known = {_key(each) for each in found[0]} if before else set()
    return tuple(each for each in found[-1] if _key(each) not in known)


def violations(folder: Path, recording: Recording, python: Path | None) -> tuple[Violation, ...] | None:
    """What the program's own policies say of a recording; None where it has none.

    The pack is run as `python -m policies check --json RECORDING` in the program's folder; it is given a recording in a
    file (`Recording.document`), and prints a list of `{"policy", "resource", "message", "level"}`.

    Raises:
        ToolkitError: it fails, or prints something else.
    """
    if not (folder / PACK / "__main__.py").is_file():
        return None
    with tempfile.TemporaryDirectory(prefix="recording-") as kept:
        file = Path(kept, "recording.json")
        file.write_text(json.dumps(recording.document()), encoding="utf-8")
        command = [str(python or sys.executable), "-m", PACK, "check", "--json", str(file)]
        try:
            done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=TIMEOUT)
        except (subprocess.TimeoutExpired, OSError) as error:
            raise ToolkitError(f"the policies in {PACK}/ cannot be asked: {error}") from error
        try:
            return tuple(sorted(_violation(each) for each in json.loads(done.stdout)))
        except (ValueError, TypeError, KeyError) as error:
            said = " ".join(done.stderr.strip().splitlines()[-3:]) or f"it printed no list of violations ({error})"
            raise ToolkitError(f"the policies in {PACK}/ cannot be asked: {said}") from error


def _violation(document: Mapping[str, Any]) -> Violation:
    level, resource = str(document.get("level") or "mandatory"), str(document["resource"])
    message = str(document["message"]).removeprefix(f"{resource}: ")
    return Violation(str(document["policy"]), resource, message, level)


def _checked(side: tuple[Estate, Recording], emitted: Emitted) -> Sequence[Finding]:
    estate, recording = side
    return check(estate, emitted, recording.resources)


def _key(finding: Finding) -> tuple[str, ...]:
    return finding.severity, finding.rule, finding.where, finding.what, finding.problem
