from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from handlers.mail.envelope import unwrap
from handlers.mail.letter import Mailbox, compose, render_confirmation
from handlers.mail.orders import (
    MAX_BODY_BYTES,
    MAX_ITEMS,
    MAX_TEXT,
    TOTAL_MISMATCH,
    MalformedOrder,
    Order,
    parse_order,
)
from tests.handlers.orders import body, document, envelope, first_item, order

ITEM = {"sku": "gift-0", "name": "Free sample", "quantity": 1, "unitPrice": "0"}
LONG_DOMAIN = ".".join(["d" * 60] * 3)


def refused(text: str) -> MalformedOrder:
    with pytest.raises(MalformedOrder) as caught:
        parse_order(text)
    return caught.value


def parsed_or_refused(text: str) -> Order | MalformedOrder:
    try:
        return parse_order(text)
    except MalformedOrder as malformed:
        return malformed


# ---- What is no order at all ----


@pytest.mark.parametrize(
    ("text", "code", "remedy"),
    [
        ("", "not-json", "send one JSON object"),
        ("orderId=A-1001&total=30", "not-json", "send one JSON object"),
        (body()[:60], "not-json", "send one JSON object"),
        (body() + body(), "not-json", "send one JSON object"),
        ("\ufeff" + body(), "not-json", "send one JSON object"),
        ("[" * 100_000, "not-json", "send one JSON object"),
        ('{"total": NaN}', "not-json", "NaN is not JSON"),
        ('{"total": -Infinity}', "not-json", "-Infinity is not JSON"),
        ('{"total": ' + "9" * 5000 + "}", "not-json", "send one JSON object"),
        ('{"total": 1e9999999999999999999}', "not-json", "send one JSON object"),
        ('"A-1001"', "not-an-order", "send one order a message"),
        ("null", "not-an-order", "send one order a message"),
        (json.dumps([document()]), "not-an-order", "send one order a message"),
    ],
)
def test_what_is_not_one_json_object_is_refused_with_its_code_and_a_remedy(text: str, code: str, remedy: str) -> None:
    error = refused(text)
    assert error.code == code
    assert [fault.field for fault in error.faults] == ["body"]
    assert remedy in str(error)


