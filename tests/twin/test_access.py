from __future__ import annotations

import json
from typing import Any

import pytest

from local.twin.access import refused

TOPIC = "arn:aws:sns:us-east-1:123456789012:feedback"
SET = "arn:aws:ses:us-east-1:123456789012:configuration-set/ConfigSet"
ALLOW = {
    "Effect": "Allow",
    "Principal": {"Service": "ses.amazonaws.com"},
    "Action": "sns:Publish",
    "Resource": TOPIC,
    "Condition": {"StringEquals": {"AWS:SourceAccount": "123456789012", "AWS:SourceArn": SET}},
}
"""As the SES Developer Guide has it: "Set up an Amazon SNS event destination for event publishing"."""


def judge(*statements: dict[str, Any]) -> str | None:
    policy = json.dumps({"Version": "2012-10-17", "Statement": statements})
    return refused(policy, "sns:Publish", TOPIC, SET, "123456789012", "us-east-1")


def test_the_documented_statement_lets_ses_in() -> None:
    assert judge(ALLOW) is None


@pytest.mark.parametrize(
    "change",
    [
        {"Principal": {"Service": "sns.amazonaws.com"}},
        {"Principal": {"AWS": "arn:aws:iam::123456789012:root"}},
        {"Action": "sns:Subscribe"},
        {"Resource": TOPIC + "-other"},
        {"Condition": {"StringEquals": {"AWS:SourceAccount": "210987654321"}}},
        {"Condition": {"ArnEquals": {"AWS:SourceArn": SET + "-other"}}},
    ],
)
def test_any_other_principal_action_resource_or_condition_keeps_it_out(change: dict[str, Any]) -> None:
    assert judge({**ALLOW, **change}) == (
        f"the policy of {TOPIC} does not allow sns:Publish to ses.amazonaws.com for {SET}"
    )


def test_a_deny_outweighs_what_is_allowed() -> None:
    deny = {"Effect": "Deny", "Principal": "*", "Action": "sns:Publish", "Resource": "*"}
    assert judge(ALLOW, deny) == f"the policy of {TOPIC} denies sns:Publish to ses.amazonaws.com for {SET}"
    insecure = {**deny, "Condition": {"Bool": {"aws:SecureTransport": "false"}}}
    assert judge(ALLOW, insecure) is None, "SES publishes over TLS"


def test_a_topics_default_policy_names_no_ses() -> None:
    default = {
        "Effect": "Allow",
        "Principal": {"AWS": "*"},
        "Action": ["SNS:Publish"],
        "Resource": TOPIC,
        "Condition": {"StringEquals": {"AWS:SourceOwner": "123456789012"}},
    }
    assert judge(default) is not None
