"""The meter: what a function's calls cost, added up in minutes rather than on the bill in hours.

An entry has one, watches its clients with it, and puts it around its handler:

    meter = Meter(env.stack, env.prices, Control(dynamodb, env.control_table), log)
    sqs = meter.watch(boto3.client("sqs", config=clients.CONFIG))

    @meter.metered
    def handler(event, context): ...

Counted are the calls themselves, as botocore makes them, with DynamoDB's own word on the units that each consumed.
Some things no call shows; they are worked out as the bill of a local run does it (local/usage.py):

- a message of a queue is three requests: one when SNS delivers it, one to receive it and one to delete it;
- a conditional write of DynamoDB that failed is one unit, as rows are under 1 KB, and DynamoDB's refusal does not tell;
- a call of SendEmail that got no answer may have been an email, and counts as one;
- logs are LOG_BYTES a message, and LAMBDAS_LOG_BYTES a run;
- every run has a trace, and every message that came with a sampled trace header has one.

A run's own time counts from the handler's first line to its last, in full; that the sandbox started before, and that
the sum was written down after, is left out.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from functools import wraps
from typing import Any, Protocol, TypeVar, cast

from handlers.guarding.spending import cost
from handlers.guarding.tally import SPEND, USD, Hour
from handlers.telemetry import contract
from handlers.telemetry.metrics import emit

LOG_BYTES = 1_000
"""A log line and a metric record: what most messages leave. Counted on `make demo`: 0.5 kB each."""

LAMBDAS_LOG_BYTES = 900
"""Lambda's own two lines of a run, in JSON (500, as in local/usage.py), and this meter's record."""

_SLOTTED = frozenset({USD})
_GB = 10**9
_SAMPLED = "Sampled=1"
_RECIPIENTS = "mailroom_recipients"
_CAPACITY = "ReturnConsumedCapacity"
_WRITES = frozenset({"PutItem", "UpdateItem", "DeleteItem", "BatchWriteItem", "TransactWriteItems"})

_Client = TypeVar("_Client")
_Handler = TypeVar("_Handler", bound=Callable[..., Any])


class Tally(Protocol):
    """Where the sums of all functions come together; `handlers.adapters.control.Control` is the real one."""

    def add(self, scope: str, at: datetime, amounts: Mapping[str, Decimal], *, slotted: frozenset[str]) -> Hour: ...


class Meter:
    """Counts what one execution environment uses. It runs one invocation at a time, whose threads may count at once.

    Args:
        stack: for the metric.
        prices: USD for one unit, by the names of `contract.METERED`.
        tally: takes the sums.
        log: is told when it does not.
        now: the clock.
    """

    def __init__(
        self,
        stack: str,
        prices: Mapping[str, Decimal],
        tally: Tally,
        log: logging.Logger,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._stack = stack
        self._prices = prices
        self._tally = tally
        self._log = log
        self._now = now
        self._began = now()
        self._lock = threading.Lock()
        self._units: defaultdict[str, Decimal] = defaultdict(Decimal)
        self._owed: defaultdict[str, Decimal] = defaultdict(Decimal)

    def watch(self, client: _Client) -> _Client:
        """The client, whose calls are counted from now on."""
        events = client.meta.events  # type: ignore[attr-defined]
        events.register("provide-client-params.dynamodb", _ask_for_capacity)
        events.register("provide-client-params.sesv2.SendEmail", _note_recipients)
        events.register("after-call", self._answered)
        events.register("after-call-error.sesv2.SendEmail", self._unanswered)
        return client

    def metered(self, handler: _Handler) -> _Handler:
        """The handler, after each of whose invocations, failed ones as well, its cost is told and added up."""

        @wraps(handler)
        def counted(event: Any, context: Any) -> Any:
            self._began, started = self._now(), time.monotonic()
            try:
                return handler(event, context)
            finally:
                self._use(_of_run(context, time.monotonic() - started))
                self._use(_of_messages(event))
                self._settle()

        return cast(_Handler, counted)

    def reserve(self, usd: Decimal) -> Hour:
        """Add to the tally what this invocation is about to cost, before it does; the hour with it. What it has really
        cost takes its place in the end: one that does nothing after all gives all of it back.

        Raises:
            ClientError, BotoCoreError: it is not known whether the tally has it.
        """
        hour = self._tally.add(SPEND, self._began, {USD: usd}, slotted=_SLOTTED)
        self._owed[USD] -= usd
        return hour

    def _settle(self) -> None:
        """Tell and add up what was used since this was done last. What the tally does not take stays owed to it, and
        comes with the next invocation: never is it a reason for one to fail."""
        with self._lock:
            units, self._units = self._units, defaultdict(Decimal)
        usd = cost(units, self._prices)
        emit(self._stack, {contract.ESTIMATED_SPEND: float(usd)})
        for name, amount in (*units.items(), (USD, usd)):
            self._owed[name] += amount
        try:
            self._tally.add(SPEND, self._began, self._owed, slotted=_SLOTTED)
        except Exception as error:  # the outermost edge of what no handler may fail by
            self._log.warning("spend not added up", extra={"reason": f"{type(error).__name__}: {error}"})
        else:
            self._owed.clear()

    def _use(self, units: Mapping[str, Decimal]) -> None:
        with self._lock:
            for name, quantity in units.items():
                self._units[name] += quantity

    def _answered(self, http_response: Any, parsed: Any, context: Any, event_name: str, **_: Any) -> None:
        service, operation = event_name.split(".")[1:]
        self._use(_of_call(service, operation, http_response.status_code, parsed, context))

    def _unanswered(self, context: Any, **_: Any) -> None:
        self._use({"ses.email": _recipients(context)})


def _of_call(service: str, operation: str, status: int, parsed: Any, context: Any) -> dict[str, Decimal]:
    """What an answered call is billed as, by the names that botocore's events have for it."""
    match service, operation:
        case "dynamodb", _:
            return {"dynamodb.write" if operation in _WRITES else "dynamodb.read": _capacity(status, parsed)}
        case "sesv2", "SendEmail" if status < 300 or status >= 500:
            return {"ses.email": _recipients(context)}
        case "sns", "Publish" if status < 300:
            return {"sns.publish": Decimal(1)}
        case "sqs", _:
            return {"sqs.request": Decimal(1)}
    return {}


