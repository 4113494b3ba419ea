"""What a local run uses of AWS, counted for the bill (`python -m observability bill`, observability/usage.py).

Counted are: what SES and SNS took, DynamoDB's units, the functions' running time, their log lines and their metrics.
Where the emulator works otherwise than AWS, what AWS would do is worked out from what was counted, and says so:

- the emulator hands over what is there, and a demo brings all its orders at once, so that its batches are full. In a
  shop's month orders come one by one: each message is taken to be a batch of its own, received and deleted alone;
- what a run does once, however many messages it is handed, is counted as it came: adding up what it has spent, and
  what a table's stream starts. One by one that would be some three hundredths of an email's price more;
- Lambda writes lines of its own into each log, which have another form here;
- traces are left to the bill, which knows where the deployed program traces.
"""

from __future__ import annotations

import json
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Final

from local.aws import LocalAws
from local.deployer import Resource
from local.deployer.model import Json
from local.schedules import Schedule, run_now
from local.twin.mail import Mail, bare
from observability.bill import label
from observability.model import MetricKey
from observability.usage import Activity, Count, Points, Usage
from ops.errors import OpsError

GB: Final = 10**9

LAMBDAS_LINES: Final = 500
"""Bytes that Lambda itself logs for a run, in JSON: `platform.start` and `platform.report`. An estimate."""

REST: Final = 1.5
"""Seconds without any call that are a rest: the emulator looks at streams every second."""

REST_WITHIN: Final = 60.0
POLL: Final = 0.1

PLATFORM: Final = ("START RequestId: ", "END RequestId: ", "REPORT RequestId: ")

ONE_BY_ONE: Final = "modelled: each message is a batch of its own"
RECEIVED: Final = "modelled: each message is received and deleted alone"
DELIVERED: Final = "assumed: SQS charges for what SNS delivers as for what is sent"
BY_THE_CLOCK: Final = "counted by this machine's clock, in batches as they came"
WITH_LAMBDAS: Final = f"counted, and {LAMBDAS_LINES} bytes a run that Lambda itself writes"

NOTES: Final = (
    "the sample orders have every kind of fault, far more often than a shop's: metrics of faults cost less in life",
    "functions ran on this machine: GB-seconds on AWS will differ",
)

_BY_CALL: Final = {
    "sqs": ("sqs.request", "Queue"),
    "kms": ("kms.request", "Key"),
    "secretsmanager": ("secretsmanager.request", "Secret"),
}
"""What functions call that is charged by the request: its price, and the kind of what is called."""


@dataclass(frozen=True, slots=True)
class Mark:
    """How far a run had come: lines of the file of calls, lines of each function's log, mails."""

    calls: int
    lines: Mapping[str, int]
    mails: int


def mark(aws: LocalAws) -> Mark:
    """Where the run is now. What happens from here to the next mark can be counted."""
    return Mark(
        calls=len(aws.calls()),
        lines={function.name: len(aws.lines(function.id)) for function in _functions(aws)},
        mails=len(aws.twin.mailbox()),
    )


def use(aws: LocalAws, before: Mark, *, emails: int, settle: Callable[[], None], aside: Collection[str] = ()) -> Usage:
    """What a run of orders has used since `before`, and what each schedule's function uses: it is invoked once, as a
    run is too short for schedules to come round.

    Args:
        emails: how many went out.
        settle: waits until no order, email or event moves any more.
        aside: names of functions whose use is left out, with that of their queues: it is not for the sake of emails.
    """
    await_rest(aws)
    reached = mark(aws)
    activities = [count(aws, before, reached, name="emails", times=emails, aside=aside)] if emails else []
    for schedule in _created(aws):
        if _kind(schedule) != "Schedule":
            continue
        run_now(aws, Schedule(0, schedule.inputs["target"]), at=time.time())
        settle()
        await_rest(aws)
        started, reached = reached, mark(aws)
        activities.append(
            count(aws, started, reached, name=schedule.name, times=1, schedule=schedule.name, aside=aside)
        )
    return Usage(datetime.now(UTC).date().isoformat(), tuple(activities), NOTES)


