"""`python -m observability evaluate`: what alarms make of series, change by change or at an instant."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.console import Console
from rich.text import Text

from observability.commands.options import AsJson, console, print_json, tell_unread
from observability.documents import seconds_of
from observability.errors import ToolkitError
from observability.evaluation import Change, Reading, Verdict, evaluate
from observability.expectations import spoken
from observability.ingest import from_emf, from_put_metric_data
from observability.model import MINUTE, Alarm, MetricAlarm, State
from observability.reasons import breaches, number
from observability.series import read_series_file
from observability.simulation import AlarmSet, Notice, Simulation, simulate
from observability.sources import estate_from_files, load
from observability.store import MetricStore

LOGS: Final = (".jsonl", ".ndjson", ".log")
YAML: Final = (".yaml", ".yml")

_STYLES: Final = {State.OK: "green", State.ALARM: "bold red", State.INSUFFICIENT_DATA: "yellow"}
_TIME: Final = "as 2026-01-05T02:20Z, or counted from where the series begin, as 2h20m"

AlarmFiles = Annotated[
    list[Path],
    typer.Option(
        "--alarm",
        metavar="FILE",
        help="Alarms as JSON or YAML, in the shape of PutMetricAlarm, PutCompositeAlarm or DescribeAlarms; may be"
        " repeated.",
    ),
]
SeriesFile = Annotated[
    Path,
    typer.Option(
        "--series",
        metavar="FILE",
        help="What was measured: YAML as incidents have it, JSON as PutMetricData takes it, or lines of EMF"
        f" ({', '.join(LOGS)}).",
    ),
]
Before = Annotated[State, typer.Option("--state", help="The state of every alarm to begin with.")]
At = Annotated[str, typer.Option("--at", metavar="TIME", help=f"Evaluate once, at this time: {_TIME}.")]
From = Annotated[
    str, typer.Option("--from", metavar="TIME", help=f"Look at changes after this time, not from the start: {_TIME}.")
]
To = Annotated[
    str, typer.Option("--to", metavar="TIME", help=f"Look at changes up to this time, not to the end: {_TIME}.")
]


@dataclass(frozen=True, slots=True)
class Measured:
    """Series, and the epoch seconds at which they begin and end."""

    store: MetricStore
    start: int
    end: int


def command(
    alarm: AlarmFiles,
    series: SeriesFile,
    state: Before = State.INSUFFICIENT_DATA,
    at: At = "",
    from_: From = "",
    to: To = "",
    as_json: AsJson = False,
) -> None:
    """Evaluate alarms over series: each change of state with its time, its reason and the data points used."""
    if at and (from_ or to):
        raise ToolkitError("--at is one evaluation, --from and --to are many", "Give one or the other.")
    alarms, measured = _evaluable(alarm), read_measured(series)
    if at:
        standing = stand(alarms, measured.store, instant(at, "--at", measured.start), state)
        if as_json:
            print_json(standing.document())
        else:
            standing.print(console())
        return
    start = instant(from_, "--from", measured.start) if from_ else measured.start
    end = instant(to, "--to", measured.start) if to else measured.end
    if end <= start:
        raise ToolkitError(f"--to is {_time(end)}, and evaluations begin after {_time(start)}: there are none")
    simulation = simulate(alarms, measured.store, start, end, initial={each.name: state for each in alarms})
    if as_json:
        print_json(_document(simulation, alarms, state))
    else:
        _print(simulation, alarms, state, console())


def _evaluable(files: Sequence[Path]) -> tuple[Alarm, ...]:
    """The alarms in the files. One that is only beyond what is evaluated here is left out, and told of.

    Raises:
        ToolkitError: CloudWatch would refuse one as well, or none is left.
    """
    estate = estate_from_files(files)
    for unread in estate.unread:
        if unread.fault or not estate.alarms:
            raise ToolkitError(unread.problem, unread.remedy)
    tell_unread(estate)
    if not estate.alarms:
        raise ToolkitError(f"no alarms in {', '.join(map(str, files))}")
    return estate.alarms


def read_measured(path: Path) -> Measured:
    """The series in a file of any of the kinds that `--series` takes.

    Raises:
        ToolkitError: with the place at fault; or there is nothing in it.
    """
    if path.suffix in YAML:
        return Measured(*read_series_file(path))
    store = MetricStore()
    if path.suffix in LOGS:
        _read_emf(path, store)
    else:
        document = load(path)
        if not isinstance(document, Mapping | list):
            raise ToolkitError(
                f"{path}: expected what PutMetricData is given: Namespace and MetricData, or a list of such"
            )
        from_put_metric_data(document, store)
    if (span := store.span()) is None:
        raise ToolkitError(f"{path}: it has no data points")
    first, last = span
    return Measured(store, first // MINUTE * MINUTE, last // MINUTE * MINUTE + MINUTE)


def instant(text: str, option: str, start: int) -> int:
    """Epoch seconds of a time as an option gives it.

    Raises:
        ToolkitError: it is neither a time nor a duration.
    """
    if (after := seconds_of(text)) is not None:
        return start + after
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        raise ToolkitError(f"{option} is {text!r}", f"Write a time {_TIME}.") from None
    return int((time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp())


@dataclass(frozen=True, slots=True)
class Standing:
    """How alarms stand at an instant. `verdicts` are of the metric alarms, `reasons` of the composites that changed."""

    at: int
    states: Mapping[str, State]
    verdicts: Mapping[str, Verdict]
    reasons: Mapping[str, str]
    alarms: Sequence[Alarm]

    def document(self) -> Any:
        return {
            "at": _time(self.at),
            "alarms": [
                {
                    "alarm": each.name,
                    "state": self.states[each.name],
                    "reason": self._reason(each.name),
                    **(
                        {"dataPoints": _points(found.readings), "reasonData": found.reason_data}
                        if (found := self.verdicts.get(each.name))
                        else {}
                    ),
                }
                for each in self.alarms
            ],
        }

    def print(self, out: Console) -> None:
        out.print(_time(self.at))
        for alarm in self.alarms:
            out.print(Text.assemble("\n", alarm.name, " is ", _styled(self.states[alarm.name])))
            if said := self._reason(alarm.name):
                out.print(f"  {said}")
            if isinstance(alarm, MetricAlarm):
                out.print(Text("  ") + _shown(alarm, self.verdicts[alarm.name].readings))

    def _reason(self, name: str) -> str:
        return self.verdicts[name].reason if name in self.verdicts else self.reasons.get(name, "")


def stand(alarms: Sequence[Alarm], store: MetricStore, at: int, state: State) -> Standing:
    """How alarms stand at `at` (epoch seconds) that were in `state` before.

    Raises:
        ToolkitError: an alarm cannot be evaluated.
    """
    verdicts = {each.name: evaluate(each, store, at, state) for each in alarms if isinstance(each, MetricAlarm)}
    together = AlarmSet(alarms, initial={each.name: state for each in alarms})
    changed, _ = together.step(
        at, [Change(name, at, state, found.state, found.reason) for name, found in verdicts.items()]
    )
    return Standing(at, dict(together.states), verdicts, {each.alarm: each.reason for each in changed}, alarms)


def _read_emf(path: Path, store: MetricStore) -> None:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ToolkitError(f"{path}: cannot be read: {error}") from error
    for refusal in from_emf(lines, store).refused:
        console(error=True).print(f"{path}, line {refusal.line}: no metrics are taken from it: {refusal.reason}")


def _document(simulation: Simulation, alarms: Sequence[Alarm], state: State) -> Any:
    notices = _by_change(simulation.notices)
    return {
        "from": _time(simulation.start),
        "to": _time(simulation.end),
        "changes": [
            {
                "alarm": change.alarm,
                "at": _time(change.at),
                "before": change.before,
                "after": change.after,
                "reason": change.reason,
                "dataPoints": _points(change.readings),
                "reasonData": change.reason_data,
                "actions": [
                    {"at": _time(each.at), "arns": list(each.actions), "withheld": each.withheld}
                    for each in notices.get((change.alarm, change.at), ())
                ],
            }
            for change in simulation.changes
        ],
        "states": _last(simulation, alarms, state),
    }


def _print(simulation: Simulation, alarms: Sequence[Alarm], state: State, out: Console) -> None:
    by_name = {alarm.name: alarm for alarm in alarms}
    notices = _by_change(simulation.notices)
    out.print(f"{_time(simulation.start)} to {_time(simulation.end)}, every alarm {state} before")
    for change in simulation.changes:
        turn = Text.assemble(_styled(change.before), " -> ", _styled(change.after))
        out.print(
            Text.assemble("\n", f"{_time(change.at)}  +{spoken(change.at - simulation.start)}  {change.alarm}  ", turn)
        )
        out.print(f"  {change.reason}")
        alarm = by_name[change.alarm]
        if isinstance(alarm, MetricAlarm):
            out.print(Text("  ") + _shown(alarm, change.readings))
        for notice in notices.get((change.alarm, change.at), ()):
            out.print(f"  {_told(notice)}")
    out.print()
    for name, last in _last(simulation, alarms, state).items():
        times = sum(change.alarm == name and change.after is State.ALARM for change in simulation.changes)
        again = {0: "never in ALARM", 1: "went into ALARM once"}.get(times, f"went into ALARM {times} times")
        out.print(Text.assemble(f"{name}: {again}, ends in ", _styled(last)))


def _by_change(notices: Iterable[Notice]) -> dict[tuple[str, int], list[Notice]]:
    """Notices by the alarm and the time of the change that they tell of."""
    found: dict[tuple[str, int], list[Notice]] = {}
    for notice in notices:
        at = notice.change.at if notice.change else notice.at
        found.setdefault((notice.alarm, at), []).append(notice)
    return found


def _told(notice: Notice) -> str:
    to = ", ".join(notice.actions)
    if notice.withheld:
        return f"not told: {to} ({notice.withheld})"
    later = notice.at - (notice.change.at if notice.change else notice.at)
    return f"tells {to}" + (f" at {_time(notice.at)}, {spoken(later)} later" if later else "")


def _last(simulation: Simulation, alarms: Sequence[Alarm], state: State) -> dict[str, State]:
    return {alarm.name: state for alarm in alarms} | {change.alarm: change.after for change in simulation.changes}


def _shown(alarm: MetricAlarm, readings: Sequence[Reading]) -> Text:
    """The data points that were evaluated, in the order of time."""
    sign = alarm.comparison.sign
    shown = Text(f"data points ({alarm.datapoints_to_alarm} of {alarm.evaluation_periods}")
    shown.append(f" {sign} {number(alarm.threshold)} over {spoken(alarm.period)}): ")
    for place, reading in enumerate(reversed(readings)):
        shown.append(", " if place else "")
        shown.append(f"{datetime.fromtimestamp(reading.time, UTC):%H:%M:%S}".removesuffix(":00") + " ", style="dim")
        if reading.value is None:
            shown.append("missing", style="yellow")
        else:
            shown.append(number(reading.value), style="red" if breaches(alarm, reading.value) else "green")
    return shown


def _points(readings: Sequence[Reading]) -> list[dict[str, Any]]:
    return [{"time": _time(reading.time), "value": reading.value} for reading in readings]


def _styled(state: State) -> Text:
    return Text(state, style=_STYLES[state])


def _time(at: int) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat().replace("+00:00", "Z")
