"""`make demo` and `make up`: the whole pipeline on this machine, for one run of orders or for as long as it is
wanted."""

from __future__ import annotations

import json
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Annotated, NoReturn

import typer
from botocore.exceptions import BotoCoreError, ClientError
from rich.text import Text

from local.aws import FOLDER, LocalAws
from local.config import ROOT, StackConfigError
from local.deployer import DeploymentError
from local.emulator import EmulatorError
from local.incidents import INCIDENTS, named, play
from local.orders import sample_orders
from local.report import build_report, surprises
from local.run import await_quiet, depth, prepare, run, save_mails
from local.story import line_of, sound, tell, tell_incident
from local.twin.client import TwinError
from local.usage import mark, use
from local.watcher import Watch
from observability.errors import ToolkitError
from observability.usage import usage_json
from ops import show
from ops.errors import Exit, OpsError, explain
from ops.publish import Line, Refused, read_lines
from ops.stack import Stack

REPORT = ROOT / "build" / "report.json"
USAGE = ROOT / "build" / "usage.json"
"""What the run used, for `python -m observability bill`; its form is described in observability/usage.py."""

MAILS = FOLDER / "mail"
DEMO = FOLDER / "demo"
"""Logs and outputs of a demo. They are not where `up` keeps its own, which may be running beside it."""

EMPTY = FOLDER / "empty"

FUNCTION_LOGS = {"sendFunctionName": "send_email.jsonl", "feedbackFunctionName": "record_feedback.jsonl"}

SETTLING = 60
SLOWEST_RATE = 5
"""Seconds until a run is called stuck: a minute, and time for each order at the rate of a very slow machine."""

ALIVE_EVERY = 2.0
INTERRUPTED = 130
"""Exit code of a run that was broken off: what a shell gives for Ctrl-C."""

EXAMPLES = (
    "local.orders --count 50 | .venv/bin/python -m ops send - --wait",
    "ops status S1-00001",
    "ops quarantine list",
    "local.page send-email-unknown-ticket",
    "ops --help",
)

PORTS = range(4566, 4600)
"""Where `up` listens: the port that tools for local clouds expect, or the next free one."""

app = typer.Typer(
    help="The pipeline on this machine.",
    pretty_exceptions_enable=False,
    add_completion=False,
    rich_markup_mode=None,
)


@app.callback(invoke_without_command=True)
def demo(
    ctx: typer.Context,
    orders: Annotated[Path | None, typer.Option(help="Send this file, one order a line, not sample orders.")] = None,
    seed: Annotated[int, typer.Option(help="Of the sample orders.")] = 7,
    count: Annotated[int, typer.Option(min=1, help="Of the sample orders.")] = 200,
    incident: Annotated[str, typer.Option(help=f"Play an incident instead: {', '.join(INCIDENTS)}.")] = "",
) -> None:
    """Deploy the program to an emulated AWS, send orders through it, say what became of each, and stop."""
    if ctx.invoked_subcommand:
        return
    if incident:
        _incident(incident)
    samples = [] if orders else sample_orders(seed, count)
    with clean_end(interrupted=INTERRUPTED):
        lines = _lines(orders) if orders else [Line(n, sample.body) for n, sample in enumerate(samples, start=1)]
        with _running(LocalAws(folder=DEMO, counted=True)) as (aws, stack):
            settle = partial(await_quiet, aws, stack, within=SETTLING)
            settle()  # SES greets new topics; that is of no order
            before = mark(aws)
            ran = run(aws, stack, lines, timeout=SETTLING + len(lines) / SLOWEST_RATE)
            # Alarms have no part in what an email costs.
            aside = [aws.outputs["notifyFunctionName"]]
            usage = use(aws, before, emails=len(ran.mails), settle=settle, aside=aside)
            _save_logs(aws)
    report = build_report(ran.evidence)
    REPORT.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    USAGE.write_text(json.dumps(usage_json(usage), indent=2) + "\n", encoding="utf-8")
    save_mails(ran.mails, MAILS)
    unexpected = surprises(samples, ran.evidence.rows, ran.evidence.quarantined)
    tell(show.out(), report, ran, unexpected)
    _say_where(used=True)
    raise typer.Exit(Exit.DONE if sound(report, ran, unexpected) else Exit.NOT_DONE)


