"""This project's configuration, as the Pulumi CLI hands it to the program."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from observability.program import config
from observability.program.config import StackConfigError, Value

__all__ = ["ROOT", "StackConfigError", "Value", "project_name", "stack_config"]

ROOT: Final = Path(__file__).resolve().parent.parent


def stack_config(stack: str, overrides: Mapping[str, Value] | None = None, *, root: Path = ROOT) -> dict[str, str]:
    """`observability.program.config.stack_config` of the project in `root`. Raises StackConfigError."""
    return config.stack_config(stack, overrides, root=root)


def project_name(root: Path = ROOT) -> str:
    """The `name` in Pulumi.yaml. Raises StackConfigError."""
    return config.project_name(root)
