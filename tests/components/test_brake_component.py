"""Brake: it follows the lanes, may touch nothing but them, and somebody is told whatever it does or fails to do."""

from __future__ import annotations

import json

import pytest

from components.brake import EVERY_MINUTES, SILENCE, Brake, BrakeArgs
from components.consumer import PRICE_LIST
from components.watch import BRAKE_ENGAGED_PAGE, Alarm, Expression, Graph, LogTable, Missing, Series, Severity, Watch
from handlers import environment
from handlers.adapters.control import LANE
from handlers.guarding import brake as rules
from handlers.telemetry.contract import BRAKE_ENGAGED, BRAKE_FAULTS
from tests.components import parts
from tests.components.recorder import Recorder, record, watch_of

ALIAS = "arn:aws:lambda:us-east-1:123456789012:function:shop-brake:live"
DLQ = "arn:aws:sqs:us-east-1:123456789012:shop-brake-dlq"
MAPPING = "arn:aws:lambda:us-east-1:123456789012:event-source-mapping:"


def arguments(**changes: object) -> BrakeArgs:
    return {
        "runtime": parts.runtime(),
        "lanes": {
            "order-confirmation": {
                "mapping_uuid": "1",
                "mapping_arn": f"{MAPPING}1",
                "configuration_set_name": "shop",
                "configuration_set_arn": parts.CONFIGURATION_SET,
            },
            "probe": {
                "mapping_uuid": "2",
                "mapping_arn": f"{MAPPING}2",
                "configuration_set_name": "shop-probe",
                "configuration_set_arn": parts.PROBE_SET,
            },
        },
        "control_stream_arn": parts.STREAM,
        **changes,  # type: ignore[typeddict-item]
    }


def built(**changes: object) -> Recorder:
    return record(lambda: Brake("shop", arguments(**changes)))[0]


def watched() -> Watch:
    return watch_of(lambda: Brake("shop", arguments()))


def alarm(name: str) -> Alarm:
    (found,) = [each for each in watched().alarms if each.name == name]
    return found


# ---- The function, and what starts it ----


def test_the_role_may_do_exactly_this() -> None:
    log = ["arn:aws:logs:us-east-1:123456789012:log-group:/aws/lambda/shop-brake:*"]
    assert built().allowed("shop-brake") == {
        "lambda:GetEventSourceMapping": [f"{MAPPING}1", f"{MAPPING}2"],
        "lambda:UpdateEventSourceMapping": [f"{MAPPING}1", f"{MAPPING}2"],
        "ses:GetConfigurationSet": [parts.CONFIGURATION_SET, parts.PROBE_SET],
        "ses:PutConfigurationSetSendingOptions": [parts.CONFIGURATION_SET, parts.PROBE_SET],
        "dynamodb:GetItem": [parts.CONTROL],
        "dynamodb:PutItem": [parts.CONTROL],
        "dynamodb:UpdateItem": [parts.CONTROL],
        "dynamodb:DescribeStream": [parts.STREAM],
        "dynamodb:GetRecords": [parts.STREAM],
        "dynamodb:GetShardIterator": [parts.STREAM],
        "dynamodb:ListStreams": [parts.STREAM],
        "sqs:SendMessage": [DLQ],
        "logs:CreateLogStream": log,
        "logs:PutLogEvents": log,
        "xray:PutTelemetryRecords": "*",
        "xray:PutTraceSegments": "*",
    }


def test_the_function_is_told_exactly_what_it_reads() -> None:
    inputs = built().one("Function").inputs
    assert inputs["handler"] == "handlers.brake.handler"
    variables = dict(inputs["environment"]["variables"])
    assert variables.keys() == environment.Brake.variables()
    assert environment.Brake.read(variables).full_batch == 10
    assert json.loads(variables.pop("LANES")) == {
        "order-confirmation": {"mapping": "1", "configurationSet": "shop"},
        "probe": {"mapping": "2", "configurationSet": "shop-probe"},
    }
    assert variables == {
        "FULL_BATCH": "10",
        "STACK": "test",
        "LOG_LEVEL": "INFO",
        "CONTROL_TABLE": "control",
        "PRICES": PRICE_LIST,
    }


def test_it_follows_lanes_and_not_the_tallies_that_every_batch_writes() -> None:
    (given,) = built().one("EventSourceMapping").inputs["filterCriteria"]["filters"]
    assert json.loads(given["pattern"]) == {"dynamodb": {"Keys": {"scope": {"S": [LANE]}}}}


