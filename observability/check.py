"""Would anybody ever hear of it? What alarms and dashboards look at, held against what is emitted.

A metric is its namespace, its name and exactly its dimensions. An alarm on another one has no points, ever, and nothing
in CloudWatch says so: it stays in INSUFFICIENT_DATA, or in OK where missing data counts as good.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any, Final

from observability.catalogue import AwsMetric, catalogue, of_aws
from observability.composite import parse_rule
from observability.dashboards.body import Widget, read_graph, read_widgets
from observability.emissions import NOTHING_KNOWN, Emission, Emitted, emitted_by_filters
from observability.errors import ToolkitError
from observability.looks import Look, looks, place_of, without_alarms
from observability.math import compile_queries
from observability.model import (
    MINUTE,
    Comparison,
    CompositeAlarm,
    Dashboard,
    MetricAlarm,
    MetricKey,
    alarm_name,
)
from observability.program.resources import Resource
from observability.sources import Estate

HIGH_RESOLUTION: Final = (10, 20, 30)
"""Periods of an alarm for which metrics have to be published every second or so (PutMetricAlarm, `Period`)."""

SIMILAR: Final = 0.6
"""How alike names have to be for one to be suggested for the other, from 0 to 1: a letter lost, a word changed."""

SELDOM: Final = "What is emitted only at times takes a log of such a time."
"""Logs that are handed over are taken for all that is emitted."""

LISTED: Final = 5
"""Most of anything that a sentence lists."""


class Severity(StrEnum):
    """A fault is certain to be one; a note is for somebody to judge."""

    FAULT = "fault"
    NOTE = "note"


@dataclass(frozen=True, slots=True)
class Finding:
    """What is wrong at one place.

    Attributes:
        where: the alarm, or the dashboard and its widget.
        what: what it looks at, "" where it is about something else.
        problem, remedy: a sentence each.
        source: file and line that declare it, where that is known.
        rule: which of the checks it is, a word or two for programs.
    """

    severity: Severity
    rule: str
    where: str
    problem: str
    what: str = ""
    remedy: str = ""
    source: str = ""

    def document(self) -> dict[str, Any]:
        """As JSON."""
        return asdict(self)


def check(
    estate: Estate,
    emitted: Emitted = NOTHING_KNOWN,
    resources: Sequence[Resource] | None = None,
    *,
    elsewhere: Collection[str] = (),
    complete: bool = True,
) -> list[Finding]:
    """What is wrong with alarms and dashboards, faults first, then by place.

    Args:
        emitted: what is emitted besides AWS's own metrics and the program's log metric filters.
        resources: those of the program; None where they are not known, and then values of dimensions are not looked at.
        elsewhere: names of resources and alarms that are made elsewhere.
        complete: whether the estate has every alarm that there is; a rule may name others where it has not.
    """
    checker = _Checker(estate, emitted, resources, frozenset(elsewhere), complete)
    found = dict.fromkeys(checker.findings())
    return sorted(found, key=lambda each: (each.severity is Severity.NOTE, each.where, each.what, each.rule))


def check_looks(
    found: Iterable[Look],
    emitted: Emitted,
    resources: Sequence[Resource] | None = None,
    *,
    elsewhere: Collection[str] = (),
) -> list[Finding]:
    """What is wrong with single looks, in their order; see `check`."""
    checker = _Checker(Estate(), emitted, resources, frozenset(elsewhere), complete=True)
    return [finding for look in found for finding in checker.look(look)]


class _Checker:
    """One check of one estate."""

    def __init__(
        self,
        estate: Estate,
        emitted: Emitted,
        resources: Sequence[Resource] | None,
        elsewhere: frozenset[str],
        complete: bool,
    ) -> None:
        self.estate = estate
        self.resources = resources
        self.elsewhere = elsewhere
        self.complete = complete
        self.known = emitted.complete and bool(emitted.emissions)
        self.emissions: dict[str, list[Emission]] = {}
        for emission in (emitted + emitted_by_filters(resources or ())).emissions:
            self.emissions.setdefault(emission.namespace, []).append(emission)
        self.names = {alarm.name for alarm in estate.alarms} | elsewhere
        self.names |= {each.what.partition(" ")[2] for each in estate.unread if each.what.startswith("alarm ")}

    def findings(self) -> Iterator[Finding]:
        for each in self.estate.unread:
            severity = Severity.FAULT if each.fault else Severity.NOTE
            yield self._finding(severity, "unreadable", each.what, _after(each.problem, each.what), remedy=each.remedy)
        for look in looks(self.estate):
            yield from self.look(look)
        for alarm in self.estate.alarms:
            match alarm:
                case MetricAlarm():
                    yield from self._expressions(alarm)
                    yield from self._reachable(alarm)
                    yield from self._samples(alarm)
                case CompositeAlarm():
                    yield from self._children(alarm)
            yield from self._told(alarm)
        for rule in self.estate.mutes:
            for name in rule.alarms:
                yield from self._there(f"mute rule {rule.name}", name, "mutes")
        for dashboard in self.estate.dashboards:
            yield from self._dashboard(dashboard)

    # What is looked at

    def look(self, look: Look) -> Iterator[Finding]:
        return self._of_aws(look) if of_aws(look.key.namespace) else self._of_ours(look)

    def _of_ours(self, look: Look) -> Iterator[Finding]:
        key = look.key
        there = self.emissions.get(key.namespace, [])
        if named := [emission for emission in there if emission.name == key.name]:
            yield from self._dimensions(look, named)
            return
        if not self.emissions and not self.known:
            # Once for all that looks there.
            yield Finding(
                Severity.NOTE,
                "not-known",
                f"namespace {key.namespace}",
                "it is not known what is emitted there, so what looks at it was not checked",
                remedy="Hand over the log of a test run with --emf, or what is put with --metric-data.",
            )
            return
        severity = Severity.FAULT if self.known else Severity.NOTE
        if not there:
            other = self._elsewhere(key)
            # Somebody emits this very metric in another namespace: that is a slip, whatever else is not known.
            severity = Severity.FAULT if other else severity
            problem = f"nobody emits anything in the namespace {key.namespace}"
            yield self._look(severity, "not-emitted", look, problem, other or self._emitters())
            return
        names = sorted({emission.name for emission in there})
        nearest = _nearest(key.name, names)
        remedy = (
            f"Did you mean {nearest}? {self._how(there, nearest)}"
            if nearest
            else f"In {key.namespace} are emitted: {_listed(names)}. {SELDOM}"
        )
        yield self._look(severity, "not-emitted", look, f"nobody emits {key.name} in {key.namespace}", remedy)

    def _dimensions(self, look: Look, named: Sequence[Emission]) -> Iterator[Finding]:
        """A metric that is emitted: with these dimensions, these values, in this unit?"""
        given = dict(look.key.dimensions)
        same = [emission for emission in named if emission.dimensions.keys() == given.keys()]
        if not same:
            sets = sorted({tuple(sorted(emission.dimensions)) for emission in named})
            nearest = min(sets, key=lambda each: len(set(each) ^ given.keys()))
            yield self._look(
                Severity.FAULT,
                "dimensions",
                look,
                f"{look.key.name} is emitted {' and '.join(_by(each) for each in sets[:LISTED])}, not {_by(given)}",
                _mend(given, nearest, f"emit it {_by(given)}, too ({named[0].by})"),
            )
            return
        for name, value in given.items():
            seen = frozenset().union(*(emission.dimensions[name] for emission in same))
            if not seen or value in seen or value in self.elsewhere:
                continue
            exact = all(emission.exact for emission in same)
            yield self._look(
                Severity.FAULT if exact else Severity.NOTE,
                "value",
                look,
                f"{look.key.name} was seen with {name} {_listed(sorted(seen))}, never {value}",
                _suggestion(value, seen) or f"Right if {value} is what it is emitted with where this is deployed.",
            )
        units = frozenset().union(*(emission.units for emission in same))
        if look.stat.unit and units and look.stat.unit not in units:
            yield self._look(
                Severity.FAULT,
                "unit",
                look,
                f"it looks at points in {look.stat.unit} only; {look.key.name} is emitted in {_listed(sorted(units))}",
                "Leave the unit out: points of every unit count then.",
            )

    def _of_aws(self, look: Look) -> Iterator[Finding]:
        key = look.key
        service = catalogue().get(key.namespace)
        if service is None:
            nearest = _nearest(key.namespace, catalogue())
            yield self._look(
                Severity.NOTE,
                "not-in-catalogue",
                look,
                f"{key.namespace} is not in the catalogue of AWS's metrics, so it is not known what is published there",
                f"Did you mean {nearest}?" if nearest else "Look it up in the service's documentation.",
            )
            return
        metric = service.metrics.get(key.name)
        if metric is None:
            nearest = _nearest(key.name, service.metrics)
            # Services get new metrics; that there is one with nearly this name makes it a slip.
            slip = nearest is not None and difflib.SequenceMatcher(None, nearest, key.name).ratio() > 0.8
            yield self._look(
                Severity.FAULT if slip else Severity.NOTE,
                "not-emitted",
                look,
                f"AWS publishes no {key.name} in {key.namespace}, as far as the catalogue knows",
                f"{f'Did you mean {nearest}? ' if nearest else ''}See {service.url}.",
            )
            return
        given = dict(key.dimensions)
        if given.keys() not in metric.dimensions and not metric.open:
            sets = [tuple(sorted(each)) for each in metric.dimensions]
            nearest_set = min(sets, key=lambda each: (len(set(each) ^ given.keys()), len(each)))
            yield self._look(
                Severity.FAULT,
                "dimensions",
                look,
                f"AWS publishes {key.name} {' and '.join(_by(each) for each in sets[:LISTED])}, not {_by(given)}",
                f"{_mend(given, nearest_set)} See {service.url}.",
            )
            return
        own = sorted(_by(each) for each in metric.dimensions if each & service.names.keys())
        if not given and own and self.resources is not None:
            yield self._look(
                Severity.NOTE,
                "account-wide",
                look,
                f"without dimensions, {key.name} is that of the whole account, of other programs' resources, too",
                f"For those of this program, look at it {min(own, key=len)}.",
            )
        for name, value in given.items():
            yield from self._value(look, name, value, service.names.get(name, ()), service.values.get(name))
        yield from self._figures(look, metric)

    def _value(
        self, look: Look, name: str, value: str, kinds: Sequence[str], allowed: frozenset[str] | None
    ) -> Iterator[Finding]:
        """The value of one dimension of one of AWS's metrics."""
        if allowed is not None and value not in allowed:
            remedy = _suggestion(value, allowed) or f"Allowed are {_listed(sorted(allowed))}."
            yield self._look(Severity.FAULT, "value", look, f"AWS has no {name} {value}", remedy)
        if not kinds or self.resources is None or value in self.elsewhere:
            return
        service = look.key.namespace.rpartition("/")[2].lower()
        there = [each for each in self.resources if each.kind in kinds and not _other_service(each, service)]
        identities = {identity: each for each in there for identity in _identities(each)}
        if value in identities:
            return
        what = f"{' or '.join(kinds)} of that name"
        nearest = _nearest(value, identities)
        remedy = f"Did you mean {nearest}? " if nearest else ""
        yield self._look(
            Severity.FAULT if there else Severity.NOTE,
            "value",
            look,
            f"{name} is {value}, and the program makes no {what}",
            f"{remedy}Take the name from the resource's output, or say --elsewhere {value} if it is made elsewhere.",
        )

    def _figures(self, look: Look, metric: AwsMetric) -> Iterator[Finding]:
        """Statistic and period of a look at one of AWS's metrics that is there."""
        stat = look.stat
        if not metric.tells(stat.statistic):
            useful = _listed(sorted("percentiles" if each == "p" else each for each in metric.statistics))
            yield self._look(
                Severity.NOTE,
                "statistic",
                look,
                f"the {stat.statistic} of {stat.key.name} says nothing",
                f"Use {useful}.",
            )
        if stat.period < MINUTE or (look.alarm is not None and stat.period < metric.resolution):
            certain = stat.period < MINUTE or not metric.detailed
            paid = ", and every minute only with detailed monitoring" if metric.detailed else ""
            yield self._look(
                Severity.FAULT if certain else Severity.NOTE,
                "period",
                look,
                f"a period of {stat.period} s is shorter than AWS publishes {stat.key.name}: every"
                f" {metric.resolution} s{paid}",
                f"Make the period {metric.resolution} s or more.",
            )

    # What alarms do

    def _expressions(self, alarm: MetricAlarm) -> Iterator[Finding]:
        try:
            compile_queries(alarm.queries)
        except ToolkitError as error:
            yield self._finding(Severity.FAULT, "expression", f"alarm {alarm.name}", str(error), remedy=error.remedy)

    def _reachable(self, alarm: MetricAlarm) -> Iterator[Finding]:
        """A threshold that no value passes, or every one; only for metrics whose values AWS bounds."""
        stat = alarm.returned.stat
        if stat is None or stat.statistic.family not in ("Average", "Minimum", "Maximum", "p", "Sum"):
            return
        service = catalogue().get(stat.key.namespace)
        metric = service.metrics.get(stat.key.name) if service else None
        if metric is None:
            return
        # A sum has no upper bound whatever its parts have.
        most = metric.most if stat.statistic.family != "Sum" else None
        always, never = _decided(alarm.comparison, alarm.threshold, metric.least, most)
        bounds = f"{stat.key.name} is {_bounds(metric.least, most)}"
        what = f"{alarm.comparison.sign} {alarm.threshold:,.10g}"
        if never:
            remedy = "Mind the unit: it is a fraction, so 5 % is 0.05." if most == 1 else "Mind the unit."
            yield self._finding(
                Severity.FAULT,
                "unreachable",
                f"alarm {alarm.name}",
                f"{bounds}, so it can never be {what}",
                str(stat.key),
                remedy,
            )
        elif always:
            yield self._finding(
                Severity.FAULT, "always", f"alarm {alarm.name}", f"{bounds}, so it is always {what}", str(stat.key)
            )

    def _samples(self, alarm: MetricAlarm) -> Iterator[Finding]:
        """A percentile that CloudWatch does not go by until there are many samples in a period."""
        for stat in alarm.metrics if alarm.low_samples == "ignore" else ():
            if needed := math.ceil(stat.statistic.samples_needed):
                yield self._finding(
                    Severity.NOTE,
                    "samples",
                    f"alarm {alarm.name}",
                    f"it keeps its state in every period of {stat.period} s with fewer than {needed:,} samples,"
                    " for EvaluateLowSampleCountPercentile is ignore",
                    f"{stat.statistic} of {stat.key}",
                    "If there may be fewer, let it evaluate them, or give it a least volume by metric math:"
                    " IF(FILL(samples, 0) >= 20, percentile, 0).",
                )

    def _children(self, alarm: CompositeAlarm) -> Iterator[Finding]:
        where = f"alarm {alarm.name}"
        try:
            children = parse_rule(alarm.rule).children
        except ToolkitError as error:
            yield self._finding(Severity.FAULT, "rule", where, str(error), remedy=error.remedy)
            return
        for name in children:
            yield from self._there(where, name, "its rule names")
        if alarm.suppressor:
            yield from self._there(where, alarm.suppressor.alarm, "its actions wait for")

    def _there(self, where: str, name: str, verb: str) -> Iterator[Finding]:
        """An alarm that something refers to."""
        if name in self.names:
            return
        yield self._finding(
            Severity.FAULT if self.complete else Severity.NOTE,
            "no-such-alarm",
            where,
            f"{verb} the alarm {name}, which does not exist",
            remedy=_suggestion(name, self.names) or f"Make it, or say --elsewhere {name} if it is made elsewhere.",
        )

    def _told(self, alarm: MetricAlarm | CompositeAlarm) -> Iterator[Finding]:
        actions = alarm.actions
        where = f"alarm {alarm.name}"
        if any((actions.alarm, actions.ok, actions.insufficient_data)) and not actions.enabled:
            yield self._finding(
                Severity.NOTE, "disabled", where, "its actions are disabled, so nobody is told", remedy="Enable them."
            )
        elif not actions.alarm and alarm.name not in self._spoken_for:
            yield self._finding(
                Severity.NOTE,
                "untold",
                where,
                "it has no alarm actions and no composite alarm names it, so nobody is told",
                remedy="Give it an action, or take it away.",
            )

    @property
    def _spoken_for(self) -> frozenset[str]:
        """Alarms that others are made of, or wait for."""
        composites = [alarm for alarm in self.estate.alarms if isinstance(alarm, CompositeAlarm)]
        named = {alarm.suppressor.alarm for alarm in composites if alarm.suppressor}
        for alarm in composites:
            try:
                named |= parse_rule(alarm.rule).alarms
            except ToolkitError:
                continue
        return frozenset(named)

    # What dashboards show

    def _dashboard(self, dashboard: Dashboard) -> Iterator[Finding]:
        name = f"dashboard {dashboard.name}"
        try:
            widgets = read_widgets(dashboard)
        except ToolkitError as error:
            yield self._finding(Severity.FAULT, "body", name, _after(str(error), name), remedy=error.remedy)
            return
        for widget in widgets:
            where = place_of(widget, dashboard)
            shown = [*(widget.properties.get("alarms") or ())]
            shown += (widget.properties.get("annotations") or {}).get("alarms") or ()
            for reference in shown:
                yield from self._there(where, alarm_name(str(reference)), "it shows")
            if widget.kind == "metric":
                yield from self._graph(widget, where)

    def _graph(self, widget: Widget, where: str) -> Iterator[Finding]:
        try:
            queries = [entry.query for entry in read_graph(without_alarms(widget)).entries]
        except ToolkitError as error:
            yield self._finding(Severity.FAULT, "widget", where, _after(str(error), widget.where), remedy=error.remedy)
            return
        if any(query.expression for query in queries):
            try:
                compile_queries(queries)
            except ToolkitError as error:
                # Graphs may search, which alarms may not; it is only not evaluated here.
                severity = (
                    Severity.NOTE if "not evaluated" in str(error) or "not supported" in str(error) else Severity.FAULT
                )
                yield self._finding(severity, "expression", where, str(error), remedy=error.remedy)

    # Words

    def _finding(
        self, severity: Severity, rule: str, where: str, problem: str, what: str = "", remedy: str = ""
    ) -> Finding:
        name = where.partition(" ")[2].partition(", ")[0]
        return Finding(severity, rule, where, problem, what, remedy, self.estate.source(name))

    def _look(self, severity: Severity, rule: str, look: Look, problem: str, remedy: str = "") -> Finding:
        return self._finding(severity, rule, look.where, problem, f"{look.stat.statistic} of {look.key}", remedy)

    def _how(self, there: Sequence[Emission], name: str) -> str:
        emission = next(each for each in there if each.name == name)
        return f"It is emitted {_by(emission.dimensions)} ({emission.by})."

    def _elsewhere(self, key: MetricKey) -> str:
        """Another namespace in which something of that name is emitted, or whose own name is nearly the same."""
        spaces = sorted(
            {space for space, listed in self.emissions.items() if any(each.name == key.name for each in listed)}
        )
        if spaces:
            return f"{key.name} is emitted in {_listed(spaces)}. Did you mean that?"
        nearest = _nearest(key.namespace, self.emissions)
        return f"Did you mean {nearest}?" if nearest else ""

    def _emitters(self) -> str:
        return f"Namespaces with metrics: {_listed(sorted(self.emissions))}." if self.emissions else ""


