"""The gate of `send_email`: what a held lane and a reached limit do to a batch, before anything in it is claimed."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from types import ModuleType
from typing import Any

import pytest
from botocore.exceptions import ClientError

from handlers.adapters.control import Control
from handlers.adapters.ledger import DynamoLedger
from handlers.gate import Gate
from handlers.guarding.brake import FULL, RAMP, Hold, Holder, Lane, engage, release
from handlers.guarding.spending import Limits, estimate
from handlers.guarding.tally import DAY, HOUR, SPEND, USD, Start, slot_counts
from handlers.mail.sending import LEAST_RATE, Pace
from handlers.telemetry.contract import Lane as Lanes
from handlers.telemetry.spend import Meter
from tests.handlers.entries import LANES, SesClient, printed, record, run
from tests.handlers.orders import body
from tests.handlers.test_sending import Clock

CONFIRMATION, PROBE = (lane.value for lane in Lanes)
FAILED = ClientError({"Error": {"Code": "InternalServerError", "Message": "no"}}, "AnyCall")
NOW = datetime(2026, 11, 23, 10, 2, tzinfo=UTC)

Returned = list[dict[str, Any]]


@pytest.fixture
def returned(send_email: ModuleType, monkeypatch: pytest.MonkeyPatch) -> Returned:
    """What the queue was asked to bring again later, and how it was asked."""
    asked: Returned = []

    def note(sqs: object, url: str, receipts: list[str], seconds: int) -> int:
        asked.append({"url": url, "receipts": receipts, "seconds": seconds})
        return 0

    monkeypatch.setattr(send_email, "return_all_after", note)
    return asked


def limited(entry: ModuleType, monkeypatch: pytest.MonkeyPatch, emails: float, *, holds: list[str]) -> None:
    """Let the entry spend as much in an hour as so many emails are taken to cost."""
    limits = Limits(per_hour=Decimal(str(emails)) * estimate(1, entry.env.prices), per_day=Decimal(1000))
    gate = replace(entry.gate, limits=limits, holds=holds)
    monkeypatch.setattr(entry, "gate", gate)


def hold(control: Control, lane: str = CONFIRMATION, holder: Holder = Holder.OPERATOR) -> None:
    control.alter(lane, lambda before: engage(before, Hold(holder=holder, by="kim", reason="why not", since=NOW)))


def orders(count: int, lane: str = CONFIRMATION) -> list[dict[str, Any]]:
    return [
        record(body(orderId=f"{lane}-{number}"), lane=lane, receipt=f"r-{number}")
        | {"eventSourceARN": LANES[lane]["queueArn"]}
        for number in range(count)
    ]


def ids(records: list[dict[str, Any]]) -> list[str]:
    return [each["messageId"] for each in records]


# ---- What cannot be known or written ----


@pytest.mark.parametrize("broken", ["lane", "add", "hours", "alter"])
def test_a_control_table_that_fails_closes_the_gate_and_nothing_is_claimed(
    send_email: ModuleType,
    control: Control,
    ledger: DynamoLedger,
    ses: SesClient,
    monkeypatch: pytest.MonkeyPatch,
    broken: str,
) -> None:
    limited(send_email, monkeypatch, 0.5, holds=[CONFIRMATION])

    def fail(*_: Any, **__: Any) -> None:
        raise FAILED

    monkeypatch.setattr(control, broken, fail)
    with pytest.raises(ClientError):
        run(send_email, *orders(2))
    assert (ses.accepted, list(ledger.all())) == ([], [])


def test_a_lane_that_cannot_be_held_is_told_and_fails_the_batch(
    send_email: ModuleType, control: Control, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    limited(send_email, monkeypatch, 0.5, holds=[CONFIRMATION])

    def fail(*_: Any) -> None:
        raise TimeoutError("others were faster")

    monkeypatch.setattr(control, "alter", fail)
    with pytest.raises(TimeoutError):
        run(send_email, *orders(1))
    (line,), _ = printed(capsys.readouterr().out)
    assert (line["level"], line["message"], line["lane"]) == ("ERROR", "lane not held", CONFIRMATION)


def test_a_queue_of_no_lane_fails_the_batch_and_is_named(send_email: ModuleType, ses: SesClient) -> None:
    stray = record(body()) | {"eventSourceARN": "arn:aws:sqs:us-east-1:123456789012:stray"}
    with pytest.raises(
        LookupError, match=r"the queue arn:aws:sqs:us-east-1:123456789012:stray is no lane's: LANES has"
    ):
        run(send_email, stray)
    assert ses.accepted == []


def test_a_queue_that_takes_no_word_of_waiting_keeps_the_batch_all_the_same(
    send_email: ModuleType, control: Control, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: Any) -> None:
        raise FAILED

    monkeypatch.setattr(send_email, "return_all_after", fail)
    hold(control)
    batch = orders(2)
    assert run(send_email, *batch) == ids(batch)
    assert [line["message"] for line in printed(capsys.readouterr().out)[0]] == [
        "lane closed",
        "retry not brought forward",
    ]


# ---- Held ----


def test_a_held_lane_gives_its_batch_back_unclaimed_for_a_while_and_costs_next_to_nothing(
    send_email: ModuleType, control: Control, ledger: DynamoLedger, ses: SesClient, returned: Returned
) -> None:
    hold(control)
    batch = orders(3)
    assert run(send_email, *batch) == ids(batch)
    assert returned == [{"url": LANES[CONFIRMATION]["queueUrl"], "receipts": ["r-0", "r-1", "r-2"], "seconds": 90}]
    assert (ses.accepted, list(ledger.all())) == ([], [])
    assert spent(control) < estimate(1, send_email.env.prices)


def test_a_queue_brings_a_whole_batch_back_by_one_request(send_email: ModuleType, control: Control) -> None:
    queue = send_email.sqs.create_queue(QueueName="send-email")["QueueUrl"]
    for number in range(10):
        send_email.sqs.send_message(QueueUrl=queue, MessageBody=str(number))
    messages = send_email.sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10, VisibilityTimeout=0)["Messages"]
    asked: list[str] = []

    def note(model: Any, **_: Any) -> None:
        asked.append(model.name)

    send_email.sqs.meta.events.register("before-call.sqs", note)
    try:
        hold(control)
        run(send_email, *[record("x", receipt=each["ReceiptHandle"]) for each in messages])
    finally:
        send_email.sqs.meta.events.unregister("before-call.sqs", note)
    assert asked == ["ChangeMessageVisibilityBatch"]
    assert "Messages" not in send_email.sqs.receive_message(QueueUrl=queue)


def test_one_lane_is_held_and_the_other_goes_on_with_its_own_configuration_set(
    send_email: ModuleType, control: Control, ses: SesClient, returned: Returned
) -> None:
    hold(control)
    assert run(send_email, *orders(1, PROBE)) == []
    assert [mail["ConfigurationSetName"] for mail in ses.accepted] == ["probes"]
    assert len(run(send_email, *orders(1))) == 1
    assert len(ses.accepted) == 1


# ---- Limits ----


def spent(control: Control) -> Decimal:
    now = datetime.now(UTC)
    return sum((hour.totals[USD] for hour in control.hours(SPEND, now - HOUR, now)), Decimal(0))


def test_a_runaway_is_stopped_within_the_limit_and_every_order_is_still_there(
    send_email: ModuleType,
    control: Control,
    ses: SesClient,
    returned: Returned,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    price = send_email.env.prices["ses.email"]

    def billed(_: str) -> None:
        send_email.meter._use({"ses.email": Decimal(1)})

    ses.before = billed
    limited(send_email, monkeypatch, 25, holds=[CONFIRMATION])
    back: list[str] = []
    batch = orders(60)
    for start in range(0, 60, 5):
        back += run(send_email, *batch[start : start + 5])
    limit = send_email.gate.limits.per_hour
    assert limit - estimate(5, send_email.env.prices) <= spent(control) <= limit
    assert len(ses.accepted) * price <= limit
    assert len(back) + len(ses.accepted) == 60
    assert 20 <= len(ses.accepted) < 40
    lane = control.lane(CONFIRMATION)
    (change,) = lane.changes
    assert lane.holds.keys() == {Holder.SPEND}
    assert (change.by, change.what) == ("send_email", "engaged")
    assert change.reason.endswith("USD in an hour")
    logs, _ = printed(capsys.readouterr().out)
    assert [line["lane"] for line in logs if line["message"] == "spend limit reached, lane held"] == [CONFIRMATION]
    assert sum(len(each["receipts"]) for each in returned) == len(back)


def test_after_a_release_the_orders_go_out_once_each(
    send_email: ModuleType, control: Control, ses: SesClient, returned: Returned, monkeypatch: pytest.MonkeyPatch
) -> None:
    limited(send_email, monkeypatch, 3.5, holds=[CONFIRMATION])
    control.add(SPEND, datetime.now(UTC), {USD: send_email.gate.limits.per_hour}, slotted=frozenset({USD}))
    batch = orders(3)
    assert run(send_email, *batch) == ids(batch)
    now = datetime.now(UTC)
    start = Start(now, slot_counts(control.hours(SPEND, now, now), now))
    control.alter(CONFIRMATION, lambda lane: release(lane, by="kim", reason="mended", start=start))
    monkeypatch.setitem(send_email.paces, CONFIRMATION, Pace(1000, lambda: 0.0, lambda _: None))
    assert run(send_email, *batch) == []
    assert run(send_email, *batch) in ([], ids(batch)), "again, as queues may: recognised, or over the limit by now"
    assert len(ses.accepted) == 3


def test_a_batch_that_is_turned_back_gives_its_reservation_back(
    send_email: ModuleType, control: Control, returned: Returned, monkeypatch: pytest.MonkeyPatch
) -> None:
    limited(send_email, monkeypatch, 1.5, holds=[PROBE])
    run(send_email, *orders(3, PROBE))
    assert control.lane(PROBE).held
    assert spent(control) < estimate(1, send_email.env.prices)


def test_an_urgent_lane_goes_on_and_has_the_others_held(
    send_email: ModuleType, control: Control, ses: SesClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    limited(send_email, monkeypatch, 1.5, holds=[PROBE])
    assert run(send_email, *orders(3)) == []
    assert len(ses.accepted) == 3
    assert control.lane(PROBE).holds.keys() == {Holder.SPEND}
    assert control.lane(CONFIRMATION) == Lane(name=CONFIRMATION)


def test_of_many_batches_at_once_only_as_many_go_as_the_limit_lets(
    send_email: ModuleType, control: Control, monkeypatch: pytest.MonkeyPatch
) -> None:
    prices, entry = send_email.env.prices, send_email.gate
    limits = Limits(per_hour=estimate(7, prices), per_day=Decimal(1000))

    def environment(_: int) -> bool:
        meter = Meter("test", prices, control, entry.log)
        gate = replace(entry, meter=meter, limits=limits, holds=[CONFIRMATION])
        return bool(gate.pass_through(CONFIRMATION, 1)[1].admitted)

    with ThreadPoolExecutor(8) as pool:
        admitted = list(pool.map(environment, range(24)))
    assert 1 <= sum(admitted) <= 7
    assert control.lane(CONFIRMATION).held
    assert len(control.lane(CONFIRMATION).changes) == 1


# ---- The day ----


def gate_at(entry: ModuleType, control: Control, moment: Callable[[], datetime]) -> Gate:
    meter = Meter("test", entry.env.prices, control, entry.log, moment)
    limits = Limits(per_hour=Decimal(1000), per_day=Decimal(10))
    meter._began = moment()
    gate: Gate = replace(entry.gate, meter=meter, limits=limits, holds=[CONFIRMATION], now=moment)
    return gate


@pytest.mark.parametrize(
    ("ago", "admitted"),
    [(HOUR, False), (DAY - timedelta(minutes=1), False), (DAY + timedelta(minutes=6), True), (2 * DAY, True)],
)
def test_a_day_is_the_last_24_hours(send_email: ModuleType, control: Control, ago: timedelta, admitted: bool) -> None:
    control.add(SPEND, NOW - ago, {USD: Decimal(10)}, slotted=frozenset({USD}))
    assert gate_at(send_email, control, lambda: NOW).pass_through(CONFIRMATION, 1)[1].admitted is admitted


def test_the_hours_before_are_read_once_in_an_hour(
    send_email: ModuleType, control: Control, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[datetime] = []
    hours = control.hours

    def note(scope: str, since: datetime, until: datetime) -> Any:
        asked.append(until)
        return hours(scope, since, until)

    monkeypatch.setattr(control, "hours", note)
    moments = [NOW, NOW + timedelta(minutes=40), NOW + timedelta(minutes=59), NOW + timedelta(minutes=70)]
    gate = gate_at(send_email, control, lambda: moments[0])
    while moments:
        gate.meter._began = moments[0]
        gate.pass_through(CONFIRMATION, 1)
        moments.pop(0) if len(moments) > 1 else moments.clear()
    assert [until.hour for until in asked] == [9, 10]


# ---- Ramps ----


def test_a_ramp_paces_its_lane_at_its_share_and_no_other(
    send_email: ModuleType, control: Control, ses: SesClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    monkeypatch.setattr("handlers.send_email.time.monotonic", clock)
    for lane in LANES:
        monkeypatch.setitem(send_email.paces, lane, Pace(4, clock, clock.sleep))
    hold(control)
    control.alter(CONFIRMATION, lambda lane: release(lane, by="kim", reason="mended", start=Start(NOW)))
    for number in range(3):
        run(send_email, record(body(orderId=f"R-{number}")))
    assert clock.slept == pytest.approx([5, 5]), "a twentieth of four a second"
    assert control.lane(CONFIRMATION).share == RAMP[0]
    run(send_email, *orders(3, PROBE))
    assert clock.slept == pytest.approx([5, 5])
    assert len(ses.accepted) == 6


@pytest.mark.parametrize(
    ("rate", "share", "interval"),
    [(10, 1.0, 0.1), (10, 0.5, 0.2), (10, 0.05, 2), (1, 0.05, 1 / LEAST_RATE), (0.05, 1.0, 20), (0.05, 0.1, 20)],
)
def test_a_share_of_the_rate_is_kept_down_to_the_least(rate: float, share: float, interval: float) -> None:
    clock = Clock()
    pace = Pace(rate, clock, clock.sleep)
    moments = []
    for _ in range(30):
        assert pace.wait(float("inf"), share)
        moments.append(clock.seconds)
    assert moments[-1] - moments[-2] == pytest.approx(interval)


def test_a_lane_that_nobody_ever_held_goes_at_the_full_rate() -> None:
    assert (Lane(name=CONFIRMATION).stage, Lane(name=CONFIRMATION).share) == (FULL, 1.0)
