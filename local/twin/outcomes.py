"""What becomes of an accepted mail: one outcome per recipient, and the events that tell of it."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum, auto
from fnmatch import fnmatchcase
from typing import Final, TypeVar

from local.twin import events
from local.twin.events import Json, Sent
from local.twin.mail import bare, new_id, simulated
from local.twin.options import Options, Outcome
from local.twin.request import RenderingFailure

Key = TypeVar("Key")

_EICAR: Final = rb"X5O!P%@AP[4\PZX54(P^)7CC)7}" + b"$EICAR-STANDARD-ANTIVIRUS-TEST-FILE!"
_EICAR_BASE64: Final = b"WDVPIVAlQEFQWzRcUFpYNTQoUF4pN0NDKTd9JEVJQ0FS"
"""The antivirus test file, plain and as the start of a base64 attachment: the one virus that a test may carry. Written
in two parts so that no scanner takes this file for it."""


class Held(Enum):
    """Outcomes that cannot be asked for: they follow from the account's suppression list."""

    LISTED_FOR_BOUNCE = auto()
    LISTED_FOR_COMPLAINT = auto()


SIMULATOR: Final[Mapping[str, Outcome]] = {
    "success": Outcome.DELIVERY,
    "bounce": Outcome.BOUNCE,
    "complaint": Outcome.COMPLAINT,
    "suppressionlist": Outcome.BOUNCE,
    "ooto": Outcome.AUTO_REPLY,
}
"""Mailboxes of the simulator. One that is not listed bounces as an ordinary address would, suppression and all."""

LISTED: Final = {"BOUNCE": Held.LISTED_FOR_BOUNCE, "COMPLAINT": Held.LISTED_FOR_COMPLAINT}

LISTING_REASON: Final[Mapping[Outcome | Held, str]] = {Outcome.BOUNCE: "BOUNCE", Outcome.COMPLAINT: "COMPLAINT"}
"""Outcomes after which SES puts the address on the account's suppression list, and the reason it notes there."""


@dataclass(frozen=True, slots=True)
class Planned:
    """An event due `after` the Send, of an SES event type (`DELIVERY`, as event destinations name it)."""

    after: timedelta
    type: str
    event: Json


Step = tuple[str, Callable[[Sent, Sequence[str], datetime], Json]]


def decide(address: str, options: Options, listed_for: str | None) -> Outcome | Held:
    """The outcome at one recipient: the account's suppression list first (`listed_for`: the reason in force, or None),
    then the mailbox simulator, then the options' patterns, then their shares; delivery where none of them speaks."""
    plain = bare(address).lower()
    if listed_for is not None:
        return LISTED[listed_for]
    if (mailbox := simulated(plain)) is not None:
        return SIMULATOR.get(mailbox, Outcome.BOUNCE)
    if (named := first_match(options.outcomes, plain)) is not None:
        return named
    return choose(options.outcome_shares, fraction(options.seed, "outcome", plain)) or Outcome.DELIVERY


def plan(
    sent: Sent,
    outcomes: Mapping[str, Outcome | Held],
    delay: timedelta,
    failure: RenderingFailure | None = None,
) -> list[Planned]:
    """Every event of an accepted mail, in SES's order, `delay` apart (and at least 1 ms, as they never coincide).

    Recipients that meet the same outcome share its events.
    """
    met = set(outcomes.values())
    pause = delay + timedelta(milliseconds=1)
    if failure or Outcome.RENDERING_FAILURE in met:
        told = failure or _ASKED_FOR
        return [Planned(pause, "RENDERING_FAILURE", events.rendering_failure(sent, told.template, told.message))]
    planned = [Planned(timedelta(), "SEND", events.send(sent))]
    if Outcome.REJECT in met:
        return [*planned, Planned(pause, "REJECT", events.reject(sent))]
    for outcome in dict.fromkeys(outcomes.values()):
        recipients = [address for address, its in outcomes.items() if its is outcome]
        for number, (kind, build) in enumerate(_SCRIPT[outcome], start=1):
            after = number * pause
            planned.append(Planned(after, kind, build(sent, recipients, sent.mail.sent_at + after)))
    return planned


def infected(raw: bytes) -> bool:
    """Whether the mail carries the antivirus test file, in plain text or as a base64 attachment."""
    return _EICAR in raw or _EICAR_BASE64 in raw


def first_match(table: Mapping[str, Key], address: str) -> Key | None:
    """The entry of the first pattern that matches `address`, whatever the case; None if none does."""
    return next((entry for pattern, entry in table.items() if fnmatchcase(address.lower(), pattern.lower())), None)


def fraction(seed: int, *what: object) -> float:
    """A number in [0, 1) that depends on nothing but its arguments."""
    digest = hashlib.blake2b(repr((seed, *what)).encode(), digest_size=7).digest()
    return int.from_bytes(digest) / 256**7


def choose(shares: Mapping[Key, float], at: float) -> Key | None:
    """The key whose share covers `at`, the shares laid end to end from 0; None beyond the last."""
    for key, share in shares.items():
        at -= share
        if at < 0:
            return key
    return None


def _bounced(kind: events.BounceKind) -> Step:
    def build(sent: Sent, recipients: Sequence[str], at: datetime) -> Json:
        return events.bounce(kind, sent, recipients, at, new_id(sent.region, at, uuid.uuid4()))

    return "BOUNCE", build


def _complained(event: Callable[[Sent, Sequence[str], datetime, str], Json]) -> Step:
    def build(sent: Sent, recipients: Sequence[str], at: datetime) -> Json:
        return event(sent, recipients, at, new_id(sent.region, at, uuid.uuid4()))

    return "COMPLAINT", build


_ASKED_FOR: Final = RenderingFailure("Template", "Attribute 'name' is not present in the rendering data.")

_DELIVERED: Final[Step] = ("DELIVERY", events.delivery)
_DELAYED: Final[Step] = ("DELIVERY_DELAY", events.delivery_delay)

_SCRIPT: Final[Mapping[Outcome | Held, tuple[Step, ...]]] = {
    Outcome.DELIVERY: (_DELIVERED,),
    Outcome.BOUNCE: (_bounced(events.HARD),),
    Outcome.SOFT_BOUNCE: (_bounced(events.MAILBOX_FULL),),
    Outcome.COMPLAINT: (_DELIVERED, _complained(events.complaint)),
    Outcome.AUTO_REPLY: (_DELIVERED, _bounced(events.AUTO_REPLY)),
    Outcome.SUPPRESSED: (_bounced(events.GLOBAL_LIST),),
    Outcome.DELAY: (_DELAYED, _DELIVERED),
    Outcome.DELAY_BOUNCE: (_DELAYED, _bounced(events.EXPIRED)),
    Outcome.SILENT: (),
    Held.LISTED_FOR_BOUNCE: (_bounced(events.ACCOUNT_LIST),),
    Held.LISTED_FOR_COMPLAINT: (_complained(events.complaint_on_account_list),),
}
