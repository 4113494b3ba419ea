"""Incidents that are really induced: one page each, and word of its end."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from typer.testing import CliRunner

from local.aws import LocalAws
from local.demo import app
from local.drill import Entry, Told, _raw, _written
from local.incidents import INCIDENTS, Played, _without, named, play
from local.report import Evidence, Program
from local.run import Run
from local.story import line_of
from observability.model import State
from ops.errors import Exit, OpsError

NOON = 1_767_614_400
INCIDENT = INCIDENTS["queue-stopped"]


def test_an_incident_that_is_not_known_is_answered_with_those_that_are() -> None:
    answer = CliRunner().invoke(app, ["--incident", "bounce-strom"])
    assert answer.exit_code == Exit.USAGE
    assert "bounce-storm, runaway, handler-fails, queue-stopped" in answer.output.replace("\n", " ")
    assert "Did you mean bounce-storm?" in answer.output
    with pytest.raises(OpsError, match="There is no incident 'earthquake'"):
        named("earthquake")


def test_a_broken_archive_lacks_one_module_and_nothing_else(tmp_path: Path) -> None:
    whole = tmp_path / "handlers.zip"
    with zipfile.ZipFile(whole, "w") as archive:
        for name in ("handlers/send_email.py", "handlers/mail/letter.py", "handlers/mail/orders.py"):
            archive.writestr(name, name)
    with zipfile.ZipFile(io.BytesIO(_without(whole, "handlers/mail/letter.py"))) as broken:
        assert broken.namelist() == ["handlers/send_email.py", "handlers/mail/orders.py"]
    with pytest.raises(KeyError, match=r"letter\.py"):
        _without(whole, "letter.py")


def mail(state: State = State.ALARM, alarm: str = INCIDENT.page, severity: str = "page") -> Told:
    return Told(NOON, "oncall@shop.example", "Orders", "ALARM since 12:00 UTC", state, alarm, severity)


def played(*told: Told, raised: bool = False, abandoned: int = 0, orders: int = 0, held: Sequence[str] = ()) -> Played:
    state = State.ALARM if raised else State.OK
    drill: Any = SimpleNamespace(
        told=[*told],
        pages=[each for each in told if each.severity == "page"],
        published=[],
        story=[Entry(NOON, "event", "the queue stops")],
        watcher=SimpleNamespace(states={"waiting": state}),
    )
    published = [(f'{{"orderId": "{number}"}}', datetime.fromtimestamp(NOON, UTC)) for number in range(orders)]
    evidence = Evidence(program=Program(1, 1), published=published)
    return Played("queue-stopped", INCIDENT, drill, Run(evidence, [], [], [], abandoned), NOON, NOON + 60, held)


@pytest.mark.parametrize(
    ("told", "fault"),
    [
        ((), "0 pages, where there should be one"),
        ((mail(), mail(), mail(State.OK)), "2 pages, where there should be one"),
        ((mail(),), "0 messages that it is over, where there should be one"),
        (
            (mail(alarm="objectives-page"), mail(State.OK)),
            "a page by objectives-page, where there should be one by pipeline-down-page",
        ),
        ((mail(), mail(State.OK, alarm="objectives-page")), "0 messages that it is over, where there should be one"),
        ((mail(), mail(State.INSUFFICIENT_DATA), mail(State.OK)), "2 pages, where there should be one"),
    ],
)
def test_anything_but_one_page_and_its_end_is_a_fault(told: tuple[Told, ...], fault: str) -> None:
    assert fault in played(*told).faults


def test_an_order_lost_an_alarm_left_and_a_message_given_up_are_faults() -> None:
    well = (mail(), mail(State.OK), mail(alarm="bounces", severity="ticket"))
    assert played(*well).faults == []
    assert played(*well, orders=2).faults == ["2 orders lost"]
    assert played(*well, raised=True).faults == ["still in ALARM: waiting"]
    assert played(*well, abandoned=3).faults == ["3 messages in dead-letter queues"]
    assert played(*well, held=["spend"]).faults == ["held by spend, where it should be nobody"]
    over = mail(State.OK, alarm="reputation-at-risk-page")
    assert played(*well, over).faults == [], "CloudWatch tells the end of what it kept back"


def test_the_report_says_when_what_happened() -> None:
    report = played(mail(), mail(State.OK), mail(alarm="bounces", severity="ticket")).report()
    assert (report["induced"], report["mended"]) == ("2026-01-05T12:00Z", "2026-01-05T12:01Z")
    assert (report["pages"], report["recoveries"], report["tickets"]) == (1, 1, ["bounces"])
    assert report["timeline"] == [{"at": "2026-01-05T12:00Z", "kind": "event", "text": "the queue stops"}]
    assert played().report()["paged"] is None


def test_a_line_of_the_story_begins_with_cloudwatchs_time() -> None:
    assert line_of(Entry(NOON + 300, "mail", "[page] local")).plain == "12:05  mail   [page] local"


def test_a_mail_is_read_by_its_alarm_its_state_and_its_severity() -> None:
    opening = "Over after 5 min (12:00 to 12:05 UTC)"
    page = f"{opening}\nIt was: broken\n\nSeverity    page: now\n\nAlarm: shop-prod-queue-page\n"
    assert _written(page) == (opening, "shop-prod-queue-page", State.OK, "page")
    assert _written("NO DATA since 12:00 UTC\n")[2] is State.INSUFFICIENT_DATA
    raw = {
        "AlarmName": "shop-prod-notify-page",
        "AlarmDescription": "Nobody is told.\n\nSeverity: page",
        "NewStateValue": "ALARM",
        "StateChangeTime": "2026-01-05T12:05:00.000+0000",
    }
    assert _raw(json.dumps(raw)) == ("ALARM at 12:05 UTC", "shop-prod-notify-page", State.ALARM, "page")


# ---- For real ----

TICKETS = {
    "bounce-storm": {"sender-bounce-rate-ticket", "reputation-warning-ticket", "delivery-slow-ticket"},
    "runaway": {"delivery-slow-ticket"},
    "handler-fails": set[str](),
    "queue-stopped": set[str](),
}


@pytest.fixture(scope="module")
def account(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalAws]:
    with LocalAws(folder=tmp_path_factory.mktemp("incidents"), watched=True) as aws:
        yield aws


LONG = INCIDENTS.keys() - {"queue-stopped"}
"""One is the sample of `make test`; what the guards do, and a handler that fails, are tried in other ways there."""


@pytest.mark.local
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.proof) if name in LONG else name for name in INCIDENTS]
)
def test_an_incident_pages_once_and_its_end_is_told(account: LocalAws, name: str) -> None:
    happened = play(account, name)
    report = happened.report()
    assert happened.faults == []
    assert (report["pages"], report["recoveries"]) == (1, 1)
    assert report["induced"] < report["paged"] < report["mended"] < report["over"]
    [page], [over] = happened.pages, happened.recoveries
    assert page.opening.startswith("ALARM since ")
    assert over.opening.startswith("Over after ")
    assert page.subject == over.subject, "one thread"
    assert set(report["tickets"]) <= TICKETS[name], "what is held goes out late"
    assert report["parked"] > 0 if INCIDENTS[name].holds else report["parked"] >= 0
    moved = [entry["text"] for entry in report["timeline"] if entry["kind"] == "alarm"]
    assert f"{INCIDENTS[name].page}: OK -> ALARM" in moved
    assert f"{INCIDENTS[name].page}: ALARM -> OK" in moved
