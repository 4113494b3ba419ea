"""The emergency brake: the function that makes of each lane what its state says, and whether it takes."""

import json
from typing import Final, NotRequired, TypedDict

import pulumi

from components.checks import refuse, short_enough
from components.consumer import BATCH_SIZE, HandlerRuntime, handler_function
from components.queues import own_queue
from components.schedule import SCHEDULED_TIME, every, scheduled
from components.stream import follow, reads
from components.watch import (
    FIVE_MINUTES,
    MINUTE,
    Alarm,
    Board,
    Comparison,
    Graph,
    LogTable,
    Missing,
    SavedQuery,
    Series,
    Severity,
    Size,
    Watch,
    filled,
    own,
)
from handlers.telemetry.contract import BRAKE_ENGAGED, BRAKE_FAULTS

HANDLER: Final = "handlers.brake.handler"
# It waits more than it works; below this the cold start's imports take seconds.
MEMORY_MB: Final = 256
# Lambda takes no second change of a mapping while the first is under way, which can last most of a minute.
TIMEOUT_SECONDS: Final = 60
# What a ramp's stage lasts at least (handlers/guarding/brake.py). As often, whatever somebody changed by hand is put
# right, and a brake that did not take is tried once more.
EVERY_MINUTES: Final = 5
# Three runs that did not come: one may be late by a minute, and CloudWatch's windows slide.
SILENCE: Final = 3 * EVERY_MINUTES * MINUTE

# handlers/brake.py logs each once, as it sees the change in the table's stream.
CHANGES: Final = (
    'filter message in ["engaged", "released", "trial passed"]'
    " | fields @timestamp, lane, message as what, holder, by, reason | sort @timestamp desc"
)


class BrakedLane(TypedDict):
    """What the brake holds of a lane."""

    mapping_uuid: pulumi.Input[str]
    """Id of the event source mapping from the lane's queue."""

    mapping_arn: pulumi.Input[str]
    """ARN of that mapping."""

    configuration_set_name: pulumi.Input[str]
    """Name of the lane's SES configuration set."""

    configuration_set_arn: pulumi.Input[str]
    """ARN of that configuration set."""


class BrakeArgs(TypedDict):
    """Which lanes can be held, and where that is said."""

    runtime: HandlerRuntime
    """The code that the function runs on."""

    lanes: dict[str, BrakedLane]
    """The lanes, by their names."""

    control_stream_arn: pulumi.Input[str]
    """ARN of the control table's stream."""

    require_tls: NotRequired[bool]
    """Whether the queue of failed runs denies plain HTTP. Default true; an emulator without TLS needs false."""


