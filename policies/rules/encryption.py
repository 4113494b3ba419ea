"""What lies with AWS is encrypted, and so is the way to it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Final

from observability.program.resources import Resource
from observability.review.iam import ANYONE, Grant, statements
from policies.model import NotApplicable, Stack, rule, value
from policies.relations import BUCKETS, QUEUE, TOPIC, resource_policies

TABLE: Final = "aws:dynamodb/table:Table"

_SAID: Final[Mapping[str, tuple[str, ...]]] = {
    QUEUE: ("sqsManagedSseEnabled", "kmsMasterKeyId"),
    TOPIC: ("kmsMasterKeyId",),
    TABLE: ("serverSideEncryption.enabled",),
}
"""Properties of which one has to be set. Buckets are not here: S3 encrypts every object since January 2023, and it
cannot be turned off. https://docs.aws.amazon.com/AmazonS3/latest/userguide/default-encryption-faq.html"""

_TRAFFIC: Final[Mapping[str, tuple[tuple[str, ...], str]]] = {
    QUEUE: (("sqs:SendMessage", "sqs:ReceiveMessage"), ""),
    TOPIC: (("sns:Publish",), ""),
    **dict.fromkeys(BUCKETS, (("s3:GetObject", "s3:PutObject"), "/key")),
}
"""Actions by which data comes and goes, and what follows the ARN in that of what they are allowed on."""

_PLAIN_HTTP: Final = "aws:securetransport is false"


@rule(
    "encrypted-at-rest",
    *_SAID,
    about="Queues, topics and tables are encrypted, and say by which key",
    reason="A topic is not encrypted unless it has a key, and what is left to AWS's defaults cannot be reviewed.",
    remedy="Set sqsManagedSseEnabled or kmsMasterKeyId of a queue, kmsMasterKeyId of a topic, serverSideEncryption of"
    " a table; a topic that carries nothing personal may be listed in the setting `exempt` with a reason.",
    defaults={"exempt": {}},
    settings={"exempt": "logical name of what need not be encrypted, to the reason"},
)
def encrypted_at_rest(resource: Resource, stack: Stack) -> Iterator[str]:
    """https://docs.aws.amazon.com/sns/latest/dg/sns-server-side-encryption.html"""
    if resource.name in stack.settings["exempt"]:
        raise NotApplicable
    properties = _SAID[resource.type]
    if not any(value(resource, each) for each in properties):
        yield f"{' and '.join(properties)} {'is' if len(properties) == 1 else 'are'} not set"


@rule(
    "encrypted-in-transit",
    *_TRAFFIC,
    about="Queues, topics and buckets refuse plain HTTP",
    reason="SQS, SNS and S3 answer over plain HTTP too, where whoever is on the way reads along.",
    remedy="Give it a policy that denies everybody its actions where aws:SecureTransport is false; for a bucket, on"
    " the objects in it (ARN/*) as well.",
    related=True,
)
def encrypted_in_transit(resource: Resource, stack: Stack) -> Iterator[str]:
    """https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-security-best-practices.html"""
    granted = [grant for each in resource_policies(resource, stack) for grant in statements(each)]
    actions, part = _TRAFFIC[resource.type]
    arn = value(resource, "arn") if granted else ""
    open_ = [
        action
        for action in actions
        if not any(
            replace(each, condition=each.condition.lower()).covers(
                Grant(ANYONE, action, f"{arn}{part}", _PLAIN_HTTP, denied=True)
            )
            for each in granted
        )
    ]
    if open_:
        yield f"no policy denies {' and '.join(open_)} over plain HTTP"
