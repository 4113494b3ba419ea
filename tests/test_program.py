"""The whole program, stack by stack: what it registers, what it exports, and what holds for all of it."""

from __future__ import annotations

import difflib
import json
from decimal import Decimal

import pytest

from handlers.telemetry.contract import AlarmCard, Lane
from local.config import ROOT, stack_config
from observability.program.recorder import run_recorded
from settings import SettingsError
from tests.components.dashboard_schema import faults
from tests.components.recorder import Recorder
from tests.pin import FILES, PINNED
from tests.recorded import STACKS, program

OUTPUTS = {
    "region", "stack", "endpoint", "productionSending", "orderTopicArn", "sendQueueArn", "sendQueueUrl", "sendDlqArn",
    "sendDlqUrl", "quarantineQueueArn", "quarantineQueueUrl", "feedbackQueueArn", "feedbackQueueUrl",
    "feedbackDlqArn", "feedbackDlqUrl", "ledgerTableName", "sendFunctionArn", "feedbackFunctionArn",
    "sendFunctionName", "feedbackFunctionName", "sendLogGroup", "feedbackLogGroup", "configurationSetName",
    "deliveryTopicArn", "bounceTopicArn", "complaintTopicArn", "dnsRecords", "alarmsTopicArn", "pageTopicArn",
    "ticketTopicArn", "notifyQueueArn", "notifyQueueUrl", "notifyDlqArn", "notifyDlqUrl", "notifyFunctionName",
    "notifyLogGroup", "probeFunctionName", "probeFunctionArn", "probeLogGroup", "dashboards", "monitoringCost",
    "lanes", "controlTableName", "brakeFunctionName", "brakeLogGroup", "sendRoleName", "spendPerHour", "spendPerDay",
    "budgetName", "budgetTopicArn", "denySendPolicyArn", "costGuardQueueArn", "costGuardQueueUrl", "costGuardDlqArn",
    "costGuardDlqUrl", "costGuardFunctionName", "costGuardLogGroup", "reputationGuardFunctionName",
    "reputationGuardLogGroup",
}  # fmt: skip
REPORTED = {"costReportFunctionName", "costReportLogGroup"}
"""Of a stack whose `reportEmails` name somebody."""

# All of the account's, or none: AWS knows no resource for these.
# https://docs.aws.amazon.com/service-authorization/latest/reference/reference_policies_actions-resources-contextkeys.html
WITHOUT_RESOURCES = {
    "xray:PutTelemetryRecords", "xray:PutTraceSegments", "cloudwatch:GetMetricData", "cloudwatch:ListDashboards",
    "cloudwatch:ListMetrics", "ce:GetCostAndUsage", "logs:DescribeLogGroups",
}  # fmt: skip


@pytest.mark.parametrize("name", FILES)
def test_what_the_program_registers_is_what_is_pinned(name: str) -> None:
    pinned, found = (ROOT / name).read_text(encoding="utf-8").splitlines(), FILES[name]().splitlines()
    difference = [line for line in difflib.ndiff(pinned, found) if line[0] in "+-"]
    assert not difference, (
        f"the program differs from {name}. A renamed resource is deleted and made anew unless it has an"
        " alias. If the change is meant: `python -m tests.pin`, and read what it changes:\n" + "\n".join(difference)
    )


@pytest.mark.parametrize("stack", STACKS)
def test_every_alarm_says_how_bad_it_is_why_it_is_there_what_silence_means_and_what_to_do(stack: str) -> None:
    recorder = program(stack)[0]
    for alarm in [*recorder.all("MetricAlarm"), *recorder.all("CompositeAlarm")]:
        card = AlarmCard.parse(alarm.inputs["alarmDescription"])
        assert card.severity in {"page", "ticket"}, alarm.name
        assert alarm.name.endswith(f"-{card.severity}"), alarm.name
        assert card.runbook.endswith(f"#{alarm.name.removeprefix('mailroom-')}"), alarm.name
        # "[ticket] prod: " before it and ", 2026-11-22 03:04:00 UTC" after it, in SNS's 100 characters.
        assert 0 < len(card.summary.partition(":")[0]) <= 58, f"{alarm.name}: cut off in a subject: {card.summary}"
        assert card.because, alarm.name
        assert bool(card.missing) is (alarm in recorder.all("MetricAlarm")), alarm.name


