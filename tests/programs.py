"""The whole program, run as a recording: nothing is deployed, nothing fetched."""

from __future__ import annotations

import tempfile
import zipfile
from functools import cache
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pulumi

from components import packaging
from local.config import ROOT, stack_config
from local.deployer.engine import run_program
from tests.components.recorder import Recorder

STACKS = ("dev", "prod", "local")


@cache
def program(stack: str, **overrides: str) -> tuple[Recorder, dict[str, Any]]:
    """What a stack registers, and its outputs. `overrides` are settings, without the project's name."""
    recorder = Recorder()
    config = stack_config(stack, {f"mailroom:{key}": value for key, value in overrides.items()})
    with patch.object(packaging, "layer_archive", _layer):
        outputs = run_program(ROOT / "__main__.py", recorder, project="mailroom", stack=stack, config=config)
    return recorder, outputs


@cache
def _layer() -> pulumi.FileArchive:
    """A layer that pip does not have to fetch."""
    layer = Path(tempfile.mkdtemp(prefix="mailroom-layer-")) / "layer.zip"
    with zipfile.ZipFile(layer, "w") as archive:
        archive.writestr("python/package.py", "")
    return pulumi.FileArchive(str(layer))
