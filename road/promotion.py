"""Whether a tag may go to production: it names a release that is written down, and is of the main branch."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Final

from local.config import ROOT
from observability.errors import ToolkitError

RELEASES: Final = "releases"
TAG: Final = re.compile(r"v(\d+\.\d+\.\d+)")


def check(tag: str, main: str, *, root: Path = ROOT) -> str:
    """A sentence on the release that `tag` names.

    Args:
        tag: as `v1.2.3`; it need not be there yet, and what is checked out is what counts.
        main: the branch that everything in production has to be of, as git knows it.

    Raises:
        ToolkitError: it names no release, or what is checked out is not of `main`.
    """
    found = TAG.fullmatch(tag)
    if not found:
        raise ToolkitError(f"{tag or 'no tag'!r} is no release's tag", "A release's tag is v and its version: v1.2.3.")
    if not (root / RELEASES / found[1]).is_dir():
        raise ToolkitError(
            f"{tag} names no release: there is no {RELEASES}/{found[1]}/",
            f"`make release VERSION={found[1]}` writes it; commit it before you tag (docs/upgrading.md).",
        )
    commit = _git(root, "rev-parse", "--short", "HEAD")
    if commit is None:
        raise ToolkitError("this is no git repository", "A tag is checked in a clone.")
    if _git(root, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{main}^{{commit}}") is None:
        raise ToolkitError(f"git knows no {main}", "Fetch it, or name the branch with MAIN=NAME.")
    if _git(root, "merge-base", "--is-ancestor", "HEAD", main) is None:
        raise ToolkitError(
            f"{tag} ({commit}) is not of {main}: nobody has reviewed it, and dev never ran it",
            "Merge it first, and tag the commit on main.",
        )
    return f"{tag} is release {found[1]}, commit {commit}, and of {main}."


def latest(root: Path = ROOT) -> str:
    """The tag of the newest release that is written down; "" without any."""
    versions = [path.name for path in (root / RELEASES).glob("*.*.*") if TAG.fullmatch(f"v{path.name}")]
    newest = max(versions, key=lambda version: [int(part) for part in version.split(".")], default="")
    return newest and f"v{newest}"


def _git(root: Path, *arguments: str) -> str | None:
    """What git prints; None if it fails."""
    done = subprocess.run(["git", "-C", str(root), *arguments], capture_output=True, text=True, check=False)
    return None if done.returncode else done.stdout.strip()
