"""Training runs as curves in one space, and where a step of training takes each run."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from jaxtyping import Float64, Int64
from numpy import ndarray

from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.kernels._inputs import as_array, as_choice
from netgeom_widgets.kernels.order_retraction.coordinates import Coordinates
from netgeom_widgets.kernels.order_retraction.pairing import Ids, refuse_repeated


@dataclass(frozen=True, eq=False)
class Pairs:
    """Starts and ends of a map: row i says where a run was and where it went.

    Attributes
    ----------
    starts, ends : ndarray (n, dims) float64
        Two points of one run each; with ``pairing="listdir"`` of two runs.
    run_ids, end_run_ids : tuple of str, n each
        The run of each start and of each end.
    start_steps, end_steps : ndarray (n,) int64
        The steps at which they were recorded.
    names : tuple of str
        What each dimension is.
    pairing : str
        ``"run_id"``, or the named demonstration of wrong pairing.
    """

    starts: Float64[ndarray, "n dims"]
    ends: Float64[ndarray, "n dims"]
    run_ids: tuple[str, ...]
    end_run_ids: tuple[str, ...]
    start_steps: Int64[ndarray, " n"]
    end_steps: Int64[ndarray, " n"]
    names: tuple[str, ...]
    pairing: str = "run_id"

    def __len__(self) -> int:
        return len(self.starts)

    @property
    def ids(self) -> tuple[Ids, Ids] | None:
        """Ids (run, step) of the starts and of the ends, for ``fit_map(..., run_ids=)``; None for mispaired rows."""
        if self.pairing != "run_id":
            return None
        ids: Ids = tuple(zip(self.run_ids, self.start_steps.tolist(), strict=True))
        return ids, ids

    def project(self, coordinates: Coordinates) -> Pairs:
        """The same pairs in other coordinates."""
        starts, ends = coordinates.apply(self.starts), coordinates.apply(self.ends)
        return replace(self, starts=starts, ends=ends, names=coordinates.names)


@dataclass(frozen=True, eq=False)
class Trajectories:
    """Several runs, step by step, in one space.

    Attributes
    ----------
    values : ndarray (runs, times, dims) float64
        Where each run is at each step; NaN where a number was not recorded.
    run_ids : tuple of str
        Which run each row is, each once; rows are paired by these and never by their order. None: "0", "1", ...
    steps : ndarray (times,) int64
        The step numbers, increasing, the same in all runs. None: 0, 1, ...
    names : tuple of str
        What each dimension is. None: "x0", "x1", ...

    Raises
    ------
    NetgeomError
        Shapes that do not fit each other, a run id twice, steps that do not increase.
    """

    values: ndarray
    run_ids: tuple[str, ...] = None  # type: ignore[assignment]  # None goes in, what stands above comes out
    steps: ndarray = None  # type: ignore[assignment]
    names: tuple[str, ...] = None  # type: ignore[assignment]

    def __post_init__(self) -> None:
        values = as_array(self.values, "values").astype(np.float64)
        runs, times, dims = values.shape if values.ndim == 3 else (0, 0, 0)
        steps = np.arange(times) if self.steps is None else as_array(self.steps, "steps")
        run_ids = tuple(map(str, range(runs) if self.run_ids is None else self.run_ids))
        names = tuple(f"x{k}" for k in range(dims)) if self.names is None else tuple(map(str, self.names))
        if values.ndim != 3 or 0 in values.shape or values.shape != (len(run_ids), len(steps), len(names)):
            raise NetgeomError(
                "The trajectories do not fit their labels",
                expected=f"values ({len(run_ids)} run ids, {len(steps)} steps, {len(names)} names), none of them 0",
                got=f"values {values.shape}",
            )
        refuse_repeated(run_ids)
        if steps.dtype.kind not in "iu" or (np.diff(steps.astype(np.int64)) <= 0).any():
            raise NetgeomError("The steps do not increase", expected="increasing whole numbers", got=f"{steps[:10]}")
        for name, value in (("values", values), ("run_ids", run_ids), ("steps", steps.astype(np.int64))):
            object.__setattr__(self, name, value)
        object.__setattr__(self, "names", names)

    def pairs(
        self,
        start: int = 0,
        end: int = -1,
        *,
        lag: int | None = None,
        pairing: Literal["run_id", "listdir"] = "run_id",
        seed: int | np.random.Generator = 0,
    ) -> Pairs:
        """Where each run was, and where it went.

        Parameters
        ----------
        start, end : int
            POSITIONS in `steps`, negative ones from the end: one pair for each run. `position` finds a step number.
        lag : int, optional
            Instead of that pair, all pairs of recorded steps exactly so many STEPS apart, between positions `start` and
            `end`; several pairs for each run. On an uneven schedule only the steps that have such a partner take part.
        pairing : {"run_id", "listdir"}
            ``"listdir"`` demonstrates the error of DOODL3's `compute_morse_graph`, which joins two listings of files by
            row: names such as model.17-0450-0.08.hdf5 come in a hashed order, another one for each epoch. The ends are
            those of a random permutation of the runs, not the identity; for `start` and `end` only.
        seed : int or numpy Generator
            For ``"listdir"``.

        Returns
        -------
        Pairs
            Runs in the order of `run_ids`; with `lag`, the steps of a run one after another.

        Raises
        ------
        NetgeomError
            Positions that are not there or do not increase, no two steps `lag` apart, numbers that are not finite.
        """
        as_choice(pairing, ("run_id", "listdir"), "pairing")
        first, last = self._positions(start, end, lag)
        if pairing == "listdir" and (lag is not None or len(self.run_ids) < 2):
            raise NetgeomError(
                "Rows can only be mispaired between two runs",
                expected="at least 2 runs, and start and end without lag",
                got=f"{len(self.run_ids)} run" if lag is None else f"lag={lag}",
            )
        n_runs, n_each = len(self.run_ids), len(first)
        order = np.arange(n_runs) if pairing == "run_id" else _wrong_order(n_runs, seed)
        dims = self.values.shape[2]
        return Pairs(
            starts=self._finite(first).reshape(-1, dims),
            ends=self._finite(last)[order].reshape(-1, dims),
            run_ids=tuple(run for run in self.run_ids for _ in range(n_each)),
            end_run_ids=tuple(self.run_ids[i] for i in order for _ in range(n_each)),
            start_steps=np.tile(self.steps[first], n_runs),
            end_steps=np.tile(self.steps[last], n_runs),
            names=self.names,
            pairing=pairing,
        )

    def position(self, step: int) -> int:
        """Where a step number stands in `steps`.

        Raises
        ------
        NetgeomError
            A step that was not recorded.
        """
        found = np.flatnonzero(self.steps == step)
        if not len(found):
            raise NetgeomError(
                f"Step {step} was not recorded",
                expected=f"one of {len(self.steps)} steps from {self.steps[0]} to {self.steps[-1]}",
                got=f"{step}, nearest is {self.steps[np.abs(self.steps - step).argmin()]}",
            )
        return int(found[0])

    def project(self, coordinates: Coordinates) -> Trajectories:
        """The same runs in other coordinates."""
        return Trajectories(coordinates.apply(self.values), self.run_ids, self.steps, coordinates.names)

    def _positions(self, start: int, end: int, lag: int | None) -> tuple[Int64[ndarray, " k"], Int64[ndarray, " k"]]:
        """Positions of the starts and of the ends of the pairs of one run."""
        n_times = len(self.steps)
        places = []
        for what, position in (("start", start), ("end", end)):
            if not -n_times <= position < n_times:
                raise NetgeomError(
                    f"{what} is no position",
                    expected=f"{-n_times} to {n_times - 1}",
                    got=f"{position}",
                    try_this="position(step) for the position of a step number",
                )
            places.append(position % n_times)
        if places[0] >= places[1]:
            raise NetgeomError("The end is not after the start", expected="start < end", got=f"{start}, {end}")
        if lag is None:
            return np.array(places[:1]), np.array(places[1:])
        steps = self.steps[places[0] : places[1] + 1]
        gaps = steps[None, :] - steps[:, None]
        first, last = np.nonzero(gaps == lag)
        if lag < 1 or not len(first):
            known = np.unique(gaps[gaps > 0]).tolist()
            raise NetgeomError(
                f"No two recorded steps are {lag} apart",
                expected=f"lag={', '.join(map(str, known[:8]))}{', ...' if len(known) > 8 else ''}",
                got=f"lag={lag}",
            )
        return first + places[0], last + places[0]

    def _finite(self, positions: Int64[ndarray, " k"]) -> Float64[ndarray, "runs k dims"]:
        chosen = self.values[:, positions]
        bad = np.argwhere(~np.isfinite(chosen))
        if len(bad):
            run, time, dim = bad[0]
            raise NetgeomError(
                "A run has no finite place at a step that takes part",
                expected="finite numbers",
                got=f"{chosen[run, time, dim]} in {self.names[dim]!r} of run {self.run_ids[run]!r} at step "
                f"{self.steps[positions[time]]}, {len(bad)} such numbers in all",
                try_this="another start, or runs=[...] without the runs that diverged",
            )
        return chosen


def _wrong_order(n: int, seed: int | np.random.Generator) -> Int64[ndarray, " n"]:
    rng = np.random.default_rng(seed)
    order = np.arange(n)
    while (order == np.arange(n)).all():
        order = rng.permutation(n)
    return order