def _capacity(status: int, parsed: Any) -> Decimal:
    """Units that a call of DynamoDB consumed; calls on several tables are answered with a list."""
    if status >= 300:
        return Decimal(parsed["Error"].get("Code") == "ConditionalCheckFailedException")
    consumed = parsed.get("ConsumedCapacity", [])
    tables = [consumed] if isinstance(consumed, dict) else consumed
    return sum((Decimal(str(table["CapacityUnits"])) for table in tables), Decimal(0))


def _of_run(context: Any, seconds: float) -> dict[str, Decimal]:
    # Lambda hands the memory over as text, whatever its documentation says.
    gigabytes = Decimal(str(getattr(context, "memory_limit_in_mb", 0) or 0)) / 1024
    return {
        "lambda.request": Decimal(1),
        "lambda.gb-second.arm64": gigabytes * Decimal(str(round(seconds, 3))),
        "logs.gb": Decimal(LAMBDAS_LOG_BYTES) / _GB,
        "xray.trace": Decimal(1),
    }


def _of_messages(event: Any) -> dict[str, Decimal]:
    """What the messages of a queue cost; of any other event, nothing."""
    records = event.get("Records", ()) if isinstance(event, Mapping) else ()
    messages = [record["attributes"] for record in records if record.get("eventSource") == "aws:sqs"]
    new = [attributes for attributes in messages if attributes.get("ApproximateReceiveCount") == "1"]
    return {
        "sqs.request": Decimal(2 * len(messages) + len(new)),
        "logs.gb": Decimal(LOG_BYTES * len(messages)) / _GB,
        "xray.trace": Decimal(sum(_SAMPLED in attributes.get("AWSTraceHeader", "") for attributes in new)),
    }


def _recipients(context: Any) -> Decimal:
    return Decimal(context.get(_RECIPIENTS, 1))


def _ask_for_capacity(params: dict[str, Any], model: Any, **_: Any) -> dict[str, Any] | None:
    """DynamoDB tells what a call consumed if it is asked, for nothing (API reference, ReturnConsumedCapacity)."""
    return {**params, _CAPACITY: "TOTAL"} if _CAPACITY in model.input_shape.members else None


def _note_recipients(params: Mapping[str, Any], context: dict[str, Any], **_: Any) -> None:
    """SES charges by recipient, which its answer does not repeat."""
    context[_RECIPIENTS] = sum(map(len, params.get("Destination", {}).values())) or 1
