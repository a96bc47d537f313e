"""Many networks at once against one after the other: `python tests/benchmarks/training.py [--quick] [--json FILE]`.

100 networks 4-16-16-3 on the irises, batches of 16, Adam, float32, one thread. The plain torch loop trains a few of
them, and its time is taken times the number of networks; both do the same few epochs, in turn. Process times, the
median of the ratios. What both end with is compared.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from pathlib import Path

for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ[variable] = "1"  # before numpy and torch start their pools

import torch  # noqa: E402
from torch import nn  # noqa: E402

from netgeom_widgets import datasets  # noqa: E402
from netgeom_widgets.training import train_runs  # noqa: E402

torch.set_num_threads(1)
BATCH, ALONE = 16, 2


def make_model() -> nn.Module:
    return nn.Sequential(nn.Linear(4, 16), nn.Tanh(), nn.Linear(16, 16), nn.Tanh(), nn.Linear(16, 3))


def one_after_the_other(x: torch.Tensor, y: torch.Tensor, runs: int, epochs: int) -> list[torch.Tensor]:
    """The parameters that the plain loop ends with."""
    ends = []
    for run in range(runs):
        torch.manual_seed(run)
        net, order = make_model(), torch.Generator().manual_seed(run)
        optimizer = torch.optim.Adam(net.parameters())
        for _ in range(epochs):
            for rows in torch.randperm(len(x), generator=order).split(BATCH):
                optimizer.zero_grad()
                nn.functional.cross_entropy(net(x[rows]), y[rows]).backward()
                optimizer.step()
        ends.append(nn.utils.parameters_to_vector(net.parameters()).detach())
    return ends


def measure(runs: int, epochs: int, repetitions: int) -> dict[str, float]:
    """Seconds of both ways, and their ratio."""
    inputs, labels = datasets.iris()
    x, y = torch.from_numpy(inputs).float(), torch.from_numpy(labels)
    together, alone = [], []
    for _ in range(repetitions):
        start = time.process_time()
        options = {"batch_size": BATCH, "loss": "cross_entropy"}
        found = train_runs(make_model, x, y, runs=runs, epochs=epochs, **options)
        together.append(time.process_time() - start)
        start = time.process_time()
        ends = one_after_the_other(x, y, ALONE, epochs)
        alone.append((time.process_time() - start) * runs / ALONE)
    for end, row in zip(ends, found.parameters, strict=False):
        torch.testing.assert_close(torch.from_numpy(row), end, rtol=1e-3, atol=1e-4)
    return {
        "runs": runs,
        "epochs": epochs,
        "together_s": statistics.median(together),
        "one_after_the_other_s": statistics.median(alone),
        "ratio": statistics.median(a / b for a, b in zip(alone, together, strict=True)),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a few networks, one repetition")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    row = measure(10, 2, 1) if arguments.quick else measure(100, 20, 5)
    print(
        f"{row['runs']} networks x {row['epochs']} epochs: {row['together_s']:.2f} s at once, "
        f"{row['one_after_the_other_s']:.2f} s one after the other: {row['ratio']:.1f} times"
    )
    if arguments.json:
        arguments.json.write_text(json.dumps([row]))


if __name__ == "__main__":
    main()
