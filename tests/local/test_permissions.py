"""No role may do more than its function needs: whatever is taken away is missed, and by its name."""

from __future__ import annotations

import json
import re
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import Final

import pytest

from handlers.adapters.control import Control
from handlers.guarding.brake import Holder, release
from handlers.guarding.tally import BOUNCED, JUDGED, SPEND, USD, outcomes
from handlers.telemetry.contract import NAMESPACE, Lane
from local.alarms import alarms_of, notification
from local.aws import LocalAws
from local.budgets import notify
from local.deployer import Deployment, DeploymentError
from local.deployer.permissions import ROLE_POLICY, actions, allows, dropping, mail_checks, statements, widened, without
from local.schedules import run_now, schedules
from ops.brake import start_of

SEND, FEEDBACK = "mailroom-send-email", "mailroom-record-feedback"
NOTIFY, PROBE, PROBE_SCHEDULE = "mailroom-notify", "mailroom-probe", "mailroom-probe-schedule"
BRAKE, BRAKE_SCHEDULE = "mailroom-brake", "mailroom-brake-schedule"
COST_GUARD, REPUTATION_GUARD = "mailroom-cost-guard", "mailroom-reputation-guard"
REPORT, REPORT_SCHEDULE = "mailroom-cost-report", "mailroom-cost-report-schedule"
POLICIES: Final = (
    *(SEND, FEEDBACK, NOTIFY, PROBE, PROBE_SCHEDULE),
    *(BRAKE, BRAKE_SCHEDULE, COST_GUARD, REPUTATION_GUARD, REPORT, REPORT_SCHEDULE),
)
FUNCTIONS: Final = ("send", "feedback", "notify", "probe", "brake", "costGuard", "reputationGuard", "costReport")
"""As their names' outputs begin."""
NOT_ASKED: Final = {(REPORT, "ce:GetCostAndUsage")}
"""What nothing here asks a role for: the Cost Explorer of a local run takes anybody's word."""
DENIED: Final = re.compile(r"assumed-role/([\w-]+)-\w{7}/\S+ is not authorized to perform:? [`']?([\w-]+:\w+)")
SECONDS: Final = 45.0
"""Until each part of an exercise has settled or has been denied something: cold functions, and a throttled order's
wait."""
NOBODY: Final = {"pageWebhooks": "http://127.0.0.1:9/page"}
"""A receiver of pages that does not listen: the port is `discard`'s."""

TABLE = "arn:aws:dynamodb:us-east-1:000000000000:table/rows"
IDENTITY = "arn:aws:ses:us-east-1:000000000000:identity/mail.example.com"
SET = "arn:aws:ses:us-east-1:000000000000:configuration-set/mail"


