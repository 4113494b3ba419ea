"""Mails for the twin's unit tests."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import UTC, datetime

from local.twin.events import Sent
from local.twin.mail import Mail, headers, new_id

SENT_AT = datetime(2026, 11, 22, 15, 14, 0, 115_000, tzinfo=UTC)
RAW = (
    b"From: Example Store <orders@mail.example.com>\r\n"
    b"To: %s\r\n"
    b"Reply-To: support@example.com\r\n"
    b"Subject: =?utf-8?q?Your_order_A-1001?=\r\n"
    b"Date: Sun, 22 Nov 2026 15:14:00 +0000\r\n"
    b"MIME-Version: 1.0\r\n"
    b"Content-Type: multipart/alternative;\r\n"
    b'\tboundary="===============1234567890=="\r\n'
    b"\r\n"
    b"--===============1234567890==\r\n\r\nThank you\r\n"
)

MakeSent = Callable[..., Sent]


def make_sent(*recipients: str, raw: bytes | None = None, region: str = "us-east-1") -> Sent:
    to = recipients or ("jane@example.net",)
    given = RAW % to[0].encode() if raw is None else raw
    mail = Mail(
        ses_message_id=new_id(region, SENT_AT, uuid.uuid4()),
        source="Example Store <orders@mail.example.com>",
        to=to,
        tags={"message_id": "0f7a3a59-6b0e-5c1e-8a55-2f1d3c9b7e44", "order": "A-1001", "attempt": "1"},
        configuration_set="ConfigSet",
        raw=given,
        sent_at=SENT_AT,
    )
    return Sent(
        mail=mail,
        headers=tuple(headers(given)),
        operation="SendRawEmail",
        source_arn="arn:aws:ses:us-east-1:123456789012:identity/mail.example.com",
        account_id="123456789012",
        region=region,
        source_ip="192.0.2.0",
        caller_identity="mailer-role",
    )
