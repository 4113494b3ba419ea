from __future__ import annotations

import uuid
from datetime import UTC, datetime
from email import message_from_bytes, policy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local.twin.mail import Mail, as_delivered, decoded, headers, new_id, simple_mime, simulated, split_headers

AT = datetime(2025, 12, 5, 23, 36, 9, 864_000, tzinfo=UTC)
ID = "0100019af0df7d88-660ee24d-7e0c-4068-be85-fa05de580a77-000000"


def test_an_id_carries_its_region_and_its_time_as_the_published_one_of_that_moment_does() -> None:
    assert new_id("us-east-1", AT, uuid.UUID("660ee24d-7e0c-4068-be85-fa05de580a77")) == ID


def test_ses_replaces_the_message_id_and_removes_what_is_meant_for_it_alone() -> None:
    raw = (
        b"From: a@b.example\r\nMessage-ID: <mine@b.example>\r\nBcc: secret@b.example,\r\n\tother@b.example\r\n"
        b"X-SES-CONFIGURATION-SET: set\r\nDate: Fri, 05 Dec 2025 23:00:00 +0000\r\nSubject: hello\r\n\r\nBcc: stays\r\n"
    )
    out = as_delivered(raw, ID, "eu-west-1", AT)
    message = message_from_bytes(out, policy=policy.default)
    assert message["Message-ID"] == f"<{ID}@eu-west-1.amazonses.com>"
    assert message.keys() == ["From", "Date", "Subject", "Message-ID"]
    assert message["Date"] == "Fri, 05 Dec 2025 23:00:00 +0000"
    assert out.endswith(b"\r\n\r\nBcc: stays\r\n")


def test_a_mail_without_a_date_gets_one() -> None:
    out = as_delivered(b"From: a@b.example\n\nhello", ID, "us-east-1", AT)
    assert out == (
        b"From: a@b.example\n"
        + f"Message-ID: <{ID}@email.amazonses.com>\n".encode()
        + b"Date: Fri, 05 Dec 2025 23:36:09 +0000\n\nhello"
    )


@given(st.binary(max_size=300), st.sampled_from([b"\n", b"\r\n"]))
def test_a_body_leaves_byte_for_byte_as_it_came(body: bytes, newline: bytes) -> None:
    out = as_delivered(b"Subject: x" + newline + newline + body, ID, "us-east-1", AT)
    assert split_headers(out)[1] == newline + body


def test_folded_headers_are_unfolded_and_kept_in_order() -> None:
    raw = b"Subject: one\r\n two\r\nX-Empty:\r\nnot a header\r\nTo: a@b.example\r\n\r\nFrom: not-me@b.example\r\n"
    assert headers(raw) == [("Subject", "one two"), ("X-Empty", ""), ("To", "a@b.example")]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("=?utf-8?q?H=C3=A9?= there", "Hé there"),
        ("plain", "plain"),
        ("=?no-such-charset?q?x?=", "=?no-such-charset?q?x?="),
    ],
)
def test_encoded_words_are_decoded_where_they_can_be(value: str, text: str) -> None:
    assert decoded(value) == text


@pytest.mark.parametrize(
    ("address", "mailbox"),
    [
        ("bounce@simulator.amazonses.com", "bounce"),
        ("Bounce+Label@Simulator.AmazonSES.com", "bounce"),
        ("Jane <success+j@simulator.amazonses.com>", "success"),
        ("bounce@simulator.amazonses.com.example.net", None),
        ("jane@example.net", None),
    ],
)
def test_simulator_addresses_are_told_by_domain_whatever_their_label(address: str, mailbox: str | None) -> None:
    assert simulated(address) == mailbox


def test_simple_content_becomes_a_mail_with_both_bodies() -> None:
    content = {
        "Subject": {"Data": "Grüße"},
        "Body": {"Text": {"Data": "text"}, "Html": {"Data": "<p>html</p>"}},
        "Headers": [{"Name": "X-Own", "Value": "1"}],
    }
    message = message_from_bytes(
        simple_mime("Shop <a@b.example>", content, {"ToAddresses": ["c@d.example"]}, ["r@b.example"]),
        policy=policy.default,
    )
    assert (message["Subject"], message["Reply-To"], message["X-Own"]) == ("Grüße", "r@b.example", "1")
    parts = {part.get_content_type(): part.get_content().strip() for part in message.iter_parts()}
    assert parts == {"text/plain": "text", "text/html": "<p>html</p>"}


def test_a_mail_survives_the_way_to_the_client() -> None:
    mail = Mail(ID, "a@b.example", ("c@d.example",), {"order": "1"}, "set", b"From: x\r\n\r\n\xff\x00", AT)
    assert Mail.from_json(mail.to_json()) == mail
    assert mail.message()["From"] == "x"
