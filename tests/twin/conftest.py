"""What the twin's tests share: mails, and for the local tier one emulator with a twin in front of it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from local.emulator import Emulator
from local.twin import TwinProcess
from local.twin.client import TwinClient
from local.twin.options import Options
from tests.twin.mails import MakeSent, make_sent
from tests.twin.world import Running, World, client


@pytest.fixture
def sent() -> MakeSent:
    return make_sent


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("twin")
    with (
        Emulator(log_path=folder / "emulator.log") as emulator,
        TwinProcess(emulator.endpoint, folder / "twin.log") as process,
    ):
        client("sesv2", process.endpoint).create_email_identity(EmailIdentity="mail.example.com")
        yield Running(emulator, process.endpoint, folder / "twin.log")


@pytest.fixture
def world(running: Running) -> Iterator[World]:
    """A configuration set of its own for each test, a twin that has heard nothing yet, and a generous account."""
    twin = TwinClient(running.endpoint)
    twin.configure(**Options(max_send_rate=1000, hang_seconds=5).to_json())
    yield World(running)
    twin.reset()
