"""What people and programs are told about an alarm: an email, a chat message, a webhook's JSON.

Written for somebody who has just been woken up and has never seen the system: what, since when, how bad, what to do.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from handlers.paging.incident import Incident
from handlers.paging.links import alarm_link, logs_link, traces_link
from handlers.paging.notification import Child, Measure, Notification, State
from handlers.paging.orders import MOST_ORDERS, Found, clues, insights_query, window

WEBHOOK_VERSION = 1
"""Of a webhook's JSON. Fields may be added to it; none goes or changes its meaning without a new version."""

SEVERITIES: Mapping[str, str] = {
    "page": "somebody has to act now",
    "ticket": "it can wait for the morning",
}
UNRATED = "page"
"""The severity of an alarm that names none: too loud rather than unheard."""

_SIGNS: Mapping[str, str] = {
    "GreaterThanThreshold": ">",
    "GreaterThanOrEqualToThreshold": "≥",
    "LessThanThreshold": "<",
    "LessThanOrEqualToThreshold": "≤",
}
_HEADLINES: Mapping[State, str] = {
    State.ALARM: "{}",
    State.OK: "It was: {}",
    State.INSUFFICIENT_DATA: "Without data nobody can tell whether this is so: {}",
}
_MARKS: Mapping[State, str] = {State.ALARM: "\U0001f534", State.OK: "\U0001f7e2", State.INSUFFICIENT_DATA: "⚪"}
_MOST_SUBJECT = 100  # SNS Publish, `Subject`: ASCII, up to 100 characters
_MOST_TITLE = 250


@dataclass(frozen=True, slots=True)
class Link:
    """`kind` is its key in a webhook's JSON."""

    kind: str
    label: str
    url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """All that there is to tell about one change of an alarm.

    Attributes:
        severity: `page` or `ticket`.
        state: in words, with the time.
        measured: how bad, against the limit; "" where there is no number.
        orders: ids of affected orders, MOST_ORDERS at most; `more` says that there are others.
        reasons: what a guard says of it, lane by lane.
    """

    notification: Notification
    incident: Incident
    stack: str
    severity: str
    state: str
    measured: str
    orders: tuple[str, ...]
    more: bool
    reasons: tuple[str, ...]
    links: tuple[Link, ...]

    @property
    def summary(self) -> str:
        """What is wrong, in one line."""
        return self.notification.card.summary or self.notification.name

    @property
    def subject(self) -> str:
        """The email's: the same for the whole incident, or mail clients would not keep it together. So it does not say
        the state, and its time is the incident's, to the second: the next incident has another one."""
        began = self.incident.began
        when = f"{began:%Y-%m-%d %H:%M:%S} UTC" if began else f"{self.notification.at:%Y-%m-%d}"
        lead, tail = f"[{self.severity}] {_plain(self.stack)}: ", f", {when}"
        room = _MOST_SUBJECT - len(lead) - len(tail)
        # What is wrong comes before the colon, what follows from it after.
        summary = next(
            (part for part in (_plain(self.summary), _plain(self.summary).partition(":")[0]) if len(part) <= room),
            f"{_plain(self.summary)[: room - 3].rstrip()}...",
        )
        return lead + summary + tail


def severity(notification: Notification) -> str:
    """Who is to be told."""
    return notification.card.severity if notification.card.severity in SEVERITIES else UNRATED


def write_page(
    notification: Notification,
    incident: Incident,
    *,
    stack: str,
    log_groups: Sequence[str],
    found: Found,
    now: datetime,
) -> Page:
    """`found` is what the logs say; `log_groups` are where the log link looks."""
    span = window(notification, incident.began, now)
    where = (notification.region, notification.partition)
    query = insights_query(clues(notification))
    runbook = notification.card.runbook
    return Page(
        notification=notification,
        incident=incident,
        stack=stack,
        severity=severity(notification),
        state=in_words(notification, incident, now),
        measured=measured(notification),
        orders=found.orders[:MOST_ORDERS],
        more=len(found.orders) > MOST_ORDERS,
        reasons=found.reasons,
        links=(
            *([Link("runbook", "What to do", runbook)] if runbook else []),
            Link("alarm", "Graph", alarm_link(*where, notification.name)),
            *([Link("logs", "Logs", logs_link(*where, log_groups, query, span))] if log_groups else []),
            Link("traces", "Traces", traces_link(*where, stack, span)),
        ),
    )


