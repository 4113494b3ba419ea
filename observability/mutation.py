"""Which changes of an alarm would nobody notice? Incidents are replayed with each mutant in the alarm's place.

A mutant is caught when an incident that passes with the alarm has a broken expectation with the mutant; of the alarm
itself, of a composite above it, or of what is told. Equivalent mutants cannot be caught: those that are certain from
the alarm alone are known to `mutants`, the others are listed in a YAML file, each with its reason:

    - alarm: sender-bounce-rate-*
      mutant: "part: statistic Sum to *"
      reason: a bounce is one sample of 1

Both are patterns; the alarm's name may leave out what comes before it. An entry that matches no mutant, or one that is
caught after all, is refused: the list cannot grow stale.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cached_property
from pathlib import Path

from observability.documents import Reader, documents, items, line_of, text
from observability.errors import ToolkitError
from observability.evaluation import Change
from observability.incidents import Incident, matches
from observability.model import MetricAlarm
from observability.mutants import Mutant, mutants
from observability.replay import Stage, prepare_all
from observability.sources import Estate


@dataclass(frozen=True, slots=True)
class Equivalent:
    """Patterns of mutants that cannot be told apart from their alarms, and why. `line` is where."""

    alarm: str
    mutant: str
    reason: str
    line: int

    def matches(self, mutant: Mutant) -> bool:
        return matches(mutant.of, self.alarm) and fnmatchcase(mutant.change, _literal(self.mutant))


@dataclass(frozen=True, slots=True)
class Fate:
    """What became of a mutant.

    Attributes:
        caught: the incident that noticed and what was broken; "" where none did.
        equivalent: why it could not be caught; "" where it could.
    """

    mutant: Mutant
    caught: str = ""
    equivalent: str = ""

    @property
    def survived(self) -> bool:
        return not self.caught and not self.equivalent


@dataclass(frozen=True)
class Report:
    """The mutants of some alarms, in the order of the alarms.

    Attributes:
        useless: incidents that are broken as it is, so that they catch nothing.
    """

    fates: tuple[Fate, ...]
    useless: tuple[Incident, ...] = ()

    @cached_property
    def survivors(self) -> list[Fate]:
        return [fate for fate in self.fates if fate.survived]

    @cached_property
    def counted(self) -> list[Fate]:
        """Those that could be caught."""
        return [fate for fate in self.fates if not fate.equivalent]

    @property
    def percent(self) -> float:
        """How many of those that could be caught were; 100 where there are none."""
        total = len(self.counted)
        return 100.0 * (total - len(self.survivors)) / total if total else 100.0

    def of(self, alarm: str) -> Report:
        return Report(tuple(fate for fate in self.fates if fate.mutant.of == alarm))

    @property
    def alarms(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(fate.mutant.of for fate in self.fates))


def mutate(
    incidents: Iterable[Incident], estate: Estate, *, only: str = "*", equivalents: Sequence[Equivalent] = ()
) -> Report:
    """What the incidents make of every mutant of the alarms whose names match `only`.

    Raises:
        ToolkitError: an incident names an alarm that there is not; an equivalent is none, or matches nothing.
    """
    stages = prepare_all(incidents, estate)
    broken = [stage for stage in stages if any(stage.broken(stage.play()))]
    useful = [stage for stage in stages if stage not in broken]
    chosen = [alarm for alarm in estate.alarms if isinstance(alarm, MetricAlarm) and matches(alarm.name, only)]
    if not chosen:
        raise ToolkitError(f"no metric alarm matches {only!r}", "Patterns are as in a shell: *-errors-page.")
    fates: list[Fate] = []
    for alarm in chosen:
        near = sorted((stage for stage in useful if alarm.name in stage.histories), key=lambda each: _far(each, alarm))
        for mutant in mutants(alarm):
            fates.append(Fate(mutant, equivalent=mutant.same) if mutant.same else _try(mutant, near))
    return Report(
        tuple(_told_apart(fates, equivalents, complete=len(chosen) == len(_metric(estate)))),
        tuple(stage.incident for stage in broken),
    )


def read_equivalents(path: Path) -> list[Equivalent]:
    """Raises ToolkitError: all that is wrong with the file, by line."""
    reader = Reader(path)
    found: list[Equivalent] = []
    for document in documents(path):
        for each in reader.take(items, document.node, []):
            fields = reader.fields(each, ("alarm", "mutant", "reason"), "equivalent")
            alarm, mutant, reason = (
                reader.take(text, reader.need(fields, name, each, "equivalent"), "")
                for name in ("alarm", "mutant", "reason")
            )
            found.append(Equivalent(alarm, mutant, reason, line_of(each)))
    reader.close()
    return found


def _try(mutant: Mutant, stages: Iterable[Stage]) -> Fate:
    for stage in stages:
        try:
            changes = stage.history(mutant.alarm)
        except ToolkitError as error:
            return Fate(mutant, caught=f"cannot be evaluated: {error}")
        if _moves(changes) == _moves(stage.histories[mutant.of]):
            continue
        if broken := next(stage.broken(stage.play({mutant.of: changes})), None):
            return Fate(mutant, caught=f"{stage.incident.title}: {broken}")
    return Fate(mutant)


def _moves(changes: Sequence[Change]) -> list[tuple[int, str]]:
    return [(change.at, change.after) for change in changes]


def _far(stage: Stage, alarm: MetricAlarm) -> tuple[bool, int]:
    """Incidents that expect something of the alarm first, and short ones before long ones: they tell the soonest."""
    return alarm.name not in stage.names.values(), stage.incident.frame.length


def _told_apart(fates: Iterable[Fate], equivalents: Sequence[Equivalent], *, complete: bool) -> Iterable[Fate]:
    """The fates, with what is listed as equivalent marked."""
    faults: list[str] = []
    used: set[int] = set()
    found: list[Fate] = []
    for fate in fates:
        entry = next((each for each in equivalents if each.matches(fate.mutant)), None)
        if entry is None:
            found.append(fate)
            continue
        used.add(entry.line)
        if fate.caught:
            faults.append(f"line {entry.line}: {fate.mutant.of}, {fate.mutant.change}: it is caught. {fate.caught}")
        found.append(fate if fate.equivalent else Fate(fate.mutant, equivalent=entry.reason))
    # Of some alarms alone one cannot say that an entry matches none.
    faults += [
        f"line {each.line}: {each.alarm}, {each.mutant}: there is no such mutant"
        for each in equivalents
        if complete and each.line not in used
    ]
    if faults:
        raise ToolkitError("equivalents that are none:\n  " + "\n  ".join(faults), "Take them off the list.")
    return found


def _metric(estate: Estate) -> list[MetricAlarm]:
    return [alarm for alarm in estate.alarms if isinstance(alarm, MetricAlarm)]


def _literal(pattern: str) -> str:
    """The pattern with brackets taken as they are: a mutant's text may have them."""
    return pattern.replace("[", "[[]")
