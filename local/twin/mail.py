"""A mail as SES keeps it: its id, what leaves for the recipient, and the headers that events quote."""

from __future__ import annotations

import base64
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email import message_from_bytes, policy
from email.header import decode_header, make_header
from email.message import EmailMessage
from email.utils import format_datetime, parseaddr
from functools import lru_cache
from typing import Any, Final

Header = tuple[str, str]

ID_PREFIX: Final = {
    "us-east-1": "0100",
    "us-west-2": "0101",
    "eu-west-1": "0102",
    "ap-northeast-1": "0106",
    "eu-central-1": "0107",
    "eu-west-2": "010b",
    "us-east-2": "010f",
    "eu-north-1": "0110",
}
"""First four digits of a message id by region, as seen in published events; a region that is missing here gets 0100."""

SIMULATOR_DOMAIN: Final = "simulator.amazonses.com"

_REMOVED_BY_SES: Final = frozenset(
    {"message-id", "bcc", "x-ses-configuration-set", "x-ses-message-tags", "x-ses-source-arn"}
)


@dataclass(frozen=True, slots=True)
class Mail:
    """An accepted mail. `to` is the envelope (To, Cc and Bcc); `raw` is the MIME text that leaves for them."""

    ses_message_id: str
    source: str
    to: tuple[str, ...]
    tags: Mapping[str, str]
    configuration_set: str | None
    raw: bytes
    sent_at: datetime

    def message(self) -> EmailMessage:
        """`raw`, parsed."""
        return message_from_bytes(self.raw, policy=policy.default)

    def to_json(self) -> dict[str, Any]:
        return {
            "ses_message_id": self.ses_message_id,
            "source": self.source,
            "to": list(self.to),
            "tags": dict(self.tags),
            "configuration_set": self.configuration_set,
            "raw": base64.b64encode(self.raw).decode(),
            "sent_at": self.sent_at.isoformat(),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Mail:
        return cls(
            ses_message_id=data["ses_message_id"],
            source=data["source"],
            to=tuple(data["to"]),
            tags=data["tags"],
            configuration_set=data["configuration_set"],
            raw=base64.b64decode(data["raw"]),
            sent_at=datetime.fromisoformat(data["sent_at"]),
        )


def new_id(region: str, at: datetime, unique: uuid.UUID) -> str:
    """A message or feedback id as SES forms it: region, milliseconds since 1970 in hexadecimal, a UUID, `000000`."""
    return f"{ID_PREFIX.get(region, '0100')}{round(at.timestamp() * 1000):012x}-{unique}-000000"


def message_id_header(ses_message_id: str, region: str) -> str:
    """The Message-ID that SES sets: `email.amazonses.com` in us-east-1, elsewhere the region's name in it."""
    return f"<{ses_message_id}@{'email' if region == 'us-east-1' else region}.amazonses.com>"


def split_headers(raw: bytes) -> tuple[list[bytes], bytes]:
    """The header fields of a MIME text (folded ones whole, with their line ends) and the rest, blank line included."""
    fields: list[bytes] = []
    rest = raw
    while rest:
        line, newline, tail = rest.partition(b"\n")
        if not line.strip(b"\r"):
            break
        if line[:1] in b" \t" and fields:
            fields[-1] += line + newline
        else:
            fields.append(line + newline)
        rest = tail
    return fields, rest


def headers(raw: bytes) -> list[Header]:
    """Name and unfolded value of each header field, in order, encoded words left as they are."""
    fields, _ = split_headers(raw)
    pairs = (field.decode("utf-8", "replace").partition(":") for field in fields)
    return [(name.strip(), " ".join(value.split())) for name, colon, value in pairs if colon]


def decoded(value: str) -> str:
    """A header's value with its encoded words (RFC 2047) decoded; as it is where they are malformed."""
    try:
        return str(make_header(decode_header(value)))
    except (LookupError, UnicodeDecodeError):
        return value


def as_delivered(raw: bytes, ses_message_id: str, region: str, at: datetime) -> bytes:
    """`raw` as SES sends it on: its own Message-ID, a Date where there is none, no Bcc, none of SES's own fields."""
    fields, rest = split_headers(raw)
    kept = [field for field in fields if _name(field) not in _REMOVED_BY_SES]
    newline = b"\r\n" if b"\r\n" in raw[:2000] else b"\n"
    added = [f"Message-ID: {message_id_header(ses_message_id, region)}".encode() + newline]
    if not any(_name(field) == "date" for field in kept):
        added.append(f"Date: {format_datetime(at)}".encode() + newline)
    return b"".join((*kept, *added, rest))


def simple_mime(
    source: str, content: Mapping[str, Any], destination: Mapping[str, Any], reply_to: Iterable[str]
) -> bytes:
    """The MIME text that SES makes of `Content.Simple`: headers, text, HTML or both."""
    message = EmailMessage(policy=policy.SMTP)
    message["From"] = source
    for name, key in (("To", "ToAddresses"), ("Cc", "CcAddresses")):
        if addresses := destination.get(key):
            message[name] = ", ".join(addresses)
    if replies := ", ".join(reply_to):
        message["Reply-To"] = replies
    message["Subject"] = content.get("Subject", {}).get("Data", "")
    for extra in content.get("Headers", []):
        message[extra["Name"]] = extra["Value"]
    body = content.get("Body", {})
    text, html = (body.get(part, {}).get("Data") for part in ("Text", "Html"))
    if text is not None:
        message.set_content(text)
    if html is not None:
        (message.add_alternative if text is not None else message.set_content)(html, subtype="html")
    return message.as_bytes()


@lru_cache(maxsize=10_000)
def bare(address: str) -> str:
    """The bare address in `Name <address>`; empty where there is none. One mail asks for it ten times over."""
    return parseaddr(address)[1]


def simulated(address: str) -> str | None:
    """Which mailbox of SES's mailbox simulator the address names (its local part up to a +label), None if it is not
    one of the simulator's."""
    local, _, domain = bare(address).lower().rpartition("@")
    return local.partition("+")[0] if domain == SIMULATOR_DOMAIN else None


def utc_now() -> datetime:
    return datetime.now(UTC)


def _name(field: bytes) -> str:
    return field.partition(b":")[0].strip().lower().decode("latin-1")
