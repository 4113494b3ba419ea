"""What every picture is painted with: colours for light and dark, SVG elements, and how wide a text is.

A picture is made once, in the light colours, which are used for nothing else; `recoloured` and `DARK_STYLE` make a dark
one of it. Text has to be broken and cut before it is drawn, as SVG does neither, so its width is reckoned from the
advances of Arial, with which Helvetica and Liberation Sans agree.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from html import escape
from math import isnan
from typing import Final

FONT: Final = "Arial, 'Liberation Sans', Helvetica, sans-serif"
MONO: Final = "'Liberation Mono', Menlo, Consolas, 'Courier New', monospace"

# Light and dark of each. Text keeps 4.5 to 1 against card and page, lines and marks 3 to 1 (WCAG 2.2, 1.4.3 and
# 1.4.11); frames and grids are decoration. tests/observability/test_render_paint.py holds them to it.
PAGE: Final = "#f3f5f8"
CARD: Final = "#fefefe"
FRAME: Final = "#d3d9e0"
GRID: Final = "#e7eaee"
INK: Final = "#161a20"
DIM: Final = "#545c68"
LINK: Final = "#0b60b8"
RAISED: Final = "#c4281c"
CALM: Final = "#1b7a10"
SUNK: Final = "#f0f2f6"
DARK: Final[dict[str, str]] = {
    PAGE: "#0e141c",
    CARD: "#18202b",
    FRAME: "#3b4655",
    GRID: "#2b3542",
    INK: "#e8ecf1",
    DIM: "#a7b1bf",
    LINK: "#74b3ff",
    RAISED: "#ff7a6b",
    CALM: "#66cc55",
    SUNK: "#222c39",
}
DARK_STYLE: Final = "".join(
    f'svg [{kind}="{light}"]{{{kind}:{dark}}}' for light, dark in DARK.items() for kind in ("fill", "stroke")
)
"""CSS rules that make a picture dark."""

_LIGHT = re.compile("|".join(DARK))

# Thousandths of the font's size (Liberation Sans, table hmtx), characters of one width together.
_ADVANCES: Final = {
    False: {
        191: "'",
        222: "ijl‘’",
        260: "|",
        278: " !,./:;I[\\]ft·",
        333: "()-`r“”{}",
        355: '"',
        389: "*°",
        469: "^",
        500: "Jcksvxyzç",
        584: "+<=>~×",
        611: "FTZß",
        667: "&ABEKPSVXYÄ",
        722: "CDHNRUwÜ",
        778: "GOQÖ",
        833: "Mm",
        889: "%",
        944: "W",
        1000: "…—→@",
    },
    True: {
        238: "'",
        278: " ,./I\\ijl·‘’|",
        333: "!()-:;[]`ft",
        389: "*r{}°",
        474: '"',
        500: "z“”",
        584: "+<=>^~×",
        611: "?FLTZbdghnopquöüß",
        667: "EPSVXY",
        722: "&ABCDHKNRUÄÜ",
        778: "GOQwÖ",
        833: "M",
        889: "%m",
        944: "W",
        1000: "…—→@",
    },
}
_WIDTHS = {bold: {char: width for width, chars in table.items() for char in chars} for bold, table in _ADVANCES.items()}
_DIGIT: Final = 556
"""Of digits and of most other letters."""
_WIDE: Final = 1000
"""Beyond Latin: East Asian letters and pictures are as wide as they are high."""
_MONO_ADVANCE: Final = 600
_LATIN: Final = "\u2000"


def width(text: str, size: float, *, bold: bool = False, mono: bool = False) -> float:
    """Pixels that a line of text takes."""
    if mono:
        return len(text) * size * _MONO_ADVANCE / 1000
    known = _WIDTHS[bold]
    return sum(known.get(char, _DIGIT if char < _LATIN else _WIDE) for char in text) * size / 1000


def cut(text: str, size: float, room: float, *, bold: bool = False, mono: bool = False) -> str:
    """The text, or as much of it as fits with an ellipsis."""
    if width(text, size, bold=bold, mono=mono) <= room:
        return text
    for end in range(len(text) - 1, 0, -1):
        shorter = text[:end].rstrip() + "…"
        if width(shorter, size, bold=bold, mono=mono) <= room:
            return shorter
    return "…"


def wrapped(text: str, size: float, room: float, *, bold: bool = False, mono: bool = False) -> list[str]:
    """The text in lines that fit; a word that is too long for one is broken."""
    lines: list[str] = []
    line = ""
    for word in _pieces(text.split(), size, room, bold=bold, mono=mono):
        longer = f"{line} {word}" if line else word
        if line and width(longer, size, bold=bold, mono=mono) > room:
            lines.append(line)
            line = word
        else:
            line = longer
    return [*lines, line] if line else lines


def _pieces(words: Iterable[str], size: float, room: float, *, bold: bool, mono: bool) -> Iterator[str]:
    for word in words:
        while len(word) > 1 and width(word, size, bold=bold, mono=mono) > room:
            end = next(
                end
                for end in range(len(word) - 1, 0, -1)
                if end == 1 or width(word[:end], size, bold=bold, mono=mono) <= room
            )
            yield word[:end]
            word = word[end:]  # noqa: PLW2901 - what is left of it
        yield word


# SVG


def tag(name: str, *inside: str, **attributes: object) -> str:
    """An element. `_` in an attribute's name stands for `-`, `__` for `:`; None leaves the attribute out."""
    listed = "".join(
        f' {key.replace("__", ":").replace("_", "-")}="{escape(_plain(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    return f"<{name}{listed}>{''.join(inside)}</{name}>" if inside else f"<{name}{listed}/>"


def text(
    words: str,
    x: float,
    y: float,
    size: float = 12,
    *,
    fill: str = INK,
    bold: bool = False,
    italic: bool = False,
    mono: bool = False,
    anchor: str | None = None,
    full: str | None = None,
) -> str:
    """A line of text on the baseline `y`. `full` is shown when it is pointed at, if the line was cut."""
    tip = [tag("title", escape(full))] if full is not None and full != words else []
    return tag(
        "text",
        *tip,
        escape(words),
        x=x,
        y=y,
        font_size=size,
        fill=fill,
        font_weight="bold" if bold else None,
        font_style="italic" if italic else None,
        font_family=MONO if mono else FONT,
        text_anchor=anchor,
        xml__space="preserve" if mono else None,
    )


def group(parts: Iterable[str], x: float = 0, y: float = 0) -> str:
    return tag("g", *parts, transform=f"translate({_plain(x)},{_plain(y)})" if x or y else None)


def recoloured(svg: str) -> str:
    """The dark version of a picture."""
    return _LIGHT.sub(lambda colour: DARK[colour[0]], svg)


def _plain(value: object) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)


# Numbers

_SUFFIXES: Final = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))


def number(value: float, *, full: bool = False) -> str:
    """A value as one reads it: three digits that count and a suffix (`12.3k`), or all of it (`12,345.678`)."""
    if isnan(value):
        return "–"
    if full:
        return f"{value:,.10g}"
    for unit, suffix in _SUFFIXES:
        # 999.6 is rounded to 1,000, which is 1k.
        if abs(value) >= unit * 0.9995:
            return f"{_digits(value / unit)}{suffix}"
    return _digits(value)


def _digits(value: float) -> str:
    return f"{float(f'{value:.3g}'):.10g}" if value else "0"


# Polylines


def runs(values: Sequence[float]) -> Iterator[range]:
    """The indices of values that follow one another without a gap."""
    first: int | None = None
    for index, value in enumerate([*values, float("nan")]):
        if isnan(value):
            if first is not None:
                yield range(first, index)
            first = None
        elif first is None:
            first = index
