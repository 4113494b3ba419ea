"""MiniStack as a subprocess: loopback only, authorization on, its log kept, gone with whoever started it."""

from __future__ import annotations

import atexit
import http.client
import os
import runpy
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final, Self

from local import calls, kept_alarms, known_actions, published, reserved
from local.config import ROOT

HOST: Final = "127.0.0.1"
LOG: Final = ROOT / "build" / "local" / "emulator.log"
START_SECONDS: Final = 30.0
"""It answers within a second; a machine that is busy with something else may need many times that."""
STOP_SECONDS: Final = 5.0
"""What its own graceful stop takes at most (connections get 3 s), and a margin."""
LOG_TAIL: Final = 20

_QUIET: Final = {
    # Listeners on fixed ports, for services that this project does not use.
    "IOT_MTLS_ENABLED": "0",
    "SFTP_ENABLED": "0",
    # Functions run as subprocesses. Without this the emulator would tidy up containers of other emulators.
    "DOCKER_HOST": "unix:///nonexistent/docker.sock",
}
_NO_ACCOUNT: Final = {
    # Neither the emulator nor a function may find the credentials of whoever runs this.
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    "AWS_EC2_METADATA_DISABLED": "true",
}


class EmulatorError(Exception):
    """The emulator could not be started; the message ends with the last lines of its log."""


class Emulator:
    """One emulator, from `start` to `stop`; also a context manager.

    `port` 0 takes a free one. `environment` is handed to the emulator and so to every function it runs
    (`AWS_ENDPOINT_URL_SESV2`, `AWS_XRAY_DAEMON_ADDRESS`). The access key `test` is the account's root.
    """

    def __init__(self, *, port: int = 0, environment: Mapping[str, str] | None = None, log_path: Path = LOG) -> None:
        self.port = port or free_port()
        self.environment = dict(environment or {})
        self.log_path = log_path
        self._process: subprocess.Popen[bytes] | None = None
        self._scratch: Path | None = None

    @property
    def endpoint(self) -> str:
        return f"http://{HOST}:{self.port}"

    def start(self) -> Self:
        """Returns once the emulator answers. Raises EmulatorError for a busy port and for a failed start."""
        _refuse_busy(self.port)
        self.log_path.parent.mkdir(parents=True, exist_ok=True)
        self._scratch = Path(tempfile.mkdtemp(prefix="mailroom-emulator-"))
        with self.log_path.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "local.emulator"],
                cwd=ROOT,
                env=self._environment(),
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            self._await_health(self._process)
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """Ends the emulator and the functions it runs: asks first, then kills. Does nothing twice."""
        if process := self._process:
            self._process = None
            _end_group(process)
        if self._scratch:
            shutil.rmtree(self._scratch, ignore_errors=True)
            self._scratch = None

    def reset(self) -> None:
        """Empties the account: every resource, message, row, log and running function."""
        status = _status(self.port, "POST", "/_ministack/reset", timeout=30)
        if status != http.client.OK:
            raise EmulatorError(f"the emulator on port {self.port} refused to reset (status {status})")

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _environment(self) -> dict[str, str]:
        return {
            "PATH": os.environ.get("PATH", os.defpath),
            "LANG": "C.UTF-8",
            "TZ": "UTC",
            "TMPDIR": str(self._scratch),
            "GATEWAY_PORT": str(self.port),
            "BIND_HOST": HOST,
            "MINISTACK_HOST": HOST,
            "AUTH": "true",
            "PYTHONUNBUFFERED": "1",
            **_QUIET,
            **_NO_ACCOUNT,
            **self.environment,
        }

    def _await_health(self, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            healthy = _status(self.port, "GET", "/_ministack/health", timeout=1) == http.client.OK
            if process.poll() is not None:
                raise EmulatorError(f"the emulator ended with status {process.returncode}\n{self._tail()}")
            if healthy:
                return
            time.sleep(0.02)
        raise EmulatorError(f"the emulator did not answer within {START_SECONDS:g} s\n{self._tail()}")

    def _tail(self) -> str:
        lines = self.log_path.read_text(encoding="utf-8", errors="replace").splitlines()[-LOG_TAIL:]
        return "\n".join([f"--- last lines of {self.log_path}", *lines])


def free_port() -> int:
    """A loopback TCP port that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def _refuse_busy(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            raise EmulatorError(
                f"port {port} on {HOST} is in use ({error.strerror}); stop what listens there, or choose another port"
            ) from error


def _status(port: int, method: str, path: str, *, timeout: float) -> int | None:
    connection = http.client.HTTPConnection(HOST, port, timeout=timeout)
    try:
        connection.request(method, path)
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()


def _end_group(process: subprocess.Popen[bytes]) -> None:
    """Ends the process group that `process` leads, members that outlive their leader included."""
    if process.stdin:
        process.stdin.close()
    _signal_group(process.pid, signal.SIGTERM)
    deadline = time.monotonic() + STOP_SECONDS
    while time.monotonic() < deadline:
        process.poll()
        if not _signal_group(process.pid, 0):
            break
        time.sleep(0.02)
    else:
        _signal_group(process.pid, signal.SIGKILL)
    process.wait()


def _signal_group(group: int, number: int) -> bool:
    try:
        os.killpg(group, number)
    except ProcessLookupError:
        return False
    return True


def _serve() -> None:
    """Runs the emulator in this process, and ends this process group when standard input closes.

    The starter holds the other end: however it dies, the pipe closes, and nothing is left, processes or files.
    """

    def end_with_starter() -> None:
        sys.stdin.buffer.read()
        os.killpg(0, signal.SIGTERM)
        time.sleep(STOP_SECONDS)
        os.killpg(0, signal.SIGKILL)

    threading.Thread(target=end_with_starter, daemon=True).start()
    atexit.register(shutil.rmtree, os.environ["TMPDIR"], ignore_errors=True)
    kept_alarms.install()
    known_actions.install()
    reserved.install()
    calls.install()
    published.install()
    runpy.run_module("ministack", run_name="__main__")


if __name__ == "__main__":
    _serve()
