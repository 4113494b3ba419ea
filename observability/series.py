"""Series of metrics as people write them: constants, ramps, spikes, gaps, patterns, recorded EMF. In YAML.

The format is described at the top of `incidents.py`, of which this is the part that says what was measured.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from observability.documents import (
    Node,
    Reader,
    Wrong,
    documents,
    duration,
    is_mapping,
    is_scalar,
    items,
    line_of,
    moment,
    number,
    pairs,
    positive_duration,
    text,
    unknown,
    whole,
    yes,
)
from observability.errors import ToolkitError
from observability.ingest import UNITS, from_emf
from observability.model import DAY, MINUTE, MetricKey
from observability.store import MetricStore

MONDAY: Final = 1_767_571_200
"""2026-01-05T00:00Z: when what does not say otherwise begins."""

SERIES_KEYS: Final = ("start", "length", "step", "before", "base", "series", "emf", "about")
REPLAY_KEYS: Final = ("incident", "states", "mutes", "expect", "pages", "tells", "recoveries", "page_names")
"""What a document says of series, and what it says of alarms. A file of series alone has just the former."""

SHAPES: Final = ("value", "values", "counts", "from", "gap", "normal", "repeat")
_SEGMENT_KEYS: Final = ("for", "every", "at", "to", "times", *SHAPES)

_DIMENSION = re.compile(r'\s*([^=,{}"]+?)=("[^"]*"|[^,"]*?)\s*(?:,|$)')
_KEY = re.compile(r"(\S+)\s+([^{]+?)\s*(?:\{(.*)\})?\s*(?:\(([^()]+)\))?")

Counts = Mapping[float, float]
"""How often each value was measured: a single measurement of v is {v: 1}."""


@dataclass(frozen=True, slots=True, eq=False)
class Points:
    """Measurements in the order of time: at `times[i]` (epoch seconds) `values[i]` was measured `counts[i]` times."""

    times: NDArray[np.int64]
    values: NDArray[np.float64]
    counts: NDArray[np.float64]

    @classmethod
    def joined(cls, parts: Sequence[Points]) -> Points:
        if not parts:
            return NOTHING
        times = np.concatenate([part.times for part in parts])
        order = np.argsort(times, kind="stable")
        values, counts = (np.concatenate([getattr(part, name) for part in parts]) for name in ("values", "counts"))
        return cls(times[order], values[order], counts[order])

    def where(self, chosen: NDArray[np.bool_]) -> Points:
        return Points(self.times[chosen], self.values[chosen], self.counts[chosen])

    def between(self, first: int, last: int) -> Points:
        """Those from `first` up to, but not at, `last`."""
        return self.where((self.times >= first) & (self.times < last))

    def outside(self, first: int, last: int) -> Points:
        return self.where((self.times < first) | (self.times >= last))


NOTHING: Final = Points(np.empty(0, np.int64), np.empty(0), np.empty(0))


class Shape(Protocol):
    """How a metric behaves for a while."""

    def fill(self, first: int, last: int, step: int, base: Points, /) -> Points:
        """The points from `first` up to `last`, one or more every `step` seconds. `base` is what is normal."""
        ...

    def before(self) -> Shape:
        """What it was like before: the same, except for what moves."""
        ...

    def length(self, step: int, /) -> int:
        """Seconds after which it begins again."""
        ...


@dataclass(frozen=True, slots=True)
class Ramp:
    """From one to the other in even steps: the first sample is `first`, the last is `last`. Two that are the same are a
    constant. Single values move by value; several move by how often each is measured, in whole counts."""

    first: Counts
    last: Counts

    def fill(self, first: int, last: int, step: int, _base: Points) -> Points:
        times = _samples(first, last, step)
        if self.first == self.last or (len(self.first) == len(self.last) == 1 and self._single):
            rows = zip(self.first.items(), self.last.items(), strict=True)
            return _mixed(
                times,
                [(np.linspace(v, w, len(times)), np.linspace(c, d, len(times))) for (v, c), (w, d) in rows],
            )
        seen = dict.fromkeys([*self.first, *self.last])
        return _mixed(
            times,
            [
                (
                    np.full(len(times), value),
                    np.rint(np.linspace(self.first.get(value, 0), self.last.get(value, 0), len(times))),
                )
                for value in seen
            ],
        )

    @property
    def _single(self) -> bool:
        return [*self.first.values()] == [*self.last.values()] == [1]

    def before(self) -> Shape:
        return Ramp(self.first, self.first)

    def length(self, step: int) -> int:
        return step


@dataclass(frozen=True, slots=True)
class Pattern:
    """These values one after the other, again and again; None is a gap."""

    values: tuple[float | None, ...]

    def fill(self, first: int, last: int, step: int, _base: Points) -> Points:
        times = _samples(first, last, step)
        values = np.array([np.nan if value is None else value for value in self.values])
        found = Points(times, np.resize(values, len(times)), np.ones(len(times)))
        return found.where(~np.isnan(found.values))

    def before(self) -> Shape:
        return self

    def length(self, step: int) -> int:
        return step * len(self.values)


@dataclass(frozen=True, slots=True)
class Gap:
    """Nothing is measured."""

    def fill(self, _first: int, _last: int, _step: int, _base: Points) -> Points:
        return NOTHING

    def before(self) -> Shape:
        return self

    def length(self, step: int) -> int:
        return step


@dataclass(frozen=True, slots=True)
class Normal:
    """What the base says of this metric at these times."""

    def fill(self, first: int, last: int, _step: int, base: Points) -> Points:
        return base.between(first, last)

    def before(self) -> Shape:
        return self

    def length(self, step: int) -> int:
        return step


@dataclass(frozen=True, slots=True)
class Cycle:
    """Segments again and again."""

    segments: tuple[Segment, ...]

    def fill(self, first: int, last: int, step: int, base: Points) -> Points:
        once = self.length(step)
        return Points.joined([_lay(self.segments, at, last, step, base) for at in range(first, last, once)])

    def before(self) -> Shape:
        return self

    def length(self, _step: int) -> int:
        return sum(segment.length or 0 for segment in self.segments)


@dataclass(frozen=True, slots=True)
class Segment:
    """A shape for a while.

    Attributes:
        length: seconds; None lasts to the end.
        every: seconds from sample to sample; None is the series' step.
        at: seconds after the start, of one that lies on top of the others; None for one that follows the one before.
    """

    shape: Shape
    length: int | None = None
    every: int | None = None
    at: int | None = None


@dataclass(frozen=True, slots=True)
class Series:
    """What is said of one metric. `line` is where."""

    key: MetricKey
    unit: str
    segments: tuple[Segment, ...]
    line: int

    def points(self, begin: int, start: int, end: int, step: int, base: Points) -> Points:
        """The points from `begin` up to `end`. The segments begin at `start`; what they begin with was so before."""
        in_order = [segment for segment in self.segments if segment.at is None]
        on_top = [segment for segment in self.segments if segment.at is not None]
        found = base.between(begin, end)
        if in_order:
            first = in_order[0]
            every = first.every or step
            shape, once = first.shape.before(), first.shape.length(every)
            earlier = start - -(-(start - begin) // once) * once
            found = Points.joined([shape.fill(earlier, start, every, base), _lay(in_order, start, end, step, base)])
        for segment in on_top:
            at = start + (segment.at or 0)
            until = at + (segment.length or segment.every or step)
            over = segment.shape.fill(at, until, segment.every or step, base)
            found = Points.joined([found.outside(at, until), over])
        return found.between(begin, end)


@dataclass(frozen=True, slots=True)
class Recorded:
    """EMF records of a file, one a line; the first of them falls into the minute `at` seconds after the start."""

    path: Path
    at: int = 0

    def lines(self, start: int) -> Iterator[dict[str, Any]]:
        """The records as if they had been written from `start` on. Lines that are no EMF are left out.

        Raises:
            ToolkitError: the file cannot be read, or has no record.
        """
        try:
            written = self.path.read_text(encoding="utf-8").splitlines()
        except OSError as error:
            raise ToolkitError(f"{self.path}: {error.strerror}") from error
        records = [record for line in written if (record := _record(line))]
        if not records:
            raise ToolkitError(f"{self.path}: no EMF record in it", "A record is a line of JSON with `_aws.Timestamp`.")
        first = min(record["_aws"]["Timestamp"] for record in records)
        shift = (start + self.at) * 1000 - first // (MINUTE * 1000) * MINUTE * 1000
        for record in records:
            yield {**record, "_aws": {**record["_aws"], "Timestamp": record["_aws"]["Timestamp"] + shift}}


@dataclass(frozen=True, slots=True)
class SeriesSet:
    """The series of a document.

    Attributes:
        base: what is normal; the segments of a base begin at midnight (UTC) of the day on which the data begin.
    """

    series: Mapping[MetricKey, Series] = field(default_factory=dict)
    emf: tuple[Recorded, ...] = ()
    base: SeriesSet | None = None

    def points(self, begin: int, start: int, end: int, step: int) -> dict[MetricKey, tuple[str, Points]]:
        """Unit and points of each metric from `begin` up to `end`; the segments of these series begin at `start`."""
        midnight = begin // DAY * DAY
        normal = self.base.points(midnight, midnight, end, step) if self.base else {}
        own = {
            key: (
                normal[key][0] if key in normal and series.unit == "None" else series.unit,
                series.points(begin, start, end, step, normal[key][1] if key in normal else NOTHING),
            )
            for key, series in self.series.items()
        }
        return {key: (unit, points.between(begin, end)) for key, (unit, points) in {**normal, **own}.items()}

    def fill(self, store: MetricStore, start: int, length: int, *, step: int = MINUTE, before: int = 0) -> None:
        """Put everything into the store. Series begin `before` seconds early with what they begin with.

        Raises:
            ToolkitError: recorded EMF cannot be read.
        """
        for key, (unit, points) in self.points(start - before, start, start + length, step).items():
            if len(points.times):
                whole = not (points.times % MINUTE).any()
                store.put(key, points.times, points.values, points.counts, unit=unit, resolution=MINUTE if whole else 1)
        for each in self.recorded():
            if refused := from_emf(each.lines(start), store).refused:
                raise ToolkitError(f"{each.path}: record {refused[0].line}: {refused[0].reason}")

    def recorded(self) -> Iterator[Recorded]:
        if self.base:
            yield from self.base.recorded()
        yield from self.emf


@dataclass(frozen=True, slots=True)
class Frame:
    """When a document's series are: epoch seconds of the start, and seconds."""

    start: int = MONDAY
    length: int = DAY
    step: int = MINUTE
    before: int = 0


