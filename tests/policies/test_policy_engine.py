"""What a rule may see of a resource, what comes of it, and what a reader is told."""

from __future__ import annotations

import importlib
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import date, timedelta
from typing import Any, Final

import pytest
from pulumi.runtime import rpc

from observability.program.resources import Resource
from policies.configuration import json_type, read_configuration
from policies.engine import WAIVERS, Verdict, judge, judge_stack, stack_of
from policies.model import UNKNOWN, Elsewhere, Level, Outcome, Rule, Stack, Unknown, document, rule, value
from policies.rules import RULES
from policies.waivers import Waiver, read_waivers
from tests.policies.programs import QUEUE, TODAY, TOPIC, resource, short_delay, some_topic, stack
from tests.policies.programs import RULES as SMALL
from tests.recorded import STACKS, recording

SLOW = resource("orders", delaySeconds=60)
QUICK = resource("orders", delaySeconds=5)
TOLD = resource("told", TOPIC)


def judged(*resources: Resource, waivers: tuple[Waiver, ...] = (), **configured: Any) -> Verdict:
    return judge_stack(stack(*resources), SMALL, configured, waivers)


# Properties


@pytest.mark.parametrize(
    ("inputs", "path"),
    [
        ({"a": UNKNOWN}, "a"),
        ({"a": UNKNOWN}, "a.b"),
        ({"a": {"b": [1, UNKNOWN]}}, "a.b[1]"),
        ({"a": {"b": [{"c": UNKNOWN}]}}, "a"),
    ],
    ids=["itself", "what it is in", "an item", "something in it"],
)
def test_a_value_that_is_not_known_cannot_be_looked_at(inputs: Mapping[str, Any], path: str) -> None:
    with pytest.raises(Unknown) as error:
        value(resource("orders", **inputs), path)
    assert error.value.path == path


def test_what_is_beside_an_unknown_value_can_be_looked_at() -> None:
    assert value(resource("orders", a={"b": UNKNOWN, "c": [1, {"d": 2}]}), "a.c[1].d") == 2


@pytest.mark.parametrize("path", ["b", "a.x", "a[1]", "a.c[2]", "a.c[x]", "a.c[0].d"])
def test_what_is_absent_is_none(path: str) -> None:
    assert value(resource("orders", a={"c": [1, 2]}), path) is None


def test_inputs_come_before_outputs() -> None:
    given = replace(resource("orders", a=1), outputs={"a": 2, "b": 3})
    assert (value(given, "a"), value(given, "b")) == (1, 3)


def test_a_known_input_is_read_although_the_output_is_not_known() -> None:
    assert value(replace(resource("orders", a=False), outputs={"a": UNKNOWN}), "a") is False


@pytest.mark.parametrize(
    ("given", "expected"), [('{"a": 1}', {"a": 1}), ({"a": 1}, {"a": 1}), ("x", None), ("[]", None)]
)
def test_a_document_is_json_as_text_or_as_it_is(given: Any, expected: Any) -> None:
    assert document(resource("orders", policy=given), "policy") == expected


# Outcomes


@pytest.mark.parametrize(
    ("given", "outcome"),
    [
        (SLOW, Outcome.VIOLATED),
        (QUICK, Outcome.SATISFIED),
        (resource("orders", delaySeconds=UNKNOWN), Outcome.UNKNOWN),
        (resource("orders", fifoQueue=True, delaySeconds=60), Outcome.NOT_APPLICABLE),
    ],
)
def test_a_rule_ends_in_one_of_four_ways(given: Resource, outcome: Outcome) -> None:
    verdict = judged(given, TOLD)
    assert [each.outcome for each in verdict.judgements] == [outcome, Outcome.SATISFIED]
    assert verdict.fails is (outcome is Outcome.VIOLATED)


def test_what_is_only_looked_up_is_not_judged() -> None:
    assert not judged(replace(SLOW, external=True), TOLD).findings


