"""The suppression list in an operator's hands: who is on it and why, off it with a reason, on it by hand."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from handlers.adapters.suppression import SuppressionList
from handlers.guarding.suppression import Reason, Removal, Suppression, address_key
from handlers.mail.lifecycle import timestamp
from handlers.mail.sending import at_simulator
from ops.errors import Exit, OpsError
from ops.stack import Stack
from ops.text import mask

if TYPE_CHECKING:
    from mypy_boto3_sesv2 import SESV2Client


@dataclass(frozen=True, slots=True)
class Removed:
    """What a removal came to.

    Attributes:
        entry: ours, as it then stands; None when the address was not on our list.
        forgotten: whether SES had it on the account's own list.
    """

    entry: Suppression | None
    forgotten: bool


def suppression_list(stack: Stack) -> SuppressionList:
    """The stack's list."""
    return SuppressionList(stack.dynamodb, stack.outputs.control_table_name)


def entries(stack: Stack, *, removed: bool = False) -> list[Suppression]:
    """Who is on the list, and with `removed` who was, newest first."""
    found = [entry for entry in suppression_list(stack).all() if removed or entry.active]
    return sorted(found, key=lambda entry: entry.since, reverse=True)


def entry_of(stack: Stack, address: str) -> Suppression:
    """The entry of `address`, removed or not.

    Raises:
        OpsError: there never was one, or that is no address.
    """
    found = suppression_list(stack).find(_address(address), consistent=True)
    if found is None:
        raise unknown(stack, address)
    return found


def remove(stack: Stack, address: str, *, reason: str, now: datetime) -> Removed:
    """Take `address` off the list, and have SES forget it as well: it would go on holding back what we send.

    SES is asked first: if it refuses, nothing has changed, and the same command can be given again.

    Raises:
        OpsError: it is on neither list, or is no address.
    """
    key = _address(address)
    ours = suppression_list(stack)
    found = ours.find(key, consistent=True)
    forgotten = _forget(stack.sesv2, key)
    if found and found.active:
        # SES's clock may be ahead of ours, and what is removed before it began is not removed.
        removal = Removal(by=stack.operator, reason=reason, at=max(now, found.since))
        return Removed(ours.remove(key, removal), forgotten)
    if not forgotten:
        raise unknown(stack, address)
    return Removed(None, forgotten)


def add(stack: Stack, address: str, *, reason: str, now: datetime) -> tuple[Suppression, bool]:
    """Put `address` on the list by hand; its entry, and whether that is new.

    Raises:
        OpsError: it is no address, or the simulator's.
    """
    key = _address(address)
    if at_simulator(key):
        raise OpsError(
            f"{mask(key)} is the mailbox simulator's, which is always written to.", "Name a real one.", Exit.USAGE
        )
    entry = Suppression(address=key, reason=Reason.OPERATOR, since=now, diagnostic=reason, by=stack.operator)
    new = suppression_list(stack).put(entry)
    return entry_of(stack, key), new


def describe(entry: Suppression, *, show_address: bool = False) -> dict[str, Any]:
    """An entry for machines."""

    def shown(text: str) -> str:
        return text if show_address else mask(text)

    removed = entry.removed
    return {
        "address": shown(entry.address),
        "active": entry.active,
        "reason": entry.reason.value,
        "since": timestamp(entry.since),
        "orderId": entry.order_id,
        "diagnostic": shown(entry.diagnostic),
        "by": shown(entry.by),
        "removed": {"by": shown(removed.by), "reason": shown(removed.reason), "at": timestamp(removed.at)}
        if removed
        else None,
    }


def unknown(stack: Stack, address: str) -> OpsError:
    """That `address` is not on the list."""
    return OpsError(
        f"{mask(address_key(address))} is not on the suppression list of stack {stack.outputs.stack}.",
        "`suppressed list --removed --show-address` lists who is, and who was.",
    )


def _address(text: str) -> str:
    key = address_key(text)
    local, at, domain = key.rpartition("@")
    if not (local and at and domain) or any(character.isspace() for character in key):
        raise OpsError(f"ADDRESS {mask(text)!r} is no email address.", "Give it in full.", Exit.USAGE)
    return key


def _forget(ses: SESV2Client, address: str) -> bool:
    """Take `address` off SES's account-level list; whether it was there."""
    try:
        ses.delete_suppressed_destination(EmailAddress=address)
    except ClientError as error:
        if error.response["Error"]["Code"] != "NotFoundException":
            raise
        return False
    return True
