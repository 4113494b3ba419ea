"""What became of emails is added to their lane's tally once, whatever SES tells, how often, and in what order."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from types import ModuleType

import pytest
from botocore.exceptions import ClientError, ReadTimeoutError
from hypothesis import given
from hypothesis import strategies as st

from handlers.adapters.control import Control
from handlers.adapters.ledger import DynamoLedger
from handlers.guarding.tally import BOUNCED, COMPLAINED, JUDGED, Hour, outcomes
from handlers.mail.consequences import added
from handlers.mail.lifecycle import Evidence, Milestone, Row, Status, fold, message_id
from handlers.telemetry.contract import Lane
from tests.handlers.entries import printed, record, run
from tests.handlers.events import NAMES, told
from tests.handlers.rows import at, claimed_row, new_claim

NOW = datetime(2026, 11, 22, 15, 17, tzinfo=UTC)
KNOWN = {Milestone.DELIVERED, Milestone.SOFT_BOUNCE, Milestone.BOUNCE}

milestones = st.sampled_from(Milestone)
evidence = st.builds(
    lambda milestone, second: Evidence(milestone=milestone, at=at(second)), milestones, st.integers(0, 9)
)


@pytest.fixture
def record_feedback(record_feedback: ModuleType, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.setattr(record_feedback, "now", lambda: NOW)
    return record_feedback


def counted(control: Control, lane: Lane = Lane.CONFIRMATION) -> dict[str, int]:
    """The tally of the hour of NOW."""
    return {name: int(n) for hour in control.hours(outcomes(lane), NOW, NOW) for name, n in hour.totals.items()}


def folded(events: list[Evidence], *, sent_to: str = "leonie.koehler@example.com") -> Counter[str]:
    """What a row's events add, in the order in which they come."""
    row, total = claimed_row(sent_to=sent_to), Counter[str]()
    for event in events:
        before, row = row, fold(row, event)
        if event.milestone not in before.milestones:
            total.update(added(row, event.milestone))
    return total


# ---- Any order, any number of copies ----


@given(events=st.lists(evidence, min_size=1, max_size=6), data=st.data())
def test_any_order_and_number_of_copies_of_a_rows_events_adds_the_same(
    events: list[Evidence], data: st.DataObject
) -> None:
    copies = data.draw(st.lists(st.sampled_from(events), max_size=6))
    assert folded(data.draw(st.permutations([*events, *copies]))) == folded(events)


@given(events=st.lists(evidence, max_size=8))
def test_an_email_is_judged_bounced_and_complained_of_at_most_once(events: list[Evidence]) -> None:
    seen = {event.milestone for event in events}
    expected = {JUDGED: bool(seen & KNOWN), BOUNCED: Milestone.BOUNCE in seen, COMPLAINED: Milestone.COMPLAINT in seen}
    assert folded(events) == Counter({name: 1 for name, is_so in expected.items() if is_so})


@given(events=st.lists(evidence, max_size=8))
def test_mail_to_the_simulator_adds_nothing(events: list[Evidence]) -> None:
    assert not folded(events, sent_to="complaint+x@simulator.amazonses.com")


@pytest.mark.parametrize(
    ("known", "milestone", "adds"),
    [
        ([], Milestone.BOUNCE, {JUDGED: 1, BOUNCED: 1}),
        ([Milestone.DELIVERED], Milestone.BOUNCE, {BOUNCED: 1}),
        ([Milestone.BOUNCE], Milestone.DELIVERED, {}),
        ([Milestone.DELIVERED], Milestone.SOFT_BOUNCE, {}),
        ([], Milestone.SOFT_BOUNCE, {JUDGED: 1}),
        ([], Milestone.COMPLAINT, {COMPLAINED: 1}),
        ([Milestone.COMPLAINT], Milestone.DELIVERED, {JUDGED: 1}),
        ([], Milestone.SUPPRESSED, {}),
        ([], Milestone.REJECTED, {}),
        ([], Milestone.DELAYED, {}),
    ],
)
def test_an_event_adds_what_it_is_the_first_to_tell(
    known: list[Milestone], milestone: Milestone, adds: Mapping[str, int]
) -> None:
    row = claimed_row(milestones={m: at(0) for m in (Milestone.SUBMITTING, *known, milestone)})
    assert added(row, milestone) == adds


# ---- In the function ----


