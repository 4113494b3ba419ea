from __future__ import annotations

import ast
import importlib
import json
import subprocess
import sys
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest

import handlers
from handlers.environment import CostGuard, InvalidEnvironment, Place, Probe, RecordFeedback, SendEmail
from tests.handlers.entries import LANES, PRICES

SOURCES = sorted(Path(handlers.__path__[0]).rglob("*.py"))

SEND_EMAIL = {
    "LEDGER_TABLE": "EmailDeliveries",
    "CONTROL_TABLE": "Control",
    "QUARANTINE_URL": "https://sqs.us-east-1.amazonaws.com/123456789012/quarantine",
    "FROM_ADDRESS": "orders@mail.example.com",
    "FROM_NAME": "Example Store",
    "REPLY_TO": "support@example.com",
    "LANES": json.dumps(LANES),
    "PRODUCTION_SENDING": "false",
    "LEDGER_RETENTION_DAYS": "400",
    "PRICES": json.dumps(PRICES),
    "SPEND_PER_HOUR": "2.00",
    "SPEND_PER_DAY": "20",
    "SPEND_HOLDS": "order-confirmation,probe",
    "HELD_SECONDS": "90",
    "STACK": "dev",
    "LOG_LEVEL": "INFO",
}
PROBE = {"TOPIC_ARN": "arn:aws:sns:us-east-1:123456789012:orders", "PROBE_SECONDS": "60"}


def told(**changes: str) -> str:
    with pytest.raises(InvalidEnvironment) as caught:
        SendEmail.read({**SEND_EMAIL, **changes})
    return str(caught.value)


def test_every_missing_variable_is_named_at_once() -> None:
    with pytest.raises(InvalidEnvironment) as caught:
        SendEmail.read({"PATH": "/usr/bin"})
    assert str(caught.value).split("; ") == [f"{name} is missing" for name in SEND_EMAIL]


@pytest.mark.parametrize(
    ("name", "value", "remedy"),
    [
        ("PRODUCTION_SENDING", "yes", "true or false"),
        ("PRODUCTION_SENDING", "True", "true or false"),
        ("PRODUCTION_SENDING", "", "true or false"),
        *[
            ("LEDGER_RETENTION_DAYS", value, "a whole number of days, 1 to 99999")
            for value in ("", "0", "-1", "1.5", "many", "9" * 30, "９")
        ],
        ("LOG_LEVEL", "LOUD", "one of CRITICAL"),
        ("LOG_LEVEL", "info", "INFO"),
        ("FROM_NAME", "", "not empty"),
        *[
            ("SPEND_PER_HOUR", value, "an amount in USD, above 0, such as 2.50")
            for value in ("", "0", "-1", "nan", "inf", "1e12", "2,50")
        ],
        ("SPEND_HOLDS", "newsletter", "lanes, with commas between them, of order-confirmation, probe"),
        *[
            ("PRICES", value, "with a price of ses.email, dynamodb.read")
            for value in ("", "[]", '{"ses.email": "0.0001"}', json.dumps({**PRICES, "sqs.request": "dear"}))
        ],
        ("PRICES", json.dumps({**PRICES, "ses.email": "-1"}), "USD for one unit"),
        *[
            ("LANES", value, 'JSON like {"LANE": {"queueArn": ARN')
            for value in ("", "{}", "[]", '{"probe": {}}', json.dumps({"newsletter": LANES["probe"]}))
        ],
        ("LANES", json.dumps({"probe": {**LANES["probe"], "queueUrl": ""}}), "with lanes of order-confirmation, probe"),
        *[
            (
                "LANES",
                json.dumps({"probe": {**LANES["probe"], "sendRate": value}}),
                "with lanes of order-confirmation, probe and rates above 0",
            )
            for value in ("", "0", "-1", "nan", "inf", "fast", None)
        ],
    ],
)
def test_a_wrong_variable_is_named_with_its_value_and_what_it_has_to_be(name: str, value: str, remedy: str) -> None:
    message = told(**{name: value})
    assert message.startswith(f"{name} is {value!r}, has to be ")
    assert remedy in message


