"""Runs an unchanged program on Pulumi's own runtime, with a stand-in where the engine would be.

It takes the same path as the executor that the Pulumi CLI starts (`pulumi-language-python-exec`): the program
runs as `__main__` inside a stack, and the stack's outputs arrive when it has finished. All state of the SDK
lives in context variables, so each run gets a thread of its own and leaves nothing behind.
"""

from __future__ import annotations

import asyncio
import os
import runpy
import sys
import threading
from collections.abc import Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import pulumi
from pulumi.runtime import mocks, rpc
from pulumi.runtime.config import set_all_config
from pulumi.runtime.settings import configure
from pulumi.runtime.stack import run_in_stack

from observability.errors import ToolkitError

STACK_TYPE: Final = "pulumi:pulumi:Stack"
PARALLEL: Final = 4
"""Resources registered at a time. Where a stand-in does real work, it shares the machine with what it works on."""


class Monitor(mocks.MockMonitor):
    """The SDK's mock monitor, which also keeps the stack's outputs, and names and refuses as the engine does."""

    def __init__(self, engine: pulumi.runtime.Mocks) -> None:
        super().__init__(engine)
        self.outputs: dict[str, Any] = {}
        self.urns: set[str] = set()

    def make_urn(self, parent: str, type_: str, name: str) -> str:
        """With the types of all parents save the stack; the mock monitor has only one of them."""
        return super().make_urn("", qualified(parent, type_), name)

    def RegisterResource(self, request: Any) -> Any:  # noqa: N802 - the SDK's name
        urn = self.make_urn(request.parent, request.type, request.name)
        if urn in self.urns:
            raise ToolkitError(f"{request.type} {request.name!r} is declared twice; give one another name")
        self.urns.add(urn)
        return super().RegisterResource(request)  # type: ignore[no-untyped-call]

    def RegisterResourceOutputs(self, request: Any) -> Any:  # noqa: N802 - the SDK's name
        if request.urn.split("::")[2] == STACK_TYPE:
            self.outputs = rpc.deserialize_properties(request.outputs)
        return super().RegisterResourceOutputs(request)  # type: ignore[no-untyped-call]


def qualified(parent: str, type_: str) -> str:
    """The type of a child of the resource with the URN `parent`, as it stands in the child's URN."""
    above = parent.split("::")[2] if parent else STACK_TYPE
    return type_ if above == STACK_TYPE else f"{above}${type_}"


def run_program(
    program: Path,
    engine: pulumi.runtime.Mocks,
    *,
    project: str,
    stack: str,
    config: Mapping[str, str],
    secret: Collection[str] = (),
    monitor: type[Monitor] = Monitor,
) -> dict[str, Any]:
    """Runs `program`, a file or a folder, to its end; `engine` answers for each resource.

    Args:
        config: full keys ("shop:rate") to text, as `config.stack_config` makes it.
        secret: those of the keys whose values are secrets.

    Returns:
        The stack's outputs, resolved; numbers as floating point, secrets wrapped as on the wire.

    Raises:
        ToolkitError: two resources have one URN.
        Whatever program or engine raised.
    """
    result: dict[str, Any] = {}
    failure: list[BaseException] = []

    def run() -> None:
        try:
            result.update(asyncio.run(_run(program, monitor(engine), project, stack, config, secret)))
        except BaseException as error:
            failure.append(error)

    with _environment(_folder(program)):
        thread = threading.Thread(target=run, name="pulumi-program", daemon=True)
        thread.start()
        thread.join()
    if failure:
        raise failure[0]
    return result


async def _run(
    program: Path, monitor: Monitor, project: str, stack: str, config: Mapping[str, str], secret: Collection[str]
) -> dict[str, Any]:
    loop = asyncio.get_running_loop()
    # Every output that depends on what failed fails with it. The first failure is raised; these are its echoes.
    loop.set_exception_handler(lambda _loop, _context: None)
    loop.set_default_executor(ThreadPoolExecutor(PARALLEL, thread_name_prefix="pulumi-resource"))
    features = set(monitor.GetDeploymentInfo(None).supportedFeatures)  # type: ignore[no-untyped-call]
    configure(
        mocks.MockSettings(  # type: ignore[no-untyped-call]
            monitor=monitor,
            monitor_features=features,
            engine=mocks.MockEngine(None),
            project=project,
            stack=stack,
            dry_run=False,
            organization="organization",
            root_directory=str(_folder(program)),
            callbacks=None,
            # Of its own: mock settings lack these two, and a failed run's tasks would be awaited by the next one.
            outputs=set(),
            lock=threading.Lock(),
        )
    )
    set_all_config(dict(config), list(secret))

    async def main() -> None:
        runpy.run_path(str(program), run_name="__main__")

    await run_in_stack(main)
    return monitor.outputs


def _folder(program: Path) -> Path:
    return program if program.is_dir() else program.parent


@contextmanager
def _environment(folder: Path) -> Iterator[None]:
    """What the CLI gives a program: its folder as working directory and on the path.

    And what it should: text made from an unresolved output is an error, not a name.
    """
    before, path = os.environ.get("PULUMI_ERROR_OUTPUT_STRING"), Path.cwd()
    os.environ["PULUMI_ERROR_OUTPUT_STRING"] = "true"
    sys.path.insert(0, str(folder))
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(path)
        sys.path.remove(str(folder))
        if before is None:
            del os.environ["PULUMI_ERROR_OUTPUT_STRING"]
        else:
            os.environ["PULUMI_ERROR_OUTPUT_STRING"] = before
