"""Runs by tile: whether the tile in which a run starts predicts what becomes of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float64, Int8, Int32, Int64
from numpy import ndarray

from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.execution import Cancel, Progress, as_cancel, as_progress
from netgeom_widgets.kernels._inputs import as_array, as_count
from netgeom_widgets.kernels.order_retraction.group_test import GroupTest, permutation_test
from netgeom_widgets.kernels.order_retraction.retraction import REACHES_NOTHING, OrderRetraction
from netgeom_widgets.kernels.order_retraction.run_scores import prediction_entropy

UNDECIDED, NOWHERE, OUTSIDE = -1, -2, -3
OTHER_TILES = {
    UNDECIDED: "undecided",
    NOWHERE: "reaches no recurrent cell",
    OUTSIDE: "outside the domain",
}
STATISTICS = ("mean", "sd", "median", "lower_quartile", "upper_quartile", "minimum", "maximum")


@dataclass(frozen=True, eq=False, repr=False)
class TileStatistics:
    """Runs by tile; see `tile_statistics`.

    Attributes
    ----------
    cell : (runs,) int64
        Cell of each point, -1 outside the domain.
    node : (runs,) int32
        Node of the retraction there, -1 where there is none.
    status : (runs,) int8
        Status of the join rule there, -1 outside the domain.
    tile : (runs,) int32
        The node; where there is none -1 undecided, -2 reaches no recurrent cell, -3 outside the domain.
    tiles : (G,) int32
        The tiles that hold a run, nodes first.
    n_runs : (G,) int64
        Runs in each.
    quantities : dict of str to (runs,) float64
        As they were given.
    summary : dict of str to dict of str to (G,) float64
        For each quantity the mean, sd (with n - 1), median, lower_quartile, upper_quartile, minimum and maximum in each
        tile, of the runs with a finite value; NaN where there is none (for the sd: fewer than two).
    missing : dict of str to int
        Runs without a finite value.
    tests : dict of str to GroupTest
        Whether the quantity differs between the tiles; runs outside the domain do not take part.
    settings : dict
    """

    cell: Int64[ndarray, " runs"]
    node: Int32[ndarray, " runs"]
    status: Int8[ndarray, " runs"]
    tile: Int32[ndarray, " runs"]
    tiles: Int32[ndarray, " G"]
    n_runs: Int64[ndarray, " G"]
    quantities: dict[str, Float64[ndarray, " runs"]]
    summary: dict[str, dict[str, Float64[ndarray, " G"]]]
    missing: dict[str, int]
    tests: dict[str, GroupTest]
    settings: dict[str, Any]

    @property
    def n_outside(self) -> int:
        """Runs outside the domain."""
        return int((self.tile == OUTSIDE).sum())

    @property
    def adjusted_p(self) -> dict[str, float]:
        """Holm's p values over the quantities together: with many of them, one is small by chance (Holm 1979)."""
        tested = sorted((test.p, name) for name, test in self.tests.items() if np.isfinite(test.p))
        found, largest = {name: float("nan") for name in self.tests}, 0.0
        for i, (p, name) in enumerate(tested):
            largest = max(largest, min(1.0, (len(tested) - i) * p))
            found[name] = largest
        return found

    @property
    def names(self) -> tuple[str, ...]:
        """What each tile is called: ``"node 3"``, or why there is no node."""
        return tuple(OTHER_TILES.get(int(tile), f"node {tile}") for tile in self.tiles)

    def runs(self, tile: int) -> Int64[ndarray, " n"]:
        """Rows of the runs in a tile."""
        return np.flatnonzero(self.tile == tile)

    def prediction_entropy(self, probabilities: Any) -> Float64[ndarray, "G n"]:
        """`prediction_entropy` over the runs of each tile alone; probabilities (runs, n, C)."""
        array = as_array(probabilities, "probabilities")
        if not array.ndim or len(array) != len(self.tile):
            raise NetgeomError(
                "The predictions are not of these runs", expected=f"({len(self.tile)}, n, C)", got=f"{array.shape}"
            )
        return np.stack([prediction_entropy(array[self.runs(int(tile))]) for tile in self.tiles])

    def table(self) -> dict[str, ndarray]:
        """One row per tile in each column: its name, its runs, and every statistic as ``"quantity mean"`` and so on."""
        columns: dict[str, ndarray] = {"tile": np.array(self.names), "runs": self.n_runs}
        for name, found in self.summary.items():
            columns |= {f"{name} {statistic}": values for statistic, values in found.items()}
        return columns

    def __repr__(self) -> str:
        counts = ", ".join(f"{name}: {n}" for name, n in zip(self.names, self.n_runs, strict=True))
        return f"<TileStatistics of {len(self.tile)} runs; {counts}>"


