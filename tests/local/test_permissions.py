"""No role may do more than its function needs: whatever is taken away is missed, and by its name."""

from __future__ import annotations

import json
import re
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Final

import pytest

from local.alarms import alarms_of, notification
from local.aws import LocalAws
from local.deployer import Deployment, DeploymentError
from local.deployer.permissions import ROLE_POLICY, actions, allows, dropping, mail_checks, statements, widened, without

SEND, FEEDBACK = "mailroom-send-email", "mailroom-record-feedback"
NOTIFY, PROBE, SCHEDULE = "mailroom-notify", "mailroom-probe", "mailroom-probe-schedule"
DENIED: Final = re.compile(r"not authorized to perform:? [`']?([\w-]+:\w+)")
SECONDS: Final = 45.0
"""Until an exercise has settled or has been denied something: four cold functions, and one throttled order's wait."""
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


def exercise(account: LocalAws) -> set[str]:
    """Sends orders that between them need every permission; returns the actions that the functions were denied.

    One order twice (it is found in the ledger), one that SES throttles once (it is given back to the queue for a
    while), one that is no order (it goes to quarantine). A probe. An alarm about a metric of ours, so that the logs are
    searched, and one that is over, so that its history is; their receiver does not listen. Raises AssertionError if all
    that neither settles nor is denied.
    """
    account.twin.configure(faults={"slow@*": "throttle"}, fault_times=1)
    good = order("good", "ada@example.org")
    for body in (good, good, order("slow", "slow@example.org"), "no order"):
        account.client("sns").publish(
            TopicArn=account.outputs["orderTopicArn"],
            Message=body,
            MessageAttributes={"messageType": {"DataType": "String", "StringValue": "order-confirmation"}},
        )
    account.client("lambda").invoke(FunctionName=account.outputs["probeFunctionArn"], InvocationType="Event")
    cloudwatch, now = account.client("cloudwatch"), datetime.now(UTC)
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
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        if found := denied(account):
            return found
        if settled(account):
            return set()
        time.sleep(0.25)
    raise AssertionError(f"nothing was denied, and yet not all settled: {account.folder / 'emulator.log'}")


def denied(account: LocalAws) -> set[str]:
    names = [account.outputs[f"{name}FunctionName"] for name in ("send", "feedback", "notify", "probe")]
    return {action for name in names for line in account.logs(name) for action in DENIED.findall(json.dumps(line))}


def settled(account: LocalAws) -> bool:
    rows = account.client("dynamodb").scan(TableName=account.outputs["ledgerTableName"])["Items"]
    aside = account.client("sqs").get_queue_attributes(
        QueueUrl=account.outputs["quarantineQueueUrl"], AttributeNames=["ApproximateNumberOfMessages"]
    )
    statuses = sorted(row["status"]["S"] for row in rows)
    told = Counter(line.get("message") for line in account.logs(account.outputs["notifyFunctionName"]))
    probed = [line.get("message") for line in account.logs(account.outputs["probeFunctionName"])]
    return (
        statuses == ["DELIVERED"] * 3
        and aside["Attributes"]["ApproximateNumberOfMessages"] == "1"
        and told["told"] >= 2
        and told["page not delivered"] >= 1
        and "probe delivered" in probed
    )


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
    return " ".join(sorted(exercise(account)))


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
        pytest.param(PROBE, "sqs:SendMessage", id="refused with the failure destination"),
        pytest.param(SCHEDULE, "lambda:InvokeFunction", id="refused for a schedule that would never run"),
        pytest.param(NOTIFY, "cloudwatch:DescribeAlarmHistory", id="logged where it only looks something up"),
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


@pytest.mark.proof
@pytest.mark.local
@pytest.mark.timeout(1800)  # a deployment and a run for each permission
def test_no_role_has_an_action_that_a_run_does_not_need(account: LocalAws) -> None:
    pairs = granted(account.deploy())
    assert {policy_ for policy_, _ in pairs} == {SEND, FEEDBACK, NOTIFY, PROBE, SCHEDULE}
    said = {(name, action): failure_without(account, name, action) for name, action in pairs}
    unneeded = {pair: text for pair, text in said.items() if pair[1] not in text}
    assert not unneeded, f"of {len(pairs)} permissions, a run does not miss these, or fails of something else"
