"""Nothing that holds data is lost from one release to the next; and a release is written down once, for ever."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import date
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final

import pulumi
import pulumi_aws
import pytest

from components.ledger import DeliveryLedger
from local.config import ROOT
from observability.errors import ToolkitError
from observability.program.recorder import Recorder, RecordingMonitor
from observability.program.resources import Recording, Resource
from policies.engine import judge_stack
from policies.model import Stack
from policies.release import cut, main, unready
from policies.releases import FOLDER, OPEN, Release, fates, versions
from policies.rules import RULES
from policies.rules.data import data_kept
from policies.waivers import waivers
from tests.recorded import recording

STACKS: Final = ("dev", "prod")
RELEASES: Final = ROOT / FOLDER
QUEUE: Final = "aws:sqs/queue:Queue"
TABLE: Final = "aws:dynamodb/table:Table"
COMPONENT: Final = "shop:index:Archive"


def findings(project: str, stack: str, resources: tuple[Resource, ...], folder: Path = RELEASES) -> list[str]:
    """What the rule says of a program, by the releases in a folder."""
    settings = {"releases": str(folder)}
    judged = Stack(project, stack, resources, settings, date(2026, 11, 23))
    return [f"{each.resource.name}: {each.wrong}" for each in data_kept.check(judged.root, judged)]  # type: ignore[union-attr]


# This program, and the last release


@pytest.mark.parametrize("stack", STACKS)
def test_an_upgrade_from_the_last_release_keeps_all_data(stack: str) -> None:
    assert findings("mailroom", stack, recording(stack).resources) == []


@pytest.mark.parametrize("stack", STACKS)
def test_the_last_release_has_what_must_not_be_lost(stack: str) -> None:
    release = Release.last(RELEASES, stack)
    assert release
    kinds = {each.type.rpartition(":")[2] for each in release.kept}
    assert {"Table", "Queue", "Topic", "LogGroup", "EmailIdentity", "ConfigurationSet", "Key"} <= kinds
    assert [each.fixed["hashKey"] for each in release.kept if each.name == "mailroom-EmailDeliveries"] == ["orderId"]
    assert all(each.protect is (stack == "prod") for each in release.kept if each.type == TABLE)


@pytest.mark.parametrize("stack", STACKS)
def test_each_resource_that_holds_data_is_missed_when_it_goes(stack: str) -> None:
    release, resources = Release.last(RELEASES, stack), recording(stack).resources
    assert release
    for gone in release.kept:
        left = tuple(each for each in resources if each.urn != gone.urn)
        (told,) = findings("mailroom", stack, left)
        assert told.startswith(f"{gone.name}: ")
        assert gone.lost in told


@pytest.mark.parametrize("stack", STACKS)
def test_each_value_that_cannot_be_changed_in_place_is_missed_when_it_changes(stack: str) -> None:
    release, resources = Release.last(RELEASES, stack), recording(stack).resources
    assert release
    for kept in release.kept:
        assert kept.fixed["region"] == "us-east-1"
        for name in [name for name, value in kept.fixed.items() if value is not OPEN]:
            (told,) = findings("mailroom", stack, tuple(_with(each, kept.urn, {name: "another"}) for each in resources))
            assert told.startswith(f"{kept.name}: {name} is 'another' and was {kept.fixed[name]!r} in release")


def test_a_domain_of_ones_own_and_an_arn_are_no_change() -> None:
    resources = recording("prod").resources
    (identity,) = [each for each in resources if each.kind == "EmailIdentity"]
    own = tuple(_with(each, identity.urn, {"emailIdentity": "mail.shop.com"}) for each in resources)
    assert findings("mailroom", "prod", own) == []


def _with(resource: Resource, urn: str, inputs: Mapping[str, Any]) -> Resource:
    return replace(resource, inputs={**resource.inputs, **inputs}) if resource.urn == urn else resource


# Tags


def altered(root: Path) -> list[str]:
    """What is not as it was when its release was tagged: files below releases/ of a version that has a tag."""

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(root), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    found = []
    for version in versions(root / FOLDER):
        tag, folder = f"v{version}", f"{FOLDER}/{version}"
        if not git("tag", "--list", tag).strip():
            continue
        then = set(git("ls-tree", "-r", "--name-only", tag, folder).split())
        now = {each.relative_to(root).as_posix() for each in (root / folder).rglob("*") if each.is_file()}
        found += sorted(then ^ now)
        found += [
            name for name in sorted(then & now) if git("show", f"{tag}:{name}") != (root / name).read_text("utf-8")
        ]
    return found


def test_what_a_tag_says_of_its_release_was_never_changed() -> None:
    if not (ROOT / ".git").exists():
        pytest.skip("no git here: this is an archive, and only a tag knows what was released")
    assert altered(ROOT) == []


def test_a_release_that_was_changed_after_its_tag_is_found(tmp_path: Path) -> None:
    def git(*arguments: str) -> None:
        who = ("-c", "user.name=ann", "-c", "user.email=ann@example.com")
        subprocess.run(["git", "-C", str(tmp_path), *who, *arguments], check=True, capture_output=True)

    file, other = tmp_path / "releases/1.0.0/prod.json", tmp_path / "releases/1.0.0/dev.json"
    file.parent.mkdir(parents=True)
    file.write_text("{}\n")
    git("init", "--quiet")
    git("add", ".")
    git("commit", "--quiet", "--message", "Release 1.0.0")
    other.write_text("{}\n")
    assert altered(tmp_path) == [], "it is a draft until it is tagged"
    other.unlink()
    git("tag", "v1.0.0")
    assert altered(tmp_path) == []
    file.write_text('{"kept": []}\n')
    other.write_text("{}\n")
    assert altered(tmp_path) == ["releases/1.0.0/dev.json", "releases/1.0.0/prod.json"]
    file.unlink()
    other.unlink()
    assert altered(tmp_path) == ["releases/1.0.0/prod.json"]


# Other programs


def made(type_: str, name: str, *, within: str = "", **options: Any) -> Resource:
    """A resource of project shop, in a component with that URN, if any."""
    above = f"{COMPONENT}$" if within else ""
    return Resource(
        type=type_,
        name=name,
        urn=f"urn:pulumi:prod::shop::{above}{type_}::{name}",
        parent=within,
        custom=type_ != COMPONENT,
        **options,
    )


def released(folder: Path, *resources: Resource, version: str = "1.0.0") -> Path:
    Release.of(Recording(project="shop", stack="prod", resources=resources), version).write(folder)
    return folder


def test_a_component_may_be_renamed_by_one_alias_for_all_that_is_in_it(tmp_path: Path) -> None:
    old = made(COMPONENT, "archive")
    released(tmp_path, old, made(TABLE, "archive-orders", within=old.urn), made(QUEUE, "late", within=old.urn))
    new = made(COMPONENT, "history", aliases=(old.urn,))
    within = (made(TABLE, "history-orders", within=new.urn), made(QUEUE, "late", within=new.urn))
    assert findings("shop", "prod", (new, *within), tmp_path) == []

    (told,) = findings("shop", "prod", (replace(new, aliases=()), *within), tmp_path)
    assert told == "archive-orders: release 1.0.0 has it, and it is registered no longer; lost: all its items"


def test_the_alias_of_a_component_is_not_one_of_a_child_that_is_not_named_after_its_former_name(tmp_path: Path) -> None:
    """Of a child whose name begins with its component's, the engine takes the component's former name for that part."""
    old = made(COMPONENT, "a")
    released(tmp_path, old, made(TABLE, "store-orders", within=old.urn))
    new = Resource(type="shop:index:Store", name="store", urn="urn:pulumi:prod::shop::shop:index:Store::store")
    child = replace(
        made(TABLE, "store-orders"),
        urn=f"urn:pulumi:prod::shop::shop:index:Store${TABLE}::store-orders",
        parent=new.urn,
    )
    (told,) = findings("shop", "prod", (replace(new, aliases=(old.urn,)), child), tmp_path)
    assert told.startswith("store-orders: release 1.0.0 has it")
    released(tmp_path, old, made(TABLE, "a-orders", within=old.urn))
    assert findings("shop", "prod", (replace(new, aliases=(old.urn,)), child), tmp_path) == []


def test_what_belongs_to_others_or_holds_nothing_is_in_no_release(tmp_path: Path) -> None:
    theirs = made(QUEUE, "theirs", external=True)
    role = made("aws:iam/role:Role", "worker")
    sqs = made("aws:sns/topicSubscription:TopicSubscription", "queue", inputs={"protocol": "sqs"})
    email = made("aws:sns/topicSubscription:TopicSubscription", "desk", inputs={"protocol": "email"})
    polled = made("aws:lambda/eventSourceMapping:EventSourceMapping", "polled")
    stream = made("aws:lambda/eventSourceMapping:EventSourceMapping", "stream", inputs={"startingPosition": "LATEST"})
    release = Release.of(
        Recording(project="shop", stack="prod", resources=(theirs, role, sqs, email, polled, stream)), "1.0.0"
    )
    assert [each.name for each in release.kept] == ["stream", "desk"]


def test_what_pulumi_only_forgets_is_not_lost(tmp_path: Path) -> None:
    released(tmp_path, made(TABLE, "orders", retain_on_delete=True))
    assert findings("shop", "prod", (), tmp_path) == []


def test_a_release_reads_as_it_was_written_and_the_newest_by_number_counts(tmp_path: Path) -> None:
    for version in ("0.9.0", "0.10.0"):
        released(tmp_path, made(QUEUE, f"queue-{version}", aliases=("urn:b", "urn:a")), version=version)
    (tmp_path / "notes").mkdir()
    found = Release.last(tmp_path, "prod")
    assert found
    assert found.version == "0.10.0"
    assert [(each.name, each.aliases) for each in found.kept] == [("queue-0.10.0", ("urn:a", "urn:b"))]
    assert Release.read(tmp_path / "0.10.0/prod.json") == found
    assert Release.last(tmp_path, "dev") is None
    assert versions(tmp_path) == ("0.9.0", "0.10.0")


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"kept": [{"colour": "red"}]}', '{"kept": 1}'])
def test_a_file_that_is_no_release_is_refused_by_name(tmp_path: Path, text: str) -> None:
    file = tmp_path / "1.0.0/prod.json"
    file.parent.mkdir()
    file.write_text(text)
    with pytest.raises(ToolkitError, match=r"prod\.json: not what a release has") as refused:
        Release.last(tmp_path, "prod")
    assert "from its tag" in refused.value.remedy


# Cutting a release


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A program that is ready to be released as 1.1.0."""
    released(tmp_path / FOLDER, made(QUEUE, "orders"))
    (tmp_path / "pyproject.toml").write_text('[project]\nversion = "1.1.0"\n')
    (tmp_path / "CHANGELOG.md").write_text("# Changelog\n\n## [1.1.0] - 2026-11-23\n\n- A table.\n")
    subprocess.run(["git", "init", "--quiet", str(tmp_path)], check=True)
    who = ("-c", "user.name=ann", "-c", "user.email=ann@example.com")
    subprocess.run(["git", "-C", str(tmp_path), "add", "."], check=True)
    subprocess.run(["git", "-C", str(tmp_path), *who, "commit", "--quiet", "--message", "Ready"], check=True)
    return tmp_path


