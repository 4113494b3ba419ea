"""Cases of the rules on a stack as a whole."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pulumi
import pulumi_aws as aws

from tests.policies.cases import Case, Given, Hidden
from tests.policies.parts import PAGES, REGION, ROLE, TAGS, alarm, budget, log_group, queue_arn, tagged


def bare(tags: dict[str, str] | None, /, **overrides: Any) -> Given:
    """A program without a provider's default tags: a budget in order, but for the overrides, and a log group."""

    def program() -> None:
        budget("month", **{"tags": TAGS, **overrides})
        log_group("orders", tags=tags)

    return Given(program=program, bare=True)


def untagged() -> None:
    aws.sns.TopicPolicy("orders", arn="arn:aws:sns:us-east-1:123456789012:orders", policy="{}")


def orders() -> None:
    log_group("orders")


def schedule() -> None:
    aws.scheduler.Schedule(
        "often",
        flexible_time_window={"mode": "OFF"},
        schedule_expression="rate(1 minute)",
        target={"arn": queue_arn("orders"), "role_arn": ROLE},
    )


def subscription() -> None:
    aws.sns.TopicSubscription("orders", topic=PAGES, protocol="email", endpoint="team@shop.example")


def without_budget() -> None:
    log_group("orders", tags=TAGS)


def two_budgets() -> None:
    budget("all-of-it", tags=TAGS, filter_expression=None)
    budget("month", tags=TAGS)


def explicit_provider() -> None:
    """What is made by a provider of the program's own, with default tags."""
    own = pulumi.ResourceOptions(provider=aws.Provider("own", region=REGION, default_tags={"tags": TAGS}))
    budget("month", tags=TAGS)
    aws.cloudwatch.LogGroup("orders", retention_in_days=30, opts=own)


def alarmed() -> None:
    """Alarms, of which a period more or less changes the price: on one metric, and on what is worked out of two."""
    alarm("failures")
    parts = [
        {"id": id_, "metric": {"namespace": "Shop", "metric_name": id_, "period": 300, "stat": "Sum"}}
        for id_ in ("failed", "tried")
    ]
    whole = {"id": "share", "expression": "failed / tried", "return_data": True}
    without = dict.fromkeys(("namespace", "metric_name", "period", "statistic"))
    alarm("share", metric_queries=[whole, *parts], **without)


def keys(number: int) -> Callable[[], None]:
    """KMS keys cost 1 USD a month each."""

    def program() -> None:
        for each in range(number):
            aws.kms.Key(f"key-{each}")

    return program


NO_TAGS_ALL = Hidden(resource="orders", path="tagsAll", absent=True)

PERIODS = (
    Hidden(resource="failures", path="period"),
    Hidden(resource="share", path="metricQueries[1].metric.period"),
    Hidden(resource="share", path="metricQueries[2]"),
)

CASES = {
    "required-tags": Case(
        violated=(
            bare(None),
            bare({"project": "shop"}),
            bare({"project": "shop", "stack": ""}),
            Given(program=orders, settings={"keys": ["owner"]}),
            replace(bare({"project": "shop"}), hides=(NO_TAGS_ALL,)),
        ),
        satisfied=(
            orders,
            bare(TAGS),
            replace(bare(TAGS), hides=(NO_TAGS_ALL,)),
            Given(program=explicit_provider, bare=True, hides=(replace(NO_TAGS_ALL, absent=False),)),
            Given(program=explicit_provider, bare=True, hides=(Hidden(resource="orders", path="tags"),)),
        ),
        unknown=(
            Hidden(resource="orders", path="tagsAll", program=bare(TAGS | {"project": ""})),
            Hidden(resource="orders", path="tagsAll.stack", program=bare(TAGS)),
            Hidden(resource="orders", path="tags", program=bare(None)),
        ),
        not_applicable=Given(program=untagged, bare=True),
    ),
    "stack-has-budget": Case(
        violated=(
            Given(program=without_budget, bare=True),
            bare(TAGS, filter_expression=None),
            bare(TAGS, filter_expression=tagged("stack")),
            bare(TAGS, filter_expression={"ands": [tagged("stack", "dev"), tagged("project")]}),
            bare(TAGS, filter_expression={"ands": [tagged("stack", "dev", "prod"), tagged("project")]}),
            bare(TAGS, filter_expression={"ors": [tagged("stack"), tagged("project")]}),
            bare(TAGS, notifications=None),
            replace(bare(TAGS, tags=None), also=frozenset({"required-tags"})),
        ),
        satisfied=(
            orders,
            bare(TAGS),
            replace(bare(TAGS), hides=(replace(NO_TAGS_ALL, resource="month"),)),
            Given(program=two_budgets, bare=True),
            Given(
                program=bare(TAGS, filter_expression=tagged("stack")).program, settings={"keys": ["stack"]}, bare=True
            ),
        ),
        unknown=(
            Hidden(resource="month", path="filterExpression"),
            Hidden(resource="month", path="notifications"),
        ),
        not_applicable=(),
    ),
    "monthly-cost": Case(
        violated=(
            keys(26),
            Given(program=keys(4), settings={"usd": 3}),
            Given(program=schedule, settings={"usd": 0}),
        ),
        satisfied=(
            keys(25),
            Given(program=keys(4), settings={"usd": 4}),
            Given(program=keys(2), settings={"usd": 3}),
            Given(program=schedule, settings={"usd": 1}),
            subscription,
            *(Given(program=alarmed, hides=(each,)) for each in PERIODS),
        ),
        unknown=Hidden(resource="often", path="scheduleExpression", program=schedule),
        not_applicable=(),
    ),
}
