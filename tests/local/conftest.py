"""What the tests of the local tier share: one account with Mailroom in it, and one that is empty."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from local.aws import LocalAws
from local.emulator import Emulator

PROJECT = """\
name: tiny
runtime: python
config:
  emulatorEndpoint: {type: string, default: ""}
  colour: {type: string, default: green}
"""
PREAMBLE = """\
import json, pulumi, pulumi_aws as aws
endpoint = pulumi.Config().require("emulatorEndpoint")
provider = aws.Provider(
    "aws", region="us-east-1", access_key="test", secret_key="test",
    default_tags=aws.ProviderDefaultTagsArgs(tags={"stack": pulumi.get_stack()}),
    endpoints=[aws.ProviderEndpointArgs(**dict.fromkeys(("sqs", "sns", "iam", "lambda_", "logs", "sts"), endpoint))],
)
here = pulumi.ResourceOptions(provider=provider)
"""


@pytest.fixture(scope="session")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalAws]:
    """The real program, deployed once for the session. A test leaves it as it found it."""
    with LocalAws(folder=tmp_path_factory.mktemp("aws")) as running:
        running.deploy()
        yield running


@pytest.fixture(scope="session")
def _emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    with Emulator(log_path=tmp_path_factory.mktemp("emulator") / "emulator.log") as running:
        yield running


@pytest.fixture
def emulator(_emulator: Emulator) -> Emulator:
    """A running emulator with nothing in it."""
    _emulator.reset()
    return _emulator


@pytest.fixture
def program(tmp_path: Path) -> Callable[[str], Path]:
    """Makes the folder of a Pulumi program from its lines; `here` are the options of a resource in it."""

    def make(lines: str) -> Path:
        (tmp_path / "Pulumi.yaml").write_text(PROJECT, encoding="utf-8")
        for stack in ("local", "other"):
            (tmp_path / f"Pulumi.{stack}.yaml").write_text("config: {}\n", encoding="utf-8")
        (tmp_path / "__main__.py").write_text(PREAMBLE + lines, encoding="utf-8")
        return tmp_path

    return make
