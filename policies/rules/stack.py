"""What holds for a stack as a whole: whose it is, and what it may cost."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import replace
from decimal import Decimal
from heapq import nlargest
from typing import Any, Final

from observability.bill import Line, Unpriced, standing
from observability.prices import load
from observability.program.resources import Resource
from policies.model import UNKNOWN, NotApplicable, Stack, Unknown, rule, value

BUDGET: Final = "aws:budgets/budget:Budget"
DELIVERIES: Final = ("aws:sns/topicSubscription:TopicSubscription",)
"""Whose prices a bill may not know, but they are by use."""

SHOWN: Final = 3
"""Of the dearest prices so many are named."""


@rule(
    "required-tags",
    "aws:",
    about="Everything that can carry tags carries those that say whose it is",
    reason="What has no tags is in no budget and on nobody's bill, and nobody knows whom to ask before deleting it.",
    remedy="Give it the program's provider, whose default tags are on everything, or tags of its own.",
    related=True,
    defaults={"keys": ["project", "stack"]},
    settings={"keys": "the tags that have to be there, with any value but an empty one"},
)
def required_tags(resource: Resource, stack: Stack) -> Iterator[str]:
    """The provider puts its default tags into `tagsAll` of each type that has tags."""
    if "tagsAll" not in resource.outputs and "tags" not in resource.inputs:
        raise NotApplicable
    parts = _parts(resource, stack)
    tags = {key: each for part in parts if isinstance(part, Mapping) for key, each in part.items()}
    missing = [key for key in stack.settings["keys"] if not tags.get(key)]
    if any(tags.get(key) is UNKNOWN for key in stack.settings["keys"]) or (missing and UNKNOWN in parts):
        raise Unknown("tagsAll")
    if missing:
        yield f"it lacks the tag{'s' if len(missing) > 1 else ''} {', '.join(missing)}"


def _parts(resource: Resource, stack: Stack) -> list[Any]:
    """What a resource's tags come from: a preview may know the provider's default tags and not `tagsAll`."""
    provider = stack.provider(resource)
    default = provider.inputs.get("defaultTags") if provider else None
    parsed = json.loads(default) if isinstance(default, str) else default
    shared = parsed.get("tags") if isinstance(parsed, Mapping) else parsed
    return [shared, resource.inputs.get("tags"), resource.outputs.get("tagsAll")]


@rule(
    "stack-has-budget",
    about="A budget counts what carries the stack's tags, and tells somebody",
    reason="A loop or a forgotten resource is then found on the next invoice, weeks later.",
    remedy="Declare an aws.budgets.Budget whose filterExpression names the stack's tags, with notifications.",
    defaults={"keys": ["project", "stack"]},
    settings={"keys": "the tags that the budget has to filter by, with the values that it carries itself"},
)
def stack_has_budget(_root: Resource, stack: Stack) -> Iterator[str]:
    """A budget carries the stack's tags itself, so it shows which values to filter by."""
    budgets = stack.of(BUDGET)
    faults = {each.name: list(_budget_faults(each, stack.settings["keys"])) for each in budgets}
    if not all(faults.values()):
        return
    yield "; ".join(f"budget {name} {said[0]}" for name, said in faults.items()) or "it has no budget"


def _budget_faults(budget: Resource, keys: list[str]) -> Iterator[str]:
    wanted: Mapping[str, Any] = value(budget, "tagsAll") or value(budget, "tags") or {}
    filtered = dict(_filters(budget))
    for key in keys:
        if not wanted.get(key) or filtered.get(key) != [wanted[key]]:
            yield f"does not filter by the tag {key}"
    if not value(budget, "notifications"):
        yield "tells nobody: it has no notifications"


def _filters(budget: Resource) -> Iterator[tuple[str, list[str]]]:
    """Tags that a budget filters by, and the values that it counts.

    Only by its expression: `costFilters` is deprecated, and how it joins several tags is not documented.
    https://docs.aws.amazon.com/aws-cost-management/latest/APIReference/API_budgets_Budget.html
    """
    expression = value(budget, "filterExpression") or {}
    for part in [expression, *expression.get("ands", [])]:
        if tags := part.get("tags"):
            yield tags.get("key", ""), tags.get("values", [])


@rule(
    "monthly-cost",
    about="What the stack costs a month for being there is within what was agreed",
    reason="It is paid from the first day, whether or not a single email is sent.",
    remedy="Take out what is not needed, or agree on more: the limit is in policies/config/.",
    defaults={"usd": 25},
    settings={"usd": "USD a month, without what is paid by use, at the prices of the price sheet"},
)
def monthly_cost(_root: Resource, stack: Stack) -> Iterator[str]:
    """By the bill that `python -m observability bill` prints. A preview may not know all that a price depends on."""
    sheet = load()
    there = [replace(each, inputs=_known(each.inputs)) for each in stack.of("aws:")]
    entries = [(resource, entry) for resource in there for entry in standing(resource, sheet)]
    prices: defaultdict[str, Decimal] = defaultdict(Decimal)
    for _, entry in entries:
        if isinstance(entry, Line):
            prices[entry.price.name] += entry.price.of(entry.fixed)
    fixed, limit = sum(prices.values(), Decimal(0)), Decimal(str(stack.settings["usd"]))
    if fixed > limit:
        yield (
            f"it costs {fixed:.2f} USD a month for being there, more than {limit:.2f} (most of it:"
            f" {', '.join(f'{name} {prices[name]:.2f}' for name in nlargest(SHOWN, prices, key=prices.__getitem__))})"
        )
    for resource, entry in entries:
        if isinstance(entry, Unpriced) and resource.type not in DELIVERIES:
            raise Unknown(f"what {entry.resource} costs ({entry.reason})")


def _known(inputs: Any) -> Any:
    """Properties without those that are not known yet: the bill takes what is not there for not known."""
    if isinstance(inputs, Mapping):
        return {key: _known(each) for key, each in inputs.items() if each is not UNKNOWN}
    return [_known(each) for each in inputs if each is not UNKNOWN] if isinstance(inputs, list) else inputs
