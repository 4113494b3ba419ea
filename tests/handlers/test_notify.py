"""The entry `notify`: from SQS to topics and receivers, and what comes back when one of them fails."""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from itertools import count
from types import ModuleType, SimpleNamespace
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.exceptions import ClientError, ConnectTimeoutError
from moto import mock_aws

from handlers.adapters.alarms import AlarmHistory, LogSearch, Topics
from handlers.adapters.webhooks import NotTaken, Receiver, Webhooks
from handlers.environment import InvalidEnvironment, Notify
from handlers.paging.incident import Transition
from handlers.paging.notification import State
from handlers.paging.retrying import retry_after
from tests.handlers import wire
from tests.handlers.alarms import BEGAN, changed, golden, told
from tests.handlers.entries import PRICES, CurrentStdout, control_table, printed, record, run
from tests.handlers.wire import Wire, answers, serving

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

SETTINGS = {
    "PAGE_TOPIC_ARN": "arn:aws:sns:us-east-1:123456789012:page",
    "TICKET_TOPIC_ARN": "arn:aws:sns:us-east-1:123456789012:ticket",
    "QUEUE_URL": "https://sqs.us-east-1.amazonaws.com/123456789012/notify",
    "RECEIVERS": "{}",
    "CHAT_PLATFORM": "slack",
    "LOG_GROUPS": "/aws/lambda/send-email,/aws/lambda/record-feedback",
    "CONTROL_TABLE": "Control",
    "PRICES": json.dumps(PRICES),
    "STACK": "test",
    "LOG_LEVEL": "INFO",
}
SECRET = "services/T0/B0/s3cr3t"
FAILED = ClientError({"Error": {"Code": "InternalServiceError", "Message": "no"}}, "AnyCall")

_numbers = count()


@pytest.fixture(scope="module")
def entry() -> Iterator[ModuleType]:
    with pytest.MonkeyPatch.context() as patch, mock_aws():
        for name, value in SETTINGS.items():
            patch.setenv(name, value)
        sys.modules.pop("handlers.notify", None)
        started = importlib.import_module("handlers.notify")
        started.log.handlers[0].setStream(CurrentStdout())
        control_table(started.dynamodb, SETTINGS["CONTROL_TABLE"])
        yield started
        del sys.modules["handlers.notify"]


class Paged:
    """The entry, with topics, a queue and receivers of this test's own."""

    def __init__(self, entry: ModuleType, patch: pytest.MonkeyPatch, receiver: Any) -> None:
        self.entry, self.patch, self.receiver = entry, patch, receiver
        number = next(_numbers)
        self.sqs: SQSClient = boto3.client("sqs")
        self.queue = Queue()
        self.inboxes: dict[str, str] = {}
        sns, arns = boto3.client("sns"), {}
        for severity in ("page", "ticket"):
            arns[severity] = sns.create_topic(Name=f"{severity}-{number}")["TopicArn"]
            self.inboxes[severity] = self.sqs.create_queue(QueueName=f"{severity}-{number}")["QueueUrl"]
            arn = f"arn:aws:sqs:us-east-1:123456789012:{severity}-{number}"
            sns.subscribe(TopicArn=arns[severity], Protocol="sqs", Endpoint=arn)
        patch.setattr(entry, "topics", Topics(sns, arns))
        patch.setattr(entry, "sqs", self.queue)
        patch.setattr(entry, "alarm_history", History([]))
        patch.setattr(entry, "logs", Logs([]))
        patch.setattr(entry, "datetime", SimpleNamespace(now=lambda _: BEGAN + timedelta(minutes=1)))
        self.receivers([receiver.url + f"/{SECRET}"])

    def receivers(self, page: list[str], ticket: list[str] | None = None) -> None:
        self.patch.setattr(self.entry, "webhooks", Webhooks({"page": page, "ticket": ticket or []}))

    def mailed(self, severity: str = "page") -> list[dict[str, str]]:
        """What the topic's subscribers got, in SNS's envelope."""
        return [json.loads(body) for body in _bodies(self.sqs, self.inboxes[severity])]


