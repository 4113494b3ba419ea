"""Only a tag that names a release which is written down, on a commit of main, goes to production."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from observability.errors import ToolkitError
from road.promotion import check, latest


def git(root: Path, *arguments: str) -> None:
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", "-C", str(root), *identity, *arguments], check=True, capture_output=True)


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A repository with the releases 0.9.0 and 0.10.0, on branch main."""
    for version in ("0.9.0", "0.10.0"):
        (tmp_path / "releases" / version).mkdir(parents=True)
        (tmp_path / "releases" / version / "prod.json").write_text("{}", encoding="utf-8")
    git(tmp_path, "init", "--initial-branch", "main")
    git(tmp_path, "add", "-A")
    git(tmp_path, "commit", "-m", "releases")
    return tmp_path


@pytest.mark.parametrize("tag", ["", "main", "0.9.0", "v0.9", "v0.9.0-rc1", "v0.9.0\n", "v../../etc"])
def test_what_is_no_releases_tag_is_refused(clone: Path, tag: str) -> None:
    with pytest.raises(ToolkitError, match="is no release's tag"):
        check(tag, "main", root=clone)


def test_a_tag_without_its_release_is_refused_with_how_to_make_it(clone: Path) -> None:
    with pytest.raises(ToolkitError, match=r"there is no releases/1\.0\.0/") as caught:
        check("v1.0.0", "main", root=clone)
    assert "make release VERSION=1.0.0" in caught.value.remedy


def test_a_commit_that_is_not_of_main_is_refused(clone: Path) -> None:
    git(clone, "checkout", "-b", "hotfix")
    git(clone, "commit", "--allow-empty", "-m", "unseen")
    with pytest.raises(ToolkitError, match="is not of main: nobody has reviewed it"):
        check("v0.9.0", "main", root=clone)


@pytest.mark.parametrize("branch", ["origin/main", "--help"])
def test_a_branch_that_git_does_not_know_is_named(clone: Path, branch: str) -> None:
    with pytest.raises(ToolkitError, match=f"git knows no {branch}"):
        check("v0.9.0", branch, root=clone)


def test_a_folder_that_is_no_clone_is_refused(tmp_path: Path) -> None:
    (tmp_path / "releases" / "0.9.0").mkdir(parents=True)
    with pytest.raises(ToolkitError, match="no git repository"):
        check("v0.9.0", "main", root=tmp_path)


def test_a_release_of_main_may_go_even_when_main_has_gone_on(clone: Path) -> None:
    git(clone, "checkout", "--detach", "HEAD")
    git(clone, "switch", "main")
    git(clone, "commit", "--allow-empty", "-m", "later")
    git(clone, "checkout", "--detach", "main~1")
    assert check("v0.9.0", "main", root=clone).startswith("v0.9.0 is release 0.9.0, commit ")


def test_versions_are_counted_and_not_spelt(clone: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    assert latest(clone) == "v0.10.0"
    assert latest(tmp_path_factory.mktemp("empty")) == ""
