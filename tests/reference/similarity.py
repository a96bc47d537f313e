"""Slow twins of the similarity kernel, from the definitions: one autograd call per number, one pair at a time.

Everything is float64. The diagonal is kept (a sample counts itself), hard counts are strict, a sample whose gradient is
zero has similarity 0 with every sample, itself included.
"""

from __future__ import annotations

import copy
import itertools
import math

import numpy as np
import torch

RELATIVE_CUT = 1e-10  # eigenvalues of K(x, x) below this share of the largest count as zero

# ----------------------------------------------------------------------------------------------- Jacobians and blocks


def jacobians(model, inputs, parameters=None, output=None) -> dict[str, np.ndarray]:
    """J of every sample by plain autograd, one output of one sample at a time: {parameter name: (n, d, size)}.

    ``output``: None (all outputs), the number of one, or a function of the outputs (1, C) of one sample.
    """
    model = copy.deepcopy(model).double().eval()
    inputs = torch.as_tensor(np.asarray(inputs))
    inputs = inputs.double() if inputs.is_floating_point() else inputs
    named = dict(model.named_parameters())
    names = [name for name, p in named.items() if p.requires_grad] if parameters is None else list(parameters)
    for name, parameter in named.items():
        parameter.requires_grad_(name in names)
    rows: dict[str, list] = {name: [] for name in names}
    for x in inputs:
        z = model(x[None]).reshape(1, -1)
        z = z if output is None else z[:, [output]] if isinstance(output, int) else output(z).reshape(1, -1)
        found = [
            torch.autograd.grad(value, [named[name] for name in names], retain_graph=True, allow_unused=True)
            for value in z[0]
        ]
        for position, name in enumerate(names):
            zeros = torch.zeros(named[name].numel(), dtype=torch.float64)
            rows[name].append([zeros if g[position] is None else g[position].reshape(-1) for g in found])
    return {name: np.array([[g.numpy() for g in sample] for sample in rows[name]]) for name in names}


def joined(parts) -> np.ndarray:
    """(n, d, p): the Jacobian by all parameters."""
    return np.concatenate(list(parts.values()), axis=2)


def blocks(j, others=None) -> np.ndarray:
    """K(x, x') = J_x J_x'^T, pair by pair: (n, m, d, d)."""
    others = j if others is None else others
    return np.array([[a @ b.T for b in others] for a in j])


def inverse_root(block) -> tuple[np.ndarray, int]:
    """Pseudo-inverse symmetric root of one K(x, x), and its rank."""
    values, vectors = np.linalg.eigh(block)
    kept = values > RELATIVE_CUT * values.max()
    if values.max() <= 0:
        return np.zeros_like(block), 0
    return (vectors[:, kept] / np.sqrt(values[kept])) @ vectors[:, kept].T, int(kept.sum())


def normalised_blocks(j, others=None) -> np.ndarray:
    """K_C = K(x,x)^-1/2 K(x,x') K(x',x')^-1/2."""
    others = j if others is None else others
    left, right = ([inverse_root(a @ a.T)[0] for a in side] for side in (j, others))
    pairs = blocks(j, others)
    return np.array([[u @ k @ v for k, v in zip(row, right, strict=True)] for u, row in zip(left, pairs, strict=True)])


def ranks(j) -> np.ndarray:
    return np.array([inverse_root(a @ a.T)[1] for a in j])


# ------------------------------------------------------------------------------------------------------------ scalars


def _each(pairs, value) -> np.ndarray:
    return np.array([[value(k) for k in row] for row in pairs])


def similarity(j, others=None, kernel: str = "trace") -> np.ndarray:
    """Every scalar kernel: (n, m)."""
    others = j if others is None else others
    d = j.shape[1]
    if kernel in ("trace", "frobenius", "nuclear", "rotation"):
        pairs = normalised_blocks(j, others)
        if kernel == "trace":
            return _each(pairs, lambda k: np.trace(k) / d)
        if kernel == "frobenius":
            return _each(pairs, lambda k: math.sqrt((k**2).sum() / d))
        if kernel == "nuclear":
            return _each(pairs, lambda k: np.linalg.svd(k, compute_uv=False).sum() / d)
        return _each(pairs, _best_rotation)
    if kernel == "flat":
        return _cosines(j.reshape(len(j), -1), others.reshape(len(others), -1))
    assert d == 1
    g, h = j[:, 0], others[:, 0]
    if kernel == "cosine":
        return _cosines(g, h)
    inner = np.array([[a @ b for b in h] for a in g])
    return inner if kernel == "inner" else _quotient(inner, np.array([a @ a for a in g])[:, None])


def _quotient(a, b) -> np.ndarray:
    with np.errstate(all="ignore"):
        return np.where(b == 0, 0.0, a / np.where(b == 0, 1.0, b))


