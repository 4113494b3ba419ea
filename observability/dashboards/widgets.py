"""Widgets drawn: what stands inside each, from its properties, a metric store and states of alarms."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from observability.dashboards.body import Widget, read_graph, time_range
from observability.dashboards.lines import lines_of
from observability.dashboards.markdown import lay_out
from observability.dashboards.paint import (
    CALM,
    DIM,
    RAISED,
    SUNK,
    cut,
    group,
    number,
    tag,
    text,
    width,
    wrapped,
)
from observability.dashboards.views import VIEWS, Inside, Seen
from observability.errors import ToolkitError
from observability.model import MetricAlarm, State, alarm_name
from observability.store import MetricStore

PADDING: Final = 14
TEXT_PADDING: Final = 8
"""Above and below a text, which may be one line in a widget of the least height."""
TITLE_SIZE: Final = 14
TITLE_HEIGHT: Final = 34
CARDLESS: Final = "transparent"


@dataclass(frozen=True, slots=True)
class Setting:
    """What every widget of a dashboard is drawn with; times are epoch seconds.

    Attributes:
        alarms: by name, for graphs that draw an alarm.
        states: by name, for widgets that show states.
    """

    store: MetricStore
    start: int
    end: int
    now: int
    alarms: Mapping[str, MetricAlarm]
    states: Mapping[str, State]


@dataclass(frozen=True, slots=True)
class Painted:
    """A widget's inside, without its card.

    Attributes:
        svg: in the light colours, from the card's top left corner.
        height: pixels that it takes; more than the card has is scrolled to.
        summary: what it shows, in words, for who cannot see it.
        empty: labels of the lines that have no data.
    """

    widget: Widget
    svg: str
    height: float
    summary: str
    empty: tuple[str, ...] = ()

    @property
    def has_card(self) -> bool:
        return self.widget.properties.get("background") != CARDLESS


@dataclass(frozen=True, slots=True)
class _Place:
    """A widget, and the pixels that there are for its inside."""

    widget: Widget
    setting: Setting
    wide: float
    high: float


def paint(widget: Widget, setting: Setting, wide: int, high: int) -> Painted:
    """Draw a widget into `wide` by `high` pixels.

    What is not drawn here, and what cannot be computed, is said in its place: one widget does not keep the others from
    being looked at.

    Raises:
        ToolkitError: CloudWatch would refuse the widget.
    """
    edge = TEXT_PADDING if widget.kind == "text" else PADDING
    top = TITLE_HEIGHT if widget.title else edge
    room = wide - 2 * PADDING
    inside = _KINDS.get(widget.kind, _unknown)(_Place(widget, setting, room, high - top - edge))
    title = text(cut(widget.title, TITLE_SIZE, room, bold=True), PADDING, 23, TITLE_SIZE, bold=True, full=widget.title)
    svg = group([title if widget.title else "", group([inside.svg], PADDING, top)])
    summary = ": ".join(part for part in (widget.title, inside.summary) if part)
    return Painted(widget, svg, top + inside.height + edge, summary, inside.empty)


def _text(place: _Place) -> Inside:
    laid = lay_out(str(place.widget.properties.get("markdown") or ""), place.wide)
    return Inside(laid.svg, laid.height, laid.words)


def _log(place: _Place) -> Inside:
    """The query, command by command. There is nothing here that could answer it."""
    note = "The query of this widget. Its rows are not drawn: that needs the logs."
    commands = [each.strip() for each in str(place.widget.properties.get("query") or "").split("|")]
    lines = []
    for index, each in enumerate(commands):
        broken = wrapped(f"| {each}" if index else each, 12, place.wide - 44, mono=True)
        lines += [(12 if first == 0 else 40, line) for first, line in enumerate(broken)]
    box = len(lines) * 18 + 16
    parts = [
        text(cut(note, 12, place.wide), 0, 12, 12, fill=DIM),
        tag("rect", y=24, width=place.wide, height=box, rx=4, fill=SUNK),
        *(text(line, x, 45 + row * 18, 12, mono=True) for row, (x, line) in enumerate(lines)),
    ]
    return Inside(group(parts), 24 + box, "a query of logs, whose rows are not drawn")


def _unknown(place: _Place) -> Inside:
    return _notice(f"A widget of type {place.widget.kind or '(none)'} is not drawn here.", place)


def _notice(words: str, place: _Place) -> Inside:
    """A sentence instead of a picture."""
    lines = [line for each in words.splitlines() for line in wrapped(each, 13, place.wide * 0.9)]
    top = max((place.high - len(lines) * 20) / 2, 0)
    parts = [
        text(line, place.wide / 2, top + 14 + row * 20, 13, fill=DIM, anchor="middle") for row, line in enumerate(lines)
    ]
    return Inside(group(parts), len(lines) * 20, words)


# Alarms


@dataclass(frozen=True, slots=True)
class _Look:
    """How alarms in a state are shown: by a word, a colour and a shape of 10 by 10 pixels."""

    state: State | None
    word: str
    colour: str
    shape: str


_LOOKS: Final = (
    _Look(State.ALARM, "In alarm", RAISED, "M5 0L10 9H0Z"),
    _Look(State.INSUFFICIENT_DATA, "Insufficient data", DIM, "M0 3.5H10V6.5H0Z"),
    _Look(State.OK, "OK", CALM, "M1.2 3.6L4 6.4L8.8 1L10 2.2L4 9L0 5Z"),
    _Look(None, "Not evaluated", DIM, "M3 3H7V7H3Z"),
)
TILE_WIDTH: Final = 225
TILE_ROW: Final = 22
TILE_SIZE: Final = 11
_BEFORE_NAME: Final = 23


def _alarm(place: _Place) -> Inside:
    """Alarms by state, those that need somebody first."""
    properties, known = place.widget.properties, place.setting.states
    names = [alarm_name(str(reference)) for reference in properties.get("alarms") or ()]
    wanted = properties.get("states") or [look.state for look in _LOOKS]
    columns = max(int(place.wide // TILE_WIDTH), 1)
    each = place.wide / columns
    shown = _shortened(names, each - 6 - _BEFORE_NAME - 4)
    parts: list[str] = []
    counts: list[str] = []
    y = 0
    for look in _LOOKS:
        members = [name for name in names if known.get(name) is look.state]
        if not members or look.state not in wanted:
            continue
        counts.append(f"{len(members)} {look.word}")
        parts.append(text(f"{look.word} ({len(members)})", 0, y + 14, 12, fill=look.colour, bold=True))
        y += TILE_ROW
        for index, name in enumerate(members):
            row, column = divmod(index, columns)
            tile = [
                tag("rect", width=each - 6, height=TILE_ROW - 3, rx=3, fill=SUNK),
                tag("path", d=look.shape, transform="translate(7,5)", fill=look.colour),
                text(shown[name], _BEFORE_NAME, 13.5, TILE_SIZE, full=name),
            ]
            parts.append(group(tile, column * each, y + row * TILE_ROW))
        y += -(-len(members) // columns) * TILE_ROW + 4
    if not counts:
        return _notice("No alarm is in a state that this widget shows." if names else "No alarms.", place)
    return Inside(group(parts), y, ", ".join(counts))


def _shortened(names: Sequence[str], room: float) -> dict[str, str]:
    """Names as they fit. Where one is too long, all lose what all have in common, so that they stay comparable."""
    shared = 0
    if len(names) > 1 and any(width(name, TILE_SIZE) > room for name in names):
        alike = len(names[0])
        while not all(name.startswith(names[0][:alike]) for name in names):
            alike -= 1
        shared = names[0].rfind("-", 0, alike) + 1
    return {name: cut("…" + name[shared:] if shared else name, TILE_SIZE, room) for name in names}


# Metrics


def _metric(place: _Place) -> Inside:
    widget, setting = place.widget, place.setting
    graph = read_graph(widget, setting.alarms)
    view = VIEWS.get(graph.view)
    if view is None:
        return _notice(f"The view {graph.view} is not drawn here.", place)
    start, end = time_range(widget.properties, widget.where, setting.now, None) or (setting.start, setting.end)
    try:
        lines = lines_of(graph, setting.store, start, end, setting.now)
    except ToolkitError as error:
        # The lines that follow the first point at a place in the expression; there is no room for that.
        return _notice(f"Not drawn: {str(error).splitlines()[0]}\n{error.remedy}", place)
    if not lines and not graph.thresholds:
        return _notice("No metrics.", place)
    inside = view(Seen(graph, lines, start, end, place.wide, place.high))
    newest = [f"{line.label} {'has no data' if line.is_empty else number(line.latest)}" for line in lines]
    told = [*newest, *(each.label for each in graph.thresholds if each.label)]
    empty = tuple(line.label for line in lines if line.is_empty)
    return Inside(inside.svg, inside.height, "; ".join(told), empty)


_KINDS: Final[Mapping[str, Callable[[_Place], Inside]]] = {
    "text": _text,
    "log": _log,
    "alarm": _alarm,
    "metric": _metric,
}
