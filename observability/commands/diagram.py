"""`python -m observability diagram`: what hands on to what in a program, as Mermaid flowcharts."""

from __future__ import annotations

import typer

from observability.commands.options import HERE, AnswersFile, Program, Python, Setting, Stack, record_program
from observability.diagrams.page import page


def command(
    *,
    program: Program = HERE,
    stack: Stack = "",
    config: Setting = None,
    answers: AnswersFile = None,
    python: Python = None,
) -> None:
    """What hands on to what in a program, as Markdown with flowcharts that GitHub draws; and what components hold."""
    typer.echo(page(record_program(program, stack, settings=config, answers=answers, python=python)), nl=False)
