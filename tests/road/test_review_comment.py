"""A pull request has one comment with its review, brought up to date; what may not be posted is not."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from observability.errors import ToolkitError
from road import __main__ as road
from road.comment import BOT, MARKER, MOST, Where, body, post, where

RUN = "https://github.com/o/r/actions/runs/7"
IN_A_WORKFLOW = Where(RUN, bot=True)


class Gh:
    """`gh api`, and the comments of one pull request behind it."""

    def __init__(self, *comments: tuple[str, str], refuse: str = "") -> None:
        self.comments: dict[int, dict[str, Any]] = {
            number: {"id": number, "login": login, "body": text} for number, (login, text) in enumerate(comments, 1)
        }
        self.refuse = refuse
        self.changes: list[tuple[str, str]] = []

    def __call__(self, command: list[str], *, input: str | None, **_: Any) -> subprocess.CompletedProcess[str]:  # noqa: A002
        assert command[:2] == ["gh", "api"]
        method = command[command.index("--method") + 1] if "--method" in command else "GET"
        if method == self.refuse:
            return subprocess.CompletedProcess(command, 1, "", "gh: Resource not accessible by integration (HTTP 403)")
        if method == "GET":
            assert "--paginate" in command, "a long discussion has several pages"
            return subprocess.CompletedProcess(command, 0, "\n".join(map(json.dumps, self.comments.values())), "")
        assert input is not None
        self.changes.append((method, command[2]))
        number = int(command[2].rsplit("/", 1)[1]) if method == "PATCH" else len(self.comments) + 1
        self.comments[number] = {"id": number, "login": BOT, "body": json.loads(input)["body"]}
        return subprocess.CompletedProcess(command, 0, "{}", "")


def test_what_github_refuses_is_said_with_the_remedy() -> None:
    for method in ("GET", "POST"):
        with pytest.raises(ToolkitError, match=r"Resource not accessible by integration \(HTTP 403\)") as caught:
            post("x", 12, IN_A_WORKFLOW, run=Gh(refuse=method))
        assert "pull-requests: write" in caught.value.remedy


@pytest.mark.parametrize(
    "other",
    [("mallory", f"{MARKER}\nall is well"), (BOT, f"> {MARKER}\n> as quoted"), (BOT, "coverage 100 %")],
    ids=["somebody else's marker", "a quotation", "another workflow's"],
)
def test_a_comment_that_is_not_ours_is_left_alone(other: tuple[str, str]) -> None:
    gh = Gh(other)
    post(body("now", IN_A_WORKFLOW), 12, IN_A_WORKFLOW, run=gh)
    assert gh.changes == [("POST", "repos/{owner}/{repo}/issues/12/comments")]
    assert gh.comments[1]["body"] == other[1]


def test_the_second_review_takes_the_place_of_the_first() -> None:
    gh = Gh(("leonie", "looks good"))
    assert "has a comment now" in post(body("first", IN_A_WORKFLOW), 12, IN_A_WORKFLOW, run=gh)
    assert "brought up to date" in post(body("second", IN_A_WORKFLOW), 12, IN_A_WORKFLOW, run=gh)
    assert gh.changes[1] == ("PATCH", "repos/{owner}/{repo}/issues/comments/2")
    reviews = [each["body"] for each in gh.comments.values() if MARKER in each["body"]]
    assert len(reviews) == 1
    assert "second" in reviews[0]
    assert "first" not in reviews[0]


def test_an_operator_brings_up_to_date_what_is_there() -> None:
    gh = Gh(("leonie", f"{MARKER}\nfirst"))
    post(body("second", Where()), 12, Where(), run=gh)
    assert gh.changes == [("PATCH", "repos/{owner}/{repo}/issues/comments/1")]


def test_pictures_that_a_comment_cannot_show_are_told_of_with_where_they_are() -> None:
    review = "**now**\n\n![mailroom-dev-outcomes, now](dev-outcomes-now.png)\n\n![badge](https://example.com/badge.svg)"
    text = body(review, IN_A_WORKFLOW)
    assert "dev-outcomes-now.png" not in text
    assert f"*mailroom-dev-outcomes, now: in the artifact `review` of [this run]({RUN})*" in text
    assert "![badge](https://example.com/badge.svg)" in text
    assert "in build/review/" in body(review, Where())


def test_a_review_that_is_too_long_is_cut_at_a_section_and_says_so() -> None:
    section = "\n\n### Alarms\n\n<details>\n" + "x" * 30_000 + "\n</details>"
    text = body("## What this change does" + 3 * section, IN_A_WORKFLOW)
    assert len(text) <= MOST
    assert text.count("<details>") == text.count("</details>") == 2
    assert "*The rest is too long for a comment.*" in text
    assert RUN in text
    assert "too long" not in body("## What this change does", IN_A_WORKFLOW)


def test_a_single_section_that_is_too_long_leaves_a_comment_all_the_same() -> None:
    text = body("x" * (MOST + 1), IN_A_WORKFLOW)
    assert "too long" in text
    assert len(text) < 1000


# ---- Where it runs ----


def event(tmp_path: Path, content: Any) -> dict[str, str]:
    path = tmp_path / "event.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return {
        "GITHUB_ACTIONS": "true",
        "GITHUB_SERVER_URL": "https://github.com",
        "GITHUB_REPOSITORY": "o/r",
        "GITHUB_RUN_ID": "7",
        "GITHUB_EVENT_PATH": str(path),
    }


@pytest.mark.parametrize(
    ("head", "fork"), [({"full_name": "o/r"}, False), ({"full_name": "mallory/r"}, True), (None, True)]
)
def test_a_fork_is_known_by_its_repository(tmp_path: Path, head: Any, fork: bool) -> None:
    at = where(event(tmp_path, {"pull_request": {"head": {"repo": head}}}))
    assert at == Where(RUN, fork, bot=True)


def test_an_event_that_is_none_is_named(tmp_path: Path) -> None:
    with pytest.raises(ToolkitError, match="GITHUB_EVENT_PATH"):
        where(event(tmp_path, "not json"))


def test_outside_of_a_workflow_there_is_no_run() -> None:
    assert where({"GITHUB_EVENT_PATH": "/nowhere"}) == Where()


# ---- The command ----


@pytest.fixture
def review(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a review in it, in a project of its own."""
    folder = tmp_path / "build" / "review"
    folder.mkdir(parents=True)
    (folder / "review.md").write_text("## What this change does\n", encoding="utf-8")
    monkeypatch.setattr(road, "ROOT", tmp_path)
    monkeypatch.setattr(road, "REVIEW", folder)
    monkeypatch.delenv("GITHUB_ACTIONS", raising=False)
    return folder


