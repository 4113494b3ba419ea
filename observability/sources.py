"""Where alarms, mute rules and dashboards come from: a program, files, or (`account`) an account."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

import yaml

from observability import registered
from observability.errors import ToolkitError
from observability.model import Alarm, Dashboard, MuteRule, read_composite_alarm, read_metric_alarm, read_mute_rule
from observability.program.resources import Recording, Resource

Json = Mapping[str, Any]
Read = TypeVar("Read")

_BEYOND: Final[Mapping[str, str]] = {
    "ThresholdMetricId": "it compares with a band of anomaly detection",
    "EvaluationCriteria": "its condition is in PromQL",
    "evaluationCriteria": "its condition is in PromQL",
    "evaluationWindow": "it looks at windows by the wall clock",
    "EvaluationWindow": "it looks at windows by the wall clock",
    "warmUpConfiguration": "it warms up",
    "WarmUpConfiguration": "it warms up",
    "thresholdMetricId": "it compares with a band of anomaly detection",
}
"""What makes an alarm one that is not evaluated here, by the property that says so."""


@dataclass(frozen=True, slots=True)
class Unread:
    """An alarm, rule or dashboard that was left out, and why.

    Attributes:
        fault: whether CloudWatch would refuse it, too; else it is only beyond what is evaluated here.
    """

    what: str
    problem: str
    remedy: str = ""
    fault: bool = True


@dataclass(frozen=True, slots=True)
class Estate:
    """Alarms, mute rules and dashboards of one program, one account, or some files; each sorted by name.

    Attributes:
        unread: what could not be used.
        sources: where each alarm and dashboard is declared, such as `__main__.py:14`, by its name.
    """

    alarms: tuple[Alarm, ...] = ()
    mutes: tuple[MuteRule, ...] = ()
    dashboards: tuple[Dashboard, ...] = ()
    unread: tuple[Unread, ...] = ()
    sources: Mapping[str, str] | None = None

    def source(self, name: str) -> str:
        """Where an alarm or a dashboard is declared; "" where that is not known."""
        return (self.sources or {}).get(name, "")

    def named(self, names: Iterable[str]) -> tuple[Alarm, ...]:
        """Some of the alarms.

        Raises:
            ToolkitError: there is none of a name, or it could not be read.
        """
        there = {alarm.name: alarm for alarm in self.alarms}
        problems = {each.what.partition(" ")[2]: each for each in self.unread}
        for name in (names := tuple(names)):
            if name in problems:
                raise ToolkitError(problems[name].problem, problems[name].remedy)
            if name not in there:
                raise ToolkitError(f"there is no alarm {name!r}", f"There are: {', '.join(sorted(there)) or 'none'}.")
        return tuple(there[name] for name in names)


def estate_of(recording: Recording) -> Estate:
    """What a program registers."""
    reader = _Reader()
    made: list[tuple[str, str]] = []
    for resource in recording.resources:
        if resource.external or resource.type not in _READERS:
            continue
        name = physical_name(resource)
        made.append((name, resource.source))
        reader.registered(resource, name)
    return reader.estate(dict(made))


def estate_of_documents(documents: Iterable[Any]) -> Estate:
    """What is in documents: alarms as PutMetricAlarm, PutCompositeAlarm and DescribeAlarms have them, mute rules as
    PutAlarmMuteRule has them, dashboards as GetDashboard answers them, a whole recording, or lists of these.

    Raises:
        ToolkitError: a document is none of these.
    """
    reader = _Reader()
    for document in documents:
        reader.document(document)
    return reader.estate()


def estate_from_files(paths: Sequence[Path]) -> Estate:
    """What is in files of JSON or YAML (`estate_of_documents`).

    Raises:
        ToolkitError: a file cannot be read, or is none of these.
    """
    reader = _Reader()
    for path in paths:
        document = load(path)
        try:
            reader.document(document)
        except ToolkitError as error:
            raise ToolkitError(f"{path}: {error}", error.remedy) from error
    return reader.estate()


def load(path: Path) -> Any:
    """The content of a JSON or YAML file.

    Raises:
        ToolkitError: it is not there, or neither.
    """
    try:
        text = path.read_text(encoding="utf-8")
        return json.loads(text) if path.suffix == ".json" else yaml.safe_load(text)
    except OSError as error:
        raise ToolkitError(f"{path}: cannot be read: {error.strerror}") from error
    except (ValueError, yaml.YAMLError) as error:
        raise ToolkitError(f"{path}: is not {'JSON' if path.suffix == '.json' else 'YAML'}: {error}") from error


def physical_name(resource: Resource) -> str:
    """The name of a registered alarm, rule or dashboard in CloudWatch."""
    key = _READERS[resource.type][0] if resource.type in _READERS else "name"
    return str(resource.inputs.get(key) or resource.outputs.get(key) or resource.name)


class _Reader:
    """Gathers what can be used, and what cannot with the reason."""

    def __init__(self) -> None:
        self.alarms: dict[str, Alarm] = {}
        self.mutes: dict[str, MuteRule] = {}
        self.dashboards: dict[str, Dashboard] = {}
        self.unread: list[Unread] = []

    def estate(self, sources: Mapping[str, str] | None = None) -> Estate:
        def listed(named: Mapping[str, Read]) -> tuple[Read, ...]:
            return tuple(named[name] for name in sorted(named))

        unread = tuple(sorted(self.unread, key=lambda each: each.what))
        return Estate(listed(self.alarms), listed(self.mutes), listed(self.dashboards), unread, sources)

    def registered(self, resource: Resource, name: str) -> None:
        _, shape = _READERS[resource.type]
        if reason := next((_BEYOND[key] for key in _BEYOND if resource.inputs.get(key)), ""):
            self.unread.append(
                Unread(f"alarm {name}", f"alarm {name}: {reason}; that is not evaluated here", fault=False)
            )
            return
        try:
            document = shape(resource.inputs, name)
        except ToolkitError as error:
            what = f"{_kind(resource)} {name}"
            self.unread.append(Unread(what, f"{what}: {error}", error.remedy))
        else:
            self.document(document)

    def document(self, document: Any) -> None:
        """Raises ToolkitError: it is nothing that is known."""
        match document:
            case {"format": _, "resources": _}:
                estate = estate_of(Recording.read(document))
                self.alarms |= {each.name: each for each in estate.alarms}
                self.mutes |= {each.name: each for each in estate.mutes}
                self.dashboards |= {each.name: each for each in estate.dashboards}
                self.unread += estate.unread
            case {"AlarmName": name}:
                self._alarm(document, str(name))
            case {"Name": name, "Rule": _}:
                self._keep(f"mute rule {name}", lambda: self.mutes.update({name: read_mute_rule(document)}))
            case {"DashboardName": name, "DashboardBody": body}:
                self._dashboard(str(name), body)
            case {"MetricAlarms": _} | {"CompositeAlarms": _}:
                for entry in [*(document.get("MetricAlarms") or ()), *(document.get("CompositeAlarms") or ())]:
                    self.document(entry)
            case list():
                for entry in document:
                    self.document(entry)
            case _:
                raise ToolkitError(
                    "no alarms found: expected AlarmName, a list of alarms, or MetricAlarms and CompositeAlarms",
                    "Hand over what `aws cloudwatch describe-alarms` prints, or the arguments of PutMetricAlarm.",
                )

    def _alarm(self, document: Json, name: str) -> None:
        if reason := next((_BEYOND[key] for key in _BEYOND if document.get(key)), ""):
            self.unread.append(
                Unread(f"alarm {name}", f"alarm {name}: {reason}; that is not evaluated here", fault=False)
            )
            return
        if name in self.alarms:
            self.unread.append(Unread(f"alarm {name}", f"alarm {name}: there are two of that name"))
            return
        read: Callable[[Json], Alarm] = read_composite_alarm if "AlarmRule" in document else read_metric_alarm
        self._keep(f"alarm {name}", lambda: self.alarms.update({name: read(document)}))

    def _dashboard(self, name: str, body: Any) -> None:
        def keep() -> None:
            self.dashboards[name] = Dashboard(name, registered.dashboard_body({"dashboardBody": body}))

        self._keep(f"dashboard {name}", keep)

    def _keep(self, what: str, keep: Callable[[], None]) -> None:
        try:
            keep()
        except ToolkitError as error:
            problem = str(error) if str(error).startswith(what) else f"{what}: {error}"
            self.unread.append(Unread(what, problem, error.remedy))


def _dashboard(inputs: dict[str, Any], name: str) -> Json:
    return {"DashboardName": name, "DashboardBody": inputs.get("dashboardBody")}


def _kind(resource: Resource) -> str:
    return {registered.DASHBOARD_TYPE: "dashboard", registered.MUTE_RULE_TYPE: "mute rule"}.get(resource.type, "alarm")


_READERS: Final[Mapping[str, tuple[str, Callable[[dict[str, Any], str], Json]]]] = {
    registered.METRIC_ALARM_TYPE: ("name", registered.metric_alarm),
    registered.COMPOSITE_ALARM_TYPE: ("alarmName", registered.composite_alarm),
    registered.MUTE_RULE_TYPE: ("name", registered.mute_rule),
    registered.DASHBOARD_TYPE: ("dashboardName", _dashboard),
}
"""Resource types: the property that is the name, and how it is shaped."""
