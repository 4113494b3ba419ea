"""What watching costs a month, line by line, from what is registered. Prices of us-east-1, before AWS's free tier; they
are the toolkit's (`observability/prices.yaml`), and its bill comes to the same.

Custom metrics are billed by the hour in which they have points, so one that speaks rarely costs little: a metric with n
points a month, at random, has points in a share 1 - e^(-n/730) of the hours.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from typing import Final

import pulumi

from components.watch import Alarm, Composite, Expression
from handlers.telemetry import contract
from handlers.telemetry.contract import Metric
from observability.prices import HOURS, Plan, load, share_of_hours

PRICES: Final = load()

READ_ON: Final = PRICES.read
"""When the prices were read."""

METRIC_MONTH: Final = PRICES["cloudwatch.metric"].each
ALARM_METRIC_MONTH: Final = PRICES["cloudwatch.alarm-metric"].each
COMPOSITE_MONTH: Final = PRICES["cloudwatch.composite"].each
DASHBOARD_MONTH: Final = PRICES["cloudwatch.dashboard"].each
LOG_GB: Final = PRICES["logs.gb"].each
TRACE: Final = PRICES["xray.trace"].each
EMAIL: Final = PRICES.under(Plan.ESSENTIALS, "ses.email").each
GB_SECOND: Final = PRICES["lambda.gb-second.arm64"].each
REQUEST: Final = PRICES["lambda.request"].each

FREE_DASHBOARDS: Final = int(PRICES["cloudwatch.dashboard"].free)
"""AWS's free tier gives an account its first three dashboards. All other lines are before the free tier."""

# Points a month for 1,000 emails. What every email does is certain. The rest is an assumption of what a healthy shop
# sees: 1 % hard and 1 % soft bounces, a complaint in 5,000, an order in a thousand that is repeated, malformed or off.
POINTS: Final[Mapping[Metric, float]] = {
    contract.EMAILS_SENT: 1000,
    contract.SEND_MISSES: 1000,
    contract.DELIVERIES: 980,
    contract.DELIVERY_LATENCY: 980,
    contract.DELIVERY_MISSES: 990,
    contract.FEEDBACK_MISSES: 1000,
    contract.BOUNCES: 10,
    contract.SOFT_BOUNCES: 10,
    contract.DELIVERY_DELAYS: 5,
    contract.SUPPRESSIONS: 2,
    contract.COMPLAINTS: 0.2,
    contract.DUPLICATES_PREVENTED: 1,
    contract.ORDERS_QUARANTINED: 1,
    contract.SEND_RETRIES: 1,
    contract.TOTAL_MISMATCHES: 1,
    contract.ORDER_CONFLICTS: 0.1,
    contract.SEND_FAILURES: 0.1,
    contract.SENDS_UNKNOWN: 0.01,
    contract.REJECTS: 0.01,
    contract.FEEDBACK_UNMATCHED: 0.1,
    contract.BRAKE_ENGAGED: 0.1,
    contract.BRAKE_FAULTS: 0.01,
    contract.REPUTATION_WARNINGS: 0.01,
}
# Every function tells at each of its runs, and the brake runs every five minutes.
EVERY_HOUR: Final = (contract.ESTIMATED_SPEND,)
BY_THE_PROBER: Final = (contract.OLDEST_OPEN_EMAIL, contract.PROBE_FAILURES)

# `make demo` logs 2.5 kB an email (build/local/demo/*.jsonl). Lambda's own lines are not there: 0.5 kB for each of
# three invocations is an estimate.
LOG_BYTES_PER_EMAIL: Final = 4_000
# The order's, and one for each invocation: one to send, two to record that it was sent and delivered. All are recorded
# as long as there are fewer than one a second; X-Ray then takes 5 %.
TRACES_PER_EMAIL: Final = 4
# A probe waits for its email, mostly for a few seconds, in 256 MB.
PROBE_GB_SECONDS: Final = Decimal(10) * Decimal("0.25")


