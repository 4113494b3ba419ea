"""The unchanged program becomes real resources; whatever cannot become one stops the deployment and says why."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from local.aws import LocalAws
from local.config import StackConfigError
from local.deployer import Deployment, DeploymentError, Resource, Transform, deploy
from local.deployer.catalogue import CREATE, IGNORED, NOT_EMULATED
from local.deployer.model import Account, Json
from local.emulator import Emulator

pytestmark = pytest.mark.local

Program = Callable[[str], Path]
TAGS = {"project", "stack", "owner", "cost-centre"}


@pytest.fixture
def run(emulator: Emulator, program: Program, tmp_path: Path) -> Callable[..., Deployment]:
    """Deploys a program of these lines to an empty account."""

    def deployed(lines: str, **options: Any) -> Deployment:
        return deploy(emulator.endpoint, root=program(lines), outputs_path=tmp_path / "outputs.json", **options)

    return deployed


def test_every_resource_of_the_program_is_created_or_left_out_with_a_reason(aws: LocalAws) -> None:
    deployment = aws.deployment
    assert deployment
    assert deployment.resources == len(deployment.created) + len(deployment.not_emulated) > 40
    assert all(one.reason == NOT_EMULATED[one.type] for one in deployment.not_emulated)
    assert not {one.type for one in deployment.created} & NOT_EMULATED.keys()


def test_a_type_is_either_created_or_left_out_and_only_created_ones_have_ignored_properties() -> None:
    assert not CREATE.keys() & NOT_EMULATED.keys()
    assert {type_ for type_, _ in IGNORED} <= CREATE.keys()


def test_the_outputs_name_what_is_there(aws: LocalAws) -> None:
    outputs = aws.outputs
    assert outputs["endpoint"] == aws.endpoint
    for name in ("sendQueue", "sendDlq", "quarantineQueue", "feedbackQueue", "feedbackDlq"):
        found = aws.client("sqs").get_queue_attributes(QueueUrl=outputs[f"{name}Url"], AttributeNames=["QueueArn"])
        assert found["Attributes"]["QueueArn"] == outputs[f"{name}Arn"]
    for name in ("orderTopicArn", "deliveryTopicArn", "bounceTopicArn", "complaintTopicArn"):
        aws.client("sns").get_topic_attributes(TopicArn=outputs[name])
    for name in ("send", "feedback"):
        alias = aws.client("lambda").get_function(FunctionName=outputs[f"{name}FunctionArn"])["Configuration"]
        assert alias["FunctionName"] == outputs[f"{name}FunctionName"]
        assert alias["LoggingConfig"]["LogGroup"] == outputs[f"{name}LogGroup"]
    aws.client("dynamodb").describe_table(TableName=outputs["ledgerTableName"])
    aws.client("sesv2").get_configuration_set(ConfigurationSetName=outputs["configurationSetName"])
    assert [set(record) for record in outputs["dnsRecords"]] == [
        {"name", "type", "ttl", "value", "purpose"} for _ in outputs["dnsRecords"]
    ]


def test_the_outputs_file_is_what_pulumi_prints(aws: LocalAws) -> None:
    text = (aws.folder / "outputs.json").read_text(encoding="utf-8")
    assert json.loads(text) == aws.outputs
    assert text.startswith("{\n  ")
    assert isinstance(aws.outputs["productionSending"], bool)


def test_the_whole_log_is_read_however_long_it_is(aws: LocalAws, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("local.aws.PAGE", 3)
    name, group = aws.outputs["sendFunctionName"], aws.outputs["sendLogGroup"]
    before = len(aws.logs(name))
    now = int(time.time() * 1000)
    logs = aws.client("logs")
    logs.create_log_stream(logGroupName=group, logStreamName="long")
    logs.put_log_events(
        logGroupName=group,
        logStreamName="long",
        logEvents=[{"timestamp": now + n // 2, "message": json.dumps({"n": n})} for n in range(9)],
    )
    assert [line["n"] for line in aws.logs(name)[before:]] == list(range(9))
    logs.delete_log_stream(logGroupName=group, logStreamName="long")


def tags_of(aws: LocalAws, resource: Resource) -> Json | None:
    """The tags that the account shows for a resource; None for a type that cannot be tagged."""
    name, arn = resource.id, resource.outputs.get("arn")

    def listed(found: list[dict[str, str]], key: str = "Key", value: str = "Value") -> Json:
        return {tag[key]: tag[value] for tag in found}

    def sesv2() -> Json:
        return listed(aws.client("sesv2").list_tags_for_resource(ResourceArn=arn)["Tags"])

    readers: dict[str, Callable[[], Json]] = {
        "aws:sqs/queue:Queue": lambda: aws.client("sqs").list_queue_tags(QueueUrl=name)["Tags"],
        "aws:sns/topic:Topic": lambda: listed(aws.client("sns").list_tags_for_resource(ResourceArn=arn)["Tags"]),
        "aws:dynamodb/table:Table": lambda: listed(
            aws.client("dynamodb").list_tags_of_resource(ResourceArn=arn)["Tags"]
        ),
        "aws:cloudwatch/logGroup:LogGroup": lambda: aws.client("logs").list_tags_for_resource(resourceArn=arn)["tags"],
        "aws:iam/role:Role": lambda: listed(aws.client("iam").list_role_tags(RoleName=name)["Tags"]),
        "aws:kms/key:Key": lambda: listed(
            aws.client("kms").list_resource_tags(KeyId=name)["Tags"], "TagKey", "TagValue"
        ),
        "aws:lambda/function:Function": lambda: aws.client("lambda").list_tags(Resource=arn)["Tags"],
        "aws:lambda/eventSourceMapping:EventSourceMapping": lambda: aws.client("lambda").list_tags(Resource=arn)[
            "Tags"
        ],
        "aws:sesv2/emailIdentity:EmailIdentity": sesv2,
        "aws:sesv2/configurationSet:ConfigurationSet": sesv2,
    }
    reader = readers.get(resource.type)
    return reader() if reader else None


UNTAGGABLE = {
    "aws:iam/rolePolicy:RolePolicy",
    "aws:lambda/alias:Alias",
    "aws:lambda/layerVersion:LayerVersion",
    "aws:sesv2/configurationSetEventDestination:ConfigurationSetEventDestination",
    "aws:sns/topicPolicy:TopicPolicy",
    "aws:sns/topicSubscription:TopicSubscription",
    "aws:sqs/queuePolicy:QueuePolicy",
    "aws:sqs/redriveAllowPolicy:RedriveAllowPolicy",
}
"""Types for which the provider's schema has no `tags`."""


