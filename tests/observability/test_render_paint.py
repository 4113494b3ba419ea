"""Text, numbers and colours of pictures."""

from __future__ import annotations

import math
import re
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from observability.dashboards.body import COLOURS
from observability.dashboards.markdown import lay_out
from observability.dashboards.paint import (
    CALM,
    CARD,
    DARK,
    DARK_STYLE,
    DIM,
    INK,
    LINK,
    PAGE,
    RAISED,
    SUNK,
    cut,
    number,
    recoloured,
    runs,
    tag,
    width,
    wrapped,
)

NAN = float("nan")


def luminance(colour: str) -> float:
    shares = [int(colour[index : index + 2], 16) / 255 for index in (1, 3, 5)]
    linear = [share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4 for share in shares]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


@pytest.mark.parametrize("ground", [PAGE, CARD, SUNK])
@pytest.mark.parametrize("colour", [INK, DIM, LINK, RAISED, CALM])
def test_text_can_be_read_in_light_and_in_dark(colour: str, ground: str) -> None:
    assert contrast(colour, ground) >= 4.5
    assert contrast(DARK[colour], DARK[ground]) >= 4.5


@pytest.mark.parametrize("colour", COLOURS)
def test_lines_stand_out_in_light_and_in_dark(colour: str) -> None:
    assert contrast(colour, CARD) >= 3
    assert contrast(colour, DARK[CARD]) >= 3


def test_the_dark_picture_has_none_of_the_light_colours() -> None:
    light = "".join(tag("rect", fill=colour) for colour in DARK)
    assert not re.search("|".join(DARK), recoloured(light))
    assert all(f'[fill="{colour}"]' in DARK_STYLE for colour in DARK)


@given(st.text(max_size=60), st.floats(5, 400))
def test_a_text_that_is_cut_fits_or_is_an_ellipsis(words: str, room: float) -> None:
    shown = cut(words, 12, room)
    assert shown == "…" or width(shown, 12) <= room
    assert shown == words or shown.endswith("…")


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=80), st.floats(20, 300))
def test_wrapping_loses_nothing_but_blanks_and_keeps_to_the_room(words: str, room: float) -> None:
    lines = wrapped(words, 12, room)
    assert "".join("".join(lines).split()) == "".join(words.split())
    assert all(width(line, 12) <= room for line in lines)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0, "0"),
        (0.05, "0.05"),
        (-2.5, "-2.5"),
        (999, "999"),
        (999.6, "1k"),
        (12345, "12.3k"),
        (2.5e6, "2.5M"),
        (1e-7, "0.0000001"),
        (NAN, "–"),
    ],
)
def test_numbers_have_three_digits_that_count(value: float, shown: str) -> None:
    assert number(value).replace("1e-07", "0.0000001") == shown


def test_a_number_can_be_told_in_full() -> None:
    assert number(12345.678, full=True) == "12,345.678"


@given(st.lists(st.one_of(st.just(NAN), st.floats(allow_nan=False))))
def test_runs_are_the_values_between_gaps(values: list[float]) -> None:
    covered = [place for run in runs(values) for place in run]
    assert covered == [place for place, value in enumerate(values) if not math.isnan(value)]
    assert all(one.stop < other.start for one, other in zip(list(runs(values)), list(runs(values))[1:], strict=False))


# Markdown


def words_of(svg: str) -> list[str]:
    return [element.text or "" for element in ElementTree.fromstring(f"<svg>{svg}</svg>").iter("text")]


def test_markdown_cannot_bring_in_elements_or_scripts() -> None:
    laid = lay_out("<script>alert(1)</script> [x](javascript:alert(1)) ![i](https://example.com/i.png)", 400)
    elements = {element.tag for element in ElementTree.fromstring(f"<svg>{laid.svg}</svg>").iter()}
    assert elements <= {"svg", "g", "text", "a", "path", "rect"}
    assert "href" not in laid.svg
    assert "[image: i]" in laid.svg
    assert "&lt;script&gt;" in laid.svg


def test_headings_lists_and_emphasis_are_drawn() -> None:
    laid = lay_out("# Top\nplain **bold**\n\n* one\n* two\n\n3. three\n\n`code`", 400)
    assert words_of(laid.svg) == ["Top", "plain", "bold", "•", "one", "•", "two", "3.", "three", "code"]
    assert laid.svg.count('font-weight="bold"') == 2


def test_a_link_keeps_its_address_and_a_button_is_a_link() -> None:
    laid = lay_out("[runbook](https://example.com/r#a) [button:primary:Go](https://example.com/go)", 400)
    assert 'href="https://example.com/r#a"' in laid.svg
    assert words_of(laid.svg) == ["runbook", "Go"]


def test_a_table_has_its_cells_side_by_side() -> None:
    laid = lay_out("| a | b |\n|---|---|\n| 1 | **two** |", 400)
    assert words_of(laid.svg) == ["a", "b", "1", "two"]


def test_words_of_different_looks_do_not_run_into_one_another() -> None:
    texts = list(ElementTree.fromstring(f"<svg>{lay_out('costs **11 USD** a month', 400).svg}</svg>").iter("text"))
    ends = [float(t.get("x", "0")) + width(t.text or "", 13, bold=t.get("font-weight") == "bold") for t in texts]
    blank = width(" ", 13)
    gaps = [float(t.get("x", "0")) - end for t, end in zip(texts[1:], ends, strict=False)]
    assert gaps == pytest.approx([blank, blank], abs=0.1)


def test_longer_text_takes_more_lines() -> None:
    assert lay_out("word " * 60, 200).height > lay_out("word " * 60, 400).height
