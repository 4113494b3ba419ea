"""The pack over our own program: it passes as it is, and not with what a reviewer should not have to find."""

from __future__ import annotations

from io import StringIO

import pytest
from rich.console import Console

from policies.commands import judged, tell
from policies.engine import Verdict
from tests.recorded import extended, recording

ADDED = """
import json
import pulumi_aws as aws

ours = pulumi.ResourceOptions(provider=provider)
opened = aws.sqs.Queue("opened", sqs_managed_sse_enabled=True, opts=ours, redrive_policy=json.dumps(
    {"deadLetterTargetArn": "arn:aws:sqs:us-east-1:123456789012:put-aside", "maxReceiveCount": 3}))
aws.sqs.QueuePolicy("opened", queue_url=opened.url, opts=ours, policy=pulumi.Output.json_dumps(
    {"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Principal": "*", "Action": "sqs:SendMessage", "Resource": opened.arn},
        {"Effect": "Deny", "Principal": "*", "Action": "sqs:*", "Resource": opened.arn,
         "Condition": {"Bool": {"aws:SecureTransport": "false"}}}]}))
aws.iam.Policy("everything", opts=ours, policy=json.dumps({"Version": "2012-10-17", "Statement": [
    {"Effect": "Allow", "Action": "*", "Resource": "arn:aws:s3:::mailroom-reports/*"}]}))
aws.cloudwatch.MetricAlarm("silent", comparison_operator="GreaterThanThreshold", evaluation_periods=1, threshold=1,
    metric_name="Errors", namespace="AWS/Lambda", statistic="Sum", period=60, treat_missing_data="notBreaching",
    alarm_description="Something is wrong", alarm_actions=[paging.alarms_topic_arn], opts=ours)
aws.dynamodb.Table("nobodys", hash_key="id", attributes=[{"name": "id", "type": "S"}], billing_mode="PAY_PER_REQUEST",
    point_in_time_recovery={"enabled": True}, server_side_encryption={"enabled": True},
    deletion_protection_enabled=True, opts=pulumi.ResourceOptions(
        protect=True, provider=aws.Provider("bare", region="us-east-1")))
"""
"""An open queue, a `*` action, an alarm without a runbook, and a table without tags; nothing else is wrong."""

FOUND = {
    "closed-to-other-accounts": ("Queue opened", "its policy lets anyone do sqs:SendMessage", "aws:SourceAccount"),
    "no-star-action": ("Policy everything", "it allows *", "Name the actions"),
    "alarm-runbook": ("MetricAlarm silent", "alarmDescription", "Put the URL of the runbook"),
    "required-tags": ("Table nobodys", "project", "tags"),
}


@pytest.fixture(scope="module", params=["prod"])
def verdict(request: pytest.FixtureRequest) -> Verdict:
    return judged(extended(request.param, ADDED))


@pytest.mark.parametrize("stack", ["dev", "prod", "local"])
def test_every_stack_of_ours_passes(stack: str) -> None:
    assert judged(recording(stack)).findings == ()


def test_what_was_added_is_found_and_nothing_else(verdict: Verdict) -> None:
    assert verdict.fails
    assert {each.rule: each.resource for each in verdict.findings} == {rule: said[0] for rule, said in FOUND.items()}
    assert len(verdict.findings) == len(FOUND)


@pytest.mark.parametrize("rule", FOUND)
def test_each_is_told_with_its_resource_what_is_wrong_and_the_remedy(rule: str, verdict: Verdict) -> None:
    printed = StringIO()
    tell(verdict, Console(file=printed, width=1000))
    (line,) = [each for each in printed.getvalue().splitlines() if FOUND[rule][0] in each]
    assert all(part in line for part in FOUND[rule])
