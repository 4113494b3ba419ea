"""A live account: its alarms, mute rules and dashboards, and the figures of its metrics. It is only read.

The permissions that it takes: cloudwatch:DescribeAlarms, ListAlarmMuteRules, GetAlarmMuteRule, ListDashboards,
GetDashboard, GetMetricData and ListMetrics.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from fractions import Fraction
from functools import partial
from math import ceil
from typing import Any, Final, TypeVar

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from observability.catalogue import of_aws
from observability.emissions import Emitted, emitted_of
from observability.errors import ToolkitError
from observability.model import DAY, HOUR, MINUTE, MetricKey, MetricStat, read_key
from observability.registered import pairs
from observability.sources import Estate, Unread, estate_of_documents
from observability.store import MetricStore

Answer = TypeVar("Answer")

QUERIES: Final = 500
"""In one request of GetMetricData (GetMetricData, "a single request")."""

RETENTION: Final = ((15 * DAY, MINUTE), (63 * DAY, 5 * MINUTE), (455 * DAY, HOUR))
"""Seconds that points are kept, and the period to which they are aggregated by then (GetMetricData)."""

LADDER: Final = ("p10", "p25", "p50", "p75", "p90", "p95", "p99")
"""Percentiles that are fetched besides those that are looked at, where single values are needed: CloudWatch does not
give the values themselves."""

SETS: Final = ("SampleCount", "Sum", "Minimum", "Maximum")


def client(service: str) -> Any:
    """A boto3 client of the account that is configured. Typed as Any: boto3 makes its clients at run time."""
    return _asked(lambda: boto3.Session().client(service))  # type: ignore[call-overload]


def estate_of_account(cloudwatch: Any = None, prefix: str = "") -> Estate:
    """The alarms, mute rules and dashboards of an account in one region.

    Args:
        cloudwatch: a boto3 client; made from the environment where it is None.
        prefix: only alarms and dashboards that have a name which begins so.

    Raises:
        ToolkitError: there are no credentials, or the alarms may not be read. Dashboards and mute rules that may not be
            read are told of in the estate.
    """
    cloudwatch = cloudwatch or client("cloudwatch")
    documents = list(_asked(lambda: list(_alarms(cloudwatch, prefix))))
    unread: list[Unread] = []
    for what, listed in (("dashboards", _dashboards(cloudwatch, prefix)), ("mute rules", _mute_rules(cloudwatch))):
        try:
            documents += listed
        except (ClientError, BotoCoreError) as error:
            unread.append(Unread(what, f"{what} could not be read: {error}", fault=False))
    estate = estate_of_documents(documents)
    return replace(estate, unread=(*estate.unread, *unread))


def emitted_in_account(cloudwatch: Any, namespaces: Iterable[str]) -> Emitted:
    """The metrics with points in the last two weeks, in those of the namespaces that are not AWS's own (ListMetrics).

    Raises:
        ToolkitError: they may not be listed.
    """

    def listed() -> Iterator[tuple[MetricKey, tuple[str, ...]]]:
        for namespace in sorted(set(namespaces)):
            if not of_aws(namespace):
                for page in cloudwatch.get_paginator("list_metrics").paginate(Namespace=namespace):
                    yield from ((read_key(each, "ListMetrics"), ()) for each in page["Metrics"])

    return emitted_of(_asked(lambda: list(listed())), "the account", complete=False)


def store_of_account(
    cloudwatch: Any, stats: Iterable[MetricStat], start: int, end: int, *, now: int | None = None
) -> MetricStore:
    """The figures of metrics from `start` to `end` (epoch seconds), as finely as CloudWatch still has them.

    Every statistic set of a period of a minute (older ones: five minutes, an hour) becomes one in the store, so sums,
    averages, extremes and counts over any whole periods are CloudWatch's own. CloudWatch gives no single values. Where
    `stats` have percentiles or trimmed means of a metric, its values are made up from percentiles: those looked at and
    LADDER. A percentile that is looked at is then exact over a minute, and an estimate over longer periods; sums and
    averages of that metric are estimates, too.

    A metric that is looked at in some unit is fetched in that unit only; what is fetched without has the unit None.

    Args:
        stats: what alarms and graphs look at.
        now: epoch seconds; what is kept at which period depends on it.

    Raises:
        ToolkitError: CloudWatch refuses to tell, or does not have all of it.
    """
    store = MetricStore()
    wanted = _wanted(stats)
    for since, until, period in _segments(start, end, int(time.time()) if now is None else now):
        fetches = [_Fetch(key, unit, stat) for (key, unit), listed in wanted.items() for stat in listed]
        points = _fetched(cloudwatch, fetches, since, until, period)
        for (key, unit), listed in wanted.items():
            series = {stat: points.get(_Fetch(key, unit, stat), {}) for stat in listed}
            _put(store, key, unit or "None", series)
    return store


# Alarms and dashboards


def _alarms(cloudwatch: Any, prefix: str) -> Iterator[Mapping[str, Any]]:
    only = {"AlarmNamePrefix": prefix} if prefix else {}
    # Without the types, only alarms on metrics are told.
    for page in cloudwatch.get_paginator("describe_alarms").paginate(
        AlarmTypes=["MetricAlarm", "CompositeAlarm"], **only
    ):
        yield from page.get("MetricAlarms") or ()
        yield from page.get("CompositeAlarms") or ()


def _dashboards(cloudwatch: Any, prefix: str) -> Iterator[Mapping[str, Any]]:
    only = {"DashboardNamePrefix": prefix} if prefix else {}
    for page in cloudwatch.get_paginator("list_dashboards").paginate(**only):
        for entry in page.get("DashboardEntries") or ():
            yield cloudwatch.get_dashboard(DashboardName=entry["DashboardName"])


def _mute_rules(cloudwatch: Any) -> Iterator[Mapping[str, Any]]:
    for page in cloudwatch.get_paginator("list_alarm_mute_rules").paginate():
        for entry in page.get("AlarmMuteRuleSummaries") or ():
            # A summary has no name but the end of its ARN.
            name = entry["AlarmMuteRuleArn"].split(":", maxsplit=6)[6]
            yield cloudwatch.get_alarm_mute_rule(AlarmMuteRuleName=name)


# Figures


@dataclass(frozen=True, slots=True)
class _Fetch:
    """One query of GetMetricData."""

    key: MetricKey
    unit: str | None
    stat: str

    def query(self, id_: str, period: int) -> dict[str, Any]:
        metric = {
            "Namespace": self.key.namespace,
            "MetricName": self.key.name,
            "Dimensions": pairs(dict(self.key.dimensions)),
        }
        stat = {"Metric": metric, "Period": period, "Stat": self.stat}
        return {"Id": id_, "MetricStat": {**stat, **({"Unit": self.unit} if self.unit else {})}, "ReturnData": True}


def _wanted(stats: Iterable[MetricStat]) -> dict[tuple[MetricKey, str | None], tuple[str, ...]]:
    """What has to be fetched of each metric and unit."""
    wanted: dict[tuple[MetricKey, str | None], dict[str, None]] = {}
    for stat in stats:
        listed = wanted.setdefault((stat.key, stat.unit), dict.fromkeys(SETS))
        if stat.statistic.needs_values:
            listed.update(dict.fromkeys(LADDER))
            if stat.statistic.family == "p":
                listed[stat.statistic.text] = None
    units = {key for key, unit in wanted if unit}
    return {(key, unit): tuple(listed) for (key, unit), listed in wanted.items() if unit or key not in units}


def _segments(start: int, end: int, now: int) -> Iterator[tuple[int, int, int]]:
    """From, to and period of each part of a range that is kept at one period, oldest first."""
    kept = tuple(reversed(RETENTION))
    # A part begins on a whole period of the older one before it, so that no time is in two.
    begins = [
        -(-(now - age) // older) * older for (age, _), (_, older) in zip(kept, [kept[0], *kept[:-1]], strict=True)
    ]
    for (_, period), begin, until in zip(kept, begins, [*begins[1:], end], strict=True):
        first, last = max(start, begin) // period * period, min(end, until)
        if first < last:
            yield first, last, period


def _fetched(
    cloudwatch: Any, fetches: Sequence[_Fetch], start: int, end: int, period: int
) -> dict[_Fetch, dict[int, float]]:
    """Values by time, start of the period, of each fetch."""
    found: dict[_Fetch, dict[int, float]] = {}
    for first in range(0, len(fetches), QUERIES):
        batch = {f"q{number}": fetch for number, fetch in enumerate(fetches[first : first + QUERIES])}
        arguments = {
            "MetricDataQueries": [fetch.query(id_, period) for id_, fetch in batch.items()],
            "StartTime": datetime.fromtimestamp(start, UTC),
            "EndTime": datetime.fromtimestamp(end, UTC),
            "ScanBy": "TimestampAscending",
        }
        last: dict[str, Mapping[str, Any]] = {}
        for page in _asked(partial(_pages, cloudwatch, arguments)):
            for result in page["MetricDataResults"]:
                last[result["Id"]] = result
                series = found.setdefault(batch[result["Id"]], {})
                times = (int(each.timestamp()) for each in result.get("Timestamps") or ())
                series.update(zip(times, result.get("Values") or (), strict=True))
        for id_, result in last.items():
            # A page may be partial; the last one of a query is not, unless something went wrong.
            if result.get("StatusCode", "Complete") != "Complete":
                said = "; ".join(each.get("Value", "") for each in result.get("Messages") or ())
                fetch, status = batch[id_], result["StatusCode"]
                raise ToolkitError(
                    f"{fetch.key}: CloudWatch told {status} of its {fetch.stat} {said}".rstrip(),
                    "Ask again, or for a shorter time.",
                )
    return found


def _pages(cloudwatch: Any, arguments: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return list(cloudwatch.get_paginator("get_metric_data").paginate(**arguments))


def _put(store: MetricStore, key: MetricKey, unit: str, series: Mapping[str, Mapping[int, float]]) -> None:
    steps = sorted((Fraction(stat[1:]), stat) for stat in series if stat not in SETS)
    for moment, count in series["SampleCount"].items():
        # All that was asked for is there, or nothing of it counts: CloudWatch has them of the same points.
        figures = {stat: values[moment] for stat, values in series.items() if moment in values}
        if not count or figures.keys() < series.keys():
            continue
        if steps:
            shares = [(share, figures[stat]) for share, stat in steps]
            values, counts = _spread(count, shares, figures["Maximum"])
            store.put(key, [moment] * len(values), values, counts, unit=unit)
        else:
            store.put_statistics(
                key,
                moment,
                total=figures["Sum"],
                minimum=figures["Minimum"],
                maximum=figures["Maximum"],
                count=count,
                unit=unit,
            )


def _spread(count: float, steps: Sequence[tuple[Fraction, float]], most: float) -> tuple[list[float], list[float]]:
    """Values with counts that have these percentiles (share in per cent, value), and that greatest value.

    Each percentile stands for the whole samples from the one below it on, so it is the highest of them. What is looked
    at is kept where there are too few samples for both it and the greatest value.
    """
    values, counts, below = [], [], 0.0
    for share, value in [*steps, (Fraction(100), most)]:
        upto = min(float(ceil(Fraction(count) * share / 100)), count)
        if upto > below:
            values.append(value)
            counts.append(upto - below)
            below = upto
    return values, counts


def _asked(ask: Callable[[], Answer]) -> Answer:
    """What an account answers; a refusal in a sentence."""
    try:
        return ask()
    except ClientError as error:
        code = error.response.get("Error", {}).get("Code", "")
        raise ToolkitError(
            f"the account refuses {error.operation_name}: {error}",
            "Allow it to whoever asks." if "Denied" in code or "Unauthorized" in code else "",
        ) from error
    except BotoCoreError as error:
        raise ToolkitError(f"the account cannot be asked: {error}", "Set AWS_PROFILE and AWS_REGION.") from error
