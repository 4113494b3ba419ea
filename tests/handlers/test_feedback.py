from __future__ import annotations

import json
from copy import deepcopy
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from handlers.mail.feedback import Feedback, MalformedFeedback, parse_feedback, points
from handlers.mail.lifecycle import Milestone, fold
from handlers.telemetry import contract
from handlers.telemetry.contract import Metric
from tests.handlers.events import EVENTS, NAMES, event
from tests.handlers.rows import at, claimed_row

SENT_AT = "2026-11-22T15:14:00.115Z"
BOUNCED_AT = "2026-11-22T15:14:00.913Z"


# ---- What is no event, or none for us ----


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ("", "JSONDecodeError"),
        ("Unsuccessfully validated SNS topic.", "JSONDecodeError"),
        ("[]", "AttributeError"),
        ("7", "AttributeError"),
        ("{}", "KeyError: 'notificationType'"),
        ('{"eventType": ["Send"]}', "TypeError"),
        ('{"eventType": "Delivery"}', "KeyError: 'delivery'"),
        ('{"eventType": "Send", "mail": {}}', "KeyError: 'timestamp'"),
        ('{"eventType": "Send", "mail": {"timestamp": "yesterday", "messageId": "1"}}', "ValueError"),
        ('{"eventType": "Send", "mail": {"timestamp": "2026-11-22T15:14:00", "messageId": "1"}}', "no time zone"),
        (
            '{"eventType": "Send", "mail": {"timestamp": "0001-01-01T00:00:00+14:00", "messageId": "1"}}',
            "OverflowError",
        ),
        ('{"eventType": "Send", "mail": {"timestamp": "2026-11-22T15:14:00Z", "messageId": 7}}', "where text belongs"),
        ("[" * 100_000, "RecursionError"),
    ],
)
def test_what_is_no_ses_event_is_refused_with_what_is_wrong(body: str, told: str) -> None:
    with pytest.raises(MalformedFeedback, match="not an SES event") as caught:
        parse_feedback(body)
    assert told in str(caught.value)


@pytest.mark.parametrize("ending", ["", "\n"])
def test_the_text_that_ses_publishes_when_a_destination_is_made_says_nothing(ending: str) -> None:
    text = (EVENTS / "topic-validation.txt").read_text(encoding="utf-8").strip()
    assert parse_feedback(text + ending) is None


@pytest.mark.parametrize("kind", ["Open", "Click", "Subscription", "AmazonSnsSubscriptionSucceeded", "Anything new"])
def test_events_that_say_nothing_of_delivery_are_passed_over(kind: str) -> None:
    assert parse_feedback(json.dumps(event() | {"eventType": kind})) is None
    assert parse_feedback(json.dumps({"notificationType": kind})) is None


def test_mail_without_our_tags_is_an_event_that_names_nobody() -> None:
    foreign = event()
    foreign["mail"]["tags"] = {"campaign": ["spring"]}
    without = deepcopy(foreign)
    del without["mail"]["tags"]
    for body in (foreign, without):
        feedback = parse_feedback(json.dumps(body))
        assert feedback
        assert (feedback.message_id, feedback.order_tag) == ("", "")


def test_feedback_by_the_identity_is_read_like_that_of_the_configuration_set() -> None:
    by_identity = event()
    by_identity["notificationType"] = by_identity.pop("eventType")
    assert parse_feedback(json.dumps(by_identity)) == parse_feedback(json.dumps(event()))


# ---- What SES tells us ----

MEANINGS: dict[str, tuple[Milestone, Metric | None, str, str]] = {
    "send": (Milestone.SENT, None, SENT_AT, ""),
    "delivery": (Milestone.DELIVERED, contract.DELIVERIES, "2026-11-22T15:14:00.716Z", ""),
    "delivery-delay": (
        Milestone.DELAYED,
        contract.DELIVERY_DELAYS,
        "2026-11-22T15:24:00.115Z",
        "TransientCommunicationFailure",
    ),
    "bounce": (Milestone.BOUNCE, contract.BOUNCES, BOUNCED_AT, "Permanent/General: smtp; 550 5.1.1 user unknown"),
    "bounce-simulator": (Milestone.BOUNCE, contract.BOUNCES, BOUNCED_AT, "Permanent/General: smtp; 550 5.1.1"),
    "bounce-simulator-suppressionlist": (
        Milestone.BOUNCE,
        contract.BOUNCES,
        BOUNCED_AT,
        "Permanent/General: smtp; 550",
    ),
    "bounce-mailbox-full": (
        Milestone.SOFT_BOUNCE,
        contract.SOFT_BOUNCES,
        BOUNCED_AT,
        "Transient/MailboxFull: smtp; 552 5.2.2 Mailbox full",
    ),
    "bounce-auto-reply": (Milestone.SOFT_BOUNCE, contract.SOFT_BOUNCES, BOUNCED_AT, "Transient/General"),
    "bounce-suppressed": (Milestone.SUPPRESSED, contract.SUPPRESSIONS, BOUNCED_AT, "Permanent/Suppressed: Amazon SES"),
    "bounce-on-account-suppression-list": (
        Milestone.SUPPRESSED,
        contract.SUPPRESSIONS,
        BOUNCED_AT,
        "Permanent/OnAccountSuppressionList: Amazon SES did not send",
    ),
    "complaint": (Milestone.COMPLAINT, contract.COMPLAINTS, BOUNCED_AT, "abuse"),
    "complaint-on-account-suppression-list": (
        Milestone.SUPPRESSED,
        contract.SUPPRESSIONS,
        BOUNCED_AT,
        "Complaint/OnAccountSuppressionList",
    ),
    "reject": (Milestone.REJECTED, contract.REJECTS, SENT_AT, "Bad content"),
    "rendering-failure": (Milestone.REJECTED, contract.REJECTS, SENT_AT, "Attribute 'name' is not present"),
}


