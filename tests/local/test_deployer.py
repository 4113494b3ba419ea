"""The unchanged program becomes real resources; whatever cannot become one stops the deployment and says why."""

from __future__ import annotations

import json
import time
import zipfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import botocore.session
import pytest

from local.alarms import alarms_of
from local.aws import LocalAws
from local.config import StackConfigError
from local.deployer import Deployment, DeploymentError, Resource, Transform, deploy
from local.deployer.catalogue import CREATE, IGNORED, NOT_EMULATED
from local.deployer.constraints import faults
from local.deployer.model import Account, Json
from local.emulator import Emulator

pytestmark = pytest.mark.local

Program = Callable[[str], Path]
TAGS = {"project", "stack", "owner", "cost-centre"}
MONITORED = """\
services = ("chatbot", "cloudwatch", "iam", "lambda_", "logs", "scheduler", "sesv2", "sns", "sqs", "sts", "xray")
provider = aws.Provider(
    "monitoring", region="us-east-1", access_key="test", secret_key="test",
    default_tags=aws.ProviderDefaultTagsArgs(tags={"stack": pulumi.get_stack()}),
    endpoints=[aws.ProviderEndpointArgs(**dict.fromkeys(services, endpoint))],
)
here = pulumi.ResourceOptions(provider=provider)
"""
"""Begins a program whose provider finds the services of monitoring here, too."""


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


def test_alarms_are_told_as_they_were_made(aws: LocalAws) -> None:
    assert aws.deployment
    made = {resource.name: resource.inputs for resource in aws.deployment.created if "Alarm" in resource.type}
    told = {alarm["AlarmName"]: alarm for alarm in alarms_of(aws.client("cloudwatch"))}
    assert len(told) == len(made) > 40
    for inputs in made.values():
        alarm = told[inputs.get("name") or inputs["alarmName"]]
        assert alarm["AlarmDescription"] == inputs["alarmDescription"]
        assert alarm["AlarmActions"] == inputs.get("alarmActions", [])
        queries = {query["Id"]: query for query in alarm.get("Metrics", [])}
        assert {query["id"]: query.get("expression") for query in inputs.get("metricQueries", [])} == {
            id_: query.get("Expression") for id_, query in queries.items()
        }
        assert ("MetricName" in alarm) is ("metricName" in inputs)
        assert alarm.get("Statistic") == inputs.get("statistic")
        assert alarm.get("ExtendedStatistic") == inputs.get("extendedStatistic")
        assert alarm.get("EvaluateLowSampleCountPercentile") == inputs.get("evaluateLowSampleCountPercentiles")
        assert alarm.get("ActionsSuppressor") == (inputs.get("actionsSuppressor") or {}).get("alarm")


def test_a_type_is_either_created_or_left_out_and_only_created_ones_have_ignored_properties() -> None:
    assert not CREATE.keys() & NOT_EMULATED.keys()
    assert {type_ for type_, _ in IGNORED} <= CREATE.keys()


