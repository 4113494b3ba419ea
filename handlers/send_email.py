"""Lambda `send_email`: order messages from SQS in, one confirmation each out."""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import boto3
from jinja2 import TemplateError

from handlers.adapters import clients, ses
from handlers.adapters.ledger import DynamoLedger
from handlers.adapters.queues import Quarantine, return_after
from handlers.adapters.ses import Email, Mailer, tag_value
from handlers.environment import SendEmail
from handlers.mail.letter import Mailbox, compose, render_confirmation
from handlers.mail.lifecycle import Row
from handlers.mail.orders import Order
from handlers.mail.sending import Deferred, Pace, Sender, sandbox_recipient
from handlers.order_batch import Desk
from handlers.telemetry import tracing
from handlers.telemetry.logs import make_logger
from handlers.telemetry.metrics import emit
from handlers.telemetry.privacy import without_addresses

SETTLE_SECONDS = ses.CONNECT_SECONDS + ses.READ_SECONDS + 2
"""No turn is taken that leaves less before the invocation ends. It holds a send that times out and the record of it, or
a send like any other and a record whose first try is lost (`clients`)."""

env = SendEmail.read(os.environ)
tracing.start(stack=env.stack)
sqs = boto3.client("sqs", config=clients.CONFIG)
ledger = DynamoLedger(boto3.client("dynamodb", config=clients.CONFIG), env.ledger_table)
mailer = Mailer(boto3.client("sesv2", config=ses.CONFIG), env.configuration_set)
quarantine = Quarantine(sqs, env.quarantine_url)
pace = Pace(env.send_rate, time.monotonic, time.sleep)
log = make_logger("send_email", level=env.log_level, stack=env.stack)
workers = ThreadPoolExecutor(max_workers=10)  # the size of a batch


def handler(event: Mapping[str, Any], context: Any) -> dict[str, Any]:
    """An SQS event in, `batchItemFailures` out (Lambda developer guide, "Reporting batch item failures")."""
    left = context.get_remaining_time_in_millis() / 1000
    sender = Sender(
        ledger=ledger,
        send=send,
        recipient=str if env.production_sending else sandbox_recipient,
        wait=partial(pace.wait, time.monotonic() + left - SETTLE_SECONDS),
        now=now,
        new_token=lambda: uuid.uuid4().hex,
        deadline=now() + timedelta(seconds=left),
        retention=env.ledger_retention_days,
    )
    desk = Desk(sender=sender, quarantine=quarantine, bring_back=bring_back, count=partial(emit, env.stack), log=log)
    mailer.refresh()
    return desk.settle_all(event["Records"], workers)


def send(order: Order, row: Row) -> str:
    """Write the letter to `order` and hand it to SES; SES's id of it.

    Raises:
        SendError: it was not accepted, or nobody knows. A letter that cannot be written is Deferred: nothing went out,
            and as the fault is ours, the order is kept for when it is mended.
    """
    try:
        raw = write(order, row)
    except (ValueError, TemplateError) as error:
        why = without_addresses(f"{type(error).__name__}: {error}")
        raise Deferred(f"the letter could not be written: {why}") from error
    tags = {"message_id": row.message_id, "order": tag_value(order.order_id), "attempt": str(row.attempts)}
    return mailer.send(Email(sender=env.from_address, to=row.sent_to, raw=raw, tags=tags))


def write(order: Order, row: Row) -> bytes:
    """The letter that confirms `order`, addressed as `row` says, as a MIME message."""
    letter = render_confirmation(order, store=env.from_name, reply_to=env.reply_to)
    return compose(
        letter,
        sender=Mailbox(env.from_name, env.from_address),
        to=Mailbox(order.name, row.sent_to),
        reply_to=env.reply_to,
        message_id=row.message_id,
        order_id=order.order_id,
        date=now(),
    )


def bring_back(record: Mapping[str, Any], seconds: int) -> None:
    """Have the queue deliver `record` again in `seconds`."""
    return_after(sqs, env.queue_url, record["receiptHandle"], seconds)


def now() -> datetime:
    return datetime.now(UTC)
