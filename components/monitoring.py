"""From what components say about themselves to alarms, composites, dashboards and saved queries: their only maker."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

import pulumi
import pulumi_aws as aws

from components.checks import refuse
from components.cost import Line, bill, per_thousand, refuse_above, total
from components.dashboard import body
from components.sender import BOUNCE_PERIOD
from components.watch import (
    BRAKE_ENGAGED_PAGE,
    HOUR,
    MINUTE,
    PIPELINE_DOWN,
    REPUTATION_AT_RISK,
    Alarm,
    Board,
    Composite,
    Expression,
    SavedQuery,
    Series,
    Severity,
    Watch,
)
from handlers.telemetry.contract import AlarmCard, Metric

# How long a composite keeps quiet once its cause and the echo of it are over: data points come up to a minute late, and
# alarms are evaluated once a minute.
SUPPRESSOR_EXTENSION: Final = 300
# The brake has told long before its orders have waited for too long, so these pages need not be kept back for it: one
# turn of the alarms, in case both come at once.
BRAKE_WAIT: Final = MINUTE

ONE_ORDERS_LIFE: Final = (
    'filter order_id = "ORDER_ID"'
    " | fields @timestamp, coalesce(function, @log) as who, message, status, reason, trace_id | sort @timestamp"
)
"""Over all functions' logs: put the order's id in, and read down."""

SUMMARIES: Final[Mapping[str, tuple[str, str, int]]] = {
    PIPELINE_DOWN: (
        "Orders do not become emails",
        "any sign of it: nothing goes out, orders wait, the function fails, or the probe does not arrive",
        # What has waited is handled at the ramp's pace, and the age of the oldest falls last.
        HOUR,
    ),
    REPUTATION_AT_RISK: (
        "AWS may pause the whole account: bounces or complaints are too many",
        "any of the critical rates, by our own count or by SES's",
        # What the lane was held for is in the rate's window for as long.
        BOUNCE_PERIOD,
    ),
}
"""Of the composites that gather what components say belongs to them: summary, why they are as they are, and how long
they may last when the brake has let go: a lane that is held shows all the signs of a pipeline that is down, and has
told already."""


@dataclass(frozen=True, kw_only=True)
class MonitoringArgs:
    """What is watched, and who is told. Plain Python, unlike other components' arguments: watches are Python's own.

    Attributes:
        stack, region: where.
        watches: what the components say about themselves.
        composites: besides those that components name.
        alarms_topic_arn: where alarms are sent to be made readable.
        page_topic_arn: where alarms on that very way are sent, past it.
        runbook_url: address of docs/runbook.md, as people reach it.
        emails, probe_minutes, budget: what the cost is worked out from, and USD a month that it may be.
        queries: whether saved queries are made; an emulator lacks them.
    """

    stack: str
    region: str
    watches: Sequence[Watch]
    composites: Sequence[Composite]
    alarms_topic_arn: pulumi.Input[str]
    page_topic_arn: pulumi.Input[str]
    runbook_url: str
    emails: int
    probe_minutes: int
    budget: Decimal
    queries: bool = True


class Monitoring(pulumi.ComponentResource):
    """Alarms, the composites that speak for them, a dashboard for each board that has widgets, and saved queries."""

    dashboards: dict[str, str]
    """The dashboards' addresses in the console: `outcomes`, `resources`."""

    cost: dict[str, Any]
    """What watching costs in USD: `total` a month, its `lines` (what, quantity, usd), and what `per_thousand_emails`
    add; a month is expected to have `emails`."""

    def __init__(self, name: str, args: MonitoringArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        watch = sum(args.watches, Watch())
        composites = [*gathered(watch.alarms), *args.composites]
        boards = [board for board in Board if any(widget.board is board for widget in watch.widgets)]
        refuse("Monitoring", name, faults(watch.alarms, composites))
        lines = bill(
            watch.alarms,
            composites,
            metrics_of(watch),
            dashboards=len(boards),
            emails=args.emails,
            probe_minutes=args.probe_minutes,
        )
        refuse_above(args.budget, lines)
        super().__init__("mailroom:index:Monitoring", name, None, opts)
        self._name, self._args = name, args

        made: dict[str, aws.cloudwatch.MetricAlarm | aws.cloudwatch.CompositeAlarm] = {}
        made |= {alarm.name: self._alarm(alarm) for alarm in watch.alarms}
        # A composite that is somebody's suppressor has to be there first.
        for composite in sorted(composites, key=lambda each: each.suppressed_by not in made):
            made[composite.name] = self._composite(composite, made)
        # On the one board who is told of what, on the other what lies behind it.
        parts = {alarm.name for alarm in watch.alarms if alarm.part_of}
        shown = {
            Board.OUTCOMES: [each.arn for name_, each in made.items() if name_ not in parts],
            Board.RESOURCES: [each.arn for name_, each in made.items() if name_ in parts],
        }
        for board in boards:
            aws.cloudwatch.Dashboard(
                f"{name}-{board}",
                dashboard_name=self._physical(board),
                dashboard_body=pulumi.Output.json_dumps(
                    body(
                        board,
                        watch.widgets,
                        region=args.region,
                        header=self._header(board, boards, lines),
                        runbook_url=args.runbook_url,
                        alarms=shown[board],
                    ),
                    sort_keys=True,
                ),
                opts=pulumi.ResourceOptions(parent=self),
            )
        life = SavedQuery(name="one-orders-life", query=ONE_ORDERS_LIFE, log_groups=watch.log_groups)
        for query in [*watch.queries, life] if args.queries and watch.log_groups else ():
            aws.cloudwatch.QueryDefinition(
                f"{name}-{query.name}",
                name=f"{name}/{args.stack}/{query.name}",
                query_string=query.query,
                log_group_names=list(query.log_groups),
                opts=pulumi.ResourceOptions(parent=self),
            )
        self.dashboards = {board.value: self._console(board) for board in boards}
        self.cost = {
            "total": f"{total(lines)}",
            "lines": [{"what": line.what, "quantity": line.quantity, "usd": f"{line.usd:.2f}"} for line in lines],
            "per_thousand_emails": f"{sum(line.usd for line in per_thousand()):.3f}",
            "emails": args.emails,
        }
        self.register_outputs({"dashboards": self.dashboards, "cost": self.cost})

    def _alarm(self, alarm: Alarm) -> aws.cloudwatch.MetricAlarm:
        needed, judged = alarm.points
        return aws.cloudwatch.MetricAlarm(
            f"{self._name}-{alarm.name}",
            name=self._physical(alarm.name),
            alarm_description=self._card(alarm, because=alarm.because, missing=_missing(alarm)),
            comparison_operator=alarm.comparison.value,
            threshold=alarm.threshold,
            evaluation_periods=judged,
            datapoints_to_alarm=needed,
            treat_missing_data=alarm.missing.value,
            **_signal(alarm),
            **({} if alarm.part_of else self._tells(alarm.unheard)),
            opts=pulumi.ResourceOptions(parent=self),
        )

    def _composite(self, composite: Composite, made: Mapping[str, pulumi.Resource]) -> aws.cloudwatch.CompositeAlarm:
        children = [made[name] for group in composite.any_of for name in group]
        suppressor = self._physical(composite.suppressed_by) if composite.suppressed_by else None
        return aws.cloudwatch.CompositeAlarm(
            f"{self._name}-{composite.name}",
            alarm_name=self._physical(composite.name),
            alarm_description=self._card(composite, because=composite.because, missing=""),
            alarm_rule=rule(composite, self._physical),
            **self._tells(unheard=False),
            actions_suppressor=(
                {
                    "alarm": suppressor,
                    "wait_period": composite.wait,
                    "extension_period": composite.echo + SUPPRESSOR_EXTENSION,
                }
                if suppressor
                else None
            ),
            # A rule names its children, so CloudWatch wants them to be there.
            opts=pulumi.ResourceOptions(
                parent=self, depends_on=[*children, *([made[composite.suppressed_by]] if suppressor else [])]
            ),
        )

    def _header(self, board: Board, boards: Sequence[Board], lines: Sequence[Line]) -> str:
        """What stands on top of a dashboard: its question, where to go on, and on the first what watching costs."""
        question, other, elsewhere = {
            Board.OUTCOMES: ("are emails going out?", Board.RESOURCES, "What broke?"),
            Board.RESOURCES: ("what broke?", Board.OUTCOMES, "Are emails going out?"),
        }[board]
        links = [f"[{elsewhere}]({self._console(other)})"] if other in boards else []
        links.append(f"[What to do when an alarm is raised]({self._args.runbook_url})")
        top = f"# {self._args.stack}: {question}\n{' · '.join(links)}"
        if board is not Board.OUTCOMES:
            return top
        listed = ", ".join(f"{line.what} {line.usd:.2f}" for line in lines if line.usd >= Decimal("0.005"))
        volume = total(per_thousand())
        return (
            f"{top}\n\nWatching this stack costs **{total(lines)} USD a month** and {volume} for 1,000"
            f" emails (logs, traces): {listed}."
        )

    def _console(self, board: Board) -> str:
        home = f"https://{self._args.region}.console.aws.amazon.com/cloudwatch/home?region={self._args.region}"
        return f"{home}#dashboards/dashboard/{self._physical(board)}"

    def _tells(self, unheard: bool) -> dict[str, Any]:
        """Whom an alarm tells: of both, trouble and its end."""
        topic = [self._args.page_topic_arn if unheard else self._args.alarms_topic_arn]
        return {"alarm_actions": topic, "ok_actions": topic}

    def _card(self, alarm: Alarm | Composite, *, because: str, missing: str) -> str:
        return AlarmCard(
            summary=alarm.summary,
            severity=alarm.severity.value,
            runbook=f"{self._args.runbook_url}#{alarm.anchor}",
            because=because,
            missing=missing,
        ).text()

    def _physical(self, name: str) -> str:
        """The alarm's name on CloudWatch: stacks may share an account."""
        return f"{self._name}-{self._args.stack}-{name}"


def gathered(alarms: Sequence[Alarm]) -> list[Composite]:
    """The composites that components gave alarms to, each in ALARM when any of its alarms is. Where there is a brake,
    they keep quiet while it holds a lane."""
    braked = any(alarm.name == BRAKE_ENGAGED_PAGE for alarm in alarms)
    return [
        Composite(
            condition=name.removesuffix(f"-{Severity.PAGE}"),
            severity=Severity.PAGE,
            summary=summary,
            any_of=[[alarm.name] for alarm in members],
            because=because,
            suppressed_by=BRAKE_ENGAGED_PAGE if braked else "",
            wait=BRAKE_WAIT,
            echo=echo if braked else 0,
        )
        for name, (summary, because, echo) in SUMMARIES.items()
        if (members := [alarm for alarm in alarms if alarm.part_of == name])
    ]


def rule(composite: Composite, physical: Any) -> str:
    """The composite's alarm rule."""
    groups = [" AND ".join(f'ALARM("{physical(name)}")' for name in group) for group in composite.any_of]
    return " OR ".join(f"({group})" if " AND " in group else group for group in groups)


def faults(alarms: Sequence[Alarm], composites: Sequence[Composite]) -> list[str]:
    """What is wrong with the alarms as a whole."""
    counts = Counter([alarm.name for alarm in alarms] + [composite.name for composite in composites])
    found = [f"two alarms are named {name}" for name, count in counts.items() if count > 1]
    children = {name for composite in composites for group in composite.any_of for name in group}
    found += [f"{composite.name} has no alarms" for composite in composites if not any(composite.any_of)]
    found += [f"there is no alarm {name} for a composite to look at" for name in sorted(children - counts.keys())]
    found += [
        f"{alarm.name} tells nobody: it is said to be part of {alarm.part_of}, which does not look at it"
        for alarm in alarms
        if alarm.part_of and alarm.name not in children
    ]
    found += [
        f"{composite.name} is suppressed by {composite.suppressed_by}, which is not there"
        for composite in composites
        if composite.suppressed_by and composite.suppressed_by not in counts
    ]
    return found


def metrics_of(watch: Watch) -> list[Metric]:
    """Our own metrics that the watch makes somebody emit, each once."""
    return list(dict.fromkeys(watch.metrics))


def _missing(alarm: Alarm) -> str:
    return f"{alarm.missing.value}, as {alarm.missing_because}"


def _signal(alarm: Alarm) -> dict[str, Any]:
    """The part of an alarm's properties that says what is compared."""
    match alarm.signal:
        case Series() as series:
            return {**_metric(series), "period": alarm.period, **_statistic(series.stat)}
        case Expression() as expression:
            return {
                "metric_queries": [
                    {
                        "id": "result",
                        "expression": expression.formula,
                        "label": expression.label,
                        "return_data": True,
                    },
                    *(
                        {"id": id_, "metric": {**_metric(series), "period": alarm.period, "stat": series.stat}}
                        for id_, series in expression.series.items()
                    ),
                ]
            }


def _metric(series: Series) -> dict[str, Any]:
    return {
        "namespace": series.namespace,
        "metric_name": series.metric,
        **({"dimensions": dict(series.dimensions)} if series.dimensions else {}),
    }


def _statistic(stat: str) -> dict[str, str]:
    return {"extended_statistic" if stat.startswith("p") else "statistic": stat}
