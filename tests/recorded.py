"""The whole program, run as a recording: nothing is deployed, nothing fetched."""

from __future__ import annotations

import tempfile
import zipfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pulumi

from components import packaging
from local.config import ROOT, stack_config
from observability.program import Recording
from observability.program.answers import Answers
from observability.program.recorder import run_recorded
from tests.components.recorder import Recorder

STACKS = ("dev", "prod", "local")


@cache
def program(stack: str, **overrides: str) -> tuple[Recorder, dict[str, Any]]:
    """What a stack registers, and its outputs. `overrides` are settings, without the project's name."""
    config = stack_config(stack, {f"mailroom:{key}": value for key, value in overrides.items()})
    recorder = Recorder(root=ROOT, config=config)
    with patch.object(packaging, "layer_archive", _layer):
        outputs = run_recorded(ROOT, recorder, project="mailroom", stack=stack, config=config)
    return recorder, outputs


def recording(stack: str) -> Recording:
    """The same as the toolkit has it."""
    recorder, outputs = program(stack)
    return Recording(project="mailroom", stack=stack, resources=tuple(recorder.resources), outputs=outputs)


class Autonaming(Answers):
    """Names that the program leaves to Pulumi end as Pulumi ends them, in seven digits of its own."""

    def resource(
        self, type_: str, name: str, inputs: dict[str, Any], region: str, tags: Mapping[str, str]
    ) -> tuple[str, dict[str, Any]]:
        return super().resource(type_, f"{name}-0a1b2c3", inputs, region, tags)


@cache
def deployed(stack: str) -> Recording:
    """A stack as the engine knows it, with the physical names that it would have."""
    config = stack_config(stack)
    recorder = Recorder(root=ROOT, config=config, answers=Autonaming())
    with patch.object(packaging, "layer_archive", _layer):
        outputs = run_recorded(ROOT, recorder, project="mailroom", stack=stack, config=config)
    return Recording(project="mailroom", stack=stack, resources=tuple(recorder.resources), outputs=outputs)


def extended(stack: str, lines: str) -> Recording:
    """What a stack registers whose program goes on with these lines of Python."""
    config = stack_config(stack)
    recorder = Recorder(root=ROOT, config=config)
    with tempfile.TemporaryDirectory(prefix="mailroom-extended-") as folder:
        source = (ROOT / "__main__.py").read_text(encoding="utf-8")
        Path(folder, "__main__.py").write_text(f"{source}\n{lines}", encoding="utf-8")
        with patch.object(packaging, "layer_archive", _layer):
            run_recorded(Path(folder), recorder, project="mailroom", stack=stack, config=config)
    return Recording(project="mailroom", stack=stack, resources=tuple(recorder.resources))


@cache
def _layer() -> pulumi.FileArchive:
    """A layer that pip does not have to fetch."""
    layer = Path(tempfile.mkdtemp(prefix="mailroom-layer-")) / "layer.zip"
    with zipfile.ZipFile(layer, "w") as archive:
        archive.writestr("python/package.py", "")
    return pulumi.FileArchive(str(layer))
