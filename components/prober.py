"""The prober: on a schedule, an order of our own through the front door, and the age of the oldest open email."""

from typing import Final, NotRequired, TypedDict

import pulumi
import pulumi_aws as aws

from components.checks import between, refuse, short_enough
from components.consumer import HandlerRuntime, handler_function
from components.function import ALIAS
from components.queues import own_queue
from components.schedule import LEAST_EVENT_AGE, every, scheduled
from components.sender import MAX_DELIVERY_SECONDS
from components.watch import (
    HOUR,
    MINUTE,
    PIPELINE_DOWN,
    Alarm,
    Board,
    Comparison,
    Graph,
    Missing,
    Severity,
    Watch,
    own,
)
from handlers.telemetry.contract import OLDEST_OPEN_EMAIL, PROBE_FAILURES

HANDLER: Final = "handlers.probe.handler"
# It waits more than it works; below this the cold start's imports take seconds.
MEMORY_MB: Final = 256
# A letter is at the mailbox simulator within some five seconds; a cold start of both handlers and a retry of SQS's
# polling fit ten times over.
PROBE_SECONDS: Final = 60
# On top of what a probe may take: the query, the publication and the last look at the ledger may each need the 24 s
# that their client gives up after (handlers/adapters/clients.py), and the report still has to be written.
SPARE_SECONDS: Final = 80

# Longer than SES tries: an email without an outcome by then will not have one by itself. The hour is for the event.
OLDEST_OPEN: Final = MAX_DELIVERY_SECONDS + HOUR


class ProberArgs(TypedDict):
    """What is probed, and how often."""

    runtime: HandlerRuntime
    """The code that the function runs on."""

    topic_arn: pulumi.Input[str]
    """ARN of the topic of orders. The function may publish to a topic that is encrypted with the AWS-managed key of
    SNS; a key of your own has to let it."""

    ledger_table_name: pulumi.Input[str]
    """Name of the ledger's table."""

    ledger_table_arn: pulumi.Input[str]
    """ARN of the ledger's table."""

    every_minutes: int
    """Minutes from one probe to the next, 1 to 1440. Two that fail in a row page."""

    require_tls: NotRequired[bool]
    """Whether the queue of failed runs denies plain HTTP. Default true; an emulator without TLS needs false."""

    probe_seconds: NotRequired[int]
    """Seconds that a probe may take to be delivered, 10 to 600. Default 60."""


