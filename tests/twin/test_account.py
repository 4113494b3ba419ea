from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local.twin.account import DAY_SECONDS, Account, Rate, Suppressed
from local.twin.options import Options

NOW = datetime(2026, 11, 22, 15, tzinfo=UTC)


def test_a_second_may_see_as_many_recipients_as_the_rate_and_no_more() -> None:
    rate = Rate()
    assert [rate.take(1, 3, now=10.0) for _ in range(4)] == [True, True, True, False]
    assert rate.take(1, 3, now=10.34), "a third of a second later there is room for one more"
    assert not rate.take(1, 3, now=10.34)


def test_what_is_refused_uses_nothing_up() -> None:
    rate = Rate()
    rate.take(2, 2, now=0.0)
    assert not any(rate.take(1, 2, now=0.1) for _ in range(50))
    assert rate.take(1, 2, now=0.5)


def test_a_mail_to_more_people_than_a_second_allows_goes_when_nothing_else_did() -> None:
    rate = Rate()
    assert rate.take(50, 14, now=0.0)
    assert not rate.take(1, 14, now=1.0), "and is paid for afterwards"
    assert rate.take(1, 14, now=4.0)


@given(
    st.lists(st.tuples(st.floats(0, 0.5), st.integers(1, 3)), max_size=80),
    st.integers(min_value=3, max_value=20),
)
def test_no_second_sees_more_than_a_burst_and_the_rate(steps: list[tuple[float, int]], rate: int) -> None:
    bucket, now, taken = Rate(), 0.0, []
    for pause, count in steps:
        now += pause
        if bucket.take(count, rate, now):
            taken.append((now, count))
    for start, _ in taken:
        assert sum(count for at, count in taken if start <= at < start + 1) <= 2 * rate


def test_the_rate_is_refused_in_ses_words_and_the_day_is_not_charged() -> None:
    account, options = Account(), Options(max_send_rate=1, daily_quota=10)
    assert account.throttled(1, 1, options, 0.0) is None
    assert account.throttled(1, 1, options, 0.0) == "Maximum sending rate exceeded."
    assert account.day.count(0.0) == 1


def test_the_day_is_a_window_of_24_hours_that_moves() -> None:
    account, options = Account(), Options(max_send_rate=100, daily_quota=2)
    assert account.throttled(2, 2, options, 0.0) is None
    assert account.throttled(1, 1, options, DAY_SECONDS - 1) == "Daily message quota exceeded."
    assert account.throttled(1, 1, options, DAY_SECONDS) is None


def test_mail_to_the_simulator_is_held_to_the_rate_and_not_to_the_day() -> None:
    account, options = Account(), Options(max_send_rate=2, daily_quota=1)
    assert account.throttled(1, 0, options, 0.0) is None
    assert account.throttled(1, 0, options, 0.0) is None
    assert account.day.count(0.0) == 0
    assert account.throttled(1, 0, options, 0.0) == "Maximum sending rate exceeded."


@pytest.mark.parametrize(
    ("override", "account_wide", "held_back"),
    [
        (None, ("BOUNCE", "COMPLAINT"), "BOUNCE"),
        (None, ("COMPLAINT",), None),
        (["BOUNCE"], (), "BOUNCE"),
        (["COMPLAINT"], ("BOUNCE",), None),
        ([], ("BOUNCE", "COMPLAINT"), None),
    ],
)
def test_a_configuration_set_overrides_the_account_altogether(
    override: list[str] | None, account_wide: tuple[str, ...], held_back: str | None
) -> None:
    account = Account(suppressed_reasons=account_wide)
    account.put(Suppressed("Jane@Example.net", "BOUNCE", NOW))
    assert account.held_back("Jane Doe <jane@example.net>", override) == held_back
    assert account.held_back("john@example.net", override) is None


def test_entries_are_told_apart_by_reason_and_time() -> None:
    account = Account()
    account.put(Suppressed("a@example.net", "BOUNCE", NOW))
    account.put(Suppressed("b@example.net", "COMPLAINT", NOW + timedelta(hours=1)))
    assert [entry.address for entry in account.entries()] == ["a@example.net", "b@example.net"]
    assert [entry.address for entry in account.entries(["COMPLAINT"])] == ["b@example.net"]
    assert [entry.address for entry in account.entries(until=NOW)] == ["a@example.net"]
    assert [entry.address for entry in account.entries(since=NOW + timedelta(minutes=1))] == ["b@example.net"]
    assert account.delete("A@example.net")
    assert not account.delete("A@example.net")
