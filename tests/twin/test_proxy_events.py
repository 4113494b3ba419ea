"""What becomes of an accepted mail, on the real emulator: the mailbox, and events where the deployed set wants them."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest

from tests.twin.world import FROM, RAW, TYPES, World, policy_of

pytestmark = pytest.mark.local


def test_a_mail_is_kept_as_it_leaves_and_its_events_follow(world: World) -> None:
    message_id = world.send()
    sent, delivered = world.events()
    (mail,) = world.twin.mailbox()
    assert (mail.ses_message_id, mail.to, mail.configuration_set) == (message_id, ("jane@example.net",), world.set)
    assert mail.tags == {"order": "A-1001"}
    assert mail.source == FROM
    assert abs((datetime.now(UTC) - mail.sent_at).total_seconds()) < 60
    assert mail.message()["Message-ID"] == f"<{message_id}@email.amazonses.com>"
    assert mail.message().get_content().strip() == "Thank you"
    assert (sent["eventType"], delivered["eventType"]) == ("Send", "Delivery")
    for event in (sent, delivered):
        assert event["mail"]["messageId"] == message_id
        assert event["mail"]["tags"]["order"] == ["A-1001"]
        assert event["mail"]["tags"]["ses:configuration-set"] == [world.set]
        assert event["mail"]["sourceArn"].endswith(":identity/mail.example.com")


@pytest.mark.parametrize(
    ("address", "types"),
    [
        ("success@simulator.amazonses.com", ["Send", "Delivery"]),
        ("bounce+a@simulator.amazonses.com", ["Send", "Bounce"]),
        ("complaint@simulator.amazonses.com", ["Send", "Delivery", "Complaint"]),
        ("ooto@simulator.amazonses.com", ["Send", "Delivery", "Bounce"]),
        ("suppressionlist@simulator.amazonses.com", ["Send", "Bounce"]),
    ],
)
def test_the_mailbox_simulator_answers_as_documented(address: str, types: list[str], world: World) -> None:
    world.send(address)
    assert world.types() == types
    assert world.ses.list_suppressed_destinations()["SuppressedDestinationSummaries"] == []


def test_a_virus_is_accepted_and_then_rejected(world: World) -> None:
    world.send(raw=RAW + rb"X5O!P%@AP[4\PZX54(P^)7CC)7}" + b"$EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*\r\n")
    events = world.events()
    assert [event["eventType"] for event in events] == ["Send", "Reject"]
    assert events[1]["reject"] == {"reason": "Bad content"}


def test_a_template_that_lacks_data_is_a_rendering_failure(world: World) -> None:
    content = {"Subject": "Hi {{name}}", "Text": "Dear {{name}}"}
    world.ses.create_email_template(TemplateName=f"t-{world.set}", TemplateContent=content)
    for values in ({"name": "Jane"}, {}):
        world.send(Content={"Template": {"TemplateName": f"t-{world.set}", "TemplateData": json.dumps(values)}})
    assert world.types() == ["Send", "Delivery", "Rendering Failure"]
    assert world.twin.mailbox()[0].message()["Subject"] == "Hi Jane"


def test_only_enabled_destinations_that_want_the_type_are_told(world: World) -> None:
    world.ses.delete_configuration_set_event_destination(
        ConfigurationSetName=world.set, EventDestinationName="feedback"
    )
    world.destination("BOUNCE", name="bounces")
    world.destination(*TYPES, name="off", enabled=False)
    world.texts()
    world.send("bounce@simulator.amazonses.com")
    assert world.types() == ["Bounce"]


def test_a_topic_whose_policy_keeps_ses_out_gets_nothing_and_the_log_says_why(world: World) -> None:
    world.let_ses_in(**{"AWS:SourceArn": world.set_arn + "-other"})
    world.send(ConfigurationSetName=world.set)
    assert world.events() == []
    assert world.twin.counts()["dropped SEND"] == 1
    assert (
        f"the policy of {world.topic} does not allow sns:Publish to ses.amazonaws.com" in world.running.log.read_text()
    )


@pytest.mark.parametrize(
    ("actions", "types"), [(["kms:GenerateDataKey*", "kms:Decrypt"], ["Send", "Delivery"]), ([], [])]
)
def test_an_encrypted_topic_needs_a_key_that_lets_ses_in(actions: list[str], types: list[str], world: World) -> None:
    root = {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "kms:*", "Resource": "*"}
    account_only = {**root, "Principal": {"AWS": f"arn:aws:iam::{world.topic.split(':')[4]}:root"}}
    ses = {"Effect": "Allow", "Principal": {"Service": "ses.amazonaws.com"}, "Action": actions, "Resource": "*"}
    key = world.kms.create_key(Policy=policy_of(account_only, *([ses] if actions else [])))["KeyMetadata"]["Arn"]
    world.sns.set_topic_attributes(TopicArn=world.topic, AttributeName="KmsMasterKeyId", AttributeValue=key)
    world.twin.reset()
    world.send()
    assert world.types() == types


def test_a_deployed_destination_can_be_announced_afterwards(world: World) -> None:
    assert world.twin.announce(world.set) == 1
    assert world.texts() == ["Successfully validated SNS topic for Amazon SES event publishing."]
    assert world.twin.announce("nosuch") == 0


def test_events_can_come_tripled_shuffled_and_late_and_are_otherwise_the_same(world: World) -> None:
    world.twin.configure(event_copies=3, reorder_window=12, event_delay_ms=[0, 30])
    sent = {world.send() for _ in range(6)}
    texts = world.texts()
    assert len(texts) == 36
    assert {text: texts.count(text) for text in texts} == dict.fromkeys(texts, 3)
    assert {json.loads(text)["mail"]["messageId"] for text in texts} == sent
    kinds = [json.loads(text)["eventType"] for text in texts]
    assert kinds != ["Send"] * 18 + ["Delivery"] * 18
    assert kinds[:6] != ["Send"] * 3 + ["Delivery"] * 3


def test_outcomes_take_the_time_that_they_are_told_to(world: World) -> None:
    world.twin.configure(outcome_delay_ms=150)
    world.send()
    assert world.events()[1]["delivery"]["processingTimeMillis"] == 151


def test_concurrent_senders_each_get_their_own_mail_and_events(world: World) -> None:
    with ThreadPoolExecutor(8) as pool:
        ids = list(pool.map(lambda number: world.send(f"c{number}@example.net"), range(80)))
    assert len(set(ids)) == 80
    assert [mail.ses_message_id for mail in world.twin.mailbox(start=75)] == [
        mail.ses_message_id for mail in world.twin.mailbox()[75:]
    ]
    counted: dict[str, list[str]] = {}
    for event in world.events():
        counted.setdefault(event["mail"]["messageId"], []).append(event["eventType"])
    assert counted == {each: ["Send", "Delivery"] for each in ids}
