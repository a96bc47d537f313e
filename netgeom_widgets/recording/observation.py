"""Running the user's model without a trace: flags, attributes, buffers, gradients, random numbers stay as they were."""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np
import torch
from torch import nn


@contextmanager
def undisturbed(model: nn.Module) -> Iterator[None]:
    """Evaluate a model inside the block: eval mode, no gradients, no autocast; afterwards it is as if nothing had run.

    Put back are the plain attributes of every module (its train flag among them), its tables of submodules, parameters
    and buffers, the values of buffers and of tensors that are plain attributes, and the states of random generators:
    those of Python, numpy, and torch on the CPU and on the model's devices, and those that modules hold. Not seen are
    changes within the user's own lists and dictionaries, in parameters, and in sparse tensors.

    Not `torch.inference_mode`: a model that keeps a tensor from such a pass (a cache of positions, say) could not train
    with it. No autocast: under no_grad its cache of half-precision weights would go on to starve the training pass of
    gradients, and snapshots would depend on where in the loop they are taken. No compiled code: it does not call hooks
    that came later, and a pass in another mode would have it compiled again. Flags are set one by one, because an
    overridden train() may do more than set them.
    """
    modules = list(model.modules())
    before = [(table, dict(table)) for module in modules for table in _tables(module)]
    held = [value for module in modules for value in vars(module).values()]
    tensors = [*model.buffers(), *(value for value in held if isinstance(value, torch.Tensor))]
    values = [(tensor, tensor.detach().clone()) for tensor in tensors if tensor.layout == torch.strided]
    generators = [(value, value.get_state()) for value in held if isinstance(value, torch.Generator)]
    devices = {tensor.device for tensor in [*model.parameters(), *model.buffers()]}
    with same_random_numbers(devices), torch.no_grad(), ExitStack() as stack:
        for kind in {"cpu", *(device.type for device in devices)}:
            stack.enter_context(torch.autocast(kind, enabled=False))
        if "torch._dynamo" in sys.modules:
            stack.enter_context(torch.compiler.set_stance("force_eager"))
        try:
            for module in modules:
                module.training = False
            yield
        finally:
            for table, old in before:
                _put_back(table, old)
            for tensor, value in values:
                if not torch.equal(tensor, value):  # else left alone: writing would void a graph that holds it
                    tensor.copy_(value)
            for generator, state in generators:
                generator.set_state(state)


def _tables(module: nn.Module) -> tuple[dict[str, Any], ...]:
    return vars(module), module._modules, module._parameters, module._buffers


def _put_back(table: dict[str, Any], old: dict[str, Any]) -> None:
    for name in [name for name in table if name not in old]:
        del table[name]
    for name, value in old.items():
        if name not in table or table[name] is not value:
            table[name] = value


@contextmanager
def same_random_numbers(devices: set[torch.device] = frozenset()) -> Iterator[None]:  # type: ignore[assignment]
    """Random numbers drawn inside the block are drawn again after it."""
    python, numbers, cpu = random.getstate(), np.random.get_state(), torch.get_rng_state()  # noqa: NPY002 - the user's
    accelerators = [(getattr(torch, d.type), d) for d in devices if d.type in ("cuda", "mps", "xpu")]
    states = [_device_state(backend, device) for backend, device in accelerators]
    try:
        yield
    finally:
        random.setstate(python)
        np.random.set_state(numbers)  # noqa: NPY002
        torch.set_rng_state(cpu)
        for (backend, device), state in zip(accelerators, states, strict=True):
            _set_device_state(backend, device, state)


def _device_state(backend: Any, device: torch.device) -> torch.Tensor:
    state: torch.Tensor = backend.get_rng_state() if device.type == "mps" else backend.get_rng_state(device)
    return state


def _set_device_state(backend: Any, device: torch.device, state: torch.Tensor) -> None:
    if device.type == "mps":
        backend.set_rng_state(state)
    else:
        backend.set_rng_state(state, device)
