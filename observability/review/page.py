"""A review as a page of GitHub's Markdown: what matters most first, long things folded, in words a reviewer uses."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from observability.check import Finding, Severity
from observability.model import MetricKey
from observability.prices import load as price_sheet
from observability.replay import shared_prefix
from observability.review import behaviour
from observability.review.alarms import AlarmChange, Series, in_words
from observability.review.dashboards import DashboardChange, WidgetChange
from observability.review.differences import ABSENT, Edit, is_code, words
from observability.review.iam import Grant, Row, rows
from observability.review.markdown import (
    LONGEST,
    block,
    code,
    enumerated,
    escaped,
    folded,
    listed,
    many,
    shortened,
    table,
    visible,
)
from observability.review.replacement import known
from observability.review.resources import PROVIDER, Changed, Fate
from observability.review.revisions import Revision
from observability.review.stack import StackReview

PLACEHOLDER: Final = "{stack}"
"""Stands for the stack's name, where several stacks are told of at once."""

SHOWN: Final = 8
"""Entries of a list or a table that are shown; the others are folded away."""

INLINE: Final = 2
"""Properties of a resource that are told in its own line; more are a list below it."""

CONTEXT: Final = 24
"""Characters that are shown on either side of the difference of two long texts."""

FEW: Final = 3
"""Broken expectations that are told one by one at the top; of more, how many there are."""

METRIC: Final = "cloudwatch.metric"
"""A custom metric, in the price sheet."""

_TOLD_ELSEWHERE: Final[Mapping[str, str]] = {
    "aws:cloudwatch/metricAlarm:MetricAlarm": "Alarms",
    "aws:cloudwatch/compositeAlarm:CompositeAlarm": "Alarms",
    "aws:cloudwatch/dashboard:Dashboard": "Dashboards",
}
"""Resources that have a section of their own."""

_DENIED: Final = "**denied** "
_WARNING: Final = "⚠️"


@dataclass(frozen=True, slots=True)
class Drawn:
    """A dashboard as pictures: their paths, relative to the page; `problem`: why one is missing."""

    before: str = ""
    after: str = ""
    problem: str = ""


Pictures = Mapping[tuple[str, str], Drawn]
"""By stack and dashboard."""


def page(
    before: Revision, after: Revision, reviews: Sequence[StackReview], pictures: Pictures | None = None, note: str = ""
) -> str:
    """The whole page.

    Args:
        note: what has to be known of the pictures.
    """
    compared = f"{_revision(before)} → {_revision(after)}"
    if all(each.same for each in reviews):
        counts = enumerated([f"{code(each.stack)} ({many(each.after.resources, 'resource')})" for each in reviews])
        return f"No resource changes, {compared}: {counts}.\n" + (f"\n{escaped(before.note)}\n" if before.note else "")
    parts = [f"## What this change does\n\n{compared}"]
    if before.note:
        parts.append(escaped(before.note))
    parts.append(_summary(reviews))
    if first := list(_first(reviews)):
        parts.append("### Look at this first\n\n" + listed(first, most=SHOWN))
    for title, tell in _SECTIONS:
        parts += _section(title, tell, reviews, pictures or {}, note)
        if title == "Permissions":
            parts += [incidents for each in reviews if (incidents := _incidents(each))]
    if any(PLACEHOLDER in part for part in parts):
        parts.append(f"<sub>{PLACEHOLDER} stands for the name of each of the stacks.</sub>")
    parts.append(_footer(reviews))
    return "\n\n".join(part for part in parts if part) + "\n"


# The top


def headline(review: StackReview) -> str:
    """One stack in a line, for a terminal: `3 added, 2 changed; alarms 1 changed; IAM +1; bill 11.77 -> 12.07`."""
    if review.failed:
        return f"{review.stack}: the program fails"
    cells = [re.sub(r"[*`]", "", cell) for cell in _cells(review)]
    labels = ("", "alarms ", "permissions ", "bill ")
    said = [f"{label}{cell}" for label, cell in zip(labels, cells, strict=True) if cell not in {"", "–"}]
    return f"{review.stack}: {'; '.join(said) or 'no change'}"


def _summary(reviews: Sequence[StackReview]) -> str:
    headings = ("stack", "resources", "alarms", "permissions", "USD a month")
    return table(headings, ([code(each.stack), *_cells(each)] for each in reviews))


