"""`gate` lets a deployment stand when a probe comes out as an email and nothing pages, and says what is in the way."""

from __future__ import annotations

import io
import itertools
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Literal

import pytest
from typer.testing import Result

from ops.gate import POLL, Passage, paging, run_probe, wait
from ops.stack import LONGEST_RUN, Outputs, Stack
from tests.ops.conftest import Run

DELIVERED: Mapping[str, Any] = {"orderId": "probe-1", "status": "DELIVERED", "reason": "", "latencyMs": 2120.0}
LOST: Mapping[str, Any] = {
    "orderId": "probe-0",
    "status": "NOT SEEN",
    "reason": "the ledger had no row",
    "latencyMs": None,
}


class Prober:
    """The function `probe`, which gives one answer after the other, and the last one for ever."""

    def __init__(self, *answers: Any, error: str = "") -> None:
        self._answers = list(answers)
        self._error = error
        self.asked: list[str] = []

    def invoke(self, *, FunctionName: str, Payload: bytes) -> dict[str, Any]:  # noqa: N803 - boto3's names
        self.asked.append(FunctionName)
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        return {
            "Payload": io.BytesIO(json.dumps(answer).encode()),
            **({"FunctionError": self._error} if self._error else {}),
        }


class Time:
    """A clock that goes on only while somebody pauses."""

    def __init__(self) -> None:
        self.now = 0.0

    def clock(self) -> float:
        return self.now

    def pause(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def deployed(outputs: Outputs, monkeypatch: pytest.MonkeyPatch) -> Stack:
    """A stack whose prober delivers."""
    monkeypatch.setattr(Stack, "waiting_lambda", Prober(DELIVERED))
    return Stack(outputs)


def passage(stack: Stack, timeout: float = 60) -> Passage:
    time = Time()
    return wait(stack, timeout=timeout, clock=time.clock, pause=time.pause)


def alarm(stack: Stack, name: str, *, tells: str = "", state: Literal["ALARM", "OK"] = "ALARM") -> None:
    stack.cloudwatch.put_metric_alarm(
        AlarmName=name,
        Namespace="Mailroom",
        MetricName="ProbeFailures",
        Statistic="Sum",
        Period=60,
        EvaluationPeriods=1,
        Threshold=1,
        ComparisonOperator="GreaterThanThreshold",
        AlarmActions=[tells] if tells else [],
    )
    stack.cloudwatch.set_alarm_state(AlarmName=name, StateValue=state, StateReason="3 of 3 points were above 1")


def gated(ops: Run, *arguments: str) -> Result:
    return ops("gate", "--timeout", "0", *arguments)


# ---- What keeps a deployment out ----


def test_a_probe_that_does_not_come_out_fails_the_gate_with_the_reason_and_the_way_back(
    deployed: Stack, ops: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Stack, "waiting_lambda", Prober(LOST))
    result = gated(ops)
    assert result.exit_code == 1
    assert "probe probe-0: the ledger had no row" in result.stderr
    assert "did not pass the gate within 0 s: no probe came out as an email" in result.stdout
    assert "run the last good tag's deployment again (docs/deployment.md)" in result.stdout


def test_an_alarm_that_pages_fails_the_gate_with_its_name_since_when_and_why(deployed: Stack, ops: Run) -> None:
    alarm(deployed, "mailroom-moto-probe-failing-page", tells=deployed.outputs.alarms_topic_arn)
    result = gated(ops)
    assert result.exit_code == 1
    today = f"{datetime.now(UTC):%Y-%m-%d}"
    assert f"mailroom-moto-probe-failing-page is in ALARM since {today}" in result.stderr
    assert "3 of 3 points were above 1" in result.stderr
    assert "in ALARM: mailroom-moto-probe-failing-page" in result.stdout
    assert "no probe" not in result.stdout


def test_a_prober_that_fails_is_a_failed_probe(outputs: Outputs) -> None:
    fault = {"errorMessage": "missing: LEDGER_TABLE", "errorType": "RuntimeError"}
    probe = run_probe(Prober(fault, error="Unhandled"), outputs.probe_function_arn)  # type: ignore[arg-type]
    assert not probe.delivered
    assert probe.reason == "the prober failed: missing: LEDGER_TABLE"


@pytest.mark.parametrize("answer", [None, {}, [], "DELIVERED"])
def test_a_prober_that_says_nothing_lets_nothing_through(outputs: Outputs, answer: Any) -> None:
    probe = run_probe(Prober(answer), outputs.probe_function_arn)  # type: ignore[arg-type]
    assert not probe.delivered
    assert "older than this command" in probe.reason


def test_a_probe_that_bounced_lets_nothing_through_even_without_a_reason(outputs: Outputs) -> None:
    answer = {**DELIVERED, "status": "BOUNCE", "latencyMs": None}
    assert not run_probe(Prober(answer), outputs.probe_function_arn).delivered  # type: ignore[arg-type]


# ---- What does not ----


def test_a_delivered_probe_and_no_page_let_it_stand(deployed: Stack, ops: Run) -> None:
    result = gated(ops)
    assert result.exit_code == 0
    assert "probe probe-1: delivered in 2.12 s" in result.stderr
    assert "Stack moto may stand" in result.stdout


@pytest.mark.parametrize(
    ("name", "topic", "state"),
    [
        ("mailroom-moto-ledger-throttles-ticket", "alarms_topic_arn", "ALARM"),
        ("mailroom-moto-probe-failing-page", "alarms_topic_arn", "OK"),
        ("mailroom-moto-probe-failing-page", "", "ALARM"),
        ("shop-moto-checkout-failing-page", "order_topic_arn", "ALARM"),
    ],
    ids=["a ticket", "a page that is over", "a part of a composite", "another program's page"],
)
def test_what_pages_nobody_of_this_stack_is_not_in_the_way(
    deployed: Stack, name: str, topic: str, state: Literal["ALARM", "OK"]
) -> None:
    alarm(deployed, name, tells=getattr(deployed.outputs, topic) if topic else "", state=state)
    assert passage(deployed).open


def test_every_page_that_is_raised_is_found_among_any_number_of_alarms(deployed: Stack) -> None:
    topic = deployed.outputs.page_topic_arn
    for number in range(101):
        alarm(deployed, f"mailroom-moto-{number:03}-page", tells=topic)
    raised = paging(deployed.cloudwatch, {topic})
    assert {each.name for each in raised} == {f"mailroom-moto-{number:03}-page" for number in range(101)}


# ---- Time ----


def test_a_probe_that_met_a_throttle_is_followed_by_another(deployed: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    prober = Prober(LOST, LOST, DELIVERED)
    monkeypatch.setattr(Stack, "waiting_lambda", prober)
    seen = passage(deployed)
    assert seen.open
    assert [each.delivered for each in seen.probes] == [False, False, True]
    assert set(prober.asked) == {deployed.outputs.probe_function_arn}


def test_an_alarm_gets_until_the_time_is_up_to_clear_and_no_second_probe_is_sent(
    deployed: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, topic = "mailroom-moto-probe-failing-page", deployed.outputs.alarms_topic_arn
    alarm(deployed, name, tells=topic)
    time, pauses = Time(), itertools.count(1)

    def pause(seconds: float) -> None:
        time.pause(seconds)
        if next(pauses) == 3:
            alarm(deployed, name, tells=topic, state="OK")

    seen = wait(deployed, timeout=60, clock=time.clock, pause=pause)
    assert seen.open
    assert len(seen.probes) == 1
    assert time.now == 3 * POLL


def test_it_looks_once_more_when_the_time_is_up_and_then_no_more(
    deployed: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    prober = Prober(LOST)
    monkeypatch.setattr(Stack, "waiting_lambda", prober)
    assert not passage(deployed, timeout=2.5 * POLL).open
    assert len(prober.asked) == 4


def test_a_run_that_takes_long_is_waited_for_and_never_started_twice(stack: Stack) -> None:
    config: Any = stack.waiting_lambda.meta.config
    assert config.read_timeout == LONGEST_RUN
    assert config.retries["total_max_attempts"] == 1


# ---- For machines ----


def test_another_program_gets_all_of_it(deployed: Stack, ops: Run) -> None:
    alarm(deployed, "mailroom-moto-probe-failing-page", tells=deployed.outputs.alarms_topic_arn)
    result = gated(ops, "--json")
    told = json.loads(result.stdout)
    assert (result.exit_code, told["open"], told["stack"]) == (1, False, "moto")
    assert told["probes"] == [dict(DELIVERED)]
    assert [each["alarm"] for each in told["raised"]] == ["mailroom-moto-probe-failing-page"]
