"""A shop that is not ours: three alarms, one of them a composite, to replay incidents on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from observability.incidents import Incident, read_incidents
from observability.model import read_alarms
from observability.sources import Estate

PAGER = "arn:aws:sns:eu-west-1:111122223333:pager"
DESK = "arn:aws:sns:eu-west-1:111122223333:desk"

ERRORS: dict[str, Any] = {
    "AlarmName": "shop-prod-checkout-errors-page",
    "Namespace": "AWS/Lambda",
    "MetricName": "Errors",
    "Dimensions": [{"Name": "FunctionName", "Value": "checkout"}],
    "Statistic": "Sum",
    "Period": 60,
    "EvaluationPeriods": 3,
    "DatapointsToAlarm": 2,
    "ComparisonOperator": "GreaterThanOrEqualToThreshold",
    "Threshold": 2,
    "TreatMissingData": "notBreaching",
}
SHARE: dict[str, Any] = {
    "AlarmName": "shop-prod-refunds-ticket",
    "Metrics": [
        {"Id": id_, "ReturnData": False, "MetricStat": {"Metric": metric, "Period": 300, "Stat": "Sum"}}
        for id_, metric in (
            ("refunds", {"Namespace": "Shop", "MetricName": "Refunds"}),
            ("orders", {"Namespace": "Shop", "MetricName": "Orders"}),
        )
    ]
    + [{"Id": "share", "Expression": "IF(FILL(orders, 0) >= 50, 100 * FILL(refunds, 0) / orders, 0)"}],
    "EvaluationPeriods": 1,
    "ComparisonOperator": "GreaterThanThreshold",
    "Threshold": 5,
    "TreatMissingData": "notBreaching",
    "AlarmActions": [DESK],
    "OKActions": [DESK],
}
DOWN: dict[str, Any] = {
    "AlarmName": "shop-prod-down-page",
    "AlarmRule": 'ALARM("shop-prod-checkout-errors-page")',
    "AlarmActions": [PAGER],
    "OKActions": [PAGER],
}
SHOP = Estate(alarms=tuple(read_alarms([ERRORS, SHARE, DOWN])))

ERRORS_METRIC = "AWS/Lambda Errors {FunctionName=checkout}"


def incidents(folder: Path, text: str) -> list[Incident]:
    """The incidents that the text describes, by way of a file."""
    path = folder / "incident.yaml"
    path.write_text(text, encoding="utf-8")
    return read_incidents([path])


def incident(folder: Path, text: str) -> Incident:
    [found] = incidents(folder, text)
    return found
