"""What the commands print: tables for people, plain when nobody watches, and bars for what takes its time."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from rich import box
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from ops.errors import OpsError
from ops.text import harmless

STYLES: Mapping[str, str] = {
    "DELIVERED": "green",
    "SENT": "cyan",
    "SUBMITTING": "cyan",
    "DELAYED": "cyan",
    "UNKNOWN": "bold magenta",
    "BOUNCE": "red",
    "COMPLAINT": "red",
    "REJECTED": "red",
    "FAILED": "red",
    "SUPPRESSED": "yellow",
    "QUARANTINED": "yellow",
    "NOT SEEN": "bold red",
}

PIPE_WIDTH = 200
"""Columns where the output is no terminal: enough that nothing is cut that another program may look for."""

PATIENCE = 1.0
"""Seconds before a progress bar shows: what is quicker needs none."""

ShowProgress = Callable[[int, int | None], None]


def out() -> Console:
    """Standard output as it is now."""
    return _console(stderr=False)


def err() -> Console:
    """Standard error: what is said about the work, so that standard output holds its result alone."""
    return _console(stderr=True)


def print_json(document: Any) -> None:
    """`document` for another program."""
    out().out(json.dumps(document, indent=2, ensure_ascii=False), highlight=False)


def print_error(error: OpsError) -> None:
    """What is the matter, and on the next line what to do about it."""
    err().print(Text.assemble(("error: ", "bold red"), harmless(error.message)))
    if error.remedy:
        err().print(Text(f"       {harmless(error.remedy)}", style="dim"))


def table(columns: Sequence[str], rows: Iterable[Sequence[str | Text]], *, numbers: Iterable[str] = ()) -> Table:
    """A table; columns named in `numbers` are set to the right. Text that is not ours is made harmless."""
    shape = box.SIMPLE_HEAD if out().is_terminal else None
    grid = Table(box=shape, header_style="bold", pad_edge=False, show_edge=False, padding=(0, 2, 0, 0))
    numeric = set(numbers)
    for column in columns:
        grid.add_column(column, justify="right" if column in numeric else "left", overflow="fold")
    for row in rows:
        grid.add_row(*(cell if isinstance(cell, Text) else Text(harmless(cell)) for cell in row))
    return grid


def facts(pairs: Iterable[tuple[str, str | Text]]) -> Table:
    """Names and values in two columns; those without a value are left out."""
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="dim")
    grid.add_column(overflow="fold")
    for name, value in pairs:
        if value:
            grid.add_row(name, value if isinstance(value, Text) else Text(harmless(value)))
    return grid


def status(word: str) -> Text:
    """A status in its colour."""
    return Text(word, style=STYLES.get(word, ""))


def counts(tally: Mapping[str, int], *, heading: str) -> Table:
    """How many of each, most first."""
    ranked = sorted(tally.items(), key=lambda entry: (-entry[1], entry[0]))
    return table([heading, "count"], [(status(word), f"{number:,}") for word, number in ranked], numbers=["count"])


@contextmanager
def progress(label: str, total: int | None = None) -> Iterator[ShowProgress]:
    """A bar on a terminal, once the work has taken a second. The block calls it with (done, total if it
    changes)."""
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=err(),
        transient=True,
    )
    task = bar.add_task(label, total=total)
    began = time.monotonic()

    def show(done: int, total: int | None = None) -> None:
        bar.update(task, completed=done, total=total)
        if bar.console.is_terminal and not bar.live.is_started and time.monotonic() - began > PATIENCE:
            bar.start()

    try:
        yield show
    finally:
        if bar.live.is_started:
            bar.stop()


def _console(*, stderr: bool) -> Console:
    console = Console(stderr=stderr, highlight=False)
    return console if console.is_terminal else Console(stderr=stderr, highlight=False, width=PIPE_WIDTH)
