"""Nodes matched between grids, and followed over resolutions and confidences."""

from __future__ import annotations

import numpy as np
import pytest

from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.execution import Cancel, Cancelled, Progress
from netgeom_widgets.kernels.order_retraction import (
    CubicalGrid,
    box_images,
    match_nodes,
    morse_decomposition,
    morse_decomposition_of_graph,
    persistence,
)


def leslie(x):
    young, old = x[:, 0], x[:, 1]
    return np.stack([(19.6 * young + 23.68 * old) * np.exp(-0.1 * (young + old)), 0.7 * young], axis=1)


DOMAIN = CubicalGrid([-0.001, -0.001], [90, 70], 0)


def of(subdivisions, map=leslie, grid=DOMAIN):
    return morse_decomposition(box_images(map, grid.refined(subdivisions)))


@pytest.mark.parametrize(("a", "b"), [(9, 13), (13, 10), (12, 12)])
def test_matching_by_common_volume(a, b):
    """Against the definition: centres of the finer cells, looked up in both grids."""
    one, two = of(a), of(b)
    points = DOMAIN.refined(max(a, b)).centres()
    labels = one.label[one.grid.locate(points)], two.label[two.grid.locate(points)]
    for node, match in enumerate(match_nodes(one, two)):
        shared = np.bincount(labels[0][(labels[1] == node) & (labels[0] >= 0)], minlength=one.n_nodes)
        assert match == (shared.argmax() if shared.any() else -1)


def test_tracks_are_what_the_nodes_say():
    found = persistence(leslie, DOMAIN, range(8, 15), z=(0, 0.3, 1.0), std=lambda x: np.ones(len(x)))
    assert [n for n, _ in found.levels] == [*range(8, 15), 14, 14] and found.levels[-1] == (14, 1.0)
    assert found.n_nodes.tolist() == [one.n_nodes for one in found.decompositions]
    assert found.n_nodes.max() > found.n_nodes[-1] and found.stray[0] == 0
    there = found.matrix >= 0
    for track in range(found.n_tracks):  # one stretch each
        assert np.flatnonzero(there[track]).tolist() == list(range(found.birth[track], found.death[track] + 1))
    for level, one in enumerate(found.decompositions):  # every node has one track
        tracks = found.tracks(level)
        assert sorted(tracks) == np.flatnonzero(there[:, level]).tolist()
        assert (found.matrix[tracks, level] == np.arange(one.n_nodes)).all()
        np.testing.assert_allclose(found.volume[tracks, level], one.sizes / one.n_cells)
        if level:
            parents = match_nodes(found.decompositions[level - 1], one)
            before = found.tracks(level - 1)
            for node, track in enumerate(tracks):
                came_from = track if found.birth[track] < level else found.origin[track]
                assert came_from == (before[parents[node]] if parents[node] >= 0 else -1)
    ended = np.flatnonzero((found.death < len(found.levels) - 1) & (found.heir >= 0))
    assert len(ended) and (found.birth[found.heir[ended]] <= found.death[ended] + 1).all()
    table = found.table()
    assert {len(column) for column in table.values()} == {found.n_tracks}
    assert table["last_z"].max() == 1.0 and (table["lifetime"] == there.sum(axis=1)).all()


def test_splits_and_mergers_of_a_line():
    """Fixed points at -0.6, 0 and 0.6: one coarse node, then three, and one again for wide boxes."""

    def line(x):
        return np.clip(3 * x, -0.6, 0.6)

    found = persistence(line, CubicalGrid(-1, 1, 0), [1, 6], z=(0, 1.0), std=lambda x: 0.4 + 0 * x)
    assert found.n_nodes.tolist() == [1, 3, 1] and found.lifetimes.tolist() == [3, 1, 1]
    assert found.origin.tolist() == [-1, 0, 0] and found.heir.tolist() == [-1, 0, 0]


def test_nothing_recurrent_is_a_level_too():
    found = persistence(lambda x: x + 0.5, CubicalGrid(0, 1, 0), [1, 3])
    assert found.n_nodes.tolist() == [2, 0] and found.heir.tolist() == [-1, -1] and found.death.tolist() == [0, 0]
    found = persistence(lambda x: x + 0.6, CubicalGrid(0, 1, 0), [2, 3])
    assert found.n_tracks == 0 and found.matrix.shape == (0, 2) and not found.table()["track"].size


def test_progress_and_cancel():
    seen, stop = [], Cancel()
    persistence(leslie, DOMAIN, [4, 6], progress=Progress(lambda p: seen.append((p.fraction, p.text))))
    assert seen[0] == (0.0, "Morse graph of 2^4 cells") and seen[-1][0] == 1.0
    stop.set()
    with pytest.raises(Cancelled):
        persistence(leslie, DOMAIN, [4, 6], cancel=stop)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"subdivisions": []}, "subdivisions do not ascend"),
        ({"subdivisions": [4, 4]}, "subdivisions do not ascend"),
        ({"subdivisions": [4, 31]}, "subdivisions is out of range"),
        ({"subdivisions": [4], "z": (1.0, float("nan"))}, "z do not ascend"),
        ({"subdivisions": 4.5}, "subdivisions is out of range"),
        ({"subdivisions": 4, "z": "wide"}, "z must hold real numbers"),
        ({"subdivisions": [4], "z": (0, 1), "method": "centre"}, "have no confidence"),
        ({"subdivisions": [4], "z": (0, 1)}, "how uncertain the map is"),
    ],
)
def test_what_is_refused(arguments, said):
    with pytest.raises(NetgeomError, match=said):
        persistence(leslie, DOMAIN, **arguments)


def test_only_grids_of_one_domain_are_matched():
    with pytest.raises(NetgeomError, match="different domains"):
        match_nodes(of(4), of(4, grid=CubicalGrid([0, 0], [80, 70], 0)))
    with pytest.raises(NetgeomError, match="without a grid"):
        match_nodes(of(4), morse_decomposition_of_graph([0, 1], [0]))
