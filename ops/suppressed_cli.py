"""`python -m ops suppressed`: addresses that are not written to, and how they come to be again."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.text import Text

from handlers.guarding.suppression import Suppression
from handlers.mail.lifecycle import timestamp
from ops import show
from ops.stack import Stack
from ops.suppressed import add as put_on
from ops.suppressed import describe, entries, entry_of
from ops.suppressed import remove as take_off
from ops.text import clock, mask

app = typer.Typer(
    help="See and change which addresses are not written to.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

Json = Annotated[bool, typer.Option("--json", help="Print JSON, for another program.")]
ShowAddress = Annotated[bool, typer.Option("--show-address", help="Show email addresses in full.")]
Address = Annotated[str, typer.Argument(metavar="ADDRESS", help="The email address, in full.")]
Reason = Annotated[str, typer.Option(help="Why; kept with the address.")]


@app.command("list")
def list_addresses(
    ctx: typer.Context,
    removed: Annotated[bool, typer.Option("--removed", help="Those that were taken off as well.")] = False,
    show_address: ShowAddress = False,
    as_json: Json = False,
) -> None:
    """Show who is on the list, newest first."""
    stack: Stack = ctx.obj()
    found = entries(stack, removed=removed)
    if as_json:
        show.print_json({"addresses": [describe(entry, show_address=show_address) for entry in found]})
        return
    if not found:
        show.out().print("The suppression list is empty.")
        return
    rows = [
        (
            entry.address if show_address else mask(entry.address),
            _clock(entry.since),
            entry.cause,
            *([_off(entry)] if removed else []),
        )
        for entry in found
    ]
    show.out().print(show.table(["address", "since (UTC)", "why", *(["off the list since"] if removed else [])], rows))
    show.out().print(f"{len(found):,} {'address' if len(found) == 1 else 'addresses'}.")


@app.command("show")
def show_one(ctx: typer.Context, address: Address, show_address: ShowAddress = False, as_json: Json = False) -> None:
    """Tell why an address is on the list, or who took it off."""
    stack: Stack = ctx.obj()
    entry = entry_of(stack, address)
    told = describe(entry, show_address=show_address)
    if as_json:
        show.print_json(told)
        return
    out, removed = show.out(), told["removed"]
    out.print(Text.assemble((told["address"], "bold"), "  ", _standing(entry)))
    out.print(
        show.facts(
            [
                ("since", f"{_clock(entry.since)} UTC"),
                ("why", entry.cause),
                ("who", told["by"]),
                ("said", told["diagnostic"]),
                ("taken off", f"{clock(removed['at'])} UTC by {removed['by']}: {removed['reason']}" if removed else ""),
            ]
        )
    )


@app.command("remove")
def remove(ctx: typer.Context, address: Address, reason: Reason, as_json: Json = False) -> None:
    """Have an address written to again.

    Takes it off the account's own list at SES as well. Be sure that its mailbox exists, and that its owner wants to
    hear from us: another bounce or complaint counts against the account, and puts it on the list again.
    """
    why = _given(reason)
    stack: Stack = ctx.obj()
    done = take_off(stack, address, reason=why, now=_now())
    if as_json:
        entry = describe(done.entry) if done.entry else None
        show.print_json({"entry": entry, "removedFromSes": done.forgotten})
        return
    lists = [*(["our list"] if done.entry else []), *(["SES's own"] if done.forgotten else [])]
    show.out().print(f"{mask(address)} is off {' and '.join(lists)}: the next order to it is sent.", markup=False)
    show.out().print("An order that ended as SUPPRESSED is over; have it published again under a new id.")


@app.command("add")
def add(ctx: typer.Context, address: Address, reason: Reason, as_json: Json = False) -> None:
    """Have an address not written to any more."""
    why = _given(reason)
    stack: Stack = ctx.obj()
    entry, new = put_on(stack, address, reason=why, now=_now())
    if as_json:
        show.print_json({"entry": describe(entry), "added": new})
    elif new:
        show.out().print(f"{mask(entry.address)} is on the list: orders to it end as SUPPRESSED.", markup=False)
    else:
        since = f"since {_clock(entry.since)} UTC ({entry.cause})"
        show.out().print(f"{mask(entry.address)} is on the list already, {since}.", markup=False)


def _given(reason: str) -> str:
    if not reason.strip():
        raise typer.BadParameter("say why", param_hint="--reason")
    return reason.strip()


def _standing(entry: Suppression) -> Text:
    return show.status("SUPPRESSED") if entry.active else Text("may be written to", style="green")


def _off(entry: Suppression) -> str:
    return _clock(entry.removed.at) if entry.removed and not entry.active else ""


def _clock(moment: datetime) -> str:
    """To the second: nobody needs more of it here."""
    return clock(timestamp(moment))[:19]


def _now() -> datetime:
    return datetime.now(UTC)
