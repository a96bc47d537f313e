"""Morse graphs as text for other programs: GraphML and DOT."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

from netgeom_widgets._files import write_file
from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.kernels.order_retraction.morse import MorseDecomposition
from netgeom_widgets.kernels.order_retraction.retraction import OrderRetraction

Attributes = dict[str, int | float | str]

_TYPES = {int: "long", float: "double", str: "string"}  # of GraphML


def to_graphml(graph: Any, path: str | Path | None = None, *, conley: Sequence[Sequence[str]] | None = None) -> str:
    """The Morse graph in GraphML (graphml.graphdrawing.org), as networkx, igraph, yEd and Gephi read it.

    Nodes have the attributes ``number``, ``cells`` (of the Morse set), ``level`` (longest chain below), on a grid
    ``share`` (of the domain, that the Morse set takes), of a retraction ``tile`` (cells sent to the node). Edges are
    those of the transitive reduction and go from the upper node to the one that it reaches.

    Parameters
    ----------
    graph : MorseDecomposition or OrderRetraction
    path : str or Path, optional
        File to write as well.
    conley : sequence of k sequences of str, optional
        What `conley_indices` found: becomes the attribute ``conley``, "x-1, 0, 0".

    Returns
    -------
    str

    Raises
    ------
    NetgeomError
        Something else than a Morse graph, or indices of another number of nodes.
    OSError
        The file cannot be written.
    """
    decomposition, nodes = _described(graph, conley)
    kinds = {name: _TYPES[type(value)] for name, value in (nodes[0] if nodes else {}).items()}
    lines = ['<?xml version="1.0" encoding="UTF-8"?>', '<graphml xmlns="http://graphml.graphdrawing.org/xmlns">']
    lines += [f'  <key id="{name}" for="node" attr.name="{name}" attr.type="{kind}"/>' for name, kind in kinds.items()]
    lines.append('  <graph id="morse_graph" edgedefault="directed">')
    for node, attributes in enumerate(nodes):
        data = "".join(f'<data key="{name}">{escape(str(value))}</data>' for name, value in attributes.items())
        lines.append(f'    <node id="{node}">{data}</node>')
    lines += [f'    <edge source="{upper}" target="{lower}"/>' for upper, lower in decomposition.hasse]
    return _written([*lines, "  </graph>", "</graphml>"], path)


def to_dot(graph: Any, path: str | Path | None = None, *, conley: Sequence[Sequence[str]] | None = None) -> str:
    """The Morse graph in DOT (graphviz.org), upper nodes above, nodes of one height in a row.

    Attributes and edges are those of `to_graphml` (``level`` because a ``height`` of DOT is one of the drawing); the
    label of a node is its number, cells and Conley index.

    Parameters
    ----------
    graph : MorseDecomposition or OrderRetraction
    path : str or Path, optional
        File to write as well.
    conley : sequence of k sequences of str, optional
        What `conley_indices` found.

    Returns
    -------
    str

    Raises
    ------
    NetgeomError
        Something else than a Morse graph, or indices of another number of nodes.
    OSError
        The file cannot be written.
    """
    decomposition, nodes = _described(graph, conley)
    lines = ["digraph {", "  rankdir=TB;", "  node [shape=ellipse];"]
    for node, attributes in enumerate(nodes):
        cells = attributes["cells"]
        label = f"{node}: {cells} cell{'' if cells == 1 else 's'}"
        label += f", {attributes['conley']}" if "conley" in attributes else ""
        pairs = [f"{name}={_quoted(value)}" for name, value in {"label": label, **attributes}.items()]
        lines.append(f"  {node} [{', '.join(pairs)}];")
    lines += [f"  {upper} -> {lower};" for upper, lower in decomposition.hasse]
    rows: dict[int, list[str]] = {}
    for node, attributes in enumerate(nodes):
        rows.setdefault(int(attributes["level"]), []).append(str(node))
    lines += [f"  {{ rank=same; {'; '.join(row)}; }}" for row in rows.values() if len(row) > 1]
    return _written([*lines, "}"], path)


def _quoted(value: int | float | str) -> str:
    """A value in DOT's grammar."""
    if not isinstance(value, str):
        return repr(value)
    inside = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{inside}"'


def _described(graph: Any, conley: Sequence[Sequence[str]] | None) -> tuple[MorseDecomposition, list[Attributes]]:
    """The decomposition and what is said about each node."""
    decomposition = graph.decomposition if isinstance(graph, OrderRetraction) else graph
    if not isinstance(decomposition, MorseDecomposition):
        raise NetgeomError(
            "This is no Morse graph",
            expected="a MorseDecomposition or an OrderRetraction",
            got=type(graph).__name__,
        )
    sizes = decomposition.sizes.tolist()
    columns: dict[str, list[Any]] = {
        "number": list(range(decomposition.n_nodes)),
        "cells": sizes,
        "level": decomposition.heights.tolist(),
    }
    if decomposition.grid is not None:
        columns["share"] = [size / decomposition.n_cells for size in sizes]
    if isinstance(graph, OrderRetraction):
        columns["tile"] = graph.tile_sizes.tolist()
    if conley is not None:
        if len(conley) != decomposition.n_nodes:
            raise NetgeomError(
                "These are the Conley indices of another Morse graph",
                expected=f"{decomposition.n_nodes}, one for each node",
                got=f"{len(conley)}",
            )
        columns["conley"] = [", ".join(index) for index in conley]
    rows = zip(*columns.values(), strict=True)
    return decomposition, [dict(zip(columns, row, strict=True)) for row in rows]


def _written(lines: Iterable[str], path: str | Path | None) -> str:
    text = "\n".join(lines) + "\n"
    if path is not None:
        write_file(Path(path), text.encode())
    return text
