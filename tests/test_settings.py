"""Settings: every fault is found, and each says what is wrong, what is allowed and what to do."""

from __future__ import annotations

import re

import pulumi
import pytest
import yaml
from hypothesis import given as generated
from hypothesis import strategies as st
from pulumi.runtime.config import set_all_config

from components.cost_guard import THRESHOLDS
from local.config import ROOT, stack_config
from settings import RULES, Settings, SettingsError, load, parse

STACKS = ("dev", "prod", "local")


def given(stack: str = "dev", **changes: str | None) -> dict[str, str]:
    """The keys of a stack as the CLI hands them over, without namespace; a change to None leaves a key out."""
    config = stack_config(stack)
    known = {key.removeprefix("mailroom:"): value for key, value in config.items() if key.startswith("mailroom:")}
    return {key: value for key, value in {**known, **changes}.items() if value is not None}


def parsed(stack: str = "dev", region: str | None = "us-east-1", **changes: str | None) -> Settings:
    return parse(given(stack, **changes), region=region, project="mailroom", stack=stack)


def faults(stack: str = "dev", region: str | None = "us-east-1", **changes: str | None) -> tuple[str, ...]:
    with pytest.raises(SettingsError) as refused:
        parsed(stack, region, **changes)
    return refused.value.faults


@pytest.mark.parametrize("stack", STACKS)
def test_every_stack_in_the_repository_has_sound_settings(stack: str) -> None:
    assert parsed(stack).stack == stack


def test_schema_rules_and_settings_name_the_same_keys() -> None:
    schema = yaml.safe_load((ROOT / "Pulumi.yaml").read_text())["config"]
    assert set(schema) == set(RULES)
    assert len(parsed().__dataclass_fields__) == len(RULES) + len(("project", "stack", "region"))


