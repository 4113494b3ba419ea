"""What a workload uses, as counted: a run's calls, in units of the price sheet, by resource and by activity.

`make demo` writes one to build/usage.json; of any other program it can be written by hand or by a test. The form:

    {
      "counted": "2026-11-22",                     when
      "notes": ["..."],                            what a reader of the bill should know of it; may be left out
      "activities": [
        {
          "name": "emails",
          "times": 184,                            how often it happened while it was counted
          "schedule": "",                          the schedule that starts it, by its logical name; "" where it grows
                                                   with the volume
          "counts": [
            {"price": "sqs.request",               a price of the sheet; of an email, `ses.email`
             "resource": "Queue mailroom-send",    what it is paid for: type without its package, logical name
             "quantity": "552",                    units, altogether, as a decimal number
             "how": "counted"}                     or what was assumed where it could not be counted
          ],
          "metrics": [
            {"namespace": "Mailroom", "name": "EmailsSent", "dimensions": {"Stack": "local"},
             "resource": "Function mailroom-send", "points": "184"}
          ]
        }
      ]
    }

`points` are records that had a value of the metric; several in one hour cost what one costs.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

from observability.errors import ToolkitError
from observability.model import MetricKey


@dataclass(frozen=True, slots=True)
class Count:
    """So many units of a price, spent on a resource; `how` it is known."""

    price: str
    resource: str
    quantity: Decimal
    how: str = "counted"


@dataclass(frozen=True, slots=True)
class Points:
    """How often a metric had a value; `resource` is what sent it."""

    metric: MetricKey
    resource: str
    quantity: Decimal


@dataclass(frozen=True, slots=True)
class Activity:
    """Something that happened `times` times while it was counted. `schedule` is the logical name of the schedule that
    starts it; where it is "", the activity grows with the volume."""

    name: str
    times: int
    counts: tuple[Count, ...] = ()
    points: tuple[Points, ...] = ()
    schedule: str = ""


@dataclass(frozen=True, slots=True)
class Usage:
    """What was counted, and when; `notes` are for the reader of a bill."""

    counted: str
    activities: tuple[Activity, ...]
    notes: tuple[str, ...] = ()


def read_usage(path: Path) -> Usage:
    """The counts in a file.

    Raises:
        ToolkitError: there is none, or it is not in the form that the module describes.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ToolkitError(f"{path}: {error.strerror}", "`make demo` counts a local run and writes it.") from error
    except ValueError as error:
        raise ToolkitError(f"{path} is not JSON: {error}") from error
    return parse_usage(document, str(path))


def parse_usage(document: Any, where: str = "usage") -> Usage:
    """Counts in the form that the module describes.

    Raises:
        ToolkitError: a field is missing or is not what it should be.
    """
    if not isinstance(document, Mapping):
        raise ToolkitError(f"{where}: an object with the key activities is needed")
    return Usage(
        counted=str(_need(document, "counted", where)),
        activities=tuple(_activity(entry, where) for entry in _need(document, "activities", where)),
        notes=tuple(document.get("notes") or ()),
    )


def usage_json(usage: Usage) -> dict[str, Any]:
    """The counts in the form that the module describes."""
    return {
        "counted": usage.counted,
        "notes": list(usage.notes),
        "activities": [
            {
                "name": activity.name,
                "times": activity.times,
                "schedule": activity.schedule,
                "counts": [
                    {"price": each.price, "resource": each.resource, "quantity": str(each.quantity), "how": each.how}
                    for each in activity.counts
                ],
                "metrics": [
                    {
                        "namespace": each.metric.namespace,
                        "name": each.metric.name,
                        "dimensions": dict(each.metric.dimensions),
                        "resource": each.resource,
                        "points": str(each.quantity),
                    }
                    for each in activity.points
                ],
            }
            for activity in usage.activities
        ],
    }


def _activity(entry: Any, where: str) -> Activity:
    name = _need(entry, "name", f"{where}: an activity")
    at = f"{where}: activity {name}"
    times = _need(entry, "times", at)
    if not isinstance(times, int) or times < 1:
        raise ToolkitError(f"{at}: times is {times!r}, allowed are whole numbers from 1")
    return Activity(
        name=name,
        times=times,
        schedule=entry.get("schedule") or "",
        counts=tuple(
            Count(
                price=_need(each, "price", at),
                resource=_need(each, "resource", at),
                quantity=_quantity(each, "quantity", at),
                how=each.get("how") or "counted",
            )
            for each in entry.get("counts") or ()
        ),
        points=tuple(
            Points(
                metric=MetricKey.of(_need(each, "namespace", at), _need(each, "name", at), each.get("dimensions")),
                resource=_need(each, "resource", at),
                quantity=_quantity(each, "points", at),
            )
            for each in entry.get("metrics") or ()
        ),
    )


def _need(entry: Any, key: str, where: str) -> Any:
    value = entry.get(key) if isinstance(entry, Mapping) else None
    if value is None or value == "":
        raise ToolkitError(f"{where}: {key} is missing")
    return value


def _quantity(entry: Any, key: str, where: str) -> Decimal:
    text = _need(entry, key, where)
    try:
        number = Decimal(str(text))
    except InvalidOperation:
        number = Decimal("NaN")
    if not number.is_finite() or number < 0:
        raise ToolkitError(f"{where}: {key} is {text!r}, allowed are decimal numbers from 0")
    return number
