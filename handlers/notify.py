"""Lambda `notify`: alarms from SQS in, people and their programs told.

A message of the queue is either a notification of CloudWatch, or a delivery: one page for the one receiver that did
not take it. So a receiver that fails is asked again alone, and what cannot be delivered ends in the dead-letter queue,
whose alarm does not come this way. Each message may be told more than once, never not at all; the Idempotency-Key of
webhooks and the incident's key show what belongs together.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from handlers.adapters import clients
from handlers.adapters.alarms import LOOK_UP, AlarmHistory, LogSearch, Topics
from handlers.adapters.control import Control
from handlers.adapters.queues import return_after
from handlers.adapters.webhooks import NotTaken, Receiver, Webhooks
from handlers.environment import Notify
from handlers.mail.envelope import unwrap
from handlers.paging.incident import Incident, Transition, begins, change_id, incident
from handlers.paging.message import Page, chat, email, webhook, write_page
from handlers.paging.notification import MalformedNotification, Notification, parse_notification
from handlers.paging.orders import Found, affected, clues, pattern, window
from handlers.paging.retrying import FIRST_RETRY_SECONDS, retry_after
from handlers.telemetry import tracing
from handlers.telemetry.logs import make_logger
from handlers.telemetry.spend import Meter

env = Notify.read(os.environ)
tracing.start(stack=env.stack)
log = make_logger("notify", level=env.log_level, stack=env.stack)
dynamodb = boto3.client("dynamodb", config=clients.CONFIG)
meter = Meter(env.stack, env.prices, Control(dynamodb, env.control_table), log)
meter.watch(dynamodb)
sqs = meter.watch(boto3.client("sqs", config=clients.CONFIG))
topics = Topics(
    meter.watch(boto3.client("sns", config=clients.CONFIG)),
    {"page": env.page_topic_arn, "ticket": env.ticket_topic_arn},
)
alarm_history = AlarmHistory(boto3.client("cloudwatch", config=LOOK_UP))
logs = LogSearch(boto3.client("logs", config=LOOK_UP), env.log_groups)
webhooks = Webhooks(env.receivers)
workers = ThreadPoolExecutor(max_workers=10)  # the size of a batch
posters = ThreadPoolExecutor(max_workers=10)  # apart from `workers`, which wait for them


@meter.metered
def handler(event: Mapping[str, Any], context: Any) -> dict[str, Any]:  # noqa: ARG001 - Lambda's signature
    """An SQS event in, `batchItemFailures` out; what cannot be read or delivered ends in the dead-letter queue."""
    records = event["Records"]
    told = workers.map(settle, records)
    return {
        "batchItemFailures": [
            {"itemIdentifier": record["messageId"]} for record, done in zip(records, told, strict=True) if not done
        ]
    }


def settle(record: Mapping[str, Any]) -> bool:
    """Whether the queue may delete the message. The outermost edge: no fault of one message reaches another."""
    with tracing.traced("notify", record["attributes"].get("AWSTraceHeader")) as trace_id:
        try:
            body = unwrap(record["body"])
            delivery = _delivery(body)
            if delivery:
                deliver(delivery)
            else:
                tell(body)
        except (MalformedNotification, NotTaken) as fault:
            log.error("page not delivered", extra={"reason": str(fault), "trace_id": trace_id})
        except Exception:
            log.exception("page not delivered", extra={"trace_id": trace_id})
        else:
            return True
        bring_back(record)
        return False


def tell(body: str) -> None:
    """Tell the people that an alarm's severity says, and each receiver; one that fails is put back alone."""
    notification = parse_notification(body, region=sqs.meta.region_name)
    about = incident(notification, None if begins(notification) else history_of(notification))
    facts = {"alarm": notification.name, "state": notification.state.value}
    if about is None:
        log.info("nothing to tell: no incident ends with this", extra=facts)
        return
    now = datetime.now(UTC)
    found = looked_up(notification, about, now)
    page = write_page(notification, about, stack=env.stack, log_groups=env.log_groups, found=found, now=now)
    # People first: if this fails, nothing was told yet, and all of it comes again.
    topics.tell(page.severity, subject=page.subject, text=email(page), chat=chat(page, env.chat_platform))
    log.info("told", extra={**facts, "incident": about.key, "severity": page.severity})
    post_to_all(page)


def post_to_all(page: Page) -> None:
    """Post the page to its receivers; whoever does not take it gets a message of its own on the queue."""
    body, key = webhook(page), change_id(page.notification, page.incident)
    receivers = webhooks.of(page.severity)
    faults = posters.map(lambda receiver: _fault_of(receiver, body, key), receivers)
    for receiver, fault in zip(receivers, faults, strict=True):
        if fault:
            log.warning("receiver failed, asked again alone", extra={"reason": fault, "receiver": receiver.id})
            sqs.send_message(
                QueueUrl=env.queue_url,
                MessageBody=json.dumps({"receiver": receiver.id, "key": key, "page": body}),
                DelaySeconds=FIRST_RETRY_SECONDS,
            )


def deliver(delivery: Mapping[str, Any]) -> None:
    """Post one page to the one receiver that it waits for. Raises NotTaken."""
    receiver = webhooks.find(delivery["receiver"])
    if receiver is None:
        log.warning("receiver is not configured any more", extra={"receiver": delivery["receiver"]})
        return
    post(receiver, delivery["page"], delivery["key"])


def post(receiver: Receiver, body: Mapping[str, Any], key: str) -> None:
    webhooks.post(receiver, body, key)
    log.info("posted", extra={"host": receiver.host, "receiver": receiver.id, "incident": body["incident"]})


def bring_back(record: Mapping[str, Any]) -> None:
    """Have the queue deliver `record` again soon; if that fails, too, it comes when its visibility timeout ends."""
    try:
        seconds = retry_after(int(record["attributes"]["ApproximateReceiveCount"]))
        return_after(sqs, env.queue_url, record["receiptHandle"], seconds)
    except (ClientError, BotoCoreError) as error:
        log.warning("retry not brought forward", extra={"reason": str(error)})


def history_of(notification: Notification) -> list[Transition] | None:
    """The alarm's transitions; None where they cannot be had, which never stops a page."""
    try:
        return alarm_history.transitions(notification.name, notification.at)
    except (ClientError, BotoCoreError) as error:
        log.warning("alarm history not read", extra={"alarm": notification.name, "reason": str(error)})
        return None


def looked_up(notification: Notification, about: Incident, now: datetime) -> Found:
    """What the logs say of it; nothing where nothing is known, which never stops a page."""
    clues_ = clues(notification)
    found = Found()
    if not clues_:
        return found
    span = window(notification, about.began, now)
    try:
        for found in affected(logs.lines(pattern(clues_), span), clues_):  # noqa: B007 - the last one is told
            pass
    except (ClientError, BotoCoreError) as error:  # what was found before a fault is told
        log.warning("affected orders not looked up", extra={"alarm": notification.name, "reason": str(error)})
    return found


def _delivery(body: str) -> Mapping[str, Any] | None:
    """The delivery in a message of our own; None for everything else, which is the alarms topic's."""
    try:
        given = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return given if isinstance(given, dict) and {"receiver", "key", "page"} <= given.keys() else None


def _fault_of(receiver: Receiver, body: Mapping[str, Any], key: str) -> str:
    """Why a receiver did not take the page; "" if it did."""
    try:
        post(receiver, body, key)
    except NotTaken as fault:
        return str(fault)
    return ""
