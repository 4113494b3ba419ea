"""`python -m policies`: what the rules say of a stack, without the Pulumi CLI, a provider or an account."""

from __future__ import annotations

import json
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console
from rich.table import Table

from observability.errors import ToolkitError
from observability.program import Recording, record
from observability.shell import refusing
from policies.configuration import configured_stacks, read_configuration
from policies.engine import Finding, Verdict, judge_stack, label, stack_of
from policies.listing import listing
from policies.model import Level, Outcome
from policies.rules import RULES
from policies.waivers import read_waivers

ROOT: Final = Path(__file__).resolve().parents[1]
FOUND = 1
"""Exit code where there is a mandatory finding."""

SHOWN: Final = 5
"""Of what is unknown, so many are named without --verbose."""

app = typer.Typer(
    help="What has to hold for every stack, and whether it does.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    rich_markup_mode=None,
)

Stacks = Annotated[
    list[str] | None, typer.Option("--stack", "-s", help="A stack; may be repeated. All with a configuration, without.")
]
RecordingFile = Annotated[
    Path | None,
    typer.Option("--json", metavar="RECORDING", help="Judge a recording, print findings as JSON and end with 0."),
]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Also how often each rule was asked, and the answers.")]
Markdown = Annotated[bool, typer.Option("--markdown", help="As the page docs/policies.md.")]


@app.command()
def check(stack: Stacks = None, recording: RecordingFile = None, verbose: Verbose = False) -> None:
    """Judge stacks. Exit code 1 if there is a mandatory finding."""
    if recording:
        if stack:
            raise ToolkitError("--json and --stack are two sources", "A recording says itself of which stack it is.")
        print(json.dumps([document(each) for each in judged(read_recording(recording)).findings], indent=1))
        return
    verdicts = [judged(record(ROOT, each)) for each in stack or configured_stacks()]
    console = Console(highlight=False, soft_wrap=True)
    for verdict in verdicts:
        tell(verdict, console, verbose=verbose)
    if any(verdict.fails for verdict in verdicts):
        sys.exit(FOUND)


@app.command("list")
def list_(markdown: Markdown = False) -> None:
    """List the rules."""
    if markdown:
        print(listing(RULES), end="")
        return
    table = Table("rule", "level", "what has to hold", box=None, pad_edge=False)
    for rule in RULES:
        table.add_row(rule.name, rule.level, rule.about)
    Console(highlight=False).print(table)


def judged(recording: Recording, today: date | None = None) -> Verdict:
    """What all rules say of a recording, with the configuration and the waivers of its stack. Raises ToolkitError."""
    today = today or datetime.now(UTC).date()
    configuration = read_configuration(recording.stack, RULES)
    return judge_stack(stack_of(recording, today), RULES, configuration, read_waivers(RULES, today))


def read_recording(path: Path) -> Recording:
    """Raises ToolkitError: the file is none."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ToolkitError(f"{path}: it cannot be read as JSON: {error}") from error
    return Recording.read(content)


def document(finding: Finding) -> dict[str, str]:
    """A finding for another program, as `observability.review.findings.violations` takes it."""
    return {
        "policy": finding.rule,
        "resource": finding.resource,
        "message": finding.message,
        "level": finding.level.value,
    }


# For people

STYLES: Final = {Level.MANDATORY: "bold red", Level.ADVISORY: "yellow"}


def tell(verdict: Verdict, console: Console, *, verbose: bool = False) -> None:
    """How a stack was judged, findings first."""
    stack = verdict.stack
    counts = Counter(each.outcome for each in verdict.judgements)
    rules = len({each.rule.name for each in verdict.judgements})
    console.print(
        f"{stack.project}, stack {stack.stack}: {rules} rules, {len(stack.resources)} resources", style="bold"
    )
    for level in (Level.MANDATORY, Level.ADVISORY):
        _grouped([each for each in verdict.findings if each.level is level], level, console)
    for each in verdict.waived:
        if each.waiver:
            waiver = each.waiver
            console.print(f"  waived until {waiver.expires} by {waiver.owner}: {each.rule}, {each.resource}")
            console.print(f"    {waiver.reason.strip()}", style="dim", markup=False)
    unknown = [f"{each.rule.name}: {each.unknown} of {label(each.resource)}" for each in verdict.unknown]
    for line in unknown if verbose else unknown[:SHOWN]:
        console.print(f"  not known before it is deployed: {line}", style="dim", markup=False)
    if not verbose and len(unknown) > SHOWN:
        console.print(f"  and {len(unknown) - SHOWN} more", style="dim")
    if verdict.disabled:
        console.print(f"  switched off on this stack: {', '.join(verdict.disabled)}", style="dim")
    if verbose:
        console.print(_table(verdict))
    said = [f"{counts[each]} {each}" for each in Outcome if counts[each]]
    console.print(f"  {'fails' if verdict.fails else 'passes'}: {', '.join(said)}, {len(verdict.waived)} waived")


def _grouped(findings: Sequence[Finding], level: Level, console: Console) -> None:
    groups: defaultdict[str, list[Finding]] = defaultdict(list)
    for each in findings:
        groups[each.rule].append(each)
    for rule, found in sorted(groups.items()):
        console.print(f"  {level} {rule}", style=STYLES[level])
        for each in found:
            console.print(f"    {each.message}{f' ({each.source})' if each.source else ''}", markup=False)


def _table(verdict: Verdict) -> Table:
    columns = ("rule", *Outcome, "waived")
    table = Table(*columns, box=None, pad_edge=False)
    waived = Counter(each.rule for each in verdict.waived)
    outcomes = Counter((each.rule.name, each.outcome) for each in verdict.judgements)
    for rule in RULES:
        row = [outcomes[rule.name, outcome] for outcome in Outcome]
        table.add_row(rule.name, *_shown([*row, waived[rule.name]]))
    return table


def _shown(counts: Iterable[int]) -> Iterable[str]:
    return (str(each) if each else "-" for each in counts)


def main() -> None:
    """Run a command; what cannot be used is said in a sentence, with what to do about it."""
    with refusing():
        app(prog_name="python -m policies")
