"""The pages hang together: each is in an index, each link leads somewhere, and what they tell people to type exists."""

from __future__ import annotations

import re
import subprocess
from functools import cache
from pathlib import Path

import pytest

import observability.__main__ as toolkit
import ops.cli
import policies.commands
from local.config import ROOT
from local.demo import app as demo
from tests.commands import check_aws, commands, parse, without_fences, words

DOCS = ROOT / "docs"
PAGES = sorted([*DOCS.glob("*.md"), *(DOCS / "adr").glob("*.md"), ROOT / "local/FIDELITY.md", *ROOT.glob("*.md")])
TROUBLE = DOCS / "troubleshooting.md"

APPS = {"observability": toolkit.app, "ops": ops.cli.app, "policies": policies.commands.app, "local.demo": demo}


@cache
def places(page: Path) -> frozenset[str]:
    """What a link into a page can name: its headings as GitHub does, and anchors of its own."""
    text = page.read_text(encoding="utf-8")
    found: dict[str, int] = {}
    slugs = set()
    for heading in re.findall(r"^#{1,6} (.+)$", without_fences(text), re.MULTILINE):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower()
        slug = re.sub(r"[^\w -]", "", plain).replace(" ", "-")
        seen = found[slug] = found.get(slug, -1) + 1
        slugs.add(f"{slug}-{seen}" if seen else slug)
    return frozenset(slugs | set(re.findall(r'<a id="([^"]+)"></a>', text)))


def links(page: Path) -> list[str]:
    text = re.sub(r"`[^`\n]*`", "", without_fences(page.read_text(encoding="utf-8")))
    return [
        each for each in re.findall(r"\]\(([^)\s]+)\)", text) if not each.startswith(("https:", "http:", "mailto:"))
    ]


def dead(page: Path) -> list[str]:
    """The links of a page that lead nowhere, with what is wrong."""
    found = []
    for target in links(page):
        path, _, place = target.partition("#")
        there = (page.parent / path).resolve() if path else page
        if not there.exists():
            found.append(f"{target}: no such file")
        elif place and there.suffix == ".md" and place not in places(there):
            found.append(f"{target}: no such heading")
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_link_leads_to_a_file_and_a_heading(page: Path) -> None:
    assert dead(page) == []


def test_a_link_to_nothing_is_noticed(tmp_path: Path) -> None:
    there = tmp_path / "there.md"
    there.write_text("# One\n## Two words\n## One\n```\n# no heading\n```\n", encoding="utf-8")
    page = tmp_path / "page.md"
    page.write_text(
        "[a](there.md) [b](there.md#two-words) [c](there.md#one-1) [d](gone.md) [e](there.md#no-heading) [f](#here)\n"
        "[g](https://example.com/gone) `[h](code.md)`\n",
        encoding="utf-8",
    )
    assert dead(page) == ["gone.md: no such file", "there.md#no-heading: no such heading", "#here: no such heading"]


def test_every_page_is_in_the_index() -> None:
    listed = {(DOCS / target).resolve() for target in links(DOCS / "README.md")}
    assert {page for page in DOCS.rglob("*.md") if page.parent == DOCS} - listed == {DOCS / "README.md"}


def test_every_decision_is_in_the_index_of_decisions_by_its_title() -> None:
    rows = re.findall(
        r"^\| \[(\d{4})\]\((\S+)\) \| (.+) \|$", (DOCS / "adr/README.md").read_text("utf-8"), re.MULTILINE
    )
    pages = sorted(page for page in (DOCS / "adr").glob("*.md") if page.name != "README.md")
    assert [(number, name) for number, name, _ in rows] == [(page.name[:4], page.name) for page in pages]
    for page, (number, _, title) in zip(pages, rows, strict=True):
        heading = page.read_text(encoding="utf-8").partition("\n")[0]
        assert heading.startswith(f"# {number}. ")
        told, meant = (set(re.findall(r"\w+", text.lower())) for text in (title, heading))
        assert len(told & meant) > len(told) / 2, f"{page.name} is about something else than the index says"


TYPED = sorted(
    {
        command
        for page in (TROUBLE, DOCS / "architecture.md", DOCS / "cost.md")
        for command in commands(page.read_text("utf-8"))
    }
)


@pytest.mark.parametrize("command", [each for each in TYPED if each.startswith("python -m ")])
def test_every_command_of_ours_that_is_told_exists_with_its_options(command: str) -> None:
    module, *arguments = words(command)[2:]
    if module in APPS:
        parse(APPS[module], arguments)
    else:
        assert module in {"pytest", "tests.pin"}


@pytest.mark.parametrize("command", [each for each in TYPED if each.startswith("make ")])
def test_every_target_that_is_told_exists_and_takes_what_it_is_given(command: str) -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    target, *settings = words(command)[1:]
    assert re.search(rf"^{target}:.*##", makefile, re.MULTILINE)
    for name in (each.partition("=")[0] for each in settings):
        assert re.search(rf"\$\({name}\)|\$\(or \$\({name}\)", makefile), name


@pytest.mark.parametrize("command", [each for each in TYPED if each.startswith("aws ")])
def test_every_aws_command_that_is_told_exists_with_its_options(command: str) -> None:
    check_aws(command)


def test_trouble_has_a_cause_and_a_remedy_for_each_symptom() -> None:
    sections = re.split(r"^### ", TROUBLE.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
    assert len(sections) > 30
    for section in sections:
        symptom, _, told = section.partition("\n")
        assert re.search(r"`[^`]+`|\]\(", told), f"{symptom}: neither a command nor a page to turn to"
        assert len(told.split()) > 15, symptom


def test_the_change_that_the_example_reviews_can_be_made() -> None:
    subprocess.run(["git", "apply", "--check", "docs/review-example.patch"], cwd=ROOT, check=True)
