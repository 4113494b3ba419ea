"""Nodes and edges of a program, from what it registers.

An edge is a property that names another resource (`links.LINKS`), or a permission of the role that something runs by
(`review.iam.grants`). A permission on a pattern, such as `arn:aws:s3:::*`, is not drawn.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from observability.diagrams import links
from observability.diagrams.links import KINDS, LINKS, Kind, Way
from observability.program.resources import Recording, Resource
from observability.review.iam import grants


@dataclass(frozen=True, slots=True, order=True)
class Node:
    """One resource, or several that are alike.

    Attributes:
        id: unique and stable, in letters that Mermaid takes.
        names: logical names, sorted.
        group: the outermost component that it is in; "" for none.
        detail: what tells it from others of its type, such as a schedule's rate; "" for nothing.
    """

    group: str
    id: str
    type: str
    names: tuple[str, ...]
    detail: str = ""

    @property
    def kind(self) -> Kind:
        return KINDS[self.type]


@dataclass(frozen=True, slots=True, order=True)
class Edge:
    """From one node's id to another's."""

    source: str
    target: str
    way: Way
    label: str = ""


@dataclass(frozen=True, slots=True)
class Graph:
    """Nodes and edges, sorted."""

    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]

    def node(self, id_: str) -> Node:
        return next(each for each in self.nodes if each.id == id_)


def graph_of(recording: Recording) -> Graph:
    """What of a program is a node, and how these are joined."""
    known = _Known(recording)
    linked = {edge for resource in recording.resources for edge in _linked(resource, known)}
    linked |= {edge for resource in recording.all(links.COMPOSITE) for edge in _combined(resource, known)}
    return Graph(tuple(sorted(known.nodes.values())), tuple(sorted(linked | set(_allowed(recording, known, linked)))))


def outermost(recording: Recording) -> dict[str, Resource]:
    """By URN: the component that a resource is in, or that it is, and that is in none itself."""
    by_urn = {each.urn: each for each in recording.resources}
    found: dict[str, Resource] = {}
    for resource in recording.resources:
        at: Resource | None = resource
        while at is not None:
            if not at.custom:
                found[resource.urn] = at
            at = by_urn.get(at.parent)
    return found


def groups(recording: Recording) -> dict[str, str]:
    """What the outermost component of each resource is called: its class, and its name where there are several."""
    components = outermost(recording)
    of_class: defaultdict[str, set[str]] = defaultdict(set)
    for component in components.values():
        of_class[component.kind].add(component.name)
    return {
        urn: component.kind if len(of_class[component.kind]) == 1 else f"{component.kind} {component.name}"
        for urn, component in components.items()
    }


class _Known:
    """The nodes of a program, and all that they are known by."""

    def __init__(self, recording: Recording) -> None:
        self.nodes: dict[str, Node] = {}
        self._names: dict[tuple[str, str], Node] = {}
        self._arns: dict[str, Node] = {}
        self._labels: dict[str, Node] = {}
        group = groups(recording)
        for resource in recording.resources:
            if resource.type in KINDS and resource.custom:
                self._add(resource, group.get(resource.urn, ""))
        for resource in recording.resources:
            if (part := links.PARTS.get(resource.type)) and (node := self.named(resource.inputs.get(part), part)):
                self._labels[f"{resource.kind} {resource.name}"] = node

    def _add(self, resource: Resource, group: str) -> None:
        id_ = re.sub(r"\W", "_", f"{resource.kind}_{resource.name}")
        detail = str(resource.inputs.get("scheduleExpression") or "")
        node = Node(group, id_, resource.type, (resource.name,), detail)
        self.nodes[resource.urn] = node
        self._labels[f"{resource.kind} {resource.name}"] = node
        for name in (resource.id, resource.physical, resource.outputs.get("alarmName")):
            self._names.setdefault((resource.type, str(name)), node)
        for key in ("arn", "executionArn", "url"):
            if isinstance(value := resource.outputs.get(key), str):
                self._arns[value] = node

    def of(self, resource: Resource) -> Node | None:
        return self.nodes.get(resource.urn)

    def named(self, value: Any, key: str) -> Node | None:
        """The node that a property's value names: by its ARN, that of a part of it, or its name."""
        text = str(value)
        for arn in sorted(self._arns, key=len, reverse=True):
            if text == arn or text.startswith((f"{arn}:", f"{arn}/")):
                return self._arns[arn]
        return self._names.get((links.NAMED.get(key, ""), text))

    def alarm(self, name: str) -> Node | None:
        return self._names.get((links.ALARM, name)) or self._names.get((links.COMPOSITE, name))

    def labelled(self, label: str) -> Node | None:
        """The node that `review.iam` calls so, with what may follow, such as `/index/*`."""
        for end in (len(label), label.find("/"), label.find(":")):
            if end > 0 and (node := self._labels.get(label[:end])):
                return node
        return None