@pytest.mark.parametrize("version", ["", "1", "1.1", "v1.1.0", "1.1.0-rc.1", "01.1.0", "1.1.0\n"])
def test_a_version_that_is_not_one_is_refused(version: str, tree: Path) -> None:
    with pytest.raises(ToolkitError, match=r"is not MAJOR\.MINOR\.PATCH"):
        list(unready(version, tree))


@pytest.mark.parametrize(
    ("version", "file", "text", "fault"),
    [
        ("1.0.0", "pyproject.toml", "", "1.0.0 is not newer than the last release, 1.0.0"),
        ("0.9.0", "pyproject.toml", "", "0.9.0 is not newer than the last release, 1.0.0"),
        ("1.1.0", "pyproject.toml", '[project]\nversion = "1.0.0"\n', "pyproject.toml says version '1.0.0': set it to"),
        ("1.1.0", "CHANGELOG.md", "## [Unreleased]\n\n## [1.1.0]\n", 'no section "## [1.1.0] - YEAR-MONTH-DAY"'),
        ("1.1.0", "CHANGELOG.md", "## [1x1y0] - 2026-11-23\n", "no section"),
        ("1.1.0", "new.py", "", "not committed: new.py; commit it first"),
    ],
)
def test_a_tree_that_is_not_ready_is_refused_with_what_to_do(
    version: str, file: str, text: str, fault: str, tree: Path
) -> None:
    (tree / file).write_text(text or (tree / file).read_text() if (tree / file).exists() else text)
    told = "\n".join(unready(version, tree))
    assert fault in told