class Queue:
    """The handler's own queue, as far as it uses it. Keeps what was put back, and what was brought forward."""

    def __init__(self) -> None:
        self.meta = SimpleNamespace(region_name="us-east-1")
        self.sent: list[dict[str, Any]] = []
        self.returned: list[tuple[str, int]] = []

    def send_message(self, **request: Any) -> None:
        self.sent.append(request)

    def change_message_visibility(self, **request: Any) -> None:
        if request["ReceiptHandle"] == "broken":
            raise FAILED
        self.returned.append((request["ReceiptHandle"], request["VisibilityTimeout"]))

    @property
    def bodies(self) -> list[str]:
        return [request["MessageBody"] for request in self.sent]


class History:
    """Transitions as AlarmHistory gives them; or its failure."""

    def __init__(self, found: list[Transition] | Exception) -> None:
        self.found = found
        self.asked: list[str] = []

    def transitions(self, name: str, until: datetime) -> list[Transition]:
        self.asked.append(name)
        if isinstance(self.found, Exception):
            raise self.found
        return self.found


class Logs:
    """Lines as LogSearch gives them, and then perhaps its failure."""

    def __init__(self, found: list[str], fault: Exception | None = None) -> None:
        self.found, self.fault = found, fault
        self.asked: list[str] = []

    def lines(self, pattern: str, window: tuple[datetime, datetime]) -> Iterator[str]:
        self.asked.append(pattern)
        yield from self.found
        if self.fault:
            raise self.fault


def _bodies(sqs: SQSClient, url: str) -> list[str]:
    messages = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", [])
    return [message["Body"] for message in messages]


@pytest.fixture
def receiver() -> Iterator[Any]:
    with serving() as running:
        server: Any = running
        server.requests, server.peers, server.headers, server.paths = [], set(), [], []
        server.status = 200

        def answer(request: Wire) -> None:
            server.headers.append(dict(request.headers))
            server.paths.append(request.path)
            answers(server.status, "{}")(request)

        server.answer = answer
        yield server


@pytest.fixture
def paged(entry: ModuleType, monkeypatch: pytest.MonkeyPatch, receiver: Any) -> Paged:
    return Paged(entry, monkeypatch, receiver)


# ---- Telling ----


def test_an_alarm_reaches_people_and_the_receiver(paged: Paged) -> None:
    assert run(paged.entry, record(told("metric-alarm"))) == []
    (mail,) = paged.mailed()
    assert mail["Subject"].startswith("[page] test: SES refuses emails for good")
    assert mail["Message"].startswith("ALARM since 15:06 UTC")
    assert paged.mailed("ticket") == []
    (posted,) = paged.receiver.requests
    assert (posted["version"], posted["state"], posted["stack"]) == (1, "ALARM", "test")
    assert paged.receiver.paths == [f"/{SECRET}"]
    headers = paged.receiver.headers[0]
    assert headers["Content-Type"] == "application/json"
    assert headers["Idempotency-Key"] == f"{posted['incident']}/ALARM/2026-11-22T15:06:01Z"


def test_a_ticket_goes_to_those_who_take_tickets(paged: Paged) -> None:
    run(paged.entry, record(told("percentile-alarm")))
    assert [mail["Subject"][:8] for mail in paged.mailed("ticket")] == ["[ticket]"]
    assert paged.mailed("page") == []
    assert paged.receiver.requests == []


def test_chat_applications_get_their_own_form_of_it(paged: Paged, monkeypatch: pytest.MonkeyPatch) -> None:
    published: list[dict[str, Any]] = []

    class Sns:
        def publish(self, **request: Any) -> None:
            published.append(request)

    topics = Topics(Sns(), {"page": "page-arn"})  # type: ignore[arg-type]
    monkeypatch.setattr(paged.entry, "topics", topics)
    run(paged.entry, record(told("metric-alarm")))
    (request,) = published
    assert (request["MessageStructure"], request["TopicArn"]) == ("json", "page-arn")
    forms = json.loads(request["Message"])
    assert forms.keys() == {"default", "https"}
    assert json.loads(forms["https"])["source"] == "custom"


def test_a_notification_in_an_envelope_is_the_same(paged: Paged) -> None:
    envelope = {"Type": "Notification", "MessageId": "1", "TopicArn": "arn", "Message": told("metric-alarm")}
    assert run(paged.entry, record(json.dumps(envelope))) == []
    assert len(paged.mailed()) == 1