def _linked(resource: Resource, known: _Known) -> Iterator[Edge]:
    for link in LINKS.get(resource.type, ()):
        for source in _ends(resource, link.source, known):
            for target in _ends(resource, link.target, known):
                if source != target:
                    yield Edge(source.id, target.id, link.way, link.label)


def _ends(resource: Resource, path: str, known: _Known) -> list[Node]:
    if not path:
        found = [known.of(resource)]
    else:
        key = path.rpartition(".")[2]
        found = [known.named(value, key) for value in _values(resource.inputs, path.split("."))]
    return [node for node in found if node]


def _values(value: Any, path: list[str]) -> Iterator[Any]:
    """What is at a path: of each entry, where there is a list, and within JSON that is given as text."""
    if isinstance(value, list):
        for each in value:
            yield from _values(each, path)
    elif not path:
        yield value
    elif isinstance(value, str):
        try:
            yield from _values(json.loads(value), path)
        except ValueError:
            return
    elif isinstance(value, dict) and path[0] in value:
        yield from _values(value[path[0]], path[1:])


_QUOTED: Final = re.compile(r'"([^"]+)"')


def _combined(resource: Resource, known: _Known) -> Iterator[Edge]:
    """The alarms that the rule of a composite names."""
    composite = known.of(resource)
    for name in _QUOTED.findall(str(resource.inputs.get("alarmRule") or "")):
        if composite and (alarm := known.alarm(name.rpartition(":")[2])):
            yield Edge(alarm.id, composite.id, Way.FLOW)


def _allowed(recording: Recording, known: _Known, linked: Iterable[Edge]) -> Iterator[Edge]:
    """From what runs by a role to what the role allows; nothing that is linked already, and no mere looking at what
    keeps nothing."""
    joined = {frozenset((each.source, each.target)) for each in linked}
    bearers = _bearers(recording, known)
    access: defaultdict[tuple[Node, Node], set[str]] = defaultdict(set)
    for grant in grants(recording):
        target = known.labelled(grant.target)
        if not grant.denied and target and (does := _does(grant.action, target.kind)):
            for source in bearers.get(grant.who, ()):
                access[source, target].add(does)
    for (source, target), does_all in access.items():
        if source == target or (frozenset((source.id, target.id)) in joined and not target.kind.keeps):
            continue
        if links.HANDS in does_all:
            yield Edge(source.id, target.id, Way.FLOW)
        else:
            yield Edge(source.id, target.id, Way.ACCESS, ", ".join(sorted(does_all)))


def _does(action: str, kind: Kind) -> str:
    """What an action does to something of that kind, in a word; "" for what is not drawn."""
    operation = action.partition(":")[2]
    if action.startswith(links.TAKES):
        return ""
    if operation.startswith(links.HANDS_ON):
        return "sends by" if kind.keeps else links.HANDS
    if operation.startswith(links.READS):
        return "reads" if kind.keeps else ""
    return "writes" if kind.keeps else "changes"


def _bearers(recording: Recording, known: _Known) -> dict[str, list[Node]]:
    """By `Role NAME`, as `review.iam` calls who has a permission: what runs by that role."""
    found: defaultdict[str, list[Node]] = defaultdict(list)
    for resource in recording.resources:
        if (key := links.BEARERS.get(resource.type)) and (node := known.of(resource)):
            found[f"Role {str(resource.inputs.get(key)).rpartition('/')[2]}"].append(node)
    return found
