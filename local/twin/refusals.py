"""What SES refuses, in its words, and on the wire as boto3 expects it."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from local.twin.mail import bare

MAX_RECIPIENTS: Final = 50
MAX_BYTES: Final = 40 * 1024 * 1024
"""Of the MIME text, whose attachments are in base64 already: SES service quotas, "Message quotas", API v2."""
_TAG: Final = re.compile(r"[A-Za-z0-9_-]{1,256}")

STATUS: Final[Mapping[str, int]] = {
    "AccountSuspendedException": 400,
    "SendingPausedException": 400,
    "MessageRejected": 400,
    "BadRequestException": 400,
    "NotFoundException": 404,
    "TooManyRequestsException": 429,
    "InternalServiceErrorException": 500,
}
"""Error codes that the twin itself answers, with their HTTP status in the API's model."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """An answer other than success: `code` is the exception that boto3 raises for it."""

    code: str
    message: str

    @property
    def status(self) -> int:
        return STATUS[self.code]

    def headers(self) -> dict[str, str]:
        return {
            "Content-Type": "application/x-amz-json-1.1",
            "x-amzn-ErrorType": self.code,
            "x-amzn-RequestId": str(uuid.uuid4()),
        }

    def body(self) -> bytes:
        return json.dumps({"message": self.message}).encode()


SUSPENDED: Final = Refusal("AccountSuspendedException", "Customer is suspended.")
ACCOUNT_PAUSED: Final = Refusal(
    "SendingPausedException",
    "Sending paused for this account. For more information, please check the inbox of the email address associated "
    "with your AWS account.",
)
BROKEN: Final = Refusal(
    "InternalServiceErrorException", "The request processing has failed because of an internal error."
)


def set_paused(name: str) -> Refusal:
    return Refusal("SendingPausedException", f"Sending is paused for configuration set <{name}>.")


def set_missing(name: str) -> Refusal:
    return Refusal("NotFoundException", f"Configuration set <{name}> does not exist.")


def throttled(message: str) -> Refusal:
    return Refusal("TooManyRequestsException", message)


def malformed(recipients: Sequence[str], tags: Sequence[Mapping[str, Any]], size: int) -> Refusal | None:
    """The first thing wrong with a request that concerns nothing but the request."""
    if not recipients:
        return Refusal("BadRequestException", "There are no recipients specified.")
    if len(recipients) > MAX_RECIPIENTS:
        return Refusal("BadRequestException", f"Recipient count exceeds {MAX_RECIPIENTS}.")
    if size > MAX_BYTES:
        text = f"Message length is more than {MAX_BYTES} bytes long: '{size}'."
        return Refusal("BadRequestException", text)
    if message := next(filter(None, map(_bad_address, recipients)), None):
        return Refusal("BadRequestException", message)
    for tag in tags:
        for part in ("Name", "Value"):
            if not _TAG.fullmatch(str(tag.get(part, ""))):
                text = (
                    f"Invalid tag {part.lower()} <{tag.get(part, '')}>: only alphanumeric ASCII characters, '_', and "
                )
                return Refusal("BadRequestException", text + "'-' are allowed.")
    return None


def _bad_address(address: str) -> str | None:
    plain = bare(address)
    local, _, domain = plain.rpartition("@")
    if not plain.isascii() or not local or not domain:
        return "Missing final '@domain'"
    if any(ord(character) <= 32 or ord(character) == 127 for character in local):
        return "Local address contains control or whitespace"
    return None
