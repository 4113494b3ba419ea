"""An incident is replayed: what the alarms would have done, and which expectations that breaks.

`prepare` does what does not depend on the expectations once (the store, which alarms take part, what each metric alarm
does by itself), so that an alarm can be swapped for another cheaply: `mutation.py` does that some hundred times.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from itertools import groupby, takewhile

from observability.composite import parse_rule
from observability.errors import ToolkitError
from observability.evaluation import Change, history
from observability.expectations import Fires, Life, Never, Quiet, Told, spoken
from observability.incidents import Expected, Incident, matches, resolve
from observability.model import Alarm, CompositeAlarm, MetricAlarm, MetricKey, MuteRule, State
from observability.simulation import Notice, Simulation, simulate_changes
from observability.sources import Estate
from observability.store import MetricStore

Histories = Mapping[str, Sequence[Change]]
"""By alarm, what each metric alarm does."""

LISTED_STATES = {"pages": State.ALARM, "tells": State.ALARM, "recoveries": State.OK}


@dataclass(frozen=True, slots=True)
class Broken:
    """An expectation that does not hold.

    Attributes:
        alarm: in full; the name of the list (`pages`) where it is about that.
        expected, instead: what should have been, and what was.
        line: of the incident's file.
    """

    alarm: str
    expected: str
    instead: str
    line: int

    def __str__(self) -> str:
        return f"{self.alarm} {self.expected}: {self.instead}"


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """What came of an incident.

    Attributes:
        named: the alarms of which something is expected, in full, in the order of the file.
        counted: what is expected of single alarms.
        alarms: those that took part.
        initial: in which state each of them began.
        unwatched: metrics of the incident (its base apart) that no alarm looks at: misspelt, or superfluous.
        silent: alarms under test of whose metrics there is no data point at all.
        prefix: what the names of all alarms begin with.
    """

    incident: Incident
    simulation: Simulation
    store: MetricStore
    named: tuple[str, ...]
    counted: int
    alarms: tuple[Alarm, ...]
    initial: Mapping[str, State]
    broken: tuple[Broken, ...]
    unwatched: tuple[MetricKey, ...]
    silent: tuple[str, ...]
    prefix: str = ""

    @property
    def passed(self) -> bool:
        return not self.broken and not self.unwatched

    @property
    def expectations(self) -> int:
        """How many there are; a list of who is told is one."""
        return self.counted + len(self.incident.listed)

    def short(self, name: str) -> str:
        """An alarm's name without what all of them begin with."""
        return name.removeprefix(self.prefix)

    def shortened(self, words: str) -> str:
        """A text with the names of alarms in it."""
        return words.replace(self.prefix, "") if self.prefix else words

    def line_of(self, key: MetricKey) -> int:
        """Where the incident speaks of a metric."""
        return self.incident.series.series[key].line


@dataclass(frozen=True, slots=True, eq=False)
class Stage:
    """An incident that can be replayed, and what each metric alarm does in it."""

    incident: Incident
    estate: Estate
    store: MetricStore
    names: Mapping[str, str]
    alarms: tuple[Alarm, ...]
    mutes: tuple[MuteRule, ...]
    initial: Mapping[str, State]
    histories: Histories

    def history(self, alarm: MetricAlarm) -> list[Change]:
        """What the alarm, or another in its place, does by itself."""
        start, end = self.incident.start, self.incident.end
        return history(alarm, self.store, start, end, initial=self.initial[alarm.name])

    def play(self, swapped: Histories | None = None) -> Simulation:
        """What all the alarms do, with other histories of some of them."""
        return simulate_changes(
            self.alarms,
            {**self.histories, **(swapped or {})},
            self.incident.start,
            self.incident.end,
            mutes=self.mutes,
            initial=self.initial,
        )

    def broken(self, simulation: Simulation) -> Iterator[Broken]:
        """The expectations that do not hold in it, in the order of the file, lists last."""
        for name, expected in _expected(self.incident, self.names, self.initial):
            if instead := expected.expectation.broken(self._life(name, simulation)):
                yield Broken(name, str(expected.expectation), instead, expected.line)
        for name, listed in self.incident.listed.items():
            wanted = [self.names[each] for each in listed]
            told = self._told(name, simulation)
            if not _in_order(wanted, told):
                at = {"pages": "pages", "tells": "tells of", "recoveries": "tells of the recovery of"}[name]
                yield Broken(
                    name, f"the incident {at} exactly {_listed(wanted)}", _told_of(told), self.incident.lines[name]
                )

    def _life(self, name: str, simulation: Simulation) -> Life:
        start = self.incident.start
        return Life(
            initial=self.initial[name],
            changes=tuple((each.at - start, each.after) for each in simulation.changes if each.alarm == name),
            told=tuple(at for at, told in _heard(simulation, State.ALARM, start) if told == name),
            length=self.incident.frame.length,
        )

    def _told(self, which: str, simulation: Simulation) -> list[tuple[int, str]]:
        pattern = self.incident.page_names if which == "pages" else "*"
        heard = _heard(simulation, LISTED_STATES[which], self.incident.start)
        return [(at, name) for at, name in heard if fnmatchcase(name, pattern)]


