"""Tracing of a stack's orders: where their traces are gathered, and how many of them are recorded."""

from typing import Final, NotRequired, TypedDict

import pulumi
import pulumi_aws as aws

from components.checks import refuse, short_enough

# X-Ray's own default rule: the first request of each second, and 5 % of the others. At 60,000 orders a month it records
# nearly all of them, for 0.30 USD (5 USD a million traces).
RESERVOIR: Final = 1
SHARE: Final = 0.05

NAME_CHARACTERS: Final = 32
"""Of a group and of a sampling rule (CreateGroup, CreateSamplingRule)."""

# Rules are evaluated in ascending order, 1 to 9999; the account's default rule comes last, at 10000. Room is left below
# for a rule that somebody makes by hand while looking for a fault.
TOPIC_PRIORITY: Final = 1000
ENTRY_PRIORITY: Final = 1001


class OrderTracingArgs(TypedDict):
    """Whose traces these are, and how many are recorded."""

    stack: str
    """The stack; the value of the annotation `stack` on the subsegments of its handlers."""

    topic_arn: pulumi.Input[str]
    """ARN of the topic that orders are published to."""

    reservoir: NotRequired[int]
    """Traces recorded a second before `share` applies. Default 1."""

    share: NotRequired[float]
    """Share of the further requests that is recorded, 0 to 1. Default 0.05."""


class OrderTracing(pulumi.ComponentResource):
    """An X-Ray group, with insights, of the traces that the stack's handlers took part in; and two sampling rules, for
    the order topic and for the services `<name>-<stack>-*` in front of it. Whoever starts a trace decides whether it is
    recorded, and a rule decides only for those who ask X-Ray: docs/tracing.md says who does."""

    group_arn: pulumi.Output[str]
    """ARN of the group."""

    group_name: pulumi.Output[str]
    """Name of the group: `<name>-<stack>`."""

    def __init__(self, name: str, args: OrderTracingArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        reservoir, share = args.get("reservoir", RESERVOIR), args.get("share", SHARE)
        # Traces and rules belong to the account, so that a name without the stack's would be taken by the second stack.
        own = f"{name}-{args['stack']}"
        refuse(
            "OrderTracing",
            name,
            [
                # The longest name of the three, and X-Ray's are not made by Pulumi.
                short_enough("sampling rule", f"{own}-topic", NAME_CHARACTERS, suffix=0),
                None if reservoir >= 0 else f"reservoir is {reservoir}, allowed are 0 and more",
                None if 0 <= share <= 1 else f"share is {share}, allowed are 0 to 1",
                f"stack {args['stack']!r} has a quotation mark" if '"' in args["stack"] else None,
            ],
        )
        super().__init__("mailroom:index:OrderTracing", name, None, opts)

        group = aws.xray.Group(
            name,
            group_name=own,
            filter_expression=f'annotation.stack = "{args["stack"]}"',
            # Insights find what is unusual for people who look; who is paged, the alarms decide.
            insights_configuration={"insights_enabled": True, "notifications_enabled": False},
            opts=pulumi.ResourceOptions(parent=self),
        )
        for rule, priority, resource_arn, service_name in (
            ("topic", TOPIC_PRIORITY, args["topic_arn"], "*"),
            ("entry", ENTRY_PRIORITY, "*", f"{own}-*"),
        ):
            aws.xray.SamplingRule(
                f"{name}-{rule}",
                rule_name=f"{own}-{rule}",
                priority=priority,
                version=1,
                reservoir_size=reservoir,
                fixed_rate=share,
                resource_arn=resource_arn,
                service_name=service_name,
                service_type="*",
                host="*",
                http_method="*",
                url_path="*",
                opts=pulumi.ResourceOptions(parent=self),
            )

        self.group_arn = group.arn
        self.group_name = group.group_name
        self.register_outputs({"group_arn": self.group_arn, "group_name": self.group_name})
