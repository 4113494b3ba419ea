"""The price sheet: what AWS asks, when that was read, and where (`prices.yaml`). Decimals throughout.

It stands alone, so that a program that is to keep to a budget can use it without the rest of the toolkit.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Any, Final

import yaml

from observability.errors import ToolkitError

SHEET: Final = Path(__file__).with_name("prices.yaml")

HOURS: Final = 730
"""Hours of a month, as AWS's pricing pages and its calculator count them: a twelfth of a year."""

CENT: Final = Decimal("0.01")


class Plan(StrEnum):
    """What SES asks for an email depends on the account's plan."""

    ESSENTIALS = "essentials"
    A_LA_CARTE = "a-la-carte"


@dataclass(frozen=True, slots=True)
class Price:
    """One price of the sheet.

    Attributes:
        each: USD for one unit.
        unit: what a unit is, in words, in the plural.
        free: units a month that are free for good, for an account as a whole.
        service: what Cost Explorer calls the AWS service that charges it.
        signal: the telemetry signal that it pays for: metrics, logs, traces, alarms, dashboards; "" for none.
        source, read: the page that says so, and when it was read, as year and month.
    """

    name: str
    each: Decimal
    unit: str
    service: str
    source: str
    read: str
    free: Decimal = Decimal(0)
    signal: str = ""

    def of(self, quantity: Decimal | int) -> Decimal:
        """What so many units cost in USD, unrounded."""
        return self.each * quantity


@dataclass(frozen=True, slots=True)
class PriceSheet:
    """Prices by name, and what a registered type costs.

    Attributes:
        fixed: the name of the price that each resource of a type costs a month for being there.
        by_use, free: types that cost nothing for that: what they are paid by instead, or why.
        besides: what a type may cost in addition, which the sheet has no price of.
    """

    region: str
    prices: Mapping[str, Price]
    fixed: Mapping[str, str]
    by_use: Mapping[str, str]
    free: Mapping[str, str]
    besides: Mapping[str, str]

    def __getitem__(self, name: str) -> Price:
        """Raises ToolkitError: the sheet has no such price."""
        try:
            return self.prices[name]
        except KeyError:
            raise ToolkitError(
                f"the price sheet has no price {name!r}", f"It has: {', '.join(sorted(self.prices))}."
            ) from None

    def under(self, plan: Plan, name: str) -> Price:
        """The price of that name; where plans differ in it, the plan's."""
        return self.prices.get(f"{name}.{plan}") or self[name]

    @property
    def read(self) -> str:
        """When the oldest of the prices was read: year and month."""
        return min(price.read for price in self.prices.values())


def share_of_hours(points: Decimal | int, *, regular: Decimal | int = 0, hours: int = HOURS) -> Decimal:
    """The share of a month's hours in which something happens. A custom metric is charged for the hours in which it
    has points, and for no others (Amazon CloudWatch pricing).

    Args:
        points: how often a month at random, which leaves a share of e^(-points/hours) of the hours empty.
        regular: how often a month at even distances.
        hours: into how many equal parts the month is cut.
    """
    empty = (-Decimal(points) / hours).exp() * (1 - min(Decimal(1), Decimal(regular) / hours))
    return 1 - empty


def read_sheet(text: str, where: str = "the price sheet") -> PriceSheet:
    """A sheet in the form of `prices.yaml`.

    Raises:
        ToolkitError: a price has no date, source, service, unit or amount, is there twice, or a type names a price that
            is not there.
    """
    document = yaml.safe_load(text)
    prices: dict[str, Price] = {}
    for page in document["pages"]:
        for name, entry in page["prices"].items():
            if name in prices:
                raise ToolkitError(f"{where}: {name} has two prices")
            prices[name] = _price(name, {**entry, **{key: page.get(key) for key in _PAGE}}, where)
    sheet = PriceSheet(document["region"], prices, *(document.get(table) or {} for table in _TYPES))
    for type_, name in sheet.fixed.items():
        if name not in prices:
            raise ToolkitError(f"{where}: {type_} is to cost {name}, which has no price")
    return sheet


@cache
def load() -> PriceSheet:
    """The sheet that comes with the toolkit."""
    return read_sheet(SHEET.read_text(encoding="utf-8"))


_PAGE: Final = ("service", "source", "read")
_TYPES: Final = ("fixed", "by_use", "free", "besides")


def _price(name: str, entry: Mapping[str, Any], where: str) -> Price:
    for key in ("usd", "unit", *_PAGE):
        if not entry.get(key):
            raise ToolkitError(f"{where}: {name} has no {key}")
    return Price(
        name=name,
        each=Decimal(str(entry["usd"])) / int(entry.get("per", 1)),
        unit=entry["unit"],
        service=entry["service"],
        source=entry["source"],
        read=str(entry["read"]),
        free=Decimal(str(entry.get("free", 0))),
        signal=entry.get("signal", ""),
    )
