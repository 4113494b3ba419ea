"""The page that says what watching costs, from the outputs of the recorded stacks."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from components.cost import DASHBOARD_MONTH, FREE_DASHBOARDS, METRIC_MONTH, READ_ON

HEAD = f"""# What watching costs

Worked out from the registered alarms, composites, dashboards and declared metrics (`components/cost.py`), and written
by `python -m tests.pin`. Prices of us-east-1, read {READ_ON}, before AWS's free tier, with one exception: it gives an
account its first {FREE_DASHBOARDS} dashboards, and a stack has two. The last line of each table counts those, too.

A metric that has points in every hour costs its whole {METRIC_MONTH} a month; one that speaks rarely costs the hours in
which it does, and how often that is, is an assumption (`POINTS` in `components/cost.py`). The setting
`monitoringBudget` is the most that a month may cost: a preview that exceeds it fails and prints this list.
"""


def cost_page(stacks: Mapping[str, Mapping[str, Any]]) -> str:
    """Markdown, with a table a stack. `stacks` maps names to the output `monitoringCost`."""
    return "\n".join([HEAD, *(_table(stack, cost) for stack, cost in stacks.items())])


def _table(stack: str, cost: Mapping[str, Any]) -> str:
    rows = [f"| {line['what']} | {line['quantity']} | {line['usd']} |" for line in cost["lines"]]
    return "\n".join(
        [
            f"## {stack}: {cost['total']} USD a month",
            "",
            "| | | USD a month |",
            "|---|---:|---:|",
            *rows,
            f"| **in all** | | **{cost['total']}** |",
            f"| with both dashboards at their price | | {Decimal(cost['total']) + 2 * DASHBOARD_MONTH} |",
            "",
            f"Each 1,000 emails add {cost['per_thousand_emails']} USD of logs and traces, if all traces are recorded.",
            f"For {int(cost['emails']):,} emails that is {_volume(cost):.2f} USD, which the budget does not count.",
            "",
        ]
    )


def _volume(cost: Mapping[str, Any]) -> Decimal:
    """What a month's emails add, in USD."""
    return Decimal(cost["per_thousand_emails"]) * int(cost["emails"]) / 1000
