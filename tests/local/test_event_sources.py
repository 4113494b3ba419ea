"""Event sources of the deployed functions: what a table's stream hands over, and what AWS would ask a role for."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from local import reserved
from local.aws import LocalAws
from local.deployer.guards import Guards
from local.deployer.model import Account, Declared, DeploymentError, Json
from local.known_actions import known, on_every, one_by_one

ROLE = "arn:aws:iam::000000000000:role/follower"
STREAM = "arn:aws:dynamodb:us-east-1:000000000000:table/control/stream/2026-11-22T00:00:00.000"
FAILURES = "arn:aws:sqs:us-east-1:000000000000:failures"
READ = ["dynamodb:DescribeStream", "dynamodb:GetRecords", "dynamodb:GetShardIterator", "dynamodb:ListStreams"]


def mapped(source: str, allowed: dict[str, str]) -> None:
    """Hand a mapping to the guards, of a function whose role is allowed these actions on these resources."""
    guards = Guards()
    statements = [{"Effect": "Allow", "Action": action, "Resource": each} for action, each in allowed.items()]
    policy = json.dumps({"Version": "2012-10-17", "Statement": statements})
    made: list[tuple[str, Json, Json]] = [
        ("aws:iam/role:Role", {"assumeRolePolicy": "{}"}, {"arn": ROLE, "name": "follower"}),
        ("aws:iam/rolePolicy:RolePolicy", {"policy": policy}, {"role": "follower"}),
        ("aws:lambda/function:Function", {}, {"name": "follow", "role": ROLE}),
    ]
    for type_, inputs, outputs in made:
        guards.after(Declared(type_, "follower", inputs), outputs)
    inputs = {
        "functionName": "arn:aws:lambda:us-east-1:000000000000:function:follow:live",
        "eventSourceArn": source,
        "destinationConfig": {"onFailure": {"destinationArn": FAILURES}},
    }
    mapping = Declared("aws:lambda/eventSourceMapping:EventSourceMapping", "follow", inputs)
    guards.before(mapping, Account("http://127.0.0.1:1", "us-east-1"))


def test_a_role_that_may_read_the_stream_and_put_failures_aside_is_let_pass() -> None:
    mapped(STREAM, {**dict.fromkeys(READ, STREAM), "sqs:SendMessage": FAILURES})


@pytest.mark.parametrize("action", [*READ, "sqs:SendMessage"])
def test_a_stream_that_lambda_could_not_read_for_the_function_is_refused_by_its_action(action: str) -> None:
    allowed = {**dict.fromkeys(READ, STREAM), "sqs:SendMessage": FAILURES}
    del allowed[action]
    with pytest.raises(DeploymentError, match=f"role 'follower' is not allowed {action} on"):
        mapped(STREAM, allowed)


def test_an_event_source_that_nothing_here_polls_is_refused() -> None:
    with pytest.raises(DeploymentError, match="is no event source here, only those of sqs, dynamodb are"):
        mapped("arn:aws:kinesis:us-east-1:000000000000:stream/orders", {"sqs:SendMessage": FAILURES})


@pytest.mark.parametrize(
    ("method", "path", "action"),
    [
        ("GET", "/2015-03-31/event-source-mappings/1", "GetEventSourceMapping"),
        ("PUT", "/2015-03-31/event-source-mappings/1", "UpdateEventSourceMapping"),
        ("DELETE", "/2015-03-31/event-source-mappings/1", "DeleteEventSourceMapping"),
        ("GET", "/2015-03-31/event-source-mappings", "another's"),
        ("GET", "/2015-03-31/functions/1", "another's"),
    ],
)
def test_the_emulator_asks_for_what_aws_asks_for_about_one_mapping_and_decides_the_rest_itself(
    method: str, path: str, action: str
) -> None:
    others: Callable[[str, str], str | None] = lambda _method, _path: "another's"  # noqa: E731
    assert known(others)(method, path) == action


@pytest.mark.parametrize(
    ("called", "action"),
    [("ChangeMessageVisibilityBatch", "ChangeMessageVisibility"), ("SendMessage", "SendMessage"), (None, None)],
)
def test_a_batch_is_allowed_by_the_action_of_a_single_one(called: str | None, action: str | None) -> None:
    assert one_by_one(lambda _headers: called)({}) == action


@pytest.mark.parametrize(
    ("found", "action", "resource"),
    [
        ("*", "cloudwatch:DescribeAlarms", "arn:aws:cloudwatch:eu-west-1:1234:alarm:*"),
        ("*", "cloudwatch:GetDashboard", "arn:aws:cloudwatch::1234:dashboard/*"),
        ("*", "cloudwatch:ListMetrics", "*"),
        ("*", None, "*"),
        ("arn:of:one", "cloudwatch:DescribeAlarms", "arn:of:one"),
    ],
)
def test_alarms_and_dashboards_are_asked_for_on_their_kind_and_not_on_everything(
    found: str, action: str | None, resource: str
) -> None:
    asked = on_every(lambda *_request: found, lambda *_request: action)
    assert asked("monitoring", "POST", "/", {}, b"", {}, "eu-west-1", "1234") == resource


@pytest.mark.parametrize(("of_version", "of_function", "found"), [(None, 0, 0), (None, None, None), (3, 0, 3)])
def test_a_functions_reserved_concurrency_holds_for_its_versions(
    of_version: int | None, of_function: int | None, found: int | None
) -> None:
    functions: dict[str, Json] = {"send": {"concurrency": of_function, "config": {}}}
    own = reserved.shared(lambda record, _config: record.get("concurrency"), functions)
    assert own({"concurrency": of_version}, {"FunctionName": "send"}) == found
    assert own({"concurrency": of_version}, {"FunctionName": "another"}) == of_version


@pytest.mark.local
def test_a_mapped_stream_is_as_declared_in_the_account(aws: LocalAws) -> None:
    control = aws.client("dynamodb").describe_table(TableName=aws.outputs["controlTableName"])["Table"]
    assert control["StreamSpecification"] == {"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"}
    found = aws.client("lambda").list_event_source_mappings(EventSourceArn=control["LatestStreamArn"])
    mappings = {each["FunctionArn"].split(":")[6]: each for each in found["EventSourceMappings"]}
    assert mappings.keys() == {aws.outputs["brakeFunctionName"], aws.outputs["reputationGuardFunctionName"]}
    brake = mappings[aws.outputs["brakeFunctionName"]]
    assert (brake["StartingPosition"], brake["MaximumRetryAttempts"]) == ("TRIM_HORIZON", 3)
    (pattern,) = brake["FilterCriteria"]["Filters"]
    assert json.loads(pattern["Pattern"]) == {"dynamodb": {"Keys": {"scope": {"S": ["lane"]}}}}
    assert "brake-dlq" in brake["DestinationConfig"]["OnFailure"]["Destination"]
