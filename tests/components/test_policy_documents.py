"""Statements that say too much, or not enough, are refused."""

from __future__ import annotations

import pulumi
import pytest

from components.checks import between, one_of, refuse, short_enough
from components.policy import Statement, faults

TABLE = "arn:aws:dynamodb:us-east-1:123456789012:table/ledger"


@pytest.mark.parametrize(
    ("statement", "complaint"),
    [
        ({"actions": ["*"], "resources": [TABLE]}, "one by one"),
        ({"actions": ["dynamodb:*"], "resources": [TABLE]}, "one by one"),
        ({"actions": ["dynamodb:Get*"], "resources": [TABLE]}, "one by one"),
        ({"actions": ["GetItem"], "resources": [TABLE]}, "one by one"),
        ({"actions": [], "resources": [TABLE]}, "allows nothing"),
        ({"actions": ["dynamodb:GetItem"]}, "either resources or the reason"),
        ({"actions": ["dynamodb:GetItem"], "resources": []}, "either resources or the reason"),
        ({"actions": ["dynamodb:GetItem"], "resources": [TABLE, "*"]}, "say why"),
        ({"actions": ["dynamodb:GetItem"], "every_resource_because": " "}, "either resources or the reason"),
        (
            {"actions": ["dynamodb:GetItem"], "resources": [TABLE], "every_resource_because": "no"},
            "either resources or the reason",
        ),
    ],
)
def test_a_statement_that_is_too_wide_or_too_vague_is_refused(statement: Statement, complaint: str) -> None:
    (fault,) = faults([statement])
    assert complaint in fault
    assert "statement 1 (" in fault


def test_statements_that_name_actions_and_resources_pass() -> None:
    assert not list(
        faults(
            [
                {"actions": ["dynamodb:GetItem"], "resources": [TABLE]},
                {"actions": ["xray:PutTraceSegments"], "every_resource_because": "X-Ray has no resources"},
            ]
        )
    )


def test_all_faults_of_a_component_are_raised_together() -> None:
    with pytest.raises(ValueError, match=r"^Thing 'x': a; b$") as refused:
        refuse("Thing", "x", ["a", None, "b"])
    assert isinstance(refused.value, pulumi.RunError), "which the CLI prints without a stack trace"
    refuse("Thing", "x", [None])


def test_a_number_is_held_to_its_limits_on_both_sides() -> None:
    assert between("timeout", 0, 1, 900) == "timeout is 0, allowed are 1 to 900"
    assert between("timeout", 901, 1, 900, "seconds") == "timeout is 901, allowed are 1 to 900 seconds"
    assert between("timeout", 1, 1, 900) is None
    assert between("timeout", 900, 1, 900) is None


def test_a_name_is_too_long_as_soon_as_its_suffix_does_not_fit() -> None:
    assert short_enough("queue", "x" * 72, 80) is None
    assert "1 characters too long" in (short_enough("queue", "x" * 73, 80) or "")


def test_a_choice_lists_what_there_is() -> None:
    assert one_of("policy", "none", ["none", "reject"]) is None
    assert one_of("policy", "maybe", ["none", "reject"]) == "policy is 'maybe', allowed are none, reject"
