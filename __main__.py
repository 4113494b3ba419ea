"""Mailroom: the program that `pulumi up` runs. Settings, components, outputs."""

from decimal import Decimal

import pulumi

from components import objectives
from components.consumer import TIMEOUT_SECONDS, HandlerRuntime
from components.feedback import DeliveryFeedback
from components.intake import OrderIntake
from components.layer import DependencyLayer
from components.ledger import DeliveryLedger
from components.mailer import OrderMailer
from components.monitoring import Monitoring, MonitoringArgs
from components.packaging import handlers_archive, layer_archive
from components.paging import Paging
from components.prober import Prober
from components.provider import aws_provider
from components.sender import ReputationLimits, SendingDomain
from components.tracing import OrderTracing
from settings import load

NAME = "mailroom"

settings = load()
provider = aws_provider(settings.region, settings.tags, settings.emulator_endpoint)
opts = pulumi.ResourceOptions(provider=provider)
on_aws = not settings.emulator_endpoint  # the emulator lacks TLS, X-Ray, MAIL FROM domains and saved queries

layer = DependencyLayer(NAME, {"content": layer_archive()}, opts)
runtime: HandlerRuntime = {
    "code": handlers_archive(),
    "layer_arns": [layer.layer_arn],
    "stack": settings.stack,
    "log_level": settings.log_level,
    "log_retention_days": settings.log_retention_days,
}
ledger = DeliveryLedger(NAME, {"protect_data": settings.protect_data}, opts)
intake = OrderIntake(NAME, {"consumer_timeout_seconds": TIMEOUT_SECONDS, "traced": on_aws, "require_tls": on_aws}, opts)
sender = SendingDomain(
    NAME,
    {
        "domain": settings.sending_domain,
        "hosted_zone_id": settings.hosted_zone_id,
        "custom_mail_from": on_aws,
        "require_tls": on_aws,
    },
    opts,
)
mailer = OrderMailer(
    NAME,
    {
        "runtime": runtime,
        "queue_arn": intake.send_queue_arn,
        "queue_url": intake.send_queue_url,
        "quarantine_queue_arn": intake.quarantine_queue_arn,
        "quarantine_queue_url": intake.quarantine_queue_url,
        "ledger_table_name": ledger.table_name,
        "ledger_table_arn": ledger.table_arn,
        "identity_arn": sender.identity_arn,
        "configuration_set_name": sender.configuration_set_name,
        "configuration_set_arn": sender.configuration_set_arn,
        "from_address": settings.from_address,
        "from_name": settings.from_name,
        "reply_to": settings.reply_to,
        "production_sending": settings.production_sending,
        "send_rate": settings.send_rate,
        "maximum_concurrency": settings.mailer_concurrency,
        "ledger_retention_days": settings.ledger_retention_days,
    },
    opts,
)
feedback = DeliveryFeedback(
    NAME,
    {
        "runtime": runtime,
        "delivery_topic_arn": sender.delivery_topic_arn,
        "bounce_topic_arn": sender.bounce_topic_arn,
        "complaint_topic_arn": sender.complaint_topic_arn,
        "ledger_table_name": ledger.table_name,
        "ledger_table_arn": ledger.table_arn,
        "require_tls": on_aws,
    },
    opts,
)

prober = Prober(
    NAME,
    {
        "runtime": runtime,
        "topic_arn": intake.topic_arn,
        "ledger_table_name": ledger.table_name,
        "ledger_table_arn": ledger.table_arn,
        "every_minutes": settings.probe_minutes,
        "require_tls": on_aws,
    },
    opts,
)
paging = Paging(
    NAME,
    {
        "runtime": runtime,
        "log_groups": [mailer.log_group_name, feedback.log_group_name, prober.log_group_name],
        "page_emails": list(settings.page_emails),
        "ticket_emails": list(settings.ticket_emails),
        "page_webhooks": [pulumi.Output.secret(url) for url in settings.page_webhooks],
        "ticket_webhooks": [pulumi.Output.secret(url) for url in settings.ticket_webhooks],
        "chat": settings.chat,
        "require_tls": on_aws,
    },
    opts,
)
if on_aws:
    OrderTracing(
        NAME,
        {
            "stack": settings.stack,
            "topic_arn": intake.topic_arn,
            "reservoir": settings.trace_reservoir,
            "share": settings.trace_percent / 100,
        },
        opts,
    )
