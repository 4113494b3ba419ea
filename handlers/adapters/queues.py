"""SQS as the handlers use it beside the event source mapping: putting an order aside, and bringing one back sooner."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

_MAX_REASON = 1000
"""Characters of a reason kept with the message; the log has the rest."""


class Quarantine:
    """The queue of orders that cannot be sent as they are. Bodies stay as they came."""

    def __init__(self, client: SQSClient, url: str) -> None:
        self._client = client
        self._url = url

    def put(self, body: str, **attributes: str) -> None:
        """Put `body` aside with what is known of it; empty attributes are left out, as SQS refuses those."""
        self._client.send_message(
            QueueUrl=self._url,
            MessageBody=body,
            MessageAttributes={
                name: {"DataType": "String", "StringValue": value[:_MAX_REASON]}
                for name, value in attributes.items()
                if value
            },
        )


def return_after(client: SQSClient, queue_url: str, receipt_handle: str, seconds: int) -> None:
    """Let the queue deliver a message again in `seconds`, instead of after the whole visibility timeout."""
    client.change_message_visibility(QueueUrl=queue_url, ReceiptHandle=receipt_handle, VisibilityTimeout=seconds)


def return_all_after(client: SQSClient, queue_url: str, receipt_handles: Sequence[str], seconds: int) -> int:
    """Let the queue deliver a batch of messages (at most ten) again in `seconds`; for how many it would not, which
    come after the whole visibility timeout."""
    reply = client.change_message_visibility_batch(
        QueueUrl=queue_url,
        Entries=[
            {"Id": str(number), "ReceiptHandle": handle, "VisibilityTimeout": seconds}
            for number, handle in enumerate(receipt_handles)
        ],
    )
    return len(reply.get("Failed", []))
