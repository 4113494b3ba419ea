"""`python -m observability`: what alarms, dashboards and a change would do, with nothing deployed."""

from __future__ import annotations

import sys

import typer
from rich.console import Console

from observability.commands import bill, check, diagram, evaluate, mutate, render, replay, review
from observability.errors import ToolkitError

UNUSABLE = 2
"""Exit code when what was given cannot be used; 1 is a finding or a broken expectation."""

app = typer.Typer(
    help="What CloudWatch alarms, dashboards and a change would do, with nothing deployed.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    rich_markup_mode=None,
)
for module in (evaluate, replay, mutate, check, render, bill, diagram, review):
    app.command(module.__name__.rsplit(".", 1)[-1])(module.command)


def main() -> None:
    """Run a command; what cannot be used is said in a sentence, with what to do about it."""
    try:
        app(prog_name="python -m observability")
    except ToolkitError as error:
        console = Console(stderr=True, highlight=False, soft_wrap=True)
        console.print(f"error: {error}", style="red", markup=False)
        if error.remedy:
            console.print(error.remedy, markup=False)
        sys.exit(UNUSABLE)


if __name__ == "__main__":
    main()