def _cells(review: StackReview) -> tuple[str, str, str, str]:
    if review.failed:
        sides = [name for name, side in (("before", review.before), ("now", review.after)) if side.problem]
        return (f"{_WARNING} the program fails, {enumerated(sides)}", "", "", "")
    if review.after.recording is None:
        return (f"**the stack is gone**: {many(review.before.resources, 'resource')}", "", "", "")
    new = "new stack: " if review.before.recording is None else ""
    fates = [(fate, len(review.of(fate))) for fate in (Fate.ADDED, Fate.CHANGED, Fate.REPLACED, Fate.REMOVED)]
    told = ", ".join(
        f"**{count:,} {fate}**" if fate in {Fate.REPLACED, Fate.REMOVED} else f"{count:,} {fate}"
        for fate, count in fates
        if count
    )
    return (f"{new}{told or 'no change'}", _alarm_cell(review), _permission_cell(review), _bill_cell(review))


def _alarm_cell(review: StackReview) -> str:
    counts = {
        "new": sum(each.before is None for each in review.alarms),
        "changed": sum(bool(each.edits) for each in review.alarms),
        "gone": sum(each.after is None for each in review.alarms),
    }
    told = ", ".join(f"{count:,} {what}" for what, count in counts.items() if count)
    if broken := _promises_broken(review):
        told += f"; {_WARNING} {many(broken, 'expectation')} broken"
    return told or "–"


def _permission_cell(review: StackReview) -> str:
    gained, lost = (len({(each.who, each.action) for each in of}) for of in _by_effect(review))
    told = ", ".join(f"{sign}{count:,}" for sign, count in (("+", gained), ("−", lost)) if count)
    if not told:
        return "–"
    return f"{told} {'action' if gained + lost == 1 else 'actions'}" + (
        f" {_WARNING}" if review.permissions.alarming else ""
    )


def _by_effect(review: StackReview) -> tuple[list[Grant], list[Grant]]:
    """What somebody may more, and what less: to be denied something is less."""
    gained, lost = review.permissions.gained, review.permissions.lost
    more = [each for each in gained if not each.denied] + [each for each in lost if each.denied]
    return more, [each for each in lost if not each.denied] + [each for each in gained if each.denied]


def _bill_cell(review: StackReview) -> str:
    if review.costs is None:
        return ""
    before, after = review.costs.before.total.month, review.costs.after.total.month
    told = f"{after:,.2f}"
    if review.costs.lines and review.before.recording is not None:
        told = f"{before:,.2f} → {after:,.2f} ({_signed(after - before)})"
    if review.new_metrics:
        told += f", and up to {_signed(_most(review.new_metrics))} for {many(len(review.new_metrics), 'new metric')}"
    return told


def _most(metrics: Sequence[MetricKey]) -> Decimal:
    """USD a month of custom metrics that have points in every hour."""
    return price_sheet()[METRIC].of(Decimal(len(metrics)))


def _signed(usd: Decimal) -> str:
    """At least two digits; four where two would say that nothing is different."""
    digits = 2 if not usd or abs(usd) >= Decimal("0.005") else 4
    return f"{'+' if usd >= 0 else '−'}{abs(usd):,.{digits}f}"


def _first(reviews: Sequence[StackReview]) -> Iterator[str]:
    """What a reviewer must not overlook, each with the stacks it is about, unless it is about all of them."""
    found: defaultdict[str, list[str]] = defaultdict(list)
    for review in reviews:
        for told in _alarming(review):
            found[_generic(told, review.stack)].append(review.stack)
    for told, stacks in found.items():
        where = "" if len(stacks) == len(reviews) else f" ({enumerated([code(stack) for stack in stacks])})"
        yield (told if len(stacks) > 1 else told.replace(PLACEHOLDER, stacks[0])) + where


