"""Gradients of a network at many samples, in factors, a block of samples at a time, checked against autograd."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.execution import Cancel
from netgeom_widgets.kernels.similarity.checking import Check, check
from netgeom_widgets.kernels.similarity.factors import Factor, Vectors
from netgeom_widgets.kernels.similarity.inputs import Network
from netgeom_widgets.kernels.similarity.jacobians import batched_jacobians, looped_jacobians
from netgeom_widgets.kernels.similarity.layer_path import LayerGradients, evaluated, layer_gradients
from netgeom_widgets.kernels.similarity.normalisation import Scales, scales
from netgeom_widgets.kernels.similarity.outputs import Output
from netgeom_widgets.kernels.similarity.positions import Positions

_CHECKED = 4  # samples
_NUMBERS_AT_ONCE = 1 << 25  # activations and cotangents of one pass: 128 MiB in float32
_VECTOR_NUMBERS = 1 << 26  # of one parameter's gradients, kept whole where that makes products cheaper: 256 MiB


Before = Callable[[float], Any]
"""Called before each parameter's products with the share of parameters that is done."""


@dataclass(frozen=True, eq=False)
class Block:
    """Scaled gradients of some samples.

    Attributes
    ----------
    factors : dict of str to Factor
        By parameter.
    scales : Scales
    outputs : (n, C) Tensor
    """

    factors: dict[str, Factor]
    scales: Scales
    outputs: Tensor

    def __len__(self) -> int:
        return len(self.outputs)

    def traces(self, other: Block, before_each: Before | None = None) -> Tensor:
        """sum_c g[i, c] . g'[j, c] over all parameters, (n, m)."""
        return _sum(factor.traces(right) for factor, right in self._factors_with(other, before_each))

    def traces_by_parameter(self, other: Block, before_each: Before | None = None) -> dict[str, Tensor]:
        """The same for each parameter by itself."""
        found = (factor.traces(right) for factor, right in self._factors_with(other, before_each))
        return dict(zip(self.factors, found, strict=True))

    def blocks(self, other: Block, before_each: Before | None = None) -> Tensor:
        """g[i, c] . g'[j, e] over all parameters, (n, m, d, d)."""
        return _sum(factor.blocks(right) for factor, right in self._factors_with(other, before_each))

    def _factors_with(self, other: Block, before_each: Before | None) -> Iterator[tuple[Factor, Factor]]:
        _settle_threads()
        for number, (name, factor) in enumerate(self.factors.items()):
            if before_each is not None:
                before_each(number / len(self.factors))
            yield factor, other.factors[name]


