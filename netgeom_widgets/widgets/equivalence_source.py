"""What an equivalence slice viewer is about: a model with its inputs and elements, or a grid of losses."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from netgeom_widgets.errors import NetgeomError

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True, eq=False)
class GivenSlice:
    """A grid of losses that somebody else computed; nothing is known of where it lies.

    Attributes
    ----------
    loss : (m, ...) float64
        First array axis = first coordinate.
    axes : tuple of (m,) float64
        One to three.
    """

    loss: np.ndarray
    axes: tuple[np.ndarray, ...]
    relative_loss: None = None
    zero_loss: None = None
    settings: dict[str, Any] = field(default_factory=dict)

    def layer(self, third: float) -> GivenSlice:
        """What is shown of it: of three axes the first two, at the point of the third next to a coordinate."""
        if len(self.axes) < 3:
            return self
        at = int(np.argmin(np.abs(self.axes[2] - third)))
        return GivenSlice(self.loss[..., at], self.axes[:2])


class Source:
    """What was given, checked; nothing in it changes later.

    Parameters
    ----------
    model, inputs, targets, elements, loss, axes, basis, curves
        See :class:`netgeom_widgets.EquivalenceSliceViewer`.

    Attributes
    ----------
    model : torch.nn.Module or None
        The one given, never touched.
    inputs, targets : array or tensor, or None
    given : (n, P) float64, Elements or None
        The elements given.
    grid : GivenSlice or None
    basis : (k, P) float64 or None
        The own directions.
    curves : dict of str to (n, P) float64
    n_parameters, n_samples, n_outputs : int
        0 for a grid.

    Raises
    ------
    NetgeomError
        For anything else, or what does not fit together.
    """

    n_parameters = n_samples = n_outputs = 0
    input_shape: tuple[int, ...] = ()
    known: Any = None

    def __init__(
        self,
        model: Any,
        inputs: Any,
        targets: Any = None,
        elements: Any = None,
        loss: Any = None,
        axes: Any = None,
        *,
        basis: Any = None,
        curves: Any = None,
    ) -> None:
        self.model, self.inputs, self.targets = model, inputs, targets
        self.given: Any = None
        self.basis: np.ndarray | None = None
        self.curves: dict[str, np.ndarray] = {}
        self.grid = _grid_of(loss, axes)
        if self.grid is not None:
            given = {"model": model, "elements": elements, "basis": basis, "curves": curves}
            _refuse_beside_grid([name for name, value in given.items() if value is not None])
            return
        if model is None or inputs is None:
            missing = "model" if model is None else "inputs"
            raise NetgeomError(f"No {missing} given.", expected="model and inputs, or loss and axes", got="None")
        self._look_at(self.copied())
        self.given = None if elements is None else self._elements_of(elements)
        if basis is not None:
            from netgeom_widgets.kernels.equivalence import as_basis

            self.basis = np.asarray(as_basis(basis, self.n_parameters), dtype=np.float64)
        self.curves = _curves_of(curves, self.n_parameters)

    @property
    def is_grid(self) -> bool:
        """Whether a grid of losses was given, and nothing is computed."""
        return self.grid is not None

    @property
    def is_teacher(self) -> bool:
        """Whether the targets are the model's own outputs."""
        return not self.is_grid and self.targets is None

    def copied(self) -> nn.Module:
        """The model as it is now, in float64 and eval mode; on the caller's thread."""
        from netgeom_widgets.kernels._model import private_copy

        return private_copy(self.model)

    def problem(self, model: nn.Module) -> Any:
        """The loss of a copy of the model as a function of its parameters; of use on one thread only."""
        from netgeom_widgets.kernels.equivalence.problem import as_problem

        return as_problem(model, self.inputs, self.targets)

    def _look_at(self, model: nn.Module) -> None:
        """Count, and refuse what the kernels refuse, before anything starts."""
        problem = self.known = self.problem(model)
        network = problem.network
        self.n_parameters, self.n_samples = int(network.n_parameters), int(network.n_samples)
        self.n_outputs, self.input_shape = int(network.n_outputs), tuple(np.shape(network.inputs)[1:])

    def _elements_of(self, elements: Any) -> Any:
        """Elements as Elements or as parameter vectors."""
        from netgeom_widgets.kernels._arrays import load_npy
        from netgeom_widgets.kernels.equivalence import Elements

        if isinstance(elements, str | os.PathLike) and Path(elements).suffix == ".npz":
            elements = Elements.load(elements)
        elif isinstance(elements, str | os.PathLike):
            elements = load_npy(elements, ".npy of parameter vectors (n, P), or .npz written by Elements.save")
        if isinstance(elements, Elements):
            _check_fit(elements, self.n_parameters)
            return elements
        if hasattr(elements, "shape"):
            return _vectors("elements", elements, self.n_parameters)
        if isinstance(elements, Sequence | Mapping) and elements and not _is_numbers(elements):
            return self._parameters_of(elements)
        return _vectors("elements", elements, self.n_parameters)

    def _parameters_of(self, networks: Any) -> np.ndarray:
        """Parameter vectors of modules, state dicts, or files of these."""
        from torch.nn.utils import parameters_to_vector

        from netgeom_widgets.widgets.checkpoints import Checkpoints

        found = Checkpoints.of(self.copied(), networks)
        rows = [parameters_to_vector(found.model(at).parameters()).double() for at in range(len(found.steps))]
        return _vectors("elements", np.stack([row.detach().cpu().numpy() for row in rows]), self.n_parameters)


