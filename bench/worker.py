"""One handler in a process of its own, timed. `bench.handlers` starts it with the deployed function's environment.

    python -m bench.worker batches MODULE ROUNDS ADDED_MS HOW SEED    seconds of each batch of ten, and waiting on AWS
    python -m bench.worker start MODULE SEED                          milliseconds to import, and of the first call

HOW `emulated` calls the emulator each time; `replayed` gives its answers of the first batch again, so that what is left
beside the added time is the handler's own: AWS does not share two cores with it, as the emulator does.

MODULE `bare:handlers.send_email` is boto3 alone, with the clients of that handler and its calls.
"""

from __future__ import annotations

import importlib
import io
import json
import os
import re
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # at run time its import is part of what is measured
    from botocore.awsrequest import AWSResponse

BATCH = 10
SEND = "handlers.send_email"


class Context:
    """As much of Lambda's context as a handler asks for."""

    def get_remaining_time_in_millis(self) -> int:
        return 30_000


class Clock:
    """Adds time to each AWS call, knows how long at least one call was under way, and can replay answers."""

    def __init__(self) -> None:
        self.added_seconds = 0.0
        self.replaying = False
        self.waiting = 0.0
        self._answers: dict[str, dict[str, Any]] = {}
        self._call = threading.local()
        self._lock = threading.Lock()
        self._open = 0
        self._since = 0.0

    def watch(self, session: Any) -> None:
        """Hook into every client that `session` will make."""
        session.events.register_first("before-send", self._begin)
        session.events.register("before-parse", self._answered)

    def _begin(self, request: Any, event_name: str, **_: Any) -> AWSResponse | None:
        with self._lock:
            self._open += 1
            if self._open == 1:
                self._since = time.perf_counter()
        self._call.kind = kind(event_name, request.body or b"")
        time.sleep(self.added_seconds)
        if not self.replaying:
            return None
        from botocore.awsrequest import AWSResponse  # noqa: PLC0415

        answer = self._answers[self._call.kind]
        return AWSResponse(request.url, answer["status_code"], answer["headers"], Body(answer["body"]))

    def _answered(self, response_dict: dict[str, Any], **_: Any) -> None:
        self._answers[self._call.kind] = response_dict
        with self._lock:
            self._open -= 1
            if self._open == 0:
                self.waiting += time.perf_counter() - self._since


def kind(event_name: str, body: bytes) -> str:
    """What tells apart calls with different answers: a claim and a change are one operation, and so are reads of the
    control table's scopes."""
    scope = re.search(rb'"scope": *{"S": *"(\w+)', body)
    return f"{event_name} {b'if_not_exists' in body} {scope and scope[1].decode()}"


class Body(io.BytesIO):
    """As much of a urllib3 response as botocore reads."""

    def stream(self, **_: Any) -> Iterator[bytes]:
        yield self.read()


def records(seed: str, count: int) -> list[dict[str, Any]]:
    now = str(int(time.time() * 1000))
    return [
        {
            "messageId": f"{seed}-{number}",
            "receiptHandle": "none",
            "eventSourceARN": os.environ["QUEUE_ARN"],
            "body": json.dumps(order(f"{seed}-{number}")),
            "attributes": {"SentTimestamp": now, "ApproximateReceiveCount": "1"},
        }
        for number in range(count)
    ]


def order(order_id: str) -> dict[str, Any]:
    return {
        "orderId": order_id,
        "customerEmail": f"success+{order_id}@simulator.amazonses.com",
        "customerName": "Zoë Ångström",
        "items": [
            {"sku": f"sku-{n}", "name": f"Ceramic mug no. {n}", "quantity": n, "unitPrice": "12.50"} for n in (1, 2, 3)
        ],
        "total": "75.00",
        "currency": "EUR",
        "timestamp": "2026-11-22T15:06:00Z",
    }


def batches(module: str, rounds: int, added_ms: float, how: str, seed: str) -> dict[str, Any]:
    """Seconds of each batch. One batch beforehand opens the connections and is not counted."""
    import boto3  # noqa: PLC0415 - the clock has to be on the session before the handler makes its clients

    boto3.setup_default_session()
    clock = Clock()
    clock.watch(boto3.DEFAULT_SESSION)
    handler: Callable[..., Any] = importlib.import_module(module).handler
    handler({"Records": records(f"{seed}-warm", BATCH)}, Context())
    clock.added_seconds, clock.replaying, clock.waiting = added_ms / 1000, how == "replayed", 0.0
    seconds = []
    for round_ in range(rounds):
        event = {"Records": records(f"{seed}-{round_}", BATCH)}
        begin = time.perf_counter()
        reply = handler(event, Context())
        seconds.append(time.perf_counter() - begin)
        if reply and reply["batchItemFailures"]:
            raise RuntimeError(f"not sent: {reply}")
    return {"seconds": seconds, "waiting": clock.waiting / sum(seconds)}