def read_series_file(path: Path) -> tuple[MetricStore, int, int]:
    """The series of the first document of a file (what it says of alarms is passed over), and when they begin and end
    in epoch seconds.

    Raises:
        ToolkitError: all that is wrong with the file, by line.
    """
    found = documents(path)
    if not found:
        raise ToolkitError(f"{path}: it is empty")
    reader = Reader(path)
    fields = reader.fields(found[0].node, (*SERIES_KEYS, *REPLAY_KEYS), "series")
    frame, series = read_frame(reader, fields), read_series(reader, fields)
    reader.close()
    store = MetricStore()
    series.fill(store, frame.start, frame.length, step=frame.step, before=frame.before)
    return store, frame.start, frame.start + frame.length


def read_frame(reader: Reader, fields: Mapping[str, Node]) -> Frame:
    """`start`, `length`, `step` and `before` of a document."""
    return Frame(
        start=reader.take(moment, fields.get("start"), MONDAY),
        length=reader.take(positive_duration, fields.get("length"), DAY),
        step=reader.take(positive_duration, fields.get("step"), MINUTE),
        before=reader.take(duration, fields.get("before"), 0),
    )


def read_series(reader: Reader, fields: Mapping[str, Node], behind: tuple[Path, ...] = ()) -> SeriesSet:
    """`series`, `emf` and `base` of a document. `behind` are the files of which this is the base."""
    base = None
    if (node := fields.get("base")) and (name := reader.take(text, node, "")):
        path = reader.path.parent / name
        try:
            base = _read_base(path, (*behind, reader.path))
        except ToolkitError as error:
            reader.fault(node, f"base: {error}")
    series: dict[MetricKey, Series] = {}
    for key, value in reader.take(pairs, fields.get("series"), []):
        metric, unit = reader.take(parse_key, key, (None, ""))
        segments = _read_segments(reader, value)
        if metric in series:
            reader.fault(key, f"series: {metric} is there twice")
        elif metric:
            series[metric] = Series(metric, unit, segments, line_of(key))
    return SeriesSet(series, tuple(_read_recorded(reader, fields.get("emf"))), base)


