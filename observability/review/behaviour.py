"""How the incidents behave with the alarms of one revision and with those of the other."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from observability.errors import ToolkitError
from observability.expectations import Life, spoken
from observability.incidents import Incident, resolve
from observability.model import MetricAlarm, State
from observability.replay import Broken, Stage, prepare, was_told
from observability.simulation import Simulation
from observability.sources import Estate


@dataclass(frozen=True, slots=True)
class Promise:
    """An expectation, and whether it holds: "" if it does, what happens instead if not, None if it cannot be asked."""

    words: str
    before: str | None
    after: str | None

    @property
    def broken(self) -> bool:
        """Whether this change breaks it."""
        return bool(self.after) and not self.before

    @property
    def mended(self) -> bool:
        return bool(self.before) and self.after == ""


@dataclass(frozen=True, slots=True)
class Behaviour:
    """What one alarm does in one incident, before and after; None where there is no such alarm. `alarm` is `pages`,
    `tells` or `recoveries` where the promise is about all of them."""

    incident: str
    where: str
    alarm: str
    before: Life | None = None
    after: Life | None = None
    promises: tuple[Promise, ...] = ()

    @property
    def broken(self) -> bool:
        return any(each.broken for each in self.promises)


@dataclass(frozen=True, slots=True)
class Replayed:
    """What came of all incidents.

    Attributes:
        rows: what is not as it was; what this change breaks first.
        incidents, promises: how many were replayed, and how many expectations they have.
        failing: expectations that held neither before nor hold now.
        unasked: changed alarms that no incident expects anything of.
        skipped: incidents that could not be replayed, and why.
    """

    rows: tuple[Behaviour, ...] = ()
    incidents: int = 0
    promises: int = 0
    failing: int = 0
    unasked: tuple[str, ...] = ()
    skipped: tuple[tuple[str, str], ...] = field(default_factory=tuple)

    @property
    def broken(self) -> tuple[Behaviour, ...]:
        return tuple(row for row in self.rows if row.broken)


def best_watched(incidents: Iterable[Incident], estates: Mapping[str, Estate]) -> str:
    """The stack whose alarms look at most of what the incidents measure: the one that they were written for."""
    measured = {key for incident in incidents for key in incident.series.series}
    counts = {
        stack: len(
            measured & {stat.key for alarm in estate.alarms if isinstance(alarm, MetricAlarm) for stat in alarm.metrics}
        )
        for stack, estate in estates.items()
    }
    return max(sorted(counts), key=lambda stack: counts[stack], default="")


def replayed(incidents: Sequence[Incident], before: Estate, after: Estate, changed: Collection[str]) -> Replayed:
    """Every incident with both sets of alarms.

    Args:
        changed: names of the alarms that are not what they were.
    """
    rows: list[Behaviour] = []
    skipped: list[tuple[str, str]] = []
    asked: set[str] = set()
    failing = promises = 0
    names = [{alarm.name for alarm in estate.alarms} for estate in (before, after)]
    for incident in incidents:
        try:
            ours, theirs = (_Played.of(incident, estate) for estate in (before, after))
        except ToolkitError as error:
            skipped.append((incident.title, str(error)))
            continue
        found = list(_rows(incident, ours, theirs))
        asked |= {*ours.names, *theirs.names}
        promises += len(incident.expected) + len(incident.listed)
        failing += sum(bool(each.before) and bool(each.after) for row in found for each in row.promises)
        rows += [row for row in found if _differs(row)]
    return Replayed(
        rows=_ordered(rows),
        incidents=len(incidents) - len(skipped),
        promises=promises,
        failing=failing,
        unasked=tuple(sorted({*changed} & names[1] - asked)),
        skipped=tuple(skipped),
    )


def _ordered(rows: Iterable[Behaviour]) -> tuple[Behaviour, ...]:
    """What is broken first; of that each alarm once before any comes again, and lists last, as they follow from it."""
    seen: Counter[str] = Counter()
    places: list[tuple[bool, bool, int, int, Behaviour]] = []
    for row in rows:
        places.append((not row.broken, row.before is None and row.after is None, seen[row.alarm], len(places), row))
        seen[row.alarm] += row.broken
    return tuple(row for *_, row in sorted(places, key=lambda place: place[:4]))


def in_words(life: Life | None) -> str:
    """What an alarm went through, in a few words."""
    if life is None:
        return "no such alarm"
    if life.initial is State.ALARM and not life.fired:
        return f"in ALARM from the start{_cleared(life)}"
    if not life.fired:
        return "quiet"
    count = len(life.fired)
    fired = (
        f"fires at {spoken(life.fired[0])}" if count == 1 else f"fires {count} times, first at {spoken(life.fired[0])}"
    )
    return fired + _cleared(life) + _heard(life)


def _cleared(life: Life) -> str:
    if life.state(life.length) is State.ALARM:
        return ", does not clear"
    return f", clears at {spoken(life.left[-1])}" if life.left else ""


def _heard(life: Life) -> str:
    if not life.told:
        return ", nobody is told"
    return "" if life.told[0] == life.fired[0] else f", told at {spoken(life.told[0])}"


@dataclass(frozen=True, slots=True)
class _Played:
    """An incident as one revision's alarms make it go."""

    stage: Stage
    simulation: Simulation
    broken: Mapping[tuple[str, str], str]
    names: Mapping[str, str]

    @classmethod
    def of(cls, incident: Incident, estate: Estate) -> _Played:
        """With what the incident says of alarms that this revision has.

        Raises:
            ToolkitError: its recorded EMF cannot be used, or an alarm cannot be evaluated.
        """
        stage = prepare(_known(incident, {alarm.name for alarm in estate.alarms}), estate)
        simulation = stage.play()
        broken = {_key(each): each.instead for each in stage.broken(simulation)}
        return cls(stage, simulation, broken, {full: short for short, full in stage.names.items()})

    def life(self, name: str) -> Life | None:
        if name not in self.stage.initial:
            return None
        start, length = self.stage.incident.start, self.stage.incident.frame.length
        notices = [each for each in self.simulation.notices if each.alarm == name]
        return Life(
            initial=self.stage.initial[name],
            changes=tuple((each.at - start, each.after) for each in self.simulation.changes if each.alarm == name),
            told=tuple(each.at - start for each in notices if each.state is State.ALARM and was_told(each)),
            length=length,
        )

    def has(self, name: str) -> bool:
        return name in self.stage.names


