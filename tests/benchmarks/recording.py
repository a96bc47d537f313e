"""Overhead and file size of the recorder: `python tests/benchmarks/recording.py [--quick] [--json FILE]`.

The digits network 64-32-10, 20 epochs of batches of 64 with Adam, on one thread: the bare loop, and the same loop in a
recorder that keeps the outputs and two layers of all 1797 samples after each epoch. So small a network is the worst
case: a snapshot costs about as much as for a large one, an epoch next to nothing. Both run in one process, in turn; the
ratio is the median over the pairs. Batches are rows of a permutation, the fastest way, or come from a shuffling
DataLoader. The size is that of all files, against the recorded numbers as raw float32 plus the inputs.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from contextlib import nullcontext
from pathlib import Path

for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ[variable] = "1"  # before numpy and torch start their pools

import torch  # noqa: E402
from sklearn.datasets import load_digits  # noqa: E402
from torch import nn  # noqa: E402

from netgeom_widgets.recording import Recorder, open_recording  # noqa: E402

torch.set_num_threads(1)

EPOCHS, BATCH = 20, 64
WIDTHS = (32, 32, 10)  # what is recorded of each sample: two layers and the outputs


def digits() -> tuple[torch.Tensor, torch.Tensor]:
    """1797 images of 64 pixels in 0..1, and their labels."""
    found = load_digits()
    return torch.from_numpy(found.data).float() / 16, torch.from_numpy(found.target)


def batches(inputs: torch.Tensor, labels: torch.Tensor, loader: bool):
    """One shuffled epoch."""
    if loader:
        dataset = torch.utils.data.TensorDataset(inputs, labels)
        yield from torch.utils.data.DataLoader(dataset, batch_size=BATCH, shuffle=True)
    else:
        for rows in torch.randperm(len(inputs)).split(BATCH):
            yield inputs[rows], labels[rows]


def train(path: Path | None, loader: bool) -> tuple[float, dict[str, torch.Tensor]]:
    """Seconds of one run, recorded or not, and the weights it ends with."""
    inputs, labels = digits()
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))
    optimizer = torch.optim.Adam(net.parameters())
    start = time.perf_counter()
    recorder = Recorder(net, (inputs, labels), path=path, layers=["0", "1"]) if path else None
    with recorder or nullcontext():
        for epoch in range(1, EPOCHS + 1):
            for x, y in batches(inputs, labels, loader):
                loss = nn.functional.cross_entropy(net(x), y)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
            if recorder:
                recorder.step(epoch, loss=loss)
    return time.perf_counter() - start, net.state_dict()


def measure(repetitions: int, loader: bool) -> dict:
    """One row of the table."""
    times: dict[bool, list[float]] = {False: [], True: []}
    weights: dict[bool, dict[str, torch.Tensor]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for repetition in range(-1, repetitions):  # the first pair is not counted: it imports zarr and warms up
            for recorded in (False, True) if repetition % 2 else (True, False):
                path = Path(folder) / f"{repetition}"
                seconds, weights[recorded] = train(path if recorded else None, loader)
                times[recorded] += [seconds] if repetition >= 0 else []
        recording = open_recording(path)
        size = sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
        n_samples, n_snapshots = len(recording.sample_ids), len(recording)
    if any(not torch.equal(weights[False][name], weights[True][name]) for name in weights[True]):
        raise SystemExit("the recorder changed the run")
    raw = 4 * n_samples * (n_snapshots * sum(WIDTHS) + 64)
    bare, ratios = times[False], [slow / fast for fast, slow in zip(*times.values(), strict=True)]
    return {
        "batches": "DataLoader" if loader else "permuted",
        "bare_s": statistics.median(bare),
        "recorded_s": statistics.median(times[True]),
        "ratio": statistics.median(ratios),
        "ms_per_snapshot": 1e3 * (statistics.median(times[True]) - statistics.median(bare)) / n_snapshots,
        "MB": size / 1e6,
        "over_raw": size / raw,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description="overhead and file size of the recorder")
    parser.add_argument("--quick", action="store_true", help="two repetitions: does it run, does it change nothing")
    parser.add_argument("--repetitions", type=int, default=9)
    parser.add_argument("--json", metavar="FILE", help="write the rows as JSON too")
    arguments = parser.parse_args()
    repetitions = 2 if arguments.quick else arguments.repetitions
    print(f"{'batches':>10} {'bare ms':>8} {'recorded':>9} {'ratio':>6} {'ms/snapshot':>12} {'MB':>6} {'/raw':>6}")
    rows = []
    for loader in (False, True):
        row = measure(repetitions, loader)
        rows.append(row)
        print(f"{row['batches']:>10} {1e3 * row['bare_s']:>8.0f} {1e3 * row['recorded_s']:>9.0f} {row['ratio']:>6.2f}"
              f" {row['ms_per_snapshot']:>12.2f} {row['MB']:>6.2f} {row['over_raw']:>6.3f}")  # fmt: skip
    if arguments.json:
        Path(arguments.json).write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
