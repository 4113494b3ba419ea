"""An X-Ray daemon that keeps what it is sent: segments, as the SDK sends them over UDP."""

from __future__ import annotations

import json
import secrets
import socket
import threading
from collections import defaultdict, deque
from typing import Any, Final, Self

HOST: Final = "127.0.0.1"
HEADER: Final = {"format": "json", "version": 1}
"""First line of each datagram; the document follows. AWS X-Ray Developer Guide, "Sending segment documents to the X-Ray
daemon"."""
RECEIVE_BUFFER: Final = 8 * 1024 * 1024
"""Asked for; the kernel gives what net.core.rmem_max allows. A burst of a few thousand segments has to wait in it."""
DATAGRAM: Final = 65_535
KEPT: Final = 200_000

Segment = dict[str, Any]


class SegmentListener:
    """Listens on a free UDP port of the loopback. Keeps the latest `kept` datagrams, segments and subsegments alike.

    `address` ("127.0.0.1:<port>") is what AWS_XRAY_DAEMON_ADDRESS is set to. Safe to read from any thread while it
    runs, and after it has stopped.
    """

    def __init__(self, kept: int = KEPT) -> None:
        self._received: deque[bytes] = deque(maxlen=kept)
        self._segments: deque[Segment] = deque(maxlen=kept)
        self._malformed = 0
        self._lock = threading.Lock()
        self._goodbye = secrets.token_bytes(16)
        self._socket: socket.socket | None = None
        self._thread: threading.Thread | None = None
        self._address = ""

    @property
    def address(self) -> str:
        if not self._address:
            raise RuntimeError("the listener has not been started")
        return self._address

    @property
    def malformed(self) -> int:
        """How many datagrams were not what the protocol says. They are dropped."""
        self.segments()
        return self._malformed

    def start(self) -> Self:
        bound = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
        bound.bind((HOST, 0))
        self._address = f"{HOST}:{bound.getsockname()[1]}"
        self._socket = bound
        self._thread = threading.Thread(target=self._listen, args=(bound,), name="x-ray listener", daemon=True)
        self._thread.start()
        return self

    def stop(self) -> None:
        """Take in what has already arrived, then stop, if it runs."""
        if self._socket is None or self._thread is None:
            return
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as parting:
            parting.sendto(self._goodbye, self._socket.getsockname())
        self._thread.join(timeout=5)
        self._socket.close()
        self._socket = self._thread = None

    def segments(self) -> list[Segment]:
        """Documents in the order in which they arrived."""
        with self._lock:
            while self._received:
                segment = parse(self._received.popleft())
                if segment is None:
                    self._malformed += 1
                else:
                    self._segments.append(segment)
            return list(self._segments)

    def traces(self) -> dict[str, list[Segment]]:
        """Documents by their trace id, in the order in which they arrived."""
        found: defaultdict[str, list[Segment]] = defaultdict(list)
        for segment in self.segments():
            found[segment["trace_id"]].append(segment)
        return dict(found)

    def clear(self) -> None:
        with self._lock:
            self._received.clear()
            self._segments.clear()
            self._malformed = 0

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _listen(self, bound: socket.socket) -> None:
        # Nothing is read into a datagram here: what the kernel cannot hold while this thread is busy is lost.
        while (datagram := bound.recv(DATAGRAM)) != self._goodbye:
            self._received.append(datagram)


def parse(datagram: bytes) -> Segment | None:
    """The segment document in a datagram of the daemon's protocol, or None if it is something else."""
    header, _, document = datagram.partition(b"\n")
    try:
        if json.loads(header) != HEADER:
            return None
        segment = json.loads(document)
    except ValueError:
        return None
    return segment if isinstance(segment, dict) and isinstance(segment.get("trace_id"), str) else None