def _alarming(review: StackReview) -> Iterator[str]:
    for when, side in (("before this change", review.before), ("now", review.after)):
        if side.problem:
            yield f"{_WARNING} the program fails {when}: {escaped(side.problem.splitlines()[0])}"
    yield from (_loss(each) for each in review.resources if each.lost or each.refused)
    yield from (
        f"{_WARNING} {code(each.label)} is no longer protected from being deleted"
        for each in review.of(Fate.CHANGED)
        if any(edit.path == "option protect" and not edit.after for edit in each.edits)
    )
    yield from (f"{_WARNING} {_may(row)}: **{', '.join(row.alarming)}**" for row in rows(review.permissions.alarming))
    yield from _broken(review)
    for finding in review.findings:
        if finding.severity is Severity.FAULT:
            yield f"{_WARNING} {escaped(finding.where)}: {escaped(finding.problem)}"
    for violation in review.violations or ():
        yield f"{_WARNING} policy {code(violation.policy)}: {code(violation.resource)}: {escaped(violation.wrong)}"
    if review.after.recording is not None:
        yield from (f"alarm {code(each.name)} is gone" for each in review.alarms if each.after is None)


def _broken(review: StackReview) -> Iterator[str]:
    """The expectations that this change breaks: each, if they are few; else how many, and of which alarms."""
    broken = review.replay.broken if review.replay else ()
    if len(broken) <= FEW:
        for row in broken:
            told = "; ".join(f"{p.words} ({p.after})" for p in row.promises if p.broken)
            yield f"{_WARNING} incident “{escaped(row.incident)}”: {code(row.alarm)} no longer: {escaped(told)}"
        return
    alarms = Counter(row.alarm for row in broken if row.before or row.after)
    told = ", ".join(f"{code(name)} ({many(count, 'incident')})" for name, count in alarms.most_common(FEW))
    more = f" and {many(len(alarms) - FEW, 'other alarm')}" if len(alarms) > FEW else ""
    incidents = many(len({row.incident for row in broken}), "incident")
    yield f"{_WARNING} **{many(_promises_broken(review), 'expectation')} of {incidents} no longer hold**: {told}{more}"


def _promises_broken(review: StackReview) -> int:
    return sum(each.broken for row in review.replay.rows for each in row.promises) if review.replay else 0


def _loss(changed: Changed) -> str:
    what = f"{_WARNING} {code(changed.label)} is **{changed.fate}**"
    if changed.forced_by:
        what += f" ({enumerated([code(each) for each in changed.forced_by])} cannot be changed in place)"
    if changed.lost:
        what += f": **{changed.lost} will be lost**"
    if changed.refused:
        what += "; it is protected, so Pulumi will refuse"
    return what


# A stack


