"""Lambda `cost_report`: once a month, what the month before cost, and what could cost less, mailed to people.

Without Cost Explorer's figures there is no report: the invocation fails, and Lambda tries again. A fact that could not
be measured is named in the report instead.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any, TypeVar

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from handlers.adapters import clients, costs, ses
from handlers.adapters.control import Control
from handlers.adapters.facts import StackFacts
from handlers.environment import CostReport
from handlers.guarding.tally import SPEND
from handlers.mail.letter import Letter
from handlers.reporting.figures import Month, emails_in, figures
from handlers.reporting.recommendations import Facts, recommend
from handlers.reporting.rendering import render_report
from handlers.schedule import due
from handlers.telemetry import tracing
from handlers.telemetry.logs import make_logger
from handlers.telemetry.spend import Meter

env = CostReport.read(os.environ)
tracing.start(stack=env.stack)
log = make_logger("cost_report", level=env.log_level, stack=env.stack)
dynamodb = boto3.client("dynamodb", config=clients.CONFIG)
control = Control(dynamodb, env.control_table)
meter = Meter(env.stack, env.prices, control, log)
meter.watch(dynamodb)
sesv2 = meter.watch(boto3.client("sesv2", config=ses.CONFIG))
explorer = costs.CostExplorer(
    boto3.client("ce", region_name=costs.REGION, config=clients.CONFIG), project=env.project, stack=env.stack
)
stack = StackFacts(
    stack=env.stack,
    logs=boto3.client("logs", config=clients.CONFIG),
    cloudwatch=boto3.client("cloudwatch", config=clients.CONFIG),
    lambda_=boto3.client("lambda", config=clients.CONFIG),
    dynamodb=dynamodb,
)

_Fact = TypeVar("_Fact")


@meter.metered
def handler(event: Mapping[str, Any], context: Any) -> None:  # noqa: ARG001 - Lambda's signature
    """`{"at": "2026-11-01T06:00:00Z"}` reports October; without it, the month before this one is reported."""
    month = Month.of(due(event)).before
    letter = report(month)
    reply = sesv2.send_email(
        FromEmailAddress=env.from_address,
        Destination={"ToAddresses": env.report_to},
        Content={
            "Simple": {
                "Subject": {"Data": letter.subject, "Charset": "UTF-8"},
                "Body": {
                    "Text": {"Data": letter.text, "Charset": "UTF-8"},
                    "Html": {"Data": letter.html, "Charset": "UTF-8"},
                },
                # RFC 3834 §5: keeps holiday replies away.
                "Headers": [{"Name": "Auto-Submitted", "Value": "auto-generated"}],
            }
        },
    )
    log.info("cost report mailed", extra={"month": f"{month.first:%Y-%m}", "ses_message_id": reply["MessageId"]})


def report(month: Month) -> Letter:
    """The letter on a month."""
    spent = explorer.costs(month.before, month)
    # The last hour begins before the month ends.
    hours = control.hours(SPEND, month.begins, month.ends - timedelta(seconds=1))
    told = figures(env.stack, month, spent, emails_in(hours))
    facts = measure(month, told.emails)
    return render_report(told, recommend(facts, env.prices), facts.unknown)


def measure(month: Month, emails: int) -> Facts:
    """What can be measured of the stack; of the rest, why not."""
    unknown: list[str] = []

    def known(what: str, ask: Callable[[], _Fact], otherwise: _Fact) -> _Fact:
        try:
            return ask()
        except (BotoCoreError, ClientError) as error:
            log.warning("not measured", extra={"fact": what, "reason": str(error)})
            unknown.append(f"{what}: {reason(error)}.")
            return otherwise

    return Facts(
        emails=emails,
        log_level=env.log_level,
        log_retention_days=env.log_retention_days.days,
        log_groups=known("Log volume and retention", lambda: stack.log_groups(env.log_groups, month), ()),
        functions=known("Memory of functions", lambda: stack.functions(env.functions, month), ()),
        unwatched=known("Metrics that nobody watches", stack.unwatched, ()),
        ledger_forgets=known("Whether the ledger forgets", lambda: stack.ledger_forgets(env.ledger_table), None),
        unknown=tuple(unknown),
    )


def reason(error: BotoCoreError | ClientError) -> str:
    """Why AWS did not answer, without the ARNs that its own words are full of."""
    if isinstance(error, ClientError):
        return f"{error.operation_name} answered {error.response['Error'].get('Code', 'an error')}"
    return type(error).__name__
