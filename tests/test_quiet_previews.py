"""The same commit twice gives no change: two people, two folders, two days, and nothing that a preview would show.

Each has a copy of the sources and builds its archives from it. What differs between the two is all that must not
matter: path, umask, times of files and the order in which they were written, clock, time zone, language, hash seed.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any, Final

import pytest

from components import packaging
from components.packaging import layer_archive
from tests.recorded import STACKS

ROOT: Final = packaging.ROOT
LEFT_OUT: Final = shutil.ignore_patterns(".*", "build", "__pycache__", "tests", "bench")
"""What git does not keep, and what no program runs."""

SHOWN: Final = 40
"""Characters before and after the place where two texts part."""

RECORD: Final = """
import json, sys
from dataclasses import asdict
from pathlib import Path
from observability.program.config import project_name, secret_keys, stack_config
from observability.program.recorder import Recorder, plain, run_recorded

folder, answer, *stacks = sys.argv[1:]
root, found = Path(folder), {}
for stack in stacks:
    config, project = stack_config(stack, root=root), project_name(root)
    recorder = Recorder(root=root, config=config)
    secret = secret_keys(stack, root=root)
    outputs = run_recorded(root, recorder, project=project, stack=stack, config=config, secret=secret)
    found[stack] = {each.urn: asdict(each) for each in recorder.resources} | {"outputs": plain(outputs, root)}
Path(answer).write_text(json.dumps(found))
"""
"""As `observability.program.record`, which veils what is secret: a secret that changes is a change, too."""

CLOCK: Final = """
import datetime, os, time

AHEAD, clock, clock_ns, here, there = int(os.environ["AHEAD"]), time.time, time.time_ns, time.localtime, time.gmtime
time.time = lambda: clock() + AHEAD
time.time_ns = lambda: clock_ns() + AHEAD * 10**9
time.localtime = lambda seconds=None: here(time.time() if seconds is None else seconds)
time.gmtime = lambda seconds=None: there(time.time() if seconds is None else seconds)
real = datetime.datetime

class Kind(type):
    def __instancecheck__(cls, value):
        return isinstance(value, real)

class Later(real, metaclass=Kind):
    @classmethod
    def now(cls, tz=None):
        return real.fromtimestamp(time.time(), tz)

    @classmethod
    def utcnow(cls):
        return real.utcfromtimestamp(time.time())

