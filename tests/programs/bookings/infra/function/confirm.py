"""Confirms a booking. The confirming itself is left out."""

import json
from typing import Any


def handler(event: dict[str, Any], context: object) -> None:
    """Called with messages of the queue."""
    for record in event["Records"]:
        booking = json.loads(record["body"])
        print(json.dumps({"event": "confirmed", "booking": booking["id"]}))