@pytest.mark.parametrize("stack", STACKS)
def test_no_two_alarms_have_one_name_and_each_tells_or_is_spoken_for(stack: str) -> None:
    recorder = program(stack)[0]
    composites = recorder.all("CompositeAlarm")
    alarms = recorder.all("MetricAlarm")
    names = [alarm.inputs["name"] for alarm in alarms] + [alarm.inputs["alarmName"] for alarm in composites]
    assert len(set(names)) == len(names)
    rules = "".join(alarm.inputs["alarmRule"] for alarm in composites)
    for alarm in alarms:
        told = bool(alarm.inputs.get("alarmActions"))
        assert told is not (f'"{alarm.inputs["name"]}"' in rules), alarm.name


@pytest.mark.parametrize("stack", STACKS)
def test_dashboards_are_as_aws_documents_them(stack: str) -> None:
    for dashboard in program(stack)[0].all("Dashboard"):
        assert faults(dashboard.document("dashboardBody")) == []


@pytest.mark.parametrize(("stack", "limit"), [("prod", 14), ("dev", 7)])
def test_watching_a_stack_costs_what_it_may(stack: str, limit: int) -> None:
    cost = program(stack)[1]["monitoringCost"]
    assert 1 < Decimal(cost["total"]) < limit
    lines = [Decimal(line["usd"]) for line in cost["lines"]]
    assert abs(sum(lines) - Decimal(cost["total"])) <= Decimal("0.005") * len(lines), "the list adds up"
    assert Decimal(cost["per_thousand_emails"]) > 0


@pytest.mark.parametrize("stack", ["prod", "dev"])
def test_the_readme_says_what_watching_costs(stack: str) -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert f"{stack}: {program(stack)[1]['monitoringCost']['total']} USD a month" in readme, (
        "docs/monitoring-cost.md, too"
    )


def test_the_count_of_alarms_in_the_cost_is_that_of_the_registered_ones() -> None:
    recorder, outputs = program("prod")
    metrics = sum(
        sum("metric" in query for query in alarm.inputs.get("metricQueries", [])) or 1
        for alarm in recorder.all("MetricAlarm")
    )
    cost = {line["what"]: Decimal(line["usd"]) for line in outputs["monitoringCost"]["lines"]}
    assert cost["metrics in alarms"] == metrics * Decimal("0.10")
    assert cost["composite alarms"] == len(recorder.all("CompositeAlarm")) * Decimal("0.50")


@pytest.mark.parametrize("stack", STACKS)
def test_outputs_are_complete_and_known(stack: str) -> None:
    outputs = program(stack)[1]
    assert set(outputs) == OUTPUTS | (REPORTED if stack_config(stack).get("mailroom:reportEmails") else set())
    assert json.loads(json.dumps(outputs)) == outputs
    assert not [name for name, value in outputs.items() if value is None]
    assert outputs["stack"] == stack


def test_the_local_stack_says_where_its_emulator_is_and_the_others_that_they_are_on_aws() -> None:
    endpoints = {stack: program(stack)[1]["endpoint"] for stack in STACKS}
    assert endpoints == {"dev": "", "prod": "", "local": "http://127.0.0.1:4566"}


@pytest.mark.parametrize("stack", STACKS)
def test_every_aws_resource_is_made_by_the_one_tagged_provider(stack: str) -> None:
    recorder = program(stack)[0]
    made = [resource for resource in recorder.resources if resource.type.startswith("aws:")]
    assert made
    assert {resource.provider.rsplit("::", 2)[-2:][0] for resource in made} == {"aws"}
    assert len(recorder.all("aws")) == 1
    assert not [resource.name for resource in made if "tags" in resource.inputs], "tags are set in one place"