def test_every_reason_is_told_at_once_and_nothing_is_written(tree: Path) -> None:
    (tree / "CHANGELOG.md").write_text("")
    with pytest.raises(ToolkitError) as refused:
        cut("1.0.0", tree)
    assert str(refused.value).count("\n- ") == 4
    assert versions(tree / FOLDER) == ("1.0.0",)


def test_without_git_nobody_knows_what_is_released(tree: Path, tmp_path: Path) -> None:
    (tree / ".git").rename(tree / "git")
    assert "git does not know the tree" in "\n".join(unready("1.1.0", tree))


def test_a_release_is_written_and_what_is_next_is_said(tree: Path) -> None:
    assert list(unready("1.1.0", tree)) == []
    said: list[str] = []
    cut("1.1.0", tree, ["prod"], lambda _, stack: recording(stack), said.append)
    release = Release.last(tree / FOLDER, "prod")
    assert release
    assert release.version == "1.1.0"
    assert {each.name for each in release.kept} >= {"mailroom-EmailDeliveries", "mailroom-control"}
    assert said[0] == f"releases/1.1.0/prod.json: {len(release.kept)} resources of prod hold data"
    assert "git tag --annotate v1.1.0" in said[-1]
    assert [fate for fate in fates(release, recording("prod").resources) if fate.changes or not fate.now] == []


