"""The steps of every workflow on this machine, in their order, with the stack `local` in place of AWS's."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import Final

from local.config import ROOT
from local.emulator import HOST, free_port
from observability.errors import ToolkitError
from ops.stack import LOCAL
from road import promotion
from road.workflows import Step, Workflow

DEPLOYS: Final = "deploy"
"""The target of a job that needs an account of its own."""

OUTPUTS: Final = Path("build/rehearsal/outputs.json")
"""Not where `make up` keeps its own, which may be running beside it."""

LOGS: Final = ROOT / "build" / "rehearsal"
START_SECONDS: Final = 60.0
SHOWN: Final = 15
"""Lines of a failed step that are shown; its log has them all."""

ABOVE: Final = "as above"
LEFT_OUT: Final = "left out"
OK: Final = "ok"


@dataclass(frozen=True, slots=True)
class Rehearsed:
    """What became of one step.

    Attributes:
        result: `ok`, `failed (2)`, `as above` for a command that has been run, or `left out`.
        log: what it printed, relative to the project; "" where it was not run.
    """

    step: Step
    command: str
    result: str
    seconds: float = 0.0
    log: str = ""

    @property
    def failed(self) -> bool:
        return self.result not in {OK, ABOVE, LEFT_OUT}


def substituted(step: Step, base: str, account: Mapping[str, str]) -> Sequence[str]:
    """The command of a step as it is run here.

    Args:
        base: in place of the branch of the remote that a review compares with.
        account: variables that lead to the account: ENDPOINT and OUTPUTS.
    """
    given = dict(step.variables)
    # Nothing here has a pull request: the comment is written, and not posted.
    given.pop("PR", None)
    if "STACK" in given:
        given["STACK"] = LOCAL
        given |= {name: account[name] for name in READS.get(step.target, ()) if name in account}
    if "BASE" in given:
        given["BASE"] = base
    if step.target == "promotion":
        given |= {"TAG": promotion.latest(), "MAIN": "HEAD"}
    return ["make", step.target, *(f"{name}={value}" for name, value in given.items())]


READS: Final[Mapping[str, tuple[str, ...]]] = {"deploy": ("ENDPOINT", "OUTPUTS"), "gate": ("OUTPUTS",)}
"""The variables that a target is given besides, here."""


def rehearse(
    workflows: Sequence[Workflow],
    *,
    base: str,
    without: Collection[str] = (),
    on_step: Callable[[Rehearsed], None] = lambda _: None,
) -> Sequence[Rehearsed]:
    """Run every step. Where one fails, what comes after it in its job is left out, as on GitHub.

    A command that was run already is not run again, unless it is of a job that deploys: each such job has an emulator
    of its own.

    Raises:
        ToolkitError: `without` names a target that no workflow runs, or the emulator does not start.
    """
    # A pull request comes before what becomes of it.
    ordered = sorted(workflows, key=lambda workflow: any(step.target == DEPLOYS for step in workflow.steps()))
    steps = [step for workflow in ordered for step in workflow.steps()]
    if unknown := sorted({*without} - {step.target for step in steps}):
        raise ToolkitError(
            f"no workflow runs {', '.join(unknown)}", f"They run: {', '.join(sorted({step.target for step in steps}))}."
        )
    done: list[Rehearsed] = []
    for _, grouped in groupby(steps, key=lambda step: (step.workflow, step.job)):
        job = list(grouped)
        if any(step.target == DEPLOYS for step in job):
            with emulator() as endpoint:
                account = {"ENDPOINT": endpoint, "OUTPUTS": str(OUTPUTS)}
                done += _job(job, base, account, without, set(), on_step)
        else:
            ran = {each.command for each in done if not each.failed and each.result != LEFT_OUT}
            done += _job(job, base, {}, without, ran, on_step)
    return done


def _job(
    job: Sequence[Step],
    base: str,
    account: Mapping[str, str],
    without: Collection[str],
    ran: Collection[str],
    on_step: Callable[[Rehearsed], None],
) -> Iterator[Rehearsed]:
    failed = False
    for step in job:
        words = substituted(step, base, account)
        said = Rehearsed(step, " ".join(words), LEFT_OUT)
        if said.command in ran:
            said = replace(said, result=ABOVE)
        elif step.target not in without and not failed:
            said = _run(said, words)
            failed = said.failed
        on_step(said)
        yield said


def _run(said: Rehearsed, words: Sequence[str]) -> Rehearsed:
    LOGS.mkdir(parents=True, exist_ok=True)
    log = LOGS / f"{said.step.workflow}-{said.step.job}-{said.step.target}.log"
    began = time.monotonic()
    with log.open("w", encoding="utf-8") as file:
        done = subprocess.run(words, cwd=ROOT, env=_environment(), stdout=file, stderr=subprocess.STDOUT, check=False)
    result = f"failed ({done.returncode})" if done.returncode else OK
    return replace(said, result=result, seconds=time.monotonic() - began, log=str(log.relative_to(ROOT)))


def tail(said: Rehearsed) -> Sequence[str]:
    """The last lines that a step printed."""
    return (ROOT / said.log).read_text(encoding="utf-8", errors="replace").splitlines()[-SHOWN:] if said.log else ()


def _environment() -> dict[str, str]:
    """Without what make hands to the makes that it starts, and without what would take this for a workflow."""
    dropped = ("MAKEFLAGS", "MAKELEVEL", "MFLAGS", "MAKEOVERRIDES", "STACK", "BASE", "PR", "WITHOUT")
    return {k: v for k, v in os.environ.items() if k not in dropped and not k.startswith("GITHUB_")}


@contextmanager
def emulator() -> Iterator[str]:
    """An empty account for as long as the context lasts; its endpoint.

    Raises:
        ToolkitError: it does not start.
    """
    port = free_port()
    endpoint = f"http://{HOST}:{port}"
    LOGS.mkdir(parents=True, exist_ok=True)
    log = LOGS / "emulator.log"
    with log.open("w", encoding="utf-8") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "local.demo", "empty", "--port", str(port)],
            cwd=ROOT,
            stdout=file,
            stderr=subprocess.STDOUT,
        )
    try:
        deadline = time.monotonic() + START_SECONDS
        while "listens at" not in log.read_text(encoding="utf-8"):
            if process.poll() is not None or time.monotonic() > deadline:
                raise ToolkitError(f"the emulator did not start: {log.read_text(encoding='utf-8').strip()[-500:]}")
            time.sleep(0.2)
        yield endpoint
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
