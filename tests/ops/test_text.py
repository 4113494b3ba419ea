"""What is shown neither gives addresses away nor lets foreign text steer the terminal."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ops.text import duration, harmless, mask, snippet


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("leonie.kohler@example.com", "l***@example.com"),
        ('{"customerEmail": "o\'brien@example.org"}', '{"customerEmail": "o***@example.org"}'),
        ("<a@b.example>, c+d@e.example", "<a***@b.example>, c***@e.example"),
        ("jürgen@bücher.example", "j***@bücher.example"),
        ('{"customerEmail": "someone(at)example.com"}', '{"customerEmail": "s***"}'),
        ("customerEmail 'someone(at)example.com': is odd", "customerEmail 's***': is odd"),
        ("no address here", "no address here"),
    ],
)
def test_addresses_are_masked(text: str, masked: str) -> None:
    assert mask(text) == masked


@given(st.text().filter(lambda text: "@" not in text and "customerEmail" not in text))
def test_what_stands_around_an_address_stays(around: str) -> None:
    assert mask(f"{around} leonie@example.com {around}") == f"{around} l***@example.com {around}"


@given(st.text())
def test_harmless_text_has_no_character_that_a_terminal_obeys(text: str) -> None:
    shown = harmless(text)
    assert not [c for c in shown if not c.isprintable() and c != "\u200d" and not c.isspace()]
    assert not set(shown) & set("\x1b\x07\x9b\r\n\u2028\u202e\u2066")


def test_a_snippet_is_masked_before_it_is_cut() -> None:
    assert "leonie" not in snippet("x" * 50 + " leonie@example.com", width=60)


@pytest.mark.parametrize(
    ("length", "words"),
    [
        (timedelta(0), "0 ms"),
        (timedelta(milliseconds=85), "85 ms"),
        (timedelta(seconds=1.2), "1.20 s"),
        (timedelta(seconds=245), "4 min 05 s"),
        (timedelta(hours=2, minutes=3, seconds=4), "2 h 03 min"),
        (timedelta(days=3, hours=4, minutes=59), "3 d 04 h"),
        (timedelta(seconds=-2), "-2.00 s"),
    ],
)
def test_durations_have_two_units_at_most(length: timedelta, words: str) -> None:
    assert duration(length) == words
