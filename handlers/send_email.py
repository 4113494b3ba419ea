"""Lambda `send_email`: order messages from SQS in, one confirmation each out."""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError
from jinja2 import TemplateError

from handlers.adapters import clients, ses
from handlers.adapters.control import Control
from handlers.adapters.ledger import DynamoLedger
from handlers.adapters.queues import Quarantine, return_after, return_all_after
from handlers.adapters.ses import Email, Mailer, tag_value
from handlers.adapters.suppression import SuppressionList
from handlers.environment import Place, SendEmail
from handlers.gate import Gate
from handlers.guarding.spending import Limits
from handlers.mail.letter import Mailbox, compose, render_confirmation
from handlers.mail.lifecycle import Row
from handlers.mail.orders import Order
from handlers.mail.sending import Deferred, Pace, Sender, sandbox_recipient
from handlers.order_batch import Desk
from handlers.telemetry import tracing
from handlers.telemetry.contract import Property
from handlers.telemetry.logs import make_logger
from handlers.telemetry.metrics import emit
from handlers.telemetry.privacy import without_addresses
from handlers.telemetry.spend import Meter

SETTLE_SECONDS = ses.CONNECT_SECONDS + ses.READ_SECONDS + 2
"""No turn is taken that leaves less before the invocation ends. It holds a send that times out and the record of it, or
a send like any other and a record whose first try is lost (`clients`)."""

env = SendEmail.read(os.environ)
tracing.start(stack=env.stack)
log = make_logger("send_email", level=env.log_level, stack=env.stack)
dynamodb = boto3.client("dynamodb", config=clients.CONFIG)
control = Control(dynamodb, env.control_table)
meter = Meter(env.stack, env.prices, control, log)
meter.watch(dynamodb)
sqs = meter.watch(boto3.client("sqs", config=clients.CONFIG))
sesv2 = meter.watch(boto3.client("sesv2", config=ses.CONFIG))
ledger = DynamoLedger(dynamodb, env.ledger_table)
suppressed = SuppressionList(dynamodb, env.control_table)
mailers = {lane: Mailer(sesv2, place.configuration_set) for lane, place in env.lanes.items()}
quarantine = Quarantine(sqs, env.quarantine_url)
paces = {lane: Pace(place.send_rate, time.monotonic, time.sleep) for lane, place in env.lanes.items()}
workers = ThreadPoolExecutor(max_workers=10)  # the size of a batch


def now() -> datetime:
    return datetime.now(UTC)


gate = Gate(
    control=control,
    meter=meter,
    prices=env.prices,
    limits=Limits(per_hour=env.spend_per_hour, per_day=env.spend_per_day),
    holds=env.spend_holds,
    by="send_email",
    log=log,
    now=now,
)


@meter.metered
def handler(event: Mapping[str, Any], context: Any) -> dict[str, Any]:
    """An SQS event in, `batchItemFailures` out (Lambda developer guide, "Reporting batch item failures").

    A batch that may not go out comes back whole: its lane is held, or would spend too much.

    Raises:
        ClientError, BotoCoreError, TimeoutError: whether it may is not known, so that all of it comes back as well.
    """
    records = event["Records"]
    name = lane_of(records)
    place, mailer = env.lanes[name], mailers[name]
    with tracing.traced("gate", lane=name):
        lane, admission = gate.pass_through(name, len(records))
    if not admission.admitted:
        log.warning("lane closed", extra={Property.LANE.value: name, Property.REASON.value: admission.reason})
        return turn_back(records, place)
    left = context.get_remaining_time_in_millis() / 1000
    sender = Sender(
        ledger=ledger,
        send=partial(send, mailer),
        recipient=str if env.production_sending else sandbox_recipient,
        suppressed=suppressed.active,
        wait=partial(paces[name].wait, time.monotonic() + left - SETTLE_SECONDS, lane.share),
        now=now,
        new_token=lambda: uuid.uuid4().hex,
        deadline=now() + timedelta(seconds=left),
        retention=env.ledger_retention_days,
    )
    desk = Desk(
        sender=sender,
        quarantine=quarantine,
        bring_back=partial(bring_back, place),
        count=partial(emit, env.stack),
        log=log,
    )
    mailer.refresh()
    return desk.settle_all(records, workers)


def lane_of(records: Sequence[Mapping[str, Any]]) -> str:
    """The lane that a batch comes from, by its queue: an event source mapping has one.

    Raises:
        LookupError: the queue is no lane's.
    """
    arn = records[0]["eventSourceARN"]
    for lane, place in env.lanes.items():
        if place.queue_arn == arn:
            return lane
    raise LookupError(f"the queue {arn} is no lane's: LANES has {', '.join(env.lanes)}")


def turn_back(records: Sequence[Mapping[str, Any]], place: Place) -> dict[str, Any]:
    """The reply by which nothing of a batch is deleted. What the queue is not told to wait with comes after its
    visibility timeout, so that nothing depends on it."""
    try:
        return_all_after(sqs, place.queue_url, [record["receiptHandle"] for record in records], env.held_seconds)
    except (ClientError, BotoCoreError) as error:
        log.warning("retry not brought forward", extra={Property.REASON.value: str(error)})
    return {"batchItemFailures": [{"itemIdentifier": record["messageId"]} for record in records]}


def send(mailer: Mailer, order: Order, row: Row) -> str:
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


def bring_back(place: Place, record: Mapping[str, Any], seconds: int) -> None:
    """Have the lane's queue deliver `record` again in `seconds`."""
    return_after(sqs, place.queue_url, record["receiptHandle"], seconds)
