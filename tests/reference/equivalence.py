"""Slow twins of the equivalence kernel, from the definitions: one parameter vector, one number, one derivative a time.

Everything is float64. A parameter vector holds the parameters of a module in `model.parameters()` order, row-major.
"""

from __future__ import annotations

import copy
import itertools

import numpy as np
import torch
from torch import nn

# ---------------------------------------------------------------------------------------------------------- functions


def at(model: nn.Module, theta) -> nn.Module:
    """A copy in eval mode with these parameters."""
    model = copy.deepcopy(model).double().eval()
    nn.utils.vector_to_parameters(torch.as_tensor(np.asarray(theta, dtype=np.float64)), model.parameters())
    return model


def outputs(model: nn.Module, theta, inputs) -> np.ndarray:
    """(N, C), one sample at a time."""
    model = at(model, theta)
    with torch.no_grad():
        samples = torch.tensor(np.asarray(inputs), dtype=torch.float64)  # copied: a model may write into it
        return np.array([model(x[None]).reshape(-1).numpy() for x in samples])


def loss(model: nn.Module, theta, inputs, targets) -> float:
    """J: mean squared error over samples and outputs."""
    found, targets = outputs(model, theta, inputs), np.asarray(targets, dtype=np.float64)
    return float(np.mean((found - targets.reshape(found.shape)) ** 2))


def variance(targets) -> float:
    """What R divides J by: the J of each output's own mean."""
    targets = np.asarray(targets, dtype=np.float64)
    targets = targets.reshape(len(targets), -1)
    return float(np.mean([(column - column.mean()) ** 2 for column in targets.T]))


def relative_loss(model: nn.Module, theta, inputs, targets) -> float:
    return loss(model, theta, inputs, targets) / variance(targets)


def jacobian(model: nn.Module, theta, inputs) -> np.ndarray:
    """(N * C, P): derivatives of every output of every sample, samples first, one autograd call each."""
    model = at(model, theta).requires_grad_()
    rows = []
    for x in torch.tensor(np.asarray(inputs), dtype=torch.float64):
        for value in model(x[None]).reshape(-1):
            found = torch.autograd.grad(
                value, list(model.parameters()), retain_graph=True, allow_unused=True, materialize_grads=True
            )
            rows.append(np.concatenate([g.reshape(-1).numpy() for g in found]))
    return np.array(rows)


def null_basis(jacobian: np.ndarray, rtol: float = 1e-9) -> np.ndarray:
    """Rows: orthonormal directions that no output feels; singular values below `rtol` of the largest count as zero."""
    _, values, directions = np.linalg.svd(jacobian, full_matrices=True)
    rank = int((values > rtol * values.max(initial=0)).sum())
    return directions[rank:]


# ------------------------------------------------------------------------------------------------------------- slices


def gram_schmidt(center, elements, rtol: float = 1e-9) -> np.ndarray:
    """Orthonormal rows of span(elements - center), one for each element that adds a direction, in the given order."""
    basis: list[np.ndarray] = []
    differences = [np.asarray(element) - np.asarray(center) for element in elements]
    for difference in differences:
        rest = difference.copy()
        for _ in range(2):  # twice is enough (Kahan, Parlett): once leaves rounding errors of what was taken away
            for row in basis:
                rest -= (rest @ row) * row
        if np.linalg.norm(rest) > rtol * max(np.linalg.norm(d) for d in differences):
            basis.append(rest / np.linalg.norm(rest))
    return np.array(basis).reshape(len(basis), np.size(center))


def coordinates(point, center, basis) -> tuple[np.ndarray, float]:
    """Those of the nearest point of the plane, and its distance: least squares."""
    difference, basis = np.asarray(point) - np.asarray(center), np.asarray(basis)
    found = np.linalg.lstsq(basis.T, difference, rcond=None)[0]
    return found, float(np.linalg.norm(difference - found @ basis))


def loss_slice(model: nn.Module, inputs, targets, center, basis, axes) -> np.ndarray:
    """J at center + sum_i c_i basis[i], point by point; the first array axis is the first row of the basis."""
    values = np.empty([len(axis) for axis in axes])
    for index in itertools.product(*(range(n) for n in values.shape)):
        theta = np.array(center, dtype=np.float64)
        for row, axis, i in zip(basis, axes, index, strict=True):
            theta += axis[i] * np.asarray(row)
        values[index] = loss(model, theta, inputs, targets)
    return values


def epsilon_set(values, axes, epsilon: float) -> list[tuple[float, ...]]:
    """Coordinates of the grid points whose value is at most epsilon, in C order."""
    return [
        tuple(float(axis[i]) for axis, i in zip(axes, index, strict=True))
        for index in np.ndindex(*np.shape(values))
        if values[index] <= epsilon
    ]


# ------------------------------------------------------------------------------------------------------------- images


def image(sizes, bias: bool, theta, perm, scale) -> np.ndarray:
    """One hidden layer: new unit i is old unit j = perm[i], incoming weights times scale[j], outgoing ones over it."""
    d, h, o = (int(size) for size in sizes)
    parts = np.split(np.asarray(theta), np.cumsum([h * d, h, o * h] if bias else [h * d]))
    incoming, outgoing = parts[0].reshape(h, d), parts[-2 if bias else -1].reshape(o, h)
    scale = np.asarray(scale, dtype=np.float64)[perm]
    new = [incoming[perm] * scale[:, None], *([parts[1][perm] * scale] if bias else []), outgoing[:, perm] / scale]
    return np.concatenate([*(part.reshape(-1) for part in new), *([parts[-1]] if bias else [])])


# ------------------------------------------------------------------------------------------------------------- search


def descend(model: nn.Module, theta, inputs, targets, steps: int, lr: float) -> np.ndarray:
    """Plain gradient descent on J by torch's own optimiser: the weights after so many steps, one net."""
    model = at(model, theta).requires_grad_()
    inputs, targets = (torch.as_tensor(np.asarray(a)).double() for a in (inputs, targets))
    optimizer = torch.optim.SGD(model.parameters(), lr=lr)
    for _ in range(steps):
        optimizer.zero_grad()
        nn.functional.mse_loss(model(inputs).reshape(len(inputs), -1), targets.reshape(len(inputs), -1)).backward()
        optimizer.step()
    return nn.utils.parameters_to_vector(model.parameters()).detach().numpy()
