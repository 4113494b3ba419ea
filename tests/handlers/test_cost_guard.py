"""The entry `cost_guard`: from AWS Budgets by way of SQS to held lanes and told people."""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Iterator
from itertools import count
from types import ModuleType
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.exceptions import ClientError

from handlers.adapters.alarms import Topics
from handlers.adapters.control import Control
from handlers.environment import CostGuard, InvalidEnvironment
from handlers.guarding.brake import Holder, release
from handlers.guarding.tally import Start
from tests.handlers.entries import PRICES, CurrentStdout, printed, record, run
from tests.handlers.orders import envelope
from tests.handlers.test_budgets import golden

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

HOLDS = {"ACTUAL:50": [], "ACTUAL:100": ["order-confirmation", "probe"], "FORECASTED:100": ["probe"]}
SETTINGS = {
    "CONTROL_TABLE": "set by each test",
    "BUDGET_HOLDS": json.dumps(HOLDS),
    "TICKET_TOPIC_ARN": "arn:aws:sns:us-east-1:123456789012:ticket",
    "PRICES": json.dumps(PRICES),
    "STACK": "prod",
    "LOG_LEVEL": "INFO",
}
_numbers = count()

FAILED = ClientError({"Error": {"Code": "InternalError", "Message": "no"}}, "AnyCall")


@pytest.fixture(scope="module")
def started() -> Iterator[ModuleType]:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in SETTINGS.items():
            patch.setenv(name, value)
        sys.modules.pop("handlers.cost_guard", None)
        entry = importlib.import_module("handlers.cost_guard")
        entry.log.handlers[0].setStream(CurrentStdout())
        yield entry
        del sys.modules["handlers.cost_guard"]


class Guard:
    """The entry with a table and a topic of this test's own."""

    def __init__(self, entry: ModuleType, control: Control, patch: pytest.MonkeyPatch) -> None:
        self.entry, self.control, self.patch = entry, control, patch
        self.sqs: SQSClient = boto3.client("sqs")
        sns = boto3.client("sns")
        name = f"people-{next(_numbers)}"
        self.inbox = self.sqs.create_queue(QueueName=name)["QueueUrl"]
        topic = sns.create_topic(Name=name)["TopicArn"]
        sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=f"arn:aws:sqs:us-east-1:123456789012:{name}")
        patch.setattr(entry, "control", control)
        patch.setattr(entry.meter, "_tally", control)
        patch.setattr(entry, "topics", Topics(sns, {"ticket": topic}))

    def mailed(self) -> list[dict[str, str]]:
        """What the topic's subscribers got since this was asked last."""
        messages = self.sqs.receive_message(QueueUrl=self.inbox, MaxNumberOfMessages=10).get("Messages", [])
        for message in messages:
            self.sqs.delete_message(QueueUrl=self.inbox, ReceiptHandle=message["ReceiptHandle"])
        return [json.loads(message["Body"]) for message in messages]

    def held(self) -> list[str]:
        """Lanes that the budget holds."""
        return [lane for lane in ("order-confirmation", "probe") if Holder.BUDGET in self.control.lane(lane).holds]


@pytest.fixture
def guard(started: ModuleType, control: Control, monkeypatch: pytest.MonkeyPatch) -> Guard:
    return Guard(started, control, monkeypatch)


# ---- What fails ----


@pytest.mark.parametrize("text", ["", "{}", "hello", golden("actual").replace("Alert Type", "Type of alert")])
def test_what_is_no_alert_goes_back_until_it_is_put_aside_and_is_told_as_an_error(
    guard: Guard, capsys: pytest.CaptureFixture[str], text: str
) -> None:
    wrong, right = record(text), record(golden("actual"))
    assert run(guard.entry, wrong, right) == [wrong["messageId"]]
    assert guard.held() == ["order-confirmation", "probe"], "it keeps no other from being acted on"
    error, _ = printed(capsys.readouterr().out)[0]
    assert (error["level"], error["message"]) == ("ERROR", "budget notification not understood")
    assert error["reason"]


def test_a_lane_that_cannot_be_held_brings_the_alert_back(guard: Guard) -> None:
    alter = guard.control.alter

    def fail(name: str, change: Any) -> Any:
        if name == "probe":
            raise FAILED
        return alter(name, change)

    guard.patch.setattr(guard.control, "alter", fail)
    alert = record(golden("actual"))
    assert run(guard.entry, alert) == [alert["messageId"]]
    assert (guard.held(), guard.mailed()) == (["order-confirmation"], [])


