from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jinja2 import UndefinedError

from handlers.mail.letter import _TEMPLATES, TEXT_COLUMNS, beside, display_width, render_confirmation, wrap
from handlers.mail.orders import Item
from tests.handlers.letters import NAMES, an_order, any_name, as_published, rendered

# Google publishes no figure; senders have long observed 102 KB of decoded HTML, some up to 105 KB. A KB is taken as
# 1,000 bytes, the stricter reading.
GMAIL_CLIPS_AT = 102_000
# Gmail ignores a <style> element of more than 8,192 characters.
GMAIL_STYLE_LIMIT = 8_192


class Page(HTMLParser):
    """The cells of each table row, tables in tables apart, and the visible text; refuses tags that are left open."""

    VOID = frozenset({"meta", "br"})

    def __init__(self, document: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.cells: list[list[str]] = []
        self.innermost: list[list[str]] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(document)
        self.close()
        assert not self.open, f"never closed: {self.open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag == "tr":
            self.cells.append([])
        if tag in {"td", "th"}:
            self.cells[-1].append("")
            self.innermost.append(self.cells[-1])
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag
        if tag in {"td", "th"}:
            self.innermost.pop()

    def handle_data(self, data: str) -> None:
        if not {"style", "title"} & set(self.open):
            self.text += data
            if self.innermost:
                self.innermost[-1][-1] += data

    def rows(self) -> list[tuple[str, ...]]:
        """Rows of two cells: those of the facts and of the bill, which alone have two."""
        return [tuple(row) for row in self.cells if len(row) == 2]


def test_an_unknown_currency_is_refused() -> None:
    with pytest.raises(ValueError, match="ISO 4217"):
        rendered(an_order(currency="BGN"))


def test_a_value_that_a_template_misses_is_an_error_and_no_gap_in_the_letter() -> None:
    with pytest.raises(UndefinedError, match="forgotten"):
        _TEMPLATES.from_string("Total {{ forgotten }}").render()


# ---- HTML ----


def test_html_shows_every_line_and_the_total() -> None:
    rows = Page(rendered(an_order()).html).rows()
    assert rows == [
        ("Order", "A-1001"),
        ("Placed", "22 November 2026, 14:05 UTC"),
        ("Total", "EUR 34.00"),
        ("Item", "Amount"),
        ("Oak tray2 × EUR 12.50", "EUR 25.00"),
        ("Mug1 × EUR 9.00", "EUR 9.00"),
        ("Total", "EUR 34.00"),
    ]


def test_html_in_names_is_shown_not_obeyed() -> None:
    evil = "<script>alert(1)</script><img src=x onerror=y>\"'&amp;"
    letter = render_confirmation(
        an_order(Item("s", evil, 1, Decimal(1)), name=evil), store=evil, reply_to="a'b&c@example.com"
    )
    page = Page(letter.html)
    assert not {"script", "img"} & {tag for tag, _ in page.tags}
    assert page.text.count(evil) == 3, "store, customer and item read as they were given"
    assert evil in letter.text, "plain text needs no escaping"
    assert "a'b&c@example.com" in page.text


@settings(deadline=None)
@given(any_name)
def test_any_name_reads_in_the_bill_as_it_was_given(name: str) -> None:
    document = rendered(as_published(name)).html
    assert (f"{name}3 × EUR 0.10", "EUR 0.30") in Page(document).rows()


def test_the_help_link_names_the_order_and_quotes_what_an_address_may_hold() -> None:
    letter = render_confirmation(an_order(order_id="A/1#2"), store="Store", reply_to="a+b?c&d@example.com")
    (link,) = [attributes["href"] for tag, attributes in Page(letter.html).tags if tag == "a"]
    assert link == "mailto:a%2Bb%3Fc%26d@example.com?subject=Order%20A%2F1%232"


def test_html_loads_nothing_and_runs_nothing() -> None:
    document = rendered(an_order()).html
    for remote in ("http", "src=", "url(", "@import", "<link", "<script", "<img"):
        assert remote not in document


def test_html_is_accessible_and_adapts_to_dark_screens() -> None:
    document = rendered(an_order(name="محمد")).html
    tags = Page(document).tags
    tables = [attributes for tag, attributes in tags if tag == "table"]
    assert [table.get("role") for table in tables] == ["presentation", "presentation", None, None], (
        "layout, card, facts, items"
    )
    assert all(attributes.get("scope") in {"row", "col"} for tag, attributes in tags if tag == "th")
    assert ("html", {"lang": "en", "dir": "ltr"}) in tags
    assert '<span dir="auto">محمد</span>' in document
    assert '<meta name="color-scheme" content="light dark">' in document
    assert "@media (prefers-color-scheme:dark)" in document
    assert "[data-ogsc]" in document


def test_gmail_keeps_every_style_block() -> None:
    blocks = rendered(an_order()).html.split("<style>")[1:]
    assert len(blocks) == 3
    assert all(len(block.partition("</style>")[0]) < GMAIL_STYLE_LIMIT for block in blocks)


@pytest.mark.parametrize(
    "name",
    [
        "Men's merino crew-neck sweater, charcoal grey, size XL (slim fit)",
        "有田焼 染付 湯呑み 夫婦セット（木箱入り・ギフト包装・のし対応）",
        "كوب سيراميك أزرق مصنوع يدويا مع غطاء من خشب البلوط",
        "W" * 200,
    ],
)
def test_the_largest_order_is_not_clipped_by_gmail(name: str) -> None:
    items = [Item(f"sku-{n}", name, 12, Decimal("1249.00")) for n in range(250)]
    letter = rendered(an_order(*items, total=Decimal("1.00")))
    assert len(letter.html.encode()) < GMAIL_CLIPS_AT
    assert len(Page(letter.html).rows()) == 250 + 3 + 1 + 2


# ---- Amounts ----


@pytest.mark.parametrize(
    ("total", "shown"),
    [("39.90", "EUR 5.90"), ("30.00", "EUR −4.00"), ("0.00", "EUR −34.00"), ("34.00", None), ("34", None)],
)
def test_what_the_items_do_not_explain_is_one_line_and_the_sum_is_never_shown(total: str, shown: str | None) -> None:
    letter = rendered(an_order(total=Decimal(total)))
    label = "Shipping, taxes and discounts"
    if shown is None:
        assert label not in letter.html + letter.text
        return
    assert (label, shown) in Page(letter.html).rows()
    assert any(line.startswith(label) and line.endswith(shown) for line in letter.text.splitlines())
    assert "EUR 34.00" not in letter.html.replace(shown, "") + letter.text.replace(shown, "")


@pytest.mark.parametrize(("total", "rounding"), [("1.00", "EUR 0.01"), ("0.999", "EUR 0.009")])
def test_cents_lost_in_rounding_lines_are_called_rounding(total: str, rounding: str) -> None:
    thirds = [Item(f"s{n}", "Third", 1, Decimal("0.333")) for n in range(3)]
    rows = Page(rendered(an_order(*thirds, total=Decimal(total))).html).rows()
    assert ("Rounding", rounding) in rows
    assert ("Third1 × EUR 0.333", "EUR 0.33") in rows


@pytest.mark.parametrize(
    ("currency", "price", "unit", "amount"),
    [
        ("JPY", "1200", "JPY 1,200", "JPY 3,600"),
        ("USD", "0.99", "USD 0.99", "USD 2.97"),
        ("KWD", "0.125", "KWD 0.125", "KWD 0.375"),
    ],
)
def test_each_currency_has_its_own_decimals(currency: str, price: str, unit: str, amount: str) -> None:
    letter = rendered(an_order(Item("s", "Thing", 3, Decimal(price)), currency=currency))
    assert (f"Thing3 × {unit}", amount) in Page(letter.html).rows()
    assert ("Total", amount) in Page(letter.html).rows()
    assert f"  3 × {unit}" in letter.text


def test_a_free_order_is_confirmed_like_any_other() -> None:
    letter = rendered(an_order(Item("s", "Sample", 1, Decimal(0))))
    assert ("Total", "EUR 0.00") in Page(letter.html).rows()
    assert "Shipping" not in letter.text


def test_the_preview_counts_the_pieces() -> None:
    assert "3 items, EUR 34.00. Order A-1001, placed 22 November 2026, 14:05 UTC." in rendered(an_order()).html
    assert ">1 item, EUR 1.00." in rendered(an_order(Item("s", "One", 1, Decimal(1)))).html


def test_the_time_is_told_in_the_zone_the_order_was_placed_in() -> None:
    paris = datetime(2026, 7, 1, 9, 30, tzinfo=timezone(timedelta(hours=2)))
    assert "Placed   1 July 2026, 09:30 UTC+02:00" in rendered(an_order(placed_at=paris)).text


# ---- Plain text ----


def test_text_reads_as_a_letter() -> None:
    assert (
        rendered(an_order(total=Decimal("39.90"))).text
        == """\
Example Store

YOUR ORDER IS CONFIRMED

Thank you, Kim Example. We have received your order. Its details are
below; please keep this email for your records.

Order    A-1001
Placed   22 November 2026, 14:05 UTC
Total    EUR 39.90

------------------------------------------------------------------------

Oak tray                                                       EUR 25.00
  2 × EUR 12.50

Mug                                                             EUR 9.00
  1 × EUR 9.00

------------------------------------------------------------------------

Shipping, taxes and discounts                                   EUR 5.90
Total                                                          EUR 39.90

Questions? Reply to this email or write to support@example.com, and
mention order A-1001.
"""
    )


@pytest.mark.parametrize(
    ("text", "columns"),
    [
        ("abc", 3),
        ("山田", 4),
        ("ＡＢ", 4),
        ("ｶﾅ", 2),
        ("e\u0301", 1),
        ("김", 2),
        ("👍", 2),
        ("a\u200db", 2),
        ("שלום", 4),
        ("", 0),
    ],
)
def test_width_counts_columns_not_characters(text: str, columns: int) -> None:
    assert display_width(text) == columns


@pytest.mark.parametrize(
    "name", ["Mug", "有田焼 湯呑み", "Zoe\u0308", "كوب سيراميك", "👍 Ticket", "長い名前" * 30, "x" * 200]
)
def test_amounts_line_up_on_the_right_whatever_the_script(name: str) -> None:
    first, *rest = beside(name, "EUR 1.00").splitlines()
    assert display_width(first) == TEXT_COLUMNS
    assert first.endswith("  EUR 1.00")
    assert all(display_width(line) <= TEXT_COLUMNS - len("  EUR 1.00") for line in rest)


def test_right_to_left_names_are_isolated_from_their_amounts() -> None:
    assert beside("كوب", "EUR 1.00").startswith("\N{FIRST STRONG ISOLATE}كوب\N{POP DIRECTIONAL ISOLATE} ")
    assert beside("Mug", "EUR 1.00").isascii(), "other names carry no invisible characters"


def test_a_letter_keeps_its_marks_and_a_joined_emoji_its_parts() -> None:
    assert wrap("e\u0301" * 5, 2) == ["e\u0301e\u0301", "e\u0301e\u0301", "e\u0301"]
    family = "👩\u200d👩\u200d👧"
    assert wrap(family * 2, 8) == [family, family]


@given(any_name, st.integers(min_value=8, max_value=78))
def test_wrapping_loses_nothing_and_overflows_only_for_one_indivisible_cluster(text: str, width: int) -> None:
    lines = wrap(text, width)
    assert "".join(lines).replace(" ", "") == text.replace(" ", "")
    joined_emoji = "\N{ZERO WIDTH JOINER}"
    assert all(display_width(line) <= width or joined_emoji in line for line in lines)


@pytest.mark.parametrize("name", NAMES)
def test_text_stays_within_78_columns(name: str) -> None:
    letter = rendered(replace(as_published(name), total=Decimal("999999999999.99")), store=name)
    assert max(map(display_width, letter.text.splitlines())) < 78
