"""Speed and memory of the similarity kernel: `python tests/benchmarks/similarity.py [--quick | --large] [--json FILE]`.

In one process, on one thread, float32, paired and interleaved; ratios are medians over the pairs, so that a busy
machine disturbs both sides alike. What is compared agrees, or the benchmark fails. Networks have torch's default
initialisation, seed 0, and inputs are Gaussian; one output is chosen where nothing else is said.

- MLP 784-256-256-10, CNN conv32-5, conv64-5, fc256-10: the full matrix against per-sample gradients and one BLAS
  product, gradients by a loop over autograd, and by vmap(grad) in chunks (`per_sample.py`).
- ten outputs: the normalised trace of all ten against the matrix of one.
- soft counts: matrix-free, against the matrix and its row sums.
- float32: largest difference to float64, of both ways.
- ResNet18 (CIFAR stem, 11.2 M parameters, 32 x 32): the full matrix in a process of its own, time and peak resident
  memory minus that after import.
- `--large`: `similarity_tiles` of the MLP for 20,000 inputs, in a process of its own, with a thread for each core:
  time, peak memory, size on disk.
"""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path

for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ[variable] = "1"  # before numpy and torch start their pools

import numpy as np  # noqa: E402
import torch  # noqa: E402
from per_sample import autograd_loop, batched, cosines, normalised_traces  # noqa: E402
from timing import alone, megabytes, paired, reporter, row, run_benchmark, seconds  # noqa: E402
from torch import nn  # noqa: E402
from torch.nn import functional as F  # noqa: E402

from netgeom_widgets.kernels.similarity import similarity_matrix, similarity_tiles, soft_neighbour_counts  # noqa: E402

torch.set_num_threads(1)
OUTPUT, CHUNK = 3, 50


def mlp() -> nn.Module:
    """784-256-256-10, 269,322 parameters."""
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(784, 256), nn.ReLU(), nn.Linear(256, 256), nn.ReLU(), nn.Linear(256, 10))


def cnn() -> nn.Module:
    """The size of LeNet: 317,066 parameters."""
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 32, 5),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(32, 64, 5),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(1024, 256),
        nn.ReLU(),
        nn.Linear(256, 10),
    )


class Residual(nn.Module):
    """Two 3 x 3 convolutions with batch norms, and the input added, through a 1 x 1 convolution where sizes differ."""

    def __init__(self, channels: int, width: int, stride: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, width, 3, stride, 1, bias=False)
        self.first_norm = nn.BatchNorm2d(width)
        self.second = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.second_norm = nn.BatchNorm2d(width)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or channels != width:
            self.shortcut = nn.Sequential(nn.Conv2d(channels, width, 1, stride, bias=False), nn.BatchNorm2d(width))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        inner = F.relu(self.first_norm(self.first(x)))
        return F.relu(self.second_norm(self.second(inner)) + self.shortcut(x))


def resnet18() -> nn.Module:
    """He et al. 2016 with a 3 x 3 stem for 32 x 32 images: 11,173,962 parameters."""
    torch.manual_seed(0)
    layers: list[nn.Module] = [nn.Conv2d(3, 64, 3, 1, 1, bias=False), nn.BatchNorm2d(64), nn.ReLU()]
    channels = 64
    for width, stride in ((64, 1), (128, 2), (256, 2), (512, 2)):
        layers += [Residual(channels, width, stride), Residual(width, width, 1)]
        channels = width
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, 10)).eval()


NETWORKS = {"MLP": (mlp, (784,)), "CNN": (cnn, (1, 28, 28)), "ResNet18": (resnet18, (3, 32, 32))}


def case(name: str, n: int) -> tuple[nn.Module, torch.Tensor]:
    make, shape = NETWORKS[name]
    return make(), torch.randn(n, *shape, generator=torch.Generator().manual_seed(1))


def require_same(found: np.ndarray, expected: np.ndarray, tolerance: float, what: str) -> None:
    if not (difference := float(np.abs(found - expected).max())) <= tolerance:
        raise SystemExit(f"{what} differ by {difference:.2g}")


def measure_matrix(name: str, n: int, repetitions: int) -> list[dict]:
    model, inputs = case(name, n)
    times, results = paired(
        {
            "kernel": lambda: similarity_matrix(model, inputs, output=OUTPUT, kernel="cosine").values,
            "loop": lambda: cosines(autograd_loop(model, inputs, OUTPUT)),
            "vmap": lambda: cosines(batched(model, inputs, OUTPUT, CHUNK)),
        },
        repetitions,
    )
    for other in ("loop", "vmap"):
        require_same(results["kernel"], results[other], 1e-5, f"{name}: the kernel and the {other}")
    label = f"{name} n={n} matrix"
    return [
        row(label, times, "kernel", "loop", "autograd loop and GEMM"),
        row(label, times, "kernel", "vmap", "vmap(grad) and GEMM"),
    ]


