"""`python -m policies`: what people and `python -m observability review` are told, and how it ends."""

from __future__ import annotations

import sys
from dataclasses import replace
from datetime import date
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from local.config import ROOT
from observability.errors import ToolkitError
from observability.review.findings import violations
from observability.shell import UNUSABLE
from policies import commands
from policies.commands import main, tell
from policies.configuration import configured_stacks
from policies.engine import Verdict, judge_stack
from policies.listing import topic
from policies.model import UNKNOWN
from policies.rules import RULES
from policies.waivers import Waiver
from tests.policies.programs import RULES as SMALL
from tests.policies.programs import resource, stack
from tests.recorded import recording

WAIVER = Waiver(
    rule="short-delay",
    resource="Queue late",
    stacks=("prod",),
    owner="platform",
    reason="[The] shop waits.",
    expires=date(2027, 1, 1),
)


@pytest.fixture
def verdict() -> Verdict:
    """Something of everything."""
    return judge_stack(
        stack(
            replace(resource("slow", delaySeconds=60), source="__main__.py:7"),
            resource("late", delaySeconds=60),
            resource("quick"),
            resource("[hidden]", delaySeconds=UNKNOWN),
        ),
        SMALL,
        {},
        (WAIVER,),
    )


def told(verdict: Verdict, *, verbose: bool = False) -> str:
    printed = StringIO()
    tell(verdict, Console(file=printed, width=200, soft_wrap=True), verbose=verbose)
    return printed.getvalue()


def test_people_are_told_what_fails_what_is_waived_until_when_and_what_is_not_known(verdict: Verdict) -> None:
    text = told(verdict)
    assert "shop, stack prod: 2 rules, 4 resources" in text
    assert "mandatory short-delay" in text
    assert "Queue slow: delaySeconds is 60. Somebody waits for the message. Lower delaySeconds. (__main__.py:7)" in text
    assert "waived until 2027-01-01 by platform: short-delay, Queue late" in text
    assert "[The] shop waits." in text
    assert "not known before it is deployed: short-delay: delaySeconds of Queue [hidden]" in text
    assert "fails: 3 violated, 1 satisfied, 1 unknown, 1 waived" in text
    assert "Queue quick" not in text


def test_with_verbose_each_rule_has_its_counts(verdict: Verdict, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commands, "RULES", SMALL)
    lines = [line.split() for line in told(verdict, verbose=True).splitlines()]
    assert ["short-delay", "2", "1", "1", "-", "1"] in lines
    assert ["some-topic", "1", "-", "-", "-", "-"] in lines


def ended(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["policies", *arguments])
    with pytest.raises(SystemExit) as end:
        main()
    return int(end.value.code or 0)


@pytest.mark.parametrize(("drop", "code"), [("Budget", 1), ("", 0)])
def test_it_ends_with_1_if_there_is_a_mandatory_finding(
    drop: str, code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    of = recording("prod")
    kept = tuple(each for each in of.resources if each.kind != drop)
    monkeypatch.setattr(commands, "record", lambda _root, _stack: replace(of, resources=kept))
    assert ended(monkeypatch, "check", "--stack", "prod") == code
    assert ("Stack mailroom-prod: it has no budget" in capsys.readouterr().out) is bool(code)


def test_without_a_name_each_configured_stack_is_judged(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(commands, "record", lambda _root, stack: recording(stack))
    assert ended(monkeypatch, "check") == 0
    printed = capsys.readouterr().out
    assert [line.split(":")[0] for line in printed.splitlines() if line.startswith("mailroom")] == [
        f"mailroom, stack {each}" for each in configured_stacks()
    ]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["check", "--stack", "production"], "stack 'production': there is no Pulumi.production.yaml"),
        (["check", "--json", "nowhere.json"], "nowhere.json: it cannot be read as JSON"),
        (["check", "--json", "x", "--stack", "prod"], "--json and --stack are two sources"),
    ],
)
def test_what_cannot_be_used_is_said_in_a_sentence(
    arguments: list[str], said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ended(monkeypatch, *arguments) == UNUSABLE
    printed = capsys.readouterr()
    assert said in printed.err
    assert "Traceback" not in printed.err
    assert printed.out == ""


def test_a_file_that_is_no_recording_is_told(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text("{}", encoding="utf-8")
    with pytest.raises(ToolkitError, match="not a recording"):
        commands.read_recording(tmp_path / "x.json")


def test_a_review_reads_what_is_found() -> None:
    """As `python -m observability review` asks: in a process of its own, with a recording in a file."""
    of = recording("prod")
    without = replace(of, resources=tuple(each for each in of.resources if each.kind != "Budget"))
    found = violations(ROOT, without, None)
    assert found
    assert [(each.policy, each.resource, each.level) for each in found] == [
        ("stack-has-budget", "Stack mailroom-prod", "mandatory")
    ]
    assert violations(ROOT, of, None) == ()


def test_every_rule_is_listed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    assert ended(monkeypatch, "list") == 0
    lines = capsys.readouterr().out.splitlines()[1:]
    assert [line.split()[0] for line in lines] == [each.name for each in RULES]
    assert ended(monkeypatch, "list", "--markdown") == 0
    page = capsys.readouterr().out
    assert [line for line in page.splitlines() if line.startswith("### ")] == [
        f"### {each.name}" for each in sorted(RULES, key=lambda each: (topic(each), each.name))
    ]
