"""The workflows of GitHub as data: which commands they run, in which order."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from local.config import ROOT
from observability.errors import ToolkitError

FOLDER: Final = ROOT / ".github" / "workflows"
CALLED: Final = "./.github/workflows/"
"""How a job names another workflow of this repository."""


@dataclass(frozen=True, slots=True)
class Step:
    """A step that runs a command.

    Attributes:
        workflow: the file's name without its ending.
        target: of make.
        variables: that make is given, such as `{"STACK": "dev"}`; a value may be a variable of the shell.
    """

    workflow: str
    job: str
    name: str
    target: str
    variables: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Workflow:
    """A workflow; `document` is its YAML, in which the key `on` is read as true."""

    name: str
    document: Mapping[Any, Any]

    @property
    def jobs(self) -> Mapping[str, Any]:
        """In an order in which each comes after those that it needs."""
        jobs: dict[str, Any] = dict(self.document["jobs"])
        ordered: dict[str, Any] = {}
        while left := [name for name in jobs if name not in ordered]:
            ready = [name for name in left if needs(jobs[name]) <= {*ordered}]
            if not ready:
                raise ToolkitError(f"{self.name}.yml: {', '.join(left)} need each other, or what is not there")
            ordered |= {name: jobs[name] for name in ready}
        return ordered

    def steps(self) -> Iterator[Step]:
        """The steps of its own that run something.

        Raises:
            ToolkitError: one is not a single `make TARGET NAME=VALUE ...`.
        """
        for job, content in self.jobs.items():
            for step in content.get("steps", ()):
                if "run" in step:
                    target, variables = command(step["run"], f"{self.name}.yml, job {job}")
                    yield Step(self.name, job, step.get("name", target), target, variables)


def read(folder: Path = FOLDER) -> Sequence[Workflow]:
    """All of a folder, by name.

    Raises:
        ToolkitError: one cannot be read, or has no jobs.
    """
    found = []
    for path in sorted(folder.glob("*.yml")):
        try:
            document = yaml.safe_load(path.read_text(encoding="utf-8"))
        except (OSError, yaml.YAMLError) as error:
            raise ToolkitError(f"{path.name} cannot be read: {error}") from error
        if not isinstance(document, dict) or not document.get("jobs"):
            raise ToolkitError(f"{path.name} is no workflow: it has no jobs")
        found.append(Workflow(path.stem, document))
    if not found:
        raise ToolkitError(f"there are no workflows in {folder}")
    return found


def needs(job: Mapping[str, Any]) -> set[str]:
    """The jobs that one comes after."""
    given = job.get("needs") or []
    return {given} if isinstance(given, str) else {*given}


def command(run: str, where: str) -> tuple[str, Mapping[str, str]]:
    """The make target of a step's `run`, and the variables that it is given.

    Raises:
        ToolkitError: it is anything but one call of make; such a step could not be tried on this machine.
    """
    try:
        words = shlex.split(run.strip(), posix=True)
    except ValueError:
        words = []
    plain = "\n" not in run.strip() and not any(sign in run for sign in ("${{", ";", "|", "&", "`", "$(", ">", "<"))
    if not plain or len(words) < 2 or words[0] != "make" or not all("=" in word for word in words[2:]):
        raise ToolkitError(
            f"{where}: {run.strip()!r} is not one `make TARGET NAME=VALUE`",
            "Make a target of it, which anyone can run.",
        )
    return words[1], {name: value for name, _, value in (word.partition("=") for word in words[2:])}