class _Told:
    """What is told of a stack. `name` stands wherever its name does."""

    def __init__(self, review: StackReview, name: str, pictures: Pictures, note: str) -> None:
        self.review, self.name, self.pictures, self.note = review, name, pictures, note

    # Values go through these, so that the stack's name can be left open in them before they are shortened.

    def code(self, value: str, longest: int = LONGEST) -> str:
        return code(self._open(value), longest)

    def text(self, value: str) -> str:
        return escaped(self._open(value))

    def _open(self, value: str) -> str:
        return value if self.name == self.review.stack else _generic(value, self.review.stack)

    def failure(self) -> str:
        if not self.review.failed:
            return ""
        parts = []
        for when, side in (("Before this change", self.review.before), ("Now", self.review.after)):
            if side.problem:
                said = f"{when} the program fails:\n\n{block(self._open(side.problem))}"
                parts.append(said + (f"\n\n{self.text(side.remedy)}" if side.remedy else ""))
            elif side.recording is not None:
                alarms, boards = many(len(side.estate.alarms), "alarm"), many(len(side.estate.dashboards), "dashboard")
                resources = many(side.resources, "resource")
                parts.append(f"{when} it registers {resources}, among them {alarms} and {boards}.")
            else:
                parts.append(f"{when} there is no such stack.")
        return "\n\n".join(parts)

    def alarms(self) -> str:
        if not self.review.alarms and not self.review.mutes_changed:
            return ""
        alike: defaultdict[tuple[tuple[str, ...], ...], list[str]] = defaultdict(list)
        for each in self.review.alarms:
            alike[tuple(self._alarm(each))].append(self.code(each.name))
        lines = [
            ("" if place else "<br>".join(names), *line)
            for told, names in alike.items()
            for place, line in enumerate(told)
        ]
        parts = [_long_table(("alarm", "what", "before", "now"), lines)] if lines else []
        if self.review.mutes_changed:
            parts.append("The rules by which alarms are muted are different; see the resources.")
        return "\n\n".join(parts)

    def _alarm(self, changed: AlarmChange) -> Iterator[tuple[str, ...]]:
        """What is different about an alarm: what, before, now."""
        if changed.before is None and changed.after is not None:
            yield "**new**", "", self.text(in_words(changed.after))
        if changed.after is None and changed.before is not None:
            yield "**gone**", self.text(in_words(changed.before)), ""
        for edit in changed.edits:
            yield escaped(edit.path), *self._pair(edit)

    def _pair(self, edit: Edit) -> tuple[str, str]:
        before, after = _difference(self._open(words(edit.before)), self._open(words(edit.after)))
        return ("" if edit.before is ABSENT else code(before), "" if edit.after is ABSENT else code(after))

    def permissions(self) -> str:
        found = self.review.permissions
        if not found.gained and not found.lost:
            return ""
        parts = []
        if found.gained:
            parts.append(self._grants(found.gained, "now may"))
        if found.lost:
            told = self._grants(found.lost, "no longer may")
            parts.append(
                told if not found.gained else folded(f"{many(len(rows(found.lost)), 'row')} of what is lost", told)
            )
        return "\n\n".join(parts)

    def _grants(self, grants: Sequence[Grant], may: str) -> str:
        lines = [
            (
                ("⚠️ " if row.alarming else "") + self.code(row.who),
                (_DENIED if row.denied else "") + ", ".join(self.code(each) for each in row.actions),
                ", ".join(self.code(each) for each in row.targets),
                self.code(row.condition) if row.condition else "",
            )
            for row in rows(grants)
        ]
        width = 4 if any(condition for *_, condition in lines) else 3
        return _long_table(("who", may, "on", "if")[:width], [line[:width] for line in lines])

    def watched(self) -> str:
        found = self.review.watched
        lines = [self._series(each, found.former(each), places) for each, places in found.new.items()]
        kept = {(each.namespace, each.name) for each in found.new}
        lines += [
            f"{self._named(each)} is no longer looked at (was in {self._places(places)})"
            for each, places in found.gone.items()
            if (each.namespace, each.name) not in kept
        ]
        return listed(lines, most=SHOWN)

    def _series(self, series: Series, former: Sequence[Series], places: Sequence[str]) -> str:
        if not former:
            return f"{self._named(series)} is new, in {self._places(places)}"
        was = enumerated([_dimensions(each) for each in former], "or")
        return (
            f"{code(f'{series.namespace} {series.name}')} by {_dimensions(series)}, was by {was}, in"
            f" {self._places(places)}: to CloudWatch that is another metric, without the points of the old one"
        )

    def _named(self, series: Series) -> str:
        return f"{code(f'{series.namespace} {series.name}')} by {_dimensions(series)}"

    def _places(self, places: Sequence[str]) -> str:
        shown = [self.text(each) for each in places[:3]]
        return ", ".join(shown) + (f" and {len(places) - 3} more" if len(places) > 3 else "")

    def findings(self) -> str:
        lines = [self._finding(each) for each in self.review.findings]
        lines += [
            f"policy {self.code(each.policy)} ({each.level}): {self.code(each.resource)}: {self.text(each.message)}"
            for each in self.review.violations or ()
        ]
        return listed(lines, most=SHOWN)

    def _finding(self, finding: Finding) -> str:
        looks = f", which looks at {self.code(finding.what)}" if finding.what else ""
        sign = f"{_WARNING} " if finding.severity is Severity.FAULT else ""
        remedy = f" {self.text(finding.remedy)}" if finding.remedy else ""
        return f"{sign}{self.text(finding.where)}{looks}: {self.text(finding.problem)}{remedy}"

    # Resources

    def resources(self) -> str:
        parts = []
        for fate in Fate:
            if found := self.review.of(fate):
                lines = list(self._of_fate(found))
                body = listed(lines)
                heading = f"**{many(len(found), 'resource')} {fate}**"
                open_ = fate in {Fate.REMOVED, Fate.REPLACED} and len(lines) <= SHOWN
                parts.append(f"{heading}\n\n{body}" if open_ else folded(heading, body))
        return "\n\n".join(parts)

    def _of_fate(self, found: Sequence[Changed]) -> Iterator[str]:
        """A line for each way in which resources of a kind change."""
        alike: defaultdict[str, list[Changed]] = defaultdict(list)
        for each in found:
            alike[self._change(each)].append(each)
        for change, same in alike.items():
            names = ", ".join(self.code(each.label) for each in same[:SHOWN])
            more = f" and {len(same) - SHOWN} more" if len(same) > SHOWN else ""
            yield f"{names}{more}{change}"

    def _change(self, changed: Changed) -> str:
        """What follows the names of the resources that change so."""
        told: list[str] = []
        if changed.formerly:
            told.append(f"was {self.code(changed.formerly)}, and is the same by an alias")
        if changed.forced_by:
            told.append(f"forced by {enumerated([self.code(each) for each in changed.forced_by])}")
        if changed.follows:
            told.append(f"follows {enumerated([self.code(each) for each in changed.follows])}, which is replaced")
        if changed.lost:
            told.append(f"**{changed.lost} will be lost**")
        if changed.fate is Fate.REMOVED and changed.before and changed.before.retain_on_delete:
            told.append("stays in the account (`retainOnDelete`)")
        if changed.fate is Fate.ADDED and changed.after and changed.after.protect:
            told.append("protected")
        if changed.refused:
            told.append("protected: Pulumi will refuse")
        if changed.fate is Fate.CHANGED and changed.edits and not _settled(changed):
            told.append("in place or not: of this type it is not known")
        if (section := _TOLD_ELSEWHERE.get(changed.resource.type)) and changed.edits:
            told.append(f"see {section}")
            edits: list[str] = []
        else:
            edits = [self._edit(each) for each in changed.edits if not _told_as_permission(each)]
            if len(edits) < len(changed.edits):
                told.append("see Permissions")
        if len(edits) <= INLINE:
            told += edits
            edits = []
        head = ": " + "; ".join(told) if told else ":" if edits else ""
        return head + ("\n" + listed(edits, most=None, indent=2) if edits else "")

    def _edit(self, edit: Edit) -> str:
        path = self.code(edit.path)
        if is_code(edit.before) and is_code(edit.after):
            return f"{path} changed ({edit.before['sha256'][:8]} → {edit.after['sha256'][:8]})"
        before, after = self._pair(edit)
        if edit.before is ABSENT:
            return f"{path} added: {after}"
        if edit.after is ABSENT:
            return f"{path} removed: {before}"
        return f"{path} {before} → {after}"

    # Money

    def bill(self) -> str:
        costs = self.review.costs
        if costs is None or not (costs.lines or costs.unknown or self.review.new_metrics):
            return ""
        parts = []
        if costs.lines:
            lines = [
                (
                    self.code(each.resource),
                    escaped(each.price),
                    f"{each.before:,.2f}",
                    f"{each.after:,.2f}",
                    _signed(each.more),
                )
                for each in costs.lines
            ]
            parts.append(table(("resource", "price", "before", "now", "USD a month"), lines, right=(2, 3, 4)))
        if self.review.new_metrics:
            price, count = price_sheet()[METRIC], len(self.review.new_metrics)
            names = ", ".join(self.code(str(key)) for key in self.review.new_metrics[:3])
            more = f" and {count - 3} more" if count > 3 else ""
            parts.append(
                f"Not in it: {many(count, 'custom metric')} of which no use was counted ({names}{more}),"
                f" {price.each:,.2f} USD each in a month with points in every hour:"
                f" up to **{_signed(_most(self.review.new_metrics))}**."
            )
        if costs.unknown:
            parts.append(
                listed((f"not priced: {self.code(what)}: {self.text(why)}" for what, why in costs.unknown), most=SHOWN)
            )
        usage = (
            f"use as counted on {escaped(costs.after.counted)}, the same for both"
            if costs.after.counted
            else "no use was counted, so that what is paid by use is missing"
        )
        parts.append(f"Plan {costs.after.plan}; {usage}.")
        told = f"**{_signed(costs.more)} USD a month** with {many(costs.after.volume, 'email')}"
        if self.review.new_metrics:
            metrics = many(len(self.review.new_metrics), "new metric")
            told += f", and up to **{_signed(_most(self.review.new_metrics))}** for {metrics}"
        return folded(told, "\n\n".join(parts))

    # Dashboards

    def dashboards(self) -> str:
        parts = [self._dashboard(each) for each in self.review.dashboards]
        if self.note and any(stack == self.review.stack for stack, _ in self.pictures):
            parts.append(escaped(self.note))
        return "\n\n".join(parts)

    def _dashboard(self, changed: DashboardChange) -> str:
        body: list[str] = []
        if changed.problem:
            body.append(f"It cannot be read: {self.text(changed.problem)}")
        lines = [self._widget(each) for each in changed.widgets] + [self._edit(each) for each in changed.edits]
        if lines:
            body.append(listed(lines, most=SHOWN * 2))
        elif not changed.problem and changed.before and changed.after:
            body.append("Widgets have moved.")
        if drawn := self.pictures.get((self.review.stack, changed.name)):
            body += [
                f"**{when}**\n\n![{self.text(changed.name)}, {when}]({path})"
                for when, path in (("before", drawn.before), ("now", drawn.after))
                if path
            ]
            if drawn.problem:
                body.append(f"It cannot be drawn: {self.text(drawn.problem)}")
        counts = defaultdict[str, int](int)
        for each in changed.widgets:
            counts[each.what] += 1
        told = ", ".join(f"{many(count, 'widget')} {what}" for what, count in sorted(counts.items()))
        summary = f"{self.code(changed.name)} {changed.what}{': ' + told if told else ''}"
        return folded(summary, "\n\n".join(body)) if body else summary

    def _widget(self, changed: WidgetChange) -> str:
        head = f"{self.text(changed.title)} ({escaped(changed.kind)}) {changed.what}"
        edits = [self._edit(each) for each in changed.edits]
        return f"{head}: {'; '.join(edits[:SHOWN])}" + (f" and {len(edits) - SHOWN} more" if len(edits) > SHOWN else "")


