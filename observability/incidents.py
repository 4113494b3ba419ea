"""Incidents: what was measured, and what the alarms must make of it. YAML, and this is the whole format.

    incident: A deploy breaks the handler
    about: Every send fails from 10:00 on, until the deploy is rolled back half an hour later.
    start: 2026-01-05T09:00Z
    length: 3h
    base: normal.base.yaml
    series:
      AWS/Lambda Errors {FunctionName=mailroom-send-email}:
        - {for: 1h, value: 0}
        - {for: 30m, value: 12}
        - {value: 0}
      Mailroom EmailsSent {Stack=prod} (Count):
        - {at: 1h, for: 30m, gap: true}
    expect:
      send-email-errors-page:
        fires: {after: 1h5m, by: 1h15m, times: 1}
        clears: {by: 1h50m}
      sender-bounce-rate-page: quiet
    pages: [pipeline-down-page]

A file may hold several incidents, separated by `---`. Nothing else is allowed than what follows; a key that is not
known is refused, and all faults of all files are told together, by line.

The incident
    incident    the title; needed
    about       why it exists: what happened, and what people would want
    start       ISO 8601, UTC unless it says otherwise; 2026-01-05T00:00Z, a Monday, unless given
    length      how long it is looked at; needed
    step        seconds from sample to sample of a series: 1m unless given
    before      for how long each series was already what it begins with: 0m unless given. Alarms that look back for
                hours see that much of an ordinary past. A ramp begins with its first value, a pattern and a repetition
                go on backwards, a gap stays one
    base        another file, beside this one, with series that are normal; those below take the place of its own

Durations and times are `90s`, `30m`, `2h20m`, `1d`; times count from the start. Alarms are evaluated every minute, over
what was measured before it: a sample of `at: 2h` belongs to the minute 2:00 to 2:01 and is seen from 2h1m on.

What was measured
    series      a mapping from metrics to samples. A metric is written

                    Namespace Name {Dimension=value, Other="with, comma"} (Unit)

                with exactly the dimensions of the metric; no braces without dimensions. The unit may be left out.
                Samples are a number (all the time), one segment or a list of segments, which follow one another:

        {for: 2h, value: 10}                    10, once every step
        {for: 30m, from: 10, to: 0}             in even steps; the first sample is 10, the last is 0
        {for: 1h, values: [0, 0, 1, null]}      these in turn, again and again; null is a gap
        {for: 1h, counts: {0: 990, 1: 10}}      every step 0 is measured 990 times and 1 ten times: Average 0.01,
                                                SampleCount 1000, Sum 10
        {for: 1h, from: {0: 99, 1: 1}, to: {0: 80, 1: 20}}     a ramp between two such, in whole counts
        {for: 1h, gap: true}                    nothing is measured
        {for: 1h, normal: true}                 what the base says at these times
        {repeat: [SEGMENT ...], times: 3}       these segments three times; again and again without `times`
                                                (with `for`: for so long)

                The last one may leave out `for`: it lasts to the end. Every segment may say `every: 5m`: one sample in
                that time instead of one every step. A metric that is emitted only when something happens has
                gaps, not zeros.

                A segment with `at: 2h` does not follow the one before: it lies on top of the others, in place of what
                they say, for one sample unless it says `for`. If a metric has only such segments, they lie on top of
                the base.

    emf         recorded EMF (`FILE`, or a list of {file: FILE, at: 10m}): a record on each line, other lines are passed
                over. The first one falls into the minute of the start, or of `at`.

A base is a file with `about`, `base`, `series` and `emf` alone, and is called `*.base.yaml`. Its segments begin at
midnight (UTC) of the day on which the data begin, so that a normal day has its night at night.

What must be true
    expect      a mapping from alarms, composites too, to what must be true of each: `quiet`, or a mapping of

        fires: {after: 2h, by: 2h20m}   goes into ALARM for the first time within these times, both included.
                                        `by` is needed, `after` is 0m unless given; `times: 1`: and only once in all
        quiet: true                     is never in ALARM; the same as just `quiet`
        clears: {after: 3h, by: 3h10m}  leaves ALARM for good within these times
        told: {after: 2h, by: 2h20m}    somebody is told of its ALARM, for the first time within these times
        state: {10m: OK, 20m: ALARM}    is in this state after the evaluation at this time
        never: INSUFFICIENT_DATA        is never in this state

                A pattern such as `"*"`, `"*-page"` or `errors-*` stands for all alarms of such names, but for those
                that are named by themselves. It may leave out what comes before, as names may, and has to match one.

    pages       the alarms whose ALARM was told and that page, in this order, and no others; one that is told twice is
                listed twice. Those of the same minute may stand in any order.
                What is held back by a suppressor or a mute rule is not told; nor is the ALARM of one without actions
    tells       the same, of every alarm that was told, whether it pages or not
    recoveries  the same, of every alarm whose return to OK was told
    page_names  which alarms page: those whose names match, `*-page` unless given

An alarm may be named without what comes before it: `errors-page` is `shop-prod-errors-page` if no other name ends in
`-errors-page`. With `pages`, `tells` or `recoveries` all alarms are replayed, else those of which something is expected
and what these are made of.

What makes an incident sharp (`mutate` finds out): times to the minute, `after` and `by` the same; a quiet incident in
which the value stands exactly at a threshold that has to be exceeded, or just below one that suffices; one in which a
data point too few breaches, and one in which a minimum volume is missed by one; `never: INSUFFICIENT_DATA` where the
metric has a gap of many periods; a gap during an ALARM with the minute at which it clears; values that differ within a
period, so that Sum, Average, Minimum and Maximum do.

How it begins
    states      the state of each alarm at the start, as a mapping from names (or patterns such as `*-ticket`), or one
                state for all of them. OK, as after a quiet night, for those that are not named
    mutes       alarm mute rules of the incident, besides those of the account: a list of
                {name: night work, at: 2h, for: 1h, alarms: [errors-page]}, or with `cron: 0 2 * * *` (and `timezone:
                Europe/Berlin`) in place of `at`
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Final

from observability.documents import (
    Document,
    Node,
    Reader,
    Wrong,
    documents,
    duration,
    files,
    is_scalar,
    items,
    line_of,
    one_of,
    pairs,
    positive_duration,
    text,
    unknown,
    whole,
    yes,
)
from observability.errors import ToolkitError
from observability.expectations import Clears, Expectation, Fires, InState, Never, Quiet, Told, Window
from observability.model import MuteRule, State
from observability.series import REPLAY_KEYS, SERIES_KEYS, Frame, SeriesSet, read_frame, read_series

PAGES: Final = "*-page"
LISTS: Final = ("pages", "tells", "recoveries")
"""What may be said of all alarms together."""

NOT_INCIDENTS: Final = ("*.base.yaml", "equivalents.yaml")
"""Files that a directory of incidents has besides them."""


@dataclass(frozen=True, slots=True)
class Expected:
    """What is expected of an alarm, named as in the file; `line` is where."""

    alarm: str
    expectation: Expectation
    line: int


@dataclass(frozen=True, slots=True)
class Mute:
    """A mute rule of an incident: its alarms as they are named in the file."""

    rule: MuteRule
    line: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Incident:
    """What was measured, and what the alarms must make of it.

    Attributes:
        path, line, lines: where it is written, and on which line each of its keys is.
        states: initial states by name or pattern; OK for the others.
        listed: by `pages`, `tells` and `recoveries`, where it says so, the alarms that are told, in order.
        page_names: pattern of the names of those that page.
    """

    title: str
    about: str = ""
    path: Path = Path()
    line: int = 1
    lines: Mapping[str, int] = field(default_factory=dict)
    frame: Frame = field(default_factory=Frame)
    series: SeriesSet = field(default_factory=SeriesSet)
    states: Mapping[str, State] = field(default_factory=dict)
    mutes: tuple[Mute, ...] = ()
    expected: tuple[Expected, ...] = ()
    listed: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    page_names: str = PAGES

    @property
    def start(self) -> int:
        return self.frame.start

    @property
    def end(self) -> int:
        return self.frame.start + self.frame.length

    @property
    def where(self) -> str:
        return f"{self.path}:{self.line}"


def read_incidents(paths: Collection[Path]) -> list[Incident]:
    """The incidents in files, and in those of directories, at any depth; bases and equivalents are passed over there.

    Raises:
        ToolkitError: what is wrong with all the files, by file and line.
    """
    found: list[Incident] = []
    faults: list[str] = []
    for path in files(paths):
        if path not in paths and any(fnmatchcase(path.name, pattern) for pattern in NOT_INCIDENTS):
            continue
        try:
            found += [read_incident(document) for document in documents(path)]
        except ToolkitError as error:
            faults.append(str(error))
    if faults:
        raise ToolkitError("\n".join(faults), "The format of an incident is described in observability/incidents.py.")
    return found


def read_incident(document: Document) -> Incident:
    """Raises ToolkitError: all that is wrong with it, by line."""
    reader, node = Reader(document.path), document.node
    fields = reader.fields(node, (*REPLAY_KEYS, *SERIES_KEYS), "incident")
    title = reader.take(text, reader.need(fields, "incident", node, "incident"), "")
    reader.need(fields, "length", node, "incident")
    frame = read_frame(reader, fields)
    listed: Mapping[str, tuple[str, ...]] = {name: _names(reader, fields[name]) for name in LISTS if name in fields}
    incident = Incident(
        title=title,
        about=" ".join(reader.take(text, fields.get("about"), "").split()),
        path=document.path,
        line=line_of(node),
        lines={name: line_of(of) for name, of in fields.items()},
        frame=frame,
        series=read_series(reader, fields),
        states=reader.take(_states, fields.get("states"), {}),
        mutes=tuple(
            mute
            for each in reader.take(items, fields.get("mutes"), [])
            if (mute := _read_mute(reader, each, frame.start))
        ),
        expected=tuple(_read_expected(reader, fields.get("expect"), frame.length)),
        listed=listed,
        page_names=reader.take(text, fields.get("page_names"), PAGES),
    )
    if not fields.keys() & {"expect", *LISTS}:
        reader.fault(node, "an incident says what must be true: expect, pages, tells or recoveries is missing")
    reader.close()
    return incident


def resolve(name: str, names: Collection[str]) -> str:
    """The alarm that is meant: the one of that name, or the only one whose name ends in `-` and that name.

    Raises:
        ToolkitError: there is none, or more than one.
    """
    if name in names:
        return name
    found = [each for each in names if each.endswith(f"-{name}")]
    if len(found) > 1:
        raise ToolkitError(f"alarm {name!r} may be {' or '.join(sorted(found))}", "Say more of its name.")
    if not found:
        endings = [ending for each in names for ending in _endings(each)]
        raise ToolkitError(
            unknown("alarm", name, endings) if endings else f"alarm {name!r}: there are no alarms at all"
        )
    return found[0]


def matches(name: str, pattern: str) -> bool:
    """Whether an alarm's name, or its end after a `-`, matches."""
    return fnmatchcase(name, pattern) or fnmatchcase(name, f"*-{pattern}")


