"""How tables, shares and times are written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from textwrap import fill

from rich.table import Table as RichTable

from bench.guards.traffic import HOURLY


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of text, for a terminal and for Markdown."""

    title: str
    about: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]

    def rich(self) -> RichTable:
        table = RichTable(title=self.title, title_justify="left")
        for number, column in enumerate(self.columns):
            table.add_column(column, justify="right" if number > 1 else "left")
        for row in self.rows:
            table.add_row(*row)
        return table

    def markdown(self) -> str:
        lines = (
            self.columns,
            [":--" if number < 2 else "--:" for number in range(len(self.columns))],
            *self.rows,
        )
        return "\n".join(
            (f"## {self.title}", "", fill(self.about, 120), "", *(f"| {' | '.join(line)} |" for line in lines))
        )


def percent(share: float) -> str:
    return f"{share * 100:.3g} %"


def lasting(slots: float) -> str:
    hours = slots / HOURLY
    if hours < 2:
        return f"{hours * 60:.0f} min"
    return f"{hours:.1f} h" if hours < 72 else f"{hours / 24:.1f} d"
