"""What SES refuses and what it remembers about an account, on the real emulator."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.twin.world import World, client, refused, user

pytestmark = pytest.mark.local

STRANGER = "a@unknown.example"
UNVERIFIED = "Email address is not verified. The following identities failed the check in region US-EAST-1: " + STRANGER


@pytest.mark.parametrize(
    ("changes", "name", "message"),
    [
        ({"ConfigurationSetName": "nosuch"}, "NotFoundException", "Configuration set <nosuch> does not exist."),
        (
            {"FromEmailAddress": STRANGER},
            "MessageRejected",
            UNVERIFIED,
        ),
        (
            {"EmailTags": [{"Name": "order", "Value": "A/1"}]},
            "BadRequestException",
            "Invalid tag value <A/1>: only alphanumeric ASCII characters, '_', and '-' are allowed.",
        ),
        (
            {"Destination": {"ToAddresses": ["a@example.net"] * 51}},
            "BadRequestException",
            "Recipient count exceeds 50.",
        ),
        ({"Destination": {"ToAddresses": ["jane"]}}, "BadRequestException", "Missing final '@domain'"),
    ],
)
def test_what_ses_refuses_is_refused_in_its_words(
    changes: dict[str, Any], name: str, message: str, world: World
) -> None:
    assert refused(lambda: world.send(**changes)) == (name, message)
    assert world.twin.mailbox() == []
    assert world.events() == []


def test_a_paused_configuration_set_refuses_until_it_is_resumed(world: World) -> None:
    world.ses.put_configuration_set_sending_options(ConfigurationSetName=world.set, SendingEnabled=False)
    assert refused(world.send) == ("SendingPausedException", f"Sending is paused for configuration set <{world.set}>.")
    world.ses.put_configuration_set_sending_options(ConfigurationSetName=world.set, SendingEnabled=True)
    world.send()


def test_a_paused_account_refuses_and_says_so(world: World) -> None:
    world.ses.put_account_sending_attributes(SendingEnabled=False)
    assert refused(world.send)[0] == "SendingPausedException"
    assert world.ses.get_account()["SendingEnabled"] is False
    world.ses.put_account_sending_attributes(SendingEnabled=True)
    world.send()


def test_a_suspended_account_refuses_everything(world: World) -> None:
    world.twin.configure(account_suspended=True)
    assert refused(world.send)[0] == "AccountSuspendedException"
    assert world.ses.get_account()["EnforcementStatus"] == "SHUTDOWN"


def test_rate_and_daily_quota_throttle_and_get_account_tells_them(world: World) -> None:
    world.twin.configure(max_send_rate=2, daily_quota=3)
    world.send()
    world.send()
    assert refused(world.send) == ("TooManyRequestsException", "Maximum sending rate exceeded.")
    time.sleep(0.6)
    world.send()
    assert refused(world.send) == ("TooManyRequestsException", "Daily message quota exceeded.")
    quota = world.ses.get_account()["SendQuota"]
    assert quota == {"Max24HourSend": 3.0, "MaxSendRate": 2.0, "SentLast24Hours": 3.0}
    assert len(world.twin.mailbox()) == 3


def test_a_caller_without_permission_is_denied_whatever_else_is_wrong(world: World) -> None:
    ses = user(world)
    world.ses.put_account_sending_attributes(SendingEnabled=False)
    for call in (
        lambda: world.send(ses=ses),
        ses.get_account,
        lambda: ses.put_account_sending_attributes(SendingEnabled=True),
        lambda: ses.put_suppressed_destination(EmailAddress="a@example.net", Reason="BOUNCE"),
        ses.list_suppressed_destinations,
    ):
        name, message = refused(call)
        assert name == "ClientError"
        assert f"user/{world.set}-0 is not authorized to perform: ses:" in message
    assert world.ses.get_account()["SendingEnabled"] is False
    assert refused(lambda: world.send(ses=user(world, "ses:SendEmail")))[0] == "SendingPausedException"


def test_signatures_hold_on_the_way_to_the_emulator(world: World) -> None:
    """Any change to host, path, query or body would break them, and the emulator checks those of users."""
    ses = user(world, "ses:SendEmail", "ses:PutSuppressedDestination", "ses:GetSuppressedDestination")
    assert world.send(ses=ses)
    address = "a+b c/\u00fc?&=%@example.net"
    ses.put_suppressed_destination(EmailAddress=address, Reason="BOUNCE")
    found = ses.get_suppressed_destination(EmailAddress=address)
    assert found["SuppressedDestination"]["EmailAddress"] == address
    (key,) = client("iam", world.running.emulator.endpoint).list_access_keys(UserName=f"{world.set}-3")[
        "AccessKeyMetadata"
    ]
    forged = client("sesv2", world.running.endpoint, key["AccessKeyId"], "forged")
    assert "signature" in refused(lambda: world.send(ses=forged))[1]
    assert len(world.twin.mailbox()) == 1


def test_the_suppression_list_is_kept_asked_and_obeyed(world: World) -> None:
    ses = world.ses
    ses.put_suppressed_destination(EmailAddress="jane@example.net", Reason="BOUNCE")
    ses.put_suppressed_destination(EmailAddress="j+1@example.net", Reason="COMPLAINT")
    listed = ses.list_suppressed_destinations(Reasons=["COMPLAINT"])["SuppressedDestinationSummaries"]
    assert [each["EmailAddress"] for each in listed] == ["j+1@example.net"]
    page = ses.list_suppressed_destinations(PageSize=1)
    rest = ses.list_suppressed_destinations(PageSize=1, NextToken=page["NextToken"])
    assert "NextToken" not in rest
    both = [*page["SuppressedDestinationSummaries"], *rest["SuppressedDestinationSummaries"]]
    assert [each["EmailAddress"] for each in both] == ["jane@example.net", "j+1@example.net"]
    found = ses.get_suppressed_destination(EmailAddress="j+1@example.net")["SuppressedDestination"]
    assert found["Reason"] == "COMPLAINT"
    assert abs((datetime.now(UTC) - found["LastUpdateTime"]).total_seconds()) < 60

    world.send("jane@example.net")
    world.send("j+1@example.net")
    events = world.events()
    assert [event["eventType"] for event in events] == ["Send", "Bounce", "Send", "Complaint"]
    assert events[1]["bounce"]["bounceSubType"] == "OnAccountSuppressionList"
    assert events[3]["complaint"]["complaintSubType"] == "OnAccountSuppressionList"

    ses.delete_suppressed_destination(EmailAddress="jane@example.net")
    assert refused(lambda: ses.get_suppressed_destination(EmailAddress="jane@example.net"))[0] == "NotFoundException"
    assert refused(lambda: ses.delete_suppressed_destination(EmailAddress="jane@example.net"))[0] == "NotFoundException"
    world.send("jane@example.net")
    assert world.types() == ["Send", "Delivery"]


def test_bounces_and_complaints_fill_the_list_as_the_configuration_set_says(world: World) -> None:
    world.twin.configure(outcomes={"gone@*": "bounce", "angry@*": "complaint", "full@*": "soft-bounce"})
    world.ses.put_configuration_set_suppression_options(ConfigurationSetName=world.set, SuppressedReasons=["BOUNCE"])
    for name in ("gone", "angry", "full"):
        world.send(f"{name}@example.net")
    listed = world.ses.list_suppressed_destinations()["SuppressedDestinationSummaries"]
    assert [(each["EmailAddress"], each["Reason"]) for each in listed] == [("gone@example.net", "BOUNCE")]
    found = world.ses.get_suppressed_destination(EmailAddress="gone@example.net")["SuppressedDestination"]
    assert found["Attributes"]["MessageId"] == world.twin.mailbox()[0].ses_message_id
    world.events()
    world.send("gone@example.net")
    assert world.events()[1]["bounce"]["bounceSubType"] == "OnAccountSuppressionList"


def test_the_account_says_what_fills_the_list_where_no_set_does(world: World) -> None:
    assert world.ses.get_account()["SuppressionAttributes"] == {"SuppressedReasons": ["BOUNCE", "COMPLAINT"]}
    world.ses.put_account_suppression_attributes(SuppressedReasons=[])
    world.twin.configure(outcomes={"*": "bounce"})
    world.send()
    assert world.ses.list_suppressed_destinations()["SuppressedDestinationSummaries"] == []


def test_what_the_twin_does_not_supply_is_the_emulators(world: World) -> None:
    direct = client("sesv2", world.running.emulator.endpoint)
    names = [each["IdentityName"] for each in world.ses.list_email_identities()["EmailIdentities"]]
    assert "mail.example.com" in names
    assert world.ses.get_configuration_set(ConfigurationSetName=world.set)["SendingOptions"] == {"SendingEnabled": True}
    world.ses.create_email_identity(EmailIdentity="other.example")
    assert direct.get_email_identity(EmailIdentity="other.example")["VerifiedForSendingStatus"] is True
