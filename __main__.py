"""Mailroom: the program that `pulumi up` runs. Settings, components, outputs."""

from decimal import Decimal
from typing import Any

import pulumi

from components import objectives
from components.boundary import bound_roles
from components.brake import Brake
from components.consumer import TIMEOUT_SECONDS, Handler, HandlerRuntime
from components.control import ControlTable
from components.cost_guard import CostGuard
from components.cost_report import CostReport
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
from components.reputation_guard import ReputationGuard
from components.sender import ReputationLimits, SendingDomain
from components.tracing import OrderTracing
from settings import load

NAME = "mailroom"

settings = load()
provider = aws_provider(settings.region, settings.tags, settings.emulator_endpoint)
opts = pulumi.ResourceOptions(provider=provider)
if settings.permissions_boundary:
    bound_roles(settings.permissions_boundary)
on_aws = not settings.emulator_endpoint  # the emulator lacks TLS, X-Ray, MAIL FROM domains and saved queries

layer = DependencyLayer(NAME, {"content": layer_archive()}, opts)
control = ControlTable(NAME, {"protect_data": settings.protect_data}, opts)
runtime: HandlerRuntime = {
    "code": handlers_archive(),
    "layer_arns": [layer.layer_arn],
    "stack": settings.stack,
    "control_table_name": control.table_name,
    "control_table_arn": control.table_arn,
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
        "lanes": {
            lane: {
                "queue_arn": queue["arn"],
                "queue_url": queue["url"],
                "configuration_set_name": sender.configuration_sets[lane]["name"],
                "configuration_set_arn": sender.configuration_sets[lane]["arn"],
            }
            for lane, queue in intake.queues.items()
        },
        "quarantine_queue_arn": intake.quarantine_queue_arn,
        "quarantine_queue_url": intake.quarantine_queue_url,
        "ledger_table_name": ledger.table_name,
        "ledger_table_arn": ledger.table_arn,
        "identity_arn": sender.identity_arn,
        "from_address": settings.from_address,
        "from_name": settings.from_name,
        "reply_to": settings.reply_to,
        "production_sending": settings.production_sending,
        "send_rate": settings.send_rate,
        "maximum_concurrency": settings.mailer_concurrency,
        "ledger_retention_days": settings.ledger_retention_days,
        "spend_per_hour": f"{settings.spend_per_hour:f}",
        "spend_per_day": f"{settings.spend_per_day:f}",
        "spend_holds": settings.ordinary_lanes,
    },
    opts,
)
brake = Brake(
    NAME,
    {
        "runtime": runtime,
        "lanes": {
            lane: {
                "mapping_uuid": mapping["uuid"],
                "mapping_arn": mapping["arn"],
                "configuration_set_name": sender.configuration_sets[lane]["name"],
                "configuration_set_arn": sender.configuration_sets[lane]["arn"],
            }
            for lane, mapping in mailer.mappings.items()
        },
        "control_stream_arn": control.stream_arn,
        "require_tls": on_aws,
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
reputation_guard = ReputationGuard(
    NAME,
    {"runtime": runtime, "control_stream_arn": control.stream_arn, "require_tls": on_aws},
    opts,
)
functions: dict[str, Handler] = {
    "send": mailer,
    "feedback": feedback,
    "probe": prober,
    "brake": brake,
    "reputationGuard": reputation_guard,
}
paging = Paging(
    NAME,
    {
        "runtime": runtime,
        "log_groups": [each.log_group_name for each in functions.values()],
        "page_emails": list(settings.page_emails),
        "ticket_emails": list(settings.ticket_emails),
        "page_webhooks": [pulumi.Output.secret(url) for url in settings.page_webhooks],
        "ticket_webhooks": [pulumi.Output.secret(url) for url in settings.ticket_webhooks],
        "chat": settings.chat,
        "require_tls": on_aws,
    },
    opts,
)
cost_guard = CostGuard(
    NAME,
    {
        "runtime": runtime,
        "tags": {key: settings.tags[key] for key in ("project", "stack")},
        "monthly_usd": settings.monthly_budget,
        "holds": settings.held_by_budget,
        "spend_per_hour": f"{settings.spend_per_hour:f}",
        "ticket_topic_arn": paging.ticket_topic_arn,
        "send_role_name": mailer.role_name,
        "action_emails": list(settings.page_emails) if settings.budget_action else [],
        "require_tls": on_aws,
    },
    opts,
)
functions |= {"notify": paging, "costGuard": cost_guard}
report = None
if settings.report_emails:
    report = functions["costReport"] = CostReport(
        NAME,
        {
            "runtime": runtime,
            "project": settings.project,
            "from_address": settings.from_address,
            "report_to": list(settings.report_emails),
            "identity_arn": sender.identity_arn,
            "ledger_table_name": ledger.table_name,
            "ledger_table_arn": ledger.table_arn,
            "functions": [each.function_name for each in functions.values()],
            "log_groups": [each.log_group_name for each in functions.values()],
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
            brake.watch(),
            cost_guard.watch(),
            reputation_guard.watch(),
            *([report.watch()] if report else []),
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

outputs: dict[str, Any] = {
    "region": settings.region,
    "stack": settings.stack,
    "endpoint": settings.emulator_endpoint,
    "productionSending": settings.production_sending,
    "orderTopicArn": intake.topic_arn,
    "sendQueueArn": intake.send_queue_arn,
    "sendQueueUrl": intake.send_queue_url,
    "sendDlqArn": intake.send_dlq_arn,
    "sendDlqUrl": intake.send_dlq_url,
    "lanes": [
        {
            "name": lane,
            "urgent": lane in settings.urgent_lanes,
            "queueArn": queue["arn"],
            "queueUrl": queue["url"],
            "dlqArn": queue["dlq_arn"],
            "dlqUrl": queue["dlq_url"],
            "mappingId": mailer.mappings[lane]["uuid"],
            "configurationSet": sender.configuration_sets[lane]["name"],
        }
        for lane, queue in intake.queues.items()
    ],
    "controlTableName": control.table_name,
    "denySendPolicyArn": cost_guard.deny_policy_arn,
    "budgetName": cost_guard.budget_name,
    "budgetTopicArn": cost_guard.topic_arn,
    "spendPerHour": f"{settings.spend_per_hour:f}",
    "spendPerDay": f"{settings.spend_per_day:f}",
    "quarantineQueueArn": intake.quarantine_queue_arn,
    "quarantineQueueUrl": intake.quarantine_queue_url,
    "ledgerTableName": ledger.table_name,
    "sendFunctionArn": mailer.function_arn,
    "sendRoleName": mailer.role_name,
    "feedbackFunctionArn": feedback.function_arn,
    "configurationSetName": sender.configuration_set_name,
    "deliveryTopicArn": sender.delivery_topic_arn,
    "bounceTopicArn": sender.bounce_topic_arn,
    "complaintTopicArn": sender.complaint_topic_arn,
    "dnsRecords": sender.dns_records,
    "alarmsTopicArn": paging.alarms_topic_arn,
    "pageTopicArn": paging.page_topic_arn,
    "ticketTopicArn": paging.ticket_topic_arn,
    "probeFunctionArn": prober.function_arn,
    "dashboards": monitoring.dashboards,
    "monitoringCost": monitoring.cost,
}
for prefix, each in functions.items():
    outputs |= {f"{prefix}FunctionName": each.function_name, f"{prefix}LogGroup": each.log_group_name}
queues: dict[str, Any] = {"feedback": feedback, "notify": paging, "costGuard": cost_guard}
for prefix, queue in queues.items():
    outputs |= {f"{prefix}QueueArn": queue.queue_arn, f"{prefix}QueueUrl": queue.queue_url}
    outputs |= {f"{prefix}DlqArn": queue.dlq_arn, f"{prefix}DlqUrl": queue.dlq_url}
for key, value in outputs.items():
    pulumi.export(key, value)