limits = ReputationLimits(
    bounce_warning=settings.bounce_warning,
    bounce_critical=settings.bounce_critical,
    complaint_warning=settings.complaint_warning,
    complaint_critical=settings.complaint_critical,
)
monitoring = Monitoring(
    NAME,
    MonitoringArgs(
        stack=settings.stack,
        region=settings.region,
        watches=[
            mailer.watch(),
            feedback.watch(),
            prober.watch(),
            # What goes to the mailbox simulator costs nobody a reputation.
            sender.watch(settings.stack, limits, guarded=settings.production_sending),
            objectives.watch(settings.stack, alarmed=settings.objectives),
            intake.watch(),
            ledger.watch(),
            paging.watch(),
        ],
        composites=objectives.composites() if settings.objectives else [],
        alarms_topic_arn=paging.alarms_topic_arn,
        page_topic_arn=paging.page_topic_arn,
        runbook_url=settings.runbook_url,
        emails=settings.emails_per_month,
        probe_minutes=settings.probe_minutes,
        budget=Decimal(settings.monitoring_budget),
        queries=on_aws,
    ),
    opts,
)

outputs = {
    "region": settings.region,
    "stack": settings.stack,
    "endpoint": settings.emulator_endpoint,
    "productionSending": settings.production_sending,
    "orderTopicArn": intake.topic_arn,
    "sendQueueArn": intake.send_queue_arn,
    "sendQueueUrl": intake.send_queue_url,
    "sendDlqArn": intake.send_dlq_arn,
    "sendDlqUrl": intake.send_dlq_url,
    "quarantineQueueArn": intake.quarantine_queue_arn,
    "quarantineQueueUrl": intake.quarantine_queue_url,
    "feedbackQueueArn": feedback.queue_arn,
    "feedbackQueueUrl": feedback.queue_url,
    "feedbackDlqArn": feedback.dlq_arn,
    "feedbackDlqUrl": feedback.dlq_url,
    "ledgerTableName": ledger.table_name,
    "sendFunctionArn": mailer.function_arn,
    "sendFunctionName": mailer.function_name,
    "sendLogGroup": mailer.log_group_name,
    "feedbackFunctionArn": feedback.function_arn,
    "feedbackFunctionName": feedback.function_name,
    "feedbackLogGroup": feedback.log_group_name,
    "configurationSetName": sender.configuration_set_name,
    "deliveryTopicArn": sender.delivery_topic_arn,
    "bounceTopicArn": sender.bounce_topic_arn,
    "complaintTopicArn": sender.complaint_topic_arn,
    "dnsRecords": sender.dns_records,
    "alarmsTopicArn": paging.alarms_topic_arn,
    "pageTopicArn": paging.page_topic_arn,
    "ticketTopicArn": paging.ticket_topic_arn,
    "notifyQueueArn": paging.queue_arn,
    "notifyQueueUrl": paging.queue_url,
    "notifyDlqArn": paging.dlq_arn,
    "notifyDlqUrl": paging.dlq_url,
    "notifyFunctionName": paging.function_name,
    "notifyLogGroup": paging.log_group_name,
    "probeFunctionName": prober.function_name,
    "probeFunctionArn": prober.function_arn,
    "probeLogGroup": prober.log_group_name,
    "dashboards": monitoring.dashboards,
    "monitoringCost": monitoring.cost,
}
for key, value in outputs.items():
    pulumi.export(key, value)