def prepare(incident: Incident, estate: Estate) -> Stage:
    """The store of the incident, and the alarms that take part in it: those that are named and what they are made of,
    or all, where the incident says who is told.

    Raises:
        ToolkitError: the incident names an alarm that there is not, or its recorded EMF cannot be used.
    """
    by_name = {alarm.name: alarm for alarm in estate.alarms}
    names = _resolved(incident, by_name)
    named = [name for name, _ in _expected(incident, names, by_name)]
    chosen = by_name.keys() if incident.listed else _with_parts([*names.values(), *named], by_name)
    alarms = tuple(alarm for alarm in estate.alarms if alarm.name in chosen)
    frame, store = incident.frame, MetricStore()
    incident.series.fill(store, frame.start, frame.length, step=frame.step, before=frame.before)
    stage = Stage(
        incident=incident,
        estate=estate,
        store=store,
        names=names,
        alarms=alarms,
        mutes=(*estate.mutes, *_mutes(incident, names)),
        initial={alarm.name: _initial(incident, alarm.name, names) for alarm in alarms},
        histories={},
    )
    return replace(
        stage, histories={each.name: stage.history(each) for each in alarms if isinstance(each, MetricAlarm)}
    )


def prepare_all(incidents: Iterable[Incident], estate: Estate) -> list[Stage]:
    """Raises ToolkitError: what is wrong with the incidents, all of it."""
    stages, faults = [], []
    for incident in incidents:
        try:
            stages.append(prepare(incident, estate))
        except ToolkitError as error:
            faults.append(error)
    if faults:
        raise ToolkitError("\n".join(map(str, faults)), next((each.remedy for each in faults if each.remedy), ""))
    return stages


def replay(incident: Incident, estate: Estate) -> Outcome:
    """What the alarms would have done in the incident, and what of that was not expected.

    Raises:
        ToolkitError: the incident names an alarm that there is not, or its recorded EMF cannot be used.
    """
    return outcome(prepare(incident, estate))


def outcome(stage: Stage) -> Outcome:
    """What comes of a prepared incident with the alarms as they are."""
    simulation = stage.play()
    watched = {stat.key for alarm in _metric_alarms(stage.estate.alarms) for stat in alarm.metrics}
    measured = {*stage.store.keys()}
    named = tuple(dict.fromkeys(name for name, _ in _expected(stage.incident, stage.names, stage.initial)))
    return Outcome(
        incident=stage.incident,
        simulation=simulation,
        store=stage.store,
        named=named,
        counted=sum(1 for _ in _expected(stage.incident, stage.names, stage.initial)),
        alarms=stage.alarms,
        initial=stage.initial,
        broken=tuple(stage.broken(simulation)),
        unwatched=tuple(sorted(stage.incident.series.series.keys() - watched)),
        silent=tuple(
            alarm.name
            for alarm in _metric_alarms(stage.alarms)
            if alarm.name in named and not any(stat.key in measured for stat in alarm.metrics)
        ),
        prefix=shared_prefix(stage.estate.alarms),
    )


@dataclass(frozen=True, slots=True)
class Uncovered:
    """Alarms that no incident wants to fire, and alarms that none wants to stay quiet."""

    must_fire: tuple[str, ...]
    must_stay_quiet: tuple[str, ...]


def uncovered(incidents: Iterable[Incident], estate: Estate) -> Uncovered:
    """What no incident says anything about. `fires`, `told`, `pages` and `tells` want an alarm to fire, `quiet` and
    `never: ALARM` want it to stay quiet. What a pattern says does not count: `"*": quiet` of an ordinary day says
    nothing of how close to firing an alarm may come.

    Raises:
        ToolkitError: an incident names an alarm that there is not.
    """
    names = [alarm.name for alarm in estate.alarms]
    fires: set[str] = set()
    quiet: set[str] = set()
    for incident in incidents:
        full = _resolved(incident, names)
        for name, expected in _expected(incident, full, names):
            match expected.expectation:
                case _ if is_pattern(expected.alarm):
                    continue
                case Fires() | Told():
                    fires.add(name)
                case Quiet() | Never(state=State.ALARM):
                    quiet.add(name)
        fires |= {full[each] for which in ("pages", "tells") for each in incident.listed.get(which, ())}
    return Uncovered(tuple(each for each in names if each not in fires), tuple(n for n in names if n not in quiet))


