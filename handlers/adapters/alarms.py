"""What `notify` asks AWS beside the notification itself, and the topics that it tells.

Looking up may fail without harm: a page that knows less is better than one that comes late. So nothing here is asked
twice, and each answer has seconds.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from botocore.config import Config

from handlers.paging.incident import Transition
from handlers.paging.notification import State

if TYPE_CHECKING:
    from mypy_boto3_logs import CloudWatchLogsClient
    from mypy_boto3_sns import SNSClient

LOOK_UP = Config(retries={"total_max_attempts": 1}, connect_timeout=2, read_timeout=4, max_pool_connections=10)
"""For clients that look something up. Their two calls take at most 12 s of a function's 30."""

_KEPT = timedelta(days=30)  # CloudWatch keeps an alarm's history for that long
_MOST_TRANSITIONS = 100
_SEARCH_SECONDS = 4.0
_MOST_ANSWERS = 10


class AlarmHistory:
    """CloudWatch's history of alarms. The client is CloudWatch's."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def transitions(self, name: str, until: datetime) -> list[Transition]:
        """An alarm's last changes up to `until`, newest first. Raises ClientError, BotoCoreError."""
        items = self._client.describe_alarm_history(
            AlarmName=name,
            AlarmTypes=["MetricAlarm", "CompositeAlarm"],
            HistoryItemType="StateUpdate",
            StartDate=until - _KEPT,
            EndDate=until + timedelta(seconds=2),
            MaxRecords=_MOST_TRANSITIONS,
            ScanBy="TimestampDescending",
        )["AlarmHistoryItems"]
        return [found for item in items if (found := _transition(item))]


class LogSearch:
    """Metric records in the handlers' logs."""

    def __init__(self, client: CloudWatchLogsClient, groups: Sequence[str]) -> None:
        self._client = client
        self._groups = groups

    def lines(self, pattern: str, window: tuple[datetime, datetime]) -> Iterator[str]:
        """Log lines in `window` that match a filter pattern, group by group, until the time for it is up.

        They are read as they are asked for. Raises ClientError, BotoCoreError.
        """
        deadline = time.monotonic() + _SEARCH_SECONDS
        begin, end = (int(moment.timestamp() * 1000) for moment in window)
        for group in self._groups:
            page: dict[str, Any] = {}
            for _ in range(_MOST_ANSWERS):  # each may be empty, and still name a next one
                if time.monotonic() > deadline:
                    return
                answer = self._client.filter_log_events(
                    logGroupName=group, filterPattern=pattern, startTime=begin, endTime=end, **page
                )
                yield from (event["message"] for event in answer["events"])
                if not (token := answer.get("nextToken")):
                    break
                page = {"nextToken": token}


class Topics:
    """The topics for people, by severity."""

    def __init__(self, client: SNSClient, arns: Mapping[str, str]) -> None:
        self._client = client
        self._arns = arns

    def tell(self, severity: str, *, subject: str, text: str, chat: Mapping[str, Any]) -> None:
        """Publish one message: `text` is what is mailed, `chat` what chat applications are handed.

        Amazon Q Developer subscribes by HTTPS; everything else takes the default. Raises ClientError, BotoCoreError.
        """
        self._client.publish(
            TopicArn=self._arns[severity],
            Subject=subject,
            MessageStructure="json",
            Message=json.dumps({"default": text, "https": json.dumps(chat)}),
        )


def _transition(item: Mapping[str, Any]) -> Transition | None:
    data = json.loads(item["HistoryData"])
    before, after = (data.get(key, {}).get("stateValue") for key in ("oldState", "newState"))
    if before == after or after not in list(State):
        return None
    return Transition(item["Timestamp"].astimezone(UTC), State(after))
