"""What holds for every test: nothing leaves this machine, and no credentials but made-up ones are found."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from ipaddress import ip_address
from typing import Any

import pytest
from hypothesis import settings

# Machines that run several things at once are slow at times; a property is about what is right, not how fast.
settings.register_profile("mailroom", deadline=None)
settings.register_profile("check", deadline=None, max_examples=25)  # `make check`; `make test` tries four times as many
settings.load_profile("mailroom")

MADE_UP = {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes minutes begins first, so that the quick ones fill up what is left beside it."""
    items.sort(key=lambda item: not any(item.get_closest_marker(slow) for slow in ("local", "mutation")))


@pytest.fixture(autouse=True, scope="session")
def made_up_credentials() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("AWS_")]:
            patch.delenv(name)
        for name, value in MADE_UP.items():
            patch.setenv(name, value)
        yield


@pytest.fixture(autouse=True, scope="session")
def loopback_only() -> Iterator[None]:
    """Refuse connections to other machines: a test that needs one would fail elsewhere, and might do harm."""
    connect = socket.socket.connect

    def guarded(self: socket.socket, address: Any) -> None:
        if self.family in (socket.AF_INET, socket.AF_INET6) and not _is_loopback(address[0]):
            raise ConnectionRefusedError(f"a test tried to reach {address}; tests stay on this machine")
        connect(self, address)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", guarded)
        yield


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