def test_a_stack_that_would_lose_data_is_not_released(tree: Path) -> None:
    full = recording("prod")
    left = replace(full, resources=tuple(each for each in full.resources if each.name != "mailroom-control"))
    with pytest.raises(ToolkitError, match="stack prod does not pass the policies") as refused:
        cut("1.1.0", tree, ["prod"], lambda _, stack: left)
    assert "Table mailroom-control: release" in str(refused.value)
    assert versions(tree / FOLDER) == ("1.0.0",)


@pytest.mark.parametrize("arguments", [[], [""], ["1.0.0", "1.1.0"], ["one"]])
def test_the_command_says_how_it_is_called(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    told = capsys.readouterr().err
    assert told.startswith("error: ")
    assert "VERSION=0.2.0" in told or "1.4.0" in told


# The page


def snippets(language: str) -> list[str]:
    page = (ROOT / "docs/upgrading.md").read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)


def run(code: str, within: Callable[[str], object]) -> Recording:
    """What a snippet registers in project mailroom, stack prod."""
    recorder = Recorder(config={"aws:region": "us-east-1"})
    monitor = RecordingMonitor(recorder)
    pulumi.runtime.set_mocks(recorder, project="mailroom", stack="prod", preview=False, monitor=monitor)
    pulumi.runtime.test(lambda: within(code))()  # type: ignore[no-untyped-call]
    return Recording(project="mailroom", stack="prod", resources=tuple(recorder.resources))


def test_the_renames_that_the_page_shows_keep_what_was_released() -> None:
    release = Release.last(RELEASES, "prod")
    assert release
    resource, component = snippets("python")

    def in_intake(code: str) -> None:
        intake = pulumi.ComponentResource("mailroom:index:OrderIntake", "mailroom")
        exec(code, {"aws": pulumi_aws, "pulumi": pulumi, "self": intake, "name": "mailroom"})

    def in_program(code: str) -> None:
        names = {"provider": None, "settings": SimpleNamespace(protect_data=True), "NAME": "mailroom"}
        exec(code, {"pulumi": pulumi, "DeliveryLedger": DeliveryLedger, **names})

    for code, within, was, now in (
        (resource, in_intake, "mailroom-quarantine", "mailroom-put-aside"),
        (component, in_program, "mailroom-EmailDeliveries", "letters-EmailDeliveries"),
    ):
        (fate,) = [each for each in fates(release, run(code, within).resources) if each.was.name == was]
        assert (fate.now and fate.now.name, fate.changes) == (now, ())
        bare = re.sub(r"(, )?aliases=\[.*?\)\]", "", code)
        (fate,) = [each for each in fates(release, run(bare, within).resources) if each.was.name == was]
        assert fate.now is None, "without the alias it is another one"


def test_the_waiver_that_the_page_shows_is_one_and_covers_what_it_says() -> None:
    (text,) = snippets("yaml")
    (waiver,) = waivers(text, RULES, date(2026, 11, 23), "docs/upgrading.md")
    left = tuple(each for each in recording("prod").resources if f"{each.kind} {each.name}" != waiver.resource)
    stack = Stack("mailroom", "prod", left, today=date(2026, 11, 23))
    assert [each.resource for each in judge_stack(stack, [data_kept], {}).findings] == [waiver.resource]
    verdict = judge_stack(stack, [data_kept], {}, [waiver])
    assert not verdict.findings
    assert [each.waiver for each in verdict.waived] == [waiver]
    assert judge_stack(replace(stack, today=date(2027, 1, 1)), [data_kept], {}, [waiver]).fails
