"""What must be true of an alarm in an incident, and what is said when it is not. Times are seconds after the start."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Protocol

from observability.model import DAY, HOUR, MINUTE, State


@dataclass(frozen=True, slots=True)
class Life:
    """What an alarm went through.

    Attributes:
        initial: its state at the start.
        changes: when it went into which state, in order.
        told: when anybody was told that it is in ALARM.
        length: of the incident.
    """

    initial: State
    changes: tuple[tuple[int, State], ...]
    told: tuple[int, ...]
    length: int

    def state(self, at: int) -> State:
        """The state after the evaluation at that time."""
        return next((state for changed, state in reversed(self.changes) if changed <= at), self.initial)

    @property
    def fired(self) -> tuple[int, ...]:
        return tuple(at for at, state in self.changes if state is State.ALARM)

    @property
    def left(self) -> tuple[int, ...]:
        """When it left ALARM."""
        before = (self.initial, *(state for _, state in self.changes))
        return tuple(at for (at, _), was in zip(self.changes, before, strict=False) if was is State.ALARM)

    @property
    def stays(self) -> str:
        """Its states in words."""
        if not self.changes:
            return f"{self.initial} all the time"
        return ", ".join([str(self.initial), *(f"{state} at {spoken(at)}" for at, state in self.changes)])


class Expectation(Protocol):
    """Something that must be true; `str` of it says what, after the alarm's name."""

    def broken(self, life: Life) -> str:
        """What happened instead; "" if it is as expected."""
        ...


@dataclass(frozen=True, slots=True)
class Window:
    """From `after` to `by`, both included."""

    after: int
    by: int

    def __contains__(self, at: int) -> bool:
        return self.after <= at <= self.by

    def __str__(self) -> str:
        if self.after == self.by:
            return f"at {spoken(self.by)}"
        return f"between {spoken(self.after)} and {spoken(self.by)}" if self.after else f"by {spoken(self.by)}"


@dataclass(frozen=True, slots=True)
class Fires:
    """Goes into ALARM for the first time within the window; in all `times` times, where that is said."""

    window: Window
    times: int | None = None

    def broken(self, life: Life) -> str:
        if not life.fired:
            return f"it never fired: {life.stays}"
        if life.fired[0] not in self.window:
            return f"it fired at {spoken(life.fired[0])}"
        if self.times not in {None, len(life.fired)}:
            return f"it fired {_times(life.fired)}"
        return ""

    def __str__(self) -> str:
        count = "" if self.times is None else ", once in all" if self.times == 1 else f", {self.times} times in all"
        return f"fires {self.window}{count}"


@dataclass(frozen=True, slots=True)
class Quiet:
    """Is never in ALARM."""

    def broken(self, life: Life) -> str:
        if life.initial is State.ALARM:
            return "it was in ALARM from the start"
        return f"it fired {_times(life.fired)}" if life.fired else ""

    def __str__(self) -> str:
        return "stays quiet"


@dataclass(frozen=True, slots=True)
class Clears:
    """Leaves ALARM within the window, and does not come back."""

    window: Window

    def broken(self, life: Life) -> str:
        if life.state(life.length) is State.ALARM:
            return f"it was still in ALARM at the end: {life.stays}"
        if not life.left:
            return f"it was never in ALARM: {life.stays}"
        return "" if life.left[-1] in self.window else f"it left ALARM for good at {spoken(life.left[-1])}"

    def __str__(self) -> str:
        return f"clears {self.window}"


@dataclass(frozen=True, slots=True)
class InState:
    """Is in these states at these times."""

    states: Mapping[int, State]

    def broken(self, life: Life) -> str:
        found = {at: life.state(at) for at in self.states}
        wrong = [f"{state} at {spoken(at)}" for at, state in found.items() if state is not self.states[at]]
        return f"it was {', '.join(wrong)}" if wrong else ""

    def __str__(self) -> str:
        return "is " + ", ".join(f"{state} at {spoken(at)}" for at, state in self.states.items())


@dataclass(frozen=True, slots=True)
class Never:
    """Is never in that state."""

    state: State

    def broken(self, life: Life) -> str:
        return f"it was: {life.stays}" if self.state in {life.initial, *(state for _, state in life.changes)} else ""

    def __str__(self) -> str:
        return f"is never {self.state}"


@dataclass(frozen=True, slots=True)
class Told:
    """Somebody is told of its ALARM, for the first time within the window. Of a composite with a suppressor that is
    later than it fires."""

    window: Window

    def broken(self, life: Life) -> str:
        if not life.told:
            return "nobody was told"
        return "" if life.told[0] in self.window else f"it was told at {spoken(life.told[0])}"

    def __str__(self) -> str:
        return f"is told {self.window}"


_UNITS: Final = ((DAY, "d"), (HOUR, "h"), (MINUTE, "m"), (1, "s"))


def spoken(seconds: int) -> str:
    """Seconds as they are written in an incident: `2h20m`; `0m` for none."""
    sign, rest, found = ("-" if seconds < 0 else ""), abs(seconds), ""
    for size, unit in _UNITS:
        count, rest = divmod(rest, size)
        found += f"{count}{unit}" if count else ""
    return sign + (found or "0m")


def _times(at: tuple[int, ...]) -> str:
    listed = ", ".join(spoken(each) for each in at)
    return f"at {listed}" if len(at) == 1 else f"{len(at)} times: at {listed}"
