"""Lost replies, errors and slowness by order, and the twin as a process."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from botocore.exceptions import ClientError, ConnectionClosedError, ReadTimeoutError

from local.config import ROOT
from local.emulator import free_port
from local.twin import TwinProcess, TwinStartError
from local.twin.client import TwinError
from tests.twin.world import Running, World, client

pytestmark = pytest.mark.local


@pytest.mark.parametrize(("fault", "error"), [("reset", ConnectionClosedError), ("hang", ReadTimeoutError)])
def test_a_lost_reply_leaves_an_accepted_mail(fault: str, error: type[Exception], world: World) -> None:
    world.twin.configure(faults={"jane@*": fault}, fault_times=1)
    impatient = client("sesv2", world.running.endpoint, read_timeout=1)
    with pytest.raises((error, ConnectionResetError)):
        world.send(ses=impatient)
    assert len(world.twin.mailbox()) == 1
    assert world.types() == ["Send", "Delivery"]
    assert world.twin.counts()["replies lost"] == 1
    world.send(ses=impatient)
    assert len(world.twin.mailbox()) == 2, "fault_times: the second attempt is answered"


@pytest.mark.parametrize(
    ("fault", "status", "name"),
    [("error", 500, "InternalServiceErrorException"), ("throttle", 429, "TooManyRequestsException")],
)
def test_a_fault_before_acceptance_leaves_nothing(fault: str, status: int, name: str, world: World) -> None:
    world.twin.configure(faults={"jane@*": fault})
    with pytest.raises(ClientError) as caught:
        world.send()
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == status
    assert type(caught.value).__name__ == name
    assert (world.twin.mailbox(), world.events()) == ([], [])
    world.send("john@example.net")


def test_shares_of_faults_are_met_over_many_calls(world: World) -> None:
    world.twin.configure(fault_shares={"throttle": 0.25, "error": 0.25})
    results = [_result(world) for _ in range(60)]
    assert 15 <= len(world.twin.mailbox()) <= 45
    assert {429, 500, 200} == set(results)


def _result(world: World) -> int:
    try:
        world.send()
    except ClientError as error:
        return int(error.response["ResponseMetadata"]["HTTPStatusCode"])
    return 200


def test_a_reply_can_be_slow(world: World) -> None:
    world.twin.configure(reply_delay_ms=120)
    started = time.monotonic()
    world.send()
    assert time.monotonic() - started >= 0.12


def test_a_wrong_option_is_refused_and_nothing_changes(world: World) -> None:
    with pytest.raises(TwinError, match="speed: not an option"):
        world.twin.configure(max_send_rate=5, speed=1)
    assert world.twin.configure()["max_send_rate"] == 1000


def test_a_reset_forgets_mails_and_events_under_way(world: World) -> None:
    world.twin.configure(outcome_delay_ms=60_000)
    world.send()
    world.twin.reset()
    world.twin.settle(timeout=1)
    assert (world.twin.mailbox(), world.twin.counts()) == ([], {})


def test_without_an_emulator_calls_fail_as_an_unavailable_service(tmp_path: Path) -> None:
    with TwinProcess(f"http://127.0.0.1:{free_port()}", tmp_path / "twin.log") as process:
        ses = client("sesv2", process.endpoint)
        with pytest.raises(ClientError) as caught:
            ses.get_account()
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 503


def test_a_twin_that_cannot_start_says_why(tmp_path: Path) -> None:
    twin = TwinProcess("http://127.0.0.1:1", tmp_path / "twin.log", options={"speed": 1})
    with pytest.raises(TwinStartError, match="speed: not an option"):
        twin.start()


def test_it_ends_with_whoever_started_it(running: Running, tmp_path: Path) -> None:
    """A demo that is killed leaves nothing behind."""
    start = f"""
import os
from pathlib import Path
from local.twin import TwinProcess
print(TwinProcess({running.emulator.endpoint!r}, Path({str(tmp_path / "twin.log")!r})).start().endpoint, flush=True)
os._exit(1)
"""
    starter = subprocess.run([sys.executable, "-c", start], cwd=ROOT, capture_output=True, text=True, check=False)
    host, _, port = starter.stdout.strip().removeprefix("http://").partition(":")
    deadline = time.monotonic() + 5
    while _listens(host, int(port)):
        assert time.monotonic() < deadline, "the twin outlived the process that started it"
        time.sleep(0.05)


def _listens(host: str, port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((host, port)) == 0
