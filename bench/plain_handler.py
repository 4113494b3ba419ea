"""The handler one writes first: each message of the batch validated, sent and logged, one after the other.

No ledger, no tracing, no quarantine: what Mailroom's handler is measured beside. It sends the same letter.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import boto3

from handlers.mail.letter import Mailbox, compose, render_confirmation
from handlers.mail.orders import parse_order

log = logging.getLogger("plain")
ses = boto3.client("sesv2")


def handler(event: Mapping[str, Any], _: Any) -> None:
    for record in event["Records"]:
        order = parse_order(record["body"])
        letter = render_confirmation(order, store=os.environ["FROM_NAME"], reply_to=os.environ["REPLY_TO"])
        raw = compose(
            letter,
            sender=Mailbox(os.environ["FROM_NAME"], os.environ["FROM_ADDRESS"]),
            to=Mailbox(order.name, order.email),
            reply_to=os.environ["REPLY_TO"],
            message_id=record["messageId"],
            order_id=order.order_id,
            date=datetime.now(UTC),
        )
        reply = ses.send_email(
            FromEmailAddress=os.environ["FROM_ADDRESS"],
            Destination={"ToAddresses": [order.email]},
            Content={"Raw": {"Data": raw}},
            ConfigurationSetName=os.environ["CONFIGURATION_SET"],
        )
        log.info("sent %s as %s", order.order_id, reply["MessageId"])