class BudgetError(pulumi.RunError, ValueError):
    """Watching would cost more than the setting allows. The CLI prints the message and no stack trace."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the bill: so many of what, and USD (a month, or for 1,000 emails)."""

    what: str
    quantity: str
    usd: Decimal


def bill(
    alarms: Sequence[Alarm],
    composites: Sequence[Composite],
    metrics: Sequence[Metric],
    *,
    dashboards: int,
    emails: int,
    probe_minutes: int,
) -> list[Line]:
    """The lines that the fixed cost of watching adds up from: what a month costs before the first log line.

    Args:
        metrics: those that the components in use emit.
        emails: confirmations a month.
        probe_minutes: minutes from one probe to the next.
    """
    paid = max(0, dashboards - FREE_DASHBOARDS)
    watched = sum(_metrics_in(alarm) for alarm in alarms)
    probes = Decimal(HOURS * 60) / probe_minutes
    always = [metric for metric in metrics if metric not in BY_THE_PROBER and _share(metric, emails) > Decimal("0.99")]
    rare = [metric for metric in metrics if metric not in BY_THE_PROBER and metric not in always]
    probed = [metric for metric in metrics if metric in BY_THE_PROBER]
    return [
        Line("dashboards (an account's first three are in AWS's free tier)", str(dashboards), paid * DASHBOARD_MONTH),
        Line("metrics in alarms", f"{watched} in {len(alarms)} alarms", watched * ALARM_METRIC_MONTH),
        Line("composite alarms", str(len(composites)), len(composites) * COMPOSITE_MONTH),
        Line("metrics of every hour", str(len(always)), _metrics(always, emails)),
        Line("metrics of some hours", str(len(rare)), _metrics(rare, emails)),
        Line("metrics of the prober", str(len(probed)), len(probed) * METRIC_MONTH * min(Decimal(1), probes / HOURS)),
        Line(
            "probes",
            f"{probes:.0f}",
            probes * (EMAIL + PROBE_GB_SECONDS * GB_SECOND + REQUEST),
        ),
    ]


def per_thousand() -> list[Line]:
    """What 1,000 emails add: their logs and traces."""
    return [
        Line("logs", f"{LOG_BYTES_PER_EMAIL / 1000:g} MB", Decimal(1000 * LOG_BYTES_PER_EMAIL) / 10**9 * LOG_GB),
        Line("traces, all recorded", f"{1000 * TRACES_PER_EMAIL:,}", 1000 * TRACES_PER_EMAIL * TRACE),
    ]


def total(lines: Sequence[Line]) -> Decimal:
    """The sum, in USD a month, in whole cents."""
    return sum((line.usd for line in lines), Decimal(0)).quantize(Decimal("0.01"), ROUND_HALF_UP)


def refuse_above(limit: Decimal, lines: Sequence[Line]) -> None:
    """Raises BudgetError, with the list, when the total is above `limit` USD a month."""
    if (sum_ := total(lines)) > limit:
        listed = "\n".join(f"  {line.usd:8.2f}  {line.what}: {line.quantity}" for line in lines)
        raise BudgetError(
            f"watching this stack would cost {sum_} USD a month, and monitoringBudget allows {limit:f}:\n{listed}\n"
            "Raise the budget (pulumi config set monitoringBudget), probe less often (probeMinutes), or go without the"
            " objectives' alarms (objectives)."
        )


def _metrics_in(alarm: Alarm) -> int:
    return len(alarm.signal.series) if isinstance(alarm.signal, Expression) else 1


def _share(metric: Metric, emails: int) -> Decimal:
    """Share of a month's hours in which the metric has a point."""
    if metric in EVERY_HOUR:
        return Decimal(1)
    return share_of_hours(Decimal(str(POINTS[metric])) * emails / 1000)


def _metrics(metrics: Sequence[Metric], emails: int) -> Decimal:
    return sum((METRIC_MONTH * metric.series * _share(metric, emails) for metric in metrics), Decimal(0))
