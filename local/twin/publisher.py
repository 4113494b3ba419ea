"""Events on their way to SNS: as promptly as SES, or as unkindly as the options ask, in batches and within bounds."""

from __future__ import annotations

import asyncio
import logging
import random
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from botocore.exceptions import BotoCoreError, ClientError

from local.twin.events import SUBJECT, VALIDATION_TEXT, serialised
from local.twin.lookup import ConfigurationSet, Lookup
from local.twin.options import Options
from local.twin.outcomes import Planned

log = logging.getLogger(__name__)

BATCH_ENTRIES: Final = 10
BATCH_BYTES: Final = 200 * 1024
"""SNS PublishBatch takes 10 messages and 256 KB together; what the margin is for is the request around them."""
CONCURRENT_BATCHES: Final = 4
REORDER_HOLD_SECONDS: Final = 0.25
"""A group to be shuffled that does not fill up is let go after this long without a newcomer."""


@dataclass(frozen=True, slots=True)
class Topic:
    region: str
    arn: str
    set_arn: str


@dataclass(frozen=True, slots=True)
class Outgoing:
    topic: Topic
    type: str
    text: str
    subject: str | None


class Publisher:
    """One batch at a time goes to each topic, so that by default events arrive there in order."""

    def __init__(self, lookup: Lookup, options: Callable[[], Options], counts: Counter[str]) -> None:
        self.pending = 0
        self._era = 0
        self._lookup = lookup
        self._options = options
        self._counts = counts
        self._random = random.Random()  # noqa: S311 - it decides about disorder, not about secrets
        self._held: list[Outgoing] = []
        self._release: asyncio.TimerHandle | None = None
        self._waiting: dict[Topic, deque[Outgoing]] = {}
        self._ready: asyncio.Queue[Topic] = asyncio.Queue()
        self._workers: list[asyncio.Task[None]] = []

    def start(self) -> None:
        self.reseed()
        self._workers = [asyncio.create_task(self._work()) for _ in range(CONCURRENT_BATCHES)]
        for worker in self._workers:
            worker.add_done_callback(_mourn)

    async def stop(self) -> None:
        for worker in self._workers:
            worker.cancel()
        await asyncio.gather(*self._workers, return_exceptions=True)

    def clear(self) -> None:
        """Forget every event that is not on its way yet."""
        self._era += 1
        self.pending = 0
        self._held.clear()
        for waiting in self._waiting.values():
            waiting.clear()
        self.reseed()

    def reseed(self) -> None:
        self._random.seed(self._options().seed)

    def schedule(self, region: str, configuration_set: ConfigurationSet, planned: Sequence[Planned]) -> None:
        """Publish each event, when it is due, to every destination of the configuration set that wants its type."""
        options = self._options()
        for each in planned:
            wanting = [one for one in configuration_set.destinations if each.type in one.types]
            text = serialised(each.event) if wanting else ""
            for destination in wanting:
                topic = Topic(region, destination.topic_arn, configuration_set.arn)
                for _ in range(options.event_copies):
                    late = self._random.uniform(*options.event_delay_ms) / 1000
                    self._put(Outgoing(topic, each.type, text, SUBJECT), each.after.total_seconds() + late)

    def announce(self, region: str, configuration_set: ConfigurationSet, destinations: Sequence[str]) -> None:
        """The plain text that SES publishes when these event destinations are created."""
        for destination in configuration_set.destinations:
            if destination.name in destinations:
                topic = Topic(region, destination.topic_arn, configuration_set.arn)
                self._put(Outgoing(topic, "VALIDATION", VALIDATION_TEXT, None), 0.0)

    def _put(self, outgoing: Outgoing, seconds: float) -> None:
        self.pending += 1
        if seconds > _AT_ONCE:
            asyncio.get_running_loop().call_later(seconds, self._due, outgoing, self._era)
        else:
            self._due(outgoing, self._era)

    def _due(self, outgoing: Outgoing, era: int) -> None:
        if era != self._era:
            return
        if not (window := self._options().reorder_window):
            self._enqueue(outgoing)
            return
        self._held.append(outgoing)
        if self._release:
            self._release.cancel()
        if len(self._held) >= window:
            self._shuffle()
        else:
            self._release = asyncio.get_running_loop().call_later(REORDER_HOLD_SECONDS, self._shuffle)

    def _shuffle(self) -> None:
        held, self._held = self._held, []
        self._random.shuffle(held)
        for outgoing in held:
            self._enqueue(outgoing)

    def _enqueue(self, outgoing: Outgoing) -> None:
        waiting = self._waiting.get(outgoing.topic)
        if waiting is None:
            self._waiting[outgoing.topic] = deque([outgoing])
            self._ready.put_nowait(outgoing.topic)
        else:
            waiting.append(outgoing)

    async def _work(self) -> None:
        while True:
            topic, era = await self._ready.get(), self._era
            batch = _next_batch(self._waiting[topic])
            failures = await self._publish(topic, batch) if batch else {}
            if era == self._era:
                self.pending -= len(batch)
                for number, outgoing in enumerate(batch):
                    self._counts[f"{'dropped' if number in failures else 'published'} {outgoing.type}"] += 1
            for reason, count in Counter(failures.values()).items():
                log.warning("%d event(s) for %s dropped: %s", count, topic.arn, reason)
            if self._waiting[topic]:
                self._ready.put_nowait(topic)
            else:
                del self._waiting[topic]

    async def _publish(self, topic: Topic, batch: Sequence[Outgoing]) -> dict[int, str]:
        """Publish a batch; gives the numbers of those that were not, and why."""
        try:
            if reason := await self._lookup.publish_refusal(topic.region, topic.arn, topic.set_arn):
                return dict.fromkeys(range(len(batch)), reason)
            entries = [_entry(number, outgoing) for number, outgoing in enumerate(batch)]
            sns = self._lookup.client("sns", topic.region)
            answer = await asyncio.to_thread(sns.publish_batch, TopicArn=topic.arn, PublishBatchRequestEntries=entries)
        except (ClientError, BotoCoreError) as error:
            return dict.fromkeys(range(len(batch)), str(error))
        return {int(each["Id"]): str(each.get("Message", each["Code"])) for each in answer.get("Failed", [])}


_AT_ONCE: Final = 0.002
"""A timer costs more than it is worth below this."""


def _mourn(worker: asyncio.Task[None]) -> None:
    if not worker.cancelled() and (error := worker.exception()):
        log.error("a publisher stopped, and its topic with it", exc_info=error)


def _next_batch(waiting: deque[Outgoing]) -> list[Outgoing]:
    batch: list[Outgoing] = []
    size = 0
    while waiting and len(batch) < BATCH_ENTRIES:
        size += len(waiting[0].text.encode())
        if batch and size > BATCH_BYTES:
            break
        batch.append(waiting.popleft())
    return batch


def _entry(number: int, outgoing: Outgoing) -> dict[str, Any]:
    subject = {"Subject": outgoing.subject} if outgoing.subject else {}
    return {"Id": str(number), "Message": outgoing.text, **subject}
