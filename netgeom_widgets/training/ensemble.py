"""Networks of one architecture as one: their parameters are the rows of a tensor, their passes go through vmap."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import nn
from torch.func import functional_call, vmap

from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.kernels._memory import require_memory
from netgeom_widgets.training.samples import Axes, Loss, Samples

_COPIES = 5  # parameters, gradient, two moments of Adam, and one for what comes and goes
_BLOCK = 1024  # samples of every run in a pass without gradients


def initial_networks(make_model: Callable[[], nn.Module], seeds: Sequence[int]) -> list[nn.Module]:
    """A network for each seed; torch's random numbers are afterwards what they were."""
    networks = []
    with torch.random.fork_rng():
        for seed in seeds:
            torch.manual_seed(seed)
            networks.append(make_model())
    for network in networks:
        if not isinstance(network, nn.Module):
            raise NetgeomError(
                "make_model does not make a network", expected="a torch.nn.Module", got=type(network).__name__
            )
    if len({id(tensor) for network in networks for tensor in network.parameters()}) != sum(
        len(list(network.parameters())) for network in networks
    ):
        raise NetgeomError(
            "make_model returns the same network, or the same parameters, again",
            expected="a new network at each call",
            try_this="lambda: torch.nn.Sequential(...), which builds it inside the function",
        )
    return networks


class Ensemble:
    """Networks that agree in all but the values of parameters and buffers.

    Attributes
    ----------
    theta : tensor (runs, P')
        The parameters that are trained, one row a network; the only leaf of all graphs.
    buffers : dict of str to tensor (runs, ...)
    network : torch.nn.Module
        The first of them, through which all are called.
    batched : bool
        Whether the passes of all networks are one; found out by `try_out`.
    notes : tuple of str
    """

    def __init__(self, networks: Sequence[nn.Module]) -> None:
        self.network, self.runs = networks[0], len(networks)
        self.batched = True
        self.notes: tuple[str, ...] = ()
        named = dict(self.network.named_parameters())
        _check_alike(networks)
        self._trained = [name for name, parameter in named.items() if parameter.requires_grad]
        if not self._trained:
            raise NetgeomError("The networks have nothing to train", expected="parameters with requires_grad")
        self.dtype, self.device = _place(named)
        size = sum(parameter.numel() for parameter in named.values()) * self.dtype.itemsize * self.runs
        require_memory(_COPIES * size, f"{self.runs} networks in training", "fewer runs at a time")
        stacked = {name: _stack(networks, name) for name in [*named, *(key for key, _ in self.network.named_buffers())]}
        self.theta = torch.cat([stacked[name].flatten(1) for name in self._trained], dim=1).requires_grad_()
        self._shapes = {name: parameter.shape for name, parameter in named.items()}
        self._frozen = {name: stacked[name] for name in named if name not in self._trained}
        self.buffers = {name: stacked[name] for name, _ in self.network.named_buffers()}

    def parameters(self) -> torch.Tensor:
        """All parameters (runs, P), frozen ones too, in the order of ``network.parameters()``; a copy."""
        views = self._views()
        return torch.cat([views[name].detach().flatten(1) for name in self._shapes], dim=1)

    def losses(self, x: torch.Tensor, y: torch.Tensor, axes: Axes, loss: Loss) -> torch.Tensor:
        """The loss (runs,) of each network in train mode, with a graph; `axes` says where x and y count runs."""
        self.network.train()
        return self._each(lambda state, x, y: loss(functional_call(self.network, state, (x,)), y), (x, y), axes)

    def outputs(self, samples: Samples) -> torch.Tensor:
        """What each network gives (runs, n, ...) for all its samples, in eval mode, without a graph."""
        self.network.eval()
        axis = samples.axes[0]
        pieces = samples.inputs.split(_BLOCK, dim=0 if axis is None else 1)
        with torch.no_grad():
            found = [
                self._each(lambda state, x: functional_call(self.network, state, (x,)), (x,), (axis,)) for x in pieces
            ]
        return torch.cat(found, dim=1)

    def final_losses(self, samples: Samples, loss: Loss) -> torch.Tensor:
        """The loss (runs,) over all samples in eval mode."""
        pairs = zip(self.outputs(samples), samples.by_run()[1], strict=True)
        return torch.stack([loss(outputs, targets).detach() for outputs, targets in pairs])

    def try_out(self, samples: Samples, loss: Loss) -> None:
        """Refuse what cannot be trained, before any parameter changes, and find out whether vmap can batch it."""
        few = slice(min(4, samples.n))
        x = torch.stack([inputs[few] for inputs in samples.by_run()[0]])
        kept = {name: buffer.clone() for name, buffer in self.buffers.items()}
        try:
            outputs = self._alone(x[0])
            samples.fit_to(outputs)
            y = torch.stack([targets[few] for targets in samples.by_run()[1]])
            value = loss(outputs, y[0])
            if not isinstance(value, torch.Tensor) or value.shape != () or value.dtype != self.dtype:
                got = f"{tuple(value.shape)} {value.dtype}" if isinstance(value, torch.Tensor) else type(value).__name__
                raise NetgeomError("The loss is not one number", expected=f"a tensor () {self.dtype}", got=got)
            self._try_batched(x, y, loss)
        finally:
            self.buffers = kept

    def _alone(self, x: torch.Tensor) -> torch.Tensor:
        """One network's outputs in train mode; refused when it fails or draws random numbers."""
        self.network.train()
        before = torch.get_rng_state()
        with torch.random.fork_rng(), torch.no_grad():
            try:
                outputs = functional_call(self.network, self._state_of(0), (x,))
            except Exception as error:  # whatever the user's forward raises
                raise NetgeomError(
                    f"The network does not take the inputs ({type(error).__name__}: {error})",
                    expected="a network that takes one batch",
                    got=f"inputs {tuple(x.shape)} {x.dtype}",
                ) from error
            drew = not torch.equal(before, torch.get_rng_state())
        if drew:
            raise NetgeomError(
                "The network draws random numbers while it is trained",
                expected="a network without dropout or noise of its own, so that each run can be repeated alone",
                try_this="dropout with p=0",
            )
        if not isinstance(outputs, torch.Tensor) or len(outputs) != len(x):
            raise NetgeomError(
                "The network does not return one output a sample",
                expected="one tensor, batch first",
                got=f"{tuple(outputs.shape)}" if isinstance(outputs, torch.Tensor) else type(outputs).__name__,
            )
        return outputs

    def _try_batched(self, x: torch.Tensor, y: torch.Tensor, loss: Loss) -> None:
        """Batched and single passes must agree; networks for which they cannot or do not go one by one."""
        one_by_one = self._losses_on_copies(x, y, loss, batched=False)
        try:
            together = self._losses_on_copies(x, y, loss, batched=True)
            why = "" if torch.allclose(together, one_by_one, rtol=1e-3, atol=1e-5, equal_nan=True) else "other losses"
        except Exception as error:  # noqa: BLE001 - vmap raises many kinds; the single pass has shown that it can be done
            why = f"{type(error).__name__}: {str(error).splitlines()[0]}"
        if why:
            self.batched = False
            self.notes = (
                f"torch.func.vmap cannot batch these networks ({why}): they were trained one after the other",
            )
            warnings.warn(f"{self.notes[0]}, which takes longer.", stacklevel=4)

    def _losses_on_copies(self, x: torch.Tensor, y: torch.Tensor, loss: Loss, *, batched: bool) -> torch.Tensor:
        buffers = self.buffers
        self.batched, self.buffers = batched, {name: buffer.clone() for name, buffer in buffers.items()}
        try:
            losses = self.losses(x, y, (0, 0), loss)
            torch.autograd.grad(losses.sum(), self.theta)
            return losses.detach()
        finally:
            self.batched, self.buffers = True, buffers

    def _each(self, function: Callable[..., torch.Tensor], values: Sequence[torch.Tensor], axes: Any) -> torch.Tensor:
        """The function of every network's state and of its values, (runs, ...)."""
        if self.batched:
            state = {**self._views(), **self.buffers}
            return vmap(function, in_dims=(0, *axes))(state, *values)
        each = [
            function(self._state_of(r), *(v if axis is None else v[r] for v, axis in zip(values, axes, strict=True)))
            for r in range(self.runs)
        ]
        return torch.stack(each)

    def _state_of(self, run: int) -> dict[str, torch.Tensor]:
        return {name: values[run] for name, values in {**self._views(), **self.buffers}.items()}

    def _views(self) -> dict[str, torch.Tensor]:
        """Every parameter (runs, ...) by its name."""
        shapes = [self._shapes[name] for name in self._trained]
        pieces = self.theta.split([shape.numel() for shape in shapes], dim=1)
        views = {
            name: piece.reshape(self.runs, *shape)
            for name, piece, shape in zip(self._trained, pieces, shapes, strict=True)
        }
        return views | self._frozen


