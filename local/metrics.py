"""CloudWatch's metrics in the local run: what handlers and services say of themselves, into a store.

Time is CloudWatch's own, and a `Clock` says what it is: the real one while a stack is kept running, or one that is
stepped from minute to minute, so that hours pass in seconds and nothing depends on how fast this machine is. Whatever
has a time of this machine's clock, a record, a point, a message, gets the time that CloudWatch's had then.
"""

from __future__ import annotations

import http.client
import json
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, Protocol
from urllib.parse import urlsplit

from local.aws import LocalAws
from local.deployer.model import Json
from local.published import EVENTS
from observability.ingest import from_emf, from_put_metric_data
from observability.model import MINUTE
from observability.store import MetricStore

LEVELS: Final[Mapping[str, tuple[str, ...]]] = {
    "AWS/SQS": (
        "ApproximateNumberOfMessagesVisible",
        "ApproximateNumberOfMessagesNotVisible",
        "ApproximateAgeOfOldestMessage",
    ),
    "AWS/SES": ("Reputation.BounceRate", "Reputation.ComplaintRate"),
}
"""Metrics that are asked for once a minute, by namespace."""

COLLECTED: Final = {(space, name) for each in (EVENTS, LEVELS) for space, names in each.items() for name in names}
"""Namespace and name of every AWS metric that is collected."""

NOT_COLLECTED: Final[Mapping[tuple[str, str], str]] = dict.fromkeys(
    (("AWS/DynamoDB", name) for name in ("SystemErrors", "ReadThrottleEvents", "WriteThrottleEvents")),
    "DynamoDB has points of it only when it fails or throttles, and the emulator's does neither",
)
"""Metrics that alarms look at and that cannot be had here, with the reason."""

POISONED: Final = 3
"""Receives from which on a message does not count for the age of the oldest ("Available CloudWatch metrics for Amazon
SQS", ApproximateAgeOfOldestMessage)."""


class Clock(Protocol):
    """CloudWatch's clock."""

    def of(self, real: float) -> float:
        """What it said when this machine's clock said `real`; both in epoch seconds."""
        ...


class RealClock:
    """This machine's."""

    def of(self, real: float) -> float:
        return real


class SteppedClock:
    """One that stands still at the beginning of a minute until it is turned to the next.

    Args:
        start: epoch seconds, the beginning of the first minute.
    """

    def __init__(self, start: int) -> None:
        self._start = start - start % MINUTE
        self._turned: list[float] = []

    @property
    def minute(self) -> int:
        """The beginning of the minute that it is."""
        return self._start + MINUTE * len(self._turned)

    def turn(self, real: float) -> int:
        """Go on to the next minute, which begins now, at `real`; its beginning."""
        self._turned.append(real)
        return self.minute

    def of(self, real: float) -> float:
        return self._start + MINUTE * bisect_right(self._turned, real)


class Collector:
    """Fills `store` with what a watched account emits from now on; `running` is how many functions run just now."""

    def __init__(self, aws: LocalAws, clock: Clock) -> None:
        if aws.metrics is None:
            raise RuntimeError("metrics are written down of a watched account only")
        self.store = MetricStore()
        self.running = 0
        self._aws = aws
        self._clock = clock
        self._file = aws.metrics
        self._read = aws.metrics.stat().st_size
        self._records: list[Json] = []

    def look(self) -> None:
        """Read what was written since the last look, so that `running` is what is the case now."""
        with self._file.open("rb") as file:
            file.seek(self._read)
            text = file.read()
        whole = text[: text.rfind(b"\n") + 1]  # the last line may be half written
        self._read += len(whole)
        records = [json.loads(line) for line in whole.splitlines()]
        self._records += records
        for record in records:
            for point in record.get("MetricData", ()):
                if point["MetricName"] == "ConcurrentExecutions":
                    self.running = int(point["Value"])

    def collect(self, at: int) -> None:
        """Put into the store what was emitted since the last time, and the levels of the minute that ends at `at`
        (epoch seconds of CloudWatch's clock)."""
        self.look()
        records, self._records = self._records, []
        from_emf(
            filter(None, (self._dated(record["LogEvent"]) for record in records if "LogEvent" in record)), self.store
        )
        from_put_metric_data(self._merged(record for record in records if "MetricData" in record), self.store)
        from_put_metric_data(
            [
                {"Namespace": namespace, "MetricData": data}
                for namespace, data in (("AWS/SQS", [*self._queues(at)]), ("AWS/SES", [*self._reputation()]))
                if data
            ],
            self.store,
            received=at - MINUTE,
        )

    def _dated(self, line: str) -> Json | None:
        """An embedded record with CloudWatch's time; None of a line that only looks like one."""
        try:
            record = json.loads(line[line.index("{") :])
            moment = record["_aws"]["Timestamp"] / 1000
        except (ValueError, KeyError, TypeError):
            return None
        return {**record, "_aws": {**record["_aws"], "Timestamp": int(self._clock.of(moment) * 1000)}}

    def _merged(self, records: Iterable[Json]) -> Iterator[Json]:
        """Records with CloudWatch's time, one for each namespace."""
        data: dict[str, list[Json]] = {}
        for record in records:
            data.setdefault(record["Namespace"], []).extend(
                {**point, "Timestamp": self._clock.of(point["Timestamp"])} for point in record["MetricData"]
            )
        return ({"Namespace": namespace, "MetricData": points} for namespace, points in data.items())

    def _queues(self, at: int) -> Iterator[Json]:
        """The levels of every queue, a dead-letter queue's age counted from when the message was first sent."""
        for name, messages in queues(self._aws).items():
            visible = sum(message["IsVisible"] for message in messages)
            ages = [
                at - self._clock.of(int(message["Attributes"]["SentTimestamp"]) / 1000)
                for message in messages
                if message["ReceiveCount"] < POISONED
            ]
            for metric, value, unit in (
                ("ApproximateNumberOfMessagesVisible", visible, "Count"),
                ("ApproximateNumberOfMessagesNotVisible", len(messages) - visible, "Count"),
                ("ApproximateAgeOfOldestMessage", max(ages, default=0), "Seconds"),
            ):
                dimensions = [{"Name": "QueueName", "Value": name}]
                yield {"MetricName": metric, "Dimensions": dimensions, "Value": max(0, value), "Unit": unit}

    def _reputation(self) -> Iterator[Json]:
        """The account's rates, of all that it sent since it was opened; there are none before the first bounce or
        complaint. The mailbox simulator costs nobody a reputation."""
        counts = self._aws.twin.counts()
        reputed = {name.removeprefix("reputed "): n for name, n in counts.items() if name.startswith("reputed ")}
        sent = sum(reputed.values())
        for metric, outcome in (("Reputation.BounceRate", "BOUNCE"), ("Reputation.ComplaintRate", "COMPLAINT")):
            if outcome in reputed:
                yield {"MetricName": metric, "Value": reputed[outcome] / sent, "Unit": "None"}


def queues(aws: LocalAws) -> dict[str, list[Json]]:
    """The messages in each queue, by the queue's name, received ones included."""
    where = urlsplit(aws.endpoint)
    connection = http.client.HTTPConnection(where.hostname or "", where.port, timeout=30)
    try:
        connection.request("GET", "/_ministack/sqs/messages")
        answer: Any = json.loads(connection.getresponse().read())
    finally:
        connection.close()
    return {
        url.rsplit("/", 1)[-1]: messages
        for regions in answer["messages"].values()
        for held in regions.values()
        for url, messages in held.items()
    }