def policy(*statements_: Mapping[str, object]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", **one} for one in statements_]})


READ = {"Action": ["dynamodb:GetItem", "dynamodb:UpdateItem"], "Resource": TABLE}
MAIL = {"Action": ["ses:SendEmail", "ses:SendRawEmail"], "Resource": [IDENTITY, SET]}
SANDBOX = {**MAIL, "Condition": {"ForAllValues:StringLike": {"ses:Recipients": ["*@simulator.amazonses.com"]}}}


def test_a_policy_allows_its_actions_on_its_resources_and_nothing_else() -> None:
    assert allows([policy(READ)], "dynamodb:GetItem", TABLE)
    assert not allows([policy(READ)], "dynamodb:GetItem", f"{TABLE}-of-another")
    assert not allows([policy(READ)], "dynamodb:DeleteItem", TABLE)
    assert not allows([policy(READ), policy({**READ, "Effect": "Deny"})], "dynamodb:GetItem", TABLE)


def test_only_listed_actions_are_widened_and_a_missing_one_stays_missing() -> None:
    made = statements(widened(policy(READ, MAIL)))
    assert made == [
        {"Effect": "Allow", **READ},
        {"Effect": "Allow", "Action": ["ses:SendEmail", "ses:SendRawEmail"], "Resource": "*"},
    ]
    lacking = widened(without(policy(READ, MAIL), "ses:SendEmail"))
    assert not allows([lacking], "ses:SendEmail", "*")
    assert allows([lacking], "ses:SendRawEmail", "*")


def test_a_statement_that_mixes_actions_is_widened_for_the_listed_ones_only() -> None:
    mixed = widened(policy({"Action": ["ses:SendEmail", "sqs:SendMessage"], "Resource": [IDENTITY]}))
    assert allows([mixed], "ses:SendEmail", "*")
    assert not allows([mixed], "sqs:SendMessage", "*")


def test_a_denial_is_never_widened() -> None:
    denial = policy({**MAIL, "Effect": "Deny"})
    assert statements(widened(denial)) == statements(denial)


def test_an_action_that_is_dropped_takes_an_empty_statement_with_it() -> None:
    assert statements(without(policy(READ, {"Action": "sqs:SendMessage", "Resource": "q"}), "sqs:SendMessage")) == [
        {"Effect": "Allow", **READ}
    ]


def test_a_policy_that_would_be_empty_denies_what_was_dropped() -> None:
    only = without(policy({"Action": "sqs:SendMessage", "Resource": "q"}), "sqs:SendMessage")
    assert [(one["Effect"], one["Action"]) for one in statements(only)] == [("Deny", "sqs:SendMessage")]


@pytest.mark.parametrize("action", ["ses:SendEmail", "ses:SendRawEmail"])
def test_a_role_that_sends_needs_both_actions_on_identity_and_configuration_set(action: str) -> None:
    def missing(document: str) -> set[tuple[str, str]]:
        checks = mail_checks([document], [IDENTITY, SET])
        return {
            (one.action, one.resource) for one in checks if not allows([document], one.action, one.resource, one.keys)
        }

    assert not missing(policy(MAIL))
    assert not missing(policy(SANDBOX)), "a sandbox may write to the simulator"
    assert missing(without(policy(MAIL), action)) == {(action, IDENTITY), (action, SET)}
    assert missing(policy({**MAIL, "Resource": [IDENTITY]})) == {("ses:SendEmail", SET), ("ses:SendRawEmail", SET)}
    assert not list(mail_checks([policy(READ)], [IDENTITY, SET])), "a role that sends no mail is asked for nothing"


@pytest.fixture(scope="module")
def account(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalAws]:
    """An account of this module's own: every test deploys to it afresh."""
    with LocalAws(folder=tmp_path_factory.mktemp("permissions")) as running:
        yield running


def order(order_id: str, address: str) -> str:
    return json.dumps(
        {
            "orderId": order_id,
            "customerEmail": address,
            "customerName": "Ada",
            "items": [{"sku": "cup", "name": "Cup", "quantity": 1, "unitPrice": "3.00"}],
            "total": "3.00",
            "currency": "EUR",
            "timestamp": "2026-11-22T10:00:00Z",
        }
    )


def exercise(account: LocalAws, role_policy: str = "") -> set[str]:
    """Has the functions do what between them needs every permission, or those of one policy; returns the actions that
    they were denied. Raises AssertionError if what they do neither settles nor is denied."""
    since = datetime.now(UTC)
    for begin, settled in EXERCISES.get(role_policy, (WORK, *GUARDING)):
        begin(account)
        deadline = time.monotonic() + SECONDS
        while not (found := denied(account, since, role_policy)) and not settled(account):
            if time.monotonic() > deadline:
                raise AssertionError(
                    f"{settled.__name__}: not so, and nothing denied: {account.folder / 'emulator.log'}"
                )
            time.sleep(0.25)
        if found:
            return found
    return denied(account, since, role_policy)


def work(account: LocalAws) -> None:
    """One order twice (it is found in the ledger), one that SES throttles once (it is given back to the queue for a
    while), one that is no order (it goes to quarantine). A probe. An alarm about a metric of ours, so that the logs are
    searched, and one that is over, so that its history is; their receiver does not listen. The cost report, while there
    is a metric that alarms and dashboards may show."""
    account.twin.configure(faults={"slow@*": "throttle"}, fault_times=1)
    good = order("good", "ada@example.org")
    for body in (good, good, order("slow", "slow@example.org"), "no order"):
        publish(account, body)
    cloudwatch, now = account.client("cloudwatch"), datetime.now(UTC)
    metric = {"MetricName": "EmailsSent", "Dimensions": [{"Name": "Stack", "Value": "local"}], "Value": 1}
    cloudwatch.put_metric_data(Namespace=NAMESPACE, MetricData=[metric])
    for function in ("probeFunctionArn", "costReportFunctionName"):
        account.client("lambda").invoke(FunctionName=account.outputs[function], InvocationType="Event")
    for alarm in alarms_of(cloudwatch):
        if alarm["AlarmName"].endswith("-intake-orders-dropped-page"):
            dropped = alarm
        if alarm["AlarmName"].endswith("-send-email-unknown-ticket"):
            unknown = alarm
    cloudwatch.set_alarm_state(AlarmName=dropped["AlarmName"], StateValue="ALARM", StateReason="tried")
    for message in (
        notification(unknown, "ALARM", now, values=[1]),
        notification(dropped, "OK", now + timedelta(seconds=1), before="ALARM", values=[0]),
    ):
        account.client("sns").publish(TopicArn=account.outputs["alarmsTopicArn"], Message=message)


def worked(account: LocalAws) -> bool:
    rows = account.client("dynamodb").scan(TableName=account.outputs["ledgerTableName"])["Items"]
    aside = account.client("sqs").get_queue_attributes(
        QueueUrl=account.outputs["quarantineQueueUrl"], AttributeNames=["ApproximateNumberOfMessages"]
    )
    told = said(account, "notify")
    return (
        sorted(row["status"]["S"] for row in rows) == ["DELIVERED"] * 3
        and aside["Attributes"]["ApproximateNumberOfMessages"] == "1"
        and told["told"] >= 2
        and told["page not delivered"] >= 1
        and said(account, "probe")["probe delivered"] >= 1
        and said(account, "costReport")["cost report mailed"] >= 1
    )


def overspend(account: LocalAws) -> None:
    """More is spent than an hour may, so that the next order has its lane held by the gate; and of the other lane's
    emails most bounce, so that the reputation guard holds that. The brake follows both."""
    control, now = control_of(account), datetime.now(UTC)
    control.add(SPEND, now, {USD: Decimal(1000)}, slotted=frozenset({USD}))
    bounced = {JUDGED: Decimal(1000), BOUNCED: Decimal(900)}
    control.add(outcomes(Lane.PROBE), now, bounced, slotted=frozenset(bounced))
    publish(account, order("dear", "dear@example.org"))


def held(account: LocalAws) -> bool:
    wanted = {Lane.CONFIRMATION: {Holder.SPEND}, Lane.PROBE: {Holder.REPUTATION}}
    return holders(account) == wanted and states(account) == {(name, "Disabled", False) for name in Lane}


def spend_budget(account: LocalAws) -> None:
    """The month's budget is spent: one more hold, and people are told."""
    notify(account)


def held_by_budget(account: LocalAws) -> bool:
    waiting = account.client("sqs").get_queue_attributes(
        QueueUrl=account.outputs["costGuardQueueUrl"],
        AttributeNames=["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"],
    )["Attributes"]
    return Holder.BUDGET in holders(account)[Lane.CONFIRMATION] and set(waiting.values()) == {"0"}


def let_go(account: LocalAws) -> None:
    """Both lanes are released by a word in the table, and the brake's schedule moves their ramps on."""
    control, now = control_of(account), datetime.now(UTC)
    for name in Lane:
        start = start_of(control, name, now)
        control.alter(name, partial(release, by="tests", reason="tried", start=start))
    (brake,) = [each for each in schedules(account) if account.outputs["brakeFunctionName"] in each.target["arn"]]
    run_now(account, brake, at=time.time(), wait=False)


def released(account: LocalAws) -> bool:
    control = control_of(account)
    return all(control.lane(name).stage_since for name in Lane) and states(account) == {
        (name, "Enabled", True) for name in Lane
    }


WORK: Final = (work, worked)
GUARDING: Final = ((overspend, held), (spend_budget, held_by_budget), (let_go, released))
EXERCISES: Final = {
    **dict.fromkeys((FEEDBACK, NOTIFY, PROBE, REPORT), (WORK,)),
    **dict.fromkeys((BRAKE, COST_GUARD, REPUTATION_GUARD), GUARDING),
}
"""What the functions do, each with what it comes to, by the policy that it is enough for; all of it for any other."""


def publish(account: LocalAws, body: str) -> None:
    account.client("sns").publish(
        TopicArn=account.outputs["orderTopicArn"],
        Message=body,
        MessageAttributes={"messageType": {"DataType": "String", "StringValue": Lane.CONFIRMATION}},
    )


def control_of(account: LocalAws) -> Control:
    return Control(account.client("dynamodb"), account.outputs["controlTableName"])


def holders(account: LocalAws) -> dict[str, set[str]]:
    return {name: set(control_of(account).lane(name).holds) for name in Lane}


def states(account: LocalAws) -> set[tuple[str, str, bool]]:
    """Each lane's mapping's state, and whether its configuration set sends."""
    functions, emails = account.client("lambda"), account.client("sesv2")
    return {
        (
            lane["name"],
            functions.get_event_source_mapping(UUID=lane["mappingId"])["State"],
            emails.get_configuration_set(ConfigurationSetName=lane["configurationSet"])["SendingOptions"][
                "SendingEnabled"
            ],
        )
        for lane in account.outputs["lanes"]
    }


def said(account: LocalAws, function: str) -> Counter[str]:
    """How often a function has logged each message."""
    lines = account.logs(account.outputs[f"{function}FunctionName"])
    return Counter(str(line.get("message")) for line in lines)


def denied(account: LocalAws, since: datetime, role: str = "") -> set[str]:
    """The actions that functions, or the one of a role (its logical name), were denied in runs that ended `since` then:
    what still ran when the account was emptied for the next deployment is denied everything, until that has made the
    roles anew."""
    logs, start = account.client("logs"), int(since.timestamp() * 1000)
    groups = [account.outputs[f"{name}LogGroup"] for name in FUNCTIONS]
    lines = [
        event["message"]
        for group in groups
        for event in logs.filter_log_events(logGroupName=group, startTime=start)["events"]
    ]
    return {action for line in lines for denied_role, action in DENIED.findall(line) if role in ("", denied_role)}


def granted(deployment: Deployment) -> list[tuple[str, str]]:
    """Every (role policy, action) of a deployment."""
    return [
        (resource.name, action)
        for resource in deployment.created
        if resource.type == ROLE_POLICY
        for statement in statements(resource.inputs["policy"])
        for action in actions(statement)
    ]


def failure_without(account: LocalAws, role_policy: str, action: str) -> str:
    """What a run without one action says: the deployment's refusal, or the actions that were denied; "" for nothing."""
    try:
        account.deploy(NOBODY, transform=dropping(role_policy, action))
    except DeploymentError as refused:
        return str(refused)
    return " ".join(sorted(exercise(account, role_policy)))


@pytest.mark.local
def test_with_all_its_permissions_a_run_is_denied_nothing(account: LocalAws) -> None:
    account.deploy(NOBODY)
    assert exercise(account) == set()


@pytest.mark.local
@pytest.mark.parametrize(
    ("role_policy", "action"),
    [
        pytest.param(SEND, "dynamodb:UpdateItem", id="denied when the function asks"),
        pytest.param(FEEDBACK, "sqs:DeleteMessage", id="refused with the event source mapping"),
        pytest.param(SEND, "ses:SendRawEmail", id="refused for what the emulator would not ask"),
        pytest.param(PROBE_SCHEDULE, "lambda:InvokeFunction", id="refused for a schedule that would never run"),
        pytest.param(NOTIFY, "cloudwatch:DescribeAlarmHistory", id="logged where it only looks something up"),
        pytest.param(BRAKE, "dynamodb:GetRecords", id="refused with the stream that the brake follows"),
        pytest.param(SEND, "dynamodb:PutItem", id="a gate that cannot hold a lane"),
    ],
)
def test_a_run_without_an_action_fails_and_names_it(account: LocalAws, role_policy: str, action: str) -> None:
    assert action in failure_without(account, role_policy, action)


@pytest.mark.local
def test_a_sandboxs_role_may_write_to_the_simulator_only(account: LocalAws) -> None:
    deployment = account.deploy({"productionSending": False})
    document = deployment.find(ROLE_POLICY, SEND).inputs["policy"]
    [identity] = [one.outputs["arn"] for one in deployment.created if one.type.endswith(":EmailIdentity")]
    for recipient, expected in (("success+x@simulator.amazonses.com", True), ("ada@example.org", False)):
        for action in ("ses:SendEmail", "ses:SendRawEmail"):
            assert allows([document], action, identity, {"ses:recipients": [recipient]}) is expected, recipient


@pytest.mark.local
def test_every_role_is_tried(account: LocalAws) -> None:
    assert {policy_ for policy_, _ in granted(account.deploy())} == set(POLICIES)


@pytest.mark.proof
@pytest.mark.local
@pytest.mark.timeout(1800)  # a deployment and a run for each permission
@pytest.mark.parametrize("role_policy", POLICIES)
def test_no_role_has_an_action_that_a_run_does_not_need(account: LocalAws, role_policy: str) -> None:
    tried = sorted({pair for pair in granted(account.deploy()) if pair[0] == role_policy} - NOT_ASKED)
    heard = {action: failure_without(account, role_policy, action) for _, action in tried}
    unneeded = {action: text for action, text in heard.items() if action not in text}
    assert not unneeded, f"of {len(tried)} permissions, a run does not miss these, or fails of something else"