def tile_statistics(
    retraction: OrderRetraction,
    points: Any,
    per_run: Mapping[str, Any] | Any,
    *,
    permutations: int = 9999,
    progress: Progress | bool | None = None,
    cancel: Cancel | None = None,
    executor: Any = None,
    seed: int | np.random.Generator = 0,
) -> TileStatistics:
    """Compare runs by the tile in which each starts (or ends): whether the tile predicts the result.

    Parameters
    ----------
    retraction : OrderRetraction
        Of a map on a grid.
    points : (runs, d)
        One point of each run, in the coordinates of the grid; NaN counts as outside.
    per_run : dict of str to (runs,), or (runs,)
        Numbers to compare: accuracy, loss, entropy; a single array is called ``"value"``. Runs without a finite value
        are left out of that quantity and counted.
    permutations : int
        Arrangements drawn for each test; where there are no more than this, all are looked at and p is exact.
    progress, cancel
        See `netgeom_widgets.execution`.
    executor
        Accepted as by every long function and not used.
    seed : int or numpy Generator
        For the arrangements.

    Returns
    -------
    TileStatistics

    Raises
    ------
    NetgeomError
        A retraction without a grid; lengths that do not fit.

    Notes
    -----
    The test asks about these tiles. They were drawn from the same runs through the fitted map, so a small p says that
    start and result go together, not that the retraction is right. Cost O(permutations runs) for each quantity.
    """
    if not isinstance(retraction, OrderRetraction) or retraction.decomposition.grid is None:
        raise NetgeomError(
            "Runs lie in tiles of a grid", expected="order_retraction(...) of a map on a grid", got=f"{retraction!r}"
        )
    as_count(permutations, 1, 10_000_000, "permutations")
    cell = retraction.decomposition.grid.locate(points)
    given = per_run if isinstance(per_run, Mapping) else {"value": per_run}
    quantities = {str(name): _quantity(values, len(cell), str(name)) for name, values in given.items()}
    node, status, tile = _tiles(retraction, cell)
    present = np.unique(tile)
    tiles = np.concatenate([present[present >= 0], present[present < 0][::-1]])
    report, stop, rng = as_progress(progress), as_cancel(cancel), np.random.default_rng(seed)
    tests = {}
    for i, (name, values) in enumerate(quantities.items()):
        report.update(i, len(quantities), f"comparing {name} between tiles")
        rows = np.isfinite(values) & (tile != OUTSIDE)
        tests[name] = permutation_test(values[rows], tile[rows].astype(np.int64), permutations, rng, stop)
    report.update(len(quantities), len(quantities))
    return TileStatistics(
        cell=cell,
        node=node,
        status=status,
        tile=tile,
        tiles=tiles,
        n_runs=np.array([(tile == each).sum() for each in tiles], dtype=np.int64),
        quantities=quantities,
        summary={name: _summary(values, tile, tiles) for name, values in quantities.items()},
        missing={name: int((~np.isfinite(values)).sum()) for name, values in quantities.items()},
        tests=tests,
        settings={"permutations": permutations, "rule": retraction.rule},
    )


def _tiles(
    retraction: OrderRetraction, cell: Int64[ndarray, " runs"]
) -> tuple[Int32[ndarray, " runs"], Int8[ndarray, " runs"], Int32[ndarray, " runs"]]:
    """Node, status and tile of each cell."""
    inside = cell >= 0
    node = np.where(inside, retraction.node[cell], -1).astype(np.int32)
    status = np.where(inside, retraction.status[cell], -1).astype(np.int8)
    without = np.where(status == REACHES_NOTHING, NOWHERE, UNDECIDED)
    tile = np.where(inside, np.where(node >= 0, node, without), OUTSIDE).astype(np.int32)
    return node, status, tile


def _quantity(values: Any, n_runs: int, name: str) -> Float64[ndarray, " runs"]:
    array = as_array(values, f"per_run[{name!r}]").astype(np.float64)
    if array.shape != (n_runs,):
        raise NetgeomError(
            f"{name!r} does not have one number for each run", expected=f"({n_runs},)", got=f"{array.shape}"
        )
    return array


def _summary(
    values: Float64[ndarray, " runs"], tile: Int32[ndarray, " runs"], tiles: Int32[ndarray, " G"]
) -> dict[str, Float64[ndarray, " G"]]:
    found = np.full((len(STATISTICS), len(tiles)), np.nan)
    for column, each in enumerate(tiles):
        own = values[(tile == each) & np.isfinite(values)]
        if not len(own):
            continue
        lower, middle, upper = np.quantile(own, (0.25, 0.5, 0.75))
        sd = own.std(ddof=1) if len(own) > 1 else np.nan
        found[:, column] = own.mean(), sd, middle, lower, upper, own.min(), own.max()
    return dict(zip(STATISTICS, found, strict=True))
