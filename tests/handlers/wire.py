"""A web server on loopback that answers one request after the other as told, as SES would or as no server should."""

from __future__ import annotations

import json
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Answer = Callable[["Wire"], None]


class Wire(BaseHTTPRequestHandler):
    """Takes the whole request, notes it, then answers as told."""

    protocol_version = "HTTP/1.1"
    server: _Server

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.requests.append(json.loads(body))
        self.server.peers.add(self.client_address)
        self.server.answer(self)

    def log_message(self, *_: Any) -> None: ...


class _Server(ThreadingHTTPServer):
    requests: list[dict[str, Any]]
    peers: set[Any]
    answer: Answer

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: most connections here are broken on purpose."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


@contextmanager
def serving() -> Iterator[_Server]:
    server = _Server(("127.0.0.1", 0), Wire)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def answers(status: int, body: str, error: str = "") -> Answer:
    """An answer in SES's wire format: a JSON body, an error's name in a header (AWS restJson1 protocol)."""

    def answer(wire: Wire) -> None:
        payload = body.encode()
        wire.send_response(status)
        wire.send_header("Content-Type", "application/json")
        if error:
            wire.send_header("x-amzn-ErrorType", error)
        wire.send_header("Content-Length", str(len(payload)))
        wire.end_headers()
        wire.wfile.write(payload)

    return answer


def refuses(status: int, error: str, message: str = "told so") -> Answer:
    return answers(status, json.dumps({"message": message}), error)


def resets(wire: Wire) -> None:
    """The connection breaks once the request has been taken: a RST instead of an answer."""
    wire.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    wire.close_connection = True
    # The handler's file objects hold the socket open until they are closed, too.
    wire.rfile.close()
    wire.wfile.close()
    wire.connection.close()


def hangs_up(wire: Wire) -> None:
    """The connection ends without an answer, politely."""
    wire.close_connection = True


def breaks_off(wire: Wire) -> None:
    """Half of an answer."""
    wire.send_response(200)
    wire.send_header("Content-Length", "1000")
    wire.end_headers()
    wire.wfile.write(b'{"MessageId": "ses')
    wire.close_connection = True


def stays_silent(wire: Wire) -> None:
    """No answer within the time that the client gives it."""
    threading.Event().wait(0.5)
    wire.close_connection = True
