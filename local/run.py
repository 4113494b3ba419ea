"""One run of orders through a deployed stack: publish, wait until all is quiet, gather the evidence."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from handlers.adapters.ses import from_tag_value
from handlers.telemetry.contract import Lane
from local.aws import LocalAws
from local.orders import SUPPRESSED_ADDRESS
from local.report import Evidence, Mailed, Program
from local.twin.client import TwinError
from local.twin.mail import Mail
from ops import show
from ops.follow import follow
from ops.publish import Line, Outcome, Published, Refused, publish
from ops.quarantine import MOST, Quarantined, held
from ops.stack import Outputs, Stack

MAIL_SERVERS_TAKE_MS = (50, 500)
"""From SES's acceptance to the recipient's mail server's answer: least and most."""

QUIET = 2
"""Times in a row that the queues have to be seen empty: SQS's counts are approximate."""

POLL = 0.25


@dataclass(frozen=True)
class Run:
    """What a run left behind. `abandoned` counts what is in the dead-letter queues."""

    evidence: Evidence
    quarantined: Sequence[Quarantined]
    refused: Sequence[Refused]
    mails: Sequence[Mail]
    abandoned: int


def prepare(aws: LocalAws) -> Stack:
    """Deploy the program as a demo wants it, to an account whose suppression list knows one customer."""
    aws.deploy()
    aws.twin.configure(outcome_delay_ms=MAIL_SERVERS_TAKE_MS)
    aws.client("sesv2").put_suppressed_destination(EmailAddress=SUPPRESSED_ADDRESS, Reason="BOUNCE")
    return Stack(Outputs.parse(aws.outputs))


def run(aws: LocalAws, stack: Stack, lines: Sequence[Line | Refused], *, timeout: float) -> Run:
    """Send `lines` through the stack and wait, `timeout` seconds at most, until nothing moves any more.

    Raises:
        ClientError, BotoCoreError: the emulator failed.
    """
    began = time.monotonic()
    outcomes = _publish(stack, lines)
    published = [outcome for outcome in outcomes if isinstance(outcome, Published)]
    _follow(stack, [outcome.line.body for outcome in published], deadline=began + timeout)
    await_quiet(aws, stack, within=_left(began + timeout))
    ran = gather(aws, stack, published, took=time.monotonic() - began)
    return replace(ran, refused=[outcome for outcome in outcomes if isinstance(outcome, Refused)])


def gather(aws: LocalAws, stack: Stack, published: Sequence[Published], *, took: float) -> Run:
    """What these orders left behind, once nothing moves any more; `took` is how many seconds they needed.

    Raises:
        ClientError, BotoCoreError: the emulator failed.
    """
    ledger = list(stack.ledger.all())
    # The prober's orders are real, and nobody's.
    probes = {row.message_id for row in ledger if row.kind == Lane.PROBE}
    rows = [row for row in ledger if row.message_id not in probes]
    mails = [mail for mail in aws.twin.mailbox() if mail.tags.get("message_id") not in probes]
    with held(stack.sqs, stack.outputs.quarantine_queue_url, most=2 * len(published) + MOST) as messages:
        quarantined = list(messages)
    evidence = Evidence(
        program=_program(aws),
        published=[(outcome.line.body, outcome.at) for outcome in published],
        quarantined=[message.body for message in quarantined],
        mails=[mailed(mail) for mail in mails],
        rows=rows,
        traces=[segment["trace_id"] for segment in aws.segments()],
        seconds={"emulator": aws.seconds["emulator"], "deploy": aws.seconds["deploy"], "orders": took},
    )
    return Run(
        evidence=evidence,
        quarantined=quarantined,
        refused=[],
        mails=mails,
        abandoned=sum(depth(stack, url) for url in (stack.outputs.send_dlq_url, stack.outputs.feedback_dlq_url)),
    )


def await_quiet(aws: LocalAws, stack: Stack, *, within: float) -> None:
    """Until the last event, which may only confirm what is known, is folded in; `within` seconds at most."""
    deadline = time.monotonic() + within
    try:
        aws.twin.settle(within)
    except TwinError:
        return
    quiet = 0
    while quiet < QUIET and _left(deadline):
        queues = (stack.outputs.send_queue_url, stack.outputs.feedback_queue_url)
        quiet = 0 if any(depth(stack, url) for url in queues) else quiet + 1
        time.sleep(POLL)


def mailed(mail: Mail) -> Mailed:
    """What a mail's tags say of it."""
    return Mailed(mail.tags.get("message_id", ""), from_tag_value(mail.tags.get("order", "")))


def save_mails(mails: Iterable[Mail], folder: Path) -> None:
    """Write each mail as `<order>.eml`, in place of those of the last run; a second one of an order gets a number."""
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("*.eml"):
        old.unlink()
    written: set[str] = set()
    for number, mail in enumerate(mails, start=1):
        order = mail.tags.get("order", "no-order")  # a tag's characters are safe in a file name
        name = f"{order}-{number}" if order in written else order
        written.add(order)
        (folder / f"{name}.eml").write_bytes(mail.raw)


def depth(stack: Stack, url: str) -> int:
    """How many messages a queue holds, in flight or not."""
    attributes = stack.sqs.get_queue_attributes(
        QueueUrl=url, AttributeNames=["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    )["Attributes"]
    return sum(int(count) for count in attributes.values())


def _publish(stack: Stack, lines: Sequence[Line | Refused]) -> list[Outcome]:
    with show.progress("publishing", len(lines)) as progress:
        return publish(
            stack.sns, stack.outputs.order_topic_arn, lines, on_outcome=_counting(lambda done: progress(done, None))
        )


def _counting(show_count: Callable[[int], None]) -> Callable[[Outcome], None]:
    done = 0

    def count(_: Outcome) -> None:
        nonlocal done
        done += 1
        show_count(done)

    return count


def _follow(stack: Stack, bodies: Sequence[str], *, deadline: float) -> None:
    with show.progress("settled", len(set(bodies))) as progress:
        follow(stack, bodies, timeout=_left(deadline), on_progress=lambda settled: progress(settled, None))


def _left(deadline: float) -> float:
    return max(0.0, deadline - time.monotonic())


def _program(aws: LocalAws) -> Program:
    if aws.deployment is None:
        raise RuntimeError("nothing is deployed yet")
    return Program(
        resources=aws.deployment.resources,
        created=len(aws.deployment.created),
        not_emulated=[
            {"type": each.type, "name": each.name, "reason": each.reason} for each in aws.deployment.not_emulated
        ],
    )
