"""Whether the command lines that a page tells people to type exist, with their options. Nothing is run."""

from __future__ import annotations

import re
import shlex
from typing import Any

import botocore.session
import jmespath  # type: ignore[import-untyped]
import typer
from botocore import xform_name

_FENCE = re.compile(r"^ *```.*?^ *```$", re.MULTILINE | re.DOTALL)


def without_fences(text: str) -> str:
    """A page without its blocks of code."""
    return _FENCE.sub("", text)


def commands(text: str) -> list[str]:
    """Every command line of a page: in consoles, and in passing."""
    consoles = re.findall(r"^ *\$ (.+)$", "\n".join(_FENCE.findall(text)), re.MULTILINE)
    passing = r"`((?:python -m \w+|aws|make|pulumi) [^`]+)`"
    return consoles + re.findall(passing, without_fences(text).replace("\n", " "))


def words(command: str) -> list[str]:
    return shlex.split(command, comments=True)


def parse(app: typer.Typer, arguments: list[str]) -> None:
    """Parse as a program of ours does, without running it. Raises for what it would refuse."""
    command: Any = typer.main.get_command(app)
    name, context = "program", None
    while hasattr(command, "commands"):
        context = command.make_context(name, list(arguments), parent=context)
        rest = [*context._protected_args, *context.args]
        assert rest[0] in command.commands, f"there is no command {rest[0]}"
        name, command, arguments = rest[0], command.commands[rest[0]], rest[1:]
    command.make_context(name, list(arguments), parent=context)


def check_aws(command: str) -> None:
    """Hold a line for the AWS CLI against the service's model. Raises AssertionError for what is not in it."""
    _, service, operation, *given = words(command)
    options = {word.removeprefix("--") for word in given if word.startswith("--")}
    if (service, operation) == ("logs", "tail"):  # the CLI's own, without a model
        assert options <= {"since", "follow", "format", "filter-pattern"}
        return
    model = botocore.session.get_session().get_service_model(service)
    operations = {xform_name(name, "-"): name for name in model.operation_names}
    assert operation in operations
    shape = model.operation_model(operations[operation]).input_shape
    known = {"query", "output", "max-items"}
    for member, kind in shape.members.items() if shape else ():
        option = xform_name(member, "-")
        known |= {option, f"no-{option}"} if kind.type_name == "boolean" else {option}
    assert options <= known
    required = {xform_name(member, "-") for member in (shape.required_members if shape else ())}
    assert required <= {option.removeprefix("no-") for option in options}
    if "query" in options:
        jmespath.compile(given[given.index("--query") + 1])
