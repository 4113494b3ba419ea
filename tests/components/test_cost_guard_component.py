"""CostGuard: the budget counts one stack, tells of each threshold, and only it may; the last resort denies sending."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pulumi.provider.experimental.analyzer import Analyzer

from components.cost_guard import DENIED, THRESHOLDS, CostGuard, CostGuardArgs
from components.watch import Alarm, Board, Expression, Graph, Missing, Severity, Watch
from handlers.environment import CostGuard as Environment
from handlers.telemetry.contract import ESTIMATED_SPEND, Lane
from local.deployer.permissions import allows, may_assume
from local.twin.access import refused
from tests.components import parts
from tests.components.recorder import ACCOUNT, REGION, Recorder, record, watch_of

CONTROL = f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/control"
TICKET = f"arn:aws:sns:{REGION}:{ACCOUNT}:ticket"
TOPIC = f"arn:aws:sns:{REGION}:{ACCOUNT}:shop-budget"
QUEUE = f"arn:aws:sqs:{REGION}:{ACCOUNT}:shop-cost-guard"
BUDGET = f"arn:aws:budgets::{ACCOUNT}:budget/shop-test"
DENY = f"arn:aws:iam::{ACCOUNT}:policy/shop-deny-send"
SENDER = f"arn:aws:iam::{ACCOUNT}:role/shop-send-email"
BUDGETS = "budgets.amazonaws.com"
HELD = {"ACTUAL:100": ["order-confirmation"]}


def arguments(**changes: object) -> CostGuardArgs:
    return {
        "runtime": {**parts.runtime(), "control_table_name": "control", "control_table_arn": CONTROL},
        "tags": {"project": "mailroom", "stack": "test"},
        "monthly_usd": 50,
        "holds": HELD,
        "spend_per_hour": "2",
        "ticket_topic_arn": TICKET,
        "send_role_name": "shop-send-email",
        **changes,  # type: ignore[typeddict-item]
    }


def built(**changes: object) -> Recorder:
    return record(lambda: CostGuard("shop", arguments(**changes)))[0]


def watched(**changes: object) -> Watch:
    return watch_of(lambda: CostGuard("shop", arguments(**changes)))


def alarm(name: str, **changes: object) -> Alarm:
    (found,) = [each for each in watched(**changes).alarms if each.name == name]
    return found


# ---- Who may do what ----


@pytest.mark.parametrize(
    ("service", "source", "account"),
    [
        ("cloudwatch.amazonaws.com", BUDGET, ACCOUNT),
        (BUDGETS, "arn:aws:budgets::999999999999:budget/shop-test", ACCOUNT),
        (BUDGETS, BUDGET, "999999999999"),
        (BUDGETS, f"arn:aws:cloudwatch:{REGION}:{ACCOUNT}:alarm:any", ACCOUNT),
    ],
)
def test_nobody_but_this_accounts_budgets_publishes_to_the_topic(service: str, source: str, account: str) -> None:
    policy = built().one("TopicPolicy").inputs["policy"]
    assert refused(policy, "sns:Publish", TOPIC, source, account, REGION, service)


def test_the_budget_may_publish_and_waits_until_it_may() -> None:
    recorder = built()
    policy = recorder.one("TopicPolicy").inputs["policy"]
    assert refused(policy, "sns:Publish", TOPIC, BUDGET, ACCOUNT, REGION, BUDGETS) is None
    assert "TopicPolicy shop-budget" in recorder.one("Budget").dependencies


def test_the_topic_is_not_encrypted_with_a_key_that_budgets_cannot_use() -> None:
    assert "kmsMasterKeyId" not in built().one("Topic").inputs


@pytest.mark.parametrize("require_tls", [True, False])
def test_plain_http_is_denied_unless_an_emulator_has_nothing_else(require_tls: bool) -> None:
    assert ("DenyPlainHttp" in built(require_tls=require_tls).one("TopicPolicy").statements()) is require_tls


def test_the_role_may_do_exactly_this() -> None:
    allowed: dict[str, set[str]] = {}
    for statement in built().one("RolePolicy", "shop-cost-guard").document()["Statement"]:
        assert statement["Effect"] == "Allow"
        for action in statement["Action"]:
            allowed.setdefault(action, set()).update(statement["Resource"])
    log = {f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:/aws/lambda/shop-cost-guard:*"}
    assert allowed == {
        "dynamodb:GetItem": {CONTROL},
        "dynamodb:PutItem": {CONTROL},
        "dynamodb:UpdateItem": {CONTROL},
        "sns:Publish": {TICKET},
        "sqs:ReceiveMessage": {QUEUE},
        "sqs:DeleteMessage": {QUEUE},
        "sqs:GetQueueAttributes": {QUEUE},
        "logs:CreateLogStream": log,
        "logs:PutLogEvents": log,
        "xray:PutTelemetryRecords": {"*"},
        "xray:PutTraceSegments": {"*"},
    }


def test_the_function_is_told_exactly_what_it_reads() -> None:
    inputs = built().one("Function").inputs
    variables = inputs["environment"]["variables"]
    assert inputs["handler"] == "handlers.cost_guard.handler"
    assert variables.keys() == Environment.variables()
    assert json.loads(variables["BUDGET_HOLDS"]) == HELD
    assert variables["TICKET_TOPIC_ARN"] == TICKET
    assert Environment.read(variables).budget_holds == HELD


# ---- The budget ----


def test_the_budget_counts_what_has_all_of_the_stacks_tags_and_nothing_else() -> None:
    inputs = built().one("Budget").inputs
    assert inputs["filterExpression"] == {
        "ands": [
            {"tags": {"key": "project", "values": ["mailroom"]}},
            {"tags": {"key": "stack", "values": ["test"]}},
        ]
    }
    assert "costFilters" not in inputs, "the two forms exclude each other"
    assert (inputs["budgetType"], inputs["timeUnit"], inputs["metrics"]) == ("COST", "MONTHLY", "UnblendedCost")
    assert (inputs["limitAmount"], inputs["limitUnit"], inputs["name"]) == ("50", "USD", "shop-test")


def test_a_single_tag_needs_no_and() -> None:
    inputs = built(tags={"stack": "test"}).one("Budget").inputs
    assert inputs["filterExpression"] == {"tags": {"key": "stack", "values": ["test"]}}


def test_every_threshold_is_told_to_the_topic_and_the_topic_fills_the_queue() -> None:
    recorder = built()
    notifications = recorder.one("Budget").inputs["notifications"]
    assert [(each["notificationType"], each["threshold"]) for each in notifications] == [
        ("ACTUAL", 50),
        ("ACTUAL", 80),
        ("ACTUAL", 100),
        ("FORECASTED", 100),
    ]
    for each in notifications:
        assert (each["comparisonOperator"], each["thresholdType"]) == ("GREATER_THAN", "PERCENTAGE")
        assert each["subscriberSnsTopicArns"] == [TOPIC]
    subscription = recorder.one("TopicSubscription").inputs
    assert (subscription["topic"], subscription["endpoint"], subscription["protocol"]) == (TOPIC, QUEUE, "sqs")
    assert subscription["rawMessageDelivery"] is True


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.dictionaries(
        st.sampled_from([f"{kind}:{percent}" for kind, percent in THRESHOLDS]),
        st.lists(st.sampled_from([lane.value for lane in Lane]), unique=True),
    )
)
def test_every_threshold_that_holds_a_lane_has_a_notification(holds: dict[str, list[str]]) -> None:
    recorder = built(holds=holds)
    told = {
        f"{each['notificationType']}:{each['threshold']}" for each in recorder.one("Budget").inputs["notifications"]
    }
    held = json.loads(recorder.one("Function").inputs["environment"]["variables"]["BUDGET_HOLDS"])
    assert held == holds
    assert held.keys() <= told


# ---- The last resort ----


def test_the_last_resort_denies_all_that_mail_is_sent_with_and_is_attached_to_nothing() -> None:
    recorder = built()
    (statement,) = recorder.one("Policy").document()["Statement"]
    assert (statement["Effect"], statement["Action"], statement["Resource"]) == ("Deny", list(DENIED), "*")
    sending = json.dumps({"Statement": [{"Effect": "Allow", "Action": list(DENIED), "Resource": "*"}]})
    for action in DENIED:
        assert allows([sending], action, parts.IDENTITY)
        assert not allows([sending, recorder.one("Policy").inputs["policy"]], action, parts.IDENTITY)
    assert not recorder.all("RolePolicyAttachment")
    assert not recorder.all("BudgetAction")


def test_a_budget_action_denies_sending_once_the_budget_is_spent_and_tells_people() -> None:
    recorder = built(action_emails=["oncall@shop.com"])
    action = recorder.one("BudgetAction")
    inputs = action.inputs
    assert inputs["budgetName"] == "shop-test"
    assert (inputs["actionType"], inputs["approvalModel"]) == ("APPLY_IAM_POLICY", "AUTOMATIC")
    assert inputs["notificationType"] == "ACTUAL"
    assert inputs["actionThreshold"] == {"actionThresholdType": "PERCENTAGE", "actionThresholdValue": 100}
    assert inputs["definition"] == {"iamActionDefinition": {"policyArn": DENY, "roles": ["shop-send-email"]}}
    assert inputs["subscribers"] == [{"address": "oncall@shop.com", "subscriptionType": "EMAIL"}]
    assert inputs["executionRoleArn"].endswith("role/shop-budget-action")
    assert "RolePolicy shop-budget-action" in action.dependencies


@pytest.mark.parametrize("action", ["iam:AttachRolePolicy", "iam:DetachRolePolicy"])
@pytest.mark.parametrize(
    ("role", "policy", "allowed"),
    [
        (SENDER, DENY, True),
        (SENDER, "arn:aws:iam::aws:policy/AdministratorAccess", False),
        (f"arn:aws:iam::{ACCOUNT}:role/another", DENY, False),
    ],
)
def test_the_actions_role_attaches_this_policy_to_this_role_and_does_nothing_else(
    action: str, role: str, policy: str, allowed: bool
) -> None:
    grant = built(action_emails=["oncall@shop.com"]).one("RolePolicy", "shop-budget-action")
    assert allows([grant.inputs["policy"]], action, role, {"iam:policyarn": policy}) is allowed
    assert not allows([grant.inputs["policy"]], "iam:PutRolePolicy", role, {"iam:policyarn": policy})


@pytest.mark.parametrize(
    ("service", "account", "source", "may"),
    [
        (BUDGETS, ACCOUNT, BUDGET, True),
        (BUDGETS, "999999999999", BUDGET, False),
        (BUDGETS, ACCOUNT, "arn:aws:budgets::999999999999:budget/shop-test", False),
        ("lambda.amazonaws.com", ACCOUNT, BUDGET, False),
    ],
)
def test_only_this_accounts_budgets_assume_the_actions_role(service: str, account: str, source: str, may: bool) -> None:
    role = built(action_emails=["oncall@shop.com"]).one("Role", "shop-budget-action")
    keys = {"aws:sourceaccount": account, "aws:sourcearn": source}
    assert may_assume(role.inputs["assumeRolePolicy"], service, keys) is may


# ---- Arguments and outputs ----


def test_wrong_arguments_are_refused_together_before_anything_is_made() -> None:
    recorder = Recorder()
    wrong: dict[str, Any] = {
        "monthly_usd": 0,
        "tags": {},
        "holds": {"ACTUAL:90": ["order-confirmation"], "ACTUAL:100": ["newsletter"]},
        "spend_per_hour": "0",
        "action_emails": [f"{number}@shop.com" for number in range(11)],
    }
    with pytest.raises(ValueError, match="CostGuard 'shop'") as refusal:
        record(lambda: CostGuard("shop", arguments(**wrong)), recorder=recorder)
    for fault in (
        "monthly_usd is 0, allowed are 1 to 1000000 USD",
        "tags is empty",
        "holds has 'ACTUAL:90', allowed are ACTUAL:50, ACTUAL:80, ACTUAL:100, FORECASTED:100",
        "holds of ACTUAL:100 has lane 'newsletter', allowed are order-confirmation, probe",
        "spend_per_hour is '0', allowed is an amount above 0 such as 2.50",
        "action_emails is 11, allowed are 0 to 10 addresses",
    ):
        assert fault in str(refusal.value)
    assert recorder.resources == []


@pytest.mark.parametrize("usd", ["", "-1", "1e3", "NaN", "2 USD"])
def test_a_spend_that_is_no_amount_is_refused(usd: str) -> None:
    with pytest.raises(ValueError, match="spend_per_hour is"):
        built(spend_per_hour=usd)


def test_outputs_name_what_people_and_drills_need() -> None:
    outputs = record(lambda: CostGuard("shop", arguments()))[1]
    assert outputs["topic_arn"] == TOPIC
    assert (outputs["queue_arn"], outputs["dlq_arn"]) == (QUEUE, f"{QUEUE}-dlq")
    assert (outputs["queue_url"], outputs["dlq_url"]) == tuple(
        f"https://sqs.{REGION}.amazonaws.com/{ACCOUNT}/shop-cost-guard{end}" for end in ("", "-dlq")
    )
    assert (outputs["function_name"], outputs["log_group_name"]) == ("shop-cost-guard", "/aws/lambda/shop-cost-guard")
    assert (outputs["deny_policy_arn"], outputs["budget_name"]) == (DENY, "shop-test")


def test_it_can_be_used_from_any_language() -> None:
    definition = Analyzer("mailroom").analyze([CostGuard])["component_definitions"]["CostGuard"]
    optional = {name for name, each in definition.inputs.items() if each.optional}
    assert optional == {"actionEmails", "requireTls"}
    assert all(each.description for each in (*definition.inputs.values(), *definition.outputs.values()))


# ---- What it says of itself ----


def test_spend_beyond_what_the_gate_allows_pages() -> None:
    over = alarm("spend-hour-page", spend_per_hour="0.50")
    assert isinstance(over.signal, Expression)
    assert over.signal.formula == "FILL(spent, 0)", "or an hour that is over would stand for one in which nothing runs"
    assert (over.signal.series["spent"].metric, over.signal.series["spent"].stat) == (ESTIMATED_SPEND.name, "Sum")
    assert (over.threshold, over.period, over.points) == (1.25, 3600, (1, 1))
    assert over.missing is Missing.NOT_BREACHING
    assert "does not see" in over.because


def test_a_notification_that_is_not_handled_is_a_ticket() -> None:
    tickets = {each.name for each in watched().alarms if each.severity is Severity.TICKET}
    assert tickets == {"cost-guard-errors-ticket", "cost-guard-waiting-ticket", "cost-guard-dlq-not-empty-ticket"}


def test_spend_is_drawn_beside_its_limit_and_the_day_is_a_number() -> None:
    watch = watched()
    assert list(watch.metrics) == [ESTIMATED_SPEND]
    graphs = [each for each in watch.widgets if isinstance(each, Graph) and each.board is Board.OUTCOMES]
    assert [line.name for graph in graphs for line in graph.lines] == ["spend-hour-page"]
    assert [(graph.number, graph.span) for graph in graphs if graph.number] == [(True, 86_400)]
