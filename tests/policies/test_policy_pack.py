"""The pack in a process of its own, as the engine starts it, and asked as the engine asks: over gRPC, at a preview."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import grpc
import pulumi
import pytest
import yaml
from google.protobuf import empty_pb2, struct_pb2
from pulumi.runtime import proto
from pulumi.runtime.proto import analyzer_pb2_grpc
from pulumi_policy import (
    PolicyCustomTimeouts,
    PolicyProviderResource,
    PolicyResource,
    PolicyResourceOptions,
    ResourceValidationArgs,
)
from pulumi_policy.proxy import UNKNOWN_STRING_VALUE, unknown_checking_proxy

from local.config import ROOT
from observability.program.resources import Recording, Resource
from policies import pack
from policies.model import UNKNOWN, Level
from policies.pack import NAME
from policies.rules import RULES
from tests.recorded import deployed

PACK: Final = ROOT / "policies"
SECRET: Final = {"4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270"}
"""What marks a secret on the wire (Pulumi, sdk/go/common/resource/properties.go)."""
SECONDS: Final = 120
QUEUE: Final = "aws:sqs/queue:Queue"


@contextmanager
def started(stack: str, **environment: str) -> Iterator[analyzer_pb2_grpc.AnalyzerStub]:
    """The pack as `pulumi preview --policy-pack policies` starts it: in its own folder, without our path.

    Pulumi's analyzer plugin for Python runs `python -u -m pulumi.policy ENGINE .` there.
    """
    inherited = {name: each for name, each in os.environ.items() if name != "PYTHONPATH"}
    said = {"PULUMI_PROJECT": "mailroom", "PULUMI_STACK": stack, "PULUMI_DRY_RUN": "true"}
    with subprocess.Popen(
        [sys.executable, "-u", "-m", "pulumi.policy", "127.0.0.1:1", "."],
        cwd=PACK,
        env={**inherited, **said, **environment},
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout
            port = int(process.stdout.readline())
            with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
                grpc.channel_ready_future(channel).result(timeout=SECONDS)
                yield analyzer_pb2_grpc.AnalyzerStub(channel)
        finally:
            process.terminate()


@pytest.fixture(scope="module")
def prod() -> Iterator[analyzer_pb2_grpc.AnalyzerStub]:
    """The pack, configured as the engine does it: each rule's own, and the initial configuration over it."""
    with started("prod") as analyzer:
        configure(analyzer)
        yield analyzer


def configure(analyzer: analyzer_pb2_grpc.AnalyzerStub) -> dict[str, Any]:
    info = analyzer.GetAnalyzerInfo(empty_pb2.Empty())
    given: dict[str, Any] = {}
    for policy in info.policies:
        defaults = {name: each["default"] for name, each in policy.configSchema.properties.items()}
        level = policy.enforcementLevel
        if policy.name in info.initialConfig:
            defaults |= info.initialConfig[policy.name].properties
            level = info.initialConfig[policy.name].enforcementLevel
        given[policy.name] = proto.PolicyConfig(enforcementLevel=level, properties=struct(defaults))
    analyzer.Configure(proto.ConfigureAnalyzerRequest(policyConfig=given))
    return given


def struct(properties: Mapping[str, Any]) -> struct_pb2.Struct:
    made = struct_pb2.Struct()
    made.update(properties)
    return made


def options(resource: Resource) -> proto.AnalyzerResourceOptions:
    return proto.AnalyzerResourceOptions(
        protect=resource.protect, aliases=list(resource.aliases), parent=resource.parent
    )


def declared(resource: Resource) -> proto.AnalyzeRequest:
    """What the engine asks before a resource is registered."""
    return proto.AnalyzeRequest(
        urn=resource.urn,
        type=resource.type,
        name=resource.name,
        properties=struct(resource.inputs),
        options=options(resource),
    )


def whole(of: Recording) -> proto.AnalyzeStackRequest:
    """What the engine asks once all is registered."""
    providers = {each.urn: each for each in of.resources if each.type.startswith("pulumi:providers:")}
    asked = []
    for each in of.resources:
        provider = providers.get(each.provider.rpartition("::")[0])
        asked.append(
            proto.AnalyzerResource(
                urn=each.urn,
                type=each.type,
                name=each.name,
                properties=struct({**each.inputs, **each.outputs, "id": each.id}),
                options=options(each),
                parent=each.parent,
                dependencies=list(each.dependencies),
                provider=proto.AnalyzerProviderResource(
                    urn=provider.urn, type=provider.type, name=provider.name, properties=struct(provider.inputs)
                )
                if provider
                else None,
            )
        )
    return proto.AnalyzeStackRequest(resources=asked)


def queue(**inputs: Any) -> Resource:
    return Resource(type=QUEUE, name="orders", urn=f"urn:pulumi:prod::mailroom::{QUEUE}::orders", inputs=inputs)


def diagnostics(response: Any, rule: str) -> list[Any]:
    return [each for each in response.diagnostics if each.policyName == rule]