def in_words(notification: Notification, incident: Incident, now: datetime) -> str:
    """The state and its time: `ALARM since 14:02 UTC (12 min)`, `over after 23 min (14:02 to 14:25 UTC)`."""
    at, began = notification.at, incident.began
    if notification.state is State.OK:
        if not began:
            return f"over since {_clock(at)}; when it began is not known"
        return f"over after {_duration(at - began)} ({_clock(began, at).removesuffix(' UTC')} to {_clock(at)})"
    name = "ALARM" if notification.state is State.ALARM else "NO DATA"
    if not began:
        return f"{name} since {_clock(at)} or earlier"
    if began < at and notification.state is State.INSUFFICIENT_DATA:
        return f"NO DATA since {_clock(at)}; not OK since {_clock(began, at)}"
    since = now - began
    lasted = f" ({_duration(since)})" if since >= timedelta(minutes=1) else ""
    return f"{name} since {_clock(began, now)}{lasted}"


def measured(notification: Notification) -> str:
    """The value against the limit: `bounce rate: 3.2 % > 2 % in 3 of 3 periods of 5 min`."""
    limit, sign = notification.threshold, _SIGNS.get(notification.comparison, "")
    if limit is None or not sign:
        return ""
    what = f"{notification.label}: " if notification.label else ""
    bound = quantity(limit, notification.measure)
    m, n = notification.periods
    held = f"{m} of {n} periods" if n > 1 else "one period"
    rule = f"{held} of {_duration(timedelta(seconds=notification.period))}"
    if notification.value is None:
        counts = ", which counts as bad" if notification.state is State.ALARM else ""
        return f"{what}no data{counts}; the limit is {sign} {bound} in {rule}"
    value = quantity(notification.value, notification.measure)
    if notification.state is State.ALARM:
        return f"{what}{value} {sign} {bound} in {rule}"
    return f"{what}{value} now; the limit is {sign} {bound} in {rule}"


def quantity(value: float, measure: Measure) -> str:
    """A value for people: `3.2 %`, `45 s`, `12 min`, `1,234`."""
    match measure:
        case Measure.PERCENT:
            return f"{_number(value)} %"
        case Measure.FRACTION:
            return f"{_number(value * 100)} %"
        case Measure.MILLISECONDS if abs(value) < 1000:
            return f"{_number(value)} ms"
        case Measure.MILLISECONDS:
            return _seconds(value / 1000)
        case Measure.SECONDS:
            return _seconds(value)
    return _number(value)


def email(page: Page) -> str:
    """The plain text, as SNS mails it; lines are left long, so that links stay whole."""
    notification = page.notification
    facts = {
        "How bad": page.measured,
        "Why": "\n".join(page.reasons),
        "Because of": "\n".join(map(_child, notification.children)),
        "Severity": f"{page.severity}: {_urgency(page)}",
        "Orders": _orders(page),
        "Stack": ", ".join([page.stack, notification.region, f"account {notification.account}"]),
    }
    background = {
        "Limit": notification.card.because,
        "Missing data": notification.card.missing,
        "CloudWatch says": notification.reason,
        "Alarm": notification.name,
        "Incident": page.incident.key,
    }
    return "\n".join(
        [
            _capital(page.state),  # first, as the subject does not have it
            _HEADLINES[notification.state].format(page.summary),
            "",
            *_table(facts),
            "",
            *(line for link in page.links for line in (f"{link.label}:", f"  {link.url}")),
            "",
            *(f"{label}: {text}" for label, text in background.items() if text),
            "",
        ]
    )


