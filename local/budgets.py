"""What AWS Budgets would do once a budget crosses a threshold; the emulator's budgets add up nothing.

The text is that of the notifications in tests/events/budgets, whose README says where they are from.
"""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Final

from local.aws import LocalAws
from local.twin.access import refused
from ops.errors import OpsError

BUDGETS: Final = "budgets.amazonaws.com"
CENT: Final = Decimal("0.01")


def notify(
    aws: LocalAws,
    kind: str = "ACTUAL",
    percent: int = 100,
    amount: Decimal | None = None,
    *,
    at: datetime | None = None,
) -> str:
    """Tell the subscribers of a threshold of the deployed budget that it has been crossed, as AWS Budgets does.

    Args:
        kind: `ACTUAL` or `FORECASTED`.
        percent: of the budget.
        amount: in USD, what was spent or is forecast; a cent above the threshold unless given.
        at: when; now unless given.

    Returns:
        The message.

    Raises:
        OpsError: the budget has no such notification, or a topic's policy does not let Budgets in.
    """
    name, budgets = aws.outputs["budgetName"], aws.client("budgets")
    region, account = aws.outputs["budgetTopicArn"].split(":")[3:5]
    of_budget = {"AccountId": account, "BudgetName": name}
    budgeted = Decimal(budgets.describe_budget(**of_budget)["Budget"]["BudgetLimit"]["Amount"])
    declared = budgets.describe_notifications_for_budget(**of_budget)["Notifications"]
    found = [each for each in declared if (each["NotificationType"], each["Threshold"]) == (kind, percent)]
    if not found:
        known = ", ".join(f"{each['NotificationType']} {each['Threshold']:g} %" for each in declared) or "none"
        raise OpsError(f"Budget {name} does not tell of {kind} {percent} %; it tells of: {known}.")
    subscribers = budgets.describe_subscribers_for_notification(
        **of_budget,
        Notification={key: found[0][key] for key in ("NotificationType", "ComparisonOperator", "Threshold")},
    )["Subscribers"]

    threshold = (budgeted * percent / 100).quantize(CENT)
    message = text(
        name,
        kind,
        account=account,
        budgeted=budgeted,
        threshold=threshold,
        amount=threshold + CENT if amount is None else amount,
        at=at or datetime.now(UTC),
    )
    sns, budget_arn = aws.client("sns"), f"arn:aws:budgets::{account}:budget/{name}"
    for topic in [each["Address"] for each in subscribers if each["SubscriptionType"] == "SNS"]:
        policy = sns.get_topic_attributes(TopicArn=topic)["Attributes"]["Policy"]
        if reason := refused(policy, "sns:Publish", topic, budget_arn, account, region, BUDGETS):
            raise OpsError(
                f"AWS Budgets could not tell: {reason}.", "Let it publish to the topic, by the topic's policy."
            )
        sns.publish(TopicArn=topic, Subject=subject(name), Message=message)
    return message


def subject(name: str) -> str:
    """The notification's subject, which SNS limits to 100 characters."""
    return f"AWS Budgets: {name} has exceeded your alert threshold"[:100]


def text(
    name: str, kind: str, *, account: str, budgeted: Decimal, threshold: Decimal, amount: Decimal, at: datetime
) -> str:
    """The notification of a monthly budget of cost; amounts in USD."""
    return (
        f"AWS Budget Notification {at.astimezone(UTC):%B %d, %Y}\n"
        f"AWS Account {account}\n\n"
        "Dear AWS Customer,\n\n"
        f"You requested that we alert you when the {kind} Cost associated with your {name} budget is greater than"
        f" ${threshold:,.2f} for the current month. The {kind} Cost associated with this budget is ${amount:,.2f}. You"
        " can find additional details below and by accessing the AWS Budgets dashboard [1].\n\n"
        f"Budget Name: {name}\n"
        "Budget Type: Cost\n"
        f"Budgeted Amount: ${budgeted:,.2f}\n"
        f"Alert Type: {kind}\n"
        f"Alert Threshold: > ${threshold:,.2f}\n"
        f"{kind} Amount: ${amount:,.2f}\n\n"
        "[1] https://console.aws.amazon.com/billing/home#/budgets\n"
    )
