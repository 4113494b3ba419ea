"""The review of a change, on a small git repository with a program that is not ours."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from markdown_it import MarkdownIt
from typer.testing import CliRunner, Result

from observability import __main__ as toolkit
from observability.errors import ToolkitError
from observability.program import Recording, record

PROGRAM = """
import json

import pulumi

stack = pulumi.get_stack()


def made(type_, logical, /, opts=None, **inputs):
    return pulumi.CustomResource(type_, logical, inputs, opts)


orders = made("aws:dynamodb/table:Table", "orders", hashKey="id", billingMode="PAY_PER_REQUEST")
role = made("aws:iam/role:Role", "checkout", assumeRolePolicy=json.dumps({"Statement": [
    {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": "lambda.amazonaws.com"}}]}))
made("aws:iam/rolePolicy:RolePolicy", "checkout", role="checkout", policy=json.dumps({"Statement": [
    {"Effect": "Allow", "Action": ["dynamodb:PutItem"],
     "Resource": "arn:aws:dynamodb:us-east-1:123456789012:table/orders"}]}))
made("aws:cloudwatch/metricAlarm:MetricAlarm", "refunds", name=f"shop-{stack}-refunds-page",
     namespace="Shop", metricName="Refunds", dimensions={"Stack": stack}, statistic="Sum", period=300,
     evaluationPeriods=1, comparisonOperator="GreaterThanOrEqualToThreshold", threshold=5,
     treatMissingData="notBreaching", alarmActions=["arn:aws:sns:us-east-1:123456789012:pager"])
made("aws:cloudwatch/metricAlarm:MetricAlarm", "returns", name=f"shop-{stack}-returns-ticket",
     namespace="Shop", metricName="Returns", dimensions={"Stack": stack}, statistic="Sum", period=300,
     evaluationPeriods=1, comparisonOperator="GreaterThanThreshold", threshold=50,
     treatMissingData="notBreaching")
made("aws:cloudwatch/dashboard:Dashboard", "shop", dashboardName=f"shop-{stack}", dashboardBody=json.dumps(
    {"widgets": [{"type": "metric", "width": 12, "height": 6, "properties": {
        "title": "Refunds", "region": "us-east-1", "metrics": [["Shop", "Refunds", "Stack", stack]]}}]}))
"""

INCIDENT = """
incident: A wrong price is refunded
length: 2h
series:
  Shop Refunds {Stack=prod} (Count):
    - {for: 30m, value: 0}
    - {for: 30m, value: 1}
    - {for: 30m, value: 3}
    - {value: 0}
expect:
  refunds-page:
    fires: {by: 40m}
"""

CHANGES = (
    ("threshold=5,", "threshold=9,"),
    ('"Action": ["dynamodb:PutItem"]', '"Action": ["dynamodb:PutItem", "s3:*"]'),
    (
        'metricName="Returns", dimensions={"Stack": stack}',
        'metricName="Returns", dimensions={"Stack": stack, "Shop": "a"}',
    ),
)
MORE = """
made("aws:cloudwatch/metricAlarm:MetricAlarm", "slow", name=f"shop-{stack}-slow-ticket",
     namespace="AWS/Lambda", metricName="Duration", dimensions={"FunctionName": "checkout"}, statistic="Maximum",
     period=60, evaluationPeriods=3, comparisonOperator="GreaterThanThreshold", threshold=1000)
"""


class Repository:
    """A git repository with the program, of which further revisions are made by editing it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        self.write("Pulumi.yaml", "name: shop\nruntime: python\n")
        self.write("Pulumi.prod.yaml", "config: {}\n")
        self.write("__main__.py", PROGRAM)
        self.git("init", "--quiet", "--initial-branch", "main")
        self.commit()

    def git(self, *arguments: str) -> str:
        who = {f"GIT_{role}_{what}": "a@b.example" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
        environment = {**os.environ, **who, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
        done = subprocess.run(
            ["git", "-C", str(self.folder), *arguments], env=environment, check=True, capture_output=True, text=True
        )
        return done.stdout

    def write(self, name: str, text: str) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def edit(self, old: str, new: str) -> None:
        text = (self.folder / "__main__.py").read_text(encoding="utf-8")
        assert old in text
        self.write("__main__.py", text.replace(old, new))

    def commit(self) -> None:
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", "a revision")

    def untouched(self) -> bool:
        """Whether there is no worktree besides its own, and no branch besides main."""
        return len(self.git("worktree", "list").splitlines()) == 1 and self.git("branch").split() == ["*", "main"]

    def review(self, *arguments: str, base: str = "main") -> Result:
        given = ["review", "--program", str(self.folder), "--base", base, "--out", str(self.folder / "build/review")]
        return CliRunner().invoke(toolkit.app, [*given, *arguments])


@pytest.fixture(scope="module", autouse=True)
def recorded_once() -> Iterator[None]:
    """The program as it is above is run once for each stack, however often it is one of the revisions."""
    known: dict[str, Recording] = {}

    def recorded(folder: Path, stack: str, *arguments: Any, **options: Any) -> Recording:
        if (folder / "__main__.py").read_text(encoding="utf-8") != PROGRAM:
            return record(folder, stack, *arguments, **options)
        if stack not in known:
            known[stack] = record(folder, stack, *arguments, **options)
        return known[stack]

    with patch("observability.review.stack.record", recorded):
        yield


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path / "shop")


@pytest.fixture(scope="module")
def changed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Repository, Result]:
    """A branch that changes a threshold, allows every action of a service, adds a dimension and an alarm."""
    made = Repository(tmp_path_factory.mktemp("review") / "shop")
    made.write("Pulumi.dev.yaml", "config: {}\n")
    made.commit()
    made.write("tests/incidents/refunds.yaml", INCIDENT)
    for old, new in CHANGES:
        made.edit(old, new)
    made.write("__main__.py", (made.folder / "__main__.py").read_text(encoding="utf-8") + MORE)
    return made, made.review()


def section(page: str, title: str) -> str:
    """The section of that title, without the heading."""
    return page.split(f"### {title}\n", 1)[1].split("\n### ", 1)[0]


# What cannot be reviewed


def test_a_revision_that_git_does_not_know_is_named_and_nothing_is_run(repository: Repository) -> None:
    result = repository.review(base="no-such-branch")

    assert isinstance(result.exception, ToolkitError)
    assert "'no-such-branch'" in str(result.exception)
    assert not (repository.folder / "build").exists()


def test_an_option_is_not_a_revision(repository: Repository) -> None:
    assert isinstance(repository.review(base="--all").exception, ToolkitError)


def test_a_folder_outside_git_is_refused(tmp_path: Path) -> None:
    result = CliRunner().invoke(toolkit.app, ["review", "--program", str(tmp_path), "--base", "main"])

    assert isinstance(result.exception, ToolkitError)
    assert "not in a git repository" in str(result.exception)


def test_a_stack_that_neither_revision_has_is_refused(repository: Repository) -> None:
    result = repository.review("--stack", "nightly")

    assert isinstance(result.exception, ToolkitError)
    assert "'nightly'" in str(result.exception)
    assert "prod" in result.exception.remedy


def test_a_program_that_fails_now_is_told_with_its_message_and_the_revision_before(repository: Repository) -> None:
    repository.write("__main__.py", "import pulumi\nraise pulumi.RunError('orders need a | table and a `key`')\n")

    result = repository.review()

    assert result.exit_code == 1
    assert "⚠️ the program fails, now" in result.stdout
    assert "orders need a | table and a `key`" in section(result.stdout, "The program fails")
    assert "Before this change it registers 6 resources, among them 2 alarms and 1 dashboard." in result.stdout
    assert repository.untouched()


def test_a_program_that_failed_before_is_no_reason_to_hide_what_is_there_now(repository: Repository) -> None:
    repository.write("__main__.py", "raise SystemError('gone wrong')\n")
    repository.commit()
    repository.write("__main__.py", PROGRAM)

    result = repository.review()

    assert result.exit_code == 1
    assert "gone wrong" in result.stdout
    assert "Now it registers 6 resources" in result.stdout


# What is compared


def test_the_same_program_is_one_line(repository: Repository) -> None:
    repository.write("README.md", "other words")

    result = repository.review()

    assert result.exit_code == 0
    assert len(result.stdout.strip().splitlines()) == 1
    assert repository.untouched()
    assert "`prod` (6 resources)" in result.stdout


def test_a_folder_in_which_a_program_happens_to_run_is_no_change(repository: Repository) -> None:
    repository.edit("import json\n", "import json\nimport pathlib\n")
    repository.edit('hashKey="id"', 'hashKey="id", tags={"from": str(pathlib.Path.cwd() / "orders")}')
    repository.commit()

    assert "No resource changes" in repository.review().stdout


def test_what_base_did_since_the_two_parted_is_not_of_this_change(repository: Repository) -> None:
    repository.git("checkout", "--quiet", "-b", "work")
    repository.edit("threshold=50", "threshold=60")
    repository.commit()
    repository.git("checkout", "--quiet", "main")
    repository.edit("threshold=5,", "threshold=6,")
    repository.commit()
    repository.git("checkout", "--quiet", "work")

    page = repository.review("--head", "work").stdout

    assert "where they parted" in page
    assert "`> 50` | `> 60`" in page
    assert "`≥ 6`" not in page


def test_a_shared_folder_is_there_at_the_other_revision_too(repository: Repository) -> None:
    repository.write(".gitignore", "/kept/\n/build/\n")
    repository.edit("import json\n", "import json\nimport pathlib\n")
    repository.edit('hashKey="id"', 'hashKey="id", note=pathlib.Path("kept/note").read_text()')
    repository.commit()
    repository.write("kept/note", "made once")

    assert "the program fails" in repository.review().stdout
    assert "No resource changes" in repository.review("--share", "kept").stdout


def test_a_new_stack_is_told_as_one(repository: Repository) -> None:
    repository.write("Pulumi.next.yaml", "config: {}\n")

    page = repository.review().stdout

    assert "| `next` | new stack: 6 added |" in page


# A threshold, a star and a dimension


def test_the_summary_says_all_of_it_first(changed: tuple[Repository, Result]) -> None:
    _, result = changed
    rows = [line.split(" | ") for line in result.stdout.splitlines() if line.startswith(("| `dev`", "| `prod`"))]

    bill = "3.20 → 3.30 (+0.10), and up to +0.30 for 1 new metric |"
    alarms = "1 new, 2 changed"
    assert rows == [
        ["| `dev`", "1 added, 3 changed", alarms, "+1 action ⚠️", bill],
        ["| `prod`", "1 added, 3 changed", f"{alarms}; ⚠️ 1 expectation broken", "+1 action ⚠️", bill],
    ]


def test_every_action_of_a_service_is_told_loudly_and_once_for_all_stacks(changed: tuple[Repository, Result]) -> None:
    first = section(changed[1].stdout, "Look at this first")

    assert "⚠️ `Role checkout` now may `s3:*` on `Table orders`: **every action of s3**\n" in first
    assert "| ⚠️ `Role checkout` | `s3:*` | `Table orders` |" in section(changed[1].stdout, "Permissions")


def test_a_threshold_is_told_as_before_and_now_for_all_stacks_at_once(changed: tuple[Repository, Result]) -> None:
    alarms = section(changed[1].stdout, "Alarms")

    assert "| `shop-{stack}-refunds-page` | threshold | `≥ 5` | `≥ 9` |" in alarms
    assert alarms.count("refunds-page") == 1
    assert "shop-{stack}-slow-ticket` | **new** |" in alarms


def test_a_new_dimension_is_another_metric(changed: tuple[Repository, Result]) -> None:
    watched = section(changed[1].stdout, "What is looked at")

    assert "`Shop Returns` by `Shop, Stack`, was by `Stack`, in alarm shop" in watched


def test_an_incident_that_is_noticed_later_is_told_with_both_times_and_what_was_promised(
    changed: tuple[Repository, Result],
) -> None:
    _, result = changed
    incidents = section(result.stdout, "Incidents")

    assert result.exit_code == 1
    assert "replayed on `prod`, 1 expectation: ⚠️ **1 broken by this change**" in incidents
    before, now = "fires at 35m, clears at 1h34m", "fires at 1h2m, clears at 1h33m"
    assert f"| A wrong price is refunded | `refunds-page` | {before} | {now} | ⚠️" in incidents
    assert "no longer: fires by 40m" in incidents


def test_the_bill_is_told_by_line(changed: tuple[Repository, Result]) -> None:
    bill = section(changed[1].stdout, "Bill")

    assert "`MetricAlarm slow`" in bill
    assert "| 0.00 | 0.10 | +0.10 |" in bill


def test_what_has_its_own_section_is_not_told_again_among_resources(changed: tuple[Repository, Result]) -> None:
    resources = section(changed[1].stdout, "Resources")

    assert "`MetricAlarm refunds`, `MetricAlarm returns`: see Alarms" in resources
    assert "`RolePolicy checkout`: see Permissions" in resources


def test_the_page_is_what_was_printed_and_the_same_every_time(changed: tuple[Repository, Result]) -> None:
    repository, result = changed
    written = (repository.folder / "build/review/review.md").read_text(encoding="utf-8")

    assert written == result.stdout
    assert repository.review().stdout == result.stdout


def test_dashboards_are_told_in_words_and_drawn_before_and_now(repository: Repository) -> None:
    repository.edit('"title": "Refunds"', '"title": "Refunds a day"')
    repository.edit('"Stack", stack]]', '"Stack", stack]], "stacked": True')

    page = repository.review().stdout
    pictures = sorted(path.name for path in (repository.folder / "build/review").glob("*.png"))

    assert pictures == ["prod-shop-prod-before.png", "prod-shop-prod-now.png"]
    assert all(f"]({name})" in page for name in pictures)
    assert "Refunds a day (metric) added" in page
    assert "without incidents the graphs are empty" in page


def test_nothing_from_a_program_becomes_markup(repository: Repository) -> None:
    repository.edit(
        'billingMode="PAY_PER_REQUEST"', 'billingMode="PAY|`x` <script>alert(1)</script> @team\\n\\n# Title \\u202e"'
    )

    page = repository.review().stdout
    html = MarkdownIt("commonmark", {"html": True}).enable("table").render(page)

    assert "<script>" not in html
    assert "<h1>" not in html
    assert "\u202e" not in page
    assert "PAY|" in html


# The program's own policies


@pytest.fixture
def policies(repository: Repository) -> Callable[[str], None]:
    """Gives the program a policy pack that does what the text says."""

    def write(text: str) -> None:
        repository.write("policies/__init__.py", "")
        repository.write(
            "policies/__main__.py", f"import json, sys\nrecording = json.load(open(sys.argv[-1]))\n{text}\n"
        )

    return write


def test_without_policies_nothing_is_said_of_them(repository: Repository) -> None:
    repository.edit("threshold=5,", "threshold=6,")

    assert "polic" not in repository.review().stdout.lower()


def test_only_what_a_change_makes_of_the_policies_is_told(
    repository: Repository, policies: Callable[[str], None]
) -> None:
    policies(
        "found = [r['name'] for r in recording['resources'] if not r['inputs'].get('tags')]\n"
        "said = '{}: it has no tags. Nobody knows whose it is. Tag it.'\n"
        "told = [{'policy': 'tagged', 'resource': n, 'message': said.format(n)} for n in sorted(set(found))]\n"
        "print(json.dumps(told))"
    )
    repository.write("__main__.py", PROGRAM + 'made("aws:sns/topic:Topic", "news")\n')

    result = repository.review()

    assert result.exit_code == 1
    told = "policy `tagged` (mandatory): `news`: it has no tags. Nobody knows whose it is. Tag it."
    assert told in section(result.stdout, "New findings")
    assert section(result.stdout, "Look at this first").rstrip().endswith("policy `tagged`: `news`: it has no tags.")
    assert "`orders`: it has no tags" not in result.stdout


def test_policies_that_cannot_be_asked_stop_the_review(repository: Repository, policies: Callable[[str], None]) -> None:
    policies("sys.exit('no pack today')")
    repository.edit("threshold=5,", "threshold=6,")

    result = repository.review()

    assert isinstance(result.exception, ToolkitError)
    assert "no pack today" in str(result.exception)
