"""AlarmRule: the documented language, its limits, and what is said of a rule that CloudWatch refuses."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from observability.composite import MOST_CHARACTERS, MOST_CHILDREN, MOST_ELEMENTS, parse_rule
from observability.errors import ToolkitError
from observability.model import State

ALARM, OK, INSUFFICIENT = State.ALARM, State.OK, State.INSUFFICIENT_DATA
NAMES = ("a", "b", "c", "d")
Truth = Callable[[Mapping[str, State]], bool]


# What is refused


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("ALARM(a) ANDD OK(b)", "character 10: 'ANDD', expected AND, OR, the end"),
        ("ALARM(a", "character 8: the end, expected )"),
        ("ALARM(a))", "character 9: ')', expected the end"),
        ("ALARM(a b)", "character 9: 'b', expected )"),
        ("ALARM()", "character 7: ')', expected the name or ARN of an alarm"),
        ('ALARM("a)', "character 7: '\"', expected the name or ARN of an alarm"),
        ("ALARM(a) OR", "character 12: the end, expected ALARM, OK, INSUFFICIENT_DATA, AT_LEAST, TRUE, FALSE, NOT, ("),
        ("", "character 1: the end, expected ALARM"),
        ("alarm(a)", "character 1: 'alarm', expected ALARM"),
        ("ALARM a", "character 7: 'a', expected ("),
        ("AT_LEAST(x, OK, (a))", "character 10: 'x', expected a number of alarms or a percentage such as 50%"),
        ("AT_LEAST(1, a, (b))", "character 13: 'a', expected ALARM, OK, INSUFFICIENT_DATA, NOT"),
        ("AT_LEAST(1, OK, ())", "character 18: ')', expected the name or ARN of an alarm"),
        ("OK(a) OR AT_LEAST(3, OK, (a, b))", "character 19: AT_LEAST(3, ...), allowed are 1 to 2 of its 2 alarms"),
        ("AT_LEAST(0, OK, (a))", "character 10: AT_LEAST(0, ...), allowed are 1 to 1 of its 1 alarms"),
        ("AT_LEAST(101%, OK, (a))", "character 10: AT_LEAST(101%, ...), allowed are 1 to 100 per cent"),
    ],
)
def test_a_rule_that_cannot_be_read_is_refused_with_the_place_and_what_is_allowed_there(text: str, said: str) -> None:
    with pytest.raises(ToolkitError) as refused:
        parse_rule(text, "alarm down: AlarmRule")
    assert str(refused.value).startswith("alarm down: AlarmRule, ")
    assert said in str(refused.value)


def _any_of(count: int) -> str:
    return " OR ".join(f"ALARM(a{number})" for number in range(count))


@pytest.mark.parametrize(
    ("just", "too_much", "said"),
    [
        (_any_of(MOST_CHILDREN), _any_of(MOST_CHILDREN + 1), "101 alarms, allowed are 100"),
        (
            " OR ".join(["TRUE"] * MOST_ELEMENTS),
            "(" + " OR ".join(["TRUE"] * MOST_ELEMENTS) + ")",
            "501 elements, allowed are 500",
        ),
        ("TRUE".ljust(MOST_CHARACTERS), "TRUE".ljust(MOST_CHARACTERS + 1), "10,241 characters, allowed are 10,240"),
    ],
    ids=["alarms", "elements", "characters"],
)
def test_the_limits_of_a_rule_are_cloudwatchs(just: str, too_much: str, said: str) -> None:
    parse_rule(just)
    with pytest.raises(ToolkitError, match=said):
        parse_rule(too_much)


def test_a_child_counts_once_however_often_it_is_looked_at() -> None:
    twice = " OR ".join(f"ALARM(a{number % 100})" for number in range(200))
    assert len(parse_rule(twice).children) == MOST_CHILDREN


def test_a_rule_may_nest_as_deeply_as_it_may_be_long() -> None:
    deep = "TRUE"
    for _ in range(166):
        deep = f"OK(c) OR ALARM(c) AND NOT ({deep})"
    parse_rule(deep).holds({"c": ALARM})
    assert parse_rule("NOT " * 2000 + "FALSE").holds({}) is False
    assert parse_rule("NOT " * 2001 + "FALSE").holds({}) is True


# The documented language


@pytest.mark.parametrize(
    ("text", "in_alarm", "true"),
    [
        ("ALARM(CPU) AND ALARM(Disk)", {"CPU"}, False),
        ("ALARM(CPU) AND ALARM(Disk)", {"CPU", "Disk"}, True),
        ("ALARM(CPU) AND NOT ALARM(Deploying)", {"CPU"}, True),
        ("ALARM(CPU) AND NOT ALARM(Deploying)", {"CPU", "Deploying"}, False),
        ("(ALARM(CPU) OR ALARM(Disk)) AND OK(Network)", {"Disk"}, True),
        ("(ALARM(CPU) OR ALARM(Disk)) AND OK(Network)", {"Disk", "Network"}, False),
        ("AT_LEAST(2, ALARM, (W1, W2, W3, W4))", {"W1"}, False),
        ("AT_LEAST(2, ALARM, (W1, W2, W3, W4))", {"W1", "W4"}, True),
        ("AT_LEAST(50%, OK, (D1, D2, D3, D4))", {"D1", "D2"}, True),
        ("AT_LEAST(50%, OK, (D1, D2, D3, D4))", {"D1", "D2", "D3"}, False),
        ("AT_LEAST(2, ALARM, (Z1, Z2, Z3)) AND NOT ALARM(Window)", {"Z1", "Z2"}, True),
        ("AT_LEAST(2, ALARM, (Z1, Z2, Z3)) AND NOT ALARM(Window)", {"Z1", "Z2", "Window"}, False),
        # The CDK's test of the same function; 60 % of three alarms are two.
        ("AT_LEAST(60%, NOT OK, (a, b, c))", {"a"}, False),
        ("AT_LEAST(60%, NOT OK, (a, b, c))", {"a", "c"}, True),
        ("TRUE", set(), True),
        ("false", set(), False),
    ],
)
def test_the_guides_examples_are_answered_as_it_says(text: str, in_alarm: set[str], true: bool) -> None:
    rule = parse_rule(text)
    assert rule.holds({name: ALARM if name in in_alarm else OK for name in rule.alarms}) is true


def test_each_function_asks_for_its_own_state() -> None:
    for asked in State:
        for state in State:
            assert parse_rule(f"{asked}(a)").holds({"a": state}) is (state is asked)
            assert parse_rule(f"AT_LEAST(1, NOT {asked}, (a))").holds({"a": state}) is (state is not asked)


def test_an_alarm_is_named_plainly_in_quotes_or_by_its_arn() -> None:
    text = """
        ALARM(plain-name) OR ALARM ("with spaces, (brackets)") OR OK("an \\"inner\\" quote")
        OR OK(arn:aws:cloudwatch:us-east-1:111122223333:alarm:by-arn)
        OR AT_LEAST(1, ALARM, (plain-name, "arn:aws:cloudwatch:us-east-1:111122223333:alarm:by: arn"))
    """
    expected = ("plain-name", "with spaces, (brackets)", 'an "inner" quote', "by-arn", "by: arn")
    assert parse_rule(text).children == expected
    assert parse_rule(text).alarms == {*expected}


def test_an_alarm_may_be_called_what_the_language_has_words_for() -> None:
    rule = parse_rule("ALARM(ALARM) AND AT_LEAST(1, OK, (NOT, 50%, AT_LEAST))")
    assert rule.children == ("ALARM", "NOT", "50%", "AT_LEAST")


def test_not_binds_tighter_than_and_and_and_tighter_than_or() -> None:
    rule = parse_rule("ALARM(a) OR NOT ALARM(b) AND ALARM(c)")
    bracketed = parse_rule("ALARM(a) OR ((NOT ALARM(b)) AND ALARM(c))")
    assert rule.condition == bracketed.condition


# Any rule


def _state(alarm: str, state: State) -> tuple[str, Truth]:
    return f'{state}("{alarm}")', lambda states: states[alarm] is state


def _at_least(count: int, state: State, negated: bool, percent: bool) -> tuple[str, Truth]:
    threshold = f"{25 * count}%" if percent else f"{count}"
    text = f"AT_LEAST({threshold}, {'NOT ' if negated else ''}{state}, ({', '.join(NAMES)}))"
    return text, lambda states: sum((states[name] is state) is not negated for name in NAMES) >= count


def _both(left: tuple[str, Truth], right: tuple[str, Truth]) -> tuple[str, Truth]:
    return f"({left[0]}) AND ({right[0]})", lambda states: left[1](states) and right[1](states)


def _either(left: tuple[str, Truth], right: tuple[str, Truth]) -> tuple[str, Truth]:
    return f"({left[0]}\nOR {right[0]})", lambda states: left[1](states) or right[1](states)


def _neither(part: tuple[str, Truth]) -> tuple[str, Truth]:
    return f"NOT ({part[0]})", lambda states: not part[1](states)


ANY_STATE = st.sampled_from(State)
STATES = st.fixed_dictionaries(dict.fromkeys(NAMES, ANY_STATE))
LEAVES = st.one_of(
    st.builds(_state, st.sampled_from(NAMES), ANY_STATE),
    st.builds(_at_least, st.integers(1, len(NAMES)), ANY_STATE, st.booleans(), st.booleans()),
    st.sampled_from([("TRUE", lambda states: True), ("False", lambda states: False)]),
)
RULES: st.SearchStrategy[tuple[str, Truth]] = st.recursive(
    LEAVES,
    lambda parts: st.one_of(
        st.builds(_both, parts, parts), st.builds(_either, parts, parts), st.builds(_neither, parts)
    ),
    max_leaves=12,
)
MONOTONE: st.SearchStrategy[tuple[str, Truth]] = st.recursive(
    st.one_of(
        st.builds(_state, st.sampled_from(NAMES), st.just(ALARM)),
        st.builds(_at_least, st.integers(1, len(NAMES)), st.just(ALARM), st.just(False), st.booleans()),
    ),
    lambda parts: st.one_of(st.builds(_both, parts, parts), st.builds(_either, parts, parts)),
    max_leaves=12,
)


@given(RULES, STATES)
def test_a_rule_means_what_it_says(rule: tuple[str, Truth], states: dict[str, State]) -> None:
    text, truth = rule
    assert parse_rule(text).holds(states) is truth(states)


@given(MONOTONE, STATES, st.sets(st.sampled_from(NAMES)))
def test_one_more_alarm_never_clears_a_rule_that_asks_only_for_alarms(
    rule: tuple[str, Truth], states: dict[str, State], more: set[str]
) -> None:
    read = parse_rule(rule[0])
    if read.holds(states):
        assert read.holds({**states, **dict.fromkeys(more, ALARM)})


@given(st.text(alphabet='ALRMOKNTDE_S(),"\\ a5%', max_size=30))
def test_any_other_text_is_refused_in_a_sentence_if_it_is_no_rule(text: str) -> None:
    with contextlib.suppress(ToolkitError):
        parse_rule(text)
