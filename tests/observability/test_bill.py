"""The bill: what is there, what is used, what is not known, and that the sums agree."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from components import cost
from handlers.telemetry.contract import METRICS
from observability.bill import THE_ACCOUNT, Bill, Line, make_bill, runs_a_month
from observability.commands.bill import bill_json, command, grouped, show
from observability.errors import ToolkitError
from observability.model import MetricKey
from observability.prices import HOURS, Plan, load
from observability.usage import Activity, Count, Points, Usage, parse_usage, read_usage, usage_json
from tests.recorded import program

CENT = Decimal("0.01")


@dataclass(frozen=True)
class Made:
    """A resource, as a program registers it."""

    type: str
    name: str = "it"
    inputs: Mapping[str, Any] = field(default_factory=dict)


ALARM = "aws:cloudwatch/metricAlarm:MetricAlarm"
DASHBOARD = "aws:cloudwatch/dashboard:Dashboard"
FUNCTION = "aws:lambda/function:Function"
GROUP = "aws:cloudwatch/logGroup:LogGroup"
KEY = "aws:kms/key:Key"
MAPPING = "aws:lambda/eventSourceMapping:EventSourceMapping"
SCHEDULE = "aws:scheduler/schedule:Schedule"
SUBSCRIPTION = "aws:sns/topicSubscription:TopicSubscription"
TOPIC = "aws:sns/topic:Topic"
QUEUE_ARN = "arn:aws:sqs:us-east-1:123456789012:orders"
EVERY_HALF_HOUR = Made(SCHEDULE, "probe", {"scheduleExpression": "rate(30 minutes)"})


def used(*counts: Count, times: int = 1, points: tuple[Points, ...] = (), schedule: str = "") -> Usage:
    activity = Activity("it", times, counts, points, schedule)
    return Usage("2026-11-22", (activity,))


def only(bill: Bill, price: str) -> Line:
    found = [line for line in bill.lines if line.price.name == price]
    assert len(found) == 1, found
    return found[0]


# What is not known


def test_a_type_that_the_sheet_does_not_know_is_listed_and_not_free() -> None:
    bill = make_bill([Made("aws:ec2/instance:Instance", "web"), Made("random:index/randomId:RandomId", "id")])
    assert [(each.resource, each.reason) for each in bill.unpriced] == [
        ("Instance web", "the price sheet does not know aws:ec2/instance:Instance"),
        ("RandomId id", "the price sheet does not know random:index/randomId:RandomId"),
    ]
    assert not bill.lines


def test_components_and_providers_are_no_resources() -> None:
    bill = make_bill([Made("shop:index:Mailer"), Made("pulumi:providers:aws"), Made("pulumi:pulumi:Stack")])
    assert not bill.unpriced
    assert not bill.lines


def test_what_is_only_looked_up_is_somebody_elses_to_pay() -> None:
    @dataclass(frozen=True)
    class LookedUp(Made):
        external: bool = True

    assert not make_bill([LookedUp(KEY)]).lines


def test_what_is_free_says_why() -> None:
    bill = make_bill([Made("aws:iam/role:Role", "a"), Made("aws:iam/role:Role", "b")])
    assert [(each.type, each.count, each.reason) for each in bill.free] == [
        ("aws:iam/role:Role", 2, "IAM has no price")
    ]


@pytest.mark.parametrize("usage", [None, used(Count("sqs.request", "Queue other", Decimal(1)))])
def test_what_is_paid_by_use_is_named_where_no_use_of_it_was_counted(usage: Usage | None) -> None:
    bill = make_bill([Made("aws:sqs/queue:Queue", "orders")], usage)
    assert [each.resource for each in bill.unpriced] == ["Queue orders"]


@pytest.mark.parametrize("expression", ["SELECT AVG(x) FROM y", " search('{A,B} C', 'Sum', 60)"])
def test_an_alarm_on_whatever_a_query_finds_has_no_known_number_of_metrics(expression: str) -> None:
    bill = make_bill([Made(ALARM, inputs={"metricQueries": [{"id": "q", "expression": expression}]})])
    assert [each.resource for each in bill.unpriced] == ["MetricAlarm it"]


def test_a_mapping_of_an_unknown_source_is_not_taken_for_free() -> None:
    assert [each.resource for each in make_bill([Made(MAPPING)]).unpriced] == ["EventSourceMapping it"]


def test_a_schedule_that_cannot_be_worked_out_is_listed() -> None:
    bill = make_bill([Made(SCHEDULE, inputs={"scheduleExpression": "cron(0 8 ? * MON-FRI *)"})])
    assert [each.resource for each in bill.unpriced] == ["Schedule it"]


def test_an_activity_of_a_schedule_that_is_not_registered_is_listed_and_left_out() -> None:
    bill = make_bill([], used(Count("lambda.request", "Function probe", Decimal(1)), schedule="probe"))
    assert [each.reason for each in bill.unpriced] == ["it is started by the schedule probe, which is not registered"]
    assert not bill.lines


def test_deliveries_to_people_are_listed_and_those_to_queues_are_not() -> None:
    bill = make_bill([Made(SUBSCRIPTION, "a", {"protocol": "email"}), Made(SUBSCRIPTION, "b", {"protocol": "sqs"})])
    assert [each.resource for each in bill.unpriced] == ["TopicSubscription a"]


def test_a_count_of_an_unknown_price_is_refused() -> None:
    with pytest.raises(ToolkitError, match=r"no price 'sqs\.requests'"):
        make_bill([], used(Count("sqs.requests", "Queue orders", Decimal(1))))


# What is there


@pytest.mark.parametrize(
    ("inputs", "usd"),
    [
        ({"metricName": "Errors", "period": 60.0}, "0.10"),
        ({"metricName": "Errors", "period": 10.0}, "0.30"),
        ({"metricQueries": [{"id": "e", "expression": "a/b"}, *({"metric": {"period": 60}} for _ in "ab")]}, "0.20"),
        ({"metricQueries": [{"id": "e", "expression": "a"}, {"id": "a", "metric": {"period": 30}}]}, "0.30"),
        (
            {
                "thresholdMetricId": "band",
                "metricQueries": [
                    {"id": "a", "metric": {"period": 60}},
                    {"id": "band", "expression": "ANOMALY_DETECTION_BAND(a)"},
                ],
            },
            "0.30",
        ),
    ],
)  # fmt: skip
def test_an_alarm_costs_by_its_metrics_and_their_resolution(inputs: dict[str, Any], usd: str) -> None:
    assert make_bill([Made(ALARM, inputs=inputs)]).total.fixed == Decimal(usd)


@pytest.mark.parametrize(
    ("type_", "usd"),
    [("aws:cloudwatch/compositeAlarm:CompositeAlarm", "0.50"), (DASHBOARD, "3.00"), (KEY, "1.00")],
)
def test_what_is_there_costs_its_month(type_: str, usd: str) -> None:
    total = make_bill([Made(type_)]).total
    assert (total.fixed, total.per_thousand) == (Decimal(usd), Decimal(0))


def test_a_mapped_queue_is_asked_all_month_even_when_nothing_comes() -> None:
    line = only(make_bill([Made(MAPPING, inputs={"eventSourceArn": QUEUE_ARN})]), "sqs.request")
    assert line.fixed == 5 * 730 * 180 == 657_000
    assert line.how.startswith("modelled")


@pytest.mark.parametrize(
    "inputs",
    [
        {"eventSourceArn": QUEUE_ARN, "enabled": False},
        {"eventSourceArn": "arn:aws:kinesis:us-east-1:123456789012:stream/s"},
    ],
)
def test_a_mapping_that_asks_no_queue_costs_nothing(inputs: dict[str, Any]) -> None:
    bill = make_bill([Made(MAPPING, inputs=inputs)])
    assert not bill.lines
    assert not bill.unpriced


@pytest.mark.parametrize(
    ("expression", "runs"),
    [
        ("rate(30 minutes)", 1460),
        ("rate(1 hour)", 730),
        ("rate(2 days)", Decimal(730) / 48),
        ("cron(0/15 * * * ? *)", 4 * 730),
        ("cron(5,35 8-17 * * ? *)", Decimal(20 * 730) / 24),
        ("at(2026-11-22T10:00:00)", 0),
        ("cron(0 8 ? * MON-FRI *)", None),
        ("cron(0 8 1 * ? *)", 1),
        ("cron(0 8,20 1,15 * ? *)", 4),
        ("cron(0 8 31 * ? *)", None),
        ("cron(0 8 L * ? *)", None),
        ("cron(0 8 1 6 ? *)", None),
        ("rate(0 minutes)", None),
        ("sometimes", None),
    ],
)
def test_how_often_a_schedule_runs(expression: str, runs: Decimal | int | None) -> None:
    assert runs_a_month(expression) == runs


# What is used


def test_use_is_paid_by_what_one_time_used() -> None:
    bill = make_bill([], used(Count("sqs.request", "Queue q", Decimal(552)), times=184), volume=2000)
    line = only(bill, "sqs.request")
    assert (line.per_thousand, line.units(2000)) == (Decimal(3000), Decimal(6000))
    assert bill.total.per_thousand == Decimal("0.0012")


def test_what_a_schedule_starts_is_paid_by_its_runs_and_is_a_probe() -> None:
    usage = used(Count("ses.email", "ConfigurationSet s", Decimal(1)), schedule="probe")
    bill = make_bill([EVERY_HALF_HOUR], usage, volume=10**6)
    line = only(bill, "ses.email.essentials")
    assert (line.fixed, line.per_thousand, line.signal) == (Decimal(1460), Decimal(0), "probes")


@pytest.mark.parametrize(("plan", "usd"), [(Plan.ESSENTIALS, "0.16"), (Plan.A_LA_CARTE, "0.10")])
def test_the_plan_decides_what_an_email_costs(plan: Plan, usd: str) -> None:
    bill = make_bill([], used(Count("ses.email", "ConfigurationSet s", Decimal(1))), plan=plan)
    assert bill.total.per_thousand == Decimal(usd)


def test_logs_are_paid_when_they_come_and_while_they_are_kept() -> None:
    usage = used(Count("logs.gb", "LogGroup g", Decimal(1)))
    kept = only(make_bill([Made(GROUP, "g", {"retentionInDays": 365.0})], usage), "logs.gb-month")
    assert kept.per_thousand == 1000 * Decimal("0.15") * 12
    forever = make_bill([Made(GROUP, "g")], usage)
    assert [each.resource for each in forever.unpriced] == ["LogGroup g"]


@pytest.mark.parametrize(
    ("resource", "price"),
    [
        (Made(FUNCTION, inputs={"tracingConfig": {"mode": "Active"}}), "lambda.request"),
        (Made(TOPIC, inputs={"tracingConfig": "Active"}), "sns.publish"),
    ],
)
def test_what_is_traced_records_a_trace_a_use_unless_they_were_counted(resource: Made, price: str) -> None:
    kind = resource.type.rsplit(":", 1)[-1]
    count = Count(price, f"{kind} it", Decimal(3))
    assert only(make_bill([resource], used(count)), "xray.trace").per_thousand == 3000
    assert (
        only(make_bill([resource], used(count, Count("xray.trace", f"{kind} it", Decimal(1)))), "xray.trace").how
        == "counted"
    )
    quiet = Made(resource.type, inputs={"tracingConfig": {"mode": "PassThrough"}})
    assert not [line for line in make_bill([quiet], used(count)).lines if line.signal == "traces"]


def test_an_encrypted_topic_asks_for_keys_by_time_and_not_by_message() -> None:
    topic = Made(TOPIC, inputs={"kmsMasterKeyId": "alias/aws/sns"})
    usage = used(Count("sns.publish", "Topic it", Decimal(1)))
    few, many, most = (only(make_bill([topic], usage, volume=n), "kms.request").units(n) for n in (1, 10**6, 10**9))
    assert few.quantize(Decimal("0.001")) == 2
    assert many <= most == 2 * 730 * 12


def test_a_metric_that_two_functions_send_is_one_metric() -> None:
    metric = MetricKey.of("Shop", "Sent", {"Stack": "prod"})
    points = tuple(Points(metric, f"Function {name}", Decimal(10**6)) for name in "ab")
    bill = make_bill([], used(points=points), volume=1000)
    assert only(bill, "cloudwatch.metric").usd(1000).quantize(CENT) == Decimal("0.30")


# Sums

_COUNTS = st.lists(
    st.builds(
        Count,
        price=st.sampled_from([name for name in load().prices if not name.startswith("cloudwatch.")]),
        resource=st.sampled_from(["Queue a", "Topic b", "Function c", "LogGroup d"]),
        quantity=st.decimals(0, 10**6, places=3),
    ),
    max_size=6,
).map(tuple)
_POINTS = st.lists(
    st.builds(
        Points,
        metric=st.sampled_from([MetricKey.of("Shop", name) for name in ("Sent", "Late", "Lost")]),
        resource=st.sampled_from(["Function c", "Function e"]),
        quantity=st.decimals(0, 10**4, places=1),
    ),
    max_size=4,
).map(tuple)
_USAGES = st.builds(
    lambda *activities: Usage("2026-11-22", activities, ("a note",)),
    st.builds(Activity, st.just("emails"), st.integers(1, 500), _COUNTS, _POINTS),
    st.builds(Activity, st.just("probe"), st.integers(1, 3), _COUNTS, _POINTS, st.just("probe")),
)
_RESOURCES = [
    EVERY_HALF_HOUR,
    Made(DASHBOARD, "a"),
    Made(KEY),
    Made(GROUP, "d", {"retentionInDays": 30}),
    Made(MAPPING, inputs={"eventSourceArn": QUEUE_ARN}),
    Made(TOPIC, "b", {"kmsMasterKeyId": "key", "tracingConfig": "Active"}),
    Made(FUNCTION, "c", {"tracingConfig": {"mode": "Active"}}),
]


@given(_USAGES, st.integers(0, 10**6), st.booleans())
def test_resources_signals_and_prices_add_up_to_the_same(usage: Usage, volume: int, free_tier: bool) -> None:
    bill = make_bill(_RESOURCES, usage, volume=volume, free_tier=free_tier)
    whole = (bill.total.fixed, bill.total.per_thousand, bill.total.month)
    for totals in (bill.by_resource(), bill.by_signal(), bill.by_price(), grouped(bill.by_resource())):
        sums = (sum(getattr(each, part) for each in totals) for part in ("fixed", "per_thousand", "month"))
        assert all(abs(one - other) < Decimal("1e-12") for one, other in zip(sums, whole, strict=True))


@given(_USAGES, st.integers(0, 10**5))
def test_the_bill_is_linear_in_the_volume_but_for_what_is_paid_by_the_hour(usage: Usage, volume: int) -> None:
    none, once, twice = (make_bill(_RESOURCES, usage, volume=n) for n in (0, volume, 2 * volume))

    by_hours = {line.price.name for line in [*once.lines, *twice.lines] if line.by_hours}
    assert by_hours <= {"cloudwatch.metric", "kms.request"}
    pieces = [
        sum((line.price.of(line.fixed + line.per_thousand * bill.volume / 1000) for line in bill.lines), Decimal(0))
        for bill in (none, once, twice)
    ]
    assert abs(pieces[2] - pieces[1] - (pieces[1] - pieces[0])) < Decimal("1e-12")
    assert none.total.month <= once.total.month <= twice.total.month
    assert once.total.month - none.total.month >= twice.total.month - once.total.month - Decimal("1e-12")


@given(_USAGES, st.integers(0, 10**6))
def test_the_free_tier_takes_off_no_more_than_is_there(usage: Usage, volume: int) -> None:
    bill = make_bill(_RESOURCES, usage, volume=volume, free_tier=True)
    assert all(total.month >= -Decimal("1e-12") for total in bill.by_price())
    taken = sum((line.usd(volume) for line in bill.lines if line.resource == THE_ACCOUNT), Decimal(0))
    before = make_bill(_RESOURCES, usage, volume=volume).total.month
    assert abs(bill.total.month - before - taken) < Decimal("1e-12")
    assert taken <= -3  # the dashboard, at least


# The same as the program's own budget


@pytest.mark.parametrize("stack", ["dev", "prod"])
def test_watching_costs_what_the_programs_own_budget_says(stack: str) -> None:
    recorder, outputs = program(stack)
    told = outputs["monitoringCost"]
    bill = make_bill(recorder.resources, _as_the_budget_assumes(), volume=int(told["emails"]))
    watching = {"metrics", "alarms", "dashboards", "probes"}
    sum_ = sum((total.month for total in bill.by_signal() if total.name in watching), Decimal(0))
    # The budget leaves out the dashboards that an account has for nothing.
    dashboards = sum(resource.type == DASHBOARD for resource in recorder.resources)
    sum_ -= min(dashboards, cost.FREE_DASHBOARDS) * cost.DASHBOARD_MONTH
    assert sum_.quantize(CENT, ROUND_HALF_UP) == Decimal(told["total"])


def _as_the_budget_assumes() -> Usage:
    """The assumptions of components/cost.py in the form of a count: 1,000 emails, a probe, a run of the brake."""

    def points(metric: Any, times: float) -> Points:
        return Points(MetricKey.of("Mailroom", metric.name), "Function it", Decimal(str(times)))

    return Usage(
        "2026-11",
        (
            Activity("emails", 1000, points=tuple(points(metric, times) for metric, times in cost.POINTS.items())),
            Activity(
                "probe",
                1,
                (
                    Count("ses.email", "ConfigurationSet it", Decimal(1)),
                    Count("lambda.gb-second.arm64", "Function it", cost.PROBE_GB_SECONDS),
                    Count("lambda.request", "Function it", Decimal(1)),
                ),
                tuple(points(metric, 1) for metric in cost.BY_THE_PROBER),
                schedule="mailroom-probe",
            ),
            Activity(
                "brake", 1, points=tuple(points(metric, 1) for metric in cost.EVERY_HOUR), schedule="mailroom-brake"
            ),
        ),
    )


def test_the_budget_takes_its_prices_from_the_sheet_alone() -> None:
    source = Path(cost.__file__).read_text(encoding="utf-8")
    assert "aws.amazon.com" not in source
    assert cost.METRIC_MONTH == load()["cloudwatch.metric"].each == Decimal("0.30")
    assert {metric.name for metric in cost.POINTS} <= {metric.name for metric in METRICS}


def test_everything_that_mailroom_registers_has_a_price_or_a_reason() -> None:
    bill = make_bill(program("prod")[0].resources)
    assert not [each for each in bill.unpriced if "price sheet does not know" in each.reason]


# The file of counts

GOOD = usage_json(
    Usage(
        "2026-11-22",
        (
            Activity(
                "emails",
                184,
                (Count("sqs.request", "Queue q", Decimal("552"), "modelled: so"),),
                (Points(MetricKey.of("Shop", "Sent", {"Stack": "local"}), "Function f", Decimal(184)),),
            ),
        ),
    )
)


@given(_USAGES)
def test_counts_survive_being_written_and_read(usage: Usage) -> None:
    assert parse_usage(json.loads(json.dumps(usage_json(usage)))) == usage


def _broken(*path: Any, value: Any) -> Any:
    document = json.loads(json.dumps(GOOD))
    place = document
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    return document


@pytest.mark.parametrize(
    ("document", "named"),
    [
        ([], "an object"),
        (_broken("counted", value=""), "counted is missing"),
        (_broken("activities", 0, "times", value=0), "activity emails: times is 0"),
        (_broken("activities", 0, "counts", 0, "price", value=None), "activity emails: price is missing"),
        (_broken("activities", 0, "counts", 0, "quantity", value="-1"), "quantity is '-1'"),
        (_broken("activities", 0, "counts", 0, "quantity", value="many"), "quantity is 'many'"),
        (_broken("activities", 0, "metrics", 0, "points", value="NaN"), "points is 'NaN'"),
    ],
)
def test_a_faulty_count_is_refused_with_its_place(document: Any, named: str) -> None:
    with pytest.raises(ToolkitError, match=named):
        parse_usage(document, "usage.json")


def test_a_file_that_is_not_there_says_what_writes_it(tmp_path: Path) -> None:
    with pytest.raises(ToolkitError, match=r"usage\.json") as refused:
        read_usage(tmp_path / "usage.json")
    assert "make demo" in refused.value.remedy


# What is printed


def test_a_bill_can_be_read() -> None:
    alarms = [Made(ALARM, f"alarm-{number}", {"period": 60}) for number in range(5)]
    bill = make_bill(
        [*alarms, Made(KEY, "k"), Made("aws:iam/role:Role"), Made("aws:ec2/instance:Instance", "web")],
        used(Count("ses.email", "ConfigurationSet s", Decimal(1))),
        volume=60_000,
    )
    out = Console(width=120, record=True, file=open("/dev/null", "w"))  # noqa: SIM115, PTH123
    show(out, bill, "shop, stack prod")
    text = out.export_text()
    lines = [" ".join(line.split()) for line in text.splitlines()]
    assert "ConfigurationSet s 0.00 0.1600 9.60" in lines
    assert "5 MetricAlarms, alike 0.50 0.0000 0.50" in lines
    assert lines.count("in all 1.50 0.1600 11.10") == 3
    assert "Before the free tier" in text
    assert "Instance web: the price sheet does not know aws:ec2/instance:Instance" in text
    assert "1 Role: IAM has no price" in text


def test_a_bill_for_programs_names_each_price_with_its_source() -> None:
    document = bill_json(make_bill([Made(KEY, "k")], free_tier=True))
    assert document["total"] == {"name": "in all", "fixed": "1", "per_thousand": "0", "month": "1"}
    (line,) = document["lines"]
    assert (line["usd_month"], line["source"], line["read"]) == ("1", "https://aws.amazon.com/kms/pricing/", "2026-11")
    assert json.loads(json.dumps(document)) == document
    assert HOURS == 730


def test_a_bill_adds_up_by_the_names_that_cost_explorer_has_for_services() -> None:
    bill = make_bill([Made(KEY, "k"), Made(ALARM, "a", {"period": 60})], volume=1000)
    document = bill_json(bill)
    assert {total["name"]: total["month"] for total in document["by_service"]} == {
        "AWS Key Management Service": "1",
        "AmazonCloudWatch": "0.1",
    }
    assert sum((total.month for total in bill.by_service()), Decimal(0)) == bill.total.month


# The command

PROGRAM = """\
import pulumi_aws as aws
aws.cloudwatch.MetricAlarm(
    "late", comparison_operator="GreaterThanThreshold", evaluation_periods=1, threshold=1,
    metric_name="Late", namespace="Shop", period=60, statistic="Sum",
)
aws.sesv2.ConfigurationSet("mail", configuration_set_name="mail")
"""


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """A program, and beside it what a run of it used."""
    (tmp_path / "Pulumi.yaml").write_text("name: shop\nruntime: python\n", encoding="utf-8")
    (tmp_path / "Pulumi.prod.yaml").write_text("config: {aws:region: us-east-1}\n", encoding="utf-8")
    (tmp_path / "__main__.py").write_text(PROGRAM, encoding="utf-8")
    (tmp_path / "build").mkdir()
    usage = usage_json(used(Count("ses.email", "ConfigurationSet mail", Decimal(1))))
    (tmp_path / "build" / "usage.json").write_text(json.dumps(usage), encoding="utf-8")
    return tmp_path


def test_the_command_finds_the_count_that_a_run_left(shop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command(program=shop, plan=Plan.A_LA_CARTE, volume=20_000, as_json=True)
    told = json.loads(capsys.readouterr().out)
    assert told["total"] == {"name": "in all", "fixed": "0.1", "per_thousand": "0.1", "month": "2.1"}
    assert (told["plan"], told["usage_counted"]) == ("a-la-carte", "2026-11-22")


def test_a_count_that_was_asked_for_and_is_not_there_is_refused(shop: Path) -> None:
    with pytest.raises(ToolkitError, match=r"elsewhere\.json"):
        command(program=shop, usage=shop / "elsewhere.json")
