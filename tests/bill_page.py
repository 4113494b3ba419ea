"""The page that says what a stack costs: the bill of the recorded program with what a local run used."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Final

from local.config import ROOT
from observability.bill import Bill, Line, Unpriced, label, make_bill
from observability.diagrams.graph import groups
from observability.program import Recording
from observability.usage import Usage, read_usage

USAGE: Final = ROOT / "tests" / "pinned" / "usage.json"
"""What `make demo` counted; to count anew, copy its build/usage.json here."""

NAMED: Final = 3
"""Prices that a month's bill is said to be mostly of."""

VOLUMES: Final = (1_000, 60_000, 1_000_000)
"""Emails a month: hardly any, what Pulumi.prod.yaml expects, and a large shop."""


def bills(recording: Recording, usage: Usage) -> list[Bill]:
    """One for each of VOLUMES."""
    return [make_bill(recording.resources, usage, volume=volume) for volume in VOLUMES]


def bill_page(recordings: Sequence[Recording]) -> str:
    """Markdown, with a part for each stack."""
    usage = read_usage(USAGE)
    made = {each.stack: bills(each, usage) for each in recordings}
    first = next(iter(made.values()))[0]
    notes = "".join(f"- {note[0].upper()}{note[1:]}.\n" for note in usage.notes)
    head = f"""# What it costs

The bill of each stack in USD, from what the program registers and from what one email used in a local run
(counted {usage.counted}, `tests/pinned/usage.json`). Prices are AWS's list prices of {first.sheet.region}, read
{first.sheet.read} (`observability/prices.yaml` has the source of each), SES on the plan {first.plan}, before AWS's free
tier. Written by `python -m tests.pin`. For another volume, plan or program:

```console
$ python -m observability bill --stack prod --volume 250000
```

What watching costs is part of it; [monitoring-cost.md](monitoring-cost.md) has the list, which is what a preview holds
against `monitoringBudget`. It leaves out the two dashboards, of which an account's first three are free.

{_table({f"{stack}, {volume:,} emails a month": row for stack, each in made.items() for volume, row in _sums(each)})}

*Each 1,000 emails* is what grows with the volume; *in all* is more than the sum, as a custom metric is paid by the
hours in which it has points.
"""
    parts = [_part(recording, made[recording.stack]) for recording in recordings]
    return "\n".join([head, *parts, "## How far it can be trusted\n", notes + _unknown(first.unpriced)])


def _part(recording: Recording, made: Sequence[Bill]) -> str:
    owner = {label(each): groups(recording).get(each.urn, "") for each in recording.resources}
    owners = defaultdict(lambda: "the account", owner)
    return "\n".join(
        [
            f"## {recording.stack}",
            "",
            *(f"- {volume:,} emails: {_drivers(bill)}." for volume, bill in zip(VOLUMES, made, strict=True)),
            "",
            _by("AWS service", made, lambda line: line.price.service),
            "",
            _by("component", made, lambda line: owners[line.resource]),
            "",
        ]
    )


def _sums(made: Sequence[Bill]) -> list[tuple[int, list[str]]]:
    return [
        (
            bill.volume,
            [
                f"{bill.total.fixed:,.2f}",
                f"{bill.total.per_thousand:,.3f}",
                f"**{bill.total.month:,.2f}**",
                f"{bill.total.month / bill.volume:.5f}",
            ],
        )
        for bill in made
    ]


def _table(rows: Mapping[str, Sequence[str]]) -> str:
    lines = [f"| {name} | {' | '.join(cells)} |" for name, cells in rows.items()]
    head = "| | a month, whatever is sent | each 1,000 emails | in all | an email |"
    return "\n".join([head, "|---|---:|---:|---:|---:|", *lines])


def _by(what: str, made: Sequence[Bill], key: Callable[[Line], str]) -> str:
    """A table by something that lines have, the dearest at the middle volume first."""
    sums: defaultdict[str, list[Decimal]] = defaultdict(lambda: [Decimal(0)] * len(made))
    for place, bill in enumerate(made):
        for line in bill.lines:
            sums[key(line)][place] += line.usd(bill.volume)
    rows = sorted(sums.items(), key=lambda row: (-row[1][len(made) // 2], row[0]))
    volumes = " | ".join(f"{volume:,} emails" for volume in VOLUMES)
    lines = [f"| {name} | {' | '.join(f'{usd:,.2f}' for usd in row)} |" for name, row in rows]
    return "\n".join([f"| {what} | {volumes} |", f"|---|{'---:|' * len(made)}", *lines])


def _drivers(bill: Bill) -> str:
    """What most of a bill is for, in the words of the price sheet."""
    units = {line.price.name: line.price.unit for line in bill.lines}
    shares = [
        (total.month / bill.total.month, units[total.name].removesuffix(" a month"))
        for total in bill.by_price()[:NAMED]
    ]
    return ", ".join(f"{share * 100:.0f} % is for {unit}" for share, unit in shares)


def _unknown(unpriced: Sequence[Unpriced]) -> str:
    """What a bill says nothing of: how many resources of which type, and why."""
    found: defaultdict[str, defaultdict[str, int]] = defaultdict(lambda: defaultdict(int))
    for each in unpriced:
        found[each.reason][each.resource.partition(" ")[0]] += 1
    rows = (
        f"- Not in it: {', '.join(f'{count} {kind}' for kind, count in sorted(kinds.items()))}: {reason}.\n"
        for reason, kinds in found.items()
    )
    return "".join(rows)
