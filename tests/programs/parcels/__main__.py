"""Where every parcel is: a table, a stream of scans, and the alarms that watch them."""

import pulumi
import pulumi_aws as aws

parcels = aws.dynamodb.Table(
    "parcels",
    attributes=[{"name": "id", "type": "S"}],
    hash_key="id",
    billing_mode="PAY_PER_REQUEST",
    opts=pulumi.ResourceOptions(protect=True, ignore_changes=["readCapacity"]),
)
scans = aws.kinesis.Stream("scans", shard_count=1)
depot = aws.sns.Topic("depot")

behind = aws.cloudwatch.MetricAlarm(
    "scans-behind",
    namespace="AWS/Kinesis",
    metric_name="GetRecords.IteratorAgeMilliseconds",
    dimensions={"StreamName": scans.name},
    statistic="Maximum",
    period=60,
    evaluation_periods=5,
    threshold=60_000,
    comparison_operator="GreaterThanThreshold",
    alarm_actions=[depot.arn],
)
aws.cloudwatch.MetricAlarm(
    "lost-share",
    comparison_operator="GreaterThanThreshold",
    threshold=0.1,
    evaluation_periods=3,
    datapoints_to_alarm=2,
    treat_missing_data="notBreaching",
    metric_queries=[
        aws.cloudwatch.MetricAlarmMetricQueryArgs(
            id="share", expression="IF(scanned > 20, 100 * lost / scanned, 0)", label="lost", return_data=True
        ),
        *(
            aws.cloudwatch.MetricAlarmMetricQueryArgs(
                id=name.lower(),
                metric=aws.cloudwatch.MetricAlarmMetricQueryMetricArgs(
                    namespace="Parcels", metric_name=name, dimensions={"Depot": "north"}, period=300, stat="Sum"
                ),
            )
            for name in ("Lost", "Scanned")
        ),
    ],
    alarm_actions=[depot.arn],
)
aws.cloudwatch.MetricAlarm(
    "table-throttled",
    namespace="AWS/DynamoDB",
    metric_name="WriteThrottleEvents",
    dimensions={"TableName": parcels.name},
    statistic="Sum",
    period=60,
    evaluation_periods=1,
    threshold=0,
    comparison_operator="GreaterThanThreshold",
    alarm_actions=[depot.arn],
)
pulumi.export("behind", behind.arn)
pulumi.export("token", pulumi.Output.secret("not for everybody"))
