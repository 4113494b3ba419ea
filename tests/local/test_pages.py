"""What CloudWatch says of every alarm of the deployed stack reaches people and programs.

The notification is made from the alarm's definition as CloudWatch makes it (local/alarms.py), published to the topic
that the alarm tells, and passes the deployed `notify` to a real HTTP receiver and to a mailbox.
"""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import unquote, urlsplit

import pytest
from typer.testing import CliRunner, Result

from handlers.telemetry.contract import NAMESPACE, SENDS_UNKNOWN, AlarmCard
from local import page
from local.alarms import alarms_of, notification
from local.aws import LocalAws
from local.deployer.permissions import dropping
from local.pager import SENDER, mails, text_of

pytestmark = pytest.mark.local

ON_CALL, TEAM = "on-call@shop.example", "team@shop.example"
PATH = "/services/s3cr3t"
WITHIN = 60

Found = TypeVar("Found")


@dataclass
class Post:
    """One request as the receiver got it."""

    path: str
    key: str
    body: dict[str, Any]


@dataclass
class Receiver:
    """A web server on loopback. It answers what `answers` has next, 200 when that is empty."""

    server: ThreadingHTTPServer
    posts: list[Post] = field(default_factory=list)
    answers: list[int] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_address[1]}{PATH}"


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            running.posts.append(Post(self.path, self.headers["Idempotency-Key"], body))
            self.send_response(running.answers.pop(0) if running.answers else 200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None: ...

    running = Receiver(ThreadingHTTPServer(("127.0.0.1", 0), Handler))
    thread = threading.Thread(target=running.server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    yield running
    running.server.shutdown()
    running.server.server_close()
    thread.join()


@dataclass
class Pager:
    """The deployed stack, what its alarms say, and what people and programs were told."""

    aws: LocalAws
    receiver: Receiver
    told: list[EmailMessage] = field(default_factory=list)

    @property
    def cloudwatch(self) -> Any:
        return self.aws.client("cloudwatch")

    def alarms(self) -> list[dict[str, Any]]:
        """Every alarm that the program deployed, as DescribeAlarms gives it."""
        return alarms_of(self.cloudwatch)

    def publish(self, message: str) -> None:
        """What CloudWatch does with a notification."""
        alarm = json.loads(message)
        self.aws.client("sns").publish(
            TopicArn=self.aws.outputs["alarmsTopicArn"],
            Subject=f'{alarm["NewStateValue"]}: "{alarm["AlarmName"]}" in {alarm["Region"]}'[:100],
            Message=message,
        )

    def remember(self, alarm: dict[str, Any], state: str) -> datetime:
        """Put a transition into the alarm's history, telling nobody; when that was, as CloudWatch has it."""
        name = alarm["AlarmName"]
        self.cloudwatch.set_alarm_state(AlarmName=name, StateValue=state, StateReason="tried")
        items = self.cloudwatch.describe_alarm_history(
            AlarmName=name, AlarmTypes=["MetricAlarm", "CompositeAlarm"], HistoryItemType="StateUpdate", MaxRecords=1
        )["AlarmHistoryItems"]
        at: datetime = items[0]["Timestamp"]
        return at.astimezone(UTC)

    def mailed(self) -> list[EmailMessage]:
        """All mails so far, of both addresses."""
        for address in (ON_CALL, TEAM):
            self.told += mails(self.aws.client("sqs"), address)
        return self.told

    def mails_of(self, alarm: dict[str, Any]) -> list[EmailMessage]:
        return [mail for mail in self.mailed() if f"\nAlarm: {alarm['AlarmName']}\n" in plain(mail)]

    def posts_of(self, alarm: dict[str, Any]) -> list[Post]:
        return [post for post in self.receiver.posts if post.body["alarm"] == alarm["AlarmName"]]

    def log(self) -> str:
        return json.dumps(self.aws.logs(self.aws.outputs["notifyFunctionName"]))


@pytest.fixture(scope="module")
def pager(receiver: Receiver, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pager]:
    with LocalAws(folder=tmp_path_factory.mktemp("paging")) as aws:
        aws.deploy(
            {
                "pageEmails": ON_CALL,
                "ticketEmails": TEAM,
                "pageWebhooks": receiver.url,
                "ticketWebhooks": receiver.url,
            }
        )
        running = Pager(aws, receiver)
        # The emulator's own notifications, which are poorer than CloudWatch's, shall not mix with ours.
        names = [alarm["AlarmName"] for alarm in running.alarms()]
        running.cloudwatch.disable_alarm_actions(AlarmNames=names)
        yield running


@pytest.fixture
def quiet(pager: Pager) -> Iterator[Pager]:
    """The pager with a receiver that is well."""
    pager.receiver.answers.clear()
    yield pager
    pager.receiver.answers.clear()


def eventually(look: Callable[[], Found], enough: Callable[[Found], bool], within: float = WITHIN) -> Found:
    """What `look` finds once it is `enough`."""
    deadline = time.monotonic() + within
    while True:
        found = look()
        if enough(found):
            return found
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {within} s; last seen: {found}")
        time.sleep(0.2)


def plain(mail: EmailMessage) -> str:
    return text_of(mail).replace("\r\n", "\n") + "\n"


def points(alarm: dict[str, Any], state: str = "ALARM") -> list[float]:
    """Data points, newest first, that put a metric alarm into ALARM, or into OK; there are none without data."""
    over = {"ALARM": 1.5, "OK": 0.5, "INSUFFICIENT_DATA": None}[state]
    if over is None or "AlarmRule" in alarm:
        return []
    factor = over if "Greater" in alarm["ComparisonOperator"] else 2 - over  # of what is too little, less is bad
    return [factor * float(alarm["Threshold"])] * int(alarm.get("DatapointsToAlarm", alarm["EvaluationPeriods"]))


def notifications(pager: Pager, alarm: dict[str, Any]) -> list[str]:
    """ALARM, INSUFFICIENT_DATA (which a composite does not have) and OK of one incident, as CloudWatch says them."""
    composite = "AlarmRule" in alarm
    children = [each for each in pager.alarms() if each["AlarmName"] in alarm.get("AlarmRule", "")][:2]
    told, before = [], "OK"
    for state in ("ALARM", "OK") if composite else ("ALARM", "INSUFFICIENT_DATA", "OK"):
        at = pager.remember(alarm, state)
        told.append(
            notification(
                alarm,
                state,
                at,
                before=before,
                values=points(alarm, state),
                children=[(child, state, at) for child in children],
            )
        )
        before = state
    return told


# ---- Every alarm ----


def test_every_alarm_is_told_readably_from_its_beginning_to_its_end(quiet: Pager) -> None:
    alarms = quiet.alarms()
    assert any("AlarmRule" in alarm for alarm in alarms)
    for alarm in alarms:
        quiet.remember(alarm, "OK")
    time.sleep(1.1)  # the emulator's history has seconds
    # A composite moves with its parts, and its history is looked up to two seconds beyond its own change.
    parts, composites = ([each for each in alarms if ("AlarmRule" in each) is made] for made in (False, True))
    said = {alarm["AlarmName"]: notifications(quiet, alarm) for alarm in parts}
    time.sleep(3.1)
    said |= {alarm["AlarmName"]: notifications(quiet, alarm) for alarm in composites}
    for told in said.values():
        for message in told:
            quiet.publish(message)
    expected = sum(map(len, said.values()))
    eventually(quiet.mailed, lambda found: len(found) >= expected, within=180)
    eventually(lambda: quiet.receiver.posts, lambda found: len(found) >= expected)
    for alarm in alarms:
        posts, told_mails = quiet.posts_of(alarm), quiet.mails_of(alarm)
        assert len(posts) == len(told_mails) == len(said[alarm["AlarmName"]]), alarm["AlarmName"]
        for post in posts:
            is_readable(quiet, alarm, post.body)
        is_one_thread(posts, told_mails)
        for mail in told_mails:
            assert mail["From"] == SENDER
            assert mail["To"] == (ON_CALL if AlarmCard.parse(alarm["AlarmDescription"]).severity == "page" else TEAM)


def test_its_role_lets_it_look_up_what_a_page_says(quiet: Pager) -> None:
    """The emulator asks for each permission; a page that could not look something up only says less."""
    assert "not read" not in quiet.log()
    assert "not looked up" not in quiet.log()
    assert '"told"' in quiet.log()


def is_readable(pager: Pager, alarm: dict[str, Any], body: dict[str, Any]) -> None:
    """Somebody who has never seen the system knows what is wrong, since when, how bad, and where to go on."""
    card = AlarmCard.parse(alarm["AlarmDescription"])
    words = {"ALARM": "ALARM since ", "OK": "Over after ", "INSUFFICIENT_DATA": "NO DATA since "}
    text = body["text"]
    assert text.startswith(words[body["state"]]), alarm["AlarmName"]
    assert card.summary in text.splitlines()[1]
    assert body["severity"] == card.severity
    if "AlarmRule" in alarm:
        assert body["children"], "a composite names what made it change"
        assert all(f"{child['alarm']} ({child['state']} since " in text for child in body["children"])
    else:
        assert body["measured"]
        assert body["measured"] in text
    assert "None" not in text
    assert "null" not in text
    links_are_well_formed(pager, alarm, body["links"])


def links_are_well_formed(pager: Pager, alarm: dict[str, Any], links: dict[str, str]) -> None:
    region = pager.aws.outputs["region"]
    assert links.keys() == {"runbook", "alarm", "logs", "traces"}
    assert links["runbook"] == AlarmCard.parse(alarm["AlarmDescription"]).runbook
    assert urlsplit(links["runbook"]).fragment in alarm["AlarmName"]
    for kind in ("alarm", "logs", "traces"):
        parts = urlsplit(links[kind])
        assert (parts.scheme, parts.hostname) == ("https", f"{region}.console.aws.amazon.com")
        assert (parts.path, parts.query) == ("/cloudwatch/home", f"region={region}")
        assert parts.fragment.count("(") == parts.fragment.count(")")
    assert unquote(urlsplit(links["alarm"]).fragment) == f"alarmsV2:alarm/{alarm['AlarmName']}"
    plain_log_link = links["logs"].replace("*2f", "/")
    for output in ("sendLogGroup", "feedbackLogGroup"):
        assert f"~'{pager.aws.outputs[output]}" in plain_log_link
    assert f"annotation.stack*20*3d*20*22{pager.aws.outputs['stack']}*22" in links["traces"]


def is_one_thread(posts: Sequence[Post], told: Sequence[EmailMessage]) -> None:
    assert len({post.body["incident"] for post in posts}) == 1
    assert len({str(mail["Subject"]) for mail in told}) == 1
    assert len({post.key for post in posts}) == len(posts), "each change is one of its own"
    assert len(str(told[0]["Subject"])) <= 100


def test_the_next_incident_of_an_alarm_is_another_thread(quiet: Pager) -> None:
    alarm = next(each for each in quiet.alarms() if each.get("Namespace") == NAMESPACE)
    before = {str(mail["Subject"]) for mail in quiet.mails_of(alarm)}
    keys = {post.body["incident"] for post in quiet.posts_of(alarm)}
    time.sleep(1.1)
    for message in notifications(quiet, alarm):
        quiet.publish(message)
    posts = eventually(lambda: quiet.posts_of(alarm), lambda found: len({p.body["incident"] for p in found} - keys) > 0)
    eventually(lambda: quiet.mails_of(alarm), lambda found: len({str(mail["Subject"]) for mail in found} - before) == 1)
    assert len({post.body["incident"] for post in posts} - keys) == 1


# ---- Receivers that fail ----


def test_a_receiver_that_fails_is_asked_again_and_nobody_else_is(quiet: Pager) -> None:
    alarm = quiet.alarms()[0]
    mails_before, posts_before = len(quiet.mails_of(alarm)), len(quiet.posts_of(alarm))
    quiet.receiver.answers += [500, 503]
    # An incident of its own, yesterday.
    at = datetime.now(UTC) - timedelta(days=1)
    quiet.publish(notification(alarm, "ALARM", at, values=points(alarm)))
    posts = eventually(lambda: quiet.posts_of(alarm)[posts_before:], lambda found: len(found) >= 3)
    assert len({(post.key, json.dumps(post.body)) for post in posts}) == 1, "the same page, and told to be the same"
    time.sleep(1)
    assert len(quiet.mails_of(alarm)) == mails_before + 1, "people were told once"
    assert len(quiet.posts_of(alarm)) == posts_before + 3
    assert "s3cr3t" not in quiet.log()


# ---- Orders ----


def test_a_page_names_the_orders_it_is_about(quiet: Pager) -> None:
    alarm = next(each for each in quiet.alarms() if each.get("MetricName") == SENDS_UNKNOWN.name)
    record = {"_aws": {}, "Stack": "local", SENDS_UNKNOWN.name: 1, "order_id": "A-LOST-1"}
    logs, group = quiet.aws.client("logs"), quiet.aws.outputs["sendLogGroup"]
    logs.create_log_stream(logGroupName=group, logStreamName="tried")
    now = datetime.now(UTC)
    events = [{"timestamp": int(now.timestamp() * 1000), "message": json.dumps(record)}]
    logs.put_log_events(logGroupName=group, logStreamName="tried", logEvents=events)
    quiet.publish(notification(alarm, "ALARM", now, values=points(alarm)))
    eventually(lambda: quiet.posts_of(alarm), lambda found: any("A-LOST-1" in post.body["orders"] for post in found))


# ---- What its role allows ----


@pytest.mark.proof
@pytest.mark.parametrize(
    "action",
    [
        "cloudwatch:DescribeAlarmHistory",
        "logs:FilterLogEvents",
        "sns:Publish",
        "sqs:ChangeMessageVisibility",
        "sqs:SendMessage",
    ],
)
def test_every_permission_is_needed(action: str, others: LocalAws, receiver: Receiver) -> None:
    others.deploy(
        {"pageWebhooks": receiver.url, "ticketWebhooks": receiver.url}, transform=dropping("mailroom-notify", action)
    )
    without = Pager(others, receiver)
    alarm = next(each for each in without.alarms() if each.get("MetricName") == SENDS_UNKNOWN.name)
    receiver.answers[:] = [500] * 9
    now = datetime.now(UTC)
    without.publish(notification(alarm, "ALARM", now, values=points(alarm)))
    without.publish(notification(alarm, "OK", now, before="ALARM", values=points(alarm, "OK")))
    others.client("sns").publish(TopicArn=others.outputs["alarmsTopicArn"], Message="what is this?")
    try:
        denied = eventually(
            lambda: set(re.findall(r"not authorized to perform:? [`']?([\w-]+:\w+)", without.log())), bool
        )
    finally:
        receiver.answers.clear()
    assert denied == {action}


@pytest.fixture(scope="module")
def others(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalAws]:
    """An account that is deployed to again and again."""
    with LocalAws(folder=tmp_path_factory.mktemp("others")) as aws:
        yield aws


# ---- What is no alarm ----


def test_what_cannot_be_read_ends_in_the_dead_letter_queue(quiet: Pager) -> None:
    sqs, outputs = quiet.aws.client("sqs"), quiet.aws.outputs
    policy = sqs.get_queue_attributes(QueueUrl=outputs["notifyQueueUrl"], AttributeNames=["RedrivePolicy"])
    dead = json.loads(policy["Attributes"]["RedrivePolicy"])
    sqs.set_queue_attributes(
        QueueUrl=outputs["notifyQueueUrl"],
        Attributes={"RedrivePolicy": json.dumps({**dead, "maxReceiveCount": 1})},
    )
    quiet.aws.client("sns").publish(TopicArn=outputs["alarmsTopicArn"], Message="what is this?")

    def found() -> list[str]:
        messages = sqs.receive_message(QueueUrl=outputs["notifyDlqUrl"]).get("Messages", [])
        return [message["Body"] for message in messages]

    assert "what is this?" in eventually(found, bool)
    sqs.set_queue_attributes(QueueUrl=outputs["notifyQueueUrl"], Attributes={"RedrivePolicy": json.dumps(dead)})


# ---- By hand: last, as what it raises is told, too ----


def by_hand(pager: Pager, *arguments: str) -> Result:
    return CliRunner().invoke(page.app, [*arguments, "--folder", str(pager.aws.folder)])


@pytest.mark.parametrize("name", ["send-email-unknown-ticket", "mailroom-local-pipeline-down-page"])
def test_an_alarm_that_is_raised_by_hand_prints_what_is_mailed(quiet: Pager, name: str) -> None:
    shown = by_hand(quiet, name)
    assert shown.exit_code == 0, shown.output
    assert shown.stdout.startswith(f"To: {TEAM if name.endswith('ticket') else ON_CALL}\nSubject: [")
    assert name in shown.stdout
    assert "\nALARM since " in shown.stdout


def test_alarms_are_listed_and_a_misspelt_one_is_said_to_be_meant_otherwise(quiet: Pager) -> None:
    assert by_hand(quiet).stdout.split() == sorted(alarm["AlarmName"] for alarm in quiet.alarms())
    wrong = by_hand(quiet, "send-email-unkown-ticket")
    assert wrong.exit_code == 2
    assert "Did you mean send-email-unknown-ticket?" in wrong.output


def test_without_a_local_stack_it_says_how_to_get_one(tmp_path: Path) -> None:
    shown = CliRunner().invoke(page.app, ["any", "--folder", str(tmp_path)])
    assert shown.exit_code != 0
    assert "make up" in shown.output
