"""`python -m observability replay`: incidents are replayed, and told of as a timeline."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from observability.commands import options
from observability.errors import ToolkitError
from observability.incidents import Incident, read_incidents
from observability.replay import Outcome, outcome, prepare_all, uncovered
from observability.sources import Estate
from observability.timeline import document, lines, summary, verdict
from observability.timeline_page import page

Paths = Annotated[
    list[Path],
    typer.Argument(metavar="PATH...", help="Incidents (YAML, observability/incidents.py), or directories of them."),
]
Html = Annotated[Path | None, typer.Option("--html", metavar="FILE", help="Draw them all, as one page.")]
Brief = Annotated[bool, typer.Option("--brief", "-b", help="Of an incident that is as expected, only say so.")]
Coverage = Annotated[
    bool,
    typer.Option("--coverage", help="List alarms of which no incident wants that they fire, or that they stay quiet."),
]


def command(
    paths: Paths,
    program: options.Program = options.HERE,
    stack: options.Stack = "",
    config: options.Setting = None,
    answers: options.AnswersFile = None,
    python: options.Python = None,
    alarm: options.AlarmFiles = None,
    from_account: options.FromAccount = False,
    prefix: options.Prefix = "",
    html: Html = None,
    brief: Brief = False,
    coverage: Coverage = False,
    as_json: options.AsJson = False,
) -> None:
    """Replay incidents: what the alarms would have done, who would have been told, and what of it is not expected."""
    incidents = read_incidents(paths)
    if not incidents:
        raise ToolkitError(f"no incidents in {', '.join(map(str, paths))}")
    estate = options.load_estate(
        program=program,
        stack=stack,
        settings=config,
        answers=answers,
        python=python,
        alarm=alarm,
        from_account=from_account,
        prefix=prefix,
    ).estate
    options.tell_unread(estate)
    if coverage:
        raise typer.Exit(_cover(incidents, estate, as_json=as_json))
    outcomes = [outcome(stage) for stage in prepare_all(incidents, estate)]
    if html:
        html.parent.mkdir(parents=True, exist_ok=True)
        html.write_text(page(outcomes), encoding="utf-8")
    if as_json:
        options.print_json([document(each) for each in outcomes])
    else:
        _print(outcomes, brief=brief)
        if html:
            options.console().print(f"drawn in {html}")
    raise typer.Exit(0 if all(each.passed for each in outcomes) else 1)


def _print(outcomes: list[Outcome], *, brief: bool) -> None:
    console = options.console()
    for each in outcomes:
        if brief and each.passed:
            console.print(Text(f"{each.incident.title}:"), *verdict(each), sep="")
            continue
        for line in lines(each):
            console.print(line)
        console.print()
    console.print(summary(outcomes))


def _cover(incidents: list[Incident], estate: Estate, *, as_json: bool) -> int:
    found = uncovered(incidents, estate)
    groups = {"fire": found.must_fire, "stay quiet": found.must_stay_quiet}
    if as_json:
        options.print_json({"mustFire": list(found.must_fire), "mustStayQuiet": list(found.must_stay_quiet)})
    else:
        console = options.console()
        total = len(estate.alarms)
        for what, names in groups.items():
            console.print(f"{total - len(names)} of {total} alarms have an incident in which they must {what}")
            for name in names:
                console.print(f"  ✗ {name}", style="red")
    return 1 if any(groups.values()) else 0