def _incident(name: str) -> NoReturn:
    """Play an incident, tell it as it happens, and end with whether it went as it should."""
    out = show.out()
    with clean_end(interrupted=INTERRUPTED):
        out.print(Text(f"{named(name).title}.", style="bold"))
        with LocalAws(folder=DEMO, watched=True) as aws:
            out.print("By CloudWatch's clock a minute lasts as long as what happens in it takes, and no longer.\n")
            played = play(aws, name, say=lambda entry: out.print(line_of(entry)))
            _save_logs(aws)
    report = {**build_report(played.run.evidence), "incident": played.report()}
    REPORT.write_text(json.dumps(report, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    save_mails(played.run.mails, MAILS)
    tell_incident(out, report)
    _say_where(used=False)
    raise typer.Exit(Exit.NOT_DONE if played.faults else Exit.DONE)


@app.command()
def up(
    folder: Annotated[
        Path, typer.Option(help="Where outputs and logs go; `ops` looks for them here.", show_default="build/local")
    ] = FOLDER,
) -> None:
    """Deploy the program to an emulated AWS and keep it running until Ctrl-C."""
    with clean_end(interrupted=Exit.DONE):
        here = LocalAws(port=_first_free(PORTS), folder=folder.resolve(), watched=True)
        with _running(here) as (aws, stack), Watch(aws):
            _introduce(aws)
            while True:
                time.sleep(ALIVE_EVERY)
                depth(stack, stack.outputs.send_queue_url)  # fails once the emulator is gone, and so ends the wait


@app.command()
def empty(
    port: Annotated[int, typer.Option(help="Of the emulator; Pulumi.local.yaml names it, too.")] = PORTS.start,
) -> None:
    """Start an emulated AWS with nothing in it, for `pulumi up -s local`, and keep it running until Ctrl-C."""
    with clean_end(interrupted=Exit.DONE), LocalAws(port=port, folder=EMPTY) as aws:
        show.out().print(f"An empty AWS listens at {aws.endpoint}. In another terminal: pulumi up -s local")
        show.out().print("\nCtrl-C stops it.")
        while True:
            time.sleep(ALIVE_EVERY)
            aws.client("sts").get_caller_identity()  # fails once the emulator is gone, and so ends the wait


@contextmanager
def clean_end(*, interrupted: int) -> Iterator[None]:
    """Ctrl-C and SIGTERM unwind the block, so that what it started is stopped, and end with the code `interrupted`.
    A failure becomes a sentence."""

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
        return
    except KeyboardInterrupt:
        show.err().print("stopped")
        raise typer.Exit(interrupted) from None
    except (ClientError, BotoCoreError) as error:
        failure = explain(error)
    except OpsError as error:
        failure = error
    except (EmulatorError, DeploymentError, StackConfigError, ToolkitError, TwinError) as error:
        failure = OpsError(str(error), f"Logs are in {_short(FOLDER)}/.")
    finally:
        signal.signal(signal.SIGTERM, before)
    show.print_error(failure)
    raise typer.Exit(failure.code)


@contextmanager
def _running(aws: LocalAws) -> Iterator[tuple[LocalAws, Stack]]:
    """The emulator with the program on it, announced as it comes up."""
    out, err = show.out(), show.err()
    with ExitStack() as running:
        with err.status("starting the emulator"):
            running.enter_context(aws)
        out.print(f"Emulator up in {aws.seconds['emulator']:.1f} s at {aws.endpoint}")
        with err.status("deploying the program"):
            stack = prepare(aws)
        yield aws, stack


def _lines(file: Path) -> list[Line | Refused]:
    try:
        with file.open("rb") as source:
            return list(read_lines(source))
    except OSError as error:
        raise OpsError(f"Cannot read {file}: {error.strerror}.", code=Exit.USAGE) from error


def _first_free(ports: range) -> int:
    for port in ports:
        with socket.socket() as probe:
            # As the emulator will bind it: a port that a stopped one has just left is free.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise OpsError(f"Ports {ports.start} to {ports.stop - 1} are all taken.", "Stop what listens on one of them.")


def _save_logs(aws: LocalAws) -> None:
    for function, file in FUNCTION_LOGS.items():
        lines = (json.dumps(line, ensure_ascii=False) for line in aws.logs(aws.outputs[function]))
        (DEMO / file).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def _say_where(*, used: bool) -> None:
    logs = ", ".join(FUNCTION_LOGS.values())
    show.out().print(
        show.facts(
            [
                ("report", _short(REPORT)),
                ("usage", f"{_short(USAGE)} (for `python -m observability bill`)" if used else ""),
                ("letters", f"{_short(MAILS)}/*.eml"),
                ("logs", f"{_short(DEMO)}/ (emulator.log, twin.log, {logs})"),
            ]
        )
    )


def _introduce(aws: LocalAws) -> None:
    out = show.out()
    if not aws.endpoint.endswith(f":{PORTS.start}"):
        out.print(f"Port {PORTS.start} is taken, so it listens on another.")
    out.print(f"Deployed in {aws.seconds['deploy']:.1f} s; the outputs are in {_short(aws.folder / 'outputs.json')}\n")
    out.print(show.facts([("AWS", f"{aws.endpoint}  (access key test, secret test)"), ("SES", aws.twin.endpoint)]))
    out.print("\nIn another terminal:\n")
    for example in EXAMPLES:
        out.print(f"  .venv/bin/python -m {example}", style="bold", markup=False)
    out.print("\nIts alarms are judged every minute; when one goes off, or is over, it is told here, too.")
    out.print("Ctrl-C stops it.")


def _short(path: Path) -> str:
    return str(path.relative_to(ROOT) if path.is_relative_to(ROOT) else path)


if __name__ == "__main__":
    app(prog_name="python -m local.demo")
