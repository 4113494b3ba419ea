"""`python -m ops`: the operator's commands. Each finds the stack, lets another module do the work, and shows
it."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, BinaryIO

import typer
from botocore.exceptions import BotoCoreError, ClientError
from typer.core import TyperGroup

from handlers.mail.lifecycle import message_id, timestamp
from handlers.telemetry.contract import Lane
from ops import brake_cli, gate_cli, overview, quarantine_cli, show, suppressed_cli
from ops.errors import EXIT_CODES, Exit, OpsError, explain
from ops.follow import AWAITED, QUARANTINED, follow
from ops.publish import Outcome, Published, Refused, publish, read_lines
from ops.redrive import Path as MovePath
from ops.redrive import redrive as move_back
from ops.resolve import Resolution, Verdict, resolutions
from ops.resolve import resolve as write_verdict
from ops.stack import LOCAL, Stack, open_stack
from ops.timeline import describe, render

LISTED = 10
"""Lines listed one by one below a table; `--json` has them all."""


class Commands(TyperGroup):
    """The outermost edge: what goes wrong is said in a sentence, and the exit code tells the kind."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except (ClientError, BotoCoreError) as error:
            failure = explain(error)
        except OpsError as error:
            failure = error
        show.print_error(failure)
        raise typer.Exit(failure.code)


app = typer.Typer(
    cls=Commands,
    help="Send orders through a stack, see what became of them, and put right what went wrong.",
    epilog="Exit codes: " + "; ".join(f"{code.value} {meaning}" for code, meaning in EXIT_CODES.items()) + ".",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    rich_markup_mode=None,
)
app.add_typer(quarantine_cli.app, name="quarantine")
app.add_typer(suppressed_cli.app, name="suppressed")
app.command()(brake_cli.brake)
app.command()(brake_cli.release)
app.command()(gate_cli.gate)

Json = Annotated[bool, typer.Option("--json", help="Print JSON, for another program.")]
ShowAddress = Annotated[bool, typer.Option("--show-address", help="Show email addresses in full.")]
OrderId = Annotated[str, typer.Argument(metavar="ORDER_ID", help="The order's id, as the order system gave it.")]


@app.callback()
def choose_stack(
    ctx: typer.Context,
    stack: Annotated[
        str, typer.Option("--stack", "-s", envvar="MAILROOM_STACK", help="The Pulumi stack; `local` is the local run.")
    ] = LOCAL,
    outputs: Annotated[
        Path | None,
        typer.Option(help="Read the outputs from this file (`pulumi stack output --json`), not from the Pulumi CLI."),
    ] = None,
) -> None:
    # Opened by the command, not here: `COMMAND --help` needs no stack.
    ctx.obj = lambda: open_stack(stack, outputs)


@app.command()
def send(
    ctx: typer.Context,
    file: Annotated[
        str, typer.Argument(metavar="FILE|-", help="Orders, one JSON object a line; `-` is standard input.")
    ],
    wait: Annotated[bool, typer.Option("--wait", help="Wait until each is final or in quarantine.")] = False,
    timeout: Annotated[float, typer.Option(min=0, help="Seconds that --wait waits at most.")] = 120,
    as_json: Json = False,
) -> None:
    """Publish orders to the stack's topic.

    A line that is no order is published as well: the pipeline refuses it and quarantine keeps it with the
    reason. Sending a file twice sends no email twice.
    """
    stack: Stack = ctx.obj()
    with _open(file) as (source, total), show.progress("publishing", total) as progress:
        done = 0

        def count(_: Outcome) -> None:
            nonlocal done
            done += 1
            progress(done, total)

        outcomes = publish(stack.sns, stack.outputs.order_topic_arn, read_lines(source), on_outcome=count)
    published = [outcome for outcome in outcomes if isinstance(outcome, Published)]
    refused = [outcome for outcome in outcomes if isinstance(outcome, Refused)]
    standing = _wait(stack, [outcome.line.body for outcome in published], timeout) if wait else {}
    tally = Counter(standing[outcome.line.body] for outcome in published if standing)
    if as_json:
        show.print_json(
            {
                "published": len(published),
                "refused": [{"line": line.number, "reason": line.reason} for line in refused],
                "orders": dict(sorted(tally.items())),
            }
        )
    else:
        _print_sent(published, refused, tally)
    unsettled = any(status in AWAITED for status in tally)
    raise typer.Exit(Exit.NOT_DONE if refused else Exit.UNSETTLED if unsettled else Exit.DONE)


