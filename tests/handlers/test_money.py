from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handlers.mail.money import format_money, is_currency, minor_units, quantize

CURRENCIES = ["JPY", "EUR", "KWD", "CLF"]
amounts = st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**12), max_value=10**12)


@pytest.mark.parametrize("code", ["eur", "EU", "EURO", "", "ABC", "€", "EUR ", "ＥＵＲ"])
def test_what_is_not_an_active_code_is_refused_by_name(code: str) -> None:
    assert not is_currency(code)
    with pytest.raises(ValueError, match="not an active ISO 4217 currency code"):
        minor_units(code)


@pytest.mark.parametrize("code", ["BGN", "HRK", "ANG", "ZWL", "DEM"])
def test_withdrawn_codes_are_refused(code: str) -> None:
    assert not is_currency(code)


@pytest.mark.parametrize("code", ["XAU", "XDR", "XTS", "XXX"])
def test_codes_without_a_minor_unit_are_refused(code: str) -> None:
    assert not is_currency(code), "nobody can be charged in metals, in drawing rights or in no currency"


@pytest.mark.parametrize("amount", ["NaN", "sNaN", "Infinity", "-Infinity"])
def test_what_is_not_a_number_is_not_money(amount: str) -> None:
    with pytest.raises(ValueError, match="not an amount of money"):
        format_money(Decimal(amount), "EUR")
    with pytest.raises(ValueError, match="not an amount of money"):
        quantize(Decimal(amount), "EUR")


@pytest.mark.parametrize(
    ("currency", "digits"),
    [
        ("EUR", 2),
        ("USD", 2),
        ("HUF", 2),
        ("XCG", 2),
        ("JPY", 0),
        ("KRW", 0),
        ("ISK", 0),
        ("KWD", 3),
        ("IQD", 3),
        ("CLF", 4),
    ],
)
def test_minor_units_are_those_of_iso_4217(currency: str, digits: int) -> None:
    assert is_currency(currency)
    assert minor_units(currency) == digits


@pytest.mark.parametrize(
    ("amount", "currency", "written"),
    [
        ("1234.5", "EUR", "EUR 1,234.50"),
        ("1200", "JPY", "JPY 1,200"),
        ("1200.00", "JPY", "JPY 1,200"),
        ("0.125", "KWD", "KWD 0.125"),
        ("1E+6", "KWD", "KWD 1,000,000.000"),
        ("0", "EUR", "EUR 0.00"),
        ("-0.00", "EUR", "EUR 0.00"),
        ("-5", "EUR", "EUR −5.00"),
        ("-1234567.89", "USD", "USD −1,234,567.89"),
        ("999.990", "USD", "USD 999.99"),
        (
            "12345678901234567890123456789012345.67",
            "EUR",
            "EUR 12,345,678,901,234,567,890,123,456,789,012,345.67",
        ),
    ],
)
def test_amounts_are_written_with_code_groups_and_the_currencys_decimals(
    amount: str, currency: str, written: str
) -> None:
    assert format_money(Decimal(amount), currency) == written


def test_a_price_finer_than_the_minor_unit_is_not_rounded_away() -> None:
    assert format_money(Decimal("0.0015"), "EUR") == "EUR 0.0015"
    assert format_money(Decimal("0.5"), "JPY") == "JPY 0.5"


@pytest.mark.parametrize(
    ("amount", "currency", "rounded"),
    [
        ("0.005", "EUR", "0.01"),
        ("-0.005", "EUR", "-0.01"),
        ("0.0049", "EUR", "0.00"),
        ("0.5", "JPY", "1"),
        ("0.0005", "KWD", "0.001"),
    ],
)
def test_halves_round_away_from_zero(amount: str, currency: str, rounded: str) -> None:
    assert str(quantize(Decimal(amount), currency)) == rounded


def test_an_amount_beyond_the_default_precision_is_still_rounded() -> None:
    assert quantize(Decimal("1" * 40 + ".005"), "EUR") == Decimal("1" * 40 + ".01")


@given(amounts, st.sampled_from(CURRENCIES))
def test_a_written_amount_reads_back_exactly(amount: Decimal, currency: str) -> None:
    code, number = format_money(amount, currency).split(" ")
    assert code == currency
    assert Decimal(number.replace(",", "").replace("−", "-")) == amount


@given(amounts, st.sampled_from(CURRENCIES))
def test_rounding_moves_an_amount_by_at_most_half_a_minor_unit(amount: Decimal, currency: str) -> None:
    digits = minor_units(currency)
    rounded = quantize(amount, currency)
    exponent = rounded.as_tuple().exponent
    assert exponent == -digits
    assert abs(rounded - amount) <= Decimal(5).scaleb(-digits - 1)
    assert quantize(rounded, currency) == rounded
