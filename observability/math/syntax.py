"""What an expression of metric math says: text to tree, by the grammar beside this file."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any, Final

from lark import Lark, Token, Transformer, UnexpectedCharacters, UnexpectedInput, UnexpectedToken

from observability.math.errors import MathError

# GetMetricData, `MetricDataQuery`: the longest Expression.
LONGEST: Final = 2048


@dataclass(frozen=True, slots=True)
class Number:
    """A literal."""

    value: float
    place: int


@dataclass(frozen=True, slots=True)
class Text:
    """A literal in quotes, as METRICS takes it."""

    value: str
    place: int


@dataclass(frozen=True, slots=True)
class Word:
    """A name in capital letters that is not called: an option of a function, such as REPEAT or DESC."""

    name: str
    place: int


@dataclass(frozen=True, slots=True)
class Reference:
    """The Id of another query."""

    id: str
    place: int


@dataclass(frozen=True, slots=True)
class Several:
    """`[a, b]`: an array of time series."""

    items: tuple[Node, ...]
    place: int


@dataclass(frozen=True, slots=True)
class Negative:
    """`-a`."""

    operand: Node
    place: int


@dataclass(frozen=True, slots=True)
class Binary:
    """`a OPERATOR b`; the operator is one of `+ - * / ^ == != <= >= < > AND OR`, `place` is where it stands."""

    operator: str
    left: Node
    right: Node
    place: int


@dataclass(frozen=True, slots=True)
class Call:
    """`NAME(arguments)`."""

    name: str
    arguments: tuple[Node, ...]
    place: int


Node = Number | Text | Word | Reference | Several | Negative | Binary | Call


@lru_cache(maxsize=1024)
def parse(expression: str) -> Node:
    """The tree of an expression.

    Raises:
        MathError: it is not metric math; the message shows the place and what could stand there.
    """
    if len(expression) > LONGEST:
        raise MathError(f"it has {len(expression)} characters, CloudWatch takes at most {LONGEST}")
    if expression.split(None, 1)[:1] == ["SELECT"]:
        raise MathError(
            "Metrics Insights (SELECT ...) is not evaluated here",
            "Name the metrics one by one, and use SUM, AVG, MIN or MAX of METRICS().",
            expression=expression,
            place=0,
        )
    try:
        return _parser().parse(expression)  # type: ignore[return-value]  # the transformer makes nodes, Lark says Tree
    except UnexpectedInput as error:
        raise _refusal(expression, error) from None


def references(expression: str) -> frozenset[str]:
    """Ids that an expression names. What METRICS() stands for is not among them.

    Raises:
        MathError: it is not metric math.
    """
    return frozenset(node.id for node in walk(parse(expression)) if isinstance(node, Reference))


def walk(node: Node) -> Iterator[Node]:
    """The node and all below it, from left to right."""
    pending = [node]
    while pending:
        current = pending.pop()
        yield current
        pending.extend(reversed(below(current)))


def depth(node: Node) -> int:
    """How many nodes there are on the longest way down."""
    level: tuple[Node, ...] = (node,)
    count = 0
    while level:
        level, count = tuple(each for above in level for each in below(above)), count + 1
    return count


def below(node: Node) -> tuple[Node, ...]:
    """The nodes that a node is made of."""
    match node:
        case Binary(left=left, right=right):
            return (left, right)
        case Negative(operand=operand):
            return (operand,)
        case Several(items=items) | Call(arguments=items):
            return items
        case _:
            return ()


class _Nodes(Transformer[Token, Node]):
    def number(self, found: list[Token]) -> Node:
        return Number(float(found[0]), _place(found[0]))

    def text(self, found: list[Token]) -> Node:
        return Text(found[0][1:-1], _place(found[0]))

    def word(self, found: list[Token]) -> Node:
        return Word(str(found[0]), _place(found[0]))

    def reference(self, found: list[Token]) -> Node:
        return Reference(str(found[0]), _place(found[0]))

    def several(self, found: list[Any]) -> Node:
        return Several(tuple(found[1:]), _place(found[0]))

    def negative(self, found: list[Any]) -> Node:
        return Negative(found[1], _place(found[0]))

    def binary(self, found: list[Any]) -> Node:
        left, operator, right = found
        return Binary(_ALIASES.get(operator, str(operator)), left, right, _place(operator))

    def call(self, found: list[Any]) -> Node:
        name, *arguments = found
        return Call(str(name), tuple(each for each in arguments if each is not None), _place(name))


_ALIASES: Final = {"&&": "AND", "||": "OR"}


def _place(token: Token) -> int:
    return token.start_pos or 0


@cache
def _parser() -> Lark:
    # The basic lexer reads ORDER as one name; the contextual one, where a name cannot stand, as OR and DER.
    return Lark.open("grammar.lark", rel_to=__file__, parser="lalr", lexer="basic", transformer=_Nodes())


# What can stand at a place, by a token that tells it.
_EXPECTED: Final = {
    "ID": "a value",
    "PLUS": "an operator",
    "COMMA": '","',
    "RPAR": '")"',
    "RSQB": '"]"',
    "$END": "the end",
}

# Other languages' signs and words, and what metric math has for them.
_FOREIGN: Final = {
    "%": "CloudWatch has no modulo; for a percentage write 100 * part / whole.",
    "!": "CloudWatch has no NOT: compare with 0, as in m1 == 0.",
    "=": "Write == to compare.",
    "&": "Write AND, or &&.",
    "|": "Write OR, or ||.",
    "and": "Operators are in capital letters: AND.",
    "or": "Operators are in capital letters: OR.",
    "^": "How -a ^ b and a ^ b ^ c are read is not documented: write parentheses.",
    **dict.fromkeys(
        ("<", "<=", ">", ">=", "==", "!="), "One comparison at a time: join two with AND, or write parentheses."
    ),
    "“": "Quotes are straight ones.",
    "(": "Functions are in capital letters, such as SUM; multiplication is written *.",
}


def _refusal(expression: str, error: UnexpectedInput) -> MathError:
    place, shown = len(expression), ""
    expected: set[str] = set()
    if isinstance(error, UnexpectedCharacters):
        place = error.pos_in_stream or 0
        shown = expression[place]
        fault = f"{shown!r} is not metric math"
    else:
        assert isinstance(error, UnexpectedToken)
        expected = error.accepts
        fault = "it ends too soon" if expression.strip() else "it is empty"
        if error.token.type != "$END":
            place, shown = _place(error.token), str(error.token)
            fault = f"{shown!r} cannot stand here"
    allowed = " or ".join(words for token, words in _EXPECTED.items() if token in expected)
    return MathError(
        f"{fault}, expected {allowed}" if allowed else fault,
        _FOREIGN.get(shown, "") if "ID" not in expected else "",
        expression=expression,
        place=place,
    )