@app.command()
def status(
    ctx: typer.Context,
    order_id: Annotated[
        str | None, typer.Argument(metavar="[ORDER_ID]", help="The order's id, as the order system gave it.")
    ] = None,
    show_address: ShowAddress = False,
    as_json: Json = False,
) -> None:
    """Tell what became of an order's email; without an order, how the stack stands.

    How it stands: which lanes are held, by whom and why, what waits in them, and what is being spent.
    """
    stack: Stack = ctx.obj()
    if order_id is None:
        view = overview.overview(stack, datetime.now(UTC))
        if as_json:
            show.print_json(overview.document(view))
        else:
            overview.render(show.out(), view)
        return
    rows = stack.ledger.of_order(order_id)
    if not rows:
        raise OpsError(
            f"The ledger of stack {stack.outputs.stack} knows no order {order_id}.",
            "Mind upper and lower case. It may be on its way, or in quarantine: `quarantine list`.",
        )
    table = stack.outputs.ledger_table_name
    words = {row.message_id: resolutions(stack.dynamodb, table, row) for row in rows}
    if as_json:
        emails = [describe(row, words[row.message_id], show_address=show_address) for row in rows]
        show.print_json({"orderId": order_id, "emails": emails})
        return
    for row in rows:
        render(show.out(), row, words[row.message_id], show_address=show_address)


@app.command()
def resolve(
    ctx: typer.Context,
    order_id: OrderId,
    reason: Annotated[str, typer.Option(help="Why; kept in the ledger.")],
    sent: Annotated[bool, typer.Option("--sent", help="The email went out.")] = False,
    delivered: Annotated[bool, typer.Option("--delivered", help="It arrived.")] = False,
    failed: Annotated[bool, typer.Option("--failed", help="It did not, and will not.")] = False,
    resend: Annotated[bool, typer.Option("--resend", help="Send it (again): it may then arrive twice.")] = False,
    as_json: Json = False,
) -> None:
    """Settle an email by your word.

    UNKNOWN: SES was asked to send it, and its answer never came; say --sent, --failed or --resend. SENT or DELAYED for
    over 4 hours: SES took it and no longer tries, and its last event is lost; say --delivered or --failed. Look first:
    has the customer got it, do SES's own events show it? Who settled it, and why, is kept in the ledger. Evidence that
    arrives meanwhile wins.
    """
    flags = {Verdict.SENT: sent, Verdict.DELIVERED: delivered, Verdict.FAILED: failed, Verdict.RESEND: resend}
    chosen = [verdict for verdict, given in flags.items() if given]
    if len(chosen) != 1:
        raise typer.BadParameter("give exactly one of --sent, --delivered, --failed and --resend")
    if not reason.strip():
        raise typer.BadParameter("say why", param_hint="--reason")
    stack: Stack = ctx.obj()
    row = stack.ledger.get(order_id, message_id(order_id, Lane.CONFIRMATION))
    if row is None:
        raise OpsError(
            f"The ledger of stack {stack.outputs.stack} knows no order {order_id}.", "Mind upper and lower case."
        )
    word = Resolution(at=_now(), by=stack.operator, verdict=chosen[0], reason=reason.strip())
    row = write_verdict(stack, row, word, now=_now)
    if as_json:
        show.print_json({"orderId": order_id, "verdict": word.verdict, "by": word.by, "status": row.status})
    elif word.verdict is Verdict.RESEND:
        show.out().print(f"Order {order_id} is released and published again; `status {order_id}` follows it.")
    else:
        show.out().print(f"Order {order_id} is", show.status(row.status), f"by the word of {word.by}.")


