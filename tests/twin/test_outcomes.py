from __future__ import annotations

import base64
from collections import Counter
from datetime import timedelta

import pytest

from local.twin import outcomes
from local.twin.options import Options, Outcome
from local.twin.outcomes import Held, choose, decide, fraction, infected, plan
from local.twin.request import RenderingFailure
from tests.twin.mails import MakeSent

EICAR = rb"X5O!P%@AP[4\PZX54(P^)7CC)7}" + b"$EICAR-STANDARD-ANTIVIRUS-TEST-FILE!" + b"$H+H*"
PAUSE = timedelta(milliseconds=500)


@pytest.mark.parametrize(
    ("address", "outcome"),
    [
        ("success@simulator.amazonses.com", Outcome.DELIVERY),
        ("bounce+order-1@simulator.amazonses.com", Outcome.BOUNCE),
        ("complaint@simulator.amazonses.com", Outcome.COMPLAINT),
        ("ooto@simulator.amazonses.com", Outcome.AUTO_REPLY),
        ("suppressionlist@simulator.amazonses.com", Outcome.BOUNCE),
        ("nosuch@simulator.amazonses.com", Outcome.BOUNCE),
        ("jane@example.net", Outcome.DELIVERY),
    ],
)
def test_simulator_mailboxes_do_what_they_are_named_for(address: str, outcome: Outcome) -> None:
    assert decide(address, Options(), None) is outcome


def test_patterns_are_tried_in_order_whatever_the_case() -> None:
    options = Options(outcomes={"jane@*": Outcome.DELAY, "*@EXAMPLE.net": Outcome.SOFT_BOUNCE})
    assert decide("Jane <JANE@example.net>", options, None) is Outcome.DELAY
    assert decide("john@example.net", options, None) is Outcome.SOFT_BOUNCE
    assert decide("john@example.org", options, None) is Outcome.DELIVERY


def test_the_suppression_list_comes_before_everything_else() -> None:
    options = Options(outcomes={"*": Outcome.DELIVERY})
    assert decide("jane@example.net", options, "BOUNCE") is Held.LISTED_FOR_BOUNCE
    assert decide("bounce@simulator.amazonses.com", options, "COMPLAINT") is Held.LISTED_FOR_COMPLAINT


def test_shares_hold_over_many_addresses_and_stay_with_each() -> None:
    options = Options(outcome_shares={Outcome.BOUNCE: 0.02, Outcome.COMPLAINT: 0.01}, seed=7)
    addresses = [f"customer-{number}@example.net" for number in range(20_000)]
    first = [decide(address, options, None) for address in addresses]
    counted = Counter(first)
    assert 340 < counted[Outcome.BOUNCE] < 460
    assert 150 < counted[Outcome.COMPLAINT] < 250
    assert [decide(address, options, None) for address in reversed(addresses)] == first[::-1]
    other = Options(outcome_shares=options.outcome_shares, seed=8)
    assert [decide(address, other, None) for address in addresses] != first


def test_shares_lie_end_to_end() -> None:
    shares = {"a": 0.5, "b": 0.25}
    assert [choose(shares, at) for at in (0.0, 0.49, 0.5, 0.74, 0.75, 0.99)] == ["a", "a", "b", "b", None, None]
    assert 0 <= fraction(1, "x") < 1
    assert fraction(1, "x") == fraction(1, "x") != fraction(2, "x")


