"""AWS Budgets: a budget with its notifications. Its figures stay at 0 here; `local.budgets` tells in its place."""

from __future__ import annotations

from typing import Any, Final

from local.deployer.constraints import call
from local.deployer.model import Account, Create, Declared, Json, State, pascal, tag_list

_BUDGET: Final = {"budgetType": "BudgetType", "timeUnit": "TimeUnit"}
_FILTERS: Final = {"ands": "And", "ors": "Or", "not": "Not"}
"""The provider's names for what combines filters, where they are not the API's own."""
_NOTIFICATION: Final = {
    "comparisonOperator": "ComparisonOperator",
    "notificationType": "NotificationType",
    "threshold": "Threshold",
    "thresholdType": "ThresholdType",
}
_SUBSCRIBERS: Final = {"subscriberSnsTopicArns": "SNS", "subscriberEmailAddresses": "EMAIL"}


def budget(declared: Declared, account: Account) -> State:
    name, tags = declared.physical(100), declared.tags()
    metrics, filters = declared.take("metrics"), declared.take("filterExpression")
    wanted: Json = {
        "BudgetName": name,
        "BudgetLimit": {"Amount": declared.need("limitAmount"), "Unit": declared.need("limitUnit")},
        **declared.api(_BUDGET),
        **({"Metrics": [metrics]} if metrics else {}),
        **({"FilterExpression": _expression(filters)} if filters else {}),
        **_cost_filters(declared),
    }
    call(
        declared,
        account.client("budgets"),
        "CreateBudget",
        AccountId=account.id,
        Budget=wanted,
        NotificationsWithSubscribers=[_notification(each) for each in declared.take("notifications") or []],
        ResourceTags=tag_list(tags),
    )
    arn = f"arn:aws:budgets::{account.id}:budget/{name}"
    return f"{account.id}:{name}", declared.state(name=name, accountId=account.id, arn=arn, tagsAll=tags)


def _cost_filters(declared: Declared) -> Json:
    given = declared.take("costFilters") or []
    return {"CostFilters": {each["name"]: each["values"] for each in given}} if given else {}


def _expression(given: Any) -> Any:
    match given:
        case dict():
            return {
                _FILTERS.get(key) or pascal({key: 0}).popitem()[0]: _expression(each) for key, each in given.items()
            }
        case list():
            return [_expression(each) for each in given]
    return given


def _notification(given: Json) -> Json:
    return {
        "Notification": {theirs: given[ours] for ours, theirs in _NOTIFICATION.items() if ours in given},
        "Subscribers": [
            {"SubscriptionType": kind, "Address": address}
            for key, kind in _SUBSCRIBERS.items()
            for address in given.get(key) or []
        ],
    }


CREATE: Final[dict[str, Create]] = {"aws:budgets/budget:Budget": budget}
