from __future__ import annotations

import json
from types import ModuleType
from typing import Any

import pytest

from handlers.adapters.ledger import DynamoLedger
from handlers.telemetry import contract, metrics
from handlers.telemetry.contract import METRICS, NAMESPACE, STACK, Dimension, Metric, Property, Unit
from handlers.telemetry.metrics import emit
from handlers.telemetry.metrics import record as metric_record
from handlers.telemetry.privacy import without_addresses
from tests.handlers.entries import TRACE, record, run
from tests.handlers.events import NAMES, told
from tests.handlers.orders import body
from tests.handlers.rows import new_claim


def test_a_metric_that_is_not_declared_is_refused() -> None:
    rogue = Metric("Rogue", Unit.COUNT, "Nobody watches this.")
    with pytest.raises(ValueError, match="not declared in the telemetry contract: Rogue"):
        emit("test", {contract.EMAILS_SENT: 1, rogue: 1})


def test_names_are_declared_once() -> None:
    names = [metric.name for metric in METRICS]
    assert len(names) == len(set(names)) == 26
    assert all(metric.meaning.endswith(".") and metric.dimensions == (STACK,) for metric in METRICS)


def test_what_is_empty_is_left_out_of_a_record() -> None:
    assert metric_record("dev", {contract.EMAILS_SENT: 1}, 1, order_id="A-1", reason="") == {
        "_aws": {
            "Timestamp": 1,
            "CloudWatchMetrics": [
                {
                    "Namespace": "Mailroom",
                    "Dimensions": [["Stack"]],
                    "Metrics": [{"Name": "EmailsSent", "Unit": "Count"}],
                }
            ],
        },
        "Stack": "dev",
        "order_id": "A-1",
        "EmailsSent": 1,
    }


def test_a_number_is_kept_even_if_it_is_0_and_an_address_is_not() -> None:
    line = metric_record("dev", {contract.EMAILS_SENT: 1}, 1, send_latency_ms=0.0, reason="jo@example.com")
    assert (line["send_latency_ms"], line["reason"]) == (0.0, "(address)")


def test_metrics_of_different_dimensions_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    by_queue = Metric("ByQueue", Unit.COUNT, "One a queue.", dimensions=(STACK, Dimension("Queue", most=3)))
    monkeypatch.setattr(metrics, "METRICS", (*METRICS, by_queue))
    values = {contract.EMAILS_SENT: 1, by_queue: 2, contract.BOUNCES: 3}
    line: Any = metric_record("dev", values, 1, Queue="send")
    assert [
        (each["Dimensions"], [m["Name"] for m in each["Metrics"]]) for each in line["_aws"]["CloudWatchMetrics"]
    ] == [
        ([["Stack"]], ["EmailsSent", "Bounces"]),
        ([["Stack", "Queue"]], ["ByQueue"]),
    ]
    assert (line["Stack"], line["Queue"], line["ByQueue"]) == ("dev", "send", 2)
    with pytest.raises(KeyError, match="names no Queue"):
        metric_record("dev", values, 1, order_id="A-1")


def test_a_record_without_a_metric_is_refused() -> None:
    with pytest.raises(ValueError, match="no metric"):
        emit("test", {}, order_id="A-1")


def test_nothing_is_emitted_that_is_not_declared_and_all_of_it_is_valid_emf(
    send_email: ModuleType,
    record_feedback: ModuleType,
    probe: ModuleType,
    ledger: DynamoLedger,
    capsys: pytest.CaptureFixture[str],
) -> None:
    texts = [body(orderId="S-1"), body(orderId="S-1"), body(orderId="S-1", total="99"), body(orderId="S-2", total="99")]
    texts += [
        body(orderId=f"S-{local}", customerEmail=f"{local}@example.com") for local in ("refused", "lost", "throttled")
    ]
    texts += ["not JSON"]
    run(send_email, *[record(text, trace=TRACE) for text in texts])
    for name in NAMES:
        ledger.claim(new_claim(f"F-{name}"))
    run(
        record_feedback,
        *[record(told(name, f"F-{name}"), trace=TRACE) for name in NAMES],
        record(told("send", "F-none")),
    )
    probe.handler({}, None)

    lines = [line for line in map(json.loads, capsys.readouterr().out.splitlines()) if "_aws" in line]
    emitted = {(m["Name"], m["Unit"]) for line in lines for m in declared_in(line)}
    assert len(emitted) > 20, "that all that is declared is emitted, tests/contract sees to"
    assert emitted <= {(metric.name, metric.unit.value) for metric in METRICS}
    for line in lines:
        assert_valid(line)


def declared_in(line: dict[str, Any]) -> list[dict[str, str]]:
    (directive,) = line["_aws"]["CloudWatchMetrics"]
    metrics: list[dict[str, str]] = directive["Metrics"]
    return metrics


def assert_valid(line: dict[str, Any]) -> None:
    """By the CloudWatch user guide, "Specification: Embedded metric format"."""
    (directive,) = line["_aws"]["CloudWatchMetrics"]
    assert line["_aws"].keys() == {"Timestamp", "CloudWatchMetrics"}
    assert directive.keys() == {"Namespace", "Dimensions", "Metrics"}
    assert isinstance(line["_aws"]["Timestamp"], int)
    assert line["_aws"]["Timestamp"] > 1_700_000_000_000, "milliseconds since 1970"
    assert directive["Namespace"] == NAMESPACE
    assert directive["Dimensions"] == [[STACK.name]]
    assert isinstance(line[STACK.name], str)
    assert 1 <= len(directive["Metrics"]) <= 100
    for metric in directive["Metrics"]:
        value = line[metric["Name"]]
        assert isinstance(value, (int, float))
        assert value >= 0
    ids = {each.value for each in Property} | {"status", "latency_ms"}
    assert line.keys() <= {"_aws", STACK.name, *ids} | {metric["Name"] for metric in directive["Metrics"]}


@pytest.mark.parametrize(
    ("text", "told_as"),
    [
        ("jo@example.com", "(address)"),
        ("550 5.1.1 <jo+x@example.com>: no such user", "550 5.1.1 <(address)>: no such user"),
        ('"to": "o\'neil@example.com"', '"to": "(address)"'),
        ("jo@example.com, kim@example.com; lee@example.com", "(address), (address); (address)"),
        ("jürgen@bücher.example", "(address)"),
        ("success+jo=example.com@simulator.amazonses.com", "(address)"),
        ("at 5 @ noon", "at 5 @ noon"),
        ("", ""),
    ],
)
def test_addresses_are_hidden_in_whatever_sentence_they_stand(text: str, told_as: str) -> None:
    assert without_addresses(text) == told_as
    assert without_addresses([text, 1]) == [told_as, 1]


def test_what_is_no_text_is_told_as_it_is() -> None:
    assert [without_addresses(value) for value in (1, None, True)] == [1, None, True]
