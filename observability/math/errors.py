"""The error of metric math: an expression that CloudWatch would refuse, or that is not evaluated here."""

from __future__ import annotations

from typing import Final

from observability.errors import ToolkitError

AROUND: Final = 50  # characters shown on each side of the place at fault


class MathError(ToolkitError):
    """An expression cannot be evaluated. The message has the expression with a mark under the place.

    Attributes:
        expression: what was read; "" where it is about queries rather than one expression.
        place: index of the character at fault in it; None where no single one is.
        query: Id of the query that it belongs to; "" where it was read by itself.
        fault: the problem alone, without expression and mark.
    """

    def __init__(
        self, fault: str, remedy: str = "", *, expression: str = "", place: int | None = None, query: str = ""
    ) -> None:
        self.fault, self.expression, self.place, self.query = fault, expression, place, query
        where = f"query {query}" if query else "expression"
        super().__init__(f"{where}: {fault}{_excerpt(expression, place)}", remedy)

    def within(self, query: str, expression: str) -> MathError:
        """The same, told of as the expression of the query with that Id."""
        return MathError(self.fault, self.remedy, expression=expression, place=self.place, query=query)


def _excerpt(expression: str, place: int | None) -> str:
    if place is None:
        return f"\n  {expression}" if expression else ""
    before = expression[:place]
    line, column = before.count("\n"), len(before) - before.rfind("\n") - 1
    at = f", line {line + 1}, column {column + 1}" if "\n" in expression else f", column {column + 1}"
    if not expression:
        return at
    first = max(column - AROUND, 0)
    shown = expression.split("\n")[line][first : column + AROUND]
    return f"{at}\n  {shown}\n  {' ' * (column - first)}^"
