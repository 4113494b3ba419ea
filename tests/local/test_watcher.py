"""CloudWatch in the local run: its clock, what is collected, how alarms are judged and told."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handlers.telemetry.contract import Lane
from local import metrics
from local.alarms import alarms_of, notification
from local.aws import LocalAws
from local.deployer.model import Json
from local.metrics import COLLECTED, NOT_COLLECTED, Collector, RealClock, SteppedClock
from local.orders import sample_orders
from local.pager import mails, text_of
from local.run import depth
from local.schedules import rate, run_now, schedules
from local.watcher import CLOUDWATCH, LAG, Step, Watch, Watcher, following, told
from observability.errors import ToolkitError
from observability.evaluation import Change, evaluate
from observability.model import MINUTE, MetricAlarm, MetricKey, MetricStat, State, read_metric_alarm
from observability.simulation import Notice
from observability.sources import estate_of
from observability.statistics import Statistic
from observability.store import Grid, MetricStore
from ops.errors import OpsError
from ops.publish import Line, publish
from ops.stack import Outputs, Stack
from tests.recorded import STACKS, recording

NOON = 1_767_614_400
ON_CALL = "oncall@mailroom.example"
SQS = {"QueueName": "orders"}


# ---- The clock ----


def test_time_stands_still_between_two_turns() -> None:
    clock = SteppedClock(NOON + 17)
    assert (clock.minute, clock.of(100), clock.of(5000)) == (NOON, NOON, NOON)
    assert clock.turn(1000) == NOON + MINUTE
    assert (clock.of(999), clock.of(1000), clock.of(5000)) == (NOON, NOON + MINUTE, NOON + MINUTE)


@given(st.lists(st.floats(0, 1e9), min_size=1).map(sorted), st.floats(0, 1e9), st.floats(0, 1e9))
def test_what_was_earlier_stays_earlier(turns: list[float], one: float, other: float) -> None:
    clock = SteppedClock(NOON)
    for real in turns:
        clock.turn(real)
    assert clock.of(min(one, other)) <= clock.of(max(one, other)) <= clock.minute


@pytest.mark.parametrize("expression", ["cron(0 8 * * ? *)", "at(2026-01-05T08:00:00)", "rate(5 fortnights)"])
def test_a_schedule_that_is_no_rate_is_refused_by_its_expression(expression: str) -> None:
    with pytest.raises(OpsError, match="knows rates only") as refusal:
        rate(expression)
    assert expression in refusal.value.message


def test_a_rate_is_read_in_every_unit() -> None:
    assert [rate("rate(1 minute)"), rate("rate(30 minutes)"), rate("rate(2 hours)"), rate("rate(1 day)")] == [
        60,
        1800,
        7200,
        86_400,
    ]


# ---- What is collected ----


class Account:
    """What a collector asks of a local account."""

    def __init__(self, file: Path) -> None:
        self.metrics = file
        self.counts: dict[str, int] = {}
        self.twin = SimpleNamespace(counts=lambda: self.counts)

    def client(self, service: str) -> Any:
        return None

    def write(self, *records: Json, end: str = "\n") -> None:
        with self.metrics.open("a", encoding="utf-8") as file:
            file.write("\n".join(map(json.dumps, records)) + end)


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[Json]]:
    """The queues, by name."""
    found: dict[str, list[Json]] = {}
    monkeypatch.setattr(metrics, "queues", lambda _: found)
    return found


@pytest.fixture
def account(tmp_path: Path) -> Account:
    file = tmp_path / "metrics.jsonl"
    file.touch()
    return Account(file)


def collector_of(account: Account, clock: SteppedClock) -> Collector:
    return Collector(account, clock)  # type: ignore[arg-type]


def emf(at: float, **values: float) -> Json:
    directive = {"Namespace": "Shop", "Dimensions": [[]], "Metrics": [{"Name": name} for name in values]}
    return {"LogEvent": json.dumps({"_aws": {"Timestamp": int(at * 1000), "CloudWatchMetrics": [directive]}, **values})}


def point(namespace: str, name: str, value: float, at: float, **dimensions: str) -> Json:
    named = [{"Name": key, "Value": each} for key, each in dimensions.items()]
    datum = {"MetricName": name, "Dimensions": named, "Timestamp": at, "Value": value, "Unit": "Count"}
    return {"Namespace": namespace, "MetricData": [datum]}


def message(sent: float, *, received: int = 0, visible: bool = True) -> Json:
    return {"IsVisible": visible, "ReceiveCount": received, "Attributes": {"SentTimestamp": str(int(sent * 1000))}}


def value(store: MetricStore, key: MetricKey, end: int, statistic: str = "Maximum") -> float:
    """In the minute up to `end`."""
    return float(store.values(MetricStat(key, MINUTE, Statistic.parse(statistic)), Grid(end, MINUTE, 1))[0])


@pytest.mark.usefixtures("held")
def test_a_point_gets_the_minute_in_which_it_was_emitted(account: Account) -> None:
    clock = SteppedClock(NOON)
    collector = collector_of(account, clock)
    account.write(emf(1000.5, Sold=2), point("AWS/Lambda", "Errors", 1, 1001, FunctionName="send"))
    clock.turn(1002)
    account.write(emf(1001.9, Sold=3), emf(1002.5, Sold=5), end="\n")
    collector.collect(clock.minute)
    sold, errors = MetricKey.of("Shop", "Sold"), MetricKey.of("AWS/Lambda", "Errors", {"FunctionName": "send"})
    assert value(collector.store, sold, NOON + MINUTE, "Sum") == 5
    assert value(collector.store, sold, NOON + 2 * MINUTE, "Sum") == 5
    assert value(collector.store, errors, NOON + MINUTE, "Sum") == 1


@pytest.mark.usefixtures("held")
def test_each_record_is_taken_once_and_one_half_written_later(account: Account) -> None:
    clock = SteppedClock(NOON)
    account.write(emf(1000, Sold=100))  # before the collector was there
    collector = collector_of(account, clock)
    account.write(emf(1000, Sold=2))
    whole = json.dumps(emf(1000, Sold=3))
    with account.metrics.open("a", encoding="utf-8") as file:
        file.write(whole[:20])
    collector.collect(NOON + MINUTE)
    with account.metrics.open("a", encoding="utf-8") as file:
        file.write(whole[20:] + "\n")
    collector.collect(NOON + MINUTE)
    collector.collect(NOON + MINUTE)
    assert value(collector.store, MetricKey.of("Shop", "Sold"), NOON + MINUTE, "Sum") == 5


@pytest.mark.usefixtures("held")
@pytest.mark.parametrize("line", ['not JSON, but "_aws"', '{"_aws": {}}', '{"_aws": {"Timestamp": "noon"}}'])
def test_a_line_that_only_looks_like_a_record_is_passed_over(account: Account, line: str) -> None:
    collector = collector_of(account, SteppedClock(NOON))
    account.write({"LogEvent": line})
    collector.collect(NOON + MINUTE)
    assert collector.store.keys() == ()


def test_a_queue_is_as_old_as_its_oldest_message_by_cloudwatchs_clock(
    account: Account, held: dict[str, list[Json]]
) -> None:
    clock = SteppedClock(NOON)
    collector = collector_of(account, clock)
    for minute in range(12):
        clock.turn(1000 + minute)  # twelve minutes pass in twelve seconds
    held["orders"] = [message(1003.5), message(1009.5, received=1, visible=False)]
    collector.collect(clock.minute)
    levels = {
        name: value(collector.store, MetricKey.of("AWS/SQS", name, SQS), clock.minute)
        for name in metrics.LEVELS["AWS/SQS"]
    }
    assert levels == {
        "ApproximateNumberOfMessagesVisible": 1,
        "ApproximateNumberOfMessagesNotVisible": 1,
        "ApproximateAgeOfOldestMessage": 8 * MINUTE,
    }


def test_a_message_that_comes_back_again_and_again_does_not_count_for_the_age(
    account: Account, held: dict[str, list[Json]]
) -> None:
    clock = SteppedClock(NOON)
    collector = collector_of(account, clock)
    for minute in range(9):
        clock.turn(1000 + minute)
    held["orders"] = [message(1000.5, received=metrics.POISONED), message(1006.5, received=1)]
    collector.collect(clock.minute)
    key = MetricKey.of("AWS/SQS", "ApproximateAgeOfOldestMessage", SQS)
    assert value(collector.store, key, clock.minute) == 2 * MINUTE


@pytest.mark.usefixtures("held")
def test_reputation_does_not_exist_before_the_first_bounce_and_ignores_the_simulator(account: Account) -> None:
    collector = collector_of(account, SteppedClock(NOON))
    key = MetricKey.of("AWS/SES", "Reputation.BounceRate")
    account.counts = {"reputed DELIVERY": 30, "outcome BOUNCE": 5}
    collector.collect(NOON + MINUTE)
    assert collector.store.keys() == ()
    account.counts = {"reputed DELIVERY": 38, "reputed BOUNCE": 2, "outcome BOUNCE": 7}
    collector.collect(NOON + 2 * MINUTE)
    assert value(collector.store, key, NOON + 2 * MINUTE) == 2 / 40


@pytest.mark.usefixtures("held")
def test_it_says_how_many_functions_run_at_the_moment(account: Account) -> None:
    collector = collector_of(account, SteppedClock(NOON))
    for running in (1, 2, 1):
        account.write(point("AWS/Lambda", "ConcurrentExecutions", running, 1000))
        collector.look()
        assert collector.running == running


@pytest.mark.parametrize("stack", STACKS)
def test_every_metric_that_alarms_look_at_is_collected_or_listed_with_the_reason(stack: str) -> None:
    alarms = [alarm for alarm in estate_of(recording(stack)).alarms if isinstance(alarm, MetricAlarm)]
    looked_at = {(stat.key.namespace, stat.key.name) for alarm in alarms for stat in alarm.metrics}
    of_aws = {each for each in looked_at if each[0].startswith("AWS/")}
    assert len(of_aws) > 5
    assert of_aws <= COLLECTED | NOT_COLLECTED.keys()
    assert all(NOT_COLLECTED.values())
    assert not COLLECTED & NOT_COLLECTED.keys()


def test_only_what_begins_or_ends_an_alarm_is_told_in_the_terminal() -> None:
    def notice(before: State, after: State, withheld: str = "") -> Notice:
        change = Change("queue-full", NOON, before, after, "because")
        return Notice("queue-full", NOON, after, ("arn:aws:sns:::t",), "because", withheld, change)

    step = Step(
        NOON,
        (),
        (
            notice(State.INSUFFICIENT_DATA, State.OK),
            notice(State.OK, State.ALARM),
            notice(State.ALARM, State.OK, "suppressed by maintenance"),
        ),
    )
    assert told(step) == [
        "12:00 queue-full is ALARM",
        "12:00 queue-full is OK (nobody is told: suppressed by maintenance)",
    ]


# ---- How alarms are judged and told ----


def test_after_a_sleep_the_watch_goes_on_with_the_minute_that_it_is() -> None:
    assert following(NOON, NOON + LAG + 0.5) == NOON + MINUTE
    assert following(NOON, NOON + 10 * MINUTE + LAG) == NOON + 10 * MINUTE
    assert following(NOON, NOON + 10 * MINUTE + LAG / 2) == NOON + 9 * MINUTE, "its metrics may not be written yet"


def test_a_minute_that_cannot_be_judged_is_told_and_the_next_one_is_judged(
    account: Account, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    tried: list[int] = []

    def step(at: int) -> Step:
        tried.append(at)
        if len(tried) == 1:
            raise ToolkitError("alarm bands: it compares with a band")
        return Step(at, (), ())

    watch = Watch(account)  # type: ignore[arg-type]
    ends = iter([False, False, True])
    monkeypatch.setattr(watch, "_watcher", SimpleNamespace(step=step))
    monkeypatch.setattr(watch, "_ended", SimpleNamespace(wait=lambda _: next(ends), is_set=lambda: False))
    watch._run()
    assert len(tried) == 2
    assert tried[0] < tried[1]
    assert "alarm bands: it compares with a band" in capsys.readouterr().err


@pytest.mark.parametrize(("points", "state"), [([7.0, 8.0], "ALARM"), ([1.0, 2.0], "OK")])
def test_a_notification_by_hand_gives_the_reason_that_the_evaluation_would(points: list[float], state: str) -> None:
    alarm = {
        "AlarmName": "queue-full",
        "AlarmArn": "arn:aws:cloudwatch:us-east-1:123456789012:alarm:queue-full",
        "Namespace": "AWS/SQS",
        "MetricName": "ApproximateNumberOfMessagesVisible",
        "Statistic": "Maximum",
        "Period": 60,
        "EvaluationPeriods": 2,
        "DatapointsToAlarm": 2,
        "Threshold": 5.0,
        "ComparisonOperator": "GreaterThanThreshold",
    }
    store = MetricStore()
    key = MetricKey.of("AWS/SQS", "ApproximateNumberOfMessagesVisible")
    store.put(key, [NOON - MINUTE, NOON - 2 * MINUTE], points)
    found = evaluate(read_metric_alarm(alarm), store, NOON)
    assert found.state == state
    message = json.loads(notification(alarm, state, datetime.fromtimestamp(NOON, UTC), values=points))
    assert message["NewStateReason"] == found.reason


# ---- On the emulator ----


class Watched:
    """A deployed and watched account."""

    def __init__(self, aws: LocalAws) -> None:
        self.aws = aws
        self.stack = Stack(Outputs.parse(aws.outputs))
        self.clock = SteppedClock(int(time.time()) + 3600)
        self.watcher = Watcher(aws, self.clock)

    @property
    def cloudwatch(self) -> Any:
        return self.aws.client("cloudwatch")

    def step(self) -> Step:
        return self.watcher.step(self.clock.turn(time.time()))

    def name(self, ending: str) -> str:
        [found] = [name for name in self.described() if name.endswith(ending)]
        return found

    def described(self) -> dict[str, Json]:
        return {alarm["AlarmName"]: alarm for alarm in alarms_of(self.cloudwatch)}

    def history(self, name: str) -> list[Json]:
        items: list[Json] = self.cloudwatch.describe_alarm_history(
            AlarmName=name, AlarmTypes=["MetricAlarm", "CompositeAlarm"], HistoryItemType="StateUpdate"
        )["AlarmHistoryItems"]
        return items

    def mailed(self, enough: int = 0, within: float = 30) -> list[str]:
        """What the person on call was mailed, once it is enough; with 0, what comes within a second or so."""
        found: list[str] = []
        deadline = time.monotonic() + (within if enough else 1.5)
        while time.monotonic() < deadline and (len(found) < enough or not enough):
            found += [text_of(mail) for mail in mails(self.aws.client("sqs"), ON_CALL)]
            time.sleep(0.1)
        return found


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    with LocalAws(folder=tmp_path_factory.mktemp("watched"), watched=True) as aws:
        aws.deploy()
        running = Watched(aws)
        for schedule in schedules(aws):
            run_now(aws, schedule, at=time.time())  # an alarm that takes silence for failure would go off otherwise
        running.step()
        running.mailed(4)  # those that tell past `notify` say that they are OK for the first time
        yield running


@pytest.mark.local
def test_the_emulator_judges_nothing_and_tells_nobody(watched: Watched) -> None:
    name = watched.name("notify-dlq-not-empty-page")
    before = {each: alarm["StateValue"] for each, alarm in watched.described().items()}
    alarm = watched.described()[name]
    watched.cloudwatch.put_metric_data(
        Namespace=alarm["Namespace"],
        MetricData=[{"MetricName": alarm["MetricName"], "Dimensions": alarm["Dimensions"], "Value": 1000}],
    )
    watched.cloudwatch.set_alarm_state(AlarmName=name, StateValue="ALARM", StateReason="tried")
    after = {each: alarm["StateValue"] for each, alarm in watched.described().items()}
    assert after == {**before, name: "ALARM"}
    assert watched.mailed() == []
    watched.step()  # it is told now, and over with the next minute
    assert len(watched.mailed(1)) == 1
    watched.step()
    assert [json.loads(mail)["NewStateValue"] for mail in watched.mailed(1)] == ["OK"]


@pytest.mark.local
def test_an_alarm_set_by_hand_moves_its_composite_which_waits_for_its_suppressor_and_is_told_once(
    watched: Watched,
) -> None:
    """Two alarms, one after the other: each is over with the next minute, the composite with the last of them."""
    first, second = watched.name("send-queue-waiting-page"), watched.name("send-email-silent-page")
    composite = watched.name("pipeline-down-page")

    def set_by_hand(alarm: str) -> Step:
        watched.cloudwatch.set_alarm_state(AlarmName=alarm, StateValue="ALARM", StateReason="tried")
        return watched.step()

    began = set_by_hand(first)
    assert [(change.alarm, change.after) for change in began.changes] == [(first, "ALARM"), (composite, "ALARM")]
    assert [(notice.alarm, notice.withheld) for notice in began.notices] == [(composite, "suppressed by WaitPeriod")]
    state = watched.described()[composite]
    assert state["StateValue"] == "ALARM"
    assert int(state["StateUpdatedTimestamp"].timestamp()) == began.at == watched.clock.minute
    assert int(watched.history(composite)[0]["Timestamp"].timestamp()) == began.at
    waited = set_by_hand(second)
    assert {change.alarm: change.after for change in waited.changes} == {first: State.OK, second: State.ALARM}
    assert [notice.alarm for notice in waited.told] == [composite]
    [raised] = watched.mailed(1)
    assert raised.startswith("ALARM since ")
    assert "send-queue-waiting-page (ALARM since " in raised
    ended = watched.step()
    assert {change.alarm: change.after for change in ended.changes} == {second: State.OK, composite: State.OK}
    assert not ended.told, "its end waits as well"
    assert [notice.alarm for notice in watched.step().told] == [composite]
    [over] = watched.mailed(1)
    assert over.startswith("Over after 2 min ")
    assert watched.mailed() == []


@pytest.mark.local
def test_orders_become_the_points_that_aws_would_have(watched: Watched) -> None:
    aws, topic = watched.aws, watched.stack.outputs.order_topic_arn
    bodies = [sample.body for sample in sample_orders(3, 40) if sample.expected == "DELIVERED"][:3]
    publish(watched.stack.sns, topic, [Line(n, body) for n, body in enumerate(bodies, 1)])
    aws.client("sns").publish(TopicArn=topic, Message=bodies[0])  # without the attribute that says what it is
    deadline = time.monotonic() + 30
    # What a function logs is there when it has ended, and only then is its queue empty.
    while sum(row.status.value == "DELIVERED" for row in watched.stack.ledger.all()) < len(bodies) or depth(
        watched.stack, watched.stack.outputs.send_queue_url
    ):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    step = watched.step()
    queue, function = {"QueueName": watched.stack.outputs.send_queue_arn.rsplit(":", 1)[-1]}, aws.outputs
    of_function = {"FunctionName": function["sendFunctionName"]}
    of_topic = {"TopicName": topic.rsplit(":", 1)[-1]}

    def total(namespace: str, name: str, dimensions: dict[str, str]) -> float:
        return value(watched.watcher.collector.store, MetricKey.of(namespace, name, dimensions), step.at, "Sum")

    assert total("AWS/SNS", "NumberOfMessagesPublished", of_topic) == 4
    # Once by each lane's subscription.
    assert total("AWS/SNS", "NumberOfNotificationsFilteredOut-NoMessageAttributes", of_topic) == len(Lane)
    assert total("AWS/SQS", "NumberOfMessagesSent", queue) == 3
    assert total("AWS/Lambda", "Invocations", of_function) >= 1
    assert total("AWS/Lambda", "Errors", of_function) == 0
    assert total("AWS/Lambda", "Duration", of_function) > 0
    assert total("Mailroom", "EmailsSent", {"Stack": "local"}) == 3


@pytest.mark.local
def test_a_topic_that_does_not_let_cloudwatch_in_is_not_told_and_it_says_so(watched: Watched) -> None:
    sns, topic = watched.aws.client("sns"), watched.aws.outputs["alarmsTopicArn"]
    policy = sns.get_topic_attributes(TopicArn=topic)["Attributes"]["Policy"]
    closed = policy.replace(CLOUDWATCH, "events.amazonaws.com")
    assert closed != policy
    sns.set_topic_attributes(TopicArn=topic, AttributeName="Policy", AttributeValue=closed)
    try:
        name = watched.name("send-email-unknown-ticket")
        watched.cloudwatch.set_alarm_state(AlarmName=name, StateValue="ALARM", StateReason="tried")
        [notice] = watched.step().notices
        assert f"does not allow sns:Publish to {CLOUDWATCH}" in notice.withheld
        watched.step()
    finally:
        sns.set_topic_attributes(TopicArn=topic, AttributeName="Policy", AttributeValue=policy)


@pytest.mark.local
def test_by_the_real_clock_points_keep_their_times(watched: Watched) -> None:
    watcher = Watcher(watched.aws, RealClock())
    minute = int(time.time()) // MINUTE * MINUTE
    with watched.aws.metrics.open("a", encoding="utf-8") as file:  # type: ignore[union-attr]
        file.write(json.dumps(emf(minute - 70, Sold=3)) + "\n")
    watcher.step(minute)
    assert value(watcher.collector.store, MetricKey.of("Shop", "Sold"), minute - MINUTE) == 3
