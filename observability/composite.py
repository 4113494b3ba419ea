"""Rules of composite alarms (`AlarmRule`): read, refused where CloudWatch refuses them, and answered.

Sources: "Composite alarms" in the CloudWatch user guide for the language, PutCompositeAlarm for the limits. Neither
says which of AND and OR binds tighter in a rule without parentheses: here NOT binds tighter than AND, and AND tighter
than OR, as is usual.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Protocol

from lark import Lark, Token, v_args
from lark.exceptions import UnexpectedCharacters, UnexpectedInput, UnexpectedToken, VisitError
from lark.visitors import Transformer_NonRecursive

from observability.errors import ToolkitError
from observability.model import State, alarm_name

MOST_CHARACTERS: Final = 10_240
MOST_CHILDREN: Final = 100
MOST_ELEMENTS: Final = 500
"""Of an AlarmRule (PutCompositeAlarm). Elements are references to alarms, TRUE, FALSE, and groups in parentheses; a
group counts once here, as it is not said whether each of its parentheses counts."""

_GRAMMAR: Final = r"""
    ?start: any
    any: all (_OR all)*
    all: not (_AND not)*
    ?not: test | _NOT not -> negation
    ?test: STATE "(" _alarm ")" -> child
        | _AT_LEAST "(" HOW_MANY "," state "," "(" _alarm ("," _alarm)* ")" ")" -> at_least
        | TRUTH -> constant
        | "(" any ")" -> group
    state: STATE | _NOT STATE -> other_state
    _alarm: QUOTED | BARE

    _OR: /OR\b/
    _AND: /AND\b/
    _NOT: /NOT\b/
    _AT_LEAST: /AT_LEAST\b/
    STATE: /(ALARM|OK|INSUFFICIENT_DATA)\b/
    TRUTH: /(TRUE|FALSE)\b/i
    HOW_MANY: /[0-9]+%?/
    QUOTED: /"(\\.|[^"\\])+"/
    BARE: /[^\s(),"][^\s(),]*/

    %ignore /\s+/
"""

_WORDS: Final[Mapping[str, str]] = {
    "STATE": "ALARM, OK, INSUFFICIENT_DATA",
    "_AT_LEAST": "AT_LEAST",
    "TRUTH": "TRUE, FALSE",
    "_NOT": "NOT",
    "_AND": "AND",
    "_OR": "OR",
    "HOW_MANY": "a number of alarms or a percentage such as 50%",
    "BARE": "the name or ARN of an alarm, in double quotes if it has spaces, commas or brackets",
    "LPAR": "(",
    "COMMA": "a comma",
    "RPAR": ")",
    "$END": "the end",
}
"""What a rule may go on with, for people, in the order in which it is told."""


class Condition(Protocol):
    """A part of a rule, or all of it."""

    def holds(self, states: Mapping[str, State]) -> bool:
        """Whether it is true while alarms are in `states`."""


@dataclass(frozen=True, slots=True)
class Rule:
    """An AlarmRule.

    Attributes:
        children: names of the alarms that it looks at, each once, in the order of the text; an ARN is read as its name.
    """

    text: str
    condition: Condition
    children: tuple[str, ...]

    @property
    def alarms(self) -> frozenset[str]:
        """Names of the alarms that it looks at."""
        return frozenset(self.children)

    def holds(self, states: Mapping[str, State]) -> bool:
        """Whether the composite alarm is in ALARM while its children are in `states`; every one has to have a state."""
        return self.condition.holds(states)


@lru_cache
def parse_rule(text: str, where: str = "AlarmRule") -> Rule:
    """The rule that a text says.

    Args:
        where: what the text is, to begin an error with.

    Raises:
        ToolkitError: CloudWatch would refuse it; the place, and what is allowed there, are named.
    """
    _bounded(len(text), MOST_CHARACTERS, "characters", where)
    try:
        tree = _PARSER.parse(text)
    except UnexpectedInput as error:
        raise _refusal(error, text, where) from None
    leaves = [leaf for each in tree.iter_subtrees() for leaf in each.children if isinstance(leaf, Token)]
    elements = sorted((leaf for leaf in leaves if leaf.type in _ELEMENTS), key=_place)
    groups = sum(1 for _ in tree.find_data("group"))
    _bounded(len(elements) + groups, MOST_ELEMENTS, "elements", where)
    children = tuple(dict.fromkeys(_referred(token) for token in elements if token.type != "TRUTH"))
    _bounded(len(children), MOST_CHILDREN, "alarms", where)
    try:
        return Rule(text, _Conditions().transform(tree), children)
    except VisitError as error:
        raise ToolkitError(f"{where}, {error.orig_exc}") from None


# The parts of a rule


@dataclass(frozen=True, slots=True)
class _Constant:
    value: bool

    def holds(self, states: Mapping[str, State]) -> bool:  # noqa: ARG002
        return self.value


@dataclass(frozen=True, slots=True)
class _InState:
    alarm: str
    state: State

    def holds(self, states: Mapping[str, State]) -> bool:
        return states[self.alarm] is self.state


@dataclass(frozen=True, slots=True)
class _Not:
    part: Condition

    def holds(self, states: Mapping[str, State]) -> bool:
        return not self.part.holds(states)


@dataclass(frozen=True, slots=True)
class _Joined:
    """Parts with AND or with OR between: true unless one of them has the value that decides."""

    parts: tuple[Condition, ...]
    decides: bool

    def holds(self, states: Mapping[str, State]) -> bool:
        # A loop, as the frames of a generator would halve how deep a rule may nest.
        for part in self.parts:
            if part.holds(states) is self.decides:
                return self.decides
        return not self.decides


@dataclass(frozen=True, slots=True)
class _AtLeast:
    """So many of the parts, or so many per cent of them."""

    parts: tuple[Condition, ...]
    threshold: int
    percent: bool

    def holds(self, states: Mapping[str, State]) -> bool:
        true = sum(part.holds(states) for part in self.parts)
        return 100 * true >= self.threshold * len(self.parts) if self.percent else true >= self.threshold


# Reading


def _negated(part: Condition) -> Condition:
    # NOT is no element, so a rule can have thousands of them in a row.
    return part.part if isinstance(part, _Not) else _Not(part)


def _joined(parts: tuple[Condition, ...], *, decides: bool) -> Condition:
    return parts[0] if len(parts) == 1 else _Joined(parts, decides)


@v_args(inline=True)
class _Conditions(Transformer_NonRecursive[Token, Condition]):
    """Makes a condition of a rule's tree, leaves first, without recursion."""

    def any(self, *parts: Condition) -> Condition:
        return _joined(parts, decides=True)

    def all(self, *parts: Condition) -> Condition:
        return _joined(parts, decides=False)

    def negation(self, part: Condition) -> Condition:
        return _negated(part)

    def group(self, part: Condition) -> Condition:
        return part

    def constant(self, token: Token) -> Condition:
        return _Constant(token.upper() == "TRUE")

    def child(self, state: Token, alarm: Token) -> Condition:
        return _InState(_referred(alarm), State(state))

    def state(self, state: Token) -> tuple[State, bool]:
        return State(state), True

    def other_state(self, state: Token) -> tuple[State, bool]:
        return State(state), False

    def at_least(self, how_many: Token, wanted: tuple[State, bool], *alarms: Token) -> Condition:
        percent = how_many.endswith("%")
        threshold, most = int(how_many.rstrip("%")), 100 if percent else len(alarms)
        if not 1 <= threshold <= most:
            raise ValueError(
                f"character {_place(how_many)}: AT_LEAST({how_many}, ...), allowed are 1 to {most}"
                + (" per cent" if percent else f" of its {len(alarms)} alarms")
            )
        state, is_in_it = wanted
        parts = tuple(_InState(_referred(alarm), state) for alarm in alarms)
        return _AtLeast(parts if is_in_it else tuple(map(_Not, parts)), threshold, percent)


_PARSER: Final = Lark(_GRAMMAR, parser="lalr", lexer="contextual")
_ELEMENTS: Final = ("QUOTED", "BARE", "TRUTH")


def _referred(token: Token) -> str:
    """The name of the alarm that a token refers to."""
    quoted = token.type == "QUOTED"
    return alarm_name(re.sub(r'\\(["\\])', r"\1", token[1:-1]) if quoted else str(token))


def _place(token: Token) -> int:
    return (token.start_pos or 0) + 1


def _bounded(number: int, most: int, what: str, where: str) -> None:
    if number > most:
        raise ToolkitError(
            f"{where} has {number:,} {what}, allowed are {most:,}",
            "Split it: a composite alarm can look at composite alarms.",
        )


def _refusal(error: UnexpectedInput, text: str, where: str) -> ToolkitError:
    expected: set[str] = set()
    if isinstance(error, UnexpectedToken):
        expected = error.accepts or error.expected
    elif isinstance(error, UnexpectedCharacters):
        expected = error.allowed
    at_end = isinstance(error, UnexpectedToken) and error.token.type == "$END"
    place = len(text) if at_end else error.pos_in_stream or 0
    found = re.match(r"\w+|\W|$", text[place:])
    seen = f"{found[0]!r}" if found and found[0] else "the end"
    words = ", ".join(word for name, word in _WORDS.items() if name in expected)
    return ToolkitError(f"{where}, character {place + 1}: {seen}, expected {words}")
