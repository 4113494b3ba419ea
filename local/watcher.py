"""CloudWatch's alarms in the local run: judged as the deployed alarms say, told as CloudWatch tells.

The metrics are those that `metrics.py` collects, the evaluation is `observability`'s, and nothing of the emulator's own
has a part in it. What it does is what can be seen on AWS: states and their history in DescribeAlarms and
DescribeAlarmHistory, and notifications on the topics that the alarms name.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final, Self

from botocore.exceptions import BotoCoreError, ClientError

from local.alarms import alarms_of, notification, subject
from local.aws import LocalAws
from local.deployer.model import Json
from local.kept_alarms import CHANGED_AT
from local.metrics import Clock, Collector, RealClock
from local.schedules import run_now, schedules
from local.twin.access import refused
from observability.errors import ToolkitError
from observability.evaluation import Change, evaluate
from observability.model import MINUTE, Alarm, MetricAlarm, State, read_alarms
from observability.simulation import AlarmSet, Notice
from ops import show

CLOUDWATCH: Final = "cloudwatch.amazonaws.com"

MOST_REASON: Final = 1023
"""Characters (SetAlarmState, `StateReason`)."""

LAG: Final = 2.0
"""Seconds after the full minute at which a kept stack's alarms are judged: what happened in it is then written."""


@dataclass(frozen=True, slots=True)
class Step:
    """What a minute brought, oldest first. A notice that is withheld says why nobody was told."""

    at: int
    changes: tuple[Change, ...]
    notices: tuple[Notice, ...]

    @property
    def told(self) -> tuple[Notice, ...]:
        return tuple(notice for notice in self.notices if not notice.withheld)


class Watcher:
    """Judges a watched account's alarms, minute by minute.

    It goes by the alarms as they are deployed at each minute, and takes it for a change of state if somebody has set
    one by hand; `fixed` says that nobody will do either, so that it looks only once.
    """

    def __init__(self, aws: LocalAws, clock: Clock, *, fixed: bool = False) -> None:
        self.collector = Collector(aws, clock)
        self._aws = aws
        self._fixed = fixed
        self._cloudwatch = aws.client("cloudwatch")
        self._documents: dict[str, Json] = {}
        self._alarms: dict[str, Alarm] = {}
        self._set = AlarmSet([])

    @property
    def states(self) -> Mapping[str, State]:
        """The state of each alarm, by name."""
        return self._set.states

    def step(self, at: int) -> Step:
        """Judge at `at`, a full minute of CloudWatch's clock (epoch seconds), and tell whoever is to be told.

        Raises:
            ClientError, BotoCoreError: the emulator failed.
            ToolkitError: an alarm cannot be evaluated here.
        """
        self.collector.collect(at)
        by_hand = [] if self._fixed and self._documents else self._look(at)
        changed, notices = self._set.step(at, [*by_hand, *self._judged(at, {change.alarm for change in by_hand})])
        for change in changed:
            if change not in by_hand:
                self._remember(change)
        return Step(at, tuple(changed), tuple(self._tell(notice) for notice in notices))

    def _look(self, at: int) -> list[Change]:
        """Take the alarms as they are deployed now; the changes of metric alarms that somebody has made by hand."""
        described = alarms_of(self._cloudwatch)
        states = {each["AlarmName"]: State(each["StateValue"]) for each in described}
        documents = {each["AlarmName"]: _definition(each) for each in described}
        if documents != self._documents:
            alarms = read_alarms([*documents.values()])
            self._set = AlarmSet(alarms, initial={**states, **self._set.states})
            self._alarms = {alarm.name: alarm for alarm in alarms}
            self._documents = documents
        return [
            Change(name, at, self.states[name], states[name], reason=each["StateReason"])
            for each in described
            if states[name := each["AlarmName"]] is not self.states[name] and "AlarmRule" not in each
        ]

    def _judged(self, at: int, beside: set[str]) -> Iterable[Change]:
        for name, alarm in self._alarms.items():
            if isinstance(alarm, MetricAlarm) and name not in beside:
                before = self.states[name]
                found = evaluate(alarm, self.collector.store, at, before)
                if found.state is not before:
                    yield Change(name, at, before, found.state, found.reason, found.readings, found.reason_data)

    def _remember(self, change: Change) -> None:
        """Make the change the alarm's state, and part of its history."""

        def date(params: Json, **_: Any) -> None:
            params["headers"][CHANGED_AT] = str(change.at)

        events, call = self._cloudwatch.meta.events, "before-call.cloudwatch.SetAlarmState"
        events.register(call, date)
        try:
            self._cloudwatch.set_alarm_state(
                AlarmName=change.alarm, StateValue=change.after.value, StateReason=change.reason[:MOST_REASON]
            )
        finally:
            events.unregister(call, date)

    def _tell(self, notice: Notice) -> Notice:
        """Run the actions of a notice that is not withheld. Of actions CloudWatch has many kinds, and here is one."""
        if notice.withheld or notice.change is None:
            return notice
        document = self._documents[notice.alarm]
        message = notification(
            document,
            notice.state.value,
            _moment(notice.change.at),
            before=notice.change.before.value,
            reason=notice.reason,
            children=list(self._children(notice.change)),
        )
        barred = {action: self._barred(action, document["AlarmArn"]) for action in notice.actions}
        for action in [action for action, why in barred.items() if not why]:
            self._aws.client("sns").publish(
                TopicArn=action, Subject=subject(document, notice.state.value), Message=message
            )
        return replace(notice, withheld="; ".join(filter(None, barred.values())))

    def _children(self, change: Change) -> Iterable[tuple[Json, str, datetime]]:
        """The alarms that made a composite change, as its reason names them."""
        for each in (change.reason_data or {}).get("triggeringAlarms", ()):
            found = next((one for one in self._documents.values() if one["AlarmArn"] == each["arn"]), None)
            if found:
                yield found, each["state"]["value"], datetime.fromisoformat(each["state"]["timestamp"])

    def _barred(self, action: str, alarm_arn: str) -> str:
        """Why CloudWatch could not publish there; "" if it can."""
        if not action.startswith("arn:aws:sns:"):
            return f"{action} is no topic: other actions are not run here"
        attributes = self._aws.client("sns").get_topic_attributes(TopicArn=action)["Attributes"]
        _, _, _, region, account, _ = alarm_arn.split(":", 5)
        return refused(attributes["Policy"], "sns:Publish", action, alarm_arn, account, region, CLOUDWATCH) or ""


