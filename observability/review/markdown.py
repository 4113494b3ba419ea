"""Markdown as GitHub reads it, in which nothing that comes from a program can be anything but text."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from typing import Final

LONGEST: Final = 100
"""Characters of a value that are shown; of a longer one the middle is left out."""

ELLIPSIS: Final = " … "

_SPECIAL: Final = re.compile(r"([\\`*_{}\[\]<>#|~&@])")


def visible(value: str) -> str:
    """`value` in one line, with characters that cannot be seen (or that turn the direction of text) spelt out."""
    return "".join(_spelt(letter) for letter in " ".join(value.splitlines()))


def shortened(value: str, longest: int = LONGEST) -> str:
    """`value` without its middle, if it is longer than that."""
    if len(value) <= longest:
        return value
    tail = (longest - len(ELLIPSIS)) // 3
    return value[: longest - len(ELLIPSIS) - tail] + ELLIPSIS + value[-tail:]


def code(value: str, longest: int = LONGEST) -> str:
    """`value` as code, for a sentence or a cell of a table: no markup in it is read."""
    shown = shortened(visible(value), longest)
    if not shown.strip():
        return "(empty)"
    fence = "`" * (_longest_run(shown) + 1)
    space = " " if shown.startswith("`") or shown.endswith("`") else ""
    # In a table a pipe ends a cell, inside code too; there, and only there, GitHub takes the backslash away.
    return f"{fence}{space}{shown}{space}{fence}"


def escaped(words: str) -> str:
    """Words of a program, in a sentence: nothing in them is markup, names nobody and links nowhere."""
    return _SPECIAL.sub(r"\\\1", visible(words)).replace("://", ":\\//")


def block(text: str) -> str:
    """Several lines, as they are."""
    fence = "`" * max(3, _longest_run(text) + 1)
    lines = ("".join(_spelt(letter) for letter in line) for line in text.splitlines())
    return f"{fence}text\n" + "\n".join(lines) + f"\n{fence}"


def table(headings: Sequence[str], rows: Iterable[Sequence[str]], *, right: Iterable[int] = ()) -> str:
    """A table; the columns `right` are numbers. The cells are Markdown."""
    aligned = {*right}
    rule = ["--:" if index in aligned else "---" for index in range(len(headings))]
    lines = [headings, rule, *([_cell(cell) for cell in row] for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def folded(summary: str, body: str) -> str:
    """Something that is opened by a click; `summary` is Markdown in one line."""
    # GitHub reads Markdown inside HTML only after a blank line; in the summary itself it reads none.
    return f"<details>\n<summary>{_in_html(summary)}</summary>\n\n{body}\n\n</details>"


def listed(items: Iterable[str], *, most: int | None = None, indent: int = 0) -> str:
    """A list; what is beyond `most` is folded away."""
    lines = [f"{' ' * indent}- {item}" for item in items]
    if most is None or len(lines) <= most + 1:
        return "\n".join(lines)
    rest = "\n".join(lines[most:])
    return "\n".join(lines[:most]) + "\n\n" + folded(f"{len(lines) - most} more", rest)


def many(count: int, what: str, plural: str = "") -> str:
    """`1 alarm`, `2 alarms`."""
    return f"{count:,} {what if count == 1 else plural or what + 's'}"


def enumerated(names: Sequence[str], joint: str = "and") -> str:
    """`a, b and c`."""
    return f" {joint} ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def _cell(markdown: str) -> str:
    return re.sub(r"(?<!\\)\|", r"\\|", markdown)


def _in_html(markdown: str) -> str:
    """The little of Markdown that summaries use, as HTML."""
    parts = re.split(r"(`+)(.+?)\1(?!`)", markdown)
    text = ""
    for at, part in enumerate(parts):
        match at % 3:
            case 0:
                text += re.sub(r"\\([^\w\s])", r"\1", _html(part))
            case 2:
                text += f"<code>{_html(part.strip())}</code>"
    return re.sub(r"\*\*(.+?)\*\*", r"<b>\1</b>", text)


def _html(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _spelt(letter: str) -> str:
    hidden = unicodedata.category(letter) in {"Cc", "Cf", "Co", "Cs", "Zl", "Zp"} and letter != "\t"
    return f"\\u{ord(letter):04x}" if hidden else letter


def _longest_run(text: str) -> int:
    return max((len(run) for run in re.findall(r"`+", text)), default=0)
