"""Cuts a release: `python -m policies.release 0.2.0`, or `make release VERSION=0.2.0`."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

from observability.errors import ToolkitError
from observability.program import Recording, record
from observability.shell import refusing
from policies.commands import ROOT, judged
from policies.configuration import configured_stacks
from policies.releases import FOLDER, Release, order, versions

NEXT: Final = """
Next: these files in one commit, and on main a tag on it, which is what goes to production.
  git add {folder}
  git commit --message "Release {version}"
  git tag --annotate v{version} --message "Mailroom {version}"
"""

USAGE: Final = "Say which release: make release VERSION=0.2.0"


def main(arguments: Sequence[str]) -> None:
    """The command. Exit code 2 where no release can be cut."""
    with refusing():
        if len(arguments) != 1 or not arguments[0]:
            raise ToolkitError("no version is given", USAGE)
        cut(arguments[0], ROOT)


def cut(
    version: str,
    root: Path,
    stacks: Sequence[str] | None = None,
    recorded: Callable[[Path, str], Recording] = record,
    say: Callable[[str], object] = print,
) -> None:
    """Writes what each stack of the program in `root` has that holds data to `releases/VERSION`, and says what is next.

    It commits and tags nothing: what a release says is read by somebody first.

    Args:
        stacks: by default those that the policies are configured for.

    Raises:
        ToolkitError: the version or the tree is not ready, with every reason; or a stack does not pass the policies,
            of which one compares it with the last release.
    """
    if faults := list(unready(version, root)):
        raise ToolkitError(f"release {version} cannot be cut:\n" + "\n".join(f"- {each}" for each in faults))
    recordings = [recorded(root, stack) for stack in stacks or configured_stacks()]
    for each in recordings:
        if (verdict := judged(each)).fails:
            named = "\n".join(f"- {finding.message}" for finding in verdict.findings)
            raise ToolkitError(
                f"release {version} cannot be cut: stack {each.stack} does not pass the policies:\n{named}"
            )
    for each in recordings:
        release = Release.of(each, version)
        file = release.write(root / FOLDER)
        say(f"{file.relative_to(root)}: {len(release.kept)} resources of {each.stack} hold data")
    say(NEXT.format(folder=f"{FOLDER}/{version}", version=version))


def unready(version: str, root: Path) -> Iterator[str]:
    """Why the tree in `root` cannot be that release yet, and what to do. Raises ToolkitError: it is no version."""
    number = order(version)
    known = versions(root / FOLDER)
    if known and number <= order(known[-1]):
        yield f"{version} is not newer than the last release, {known[-1]}: what is released is never changed"
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    if project != version:
        yield f"pyproject.toml says version {project!r}: set it to {version!r}"
    changelog = (root / "CHANGELOG.md").read_text(encoding="utf-8")
    if not re.search(rf"^## \[{re.escape(version)}\] - \d{{4}}-\d\d-\d\d$", changelog, re.MULTILINE):
        yield f'CHANGELOG.md has no section "## [{version}] - YEAR-MONTH-DAY": give what is Unreleased that heading'
    done = subprocess.run(
        ["git", "-C", str(root), "status", "--porcelain"], capture_output=True, text=True, check=False
    )
    if done.returncode:
        yield f"git does not know the tree: {done.stderr.strip()}"
    elif changed := [line[3:] for line in done.stdout.splitlines()]:
        yield f"not committed: {', '.join(changed[:5])}{' and more' if changed[5:] else ''}; commit it first"


if __name__ == "__main__":
    main(sys.argv[1:])
