"""The bill: what a program costs in USD a month and for 1,000 emails, from what it registers and from counted use.

Three kinds of lines add up. What is there costs by the month. What is used costs by the piece, so by the volume, or by
how often a schedule runs. A custom metric costs for the hours in which it has points: the first points of an hour cost
something, the others nothing, so that its line grows with the volume, but slower.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, Final, Protocol

from observability.model import MetricKey
from observability.prices import HOURS, Plan, Price, PriceSheet, load, share_of_hours
from observability.usage import Activity, Usage

THE_ACCOUNT: Final = "the account's free tier"
"""Whose line it is where something is taken off, which is no single resource's."""

THOUSAND: Final = 1000
"""Emails that prices by volume are given for, and the volume of a bill that names none."""


class Registered(Protocol):
    """A resource as a program registered it; `inputs` with Pulumi's own names (`metricQueries`)."""

    @property
    def type(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def inputs(self) -> Mapping[str, Any]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """What one resource costs of one price.

    Attributes:
        resource: type without its package, and logical name; THE_ACCOUNT where it is nobody's.
        signal: metrics, logs, traces, alarms, dashboards, probes; "" for what is not telemetry.
        fixed: units a month, whatever the volume.
        per_thousand: further units for 1,000 emails.
        by_hours: further units at the bill's volume, where it is paid in how much of the time there was something: of
            metrics the hours in which they have points.
        how: where the quantity comes from: registered, counted, or what was assumed.
    """

    resource: str
    price: Price
    signal: str
    fixed: Decimal = Decimal(0)
    per_thousand: Decimal = Decimal(0)
    by_hours: Decimal = Decimal(0)
    how: str

    def units(self, volume: int) -> Decimal:
        """Units of a month with so many emails."""
        return self.fixed + self.per_thousand * volume / THOUSAND + self.by_hours

    def usd(self, volume: int) -> Decimal:
        """USD of a month with so many emails, unrounded."""
        return self.price.of(self.units(volume))


@dataclass(frozen=True, slots=True)
class Unpriced:
    """A resource, or a use of one, that the bill says nothing of, and why."""

    resource: str
    reason: str


@dataclass(frozen=True, slots=True)
class Free:
    """Registered resources of a type that cost nothing for being there, and why."""

    type: str
    count: int
    reason: str


@dataclass(frozen=True, slots=True)
class Total:
    """What a group of lines comes to, in USD, unrounded: a month whatever the volume, for 1,000 emails, and in all a
    month at the bill's volume. The third is not the sum of the others where metrics are paid by the hour."""

    name: str
    fixed: Decimal
    per_thousand: Decimal
    month: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Bill:
    """What a program costs.

    Attributes:
        volume: emails a month that `month` of each total is for.
        free_tier: whether what an account has for nothing is taken off, as lines of the account.
        counted: when use was counted; "" where it was not, and then only what is there has a price.
        notes: what to know of the count.
        unpriced: what the bill does not know.
        free: what costs nothing for being there.
    """

    lines: tuple[Line, ...]
    plan: Plan
    volume: int
    free_tier: bool
    counted: str
    notes: tuple[str, ...]
    sheet: PriceSheet
    unpriced: tuple[Unpriced, ...]
    free: tuple[Free, ...]

    @property
    def total(self) -> Total:
        return self._total("in all", self.lines)

    def by_resource(self) -> list[Total]:
        """A total for each resource, the dearest first."""
        return self._totals(lambda line: line.resource)

    def by_signal(self) -> list[Total]:
        """A total for each telemetry signal, and one for the work itself under "", the dearest first."""
        return self._totals(lambda line: line.signal)

    def by_price(self) -> list[Total]:
        """A total for each price, the dearest first."""
        return self._totals(lambda line: line.price.name)

    def by_service(self) -> list[Total]:
        """A total for each AWS service, by Cost Explorer's name of it, the dearest first."""
        return self._totals(lambda line: line.price.service)

    def _totals(self, key: Callable[[Line], str]) -> list[Total]:
        groups: defaultdict[str, list[Line]] = defaultdict(list)
        for line in self.lines:
            groups[key(line)].append(line)
        totals = (self._total(name, lines) for name, lines in groups.items())
        return sorted(totals, key=lambda total: (-abs(total.month), total.name))

    def _total(self, name: str, lines: Iterable[Line]) -> Total:
        lines = list(lines)
        return Total(
            name=name,
            fixed=sum((line.price.of(line.fixed) for line in lines), Decimal(0)),
            per_thousand=sum((line.price.of(line.per_thousand) for line in lines), Decimal(0)),
            month=sum((line.usd(self.volume) for line in lines), Decimal(0)),
        )


def make_bill(
    resources: Iterable[Registered],
    usage: Usage | None = None,
    *,
    plan: Plan = Plan.ESSENTIALS,
    volume: int = THOUSAND,
    free_tier: bool = False,
    sheet: PriceSheet | None = None,
) -> Bill:
    """The bill of a program.

    Args:
        resources: all that it registers. Components and providers cost nothing and are passed over, as are resources
            that are only looked up (`external`): somebody else pays for them.
        usage: what a run was counted to use; without it, what is paid by use is left out and named as not known.
        volume: emails a month.
        free_tier: take off what every account has for nothing, as if the account had nothing else in it.

    Raises:
        ToolkitError: `usage` names a price that the sheet does not have.
    """
    sheet = sheet or load()
    resources = [each for each in resources if "/" in each.type and not getattr(each, "external", False)]
    entries = [entry for resource in resources for entry in standing(resource, sheet)]
    if usage:
        runs = _runs(resources)
        known = [each for each in usage.activities if not each.schedule or each.schedule in runs]
        entries += [
            Unpriced(each.name, f"it is started by the schedule {each.schedule}, which is not registered")
            for each in usage.activities
            if each not in known
        ]
        used = [line for activity in known for line in _used(activity, runs.get(activity.schedule), plan, sheet)]
        entries += used
        entries += _metrics(known, runs, volume, sheet)
        entries += _kept_logs(resources, used, sheet)
        entries += _traces(resources, used, sheet)
        entries += _topic_keys(resources, known, runs, volume, sheet)
    lines = [entry for entry in entries if isinstance(entry, Line)]
    unpriced = [entry for entry in entries if isinstance(entry, Unpriced)]
    if free_tier:
        lines += _free_tier(lines, volume)
    return Bill(
        lines=tuple(lines),
        plan=plan,
        volume=volume,
        free_tier=free_tier,
        counted=usage.counted if usage else "",
        notes=usage.notes if usage else (),
        sheet=sheet,
        unpriced=(*unpriced, *_not_counted(resources, lines, sheet), *_besides(resources, sheet)),
        free=_free(resources, sheet),
    )


def _besides(resources: Sequence[Registered], sheet: PriceSheet) -> Iterator[Unpriced]:
    for resource in resources:
        if reason := sheet.besides.get(resource.type):
            yield Unpriced(label(resource), reason)


def label(resource: Registered) -> str:
    """What a bill calls a resource: its type without the package, and its logical name."""
    return f"{resource.type.rsplit(':', 1)[-1]} {resource.name}"


# What is there

POLLERS: Final = 5
"""Long-polling readers of a queue that is mapped to a function, while there is little to do ("Configuring scaling
behavior for SQS event source mappings"). Lambda may go down to two, but not where a maximum concurrency is set."""

LONG_POLL_SECONDS: Final = 20
"""SQS's longest wait for a message ("Amazon SQS short and long polling"): each reader asks again after it."""

ANOMALY_BAND: Final = 2
"""Metrics that an alarm on a band of anomaly detection is charged for beside its own: upper and lower bound."""

REGISTERED: Final = "registered"


def standing(resource: Registered, sheet: PriceSheet) -> list[Line | Unpriced]:
    """What a resource costs for being there, and what of it has no price; nothing where it costs nothing."""
    if price := _RULES.get(resource.type):
        return price(resource, sheet)
    if name := sheet.fixed.get(resource.type):
        return [_line(resource, sheet[name], Decimal(1), REGISTERED)]
    if resource.type in sheet.by_use or resource.type in sheet.free:
        return []
    return [Unpriced(label(resource), f"the price sheet does not know {resource.type}")]


def _alarm(resource: Registered, sheet: PriceSheet) -> list[Line | Unpriced]:
    queries: Sequence[Mapping[str, Any]] = resource.inputs.get("metricQueries") or ()
    if any(_searches(query.get("expression") or "") for query in queries):
        return [Unpriced(label(resource), "it is charged by the metrics that its query finds")]
    stats = [query["metric"] for query in queries if query.get("metric")] or [resource.inputs]
    quick = any(int(stat.get("period") or HOUR) < MINUTE for stat in stats)
    price = sheet["cloudwatch.alarm-metric.high-resolution" if quick else "cloudwatch.alarm-metric"]
    band = ANOMALY_BAND if resource.inputs.get("thresholdMetricId") else 0
    return [_line(resource, price, Decimal(len(stats) + band), REGISTERED)]


def _mapping(resource: Registered, sheet: PriceSheet) -> list[Line | Unpriced]:
    source = str(resource.inputs.get("eventSourceArn") or "")
    if not resource.inputs.get("enabled", True) or (source and ":sqs:" not in source):
        return []  # readers of streams are part of Lambda's price
    if not source:
        return [Unpriced(label(resource), "what it reads from is not known before it is deployed")]
    polls = Decimal(POLLERS * HOURS * HOUR) / LONG_POLL_SECONDS
    price = sheet["sqs.request.fifo" if source.endswith(".fifo") else "sqs.request"]
    how = f"modelled: {POLLERS} readers, each asking every {LONG_POLL_SECONDS} s, messages or not"
    return [_line(resource, price, polls, how)]


def _schedule(resource: Registered, sheet: PriceSheet) -> list[Line | Unpriced]:
    expression = str(resource.inputs.get("scheduleExpression") or "")
    runs = runs_a_month(expression)
    if runs is None:
        return [Unpriced(label(resource), f"how often {expression!r} runs is not worked out")]
    return [_line(resource, sheet["scheduler.invocation"], runs, f"registered: {expression}")]


def _subscription(resource: Registered, _sheet: PriceSheet) -> list[Line | Unpriced]:
    protocol = resource.inputs.get("protocol")
    if protocol in ("sqs", "lambda"):
        return []
    return [Unpriced(label(resource), f"deliveries by {protocol} are not counted")]


PROBES: Final = "probes"
"""The signal of what schedules start: nobody asked for it but whoever watches."""

MINUTE: Final = 60
HOUR: Final = 3600

_RULES: Final[Mapping[str, Callable[[Registered, PriceSheet], list[Line | Unpriced]]]] = {
    "aws:cloudwatch/metricAlarm:MetricAlarm": _alarm,
    "aws:lambda/eventSourceMapping:EventSourceMapping": _mapping,
    "aws:scheduler/schedule:Schedule": _schedule,
    "aws:sns/topicSubscription:TopicSubscription": _subscription,
}


def _searches(expression: str) -> bool:
    return expression.strip().upper().startswith(("SELECT", "SEARCH"))


def _line(resource: Registered, price: Price, units: Decimal, how: str) -> Line:
    return Line(resource=label(resource), price=price, signal=price.signal, fixed=units, how=how)


def _free(resources: Sequence[Registered], sheet: PriceSheet) -> tuple[Free, ...]:
    counts = Counter(resource.type for resource in resources)
    return tuple(Free(type_, counts[type_], reason) for type_, reason in sheet.free.items() if counts[type_])


# Schedules

SHORTEST_MONTH: Final = 28
_MINUTES: Final = {"minute": 1, "minutes": 1, "hour": 60, "hours": 60, "day": 1440, "days": 1440}


def runs_a_month(expression: str) -> Decimal | None:
    """How often a schedule of EventBridge runs in a month: `rate(...)`, `cron(...)` of every day or of days that every
    month has, `at(...)`. None where it cannot be said, such as for days of the week ("Schedule types in EventBridge
    Scheduler")."""
    kind, _, rest = expression.partition("(")
    fields = rest.removesuffix(")").split()
    if kind == "at":
        return Decimal(0)
    if kind == "rate" and len(fields) == 2 and fields[0].isdigit() and int(fields[0]) and fields[1] in _MINUTES:
        return Decimal(HOURS * 60) / (int(fields[0]) * _MINUTES[fields[1]])
    if kind == "cron" and len(fields) == 6 and all(field in "*?" for field in fields[3:]):
        minutes, hours = (_times(field, most) for field, most in zip(fields, (60, 24), strict=False))
        days = _hours_of_days(fields[2])
        if minutes is not None and hours is not None and days is not None:
            return Decimal(minutes * hours * days) / 24
    return None


def _hours_of_days(field: str) -> int | None:
    """How many hours of a month the days have that a field of a cron expression names; those that every month has."""
    if field in "*?":
        return HOURS
    days = set(field.split(","))
    return 24 * len(days) if all(day.isdigit() and 1 <= int(day) <= SHORTEST_MONTH for day in days) else None


def _times(field: str, most: int) -> int | None:
    """How many values a field of a cron expression has, of 0 to `most` - 1."""
    found: set[int] = set()
    for part in field.split(","):
        span, _, step = part.partition("/")
        first, _, last = span.partition("-")
        ends = ("0", str(most - 1)) if span == "*" else (first, last or (str(most - 1) if step else first))
        if not all(text.isdigit() for text in (*ends, step or "1")):
            return None
        found |= set(range(int(ends[0]), int(ends[1]) + 1, int(step or 1)))
    return len(found)


def _runs(resources: Sequence[Registered]) -> dict[str, Decimal]:
    """Runs a month of each schedule that can be worked out, by logical name."""
    scheduled = ((each.name, each.inputs.get("scheduleExpression")) for each in resources)
    runs = ((name, runs_a_month(str(expression))) for name, expression in scheduled if expression)
    return {name: count for name, count in runs if count is not None}


# What is used

KEPT: Final = Decimal("0.15")
"""Share of their size that logs are stored in: they are compressed (Amazon CloudWatch pricing, in its examples)."""

KEY_REUSE_SECONDS: Final = 300
REQUESTS_A_KEY: Final = 2
"""SNS encrypts with a data key for up to five minutes, and asks KMS twice for each ("Amazon SNS key management":
estimating costs), once to make it and once to read it."""


def _used(activity: Activity, runs: Decimal | None, plan: Plan, sheet: PriceSheet) -> list[Line]:
    """What an activity costs by the piece. `runs` a month has one that is scheduled."""
    lines = []
    for count in activity.counts:
        price = sheet.under(plan, count.price)
        each = count.quantity / activity.times
        lines.append(
            Line(
                resource=count.resource,
                price=price,
                signal=price.signal or (PROBES if activity.schedule else ""),
                fixed=each * runs if runs is not None else Decimal(0),
                per_thousand=each * THOUSAND if runs is None else Decimal(0),
                how=count.how,
            )
        )
    return lines


def _rates(activity: Activity, runs: Mapping[str, Decimal], volume: int) -> tuple[Decimal, Decimal]:
    """How often an activity happens in a month, (at random, at even distances), for one time that it was counted."""
    if activity.schedule:
        return Decimal(0), runs[activity.schedule] / activity.times
    return Decimal(volume) / activity.times, Decimal(0)


def _metrics(activities: Sequence[Activity], runs: Mapping[str, Decimal], volume: int, sheet: PriceSheet) -> list[Line]:
    """Custom metrics, each by the hours in which anything gives it a point. One that two functions send is one metric:
    it is put down to the one that was counted first."""
    senders: dict[MetricKey, str] = {}
    random: defaultdict[MetricKey, Decimal] = defaultdict(Decimal)
    regular: defaultdict[MetricKey, Decimal] = defaultdict(Decimal)
    for activity in activities:
        by_volume, by_schedule = _rates(activity, runs, volume)
        for points in activity.points:
            senders.setdefault(points.metric, points.resource)
            random[points.metric] += points.quantity * by_volume
            regular[points.metric] += points.quantity * by_schedule
    price = sheet["cloudwatch.metric"]
    lines = []
    for metric, resource in senders.items():
        always = share_of_hours(0, regular=regular[metric])
        lines.append(
            Line(
                resource=resource,
                price=price,
                signal=price.signal,
                fixed=always,
                by_hours=share_of_hours(random[metric], regular=regular[metric]) - always,
                how=f"counted: the hours in which {metric.namespace} {metric.name} has points",
            )
        )
    return lines


def _kept_logs(resources: Sequence[Registered], lines: Sequence[Line], sheet: PriceSheet) -> list[Line | Unpriced]:
    """What the logs cost that are kept, once as many expire as come in."""
    groups = {label(each): each for each in resources if each.type.endswith(":LogGroup")}
    kept: list[Line | Unpriced] = []
    for line in lines:
        if line.price.name != "logs.gb" or not (group := groups.get(line.resource)):
            continue
        if days := Decimal(group.inputs.get("retentionInDays") or 0):
            months = KEPT * days * 24 / HOURS
            kept.append(
                Line(
                    resource=line.resource,
                    price=sheet["logs.gb-month"],
                    signal=line.signal,
                    fixed=line.fixed * months,
                    per_thousand=line.per_thousand * months,
                    how=f"modelled: kept for {days} days at {KEPT:%} of their size",
                )
            )
        else:
            kept.append(Unpriced(line.resource, "its logs never expire: keeping them costs more each month"))
    return kept


def _traces(resources: Sequence[Registered], used: Sequence[Line], sheet: PriceSheet) -> list[Line]:
    """Traces of functions and topics with active tracing, where none were counted: one a use, all recorded."""
    price = sheet["xray.trace"]
    counted = {line.resource for line in used if line.price is price}
    traced = {label(each) for each in resources if _is_traced(each)} - counted
    return [
        replace(
            line,
            price=price,
            signal=price.signal,
            how="modelled: one each, and every one recorded, which is so up to one a second",
        )
        for line in used
        if line.resource in traced and line.price.name in _BEGIN_A_TRACE
    ]


_BEGIN_A_TRACE: Final = ("lambda.request", "sns.publish")


def _is_traced(resource: Registered) -> bool:
    tracing = resource.inputs.get("tracingConfig") or {}
    return (tracing.get("mode") if isinstance(tracing, Mapping) else tracing) == "Active"


def _topic_keys(
    resources: Sequence[Registered],
    activities: Sequence[Activity],
    runs: Mapping[str, Decimal],
    volume: int,
    sheet: PriceSheet,
) -> list[Line]:
    """What encrypted topics ask of KMS: for each five minutes in which something is published, not for each message."""
    slots = HOURS * HOUR // KEY_REUSE_SECONDS
    lines = []
    for topic in resources:
        if not topic.inputs.get("kmsMasterKeyId") or not topic.type.endswith(":Topic"):
            continue
        rates = [
            (count.quantity * rate[0], count.quantity * rate[1])
            for activity in activities
            for rate in [_rates(activity, runs, volume)]
            for count in activity.counts
            if (count.price, count.resource) == ("sns.publish", label(topic))
        ]
        random, regular = (sum(part, Decimal(0)) for part in zip(*rates, strict=True)) if rates else (0, 0)
        always = share_of_hours(0, regular=regular, hours=slots)
        busy = share_of_hours(random, regular=regular, hours=slots)
        lines.append(
            Line(
                resource=label(topic),
                price=sheet["kms.request"],
                signal="",
                fixed=REQUESTS_A_KEY * slots * always,
                by_hours=REQUESTS_A_KEY * slots * (busy - always),
                how=f"modelled: a data key for each {KEY_REUSE_SECONDS} s in which something is published",
            )
        )
    return lines


def _free_tier(lines: Sequence[Line], volume: int) -> list[Line]:
    """What every account has for nothing, as lines that take it off."""
    used: defaultdict[str, Decimal] = defaultdict(Decimal)
    first: dict[str, Line] = {}
    for line in lines:
        used[line.price.name] += line.units(volume)
        first.setdefault(line.price.name, line)
    return [
        Line(
            resource=THE_ACCOUNT,
            price=line.price,
            signal=line.price.signal,
            by_hours=-min(line.price.free, used[name]),
            how=f"free tier: {line.price.free:,} {line.price.unit}",
        )
        for name, line in first.items()
        if line.price.free and used[name]
    ]


def _not_counted(resources: Sequence[Registered], lines: Sequence[Line], sheet: PriceSheet) -> list[Unpriced]:
    """Resources that are paid by use, and have no line: nobody counted any."""
    known = {line.resource for line in lines if line.price.name not in sheet.fixed.values()}
    return [
        Unpriced(label(each), f"paid {sheet.by_use[each.type]}, and no use of it was counted")
        for each in resources
        if each.type in sheet.by_use and label(each) not in known
    ]
