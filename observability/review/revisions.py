"""The two trees that are compared: a revision of git in a worktree of its own, and the working tree as it is."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from observability.errors import ToolkitError

WORKING_TREE: Final = "working tree"

_ELSEWHERE: Final = (
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_COMMON_DIR",
    "GIT_INDEX_FILE",
    "GIT_OBJECT_DIRECTORY",
    "GIT_NAMESPACE",
    "GIT_PREFIX",
)
"""What git sets for a hook, and which would lead git to another tree."""


@dataclass(frozen=True, slots=True)
class Revision:
    """A tree of a program.

    Attributes:
        name: as it was asked for.
        commit: abbreviated; "" for the working tree.
        program: the folder with Pulumi.yaml, which need not be there.
        note: a sentence on why it is not quite what was asked for.
    """

    name: str
    commit: str
    program: Path
    note: str = ""


@contextmanager
def revisions(
    program: Path, base: str, head: str = "", shared: Sequence[str] = ()
) -> Iterator[tuple[Revision, Revision]]:
    """Both revisions of the program in `program`, side by side, for as long as the context lasts.

    Compared is what the head changes: where `base` has gone on since the two parted, it is taken as it was then.

    Args:
        base, head: what git knows by that name; the working tree, without a head.
        shared: paths in the program's folder that git does not keep, and that a revision is given a copy of, so that
            it does not have to make them again.

    Raises:
        ToolkitError: it is no git repository, or it knows no such revision.
    """
    program = program.resolve()
    root = _root(program)
    asked, tip = _commit(root, base), _commit(root, head or "HEAD")
    parted = _git(root, "merge-base", asked, tip, check=False)
    start, note = asked, ""
    if parted and parted not in {asked, tip}:
        start = parted
        note = f"{base} has gone on since; compared is with {parted[:7]}, where they parted."
    with tempfile.TemporaryDirectory(prefix="review-") as folder, _worktree(root, start, Path(folder, "base")) as one:
        before = Revision(base, start[:7], _prepared(one / program.relative_to(root), program, shared), note)
        if not head:
            yield before, Revision(WORKING_TREE, "", program)
            return
        with _worktree(root, tip, Path(folder, "head")) as other:
            yield before, Revision(head, tip[:7], _prepared(other / program.relative_to(root), program, shared))


@contextmanager
def _worktree(root: Path, commit: str, folder: Path) -> Iterator[Path]:
    # Hooks of the repository have no business with a tree that nobody will commit to.
    _git(root, "-c", f"core.hooksPath={os.devnull}", "worktree", "add", "--detach", "--force", str(folder), commit)
    try:
        yield folder.resolve()
    finally:
        _git(root, "worktree", "remove", "--force", str(folder), check=False)
        shutil.rmtree(folder, ignore_errors=True)
        _git(root, "worktree", "prune", check=False)


def _prepared(folder: Path, program: Path, shared: Sequence[str]) -> Path:
    """The program's folder in a worktree, with copies of what git does not keep."""
    for name in shared:
        source, target = program / name, folder / name
        if source.is_dir() and folder.is_dir() and not target.exists():
            shutil.copytree(source, target, symlinks=True)
    return folder


def _root(program: Path) -> Path:
    if not program.is_dir():
        raise ToolkitError(f"{program}: no such directory", "Name the folder of a Pulumi project with --program.")
    found = _git(program, "rev-parse", "--show-toplevel", check=False)
    if not found:
        raise ToolkitError(f"{program} is not in a git repository", "A review compares two revisions of one.")
    return Path(found).resolve()


def _commit(root: Path, name: str) -> str:
    found = _git(root, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}", check=False)
    if not found:
        raise ToolkitError(
            f"git knows no revision {name!r}",
            "Name a branch, a tag or a commit; one of a remote may have to be fetched first.",
        )
    return found


def _git(folder: Path, *arguments: str, check: bool = True) -> str:
    """What git prints; "" if it fails and need not succeed."""
    environment = {name: value for name, value in os.environ.items() if name not in _ELSEWHERE}
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments],
            env={**environment, "LC_ALL": "C"},
            capture_output=True,
            text=True,
            check=False,
        )
    except FileNotFoundError:
        raise ToolkitError("git is not installed", "A review compares two revisions in git.") from None
    if done.returncode and check:
        raise ToolkitError(f"git {arguments[0]} failed: {done.stderr.strip()}")
    return done.stdout.strip() if not done.returncode else ""
