"""`python -m observability`: what alarms, dashboards and a change would do, with nothing deployed."""

from __future__ import annotations

import typer

from observability.commands import bill, check, diagram, evaluate, mutate, render, replay, review
from observability.shell import refusing

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
    with refusing():
        app(prog_name="python -m observability")


if __name__ == "__main__":
    main()
