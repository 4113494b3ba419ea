"""`python -m observability mutate`: which changes of an alarm would no incident notice?"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

import typer

from observability.commands import options
from observability.errors import ToolkitError
from observability.incidents import read_incidents
from observability.mutation import Fate, Report, mutate, read_equivalents
from observability.replay import shared_prefix

Paths = Annotated[
    list[Path],
    typer.Argument(metavar="PATH...", help="Incidents (YAML, observability/incidents.py), or directories of them."),
]
Only = Annotated[str, typer.Option("--only", metavar="PATTERN", help="Only alarms of such names, as *-errors-page.")]
Equivalents = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE", help="Mutants that cannot be told from their alarm; equivalents.yaml beside the incidents."
    ),
]
AtLeast = Annotated[float, typer.Option(min=0, max=100, metavar="PERCENT", help="How many have to be caught.")]
ShowCaught = Annotated[bool, typer.Option("--caught", help="List the mutants that were caught, too, and by what.")]


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
    only: Only = "*",
    equivalents: Equivalents = None,
    at_least: AtLeast = 95,
    caught: ShowCaught = False,
    as_json: options.AsJson = False,
) -> None:
    """Change every metric alarm in every small way, and see whether an incident notices."""
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
    lists = [equivalents] if equivalents else [each for path in paths if (each := path / "equivalents.yaml").exists()]
    known = [entry for each in lists for entry in read_equivalents(each)]
    report = mutate(incidents, estate, only=only, equivalents=known)
    if as_json:
        options.print_json(_document(report))
    else:
        _print(report, shared_prefix(estate.alarms), caught=caught)
    raise typer.Exit(0 if report.percent >= at_least and not report.useless else 1)


def _print(report: Report, prefix: str, *, caught: bool) -> None:
    console = options.console()
    for name in report.alarms:
        mine = report.of(name)
        total, alive = len(mine.counted), len(mine.survivors)
        same = len(mine.fates) - total
        note = f", {same} equivalent" if same else ""
        sign, style = ("✗", "red") if alive else ("✓", "green")
        console.print(f"{sign} {name.removeprefix(prefix)}: {total - alive} of {total} caught{note}", style=style)
        for fate in mine.fates:
            if fate.survived:
                console.print(f"    not noticed: {fate.mutant.change}")
            elif caught and fate.caught:
                console.print(f"    {fate.mutant.change}: {fate.caught.replace(prefix, '')}", style="dim")
    _print_equivalent(report.fates, prefix)
    for incident in report.useless:
        console.print(f"{incident.where}: {incident.title}: broken as it is, so it catches nothing", style="red")
    total = len(report.counted)
    console.print(
        f"{total - len(report.survivors):,} of {total:,} mutants caught, {report.percent:.1f} %;"
        f" {len(report.fates) - total:,} cannot be",
        style="bold",
    )


def _print_equivalent(fates: Iterable[Fate], prefix: str) -> None:
    by_reason: dict[str, list[str]] = {}
    for fate in fates:
        if fate.equivalent:
            name = f"{fate.mutant.of.removeprefix(prefix)}, {fate.mutant.change}"
            by_reason.setdefault(fate.equivalent, []).append(name)
    console = options.console()
    for reason, names in by_reason.items():
        console.print(f"equivalent, as {reason}:", style="dim")
        for name in names:
            console.print(f"    {name}", style="dim")


def _document(report: Report) -> dict[str, Any]:
    return {
        "percent": round(report.percent, 2),
        "caught": len(report.counted) - len(report.survivors),
        "counted": len(report.counted),
        "useless": [incident.where for incident in report.useless],
        "mutants": [
            {
                "alarm": fate.mutant.of,
                "kind": fate.mutant.kind,
                "mutant": fate.mutant.change,
                "caught": fate.caught,
                "equivalent": fate.equivalent,
            }
            for fate in report.fates
        ],
    }
