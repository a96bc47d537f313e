"""Speed and memory of equivalence classes: `python tests/benchmarks/equivalence.py [--quick | --large] [--json FILE]`.

In one process, on one thread, float64, paired and interleaved; ratios are medians over the pairs, so that a busy
machine disturbs both sides alike. What is compared agrees, or the benchmark fails.

- Slices: the loss on a grid against a tight loop, one point at a time, over torch.func.functional_call: the 4-parameter
  net of GENNI (101 x 101), 2-8-1, 784-128-64-10, and GENNI's LeNet, for which there is no gain: it says which way was
  chosen. N = 500.
- Jacobians of perceptrons in closed form, against vmap of jacrev over samples and of jacfwd over parameter vectors.
- Null space of 4-32-32-1 with its explanation, against jacrev and numpy's SVD.
- Alone: 200 steps along the class aw = 1, a profile slice of 41 x 41 points, clusters of 1,000 images of one vector.
- SGD as GENNI does it, 100 nets at once, against a loop over torch.optim.SGD; the weights agree.
- Levenberg-Marquardt to R < 1e-20 against Adam to R < 1e-6, both batched, same starts: seconds by success, for a 2-4-1
  tanh teacher and for the 4-parameter ReLU net. Adam's rate, 0.1 falling to 0, found most of 0.1 and 0.03 with and
  without falling for the first (5 of 64; the others 0 to 3), and about as many as without falling for the second.
- `--large`: the whole 20 x 20 grid of LeNet, 101 x 101 points of 784-128-64-10 and 51^3 points of the 4-parameter net,
  each in a process of its own: seconds, and peak resident memory minus that after import.
"""

from __future__ import annotations

import itertools
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ[variable] = "1"  # before numpy and torch start their pools
sys.path.insert(0, str(Path(__file__).parents[2]))  # for the networks of the tests

import numpy as np  # noqa: E402
import torch  # noqa: E402
from timing import alone, megabytes, paired, reporter, row, run_benchmark, seconds  # noqa: E402
from torch import nn  # noqa: E402
from torch.func import functional_call, jacfwd, jacrev, vmap  # noqa: E402

from netgeom_widgets.kernels.equivalence import (  # noqa: E402
    cluster_elements,
    discrete_images,
    find_elements,
    null_space,
    profile_slice,
    relative_loss_slice,
    trace_class,
)
from netgeom_widgets.kernels.equivalence.network import FlatNetwork  # noqa: E402
from tests.kernels.equivalence_models import LeNet, mlp, parameters_of  # noqa: E402

torch.set_num_threads(1)
N_SAMPLES = 500


def require_close(found: Any, expected: Any, rtol: float, what: str) -> None:
    found, expected = np.asarray(found), np.asarray(expected)
    scale = np.abs(expected).max()
    if not (difference := float(np.abs(found - expected).max())) <= rtol * scale:
        raise SystemExit(f"{what}: they differ by {difference:.2g} of {scale:.2g}")


def network(name: str) -> tuple[nn.Module, np.ndarray, np.ndarray]:
    """A model, inputs and targets by sizes such as "784-128-64-10", or "LeNet"."""
    rng = np.random.default_rng(0)
    if name == "LeNet":
        torch.manual_seed(0)
        return LeNet().double(), rng.standard_normal((N_SAMPLES, 1, 28, 28)), rng.standard_normal((N_SAMPLES, 1))
    sizes = [int(size) for size in name.split("-")]
    model = mlp(sizes, "relu", bias=name != "1-2-1")
    return model, rng.standard_normal((N_SAMPLES, sizes[0])), rng.standard_normal((N_SAMPLES, sizes[-1]))


def plane(model: nn.Module, points: int, k: int = 2) -> tuple[np.ndarray, np.ndarray, list[np.ndarray]]:
    center = parameters_of(model)
    rows = np.random.default_rng(1).standard_normal((k, center.size))
    return center, rows / np.linalg.norm(rows, axis=1, keepdims=True), [np.linspace(-1, 1, points)] * k


