"""Preview and deployment of the stack `local`, which need no Pulumi CLI: the program recorded, and deployed to the
emulator on this machine."""

from __future__ import annotations

import socket
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from local.config import ROOT, stack_config
from local.deployer import Deployment, DeploymentError, deploy
from observability.errors import ToolkitError
from observability.program import Recording, record
from observability.program.config import read_project
from observability.review.findings import Violation, violations
from ops.stack import LOCAL, LOCAL_OUTPUTS

MANDATORY: Final = "mandatory"
CONFIG: Final = "policies/config/{}.json"
"""What a stack is held to."""


@dataclass(frozen=True)
class Preview:
    """What would be made in an empty account, and what the policies say of it.

    Attributes:
        kinds: type token -> how many.
        violations: what the policies find.
        held: whether it is held to them: a stack without a file in policies/config/ is told, and not refused.
    """

    kinds: Counter[str]
    violations: tuple[Violation, ...]
    held: bool

    @property
    def refused(self) -> bool:
        return self.held and any(each.level == MANDATORY for each in self.violations)

    def text(self) -> str:
        """All of it, for people."""
        width = max(map(len, self.kinds), default=0)
        lines = [f"Stack {LOCAL}, {self.kinds.total()} resources to create in an empty account:", ""]
        lines += [f"  {kind:<{width}}  {count:>3}" for kind, count in sorted(self.kinds.items())]
        lines.append("")
        if self.held:
            lines += [f"{each.level}: {each.policy}: {each.message}" for each in self.violations]
            found = Counter(each.level for each in self.violations)
            lines.append(
                f"Policies: {', '.join(f'{n} {level}' for level, n in sorted(found.items())) or 'none broken'}."
            )
        else:
            found = Counter(each.policy for each in self.violations)
            lines.append(f"Policies, which hold no stack without {CONFIG.format(LOCAL)} (`make policies STACK=local`):")
            lines += [f"  {policy:<{width}}  {count:>3}" for policy, count in sorted(found.items())] or [
                "  none broken"
            ]
        return "\n".join(lines) + "\n"


def preview() -> Preview:
    """Record the program for the stack `local` and judge it.

    Raises:
        ToolkitError: the program or the policies fail.
    """
    recording = record(ROOT, LOCAL)
    found = violations(ROOT, recording, read_project(ROOT).python) or ()
    return Preview(kinds(recording), found, held=(ROOT / CONFIG.format(LOCAL)).is_file())


def kinds(recording: Recording) -> Counter[str]:
    """How many resources of each type a provider would make: neither components nor providers."""
    made = (each.type for each in recording.resources if each.custom and not each.external)
    return Counter(type_ for type_ in made if not type_.startswith("pulumi:"))


def deploy_here(endpoint: str = "", outputs: Path | None = None) -> Deployment:
    """Deploy the program to the emulator that listens at `endpoint`, by default the one that Pulumi.local.yaml names.

    Raises:
        ToolkitError: nothing listens there, or the program cannot be deployed there.
    """
    endpoint = endpoint or stack_config(LOCAL)["mailroom:emulatorEndpoint"]
    _require(endpoint)
    try:
        return deploy(endpoint, outputs_path=(ROOT / (outputs or LOCAL_OUTPUTS)).resolve())
    except DeploymentError as error:
        raise ToolkitError(
            str(error),
            "The emulator has to be empty: nothing is updated in place there. `make emulator` starts a new one.",
        ) from error


def _require(endpoint: str) -> None:
    where = urlsplit(endpoint)
    try:
        with socket.create_connection((where.hostname or "", where.port or 80), timeout=5):
            return
    except (OSError, ValueError):
        raise ToolkitError(
            f"nothing listens at {endpoint}",
            "Start an empty AWS with `make emulator` in another terminal, or name another one with ENDPOINT=URL.",
        ) from None
