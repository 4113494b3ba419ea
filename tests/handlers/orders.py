"""An order to start from, and its variations."""

from __future__ import annotations

import json
from typing import Any

from handlers.mail.orders import Order, parse_order


def document(**changes: Any) -> dict[str, Any]:
    """A good order as a JSON object, with `changes` to its fields."""
    return {
        "orderId": "A-1001",
        "customerEmail": "leonie.koehler@example.com",
        "customerName": "Leonie Köhler",
        "items": [
            {"sku": "mug-1", "name": "Mug", "quantity": 2, "unitPrice": "4.50"},
            {"sku": "pen-7", "name": "Fountain pen", "quantity": 1, "unitPrice": "21.00"},
        ],
        "total": "30.00",
        "currency": "EUR",
        "timestamp": "2026-11-22T15:06:00Z",
        "metadata": {"channel": "web"},
        **changes,
    }


def body(**changes: Any) -> str:
    """The same as it is published."""
    return json.dumps(document(**changes))


def order(**changes: Any) -> Order:
    """The same, parsed."""
    return parse_order(body(**changes))


def first_item(**changes: Any) -> dict[str, Any]:
    """Changes for `document` that alter its first item."""
    items = document()["items"]
    return {"items": [items[0] | changes, *items[1:]]}


def envelope(message: str, lane: str = "order-confirmation") -> str:
    """`message` as a queue without raw delivery gets it from SNS.

    Source: SNS developer guide, "Fanout to Amazon SQS queues".
    """
    return json.dumps(
        {
            "Type": "Notification",
            "MessageId": "22b80b92-fdea-4c2c-8f9d-bdfb0c7bf324",
            "TopicArn": "arn:aws:sns:us-east-1:123456789012:order-confirmations",
            "Message": message,
            "Timestamp": "2026-11-22T15:06:01.123Z",
            "MessageAttributes": {"messageType": {"Type": "String", "Value": lane}},
        }
    )
