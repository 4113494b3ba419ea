"""The runbook is complete, and every command, query, widget and number in it exists."""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from components.objectives import OBJECTIVES, least_volume, threshold
from components.watch import HOUR, MINUTE
from handlers.mail.lifecycle import Milestone
from handlers.mail.sending import backoff
from handlers.telemetry.contract import METRICS, AlarmCard
from local.config import ROOT
from ops.cli import app
from tests.commands import check_aws, commands, parse, without_fences, words
from tests.recorded import STACKS, program

RUNBOOK = ROOT / "docs/runbook.md"
TEXT = RUNBOOK.read_text(encoding="utf-8")
PARTS = ("Means", "Look first", "Likely causes", "Do", "Over when")

_ANCHOR = re.compile(r'^<a id="([^"]+)"></a>$', re.MULTILINE)


@dataclass(frozen=True)
class Section:
    """What stands from one alarm's anchors to the next heading."""

    anchors: tuple[str, ...]
    body: str

    def parts(self) -> list[tuple[str, str]]:
        """Each part's name and text, in order."""
        pieces = re.split(r"^\*\*([^*]+)\.\*\* ?", self.body, flags=re.MULTILINE)
        return list(zip(pieces[1::2], (text.strip() for text in pieces[2::2]), strict=True))


def sections() -> list[Section]:
    found = re.finditer(r'((?:^<a id="[^"]+"></a>\n)+)#{2,3} [^\n]+\n(.*?)(?=^<a id=|^#{2,3} |\Z)', TEXT, re.M | re.S)
    return [Section(tuple(_ANCHOR.findall(each[1])), each[2]) for each in found]


@cache
def alarms(stack: str) -> dict[str, dict[str, Any]]:
    """The stack's alarms and composites by their names within it."""
    recorder = program(stack)[0]
    named = [(each.inputs["name"], each.inputs) for each in recorder.all("MetricAlarm")]
    named += [(each.inputs["alarmName"], each.inputs) for each in recorder.all("CompositeAlarm")]
    return {name.removeprefix(f"mailroom-{stack}-"): dict(inputs) for name, inputs in named}


OPS = sorted({command for command in commands(TEXT) if command.startswith("python -m ops")})
AWS = sorted({command for command in commands(TEXT) if command.startswith("aws ")})


def test_every_alarm_has_one_anchor_and_every_anchor_an_alarm() -> None:
    anchors = Counter(_ANCHOR.findall(TEXT))
    assert not [anchor for anchor, count in anchors.items() if count > 1], "an anchor stands for one place"
    names = {name for stack in STACKS for name in alarms(stack)}
    assert len(names) > 50
    assert names - anchors.keys() == set(), "alarms without a section in docs/runbook.md"
    assert anchors.keys() - names == set(), "anchors in docs/runbook.md that no stack has an alarm for"


@pytest.mark.parametrize("stack", STACKS)
def test_every_alarm_links_to_its_own_section(stack: str) -> None:
    for name, inputs in alarms(stack).items():
        card = AlarmCard.parse(inputs["alarmDescription"])
        assert card.runbook.endswith(f"/docs/runbook.md#{name}"), name
        assert name.endswith(f"-{card.severity}"), name


def test_every_anchor_opens_a_section() -> None:
    assert [anchor for section in sections() for anchor in section.anchors] == _ANCHOR.findall(TEXT)


@pytest.mark.parametrize("section", sections(), ids=lambda section: section.anchors[0])
def test_every_section_has_its_five_parts(section: Section) -> None:
    parts = section.parts()
    assert tuple(name for name, _ in parts) == PARTS
    for name, text in parts:
        assert len(text) > 20, f"{name} says nothing"
    steps = [int(number) for number in re.findall(r"^(\d+)\. ", dict(parts)["Do"], re.MULTILINE)]
    assert steps == list(range(1, len(steps) + 1))
    assert len(steps) > 1


@pytest.mark.parametrize("section", sections(), ids=lambda section: section.anchors[0])
def test_a_section_tells_where_to_look_first(section: Section) -> None:
    look = dict(section.parts())["Look first"]
    assert re.search(r"[Ww]idget “|[Ss]aved query `|`python -m ops |\$ aws |X-Ray's group|the command above", look), (
        look
    )


def test_every_alarm_is_in_the_first_tables_under_its_severity() -> None:
    start = TEXT.index("### Which alarm, which section")
    tables = TEXT[start : TEXT.index("### Who is told of what")]
    pages, tickets = tables.split("Tickets, which wait")
    for anchor in _ANCHOR.findall(TEXT):
        here, there = (pages, tickets) if anchor.endswith("-page") else (tickets, pages)
        assert here.count(f"[{anchor}](#{anchor})") == 1, anchor
        assert f"(#{anchor})" not in there, anchor


def test_every_link_leads_somewhere() -> None:
    headings = re.findall(r"^#{1,3} (.+)$", without_fences(TEXT), re.MULTILINE)
    slugs = [re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings]
    places = {*_ANCHOR.findall(TEXT), *slugs}
    for target in re.findall(r"\]\(([^)]+)\)", TEXT):
        path, _, place = target.partition("#")
        if path:
            assert (RUNBOOK.parent / path).exists(), target
        else:
            assert place in places, target


@pytest.mark.parametrize("command", OPS)
def test_every_ops_command_exists_with_its_options(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "order.json").touch()
    parse(app, words(command)[3:])


@pytest.mark.parametrize("command", AWS)
def test_every_aws_command_exists_with_its_options(command: str) -> None:
    check_aws(command)


