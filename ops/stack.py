"""Where a stack's things are: its outputs, from the Pulumi CLI or from the file that a local run writes."""

from __future__ import annotations

import getpass
import json
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config

from handlers.adapters.control import Control
from handlers.adapters.ledger import DynamoLedger
from ops.errors import Exit, OpsError

if TYPE_CHECKING:
    from mypy_boto3_cloudwatch import CloudWatchClient
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_iam import IAMClient
    from mypy_boto3_lambda import LambdaClient
    from mypy_boto3_sesv2 import SESV2Client
    from mypy_boto3_sns import SNSClient
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_sts import STSClient

LOCAL = "local"
LOCAL_OUTPUTS = Path("build/local/outputs.json")
WORKERS = 8
"""Calls in flight at once. SNS takes 10 entries a batch, so eight keep some 1,000 publishes a second
going."""


def _client_config(attempts: int) -> Config:
    return Config(
        retries={"mode": "standard", "total_max_attempts": attempts},
        connect_timeout=5,
        read_timeout=30,
        max_pool_connections=2 * WORKERS,
    )


ON_AWS = _client_config(attempts=5)
ON_THIS_MACHINE = _client_config(attempts=2)
"""Nothing throttles here; what does not answer is not running, and its user should hear so at once."""

LONGEST_RUN = 900
"""Seconds that a function may run: https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html"""
TO_THE_END = Config(retries={"total_max_attempts": 1}, connect_timeout=5, read_timeout=LONGEST_RUN)
"""For a function whose answer is waited for: asked again after a time-out, it would run twice."""


def _read_as(kind: Any, exported: Mapping[str, Any], where: str = "") -> dict[str, Any]:
    """What `exported` has for the fields of the dataclass `kind`.

    Raises:
        OpsError: it lacks some, so the stack is not deployed, is of an older program, or another program's.
    """
    names = {field.name: _camel(field.name) for field in fields(kind)}
    if missing := [where + name for name in names.values() if name not in exported]:
        raise OpsError(
            f"The stack's outputs lack {', '.join(missing)}.",
            "Deploy it first (`pulumi up`, or `make up` for the local one).",
            Exit.UNREACHABLE,
        )
    return {field: exported[name] for field, name in names.items()}


@dataclass(frozen=True)
class LaneOutputs:
    """What one lane is made of.

    Attributes:
        name: as `handlers.telemetry.contract.Lane` has it.
        urgent: whether the guards' own settings leave it going when the budget is used up.
        mapping_id: the UUID of its queue's event source mapping.
    """

    name: str
    urgent: bool
    queue_arn: str
    queue_url: str
    dlq_arn: str
    dlq_url: str
    mapping_id: str
    configuration_set: str


@dataclass(frozen=True)
class Outputs:
    """The outputs that the commands use; each is named as the program exports it, in Python's spelling."""

    region: str
    stack: str
    endpoint: str
    production_sending: bool
    order_topic_arn: str
    send_queue_arn: str
    send_queue_url: str
    send_dlq_arn: str
    send_dlq_url: str
    quarantine_queue_url: str
    feedback_queue_arn: str
    feedback_queue_url: str
    feedback_dlq_arn: str
    feedback_dlq_url: str
    notify_queue_arn: str
    notify_queue_url: str
    notify_dlq_arn: str
    notify_dlq_url: str
    ledger_table_name: str
    control_table_name: str
    lanes: tuple[LaneOutputs, ...]
    spend_per_hour: str
    spend_per_day: str
    send_role_name: str
    deny_send_policy_arn: str
    brake_function_name: str
    cost_guard_queue_arn: str
    cost_guard_queue_url: str
    cost_guard_dlq_arn: str
    cost_guard_dlq_url: str
    probe_function_arn: str
    alarms_topic_arn: str
    page_topic_arn: str

    @classmethod
    def parse(cls, exported: Mapping[str, Any]) -> Outputs:
        """From `pulumi stack output --json`.

        Raises:
            OpsError: an output is missing, so the stack is not deployed or is another program's.
        """
        read = _read_as(cls, exported)
        lanes = [LaneOutputs(**_read_as(LaneOutputs, lane, "lanes[].")) for lane in read["lanes"]]
        return cls(**read | {"lanes": tuple(lanes)})

    def lane(self, name: str) -> LaneOutputs:
        """The lane called `name`.

        Raises:
            OpsError: the stack has none of that name.
        """
        for lane in self.lanes:
            if lane.name == name:
                return lane
        raise OpsError(
            f"Stack {self.stack} has no lane {name}.",
            f"Its lanes: {', '.join(lane.name for lane in self.lanes)}.",
            Exit.USAGE,
        )


