"""A program's pictures as Markdown: what its components hold, and what hands on to what."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from observability.diagrams.graph import Graph, Node, graph_of, groups
from observability.diagrams.links import Way
from observability.diagrams.mermaid import flowchart, title
from observability.diagrams.views import begins, by_component, flows, joined_up, merged
from observability.program.resources import Recording

BEGINNINGS: Final = 3
"""That a heading names."""

FULL: Final = 2
"""Nodes that a picture of components needs to say anything."""


@dataclass(frozen=True, slots=True)
class Picture:
    """One flowchart.

    Attributes:
        heading: what it is of, in words.
        graph: as it is drawn.
    """

    heading: str
    graph: Graph

    @property
    def within(self) -> frozenset[str]:
        """The logical names of what is in it."""
        return frozenset(name for node in self.graph.nodes for name in node.names)

    def fenced(self) -> str:
        """As a block of Markdown, without a newline at its end."""
        return f"```mermaid\n{flowchart(self.graph)}\n```"


def components(recording: Recording) -> Picture:
    """How the components are joined."""
    return Picture("Components", joined_up(by_component(graph_of(recording))))


def pictures(recording: Recording) -> list[Picture]:
    """Each flow of a program, the largest first."""
    drawn = [joined_up(merged(flow)) for flow in flows(graph_of(recording))]
    return [Picture(_heading(graph), graph) for graph in drawn]


def holdings(recording: Recording, shown: Callable[[str], str] = str) -> str:
    """A table: each component as `shown`, what it holds, and what of others it has permissions on."""
    group = groups(recording)
    held: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for resource in recording.resources:
        if resource.custom and not resource.external and (name := group.get(resource.urn)):
            held[name][resource.kind] += 1
    used = _used(graph_of(recording))
    rows = ["| component | holds | may use |", "|---|---|---|"]
    for name, kinds in sorted(held.items()):
        counts = ", ".join(f"{kind} × {count}" if count > 1 else kind for kind, count in sorted(kinds.items()))
        rows.append(f"| {shown(name)} | {counts} | {', '.join(sorted(used[name]))} |")
    return "\n".join(rows)


def page(recording: Recording) -> str:
    """All of it as one page."""
    drawn = pictures(recording)
    joined = components(recording)
    if len(joined.graph.nodes) >= FULL:
        drawn = [joined, *drawn]
    sections = [f"## {each.heading}\n\n{each.fenced()}" for each in drawn]
    if groups(recording):
        sections.append(f"## What each component holds\n\n{holdings(recording)}")
    return "\n\n".join([f"# {recording.project}, stack {recording.stack}", *sections]) + "\n"


def _used(graph: Graph) -> defaultdict[str, set[str]]:
    """By component: `Ledger (reads)`, for what others keep."""
    nodes = {node.id: node for node in graph.nodes}
    found: defaultdict[str, set[str]] = defaultdict(set)
    for edge in graph.edges:
        user, kept = nodes[edge.source].group, nodes[edge.target].group
        if edge.way is Way.ACCESS and user != kept:
            found[user].add(f"{kept or nodes[edge.target].names[0]} ({edge.label})")
    return found


def _heading(graph: Graph) -> str:
    listed = begins(graph)
    named = [_called(node) for node in listed[:BEGINNINGS]]
    return "From " + ", ".join([*named, *([f"{len(listed) - BEGINNINGS} more"] if len(listed) > BEGINNINGS else [])])


def _called(node: Node) -> str:
    return title(node) if len(node.names) > 1 else f"{node.kind.title} {node.names[0]}"