def parse_key(node: Node) -> tuple[MetricKey, str]:
    """Metric and unit of `Namespace Name {Dimension=value, Other="a, b"} (Unit)`; the unit is `None` without one.

    Raises:
        Wrong: it is not of this form.
    """
    form = "Namespace Name {Dimension=value} (Unit)"
    found = _KEY.fullmatch(text(node))
    if not found:
        raise Wrong(node, f"{text(node)!r} is no metric; it is written {form}")
    namespace, name, written, unit = found.groups()
    rest, dimensions = (written or "").strip(), {}
    while rest:
        pair = _DIMENSION.match(rest)
        if not pair or pair[1].strip() in dimensions:
            raise Wrong(node, f'dimensions {written!r}: each is there once and written Name=value, or Name="a, b"')
        dimensions[pair[1].strip()] = pair[2].strip('"')
        rest = rest[pair.end() :].strip()
    if unit and unit not in UNITS:
        raise Wrong(node, unknown("unit", unit, sorted(UNITS)))
    return MetricKey.of(namespace, name, dimensions), unit or "None"


def _read_base(path: Path, behind: tuple[Path, ...]) -> SeriesSet:
    if path.resolve() in {each.resolve() for each in behind}:
        raise ToolkitError(f"{path.name} is its own base")
    found = documents(path)
    if len(found) != 1:
        raise ToolkitError(f"{path}: a base is one document, not {len(found)}")
    reader = Reader(path)
    fields = reader.fields(found[0].node, ("about", "base", "series", "emf"), "base")
    series = read_series(reader, fields, behind)
    reader.close()
    return series