_SECTIONS: Final[Sequence[tuple[str, Callable[[_Told], str]]]] = (
    ("The program fails", _Told.failure),
    ("Alarms", _Told.alarms),
    ("What is looked at", _Told.watched),
    ("Permissions", _Told.permissions),
    ("New findings", _Told.findings),
    ("Resources", _Told.resources),
    ("Bill", _Told.bill),
    ("Dashboards", _Told.dashboards),
)


def _section(
    title: str, tell: Callable[[_Told], str], reviews: Sequence[StackReview], pictures: Pictures, note: str
) -> list[str]:
    """A section, in which stacks of which the same is to be said are told of once; all but the first are folded."""
    by_stack = {each.stack: each for each in reviews}
    groups: defaultdict[str, list[str]] = defaultdict(list)
    for each in reviews:
        if told := tell(_Told(each, PLACEHOLDER, {}, "")):
            groups[told].append(each.stack)
    if not groups:
        return []
    parts = [f"### {title}"]
    drawn = {stack for stack, _ in pictures}
    order = sorted(groups.items(), key=lambda item: (drawn.isdisjoint(item[1]), -len(item[0])))
    for place, (_, stacks) in enumerate(order):
        example = next((stack for stack in stacks if stack in drawn), stacks[0])
        told = tell(_Told(by_stack[example], example if len(stacks) == 1 else PLACEHOLDER, pictures, note))
        named = enumerated([code(stack) for stack in stacks])
        if len(stacks) == len(reviews):
            parts.append(told)
        else:
            parts.append(folded(named, told) if place else f"**{named}**\n\n{told}")
    return parts