datetime.datetime = Later
"""
"""A `sitecustomize` that sets the clock of a process ahead."""


@dataclass(frozen=True)
class Machine:
    """Where somebody runs the program. `ahead`: seconds that its clock is; `written`: when its files seem to be."""

    folder: str
    umask: int
    written: int
    backwards: bool
    ahead: int
    environment: Mapping[str, str]


MACHINES: Final = (
    Machine(
        folder="one",
        umask=0o022,
        written=1_000_000_000,
        backwards=False,
        ahead=0,
        environment={"PYTHONHASHSEED": "1", "TZ": "Pacific/Pago_Pago", "LANG": "C.UTF-8", "USER": "ann"},
    ),
    Machine(
        folder="another folder/deep",
        umask=0o077,
        written=1_700_000_001,
        backwards=True,
        ahead=400 * 86_400,
        environment={"PYTHONHASHSEED": "2", "TZ": "Pacific/Kiritimati", "LANG": "tr_TR.UTF-8", "USER": "bob"},
    ),
)
"""The zones are 25 hours apart: today is never the same day."""


def copied(source: Path, machine: Machine, base: Path) -> Path:
    """The program in `source` as it lies on a machine, in a folder below `base`."""
    target = base / machine.folder / "program"
    before = os.umask(machine.umask)
    try:
        for folder, folders, names in os.walk(source):
            passed_over = LEFT_OUT(folder, [*folders, *names])
            folders[:] = [each for each in folders if each not in passed_over]
            at = target / Path(folder).relative_to(source)
            at.mkdir(parents=True, exist_ok=True)
            for name in sorted({*names} - passed_over, reverse=machine.backwards):
                shutil.copyfile(Path(folder, name), at / name)
                os.utime(at / name, (machine.written, machine.written))
    finally:
        os.umask(before)
    return target


def recorded(program: Path, machine: Machine, stacks: Sequence[str], toolkit: Path) -> dict[str, Any]:
    """Every resource of the stacks of `program` by its URN, as registered on a machine; and the outputs."""
    home = program.parent
    (home / "sitecustomize.py").write_text(CLOCK)
    environment = {
        **os.environ,
        **machine.environment,
        "AHEAD": str(machine.ahead),
        "PYTHONPATH": f"{home}{os.pathsep}{toolkit}",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    answer = home / "answer.json"
    done = subprocess.run(
        [sys.executable, "-c", RECORD, str(program), str(answer), *stacks],
        cwd=home,
        env=environment,
        umask=machine.umask,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(answer.read_text())
    return found


def both(
    source: Path, base: Path, stacks: Sequence[str], prepare: Callable[[Path], object] = lambda _: None, *, own: bool
) -> tuple[list[Path], list[dict[str, Any]]]:
    """The program in `source` on both machines: the folders, and what was registered.

    Args:
        prepare: is called with each folder before the program runs in it.
        own: whether the toolkit that records is in the program's folder, as it is in this repository.
    """
    first = copied(source, MACHINES[0], base)
    # Of the copy, as somebody may be editing the source.
    folders = [first, copied(first, MACHINES[1], base)]
    for folder in folders:
        prepare(folder)
    with ThreadPoolExecutor(len(folders)) as pool:
        runs = [
            pool.submit(recorded, folder, machine, stacks, folder if own else ROOT)
            for folder, machine in zip(folders, MACHINES, strict=True)
        ]
        return folders, [run.result() for run in runs]


def differences(one: Any, other: Any, path: tuple[str, ...] = ()) -> Iterator[str]:
    """What is not the same, told by its place. Text is text: JSON whose keys stand in another order is a change."""
    if isinstance(one, dict) and isinstance(other, dict):
        for key in sorted({*one, *other}):
            yield from differences(one.get(key, "(absent)"), other.get(key, "(absent)"), (*path, key))
    elif isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        for index, (ours, theirs) in enumerate(zip(one, other, strict=True)):
            yield from differences(ours, theirs, (*path, str(index)))
    elif (type(one), one) != (type(other), other):
        pairs = enumerate(zip_longest(str(one), str(other)))
        at = max(0, next((index for index, (a, b) in pairs if a != b), 0) - SHOWN)
        ours, theirs = (str(each)[at : at + 2 * SHOWN] for each in (one, other))
        yield f"{' '.join(path[:2])}: {'.'.join(path[2:])} is {ours!r} here and {theirs!r} there"


def built(folder: Path) -> dict[str, bytes]:
    """What a run built in its folder: paths to contents."""
    build = folder / "build"
    return {each.relative_to(build).as_posix(): each.read_bytes() for each in build.rglob("*") if each.is_file()}


# The test finds what it looks for

NOISE: Final = {
    "seconds": "int(time.time())",
    "moment": "datetime.now(UTC).isoformat()",
    "day": "str(date.today())",
    "day-in-utc": "str(datetime.now(UTC).date())",
    "written-out-day": "time.strftime('%Y-%m-%d', time.gmtime())",
    "order-of-a-set": "','.join({'apple', 'pear', 'plum', 'quince', 'fig', 'lime', 'date', 'kiwi'})",
    "hash": "hash('text')",
    "random": "uuid.uuid4().hex",
    "path": "__file__",
    "path-within-json": "json.dumps({'root': str(pathlib.Path.cwd())})",
    "order-of-json": "json.dumps({key: 1 for key in {'a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i', 'j'}})",
    "time-of-a-file": "pathlib.Path('Pulumi.yaml').stat().st_mtime",
    "mode-of-a-file": "pathlib.Path('Pulumi.yaml').stat().st_mode",
    "mask": "os.umask(0o022)",
    "zone": "time.localtime(2e9).tm_hour",
    "language": "os.environ['LANG']",
    "person": "os.environ['USER']",
    "secret": "pulumi.Output.secret(uuid.uuid4().hex)",
}
"""What makes a preview noisy, each as the value of a resource's description."""