class Stack:
    """A stack's outputs and the AWS clients that reach it.

    Clients are made when first used, which has to be in one thread; after that they may be shared by any number.
    """

    def __init__(self, outputs: Outputs) -> None:
        self.outputs = outputs

    @cached_property
    def sns(self) -> SNSClient:
        return boto3.client("sns", **self._how)

    @cached_property
    def sqs(self) -> SQSClient:
        return boto3.client("sqs", **self._how)

    @cached_property
    def dynamodb(self) -> DynamoDBClient:
        return boto3.client("dynamodb", **self._how)

    @cached_property
    def sts(self) -> STSClient:
        return boto3.client("sts", **self._how)

    @cached_property
    def sesv2(self) -> SESV2Client:
        return boto3.client("sesv2", **self._how)

    @cached_property
    def lambda_(self) -> LambdaClient:
        return boto3.client("lambda", **self._how)

    @cached_property
    def waiting_lambda(self) -> LambdaClient:
        """For functions whose answer is waited for."""
        return boto3.client("lambda", **self._how | {"config": TO_THE_END})

    @cached_property
    def cloudwatch(self) -> CloudWatchClient:
        return boto3.client("cloudwatch", **self._how)

    @cached_property
    def iam(self) -> IAMClient:
        return boto3.client("iam", **self._how)

    @cached_property
    def ledger(self) -> DynamoLedger:
        return DynamoLedger(self.dynamodb, self.outputs.ledger_table_name)

    @cached_property
    def control(self) -> Control:
        return Control(self.dynamodb, self.outputs.control_table_name)

    @cached_property
    def operator(self) -> str:
        """Who is at work: on AWS the caller's identity, which nobody can make up; on a local stack the user."""
        return getpass.getuser() if self.outputs.endpoint else self.sts.get_caller_identity()["Arn"]

    @property
    def _how(self) -> dict[str, Any]:
        """A local stack is reached at its endpoint, with the emulator's root key; AWS as the caller is signed in."""
        region = self.outputs.region
        if not self.outputs.endpoint:
            return {"region_name": region, "config": ON_AWS}
        return {
            "region_name": region,
            "config": ON_THIS_MACHINE,
            "endpoint_url": self.outputs.endpoint,
            "aws_access_key_id": "test",
            "aws_secret_access_key": "test",
        }


Run = Callable[..., "subprocess.CompletedProcess[str]"]


def open_stack(name: str, outputs_file: Path | None = None, *, run: Run = subprocess.run) -> Stack:
    """The stack called `name`; `outputs_file` is read in place of asking the CLI.

    Raises:
        OpsError: there are no outputs to read, with what to do to get some.
    """
    path = outputs_file or (LOCAL_OUTPUTS if name == LOCAL else None)
    text = _read(path) if path else _ask_cli(name, run)
    try:
        exported = json.loads(text)
    except json.JSONDecodeError as error:
        raise OpsError(
            f"The outputs of stack {name} are not JSON: {error}.",
            f"Look at {path or 'the CLI'}.",
            Exit.UNREACHABLE,
        ) from error
    return Stack(Outputs.parse(exported if isinstance(exported, dict) else {}))


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        remedy = "Run `make up`." if path == LOCAL_OUTPUTS else "Give the file that `pulumi stack output --json` wrote."
        raise OpsError(f"There are no outputs at {path}.", remedy, Exit.UNREACHABLE) from error
    except (OSError, UnicodeDecodeError) as error:
        raise OpsError(f"Cannot read {path}: {error}.", code=Exit.UNREACHABLE) from error


def _ask_cli(name: str, run: Run) -> str:
    command = ["pulumi", "stack", "output", "--json", "--stack", name, "--non-interactive"]
    try:
        return run(command, check=True, capture_output=True, text=True).stdout
    except FileNotFoundError as error:
        raise OpsError(
            f"The Pulumi CLI is needed to find stack {name}, and it is not installed.",
            "Install it (https://www.pulumi.com/docs/install/), or give its outputs with --outputs FILE.",
            Exit.UNREACHABLE,
        ) from error
    except subprocess.CalledProcessError as error:
        said = (error.stderr or "").strip().removeprefix("error: ") or f"it ended with {error.returncode}"
        raise OpsError(
            f"The Pulumi CLI did not give the outputs of stack {name}: {said}.",
            "`pulumi stack ls` lists the stacks; `pulumi login` signs in.",
            Exit.UNREACHABLE,
        ) from error


def _camel(name: str) -> str:
    head, *tail = name.split("_")
    return head + "".join(part.capitalize() for part in tail)
