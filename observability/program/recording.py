"""Runs a program in a process of its own and brings home what it registered."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from observability.errors import ToolkitError
from observability.program.config import Value, read_project, secret_keys, stack_config
from observability.program.resources import Recording

TOOLKIT: Final = Path(__file__).resolve().parents[2]
"""The folder that `observability` is in."""

TIMEOUT: Final = 600
"""Seconds that a program may run; one that builds its packages takes minutes."""

_BOOT: Final = (
    "import sys; sys.path.insert(0, sys.argv[1]); from observability.program.child import main;"
    " sys.path.remove(sys.argv[1]); main(*sys.argv[2:])"
)
_SHOWN: Final = 5
"""Lines of a program's standard error that are shown when it ends without a word."""

_NO_ACCOUNT: Final = {
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    "PULUMI_ERROR_OUTPUT_STRING": "true",
}


def record(
    folder: Path,
    stack: str,
    settings: Mapping[str, Value] | None = None,
    *,
    answers: Mapping[str, Any] | None = None,
    python: Path | None = None,
    timeout: float = TIMEOUT,
) -> Recording:
    """What the program in `folder` registers for `stack`, with neither Pulumi CLI nor provider nor account.

    It runs as the CLI would run it, in a process of its own, without any AWS credentials of the caller's; what it
    prints is dropped.

    Args:
        folder: with Pulumi.yaml.
        settings: over those of the stack file; a key without a namespace belongs to the project.
        answers: to look-ups, in the shape of `answers.Answers`.
        python: interpreter; by default that of the virtual environment which Pulumi.yaml names, else this one.
        timeout: seconds.

    Raises:
        ToolkitError: settings that the CLI would refuse, a program that fails (with its own message; its stack trace
            is among the error's notes), or one that looks up what nobody answers.
    """
    project = read_project(folder.resolve())
    asked = {
        "root": str(project.root),
        "program": str(project.program),
        "project": project.name,
        "stack": stack,
        "config": stack_config(stack, settings, root=project.root),
        "secret": sorted(secret_keys(stack, root=project.root)),
        "answers": dict(answers or {}),
    }
    with tempfile.TemporaryDirectory(prefix="recording-") as kept:
        request, answer = Path(kept, "request.json"), Path(kept, "answer.json")
        request.write_text(json.dumps(asked), encoding="utf-8")
        interpreter = str(python or project.python or sys.executable)
        where = f"program {project.name!r}, stack {stack!r}"
        try:
            done = subprocess.run(
                [interpreter, "-c", _BOOT, str(TOOLKIT), str(request), str(answer)],
                cwd=project.root,
                env=_environment(),
                capture_output=True,
                text=True,
                check=False,
                timeout=timeout,
            )
        except subprocess.TimeoutExpired:
            raise ToolkitError(f"{where}: still running after {timeout:g} s") from None
        except OSError as error:
            raise ToolkitError(f"{where}: {interpreter} cannot be run: {error.strerror}") from None
        if not answer.exists():
            said = "\n".join(done.stderr.strip().splitlines()[-_SHOWN:])
            raise ToolkitError(
                f"{where}: it ended with exit code {done.returncode} and no recording:\n{said}",
                f"Is `pulumi` installed for {interpreter}?" if "No module named 'pulumi" in said else "",
            )
        document = json.loads(answer.read_text(encoding="utf-8"))
    if "problem" in document:
        failure = ToolkitError(f"{where}: {document['problem']}", document["remedy"])
        if trace := document.get("trace"):
            failure.add_note(trace)
        raise failure
    return Recording.read(document)


def _environment() -> dict[str, str]:
    """That of the caller, save what leads to an account and to the toolkit's own tree."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    paths = [each for each in kept.pop("PYTHONPATH", "").split(os.pathsep) if each]
    if others := [each for each in paths if Path(each).resolve() != TOOLKIT]:
        kept["PYTHONPATH"] = os.pathsep.join(others)
    return {**kept, **_NO_ACCOUNT}
