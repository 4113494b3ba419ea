"""SendingDomain: an identity that vouches for its letters, and topics that tell what became of them."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.sender import SUFFIXES, SendingDomain, SendingDomainArgs, least_volume
from handlers.telemetry.contract import Lane
from tests.components.recorder import ACCOUNT, Recorder, record

CONFIGURATION_SET = f"arn:aws:ses:us-east-1:{ACCOUNT}:configuration-set/shop-mail-shop-com"
SETS = ["shop", "shop-probe"]


def args(**changes: object) -> SendingDomainArgs:
    return {"domain": "mail.shop.com", **changes}  # type: ignore[typeddict-item]


def built(**changes: object) -> Recorder:
    return record(lambda: SendingDomain("shop", args(**changes)))[0]


def dns(**changes: object) -> dict[str, tuple[str, str]]:
    outputs = record(lambda: SendingDomain("shop", args(**changes)))[1]
    return {record["name"]: (record["type"], record["value"]) for record in outputs["dns_records"]}


@pytest.mark.parametrize("name", SETS)
def test_each_lanes_configuration_set_insists_on_tls_and_minds_its_reputation(name: str) -> None:
    inputs = built().one("ConfigurationSet", name).inputs
    assert inputs["deliveryOptions"] == {"tlsPolicy": "REQUIRE", "maxDeliverySeconds": 4 * 3600}
    assert inputs["reputationOptions"] == {"reputationMetricsEnabled": True}
    assert inputs["sendingOptions"] == {"sendingEnabled": True}
    assert inputs["suppressionOptions"] == {"suppressedReasons": ["BOUNCE", "COMPLAINT"]}


def test_each_lane_has_a_configuration_set_of_its_own_and_confirmations_keep_the_plain_name() -> None:
    outputs = record(lambda: SendingDomain("shop", args()))[1]
    assert outputs["configuration_sets"] == {
        "order-confirmation": {"name": "shop-mail-shop-com", "arn": CONFIGURATION_SET},
        "probe": {"name": "shop-mail-shop-com-probe", "arn": f"{CONFIGURATION_SET}-probe"},
    }
    assert outputs["configuration_set_name"] == "shop-mail-shop-com"
    assert list(SUFFIXES) == list(Lane)


def test_a_deployment_does_not_resume_what_the_brake_has_paused() -> None:
    for each in built().all("ConfigurationSet"):
        assert each.ignore_changes == ("sendingOptions",)


@pytest.mark.parametrize("suffix", ["", "-probe"])
def test_every_event_that_tells_what_became_of_a_letter_has_its_topic(suffix: str) -> None:
    destinations = {
        each.inputs["eventDestinationName"]: each.inputs["eventDestination"]
        for each in built().all("ConfigurationSetEventDestination")
        if each.inputs["configurationSetName"] == f"shop-mail-shop-com{suffix}"
    }
    assert {kind: each["matchingEventTypes"] for kind, each in destinations.items()} == {
        "delivery": ["DELIVERY", "DELIVERY_DELAY", "REJECT", "RENDERING_FAILURE", "SEND"],
        "bounce": ["BOUNCE"],
        "complaint": ["COMPLAINT"],
    }
    for kind, each in destinations.items():
        assert each["enabled"] is True
        topic = f"arn:aws:sns:us-east-1:{ACCOUNT}:shop-ses-{kind}-notifications"
        assert each["snsDestination"] == {"topicArn": topic}


def test_event_types_are_listed_as_ses_lists_them() -> None:
    for each in built().all("ConfigurationSetEventDestination"):
        listed = each.inputs["eventDestination"]["matchingEventTypes"]
        assert listed == sorted(listed), "in another order every preview would show a change"


@pytest.mark.parametrize("kind", ["delivery", "bounce", "complaint"])
def test_only_ses_for_these_configuration_sets_may_publish(kind: str) -> None:
    statements = built().one("TopicPolicy", f"shop-ses-{kind}-notifications").statements()
    assert set(statements) == {"OnlyTheseConfigurationSets", "DenyPlainHttp"}
    publisher = statements["OnlyTheseConfigurationSets"]
    assert publisher["Principal"] == {"Service": "ses.amazonaws.com"}
    assert publisher["Action"] == "sns:Publish"
    assert publisher["Resource"].endswith(f":shop-ses-{kind}-notifications")
    assert publisher["Condition"] == {
        "StringEquals": {
            "aws:SourceAccount": ACCOUNT,
            "aws:SourceArn": [CONFIGURATION_SET, f"{CONFIGURATION_SET}-probe"],
        }
    }


def test_ses_may_publish_before_it_is_told_to() -> None:
    for each in built().all("ConfigurationSetEventDestination"):
        assert f"TopicPolicy {each.name.removesuffix('-probe')}-notifications" in each.dependencies


def test_the_topics_are_encrypted_by_a_rotating_key_that_ses_may_use() -> None:
    recorder = built()
    key = recorder.one("Key")
    arn = f"arn:aws:kms:us-east-1:{ACCOUNT}:key/{key.name}"
    assert {topic.inputs["kmsMasterKeyId"] for topic in recorder.all("Topic")} == {arn}
    assert key.inputs["enableKeyRotation"] is True
    ses = key.statements()["SesEncrypts"]
    assert ses["Principal"] == {"Service": "ses.amazonaws.com"}
    assert ses["Action"] == ["kms:Decrypt", "kms:GenerateDataKey*"]
    assert ses["Condition"] == {"StringEquals": {"aws:SourceAccount": ACCOUNT}}
    assert key.statements()["AccountManages"]["Principal"] == {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}


def test_bounces_come_back_by_a_subdomain_and_a_dns_slip_stops_no_letter() -> None:
    inputs = built().one("EmailIdentityMailFromAttributes").inputs
    assert inputs["mailFromDomain"] == "bounce.mail.shop.com"
    assert inputs["behaviorOnMxFailure"] == "USE_DEFAULT_VALUE"


def test_the_dns_table_holds_all_six_records() -> None:
    assert dns() == {
        "tokena._domainkey.mail.shop.com": ("CNAME", "tokena.dkim.amazonses.com"),
        "tokenb._domainkey.mail.shop.com": ("CNAME", "tokenb.dkim.amazonses.com"),
        "tokenc._domainkey.mail.shop.com": ("CNAME", "tokenc.dkim.amazonses.com"),
        "bounce.mail.shop.com": ("TXT", "v=spf1 include:amazonses.com ~all"),
        "_dmarc.mail.shop.com": ("TXT", "v=DMARC1; p=quarantine;"),
    }
    rows = record(lambda: SendingDomain("shop", args()))[1]["dns_records"]
    assert [(row["name"], row["value"]) for row in rows if row["type"] == "MX"] == [
        ("bounce.mail.shop.com", "10 feedback-smtp.us-east-1.amazonses.com")
    ]
    assert all(row["ttl"] == 300 and row["purpose"] for row in rows)


def test_without_a_zone_nothing_is_written_to_dns() -> None:
    assert not built().all("Record")
    assert not built(hosted_zone_id="").all("Record")


def test_with_a_zone_the_same_six_records_are_created() -> None:
    recorder, outputs = record(lambda: SendingDomain("shop", args(hosted_zone_id="Z123")))
    created = [(each.inputs["name"], each.inputs["type"], each.inputs["records"]) for each in recorder.all("Record")]
    listed = [(row["name"], row["type"], [row["value"]]) for row in outputs["dns_records"]]
    assert sorted(created) == sorted(listed)
    assert len(created) == 6
    assert {each.inputs["zoneId"] for each in recorder.all("Record")} == {"Z123"}


def test_an_emulator_without_mail_from_domains_and_tls_can_be_used() -> None:
    recorder = built(custom_mail_from=False, require_tls=False)
    assert not recorder.all("EmailIdentityMailFromAttributes")
    policy = recorder.one("TopicPolicy", "shop-ses-bounce-notifications")
    assert set(policy.statements()) == {"OnlyTheseConfigurationSets"}
    assert "bounce.mail.shop.com" not in dns(custom_mail_from=False)


def test_a_preview_does_not_stumble_over_what_is_not_known_yet() -> None:
    recorder, _ = record(lambda: SendingDomain("shop", args(hosted_zone_id="Z123")), preview=True)
    assert recorder.names("Record")[0] == "shop-dkim-1"


def test_wrong_arguments_are_refused_together() -> None:
    with pytest.raises(ValueError, match=r"dmarc_policy is 'maybe'.*max_delivery_seconds is 60"):
        built(dmarc_policy="maybe", max_delivery_seconds=60)
    with pytest.raises(ValueError, match="configuration set name"):
        built(domain=f"{'x' * 60}.shop.com")


@given(st.decimals("0.01", 100, places=2), st.sampled_from([100, 1000]))
def test_one_bounce_or_complaint_alone_crosses_no_threshold(threshold: Decimal, floor: int) -> None:
    volume = least_volume(threshold, floor)
    assert Fraction(100, volume) <= Fraction(threshold)
    assert volume == floor or Fraction(100, volume - 1) > Fraction(threshold), "no more emails than it takes"
