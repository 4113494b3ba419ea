"""Graphs as Mermaid flowcharts."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from typing import Final

from observability.diagrams.graph import Edge, Graph, Node

NAMED: Final = 4
"""Resources that are named in one node; of more it says how many."""


WIDTH: Final = 400
"""Pixels from which on Mermaid breaks a line; its own 200 break names in two."""


def flowchart(graph: Graph) -> str:
    """A flowchart from top to bottom, which a page has more room for than for its width. Ends without a newline."""
    head = f'%%{{init: {{"flowchart": {{"wrappingWidth": {WIDTH}}}}}}}%%'
    return "\n".join([head, "flowchart TB", *_nodes(graph), *map(_arrow, graph.edges)])


def _nodes(graph: Graph) -> Iterator[str]:
    """Components with several nodes as frames. A frame around a single one pushes lines across others: there it is a
    line in the node."""
    for group, grouped in groupby(graph.nodes, key=lambda node: node.group):
        nodes = list(grouped)
        if group and len(nodes) > 1:
            yield f'    subgraph {"".join(filter(str.isalnum, group))}["{group}"]'
            yield from (f"        {_node(node)}" for node in nodes)
            yield "    end"
        else:
            yield from (f"    {_node(node, group)}" for node in nodes)


def title(node: Node) -> str:
    """What a node is, with how many it stands for."""
    return f"{node.kind.title} × {len(node.names)}" if len(node.names) > 1 else node.kind.title


def _node(node: Node, group: str = "") -> str:
    names = node.names if len(node.names) <= NAMED else ()
    within = f"in {group}" if group else ""
    lines = [each for each in (title(node), *names, node.detail, within) if each]
    return node.id + node.kind.shape.replace("%", "<br/>".join(lines).replace('"', "#quot;"))


def _arrow(edge: Edge) -> str:
    label = f'|"{edge.label}"|' if edge.label else ""
    return f"    {edge.source} {edge.way}{label} {edge.target}"