@pytest.mark.parametrize("metadata", [{"note": "n" * 250_000}, {"note": "é" * (MAX_BODY_BYTES // 2)}])
def test_a_body_over_the_limit_in_bytes_is_refused_with_both_sizes(metadata: dict[str, str]) -> None:
    text = json.dumps(document(metadata=metadata), ensure_ascii=False)
    error = refused(text)
    assert error.code == "too-large"
    assert str(error) == (
        f"body: has {len(text.encode()):,} bytes, at most {MAX_BODY_BYTES:,}; leave out what the letter does not show"
    )


def test_a_body_of_exactly_the_limit_is_an_order() -> None:
    free = MAX_BODY_BYTES - len(body(metadata={"note": ""}).encode())
    assert parse_order(body(metadata={"note": "n" * free})).order_id == "A-1001"
    assert refused(body(metadata={"note": "n" * (free + 1)})).code == "too-large"


# ---- What is wrong with one field ----

WRONG: list[tuple[dict[str, Any], str, str]] = [
    # changes to a good order, how the fault begins (field and value), and the remedy
    ({"orderId": None}, "orderId: is null", "give a value"),
    ({"orderId": ""}, "orderId '': is empty", "give a value"),
    ({"orderId": 1001}, "orderId 1001: is a number", "not text"),
    ({"orderId": "A 1001"}, "orderId 'A 1001'", "A-Z a-z 0-9"),
    ({"orderId": "-1001"}, "orderId '-1001'", "begin with a letter or digit"),
    ({"orderId": "A" * 65}, "orderId 'AAA", "1 to 64"),
    ({"orderId": "A-1001\n"}, "orderId 'A-1001\\n'", "U+000A; take it out"),
    ({"orderId": "Ａ1001"}, "orderId 'Ａ1001'", "A-Z a-z 0-9"),
    ({"customerEmail": None}, "customerEmail: is null", "give a value"),
    ({"customerEmail": ["a@example.com"]}, "customerEmail ['a@example.com']: is a list", "not text"),
    ({"customerEmail": ""}, "customerEmail ''", "address SES can write to"),
    ({"customerEmail": "someone(at)example.com"}, "customerEmail 'someone(at)example.com'", "must have an @-sign"),
    ({"customerEmail": "a@b@example.com"}, "customerEmail 'a@b@example.com'", "address SES can write to"),
    ({"customerEmail": "a@example"}, "customerEmail 'a@example'", "should have a period"),
    ({"customerEmail": "Leonie <a@example.com>"}, "customerEmail 'Leonie <a@example.com>'", "angle brackets"),
    ({"customerEmail": "a@example.com, b@example.com"}, "customerEmail 'a@example.com, b@example.com'", "invalid"),
    ({"customerEmail": "a@example.com\r\nBcc: b@example.com"}, "customerEmail 'a@example.com\\r\\nBcc: b", "U+000D"),
    ({"customerEmail": "a@[127.0.0.1]"}, "customerEmail 'a@[127.0.0.1]'", "not allowed"),
    ({"customerEmail": "jürgen@example.com"}, "customerEmail 'jürgen@example.com'", "'ü'"),
    ({"customerEmail": "ａ@example.com"}, "customerEmail 'ａ@example.com'", "before the @-sign"),
    ({"customerEmail": "a" * 65 + "@example.com"}, "customerEmail 'aaa", "too long before the @-sign"),
    ({"customerEmail": "a" * 64 + f"@{LONG_DOMAIN}.example"}, "customerEmail 'aaa", "too long (1 character"),
    ({"customerEmail": "a@" + "é" * 200 + ".example"}, "customerEmail 'a@éé", "too long"),
    ({"customerName": "   "}, "customerName '   ': is empty", "give a value"),
    ({"customerName": {"first": "Leonie"}}, "customerName {'first': 'Leonie'}: is an object", "not text"),
    ({"customerName": True}, "customerName True: is a truth value", "not text"),
    ({"customerName": "x" * (MAX_TEXT + 1)}, "customerName 'xxx", f"at most {MAX_TEXT} fit; shorten it"),
    ({"customerName": "Eve\r\nBcc: x@example.com"}, "customerName 'Eve\\r\\nBcc", "U+000D; take it out"),
    ({"customerName": "Eve\u2028Bcc: x"}, "customerName 'Eve\\u2028Bcc", "U+2028; take it out"),
    ({"customerName": "Eve\x00"}, "customerName 'Eve\\x00'", "U+0000; take it out"),
    ({"customerName": "Eve\x85x"}, "customerName 'Eve\\x85x'", "U+0085; take it out"),
    ({"customerName": "Eve\u202eevE"}, "customerName 'Eve\\u202eevE'", "U+202E; take it out"),
    ({"customerName": "Eve\ud800"}, "customerName 'Eve\\ud800'", "U+D800; take it out"),
    ({"items": None}, "items: is null", "give a value"),
    ({"items": []}, "items []: is empty", "at least one item"),
    ({"items": "two mugs"}, "items 'two mugs'", "is not a list of items"),
    ({"items": [ITEM] * 500}, "items [{", f"has 500 items, at most {MAX_ITEMS} fit a letter; split the order"),
    ({"items": ["mug"]}, "items[0] 'mug'", "an object with sku, name, quantity and unitPrice"),
    (first_item(sku=""), "items[0].sku '': is empty", "give a value"),
    (first_item(name=None), "items[0].name: is null", "give a value"),
    (first_item(name="Mug\x1b[31m"), "items[0].name 'Mug\\x1b[31m'", "U+001B; take it out"),
    (first_item(quantity=-1), "items[0].quantity -1", "from 1 to 1,000,000"),
    (first_item(quantity=0), "items[0].quantity 0", "from 1 to 1,000,000"),
    (first_item(quantity=1.5), "items[0].quantity 1.5: is a number", "not a whole number"),
    (first_item(quantity="2"), "items[0].quantity '2': is text", "not a whole number"),
    (first_item(quantity=True), "items[0].quantity True: is a truth value", "not a whole number"),
    (first_item(quantity=10**4000), "items[0].quantity 1000", "from 1 to 1,000,000"),
    (first_item(unitPrice="about ten"), "items[0].unitPrice 'about ten'", 'a decimal number such as "12.50"'),
    (first_item(unitPrice="1,50"), "items[0].unitPrice '1,50'", 'a decimal number such as "12.50"'),
    (first_item(unitPrice="１２"), "items[0].unitPrice '１２'", 'a decimal number such as "12.50"'),
    (first_item(unitPrice=-1), "items[0].unitPrice -1", "from 0 to below 1,000,000,000,000"),
    (first_item(unitPrice="0.0000001"), "items[0].unitPrice '0.0000001'", "at most 6 decimals"),
    ({"total": "NaN"}, "total 'NaN'", 'a decimal number such as "12.50"'),
    ({"total": False}, "total False: is a truth value", "not a decimal number"),
    ({"total": "-0.01"}, "total '-0.01'", "from 0 to below"),
    ({"total": 10**12}, "total 1000000000000", "from 0 to below"),
    ({"total": "30.00 "}, "total '30.00 '", 'a decimal number such as "12.50"'),
    ({"currency": "eur"}, "currency 'eur'", "ISO 4217 currency code such as EUR"),
    ({"currency": "€"}, "currency '€'", "ISO 4217 currency code such as EUR"),
    ({"currency": 978}, "currency 978: is a number", "not text"),
    ({"timestamp": "yesterday"}, "timestamp 'yesterday'", "ISO 8601 time such as 2026-11-22T15:06:00Z"),
    ({"timestamp": 1795359960}, "timestamp 1795359960: is a number", "not text"),
    ({"timestamp": "2026-11-22T15:06:00"}, "timestamp '2026-11-22T15:06:00'", "add Z or an offset"),
    ({"timestamp": "2026-02-30T15:06:00Z"}, "timestamp '2026-02-30T15:06:00Z'", "ISO 8601"),
]


@pytest.mark.parametrize(("changes", "begins", "remedy"), WRONG, ids=[begins for _, begins, _ in WRONG])
def test_a_wrong_field_is_refused_by_its_name_its_value_and_a_remedy(
    changes: dict[str, Any], begins: str, remedy: str
) -> None:
    error = refused(body(**changes))
    assert error.code == "invalid-order"
    assert len(error.faults) == 1, str(error)
    assert str(error).startswith(begins)
    assert remedy in str(error)
    assert len(str(error)) < 300, "a value is cut, so that the reason stays a sentence"


@pytest.mark.parametrize("field", [name for name in document() if name != "metadata"])
def test_a_missing_field_is_named(field: str) -> None:
    broken = document()
    del broken[field]
    assert str(refused(json.dumps(broken))) == f"{field}: is missing; give a value"


def test_several_faults_are_reported_together() -> None:
    items = [ITEM | {"quantity": -1, "name": ""}, ITEM, 7]
    error = refused(body(customerEmail="nobody", items=items, currency="EURO", timestamp=None))
    assert [fault.field for fault in error.faults] == [
        "customerEmail",
        "items[0].name",
        "items[0].quantity",
        "items[2]",
        "currency",
        "timestamp",
    ]
    assert str(error).count("; ") >= len(error.faults) - 1


def test_the_order_id_of_a_wrong_order_is_known_when_it_can_be_read_and_only_then() -> None:
    assert refused(body(total="x")).order_id == "A-1001"
    assert refused(body(orderId="A 1001", total="x")).order_id == "", "what is no order id must not pass for one"
    assert refused(body()[:-1]).order_id == ""


@pytest.mark.parametrize("field", ["items", "total", "metadata"])
def test_deep_nesting_is_refused_or_ignored_at_any_depth(field: str) -> None:
    codes = set()
    for depth in range(800, 1100):  # around the depth at which Python gives up
        try:
            parse_order(body(**{field: "DEEP"}).replace('"DEEP"', "[" * depth + "]" * depth))
            codes.add("accepted")
        except MalformedOrder as malformed:
            codes.add(malformed.code)
    assert codes == {"not-json", "accepted" if field == "metadata" else "invalid-order"}


# ---- What is right ----


def test_amounts_are_exact_as_text_and_as_numbers() -> None:
    text = body(**first_item(unitPrice="PRICE")).replace('"PRICE"', "0.10")
    assert parse_order(text).items[0].unit_price == Decimal("0.10"), "0.1 as a float is 0.1000000000000000055"
    assert order(**first_item(unitPrice="0.10")).items[0].unit_price == Decimal("0.10")
    assert order(**first_item(unitPrice=3)).items[0].unit_price == Decimal(3)
    assert parse_order(text.replace("0.10", "999999999999.999999")).items[0].unit_price == Decimal(
        "999999999999.999999"
    )


@pytest.mark.parametrize(
    ("field", "text"), [("total", "-0"), ("total", "0e100000"), ("total", "-0.00"), ("total", "0E5")]
)
def test_every_spelling_of_zero_is_zero(field: str, text: str) -> None:
    total = parse_order(body(total="X").replace('"X"', text)).total
    assert str(total) in ("0", "0.00"), "a letter would print the sign or all the zeros"


def test_no_amount_overflows_the_sum_of_the_largest_order() -> None:
    item = ITEM | {"quantity": 1_000_000, "unitPrice": "999999999999.999999"}
    largest = order(items=[item] * MAX_ITEMS)
    assert sum(i.subtotal for i in largest.items) == Decimal("999999999999.999999") * 1_000_000 * MAX_ITEMS
    assert largest.flags == {TOTAL_MISMATCH}


@pytest.mark.parametrize(
    "name",
    [
        "Leonie Köhler",
        "O’Brien-Nuñez, José María",
        "Bjørn Ødegård",
        "Nguyễn Thị Minh Khai",
        "Александра Толстая",
        "Ελένη Παπαδοπούλου",
        "محمد عبد الله",
        "שלומית כהן־לוי",
        "山田 太郎",
        "김철수",
        "สมชาย ใจดี",
        "अनन्या शर्मा",
        "Zoe\u0308",
        "می\u200cخواهم",
        "\u200fشركة\u200f ACME",
        "👩‍👩‍👧 & co.",
        "<b>Bobby</b>",
        'Robert "Bob" \\ Sons; --',
        "x" * MAX_TEXT,
    ],
)
def test_names_of_all_the_world_pass_as_they_are(name: str) -> None:
    assert order(customerName=name).name == name
    assert order(**first_item(name=name)).items[0].name == name
    assert parse_order(json.dumps(document(customerName=name), ensure_ascii=False)).name == name


def test_the_domain_of_an_address_goes_out_in_ascii() -> None:
    assert order(customerEmail="jo@bücher.example").email == "jo@xn--bcher-kva.example"
    assert order(customerEmail="Jo.Smith@EXAMPLE.com").email == "Jo.Smith@example.com", "only the domain has no case"


@pytest.mark.parametrize("order_id", ["1", "INV-00001", "2026/11/22#7", "a.b_c:d", "A" * 64])
def test_order_ids_as_shops_write_them_pass(order_id: str) -> None:
    assert order(orderId=order_id).order_id == order_id


def test_unknown_fields_and_odd_metadata_are_ignored() -> None:
    assert order(giftWrap={"paper": "blue"}, loyaltyPoints=120) == order()
    assert order(metadata="web").metadata == {}
    assert order(metadata=None).metadata == {}
    assert order(metadata={"a": [1, {"b": None}]}).metadata == {"a": [1, {"b": None}]}
    assert order(metadata={"note": "\ud800"}).metadata == {"note": "\ud800"}


def test_of_a_repeated_key_the_last_one_counts_as_json_parsers_have_it() -> None:
    text = body(total="1.00")[:-1] + ', "total": "30.00"}'
    assert parse_order(text).total == Decimal("30.00")
    assert refused(body()[:-1] + ', "total": "x"}').faults[0].field == "total"


def test_the_time_of_an_order_keeps_its_zone() -> None:
    assert order(timestamp="2026-11-22T16:06:00+01:00").placed_at == order().placed_at
    assert order(timestamp="2026-11-22T16:06:00+01:00").placed_at.isoformat().endswith("+01:00")


# ---- What surrounds an order ----


def test_an_order_in_an_sns_envelope_is_unwrapped() -> None:
    assert unwrap(envelope(body())) == body()


@pytest.mark.parametrize(
    "text",
    [
        body(),
        "not JSON",
        '{"Type": "Notification"',
        '{"Type": "Notification"}',
        '{"Type": "Notification", "Message": {"orderId": 1}}',
        '["Notification"]',
        '{"Type": "Order", "note": "Notification", "Message": "x"}',
        '["Notification"' + "[" * 100_000,
        body(customerName='"Notification"'),
    ],
)
def test_what_is_no_envelope_stays_as_it_is(text: str) -> None:
    assert unwrap(text) == text


# ---- What tells orders apart ----


@pytest.mark.parametrize(
    "same",
    [
        json.dumps(document(), indent=4, sort_keys=True),
        json.dumps(document(), ensure_ascii=False),
        body(metadata={"retry": 2}),
        body(metadata=None),
        body(total="30"),
        body(total=30),
        body(total="X").replace('"X"', "3.0e1"),
        body(timestamp="2026-11-22T15:06:00.000+00:00"),
        body(customerEmail="leonie.koehler@EXAMPLE.COM"),
        body(unheardOf=1),
    ],
)
def test_formatting_and_metadata_do_not_make_another_order(same: str) -> None:
    assert parse_order(same).content_hash == order().content_hash


@pytest.mark.parametrize(
    "changes",
    [
        {"orderId": "A-1002"},
        {"customerEmail": "l.koehler@example.com"},
        {"customerName": "Leonie Koehler"},
        {"items": document()["items"][:1]},
        {"items": document()["items"][::-1]},
        first_item(sku="mug-2"),
        first_item(name="Mugs"),
        first_item(quantity=3),
        first_item(unitPrice="4.51"),
        {"total": "30.01"},
        {"currency": "USD"},
        {"timestamp": "2026-11-22T15:06:01Z"},
    ],
)
def test_whatever_the_letter_says_makes_another_order(changes: dict[str, Any]) -> None:
    assert order(**changes).content_hash != order().content_hash


@pytest.mark.parametrize(
    ("currency", "price", "total", "flagged"),
    [
        ("EUR", "10.00", "10.00", False),
        ("EUR", "10.00", "10.01", True),
        ("EUR", "10.00", "9.99", True),
        ("EUR", "10.004", "10.00", False),
        ("EUR", "10.005", "10.00", True),
        ("EUR", "10.00", "14.90", True),
        ("JPY", "100", "100", False),
        ("JPY", "100.4", "100", False),
        ("JPY", "100.5", "100", True),
        ("JPY", "100", "101", True),
        ("KWD", "1.250", "1.250", False),
        ("KWD", "1.2504", "1.250", False),
        ("KWD", "1.251", "1.250", True),
        ("CLF", "1.00005", "1.0000", True),
        ("CLF", "1.00004", "1.0000", False),
    ],
)
def test_a_total_off_by_half_the_smallest_coin_or_more_is_flagged(
    currency: str, price: str, total: str, flagged: bool
) -> None:
    parsed = order(items=[ITEM | {"unitPrice": price}], total=total, currency=currency)
    assert (TOTAL_MISMATCH in parsed.flags) is flagged


# ---- Whatever comes ----

characters = st.characters(exclude_categories=())
texts = st.text(characters, max_size=30)
leaves = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | texts
    | st.sampled_from(["", " ", "EUR", "a@b.example", "\u202e", "\x00", "2026-11-22T15:06:00Z", "1e5", "-1", "0.5"])
)
any_json = st.recursive(
    leaves, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4), max_leaves=12
)
items = st.lists(
    st.builds(lambda changes: ITEM | changes, st.dictionaries(st.sampled_from([*ITEM]), leaves, max_size=2))
    | st.sampled_from(document()["items"]),
    min_size=1,
    max_size=3,
)
near_orders = st.builds(
    lambda changes: document(**changes),
    st.dictionaries(st.sampled_from([*document(), "more"]), leaves | items | any_json, max_size=2),
)


@settings(max_examples=200)
@given(st.text(characters) | any_json.map(json.dumps) | near_orders.map(json.dumps))
@example('{"Type": "Notification", "Message": "\\ud800"}')
@example(body(customerEmail="a@\u2028.example"))
@example(body(customerEmail="\U000e0001@b.example"))
@example(body(customerEmail={"\u2028": "\n"}))
@example(body(customerEmail="a@b.example" + "\u0301"))
@example(body(timestamp="2026-11-22\ud80015:06:00Z"))
def test_any_text_is_an_order_or_refused_with_one_printable_line(text: str) -> None:
    outcome = parsed_or_refused(unwrap(text))
    if isinstance(outcome, MalformedOrder):
        assert outcome.code in {"too-large", "not-json", "not-an-order", "invalid-order"}
        assert outcome.faults
        assert str(outcome).isprintable(), f"{outcome!s:a}"
    else:
        assert len(outcome.content_hash) == 64
        assert outcome.flags <= {TOTAL_MISMATCH}


@settings(max_examples=40)
@given(near_orders)
def test_whatever_is_accepted_can_be_written_as_a_letter(near: dict[str, Any]) -> None:
    parsed = parsed_or_refused(json.dumps(near))
    if isinstance(parsed, MalformedOrder):
        return
    letter = render_confirmation(parsed, store="Example Store", reply_to="support@example.com")
    assert compose(
        letter,
        sender=Mailbox("Example Store", "orders@example.com"),
        to=Mailbox(parsed.name, parsed.email),
        reply_to="support@example.com",
        message_id="5b0a2c1e-7f5b-5f0e-9d1c-0c7a4e4f6a10",
        order_id=parsed.order_id,
        date=parsed.placed_at,
    )
