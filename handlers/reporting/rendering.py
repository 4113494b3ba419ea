"""The report as an email: subject, text and HTML. Money is rounded to cents; sums are of what was not rounded yet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from handlers.mail.letter import TEXT_COLUMNS, Letter, wrap
from handlers.reporting.figures import Figures, Service
from handlers.reporting.recommendations import Recommendation

_CENT = Decimal("0.01")
_HUNDREDTH_OF_A_CENT = Decimal("0.0001")
_COLUMN = 14
_NAME = TEXT_COLUMNS - 3 * _COLUMN


@dataclass(frozen=True, slots=True)
class _Row:
    """A line of the table as it is printed."""

    name: str
    usd: str
    before: str
    difference: str


def render_report(figures: Figures, recommendations: Sequence[Recommendation], unknown: Sequence[str] = ()) -> Letter:
    """The letter that reports a month. `unknown` is what could not be measured, in words."""
    total = figures.total
    month = str(figures.month)
    subject = f"Mailroom {figures.stack}: {money(total.usd)} USD in {month}"
    context = {
        "subject": subject,
        "stack": figures.stack,
        "month": month,
        "columns_of": [f"{each.first:%b %Y}" for each in (figures.month, figures.month.before)],
        "total": money(total.usd),
        "change": _change(total, str(figures.month.before)),
        "emails": f"{figures.emails:,}",
        "per_thousand": ""
        if figures.per_thousand is None
        else f"{_rounded(figures.per_thousand, _HUNDREDTH_OF_A_CENT):,}",
        "rows": [_row(service) for service in figures.services],
        "sum": _row(total),
        "estimated": figures.estimated,
        "recommendations": [
            {
                "fact": each.fact,
                "remedy": each.remedy,
                "saves": "" if each.usd is None else f"Saves up to {money(each.usd)} USD a month.",
            }
            for each in recommendations
        ],
        "unknown": list(unknown),
    }
    return Letter(subject, text=_TEXT.render(context), html=_HTML.render(context))


def money(usd: Decimal) -> str:
    """`1,234.50`, halves away from zero, with a true minus."""
    rounded = _rounded(usd, _CENT)
    sign = "\N{MINUS SIGN}" if rounded < 0 else ""
    return f"{sign}{abs(rounded):,}"


def _change(total: Service, before: str) -> str:
    """How a month compares, in words."""
    if not total.before:
        return f"Nothing was charged in {before}."
    difference = _rounded(total.difference, _CENT)
    if not difference:
        return f"As much as in {before}."
    share = abs(total.difference) / total.before
    more = "more" if difference > 0 else "less"
    return f"{money(abs(difference))} USD {more} than in {before}, which is {share:.0%}."


def _row(service: Service) -> _Row:
    difference = money(service.difference)
    return _Row(
        name=service.name,
        usd=money(service.usd),
        before=money(service.before),
        difference=f"+{difference}" if _rounded(service.difference, _CENT) > 0 else difference,
    )


def _rounded(amount: Decimal, to: Decimal) -> Decimal:
    # Adding zero takes the sign off a zero.
    return amount.quantize(to, ROUND_HALF_UP) + 0


def _columns(row: _Row) -> str:
    """A row in columns, its name wrapped in the first."""
    first, *rest = wrap(row.name, _NAME)
    numbers = "".join(number.rjust(_COLUMN) for number in (row.usd, row.before, row.difference))
    return "\n".join([first.ljust(_NAME) + numbers, *rest])


def _item(text: str) -> str:
    """A paragraph of a list."""
    return "\n".join(
        f"{'-' if number == 0 else ' '} {line}" for number, line in enumerate(wrap(text, TEXT_COLUMNS - 2))
    )


_TEMPLATES = Environment(
    loader=FileSystemLoader(Path(__file__).parent.parent / "templates"),
    autoescape=select_autoescape(["html.j2"]),
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
    auto_reload=False,
)
_TEMPLATES.filters.update(wrap=lambda text: "\n".join(wrap(text)), row=_columns, item=_item)
_TEMPLATES.globals.update(columns=TEXT_COLUMNS, heading=_Row("", "this month", "before", "change"))
_TEXT = _TEMPLATES.get_template("cost-report.txt.j2")
_HTML = _TEMPLATES.get_template("cost-report.html.j2")
