"""The account-level calls of SESv2 that the emulator lacks or only acknowledges: pause, suppression list, quota."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from local.twin.account import REASONS, Suppressed
from local.twin.mail import utc_now
from local.twin.refusals import Refusal
from local.twin.sending import State

Json = dict[str, Any]

PAGE_SIZE: Final = 1000
"""ListSuppressedDestinations gives at most this many at once, and as many where no size is asked for."""


def overlaid_account(state: State, answer: Json) -> Json:
    """GetAccount: the emulator's answer, with what the twin keeps in its place."""
    options, account = state.options, state.account
    return answer | {
        "EnforcementStatus": "SHUTDOWN" if options.account_suspended else "HEALTHY",
        "SendingEnabled": account.sending_enabled and not options.account_suspended,
        "SendQuota": {
            "Max24HourSend": options.daily_quota,
            "MaxSendRate": options.max_send_rate,
            "SentLast24Hours": float(account.day.count(time.monotonic())),
        },
        "SuppressionAttributes": {"SuppressedReasons": list(account.suppressed_reasons)},
    }


def put_sending(state: State, data: Json) -> Json:
    """PutAccountSendingAttributes: an absent flag means false, as the API has it."""
    state.account.sending_enabled = bool(data.get("SendingEnabled"))
    return {}


def put_suppression(state: State, data: Json) -> Json | Refusal:
    """PutAccountSuppressionAttributes: what puts an address on the list from now on."""
    reasons = tuple(data.get("SuppressedReasons") or ())
    if unknown := next((reason for reason in reasons if reason not in REASONS), None):
        return _not_a_reason(unknown)
    state.account.suppressed_reasons = reasons
    return {}


def put_destination(state: State, data: Json) -> Json | Refusal:
    address, reason = data.get("EmailAddress", ""), data.get("Reason", "")
    if "@" not in address:
        return Refusal("BadRequestException", f"Invalid email address <{address}>.")
    if reason not in REASONS:
        return _not_a_reason(reason)
    state.account.put(Suppressed(address, reason, utc_now()))
    return {}


def get_destination(state: State, address: str) -> Json | Refusal:
    if (entry := state.account.get(address)) is None:
        return _not_listed(address)
    cause = {"Attributes": {"MessageId": entry.message_id}} if entry.message_id else {}
    return {"SuppressedDestination": _summary(entry) | cause}


def delete_destination(state: State, address: str) -> Json | Refusal:
    return {} if state.account.delete(address) else _not_listed(address)


def list_destinations(state: State, query: Mapping[str, Any], reasons: list[str]) -> Json | Refusal:
    """A page of the list. Its token is the number of entries already given."""
    try:
        since, until = (_time(query.get(name)) for name in ("StartDate", "EndDate"))
        size = min(int(query.get("PageSize", PAGE_SIZE)), PAGE_SIZE)
        start = int(query.get("NextToken", 0))
    except ValueError as error:
        return Refusal("BadRequestException", str(error))
    entries = list(state.account.entries(reasons, since, until))
    more = {"NextToken": str(start + size)} if start + size < len(entries) else {}
    return {"SuppressedDestinationSummaries": [_summary(each) for each in entries[start : start + size]], **more}


def _summary(entry: Suppressed) -> Json:
    return {"EmailAddress": entry.address, "Reason": entry.reason, "LastUpdateTime": entry.since.timestamp()}


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def _not_listed(address: str) -> Refusal:
    return Refusal("NotFoundException", f"Email address {address} does not exist on your suppression list.")


def _not_a_reason(value: object) -> Refusal:
    text = f"1 validation error detected: Value {json.dumps(value)} at 'reason' failed to satisfy constraint: "
    return Refusal("BadRequestException", text + f"Member must satisfy enum value set: [{', '.join(REASONS)}]")
