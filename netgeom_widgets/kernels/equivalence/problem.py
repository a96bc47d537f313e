"""What a class is measured by: the loss J on given samples, and J relative to the best constant, R."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float64
from numpy import ndarray
from torch import Tensor, nn

from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.kernels._inputs import as_array
from netgeom_widgets.kernels.equivalence.network import FlatNetwork


@dataclass(frozen=True, eq=False)
class Problem:
    """A network, inputs and targets.

    Attributes
    ----------
    network : FlatNetwork
    targets : (C, N) Tensor
    variance : float
        Mean over samples and outputs of (y - that output's mean)^2: what R divides by.
    zero_loss, constant_loss : float
        J of the zero function and of the best constant one: whoever is not far below them has learnt nothing.
    is_teacher : bool
        The targets are the model's own outputs.
    """

    network: FlatNetwork
    targets: Tensor
    variance: float
    zero_loss: float
    constant_loss: float
    is_teacher: bool

    def residuals(self, theta: Tensor) -> Tensor:
        """Outputs minus targets, (B, C, N), of theta (B, P)."""
        return self.network.outputs(theta) - self.targets

    def loss(self, theta: Tensor, *, method: str | None = None) -> Tensor:
        """J (B,) of theta (B, P), a chunk at a time."""
        rows = self.network.rows_at_once()
        with torch.no_grad():
            return torch.cat([self.mean_square(self.network.outputs(t, method=method)) for t in theta.split(rows)])

    def mean_square(self, outputs: Tensor) -> Tensor:
        """J (B,) of outputs (B, C, N)."""
        return (outputs - self.targets).square_().mean((1, 2))

    def about(self) -> dict[str, Any]:
        """What every result says of its origin."""
        return {**origin(self.network), "is_teacher": self.is_teacher}


def origin(network: FlatNetwork) -> dict[str, Any]:
    """What a result says of the network and the samples it is about."""
    from netgeom_widgets import __version__

    return {
        "n_samples": network.n_samples,
        "n_parameters": network.n_parameters,
        "model": network.digest,
        "versions": {"netgeom_widgets": __version__, "torch": torch.__version__},
    }


@dataclass(frozen=True, eq=False)
class Losses:
    """Losses of parameter vectors; see `relative_loss`.

    Attributes
    ----------
    loss, relative_loss : (n,) float64
        J, and R = J / variance.
    zero_loss, constant_loss : float
        J of the zero function and of the best constant one.
    variance : float
    """

    loss: Float64[ndarray, " n"]
    relative_loss: Float64[ndarray, " n"]
    zero_loss: float
    constant_loss: float
    variance: float

    @property
    def relative_zero_loss(self) -> float:
        """R of the zero function."""
        return self.zero_loss / self.variance


def as_problem(model: nn.Module, inputs: Any, targets: Any = None) -> Problem:
    """Model, inputs and targets, checked and copied.

    Raises
    ------
    NetgeomError
        As `FlatNetwork`; targets of another shape, not finite, or constant.
    """
    network = FlatNetwork(model, inputs)
    if targets is None:
        y = network.outputs(network.parameters)
    else:
        y = _as_targets(targets, network)
    return problem_of(network, y, is_teacher=targets is None)


def problem_of(network: FlatNetwork, y: Tensor, *, is_teacher: bool = False) -> Problem:
    """The problem of a network that is checked already, and targets (C, N).

    Raises
    ------
    NetgeomError
        Constant targets.
    """
    variance = float((y - y.mean(1, keepdim=True)).square().mean())
    if variance <= (4 * torch.finfo(y.dtype).eps * float(y.abs().max())) ** 2:
        raise NetgeomError(
            "The targets are constant: every loss relative to their variance would be infinite",
            expected="targets that differ between samples",
            got=f"{float(y[0, 0]):g} for all {y.shape[1]} samples{' from the model' * is_teacher}",
            try_this="more samples, or a teacher that is not dead on them",
        )
    return Problem(network, y, variance, float(y.square().mean()), variance, is_teacher)


def _as_targets(targets: Any, network: FlatNetwork) -> Tensor:
    array = as_array(targets, "targets")
    n, c = network.n_samples, network.n_outputs
    if array.ndim < 1 or len(array) != n or array.size != n * c:
        raise NetgeomError(
            "The targets do not fit the model's outputs",
            expected=f"{n} rows of {c} number{'s' * (c > 1)}",
            got=f"shape {array.shape}",
            try_this="one-hot rows for class labels" if array.shape == (n,) and c > 1 else "",
        )
    y = torch.from_numpy(array.astype("float64").reshape(n, c).T.copy())
    if not bool(torch.isfinite(y).all()):
        raise NetgeomError("Some targets are not finite", expected="finite targets", got="NaN or infinity")
    return y


def as_parameters(parameters: Any, n_parameters: int, what: str = "parameters") -> Tensor:
    """Parameter vectors (n, P), or one (P,) as a row; a copy.

    Raises
    ------
    NetgeomError
        Another length, no rows, values that are not finite.
    """
    array = as_array(parameters, what)
    if array.ndim not in (1, 2) or array.shape[-1] != n_parameters or not array.size:
        raise NetgeomError(
            f"The {what} do not fit the model",
            expected=f"({n_parameters},) or (n, {n_parameters}), in the order of model.parameters()",
            got=f"shape {array.shape}",
            try_this="torch.nn.utils.parameters_to_vector(model.parameters())",
        )
    theta = torch.from_numpy(array.astype("float64").reshape(-1, n_parameters).copy())
    if not bool(torch.isfinite(theta).all()):
        raise NetgeomError(f"Some {what} are not finite", expected="finite numbers", got="NaN or infinity")
    return theta


def as_parameter_vector(parameters: Any, n_parameters: int, what: str = "parameters") -> Tensor:
    """One parameter vector (P,); a copy.

    Raises
    ------
    NetgeomError
        As `as_parameters`; several rows.
    """
    rows = as_parameters(parameters, n_parameters, what)
    if len(rows) > 1:
        raise NetgeomError(f"Too many {what}: one is wanted", expected=f"({n_parameters},)", got=f"{len(rows)} rows")
    return rows[0]


def network_at(model: nn.Module, parameters: Any, inputs: Any) -> tuple[FlatNetwork, Tensor]:
    """The network and one parameter vector (P,) of it; None: the model's own.

    Raises
    ------
    NetgeomError
        As `FlatNetwork` and `as_parameter_vector`.
    """
    torch.get_num_threads()  # a fresh thread settles how many it uses only when asked
    network = FlatNetwork(model, inputs)
    if parameters is None:
        return network, network.parameters
    return network, as_parameter_vector(parameters, network.n_parameters)


def relative_loss(model: nn.Module, inputs: Any, targets: Any, parameters: Any) -> Losses:
    """Loss of parameter vectors, absolute and relative.

    J is the mean squared error over samples and outputs; R = J / mean over samples and outputs of (y - that output's
    mean)^2, so that the best constant function has R = 1. An equivalence class is R = 0 *on these samples*.

    Parameters
    ----------
    model : torch.nn.Module
    inputs : array (N, ...)
    targets : array (N, C) or None
        None: the model's own outputs, of which it is the teacher.
    parameters : array (n, P) or (P,)

    Returns
    -------
    Losses

    Raises
    ------
    NetgeomError
        Constant targets, shapes that do not fit, values that are not finite.

    Notes
    -----
    O(n) forward passes over the samples, in float64.
    """
    problem = as_problem(model, inputs, targets)
    theta = as_parameters(parameters, problem.network.n_parameters)
    loss = problem.loss(theta).numpy()
    return Losses(loss, loss / problem.variance, problem.zero_loss, problem.constant_loss, problem.variance)
