"""The workflows run nothing but make targets, with as few rights as they need, and what they name is there."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from local.config import ROOT
from observability.errors import ToolkitError
from road.workflows import CALLED, Step, Workflow, command, needs, read

WORKFLOWS = read()
BY_NAME = {workflow.name: workflow for workflow in WORKFLOWS}
STEPS = [step for workflow in WORKFLOWS for step in workflow.steps()]
PINNED = re.compile(r"[\w.-]+/[\w.-]+@[0-9a-f]{40}")
TARGET = re.compile(r"^([a-z-]+):.*?##\s*(\S.*)$", re.MULTILINE)


def uses() -> Iterator[tuple[str, dict[str, Any]]]:
    """Each step that uses an action, with where."""
    for workflow in WORKFLOWS:
        for job, content in workflow.jobs.items():
            for step in content.get("steps", ()):
                if "uses" in step:
                    yield f"{workflow.name}.yml, {job}", step


def jobs() -> Iterator[tuple[str, str, dict[str, Any]]]:
    for workflow in WORKFLOWS:
        for job, content in workflow.jobs.items():
            yield workflow.name, job, content


def recipe(target: str) -> str:
    """What make would run."""
    done = subprocess.run(["make", "-n", target], cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout


# ---- Everything that a workflow runs can be run here ----


@pytest.mark.parametrize(
    "run",
    [
        "pulumi up --yes",
        "make",
        "make test && make check",
        "make test\nmake check",
        "make preview dev",
        "make preview STACK=${{ matrix.stack }}",
        "make preview STACK=$(cat stack)",
        "make preview STACK='dev",
        "echo make test",
    ],
)
def test_a_step_that_is_not_one_make_target_is_refused(run: str) -> None:
    with pytest.raises(ToolkitError, match="is not one `make TARGET NAME=VALUE`"):
        command(run, "checks.yml, job check")


def test_a_step_names_a_target_and_variables() -> None:
    assert command('make preview STACK="$STACK" BASE=origin/main', "here") == (
        "preview",
        {"STACK": "$STACK", "BASE": "origin/main"},
    )


@pytest.mark.parametrize("step", STEPS, ids=lambda step: f"{step.workflow}-{step.job}-{step.target}")
def test_every_target_that_a_workflow_runs_is_one_that_make_help_tells_of(step: Step) -> None:
    assert step.target in dict(TARGET.findall((ROOT / "Makefile").read_text(encoding="utf-8")))


def test_every_variable_that_a_workflow_gives_is_read_by_its_target() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for step in STEPS:
        rule = re.search(rf"^{step.target}:.*\n((?:\t.*\n)+)", makefile, re.MULTILINE)
        assert rule, step.target
        for name in step.variables:
            assert re.search(rf"\$\((or \$\()?{name}\b", rule[1]), f"make {step.target} does not read {name}"


def test_a_variable_of_the_shell_is_one_that_its_step_sets() -> None:
    for workflow in WORKFLOWS:
        for content in workflow.jobs.values():
            for step in content.get("steps", ()):
                for name in re.findall(r"\$(\w+)", step.get("run", "")):
                    assert name in step.get("env", {}), f"{workflow.name}.yml: {step['run']}"


def test_the_checks_are_those_of_ci() -> None:
    ci = re.findall(r"^make (\S+)", (ROOT / ".ci" / "run").read_text(encoding="utf-8"), re.MULTILINE)
    assert {*ci} <= {step.target for step in BY_NAME["checks"].steps()}


# ---- Rights ----


def test_no_workflow_starts_with_any_right() -> None:
    for workflow in WORKFLOWS:
        assert workflow.document["permissions"] == {}, f"{workflow.name}.yml"


def test_only_jobs_that_become_a_role_get_an_identity_and_none_may_write_more_than_a_comment() -> None:
    for workflow, job, content in jobs():
        rights = content["permissions"]
        becomes = any("configure-aws-credentials" in step.get("uses", "") for step in content.get("steps", ()))
        assert (rights.get("id-token") == "write") == becomes, f"{workflow}.yml, {job}"
        writes = {name for name, right in rights.items() if right == "write"} - {"id-token"}
        assert writes == ({"pull-requests"} if job == "review" else set()), f"{workflow}.yml, {job}"


def test_no_workflow_has_a_secret_and_none_runs_with_rights_on_a_strangers_code() -> None:
    for workflow in WORKFLOWS:
        text = (ROOT / ".github" / "workflows" / f"{workflow.name}.yml").read_text(encoding="utf-8")
        assert "secrets." not in text
        # PyYAML reads the key `on` as true (YAML 1.1).
        assert "pull_request_target" not in workflow.document[True]


def test_the_guide_names_the_variables_that_the_workflows_read_and_no_other() -> None:
    texts = [path.read_text(encoding="utf-8") for path in (ROOT / ".github" / "workflows").glob("*.yml")]
    read_ = {name for text in texts for name in re.findall(r"vars\.(\w+)", text)}
    guide = (ROOT / "docs" / "deployment.md").read_text(encoding="utf-8")
    rows = re.search(r"^\| variable \| value \|\n(.*?)\n\n", guide, re.MULTILINE | re.DOTALL)
    assert rows
    assert {*re.findall(r"`([A-Z_]+)`", rows[1])} == read_


def test_who_comes_from_a_fork_gets_no_role() -> None:
    condition = BY_NAME["preview"].jobs["preview"]["if"]
    assert condition == "github.event.pull_request.head.repo.full_name == github.repository"


def test_every_action_is_pinned_by_commit_with_its_version_beside_it() -> None:
    for where, step in uses():
        assert PINNED.fullmatch(step["uses"]), f"{where}: {step['uses']}"
    for path in (ROOT / ".github" / "workflows").glob("*.yml"):
        for line in path.read_text(encoding="utf-8").splitlines():
            if "uses:" in line and CALLED not in line:
                assert re.search(r"@[0-9a-f]{40} # v\d+\.\d+\.\d+$", line), f"{path.name}: {line.strip()}"


def test_one_action_is_of_one_version() -> None:
    actions = {step["uses"] for _, step in uses()}
    assert len({action.partition("@")[0] for action in actions}) == len(actions)


def test_no_checkout_leaves_its_token_behind() -> None:
    for where, step in uses():
        if step["uses"].startswith("actions/checkout@"):
            assert step["with"]["persist-credentials"] is False, where


# ---- Order and locks ----


def test_nothing_is_deployed_unchecked_and_every_deployment_ends_at_the_gate() -> None:
    for stack in ("dev", "prod"):
        job = BY_NAME["deploy"].jobs[stack]
        assert needs(job) == {"checks"}
        assert job["environment"] == stack, "approval and the role's trust hang on it"
        ran = [(step.target, step.variables) for step in BY_NAME["deploy"].steps() if step.job == stack]
        assert ran[-2:] == [("deploy", {"STACK": stack}), ("gate", {"STACK": stack})]
    assert BY_NAME["deploy"].jobs["checks"]["uses"] == f"{CALLED}checks.yml"


def test_only_main_goes_to_dev_and_only_a_release_of_main_to_prod() -> None:
    deploy = BY_NAME["deploy"]
    assert deploy.document[True] == {"push": {"branches": ["main"], "tags": ["v*"]}}
    assert deploy.jobs["dev"]["if"] == "github.ref == 'refs/heads/main'"
    assert deploy.jobs["prod"]["if"] == "startsWith(github.ref, 'refs/tags/v')"
    targets = [step.target for step in deploy.steps() if step.job == "prod"]
    assert targets.index("promotion") < targets.index("deploy")


def test_a_deployment_is_never_broken_off_and_has_its_stack_to_itself() -> None:
    groups = {}
    for stack in ("dev", "prod"):
        lock = BY_NAME["deploy"].jobs[stack]["concurrency"]
        assert lock["cancel-in-progress"] is False
        groups[stack] = lock["group"]
    assert len({*groups.values()}) == 2
    assert BY_NAME["preview"].document["concurrency"]["cancel-in-progress"] is True


def test_every_stack_that_is_deployed_is_previewed() -> None:
    previewed = {each["stack"] for each in BY_NAME["preview"].jobs["preview"]["strategy"]["matrix"]["include"]}
    assert previewed == {step.variables["STACK"] for step in STEPS if step.target == "deploy"}


def test_every_job_that_runs_something_has_an_end() -> None:
    for workflow, job, content in jobs():
        assert "uses" in content or content["timeout-minutes"] <= 60, f"{workflow}.yml, {job}"


def test_the_cli_is_of_the_sdks_version() -> None:
    locked = re.search(r"^pulumi==(\S+)", (ROOT / "requirements" / "dev.txt").read_text(encoding="utf-8"), re.MULTILINE)
    assert locked
    versions = {step["with"]["pulumi-version"] for _, step in uses() if step["uses"].startswith("pulumi/actions@")}
    assert versions == {locked[1]}


# ---- Reading ----


def test_jobs_come_after_those_that_they_need() -> None:
    workflow = Workflow("x", {"jobs": {"c": {"needs": ["b", "a"]}, "b": {"needs": "a"}, "a": {}}})
    assert list(workflow.jobs) == ["a", "b", "c"]
    with pytest.raises(ToolkitError, match=r"x\.yml: a, b need each other"):
        _ = Workflow("x", {"jobs": {"a": {"needs": "b"}, "b": {"needs": "a"}}}).jobs


@pytest.mark.parametrize(
    ("text", "said"), [("jobs: [", "cannot be read"), ("name: x", "it has no jobs"), (None, "there are no workflows")]
)
def test_what_is_no_workflow_is_named(tmp_path: Path, text: str | None, said: str) -> None:
    if text is not None:
        (tmp_path / "broken.yml").write_text(text, encoding="utf-8")
    with pytest.raises(ToolkitError, match=said):
        read(tmp_path)


def test_the_linters_find_nothing() -> None:
    done = subprocess.run(["make", "lint-workflows"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_linters_would_find_untrusted_input_and_a_moving_tag(tmp_path: Path) -> None:
    """The same commands on a workflow that is none to be proud of."""
    folder = tmp_path / ".github" / "workflows"
    folder.mkdir(parents=True)
    (folder / "bad.yml").write_text(
        "name: bad\non: pull_request_target\njobs:\n  a:\n    runs-on: ubuntu-24.04\n    steps:\n"
        "      - uses: actions/checkout@v6\n      - run: echo ${{ github.event.pull_request.title }}\n",
        encoding="utf-8",
    )
    (tmp_path / ".github" / "dependabot.yml").write_text("version: 2\nupdates: []\n", encoding="utf-8")
    (tmp_path / ".venv").symlink_to(ROOT / ".venv")
    failed = [
        line
        for line in recipe("lint-workflows").splitlines()
        if subprocess.run(line, shell=True, cwd=tmp_path, capture_output=True, check=False).returncode
    ]
    assert any("zizmor" in line for line in failed)
    assert any("require-timeout" in line for line in failed)
