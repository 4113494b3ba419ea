"""The components as a package: what Pulumi's schema generator makes of them for other languages."""

from __future__ import annotations

import re
from typing import Any

import pytest
from pulumi import ComponentResource
from pulumi.provider.experimental.analyzer import Analyzer, AnalyzeResult
from pulumi.provider.experimental.component import ComponentProvider

from components.brake import Brake
from components.control import ControlTable
from components.cost_guard import CostGuard
from components.cost_report import CostReport
from components.feedback import DeliveryFeedback
from components.function import InstrumentedFunction
from components.intake import OrderIntake
from components.layer import DependencyLayer
from components.ledger import DeliveryLedger
from components.mailer import OrderMailer
from components.monitoring import Monitoring
from components.paging import Paging
from components.prober import Prober
from components.queues import SubscribedQueue
from components.reputation_guard import ReputationGuard
from components.sender import SendingDomain
from components.tracing import OrderTracing
from local.config import ROOT
from tests.components import parts
from tests.components.recorder import record

COMPONENTS: list[type[ComponentResource]] = [
    Brake,
    ControlTable,
    CostGuard,
    CostReport,
    DeliveryFeedback,
    DeliveryLedger,
    DependencyLayer,
    InstrumentedFunction,
    OrderIntake,
    OrderMailer,
    OrderTracing,
    Paging,
    Prober,
    ReputationGuard,
    SendingDomain,
    SubscribedQueue,
]
PYTHON_ONLY: list[type[ComponentResource]] = [Monitoring]
"""Those whose arguments are Python values: what other components say about themselves has no shape in a schema."""


@pytest.fixture(scope="module")
def schema() -> AnalyzeResult:
    return Analyzer("mailroom").analyze(COMPONENTS)


def test_every_component_in_the_repository_is_looked_at() -> None:
    sources = "".join(path.read_text() for path in (ROOT / "components").glob("*.py"))
    assert sorted(re.findall(r"class (\w+)\(pulumi\.ComponentResource\)", sources)) == sorted(
        component.__name__ for component in [*COMPONENTS, *PYTHON_ONLY]
    )


@pytest.mark.parametrize("component", COMPONENTS, ids=lambda each: each.__name__)
def test_a_component_can_be_used_from_any_language(schema: AnalyzeResult, component: type[ComponentResource]) -> None:
    definition = schema["component_definitions"][component.__name__]
    assert definition.inputs
    assert definition.outputs
    assert definition.description
    described = {**definition.inputs, **definition.outputs}
    assert not [name for name, each in described.items() if not each.description], "each key says what it is"


def test_types_inside_arguments_are_described_too(schema: AnalyzeResult) -> None:
    types = {
        *("BrakedLane", "ChatChannels", "DnsRecord", "HandlerRuntime", "LaneConfigurationSet", "LaneMapping"),
        *("LaneQueue", "MailerLane", "SlackChannel", "Statement", "TeamsChannel"),
    }
    assert set(schema["type_definitions"]) == types
    for definition in schema["type_definitions"].values():
        assert not [name for name, each in definition.properties.items() if not each.description]


@pytest.mark.parametrize("component", [*COMPONENTS, *PYTHON_ONLY], ids=lambda each: each.__name__)
def test_the_type_token_is_the_one_a_package_needs(component: type[ComponentResource]) -> None:
    source = (ROOT / f"{component.__module__.replace('.', '/')}.py").read_text()
    assert f'super().__init__("mailroom:index:{component.__name__}", name, None, opts)' in source


def test_what_may_be_left_out_is_optional_and_the_rest_is_not(schema: AnalyzeResult) -> None:
    inputs = schema["component_definitions"]["SendingDomain"].inputs
    assert {name for name, each in inputs.items() if not each.optional} == {"domain"}


def camel(value: Any) -> Any:
    """Arguments as TypeScript sends them: names in camelCase, numbers as floats."""
    match value:
        case dict():
            return {re.sub("_(.)", lambda match: match[1].upper(), key): camel(each) for key, each in value.items()}
        case bool():
            return value
        case int():
            return float(value)
    return value


def test_a_component_asked_for_by_another_language_is_the_same_one() -> None:
    def elsewhere() -> None:
        provider = ComponentProvider(COMPONENTS, "mailroom")
        provider.construct("shop", "mailroom:index:OrderMailer", camel(parts.mailer()))

    asked, _ = record(elsewhere)
    own, _ = record(lambda: OrderMailer("shop", parts.mailer()))
    assert asked.pinned() == own.pinned()
    assert asked.one("Function").inputs["environment"] == own.one("Function").inputs["environment"]
    assert asked.one("RolePolicy").document() == own.one("RolePolicy").document()