def chat(page: Page, platform: str) -> dict[str, Any]:
    """A custom notification of Amazon Q Developer in chat applications, for `slack` or `teams`.

    Source: its administrator guide, "Custom notifications" (event schema). `threadId` keeps an incident in one thread,
    where the channel's preferences allow threads.
    """
    notification = page.notification
    orders = f"Orders: {_orders(page)}" if page.orders else ""
    lines = [_capital(page.state), page.measured, *page.reasons, *map(_child, notification.children), orders]
    title = f"{_MARKS[notification.state]} {page.stack}: {page.summary}"
    return {
        "version": "1.0",
        "source": "custom",
        "content": {
            "textType": "client-markdown",
            "title": title[:_MOST_TITLE],
            "description": "\n".join(filter(None, lines)),
            "nextSteps": [_chat_link(link, platform) for link in page.links],
            "keywords": [page.severity, page.stack, notification.state.value],
        },
        "metadata": {
            "threadId": page.incident.key,
            "summary": page.subject,
            "eventType": "alarm",
            "relatedResources": [notification.arn or notification.name],
            "additionalContext": {"severity": page.severity, "stack": page.stack, "state": notification.state.value},
        },
    }


def webhook(page: Page) -> dict[str, Any]:
    """The JSON that receivers are sent, as docs/paging.md promises it, field by field. Times are ISO 8601 in UTC."""
    notification = page.notification
    return {
        "version": WEBHOOK_VERSION,
        "incident": page.incident.key,
        "state": notification.state.value,
        "previousState": notification.before,
        "began": _iso(page.incident.began),
        "at": _iso(notification.at),
        "severity": page.severity,
        "alarm": notification.name,
        "stack": page.stack,
        "region": notification.region,
        "account": notification.account,
        "summary": page.summary,
        "status": page.state,
        "measured": page.measured,
        "children": [
            {"alarm": child.name, "state": child.state, "at": _iso(child.at)} for child in notification.children
        ],
        "reasons": list(page.reasons),
        "orders": list(page.orders),
        "moreOrders": page.more,
        "links": {link.kind: link.url for link in page.links},
        "reason": notification.reason,
        "text": email(page),
    }


def _chat_link(link: Link, platform: str) -> str:
    # Slack takes what is between the angle brackets for an address as it is; Markdown does within its own.
    return f"<{link.url}|{link.label}>" if platform == "slack" else f"[{link.label}](<{link.url}>)"


def _orders(page: Page) -> str:
    return ", ".join(page.orders) + (" and more" if page.more else "")


def _child(child: Child) -> str:
    return f"{child.name} ({child.state}{f' since {_clock(child.at)}' if child.at else ''})"


def _urgency(page: Page) -> str:
    # An alarm on a count is over when nothing is added to it; what it counted is still there.
    over = "it is over; the runbook says what may be left to do"
    return over if page.notification.state is State.OK else SEVERITIES[page.severity]


def _table(rows: Mapping[str, str]) -> list[str]:
    """Two columns; a text may have several lines."""
    width = max(map(len, rows)) + 2
    return [f"{label:<{width}}{text.replace(chr(10), chr(10) + ' ' * width)}" for label, text in rows.items() if text]


def _plain(text: str) -> str:
    """Printable ASCII, which is what SNS takes as a subject."""
    return "".join(letter if letter.isascii() and letter.isprintable() else "?" for letter in text)


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _number(value: float) -> str:
    """Three significant digits below 1,000: more only look exact."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def _seconds(value: float) -> str:
    if abs(value) < 120:
        return f"{_number(value)} s"
    return _duration(timedelta(seconds=value)) if value > 0 else f"{_number(value)} s"


def _duration(span: timedelta) -> str:
    """Two units at most: `45 s`, `12 min`, `3 h 5 min`, `2 d 4 h`."""
    seconds = max(round(span.total_seconds()), 0)
    minutes, hours, days = seconds // 60, seconds // 3600, seconds // 86_400
    if seconds < 60:
        return f"{seconds} s"
    if hours < 1:
        return f"{minutes} min"
    if days < 1:
        return f"{hours} h {minutes % 60} min" if minutes % 60 else f"{hours} h"
    return f"{days} d {hours % 24} h" if hours % 24 else f"{days} d"


def _clock(time: datetime, beside: datetime | None = None) -> str:
    """The time of day; with the date, where `beside` is on another day."""
    return f"{time:%H:%M} UTC" if beside is None or time.date() == beside.date() else f"{time:%Y-%m-%d %H:%M} UTC"


def _iso(time: datetime | None) -> str | None:
    return f"{time:%Y-%m-%dT%H:%M:%S}Z" if time else None