def test_people_who_could_not_be_told_are_told_when_the_alert_comes_back(guard: Guard) -> None:
    with guard.patch.context() as patch:
        patch.setattr(guard.entry, "topics", Topics(guard.entry.topics._client, {"ticket": "arn:aws:sns:x:1:none"}))
        alert = record(golden("actual"))
        assert run(guard.entry, alert) == [alert["messageId"]]
        assert guard.held() == ["order-confirmation", "probe"], "lanes are held first"
    again = record(golden("actual"), receives=2)
    assert run(guard.entry, again) == []
    assert len(guard.mailed()) == 1


# ---- What is held and told ----


def test_a_threshold_holds_its_lanes_and_people_hear_of_it(guard: Guard, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(guard.entry, record(golden("actual"))) == []
    for lane in ("order-confirmation", "probe"):
        hold = guard.control.lane(lane).holds[Holder.BUDGET]
        assert hold.by == "cost_guard"
        assert hold.reason == "budget mailroom-prod: 104.37 USD spent, over 100.00 USD (100 % of 100.00)"
    (mail,) = guard.mailed()
    assert mail["Subject"] == "Mailroom prod: 100 % of the budget spent, lanes held: mailroom-prod"
    assert 'python -m ops release probe --reason "..."' in mail["Message"]
    (log,), _ = printed(capsys.readouterr().out)
    assert (log["message"], log["held"]) == ("budget threshold crossed", ["order-confirmation", "probe"])


def test_an_alert_in_an_envelope_of_sns_is_read_as_well(guard: Guard) -> None:
    assert run(guard.entry, record(envelope(golden("forecasted")))) == []
    assert guard.held() == ["probe"]


def test_a_threshold_that_holds_nothing_is_told_and_nothing_is_held(guard: Guard) -> None:
    assert run(guard.entry, record(golden("actual-half"))) == []
    (mail,) = guard.mailed()
    assert mail["Subject"] == "Mailroom prod: 50 % of the budget spent, nothing held: mailroom-prod"
    assert "No lane is held" in mail["Message"]
    assert guard.held() == []


def test_the_same_alert_twice_holds_once_and_is_told_once(guard: Guard) -> None:
    run(guard.entry, record(golden("actual")))
    before = guard.control.lane("probe")
    assert run(guard.entry, record(golden("actual"))) == []
    assert guard.control.lane("probe") == before
    assert len(guard.mailed()) == 1


def test_an_alert_after_a_release_holds_again_and_is_told_again(guard: Guard) -> None:
    run(guard.entry, record(golden("actual")))
    now = guard.entry.now()
    guard.control.alter("probe", lambda lane: release(lane, by="kim", reason="a new month", start=Start(now)))
    assert guard.held() == ["order-confirmation"]
    run(guard.entry, record(golden("actual")))
    assert guard.held() == ["order-confirmation", "probe"]
    assert len(guard.mailed()) == 2


def test_chat_applications_are_handed_what_they_show(guard: Guard) -> None:
    told: list[dict[str, Any]] = []

    class Listening:
        def publish(self, **request: Any) -> None:
            told.append(json.loads(request["Message"]))

    guard.patch.setattr(guard.entry, "topics", Topics(Listening(), {"ticket": "arn"}))  # type: ignore[arg-type]
    run(guard.entry, record(golden("actual")))
    (message,) = told
    custom = json.loads(message["https"])
    assert (custom["version"], custom["source"]) == ("1.0", "custom")
    assert custom["content"]["description"] == message["default"]


# ---- Settings ----


@pytest.mark.parametrize("text", ["", "[]", '{"ACTUAL": []}', '{"SOON:100": []}', '{"ACTUAL:100": ["newsletter"]}'])
def test_holds_that_make_no_sense_stop_the_start(text: str) -> None:
    with pytest.raises(InvalidEnvironment, match=r"BUDGET_HOLDS is .*, has to be JSON like"):
        CostGuard.read({**SETTINGS, "BUDGET_HOLDS": text})


def test_holds_arrive_as_lanes_by_threshold() -> None:
    assert CostGuard.read(SETTINGS).budget_holds == HOLDS
    assert CostGuard.read({**SETTINGS, "BUDGET_HOLDS": "{}"}).budget_holds == {}
