"""Cases of the rules on encryption."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import partial
from typing import Any

import pulumi
import pulumi_aws as aws

from tests.policies.cases import Case, Given, Hidden, Program
from tests.policies.cases.iam import ORDERS, topic
from tests.policies.cases.storage import bucket, table
from tests.policies.parts import dead_letter_queue, https_only, log_group, policy, queue, queue_arn

KEY = "arn:aws:kms:us-east-1:123456789012:key/orders"
ARN = queue_arn("orders")


def nothing() -> None:
    log_group("orders")


def queue_with(*policies: Sequence[dict[str, Any]], inline: str | None = None, whose: str = ARN) -> Program:
    """A queue `orders` with policies of these statements, of which the first is attached to `whose`."""

    def program() -> None:
        dead = dead_letter_queue("orders-dlq")
        aws.sqs.Queue(
            "orders",
            sqs_managed_sse_enabled=True,
            redrive_policy=dead.arn.apply(lambda arn: json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": 3})),
            policy=inline,
        )
        for number, statements in enumerate(policies):
            aws.sqs.QueuePolicy(f"orders-{number}", queue_url=whose, policy=policy(*statements))

    return program


def denying(**overrides: Any) -> Program:
    """A queue with a policy that denies plain HTTP, but for these differences."""
    return queue_with([https_only("sqs:*", ARN) | overrides])


def topic_with(*statements: dict[str, Any]) -> Program:
    """A topic `orders` with a policy of these statements alone."""

    def program() -> None:
        made = aws.sns.Topic("orders", kms_master_key_id=KEY)
        if statements:
            aws.sns.TopicPolicy("orders", arn=made.arn, policy=policy(*statements))

    return program


def bare_queue(name: str) -> aws.sqs.Queue:
    """A queue without a policy."""
    redrive = json.dumps({"deadLetterTargetArn": queue_arn("theirs"), "maxReceiveCount": 3})
    return aws.sqs.Queue(name, sqs_managed_sse_enabled=True, redrive_policy=redrive)


def not_of_it() -> None:
    """A queue without a policy, and a policy that is made of another."""
    bare_queue("payments")
    queue("orders")


def of_none_of_it() -> None:
    """A queue without a policy, and a policy that is made of two others."""
    bare_queue("payments")
    urls = pulumi.Output.all(bare_queue("orders").url, bare_queue("bills").url)
    aws.sqs.QueuePolicy("orders", queue_url=urls.apply(lambda each: str(each[0])), policy=policy(https_only("*", "*")))


CASES = {
    "encrypted-at-rest": Case(
        violated=(
            partial(queue, "orders", sqs_managed_sse_enabled=None),
            partial(queue, "orders", sqs_managed_sse_enabled=False),
            topic(kms_master_key_id=None),
            table(server_side_encryption=None),
            table(server_side_encryption={"enabled": False}),
            Given(program=topic(kms_master_key_id=None), settings={"exempt": {"alarms": "nothing personal"}}),
        ),
        satisfied=(
            partial(queue, "orders"),
            partial(queue, "orders", sqs_managed_sse_enabled=None, kms_master_key_id=KEY),
            topic(),
            table(),
        ),
        unknown=(
            Hidden(resource="Queue orders", path="sqsManagedSseEnabled"),
            Hidden(resource="Topic orders", path="kmsMasterKeyId", program=topic()),
            Hidden(resource="orders", path="serverSideEncryption.enabled", program=table()),
        ),
        not_applicable=(
            nothing,
            Given(program=topic(kms_master_key_id=None), settings={"exempt": {"orders": "nothing personal"}}),
        ),
    ),
    "encrypted-in-transit": Case(
        violated=(
            queue_with(),
            Given(
                program=not_of_it,
                hides=(
                    Hidden(resource="QueuePolicy orders", path="queueUrl"),
                    Hidden(resource="Queue payments", path="arn"),
                ),
                on=frozenset({"payments"}),
            ),
            Given(
                program=of_none_of_it,
                hides=(Hidden(resource="QueuePolicy orders", path="queueUrl"),),
                on=frozenset({"payments"}),
            ),
            queue_with([https_only("sqs:*", queue_arn("other"))], whose=queue_arn("other")),
            denying(Resource=queue_arn("other")),
            denying(Effect="Allow", Principal={"AWS": "123456789012"}),
            denying(Principal={"AWS": "123456789012"}),
            denying(Action="sqs:SendMessage"),
            denying(Action="sqs:ReceiveMessage"),
            denying(Action=["sqs:SendMessage", "sqs:DeleteMessage"]),
            denying(Condition={"Bool": {"aws:SecureTransport": "true"}}),
            denying(Condition={"Bool": {"aws:SecureTransport": "false"}, "StringEquals": {"aws:userid": "somebody"}}),
            topic_with(),
            topic_with(https_only("sns:Subscribe", ORDERS)),
            bucket(denied=[""]),
            bucket(denied=["/*"], kind=aws.s3.BucketV2, action="s3:GetObject"),
            bucket(denied=["/*"], action="s3:PutObject"),
        ),
        satisfied=(
            partial(queue, "orders"),
            queue_with([https_only("*", "*")]),
            queue_with([https_only("sqs:SendMessage", ARN), https_only("sqs:ReceiveMessage", ARN)]),
            queue_with([https_only("sqs:SendMessage", ARN)], [https_only("sqs:ReceiveMessage", ARN)]),
            queue_with(inline=policy(https_only("sqs:*", ARN))),
            denying(Principal={"AWS": "*"}),
            denying(Condition={"Bool": {"AWS:securetransport": [False]}}),
            topic(),
            bucket(),
            bucket(denied=["/*"], kind=aws.s3.BucketV2),
        ),
        unknown=(
            Hidden(resource="QueuePolicy orders", path="policy"),
            Hidden(resource="Queue orders", path="arn"),
            Hidden(resource="TopicPolicy orders", path="policy", program=topic()),
            Hidden(resource="BucketPolicy state", path="policy", program=bucket()),
        ),
        not_applicable=nothing,
    ),
}
