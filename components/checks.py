"""Checks of a component's plain arguments, made once, before anything is registered."""

import re
from collections.abc import Iterable
from decimal import Decimal

import pulumi

# What Pulumi appends to a logical name to make a physical one: a hyphen and seven hexadecimal digits.
AUTO_NAME_SUFFIX = 8


class ArgumentsError(pulumi.RunError, ValueError):
    """A component was given plain arguments that cannot work. The CLI prints the message and no stack trace."""


def refuse(component: str, name: str, faults: Iterable[str | None]) -> None:
    """Raise ArgumentsError that names every fault that is not None, or return."""
    if found := [fault for fault in faults if fault]:
        raise ArgumentsError(f"{component} {name!r}: " + "; ".join(found))


def between(key: str, value: int, low: int, high: int, unit: str = "") -> str | None:
    """The fault of a number outside `low` to `high`, if it is."""
    within = low <= value <= high
    return None if within else f"{key} is {value}, allowed are {low} to {high}{f' {unit}' if unit else ''}"


def one_of(key: str, value: object, allowed: Iterable[object]) -> str | None:
    """The fault of a value that is not among `allowed`, if it is not."""
    choices = list(allowed)
    return None if value in choices else f"{key} is {value!r}, allowed are {', '.join(map(str, choices))}"


def all_of(key: str, given: Iterable[str], needed: Iterable[str]) -> str | None:
    """The fault of keys that are not exactly those needed, if they are not."""
    found, wanted = sorted(given), sorted(needed)
    return None if found == wanted else f"{key} has {', '.join(found) or 'nothing'}, needed are {', '.join(wanted)}"


def usd(key: str, text: str) -> str | None:
    """The fault of a text that is not an amount above 0, such as `2.50`, if it is not."""
    return (
        None if re.fullmatch(r"\d+(\.\d+)?", text) and Decimal(text) else f"{key} is {text!r}, allowed is USD above 0"
    )


def short_enough(what: str, name: str, limit: int, suffix: int = AUTO_NAME_SUFFIX) -> str | None:
    """The fault of a name that AWS would find too long once Pulumi has appended its suffix, if it would.

    Such a name is refused rather than cut: two names cut to one prefix would be one resource.
    """
    excess = len(name) + suffix - limit
    return f"{what} name {name!r} is {excess} characters too long for AWS" if excess > 0 else None
