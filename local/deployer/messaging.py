"""SQS queues and SNS topics, with their policies and subscriptions."""

from __future__ import annotations

import hashlib
import json
import re
from typing import Final

from local.deployer.model import Account, Create, Declared, State, attribute, tag_list

_QUEUE: Final = {
    "visibilityTimeoutSeconds": "VisibilityTimeout",
    "messageRetentionSeconds": "MessageRetentionPeriod",
    "maxMessageSize": "MaximumMessageSize",
    "delaySeconds": "DelaySeconds",
    "receiveWaitTimeSeconds": "ReceiveMessageWaitTimeSeconds",
    "redrivePolicy": "RedrivePolicy",
    "redriveAllowPolicy": "RedriveAllowPolicy",
    "policy": "Policy",
    "sqsManagedSseEnabled": "SqsManagedSseEnabled",
    "kmsMasterKeyId": "KmsMasterKeyId",
    "kmsDataKeyReusePeriodSeconds": "KmsDataKeyReusePeriodSeconds",
}
_TOPIC: Final = {
    "displayName": "DisplayName",
    "policy": "Policy",
    "deliveryPolicy": "DeliveryPolicy",
    "kmsMasterKeyId": "KmsMasterKeyId",
    "signatureVersion": "SignatureVersion",
    "tracingConfig": "TracingConfig",
}
_SUBSCRIPTION: Final = {
    "rawMessageDelivery": "RawMessageDelivery",
    "filterPolicy": "FilterPolicy",
    "filterPolicyScope": "FilterPolicyScope",
    "redrivePolicy": "RedrivePolicy",
    "deliveryPolicy": "DeliveryPolicy",
}


def queue(declared: Declared, account: Account) -> State:
    name = declared.physical(80)
    attributes = {key: attribute(value) for key, value in declared.api(_QUEUE).items()}
    tags = declared.tags()
    url = account.client("sqs").create_queue(QueueName=name, Attributes=attributes, tags=tags)["QueueUrl"]
    return url, declared.state(name=name, url=url, arn=account.arn("sqs", name), tagsAll=tags)


def _queue_attribute(key: str, name: str) -> Create:
    def create(declared: Declared, account: Account) -> State:
        url = declared.need("queueUrl")
        account.client("sqs").set_queue_attributes(QueueUrl=url, Attributes={name: declared.document(key)})
        return url, declared.state()

    return create


def topic(declared: Declared, account: Account) -> State:
    name = declared.physical(256)
    attributes = {key: attribute(value) for key, value in declared.api(_TOPIC).items()}
    tags = declared.tags()
    arn = account.client("sns").create_topic(Name=name, Attributes=attributes, Tags=tag_list(tags))["TopicArn"]
    return arn, declared.state(name=name, arn=arn, owner=account.id, tagsAll=tags)


def topic_policy(declared: Declared, account: Account) -> State:
    arn = declared.need("arn")
    account.client("sns").set_topic_attributes(
        TopicArn=arn, AttributeName="Policy", AttributeValue=declared.document("policy")
    )
    return arn, declared.state(owner=account.id)


def subscription(declared: Declared, account: Account) -> State:
    protocol, endpoint = declared.need("protocol"), declared.need("endpoint")
    if protocol == "email":
        protocol, endpoint = "sqs", mailbox(account, endpoint)
    arn = account.client("sns").subscribe(
        TopicArn=declared.need("topic"),
        Protocol=protocol,
        Endpoint=endpoint,
        Attributes={key: attribute(value) for key, value in declared.api(_SUBSCRIPTION).items()},
        ReturnSubscriptionArn=True,
    )["SubscriptionArn"]
    return arn, declared.state(arn=arn, ownerId=account.id, pendingConfirmation=False)


MAILBOX_OF: Final = "mailbox-of"
"""Tag of a queue that stands for an email address."""


def mailbox_name(address: str) -> str:
    """Name of the queue that stands for an email address."""
    readable = re.sub(r"[^A-Za-z0-9]+", "-", address)[:56]
    return f"mailbox-{readable}-{hashlib.sha256(address.encode()).hexdigest()[:7]}"


def mailbox(account: Account, address: str) -> str:
    """ARN of the queue that takes what would be mailed to an address, from any topic of the account; the emulator drops
    emails. `local.pager` reads it."""
    name = mailbox_name(address)
    arn = account.arn("sqs", name)
    topics_may_send = {
        "Effect": "Allow",
        "Principal": {"Service": "sns.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": arn,
        "Condition": {"ArnLike": {"aws:SourceArn": account.arn("sns", "*")}},
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [topics_may_send]})
    account.client("sqs").create_queue(QueueName=name, Attributes={"Policy": policy}, tags={MAILBOX_OF: address})
    return arn


CREATE: Final[dict[str, Create]] = {
    "aws:sqs/queue:Queue": queue,
    "aws:sqs/queuePolicy:QueuePolicy": _queue_attribute("policy", "Policy"),
    "aws:sqs/redrivePolicy:RedrivePolicy": _queue_attribute("redrivePolicy", "RedrivePolicy"),
    "aws:sqs/redriveAllowPolicy:RedriveAllowPolicy": _queue_attribute("redriveAllowPolicy", "RedriveAllowPolicy"),
    "aws:sns/topic:Topic": topic,
    "aws:sns/topicPolicy:TopicPolicy": topic_policy,
    "aws:sns/topicSubscription:TopicSubscription": subscription,
}
