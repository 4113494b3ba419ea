"""The reputation guard: a function that judges a lane's bounces and complaints whenever one more is counted."""

from typing import Final, NotRequired, TypedDict

import pulumi

from components.checks import refuse, short_enough
from components.consumer import HandlerRuntime, handler_function
from components.queues import own_queue
from components.stream import follow, reads
from components.watch import HOUR, Alarm, Board, Comparison, Graph, Missing, Severity, Watch, filled, own
from handlers.guarding.tally import outcomes
from handlers.telemetry.contract import REPUTATION_WARNINGS

HANDLER: Final = "handlers.reputation_guard.handler"
OUTCOMES: Final = outcomes("")
"""What the scope of every lane's tally of outcomes begins with."""

# It adds up numbers; below this the cold start's imports take seconds.
MEMORY_MB: Final = 256
# Outcomes come one by one, and only the latest tally matters: gathered, a burst is judged once and not a hundred times.
# At 14 emails a second, ten seconds let 140 more of them out.
BATCHING_WINDOW_SECONDS: Final = 10
BATCH_SIZE: Final = 100


class ReputationGuardArgs(TypedDict):
    """Which tallies are judged."""

    runtime: HandlerRuntime
    """The code that the function runs on. Lanes are held in its control table."""

    control_stream_arn: pulumi.Input[str]
    """ARN of the stream of the control table."""

    require_tls: NotRequired[bool]
    """Whether the queue of batches that were given up denies plain HTTP. Default true; an emulator without TLS needs
    false."""


class ReputationGuard(pulumi.ComponentResource):
    """Function `reputation-guard`, which follows the control table's tallies of outcomes and holds a lane whose bounces
    or complaints are too many, and queue `reputation-guard-dlq` of batches that were given up."""

    function_name: pulumi.Output[str]
    """Name of the function."""

    log_group_name: pulumi.Output[str]
    """Name of the function's log group."""

    dlq_arn: pulumi.Output[str]
    """ARN of the queue of batches that were given up."""

    def __init__(self, name: str, args: ReputationGuardArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        refuse("ReputationGuard", name, [short_enough("function", f"{name}-reputation-guard", 64)])
        super().__init__("mailroom:index:ReputationGuard", name, None, opts)
        runtime, stream = args["runtime"], args["control_stream_arn"]

        # Kept to be looked at. No alarm watches it: the next outcome has the same tally judged again, and as long as
        # that fails, too, the function's errors page.
        dlq = own_queue(self, f"{name}-reputation-guard-dlq", require_tls=args.get("require_tls", True))
        function = handler_function(
            self,
            f"{name}-reputation-guard",
            handler=HANDLER,
            description="Judges bounces and complaints, and holds the lane at fault",
            runtime=runtime,
            statements=[
                {
                    "actions": ["dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:Query"],
                    "resources": [runtime["control_table_arn"]],
                },
                reads(stream),
                {"actions": ["sqs:SendMessage"], "resources": [dlq.arn]},
            ],
            environment={},
            memory_mb=MEMORY_MB,
        )
        follow(
            self,
            f"{name}-reputation-guard",
            stream,
            function,
            dlq.arn,
            patterns=[{"dynamodb": {"Keys": {"scope": {"S": [{"prefix": OUTCOMES}]}}}}],
            batch_size=BATCH_SIZE,
            batching_window_seconds=BATCHING_WINDOW_SECONDS,
        )

        self._function, self._stack = function, runtime["stack"]
        self.function_name = function.function_name
        self.log_group_name = function.log_group_name
        self.dlq_arn = dlq.arn
        self.register_outputs(
            {
                "function_name": self.function_name,
                "log_group_name": self.log_group_name,
                "dlq_arn": self.dlq_arn,
            }
        )

    def watch(self) -> Watch:
        """Warnings, and whether there is a guard at all."""
        warnings = own(REPUTATION_WARNINGS, self._stack, "Sum", "warnings")
        warning = Alarm(
            component="reputation",
            condition="warning",
            severity=Severity.TICKET,
            summary="Bounces or complaints of a lane rise: the guard holds it if they go on",
            signal=filled("warnings", warnings),
            comparison=Comparison.AT_LEAST,
            threshold=1,
            because="one warning: the guard warns on evidence, not on a rate (docs/guards-simulation.md). Counts one"
            " stack's emails; the log says which lane, and what was found",
            period=HOUR,
            missing=Missing.NOT_BREACHING,
            missing_because="a guard that is content says nothing; that it runs is watched by its errors",
        )
        return Watch(
            metrics=[REPUTATION_WARNINGS],
            alarms=[warning],
            widgets=[
                Graph(
                    board=Board.OUTCOMES,
                    section="To whom do they not go out?",
                    title="Warnings of the reputation guard: bounces or complaints that may come to hold a lane",
                    signals=[warnings],
                    unit="warnings in an hour",
                    lines=[warning],
                    period=HOUR,
                )
            ],
        ) + self._function.watch(
            "reputation-guard",
            errors=Severity.PAGE,
            consequence="bounces and complaints hold no lane",
            errors_only=True,
        )