class Gradients:
    """How the gradients of one network are taken: by which path for which parameter, settled on a few samples.

    Parameters
    ----------
    network : Network
    inputs : (n, ...) Tensor
    output : Output
    targets : (n, ...) Tensor or None
    by_parameter : bool
        Keep biases apart from weights.
    n_samples : int
        In all, over which gradients may be kept whole where that is cheaper.
    rng : numpy Generator
        Chooses the samples of the check.

    Attributes
    ----------
    method : dict of str to str
        By parameter: "layers" (in factors), "jacobian" (whole, vmap of jacrev), "loop" (whole, one by one).
    notes : list of str
        What was found unfit for the faster path, and why.
    n_outputs : int
        d, of the chosen function.
    numbers_per_sample : int
        Kept for each sample.
    rows_at_once : int
        Samples that one pass takes in bounded memory.
    """

    def __init__(
        self,
        network: Network,
        inputs: Tensor,
        output: Output,
        targets: Tensor | None,
        *,
        by_parameter: bool,
        n_samples: int,
        rng: np.random.Generator,
    ) -> None:
        self.network, self.output, self._by_parameter, self._n_samples = network, output, by_parameter, n_samples
        rows = torch.from_numpy(np.sort(rng.choice(len(inputs), min(_CHECKED, len(inputs)), replace=False)))
        self.converts = _takes_floats_only(network, inputs[rows])
        few, few_targets = self._given(inputs[rows]), None if targets is None else targets[rows]
        self._forms: dict[str, type[Any]] | None = None
        self.method: dict[str, str] = {}
        self.notes: list[str] = []
        checked = check(network, few, output, few_targets, rng)
        self.n_outputs = checked.n_outputs
        kept = self._settle(checked)
        self.numbers_per_sample = max(1, -(-kept // len(few)))
        # beside what is kept: cotangents of d outputs and what autograd holds, the larger where images are
        passing = self.numbers_per_sample + (1 + self.n_outputs) * _saved_numbers(network, few[:1])
        self.rows_at_once = max(1, min(1024, _NUMBERS_AT_ONCE // passing))

    def _given(self, inputs: Tensor) -> Tensor:
        return inputs.to(self.network.dtype) if self.converts else inputs

    def _settle(self, checked: Check) -> int:
        """Choose a path for each parameter, the first that passes the check; numbers kept by all."""
        found, holds = _layers_that_hold(checked)
        for name in self.network.parameters:
            self.method[name] = "layers" if name in holds else "jacobian"
            if self.method[name] != "layers" and name not in found.others:
                error = checked.error(name, found.factors.get(name))
                self.notes.append(f"{name}: its layer form is off by {error:.1g} from autograd; differentiated whole")
        whole = [name for name, method in self.method.items() if method == "jacobian"]
        if whole:
            self._settle_whole(whole, checked)
        kept = [self._smaller(factor).numel for name, factor in found.factors.items() if name in holds]
        return sum(kept) + sum(self.network.parameters[name].numel() for name in whole) * checked.cotangents.numel()

    def _settle_whole(self, names: list[str], checked: Check) -> None:
        """Of parameters differentiated whole: in batches, or one by one where torch cannot."""
        for attempt in (checked, checked.in_double()):
            if attempt is None:
                break
            try:
                values = batched_jacobians(attempt.network, attempt.inputs, attempt.output, attempt.targets, names)
            except Exception as error:  # noqa: BLE001  # whatever torch raises where it cannot batch: the loop is right
                reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
                self._fall_back(names, f"torch cannot batch its gradients ({reason[:120]})")
                return
            if all(attempt.holds(name, Vectors(values[name])) for name in names):
                return
        self._fall_back(names, "batched gradients disagree with autograd")

    def _fall_back(self, names: list[str], why: str) -> None:
        self.method.update(dict.fromkeys(names, "loop"))
        self.notes.append(f"{', '.join(names)}: {why}; differentiated sample by sample, which is slow")

    # ---------------------------------------------------------------------------------------------------- the factors

    def block(
        self,
        inputs: Tensor,
        targets: Tensor | None,
        scaling: str,
        *,
        cancel: Cancel | None = None,
        first: int = 0,
        after_each: Callable[[int], Any] | None = None,
    ) -> Block:
        """Scaled gradients of some samples; ``after_each(n)`` is told of every n samples done.

        Raises
        ------
        NetgeomError
            Gradients that are not finite, named by the samples' numbers counted from `first`.
        """
        parts = []
        for start in range(0, len(inputs), self.rows_at_once):
            if cancel is not None:
                cancel.checkpoint()
            rows = slice(start, start + self.rows_at_once)
            some_targets = None if targets is None else targets[rows]
            parts.append(self._block_of(self._given(inputs[rows]), some_targets, scaling, first + start))
            if after_each is not None:
                after_each(len(parts[-1]))
        if len(parts) == 1:
            return parts[0]
        factors = {}
        for name in list(parts[0].factors):
            factors[name] = type(parts[0].factors[name]).joined([part.factors.pop(name) for part in parts])
        return Block(factors, Scales.joined([part.scales for part in parts]), torch.cat([p.outputs for p in parts]))

    def _block_of(self, inputs: Tensor, targets: Tensor | None, scaling: str, first: int = 0) -> Block:
        _settle_threads()
        network, output = self.network, self.output
        layered = {name for name, method in self.method.items() if method == "layers"}
        found = layer_gradients(network, inputs, output, targets, layered, by_parameter=self._by_parameter)
        factors = {name: self._smaller(factor) for name, factor in found.factors.items()}
        self._check_forms(found.others, {name: type(factor) for name, factor in factors.items()})
        for method, jacobians in (("jacobian", batched_jacobians), ("loop", looped_jacobians)):
            names = [name for name, own in self.method.items() if own == method]
            if names:
                values = jacobians(network, inputs, output, targets, names)
                factors.update({name: Vectors(value) for name, value in values.items()})
        if not factors:  # no output depends on any parameter
            name = next(iter(self.method))
            factors[name] = Vectors(torch.zeros(len(inputs), self.n_outputs, 1, dtype=network.dtype))
        own_blocks = _sum([factor.own_blocks() for factor in factors.values()])
        _check_finite(own_blocks, first)
        own = scales(own_blocks, scaling)
        if own.factors is not None:
            factors = {name: factor.scaled(own.factors) for name, factor in factors.items()}
        return Block(factors, own, found.outputs)

    def _check_forms(self, others: set[str], forms: dict[str, type[Any]]) -> None:
        """Refuse a model that uses a parameter otherwise for these samples than for those before: none is left out."""
        self._forms = forms if self._forms is None else self._forms
        changed = others or {name for name in {*forms, *self._forms} if forms.get(name) is not self._forms.get(name)}
        if changed:
            raise NetgeomError(
                f"{', '.join(sorted(changed))}: the model uses these parameters in other ways for other samples",
                expected="the same operations for all samples, whatever their values",
                got="operations on some rows of a batch, as of experts that a router chooses",
                try_this="another seed=: where its four samples meet several experts, all is differentiated one by one",
            )

    def _smaller(self, factor: Factor) -> Factor:
        """The gradients themselves where they are smaller than their factors, or cheaper to multiply and affordable."""
        if not isinstance(factor, Positions):
            return factor
        whole = factor.numel_of_vectors
        affordable = whole // len(factor) * self._n_samples <= _VECTOR_NUMBERS
        return factor.as_vectors() if whole <= factor.numel or (factor.prefers_vectors and affordable) else factor


def _layers_that_hold(checked: Check) -> tuple[LayerGradients, set[str]]:
    """The layer path's factors for the samples of the check, and the parameters whose factors pass."""
    found, holds = _passing(checked)
    failing = [name for name in checked.network.parameters if name not in holds | found.others]
    if failing and (exact := checked.in_double()):
        holds |= _passing(exact)[1].intersection(failing)
    return found, holds


def _passing(checked: Check) -> tuple[LayerGradients, set[str]]:
    names = set(checked.network.parameters)
    found = layer_gradients(checked.network, checked.inputs, checked.output, checked.targets, names, by_parameter=True)
    return found, {n for n in names - found.others if checked.holds(n, found.factors.get(n))}


def _takes_floats_only(network: Network, inputs: Tensor) -> bool:
    """Whether whole numbers must be converted: they are tokens only for a model that takes them."""
    if inputs.is_floating_point():
        return False
    try:
        evaluated(network, inputs)
    except IndexError:  # a token that there is not: said by the check
        return False
    except (RuntimeError, TypeError):
        return True
    return False


def _saved_numbers(network: Network, sample: Tensor) -> int:
    """What autograd keeps of a forward pass for one sample, parameters aside."""
    parameters = {parameter.data_ptr() for parameter in network.model.parameters()}
    saved: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        if tensor.data_ptr() not in parameters:
            saved[tensor.data_ptr()] = tensor.numel()
        return tensor

    with torch.enable_grad(), torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        evaluated(network, sample)
    return sum(saved.values())


def _check_finite(own_blocks: Tensor, first: int) -> None:
    bad = (~torch.isfinite(own_blocks)).flatten(1).any(1).nonzero()
    if len(bad):
        raise NetgeomError(
            f"The gradient of {len(bad)} samples is not finite",
            expected="finite gradients",
            got=f"NaN or infinity for input {first + int(bad[0])} (counted from 0)",
            try_this="dtype=torch.float64, or check the model at that input",
        )


def _settle_threads() -> None:
    """A fresh thread takes torch's number of threads over when asked; else its first product is rounded otherwise."""
    torch.get_num_threads()


def _sum(parts: Iterable[Tensor]) -> Tensor:
    """In place, into the first."""
    remaining = iter(parts)
    total = next(remaining)
    for part in remaining:
        total += part
    return total
