"""`python -m ops quarantine`: what was refused, and what is to become of it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from handlers.mail.lifecycle import timestamp
from ops import show
from ops.errors import Exit, OpsError
from ops.publish import Published
from ops.quarantine import MOST, Quarantined, choose, delete, held
from ops.quarantine import resubmit as publish_again
from ops.stack import Stack
from ops.text import duration, mask, snippet

SHOWN_ID = 8
"""Characters of a message id in the table: enough to tell a thousand messages apart, as with commits."""

ROOMY = 140
"""Columns of a terminal on which the beginning of a message has room beside the reason."""

app = typer.Typer(
    help="See, resubmit or drop refused messages.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

Json = Annotated[bool, typer.Option("--json", help="Print JSON, for another program.")]
Ids = Annotated[list[str] | None, typer.Argument(metavar="[ID]...", help="Message ids, or how they begin.")]
All = Annotated[bool, typer.Option("--all", help="All messages that are there now.")]


@app.command("list")
def list_messages(
    ctx: typer.Context,
    show_address: Annotated[
        bool, typer.Option("--show-address", help="Show addresses; with --json, the whole body as well.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Show what is wrong with each message.

    Oldest first. Looking loses none: each is held for a moment and given back.
    """
    stack: Stack = ctx.obj()
    with held(stack.sqs, stack.outputs.quarantine_queue_url) as messages:
        now = datetime.now(UTC)
    if as_json:
        show.print_json({"messages": [_document(message, now, show_address) for message in messages]})
        return
    if not messages:
        show.out().print("Quarantine is empty.")
        return
    out = show.out()
    columns = ["id", "age", "code", "order", "reason", "begins"]
    if out.width < ROOMY:
        columns.pop()
    rows = [
        (
            message.message_id[:SHOWN_ID],
            duration(now - message.since),
            message.code,
            message.order_id or "-",
            message.reason if show_address else mask(message.reason),
            snippet(message.body, masked=not show_address),
        )[: len(columns)]
        for message in messages
    ]
    out.print(show.table(columns, rows))
    more = "; there may be more" if len(messages) == MOST else ""
    out.print(f"{len(messages):,} {_messages(messages)} in quarantine{more}.")


@app.command()
def resubmit(
    ctx: typer.Context,
    ids: Ids = None,
    everything: All = False,
    body: Annotated[
        Path | None, typer.Option(exists=True, dir_okay=False, help="Publish this file in place of the message's body.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Publish messages again.

    For when the pipeline was mended, or the order (--body). What was published leaves quarantine; what is still
    wrong comes back to it, under a new id.
    """
    _one_way(ids, everything)
    if body and (everything or len(ids or ()) != 1):
        raise typer.BadParameter("one body goes with one message id", param_hint="--body")
    stack: Stack = ctx.obj()
    with held(stack.sqs, stack.outputs.quarantine_queue_url) as messages:
        chosen = choose(messages, ids or ())
        outcomes = publish_again(stack, chosen, _text(body) if body else None)
    published = sum(isinstance(outcome, Published) for outcome in outcomes)
    refused = [
        (chosen[outcome.number].message_id, outcome.reason)
        for outcome in outcomes
        if not isinstance(outcome, Published)
    ]
    if as_json:
        kept = [{"messageId": message, "reason": reason} for message, reason in refused]
        show.print_json({"published": published, "kept": kept})
    else:
        show.out().print(f"{published:,} published again.")
        for message, reason in refused:
            show.err().print(f"{message} stays in quarantine: {reason}", markup=False)
    raise typer.Exit(Exit.NOT_DONE if refused else Exit.DONE)


@app.command()
def drop(
    ctx: typer.Context,
    ids: Ids = None,
    everything: All = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    as_json: Json = False,
) -> None:
    """Delete messages for good.

    Nobody will get a letter for those orders.
    """
    _one_way(ids, everything)
    stack: Stack = ctx.obj()
    with held(stack.sqs, stack.outputs.quarantine_queue_url) as messages:
        chosen = choose(messages, ids or ())
        if chosen and not yes:
            for message in chosen[:SHOWN_ID]:
                show.err().print(f"{message.message_id[:SHOWN_ID]}  {mask(message.reason)}", markup=False)
            typer.confirm(f"Drop {len(chosen):,} {_messages(chosen)} for good?", abort=True, err=True)
        delete(stack.sqs, stack.outputs.quarantine_queue_url, chosen)
    if as_json:
        show.print_json({"dropped": [message.message_id for message in chosen]})
    else:
        show.out().print(f"{len(chosen):,} dropped.")


def _one_way(ids: Sequence[str] | None, everything: bool) -> None:
    if bool(ids) == everything:
        raise typer.BadParameter("give message ids, or --all")


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8").strip()
    except UnicodeDecodeError as error:
        raise OpsError(f"{file} is not UTF-8.", "Save it as UTF-8.", Exit.USAGE) from error


def _messages(messages: Sequence[Quarantined]) -> str:
    return "message" if len(messages) == 1 else "messages"


def _document(message: Quarantined, now: datetime, show_address: bool) -> dict[str, object]:
    return {
        "messageId": message.message_id,
        "since": timestamp(message.since),
        "ageSeconds": round((now - message.since).total_seconds()),
        "code": message.code,
        "reason": message.reason if show_address else mask(message.reason),
        "orderId": message.order_id,
        "traceId": message.trace_id,
        "begins": snippet(message.body, masked=not show_address),
        **({"body": message.body} if show_address else {}),
    }
