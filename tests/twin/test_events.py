"""Our payloads against the golden events, and the golden events against AWS's field lists."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from local.twin import events
from local.twin.events import Json, Sent
from tests.twin.mails import SENT_AT, MakeSent

GOLDEN = Path(__file__).parents[1] / "events"
FEEDBACK = "010001a203d2c3d1-0b7f6c52-8e0e-4f3a-9d68-5a1f9c1d7e20-000000"
LATER = SENT_AT + timedelta(milliseconds=798)

Build = Callable[[Sent], Json]


def bounce(kind: events.BounceKind) -> Build:
    return lambda sent: events.bounce(kind, sent, sent.mail.to, LATER, FEEDBACK)


BUILDERS: dict[str, tuple[str, Build]] = {
    "send": ("jane@example.net", events.send),
    "delivery": (
        "jane@example.net",
        lambda sent: events.delivery(sent, sent.mail.to, SENT_AT + timedelta(milliseconds=601)),
    ),
    "bounce": ("jane@example.net", bounce(events.HARD)),
    "bounce-simulator": ("bounce+a-1001@simulator.amazonses.com", bounce(events.HARD)),
    "bounce-simulator-suppressionlist": ("suppressionlist@simulator.amazonses.com", bounce(events.HARD)),
    "bounce-mailbox-full": ("jane@example.net", bounce(events.MAILBOX_FULL)),
    "bounce-auto-reply": ("ooto@simulator.amazonses.com", bounce(events.AUTO_REPLY)),
    "bounce-suppressed": ("jane@example.net", bounce(events.GLOBAL_LIST)),
    "bounce-on-account-suppression-list": ("jane@example.net", bounce(events.ACCOUNT_LIST)),
    "complaint": (
        "complaint@simulator.amazonses.com",
        lambda sent: events.complaint(sent, sent.mail.to, LATER, FEEDBACK),
    ),
    "complaint-on-account-suppression-list": (
        "jane@example.net",
        lambda sent: events.complaint_on_account_list(sent, sent.mail.to, LATER, FEEDBACK),
    ),
    "reject": ("jane@example.net", events.reject),
    "rendering-failure": (
        "jane@example.net",
        lambda sent: events.rendering_failure(
            sent, "Template", "Attribute 'name' is not present in the rendering data."
        ),
    ),
    "delivery-delay": (
        "jane@example.net",
        lambda sent: events.delivery_delay(sent, sent.mail.to, SENT_AT + timedelta(minutes=10)),
    ),
}

DETAIL = {
    "Send": "send",
    "Delivery": "delivery",
    "Bounce": "bounce",
    "Complaint": "complaint",
    "Reject": "reject",
    "Rendering Failure": "failure",
    "DeliveryDelay": "deliveryDelay",
}
"""Event type -> the object that tells about it: "Top-level JSON object" of the contents page."""

MAIL_FIELDS = {"timestamp", "messageId", "source", "sourceArn", "sendingAccountId", "destination", "headersTruncated"}
QUOTED_FIELDS = {"headers", "commonHeaders"}
REQUIRED = {
    "send": set(),
    "delivery": {"timestamp", "processingTimeMillis", "recipients", "smtpResponse", "reportingMTA"},
    "bounce": {"bounceType", "bounceSubType", "bouncedRecipients", "timestamp", "feedbackId"},
    "complaint": {"complainedRecipients", "timestamp", "feedbackId", "complaintSubType"},
    "reject": {"reason"},
    "failure": {"templateName", "errorMessage"},
    "deliveryDelay": {"delayType", "delayedRecipients", "expirationTime", "timestamp"},
}
"""Fields that the contents page lists without a condition, and all its conditional ones:"""
OPTIONAL = {
    "delivery": {"remoteMtaIp"},
    "bounce": {"reportingMTA", "remoteMtaIp"},
    "complaint": {"userAgent", "complaintFeedbackType", "arrivalDate"},
    "deliveryDelay": {"reportingMTA"},
}
BOUNCES = {
    "Undetermined": {"Undetermined"},
    "Permanent": {"General", "NoEmail", "Suppressed", "OnAccountSuppressionList"},
    "Transient": {
        "General",
        "MailboxFull",
        "MessageTooLarge",
        "ContentRejected",
        "AttachmentRejected",
    },
}
ENUMS: dict[tuple[str, str], set[str | None]] = {
    ("complaint", "complaintSubType"): {None, "OnAccountSuppressionList"},
    ("complaint", "complaintFeedbackType"): {"abuse", "auth-failure", "fraud", "not-spam", "other", "virus", None},
    ("reject", "reason"): {"Bad content"},
    ("deliveryDelay", "delayType"): {
        "InternalFailure",
        "General",
        "MailboxFull",
        "SpamDetected",
        "RecipientServerError",
        "IPFailure",
        "TransientCommunicationFailure",
        "BYOIPHostNameLookupUnavailable",
        "Undetermined",
        "SendingDeferral",
    },
}


def golden(name: str) -> Json:
    return dict(json.loads((GOLDEN / f"{name}.json").read_text(encoding="utf-8")))


def without_ids(event: Json) -> Json:
    """The event with what is new in every mail left out: SES's ids."""
    text = json.dumps(event, sort_keys=True)
    feedback: Json = event.get("bounce") or event.get("complaint") or {}
    for own in (event["mail"]["messageId"], feedback.get("feedbackId", "no feedback")):
        text = text.replace(own, "ID")
    return dict(json.loads(text))


