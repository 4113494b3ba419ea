from __future__ import annotations

import base64
import re
import socket
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ConnectTimeoutError, NoCredentialsError
from hypothesis import example, given
from hypothesis import strategies as st

from handlers.adapters import ses
from handlers.adapters.ses import CONFIG, Email, Mailer, classify, from_tag_value, tag_value
from handlers.mail.sending import Deferred, Refused, SendError, Unanswered
from tests.handlers import wire
from tests.handlers.wire import Answer, answers, refuses, serving

if TYPE_CHECKING:
    from mypy_boto3_sesv2 import SESV2Client

EMAIL = Email(
    sender="orders@mail.example.com",
    to="jo@example.com",
    raw=b"Subject: Hello\r\n\r\nHello",
    tags={"message_id": "5b0a2c1e-7f5b-5f0e-9d1c-0c7a4e4f6a10", "order": "A-1001", "attempt": "1"},
)

# SES developer guide, "Amazon SES email sending errors".
UNVERIFIED = (
    "Email address is not verified. The following identities failed the check in region US-EAST-1: jo@example.com"
)


@pytest.fixture(scope="module")
def server() -> Iterator[Any]:
    with serving() as running:
        yield running


@pytest.fixture(scope="module")
def client(server: Any) -> SESV2Client:
    """As the handler makes it, but for its patience."""
    return boto3.client("sesv2", endpoint_url=server.url, config=CONFIG.merge(Config(read_timeout=0.2)))


@pytest.fixture
def mailer(server: Any, client: SESV2Client) -> Mailer:
    server.requests, server.peers = [], set()
    client.close()  # no connection that an earlier test has broken
    return Mailer(client, "confirmations")


# ---- Not accepted, or perhaps not ----


@pytest.mark.parametrize(
    ("answer", "branch", "told"),
    [
        # Perhaps accepted
        (refuses(500, "InternalServiceErrorException"), Unanswered, "SES answered InternalServiceErrorException"),
        (refuses(503, "ServiceUnavailable"), Unanswered, "SES answered ServiceUnavailable"),
        (answers(502, "<html>Bad gateway</html>"), Unanswered, "SES answered 502"),
        (answers(200, "{}"), Unanswered, "no usable answer"),
        (answers(200, "<html>Welcome</html>"), Unanswered, "no usable answer"),
        (answers(200, "[]"), Unanswered, "no usable answer"),
        (answers(200, "null"), Unanswered, "no usable answer"),
        (answers(200, '{"MessageId": null}'), Unanswered, "no usable answer"),
        (answers(200, ""), Unanswered, "no usable answer"),
        (wire.resets, Unanswered, "no usable answer"),
        (wire.hangs_up, Unanswered, "no usable answer"),
        (wire.breaks_off, Unanswered, "no usable answer"),
        (wire.stays_silent, Unanswered, "Read timeout"),
        # Certainly not accepted, and never will be
        (refuses(400, "MessageRejected"), Refused, "SES answered MessageRejected: told so"),
        (refuses(400, "BadRequestException"), Refused, "SES answered BadRequestException: told so"),
        # Certainly not accepted, for now
        (refuses(429, "TooManyRequestsException", "Maximum sending rate exceeded."), Deferred, "sending rate exceeded"),
        (refuses(400, "LimitExceededException"), Deferred, "LimitExceededException"),
        (refuses(400, "SendingPausedException"), Deferred, "SendingPausedException"),
        (refuses(400, "AccountSuspendedException"), Deferred, "AccountSuspendedException"),
        (refuses(400, "MailFromDomainNotVerifiedException"), Deferred, "MailFromDomainNotVerifiedException"),
        (refuses(400, "MessageRejected", UNVERIFIED), Deferred, UNVERIFIED),
        (refuses(400, "MessageRejected", "Email address not verified"), Deferred, "Email address not verified"),
        (refuses(403, "AccessDeniedException"), Deferred, "AccessDeniedException"),
        (refuses(403, "ExpiredTokenException"), Deferred, "ExpiredTokenException"),
        (refuses(404, "NotFoundException", "Configuration set <x> does not exist."), Deferred, "does not exist"),
        (refuses(400, "ThrottlingException", "Rate exceeded"), Deferred, "Rate exceeded"),
    ],
)
def test_an_answer_falls_into_its_branch_after_exactly_one_request(
    mailer: Mailer, server: Any, answer: Answer, branch: type[SendError], told: str
) -> None:
    server.answer = answer
    with pytest.raises(branch, match=re.escape(told)):
        mailer.send(EMAIL)
    assert len(server.requests) == 1, "the SDK must not send again what SES may have taken"


