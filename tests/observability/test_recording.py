"""A program is recorded as the Pulumi CLI would run it, with nothing of it left behind."""

from __future__ import annotations

import json
import os
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from observability.errors import ToolkitError
from observability.program import Recording, Resource, record
from observability.program.answers import Answers
from observability.program.config import SECRET, StackConfigError, read_project, secret_keys, stack_config
from observability.program.resources import SECRET as VEILED

PROGRAMS = Path(__file__).parents[1] / "programs"

Make = Callable[..., Path]


@pytest.fixture
def program(tmp_path: Path) -> Make:
    """Makes a project of some lines."""

    def make(lines: str, project: str = "", **stacks: str) -> Path:
        head = "name: shop\nruntime: python\n"
        (tmp_path / "Pulumi.yaml").write_text(head + textwrap.dedent(project), encoding="utf-8")
        for stack, text in stacks.items():
            (tmp_path / f"Pulumi.{stack}.yaml").write_text(textwrap.dedent(text), encoding="utf-8")
        # On a line of its own in any case, so that line numbers are the same; importing it takes a while.
        aws = "import pulumi_aws as aws" if "aws." in lines else ""
        preamble = f"import json, os, sys\nimport pulumi\n{aws}\n"
        (tmp_path / "__main__.py").write_text(preamble + textwrap.dedent(lines), encoding="utf-8")
        return tmp_path

    return make


def one(recording: Recording, kind: str, name: str = "") -> Resource:
    (found,) = [each for each in recording.all(kind) if name in ("", each.name)]
    return found


# What goes wrong


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ("raise pulumi.RunError('the budget is too small')", r"program 'shop', stack 'dev': the budget is too small"),
        ("\n1 / 0", r"ZeroDivisionError: division by zero \(__main__\.py:5\)"),
        ("pulumi.Config().require('rate')", r"shop:rate"),
        ("import nowhere_at_all", r"No module named 'nowhere_at_all'"),
        ("sys.exit(3)", r"ended with exit code 3"),
        ("aws.sqs.Queue('q')\naws.sqs.Queue('q')", r"aws:sqs/queue:Queue 'q' is declared twice"),
        ("aws.ec2.get_vpc(default=True)", r"calls aws:ec2/getVpc:getVpc, whose answer a recording does not know"),
        ("pulumi.StackReference('org/net/dev')", r"outputs of stack 'org/net/dev'"),
        ("os.kill(os.getpid(), 9)", r"exit code -9"),
    ],
)
def test_a_program_that_fails_is_told_of_in_its_own_words(program: Make, lines: str, said: str) -> None:
    with pytest.raises(ToolkitError, match=said) as failed:
        record(program(lines), "dev")
    assert "Traceback" not in str(failed.value)


def test_the_stack_trace_is_kept_aside_for_who_wants_it(program: Make) -> None:
    with pytest.raises(ToolkitError) as failed:
        record(program("raise ValueError('no')"), "dev")
    assert "Traceback" in "".join(failed.value.__notes__)


def test_a_program_that_hangs_is_ended(program: Make) -> None:
    with pytest.raises(ToolkitError, match=r"still running after 1 s"):
        record(program("import time\ntime.sleep(60)"), "dev", timeout=1)


def test_an_interpreter_that_is_not_there_is_named(program: Make) -> None:
    with pytest.raises(ToolkitError, match=r"/nowhere/python cannot be run"):
        record(program(""), "dev", python=Path("/nowhere/python"))


def test_a_folder_without_a_project_and_one_in_another_language_are_refused(tmp_path: Path) -> None:
    with pytest.raises(StackConfigError, match=r"there is no Pulumi\.yaml"):
        record(tmp_path, "dev")
    (tmp_path / "Pulumi.yaml").write_text("name: shop\nruntime: nodejs\n", encoding="utf-8")
    with pytest.raises(StackConfigError, match=r"its runtime is 'nodejs'"):
        record(tmp_path, "dev")


@pytest.mark.parametrize("document", [[], {}, {"format": 99, "resources": []}])
def test_what_is_no_recording_is_refused(document: Any) -> None:
    with pytest.raises(ToolkitError, match="not a recording"):
        Recording.read(document)


# What is recorded


