"""`check` finds what nobody would ever hear of, and says how to mend it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from observability.__main__ import app
from observability.catalogue import catalogue
from observability.check import Finding, Severity, check
from observability.emissions import Emission, Emitted, emitted_by
from observability.errors import ToolkitError
from observability.model import Comparison, MetricKey
from observability.program import Resource
from observability.sources import Estate, Unread, estate_of_documents
from observability.statistics import Statistic
from observability.store import MetricStore

PROGRAMS = Path(__file__).parents[1] / "programs"
SHOP = Emitted(
    (
        Emission("Shop", "Orders", {"Stack": frozenset({"dev"})}, "log.jsonl", frozenset({"Count"})),
        Emission("Shop", "Latency", {}, "log.jsonl", frozenset({"Milliseconds"})),
    )
)
QUEUE = Resource(type="aws:sqs/queue:Queue", name="orders", outputs={"name": "orders-1a2b3c4"})


def alarm(namespace: str, name: str, by: Mapping[str, str] | None = None, **changes: Any) -> dict[str, Any]:
    document = {
        "AlarmName": "a",
        "Namespace": namespace,
        "MetricName": name,
        "Dimensions": [{"Name": key, "Value": value} for key, value in (by or {}).items()],
        "Statistic": "Sum",
        "Period": 60,
        "EvaluationPeriods": 1,
        "Threshold": 1,
        "ComparisonOperator": "GreaterThanThreshold",
        "AlarmActions": ["arn:aws:sns:us-east-1:1:page"],
    }
    return {key: value for key, value in {**document, **changes}.items() if value is not None}


def board(*metrics: list[Any], **properties: Any) -> dict[str, Any]:
    shown = {"title": "Mail", "region": "eu-west-1", "metrics": list(metrics), **properties}
    widget = {"type": "metric", "x": 0, "y": 0, "width": 6, "height": 6, "properties": shown}
    return {"DashboardName": "d", "DashboardBody": json.dumps({"widgets": [widget]})}


def found(*documents: dict[str, Any], emitted: Emitted = SHOP, resources: Any = None, **options: Any) -> list[Finding]:
    return check(estate_of_documents(documents), emitted, resources, **options)


def only(*documents: dict[str, Any], **options: Any) -> Finding:
    (finding,) = found(*documents, **options)
    return finding


# Metrics of one's own


def test_a_metric_that_nobody_emits_is_a_fault_and_the_nearest_name_is_told() -> None:
    finding = only(alarm("Shop", "Order", {"Stack": "dev"}))
    assert (finding.severity, finding.rule, finding.where) == (Severity.FAULT, "not-emitted", "alarm a")
    assert finding.problem == "nobody emits Order in Shop"
    assert finding.remedy == "Did you mean Orders? It is emitted by Stack (log.jsonl)."
    assert finding.what == "Sum of Shop Order {Stack=dev}"


def test_a_metric_unlike_any_is_told_beside_all_there_are() -> None:
    assert (
        only(alarm("Shop", "Zebra")).remedy
        == "In Shop are emitted: Latency, Orders. What is emitted only at times takes a log of such a time."
    )


@pytest.mark.parametrize(
    ("by", "remedy"),
    [
        ({"Stage": "dev"}, "Change the dimension Stage to Stack"),
        ({}, "Add Stack"),
        ({"Stack": "dev", "Lane": "a"}, "Take away Lane"),
    ],
)
def test_other_dimensions_are_another_metric(by: dict[str, str], remedy: str) -> None:
    finding = only(alarm("Shop", "Orders", by))
    assert (finding.severity, finding.rule) == (Severity.FAULT, "dimensions")
    assert finding.remedy.startswith(remedy)


def test_a_namespace_that_is_another_one_of_nearly_that_name_is_a_fault() -> None:
    finding = only(alarm("shop", "Orders", {"Stack": "dev"}))
    assert (finding.severity, finding.remedy) == (Severity.FAULT, "Orders is emitted in Shop. Did you mean that?")


def test_a_value_that_was_not_seen_is_a_note_unless_there_are_no_others() -> None:
    assert only(alarm("Shop", "Orders", {"Stack": "prod"})).severity is Severity.NOTE
    exact = Emitted((Emission("Shop", "Orders", {"Stack": frozenset({"dev"})}, exact=True),))
    assert only(alarm("Shop", "Orders", {"Stack": "prod"}), emitted=exact).severity is Severity.FAULT
    assert found(alarm("Shop", "Orders", {"Stack": "prod"}), emitted=exact, elsewhere=["prod"]) == []


def test_a_unit_that_it_does_not_come_in_leaves_no_points() -> None:
    finding = only(alarm("Shop", "Latency", Unit="Seconds", Threshold=3))
    assert (finding.severity, finding.rule) == (Severity.FAULT, "unit")
    assert found(alarm("Shop", "Latency", Unit="Milliseconds")) == []


def test_without_any_log_it_is_said_once_that_nothing_is_known() -> None:
    finding = only(alarm("Shop", "Any"), {**alarm("Shop", "Other"), "AlarmName": "b"}, emitted=Emitted(complete=False))
    assert (finding.severity, finding.where) == (Severity.NOTE, "namespace Shop")
    assert "--emf" in finding.remedy


def test_a_log_metric_filter_of_the_program_emits() -> None:
    made = {"name": "Lost", "namespace": "Shop", "value": "1", "dimensions": {"Depot": "$.depot"}}
    filter_ = Resource(
        type="aws:cloudwatch/logMetricFilter:LogMetricFilter", name="lost", inputs={"metricTransformation": made}
    )
    nothing = Emitted(complete=False)
    assert found(alarm("Shop", "Lost", {"Depot": "north"}), emitted=nothing, resources=[filter_]) == []
    finding = only(alarm("Shop", "Lost", {"Depo": "north"}), emitted=nothing, resources=[filter_])
    assert finding.remedy == "Change the dimension Depo to Depot, or emit it by Depo, too (log metric filter lost)."


def test_what_a_store_has_is_emitted_by_every_set_of_dimensions() -> None:
    store = MetricStore()
    for by in ({"Stack": "dev"}, {"Stack": "prod"}, {}):
        store.put(MetricKey.of("Shop", "Orders", by), 60, 1, unit="Count")
    bare, by_stack = emitted_by(store, "log").emissions
    assert not bare.dimensions
    assert by_stack.dimensions == {"Stack": frozenset({"dev", "prod"})}
    assert by_stack.units == {"Count"}


# Metrics of AWS


def test_a_wrong_dimension_of_awss_own_is_a_fault_with_the_right_one() -> None:
    finding = only(alarm("AWS/SQS", "NumberOfMessagesSent", {"Queue": "orders"}))
    assert (finding.severity, finding.rule) == (Severity.FAULT, "dimensions")
    assert finding.remedy.startswith("Change the dimension Queue to QueueName. See https://docs.aws.amazon.com/")


def test_a_slip_in_the_name_is_a_fault_and_a_name_unlike_any_is_a_note() -> None:
    slip = only(alarm("AWS/SQS", "NumberOfMessageSent", {"QueueName": "orders"}))
    assert (slip.severity, slip.remedy.split("?")[0]) == (Severity.FAULT, "Did you mean NumberOfMessagesSent")
    assert only(alarm("AWS/SQS", "Invented", {"QueueName": "orders"})).severity is Severity.NOTE


def test_a_service_that_is_not_in_the_catalogue_is_a_note() -> None:
    finding = only(alarm("AWS/Sqs", "NumberOfMessagesSent", {"QueueName": "orders"}))
    assert (finding.severity, finding.rule) == (Severity.NOTE, "not-in-catalogue")
    assert finding.remedy == "Did you mean AWS/SQS?"


def test_a_dimension_has_to_name_a_resource_that_the_program_makes() -> None:
    right = alarm("AWS/SQS", "NumberOfMessagesSent", {"QueueName": "orders-1a2b3c4"})
    wrong = alarm("AWS/SQS", "NumberOfMessagesSent", {"QueueName": "orders"})
    assert found(right, resources=[QUEUE]) == []
    finding = only(wrong, resources=[QUEUE])
    assert finding.severity is Severity.FAULT
    assert "Did you mean orders-1a2b3c4?" in finding.remedy
    assert found(wrong, resources=[QUEUE], elsewhere=["orders"]) == []
    assert only(wrong, resources=[]).severity is Severity.NOTE, "none of the kind: perhaps made elsewhere"
    assert found(wrong, resources=None) == [], "it is not known what there is"


def test_resources_of_another_service_do_not_count() -> None:
    cluster = Resource(type="aws:ecs/cluster:Cluster", name="orders", outputs={"name": "orders"})
    watched = alarm("AWS/RDS", "CPUUtilization", {"DBClusterIdentifier": "orders"}, Statistic="Average")
    assert only(watched, resources=[cluster]).rule == "value"


def test_the_whole_accounts_metric_is_told_of_where_the_programs_own_would_do() -> None:
    watched = alarm("AWS/Lambda", "Errors")
    assert only(watched, resources=[]).rule == "account-wide"
    assert found(watched, resources=None) == []


def test_dimensions_that_an_account_chooses_itself_are_right_as_they_are() -> None:
    assert found(alarm("AWS/SES", "Bounce", {"campaign": "spring"})) == []


def test_a_statistic_that_says_nothing_is_a_note() -> None:
    watched = alarm("AWS/SQS", "ApproximateAgeOfOldestMessage", {"QueueName": "q"}, Statistic="Sum")
    assert (only(watched).severity, only(watched).rule) == (Severity.NOTE, "statistic")


@pytest.mark.parametrize(
    ("namespace", "name", "by", "period", "severity"),
    [
        ("AWS/SQS", "NumberOfMessagesSent", {"QueueName": "q"}, 10, Severity.FAULT),
        ("AWS/S3", "NumberOfObjects", {"BucketName": "b", "StorageType": "AllStorageTypes"}, 3600, Severity.FAULT),
        ("AWS/EC2", "CPUUtilization", {"InstanceId": "i"}, 60, Severity.NOTE),
    ],
)
def test_a_period_shorter_than_a_metric_is_published(
    namespace: str, name: str, by: dict[str, str], period: int, severity: Severity
) -> None:
    (finding,) = [each for each in found(alarm(namespace, name, by, Period=period)) if each.rule == "period"]
    assert finding.severity is severity


def test_a_value_that_awss_dimension_never_has_is_a_fault() -> None:
    finding = only(alarm("AWS/DynamoDB", "SystemErrors", {"TableName": "t", "Operation": "UpdateItm"}))
    assert (finding.severity, finding.remedy) == (Severity.FAULT, "Did you mean UpdateItem?")


@pytest.mark.parametrize(
    ("comparison", "threshold", "rule"),
    [
        ("GreaterThanThreshold", 5, "unreachable"),
        ("GreaterThanThreshold", 1, "unreachable"),
        ("GreaterThanOrEqualToThreshold", 1, None),
        ("GreaterThanThreshold", 0.05, None),
        ("LessThanThreshold", 0, "unreachable"),
        ("GreaterThanOrEqualToThreshold", 0, "always"),
        ("LessThanOrEqualToThreshold", 1, "always"),
    ],
)
def test_a_threshold_that_nothing_or_everything_passes(comparison: str, threshold: float, rule: str | None) -> None:
    watched = alarm(
        "AWS/SES", "Reputation.BounceRate", Statistic="Average", Threshold=threshold, ComparisonOperator=comparison
    )
    assert [each.rule for each in found(watched)] == ([rule] if rule else [])


def test_a_sum_is_not_bounded_by_its_parts() -> None:
    by = {"BucketName": "b", "FilterId": "f"}
    assert found(alarm("AWS/S3", "5xxErrors", by, Threshold=5)) == []
    assert only(alarm("AWS/S3", "5xxErrors", by, Threshold=5, Statistic="Maximum")).rule == "unreachable"


@given(st.sampled_from(Comparison), st.floats(0, 1), st.floats(-2, 2))
def test_a_value_within_bounds_never_contradicts_what_is_said_of_a_threshold(
    comparison: Comparison, value: float, threshold: float
) -> None:
    watched = alarm(
        "AWS/SES", "Reputation.BounceRate", Statistic="Average", Threshold=threshold, ComparisonOperator=comparison
    )
    breaches = {
        Comparison.ABOVE: value > threshold,
        Comparison.AT_LEAST: value >= threshold,
        Comparison.BELOW: value < threshold,
        Comparison.AT_MOST: value <= threshold,
    }[comparison]
    rules = {each.rule for each in found(watched)}
    assert "unreachable" not in rules or not breaches
    assert "always" not in rules or breaches


# Alarms


def test_a_percentile_that_waits_for_more_samples_than_there_may_be_is_told() -> None:
    slow = {**alarm("Shop", "Latency", ExtendedStatistic="p95"), "EvaluateLowSampleCountPercentile": "ignore"}
    slow.pop("Statistic", None)
    (finding,) = (each for each in found(slow) if each.rule == "samples")
    assert finding.severity is Severity.NOTE
    assert "fewer than 200 samples" in finding.problem
    slow["EvaluateLowSampleCountPercentile"] = "evaluate"
    assert not [each for each in found(slow) if each.rule == "samples"]


def test_a_composites_children_have_to_be_there() -> None:
    composite = {"AlarmName": "all", "AlarmRule": 'ALARM("b") OR ALARM("a")', "AlarmActions": ["arn"]}
    metric = {**alarm("Shop", "Latency"), "AlarmActions": []}
    finding = only(composite, metric)
    assert (finding.severity, finding.problem) == (Severity.FAULT, "its rule names the alarm b, which does not exist")
    assert only(composite, metric, complete=False).severity is Severity.NOTE
    assert found(composite, metric, elsewhere=["b"]) == []


def test_a_rule_that_cannot_be_read_is_a_fault() -> None:
    assert only({"AlarmName": "all", "AlarmRule": "ALARM(", "AlarmActions": ["arn"]}).rule == "rule"


def test_an_alarm_of_which_nobody_is_told_is_a_note_unless_another_one_speaks_for_it() -> None:
    silent = {**alarm("Shop", "Latency"), "AlarmActions": []}
    assert (only(silent).severity, only(silent).rule) == (Severity.NOTE, "untold")
    assert found(silent, {"AlarmName": "all", "AlarmRule": "ALARM(a)", "AlarmActions": ["arn"]}) == []
    disabled = {**alarm("Shop", "Latency"), "ActionsEnabled": False}
    assert only(disabled).rule == "disabled"


def test_an_expression_that_cannot_be_evaluated_is_a_fault() -> None:
    plain = dict.fromkeys(("Namespace", "MetricName", "Dimensions", "Statistic", "Period"))
    queries = [
        {"Id": "r", "Expression": "m1 + m2", "ReturnData": True},
        {
            "Id": "m1",
            "ReturnData": False,
            "MetricStat": {"Metric": {"Namespace": "Shop", "MetricName": "Latency"}, "Period": 60, "Stat": "Sum"},
        },
    ]
    finding = only(alarm("", "", Metrics=queries, **plain))
    assert (finding.severity, finding.rule) == (Severity.FAULT, "expression")
    assert "m2" in finding.problem


def test_what_could_not_be_read_is_a_fault_or_a_note() -> None:
    estate = Estate(unread=(Unread("alarm a", "alarm a: no"), Unread("alarm b", "alarm b: not here", fault=False)))
    assert [(each.where, each.problem, each.severity) for each in check(estate)] == [
        ("alarm a", "no", Severity.FAULT),
        ("alarm b", "not here", Severity.NOTE),
    ]


def test_a_mute_rule_has_to_mute_something() -> None:
    rule = {
        "Name": "nights",
        "Rule": {"Schedule": {"Expression": "cron(0 2 * * *)", "Duration": "PT2H"}},
        "MuteTargets": {"AlarmNames": ["gone"]},
    }
    assert only(rule).where == "mute rule nights"


# Dashboards


def test_a_graphs_lines_are_looked_at_by_their_widgets_title() -> None:
    finding = only(board(["Shop", "Orderz", "Stack", "dev"], [".", "Orders", ".", "."]))
    assert (finding.where, finding.rule) == ("dashboard d, 'Mail'", "not-emitted")


def test_a_dashboard_shows_alarms_that_are_there() -> None:
    reference = "arn:aws:cloudwatch:eu-west-1:1:alarm:gone"
    assert only(board(["Shop", "Latency"], annotations={"alarms": [reference]})).rule == "no-such-alarm"


def test_a_graph_that_searches_is_a_note_and_one_that_makes_no_sense_a_fault() -> None:
    search = [{"expression": "SEARCH('{Shop} Orders', 'Sum')", "id": "e"}]
    assert [each.severity for each in found(board(search))] == [Severity.NOTE]
    assert [each.severity for each in found(board([{"expression": "m9 + 1", "id": "e"}]))] == [Severity.FAULT]
    assert [each.rule for each in found(board(["Shop"]))] == ["widget"]


# The catalogue


def test_every_metric_of_the_catalogue_has_dimensions_statistics_and_a_source() -> None:
    assert len(catalogue()) > 25
    for name, service in catalogue().items():
        assert service.source, name
        assert service.url.startswith("https://docs.aws.amazon.com/"), name
        used = {each for metric in service.metrics.values() for names in metric.dimensions for each in names}
        assert used >= service.names.keys() | service.values.keys(), name
        for metric_name, metric in service.metrics.items():
            assert metric.dimensions, metric_name
            assert len(set(metric.dimensions)) == len(metric.dimensions), f"{name} {metric_name}"
            assert any(metric.tells(Statistic.parse(each)) for each in ("Sum", "Average", "Maximum", "p50")), (
                metric_name
            )
            assert metric.statistics <= {"Sum", "Average", "Minimum", "Maximum", "SampleCount", "p"}, metric_name


# The command

RUNNER = CliRunner()


def test_an_alarm_on_a_renamed_metric_is_found_in_a_foreign_program() -> None:
    where = PROGRAMS / "thumbnails"
    done = RUNNER.invoke(app, ["check", "--program", str(where), "--emf", str(where / "log.jsonl")])
    assert done.exit_code == 1
    assert "fault  alarm resize-failures  __main__.py:" in done.output
    assert "Did you mean ResizeErrors?" in done.output
    assert "1 fault, no notes" in done.output


def test_an_alarm_with_a_wrong_dimension_is_found_in_a_foreign_program() -> None:
    done = RUNNER.invoke(app, ["check", "--program", str(PROGRAMS / "bookings"), "--json"])
    assert done.exit_code == 1
    (finding,) = json.loads(done.output)["findings"]
    assert (finding["where"], finding["rule"]) == ("alarm late", "dimensions")
    assert finding["remedy"].startswith("Change the dimension Queue to QueueName.")


def test_a_program_with_nothing_wrong_is_left_alone() -> None:
    where = PROGRAMS / "parcels"
    done = RUNNER.invoke(app, ["check", "--program", str(where), "--emf", str(where / "log.jsonl")])
    assert (done.exit_code, done.output) == (0, "3 alarms, no dashboards, 4 metrics checked: no faults, no notes.\n")


def test_a_record_that_cloudwatch_drops_is_a_fault(tmp_path: Path) -> None:
    alarms, log = tmp_path / "a.json", tmp_path / "log.jsonl"
    alarms.write_text(json.dumps(alarm("Shop", "Orders")), encoding="utf-8")
    record = {"_aws": {"Timestamp": 1, "CloudWatchMetrics": [{"Namespace": "Shop", "Dimensions": [["Stack"]]}]}}
    log.write_text(json.dumps(record), encoding="utf-8")
    done = RUNNER.invoke(app, ["check", "--alarm", str(alarms), "--emf", str(log)])
    assert done.exit_code == 1
    assert "log.jsonl, line 1" in done.output


def test_what_is_put_counts_as_emitted(tmp_path: Path) -> None:
    alarms, put = tmp_path / "a.json", tmp_path / "put.json"
    alarms.write_text(json.dumps(alarm("Shop", "Orders")), encoding="utf-8")
    datum = {"MetricName": "Orders", "Value": 1, "Timestamp": "2026-11-22T00:00:00Z"}
    put.write_text(json.dumps({"Namespace": "Shop", "MetricData": [datum]}), encoding="utf-8")
    done = RUNNER.invoke(app, ["check", "--alarm", str(alarms), "--metric-data", str(put)])
    assert done.exit_code == 0, done.output


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["--alarm", "a.json", "--from-account"], "two sources"),
        (["--program", str(PROGRAMS / "parcels"), "--config", "rate"], "'rate' is not KEY=VALUE"),
        (["--program", str(PROGRAMS / "nowhere")], "there is no Pulumi.yaml"),
        (["--program", ".", "--stack", ""], "the program has stacks dev, local, prod"),
        (["--alarm", "nowhere.json"], "nowhere.json: cannot be read"),
    ],
)
def test_what_cannot_be_used_is_refused_in_a_sentence(arguments: list[str], problem: str) -> None:
    done = RUNNER.invoke(app, ["check", *arguments])
    assert isinstance(done.exception, ToolkitError)
    assert problem in str(done.exception)


def test_a_log_without_a_single_record_is_not_taken_for_silence(tmp_path: Path) -> None:
    log = tmp_path / "log.txt"
    log.write_text("START\nEND\n", encoding="utf-8")
    done = RUNNER.invoke(app, ["check", "--program", str(PROGRAMS / "parcels"), "--emf", str(log)])
    assert "no record in embedded metric format" in str(done.exception)
