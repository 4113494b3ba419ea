"""A lane's sluice: its queue's event source mapping and its SES configuration set, brought to what the brake wants.

Both are read before anything is changed, and again afterwards, and so is the lane: it is settled when a lane just read
and an account just read agree. So whoever acts last, of any number that act at once, leaves what the lane says: each
looks at the lane once more after its last change.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from botocore.exceptions import BotoCoreError, ClientError

from handlers.guarding.brake import Lane, Wanted, wanted

if TYPE_CHECKING:
    from mypy_boto3_lambda import LambdaClient
    from mypy_boto3_sesv2 import SESV2Client

_POLLING: Mapping[str, bool] = {"Enabling": True, "Enabled": True, "Disabling": False, "Disabled": False}
"""What a mapping's state says. Lambda takes a change at once and carries it out within a minute. While it is Creating,
Updating or Deleting nobody can tell. Source: Lambda API reference, GetEventSourceMapping, `State`."""

_PASSING = frozenset({"ResourceInUseException", "ResourceConflictException", "TooManyRequestsException"})
"""Refusals that end by themselves: another change is under way, or too many came at once (errors of these operations in
the API references of Lambda and SES v2). So do faults of AWS's own, and silence."""


class NotTaken(Exception):
    """A lane's sluice is not what it should be; the message names what is not, and why."""


@dataclass(frozen=True, slots=True)
class Gates:
    """What a sluice is made of: the mapping's UUID, and the configuration set's name."""

    mapping: str
    configuration_set: str


class Sluice:
    """The sluice of one lane."""

    def __init__(self, functions: LambdaClient, emails: SESV2Client, gates: Gates) -> None:
        self._mapping = _Mapping(functions, gates.mapping)
        self._set = _ConfigurationSet(emails, gates.configuration_set)

    def settle(
        self, lane: Lane, *, read: Callable[[str], Lane], full_batch: int, wait: Callable[[float], bool]
    ) -> Lane:
        """Bring the sluice to what `lane` wants, and verify; the lane as it then stands.

        Args:
            lane: just read.
            read: gives the lane of a name as it stands now.
            full_batch: messages that an open lane's mapping hands over at a time.
            wait: whether there is time for a pause of so many seconds; if so, after it.

        Raises:
            NotTaken: something refuses for good, or does not follow in time. Whatever of a held lane could be shut is.
        """
        pause = 0.0
        while steps := list(self._steps(wanted(lane, full_batch))):
            if refused := [step.what for step in steps if not step.may_follow]:
                raise NotTaken("; ".join(refused))
            if not wait(pause):
                raise NotTaken("not in time: " + "; ".join(step.what for step in steps))
            pause = pause * 2 or 1.0
            lane = read(lane.name)
        return lane

    def differences(self, to: Wanted) -> list[str]:
        """What is not as it is wanted, in words; empty if all is. Raises ClientError, BotoCoreError."""
        return [f"{gate.name} {difference}" for gate in self._in_order(to) if (difference := gate.difference(to))]

    def _steps(self, to: Wanted) -> Iterator[_Step]:
        """Change what is not as wanted; one step for each part that was not, or could not be asked."""
        for gate in self._in_order(to):
            try:
                if difference := gate.difference(to):
                    gate.change(to)
                    yield _Step(f"{gate.name} {difference}", may_follow=True)
            except (ClientError, BotoCoreError) as error:
                yield _Step(f"{gate.name}: {_told(error)}", may_follow=_passes(error))
                if to.polling:  # what SES is sure to refuse would only wear out the orders' receives
                    return

    def _in_order(self, to: Wanted) -> tuple[_Gate, _Gate]:
        """What is upstream is shut first, and opened last."""
        return (self._set, self._mapping) if to.polling else (self._mapping, self._set)


@dataclass(frozen=True, slots=True)
class _Step:
    what: str
    may_follow: bool


class _Gate(Protocol):
    @property
    def name(self) -> str:
        """Of the AWS resource, for people."""

    def difference(self, to: Wanted) -> str:
        """How it is not as wanted; empty if it is."""

    def change(self, to: Wanted) -> None: ...


class _Mapping:
    def __init__(self, client: LambdaClient, uuid: str) -> None:
        self._client = client
        self._uuid = uuid
        self.name = f"event source mapping {uuid}"

    def difference(self, to: Wanted) -> str:
        found = self._client.get_event_source_mapping(UUID=self._uuid)
        if _POLLING.get(found["State"]) == to.polling and found["BatchSize"] == to.batch:
            return ""
        return f"is {found['State']} with batches of {found['BatchSize']}"

    def change(self, to: Wanted) -> None:
        self._client.update_event_source_mapping(UUID=self._uuid, Enabled=to.polling, BatchSize=to.batch)


class _ConfigurationSet:
    def __init__(self, client: SESV2Client, name: str) -> None:
        self._client = client
        self._set = name
        self.name = f"configuration set {name}"

    def difference(self, to: Wanted) -> str:
        # The answer need not have them: SES sends unless told otherwise.
        options = self._client.get_configuration_set(ConfigurationSetName=self._set).get("SendingOptions", {})
        sending = options.get("SendingEnabled", True)
        return "" if sending == to.sending else f"is {'sending' if sending else 'paused'}"

    def change(self, to: Wanted) -> None:
        self._client.put_configuration_set_sending_options(ConfigurationSetName=self._set, SendingEnabled=to.sending)


def _passes(error: ClientError | BotoCoreError) -> bool:
    """Whether the same call may work in a moment."""
    if not isinstance(error, ClientError):
        return True
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    return status >= 500 or error.response["Error"]["Code"] in _PASSING


def _told(error: ClientError | BotoCoreError) -> str:
    if isinstance(error, ClientError):
        code = error.response["Error"]["Code"]
        if code in ("ResourceNotFoundException", "NotFoundException"):
            return "does not exist any more; deploy the stack again"
        return f"{error.operation_name}: {code}: {error.response['Error'].get('Message', '')}"
    return f"{type(error).__name__}: {error}"