def test_every_key_of_the_schema_has_a_type_a_description_and_a_default() -> None:
    schema = yaml.safe_load((ROOT / "Pulumi.yaml").read_text())["config"]
    lacking = [key for key, entry in schema.items() if {"type", "description", "default"} - set(entry)]
    assert not lacking


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("sendingDomain", "shop"),
        ("sendingDomain", "Mail.Shop.com"),
        ("sendingDomain", "mail..shop.com"),
        ("sendingDomain", "-mail.shop.com"),
        ("sendingDomain", "mail.shop.com."),
        ("hostedZoneId", "/hostedzone/Z0123456789"),
        ("fromAddress", "orders"),
        ("fromAddress", "Shop <orders@mail.example.com>"),
        ("fromAddress", "orders@mail.example.com\r\nBcc: all@example.com"),
        ("fromName", "  "),
        ("fromName", "Shop\nBcc: all@example.com"),
        ("fromName", "x" * 201),
        ("replyTo", ""),
        ("productionSending", "yes"),
        ("productionSending", "True"),
        ("sendRate", "0"),
        ("sendRate", "-5"),
        ("sendRate", "14.5"),
        ("sendRate", "1_4"),
        ("sendRate", "٣"),
        ("sendRate", "9" * 5000),
        ("mailerConcurrency", "1"),
        ("mailerConcurrency", "1001"),
        ("logRetentionDays", "31"),
        ("logRetentionDays", "0"),
        ("logLevel", "debug"),
        ("logLevel", "WARNING"),
        ("ledgerRetentionDays", "29"),
        ("ledgerRetentionDays", "3651"),
        ("owner", ""),
        ("costCentre", "büro;drop"),
        ("permissionsBoundary", "mailroom-prod-boundary"),
        ("permissionsBoundary", "arn:aws:iam::123456789012:role/deployment/mailroom-prod-boundary"),
        ("permissionsBoundary", "arn:aws:iam::1234:policy/mailroom-prod-boundary"),
        ("emulatorEndpoint", "http://10.0.0.5:4566"),
        ("emulatorEndpoint", "https://127.0.0.1:4566"),
        ("emulatorEndpoint", "http://127.0.0.1:4566/path"),
        ("emulatorEndpoint", "http://127.0.0.1:65536"),
        ("emulatorEndpoint", "http://127.0.0.1.example.com:80"),
        ("runbookUrl", "docs/runbook.md"),
        ("runbookUrl", "https://example.com/runbook.md#top"),
        ("pageEmails", "On Call <oncall@shop.com>"),
        ("pageEmails", "oncall@shop.com oncall@shop.com"),
        ("ticketEmails", "team@shop.com; other@shop.com"),
        ("slackChannel", "C0123ABCD"),
        ("slackChannel", "T0123ABCD/c0123abcd"),
        ("teamsChannel", "tenant/team/channel"),
        ("bounceWarning", "2 %"),
        ("bounceCritical", "0"),
        ("complaintWarning", "-0.05"),
        ("complaintCritical", "101"),
        ("objectives", "no"),
        ("probeMinutes", "4"),
        ("probeMinutes", "61"),
        ("traceReservoir", "-1"),
        ("tracePercent", "101"),
        ("emailsPerMonth", "0"),
        ("monitoringBudget", "11.50"),
        ("monthlyBudget", "0"),
        ("monthlyBudget", "49.99"),
        ("budgetHolds", "actual:90:ordinary"),
        ("budgetHolds", "forecast:80:all"),
        ("budgetHolds", "ACTUAL:100:all"),
        ("budgetHolds", "actual:100:newsletter"),
        ("budgetHolds", "actual:100:probe+probe"),
        ("budgetHolds", "actual:100:ordinary+probe"),
        ("budgetHolds", "actual:100:"),
        ("budgetHolds", "actual:100:all actual:100:ordinary"),
        ("budgetHolds", "actual:0100:all"),
        ("budgetHolds", "actual:080:all"),
        ("urgentLanes", "newsletter"),
        ("urgentLanes", "probe probe"),
        ("urgentLanes", "probe order-confirmation"),
        ("spendPerHour", "0"),
        ("spendPerHour", "0.00"),
        ("spendPerHour", "0.009999"),
        ("spendPerHour", "-1"),
        ("spendPerHour", "2 USD"),
        ("spendPerHour", "1e3"),
        ("spendPerDay", "NaN"),
        ("spendPerDay", "9" * 5000),
        ("budgetAction", "yes"),
        ("reportEmails", "Team <team@shop.com>"),
    ],
)
def test_a_wrong_value_is_refused_by_key_value_what_is_allowed_and_remedy(key: str, value: str) -> None:
    found = [fault for fault in faults(**{key: value}) if fault.startswith(f"  mailroom:{key} is {value!r}: ")]
    assert len(found) == 1, "the fault names the key and the value as it was given"
    assert re.search(r": allowed is .+\. Remedy: .+\.$", found[0])


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("hostedZoneId", "Z0123456789ABCDEFGHIJ"),
        ("fromName", "Größe & Söhne 株式会社"),
        ("fromAddress", "orders+eu@shop.mail.example.com"),
        ("mailerConcurrency", "1000"),
        ("logRetentionDays", "3653"),
        ("emulatorEndpoint", "http://localhost:4566"),
        ("emulatorEndpoint", "http://[::1]:4566"),
        ("owner", "Bestellungen und Versand"),
        ("pageEmails", ""),
        ("pageEmails", "oncall@shop.com, second@shop.com\nthird@shop.com"),
        ("pageWebhooks", "https://hooks.example.com/a?key=1 https://hooks.example.com/b"),
        ("slackChannel", "T0123ABCD/C0123ABCD"),
        (
            "teamsChannel",
            "/".join(["0a1b2c3d-0000-4000-8000-0123456789ab"] * 2 + ["19%3aabc%40thread.tacv2"]),
        ),
        ("complaintWarning", "0.0001"),
        ("probeMinutes", "60"),
        ("tracePercent", "0"),
        ("monthlyBudget", "1000000"),
        ("budgetHolds", ""),
        ("budgetHolds", "actual:50:probe actual:80:order-confirmation+probe  forecast:100:all"),
        ("urgentLanes", ""),
        ("urgentLanes", "order-confirmation"),
        ("spendPerHour", "0.01"),
        ("reportEmails", "team@shop.com, boss@shop.com"),
        ("permissionsBoundary", ""),
        ("permissionsBoundary", "arn:aws-us-gov:iam::123456789012:policy/deployment/mailroom-prod-boundary"),
    ],
)
def test_values_at_the_edge_of_what_is_allowed_pass(key: str, value: str) -> None:
    parsed(**{key: value})