# Incidents


def _incidents(review: StackReview) -> str:
    """How the incidents behave, which is told of one stack only."""
    replay = review.replay
    if replay is None:
        return ""
    broken = sum(each.broken for row in replay.rows for each in row.promises)
    mended = sum(each.mended for row in replay.rows for each in row.promises)
    rest = replay.promises - broken - mended - replay.failing
    told = [
        text
        for count, text in (
            (broken, f"{_WARNING} **{broken} broken by this change**"),
            (mended, f"{mended} mended"),
            (replay.failing, f"{replay.failing} broken before and now"),
            (rest, f"{rest} as before"),
        )
        if count
    ]
    counted = f"{many(replay.incidents, 'incident')} replayed on {code(review.stack)}"
    promises = f"{many(replay.promises, 'expectation')}: {', '.join(told) or 'none'}"
    parts = ["### Incidents", f"{counted}, {promises}."]
    prefix = shared_prefix([*review.before.estate.alarms, *review.after.estate.alarms])

    def short(words: str) -> str:
        return words.replace(prefix, "") if prefix else words

    if replay.rows:
        lines = [
            (
                escaped(row.incident),
                code(short(row.alarm)),
                behaviour.in_words(row.before) if row.before or row.after else "",
                behaviour.in_words(row.after) if row.before or row.after else "",
                escaped(short(_promised(row.promises))),
            )
            for row in replay.rows
        ]
        parts.append(_long_table(("incident", "alarm", "before", "now", "expected"), lines, SHOWN // 2))
    if replay.unasked:
        names = enumerated([code(short(name)) for name in replay.unasked[:SHOWN]])
        more = f" and {len(replay.unasked) - SHOWN} more" if len(replay.unasked) > SHOWN else ""
        parts.append(f"No incident says what is expected of {names}{more}.")
    if replay.skipped:
        unplayed = [f"{escaped(title)}: {escaped(why)}" for title, why in replay.skipped]
        parts.append("Could not be replayed:\n\n" + listed(unplayed, most=SHOWN))
    return "\n\n".join(parts)


def _promised(promises: Sequence[behaviour.Promise]) -> str:
    """What this change breaks or mends; what still holds, where it does neither."""
    told = [f"{_WARNING} no longer: {each.words}" for each in promises if each.broken]
    told += [f"now: {each.words}" for each in promises if each.mended]
    if not told:
        told = [f"still not: {each.words}" if each.after else f"still: {each.words}" for each in promises]
    return "; ".join(told)


# Words


def _revision(revision: Revision) -> str:
    return f"{code(revision.name)} ({revision.commit})" if revision.commit else escaped(revision.name)


def _long_table(headings: Sequence[str], lines: Sequence[Sequence[str]], most: int = SHOWN) -> str:
    """A table, of which what is beyond the first lines is folded away."""
    if len(lines) <= most + 2:
        return table(headings, lines)
    # What goes on with the line above it, which its first cell leaves empty, stays with it.
    cut = next((place for place in range(most, len(lines)) if lines[place][0]), len(lines))
    if cut == len(lines):
        return table(headings, lines)
    return f"{table(headings, lines[:cut])}\n\n{folded(f'{len(lines) - cut} more', table(headings, lines[cut:]))}"


def _dimensions(series: Series) -> str:
    return code(", ".join(series.dimensions)) if series.dimensions else "no dimension"


def _may(row: Row) -> str:
    condition = f" if {code(row.condition)}" if row.condition else ""
    return (
        f"{code(row.who)} now may {enumerated([code(each) for each in row.actions[:SHOWN]])}"
        f" on {enumerated([code(each) for each in row.targets[:SHOWN]])}{condition}"
    )


def _generic(value: str, stack: str) -> str:
    """A text in which the stack's name is left open."""
    return re.sub(rf"(?<![A-Za-z0-9]){re.escape(stack)}(?![A-Za-z0-9])", lambda _: PLACEHOLDER, value)


def _settled(changed: Changed) -> bool:
    """Whether it is known that the change is made in place."""
    type_ = changed.resource.type
    return type_.startswith(PROVIDER) or known(type_) or all(each.path.startswith("option ") for each in changed.edits)


def _told_as_permission(edit: Edit) -> bool:
    return ".Statement" in edit.path or edit.path.startswith(("inlinePolicies", "managedPolicyArns"))


def _difference(before: str, after: str) -> tuple[str, str]:
    """Two texts; of long ones, what is different, with a little on either side."""
    before, after = visible(before), visible(after)
    if max(len(before), len(after)) <= LONGEST:
        return before, after
    start = next(
        (at for at, pair in enumerate(zip(before, after, strict=False)) if pair[0] != pair[1]),
        min(len(before), len(after)),
    )
    backwards = zip(reversed(before[start:]), reversed(after[start:]), strict=False)
    end = next((at for at, pair in enumerate(backwards) if pair[0] != pair[1]), min(len(before), len(after)) - start)
    return _around(before, start, len(before) - end), _around(after, start, len(after) - end)


def _around(text: str, start: int, end: int) -> str:
    first, last = max(0, start - CONTEXT), min(len(text), end + CONTEXT)
    cut = shortened(text[first:last], LONGEST * 2)
    return ("… " if first else "") + cut + (" …" if last < len(text) else "")


def _footer(reviews: Iterable[StackReview]) -> str:
    notes = sorted({note for each in reviews if each.after.recording for note in each.after.recording.notes})
    told = "Compared as the program registers it, with neither provider nor account: what a provider adds is not in it."
    return f"<sub>{told}</sub>" + "".join(f"\n\n<sub>Not seen: {escaped(note)}.</sub>" for note in notes)
