"""What is logged is kept for a while, and not for ever."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from observability.program.resources import Resource
from policies.model import NotApplicable, Stack, rule, value

LOG_GROUP: Final = "aws:cloudwatch/logGroup:LogGroup"

DELIVERY: Final = "DELIVERY"
"""The class whose log groups all keep their records for two days.
https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/CloudWatch_Logs_Log_Classes.html"""


@rule(
    "log-retention",
    LOG_GROUP,
    about="Log groups keep their records for a set time, within the range that is configured",
    reason="Without a retention CloudWatch Logs keeps records for ever: they cost more every month, and what they say"
    " of people is never forgotten. Kept too short, they are gone before anybody looks.",
    remedy="Set retentionInDays to one of CloudWatch's periods within the range, or the range in policies/config.",
    defaults={"at-least": 7, "at-most": 400},
    settings={"at-least": "days that records are kept at least", "at-most": "days that they are kept at most"},
)
def log_retention(group: Resource, stack: Stack) -> Iterator[str]:
    if value(group, "logGroupClass") == DELIVERY:
        raise NotApplicable
    days = value(group, "retentionInDays")
    least, most = stack.settings["at-least"], stack.settings["at-most"]
    # Zero is the API's word for ever.
    if not days:
        yield "retentionInDays is not set"
    elif not least <= days <= most:
        yield f"retentionInDays is {days}, not within {least} to {most}"
