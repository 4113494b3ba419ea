"""Sample orders from a seed: what a shop with customers everywhere sends in a day, and what it should never
have sent.

The same seed and count give the same orders, byte for byte. Every sample says what should become of it, so
that a run can be held against it. Addresses are on domains reserved for examples (RFC 2606) or are labelled
addresses of the SES mailbox simulator, which is what makes bounces and complaints happen; none of them can
reach a person.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from random import Random
from typing import Annotated, Any, NamedTuple

import typer

QUARANTINED = "QUARANTINED"
CONFLICT = "CONFLICT"

FIRST_ORDER = datetime(2026, 1, 5, 8, 0, tzinfo=UTC)
LONG_ADDRESS = (
    f"{'a' * 64}@{'b' * 63}.{'c' * 63}.{'d' * 63}.example"  # each part within its own limit, 264 bytes in all
)


@dataclass(frozen=True, slots=True)
class SampleOrder:
    """One message as it is published.

    `expected` is a final status of the ledger, `QUARANTINED` for a message that must be refused, or `CONFLICT` for
    different orders under one id: whichever comes first is delivered, the others go to quarantine. `order_id` is None
    where the message does not let it be read.
    """

    body: str
    order_id: str | None
    kind: str
    expected: str


class Customer(NamedTuple):
    name: str
    mailbox: str
    domain: str
    country: str
    currency: str


CUSTOMERS = (
    Customer("Zoë Lefèvre", "zoe.lefevre", "example.com", "France", "EUR"),
    Customer("Jürgen Groß", "juergen", "bücher.example", "Germany", "EUR"),
    Customer("Łukasz Wójcik", "lukasz+shop", "example.org", "Poland", "PLN"),
    Customer("Þórunn Sæmundsdóttir", "thorunn", "example.net", "Iceland", "ISK"),
    Customer("Nguyễn Thị Hồng Nhung", "nhung.nguyen", "example.com", "Vietnam", "VND"),
    Customer("山田 花子", "hanako", "例え.example", "Japan", "JPY"),
    Customer("欧阳 修", "ouyang.xiu", "书店.example", "China", "CNY"),
    Customer("김 지우", "jiwoo", "example.com", "South Korea", "KRW"),
    Customer("فاطمة الزهراء", "fatima", "example.org", "Kuwait", "KWD"),
    Customer("يوسف بن علي", "youssef", "مثال.example", "Tunisia", "TND"),
    Customer("נועה כהן־לוי", "noa", "example.net", "Israel", "ILS"),
    Customer("Алексей Щербаков", "a.shcherbakov", "пример.example", "Kazakhstan", "KZT"),
    Customer("Ελένη Παπαδοπούλου", "eleni", "example.com", "Greece", "EUR"),
    Customer("अनन्या शर्मा", "ananya", "उदाहरण.example", "India", "INR"),
    Customer("Siobhán O'Brien", "siobhan.o'brien", "example.org", "Ireland", "EUR"),
    Customer("Grace Hopper, Ph.D.", "grace", "mail.example.com", "United States", "USD"),
    Customer('William "Bill" Ampersand & Sons', "bill", "example.net", "United Kingdom", "GBP"),
)

PRODUCTS = (
    ("book-101", "The Art of the Postal Service"),
    ("book-204", "Ein kleines Wörterbuch der Grüße"),
    ("tea-007", "煎茶 (Sencha), 100 g"),
    ("tea-012", "茉莉花茶 🌼"),
    ("mug-033", "Mug “Ça va?” ☕️"),
    ("pen-001", "Fountain pen ✒️, fine nib"),
    ("set-918", "Family set 👨‍👩‍👧‍👦 — 4 pieces"),
    ("poster-5", "ملصق: خط عربي"),
    ("poster-6", "כרזה בעברית"),
    ("card-040", "Открытка «С днём рождения»"),
    ("spice-02", "गरम मसाला"),
    ("oil-300", "Ελαιόλαδο 0,5 l"),
    (
        "long-1",
        "Extraordinarily-long-unbroken-product-name-that-no-mail-client-should-let-run-out-of-its-column",
    ),
    ("gift-0", "Free sample"),
)

MINOR_UNITS = {"ISK": 0, "JPY": 0, "KRW": 0, "VND": 0, "KWD": 3, "TND": 3}  # ISO 4217; two digits otherwise
PRICE_SCALE = {"ISK": 140, "JPY": 150, "KRW": 1400, "VND": 25000, "KZT": 500, "INR": 85}

SUPPRESSED_ADDRESS = "moved.away@example.org"
"""A customer whose email bounced some time ago: to be put on the account's suppression list before a run."""

