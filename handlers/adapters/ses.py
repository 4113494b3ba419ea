"""SES: one email out, and every way that can end told apart.

The tree of errors is `handlers.mail.sending`'s; this is what falls into each branch:

    Deferred    throttled or over quota, sending paused or suspended, access denied, configuration set or MAIL FROM
                domain not ready, an address or domain not verified, no connection made
    Refused     any other MessageRejected, BadRequestException, a request that the SDK itself finds invalid
    Unanswered  a 5xx answer, a connection that broke or timed out after the request went out, an answer that makes
                no sense
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectTimeoutError,
    EndpointConnectionError,
    NoCredentialsError,
    ParamValidationError,
)
from botocore.parsers import ResponseParserError

from handlers.mail.sending import Deferred, Refused, SendError, Unanswered

if TYPE_CHECKING:
    from mypy_boto3_sesv2 import SESV2Client

CONNECT_SECONDS = 2
READ_SECONDS = 10
"""SES answers within a second; ten mean that it will not. Together they bound a send well inside a 30 s function."""

IDLE_SECONDS = 30
"""A connection unused for longer may have been cut while the environment was frozen, without us hearing of it; using
it would look like a lost answer."""

CONFIG = Config(
    # The SDK would resend on a timeout, and SES has no idempotency token: one call is one attempt.
    retries={"total_max_attempts": 1, "mode": "standard"},
    connect_timeout=CONNECT_SECONDS,
    read_timeout=READ_SECONDS,
    max_pool_connections=10,
)

_REFUSED = frozenset({"MessageRejected", "BadRequestException"})
_NOT_VERIFIED = "not verified"
"""In a refusal's words: the sender's domain is not verified (any more), or the account is in the sandbox, where the
recipient has to be as well. The set-up is at fault and not the message, though SES has no other code for it. "Email
address is not verified" and "Email address not verified":
https://docs.aws.amazon.com/ses/latest/dg/troubleshoot-error-messages.html
https://docs.aws.amazon.com/ses/latest/APIReference/API_SendRawEmail.html"""
_NOT_REACHED = (EndpointConnectionError, ConnectTimeoutError, NoCredentialsError)
_SENSELESS = (ResponseParserError, LookupError, TypeError, ValueError, AttributeError)
"""What reading an answer raises that is not SES's: a proxy's page, JSON of another shape."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Email:
    """A finished email. `raw` is the MIME message, `tags` go out as SES message tags."""

    sender: str
    to: str
    raw: bytes
    tags: dict[str, str]


class Mailer:
    """SES with one configuration set. `client` has to be made with `CONFIG`."""

    def __init__(self, client: SESV2Client, configuration_set: str) -> None:
        self._client = client
        self._configuration_set = configuration_set
        self._last_used = time.monotonic()

    def refresh(self) -> None:
        """Drop connections that have been idle too long; call it before a batch, not within one."""
        if time.monotonic() - self._last_used > IDLE_SECONDS:
            self._client.close()
        self._last_used = time.monotonic()

    def send(self, email: Email) -> str:
        """SES's id of the accepted email.

        Raises:
            SendError: it was not accepted, or nobody knows; see the module's table.
        """
        try:
            reply = self._client.send_email(
                FromEmailAddress=email.sender,
                Destination={"ToAddresses": [email.to]},
                Content={"Raw": {"Data": email.raw}},
                ConfigurationSetName=self._configuration_set,
                EmailTags=[{"Name": name, "Value": value} for name, value in email.tags.items()],
            )
            return reply["MessageId"]
        except (ClientError, BotoCoreError, *_SENSELESS) as error:
            raise classify(error) from error


def classify(error: Exception) -> SendError:
    """The branch that `error`, from a call of SendEmail, belongs to. What is not known to be a no is a perhaps."""
    if isinstance(error, ClientError):
        code = error.response["Error"].get("Code", "")
        message = error.response["Error"].get("Message", "")
        told = f"SES answered {code}: {message}"
        if error.response["ResponseMetadata"]["HTTPStatusCode"] >= 500:
            return Unanswered(told)
        return Refused(told) if code in _REFUSED and _NOT_VERIFIED not in message else Deferred(told)
    if isinstance(error, ParamValidationError):
        return Refused(f"the request is invalid: {error}")
    if isinstance(error, _NOT_REACHED):
        return Deferred(f"SES was not reached: {error}")
    return Unanswered(f"SES gave no usable answer: {error or type(error).__name__}")


def tag_value(text: str) -> str:
    """`text` as an SES tag value, reversibly: letters, digits and `-` stay, any other byte becomes `_` and two hex
    digits. SES allows letters, digits, `_` and `-`, 256 characters (API reference, MessageTag)."""
    return "".join(
        chr(byte) if chr(byte).isascii() and (chr(byte).isalnum() or byte == ord("-")) else f"_{byte:02x}"
        for byte in text.encode()
    )


def from_tag_value(value: str) -> str:
    """What `tag_value` was given.

    Raises:
        ValueError: `value` is not of its making.
    """
    head, *rest = value.split("_")
    text = (head.encode() + b"".join(bytes.fromhex(part[:2]) + part[2:].encode() for part in rest)).decode()
    if tag_value(text) != value:
        raise ValueError(f"{value!r} is not an escaped tag value")
    return text
