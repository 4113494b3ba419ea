"""Markdown as lines of SVG text: what text widgets use of it (CloudWatch's user guide, "Add or remove a text widget").

Nothing is fetched: an image is named, not shown.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from markdown_it import MarkdownIt
from markdown_it.token import Token

from observability.dashboards.paint import DIM, FRAME, INK, LINK, SUNK, group, tag, text, width

BODY_SIZE: Final = 13
HEADINGS: Final = {"h1": 22, "h2": 17, "h3": 15}
SMALLEST_HEADING: Final = 13
LEADING: Final = 1.45
INDENT: Final = 18
PARAGRAPH_GAP: Final = 5
BASELINE: Final = 1.05
"""From a line's top down to where its letters stand, in sizes of the font."""

_BUTTON = re.compile(r"\[button:(?:primary:)?([^\]]*)\](?=\()")
"""A link that the console draws as a button: `[button:primary:Read](address)`."""
_SPACES = re.compile(r"(\s+)")
_PARSER = MarkdownIt("commonmark", {"html": False}).enable("table")


@dataclass(frozen=True, slots=True)
class _Style:
    size: float = BODY_SIZE
    bold: bool = False
    italic: bool = False
    mono: bool = False
    href: str = ""


@dataclass(frozen=True, slots=True)
class _Word:
    """A word or the blank between two; `breaks` is a line break."""

    text: str
    style: _Style
    breaks: bool = False

    @property
    def width(self) -> float:
        return width(self.text, self.style.size, bold=self.style.bold, mono=self.style.mono)


@dataclass(frozen=True, slots=True)
class Laid:
    """What was laid out: SVG from the top left corner, `height` pixels high, and its words alone."""

    svg: str
    height: float
    words: str = ""


def lay_out(markdown: str, room: float) -> Laid:
    """Markdown in lines of `room` pixels."""
    column = _Column(room)
    for token in _PARSER.parse(_BUTTON.sub(r"[\1]", markdown)):
        column.take(token)
    # The last paragraph has no other to keep away from.
    return Laid(group(column.parts), max(column.y - PARAGRAPH_GAP, 0), " ".join(" ".join(column.words).split()))


class _Column:
    """Blocks of text below one another."""

    def __init__(self, room: float) -> None:
        self.parts: list[str] = []
        self.words: list[str] = []
        self.y = 0.0
        self._room = room
        self._indent = 0.0
        self._lists: list[int | None] = []
        """Of the lists that are open, the number of the next item; None in one without numbers."""
        self._marker = ""
        self._head = ""
        self._table: list[list[Sequence[Token]]] | None = None

    def take(self, token: Token) -> None:
        kind = token.type
        if kind in ("bullet_list_open", "ordered_list_open", "blockquote_open"):
            self._indent += INDENT
        elif kind in ("bullet_list_close", "ordered_list_close", "blockquote_close"):
            self._indent -= INDENT
        if handle := getattr(self, f"_{kind}", None):
            handle(token)

    def _bullet_list_open(self, _: Token) -> None:
        self._lists.append(None)

    def _ordered_list_open(self, token: Token) -> None:
        self._lists.append(int(token.attrGet("start") or 1))

    def _bullet_list_close(self, _: Token) -> None:
        self._lists.pop()
        self.y += 0 if self._lists else PARAGRAPH_GAP

    _ordered_list_close = _bullet_list_close

    def _list_item_open(self, _: Token) -> None:
        count = self._lists[-1]
        self._marker = "•" if count is None else f"{count}."
        self._lists[-1] = None if count is None else count + 1

    def _heading_open(self, token: Token) -> None:
        self._head = token.tag
        self.y += PARAGRAPH_GAP if self.y else 0

    def _heading_close(self, _: Token) -> None:
        self._head = ""

    def _hr(self, _: Token) -> None:
        self.parts.append(tag("path", d=f"M0 {self.y + 6:g}H{self._room:g}", stroke=FRAME, fill="none"))
        self.y += 14

    def _fence(self, token: Token) -> None:
        self.words.append(token.content)
        self._put(_code(token.content.rstrip("\n"), self._room - self._indent))

    _code_block = _fence

    def _table_open(self, _: Token) -> None:
        self._table = []

    def _tr_open(self, _: Token) -> None:
        if self._table is not None:
            self._table.append([])

    def _table_close(self, _: Token) -> None:
        self._put(_table(self._table or [], self._room - self._indent))
        self._table = None

    def _inline(self, token: Token) -> None:
        children = token.children or []
        self.words.append("".join(child.content or " " for child in children))
        if self._table is not None:
            self._table[-1].append(children)
            return
        style = _Style(HEADINGS.get(self._head, SMALLEST_HEADING), bold=True) if self._head else _Style()
        if self._marker:
            at = self.y + style.size * BASELINE
            self.parts.append(text(self._marker, self._indent - 6, at, style.size, fill=DIM, anchor="end"))
            self._marker = ""
        self._put(_flow(list(_words(children, style)), self._room - self._indent), 2 if self._lists else PARAGRAPH_GAP)

    def _put(self, laid: Laid, gap: float = 5) -> None:
        self.parts.append(group([laid.svg], self._indent, self.y))
        self.y += laid.height + gap