def point_by_point(model: nn.Module, x: np.ndarray, y: np.ndarray, center, basis, axes) -> np.ndarray:
    """The loop that a user would write: no copies of the module, no batches, no gradients."""
    inputs, targets, origin, rows = (torch.as_tensor(a) for a in (x, y, center, basis))
    layout, start = [], 0
    for name, parameter in model.named_parameters():
        layout.append((name, slice(start, start + parameter.numel()), parameter.shape))
        start += parameter.numel()
    values = []
    with torch.no_grad():
        for point in torch.as_tensor(np.array(list(itertools.product(*axes)))):
            theta = origin + point @ rows
            views = {name: theta[part].view(shape) for name, part, shape in layout}
            values.append(float((functional_call(model, views, (inputs,)) - targets).square().mean()))
    return np.array(values).reshape([len(axis) for axis in axes])


def measure_slice(name: str, points: int, repetitions: int) -> dict:
    model, x, y = network(name)
    chosen = plane(model, points)
    times, results = paired(
        {
            "kernel": lambda: relative_loss_slice(model, x, y, *chosen),
            "loop": lambda: point_by_point(model, x, y, *chosen),
        },
        repetitions,
    )
    require_close(results["kernel"].loss, results["loop"], 1e-10, name)
    label = f"slice {name} {points}x{points}"
    way = "closed form" if FlatNetwork(model, x).mlp else results["kernel"].settings["method"]
    return row(label, times, "kernel", "loop", f"functional_call, point by point (the kernel's way: {way})")


def measure_jacobian(name: str, n_vectors: int, n_samples: int, repetitions: int) -> list[dict]:
    model, x, _ = network(name)
    flat = FlatNetwork(model, x[:n_samples])
    theta = torch.randn((n_vectors, flat.n_parameters), dtype=torch.float64, generator=torch.Generator().manual_seed(0))

    def of_samples(one: torch.Tensor) -> torch.Tensor:
        return vmap(jacrev(lambda t, x: flat.one(t, x[None])[:, 0]), in_dims=(None, 0))(one, flat.inputs)

    times, results = paired(
        {
            "kernel": lambda: flat.jacobian(theta)[1],
            "jacrev": lambda: vmap(of_samples)(theta).permute(0, 3, 2, 1),
            "jacfwd": lambda: vmap(jacfwd(flat.one))(theta).permute(0, 3, 1, 2),
        },
        repetitions,
    )
    label = f"Jacobian {name} B={n_vectors} N={n_samples}"
    for other in ("jacrev", "jacfwd"):
        require_close(results["kernel"], results[other], 1e-12, f"{label}, {other}")
    return [row(label, times, "kernel", other, f"vmap({other})") for other in ("jacrev", "jacfwd")]


def measure_null_space(name: str, repetitions: int) -> dict:
    model, x, _ = network(name)
    flat, theta = FlatNetwork(model, x), parameters_of(model)

    def by_hand() -> np.ndarray:
        jacobian = vmap(jacrev(lambda t, x: flat.one(t, x[None])[:, 0]), in_dims=(None, 0))(
            flat.parameters, flat.inputs
        )
        return np.linalg.svd(jacobian.reshape(-1, theta.size).numpy())[1]

    times, results = paired({"kernel": lambda: null_space(model, theta, x), "numpy": by_hand}, repetitions)
    found, expected = results["kernel"], results["numpy"]
    require_close(found.singular_values, expected, 1e-10, name)
    dimension = theta.size - int((expected > found.threshold).sum())
    if found.dimension != dimension:
        raise SystemExit(f"{name}: dimension {found.dimension} differs from {dimension}")
    return row(f"null space {name} P={theta.size}", times, "kernel", "numpy", f"jacrev, SVD (dimension {dimension})")


