"""Singular values and right singular vectors of the Jacobian of the outputs, by QR: it is never squared."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float64
from torch import Tensor

from netgeom_widgets.errors import NetgeomError, TooLargeError
from netgeom_widgets.execution import Cancel, as_cancel
from netgeom_widgets.kernels._memory import require_memory
from netgeom_widgets.kernels.equivalence.network import FlatNetwork

LARGEST_DENSE = 5_000  # parameters, or outputs of samples: the SVD of a triangle of this size takes a minute or two
LARGEST_JACOBIAN = 200_000_000  # entries where there are more parameters: 1.6 GB, of which three are needed
_BLOCK = 1 << 22  # entries of the Jacobian at a time: 32 MiB


@dataclass(frozen=True, eq=False)
class JacobianSVD:
    """J = U S V^T of the (N C, P) Jacobian at one parameter vector, m = min(P, N C).

    Attributes
    ----------
    singular_values : (m,)
        Descending.
    vectors : (m, P)
        Right singular vectors, rows; orthonormal.
    half_values : (min(P, (N // 2) C),) or None
        Those of the Jacobian on the first half of the samples, where asked for.
    coefficients : (m,) or None
        U^T of the residuals given.
    """

    singular_values: Float64[Tensor, " m"]
    vectors: Float64[Tensor, "m P"]
    half_values: Float64[Tensor, " h"] | None = None
    coefficients: Float64[Tensor, " m"] | None = None

    def rank(self, rtol: float) -> int:
        """How many singular values are above rtol times the largest."""
        return count_above(self.singular_values, rtol)


def count_above(values: Float64[Tensor, " m"], rtol: float) -> int:
    """How many of descending values are above rtol times the first."""
    return int((values > rtol * values[0]).sum()) if len(values) else 0


def as_rtol(rtol: float) -> float:
    """A share of the largest singular value.

    Raises
    ------
    NetgeomError
        Not between 0 and 1.
    """
    if not 0 < rtol < 1:  # NaN too
        raise NetgeomError("rtol is out of range", expected="a number between 0 and 1", got=f"{rtol!r}")
    return float(rtol)


def is_dense(network: FlatNetwork) -> bool:
    """Whether P or N C is small enough for a factorisation."""
    n_rows = network.n_samples * network.n_outputs
    return network.n_parameters <= LARGEST_DENSE or n_rows <= most_rows(network.n_parameters)


def most_rows(n_parameters: int) -> int:
    """Outputs of samples up to which the Jacobian by more than `LARGEST_DENSE` parameters is factored."""
    return min(LARGEST_DENSE, LARGEST_JACOBIAN // n_parameters)


def jacobian_svd(
    network: FlatNetwork,
    theta: Float64[Tensor, " P"],
    residuals: Float64[Tensor, "C N"] | None = None,
    *,
    halves: bool = False,
    cancel: Cancel | None = None,
) -> JacobianSVD:
    """Factor the Jacobian at theta.

    With N C >= P its rows are reduced to a triangle, a block of samples at a time (TSQR), and the SVD is that of the
    triangle. With N C < P the transpose is reduced. Both are backward stable: singular values are within a small
    multiple of 1e-16 of the largest, where the eigenvalues of J J^T would be within 1e-8.

    Raises
    ------
    NetgeomError
        Derivatives that are not finite.
    TooLargeError
        More than `LARGEST_DENSE` parameters with more outputs than `most_rows`, or what is needed at once does not fit
        in memory.

    Notes
    -----
    Time O(N C P min(N C, P)): 20 s on one core for 3,183 parameters and 6,000 outputs. Memory P^2 and a block, or three
    times N C P.
    """
    cancel, p = as_cancel(cancel), network.n_parameters
    n_rows = network.n_samples * network.n_outputs
    if not is_dense(network):
        raise TooLargeError(
            "The Jacobian is too large to be factored",
            expected=f"at most {LARGEST_DENSE} parameters, or at most {most_rows(p)} outputs of samples",
            got=f"{p} parameters, {network.n_samples} samples of {network.n_outputs} outputs",
            try_this=f"the first {max(1, most_rows(p) // network.n_outputs)} samples",
        )
    if n_rows < p:
        require_memory(24 * n_rows * p, "The Jacobian", "fewer samples")
        return _of_transpose(network, theta, residuals, halves, cancel)
    require_memory(48 * (p + 1) ** 2 + 16 * _BLOCK, "The triangle of the Jacobian", "a smaller network")
    half = network.n_samples // 2 if halves else 0
    first = _triangle(network, theta, residuals, range(half), None, cancel)
    whole = _triangle(network, theta, residuals, range(half, network.n_samples), first, cancel)
    left, values, vectors = torch.linalg.svd(whole[:p, :p])
    cancel.checkpoint()
    coefficients = None if residuals is None else left.T @ whole[:p, p]
    return JacobianSVD(values, vectors, torch.linalg.svdvals(first[:, :p]) if halves else None, coefficients)


def _triangle(
    network: FlatNetwork,
    theta: Tensor,
    residuals: Tensor | None,
    samples: range,
    triangle: Tensor | None,
    cancel: Cancel,
) -> Tensor:
    """R of the QR of earlier rows, given by their triangle, and those of the samples; residuals are a last column."""
    width = network.n_parameters + (residuals is not None)
    found = theta.new_zeros((0, width)) if triangle is None else triangle
    step = max(1, max(_BLOCK // width, width) // network.n_outputs)
    for at in range(samples.start, samples.stop, step):
        cancel.checkpoint()
        part = slice(at, min(at + step, samples.stop))
        rows = _rows(network, theta, part)
        if residuals is not None:
            rows = torch.cat([rows, residuals[:, part].T.reshape(-1, 1)], 1)
        found = torch.linalg.qr(torch.cat([found, rows]), mode="r").R
    return found


def _rows(network: FlatNetwork, theta: Tensor, samples: slice) -> Float64[Tensor, "rows P"]:
    """The Jacobian of some samples, one row for each output of each sample."""
    outputs, jacobian = network.on(samples).jacobian(theta[None])
    require_finite(outputs)
    return require_finite(jacobian)[0].permute(2, 1, 0).reshape(-1, network.n_parameters)


def require_finite(found: Tensor) -> Tensor:
    """Outputs or derivatives as they are.

    Raises
    ------
    NetgeomError
        Some are not finite.
    """
    if not bool(torch.isfinite(found).all()):
        raise NetgeomError(
            "At these parameters outputs or their derivatives are not finite",
            expected="finite numbers",
            got="NaN or infinity",
            try_this="parameters that are not so large, inputs away from singular points of the model's operations",
        )
    return found


def _of_transpose(
    network: FlatNetwork, theta: Tensor, residuals: Tensor | None, halves: bool, cancel: Cancel
) -> JacobianSVD:
    """J^T = Q R, R = A S B^T: the right singular vectors are the columns of Q A, the left ones those of B."""
    step = max(1, _BLOCK // (network.n_parameters * network.n_outputs))
    transpose = theta.new_empty((network.n_parameters, network.n_samples * network.n_outputs))
    for at in range(0, network.n_samples, step):
        cancel.checkpoint()
        part = slice(at, min(at + step, network.n_samples))
        transpose[:, part.start * network.n_outputs : part.stop * network.n_outputs] = _rows(network, theta, part).T
    q, triangle = torch.linalg.qr(transpose)
    del transpose
    cancel.checkpoint()
    right, values, left = torch.linalg.svd(triangle)
    half = network.n_samples // 2 * network.n_outputs
    coefficients = None if residuals is None else left @ residuals.T.reshape(-1)
    of_half = torch.linalg.svdvals(triangle[:half, :half]) if halves else None
    return JacobianSVD(values, (q @ right).T, of_half, coefficients)