def _words(tokens: Iterable[Token], base: _Style) -> Iterator[_Word]:
    style = base
    for token in tokens:
        kind = token.type
        if kind == "strong_open":
            style = replace(style, bold=True)
        elif kind == "strong_close":
            style = replace(style, bold=base.bold)
        elif kind in ("em_open", "em_close"):
            style = replace(style, italic=kind == "em_open")
        elif kind == "link_open":
            style = replace(style, href=str(token.attrGet("href") or ""))
        elif kind == "link_close":
            style = replace(style, href="")
        elif kind == "hardbreak":
            yield _Word("", style, breaks=True)
        elif kind == "softbreak":
            yield _Word(" ", style)
        else:
            look = replace(style, mono=True, size=style.size - 1) if kind == "code_inline" else style
            words = f"[image: {token.content}]" if kind == "image" else token.content
            yield from (_Word(piece if piece.strip() else " ", look) for piece in _SPACES.split(words) if piece)


def _flow(words: Sequence[_Word], room: float) -> Laid:
    """Words in lines; words of one style that follow one another are one text."""
    lines: list[list[_Word]] = [[]]
    used = 0.0
    for word in words:
        blank = word.text == " "
        if word.breaks or (used + word.width > room and lines[-1] and not blank):
            lines.append([])
            used = 0.0
        if word.breaks or (blank and not lines[-1]):
            continue
        lines[-1].append(word)
        used += word.width
    parts: list[str] = []
    y = 0.0
    for line in lines:
        size = max((word.style.size for word in line), default=BODY_SIZE)
        x = 0.0
        for style, run in _styled(line):
            # SVG drops the blanks at the ends of a text.
            lead = len(run) - len(run.lstrip())
            drawn = text(
                run.strip(),
                x + width(" " * lead, style.size, bold=style.bold, mono=style.mono),
                y + size * BASELINE,
                style.size,
                fill=LINK if style.href else INK,
                bold=style.bold,
                italic=style.italic,
                mono=style.mono,
            )
            if run.strip():
                parts.append(tag("a", drawn, href=style.href) if style.href else drawn)
            x += width(run, style.size, bold=style.bold, mono=style.mono)
        y += size * LEADING
    return Laid(group(parts), y)


def _styled(line: Sequence[_Word]) -> Iterator[tuple[_Style, str]]:
    words = list(line)
    while words and words[-1].text == " ":
        words.pop()
    run = ""
    for index, word in enumerate(words):
        run += word.text
        if index + 1 == len(words) or words[index + 1].style != word.style:
            yield word.style, run
            run = ""


def _code(content: str, room: float) -> Laid:
    lines = content.split("\n")
    size, high = 12, len(lines) * 12 * LEADING + 10
    box = tag("rect", width=room, height=high, rx=4, fill=SUNK)
    shown = (text(line, 8, 17 + row * size * LEADING, size, mono=True) for row, line in enumerate(lines))
    return Laid(group([box, *shown]), high)


def _table(rows: Sequence[Sequence[Sequence[Token]]], room: float) -> Laid:
    """Cells in columns as wide as their content, all narrower where that is too wide."""
    cells_by_row = [
        [list(_words(cell, _Style(bold=number == 0))) for cell in row] for number, row in enumerate(rows) if row
    ]
    columns = max((len(row) for row in cells_by_row), default=0)
    widths = [
        max(sum(w.width for w in row[i]) if i < len(row) else 0 for row in cells_by_row) + 16 for i in range(columns)
    ]
    squeeze = min(1.0, room / sum(widths)) if widths else 1.0
    widths = [each * squeeze for each in widths]
    parts: list[str] = []
    y = 0.0
    for row in cells_by_row:
        flowed = [_flow(words, wide - 12) for words, wide in zip(row, widths, strict=False)]
        x = 0.0
        for cell, wide in zip(flowed, widths, strict=False):
            parts.append(group([cell.svg], x, y + 3))
            x += wide
        y += max((cell.height for cell in flowed), default=0) + 6
        parts.append(tag("path", d=f"M0 {y:g}H{sum(widths):g}", stroke=FRAME, fill="none"))
    return Laid(group(parts), y)