def measure_outputs(n: int, repetitions: int) -> dict:
    model, inputs = case("MLP", n)
    times, results = paired(
        {
            "one": lambda: similarity_matrix(model, inputs, output=OUTPUT, kernel="cosine"),
            "trace": lambda: similarity_matrix(model, inputs).values,
        },
        repetitions,
    )
    few = normalised_traces(model.double(), inputs[:40].double())
    require_same(results["trace"][:40, :40], few, 1e-5, "the normalised traces")
    return row(f"MLP n={n} one output", times, "one", "trace", "normalised trace of ten (the ratio is its price)")


def measure_soft(name: str, n: int, repetitions: int) -> dict:
    model, inputs = case(name, n)
    times, results = paired(
        {
            "counts": lambda: soft_neighbour_counts(model, inputs, output=OUTPUT),
            "matrix": lambda: similarity_matrix(model, inputs, output=OUTPUT, kernel="cosine").values.sum(axis=1),
        },
        repetitions,
    )
    require_same(results["counts"] / n, results["matrix"] / n, 1e-5, f"{name}: soft counts")
    return row(f"{name} n={n} soft counts", times, "counts", "matrix", "the matrix and its row sums")


def measure_accuracy(name: str, n: int) -> dict:
    """float32 against float64, of the kernel and of materialised gradients; the "ratio" is that of the two errors."""
    model, inputs = case(name, n)
    exact = similarity_matrix(model, inputs, output=OUTPUT, kernel="cosine", dtype=torch.float64).values
    kernel, loop = (
        float(np.abs(values - exact).max())
        for values in (
            similarity_matrix(model, inputs, output=OUTPUT, kernel="cosine").values,
            cosines(autograd_loop(model, inputs, OUTPUT)),
        )
    )
    return {"case": f"{name} n={n} float32", "kernel_error": kernel, "other": "autograd loop", "other_error": loop}


def print_alone(name: str, n: int) -> None:
    """One computation in this process, which does nothing else."""
    model, inputs = case(name.removesuffix(" tiles"), n)
    similarity_matrix(model, inputs[:4], output=OUTPUT, kernel="cosine")  # imports
    before = megabytes("VmRSS")
    if name.endswith("tiles"):
        with tempfile.TemporaryDirectory() as folder:
            elapsed, found = seconds(
                lambda: similarity_tiles(model, inputs, Path(folder) / "tiles.zarr", output=OUTPUT, kernel="cosine")
            )
            disk = sum(file.stat().st_size for file in found.path.rglob("*") if file.is_file()) / 2**20
            some = np.linspace(0, n - 1, 40).astype(int)
            values = found.block(some, some)
    else:
        elapsed, found = seconds(lambda: similarity_matrix(model, inputs, output=OUTPUT, kernel="cosine"))
        disk, some = 0.0, np.arange(min(n, 12))
        values = found.values[np.ix_(some, some)]
    peak = megabytes("VmHWM") - before
    expected = cosines(autograd_loop(model, inputs[some], OUTPUT))
    require_same(values, expected, 1e-4, name)
    print(json.dumps({"case": f"{name} n={n}", "s": elapsed, "peak_MB": peak, "disk_MB": disk}))


def measure_alone(rows: list[dict], name: str, n: int) -> None:
    rows.append(alone("--alone", name, str(n)))
    print("{case}: {s:.1f} s, peak {peak_MB:.0f} MB, on disk {disk_MB:.0f} MB".format(**rows[-1]), flush=True)


def compare(rows: list[dict], quick: bool, repetitions: int) -> None:
    model, inputs = case("MLP", 8)
    similarity_matrix(model, inputs, output=OUTPUT, kernel="cosine")  # imports
    report = reporter(rows, 24)

    for name, n in (("MLP", 60), ("CNN", 20)) if quick else (("MLP", 400), ("CNN", 500)):
        for found in measure_matrix(name, n, repetitions):
            report(found)
    report(measure_outputs(60 if quick else 400, repetitions))
    for name, n in (("MLP", 60),) if quick else (("MLP", 400), ("MLP", 4000), ("CNN", 500)):
        report(measure_soft(name, n, repetitions))
    for name, n in (("MLP", 60),) if quick else (("MLP", 400), ("CNN", 100)):
        rows.append(measure_accuracy(name, n))
        print("{case:>24} error {kernel_error:.1e}, {other} {other_error:.1e}".format(**rows[-1]), flush=True)
    if not quick:
        measure_alone(rows, "ResNet18", 256)


if __name__ == "__main__":
    run_benchmark(
        "speed and memory of the similarity kernel", compare, print_alone,
        lambda rows: measure_alone(rows, "MLP tiles", 20_000), large="20,000 inputs to disk, nothing else",
    )  # fmt: skip
