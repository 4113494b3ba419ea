"""A stack is found by its outputs alone; where there are none, the reader is told how to get some."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError, NoCredentialsError
from typer.testing import CliRunner

from ops.cli import app
from ops.errors import Exit, OpsError, explain
from ops.stack import Outputs, open_stack
from tests.recorded import program


def exported_names() -> set[str]:
    """The names that the program exports in the stack with the fewest."""
    return set(program("dev")[1])


def completed(stdout: str) -> Callable[..., Any]:
    def run(command: list[str], **_: Any) -> Any:
        run.commands.append(command)  # type: ignore[attr-defined]
        return subprocess.CompletedProcess(command, 0, stdout=stdout, stderr="")

    run.commands = []  # type: ignore[attr-defined]
    return run


def test_a_local_stack_without_a_run_says_to_start_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(app, ["status", "A-1"])
    assert result.exit_code == Exit.UNREACHABLE
    assert "There are no outputs at build/local/outputs.json." in result.stderr
    assert "make up" in result.stderr


def test_another_stack_is_asked_of_the_cli(outputs_file: Path) -> None:
    run = completed(outputs_file.read_text())
    stack = open_stack("prod", run=run)
    assert stack.outputs.ledger_table_name == "EmailDeliveries"
    assert run.commands == [  # type: ignore[attr-defined]
        ["pulumi", "stack", "output", "--json", "--stack", "prod", "--non-interactive"]
    ]


def test_a_missing_cli_is_named_with_where_to_get_it() -> None:
    def missing(*_: Any, **__: Any) -> Any:
        raise FileNotFoundError("pulumi")

    with pytest.raises(OpsError, match="Pulumi CLI is needed") as caught:
        open_stack("prod", run=missing)
    assert "pulumi.com/docs/install" in caught.value.remedy


def test_the_clis_own_complaint_is_passed_on() -> None:
    def failing(command: list[str], **_: Any) -> Any:
        raise subprocess.CalledProcessError(255, command, stderr="error: no stack named 'prod' found\n")

    with pytest.raises(OpsError, match="no stack named 'prod' found") as caught:
        open_stack("prod", run=failing)
    assert caught.value.code == Exit.UNREACHABLE


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"region": "us-east-1"}', "not json"])
def test_outputs_of_something_else_are_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "outputs.json"
    path.write_text(text)
    with pytest.raises(OpsError) as caught:
        open_stack("any", path)
    assert caught.value.code == Exit.UNREACHABLE


def test_a_missing_output_is_named(outputs_file: Path) -> None:
    exported = json.loads(outputs_file.read_text())
    del exported["sendDlqUrl"]
    with pytest.raises(OpsError, match="sendDlqUrl"):
        Outputs.parse(exported)


def test_a_missing_output_of_a_lane_is_named(outputs_file: Path) -> None:
    exported = json.loads(outputs_file.read_text())
    del exported["lanes"][1]["mappingId"]
    with pytest.raises(OpsError, match=r"lanes\[\]\.mappingId"):
        Outputs.parse(exported)


def test_only_a_stack_with_an_endpoint_is_reached_with_the_emulators_key(outputs_file: Path) -> None:
    exported = json.loads(outputs_file.read_text())
    local = open_stack("local", _written(outputs_file, exported | {"endpoint": "http://127.0.0.1:4566"}))
    assert local.sqs.meta.endpoint_url == "http://127.0.0.1:4566"
    aws = open_stack("prod", _written(outputs_file, exported))
    assert "amazonaws.com" in aws.sqs.meta.endpoint_url


def _written(path: Path, exported: dict[str, Any]) -> Path:
    path.write_text(json.dumps(exported))
    return path


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (NoCredentialsError(), "no AWS credentials"),
        (EndpointConnectionError(endpoint_url="http://127.0.0.1:4566"), "127.0.0.1:4566"),
        (ClientError({"Error": {"Code": "ExpiredToken", "Message": "expired"}}, "Publish"), "credentials"),
        (ClientError({"Error": {"Code": "AccessDenied", "Message": "no"}}, "Publish"), "Not allowed to call Publish"),
        (ClientError({"Error": {"Code": "NotFound", "Message": "gone"}}, "Publish"), "gone"),
        (ClientError({"Error": {"Code": "InternalError", "Message": "oh"}}, "Publish"), "Publish failed: oh"),
    ],
)
def test_an_aws_failure_is_a_sentence_and_a_code_of_its_own(error: Any, words: str) -> None:
    explained = explain(error)
    assert words in explained.message
    assert explained.code == Exit.UNREACHABLE


def test_an_endpoint_that_does_not_answer_is_said_in_a_sentence_and_without_a_long_wait(tmp_path: Path) -> None:
    exported = {
        **dict.fromkeys(exported_names(), "x"),
        "lanes": [],
        "endpoint": "http://127.0.0.1:1",
        "region": "us-east-1",
    }
    started = time.monotonic()
    result = CliRunner().invoke(app, ["--outputs", str(_written(tmp_path / "o.json", exported)), "status", "A-1"])
    assert result.exit_code == Exit.UNREACHABLE
    assert "127.0.0.1:1" in result.stderr
    assert "make up" in result.stderr
    assert "Traceback" not in result.output
    assert time.monotonic() - started < 5


def test_help_names_the_exit_codes_and_needs_no_stack() -> None:
    result = CliRunner().invoke(app, ["--help"])
    assert result.exit_code == 0
    for code in Exit:
        assert f"{code.value} " in result.output
    for command in ("send", "status", "resolve", "redrive", "brake", "release"):
        assert CliRunner().invoke(app, [command, "--help"]).exit_code == 0


def test_the_commands_use_only_outputs_that_the_program_exports() -> None:
    assert Outputs.parse(dict.fromkeys(exported_names(), "x") | {"lanes": []})