def _endings(name: str) -> Iterable[str]:
    words = name.split("-")
    return ("-".join(words[first:]) for first in range(len(words)))


def _names(reader: Reader, node: Node) -> tuple[str, ...]:
    return tuple(reader.take(text, each, "") for each in reader.take(items, node, []))


def _states(node: Node) -> Mapping[str, State]:
    """One state for all, or states by name or pattern."""
    if is_scalar(node):
        return {"*": _state(node)}
    return {text(key): _state(value) for key, value in pairs(node)}


def _state(node: Node) -> State:
    return State(one_of([*State])(node))


def _read_expected(reader: Reader, node: Node | None, length: int) -> Iterable[Expected]:
    seen: set[str] = set()
    for key, value in reader.take(pairs, node, []):
        alarm = reader.take(text, key, "")
        if alarm in seen:
            reader.fault(key, f"expect: {alarm} is there twice")
        seen.add(alarm)
        if is_scalar(value):
            reader.take(one_of(["quiet"]), value, "")
            yield Expected(alarm, Quiet(), line_of(key))
            continue
        fields = reader.fields(value, _EXPECTATIONS, f"expect {alarm}")
        if not reader.take(pairs, value, [value]):
            reader.fault(key, f"expect {alarm}: nothing is said of it; allowed are {', '.join(_EXPECTATIONS)}")
        for name, of in fields.items():
            if expectation := _EXPECTATIONS[name](reader, of, length):
                yield Expected(alarm, expectation, line_of(of))


