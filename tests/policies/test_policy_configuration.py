"""A stack's configuration is what the engine takes, and a slip in it is told instead of passed over."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from observability.errors import ToolkitError
from policies.configuration import configuration, configured_stacks, level_of, read_configuration, settings_of
from policies.engine import judge_stack
from policies.model import Level
from policies.rules import RULES as PACK
from tests.policies.programs import RULES, resource, short_delay, some_topic, stack


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ([], "expected an object with names of rules, found list"),
        ({"short-dely": "advisory"}, "there is no rule 'short-dely'; is 'short-delay' meant?"),
        ({"short-delay": "mandatry"}, "short-delay: 'mandatry' is no level; there are advisory, mandatory, disabled"),
        ({"short-delay": {"enforcementLevel": "remediate"}}, "short-delay: 'remediate' is no level"),
        ({"short-delay": 7}, "short-delay has to be a level or an object of settings, not 7"),
        ({"short-delay": {"second": 7}}, "short-delay: it has no setting 'second'; is 'seconds' meant?"),
        ({"short-delay": {"seconds": "7"}}, "short-delay: seconds has to be of type number, not '7'"),
        ({"short-delay": {"seconds": True}}, "short-delay: seconds has to be of type number, not True"),
        ({"all": {"seconds": 7}}, "all: it has no setting 'seconds'"),
    ],
)
def test_a_slip_is_told_with_its_place(content: Any, said: str) -> None:
    with pytest.raises(ToolkitError) as error:
        configuration(content, RULES, "prod.json")
    assert str(error.value).startswith("prod.json: ")
    assert said in str(error.value)


def test_a_file_that_is_not_json_is_told(tmp_path: Path) -> None:
    (tmp_path / "prod.json").write_text("{", encoding="utf-8")
    with pytest.raises(ToolkitError, match="cannot be read as JSON"):
        read_configuration("prod", RULES, tmp_path)


def test_a_stack_without_a_file_has_the_defaults(tmp_path: Path) -> None:
    assert read_configuration("prod", RULES, tmp_path) == {}
    assert (level_of(short_delay, {}), settings_of(short_delay, {})) == (Level.MANDATORY, short_delay.defaults)


def test_what_is_configured_goes_over_the_defaults() -> None:
    given = configuration({"short-delay": {"seconds": 99, "enforcementLevel": "advisory"}}, RULES, "prod.json")
    assert settings_of(short_delay, given) == {"seconds": 99, "quick": []}
    assert (level_of(short_delay, given), level_of(some_topic, given)) == (Level.ADVISORY, Level.MANDATORY)


def test_a_rule_of_its_own_level_is_not_changed_by_that_of_all() -> None:
    given = configuration({"all": "disabled", "some-topic": "advisory"}, RULES, "prod.json")
    assert (level_of(short_delay, given), level_of(some_topic, given)) == (Level.DISABLED, Level.ADVISORY)


def test_a_stack_is_judged_as_it_is_configured() -> None:
    slow = resource("orders", delaySeconds=60)
    given = configuration({"short-delay": {"seconds": 60}, "some-topic": "advisory"}, RULES, "prod.json")
    verdict = judge_stack(stack(slow), RULES, given)
    assert [(each.rule, each.level) for each in verdict.findings] == [("some-topic", Level.ADVISORY)]
    assert not verdict.fails
    switched_off = judge_stack(stack(slow), RULES, configuration({"all": "disabled"}, RULES, "prod.json"))
    assert (switched_off.judgements, set(switched_off.disabled)) == ((), {"short-delay", "some-topic"})


def test_our_own_configurations_are_in_order(tmp_path: Path) -> None:
    assert configured_stacks() == ("dev", "local", "prod")
    for each in configured_stacks():
        assert read_configuration(each, PACK)
    (tmp_path / "x.json").write_text(json.dumps({}), encoding="utf-8")
    assert configured_stacks(tmp_path) == ("x",)
