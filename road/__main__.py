"""`python -m road`: preview, deploy, comment and rehearse; `make help` has the targets that call it."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Annotated, Final

import typer

from local.config import ROOT, StackConfigError, stack_config
from observability.errors import ToolkitError
from observability.shell import refusing
from ops import show
from ops.stack import LOCAL
from road import comment, here, promotion, pulumi_cli, rehearsal, workflows

REVIEW: Final = ROOT / "build" / "review"

app = typer.Typer(
    help="The road from a commit to production, as the workflows take it and as it is taken here.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    rich_markup_mode=None,
)

Stack = Annotated[str, typer.Option("--stack", "-s", help="The Pulumi stack; `local` needs no CLI and no account.")]


@app.command()
def preview(stack: Stack = "") -> None:
    """Say what a deployment would change, and what the policies say of it; kept in build/preview-STACK.txt."""
    kept = _known(stack)
    if stack == LOCAL:
        found = here.preview()
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.write_text(found.text(), encoding="utf-8")
        typer.echo(found.text(), nl=False)
        code = int(found.refused)
    else:
        pulumi_cli.require_cli(stack)
        code = pulumi_cli.run_cli(pulumi_cli.preview_command(stack), kept)
    pulumi_cli.summarise(f"Preview of {stack}", kept.read_text(encoding="utf-8"), "diff")
    raise typer.Exit(code)


@app.command()
def deploy(
    stack: Stack = "",
    endpoint: Annotated[
        str,
        typer.Option(help="Of the emulator, for the stack `local`.", show_default="what Pulumi.local.yaml names"),
    ] = "",
    outputs: Annotated[
        Path | None,
        typer.Option(help="Where outputs of the stack `local` go.", show_default="build/local/outputs.json"),
    ] = None,
) -> None:
    """Deploy a stack, if no mandatory policy is broken."""
    kept = _known(stack, "deploy")
    if stack != LOCAL:
        pulumi_cli.require_cli(stack)
        code = pulumi_cli.run_cli(pulumi_cli.deploy_command(stack), kept)
        pulumi_cli.summarise(f"Deployment of {stack}", kept.read_text(encoding="utf-8"), "diff")
        raise typer.Exit(code)
    found = here.preview()
    if found.refused:
        typer.echo(found.text(), nl=False)
        typer.echo("Nothing was deployed: a mandatory policy is broken.", err=True)
        raise typer.Exit(1)
    deployed = here.deploy_here(endpoint, outputs)
    typer.echo(
        f"Stack {LOCAL}: {len(deployed.created)} of {deployed.resources} resources created in {deployed.seconds:.1f} s;"
        f" {len(deployed.not_emulated)} are not emulated (local/FIDELITY.md)."
    )


@app.command("promotion")
def promote(
    tag: Annotated[str, typer.Option(envvar="GITHUB_REF_NAME", help="The tag.")] = "",
    main: Annotated[str, typer.Option(help="The branch that it has to be of.")] = "origin/main",
) -> None:
    """See that a tag names a release and is of the main branch."""
    typer.echo(promotion.check(tag or promotion.latest(), main))


@app.command("comment")
def write_comment(
    pull: Annotated[int | None, typer.Option("--pull", min=1, help="The pull request to post to.")] = None,
) -> None:
    """Write the last review as a comment, build/review/comment.md, and post it over the one that is there."""
    review = REVIEW / "review.md"
    if not review.is_file():
        raise ToolkitError(f"there is no {review.relative_to(ROOT)}", "`make review BASE=main` writes it.")
    at = comment.where(os.environ)
    text = comment.body(review.read_text(encoding="utf-8"), at)
    file = REVIEW / "comment.md"
    file.write_text(text, encoding="utf-8")
    if pull is None:
        typer.echo(f"{file.relative_to(ROOT)} is written. Nothing was posted: name the pull request with PR=NUMBER.")
    elif at.fork:
        why = "Not posted: this pull request comes from a fork, and its token may only read."
        comment.summarise(text, why)
        typer.echo(f"{why} The review is in the job's summary.")
    else:
        typer.echo(comment.post(text, pull, at))


@app.command()
def rehearse(
    without: Annotated[
        str, typer.Option(help="Targets to leave out, apart by spaces: what was run already, such as `check test`.")
    ] = "",
) -> None:
    """Run every step of every workflow here, in their order, on the emulator."""
    out = show.out()

    def tell(step: rehearsal.Rehearsed) -> None:
        took = f" in {step.seconds:.1f} s" if step.log else ""
        out.print(f"{step.step.workflow}: {step.command}: {step.result}{took}", markup=False, soft_wrap=True)
        for line in rehearsal.tail(step) if step.failed else ():
            out.print(f"    {line}", markup=False, soft_wrap=True)

    done = rehearsal.rehearse(workflows.read(), base=_base(), without=without.split(), on_step=tell)
    rows = [
        (
            each.step.workflow,
            each.step.job,
            each.step.name,
            each.command,
            each.result,
            f"{each.seconds:.1f}" if each.log else "",
        )
        for each in done
    ]
    out.print()
    out.print(show.table(["workflow", "job", "step", "command", "result", "seconds"], rows, numbers=["seconds"]))
    out.print()
    failed = sum(each.failed for each in done)
    out.print(f"{failed} failed." if failed else "Every step that was run ended well.")
    raise typer.Exit(int(bool(failed)))


def _known(stack: str, what: str = "preview") -> Path:
    """Where the output of a command on `stack` is kept, if there is such a stack."""
    if not stack:
        raise ToolkitError("no stack is named", "Say STACK=dev, STACK=prod or STACK=local.")
    stack_config(stack)
    return pulumi_cli.BUILD / f"{what}-{stack}.txt"


def _base() -> str:
    """The branch that a review compares with: the remote's, where a clone has one."""
    for name in ("origin/main", "main"):
        asked = ["git", "-C", str(ROOT), "rev-parse", "--verify", "--quiet", name]
        if not subprocess.run(asked, capture_output=True, check=False).returncode:
            return name
    return "HEAD"


def main() -> None:
    """Run a command; what cannot be used is said in a sentence, with what to do about it."""
    with refusing(StackConfigError):
        app(prog_name="python -m road")


if __name__ == "__main__":
    main()