def test_a_change_that_did_not_take_is_tried_again_and_not_for_ever() -> None:
    recorder = built()
    mapping = recorder.one("EventSourceMapping").inputs
    assert (mapping["eventSourceArn"], mapping["functionName"]) == (parts.STREAM, ALIAS)
    assert mapping["startingPosition"] == "TRIM_HORIZON"
    assert mapping["maximumRetryAttempts"] == 3, "AWS's default, -1, would hold back every later change"
    assert mapping["destinationConfig"] == {"onFailure": {"destinationArn": DLQ}}
    invoke = recorder.one("FunctionEventInvokeConfig").inputs
    assert invoke["maximumRetryAttempts"] == 2
    assert invoke["destinationConfig"] == {"onFailure": {"destination": DLQ}}


def test_it_looks_after_lanes_as_often_as_a_stage_of_a_ramp_lasts_and_knows_when_it_was_due() -> None:
    schedule = built().one("Schedule").inputs
    assert schedule["scheduleExpression"] == f"rate({rules.STAGE.seconds // 60} minutes)"
    assert schedule["target"]["arn"] == ALIAS
    assert json.loads(schedule["target"]["input"]) == {"at": "<aws.scheduler.scheduled-time>"}


def test_the_queue_of_failed_runs_takes_no_plain_http_but_in_an_emulator() -> None:
    assert set(built().one("QueuePolicy", "shop-brake-dlq").statements()) == {"DenyPlainHttp"}
    assert not built(require_tls=False).all("QueuePolicy")


def test_wrong_arguments_are_refused_together_before_anything_is_made() -> None:
    recorder = Recorder()
    with pytest.raises(ValueError, match=r"lanes is empty.*characters too long"):
        record(lambda: Brake("x" * 42, arguments(lanes={})), recorder=recorder)
    assert recorder.resources == []


def test_outputs_name_the_function_and_the_queue_of_failed_runs() -> None:
    assert record(lambda: Brake("shop", arguments()))[1] == {
        "function_arn": ALIAS,
        "function_name": "shop-brake",
        "log_group_name": "/aws/lambda/shop-brake",
        "dlq_arn": DLQ,
    }


# ---- What it says of itself ----


def test_a_lane_that_is_held_pages_and_says_where_to_look() -> None:
    engaged = alarm(BRAKE_ENGAGED_PAGE)
    assert isinstance(engaged.signal, Series)
    assert (engaged.signal.metric, engaged.signal.stat) == (BRAKE_ENGAGED.name, "Minimum"), "a release ends it at once"
    assert engaged.threshold == 1
    assert engaged.severity is Severity.PAGE
    assert "python -m ops status" in engaged.summary


def test_while_a_lane_is_held_the_alarm_has_a_point_in_every_period() -> None:
    assert alarm(BRAKE_ENGAGED_PAGE).period >= EVERY_MINUTES * 60, "or it would say that the lane was let go"


def test_a_hold_that_did_not_take_pages_at_the_first() -> None:
    failing = alarm("brake-failing-page")
    assert isinstance(failing.signal, Series)
    assert (failing.signal.metric, failing.signal.stat, failing.threshold) == (BRAKE_FAULTS.name, "Sum", 1)
    assert failing.points == (1, 1)


def test_a_brake_that_does_not_run_is_noticed_though_it_says_nothing() -> None:
    silent = alarm("brake-silent-ticket")
    assert isinstance(silent.signal, Expression)
    assert silent.signal.formula == "FILL(runs, 0)", "or older runs would stand for those that did not come"
    assert (silent.signal.series["runs"].namespace, silent.signal.series["runs"].metric) == (
        "AWS/Lambda",
        "Invocations",
    )
    assert (silent.missing, silent.threshold) == (Missing.BREACHING, 1)
    assert silent.period == SILENCE > 2 * rules.STAGE.seconds, "a run that is late by a minute is no silence"


def test_a_brake_that_fails_wakes_somebody_and_no_alarm_is_about_its_pace() -> None:
    assert {each.name for each in watched().alarms if each.condition not in ("engaged", "failing", "silent")} == {
        "brake-errors-page"
    }


def test_its_metrics_are_declared_and_people_see_what_is_held_and_by_whom() -> None:
    watch = watched()
    assert set(watch.metrics) == {BRAKE_ENGAGED, BRAKE_FAULTS}
    outcomes = [each for each in watch.widgets if each.board == "outcomes"]
    assert [type(each) for each in outcomes] == [Graph, LogTable]
    (table,) = [each for each in outcomes if isinstance(each, LogTable)]
    assert all(word in table.query for word in ('"engaged"', '"released"', "holder", "by", "reason"))
