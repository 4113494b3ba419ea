"""Waiting until every published message is accounted for: its email final, or itself in quarantine."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Collection, Iterable, Sequence
from itertools import count

from handlers.mail.lifecycle import OPEN, message_id
from handlers.telemetry.contract import Lane
from ops.publish import order_id_of
from ops.quarantine import MOST, held
from ops.stack import Stack

QUARANTINED = "QUARANTINED"
NOT_SEEN = "NOT SEEN"
AWAITED = frozenset({NOT_SEEN, *(status.value for status in OPEN)})
"""Where an order stands that has not ended yet."""

POLL = 0.5
GLANCE = 100
"""Rows read at a time, as many as DynamoDB gives in one call. Orders that are still open go to the back of the line, so
following a large file costs no more than a small one, and watching does not slow down what is watched.
https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchGetItem.html"""

KEY_BYTES = 2048
"""Of a partition key, at most: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html"""

QUARANTINE_EVERY = 4
"""Glances between two looks into the quarantine, since a look holds its messages for a moment."""


def follow(
    stack: Stack,
    bodies: Sequence[str],
    *,
    timeout: float,
    on_progress: Callable[[int], None] = lambda _settled: None,
    clock: Callable[[], float] = time.monotonic,
    pause: Callable[[float], None] = time.sleep,
) -> dict[str, str]:
    """Body of each message -> QUARANTINED, or the status of its order's email; NOT SEEN where there is no trace.

    Returns when all are quarantined or final, or after `timeout` seconds. `on_progress` gets the number of settled
    bodies.

    Raises:
        ClientError, BotoCoreError: the ledger or the quarantine cannot be read.
    """
    standing = dict.fromkeys(bodies, NOT_SEEN)
    unsettled = set(standing)
    by_order = _by_order(standing)
    pending = deque(by_order)
    deadline = clock() + timeout
    for glance in count(1):
        batch = [pending.popleft() for _ in range(min(GLANCE, len(pending)))]
        found = _statuses(stack, batch)
        for order in batch:
            status = found.get(order, NOT_SEEN)
            ours = [body for body in by_order[order] if standing[body] != QUARANTINED]
            standing |= dict.fromkeys(ours, status)
            if status in AWAITED:
                pending.append(order)
            else:
                unsettled.difference_update(ours)
        last = not unsettled or clock() >= deadline
        if last or glance % QUARANTINE_EVERY == 0:
            refused = _in_quarantine(stack, standing)
            standing |= dict.fromkeys(refused, QUARANTINED)
            unsettled -= refused
            pending = deque(order for order in pending if not unsettled.isdisjoint(by_order[order]))
        on_progress(len(standing) - len(unsettled))
        if last or not unsettled:
            break
        pause(POLL)
    return standing


def _by_order(bodies: Iterable[str]) -> dict[str, list[str]]:
    """Order id -> bodies. Left out is a body that names no order, or one by a name that the ledger could not hold: it
    can only turn up in quarantine."""
    grouped: dict[str, list[str]] = {}
    for body in bodies:
        order = order_id_of(body)
        if order and order.isascii() and len(order) <= KEY_BYTES:
            grouped.setdefault(order, []).append(body)
    return grouped


def _statuses(stack: Stack, orders: Sequence[str]) -> dict[str, str]:
    """Order id -> status of its confirmation. One that DynamoDB had no time for is left to the next glance."""
    if not orders:
        return {}
    table = stack.outputs.ledger_table_name
    keys = [{"orderId": {"S": order}, "messageId": {"S": message_id(order, Lane.CONFIRMATION)}} for order in orders]
    reply = stack.dynamodb.batch_get_item(
        RequestItems={
            table: {
                "Keys": keys,
                "ProjectionExpression": "orderId, #status",
                "ExpressionAttributeNames": {"#status": "status"},
            }
        }
    )
    return {row["orderId"]["S"]: row["status"]["S"] for row in reply["Responses"].get(table, [])}


def _in_quarantine(stack: Stack, bodies: Collection[str]) -> set[str]:
    # There may be older ones beside ours.
    with held(stack.sqs, stack.outputs.quarantine_queue_url, most=MOST + len(bodies)) as messages:
        return {message.body for message in messages if message.body in bodies}
