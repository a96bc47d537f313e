"""How long Morse sets last when the grid gets finer and the boxes wider."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from jaxtyping import Float64, Int32
from numpy import ndarray

from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.execution import Cancel, Progress, as_cancel, as_progress
from netgeom_widgets.kernels._inputs import as_array, as_choice, as_count
from netgeom_widgets.kernels.order_retraction.boxes import box_images
from netgeom_widgets.kernels.order_retraction.grid import MOST_SUBDIVISIONS, CubicalGrid
from netgeom_widgets.kernels.order_retraction.matching import overlaps
from netgeom_widgets.kernels.order_retraction.morse import MorseDecomposition, morse_decomposition


@dataclass(frozen=True, eq=False, repr=False)
class Persistence:
    """Nodes of Morse graphs followed over L levels, as T tracks; see `persistence`.

    Attributes
    ----------
    levels : tuple of (int, float)
        Subdivisions and z of each level.
    decompositions : tuple of MorseDecomposition
        Of each level.
    matrix : (T, L) int32
        Node of each track at each level, -1 where it is not there. A track is there from its first level to its last
        without a gap; tracks are numbered by birth, then by node.
    birth, death : (T,) int32
        First and last level at which a track is there, counted from 0.
    origin : (T,) int32
        The track whose node it lay in when it was born (a split), -1 where it overlaps none or was there at first.
    heir : (T,) int32
        The track into whose node it went when it ended (a merger), -1 where nothing was left of it or it is there at
        the last level.
    volume : (T, L) float64
        Share of the domain that its Morse set takes, 0 where it is not there.
    stray : (L,) float64
        Share of a level's recurrent volume that was not recurrent one level before; 0 at the first. On a finer grid
        this is 0 for an outer approximation; the corners of a box are none, so here it may be more.
    """

    levels: tuple[tuple[int, float], ...]
    decompositions: tuple[MorseDecomposition, ...]
    matrix: Int32[ndarray, "T L"]
    birth: Int32[ndarray, " T"]
    death: Int32[ndarray, " T"]
    origin: Int32[ndarray, " T"]
    heir: Int32[ndarray, " T"]
    volume: Float64[ndarray, "T L"]
    stray: Float64[ndarray, " L"]

    @property
    def n_tracks(self) -> int:
        """T."""
        return len(self.matrix)

    @property
    def n_nodes(self) -> Int32[ndarray, " L"]:
        """Nodes at each level."""
        return (self.matrix >= 0).sum(axis=0, dtype=np.int32)

    @property
    def lifetimes(self) -> Int32[ndarray, " T"]:
        """Levels at which each track is there."""
        return self.death - self.birth + 1

    def tracks(self, level: int = -1) -> Int32[ndarray, " k"]:
        """Track of each node of a level, by default the last."""
        column = self.matrix[:, level]
        present = np.flatnonzero(column >= 0)
        found = np.empty(len(present), dtype=np.int32)
        found[column[present]] = present
        return found

    def table(self) -> dict[str, ndarray]:
        """One entry per track in each column: when it was born and ended, what it came from and went into."""
        subdivisions, z = (np.array(column) for column in zip(*self.levels, strict=True))
        return {
            "track": np.arange(self.n_tracks, dtype=np.int32),
            "lifetime": self.lifetimes,
            "first_subdivisions": subdivisions[self.birth],
            "last_subdivisions": subdivisions[self.death],
            "first_z": z[self.birth],
            "last_z": z[self.death],
            "origin": self.origin,
            "heir": self.heir,
            "last_node": self.matrix[np.arange(self.n_tracks), self.death],
            "last_volume": self.volume[np.arange(self.n_tracks), self.death],
        }

    def __repr__(self) -> str:
        return f"<Persistence of {self.n_tracks} tracks over {len(self.levels)} levels>"


def persistence(
    map: Any,
    grid: CubicalGrid,
    subdivisions: Iterable[int] | int,
    *,
    z: Iterable[float] | float = 0.0,
    method: str = "corners",
    padding: bool = False,
    std: Any = None,
    progress: Progress | bool | None = None,
    cancel: Cancel | None = None,
    executor: Any = None,
    seed: int | np.random.Generator = 0,
) -> Persistence:
    """Morse graphs of one map over several resolutions and confidences, and which node becomes which.

    The levels are one path: first every number of subdivisions at the first z, then every further z at the last
    number of subdivisions. From one level to the next nodes are matched by the volume that their Morse sets share:

    - a node's parent is the node of the level before that shares most volume with it;
    - of a node's children the one that shares most volume continues its track, the others are born there (a split);
    - a track without a child ends, in the track of the node with which it shares most volume (a merger) or in none.

    Equal volumes go to the smaller node number.

    Parameters
    ----------
    map, method, padding, std
        As in `box_images`; where z > 0 the boxes are confidence boxes at the corners.
    grid : CubicalGrid
        Its domain counts, not its resolution.
    subdivisions : iterable of int, or int
        Ascending.
    z : iterable of float, or float
        Standard deviations, ascending. Wider boxes only add edges, so Morse sets can only grow, merge and appear.
    progress, cancel
        See `netgeom_widgets.execution`; cancelled between levels and within them.
    executor, seed
        Accepted as by every long function and not used.

    Returns
    -------
    Persistence

    Raises
    ------
    NetgeomError
        Levels that are missing or do not ascend, z > 0 with boxes by their middles, and as `box_images`.

    Notes
    -----
    Costs the Morse graphs of all levels; each keeps its box images.
    """
    levels = _levels(subdivisions, z, method)
    report, stop = as_progress(progress), as_cancel(cancel)
    total = sum(1 << n for n, _ in levels)
    found: list[MorseDecomposition] = []
    done = 0
    for n, sds in levels:
        report.update(done, total, f"Morse graph of 2^{n} cells" + (f", z = {sds:g}" if sds else ""))
        images = box_images(
            map,
            grid.refined(n),
            method="confidence" if sds else method,
            padding=padding,
            z=sds,
            std=std if sds else None,
            cancel=stop,
        )
        found.append(morse_decomposition(images, cancel=stop))
        done += 1 << n
    report.update(done, total)
    return _Follower(found).result(levels)


class _Follower:
    """Continues tracks from level to level."""

    def __init__(self, found: list[MorseDecomposition]) -> None:
        self._found = found
        self._rows: list[ndarray] = []  # node at each level, per track
        self._origin: list[int] = []
        self._heir: list[int] = []
        self._stray = np.zeros(len(found))
        alive = np.array([self._born(0, node, -1) for node in range(found[0].n_nodes)], dtype=np.int64)
        for level in range(1, len(found)):
            alive = self._step(level, alive)

    def _born(self, level: int, node: int, origin: int) -> int:
        self._rows.append(np.full(len(self._found), -1, dtype=np.int32))
        self._rows[-1][level] = node
        self._origin.append(origin)
        self._heir.append(-1)
        return len(self._rows) - 1

    def _step(self, level: int, alive: ndarray) -> ndarray:
        """The track of each node of a level, given those of the level before."""
        before, after = self._found[level - 1], self._found[level]
        shared = overlaps(before, after)
        if after.n_nodes:
            self._stray[level] = 1.0 - shared.volume.sum() / after.sizes.sum()  # after is not the coarser of the two
        new = np.full(after.n_nodes, -1, dtype=np.int64)
        parent, heir = shared.of_second(), shared.of_first()
        for pair in np.argsort(-shared.volume, kind="stable"):  # the child with most volume comes first
            up, node = int(shared.first[pair]), int(shared.second[pair])
            if parent[node] == up and self._rows[alive[up]][level] < 0:
                new[node] = alive[up]
                self._rows[alive[up]][level] = node
        for node in np.flatnonzero(new < 0).tolist():
            new[node] = self._born(level, node, int(alive[parent[node]]) if parent[node] >= 0 else -1)
        for node in np.flatnonzero(heir >= 0).tolist():
            if self._rows[alive[node]][level] < 0:
                self._heir[alive[node]] = int(new[heir[node]])
        return new

    def result(self, levels: list[tuple[int, float]]) -> Persistence:
        matrix = np.array(self._rows, dtype=np.int32).reshape(-1, len(levels))
        there = matrix >= 0
        volume = np.zeros(matrix.shape)
        for level, one in enumerate(self._found):
            present = there[:, level]
            volume[present, level] = one.sizes[matrix[present, level]] / one.n_cells
        birth = there.argmax(axis=1).astype(np.int32)
        death = (len(levels) - 1 - there[:, ::-1].argmax(axis=1)).astype(np.int32)
        origin, heir = (np.array(column, dtype=np.int32) for column in (self._origin, self._heir))
        return Persistence(tuple(levels), tuple(self._found), matrix, birth, death, origin, heir, volume, self._stray)


def _levels(subdivisions: Any, z: Any, method: str) -> list[tuple[int, float]]:
    fine, wide = _ascending(subdivisions, "subdivisions"), _ascending(z, "z")
    if method == "centre" and wide != [0]:
        raise NetgeomError(
            "Boxes by their middles have no confidence", expected="method='corners' with z", got="method='centre'"
        )
    if wide[-1] != 0:
        as_choice(method, ("corners", "confidence"), "method")
    first = [(as_count(n, 0, MOST_SUBDIVISIONS, "subdivisions"), float(wide[0])) for n in fine]
    return first + [(first[-1][0], float(sds)) for sds in wide[1:]]


def _ascending(values: Any, what: str) -> list[Any]:
    found = np.atleast_1d(as_array(list(values) if isinstance(values, Iterable) else values, what)).tolist()
    if not found or any(not b > a for a, b in pairwise(found)):
        raise NetgeomError(f"{what} do not ascend", expected="one value or more, each larger", got=f"{found}")
    return found
