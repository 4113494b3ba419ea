"""The review as one comment on its pull request, that every run of the workflow writes anew."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from observability.errors import ToolkitError
from road.pulumi_cli import SUMMARY

MARKER: Final = "<!-- mailroom: review -->"
"""Begins the comment, hidden in what people see: how the next run finds it."""

BOT: Final = "github-actions[bot]"
"""Whose comment it is in a workflow. Somebody else's that begins likewise is left alone."""

MOST: Final = 65_536
"""Characters of a comment: what GitHub's API says when there are more ("body is too long (maximum is 65536
characters)")."""

PICTURE: Final = re.compile(r"^!\[([^\]]*)\]\((?!https?:)[^)]*\)$", re.MULTILINE)
"""A picture beside review.md, as the review writes it. A comment cannot show a file of the runner's."""

COMMENTS: Final = "repos/{owner}/{repo}/issues/comments"
"""`gh api` fills the braces in, from the checkout."""

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@dataclass(frozen=True, slots=True)
class Where:
    """What a workflow says of itself.

    Attributes:
        run: URL of the run; "" outside of a workflow.
        fork: whether the pull request comes from another repository, whose token may only read.
        bot: whether a workflow is at work.
    """

    run: str = ""
    fork: bool = False
    bot: bool = False


def where(environment: Mapping[str, str]) -> Where:
    """From the variables that GitHub sets:
    https://docs.github.com/en/actions/reference/workflows-and-actions/variables

    Raises:
        ToolkitError: the event's file cannot be read.
    """
    if not environment.get("GITHUB_ACTIONS"):
        return Where()
    server, repository, run = (environment.get(f"GITHUB_{key}", "") for key in ("SERVER_URL", "REPOSITORY", "RUN_ID"))
    fork = False
    if path := environment.get("GITHUB_EVENT_PATH"):
        try:
            pull: Any = json.loads(Path(path).read_text(encoding="utf-8")).get("pull_request") or {}
            # Deleted since, a fork is null.
            head = (pull.get("head", {}).get("repo") or {}).get("full_name")
        except (OSError, ValueError, AttributeError) as error:
            raise ToolkitError(f"GITHUB_EVENT_PATH: {path} is no event of GitHub's: {error}") from error
        fork = bool(pull) and head != repository
    return Where(f"{server}/{repository}/actions/runs/{run}", fork, bot=True)


def body(review: str, at: Where) -> str:
    """The comment: the review, with its pictures where they can be had, cut at a section where it is too long."""
    kept = f"in the artifact `review` of [this run]({at.run})" if at.run else "in build/review/"
    foot = f"\n\n<sub>Previews, pictures and the whole review: {f'[this run]({at.run})' if at.run else kept}.</sub>\n"
    text = PICTURE.sub(lambda found: f"*{found[1] or 'picture'}: {kept}*", review.strip())
    return f"{MARKER}\n{_cut(text, MOST - len(MARKER) - len(foot) - 1)}{foot}"


def _cut(text: str, most: int) -> str:
    if len(text) <= most:
        return text
    said = "\n\n*The rest is too long for a comment.*"
    # At a section, as what is folded must not be left open.
    at = text.rfind("\n### ", 0, most - len(said))
    return text[: max(at, 0)].rstrip() + said


def post(text: str, pull: int, at: Where, *, run: Run = subprocess.run) -> str:
    """Write the comment on pull request `pull`, over the one that is there; what was done, as a sentence.

    Raises:
        ToolkitError: `gh` is not there, or GitHub refuses.
    """
    if run is subprocess.run and not shutil.which("gh"):
        raise ToolkitError("gh is not installed, so nothing was posted", "Install it: https://cli.github.com")
    issue = f"repos/{{owner}}/{{repo}}/issues/{pull}/comments"
    listed = _gh(run, f"{issue}?per_page=100", "--paginate", "--jq", ".[] | {id, body, login: .user.login}")
    try:
        comments = [json.loads(line) for line in listed.splitlines() if line.strip()]
        ours = [each["id"] for each in comments if _ours(each, at)]
    except (ValueError, KeyError, TypeError) as error:
        raise ToolkitError(f"gh printed no comments of pull request {pull}: {error}") from error
    document = json.dumps({"body": text})
    if ours:
        _gh(run, f"{COMMENTS}/{ours[0]}", "--method", "PATCH", "--input", "-", given=document)
        return f"The comment on pull request {pull} was brought up to date."
    _gh(run, issue, "--method", "POST", "--input", "-", given=document)
    return f"Pull request {pull} has a comment now."


def _ours(comment: Mapping[str, Any], at: Where) -> bool:
    return str(comment["body"]).startswith(MARKER) and (not at.bot or comment["login"] == BOT)


def _gh(run: Run, path: str, *arguments: str, given: str | None = None) -> str:
    done = run(["gh", "api", path, *arguments], input=given, capture_output=True, text=True, check=False)
    if done.returncode:
        said = (done.stderr or done.stdout or "").strip().splitlines()
        raise ToolkitError(
            f"gh api {path.partition('?')[0]} failed: {said[-1] if said else f'it ended with {done.returncode}'}",
            "The job needs the permission pull-requests: write, and GH_TOKEN.",
        )
    return done.stdout


def summarise(text: str, why: str) -> None:
    """Put the comment into the job's summary, where there is one, with why it is not on the pull request."""
    if name := os.environ.get(SUMMARY):
        with Path(name).open("a", encoding="utf-8") as file:
            file.write(f"{why}\n\n{text}\n")
