"""What AWS publishes by itself (`aws_metrics.yaml`): metrics with their dimensions, and what can be said of each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Final

import yaml

from observability.model import MINUTE
from observability.statistics import BASIC, Statistic

FILE: Final = Path(__file__).with_name("aws_metrics.yaml")

PERCENTILES: Final = "p"
"""Stands for every statistic that looks at single values: percentiles, trimmed and winsorized means and their like."""


@dataclass(frozen=True, slots=True)
class AwsMetric:
    """A metric that AWS publishes.

    Attributes:
        dimensions: the sets of dimension names that it is published with, each as its own metric.
        statistics: those that say something.
        least, most: of a single sample; None where nothing is ruled out.
        resolution: seconds from one point to the next.
        detailed: whether a finer resolution can be bought.
        open: whether an account can choose other dimensions, too.
    """

    dimensions: tuple[frozenset[str], ...]
    statistics: frozenset[str]
    resolution: int = MINUTE
    detailed: bool = False
    open: bool = False
    least: float | None = None
    most: float | None = None

    def tells(self, statistic: Statistic) -> bool:
        """Whether a statistic of it says something."""
        return (statistic.family if statistic.family in BASIC else PERCENTILES) in self.statistics


@dataclass(frozen=True, slots=True)
class Namespace:
    """What one service publishes.

    Attributes:
        names: dimension to the resource types, by the last part of each, one of which its value names.
        values: dimension to the only values that it has.
    """

    source: str
    url: str
    metrics: Mapping[str, AwsMetric]
    names: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    values: Mapping[str, frozenset[str]] = field(default_factory=dict)


@cache
def catalogue() -> Mapping[str, Namespace]:
    """By namespace, such as `AWS/SQS`."""
    document = yaml.safe_load(FILE.read_text(encoding="utf-8"))
    return {name: _namespace(entry) for name, entry in document.items()}


def of_aws(namespace: str) -> bool:
    """Whether nobody but AWS can put metrics there (PutMetricData, `Namespace`)."""
    return namespace.startswith("AWS/") or namespace in catalogue()


def _namespace(document: Mapping[str, Any]) -> Namespace:
    metrics: dict[str, AwsMetric] = {}
    for group in document["groups"]:
        least, most = group.get("range") or (None, None)
        for name in group["metrics"].split():
            metrics[name] = AwsMetric(
                dimensions=tuple(frozenset(each.split()) for each in group["dimensions"]),
                statistics=frozenset(group["statistics"].split()),
                resolution=group.get("resolution", MINUTE),
                detailed=group.get("detailed", False),
                open=group.get("open", False),
                least=least,
                most=most,
            )
    return Namespace(
        source=document["source"],
        url=document["url"],
        metrics=metrics,
        names={
            key: tuple([kinds] if isinstance(kinds, str) else kinds) for key, kinds in document.get("names", {}).items()
        },
        values={key: frozenset(listed.split()) for key, listed in document.get("values", {}).items()},
    )
