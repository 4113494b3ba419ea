"""Pictures of programs: what is a node, what joins two, where a picture ends, and how it is written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pulumi_aws  # noqa: F401 - registers its types
import pytest
from pulumi.runtime import rpc
from typer.testing import CliRunner

from observability.__main__ import app
from observability.diagrams.graph import Edge, Graph, graph_of
from observability.diagrams.links import BEARERS, COMPONENT, KINDS, LINKS, NAMED, PARTS, Way
from observability.diagrams.mermaid import flowchart
from observability.diagrams.page import components, holdings, page, pictures
from observability.diagrams.views import begins, flows, joined_up, merged
from observability.program import Recording, Resource


def made(type_: str, logical: str, parent: str = "", **inputs: Any) -> Resource:
    """A resource as a recording has it."""
    arn = f"arn:aws:it:us-east-1:123456789012:{type_.rpartition(':')[2]}/{logical}"
    outputs = {"name": logical, **inputs, "arn": arn}
    return Resource(
        type=type_, name=logical, inputs=inputs, outputs=outputs, id=logical, urn=f"{type_}::{logical}", parent=parent
    )


def component(kind: str, name: str = "it") -> Resource:
    return Resource(type=f"shop:index:{kind}", name=name, urn=f"{kind}::{name}", custom=False)


def program(*resources: Resource) -> Recording:
    return Recording(project="shop", stack="test", resources=resources)


def arn(resource: Resource) -> str:
    return str(resource.outputs["arn"])


def topic(name: str, parent: str = "") -> Resource:
    return made("aws:sns/topic:Topic", name, parent)


def queue(name: str, parent: str = "", **inputs: Any) -> Resource:
    return made("aws:sqs/queue:Queue", name, parent, **inputs)


def table(name: str) -> Resource:
    return made("aws:dynamodb/table:Table", name)


def function(name: str, *statements: dict[str, Any], parent: str = "") -> list[Resource]:
    """A function, its role, and what the role allows."""
    role = made("aws:iam/role:Role", name)
    policy = json.dumps({"Statement": [{"Effect": "Allow", **each} for each in statements]})
    return [
        made("aws:lambda/function:Function", name, parent, role=arn(role)),
        role,
        made("aws:iam/rolePolicy:RolePolicy", name, role=name, policy=policy),
    ]


def may(action: str, *resources: str) -> dict[str, Any]:
    return {"Action": [action], "Resource": list(resources)}


def subscribed(from_: Resource, to: Resource) -> Resource:
    name = f"{from_.name}-{to.name}"
    return made("aws:sns/topicSubscription:TopicSubscription", name, topic=arn(from_), protocol="sqs", endpoint=arn(to))


def mapped(source: str, to: Resource, name: str = "mapping") -> Resource:
    return made("aws:lambda/eventSourceMapping:EventSourceMapping", name, eventSourceArn=source, functionName=arn(to))


def edges(*resources: Resource) -> set[tuple[str, str, Way, str]]:
    """By logical name."""
    graph = graph_of(program(*resources))
    names = {node.id: node.names[0] for node in graph.nodes}
    return {(names[each.source], names[each.target], each.way, each.label) for each in graph.edges}


# What joins two


def test_nothing_is_joined_that_no_resource_names() -> None:
    assert edges(topic("orders"), queue("orders"), *function("orders")) == set()


def test_a_subscription_and_a_mapping_hand_on() -> None:
    orders, waiting = topic("orders"), queue("waiting")
    send = function("send")
    assert edges(orders, waiting, *send, subscribed(orders, waiting), mapped(arn(waiting), send[0])) == {
        ("orders", "waiting", Way.FLOW, ""),
        ("waiting", "send", Way.FLOW, ""),
    }


def test_a_policy_in_text_names_where_dead_letters_go() -> None:
    dead = queue("dead")
    waiting = queue("waiting", redrivePolicy=json.dumps({"deadLetterTargetArn": arn(dead), "maxReceiveCount": 3}))
    assert edges(dead, waiting) == {("waiting", "dead", Way.DEAD, "dead letters")}


def test_text_that_is_not_json_names_nothing() -> None:
    assert edges(queue("waiting", redrivePolicy="{not json")) == set()


@pytest.mark.parametrize(
    ("action", "way", "label"),
    [
        ("dynamodb:GetItem", Way.ACCESS, "reads"),
        ("dynamodb:UpdateItem", Way.ACCESS, "writes"),
        ("dynamodb:*", Way.ACCESS, "writes"),
    ],
)
def test_a_permission_on_what_keeps_things_is_drawn_by_what_it_does(action: str, way: Way, label: str) -> None:
    ledger = table("ledger")
    assert edges(ledger, *function("send", may(action, arn(ledger)))) == {("send", "ledger", way, label)}


def test_a_permission_on_a_tables_index_is_one_on_the_table() -> None:
    ledger = table("ledger")
    assert edges(ledger, *function("send", may("dynamodb:Query", f"{arn(ledger)}/index/open"))) == {
        ("send", "ledger", Way.ACCESS, "reads")
    }


def test_a_permission_to_send_hands_on_and_one_to_look_is_not_drawn() -> None:
    waiting = queue("waiting")
    assert edges(waiting, *function("send", may("sqs:SendMessage", arn(waiting)))) == {
        ("send", "waiting", Way.FLOW, "")
    }
    assert edges(waiting, *function("send", may("sqs:GetQueueAttributes", arn(waiting)))) == set()
    assert edges(waiting, *function("send", may("sqs:PurgeQueue", arn(waiting)))) == {
        ("send", "waiting", Way.ACCESS, "changes")
    }


def test_a_denied_permission_is_none() -> None:
    waiting = queue("waiting")
    assert edges(waiting, *function("send", {**may("sqs:SendMessage", arn(waiting)), "Effect": "Deny"})) == set()


def test_a_permission_on_a_mapping_is_one_on_what_it_reads() -> None:
    waiting, send = queue("waiting"), function("send")
    mapping = mapped(arn(waiting), send[0])
    brake = function("brake", may("lambda:UpdateEventSourceMapping", arn(mapping)))
    assert ("brake", "waiting", Way.ACCESS, "changes") in edges(waiting, *send, mapping, *brake)


def test_an_alarm_leads_to_whom_it_tells_and_to_the_composite_that_names_it() -> None:
    told = topic("told")
    late = made("aws:cloudwatch/metricAlarm:MetricAlarm", "late", name="shop-late")
    both = made(
        "aws:cloudwatch/compositeAlarm:CompositeAlarm",
        "both",
        alarmName="shop-both",
        alarmRule='ALARM("shop-late") OR ALARM("of-somebody-else")',
        alarmActions=[arn(told)],
    )
    assert edges(told, late, both) == {("late", "both", Way.FLOW, ""), ("both", "told", Way.FLOW, "")}


def test_a_bucket_tells_by_its_bare_name() -> None:
    resize = function("resize")
    uploads = made("aws:s3/bucket:Bucket", "uploads")
    notification = made(
        "aws:s3/bucketNotification:BucketNotification",
        "uploads",
        bucket="uploads",
        lambdaFunctions=[{"lambdaFunctionArn": arn(resize[0])}],
    )
    assert edges(uploads, *resize, notification) == {("uploads", "resize", Way.FLOW, "")}


def test_the_longest_name_is_meant_where_one_begins_with_another() -> None:
    short, long = queue("orders"), queue("orders-dlq")
    orders = topic("topic")
    assert edges(short, long, orders, subscribed(orders, long)) == {("topic", "orders-dlq", Way.FLOW, "")}


def test_every_type_that_is_drawn_is_one_of_the_providers() -> None:
    """A wrong name would be drawn as nothing, and nobody would notice."""
    for token in {*KINDS, *LINKS, *NAMED.values(), *PARTS, *BEARERS} - {COMPONENT}:
        package, module, _ = token.split(":")
        registered: Any = rpc.get_resource_module(package, module, "")
        assert token in registered.mod_info["classes"], token


# Where a picture ends


def through(graph: list[Graph]) -> list[list[str]]:
    return [sorted(name for node in each.nodes for name in node.names) for each in graph]


def test_a_table_does_not_join_those_who_use_it() -> None:
    ledger, first, second = table("ledger"), queue("first"), queue("second")
    send = function("send", may("dynamodb:GetItem", arn(ledger)))
    report = function("report", may("dynamodb:GetItem", arn(ledger)))
    drawn = flows(
        graph_of(
            program(
                ledger,
                first,
                second,
                *send,
                *report,
                mapped(arn(first), send[0], "a"),
                mapped(arn(second), report[0], "b"),
            )
        )
    )
    assert sorted(through(drawn)) == [["first", "ledger", "send"], ["ledger", "report", "second"]]


def test_what_a_tables_stream_starts_is_one_picture_and_who_writes_the_table_another() -> None:
    state = table("state")
    stream = f"{arn(state)}/stream/2026-11-22"
    brake, guard = function("brake"), function("guard", may("dynamodb:PutItem", arn(state)))
    send = function("send", may("dynamodb:PutItem", arn(state)))
    waiting = queue("waiting")
    drawn = flows(
        graph_of(
            program(
                state,
                waiting,
                *brake,
                *guard,
                *send,
                mapped(stream, brake[0], "a"),
                mapped(stream, guard[0], "b"),
                mapped(arn(waiting), send[0], "c"),
            )
        )
    )
    assert sorted(through(drawn)) == [["brake", "guard", "state"], ["send", "state", "waiting"]]


def test_a_picture_begins_at_what_nothing_leads_to() -> None:
    orders, waiting = topic("orders"), queue("waiting")
    (drawn,) = flows(graph_of(program(orders, waiting, subscribed(orders, waiting))))
    assert [node.names for node in begins(drawn)] == [("orders",)]


# What is alike


def lanes(parent: str = "") -> list[Resource]:
    orders = topic("orders")
    dead = [queue(f"{lane}-dlq", parent) for lane in ("a", "b")]
    live = [queue(each.name[0], parent, redrivePolicy=json.dumps({"deadLetterTargetArn": arn(each)})) for each in dead]
    return [orders, *dead, *live, *(subscribed(orders, each) for each in live)]


def test_lanes_that_are_alike_are_drawn_once_with_all_their_names() -> None:
    drawn = merged(graph_of(program(*lanes())))
    assert sorted(node.names for node in drawn.nodes) == [("a", "b"), ("a-dlq", "b-dlq"), ("orders",)]
    assert len(drawn.edges) == 2


def test_a_lane_that_differs_far_away_is_drawn_apart() -> None:
    told = queue("told")
    watch = function("watch", may("sqs:SendMessage", arn(told)))
    of_one = mapped(arn(queue("a-dlq")), watch[0])
    drawn = merged(graph_of(program(*lanes(), told, *watch, of_one)))
    assert {node.names for node in drawn.nodes} >= {("a",), ("b",), ("a-dlq",), ("b-dlq",)}


def test_what_is_in_another_component_is_not_alike() -> None:
    one, other = component("One"), component("Other")
    told = topic("told")
    first, second = queue("first", one.urn), queue("second", other.urn)
    drawn = merged(
        graph_of(program(one, other, told, first, second, subscribed(told, first), subscribed(told, second)))
    )
    assert {node.names for node in drawn.nodes} == {("told",), ("first",), ("second",)}


def test_a_way_there_and_a_way_back_are_one_line_and_dead_letters_stay_their_own() -> None:
    graph = Graph(
        (),
        (
            Edge("a", "b", Way.FLOW),
            Edge("b", "a", Way.ACCESS, "reads"),
            Edge("a", "c", Way.FLOW),
            Edge("c", "a", Way.DEAD, "dead letters"),
        ),
    )
    assert set(joined_up(graph).edges) == {
        Edge("a", "b", Way.BOTH, "reads"),
        Edge("a", "c", Way.FLOW),
        Edge("c", "a", Way.DEAD, "dead letters"),
    }


# How it is written


def test_a_flowchart_has_its_components_as_frames_and_says_in_which_one_a_single_node_is() -> None:
    one, other = component("One"), component("Other")
    orders, first, second = topic("orders"), queue("first", one.urn), queue("second", one.urn)
    alone = queue("alone", other.urn, redrivePolicy=json.dumps({"deadLetterTargetArn": arn(first)}))
    text = flowchart(graph_of(program(one, other, orders, first, second, alone, subscribed(orders, second))))
    assert '    subgraph One["One"]\n        Queue_first["SQS queue<br/>first"]' in text
    assert '    Queue_alone["SQS queue<br/>alone<br/>in Other"]' in text
    assert '    Queue_alone -.->|"dead letters"| Queue_first' in text
    assert "    Topic_orders --> Queue_second" in text
    assert text.count("subgraph") == text.count("    end") == 1


def test_a_node_that_stands_for_many_says_how_many() -> None:
    told = topic("told")
    alarms = [
        made("aws:cloudwatch/metricAlarm:MetricAlarm", f"late-{number}", alarmActions=[arn(told)])
        for number in range(5)
    ]
    assert '[["alarm × 5"]]' in flowchart(merged(graph_of(program(told, *alarms))))


def test_components_are_joined_by_what_they_hand_on_and_not_by_the_table_that_all_use() -> None:
    kept = component("Kept")
    ledger = made("aws:dynamodb/table:Table", "ledger", kept.urn)
    parts = [component(kind) for kind in ("Front", "Back")]
    orders, waiting = topic("orders", parts[0].urn), queue("waiting", parts[1].urn)
    send = function("send", may("dynamodb:GetItem", arn(ledger)), parent=parts[1].urn)
    whole = program(kept, ledger, *parts, orders, waiting, *send, subscribed(orders, waiting))
    assert components(whole).graph.edges == (Edge("Front", "Back", Way.FLOW),)
    assert "| Back | Function, Queue | Kept (reads) |" in holdings(whole)


def test_two_components_of_a_class_are_told_apart_by_their_names() -> None:
    first, second = component("Worker", "first"), component("Worker", "second")
    whole = program(first, second, queue("one", first.urn), queue("other", second.urn))
    assert "| Worker first | Queue |  |\n| Worker second | Queue |  |" in holdings(whole)


def test_a_program_without_components_has_no_page_of_them() -> None:
    orders, waiting = topic("orders"), queue("waiting")
    text = page(program(orders, waiting, subscribed(orders, waiting)))
    assert text.startswith("# shop, stack test\n\n## From SNS topic orders\n\n```mermaid\n")
    assert "omponent" not in text


def test_the_order_of_registration_makes_no_difference() -> None:
    resources = [*lanes(), *function("send"), table("ledger")]
    assert page(program(*resources)) == page(program(*reversed(resources)))


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("thumbnails", "Bucket_uploads --> Function_resize"),
        ("bookings", 'Queue_confirm -.->|"dead letters"| Queue_confirm_dead'),
        ("parcels", "MetricAlarm_lost_share --> Topic_depot"),
    ],
)
def test_the_command_draws_any_program(name: str, line: str) -> None:
    folder = Path(__file__).parents[1] / "programs" / name
    result = CliRunner().invoke(app, ["diagram", "--program", str(folder), "--config", "owner=me"])
    assert result.exit_code == 0, result.output
    assert line in result.stdout
    assert len(pictures(program())) == 0
