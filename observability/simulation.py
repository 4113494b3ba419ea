"""Alarms over time: what changes state, whom that tells, and who is not told because of a suppressor or a mute rule.

Sources: "Composite alarms", "Suppressing composite alarm actions" and "How alarm mute rules work" in the CloudWatch
user guide, PutCompositeAlarm. What is withheld and what is told later follows one rule for suppressors and mute rules:
the actions of the last change run once nothing withholds them any more, and those of earlier changes do not. So an
alarm that went off and recovered behind a suppressor says OK in the end, although nobody heard of the ALARM.

CloudWatch evaluates each alarm at a second of the minute of its own, and composite alarms when a child changes. Here
everything that is due at an instant happens at it: first the metric alarms, in the order in which they are listed, then
the composites that look at them, then what a change brings about, and last what a period or window that ends lets out.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from graphlib import CycleError, TopologicalSorter
from itertools import groupby
from types import MappingProxyType
from typing import Any

from observability.composite import Rule, parse_rule
from observability.errors import ToolkitError
from observability.evaluation import Change, history
from observability.model import Alarm, CompositeAlarm, MetricAlarm, MuteRule, State, Suppressor
from observability.mute import is_target, muted, windows
from observability.store import MetricStore


@dataclass(frozen=True, slots=True)
class Notice:
    """That an alarm's actions ran, or that they did not.

    A change whose alarm has actions for the new state is told at once, or is withheld at once. What a suppressor or a
    mute rule withholds is told later, in a second notice, if the alarm has not changed again by then.

    Attributes:
        at: epoch seconds, of this notice; the change may have been before.
        actions: ARNs that ran, or, of a notice withheld, that did not.
        reason: of the change, in CloudWatch's words.
        withheld: why nobody was told: "suppressed by NAME" while that alarm is in ALARM, "suppressed by WaitPeriod",
            "muted by NAME", "actions are disabled"; "" where the actions ran.
        change: what it tells of; None only in a notice made by hand.
    """

    alarm: str
    at: int
    state: State
    actions: tuple[str, ...]
    reason: str
    withheld: str = ""
    change: Change | None = None


@dataclass(frozen=True, slots=True)
class Simulation:
    """What happened from `start` to `end`, in epoch seconds, both included; oldest first."""

    start: int
    end: int
    changes: tuple[Change, ...]
    notices: tuple[Notice, ...]

    @property
    def told(self) -> tuple[Notice, ...]:
        """The notices whose actions ran."""
        return tuple(notice for notice in self.notices if not notice.withheld)


def simulate(
    alarms: Sequence[Alarm],
    store: MetricStore,
    start: int,
    end: int,
    *,
    mutes: Sequence[MuteRule] = (),
    initial: Mapping[str, State] | None = None,
) -> Simulation:
    """What alarms do from `start` to `end` (epoch seconds), given what the store holds.

    Args:
        initial: states to begin with, by name. An alarm without one begins in INSUFFICIENT_DATA, as one that has just
            been made, so that its first change may run its OK actions.

    Raises:
        ToolkitError: see `AlarmSet`.
    """
    initial = initial or {}
    histories = {
        alarm.name: history(alarm, store, start, end, initial=initial.get(alarm.name, State.INSUFFICIENT_DATA))
        for alarm in alarms
        if isinstance(alarm, MetricAlarm)
    }
    return simulate_changes(alarms, histories, start, end, mutes=mutes, initial=initial)


def simulate_changes(
    alarms: Sequence[Alarm],
    histories: Mapping[str, Sequence[Change]],
    start: int,
    end: int,
    *,
    mutes: Sequence[MuteRule] = (),
    initial: Mapping[str, State] | None = None,
) -> Simulation:
    """As `simulate`, given the changes of the metric alarms by name; one that is not named does not change."""
    alarm_set = AlarmSet(alarms, mutes, initial=initial)
    order = (alarm.name for alarm in alarms if alarm.name in histories)
    changes = [change for name in order for change in histories[name]]
    # The first step is to the start even where no metric alarm changes then: composites are evaluated at once.
    steps = [
        alarm_set.step(start, [change for change in changes if change.at <= start]),
        alarm_set.step(end, [change for change in changes if change.at > start]),
    ]
    return Simulation(
        start,
        end,
        tuple(change for changed, _ in steps for change in changed),
        tuple(notice for _, notices in steps for notice in notices),
    )


@dataclass(frozen=True, slots=True)
class _Withheld:
    """A change that nobody has been told of yet. It waits for `until`, the end of a suppressor's `period`; and beyond,
    while the suppressor is in ALARM or the alarm is muted."""

    change: Change
    actions: tuple[str, ...]
    until: float = -math.inf
    period: str = ""


class AlarmSet:
    """Alarms that know each other, from instant to instant.

    Args:
        alarms: all that the composites among them look at, and their suppressors, have to be there.
        mutes: names in them that are not in `alarms` are of no concern.
        initial: states to begin with, by name; INSUFFICIENT_DATA otherwise.

    Raises:
        ToolkitError: two alarms have one name; a rule cannot be read, or looks at an alarm that is not there;
            composites look at each other in a circle; a suppressor is not there; a mute rule's schedule cannot be read.
    """

    def __init__(
        self,
        alarms: Sequence[Alarm],
        mutes: Sequence[MuteRule] = (),
        *,
        initial: Mapping[str, State] | None = None,
    ) -> None:
        self._alarms = _by_name(alarms)
        self._places = {name: place for place, name in enumerate(self._alarms)}
        self._rules = _rules(self._alarms)
        self._suppressors = _suppressors(self._alarms)
        self._mutes = {name: tuple(rule for rule in mutes if is_target(rule, name)) for name in self._alarms}
        for rule in mutes:
            # Refuses what cannot be read before it is needed.
            muted(rule, 0)
        self._states = {name: (initial or {}).get(name, State.INSUFFICIENT_DATA) for name in self._alarms}
        self._withheld: dict[str, _Withheld] = {}
        self._at: float = -math.inf

    @property
    def states(self) -> Mapping[str, State]:
        """The state of each alarm, by name."""
        return MappingProxyType(self._states)

    def step(self, at: int, changes: Iterable[Change]) -> tuple[list[Change], list[Notice]]:
        """Go on to the epoch second `at`.

        Args:
            changes: of metric alarms, not before the last step and not after `at`. One to the state that the alarm is
                in already is passed over.

        Returns:
            All changes, those of composite alarms among them, and all notices, both oldest first.

        Raises:
            ToolkitError: `at` or a change is out of turn, or a change is not of a metric alarm of the set.
        """
        due = sorted(changes, key=self._turn)
        for moment in (*(change.at for change in due), at):
            if not self._at <= moment <= at:
                raise ToolkitError(f"a step to {at} with a change at {moment}, after a step to {self._at:.0f}")
        instants = {moment: list(group) for moment, group in groupby(due, key=lambda change: change.at)}
        instants.setdefault(at, [])
        changed: list[Change] = []
        notices: list[Notice] = []
        for moment, of_metrics in instants.items():
            # What ends together with a change ends after it: a suppressor is waited for up to its last second.
            while (end := self._next_end()) < moment:
                notices += self._let_out(int(end))
            happened = self._settle(moment, of_metrics)
            changed += happened
            notices += self._tell(moment, happened)
            notices += self._let_out(moment)
        return changed, notices

    def _turn(self, change: Change) -> tuple[int, int]:
        if not isinstance(self._alarms.get(change.alarm), MetricAlarm):
            raise ToolkitError(f"a change of {change.alarm}, which is not a metric alarm of this set")
        return change.at, self._places[change.alarm]

    # States

    def _settle(self, at: int, of_metrics: Iterable[Change]) -> list[Change]:
        """What changes at `at`, composites included."""
        first, self._at = self._at == -math.inf, at
        happened: dict[str, Change] = {}
        for change in of_metrics:
            if change.after is not self._states[change.alarm]:
                self._states[change.alarm] = change.after
                happened[change.alarm] = change
        for name, rule in self._rules.items():
            children = [happened[child] for child in rule.children if child in happened]
            if not (first or children):
                continue
            before, after = self._states[name], State.ALARM if rule.holds(self._states) else State.OK
            if after is not before:
                self._states[name] = after
                reason, data = self._because(name, at, after, children)
                happened[name] = Change(name, at, before, after, reason, reason_data=data)
        return list(happened.values())

    def _because(self, name: str, at: int, after: State, children: Sequence[Change]) -> tuple[str, Mapping[str, Any]]:
        """`StateReason` and `StateReasonData` of a composite, in CloudWatch's words; `children` are what changed."""
        if children:
            states = {child.alarm: child.after for child in children}
            cause = children[0]
            reason = f"{self._arn(cause.alarm)} transitioned to {cause.after} at {_spoken(at)}"
        else:
            states = {child: self._states[child] for child in self._rules[name].children}
            reason = f"{self._arn(name)} was created and its alarm rule evaluates to {after}"
        triggering = [
            {"arn": self._arn(child), "state": {"value": state.value, "timestamp": _stamp(at)}}
            for child, state in states.items()
        ]
        return reason, {"triggeringAlarms": triggering}

    def _arn(self, name: str) -> str:
        return self._alarms[name].arn or name

    # Who is told

    def _tell(self, at: int, happened: Iterable[Change]) -> list[Notice]:
        """The notices of what has just happened, and the periods that it begins."""
        changes = {change.alarm: change for change in happened}
        for name, waiting in self._withheld.items():
            suppressor = self._suppressors.get(name)
            left = changes.get(suppressor.alarm) if suppressor else None
            if suppressor and left and left.before is State.ALARM:
                self._withheld[name] = replace(waiting, until=at + suppressor.extension, period="ExtensionPeriod")
        return [notice for change in changes.values() for notice in self._notices(change)]

    def _notices(self, change: Change) -> Iterator[Notice]:
        """The notice of a change, if it is one that somebody should be told of. An older one is not told any more."""
        self._withheld.pop(change.alarm, None)
        alarm = self._alarms[change.alarm]
        actions = replace(alarm.actions, enabled=True).of(change.after)
        if not actions:
            return
        waiting = _Withheld(change, actions)
        if suppressor := self._suppressors.get(change.alarm):
            waiting = replace(waiting, until=change.at + suppressor.wait, period="WaitPeriod")
        why = self._why_withheld(waiting, change.at) if alarm.actions.enabled else "actions are disabled"
        if why and alarm.actions.enabled:
            self._withheld[change.alarm] = waiting
        yield _notice(waiting, change.at, why)

    def _let_out(self, at: int) -> list[Notice]:
        """What nothing withholds any more at `at` is told."""
        self._at = at
        free = [name for name, waiting in self._withheld.items() if not self._why_withheld(waiting, at)]
        return [_notice(self._withheld.pop(name), at) for name in sorted(free, key=self._places.__getitem__)]

    def _why_withheld(self, waiting: _Withheld, at: int) -> str:
        name = waiting.change.alarm
        suppressor = self._suppressors.get(name)
        if suppressor and self._states[suppressor.alarm] is State.ALARM:
            return f"suppressed by {suppressor.alarm}"
        if at < waiting.until:
            return f"suppressed by {waiting.period}"
        return next((f"muted by {rule.name}" for rule in self._mutes[name] if muted(rule, at)), "")

    def _next_end(self) -> float:
        """The next instant at which something may be let out without any alarm changing its state."""
        return min((self._end(waiting) for waiting in self._withheld.values()), default=math.inf)

    def _end(self, waiting: _Withheld) -> float:
        name = waiting.change.alarm
        suppressor = self._suppressors.get(name)
        if suppressor and self._states[suppressor.alarm] is State.ALARM:
            return math.inf
        if self._at < waiting.until:
            return waiting.until
        at = int(self._at)
        return max(end for rule in self._mutes[name] for _, end in windows(rule, at, at + 1))


