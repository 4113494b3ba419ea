"""One stack, as both revisions of a program register it, and everything that is different."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from observability.check import Finding, Severity
from observability.emissions import NOTHING_KNOWN, Emitted
from observability.errors import ToolkitError
from observability.incidents import Incident
from observability.looks import looks
from observability.model import MetricKey
from observability.program import Recording, record
from observability.program.config import read_project
from observability.review.alarms import AlarmChange, Watched, alarm_changes, watched
from observability.review.behaviour import Replayed, best_watched, replayed
from observability.review.costs import Costing, Costs, costs, uncounted
from observability.review.dashboards import DashboardChange, dashboard_changes
from observability.review.findings import Violation, new_findings, violations
from observability.review.iam import Permissions, permissions
from observability.review.resources import Changed, Fate, changes
from observability.review.revisions import Revision
from observability.sources import Estate, estate_of

WORKERS: Final = 2
"""Programs that run at a time."""


@dataclass(frozen=True, slots=True)
class Side:
    """A stack at one revision.

    Attributes:
        recording: None where there is no such stack, or the program fails: `problem` says why.
    """

    recording: Recording | None = None
    estate: Estate = field(default_factory=Estate)
    problem: str = ""
    remedy: str = ""

    @property
    def resources(self) -> int:
        """How many a provider makes."""
        return sum(each.custom and not each.external for each in self.recording.resources) if self.recording else 0


@dataclass(frozen=True, slots=True, kw_only=True)
class StackReview:
    """What is different in one stack.

    Attributes:
        watching: whether it is the stack that the incidents are of.
        replay: None where no alarm is different, or the incidents are of another stack.
        new_metrics: custom metrics that are looked at now and were not, of which no use was counted.
        violations: of the program's own policies that are new; None without such.
    """

    stack: str
    before: Side
    after: Side
    watching: bool = False
    resources: tuple[Changed, ...] = ()
    alarms: tuple[AlarmChange, ...] = ()
    mutes_changed: bool = False
    watched: Watched = field(default_factory=lambda: Watched({}, {}))
    permissions: Permissions = field(default_factory=Permissions)
    dashboards: tuple[DashboardChange, ...] = ()
    costs: Costs | None = None
    new_metrics: tuple[MetricKey, ...] = ()
    findings: tuple[Finding, ...] = ()
    violations: tuple[Violation, ...] | None = None
    replay: Replayed | None = None

    @property
    def failed(self) -> bool:
        """Whether the program fails at a revision."""
        return bool(self.before.problem or self.after.problem)

    @property
    def same(self) -> bool:
        return not (self.failed or self.resources or self.findings or self.violations)

    @property
    def faulty(self) -> bool:
        """Whether something about it has to be mended: a program, an expectation, an alarm, a violation."""
        return bool(
            self.failed
            or (self.replay and self.replay.broken)
            or self.violations
            or any(each.severity is Severity.FAULT for each in self.findings)
        )

    def of(self, fate: Fate) -> tuple[Changed, ...]:
        return tuple(each for each in self.resources if each.fate is fate)


@dataclass(frozen=True, slots=True)
class Inputs:
    """What both revisions are looked at with.

    Attributes:
        settings, answers, python: as `record` takes them.
        emitted: what is known to be emitted; the same for both.
    """

    settings: Mapping[str, str] = field(default_factory=dict)
    answers: Mapping[str, Any] | None = None
    python: Path | None = None
    incidents: Sequence[Incident] = ()
    costing: Costing = field(default_factory=Costing)
    emitted: Emitted = NOTHING_KNOWN


def stacks_of(*revisions: Revision) -> tuple[str, ...]:
    """The stacks that either has; `dev` where there is no stack file at all, as with the Pulumi CLI's default."""
    found: set[str] = set()
    for revision in revisions:
        if (revision.program / "Pulumi.yaml").is_file():
            found |= {*read_project(revision.program).stacks}
    return tuple(sorted(found)) or ("dev",)


def review(before: Revision, after: Revision, stacks: Sequence[str], inputs: Inputs) -> tuple[StackReview, ...]:
    """What is different in each of the stacks."""
    asked = [(revision, name) for name in stacks for revision in (before, after)]
    with ThreadPoolExecutor(WORKERS) as pool:
        sides = [*pool.map(lambda one: _side(one[0], one[1], inputs), asked)]
    pairs = dict(zip(stacks, zip(sides[::2], sides[1::2], strict=True), strict=True))
    # At a revision that fails there are no alarms; the incidents are no less of that stack.
    estates = {name: one.estate if two.problem else two.estate for name, (one, two) in pairs.items()}
    watching = best_watched(inputs.incidents, estates)
    return tuple(
        _compared(name, one, other, inputs, after, watching=name == watching) for name, (one, other) in pairs.items()
    )


def _side(revision: Revision, stack: str, inputs: Inputs) -> Side:
    folder = revision.program
    if not (folder / "Pulumi.yaml").is_file() or ((known := read_project(folder).stacks) and stack not in known):
        return Side()
    try:
        recording = record(folder, stack, inputs.settings, answers=inputs.answers, python=inputs.python)
        recording = _without_paths(recording, folder)
        return Side(recording, estate_of(recording))
    except ToolkitError as error:
        return Side(problem=str(error).replace(str(folder), "."), remedy=error.remedy)


def _without_paths(recording: Recording, folder: Path) -> Recording:
    """The recording, in which the folder that the program happened to run in is `.`."""
    text = json.dumps(recording.document())
    return Recording.read(json.loads(text.replace(json.dumps(str(folder))[1:-1], ".")))


def _compared(
    stack: str, before: Side, after: Side, inputs: Inputs, revision: Revision, *, watching: bool
) -> StackReview:
    if before.problem or after.problem:
        return StackReview(stack=stack, before=before, after=after, watching=watching)
    nothing = Recording(project="", stack=stack, resources=())
    ours, theirs = before.recording or nothing, after.recording or nothing
    alarms = alarm_changes(before.estate, after.estate)
    mutes_changed = before.estate.mutes != after.estate.mutes
    return StackReview(
        stack=stack,
        before=before,
        after=after,
        watching=watching,
        resources=changes(ours, theirs),
        alarms=alarms,
        mutes_changed=mutes_changed,
        watched=watched(before.estate, after.estate),
        permissions=permissions(ours, theirs),
        dashboards=dashboard_changes(before.estate, after.estate),
        costs=costs(ours, theirs, inputs.costing),
        new_metrics=tuple(uncounted(_keys(after.estate) - _keys(before.estate), inputs.costing.usage)),
        findings=new_findings(
            (before.estate, ours) if before.recording else None, (after.estate, theirs), inputs.emitted
        ),
        violations=_new_violations(before, after, revision.program, inputs.python),
        replay=replayed(inputs.incidents, before.estate, after.estate, [each.name for each in alarms])
        if watching and (alarms or mutes_changed) and inputs.incidents
        else None,
    )


def _new_violations(before: Side, after: Side, folder: Path, python: Path | None) -> tuple[Violation, ...] | None:
    """By the policies of the new revision, asked of both."""
    if after.recording is None:
        return None
    now = violations(folder, after.recording, python)
    if not now or before.recording is None:
        return now
    known = {*(violations(folder, before.recording, python) or ())}
    return tuple(each for each in now if each not in known)


def _keys(estate: Estate) -> set[MetricKey]:
    return {look.key for look in looks(estate)}
