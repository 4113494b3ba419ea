"""Prober: an order of our own every few minutes, told apart from silence, and nothing done twice."""

from __future__ import annotations

from typing import Any

import pytest
from pulumi.provider.experimental.analyzer import Analyzer

from components.consumer import PRICE_LIST
from components.prober import Prober, ProberArgs
from components.watch import Alarm, Graph, Missing, Series, Severity, Watch
from handlers.environment import Probe
from handlers.telemetry.contract import OLDEST_OPEN_EMAIL, PROBE_FAILURES
from tests.components import parts
from tests.components.recorder import Recorder, record, watch_of

ALIAS = "arn:aws:lambda:us-east-1:123456789012:function:shop-probe:live"
DLQ = "arn:aws:sqs:us-east-1:123456789012:shop-probe-dlq"


def arguments(**changes: object) -> ProberArgs:
    return {
        "runtime": parts.runtime(),
        "topic_arn": parts.ORDERS,
        "ledger_table_name": "ledger",
        "ledger_table_arn": parts.TABLE,
        "every_minutes": 5,
        **changes,  # type: ignore[typeddict-item]
    }


def built(**changes: object) -> Recorder:
    return record(lambda: Prober("shop", arguments(**changes)))[0]


def watched(**changes: object) -> Watch:
    return watch_of(lambda: Prober("shop", arguments(**changes)))


def alarm(name: str, **changes: object) -> Alarm:
    (found,) = [each for each in watched(**changes).alarms if each.name == name]
    return found


# ---- The function and its schedule ----


def test_the_role_may_do_exactly_this() -> None:
    log = ["arn:aws:logs:us-east-1:123456789012:log-group:/aws/lambda/shop-probe:*"]
    assert built().allowed("shop-probe") == {
        "sns:Publish": [parts.ORDERS],
        "dynamodb:UpdateItem": [parts.CONTROL],
        "dynamodb:GetItem": [parts.TABLE],
        "dynamodb:Query": [f"{parts.TABLE}/index/open"],
        "sqs:SendMessage": [DLQ],
        "logs:CreateLogStream": log,
        "logs:PutLogEvents": log,
        "xray:PutTelemetryRecords": "*",
        "xray:PutTraceSegments": "*",
    }


def test_the_function_is_told_exactly_what_it_reads() -> None:
    inputs = built(probe_seconds=20).one("Function").inputs
    assert inputs["handler"] == "handlers.probe.handler"
    assert inputs["environment"]["variables"] == {
        "LEDGER_TABLE": "ledger",
        "TOPIC_ARN": parts.ORDERS,
        "PROBE_SECONDS": "20",
        "STACK": "test",
        "LOG_LEVEL": "INFO",
        "CONTROL_TABLE": "control",
        "PRICES": PRICE_LIST,
    }
    assert inputs["environment"]["variables"].keys() == Probe.variables()
    assert Probe.read(inputs["environment"]["variables"]).probe_seconds == 20


@pytest.mark.parametrize("seconds", [10, 60, 600])
def test_a_probe_that_takes_its_time_and_calls_that_time_out_fit_into_the_timeout(seconds: int) -> None:
    timeout = built(probe_seconds=seconds).one("Function").inputs["timeout"]
    assert seconds + 3 * 24 < timeout <= 900


@pytest.mark.parametrize(
    ("minutes", "expression"),
    [(1, "rate(1 minute)"), (5, "rate(5 minutes)"), (1440, "rate(1440 minutes)"), (15.0, "rate(15 minutes)")],
)
def test_it_runs_on_time_and_never_again_for_a_run_that_failed(minutes: float, expression: str) -> None:
    recorder = built(every_minutes=minutes)
    schedule = recorder.one("Schedule").inputs
    assert (schedule["scheduleExpression"], schedule["flexibleTimeWindow"]) == (expression, {"mode": "OFF"})
    assert schedule["target"]["arn"] == ALIAS
    assert schedule["target"]["retryPolicy"]["maximumRetryAttempts"] == 0
    invoke = recorder.one("FunctionEventInvokeConfig").inputs
    assert (invoke["qualifier"], invoke["maximumRetryAttempts"]) == ("live", 0)
    assert invoke["destinationConfig"] == {"onFailure": {"destination": DLQ}}


