"""The rules of a review, each by itself: what is different, what is replaced, who may what, and how it is written."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from observability.program.resources import Recording, Resource
from observability.review.alarms import alarm_changes, watched
from observability.review.behaviour import replayed
from observability.review.costs import Costing, costs
from observability.review.dashboards import dashboard_changes
from observability.review.differences import ABSENT, PULUMI_UNKNOWN, UNKNOWN, Edit, edits, words
from observability.review.iam import Grant, grants, permissions, rows
from observability.review.markdown import block, code, escaped, folded, table
from observability.review.page import _long_table
from observability.review.replacement import known, replacing
from observability.review.resources import Fate, changes
from observability.sources import Estate, estate_of_documents
from tests.observability.shop import DOWN, ERRORS, PAGER, incident

ACCOUNT = "arn:aws:dynamodb:us-east-1:123456789012:table"


def resource(type_: str, name: str, *, parent: str = "", **options: Any) -> Resource:
    """A resource with the URN that the engine gives it; `inputs` and further attributes as options."""
    above = f"{parent.split('::')[2]}$" if parent else ""
    inputs = options.pop("inputs", {})
    return Resource(
        type=type_,
        name=name,
        urn=f"urn:pulumi:prod::shop::{above}{type_}::{name}",
        parent=parent,
        inputs=inputs,
        outputs={**inputs, **options.pop("outputs", {})},
        **options,
    )


def recording(*resources: Resource) -> Recording:
    return Recording(project="shop", stack="prod", resources=resources)


def queue(name: str = "orders", **options: Any) -> Resource:
    arn = f"arn:aws:sqs:us-east-1:123456789012:{name}"
    return resource("aws:sqs/queue:Queue", name, outputs={"arn": arn, "name": name}, **options)


# Values


def test_json_in_text_is_compared_by_path_and_not_as_text() -> None:
    before, after = (json.dumps({"Statement": [{"Sid": "A", "Action": action}]}) for action in ("a:B", "a:C"))

    assert [*edits({"policy": before}, {"policy": after})] == [Edit("policy.Statement[A].Action", "a:B", "a:C")]


def test_entries_with_names_may_stand_in_another_order() -> None:
    one, other = {"name": "a", "size": 1}, {"name": "b", "size": 2}

    assert [*edits({"of": [one, other]}, {"of": [other, {**one, "size": 3}]})] == [Edit("of[a].size", 1, 3)]


def test_a_list_tells_what_came_and_what_went() -> None:
    assert [*edits(["a", "b"], ["b", "c"], "of")] == [Edit("of[]", "a", ABSENT), Edit("of[]", ABSENT, "c")]


def test_the_order_alone_is_a_difference_too() -> None:
    assert [*edits(["a", "b"], ["b", "a"], "of")] == [Edit("of", ["a", "b"], ["b", "a"])]


def test_what_is_known_only_after_deployment_is_said_so() -> None:
    assert words(PULUMI_UNKNOWN) == UNKNOWN
    assert words([PULUMI_UNKNOWN]) == f'["{UNKNOWN}"]'


# Without what makes two values alike that are written differently: JSON in text, and entries that have names.
TEXT = st.text(alphabet="ab1 ", max_size=4)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(min_value=-2, max_value=2) | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)


@given(JSON, JSON)
def test_whatever_differs_is_told_and_nothing_else(one: Any, other: Any) -> None:
    same = json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)

    assert [*edits(one, one)] == []
    assert bool([*edits(one, other)]) is not same


# Resources


@pytest.mark.parametrize(
    ("type_", "fixed", "free"),
    [
        ("aws:sqs/queue:Queue", "fifoQueue", "visibilityTimeoutSeconds"),
        ("aws:dynamodb/table:Table", "hashKey", "billingMode"),
        ("aws:sns/topicSubscription:TopicSubscription", "endpoint", "filterPolicy"),
        ("aws:lambda/function:Function", "name", "memorySize"),
        ("aws:cloudwatch/dashboard:Dashboard", "dashboardName", "dashboardBody"),
        ("aws:apigateway/restApi:RestApi", "region", "name"),
        ("aws:lambda/layerVersion:LayerVersion", "code", "skipDestroy"),
    ],
)
def test_what_cannot_be_changed_in_place_is_known_of_a_type(type_: str, fixed: str, free: str) -> None:
    assert fixed in replacing(type_)
    assert free not in replacing(type_)


def test_the_documentation_of_a_provider_is_believed() -> None:
    # The table has nothing of this type; pulumi_aws documents that another value of this forces another resource.
    assert "port" in replacing("aws:elasticache/cluster:Cluster")


def test_of_a_type_that_nobody_documents_nothing_is_claimed() -> None:
    assert known("aws:sqs/queue:Queue")
    assert not known("aws:ivs/channel:Channel")
    assert not known("random:index/randomPet:RandomPet")


def test_a_queue_that_is_replaced_loses_its_messages_and_says_what_forces_it() -> None:
    [found] = changes(recording(queue(inputs={"delay": 1})), recording(queue(inputs={"delay": 1, "fifoQueue": True})))

    assert (found.fate, found.forced_by, found.lost) == (Fate.REPLACED, ("fifoQueue",), "the messages in it")


def test_replace_on_changes_forces_it_too() -> None:
    before, after = (
        queue(inputs={"delaySeconds": 1}),
        queue(inputs={"delaySeconds": 2}, replace_on_changes=("delaySeconds",)),
    )

    assert changes(recording(before), recording(after))[0].fate is Fate.REPLACED


def test_a_change_that_the_program_ignores_is_none() -> None:
    before, after = queue(inputs={"tags": {"a": "1"}}), queue(inputs={"tags": {"a": "2"}}, ignore_changes=("tags",))

    found = changes(recording(before), recording(after))

    assert [edit.path for each in found for edit in each.edits] == ["option ignoreChanges"]


def test_what_names_a_replaced_resource_follows_it() -> None:
    def pair(**inputs: Any) -> Recording:
        made = queue(inputs=inputs)
        arn = made.outputs["arn"]
        type_ = "aws:sns/topicSubscription:TopicSubscription"
        return recording(made, resource(type_, "orders", inputs={"endpoint": arn}, dependencies=(made.urn,)))

    found = changes(pair(), pair(fifoQueue=True))

    assert [(each.label, each.fate, each.follows) for each in found] == [
        ("TopicSubscription orders", Fate.REPLACED, ("Queue orders",)),
        ("Queue orders", Fate.REPLACED, ()),
    ]


def test_a_new_name_is_another_resource_and_the_old_one_is_removed() -> None:
    found = changes(recording(queue("orders", protect=True)), recording(queue("incoming")))

    assert [(each.fate, each.label, each.refused) for each in found] == [
        (Fate.REMOVED, "Queue orders", True),
        (Fate.ADDED, "Queue incoming", False),
    ]


def test_an_alias_says_that_it_is_the_same_resource() -> None:
    old = queue("orders")
    [found] = changes(recording(old), recording(queue("incoming", aliases=(old.urn,))))

    assert (found.fate, found.formerly) == (Fate.CHANGED, "orders")


def test_the_alias_of_a_component_is_one_of_its_children_too() -> None:
    def program(name: str, **options: Any) -> Recording:
        component = resource("shop:index:Intake", name, custom=False, **options)
        return recording(component, queue(f"{name}-dlq", parent=component.urn))

    old = program("orders")
    [found] = changes(old, program("incoming", aliases=(old.resources[0].urn,)))

    assert (found.fate, found.formerly) == (Fate.CHANGED, "orders-dlq")


def test_code_is_told_by_its_digest() -> None:
    def function(digest: str) -> Recording:
        return recording(
            resource("aws:lambda/function:Function", "send", inputs={"code": {"archive": "a", "sha256": digest}})
        )

    [found] = changes(function("1" * 16), function("2" * 16))

    assert [edit.path for edit in found.edits] == ["code"]


def test_what_is_kept_when_it_is_removed_is_not_lost() -> None:
    [found] = changes(recording(queue(retain_on_delete=True)), recording())

    assert not found.lost


# Permissions


def policy(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def allowed(action: Any, on: Any, **more: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": action, "Resource": on, **more}


def role_policy(*statements: dict[str, Any]) -> Recording:
    inputs = {"role": "send", "policy": policy(*statements)}
    return recording(resource("aws:iam/rolePolicy:RolePolicy", "send", inputs=inputs))


def test_an_action_is_gained_and_the_others_stay() -> None:
    before, after = role_policy(allowed("a:B", "arn:x")), role_policy(allowed(["a:B", "a:C"], "arn:x"))

    found = permissions(before, after)

    assert (found.gained, found.lost) == ((Grant("Role send", "a:C", "arn:x"),), ())


def test_what_a_star_covers_is_not_lost_and_the_star_is_told_loudly() -> None:
    found = permissions(role_policy(allowed("a:B", "arn:x")), role_policy(allowed("a:*", "*")))

    assert not found.lost
    assert [each.alarming for each in found.alarming] == ["every action of a, on every resource"]


@pytest.mark.parametrize(
    ("statement", "says"),
    [
        (allowed("*", "arn:x"), "every action"),
        (allowed("a:B", "*"), "on every resource"),
        ({"Effect": "Allow", "NotAction": "iam:*", "Resource": "arn:x"}, "every action but a few"),
        (allowed("a:B", "arn:x"), ""),
        ({"Effect": "Deny", "Action": "*", "Resource": "*"}, ""),
    ],
)
def test_what_is_too_much_is_told(statement: dict[str, Any], says: str) -> None:
    assert {each.alarming for each in grants(role_policy(statement))} == {says}


def test_a_condition_that_goes_is_a_grant_that_comes() -> None:
    given = {"StringEquals": {"aws:SourceAccount": "1"}}
    found = permissions(role_policy(allowed("a:B", "arn:x", Condition=given)), role_policy(allowed("a:B", "arn:x")))

    assert [each.condition for each in (*found.gained, *found.lost)] == ["", "aws:SourceAccount is 1"]


def test_a_queue_that_anyone_may_send_to_is_told_with_its_name() -> None:
    made = queue()
    sends = allowed("sqs:SendMessage", made.outputs["arn"], Principal="*")
    type_ = "aws:sqs/queuePolicy:QueuePolicy"
    opened = resource(type_, "orders", inputs={"queueUrl": "https://q", "policy": policy(sends)})

    [grant] = permissions(recording(made), recording(made, opened)).gained

    assert (grant.who, grant.target, grant.alarming) == ("anyone", "Queue orders", "for anyone")


def test_a_permission_of_a_function_and_a_managed_policy_are_seen() -> None:
    invoke = resource(
        "aws:lambda/permission:Permission",
        "send",
        inputs={
            "action": "lambda:InvokeFunction",
            "function": "send",
            "principal": "sns.amazonaws.com",
            "sourceArn": "arn:t",
        },
    )
    attached = resource(
        "aws:iam/rolePolicyAttachment:RolePolicyAttachment",
        "send",
        inputs={"role": "send", "policyArn": "arn:aws:iam::aws:policy/AdministratorAccess"},
    )

    found = permissions(recording(), recording(invoke, attached)).gained

    assert {(each.who, each.condition, each.alarming) for each in found} == {
        ("service sns.amazonaws.com", "aws:SourceArn is arn:t", ""),
        ("Role send", "", "a managed policy that allows nearly everything"),
    }


def test_a_policy_of_the_program_is_looked_into_where_it_is_attached() -> None:
    made = resource(
        "aws:iam/policy:Policy", "write", inputs={"policy": policy(allowed("a:B", "arn:x"))}, outputs={"arn": "arn:p"}
    )
    attached = resource(
        "aws:iam/rolePolicyAttachment:RolePolicyAttachment", "send", inputs={"role": "send", "policyArn": "arn:p"}
    )

    assert grants(recording(made, attached)) == {Grant("Role send", "a:B", "arn:x")}
    assert not grants(recording(made))


def test_grants_that_differ_in_actions_alone_share_a_row() -> None:
    [row] = rows(grants(role_policy(allowed(["a:B", "a:C"], ["arn:x", "arn:y"]))))

    assert (row.actions, row.targets) == (("a:B", "a:C"), ("arn:x", "arn:y"))


# Alarms and incidents


def estate(*documents: dict[str, Any]) -> Estate:
    return estate_of_documents(documents)


@pytest.mark.parametrize(
    ("change", "what", "before", "after"),
    [
        ({"Threshold": 4}, "threshold", "≥ 2", "≥ 4"),
        ({"ComparisonOperator": "GreaterThanThreshold"}, "threshold", "≥ 2", "> 2"),
        ({"DatapointsToAlarm": 3}, "data points", "2 of 3", "3 of 3"),
        ({"Period": 300}, "period", "1m", "5m"),
        ({"TreatMissingData": "breaching"}, "missing data", "notBreaching", "breaching"),
        ({"Statistic": "Maximum"}, "statistic", "Sum", "Maximum"),
        ({"MetricName": "Throttles"}, "metric", "AWS/Lambda Errors", "AWS/Lambda Throttles"),
        ({"Dimensions": []}, "dimensions", "FunctionName=checkout", "none"),
        ({"AlarmActions": [PAGER]}, "tells of ALARM", "nobody", "pager"),
        ({"ActionsEnabled": False}, "actions enabled", "yes", "no"),
    ],
)
def test_everything_that_an_alarm_does_is_compared(change: dict[str, Any], what: str, before: str, after: str) -> None:
    [found] = alarm_changes(estate(ERRORS), estate({**ERRORS, **change}))

    assert found.edits == (Edit(what, before, after),)


def test_another_dimension_is_told_of_as_what_it_was() -> None:
    other = [*ERRORS["Dimensions"], {"Name": "Resource", "Value": "checkout:live"}]
    found = watched(estate(ERRORS), estate({**ERRORS, "Dimensions": other}))

    [series] = found.new
    assert series.dimensions == ("FunctionName", "Resource")
    assert [each.dimensions for each in found.former(series)] == [("FunctionName",)]


INCIDENT = """
incident: Errors
length: 1h
series:
  AWS/Lambda Errors {FunctionName=checkout}:
    - {for: 10m, value: 0}
    - {value: 3}