def test_a_rule_is_asked_only_of_its_types() -> None:
    verdict = judged(TOLD, resource("told-too", TOPIC, delaySeconds=60))
    assert [each.rule.name for each in verdict.judgements] == ["some-topic"]


def test_a_package_stands_for_all_its_types() -> None:
    ours = Resource(type="shop:index:Intake", name="intake")
    assert stack(SLOW, ours, TOLD).of("aws:") == (SLOW, TOLD)


def test_a_violation_that_is_seen_stands_whatever_else_is_unknown() -> None:
    def check(_: Resource, __: Stack) -> Iterator[str]:
        yield "delaySeconds is 60"
        raise Unknown("tags")

    (judgement,) = judge(replace(short_delay, check=check), stack(SLOW))
    assert (judgement.outcome, judgement.unknown) == (Outcome.VIOLATED, "tags")
    assert [each.wrong for each in judgement.wrong] == ["delaySeconds is 60"]


# Findings


def test_a_finding_says_which_resource_what_is_wrong_why_it_matters_and_what_to_do() -> None:
    (finding,) = judged(replace(SLOW, source="__main__.py:7"), TOLD).findings
    assert finding.message == ("Queue orders: delaySeconds is 60. Somebody waits for the message. Lower delaySeconds.")
    assert (finding.rule, finding.level, finding.resource) == ("short-delay", Level.MANDATORY, "Queue orders")
    assert (finding.urn, finding.source) == (SLOW.urn, "__main__.py:7")


def test_a_finding_about_the_stack_names_it_and_no_resource() -> None:
    (finding,) = judged(QUICK).findings
    assert (finding.resource, finding.urn) == ("Stack shop-prod", "")


def test_a_rule_may_find_fault_with_another_resource_than_the_one_it_is_asked_about() -> None:
    def check(_: Resource, __: Stack) -> Iterator[Elsewhere]:
        yield Elsewhere(TOLD, "it is gone")

    (finding, *_) = judge_stack(stack(QUICK), (replace(short_delay, check=check),), {}).findings
    assert (finding.resource, finding.urn) == ("Topic told", TOLD.urn)


# Waivers

WAIVER = Waiver(
    rule="short-delay", resource="Queue orders", stacks=("prod",), owner="platform", reason="A test.", expires=TODAY
)


def test_a_waiver_holds_a_finding_off_up_to_its_last_day() -> None:
    verdict = judged(SLOW, TOLD, waivers=(WAIVER,))
    assert not verdict.findings
    assert [each.waiver for each in verdict.waived] == [WAIVER]
    assert not verdict.fails


def test_an_expired_waiver_fails_and_says_so() -> None:
    expired = replace(WAIVER, expires=TODAY - timedelta(days=1))
    verdict = judged(SLOW, TOLD, waivers=(expired,))
    assert verdict.fails
    (finding,) = verdict.findings
    assert "Its waiver ended on 2026-11-22; platform answers for it." in finding.message


def test_of_two_waivers_the_one_that_holds_counts() -> None:
    verdict = judged(SLOW, TOLD, waivers=(replace(WAIVER, expires=date(2026, 1, 1)), WAIVER))
    assert [each.waiver for each in verdict.waived] == [WAIVER]


@pytest.mark.parametrize(
    "other",
    [
        replace(WAIVER, rule="some-topic"),
        replace(WAIVER, resource="Queue other"),
        replace(WAIVER, resource="orders"),
        replace(WAIVER, stacks=("dev",)),
    ],
    ids=["rule", "resource", "kind", "stack"],
)
def test_a_waiver_is_for_one_rule_one_resource_and_its_stacks(other: Waiver) -> None:
    assert judged(SLOW, TOLD, waivers=(other,)).fails


def test_a_waiver_that_waives_nothing_is_told_and_fails_nothing() -> None:
    verdict = judged(QUICK, TOLD, waivers=(WAIVER,))
    assert [(each.rule, each.level, each.resource) for each in verdict.findings] == [
        (WAIVERS, Level.ADVISORY, "Queue orders")
    ]
    assert not verdict.fails


