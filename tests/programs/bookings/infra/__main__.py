"""Bookings come in through a queue and are confirmed one by one."""

import pulumi
import pulumi_aws as aws

config = pulumi.Config()
region = aws.get_region()
account = aws.get_caller_identity()

provider = aws.Provider("aws", region="eu-west-1", default_tags={"tags": {"owner": config.require("owner")}})


def allowed(queue_arn: str) -> str:
    """What the worker may do, as a policy."""
    document = aws.iam.get_policy_document(
        statements=[
            {
                "actions": ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"],
                "resources": [queue_arn],
            },
            {
                "actions": ["logs:CreateLogStream", "logs:PutLogEvents"],
                "resources": [f"arn:aws:logs:{region.region}:{account.account_id}:log-group:/aws/lambda/*"],
            },
        ]
    )
    return document.json


class Worker(pulumi.ComponentResource):
    """A queue, and the function that empties it."""

    queue_name: pulumi.Output[str]
    function_name: pulumi.Output[str]
    log_group_name: pulumi.Output[str]

    def __init__(self, name: str, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("bookings:index:Worker", name, None, opts)
        own = pulumi.ResourceOptions(parent=self)
        dead = aws.sqs.Queue(f"{name}-dead", opts=own)
        queue = aws.sqs.Queue(
            name,
            visibility_timeout_seconds=180,
            redrive_policy=pulumi.Output.json_dumps({"deadLetterTargetArn": dead.arn, "maxReceiveCount": 3}),
            opts=own,
        )
        assume = aws.iam.get_policy_document(
            statements=[
                {
                    "actions": ["sts:AssumeRole"],
                    "principals": [{"type": "Service", "identifiers": ["lambda.amazonaws.com"]}],
                }
            ]
        )
        role = aws.iam.Role(name, assume_role_policy=assume.json, opts=own)
        aws.iam.RolePolicy(name, role=role.id, policy=queue.arn.apply(allowed), opts=own)
        function = aws.lambda_.Function(
            name,
            role=role.arn,
            runtime="python3.13",
            handler="confirm.handler",
            code=pulumi.FileArchive("function"),
            timeout=30,
            opts=own,
        )
        logs = aws.cloudwatch.LogGroup(
            name, name=function.name.apply("/aws/lambda/{}".format), retention_in_days=14, opts=own
        )
        aws.lambda_.EventSourceMapping(name, event_source_arn=queue.arn, function_name=function.arn, opts=own)
        self.queue_name, self.function_name, self.log_group_name = queue.name, function.name, logs.name
        self.register_outputs({"queue_name": queue.name})


worker = Worker("confirm", pulumi.ResourceOptions(provider=provider))
on_aws = pulumi.ResourceOptions(provider=provider)
aws.cloudwatch.LogMetricFilter(
    "overbooked",
    log_group_name=worker.log_group_name,
    pattern='{ $.event = "overbooked" }',
    metric_transformation={"name": "Overbooked", "namespace": "Bookings", "value": "1", "unit": "Count"},
    opts=on_aws,
)
manager = aws.sns.Topic("manager", opts=on_aws)
late = aws.cloudwatch.MetricAlarm(
    "late",
    namespace="AWS/SQS",
    metric_name="ApproximateAgeOfOldestMessage",
    dimensions={"Queue": worker.queue_name},
    statistic="Maximum",
    period=60,
    threshold=900,
    evaluation_periods=1,
    comparison_operator="GreaterThanThreshold",
    treat_missing_data="notBreaching",
    opts=on_aws,
)
overbooked = aws.cloudwatch.MetricAlarm(
    "overbooked",
    namespace="Bookings",
    metric_name="Overbooked",
    statistic="Sum",
    period=60,
    threshold=0,
    evaluation_periods=1,
    comparison_operator="GreaterThanThreshold",
    treat_missing_data="notBreaching",
    opts=on_aws,
)
aws.cloudwatch.CompositeAlarm(
    "call-the-manager",
    alarm_name="call-the-manager",
    alarm_rule=pulumi.Output.concat('ALARM("', late.name, '") OR ALARM("', overbooked.name, '")'),
    alarm_actions=[manager.arn],
    opts=on_aws,
)