def await_rest(aws: LocalAws, *, within: float = REST_WITHIN) -> None:
    """Wait until no function runs, and none has been called for a while: what a table's stream starts is in no queue.

    Raises:
        OpsError: functions are still called after `within` seconds.
    """
    seen, since, deadline = -1, time.monotonic(), time.monotonic() + within
    while seen < 0 or time.monotonic() - since < REST:
        calls = aws.calls()
        runs = sum(("began" in call) - ("run" in call) for call in calls)
        if runs or len(calls) != seen:
            seen, since = len(calls), time.monotonic()
        if time.monotonic() > deadline:
            raise OpsError(f"After {within:g} s functions are still called.", "See emulator.log.")
        time.sleep(POLL)


def count(
    aws: LocalAws,
    before: Mark,
    after: Mark,
    *,
    name: str,
    times: int,
    schedule: str = "",
    aside: Collection[str] = (),
) -> Activity:
    """What was used from one mark to another.

    Args:
        name, times, schedule: of the activity that went on meanwhile.
        aside: names of functions whose use is left out, with that of their queues.
    """
    functions = [each for each in _functions(aws) if each.id not in aside]
    names = Names(_created(aws))
    calls = [call for call in aws.calls()[before.calls : after.calls] if call.get("run") not in aside]
    said = {each.name: aws.lines(each.id)[before.lines[each.name] : after.lines[each.name]] for each in functions}
    mails = aws.twin.mailbox()[before.mails : after.mails]
    # SES charges by recipient.
    emails = Counter(_sent_through(mail) for mail in mails for _ in mail.to)
    counts = [
        *(Count("ses.email", names(*through), Decimal(number)) for through, number in emails.items()),
        *messages(calls, names),
        *units(calls, names),
        *runs(calls, functions, names),
        *(logged(lines, calls, each, names) for each in functions if (lines := said[each.name])),
    ]
    return Activity(
        name=name,
        times=times,
        counts=tuple(sorted(counts, key=lambda each: (each.price, each.resource, each.how))),
        points=tuple(point for each in functions for point in points(said[each.name], label(each))),
        schedule=schedule,
    )


def _sent_through(mail: Mail) -> tuple[str, str]:
    """What an email is put down to: its configuration set, or its sender's domain where it has none."""
    if mail.configuration_set:
        return "ConfigurationSet", mail.configuration_set
    return "EmailIdentity", bare(mail.source).rpartition("@")[2]


class Names:
    """What a bill calls the deployed resources, by their kind and their name or address in the account."""

    def __init__(self, created: Iterable[Resource]) -> None:
        self._labels = {(_kind(each), _short(_kind(each), each.id)): label(each) for each in created}

    def __call__(self, kind: str, physical: str) -> str:
        """Its label; of what the program did not make, kind and name."""
        short = _short(kind, physical)
        return self._labels.get((kind, short), f"{kind} {short}")


def messages(calls: Sequence[Json], names: Names) -> Iterator[Count]:
    """What went through topics and queues. Publications count whoever made them; of other calls, the functions'."""
    published: Counter[str] = Counter()
    called: Counter[tuple[str, str]] = Counter()
    handed: Counter[str] = Counter()
    delivered: Counter[str] = Counter()
    for call in calls:
        if action := call.get("call"):
            service = action.partition(".")[0]
            if action in ("sns.Publish", "sns.PublishBatch"):
                published[call["resource"]] += call["messages"]
            elif call["by"] == "role" and service in _BY_CALL:
                called[service, call["resource"]] += 1
        for queue, (number, new) in call.get("queues", {}).items():
            handed[queue] += number
            delivered[queue] += new
    for topic, number in published.items():
        yield Count("sns.publish", names("Topic", topic), Decimal(number))
    for (service, resource), number in called.items():
        price, kind = _BY_CALL[service]
        yield Count(price, names(kind, resource), Decimal(number))
    for queue, number in delivered.items():
        yield Count("sns.delivery.sqs", names("Queue", queue), Decimal(number))
        yield Count("sqs.request", names("Queue", queue), Decimal(number), DELIVERED)
    for queue, number in handed.items():
        yield Count("sqs.request", names("Queue", queue), Decimal(2 * number), RECEIVED)


