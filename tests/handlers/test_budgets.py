"""What AWS Budgets says, and which lanes that holds."""

from __future__ import annotations

from contextlib import suppress
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handlers.guarding.budgets import (
    BudgetAlert,
    MalformedBudgetAlert,
    lanes_held_by,
    message,
    parse_alert,
    reason_of,
    subject,
)

FOLDER = Path(__file__).parents[1] / "events" / "budgets"
HOLDS = {"ACTUAL:80": ["probe"], "ACTUAL:100": ["order-confirmation", "probe"], "FORECASTED:100": []}


def golden(name: str) -> str:
    return (FOLDER / f"{name}.txt").read_text(encoding="utf-8")


def alert(kind: str = "ACTUAL", threshold: str = "100", budgeted: str = "100", name: str = "mail") -> BudgetAlert:
    return BudgetAlert(
        name=name,
        kind=kind,
        threshold=Decimal(threshold),
        amount=Decimal(threshold) + 1,
        budgeted=Decimal(budgeted),
    )


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (("Budget Name: mailroom-prod\n", ""), "there is no line Budget Name"),
        (("Budget Name: mailroom-prod", "Budget Name: "), "there is no line Budget Name"),
        (("Alert Type: ACTUAL\n", ""), "there is no line Alert Type"),
        (("Alert Type: ACTUAL", "Alert Type: LATELY"), "Alert Type is 'LATELY', has to be ACTUAL or FORECASTED"),
        (("Alert Type: ACTUAL", "Alert Type: FORECASTED"), "there is no line FORECASTED Amount"),
        (("Budgeted Amount: $100.00", "Budgeted Amount: $0.00"), "Budgeted Amount is 0"),
        (("Budgeted Amount: $100.00", "Budgeted Amount: 100 GB"), "Budgeted Amount is '100 GB', has to be"),
        (("Budgeted Amount: $100.00", "Budgeted Amount: EUR 100"), "Budgeted Amount is 'EUR 100', has to be"),
        (("Alert Threshold: > $100.00", "Alert Threshold: > much"), "Alert Threshold is '> much', has to be"),
        (("ACTUAL Amount: $104.37", "ACTUAL Amount: $-1"), "ACTUAL Amount is '$-1', has to be"),
    ],
)
def test_what_is_no_alert_of_a_cost_budget_is_refused_and_named(change: tuple[str, str], told: str) -> None:
    text = golden("actual")
    assert change[0] in text
    with pytest.raises(MalformedBudgetAlert) as caught:
        parse_alert(text.replace(*change))
    assert str(caught.value).startswith(told)


@given(st.text(alphabet=st.sampled_from("Budget Amount:$> 0123,.%\r\nACTUAL"), max_size=300))
def test_no_text_does_anything_but_be_refused_or_read(text: str) -> None:
    for given_text in (text, golden("actual") + text, text + golden("actual")):
        with suppress(MalformedBudgetAlert):
            parse_alert(given_text)


@pytest.mark.parametrize(
    ("name", "kind", "threshold", "amount", "budgeted", "percent"),
    [
        ("actual", "ACTUAL", "100", "104.37", "100", "100"),
        ("actual-half", "ACTUAL", "50", "50.02", "100", "50"),
        ("forecasted", "FORECASTED", "1000", "1204.5", "1000", "100"),
        ("actual-daily", "ACTUAL", "0.75", "1.7", "5", "15"),
        ("actual-2020", "ACTUAL", "100", "104.37", "100", "100"),
    ],
)
def test_an_alert_is_read_as_aws_budgets_sends_it(
    name: str, kind: str, threshold: str, amount: str, budgeted: str, percent: str
) -> None:
    found = parse_alert(golden(name))
    assert found == parse_alert(golden(name).replace("\n", "\r\n"))
    assert (found.name, found.kind) == ("mailroom-prod", kind)
    assert (found.threshold, found.amount, found.budgeted) == (Decimal(threshold), Decimal(amount), Decimal(budgeted))
    assert f"{found.percent:f}" == percent


def test_a_threshold_in_percent_is_the_amount_that_it_comes_to() -> None:
    assert parse_alert(golden("actual").replace("> $100.00", "> 80%")).threshold == 80


def test_an_alert_holds_the_lanes_of_its_own_threshold_and_no_others() -> None:
    assert lanes_held_by(alert(threshold="50"), HOLDS) == []
    assert lanes_held_by(alert(threshold="80"), HOLDS) == ["probe"]
    assert lanes_held_by(alert(threshold="100"), HOLDS) == ["order-confirmation", "probe"]
    assert lanes_held_by(alert("FORECASTED"), HOLDS) == []


@given(percent=st.integers(1, 200), cents=st.integers(100, 10**8), up=st.sampled_from(["ROUND_UP", "ROUND_DOWN"]))
def test_a_threshold_is_found_however_its_amount_was_rounded_to_cents(percent: int, cents: int, up: str) -> None:
    budgeted = Decimal(cents) / 100
    crossed = (budgeted * percent / 100).quantize(Decimal("0.01"), up)
    assert alert(threshold=str(crossed), budgeted=str(budgeted)).crosses(f"ACTUAL:{percent}")
    assert not alert(threshold=str(crossed), budgeted=str(budgeted)).crosses(f"ACTUAL:{percent + 3}")


def test_people_are_told_what_was_crossed_what_is_held_and_how_to_let_go() -> None:
    text = message(parse_alert(golden("actual")), ["order-confirmation", "probe"])
    assert text.splitlines() == [
        "AWS Budgets says: budget mailroom-prod: 104.37 USD spent, over 100.00 USD (100 % of 100.00).",
        "",
        "Held for it: order-confirmation, probe. Their orders wait in the queues, for up to 14 days.",
        "Find out what the money goes to, then let a lane go:",
        "",
        '    python -m ops release order-confirmation --reason "..."',
        '    python -m ops release probe --reason "..."',
    ]
    assert message(parse_alert(golden("forecasted")), []).splitlines() == [
        "AWS Budgets says: budget mailroom-prod: 1,204.50 USD forecast, over 1,000.00 USD (100 % of 1,000.00).",
        "",
        "No lane is held for this threshold.",
    ]


@given(name=st.text(min_size=1, max_size=120), stack=st.text(min_size=1, max_size=60))
def test_a_subject_is_one_that_sns_takes(name: str, stack: str) -> None:
    text = subject(alert(name=name), stack, ["probe"])
    assert text.isascii()
    assert text.isprintable()
    assert len(text) <= 100
    assert text.startswith("Mailroom")


def test_a_subject_says_whether_anything_is_held() -> None:
    assert subject(alert(), "prod", ["probe"]) == "Mailroom prod: 100 % of the budget spent, lanes held: mail"
    assert subject(alert("FORECASTED"), "prod", []) == "Mailroom prod: 100 % of the budget forecast, nothing held: mail"
    assert reason_of(alert()).startswith("budget mail: 101.00 USD spent")
