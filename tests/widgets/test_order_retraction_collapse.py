"""Nodes that the order retraction plot leaves out, and its graph as a file."""

from __future__ import annotations

import igraph
import numpy as np
import pytest

import netgeom_widgets as ng
from netgeom_widgets.widgets.order_retraction_words import remarks


def bistable(x: np.ndarray) -> np.ndarray:
    """Attracting points at x = -1 and 1, a saddle between them."""
    return np.stack([1.6 * x[:, 0] - 0.6 * x[:, 0] ** 3, 0.4 * x[:, 1]], axis=1)


@pytest.fixture
def plot():
    plot = ng.OrderRetractionPlot(bistable, ([-1.6, -1.3], [1.7, 1.4]), subdivisions=8, padding=True, rule="exact")
    plot.wait(60)
    yield plot
    plot.close()


def test_collapsed_nodes_leave_their_cells_behind(plot, tmp_path):
    before = plot.result
    attractor = int(np.flatnonzero(before.decomposition.heights == 0)[0])
    plot.collapsed = (attractor,)
    plot.wait(60)
    after = plot.result
    assert after.decomposition.n_nodes == before.decomposition.n_nodes - 1
    assert attractor not in after.decomposition.settings["kept"]
    lost = (after.status == 3) & (before.status != 3)
    assert lost.any() and (after.node[lost] == -1).all()
    said = " ".join(remarks(plot._picture))
    assert "1 Morse node of" in said and "reach collapsed Morse nodes alone" in said and "leaves the domain" not in said

    for name, read in (("morse.graphml", igraph.Graph.Read_GraphML), ("morse.dot", None)):
        plot.export_graph(tmp_path / name)
        if read is not None:
            assert sorted(read(str(tmp_path / name)).get_edgelist()) == sorted(after.decomposition.hasse)
        else:
            assert (tmp_path / name).read_text().count("->") == len(after.decomposition.hasse)

    plot.collapsed = ()
    plot.min_cells = 10**6
    plot.wait(60)
    assert plot.result.decomposition.n_nodes == 0 and (plot.result.node == -1).all()
