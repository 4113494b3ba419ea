"""The one error of the toolkit: something that was given cannot be used."""

from __future__ import annotations


class ToolkitError(ValueError):
    """What was given cannot be used. The message names the place, the value and what is allowed; it is one to show to
    whoever gave it, without a stack trace.

    Attributes:
        remedy: what to do about it, a sentence; "" where the problem says it.
    """

    def __init__(self, problem: str, remedy: str = "") -> None:
        super().__init__(problem)
        self.remedy = remedy