def _window(reader: Reader, node: Node, length: int, *more: str) -> tuple[Window, Mapping[str, Node]]:
    fields = reader.fields(node, ("after", "by", *more), "window")
    by = reader.take(duration, reader.need(fields, "by", node, "window"), length)
    after = reader.take(duration, fields.get("after"), 0)
    if by > length or after > by:
        reader.fault(node, "a window lies in the incident's length, and its `after` is not later than its `by`")
    return Window(after, by), fields


def _fires(reader: Reader, node: Node, length: int) -> Expectation:
    window, fields = _window(reader, node, length, "times")
    return Fires(window, reader.take(whole, fields["times"], 1) if "times" in fields else None)


def _quiet(reader: Reader, node: Node, _: int) -> Expectation:
    reader.take(yes, node, True)
    return Quiet()


def _clears(reader: Reader, node: Node, length: int) -> Expectation:
    return Clears(_window(reader, node, length)[0])


def _told(reader: Reader, node: Node, length: int) -> Expectation:
    return Told(_window(reader, node, length)[0])


def _in_state(reader: Reader, node: Node, length: int) -> Expectation:
    found: dict[int, State] = {}
    for key, value in reader.take(pairs, node, []):
        at = reader.take(duration, key, 0)
        if at > length:
            reader.fault(key, f"{key.value} is after the incident's end")
        found[at] = reader.take(_state, value, State.OK)
    return InState(found)


