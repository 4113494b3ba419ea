"""The twin as a process of its own."""

from __future__ import annotations

import json
import select
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Self

ROOT: Final = Path(__file__).resolve().parents[2]
START_SECONDS: Final = 20.0
STOP_SECONDS: Final = 5.0


class TwinStartError(Exception):
    """The twin did not come up; the text ends with what it had to say."""


class TwinProcess:
    """Starts and stops `python -m local.twin`. Also a context manager. `options` as in local.twin.options.Options."""

    def __init__(
        self, emulator_endpoint: str, log_path: Path, port: int = 0, options: Mapping[str, Any] | None = None
    ) -> None:
        self._log_path = Path(log_path).resolve()
        self._command = (
            *(sys.executable, "-m", "local.twin", "--port", str(port), "--emulator", emulator_endpoint),
            *("--log", str(self._log_path), "--options", json.dumps(dict(options or {})), "--follow"),
        )
        self._process: subprocess.Popen[str] | None = None
        self._endpoint = ""

    @property
    def endpoint(self) -> str:
        """http://127.0.0.1:<port>: what AWS_ENDPOINT_URL_SESV2 is set to."""
        if not self._endpoint:
            raise TwinStartError("the twin has not been started")
        return self._endpoint

    def start(self) -> Self:
        """Return when it accepts connections. Raises TwinStartError if it does not."""
        self._log_path.parent.mkdir(parents=True, exist_ok=True)
        with self._log_path.open("a", encoding="utf-8") as log:
            process = subprocess.Popen(
                self._command,
                cwd=ROOT,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                # Ctrl-C is for whoever started the twin to act on: it may still be needed for a moment.
                start_new_session=True,
            )
        assert process.stdout, "asked for as a pipe"
        self._process = process
        ready, _, _ = select.select([process.stdout], [], [], START_SECONDS)
        self._endpoint = process.stdout.readline().strip() if ready else ""
        if not self._endpoint:
            self.stop()
            said = self._log_path.read_text(encoding="utf-8").strip()[-2000:]
            raise TwinStartError(f"the SES twin did not start within {START_SECONDS:g} s; its log ends with: {said}")
        return self

    def stop(self) -> None:
        """Stop it, if it runs."""
        process, self._process, self._endpoint = self._process, None, ""
        if process is None:
            return
        process.terminate()
        try:
            process.communicate(timeout=STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()
