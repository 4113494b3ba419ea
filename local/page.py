"""`python -m local.page ALARM`: what people get when an alarm is raised, on the stack that `make up` keeps running.

The notification is made as CloudWatch would make it, published to the topic that alarms tell, and passes the deployed
`notify`; what SNS then mails is printed.
"""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from difflib import get_close_matches
from email.message import EmailMessage
from pathlib import Path
from typing import Annotated, Any

import typer

from local.alarms import alarms_of, notification
from local.aws import FOLDER
from local.demo import clean_end
from local.deployer.model import Account, Json
from local.pager import addresses, mails, text_of
from ops import show
from ops.errors import Exit, OpsError

WITHIN = 30.0
"""Seconds until a page is given up on: a cold function, and a batching window."""

app = typer.Typer(pretty_exceptions_enable=False, add_completion=False, rich_markup_mode=None)


@app.command()
def page(
    alarm: Annotated[str, typer.Argument(help="Name of the alarm, with or without the stack's. None lists them.")] = "",
    folder: Annotated[
        Path, typer.Option(help="Where `make up` keeps its outputs.", show_default="build/local")
    ] = FOLDER,
) -> None:
    """Raise an alarm of the local stack, as CloudWatch would, and print what is mailed."""
    with clean_end(interrupted=Exit.NOT_DONE):
        outputs = _outputs(folder)
        account = Account(outputs["endpoint"], outputs["region"])
        alarms = {each["AlarmName"]: each for each in alarms_of(account.client("cloudwatch"))}
        if not alarm:
            show.out().print("\n".join(sorted(alarms)))
            return
        mail = raised(account, outputs["alarmsTopicArn"], _named(alarm, alarms), alarms)
        show.out().print(
            f"To: {mail['To']}\nSubject: {mail['Subject']}\n\n{text_of(mail)}", markup=False, soft_wrap=True
        )


def raised(account: Account, topic_arn: str, alarm: Json, alarms: dict[str, Json]) -> EmailMessage:
    """Publish the notification that `alarm` is raised; the first mail about it.

    Raises:
        OpsError: nothing was mailed in time.
    """
    now = datetime.now(UTC)
    # Composites go into ALARM by their first alarm, metrics by points beyond the threshold.
    children = [(child, "ALARM", now) for name, child in alarms.items() if f'"{name}"' in alarm.get("AlarmRule", "")]
    points = [] if children else [2 * alarm["Threshold"]] * alarm["DatapointsToAlarm"]
    account.client("sns").publish(
        TopicArn=topic_arn, Message=notification(alarm, "ALARM", now, values=points, children=children[:1])
    )
    sqs, deadline = account.client("sqs"), time.monotonic() + WITHIN
    while time.monotonic() < deadline:
        for address in addresses(sqs):
            for mail in mails(sqs, address):
                if f"\nAlarm: {alarm['AlarmName']}\n" in text_of(mail).replace("\r\n", "\n") + "\n":
                    return mail
        time.sleep(0.2)
    raise OpsError(
        f"{alarm['AlarmName']} was raised, and nothing was mailed within {WITHIN:g} s.", "See the log of notify."
    )


def _outputs(folder: Path) -> dict[str, Any]:
    path = folder / "outputs.json"
    try:
        outputs: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise OpsError(f"There is no local stack: {path.name} cannot be read.", "Run `make up` first.") from error
    return outputs


def _named(wanted: str, alarms: dict[str, Json]) -> Json:
    """The alarm of that name, with or without project and stack in front."""
    for name, alarm in alarms.items():
        if name == wanted or name.split("-", 2)[-1] == wanted:
            return alarm
    near = get_close_matches(wanted, [name.split("-", 2)[-1] for name in alarms], n=1)
    raise OpsError(
        f"There is no alarm {wanted!r}.",
        f"Did you mean {near[0]}?" if near else "`python -m local.page` lists them.",
        Exit.USAGE,
    )


if __name__ == "__main__":
    app(prog_name="python -m local.page")