class Brake(pulumi.ComponentResource):
    """Function `brake`, which follows the lanes of the control table: it disables and enables event source mappings,
    and pauses and resumes configuration sets. It runs on each change, and every five minutes to see to it that all is
    as it should be. What it could not do in spite of every retry is in queue `brake-dlq`."""

    function_arn: pulumi.Output[str]
    """ARN of the function's alias `live`."""

    function_name: pulumi.Output[str]
    """Name of the function."""

    log_group_name: pulumi.Output[str]
    """Name of the function's log group."""

    dlq_arn: pulumi.Output[str]
    """ARN of the queue of failed runs."""

    def __init__(self, name: str, args: BrakeArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        lanes = args["lanes"]
        refuse(
            "Brake",
            name,
            [
                None if lanes else "lanes is empty, so that there is nothing to hold",
                short_enough("role", f"{name}-brake-schedule", 64),
            ],
        )
        super().__init__("mailroom:index:Brake", name, None, opts)

        # Kept to be looked at, not to be run again: the next run looks at the table itself. No alarm watches it, as
        # each run that fails tells so by itself.
        dlq = own_queue(self, f"{name}-brake-dlq", require_tls=args.get("require_tls", True))
        function = handler_function(
            self,
            f"{name}-brake",
            handler=HANDLER,
            description="Holds and releases lanes, as the control table says",
            runtime=args["runtime"],
            memory_mb=MEMORY_MB,
            timeout_seconds=TIMEOUT_SECONDS,
            environment={
                "LANES": pulumi.Output.json_dumps(
                    {
                        lane: {"mapping": each["mapping_uuid"], "configurationSet": each["configuration_set_name"]}
                        for lane, each in lanes.items()
                    },
                    sort_keys=True,
                ),
                "FULL_BATCH": str(BATCH_SIZE),
            },
            statements=[
                {
                    "actions": ["lambda:GetEventSourceMapping", "lambda:UpdateEventSourceMapping"],
                    "resources": [each["mapping_arn"] for each in lanes.values()],
                },
                {
                    "actions": ["ses:GetConfigurationSet", "ses:PutConfigurationSetSendingOptions"],
                    "resources": [each["configuration_set_arn"] for each in lanes.values()],
                },
                {
                    "actions": ["dynamodb:GetItem", "dynamodb:PutItem"],
                    "resources": [args["runtime"]["control_table_arn"]],
                },
                reads(args["control_stream_arn"]),
            ],
            failure_queue_arn=dlq.arn,
        )
        follow(
            self,
            f"{name}-brake",
            args["control_stream_arn"],
            function,
            dlq.arn,
            patterns=[{"dynamodb": {"Keys": {"scope": {"S": ["lane"]}}}}],
        )
        scheduled(
            self,
            f"{name}-brake",
            function.alias_arn,
            expression=every(EVERY_MINUTES),
            description="Sees to it that each lane is held or let go as it should be",
            input=json.dumps({"at": SCHEDULED_TIME}),
        )

        self._function, self._stack = function, args["runtime"]["stack"]
        self.function_arn = function.alias_arn
        self.function_name = function.function_name
        self.log_group_name = function.log_group_name
        self.dlq_arn = dlq.arn
        self.register_outputs(
            {
                "function_arn": self.function_arn,
                "function_name": self.function_name,
                "log_group_name": self.log_group_name,
                "dlq_arn": self.dlq_arn,
            }
        )

    def watch(self) -> Watch:
        """Lanes that are held, holds that did not take, and a brake that would not take one."""
        engaged = Alarm(
            component="brake",
            condition="engaged",
            severity=Severity.PAGE,
            summary="A lane is held: its orders wait in the queue and no email goes out. Who holds it and why:"
            " `python -m ops status`",
            # Minimum: the release, told once, ends it at once. Maximum would bring the hold back when the next period
            # is empty, as CloudWatch then takes an older one, with both in it.
            signal=own(BRAKE_ENGAGED, self._stack, "Minimum", "lanes held"),
            comparison=Comparison.AT_LEAST,
            threshold=1,
            because="one lane, by a guard or a person: nothing is lost within the queue's 14 days, and nothing is"
            " released by itself",
            period=FIVE_MINUTES,
            missing=Missing.NOT_BREACHING,
            missing_because="the metric has points while a lane is held, one a run, whose single gaps CloudWatch fills"
            " with older ones; that the brake runs is watched by brake-silent",
        )
        failing = Alarm(
            component="brake",
            condition="failing",
            severity=Severity.PAGE,
            summary="The brake did not take, or a guard is blind: a lane may send what it must not, or nothing",
            signal=own(BRAKE_FAULTS, self._stack, "Sum", "faults"),
            comparison=Comparison.AT_LEAST,
            threshold=1,
            because="one: the brake has looked, and the event source mapping or the configuration set is not what the"
            " control table says; it is tried again. Or bounces and complaints could not be counted, which is not",
            period=FIVE_MINUTES,
            missing=Missing.NOT_BREACHING,
            missing_because="the metric has a point only when it happens",
        )
        silent = Alarm(
            component="brake",
            condition="silent",
            severity=Severity.TICKET,
            summary="The brake does not run: holds are not checked, and ramps after a release stand still",
            signal=filled(
                "runs",
                Series(
                    namespace="AWS/Lambda",
                    metric="Invocations",
                    dimensions={"FunctionName": self.function_name},
                    stat="Sum",
                    label="runs",
                ),
            ),
            comparison=Comparison.BELOW,
            threshold=1,
            because=f"no run in {SILENCE // MINUTE} min, in which {SILENCE // (EVERY_MINUTES * MINUTE)} were due",
            period=SILENCE,
            missing=Missing.BREACHING,
            missing_because="without a run for hours there is nothing to fill: Lambda reports what was invoked",
        )
        section, groups = "Are lanes held?", [self.log_group_name]
        return Watch(
            metrics=[BRAKE_ENGAGED, BRAKE_FAULTS],
            alarms=[engaged, failing, silent],
            widgets=[
                Graph(
                    board=Board.OUTCOMES,
                    section=section,
                    title="Lanes that the emergency brake holds, and faults of brake and guards",
                    signals=[own(BRAKE_ENGAGED, self._stack, "Maximum", "lanes held"), failing.signal],
                    unit="lanes",
                    lines=[engaged],
                ),
                LogTable(
                    board=Board.OUTCOMES,
                    section=section,
                    title="Who held and released which lane, and why",
                    query=CHANGES + " | limit 20",
                    log_groups=groups,
                    size=Size.HALF,
                ),
            ],
            queries=[SavedQuery(name="brake-changes", query=CHANGES, log_groups=groups)],
        ) + self._function.watch(
            "brake", errors=Severity.PAGE, consequence="lanes are not held or released", errors_only=True
        )