def test_without_a_review_it_says_how_to_make_one(review: Path) -> None:
    (review / "review.md").unlink()
    result = CliRunner().invoke(road.app, ["comment"])
    assert isinstance(result.exception, ToolkitError)
    assert "make review" in result.exception.remedy


def test_without_a_pull_request_it_is_written_and_said_not_to_be_posted(review: Path) -> None:
    result = CliRunner().invoke(road.app, ["comment"])
    assert result.exit_code == 0
    assert "build/review/comment.md is written. Nothing was posted" in result.stdout
    assert (review / "comment.md").read_text(encoding="utf-8").startswith(f"{MARKER}\n## What this change does")


def test_without_gh_what_was_asked_for_fails(review: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(review))
    result = CliRunner().invoke(road.app, ["comment", "--pull", "12"])
    assert isinstance(result.exception, ToolkitError)
    assert "nothing was posted" in str(result.exception)


def test_a_forks_review_goes_into_the_jobs_summary(
    review: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    summary = tmp_path / "summary.md"
    stranger = event(tmp_path, {"pull_request": {"head": {"repo": {"full_name": "mallory/r"}}}})
    for name, value in {**stranger, "GITHUB_STEP_SUMMARY": str(summary), "PATH": str(review)}.items():
        monkeypatch.setenv(name, value)
    result = CliRunner().invoke(road.app, ["comment", "--pull", "12"])
    assert result.exit_code == 0, result.output
    assert "comes from a fork" in result.stdout
    assert "## What this change does" in summary.read_text(encoding="utf-8")
