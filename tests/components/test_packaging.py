"""What is shipped depends on the sources alone."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import sys
import zipfile
from hashlib import sha256
from pathlib import Path

import pytest

from components import packaging
from components.packaging import PIP, PackagingError, handlers_archive, layer_archive, tree, zipped

ROOT = packaging.ROOT
BUILD = """
import os, pathlib, sys
from components.packaging import layer_archive
os.umask(int(sys.argv[2]))
print(layer_archive(pathlib.Path(sys.argv[1])).path)
"""


def digest(archive: object) -> str:
    return sha256(Path(str(getattr(archive, "path"))).read_bytes()).hexdigest()  # noqa: B009 - typed as Archive


def copied(folder: Path, *, umask: int, clock: int) -> Path:
    """A copy of the sources as another person on another day would have it."""
    before = os.umask(umask)
    try:
        for name in ("handlers", "requirements"):
            shutil.copytree(ROOT / name, folder / name, copy_function=shutil.copyfile)
    finally:
        os.umask(before)
    for path in folder.rglob("*"):
        os.utime(path, (clock, clock))
    return folder


def test_two_folders_two_umasks_two_clocks_one_archive(tmp_path: Path) -> None:
    one = copied(tmp_path / "one", umask=0o022, clock=1_000_000_000)
    other = copied(tmp_path / "another folder/deep", umask=0o077, clock=2_000_000_001)
    (other / "handlers/__pycache__").mkdir(exist_ok=True)
    (other / "handlers/__pycache__/extra.cpython-311.pyc").write_bytes(b"compiled")
    (other / "handlers/.editor").write_text("state")
    assert digest(handlers_archive(one)) == digest(handlers_archive(other))


def test_a_changed_source_is_another_archive(tmp_path: Path) -> None:
    folder = copied(tmp_path / "one", umask=0o022, clock=1_000_000_000)
    before = digest(handlers_archive(folder))
    (folder / "handlers/send_email.py").write_text("changed = True\n")
    assert digest(handlers_archive(folder)) != before


def test_the_archive_holds_the_handlers_and_their_templates_and_nothing_else() -> None:
    with zipfile.ZipFile(str(getattr(handlers_archive(), "path"))) as archive:  # noqa: B009
        names = archive.namelist()
    assert "handlers/__init__.py" in names
    assert any(name.startswith("handlers/templates/") for name in names)
    assert names == sorted(names)
    assert {name.split("/")[0] for name in names} == {"handlers"}
    assert not [name for name in names if "__pycache__" in name or name.endswith(".pyc")]


def test_entries_say_nothing_about_when_and_by_whom() -> None:
    with zipfile.ZipFile(io.BytesIO(zipped({"b": b"2", "a": b"1"}))) as archive:
        entries = archive.infolist()
    assert [entry.filename for entry in entries] == ["a", "b"]
    assert {entry.date_time for entry in entries} == {(1980, 1, 1, 0, 0, 0)}
    assert {entry.external_attr >> 16 for entry in entries} == {0o100644}
    assert {entry.compress_type for entry in entries} == {zipfile.ZIP_STORED}


def test_the_order_in_which_files_are_found_does_not_matter() -> None:
    assert zipped({"a": b"1", "b": b"2"}) == zipped({"b": b"2", "a": b"1"})


def test_what_an_installation_writes_about_itself_is_left_out(tmp_path: Path) -> None:
    for name in (
        "jinja2/__init__.py",
        "jinja2/__pycache__/x.pyc",
        "jinja2-3.dist-info/METADATA",
        "jinja2-3.dist-info/RECORD",
        "jinja2-3.dist-info/INSTALLER",
        "jinja2-3.dist-info/direct_url.json",
        "bin/jinja",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    assert sorted(tree(tmp_path, "python")) == ["python/jinja2-3.dist-info/METADATA", "python/jinja2/__init__.py"]


def test_packages_are_pinned_and_come_as_wheels_for_lambdas_platform() -> None:
    assert "--require-hashes" in PIP
    assert "--only-binary=:all:" in PIP
    assert PIP[PIP.index("--python-version") + 1] == "3.13"
    assert all(PIP[index + 1].endswith("aarch64") for index, flag in enumerate(PIP) if flag == "--platform")


def test_a_layer_is_built_once_for_each_content_of_the_requirements(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    built: list[Path] = []

    def install(requirements: Path, folder: Path) -> None:
        built.append(requirements)
        (folder / "package.py").write_text("")

    monkeypatch.setattr(packaging, "_install", install)
    (tmp_path / "requirements").mkdir()
    pins = tmp_path / "requirements/lambda.txt"
    pins.write_text("one")
    first = layer_archive(tmp_path)
    assert getattr(layer_archive(tmp_path), "path") == getattr(first, "path")  # noqa: B009
    assert len(built) == 1
    pins.write_text("two")
    assert getattr(layer_archive(tmp_path), "path") != getattr(first, "path")  # noqa: B009
    assert len(built) == 2


def test_a_failed_installation_says_what_pip_said(tmp_path: Path) -> None:
    (tmp_path / "requirements").mkdir()
    (tmp_path / "requirements/lambda.txt").write_text("jinja2\n")  # no hash: refused before anything is fetched
    with pytest.raises(PackagingError, match="hash"):
        layer_archive(tmp_path)
    assert not list(tmp_path.glob("build/package/*"))


@pytest.mark.local
def test_two_builds_of_the_layer_from_different_folders_are_the_same(tmp_path: Path) -> None:
    one = copied(tmp_path / "one", umask=0o022, clock=1_000_000_000)
    other = copied(tmp_path / "another folder/deep", umask=0o077, clock=2_000_000_001)
    builds = [
        subprocess.run(
            [sys.executable, "-c", BUILD, str(folder), str(umask)],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
        for folder, umask in ((one, 0o022), (other, 0o077))
    ]
    assert Path(builds[0]).name == Path(builds[1]).name, "another name would be built again by every process"
    first, second = (sha256(Path(path).read_bytes()).hexdigest() for path in builds)
    assert builds[0] != builds[1]
    assert first == second
    with zipfile.ZipFile(builds[0]) as archive:
        names = archive.namelist()
    assert {"python/jinja2/__init__.py", "python/aws_xray_sdk/__init__.py"} <= set(names)
    assert not [name for name in names if name.startswith(("python/boto", "python/bin"))]
    binaries = [name for name in names if name.endswith(".so")]
    assert all("aarch64" in name for name in binaries), "built for Lambda, not for this machine"
