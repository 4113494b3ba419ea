"""What AWS Budgets would tell is told as it tells it, to whom the budget says, if the topic lets it in."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from handlers.guarding.budgets import parse_alert
from local.aws import LocalAws
from local.budgets import notify, subject, text
from local.config import ROOT
from local.deployer import Deployment, deploy
from local.deployer.model import Account
from local.emulator import Emulator
from ops.errors import OpsError

AT = datetime(2026, 11, 21, 10, tzinfo=UTC)
LINES = """\
provider = aws.Provider(
    "budgets", region="us-east-1", access_key="test", secret_key="test",
    default_tags=aws.ProviderDefaultTagsArgs(tags={"stack": pulumi.get_stack()}),
    endpoints=[aws.ProviderEndpointArgs(**dict.fromkeys(("budgets", "iam", "sns", "sqs", "sts"), endpoint))],
)
here = pulumi.ResourceOptions(provider=provider)
account = "000000000000"
topic = aws.sns.Topic("budget", opts=here)
queue = aws.sqs.Queue("told", opts=here)
def policy(service, action, resource, source):
    return pulumi.Output.json_dumps({"Version": "2012-10-17", "Statement": [{
        "Effect": "Allow", "Principal": {"Service": service}, "Action": action, "Resource": resource,
        "Condition": {"ArnLike": {"aws:SourceArn": source}},
    }]})
aws.sqs.QueuePolicy("told", queue_url=queue.url, opts=here,
                    policy=policy("sns.amazonaws.com", "sqs:SendMessage", queue.arn, topic.arn))
aws.sns.TopicPolicy("budget", arn=topic.arn, opts=here,
                    policy=policy("SERVICE", "sns:Publish", topic.arn, f"arn:aws:budgets::{account}:*"))
aws.sns.TopicSubscription("told", topic=topic.arn, protocol="sqs", endpoint=queue.arn, raw_message_delivery=True,
                          opts=here)
budget = aws.budgets.Budget(
    "month", name="shop-test", budget_type="COST", time_unit="MONTHLY", limit_amount="50", limit_unit="USD",
    metrics="UnblendedCost",
    filter_expression={"ands": [{"tags": {"key": "project", "values": ["shop"]}},
                                {"tags": {"key": "stack", "values": ["test"]}}]},
    notifications=[{"notification_type": kind, "comparison_operator": "GREATER_THAN", "threshold": percent,
                    "threshold_type": "PERCENTAGE", "subscriber_sns_topic_arns": [topic.arn]}
                   for kind, percent in (("ACTUAL", 80), ("FORECASTED", 100))],
    opts=here,
)
pulumi.export("budgetName", budget.name)
pulumi.export("budgetTopicArn", topic.arn)
pulumi.export("queueUrl", queue.url)
"""


def test_the_text_is_as_aws_sends_it() -> None:
    golden = (ROOT / "tests" / "events" / "budgets" / "actual.txt").read_text("utf-8")
    made = text(
        "mailroom-prod",
        "ACTUAL",
        account="123456789012",
        budgeted=Decimal(100),
        threshold=Decimal(100),
        amount=Decimal("104.37"),
        at=AT,
    )
    assert made.strip() == golden.strip()
    assert subject("mailroom-prod") == "AWS Budgets: mailroom-prod has exceeded your alert threshold"
    assert len(subject("x" * 100)) == 100


@pytest.fixture
def budgeted(emulator: Emulator, program: Callable[[str], Path], tmp_path: Path) -> Callable[..., LocalAws]:
    """Deploys a budget whose topic lets a service in."""

    def made(service: str = "budgets.amazonaws.com") -> LocalAws:
        deployment: Deployment = deploy(
            emulator.endpoint, root=program(LINES.replace("SERVICE", service)), outputs_path=tmp_path / "outputs.json"
        )
        account = Account(emulator.endpoint, "us-east-1")
        return cast(LocalAws, SimpleNamespace(outputs=deployment.outputs, client=account.client))

    return made


def received(aws: LocalAws) -> list[str]:
    url = aws.outputs["queueUrl"]
    messages = aws.client("sqs").receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", [])
    return [message["Body"] for message in messages]


@pytest.mark.local
def test_a_threshold_that_the_budget_does_not_tell_of_is_an_error_and_nothing_is_told(
    budgeted: Callable[..., LocalAws],
) -> None:
    aws = budgeted()
    with pytest.raises(OpsError, match="does not tell of ACTUAL 100 %; it tells of: ACTUAL 80 %, FORECASTED 100 %"):
        notify(aws)
    assert received(aws) == []


@pytest.mark.local
def test_a_topic_that_does_not_let_budgets_in_is_named_and_nothing_is_told(budgeted: Callable[..., LocalAws]) -> None:
    aws = budgeted("events.amazonaws.com")
    with pytest.raises(OpsError, match=r"could not tell: .*does not allow sns:Publish to budgets\.amazonaws\.com"):
        notify(aws, percent=80)
    assert received(aws) == []


@pytest.mark.local
def test_whoever_subscribes_is_told_of_the_budget_as_it_was_declared(budgeted: Callable[..., LocalAws]) -> None:
    aws = budgeted()
    sent = notify(aws, "FORECASTED", 100, Decimal("61.5"), at=AT)
    assert received(aws) == [sent]
    alert = parse_alert(sent)
    assert (alert.name, alert.kind, alert.amount, alert.budgeted) == (
        "shop-test",
        "FORECASTED",
        Decimal("61.5"),
        Decimal(50),
    )
    assert alert.crosses("FORECASTED:100")
    assert parse_alert(notify(aws, percent=80)).crosses("ACTUAL:80")


@pytest.mark.local
def test_a_budgets_filter_and_tags_arrive_in_the_apis_words(budgeted: Callable[..., LocalAws]) -> None:
    aws = budgeted()
    budgets, account = aws.client("budgets"), "000000000000"
    made = budgets.describe_budget(AccountId=account, BudgetName="shop-test", ShowFilterExpression=True)["Budget"]
    assert made["FilterExpression"] == {
        "And": [{"Tags": {"Key": "project", "Values": ["shop"]}}, {"Tags": {"Key": "stack", "Values": ["test"]}}]
    }
    assert (made["Metrics"], made["BudgetLimit"]) == (["UnblendedCost"], {"Amount": "50", "Unit": "USD"})
    tags = budgets.list_tags_for_resource(ResourceARN=f"arn:aws:budgets::{account}:budget/shop-test")["ResourceTags"]
    assert tags == [{"Key": "stack", "Value": "local"}]
