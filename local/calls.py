"""Which calls a run makes, as the emulator sees them: what a bill is counted from (local/usage.py).

One JSON object a line, as it happens, in the file that MAILROOM_CALLS names; without it nothing is written:

    {"call": "sns.Publish", "by": "role" | "root", "resource": ..., "messages": ...}
    {"units": "write" | "read", "by": ..., "resource": table, "quantity": ...}
    {"began": function}
    {"run": function, "seconds": ..., "queues": {queue: [messages, of these handed over for the first time]}}

Only a function speaks as a role; the account's root is the one who tries the stack, and SES. A call that was refused
is not billed and not written, except a conditional write that failed: DynamoDB bills that, too.
"""

from __future__ import annotations

import json
import os
import re
import threading
import time
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from functools import wraps
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qs

Json = dict[str, Any]

VARIABLE: Final = "MAILROOM_CALLS"

_ROLE_KEY: Final = "Credential=ASIA"
"""Temporary credentials begin so: nobody has any here but a function."""

_ENTRY: Final = re.compile(r"PublishBatchRequestEntries\.member\.\d+\.Id")
_RESOURCE: Final = ("TopicArn", "QueueUrl", "TableName", "KeyId", "SecretId")

_caller: ContextVar[str] = ContextVar("caller", default="root")


def install() -> None:
    """Have the emulator in this process write its calls down. Called before it serves."""
    if not (path := os.environ.get(VARIABLE)):
        return
    from ministack import app  # noqa: PLC0415 - reads its settings from the environment on import
    from ministack.services import dynamodb, lambda_svc  # noqa: PLC0415

    write = _Writer(Path(path))
    for service, handler in app.SERVICE_HANDLERS.items():
        app.SERVICE_HANDLERS[service] = _noted(service, handler, write)
    dynamodb._add_consumed_capacity = _metered(dynamodb._add_consumed_capacity, write)
    lambda_svc._execute_function_dispatch = _timed(lambda_svc._execute_function_dispatch, write)


class _Writer:
    def __init__(self, path: Path) -> None:
        self._file = path.open("a", buffering=1, encoding="utf-8")
        self._lock = threading.Lock()

    def __call__(self, **record: Any) -> None:
        with self._lock:
            self._file.write(json.dumps(record) + "\n")


def _noted(service: str, handler: Callable[..., Any], write: _Writer) -> Callable[..., Any]:
    @wraps(handler)
    async def noted(method: str, path: str, headers: Mapping[str, str], body: bytes, query: Any) -> Any:
        _caller.set("role" if _ROLE_KEY in headers.get("authorization", "") else "root")
        answer = await handler(method, path, headers, body, query)
        action, parameters = asked(headers, body)
        if answer[0] == 200 and action:
            resource = next((parameters[name] for name in _RESOURCE if name in parameters), "")
            messages = sum(bool(_ENTRY.fullmatch(name)) for name in parameters) or 1
            write(call=f"{service}.{action}", by=_caller.get(), resource=resource, messages=messages)
        elif service == "dynamodb" and b"ConditionalCheckFailed" in answer[2]:
            write(units="write", by=_caller.get(), resource=parameters.get("TableName", ""), quantity=1)
        return answer

    return noted


def asked(headers: Mapping[str, str], body: bytes) -> tuple[str, Json]:
    """The action of a request in the JSON or the query protocol, and its parameters; "" for the REST protocols."""
    if target := headers.get("x-amz-target", ""):
        return target.rsplit(".", 1)[-1], json.loads(body or b"{}")
    if headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        parameters = {name: values[0] for name, values in parse_qs(body.decode("utf-8", "replace")).items()}
        return parameters.get("Action", ""), parameters
    return "", {}


def _metered(add: Callable[..., Any], write: _Writer) -> Callable[..., Any]:
    @wraps(add)
    def metered(result: Json, data: Json, table: str, **how: Any) -> None:
        answer: Json = {}
        add(answer, {**data, "ReturnConsumedCapacity": "TOTAL"}, table, **how)
        units = answer["ConsumedCapacity"]["CapacityUnits"]
        write(units="write" if how.get("write") else "read", by=_caller.get(), resource=table, quantity=units)
        add(result, data, table, **how)

    return metered


def _timed(execute: Callable[..., Any], write: _Writer) -> Callable[..., Any]:
    @wraps(execute)
    def timed(function: Json, config: Json, event: Any, *rest: Any) -> Any:
        began = time.monotonic()
        write(began=config["FunctionName"])
        try:
            return execute(function, config, event, *rest)
        finally:
            seconds = time.monotonic() - began
            write(run=config["FunctionName"], seconds=round(seconds, 3), queues=handed_over(event))

    return timed


def handed_over(event: Any) -> dict[str, list[int]]:
    """Of the queues in an event of Lambda: how many messages, and how many of them for the first time."""
    queues: dict[str, list[int]] = {}
    records = event.get("Records", ()) if isinstance(event, dict) else ()
    for record in records:
        if record.get("eventSource") == "aws:sqs":
            counts = queues.setdefault(record["eventSourceARN"].rsplit(":", 1)[-1], [0, 0])
            counts[0] += 1
            counts[1] += record["attributes"]["ApproximateReceiveCount"] == "1"
    return queues