def _key(broken: Broken) -> tuple[str, str]:
    return broken.alarm, broken.expected


def _known(incident: Incident, names: Collection[str]) -> Incident:
    """The incident without what it says of alarms that there are not."""

    def there(name: str) -> bool:
        try:
            resolve(name, names)
        except ToolkitError:
            return False
        return True

    return replace(
        incident,
        expected=tuple(each for each in incident.expected if there(each.alarm)),
        listed={which: tuple(name for name in listed if there(name)) for which, listed in incident.listed.items()},
        states={name: state for name, state in incident.states.items() if any(s in name for s in "*?[") or there(name)},
        mutes=tuple(
            replace(mute, rule=replace(mute.rule, alarms=tuple(name for name in mute.rule.alarms if there(name))))
            for mute in incident.mutes
        ),
    )


def _rows(incident: Incident, ours: _Played, theirs: _Played) -> Iterator[Behaviour]:
    """Every alarm that takes part, and every list of those that are told."""
    promises: dict[str, list[Promise]] = {}
    for each in incident.expected:
        words = str(each.expectation)
        before, after = (_instead(side, each.alarm, words) for side in (ours, theirs))
        full = theirs.stage.names.get(each.alarm) or ours.stage.names.get(each.alarm)
        if full is None:
            continue  # an incident of another stack, or a misspelt one: `replay` tells
        if after is None:
            after = "there is no such alarm any more"
        promises.setdefault(full, []).append(Promise(words, before, after))
    for name in sorted({*ours.stage.initial, *theirs.stage.initial}):
        yield Behaviour(
            incident.title, incident.where, name, ours.life(name), theirs.life(name), tuple(promises.get(name, ()))
        )
    for which in incident.listed:
        found = [
            {alarm: (words, side.broken[alarm, words]) for alarm, words in side.broken}.get(which)
            for side in (ours, theirs)
        ]
        words = next((each[0] for each in reversed(found) if each), "")
        before, after = (each[1] if each else "" for each in found)
        yield Behaviour(incident.title, incident.where, which, promises=(Promise(words, before, after),))


def _instead(side: _Played, alarm: str, words: str) -> str | None:
    if not side.has(alarm):
        return None
    return side.broken.get((side.stage.names[alarm], words), "")


def _differs(row: Behaviour) -> bool:
    if any(each.broken or each.mended for each in row.promises):
        return True
    if row.before is None or row.after is None:
        # A new or a gone alarm that does nothing in an incident is not worth a line.
        life = row.before or row.after
        return life is not None and bool(life.fired)
    return row.before != row.after