class Side(StrEnum):
    """Which of the dead-letter queues."""

    SEND = "send"
    PROBE = "probe"
    FEEDBACK = "feedback"
    NOTIFY = "notify"
    BUDGET = "budget"


@app.command()
def redrive(
    ctx: typer.Context,
    side: Annotated[
        Side,
        typer.Argument(
            help="Orders not sent, probes not sent, SES events not recorded, notifications of alarms not delivered, or"
            " notifications of the budget not acted on."
        ),
    ] = Side.SEND,
    rate: Annotated[int | None, typer.Option(min=1, max=500, help="Messages a second, at most.")] = None,
    as_json: Json = False,
) -> None:
    """Give what a queue gave up on another try.

    Moves every message of a dead-letter queue back to where it came from. Find out first why it was given up on:
    `status` has the reason of each order, docs/runbook.md where to find the others.
    """
    stack: Stack = ctx.obj()
    at = stack.outputs
    probe = at.lane(Lane.PROBE)
    path = {
        Side.PROBE: MovePath(probe.dlq_arn, probe.dlq_url, probe.queue_url),
        Side.BUDGET: MovePath(at.cost_guard_dlq_arn, at.cost_guard_dlq_url, at.cost_guard_queue_url),
        Side.SEND: MovePath(at.send_dlq_arn, at.send_dlq_url, at.send_queue_url),
        Side.FEEDBACK: MovePath(at.feedback_dlq_arn, at.feedback_dlq_url, at.feedback_queue_url),
        Side.NOTIFY: MovePath(at.notify_dlq_arn, at.notify_dlq_url, at.notify_queue_url),
    }[side]
    with show.progress("moving") as progress:
        moved = move_back(stack.sqs, path, rate=rate, on_progress=progress)
    if as_json:
        show.print_json({"queue": side, "moved": moved})
    elif moved:
        show.out().print(f"{moved:,} {'message is' if moved == 1 else 'messages are'} back in the {side} queue.")
    else:
        show.out().print(f"The dead-letter queue of {side} is empty: nothing to move.")


@contextmanager
def _open(file: str) -> Iterator[tuple[BinaryIO, int | None]]:
    """The file and its number of lines, where that can be told without using it up."""
    if file == "-":
        yield sys.stdin.buffer, None
        return
    try:
        with Path(file).open("rb") as source:
            total = sum(1 for _ in source) if source.seekable() else None
            if total is not None:
                source.seek(0)
            yield source, total
    except OSError as error:
        raise OpsError(f"Cannot read {file}: {error.strerror}.", code=Exit.USAGE) from error


def _wait(stack: Stack, bodies: list[str], timeout: float) -> dict[str, str]:
    with show.progress("settled", len(set(bodies))) as progress:
        return follow(stack, bodies, timeout=timeout, on_progress=lambda settled: progress(settled, None))


def _print_sent(published: list[Published], refused: list[Refused], tally: Counter[str]) -> None:
    out = show.out()
    if tally:
        out.print(show.counts(tally, heading="became"))
        if tally[QUARANTINED]:
            out.print("`quarantine list` says what is wrong with those in quarantine.")
    for line in refused[:LISTED]:
        show.err().print(f"line {line.number} was not published: {line.reason}", markup=False)
    if len(refused) > LISTED:
        show.err().print(f"... and {len(refused) - LISTED:,} more lines; --json lists them all")
    left = f", {len(refused):,} not" if refused else ""
    out.print(f"{len(published):,} {'message' if len(published) == 1 else 'messages'} published{left}.")


def _now() -> str:
    return timestamp(datetime.now(UTC))
