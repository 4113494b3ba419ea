"""Previews and deployments: the CLI is told to ask the policies, and what it says is printed, kept and summarised."""

from __future__ import annotations

import io
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from local.config import ROOT
from observability.errors import ToolkitError
from observability.program import Recording, Resource
from observability.review.findings import Violation
from road import __main__ as road
from road import here, pulumi_cli
from road.here import Preview, deploy_here, kinds
from road.pulumi_cli import deploy_command, preview_command, require_cli, run_cli, summarise

OPEN_QUEUE = Violation("queue-closed", "mailroom-send", "Queue mailroom-send: open to all", "mandatory")


@pytest.fixture(autouse=True)
def _no_workflow(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("GITHUB_ACTIONS", "GITHUB_STEP_SUMMARY", "PULUMI_BACKEND_URL"):
        monkeypatch.delenv(name, raising=False)


def test_without_the_cli_it_says_what_is_missing_and_what_works_without(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    for command in ("preview", "deploy"):
        result = CliRunner().invoke(road.app, [command, "--stack", "dev"])
        assert isinstance(result.exception, ToolkitError)
        assert "The Pulumi CLI is needed for stack dev" in str(result.exception)
        assert "make policies STACK=dev" in result.exception.remedy


def test_a_workflow_without_a_backend_is_stopped_before_pulumi_asks_for_its_cloud(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "pulumi").write_text("#!/bin/sh\n", encoding="utf-8")
    (tmp_path / "pulumi").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    require_cli("dev")
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    with pytest.raises(ToolkitError, match="PULUMI_BACKEND_URL is not set"):
        require_cli("dev")
    monkeypatch.setenv("PULUMI_BACKEND_URL", "s3://state")
    require_cli("dev")


@pytest.mark.parametrize("command", ["preview", "deploy"])
@pytest.mark.parametrize(("stack", "said"), [("", "no stack is named"), ("nope", "there is no Pulumi.nope.yaml")])
def test_a_stack_that_is_not_there_is_refused(command: str, stack: str, said: str) -> None:
    result = CliRunner().invoke(road.app, [command, "--stack", stack])
    assert isinstance(result.exception, ToolkitError)
    assert said in str(result.exception)


@pytest.mark.parametrize("command", [preview_command("prod"), deploy_command("prod")], ids=["preview", "deploy"])
def test_neither_goes_without_the_policies_as_the_stack_has_them(command: list[str]) -> None:
    options = dict(pairwise(command))
    assert options["--policy-pack"] == "policies"
    assert options["--policy-pack-config"] == "policies/config/prod.json"
    assert options["--stack"] == "prod"
    assert "--non-interactive" in command
    assert not {"--skip-preview", "--force"} & {*command}


def test_only_a_deployment_says_yes() -> None:
    assert "--yes" in deploy_command("dev")
    assert "--yes" not in preview_command("dev")
    assert preview_command("dev")[1] == "preview"


def test_what_the_cli_prints_is_seen_and_kept_and_its_failure_is_passed_on(tmp_path: Path) -> None:
    out, kept = io.StringIO(), tmp_path / "build" / "preview-dev.txt"
    program = "import sys; print('+ a queue'); sys.stdout.flush(); print('error: no', file=sys.stderr); sys.exit(255)"
    assert run_cli([sys.executable, "-c", program], kept, out=out) == 255
    assert out.getvalue() == kept.read_text(encoding="utf-8") == "+ a queue\nerror: no\n"


def test_a_preview_cannot_break_out_of_the_jobs_summary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    summary = tmp_path / "summary.md"
    summarise("Preview of dev", "nobody asked")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    summarise("Preview of dev", "+ ```\n# shouted\n", "diff")
    summarise("Preview of prod", "x" * (pulumi_cli.MOST_SUMMARY + 1))
    text = summary.read_text(encoding="utf-8")
    fence = "`" * 8
    assert text.startswith(f"### Preview of dev\n\n{fence}diff\n+ ```\n# shouted\n{fence}\n")
    assert "1 characters more, in the log" in text
    assert "nobody asked" not in text


# ---- The stack that needs neither CLI nor account ----


def resource(type_: str, *, custom: bool = True, external: bool = False) -> Resource:
    return Resource(type=type_, name="x", custom=custom, external=external)


def test_only_what_a_provider_would_make_is_counted() -> None:
    recording = Recording(
        project="p",
        stack="local",
        resources=(
            resource("aws:sqs/queue:Queue"),
            resource("aws:sqs/queue:Queue"),
            resource("aws:sqs/queue:Queue", external=True),
            resource("mailroom:index:OrderIntake", custom=False),
            resource("pulumi:providers:aws"),
        ),
    )
    assert kinds(recording) == {"aws:sqs/queue:Queue": 2}


@pytest.mark.parametrize(
    ("held", "level", "refused"), [(True, "mandatory", True), (True, "advisory", False), (False, "mandatory", False)]
)
def test_a_stack_is_refused_for_what_it_is_held_to(held: bool, level: str, refused: bool) -> None:
    violation = Violation("queue-closed", "q", "Queue q: open to all", level)
    found = Preview(kinds(Recording(project="p", stack="local", resources=())), (violation,), held)
    assert found.refused is refused
    assert "queue-closed" in found.text()


def test_what_is_refused_is_not_deployed(monkeypatch: pytest.MonkeyPatch) -> None:
    empty = kinds(Recording(project="p", stack="local", resources=()))
    monkeypatch.setattr(here, "preview", lambda: Preview(empty, (OPEN_QUEUE,), held=True))

    def never(*_: Any) -> None:
        raise AssertionError("it was deployed")

    monkeypatch.setattr(here, "deploy_here", never)
    result = CliRunner().invoke(road.app, ["deploy", "--stack", "local"])
    assert result.exit_code == 1
    assert "mandatory: queue-closed: Queue mailroom-send: open to all" in result.stdout
    assert "Nothing was deployed" in result.stderr


@pytest.mark.parametrize("endpoint", ["http://127.0.0.1:1", "nonsense", "http://127.0.0.1:seven"])
def test_an_emulator_that_is_not_there_is_named(endpoint: str) -> None:
    with pytest.raises(ToolkitError, match="nothing listens at") as caught:
        deploy_here(endpoint)
    assert "make emulator" in caught.value.remedy


def test_the_command_says_what_is_wrong_in_a_sentence_and_ends_with_2() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "road", "preview"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "error: no stack is named\nSay STACK=dev, STACK=prod or STACK=local.\n"