def test_the_providers_tags_are_on_everything_that_can_carry_tags(aws: LocalAws) -> None:
    assert aws.deployment
    for resource in aws.deployment.created:
        tags = tags_of(aws, resource)
        if resource.type in UNTAGGABLE:
            assert tags is None
        else:
            assert tags is not None, f"{resource.type} is neither known as untaggable nor read here"
            assert tags.keys() >= TAGS, f"{resource.type} {resource.name}"
            assert tags["stack"] == "local"


def test_what_was_declared_is_what_the_account_has(aws: LocalAws) -> None:
    """One property of each creator, read back from the service rather than from what we sent."""
    assert aws.deployment
    find, outputs = aws.deployment.find, aws.outputs
    queue = aws.client("sqs").get_queue_attributes(QueueUrl=outputs["sendQueueUrl"], AttributeNames=["All"])
    declared = find("aws:sqs/queue:Queue", "mailroom-send-email").inputs
    assert int(queue["Attributes"]["VisibilityTimeout"]) == declared["visibilityTimeoutSeconds"]
    assert json.loads(queue["Attributes"]["RedrivePolicy"])["deadLetterTargetArn"] == outputs["sendDlqArn"]
    assert outputs["orderTopicArn"] in queue["Attributes"]["Policy"]

    table = aws.client("dynamodb").describe_table(TableName=outputs["ledgerTableName"])["Table"]
    assert {index["IndexName"] for index in table["GlobalSecondaryIndexes"]} == {"open", "recipient"}
    lifetime = aws.client("dynamodb").describe_time_to_live(TableName=outputs["ledgerTableName"])
    assert lifetime["TimeToLiveDescription"]["AttributeName"] == "expiresAt"
    backups = aws.client("dynamodb").describe_continuous_backups(TableName=outputs["ledgerTableName"])
    recovery = backups["ContinuousBackupsDescription"]["PointInTimeRecoveryDescription"]
    assert recovery["PointInTimeRecoveryStatus"] == "ENABLED"

    function = aws.client("lambda").get_function_configuration(FunctionName=outputs["sendFunctionArn"])
    inputs = find("aws:lambda/function:Function", "mailroom-send-email").inputs
    assert function["Environment"]["Variables"] == inputs["environment"]["variables"]
    assert function["TracingConfig"]["Mode"] == "Active"
    assert (function["MemorySize"], function["Timeout"]) == (inputs["memorySize"], inputs["timeout"])
    mapping = find("aws:lambda/eventSourceMapping:EventSourceMapping", "mailroom-send-email")
    found = aws.client("lambda").get_event_source_mapping(UUID=mapping.id)
    assert found["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    assert found["ScalingConfig"]["MaximumConcurrency"] == mapping.inputs["scalingConfig"]["maximumConcurrency"]

    options = aws.client("sesv2").get_configuration_set(ConfigurationSetName=outputs["configurationSetName"])
    assert options["DeliveryOptions"]["TlsPolicy"] == "REQUIRE"
    destinations = aws.client("sesv2").get_configuration_set_event_destinations(
        ConfigurationSetName=outputs["configurationSetName"]
    )["EventDestinations"]
    topics = {destination["SnsDestination"]["TopicArn"] for destination in destinations}
    assert topics == {outputs[f"{kind}TopicArn"] for kind in ("delivery", "bounce", "complaint")}
    key = find("aws:kms/key:Key", "mailroom-ses-notifications")
    assert aws.client("kms").get_key_rotation_status(KeyId=key.id)["KeyRotationEnabled"]
    groups = aws.client("logs").describe_log_groups(logGroupNamePrefix=outputs["sendLogGroup"])["logGroups"]
    assert [group["retentionInDays"] for group in groups] == [1]


def test_a_listed_type_is_left_out_and_reported_with_its_reason(run: Callable[..., Deployment]) -> None:
    type_ = "aws:sesv2/emailIdentityMailFromAttributes:EmailIdentityMailFromAttributes"
    deployment = run("aws.sesv2.EmailIdentityMailFromAttributes('m', email_identity='example.com', opts=here)")
    assert not deployment.created
    assert [(one.type, one.name, one.reason) for one in deployment.not_emulated] == [(type_, "m", NOT_EMULATED[type_])]


def test_a_second_deployment_in_one_process_starts_afresh(run: Callable[..., Deployment], emulator: Emulator) -> None:
    lines = "queue = aws.sqs.Queue('q', opts=here)\npulumi.export('url', queue.url)\n"
    lines += "pulumi.export('colour', pulumi.Config().require('colour'))\n"
    first = run(lines)
    emulator.reset()
    second = run(lines, overrides={"colour": "red"}, stack="other")
    assert (first.outputs["colour"], second.outputs["colour"]) == ("green", "red")
    assert first.resources == second.resources == 1
    assert first.outputs["url"] != second.outputs["url"], "two stacks must not share a physical name"
    emulator.reset()
    assert run(lines).outputs == first.outputs, "the same stack has the same names in every run"


def test_outputs_arrive_resolved_with_whole_numbers_as_integers(run: Callable[..., Deployment]) -> None:
    lines = (
        "queue = aws.sqs.Queue('q', visibility_timeout_seconds=60, opts=here)\n"
        "account = aws.get_caller_identity_output(opts=pulumi.InvokeOptions(provider=provider))\n"
        "pulumi.export('all', {'n': [queue.visibility_timeout_seconds, 1.5], 'id': account.account_id})\n"
    )
    outputs = run(lines).outputs
    assert outputs == {"all": {"n": [60, 1.5], "id": "000000000000"}}
    assert isinstance(outputs["all"]["n"][0], int)


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        pytest.param(
            "aws.ssm.Parameter('b', type='String', value='v', opts=here)",
            r"aws:ssm/parameter:Parameter 'b': the deployer does not know this type.*NOT_EMULATED",
            id="unknown type",
        ),
        pytest.param(
            "aws.sqs.Queue('q', fifo_queue=True, opts=here)",
            r"aws:sqs/queue:Queue 'q': properties not understood: fifoQueue.*IGNORED",
            id="unknown property",
        ),
        pytest.param(
            "aws.sns.Topic('t', tracing_config='Active', archive_policy='{}', opts=here)",
            r"properties not understood: archivePolicy",
            id="unknown property beside known ones",
        ),
        pytest.param(
            "aws.sqs.Queue('q')",
            r"aws:sqs/queue:Queue 'q' has no explicit provider.*deploy it to AWS",
            id="no provider",
        ),
        pytest.param(
            "aws.kms.Key('k', opts=here)",
            r"aws:kms/key:Key 'k': the provider's endpoint for 'kms' is None",
            id="service that the provider would look for at AWS",
        ),
        pytest.param(
            "aws.sqs.Queue('q', visibility_timeout_seconds=50000, opts=here)",
            r"aws:sqs/queue:Queue 'q'.*VisibilityTimeout",
            id="refused by the service",
        ),
        pytest.param(
            "aws.sqs.Queue('q' * 80, opts=here)",
            r"is over 80 characters; shorten the name",
            id="name too long",
        ),
        pytest.param(
            "aws.sqs.Queue('q', opts=here)\naws.sqs.Queue('q', opts=here)",
            r"aws:sqs/queue:Queue 'q' is declared twice",
            id="declared twice",
        ),
        pytest.param(
            "aws.get_availability_zones_output(opts=pulumi.InvokeOptions(provider=provider))",
            r"function aws:index/getAvailabilityZones:getAvailabilityZones is not known here",
            id="unknown function",
        ),
        pytest.param(
            "trust = {'Effect': 'Allow', 'Action': 'sts:AssumeRole', 'Principal': {'Service': 'ec2.amazonaws.com'}}\n"
            "role = aws.iam.Role('r', assume_role_policy=json.dumps({'Statement': [trust]}), opts=here)\n"
            "aws.lambda_.Function('f', role=role.arn, code=pulumi.FileArchive('f.zip'), opts=here)",
            r"aws:lambda/function:Function 'f': the trust policy of 'r-[0-9a-f]{7}' does not name Lambda",
            id="role that Lambda may not assume",
        ),
        pytest.param(
            "raise pulumi.RunError('the colour is wrong')", r"^the colour is wrong$", id="refusal by the program"
        ),
    ],
)
def test_what_cannot_be_deployed_stops_with_a_message_that_says_what_to_do(
    run: Callable[..., Deployment], lines: str, message: str
) -> None:
    with pytest.raises(DeploymentError, match=rf"(?s){message}"):
        run(lines)


