"""A Cost Explorer that knows what it is told: costs by month, service and tags, as AWS's bill would have them.

It answers GetCostAndUsage by month and service, with a filter on tags; anything else it refuses, as AWS refuses what it
does not know.
"""

from __future__ import annotations

import json
import threading
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final, Self

HOST: Final = "127.0.0.1"
TARGET: Final = "AWSInsightsIndexService.GetCostAndUsage"
CONTENT_TYPE: Final = "application/x-amz-json-1.1"
METRIC: Final = "UnblendedCost"
BY_SERVICE: Final = [{"Type": "DIMENSION", "Key": "SERVICE"}]

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Charge:
    """What a service charged in a month (its first day) for what carries these tags."""

    month: date
    service: str
    usd: Decimal
    tags: Mapping[str, str]


class Refused(ValueError):
    """A request that is not answered here."""


class CostExplorerTwin:
    """Listens on a free port of the loopback, from `start` to `stop`; also a context manager. `asked` are the requests'
    bodies, in their order."""

    def __init__(self) -> None:
        self.asked: list[Json] = []
        self._charges: list[Charge] = []
        self._server: ThreadingHTTPServer | None = None
        self._thread: threading.Thread | None = None

    @property
    def endpoint(self) -> str:
        """http://127.0.0.1:<port>: what AWS_ENDPOINT_URL_COST_EXPLORER is set to."""
        if self._server is None:
            raise RuntimeError("the Cost Explorer has not been started")
        return f"http://{HOST}:{self._server.server_address[1]}"

    def charge(self, month: date, costs: Mapping[str, Decimal], tags: Mapping[str, str]) -> None:
        """Add a month's costs: USD by the service's name."""
        first = month.replace(day=1)
        self._charges += [Charge(first, service, usd, dict(tags)) for service, usd in costs.items()]

    def clear(self) -> None:
        self._charges.clear()
        self.asked.clear()

    def start(self) -> Self:
        self._server = ThreadingHTTPServer((HOST, 0), _handler(self))
        self._thread = threading.Thread(target=self._server.serve_forever, name="cost explorer", daemon=True)
        self._thread.start()
        return self

    def stop(self) -> None:
        if self._server is None or self._thread is None:
            return
        self._server.shutdown()
        self._thread.join(timeout=5)
        self._server.server_close()
        self._server = self._thread = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def answer(self, body: Json) -> Json:
        """The reply to a request's body, as the API reference has it. Raises Refused."""
        self.asked.append(body)
        return answer(body, tuple(self._charges))


def answer(body: Json, charges: tuple[Charge, ...]) -> Json:
    """The reply to GetCostAndUsage.

    https://docs.aws.amazon.com/aws-cost-management/latest/APIReference/API_GetCostAndUsage.html

    Raises:
        Refused: it asks for what is not kept here, or in another way than by month and service.
    """
    asked = (body.get("Granularity"), body.get("GroupBy"), body.get("Metrics"))
    if asked != ("MONTHLY", BY_SERVICE, [METRIC]):
        raise Refused(f"only {METRIC} by month and service is kept here, not {asked}")
    try:
        start, end = (date.fromisoformat(body["TimePeriod"][key]) for key in ("Start", "End"))
    except (KeyError, ValueError):
        raise Refused("TimePeriod needs Start and End, as dates") from None
    if start >= end:
        raise Refused("TimePeriod has to start before it ends")
    wanted = dict(_tags(body["Filter"])) if body.get("Filter") else {}
    matching = [each for each in charges if all(each.tags.get(key) in values for key, values in wanted.items())]
    return {"GroupDefinitions": BY_SERVICE, "ResultsByTime": [_month(month, matching) for month in _months(start, end)]}


def _month(month: date, charges: list[Charge]) -> Json:
    sums: defaultdict[str, Decimal] = defaultdict(Decimal)
    for each in charges:
        if each.month == month:
            sums[each.service] += each.usd
    return {
        "TimePeriod": {"Start": month.isoformat(), "End": _next(month).isoformat()},
        "Total": {},
        "Groups": [
            {"Keys": [service], "Metrics": {METRIC: {"Amount": f"{usd:f}", "Unit": "USD"}}}
            for service, usd in sorted(sums.items())
        ],
        "Estimated": False,
    }


def _months(start: date, end: date) -> Iterator[date]:
    month = start.replace(day=1)
    while month < end:
        yield month
        month = _next(month)


def _next(month: date) -> date:
    return (month + timedelta(days=31)).replace(day=1)


def _tags(filter_: Json) -> Iterator[tuple[str, list[str]]]:
    """The tags that a filter asks for, by key; an And of them, or one."""
    match filter_:
        case {"And": parts}:
            for part in parts:
                yield from _tags(part)
        case {"Tags": {"Key": key, "Values": values}}:
            yield key, values
        case _:
            raise Refused(f"only filters on tags are known here, not {', '.join(filter_)}")


def _handler(twin: CostExplorerTwin) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            try:
                if self.headers.get("X-Amz-Target") != TARGET:
                    raise Refused(f"only {TARGET} is answered here")
                status, reply = HTTPStatus.OK, twin.answer(json.loads(body))
            except ValueError as error:
                status, reply = HTTPStatus.BAD_REQUEST, {"__type": "ValidationException", "message": str(error)}
            content = json.dumps(reply).encode()
            self.send_response(status)
            self.send_header("Content-Type", CONTENT_TYPE)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - http.server's own name
            """Nothing is said on stderr."""

    return Handler
