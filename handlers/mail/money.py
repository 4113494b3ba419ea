"""Currencies and how an amount is written, by ISO 4217. Exact decimal arithmetic, standard library only."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Context, Decimal

# Decimals of each currency: ISO 4217 "List One: Current currency & funds", published 2026-01-01 by its maintenance
# agency, SIX (Amendment 180: BGN withdrawn). Left out are its 13 codes without a minor unit (metals, SDR, test, "no
# currency"): an amount in them cannot be rounded, so nobody can be charged one.
_CODES_BY_DIGITS = {
    0: "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF",
    2: """
        AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BMD BND BOB BOV BRL BSD BTN BWP BYN BZD CAD CDF CHE CHF CHW
        CNY COP COU CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF
        IDR ILS INR IRR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK
        MXN MXV MYR MZN NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP
        SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD USN UYU UZS VED VES WST XAD XCD XCG
        YER ZAR ZMW ZWG
    """,
    3: "BHD IQD JOD KWD LYD OMR TND",
    4: "CLF UYW",
}
_DIGITS = {code: digits for digits, codes in _CODES_BY_DIGITS.items() for code in codes.split()}

# Wide enough for any amount a message can carry; the default context would refuse beyond 28 digits.
_WIDE = Context(prec=200)


def is_currency(code: str) -> bool:
    """Whether `code` is an active ISO 4217 alphabetic code that amounts can be charged in (upper case only)."""
    return code in _DIGITS


def minor_units(currency: str) -> int:
    """Decimals of the currency: 2 for EUR, 0 for JPY, 3 for KWD. ValueError if there is no such currency."""
    try:
        return _DIGITS[currency]
    except KeyError:
        raise ValueError(f"{currency!r} is not an active ISO 4217 currency code") from None


def quantize(amount: Decimal, currency: str) -> Decimal:
    """The amount rounded to the currency's minor unit, halves away from zero as invoices round.

    ValueError for an unknown currency and for NaN or an infinity.
    """
    return _finite(amount).quantize(Decimal(1).scaleb(-minor_units(currency)), ROUND_HALF_UP, _WIDE)


def format_money(amount: Decimal, currency: str) -> str:
    """Code, space, amount: `EUR 1,234.50`, `JPY 1,200`, `KWD 0.125`; a negative one with a true minus, `EUR −5.00`.

    Never rounds: a unit price of EUR 0.0015 stays that, since `EUR 0.00` would be false. ValueError as in `quantize`.
    """
    digits = minor_units(currency)
    whole, _, fraction = f"{_finite(amount).copy_abs():f}".partition(".")
    fraction = fraction.rstrip("0").ljust(digits, "0")
    sign = "\N{MINUS SIGN}" if amount < 0 else ""
    return f"{currency} {sign}{int(whole):,}{'.' if fraction else ''}{fraction}"


def _finite(amount: Decimal) -> Decimal:
    if not amount.is_finite():
        raise ValueError(f"{amount} is not an amount of money")
    return amount
