"""The domain that letters are sent from, and the topics on which SES says what became of them."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from math import ceil
from typing import Final, NotRequired, TypedDict

import pulumi
import pulumi_aws as aws

from components.checks import between, one_of, refuse, short_enough
from components.dns import DMARC_POLICIES, DnsRecord, create_records, records
from components.policy import account_of, account_root, document, encrypted_transport_only
from components.watch import (
    DAY,
    HOUR,
    REPUTATION_AT_RISK,
    Alarm,
    Board,
    Comparison,
    Expression,
    Graph,
    Missing,
    Series,
    Severity,
    Watch,
    own,
    share,
)
from handlers.telemetry.contract import BOUNCES, COMPLAINTS, EMAILS_SENT, Lane

# SES gives up after 14 hours by default. A confirmation that comes hours after the order has been missed by then, and
# the bounce that giving up yields tells the ledger so on the same day.
MAX_DELIVERY_SECONDS: Final = 4 * 3600

# Which events go to which topic, in the API's spelling. A dead letter box and an annoyed reader each want a topic of
# their own, as other teams listen to those; all the rest is a letter's way to its box. In alphabetical order, as SES
# lists them: the provider compares lists, and another order would be a change at every preview.
EVENT_TOPICS: Final = {
    "delivery": ["DELIVERY", "DELIVERY_DELAY", "REJECT", "RENDERING_FAILURE", "SEND"],
    "bounce": ["BOUNCE"],
    "complaint": ["COMPLAINT"],
}

# Each lane has a configuration set, so that SES can be told to hold one alone. Confirmations keep the plain name.
SUFFIXES: Final = {Lane.CONFIRMATION: "", Lane.PROBE: "-probe"}

# AWS reviews an account at these (it pauses it at 10 % and 0.5 %), and counts hard bounces only.
# https://docs.aws.amazon.com/ses/latest/dg/reputationdashboard-bounce-and-complaint.html
SES_BOUNCE_REVIEW: Final = 0.05
SES_COMPLAINT_REVIEW: Final = 0.001

# A rate is judged over the shortest time that gives it enough emails at 60,000 a month: 500 in six hours, 2,000 a day.
BOUNCE_PERIOD: Final = 6 * HOUR
COMPLAINT_PERIOD: Final = DAY
# A share of fewer says little. A threshold that one bounce or complaint alone would cross needs more: `least_volume`.
BOUNCE_VOLUME: Final = 100
COMPLAINT_VOLUME: Final = 1000


def least_volume(threshold: Decimal, floor: int) -> int:
    """The fewest emails of which a rate is judged by this threshold in percent: as many as make one alone no alarm."""
    return max(floor, ceil(100 / threshold))


@dataclass(frozen=True, slots=True, kw_only=True)
class ReputationLimits:
    """Rates, in percent of the emails sent, above which people are told."""

    bounce_warning: Decimal = Decimal(2)
    bounce_critical: Decimal = Decimal(5)
    complaint_warning: Decimal = Decimal("0.05")
    complaint_critical: Decimal = Decimal("0.1")


class LaneConfigurationSet(TypedDict):
    """The configuration set that a lane's emails are sent with."""

    name: pulumi.Output[str]
    """Its name."""

    arn: pulumi.Output[str]
    """Its ARN."""


class SendingDomainArgs(TypedDict):
    """The domain, and where its DNS is kept."""

    domain: str
    """Domain to send from, such as `mail.example.com`."""

    hosted_zone_id: NotRequired[str]
    """Route 53 zone to create the DNS records in. Default: none, the records are only listed in `dns_records`."""

    dmarc_policy: NotRequired[str]
    """What receivers should do with letters in the domain's name that it did not sign: none, quarantine or reject.
    Default quarantine."""

    max_delivery_seconds: NotRequired[int]
    """How long SES tries to deliver a letter, 300 to 50400 seconds. Default four hours."""

    custom_mail_from: NotRequired[bool]
    """Whether bounces come back by a subdomain of `domain`, so that SPF is aligned with it, too. Default true; an
    emulator that lacks the call needs false."""

    require_tls: NotRequired[bool]
    """Whether publishing to the topics over plain HTTP is denied. Default true; an emulator needs false."""