def shared_prefix(alarms: Iterable[Alarm]) -> str:
    """What all names begin with, up to a hyphen; "" where they share nothing, or there is but one."""
    names = sorted(alarm.name for alarm in alarms)
    if len(names) < 2:
        return ""
    pairs = takewhile(lambda pair: pair[0] == pair[1], zip(names[0], names[-1], strict=False))
    before, hyphen, _ = "".join(letter for letter, _ in pairs).rpartition("-")
    return before + hyphen


def parts(alarm: CompositeAlarm) -> frozenset[str]:
    """The names of the alarms of which it is made, and of the one behind which it keeps quiet."""
    return parse_rule(alarm.rule).alarms | ({alarm.suppressor.alarm} if alarm.suppressor else frozenset())


def _resolved(incident: Incident, names: Collection[str]) -> dict[str, str]:
    """Every name that the incident uses, with what it stands for."""
    used = [(each.alarm, each.line) for each in incident.expected if not is_pattern(each.alarm)]
    used += [(name, incident.lines[which]) for which, listed in incident.listed.items() for name in listed]
    used += [(name, mute.line) for mute in incident.mutes for name in mute.rule.alarms]
    used += [(name, incident.lines["states"]) for name in incident.states if not is_pattern(name)]
    found: dict[str, str] = {}
    faults: list[str] = []
    for name, line in dict(used).items():
        try:
            found[name] = resolve(name, names)
        except ToolkitError as error:
            faults.append(f"  line {line}: {error}")
    faults += [
        f"  line {each.line}: no alarm matches {each.alarm!r}"
        for each in incident.expected
        if is_pattern(each.alarm) and not any(matches(name, each.alarm) for name in names)
    ]
    if faults:
        listed = "\n".join(faults)
        raise ToolkitError(f"{incident.path}:\n{listed}")
    return found


def _expected(incident: Incident, full: Mapping[str, str], names: Iterable[str]) -> Iterator[tuple[str, Expected]]:
    """What is expected, alarm by alarm. What a pattern says does not count for alarms that are named."""
    named = {full[each.alarm] for each in incident.expected if each.alarm in full}
    names = [*names]
    for each in incident.expected:
        if each.alarm in full:
            yield full[each.alarm], each
        else:
            yield from ((name, each) for name in names if matches(name, each.alarm) and name not in named)


def _with_parts(names: Iterable[str], by_name: Mapping[str, Alarm]) -> set[str]:
    found: set[str] = set()
    waiting = [*names]
    while waiting:
        if (name := waiting.pop()) in found:
            continue
        found.add(name)
        if isinstance(alarm := by_name.get(name), CompositeAlarm):
            waiting += parts(alarm)
    return found


def _mutes(incident: Incident, names: Mapping[str, str]) -> Iterator[MuteRule]:
    for mute in incident.mutes:
        yield replace(mute.rule, alarms=tuple(names[each] for each in mute.rule.alarms))


def _initial(incident: Incident, name: str, names: Mapping[str, str]) -> State:
    """A name says more than a pattern; of patterns, the first that matches."""
    for given, state in incident.states.items():
        if names.get(given) == name:
            return state
    return next((state for given, state in incident.states.items() if matches(name, given)), State.OK)


def is_pattern(name: str) -> bool:
    """Whether it stands for all alarms whose names match."""
    return any(sign in name for sign in "*?[")


def _metric_alarms(alarms: Iterable[Alarm]) -> list[MetricAlarm]:
    return [alarm for alarm in alarms if isinstance(alarm, MetricAlarm)]


def _heard(simulation: Simulation, state: State, start: int) -> list[tuple[int, str]]:
    """When somebody was told that an alarm is in that state, and of which."""
    return [(each.at - start, each.alarm) for each in simulation.notices if each.state is state and was_told(each)]


def was_told(notice: Notice) -> bool:
    """Whether an action ran."""
    return bool(notice.actions) and not notice.withheld


def _in_order(wanted: Sequence[str], told: Sequence[tuple[int, str]]) -> bool:
    """Whether these were told in this order. Those of one instant may stand in any."""
    left = [*wanted]
    for _, group in groupby(told, key=lambda each: each[0]):
        names = sorted(name for _, name in group)
        if sorted(left[: len(names)]) != names:
            return False
        left = left[len(names) :]
    return not left


def _told_of(told: Sequence[tuple[int, str]]) -> str:
    return "it was " + (", ".join(f"{name} at {spoken(at)}" for at, name in told) or "none")


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names) or "none"