def test_a_server_that_is_not_there_is_known_not_to_have_accepted() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
        with pytest.raises(Deferred, match="SES was not reached"):
            Mailer(boto3.client("sesv2", endpoint_url=url, config=CONFIG), "confirmations").send(EMAIL)


def test_a_request_that_the_sdk_finds_invalid_is_refused_without_being_sent(mailer: Mailer, server: Any) -> None:
    broken = Email(sender=EMAIL.sender, to=None, raw=EMAIL.raw, tags=EMAIL.tags)  # type: ignore[arg-type]
    with pytest.raises(Refused, match="the request is invalid"):
        mailer.send(broken)
    assert server.requests == []


@pytest.mark.parametrize(
    ("error", "branch"),
    [
        (ConnectTimeoutError(endpoint_url="https://email"), Deferred),
        (NoCredentialsError(), Deferred),
        (BotoCoreError(), Unanswered),
        (KeyError("MessageId"), Unanswered),
    ],
)
def test_what_is_not_known_to_be_a_no_is_a_perhaps(error: Exception, branch: type[SendError]) -> None:
    assert type(classify(error)) is branch
    assert str(classify(error))


# ---- Accepted ----


def test_an_accepted_email_went_out_as_given(mailer: Mailer, server: Any) -> None:
    server.answer = answers(200, '{"MessageId": "0100-abc"}')
    assert mailer.send(EMAIL) == "0100-abc"
    (request,) = server.requests
    assert base64.b64decode(request["Content"]["Raw"].pop("Data")) == EMAIL.raw
    assert request == {
        "FromEmailAddress": "orders@mail.example.com",
        "Destination": {"ToAddresses": ["jo@example.com"]},
        "Content": {"Raw": {}},
        "ConfigurationSetName": "confirmations",
        "EmailTags": [
            {"Name": "message_id", "Value": "5b0a2c1e-7f5b-5f0e-9d1c-0c7a4e4f6a10"},
            {"Name": "order", "Value": "A-1001"},
            {"Name": "attempt", "Value": "1"},
        ],
    }


def test_a_connection_is_kept_within_a_batch_and_dropped_after_a_pause(
    mailer: Mailer, server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.answer = answers(200, '{"MessageId": "0100-abc"}')
    for _ in range(2):
        mailer.refresh()
        mailer.send(EMAIL)
    assert len(server.peers) == 1
    clock = time.monotonic()
    monkeypatch.setattr("handlers.adapters.ses.time.monotonic", lambda: clock + ses.IDLE_SECONDS + 1)
    mailer.refresh()
    mailer.send(EMAIL)
    assert len(server.peers) == 2, "an old connection may be dead, and its failure would look like a lost answer"


# ---- Tags ----


@pytest.mark.parametrize("value", ["a_", "a_2", "a_zz", "_2F", "a b", "ä", "_41", "_ff", "a_2f_", "x/y"])
def test_a_tag_that_is_not_of_our_making_is_refused(value: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        from_tag_value(value)


@given(st.text())
@example("")
@example("A-1001")
@example("2026/11/22#7:a.b_c")
@example("_2f")
def test_any_text_survives_as_a_tag_in_the_letters_that_ses_allows(text: str) -> None:
    assert re.fullmatch(r"[A-Za-z0-9_-]*", tag_value(text), re.ASCII)
    assert from_tag_value(tag_value(text)) == text


def test_the_longest_order_id_fits_a_tag() -> None:
    assert len(tag_value("A" + "/" * 63)) <= 256