def _identities(resource: Resource) -> Iterator[str]:
    """What a dimension may call a resource."""
    outputs = resource.outputs
    yield resource.physical
    yield resource.id
    for key in ("arn", "arnSuffix", "name", "bucket", "identifier", "clusterIdentifier", "clusterId"):
        if value := outputs.get(key):
            yield str(value)


_SERVICES: Final[Mapping[str, frozenset[str]]] = {
    "rds": frozenset({"rds", "docdb", "neptune"}),
    "ec2": frozenset({"ec2", "autoscaling"}),
    "autoscaling": frozenset({"autoscaling"}),
    "x-ray": frozenset({"xray"}),
    "ecs": frozenset({"ecs"}),
    "containerinsights": frozenset({"ecs"}),
    "elasticache": frozenset({"elasticache"}),
}
"""Modules of the provider, where a kind of resource (`Cluster`, `Instance`, `Group`) is in several."""


def _other_service(resource: Resource, service: str) -> bool:
    """Whether a resource is of another service than the one whose metric is looked at."""
    modules = _SERVICES.get(service)
    return modules is not None and resource.type.split(":")[1].partition("/")[0] not in modules


def _decided(comparison: Comparison, threshold: float, least: float | None, most: float | None) -> tuple[bool, bool]:
    """Whether every value from `least` to `most` compares true, and whether none does."""
    low, high = (-float("inf") if least is None else least), (float("inf") if most is None else most)
    always: dict[Comparison, Callable[[], bool]] = {
        Comparison.ABOVE: lambda: low > threshold,
        Comparison.AT_LEAST: lambda: low >= threshold,
        Comparison.BELOW: lambda: high < threshold,
        Comparison.AT_MOST: lambda: high <= threshold,
    }
    never: dict[Comparison, Callable[[], bool]] = {
        Comparison.ABOVE: lambda: high <= threshold,
        Comparison.AT_LEAST: lambda: high < threshold,
        Comparison.BELOW: lambda: low >= threshold,
        Comparison.AT_MOST: lambda: low > threshold,
    }
    return always[comparison](), never[comparison]()