def test_the_outputs_name_what_is_there(aws: LocalAws) -> None:
    outputs = aws.outputs
    assert outputs["endpoint"] == aws.endpoint
    for name in ("sendQueue", "sendDlq", "quarantineQueue", "feedbackQueue", "feedbackDlq", "notifyQueue", "notifyDlq"):
        found = aws.client("sqs").get_queue_attributes(QueueUrl=outputs[f"{name}Url"], AttributeNames=["QueueArn"])
        assert found["Attributes"]["QueueArn"] == outputs[f"{name}Arn"]
    for name in ("order", "delivery", "bounce", "complaint", "alarms", "page", "ticket"):
        aws.client("sns").get_topic_attributes(TopicArn=outputs[f"{name}TopicArn"])
    for name in ("send", "feedback", "probe"):
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

    def alarm() -> Json:
        return listed(aws.client("cloudwatch").list_tags_for_resource(ResourceARN=arn)["Tags"])

    readers: dict[str, Callable[[], Json]] = {
        "aws:sqs/queue:Queue": lambda: aws.client("sqs").list_queue_tags(QueueUrl=name)["Tags"],
        "aws:sns/topic:Topic": lambda: listed(aws.client("sns").list_tags_for_resource(ResourceArn=arn)["Tags"]),
        "aws:dynamodb/table:Table": lambda: listed(
            aws.client("dynamodb").list_tags_of_resource(ResourceArn=arn)["Tags"]
        ),
        "aws:cloudwatch/logGroup:LogGroup": lambda: aws.client("logs").list_tags_for_resource(resourceArn=arn)["tags"],
        "aws:budgets/budget:Budget": lambda: listed(
            aws.client("budgets").list_tags_for_resource(ResourceARN=arn)["ResourceTags"]
        ),
        "aws:iam/policy:Policy": lambda: listed(aws.client("iam").list_policy_tags(PolicyArn=arn)["Tags"]),
        "aws:iam/role:Role": lambda: listed(aws.client("iam").list_role_tags(RoleName=name)["Tags"]),
        "aws:kms/key:Key": lambda: listed(
            aws.client("kms").list_resource_tags(KeyId=name)["Tags"], "TagKey", "TagValue"
        ),
        "aws:cloudwatch/metricAlarm:MetricAlarm": alarm,
        "aws:cloudwatch/compositeAlarm:CompositeAlarm": alarm,
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
    "aws:cloudwatch/dashboard:Dashboard",
    "aws:iam/rolePolicy:RolePolicy",
    "aws:lambda/alias:Alias",
    "aws:lambda/functionEventInvokeConfig:FunctionEventInvokeConfig",
    "aws:lambda/layerVersion:LayerVersion",
    "aws:scheduler/schedule:Schedule",
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
    lines = MONITORED + "aws.sesv2.EmailIdentityMailFromAttributes('m', email_identity='example.com', opts=here)"
    deployment = run(lines)
    assert not deployment.created
    assert [(one.type, one.name, one.reason) for one in deployment.not_emulated] == [(type_, "m", NOT_EMULATED[type_])]


def test_what_is_left_out_is_still_not_looked_for_at_aws(run: Callable[..., Deployment]) -> None:
    lines = "aws.xray.Group('g', group_name='g', filter_expression='ok', opts=here)"
    with pytest.raises(DeploymentError, match="the provider's endpoint for 'xray' is None"):
        run(lines)
    assert [one.type for one in run(MONITORED + lines).not_emulated] == ["aws:xray/group:Group"]
    query = "aws.cloudwatch.QueryDefinition('q', name='q', query_string='fields @message', opts=here)"
    assert [one.name for one in run(MONITORED + query).not_emulated] == ["q"]


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


def test_a_secret_is_deployed_as_its_value(run: Callable[..., Deployment], emulator: Emulator) -> None:
    lines = (
        "queue = aws.sqs.Queue('q', visibility_timeout_seconds=pulumi.Output.secret(77), opts=here)\n"
        "tag = {'tag': pulumi.Output.secret('value')}\n"
        "aws.sns.Topic('t', display_name=pulumi.Output.secret('shown'), tags=tag, opts=here)"
    )
    deployment = run(lines)
    account = Account(emulator.endpoint, "us-east-1")
    queue, topic = deployment.find("aws:sqs/queue:Queue", "q"), deployment.find("aws:sns/topic:Topic", "t")
    there = account.client("sqs").get_queue_attributes(QueueUrl=queue.id, AttributeNames=["VisibilityTimeout"])
    assert there["Attributes"] == {"VisibilityTimeout": "77"}
    shown = account.client("sns").get_topic_attributes(TopicArn=topic.id)["Attributes"]["DisplayName"]
    assert (shown, topic.outputs["tagsAll"]["tag"]) == ("shown", "value")


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


ALARMS = """\
topic = aws.sns.Topic('t', opts=here)
one = aws.cloudwatch.MetricAlarm(
    'slow', namespace='AWS/Lambda', metric_name='Duration', dimensions={'FunctionName': 'f'}, extended_statistic='p95',
    evaluate_low_sample_count_percentiles='ignore', comparison_operator='GreaterThanThreshold', threshold=1.5,
    period=60, evaluation_periods=5, datapoints_to_alarm=3, treat_missing_data='notBreaching', unit='Milliseconds',
    alarm_description='slow', alarm_actions=[topic.arn], ok_actions=[topic.arn], insufficient_data_actions=[topic.arn],
    tags={'severity': 'page'}, opts=here)
stat = {'namespace': 'N', 'stat': 'Sum', 'period': 300, 'dimensions': {'Stack': 'local'}}
two = aws.cloudwatch.MetricAlarm(
    'rate', name='rate', comparison_operator='GreaterThanThreshold', threshold=2, evaluation_periods=1,
    metric_queries=[
        {'id': 'share', 'expression': '100 * bad / all', 'label': 'share', 'return_data': True},
        {'id': 'bad', 'metric': {'metric_name': 'Bad', **stat}},
        {'id': 'all', 'metric': {'metric_name': 'All', **stat}},
    ],
    actions_enabled=False, opts=here)
rule = pulumi.Output.all(one.name, two.name).apply(lambda names: ' OR '.join(f'ALARM("{name}")' for name in names))
both = aws.cloudwatch.CompositeAlarm(
    'both', alarm_name='both', alarm_rule=rule, alarm_description='both', alarm_actions=[topic.arn],
    actions_suppressor={'alarm': two.arn, 'wait_period': 60, 'extension_period': 120}, opts=here)
pulumi.export('topic', topic.arn)
pulumi.export('arns', [one.arn, two.arn, both.arn])
"""


def requests_of(monkeypatch: pytest.MonkeyPatch, service: str) -> list[tuple[str, Json]]:
    """What is asked of a service from here on, as (operation, parameters): what the emulator does not keep is there."""
    asked: list[tuple[str, Json]] = []
    client = Account.client

    def listening(self: Account, name: str) -> Any:
        made = client(self, name)
        if name == service:
            made.meta.events.register(
                f"provide-client-params.{name}",
                lambda params, model, **_: asked.append((model.name, params)),
                unique_id="test",
            )
        return made

    monkeypatch.setattr(Account, "client", listening)
    return asked


def test_an_alarm_is_made_of_all_that_was_declared_whichever_kind_it_is(
    run: Callable[..., Deployment], emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = requests_of(monkeypatch, "cloudwatch")
    outputs = run(MONITORED + ALARMS).outputs
    slow, rate = sorted(
        (params for name, params in calls if name == "PutMetricAlarm"), key=lambda one: "Metrics" in one
    )
    actions = [outputs["topic"]]
    assert slow == {
        "AlarmName": outputs["arns"][0].rpartition(":")[2],
        "AlarmDescription": "slow",
        "Namespace": "AWS/Lambda",
        "MetricName": "Duration",
        "Dimensions": [{"Name": "FunctionName", "Value": "f"}],
        "ExtendedStatistic": "p95",
        "EvaluateLowSampleCountPercentile": "ignore",
        "ComparisonOperator": "GreaterThanThreshold",
        "Threshold": 1.5,
        "Period": 60,
        "EvaluationPeriods": 5,
        "DatapointsToAlarm": 3,
        "TreatMissingData": "notBreaching",
        "Unit": "Milliseconds",
        "AlarmActions": actions,
        "OKActions": actions,
        "InsufficientDataActions": actions,
        "Tags": [{"Key": "stack", "Value": "local"}, {"Key": "severity", "Value": "page"}],
    }
    sums = [
        {
            "Id": name,
            "ReturnData": False,
            "MetricStat": {
                "Metric": {
                    "Namespace": "N",
                    "MetricName": name.capitalize(),
                    "Dimensions": [{"Name": "Stack", "Value": "local"}],
                },
                "Period": 300,
                "Stat": "Sum",
            },
        }
        for name in ("bad", "all")
    ]
    share = {"Id": "share", "Expression": "100 * bad / all", "Label": "share", "ReturnData": True}
    assert rate["Metrics"] == [share, *sums]
    assert rate["ActionsEnabled"] is False
    ((_, composite),) = [call for call in calls if call[0] == "PutCompositeAlarm"]
    assert composite["ActionsSuppressor"] == outputs["arns"][1]
    assert (composite["ActionsSuppressorWaitPeriod"], composite["ActionsSuppressorExtensionPeriod"]) == (60, 120)

    there = Account(emulator.endpoint, "us-east-1").client("cloudwatch")
    found = there.describe_alarms(AlarmTypes=["MetricAlarm", "CompositeAlarm"])
    assert {one["AlarmArn"] for one in [*found["MetricAlarms"], *found["CompositeAlarms"]]} == set(outputs["arns"])
    assert found["CompositeAlarms"][0]["AlarmRule"] == f'ALARM("{slow["AlarmName"]}") OR ALARM("rate")'


def test_a_dashboard_is_there_with_its_body(run: Callable[..., Deployment], emulator: Emulator) -> None:
    body = {"widgets": [{"type": "text", "x": 0, "y": 0, "width": 6, "height": 2, "properties": {"markdown": "# é"}}]}
    lines = (
        f"body = json.dumps({body!r})\n"
        "board = aws.cloudwatch.Dashboard('d', dashboard_name='mail', dashboard_body=body, opts=here)\n"
        "pulumi.export('arn', board.dashboard_arn)"
    )
    assert run(MONITORED + lines).outputs["arn"] == "arn:aws:cloudwatch::000000000000:dashboard/mail"
    there = Account(emulator.endpoint, "us-east-1").client("cloudwatch").get_dashboard(DashboardName="mail")
    assert json.loads(there["DashboardBody"]) == body


SCHEDULED = """\
def role(name, service, *statements, **condition):
    trust = {'Effect': 'Allow', 'Action': 'sts:AssumeRole', 'Principal': {'Service': service}, **condition}
    made = aws.iam.Role(name, assume_role_policy=json.dumps({'Statement': [trust]}), opts=here)
    policy = pulumi.Output.json_dumps({'Version': '2012-10-17', 'Statement': list(statements)})
    return made, aws.iam.RolePolicy(name, role=made.name, policy=policy, opts=here)
queue = aws.sqs.Queue('letters', opts=here)
function = aws.lambda_.Function(
    'probe', role=role('f', 'lambda.amazonaws.com', {'Effect': 'Deny', 'Action': 'iam:*', 'Resource': '*'})[0].arn,
    code=pulumi.FileArchive(CODE), handler='probe.handler', runtime='python3.13', publish=True, opts=here)
live = aws.lambda_.Alias(
    'probe', name='live', function_name=function.name, function_version=function.version, opts=here)
scheduler, policy = role(
    's', 'scheduler.amazonaws.com',
    {'Effect': 'Allow', 'Action': ALLOWED, 'Resource': [live.arn, queue.arn]},
    Condition={'StringEquals': {'aws:SourceAccount': SOURCE}})
schedule = aws.scheduler.Schedule(
    NAME, schedule_expression=EXPRESSION, flexible_time_window={'mode': 'OFF'},
    target={'arn': TARGET or live.arn, 'role_arn': scheduler.arn, 'input': json.dumps({'from': 'schedule'}),
            'retry_policy': {'maximum_retry_attempts': 0}, 'dead_letter_config': {'arn': queue.arn}},
    opts=pulumi.ResourceOptions.merge(here, pulumi.ResourceOptions(depends_on=[policy])))
pulumi.export('function', function.name)
pulumi.export('schedule', schedule.arn)
pulumi.export('group', schedule.group_name)
"""


@pytest.fixture
def scheduled(tmp_path: Path) -> Callable[..., str]:
    """The lines of a program with a schedule that invokes a function's alias, changed as the test says."""
    code = tmp_path / "probe.zip"
    with zipfile.ZipFile(code, "w") as archive:
        archive.writestr(
            "probe.py", "import json\ndef handler(event, _):\n    print('invoked with', json.dumps(event))\n"
        )

    def lines(**changes: object) -> str:
        given = {
            "CODE": str(code),
            "ALLOWED": ["lambda:InvokeFunction", "sqs:SendMessage"],
            "SOURCE": "000000000000",
            "TARGET": "",
            "NAME": "probe",
            "EXPRESSION": "rate(1 day)",
            **changes,
        }
        return MONITORED + "".join(f"{name} = {value!r}\n" for name, value in given.items()) + SCHEDULED

    return lines


def test_a_schedule_invokes_the_alias_with_its_input(
    run: Callable[..., Deployment], emulator: Emulator, scheduled: Callable[..., str]
) -> None:
    # Under a name of its own: the emulator remembers, beyond a reset, that a schedule of that name was due.
    outputs = run(scheduled(NAME="once", EXPRESSION=f"at({datetime.now(UTC):%Y-%m-%dT%H:%M:%S})")).outputs
    account = Account(emulator.endpoint, "us-east-1")
    name = outputs["schedule"].rpartition("/")[2]
    assert outputs["schedule"].endswith(f":schedule/default/{name}")
    kept = account.client("scheduler").get_schedule(Name=name, GroupName=outputs["group"])
    assert (kept["State"], kept["Target"]["RetryPolicy"]) == ("ENABLED", {"MaximumRetryAttempts": 0})
    assert kept["Target"]["Arn"].endswith(":live"), "the alias, not the function"
    logs, group = account.client("logs"), f"/aws/lambda/{outputs['function']}"
    deadline = time.monotonic() + 30  # the emulator looks every ten seconds
    seen = ""
    while "invoked" not in seen and time.monotonic() < deadline:
        time.sleep(0.5)
        if logs.describe_log_groups(logGroupNamePrefix=group)["logGroups"]:
            seen = "".join(event["message"] for event in logs.filter_log_events(logGroupName=group)["events"])
    assert 'invoked with {"from": "schedule"}' in seen


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        pytest.param(
            {"SOURCE": "999999999999"},
            r"schedule:Schedule 'probe': the trust policy of 's-\w{7}' does not let EventBridge Scheduler in",
            id="role that Scheduler may not assume",
        ),
        pytest.param(
            {"ALLOWED": ["sqs:SendMessage"]},
            r"role 's-\w{7}' is not allowed lambda:InvokeFunction on \S+:live \(EventBridge Scheduler invokes",
            id="role that may not invoke the target",
        ),
        pytest.param(
            {"ALLOWED": ["lambda:InvokeFunction"]},
            r"role 's-\w{7}' is not allowed sqs:SendMessage on \S+:letters-\w{7} \(EventBridge Scheduler puts aside",
            id="role that may not write to the dead-letter queue",
        ),
        pytest.param(
            {"TARGET": "arn:aws:scheduler:::aws-sdk:sqs:sendMessage"},
            r"schedules do not invoke arn:aws:scheduler:::aws-sdk:sqs:sendMessage here, only targets of lambda",
            id="target that the emulator would drop",
        ),
    ],
)
def test_a_schedule_that_would_never_run_stops_the_deployment(
    run: Callable[..., Deployment], scheduled: Callable[..., str], changes: dict[str, object], message: str
) -> None:
    with pytest.raises(DeploymentError, match=message):
        run(scheduled(**changes))


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        pytest.param(
            "aws.cloudwatch.CompositeAlarm('c', alarm_name='c', alarm_rule='ALARM(\"gone\")', opts=here)",
            r"CompositeAlarm 'c'.*alarm:gone.*do not exist",
            id="rule with an alarm that is not there",
        ),
        pytest.param(
            "aws.cloudwatch.CompositeAlarm('c', alarm_name='c', alarm_rule='FALSE', actions_suppressor={"
            "'alarm': 'gone', 'wait_period': 0, 'extension_period': 0}, opts=here)",
            r"CompositeAlarm 'c': its actions' suppressor gone is no alarm",
            id="suppressor that is not there",
        ),
        pytest.param(
            "aws.cloudwatch.Dashboard('d', dashboard_name='d', dashboard_body='{', opts=here)",
            r"Dashboard 'd': dashboardBody is not JSON",
            id="dashboard that is not JSON",
        ),
        pytest.param(
            "aws.cloudwatch.Dashboard('d', dashboard_name='d', dashboard_body='[]', opts=here)",
            r"Dashboard 'd': dashboardBody is no JSON object",
            id="dashboard that is no object",
        ),
        pytest.param(
            "aws.cloudwatch.MetricAlarm('a', comparison_operator='GreaterThanThreshold', evaluation_periods=1,"
            " evaluation_window={'wall_clock': {'timezone': 'UTC'}}, opts=here)",
            r"MetricAlarm 'a': properties not understood: evaluationWindow",
            id="kind of alarm that is not known here",
        ),
        pytest.param(
            "aws.cloudwatch.MetricAlarm('a', comparison_operator='Over', evaluation_periods=1, metric_name='m',"
            " namespace='n', opts=here)",
            r"MetricAlarm 'a': ComparisonOperator is 'Over', allowed are GreaterThan",
            id="comparison that the API does not have",
        ),
        pytest.param(
            "aws.cloudwatch.MetricAlarm('a', comparison_operator='GreaterThanThreshold', evaluation_periods=1,"
            " metric_queries=[{'id': 'a', 'expression': '1'}], opts=here)",
            r"MetricAlarm 'a': exactly one of metricQueries has to have returnData",
            id="alarm that compares nothing",
        ),
        pytest.param(
            "aws.cloudwatch.MetricAlarm('a', comparison_operator='GreaterThanThreshold', evaluation_periods=1,"
            " metric_name='m', namespace='n', alarm_description='x' * 1025, opts=here)",
            r"MetricAlarm 'a': AlarmDescription has 1025 characters, allowed are 1024 at most",
            id="description that is too long",
        ),
    ],
)
def test_monitoring_that_aws_would_refuse_is_refused(run: Callable[..., Deployment], lines: str, message: str) -> None:
    with pytest.raises(DeploymentError, match=rf"(?s){message}"):
        run(MONITORED + lines)


@pytest.mark.parametrize(
    ("operation", "value", "fault"),
    [
        ("PutMetricAlarm", {"AlarmActions": ["a"] * 6}, "AlarmActions has 6 entries, allowed are 5 at most"),
        ("PutMetricAlarm", {"EvaluationPeriods": 0}, "EvaluationPeriods is 0, allowed are 1 and more"),
        ("PutMetricAlarm", {"Namespace": ":n"}, r"Namespace is ':n', allowed is what [^:].* matches"),
        (
            "PutMetricAlarm",
            {"Metrics": [{"Id": "ok", "ReturnData": True}, {"Id": ""}]},
            "Metrics[1].Id has 0 characters, allowed are 1 and more",
        ),
        ("PutMetricAlarm", {"AlarmDescription": "two\nlines", "Namespace": "N", "AlarmActions": ["a"] * 5}, ""),
    ],
)
def test_what_an_apis_model_rules_out_is_found_by_its_path(operation: str, value: Json, fault: str) -> None:
    shape = botocore.session.Session().get_service_model("cloudwatch").operation_model(operation).input_shape
    assert shape
    assert list(faults(shape, value)) == ([fault] if fault else [])