def test_text_made_from_an_unresolved_output_is_an_error_and_not_a_name(run: Callable[..., Deployment]) -> None:
    lines = "queue = aws.sqs.Queue('q', opts=here)\naws.sns.Topic('t', display_name=f'for {queue.name}', opts=here)"
    with pytest.raises(Exception, match="Calling __str__ on an Output"):
        run(lines)


def test_an_error_of_the_program_comes_through_as_it_is(run: Callable[..., Deployment]) -> None:
    with pytest.raises(ZeroDivisionError):
        run("aws.sqs.Queue('q', opts=here)\n1 / 0")


def test_nothing_is_created_for_settings_that_are_refused(run: Callable[..., Deployment], emulator: Emulator) -> None:
    with pytest.raises(StackConfigError, match="tiny:colour must be of type string"):
        run("aws.sqs.Queue('q', opts=here)", overrides={"colour": 3})
    assert not Account(emulator.endpoint, "us-east-1").client("sqs").list_queues().get("QueueUrls")


def test_the_real_programs_settings_are_refused_together_and_nothing_is_created(
    emulator: Emulator, tmp_path: Path
) -> None:
    wrong = {"mailerConcurrency": 1, "logRetentionDays": 2, "sendRte": 3}
    with pytest.raises(DeploymentError) as refused:
        deploy(emulator.endpoint, overrides=wrong, outputs_path=tmp_path / "outputs.json")
    assert all(key in str(refused.value) for key in wrong)
    assert not Account(emulator.endpoint, "us-east-1").client("sqs").list_queues().get("QueueUrls")
    assert not (tmp_path / "outputs.json").exists()