def test_missing_and_wrong_variables_are_reported_together() -> None:
    environment = {name: value for name, value in SEND_EMAIL.items() if name != "QUARANTINE_URL"}
    with pytest.raises(InvalidEnvironment) as caught:
        SendEmail.read({**environment, "SPEND_PER_DAY": "0", "STACK": ""})
    assert [fault.split()[0] for fault in str(caught.value).split("; ")] == ["QUARANTINE_URL", "SPEND_PER_DAY", "STACK"]


def test_variables_arrive_as_what_they_mean() -> None:
    settings = SendEmail.read({**SEND_EMAIL, "UNRELATED": "1"})
    assert settings.production_sending is False
    assert settings.ledger_retention_days == timedelta(days=400)
    assert settings.from_name == "Example Store"
    assert SendEmail.read({**SEND_EMAIL, "PRODUCTION_SENDING": "true"}).production_sending is True
    assert (settings.spend_per_hour, settings.spend_per_day) == (Decimal("2.00"), Decimal(20))
    assert settings.spend_holds == ["order-confirmation", "probe"]
    assert SendEmail.read({**SEND_EMAIL, "SPEND_HOLDS": ""}).spend_holds == []
    assert settings.prices["ses.email"] == Decimal("0.0001")
    assert settings.lanes["probe"] == Place(
        queue_arn=LANES["probe"]["queueArn"],
        queue_url=LANES["probe"]["queueUrl"],
        configuration_set="probes",
        send_rate=1000.0,
    )


def test_each_handler_declares_exactly_the_variables_it_reads() -> None:
    assert SendEmail.variables() == SEND_EMAIL.keys()
    everywhere = {"CONTROL_TABLE", "PRICES", "STACK", "LOG_LEVEL"}
    assert RecordFeedback.variables() == everywhere | {"LEDGER_TABLE"}
    assert Probe.variables() == everywhere | {"LEDGER_TABLE", "TOPIC_ARN", "PROBE_SECONDS"}
    assert CostGuard.variables() == everywhere | {"BUDGET_HOLDS", "TICKET_TOPIC_ARN"}
    assert RecordFeedback.read({name: SEND_EMAIL[name] for name in RecordFeedback.variables()}).stack == "dev"


@pytest.mark.parametrize("value", ["", "0", "-1", "1.5", "901", "9" * 30, "６０", "a minute"])
def test_seconds_that_make_no_sense_are_named(value: str) -> None:
    with pytest.raises(InvalidEnvironment, match=r"PROBE_SECONDS is .*, has to be a whole number of seconds, 1 to 900"):
        Probe.read({**SEND_EMAIL, **PROBE, "PROBE_SECONDS": value})


def test_seconds_arrive_as_a_number() -> None:
    assert Probe.read({**SEND_EMAIL, **PROBE, "PROBE_SECONDS": "900"}).probe_seconds == 900


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_every_handler_module_is_python_3_11(path: Path) -> None:
    ast.parse(path.read_text(encoding="utf-8"), feature_version=(3, 11))


def test_handlers_start_without_the_packages_that_only_type_checkers_need() -> None:
    """As on Lambda: neither the stubs of boto3, nor anything of ours but `handlers`."""
    script = """
import sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        root = name.partition(".")[0]
        if root.startswith("mypy_boto3") or root in {"components", "local", "ops", "pulumi", "moto", "ministack"}:
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, Absent())
import handlers.send_email, handlers.record_feedback, handlers.probe
"""
    environment = {**SEND_EMAIL, **PROBE, "AWS_DEFAULT_REGION": "us-east-1", "AWS_EC2_METADATA_DISABLED": "true"}
    result = subprocess.run(
        [sys.executable, "-c", script],
        cwd=Path(handlers.__path__[0]).parent,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")


def test_a_wrong_environment_stops_the_start_and_names_what_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {**SEND_EMAIL, "SPEND_PER_DAY": "much", "LOG_LEVEL": "LOUD"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delitem(sys.modules, "handlers.send_email", raising=False)
    with pytest.raises(
        InvalidEnvironment, match=r"^SPEND_PER_DAY is 'much', .*; LOG_LEVEL is 'LOUD', has to be one of"
    ):
        importlib.import_module("handlers.send_email")