def test_only_this_accounts_scheduler_runs_it_and_may_do_nothing_else() -> None:
    recorder = built()
    (trust,) = recorder.one("Role", "shop-probe-schedule").document("assumeRolePolicy")["Statement"]
    assert trust["Principal"] == {"Service": "scheduler.amazonaws.com"}
    assert trust["Condition"] == {"StringEquals": {"aws:SourceAccount": "123456789012"}}
    (grant,) = recorder.one("RolePolicy", "shop-probe-schedule").document()["Statement"]
    assert (grant["Action"], grant["Resource"]) == (["lambda:InvokeFunction"], [ALIAS])
    schedule = recorder.one("Schedule")
    assert "RolePolicy shop-probe-schedule" in schedule.dependencies, "the first run would be refused"
    assert schedule.inputs["target"]["roleArn"].endswith("role/shop-probe-schedule")


def test_the_event_settings_wait_for_the_alias_that_they_name() -> None:
    assert "Alias shop-probe" in built().one("FunctionEventInvokeConfig").dependencies


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"every_minutes": 0, "probe_seconds": 9}, "every_minutes is 0.*probe_seconds is 9"),
        ({"every_minutes": 1441, "probe_seconds": 601}, "every_minutes is 1441.*probe_seconds is 601"),
    ],
)
def test_wrong_arguments_are_refused_together_before_anything_is_made(changes: dict[str, Any], complaint: str) -> None:
    recorder = Recorder()
    with pytest.raises(ValueError, match=complaint):
        record(lambda: Prober("shop", arguments(**changes)), recorder=recorder)
    assert recorder.resources == []


def test_a_name_that_aws_would_find_too_long_is_refused_not_cut() -> None:
    with pytest.raises(ValueError, match="1 characters too long"):
        record(lambda: Prober("x" * 42, arguments()))
    record(lambda: Prober("x" * 41, arguments()))


def test_outputs_name_the_function_and_the_queue_of_failed_runs() -> None:
    assert record(lambda: Prober("shop", arguments()))[1] == {
        "function_arn": ALIAS,
        "function_name": "shop-probe",
        "log_group_name": "/aws/lambda/shop-probe",
        "dlq_arn": DLQ,
    }


def test_it_can_be_used_from_any_language() -> None:
    definition = Analyzer("mailroom").analyze([Prober])["component_definitions"]["Prober"]
    optional = {name for name, each in definition.inputs.items() if each.optional}
    assert optional == {"probeSeconds", "requireTls"}
    assert all(each.description for each in (*definition.inputs.values(), *definition.outputs.values()))


# ---- What it says of itself ----


def test_silence_of_the_prober_is_a_failed_probe_and_two_in_a_row_page() -> None:
    failing = alarm("probe-failing-page", every_minutes=7)
    assert isinstance(failing.signal, Series)
    assert (failing.signal.metric, failing.signal.stat) == (PROBE_FAILURES.name, "Minimum")
    assert (failing.period, failing.points, failing.threshold) == (420, (2, 2), 1)
    assert failing.missing is Missing.BREACHING
    assert failing.part_of == "pipeline-down-page"


def test_an_email_that_outlasts_what_ses_tries_and_an_hour_is_a_ticket() -> None:
    oldest = alarm("ledger-oldest-open-email-ticket")
    assert isinstance(oldest.signal, Series)
    assert (oldest.signal.metric, oldest.signal.stat) == (OLDEST_OPEN_EMAIL.name, "Maximum")
    assert (oldest.threshold, oldest.severity) == (5 * 3600, Severity.TICKET)
    assert oldest.missing is Missing.BREACHING, "an age that nobody measures is no good news"


@pytest.mark.parametrize("minutes", [1, 59, 60, 719, 1440])
def test_cloudwatch_can_evaluate_its_alarms_however_often_it_runs(minutes: int) -> None:
    for each in watched(every_minutes=minutes).alarms:
        assert each.period % 60 == 0
        assert each.period * each.points[1] <= (7 * 86_400 if each.period >= 3600 else 86_400)


def test_its_metrics_are_declared_drawn_with_their_thresholds_and_its_function_is_watched() -> None:
    watch = watched()
    assert set(watch.metrics) == {OLDEST_OPEN_EMAIL, PROBE_FAILURES}
    outcomes = [each for each in watch.widgets if isinstance(each, Graph) and each.board == "outcomes"]
    assert {line.name for graph in outcomes for line in graph.lines} == {
        "probe-failing-page",
        "ledger-oldest-open-email-ticket",
    }
    assert {each.condition for each in watch.alarms if each.component == "probe"} > {"failing", "errors"}