def _cosines(g, h) -> np.ndarray:
    return np.array([[_quotient(a @ b, np.linalg.norm(a) * np.linalg.norm(b)) for b in h] for a in g])


def _best_rotation(k) -> float:
    """The maximum of tr(R K)/2 over the rotations of the plane: a cosine of the angle, so two numbers give it."""
    return math.hypot(k[0, 0] + k[1, 1], k[1, 0] - k[0, 1]) / 2


# ------------------------------------------------------------------------------------------------------------- counts


def neighbour_counts(values, kind: str = "soft", threshold=None, power=None) -> np.ndarray:
    counts = []
    for row in np.asarray(values, dtype=float):
        if kind == "soft":
            counts.append(math.fsum(row))
        elif kind == "hard":
            counts.append(sum(float(k) > threshold for k in row))
        else:
            counts.append(math.fsum(max(k, 0.0) ** power for k in row))
    return np.array(counts)


def nearest(values, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Ids and values of the k most similar others; a square matrix leaves the sample itself out."""
    n, m = np.shape(values)
    ranked = [sorted((-v, j) for j, v in enumerate(row) if n != m or i != j)[:k] for i, row in enumerate(values)]
    return np.array([[j for _, j in r] for r in ranked]), np.array([[-v for v, _ in r] for r in ranked])


def path_length(values, order) -> float:
    """Sum of 1 - k along an order."""
    return math.fsum(1 - values[a][b] for a, b in itertools.pairwise(order))


# ---------------------------------------------------------------------------------------------------------- denoising


def denoise(j, outputs, targets) -> dict[str, np.ndarray]:
    """Sum by sum, with the matrix weights A_ij = K_ij^T (sum_j K_ij^T)^-1: (n, d) estimates, (n, d, d) variances."""
    pairs = blocks(j)
    estimate, variance, consistency = [], [], []
    for i, row in enumerate(pairs):
        inverse = np.linalg.inv(sum(k.T for k in row))
        weights = [k.T @ inverse for k in row]
        estimate.append(sum(y @ a for y, a in zip(targets, weights, strict=True)))
        variance.append(sum(a @ a.T for a in weights))
        consistency.append(np.linalg.norm(outputs[i] - sum(y @ a for y, a in zip(outputs, weights, strict=True))))
    return {"estimate": np.array(estimate), "variance": np.array(variance), "consistency": np.array(consistency)}


def denoise_scalar(inner, outputs, targets) -> dict[str, np.ndarray]:
    """One output: estimate, factor (a standard deviation), signed consistency."""
    sums = inner.sum(1)
    return {
        "estimate": inner @ targets / sums,
        "factor": np.sqrt((inner**2).sum(1)) / np.abs(sums),
        "consistency": outputs - inner @ outputs / sums,
    }


# ---------------------------------------------------------------------------------------------------------- alignment


def kernel_alignment(k, l) -> float:  # noqa: E741
    return _ratio((k * l).sum(), (k * k).sum(), (l * l).sum())


def cka(k, l, debiased: bool = False) -> float:  # noqa: E741
    """NaN where centring leaves nothing of a matrix."""
    if debiased:
        return _ratio(_hsic1(k, l), _hsic1(k, k), _hsic1(l, l))
    n = len(k)
    h = np.eye(n) - np.ones((n, n)) / n
    return kernel_alignment(h @ k @ h, h @ l @ h)


def _ratio(kl, kk, ll) -> float:
    return float(kl / math.sqrt(kk * ll)) if kk > 1e-20 and ll > 1e-20 else math.nan


def _hsic1(k, l) -> float:  # noqa: E741
    """Unbiased HSIC, written with sums over distinct indices (Song et al. 2012)."""
    n = len(k)
    k, l = k - np.diag(np.diag(k)), l - np.diag(np.diag(l))  # noqa: E741
    one = np.ones(n)
    terms = np.trace(k @ l) + (one @ k @ one) * (one @ l @ one) / ((n - 1) * (n - 2)) - 2 / (n - 2) * one @ k @ l @ one
    return float(terms / (n * (n - 3)))


# -------------------------------------------------------------------------------------------------------- label noise


def label_noise_scores(values, labels, method: str, k: int, power: float) -> np.ndarray:
    """Share of the similarity to the others that lies with other labels; NaN where nothing is similar."""
    scores = []
    for i, row in enumerate(values):
        others = [(v, labels[j]) for j, v in enumerate(row) if j != i]
        if method == "nearest":
            others = sorted(others, key=lambda pair: -pair[0])[:k]
        exponent = power if method == "less_soft" else 1
        weights = [(max(v, 0.0) ** exponent, label) for v, label in others]
        total = math.fsum(w for w, _ in weights)
        wrong = math.fsum(w for w, label in weights if label != labels[i])
        scores.append(wrong / total if total else math.nan)
    return np.array(scores)