@pytest.mark.parametrize(
    ("outcome", "types"),
    [
        (Outcome.DELIVERY, ["SEND", "DELIVERY"]),
        (Outcome.BOUNCE, ["SEND", "BOUNCE"]),
        (Outcome.SOFT_BOUNCE, ["SEND", "BOUNCE"]),
        (Outcome.COMPLAINT, ["SEND", "DELIVERY", "COMPLAINT"]),
        (Outcome.AUTO_REPLY, ["SEND", "DELIVERY", "BOUNCE"]),
        (Outcome.SUPPRESSED, ["SEND", "BOUNCE"]),
        (Outcome.DELAY, ["SEND", "DELIVERY_DELAY", "DELIVERY"]),
        (Outcome.DELAY_BOUNCE, ["SEND", "DELIVERY_DELAY", "BOUNCE"]),
        (Outcome.REJECT, ["SEND", "REJECT"]),
        (Outcome.RENDERING_FAILURE, ["RENDERING_FAILURE"]),
        (Outcome.SILENT, ["SEND"]),
        (Held.LISTED_FOR_BOUNCE, ["SEND", "BOUNCE"]),
        (Held.LISTED_FOR_COMPLAINT, ["SEND", "COMPLAINT"]),
    ],
)
def test_every_outcome_has_its_events_in_order(outcome: Outcome | Held, types: list[str], sent: MakeSent) -> None:
    planned = plan(sent(), {"jane@example.net": outcome}, PAUSE)
    assert [each.type for each in planned] == types
    due = [each.after for each in planned]
    assert due == sorted(set(due)), "no two events of a mail coincide"


def test_every_outcome_that_can_be_asked_for_is_in_the_table_above() -> None:
    marked = test_every_outcome_has_its_events_in_order.pytestmark[0].args[1]  # type: ignore[attr-defined]
    assert {row[0] for row in marked} == {*Outcome, *Held}


def test_timestamps_tell_the_time_of_the_plan(sent: MakeSent) -> None:
    event = plan(sent(), {"jane@example.net": Outcome.DELIVERY}, PAUSE)[1].event
    assert event["delivery"]["processingTimeMillis"] == 501
    assert event["delivery"]["timestamp"] == "2026-11-22T15:14:00.616Z"


def test_recipients_with_one_outcome_share_its_events(sent: MakeSent) -> None:
    to = ("a@example.net", "b@example.net", "bounce@simulator.amazonses.com", "suppressionlist@simulator.amazonses.com")
    met = {address: decide(address, Options(), None) for address in to}
    planned = plan(sent(*to), met, PAUSE)
    assert [each.type for each in planned] == ["SEND", "DELIVERY", "BOUNCE"]
    assert planned[1].event["delivery"]["recipients"] == list(to[:2])
    bounced = planned[2].event["bounce"]["bouncedRecipients"]
    assert [each["emailAddress"] for each in bounced] == list(to[2:])
    assert bounced[1]["diagnosticCode"].endswith("(suppressed address: suppressionlist@simulator.amazonses.com)")


def test_a_virus_concerns_the_whole_mail(sent: MakeSent) -> None:
    planned = plan(sent(), {"a@example.net": Outcome.DELIVERY, "b@example.net": Outcome.REJECT}, PAUSE)
    assert [each.type for each in planned] == ["SEND", "REJECT"]


def test_a_template_that_lacks_data_is_told_with_its_name(sent: MakeSent) -> None:
    failure = RenderingFailure("Welcome", "Attribute 'first' is not present in the rendering data.")
    (planned,) = plan(sent(), {"a@example.net": Outcome.DELIVERY}, PAUSE, failure)
    assert planned.event["failure"] == {"templateName": "Welcome", "errorMessage": failure.message}


def test_each_feedback_has_an_id_of_its_own(sent: MakeSent) -> None:
    ids = {plan(sent(), {"a@example.net": Outcome.BOUNCE}, PAUSE)[1].event["bounce"]["feedbackId"] for _ in range(3)}
    assert len(ids) == 3


@pytest.mark.parametrize(
    ("raw", "found"),
    [
        (b"Subject: x\r\n\r\n" + EICAR, True),
        (b"Content-Transfer-Encoding: base64\r\n\r\n" + base64.encodebytes(EICAR), True),
        (b"Subject: about EICAR-STANDARD\r\n\r\nharmless", False),
    ],
)
def test_the_antivirus_test_file_is_found(raw: bytes, found: bool) -> None:
    assert infected(raw) is found


def test_only_bounces_and_complaints_put_an_address_on_the_list() -> None:
    assert outcomes.LISTING_REASON == {Outcome.BOUNCE: "BOUNCE", Outcome.COMPLAINT: "COMPLAINT"}
