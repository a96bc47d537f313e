"""What the benchmarks measure with: seconds, pairs of runs in turn, and resident memory."""

from __future__ import annotations

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