def test_there_is_a_builder_for_every_golden_event() -> None:
    assert {path.stem for path in GOLDEN.glob("*.json")} == set(BUILDERS)


@pytest.mark.parametrize("name", BUILDERS)
def test_a_payload_is_what_ses_sends(name: str, sent: MakeSent) -> None:
    recipient, build = BUILDERS[name]
    ours = without_ids(build(sent(recipient)))
    theirs = without_ids(golden(name))
    for event in (ours, theirs):
        for header in event["mail"].get("headers", []):
            if header["name"] == "Subject":
                header["value"] = "any"  # ours is an encoded word, as letters have it
    assert ours == theirs


@pytest.mark.parametrize("name", BUILDERS)
def test_a_payload_has_the_documented_fields_and_values(name: str, sent: MakeSent) -> None:
    recipient, build = BUILDERS[name]
    event = build(sent(recipient))
    detail = DETAIL[event["eventType"]]
    assert event.keys() == {"eventType", "mail", detail}
    mail = event["mail"]
    assert MAIL_FIELDS | {"tags"} <= mail.keys() <= MAIL_FIELDS | QUOTED_FIELDS | {"tags"}
    assert isinstance(mail["headersTruncated"], bool)
    assert all(isinstance(values, list) and len(values) == 1 for values in mail["tags"].values())
    body = event[detail]
    assert REQUIRED[detail] <= body.keys() <= REQUIRED[detail] | OPTIONAL.get(detail, set())
    for (kind, field), values in ENUMS.items():
        if kind == detail:
            assert body.get(field) in values
    if detail == "bounce":
        assert body["bounceSubType"] in BOUNCES[body["bounceType"]]


def test_subjects_are_decoded_in_the_common_headers_only(sent: MakeSent) -> None:
    mail = events.send(sent())["mail"]
    assert mail["commonHeaders"]["subject"] == "Your order A-1001"
    assert {"name": "Subject", "value": "=?utf-8?q?Your_order_A-1001?="} in mail["headers"]


def test_the_common_headers_keep_the_message_id_of_the_mail_as_handed_in(sent: MakeSent) -> None:
    own = sent(raw=b"From: a@b.example\r\nMessage-ID: <mine@b.example>\r\n\r\n")
    mail = events.send(own)["mail"]
    assert mail["commonHeaders"]["messageId"] == "<mine@b.example>"
    assert mail["messageId"] == own.mail.ses_message_id


def test_headers_beyond_ten_kilobytes_are_cut_and_said_to_be(sent: MakeSent) -> None:
    long = b"".join(b"X-Number-%d: %s\r\n" % (number, b"x" * 1000) for number in range(20))
    mail = events.send(sent(raw=b"From: a@b.example\r\n" + long + b"\r\n"))["mail"]
    assert mail["headersTruncated"] is True
    assert 0 < len(json.dumps(mail["headers"])) < 12_000


def test_an_event_is_one_line_that_ends_with_a_newline(sent: MakeSent) -> None:
    text = events.serialised(events.send(sent()))
    assert text.endswith("}\n")
    assert text.count("\n") == 1
    assert json.loads(text)["eventType"] == "Send"


@pytest.mark.parametrize(
    ("region", "mta"),
    [("us-east-1", "a8-86.smtp-out.amazonses.com"), ("eu-west-1", "a8-86.smtp-out.eu-west-1.amazonses.com")],
)
def test_the_sending_host_names_its_region(region: str, mta: str, sent: MakeSent) -> None:
    event: dict[str, Any] = events.delivery(sent(region=region), ["jane@example.net"], LATER)
    assert event["delivery"]["reportingMTA"] == mta


def test_the_validation_text_is_the_one_ses_publishes() -> None:
    assert (GOLDEN / "topic-validation.txt").read_text(encoding="utf-8") == events.VALIDATION_TEXT
