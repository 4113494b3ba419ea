from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator

import pytest

from local.xray import Segment, SegmentListener, parse

HEADER = b'{"format":"json","version":1}\n'


def segment(number: int, trace: str = "1-5759e988-bd862e3fe1be46a994272793") -> Segment:
    return {"trace_id": trace, "id": f"{number:016x}", "name": "send-email", "start_time": 1.5, "end_time": 2.5}


def datagram(document: Segment) -> bytes:
    return HEADER + json.dumps(document).encode()


@pytest.fixture
def listener() -> Iterator[SegmentListener]:
    with SegmentListener() as running:
        yield running


def send(listener: SegmentListener, *datagrams: bytes) -> None:
    host, _, port = listener.address.partition(":")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for each in datagrams:
            sender.sendto(each, (host, int(port)))


def test_segments_are_kept_in_order_and_by_trace(listener: SegmentListener) -> None:
    one, two, three = segment(1), segment(2, "1-other"), segment(3)
    send(listener, *map(datagram, (one, two, three)))
    listener.stop()
    assert listener.segments() == [one, two, three]
    assert listener.traces() == {one["trace_id"]: [one, three], "1-other": [two]}


def test_the_sdk_finds_it_at_the_address_given(listener: SegmentListener) -> None:
    core = pytest.importorskip("aws_xray_sdk.core", reason="the tracing SDK is not installed")
    recorder = core.AWSXRayRecorder()
    recorder.configure(service="shop", daemon_address=listener.address, sampling=False, context_missing="RUNTIME_ERROR")
    with recorder.in_segment("shop"), recorder.in_subsegment("ses") as subsegment:
        subsegment.put_annotation("order_id", "A-1001")
    listener.stop()
    (document,) = listener.segments()
    assert document["name"] == "shop"
    assert document["subsegments"][0]["annotations"] == {"order_id": "A-1001"}


@pytest.mark.parametrize(
    "malformed",
    [
        b"no header",
        b'{"format":"json","version":2}\n{"trace_id":"1-x"}',
        HEADER + b"{",
        HEADER + b"[]",
        HEADER + b'{"id":"without a trace"}',
        HEADER + b'{"trace_id":5}',
        b"\xff\xfe\n\xff",
        b"",
    ],
)
def test_what_is_not_a_segment_is_counted_and_does_no_harm(malformed: bytes, listener: SegmentListener) -> None:
    assert parse(malformed) is None
    send(listener, malformed, datagram(segment(1)))
    listener.stop()
    assert (listener.malformed, len(listener.segments())) == (1, 1)


def test_only_the_latest_are_kept() -> None:
    with SegmentListener(kept=3) as listener:
        send(listener, *(datagram(segment(number)) for number in range(5)))
    assert [each["id"][-1] for each in listener.segments()] == ["2", "3", "4"]


def test_many_senders_at_once_lose_nothing(listener: SegmentListener) -> None:
    def burst(trace: int) -> None:
        send(listener, *(datagram(segment(number, f"1-{trace}")) for number in range(100)))

    senders = [threading.Thread(target=burst, args=(trace,)) for trace in range(4)]
    for each in senders:
        each.start()
    for each in senders:
        each.join()
    listener.stop()
    assert {trace: len(its) for trace, its in listener.traces().items()} == {f"1-{trace}": 100 for trace in range(4)}


def test_clearing_forgets_and_goes_on(listener: SegmentListener) -> None:
    send(listener, b"rubbish", datagram(segment(1)))
    listener.stop()
    listener.clear()
    assert (listener.segments(), listener.traces(), listener.malformed) == ([], {}, 0)
    listener.start()
    send(listener, datagram(segment(2)))
    listener.stop()
    assert len(listener.segments()) == 1


def test_an_address_is_there_once_it_runs() -> None:
    with pytest.raises(RuntimeError, match="has not been started"):
        _ = SegmentListener().address


def test_stopping_twice_is_no_fault(listener: SegmentListener) -> None:
    listener.stop()
    listener.stop()