def test_every_output_named_exists() -> None:
    outputs = program("prod")[1]
    named = {*re.findall(r"\$\(out (\w+)\)", TEXT), *re.findall(r"`pulumi stack output (\w+)`", TEXT)}
    named |= set(re.findall(r"`(\w+(?:QueueArn|FunctionName))`", TEXT))
    assert len(named) > 10
    assert named - outputs.keys() == set()


def test_every_setting_named_exists() -> None:
    declared = re.findall(r"^  (\w+):$", (ROOT / "Pulumi.yaml").read_text(encoding="utf-8"), re.MULTILINE)
    asked = set(re.findall(r"pulumi config get (\w+)", TEXT))
    lists = re.findall(r"settings? ((?:`\w+`(?:, | and )?)+)", TEXT)
    asked |= {name for each in lists for name in re.findall(r"`(\w+)`", each)}
    assert len(asked) > 5
    assert asked <= set(declared)


def test_the_saved_queries_named_are_those_that_exist() -> None:
    made = {each.inputs["name"] for each in program("prod")[0].all("QueryDefinition")}
    named = set(re.findall(r"`mailroom/<stack>/([\w-]+)`", TEXT))
    assert named
    assert {f"mailroom/prod/{name}" for name in named} == made, "one that no section uses is one that nobody will find"


def test_every_dashboard_and_widget_named_exists() -> None:
    bodies = {
        each.inputs["dashboardName"]: json.loads(each.inputs["dashboardBody"])
        for each in program("prod")[0].all("Dashboard")
    }
    assert {f"mailroom-prod-{board}" for board in re.findall(r"`mailroom-<stack>-(\w+)`", TEXT)} <= bodies.keys()
    titles = {widget["properties"].get("title") for body in bodies.values() for widget in body["widgets"]}
    named = {" ".join(title.split()) for title in re.findall(r"“([^”]+)”", TEXT)}
    assert len(named) > 15
    assert named - titles == set()


def test_every_metric_named_exists() -> None:
    declared = {metric.name for metric in METRICS}
    asked = set(re.findall(r"^\|[^|]*\| `(\w+Misses)`", TEXT, re.M)) | set(re.findall(r"\(`(\w+)`\) \|", TEXT))
    assert len(asked) > 6
    assert asked <= declared


def test_the_table_of_burn_rates_is_what_the_objectives_are() -> None:
    assert burn_rows() == re.findall(r"^\| (?:[\w-]+) \| (?:fast|steady|slow) \|.*$", TEXT, re.MULTILINE)


def burn_rows() -> list[str]:
    """The table's rows as they have to be."""

    def span(seconds: int) -> str:
        return f"{seconds // HOUR} h" if seconds >= HOUR else f"{seconds // MINUTE} min"

    return [
        f"| {objective.name} | {burn.pace} | {float(burn.rate):g} x | {float(100 * threshold(objective, burn)):g} %"
        f" | {span(burn.long)}, {span(burn.short)} | {least_volume(objective, burn):,} | {burn.severity.value} |"
        for objective in OBJECTIVES
        for burn in objective.burns
    ]


def test_the_promises_are_the_objectives() -> None:
    table = TEXT[TEXT.index("## How promises are counted") :]
    for objective in OBJECTIVES:
        assert f"| {objective.promise} | `{objective.misses.name}` |" in table


def test_steps_that_say_from_step_n_find_it() -> None:
    """`[…](#anchor), from step 2` is of use only while that section has such a step."""
    steps = {anchor: dict(section.parts())["Do"] for section in sections() for anchor in section.anchors}
    found = re.findall(r"\(#([\w-]+)\),\s+(?:from )?step (\d+)", TEXT)
    assert found
    for anchor, number in found:
        assert re.search(rf"^{number}\. ", steps[anchor], re.MULTILINE), f"{anchor} has no step {number}"


def test_an_order_that_is_put_off_is_tried_as_often_as_it_says() -> None:
    queue = program("prod")[0].one("Queue", "mailroom-send-email")
    tries = queue.document("redrivePolicy")["maxReceiveCount"]
    waits = [backoff(count + 1) for count in range(tries)]
    longest = max(waits)
    *most, last = [str(wait) for wait in waits if wait < longest]
    text = " ".join(TEXT.split())
    assert f"Every order has {tries} tries." in text
    assert f"comes back after {', '.join(most)} and {last} seconds, then every {longest} seconds" in text
    assert f"its last try is {sum(waits[:-1]) // MINUTE} minutes after its first" in text
    assert f"after {sum(waits) // MINUTE} minutes it is in the dead-letter queue" in text
    hidden = int(queue.inputs["visibilityTimeoutSeconds"]) // MINUTE
    assert f"comes back every {hidden} minutes, and is there after {tries * hidden} minutes" in text
    assert f"tried every {hidden} minutes and given up after {tries * hidden} minutes" in text
    assert f"used up their {tries} tries" in text


def test_every_outcome_that_a_query_is_said_to_show_is_one_of_its_own() -> None:
    queries = {each.inputs["name"]: each.inputs["queryString"] for each in program("prod")[0].all("QueryDefinition")}
    shown = set(re.findall(r'"(\w+At)"', queries["mailroom/prod/bounces-by-reason"]))
    named = set(re.findall(r"`(\w+At)`", TEXT))
    assert "bouncedAt" in named
    assert named - shown == {"delayedAt"}, "which is to be put in"
    assert named <= set(Milestone)
