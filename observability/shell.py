"""How commands end where what they were given cannot be used."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from rich.console import Console

from observability.errors import ToolkitError

UNUSABLE: Final = 2
"""Exit code when what was given cannot be used; 1 is a finding or a broken expectation."""


@contextmanager
def refusing(*others: type[Exception]) -> Iterator[None]:
    """Says a ToolkitError, or one of `others`, in a sentence with what to do about it, and ends the process."""
    told: tuple[type[Exception], ...] = (ToolkitError, *others)
    try:
        yield
    except told as error:
        console = Console(stderr=True, highlight=False, soft_wrap=True)
        console.print(f"error: {error}", style="red", markup=False)
        if remedy := getattr(error, "remedy", ""):
            console.print(remedy, markup=False)
        sys.exit(UNUSABLE)
