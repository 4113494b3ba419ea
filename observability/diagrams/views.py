"""Cuts a program's graph into pictures that can be read.

A picture is what hands something on to one another, however many steps on. It ends at what keeps things, such as a
table: that is drawn with whoever uses it, but does not join those who do. What a table's stream starts is a picture of
its own. What is alike is drawn once.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Hashable, Mapping
from dataclasses import replace

from observability.diagrams import links
from observability.diagrams.graph import Edge, Graph, Node
from observability.diagrams.links import Way


def flows(graph: Graph) -> list[Graph]:
    """The pictures of a program, the largest first; what nothing leads to or from is in none."""
    nodes = {node.id: node for node in graph.nodes}
    joined: dict[str, str] = {}

    def root(id_: str) -> str:
        while (above := joined.get(id_, id_)) != id_:
            id_ = above
        return id_

    for edge in graph.edges:
        source, target = (_port(nodes[end], edge) for end in (edge.source, edge.target))
        if edge.way is not Way.ACCESS:
            joined[root(source)] = root(target)
    members: defaultdict[str, set[str]] = defaultdict(set)
    shown: defaultdict[str, set[Edge]] = defaultdict(set)
    for edge in graph.edges:
        own = root(_port(nodes[edge.source], edge))
        members[own] |= {edge.source, edge.target}
        shown[own].add(edge)
    found = [
        Graph(tuple(sorted(nodes[each] for each in ids)), tuple(sorted(shown[key]))) for key, ids in members.items()
    ]
    return sorted(found, key=lambda each: (-len(each.nodes), each.nodes))


def _port(node: Node, edge: Edge) -> str:
    """Where an edge touches a node: of what keeps things, a place of each picture's own, and of what it starts one."""
    if not node.kind.keeps:
        return node.id
    return f"{node.id} starts" if edge.source == node.id else f"{node.id} for {edge.source}"


def begins(graph: Graph) -> list[Node]:
    """Where a picture begins: what leads to something, and nothing leads to it."""
    reached = {edge.target for edge in graph.edges}
    starting = {edge.source for edge in graph.edges}
    return [node for node in graph.nodes if node.id in starting - reached]


def merged(graph: Graph) -> Graph:
    """The graph with what is alike as one node: of a type, in one component, and joined in the same ways to nodes that
    are alike again."""
    alike: Mapping[str, Hashable] = {node.id: (node.type, node.group, node.detail) for node in graph.nodes}
    count = 0
    while (classes := len(set(alike.values()))) > count:
        count = classes
        alike = _refined(graph, alike)
    members: defaultdict[Hashable, list[Node]] = defaultdict(list)
    for node in graph.nodes:
        members[alike[node.id]].append(node)
    first = {node.id: nodes[0].id for nodes in members.values() for node in nodes}
    nodes = (replace(each[0], names=tuple(sorted(node.names[0] for node in each))) for each in members.values())
    edges = {replace(edge, source=first[edge.source], target=first[edge.target]) for edge in graph.edges}
    return Graph(tuple(sorted(nodes)), tuple(sorted(edges)))


def _refined(graph: Graph, alike: Mapping[str, Hashable]) -> dict[str, Hashable]:
    """Classes told apart by what their nodes are joined to; numbered, so that they do not grow."""
    joins: defaultdict[str, set[Hashable]] = defaultdict(set)
    for edge in graph.edges:
        joins[edge.source].add(("to", edge.way, edge.label, alike[edge.target]))
        joins[edge.target].add(("from", edge.way, edge.label, alike[edge.source]))
    numbers: dict[Hashable, int] = {}
    return {
        node.id: numbers.setdefault((alike[node.id], frozenset(joins[node.id])), len(numbers)) for node in graph.nodes
    }


def joined_up(graph: Graph) -> Graph:
    """The graph with one edge in place of a way there and a way back: two lines between two nodes are drawn badly."""
    pairs: defaultdict[frozenset[str], list[Edge]] = defaultdict(list)
    for edge in graph.edges:
        pairs[frozenset((edge.source, edge.target))].append(edge)
    return replace(graph, edges=tuple(sorted(edge for edges in pairs.values() for edge in _both(edges))))


def _both(edges: list[Edge]) -> list[Edge]:
    there = [edge for edge in edges if edge.way is Way.FLOW]
    back = [edge for edge in edges if there and edge.source != there[0].source and edge.way is not Way.DEAD]
    if not back:
        return edges
    labels = {edge.label for edge in (there[0], *back)} - {""}
    both = replace(there[0], way=Way.BOTH, label=", ".join(sorted(labels)))
    return [both, *(edge for edge in edges if edge not in (there[0], *back))]


def by_component(graph: Graph) -> Graph:
    """The components as nodes, joined by what one hands on to another, and by what one may change in another; what
    they keep things in, most use, so that it would join them all."""
    nodes = {node.id: node for node in graph.nodes}
    found: set[Edge] = set()
    for edge in graph.edges:
        source, target = nodes[edge.source], nodes[edge.target]
        drawn = edge.way is Way.FLOW or (edge.way is Way.ACCESS and not target.kind.keeps)
        if drawn and source.group != target.group and source.group and target.group:
            found.add(Edge(_id(source.group), _id(target.group), edge.way, edge.label))
    shown = {end for edge in found for end in (edge.source, edge.target)}
    components = {Node("", _id(node.group), links.COMPONENT, (node.group,)) for node in graph.nodes}
    return Graph(tuple(sorted(each for each in components if each.id in shown)), tuple(sorted(found)))


def _id(group: str) -> str:
    return re.sub(r"\W", "_", group)