def test_alarm_and_end_are_one_incident(paged: Paged, monkeypatch: pytest.MonkeyPatch) -> None:
    history = History([changed(23, "OK"), changed(0, "ALARM"), changed(-60, "OK")])
    monkeypatch.setattr(paged.entry, "alarm_history", history)
    run(paged.entry, record(told("metric-alarm")))
    assert history.asked == [], "a page does not wait for what it does not need"
    run(paged.entry, record(told("metric-ok")))
    assert history.asked == [golden("metric-ok")["AlarmName"]]
    assert len({mail["Subject"] for mail in paged.mailed()}) == 1
    first, second = paged.receiver.requests
    assert first["incident"] == second["incident"]
    keys = [headers["Idempotency-Key"] for headers in paged.receiver.headers]
    assert len(set(keys)) == 2


def test_the_first_ok_of_a_new_alarm_tells_nobody(paged: Paged, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(paged.entry, record(told("metric-ok", OldStateValue="INSUFFICIENT_DATA"))) == []
    assert paged.mailed() == []
    assert paged.receiver.requests == []
    (log,), _ = printed(capsys.readouterr().out)
    assert log["message"].startswith("nothing to tell")


def test_affected_orders_are_named(paged: Paged, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = [json.dumps({"order_id": f"A-{number}", "SendFailures": 1}) for number in range(9)]
    logs = Logs(lines)
    monkeypatch.setattr(paged.entry, "logs", logs)
    run(paged.entry, record(told("metric-alarm")))
    assert logs.asked == ["{ ($.SendFailures >= 1) }"]
    assert "Orders      A-0, A-1, A-2, A-3, A-4 and more" in paged.mailed()[0]["Message"]


@pytest.mark.parametrize("fault", [FAILED, ConnectTimeoutError(endpoint_url="https://logs.us-east-1.amazonaws.com")])
def test_what_cannot_be_looked_up_never_stops_a_page(
    paged: Paged, monkeypatch: pytest.MonkeyPatch, fault: Exception
) -> None:
    one = [json.dumps({"order_id": "A-1", "SendFailures": 1})]
    monkeypatch.setattr(paged.entry, "logs", Logs(one, fault))
    monkeypatch.setattr(paged.entry, "alarm_history", History(fault))
    assert run(paged.entry, record(told("metric-alarm")), record(told("metric-ok"))) == []
    alarm, over = sorted(paged.mailed(), key=lambda mail: mail["Message"])
    assert "Orders      A-1\n" in alarm["Message"], "what was found before the fault is told"
    assert over["Message"].startswith("Over since 15:29 UTC; when it began is not known")


# ---- Failing ----


def test_a_receiver_that_fails_is_asked_again_alone(paged: Paged, receiver: Any) -> None:
    with serving() as broken:
        broken.requests, broken.peers = [], set()
        broken.answer = answers(500, "{}")
        paged.receivers([f"{broken.url}/broken", f"{receiver.url}/well"])
        assert run(paged.entry, record(told("metric-alarm"))) == []
        (sent,) = paged.queue.sent
        assert (sent["QueueUrl"], sent["DelaySeconds"]) == (SETTINGS["QUEUE_URL"], 5)
        body = sent["MessageBody"]
        assert (len(broken.requests), len(receiver.requests), len(paged.mailed())) == (1, 1, 1)

        retried = record(body, receipt="none", receives=1)
        assert run(paged.entry, retried) == [retried["messageId"]], "it fails again, and stays"

        broken.answer = answers(204, "")
        assert run(paged.entry, record(body)) == []
        assert (len(broken.requests), len(receiver.requests), len(paged.mailed())) == (3, 1, 0)
        assert broken.requests[0] == broken.requests[2], "the same page as the first time"
    assert len(paged.queue.bodies) == 1, "a message for one receiver makes no other"


@pytest.mark.parametrize(
    "answer",
    [answers(302, ""), answers(404, ""), answers(503, ""), wire.resets, wire.hangs_up],
    ids=["302", "404", "503", "a reset", "no answer"],
)
def test_anything_but_success_is_a_failure(paged: Paged, receiver: Any, answer: wire.Answer) -> None:
    receiver.answer = answer
    assert run(paged.entry, record(told("metric-alarm"))) == []
    assert len(paged.queue.bodies) == 1


def test_a_redirect_is_not_followed(paged: Paged, receiver: Any) -> None:
    def elsewhere(request: Wire) -> None:
        request.send_response(307)
        request.send_header("Location", f"{receiver.url}/elsewhere")
        request.send_header("Content-Length", "0")
        request.end_headers()

    receiver.answer = elsewhere
    run(paged.entry, record(told("metric-alarm")))
    assert len(receiver.requests) == len(paged.queue.bodies) == 1


def test_a_receiver_is_waited_for_only_so_long(paged: Paged, receiver: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    receiver.answer = wire.stays_silent
    monkeypatch.setattr(paged.entry.webhooks._pool, "connection_pool_kw", {"timeout": 0.05, "retries": False})
    run(paged.entry, record(told("metric-alarm")))
    assert len(paged.queue.bodies) == 1


def test_a_failed_retry_comes_back_later_each_time(paged: Paged, receiver: Any) -> None:
    receiver.answer = answers(500, "{}")
    run(paged.entry, record(told("metric-alarm")))
    (body,) = paged.queue.bodies
    for receives in (1, 2, 3, 99):
        run(paged.entry, record(body, receipt=f"r{receives}", receives=receives))
    assert paged.queue.returned == [("r1", 15), ("r2", 45), ("r3", 120), ("r99", 600)]
    assert retry_after(4) == 300


def test_a_receiver_that_is_gone_is_not_waited_for(paged: Paged, receiver: Any) -> None:
    receiver.answer = answers(500, "{}")
    run(paged.entry, record(told("metric-alarm")))
    (body,) = paged.queue.bodies
    paged.receivers([])
    assert run(paged.entry, record(body)) == []


def test_people_who_cannot_be_told_bring_all_of_it_back(paged: Paged, monkeypatch: pytest.MonkeyPatch) -> None:
    class Sns:
        def publish(self, **_: Any) -> None:
            raise FAILED

    monkeypatch.setattr(paged.entry, "topics", Topics(Sns(), {"page": "arn"}))  # type: ignore[arg-type]
    failing, other = record(told("metric-alarm")), record(told("percentile-alarm"))
    assert run(paged.entry, failing, other) == [failing["messageId"], other["messageId"]]
    assert paged.receiver.requests == [], "nobody is told twice because others were not told"


def test_what_is_no_alarm_ends_in_the_dead_letter_queue_and_disturbs_no_other(
    paged: Paged, capsys: pytest.CaptureFixture[str]
) -> None:
    odd = record("what is this?")
    assert run(paged.entry, odd, record(told("metric-alarm"))) == [odd["messageId"]]
    assert len(paged.mailed()) == 1
    logs, _ = printed(capsys.readouterr().out)
    assert "the message is not JSON" in [log.get("reason") for log in logs]


def test_a_retry_that_cannot_be_brought_forward_still_comes(paged: Paged) -> None:
    odd = record("what is this?", receipt="broken")
    assert run(paged.entry, odd) == [odd["messageId"]]
    assert paged.queue.returned == []


# ---- Secrets ----


def test_the_address_of_a_receiver_is_told_to_nobody(
    paged: Paged, receiver: Any, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    run(paged.entry, record(told("metric-alarm")))
    receiver.answer = wire.resets
    run(paged.entry, record(told("metric-alarm")))
    paged.receivers([f"http://127.0.0.1:9/{SECRET}"])
    run(paged.entry, record(told("metric-alarm")))
    queued = "".join(paged.queue.bodies)
    said = capsys.readouterr().out + caplog.text + queued
    assert "127.0.0.1" in said, "the host is"
    assert "s3cr3t" not in said
    assert "s3cr3t" not in repr(Receiver(f"https://hooks.example.com/{SECRET}"))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        '{"page": "https://hooks.example.com/s3cr3t"}',
        '{"page": ["http://hooks.example.com/s3cr3t"]}',
        '{"page": ["https://"]}',
        '{"page": ["https://a b/s3cr3t"]}',
        '{"other": ["https://hooks.example.com/s3cr3t"]}',
        '{"page": null}',
    ],
)
def test_receivers_that_make_no_sense_stop_the_start_without_being_quoted(text: str) -> None:
    with pytest.raises(InvalidEnvironment, match="RECEIVERS is not right, has to be JSON like") as caught:
        Notify.read({**SETTINGS, "RECEIVERS": text})
    assert "s3cr3t" not in str(caught.value)


def test_variables_arrive_as_what_they_mean() -> None:
    assert Notify.variables() == SETTINGS.keys()
    given = {"page": ["https://hooks.example.com/x", "http://127.0.0.1:8080/y"], "ticket": []}
    env = Notify.read({**SETTINGS, "RECEIVERS": json.dumps(given)})
    assert env.receivers == given
    assert env.log_groups == ["/aws/lambda/send-email", "/aws/lambda/record-feedback"]
    assert Notify.read({**SETTINGS, "LOG_GROUPS": ""}).log_groups == []
    with pytest.raises(InvalidEnvironment, match="LOG_GROUPS"):
        Notify.read({**SETTINGS, "LOG_GROUPS": "no such name"})


def test_a_receiver_keeps_its_id_when_the_list_changes() -> None:
    one, two = "https://one.example.com/a", "https://two.example.com/b"
    before, after = Webhooks({"page": [one, two]}), Webhooks({"page": [two], "ticket": [one]})
    for receiver in before.of("page"):
        assert after.find(receiver.id) == receiver
    assert after.find("nobody") is None


def test_a_receiver_that_refuses_is_named_by_its_host(receiver: Any) -> None:
    receiver.status = 418
    webhooks = Webhooks({"page": [f"{receiver.url}/{SECRET}"]})
    with pytest.raises(NotTaken, match=r"^127\.0\.0\.1 answered 418$"):
        webhooks.post(webhooks.of("page")[0], {}, "key")


# ---- Looking up ----


def history_item(minutes: float, before: str, after: str) -> dict[str, Any]:
    return {
        "AlarmName": "a",
        "Timestamp": BEGAN + timedelta(minutes=minutes),
        "HistoryItemType": "StateUpdate",
        "HistorySummary": f"Alarm updated from {before} to {after}",
        "HistoryData": json.dumps(
            {
                "version": "1.0",
                "oldState": {"stateValue": before, "stateReason": "why"},
                "newState": {"stateValue": after, "stateReason": "why"},
            }
        ),
    }


def test_the_history_is_read_as_cloudwatch_keeps_it() -> None:
    asked: list[dict[str, Any]] = []

    class CloudWatch:
        def describe_alarm_history(self, **request: Any) -> dict[str, Any]:
            asked.append(request)
            first = history_item(-9, "INSUFFICIENT_DATA", "INSUFFICIENT_DATA")
            return {"AlarmHistoryItems": [history_item(0, "OK", "ALARM"), first]}

    found = AlarmHistory(CloudWatch()).transitions("a", BEGAN)
    assert found == [Transition(BEGAN, State.ALARM)], "what did not change is no transition"
    (request,) = asked
    assert request["AlarmTypes"] == ["MetricAlarm", "CompositeAlarm"]
    assert (request["HistoryItemType"], request["ScanBy"]) == ("StateUpdate", "TimestampDescending")


class CloudWatchLogs:
    """FilterLogEvents with pages, of which some are empty."""

    def __init__(self, pages: dict[str, list[list[str]]]) -> None:
        self.pages = pages
        self.asked: list[tuple[str, str]] = []

    def filter_log_events(self, **request: Any) -> dict[str, Any]:
        group, token = request["logGroupName"], int(request.get("nextToken", "0"))
        self.asked.append((group, str(token)))
        pages = self.pages[group]
        more = {"nextToken": str(token + 1)} if token + 1 < len(pages) else {}
        return {"events": [{"message": message} for message in pages[token]], **more}


SPAN = (BEGAN, BEGAN + timedelta(minutes=5))


def test_logs_are_read_on_past_an_empty_answer_and_only_as_far_as_asked_for() -> None:
    client = CloudWatchLogs({"a": [["1"], [], ["2"]], "b": [["3"]]})
    search = LogSearch(client, ["a", "b"])  # type: ignore[arg-type]
    assert list(search.lines("{}", SPAN)) == ["1", "2", "3"]
    client.asked.clear()
    assert next(iter(search.lines("{}", SPAN))) == "1"
    assert client.asked == [("a", "0")]


def test_logs_that_never_end_are_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    client = CloudWatchLogs({"a": [[]] * 1000, "b": [["1"]]})
    search = LogSearch(client, ["a", "b"])  # type: ignore[arg-type]
    assert list(search.lines("{}", SPAN)) == ["1"], "one group's pages do not keep the search from the next"
    assert len(client.asked) < 20
    clock: Callable[[], float] = count(0.0, 3.0).__next__
    monkeypatch.setattr("handlers.adapters.alarms.time.monotonic", clock)
    client.asked.clear()
    assert list(search.lines("{}", SPAN)) == []
    assert len(client.asked) < 3