@pytest.mark.parametrize(
    "value", ["hooks.example.com/T0/secret", "https://hooks.example.com/#secret", "http://hooks.example.com/secret"]
)
def test_a_webhooks_address_is_a_secret_even_when_it_is_wrong(value: str) -> None:
    (fault,) = faults(pageWebhooks=value)
    assert fault.startswith("  mailroom:pageWebhooks is not shown, as it is a secret: allowed is https://")
    assert "secret" not in fault.replace("it is a secret", "").replace("--secret", "")


def test_a_webhook_on_this_machine_is_for_the_emulator_only() -> None:
    here = "http://127.0.0.1:8080/page"
    assert parsed("local", pageWebhooks=here).page_webhooks == (here,)
    (fault,) = faults("dev", ticketWebhooks=here)
    assert "Lambda cannot reach this machine" in fault


def test_an_emulator_tells_no_chat() -> None:
    (fault,) = faults("local", slackChannel="T0123/C0456")
    assert "leave the channels empty" in fault


@pytest.mark.parametrize("kind", ["bounce", "complaint"])
def test_a_warning_has_to_come_before_the_page(kind: str) -> None:
    (fault,) = faults(**{f"{kind}Warning": "3", f"{kind}Critical": "3"})
    assert fault.startswith(f"  mailroom:{kind}Warning is 3: allowed is less than mailroom:{kind}Critical, which is 3.")


def test_a_day_has_to_allow_as_much_as_one_of_its_hours() -> None:
    (fault,) = faults(spendPerHour="3", spendPerDay="2.5")
    assert fault.startswith(
        "  mailroom:spendPerDay is 2.5: allowed is at least mailroom:spendPerHour, which is 3. Remedy: "
    )
    assert parsed(spendPerHour="3", spendPerDay="3.0").spend_per_day == 3


def test_a_budget_action_needs_somebody_whom_it_tells_and_not_too_many() -> None:
    (fault,) = faults(budgetAction="true", pageEmails="")
    assert fault.startswith("  mailroom:budgetAction is true while mailroom:pageEmails is empty: allowed is ")
    crowd = " ".join(f"{number}@shop.com" for number in range(11))
    (fault,) = faults(budgetAction="true", pageEmails=crowd)
    assert fault.startswith(
        "  mailroom:pageEmails has 11 addresses while mailroom:budgetAction is true: allowed are 10"
    )
    assert parsed(pageEmails=crowd).budget_action is False
    assert parsed(budgetAction="true", pageEmails="oncall@shop.com").budget_action


def test_a_spent_budget_holds_all_but_urgent_lanes_unless_told_otherwise() -> None:
    assert parsed().ordinary_lanes == ["order-confirmation"]
    assert parsed().held_by_budget == {"ACTUAL:100": ["order-confirmation"]}
    assert parsed(urgentLanes="").held_by_budget == {"ACTUAL:100": ["order-confirmation", "probe"]}
    assert parsed(budgetHolds="").held_by_budget == {}
    assert parsed(budgetHolds="actual:80:probe forecast:100:all actual:100:ordinary").held_by_budget == {
        "ACTUAL:80": ["probe"],
        "FORECASTED:100": ["order-confirmation", "probe"],
        "ACTUAL:100": ["order-confirmation"],
    }


@generated(
    st.dictionaries(
        st.tuples(st.sampled_from(["actual", "forecast"]), st.sampled_from([50, 80, 100])),
        st.sampled_from(["ordinary", "all", "probe", "order-confirmation+probe"]),
        max_size=4,
    )
)
def test_every_threshold_that_a_setting_may_hold_lanes_by_has_a_notification(
    holds: dict[tuple[str, int], str],
) -> None:
    text = " ".join(f"{kind}:{percent}:{lanes}" for (kind, percent), lanes in holds.items())
    if ("forecast", 50) in holds or ("forecast", 80) in holds:
        faults(budgetHolds=text)
    else:
        held = parsed(budgetHolds=text).held_by_budget
        assert len(held) == len(holds)
        assert held.keys() <= {f"{kind}:{percent}" for kind, percent in THRESHOLDS}


