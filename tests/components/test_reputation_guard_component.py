"""ReputationGuard: it sees every outcome and nothing else, may hold lanes, and pages when it does not work."""

from __future__ import annotations

import json

import pytest
from pulumi.provider.experimental.analyzer import Analyzer

from components.reputation_guard import ReputationGuard, ReputationGuardArgs
from components.watch import Alarm, Expression, Graph, Missing, Severity, Watch
from handlers.environment import ReputationGuard as Environment
from handlers.telemetry.contract import REPUTATION_WARNINGS
from tests.components import parts
from tests.components.recorder import ACCOUNT, REGION, Recorder, record, watch_of

CONTROL = f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/control"
STREAM = f"{CONTROL}/stream/2026-11-23T00:00:00.000"
DLQ = f"arn:aws:sqs:{REGION}:{ACCOUNT}:shop-reputation-guard-dlq"


def arguments(**changes: object) -> ReputationGuardArgs:
    return {
        "runtime": {**parts.runtime(), "control_table_name": "control", "control_table_arn": CONTROL},
        "control_stream_arn": STREAM,
        **changes,  # type: ignore[typeddict-item]
    }


def built(**changes: object) -> Recorder:
    return record(lambda: ReputationGuard("shop", arguments(**changes)))[0]


def watched() -> Watch:
    return watch_of(lambda: ReputationGuard("shop", arguments()))


def alarm(name: str) -> Alarm:
    (found,) = [each for each in watched().alarms if each.name == name]
    return found


def test_the_role_may_do_exactly_this() -> None:
    allowed: dict[str, set[str]] = {}
    for statement in built().one("RolePolicy").document()["Statement"]:
        for action in statement["Action"]:
            allowed.setdefault(action, set()).update(statement["Resource"])
    log = {f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:/aws/lambda/shop-reputation-guard:*"}
    assert allowed == {
        **{f"dynamodb:{action}": {CONTROL} for action in ("GetItem", "PutItem", "Query", "UpdateItem")},
        **{
            f"dynamodb:{action}": {STREAM}
            for action in ("DescribeStream", "GetRecords", "GetShardIterator", "ListStreams")
        },
        "sqs:SendMessage": {DLQ},
        "logs:CreateLogStream": log,
        "logs:PutLogEvents": log,
        "xray:PutTelemetryRecords": {"*"},
        "xray:PutTraceSegments": {"*"},
    }


def test_the_function_is_told_what_it_reads() -> None:
    inputs = built().one("Function").inputs
    variables = inputs["environment"]["variables"]
    assert inputs["handler"] == "handlers.reputation_guard.handler"
    # Every handler is given prices, whether it counts or not.
    assert variables.keys() == Environment.variables() | {"PRICES"}
    assert Environment.read(variables).control_table == "control"


def test_it_follows_outcomes_only_gathers_them_and_gives_up_what_three_retries_did_not_mend() -> None:
    mapping = built().one("EventSourceMapping").inputs
    assert mapping["eventSourceArn"] == STREAM
    assert mapping["functionName"].endswith(":shop-reputation-guard:live")
    (pattern,) = [json.loads(each["pattern"]) for each in mapping["filterCriteria"]["filters"]]
    assert pattern == {"dynamodb": {"Keys": {"scope": {"S": [{"prefix": "outcomes/"}]}}}}
    assert (mapping["batchSize"], mapping["maximumBatchingWindowInSeconds"]) == (100, 10)
    assert mapping["maximumRetryAttempts"] == 3
    assert mapping["destinationConfig"] == {"onFailure": {"destinationArn": DLQ}}


@pytest.mark.parametrize("require_tls", [True, False])
def test_plain_http_is_denied_unless_an_emulator_has_nothing_else(require_tls: bool) -> None:
    assert built(require_tls=require_tls).names("QueuePolicy") == ["shop-reputation-guard-dlq"] * require_tls


def test_a_name_that_aws_would_find_too_long_is_refused_before_anything_is_made() -> None:
    recorder = Recorder()
    with pytest.raises(ValueError, match="1 characters too long"):
        record(lambda: ReputationGuard("x" * 40, arguments()), recorder=recorder)
    assert recorder.resources == []
    record(lambda: ReputationGuard("x" * 39, arguments()))


def test_outputs_name_the_function_and_the_queue_of_what_was_given_up() -> None:
    assert record(lambda: ReputationGuard("shop", arguments()))[1] == {
        "function_name": "shop-reputation-guard",
        "log_group_name": "/aws/lambda/shop-reputation-guard",
        "dlq_arn": DLQ,
    }


def test_it_can_be_used_from_any_language() -> None:
    definition = Analyzer("mailroom").analyze([ReputationGuard])["component_definitions"]["ReputationGuard"]
    assert {name for name, each in definition.inputs.items() if each.optional} == {"requireTls"}
    assert all(each.description for each in (*definition.inputs.values(), *definition.outputs.values()))


def test_a_guard_that_fails_pages_for_it_guards_nobody() -> None:
    assert alarm("reputation-guard-errors-page").severity is Severity.PAGE


def test_a_warning_is_a_ticket_before_the_lane_is_held() -> None:
    warning = alarm("reputation-warning-ticket")
    assert isinstance(warning.signal, Expression)
    assert warning.signal.formula == "FILL(warnings, 0)", "or a warning would be told of for longer than an hour"
    warnings = warning.signal.series["warnings"]
    assert (warnings.metric, warnings.stat) == (REPUTATION_WARNINGS.name, "Sum")
    assert (warning.threshold, warning.period, warning.points) == (1, 3600, (1, 1))
    assert warning.missing is Missing.NOT_BREACHING


def test_it_has_no_other_alarm_and_draws_its_warnings() -> None:
    watch = watched()
    assert {each.name for each in watch.alarms} == {"reputation-guard-errors-page", "reputation-warning-ticket"}
    assert list(watch.metrics) == [REPUTATION_WARNINGS]
    lines = [line.name for each in watch.widgets if isinstance(each, Graph) for line in each.lines]
    assert sorted(lines) == ["reputation-guard-errors-page", "reputation-warning-ticket"]
