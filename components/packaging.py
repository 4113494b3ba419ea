"""What is shipped to Lambda: a zip of handlers/ and a layer of the packages in requirements/lambda.txt.

The same sources give the same bytes on any path, umask and clock: a byte that differed would be a change of the
function at every preview. So entries are sorted, times and modes fixed, and nothing is compressed, since what deflate
makes depends on the zlib that Python was built with.
"""

import io
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Final

import pulumi

from components.function import RUNTIME

ROOT: Final = Path(__file__).resolve().parent.parent

# The wheels that Lambda's python3.13 on arm64 can load, best first: Amazon Linux 2023 has glibc 2.34.
PLATFORMS: Final = ("manylinux_2_34_aarch64", "manylinux_2_28_aarch64", "manylinux2014_aarch64")
PIP: Final = (
    *("--require-hashes", "--no-deps", "--only-binary=:all:", "--no-compile"),
    *(flag for platform in PLATFORMS for flag in ("--platform", platform)),
    *("--python-version", RUNTIME.removeprefix("python"), "--implementation", "cp"),
)
# Written by pip as it installs, with paths and tools of this machine; and scripts, which a function does not call.
BY_PRODUCTS: Final = ("RECORD", "INSTALLER", "REQUESTED", "direct_url.json")
SKIPPED_FOLDERS: Final = ("__pycache__", "bin")

# The earliest time that a zip can hold.
EPOCH: Final = (1980, 1, 1, 0, 0, 0)
READABLE: Final = 0o100644 << 16
UNIX: Final = 3


class PackagingError(pulumi.RunError):
    """The packages could not be installed. A RunError, so that the CLI prints the message and no stack trace."""


def handlers_archive(root: Path = ROOT) -> pulumi.FileArchive:
    """The zip of `root`/handlers, built anew; kept in `root`/build/package."""
    return _kept(root / "build/package/handlers.zip", zipped(tree(root / "handlers", "handlers")))


def layer_archive(root: Path = ROOT) -> pulumi.FileArchive:
    """The layer of `root`/requirements/lambda.txt; built by pip once for each content of that file, then kept in
    `root`/build/package. Raises PackagingError."""
    requirements = root / "requirements/lambda.txt"
    recipe = sha256(repr((PIP, BY_PRODUCTS, SKIPPED_FOLDERS)).encode() + requirements.read_bytes()).hexdigest()
    path = root / f"build/package/layer-{recipe[:16]}.zip"
    if path.exists():
        return pulumi.FileArchive(str(path))
    with tempfile.TemporaryDirectory() as folder:
        _install(requirements, Path(folder))
        return _kept(path, zipped(tree(Path(folder), "python")))


def tree(folder: Path, prefix: str) -> dict[str, bytes]:
    """The files under `folder` that are worth shipping, by their path in the archive, which begins with `prefix`."""
    return {
        f"{prefix}/{relative.as_posix()}": path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and _shipped(relative := path.relative_to(folder))
    }


def zipped(files: Mapping[str, bytes]) -> bytes:
    """A zip of `files` (path to content) that depends on nothing else."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(files):
            entry = zipfile.ZipInfo(name, EPOCH)
            entry.external_attr = READABLE
            entry.create_system = UNIX
            archive.writestr(entry, files[name])
    return buffer.getvalue()


def _shipped(relative: Path) -> bool:
    return (
        not any(folder in relative.parts for folder in SKIPPED_FOLDERS)
        and not any(part.startswith(".") for part in relative.parts)
        and relative.name not in BY_PRODUCTS
        and relative.suffix not in {".pyc", ".pyi"}
        and not relative.name.endswith("~")
    )


def _install(requirements: Path, folder: Path) -> None:
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input"]
    done = subprocess.run(
        [*command, *PIP, "--target", str(folder), "--requirement", str(requirements)],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise PackagingError(f"pip could not install {requirements.name} for Lambda:\n{done.stderr.strip()}")


def _kept(path: Path, content: bytes) -> pulumi.FileArchive:
    """Write `content` to `path` unless it is there; at once, as another process may be reading it."""
    if not path.exists() or path.read_bytes() != content:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as draft:
            draft.write(content)
        Path(draft.name).replace(path)
    return pulumi.FileArchive(str(path))