def test_resources_are_recorded_with_the_options_that_decide_over_them(program: Make) -> None:
    lines = """
        class Site(pulumi.ComponentResource):
            def __init__(self, name):
                super().__init__("shop:index:Site", name)
                own = pulumi.ResourceOptions(
                    parent=self, protect=True, ignore_changes=["tags"], replace_on_changes=["name"],
                    delete_before_replace=True, retain_on_delete=True,
                    aliases=[pulumi.Alias(name="older"), pulumi.Alias(parent=pulumi.ROOT_STACK_RESOURCE)])
                self.topic = aws.sns.Topic("news", opts=own)
                self.register_outputs({})
        site = Site("site")
        aws.sqs.Queue("plain", opts=pulumi.ResourceOptions(depends_on=[site.topic]))
    """
    recording = record(program(lines), "dev")
    topic, queue = one(recording, "Topic"), one(recording, "Queue")
    above = "urn:pulumi:dev::shop::shop:index:Site"
    assert topic.parent == f"{above}::site"
    assert topic.urn == f"{above}$aws:sns/topic:Topic::news"
    assert (topic.protect, topic.delete_before_replace, topic.retain_on_delete) == (True, True, True)
    assert (topic.ignore_changes, topic.replace_on_changes) == (("tags",), ("name",))
    assert set(topic.aliases) == {
        f"{above}$aws:sns/topic:Topic::older",
        "urn:pulumi:dev::shop::aws:sns/topic:Topic::news",
    }
    assert queue.dependencies == (topic.urn,)
    assert (queue.parent, queue.protect, queue.delete_before_replace, queue.aliases) == ("", False, None, ())
    assert topic.source == "__main__.py:12"
    assert [each.urn for each in recording.resources] == sorted(each.urn for each in recording.resources)


def test_a_recording_is_the_same_every_time_and_comes_back_from_json(program: Make) -> None:
    where = program("for n in range(8): aws.sqs.Queue(f'q{n}')\npulumi.export('n', 8)")
    first, second = record(where, "dev"), record(where, "dev")
    assert first == second
    assert Recording.read(json.loads(json.dumps(first.document()))) == first
    assert first.outputs == {"n": 8}
    assert isinstance(first.outputs["n"], int)


def test_a_secret_is_marked_and_its_value_is_not_told(program: Make) -> None:
    lines = """
        word = pulumi.Output.secret("swordfish")
        aws.ssm.Parameter("p", type="SecureString", value=word)
        aws.lambda_.Function("f", role="r", environment={"variables": {"WORD": word, "PLAIN": "x"}})
        pulumi.export("word", word)
        pulumi.export("url", pulumi.Config().require_secret("url"))
    """
    project = "config:\n  url: {type: string, secret: true, default: https-secret}\n"
    recording = record(program(lines, project), "dev")
    assert one(recording, "Parameter").inputs["value"] == VEILED
    assert recording.outputs == {"word": VEILED, "url": VEILED}
    assert one(recording, "Function").secrets
    text = json.dumps(recording.document())
    assert "swordfish" not in text
    assert "https-secret" not in text


def test_an_archive_is_told_by_path_and_content(program: Make) -> None:
    where = program("aws.lambda_.Function('f', role='r', code=pulumi.FileArchive('code'))")
    (where / "code").mkdir()
    digests = []
    for content in ("one", "one", "two"):
        (where / "code" / "f.py").write_text(content, encoding="utf-8")
        code = one(record(where, "dev"), "Function").inputs["code"]
        assert code["archive"] == "code"
        digests.append(code["sha256"])
    assert digests[0] == digests[1] != digests[2]


def test_a_resource_that_is_only_looked_up_is_somebody_elses(program: Make) -> None:
    recording = record(program("aws.sqs.Queue.get('theirs', 'https://sqs/1/theirs')"), "dev")
    queue = one(recording, "Queue")
    assert queue.external
    assert queue.id == "https://sqs/1/theirs"


def test_what_another_packages_component_makes_is_said_to_be_unseen(program: Make) -> None:
    lines = "class Far(pulumi.ComponentResource):\n  pass\nFar('far:index:Thing', 'x', {}, None, True)"
    assert record(program(lines), "dev").notes == (
        "far:index:Thing 'x' is made by a component package, so what it contains is not seen",
    )


# What it is answered


