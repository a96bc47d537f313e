"""Morse graphs as files: read back by igraph, and DOT by its grammar as far as it is used."""

from __future__ import annotations

import json
import re

import igraph
import pytest

from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.kernels import order_retraction as orr
from tests.kernels import order_retraction_maps as maps


def bistable():
    grid = orr.CubicalGrid([-1.6], [1.7], 8)
    return orr.order_retraction(orr.morse_decomposition(orr.box_images(maps.bistable, grid, padding=True)))


def test_graphml_is_read_back(tmp_path):
    result = bistable()
    found = result.decomposition
    path = tmp_path / "morse.graphml"
    text = orr.to_graphml(result, path)
    assert path.read_text(encoding="utf-8") == text and list(tmp_path.iterdir()) == [path]
    graph = igraph.Graph.Read_GraphML(str(path))
    assert graph.is_directed() and graph.vcount() == found.n_nodes == 7
    assert sorted(graph.get_edgelist()) == sorted(found.hasse)
    assert graph.vs["cells"] == found.sizes.tolist() and graph.vs["level"] == found.heights.tolist()
    assert graph.vs["tile"] == result.tile_sizes.tolist() and graph.vs["number"] == list(range(7))
    assert graph.vs["share"] == [size / 256 for size in found.sizes.tolist()]


def test_of_a_digraph_and_of_nothing(tmp_path):
    found = orr.morse_decomposition_of_graph(*maps.as_csr([{0}, {0, 1}]))
    path = tmp_path / "of_a_digraph.graphml"
    orr.to_graphml(found, path)
    graph = igraph.Graph.Read_GraphML(str(path))
    assert set(graph.vs.attributes()) == {"id", "number", "cells", "level"} and graph.get_edgelist() == [(1, 0)]
    empty = orr.morse_decomposition_of_graph([0, 0], [])
    orr.to_graphml(empty, path)
    assert igraph.Graph.Read_GraphML(str(path)).vcount() == 0
    assert orr.to_dot(empty).startswith("digraph {") and "->" not in orr.to_dot(empty)


def test_dot(tmp_path):
    result = bistable()
    found = result.decomposition
    path = tmp_path / "morse.dot"
    lines = orr.to_dot(result, str(path)).splitlines()
    assert path.read_text().splitlines() == lines and lines[0] == "digraph {" and lines[-1] == "}"
    edges = [tuple(map(int, match.groups())) for line in lines if (match := re.fullmatch(r"  (\d+) -> (\d+);", line))]
    assert edges == found.hasse
    nodes = [line for line in lines if re.fullmatch(r'  \d+ \[label="\d+: \d+ cells?"(, [a-z]+=[\d.e-]+)+\];', line)]
    assert len(nodes) == found.n_nodes and 'label="5: 1 cell"' in " ".join(nodes)
    assert f"tile={result.tile_sizes[0]}" in nodes[0]
    rows = [sorted(map(int, re.findall(r"\d+", line))) for line in lines if "rank=same" in line]
    assert rows == [[0, 1], [2, 3], [4, 5]] and found.heights.tolist() == [0, 0, 1, 1, 2, 2, 3]


def test_conley_indices(tmp_path):
    result = bistable()
    indices = orr.conley_indices(result.decomposition)
    path = tmp_path / "morse.graphml"
    orr.to_graphml(result, path, conley=indices)
    assert igraph.Graph.Read_GraphML(str(path)).vs["conley"] == [", ".join(index) for index in indices]
    assert 'label="0: 3 cells, x-1, 0", number=0' in orr.to_dot(result, conley=indices)
    for odd in ('say "<&>"', "back\\slash"):  # nothing that CMGDB gives, but nothing may break the file either
        orr.to_graphml(result, path, conley=[[odd]] * 7)
        assert igraph.Graph.Read_GraphML(str(path)).vs["conley"] == [odd] * 7
        told = orr.to_dot(result, conley=[[odd]] * 7).splitlines()[3]
        assert json.loads(re.search(r'conley=("(?:[^"\\]|\\.)*")', told)[1]) == odd
    for write in (orr.to_graphml, orr.to_dot):
        with pytest.raises(NetgeomError, match="Conley"):
            write(result, conley=indices[:3])


def test_something_else_is_refused():
    for write in (orr.to_graphml, orr.to_dot):
        with pytest.raises(NetgeomError, match="Morse graph"):
            write([1, 2])