@pytest.mark.parametrize(
    "error",
    [
        ClientError({"Error": {"Code": "InternalServerError"}}, "UpdateItem"),
        ReadTimeoutError(endpoint_url="https://dynamodb.us-east-1.amazonaws.com"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_a_tally_that_cannot_be_written_fails_no_event_pages_and_says_what_is_lost(
    record_feedback: ModuleType,
    ledger: DynamoLedger,
    control: Control,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    error: Exception,
) -> None:
    class Failing(Control):
        def add(self, scope: str, at: datetime, amounts: Mapping[str, Decimal], *, slotted: frozenset[str]) -> Hour:
            raise error

    monkeypatch.setattr(record_feedback, "control", Failing(control._client, control._table))
    row = ledger.claim(new_claim())
    assert run(record_feedback, record(told("bounce"))) == []
    logs, records = printed(capsys.readouterr().out)
    (log,) = [line for line in logs if line["level"] == "ERROR"]
    assert (log["message"], log["tally"]) == ("outcomes not counted", "outcomes/order-confirmation")
    assert (log[JUDGED], log[BOUNCED]) == (1, 1)
    (fault,) = [line for line in records if "BrakeFaults" in line]
    assert (fault["BrakeFaults"], fault["tally"], fault["reason"]) == (1, log["tally"], log["message"]), "it pages"
    standing = ledger.get(row.order_id, row.message_id)
    assert standing
    assert standing.status is Status.BOUNCE


def test_an_event_that_comes_back_is_not_in_the_tally_yet(
    record_feedback: ModuleType, ledger: DynamoLedger, control: Control, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Unlucky(DynamoLedger):
        def learn(self, row: Row, evidence: Evidence, now: str) -> tuple[Row, bool]:
            if row.order_id == "A-2":
                raise ClientError({"Error": {"Code": "InternalServerError"}}, "UpdateItem")
            return super().learn(row, evidence, now)

    for order_id in ("A-1", "A-2"):
        ledger.claim(new_claim(order_id))
    events = [record(told("delivery", "A-1")), record(told("delivery", "A-2"))]
    with monkeypatch.context() as broken:
        broken.setattr(record_feedback, "ledger", Unlucky(ledger._client, ledger._table))
        assert run(record_feedback, *events) == [events[1]["messageId"]]
    assert counted(control) == {JUDGED: 1}
    run(record_feedback, *events)
    assert counted(control) == {JUDGED: 2}, "and the first one is told again"


def test_a_batch_is_one_write_a_lane_with_every_counter_in_its_slot(
    record_feedback: ModuleType, ledger: DynamoLedger, control: Control, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Watched(Control):
        def add(self, scope: str, at: datetime, amounts: Mapping[str, Decimal], *, slotted: frozenset[str]) -> Hour:
            writes.append(scope)
            return super().add(scope, at, amounts, slotted=slotted)

    writes: list[str] = []
    monkeypatch.setattr(record_feedback, "control", Watched(control._client, control._table))
    for number in range(4):
        ledger.claim(new_claim(f"A-{number}"))
    ledger.claim(new_claim("P-1", kind=Lane.PROBE.value, message_id=message_id("P-1", Lane.PROBE)))
    run(
        record_feedback,
        *(record(told(name, f"A-{number}")) for number, name in enumerate(("delivery", "delivery", "bounce", "send"))),
        record(told("delivery", "A-2")),
        record(told("complaint", "A-0")),
        record(told("delivery", "P-1", Lane.PROBE)),
    )
    assert writes == ["outcomes/order-confirmation", "outcomes/probe"]
    assert counted(control) == {JUDGED: 3, BOUNCED: 1, COMPLAINED: 1}
    assert counted(control, Lane.PROBE) == {JUDGED: 1}
    (hour,) = control.hours(outcomes(Lane.CONFIRMATION), NOW, NOW)
    assert hour.slots == {3: hour.totals}, "15:17 is in the fourth five minutes of its hour"


@pytest.mark.parametrize("name", NAMES)
def test_what_is_told_again_adds_nothing_more(
    record_feedback: ModuleType, ledger: DynamoLedger, control: Control, name: str
) -> None:
    ledger.claim(new_claim())
    run(record_feedback, record(told(name)))
    once = counted(control)
    run(record_feedback, *[record(told(name))] * 2)
    assert counted(control) == once


@pytest.mark.parametrize("name", NAMES)
def test_nothing_about_the_simulators_mail_is_written(
    record_feedback: ModuleType, ledger: DynamoLedger, control: Control, name: str
) -> None:
    ledger.claim(new_claim(sent_to="bounce+leonie@simulator.amazonses.com"))
    run(record_feedback, record(told(name)))
    assert counted(control) == {}
