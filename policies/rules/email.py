"""Emails travel encrypted, and the sender's reputation is looked after."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from observability.program.resources import Resource
from policies.model import Stack, rule, value

CONFIGURATION_SETS: Final = ("aws:sesv2/configurationSet:ConfigurationSet", "aws:ses/configurationSet:ConfigurationSet")
_SUPPRESSED: Final = ("BOUNCE", "COMPLAINT")


@rule(
    "mail-over-tls",
    *CONFIGURATION_SETS,
    about="Configuration sets require TLS",
    reason="Without it SES delivers in clear text to whoever does not offer TLS, or is made to seem so.",
    remedy="Set deliveryOptions.tlsPolicy to REQUIRE.",
)
def mail_over_tls(configuration_set: Resource, _: Stack) -> Iterator[str]:
    """https://docs.aws.amazon.com/ses/latest/dg/security-protocols.html"""
    policy = value(configuration_set, "deliveryOptions.tlsPolicy")
    if str(policy).upper() != "REQUIRE":
        yield f"deliveryOptions.tlsPolicy is {policy or 'not set'}"


@rule(
    "mail-reputation",
    CONFIGURATION_SETS[0],
    about="Configuration sets measure their reputation, and do not send to those who bounced or complained",
    reason="SES stops an account whose emails bounce or are complained of, and the account's figures do not say whose"
    " they were.",
    remedy="Set reputationOptions.reputationMetricsEnabled, and suppressionOptions.suppressedReasons to BOUNCE and"
    " COMPLAINT.",
)
def mail_reputation(configuration_set: Resource, _: Stack) -> Iterator[str]:
    """https://docs.aws.amazon.com/ses/latest/dg/sending-email-suppression-list-config-level.html"""
    if not value(configuration_set, "reputationOptions.reputationMetricsEnabled"):
        yield "reputationOptions.reputationMetricsEnabled is not set"
    reasons = value(configuration_set, "suppressionOptions.suppressedReasons") or []
    if lacking := [each for each in _SUPPRESSED if each not in reasons]:
        yield f"suppressionOptions.suppressedReasons lacks {' and '.join(lacking)}"
