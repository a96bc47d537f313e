"""Speed and memory of the transitions kernel: `python tests/benchmarks/transitions.py [--quick] [--json FILE]`.

In one process, on one thread, paired and interleaved; ratios are medians over the pairs, so that a busy machine
disturbs both sides alike.

- search: the exact neighbours of one snapshot of 10 Gaussian blobs, k = 15, against a query loop as ReprDynamics has it
  (scikit-learn's KNeighborsClassifier with a ball tree, one `kneighbors` call per sample). Both must find the same ids.
- statistics: preservation, Jaccard and transition distance of T snapshots whose blobs move and settle, against scipy's
  sparse product over the same pairs of samples and neighbours.
- extended: one more snapshot, against the search over all of them.
- peak: neighbours and all three statistics in a process of its own, snapshots made one at a time as a recording gives
  them; peak resident memory minus that after import, scikit-learn included.
"""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path

for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ[variable] = "1"  # before numpy starts its pool

import numpy as np  # noqa: E402
from scipy import sparse  # noqa: E402
from sklearn.neighbors import KNeighborsClassifier  # noqa: E402
from timing import alone, megabytes, paired, reporter, row, seconds  # noqa: E402

from netgeom_widgets.kernels.transitions import (  # noqa: E402
    Neighbours,
    jaccard,
    nearest_neighbours,
    preservation,
    transition_distance,
)

K = 15
SEARCHES = ((2_000, 64), (10_000, 10), (10_000, 64), (5_000, 512))
STATISTICS = ((100, 2_000), (100, 10_000))
PEAK = (100, 10_000, 64)


class Run:
    """T snapshots of N samples around 10 centres, made when they are read: they drift apart, then settle."""

    def __init__(self, n_snapshots: int, n: int, d: int) -> None:
        rng = np.random.default_rng(0)
        self.shape = (n_snapshots, n, d)
        self.start, self.end = rng.normal(size=(2, n, d))
        self.end += 3 * rng.normal(size=(10, d))[rng.integers(0, 10, n)]

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, t: int) -> np.ndarray:
        done = 1 - np.exp(-8 * t / self.shape[0])
        noise = np.random.default_rng(t).normal(size=self.shape[1:])
        return ((1 - done) * self.start + done * self.end + 0.1 * (1.2 - done) * noise).astype(np.float32)


def query_loop(x: np.ndarray, rows: range) -> np.ndarray:
    """Neighbours of some rows, the sample itself first, one query after the other."""
    search = KNeighborsClassifier(n_neighbors=K + 1, algorithm="ball_tree").fit(x, np.zeros(len(x)))
    return np.array([search.kneighbors(x[row : row + 1], return_distance=False)[0] for row in rows])


def measure_search(n: int, d: int, repetitions: int, queries: int) -> dict:
    """The loop answers evenly spaced queries only; its time is scaled to all of them."""
    x = Run(100, n, d)[99].astype(np.float64)
    rows = range(0, n, max(1, n // queries))
    times, results = paired(
        {"kernel": lambda: nearest_neighbours([x], K), "loop": lambda: query_loop(x, rows)}, repetitions
    )
    if not np.array_equal(results["kernel"].ids[0][rows], results["loop"][:, 1:]):
        raise SystemExit(f"{n} x {d}: the kernel and the loop disagree")
    times["loop"] = [elapsed * n / len(rows) for elapsed in times["loop"]]
    scaled = "" if len(rows) == n else f", {len(rows)} queries scaled"
    return row(f"search {n} x {d}", times, "kernel", "loop", f"query loop{scaled}")


def sparse_preservation(found: Neighbours) -> np.ndarray:
    """The same matrix by scipy's product of sparse matrices, columns numbered by np.unique, in 20 blocks of samples."""
    n_snapshots, n, k = found.ids.shape
    total = np.zeros((n_snapshots, n_snapshots))
    for rows in np.array_split(np.arange(n), 20):
        keys = (found.ids[:, rows] + rows[:, None] * n).reshape(n_snapshots, -1)
        columns, inverse = np.unique(keys, return_inverse=True)
        shape, ends = (n_snapshots, len(columns)), np.arange(n_snapshots + 1) * keys.shape[1]
        matrix = sparse.csr_matrix((np.ones(keys.size, dtype=np.float32), inverse.reshape(-1), ends), shape=shape)
        total += (matrix @ matrix.T).toarray()
    return total / (n * k)


def measure_statistics(n_snapshots: int, n: int, repetitions: int) -> list[dict]:
    found = nearest_neighbours(Run(n_snapshots, n, 8), K)
    runs = {"preservation": preservation, "jaccard": jaccard, "transition_distance": transition_distance}
    calls = {name: (lambda function=function: function(found)) for name, function in runs.items()}
    times, results = paired({**calls, "sparse": lambda: sparse_preservation(found)}, repetitions)
    if np.abs(results["preservation"] - results["sparse"]).max() > 1e-12:
        raise SystemExit("preservation and the sparse product disagree")
    return [row(f"{name} T={n_snapshots} N={n}", times, name, "sparse", "scipy sparse product") for name in runs]


def measure_extended(n_snapshots: int, n: int, d: int, repetitions: int) -> dict:
    run = Run(n_snapshots + 1, n, d)
    before = nearest_neighbours([run[t] for t in range(n_snapshots)], K)
    runs = {"one": lambda: before.extended([run[n_snapshots]]), "all": lambda: nearest_neighbours(run, K)}
    times, results = paired(runs, repetitions)
    if results["one"].ids.tobytes() != results["all"].ids.tobytes():
        raise SystemExit("extended neighbours differ from those of one search")
    return row(f"extended by 1, T={n_snapshots} {n} x {d}", times, "one", "all", "searching all again")


def print_peak(n_snapshots: int, n: int, d: int) -> None:
    run = Run(n_snapshots, n, d)
    before = megabytes("VmRSS")
    elapsed, found = seconds(lambda: nearest_neighbours(run, K))
    statistics_s, _ = seconds(lambda: (preservation(found), jaccard(found), transition_distance(found)))
    print(json.dumps({"search_s": elapsed, "statistics_s": statistics_s, "peak_MB": megabytes("VmHWM") - before}))


def main() -> None:
    parser = argparse.ArgumentParser(description="speed and memory of the transitions kernel")
    parser.add_argument(
        "--quick", action="store_true", help="smallest sizes, two repetitions: does it run, same answers"
    )
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--json", metavar="FILE", help="write the rows as JSON too")
    parser.add_argument("--peak", metavar="SIZE", nargs=3, type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.peak:
        print_peak(*arguments.peak)
        return
    repetitions = 2 if arguments.quick else arguments.repetitions
    nearest_neighbours([Run(1, 200, 4)[0]], K)  # imports scikit-learn
    rows: list[dict] = []
    report = reporter(rows, 40)

    for n, d in SEARCHES[:1] if arguments.quick else SEARCHES:
        report(measure_search(n, d, repetitions, 200 if arguments.quick or n > 2_000 else n))
    report(measure_extended(8, 2_000, 64, repetitions))
    for n_snapshots, n in ((20, 2_000),) if arguments.quick else STATISTICS:
        for found in measure_statistics(n_snapshots, n, repetitions):
            report(found)
    if not arguments.quick and Path("/proc/self/status").exists():
        peak = alone("--peak", *map(str, PEAK))
        rows.append({"case": "peak", **peak})
        print("T={} N={} D={}: ".format(*PEAK), end="")
        print("search {search_s:.1f} s, statistics {statistics_s:.1f} s, peak {peak_MB:.0f} MB".format(**peak))
    if arguments.json:
        Path(arguments.json).write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
