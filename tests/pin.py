"""Writes the files anew that tests hold the program to: `python -m tests.pin`.

Read the diff before you commit it: it is what a deployment would do.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from local.config import ROOT
from policies.listing import listing
from policies.rules import RULES
from tests.alarm_table import alarm_table
from tests.architecture_page import architecture_page
from tests.bill_page import bill_page
from tests.cost_page import cost_page
from tests.recorded import STACKS, program, recording

PINNED = ROOT / "tests" / "pinned"


def _resources(stack: str) -> str:
    return "".join(f"{line}\n" for line in program(stack)[0].pinned())


def _cost(stack: str) -> dict[str, Any]:
    cost: dict[str, Any] = program(stack)[1]["monitoringCost"]
    return cost


FILES: Mapping[str, Callable[[], str]] = {
    **{f"tests/pinned/{stack}.txt": partial(_resources, stack) for stack in STACKS},
    "tests/pinned/alarms-prod.md": lambda: alarm_table(program("prod")[0]),
    "docs/architecture.md": lambda: architecture_page(recording("prod")),
    "docs/cost.md": lambda: bill_page([recording("prod"), recording("dev")]),
    "docs/policies.md": lambda: listing(RULES),
    "docs/monitoring-cost.md": lambda: cost_page(
        {stack: program(stack)[1]["monitoringCost"] for stack in ("prod", "dev")}
    ),
}
"""Each file, and what belongs into it."""


if __name__ == "__main__":
    for name, content in FILES.items():
        (ROOT / name).write_text(content(), encoding="utf-8")
