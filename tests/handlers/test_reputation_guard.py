"""The reputation guard's entry: what it reads, what it does, and what it leaves alone."""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from handlers.adapters.control import Control
from handlers.guarding.brake import Hold, Holder, Lane, engage, release
from handlers.guarding.reputation import LONGEST
from handlers.guarding.tally import BOUNCED, COMPLAINED, JUDGED, Start, outcomes
from tests.handlers.entries import PRICES, Context, CurrentStdout, printed

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

NOW = datetime(2026, 11, 23, 10, 32, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
BOTH = "order-confirmation", "newsletter"
BROKEN = ClientError({"Error": {"Code": "InternalServerError", "Message": "no"}}, "GetItem")


@pytest.fixture(scope="module")
def entry(dynamodb: DynamoDBClient) -> Iterator[ModuleType]:
    """As Lambda starts it."""
    name = "handlers.reputation_guard"
    with pytest.MonkeyPatch.context() as patch:
        for variable, value in {
            "CONTROL_TABLE": "set by each test",
            "PRICES": json.dumps(PRICES),
            "STACK": "test",
            "LOG_LEVEL": "INFO",
        }.items():
            patch.setenv(variable, value)
        sys.modules.pop(name, Context())
        started = importlib.import_module(name)
        started.log.handlers[0].setStream(CurrentStdout())
        yield started
        del sys.modules[name]


@pytest.fixture
def guard(entry: ModuleType, control: Control, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.setattr(entry, "control", control)
    monkeypatch.setattr(entry.meter, "_tally", control)
    monkeypatch.setattr(entry, "now", lambda: NOW)
    return entry


def stream(*lanes: str) -> dict[str, Any]:
    """Records of the table's stream. Source: DynamoDB developer guide, "DynamoDB Streams and AWS Lambda triggers"."""
    return {
        "Records": [
            {
                "eventID": f"{number}",
                "eventName": "MODIFY",
                "eventSource": "aws:dynamodb",
                "dynamodb": {
                    "Keys": {"scope": {"S": outcomes(lane)}, "key": {"S": "2026-11-23T10"}},
                    "SequenceNumber": f"{number}",
                    "StreamViewType": "NEW_IMAGE",
                },
            }
            for number, lane in enumerate(lanes)
        ]
    }


def tell(
    control: Control, judged: int, bounced: int = 0, complained: int = 0, *, lane: str = BOTH[0], at: datetime = NOW
) -> None:
    amounts = {JUDGED: Decimal(judged), BOUNCED: Decimal(bounced), COMPLAINED: Decimal(complained)}
    control.add(outcomes(lane), at, amounts, slotted=frozenset(amounts))


def let_go(control: Control, holder: Holder = Holder.REPUTATION, at: datetime = NOW - 30 * MINUTE) -> None:
    """A lane that was held and released."""
    hold = Hold(holder=holder, by="somebody", reason="because", since=at - MINUTE)
    control.alter(BOTH[0], lambda lane: engage(lane, hold))
    control.alter(BOTH[0], lambda lane: release(lane, by="ann", reason="mended", start=Start(at)))


def lane(control: Control, name: str = BOTH[0]) -> Lane:
    return control.lane(name)


def said(out: str) -> list[str]:
    """The guard's own log lines; the meter's have tests of their own."""
    return [line["message"] for line in printed(out)[0] if line["message"] != "spend not added up"]


def warnings(out: str) -> list[dict[str, Any]]:
    return [line for line in printed(out)[1] if "ReputationWarnings" in line]


# ---- What fails ----


def test_a_lane_that_cannot_be_read_fails_the_run_after_the_others_had_their_turn(
    guard: ModuleType, control: Control, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    tell(control, 130, 14, lane=BOTH[1])
    read = control.lane

    def broken(name: str) -> Lane:
        if name == "broken":
            raise BROKEN
        return read(name)

    monkeypatch.setattr(control, "lane", broken)
    with pytest.raises(guard.NotJudged, match=r"not judged: broken$"):
        guard.handler(stream("broken", BOTH[1]), Context())
    assert read(BOTH[1]).held
    assert said(capsys.readouterr().out) == ["lane not judged", "held"]


def test_a_hold_that_cannot_be_written_fails_the_run(
    guard: ModuleType, control: Control, monkeypatch: pytest.MonkeyPatch
) -> None:
    tell(control, 130, 14)

    def refuse(*_: Any) -> None:
        raise BROKEN

    monkeypatch.setattr(control, "alter", refuse)
    with pytest.raises(guard.NotJudged):
        guard.handler(stream(BOTH[0]), Context())


# ---- What it does ----


def test_a_lane_that_bounces_is_held_and_only_that_one(
    guard: ModuleType, control: Control, capsys: pytest.CaptureFixture[str]
) -> None:
    tell(control, 130, 14)
    tell(control, 1000, 10, lane=BOTH[1])
    guard.handler(stream(*BOTH, BOTH[0]), Context())
    (hold,) = lane(control).holds.values()
    reason = "14 of 130 emails bounced in the last hour (10.77 %): with 99.99 % certainty over 2.5 %"
    assert hold == Hold(holder=Holder.REPUTATION, by="reputation_guard", reason=reason, since=NOW)
    assert lane(control, BOTH[1]) == Lane(name=BOTH[1])
    line, *_ = printed(capsys.readouterr().out)[0]
    assert (line["message"], line["lane"], line["reason"]) == ("held", BOTH[0], reason)


def test_complaints_hold_it_as_well(guard: ModuleType, control: Control) -> None:
    for days in range(10):
        tell(control, 1000, 5, 1, at=NOW - timedelta(days=days))
    guard.handler(stream(BOTH[0]), Context())
    assert "10 of 10,000 emails were complained of in the last 10 days" in lane(control).holds[Holder.REPUTATION].reason


def test_what_comes_slowly_is_seen_over_weeks(guard: ModuleType, control: Control) -> None:
    for days in range(30):
        tell(control, 10, 1, at=NOW - timedelta(days=days))
    guard.handler(stream(BOTH[0]), Context())
    assert "30 of 300 emails bounced in the last 30 days" in lane(control).holds[Holder.REPUTATION].reason


def test_a_warning_is_a_point_with_lane_and_reason_and_holds_nothing(
    guard: ModuleType, control: Control, capsys: pytest.CaptureFixture[str]
) -> None:
    tell(control, 1000, 10, at=NOW - timedelta(days=2))
    tell(control, 130, 10)
    guard.handler(stream(BOTH[0]), Context())
    assert not lane(control).held
    (point,) = warnings(capsys.readouterr().out)
    assert (point["ReputationWarnings"], point["Stack"], point["lane"]) == (1, "test", BOTH[0])
    assert point["reason"].startswith("10 of 130 emails bounced in the last hour")


def test_the_same_records_again_change_nothing(guard: ModuleType, control: Control) -> None:
    tell(control, 130, 14)
    guard.handler(stream(BOTH[0]), Context())
    once = lane(control)
    guard.handler(stream(BOTH[0]), Context())
    assert lane(control) == once


# ---- What it leaves alone ----


@pytest.mark.parametrize(("judged", "bounced"), [(3, 2), (4, 4), (1000, 10)])
def test_a_lane_that_is_fine_is_not_written_and_nothing_is_said(
    guard: ModuleType, control: Control, capsys: pytest.CaptureFixture[str], judged: int, bounced: int
) -> None:
    tell(control, judged, bounced)
    guard.handler(stream(BOTH[0]), Context())
    assert lane(control) == Lane(name=BOTH[0])
    out = capsys.readouterr().out
    assert said(out) == []
    assert warnings(out) == []


def test_a_lane_that_somebody_holds_is_not_judged(guard: ModuleType, control: Control) -> None:
    hold = Hold(holder=Holder.OPERATOR, by="ann", reason="a bad list", since=NOW)
    control.alter(BOTH[0], lambda found: engage(found, hold))
    tell(control, 130, 130)
    guard.handler(stream(BOTH[0]), Context())
    assert lane(control).holds.keys() == {Holder.OPERATOR}


def test_what_bounced_before_the_release_does_not_hold_the_lane_again(guard: ModuleType, control: Control) -> None:
    tell(control, 1000, 500, at=NOW - 40 * MINUTE)
    let_go(control)
    tell(control, 5, 1)
    guard.handler(stream(BOTH[0]), Context())
    assert not lane(control).held


def test_a_lane_that_was_released_meanwhile_is_not_held_on_old_evidence(
    guard: ModuleType, control: Control, monkeypatch: pytest.MonkeyPatch
) -> None:
    tell(control, 130, 14, at=NOW - 40 * MINUTE)
    judge = guard.judge

    def slowly(evidence: Any) -> Any:
        let_go(control)
        return judge(evidence)

    monkeypatch.setattr(guard, "judge", slowly)
    guard.handler(stream(BOTH[0]), Context())
    assert not lane(control).held


def test_records_of_other_scopes_are_none_of_its_business(guard: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    judged: list[str] = []
    monkeypatch.setattr(guard, "guard", judged.append)
    event = stream(BOTH[0])
    event["Records"][0]["dynamodb"]["Keys"]["scope"]["S"] = "spend"
    guard.handler(event, Context())
    assert judged == []


# ---- Trials ----


def test_a_lane_on_trial_passes_when_enough_emails_arrived(
    guard: ModuleType, control: Control, capsys: pytest.CaptureFixture[str]
) -> None:
    let_go(control)
    tell(control, 58)
    guard.handler(stream(BOTH[0]), Context())
    assert lane(control).trial
    tell(control, 1)
    guard.handler(stream(BOTH[0]), Context())
    after = lane(control)
    assert (after.trial, after.changes[-1].what, after.changes[-1].by) == (False, "trial passed", "reputation_guard")
    assert after.changes[-1].reason == "0 of 59 emails bounced since its release (0 %): with 95 % certainty under 5 %"
    assert said(capsys.readouterr().out) == ["trial passed"]


def test_a_lane_on_trial_is_held_again_on_less(guard: ModuleType, control: Control) -> None:
    let_go(control)
    tell(control, 20, 3)
    guard.handler(stream(BOTH[0]), Context())
    assert Holder.REPUTATION in lane(control).holds


def test_a_lane_that_something_else_had_held_is_not_on_trial(guard: ModuleType, control: Control) -> None:
    let_go(control, Holder.SPEND)
    tell(control, 20, 3)
    guard.handler(stream(BOTH[0]), Context())
    assert lane(control) == replace(lane(control), trial=False, holds={})


# ---- What it costs ----


def test_its_own_calls_are_counted_like_everybody_elses(
    guard: ModuleType, control: Control, capsys: pytest.CaptureFixture[str]
) -> None:
    tell(control, 10)
    guard.handler(stream(BOTH[0]), Context())
    points = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [point["EstimatedSpend"] > 0 for point in points if "EstimatedSpend" in point] == [True]


# ---- What it reads ----


Span = tuple[datetime, datetime]


@pytest.fixture
def asked(control: Control, monkeypatch: pytest.MonkeyPatch) -> list[Span]:
    """Which hours of the outcomes were read."""
    spans: list[Span] = []
    hours_of = control.hours

    def noted(scope: str, since: datetime, until: datetime, **how: Any) -> Any:
        spans.append((since, until))
        return hours_of(scope, since, until, **how)

    monkeypatch.setattr(control, "hours", noted)
    return spans


def test_a_day_and_an_hour_are_all_that_is_read_of_a_busy_lane(
    guard: ModuleType, control: Control, asked: list[Span]
) -> None:
    for hours in range(60):
        tell(control, 5000, 10, at=NOW - timedelta(hours=hours))
    guard.handler(stream(BOTH[0]), Context())
    assert [until - since for since, until in asked] == [timedelta(hours=25, minutes=32)]


def test_of_a_quiet_lane_no_hour_is_read_twice(guard: ModuleType, control: Control, asked: list[Span]) -> None:
    tell(control, 10)
    guard.handler(stream(BOTH[0]), Context())
    (recent, _), (oldest, until) = asked
    assert recent - until == timedelta(hours=1)
    assert oldest == NOW - LONGEST


def test_what_was_before_the_release_is_not_even_read(guard: ModuleType, control: Control, asked: list[Span]) -> None:
    let_go(control)
    tell(control, 10)
    guard.handler(stream(BOTH[0]), Context())
    assert asked == [(NOW - 30 * MINUTE, NOW)]
