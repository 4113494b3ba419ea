"""The price sheet: each price has a date and a source, each type one fate, and faults are named."""

from __future__ import annotations

import re
from decimal import Decimal

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from observability.errors import ToolkitError
from observability.prices import HOURS, SHEET, Plan, load, read_sheet, share_of_hours

PAGE = {
    "service": "Things",
    "source": "https://example.com/pricing",
    "read": "2026-11",
    "prices": {"a": {"usd": "1.50", "unit": "things"}},
}


def sheet_of(**changes: object) -> str:
    return yaml.safe_dump({"region": "nowhere-1", "pages": [PAGE], **changes})


@pytest.mark.parametrize(
    ("broken", "named"),
    [
        ({"pages": [{**PAGE, "source": ""}]}, "a has no source"),
        ({"pages": [{**PAGE, "service": ""}]}, "a has no service"),
        ({"pages": [{**PAGE, "read": None}]}, "a has no read"),
        ({"pages": [{**PAGE, "prices": {"a": {"unit": "things"}}}]}, "a has no usd"),
        ({"pages": [{**PAGE, "prices": {"a": {"usd": "1"}}}]}, "a has no unit"),
        ({"pages": [PAGE, PAGE]}, "a has two prices"),
        ({"fixed": {"aws:x/y:Y": "b"}}, "aws:x/y:Y is to cost b, which has no price"),
    ],
)
def test_a_sheet_with_a_hole_is_refused_by_name(broken: dict[str, object], named: str) -> None:
    with pytest.raises(ToolkitError, match=named):
        read_sheet(sheet_of(**broken))


def test_a_price_that_is_not_there_is_refused_with_those_that_are() -> None:
    with pytest.raises(ToolkitError, match="no price 'b'") as refused:
        read_sheet(sheet_of())["b"]
    assert refused.value.remedy == "It has: a."


def test_each_price_has_a_date_and_a_page_of_aws() -> None:
    for price in load().prices.values():
        assert re.fullmatch(r"20\d\d-(0[1-9]|1[0-2])", price.read), price
        assert re.fullmatch(r"https://aws\.amazon\.com/[\w/-]+/pricing/[\w/-]*", price.source), price
        assert price.unit


def test_a_type_has_one_fate() -> None:
    sheet = load()
    fates = [*sheet.fixed, *sheet.by_use, *sheet.free]
    assert len(fates) == len(set(fates))


def test_amounts_are_written_as_text_so_that_none_is_a_float() -> None:
    document = yaml.safe_load(SHEET.read_text(encoding="utf-8"))
    amounts = [entry["usd"] for page in document["pages"] for entry in page["prices"].values()]
    assert all(isinstance(amount, str) for amount in amounts)


def test_an_email_costs_by_the_accounts_plan_and_all_else_does_not() -> None:
    sheet = load()
    per_thousand = {plan: sheet.under(plan, "ses.email").of(1000) for plan in Plan}
    assert per_thousand == {Plan.ESSENTIALS: Decimal("0.16"), Plan.A_LA_CARTE: Decimal("0.10")}
    assert {sheet.under(plan, "kms.key") for plan in Plan} == {sheet["kms.key"]}


def test_600_points_at_random_fall_into_56_percent_of_a_months_hours() -> None:
    assert share_of_hours(600).quantize(Decimal("0.01")) == Decimal("0.56")


def test_points_at_even_distances_fill_an_hour_each() -> None:
    assert share_of_hours(0, regular=HOURS // 2) == Decimal("0.5")
    assert share_of_hours(0, regular=10 * HOURS) == 1


@given(st.integers(0, 10**6), st.integers(0, 10**6), st.integers(0, 2 * HOURS))
def test_more_points_never_fill_fewer_hours(few: int, more: int, regular: int) -> None:
    less, most = sorted((few, more))
    assert 0 <= share_of_hours(less, regular=regular) <= share_of_hours(most, regular=regular) <= 1