# What befalls an email, and to how many in a thousand. Bounces stay well under the 5 % at which SES reviews an account:
# the day shown is a normal one. {order} labels the simulator's address, so that each is an address of its own.
MISHAPS = (
    ("bounce+{order}@simulator.amazonses.com", "BOUNCE", 25),
    ("complaint+{order}@simulator.amazonses.com", "COMPLAINT", 10),
    (SUPPRESSED_ADDRESS, "SUPPRESSED", 10),
)
NO_MISHAP = ("", "DELIVERED")

Json = dict[str, Any]


def sample_orders(seed: int, count: int) -> list[SampleOrder]:
    """`count` messages in the order in which they are to be published, one of each odd kind among them.

    With fewer than three times as many messages as there are odd kinds, a third of them are odd.
    """
    rng = Random(seed)  # noqa: S311 - samples have to be repeatable, not secret
    odd_count = min(len(ODD_ORDERS), count // 3)
    odd_kinds = rng.sample(sorted(ODD_ORDERS), odd_count) if odd_count < len(ODD_ORDERS) else list(ODD_ORDERS)
    good = [good_order(rng, seed, number, fate) for number, fate in enumerate(_fates(rng, count - odd_count))]
    contested = next((order for order, expected in good if expected == "DELIVERED"), None)
    samples = [SampleOrder(dumps(order), order["orderId"], "good", expected) for order, expected in good]
    for number, kind in enumerate(odd_kinds, start=len(good)):
        odd = ODD_ORDERS[kind]
        base = good_order(rng, seed, number, NO_MISHAP)[0]
        if odd.expected == CONFLICT and contested is not None:
            base = contested
            first = good.index((contested, "DELIVERED"))
            samples[first] = replace(samples[first], expected=CONFLICT)
        changed = odd.spoil(json.loads(dumps(base)))
        body = changed if isinstance(changed, str) else dumps(changed)
        samples.append(SampleOrder(body, base["orderId"] if odd.readable else None, kind, odd.expected))
    rng.shuffle(samples)
    return samples


def good_order(rng: Random, seed: int, number: int, fate: tuple[str, str]) -> tuple[Json, str]:
    """A valid order, and the status in which it should end. `fate`: the address that brings it about, "" for the
    customer's own, and that status."""
    customer = rng.choice(CUSTOMERS)
    order_id = f"S{seed}-{number + 1:05d}"
    address, expected = fate
    items = [_item(rng, customer.currency) for _ in range(min(1 + int(rng.expovariate(0.5)), 25))]
    total = sum((Decimal(item["unitPrice"]) * item["quantity"] for item in items), Decimal(0))
    placed = FIRST_ORDER + timedelta(minutes=7 * number)
    return {
        "orderId": order_id,
        "customerEmail": address.format(order=order_id.lower()) or f"{customer.mailbox}@{customer.domain}",
        "customerName": customer.name,
        "items": items,
        "total": str(total),
        "currency": customer.currency,
        "timestamp": placed.isoformat().replace("+00:00", "Z"),
        "metadata": {"country": customer.country},
    }, expected


def dumps(order: Json) -> str:
    """One line of JSON, in UTF-8 rather than in escapes: it is what most order systems send, and it is
    shorter."""
    return json.dumps(order, ensure_ascii=False)


def _item(rng: Random, currency: str) -> Json:
    sku, name = rng.choice(PRODUCTS)
    digits = MINOR_UNITS.get(currency, 2)
    cents = 0 if sku == "gift-0" else rng.randint(99, 9999) * PRICE_SCALE.get(currency, 1)
    price = (Decimal(cents) / 100).quantize(Decimal(1).scaleb(-digits))
    return {
        "sku": sku,
        "name": name,
        "quantity": min(1 + int(rng.expovariate(1.2)), 12),
        "unitPrice": str(price),
    }


def _fates(rng: Random, count: int) -> list[tuple[str, str]]:
    """For each good order, what befalls its email. Each mishap happens at least once where there is room for it."""
    mishaps = [
        (address, status)
        for address, status, per_mille in MISHAPS
        for _ in range(max(1, round(count * per_mille / 1000)))
    ][: count // 4]
    fates = mishaps + [NO_MISHAP] * (count - len(mishaps))
    rng.shuffle(fates)
    return fates


class Odd(NamedTuple):
    """How an odd message is made from a good order, and what should become of it."""

    spoil: Callable[[Json], Json | str]
    expected: str = QUARANTINED
    readable: bool = True


def _without(*keys: str) -> Callable[[Json], Json]:
    return lambda order: {key: value for key, value in order.items() if key not in keys}


def _with(**changes: Any) -> Callable[[Json], Json]:
    return lambda order: order | changes


def _first_item(**changes: Any) -> Callable[[Json], Json]:
    return lambda order: order | {"items": [order["items"][0] | changes, *order["items"][1:]]}


def _mismatched(order: Json) -> Json:
    return order | {"total": str(Decimal(order["total"]) + 5)}


def _oversized(order: Json) -> Json:
    missing = 250_000 - len(dumps(order | {"metadata": {"note": ""}}).encode())
    return order | {"metadata": {"note": "n" * missing}}


def _crowded(order: Json) -> Json:
    item = {"sku": "gift-0", "name": "Free sample", "quantity": 1, "unitPrice": "0"}
    return order | {"items": [item] * 500, "total": "0"}


def _html(order: Json) -> Json:
    return _first_item(name="<script>alert('hello')</script> <b>bold</b> tea & biscuits")(order)


def _extended(order: Json) -> Json:
    return order | {"loyaltyPoints": 120, "giftWrap": {"paper": "blue", "ribbon": True}}


def _enveloped(order: Json) -> Json:
    """As a queue without raw delivery gets it:
    https://docs.aws.amazon.com/sns/latest/dg/sns-sqs-as-subscriber.html"""
    return {
        "Type": "Notification",
        "MessageId": "22b80b92-fdea-4c2c-8f9d-bdfb0c7bf324",
        "TopicArn": "arn:aws:sns:us-east-1:123456789012:order-confirmations",
        "Message": dumps(order),
        "Timestamp": order["timestamp"],
    }


ODD_ORDERS: dict[str, Odd] = {
    "not JSON": Odd(lambda order: dumps(order)[:60], readable=False),
    "JSON, but no object": Odd(lambda order: json.dumps([order["orderId"]]), readable=False),
    "missing field": Odd(_without("customerEmail")),
    "empty field": Odd(_with(customerName="   ")),
    "no order id": Odd(_without("orderId"), readable=False),
    "wrong type": Odd(_with(items="two mugs and a pen")),
    "price that is no number": Odd(_first_item(unitPrice="about ten")),
    "malformed address": Odd(_with(customerEmail="someone(at)example.com")),
    "non-ASCII local part": Odd(_with(customerEmail="jürgen@example.com")),
    "address too long": Odd(_with(customerEmail=LONG_ADDRESS)),
    "negative quantity": Odd(_first_item(quantity=-1)),
    "500 items": Odd(_crowded),
    "250 KB": Odd(_oversized),
    "control characters": Odd(_first_item(name="Mug\x00\x1b[31m")),
    "header injection": Odd(_with(customerName="Eve\r\nBcc: everyone@example.com")),
    "total that does not match": Odd(_mismatched, "DELIVERED"),
    "HTML in a name": Odd(_html, "DELIVERED"),
    "unknown fields": Odd(_extended, "DELIVERED"),
    "SNS envelope": Odd(_enveloped, "DELIVERED"),
    "same id, other body": Odd(_with(customerName="Somebody Else"), CONFLICT),
}


def main(
    seed: Annotated[int, typer.Option(help="The same seed gives the same orders.")] = 1,
    count: Annotated[int, typer.Option(min=1)] = 20,
) -> None:
    """Print sample orders, one a line, some of them bad: `python -m local.orders | python -m ops send -`."""
    for sample in sample_orders(seed, count):
        typer.echo(sample.body)


if __name__ == "__main__":
    typer.run(main)
