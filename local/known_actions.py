"""What the emulator asks a role for, where by itself it asks for something else than AWS does.

Called about one event source mapping, it asks for the action that lists them all to look at it, and for nothing at all
to change or delete it: a role that lacks what AWS would ask for would not be noticed here. Called with a batch for a
queue, it asks for an action that IAM does not know. And about alarms and dashboards it asks on `*`, where AWS has
resources that a role may be kept to.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any, Final

MAPPINGS: Final = "event-source-mappings"
ACTIONS: Final[Mapping[str, str]] = {
    "GET": "GetEventSourceMapping",
    "PUT": "UpdateEventSourceMapping",
    "DELETE": "DeleteEventSourceMapping",
}
"""The action of a call on one mapping, by its method (Lambda API reference)."""

BATCHES: Final[Mapping[str, str]] = {
    f"{action}Batch": action for action in ("ChangeMessageVisibility", "DeleteMessage", "SendMessage")
}
"""Calls of SQS to the action that allows them (SQS API reference; "Amazon SQS API permissions" in its guide)."""


EVERY: Final[Mapping[str, str]] = {
    "cloudwatch:DescribeAlarms": "arn:aws:cloudwatch:{region}:{account}:alarm:*",
    "cloudwatch:GetDashboard": "arn:aws:cloudwatch::{account}:dashboard/*",
}
"""What an action is asked for on where the emulator says `*`: on all there are, whichever it is about ("Actions,
resources, and condition keys for Amazon CloudWatch"). Composite alarms are told to a role that is allowed `*` only."""


def install() -> None:
    """Change the emulator in this process. Called before it serves."""
    from ministack.core import iam_actions  # noqa: PLC0415 - reads its settings from the environment on import

    iam_actions._lambda_action = known(iam_actions._lambda_action)
    iam_actions._action_from_target = one_by_one(iam_actions._action_from_target)
    iam_actions.extract_resource_arn = on_every(iam_actions.extract_resource_arn, iam_actions.extract_iam_action)


def known(action: Callable[[str, str], str | None]) -> Callable[[str, str], str | None]:
    """The emulator's function from method and path to action, with ACTIONS."""

    @wraps(action)
    def with_mappings(method: str, path: str) -> str | None:
        match [part for part in path.split("/") if part]:
            case [_, kind, _] if kind == MAPPINGS:
                return ACTIONS.get(method)
        return action(method, path)

    return with_mappings


def one_by_one(action: Callable[[Mapping[str, str]], str | None]) -> Callable[[Mapping[str, str]], str | None]:
    """The emulator's function from headers to action, with BATCHES."""

    @wraps(action)
    def with_batches(headers: Mapping[str, str]) -> str | None:
        name = action(headers)
        return BATCHES.get(name or "", name)

    return with_batches


def on_every(resource: Callable[..., str], action: Callable[..., str | None]) -> Callable[..., str]:
    """The emulator's function from a request to the resource that it is about, with EVERY; `action` gives the action of
    the same request."""

    @wraps(resource)
    def with_every(*request: Any) -> str:
        found, (*_, region, account) = resource(*request), request
        if found != "*":
            return found
        return EVERY.get(action(*request[:-2]) or "", found).format(region=region, account=account)

    return with_every
