"""`python -m observability render`: dashboards as pages and pictures, with nothing deployed."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Final

import typer

from observability.account import client, store_of_account
from observability.commands import options
from observability.commands.evaluate import Measured, instant, read_measured
from observability.dashboards import Rendering, earliest, metrics_of, render
from observability.errors import ToolkitError
from observability.model import MINUTE, Dashboard, State
from observability.simulation import simulate
from observability.sources import Estate, estate_from_files, estate_of_documents, load
from observability.store import MetricStore

Bodies = Annotated[
    list[Path] | None,
    typer.Option(
        "--body",
        metavar="FILE",
        help="A dashboard's body, or what GetDashboard answers, as JSON, in place of a program's dashboards; may be"
        " repeated.",
    ),
]
SeriesFiles = Annotated[
    list[Path] | None,
    typer.Option(
        "--series",
        metavar="FILE",
        help="What to draw: YAML as incidents have it, JSON as PutMetricData takes it, or lines of EMF (.jsonl); may be"
        " repeated. Without any the graphs are empty.",
    ),
]
From = Annotated[
    str, typer.Option("--from", metavar="TIME", help="Draw from this time, not the range that the dashboard says.")
]
To = Annotated[str, typer.Option("--to", metavar="TIME", help="Draw as at this time, not as at the end of the series.")]
Out = Annotated[Path, typer.Option("--out", metavar="DIR", help="Where pages and pictures are written.")]
Dark = Annotated[bool, typer.Option("--dark", help="Pictures in dark colours. A page is as its reader likes it.")]
Widgets = Annotated[bool, typer.Option("--widgets", help="A picture of each widget, too.")]

DEFAULT_OUT: Final = Path("build/dashboards")
_NO_NAME = re.compile(r"[^A-Za-z0-9_.-]+")


def command(
    program: options.Program = options.HERE,
    stack: options.Stack = "",
    config: options.Setting = None,
    answers: options.AnswersFile = None,
    python: options.Python = None,
    alarm: options.AlarmFiles = None,
    from_account: options.FromAccount = False,
    prefix: options.Prefix = "",
    body: Bodies = None,
    series: SeriesFiles = None,
    from_: From = "",
    to: To = "",
    out: Out = DEFAULT_OUT,
    dark: Dark = False,
    widgets: Widgets = False,
) -> None:
    """Draw dashboards from their bodies: a page and a picture of each, as the console would show them."""
    if body:
        estate = _estate_of_bodies(body, alarm or ())
    else:
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
    for unread in estate.unread:
        if unread.what.startswith("dashboard "):
            options.console(error=True).print(f"not drawn: {unread.problem}")
    if not estate.dashboards:
        raise ToolkitError("there are no dashboards", "Name another program or stack, or hand over a body with --body.")
    live = from_account and not series
    measured = _measured(series or ())
    end = instant(to, "--to", measured.start) if to else measured.end
    span = end - instant(from_, "--from", measured.start) if from_ else None
    if span is not None and span <= 0:
        raise ToolkitError("--from is not before the end of what is drawn", "Give an earlier one, or a later --to.")
    states = _states_told(estate) if live else _states(estate, measured, end) if series else {}
    out.mkdir(parents=True, exist_ok=True)
    for dashboard in estate.dashboards:
        store = _live(dashboard, end, span) if live else measured.store
        rendering = render(dashboard, store, end=end, span=span, alarms=estate.alarms, states=states)
        files = _write(rendering, out, dark=dark, widgets=widgets)
        _tell(rendering, files, drawn=bool(series) or live)


def _estate_of_bodies(bodies: Sequence[Path], alarms: Sequence[Path]) -> Estate:
    known = estate_from_files(alarms) if alarms else Estate()
    documents = []
    for path in bodies:
        document = load(path)
        if not isinstance(document, Mapping) or not {"widgets", "DashboardBody"} & document.keys():
            raise ToolkitError(f"{path}: expected the body of a dashboard (widgets), or what GetDashboard answers")
        documents.append(
            {"DashboardName": path.stem, "DashboardBody": document}
            if "widgets" in document
            else {"DashboardName": path.stem, **document}
        )
    estate = estate_of_documents(documents)
    for unread in estate.unread:
        raise ToolkitError(unread.problem, unread.remedy)
    return Estate(alarms=known.alarms, mutes=known.mutes, dashboards=estate.dashboards)


def _measured(paths: Sequence[Path]) -> Measured:
    """Everything in the files; without any, nothing, up to now."""
    if not paths:
        now = int(time.time()) // MINUTE * MINUTE
        return Measured(MetricStore(), now, now)
    read = [read_measured(path) for path in paths]
    store = MetricStore.merged(*(each.store for each in read))
    return Measured(store, min(each.start for each in read), max(each.end for each in read))


def _states(estate: Estate, measured: Measured, end: int) -> dict[str, State]:
    """The states at the end of what was measured, as evaluated. An alarm that cannot be evaluated has none."""
    if end <= measured.start:
        return {}
    try:
        simulation = simulate(estate.alarms, measured.store, measured.start, end, mutes=estate.mutes)
    except ToolkitError as error:
        options.console(error=True).print(f"States of alarms are not shown: {error}")
        return {}
    first = {alarm.name: State.INSUFFICIENT_DATA for alarm in estate.alarms}
    return first | {change.alarm: change.after for change in simulation.changes}


def _states_told(estate: Estate) -> dict[str, State]:
    """The states that DescribeAlarms answers."""
    return {
        alarm.name: State(alarm.document["StateValue"]) for alarm in estate.alarms if alarm.document.get("StateValue")
    }


def _live(dashboard: Dashboard, end: int, span: int | None) -> MetricStore:
    """What the account has of a dashboard's metrics."""
    start = min(end - span if span else end, earliest(dashboard, end))
    return store_of_account(client("cloudwatch"), metrics_of(dashboard), start, end)


def _write(rendering: Rendering, out: Path, *, dark: bool, widgets: bool) -> list[Path]:
    name = _NO_NAME.sub("-", rendering.name)
    page, picture = out / f"{name}.html", out / f"{name}.png"
    page.write_text(rendering.html(), encoding="utf-8")
    picture.write_bytes(rendering.png(dark=dark))
    files = [page, picture]
    if widgets:
        folder = out / name
        folder.mkdir(exist_ok=True)
        for number, (widget, png) in enumerate(rendering.widget_pngs(dark=dark), 1):
            file = folder / f"{number:02}-{_NO_NAME.sub('-', widget.title).strip('-').lower()[:60]}.png"
            file.write_bytes(png)
            files.append(file)
    return files


def _tell(rendering: Rendering, files: Sequence[Path], *, drawn: bool) -> None:
    """Where it was written, and which lines have nothing to show: they may name a metric that nobody emits."""
    console = options.console()
    console.print(f"{rendering.name}: {len(rendering.widgets)} widgets, {', '.join(map(str, files[:2]))}")
    if len(files) > 2:
        console.print(f"  {len(files) - 2} widgets alone, in {files[2].parent}")
    for painted in rendering.widgets if drawn else ():
        if painted.empty:
            console.print(f"  no data: {painted.widget.title}: {', '.join(painted.empty)}")
