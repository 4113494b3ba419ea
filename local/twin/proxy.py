"""The way to the emulator and back: requests pass unchanged, Host header included, so that their signatures hold."""

from __future__ import annotations

import json
import logging
import re
import socket
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from aiohttp import ClientError, ClientSession, ClientTimeout, DummyCookieJar, TCPConnector, web
from yarl import URL

from local.twin.lookup import ROOT_KEY
from local.twin.refusals import Refusal

log = logging.getLogger(__name__)

_HOP_BY_HOP: Final = frozenset(
    {"connection", "keep-alive", "te", "trailers", "transfer-encoding", "upgrade", "proxy-connection", "expect"}
)
_CREDENTIAL: Final = re.compile(r"Credential=([^/]+)/[^/]+/([^/]+)/")
FORWARD_SECONDS: Final = 30.0


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls, as the signature says: the access key and the region that it is for."""

    access_key: str
    region: str

    @classmethod
    def of(cls, headers: Mapping[str, str]) -> Caller:
        found = _CREDENTIAL.search(headers.get("Authorization", ""))
        return cls(*found.groups()) if found else cls("anonymous", "us-east-1")

    @property
    def identity(self) -> str:
        """What `ses:caller-identity` shows. Whose a key is, the emulator does not tell: a role's is its access key."""
        return "root" if self.access_key == ROOT_KEY else self.access_key


@dataclass(frozen=True, slots=True)
class Reply:
    """What the emulator answered."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def ok(self) -> bool:
        return self.status < 300

    @property
    def denied(self) -> bool:
        """Whether the caller may not do this at all, or the emulator is in no state to say."""
        return self.status in (401, 403) or self.status >= 500

    def json(self) -> dict[str, Any]:
        return dict(json.loads(self.body)) if self.body else {}

    def response(self) -> web.Response:
        return web.Response(status=self.status, headers=self.headers, body=self.body)


class Upstream:
    """The emulator behind the twin."""

    def __init__(self, endpoint: str) -> None:
        self.endpoint = endpoint.rstrip("/")
        self._session: ClientSession | None = None

    async def open(self) -> None:
        self._session = ClientSession(
            auto_decompress=False,
            cookie_jar=DummyCookieJar(),
            connector=TCPConnector(limit=64),
            timeout=ClientTimeout(total=FORWARD_SECONDS),
            skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding", "Content-Type"),
        )

    async def close(self) -> None:
        if self._session:
            await self._session.close()

    async def forward(self, request: web.Request, body: bytes) -> Reply:
        """Pass the request on as it came. An emulator that does not answer is a 503, as an AWS service would give."""
        assert self._session, "open() comes first"
        url = URL(self.endpoint + request.raw_path, encoded=True)
        try:
            async with self._session.request(
                request.method, url, headers=_passed_on(request.headers), data=body or None, allow_redirects=False
            ) as answer:
                return Reply(answer.status, _passed_on(answer.headers, "content-length"), await answer.read())
        except (ClientError, TimeoutError, OSError) as error:
            log.error("the emulator did not answer %s %s: %s", request.method, request.path, error)
            text = json.dumps({"message": "The request failed due to a temporary failure of the server."}).encode()
            return Reply(503, {"x-amzn-ErrorType": "ServiceUnavailable", "Content-Type": "application/json"}, text)


def refuse(refusal: Refusal) -> web.Response:
    return web.Response(status=refusal.status, headers=refusal.headers(), body=refusal.body())


def reset(request: web.Request) -> None:
    """Cut the connection with a TCP reset: the caller learns that it is gone, and nothing else."""
    transport = request.transport
    if transport is None:
        return
    if (connection := transport.get_extra_info("socket")) is not None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()


def _passed_on(headers: Mapping[str, str], *without: str) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name.lower() not in _HOP_BY_HOP.union(without)}
