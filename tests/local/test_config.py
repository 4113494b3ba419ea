"""A stack's configuration is what the Pulumi CLI would hand to the program."""

from __future__ import annotations

from pathlib import Path

import pytest

from local.config import ROOT, StackConfigError, project_name, stack_config

PROJECT = """\
name: shop
runtime: python
config:
  region:
    type: string
    description: where
    default: here
  rate:
    type: integer
    default: 14
  loud:
    type: boolean
    default: false
  owner:
    type: string
  aws:region: us-east-1
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "Pulumi.yaml").write_text(PROJECT, encoding="utf-8")
    (tmp_path / "Pulumi.dev.yaml").write_text("config:\n  shop:owner: me\n  shop:rate: 20\n", encoding="utf-8")
    return tmp_path


def test_defaults_are_overlaid_by_the_stack_file_and_that_by_overrides(project: Path) -> None:
    assert stack_config("dev", {"shop:loud": True}, root=project) == {
        "shop:region": "here",
        "shop:rate": "20",
        "shop:loud": "true",
        "shop:owner": "me",
        "aws:region": "us-east-1",
    }


def test_a_key_without_namespace_is_the_projects(project: Path) -> None:
    assert stack_config("dev", {"rate": 3, "aws:region": "eu-west-1"}, root=project)["shop:rate"] == "3"


def test_a_key_that_the_schema_does_not_know_is_passed_on_for_the_program_to_judge(project: Path) -> None:
    assert stack_config("dev", {"shop:rat": "3"}, root=project)["shop:rat"] == "3"


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("rate", "many", "integer"),
        ("rate", 1.5, "integer"),
        ("rate", True, "integer"),
        ("rate", "--1", "integer"),
        ("loud", "yes", "boolean"),
        ("loud", 1, "boolean"),
        ("owner", 7, "string"),
    ],
)
def test_a_value_of_another_type_is_refused_naming_key_and_type(
    project: Path, key: str, value: str | int | bool, expected: str
) -> None:
    with pytest.raises(StackConfigError, match=rf"shop:{key} must be of type {expected}, not {value!r}"):
        stack_config("dev", {key: value}, root=project)


def test_all_faults_are_reported_together(project: Path) -> None:
    (project / "Pulumi.dev.yaml").write_text("config:\n  shop:rate: x\n", encoding="utf-8")
    with pytest.raises(StackConfigError) as refused:
        stack_config("dev", {"loud": "loud"}, root=project)
    message = str(refused.value)
    for fault in ("shop:owner has no value", "shop:rate must be", "shop:loud must be"):
        assert fault in message


def test_a_stack_without_a_file_is_refused_naming_those_that_have_one(project: Path) -> None:
    with pytest.raises(StackConfigError, match=r"no Pulumi\.prod\.yaml .*dev"):
        stack_config("prod", root=project)


@pytest.mark.parametrize("stack", ["dev", "prod", "local"])
def test_every_stack_of_this_project_satisfies_its_schema(stack: str) -> None:
    config = stack_config(stack)
    assert project_name() == "mailroom"
    assert {"aws:region", "mailroom:sendRate", "mailroom:productionSending"} <= config.keys()
    assert all(isinstance(value, str) for value in config.values())
    assert (ROOT / f"Pulumi.{stack}.yaml").is_file()