def test_computed_properties_name_what_they_are_of(program: Make) -> None:
    lines = """
        eu = pulumi.ResourceOptions(provider=aws.Provider("eu", region="eu-west-1"))
        topic, queue, table = aws.sns.Topic("t"), aws.sqs.Queue("q", opts=eu), aws.dynamodb.Table("d", name="books")
        role = aws.iam.Role("r", assume_role_policy="{}")
        function = aws.lambda_.Function("f", role=role.arn)
        bucket = aws.s3.Bucket("b")
        balancer = aws.lb.LoadBalancer("lb")
        certificate = aws.acm.Certificate("c", domain_name="example.com")
        cluster = aws.ecs.Cluster("e")
        pulumi.export("given", [
            topic.arn, topic.id, queue.arn, queue.url, table.arn, table.id, function.arn, function.name, bucket.arn,
            bucket.bucket, balancer.arn_suffix, role.id, cluster.arn])
        pulumi.export("record", certificate.domain_validation_options[0].resource_record_name)
        pulumi.export("stream", table.stream_arn)
    """
    recording = record(program(lines, "config: {'aws:region': us-west-2}"), "dev")
    west = "us-west-2:123456789012"
    assert recording.outputs["given"] == [
        f"arn:aws:sns:{west}:t",
        f"arn:aws:sns:{west}:t",
        "arn:aws:sqs:eu-west-1:123456789012:q",
        "https://sqs.eu-west-1.amazonaws.com/123456789012/q",
        f"arn:aws:dynamodb:{west}:table/books",
        "books",
        f"arn:aws:lambda:{west}:function:f",
        "f",
        "arn:aws:s3:::b",
        "b",
        "app/lb/0123456789abcdef",
        "r",
        f"arn:aws:ecs:{west}:cluster/e",
    ]
    assert recording.outputs["record"]
    assert recording.outputs["stream"].startswith("arn:aws:dynamodb:")


def test_the_providers_tags_are_on_what_it_makes(program: Make) -> None:
    lines = """
        own = aws.Provider("own", default_tags={"tags": {"team": "mail", "stage": "x"}})
        aws.sns.Topic("t", tags={"stage": "y"}, opts=pulumi.ResourceOptions(provider=own))
    """
    assert one(record(program(lines), "dev"), "Topic").outputs["tagsAll"] == {"team": "mail", "stage": "y"}


def test_look_ups_that_depend_on_nothing_are_answered(program: Make) -> None:
    lines = """
        pulumi.export("account", aws.get_caller_identity().account_id)
        pulumi.export("region", aws.get_region().region)
        pulumi.export("partition", aws.get_partition_output().partition)
        pulumi.export("zones", aws.get_availability_zones(state="available").names)
        pulumi.export("policy", aws.iam.get_policy_document(statements=[{
            "sid": "One", "actions": ["s3:GetObject"], "resources": ["arn:a", "arn:b"],
            "principals": [{"type": "AWS", "identifiers": ["1"]}],
            "conditions": [{"test": "Bool", "variable": "aws:SecureTransport", "values": ["true"]}]}]).json)
    """
    outputs = record(program(lines), "dev").outputs
    assert (outputs["account"], outputs["region"], outputs["partition"]) == ("123456789012", "us-east-1", "aws")
    assert outputs["zones"] == ["us-east-1a", "us-east-1b", "us-east-1c"]
    assert json.loads(outputs["policy"]) == {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Sid": "One",
                "Action": "s3:GetObject",
                "Resource": ["arn:a", "arn:b"],
                "Principal": {"AWS": "1"},
                "Condition": {"Bool": {"aws:SecureTransport": "true"}},
            }
        ],
    }


def test_other_look_ups_are_answered_by_what_is_handed_over(program: Make) -> None:
    lines = """
        pulumi.export("vpc", aws.ec2.get_vpc(default=True).cidr_block)
        pulumi.export("subnet", pulumi.StackReference("org/net/dev").get_output("subnet"))
        pulumi.export("zone", aws.route53.Zone("z", name="example.com").name_servers[0])
    """
    answers = {
        "functions": {"aws:ec2/getVpc:getVpc": {"cidrBlock": "10.0.0.0/16"}},
        "stacks": {"org/net/dev": {"subnet": "s-1"}},
        "resources": {"aws:route53/zone:Zone": {"nameServers": ["ns.example.org"]}},
    }
    outputs = record(program(lines), "dev", answers=answers).outputs
    assert outputs == {"vpc": "10.0.0.0/16", "subnet": "s-1", "zone": "ns.example.org"}


