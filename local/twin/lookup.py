"""What the twin asks the emulator: configuration sets, identities, topics, keys. Remembered for a moment."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Final, Generic, ParamSpec, TypeVar

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

from local.twin.access import refused
from local.twin.mail import bare

P = ParamSpec("P")
Value = TypeVar("Value")

REMEMBERED_SECONDS: Final = 1.0
"""Short enough that a changed policy or a pause is felt at once, long enough that a busy second asks once."""
ROOT_KEY: Final = "test"
"""The emulator's root credentials."""


@dataclass(frozen=True, slots=True)
class EventDestination:
    name: str
    types: frozenset[str]
    topic_arn: str


@dataclass(frozen=True, slots=True)
class ConfigurationSet:
    """`suppressed_reasons` is None where the account's setting holds. Only enabled SNS destinations are listed."""

    name: str
    arn: str
    sending_enabled: bool
    suppressed_reasons: Collection[str] | None
    destinations: tuple[EventDestination, ...]


class Remembered(Generic[P, Value]):
    """Answers of a blocking question kept for a while; callers that ask at the same time share one question."""

    def __init__(self, ask: Callable[P, Value], seconds: float) -> None:
        self._ask = ask
        self._seconds = seconds
        self._answers: dict[object, tuple[float, asyncio.Future[Value]]] = {}

    async def get(self, *args: P.args, **kwargs: P.kwargs) -> Value:
        key = (args, *kwargs.items())
        until, answer = self._answers.get(key, (0.0, None))
        if answer is None or time.monotonic() >= until:
            answer = asyncio.ensure_future(asyncio.to_thread(self._ask, *args, **kwargs))
            self._answers[key] = (time.monotonic() + self._seconds, answer)
            answer.add_done_callback(lambda done: self._forget_failure(key, done))
        return await asyncio.shield(answer)

    def clear(self) -> None:
        self._answers.clear()

    def _forget_failure(self, key: object, done: asyncio.Future[Value]) -> None:
        if (done.cancelled() or done.exception()) and self._answers.get(key, (0, None))[1] is done:
            del self._answers[key]


class Lookup:
    """Questions to the emulator, asked as its root. Raises botocore's errors where it answers with one not expected."""

    def __init__(self, endpoint: str, seconds: float = REMEMBERED_SECONDS) -> None:
        self._endpoint = endpoint
        self._client = cache(self._new_client)
        self._sets = Remembered(self._ask_set, seconds)
        self._identities = Remembered(self._ask_identities, seconds)
        self._topics = Remembered(self._ask_topic, seconds)
        self._account = cache(self._ask_account)
        self._accounts = Remembered(self._account, float("inf"))

    def client(self, service: str, region: str) -> Any:
        """A boto3 client of the emulator's root; safe to share between threads."""
        return self._client(service, region)

    async def account(self, region: str) -> str:
        return await self._accounts.get(region)

    async def configuration_set(self, region: str, name: str) -> ConfigurationSet | None:
        return await self._sets.get(region, name)

    async def source_arn(self, region: str, source: str) -> str:
        """The identity that a sender is verified by: the address itself, else the nearest domain above it."""
        address = bare(source)
        domain = address.rpartition("@")[2].lower()
        known = await self._identities.get(region)
        parents = [domain.split(".", cut)[-1] for cut in range(domain.count("."))]
        identity = next((name for name in (address, *parents) if name in known), domain)
        return f"arn:aws:ses:{region}:{await self.account(region)}:identity/{identity}"

    async def publish_refusal(self, region: str, topic_arn: str, set_arn: str) -> str | None:
        """Why SES may not publish to the topic for this configuration set, or None if it may."""
        return await self._topics.get(region, topic_arn, set_arn)

    async def template(self, region: str, name: str) -> dict[str, str] | None:
        """Subject, Text and Html of a stored template, or None if there is none of this name."""
        return await asyncio.to_thread(self._ask_template, region, name)

    def forget(self) -> None:
        """Ask anew from now on: something was changed."""
        for remembered in (self._sets, self._identities, self._topics):
            remembered.clear()

    def _new_client(self, service: str, region: str) -> Any:
        # A session of its own: the default one must not be used by several threads at once.
        return boto3.Session().client(  # type: ignore[call-overload]
            service,
            region_name=region,
            endpoint_url=self._endpoint,
            aws_access_key_id=ROOT_KEY,
            aws_secret_access_key=ROOT_KEY,
            config=Config(retries={"total_max_attempts": 2}, max_pool_connections=16),
        )

    def _ask_account(self, region: str) -> str:
        return str(self.client("sts", region).get_caller_identity()["Account"])

    def _ask_set(self, region: str, name: str) -> ConfigurationSet | None:
        ses = self.client("sesv2", region)
        try:
            found = ses.get_configuration_set(ConfigurationSetName=name)
            destinations = ses.get_configuration_set_event_destinations(ConfigurationSetName=name)
        except ses.exceptions.NotFoundException:
            return None
        return ConfigurationSet(
            name=name,
            arn=f"arn:aws:ses:{region}:{self._account(region)}:configuration-set/{name}",
            sending_enabled=found.get("SendingOptions", {}).get("SendingEnabled", True),
            suppressed_reasons=found.get("SuppressionOptions", {}).get("SuppressedReasons"),
            destinations=tuple(
                EventDestination(
                    each["Name"], frozenset(each["MatchingEventTypes"]), each["SnsDestination"]["TopicArn"]
                )
                for each in destinations.get("EventDestinations", [])
                if each.get("Enabled") and "SnsDestination" in each
            ),
        )

    def _ask_template(self, region: str, name: str) -> dict[str, str] | None:
        ses = self.client("sesv2", region)
        try:
            return dict(ses.get_email_template(TemplateName=name)["TemplateContent"])
        except ses.exceptions.NotFoundException:
            return None

    def _ask_identities(self, region: str) -> frozenset[str]:
        found = self.client("sesv2", region).list_email_identities(PageSize=1000)
        return frozenset(each["IdentityName"] for each in found["EmailIdentities"])

    def _ask_topic(self, region: str, topic_arn: str, set_arn: str) -> str | None:
        sns = self.client("sns", region)
        try:
            attributes = sns.get_topic_attributes(TopicArn=topic_arn)["Attributes"]
        except sns.exceptions.NotFoundException:
            return f"the topic {topic_arn} does not exist"
        account = self._account(region)
        reason = refused(attributes["Policy"], "sns:Publish", topic_arn, set_arn, account, region)
        key = attributes.get("KmsMasterKeyId")
        return reason if reason or not key else self._key_refusal(region, key, set_arn, account)

    def _key_refusal(self, region: str, key: str, set_arn: str, account: str) -> str | None:
        if key.endswith("alias/aws/sns"):
            return f"the topic is encrypted with {key}, whose policy lets no other service in"
        kms = self.client("kms", region)
        try:
            described: Mapping[str, Any] = kms.describe_key(KeyId=key)["KeyMetadata"]
            policy = kms.get_key_policy(KeyId=described["KeyId"], PolicyName="default")["Policy"]
        except ClientError as error:
            return f"the topic's key {key} cannot be read: {error}"
        for action in ("kms:GenerateDataKey", "kms:Decrypt"):
            if reason := refused(policy, action, described["Arn"], set_arn, account, region):
                return reason
        return None
