"""A deployed stack on CloudWatch's clock: minutes in which orders are really sent, probes really run, and alarms told.

A minute of the clock lasts as long as what happens in it takes, and no longer: hours without events pass in seconds.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.message import EmailMessage
from random import Random
from types import MappingProxyType
from typing import Final

from handlers.telemetry.contract import AlarmCard
from local.aws import LocalAws
from local.config import Value
from local.deployer import Transform
from local.deployer.model import Json
from local.metrics import SteppedClock, queues
from local.orders import NO_MISHAP, dumps, good_order
from local.pager import addresses, mails, text_of
from local.schedules import run_now, schedules
from local.watcher import Step, Watcher
from observability.model import HOUR, MINUTE, State
from ops.errors import OpsError
from ops.publish import Line, Published, publish
from ops.stack import Outputs, Stack

OVERRIDES: Final[Mapping[str, Value]] = {"probeMinutes": 30}
"""As in production: a probe takes a second of this machine's time."""

SOON: Final[Mapping[str, int]] = {"PROBE_SECONDS": 20, "HELD_SECONDS": 5}
"""In place of a minute, which a probe that fails would really wait for its email, and of a minute and a half, which an
order that meets a closed gate would really stay away."""

MAIL_SERVERS_TAKE_MS: Final = (50, 150)
"""Least and most: whoever waits for feedback waits for it in each minute with orders."""

ORDERS, EVERY, LATER_EVERY = 2, 5, 30
"""Normal traffic: so many orders in every so many minutes; and where there are only hours to wait."""

LATER_LEAST: Final = 10 * MINUTE
"""Least seconds between a schedule's runs where there are only hours to wait: seldom enough for this machine, and often
enough for the alarm that misses the brake's."""

SETTLING: Final = 60.0
"""Seconds of this machine's time until what goes on in a minute is called stuck."""

POLL: Final = 0.05
QUIET: Final = 3
"""Times in a row that nothing has to be going on: between a receive and its invocation there is a moment, and as long
between a write to a table and what its stream starts."""


