"""The whole program, stack by stack: what it registers, what it exports, and what holds for all of it."""

from __future__ import annotations

import difflib
import json
import zipfile
from collections.abc import Iterator
from functools import cache
from typing import Any

import pulumi
import pytest

from components import packaging
from local.config import ROOT, stack_config
from local.deployer.engine import run_program
from settings import SettingsError
from tests.components.recorder import Recorder

PINNED = ROOT / "tests/pinned"
STACKS = ("dev", "prod", "local")

OUTPUTS = {
    "region", "stack", "endpoint", "productionSending", "orderTopicArn", "sendQueueArn", "sendQueueUrl", "sendDlqArn",
    "sendDlqUrl", "quarantineQueueArn", "quarantineQueueUrl", "feedbackQueueArn", "feedbackQueueUrl",
    "feedbackDlqArn", "feedbackDlqUrl", "ledgerTableName", "sendFunctionArn", "feedbackFunctionArn",
    "sendFunctionName", "feedbackFunctionName", "sendLogGroup", "feedbackLogGroup", "configurationSetName",
    "deliveryTopicArn", "bounceTopicArn", "complaintTopicArn", "dnsRecords",
}  # fmt: skip


@pytest.fixture(autouse=True, scope="module")
def _no_network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A layer that pip did not have to fetch."""
    layer = tmp_path_factory.mktemp("layer") / "layer.zip"
    with zipfile.ZipFile(layer, "w") as archive:
        archive.writestr("python/package.py", "")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(packaging, "layer_archive", lambda: pulumi.FileArchive(str(layer)))
        yield


@cache
def program(stack: str, **overrides: str) -> tuple[Recorder, dict[str, Any]]:
    recorder = Recorder()
    config = stack_config(stack, {f"mailroom:{key}": value for key, value in overrides.items()})
    outputs = run_program(ROOT / "__main__.py", recorder, project="mailroom", stack=stack, config=config)
    return recorder, outputs


@pytest.mark.parametrize("stack", STACKS)
def test_the_resources_of_a_stack_are_the_pinned_ones(stack: str) -> None:
    pinned = (PINNED / f"{stack}.txt").read_text().splitlines()
    found = program(stack)[0].pinned()
    difference = [line for line in difflib.ndiff(pinned, found) if line[0] in "+-"]
    assert not difference, (
        f"stack {stack} registers other resources than tests/pinned/{stack}.txt lists. A renamed resource is deleted"
        " and made anew unless it has an alias. If the change is meant, change the list:\n" + "\n".join(difference)
    )


@pytest.mark.parametrize("stack", STACKS)
def test_outputs_are_complete_and_known(stack: str) -> None:
    outputs = program(stack)[1]
    assert set(outputs) == OUTPUTS
    assert json.loads(json.dumps(outputs)) == outputs
    assert not [name for name, value in outputs.items() if value is None]
    assert outputs["stack"] == stack


def test_the_local_stack_says_where_its_emulator_is_and_the_others_that_they_are_on_aws() -> None:
    endpoints = {stack: program(stack)[1]["endpoint"] for stack in STACKS}
    assert endpoints == {"dev": "", "prod": "", "local": "http://127.0.0.1:4566"}


@pytest.mark.parametrize("stack", STACKS)
def test_every_aws_resource_is_made_by_the_one_tagged_provider(stack: str) -> None:
    recorder = program(stack)[0]
    made = [resource for resource in recorder.resources if resource.type.startswith("aws:")]
    assert made
    assert {resource.provider.rsplit("::", 2)[-2:][0] for resource in made} == {"aws"}
    assert len(recorder.all("aws")) == 1
    assert not [resource.name for resource in made if "tags" in resource.inputs], "tags are set in one place"


@pytest.mark.parametrize("stack", STACKS)
def test_no_role_is_allowed_a_wildcard(stack: str) -> None:
    for policy in program(stack)[0].all("RolePolicy"):
        for statement in policy.document()["Statement"]:
            actions, resources = statement["Action"], statement["Resource"]
            assert not [action for action in actions if "*" in action], policy.name
            if resources == "*":
                assert {action.split(":")[0] for action in actions} == {"xray"}, "only X-Ray has no resources"
            else:
                assert all(resource.startswith("arn:aws:") for resource in resources)


@pytest.mark.parametrize("stack", STACKS)
def test_nothing_is_open_to_everybody(stack: str) -> None:
    recorder = program(stack)[0]
    for resource in [*recorder.all("QueuePolicy"), *recorder.all("TopicPolicy"), *recorder.all("Key")]:
        for statement in resource.document()["Statement"]:
            assert statement["Effect"] == "Deny" or statement["Principal"] != "*", resource.name
            if "Service" in statement["Principal"]:
                assert statement.get("Condition"), f"{resource.name}: any account's service could come in"


@pytest.mark.parametrize("stack", ["dev", "prod"])
def test_on_aws_no_queue_and_no_topic_is_reached_over_plain_http(stack: str) -> None:
    recorder = program(stack)[0]
    assert recorder.names("QueuePolicy") == recorder.names("Queue")
    assert recorder.names("TopicPolicy") == recorder.names("Topic")
    for policy in [*recorder.all("QueuePolicy"), *recorder.all("TopicPolicy")]:
        assert "DenyPlainHttp" in policy.statements(), policy.name


def test_every_queue_hides_messages_longer_than_its_consumer_runs() -> None:
    recorder = program("prod")[0]
    for mapping in recorder.all("EventSourceMapping"):
        function = recorder.one("Function", mapping.name)
        queue = recorder.one("Queue", mapping.inputs["eventSourceArn"].rsplit(":", 1)[-1])
        assert queue.inputs["visibilityTimeoutSeconds"] >= 6 * function.inputs["timeout"]


def test_dev_and_prod_differ_by_settings_only() -> None:
    dev, prod = (PINNED / f"{stack}.txt" for stack in ("dev", "prod"))
    assert dev.read_text() == prod.read_text()


def test_a_hosted_zone_adds_the_domains_records_and_nothing_else() -> None:
    without, within = program("prod")[0], program("prod", hostedZoneId="Z0123456789")[0]
    added = set(within.pinned()) - set(without.pinned())
    assert added == {
        f"aws:route53/record:Record mailroom-{label}"
        for label in ("dkim-1", "dkim-2", "dkim-3", "mail-from-mx", "mail-from-spf", "dmarc")
    }


def test_the_switch_to_production_sending_reaches_the_handler_and_its_role() -> None:
    for sending in ("true", "false"):
        recorder, outputs = program("local", productionSending=sending)
        variables = recorder.one("Function", "mailroom-send-email").inputs["environment"]["variables"]
        assert variables["PRODUCTION_SENDING"] == sending
        assert outputs["productionSending"] is (sending == "true")
        policy = recorder.one("RolePolicy", "mailroom-send-email").inputs["policy"]
        assert ("simulator.amazonses.com" in policy) is (sending == "false")


def test_wrong_settings_stop_the_program_before_anything_is_registered() -> None:
    recorder = Recorder()
    config = {**stack_config("dev"), "mailroom:sendRate": "0", "mailroom:ownr": "me"}
    with pytest.raises(SettingsError, match=r"2 settings are wrong in stack 'dev'") as refused:
        run_program(ROOT / "__main__.py", recorder, project="mailroom", stack="dev", config=config)
    assert len(refused.value.faults) == 2
    assert recorder.resources == []
