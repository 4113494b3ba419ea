"""The local Cost Explorer, asked as the handlers ask AWS's: through botocore, over HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from handlers.adapters.costs import CostExplorer, UnexpectedCurrency
from handlers.reporting.figures import Month
from local.cost_explorer import CostExplorerTwin

OCTOBER = Month(date(2026, 10, 1))
TAGS = {"project": "mailroom", "stack": "prod", "owner": "shop"}


@pytest.fixture
def twin() -> Iterator[CostExplorerTwin]:
    with CostExplorerTwin() as running:
        yield running


def client(twin: CostExplorerTwin) -> Any:
    return boto3.client(
        "ce", region_name="us-east-1", endpoint_url=twin.endpoint, aws_access_key_id="k", aws_secret_access_key="s"
    )


def explorer(twin: CostExplorerTwin) -> CostExplorer:
    return CostExplorer(client(twin), project="mailroom", stack="prod")


def test_costs_come_by_month_and_service_and_unrounded(twin: CostExplorerTwin) -> None:
    twin.charge(OCTOBER.first, {"AWS Lambda": Decimal("0.0000000042"), "AmazonCloudWatch": Decimal("14.33")}, TAGS)
    twin.charge(OCTOBER.before.first, {"AWS Lambda": Decimal("1.9")}, TAGS)
    twin.charge(OCTOBER.after.first, {"AWS Lambda": Decimal(99)}, TAGS)
    costs = explorer(twin).costs(OCTOBER.before, OCTOBER)
    assert costs.by_service == {
        OCTOBER: {"AWS Lambda": Decimal("0.0000000042"), "AmazonCloudWatch": Decimal("14.33")},
        OCTOBER.before: {"AWS Lambda": Decimal("1.9")},
    }


def test_what_other_stacks_and_projects_cost_is_none_of_ours(twin: CostExplorerTwin) -> None:
    twin.charge(OCTOBER.first, {"AWS Lambda": Decimal(5)}, {**TAGS, "stack": "dev"})
    twin.charge(OCTOBER.first, {"AWS Lambda": Decimal(7)}, {**TAGS, "project": "other"})
    twin.charge(OCTOBER.first, {"AWS Lambda": Decimal(9)}, {})
    assert explorer(twin).costs(OCTOBER.before, OCTOBER).by_service == {}


def test_one_report_is_one_request(twin: CostExplorerTwin) -> None:
    explorer(twin).costs(OCTOBER.before, OCTOBER)
    (asked,) = twin.asked
    assert asked["TimePeriod"] == {"Start": "2026-09-01", "End": "2026-11-01"}


@pytest.mark.parametrize(
    "changes",
    [
        {"Granularity": "DAILY"},
        {"Metrics": ["BlendedCost"]},
        {"GroupBy": [{"Type": "TAG", "Key": "owner"}]},
        {"TimePeriod": {"Start": "2026-10-01", "End": "2026-10-01"}},
        {"TimePeriod": {"Start": "October", "End": "2026-10-01"}},
        {"Filter": {"Dimensions": {"Key": "SERVICE", "Values": ["AWS Lambda"]}}},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_what_it_does_not_know_it_refuses(twin: CostExplorerTwin, changes: dict[str, Any]) -> None:
    request = {
        "TimePeriod": {"Start": "2026-10-01", "End": "2026-11-01"},
        "Granularity": "MONTHLY",
        "Metrics": ["UnblendedCost"],
        "GroupBy": [{"Type": "DIMENSION", "Key": "SERVICE"}],
    }
    assert client(twin).get_cost_and_usage(**request)["ResultsByTime"]
    with pytest.raises(ClientError, match="ValidationException"):
        client(twin).get_cost_and_usage(**{**request, **changes})


def test_another_call_is_refused(twin: CostExplorerTwin) -> None:
    with pytest.raises(ClientError, match="ValidationException"):
        client(twin).get_tags(TimePeriod={"Start": "2026-10-01", "End": "2026-11-01"})


# ---- What AWS's own answers besides ----


class Pages:
    """Answers as given, one a call."""

    def __init__(self, *answers: dict[str, Any]) -> None:
        self.answers = list(answers)
        self.tokens: list[str | None] = []

    def get_cost_and_usage(self, **request: Any) -> dict[str, Any]:
        self.tokens.append(request.get("NextPageToken"))
        return self.answers.pop(0)


def page(usd: str, *, unit: str = "USD", service: str = "AWS Lambda", **more: Any) -> dict[str, Any]:
    group = {"Keys": [service], "Metrics": {"UnblendedCost": {"Amount": usd, "Unit": unit}}}
    result = {"TimePeriod": {"Start": "2026-10-01", "End": "2026-11-01"}, "Groups": [group], "Estimated": False}
    return {"ResultsByTime": [{**result, **more.pop("result", {})}], **more}


def test_further_pages_are_fetched_and_added() -> None:
    pages = Pages(page("1", NextPageToken="next"), page("2", service="AWS X-Ray"))
    costs = CostExplorer(pages, project="mailroom", stack="prod").costs(OCTOBER, OCTOBER)
    assert costs.by_service == {OCTOBER: {"AWS Lambda": 1, "AWS X-Ray": 2}}
    assert pages.tokens == [None, "next"]


def test_a_month_that_aws_has_not_closed_is_an_estimate() -> None:
    pages = Pages(page("1", result={"Estimated": True}))
    assert CostExplorer(pages, project="mailroom", stack="prod").costs(OCTOBER, OCTOBER).estimated


def test_another_currency_is_refused_not_added() -> None:
    with pytest.raises(UnexpectedCurrency, match="INR"):
        CostExplorer(Pages(page("1", unit="INR")), project="mailroom", stack="prod").costs(OCTOBER, OCTOBER)
