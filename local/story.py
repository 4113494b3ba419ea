"""What a demo tells at its end: what was deployed, what became of the orders, and where to look."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.text import Text

from local.drill import Entry, clock_time
from local.orders import SampleOrder
from local.report import lost, take_account
from local.run import Run
from ops import show
from ops.text import snippet

LISTED = 10
EXPLAINED = 20
REASON_WIDTH = 140

KINDS = {"event": "bold", "alarm": "dim", "mail": "cyan"}
"""How the lines of an incident look."""


def tell(console: Console, report: Mapping[str, Any], run: Run, surprises: Sequence[tuple[SampleOrder, str]]) -> None:
    """Print the run for somebody who sees it for the first time."""
    _program(console, report)
    _orders(console, report, run)
    _latency(console, report)
    _verdict(console, report, run, surprises)


def sound(report: Mapping[str, Any], run: Run, surprises: Sequence[object]) -> bool:
    """Whether nothing was lost, doubled, left open, given up or refused, and every sample ended as it should."""
    troubles = (report["lost"], report["duplicates"], report["emails"]["unknown"], run.abandoned)
    return not any(troubles) and not run.refused and not surprises


def line_of(entry: Entry) -> Text:
    """A line of an incident's story, with CloudWatch's time."""
    return Text.assemble(
        (f"{clock_time(entry.at)}  ", "dim"), (f"{entry.kind:<7}", KINDS[entry.kind]), (entry.text, KINDS[entry.kind])
    )


def tell_incident(console: Console, report: Mapping[str, Any]) -> None:
    """Print how an incident ended; its story was told while it happened."""
    incident = report["incident"]
    faults = incident["faults"]
    console.print()
    console.print(
        show.facts(
            [
                ("induced", _time(incident["induced"])),
                ("paged", _time(incident["paged"])),
                ("held by", ", ".join(incident["held"]) or "nobody"),
                ("parked", f"{incident['parked']} orders" if incident["held"] else ""),
                ("mended", _time(incident["mended"])),
                ("over", _time(incident["over"])),
                ("tickets", ", ".join(incident["tickets"]) or "none"),
            ]
        )
    )
    console.print(
        Text(
            f"\n{incident['pages']} page, {incident['recoveries']} message that it is over;"
            f" of {incident['orders']} orders {report['duplicates']} duplicates, {report['lost']} lost,"
            f" {report['emails']['unknown']} open.",
            style="bold red" if faults else "bold green",
        )
    )
    for fault in faults:
        console.print(f"  {fault}", markup=False)


def _time(iso: str | None) -> str:
    return iso[11:16] if iso else "never"


def _program(console: Console, report: Mapping[str, Any]) -> None:
    program, seconds = report["program"], report["seconds"]
    left_out = len(program["not_emulated"])
    console.print(
        f"Deployed {program['created']} of {program['resources']} resources in {seconds['deploy']:.1f} s"
        + (f"; {left_out} have no counterpart here:" if left_out else ", the whole program.")
    )
    if left_out:
        rows = [(each["type"], each["name"], each["reason"]) for each in program["not_emulated"]]
        console.print(show.table(["type", "name", "reason"], rows))
    console.print()


def _orders(console: Console, report: Mapping[str, Any], run: Run) -> None:
    orders = report["orders"]
    again = take_account(run.evidence.published, run.evidence.quarantined).duplicates_prevented
    repeated = f", {again} repeated" if again else ""
    console.print(
        f"{orders['published']} messages published and settled in {report['seconds']['orders']:.1f} s:"
        f" {orders['accepted']} orders accepted, {orders['quarantined']} messages quarantined{repeated}.\n"
    )
    became = Counter(row.status.value for row in run.evidence.rows) + Counter(QUARANTINED=orders["quarantined"])
    console.print(show.counts(became, heading="became"))
    console.print()
    if run.quarantined:
        shown = sorted(run.quarantined, key=lambda message: message.order_id)[:EXPLAINED]
        rows = [(message.order_id or "-", snippet(message.reason, REASON_WIDTH)) for message in shown]
        console.print(show.table(["quarantined", "because"], rows))
        if len(run.quarantined) > EXPLAINED:
            console.print(f"and {len(run.quarantined) - EXPLAINED} more")
        console.print()


def _latency(console: Console, report: Mapping[str, Any]) -> None:
    measured = report["latency_ms"]
    rows = [
        (words, *("-" if value is None else f"{value:,}" for value in measured[key].values()))
        for key, words in (("published_to_sent", "published to sent"), ("sent_to_final", "sent to final"))
    ]
    columns = list(measured["published_to_sent"])
    console.print(show.table(["latency, ms", *columns], rows, numbers=columns))
    console.print()


def _verdict(
    console: Console, report: Mapping[str, Any], run: Run, surprises: Sequence[tuple[SampleOrder, str]]
) -> None:
    well = sound(report, run, surprises)
    console.print(
        Text(
            f"{report['duplicates']} duplicates, {report['lost']} lost, {report['emails']['unknown']} open,"
            f" {report['traces']} traces.",
            style="bold green" if well else "bold red",
        )
    )
    for line in run.refused[:LISTED]:
        console.print(f"  line {line.number} was not published: {line.reason}", markup=False)
    if run.abandoned:
        console.print(f"  {run.abandoned} messages are in dead-letter queues")
    account = take_account(run.evidence.published, run.evidence.quarantined)
    for order in lost(account, run.evidence.mails, run.evidence.rows)[:LISTED]:
        console.print(f"  lost: {snippet(order)}", markup=False)
    for row in [row for row in run.evidence.rows if row.is_open][:LISTED]:
        console.print(f"  open: {row.order_id} is {row.status} {snippet(row.reason)}", markup=False)
    for sample, found in surprises[:LISTED]:
        console.print(f"  {sample.kind} ({sample.order_id}): {found}, not {sample.expected}", markup=False)
