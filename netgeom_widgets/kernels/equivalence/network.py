"""A module as a function of one flat parameter vector."""

from __future__ import annotations

import copy
import functools
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap

from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.kernels._model import as_inputs, private_copy, weights_digest
from netgeom_widgets.kernels.equivalence import differentiation
from netgeom_widgets.kernels.equivalence.mlp import MLP
from netgeom_widgets.kernels.equivalence.reading import read_mlp, same_function

_CACHE_NUMBERS = 1 << 17  # activations of one chunk of parameter vectors: what stays in a core's cache, 1 MiB
_TRIED_SAMPLES = 8  # on which a reading as MLP, or vmap, is compared with the module
_BATCHED_PARAMETERS = 10_000  # above, stacked parameter vectors are slower than one after the other


@dataclass(frozen=True)
class Entry:
    """Where one parameter lies in the flat vector, row-major."""

    name: str
    shape: tuple[int, ...]
    part: slice


class FlatNetwork:
    """A private float64 copy of a module, called on the same inputs with whatever parameters.

    Outputs are (..., C, N): outputs first, samples last. Buffers stay as they are, in eval mode.

    Parameters
    ----------
    model : torch.nn.Module
        Takes one tensor, batch first, returns one; it is not changed.
    inputs : array (N, ...)

    Attributes
    ----------
    parameters : (P,) Tensor
        The model's own, in the order of ``model.parameters()``.
    inputs : (N, ...) Tensor
    layout : tuple of Entry
    mlp : MLP or None
        The closed form, where the module is one.
    method : str
        How several parameter vectors are evaluated: "batch" or "loop".
    n_outputs : int
    digest : str
        Of all weights and buffers.
    notes : list of str
        What was found unfit for a faster path, and why.

    Raises
    ------
    NetgeomError
        No module, no parameters, inputs that are not finite, a forward that fails or returns no row for each input.
    """

    def __init__(self, model: nn.Module, inputs: Any) -> None:
        self.model = private_copy(model)
        named = dict(self.model.named_parameters())
        if not sum(parameter.numel() for parameter in named.values()):
            raise NetgeomError("The model has no parameters", expected="a module with parameters, all of them real")
        self.parameters = torch.cat([parameter.detach().reshape(-1) for parameter in named.values()])
        self.layout = _layout(named)
        self.digest = weights_digest(self.model)
        self.inputs = as_inputs(inputs, torch.float64)
        self.n_outputs = len(self._first_outputs())
        self.mlp: MLP | None = None
        self.method = "loop"
        self.notes: list[str] = []
        self._settle()

    @property
    def n_parameters(self) -> int:
        """P."""
        return len(self.parameters)

    @property
    def n_samples(self) -> int:
        """N."""
        return len(self.inputs)

    @functools.cached_property
    def features(self) -> Tensor:
        """The inputs as (n_in, N), for the closed form."""
        return self.inputs.reshape(len(self.inputs), -1).T.contiguous()

    def at(self, inputs: Any) -> FlatNetwork:
        """The same function on other inputs."""
        return FlatNetwork(self.model, inputs)

    def on(self, samples: slice) -> FlatNetwork:
        """The same function on some of its inputs, which are not checked again."""
        found = copy.copy(self)
        vars(found).pop("features", None)
        found.inputs = self.inputs[samples]
        return found

    def outputs(self, theta: Tensor, *, method: str | None = None) -> Tensor:
        """(C, N) of theta (P,), (B, C, N) of theta (B, P)."""
        if theta.ndim == 1:
            return self.outputs(theta[None], method=method)[0]
        if self.mlp is not None and method is None:
            return self.mlp.outputs(theta, self.features)
        if (method or self.method) == "batch" and len(theta) > 1:
            return self._batched(theta, self.inputs)
        return torch.stack([self.one(row) for row in theta])

    def jacobian(self, theta: Tensor) -> tuple[Tensor, Tensor]:
        """Outputs (B, C, N) and their derivatives (B, P, C, N) by theta (B, P)."""
        if self.mlp is not None:
            return self.mlp.jacobian(theta, self.features)
        return self.outputs(theta), torch.stack([differentiation.jacobian(self, row) for row in theta])

    def pullback(self, theta: Tensor, weigh: Callable[[Tensor], Tensor]) -> tuple[Tensor, Tensor]:
        """Outputs (B, C, N), and the gradients (B, P) of sum(weigh(outputs) * outputs) with the weights held fixed."""
        if self.mlp is not None:
            return self.mlp.pullback(theta, self.features, weigh)
        return differentiation.pullback(self, theta, weigh)

    def jvp(self, theta: Tensor, directions: Tensor) -> Tensor:
        """The Jacobian at theta (P,) times directions (k, P): (k, C, N)."""
        if self.mlp is not None:
            return self.mlp.jvp(theta, self.features, directions)
        return differentiation.jvp(self, theta, directions)

    def vjp(self, theta: Tensor, cotangents: Tensor) -> Tensor:
        """Cotangents (k, C, N) times the Jacobian at theta (P,): (k, P)."""
        if self.mlp is not None:
            return self.mlp.vjp(theta, self.features, cotangents)
        return differentiation.vjp(self, theta, cotangents)

    def rows_at_once(self, numbers: int | None = None) -> int:
        """Parameter vectors whose activations, or whose `numbers` each, stay in a core's cache."""
        widest = max(self.mlp.widths[1:]) if self.mlp else self.n_outputs
        return max(1, min(4096, _CACHE_NUMBERS // max(1, numbers or widest * self.n_samples)))

    def views(self, theta: Tensor) -> dict[str, Tensor]:
        """Parameters by name, of theta (P,)."""
        return {entry.name: theta[entry.part].view(entry.shape) for entry in self.layout}

    def one(self, theta: Tensor, inputs: Tensor | None = None) -> Tensor:
        """Outputs (C, N) of theta (P,) by the module itself; differentiable."""
        inputs = self.inputs if inputs is None else inputs
        inputs = inputs.clone() if self._overwrites else inputs
        return functional_call(self.model, self.views(theta), (inputs,)).reshape(len(inputs), -1).T

    def _batched(self, theta: Tensor, inputs: Tensor) -> Tensor:
        with warnings.catch_warnings():  # torch warns of operations that it batches slowly
            warnings.simplefilter("ignore")
            return vmap(lambda row: self.one(row, inputs))(theta)

    def _first_outputs(self) -> Tensor:
        """Outputs (C, N), checked; inputs that are whole numbers become floats where the module takes no others."""
        given = self.inputs.clone()
        try:
            with torch.no_grad():
                try:
                    result = self.model(given)
                except Exception:
                    if self.inputs.is_floating_point():
                        raise
                    self.inputs = self.inputs.double()
                    given = self.inputs.clone()
                    result = self.model(given)
        except Exception as error:  # the user's forward raises whatever it likes
            raise NetgeomError(
                f"The model fails on the inputs ({type(error).__name__}: {error})",
                expected=f"a forward in float64 on a tensor of shape {(*self.inputs.shape,)}",
                try_this="inputs of the shape that the model was made for, batch first",
            ) from error
        if not isinstance(result, Tensor) or not result.ndim or len(result) != len(self.inputs) or not result.numel():
            raise NetgeomError(
                "The model does not give one row of outputs per input",
                expected=f"a tensor whose first size is {len(self.inputs)}",
                got=f"shape {(*result.shape,)}" if isinstance(result, Tensor) else type(result).__name__,
            )
        if not bool(torch.isfinite(result).all()):
            raise NetgeomError(
                "Some outputs of the model are not finite", expected="finite outputs", got="NaN or infinity"
            )
        self._overwrites = not torch.equal(given, self.inputs)
        outputs = result.reshape(len(self.inputs), -1).T.clone()
        self._require_repeatable(outputs)
        return outputs

    def _require_repeatable(self, outputs: Tensor) -> None:
        with torch.no_grad():
            again = self.one(self.parameters)
        change = float((again - outputs).abs().max())
        if not change <= 1e-9 * float(outputs.abs().max()):
            raise NetgeomError(
                "The model gives other outputs when it is called again",
                expected="outputs that depend on parameters and inputs alone, in eval mode",
                got=f"a change by {change:.2g}",
                try_this="no random numbers in forward, such as dropout without training=self.training, and no buffers"
                " that change with each call",
            )

    def _settle(self) -> None:
        """Which way holds: the closed form, vmap, or one parameter vector after the other."""
        few, tried, expected = trial = self._trial()
        mlp = read_mlp(self.model, {entry.name: entry.part for entry in self.layout})
        with torch.no_grad():
            if mlp is not None and same_function(mlp, tried, few.reshape(len(few), -1).T, expected):
                self.mlp, self.method = mlp, "batch"
            elif self.n_parameters <= _BATCHED_PARAMETERS and self._batches(*trial):
                self.method = "batch"

    def can_batch(self) -> bool:
        """Whether vmap gives the module's own values at a few parameter vectors; `notes` say why not."""
        return self._batches(*self._trial())

    def _batches(self, few: Tensor, tried: Tensor, expected: Tensor) -> bool:
        with torch.no_grad():
            try:
                found = self._batched(tried, few)
            except Exception as error:  # noqa: BLE001 - vmap raises many kinds; the module itself has been called
                self.notes.append(f"vmap cannot batch this model ({type(error).__name__}); one by one instead")
                return False
        if not torch.allclose(found, expected, rtol=1e-9, atol=1e-12, equal_nan=True):
            self.notes.append("vmap gives other values for this model; one by one instead")
            return False
        return True

    def _trial(self) -> tuple[Tensor, Tensor, Tensor]:
        """A few samples, a few parameter vectors (B, P) about the model's own, and the module's outputs (B, C, n)."""
        noise = torch.randn((3, self.n_parameters), dtype=torch.float64, generator=torch.Generator().manual_seed(0))
        few, tried = self.inputs[:_TRIED_SAMPLES], torch.cat([self.parameters[None], self.parameters + noise])
        with torch.no_grad():
            return few, tried, torch.stack([self.one(row, few) for row in tried])


def _layout(named: dict[str, nn.Parameter]) -> tuple[Entry, ...]:
    entries, start = [], 0
    for name, parameter in named.items():
        if not parameter.is_floating_point():
            raise NetgeomError(
                f"{name} holds no real numbers", expected="floating parameters", got=f"{parameter.dtype}"
            )
        entries.append(Entry(name, tuple(parameter.shape), slice(start, start + parameter.numel())))
        start += parameter.numel()
    return tuple(entries)