NOISY: Final = f"""
import json, os, pathlib, time, uuid, zipfile
from datetime import UTC, date, datetime
import pulumi

class Thing(pulumi.CustomResource):
    def __init__(self, name, **inputs):
        super().__init__("shop:index:Thing", name, inputs, inputs.pop("opts", None))

for name, value in {NOISE!r}.items():
    Thing(name, description=eval(value))

with zipfile.ZipFile("code.zip", "w") as archive:
    archive.write("Pulumi.yaml")
Thing("archive", code=pulumi.FileArchive("code.zip"))
others = [Thing(f"other-{{number}}") for number in range(2)]
Thing("dependency", opts=pulumi.ResourceOptions(depends_on=others[os.environ["USER"] == "bob":]))
Thing("alias", opts=pulumi.ResourceOptions(aliases=[pulumi.Alias(name=str(uuid.uuid4()))]))
Thing("protection", opts=pulumi.ResourceOptions(protect=os.environ["USER"] == "bob"))
Thing(f"name-of-{{uuid.uuid4()}}")
Thing("quiet", description=json.dumps({{"b": 1, "a": 2.5}}, sort_keys=True), code=pulumi.FileArchive("Pulumi.yaml"))
pulumi.export("stamp", str(date.today()))
"""


def test_whatever_is_noisy_is_found_and_told_by_resource_and_property(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    (source / "Pulumi.yaml").write_text("name: shop\nruntime: python\n")
    (source / "__main__.py").write_text(NOISY)
    _, (one, other) = both(source, tmp_path, ["dev"], own=False)
    found = [each.removeprefix("dev ") for each in differences(one, other)]
    places = {each.split(": ")[0].rpartition("::")[2] + ": " + each.split(": ")[1].split(" is ")[0] for each in found}
    wanted = {f"{name}: inputs.description" for name in NOISE} | {
        "archive: inputs.code.sha256",
        "alias: aliases.0",
        "dependency: dependencies",
        "protection: protect",
        "outputs: stamp",
    }
    assert wanted <= places, f"not noticed: {sorted(wanted - places)}"
    assert len([each for each in places if each.startswith("name-of-")]) == 2, "one here, and one there"
    assert not [each for each in places if each.startswith(("quiet", "other-"))]


def test_a_value_of_another_type_and_a_list_in_another_order_are_differences() -> None:
    assert not [*differences({"a": [1, {"b": "x"}]}, {"a": [1, {"b": "x"}]})]
    for one, other in [(1, True), (1, 1.0), ("1", 1), ([1, 2], [2, 1]), ([1], [1, 1]), ({}, {"a": None}), ([], {})]:
        assert [*differences({"a": one}, {"a": other})], (one, other)


# The program is quiet


@pytest.fixture(scope="module")
def two_runs(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[Path], list[dict[str, Any]]]:
    """Every stack on both machines, with a layer that pip does not have to fetch."""

    def lay(folder: Path) -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(packaging, "_install", lambda _, target: (target / "package.py").write_text(""))
            layer_archive(folder)

    return both(ROOT, tmp_path_factory.mktemp("quiet"), STACKS, lay, own=True)


@pytest.mark.parametrize("stack", STACKS)
def test_two_runs_register_the_same_in_every_property(
    stack: str, two_runs: tuple[list[Path], list[dict[str, Any]]]
) -> None:
    one, other = (run[stack] for run in two_runs[1])
    assert len(one) > 100, "the whole program was recorded"
    found = [*differences(one, other, (stack,))]
    assert not found, "a preview of the same commit would show changes:\n" + "\n".join(found)


def test_no_property_says_where_the_program_was_run(two_runs: tuple[list[Path], list[dict[str, Any]]]) -> None:
    for folder, run in zip(*two_runs, strict=True):
        registered = json.dumps(run)
        assert not [path for path in (str(folder), str(ROOT), str(Path.home())) if path in registered]


def test_each_run_builds_archives_of_its_own_and_they_are_the_same_byte_for_byte(
    two_runs: tuple[list[Path], list[dict[str, Any]]],
) -> None:
    one, other = (built(folder) for folder in two_runs[0])
    assert "package/handlers.zip" in one
    assert one.keys() == other.keys()
    assert not [name for name in one if one[name] != other[name]]


@pytest.mark.proof
def test_nor_does_a_layer_that_each_run_has_pip_build_for_itself_differ(tmp_path: Path) -> None:
    folders, (one, other) = both(ROOT, tmp_path, ["prod"], own=True)
    assert not [*differences(one, other)]
    archives = [built(folder) for folder in folders]
    assert any(name.startswith("package/layer-") for name in archives[0])
    assert archives[0] == archives[1]
