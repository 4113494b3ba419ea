"""OrderTracing: a stack's own group and rules, on names that no other stack of the account has."""

from __future__ import annotations

import botocore.session
import pytest
from botocore.model import StructureShape
from pulumi.provider.experimental.analyzer import Analyzer

from components.checks import ArgumentsError
from components.tracing import OrderTracing, OrderTracingArgs
from tests.components.parts import ORDERS
from tests.components.recorder import Recorder, record


@pytest.fixture(scope="module")
def api() -> StructureShape:
    """A sampling rule in X-Ray's API: the limits are AWS's, not ours."""
    shape = botocore.session.Session().get_service_model("xray").shape_for("SamplingRule")
    assert isinstance(shape, StructureShape)
    return shape


def args(**changes: object) -> OrderTracingArgs:
    return {"stack": "prod", "topic_arn": ORDERS, **changes}  # type: ignore[typeddict-item]


def built(**changes: object) -> Recorder:
    return record(lambda: OrderTracing("shop", args(**changes)))[0]


def test_the_group_gathers_the_traces_of_its_stack_alone_and_pages_nobody() -> None:
    group = built().one("Group").inputs
    assert group["groupName"] == "shop-prod"
    assert group["filterExpression"] == 'annotation.stack = "prod"'
    assert group["insightsConfiguration"] == {"insightsEnabled": True, "notificationsEnabled": False}


def test_the_topic_and_what_stands_before_it_are_sampled_alike_and_nothing_else_is() -> None:
    rules = {rule.inputs["ruleName"]: rule.inputs for rule in built(reservoir=3, share=0.2).all("SamplingRule")}
    assert {(rule["reservoirSize"], rule["fixedRate"]) for rule in rules.values()} == {(3, 0.2)}
    matched = {name: (rule["resourceArn"], rule["serviceName"]) for name, rule in rules.items()}
    assert matched == {"shop-prod-topic": (ORDERS, "*"), "shop-prod-entry": ("*", "shop-prod-*")}
    assert all(rule[key] == "*" for rule in rules.values() for key in ("host", "httpMethod", "serviceType", "urlPath"))


def test_x_rays_own_default_applies_where_nothing_is_said() -> None:
    assert {(rule.inputs["reservoirSize"], rule.inputs["fixedRate"]) for rule in built().all("SamplingRule")} == {
        (1, 0.05)
    }


def test_two_stacks_of_one_account_share_no_name_and_no_rule_asks_for_the_same_place() -> None:
    names = {
        resource.inputs.get("groupName", resource.inputs.get("ruleName"))
        for stack in ("dev", "prod")
        for resource in built(stack=stack).resources
        if resource.type.startswith("aws:")
    }
    assert len(names) == 6
    priorities = [rule.inputs["priority"] for rule in built().all("SamplingRule")]
    assert len(set(priorities)) == 2
    assert all(1 <= priority <= 9999 for priority in priorities)


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"share": 5}, "share is 5, allowed are 0 to 1"),
        ({"share": -0.1}, "share is -0.1"),
        ({"reservoir": -1}, "reservoir is -1, allowed are 0 and more"),
        ({"stack": "a-stack-with-a-long-name"}, "'shop-a-stack-with-a-long-name-topic' is 3 characters too long"),
        ({"stack": 'a" OR "b'}, "has a quotation mark"),
    ],
)
def test_what_x_ray_would_refuse_is_refused_with_its_reason(changes: dict[str, object], fault: str) -> None:
    with pytest.raises(ArgumentsError, match=fault):
        built(**changes)


def test_the_longest_name_that_is_let_through_is_the_longest_that_x_ray_takes(api: StructureShape) -> None:
    rules = built(stack="s" * 21).all("SamplingRule")
    most = api.members["RuleName"].metadata["max"]
    assert max(len(rule.inputs["ruleName"]) for rule in rules) == most == 32
    with pytest.raises(ArgumentsError):
        built(stack="s" * 22)


def test_every_property_is_one_that_the_api_has(api: StructureShape) -> None:
    known = {member.lower() for member in api.members}
    for rule in built().all("SamplingRule"):
        assert {key.lower() for key in rule.inputs} <= known


def test_outputs_lead_to_the_group() -> None:
    outputs = record(lambda: OrderTracing("shop", args()))[1]
    assert outputs["group_name"] == "shop-prod"
    assert outputs["group_arn"].startswith("arn:aws:xray:us-east-1:123456789012:group/shop-prod/")


def test_it_can_be_used_from_any_language() -> None:
    definition = Analyzer("mailroom").analyze([OrderTracing])["component_definitions"]["OrderTracing"]
    assert {name for name, each in definition.inputs.items() if not each.optional} == {"stack", "topicArn"}
    assert set(definition.outputs) == {"groupArn", "groupName"}
    assert all(each.description for each in [*definition.inputs.values(), *definition.outputs.values()])
