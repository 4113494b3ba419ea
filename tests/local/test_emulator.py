"""The emulator starts or says why not, and leaves nothing running, however it ends."""

from __future__ import annotations

import io
import json
import os
import signal
import socket
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import boto3
import pytest
from botocore.exceptions import ClientError

from local.aws import LocalAws
from local.config import ROOT
from local.deployer.model import Account
from local.emulator import HOST, Emulator, EmulatorError
from local.twin.process import TwinStartError

pytestmark = pytest.mark.local

TRUST = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": "lambda.amazonaws.com"}}],
}

STARTER = """\
import sys, time
from pathlib import Path
from local.emulator import Emulator
running = Emulator(log_path=Path(sys.argv[1])).start()
print(running.port, running._scratch, flush=True)
time.sleep(60)
"""


def eventually(holds: Callable[[], bool], *, within: float = 10.0) -> bool:
    deadline = time.monotonic() + within
    while time.monotonic() < deadline:
        if holds():
            return True
        time.sleep(0.05)
    return holds()


def listening(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((HOST, port)) == 0


def group_alive(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def run_function(account: Account, code: str) -> dict[str, object]:
    """Creates a function of these lines, runs it once, and returns what it answered."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as files:
        files.writestr("app.py", code)
    role = account.client("iam").create_role(RoleName="r", AssumeRolePolicyDocument=json.dumps(TRUST))
    functions = account.client("lambda")
    functions.create_function(
        FunctionName="probe",
        Runtime="python3.13",
        Handler="app.handler",
        Role=role["Role"]["Arn"],
        Code={"ZipFile": archive.getvalue()},
    )
    answer = functions.invoke(FunctionName="probe")
    found: dict[str, object] = json.loads(answer["Payload"].read())
    return found


def test_it_serves_on_loopback_and_stops_with_all_its_functions(tmp_path: Path) -> None:
    emulator = Emulator(log_path=tmp_path / "emulator.log", environment={"COLOUR": "green"})
    with emulator:
        lines = "import os\ndef handler(event, context):\n    return {'group': os.getpgid(0), **os.environ}\n"
        found = run_function(Account(emulator.endpoint, "us-east-1"), lines)
        assert found["COLOUR"] == "green", "what the emulator is given has to reach its functions"
        assert found["AWS_ENDPOINT_URL"] == emulator.endpoint
        assert group_alive(int(str(found["group"])))
    assert not listening(emulator.port)
    assert not group_alive(int(str(found["group"]))), "a function outlived the emulator"
    assert (tmp_path / "emulator.log").stat().st_size > 0, "the log has to be kept"
    assert not Path(str(found["TMPDIR"])).exists(), "functions' unpacked code was left behind"


def test_it_is_stopped_when_the_work_with_it_fails(tmp_path: Path) -> None:
    emulator = Emulator(log_path=tmp_path / "emulator.log")
    with pytest.raises(ZeroDivisionError), emulator:
        _ = 1 / 0
    assert not listening(emulator.port)


def test_it_ends_when_whoever_started_it_is_killed(tmp_path: Path) -> None:
    starter = subprocess.Popen(
        [sys.executable, "-c", STARTER, str(tmp_path / "emulator.log")],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert starter.stdout
    port, scratch = starter.stdout.readline().split()
    assert listening(int(port))
    assert Path(scratch).is_dir()
    starter.send_signal(signal.SIGKILL)
    starter.wait()
    assert eventually(lambda: not listening(int(port))), "nobody was left to stop it, and it stayed"
    assert eventually(lambda: not Path(scratch).exists()), "what the functions had unpacked was left behind"


def test_a_busy_port_is_refused_by_name(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind((HOST, 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(EmulatorError, match=f"port {port} .* in use"):
            Emulator(port=port, log_path=tmp_path / "emulator.log").start()


def test_nothing_of_an_account_is_left_when_its_port_is_busy(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind((HOST, 0))
        taken.listen()
        account = LocalAws(port=taken.getsockname()[1], folder=tmp_path)
        with pytest.raises(EmulatorError, match="in use"):
            account.start()
        with pytest.raises(TwinStartError):
            _ = account.twin


def test_a_failed_start_shows_the_end_of_its_log(tmp_path: Path) -> None:
    broken = {"GATEWAY_PORT": "many"}
    emulator = Emulator(log_path=tmp_path / "emulator.log", environment=broken)
    with pytest.raises(EmulatorError, match=r"(?s)ended with status.*last lines of.*many"):
        emulator.start()
    assert not listening(emulator.port)


def test_authorization_is_on_and_nobodys_own_credentials_get_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "somebody")
    monkeypatch.setenv("AWS_PROFILE", "production")
    with Emulator(log_path=tmp_path / "emulator.log") as emulator:
        found = run_function(
            Account(emulator.endpoint, "us-east-1"),
            "import os\ndef handler(event, context):\n    return dict(os.environ)\n",
        )
        assert "AWS_PROFILE" not in found
        monkeypatch.delenv("AWS_PROFILE")
        stranger = boto3.Session(aws_access_key_id="somebody", aws_secret_access_key="x", region_name="us-east-1")
        with pytest.raises(ClientError, match=r"InvalidClientTokenId"):
            stranger.client("sqs", endpoint_url=emulator.endpoint).list_queues()


def test_a_reset_leaves_nothing_in_the_account(emulator: Emulator) -> None:
    queues = Account(emulator.endpoint, "us-east-1").client("sqs")
    queues.create_queue(QueueName="one")
    emulator.reset()
    assert not queues.list_queues().get("QueueUrls")
