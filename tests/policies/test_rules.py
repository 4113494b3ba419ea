"""Each rule of the pack is shown by programs: some break it and nothing else, some keep it, some have nothing of it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import botocore.session
import pytest

from local.config import ROOT
from policies.configuration import Configured
from policies.engine import Finding, judge_stack
from policies.model import Rule
from policies.rules import RULES
from policies.runtimes import DEPRECATED
from tests.policies.cases import Given, cases
from tests.policies.judged import BY_NAME, does_not_apply, each_given, is_unknown, satisfies, stack_of, violates

RULES_WITH_PROGRAMS = sorted(cases())


def found(name: str, given: Given) -> list[Finding]:
    """What the whole pack says of a program, by the rules' own levels and, for the rule itself, the case's settings."""
    stack = stack_of(BY_NAME[name], given)
    configuration: Mapping[str, Configured] = {name: Configured(settings=stack.settings)}
    return list(judge_stack(replace(stack, settings={}), RULES, configuration).findings)


@pytest.mark.parametrize("name", RULES_WITH_PROGRAMS)
def test_programs_that_break_a_rule_are_told_of_by_it_and_by_no_other(name: str) -> None:
    for given in each_given(cases()[name].violated):
        assert violates(BY_NAME[name], given) == ""
        assert [each.message for each in found(name, given) if each.rule not in {name, *given.also}] == []


@pytest.mark.parametrize("name", RULES_WITH_PROGRAMS)
def test_a_finding_names_the_resource_the_reason_and_the_remedy(name: str) -> None:
    rule, given = BY_NAME[name], next(each_given(cases()[name].violated))
    told = [each for each in found(name, given) if each.rule == name]
    assert told
    for each in told:
        assert each.level == rule.level
        assert each.resource in each.message
        assert rule.reason in each.message
        assert rule.remedy in each.message


@pytest.mark.parametrize("name", RULES_WITH_PROGRAMS)
def test_programs_that_keep_a_rule_pass_it_and_all_others(name: str) -> None:
    for given in each_given(cases()[name].satisfied):
        assert satisfies(BY_NAME[name], given) == ""
        assert [each.message for each in found(name, given) if each.rule not in given.also] == []


@pytest.mark.parametrize("name", RULES_WITH_PROGRAMS)
def test_what_is_not_known_yet_is_neither_a_finding_nor_a_pass(name: str) -> None:
    case = cases()[name]
    unknown = case.unknown if isinstance(case.unknown, tuple) else (case.unknown,)
    assert unknown
    assert [fault for each in unknown if (fault := is_unknown(BY_NAME[name], each, case))] == []


@pytest.mark.parametrize("name", RULES_WITH_PROGRAMS)
def test_what_a_rule_is_not_about_it_leaves_alone(name: str) -> None:
    given = list(each_given(cases()[name].not_applicable))
    assert given or BY_NAME[name].whole
    assert [fault for each in given if (fault := does_not_apply(BY_NAME[name], each))] == []


def test_every_rule_has_its_programs() -> None:
    assert sorted(cases()) == sorted(BY_NAME)


def test_every_rule_is_on_the_page_of_policies() -> None:
    page = (ROOT / "docs" / "policies.md").read_text(encoding="utf-8")
    assert [each.name for each in RULES if each.name not in page] == []


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_a_rule_says_what_it_wants_why_and_what_to_do_in_sentences(rule: Rule) -> None:
    for text in (rule.reason, rule.remedy):
        assert text[0].isupper()
        assert text.endswith(".")
    assert rule.about
    assert rule.defaults.keys() == rule.settings.keys()
    assert re.fullmatch(r"[a-z]+(-[a-z]+)+", rule.name)


def test_every_runtime_that_lambda_knows_is_in_the_table() -> None:
    shape: Any = botocore.session.get_session().get_service_model("lambda").shape_for("Runtime")
    assert set(shape.enum) <= DEPRECATED.keys()