def units(calls: Iterable[Json], names: Names) -> Iterator[Count]:
    """What the functions' calls cost in DynamoDB's read and write units, indexes included."""
    found: defaultdict[tuple[str, str], Decimal] = defaultdict(Decimal)
    for call in calls:
        if "units" in call and call["by"] == "role":
            found[call["units"], call["resource"]] += Decimal(str(call["quantity"]))
    for (direction, table), quantity in found.items():
        yield Count(f"dynamodb.{direction}", names("Table", table), quantity)


def runs(calls: Iterable[Json], functions: Iterable[Resource], names: Names) -> Iterator[Count]:
    """The functions' invocations and GB-seconds."""
    known = {each.id: each for each in functions}
    invocations: Counter[str] = Counter()
    seconds: defaultdict[str, Decimal] = defaultdict(Decimal)
    for call in calls:
        if (name := call.get("run")) in known:
            invocations[name] += invoked(call)
            seconds[name] += Decimal(str(call["seconds"]))
    for name, number in invocations.items():
        inputs = known[name].inputs
        architecture = (inputs.get("architectures") or ["x86_64"])[0]
        gb = Decimal(str(inputs.get("memorySize") or 128)) / 1024
        yield Count("lambda.request", names("Function", name), Decimal(number), ONE_BY_ONE)
        yield Count(f"lambda.gb-second.{architecture}", names("Function", name), gb * seconds[name], BY_THE_CLOCK)


def invoked(run: Json) -> int:
    """Invocations that a run would have been, had each message come alone."""
    return sum(number for number, _ in run["queues"].values()) or 1


def logged(lines: Sequence[str], calls: Iterable[Json], function: Resource, names: Names) -> Count:
    """What a function's runs put into its log group, in GB."""
    own = sum(len(line.encode()) for line in lines if not line.startswith(PLATFORM))
    ran = sum(invoked(call) for call in calls if call.get("run") == function.id)
    quantity = Decimal(own + ran * LAMBDAS_LINES) / GB
    return Count("logs.gb", names("LogGroup", log_group(function)), quantity, WITH_LAMBDAS)


def points(lines: Iterable[str], sender: str) -> Iterator[Points]:
    """How many metric records (CloudWatch embedded metric format) in a log had a value of each metric."""
    found: Counter[MetricKey] = Counter()
    for line in lines:
        if not line.startswith('{"_aws"'):
            continue
        record = json.loads(line)
        for directive in record["_aws"]["CloudWatchMetrics"]:
            for dimensions in directive["Dimensions"]:
                values = {name: str(record[name]) for name in dimensions}
                found.update(
                    MetricKey.of(directive["Namespace"], each["Name"], values) for each in directive["Metrics"]
                )
    for metric, number in found.items():
        yield Points(metric, sender, Decimal(number))


def log_group(function: Resource) -> str:
    """Name of the log group that a deployed function writes to."""
    return str((function.inputs.get("loggingConfig") or {}).get("logGroup") or f"/aws/lambda/{function.id}")


def _functions(aws: LocalAws) -> list[Resource]:
    return [each for each in _created(aws) if _kind(each) == "Function"]


def _created(aws: LocalAws) -> tuple[Resource, ...]:
    if aws.deployment is None:
        raise RuntimeError("nothing is deployed yet")
    return aws.deployment.created


def _kind(resource: Resource) -> str:
    return resource.type.rsplit(":", 1)[-1]


def _short(kind: str, physical: str) -> str:
    """The name in the address of a queue or topic; of anything else, what is given."""
    match kind:
        case "Queue":
            return physical.rsplit("/", 1)[-1]
        case "Topic":
            return physical.rsplit(":", 1)[-1]
    return physical
