"""How things read: addresses masked, durations and times short, foreign text made harmless. Pure."""

from __future__ import annotations

import re
import unicodedata
from datetime import datetime, timedelta

_WORD = r"""[^\s"<>(),;:@]"""
# Wider than any address: what only looks like one is masked as well. Linear in the text's length.
_ADDRESS = re.compile(rf"(?<!{_WORD})('*+)({_WORD}){_WORD}*+@([^\s\"'<>(),;:@]+)")
# One that was refused for its form may have no @; then the field that it is in gives it away.
_MALFORMED = re.compile(r"""(customerEmail(?:"\s*:\s*|\s+)(["']))(?!\w\*\*\*@)([^"'])[^"']*\2""")
_JOINER = "\u200d"  # holds an emoji together


def mask(text: str) -> str:
    """`text` with the local part of each address hidden but for its first character: `l***@example.com`."""
    masked = _ADDRESS.sub(r"\1\2***@\3", text)
    return _MALFORMED.sub(r"\1\3***\2", masked)


def harmless(text: str) -> str:
    """`text` on one line, without what could steer a terminal: control characters and reordering marks become
    `·`."""
    return "".join("·" if _steers(character) else character for character in text)


def _steers(character: str) -> bool:
    category = unicodedata.category(character)
    return (category.startswith("C") or category in {"Zl", "Zp"}) and character != _JOINER


def snippet(text: str, width: int = 60, *, masked: bool = True) -> str:
    """The beginning of `text`, harmless, with its addresses masked unless told otherwise."""
    # Masked before it is cut, lest the cut hide the sign by which an address is known.
    line = harmless(text[: 10 * width])
    line = mask(line) if masked else line
    return line if len(line) <= width else line[: width - 1] + "…"


def duration(length: timedelta) -> str:
    """A length of time in at most two units: `85 ms`, `1.20 s`, `4 min 05 s`, `2 h 03 min`, `3 d 04 h`."""
    seconds = length.total_seconds()
    if seconds < 0:
        return f"-{duration(-length)}"
    if seconds < 1:
        return f"{round(seconds * 1000)} ms"
    if seconds < 60:
        return f"{seconds:.2f} s"
    minutes = int(seconds // 60)
    if minutes < 60:
        return f"{minutes} min {int(seconds % 60):02} s"
    if minutes < 24 * 60:
        return f"{minutes // 60} h {minutes % 60:02} min"
    return f"{minutes // 1440} d {minutes // 60 % 24:02} h"


def between(start: str, end: str) -> timedelta:
    """From one ledger timestamp to another."""
    return datetime.fromisoformat(end) - datetime.fromisoformat(start)


def clock(timestamp: str) -> str:
    """A ledger timestamp as a person reads it: `2026-11-22 15:06:01.123`, in UTC."""
    return timestamp.replace("T", " ").removesuffix("Z")
