"""The provider: one place for tags, and for where everything goes."""

from __future__ import annotations

import json

import pulumi
import pulumi_aws as aws

from components.provider import aws_provider
from tests.components.recorder import Recorder, Resource, record

TAGS = {"project": "mailroom", "owner": "platform"}
EMULATOR = "http://127.0.0.1:4566"


def registered(endpoint: str = "") -> tuple[Resource, Recorder]:
    def build() -> None:
        provider = aws_provider("eu-west-1", TAGS, endpoint)
        aws.sqs.Queue("queue", opts=pulumi.ResourceOptions(provider=provider))

    recorder, _ = record(build)
    return recorder.one("aws"), recorder


def test_everything_carries_the_tags_and_is_in_the_region() -> None:
    provider, _ = registered()
    assert json.loads(provider.inputs["defaultTags"]) == {"tags": TAGS}
    assert provider.inputs["region"] == "eu-west-1"


def test_aws_is_reached_with_the_callers_own_credentials() -> None:
    provider, _ = registered()
    assert not {"endpoints", "accessKey", "secretKey", "skipMetadataApiCheck"} & set(provider.inputs)


def test_an_emulator_gets_every_call_and_no_credentials_of_anybody() -> None:
    provider, _ = registered(EMULATOR)
    (endpoints,) = json.loads(provider.inputs["endpoints"])
    assert {"lambda", "sqs", "sns", "sesv2", "dynamodb", "kms", "iam", "logs", "sts"} <= set(endpoints)
    assert {"cloudwatch", "scheduler", "xray", "chatbot"} <= set(endpoints), "without one, that service would be AWS's"
    assert set(endpoints.values()) == {EMULATOR}
    assert (provider.inputs["accessKey"], provider.inputs["secretKey"]) == ("test", "test")
    assert provider.inputs["skipCredentialsValidation"] == "true"
    assert provider.inputs["skipMetadataApiCheck"] == "true"
    assert "skipRequestingAccountId" not in provider.inputs, "ARNs need the account"


def test_resources_are_made_by_this_provider() -> None:
    _, recorder = registered()
    assert recorder.one("Queue").provider.endswith("pulumi:providers:aws::aws::aws-id")
