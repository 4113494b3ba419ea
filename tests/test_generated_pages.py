"""What docs/architecture.md and docs/cost.md are generated with: nothing of the program is left out, and it adds up."""

from __future__ import annotations

import re
from decimal import Decimal
from pathlib import Path

import pytest

import tests.architecture_page as architecture
from observability.bill import label
from observability.diagrams.graph import graph_of
from observability.diagrams.links import FUNCTION
from observability.diagrams.page import pictures
from observability.usage import read_usage
from tests.bill_page import USAGE, VOLUMES, bill_page, bills
from tests.recorded import STACKS, program, recording

READABLE = 25
"""Nodes of a picture, at most."""


@pytest.mark.parametrize("stack", STACKS)
def test_every_picture_is_small_enough_to_be_read(stack: str) -> None:
    drawn = pictures(recording(stack))
    assert drawn
    assert {each.heading: len(each.graph.nodes) for each in drawn if len(each.graph.nodes) > READABLE} == {}


@pytest.mark.parametrize("stack", STACKS)
def test_every_function_queue_topic_table_and_alarm_is_in_a_picture(stack: str) -> None:
    drawn = {
        (node.type, name) for each in pictures(recording(stack)) for node in each.graph.nodes for name in node.names
    }
    there = {(node.type, name) for node in graph_of(recording(stack)).nodes for name in node.names}
    assert there - drawn == set()
    assert len([type_ for type_, _ in there if type_ == FUNCTION]) > 6


def written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    page = tmp_path / "architecture.md"
    page.write_text(text, encoding="utf-8")
    monkeypatch.setattr(architecture, "PAGE", page)


def test_a_flow_without_a_place_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = architecture.PAGE.read_text(encoding="utf-8")
    written(tmp_path, monkeypatch, text.replace("generated: mailroom-cost-report", "generated no more"))
    with pytest.raises(ValueError, match="From schedule mailroom-cost-report"):
        architecture.architecture_page(recording("prod"))


def test_a_place_for_what_is_not_there_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = architecture.PAGE.read_text(encoding="utf-8")
    written(tmp_path, monkeypatch, f"{text}\n<!-- generated: gone -->\n<!-- end of gone -->\n")
    with pytest.raises(ValueError, match="'gone'"):
        architecture.architecture_page(recording("prod"))


def test_what_is_between_the_markers_is_written_anew_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = architecture.PAGE.read_text(encoding="utf-8")
    old = re.sub(r"(<!-- generated: \S+ -->\n).*?(<!-- end)", r"\1of yesterday\n\2", text, flags=re.DOTALL)
    assert "mermaid" not in old
    written(tmp_path, monkeypatch, old)
    assert architecture.architecture_page(recording("prod")) == text


def test_what_was_counted_is_of_resources_that_the_program_still_has() -> None:
    """A renamed resource would cost nothing: count anew (`make demo`), and copy build/usage.json."""
    there = {label(each) for each in recording("prod").resources}
    usage = read_usage(USAGE)
    counted = {each.resource for activity in usage.activities for each in activity.counts}
    counted |= {each.resource for activity in usage.activities for each in activity.points}
    assert counted - there == set()
    schedules = {each.name for each in recording("prod").all("Schedule")}
    assert {activity.schedule for activity in usage.activities} - {""} <= schedules


@pytest.mark.parametrize("stack", ["prod", "dev"])
@pytest.mark.parametrize("what", ["AWS service", "component"])
def test_each_table_of_costs_adds_up_to_the_bill(stack: str, what: str) -> None:
    page = bill_page([recording("prod"), recording("dev")])
    part = page[page.index(f"\n## {stack}\n") :]
    table = part[part.index(f"| {what} |") :].split("\n\n")[0].splitlines()[2:]
    cells = [[Decimal(cell.replace(",", "")) for cell in row.strip("| ").split(" | ")[1:]] for row in table]
    made = bills(recording(stack), read_usage(USAGE))
    for column, bill in zip(zip(*cells, strict=True), made, strict=True):
        assert abs(sum(column) - bill.total.month) <= Decimal("0.005") * len(column)
    assert "| the account |" not in part, "each line belongs to a component"


def test_the_middle_volume_is_what_prod_expects() -> None:
    assert VOLUMES[1] == int(program("prod")[1]["monitoringCost"]["emails"])