def _notice(waiting: _Withheld, at: int, withheld: str = "") -> Notice:
    change = waiting.change
    return Notice(change.alarm, at, change.after, waiting.actions, change.reason, withheld, change)


# What alarms say of each other


def _by_name(alarms: Iterable[Alarm]) -> dict[str, Alarm]:
    named: dict[str, Alarm] = {}
    for alarm in alarms:
        if named.setdefault(alarm.name, alarm) is not alarm:
            raise ToolkitError(f"two alarms are named {alarm.name}")
    return named


def _rules(alarms: Mapping[str, Alarm]) -> dict[str, Rule]:
    """The rules of the composites, each after those of the composites that it looks at."""
    rules = {
        name: parse_rule(alarm.rule, f"alarm {name}: AlarmRule")
        for name, alarm in alarms.items()
        if isinstance(alarm, CompositeAlarm)
    }
    for name, rule in rules.items():
        for child in rule.children:
            _known(child, alarms, f"alarm {name}: AlarmRule looks at")
    try:
        order = [*TopologicalSorter({name: rule.children for name, rule in rules.items()}).static_order()]
    except CycleError as error:
        # The error has each before the one that looks at it.
        circle = " looks at ".join(reversed(error.args[1]))
        raise ToolkitError(
            f"composite alarms look at each other: {circle}",
            "CloudWatch stops to evaluate them. Take one out of the other's AlarmRule.",
        ) from None
    return {name: rules[name] for name in order if name in rules}


def _suppressors(alarms: Mapping[str, Alarm]) -> dict[str, Suppressor]:
    found = {
        name: alarm.suppressor
        for name, alarm in alarms.items()
        if isinstance(alarm, CompositeAlarm) and alarm.suppressor
    }
    for name, suppressor in found.items():
        _known(suppressor.alarm, alarms, f"alarm {name}: ActionsSuppressor is")
    return found


def _known(name: str, alarms: Mapping[str, Alarm], where: str) -> None:
    if name not in alarms:
        close = difflib.get_close_matches(name, alarms, n=1)
        raise ToolkitError(
            f"{where} {name}, which is not among the {len(alarms)} alarms given",
            f"Did you mean {close[0]}?" if close else "Give that alarm, too.",
        )


def _stamp(at: int) -> str:
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%dT%H:%M:%S}.000+0000"


def _spoken(at: int) -> str:
    return f"{datetime.fromtimestamp(at, UTC):%A %d %B, %Y %H:%M:%S} UTC"
