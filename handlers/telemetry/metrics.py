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


def emit(stack: str, values: Mapping[Metric, float], **properties: str) -> None:
    """Write one record that adds a point to each metric in `values`.

    Raises:
        ValueError: a metric is not declared in the contract.
    """
    sys.stdout.write(json.dumps(record(stack, values, int(time.time() * 1000), **properties)) + "\n")


def record(stack: str, values: Mapping[Metric, float], epoch_ms: int, **properties: str) -> dict[str, object]:
    """The record itself; empty properties are left out, and addresses within them."""
    undeclared = [metric.name for metric in values if metric not in METRICS]
    if undeclared:
        raise ValueError(f"not declared in the telemetry contract: {', '.join(undeclared)}")
    return {
        "_aws": {
            "Timestamp": epoch_ms,
            "CloudWatchMetrics": [
                {
                    "Namespace": NAMESPACE,
                    "Dimensions": [[STACK]],
                    "Metrics": [{"Name": metric.name, "Unit": metric.unit.value} for metric in values],
                }
            ],
        },
        STACK: stack,
        **{name: without_addresses(value) for name, value in properties.items() if value},
        **{metric.name: value for metric, value in values.items()},
    }
