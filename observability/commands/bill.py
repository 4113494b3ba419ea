"""`python -m observability bill`: what a program costs, fixed and by the email."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from observability.bill import Bill, Free, Line, Total, Unpriced, make_bill
from observability.commands.options import (
    HERE,
    AnswersFile,
    AsJson,
    Program,
    Python,
    Setting,
    Stack,
    console,
    print_json,
    record_program,
)
from observability.prices import Plan
from observability.usage import read_usage

USAGE: Final = Path("build") / "usage.json"
"""Where a local run writes what it used, from the program's folder."""

ALONE: Final = 3
"""Resources of one type that are listed one by one; of more, those that cost the same share a row."""

SMALL: Final = Decimal("0.005")
"""USD a month that round to nothing: resources that cost less share one row."""

UNFOLDED: Final = 110
"""Columns that the tables take where nobody says how many there are."""

WORK: Final = "the work itself"
NAMED: Final = 4
"""Resources that are named in a note; of further ones it says how many."""


def command(
    *,
    program: Program = HERE,
    stack: Stack = "",
    config: Setting = None,
    answers: AnswersFile = None,
    python: Python = None,
    usage: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="What a run used, as `make demo` counts it.",
            show_default="build/usage.json of the program, if there is one",
        ),
    ] = None,
    plan: Annotated[Plan, typer.Option(help="The account's plan at SES.")] = Plan.ESSENTIALS,
    volume: Annotated[int, typer.Option(min=0, metavar="EMAILS", help="Emails a month.")] = 1000,
    free_tier: Annotated[
        bool,
        typer.Option("--free-tier/--no-free-tier", help="Take off what an account has for nothing a month."),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """What a program costs in USD: a month whatever is sent, for 1,000 emails, and in all at a volume."""
    recording = record_program(program, stack, settings=config, answers=answers, python=python)
    counted = usage or (program / USAGE if (program / USAGE).exists() else None)
    bill = make_bill(
        recording.resources,
        read_usage(counted) if counted else None,
        plan=plan,
        volume=volume,
        free_tier=free_tier,
    )
    if as_json:
        print_json(bill_json(bill))
    else:
        show(console(), bill, f"{recording.project}, stack {recording.stack}")


def show(out: Console, bill: Bill, what: str) -> None:
    """Print a bill: by resource, by signal, by AWS service, the sum, and what it does not know."""
    out.print(f"What {what} costs: USD, {bill.sheet.region}, list prices read {bill.sheet.read}, SES plan {bill.plan}.")
    out.print(_premises(bill))
    out.print()
    out.print(_table("resource", grouped(bill.by_resource()), bill, out), crop=False)
    out.print()
    signals = [replace(total, name=total.name or WORK) for total in bill.by_signal()]
    out.print(_table("for", signals, bill, out), crop=False)
    out.print()
    out.print(_table("by AWS service", bill.by_service(), bill, out), crop=False)
    out.print()
    _notes(out, "How it is known", [*_ways(bill.lines), *bill.notes])
    _notes(out, "Not in the bill", _unpriced(bill.unpriced))
    _notes(out, "Free of charge", _free(bill.free))


def grouped(totals: Sequence[Total]) -> list[Total]:
    """The totals, with one row for resources of a type that cost the same, where a type has more than a few, and one
    for all that cost next to nothing."""
    types = Counter(_type(total) for total in totals)
    groups: defaultdict[tuple[object, ...], list[Total]] = defaultdict(list)
    for total in totals:
        if max(abs(total.fixed), abs(total.month)) < SMALL:
            groups["small",].append(total)
        elif types[_type(total)] > ALONE:
            groups[_type(total), total.fixed, total.per_thousand, total.month].append(total)
        else:
            groups[total.name,].append(total)
    rows = [_row(members, small=key == ("small",)) for key, members in groups.items()]
    return sorted(rows, key=lambda total: (-abs(total.month), total.name))


def _row(members: Sequence[Total], *, small: bool) -> Total:
    many = f"{len(members)} further, each under a cent" if small else f"{len(members)} {_type(members[0])}s, alike"
    return Total(
        name=many if len(members) > 1 else members[0].name,
        fixed=sum((each.fixed for each in members), Decimal(0)),
        per_thousand=sum((each.per_thousand for each in members), Decimal(0)),
        month=sum((each.month for each in members), Decimal(0)),
    )


def bill_json(bill: Bill) -> dict[str, Any]:
    """A bill for another program: USD as decimal numbers in text, unrounded."""
    return {
        "currency": "USD",
        "region": bill.sheet.region,
        "prices_read": bill.sheet.read,
        "plan": bill.plan,
        "volume": bill.volume,
        "free_tier": bill.free_tier,
        "usage_counted": bill.counted,
        "notes": list(bill.notes),
        "total": _total_json(bill.total),
        "by_resource": [_total_json(total) for total in bill.by_resource()],
        "by_signal": [_total_json(total) for total in bill.by_signal()],
        "by_service": [_total_json(total) for total in bill.by_service()],
        "lines": [
            {
                "resource": line.resource,
                "price": line.price.name,
                "signal": line.signal,
                "unit": line.price.unit,
                "usd_each": _plain(line.price.each),
                "units_fixed": _plain(line.fixed),
                "units_per_thousand": _plain(line.per_thousand),
                "units_month": _plain(line.units(bill.volume)),
                "usd_month": _plain(line.usd(bill.volume)),
                "how": line.how,
                "source": line.price.source,
                "read": line.price.read,
            }
            for line in bill.lines
        ],
        "not_priced": [{"resource": each.resource, "reason": each.reason} for each in bill.unpriced],
        "free": [{"type": each.type, "count": each.count, "reason": each.reason} for each in bill.free],
    }


def _total_json(total: Total) -> dict[str, str]:
    return {
        "name": total.name,
        "fixed": _plain(total.fixed),
        "per_thousand": _plain(total.per_thousand),
        "month": _plain(total.month),
    }


def _plain(number: Decimal) -> str:
    return f"{number.normalize():f}"


def _premises(bill: Bill) -> str:
    tier = (
        "What an account has for nothing is taken off, as if it had nothing else in it."
        if bill.free_tier
        else "Before the free tier (--free-tier takes it off)."
    )
    use = (
        f"Use was counted in a local run on {bill.counted}."
        if bill.counted
        else "No use was counted: what is paid by use is missing (--usage; `make demo` writes one)."
    )
    return f"{tier} {use}"


def _table(heading: str, totals: Sequence[Total], bill: Bill, out: Console) -> Table:
    table = Table(width=None if out.is_terminal else UNFOLDED, box=None, pad_edge=False, header_style="bold")
    table.add_column(heading)
    for column in ("a month", "1,000 emails", f"month of {bill.volume:,}"):
        table.add_column(column, justify="right")
    for row in [*totals, bill.total]:
        cells = (f"{row.fixed:,.2f}", f"{row.per_thousand:,.4f}", f"{row.month:,.2f}")
        table.add_row(Text(row.name), *cells, style="bold" if row.name == bill.total.name else "")
    return table


def _notes(out: Console, heading: str, notes: Sequence[str]) -> None:
    if notes:
        out.print(heading, style="bold")
        for note in notes:
            out.print(f"- {note}")
        out.print()


def _ways(lines: Iterable[Line]) -> list[str]:
    """What was assumed, and of which prices."""
    ways: defaultdict[str, dict[str, None]] = defaultdict(dict)
    for line in lines:
        kind, _, what = line.how.partition(": ")
        if kind in ("modelled", "assumed") and what:
            ways[line.how][line.price.unit] = None
    notes = [f"{how} ({', '.join(units)})" for how, units in ways.items()]
    if any(line.by_hours > 0 for line in lines):
        notes.append(
            "a custom metric is paid by the hours in which it has points, so that a month grows slower than the volume"
        )
    return notes


def _unpriced(unpriced: Iterable[Unpriced]) -> list[str]:
    reasons: defaultdict[str, list[str]] = defaultdict(list)
    for each in unpriced:
        reasons[each.reason].append(each.resource)
    return [f"{_some(resources)}: {reason}" for reason, resources in reasons.items()]


def _some(resources: Sequence[str]) -> str:
    further = f" and {len(resources) - NAMED} more" if len(resources) > NAMED else ""
    return f"{', '.join(resources[:NAMED])}{further}"


def _free(free: Iterable[Free]) -> list[str]:
    reasons: defaultdict[str, list[str]] = defaultdict(list)
    for each in free:
        reasons[each.reason].append(f"{each.count} {each.type.rsplit(':', 1)[-1]}")
    return [f"{', '.join(types)}: {reason}" for reason, types in reasons.items()]


def _type(total: Total) -> str:
    return total.name.partition(" ")[0]
