"""What an API's model rules out, and neither boto3 nor the emulator looks at: choices, lengths, ranges, patterns."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from botocore.model import ListShape, MapShape, Shape, StructureShape

from local.deployer.model import Declared, DeploymentError


def call(declared: Declared, client: Any, operation: str, **parameters: Any) -> Any:
    """Calls an operation (`PutMetricAlarm`) of a boto3 client. Raises DeploymentError for what AWS would refuse."""
    shape = client.meta.service_model.operation_model(operation).input_shape
    if found := list(faults(shape, parameters)):
        raise DeploymentError(f"{declared}: {'; '.join(found)}")
    # A client's methods are made from its model, and under names that it tells.
    names = {theirs: ours for ours, theirs in client.meta.method_to_api_mapping.items()}
    return getattr(client, names[operation])(**parameters)


def faults(shape: Shape, value: Any, where: str = "") -> Iterator[str]:
    """Each value that its shape rules out, by its path. Types and missing members are boto3's to check."""
    match shape, value:
        case StructureShape(), dict():
            for name, member in value.items():
                if name in shape.members:
                    yield from faults(shape.members[name], member, f"{where}.{name}".lstrip("."))
        case MapShape(), dict():
            for key, member in value.items():
                yield from faults(shape.value, member, f"{where}.{key}")
        case ListShape(), list():
            yield from _range(shape, len(value), f"{where} has {len(value)} entries")
            for index, member in enumerate(value):
                yield from faults(shape.member, member, f"{where}[{index}]")
        case _, str():
            limits = shape.metadata
            if "enum" in limits and value not in limits["enum"]:
                yield f"{where} is {value!r}, allowed are {', '.join(limits['enum'])}"
            if "pattern" in limits and not re.fullmatch(_python(limits["pattern"]), value, re.DOTALL):
                yield f"{where} is {value!r}, allowed is what {limits['pattern']} matches"
            yield from _range(shape, len(value), f"{where} has {len(value)} characters")
        case _, int() | float():
            yield from _range(shape, value, f"{where} is {value}")


def _python(pattern: str) -> str:
    """A pattern without what Java takes amid it and Python does not: a switch to ignoring case."""
    return pattern[:4] + pattern[4:].replace("(?i)", "")


def _range(shape: Shape, number: float, what: str) -> Iterator[str]:
    least, most = shape.metadata.get("min"), shape.metadata.get("max")
    if least is not None and number < least:
        yield f"{what}, allowed are {least} and more"
    if most is not None and number > most:
        yield f"{what}, allowed are {most} at most"
