"""What AWS Budgets says when a budget crosses a threshold, and which lanes that holds.

Its notification is a text for people, and AWS documents no form of it. What is read here are its lines of name and
value, as they have been since 2020; tests/events/budgets has examples and where they are from.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal

from handlers.guarding.spending import money

CENT = Decimal("0.01")
WAIT_DAYS = 14
"""How long a queue keeps an order that nobody takes: SQS's maximum, which the lanes' queues have."""

_LINE = re.compile(r"^(?P<name>[A-Za-z ]{1,40}):(?P<value>[^\r\n]{0,200})\r?$", re.MULTILINE)
_AMOUNT = re.compile(r"(?:[><=]\s*)?(?:USD\s*|\$)?(?P<number>\d[\d,]{0,20}(?:\.\d{1,9})?)(?P<percent>\s*%)?")
_KINDS = frozenset({"ACTUAL", "FORECASTED"})


class MalformedBudgetAlert(ValueError):
    """Not a notification of a cost budget's threshold; the message says what is wrong with it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetAlert:
    """A budget that crossed a threshold. Amounts are in USD, rounded to cents as Budgets tells them.

    Attributes:
        kind: `ACTUAL`, what was spent, or `FORECASTED`, what the month will come to.
        threshold: the amount that was crossed.
        amount: what was spent, or is forecast.
        budgeted: the budget's limit.
    """

    name: str
    kind: str
    threshold: Decimal
    amount: Decimal
    budgeted: Decimal

    @property
    def percent(self) -> Decimal:
        """The threshold in percent of the budget, to one decimal: cents say no more of a small budget."""
        return (100 * self.threshold / self.budgeted).quantize(Decimal("0.1")).normalize() + 0

    def crosses(self, threshold: str) -> bool:
        """Whether it is this threshold, such as `ACTUAL:100`, that was crossed. Budgets tells amounts, so it is found
        by the amount that it comes to; of a budget of cents it may be more than one."""
        kind, _, percent = threshold.partition(":")
        return kind == self.kind and abs(self.budgeted * Decimal(percent) / 100 - self.threshold) < CENT


def parse_alert(text: str) -> BudgetAlert:
    """The alert in the text that Budgets publishes to SNS.

    Raises:
        MalformedBudgetAlert: a line is missing or makes no sense. A budget of usage or of reservations is none of cost.
    """
    lines = {match["name"].strip().casefold(): match["value"].strip() for match in _LINE.finditer(text)}
    kind = _text(lines, "Alert Type").upper()
    if kind not in _KINDS:
        raise MalformedBudgetAlert(f"Alert Type is {kind!r}, has to be ACTUAL or FORECASTED")
    budgeted, _ = _amount(lines, "Budgeted Amount")
    if not budgeted:
        raise MalformedBudgetAlert("Budgeted Amount is 0: no threshold is a share of it")
    threshold, in_percent = _amount(lines, "Alert Threshold")
    amount, _ = _amount(lines, f"{kind} Amount")
    return BudgetAlert(
        name=_text(lines, "Budget Name"),
        kind=kind,
        threshold=threshold * budgeted / 100 if in_percent else threshold,
        amount=amount,
        budgeted=budgeted,
    )


def _text(lines: Mapping[str, str], name: str) -> str:
    if value := lines.get(name.casefold()):
        return value
    raise MalformedBudgetAlert(f"there is no line {name}")


def _amount(lines: Mapping[str, str], name: str) -> tuple[Decimal, bool]:
    """The amount in a line, and whether it is in percent."""
    value = _text(lines, name)
    if not (match := _AMOUNT.fullmatch(value)):
        raise MalformedBudgetAlert(f"{name} is {value!r}, has to be an amount in USD such as $1,000.00")
    return Decimal(match["number"].replace(",", "")), bool(match["percent"])


def lanes_held_by(alert: BudgetAlert, holds: Mapping[str, Iterable[str]]) -> list[str]:
    """The lanes that `holds`, lanes by threshold, has held by this alert, in its order. An alert holds what its own
    threshold says, and not what a lower one would have: that has told itself."""
    return list(dict.fromkeys(lane for key, lanes in holds.items() if alert.crosses(key) for lane in lanes))


def reason_of(alert: BudgetAlert) -> str:
    """Why a lane is held, in one line."""
    spent = "spent" if alert.kind == "ACTUAL" else "forecast"
    limit = f"{money(alert.threshold)} USD ({alert.percent:f} % of {money(alert.budgeted)})"
    return f"budget {alert.name}: {money(alert.amount)} USD {spent}, over {limit}"


def subject(alert: BudgetAlert, stack: str, held: Iterable[str]) -> str:
    """An SNS subject: ASCII, in one line, at most 100 characters (API reference, Publish)."""
    what = "lanes held" if list(held) else "nothing held"
    spent = "spent" if alert.kind == "ACTUAL" else "forecast"
    text = f"Mailroom {stack}: {alert.percent:f} % of the budget {spent}, {what}: {alert.name}"
    return "".join(character if character.isascii() and character.isprintable() else "?" for character in text)[:100]


def message(alert: BudgetAlert, held: Iterable[str]) -> str:
    """What people are told of an alert, and of the lanes that it holds."""
    lanes = list(held)
    lines = [f"AWS Budgets says: {reason_of(alert)}.", ""]
    if not lanes:
        return "\n".join([*lines, "No lane is held for this threshold."])
    return "\n".join(
        [
            *lines,
            f"Held for it: {', '.join(lanes)}. Their orders wait in the queues, for up to {WAIT_DAYS} days.",
            "Find out what the money goes to, then let a lane go:",
            "",
            *(f'    python -m ops release {lane} --reason "..."' for lane in lanes),
        ]
    )


def chat(title: str, text: str) -> dict[str, object]:
    """The same as a custom notification of Amazon Q Developer in chat applications, which shows nothing else. Source:
    its administrator guide, "Custom notifications" (event schema)."""
    return {
        "version": "1.0",
        "source": "custom",
        "content": {"textType": "client-markdown", "title": title, "description": text},
    }
