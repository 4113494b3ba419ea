"""A stack on moto: the topic, queues and table that the commands use, and an outputs file that leads to
them."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any
from uuid import uuid4

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws
from typer.testing import CliRunner, Result

from handlers.mail.lifecycle import Evidence, Milestone, Row, message_id
from handlers.mail.sending import NewClaim
from handlers.telemetry.contract import Lane
from ops.brake import FULL_BATCH
from ops.cli import app
from ops.stack import Outputs, Stack, open_stack

REGION = "us-east-1"
SIDES = ("send", "probe", "feedback", "notify", "costGuard")
QUEUES = ("quarantineQueue", *(side + end for side in SIDES for end in ("Queue", "Dlq")))
CLIENT = functools.cache(boto3.client)  # making a client takes longer than most of these tests
Run = Callable[..., Result]
AddRow = Callable[..., Row]


@pytest.fixture
def outputs_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Outputs as `pulumi stack output --json` prints them, of resources that exist on moto for the test's
    length."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setattr("ops.quarantine.LONG_POLL", 0)  # moto's queues have one server
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(boto3, "client", CLIENT)
    with mock_aws():
        path = tmp_path / "outputs.json"
        path.write_text(json.dumps(_create()), encoding="utf-8")
        yield path


def _create() -> dict[str, Any]:
    sns = boto3.client("sns", region_name=REGION)
    sqs = boto3.client("sqs", region_name=REGION)
    dynamodb = boto3.client("dynamodb", region_name=REGION)
    outputs: dict[str, Any] = {
        "region": REGION,
        "stack": "moto",
        "endpoint": "",
        "productionSending": True,
        "orderTopicArn": sns.create_topic(Name="orders")["TopicArn"],
        "ledgerTableName": "EmailDeliveries",
        "controlTableName": "Control",
        "spendPerHour": "2",
        "spendPerDay": "10",
        "brakeFunctionName": "brake",
        "probeFunctionArn": "arn:aws:lambda:us-east-1:123456789012:function:probe:live",
        "alarmsTopicArn": sns.create_topic(Name="alarms")["TopicArn"],
        "pageTopicArn": sns.create_topic(Name="page")["TopicArn"],
        "anythingElse": {"is": "ignored"},
    }
    for key in QUEUES:
        url = sqs.create_queue(QueueName=key)["QueueUrl"]
        arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        outputs |= {f"{key}Url": url, f"{key}Arn": arn}
    outputs["lanes"] = [
        {
            "name": lane.value,
            "urgent": lane is Lane.PROBE,
            "mappingId": str(uuid4()),
            "configurationSet": f"mailroom-{lane}",
        }
        | {key: outputs[prefix + key[0].upper() + key[1:]] for key in ("queueArn", "queueUrl", "dlqArn", "dlqUrl")}
        for lane, prefix in ((Lane.CONFIRMATION, "send"), (Lane.PROBE, "probe"))
    ]
    outputs |= _create_last_resort()
    sns.subscribe(
        TopicArn=outputs["orderTopicArn"],
        Protocol="sqs",
        Endpoint=outputs["sendQueueArn"],
        Attributes={
            "RawMessageDelivery": "true",
            "FilterPolicy": json.dumps({"messageType": [lane.value for lane in Lane]}),
        },
    )
    dynamodb.create_table(
        TableName="EmailDeliveries",
        BillingMode="PAY_PER_REQUEST",
        KeySchema=[
            {"AttributeName": "orderId", "KeyType": "HASH"},
            {"AttributeName": "messageId", "KeyType": "RANGE"},
        ],
        AttributeDefinitions=[
            {"AttributeName": "orderId", "AttributeType": "S"},
            {"AttributeName": "messageId", "AttributeType": "S"},
        ],
    )
    dynamodb.create_table(
        TableName="Control",
        BillingMode="PAY_PER_REQUEST",
        KeySchema=[{"AttributeName": "scope", "KeyType": "HASH"}, {"AttributeName": "key", "KeyType": "RANGE"}],
        AttributeDefinitions=[
            {"AttributeName": "scope", "AttributeType": "S"},
            {"AttributeName": "key", "AttributeType": "S"},
        ],
    )
    return outputs


def _create_last_resort() -> dict[str, str]:
    """The role that sends, and the policy that takes that from it."""
    iam = boto3.client("iam", region_name=REGION)
    iam.create_role(RoleName="send-email", AssumeRolePolicyDocument=json.dumps({"Statement": []}))
    statement = {"Effect": "Deny", "Action": ["ses:SendEmail", "ses:SendRawEmail"], "Resource": "*"}
    policy = {"Version": "2012-10-17", "Statement": [statement]}
    made = iam.create_policy(PolicyName="deny-send", PolicyDocument=json.dumps(policy))
    return {"sendRoleName": "send-email", "denySendPolicyArn": made["Policy"]["Arn"]}


@pytest.fixture
def stack(outputs_file: Path) -> Stack:
    return open_stack("moto", outputs_file)


@pytest.fixture
def outputs(stack: Stack) -> Outputs:
    return stack.outputs


@pytest.fixture
def ops(outputs_file: Path) -> Run:
    """Runs `python -m ops ARGUMENTS` on the stack."""

    def run(*arguments: str, stdin: str | bytes | None = None) -> Result:
        return CliRunner().invoke(app, ["--outputs", str(outputs_file), *arguments], input=stdin)

    return run


class Account:
    """What moto does not have of Lambda and SES: mappings that follow at once, and configuration sets that pause."""

    def __init__(self) -> None:
        self.mappings: dict[str, dict[str, Any]] = {}
        self.sending: dict[str, bool] = {}
        self.refused: dict[str, str] = {}
        self.changes: list[str] = []

    def get_event_source_mapping(self, *, UUID: str) -> Any:  # noqa: N803 - boto3's names
        return dict(self.mappings[UUID])

    def update_event_source_mapping(self, *, UUID: str, Enabled: bool, BatchSize: int) -> None:  # noqa: N803
        self._change("UpdateEventSourceMapping")
        self.mappings[UUID] |= {"State": "Enabled" if Enabled else "Disabled", "BatchSize": BatchSize}

    def get_configuration_set(self, *, ConfigurationSetName: str) -> Any:  # noqa: N803
        self._ask("GetConfigurationSet")
        return {"SendingOptions": {"SendingEnabled": self.sending[ConfigurationSetName]}}

    def put_configuration_set_sending_options(self, *, ConfigurationSetName: str, SendingEnabled: bool) -> None:  # noqa: N803
        self._change("PutConfigurationSetSendingOptions")
        self.sending[ConfigurationSetName] = SendingEnabled

    def _change(self, operation: str) -> None:
        self._ask(operation)
        self.changes.append(operation)

    def _ask(self, operation: str) -> None:
        if code := self.refused.get(operation):
            raise ClientError({"Error": {"Code": code, "Message": "refused"}}, operation)


@pytest.fixture
def account(outputs: Outputs, monkeypatch: pytest.MonkeyPatch) -> Account:
    """The lanes of the account, all of them open."""
    account = Account()
    for lane in outputs.lanes:
        account.mappings[lane.mapping_id] = {"State": "Enabled", "BatchSize": FULL_BATCH}
        account.sending[lane.configuration_set] = True
    monkeypatch.setattr(Stack, "lambda_", account)
    monkeypatch.setattr(Stack, "sesv2", account)
    monkeypatch.setattr("ops.brake.PATIENCE", 0.5)
    return account


@pytest.fixture
def add_row(stack: Stack) -> AddRow:
    """Puts a row into the ledger as the handlers would: claimed, then told each of `milestones` (with its
    time)."""

    def add(
        order_id: str,
        milestones: Sequence[tuple[Milestone, str]] = (),
        *,
        reason: str = "",
        order: str = "",
        to: str = "leonie@example.com",
        sent_to: str = "",
        lane: Lane = Lane.CONFIRMATION,
    ) -> Row:
        claim = NewClaim(
            order_id=order_id,
            message_id=message_id(order_id, lane),
            kind=lane.value,
            to=to,
            sent_to=sent_to or to,
            order_hash="hash",
            published_at="2026-11-22T10:00:00.000Z",
            now="2026-11-22T10:00:00.250Z",
            lease_until="2026-11-22T10:00:30.000Z",
            expires_at=1_900_000_000,
            token=uuid4().hex,
            trace_id="1-6921a2f0-0123456789abcdef01234567",
            flags=frozenset(),
        )
        row = stack.ledger.claim(claim)
        for milestone, at in milestones:
            row, _ = stack.ledger.learn(row, Evidence(milestone=milestone, at=at, reason=reason, order=order), at)
        return row

    return add


@pytest.fixture
def quarantine(stack: Stack) -> Callable[..., str]:
    """Puts a message into quarantine as the handlers do; its message id."""

    def put(body: str, **attributes: str) -> str:
        known = {"code": "invalid-order", "reason": "total is missing", "orderId": "A-1"} | attributes
        return stack.sqs.send_message(
            QueueUrl=stack.outputs.quarantine_queue_url,
            MessageBody=body,
            MessageAttributes={
                name: {"DataType": "String", "StringValue": value} for name, value in known.items() if value
            },
        )["MessageId"]

    return put


@pytest.fixture
def bodies(stack: Stack) -> Callable[[str], list[str]]:
    """Takes every visible message out of a queue; the bodies."""

    def take(url: str) -> list[str]:
        taken: list[str] = []
        while messages := stack.sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"):
            taken += [message["Body"] for message in messages]
        return taken

    return take


@pytest.fixture
def attributes(stack: Stack) -> Callable[[str], list[dict[str, str]]]:
    """Takes ten messages out of a queue; what each was published with."""

    def take(url: str) -> list[dict[str, str]]:
        reply = stack.sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, MessageAttributeNames=["All"])
        return [
            {name: value["StringValue"] for name, value in message.get("MessageAttributes", {}).items()}
            for message in reply.get("Messages", [])
        ]

    return take