def _read_recorded(reader: Reader, node: Node | None) -> Iterator[Recorded]:
    """`emf: FILE`, or `emf: [{file: FILE, at: 10m}]`."""
    if node is None:
        return
    if is_scalar(node):
        yield Recorded(reader.path.parent / reader.take(text, node, ""))
        return
    for each in reader.take(items, node, []):
        fields = reader.fields(each, ("file", "at"), "emf")
        name = reader.take(text, reader.need(fields, "file", each, "emf"), "")
        yield Recorded(reader.path.parent / name, reader.take(duration, fields.get("at"), 0))


def _read_segments(reader: Reader, node: Node) -> tuple[Segment, ...]:
    """A number (the whole time), one segment, or a list of segments."""
    if is_scalar(node):
        value = reader.take(number, node, 0.0)
        return (Segment(_constant({value: 1})),)
    nodes = [node] if is_mapping(node) else reader.take(items, node, [])
    segments = tuple(segment for each in nodes if (segment := _read_segment(reader, each)))
    in_order = [segment for segment in segments if segment.at is None]
    if any(segment.length is None for segment in in_order[:-1]):
        reader.fault(node, "a segment that is not the last one says how long it is: `for: 30m`")
    return segments


def _read_segment(reader: Reader, node: Node) -> Segment | None:
    fields = reader.fields(node, _SEGMENT_KEYS, "segment")
    shapes = [name for name in SHAPES if name in fields]
    if len(shapes) != 1:
        reader.fault(
            node, f"a segment has exactly one of {', '.join(SHAPES)}, this has {' and '.join(shapes) or 'none'}"
        )
        return None
    if ("to" in fields) != (shapes == ["from"]):
        reader.fault(node, "`from` and `to` go together")
    if "times" in fields and shapes != ["repeat"]:
        reader.fault(fields["times"], "`times` says how often segments are repeated: it goes with `repeat`")
    shape = _read_shape(reader, shapes[0], fields)
    length: int | None = reader.take(positive_duration, fields.get("for"), None)
    if isinstance(shape, Cycle) and "times" in fields:
        if length is not None:
            reader.fault(fields["times"], "`repeat` has `for` or `times`, not both")
        length = reader.take(whole, fields["times"], 1) * shape.length(1)
    return Segment(
        shape=shape,
        length=length,
        every=reader.take(positive_duration, fields.get("every"), None),
        at=reader.take(duration, fields.get("at"), None),
    )


