"""Reserved concurrency of a function, for its versions and aliases as well, as on AWS.

The emulator keeps it at the function alone, so that whoever calls an alias is not held by it: "Throttle" in Lambda's
console would do nothing here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any

Json = dict[str, Any]
Reserved = Callable[[Json, Json], int | None]


def install() -> None:
    """Change the emulator in this process. Called before it serves."""
    from ministack.services import lambda_svc  # noqa: PLC0415 - reads its settings from the environment on import

    lambda_svc._reserved_concurrency = shared(lambda_svc._reserved_concurrency, lambda_svc._functions)


def shared(reserved: Reserved, functions: Mapping[str, Json]) -> Reserved:
    """The emulator's own, asked for the function where a version has none."""

    @wraps(reserved)
    def of_function(version: Json, config: Json) -> int | None:
        found = reserved(version, config)
        function = functions.get(config.get("FunctionName", ""))
        return reserved(function, function.get("config", {})) if found is None and function else found

    return of_function
