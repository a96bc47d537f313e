"""Speed and memory of the region partition: `python tests/benchmarks/regions.py [--quick | --large] [--json FILE]`.

In one process, on one thread, paired and interleaved: the kernel, the neuron-by-neuron numpy twin
(`neuron_by_neuron.py`) as it is, and the same twin with arrays grown in place. Ratios are medians over the pairs, so
that a busy machine disturbs both sides alike. The nets are 2-w^d-1 with torch's default initialisation, seed 0, the
domain is the box [-1, 1]^2. The matmul column is the time of the float64 products that any vertex-based algorithm
needs: the vertices known before a layer times that layer's weights. Peak memory is measured in a process of its own:
peak resident memory minus that after import. `--large` runs single partitions that are large in one way or another,
each in a process of its own: time and peak memory, and nothing to compare with.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import statistics
from pathlib import Path

for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ[variable] = "1"  # before numpy and torch start their pools

import neuron_by_neuron  # noqa: E402
import numpy as np  # noqa: E402
import torch  # noqa: E402
from timing import alone, median_ratio, megabytes, paired, seconds  # noqa: E402
from torch import nn  # noqa: E402

from netgeom_widgets.kernels.regions import Slice, partition  # noqa: E402

torch.set_num_threads(1)

BOX = [[-1.0, -1.0], [1.0, -1.0], [1.0, 1.0], [-1.0, 1.0]]
SIZES = {"2-64^4-1": (64, 4), "2-128^3-1": (128, 3), "2-256^2-1": (256, 2), "2-256^3-1": (256, 3)}
IMAGE = (3, 64, 64)


def network(width: int, depth: int) -> nn.Sequential:
    """ReLU net 2-width^depth-1, default initialisation, seed 0."""
    torch.manual_seed(0)
    return fully_connected([2, *[width] * depth, 1])


def fully_connected(sizes: list[int]) -> nn.Sequential:
    layers: list[nn.Module] = []
    for a, b in itertools.pairwise(sizes):
        layers += [nn.Linear(a, b), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def many_regions() -> tuple[nn.Module, Slice]:
    """About 690,000 regions: 2-512-128^5-1, weights doubled, on a wide box."""
    torch.manual_seed(0)
    model = fully_connected([2, 512, *[128] * 5, 1])
    with torch.no_grad():
        for linear in model[::2]:
            linear.weight.mul_(2)
    return model, Slice.box(-8, 8, -8, 8)


def three_convolutions() -> tuple[nn.Module, Slice]:
    """About 7,000 regions in a slice of 3x64x64 inputs; one vertex holds up to 65,536 numbers."""
    torch.manual_seed(0)
    layers = [nn.Conv2d(3, 16, 3, padding=1), nn.ReLU(), nn.Conv2d(16, 32, 3, stride=2, padding=1), nn.ReLU()]
    layers += [nn.Conv2d(32, 32, 3, stride=2, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(32 * 256, 10)]
    return nn.Sequential(*layers), random_slice(0.15)


def vgg11() -> tuple[nn.Module, Slice]:
    """VGG11 for 3x64x64 inputs, Kaiming initialisation, about 100 regions; one vertex holds up to 262,144 numbers."""
    torch.manual_seed(0)
    layers: list[nn.Module] = []
    channels = 3
    for width in (64, 0, 128, 0, 256, 256, 0, 512, 512, 0, 512, 512, 0):
        if width == 0:
            layers.append(nn.MaxPool2d(2))
            continue
        convolution = nn.Conv2d(channels, width, 3, padding=1)
        nn.init.kaiming_normal_(convolution.weight, mode="fan_out", nonlinearity="relu")
        nn.init.zeros_(convolution.bias)
        layers += [convolution, nn.ReLU()]
        channels = width
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(512 * 4, 200)), random_slice(0.003)


def random_slice(radius: float) -> Slice:
    """A random plane through a random image."""
    center, u, v = np.random.default_rng(0).standard_normal((3, *IMAGE))
    return Slice.around(center, u, v, radius)


LARGE = {"2-512-128^5-1": many_regions, "3 convolutions": three_convolutions, "VGG11": vgg11}


def complex_of(found):
    """Read everything that the twin gives too, should the kernel compute it on first use."""
    _ = found.vertices, found.edges, found.edge_regions, found.edge_op, found.edge_unit
    _ = found.ring_offsets, found.ring_vertices, found.region_counts
    return found


def matmul_seconds(model: nn.Sequential, vertices: list[int], repetitions: int) -> float:
    """Best time of the float64 products of the net on the vertices known before each layer."""
    linears = [module for module in model if isinstance(module, nn.Linear)]
    pairs = [
        (torch.rand(rows, linear.in_features, dtype=torch.float64), linear.weight.detach().double().T.contiguous())
        for rows, linear in zip(vertices, linears, strict=True)
    ]
    return min(seconds(lambda: [a @ b for a, b in pairs])[0] for _ in range(repetitions))


def print_alone(name: str) -> None:
    model, domain = LARGE[name]() if name in LARGE else (network(*SIZES[name]), Slice.box(-1, 1, -1, 1))
    before = megabytes("VmRSS")
    elapsed, found = seconds(lambda: complex_of(partition(model, domain)))
    peak = megabytes("VmHWM") - before
    area_error = abs(found.areas.sum() / domain.area - 1)
    print(json.dumps({"regions": found.n_regions, "s": elapsed, "peak_MB": peak, "area_error": area_error}))


def print_large(names: list[str]) -> list[dict]:
    print(f"{'net':>15} {'regions':>8} {'s':>7} {'us/region':>10} {'peak MB':>8} {'area error':>11}")
    rows = []
    for name in names:
        row = {"net": name, **alone("--alone", name)}
        rows.append(row)
        print(f"{name:>15} {row['regions']:>8} {row['s']:>7.1f} {1e6 * row['s'] / row['regions']:>10.1f}"
              f" {row['peak_MB']:>8.0f} {row['area_error']:>11.0e}")  # fmt: skip
    return rows


def measure(name: str, repetitions: int) -> dict:
    """One row of the table."""
    model, domain = network(*SIZES[name]), Slice.box(-1, 1, -1, 1)
    linears = [module for module in model if isinstance(module, nn.Linear)]
    weights = [linear.weight.detach().double().numpy() for linear in linears]
    biases = [linear.bias.detach().double().numpy() for linear in linears]
    runs = {
        "kernel": lambda: complex_of(partition(model, domain)),
        "twin": lambda: neuron_by_neuron.partition(weights, biases, BOX),
        "twin_in_place": lambda: neuron_by_neuron.partition(weights, biases, BOX, in_place=True),
    }
    times, results = paired(runs, repetitions)
    kernel, twin = results["kernel"], results["twin"]
    if list(kernel.region_counts) != twin.counts or len(kernel.vertices) != len(twin.points):
        raise SystemExit(f"{name}: the kernel found {list(kernel.region_counts)}, the twin {twin.counts}")
    matmul = matmul_seconds(model, [len(BOX), *twin.vertices], repetitions)
    median = statistics.median(times["kernel"])

    def ratio(key: str) -> float:
        return median_ratio(times[key], times["kernel"])

    return {
        "net": name,
        "regions": kernel.n_regions,
        "kernel_s": median,
        "twin_s": statistics.median(times["twin"]),
        "ratio": ratio("twin"),
        "twin_in_place_s": statistics.median(times["twin_in_place"]),
        "ratio_in_place": ratio("twin_in_place"),
        "us_per_region": 1e6 * median / kernel.n_regions,
        "over_matmul": median / matmul,
        "peak_MB": alone("--alone", name)["peak_MB"],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description="speed and memory of the exact region partition")
    parser.add_argument("--quick", action="store_true", help="2-64^4-1 only, two repetitions: does it run, same counts")
    parser.add_argument("--repetitions", type=int, default=7)
    parser.add_argument("--json", metavar="FILE", help="write the rows as JSON too")
    parser.add_argument("--large", action="store_true", help="single large partitions: time and peak memory")
    parser.add_argument("--alone", metavar="NET", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.alone:
        print_alone(arguments.alone)
        return
    rows = print_large(list(LARGE)) if arguments.large else compare(arguments)
    if arguments.json:
        Path(arguments.json).write_text(json.dumps(rows, indent=1))


def compare(arguments: argparse.Namespace) -> list[dict]:
    """The kernel against the twin, size by size."""
    names = ["2-64^4-1"] if arguments.quick else list(SIZES)
    print(f"{'net':>10} {'regions':>8} {'kernel ms':>10} {'twin ms':>9} {'ratio':>6} {'in place':>9} {'ratio':>6}"
          f" {'us/region':>10} {'/matmul':>8} {'peak MB':>8}")  # fmt: skip
    rows = []
    for name in names:
        row = measure(name, 2 if arguments.quick else arguments.repetitions)
        rows.append(row)
        print(f"{name:>10} {row['regions']:>8} {1e3 * row['kernel_s']:>10.1f} {1e3 * row['twin_s']:>9.1f}"
              f" {row['ratio']:>6.2f} {1e3 * row['twin_in_place_s']:>9.1f} {row['ratio_in_place']:>6.2f}"
              f" {row['us_per_region']:>10.1f} {row['over_matmul']:>8.1f} {row['peak_MB']:>8.1f}")  # fmt: skip
    return rows


if __name__ == "__main__":
    main()
