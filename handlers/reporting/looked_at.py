"""Which metrics alarms and dashboards look at, from what CloudWatch says of them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any


def metric_names(documents: Iterable[Any]) -> frozenset[str]:
    """Every text in the documents (alarms, dashboards' bodies) that could name a metric: values as they are, and the
    words of expressions.

    A metric whose name stands there as a label only counts as looked at, too: better to miss one that nobody needs than
    to advise against one that somebody does.
    """
    return frozenset(name for document in documents for name in _names(document))


def _names(value: Any, key: str = "") -> Iterator[str]:
    match value:
        case str() if key.lower() == "expression":
            yield from re.findall(r"\w+", value)
        case str():
            yield value
        case dict():
            for name, each in value.items():
                yield from _names(each, str(name))
        case list() | tuple():
            for each in value:
                yield from _names(each, key)