def _read_shape(reader: Reader, name: str, fields: Mapping[str, Node]) -> Shape:
    node = fields[name]
    match name:
        case "gap" | "normal":
            reader.take(yes, node, True)
            return Gap() if name == "gap" else Normal()
        case "values":
            values = [reader.take(_number_or_gap, each, None) for each in reader.take(items, node, [])]
            if not values:
                reader.fault(node, "values: at least one is needed")
            return Pattern(tuple(values) or (None,))
        case "repeat":
            segments = _read_segments(reader, node)
            if not segments or any(segment.length is None or segment.at is not None for segment in segments):
                reader.fault(node, "repeat: segments in order, each with `for`")
                return Gap()
            return Cycle(segments)
    first = reader.take(_counts, node, {0.0: 1.0})
    return Ramp(first, reader.take(_counts, fields.get("to"), first))


def _constant(counts: Counts) -> Shape:
    return Ramp(counts, counts)


def _counts(node: Node) -> Counts:
    """A number, or how often each number is measured."""
    if is_scalar(node):
        return {number(node): 1.0}
    found = {number(key): number(value) for key, value in pairs(node)}
    if not found or min(found.values()) < 0:
        raise Wrong(node, "counts: how often each value is measured, such as {0: 990, 1: 10}")
    return found


def _number_or_gap(node: Node) -> float | None:
    return None if node.tag == "tag:yaml.org,2002:null" else number(node)


def _record(line: str) -> dict[str, Any] | None:
    if '"_aws"' not in line:
        return None
    try:
        found = json.loads(line)
        return found if isinstance(found["_aws"]["Timestamp"], int) else None
    except (ValueError, KeyError, TypeError):
        return None


def _lay(segments: Sequence[Segment], first: int, last: int, step: int, base: Points) -> Points:
    """The segments one after the other from `first`; what goes beyond `last` is cut off."""
    parts, at = [], first
    for segment in segments:
        if at >= last:
            break
        end = last if segment.length is None else at + segment.length
        parts.append(segment.shape.fill(at, end, segment.every or step, base))
        at = end
    return Points.joined(parts).between(first, last)


def _samples(first: int, last: int, step: int) -> NDArray[np.int64]:
    return np.arange(first, last, step, dtype=np.int64)


def _mixed(times: NDArray[np.int64], measured: Sequence[tuple[NDArray[np.float64], NDArray[np.float64]]]) -> Points:
    """Several values at each time, each with how often it was measured; those never measured are left out."""
    found = Points(
        np.tile(times, len(measured)),
        np.concatenate([values for values, _ in measured]),
        np.concatenate([counts for _, counts in measured]),
    )
    return Points.joined([found.where(found.counts > 0)])
