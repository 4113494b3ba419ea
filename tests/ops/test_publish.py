"""Publishing accounts for every line, whatever the line, the topic or the network does."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders
from botocore.exceptions import ClientError
from botocore.hooks import HierarchicalEmitter
from hypothesis import given
from hypothesis import strategies as st

from ops.publish import (
    ATTRIBUTE_BYTES,
    BATCH_BYTES,
    BATCH_ENTRIES,
    Line,
    Published,
    Refused,
    batches,
    order_id_of,
    publish,
    read_lines,
)
from ops.stack import Stack

NO_PAUSE: Callable[[float], None] = lambda _: None  # noqa: E731


class Topic:
    """Stands in for SNS where moto cannot be made to fail: answers each batch as `answer` says."""

    def __init__(self, answer: Callable[[list[str], int], dict[str, Any]]) -> None:
        self._answer = answer
        self._lock = threading.Lock()
        self.calls: list[list[str]] = []
        self.meta = SimpleNamespace(events=HierarchicalEmitter())

    def publish_batch(self, *, TopicArn: str, PublishBatchRequestEntries: list[dict[str, Any]]) -> Any:  # noqa: N803
        bodies = [entry["Message"] for entry in PublishBatchRequestEntries]
        with self._lock:
            self.calls.append(bodies)
            number = len(self.calls)
        answer = self._answer(bodies, number)
        entries = {entry["Message"]: entry["Id"] for entry in PublishBatchRequestEntries}
        return {
            "Successful": [{"Id": entries[body], "MessageId": f"id-{body}"} for body in answer.get("taken", [])],
            "Failed": [
                {"Id": entries[body], "Code": "X", "Message": why, "SenderFault": fault}
                for body, why, fault in answer.get("failed", [])
            ],
        }


class Overloaded(AWSResponse):
    """What SNS answers when it has too much to do."""

    def __init__(self) -> None:
        super().__init__("https://sns.us-east-1.amazonaws.com/", 503, HTTPHeaders(), None)
        self._content = b""


def lines(*bodies: str) -> list[Line | Refused]:
    return [Line(number, body) for number, body in enumerate(bodies, start=1)]


def turned_down(code: str, message: str = "no") -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": message}}, "PublishBatch")


def test_published_messages_pass_the_subscriptions_filter_policy(
    stack: Stack, bodies: Callable[[str], list[str]]
) -> None:
    sent = [json.dumps({"orderId": f"A-{number}"}) for number in range(25)]
    outcomes = publish(stack.sns, stack.outputs.order_topic_arn, lines(*sent))
    assert [outcome.line.body for outcome in outcomes if isinstance(outcome, Published)] == sent
    assert sorted(bodies(stack.outputs.send_queue_url)) == sorted(sent), (
        "a message without messageType never reaches the queue"
    )


def test_every_batch_starts_a_trace_that_is_recorded_and_retries_continue_it(stack: Stack) -> None:
    sent: list[str] = []
    answers = iter([Overloaded()])

    def before_send(request: Any, **_: Any) -> Any:
        sent.append(request.headers["X-Amzn-Trace-Id"])
        return next(answers, None)

    events = stack.sns.meta.events
    events.register_first("before-send.sns.PublishBatch", before_send)
    try:
        for _ in range(2):
            publish(stack.sns, stack.outputs.order_topic_arn, lines(*(f"order {number}" for number in range(11))))
    finally:
        events.unregister("before-send.sns.PublishBatch", before_send)
    headers = [header if isinstance(header, str) else header.decode() for header in sent]
    assert len(headers) == 5, "eleven messages are two batches, and one call was made again"
    assert len(set(headers)) == 4, "a call that is made again is the same call"
    for header in headers:
        assert re.fullmatch(r"Root=1-[0-9a-f]{8}-[0-9a-f]{24};Parent=[0-9a-f]{16};Sampled=1", header)


def test_a_line_that_is_no_order_is_published_as_it_is(stack: Stack, bodies: Callable[[str], list[str]]) -> None:
    publish(stack.sns, stack.outputs.order_topic_arn, lines("{not json", "  [1, 2]"))
    assert sorted(bodies(stack.outputs.send_queue_url)) == ["  [1, 2]", "{not json"]


def test_a_message_beyond_the_limit_of_sns_is_refused_by_its_line_and_the_others_go_out() -> None:
    topic = Topic(lambda bodies, _: {"taken": bodies})
    outcomes = publish(topic, "arn", lines("a", "x" * BATCH_BYTES, "b"))  # type: ignore[arg-type]
    assert [type(outcome) for outcome in outcomes] == [Published, Refused, Published]
    assert isinstance(outcomes[1], Refused)
    assert outcomes[1].number == 2
    assert "262,144" in outcomes[1].reason


def test_an_entry_that_sns_could_not_take_is_tried_again_alone() -> None:
    topic = Topic(
        lambda bodies, call: {"taken": ["a"], "failed": [("b", "internal", False)]} if call == 1 else {"taken": bodies}
    )
    outcomes = publish(topic, "arn", lines("a", "b"), pause=NO_PAUSE)  # type: ignore[arg-type]
    assert topic.calls == [["a", "b"], ["b"]]
    assert all(isinstance(outcome, Published) for outcome in outcomes)


def test_an_entry_that_sns_never_takes_is_reported_with_its_reason_after_a_bounded_number_of_tries() -> None:
    topic = Topic(lambda bodies, _: {"failed": [(body, "still broken", False) for body in bodies]})
    outcomes = publish(topic, "arn", lines("a"), pause=NO_PAUSE)  # type: ignore[arg-type]
    assert outcomes == [Refused(1, "still broken")]
    assert len(topic.calls) == 5


def test_an_entry_at_fault_is_not_tried_again() -> None:
    topic = Topic(lambda bodies, _: {"failed": [(body, "bad character", True) for body in bodies]})
    assert publish(topic, "arn", lines("a"), pause=NO_PAUSE) == [Refused(1, "bad character")]  # type: ignore[arg-type]
    assert len(topic.calls) == 1


def test_one_bad_message_does_not_take_its_batch_down_with_it() -> None:
    def answer(bodies: list[str], _: int) -> dict[str, Any]:
        if "bad" in bodies:
            raise turned_down("InvalidParameter", "invalid character")
        return {"taken": bodies}

    sent = [*"abcdef", "bad", *"ghi"]
    outcomes = publish(Topic(answer), "arn", lines(*sent), pause=NO_PAUSE)  # type: ignore[arg-type]
    assert [outcome for outcome in outcomes if isinstance(outcome, Refused)] == [Refused(7, "invalid character")]
    assert [outcome.number for outcome in outcomes] == list(range(1, 11)), "each line has one outcome, in order"


@pytest.mark.parametrize("code", ["AuthorizationError", "ExpiredToken", "NotFound"])
def test_an_answer_that_every_message_would_get_ends_the_command(code: str) -> None:
    def answer(bodies: list[str], _: int) -> dict[str, Any]:
        raise turned_down(code)

    topic = Topic(answer)
    with pytest.raises(ClientError):
        publish(topic, "arn", lines(*map(str, range(1000))), pause=NO_PAUSE)  # type: ignore[arg-type]
    assert len(topic.calls) < 30, "the remaining batches are not tried"


def test_blank_lines_are_skipped_and_counted_and_a_line_that_is_not_utf_8_is_refused() -> None:
    source = [b"\xef\xbb\xbf{}\r\n", b"\n", b"   \n", b"\xff\xfe\n", '"\u2028"\n'.encode(), b"last"]
    read = list(read_lines(source))
    assert read[0] == Line(1, "{}"), "a byte order mark and a carriage return are no part of the order"
    assert isinstance(read[1], Refused)
    assert read[1].number == 4
    assert read[2:] == [Line(5, '"\u2028"'), Line(6, "last")], "only a line feed ends a line of JSONL"


@pytest.mark.parametrize(
    ("body", "order_id"),
    [
        ('{"orderId": "A-1"}', "A-1"),
        ('{"Type": "Notification", "Message": "{\\"orderId\\": \\"A-2\\"}"}', "A-2"),
        ('{"orderId": 7}', None),
        ('{"orderId": ""}', None),
        ('["A-1"]', None),
        ("{", None),
        ("[" * 100_000, None),
    ],
)
def test_the_order_id_is_read_where_there_is_one(body: str, order_id: str | None) -> None:
    assert order_id_of(body) == order_id


@given(st.lists(st.integers(1, BATCH_BYTES + 10), max_size=60))
def test_batches_keep_the_limits_of_sns_and_every_line(sizes: list[int]) -> None:
    given_lines = lines(*("x" * size for size in sizes))
    seen: list[int] = []
    for batch in batches(given_lines):
        if isinstance(batch, Refused):
            assert sizes[batch.number - 1] + ATTRIBUTE_BYTES > BATCH_BYTES
            seen.append(batch.number)
            continue
        assert 0 < len(batch) <= BATCH_ENTRIES
        assert sum(len(line.body) + ATTRIBUTE_BYTES for line in batch) <= BATCH_BYTES
        seen += [line.number for line in batch]
    assert sorted(seen) == list(range(1, len(sizes) + 1))
