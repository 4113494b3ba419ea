"""The events that a configuration set publishes, in SES's JSON.

Shapes: Amazon SES Developer Guide, "Contents of event data that Amazon SES publishes to Amazon SNS" and "Examples of
event data that Amazon SES publishes to Amazon SNS". Where a published record of the real service has more (feedback of
the mailbox simulator, tags that SES adds by itself), tests/events/README.md says so.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from typing import Any, Final

from local.twin.mail import Header, Mail, bare, decoded, simulated

Json = dict[str, Any]

HEADER_LIMIT: Final = 10 * 1024
"""Headers beyond 10 KB are cut off, and `headersTruncated` says so."""
EXPIRES_AFTER: Final = timedelta(hours=14)
"""How long SES tries to deliver by default: 50,400 s, the most that MaxDeliverySeconds allows."""
VALIDATION_TEXT: Final = "Successfully validated SNS topic for Amazon SES event publishing."
"""Plain text, not JSON: what SES publishes once when an event destination is created."""
SUBJECT: Final = "Amazon SES Email Event Notification"

ON_ACCOUNT_LIST: Final = "OnAccountSuppressionList"

_OUTGOING_IP: Final = "192.0.2.86"
_REMOTE_IP: Final = "192.0.2.25"


class Reporter(Enum):
    """Who says that a mail bounced: the server that the mail was handed to, SES itself, or nobody in particular."""

    REMOTE = "remote"
    SES = "ses"
    NOBODY = "nobody"


@dataclass(frozen=True, slots=True)
class BounceKind:
    """`type`, `sub_type` as documented under "Bounce types"; `status` and `diagnostic` as a delivery status
    notification gives them (`{unknown}` stands for the server's words about the recipient), both absent without one."""

    type: str
    sub_type: str
    reporter: Reporter
    status: str | None = None
    diagnostic: str = ""

    def recipient(self, address: str) -> Json:
        plain = bare(address)
        if self.status is None:
            return {"emailAddress": plain}
        return {
            "emailAddress": plain,
            "action": "failed",
            "status": self.status,
            "diagnosticCode": self.diagnostic.format(unknown=_unknown_user(plain)),
        }


HARD: Final = BounceKind("Permanent", "General", Reporter.REMOTE, "5.1.1", "smtp; 550 5.1.1 {unknown}")
"""No such mailbox. suppressionlist@simulator.amazonses.com gives this, too: not the sub-type that its name suggests."""
MAILBOX_FULL: Final = BounceKind("Transient", "MailboxFull", Reporter.REMOTE, "5.2.2", "smtp; 552 5.2.2 Mailbox full")
EXPIRED: Final = BounceKind(
    "Transient",
    "General",
    Reporter.REMOTE,
    "4.4.7",
    "smtp; 550 4.4.7 Message expired: unable to deliver in 840 minutes.",
)
AUTO_REPLY: Final = BounceKind("Transient", "General", Reporter.NOBODY)
"""An out-of-office reply comes without a delivery status notification: only the address is known."""
GLOBAL_LIST: Final = BounceKind(
    "Permanent",
    "Suppressed",
    Reporter.SES,
    "5.1.1",
    "Amazon SES has suppressed sending to this address because it has a recent history of bouncing as an invalid "
    "address. For more information about how to remove an address from the suppression list, see the Amazon SES "
    "Developer Guide: http://docs.aws.amazon.com/ses/latest/DeveloperGuide/remove-from-suppressionlist.html",
)
ACCOUNT_LIST: Final = BounceKind(
    "Permanent",
    ON_ACCOUNT_LIST,
    Reporter.SES,
    "5.1.1",
    "Amazon SES did not send the message to this address because it is on the suppression list for your account. "
    "For more information about removing addresses from the suppression list, see the Amazon SES Developer Guide "
    "at https://docs.aws.amazon.com/ses/latest/DeveloperGuide/sending-email-suppression-list.html",
)


@dataclass(frozen=True, slots=True)
class Sent:
    """An accepted mail with what its events tell about the call.

    `headers` are those that were handed to SES (before it replaced the Message-ID); `operation` is the API action.
    """

    mail: Mail
    headers: tuple[Header, ...]
    operation: str
    source_arn: str
    account_id: str
    region: str
    source_ip: str
    caller_identity: str


def timestamp(at: datetime) -> str:
    """ISO 8601 in UTC with milliseconds, as SES writes it."""
    return at.strftime("%Y-%m-%dT%H:%M:%S.") + f"{at.microsecond // 1000:03d}Z"


def serialised(event: Json) -> str:
    """The text published to SNS. SES ends it with a newline."""
    return json.dumps(event, separators=(",", ":"), ensure_ascii=False) + "\n"


def send(sent: Sent) -> Json:
    return {"eventType": "Send", "mail": _mail(sent), "send": {}}


def delivery(sent: Sent, recipients: Sequence[str], at: datetime) -> Json:
    return {
        "eventType": "Delivery",
        "mail": _mail(sent, outgoing=True),
        "delivery": {
            "timestamp": timestamp(at),
            "processingTimeMillis": round((at - sent.mail.sent_at) / timedelta(milliseconds=1)),
            "recipients": list(recipients),
            "smtpResponse": "250 2.6.0 Message received",
            "remoteMtaIp": _REMOTE_IP,
            "reportingMTA": _mta(sent),
        },
    }


def bounce(kind: BounceKind, sent: Sent, recipients: Sequence[str], at: datetime, feedback_id: str) -> Json:
    body: Json = {
        "feedbackId": feedback_id,
        "bounceType": kind.type,
        "bounceSubType": kind.sub_type,
        "bouncedRecipients": [kind.recipient(address) for address in recipients],
        "timestamp": timestamp(at),
    }
    if kind.reporter is Reporter.REMOTE:
        body |= {"remoteMtaIp": _REMOTE_IP, "reportingMTA": f"dns; {_mta(sent)}"}
    elif kind.reporter is Reporter.SES:
        body |= {"reportingMTA": "dns; amazonses.com"}
    return {"eventType": "Bounce", "bounce": body, "mail": _mail(sent)}


def complaint(sent: Sent, recipients: Sequence[str], at: datetime, feedback_id: str) -> Json:
    """The recipient marked the mail as spam, and the provider's feedback report said so."""
    report = {"userAgent": "Amazon SES Mailbox Simulator", "complaintFeedbackType": "abuse"}
    return _complaint(sent, recipients, at, feedback_id, None, {**report, "arrivalDate": timestamp(at)})


def complaint_on_account_list(sent: Sent, recipients: Sequence[str], at: datetime, feedback_id: str) -> Json:
    """The account's suppression list held the mail back; the address is there for a complaint."""
    return _complaint(sent, recipients, at, feedback_id, ON_ACCOUNT_LIST, {})


def delivery_delay(sent: Sent, recipients: Sequence[str], at: datetime) -> Json:
    return {
        "eventType": "DeliveryDelay",
        "mail": _mail(sent, quoted=False),
        "deliveryDelay": {
            "timestamp": timestamp(at),
            "delayType": "TransientCommunicationFailure",
            "expirationTime": timestamp(sent.mail.sent_at + EXPIRES_AFTER),
            "delayedRecipients": [
                {
                    "emailAddress": address,
                    "status": "4.4.1",
                    "diagnosticCode": "smtp; 421 4.4.1 Unable to connect to remote host",
                }
                for address in recipients
            ],
        },
    }


def reject(sent: Sent) -> Json:
    """SES found a virus. "Bad content" is the only reason there is."""
    return {"eventType": "Reject", "mail": _mail(sent), "reject": {"reason": "Bad content"}}


def rendering_failure(sent: Sent, template: str, message: str) -> Json:
    return {
        "eventType": "Rendering Failure",
        "mail": _mail(sent, quoted=False),
        "failure": {"errorMessage": message, "templateName": template},
    }


def _complaint(
    sent: Sent, recipients: Sequence[str], at: datetime, feedback_id: str, sub_type: str | None, report: Json
) -> Json:
    body = {
        "feedbackId": feedback_id,
        "complaintSubType": sub_type,
        "complainedRecipients": [{"emailAddress": bare(address)} for address in recipients],
        "timestamp": timestamp(at),
        **report,
    }
    return {"eventType": "Complaint", "complaint": body, "mail": _mail(sent)}


def _mail(sent: Sent, *, outgoing: bool = False, quoted: bool = True) -> Json:
    """The `mail` object. `outgoing` adds what is known once the mail has left; without `quoted`, as for events about
    delays and templates, the headers are not repeated."""
    mail = sent.mail
    kept, truncated = _within_limit(sent.headers)
    body: Json = {
        "timestamp": timestamp(mail.sent_at),
        "source": mail.source,
        "sourceArn": sent.source_arn,
        "sendingAccountId": sent.account_id,
        "messageId": mail.ses_message_id,
        "destination": list(mail.to),
        "headersTruncated": truncated and quoted,
    }
    if quoted:
        body["headers"] = [{"name": name, "value": value} for name, value in kept]
        body["commonHeaders"] = _common_headers(sent)
    return body | {"tags": _tags(sent, outgoing)}


def _within_limit(headers: Sequence[Header]) -> tuple[list[Header], bool]:
    kept: list[Header] = []
    size = 0
    for name, value in headers:
        size += len(name.encode()) + len(value.encode())
        if size > HEADER_LIMIT:
            return kept, True
        kept.append((name, value))
    return kept, False


def _common_headers(sent: Sent) -> Json:
    first: dict[str, str] = {}
    for name, value in sent.headers:
        first.setdefault(name.lower(), decoded(value))
    common: Json = {}
    for key, name in (("from", "from"), ("replyTo", "reply-to"), ("date", "date"), ("to", "to"), ("cc", "cc")):
        if name in first:
            common[key] = first[name] if key == "date" else [first[name]]
    # The documentation: a message id in here is the one of the mail as it was handed to SES.
    common["messageId"] = first.get("message-id", sent.mail.ses_message_id)
    if "subject" in first:
        common["subject"] = first["subject"]
    return common


def _tags(sent: Sent, outgoing: bool) -> dict[str, list[str]]:
    mail = sent.mail
    tags = {
        "ses:source-tls-version": "TLSv1.3",
        "ses:operation": sent.operation,
        "ses:configuration-set": mail.configuration_set or "",
        **({"ses:outgoing-tls-version": "TLSv1.3"} if outgoing else {}),
        "ses:source-ip": sent.source_ip,
        "ses:from-domain": bare(mail.source).rpartition("@")[2],
        "ses:caller-identity": sent.caller_identity,
        **({"ses:outgoing-ip": _OUTGOING_IP} if outgoing else {}),
        **mail.tags,
    }
    return {name: [value] for name, value in tags.items()}


def _unknown_user(address: str) -> str:
    """How a server says that it knows nobody of that name. The mailbox simulator has words of its own."""
    match simulated(address):
        case None:
            return "user unknown"
        case "suppressionlist":
            return f"As requested: user unknown (suppressed address: {address})"
        case _:
            return f"As requested: user unknown <{address}>"


def _mta(sent: Sent) -> str:
    place = "" if sent.region == "us-east-1" else f".{sent.region}"
    return f"a8-86.smtp-out{place}.amazonses.com"
