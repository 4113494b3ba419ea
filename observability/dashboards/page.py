"""A dashboard as a page and as a picture: its widgets in their places on CloudWatch's grid."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from html import escape
from typing import Final

import vl_convert

from observability.dashboards.body import COLUMNS, Widget, read_widgets, time_range
from observability.dashboards.lines import span as in_words
from observability.dashboards.paint import (
    CARD,
    DARK,
    DARK_STYLE,
    DIM,
    FONT,
    FRAME,
    INK,
    PAGE,
    cut,
    group,
    recoloured,
    tag,
    text,
    width,
)
from observability.dashboards.widgets import Painted, Setting, paint
from observability.errors import ToolkitError
from observability.model import Alarm, Dashboard, MetricAlarm, State
from observability.store import MetricStore

COLUMN: Final = 60
ROW: Final = 50
"""Pixels of a grid unit: about what the console makes of them in a window of 1440 pixels."""
GAP: Final = 8
MARGIN: Final = 16
HEADER: Final = 64
SCALE: Final = 2.0
"""Pixels of a PNG for each of the picture: text is read on screens of high density."""
MORE: Final = 20
NARROW: Final = 1000


@dataclass(frozen=True, slots=True)
class Rendering:
    """A dashboard that is drawn. The same input gives the same bytes.

    Attributes:
        start, end: what it shows, epoch seconds.
        widgets: in the order of the body.
    """

    name: str
    start: int
    end: int
    widgets: tuple[Painted, ...]

    def html(self) -> str:
        """A page that loads nothing from elsewhere, light or dark as its reader likes it. What does not fit into a
        widget is scrolled to."""
        return _PAGE.format(
            title=escape(self.name),
            range=escape(self._range()),
            style=_STYLE,
            widgets="\n".join(map(_figure, self.widgets)),
        )

    def svg(self, *, dark: bool = False) -> str:
        """The whole dashboard as one picture. What does not fit into a widget is cut, and a line says so."""
        wide = COLUMNS * COLUMN + 2 * MARGIN
        bottom = max((painted.widget.y + painted.widget.height for painted in self.widgets), default=0)
        high = HEADER + bottom * ROW + MARGIN
        parts = [
            tag("rect", width=wide, height=high, fill=PAGE),
            text(cut(self.name, 22, wide * 0.6, bold=True), MARGIN + 2, 40, 22, bold=True),
            text(self._range(), wide - MARGIN - 2, 40, 13, fill=DIM, anchor="end"),
        ]
        for number, painted in enumerate(self.widgets, 1):
            x, y = MARGIN + painted.widget.x * COLUMN, HEADER + painted.widget.y * ROW
            parts.append(group([_card(painted, number)], x + GAP / 2, y + GAP / 2))
        return _document(parts, wide, high, dark=dark)

    def png(self, *, dark: bool = False, scale: float = SCALE) -> bytes:
        """The whole dashboard as one PNG, `scale` pixels for each of the picture."""
        return vl_convert.svg_to_png(self.svg(dark=dark), scale=scale)

    def widget_pngs(self, *, dark: bool = False, scale: float = SCALE) -> Iterator[tuple[Widget, bytes]]:
        """Each widget that has a title, alone."""
        for number, painted in enumerate(self.widgets, 1):
            if painted.widget.title:
                wide, high = _size(painted.widget)
                frame = tag("rect", width=wide + 2 * GAP, height=high + 2 * GAP, fill=PAGE)
                parts = [frame, group([_card(painted, number)], GAP, GAP)]
                svg = _document(parts, wide + 2 * GAP, high + 2 * GAP, dark=dark)
                yield painted.widget, vl_convert.svg_to_png(svg, scale=scale)

    def _range(self) -> str:
        first, last = (datetime.fromtimestamp(at, UTC) for at in (self.start, self.end))
        form = "%-d %B %Y, %H:%M"
        return f"{first:{form}} – {last:{form}} UTC ({in_words(self.end - self.start)})"


def render(
    dashboard: Dashboard,
    store: MetricStore,
    *,
    end: int,
    span: int | None = None,
    alarms: Iterable[Alarm] = (),
    states: Mapping[str, State] | None = None,
) -> Rendering:
    """Draw a dashboard as the console would show it at `end`.

    Args:
        end: epoch seconds of "now".
        span: seconds to show before `end`; without it the range that the body says.
        alarms: for graphs that draw one.
        states: of alarms by name; one that is not here is shown as not evaluated.

    Raises:
        ToolkitError: CloudWatch would refuse the body.
    """
    where = f"dashboard {dashboard.name}"
    if span is not None and span <= 0:
        raise ToolkitError(f"{where}: it should show {span} seconds, allowed is anything above 0")
    start, end_shown = (end - span, end) if span else (time_range(dashboard.body, where, end) or (end, end))
    setting = Setting(
        store=store,
        start=start,
        end=end_shown,
        now=end,
        alarms={alarm.name: alarm for alarm in alarms if isinstance(alarm, MetricAlarm)},
        states=states or {},
    )
    painted = tuple(paint(widget, setting, *_size(widget)) for widget in read_widgets(dashboard))
    return Rendering(dashboard.name, start, end_shown, painted)


def _size(widget: Widget) -> tuple[int, int]:
    return widget.width * COLUMN - GAP, widget.height * ROW - GAP


# The picture


def _card(painted: Painted, number: int) -> str:
    wide, high = _size(painted.widget)
    inside = painted.svg
    parts = []
    if painted.has_card:
        parts.append(tag("rect", x=0.5, y=0.5, width=wide - 1, height=high - 1, rx=8, fill=CARD, stroke=FRAME))
    cut_off = painted.height > high + 1
    if cut_off:
        clip = f"w{number}-card"
        parts.append(tag("clipPath", tag("rect", width=wide, height=high - MORE), id=clip))
        parts.append(tag("g", inside, clip_path=f"url(#{clip})"))
        parts.append(_more(wide, high))
    else:
        parts.append(inside)
    return group(parts)


def _more(wide: int, high: int) -> str:
    words = "more below, scrolled to in the console"
    x = wide / 2 - width(words, 11) / 2
    arrow = tag("path", d="M0 0H8L4 5Z", fill=DIM, transform=f"translate({x - 14:g},{high - 12})")
    rule = tag("path", d=f"M1 {high - MORE}H{wide - 1}", stroke=FRAME, fill="none")
    return group([rule, arrow, text(words, x, high - 6, 11, fill=DIM)])


def _document(parts: Iterable[str], wide: float, high: float, *, dark: bool) -> str:
    svg = tag("svg", *parts, xmlns="http://www.w3.org/2000/svg", width=wide, height=high, viewBox=f"0 0 {wide} {high}")
    return recoloured(svg) if dark else svg


# The page


def _figure(painted: Painted) -> str:
    widget = painted.widget
    wide, high = _size(widget)
    tall = max(painted.height, high)
    place = f"grid-column:{widget.x + 1}/span {widget.width};grid-row:{widget.y + 1}/span {widget.height}"
    svg = tag(
        "svg",
        tag("title", escape(painted.summary or widget.kind)),
        painted.svg,
        viewBox=f"0 0 {wide} {tall:g}",
        width=wide,
        height=tall,
        role="group",
    )
    kind = "card" if painted.has_card else "bare"
    # What has to be scrolled can be reached by keyboard.
    scrolled = ' tabindex="0"' if painted.height > high + 1 else ""
    return f'<figure class="{kind}" style="{place}"{scrolled}>{svg}</figure>'


_STYLE: Final = (
    f":root{{color-scheme:light dark;background:{PAGE};color:{INK};font-family:{FONT}}}"
    f"body{{margin:0 auto;padding:{MARGIN}px;max-width:{COLUMNS * COLUMN}px}}"
    "header{display:flex;flex-wrap:wrap;justify-content:space-between;align-items:baseline;gap:4px 24px;"
    "margin:4px 4px 16px}"
    f"h1{{font-size:22px;margin:0}}p{{font-size:13px;margin:0;color:{DIM}}}"
    f"figure{{margin:{GAP // 2}px;overflow:hidden auto;box-sizing:border-box}}"
    f".card{{background:{CARD};border-radius:8px;box-shadow:inset 0 0 0 1px {FRAME}}}"
    "svg{display:block}svg a:hover text{text-decoration:underline}"
    # Below the least width in which text is read, widgets stand below one another, each as it is.
    f"@media(max-width:{NARROW - 1}px){{figure{{margin:8px 0;overflow:auto}}}}"
    f"@media(min-width:{NARROW}px){{figure>svg{{width:100%;height:auto}}"
    f"main{{display:grid;grid-template-columns:repeat({COLUMNS},1fr);grid-auto-rows:calc(min(100vw - {2 * MARGIN}px,"
    f"{COLUMNS * COLUMN}px)/{COLUMNS * COLUMN}*{ROW})}}}}"
    f"@media(prefers-color-scheme:dark){{:root{{background:{DARK[PAGE]};color:{DARK[INK]}}}p{{color:{DARK[DIM]}}}"
    f".card{{background:{DARK[CARD]};box-shadow:inset 0 0 0 1px {DARK[FRAME]}}}{DARK_STYLE}}}"
)

_PAGE: Final = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
<header><h1>{title}</h1><p>{range}</p></header>
<main>
{widgets}
</main>
</body>
</html>
"""
