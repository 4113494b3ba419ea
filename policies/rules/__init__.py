"""The rules, one module each for what they are about. A module that is put here is part of the pack."""

from __future__ import annotations

import pkgutil
from collections import Counter
from importlib import import_module
from typing import Final

from observability.errors import ToolkitError
from policies.model import Rule


def _collected() -> tuple[Rule, ...]:
    modules = [import_module(f"{__name__}.{each.name}") for each in pkgutil.iter_modules(__path__)]
    found = {id(each): each for module in modules for each in vars(module).values() if isinstance(each, Rule)}
    twice = [name for name, times in Counter(each.name for each in found.values()).items() if times > 1]
    if twice:
        raise ToolkitError(f"two rules are named {twice[0]!r}; a rule's name is how it is configured and waived")
    return tuple(sorted(found.values(), key=lambda each: each.name))


RULES: Final = _collected()
"""Every rule of the pack, by name."""