def timed(steps: int, points: int, copies: int) -> list[dict]:
    """What is compared with nothing but its closed form."""
    rows = []
    model, x = mlp((1, 1, 1), "relu", False, [1.0, 1.0]), np.random.default_rng(0).standard_normal((64, 1))
    elapsed, trace = seconds(lambda: trace_class(model, None, x, [1.0, 0.0], steps=steps, step_size=0.05))
    require_close(trace.parameters.prod(1), np.ones(steps + 1), 1e-10, "the traced hyperbola")
    rows.append({"case": f"trace of aw = 1, {steps} steps", "kernel_s": elapsed})

    model, x, _ = network("1-2-1")
    center, axes = np.zeros(4), [np.linspace(-2, 2, points)] * 2
    elapsed, least = seconds(lambda: profile_slice(model, x, None, center, np.eye(4)[:2], axes))
    opposed = np.sign(axes[0])[:, None] * np.sign(axes[1]) < 0
    if (least[opposed] > 1e-12).any():
        raise SystemExit("profile: not 0 where the incoming weights have both signs")
    rows.append({"case": f"profile 1-2-1 {points}x{points}", "kernel_s": elapsed})

    model = mlp((2, 6, 1), "tanh")
    images = discrete_images(model, parameters_of(model), n=copies)
    elapsed, labels = seconds(lambda: cluster_elements(model, images))
    if labels.any():
        raise SystemExit("clusters: images of one vector are told apart")
    rows.append({"case": f"clusters of {copies} images, 2-6-1", "kernel_s": elapsed})
    return rows


def one_after_the_other(x: np.ndarray, y: np.ndarray, starts: np.ndarray, steps: int, size: int, lr: float):
    """Each 1-2-1 net by torch.optim.SGD, batches in fixed order."""
    batches = list(zip(torch.as_tensor(x).split(size), torch.as_tensor(y).split(size), strict=True))
    ends = []
    for start in starts:
        model = mlp((1, 2, 1), "relu", False, start)
        optimizer = torch.optim.SGD(model.parameters(), lr=lr)
        for step in range(steps):
            inputs, targets = batches[step % len(batches)]
            optimizer.zero_grad()
            nn.functional.mse_loss(model(inputs), targets).backward()
            optimizer.step()
        ends.append(parameters_of(model))
    return np.array(ends)


def measure_sgd(n_nets: int, few: int, steps: int, repetitions: int) -> dict:
    model, x, _ = network("1-2-1")
    y = model(torch.as_tensor(x)).detach().numpy()
    starts = np.random.default_rng(3).standard_normal((n_nets, 4))
    options: dict[str, Any] = {"max_iterations": steps, "start": starts, "lr": 0.015, "batch_size": 256}
    times, _ = paired(
        {
            "kernel": lambda: find_elements(model, x, y, n_nets, method="sgd", **options).parameters,
            "loop": lambda: one_after_the_other(x, y, starts[:few], steps, 256, 0.015),
        },
        repetitions,
    )
    few_steps = min(steps, 200)  # later, paths of large rates amplify rounding
    found = find_elements(
        model, x, y, few, method="sgd", **{**options, "max_iterations": few_steps, "start": starts[:few]}
    )
    expected = one_after_the_other(x, y, starts[:few], few_steps, 256, 0.015)
    require_close(found.parameters, expected, 1e-10, "weights by SGD")
    times["loop"] = [elapsed * n_nets / few for elapsed in times["loop"]]
    return row(
        f"SGD {n_nets} nets, {steps} steps",
        times,
        "kernel",
        "loop",
        f"torch.optim.SGD, net by net ({few} nets, extrapolated)",
    )


