"""The rules as a page: docs/policies.md."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import Final

from policies.model import Rule

HEAD: Final = """# Policies

What has to hold for every stack, before it is deployed. `pulumi preview --policy-pack policies` asks these rules in
the engine; `make policies` asks them without it, of the program as it would be registered. A mandatory rule that is
violated stops a deployment, an advisory one is told. What a preview does not know yet is told, too, and stops nothing.

How much a rule weighs on a stack, and its settings, are in `policies/config/<stack>.json`; exceptions, each with an
owner, a reason and a last day, are in `policies/waivers.yaml`.

This page is written by `python -m tests.pin`.
"""


def listing(rules: Iterable[Rule]) -> str:
    """All rules in Markdown, by what they are about: the modules of `policies/rules/`."""
    grouped = groupby(sorted(rules, key=lambda each: (topic(each), each.name)), topic)
    return "\n".join([HEAD, *(line for name, each in grouped for line in _section(name, tuple(each)))])


def topic(rule: Rule) -> str:
    """What a rule is about, such as `Queues`: the name of the module that its check is in."""
    name = rule.check.__module__.rsplit(".", 1)[-1]
    return "IAM" if name == "iam" else name.capitalize()


def _section(name: str, rules: Sequence[Rule]) -> Iterator[str]:
    yield f"## {name}\n"
    for rule in rules:
        yield f"### {rule.name}\n"
        yield f"{rule.about} ({rule.level}). {rule.reason}\n\n{rule.remedy}\n"
        for setting, default in rule.defaults.items():
            yield f"- `{setting}`, by default `{json.dumps(default)}`: {rule.settings.get(setting, '')}"
        if rule.defaults:
            yield ""
