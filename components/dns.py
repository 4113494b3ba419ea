"""The DNS records of a sending domain: as a table that can be pasted, and as Route 53 records."""

from collections.abc import Mapping
from typing import Final, TypedDict

import pulumi
import pulumi_aws as aws

from components.policy import region_of

DMARC_POLICIES: Final = ("none", "quarantine", "reject")
# A mistake in these records is found within minutes of a deployment, and should be gone as soon.
TTL_SECONDS: Final = 300
# Easy DKIM signs with three keys in turn. https://docs.aws.amazon.com/ses/latest/dg/send-email-authentication-dkim-easy.html
DKIM_KEYS: Final = 3
# Where SES publishes the public keys; the younger regions each have a zone of their own.
# https://docs.aws.amazon.com/general/latest/gr/ses.html#ses_dkim_domains
DKIM_ZONE: Final = "dkim.amazonses.com"
DKIM_ZONES: Final = {
    region: f"dkim.{region}.amazonses.com"
    for region in (
        "af-south-1", "ap-northeast-3", "ap-south-2", "ap-southeast-3", "ap-southeast-5", "ca-west-1",
        "eu-central-2", "eu-south-1", "il-central-1", "me-central-1", "us-gov-east-1",
    )
}  # fmt: skip


class DnsRecord(TypedDict):
    """One record as a zone file or a provider's form wants it."""

    name: str
    """Full name, without a trailing dot."""

    type: str
    """CNAME, MX or TXT."""

    ttl: int
    """Seconds that resolvers may keep it."""

    value: str
    """The record's value; a TXT value without quotes, an MX value with its priority."""

    purpose: str
    """What is lost without it."""


def records(
    domain: str, identity: aws.sesv2.EmailIdentity, mail_from_domain: str | None, dmarc_policy: str
) -> dict[str, pulumi.Output[DnsRecord]]:
    """The records of a sending domain, each under a short label: three for DKIM, two for a MAIL FROM domain if there
    is one, one for DMARC. The DKIM ones are known once SES has made the keys, that is after the first deployment."""
    region = region_of(identity.arn)
    signed = {f"dkim-{number + 1}": _dkim(domain, identity, region, number) for number in range(DKIM_KEYS)}
    returned = _mail_from(mail_from_domain, region) if mail_from_domain else {}
    dmarc = _record(f"_dmarc.{domain}", "TXT", f"v=DMARC1; p={dmarc_policy};", "DMARC: what to do with forged letters")
    return {**signed, **returned, "dmarc": pulumi.Output.from_input(dmarc)}


def create_records(
    parent: pulumi.Resource, name: str, zone_id: str, table: Mapping[str, pulumi.Output[DnsRecord]]
) -> None:
    """Create the records of `table` in a Route 53 zone."""
    for label, record in table.items():
        aws.route53.Record(
            f"{name}-{label}",
            zone_id=zone_id,
            name=record["name"],
            type=record["type"],
            ttl=record["ttl"],
            records=[record["value"]],
            opts=pulumi.ResourceOptions(parent=parent),
        )


def _dkim(
    domain: str, identity: aws.sesv2.EmailIdentity, region: pulumi.Output[str], number: int
) -> pulumi.Output[DnsRecord]:
    def record(known: list[str]) -> DnsRecord:
        token, zone = known[0], DKIM_ZONES.get(known[1], DKIM_ZONE)
        return _record(f"{token}._domainkey.{domain}", "CNAME", f"{token}.{zone}", "DKIM: SES signs the letters")

    return pulumi.Output.all(identity.dkim_signing_attributes.tokens[number], region).apply(record)


def _mail_from(name: str, region: pulumi.Output[str]) -> dict[str, pulumi.Output[DnsRecord]]:
    spf = _record(name, "TXT", "v=spf1 include:amazonses.com ~all", "SPF: SES may send in the domain's name")

    def exchanger(region: str) -> DnsRecord:
        return _record(name, "MX", f"10 feedback-smtp.{region}.amazonses.com", "MAIL FROM: bounces reach SES")

    return {"mail-from-mx": region.apply(exchanger), "mail-from-spf": pulumi.Output.from_input(spf)}


def _record(name: str, kind: str, value: str, purpose: str) -> DnsRecord:
    return {"name": name, "type": kind, "ttl": TTL_SECONDS, "value": value, "purpose": purpose}
