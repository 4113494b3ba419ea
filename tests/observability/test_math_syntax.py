"""What an expression says, and what is told of one that says nothing."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import suppress
from typing import Final

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from observability.math import MathError, compile_queries, parse, references
from observability.math.functions import FUNCTIONS, REFUSED
from observability.math.syntax import Binary, Negative, Node, Number, Reference
from observability.model import MetricKey, MetricStat, Query
from observability.statistics import Statistic


def metric(id_: str) -> Query:
    return Query(id=id_, stat=MetricStat(MetricKey.of("Shop", id_), 60, Statistic.parse("Sum")), returned=False)


def refused(expression: str) -> MathError:
    with pytest.raises(MathError) as caught:
        compile_queries([metric("m1"), metric("m2"), Query(id="e1", expression=expression)])
    return caught.value


@pytest.mark.parametrize("name", ["SEARCH", *REFUSED])
def test_what_only_an_account_can_answer_is_refused_by_name(name: str) -> None:
    error = refused(f"1 + {name}(m1)")
    assert f"query e1: {name} is not evaluated here" in str(error)
    assert error.place == 4


def test_a_search_is_refused_with_its_quoted_arguments() -> None:
    assert "SEARCH" in str(refused("SUM(SEARCH('{AWS/Lambda,FunctionName} MetricName=\"Errors\"', 'Sum', 300))"))


def test_metrics_insights_is_refused_by_name() -> None:
    error = refused('SELECT AVG(Duration) FROM "AWS/Lambda" GROUP BY FunctionName')
    assert "Metrics Insights (SELECT ...) is not evaluated here" in str(error)
    assert "METRICS()" in error.remedy


def test_an_error_shows_the_place_under_the_expression() -> None:
    assert str(refused("IF(m1 >= 100 m2)")) == (
        'query e1: \'m2\' cannot stand here, expected an operator or "," or ")", column 14\n'
        "  IF(m1 >= 100 m2)\n"
        "               ^"
    )


def test_an_error_in_an_expression_of_several_lines_names_the_line() -> None:
    assert str(refused("m1\n  + * 2")).splitlines()[0].endswith("expected a value, line 2, column 5")


def test_of_a_long_expression_only_what_is_around_the_place_is_shown() -> None:
    shown = str(refused(f"{' + '.join(['m1'] * 100)} ? {' + '.join(['m1'] * 100)}")).splitlines()
    assert max(map(len, shown)) < 130
    assert shown[1][shown[2].index("^")] == "?"


@pytest.mark.parametrize(
    ("expression", "fault", "remedy"),
    [
        ("", "it is empty", ""),
        ("m1 +", "it ends too soon, expected a value", ""),
        ("(m1", 'expected ")"', ""),
        ("[]", "']' cannot stand here, expected a value", ""),
        ("m1 m2", "expected an operator or the end", ""),
        ("+m1", "'+' cannot stand here", ""),
        ("m1 % 2", "'%' is not metric math", "100 * part / whole"),
        ("!m1", "'!' is not metric math", "compare with 0"),
        ("m1 = 2", "'=' is not metric math", "=="),
        ("m1 and m2", "'and' cannot stand here", "AND"),
        ("m1 & m2", "'&' is not metric math", "&&"),
        ("METRICS(“m”)", "'“' is not metric math", "straight"),
        ("sum(m1)", "'(' cannot stand here", "capital letters"),
        ("m1 ORm2", "'ORm2' cannot stand here", ""),
        ("0 < m1 < 2", "'<' cannot stand here", "One comparison at a time"),
        ("-m1 ^ 2", "'^' cannot stand here", "parentheses"),
        ("m1 ^ 2 ^ 3", "'^' cannot stand here", "parentheses"),
        ("SMU(m1)", "there is no function SMU", "Is SUM meant?"),
        ("Fill(m1, 0)", "there is no function Fill", ""),
        ("m1 + SUM", "SUM is a function and needs parentheses", ""),
        ("m1 + REPEAT", "REPEAT is not a value", "lower-case"),
        ("m1 + 'm1'", "text in quotes is for METRICS alone", ""),
        ("m3 + m1", "there is no query with the Id 'm3'; there are m1, m2, e1", ""),
        ("-" * 200 + "m1", "operations deep", "SUM([...])"),
        ("m1 > 1e999", "it is too large a number", ""),
        ("m1" + " " * 2048, "it has 2050 characters, CloudWatch takes at most 2048", ""),
    ],
)
def test_what_is_no_metric_math_is_refused_with_what_is(expression: str, fault: str, remedy: str) -> None:
    error = refused(expression)
    assert str(error).startswith("query e1: ")
    assert fault in str(error)
    assert remedy in error.remedy


def test_an_expression_read_by_itself_is_told_of_as_such() -> None:
    with pytest.raises(MathError, match=r"^expression: 'm2' cannot stand here"):
        parse("m1 m2")


def test_references_are_the_ids_that_are_named_and_nothing_else() -> None:
    expression = 'IF(errors_4xx > 2 AND SUM(METRICS("other")) > 1e3, FILL(m1, REPEAT), -m1)'
    assert references(expression) == {"errors_4xx", "m1"}


@pytest.mark.parametrize(
    ("short", "full"),
    [
        ("m1 + m2 * m3", "m1 + (m2 * m3)"),
        ("m1 - m2 - m3", "(m1 - m2) - m3"),
        ("m1 / m2 * m3", "(m1 / m2) * m3"),
        ("m1 * m2 ^ m3", "m1 * (m2 ^ m3)"),
        ("-m1 * m2", "(-m1) * m2"),
        ("m1 - -m2", "m1 - (-m2)"),
        ("m1 ^ -m2", "m1 ^ (-m2)"),
        ("m1 + m2 > m3 * 2", "(m1 + m2) > (m3 * 2)"),
        ("m1 > 1 AND m2 > 2", "(m1 > 1) AND (m2 > 2)"),
        ("m1 OR m2 AND m3", "m1 OR (m2 AND m3)"),
        ("m1 || m2 && m3", "m1 OR (m2 AND m3)"),
    ],
)
def test_operators_bind_as_in_arithmetic(short: str, full: str) -> None:
    assert shape(short) == shape(full)


def shape(expression: str) -> str:
    return shape_of(parse(expression))


def shape_of(node: Node) -> str:
    """The tree in words, without places."""
    match node:
        case Reference(id=id_):
            return id_
        case Number(value=value):
            return f"{value}"
        case Negative(operand=operand):
            return f"(neg {shape_of(operand)})"
        case Binary(operator=symbol, left=left, right=right):
            return f"({symbol} {shape_of(left)} {shape_of(right)})"
    raise AssertionError(node)


@pytest.mark.parametrize(
    ("text", "value"), [("2", 2), ("2.5", 2.5), (".5", 0.5), ("2.", 2), ("1e3", 1000), ("2.5E-1", 0.25)]
)
def test_numbers_are_read(text: str, value: float) -> None:
    program = compile_queries([Query(id="e1", expression=f"TIME_SERIES({text})")])
    assert program.alarm({}, np.array([0]), 60).tolist() == [value]


# Random expressions, printed with as few parentheses as precedence allows, against Python's own reading of them. The
# values are dense, so that what is missing plays no part.

VALUES: Final = {"m1": np.array([3.0, -2.0, 0.5]), "m2": np.array([1.0, 4.0, -0.5])}
BINDS: Final = {"OR": 0, "AND": 1, "<": 2, ">=": 2, "==": 2, "+": 3, "-": 3, "*": 4, "/": 4, "^": 6}
UNARY: Final = 5
ATOM: Final = 7
ALONE: Final = ("<", ">=", "==", "^")  # no chains of these
DOES: Final[dict[str, Callable[[float, float], float]]] = {
    "OR": lambda a, b: float(bool(a) or bool(b)),
    "AND": lambda a, b: float(bool(a) and bool(b)),
    "<": lambda a, b: float(a < b),
    ">=": lambda a, b: float(a >= b),
    "==": lambda a, b: float(a == b),
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": lambda a, b: a / b if b else math.nan,
    "^": lambda a, b: a**b,
}

leaves: st.SearchStrategy[Node] = st.one_of(
    st.builds(Reference, st.sampled_from([*VALUES]), st.just(0)),
    st.builds(Number, st.sampled_from([2.0, 0.25]), st.just(0)),
)
trees: st.SearchStrategy[Node] = st.recursive(
    # Powers only of leaves: larger ones are not exact, and would make comparisons a matter of the last bit.
    leaves | st.builds(Binary, st.just("^"), leaves, st.just(Number(2.0, 0)), st.just(0)),
    lambda inner: st.one_of(
        st.builds(Negative, inner, st.just(0)),
        st.builds(Binary, st.sampled_from([each for each in BINDS if each != "^"]), inner, inner, st.just(0)),
    ),
    max_leaves=12,
)


def printed(node: Node, at_least: int = 0) -> str:
    match node:
        case Reference(id=id_):
            return id_
        case Number(value=value):
            return repr(value)
        case Negative(operand=operand):
            binds, text = UNARY, f"-{printed(operand, ATOM)}"
        case Binary(operator=symbol, left=left, right=right):
            binds = BINDS[symbol]
            text = f"{printed(left, binds + (symbol in ALONE))} {symbol} {printed(right, binds + 1)}"
        case _:
            raise AssertionError(node)
    return f"({text})" if binds < at_least else text


def worth(node: Node, at: int) -> float:
    """What the tree comes to at one time, worked out in Python; NaN if there is a division by zero in it."""
    match node:
        case Reference(id=id_):
            return float(VALUES[id_][at])
        case Number(value=value):
            return value
        case Negative(operand=operand):
            return -worth(operand, at)
        case Binary(operator=symbol, left=left, right=right):
            a, b = worth(left, at), worth(right, at)
            return math.nan if math.isnan(a) or math.isnan(b) else DOES[symbol](a, b)
    raise AssertionError(node)


@given(trees)
def test_a_random_expression_comes_to_what_python_makes_of_it(tree: Node) -> None:
    queries = [metric("m1"), metric("m2"), Query(id="e1", expression=f"TIME_SERIES(0) + ({printed(tree)})")]
    found = compile_queries(queries).alarm(VALUES, np.arange(3) * 60, 60)
    for at in range(3):
        # What a dropped point comes to beside other series has tests of its own.
        if not math.isnan(expected := worth(tree, at)):
            assert found[at] == pytest.approx(expected, rel=1e-9)


@given(trees)
def test_a_printed_expression_is_read_as_the_same_tree(tree: Node) -> None:
    assert shape(printed(tree)) == shape_of(tree)


@given(st.text(alphabet="m12 +-*/^<>=()[],.ANDORSUMe'\"&|%", max_size=40))
def test_whatever_is_written_is_either_read_or_refused(text: str) -> None:
    with suppress(MathError):
        parse(text)


def test_no_function_is_both_there_and_refused() -> None:
    assert not FUNCTIONS.keys() & REFUSED.keys()