def measure_search(sizes: tuple[int, ...], activation: str, n: int, adam_steps: int) -> dict:
    """Seconds by success; infinite without one."""
    teacher = mlp(sizes, activation, bias=len(set(sizes)) == 3, seed=5)
    x = np.random.default_rng(0).standard_normal((256, sizes[0]))
    found = {}
    adam = {"max_iterations": adam_steps, "lr": 0.1, "lr_decay": True}
    for method, tolerance, options in (("levenberg-marquardt", 1e-20, {}), ("adam", 1e-6, adam)):
        start = time.perf_counter()
        elements = find_elements(teacher, x, None, n, method=method, tolerance=tolerance, **options)
        elapsed = time.perf_counter() - start
        converged = elements.status == "converged"
        if (elements.relative_loss[converged] > tolerance).any():
            raise SystemExit(f"{method}: elements called converged are not")
        found[method] = elapsed / converged.sum() if converged.any() else np.inf, int(converged.sum())
    (kernel, hits), (other, others) = found.values()
    return {
        "case": f"{activation} {'-'.join(map(str, sizes))}, by success",
        "kernel_s": kernel,
        "other": f"Adam to 1e-6 ({others} of {n}; Levenberg-Marquardt to 1e-20: {hits})",
        "other_s": other,
        "ratio": other / kernel,
    }


def print_alone(name: str, points: int) -> None:
    """One slice in this process, which does nothing else."""
    model, x, y = network(name)
    dimensions = 3 if name == "1-2-1" else 2
    relative_loss_slice(model, x, y, *plane(model, 2))  # imports
    before = megabytes("VmRSS")
    elapsed, found = seconds(lambda: relative_loss_slice(model, x, y, *plane(model, points, dimensions)))
    peak = megabytes("VmHWM") - before
    corner = point_by_point(model, x, y, found.center, found.basis, [axis[:2] for axis in found.axes])
    require_close(found.loss[(slice(2),) * dimensions], corner, 1e-10, name)
    case = f"slice {name} {'x'.join([str(points)] * dimensions)}"
    print(json.dumps({"case": case, "s": elapsed, "peak_MB": peak, "grid_MB": found.loss.nbytes / 2**20}))


def measure_large(rows: list[dict]) -> None:
    for name, points in (("LeNet", "20"), ("784-128-64-10", "101"), ("1-2-1", "51")):
        rows.append(alone("--alone", name, points))
        print("{case}: {s:.1f} s, peak {peak_MB:.0f} MB".format(**rows[-1]), flush=True)


def compare(rows: list[dict], quick: bool, repetitions: int) -> None:
    model, x, y = network("1-2-1")
    relative_loss_slice(model, x, y, *plane(model, 2))  # imports
    report = reporter(rows, 32)
    measure_jacobian("1-2-1", 2, 4, 1)  # the first vmap of a process takes seconds

    sizes = {"1-2-1": 101, "2-8-1": 101, "784-128-64-10": 21, "LeNet": 3}
    for name, points in ({"1-2-1": 21, "784-128-64-10": 5, "LeNet": 2} if quick else sizes).items():
        report(measure_slice(name, points, repetitions))
    for name, n_vectors, n_samples in (("2-8-1", 8, 50),) if quick else (("2-8-1", 64, 256), ("4-8-8-1", 64, 500)):
        for found in measure_jacobian(name, n_vectors, n_samples, repetitions):
            report(found)
    report(measure_null_space("2-8-1" if quick else "4-32-32-1", repetitions))
    for found in timed(20, 11, 50) if quick else timed(200, 41, 1000):
        rows.append(found)
        print(f"{found['case']:>32} {1e3 * found['kernel_s']:>10.1f}", flush=True)
    report(measure_sgd(100, 2 if quick else 10, 20 if quick else 1000, repetitions))  # steps as GENNI takes
    report(measure_search((2, 4, 1), "tanh", 4 if quick else 128, 100 if quick else 5000))
    report(measure_search((1, 2, 1), "relu", 8 if quick else 256, 100 if quick else 5000))


if __name__ == "__main__":
    run_benchmark(
        "speed and memory of equivalence classes", compare, print_alone, measure_large,
        large="large grids, nothing else",
    )  # fmt: skip
