"""The monthly report's rules: figures that add up, advice from measured facts only, a letter that says both."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handlers.guarding.tally import Hour
from handlers.reporting.figures import Costs, Figures, Month, emails_in, figures
from handlers.reporting.looked_at import metric_names
from handlers.reporting.recommendations import (
    GB,
    LOGS_PER_THOUSAND,
    LOGS_WORTH,
    MEMORY_SIZES,
    ROOM,
    RUNS,
    Facts,
    Function,
    LogGroup,
    Recommendation,
    enough_memory,
    recommend,
)
from handlers.reporting.rendering import money, render_report

OCTOBER = Month(date(2026, 10, 1))
PRICES = {
    "logs.gb": Decimal("0.50"),
    "logs.gb-month": Decimal("0.03"),
    "cloudwatch.metric": Decimal("0.30"),
    "lambda.gb-second.arm64": Decimal("0.0000133334"),
}
amounts = st.decimals(0, 10**6, places=10)
services = st.dictionaries(st.sampled_from(["AWS Lambda", "AWS X-Ray", "AmazonCloudWatch", "Tax"]), amounts)


def told(now: dict[str, str], before: dict[str, str] | None = None, *, emails: int = 0, **more: Any) -> Figures:
    costs = Costs(
        by_service={
            OCTOBER: {name: Decimal(usd) for name, usd in now.items()},
            OCTOBER.before: {name: Decimal(usd) for name, usd in (before or {}).items()},
        },
        **more,
    )
    return figures("prod", OCTOBER, costs, emails)


def facts(**changes: Any) -> Facts:
    return Facts(**{"emails": 60_000, "log_level": "INFO", "log_retention_days": 90, **changes})


def group(**changes: Any) -> LogGroup:
    return LogGroup(**{"name": "/aws/lambda/send", "came_in": 0, "kept": GB, "retention_days": 90, **changes})


def function(**changes: Any) -> Function:
    whole = {"name": "notify", "memory_mb": 1024, "used_mb": 143, "runs": RUNS, "seconds": Decimal(100_000)}
    return Function(**{**whole, **changes})


def only(found: list[Recommendation]) -> Recommendation:
    (recommendation,) = found
    return recommendation


# ---- Months ----


@given(st.integers(0, 10**10))
def test_a_month_has_the_moments_from_its_first_to_the_next_months_first(seconds: int) -> None:
    moment = datetime.fromtimestamp(seconds, UTC)
    month = Month.of(moment)
    assert month.begins <= moment < month.ends == month.after.begins
    assert month.after.before == month == month.before.after


def test_the_month_of_a_moment_is_utcs() -> None:
    assert str(Month.of(datetime.fromisoformat("2026-11-01T00:30:00+02:00"))) == "October 2026"


# ---- Figures ----


@given(services, services, st.integers(0, 10**9))
def test_figures_add_up(now: dict[str, Decimal], before: dict[str, Decimal], emails: int) -> None:
    found = figures("prod", OCTOBER, Costs(by_service={OCTOBER: now, OCTOBER.before: before}), emails)
    assert found.total.usd == sum(now.values())
    assert found.total.before == sum(before.values())
    assert found.total.difference == sum(service.difference for service in found.services)
    assert [each.usd for each in found.services] == sorted((each.usd for each in found.services), reverse=True)
    assert all(each.usd or each.before for each in found.services)
    assert (found.per_thousand is None) == (emails == 0)


def test_a_service_that_is_gone_is_told_with_what_it_saves() -> None:
    (service,) = told({}, {"Amazon Route 53": "0.50"}).services
    assert [service.usd, service.before, service.difference] == [Decimal(0), Decimal("0.50"), Decimal("-0.50")]


def test_a_thousand_emails_share_all_that_was_charged() -> None:
    assert told({"AWS Lambda": "1", "AmazonCloudWatch": "2"}, emails=1500).per_thousand == 2


def test_emails_are_those_of_the_tallys_hours() -> None:
    hours = [
        Hour(OCTOBER.begins, {"ses.email": Decimal(3), "sqs.request": Decimal(9)}),
        Hour(OCTOBER.begins + timedelta(hours=1), {"sqs.request": Decimal(2)}),
        Hour(OCTOBER.begins + timedelta(hours=2), {"ses.email": Decimal(4)}),
    ]
    assert emails_in(hours) == 7
    assert emails_in([]) == 0


# ---- What could cost less ----


def test_nothing_measured_nothing_recommended() -> None:
    assert recommend(facts(), PRICES) == []


def test_a_stack_as_it_is_deployed_is_left_alone() -> None:
    as_asked = facts(
        log_groups=(group(came_in=LOGS_WORTH),),
        functions=(function(memory_mb=256, used_mb=180),),
        ledger_forgets=True,
    )
    assert recommend(as_asked, PRICES) == []


def test_logs_that_are_kept_for_ever_are_told_with_their_size_and_the_setting() -> None:
    found = only(recommend(facts(log_groups=(group(retention_days=None, kept=4 * GB),)), PRICES))
    assert "for ever, and holds 4.0 GB; the setting logRetentionDays asks for 90 days" in found.fact
    assert found.usd == Decimal("0.12")


def test_logs_that_are_kept_for_ever_are_told_even_while_they_cost_nothing() -> None:
    assert only(recommend(facts(log_groups=(group(retention_days=None, kept=0),)), PRICES)).usd is None


def test_logs_that_are_kept_for_longer_than_asked_save_their_older_part() -> None:
    found = only(recommend(facts(log_groups=(group(retention_days=360, kept=4 * GB),)), PRICES))
    assert "for 360 days" in found.fact
    assert found.usd == Decimal("0.09")


@pytest.mark.parametrize("days", [1, 90])
def test_logs_that_are_kept_as_long_as_asked_or_shorter_are_left_alone(days: int) -> None:
    assert recommend(facts(log_groups=(group(retention_days=days),)), PRICES) == []


def test_many_logs_at_debug_are_the_log_level() -> None:
    found = only(recommend(facts(log_level="DEBUG", log_groups=(group(came_in=3 * GB),)), PRICES))
    assert found.fact.startswith("3.0 GB of logs came in, 50 MB for 1,000 emails, at log level DEBUG.")
    assert found.remedy == "Set logLevel to INFO."
    assert found.usd == Decimal("0.50") * (3 * GB - 60 * LOGS_PER_THOUSAND) / GB


def test_many_logs_at_info_are_the_loudest_groups() -> None:
    groups = (group(came_in=GB), group(name="/aws/lambda/probe", came_in=2 * GB))
    found = only(recommend(facts(log_groups=groups), PRICES))
    assert "Most is /aws/lambda/probe's: 2.0 GB." in found.fact
    assert "/aws/lambda/probe" in found.remedy


def test_what_a_quiet_stack_logs_is_nobodys_business() -> None:
    assert recommend(facts(emails=3, log_groups=(group(came_in=LOGS_WORTH - 1),)), PRICES) == []


def test_metrics_that_nobody_looks_at_are_named_with_what_they_cost() -> None:
    found = only(recommend(facts(unwatched=("TotalMismatches", "OrderConflicts")), PRICES))
    assert found.fact.endswith("OrderConflicts, TotalMismatches.")
    assert found.usd == Decimal("0.60")
    assert "1 custom metric is paid for" in only(recommend(facts(unwatched=("Rejects",)), PRICES)).fact


def test_memory_that_no_run_came_near_is_told_with_the_size_that_would_do() -> None:
    found = only(recommend(facts(functions=(function(),)), PRICES))
    assert "has 1024 MB and used 143 MB at most, in 100 runs" in found.fact
    assert "to 256" in found.remedy
    assert found.usd == PRICES["lambda.gb-second.arm64"] * 100_000 * 768 / 1024


@pytest.mark.parametrize(
    "changes",
    [
        {"runs": RUNS - 1},
        {"memory_mb": 256, "used_mb": 40},
        {"memory_mb": 512, "used_mb": 390},
        {"seconds": Decimal(10)},
    ],
    ids=["too few runs", "smallest already", "in need of its room", "under a cent"],
)
def test_memory_is_left_alone_where(changes: dict[str, Any]) -> None:
    assert recommend(facts(functions=(function(**changes),)), PRICES) == []


@given(st.integers(1, 7_000))
def test_enough_memory_leaves_room_and_no_smaller_size_does(used: int) -> None:
    enough = enough_memory(used)
    assert enough >= used * ROOM
    assert all(size < used * ROOM for size in MEMORY_SIZES if size < enough)


def test_a_ledger_that_keeps_everything_is_told() -> None:
    assert "ledger keeps every row for ever" in only(recommend(facts(ledger_forgets=False), PRICES)).fact
    assert recommend(facts(ledger_forgets=None), PRICES) == []


def test_without_a_price_a_recommendation_names_no_saving() -> None:
    assert only(recommend(facts(functions=(function(),)), {})).usd is None


def test_what_saves_most_comes_first() -> None:
    found = recommend(facts(unwatched=("Rejects",), functions=(function(),), ledger_forgets=False), PRICES)
    assert [each.usd for each in found[:2]] == sorted((each.usd for each in found[:2] if each.usd), reverse=True)
    assert [each.usd for each in found][2:] == [None]


# ---- What alarms and dashboards look at ----


def test_names_are_found_wherever_alarms_and_dashboards_have_them() -> None:
    alarm = {"MetricName": "Bounces", "Metrics": [{"MetricStat": {"Metric": {"MetricName": "Deliveries"}}}]}
    query = {"Metrics": [{"Expression": 'SELECT SUM(EmailsSent) FROM "Mailroom"'}]}
    body = {"widgets": [{"properties": {"metrics": [["Mailroom", "Rejects", "Stack", "prod"], [".", "Complaints"]]}}]}
    search = {"widgets": [{"properties": {"metrics": [[{"expression": "SEARCH('{Mailroom} SendRetries', 'Sum')"}]]}}]}
    names = metric_names([alarm, query, body, search])
    assert names >= {"Bounces", "Deliveries", "EmailsSent", "Rejects", "Complaints", "SendRetries"}
    assert "SendFailures" not in names


def test_a_name_within_a_sentence_is_no_look_at_it() -> None:
    body = {"widgets": [{"properties": {"title": "Bounces and Rejects", "metrics": [["Mailroom", "Bounces"]]}}]}
    assert "Rejects" not in metric_names([body])


# ---- The letter ----


@pytest.mark.parametrize(
    ("usd", "written"),
    [("1234.5", "1,234.50"), ("-0.504", "−0.50"), ("-0.004", "0.00"), ("0.005", "0.01"), ("0", "0.00")],
)
def test_money_is_rounded_to_cents_and_a_zero_has_no_sign(usd: str, written: str) -> None:
    assert money(Decimal(usd)) == written


def test_the_letter_says_stack_sum_and_month_in_its_subject() -> None:
    assert render_report(told({"AWS Lambda": "41.2"}), []).subject == "Mailroom prod: 41.20 USD in October 2026"


@given(services, services, st.integers(0, 10**7))
def test_text_and_html_say_the_same_figures(now: dict[str, Decimal], before: dict[str, Decimal], emails: int) -> None:
    found = figures("prod", OCTOBER, Costs(by_service={OCTOBER: now, OCTOBER.before: before}), emails)
    letter = render_report(found, [])
    for service in (*found.services, found.total):
        for amount in (service.usd, service.before, service.difference):
            assert money(amount) in letter.text
            assert money(amount) in letter.html
    assert f"{emails:,}" in letter.html
    assert all(len(line) <= 72 for line in letter.text.splitlines())


@pytest.mark.parametrize(
    ("before", "words"),
    [
        ("10", "2.00 USD more than in September 2026, which is 20%."),
        ("16", "4.00 USD less than in September 2026, which is 25%."),
        ("12", "As much as in September 2026."),
        ("0", "Nothing was charged in September 2026."),
    ],
)
def test_the_letter_says_in_words_how_the_month_compares(before: str, words: str) -> None:
    letter = render_report(told({"AWS Lambda": "12"}, {"AWS Lambda": before}), [])
    assert words in letter.text
    assert words in letter.html


def test_a_month_without_emails_has_no_price_for_a_thousand() -> None:
    letter = render_report(told({"AWS Lambda": "12"}), [])
    assert "No email went out." in letter.text
    assert "no email went out" in letter.html


def test_costs_that_aws_does_not_know_ask_for_the_tags_to_be_activated() -> None:
    letter = render_report(told({}, emails=5), [])
    assert "cost-allocation tags" in letter.text
    assert "cost-allocation tags" in letter.html
    assert "cost-allocation tags" not in render_report(told({"AWS Lambda": "12"}), []).text


def test_figures_that_may_change_say_so() -> None:
    assert "may still correct" in render_report(told({"AWS Lambda": "1"}, estimated=True), []).html
    assert "may still correct" not in render_report(told({"AWS Lambda": "1"}), []).html


def test_recommendations_stand_with_their_fact_their_remedy_and_what_they_save() -> None:
    given_ = [Recommendation("A fact & more.", "Do <this>.", Decimal("0.6")), Recommendation("Another.", "Do that.")]
    letter = render_report(told({"AWS Lambda": "1"}), given_)
    assert "- A fact & more. Do <this>. Saves up to 0.60 USD a month." in letter.text
    assert "A fact &amp; more." in letter.html
    assert "Do &lt;this&gt;." in letter.html
    assert letter.html.count("Saves up to") == 1
    assert "Nothing to recommend." not in letter.text + letter.html


def test_no_recommendation_is_said_as_well_and_what_was_not_measured() -> None:
    letter = render_report(told({"AWS Lambda": "1"}), [], ["Memory of functions: AccessDenied."])
    for body in (letter.text, letter.html):
        assert "Nothing to recommend." in body
        assert "Memory of functions: AccessDenied." in body
    assert "not measured" not in render_report(told({"AWS Lambda": "1"}), []).text.lower()


def test_the_letter_needs_nothing_from_elsewhere() -> None:
    assert not re.search(r"(src|href|url)\s*[=(]", render_report(told({"AWS Lambda": "1"}), []).html)