def test_nothing_is_told_of_a_waiver_for_another_stack_or_a_rule_that_is_off() -> None:
    elsewhere = replace(WAIVER, stacks=("dev",))
    assert not judged(QUICK, TOLD, waivers=(elsewhere,)).findings
    assert not judge_stack(stack(QUICK, TOLD), (some_topic,), {}, (WAIVER,)).findings


# The pack

UNUSED: Final[Mapping[str, str]] = {
    "buckets-private": "the program keeps nothing in S3; the state bucket is a program of its own, bootstrap/",
    "buckets-versioned": "likewise",
}
"""Rules that judge nothing in any of our stacks, and why they are there all the same."""


@pytest.fixture(scope="module", params=STACKS)
def own(request: pytest.FixtureRequest) -> Stack:
    return stack_of(recording(request.param), TODAY)


def test_every_type_that_a_rule_names_is_one_of_the_sdk() -> None:
    named = {type_ for each in RULES for type_ in each.types if not type_.endswith(":")}
    assert named
    assert not [each for each in sorted(named) if not _registered(each)]


def _registered(token: str) -> bool:
    importlib.import_module("pulumi_aws")
    package, module, _ = token.split(":")
    found = rpc.get_resource_module(package, module, "")
    return token in (getattr(found, "mod_info", None) or {}).get("classes", {})


def test_a_rule_that_judges_nothing_of_ours_is_listed_with_a_reason() -> None:
    asked: Counter[str] = Counter()
    for name in STACKS:
        of = stack_of(recording(name), TODAY)
        for judgement in judge_stack(of, RULES, read_configuration(name, RULES)).judgements:
            asked[judgement.rule.name] += judgement.outcome is not Outcome.NOT_APPLICABLE
    assert {each.name for each in RULES if not asked[each.name]} == set(UNUSED)


def test_a_recording_leaves_nothing_unknown(own: Stack) -> None:
    verdict = judge_stack(own, RULES, read_configuration(own.stack, RULES))
    assert [f"{each.rule.name}: {each.unknown}" for each in verdict.unknown] == []


@pytest.mark.parametrize("name", STACKS)
def test_our_stacks_pass_and_every_waiver_is_needed(name: str) -> None:
    today = date.today()  # noqa: DTZ011 - a waiver that has ended fails, as it does at a deployment
    waivers = read_waivers(RULES, today)
    verdict = judge_stack(stack_of(recording(name), today), RULES, read_configuration(name, RULES), waivers)
    assert [each.message for each in verdict.findings if each.rule != "function-runtime-lasting"] == []


def test_a_rule_that_is_asked_before_registration_says_the_same_of_a_resource_alone_and_without_outputs(
    own: Stack,
) -> None:
    """So the engine may ask it of each resource as soon as that is declared."""
    for each in (one for one in RULES if not one.related):
        settings = each.defaults
        for judgement in judge(each, replace(own, settings=settings)):
            alone = replace(judgement.resource, outputs={})
            (again,) = judge(each, replace(own, resources=(alone,), settings=settings))
            assert (each.name, again.outcome) == (each.name, judgement.outcome), judgement.resource.name


@pytest.mark.parametrize("each", RULES, ids=lambda each: each.name)
def test_a_rule_is_told_in_sentences_and_its_settings_are_json(each: Rule) -> None:
    assert each.name == each.name.lower().replace("_", "-").strip("-")
    assert each.about[0].isupper(), each.about
    assert not each.about.endswith("."), each.about
    for text in (each.reason, each.remedy):
        assert text.endswith("."), text
        assert text[0].isupper() or not text[0].isalpha(), text
    assert each.settings.keys() == each.defaults.keys()
    assert [json_type(default) for default in each.defaults.values()] == [
        json_type(each.defaults[name]) for name in each.settings
    ]


def test_the_decorator_makes_a_rule_on_the_whole_stack_look_at_other_resources() -> None:
    assert some_topic.related
    assert not short_delay.related
    assert rule("x", QUEUE, about="X", reason="X.", remedy="X.", related=True)(short_delay.check).related
