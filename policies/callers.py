"""Which resource means which: who calls a function, what a name or an ARN refers to."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final

from observability.program.resources import Resource
from policies.model import Stack, Unknown, value

FUNCTION: Final = "aws:lambda/function:Function"
MAPPING: Final = "aws:lambda/eventSourceMapping:EventSourceMapping"
QUEUE: Final = "aws:sqs/queue:Queue"

_FUNCTION: Final = re.compile(r"(?:^|:)function:([^:]+)")


def the(stack: Stack, type_: str, path: str, wanted: object) -> Resource | None:
    """The resource of a type whose property is `wanted`; None where the stack has none.

    Raises:
        Unknown: none is known to be it, and of some the property is not known.
    """
    unknown: Unknown | None = None
    for each in stack.of(type_):
        try:
            if value(each, path) == wanted:
                return each
        except Unknown as error:
            unknown = error
    if unknown:
        raise unknown
    return None


def having(stack: Stack, type_: str, path: str, fits: Callable[[Any], bool]) -> list[Resource]:
    """The resources of a type whose property fits. Raises Unknown: of one it is not known."""
    return [each for each in stack.of(type_) if fits(value(each, path))]


def function_name(reference: str) -> str:
    """The function that any form of Lambda's `FunctionName` means: a name or an ARN, all of it or a part, with or
    without a version or an alias.

    https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html
    """
    found = _FUNCTION.search(reference)
    return found[1] if found else reference.partition(":")[0]


def naming(function: Resource) -> Callable[[Any], bool]:
    """Whether a reference means this function. Raises Unknown: its name is not known."""
    name = value(function, "name")
    return lambda reference: function_name(str(reference)) == name


def event_sources(function: Resource, stack: Stack) -> list[Resource]:
    """The event source mappings of a function. Raises Unknown."""
    return having(stack, MAPPING, "functionName", naming(function))


def of_queue(mapping: Resource) -> bool:
    """Whether an event source is an SQS queue. Raises Unknown."""
    return service(value(mapping, "eventSourceArn")) == "sqs"


def service(arn: str | None) -> str:
    """The service in an ARN, such as `sqs`; "" where there is none."""
    return arn.split(":")[2] if arn else ""
