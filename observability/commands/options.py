"""What commands share: which alarms and dashboards are meant, and how an answer is printed."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.console import Console

from observability.account import estate_of_account
from observability.errors import ToolkitError
from observability.program import Recording, record
from observability.program.config import read_project
from observability.sources import Estate, estate_from_files, estate_of, load

HERE: Final = Path()

Program = Annotated[
    Path,
    typer.Option("--program", metavar="DIR", help="Folder of a Pulumi program in Python; it is run, not deployed."),
]
Stack = Annotated[
    str, typer.Option("--stack", "-s", help="The program's stack; may be left out where there is but one.")
]
Setting = Annotated[
    list[str] | None,
    typer.Option("--config", "-c", metavar="KEY=VALUE", help="A setting over the stack's own; may be repeated."),
]
AnswersFile = Annotated[
    Path | None,
    typer.Option(
        "--answers",
        metavar="FILE",
        help='What the program finds when it looks something up, as JSON: {"functions": {TOKEN: RESULT}, "stacks":'
        ' {NAME: OUTPUTS}, "resources": {TYPE: PROPERTIES}, "account": ..., "region": ...}.',
    ),
]
Python = Annotated[
    Path | None, typer.Option(help="The program's interpreter, where it is not that of Pulumi.yaml's virtualenv.")
]
AlarmFiles = Annotated[
    list[Path] | None,
    typer.Option(
        "--alarm",
        metavar="FILE",
        help="Alarms as JSON or YAML, in the shape of PutMetricAlarm or DescribeAlarms, in place of a program's; may"
        " be repeated.",
    ),
]
FromAccount = Annotated[
    bool,
    typer.Option(
        "--from-account", help="The alarms of the account that boto3 finds (AWS_PROFILE, AWS_REGION) instead."
    ),
]
Prefix = Annotated[str, typer.Option(help="With --from-account: only what has a name that begins so.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for another program.")]


@dataclass(frozen=True)
class Loaded:
    """What a command works on.

    Attributes:
        recording: of the program, where the alarms are a program's.
    """

    estate: Estate
    recording: Recording | None = None


def load_estate(
    *,
    program: Path = HERE,
    stack: str = "",
    settings: Sequence[str] | None = None,
    answers: Path | None = None,
    python: Path | None = None,
    alarm: Sequence[Path] | None = None,
    from_account: bool = False,
    prefix: str = "",
) -> Loaded:
    """The alarms and dashboards that the shared options mean: an account's, those in files, else a program's.

    Raises:
        ToolkitError: two of these are asked for, or what is asked for cannot be used.
    """
    if alarm and from_account:
        raise ToolkitError("--alarm and --from-account are two sources of alarms", "Give one of them.")
    if from_account:
        return Loaded(estate_of_account(prefix=prefix))
    if alarm:
        return Loaded(estate_from_files(alarm))
    recording = record_program(program, stack, settings=settings, answers=answers, python=python)
    return Loaded(estate_of(recording), recording)


def tell_unread(estate: Estate) -> None:
    """Say on standard error what is left out, and why."""
    for unread in estate.unread:
        console(error=True).print(f"left out: {unread.problem}", style="yellow")


def record_program(
    program: Path,
    stack: str = "",
    *,
    settings: Sequence[str] | None = None,
    answers: Path | None = None,
    python: Path | None = None,
) -> Recording:
    """A recording of the program that the shared options mean.

    Raises:
        ToolkitError: the program cannot be run, or it has several stacks and none is named.
    """
    return record(
        program,
        stack or only_stack(program),
        parsed_settings(settings or ()),
        answers=load(answers) if answers else None,
        python=python,
    )


def only_stack(program: Path) -> str:
    """The stack that is meant where none is named: the only one with a file.

    Raises:
        ToolkitError: there are several.
    """
    stacks = read_project(program).stacks
    if len(stacks) > 1:
        raise ToolkitError(f"{program}: the program has stacks {', '.join(stacks)}", "Name one with --stack.")
    return stacks[0] if stacks else "dev"


def parsed_settings(given: Sequence[str]) -> dict[str, str]:
    """`KEY=VALUE` by key. Raises ToolkitError: one is not that."""
    pairs = [each.partition("=") for each in given]
    if wrong := [key for key, sign, _ in pairs if not sign or not key]:
        raise ToolkitError(f"--config {wrong[0]!r} is not KEY=VALUE")
    return {key: value for key, _, value in pairs}


def console(*, error: bool = False) -> Console:
    """Where answers are printed: words are never guessed to be markup, and long lines are left to the terminal."""
    return Console(stderr=error, highlight=False, soft_wrap=True, markup=False)


def print_json(value: Any) -> None:
    """For another program: without colours."""
    sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=False, default=str) + "\n")
