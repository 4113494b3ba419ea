"""What is drawn of a program: which types are nodes, and which properties and permissions join them.

Names are those of the Pulumi AWS provider. A type that is in no table is not drawn.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Shape(StrEnum):
    """Mermaid's brackets around a node's text; `%` stands for the text."""

    BOX = '["%"]'
    ROUND = '("%")'
    PILL = '(["%"])'
    STORE = '[("%")]'
    SLANTED = '[/"%"/]'
    HEXAGON = '{{"%"}}'
    BARRED = '[["%"]]'


class Way(StrEnum):
    """How one thing leads to another, as Mermaid's arrow.

    FLOW hands something on and carries a picture along, DEAD takes what was given up, ACCESS is a permission on what is
    kept or run elsewhere. BOTH is a FLOW with a FLOW or an ACCESS back. The
    longer arrows put what they lead to below the frame that they come out of, where no line has to pass behind it.
    """

    FLOW = "-->"
    DEAD = "-.->"
    ACCESS = "---o"
    BOTH = "<--->"


@dataclass(frozen=True, slots=True)
class Kind:
    """What resources of a type are called and drawn as; one that `keeps` is where a picture ends."""

    title: str
    shape: Shape = Shape.BOX
    keeps: bool = False


@dataclass(frozen=True, slots=True)
class Link:
    """Two properties of a resource that name what it joins; "" is the resource itself."""

    source: str
    target: str
    way: Way = Way.FLOW
    label: str = ""


COMPONENT: Final = "component"
"""Stands for the type of a whole component."""

ALARM: Final = "aws:cloudwatch/metricAlarm:MetricAlarm"
ALIAS: Final = "aws:lambda/alias:Alias"
BUCKET: Final = "aws:s3/bucket:Bucket"
BUS: Final = "aws:cloudwatch/eventBus:EventBus"
COMPOSITE: Final = "aws:cloudwatch/compositeAlarm:CompositeAlarm"
CONFIGURATION_SET: Final = "aws:sesv2/configurationSet:ConfigurationSet"
FUNCTION: Final = "aws:lambda/function:Function"
MAPPING: Final = "aws:lambda/eventSourceMapping:EventSourceMapping"
RULE: Final = "aws:cloudwatch/eventRule:EventRule"
SCHEDULE: Final = "aws:scheduler/schedule:Schedule"
STATE_MACHINE: Final = "aws:sfn/stateMachine:StateMachine"

KINDS: Final[Mapping[str, Kind]] = {
    ALARM: Kind("alarm", Shape.BARRED),
    BUCKET: Kind("S3 bucket", Shape.STORE, keeps=True),
    BUS: Kind("event bus", Shape.SLANTED),
    COMPONENT: Kind(""),
    COMPOSITE: Kind("composite alarm", Shape.BARRED),
    CONFIGURATION_SET: Kind("SES configuration set", Shape.HEXAGON),
    FUNCTION: Kind("λ", Shape.ROUND),
    RULE: Kind("event rule", Shape.PILL),
    SCHEDULE: Kind("schedule", Shape.PILL),
    STATE_MACHINE: Kind("state machine", Shape.ROUND),
    "aws:apigateway/restApi:RestApi": Kind("REST API", Shape.SLANTED),
    "aws:apigatewayv2/api:Api": Kind("HTTP API", Shape.SLANTED),
    "aws:budgets/budget:Budget": Kind("budget", Shape.PILL),
    "aws:dynamodb/table:Table": Kind("DynamoDB table", Shape.STORE, keeps=True),
    "aws:kinesis/stream:Stream": Kind("Kinesis stream", Shape.SLANTED),
    "aws:rds/cluster:Cluster": Kind("RDS cluster", Shape.STORE, keeps=True),
    "aws:rds/instance:Instance": Kind("RDS instance", Shape.STORE, keeps=True),
    "aws:s3/bucketV2:BucketV2": Kind("S3 bucket", Shape.STORE, keeps=True),
    "aws:secretsmanager/secret:Secret": Kind("secret", Shape.STORE, keeps=True),
    "aws:sesv2/emailIdentity:EmailIdentity": Kind("SES identity", Shape.HEXAGON, keeps=True),
    "aws:sns/topic:Topic": Kind("SNS topic", Shape.SLANTED),
    "aws:sqs/queue:Queue": Kind("SQS queue"),
}

_DEAD: Final = "dead letters"

LINKS: Final[Mapping[str, tuple[Link, ...]]] = {
    ALARM: (Link("", "alarmActions"),),
    COMPOSITE: (Link("", "alarmActions"),),
    FUNCTION: (Link("", "deadLetterConfig.targetArn", Way.DEAD, _DEAD),),
    MAPPING: (
        Link("eventSourceArn", "functionName"),
        Link("functionName", "destinationConfig.onFailure.destinationArn", Way.DEAD, _DEAD),
    ),
    SCHEDULE: (Link("", "target.arn"), Link("", "target.deadLetterConfig.arn", Way.DEAD, _DEAD)),
    "aws:budgets/budget:Budget": (Link("", "notifications.subscriberSnsTopicArns"),),
    "aws:cloudwatch/eventTarget:EventTarget": (
        Link("rule", "arn"),
        Link("rule", "deadLetterConfig.arn", Way.DEAD, _DEAD),
    ),
    "aws:lambda/functionEventInvokeConfig:FunctionEventInvokeConfig": (
        Link("functionName", "destinationConfig.onSuccess.destination"),
        Link("functionName", "destinationConfig.onFailure.destination", Way.DEAD, _DEAD),
    ),
    "aws:lambda/permission:Permission": (Link("sourceArn", "function"),),
    "aws:s3/bucketNotification:BucketNotification": (
        Link("bucket", "lambdaFunctions.lambdaFunctionArn"),
        Link("bucket", "queues.queueArn"),
        Link("bucket", "topics.topicArn"),
    ),
    "aws:sesv2/configurationSetEventDestination:ConfigurationSetEventDestination": (
        Link("configurationSetName", "eventDestination.snsDestination.topicArn"),
        Link("configurationSetName", "eventDestination.eventBridgeDestination.eventBusArn"),
    ),
    "aws:sns/topicSubscription:TopicSubscription": (
        Link("topic", "endpoint"),
        Link("endpoint", "redrivePolicy.deadLetterTargetArn", Way.DEAD, _DEAD),
    ),
    "aws:sqs/queue:Queue": (Link("", "redrivePolicy.deadLetterTargetArn", Way.DEAD, _DEAD),),
}
"""What a resource of a type joins. Whatever a topic cannot deliver is put down to the queue that it was for."""

NAMED: Final[Mapping[str, str]] = {
    "bucket": BUCKET,
    "configurationSetName": CONFIGURATION_SET,
    "function": FUNCTION,
    "functionName": FUNCTION,
    "rule": RULE,
}
"""Properties that may hold a bare name, and of what. All others hold ARNs."""

PARTS: Final[Mapping[str, str]] = {ALIAS: "functionName", MAPPING: "eventSourceArn"}
"""Types that belong to a node, and the property that names it: a permission on one is a permission on its node."""

BEARERS: Final[Mapping[str, str]] = {FUNCTION: "role", STATE_MACHINE: "roleArn"}
"""What acts by the permissions of a role, and the property that names it."""

HANDS_ON: Final = ("Send", "Publish", "Invoke", "Start", "PutEvents", "PutRecord")
"""How the operations begin that hand something on."""

HANDS: Final = "hands on"
"""What these do, which is drawn as an arrow without a word."""

READS: Final = ("Get", "BatchGet", "Query", "Scan", "List", "Describe", "ConditionCheck", "Head")
"""How the operations begin that change nothing."""

TAKES: Final = ("sqs:Receive", "sqs:Delete", "sqs:ChangeMessageVisibility", "dynamodb:GetRecords")
"""How the actions begin by which a mapping reads for its function: the mapping is drawn."""