@pytest.mark.parametrize("policy", [True, False], ids=["with its policy", "without"])
def test_a_queue_takes_a_topics_messages_only_if_its_policy_says_so(
    run: Callable[..., Deployment], emulator: Emulator, policy: bool
) -> None:
    lines = (
        "topic, queue = aws.sns.Topic('t', opts=here), aws.sqs.Queue('q', opts=here)\n"
        "allow = {'Effect': 'Allow', 'Principal': {'Service': 'sns.amazonaws.com'}, 'Action': 'sqs:SendMessage',\n"
        "         'Resource': queue.arn, 'Condition': {'ArnEquals': {'aws:SourceArn': topic.arn}}}\n"
        f"if {policy}:\n"
        "    text = pulumi.Output.json_dumps({'Version': '2012-10-17', 'Statement': [allow]})\n"
        "    aws.sqs.QueuePolicy('p', queue_url=queue.url, policy=text, opts=here)\n"
        "aws.sns.TopicSubscription('s', topic=topic.arn, protocol='sqs', endpoint=queue.arn, opts=here)\n"
        "pulumi.export('topic', topic.arn)\n"
        "pulumi.export('queue', queue.url)\n"
    )
    outputs, account = run(lines).outputs, Account(emulator.endpoint, "us-east-1")
    account.client("sns").publish(TopicArn=outputs["topic"], Message="hello")
    received = account.client("sqs").receive_message(QueueUrl=outputs["queue"], WaitTimeSeconds=1)
    assert bool(received.get("Messages")) is policy


def without_inputs(type_: str, *keys: str) -> Transform:
    def transform(of: str, _name: str, inputs: Json) -> Json:
        return {key: value for key, value in inputs.items() if key not in keys} if of == type_ else inputs

    return transform


def test_a_transform_sees_every_resource_as_registered_and_changes_what_is_deployed(
    run: Callable[..., Deployment],
) -> None:
    lines = "aws.sqs.Queue('q', visibility_timeout_seconds=60, tags={'a': 'b'}, opts=here)"
    changed = run(lines, transform=without_inputs("aws:sqs/queue:Queue", "visibilityTimeoutSeconds"))
    assert changed.find("aws:sqs/queue:Queue", "q").inputs == {"tags": {"a": "b"}}