def _check_alike(networks: Sequence[nn.Module]) -> None:
    """Names, shapes, dtypes, and what is trained."""

    def described(network: nn.Module) -> dict[str, tuple[object, ...]]:
        tensors = [*network.named_parameters(), *network.named_buffers()]
        return {name: (tuple(t.shape), t.dtype, t.device, t.requires_grad) for name, t in tensors}

    first = described(networks[0])
    for r, network in enumerate(networks):
        found = described(network)
        if found != first or type(network) is not type(networks[0]):
            name = next((key for key in [*first, *found] if first.get(key) != found.get(key)), "its class")
            raise NetgeomError(
                f"Network {r} is not built like network 0: {name}",
                expected=str(first.get(name, type(networks[0]).__name__)),
                got=str(found.get(name, type(network).__name__)),
            )


def _place(named: dict[str, nn.Parameter]) -> tuple[torch.dtype, torch.device]:
    """The one dtype and device of all parameters."""
    kinds = {(parameter.dtype, parameter.device) for parameter in named.values()}
    if len(kinds) != 1 or not next(iter(kinds))[0].is_floating_point:
        raise NetgeomError(
            "The parameters of a network are of several kinds",
            expected="one real floating dtype and one device",
            got=", ".join(f"{dtype} on {device}" for dtype, device in sorted(kinds, key=str)),
        )
    return next(iter(kinds))


def _stack(networks: Sequence[nn.Module], name: str) -> torch.Tensor:
    """One parameter or buffer of all networks."""
    owner, _, leaf = name.rpartition(".")
    return torch.stack([getattr(network.get_submodule(owner), leaf).detach() for network in networks])