@dataclass(frozen=True, slots=True)
class Told:
    """A mail that people got.

    Attributes:
        opening: its first line, which says the state and since when.
        state: of the alarm, as the mail says it.
        alarm: without project and stack.
        severity: `page` or `ticket`.
    """

    at: int
    to: str
    subject: str
    opening: str
    state: State
    alarm: str
    severity: str


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of the story: `kind` is `event`, `alarm`, `mail`."""

    at: int
    kind: str
    text: str


class Drill:
    """Plays on a watched account, which it deploys to, with `overrides` of the stack's settings and `transform` of what
    is deployed. `say` is handed each line of the story as it happens.

    Raises:
        DeploymentError: the program cannot be deployed.
    """

    def __init__(
        self,
        aws: LocalAws,
        say: Callable[[Entry], None] = lambda _: None,
        overrides: Mapping[str, Value] = MappingProxyType({}),
        transform: Transform = lambda _type, _name, inputs: inputs,
    ) -> None:
        aws.deploy(
            {**OVERRIDES, **overrides},
            transform=lambda type_, name, inputs: transform(type_, name, _impatient(type_, name, inputs)),
        )
        aws.twin.configure(outcome_delay_ms=MAIL_SERVERS_TAKE_MS)
        self.aws = aws
        self.stack = Stack(Outputs.parse(aws.outputs))
        self.clock = SteppedClock(int(time.time()))
        self.watcher = Watcher(aws, self.clock, fixed=True)
        self.story: list[Entry] = []
        self.told: list[Told] = []
        self.published: list[Published] = []
        self._say = say
        self._began = self.clock.minute
        self._orders = Random(0)  # noqa: S311 - samples have to be repeatable, not secret
        self._schedules = schedules(aws)
        self._mapped = {each["UUID"]: each["EventSourceArn"].rsplit(":", 1)[-1] for each in _mappings(aws)}
        self._boxes = addresses(aws.client("sqs"))
        self.unattended: set[str] = set()
        """Names of queues that nobody takes from, and is not waited for."""

    @property
    def now(self) -> int:
        """The beginning of the minute that it is, by CloudWatch's clock."""
        return self.clock.minute

    @property
    def pages(self) -> list[Told]:
        return [mail for mail in self.told if mail.severity == "page"]

    def note(self, text: str, kind: str = "event", at: int | None = None) -> None:
        """Add a line to the story."""
        entry = Entry(self.now if at is None else at, kind, text)
        self.story.append(entry)
        self._say(entry)

    # What happens

    def open(self) -> None:
        """The first minute of the alarms. Each is OK for the first time, and those that tell people past `notify` say
        so by mail: it is no part of the story."""
        say, self._say = self._say, lambda _: None
        self.send(ORDERS)
        self.settle()  # functions start cold, which is no news of a probe
        self.minute()
        self._say = say
        self.story.clear()
        self.told.clear()

    def send(self, count: int, address: str = "") -> None:
        """Publish orders; `address` as in `local.orders.MISHAPS`, empty for the customers' own.

        Raises:
            OpsError: SNS did not take one.
        """
        first = len(self.published)
        orders = [good_order(self._orders, 0, first + n, (address, "") if address else NO_MISHAP) for n in range(count)]
        lines = [Line(first + n, dumps(order)) for n, (order, _) in enumerate(orders, start=1)]
        for outcome in publish(self.stack.sns, self.stack.outputs.order_topic_arn, lines):
            if not isinstance(outcome, Published):
                raise OpsError(f"An order was not published: {outcome.reason}.")
            self.published.append(outcome)

    def minute(self, *happenings: Callable[[], None], every: int = EVERY) -> Step:
        """A minute in which this happens, beside normal traffic every so many minutes and the probes that are due; then
        all alarms are judged, and people told."""
        elapsed = (self.now - self._began) // MINUTE
        busy = bool(happenings)
        for happen in happenings:
            happen()
        if elapsed % every == 0:
            self.send(ORDERS)
            busy = True
        for schedule in self._schedules:
            if elapsed * MINUTE % max(schedule.seconds, LATER_LEAST if every == LATER_EVERY else 0) == 0:
                run_now(self.aws, schedule, at=self.now)
                busy = True
        if busy:
            self.settle()
        at = self.clock.turn(time.time())
        step = self.watcher.step(at)
        self._tell(step)
        return step

    def until(self, done: Callable[[], bool], *happenings: Callable[[], None], within: int) -> bool:
        """Minutes in which this happens, until `done` or for `within` seconds of CloudWatch's clock. After an hour of
        them normal traffic gets thin: nothing is left but to wait. Says whether it is done."""
        start = self.now
        while not done() and self.now < start + within:
            self.minute(*happenings, every=EVERY if self.now < start + HOUR else LATER_EVERY)
        return done()

    def settle(self, *, all_back: bool = False) -> None:
        """Wait until nothing moves: SES has told all, and no function runs or has anything to take.

        Args:
            all_back: wait for what was received, too. What failed comes back when its visibility timeout ends.

        Raises:
            OpsError: something still moves after SETTLING seconds.
            TwinError: likewise, of SES.
        """
        deadline, quiet = time.monotonic() + SETTLING, 0
        while quiet < QUIET:
            self.aws.twin.settle(SETTLING)
            self.watcher.collector.look()
            quiet = 0 if self.watcher.collector.running or self._waiting(all_back) else quiet + 1
            if time.monotonic() > deadline:
                raise OpsError(f"After {SETTLING:g} s orders or pages are still on their way.", "See emulator.log.")
            time.sleep(POLL)

    def _waiting(self, all_back: bool) -> bool:
        held = queues(self.aws)
        enabled = {self._mapped[each["UUID"]] for each in _mappings(self.aws) if each["State"] == "Enabled"}
        attended = enabled - self.unattended
        return any(message["IsVisible"] or all_back for queue in attended for message in held[queue])

    # What is seen

    def _tell(self, step: Step) -> None:
        if step.told:
            self.settle()
        for change in step.changes:
            if State.ALARM in (change.before, change.after):
                self.note(f"{self._short(change.alarm)}: {change.before} -> {change.after}", "alarm", step.at)
        for notice in step.notices:
            if notice.withheld:
                self.note(f"{self._short(notice.alarm)}: nobody is told, {notice.withheld}", "alarm", step.at)
        if step.told:
            self.read_mail()

    def read_mail(self) -> None:
        """Note what people were mailed since the last time."""
        sqs = self.aws.client("sqs")
        for address in self._boxes:
            for mail in mails(sqs, address):
                found = self._as_told(mail, self.now)
                self.told.append(found)
                self.note(f"{found.opening}: {found.subject} (to {found.to})", "mail")

    def _as_told(self, mail: EmailMessage, at: int) -> Told:
        text = text_of(mail).replace("\r\n", "\n")
        opening, alarm, state, severity = _raw(text) if text.startswith("{") else _written(text)
        return Told(at, str(mail["To"]), str(mail["Subject"]), opening, state, self._short(alarm), severity)

    def _short(self, alarm: str) -> str:
        return alarm.split("-", 2)[-1]


def clock_time(at: int) -> str:
    return f"{datetime.fromtimestamp(at, UTC):%H:%M}"


def _written(text: str) -> tuple[str, str, State, str]:
    """Opening, alarm, state and severity of a mail that `notify` wrote."""
    opening = text.partition("\n")[0]
    alarm = re.search(r"^Alarm: (.+)$", text, re.MULTILINE)
    severity = re.search(r"^Severity +(\w+):", text, re.MULTILINE)
    state = {"ALARM": State.ALARM, "Over": State.OK}.get(opening.split(" ")[0], State.INSUFFICIENT_DATA)
    return opening, alarm.group(1) if alarm else "", state, severity.group(1) if severity else ""


def _raw(text: str) -> tuple[str, str, State, str]:
    """The same of CloudWatch's own message, which people get of the alarms that watch over `notify`."""
    message = json.loads(text)
    state = State(message["NewStateValue"])
    opening = f"{state} at {message['StateChangeTime'][11:16]} UTC"
    return opening, message["AlarmName"], state, AlarmCard.parse(message["AlarmDescription"]).severity


def _impatient(type_: str, _name: str, inputs: Json) -> Json:
    """What goes by this machine's clock gives up, or comes again, soon."""
    if type_ != "aws:lambda/function:Function":
        return inputs
    variables = (inputs.get("environment") or {}).get("variables", {})
    soon = {name: str(seconds) for name, seconds in SOON.items() if name in variables}
    return {**inputs, "environment": {"variables": {**variables, **soon}}} if soon else inputs


def _mappings(aws: LocalAws) -> list[Json]:
    """The event source mappings of queues. A stream's records are taken as soon as they are there."""
    listed: list[Json] = aws.client("lambda").list_event_source_mappings()["EventSourceMappings"]
    return [each for each in listed if each["EventSourceArn"].split(":")[2] == "sqs"]
