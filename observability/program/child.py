"""Runs inside the process of a recording: the program is run, and what it registered is written down.

The interpreter is the program's own, so nothing is imported here but Pulumi and the standard library.
"""

from __future__ import annotations

import json
import sys
import traceback
from pathlib import Path

import pulumi

from observability.errors import ToolkitError
from observability.program.answers import Answers
from observability.program.recorder import Recorder, plain, run_recorded, secrets
from observability.program.resources import Json, Recording, veiled


def main(request: str, answer: str) -> None:
    """Do what the file `request` asks for, and write the recording, or what went wrong, to the file `answer`."""
    asked: Json = json.loads(Path(request).read_text(encoding="utf-8"))
    _forget_the_toolkit()
    try:
        document = _recording(**asked).document()
    except ToolkitError as error:
        document = {"problem": str(error), "remedy": error.remedy}
    except pulumi.RunError as error:
        document = {"problem": str(error), "remedy": "", "trace": traceback.format_exc()}
    except Exception as error:
        document = {
            "problem": f"{type(error).__name__}: {error}{_at(error, Path(asked['root']))}",
            "remedy": _remedy(error),
            "trace": traceback.format_exc(),
        }
    Path(answer).write_text(json.dumps(document, default=str), encoding="utf-8")


def _recording(
    *, root: str, program: str, project: str, stack: str, config: dict[str, str], secret: list[str], answers: Json
) -> Recording:
    recorder = Recorder(Answers.read(answers), Path(root), config)
    outputs = run_recorded(Path(program), recorder, project=project, stack=stack, config=config, secret=secret)
    return Recording(
        project=project,
        stack=stack,
        resources=tuple(sorted(recorder.resources, key=lambda each: each.urn)),
        outputs=veiled(plain(outputs, Path(root)), tuple(secrets(outputs))),
        config={key: value for key, value in config.items() if key not in secret},
        notes=tuple(sorted(recorder.notes)),
    )


def _forget_the_toolkit() -> None:
    """A program may have modules of these names; at another revision of the toolkit's own tree, it has."""
    for name in [name for name in sys.modules if name.partition(".")[0] == "observability"]:
        del sys.modules[name]


def _at(error: BaseException, root: Path) -> str:
    """The last line of the program's own that was running."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if Path(frame.filename).is_relative_to(root)]
    frames = [frame for frame in frames if "site-packages" not in frame.filename]
    return f" ({Path(frames[-1].filename).relative_to(root).as_posix()}:{frames[-1].lineno})" if frames else ""


def _remedy(error: BaseException) -> str:
    if isinstance(error, ModuleNotFoundError):
        return f"Install the program's packages for {sys.executable}, or name another interpreter."
    return ""
