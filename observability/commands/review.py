"""`python -m observability review`: what a change does, as Markdown for a pull request."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Final

import typer

from observability.commands import options
from observability.commands.bill import USAGE
from observability.emissions import NOTHING_KNOWN, Emitted, emitted_by
from observability.errors import ToolkitError
from observability.incidents import Incident, read_incidents
from observability.ingest import from_emf
from observability.prices import Plan
from observability.program.config import read_project
from observability.review.costs import Costing
from observability.review.dashboards import Canvas, DashboardChange, canvas, picture
from observability.review.page import Drawn, headline, page
from observability.review.revisions import revisions
from observability.review.stack import Inputs, StackReview, review, stacks_of
from observability.sources import load
from observability.store import MetricStore
from observability.usage import read_usage

OUT: Final = Path("build/review")
INCIDENTS: Final = Path("tests/incidents")
SHARED: Final = ("build/package",)

Base = Annotated[str, typer.Option("--base", metavar="REF", help="The revision to compare with, as git knows it.")]
Head = Annotated[
    str, typer.Option("--head", metavar="REF", help="The revision to review, in place of the working tree as it is.")
]
Stacks = Annotated[
    list[str] | None, typer.Option("--stack", "-s", help="A stack; may be repeated. All that have a file, without.")
]
Incidents = Annotated[
    Path | None,
    typer.Option(
        metavar="PATH", help="Incidents to replay.", show_default=f"{INCIDENTS} of the program, if it is there"
    ),
]
EmfFiles = Annotated[
    list[Path] | None,
    typer.Option("--emf", metavar="FILE", help="Log of a (test) run with EMF records: nothing else is emitted then."),
]
UsageFile = Annotated[
    Path | None,
    typer.Option(
        "--usage", metavar="FILE", help="What a run used.", show_default=f"{USAGE} of the program, if it is there"
    ),
]
Share = Annotated[
    list[str] | None,
    typer.Option(
        metavar="DIR",
        help="A folder of the program that git does not keep and that its runs need not make anew, such as built"
        " packages: each revision gets a copy. May be repeated.",
        show_default=", ".join(SHARED),
    ),
]
Out = Annotated[Path, typer.Option("--out", metavar="DIR", help="Where review.md and pictures are written.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print one line for each stack, not the page.")]


def command(
    base: Base,
    head: Head = "",
    program: options.Program = options.HERE,
    stack: Stacks = None,
    config: options.Setting = None,
    answers: options.AnswersFile = None,
    python: options.Python = None,
    incidents: Incidents = None,
    emf: EmfFiles = None,
    usage: UsageFile = None,
    plan: Annotated[Plan, typer.Option(help="The account's plan at SES.")] = Plan.ESSENTIALS,
    volume: Annotated[int, typer.Option(min=0, metavar="EMAILS", help="Emails a month, for the bill.")] = 1000,
    share: Share = None,
    out: Out = OUT,
    quiet: Quiet = False,
) -> None:
    """Say what a change does to resources, permissions, alarms, dashboards and the bill, for a pull request.

    The program is run at both revisions, for each stack, and nothing is deployed. Exit code 1 if it fails at one of
    them, or if the change breaks what an incident expects, a policy, or an alarm.
    """
    counted = usage or (program / USAGE if (program / USAGE).exists() else None)
    told = _incidents(program, incidents)
    with revisions(program, base, head, SHARED if share is None else share) as (before, after):
        inputs = Inputs(
            settings=options.parsed_settings(config or ()),
            answers=load(answers) if answers else None,
            python=python or _python(program),
            incidents=told,
            costing=Costing(read_usage(counted) if counted else None, plan, volume),
            emitted=_emitted(emf or ()),
        )
        known = stacks_of(before, after)
        if unknown := sorted({*(stack or ())} - {*known}):
            raise ToolkitError(
                f"there is no stack {unknown[0]!r} at either revision", f"There are: {', '.join(known)}."
            )
        reviews = review(before, after, sorted({*stack}) if stack else known, inputs)
    out.mkdir(parents=True, exist_ok=True)
    pictures, note = _draw(reviews, told, out)
    text = page(before, after, reviews, pictures, note)
    file = out / "review.md"
    file.write_text(text, encoding="utf-8")
    if quiet:
        for each in reviews:
            options.console().print(headline(each))
        options.console().print(str(file))
    else:
        typer.echo(text, nl=False)
    if any(each.faulty for each in reviews):
        raise typer.Exit(1)


def _python(program: Path) -> Path | None:
    """The interpreter of the working tree's program: a worktree has no virtual environment."""
    return read_project(program.resolve()).python if (program / "Pulumi.yaml").is_file() else None


def _incidents(program: Path, given: Path | None) -> Sequence[Incident]:
    folder = given or program / INCIDENTS
    return read_incidents([folder]) if given or folder.is_dir() else ()


def _emitted(files: Sequence[Path]) -> Emitted:
    """What the logs say is emitted; that is all there is, where there are any."""
    store = MetricStore()
    for path in files:
        try:
            from_emf(path.read_text(encoding="utf-8").splitlines(), store)
        except (OSError, UnicodeDecodeError) as error:
            raise ToolkitError(f"{path}: cannot be read: {error}") from error
    return emitted_by(store, ", ".join(path.name for path in files)) if files else NOTHING_KNOWN


def _draw(
    reviews: Sequence[StackReview], incidents: Sequence[Incident], out: Path
) -> tuple[dict[tuple[str, str], Drawn], str]:
    """Pictures of the dashboards that are different, of one stack: the others' look the same, or have no series."""
    chosen = sorted((each for each in reviews if each.dashboards), key=lambda each: not each.watching)[:1]
    for each in chosen:
        on = canvas(incidents, each.after.estate)
        return {(each.stack, changed.name): _pictures(each, changed, on, out) for changed in each.dashboards}, on.note
    return {}, ""


def _pictures(reviewed: StackReview, changed: DashboardChange, on: Canvas, out: Path) -> Drawn:
    files: dict[str, str] = {}
    problems = []
    sides = (("before", changed.before, reviewed.before), ("now", changed.after, reviewed.after))
    for when, dashboard, side in sides:
        if dashboard is None:
            continue
        made = picture(dashboard, side.estate, on)
        if made.problem:
            problems.append(made.problem)
            continue
        name = re.sub(r"[^A-Za-z0-9_-]+", "-", f"{reviewed.stack}-{changed.name}-{when}") + ".png"
        (out / name).write_bytes(made.png)
        files[when] = name
    return Drawn(files.get("before", ""), files.get("now", ""), "; ".join(problems))
