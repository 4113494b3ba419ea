"""What is read of alarms: both shapes of AWS's, and a sentence for each that cannot be used."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest

from observability.errors import ToolkitError
from observability.model import (
    Comparison,
    CompositeAlarm,
    MetricAlarm,
    MetricKey,
    Missing,
    State,
    Suppressor,
    alarm_name,
    read_alarms,
    read_mute_rule,
)

ARN = "arn:aws:cloudwatch:us-east-1:123456789012:alarm:"
SIMPLE: Mapping[str, Any] = {
    "AlarmName": "queue-waiting",
    "Namespace": "AWS/SQS",
    "MetricName": "ApproximateAgeOfOldestMessage",
    "Dimensions": [{"Name": "QueueName", "Value": "orders"}],
    "Statistic": "Maximum",
    "Period": 300,
    "EvaluationPeriods": 3,
    "Threshold": 600.0,
    "ComparisonOperator": "GreaterThanThreshold",
    "AlarmActions": ["arn:aws:sns:us-east-1:123456789012:page"],
}
MATH: Mapping[str, Any] = {
    "AlarmName": "bounce-rate",
    "EvaluationPeriods": 1,
    "Threshold": 5,
    "ComparisonOperator": "GreaterThanOrEqualToThreshold",
    "TreatMissingData": "notBreaching",
    "Metrics": [
        {"Id": "rate", "Expression": "100 * bounces / sent", "Label": "rate"},
        *(
            {
                "Id": id_,
                "ReturnData": False,
                "MetricStat": {
                    "Metric": {"Namespace": "Shop", "MetricName": name},
                    "Period": 3600,
                    "Stat": "Sum",
                },
            }
            for id_, name in (("bounces", "Bounces"), ("sent", "Sent"))
        ),
    ],
}
COMPOSITE: Mapping[str, Any] = {
    "AlarmName": "down",
    "AlarmRule": 'ALARM("queue-waiting")',
    "ActionsSuppressor": f"{ARN}cause",
    "ActionsSuppressorWaitPeriod": 180,
    "ActionsSuppressorExtensionPeriod": 0,
}


def metric_alarm(**changes: Any) -> MetricAlarm:
    (alarm,) = read_alarms({**SIMPLE, **changes})
    assert isinstance(alarm, MetricAlarm)
    return alarm


def test_an_alarm_on_one_metric_is_one_query() -> None:
    alarm = metric_alarm()
    (metric,) = alarm.metrics
    assert metric.key == MetricKey.of("AWS/SQS", "ApproximateAgeOfOldestMessage", {"QueueName": "orders"})
    assert alarm.returned.stat is metric
    assert (metric.period, str(metric.statistic), alarm.period) == (300, "Maximum", 300)
    assert (alarm.comparison, alarm.threshold, alarm.missing) == (Comparison.ABOVE, 600, Missing.MISSING)


def test_m_is_n_where_it_is_not_said() -> None:
    assert metric_alarm().datapoints_to_alarm == 3
    assert metric_alarm(DatapointsToAlarm=2).datapoints_to_alarm == 2


def test_an_alarm_on_metric_math_returns_the_expression() -> None:
    (alarm,) = read_alarms(MATH)
    assert isinstance(alarm, MetricAlarm)
    assert alarm.returned.expression == "100 * bounces / sent"
    assert [metric.key.name for metric in alarm.metrics] == ["Bounces", "Sent"]
    assert alarm.period == 3600


def test_the_answer_of_describe_alarms_has_both_kinds() -> None:
    alarms = read_alarms({"MetricAlarms": [SIMPLE, MATH], "CompositeAlarms": [COMPOSITE], "NextToken": ""})
    assert [type(alarm) for alarm in alarms] == [MetricAlarm, MetricAlarm, CompositeAlarm]
    assert [alarm.name for alarm in read_alarms([SIMPLE, [COMPOSITE]])] == ["queue-waiting", "down"]


def test_a_suppressor_is_an_alarm_by_name_with_its_two_periods() -> None:
    (alarm,) = read_alarms(COMPOSITE)
    assert isinstance(alarm, CompositeAlarm)
    assert alarm.suppressor == Suppressor("cause", wait=180, extension=0)


def test_who_is_told_depends_on_the_state_and_on_actions_being_enabled() -> None:
    alarm = metric_alarm(OKActions=["arn:ok"])
    assert alarm.actions.of(State.ALARM) == tuple(SIMPLE["AlarmActions"])
    assert alarm.actions.of(State.OK) == ("arn:ok",)
    assert alarm.actions.of(State.INSUFFICIENT_DATA) == ()
    assert metric_alarm(ActionsEnabled=False).actions.of(State.ALARM) == ()


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ({**SIMPLE, "AlarmName": ""}, "AlarmName is missing"),
        ({**SIMPLE, "Namespace": None}, "alarm queue-waiting: Namespace is missing"),
        ({**SIMPLE, "Dimensions": {"QueueName": "orders"}}, "Dimensions is {'QueueName': 'orders'}, a list of"),
        ({**SIMPLE, "Dimensions": ["QueueName"]}, "Dimensions is ['QueueName'], a list of"),
        ({**SIMPLE, "Period": 0}, "Period is 0, allowed are whole numbers from 1"),
        ({**SIMPLE, "Period": 60.5}, "Period is 60.5"),
        ({**SIMPLE, "Threshold": "600"}, "Threshold is '600', a number is needed"),
        ({**SIMPLE, "DatapointsToAlarm": 4}, "DatapointsToAlarm is 4, of EvaluationPeriods 3"),
        ({**SIMPLE, "ComparisonOperator": "Above"}, "ComparisonOperator is 'Above', allowed are GreaterThanThreshold"),
        ({**SIMPLE, "TreatMissingData": "zero"}, "TreatMissingData is 'zero', allowed are breaching"),
        ({**SIMPLE, "Statistic": "Median"}, "alarm queue-waiting: "),
        ({**SIMPLE, "Statistic": None}, "it needs Metrics, or one of Statistic and ExtendedStatistic"),
        ({**SIMPLE, "ThresholdMetricId": "band"}, "anomaly detection"),
        ({**MATH, "Metrics": MATH["Metrics"][1:]}, "exactly one of Metrics has to have ReturnData true"),
        ({**MATH, "Metrics": [MATH["Metrics"][0], *[MATH["Metrics"][1]] * 2]}, "two of its Metrics have one Id"),
        (
            {**MATH, "Metrics": [{**MATH["Metrics"][0], "Period": 60}, *MATH["Metrics"][1:]]},
            "periods of 60, 3600 s; an alarm has one period",
        ),
        ({**MATH, "Metrics": [{"Id": "rate"}]}, "query rate: it has to be either a MetricStat or an Expression"),
        ({**COMPOSITE, "AlarmRule": ""}, "alarm down: AlarmRule is missing"),
        ({**COMPOSITE, "ActionsSuppressorWaitPeriod": None}, "ActionsSuppressorWaitPeriod is missing"),
        ({"Alarms": []}, "no alarms found"),
        ("queue-waiting", "no alarms found"),
    ],
)
def test_what_cannot_be_used_is_said_with_its_place(document: Any, said: str) -> None:
    with pytest.raises(ToolkitError) as caught:
        read_alarms(document)
    assert said in str(caught.value)


def test_a_metric_is_another_one_by_another_dimension_and_the_same_in_any_order() -> None:
    key = MetricKey.of("Shop", "Sent", {"Stack": "prod", "Lane": "a"})
    assert key == MetricKey.of("Shop", "Sent", {"Lane": "a", "Stack": "prod"})
    assert key != MetricKey.of("Shop", "Sent", {"Stack": "prod"})
    assert str(key) == "Shop Sent {Lane=a, Stack=prod}"


def test_a_mute_rule_is_read_with_its_dates_in_either_form() -> None:
    document = {
        "Name": "deploys",
        "Rule": {"Schedule": {"Expression": "cron(0 2 * * ? *)", "Duration": "PT1H", "Timezone": "Europe/Berlin"}},
        "MuteTargets": {"AlarmNames": ["down"]},
        "StartDate": "2026-01-01T00:00:00+00:00",
        "ExpireDate": datetime(2027, 1, 1, tzinfo=UTC),
    }
    rule = read_mute_rule(document)
    assert (rule.expression, rule.duration, rule.timezone) == ("cron(0 2 * * ? *)", "PT1H", "Europe/Berlin")
    assert rule.alarms == ("down",)
    assert (rule.start, rule.expire) == (datetime(2026, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC))
    with pytest.raises(ToolkitError, match="alarm mute rule deploys: Duration is missing"):
        read_mute_rule({**document, "Rule": {"Schedule": {"Expression": "at(2026-01-01T00:00)"}}})


def test_an_alarm_is_named_by_its_arn_or_its_name() -> None:
    assert alarm_name(f"{ARN}a:b") == "a:b"
    assert alarm_name("down") == "down"
