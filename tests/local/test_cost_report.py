"""The monthly report of a run on the real program: its figures are the bill's, to the cent."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from email.message import EmailMessage
from functools import partial
from html import unescape
from typing import Any

import pytest

from handlers.adapters.control import Control
from handlers.guarding.tally import SPEND
from handlers.reporting.figures import Month
from handlers.reporting.rendering import money
from local.aws import LocalAws
from local.config import ROOT
from local.orders import sample_orders
from local.run import await_quiet, prepare, run
from local.usage import mark, use
from observability.bill import make_bill
from observability.usage import Usage, usage_json
from ops.publish import Line

pytestmark = pytest.mark.local

VOLUME = 60_000
NOW = datetime.now(UTC)
REPORTED = Month.of(NOW).before


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[LocalAws, Usage]]:
    """Three orders that are delivered by the real program, and what they and its schedules used."""
    good = [sample.body for sample in sample_orders(3, 60) if sample.expected == "DELIVERED"][:3]
    with LocalAws(folder=tmp_path_factory.mktemp("report"), counted=True) as aws:
        stack = prepare(aws)
        settle = partial(await_quiet, aws, stack, within=60)
        settle()
        before = mark(aws)
        ran = run(aws, stack, [Line(number, body) for number, body in enumerate(good, 1)], timeout=60)
        aside = [aws.outputs["notifyFunctionName"]]
        yield aws, use(aws, before, emails=len(ran.mails), settle=settle, aside=aside)


@pytest.fixture(scope="module")
def report(shop: tuple[LocalAws, Usage]) -> EmailMessage:
    """The mail that the deployed function sent about a month that cost what the run's bill says."""
    aws, usage = shop
    assert aws.deployment is not None
    bill = make_bill(aws.deployment.created, usage, volume=VOLUME)
    costs = {total.name: total.month for total in bill.by_service()}
    aws.cost_explorer.charge(REPORTED.first, costs, {"project": "mailroom", "stack": "local"})
    aws.cost_explorer.charge(REPORTED.first, {"AWS Lambda": Decimal(999)}, {"project": "other", "stack": "local"})
    control = Control(aws.client("dynamodb"), aws.outputs["controlTableName"])
    control.add(SPEND, REPORTED.begins, {"ses.email": Decimal(VOLUME)}, slotted=frozenset())
    before = len(aws.twin.mailbox())
    answer = aws.client("lambda").invoke(
        FunctionName=aws.outputs["costReportFunctionName"], Payload=json.dumps({"at": f"{NOW:%Y-%m-%dT%H:%M:%SZ}"})
    )
    assert "FunctionError" not in answer, answer["Payload"].read()
    (mail,) = aws.twin.mailbox()[before:]
    return mail.message()


@pytest.fixture(scope="module")
def bill(shop: tuple[LocalAws, Usage], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the bill's command says of the same run."""
    counted = tmp_path_factory.mktemp("bill") / "usage.json"
    counted.write_text(json.dumps(usage_json(shop[1])), encoding="utf-8")
    command = ("-m", "observability", "bill", "--stack", "local", "--volume", str(VOLUME), "--json", "--usage", counted)
    said = subprocess.run([sys.executable, *command], cwd=ROOT, capture_output=True, text=True, check=True)
    return dict(json.loads(said.stdout))


def rows(html: str) -> dict[str, str]:
    """The table of costs as it is read: the reported month's amount by service."""
    found = re.findall(r'<th scope="row">([^<]+)</th><td align="right" nowrap>([^<]+)</td>', html)
    return {unescape(name): usd for name, usd in found}


def part(report: EmailMessage, subtype: str) -> str:
    body = report.get_body((subtype,))
    assert body is not None
    return str(body.get_content())


def test_each_figure_of_the_report_is_the_bills(report: EmailMessage, bill: dict[str, Any]) -> None:
    found = rows(part(report, "html"))
    charged = {total["name"]: Decimal(total["month"]) for total in bill["by_service"]}
    assert found == {
        **{name: money(usd) for name, usd in charged.items() if usd},
        "Total": money(Decimal(bill["total"]["month"])),
    }
    assert {"Amazon Simple Email Service", "AWS Lambda", "AmazonCloudWatch", "Amazon DynamoDB"} <= found.keys()


def test_the_price_of_a_thousand_emails_is_the_bills_month_shared_among_them(
    report: EmailMessage, bill: dict[str, Any]
) -> None:
    each = Decimal(bill["total"]["month"]) * 1000 / VOLUME
    assert f'<td class="thousand">{each:.4f} USD</td>' in part(report, "html")
    assert f'<td class="emails">{VOLUME:,}</td>' in part(report, "html")


def test_subject_text_and_html_tell_the_same_sum(report: EmailMessage, bill: dict[str, Any]) -> None:
    total = money(Decimal(bill["total"]["month"]))
    assert report["Subject"] == f"Mailroom local: {total} USD in {REPORTED}"
    assert f"{total} USD IN" in part(report, "plain")
    assert f"{total} USD in" in part(report, "html")


def test_everything_was_measured_with_the_functions_own_rights(report: EmailMessage) -> None:
    assert "NOT MEASURED" not in part(report, "plain")


def test_the_report_is_one_request_to_cost_explorer(shop: tuple[LocalAws, Usage], report: EmailMessage) -> None:
    asked = shop[0].cost_explorer.asked[-1]
    assert asked["TimePeriod"] == {
        "Start": REPORTED.before.first.isoformat(),
        "End": REPORTED.after.first.isoformat(),
    }