@pytest.mark.parametrize("stack", STACKS)
def test_no_role_is_allowed_a_wildcard(stack: str) -> None:
    for policy in program(stack)[0].all("RolePolicy"):
        for statement in policy.document()["Statement"]:
            actions, resources = statement["Action"], statement["Resource"]
            assert not [action for action in actions if "*" in action], policy.name
            if resources == "*":
                assert set(actions) <= WITHOUT_RESOURCES, policy.name
            else:
                assert all(resource.startswith("arn:aws:") for resource in resources)


@pytest.mark.parametrize("stack", STACKS)
def test_nothing_is_open_to_everybody(stack: str) -> None:
    recorder = program(stack)[0]
    for resource in [*recorder.all("QueuePolicy"), *recorder.all("TopicPolicy"), *recorder.all("Key")]:
        for statement in resource.document()["Statement"]:
            assert statement["Effect"] == "Deny" or statement["Principal"] != "*", resource.name
            if "Service" in statement["Principal"]:
                assert statement.get("Condition"), f"{resource.name}: any account's service could come in"


@pytest.mark.parametrize("stack", ["dev", "prod"])
def test_on_aws_no_queue_and_no_topic_is_reached_over_plain_http(stack: str) -> None:
    recorder = program(stack)[0]
    assert recorder.names("QueuePolicy") == recorder.names("Queue")
    assert recorder.names("TopicPolicy") == recorder.names("Topic")
    for policy in [*recorder.all("QueuePolicy"), *recorder.all("TopicPolicy")]:
        assert "DenyPlainHttp" in policy.statements(), policy.name


def test_every_queue_hides_messages_longer_than_its_consumer_runs() -> None:
    recorder = program("prod")[0]
    for mapping in recorder.all("EventSourceMapping"):
        if ":sqs:" not in mapping.inputs["eventSourceArn"]:
            continue
        function = recorder.one("Function", mapping.inputs["functionName"].split(":")[6])
        queue = recorder.one("Queue", mapping.inputs["eventSourceArn"].rsplit(":", 1)[-1])
        assert queue.inputs["visibilityTimeoutSeconds"] >= 6 * function.inputs["timeout"]


def test_each_lane_is_told_with_what_holds_it_alone() -> None:
    recorder, outputs = program("prod")
    told = {lane["name"]: lane for lane in outputs["lanes"]}
    assert told.keys() == set(Lane)
    assert {name for name, lane in told.items() if lane["urgent"]} == {"probe"}
    for key in ("queueArn", "queueUrl", "dlqArn", "dlqUrl", "mappingId", "configurationSet"):
        assert len({lane[key] for lane in told.values()}) == len(Lane), f"lanes share their {key}"
    held = json.loads(recorder.one("Function", "mailroom-brake").inputs["environment"]["variables"]["LANES"])
    assert held == {
        name: {"mapping": lane["mappingId"], "configurationSet": lane["configurationSet"]}
        for name, lane in told.items()
    }
    assert (told["order-confirmation"]["queueUrl"], told["order-confirmation"]["configurationSet"]) == (
        outputs["sendQueueUrl"],
        outputs["configurationSetName"],
    )


@pytest.mark.parametrize("stack", STACKS)
def test_no_more_than_two_functions_follow_the_control_table(stack: str) -> None:
    """More readers of one shard may be throttled (DynamoDB Streams API, GetRecords, LimitExceededException)."""
    followers = [
        mapping.name
        for mapping in program(stack)[0].all("EventSourceMapping")
        if ":dynamodb:" in mapping.inputs["eventSourceArn"]
    ]
    assert sorted(followers) == ["mailroom-brake", "mailroom-reputation-guard"]