def test_answers_of_another_shape_are_refused() -> None:
    with pytest.raises(ToolkitError, match="some of account, region, functions, stacks, resources"):
        Answers.read({"invokes": {}})


# Where it runs


def test_a_program_finds_no_account_and_leaves_nothing_behind(program: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "production")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "key")
    lines = """
        print("not for the caller")
        import leaves
        found = sorted(n for n in os.environ if n.startswith("AWS_") and "FILE" not in n)
        pulumi.export("seen", [os.getcwd(), found])
    """
    where = program(lines)
    (where / "leaves.py").write_text("", encoding="utf-8")
    before = (Path.cwd(), list(sys.path), dict(os.environ))
    seen = record(where, "dev").outputs["seen"]
    assert seen == [str(where.resolve()), ["AWS_EC2_METADATA_DISABLED"]]
    assert (Path.cwd(), list(sys.path), dict(os.environ)) == before
    assert "leaves" not in sys.modules


def test_a_program_may_have_modules_of_the_toolkits_names(program: Make) -> None:
    where = program("import observability, settings\npulumi.export('whose', [observability.WHOSE, settings.WHOSE])")
    for name in ("observability", "settings"):
        (where / f"{name}.py").write_text("WHOSE = 'the program'", encoding="utf-8")
    assert record(where, "dev").outputs["whose"] == ["the program"] * 2


def test_text_made_of_an_output_that_is_not_known_yet_is_a_fault(program: Make) -> None:
    with pytest.raises(ToolkitError, match="Output"):
        record(program("aws.sqs.Queue('q', name=f\"{aws.sns.Topic('t').name}-x\")"), "dev")


def test_the_folder_that_main_names_is_run_and_is_the_working_directory() -> None:
    recording = record(PROGRAMS / "bookings", "dev")
    function = one(recording, "Function")
    assert function.source.startswith("infra/__main__.py:")
    assert function.inputs["code"]["archive"] == "infra/function"
    assert function.inputs["code"]["sha256"]


# Configuration


def test_settings_are_those_of_schema_stack_and_caller(program: Make) -> None:
    where = program("pulumi.export('memory', pulumi.Config().require_int('memory'))", "config: {memory: 1}")
    assert stack_config("dev", root=where) == {"shop:memory": "1"}
    (where / "Pulumi.dev.yaml").write_text("config: {memory: 2}", encoding="utf-8")
    assert stack_config("dev", root=where) == {"shop:memory": "2"}
    assert record(where, "dev", {"memory": 3}).outputs["memory"] == 3


def test_lists_and_mappings_reach_the_program_as_the_cli_hands_them_over(program: Make) -> None:
    lines = "pulumi.export('zones', pulumi.Config().require_object('zones'))"
    where = program(lines, "config: {zones: {type: array, items: {type: string}}}", dev="config: {zones: [a, b]}")
    assert record(where, "dev").outputs["zones"] == ["a", "b"]
    with pytest.raises(StackConfigError, match="shop:zones must be of type array, not 'a'"):
        stack_config("dev", {"zones": "a"}, root=where)


def test_an_encrypted_value_is_a_secret_that_nobody_can_read(program: Make) -> None:
    where = program(
        "", "config: {limit: {type: integer}}", dev="config: {token: {secure: AAAB}, limit: {secure: AAAC}}"
    )
    assert stack_config("dev", root=where) == {"shop:token": SECRET, "shop:limit": SECRET}
    assert secret_keys("dev", root=where) == {"shop:token", "shop:limit"}
    assert record(where, "dev").config == {}


def test_a_stack_needs_a_file_only_where_others_have_one(program: Make) -> None:
    where = program("")
    assert record(where, "whatever").stack == "whatever"
    (where / "Pulumi.dev.yaml").write_text("", encoding="utf-8")
    with pytest.raises(StackConfigError, match=r"no Pulumi\.whatever\.yaml .stacks with a file: dev"):
        record(where, "whatever")


def test_the_projects_own_interpreter_is_taken_where_it_has_one(tmp_path: Path) -> None:
    text = "name: shop\nruntime: {name: python, options: {virtualenv: env}}\n"
    (tmp_path / "Pulumi.yaml").write_text(text, encoding="utf-8")
    assert read_project(tmp_path).python is None
    (tmp_path / "env" / "bin").mkdir(parents=True)
    (tmp_path / "env" / "bin" / "python").touch()
    assert read_project(tmp_path).python == tmp_path / "env" / "bin" / "python"