def _grid_of(loss: Any, axes: Any) -> GivenSlice | None:
    if loss is None and axes is None:
        return None
    if loss is None or axes is None:
        missing = "loss" if loss is None else "axes"
        raise NetgeomError("A grid is its losses and its axes.", expected="loss and axes", got=f"no {missing}")
    from netgeom_widgets.kernels._inputs import as_array

    values = as_array(loss, "loss").astype(np.float64)
    axes = [axes] if values.ndim == 1 and np.ndim(axes) == 1 else list(axes)
    arrays = tuple(as_array(axis, "axes").astype(np.float64) for axis in axes)
    if values.ndim not in (1, 2, 3) or values.shape != tuple(axis.size for axis in arrays):
        raise NetgeomError(
            "The grid does not fit its axes.",
            expected="loss (len(axes[0]), ...) of one to three axes, first array axis = first coordinate",
            got=f"loss {values.shape}, axes of {', '.join(str(axis.size) for axis in arrays)}",
        )
    if not np.isfinite(values).any():
        raise NetgeomError("The grid has no finite loss.", expected="at least one", got="none")
    return GivenSlice(values, arrays)


def _refuse_beside_grid(given: list[str]) -> None:
    if given:
        raise NetgeomError(
            "A grid is shown as it is.", expected="loss and axes alone", got=", ".join(given),
            try_this="elements and planes of a model: leave out loss and axes, and they are computed",
        )  # fmt: skip


def _curves_of(curves: Any, n_parameters: int) -> dict[str, np.ndarray]:
    if curves is None:
        return {}
    if not isinstance(curves, Mapping):
        raise NetgeomError(
            "curves is not understood.", expected="{name: (n, P) parameters along it}", got=type(curves).__name__
        )
    return {
        str(name): _vectors(f"parameters of the curve {name!r}", curve, n_parameters) for name, curve in curves.items()
    }


def _is_numbers(value: Any) -> bool:
    """Whether it is a list of rows of numbers, and not of networks."""
    return not isinstance(value, Mapping) and not any(
        hasattr(item, "state_dict") or isinstance(item, Mapping | str | os.PathLike) for item in value
    )


def _vectors(what: str, value: Any, n_parameters: int) -> np.ndarray:
    from netgeom_widgets.kernels.equivalence.problem import as_parameters

    return np.asarray(as_parameters(value, n_parameters, what).numpy())


def _check_fit(elements: Any, n_parameters: int) -> None:
    found = elements.parameters.shape[1]
    if found != n_parameters:
        raise NetgeomError("The elements do not fit the model.", expected=f"{n_parameters} parameters", got=f"{found}")
