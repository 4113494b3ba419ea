"""The metrics of AWS's own that alarms and dashboards may use: each with its dimensions, and where AWS documents it.

A metric with other dimensions than it is published with is another metric, which has no points: an alarm on it is
silent for ever, and nothing on AWS says so.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

_LAMBDA = "https://docs.aws.amazon.com/lambda/latest/dg/monitoring-metrics-types.html"
_SQS = (
    "https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-available-cloudwatch-metrics.html"
)
_SNS = "https://docs.aws.amazon.com/sns/latest/dg/sns-monitoring-using-cloudwatch.html"
_DYNAMODB = "https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/metrics-dimensions.html"
_SES = "https://docs.aws.amazon.com/ses/latest/dg/reputationdashboard-cloudwatch-alarm.html"


@dataclass(frozen=True)
class AwsMetric:
    """Dimensions that it is published with, and the statistics that say something."""

    dimensions: frozenset[str]
    statistics: frozenset[str]
    source: str


def _metrics(namespace: str, source: str, dimensions: str, **statistics: str) -> dict[tuple[str, str], AwsMetric]:
    names = frozenset(dimensions.split())
    return {
        (namespace, metric.replace("__", "-").replace("_dot_", ".")): AwsMetric(names, frozenset(stats.split()), source)
        for metric, stats in statistics.items()
    }


AWS_METRICS: Mapping[tuple[str, str], AwsMetric] = {
    **_metrics(
        "AWS/Lambda",
        _LAMBDA,
        "FunctionName",
        Invocations="Sum",
        Errors="Sum",
        Throttles="Sum",
        Duration="Maximum p95 p99",
    ),
    **_metrics(
        "AWS/SQS",
        _SQS,
        "QueueName",
        ApproximateAgeOfOldestMessage="Maximum",
        ApproximateNumberOfMessagesVisible="Maximum Average",
        ApproximateNumberOfMessagesNotVisible="Maximum Average",
        NumberOfMessagesSent="Sum",
    ),
    **_metrics(
        "AWS/SNS",
        _SNS,
        "TopicName",
        NumberOfMessagesPublished="Sum",
        NumberOfNotificationsFailed="Sum",
        NumberOfNotificationsFilteredOut__NoMessageAttributes="Sum",
    ),
    **_metrics("AWS/DynamoDB", _DYNAMODB, "TableName", ReadThrottleEvents="Sum", WriteThrottleEvents="Sum"),
    **_metrics(
        "AWS/DynamoDB", _DYNAMODB, "TableName Operation", SystemErrors="Sum", SuccessfulRequestLatency="p99 Average"
    ),
    **_metrics("AWS/SES", _SES, "", Reputation_dot_BounceRate="Average", Reputation_dot_ComplaintRate="Average"),
}
