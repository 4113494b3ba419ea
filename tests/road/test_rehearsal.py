"""A rehearsal runs what the workflows run, in their order, on this machine's account, and is honest about the rest."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from observability.errors import ToolkitError
from road import promotion, rehearsal
from road.rehearsal import ABOVE, LEFT_OUT, OK, Rehearsed, rehearse, substituted
from road.workflows import Step, Workflow, read

ACCOUNT = {"ENDPOINT": "http://127.0.0.1:4599", "OUTPUTS": "build/rehearsal/outputs.json"}


def step(target: str, **variables: str) -> Step:
    return Step("deploy", "dev", target, target, variables)


def workflow(name: str, **jobs: list[str]) -> Workflow:
    steps = {job: {"steps": [{"run": f"make {each}"} for each in targets]} for job, targets in jobs.items()}
    return Workflow(name, {"jobs": steps})


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project whose make notes what it was asked for, and in which `bad` fails; no emulator is started."""
    (tmp_path / "Makefile").write_text(
        "good worse deploy gate:\n\t@echo $@ $(STACK) $(ENDPOINT) >> made\n"
        "bad:\n\t@echo something is wrong; echo bad >> made; exit 3\n",
        encoding="utf-8",
    )
    monkeypatch.setattr(rehearsal, "ROOT", tmp_path)
    monkeypatch.setattr(rehearsal, "LOGS", tmp_path / "build")
    started = iter(range(1, 9))

    @contextmanager
    def emulator() -> Iterator[str]:
        yield f"http://account-{next(started)}"

    monkeypatch.setattr(rehearsal, "emulator", emulator)
    return tmp_path / "made"


def results(done: Any) -> list[tuple[str, str]]:
    return [(each.step.target, each.result) for each in done]


def test_what_fails_is_told_with_its_last_words_and_leaves_out_the_rest_of_its_job(made: Path) -> None:
    done = rehearse([workflow("x", one=["bad", "good"], two=["good"])], base="main")
    assert results(done) == [("bad", "failed (2)"), ("good", LEFT_OUT), ("good", OK)]
    assert done[0].failed
    assert "something is wrong" in rehearsal.tail(done[0])
    assert made.read_text().split() == ["bad", "good"]


def test_a_target_to_leave_out_that_nobody_runs_is_refused(made: Path) -> None:
    with pytest.raises(ToolkitError, match="no workflow runs tests") as caught:
        rehearse([workflow("x", one=["good"])], base="main", without=["tests"])
    assert "They run: good." in caught.value.remedy
    assert not made.exists()


def test_what_was_left_out_is_not_told_as_run(made: Path) -> None:
    done = rehearse([workflow("x", one=["good", "worse"], two=["good"])], base="main", without=["good"])
    assert results(done) == [("good", LEFT_OUT), ("worse", OK), ("good", LEFT_OUT)]
    assert not any(each.failed for each in done)


def test_a_command_that_was_run_is_not_run_again(made: Path) -> None:
    done = rehearse([workflow("x", one=["good"]), workflow("y", one=["good"])], base="main")
    assert results(done) == [("good", OK), ("good", ABOVE)]
    assert made.read_text().split() == ["good"]


def test_a_command_that_failed_is_run_again(made: Path) -> None:
    done = rehearse([workflow("x", one=["bad"]), workflow("y", one=["bad"])], base="main")
    assert [each.failed for each in done] == [True, True]


def test_each_job_that_deploys_has_an_empty_account_and_its_gate_the_same(made: Path) -> None:
    jobs = {"dev": ["deploy STACK=dev", "gate STACK=dev"], "prod": ["deploy STACK=prod", "gate STACK=prod"]}
    rehearse([workflow("deploy", **jobs)], base="main")
    assert made.read_text().splitlines() == [
        "deploy local http://account-1",
        "gate local",
        "deploy local http://account-2",
        "gate local",
    ]


def test_the_stack_is_this_machines_and_what_only_github_has_is_not_made_up() -> None:
    latest = promotion.latest()
    assert [" ".join(substituted(each, "main", ACCOUNT)) for each in (
        step("deploy", STACK="prod"),
        step("gate", STACK="prod"),
        step("preview", STACK="$STACK"),
        step("review", BASE="origin/main"),
        step("comment", PR="$PR"),
        step("promotion"),
        step("check"),
    )] == [
        f"make deploy STACK=local ENDPOINT={ACCOUNT['ENDPOINT']} OUTPUTS={ACCOUNT['OUTPUTS']}",
        f"make gate STACK=local OUTPUTS={ACCOUNT['OUTPUTS']}",
        "make preview STACK=local",
        "make review BASE=main",
        "make comment",
        f"make promotion TAG={latest} MAIN=HEAD",
        "make check",
    ]  # fmt: skip


def test_no_step_of_ours_needs_the_cli_or_an_account_here() -> None:
    for each in (step for workflow in read() for step in workflow.steps()):
        words = substituted(each, "main", ACCOUNT)
        assert not {"STACK=dev", "STACK=prod"} & {*words}
        assert not any("$" in word for word in words), "a variable that only a workflow sets"


def test_a_step_is_not_taken_for_one_of_a_workflow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", "/nowhere")
    monkeypatch.setenv("MAKEFLAGS", "n")
    assert not {"GITHUB_STEP_SUMMARY", "MAKEFLAGS"} & {*rehearsal._environment()}
    assert rehearsal._environment()["PATH"] == os.environ["PATH"]


def test_a_step_that_was_not_run_has_no_log() -> None:
    assert rehearsal.tail(Rehearsed(step("check"), "make check", LEFT_OUT)) == ()