def start(module: str, seed: str) -> dict[str, float]:
    """Milliseconds from nothing imported to the handler, and of its first message."""
    bare, name = module.startswith("bare:"), module.removeprefix("bare:")
    event = {"Records": records(seed, 1) if name == SEND else [{**records(seed, 1)[0], "body": feedback(seed)}]}
    begin = time.perf_counter()
    handler = BARE[name]() if bare else importlib.import_module(name).handler
    ready = time.perf_counter()
    handler(event, Context())
    return {"import_ms": (ready - begin) * 1e3, "first_call_ms": (time.perf_counter() - ready) * 1e3}


def feedback(seed: str) -> str:
    """An event of an email that the ledger does not know: it is looked up, and counted as unmatched."""
    mail = {
        "timestamp": "2026-11-22T15:06:00.000Z",
        "messageId": seed,
        "tags": {"message_id": [seed], "order": [seed]},
    }
    return json.dumps({"eventType": "Delivery", "mail": mail, "delivery": {"timestamp": "2026-11-22T15:06:01.000Z"}})


def bare_send() -> Callable[..., None]:
    """boto3 with the clients and the calls of `handlers.send_email`, and nothing else."""
    import boto3  # noqa: PLC0415 - its import is what is measured

    boto3.client("sqs")
    dynamodb = boto3.client("dynamodb")
    ses = boto3.client("sesv2")

    def handler(event: dict[str, Any], _: Any) -> None:
        record = event["Records"][0]
        key = {"orderId": {"S": record["messageId"]}, "messageId": {"S": "bare"}}
        body = json.loads(record["body"])

        def update(status: str) -> None:
            dynamodb.update_item(
                TableName=os.environ["LEDGER_TABLE"],
                Key=key,
                UpdateExpression="SET #s = :s",
                ExpressionAttributeNames={"#s": "status"},
                ExpressionAttributeValues={":s": {"S": status}},
            )

        bare_get(dynamodb, "lane", consistent=True)
        bare_add(dynamodb)
        dynamodb.query(
            TableName=os.environ["CONTROL_TABLE"],
            KeyConditionExpression="#s = :s",
            ExpressionAttributeNames={"#s": "scope"},
            ExpressionAttributeValues={":s": {"S": "bare"}},
        )
        bare_get(dynamodb, "suppressed", consistent=False)
        update("SUBMITTING")
        ses.send_email(
            FromEmailAddress=os.environ["FROM_ADDRESS"],
            Destination={"ToAddresses": [body["customerEmail"]]},
            Content={"Raw": {"Data": b"Subject: Your order\r\n\r\nThank you.\r\n"}},
            ConfigurationSetName=os.environ["CONFIGURATION_SET"],
        )
        update("SENT")
        bare_add(dynamodb)

    return handler


def bare_get(dynamodb: Any, scope: str, *, consistent: bool) -> None:
    """A row of the control table that is not there, as a lane that nobody has held is not."""
    key = {"scope": {"S": scope}, "key": {"S": "bare"}}
    dynamodb.get_item(TableName=os.environ["CONTROL_TABLE"], Key=key, ConsistentRead=consistent)


def bare_add(dynamodb: Any) -> None:
    """As to the tally of what is spent."""
    dynamodb.update_item(
        TableName=os.environ["CONTROL_TABLE"],
        Key={"scope": {"S": "bare"}, "key": {"S": "bare"}},
        UpdateExpression="ADD #n :n",
        ExpressionAttributeNames={"#n": "n"},
        ExpressionAttributeValues={":n": {"N": "0.0001"}},
        ReturnValues="ALL_NEW",
    )


def bare_feedback() -> Callable[..., None]:
    """boto3 with the client and the call of `handlers.record_feedback`, and nothing else."""
    import boto3  # noqa: PLC0415 - its import is what is measured

    dynamodb = boto3.client("dynamodb")

    def handler(event: dict[str, Any], _: Any) -> None:
        seed = json.loads(event["Records"][0]["body"])["mail"]["messageId"]
        dynamodb.get_item(
            TableName=os.environ["LEDGER_TABLE"],
            Key={"orderId": {"S": seed}, "messageId": {"S": seed}},
            ConsistentRead=True,
        )
        bare_add(dynamodb)

    return handler


BARE = {SEND: bare_send, "handlers.record_feedback": bare_feedback}


if __name__ == "__main__":
    mode, name, *rest = sys.argv[1:]
    stdout, sys.stdout = sys.stdout, open(os.devnull, "w")  # noqa: SIM115, PTH123 - what handlers print is not ours
    if mode == "batches":
        rounds, added, how, seed = rest
        found = batches(name, int(rounds), float(added), how, seed)
    else:
        found = start(name, rest[0])
    stdout.write(json.dumps(found))