def _never(reader: Reader, node: Node, _: int) -> Expectation:
    return Never(reader.take(_state, node, State.OK))


_EXPECTATIONS: Final[Mapping[str, Callable[[Reader, Node, int], Expectation]]] = {
    "fires": _fires,
    "quiet": _quiet,
    "clears": _clears,
    "told": _told,
    "state": _in_state,
    "never": _never,
}


def _read_mute(reader: Reader, node: Node, start: int) -> Mute | None:
    fields = reader.fields(node, ("name", "at", "cron", "timezone", "for", "alarms"), "mute")
    for name in ("name", "for", "alarms"):
        reader.need(fields, name, node, "mute")
    if ("at" in fields) == ("cron" in fields):
        reader.fault(node, "mute: it has either at or cron")
        return None
    if "at" in fields:
        if "timezone" in fields:
            reader.fault(fields["timezone"], "mute: timezone goes with cron")
        begins = datetime.fromtimestamp(start + reader.take(_minutes, fields["at"], 0), UTC)
        expression = f"at({begins:%Y-%m-%dT%H:%M})"
    else:
        expression = f"cron({reader.take(text, fields['cron'], '')})"
    rule = MuteRule(
        name=reader.take(text, fields.get("name"), ""),
        expression=expression,
        duration=f"PT{reader.take(_positive_minutes, fields.get('for'), 60) // 60}M",
        timezone=reader.take(text, fields.get("timezone"), "UTC"),
        alarms=_names(reader, fields["alarms"]) if "alarms" in fields else (),
    )
    return Mute(rule, line_of(node))


def _minutes(node: Node) -> int:
    if (seconds := duration(node)) % 60:
        raise Wrong(node, "a mute rule counts in whole minutes")
    return seconds


def _positive_minutes(node: Node) -> int:
    positive_duration(node)
    return _minutes(node)