def test_prod_has_what_dev_has_and_the_alarms_that_only_customers_need() -> None:
    dev, prod = (set((PINNED / f"{stack}.txt").read_text().splitlines()) for stack in ("dev", "prod"))
    assert dev < prod
    report = {line for line in prod - dev if "cost-report" in line or "CostReport" in line}
    assert "aws:lambda/function:Function mailroom-cost-report" in report, "dev has nobody to report to"
    more = {line.split(" ", 1)[1] for line in prod - dev - report}
    assert {name.split("-burn-")[0] for name in more if "-burn-" in name} == {
        "mailroom-sent-in-time",
        "mailroom-delivered",
        "mailroom-feedback-in-time",
    }
    assert {name.removeprefix("mailroom-") for name in more if "-burn-" not in name} == {
        *("sender-bounce-rate-page", "sender-bounce-rate-ticket", "ses-bounce-rate-page", "reputation-at-risk-page"),
        *("sender-complaint-rate-page", "sender-complaint-rate-ticket", "ses-complaint-rate-page"),
        *("objectives-page", "objectives-ticket"),
    }


def test_a_hosted_zone_adds_the_domains_records_and_nothing_else() -> None:
    without, within = program("prod")[0], program("prod", hostedZoneId="Z0123456789")[0]
    added = set(within.pinned()) - set(without.pinned())
    assert added == {
        f"aws:route53/record:Record mailroom-{label}"
        for label in ("dkim-1", "dkim-2", "dkim-3", "mail-from-mx", "mail-from-spf", "dmarc")
    }


def test_the_switch_to_production_sending_reaches_the_handler_and_its_role() -> None:
    for sending in ("true", "false"):
        recorder, outputs = program("local", productionSending=sending)
        variables = recorder.one("Function", "mailroom-send-email").inputs["environment"]["variables"]
        assert variables["PRODUCTION_SENDING"] == sending
        assert outputs["productionSending"] is (sending == "true")
        policy = recorder.one("RolePolicy", "mailroom-send-email").inputs["policy"]
        assert ("simulator.amazonses.com" in policy) is (sending == "false")


def test_settings_of_cost_reach_the_budget_the_guard_and_the_last_resort() -> None:
    usual = program("prod")[0]
    assert usual.one("Budget").inputs["name"] == "mailroom-prod"
    assert usual.one("Budget").inputs["limitAmount"] == "100"
    assert not usual.all("BudgetAction")
    changed = program(
        "prod",
        monthlyBudget="7",
        budgetHolds="actual:80:all",
        budgetAction="true",
        pageEmails="oncall@shop.com",
        spendPerHour="4",
    )[0]
    assert changed.one("Budget").inputs["limitAmount"] == "7"
    held = changed.one("Function", "mailroom-cost-guard").inputs["environment"]["variables"]["BUDGET_HOLDS"]
    assert json.loads(held) == {"ACTUAL:80": ["order-confirmation", "probe"]}
    action = changed.one("BudgetAction").inputs
    role = changed.one("Function", "mailroom-send-email").inputs["role"]
    assert [role.rsplit("/")[-1]] == action["definition"]["iamActionDefinition"]["roles"]
    assert [each["address"] for each in action["subscribers"]] == ["oncall@shop.com"]
    (over,) = [each for each in changed.all("MetricAlarm") if each.inputs["name"].endswith("spend-hour-page")]
    assert over.inputs["threshold"] == 10


def test_wrong_settings_stop_the_program_before_anything_is_registered() -> None:
    recorder = Recorder()
    config = {**stack_config("dev"), "mailroom:sendRate": "0", "mailroom:ownr": "me"}
    with pytest.raises(SettingsError, match=r"2 settings are wrong in stack 'dev'") as refused:
        run_recorded(ROOT, recorder, project="mailroom", stack="dev", config=config)
    assert len(refused.value.faults) == 2
    assert recorder.resources == []
