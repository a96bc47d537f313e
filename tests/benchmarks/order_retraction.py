"""Speed and memory of Morse graphs: `python tests/benchmarks/order_retraction.py [--quick | --large] [--json FILE]`.

In one process, on one thread, paired and interleaved; ratios are medians over the pairs, so that a busy machine
disturbs both sides alike. What is compared agrees, or the benchmark fails.

- Leslie's model, 2^16, 2^18 and 2^20 cells: box images, Morse graph and order retraction, against CMGDB's Morse graph
  by its batched map, which has no retraction.
- Wide boxes (Leslie's model plus and minus 4.5): the Morse graph by blocks against the list of all edges.
- A Gaussian process of 100 pairs, 2^15 cells: box images, Morse graph and order retraction, against the map alone,
  called for one corner of one box at a time as DOODL3 and CMGDB's scalar interface do: this package's map and
  scikit-learn's. The time of such calls is taken for 200 boxes and multiplied.
- 50 bootstrap samples of that process at 2^12 cells, against CMGDB's batched map of each of the same 50 maps.
- `--large`: 2^22 cells, either side, and 2^18 cells with wide boxes, each in a process of its own: seconds, and peak
  resident memory minus that after import.
"""

from __future__ import annotations

import json
import os
from typing import Any
from unittest.mock import patch

for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ[variable] = "1"  # before numpy and torch start their pools

import CMGDB  # noqa: E402
import numpy as np  # noqa: E402
import torch  # noqa: E402
from sklearn.gaussian_process import GaussianProcessRegressor  # noqa: E402
from sklearn.gaussian_process.kernels import RBF, WhiteKernel  # noqa: E402
from timing import alone, megabytes, paired, reporter, row, run_benchmark, seconds  # noqa: E402

from netgeom_widgets.kernels.order_retraction import (  # noqa: E402
    BoxImages,
    CubicalGrid,
    OrderRetraction,
    box_images,
    fit_map,
    morse_decomposition,
    morse_frequencies,
    order_retraction,
    resampled_map,
    trimming,
)

torch.set_num_threads(1)
LOWER, UPPER = [-0.001, -0.001], [90.0, 70.0]
SOME_BOXES = 200


def leslie(x: np.ndarray) -> np.ndarray:
    """Two age groups of a population, overcompensating (Arai et al. 2009)."""
    young, old = x[:, 0], x[:, 1]
    return np.stack([(19.6 * young + 23.68 * old) * np.exp(-0.1 * (young + old)), 0.7 * young], axis=1)


def retraction(subdivisions: int) -> OrderRetraction:
    images = box_images(leslie, CubicalGrid(LOWER, UPPER, subdivisions))
    return order_retraction(morse_decomposition(images))


def wide_images(subdivisions: int) -> BoxImages:
    return box_images(
        leslie, CubicalGrid(LOWER, UPPER, subdivisions), method="confidence", z=3, std=lambda x: np.full(len(x), 1.5)
    )


def wide_retraction(subdivisions: int) -> OrderRetraction:
    return order_retraction(morse_decomposition(wide_images(subdivisions)))


def by_cmgdb(subdivisions: int, function: Any = leslie, lower: Any = LOWER, upper: Any = UPPER) -> Any:
    model = CMGDB.Model(subdivisions, lower, upper, lambda box: CMGDB.BoxMapBatch(function, [box])[0].tolist())
    model.set_batch_map(lambda boxes: CMGDB.BoxMapBatch(function, boxes))
    return CMGDB.ComputeMorseGraph(model)[0]


def facts(found: Any) -> tuple[list[int], int]:
    """Sizes of the Morse sets and the number of edges of the Morse graph: what both sides must find."""
    if isinstance(found, OrderRetraction):
        return sorted(found.decomposition.sizes.tolist()), len(found.decomposition.hasse)
    return sorted(len(found.morse_set(node)) for node in found.vertices()), len(found.edges())


def require_same(found: Any, expected: Any, what: str) -> None:
    if found != expected:
        raise SystemExit(f"{what}: {found} differs from {expected}")


def measure_leslie(subdivisions: int, repetitions: int) -> dict:
    times, results = paired(
        {"kernel": lambda: retraction(subdivisions), "CMGDB": lambda: by_cmgdb(subdivisions)}, repetitions
    )
    name = f"Leslie 2^{subdivisions}"
    require_same(facts(results["kernel"]), facts(results["CMGDB"]), name)
    return row(name, times, "kernel", "CMGDB", "CMGDB's batched map")


def measure_wide(subdivisions: int, repetitions: int) -> dict:
    images = wide_images(subdivisions)

    def found(wide: float) -> OrderRetraction:
        with patch.object(trimming, "WIDE", wide):
            return order_retraction(morse_decomposition(images))

    times, results = paired({"blocks": lambda: found(0), "list": lambda: found(np.inf)}, repetitions)
    name = f"wide 2^{subdivisions}, {images.n_edges / images.grid.n_cells:.0f} cells a box"
    require_same(facts(results["blocks"]), facts(results["list"]), name)
    require_same(np.flatnonzero(results["blocks"].node != results["list"].node).tolist(), [], name)
    return row(name, times, "blocks", "list", "the list of all edges")


def pairs() -> tuple[np.ndarray, np.ndarray]:
    """Where 100 runs start and end: near one of two points, with noise."""
    generator = np.random.default_rng(0)
    starts = generator.uniform(-2, 2, (100, 2))
    ends = np.stack([np.tanh(3 * starts[:, 0]), 0.3 * starts[:, 1]], axis=1)
    return starts, ends + 0.05 * generator.standard_normal(ends.shape)