class Prober(pulumi.ComponentResource):
    """Function `probe`, the schedule that runs it, and the queue `probe-dlq` of runs that failed. Its orders are real
    and take the lane `probe`, so that no business metric counts them; their emails go to SES's mailbox simulator."""

    function_arn: pulumi.Output[str]
    """ARN of the function's alias `live`."""

    function_name: pulumi.Output[str]
    """Name of the function."""

    log_group_name: pulumi.Output[str]
    """Name of the function's log group."""

    dlq_arn: pulumi.Output[str]
    """ARN of the queue of failed runs."""

    def __init__(self, name: str, args: ProberArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        # From other languages, whole numbers arrive as floats.
        minutes, seconds = int(args["every_minutes"]), int(args.get("probe_seconds", PROBE_SECONDS))
        refuse(
            "Prober",
            name,
            [
                between("every_minutes", minutes, 1, 1440, "minutes"),
                between("probe_seconds", seconds, 10, 600, "seconds"),
                short_enough("role", f"{name}-probe-schedule", 64),
            ],
        )
        super().__init__("mailroom:index:Prober", name, None, opts)
        runtime = args["runtime"]

        # Kept to be looked at, not to be run again. No alarm watches it: a run that fails is counted by the function's
        # errors, and one that never ran is missed by the alarm on probes, which takes silence for failure.
        dlq = own_queue(self, f"{name}-probe-dlq", require_tls=args.get("require_tls", True))
        function = handler_function(
            self,
            f"{name}-probe",
            handler=HANDLER,
            description="Sends an order of its own and waits until it is delivered",
            runtime=runtime,
            memory_mb=MEMORY_MB,
            timeout_seconds=seconds + SPARE_SECONDS,
            environment={
                "LEDGER_TABLE": args["ledger_table_name"],
                "TOPIC_ARN": args["topic_arn"],
                "PROBE_SECONDS": str(seconds),
            },
            statements=[
                {"actions": ["sns:Publish"], "resources": [args["topic_arn"]]},
                {"actions": ["dynamodb:GetItem"], "resources": [args["ledger_table_arn"]]},
                {
                    "actions": ["dynamodb:Query"],
                    "resources": [pulumi.Output.concat(args["ledger_table_arn"], "/index/open")],
                },
                {"actions": ["sqs:SendMessage"], "resources": [dlq.arn]},
            ],
        )
        # Not the function's own failure queue, which comes with two more tries: a probe that is late says nothing, and
        # the next one is on its way.
        aws.lambda_.FunctionEventInvokeConfig(
            f"{name}-probe",
            function_name=function.function_name,
            qualifier=ALIAS,
            maximum_retry_attempts=0,
            maximum_event_age_in_seconds=LEAST_EVENT_AGE,
            destination_config={"on_failure": {"destination": dlq.arn}},
            # The alias has to be there, and is known by its ARN alone.
            opts=pulumi.ResourceOptions(parent=self, depends_on=[function]),
        )
        scheduled(
            self,
            f"{name}-probe",
            function.alias_arn,
            expression=every(minutes),
            description="Probes the way of an order",
        )

        self._function, self._stack, self._every, self._seconds = function, runtime["stack"], minutes, seconds
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
        """Probes that did not come out, emails without an outcome, and the function itself."""
        period = self._every * MINUTE
        failing = Alarm(
            component="probe",
            condition="failing",
            severity=Severity.PAGE,
            summary=f"Probes do not come out as emails within {self._seconds} s: customers' orders will not either",
            # Minimum: one that came out shows the way to be open, whatever else happened in the period.
            signal=own(PROBE_FAILURES, self._stack, "Minimum", "failed probe"),
            comparison=Comparison.AT_LEAST,
            threshold=1,
            because=f"no probe of two periods of {self._every} min in a row came out; a single one may meet a throttle."
            " Probes go to SES's simulator, and cannot see a customer's mail server",
            period=period,
            points=(2, 2),
            missing=Missing.BREACHING,
            missing_because="a prober that says nothing is broken, and the rest may be; Scheduler's jitter of a minute"
            " leaves single gaps, which CloudWatch fills with older points",
            part_of=PIPELINE_DOWN,
        )
        oldest = Alarm(
            component="ledger",
            condition="oldest-open-email",
            severity=Severity.TICKET,
            summary=f"An email has had no outcome for over {OLDEST_OPEN // HOUR} hours: its customer may have none, or"
            " nobody measures it",
            signal=own(OLDEST_OPEN_EMAIL, self._stack, "Maximum", "oldest"),
            comparison=Comparison.ABOVE,
            threshold=OLDEST_OPEN,
            because=f"{OLDEST_OPEN} s: SES tries for {MAX_DELIVERY_SECONDS // HOUR} h, and an hour for its event."
            " Says nothing of how many there are",
            period=period,
            missing=Missing.BREACHING,
            missing_because="no email gets its outcome by our not asking: the ledger does not answer, or the prober"
            " does not run. A single gap CloudWatch fills with an older point",
        )
        section = "Are emails going out?"
        return self._function.watch("probe", consequence="nobody tries whether an order would come out") + Watch(
            metrics=[OLDEST_OPEN_EMAIL, PROBE_FAILURES],
            alarms=[failing, oldest],
            widgets=[
                Graph(
                    board=Board.OUTCOMES,
                    section=section,
                    title=f"Probes that did not come out as an email within {self._seconds} s",
                    signals=[own(PROBE_FAILURES, self._stack, "Sum", "failed probes")],
                    unit="probes",
                    lines=[failing],
                    period=period,
                ),
                Graph(
                    board=Board.OUTCOMES,
                    section=section,
                    title="Age of the oldest email without an outcome",
                    signals=[oldest.signal],
                    unit="seconds",
                    lines=[oldest],
                    period=period,
                ),
            ],
        )