expect:
  errors-page: {fires: {by: 20m}}
  down-page: {fires: {by: 20m}}
"""


def test_an_expectation_that_held_and_does_not_is_broken(tmp_path: Any) -> None:
    later = {**ERRORS, "Threshold": 5}
    found = replayed([incident(tmp_path, INCIDENT)], estate(ERRORS, DOWN), estate(later, DOWN), [ERRORS["AlarmName"]])

    assert [row.alarm for row in found.broken] == ["shop-prod-checkout-errors-page", "shop-prod-down-page"]
    assert (found.promises, found.failing) == (2, 0)


def test_an_alarm_that_is_gone_breaks_what_is_expected_of_it(tmp_path: Any) -> None:
    found = replayed([incident(tmp_path, INCIDENT)], estate(ERRORS, DOWN), estate(ERRORS), [DOWN["AlarmName"]])

    [row] = found.broken
    assert (row.alarm, row.promises[0].after) == ("shop-prod-down-page", "there is no such alarm any more")


def test_an_incident_may_be_of_an_alarm_that_is_new(tmp_path: Any) -> None:
    found = replayed([incident(tmp_path, INCIDENT)], estate(ERRORS), estate(ERRORS, DOWN), [DOWN["AlarmName"]])

    assert not found.skipped
    assert not found.broken
    assert [(row.alarm, row.before) for row in found.rows] == [("shop-prod-down-page", None)]


def test_what_was_broken_already_is_not_put_down_to_the_change(tmp_path: Any) -> None:
    never = {**ERRORS, "Threshold": 50}
    found = replayed([incident(tmp_path, INCIDENT)], estate(never, DOWN), estate({**never, "Threshold": 60}, DOWN), [])

    assert (found.broken, found.failing) == ((), 2)


# Money and dashboards


def test_the_bill_tells_only_the_lines_that_changed() -> None:
    def alarms(*names: str) -> Recording:
        type_ = "aws:cloudwatch/metricAlarm:MetricAlarm"
        return recording(*(resource(type_, name, inputs={"metricName": "a", "period": 60}) for name in names))

    found = costs(alarms("a", "b"), alarms("b", "c", "d"), Costing())

    assert [(line.resource, str(line.more)) for line in found.lines] == [
        ("MetricAlarm a", "-0.10"),
        ("MetricAlarm c", "0.10"),
        ("MetricAlarm d", "0.10"),
    ]


def widget(title: str, **properties: Any) -> dict[str, Any]:
    return {
        "type": "metric",
        "width": 6,
        "height": 6,
        "properties": {"title": title, "metrics": [["S", "M"]], **properties},
    }


def board(*widgets: dict[str, Any]) -> Estate:
    return estate({"DashboardName": "shop", "DashboardBody": json.dumps({"widgets": list(widgets)})})


def test_widgets_are_added_removed_and_changed_by_their_titles() -> None:
    before = board(widget("a"), widget("b"), widget("c", period=60))
    [found] = dashboard_changes(before, board(widget("c", period=300), widget("d"), widget("a")))

    assert {(each.title, each.what) for each in found.widgets} == {("b", "removed"), ("c", "changed"), ("d", "added")}


def test_a_line_of_a_graph_that_has_another_dimension_is_the_same_line_changed() -> None:
    [found] = dashboard_changes(board(widget("a")), board(widget("a", metrics=[["S", "M", "D", "v"]])))

    assert found.widgets[0].edits == (Edit("line", "S M", "S M D v"),)


# Markdown


@given(st.text(max_size=60))
def test_code_shows_a_value_whatever_is_in_it(value: str) -> None:
    html = MarkdownIt("commonmark", {"html": True}).enable("table").render(table(("a",), [(code(value),)]))

    assert html.count("<td") == 1
    assert html.count("<code>") == (1 if value.strip() else html.count("<code>"))
    assert "<script" not in html


@given(st.text(alphabet="ab <>&|*_`[]()#@~!\n\\", max_size=40))
def test_words_of_a_program_are_never_markup(words_: str) -> None:
    html = MarkdownIt("commonmark", {"html": True}).enable("table").render(f"a {escaped(words_)}")

    assert not {"<em", "<strong", "<a ", "<code", "<h1", "<b>"} & {
        html[at : at + size] for at in range(len(html)) for size in (3, 4, 5, 7)
    }


def test_a_fence_is_longer_than_any_in_the_text() -> None:
    assert block("```\nout of it").startswith("````text\n")


def test_a_summary_is_html_in_which_nothing_of_a_program_is() -> None:
    shown = folded(f"{code('<b>x')} and **more**", "body")

    assert "<summary><code>&lt;b&gt;x</code> and <b>more</b></summary>" in shown


def test_characters_that_cannot_be_seen_are_spelt_out() -> None:
    assert code("a\u202eb\x00") == "`a\\u202eb\\u0000`"


def test_a_recording_does_not_differ_from_itself() -> None:
    made = recording(queue(inputs={"a": [1, {"b": None}]}), queue("x"))

    assert not changes(made, replace(made))


def test_a_folded_table_is_cut_where_something_new_begins() -> None:
    lines = [["a", "1"], ["", "2"], ["", "3"], ["b", "4"], ["", "5"], ["", "6"]]
    shown, _, rest = _long_table(["what", "value"], lines, most=2).partition("<details>")
    assert "| a | 1 |\n|  | 2 |\n|  | 3 |" in shown
    assert "| b | 4 |" in rest
    assert "<summary>3 more</summary>" in rest
    assert "<details>" not in _long_table(["what", "value"], [["a", "1"], *[["", "2"]] * 6], most=2)