class Watch:
    """A watcher that goes by the real clock, in a thread of its own, from `__enter__` to `__exit__`."""

    def __init__(self, aws: LocalAws) -> None:
        self._aws = aws
        self._watcher = Watcher(aws, RealClock())
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="cloudwatch", daemon=True)

    def __enter__(self) -> Self:
        # As in an account that is in use: alarms that take silence for failure would go off otherwise.
        for schedule in schedules(self._aws):
            run_now(self._aws, schedule, at=time.time(), wait=False)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        at = int(time.time()) // MINUTE * MINUTE + MINUTE
        while not self._ended.wait(at + LAG - time.time()):
            try:
                for line in told(self._watcher.step(at)):
                    show.out().print(line, markup=False)
            except (ClientError, BotoCoreError, ToolkitError, OSError) as error:
                if not self._ended.is_set():
                    show.err().print(f"alarms were not judged at {_moment(at):%H:%M}: {error}", markup=False)
            at = following(at, time.time())


def following(at: int, now: float) -> int:
    """The minute that is judged after `at`: the next, or, on a machine that slept or was slow, the one that it is."""
    return max(at + MINUTE, int(now - LAG) // MINUTE * MINUTE)


def told(step: Step) -> list[str]:
    """A step in lines for people: whoever was told, and of those that were not, why not."""
    return [
        f"{_moment(step.at):%H:%M} {notice.alarm} is {notice.state}"
        + (f" (nobody is told: {notice.withheld})" if notice.withheld else "")
        for notice in step.notices
        if notice.change and State.ALARM in (notice.state, notice.change.before)
    ]


_STATE: Final = ("StateValue", "StateReason", "StateReasonData", "StateUpdatedTimestamp", "StateTransitionedTimestamp")


def _definition(described: Json) -> Json:
    """An alarm without its state."""
    return {key: value for key, value in described.items() if key not in _STATE}


def _moment(at: int) -> datetime:
    return datetime.fromtimestamp(at, UTC)