def test_chat_channels_are_taken_apart() -> None:
    guid = "0a1b2c3d-0000-4000-8000-0123456789ab"
    assert parsed().chat == {}
    assert parsed(slackChannel="T0123/C0456", teamsChannel=f"{guid}/{guid}/19%3aabc").chat == {
        "slack": {"workspace_id": "T0123", "channel_id": "C0456"},
        "teams": {"tenant_id": guid, "team_id": guid, "channel_id": "19%3aabc"},
    }


def test_secrets_are_read_without_a_warning_that_they_are(capfd: pytest.CaptureFixture[str]) -> None:
    set_all_config(
        {**stack_config("dev"), "mailroom:pageWebhooks": "https://hooks.example.com/a"}, ["mailroom:pageWebhooks"]
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pulumi, "get_project", lambda: "mailroom")
        patch.setattr(pulumi, "get_stack", lambda: "dev")
        assert load().page_webhooks == ("https://hooks.example.com/a",)
    assert "secret" not in "".join(capfd.readouterr())
    set_all_config({}, [])


def test_all_faults_are_reported_together() -> None:
    found = faults(sendRate="0", logLevel="loud", owner="", region="nowhere", sendrate="3", fromName=None)
    assert [fault.split()[0] for fault in found] == [
        "mailroom:fromName",
        "mailroom:sendRate",
        "mailroom:logLevel",
        "mailroom:owner",
        "aws:region",
        "mailroom:sendrate",
    ]


def test_a_missing_key_is_named() -> None:
    assert faults(owner=None)[0].startswith("  mailroom:owner is not set: allowed is ")
    assert faults(region=None)[0].startswith("  aws:region is not set: ")


def test_a_misspelt_key_is_refused_with_the_one_that_was_meant() -> None:
    (fault,) = faults(sendingDomian="mail.shop.com")
    assert fault.startswith("  mailroom:sendingDomian is not a setting: allowed are the keys in Pulumi.yaml.")
    assert fault.endswith("Remedy: did you mean mailroom:sendingDomain?")
    assert "remove it" in faults(colour="blue")[0]


def test_the_sender_has_to_be_within_the_sending_domain() -> None:
    (fault,) = faults(fromAddress="orders@othermail.example.com")
    assert "mail.example.com" in fault
    assert "mailroom:fromAddress" in fault
    assert parsed(sendingDomain="example.com").from_address == "orders@mail.example.com"


@pytest.mark.parametrize("domain", ["mail.example.com", "example.org", "shop.example.net"])
def test_production_sending_with_a_placeholder_domain_is_refused(domain: str) -> None:
    (fault,) = faults(sendingDomain=domain, fromAddress=f"a@{domain}", productionSending="true")
    assert domain in fault
    assert "mailroom:productionSending" in fault


def test_a_placeholder_domain_will_do_where_no_letter_can_leave() -> None:
    assert not parsed().production_sending
    assert parsed("local").production_sending, "an emulator sends nothing"


def test_dev_sends_to_no_customer_and_prod_is_protected() -> None:
    assert (parsed("dev").production_sending, parsed("dev").protect_data) == (False, False)
    assert (parsed("prod").production_sending, parsed("prod").protect_data) == (True, True)
    assert parsed("local").emulator_endpoint == "http://127.0.0.1:4566"


def test_tags_say_whose_a_resource_is() -> None:
    tags = parsed("prod", owner="mail team", costCentre="4711").tags
    assert tags == {"project": "mailroom", "stack": "prod", "owner": "mail team", "cost-centre": "4711"}


def test_the_error_is_one_that_the_cli_prints_without_a_stack_trace() -> None:
    error = SettingsError("dev", ["  one", "  two"])
    assert isinstance(error, pulumi.RunError)
    assert str(error).startswith("2 settings are wrong in stack 'dev'; nothing was changed.\n  one\n  two\n")
    assert str(error).endswith("pulumi config set KEY VALUE --stack dev")
    assert str(SettingsError("dev", ["  one"])).startswith("1 setting is wrong")


def test_the_running_stack_is_read_with_its_unknown_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pulumi, "get_project", lambda: "mailroom")
    monkeypatch.setattr(pulumi, "get_stack", lambda: "prod")
    set_all_config({**stack_config("prod"), "aws:region": "eu-west-1"})
    assert load() == parsed("prod", region="eu-west-1")

    set_all_config({**stack_config("prod"), "mailroom:sendRat": "3"})
    with pytest.raises(SettingsError, match="did you mean mailroom:sendRate"):
        load()
