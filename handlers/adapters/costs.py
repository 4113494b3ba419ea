"""Cost Explorer: what a stack cost, by service and month."""

from __future__ import annotations

from collections import defaultdict
from datetime import date
from decimal import Decimal
from typing import Any

from handlers.reporting.figures import Costs, Month

REGION = "us-east-1"
"""Cost Explorer's only endpoint, whatever region the stack is in.
https://docs.aws.amazon.com/cost-management/latest/userguide/ce-api.html"""

METRIC = "UnblendedCost"
"""What the account is charged on the day of use, as on its bill."""


class UnexpectedCurrency(ValueError):
    """The account is not billed in USD, which all prices here are in."""


class CostExplorer:
    """The costs of what carries a stack's tags. They have to be activated as cost-allocation tags, and count from
    then on. `client` is Cost Explorer's, in REGION.

    AWS asks 0.01 USD for each request, and for each further page.
    """

    def __init__(self, client: Any, *, project: str, stack: str) -> None:
        self._client = client
        self._tags = {"project": project, "stack": stack}

    def costs(self, first: Month, last: Month) -> Costs:
        """From the month `first` to the month `last`, both included.

        Raises:
            UnexpectedCurrency: an amount is not in USD.
            ClientError, BotoCoreError: Cost Explorer did not answer.
        """
        found: defaultdict[Month, defaultdict[str, Decimal]] = defaultdict(lambda: defaultdict(Decimal))
        estimated = False
        page: dict[str, str] = {}
        while True:
            answer = self._client.get_cost_and_usage(
                TimePeriod={"Start": first.first.isoformat(), "End": last.after.first.isoformat()},
                Granularity="MONTHLY",
                Metrics=[METRIC],
                GroupBy=[{"Type": "DIMENSION", "Key": "SERVICE"}],
                Filter={
                    "And": [
                        {"Tags": {"Key": key, "Values": [value], "MatchOptions": ["EQUALS"]}}
                        for key, value in self._tags.items()
                    ]
                },
                **page,
            )
            for result in answer["ResultsByTime"]:
                month = Month(date.fromisoformat(result["TimePeriod"]["Start"]))
                estimated |= result.get("Estimated", False)
                for group in result.get("Groups", []):
                    found[month][group["Keys"][0]] += _usd(group["Metrics"][METRIC])
            if not (token := answer.get("NextPageToken")):
                return Costs(by_service={month: dict(costs) for month, costs in found.items()}, estimated=estimated)
            page = {"NextPageToken": token}


def _usd(amount: dict[str, str]) -> Decimal:
    if amount["Unit"] != "USD":
        raise UnexpectedCurrency(f"Cost Explorer answers in {amount['Unit']}, and prices here are in USD")
    return Decimal(amount["Amount"])
