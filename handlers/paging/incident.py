"""Which notifications belong together: an incident is the time for which an alarm is not OK.

Its key is the alarm's name and the second in which the incident began, so that every message about it, and nobody
else's, carries the same one. Where the beginning cannot be found out, it is the date instead, and incidents of one day
share a thread.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from handlers.paging.notification import Notification, State

_SAME_CHANGE = timedelta(seconds=1)
"""A notification's time and the history's may differ by what one of them rounds off."""


@dataclass(frozen=True, slots=True)
class Transition:
    """A change of an alarm's state to `state`, out of the alarm's history."""

    at: datetime
    state: State


@dataclass(frozen=True, slots=True)
class Incident:
    """`began` is None where nobody knows."""

    key: str
    began: datetime | None


def begins(notification: Notification) -> bool:
    """Whether the notification itself says that its incident begins with it."""
    return notification.before == State.OK and notification.state is not State.OK


def incident(notification: Notification, history: Iterable[Transition] | None) -> Incident | None:
    """The incident that a notification is about; None for an OK that ends none, as a new alarm's first.

    Args:
        history: the alarm's transitions, newest first; None where they are not known. Not looked at where
            `begins(notification)`.
    """
    if begins(notification):
        return _known(notification, notification.at)
    if history is None:
        return Incident(f"{notification.name}/{notification.at:%Y-%m-%d}", None)
    began = None if notification.state is State.OK else notification.at
    for each in _before(notification, list(history)):
        if each.state is State.OK:
            break
        began = each.at
    return _known(notification, began) if began else None


def change_id(notification: Notification, of: Incident) -> str:
    """What names one change of one incident, in ASCII: the same for every copy of its notification."""
    name = f"{of.key}/{notification.state}/{notification.at:%Y-%m-%dT%H:%M:%SZ}"
    return name.encode("ascii", "backslashreplace").decode()


def _before(notification: Notification, history: list[Transition]) -> list[Transition]:
    """What the history has from before the change that a notification tells of. It may have that change, too, and what
    came after it, as notifications come late."""
    for number, each in enumerate(history):
        if each.state is notification.state and abs(each.at - notification.at) <= _SAME_CHANGE:
            return history[number + 1 :]
    return [each for each in history if each.at < notification.at]


def _known(notification: Notification, began: datetime) -> Incident:
    return Incident(f"{notification.name}/{began:%Y-%m-%dT%H:%M:%SZ}", began)