def test_the_engine_learns_every_rule_with_its_level_its_kind_and_its_settings(
    prod: analyzer_pb2_grpc.AnalyzerStub,
) -> None:
    info = prod.GetAnalyzerInfo(empty_pb2.Empty())
    assert info.name == NAME
    levels = {Level.ADVISORY: proto.ADVISORY, Level.MANDATORY: proto.MANDATORY}
    kinds = {False: proto.POLICY_TYPE_RESOURCE, True: proto.POLICY_TYPE_STACK}
    assert {each.name: (each.enforcementLevel, each.policy_type) for each in info.policies} == {
        each.name: (levels[each.level], kinds[each.related]) for each in RULES
    }
    for each, rule in zip(info.policies, RULES, strict=True):
        assert set(each.configSchema.properties) == set(rule.defaults)


def test_a_queue_that_is_not_encrypted_stops_a_preview(prod: analyzer_pb2_grpc.AnalyzerStub) -> None:
    response = prod.Analyze(declared(queue(sqsManagedSseEnabled=False)))
    (diagnostic,) = diagnostics(response, "encrypted-at-rest")
    assert diagnostic.enforcementLevel == proto.MANDATORY
    assert "Queue orders: sqsManagedSseEnabled" in diagnostic.message


def test_a_queue_that_is_encrypted_does_not(prod: analyzer_pb2_grpc.AnalyzerStub) -> None:
    assert not diagnostics(prod.Analyze(declared(queue(sqsManagedSseEnabled=True))), "encrypted-at-rest")


@pytest.mark.parametrize(
    "hidden", [UNKNOWN_STRING_VALUE, SECRET | {"value": UNKNOWN_STRING_VALUE}], ids=["plain", "secret"]
)
def test_what_is_not_known_yet_is_noted_and_stops_nothing(prod: analyzer_pb2_grpc.AnalyzerStub, hidden: object) -> None:
    response = prod.Analyze(declared(queue(kmsMasterKeyId=hidden)))
    (diagnostic,) = diagnostics(response, "encrypted-at-rest")
    assert diagnostic.enforcementLevel == proto.ADVISORY
    assert "kmsMasterKeyId of Queue orders is not known yet" in diagnostic.message
    assert not [each for each in response.diagnostics if each.enforcementLevel == proto.MANDATORY]


def test_a_secret_is_looked_into(prod: analyzer_pb2_grpc.AnalyzerStub) -> None:
    response = prod.Analyze(declared(queue(kmsMasterKeyId=SECRET | {"value": "alias/orders"})))
    assert not diagnostics(response, "encrypted-at-rest")


def test_a_rule_says_that_it_does_not_apply_to_another_type(prod: analyzer_pb2_grpc.AnalyzerStub) -> None:
    response = prod.Analyze(declared(queue(sqsManagedSseEnabled=True)))
    assert "function-traced" in {each.policy_name for each in response.not_applicable}


def test_a_stack_without_a_budget_stops_a_preview_once_all_is_declared(prod: analyzer_pb2_grpc.AnalyzerStub) -> None:
    of = deployed("prod")
    kept = tuple(each for each in of.resources if each.kind != "Budget")
    response = prod.AnalyzeStack(whole(Recording(project="mailroom", stack="prod", resources=kept)))
    (diagnostic,) = diagnostics(response, "stack-has-budget")
    assert diagnostic.enforcementLevel == proto.MANDATORY
    assert diagnostic.urn == ""


def test_a_stack_of_which_nothing_is_known_yet_is_noted_and_not_stopped(prod: analyzer_pb2_grpc.AnalyzerStub) -> None:
    """The first preview of all: what AWS gives out, such as ARNs and URLs, is not known of any resource."""
    of = deployed("prod")
    given_out = {
        each.outputs[key]
        for each in of.resources
        for key in each.outputs.keys() - each.inputs.keys() - {"tagsAll", "name", "region"}
        if isinstance(each.outputs[key], str) and each.outputs[key].startswith(("arn:", "https:"))
    }
    assert len(given_out) > 100
    request, alone = whole(of), [declared(each) for each in of.resources]
    for each in (*request.resources, *alone):
        _veil(each.properties, given_out)
    responses = [prod.AnalyzeStack(request), *map(prod.Analyze, alone)]
    said = [each for response in responses for each in response.diagnostics]
    assert [each.message for each in said if each.enforcementLevel == proto.MANDATORY] == []
    assert {each.policyName for each in said} >= {"dead-letter-queue", "no-star-resource"}


def _veil(properties: Any, given_out: set[str]) -> None:
    """Puts the mark of an unknown text wherever one of these is, or is a part of what is there."""
    for key, each in list(properties.items() if isinstance(properties, struct_pb2.Struct) else enumerate(properties)):
        if isinstance(each, struct_pb2.Struct | struct_pb2.ListValue):
            _veil(each, given_out)
        elif isinstance(each, str) and any(part in each for part in given_out):
            properties[key] = UNKNOWN_STRING_VALUE


