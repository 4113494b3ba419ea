"""Metrics as embedded metric format records: one JSON line on stdout, which CloudWatch Logs turns into metrics.

No API call on the way of an order, and each record keeps the ids of the order it counts. Source of the shape: Amazon
CloudWatch user guide, "Specification: Embedded metric format".
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping

from handlers.telemetry.contract import METRICS, NAMESPACE, STACK, Metric
from handlers.telemetry.privacy import without_addresses


def emit(stack: str, values: Mapping[Metric, float], **properties: str | float) -> None:
    """Write one record that adds a point to each metric in `values`. Properties are for searching, and cost nothing.

    Raises:
        ValueError: a metric is not declared in the contract, or there is none.
        KeyError: a metric has a dimension that the record does not name.
    """
    sys.stdout.write(json.dumps(record(stack, values, int(time.time() * 1000), **properties)) + "\n")


def record(stack: str, values: Mapping[Metric, float], epoch_ms: int, **properties: str | float) -> dict[str, object]:
    """The record itself; empty properties are left out, and addresses within them.

    A directive gives all its metrics the same dimensions, so there is one for each set of them. What a metric's
    dimensions are, its declaration says; those beside the stack have their values in `properties`.
    """
    undeclared = [metric.name for metric in values if metric not in METRICS]
    if undeclared or not values:
        raise ValueError(f"not declared in the telemetry contract: {', '.join(undeclared) or 'no metric'}")
    by_dimensions: dict[tuple[str, ...], list[Metric]] = {}
    for metric in values:
        by_dimensions.setdefault(tuple(dimension.name for dimension in metric.dimensions), []).append(metric)
    members: dict[str, str | float] = {STACK.name: stack}
    members |= {name: without_addresses(value) for name, value in properties.items() if value != ""}
    if missing := {name for names in by_dimensions for name in names} - members.keys():
        raise KeyError(f"the record names no {', '.join(sorted(missing))}")
    return {
        "_aws": {
            "Timestamp": epoch_ms,
            "CloudWatchMetrics": [
                {
                    "Namespace": NAMESPACE,
                    "Dimensions": [list(names)],
                    "Metrics": [{"Name": metric.name, "Unit": metric.unit.value} for metric in metrics],
                }
                for names, metrics in by_dimensions.items()
            ],
        },
        **members,
        **{metric.name: value for metric, value in values.items()},
    }
