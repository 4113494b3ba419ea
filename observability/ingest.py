"""Data points as they are sent to CloudWatch, into a store: lines of embedded metric format, and PutMetricData.

What CloudWatch drops without a word is told here: a record that is refused is counted, with the reason.

Sources: Amazon CloudWatch user guide, "Specification: Embedded metric format"; API reference, `PutMetricData`,
`MetricDatum` and `StatisticSet`. Limits that depend on the time of sending (two weeks back, two hours ahead) are not
applied: a recording is older than that.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, NoReturn, TypeGuard

from observability.errors import ToolkitError
from observability.model import MINUTE, MetricKey, read_key
from observability.store import LARGEST, LATEST, RESOLUTIONS, MetricStore

Json = Mapping[str, Any]

MOST_DIMENSIONS: Final = 30
MOST_METRICS: Final = 100
MOST_VALUES: Final = 100
MOST_PUT_VALUES: Final = 150

_BYTES: Final = ("Bytes", "Kilobytes", "Megabytes", "Gigabytes", "Terabytes")
_BITS: Final = ("Bits", "Kilobits", "Megabits", "Gigabits", "Terabits")
_AMOUNTS: Final = (*_BYTES, *_BITS, "Count")
UNITS: Final = frozenset(
    ("Seconds", "Microseconds", "Milliseconds", "Percent", "None", *_AMOUNTS, *(f"{each}/Second" for each in _AMOUNTS))
)


@dataclass(frozen=True, slots=True)
class Refusal:
    """A record that CloudWatch makes no metrics of: `line`, counted from 1, and why."""

    line: int
    reason: str


@dataclass(frozen=True, slots=True)
class Ingested:
    """What became of what was given.

    Attributes:
        records: those that were taken.
        points: values that they added, one for each metric, dimension set and value of an array.
        refused: those that were not. Lines that are not records at all are in neither.
    """

    records: int = 0
    points: int = 0
    refused: tuple[Refusal, ...] = ()


@dataclass(frozen=True, slots=True)
class _Points:
    """Values of one metric at one time, on their way into the store."""

    key: MetricKey
    time: float
    values: Sequence[float]
    unit: str
    resolution: int


class _Invalid(Exception):
    """A record is not as the specification has it; the message says how."""


# Embedded metric format


def from_emf(lines: Iterable[str | Json], store: MetricStore) -> Ingested:
    """Take the metrics out of log lines. Other lines are passed over, and what Lambda puts before a record is, too.

    A record is taken whole or not at all: one fault in it, and CloudWatch's behaviour is not specified.
    """
    gathered: dict[tuple[MetricKey, str, int], tuple[list[float], list[float]]] = {}
    records = points = 0
    refused: list[Refusal] = []
    for number, line in enumerate(lines, start=1):
        try:
            record = _document(line)
            if record is None:
                continue
            found = list(_metrics(record))
        except _Invalid as fault:
            refused.append(Refusal(number, str(fault)))
            continue
        records += 1
        for each in found:
            times, values = gathered.setdefault((each.key, each.unit, each.resolution), ([], []))
            times.extend([each.time] * len(each.values))
            values.extend(each.values)
            points += len(each.values)
    for (key, unit, resolution), (times, values) in gathered.items():
        store.put(key, times, values, unit=unit, resolution=resolution)
    return Ingested(records, points, tuple(refused))


def _document(line: str | Json) -> Json | None:
    """The record on a line, None if there is none. A record is known by its `_aws` member."""
    if isinstance(line, str):
        begin = line.find("{")
        if begin < 0 or '"_aws"' not in line:
            return None
        try:
            line = json.loads(line[begin:], parse_constant=_no_number)
        except ValueError as fault:
            raise _Invalid(f"it is not JSON: {fault}") from None
    return line if isinstance(line, Mapping) and "_aws" in line else None


def _no_number(text: str) -> NoReturn:
    raise ValueError(f"{text} is not a number in JSON")


def _metrics(record: Json) -> Iterator[_Points]:
    metadata = _member(record, "_aws", Mapping, "an object")
    directives = _member(metadata, "CloudWatchMetrics", list, "an array", "_aws.")
    time = metadata.get("Timestamp")
    if not _is_number(time) or abs(time) > LATEST:
        raise _Invalid(f"_aws.Timestamp is {_shown(time)}, that has to be milliseconds since 1970")
    for number, directive in enumerate(directives):
        where = f"_aws.CloudWatchMetrics[{number}]"
        if not isinstance(directive, Mapping):
            raise _Invalid(f"{where} is {_shown(directive)}, that has to be an object")
        yield from _directed(record, directive, time / 1000, f"{where}.")


def _directed(record: Json, directive: Json, time: float, where: str) -> Iterator[_Points]:
    namespace = _text(directive, "Namespace", where)
    sets = _member(directive, "Dimensions", list, "an array of arrays", where)
    if not sets:
        raise _Invalid(f"{where}Dimensions has no set; for metrics without dimensions it is [[]]")
    definitions = _member(directive, "Metrics", list, "an array", where)
    if len(definitions) > MOST_METRICS:
        raise _Invalid(f"{where}Metrics defines {len(definitions)} metrics, at most {MOST_METRICS} are allowed")
    dimensions = [_dimensions(record, names, f"{where}Dimensions") for names in sets]
    for definition in definitions:
        if not isinstance(definition, Mapping):
            raise _Invalid(f"{where}Metrics has {_shown(definition)}, that has to be an object")
        name = _text(definition, "Name", f"{where}Metrics: ")
        unit = definition.get("Unit", "None")
        if not isinstance(unit, str) or unit not in UNITS:
            raise _Invalid(f"metric {name}: Unit is {_shown(unit)}, which CloudWatch does not have")
        resolution = definition.get("StorageResolution", MINUTE)
        if resolution not in RESOLUTIONS:
            raise _Invalid(f"metric {name}: StorageResolution is {_shown(resolution)}, allowed are 1 and {MINUTE}")
        values = _target(record, name)
        for pairs in dimensions:
            yield _Points(MetricKey.of(namespace, name, pairs), time, values, unit, resolution)


def _dimensions(record: Json, names: Any, where: str) -> dict[str, str]:
    if not isinstance(names, list) or not all(isinstance(name, str) and name for name in names):
        raise _Invalid(f"{where} has the set {_shown(names)}, that has to be an array of names")
    if len(names) > MOST_DIMENSIONS:
        raise _Invalid(f"{where} has a set of {len(names)} dimensions, at most {MOST_DIMENSIONS} are allowed")
    for name in names:
        value = record.get(name)
        if not isinstance(value, str) or not value:
            raise _Invalid(f"dimension {name}: its value is {_shown(value)}, that has to be a string at the root")
    return {name: record[name] for name in names}


def _target(record: Json, name: str) -> list[float]:
    value = record.get(name)
    values: list[Any] = value if isinstance(value, list) else [value]
    if len(values) > MOST_VALUES:
        raise _Invalid(f"metric {name} has {len(values)} values, at most {MOST_VALUES} are allowed")
    if not all(map(_is_number, values)):
        raise _Invalid(f"metric {name}: its value is {_shown(value)}, that has to be a number, or some, at the root")
    return values


def _member(document: Json, name: str, kind: type, described: str, where: str = "") -> Any:
    if not isinstance(value := document.get(name), kind):
        raise _Invalid(f"{where}{name} is {_shown(value)}, that has to be {described}")
    return value


def _text(document: Json, name: str, where: str) -> str:
    value: str = _member(document, name, str, "a string", where)
    if not value:
        raise _Invalid(f"{where}{name} is empty")
    return value


def _is_number(value: Any) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= LARGEST


def _shown(value: Any) -> str:
    if value is None:
        return "missing"
    text = json.dumps(value, default=str)
    return text if len(text) <= 60 else f"{text[:57]}..."


# PutMetricData


def from_put_metric_data(
    documents: Json | Iterable[Json], store: MetricStore, *, received: datetime | int | None = None
) -> Ingested:
    """Take what PutMetricData is given: `Namespace`, with `MetricData`, `EntityMetricData` or both.

    Unlike a log line, such a request is refused as a whole by CloudWatch, and its sender is told; so is whoever calls.

    Args:
        received: when the data came in, for what has no `Timestamp`.

    Raises:
        ToolkitError: with the metric and the field at fault. The store then has nothing of that request.
    """
    records = points = 0
    for document in [documents] if isinstance(documents, Mapping) else documents:
        # Into a store of its own first: half a request would be taken otherwise.
        request = MetricStore()
        for datum in _data(document):
            points += _put(request, datum, received)
        store.add(request)
        records += 1
    return Ingested(records, points)


def _data(document: Json) -> Iterator[Json]:
    _shaped(document, "PutMetricData", "a request", Mapping)
    for holder in (document, *_list(document, "EntityMetricData")):
        for datum in _list(holder, "MetricData"):
            yield {**datum, "Namespace": document.get("Namespace")}


def _list(document: Json, field: str) -> list[Json]:
    entries = document.get(field) or []
    _shaped(entries, f"PutMetricData: {field}", "an array", list)
    for entry in entries:
        _shaped(entry, f"PutMetricData: {field}", "an array of objects", Mapping)
    return list(entries)


def _shaped(value: Any, where: str, described: str, kind: type) -> None:
    if not isinstance(value, kind):
        raise ToolkitError(f"{where}: {_shown(value)} is not {described}")


def _put(store: MetricStore, datum: Json, received: datetime | int | None) -> int:
    _list(datum, "Dimensions")
    key = read_key(datum, "PutMetricData")
    if len(key.dimensions) > MOST_DIMENSIONS:
        raise ToolkitError(f"{key} has {len(key.dimensions)} dimensions, at most {MOST_DIMENSIONS} are allowed")
    unit = datum.get("Unit") or "None"
    if not isinstance(unit, str) or unit not in UNITS:
        raise ToolkitError(f"{key}: Unit is {_shown(unit)}, which CloudWatch does not have")
    given = [name for name in ("Value", "Values", "StatisticValues") if datum.get(name) is not None]
    if len(given) != 1:
        raise ToolkitError(f"{key}: it needs one of Value, Values and StatisticValues, and has {given or 'none'}")
    time = _seconds(datum.get("Timestamp") or received, key)
    resolution = datum.get("StorageResolution") or MINUTE
    if given == ["StatisticValues"]:
        _shaped(datum["StatisticValues"], f"{key}: StatisticValues", "an object", Mapping)
        total, minimum, maximum, count = (_number(datum["StatisticValues"], field, key) for field in _STATISTIC_SET)
        store.put_statistics(
            key, time, total=total, minimum=minimum, maximum=maximum, count=count, unit=unit, resolution=resolution
        )
        return 1
    values = datum["Values"] if given == ["Values"] else [datum["Value"]]
    _shaped(values, f"{key}: Values", "an array", list)
    counts = datum.get("Counts") or [1] * len(values)
    _shaped(counts, f"{key}: Counts", "an array", list)
    if len(values) > MOST_PUT_VALUES:
        raise ToolkitError(f"{key} has {len(values)} Values, at most {MOST_PUT_VALUES} are allowed")
    if len(values) != len(counts):
        raise ToolkitError(f"{key}: Values and Counts differ in number ({len(values)}, {len(counts)})")
    for value in (*values, *counts):
        if not _is_number(value):
            raise ToolkitError(f"{key}: {_shown(value)} is not a number that CloudWatch takes")
    store.put(key, time, values, counts, unit=unit, resolution=resolution)
    return len(values)


_STATISTIC_SET: Final = ("Sum", "Minimum", "Maximum", "SampleCount")


def _number(document: Json, field: str, key: MetricKey) -> float:
    if not _is_number(value := document.get(field)):
        raise ToolkitError(f"{key}: {field} of its StatisticValues is {_shown(value)}, a number is needed")
    return float(value)


def _seconds(moment: Any, key: MetricKey) -> float:
    """Epoch seconds of a `datetime`, of ISO 8601, or of epoch seconds. A time without a zone is UTC."""
    if isinstance(moment, str):
        try:
            moment = datetime.fromisoformat(moment)
        except ValueError:
            raise ToolkitError(f"{key}: Timestamp is {_shown(moment)}, that has to be ISO 8601") from None
    if isinstance(moment, datetime):
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    if not _is_number(moment):
        raise ToolkitError(f"{key}: Timestamp is {_shown(moment)}", "Give it one, or say when the data was received.")
    return float(moment)
