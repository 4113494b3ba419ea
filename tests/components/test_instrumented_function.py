"""InstrumentedFunction: runs with what it is given and no more, and can be watched."""

from __future__ import annotations

import pytest

from components.function import InstrumentedFunction, InstrumentedFunctionArgs
from tests.components import parts
from tests.components.recorder import Recorder, record


def built(**changes: object) -> Recorder:
    args: InstrumentedFunctionArgs = {**parts.function(), **changes}  # type: ignore[typeddict-item]
    return record(lambda: InstrumentedFunction("shop-send", args))[0]


def test_it_runs_python_on_arm_with_tracing_and_json_logs_in_a_group_of_its_own() -> None:
    inputs = built().one("Function").inputs
    assert (inputs["runtime"], inputs["architectures"]) == ("python3.13", ["arm64"])
    assert inputs["tracingConfig"] == {"mode": "Active"}
    assert inputs["loggingConfig"] == {
        "logFormat": "JSON",
        "logGroup": "/aws/lambda/shop-send",
        "applicationLogLevel": "INFO",
        "systemLogLevel": "INFO",
    }
    assert "environment" not in inputs, "an empty environment would be a change at every preview"


@pytest.mark.parametrize(("level", "kept"), [("DEBUG", "DEBUG"), ("INFO", "INFO"), ("WARN", "INFO"), ("ERROR", "INFO")])
def test_lambda_never_drops_metric_records_whatever_the_log_level(level: str, kept: str) -> None:
    assert built(log_level=level).one("Function").inputs["loggingConfig"]["applicationLogLevel"] == kept


def test_the_log_group_is_there_first_and_keeps_its_logs_as_long_as_told() -> None:
    recorder = built(log_retention_days=7)
    assert recorder.one("LogGroup", "/aws/lambda/shop-send").inputs["retentionInDays"] == 7
    assert "LogGroup /aws/lambda/shop-send" in recorder.one("Function").dependencies


def test_the_function_waits_for_its_permissions() -> None:
    assert "RolePolicy shop-send" in built().one("Function").dependencies


def test_only_lambda_may_assume_the_role() -> None:
    trust = built().one("Role").document("assumeRolePolicy")
    assert [statement["Principal"] for statement in trust["Statement"]] == [{"Service": "lambda.amazonaws.com"}]


def test_the_role_may_do_what_it_is_given_and_write_its_own_log_and_traces() -> None:
    allowed = [
        (statement["Action"], statement["Resource"]) for statement in built().one("RolePolicy").document()["Statement"]
    ]
    log = "arn:aws:logs:us-east-1:123456789012:log-group:/aws/lambda/shop-send:*"
    assert allowed == [
        (["dynamodb:GetItem"], [parts.TABLE]),
        (["logs:CreateLogStream", "logs:PutLogEvents"], [log]),
        (["xray:PutTelemetryRecords", "xray:PutTraceSegments"], "*"),
    ]


def test_callers_get_an_alias_of_a_published_version() -> None:
    recorder, outputs = record(lambda: InstrumentedFunction("shop-send", parts.function()))
    assert recorder.one("Function").inputs["publish"] is True
    alias = recorder.one("Alias").inputs
    assert (alias["name"], alias["functionVersion"]) == ("live", "1")
    assert outputs == {
        "alias_arn": "arn:aws:lambda:us-east-1:123456789012:function:shop-send:live",
        "function_name": "shop-send",
        "log_group_name": "/aws/lambda/shop-send",
        "role_name": "shop-send",
    }


def test_what_fails_asynchronously_goes_to_the_failure_queue() -> None:
    recorder = built(failure_queue_arn=parts.QUARANTINE)
    invoke = recorder.one("FunctionEventInvokeConfig").inputs
    assert invoke["qualifier"] == "live"
    assert invoke["destinationConfig"] == {"onFailure": {"destination": parts.QUARANTINE}}
    last = recorder.one("RolePolicy").document()["Statement"][-1]
    assert (last["Action"], last["Resource"]) == (["sqs:SendMessage"], [parts.QUARANTINE])


def test_a_function_that_an_event_source_calls_needs_no_failure_queue() -> None:
    assert not built().all("FunctionEventInvokeConfig")


def test_memory_timeout_and_concurrency_are_as_told() -> None:
    inputs = built(memory_mb=1024, timeout_seconds=60, reserved_concurrency=5).one("Function").inputs
    assert (inputs["memorySize"], inputs["timeout"], inputs["reservedConcurrentExecutions"]) == (1024, 60, 5)
    assert "reservedConcurrentExecutions" not in built().one("Function").inputs


def test_all_faults_are_reported_before_anything_is_made() -> None:
    wrong: InstrumentedFunctionArgs = {
        **parts.function(),
        "memory_mb": 64,
        "timeout_seconds": 901,
        "log_level": "loud",
        "statements": [{"actions": ["s3:*"], "resources": [parts.TABLE]}],
    }
    complaint = r"memory_mb is 64.*timeout_seconds is 901.*log_level is 'loud'.*one by one"
    recorder = Recorder()
    with pytest.raises(ValueError, match=complaint):
        record(lambda: InstrumentedFunction("shop-send", wrong), recorder=recorder)
    assert recorder.resources == []


def test_a_name_that_aws_would_find_too_long_is_refused_not_cut() -> None:
    with pytest.raises(ValueError, match="1 characters too long"):
        record(lambda: InstrumentedFunction("x" * 57, parts.function()))
    record(lambda: InstrumentedFunction("x" * 56, parts.function()))
