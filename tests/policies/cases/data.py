"""Case of the rule that nothing is lost: a shop whose last release is 0.10.0, in releases/ beside this module."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

import pulumi
import pulumi_aws as aws

from tests.policies.cases import Case, Given, Hidden, Program
from tests.policies.parts import ACCOUNT, REGION, TAGS

RELEASES: Final = "tests/policies/cases/releases"


class Archive(pulumi.ComponentResource):
    """A table of closed orders, in a component whose name its own begins with."""

    def __init__(
        self, name: str, aliases: Sequence[str], table: Mapping[str, Any], opts: pulumi.ResourceOptions
    ) -> None:
        super().__init__("shop:index:Archive", name, None, opts)
        given = {
            "hash_key": "id",
            "attributes": [{"name": each, "type": "S"} for each in {"id", table.get("hash_key", "id")}],
            "billing_mode": "PAY_PER_REQUEST",
            "point_in_time_recovery": {"enabled": True},
            "server_side_encryption": {"enabled": True},
            "deletion_protection_enabled": True,
            **table,
        }
        former = [pulumi.Alias(name=each) for each in aliases]
        inner = pulumi.ResourceOptions(parent=self, protect=True, aliases=former)
        aws.dynamodb.Table(given.pop("logical", f"{name}-orders"), **given, opts=inner)


def shop(
    component: str = "archive",
    *,
    formerly: str = "",
    aliases: Sequence[str] = (),
    ignored: Sequence[str] = (),
    subscribed: bool = True,
    provider_region: str = "",
    logged: Mapping[str, Any] | None = MappingProxyType({}),
    **table: Any,
) -> Program:
    """The shop as it was released, unless something is said.

    Args:
        component, formerly: its name, and what an alias says that it was.
        aliases: former names of the table; `table` are its arguments, and `logical` its name.
        provider_region: of another provider for the table.
        subscribed: whether somebody is told of orders by email.
        logged: arguments of the log group; None leaves it out.
        ignored: changes of the log group that Pulumi is to ignore.
    """

    def program() -> None:
        former = [pulumi.Alias(name=formerly)] if formerly else None
        elsewhere = provider_region and aws.Provider("elsewhere", region=provider_region, default_tags={"tags": TAGS})
        Archive(component, aliases, table, pulumi.ResourceOptions(aliases=former, provider=elsewhere or None))
        if logged is not None:
            given = {"name": "/shop/orders", "retention_in_days": 30, **logged}
            aws.cloudwatch.LogGroup("log", **given, opts=pulumi.ResourceOptions(ignore_changes=[*ignored]))
        if subscribed:
            topic = f"arn:aws:sns:{REGION}:{ACCOUNT}:orders"
            aws.sns.TopicSubscription("desk", topic=topic, protocol="email", endpoint="desk@shop.example.com")

    return program


def moved_to_another_type() -> None:
    """The log group's name and place in the state are another kind of thing now."""
    shop(logged=None)()
    former = pulumi.Alias(type_="aws:cloudwatch/logGroup:LogGroup")
    aws.scheduler.ScheduleGroup("log", name="/shop/orders", opts=pulumi.ResourceOptions(aliases=[former]))


CASES = {
    "data-kept": Case(
        violated=(
            shop(logical="archive-closed"),
            shop("history"),
            # The alias is of another name than the component had.
            shop("history", formerly="storage"),
            shop(hash_key="number"),
            shop("history", formerly="archive", hash_key="number"),
            # A physical name, where Pulumi had made one up.
            shop(name="orders"),
            shop(region="eu-west-1"),
            shop(provider_region="eu-west-1"),
            moved_to_another_type,
            shop(subscribed=False),
            shop(logged={"name": "/shop/closed-orders"}),
            shop(logged={"name": "log-0123abc"}),
            shop(logged={"log_group_class": "INFREQUENT_ACCESS"}),
        ),
        satisfied=(
            shop(),
            shop(logical="archive-closed", aliases=["archive-orders"]),
            shop("history", formerly="archive"),
            shop("history", formerly="archive", logical="orders", aliases=["storage-orders", "archive-orders"]),
            # What AWS takes anyway, what Pulumi adds, and what it does not change.
            shop(logged={"log_group_class": "STANDARD"}),
            shop(logged={"name": "/shop/closed-orders"}, ignored=["name"]),
            shop(name="archive-orders-0123abc"),
            shop(region=""),
            shop(billing_mode="PROVISIONED", read_capacity=1, write_capacity=1),
        ),
        unknown=(Hidden(resource="archive-orders", path="hashKey"), Hidden(resource="log", path="name")),
        # Another stack, of which no release is known; no releases at all; those of another program.
        not_applicable=(
            Given(program=shop("history"), stack="dev"),
            Given(program=shop(), settings={"releases": "none"}),
            Given(program=shop(), settings={"releases": "releases"}),
        ),
        settings={"releases": RELEASES},
    )
}
