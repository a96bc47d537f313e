"""Slices of multilayer perceptrons: the first layer's pre-activations are linear in the coordinates."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from netgeom_widgets.kernels.equivalence.problem import Problem

_CACHE_NUMBERS = 1 << 16  # activations of one chunk: half a MiB, what a core's cache holds beside the weights


class LinearSlice:
    """J at center + c @ basis, with z1(c) = z1(center) + sum_i c_i z1(basis[i]) computed once and for all.

    Parameters
    ----------
    problem : Problem
        Of an MLP.
    center : (P,) Tensor
    basis : (k, P) Tensor

    Notes
    -----
    Exact to rounding. O(k h N) for the first layer of h units and N samples instead of O(d h N) of d inputs.
    """

    def __init__(self, problem: Problem, center: Tensor, basis: Tensor) -> None:
        network = problem.network
        assert network.mlp is not None  # noqa: S101  # by the caller
        self._problem, self._mlp = problem, network.mlp
        theta = torch.cat([center[None], basis])
        # of the centre and every row of the basis, flat, so that one product gives those of many points
        self._first = self._mlp.first_layer(theta, network.features).reshape(len(theta), -1)
        self._above = [
            (weight.reshape(len(theta), -1).contiguous(), None if bias is None else bias.contiguous())
            for weight, bias in self._mlp.weights(theta)[1:]
        ]
        widest = max(self._mlp.widths[1:])
        self.rows_at_once = max(1, min(4096, _CACHE_NUMBERS // (widest * network.n_samples)))

    def loss(self, coordinates: Tensor) -> Tensor:
        """J (m,) at coordinates (m, k)."""
        with torch.no_grad():
            combined = torch.cat([coordinates.new_ones((len(coordinates), 1)), coordinates], dim=1)
            return torch.cat([self._chunk(c) for c in combined.split(self.rows_at_once)])

    def _chunk(self, combined: Tensor) -> Tensor:
        first, *others = self._mlp.layers
        z = (combined @ self._first).view(len(combined), first.n_out, -1)
        weights = [
            ((combined @ weight).view(-1, layer.n_out, layer.n_in), None if bias is None else combined @ bias)
            for layer, (weight, bias) in zip(others, self._above, strict=True)
        ]
        return self._problem.mean_square(self._mlp.above_first(weights, z))
