"""What the cost report measures of a stack: its logs, its functions' memory, its metrics, its ledger's expiry."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from handlers.reporting.figures import Month
from handlers.reporting.looked_at import metric_names
from handlers.reporting.recommendations import Function, LogGroup
from handlers.telemetry.contract import NAMESPACE, STACK

if TYPE_CHECKING:
    from mypy_boto3_cloudwatch import CloudWatchClient
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_lambda import LambdaClient
    from mypy_boto3_logs import CloudWatchLogsClient

_DAY_SECONDS = 86_400

SAMPLED = timedelta(days=3)
"""The end of a month, in which runs are looked at one by one: a busy stack's whole month takes longer than a function
may run."""

_SEARCH_SECONDS = 15.0
"""For one function's runs. What was read until then is enough: the number of runs is told with them."""

_REPORTS = '?"platform.report" ?"REPORT RequestId"'
"""Lambda's line about a run, in its JSON form or its text form.
https://docs.aws.amazon.com/lambda/latest/dg/monitoring-cloudwatchlogs-logformat.html"""

_TEXT_REPORT = re.compile(r"Max Memory Used: (\d+) MB")


class StackFacts:
    """Measures one stack. Raises ClientError, BotoCoreError."""

    def __init__(
        self,
        *,
        stack: str,
        logs: CloudWatchLogsClient,
        cloudwatch: CloudWatchClient,
        lambda_: LambdaClient,
        dynamodb: DynamoDBClient,
    ) -> None:
        self._stack = stack
        self._logs = logs
        self._cloudwatch = cloudwatch
        self._lambda = lambda_
        self._dynamodb = dynamodb

    def log_groups(self, names: Sequence[str], month: Month) -> tuple[LogGroup, ...]:
        """The log groups of those names, as they are now, with what came into each during the month."""
        came_in = self._sums("AWS/Logs", "IncomingBytes", "LogGroupName", names, month)
        described = {name: self._described(name) for name in names}
        return tuple(
            LogGroup(
                name=name,
                came_in=int(came_in[name]),
                kept=group.get("storedBytes", 0),
                retention_days=group.get("retentionInDays"),
            )
            for name, group in described.items()
            if group
        )

    def functions(self, names: Sequence[str], month: Month) -> tuple[Function, ...]:
        """The functions of those names, with the memory that their runs at the end of the month used."""
        milliseconds = self._sums("AWS/Lambda", "Duration", "FunctionName", names, month)
        return tuple(self._function(name, milliseconds[name] / 1000, month.ends) for name in names)

    def unwatched(self) -> tuple[str, ...]:
        """Names of the stack's metrics that had points lately (two weeks, says ListMetrics) and that no alarm and no
        dashboard of the account names."""
        pages = self._cloudwatch.get_paginator("list_metrics").paginate(
            Namespace=NAMESPACE, Dimensions=[{"Name": STACK.name, "Value": self._stack}]
        )
        metrics = {metric["MetricName"] for page in pages for metric in page["Metrics"]}
        return tuple(sorted(metrics - metric_names(self._looking()))) if metrics else ()

    def ledger_forgets(self, table: str) -> bool:
        """Whether the rows of a table expire."""
        answer = self._dynamodb.describe_time_to_live(TableName=table)["TimeToLiveDescription"]
        return answer.get("TimeToLiveStatus") in ("ENABLED", "ENABLING")

    def _described(self, name: str) -> Any:
        pages = self._logs.get_paginator("describe_log_groups").paginate(logGroupNamePrefix=name)
        groups = (group for page in pages for group in page["logGroups"])
        return next((group for group in groups if group["logGroupName"] == name), None)

    def _sums(
        self, namespace: str, metric: str, dimension: str, values: Sequence[str], month: Month
    ) -> dict[str, Decimal]:
        """The sum of one AWS metric over the month, by the value of its one dimension."""
        ids = {f"m{number}": value for number, value in enumerate(values)}
        sums = dict.fromkeys(values, Decimal(0))
        if not values:
            return sums
        pages = self._cloudwatch.get_paginator("get_metric_data").paginate(
            MetricDataQueries=[
                {
                    "Id": id_,
                    "MetricStat": {
                        "Metric": {
                            "Namespace": namespace,
                            "MetricName": metric,
                            "Dimensions": [{"Name": dimension, "Value": value}],
                        },
                        "Period": _DAY_SECONDS,
                        "Stat": "Sum",
                    },
                }
                for id_, value in ids.items()
            ],
            StartTime=month.begins,
            EndTime=month.ends,
        )
        for page in pages:
            for result in page["MetricDataResults"]:
                sums[ids[result["Id"]]] += sum((Decimal(str(value)) for value in result["Values"]), Decimal(0))
        return sums

    def _function(self, name: str, seconds: Decimal, until: datetime) -> Function:
        configuration = self._lambda.get_function_configuration(FunctionName=name)
        group = configuration.get("LoggingConfig", {}).get("LogGroup") or f"/aws/lambda/{name}"
        used = list(self._used(group, until))
        return Function(
            name=name,
            memory_mb=configuration["MemorySize"],
            used_mb=max(used, default=0),
            runs=len(used),
            seconds=seconds,
        )

    def _used(self, group: str, until: datetime) -> Iterator[int]:
        """The memory in MB that each run used."""
        deadline = time.monotonic() + _SEARCH_SECONDS
        pages = self._logs.get_paginator("filter_log_events").paginate(
            logGroupName=group,
            filterPattern=_REPORTS,
            startTime=int((until - SAMPLED).timestamp() * 1000),
            endTime=int(until.timestamp() * 1000),
        )
        for page in pages:
            yield from (used for event in page["events"] if (used := used_memory(event["message"])) is not None)
            if time.monotonic() > deadline:
                return

    def _looking(self) -> Iterator[Any]:
        """Every alarm and dashboard of the account and region, as CloudWatch describes it."""
        for alarms in self._cloudwatch.get_paginator("describe_alarms").paginate(AlarmTypes=["MetricAlarm"]):
            yield from alarms["MetricAlarms"]
        for page in self._cloudwatch.get_paginator("list_dashboards").paginate():
            for entry in page["DashboardEntries"]:
                yield json.loads(self._cloudwatch.get_dashboard(DashboardName=entry["DashboardName"])["DashboardBody"])


def used_memory(line: str) -> int | None:
    """The memory in MB that a run used at most, from Lambda's line about it; None if it is another line."""
    if line.startswith("REPORT RequestId: "):
        found = _TEXT_REPORT.search(line)
        return int(found[1]) if found else None
    try:
        event = json.loads(line)
        return int(event["record"]["metrics"]["maxMemoryUsedMB"]) if event["type"] == "platform.report" else None
    except (ValueError, KeyError, TypeError):
        return None
