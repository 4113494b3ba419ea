"""What happened in an incident, as lines that one can read: changes of state, who was told, what was not expected."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from rich.text import Text

from observability.evaluation import Change
from observability.expectations import spoken
from observability.model import DAY, Alarm, CompositeAlarm, MetricAlarm, State
from observability.replay import Broken, Outcome, was_told
from observability.simulation import Notice

STYLES: Final[Mapping[State, str]] = {State.OK: "green", State.ALARM: "red", State.INSUFFICIENT_DATA: "yellow"}

MOST_VALUES: Final = 3
"""Data points that a line shows of a change; the newest ones."""


@dataclass(frozen=True, slots=True)
class Moment:
    """Something that happened to an alarm at an instant.

    Attributes:
        after: seconds after the start.
        change: None for a notice that was let out later than the change it tells of.
        notices: what was told, or withheld, at this instant.
    """

    after: int
    alarm: str
    change: Change | None
    notices: tuple[Notice, ...]


def moments(outcome: Outcome) -> list[Moment]:
    """Everything that happened, in the order of time."""
    start = outcome.incident.start
    changes = {(change.at, change.alarm): change for change in outcome.simulation.changes}
    notices: dict[tuple[int, str], list[Notice]] = {}
    for notice in outcome.simulation.notices:
        notices.setdefault((notice.at, notice.alarm), []).append(notice)
    order = dict.fromkeys([*changes, *notices])
    return [
        Moment(at - start, alarm, changes.get((at, alarm)), tuple(notices.get((at, alarm), ())))
        for at, alarm in sorted(order, key=lambda each: each[0])
    ]


def shown(outcome: Outcome) -> list[Moment]:
    """What concerns the alarms under test, the composites, and whoever was or was not told."""
    composites = {alarm.name for alarm in outcome.alarms if isinstance(alarm, CompositeAlarm)}
    return [each for each in moments(outcome) if each.notices or each.alarm in {*outcome.named, *composites}]


def lines(outcome: Outcome) -> Iterator[Text]:
    """The timeline of an incident. Names are without the prefix that all alarms share."""
    incident = outcome.incident
    yield Text(incident.title, style="bold")
    yield Text(f"{incident.where}, {period_in_words(incident.start, incident.end)}", style="dim")
    if incident.about:
        yield Text(incident.about)
    alarms = {alarm.name: alarm for alarm in outcome.alarms}
    for name, state in begins(outcome):
        yield Text.assemble(f"  {'':16}", f"{outcome.short(name)} begins in ", (state, STYLES[State(state)]))
    told = shown(outcome)
    wide = max((len(outcome.short(each.alarm)) for each in told), default=0)
    long = incident.frame.length > DAY
    for each in told:
        line = Text.assemble(
            f"  {clock(incident.start + each.after, day=long)}",
            (f"  +{spoken(each.after):<9} ", "dim"),
            f"{outcome.short(each.alarm):<{wide}}  ",
        )
        line.append_text(_what(each, alarms[each.alarm], outcome))
        line.rstrip()
        yield line
    others = sorted({change.alarm for change in outcome.simulation.changes} - {each.alarm for each in told})
    if others:
        names = ", ".join(outcome.short(name) for name in others)
        yield Text(f"  {'':16}of which nothing is expected changed, too: {names}", style="dim")
    if outcome.silent:
        names = ", ".join(outcome.short(name) for name in outcome.silent)
        yield Text(f"  {'':16}without a single data point: {names}", style="dim")
    yield from verdict(outcome)


def verdict(outcome: Outcome) -> Iterator[Text]:
    """What was expected and is not so; one line where all is well."""
    for broken in outcome.broken:
        yield Text(f"  ✗ line {broken.line}: {in_words(broken, outcome)}", style="red")
    for key in outcome.unwatched:
        yield Text(f"  ✗ line {outcome.line_of(key)}: no alarm looks at {key}", style="red")
    total = outcome.expectations
    if outcome.passed:
        yield Text(f"  ✓ {'as expected' if total == 1 else f'all {total} expectations hold'}", style="green")


def in_words(broken: Broken, outcome: Outcome) -> str:
    return outcome.shortened(str(broken))


def summary(outcomes: Sequence[Outcome]) -> Text:
    """One line on all incidents."""
    failed = [outcome for outcome in outcomes if not outcome.passed]
    total = sum(outcome.expectations for outcome in outcomes)
    counted = f"{_many(len(outcomes), 'incident')}, {_many(total, 'expectation')}"
    if failed:
        return Text(f"{counted}: {_many(len(failed), 'incident')} not as expected", style="bold red")
    return Text(f"{counted}: all as expected", style="bold green")


def document(outcome: Outcome) -> dict[str, Any]:
    """The outcome for another program; times are ISO 8601 and, as `after`, seconds after the start."""
    start = outcome.incident.start

    def at(seconds: int) -> dict[str, Any]:
        return {"at": datetime.fromtimestamp(seconds, UTC).isoformat(), "after": seconds - start}

    return {
        "incident": outcome.incident.title,
        "file": str(outcome.incident.path),
        "line": outcome.incident.line,
        "passed": outcome.passed,
        "broken": [
            {"alarm": each.alarm, "expected": each.expected, "instead": each.instead, "line": each.line}
            for each in outcome.broken
        ],
        "unwatched": [str(key) for key in outcome.unwatched],
        "changes": [
            {**at(each.at), "alarm": each.alarm, "before": each.before, "state": each.after, "reason": each.reason}
            for each in outcome.simulation.changes
        ],
        "notices": [
            {
                **at(each.at),
                "alarm": each.alarm,
                "state": each.state,
                "actions": list(each.actions),
                "told": was_told(each),
                "withheld": each.withheld,
            }
            for each in outcome.simulation.notices
        ],
    }


def begins(outcome: Outcome) -> list[tuple[str, str]]:
    """The alarms under test that do not begin in OK, and in what they begin."""
    return [(name, outcome.initial[name]) for name in outcome.named if outcome.initial[name] is not State.OK]


def clock(seconds: int, *, day: bool = False) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):{'%a %H:%M' if day else '%H:%M'}}"


def period_in_words(start: int, end: int) -> str:
    first, last = (datetime.fromtimestamp(each, UTC) for each in (start, end))
    until = f"{last:%H:%M}" if first.date() == last.date() else f"{last:%a %-d %b %Y %H:%M}"
    return f"{first:%a %-d %b %Y %H:%M} to {until} UTC ({spoken(end - start)})"


def values_in_words(alarm: MetricAlarm, change: Change) -> str:
    """The newest data points that were looked at, oldest first, and the threshold: `0, 3, 15 ≥ 1`."""
    values = ["–" if each.value is None else f"{each.value:.4g}" for each in change.readings[:MOST_VALUES]]
    more = "… " if len(change.readings) > MOST_VALUES else ""
    return f"{more}{', '.join(reversed(values))} ({alarm.comparison.sign} {alarm.threshold:,.10g})"


def told_in_words(notice: Notice) -> str:
    if notice.withheld:
        return f"not told: {notice.withheld}"
    return f"told {', '.join(action.rpartition(':')[2] for action in notice.actions)}"


def _what(moment: Moment, alarm: Alarm, outcome: Outcome) -> Text:
    line = Text()
    if moment.change:
        line.append(f"{_brief(moment.change.before)} → ")
        line.append(_brief(moment.change.after), style=STYLES[moment.change.after])
    else:
        line.append(f"still {_brief(moment.notices[0].state)}")
    line.pad_right(max(0, 12 - len(line)))
    for notice in moment.notices:
        line.append(f"  {outcome.shortened(told_in_words(notice))}", style="bold" if was_told(notice) else "dim")
    if moment.change and isinstance(alarm, MetricAlarm):
        line.append(f"  {values_in_words(alarm, moment.change)}", style="dim")
    return line


def _brief(state: State) -> str:
    return "NO DATA" if state is State.INSUFFICIENT_DATA else str(state)


def _many(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"
