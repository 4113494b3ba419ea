"""Monitoring: what alarms become on CloudWatch, who is told, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from components.checks import ArgumentsError
from components.cost import BudgetError
from components.intake import OrderIntake
from components.monitoring import Monitoring, MonitoringArgs, faults, gathered, rule
from components.sender import BOUNCE_PERIOD
from components.watch import (
    BRAKE_ENGAGED_PAGE,
    PIPELINE_DOWN,
    REPUTATION_AT_RISK,
    Alarm,
    Board,
    Comparison,
    Composite,
    Expression,
    Graph,
    Missing,
    SavedQuery,
    Severity,
    Watch,
    own,
    share,
)
from handlers.telemetry.contract import BOUNCES, DELIVERY_LATENCY, EMAILS_SENT, AlarmCard
from tests.components.recorder import Recorder, record

ALARMS, PAGE = "arn:aws:sns:us-east-1:123456789012:alarms", "arn:aws:sns:us-east-1:123456789012:page"
RUNBOOK = "https://example.com/runbook.md"
SENT = own(EMAILS_SENT, "test")
RATE = share(own(BOUNCES, "test"), SENT, at_least=100, label="bounced, %")

PLAIN = Alarm(
    component="queue",
    condition="waiting",
    severity=Severity.TICKET,
    summary="Orders wait",
    signal=SENT,
    comparison=Comparison.AT_LEAST,
    threshold=7,
    because="seven, as tried",
    period=300,
    points=(2, 3),
    missing=Missing.IGNORE,
    missing_because="it was so before",
)
PART = replace(PLAIN, condition="dead", severity=Severity.PAGE, part_of=PIPELINE_DOWN)
GRAPH = Graph(board=Board.OUTCOMES, section="s", title="Emails sent", signals=[SENT], unit="emails")
WIDGETS = [GRAPH, replace(GRAPH, board=Board.RESOURCES)]


def args(*alarms: Alarm, **changes: Any) -> MonitoringArgs:
    given: dict[str, Any] = {
        "stack": "test",
        "region": "us-east-1",
        "watches": [Watch(alarms=alarms, widgets=WIDGETS)],
        "composites": [],
        "alarms_topic_arn": ALARMS,
        "page_topic_arn": PAGE,
        "runbook_url": RUNBOOK,
        "emails": 1000,
        "probe_minutes": 30,
        "budget": Decimal(100),
    }
    return MonitoringArgs(**{**given, **changes})


def made(*alarms: Alarm, **changes: Any) -> Recorder:
    return record(lambda: Monitoring("m", args(*alarms, **changes)))[0]


def alarm(*alarms: Alarm, **changes: Any) -> dict[str, Any]:
    """The inputs of the first of `alarms`."""
    return dict(made(*alarms, **changes).one("MetricAlarm", f"m-{alarms[0].name}").inputs)


def test_an_alarm_on_one_metric() -> None:
    found = alarm(PLAIN)
    description = AlarmCard.parse(found.pop("alarmDescription"))
    assert found == {
        "name": "m-test-queue-waiting-ticket",
        "namespace": "Mailroom",
        "metricName": "EmailsSent",
        "dimensions": {"Stack": "test"},
        "statistic": "Sum",
        "period": 300,
        "comparisonOperator": "GreaterThanOrEqualToThreshold",
        "threshold": 7,
        "evaluationPeriods": 3,
        "datapointsToAlarm": 2,
        "treatMissingData": "ignore",
        "alarmActions": [ALARMS],
        "okActions": [ALARMS],
    }
    assert description == AlarmCard(
        summary="Orders wait",
        severity="ticket",
        runbook=f"{RUNBOOK}#queue-waiting-ticket",
        because="seven, as tried",
        missing="ignore, as it was so before",
    )


def test_an_alarm_on_metric_math_returns_the_expression_alone() -> None:
    queries = {query["id"]: query for query in alarm(replace(PLAIN, signal=RATE))["metricQueries"]}
    assert [id_ for id_, query in queries.items() if query.get("returnData")] == ["result"]
    assert queries["result"]["expression"] == "IF(FILL(whole, 0) >= 100, 100 * FILL(part, 0) / whole, 0)"
    assert queries["part"]["metric"] == {
        "namespace": "Mailroom",
        "metricName": "Bounces",
        "dimensions": {"Stack": "test"},
        "period": 300,
        "stat": "Sum",
    }


def test_a_percentile_is_gone_by_however_few_its_samples() -> None:
    found = alarm(replace(PLAIN, signal=own(DELIVERY_LATENCY, "test", stat="p95")))
    assert found["extendedStatistic"] == "p95"
    assert "statistic" not in found
    # With `ignore` CloudWatch keeps the state below 200 samples a period, which is for ever on most stacks.
    assert "evaluateLowSampleCountPercentiles" not in found


def test_what_is_part_of_a_composite_tells_nobody_itself() -> None:
    recorder = made(PART, PLAIN)
    assert "alarmActions" not in recorder.one("MetricAlarm", f"m-{PART.name}").inputs
    composite = recorder.one("CompositeAlarm", f"m-{PIPELINE_DOWN}")
    assert composite.inputs["alarmRule"] == 'ALARM("m-test-queue-dead-page")'
    assert composite.inputs["alarmActions"] == composite.inputs["okActions"] == [ALARMS]
    assert "MetricAlarm m-queue-dead-page" in composite.dependencies


def test_what_watches_the_way_of_notifications_goes_past_it() -> None:
    assert alarm(replace(PLAIN, unheard=True))["alarmActions"] == [PAGE]


FOLLOWER = Composite(
    condition="follows",
    severity=Severity.TICKET,
    summary="It follows",
    any_of=[[PLAIN.name, PART.name]],
    because="both",
    suppressed_by=PIPELINE_DOWN,
    echo=1800,
)


def test_a_composite_keeps_quiet_behind_its_cause() -> None:
    composite = made(PLAIN, PART, composites=[FOLLOWER]).one("CompositeAlarm", "m-follows-ticket")
    assert composite.inputs["alarmRule"] == '(ALARM("m-test-queue-waiting-ticket") AND ALARM("m-test-queue-dead-page"))'
    assert composite.inputs["actionsSuppressor"] == {
        "alarm": "m-test-pipeline-down-page",
        "waitPeriod": 180,
        "extensionPeriod": 1800 + 300,
    }
    assert "CompositeAlarm m-pipeline-down-page" in composite.dependencies


def test_a_rule_joins_groups_by_or_and_their_members_by_and() -> None:
    composite = Composite(condition="c", severity=Severity.PAGE, summary="", any_of=[["a"], ["b", "c"]], because="")
    assert rule(composite, str.upper) == 'ALARM("A") OR (ALARM("B") AND ALARM("C"))'


def test_components_gather_their_alarms_under_the_composites_they_name() -> None:
    assert [(each.name, each.any_of) for each in gathered([PLAIN, PART])] == [(PIPELINE_DOWN, [[PART.name]])]
    assert gathered([PLAIN]) == []


def test_signs_of_a_pipeline_that_is_down_are_quiet_while_the_brake_holds_a_lane_and_for_as_long_as_they_echo() -> None:
    brake = replace(PLAIN, component="brake", condition="engaged", severity=Severity.PAGE)
    assert brake.name == BRAKE_ENGAGED_PAGE
    at_risk = replace(PART, condition="bounces", part_of=REPUTATION_AT_RISK)
    recorder = made(PLAIN, brake, PART, at_risk, composites=[FOLLOWER])
    suppressors = {each.name: each.inputs["actionsSuppressor"] for each in recorder.all("CompositeAlarm")}
    assert {name: each["alarm"] for name, each in suppressors.items()} == {
        f"m-{PIPELINE_DOWN}": "m-test-brake-engaged-page",
        f"m-{REPUTATION_AT_RISK}": "m-test-brake-engaged-page",
        "m-follows-ticket": "m-test-pipeline-down-page",
    }
    assert suppressors[f"m-{REPUTATION_AT_RISK}"]["extensionPeriod"] > BOUNCE_PERIOD, "or it tells of what it was for"
    composite = recorder.one("CompositeAlarm", f"m-{PIPELINE_DOWN}")
    assert "MetricAlarm m-brake-engaged-page" in composite.dependencies
    assert "alarmActions" in recorder.one("MetricAlarm", "m-brake-engaged-page").inputs, "the cause tells itself"


def test_without_a_brake_nothing_keeps_them_quiet() -> None:
    assert "actionsSuppressor" not in made(PART).one("CompositeAlarm").inputs


ANY = Composite(condition="any", severity=Severity.PAGE, summary="", any_of=[[PLAIN.name]], because="")


@pytest.mark.parametrize(
    ("alarms", "composites", "fault"),
    [
        ([PLAIN, PLAIN], [], "two alarms are named queue-waiting-ticket"),
        ([PLAIN], [replace(ANY, any_of=[["gone"]])], "no alarm gone for a composite to look at"),
        ([PLAIN], [replace(ANY, any_of=[])], "any-page has no alarms"),
        ([PLAIN], [replace(ANY, suppressed_by="cause")], "suppressed by cause, which is not there"),
        ([replace(PLAIN, part_of="any-page")], [], "tells nobody"),
    ],
)
def test_alarms_that_do_not_fit_together_are_refused(
    alarms: list[Alarm], composites: list[Composite], fault: str
) -> None:
    assert [found for found in faults(alarms, composites) if fault in found]
    with pytest.raises(ArgumentsError, match="Monitoring 'm': "):
        made(*alarms, composites=composites)


def test_both_dashboards_are_made_and_say_what_watching_costs_and_where_the_other_is() -> None:
    recorder = made(PLAIN, PART)
    boards = {each.inputs["dashboardName"]: each.document("dashboardBody") for each in recorder.all("Dashboard")}
    outcomes, resources = (
        next(widget["properties"]["markdown"] for widget in boards[name]["widgets"] if widget["type"] == "text")
        for name in ("m-test-outcomes", "m-test-resources")
    )
    assert "Watching this stack costs **0.98 USD a month** and 0.02 for 1,000 emails" in outcomes
    assert "#dashboards/dashboard/m-test-resources" in outcomes
    assert "#dashboards/dashboard/m-test-outcomes" in resources


def test_the_first_board_shows_the_alarms_that_tell_and_the_second_what_lies_behind() -> None:
    recorder = made(PLAIN, PART)
    shown = {
        board.name: [
            arn.rsplit(":", 1)[-1]
            for widget in board.document("dashboardBody")["widgets"]
            if widget["type"] == "alarm"
            for arn in widget["properties"]["alarms"]
        ]
        for board in recorder.all("Dashboard")
    }
    assert shown == {
        "m-outcomes": ["m-test-queue-waiting-ticket", "m-test-pipeline-down-page"],
        "m-resources": ["m-test-queue-dead-page"],
    }


def test_saved_queries_carry_the_stacks_name_and_an_emulator_has_none() -> None:
    slow = SavedQuery(name="slow", query="fields @message", log_groups=["/g"])
    watch = Watch(widgets=WIDGETS, queries=[slow], log_groups=["/g", "/h"])
    recorder = made(watches=[watch])
    query = recorder.one("QueryDefinition", "m-slow")
    assert query.inputs == {"name": "m/test/slow", "queryString": "fields @message", "logGroupNames": ["/g"]}
    assert recorder.one("QueryDefinition", "m-one-orders-life").inputs["logGroupNames"] == ["/g", "/h"]
    assert not made(watches=[watch], queries=False).all("QueryDefinition")


def test_watching_that_costs_more_than_it_may_is_refused_before_anything_is_made() -> None:
    recorder = Recorder()
    with pytest.raises(BudgetError, match="monitoringBudget allows 0"):
        record(lambda: Monitoring("m", args(PLAIN, budget=Decimal(0))), recorder=recorder)
    assert recorder.resources == []


def test_a_component_that_is_used_alone_brings_its_own_watch() -> None:
    def build() -> Monitoring:
        intake = OrderIntake("shop", {"consumer_timeout_seconds": 30})
        return Monitoring("shop", args(watches=[intake.watch()]))

    recorder = record(build)[0]
    assert [name.removeprefix("shop-") for name in recorder.names("MetricAlarm")] == [
        "intake-orders-dropped-page",
        "quarantine-not-empty-ticket",
        "send-probe-dlq-not-empty-ticket",
        "send-queue-dlq-not-empty-ticket",
        "send-queue-waiting-page",
    ]
    assert recorder.names("CompositeAlarm") == ["shop-pipeline-down-page"]
    assert recorder.names("Dashboard") == ["shop-resources"], "it has nothing to show on the other"
    assert recorder.one("MetricAlarm", "shop-send-queue-waiting-page").inputs["dimensions"] == {
        "QueueName": "shop-send-email"
    }


def test_a_rate_is_nothing_below_its_volume() -> None:
    assert isinstance(RATE, Expression)
    assert RATE.formula.startswith("IF(FILL(whole, 0) >= 100, "), "nothing at all is below it, too"
    assert RATE.formula.endswith(", 0)")
