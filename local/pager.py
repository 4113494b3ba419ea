"""The mailboxes of those who are paged: what SNS would mail, kept in a queue and read as an email.

The emulator drops email deliveries, so the deployer subscribes a queue in each address's place (deployer/messaging.py).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import datetime
from email.message import EmailMessage
from email.policy import SMTP
from typing import Any, Final

from local.deployer.messaging import MAILBOX_OF, mailbox_name
from local.deployer.model import Json

SENDER: Final = "AWS Notifications <no-reply@sns.amazonaws.com>"


def mails(sqs: Any, address: str) -> list[EmailMessage]:
    """What was mailed to `address` since it was last asked for, oldest first. `sqs` is a boto3 client."""
    url = sqs.get_queue_url(QueueName=mailbox_name(address))["QueueUrl"]
    envelopes = sorted(_taken(sqs, url), key=lambda envelope: str(envelope["Timestamp"]))
    return [as_mailed(envelope, address) for envelope in envelopes]


def addresses(sqs: Any) -> list[str]:
    """Whose mailboxes there are. `sqs` is a boto3 client."""
    urls = sqs.list_queues(QueueNamePrefix="mailbox-").get("QueueUrls", [])
    return sorted(sqs.list_queue_tags(QueueUrl=url)["Tags"][MAILBOX_OF] for url in urls)


def as_mailed(envelope: Json, address: str) -> EmailMessage:
    """An SNS envelope as SNS mails it. Source: emails of the real service that others have published."""
    topic, region = envelope["TopicArn"], envelope["TopicArn"].split(":")[3]
    subscription = f"{topic}:00000000-0000-4000-8000-000000000000"
    mail = EmailMessage(policy=SMTP)
    mail["From"] = SENDER
    mail["To"] = address
    mail["Subject"] = envelope.get("Subject") or "AWS Notification Message"
    mail["Date"] = datetime.fromisoformat(envelope["Timestamp"])
    mail["Message-ID"] = f"<{envelope['MessageId']}@{region}.amazonses.com>"
    unsubscribe = (
        f"https://sns.{region}.amazonaws.com/unsubscribe.html?SubscriptionArn={subscription}&Endpoint={address}"
    )
    mail.set_content(
        f"{envelope['Message']}\n\n--\nIf you wish to stop receiving notifications from this topic, please click or"
        f" visit the link below to unsubscribe:\n{unsubscribe}\n\nPlease do not reply directly to this email. If you"
        " have any questions or comments regarding this email, please contact us at https://aws.amazon.com/support\n"
    )
    return mail


def text_of(mail: EmailMessage) -> str:
    """What `notify` wrote: the mail without SNS's footer."""
    return re.split(r"\r?\n\r?\n--\r?\n", mail.get_content())[0]


def _taken(sqs: Any, url: str) -> Iterator[Json]:
    while messages := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"):
        for message in messages:
            sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
            yield json.loads(message["Body"])