def measure_gaussian_process(subdivisions: int, repetitions: int) -> list[dict]:
    starts, ends = pairs()
    fitted = fit_map(starts, ends, mean="zero", ard=False, amplitude=1.0)
    regressor = GaussianProcessRegressor(RBF(fitted.length_scale[0]) + WhiteKernel(fitted.noise), optimizer=None)
    regressor.fit(starts, ends)
    grid = CubicalGrid([-2, -2], [2, 2], subdivisions)
    some = np.random.default_rng(1).choice(grid.n_cells, min(SOME_BOXES, grid.n_cells), replace=False)

    def one_by_one(predict: Any) -> np.ndarray:
        """Image boxes of some cells: lower and upper corners."""
        found = np.empty((len(some), 2, 2))
        for box, sides in enumerate(np.stack(grid.boxes(some), axis=-1)):
            values = np.concatenate([predict(np.array([[x, y]])) for x in sides[0] for y in sides[1]])
            found[box] = values.min(axis=0), values.max(axis=0)
        return found

    times, results = paired(
        {
            "kernel": lambda: order_retraction(morse_decomposition(box_images(fitted, grid))),
            "fitted": lambda: one_by_one(fitted),
            "sklearn": lambda: one_by_one(regressor.predict),
        },
        repetitions,
    )
    name = f"Gaussian process 2^{subdivisions}"
    if not np.allclose(results["fitted"], results["sklearn"], rtol=0, atol=1e-6):
        raise SystemExit(f"{name}: the two maps differ")
    images = results["kernel"].decomposition.images
    for corner, cells in ((0, images.first), (1, images.last)):  # the kernel's boxes are those of the single calls
        place = (results["sklearn"][:, corner] - grid.lower) / grid.widths
        off = np.abs(np.floor(place) - cells[some]) > 0
        require_same(int((off & (np.abs(place - np.rint(place)) > 1e-6)).sum()), 0, f"{name}: boxes")
    for other in ("fitted", "sklearn"):
        times[other] = [elapsed * grid.n_cells / len(some) for elapsed in times[other]]
    return [
        row(name, times, "kernel", "fitted", f"fit_map's map, corner by corner ({len(some)} boxes, extrapolated)"),
        row(name, times, "kernel", "sklearn", f"scikit-learn's, corner by corner ({len(some)} boxes, extrapolated)"),
    ]


def measure_bootstrap(subdivisions: int, samples: int, repetitions: int) -> dict:
    starts, ends = pairs()
    fit = {"mean": "zero", "ard": False, "amplitude": 1.0}
    grid = CubicalGrid([-2, -2], [2, 2], subdivisions)
    first = morse_frequencies(starts, ends, grid, samples=samples, fit=fit)

    def one_by_one() -> list[int]:
        maps = (resampled_map(first.fitted, "bootstrap", int(seed), grid=grid) for seed in first.seeds)
        return [by_cmgdb(subdivisions, one, grid.lower, grid.upper).num_vertices() for one in maps]

    times, results = paired(
        {"kernel": lambda: morse_frequencies(starts, ends, grid, samples=samples, fit=fit), "CMGDB": one_by_one},
        repetitions,
    )
    name = f"{samples} samples of 2^{subdivisions}"
    require_same(results["kernel"].n_nodes.tolist(), results["CMGDB"], name)
    return row(name, times, "kernel", "CMGDB", "the same maps by CMGDB, without fitting the first")


def print_alone(side: str, subdivisions: int) -> None:
    """One computation in this process, which does nothing else."""
    compute = {"kernel": retraction, "CMGDB": by_cmgdb, "kernel, wide boxes": wide_retraction}[side]
    compute(8)  # imports
    before = megabytes("VmRSS")
    elapsed, found = seconds(lambda: compute(subdivisions))
    peak = megabytes("VmHWM") - before
    sizes, edges = facts(found)
    case = f"Leslie 2^{subdivisions} by {side}"
    print(json.dumps({"case": case, "s": elapsed, "peak_MB": peak, "nodes": len(sizes), "edges": edges}))


def measure_large(rows: list[dict]) -> None:
    for side, n in (("kernel", "22"), ("CMGDB", "22"), ("kernel, wide boxes", "18")):
        rows.append(alone("--alone", side, n))
        print("{case}: {s:.1f} s, peak {peak_MB:.0f} MB, {nodes} nodes".format(**rows[-1]), flush=True)
    require_same(*([one["nodes"], one["edges"]] for one in rows[:2]), "the Morse graphs of 2^22 cells")


def compare(rows: list[dict], quick: bool, repetitions: int) -> None:
    retraction(8)  # imports
    report = reporter(rows, 28)

    for subdivisions in (12,) if quick else (16, 18, 20):
        report(measure_leslie(subdivisions, repetitions))
    for subdivisions in (10,) if quick else (13, 15):
        report(measure_wide(subdivisions, repetitions))
    for found in measure_gaussian_process(8 if quick else 15, repetitions):
        report(found)
    report(measure_bootstrap(8 if quick else 12, 5 if quick else 50, repetitions))


if __name__ == "__main__":
    run_benchmark(
        "speed and memory of Morse graphs and order retractions", compare, print_alone, measure_large,
        large="2^22 cells, nothing else",
    )  # fmt: skip
