"""Cases of the rules on configuration sets."""

from __future__ import annotations

from typing import Any

import pulumi_aws as aws

from tests.policies.cases import Case, Hidden, Program
from tests.policies.parts import log_group


def nothing() -> None:
    log_group("orders")


def configuration_set(**overrides: Any) -> Program:
    """A configuration set `mail` as it should be."""
    given = {
        "configuration_set_name": "mail",
        "delivery_options": {"tls_policy": "REQUIRE"},
        "reputation_options": {"reputation_metrics_enabled": True},
        "suppression_options": {"suppressed_reasons": ["BOUNCE", "COMPLAINT"]},
        **overrides,
    }
    return lambda: aws.sesv2.ConfigurationSet("mail", **given)


def classic(**overrides: Any) -> Program:
    """The same by the older API."""
    return lambda: aws.ses.ConfigurationSet("mail", **overrides)


def suppressed(*reasons: str) -> Program:
    return configuration_set(suppression_options={"suppressed_reasons": list(reasons)})


CASES = {
    "mail-over-tls": Case(
        violated=(
            configuration_set(delivery_options=None),
            configuration_set(delivery_options={"tls_policy": "OPTIONAL"}),
            classic(),
            classic(delivery_options={"tls_policy": "Optional"}),
        ),
        satisfied=(configuration_set(), classic(delivery_options={"tls_policy": "Require"})),
        unknown=Hidden(resource="mail", path="deliveryOptions.tlsPolicy"),
        not_applicable=nothing,
    ),
    "mail-reputation": Case(
        violated=(
            configuration_set(reputation_options=None),
            configuration_set(reputation_options={"reputation_metrics_enabled": False}),
            configuration_set(suppression_options=None),
            suppressed(),
            suppressed("BOUNCE"),
            suppressed("COMPLAINT"),
        ),
        satisfied=(configuration_set(), suppressed("COMPLAINT", "BOUNCE")),
        unknown=(
            Hidden(resource="mail", path="reputationOptions.reputationMetricsEnabled"),
            Hidden(resource="mail", path="suppressionOptions.suppressedReasons"),
        ),
        not_applicable=(nothing, lambda: aws.ses.ConfigurationSet("mail", delivery_options={"tls_policy": "Require"})),
    ),
}