class SendingDomain(pulumi.ComponentResource):
    """An SES identity with DKIM and its own MAIL FROM domain; for each lane a configuration set that insists on TLS,
    keeps reputation metrics and suppresses addresses that bounced or complained; and three encrypted topics with their
    events, as SES publishes them."""

    identity_arn: pulumi.Output[str]
    """ARN of the SES identity."""

    configuration_set_name: pulumi.Output[str]
    """Name of the configuration set of confirmations."""

    configuration_set_arn: pulumi.Output[str]
    """ARN of the configuration set of confirmations."""

    configuration_sets: dict[str, LaneConfigurationSet]
    """Each lane's configuration set, by the lane's name."""

    delivery_topic_arn: pulumi.Output[str]
    """ARN of the topic with Send, Reject, Delivery, DeliveryDelay and Rendering Failure events."""

    bounce_topic_arn: pulumi.Output[str]
    """ARN of the topic with Bounce events."""

    complaint_topic_arn: pulumi.Output[str]
    """ARN of the topic with Complaint events."""

    dns_records: pulumi.Output[list[DnsRecord]]
    """The records that the domain's DNS has to hold, whether or not they were created here."""

    def __init__(self, name: str, args: SendingDomainArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        domain = args["domain"]
        require_tls = args.get("require_tls", True)
        dmarc_policy = args.get("dmarc_policy", "quarantine")
        max_delivery_seconds = args.get("max_delivery_seconds", MAX_DELIVERY_SECONDS)
        # SES names a configuration set as it is told. One domain is one identity in an account and region, so its
        # name tells two stacks apart just as well.
        base = f"{name}-{domain.replace('.', '-')}"
        refuse(
            "SendingDomain",
            name,
            [
                *(short_enough("configuration set", f"{base}{each}", 64, suffix=0) for each in SUFFIXES.values()),
                short_enough("topic", f"{name}-ses-complaint-notifications", 256),
                one_of("dmarc_policy", dmarc_policy, DMARC_POLICIES),
                between("max_delivery_seconds", max_delivery_seconds, 300, 50_400),
            ],
        )
        super().__init__("mailroom:index:SendingDomain", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)

        identity = aws.sesv2.EmailIdentity(
            name,
            # Easy DKIM with 2048 bits is what SES sets up when it is not told otherwise.
            # https://docs.aws.amazon.com/ses/latest/dg/send-email-authentication-dkim.html
            email_identity=domain,
            opts=child,
        )
        mail_from_domain = f"bounce.{domain}" if args.get("custom_mail_from", True) else None
        if mail_from_domain:
            aws.sesv2.EmailIdentityMailFromAttributes(
                name,
                email_identity=identity.email_identity,
                mail_from_domain=mail_from_domain,
                # A slip in the DNS then costs SPF alignment, while DKIM still vouches for the letters; the other
                # choice, REJECT_MESSAGE, would stop them all.
                behavior_on_mx_failure="USE_DEFAULT_VALUE",
                opts=child,
            )
        sets = {
            lane: aws.sesv2.ConfigurationSet(
                f"{name}{suffix}",
                configuration_set_name=f"{base}{suffix}",
                delivery_options={"tls_policy": "REQUIRE", "max_delivery_seconds": max_delivery_seconds},
                reputation_options={"reputation_metrics_enabled": True},
                sending_options={"sending_enabled": True},
                suppression_options={"suppressed_reasons": ["BOUNCE", "COMPLAINT"]},
                # Whether it sends is the brake's to say from then on: a deployment must not release a held lane.
                opts=pulumi.ResourceOptions(parent=self, ignore_changes=["sendingOptions"]),
            )
            for lane, suffix in SUFFIXES.items()
        }
        configuration_set = sets[Lane.CONFIRMATION]
        key = aws.kms.Key(
            f"{name}-ses-notifications",
            description=f"Topics with the SES events of {domain}",
            enable_key_rotation=True,
            policy=_key_policy(configuration_set.arn),
            opts=child,
        )
        topics = {
            kind: _event_topic(self, f"{name}-ses-{kind}", kind, events, sets, key, require_tls)
            for kind, events in EVENT_TOPICS.items()
        }
        table = records(domain, identity, mail_from_domain, dmarc_policy)
        if zone := args.get("hosted_zone_id"):
            create_records(self, name, zone, table)

        self.identity_arn = identity.arn
        self.configuration_set_name = configuration_set.configuration_set_name
        self.configuration_set_arn = configuration_set.arn
        self.configuration_sets = {
            lane.value: {"name": each.configuration_set_name, "arn": each.arn} for lane, each in sets.items()
        }
        self.delivery_topic_arn = topics["delivery"].arn
        self.bounce_topic_arn = topics["bounce"].arn
        self.complaint_topic_arn = topics["complaint"].arn
        self.dns_records = pulumi.Output.all(*table.values()).apply(list)
        self.register_outputs(
            {
                "identity_arn": self.identity_arn,
                "configuration_set_name": self.configuration_set_name,
                "configuration_set_arn": self.configuration_set_arn,
                "configuration_sets": self.configuration_sets,
                "delivery_topic_arn": self.delivery_topic_arn,
                "bounce_topic_arn": self.bounce_topic_arn,
                "complaint_topic_arn": self.complaint_topic_arn,
                "dns_records": self.dns_records,
            }
        )

    def watch(self, stack: str, limits: ReputationLimits, *, guarded: bool = True) -> Watch:
        """Bounces and complaints, as we count them and as SES does.

        Args:
            stack: whose metrics.
            limits: the rates that people are told of.
            guarded: whether there are alarms. A stack that writes to the mailbox simulator has no reputation to lose.
        """
        sent = own(EMAILS_SENT, stack)

        def bounced(at_least: int) -> Expression:
            return share(own(BOUNCES, stack), sent, at_least=at_least, label="bounced, % of sent")

        def complained(at_least: int) -> Expression:
            return share(own(COMPLAINTS, stack), sent, at_least=at_least, label="complained, % of sent")

        def rate(condition: str, severity: Severity, threshold: Decimal) -> Alarm:
            bounce = condition == "bounce-rate"
            volume = least_volume(threshold, BOUNCE_VOLUME if bounce else COMPLAINT_VOLUME)
            reviewed = "5 % (pauses at 10 %)" if bounce else "0.1 % (pauses at 0.5 %)"
            return Alarm(
                component="sender",
                condition=condition,
                severity=severity,
                summary=f"{'Hard bounces' if bounce else 'Spam complaints'} are above {threshold:g}"
                " % of the"
                " emails sent: AWS may pause the account",
                signal=bounced(volume) if bounce else complained(volume),
                comparison=Comparison.ABOVE,
                threshold=float(threshold),
                because=f"{threshold:g} %, a setting; AWS reviews an account at {reviewed}. Our own count: it knows one"
                " stack's emails, and those of the last hours",
                period=BOUNCE_PERIOD if bounce else COMPLAINT_PERIOD,
                missing=Missing.NOT_BREACHING,
                missing_because="without emails there is no rate",
                at_least=f"{volume:,} emails in the period",
                part_of=REPUTATION_AT_RISK if severity is Severity.PAGE else "",
            )

        def backstop(condition: str, metric: str, what: str, threshold: float) -> Alarm:
            return Alarm(
                component="ses",
                condition=condition,
                severity=Severity.PAGE,
                summary=f"SES itself counts {what} of {threshold:.1%} or more: the whole account is close to being"
                " paused",
                signal=Series(namespace="AWS/SES", metric=metric, dimensions={}, stat="Average", label="as SES counts"),
                comparison=Comparison.AT_LEAST,
                threshold=threshold,
                because=f"{threshold:g}, a fraction: where AWS puts an account under review. Counts all that the"
                " account sends,"
                " over a volume that AWS chooses, so it moves slowly and late",
                period=HOUR,
                missing=Missing.IGNORE,
                missing_because="SES reckons when it sees fit, so a gap is no news; before the first bounce or"
                " complaint the metric does not exist",
                part_of=REPUTATION_AT_RISK,
            )

        alarms = {
            "bounce": [
                rate("bounce-rate", Severity.TICKET, limits.bounce_warning),
                rate("bounce-rate", Severity.PAGE, limits.bounce_critical),
            ],
            "complaint": [
                rate("complaint-rate", Severity.TICKET, limits.complaint_warning),
                rate("complaint-rate", Severity.PAGE, limits.complaint_critical),
            ],
        }
        ses = [
            backstop("bounce-rate", "Reputation.BounceRate", "a bounce rate", SES_BOUNCE_REVIEW),
            backstop("complaint-rate", "Reputation.ComplaintRate", "a complaint rate", SES_COMPLAINT_REVIEW),
        ]
        section = "To whom do they not go out?"
        return Watch(
            metrics=[BOUNCES, COMPLAINTS],
            alarms=[*alarms["bounce"], *alarms["complaint"], *ses] if guarded else [],
            widgets=[
                Graph(
                    board=Board.OUTCOMES,
                    section=section,
                    title="Bounce rate: emails to addresses that do not exist, in % of those sent in 6 hours",
                    signals=[bounced(BOUNCE_VOLUME)],
                    unit="%",
                    lines=alarms["bounce"] if guarded else [],
                    period=BOUNCE_PERIOD,
                ),
                Graph(
                    board=Board.OUTCOMES,
                    section=section,
                    title="Complaint rate: emails marked as spam, in % of those sent in a day",
                    signals=[complained(COMPLAINT_VOLUME)],
                    unit="%",
                    lines=alarms["complaint"] if guarded else [],
                    period=COMPLAINT_PERIOD,
                ),
                Graph(
                    board=Board.RESOURCES,
                    section="SES, the whole account",
                    title="Bounce rate as AWS judges the account by it: review at 0.05, pause at 0.1",
                    signals=[ses[0].signal],
                    unit="fraction",
                    lines=ses[:1] if guarded else [],
                    period=HOUR,
                ),
                Graph(
                    board=Board.RESOURCES,
                    section="SES, the whole account",
                    title="Complaint rate as AWS judges the account by it: review at 0.001, pause at 0.005",
                    signals=[ses[1].signal],
                    unit="fraction",
                    lines=ses[1:] if guarded else [],
                    period=HOUR,
                ),
            ],
        )


def _key_policy(configuration_set_arn: pulumi.Output[str]) -> pulumi.Output[str]:
    """The policy of a key that SES encrypts its events with.

    The AWS-managed key of SNS would not do: its policy lets only identities of the account use it, cannot be changed,
    and SES, which is none, could not publish.
    https://docs.aws.amazon.com/sns/latest/dg/sns-key-management.html#compatibility-with-aws-services
    """
    return document(
        [
            # AWS's own default statement. Without it nobody, root included, could ever change or delete the key.
            {
                "Sid": "AccountManages",
                "Effect": "Allow",
                "Principal": {"AWS": account_root(configuration_set_arn)},
                "Action": "kms:*",
                "Resource": "*",  # in a key policy: this key
            },
            {
                "Sid": "SesEncrypts",
                "Effect": "Allow",
                "Principal": {"Service": "ses.amazonaws.com"},
                "Action": ["kms:Decrypt", "kms:GenerateDataKey*"],
                "Resource": "*",
                "Condition": {"StringEquals": {"aws:SourceAccount": account_of(configuration_set_arn)}},
            },
        ]
    )


def _event_topic(
    parent: pulumi.Resource,
    name: str,
    kind: str,
    event_types: list[str],
    sets: Mapping[Lane, aws.sesv2.ConfigurationSet],
    key: aws.kms.Key,
    require_tls: bool,
) -> aws.sns.Topic:
    """A topic that only these configuration sets may publish to, and the event destinations that do."""
    topic = aws.sns.Topic(
        f"{name}-notifications",
        kms_master_key_id=key.arn,
        opts=pulumi.ResourceOptions(parent=parent),
    )
    arns = [each.arn for each in sets.values()]
    publishers = {
        "Sid": "OnlyTheseConfigurationSets",
        "Effect": "Allow",
        "Principal": {"Service": "ses.amazonaws.com"},
        "Action": "sns:Publish",
        "Resource": topic.arn,
        "Condition": {"StringEquals": {"aws:SourceAccount": account_of(arns[0]), "aws:SourceArn": arns}},
    }
    policy = aws.sns.TopicPolicy(
        f"{name}-notifications",
        arn=topic.arn,
        policy=document([publishers, *([encrypted_transport_only("sns:Publish", topic.arn)] if require_tls else [])]),
        opts=pulumi.ResourceOptions(parent=parent),
    )
    for lane, each in sets.items():
        aws.sesv2.ConfigurationSetEventDestination(
            f"{name}{SUFFIXES[lane]}",
            configuration_set_name=each.configuration_set_name,
            event_destination_name=kind,
            event_destination={
                "enabled": True,
                "matching_event_types": event_types,
                "sns_destination": {"topic_arn": topic.arn},
            },
            # SES publishes a trial notification at once, and refuses a topic that it cannot publish to.
            opts=pulumi.ResourceOptions(parent=parent, depends_on=[policy]),
        )
    return topic