def test_the_engine_finds_what_the_command_finds_in_our_own_program(prod: analyzer_pb2_grpc.AnalyzerStub) -> None:
    """That is nothing: what there was is waived, and each waiver holds for both."""
    of = deployed("prod")
    responses = [*(prod.Analyze(declared(each)) for each in of.resources), prod.AnalyzeStack(whole(of))]
    assert [each.message for response in responses for each in response.diagnostics] == []


def test_the_initial_configuration_is_that_of_the_stack_and_says_the_level_of_each() -> None:
    with started("dev") as analyzer:
        info = analyzer.GetAnalyzerInfo(empty_pb2.Empty())
        given = configure(analyzer)
    assert info.initialConfig["monthly-cost"].properties["usd"] == 16
    assert info.initialConfig["monthly-cost"].enforcementLevel == proto.MANDATORY
    assert given["tables-protected"].enforcementLevel == proto.DISABLED


def test_what_the_engine_hands_over_is_a_resource_as_a_recording_has_it() -> None:
    opts = PolicyResourceOptions(
        protect=True,
        ignore_changes=["tags"],
        delete_before_replace=None,
        aliases=["urn:pulumi:prod::mailroom::t::old"],
        custom_timeouts=PolicyCustomTimeouts(0, 0, 0),
        additional_secret_outputs=[],
        parent="urn:parent",
    )
    provider = PolicyProviderResource("pulumi:providers:aws", {"region": "us-east-1"}, "urn:aws", "aws")
    properties = unknown_checking_proxy(
        {
            "id": "https://queue",
            "delaySeconds": 5.0,
            "ratio": 0.5,
            "tags": {"a": ["b", UNKNOWN_STRING_VALUE]},
            "code": pulumi.FileArchive("layer.zip"),
        }
    )
    other = PolicyResource("t", {}, "urn:other", "other", opts, None, None, [], {})
    queue = PolicyResource(QUEUE, properties, "urn:queue", "orders", opts, provider, None, [other], {})
    found = {each.urn: each for each in pack.deployed([queue, other])}
    as_recorded = {
        "id": "https://queue",
        "delaySeconds": 5,
        "ratio": 0.5,
        "tags": {"a": ["b", UNKNOWN]},
        "code": {"archive": "layer.zip", "sha256": ""},
    }
    assert found["urn:queue"] == Resource(
        type=QUEUE,
        name="orders",
        urn="urn:queue",
        inputs=as_recorded,
        outputs=as_recorded,
        id="https://queue",
        provider="urn:aws::unknown",
        parent="urn:parent",
        dependencies=("urn:other",),
        ignore_changes=("tags",),
        aliases=("urn:pulumi:prod::mailroom::t::old",),
        protect=True,
    )
    assert isinstance(found["urn:queue"].inputs["delaySeconds"], int)
    assert found["urn:aws"].inputs == {"region": "us-east-1"}
    alone = ResourceValidationArgs(QUEUE, properties, "urn:queue", "orders", opts, provider)
    assert pack.registered(alone) == replace(found["urn:queue"], outputs={}, id="", dependencies=())


def test_a_provider_that_the_engine_also_hands_over_is_there_once() -> None:
    opts = PolicyResourceOptions(False, [], None, [], PolicyCustomTimeouts(0, 0, 0), [])
    provider = PolicyProviderResource("pulumi:providers:aws", {}, "urn:aws", "aws")
    itself = PolicyResource("pulumi:providers:aws", {}, "urn:aws", "aws", opts, None, None, [], {})
    queue = PolicyResource(QUEUE, {}, "urn:queue", "orders", opts, provider, None, [], {})
    assert [each.urn for each in pack.deployed([itself, queue])] == ["urn:aws", "urn:queue"]


def test_the_pack_names_its_runtime_and_the_environment_that_make_sets_up() -> None:
    described = yaml.safe_load((PACK / "PulumiPolicy.yaml").read_text(encoding="utf-8"))
    assert described["runtime"]["name"] == "python"
    assert (PACK / described["runtime"]["options"]["virtualenv"]).resolve() == (ROOT / ".venv").resolve()


def test_a_configuration_that_cannot_be_read_ends_the_pack_with_a_sentence(tmp_path: Path) -> None:
    boot = (
        "import sys; sys.path.insert(0, sys.argv[1]); import policies.configuration as c; from pathlib import Path;"
        "c.read_configuration.__defaults__ = (Path(sys.argv[2]),);"
        "import runpy; runpy.run_path(sys.argv[1] + '/policies', run_name='__main__')"
    )
    (tmp_path / "prod.json").write_text('{"monthly-costs": {}}', encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-c", boot, str(ROOT), str(tmp_path)],
        env={**os.environ, "PULUMI_STACK": "prod"},
        capture_output=True,
        text=True,
        check=False,
        timeout=SECONDS,
    )
    assert done.returncode == 1
    assert done.stdout == ""
    assert "there is no rule 'monthly-costs'; is 'monthly-cost' meant?" in done.stderr
    assert "Traceback" not in done.stderr
