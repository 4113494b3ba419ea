"""Arguments that make each component, one place for all its tests."""

from __future__ import annotations

from pathlib import Path

import pulumi

from components.consumer import HandlerRuntime
from components.feedback import DeliveryFeedbackArgs
from components.function import InstrumentedFunctionArgs
from components.mailer import OrderMailerArgs
from components.queues import SubscribedQueueArgs

ORDERS = "arn:aws:sns:us-east-1:123456789012:orders"
QUEUE = "arn:aws:sqs:us-east-1:123456789012:send"
QUARANTINE = "arn:aws:sqs:us-east-1:123456789012:quarantine"
TABLE = "arn:aws:dynamodb:us-east-1:123456789012:table/ledger"
IDENTITY = "arn:aws:ses:us-east-1:123456789012:identity/mail.shop.com"
CONFIGURATION_SET = "arn:aws:ses:us-east-1:123456789012:configuration-set/shop"
PROBES = "arn:aws:sqs:us-east-1:123456789012:probes"
PROBE_SET = "arn:aws:ses:us-east-1:123456789012:configuration-set/shop-probe"
CONTROL = "arn:aws:dynamodb:us-east-1:123456789012:table/control"
STREAM = f"{CONTROL}/stream/2026-11-22T00:00:00.000"
CODE = pulumi.FileArchive(str(Path(__file__).parent))


def runtime() -> HandlerRuntime:
    return {
        "code": CODE,
        "layer_arns": ["arn:aws:lambda:us-east-1:123456789012:layer:packages:1"],
        "stack": "test",
        "control_table_name": "control",
        "control_table_arn": CONTROL,
    }


def function() -> InstrumentedFunctionArgs:
    return {
        "handler": "module.handler",
        "code": CODE,
        "statements": [{"actions": ["dynamodb:GetItem"], "resources": [TABLE]}],
    }


def queue() -> SubscribedQueueArgs:
    return {"topic_arns": {"orders": ORDERS}, "consumer_timeout_seconds": 30}


def mailer() -> OrderMailerArgs:
    return {
        "runtime": runtime(),
        "lanes": {
            "order-confirmation": {
                "queue_arn": QUEUE,
                "queue_url": "https://sqs.us-east-1.amazonaws.com/123456789012/send",
                "configuration_set_name": "shop",
                "configuration_set_arn": CONFIGURATION_SET,
            },
            "probe": {
                "queue_arn": PROBES,
                "queue_url": "https://sqs.us-east-1.amazonaws.com/123456789012/probes",
                "configuration_set_name": "shop-probe",
                "configuration_set_arn": PROBE_SET,
            },
        },
        "quarantine_queue_arn": QUARANTINE,
        "quarantine_queue_url": "https://sqs.us-east-1.amazonaws.com/123456789012/quarantine",
        "ledger_table_name": "ledger",
        "ledger_table_arn": TABLE,
        "identity_arn": IDENTITY,
        "from_address": "orders@mail.shop.com",
        "from_name": "Shop",
        "reply_to": "help@shop.com",
        "production_sending": True,
        "send_rate": 14,
        "ledger_retention_days": 400,
        "spend_per_hour": "2",
        "spend_per_day": "10",
        "spend_holds": ["order-confirmation"],
    }


def feedback() -> DeliveryFeedbackArgs:
    return {
        "runtime": runtime(),
        "delivery_topic_arn": "arn:aws:sns:us-east-1:123456789012:delivery",
        "bounce_topic_arn": "arn:aws:sns:us-east-1:123456789012:bounce",
        "complaint_topic_arn": "arn:aws:sns:us-east-1:123456789012:complaint",
        "ledger_table_name": "ledger",
        "ledger_table_arn": TABLE,
    }
