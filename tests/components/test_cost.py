"""What watching costs: prices, what is counted, and the limit."""

from __future__ import annotations

from decimal import Decimal
from itertools import pairwise

import pytest

from components import cost
from components.cost import BudgetError, Line, bill, per_thousand, refuse_above, total
from components.objectives import OBJECTIVES, burn_alarms, composites
from handlers.telemetry.contract import (
    BOUNCES,
    DELIVERIES,
    EMAILS_SENT,
    ESTIMATED_SPEND,
    METRICS,
    OLDEST_OPEN_EMAIL,
    PROBE_FAILURES,
)

LONG, SHORT = burn_alarms(OBJECTIVES[0], OBJECTIVES[0].burns[0], "test")


def lines(**changes: object) -> dict[str, Line]:
    given: dict[str, object] = {
        "alarms": [LONG, SHORT],
        "composites": composites(),
        "metrics": [EMAILS_SENT, BOUNCES, OLDEST_OPEN_EMAIL, PROBE_FAILURES],
        "dashboards": 2,
        "emails": 60_000,
        "probe_minutes": 30,
    }
    return {line.what: line for line in bill(**{**given, **changes})}  # type: ignore[arg-type]


def test_an_alarm_costs_by_the_metrics_in_it_and_a_composite_as_a_whole() -> None:
    found = lines()
    assert found["metrics in alarms"] == Line("metrics in alarms", "3 in 2 alarms", Decimal("0.30"))
    assert found["composite alarms"].usd == Decimal("1.00")


@pytest.mark.parametrize(("dashboards", "usd"), [(2, "0.00"), (3, "0.00"), (4, "3.00")])
def test_an_accounts_first_three_dashboards_have_no_price(dashboards: int, usd: str) -> None:
    line = next(line for what, line in lines(dashboards=dashboards).items() if what.startswith("dashboards"))
    assert line.usd == Decimal(usd)


def test_a_metric_of_every_hour_costs_its_month_and_a_rare_one_its_hours() -> None:
    found = lines()
    assert found["metrics of every hour"].usd.quantize(Decimal("0.01")) == Decimal("0.30")
    # 600 bounces in 730 hours fall into 56 % of them.
    assert found["metrics of some hours"].usd.quantize(Decimal("0.001")) == Decimal("0.168")
    assert lines(emails=1)["metrics of some hours"].quantity == "2"


def test_what_the_brake_tells_every_five_minutes_costs_its_month_however_few_emails_there_are() -> None:
    assert lines(metrics=[ESTIMATED_SPEND], emails=1)["metrics of every hour"].usd == cost.METRIC_MONTH


def test_more_emails_never_cost_less_and_no_metric_more_than_its_price() -> None:
    sums = [total(bill([], [], METRICS, dashboards=0, emails=10**n, probe_minutes=60)) for n in range(9)]
    assert all(less <= more for less, more in pairwise(sums))
    metrics = [
        line for line in bill([], [], METRICS, dashboards=0, emails=10**9, probe_minutes=60) if "metrics" in line.what
    ]
    assert total(metrics) == len(METRICS) * cost.METRIC_MONTH


def test_probing_twice_as_often_costs_twice_as_much() -> None:
    half, whole = lines(probe_minutes=30)["probes"], lines(probe_minutes=15)["probes"]
    assert (half.quantity, whole.quantity) == ("1460", "2920")
    assert whole.usd == 2 * half.usd


def test_every_declared_metric_says_how_often_it_has_a_point() -> None:
    said = [*cost.POINTS, *cost.BY_THE_PROBER, *cost.EVERY_HOUR]
    assert len(said) == len(set(said)), "each says so once"
    assert set(said) == set(METRICS)
    assert cost.POINTS[DELIVERIES] < cost.POINTS[EMAILS_SENT] == 1000


def test_a_thousand_emails_add_logs_and_traces() -> None:
    assert [(line.what, line.usd) for line in per_thousand()] == [
        ("logs", Decimal("0.002")),
        ("traces, all recorded", Decimal("0.02")),
    ]


def test_a_budget_that_is_exceeded_is_refused_with_the_list_and_the_remedy() -> None:
    bill_ = [Line("alarms", "40", Decimal("4.00")), Line("metrics", "9", Decimal("2.705"))]
    refuse_above(Decimal("6.71"), bill_)
    with pytest.raises(BudgetError) as refused:
        refuse_above(Decimal(6), bill_)
    assert str(refused.value).splitlines()[:3] == [
        "watching this stack would cost 6.71 USD a month, and monitoringBudget allows 6:",
        "      4.00  alarms: 40",
        "      2.70  metrics: 9",
    ]
    assert "probeMinutes" in str(refused.value)
