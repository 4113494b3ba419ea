"""Disorder by order: copies, delays and shuffling, with an SNS that only remembers."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any, cast

import pytest

from local.twin.lookup import ConfigurationSet, EventDestination, Lookup
from local.twin.options import Options
from local.twin.outcomes import Planned
from local.twin.publisher import Publisher

SET = ConfigurationSet(
    name="set",
    arn="arn:set",
    sending_enabled=True,
    suppressed_reasons=None,
    destinations=(
        EventDestination("good", frozenset({"SEND", "DELIVERY"}), "arn:topic:delivery"),
        EventDestination("bad", frozenset({"BOUNCE"}), "arn:topic:bounce"),
        EventDestination("closed", frozenset({"REJECT"}), "arn:topic:closed"),
    ),
)


class Sns:
    """Stands for the lookup and for the SNS client that it gives."""

    def __init__(self) -> None:
        self.published: list[tuple[str, Any, str | None]] = []
        self.batches: list[int] = []

    def client(self, service: str, region: str) -> Sns:
        assert (service, region) == ("sns", "us-east-1")
        return self

    async def publish_refusal(self, region: str, topic_arn: str, set_arn: str) -> str | None:
        return "the topic is closed" if topic_arn.endswith("closed") else None

    def publish_batch(self, *, TopicArn: str, PublishBatchRequestEntries: list[dict[str, Any]]) -> dict[str, Any]:  # noqa: N803
        self.batches.append(len(PublishBatchRequestEntries))
        unlucky = [entry for entry in PublishBatchRequestEntries if '"number":13}' in entry["Message"]]
        for entry in PublishBatchRequestEntries:
            if entry not in unlucky:
                self.published.append((TopicArn, entry["Message"], entry.get("Subject")))
        return {"Failed": [{"Id": entry["Id"], "Code": "InternalError", "SenderFault": False} for entry in unlucky]}

    def numbers(self) -> list[int]:
        return [json.loads(message)["number"] for _, message, _ in self.published]


def event(number: int, kind: str = "SEND", after_ms: int = 0) -> Planned:
    return Planned(timedelta(milliseconds=after_ms), kind, {"number": number})


def run(options: Options, use: Callable[[Publisher], Awaitable[None]]) -> tuple[Sns, Counter[str]]:
    sns, counts = Sns(), Counter[str]()

    async def scenario() -> None:
        publisher = Publisher(cast(Lookup, sns), lambda: options, counts)
        publisher.start()
        await use(publisher)
        async with asyncio.timeout(5):
            while publisher.pending:
                await asyncio.sleep(0.005)
        await publisher.stop()

    asyncio.run(scenario())
    return sns, counts


def schedule(*planned: Planned) -> Callable[[Publisher], Awaitable[None]]:
    async def use(publisher: Publisher) -> None:
        for each in planned:
            publisher.schedule("us-east-1", SET, [each])

    return use


def test_each_event_goes_where_its_type_is_wanted_and_nowhere_else() -> None:
    sns, counts = run(Options(), schedule(event(1), event(2, "BOUNCE"), event(3, "COMPLAINT")))
    subject = "Amazon SES Email Event Notification"
    assert sorted(sns.published) == [
        ("arn:topic:bounce", '{"number":2}\n', subject),
        ("arn:topic:delivery", '{"number":1}\n', subject),
    ]
    assert counts == {"published SEND": 1, "published BOUNCE": 1}


def test_events_of_one_topic_arrive_in_order_and_in_batches_of_ten() -> None:
    sns, _ = run(Options(), schedule(*(event(number) for number in range(100, 195))))
    assert sns.numbers() == list(range(100, 195))
    assert max(sns.batches) == 10
    assert len(sns.batches) < 95


def test_a_batch_stays_within_what_sns_takes() -> None:
    large = [Planned(timedelta(), "SEND", {"number": number, "text": "é" * 40_000}) for number in range(6)]
    sns, _ = run(Options(), schedule(*large))
    assert sns.numbers() == list(range(6))
    assert max(sns.batches) == 2, "two times 80 KB fit into 200 KB, three do not"


def test_a_topic_that_keeps_ses_out_gets_nothing_and_it_is_counted() -> None:
    sns, counts = run(Options(), schedule(event(1, "REJECT"), event(2)))
    assert sns.numbers() == [2]
    assert counts == {"dropped REJECT": 1, "published SEND": 1}


def test_what_sns_refuses_is_counted_as_dropped_and_the_rest_is_not() -> None:
    sns, counts = run(Options(), schedule(event(1), event(13), event(3)))
    assert sns.numbers() == [1, 3]
    assert counts == {"published SEND": 2, "dropped SEND": 1}


def test_copies_are_published_as_often_as_asked() -> None:
    sns, _ = run(Options(event_copies=3), schedule(event(1), event(2)))
    assert sns.numbers() == [1, 1, 1, 2, 2, 2]


def test_reordering_is_a_shuffle_that_the_seed_repeats() -> None:
    planned = [event(number) for number in range(100, 140)]
    first, _ = run(Options(reorder_window=20, seed=3), schedule(*planned))
    again, _ = run(Options(reorder_window=20, seed=3), schedule(*planned))
    other, _ = run(Options(reorder_window=20, seed=4), schedule(*planned))
    assert first.numbers() == again.numbers() != other.numbers()
    assert first.numbers() != sorted(first.numbers())
    assert sorted(first.numbers()[:20]) == list(range(100, 120)), "only what is in one group changes places"


def test_a_group_that_does_not_fill_up_is_let_go() -> None:
    sns, _ = run(Options(reorder_window=100), schedule(event(1), event(2)))
    assert sorted(sns.numbers()) == [1, 2]


def test_an_event_waits_until_it_is_due() -> None:
    sns, _ = run(Options(), schedule(event(1, after_ms=60), event(2, after_ms=20), event(3)))
    assert sns.numbers() == [3, 2, 1]


@pytest.mark.parametrize("late", [(30.0, 30.0)])
def test_lateness_does_not_change_what_is_told(late: tuple[float, float]) -> None:
    sns, _ = run(Options(event_delay_ms=late), schedule(event(1)))
    assert sns.published[0][1] == '{"number":1}\n'


def test_what_is_forgotten_is_never_published() -> None:
    async def use(publisher: Publisher) -> None:
        publisher.schedule("us-east-1", SET, [event(1, after_ms=30)])
        publisher.clear()
        publisher.schedule("us-east-1", SET, [event(2, after_ms=60)])

    sns, _ = run(Options(), use)
    assert sns.numbers() == [2]


def test_the_validation_text_goes_to_the_destinations_named() -> None:
    async def use(publisher: Publisher) -> None:
        publisher.announce("us-east-1", SET, ["good"])

    sns, counts = run(Options(), use)
    text = "Successfully validated SNS topic for Amazon SES event publishing."
    assert sns.published == [("arn:topic:delivery", text, None)]
    assert counts == {"published VALIDATION": 1}