@pytest.mark.parametrize(("name", "meaning"), MEANINGS.items(), ids=MEANINGS)
def test_each_event_is_evidence_of_its_milestone_and_counted_as_its_metric(
    name: str, meaning: tuple[Milestone, Metric | None, str, str]
) -> None:
    milestone, metric, moment, reason = meaning
    feedback = parse_feedback(json.dumps(event(name)))
    assert feedback
    assert (feedback.evidence.milestone, feedback.metric, feedback.evidence.at) == (milestone, metric, moment)
    assert feedback.evidence.reason.startswith(reason)
    assert bool(feedback.evidence.reason) is bool(reason)
    assert feedback.message_id == event(name)["mail"]["tags"]["message_id"][0]
    assert feedback.order_tag == event(name)["mail"]["tags"]["order"][0]
    assert feedback.evidence.ses_message_id == event(name)["mail"]["messageId"]


def test_every_golden_event_has_its_meaning_here() -> None:
    assert MEANINGS.keys() == set(NAMES)


def test_a_bounce_told_about_without_a_diagnosis_keeps_its_type() -> None:
    bounce = event("bounce")
    bounce["bounce"]["bouncedRecipients"] = [{"emailAddress": "jo@example.com"}]
    feedback = parse_feedback(json.dumps(bounce))
    assert feedback
    assert feedback.evidence.reason == "Permanent/General"


def test_a_complaint_without_a_type_says_so() -> None:
    complaint = event("complaint")
    for field in ("complaintFeedbackType", "complaintSubType"):
        complaint["complaint"].pop(field, None)
    feedback = parse_feedback(json.dumps(complaint))
    assert feedback
    assert feedback.evidence.reason == "no type given"


# ---- Whatever comes ----

leaves = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10)
any_json = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@st.composite
def spoilt_events(draw: st.DrawFn) -> dict[str, Any]:
    """A golden event with one value, anywhere, replaced."""
    spoilt = event(draw(st.sampled_from([*MEANINGS])))
    place: Any = spoilt
    while True:
        key = draw(st.sampled_from([*place] if isinstance(place, dict) else range(len(place))))
        if not (isinstance(place[key], (dict, list)) and place[key]) or draw(st.booleans()):
            place[key] = draw(any_json)
            return spoilt
        place = place[key]


@settings(max_examples=150)
@given(st.text() | any_json.map(json.dumps) | spoilt_events().map(json.dumps))
@example('{"eventType": null, "notificationType": {}}')
def test_any_text_is_feedback_of_the_right_shape_or_nothing_or_refused(body: str) -> None:
    try:
        feedback = parse_feedback(body)
    except MalformedFeedback:
        return
    if feedback is not None:
        assert isinstance(feedback, Feedback)
        evidence = feedback.evidence
        told = (feedback.message_id, feedback.order_tag, evidence.at, evidence.reason, evidence.ses_message_id)
        assert all(isinstance(text, str) for text in told)


# ---- What is counted ----


def counted(name: str, *known: Milestone, lag: float = 0) -> dict[Metric, float]:
    """The points of the golden event, when these milestones were known before."""
    feedback = parse_feedback(json.dumps(event(name)))
    assert feedback
    row = claimed_row(milestones={Milestone.SUBMITTING: at(0), **{each: at(1) for each in known}})
    return points(fold(row, feedback.evidence), feedback, lag)


DELIVERED, SOFT, REJECTED = Milestone.DELIVERED, Milestone.SOFT_BOUNCE, Milestone.REJECTED


@pytest.mark.parametrize(
    ("name", "known", "miss"),
    [
        ("delivery", (), 0),
        ("delivery", (Milestone.SENT, Milestone.DELAYED), 0),
        ("bounce-mailbox-full", (Milestone.SENT,), 1),
        ("reject", (Milestone.SENT,), 1),
        ("rendering-failure", (), 1),
        # Settled before, and so counted before.
        ("bounce-auto-reply", (DELIVERED,), None),
        ("delivery", (SOFT,), None),
        ("bounce-mailbox-full", (REJECTED,), None),
        ("reject", (SOFT,), None),
        # The customer's address, or the customer.
        ("bounce", (), None),
        ("bounce-suppressed", (), None),
        ("bounce-on-account-suppression-list", (), None),
        ("complaint", (DELIVERED,), None),
        ("complaint-on-account-suppression-list", (), None),
        # Nothing is settled yet.
        ("send", (), None),
        ("delivery-delay", (), None),
        # A mail server that accepts first and refuses later counts as both.
        ("delivery", (Milestone.BOUNCE,), 0),
    ],
)
def test_sent_mail_is_delivered_or_missed_once(name: str, known: tuple[Milestone, ...], miss: int | None) -> None:
    assert counted(name, *known).get(contract.DELIVERY_MISSES) == miss


@pytest.mark.parametrize(("lag", "miss"), [(0, 0), (60_000, 0), (60_001, 1)])
@pytest.mark.parametrize("name", NAMES)
def test_every_event_is_recorded_in_time_or_not(name: str, lag: float, miss: int) -> None:
    assert counted(name, lag=lag)[contract.FEEDBACK_MISSES] == miss


def test_only_a_delivery_has_a_latency_and_it_begins_with_the_orders_publication() -> None:
    feedback = parse_feedback(json.dumps(event("delivery")))
    assert feedback
    row = fold(claimed_row(published_at="2026-11-22T15:13:59.716Z"), feedback.evidence)
    assert points(row, feedback, 0)[contract.DELIVERY_LATENCY] == 1000
    assert not any(contract.DELIVERY_LATENCY in counted(name) for name in NAMES if name != "delivery")
