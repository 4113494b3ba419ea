"""Previews and deployments by the Pulumi CLI, judged by the policy pack on the way."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, TextIO

from local.config import ROOT
from observability.errors import ToolkitError

BUILD: Final = ROOT / "build"
PACK: Final = "policies"
SUMMARY: Final = "GITHUB_STEP_SUMMARY"
"""Names the file whose Markdown GitHub shows for a job."""

MOST_SUMMARY: Final = 200_000
"""Characters of a preview that a job's summary gets; GitHub drops a step's summary of more than 1 MiB.
https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands#adding-a-job-summary"""

Start = Callable[..., "subprocess.Popen[str]"]


def preview_command(stack: str) -> list[str]:
    """What a deployment would change, with what the policies say of it."""
    return ["pulumi", "preview", "--stack", stack, "--diff", *_judged(stack)]


def deploy_command(stack: str) -> list[str]:
    """A deployment; nothing is changed where a mandatory policy is broken, as `up` begins with a preview."""
    return ["pulumi", "up", "--yes", "--stack", stack, "--diff", *_judged(stack)]


def _judged(stack: str) -> list[str]:
    pack = ["--policy-pack", PACK, "--policy-pack-config", f"{PACK}/config/{stack}.json"]
    return ["--non-interactive", "--color", "never", *pack]


def require_cli(stack: str) -> None:
    """Raises ToolkitError where there is no Pulumi CLI, or it would not be clear where the state is."""
    if not shutil.which("pulumi"):
        raise ToolkitError(
            f"The Pulumi CLI is needed for stack {stack}, and it is not installed",
            "Install it (https://www.pulumi.com/docs/iac/download-install/). Without it: STACK=local, or"
            f" `make policies STACK={stack}` for what the policies say.",
        )
    if os.environ.get("GITHUB_ACTIONS") and not os.environ.get("PULUMI_BACKEND_URL"):
        raise ToolkitError(
            f"PULUMI_BACKEND_URL is not set, so nobody can say where the state of stack {stack} is",
            "Set the repository's variables (docs/deployment.md).",
        )


def run_cli(command: Sequence[str], kept: Path, *, start: Start = subprocess.Popen, out: TextIO | None = None) -> int:
    """Run the CLI, print what it prints as it comes, and keep it in a file; its exit code."""
    out = out or sys.stdout
    kept.parent.mkdir(parents=True, exist_ok=True)
    with (
        kept.open("w", encoding="utf-8") as file,
        start(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as running,
    ):
        for line in running.stdout or ():
            out.write(line)
            out.flush()
            file.write(line)
    return running.returncode


def summarise(title: str, text: str, language: str = "") -> None:
    """Add a text to the job's summary, where there is a job."""
    if not (name := os.environ.get(SUMMARY)):
        return
    if len(text) > MOST_SUMMARY:
        text = f"{text[:MOST_SUMMARY]}\n… and {len(text) - MOST_SUMMARY:,} characters more, in the log"
    # Longer than any run of backquotes in it, so that nothing in it ends the block.
    fence = "`" * 8
    with Path(name).open("a", encoding="utf-8") as file:
        file.write(f"### {title}\n\n{fence}{language}\n{text.rstrip()}\n{fence}\n\n")
