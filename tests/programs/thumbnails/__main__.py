"""Pictures that are uploaded to one bucket get a small copy in another."""

import json

import pulumi
import pulumi_aws as aws

config = pulumi.Config()

uploads = aws.s3.Bucket("uploads")
thumbnails = aws.s3.Bucket("thumbnails")

assume = aws.iam.get_policy_document(
    statements=[
        {
            "actions": ["sts:AssumeRole"],
            "principals": [{"type": "Service", "identifiers": ["lambda.amazonaws.com"]}],
        }
    ]
)
role = aws.iam.Role("resize", assume_role_policy=assume.json)
aws.iam.RolePolicyAttachment(
    "resize-logs",
    role=role.name,
    policy_arn="arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole",
)
resize = aws.lambda_.Function(
    "resize",
    role=role.arn,
    runtime="python3.13",
    handler="resize.handler",
    code=pulumi.FileArchive("function"),
    memory_size=config.require_int("memory"),
    environment={"variables": {"TARGET": thumbnails.bucket}},
)
allowed = aws.lambda_.Permission(
    "uploads-resize",
    action="lambda:InvokeFunction",
    function=resize.name,
    principal="s3.amazonaws.com",
    source_arn=uploads.arn,
)
aws.s3.BucketNotification(
    "uploads",
    bucket=uploads.id,
    lambda_functions=[{"lambda_function_arn": resize.arn, "events": ["s3:ObjectCreated:*"]}],
    opts=pulumi.ResourceOptions(depends_on=[allowed]),
)

oncall = aws.sns.Topic("oncall")
aws.cloudwatch.MetricAlarm(
    "resize-errors",
    alarm_description="The function breaks",
    namespace="AWS/Lambda",
    metric_name="Errors",
    dimensions={"FunctionName": resize.name},
    statistic="Sum",
    period=300,
    evaluation_periods=1,
    threshold=0,
    comparison_operator="GreaterThanThreshold",
    treat_missing_data="notBreaching",
    alarm_actions=[oncall.arn],
)
aws.cloudwatch.MetricAlarm(
    "resize-failures",
    alarm_description="Pictures that cannot be made smaller",
    namespace="Thumbnails",
    metric_name="ResizeFailures",
    dimensions={"Service": "resize"},
    statistic="Sum",
    period=300,
    evaluation_periods=3,
    datapoints_to_alarm=2,
    threshold=5,
    comparison_operator="GreaterThanThreshold",
    treat_missing_data="notBreaching",
    alarm_actions=[oncall.arn],
)
aws.cloudwatch.Dashboard(
    "thumbnails",
    dashboard_name="thumbnails",
    dashboard_body=resize.name.apply(
        lambda name: json.dumps(
            {
                "widgets": [
                    {
                        "type": "metric",
                        "x": 0,
                        "y": 0,
                        "width": 12,
                        "height": 6,
                        "properties": {
                            "title": "Pictures",
                            "region": "eu-central-1",
                            "metrics": [
                                ["Thumbnails", "Resized", "Service", "resize", {"stat": "Sum"}],
                                ["AWS/Lambda", "Invocations", "FunctionName", name, {"stat": "Sum"}],
                            ],
                        },
                    }
                ]
            }
        )
    ),
)
pulumi.export("uploads", uploads.bucket)
