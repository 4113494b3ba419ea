"""Sample orders are repeatable, reach nobody, and hold one of every kind that a run has to deal with."""

from __future__ import annotations

import json
import subprocess
import sys
import unicodedata
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handlers.mail.envelope import unwrap
from handlers.mail.orders import TOTAL_MISMATCH, MalformedOrder, parse_order
from local.orders import CONFLICT, ODD_ORDERS, QUARANTINED, SUPPRESSED_ADDRESS, SampleOrder, sample_orders
from ops.publish import BATCH_BYTES, Line, batches, order_id_of, read_lines

DAY = sample_orders(7, 200)
COUNTS = st.integers(0, 150)
SEEDS = st.integers(0, 10_000)


def is_taken(sample: SampleOrder) -> bool:
    try:
        parse_order(unwrap(sample.body))
    except MalformedOrder:
        return False
    return True


@given(SEEDS, COUNTS)
def test_there_are_as_many_as_asked_for(seed: int, count: int) -> None:
    assert len(sample_orders(seed, count)) == count


@given(SEEDS, COUNTS)
def test_each_is_taken_or_refused_as_it_says(seed: int, count: int) -> None:
    wrong = [sample for sample in sample_orders(seed, count) if is_taken(sample) == (sample.expected == QUARANTINED)]
    assert wrong == []


def test_the_same_seed_gives_the_same_bytes_in_another_process() -> None:
    command = [sys.executable, "-m", "local.orders", "--seed", "7", "--count", "200"]
    printed = subprocess.run(command, check=True, capture_output=True, cwd=Path(__file__).parents[1]).stdout
    assert printed.decode() == "".join(f"{sample.body}\n" for sample in DAY)
    assert sample_orders(8, 200) != DAY


def test_a_printed_day_reads_back_line_for_line() -> None:
    printed = [f"{sample.body}\n".encode() for sample in DAY]
    assert [line.body for line in read_lines(printed) if isinstance(line, Line)] == [s.body for s in DAY]


def test_every_odd_kind_is_there_once_and_every_outcome_at_least_once() -> None:
    kinds = Counter(sample.kind for sample in DAY)
    assert {kind: kinds[kind] for kind in ODD_ORDERS} == dict.fromkeys(ODD_ORDERS, 1)
    assert {sample.expected for sample in DAY} == {
        "DELIVERED",
        "BOUNCE",
        "COMPLAINT",
        "SUPPRESSED",
        QUARANTINED,
        CONFLICT,
    }


def test_most_are_delivered_and_bounces_stay_below_what_makes_ses_review_an_account() -> None:
    endings = Counter(sample.expected for sample in sample_orders(3, 2000))
    assert endings["DELIVERED"] > 1800
    assert endings["BOUNCE"] / 2000 < 0.05


@given(SEEDS)
def test_only_contested_orders_share_an_id_and_they_differ(seed: int) -> None:
    by_id: dict[str, list[SampleOrder]] = {}
    for sample in sample_orders(seed, 100):
        if sample.order_id:
            by_id.setdefault(sample.order_id, []).append(sample)
    shared = [group for group in by_id.values() if len(group) > 1]
    assert len(shared) == 1
    assert [sample.expected for sample in shared[0]] == [CONFLICT, CONFLICT]
    assert len({sample.body for sample in shared[0]}) == 2


def test_no_order_can_reach_a_person() -> None:
    for sample in DAY:
        if is_taken(sample):
            domain = parse_order(unwrap(sample.body)).email.rpartition("@")[2]
            assert domain == "simulator.amazonses.com" or domain.endswith(
                ("example", "example.com", "example.org", "example.net")
            ), domain


def test_the_day_speaks_many_scripts_currencies_and_domains() -> None:
    orders = [
        parse_order(sample.body)
        for sample in sample_orders(1, 400)
        if sample.expected == "DELIVERED" and sample.kind == "good"
    ]
    scripts = {unicodedata.name(letter).split()[0] for order in orders for letter in order.name if letter.isalpha()}
    assert {"LATIN", "CJK", "HANGUL", "ARABIC", "HEBREW", "CYRILLIC", "GREEK", "DEVANAGARI"} <= scripts
    digits = {order.currency: max(0, -int(order.total.as_tuple().exponent)) for order in orders}
    assert {0, 2, 3} <= set(digits.values())
    assert any(order.email.rpartition("@")[2].startswith("xn--") for order in orders)
    assert any(letter >= "😀" or letter in "🌼☕" for order in orders for item in order.items for letter in item.name)


def test_odd_orders_are_odd_in_what_they_are_named_for() -> None:
    by_kind = {sample.kind: sample for sample in DAY}
    assert TOTAL_MISMATCH in parse_order(by_kind["total that does not match"].body).flags
    assert "<script>" in parse_order(by_kind["HTML in a name"].body).items[0].name
    assert len(json.loads(by_kind["500 items"].body)["items"]) == 500
    assert len(by_kind["250 KB"].body.encode()) == 250_000
    assert "\\r\\nBcc:" in by_kind["header injection"].body
    assert order_id_of(by_kind["SNS envelope"].body) == by_kind["SNS envelope"].order_id
    address = json.loads(by_kind["address too long"].body)["customerEmail"]
    assert len(address) > 254
    assert len(address.split("@")[0]) == 64, "no other limit is broken"


@pytest.mark.parametrize("kind", ["500 items", "250 KB"])
def test_the_largest_orders_still_fit_sns(kind: str) -> None:
    [sample] = [sample for sample in DAY if sample.kind == kind]
    assert list(batches([Line(1, sample.body)])) == [[Line(1, sample.body)]]
    assert len(sample.body.encode()) < BATCH_BYTES


def test_a_suppressed_customer_is_the_one_that_a_run_puts_on_the_list() -> None:
    addresses = {json.loads(sample.body)["customerEmail"] for sample in DAY if sample.expected == "SUPPRESSED"}
    assert addresses == {SUPPRESSED_ADDRESS}
