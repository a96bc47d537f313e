"""What the benchmarks measure and report with: seconds, pairs of runs in turn, resident memory, rows of a table."""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any


def seconds(function: Callable[[], Any]) -> tuple[float, Any]:
    start = time.perf_counter()
    result = function()
    return time.perf_counter() - start, result


def paired(runs: dict[str, Callable[[], Any]], repetitions: int) -> tuple[dict[str, list[float]], dict[str, Any]]:
    """Seconds of every repetition and the last results; the order alternates, for the sake of busy machines."""
    times: dict[str, list[float]] = {key: [] for key in runs}
    results: dict[str, Any] = {}
    for repetition in range(repetitions):
        for key in list(runs) if repetition % 2 == 0 else list(runs)[::-1]:
            elapsed, results[key] = seconds(runs[key])
            times[key].append(elapsed)
    return times, results


def median_ratio(slow: list[float], fast: list[float]) -> float:
    return statistics.median(a / b for a, b in zip(slow, fast, strict=True))


def megabytes(key: str) -> float:
    """Resident memory of this process: "VmRSS" now, "VmHWM" at its peak; NaN where the system does not say."""
    status = Path("/proc/self/status")
    if not status.exists():
        return float("nan")
    return int(next(row for row in status.read_text().splitlines() if row.startswith(key)).split()[1]) / 1024


def alone(*arguments: str) -> dict[str, Any]:
    """What the calling script prints as JSON in a fresh process, with its arguments."""
    done = subprocess.run([sys.executable, sys.argv[0], *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr)
    return json.loads(done.stdout)


def row(name: str, times: dict[str, list[float]], fast: str, slow: str, what: str) -> dict[str, Any]:
    """One comparison of `paired` runs: medians of both sides, and of their ratio."""
    return {
        "case": name,
        "kernel_s": statistics.median(times[fast]),
        "other": what,
        "other_s": statistics.median(times[slow]),
        "ratio": median_ratio(times[slow], times[fast]),
    }


def reporter(rows: list[dict[str, Any]], width: int) -> Callable[[dict[str, Any]], None]:
    """Print the head of a table whose first column has this width; what is returned prints a `row` and keeps it."""
    print(f"{'case':>{width}} {'kernel ms':>10} {'other ms':>10} {'ratio':>7}")

    def report(found: dict[str, Any]) -> None:
        rows.append(found)
        print(f"{found['case']:>{width}} {1e3 * found['kernel_s']:>10.1f} {1e3 * found['other_s']:>10.1f}"
              f" {found['ratio']:>7.1f} {found['other']}", flush=True)  # fmt: skip

    return report


def run_benchmark(
    description: str,
    compare: Callable[[list[dict[str, Any]], bool, int], None],
    print_alone: Callable[[str, int], None],
    measure_large: Callable[[list[dict[str, Any]]], None],
    *,
    large: str,
) -> None:
    """What the arguments ask for: `compare` (rows, quick, repetitions), large sizes, or one thing `alone`."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--quick", action="store_true", help="small sizes, once: does it run, same answers")
    parser.add_argument("--large", action="store_true", help=large)
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--json", metavar="FILE", help="write the rows as JSON too")
    parser.add_argument("--alone", metavar=("CASE", "N"), nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.alone:
        print_alone(arguments.alone[0], int(arguments.alone[1]))
        return
    rows: list[dict[str, Any]] = []
    if arguments.large:
        measure_large(rows)
    else:
        compare(rows, arguments.quick, 1 if arguments.quick else arguments.repetitions)
    if arguments.json:
        Path(arguments.json).write_text(json.dumps(rows, indent=1))
