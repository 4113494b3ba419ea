"""`python -m bench.guards`: simulate, print the tables, write the page and its pictures, and check the claims."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from rich.console import Console

from bench.guards.pictures import draw
from bench.guards.report import report, verdict
from bench.guards.simulation import Size, simulate
from bench.guards.tables import tables

DOCS: Final = Path(__file__).resolve().parents[2] / "docs"


def main() -> None:
    outcome = simulate(Size(), os.cpu_count() or 1)
    console = Console(highlight=False)
    for table in tables(outcome):
        console.print(table.rich())
    console.print(verdict(outcome))
    (DOCS / "guards-simulation.md").write_text(report(outcome))
    draw(outcome, DOCS)
    if failures := outcome.failures():
        raise SystemExit("\n".join(failures))


if __name__ == "__main__":
    main()
