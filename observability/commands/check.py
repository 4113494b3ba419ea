"""`check`: would anybody ever hear of it?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.text import Text

from observability.account import client, emitted_in_account
from observability.check import Finding, Severity, check
from observability.commands import options
from observability.emissions import NOTHING_KNOWN, Emitted, emitted_by
from observability.errors import ToolkitError
from observability.ingest import from_emf, from_put_metric_data
from observability.looks import looks
from observability.sources import load
from observability.store import MetricStore

FOUND: Final = 1
"""Exit code when there is a fault."""

STYLES: Final = {Severity.FAULT: "bold red", Severity.NOTE: "yellow"}
INDENT: Final = "  "

EmfFiles = Annotated[
    list[Path] | None,
    typer.Option("--emf", metavar="FILE", help="Log of a (test) run with records in embedded metric format."),
]
DataFiles = Annotated[
    list[Path] | None,
    typer.Option("--metric-data", metavar="FILE", help="What PutMetricData is given, as JSON or YAML: one or a list."),
]
Elsewhere = Annotated[
    list[str] | None,
    typer.Option(metavar="NAME", help="Resource or alarm that is made elsewhere, and therefore right to name."),
]


def command(
    program: options.Program = options.HERE,
    stack: options.Stack = "",
    config: options.Setting = None,
    answers: options.AnswersFile = None,
    python: options.Python = None,
    alarm: options.AlarmFiles = None,
    from_account: options.FromAccount = False,
    prefix: options.Prefix = "",
    emf: EmfFiles = None,
    metric_data: DataFiles = None,
    elsewhere: Elsewhere = None,
    as_json: options.AsJson = False,
) -> None:
    """Say which alarms and graphs look at what nobody emits, and how to mend them.

    Known to emit are AWS's services (a catalogue), the program's log metric filters, and whatever logs are handed over
    with --emf and --metric-data. Exit code 1 if there is a fault.
    """
    loaded = options.load_estate(
        program=program,
        stack=stack,
        settings=config,
        answers=answers,
        python=python,
        alarm=alarm,
        from_account=from_account,
        prefix=prefix,
    )
    emitted, refused = _emitted(emf or (), metric_data or ())
    if from_account:
        names = {look.key.namespace for look in looks(loaded.estate)}
        emitted += emitted_in_account(client("cloudwatch"), names)
    recording = loaded.recording
    found = refused + check(
        loaded.estate,
        emitted,
        recording.resources if recording else None,
        elsewhere=elsewhere or (),
        complete=not alarm and not prefix,
    )
    if as_json:
        options.print_json(
            {
                "findings": [each.document() for each in found],
                "checked": {f"{what}s": number for what, number in _checked(loaded).items()},
            }
        )
    else:
        _print(found, _checked(loaded), recording.notes if recording else ())
    if any(each.severity is Severity.FAULT for each in found):
        raise typer.Exit(FOUND)


def _emitted(emf: Sequence[Path], metric_data: Sequence[Path]) -> tuple[Emitted, list[Finding]]:
    """What the files say is emitted, and the records in them that CloudWatch would make nothing of."""
    emitted, refused = NOTHING_KNOWN, []
    for path in emf:
        store = MetricStore()
        taken = from_emf(_lines(path), store)
        refused += [_refused(path, each.line, each.reason) for each in taken.refused]
        if not taken.records and not taken.refused:
            raise ToolkitError(f"{path}: there is no record in embedded metric format", "Records have a member _aws.")
        emitted = _joined(emitted, emitted_by(store, path.name))
    for path in metric_data:
        store = MetricStore()
        from_put_metric_data(load(path), store)
        emitted = _joined(emitted, emitted_by(store, path.name))
    return emitted, refused


def _joined(one: Emitted, other: Emitted) -> Emitted:
    """Both: what was handed over is taken to be all there is, however many files it is in."""
    return Emitted(one.emissions + other.emissions, complete=True)


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ToolkitError(f"{path}: cannot be read: {error}") from error


def _refused(path: Path, line: int, reason: str) -> Finding:
    return Finding(
        Severity.FAULT,
        "record",
        f"{path.name}, line {line}",
        f"CloudWatch makes no metrics of this record: {reason}",
        remedy="Mend what writes it.",
        source=f"{path}:{line}",
    )


def _checked(loaded: options.Loaded) -> dict[str, int]:
    estate = loaded.estate
    return {
        "alarm": len(estate.alarms),
        "dashboard": len(estate.dashboards),
        "metric": len({look.key for look in looks(estate)}),
    }


def _print(found: Sequence[Finding], checked: dict[str, int], notes: Iterable[str]) -> None:
    console = options.console()
    for each in found:
        head = Text.assemble((each.severity, STYLES[each.severity]), "  ", (each.where, "bold"))
        if each.source:
            head.append(f"  {each.source}", "dim")
        console.print(head)
        looked = f"looks at {each.what}" if each.what else ""
        for said, style in ((looked, ""), (each.problem, ""), (each.remedy, "green")):
            for line in said.splitlines():
                console.print(Text(f"{INDENT}{line}", style))
        console.print()
    for note in notes:
        console.print(Text(f"Not seen: {note}."))
    tally = Counter(each.severity for each in found)
    what = ", ".join(_number(number, name) for name, number in checked.items())
    faults, judged = tally[Severity.FAULT], tally[Severity.NOTE]
    console.print(f"{what} checked: {_number(faults, 'fault')}, {_number(judged, 'note')}.")


def _number(count: int, what: str) -> str:
    return f"{count or 'no'} {what}{'' if count == 1 else 's'}"
