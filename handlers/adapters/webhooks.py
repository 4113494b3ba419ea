"""HTTPS receivers of pages. Their addresses are secrets: whoever has one can post to it. Only hosts are logged."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any
from urllib.parse import urlsplit

import urllib3

# At DEBUG it logs the path of each request, which is the secret part of it.
logging.getLogger("urllib3").setLevel(logging.WARNING)

_TIMEOUT = urllib3.Timeout(connect=2, read=5)
"""A receiver that has not answered within seconds is busy; it is asked again later."""


class NotTaken(Exception):
    """A receiver did not answer, or not with success. The message names its host and no more of its address."""


@dataclass(frozen=True, slots=True, repr=False)
class Receiver:
    """Where pages are posted to."""

    url: str

    @property
    def id(self) -> str:
        """What stands for it in queues and logs. It stays while the address does, whatever the list's order."""
        return sha256(self.url.encode()).hexdigest()[:12]

    @property
    def host(self) -> str:
        return urlsplit(self.url).hostname or ""


class Webhooks:
    """The receivers, by severity."""

    def __init__(self, urls: Mapping[str, Sequence[str]]) -> None:
        self._receivers = {severity: [Receiver(url) for url in given] for severity, given in urls.items()}
        # Without retries it does not follow redirects either.
        self._pool = urllib3.PoolManager(timeout=_TIMEOUT, retries=False, maxsize=10)

    def of(self, severity: str) -> list[Receiver]:
        return self._receivers.get(severity, [])

    def find(self, receiver_id: str) -> Receiver | None:
        """The receiver with that id, while it is configured."""
        return next((each for given in self._receivers.values() for each in given if each.id == receiver_id), None)

    def post(self, receiver: Receiver, body: Mapping[str, Any], key: str) -> None:
        """Post `body` as JSON; `key`, the same for every copy, is the header `Idempotency-Key`.

        Any 2xx is success, a redirect is not: a page does not follow one. Raises NotTaken.
        """
        headers = {"Content-Type": "application/json", "Idempotency-Key": key, "User-Agent": "mailroom-notify"}
        try:
            answer = self._pool.request("POST", receiver.url, body=json.dumps(body), headers=headers)
        except urllib3.exceptions.HTTPError as error:
            # Not the error's own words, which may quote the address.
            raise NotTaken(f"{receiver.host}: {type(error).__name__}") from None
        if not 200 <= answer.status < 300:
            raise NotTaken(f"{receiver.host} answered {answer.status}")
