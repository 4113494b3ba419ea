"""An SES behind the twin, on the real emulator, spoken to as handlers do: plain boto3, retries off."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, cast

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from local.emulator import Emulator
from local.twin.client import TwinClient

REGION = "us-east-1"
TYPES = ("SEND", "REJECT", "BOUNCE", "COMPLAINT", "DELIVERY", "RENDERING_FAILURE", "DELIVERY_DELAY")
FROM = "Example Store <orders@mail.example.com>"
RAW = (
    b"From: Example Store <orders@mail.example.com>\r\nTo: jane@example.net\r\nSubject: Your order\r\n"
    b"Message-ID: <own@mail.example.com>\r\n\r\nThank you\r\n"
)


@dataclass(frozen=True)
class Running:
    emulator: Emulator
    endpoint: str
    log: Path


@cache
def client(service: str, endpoint: str, key: str = "test", secret: str = "test", read_timeout: float = 60) -> Any:
    """Handlers call SES without retries; so do these. A client takes longer to make than a test to run."""
    config = Config(retries={"total_max_attempts": 1}, read_timeout=read_timeout)
    session = boto3.Session(aws_access_key_id=key, aws_secret_access_key=secret, region_name=REGION)
    return session.client(cast(Any, service), endpoint_url=endpoint, config=config)


class World:
    """A configuration set whose every event type goes to a topic of its own, and from there to one queue."""

    def __init__(self, running: Running) -> None:
        self.running = running
        self.twin = TwinClient(running.endpoint)
        self.ses = client("sesv2", running.endpoint)
        self.sns, self.sqs, self.kms = (client(name, running.emulator.endpoint) for name in ("sns", "sqs", "kms"))
        self.set = f"set-{uuid.uuid4().hex[:8]}"
        self.topic = self.sns.create_topic(Name=f"feedback-{self.set}")["TopicArn"]
        self.queue = self.sqs.create_queue(QueueName=f"feedback-{self.set}")["QueueUrl"]
        account, name = self.topic.split(":")[4], self.topic.rpartition(":")[2]
        queue_arn = f"arn:aws:sqs:{REGION}:{account}:{name}"
        lets_topic_in = {
            "Effect": "Allow",
            "Principal": {"Service": "sns.amazonaws.com"},
            "Action": "sqs:SendMessage",
            "Resource": queue_arn,
            "Condition": {"ArnEquals": {"aws:SourceArn": self.topic}},
        }
        self.sqs.set_queue_attributes(QueueUrl=self.queue, Attributes={"Policy": policy_of(lets_topic_in)})
        raw = {"RawMessageDelivery": "true"}
        self.sns.subscribe(TopicArn=self.topic, Protocol="sqs", Endpoint=queue_arn, Attributes=raw)
        self.let_ses_in()
        self.ses.create_configuration_set(ConfigurationSetName=self.set)
        self.destination(*TYPES)
        self.twin.settle()
        assert self.texts() == ["Successfully validated SNS topic for Amazon SES event publishing."]
        self.twin.reset()

    def let_ses_in(self, **condition: str) -> None:
        statement = {
            "Effect": "Allow",
            "Principal": {"Service": "ses.amazonaws.com"},
            "Action": "sns:Publish",
            "Resource": self.topic,
            "Condition": {"StringEquals": condition or {"AWS:SourceArn": self.set_arn}},
        }
        self.sns.set_topic_attributes(TopicArn=self.topic, AttributeName="Policy", AttributeValue=policy_of(statement))

    @property
    def set_arn(self) -> str:
        return f"arn:aws:ses:{REGION}:{self.topic.split(':')[4]}:configuration-set/{self.set}"

    def destination(self, *types: str, name: str = "feedback", enabled: bool = True) -> None:
        self.ses.create_configuration_set_event_destination(
            ConfigurationSetName=self.set,
            EventDestinationName=name,
            EventDestination={
                "Enabled": enabled,
                "MatchingEventTypes": list(types),
                "SnsDestination": {"TopicArn": self.topic},
            },
        )

    def send(self, to: str = "jane@example.net", *, ses: Any = None, raw: bytes = RAW, **changes: Any) -> str:
        request = {
            "FromEmailAddress": FROM,
            "Destination": {"ToAddresses": [to]},
            "Content": {"Raw": {"Data": raw}},
            "ConfigurationSetName": self.set,
            "EmailTags": [{"Name": "order", "Value": "A-1001"}],
        }
        return str((ses or self.ses).send_email(**(request | changes))["MessageId"])

    def texts(self) -> list[str]:
        """Every message of the queue, taken."""
        self.twin.settle()
        taken: list[str] = []
        while messages := self.sqs.receive_message(QueueUrl=self.queue, MaxNumberOfMessages=10).get("Messages"):
            for message in messages:
                taken.append(message["Body"])
                self.sqs.delete_message(QueueUrl=self.queue, ReceiptHandle=message["ReceiptHandle"])
        return taken

    def events(self) -> list[dict[str, Any]]:
        return [json.loads(text) for text in self.texts()]

    def types(self) -> list[str]:
        return [event["eventType"] for event in self.events()]


def policy_of(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": statements})


def refused(call: Callable[[], Any]) -> tuple[str, str]:
    """Exception class and message of a call that has to fail."""
    with pytest.raises(ClientError) as caught:
        call()
    return type(caught.value).__name__, caught.value.response["Error"]["Message"]


def user(world: World, *actions: str) -> Any:
    """SES, as somebody who may do these actions and nothing else."""
    iam = client("iam", world.running.emulator.endpoint)
    name = f"{world.set}-{len(actions)}"
    iam.create_user(UserName=name)
    if actions:
        allow = {"Effect": "Allow", "Action": list(actions), "Resource": "*"}
        iam.put_user_policy(UserName=name, PolicyName="ses", PolicyDocument=policy_of(allow))
    key = iam.create_access_key(UserName=name)["AccessKey"]
    return client("sesv2", world.running.endpoint, key["AccessKeyId"], key["SecretAccessKey"])