def _bounds(least: float | None, most: float | None) -> str:
    if least is None or most is None:
        return f"never below {least:g}" if least is not None else f"never above {most:g}"
    return f"from {least:g} to {most:g}"


def _by(dimensions: Iterable[str]) -> str:
    names = sorted(dimensions)
    return f"by {', '.join(names)}" if names else "without dimensions"


def _mend(given: Mapping[str, str], wanted: Sequence[str], otherwise: str = "") -> str:
    """How a set of dimensions becomes another one."""
    more, less = sorted(given.keys() - set(wanted)), sorted(set(wanted) - given.keys())
    words = []
    if len(more) == len(less) == 1:
        words = [f"change the dimension {more[0]} to {less[0]}"]
    else:
        words += [f"take away {_listed(more)}"] if more else []
        words += [f"add {_listed(less)}"] if less else []
    said = " and ".join(words)
    return f"{said[:1].upper()}{said[1:]}{f', or {otherwise}' if otherwise else ''}."


def _nearest(name: str, others: Iterable[str]) -> str | None:
    """The name that is most like another, upper and lower case being the same; None where none is."""
    folded = {each.casefold(): each for each in sorted(others)}
    found = difflib.get_close_matches(name.casefold(), folded, n=1, cutoff=SIMILAR)
    return folded[found[0]] if found else None


def _suggestion(name: str, others: Iterable[str]) -> str:
    nearest = _nearest(name, others)
    return f"Did you mean {nearest}?" if nearest else ""


def _listed(names: Sequence[str]) -> str:
    more = len(names) - LISTED
    return ", ".join(names[:LISTED]) + (f" and {more} more" if more > 0 else "")


def _after(problem: str, where: str) -> str:
    """A problem without the place, which is told beside it."""
    return problem.removeprefix(where).lstrip(":, ") or problem
